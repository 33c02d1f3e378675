// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/systemtest"
)

// cutter cuts each connection after so many bytes, drawn from the proxy's seed, once it is on.
type cutter struct {
	on          atomic.Bool
	least, most int
	cuts        atomic.Int64
}

func (c *cutter) carry(_ *faultyProxy, from, to *net.TCPConn, random *rand.Rand) {
	defer from.Close()
	defer to.Close()
	left := c.least + random.IntN(c.most-c.least+1)
	buf := make([]byte, 4096)
	for left > 0 {
		n, err := from.Read(buf[:min(len(buf), left)])
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
		if c.on.Load() {
			left -= n
		}
	}
	c.cuts.Add(1)
}

// TestWatchBroken: a way that breaks after every few KiB, long before a batch is whole, shows each change once, in order: a follower goes on
// inside a batch.
func TestWatchBroken(t *testing.T) {
	seed := systemtest.Seed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	s := start(t, Config{System: engine(t, t.TempDir())})
	kv := openKV(t, dial(t, s.Addr()))
	w, err := system.OpenWatch(t.Context(), kv, system.WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	first, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 2 {
		batch := make([]system.Mutation, 60+random.IntN(60))
		for j := range batch {
			batch[j] = system.Mutation{Key: fmt.Appendf(nil, "%d-%03d", i, j), Value: bytes.Repeat([]byte{'a' + byte(i)}, random.IntN(1000))}
			want = append(want, fmt.Sprintf("%s %s", batch[j].Key, batch[j].Value))
		}
		if err := kv.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	cut := &cutter{least: 2 << 10, most: 6 << 10}
	proxy := newProxy(t, s.Addr(), seed, func(p *faultyProxy, from, to *net.TCPConn, random *rand.Rand) { cut.carry(p, from, to, random) })
	broken := openThrough(t, dial(t, proxy.l.Addr().String()))
	cut.on.Store(true)
	got := followAll(t, broken, first.Revision, len(want))
	if i := firstOther(got, want); i >= 0 {
		t.Errorf("change %d of %d is %.40q, want %.40q", i, len(got), got[i:min(i+1, len(got))], want[i:min(i+1, len(want))])
	}
	if cut.cuts.Load() < 10 {
		t.Errorf("%d changes came with %d cuts", len(got), cut.cuts.Load())
	}
	t.Logf("%d changes, %d cuts", len(got), cut.cuts.Load())
}

// openThrough opens tank/neo/stadium, which is there.
func openThrough(t *testing.T, sys system.System) system.KV {
	t.Helper()
	pool, err := sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	return openIn(t, pool)
}

// followAll are the changes behind a revision, n of them, and what comes within a moment after them.
func followAll(t *testing.T, kv system.KV, behind uint64, n int) (got []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for c, err := range system.Follow(ctx, kv, system.WatchOptions{Start: behind + 1, Progress: system.ProgressMin}) {
		if err != nil {
			t.Fatalf("after %d of %d changes: %v", len(got), n, err)
		}
		for _, change := range c.Changes {
			got = append(got, fmt.Sprintf("%s %s", change.Key, change.Value))
		}
		if len(c.Changes) == 0 && len(got) >= n {
			return got
		}
	}
	return got
}

// firstOther is the first place where two lists differ; -1: nowhere.
func firstOther(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}
