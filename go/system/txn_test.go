// SPDX-License-Identifier: Apache-2.0

package system

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

// busy is an object in memory that somebody else changes while a transaction looks at it: after its n-th look, once, turn is called.
type busy struct {
	KV
	vals     map[string]string
	revs     map[string]uint64
	revision uint64
	looks, n int
	turn     func()
}

func newBusy(vals map[string]string) *busy {
	b := &busy{vals: map[string]string{}, revs: map[string]uint64{}}
	for key, val := range vals {
		b.put(key, val)
	}
	return b
}

func (b *busy) put(key, val string) {
	b.revision++
	b.vals[key], b.revs[key] = val, b.revision
}

func (b *busy) remove(key string) {
	delete(b.vals, key)
	delete(b.revs, key)
}

func (b *busy) looked() {
	if b.looks++; b.looks == b.n {
		b.turn()
	}
}

func (b *busy) Stat(_ context.Context, key []byte) (Stat, error) {
	defer b.looked()
	if val, ok := b.vals[string(key)]; ok {
		return Stat{Size: uint64(len(val)), Revision: b.revs[string(key)]}, nil
	}
	return Stat{}, errno.New("kv stat", "", errno.NonExist, "there is no such key")
}

func (b *busy) Get(_ context.Context, key []byte) ([]byte, error) {
	if val, ok := b.vals[string(key)]; ok {
		return []byte(val), nil
	}
	return nil, errno.New("kv get", "", errno.NonExist, "there is no such key")
}

func (b *busy) Apply(_ context.Context, batch []Mutation) error {
	for _, m := range batch {
		_, there := b.vals[string(m.Key)]
		switch {
		case m.Cond == CondInsert && there:
			return errno.New("kv apply", "", errno.Exist, "the key is there")
		case m.Cond == CondUpdate && !there:
			return errno.New("kv apply", "", errno.NonExist, "there is no such key")
		case m.Cond == CondRevision && b.revs[string(m.Key)] != m.Revision:
			return errno.New("kv apply", "", errno.TXRestart, "the key has changed")
		}
	}
	for _, m := range batch {
		switch {
		case m.Delete:
			b.remove(string(m.Key))
		case !m.Check:
			b.put(string(m.Key), string(m.Value))
		}
	}
	return nil
}

// TestTransactIsOneMoment: whenever somebody else changes what a transaction looks at, its answer is one that it has at some moment.
func TestTransactIsOneMoment(t *testing.T) {
	yes, one := true, uint64(1)
	insertB := Step{Change: Mutation{Key: []byte("b"), Value: []byte("of the transaction"), Cond: CondInsert}}
	updateB := Step{Change: Mutation{Key: []byte("b"), Value: []byte("of the transaction"), Cond: CondUpdate}}
	for _, c := range []struct {
		name string
		vals map[string]string
		txn  Txn
		turn func(*busy)
		ok   func(r TxnResult, err error) bool
	}{
		{"a key that is compared and then read", map[string]string{"a": "old"},
			Txn{Compares: []Compare{{Key: []byte("a"), Comparison: Equal, Revision: &one}}, Success: []Step{{Get: []byte("a")}}},
			func(b *busy) { b.put("a", "new") },
			func(r TxnResult, err error) bool {
				return err == nil && (!r.Succeeded || r.Gets[0].Revision == one && bytes.Equal(r.Gets[0].Value, []byte("old")))
			}},
		{"an insertion under a comparison", map[string]string{"a": "1"}, // a and b are never there together
			Txn{Compares: []Compare{{Key: []byte("a"), Comparison: Equal, Exists: &yes}}, Success: []Step{insertB}},
			func(b *busy) { b.remove("a"); b.put("b", "2") },
			func(_ TxnResult, err error) bool { return err == nil }},
		{"an update beside a read", map[string]string{"b": "1"}, // one of a and b is there, always
			Txn{Success: []Step{{Get: []byte("a")}, updateB}},
			func(b *busy) { b.put("a", "1"); b.remove("b") },
			func(r TxnResult, err error) bool {
				return err == nil && r.Gets[0].Value == nil || errors.Is(err, errno.NonExist)
			}},
	} {
		for n := 1; n <= 8; n++ {
			b := newBusy(c.vals)
			b.n, b.turn = n, func() { c.turn(b) }
			if r, err := Transact(t.Context(), b, c.txn); !c.ok(r, err) {
				t.Errorf("%s, which changes after look %d: %+v, %v", c.name, n, r, err)
			}
		}
	}
}
