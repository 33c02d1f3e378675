// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func testRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	sizes := []int{0, 1, 100, 4095, 4096, 4097, 16384, 65535, 65536, 65537, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 7}
	for i, n := range sizes {
		key := fmt.Sprintf("size %d", n)
		must(t, kv.Put(ctx, []byte(key), []byte("an older value")))
		must(t, kv.Put(ctx, []byte(key), pattern(n, byte(i))))
	}
	for i, n := range sizes {
		key := fmt.Sprintf("size %d", n)
		wantValue(t, kv, key, pattern(n, byte(i)))
		st, err := kv.Stat(ctx, []byte(key))
		if err != nil || st.Size != uint64(n) || st.Revision == 0 {
			t.Errorf("Stat(%s) = %+v, %v", key, st, err)
		}
		there, err := kv.Exists(ctx, []byte(key))
		if err != nil || !there {
			t.Errorf("Exists(%s) = %v, %v", key, there, err)
		}
	}
	for _, n := range sizes {
		key := fmt.Sprintf("size %d", n)
		must(t, kv.Delete(ctx, []byte(key)))
		wantAbsent(t, kv, key)
		must(t, kv.Delete(ctx, []byte(key)))
	}
	mustCheck(t, f.pool)
}

// testKeys: keys are any bytes, and ordered as such.
func testKeys(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	keys := [][]byte{{0}, {0, 0}, {0, 0xff}, []byte(" /\\%\n"), []byte("Österreich"), pattern(1000, 200), {0xff}, {0xff, 0xff},
		bytes.Repeat([]byte{0xff}, system.KeyMax-1), bytes.Repeat([]byte{0xff}, system.KeyMax)}
	for i := len(keys) - 1; i >= 0; i-- {
		must(t, kv.Put(ctx, keys[i], []byte{byte(i)}))
	}
	for i, key := range keys {
		wantValue(t, kv, string(key), []byte{byte(i)})
	}
	i := 0
	for e, err := range kv.List(ctx, system.Range{}) {
		if err != nil || i == len(keys) || !bytes.Equal(e.Key, keys[i]) || !bytes.Equal(e.Value, []byte{byte(i)}) {
			t.Fatalf("entry %d is %.20q (%d bytes), %v", i, e.Key, len(e.Key), err)
		}
		i++
	}
	if i != len(keys) {
		t.Errorf("%d keys were listed, want %d", i, len(keys))
	}
}

func testGetInto(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	for _, n := range []int{0, 1, 1000, 5000, 100000, 2 << 20} {
		key, want := fmt.Appendf(nil, "size %d", n), pattern(n, 3)
		must(t, kv.Put(ctx, key, want))
		for _, room := range []int{n, n + 1, n + 5000} {
			dst := pattern(room, 99)
			got, err := kv.GetInto(ctx, key, dst)
			if err != nil || got != n || !bytes.Equal(dst[:n], want) || !bytes.Equal(dst[n:], pattern(room, 99)[n:]) {
				t.Errorf("GetInto of %d bytes into %d = %d, %v", n, room, got, err)
			}
		}
		if n > 0 {
			wantTooSmall(t, kv, key, n, n-1)
			wantTooSmall(t, kv, key, n, 0)
		}
	}
	_, err := kv.GetInto(ctx, []byte("none"), make([]byte, 10))
	wantCode(t, "GetInto of none", err, errno.NonExist)
}

func wantTooSmall(t *testing.T, kv system.KV, key []byte, size, room int) {
	t.Helper()
	dst := pattern(room, 99)
	_, err := kv.GetInto(t.Context(), key, dst)
	wantCode(t, fmt.Sprintf("GetInto of %d bytes into %d", size, room), err, errno.Rec2Big)
	var e *errno.Error
	if !errors.As(err, &e) || e.Size != uint64(size) {
		t.Errorf("GetInto of %d bytes into %d: the error %#v does not say the size", size, room, e)
	}
	if !bytes.Equal(dst, pattern(room, 99)) {
		t.Errorf("GetInto of %d bytes into %d wrote into the destination", size, room)
	}
}

func testKVErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	long := make([]byte, system.KeyMax+1)
	for name, call := range map[string]func([]byte) error{
		"Get":    func(k []byte) error { _, err := kv.Get(ctx, k); return err },
		"Put":    func(k []byte) error { return kv.Put(ctx, k, nil) },
		"Delete": func(k []byte) error { return kv.Delete(ctx, k) },
		"Exists": func(k []byte) error { _, err := kv.Exists(ctx, k); return err },
		"Stat":   func(k []byte) error { _, err := kv.Stat(ctx, k); return err },
		"Apply":  func(k []byte) error { return kv.Apply(ctx, []system.Mutation{{Key: k}}) },
		"Writer": func(k []byte) error { return stream(ctx, kv, k, []byte("x"), 10) },
		"Reader": func(k []byte) error { _, err := kv.Reader(ctx, k); return err },
	} {
		wantCode(t, name+" of the empty key", call(nil), errno.Inval)
		wantCode(t, name+" of a key that is too long", call(long), errno.Key2Big)
	}
	wantAbsent(t, kv, "none")
	_, err := kv.Stat(ctx, []byte("none"))
	wantCode(t, "Stat of none", err, errno.NonExist)
	there, err := kv.Exists(ctx, []byte("none"))
	if err != nil || there {
		t.Errorf("Exists(none) = %v, %v", there, err)
	}
	wantCode(t, "Put with a revision, which batches have", kv.Put(ctx, []byte("k"), nil, system.CondRevision), errno.Inval)
	wantCode(t, "Put with an unknown condition", kv.Put(ctx, []byte("k"), nil, system.Cond(77)), errno.Inval)
	if n, err := kv.Count(ctx, system.Range{}); n != 0 || err != nil {
		t.Errorf("after failed calls there are %d keys, %v", n, err)
	}
}

// testConditions draws every condition against a key that is there and one that is not.
func testConditions(t *testing.T, f *fixture) {
	kv := f.kv(t)
	for _, c := range []struct {
		cond  system.Cond
		there bool
		put   errno.Code
		del   errno.Code
	}{
		{system.CondNone, false, errno.OK, errno.OK},
		{system.CondNone, true, errno.OK, errno.OK},
		{system.CondInsert, false, errno.OK, errno.OK},
		{system.CondInsert, true, errno.Exist, errno.OK},
		{system.CondUpdate, false, errno.NonExist, errno.NonExist},
		{system.CondUpdate, true, errno.OK, errno.OK},
	} {
		what := fmt.Sprintf("condition %d, there %v", c.cond, c.there)
		key := fmt.Sprintf("put %d %v", c.cond, c.there)
		prepare(t, kv, key, c.there)
		wantResult(t, "Put, "+what, kv.Put(t.Context(), []byte(key), []byte("new"), c.cond), c.put)
		wantState(t, kv, key, c.there, c.put, []byte("new"))
		prepare(t, kv, key, c.there)
		large := pattern(2<<20, 5)
		wantResult(t, "Put of 2 MiB, "+what, kv.Put(t.Context(), []byte(key), large, c.cond), c.put)
		wantState(t, kv, key, c.there, c.put, large)
		if c.cond == system.CondInsert {
			continue // a deletion on condition that nothing is there asks for nothing
		}
		prepare(t, kv, key, c.there)
		wantResult(t, "Delete, "+what, kv.Delete(t.Context(), []byte(key), c.cond), c.del)
		wantAbsent(t, kv, key)
	}
}

func prepare(t *testing.T, kv system.KV, key string, there bool) {
	t.Helper()
	must(t, kv.Delete(t.Context(), []byte(key)))
	if there {
		must(t, kv.Put(t.Context(), []byte(key), []byte("old")))
	}
}

func wantResult(t *testing.T, what string, err error, code errno.Code) {
	t.Helper()
	if code != errno.OK {
		wantCode(t, what, err, code)
	} else if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// wantState: the new value after success, else what was there.
func wantState(t *testing.T, kv system.KV, key string, there bool, code errno.Code, val []byte) {
	t.Helper()
	switch {
	case code == errno.OK:
		wantValue(t, kv, key, val)
	case there:
		wantValue(t, kv, key, []byte("old"))
	default:
		wantAbsent(t, kv, key)
	}
}

func testRevisions(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	var last uint64
	for i := range 10 {
		must(t, kv.Put(ctx, []byte("k"), []byte{byte(i)}))
		must(t, kv.Put(ctx, []byte("other"), nil))
		st, err := kv.Stat(ctx, []byte("k"))
		if err != nil || st.Revision <= last {
			t.Fatalf("the revision is %d, after %d, %v", st.Revision, last, err)
		}
		last = st.Revision
		for e, err := range kv.List(ctx, system.Range{Prefix: []byte("k")}) {
			if err != nil || e.Revision != last {
				t.Errorf("the revision is listed as %d, want %d, %v", e.Revision, last, err)
			}
		}
	}
}

// testLent: what is passed is the caller's again after the call, and what is returned is the caller's for ever.
func testLent(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	key, val := []byte("key"), []byte("value")
	must(t, kv.Put(ctx, key, val))
	must(t, kv.Apply(ctx, []system.Mutation{{Key: append(key, '2'), Value: val}}))
	copy(key, "xxx")
	copy(val, "xxxxx")
	wantValue(t, kv, "key", []byte("value"))
	wantValue(t, kv, "key2", []byte("value"))
	var entries []system.Entry
	for e, err := range kv.List(ctx, system.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		_, _ = append(e.Key, "zzzz"...), append(e.Value, "zzzz"...) // grows beside the entry, not into its neighbour
		entries = append(entries, e)
	}
	if len(entries) != 2 || string(entries[0].Key) != "key" || string(entries[1].Key) != "key2" || string(entries[1].Value) != "value" {
		t.Errorf("listed %+v", entries)
	}
	entries[0].Value[0] = 'X'
	wantValue(t, kv, "key", []byte("value"))
}

func testBatch(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	must(t, kv.Put(ctx, []byte("gone"), []byte("x")))
	var batch []system.Mutation
	for i := range 500 {
		batch = append(batch, system.Mutation{Key: fmt.Appendf(nil, "k%04d", i), Value: pattern(i, byte(i))})
	}
	batch = append(batch, system.Mutation{Key: []byte("gone"), Delete: true}, system.Mutation{Key: []byte("never"), Delete: true})
	must(t, kv.Apply(ctx, batch))
	for i := range 500 {
		wantValue(t, kv, fmt.Sprintf("k%04d", i), pattern(i, byte(i)))
	}
	wantAbsent(t, kv, "gone")
	if n, err := kv.Count(ctx, system.Range{}); n != 500 || err != nil {
		t.Errorf("Count = %d, %v, want 500", n, err)
	}
	large := []system.Mutation{{Key: []byte("l1"), Value: pattern(300000, 1)}, {Key: []byte("l2"), Value: pattern(400000, 2)}}
	must(t, kv.Apply(ctx, large))
	wantValue(t, kv, "l1", large[0].Value)
	wantValue(t, kv, "l2", large[1].Value)
}

func testBatchConditions(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	must(t, kv.Put(ctx, []byte("there"), []byte("old")))
	st, err := kv.Stat(ctx, []byte("there"))
	must(t, err)
	put := func(key string, cond system.Cond, rev uint64) system.Mutation {
		return system.Mutation{Key: []byte(key), Value: []byte("new"), Cond: cond, Revision: rev}
	}
	for _, c := range []struct {
		m    system.Mutation
		code errno.Code
	}{
		{put("there", system.CondInsert, 0), errno.Exist},
		{put("none", system.CondUpdate, 0), errno.NonExist},
		{put("there", system.CondRevision, st.Revision+1), errno.TXRestart},
		{put("there", system.CondRevision, 0), errno.TXRestart},
		{put("none", system.CondRevision, st.Revision), errno.TXRestart},
		{system.Mutation{Key: []byte("none"), Delete: true, Cond: system.CondUpdate}, errno.NonExist},
	} {
		err := kv.Apply(ctx, []system.Mutation{put("a", 0, 0), put("b", 0, 0), c.m, put("z", 0, 0)})
		wantCode(t, fmt.Sprintf("Apply with %+v", c.m), err, c.code)
		var e *errno.Error
		if errors.As(err, &e) && e.Index != 2 {
			t.Errorf("Apply with %+v: the failed index is %d, want 2", c.m, e.Index)
		}
		wantAbsent(t, kv, "a")
		wantAbsent(t, kv, "z")
		wantValue(t, kv, "there", []byte("old"))
	}
	must(t, kv.Apply(ctx, []system.Mutation{put("there", system.CondRevision, st.Revision), put("none", system.CondRevision, 0),
		put("i", system.CondInsert, 0)}))
	wantValue(t, kv, "there", []byte("new"))
	wantValue(t, kv, "none", []byte("new"))
	must(t, kv.Apply(ctx, []system.Mutation{put("i", system.CondUpdate, 0)}))
}

func testBatchErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	wantCode(t, "an empty batch", kv.Apply(ctx, nil), errno.Inval)
	m := system.Mutation{Key: []byte("k")}
	wantCode(t, "a key twice", kv.Apply(ctx, []system.Mutation{m, {Key: []byte("a")}, m}), errno.Inval)
	batch := make([]system.Mutation, system.BatchMax+1)
	for i := range batch {
		batch[i].Key = fmt.Append(nil, i)
	}
	wantCode(t, "a batch of too many", kv.Apply(ctx, batch), errno.Inval)
	if n, err := kv.Count(ctx, system.Range{}); n != 0 || err != nil {
		t.Errorf("after failed batches there are %d keys, %v", n, err)
	}
}
