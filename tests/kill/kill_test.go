// SPDX-License-Identifier: Apache-2.0

// Package kill tests that a gateway which is killed has lost nothing that it acknowledged.
package kill

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/tests/internal/rig"
)

var (
	rounds = flag.Int("rounds", 20, "how often the gateway is killed")
	seed   = flag.Uint64("seed", 0, "of the workload and of the times of the kills (0: a new one)")
)

const (
	workers = 8
	enough  = 20 // acknowledged calls, before a kill
)

// TestKill kills the gateway (kill -9) in the middle of an import, starts it again, and compares all that is there with what had
// been acknowledged before: twenty times on the same pool, whose log is small, so that it wraps and checkpoints run.
//
// In each round workers put files, overwrite, delete and apply batches over the socket, and write down what was acknowledged;
// beside them 'tarn import' runs on an object of its own. A worker has its own keys and one call at a time: so at a kill each has at
// most one call that was not acknowledged, which may have happened whole or not at all.
func TestKill(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay the workload with -seed %d", *seed)
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "1G", "--log-size", "4M")
	cli.OK("cont", "create", "tank/neo")
	sample := rig.Sample(t, 2000)
	files, tree := newCorpus(sample), rig.Write(t, sample)
	random := rand.New(rand.NewPCG(*seed, 0))
	var oracles [workers]*oracle
	for i := range oracles {
		oracles[i] = newOracle(files, i, rand.New(rand.NewPCG(*seed, uint64(i)+1)))
	}
	acked := 0
	for round := range *rounds {
		before := acked
		acked = oneKill(t, cli, tree, oracles[:], time.Duration(100+random.IntN(500))*time.Millisecond)
		t.Logf("round %d: %d acknowledged calls, %d keys", round+1, acked-before, keys(oracles[:]))
	}
	afterwards(t, cli, tree, oracles[:])
}

// oneKill runs the workload for some time on a new gateway, kills that, and compares on the next. It returns the number of calls that
// have been acknowledged so far.
func oneKill(t *testing.T, cli rig.CLI, tree string, oracles []*oracle, after time.Duration) (acked int) {
	t.Helper()
	g := rig.StartGateway(t, cli.Root)
	kv, done := open(t, g)
	importer := exec.Command(rig.Bin(t, "tarn"), "--root", cli.Root, "import", "tank/neo/imported", tree)
	if err := importer.Start(); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var calls atomic.Int64
	for _, o := range oracles {
		running.Go(func() { o.run(kv, &calls) })
	}
	time.Sleep(after)
	for slow := time.Now(); calls.Load() < enough && time.Since(slow) < 20*time.Second; {
		time.Sleep(time.Millisecond)
	}
	g.Kill()
	running.Wait()
	done()
	ended(t, importer)

	g = rig.StartGateway(t, cli.Root)
	kv, done = open(t, g)
	compare(t, kv, oracles)
	done()
	g.Stop()
	for _, o := range oracles {
		if o.failure != nil {
			t.Errorf("before the kill a call failed: %v", o.failure)
		}
		acked += o.acked
	}
	if calls.Load() < enough {
		t.Errorf("%d calls were acknowledged: too few for a test", calls.Load())
	}
	return acked
}

// ended checks that the import noticed that its gateway was killed: it must not hang. It may have ended well before that.
func ended(t *testing.T, importer *exec.Cmd) {
	t.Helper()
	timer := time.AfterFunc(time.Minute, func() { _ = importer.Process.Kill() })
	_ = importer.Wait()
	if !timer.Stop() {
		t.Error("the import went on for a minute after its gateway had been killed")
	}
	if exit := importer.ProcessState.ExitCode(); exit != 0 && exit != 9 {
		t.Errorf("the import ended with %d, want 9: unreachable", exit)
	}
}

func open(t *testing.T, g *rig.Gateway) (system.KV, func()) {
	t.Helper()
	ctx := t.Context()
	sys, err := client.Dial(ctx, "unix:"+g.Socket)
	fatal(t, err)
	pool, err := sys.OpenPool(ctx, "tank")
	fatal(t, err)
	cont, err := pool.OpenContainer(ctx, "neo")
	fatal(t, err)
	kv, err := cont.OpenKV(ctx, "acked", true)
	fatal(t, err)
	return kv, func() {
		for _, c := range []interface{ Close() error }{kv, cont, pool, sys} {
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// compare reads everything, and holds it against what the oracles expect.
func compare(t *testing.T, kv system.KV, oracles []*oracle) {
	t.Helper()
	ctx := context.Background()
	found := map[string][]byte{}
	for e, err := range kv.List(ctx, system.Range{}) {
		fatal(t, err)
		if e.Omitted {
			e.Value, err = kv.Get(ctx, e.Key)
			fatal(t, err)
		}
		found[string(e.Key)] = e.Value
	}
	expected := 0
	for _, o := range oracles {
		for _, complaint := range o.settle(found) {
			t.Error(complaint)
		}
		expected += len(o.have)
	}
	if len(found) != expected {
		t.Errorf("there are %d keys, want %d", len(found), expected)
	}
	if t.Failed() {
		t.Fatal("something acknowledged was lost, or something appeared that was not put")
	}
}

// afterwards checks the pool from end to end, and that an import which was killed twenty times can be completed.
func afterwards(t *testing.T, cli rig.CLI, tree string, oracles []*oracle) {
	if got := cli.OK("pool", "check", "tank"); got != "tank checked\n" {
		t.Error(got)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	cli.OK("export", "tank/neo/acked", copied)
	for _, o := range oracles {
		for key, file := range o.have {
			data, err := os.ReadFile(filepath.Join(copied, key))
			if err != nil || !slices.Equal(data, o.files.data[file]) {
				t.Errorf("%s was exported wrongly: %v", key, err)
			}
		}
	}
	g := rig.StartGateway(t, cli.Root)
	cli.OK("import", "tank/neo/imported", tree)
	g.Stop()
	imported := filepath.Join(t.TempDir(), "imported")
	cli.OK("export", "tank/neo/imported", imported)
	rig.Same(t, tree, imported)
}

func keys(oracles []*oracle) (n int) {
	for _, o := range oracles {
		n += len(o.have)
	}
	return n
}

// lost reports whether an error is what a call answers when its gateway is killed.
func lost(err error) bool {
	code := errno.CodeOf(err)
	return code == errno.Unreach || code == errno.Shutdown || code == errno.Canceled
}
