// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestTenThousand: ten thousand goroutines that put durably, and get what is not in the cache, need at most 20 threads on two processors, and all of it is right.
// A process of its own counts them, for others leave idle ones behind.
func TestTenThousand(t *testing.T) {
	const child = "TARN_TEST_TEN_THOUSAND"
	if os.Getenv(child) == "" {
		c := exec.Command(os.Args[0], "-test.run", "^TestTenThousand$", "-test.v")
		c.Env = append(os.Environ(), child+"=1")
		out, err := c.CombinedOutput()
		if t.Logf("%s", out); err != nil {
			t.Error(err)
		}
		return
	}
	kv := openKVWith(t, Options{CacheBytes: 2 << 20})
	const old, size, workers, each = 20000, 500, 10000, 2 // 10 MB of old values, five times the cache
	key := func(of string, i int) []byte { return fmt.Appendf(nil, "%s %06d", of, i) }
	value := func(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%05d", i), size/5) }
	for i := 0; i < old; i += 1000 {
		var batch []Mutation
		for j := range 1000 {
			batch = append(batch, Mutation{Key: key("old", i+j), Value: value(i + j)})
		}
		must(t, kv.Apply(t.Context(), batch))
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				at := (w*each + i) * 7919 % old
				if got, err := kv.Get(t.Context(), key("old", at)); err != nil || !bytes.Equal(got, value(at)) {
					t.Errorf("old %d: %d bytes, %v", at, len(got), err)
				}
				if w%2 == 0 {
					must(t, kv.Put(t.Context(), key("new", w*each+i), value(w)))
				}
			}
		})
	}
	wg.Wait()
	n := threads(t)
	t.Logf("%d threads", n)
	if n > 16+2*runtime.GOMAXPROCS(0) {
		t.Errorf("the process has %d threads", n)
	}
	if n, err := kv.Count(t.Context(), Range{}); n != old+workers/2*each || err != nil {
		t.Errorf("Count = %d, %v; want %d", n, err, old+workers/2*each)
	}
	for w := 0; w < workers; w += 2 {
		if got, err := kv.Get(t.Context(), key("new", w*each+1)); err != nil || !bytes.Equal(got, value(w)) {
			t.Fatalf("worker %d: %d bytes, %v", w, len(got), err)
		}
	}
}

// threads are those of this process, but for the kernel's own workers of io_uring, which run no code of the process.
func threads(t *testing.T) (n int) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip(err)
	}
	for _, task := range tasks {
		name, err := os.ReadFile("/proc/self/task/" + task.Name() + "/comm")
		if err == nil && !bytes.HasPrefix(name, []byte("iou-")) {
			n++
		}
	}
	return n
}

// TestCancel cancels puts at random moments: what was reported as cancelled is not there, what succeeded is. The seed is printed.
func TestCancel(t *testing.T) {
	kv := openKV(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	results := make([]error, 400)
	var wg sync.WaitGroup
	for i := range results {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(rng.IntN(3000))*time.Microsecond, cancel)
		wg.Go(func() { results[i] = kv.Put(ctx, fmt.Append(nil, i), make([]byte, 2000)) })
	}
	wg.Wait()
	cancelled := 0
	for i, err := range results {
		there, e := kv.Exists(t.Context(), fmt.Append(nil, i))
		if e != nil || there != (err == nil) {
			t.Errorf("put %d returned %v, and the key is there: %v, %v", i, err, there, e)
		}
		if err != nil {
			cancelled++
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errno.Canceled) {
				t.Errorf("put %d: %v", i, err)
			}
		}
	}
	t.Logf("%d of %d were cancelled", cancelled, len(results))
}

// TestAbort: calls that wait behind others in the library are given up when their context ends, and say so.
func TestAbort(t *testing.T) {
	kv := openKV(t)
	for i := range 100 {
		must(t, kv.Put(t.Context(), fmt.Append(nil, i), make([]byte, 20000)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	const calls = 200
	for range calls {
		go func() { errs <- check(ctx, kv.cont.pool) }()
	}
	must(t, <-errs)
	cancel()
	cancelled := 0
	for range calls - 1 {
		if err := <-errs; errors.Is(err, context.Canceled) && errors.Is(err, errno.Canceled) {
			cancelled++
		} else if err != nil {
			t.Error(err)
		}
	}
	if cancelled == 0 {
		t.Errorf("none of %d calls was cancelled", calls)
	}
}

// TestSlotsAreBounded: a call that finds all slots taken waits in Go, as long as its context allows.
func TestSlotsAreBounded(t *testing.T) {
	kv := openKV(t)
	slots := kv.h.core.slots
	var taken []*slot
	for range slotsMax {
		s, err := slots.take(t.Context(), "test", kv.h)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := kv.Put(ctx, []byte("k"), nil)
	wantCode(t, "Put without a free slot", err, errno.TimedOut)
	done := make(chan error)
	go func() { done <- kv.Put(t.Context(), []byte("k"), nil) }()
	for _, s := range taken {
		slots.give(s)
	}
	must(t, <-done)
}

// TestBytesBesidePointers: cgo refuses memory that holds Go pointers, but a key may stand beside one.
func TestBytesBesidePointers(t *testing.T) {
	type record struct {
		next *record
		name [8]byte
		val  [2000]byte
	}
	kv := openKV(t)
	r := &record{next: &record{}, name: [8]byte{'k', 'e', 'y'}}
	must(t, kv.Put(t.Context(), r.name[:], r.val[:]))
	must(t, kv.Apply(t.Context(), []Mutation{{Key: r.name[:3], Value: r.val[:]}}))
	n, err := kv.GetInto(t.Context(), r.name[:], r.val[:])
	if n != len(r.val) || err != nil {
		t.Errorf("GetInto = %d, %v", n, err)
	}
	for e, err := range kv.List(t.Context(), Range{Prefix: r.name[:1], Start: r.name[:2], End: []byte("l")}) {
		if err != nil || !bytes.HasPrefix(e.Key, []byte("key")) {
			t.Errorf("List: %+v, %v", e, err)
		}
	}
	w, err := kv.Writer(t.Context(), r.name[:])
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(r.val[:])
	must(t, err)
	must(t, w.Commit(t.Context()))
}

// TestManyObjects lists more objects than one call of C returns.
func TestManyObjects(t *testing.T) {
	kv := openKV(t)
	const n = objectsBatch + 10
	var wg sync.WaitGroup
	for w := range 10 {
		wg.Go(func() {
			for i := w; i < n; i += 10 {
				_, err := kv.cont.CreateObject(t.Context(), fmt.Sprintf("o%05d", i))
				must(t, err)
			}
		})
	}
	wg.Wait()
	i := 0
	for o, err := range kv.cont.Objects(t.Context(), "") {
		if want := fmt.Sprintf("o%05d", i); err != nil || i < n && o.Name != want {
			t.Fatalf("object %d is %q, %v", i, o.Name, err)
		}
		i++
	}
	if i != n+1 { // and stadium
		t.Errorf("%d objects were listed, want %d", i, n+1)
	}
}
