// SPDX-License-Identifier: Apache-2.0

package system

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// TxnMax is the largest number of comparisons and steps of a transaction together.
const TxnMax = 128

// restartsMax is how often a transaction begins anew before it gives up: others must win each time.
const restartsMax = 100

// Comparison is how a [Compare] compares.
type Comparison int

// The comparisons. Values compare bytewise.
const (
	Equal Comparison = iota + 1
	NotEqual
	Less
	Greater
)

// Compare is a comparison of a transaction. One of Exists, Value, Revision and Size is set. An absent key has revision 0 and size 0, and no
// value: of values only NotEqual holds then. Exists takes Equal and NotEqual.
type Compare struct {
	Key        []byte
	Comparison Comparison
	Exists     *bool
	Value      []byte // not nil
	Revision   *uint64
	Size       *uint64
}

// Step is a step of a transaction: a read of Get, when it is not nil, or else Change.
type Step struct {
	Get    []byte
	Change Mutation
}

// Txn compares keys of one object, and does all of Success when every comparison holds, else all of Failure. What was compared, read and
// changed was so at one moment.
type Txn struct {
	Compares         []Compare
	Success, Failure []Step
}

// TxnResult is what a transaction did.
type TxnResult struct {
	Succeeded bool
	Gets      []TxnGet // what the steps read, in their order
}

// TxnGet is a key as it was before the transaction. Value is nil when it was absent.
type TxnGet struct {
	Key, Value []byte
	Revision   uint64
}

// Transactor is what an object has that can do a transaction by itself, as a gateway's.
type Transactor interface {
	Transact(ctx context.Context, txn Txn) (TxnResult, error)
}

// Incrementer is what an object has that can increment by itself, as a gateway's.
type Incrementer interface {
	Increment(ctx context.Context, key []byte, delta int64) (int64, error)
}

// Transact runs a transaction on an object. Errors: INVAL (more than TxnMax comparisons and steps, a comparison that is none); those of the
// condition of a change that does not hold; TX_RESTART when others change the same keys all the time.
func Transact(ctx context.Context, kv KV, txn Txn) (TxnResult, error) {
	if t, ok := kv.(Transactor); ok {
		return t.Transact(ctx, txn)
	}
	return TransactNoting(ctx, kv, txn, func(TxnResult) ([]Mutation, error) { return nil, nil })
}

// TransactNoting is Transact together with what note makes of the result: it is applied in the same instant. note may be called more than once;
// its error ends the transaction, of which nothing is done then. The object must be one of this process.
func TransactNoting(ctx context.Context, kv KV, txn Txn, note func(TxnResult) ([]Mutation, error)) (TxnResult, error) {
	if err := checkTxn(txn); err != nil {
		return TxnResult{}, err
	}
	var result TxnResult
	err := restarting(ctx, func() (err error) {
		result, err = attempt(ctx, kv, txn, note)
		return err
	})
	return result, err
}

// Increment adds to a value that is a decimal number of 64 bits with a sign, as text, and stores the sum; an absent key counts as 0. Errors:
// INVAL (the value is not such a number), OVERFLOW (the sum is not), TX_RESTART.
func Increment(ctx context.Context, kv KV, key []byte, delta int64) (int64, error) {
	if t, ok := kv.(Incrementer); ok {
		return t.Increment(ctx, key, delta)
	}
	return IncrementNoting(ctx, kv, key, delta, func(int64) ([]Mutation, error) { return nil, nil })
}

// IncrementNoting is to Increment what TransactNoting is to Transact.
func IncrementNoting(ctx context.Context, kv KV, key []byte, delta int64, note func(sum int64) ([]Mutation, error)) (int64, error) {
	var sum int64
	err := restarting(ctx, func() error {
		old, err := look(ctx, kv, key, true)
		if err != nil {
			return err
		}
		if sum, err = add(old, delta); err != nil || delta == 0 && old.there {
			return err
		}
		notes, err := note(sum)
		if err != nil {
			return err
		}
		val := strconv.AppendInt(nil, sum, 10)
		return kv.Apply(ctx, append([]Mutation{{Key: key, Value: val, Cond: CondRevision, Revision: old.Revision}}, notes...))
	})
	return sum, err
}

func add(old sight, delta int64) (int64, error) {
	if !old.there {
		return delta, nil
	}
	n, err := strconv.ParseInt(string(old.value), 10, 64)
	if err != nil {
		return 0, errno.New("kv increment", "", errno.Inval, fmt.Sprintf("the value %.32q is not a decimal number of 64 bits: it cannot be incremented", old.value))
	}
	sum := n + delta
	if (sum > n) != (delta > 0) && delta != 0 {
		return 0, errno.New("kv increment", "", errno.Overflow, fmt.Sprintf("%d and %d are together more than 64 bits hold", n, delta))
	}
	return sum, nil
}

// restarting repeats what lost against another change, a little later each time.
func restarting(ctx context.Context, attempt func() error) error {
	for n := 0; ; n++ {
		err := attempt()
		if !errors.Is(err, errno.TXRestart) || n == restartsMax {
			return err
		}
		select {
		case <-time.After(time.Duration(min(n*n, 1000)) * 10 * time.Microsecond):
		case <-ctx.Done():
			return err
		}
	}
}

// sight is a key as it was seen. value is nil when it was not asked for.
type sight struct {
	Stat
	there bool
	value []byte
}

// look looks at a key. A value is as old as its revision when that is the same before and after it was read.
func look(ctx context.Context, kv KV, key []byte, withValue bool) (sight, error) {
	for {
		before, err := kv.Stat(ctx, key)
		if err != nil {
			return sight{}, unlessAbsent(err)
		}
		if !withValue {
			return sight{Stat: before, there: true}, nil
		}
		val, err := kv.Get(ctx, key)
		if unlessAbsent(err) != nil {
			return sight{}, err
		}
		after, aerr := kv.Stat(ctx, key)
		if unlessAbsent(aerr) != nil {
			return sight{}, aerr
		}
		if err == nil && aerr == nil && before.Revision == after.Revision {
			return sight{Stat: before, there: true, value: append([]byte{}, val...)}, nil
		}
	}
}

func unlessAbsent(err error) error {
	if errors.Is(err, errno.NonExist) {
		return nil
	}
	return err
}

func checkTxn(txn Txn) error {
	if n := len(txn.Compares) + max(len(txn.Success), len(txn.Failure)); n == 0 || n > TxnMax {
		return errno.New("kv transact", "", errno.Inval, fmt.Sprintf("the transaction has %d comparisons and steps; it can have 1 to %d", n, TxnMax))
	}
	for i, c := range txn.Compares {
		targets := 0
		for _, set := range []bool{c.Exists != nil, c.Value != nil, c.Revision != nil, c.Size != nil} {
			if set {
				targets++
			}
		}
		bad := c.Comparison < Equal || c.Comparison > Greater || c.Exists != nil && c.Comparison > NotEqual
		if targets != 1 || bad {
			return errno.New("kv transact", "", errno.Inval, fmt.Sprintf("comparison %d has %d targets and the kind %d; it must have one of each, "+
				"and existence is equal or not", i, targets, c.Comparison))
		}
	}
	return nil
}

// view is what one attempt at a transaction has seen, each key once: what is judged by it is committed only if all of it still holds.
type view struct {
	kv   KV
	seen map[string]sight
}

// see looks at a key, unless it has been looked at. A value that is asked for later must be that of the revision that was judged.
func (v view) see(ctx context.Context, key []byte, withValue bool) (sight, error) {
	before, ok := v.seen[string(key)]
	if ok && (!withValue || !before.there || before.value != nil) {
		return before, nil
	}
	got, err := look(ctx, v.kv, key, withValue)
	if err == nil && ok && got.Revision != before.Revision {
		return sight{}, errno.New("kv transact", "", errno.TXRestart, "a key changed between two looks at it; try again")
	}
	v.seen[string(key)] = got
	return got, err
}

// attempt looks at what the transaction looks at, decides, and applies the changes together with a check of each key that it has looked
// at: so all of it holds at the moment of the batch.
func attempt(ctx context.Context, kv KV, txn Txn, note func(TxnResult) ([]Mutation, error)) (TxnResult, error) {
	v := view{kv: kv, seen: map[string]sight{}}
	result := TxnResult{Succeeded: true}
	for _, c := range txn.Compares {
		got, err := v.see(ctx, c.Key, c.Value != nil)
		if err != nil {
			return TxnResult{}, err
		}
		result.Succeeded = result.Succeeded && holds(c, got)
	}
	steps := txn.Success
	if !result.Succeeded {
		steps = txn.Failure
	}
	var batch []Mutation
	for _, s := range steps {
		if s.Get == nil {
			batch = append(batch, s.Change)
			continue
		}
		got, err := v.see(ctx, s.Get, true)
		if err != nil {
			return TxnResult{}, err
		}
		result.Gets = append(result.Gets, TxnGet{Key: s.Get, Value: got.value, Revision: got.Revision})
	}
	if err := v.conditions(ctx, batch); err != nil {
		return TxnResult{}, err
	}
	notes, err := note(result)
	if err != nil {
		return TxnResult{}, err
	}
	return result, v.commit(ctx, batch, notes)
}

// conditions looks at the keys of changes with a condition. The batch itself judges conditions only when nothing else was looked at: else
// what it refuses could have been right at the moment of the look. A revision is never left to it: its refusal means to begin anew.
func (v view) conditions(ctx context.Context, batch []Mutation) error {
	looked := len(v.seen) > 0
	for _, m := range batch {
		if m.Cond != CondRevision && (m.Cond == CondNone || !looked) {
			continue
		}
		if _, err := v.see(ctx, m.Key, false); err != nil {
			return err
		}
	}
	return nil
}

// commit applies the changes if every key that was seen is still as it was. A condition of the caller's own is judged by what was seen: the
// batch has one condition a key. A refusal holds, too, only if every key is still as it was.
func (v view) commit(ctx context.Context, batch, notes []Mutation) error {
	var refusal error
	for i, m := range batch {
		if got, ok := v.seen[string(m.Key)]; ok && refusal == nil {
			refusal = judge(m, got, i)
		}
	}
	if refusal != nil {
		batch, notes = nil, nil
	}
	for i, m := range batch {
		if got, ok := v.seen[string(m.Key)]; ok {
			batch[i].Cond, batch[i].Revision = CondRevision, got.Revision
			delete(v.seen, string(m.Key))
		}
	}
	for key, got := range v.seen {
		batch = append(batch, Mutation{Key: []byte(key), Check: true, Cond: CondRevision, Revision: got.Revision})
	}
	if batch = append(batch, notes...); len(batch) == 0 {
		return nil
	}
	if err := v.kv.Apply(ctx, batch); err != nil {
		return err
	}
	return refusal
}

// judge is the error of a condition that does not hold for what was seen.
func judge(m Mutation, got sight, index int) error {
	code := errno.Code(0)
	switch {
	case m.Cond == CondInsert && got.there:
		code = errno.Exist
	case m.Cond == CondUpdate && !got.there:
		code = errno.NonExist
	case m.Cond == CondRevision && got.Revision != m.Revision:
		return errConflict(index, m.Revision, got.Revision)
	}
	if code == 0 {
		return nil
	}
	e := errno.New("kv transact", "", code, fmt.Sprintf("the condition of change %d of the transaction does not hold", index))
	e.Index = index
	return e
}

// errConflict is not TX_RESTART: beginning anew would not help.
func errConflict(index int, want, has uint64) error {
	e := errno.New("kv transact", "", errno.Mismatch, fmt.Sprintf("change %d of the transaction wants revision %d of its key, which has %d", index, want, has))
	e.Index = index
	return e
}

func holds(c Compare, got sight) bool {
	var order int
	switch {
	case c.Exists != nil:
		return (got.there == *c.Exists) == (c.Comparison == Equal)
	case c.Value != nil && !got.there:
		return c.Comparison == NotEqual
	case c.Value != nil:
		order = bytes.Compare(got.value, c.Value)
	case c.Revision != nil:
		order = cmp.Compare(got.Revision, *c.Revision)
	default:
		order = cmp.Compare(got.Size, *c.Size)
	}
	switch c.Comparison {
	case Equal:
		return order == 0
	case NotEqual:
		return order != 0
	case Less:
		return order < 0
	}
	return order > 0
}
