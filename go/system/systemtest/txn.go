// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// testCheck: a check in a batch is a condition, and changes nothing.
func testCheck(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	must(t, kv.Put(ctx, []byte("guard"), []byte("g")))
	stat, err := kv.Stat(ctx, []byte("guard"))
	must(t, err)
	guarded := func(revision uint64) error {
		return kv.Apply(ctx, []system.Mutation{
			{Key: []byte("guard"), Check: true, Cond: system.CondRevision, Revision: revision},
			{Key: []byte("a"), Value: []byte("1")},
			{Key: []byte("none"), Check: true, Cond: system.CondInsert},
		})
	}
	wantCode(t, "Apply with a check that fails", guarded(stat.Revision+1), errno.TXRestart)
	wantAbsent(t, kv, "a")
	must(t, guarded(stat.Revision))
	wantValue(t, kv, "a", []byte("1"))
	wantAbsent(t, kv, "none")
	after, err := kv.Stat(ctx, []byte("guard"))
	if err != nil || after != stat {
		t.Errorf("Stat() after a check = %+v, %v; want %+v", after, err, stat)
	}
}

func testIncrement(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	key := []byte("visits")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				if _, err := system.Increment(ctx, kv, key, 3); err != nil {
					t.Errorf("Increment: %v", err)
				}
			}
		})
	}
	all.Wait()
	wantValue(t, kv, "visits", []byte("600"))
	for _, step := range []struct{ delta, want int64 }{{-601, -1}, {0, -1}, {math.MinInt64 + 1, math.MinInt64}} {
		if got, err := system.Increment(ctx, kv, key, step.delta); err != nil || got != step.want {
			t.Errorf("Increment(%d) = %d, %v; want %d", step.delta, got, err, step.want)
		}
	}
	_, err := system.Increment(ctx, kv, key, -1)
	wantCode(t, "Increment beyond 64 bits", err, errno.Overflow)
	must(t, kv.Put(ctx, key, []byte("7 visits")))
	_, err = system.Increment(ctx, kv, key, 1)
	wantCode(t, "Increment of text", err, errno.Inval)
}

func exists(key string, there bool) system.Compare {
	return system.Compare{Key: []byte(key), Comparison: system.Equal, Exists: &there}
}

func is(key, val string, how system.Comparison) system.Compare {
	return system.Compare{Key: []byte(key), Comparison: how, Value: []byte(val)}
}

func put(key, val string) system.Step {
	return system.Step{Change: system.Mutation{Key: []byte(key), Value: []byte(val)}}
}

func testTransact(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	must(t, kv.Put(ctx, []byte("a"), []byte("b")))
	txn := system.Txn{
		Compares: []system.Compare{is("a", "b", system.Equal), is("a", "a", system.Greater), is("a", "c", system.Less), exists("none", false)},
		Success: []system.Step{{Get: []byte("a")}, put("a", "new"), {Get: []byte("none")},
			{Change: system.Mutation{Key: []byte("old"), Delete: true}}},
		Failure: []system.Step{put("failed", "yes")},
	}
	result, err := system.Transact(ctx, kv, txn)
	if err != nil || !result.Succeeded || len(result.Gets) != 2 || string(result.Gets[0].Value) != "b" || result.Gets[1].Value != nil {
		t.Fatalf("Transact() = %+v, %v", result, err)
	}
	wantValue(t, kv, "a", []byte("new"))
	wantAbsent(t, kv, "failed")
	result, err = system.Transact(ctx, kv, txn)
	if err != nil || result.Succeeded || len(result.Gets) != 0 {
		t.Fatalf("Transact() again = %+v, %v", result, err)
	}
	wantValue(t, kv, "failed", []byte("yes"))
	testTransactErrors(t, kv)
}

func testTransactErrors(t *testing.T, kv system.KV) {
	ctx := t.Context()
	insert := system.Step{Change: system.Mutation{Key: []byte("a"), Value: []byte("x"), Cond: system.CondInsert}}
	_, err := system.Transact(ctx, kv, system.Txn{Success: []system.Step{insert}})
	wantCode(t, "a condition that does not hold", err, errno.Exist)
	_, err = system.Transact(ctx, kv, system.Txn{Success: []system.Step{{Get: []byte("a")}, insert}})
	wantCode(t, "a condition on what was read", err, errno.Exist)
	stale := system.Step{Change: system.Mutation{Key: []byte("a"), Value: []byte("x"), Cond: system.CondRevision, Revision: 1}}
	_, err = system.Transact(ctx, kv, system.Txn{Success: []system.Step{stale}})
	wantCode(t, "a revision that is not the key's", err, errno.Mismatch)
	yes := true
	for what, txn := range map[string]system.Txn{
		"nothing":          {},
		"too much":         {Success: make([]system.Step, system.TxnMax+1)},
		"no target":        {Compares: []system.Compare{{Key: []byte("a"), Comparison: system.Equal}}},
		"no comparison":    {Compares: []system.Compare{{Key: []byte("a"), Exists: &yes}}},
		"order of being":   {Compares: []system.Compare{{Key: []byte("a"), Comparison: system.Less, Exists: &yes}}},
		"a key twice":      {Success: []system.Step{put("a", "1"), put("a", "2")}},
		"an empty key":     {Compares: []system.Compare{exists("", true)}},
		"no key of a read": {Success: []system.Step{{Get: []byte{}}}},
	} {
		if what == "too much" {
			for i := range txn.Success {
				txn.Success[i] = put(fmt.Sprint(i), "")
			}
		}
		_, err := system.Transact(ctx, kv, txn)
		wantCode(t, what, err, errno.Inval)
	}
	wantValue(t, kv, "a", []byte("new"))
}

// testTransfers: money that many move between accounts is never made or lost, and no account is overdrawn.
func testTransfers(t *testing.T, f *fixture) {
	const accounts, movers, moves = 4, 6, 15
	ctx := t.Context()
	kv := f.kv(t)
	account := func(i int) []byte { return fmt.Appendf(nil, "account %d", i) }
	for i := range accounts {
		must(t, kv.Put(ctx, account(i), []byte("5")))
	}
	var all sync.WaitGroup
	for m := range movers {
		all.Go(func() {
			for i := range moves {
				move(t, kv, account((m+i)%accounts), account((m+i*i+1)%accounts))
			}
		})
	}
	all.Wait()
	read := system.Txn{}
	for i := range accounts {
		read.Success = append(read.Success, system.Step{Get: account(i)})
	}
	result, err := system.Transact(ctx, kv, read)
	must(t, err)
	sum := 0
	for _, got := range result.Gets {
		n := int(got.Value[0]) - '0'
		if sum += n; len(got.Value) != 1 || n < 0 || n > 9 {
			t.Errorf("%s has %q", got.Key, got.Value)
		}
	}
	if sum != accounts*5 {
		t.Errorf("the accounts have %d together, and had %d", sum, accounts*5)
	}
}

// move moves 1 when one account has it and the other has room (the amounts have one digit), and tries again when others are faster.
func move(t *testing.T, kv system.KV, from, to []byte) {
	if string(from) == string(to) {
		return
	}
	for {
		result, err := system.Transact(t.Context(), kv, system.Txn{Success: []system.Step{{Get: from}, {Get: to}}})
		if err != nil {
			t.Errorf("Transact: %v", err)
			return
		}
		a, b := result.Gets[0], result.Gets[1]
		if string(a.Value) == "0" || string(b.Value) == "9" {
			return
		}
		result, err = system.Transact(t.Context(), kv, system.Txn{
			Compares: []system.Compare{
				{Key: from, Comparison: system.Equal, Revision: &a.Revision}, {Key: to, Comparison: system.Equal, Revision: &b.Revision},
			},
			Success: []system.Step{put(string(from), string(a.Value[0]-1)), put(string(to), string(b.Value[0]+1))},
			Failure: []system.Step{{Get: from}},
		})
		if err != nil {
			t.Errorf("Transact: %v", err)
			return
		}
		if result.Succeeded {
			return
		}
	}
}
