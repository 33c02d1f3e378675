// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Each fuzz test compares an object with a map. `go test -run - -fuzz FuzzKeys -fuzzminimizetime 1x -parallel 1 ./go/tarn` looks for what
// its seeds do not show (to make what is interesting small takes most of the time otherwise); what it finds is
// kept in testdata, and replayed by every go test.

// model is what an object must hold.
type model map[string][]byte

// openFuzz opens an object whose changes need not be durable.
func openFuzz(f *testing.F) *KV {
	kv := openKV(f)
	relaxed := Relaxed
	must(f, kv.cont.SetProperties(f.Context(), Properties{Durability: &relaxed}))
	return kv
}

// fill makes the object hold what m holds, and nothing else.
func (m model) fill(t *testing.T, kv *KV) {
	t.Helper()
	if _, err := kv.DeleteRange(t.Context(), Range{}); err != nil {
		t.Fatal(err)
	}
	var batch []Mutation
	for k, v := range m {
		batch = append(batch, Mutation{Key: []byte(k), Value: v})
	}
	if len(batch) > 0 {
		must(t, kv.Apply(t.Context(), batch))
	}
}

// same compares all of the object with all of m.
func (m model) same(t *testing.T, kv *KV) {
	t.Helper()
	m.listed(t, kv, Range{})
	for k, want := range m {
		got, err := kv.Get(t.Context(), []byte(k))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Get(%q) = %q, %v; want %q", k, got, err, want)
		}
	}
}

// in are the keys of m in a range, in its order.
func (m model) in(r Range) []string {
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		key := []byte(k)
		after := bytes.Compare(key, r.Start) > 0 || !r.After && bytes.Equal(key, r.Start) || len(r.Start) == 0
		before := len(r.End) == 0 || bytes.Compare(key, r.End) < 0
		if after && before && bytes.HasPrefix(key, r.Prefix) {
			keys = append(keys, k)
		}
	}
	if r.Reverse {
		slices.Reverse(keys)
	}
	if r.Limit > 0 && uint64(len(keys)) > r.Limit {
		keys = keys[:r.Limit]
	}
	return keys
}

// listed compares a listing, a scan and a count with m.
func (m model) listed(t *testing.T, kv *KV, r Range) {
	t.Helper()
	want, i := m.in(r), 0
	for e, err := range kv.List(t.Context(), r) {
		if err != nil || i >= len(want) || string(e.Key) != want[i] || !r.KeysOnly && !bytes.Equal(e.Value, m[want[i]]) {
			t.Fatalf("List(%+v): entry %d is %q, %v; want of %q", r, i, e.Key, err, want)
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("List(%+v) has %d entries, want %q", r, i, want)
	}
	i = 0
	for e, err := range kv.Scan(t.Context(), r) {
		if err != nil || string(e.Key) != want[i] {
			t.Fatalf("Scan(%+v): entry %d is %q, %v; want of %q", r, i, e.Key, err, want)
		}
		i++
	}
	if n, err := kv.Count(t.Context(), r); err != nil || n != uint64(len(want)) {
		t.Fatalf("Count(%+v) = %d, %v; want %d", r, n, err, len(want))
	}
}

// keyCode is how a change of this key and value is refused; 0: it is not.
func keyCode(key []byte) errno.Code {
	switch {
	case len(key) == 0:
		return errno.Inval
	case len(key) > system.KeyMax:
		return errno.Key2Big
	}
	return 0
}

// FuzzKeys puts, reads and removes any key with any value.
func FuzzKeys(f *testing.F) {
	for _, seed := range []struct{ a, b, val []byte }{
		{[]byte("a"), []byte("b"), []byte("value")},
		{nil, []byte{0}, nil},
		{[]byte{0}, []byte{0, 0}, []byte{0}},
		{bytes.Repeat([]byte{255}, 65536), bytes.Repeat([]byte{255}, 65537), bytes.Repeat([]byte("v"), 5000)},
		{[]byte("a"), []byte("a"), bytes.Repeat([]byte("v"), 100000)},
	} {
		f.Add(seed.a, seed.b, seed.val)
	}
	kv := openFuzz(f)
	f.Fuzz(func(t *testing.T, a, b, val []byte) {
		ctx, m := t.Context(), model{}
		m.fill(t, kv)
		for _, key := range [][]byte{a, b} {
			err := kv.Put(ctx, key, val)
			if code := keyCode(key); code != 0 {
				wantCode(t, "Put", err, code)
				continue
			}
			must(t, err)
			m[string(key)] = val
			dst := make([]byte, len(val))
			if n, err := kv.GetInto(ctx, key, dst); err != nil || !bytes.Equal(dst[:n], val) {
				t.Errorf("GetInto = %q, %v", dst[:n], err)
			}
		}
		many, err := kv.GetMany(ctx, [][]byte{a, b})
		must(t, err)
		for i, key := range [][]byte{a, b} {
			if code := keyCode(key); code != 0 {
				wantCode(t, "GetMany", many[i].Err, code)
			} else if many[i].Err != nil || !bytes.Equal(many[i].Data, val) {
				t.Errorf("GetMany: %d is %q, %v", i, many[i].Data, many[i].Err)
			}
		}
		if len(val) <= system.ListValueMax {
			m.same(t, kv)
		}
		if keyCode(a) == 0 {
			must(t, kv.Delete(ctx, a))
			if _, err := kv.Get(ctx, a); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Get of a removed key: %v", err)
			}
		}
	})
}

// FuzzRanges lists any range of keys that are cut from any bytes.
func FuzzRanges(f *testing.F) {
	f.Add([]byte("abacabadabacabaeabacabadabacaba"), []byte(""), []byte("ab"), []byte("b"), uint8(0), uint16(0))
	f.Add([]byte("abc\x00\x00\x01\xff\xff\xfe"), []byte("\xff"), []byte(""), []byte("\xff\xff"), uint8(3), uint16(2))
	f.Add(bytes.Repeat([]byte("0123456789abcdef"), 20), []byte("0"), []byte("01"), []byte("00"), uint8(5), uint16(70))
	f.Add([]byte("zzzz"), []byte("zz"), []byte("zzzzz"), []byte("a"), uint8(7), uint16(1))
	kv := openFuzz(f)
	f.Fuzz(func(t *testing.T, from, prefix, start, end []byte, how uint8, limit uint16) {
		m := model{}
		for i := 0; i < len(from) && i < 400; i++ {
			m[string(from[i:min(i+1+i%5, len(from))])] = from[:i%50%len(from)]
		}
		m.fill(t, kv)
		r := Range{Prefix: prefix, Start: start, End: end, After: how&1 != 0, Reverse: how&2 != 0, KeysOnly: how&4 != 0, Limit: uint64(limit)}
		if len(prefix) > system.KeyMax || len(start) > system.KeyMax || len(end) > system.KeyMax {
			t.Skip("longer than a key")
		}
		m.listed(t, kv, r)
		r.Limit = 0
		n, err := kv.DeleteRange(t.Context(), r)
		gone := m.in(r)
		if err != nil || n != uint64(len(gone)) {
			t.Fatalf("DeleteRange(%+v) = %d, %v; want %d", r, n, err, len(gone))
		}
		for _, k := range gone {
			delete(m, k)
		}
		m.same(t, kv)
	})
}

// FuzzBatches applies any batch, with conditions, to an object of a few keys: all of it happens, or nothing, with the code and the index
// of a mutation that is to blame.
func FuzzBatches(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07"))
	f.Add([]byte("\x00\x00"))
	f.Add([]byte("\x10\x21\x32\x43\x54\x65\x76\x87"))
	f.Add([]byte("\x08\x19"))
	f.Add([]byte{})
	kv := openFuzz(f)
	f.Fuzz(func(t *testing.T, program []byte) {
		m := model{"k0": []byte("0"), "k1": []byte("1"), "k2": {}, "k3": bytes.Repeat([]byte("3"), 3000)}
		m.fill(t, kv)
		batch := mutations(program)
		after, code, blame := m.apply(batch)
		err := kv.Apply(t.Context(), batch)
		var e *errno.Error
		switch {
		case code == 0:
			must(t, err)
		case !errors.Is(err, code):
			t.Fatalf("Apply(%+v) = %v; want %s", batch, err, code.Name())
		case blame >= 0 && (!errors.As(err, &e) || e.Index != blame):
			t.Fatalf("Apply(%+v) blames %d, want %d: %v", batch, e.Index, blame, err)
		}
		after.same(t, kv)
	})
}

// mutations reads a batch: of each byte, the low three bits are the key, the next two the condition, the next one a removal.
func mutations(program []byte) []Mutation {
	conds := []Cond{CondNone, CondInsert, CondUpdate, CondNone}
	var batch []Mutation
	for i, b := range program {
		m := Mutation{Key: []byte{'k', '0' + b&7}, Cond: conds[b>>3&3], Delete: b>>5&1 != 0}
		if !m.Delete {
			m.Value = bytes.Repeat([]byte{b}, i)
		}
		batch = append(batch, m)
	}
	return batch
}

// apply is what must come of a batch. blame is -1 when it is of no one mutation.
func (m model) apply(batch []Mutation) (after model, code errno.Code, blame int) {
	after = maps.Clone(m)
	if len(batch) == 0 || len(batch) > system.BatchMax {
		return m, errno.Inval, -1
	}
	seen := map[string]bool{}
	for _, c := range batch {
		if seen[string(c.Key)] || c.Cond == CondInsert && c.Delete { // said of any, before a condition is looked at
			return m, errno.Inval, -1
		}
		seen[string(c.Key)] = true
	}
	for i, c := range batch {
		_, there := m[string(c.Key)]
		switch {
		case c.Cond == CondInsert && there:
			return m, errno.Exist, i
		case c.Cond == CondUpdate && !there:
			return m, errno.NonExist, i
		case c.Delete:
			delete(after, string(c.Key))
		default:
			after[string(c.Key)] = c.Value
		}
	}
	return after, 0, -1
}
