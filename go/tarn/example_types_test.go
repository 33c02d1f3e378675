// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/tarn"
)

// tank opens a pool of its own, with the container neo. Call what it returns when done.
func tank() (*tarn.Pool, *tarn.Container, func()) {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	sys, err := tarn.Open(root)
	check(err)
	_, err = sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 16 << 20})
	check(err)
	pool, err := sys.OpenPool(ctx, "tank")
	check(err)
	_, err = pool.CreateContainer(ctx, "neo", tarn.CreateContainer{})
	check(err)
	cont, err := pool.OpenContainer(ctx, "neo")
	check(err)
	return pool, cont, func() {
		check(cont.Close())
		check(pool.Close())
		check(sys.Close())
		check(os.RemoveAll(root))
	}
}

func ExampleOptions() {
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	defer os.RemoveAll(root)
	sys, err := tarn.OpenWith(tarn.Options{
		Root:       root,
		CacheBytes: 1 << 30, // of each pool
		Logger:     slog.Default(),
	})
	check(err)
	defer sys.Close()
	fmt.Println(sys.Root() == root)
	// Output: true
}

func ExampleOpenOption() {
	pool, _, done := tank()
	defer done()
	ctx := context.Background()
	cont, err := pool.OpenContainer(ctx, "neo", tarn.ReadOnly())
	check(err)
	defer cont.Close()
	_, err = cont.CreateObject(ctx, "stadium")
	fmt.Println(errors.Is(err, errno.EPRO))
	// Output: true
}

func ExampleCreatePool() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	defer os.RemoveAll(root)
	sys, err := tarn.Open(root)
	check(err)
	defer sys.Close()
	info, err := sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 32 << 20, LogBytes: 4 << 20, NodeBytes: 8192})
	check(err)
	fmt.Println(info.Label, info.TotalBytes>>20, "MiB with a log of", info.LogBytes>>20, "MiB")
	// Output: tank 32 MiB with a log of 4 MiB
}

func ExamplePoolInfo() {
	pool, _, done := tank()
	defer done()
	info, err := pool.Info(context.Background())
	check(err)
	fmt.Println(info.Label, info.TotalBytes>>20, "MiB,", info.Containers, "container, read-only:", info.ReadOnly)
	// Output: tank 16 MiB, 1 container, read-only: false
}

func ExampleMetrics() {
	pool, cont, done := tank()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	check(kv.Put(ctx, []byte("Rio"), []byte("Maracanã")))
	_, err = kv.Get(ctx, []byte("Oslo"))
	fmt.Println(errors.Is(err, errno.NonExist)) // which is no failure
	m, err := pool.Metrics(ctx)
	check(err)
	fmt.Println(m.BytesWritten, m.BytesRead, m.Errors, m.InFlight, m.Handles)
	// Output:
	// true
	// 9 0 0 1 3
}

func ExampleCreateContainer() {
	pool, _, done := tank()
	defer done()
	who, relaxed := "alice", tarn.Relaxed
	info, err := pool.CreateContainer(context.Background(), "trinity", tarn.CreateContainer{
		Type:       tarn.TypePython,
		Properties: tarn.Properties{Owner: &who, Durability: &relaxed},
	})
	check(err)
	fmt.Println(info.Label, info.Type, info.Owner, info.Durability)
	// Output: trinity PYTHON alice relaxed
}

func ExampleContainerInfo() {
	_, cont, done := tank()
	defer done()
	info, err := cont.Info(context.Background())
	check(err)
	fmt.Println(info.Label, info.Type, info.Objects, "objects", info.OpenHandles, "handle")
	// Output: neo KV 0 objects 1 handle
}

func ExampleContainerType() {
	pool, _, done := tank()
	defer done()
	_, err := pool.CreateContainer(context.Background(), "trinity", tarn.CreateContainer{Type: "TAPE"})
	fmt.Println(errors.Is(err, errno.Inval), tarn.TypeKV)
	// Output: true KV
}

func ExampleProperties() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	text, most := "what Neo keeps", uint64(1<<20)
	check(cont.SetProperties(ctx, tarn.Properties{Description: &text, ValueMax: &most})) // the others stay as they are
	info, err := cont.Info(ctx)
	check(err)
	fmt.Println(info.Description, info.ValueMax)
	// Output: what Neo keeps 1048576
}

func ExampleDurability() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	relaxed := tarn.Relaxed
	check(cont.SetProperties(ctx, tarn.Properties{Durability: &relaxed}))
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	check(kv.Put(ctx, []byte("Rio"), []byte("Maracanã"))) // applied; durable within 100 ms
	check(cont.Sync(ctx))                                 // durable now
	fmt.Println(relaxed)
	// Output: relaxed
}

func ExampleObjectInfo() {
	_, cont, done := tank()
	defer done()
	info, err := cont.CreateObject(context.Background(), "stadium")
	check(err)
	fmt.Println(info.Name, info.Type)
	// Output: stadium KV_LEXICAL
}

func ExampleStat() {
	kv, done := stadiums()
	defer done()
	st, err := kv.Stat(context.Background(), []byte("London"))
	fmt.Println(st.Size, st.Revision > 0, err)
	// Output: 7 true <nil>
}

func ExampleRange() {
	kv, done := stadiums()
	defer done()
	for e, err := range kv.List(context.Background(), tarn.Range{Start: []byte("Barcelona"), After: true, KeysOnly: true, Limit: 1}) {
		check(err)
		fmt.Printf("%s %d\n", e.Key, e.Size)
	}
	// Output: London 7
}

func ExampleEntry() {
	kv, done := stadiums()
	defer done()
	ctx := context.Background()
	check(kv.Put(ctx, []byte("Hymns"), make([]byte, 100000)))
	for e, err := range kv.List(ctx, tarn.Range{End: []byte("I")}) {
		check(err)
		if e.Omitted { // a long value: read it with Get or a Reader
			fmt.Printf("%s has %d bytes\n", e.Key, e.Size)
			continue
		}
		fmt.Printf("%s: %s\n", e.Key, e.Value)
	}
	// Output:
	// Barcelona: Camp Nou
	// Hymns has 100000 bytes
}

func ExampleMutation() {
	kv, done := stadiums()
	defer done()
	ctx := context.Background()
	check(kv.Apply(ctx, []tarn.Mutation{ // all of it or nothing
		{Key: []byte("London"), Check: true, Cond: tarn.CondUpdate}, // only if it is there
		{Key: []byte("Rio"), Delete: true},
		{Key: []byte("Roma"), Value: []byte("Olimpico")},
	}))
	n, err := kv.Count(ctx, tarn.Range{Prefix: []byte("R")})
	fmt.Println(n, err)
	// Output: 1 <nil>
}

func ExampleCond() {
	kv, done := stadiums()
	defer done()
	ctx := context.Background()
	err := kv.Put(ctx, []byte("Oslo"), []byte("Ullevaal"), tarn.CondUpdate)
	fmt.Println(errors.Is(err, errno.NonExist))
	fmt.Println(kv.Put(ctx, []byte("Oslo"), []byte("Ullevaal"), tarn.CondInsert))
	// Output:
	// true
	// <nil>
}

func ExampleValue() {
	kv, done := stadiums()
	defer done()
	values, err := kv.GetMany(context.Background(), [][]byte{[]byte("Rio"), []byte("Oslo")})
	check(err)
	for _, v := range values {
		fmt.Printf("%q %v\n", v.Data, errors.Is(v.Err, errno.NonExist))
	}
	// Output:
	// "Maracanã" false
	// "" true
}

func ExampleKV_Scan() {
	kv, done := stadiums()
	defer done()
	var longest []byte
	for e, err := range kv.Scan(context.Background(), tarn.Range{}) {
		check(err)
		if len(e.Value) > len(longest) {
			longest = bytes.Clone(e.Value) // it is lent
		}
	}
	fmt.Printf("%s\n", longest)
	// Output: Maracanã
}

func ExampleSnapshotRef() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	_, err := cont.CreateObject(ctx, "stadium")
	check(err)
	epoch, err := cont.CreateSnapshot(ctx, "monday")
	check(err)
	check(cont.DestroyObject(ctx, "stadium"))
	for _, ref := range []tarn.SnapshotRef{{Name: "monday"}, {Epoch: epoch}} {
		snap, err := cont.OpenSnapshot(ctx, ref)
		check(err)
		o, err := snap.Object(ctx, "stadium")
		fmt.Println(o.Name, err)
		check(snap.Close())
	}
	// Output:
	// stadium <nil>
	// stadium <nil>
}

func ExampleSnapshotInfo() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	epoch, err := cont.CreateSnapshot(ctx, "monday")
	check(err)
	snaps, err := cont.Snapshots(ctx)
	check(err)
	for _, s := range snaps {
		fmt.Println(s.Name, s.Epoch == epoch)
	}
	// Output: monday true
}

func ExampleCheckOptions() {
	pool, _, done := tank()
	defer done()
	report, err := pool.Scrub(context.Background(), tarn.CheckOptions{
		BytesPerSecond: 100 << 20,
		Progress:       func(done, all uint64) { fmt.Printf("%d of about %d bytes\n", done, all) }, // now and then
	})
	fmt.Println(report.Findings, err)
	// Output: 0 <nil>
}

func ExampleCheckReport() {
	pool, _, done := tank()
	defer done()
	report, err := pool.Check(context.Background(), tarn.CheckOptions{})
	fmt.Println(report.Bytes > 0, report.Findings, err)
	// Output: true 0 <nil>
}

func ExampleFinding() {
	show := func(f tarn.Finding) { // one of CheckReport.Found
		fmt.Printf("%s: %d bytes at %d; %s/%s has lost keys from %q on\n", f.What, f.Length, f.Offset, f.Container, f.Object, f.Low)
	}
	show(tarn.Finding{What: "a checksum does not match", Offset: 81920, Length: 16384, Container: "neo", Object: "stadium", Low: []byte("L")})
	// Output: a checksum does not match: 16384 bytes at 81920; neo/stadium has lost keys from "L" on
}

func ExampleKeyValueDevice() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	dev, err := cont.OpenKeyValueDevice(ctx)
	check(err)
	defer dev.Close()
	check(dev.Store(ctx, []byte("Barcelona"), []byte("Camp Nou"), tarn.StoreAny))
	buf := make([]byte, 4)
	size, err := dev.Retrieve(ctx, []byte("Barcelona"), buf)
	fmt.Printf("%s... of %d bytes, %v\n", buf, size, err)
	// Output: Camp... of 8 bytes, <nil>
}

func ExampleStoreOption() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	dev, err := cont.OpenKeyValueDevice(ctx)
	check(err)
	defer dev.Close()
	fmt.Println(errors.Is(dev.Store(ctx, []byte("k"), nil, tarn.StoreUpdate), errno.NonExist))
	fmt.Println(dev.Store(ctx, []byte("k"), nil, tarn.StoreAdd))
	// Output:
	// true
	// <nil>
}

func ExampleKeyValueDeviceInfo() {
	_, cont, done := tank()
	defer done()
	dev, err := cont.OpenKeyValueDevice(context.Background())
	check(err)
	defer dev.Close()
	info, err := dev.Info(context.Background())
	fmt.Println(info.KeyMax, info.ValueMax, info.KeyCount, err)
	// Output: 16 4294967296 0 <nil>
}

func ExampleWatch() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	w, err := kv.OpenWatch(ctx, tarn.WatchOptions{Prefix: []byte("B")})
	check(err)
	defer w.Close()
	begin, err := w.Next(ctx) // says where the watch begins
	check(err)
	check(kv.Put(ctx, []byte("Barcelona"), []byte("Camp Nou")))
	changes, err := w.Next(ctx)
	check(err)
	for _, c := range changes.Changes {
		fmt.Printf("%s is %s\n", c.Key, c.Value)
	}
	fmt.Println(changes.Revision > begin.Revision)
	// Output:
	// Barcelona is Camp Nou
	// true
}

func ExampleWatchOptions() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	check(kv.Put(ctx, []byte("Barcelona"), []byte("Camp Nou")))
	_, err = kv.OpenWatch(ctx, tarn.WatchOptions{Start: 1}) // when there was no such object
	var e *errno.Error
	fmt.Println(errors.Is(err, errno.EPOld) && errors.As(err, &e) && e.Oldest > 1)
	// Output: true
}

func ExampleChanges() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	check(kv.Put(ctx, []byte("Barcelona"), []byte("Camp Nou")))
	stat, err := kv.Stat(ctx, []byte("Barcelona"))
	check(err)
	for changes, err := range kv.Watch(ctx, tarn.WatchOptions{Start: stat.Revision}) { // again from where another watch was
		check(err)
		if len(changes.Changes) > 0 {
			fmt.Printf("%s, then from revision %+d on\n", changes.Changes[0].Key, changes.Revision+1-stat.Revision)
			break
		}
	}
	// Output: Barcelona, then from revision +1 on
}

func ExampleChange() {
	show := func(c tarn.Change) { // one of Changes.Changes
		switch {
		case c.Deleted:
			fmt.Printf("%s is gone\n", c.Key)
		case c.Omitted:
			fmt.Printf("%s has %d bytes: get it\n", c.Key, c.Size)
		default:
			fmt.Printf("%s is %s\n", c.Key, c.Value)
		}
	}
	show(tarn.Change{Key: []byte("photo"), Size: 1 << 20, Omitted: true})
	show(tarn.Change{Key: []byte("Barcelona"), Deleted: true, Omitted: true})
	// Output:
	// photo has 1048576 bytes: get it
	// Barcelona is gone
}

func ExampleAccess() {
	_, cont, done := tank()
	defer done()
	ctx := context.Background()
	check(cont.OverwriteACL(ctx, []string{"A::OWNER@:rwdtTaAo", "A::bob@:tr"}))
	check(cont.UpdateACL(ctx, []string{"A:G:staff@:r"}))
	access, err := cont.Access(ctx)
	fmt.Println(access.HasList, access.Entries, err)
	// Output: true [A::OWNER@:rwdtTaAo A::bob@:rt A:G:staff@:r] <nil>
}
