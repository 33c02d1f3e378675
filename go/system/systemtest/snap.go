// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// take takes a snapshot.
func take(t *testing.T, cont system.Container, name string) uint64 {
	t.Helper()
	epoch, err := cont.CreateSnapshot(t.Context(), name)
	if err != nil || epoch == 0 {
		t.Fatalf("CreateSnapshot(%q) = %d, %v", name, epoch, err)
	}
	return epoch
}

func openSnap(t *testing.T, cont system.Container, at system.SnapshotRef) system.Container {
	t.Helper()
	snap, err := cont.OpenSnapshot(t.Context(), at)
	if err != nil {
		t.Fatalf("OpenSnapshot(%v): %v", at, err)
	}
	t.Cleanup(func() { must(t, snap.Close()) })
	return snap
}

func testSnapshots(t *testing.T, f *fixture) {
	ctx := t.Context()
	cont := f.cont(t, "neo")
	kv := openKV(t, cont, "stadium")
	must(t, kv.Put(ctx, []byte("a"), []byte("first")))
	must(t, kv.Put(ctx, []byte("large"), pattern(100_000, 1)))
	before := time.Now().Add(-time.Minute)
	first := take(t, cont, "one")
	must(t, kv.Put(ctx, []byte("a"), []byte("second")))
	must(t, kv.Put(ctx, []byte("b"), nil))
	second := take(t, cont, "")
	must(t, kv.Delete(ctx, []byte("a")))
	must(t, kv.Delete(ctx, []byte("large")))
	must(t, f.pool.Checkpoint(ctx))

	list, err := cont.Snapshots(ctx)
	if err != nil || len(list) != 2 || list[0].Epoch != first || list[0].Name != "one" || list[1].Epoch != second || list[1].Name != "" {
		t.Fatalf("Snapshots() = %+v, %v", list, err)
	}
	for _, s := range list {
		if s.Created.Before(before) || s.Created.After(time.Now()) {
			t.Errorf("snapshot %d was created %v", s.Epoch, s.Created)
		}
	}
	testFirst(t, openSnap(t, cont, system.SnapshotRef{Name: "one"}), first)
	testFirst(t, openSnap(t, cont, system.SnapshotRef{Epoch: first}), first)
	old := openSnap(t, cont, system.SnapshotRef{Epoch: second})
	wantValue(t, openOld(t, old), "a", []byte("second"))
	wantAbsent(t, kv, "a")
	mustCheck(t, f.pool)
}

func openOld(t *testing.T, snap system.Container) system.KV {
	t.Helper()
	kv, err := snap.OpenKV(t.Context(), "stadium", false)
	if err != nil {
		t.Fatalf("OpenKV in a snapshot: %v", err)
	}
	t.Cleanup(func() { must(t, kv.Close()) })
	return kv
}

// testFirst: all that is read is as it was, and nothing can be changed.
func testFirst(t *testing.T, snap system.Container, epoch uint64) {
	ctx := t.Context()
	info, err := snap.Info(ctx)
	if err != nil || info.Epoch != epoch || info.Snapshots != 2 || info.Objects != 1 {
		t.Errorf("Info() of a snapshot = %+v, %v", info, err)
	}
	kv := openOld(t, snap)
	wantValue(t, kv, "a", []byte("first"))
	wantValue(t, kv, "large", pattern(100_000, 1))
	wantAbsent(t, kv, "b")
	n, err := kv.Count(ctx, system.Range{})
	if err != nil || n != 2 {
		t.Errorf("Count() of a snapshot = %d, %v", n, err)
	}
	var keys []string
	for e, err := range kv.List(ctx, system.Range{}) {
		must(t, err)
		keys = append(keys, string(e.Key))
	}
	if !slices.Equal(keys, []string{"a", "large"}) {
		t.Errorf("List() of a snapshot = %q", keys)
	}
	wantCode(t, "Put to a snapshot", kv.Put(ctx, []byte("a"), nil), errno.EPRO)
	wantCode(t, "Delete from a snapshot", kv.Delete(ctx, []byte("a")), errno.EPRO)
	_, err = snap.CreateObject(ctx, "other")
	wantCode(t, "CreateObject in a snapshot", err, errno.EPRO)
	_, err = snap.CreateSnapshot(ctx, "")
	wantCode(t, "CreateSnapshot of a snapshot", err, errno.EPRO)
}

func testSnapshotErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	cont := f.cont(t, "neo")
	epoch := take(t, cont, "one")
	_, err := cont.CreateSnapshot(ctx, "one")
	wantCode(t, "CreateSnapshot of a name that is taken", err, errno.Exist)
	for _, name := range []string{"has space", "a/b", "nul\x00", strings.Repeat("x", system.LabelMax+1)} {
		_, err = cont.CreateSnapshot(ctx, name)
		wantCode(t, fmt.Sprintf("CreateSnapshot(%.20q)", name), err, errno.Inval)
	}
	for _, at := range []system.SnapshotRef{{Name: "two"}, {Epoch: epoch + 1}} {
		_, err = cont.OpenSnapshot(ctx, at)
		wantCode(t, fmt.Sprintf("OpenSnapshot(%v)", at), err, errno.NonExist)
	}
	for _, at := range []system.SnapshotRef{{}, {Name: "one", Epoch: epoch}} {
		_, err = cont.OpenSnapshot(ctx, at)
		wantCode(t, fmt.Sprintf("OpenSnapshot(%+v)", at), err, errno.Inval)
	}
	wantCode(t, "DestroySnapshot of no snapshot", cont.DestroySnapshot(ctx, epoch+1), errno.NonExist)
	snap, err := cont.OpenSnapshot(ctx, system.SnapshotRef{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if err = cont.DestroySnapshot(ctx, epoch); err != nil { // a gateway has no handles: it does not know that this one is open
		wantCode(t, "DestroySnapshot of an open one", err, errno.Busy)
		must(t, snap.Close())
		must(t, cont.DestroySnapshot(ctx, epoch))
	}
	must(t, snap.Close())
	_, err = cont.OpenSnapshot(ctx, system.SnapshotRef{Name: "one"})
	wantCode(t, "OpenSnapshot of one that was destroyed", err, errno.NonExist)
	list, err := cont.Snapshots(ctx)
	if err != nil || len(list) != 0 {
		t.Errorf("Snapshots() = %+v, %v; want none", list, err)
	}
	take(t, cont, "one")
}

func testDurability(t *testing.T, f *fixture) {
	ctx := t.Context()
	cont := f.cont(t, "neo")
	kv := openKV(t, cont, "stadium")
	must(t, cont.Sync(ctx))
	odd, relaxed, durable := system.Durability("odd"), system.Relaxed, system.Durable
	err := cont.SetProperties(ctx, system.Properties{Durability: &odd})
	wantCode(t, "SetProperties to an unknown durability", err, errno.Inval)
	for _, d := range []system.Durability{relaxed, durable} {
		must(t, cont.SetProperties(ctx, system.Properties{Durability: &d}))
		info, err := cont.Info(ctx)
		if err != nil || info.Durability != d {
			t.Errorf("Info() = %+v, %v; want %s", info, err, d)
		}
		for i := range 500 {
			must(t, kv.Put(ctx, fmt.Appendf(nil, "%s %03d", d, i), pattern(i, 1)))
		}
		must(t, cont.Sync(ctx))
		wantValue(t, kv, string(d)+" 499", pattern(499, 1))
	}
	mustCheck(t, f.pool)
}

func testScrub(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	for i := range 50 {
		must(t, kv.Put(ctx, fmt.Append(nil, i), pattern(20_000, byte(i))))
	}
	must(t, f.pool.Checkpoint(ctx))
	called := false
	report, err := f.pool.Scrub(ctx, system.CheckOptions{BytesPerSecond: 2 << 20, Progress: func(done, all uint64) {
		called = true
		if done > all {
			t.Errorf("Progress(%d, %d)", done, all)
		}
	}})
	if err != nil || report.Findings != 0 || report.Bytes < 50*20_000 || !called {
		t.Errorf("Scrub() = %+v, %v; progress was told: %v", report, err, called)
	}
}

func testGetMany(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	sizes := []int{0, 1, 1000, 1024, 1025, 70_000, 1 << 20, 3 << 20}
	var keys [][]byte
	for i, n := range sizes {
		keys = append(keys, fmt.Appendf(nil, "size %d", n), fmt.Appendf(nil, "absent %d", i))
		must(t, kv.Put(ctx, keys[2*i], pattern(n, byte(i))))
	}
	values, err := kv.GetMany(ctx, keys)
	if err != nil || len(values) != len(keys) {
		t.Fatalf("GetMany of %d keys = %d values, %v", len(keys), len(values), err)
	}
	for i, v := range values {
		if i%2 == 1 {
			wantCode(t, string(keys[i]), v.Err, errno.NonExist)
		} else if v.Err != nil || !bytes.Equal(v.Data, pattern(sizes[i/2], byte(i/2))) {
			t.Errorf("GetMany: %s is %d bytes, %v", keys[i], len(v.Data), v.Err)
		}
	}
	values, err = kv.GetMany(ctx, nil)
	if err != nil || len(values) != 0 {
		t.Errorf("GetMany of nothing = %v, %v", values, err)
	}
	values, err = kv.GetMany(ctx, [][]byte{{}, []byte("size 1"), make([]byte, system.KeyMax+1)})
	if err != nil || len(values) != 3 {
		t.Fatalf("GetMany of odd keys = %v, %v", values, err)
	}
	wantCode(t, "an empty key", values[0].Err, errno.Inval)
	wantCode(t, "a long key", values[2].Err, errno.Key2Big)
	must(t, values[1].Err)
	_, err = kv.GetMany(ctx, make([][]byte, system.BatchMax+1))
	wantCode(t, "GetMany of too many keys", err, errno.Inval)
	many := make([][]byte, 10_000)
	for i := range many {
		many[i] = keys[i%8]
	}
	values, err = kv.GetMany(ctx, many)
	if err != nil || len(values) != len(many) {
		t.Fatalf("GetMany of %d keys = %d values, %v", len(many), len(values), err)
	}
	for i, v := range values {
		if (v.Err == nil) != (i%2 == 0) {
			t.Fatalf("GetMany: value %d is %d bytes, %v", i, len(v.Data), v.Err)
		}
	}
}
