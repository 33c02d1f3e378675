// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Increment adds to a value that is a decimal number, as text, and stores the sum: see system.Increment.
func (kv *KV) Increment(ctx context.Context, key []byte, delta int64) (int64, error) {
	const op = "kv increment"
	if err := kv.check(ctx, op); err != nil {
		return 0, err
	}
	resp, err := kv.sys.keyValues.Increment(ctx, &apiv1.IncrementRequest{Object: kv.name, Key: key, Delta: delta})
	if err != nil {
		return 0, fromStatus(ctx, op, kv.ref, err)
	}
	return resp.GetValue(), nil
}

// Transact runs a transaction: see system.Transact.
func (kv *KV) Transact(ctx context.Context, txn system.Txn) (system.TxnResult, error) {
	const op = "kv transact"
	if err := kv.check(ctx, op); err != nil {
		return system.TxnResult{}, err
	}
	req := &apiv1.TransactRequest{Object: kv.name, Compares: wireCompares(txn.Compares)}
	var err error
	if req.Success, err = kv.steps(op, txn.Success); err != nil {
		return system.TxnResult{}, err
	}
	if req.Failure, err = kv.steps(op, txn.Failure); err != nil {
		return system.TxnResult{}, err
	}
	resp, err := kv.sys.keyValues.Transact(ctx, req)
	if err != nil {
		return system.TxnResult{}, fromStatus(ctx, op, kv.ref, err)
	}
	result := system.TxnResult{Succeeded: resp.GetSucceeded()}
	for _, got := range resp.GetGets() {
		result.Gets = append(result.Gets, system.TxnGet{Key: got.GetKey(), Value: got.Value, Revision: got.GetRevision()})
	}
	return result, nil
}

// wireCompares sends what is wrong, too: the gateway says so.
func wireCompares(compares []system.Compare) []*apiv1.Compare {
	wire := make([]*apiv1.Compare, len(compares))
	for i, c := range compares {
		w := &apiv1.Compare{Key: c.Key, Comparison: apiv1.Comparison(c.Comparison)}
		switch {
		case c.Exists != nil:
			w.Target = &apiv1.Compare_Exists{Exists: *c.Exists}
		case c.Revision != nil:
			w.Target = &apiv1.Compare_Revision{Revision: *c.Revision}
		case c.Size != nil:
			w.Target = &apiv1.Compare_Size{Size: *c.Size}
		case c.Value != nil:
			w.Target = &apiv1.Compare_Value{Value: c.Value}
		}
		wire[i] = w
	}
	return wire
}

func (kv *KV) steps(op string, steps []system.Step) ([]*apiv1.Step, error) {
	wire := make([]*apiv1.Step, len(steps))
	for i, s := range steps {
		if s.Get != nil {
			wire[i] = &apiv1.Step{Step: &apiv1.Step_Get{Get: s.Get}}
			continue
		}
		c, ok := conditions[s.Change.Cond]
		if !ok {
			return nil, errno.New(op, kv.ref, errno.Inval, "a change of the transaction has a condition that there is not")
		}
		if s.Change.Note {
			return nil, errno.New(op, kv.ref, errno.NotSupported, "the gateway keeps the notes of a container for itself")
		}
		wire[i] = &apiv1.Step{Step: &apiv1.Step_Change{Change: wireMutation(s.Change, c)}}
	}
	return wire, nil
}
