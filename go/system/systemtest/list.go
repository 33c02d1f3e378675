// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// model is what an object holds: keys in order.
type model []string

// list is what a listing of r must yield.
func (m model) list(r system.Range) []string {
	var out []string
	for _, k := range m {
		if inRange(k, r) {
			out = append(out, k)
		}
	}
	if r.Reverse {
		slices.Reverse(out)
	}
	if r.Limit > 0 && uint64(len(out)) > r.Limit {
		out = out[:r.Limit]
	}
	return out
}

func inRange(k string, r system.Range) bool {
	switch {
	case !bytes.HasPrefix([]byte(k), r.Prefix):
		return false
	case len(r.Start) > 0 && (k < string(r.Start) || r.After && k == string(r.Start)):
		return false
	}
	return len(r.End) == 0 || k < string(r.End)
}

// check compares a listing and a count with the model. The value of a key is the key, twice.
func (m model) check(t *testing.T, kv system.KV, r system.Range) {
	t.Helper()
	want := m.list(r)
	var got []string
	for e, err := range kv.List(t.Context(), r) {
		if err != nil {
			t.Fatalf("List(%+v): %v", r, err)
		}
		got = append(got, string(e.Key))
		if value := string(e.Key) + string(e.Key); e.Size != uint64(len(value)) || e.Omitted != r.KeysOnly || e.Revision == 0 ||
			!e.Omitted && string(e.Value) != value || e.Omitted && e.Value != nil {
			t.Fatalf("List(%+v): entry %+v", r, e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("List(%+v) = %d keys %.60q, want %d %.60q", r, len(got), got, len(want), want)
	}
	if n, err := kv.Count(t.Context(), r); err != nil || n != uint64(len(want)) {
		t.Errorf("Count(%+v) = %d, %v; want %d", r, n, err, len(want))
	}
}

// fill puts the keys and returns them as a model.
func fill(t *testing.T, kv system.KV, keys []string) model {
	t.Helper()
	var batch []system.Mutation
	for _, k := range keys {
		batch = append(batch, system.Mutation{Key: []byte(k), Value: []byte(k + k)})
	}
	for part := range slices.Chunk(batch, 500) {
		if err := kv.Apply(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(keys)
	return keys
}

func testListTable(t *testing.T, f *fixture) {
	kv := f.kv(t)
	m := fill(t, kv, []string{"a", "a\x00", "ab", "abc", "abd", "b", "ba", "bb", "c", "\xff", "\xff\xff", "\xffa"})
	b := func(s string) []byte { return []byte(s) }
	for _, r := range []system.Range{
		{}, {Prefix: b("a")}, {Prefix: b("ab")}, {Prefix: b("abc")}, {Prefix: b("zz")}, {Prefix: b("\xff")}, {Prefix: b("\xff\xff")},
		{Start: b("b")}, {Start: b("b"), After: true}, {Start: b("aa")}, {Start: b("aa"), After: true}, {End: b("b")}, {End: b("bz")},
		{Start: b("ab"), End: b("b")}, {Start: b("b"), End: b("ab")}, {Start: b("b"), End: b("b")}, {Start: b("\xff\xff\xff")},
		{Prefix: b("a"), Start: b("ab")}, {Prefix: b("a"), End: b("abd")}, {Prefix: b("b"), Start: b("a")}, {Prefix: b("a"), Start: b("b")},
		{Prefix: b("b"), End: b("c")}, {Prefix: b("b"), End: b("a")}, {After: true}, {Limit: 1}, {Limit: 3}, {Limit: 12}, {Limit: 13},
	} {
		for _, reverse := range []bool{false, true} {
			for _, keysOnly := range []bool{false, true} {
				r.Reverse, r.KeysOnly = reverse, keysOnly
				m.check(t, kv, r)
			}
		}
	}
}

// testListRandom lists random ranges of some thousand keys, so that listings cross batches. The seed is printed.
func testListRandom(t *testing.T, f *fixture) {
	kv := f.kv(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	seen := map[string]bool{}
	var keys []string
	for len(keys) < 2000 {
		if k := randomKey(rng); !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	m := fill(t, kv, keys)
	m.check(t, kv, system.Range{})
	m.check(t, kv, system.Range{Reverse: true})
	for range 40 {
		r := system.Range{Reverse: rng.IntN(2) == 0, KeysOnly: rng.IntN(2) == 0, After: rng.IntN(2) == 0}
		if rng.IntN(3) == 0 {
			r.Prefix = []byte(randomKey(rng)[:1])
		}
		if rng.IntN(2) == 0 {
			r.Start = []byte(m[rng.IntN(len(m))])
		}
		if rng.IntN(2) == 0 {
			r.End = []byte(randomKey(rng))
		}
		if rng.IntN(2) == 0 {
			r.Limit = uint64(rng.IntN(500))
		}
		m.check(t, kv, r)
	}
}

// randomKey has few letters, so that keys share prefixes, and lengths of all sorts.
func randomKey(rng *rand.Rand) string {
	b := make([]byte, 1+rng.IntN(6)+rng.IntN(2)*rng.IntN(80))
	for i := range b {
		b[i] = "ab\x00\xff"[rng.IntN(4)]
	}
	return string(b)
}

// testListLarge: values up to ListValueMax are listed, longer ones are left out.
func testListLarge(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	sizes := []int{0, 10, 5000, system.ListValueMax - 1, system.ListValueMax, system.ListValueMax + 1, 1 << 20}
	for round := range 3 {
		for i, n := range sizes {
			must(t, kv.Put(ctx, fmt.Appendf(nil, "%d-%d", round, i), pattern(n, byte(round))))
		}
	}
	count := 0
	for e, err := range kv.List(ctx, system.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		round, n := count/len(sizes), sizes[count%len(sizes)]
		if e.Size != uint64(n) || e.Omitted != (n > system.ListValueMax) || !e.Omitted && !bytes.Equal(e.Value, pattern(n, byte(round))) {
			t.Errorf("%s is listed with size %d, omitted %v, %d bytes", e.Key, e.Size, e.Omitted, len(e.Value))
		}
		count++
	}
	if count != 3*len(sizes) {
		t.Errorf("%d entries were listed, want %d", count, 3*len(sizes))
	}
}

// testListEnds: a listing may be left, run again, run inside another, and changed under.
func testListEnds(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kv := f.kv(t)
	fill(t, kv, []string{"a", "b", "c", "d"})
	all := kv.List(ctx, system.Range{})
	var got []string
	for outer := range all {
		for inner := range all {
			got = append(got, string(outer.Key)+string(inner.Key))
			if string(inner.Key) == "b" {
				break
			}
		}
		must(t, kv.Delete(ctx, outer.Key))
		must(t, kv.Put(ctx, outer.Key, nil))
	}
	if want := []string{"aa", "ab", "ba", "bb", "ca", "cb", "da", "db"}; !slices.Equal(got, want) {
		t.Errorf("nested listings gave %q, want %q", got, want)
	}
	cancel()
	n := 0
	for _, err := range all {
		n++
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errno.Canceled) {
			t.Errorf("a listing with a cancelled context gave %v", err)
		}
	}
	if n != 1 {
		t.Errorf("a listing with a cancelled context gave %d entries, want its one error", n)
	}
}

func testDeleteRange(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprintf("k%03d", i))
	}
	m := fill(t, kv, keys)
	n, err := kv.DeleteRange(ctx, system.Range{Start: []byte("k100"), End: []byte("k900")})
	if err != nil || n != 800 {
		t.Errorf("DeleteRange = %d, %v; want 800", n, err)
	}
	m = slices.Delete(slices.Clone(m), 100, 900)
	m.check(t, kv, system.Range{})
	n, err = kv.DeleteRange(ctx, system.Range{Prefix: []byte("none")})
	if err != nil || n != 0 {
		t.Errorf("DeleteRange of nothing = %d, %v", n, err)
	}
	for _, r := range []system.Range{{Limit: 10}, {Limit: 5, Reverse: true}, {Prefix: []byte("k9"), Limit: 1}, {Start: []byte("k995"), Limit: 9}} {
		want := m.list(r)
		n, err = kv.DeleteRange(ctx, r)
		if err != nil || n != uint64(len(want)) {
			t.Errorf("DeleteRange(%+v) = %d, %v; want %d", r, n, err, len(want))
		}
		m = slices.DeleteFunc(m, func(k string) bool { return slices.Contains(want, k) })
		m.check(t, kv, system.Range{})
	}
	n, err = kv.DeleteRange(ctx, system.Range{})
	if err != nil || n != uint64(len(m)) {
		t.Errorf("DeleteRange of all = %d, %v; want %d", n, err, len(m))
	}
	model{}.check(t, kv, system.Range{})
}
