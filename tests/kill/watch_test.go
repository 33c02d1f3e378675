// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/tests/internal/rig"
)

const (
	watchWriters  = 4
	watchWatchers = 3
	watchKeys     = 6 // of a writer
)

// watched is one gateway after another, on one pool, with writers and watchers over the socket.
type watched struct {
	t      *testing.T
	root   string
	socket string
	acked  atomic.Int64
	last   atomic.Uint64 // the revision at which watchers end; 0: not yet
}

// note is what a writer remembers of its batches. Each value and each deletion marker is unique: "writer.batch".
type note struct {
	acked []bool // by the batch's number
	size  []int  // changes in it
}

// follower is a watcher: what it has seen of whole batches, as "revision:change".
type follower struct {
	at    uint64
	seen  []string
	joins int
}

// TestWatchKill kills the gateway under writers, and under watchers, which go on behind the last revision that they were told. In the end
// each has seen every batch that was acknowledged, whole, once, in the writer's order; of those that were not, all or nothing; all watchers
// the same; and what they saw, done one after the other, is what is there.
func TestWatchKill(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay the workload with -seed %d", *seed)
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "1G", "--log-size", "64M")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("obj", "create", "tank/neo/watched")
	w := &watched{t: t, root: cli.Root}
	g := rig.StartGateway(t, w.root)
	w.socket = g.Socket
	base := w.now()
	followers := make([]follower, watchWatchers)
	var watching sync.WaitGroup
	for i := range followers {
		followers[i].at = base
		watching.Go(func() { w.follow(&followers[i], rand.New(rand.NewPCG(*seed, 50+uint64(i)))) })
	}
	notes := make([]note, watchWriters)
	random := rand.New(rand.NewPCG(*seed, 1000))
	for range max(*rounds/2, 2) {
		g = w.round(g, notes, time.Duration(50+random.IntN(300))*time.Millisecond)
	}
	state := w.finish()
	watching.Wait()
	g.Stop()
	for i := range followers {
		w.compare(&followers[i], notes, state)
		if strings.Join(followers[i].seen, " ") != strings.Join(followers[0].seen, " ") {
			t.Errorf("watcher %d has not seen what watcher 0 has", i)
		}
	}
	t.Logf("%d acknowledged batches, %d changes seen, %d connections of the first watcher", w.acked.Load(), len(followers[0].seen), followers[0].joins)
}

// connect opens the object over the socket. What it returns closes everything.
func (w *watched) connect(ctx context.Context) (system.KV, func(), error) {
	var opened []io.Closer
	closeAll := func() {
		for i := len(opened) - 1; i >= 0; i-- {
			_ = opened[i].Close()
		}
	}
	sys, err := client.Dial(ctx, "unix:"+w.socket)
	if err != nil {
		return nil, nil, err
	}
	opened = append(opened, sys)
	pool, err := sys.OpenPool(ctx, "tank")
	if err == nil {
		opened = append(opened, pool)
		var cont system.Container
		if cont, err = pool.OpenContainer(ctx, "neo"); err == nil {
			opened = append(opened, cont)
			var kv system.KV
			if kv, err = cont.OpenKV(ctx, "watched", false); err == nil {
				opened = append(opened, kv)
				return kv, closeAll, nil
			}
		}
	}
	closeAll()
	return nil, nil, err
}

// must is connect while a gateway runs.
func (w *watched) must() (system.KV, func()) {
	w.t.Helper()
	kv, done, err := w.connect(w.t.Context())
	fatal(w.t, err)
	return kv, done
}

// now is the revision behind which a watch begins now.
func (w *watched) now() uint64 {
	kv, done := w.must()
	defer done()
	for c, err := range system.AllChanges(w.t.Context(), kv, system.WatchOptions{}) {
		fatal(w.t, err)
		return c.Revision
	}
	return 0
}

// round lets the writers write for some time, kills the gateway, and returns the next one.
func (w *watched) round(g *rig.Gateway, notes []note, after time.Duration) *rig.Gateway {
	before := w.acked.Load()
	var writing sync.WaitGroup
	kv, done := w.must()
	for i := range notes {
		writing.Go(func() { w.write(kv, i, &notes[i]) })
	}
	time.Sleep(after)
	for slow := time.Now(); w.acked.Load() < before+enough && time.Since(slow) < 20*time.Second; {
		time.Sleep(time.Millisecond)
	}
	g.Kill()
	writing.Wait()
	done()
	return rig.StartGateway(w.t, w.root)
}

// write applies batches until the gateway is gone. At most the last one is in doubt.
func (w *watched) write(kv system.KV, id int, n *note) {
	for {
		number := len(n.acked)
		rng := rand.New(rand.NewPCG(*seed, uint64(id)<<32|uint64(number)))
		batch := make([]system.Mutation, 1+rng.IntN(3))
		for i := range batch {
			batch[i] = system.Mutation{Key: fmt.Appendf(nil, "%d.%d.%d", id, i, rng.IntN(watchKeys)),
				Value: fmt.Appendf(nil, "%d.%d %s", id, number, strings.Repeat("x", rng.IntN(200)))}
			batch[i].Delete = i > 0 && rng.IntN(3) == 0 // never the first, which names the batch
		}
		n.acked, n.size = append(n.acked, false), append(n.size, len(batch))
		if err := kv.Apply(w.t.Context(), batch); err != nil {
			if !lost(err) {
				w.t.Errorf("Apply: %v", err)
			}
			return
		}
		n.acked[number] = true
		w.acked.Add(1)
	}
}

// follow watches, over one gateway after another, until it has seen revision w.last. Now and then it goes away by itself.
func (w *watched) follow(f *follower, rng *rand.Rand) {
	for w.last.Load() == 0 || f.at < w.last.Load() {
		kv, done, err := w.connect(w.t.Context())
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		f.joins++
		err = w.followSome(kv, f, 1+rng.IntN(200))
		done()
		if err != nil && !lost(err) {
			w.t.Errorf("a watch from %d: %v", f.at+1, err)
			return
		}
	}
}

// followSome takes so many answers. What has come of a batch that is not whole does not count.
func (w *watched) followSome(kv system.KV, f *follower, answers int) error {
	var open []string
	for c, err := range system.AllChanges(w.t.Context(), kv, system.WatchOptions{Start: f.at + 1, Progress: system.ProgressMin}) {
		if err != nil {
			return err
		}
		if c.Revision < f.at {
			return fmt.Errorf("revision %d comes after %d", c.Revision, f.at)
		}
		for _, change := range c.Changes {
			open = append(open, describe(change))
			if change.Revision <= c.Revision {
				f.seen, open = append(f.seen, open...), nil
			}
		}
		f.at = c.Revision
		if answers--; answers == 0 || w.last.Load() != 0 && f.at >= w.last.Load() {
			break
		}
	}
	return nil
}

// describe is a change as "revision:key=writer.batch", or "revision:key-".
func describe(c system.Change) string {
	if c.Deleted {
		return fmt.Sprintf("%d:%s-", c.Revision, c.Key)
	}
	value, _, _ := strings.Cut(string(c.Value), " ")
	return fmt.Sprintf("%d:%s=%s", c.Revision, c.Key, value)
}

// finish makes the last change, tells the watchers, and returns what is there, as "revision:key=writer.batch" by key.
func (w *watched) finish() map[string]string {
	kv, done := w.must()
	defer done()
	fatal(w.t, kv.Put(w.t.Context(), []byte("end"), []byte("end")))
	stat, err := kv.Stat(w.t.Context(), []byte("end"))
	fatal(w.t, err)
	state := map[string]string{}
	for e, err := range kv.List(w.t.Context(), system.Range{}) {
		fatal(w.t, err)
		state[string(e.Key)] = describe(system.Change{Key: e.Key, Value: e.Value, Revision: e.Revision})
	}
	w.last.Store(stat.Revision)
	return state
}

// compare holds what a watcher has seen against what the writers know, and against what is there.
func (w *watched) compare(f *follower, notes []note, state map[string]string) {
	w.t.Helper()
	next, made := make([]int, len(notes)), map[string]string{}
	for at := 0; at < len(f.seen); {
		batch := batchAt(f.seen[at:])
		at += len(batch)
		for _, s := range batch {
			_, change, _ := strings.Cut(s, ":")
			if key, deleted := strings.CutSuffix(change, "-"); deleted {
				delete(made, key)
			} else {
				key, _, _ = strings.Cut(change, "=")
				made[key] = s
			}
		}
		w.check(batch, notes, next)
	}
	for id, n := range notes {
		w.noneMissing(id, n, next[id], len(n.acked))
	}
	if fmt.Sprint(made) != fmt.Sprint(state) {
		w.t.Errorf("the changes make %d keys, there are %d, and they are not the same", len(made), len(state))
	}
}

// batchAt are the changes at the front that have one revision.
func batchAt(seen []string) []string {
	revision, _, _ := strings.Cut(seen[0], ":")
	n := 1
	for n < len(seen) && strings.HasPrefix(seen[n], revision+":") {
		n++
	}
	return seen[:n]
}

// check: the batch is one of a writer's, whole, and the next of them that there can be.
func (w *watched) check(batch []string, notes []note, next []int) {
	w.t.Helper()
	_, name, _ := strings.Cut(batch[0], "=")
	writer, number, _ := strings.Cut(name, ".")
	if name == "end" {
		return
	}
	id, err := strconv.Atoi(writer)
	fatal(w.t, err)
	n, err := strconv.Atoi(number)
	fatal(w.t, err)
	if n < next[id] || n >= len(notes[id].acked) || notes[id].size[n] != len(batch) {
		w.t.Errorf("batch %s comes with %d changes, after batch %d", name, len(batch), next[id]-1)
		return
	}
	w.noneMissing(id, notes[id], next[id], n)
	next[id] = n + 1
}

// noneMissing: the batches from one number to another, which were not seen, were not acknowledged.
func (w *watched) noneMissing(id int, n note, from, to int) {
	w.t.Helper()
	for i := from; i < to; i++ {
		if n.acked[i] {
			w.t.Errorf("batch %d of writer %d was acknowledged, and is skipped", i, id)
		}
	}
}
