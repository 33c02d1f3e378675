// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// openWatch begins a watch, takes its first answer, and returns where it begins.
func openWatch(t *testing.T, kv system.KV, o system.WatchOptions) (system.Watch, uint64) {
	t.Helper()
	w, err := system.OpenWatch(t.Context(), kv, o)
	if err != nil {
		t.Fatalf("OpenWatch(%+v): %v", o, err)
	}
	t.Cleanup(func() { must(t, w.Close()) })
	first, err := w.Next(t.Context())
	if err != nil || len(first.Changes) != 0 {
		t.Fatalf("the first Next() = %+v, %v; want no changes", first, err)
	}
	if o.Start != 0 && first.Revision != o.Start-1 {
		t.Errorf("a watch from revision %d begins behind %d", o.Start, first.Revision)
	}
	return w, first.Revision
}

// text is a change as "1:key=value", its revision counted from base; of a long value its length and checksum.
func text(c system.Change, base uint64) string {
	switch {
	case c.Deleted:
		return fmt.Sprintf("%d:-%s", c.Revision-base, c.Key)
	case c.Omitted:
		return fmt.Sprintf("%d:%s(%d)", c.Revision-base, c.Key, c.Size)
	}
	return fmt.Sprintf("%d:%s=%s", c.Revision-base, c.Key, brief(c.Value))
}

func brief(value []byte) string {
	if len(value) < 100 {
		return string(value)
	}
	return fmt.Sprintf("%d bytes %08x", len(value), crc32.ChecksumIEEE(value))
}

// wantChanges reads until as many changes have come as are wanted, and whole batches of them.
func wantChanges(t *testing.T, w system.Watch, base uint64, want ...string) {
	t.Helper()
	var got []string
	for done := false; !done; {
		c, err := w.Next(t.Context())
		if err != nil {
			t.Fatalf("Next() = %v, after %q; want %q", err, got, want)
		}
		for _, change := range c.Changes {
			got = append(got, text(change, base))
		}
		n := len(c.Changes)
		done = len(got) >= len(want) && (n == 0 || c.Changes[n-1].Revision <= c.Revision)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the watch shows %q; want %q", got, want)
	}
}

func testWatch(t *testing.T, f *fixture) {
	kv, ctx := f.kv(t), t.Context()
	must(t, kv.Put(ctx, []byte("before"), []byte("x")))
	fast := 100 * time.Millisecond
	w, base := openWatch(t, kv, system.WatchOptions{Progress: fast})
	prefix, _ := openWatch(t, kv, system.WatchOptions{Prefix: []byte("b"), Progress: fast})
	keys, _ := openWatch(t, kv, system.WatchOptions{KeysOnly: true, Progress: fast})
	must(t, kv.Put(ctx, []byte("a"), []byte("1")))
	must(t, kv.Apply(ctx, []system.Mutation{{Key: []byte("b"), Value: []byte("2")}, {Key: []byte("c")}, {Key: []byte("a"), Delete: true}}))
	must(t, kv.Put(ctx, []byte("bb"), pattern(100000, 1)))
	large := brief(pattern(100000, 1))
	wantChanges(t, w, base, "1:a=1", "2:b=2", "2:c=", "2:-a", "3:bb="+large)
	wantChanges(t, prefix, base, "2:b=2", "3:bb="+large)
	wantChanges(t, keys, base, "1:a(1)", "2:b(1)", "2:c(0)", "2:-a", "3:bb(100000)")
	if n, err := kv.DeleteRange(ctx, system.Range{Prefix: []byte("b")}); n != 3 || err != nil {
		t.Errorf("DeleteRange() = %d, %v", n, err)
	}
	wantChanges(t, w, base, "4:-b", "4:-bb", "4:-before")
	again, _ := openWatch(t, kv, system.WatchOptions{Start: base + 3, Progress: fast})
	wantChanges(t, again, base, "3:bb="+large, "4:-b", "4:-bb", "4:-before") // that it was removed since does not matter yet
	if stat, err := kv.Stat(ctx, []byte("c")); err != nil || stat.Revision != base+2 {
		t.Errorf("Stat(c) = %+v, %v; want the revision of its change, %d", stat, err, base+2)
	}
	testWatchProgress(t, f, w, base)
}

// testWatchPosition: a watch begins in the middle of a batch, counted in what its prefix lets through.
func testWatchPosition(t *testing.T, f *fixture) {
	kv, ctx, fast := f.kv(t), t.Context(), 100*time.Millisecond
	_, base := openWatch(t, kv, system.WatchOptions{})
	must(t, kv.Apply(ctx, []system.Mutation{{Key: []byte("a")}, {Key: []byte("b1")}, {Key: []byte("b2")}, {Key: []byte("c")}}))
	must(t, kv.Put(ctx, []byte("b3"), nil))
	for _, at := range []struct {
		position uint64
		prefix   string
		want     string
	}{{0, "b", "1:b1= 1:b2= 2:b3="}, {1, "b", "1:b2= 2:b3="}, {2, "b", "2:b3="}, {9, "b", "2:b3="}, {3, "", "1:c= 2:b3="}} {
		w, err := system.OpenWatch(ctx, kv, system.WatchOptions{Start: base + 1, Position: at.position, Prefix: []byte(at.prefix), Progress: fast})
		must(t, err)
		first, err := w.Next(ctx)
		if err != nil || len(first.Changes) > 0 || first.Revision != base || first.Position != at.position {
			t.Errorf("the first answer is %+v, %v; want position %d of %d", first, err, at.position, base+1)
		}
		wantChanges(t, w, base, strings.Fields(at.want)...)
		must(t, w.Close())
	}
}

// testWatchValues: a change comes with its own value, of up to 1 MiB or what is asked for, also when the key has another one by then.
func testWatchValues(t *testing.T, f *fixture) {
	kv, ctx, fast := f.kv(t), t.Context(), 100*time.Millisecond
	all, base := openWatch(t, kv, system.WatchOptions{Progress: fast})
	some, _ := openWatch(t, kv, system.WatchOptions{Progress: fast, ValueMax: 70000})
	var want, wantSome []string
	for i, size := range []int{3000, 70000, 70001, system.WatchValueMax, system.WatchValueMax + 1, 0} {
		value := pattern(size, byte(i))
		must(t, kv.Put(ctx, []byte("k"), value))
		whole, omitted := fmt.Sprintf("%d:k=%s", i+1, brief(value)), fmt.Sprintf("%d:k(%d)", i+1, size)
		want, wantSome = append(want, whole), append(wantSome, whole)
		if size > system.WatchValueMax {
			want[i] = omitted
		}
		if size > 70000 {
			wantSome[i] = omitted
		}
	}
	wantChanges(t, all, base, want...)
	wantChanges(t, some, base, wantSome...)
}

// testWatchProgress: what changes elsewhere is nothing to see, and moves the watch on.
func testWatchProgress(t *testing.T, f *fixture, w system.Watch, base uint64) {
	other := openKV(t, f.cont(t, "other"), "else")
	must(t, other.Put(t.Context(), []byte("k"), []byte("v")))
	stat, err := other.Stat(t.Context(), []byte("k"))
	must(t, err)
	for c := (system.Changes{}); c.Revision < stat.Revision; {
		if c, err = w.Next(t.Context()); err != nil || len(c.Changes) > 0 {
			t.Fatalf("Next() = %+v, %v; want progress to revision %d", c, err, stat.Revision)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for err = nil; err == nil; {
		_, err = w.Next(ctx)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Next() with a deadline = %v", err)
	}
}

func testWatchErrors(t *testing.T, f *fixture) {
	cont := f.cont(t, "neo")
	kv, ctx := openKV(t, cont, "stadium"), t.Context()
	must(t, kv.Put(ctx, []byte("a"), []byte("1")))
	_, err := cont.CreateSnapshot(ctx, "then")
	must(t, err)
	snap, err := cont.OpenSnapshot(ctx, system.SnapshotRef{Name: "then"})
	must(t, err)
	defer snap.Close()
	old, err := snap.OpenKV(ctx, "stadium", false)
	must(t, err)
	defer old.Close()
	_, err = system.OpenWatch(ctx, old, system.WatchOptions{})
	wantCode(t, "a watch of a snapshot", err, errno.NotSupported)
	_, err = system.OpenWatch(ctx, kv, system.WatchOptions{Prefix: make([]byte, system.KeyMax+1)})
	wantCode(t, "a watch of a long prefix", err, errno.Key2Big)

	_, base := openWatch(t, kv, system.WatchOptions{})
	_, err = system.OpenWatch(ctx, kv, system.WatchOptions{Start: base + 2})
	wantCode(t, "a watch of the future", err, errno.Overflow)
	_, err = system.OpenWatch(ctx, kv, system.WatchOptions{Position: 1})
	wantCode(t, "a watch from a position of no batch", err, errno.Inval)
	_, err = system.OpenWatch(ctx, kv, system.WatchOptions{Start: 1})
	wantCode(t, "a watch from before the object was made", err, errno.EPOld)
	first := oldestOf(t, err)
	w, _ := openWatch(t, kv, system.WatchOptions{Start: first})
	wantChanges(t, w, first, "1:a=1")
}

func oldestOf(t *testing.T, err error) uint64 {
	t.Helper()
	var e *errno.Error
	if !errors.As(err, &e) || e.Oldest == 0 {
		t.Fatalf("%#v does not say what can be asked for", err)
	}
	return e.Oldest
}

// testWatchGone: who is slower than the log is long is told. The log is filled by large batches: of single changes, each of which waits for
// the device, it would take a thousand, and on a slow one a minute.
func testWatchGone(t *testing.T, f *fixture) {
	kv, ctx := f.kv(t), t.Context()
	slow, base := openWatch(t, kv, system.WatchOptions{})
	batch := make([]system.Mutation, 100)
	for i := range f.info.LogBytes/100000 + 10 { // of 200,000 bytes each: twice what the log has
		for j := range batch {
			batch[j] = system.Mutation{Key: fmt.Append(nil, j), Value: pattern(2000, byte(i))}
		}
		must(t, kv.Apply(ctx, batch))
	}
	must(t, kv.Put(ctx, []byte("k"), nil))
	_, err := system.OpenWatch(ctx, kv, system.WatchOptions{Start: base + 1})
	wantCode(t, "a watch of what is overwritten", err, errno.EPOld)
	oldest := oldestOf(t, err)
	if oldest <= base+1 {
		t.Errorf("the oldest is %d, and %d was refused", oldest, base+1)
	}
	w, _ := openWatch(t, kv, system.WatchOptions{Start: oldest})
	if c, err := w.Next(ctx); err != nil || len(c.Changes) == 0 || c.Changes[0].Revision != oldest {
		t.Errorf("Next() of a watch from %d = %d changes to %d, %v", oldest, len(c.Changes), c.Revision, err)
	}
	stat, err := kv.Stat(ctx, []byte("k"))
	must(t, err)
	wantWhole(t, slow, base, stat.Revision)
}

// wantWhole: a watch that nobody has read sees one revision after the other, to the last one, or to the first that is gone: what is on its way to
// a client is not lost.
func wantWhole(t *testing.T, w system.Watch, at, last uint64) {
	t.Helper()
	for at < last {
		c, err := w.Next(t.Context())
		if err != nil {
			wantCode(t, "a slow watch", err, errno.EPOld)
			oldestOf(t, err)
			return
		}
		if len(c.Changes) > 0 && c.Changes[0].Revision != at+1 {
			t.Fatalf("after %d the slow one sees %d", at, c.Changes[0].Revision)
		}
		at = c.Revision
	}
}

func testWatchDestroyed(t *testing.T, f *fixture) {
	cont, ctx := f.cont(t, "neo"), t.Context()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	must(t, err)
	w, base := openWatch(t, kv, system.WatchOptions{})
	must(t, kv.Put(ctx, []byte("a"), []byte("1")))
	must(t, kv.Close())
	must(t, cont.DestroyObject(ctx, "stadium"))
	wantChanges(t, w, base, "1:a=1", "3:-a") // 2 took the name away
	_, err = w.Next(ctx)
	wantCode(t, "a watch of an object that was destroyed", err, errno.NonExist)
	kv = openKV(t, cont, "stadium")
	_, err = system.OpenWatch(ctx, kv, system.WatchOptions{Start: base + 2})
	wantCode(t, "a watch from before the object was made anew", err, errno.EPOld)
	oldestOf(t, err)
}

// testWatchRandom: several change an object, in batches too, and each watcher, which begins anew now and then, sees what becomes of it: the
// same as all others, and what a listing finds at the end. The seed says what is changed.
func testWatchRandom(t *testing.T, f *fixture) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	kv := f.kv(t)
	_, base := openWatch(t, kv, system.WatchOptions{})
	var writers, watchers sync.WaitGroup
	for id := range uint64(3) {
		writers.Go(func() { churn(t, kv, rand.New(rand.NewPCG(seed, id))) })
	}
	stop := make(chan uint64, 2)
	seen := make([][]string, 2)
	for id := range seen {
		watchers.Go(func() { seen[id] = follow(t, kv, base, stop, rand.New(rand.NewPCG(seed, 100+uint64(id)))) })
	}
	writers.Wait()
	must(t, kv.Put(t.Context(), []byte("last"), nil))
	stat, err := kv.Stat(t.Context(), []byte("last"))
	must(t, err)
	stop <- stat.Revision
	stop <- stat.Revision
	watchers.Wait()
	if strings.Join(seen[0], "\n") != strings.Join(seen[1], "\n") {
		t.Errorf("two watchers have seen %d and %d changes, not the same", len(seen[0]), len(seen[1]))
	}
	wantMade(t, kv, seen[0])
}

func churn(t *testing.T, kv system.KV, rng *rand.Rand) {
	for range 60 {
		batch := make([]system.Mutation, 1+rng.IntN(4))
		for i := range batch {
			batch[i] = system.Mutation{Key: fmt.Appendf(nil, "%d%d", i, rng.IntN(9)), Delete: rng.IntN(4) == 0, Value: fmt.Append(nil, rng.Uint32())}
		}
		if err := kv.Apply(t.Context(), batch); err != nil {
			t.Errorf("Apply: %v", err)
		}
	}
}

// follow reads all changes behind base, up to the revision that stop says.
func follow(t *testing.T, kv system.KV, base uint64, stop <-chan uint64, rng *rand.Rand) (seen []string) {
	at, last := base, uint64(0)
	for last == 0 || at < last {
		select {
		case last = <-stop:
		default:
		}
		err := followSome(t, kv, rng.IntN(8), &at, &seen)
		if err != nil {
			t.Errorf("a watch from %d: %v", at+1, err)
			return seen
		}
	}
	return seen
}

// followSome makes one watch of so many answers. What it saw of a batch that is not whole does not count: the next one sees all of it.
func followSome(t *testing.T, kv system.KV, answers int, at *uint64, seen *[]string) error {
	var open []string
	for c, err := range system.AllChanges(t.Context(), kv, system.WatchOptions{Start: *at + 1, Progress: system.ProgressMin}) {
		if err != nil {
			return err
		}
		if c.Revision < *at {
			return fmt.Errorf("revision %d comes after %d", c.Revision, *at)
		}
		for _, change := range c.Changes {
			open = append(open, text(change, 0))
			if change.Revision <= c.Revision {
				*seen, open = append(*seen, open...), nil
			}
		}
		*at = c.Revision
		if answers--; answers < 0 {
			break
		}
	}
	return nil
}

// wantMade: what was seen, done one after the other, makes what is there.
func wantMade(t *testing.T, kv system.KV, seen []string) {
	t.Helper()
	want, last := map[string]string{}, 0
	for _, s := range seen {
		var revision int
		number, change, _ := strings.Cut(s, ":")
		fmt.Sscan(number, &revision)
		if revision < last {
			t.Errorf("revision %d comes after %d", revision, last)
		}
		last = revision
		if key, deleted := strings.CutPrefix(change, "-"); deleted {
			delete(want, key)
			continue
		}
		key, val, _ := strings.Cut(change, "=")
		want[key] = number + "=" + val
	}
	n := 0
	for e, err := range kv.List(t.Context(), system.Range{}) {
		must(t, err)
		if got := fmt.Sprintf("%d=%s", e.Revision, e.Value); want[string(e.Key)] != got {
			t.Errorf("%s is %q, the changes make it %q", e.Key, got, want[string(e.Key)])
		}
		n++
	}
	if n != len(want) {
		t.Errorf("there are %d keys, the changes make %d", n, len(want))
	}
}
