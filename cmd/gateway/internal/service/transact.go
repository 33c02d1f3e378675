// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func (s *keyValues) Increment(ctx context.Context, req *apiv1.IncrementRequest) (*apiv1.IncrementResponse, error) {
	return once(ctx, &s.replays, req, func() (*apiv1.IncrementResponse, error) {
		resp := &apiv1.IncrementResponse{}
		err := s.withNotedKV(ctx, req.GetObject(), req, resp, func(n *notebook, kv system.KV) (err error) {
			if n == nil {
				resp.Value, err = system.Increment(ctx, kv, req.GetKey(), req.GetDelta())
				return err
			}
			resp.Value, err = system.IncrementNoting(ctx, kv, req.GetKey(), req.GetDelta(), func(sum int64) ([]system.Mutation, error) {
				return n.answer(&apiv1.IncrementResponse{Value: sum})
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

func (s *keyValues) Transact(ctx context.Context, req *apiv1.TransactRequest) (*apiv1.TransactResponse, error) {
	txn, err := txnOf(req)
	if err != nil {
		return nil, err
	}
	return once(ctx, &s.replays, req, func() (*apiv1.TransactResponse, error) {
		if err := s.Gate.Take(ctx, UnaryValueMax); err != nil {
			return nil, err
		}
		defer s.Gate.Give(ctx, UnaryValueMax)
		resp := &apiv1.TransactResponse{}
		err := s.withNotedKV(ctx, req.GetObject(), req, resp, func(n *notebook, kv system.KV) error {
			if err := s.checkSizes(ctx, kv, txn); err != nil {
				return err
			}
			result, err := transact(ctx, kv, txn, n)
			if err == nil {
				resp = transactResponse(result)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

func transact(ctx context.Context, kv system.KV, txn system.Txn, n *notebook) (system.TxnResult, error) {
	if n == nil {
		return system.Transact(ctx, kv, txn)
	}
	return system.TransactNoting(ctx, kv, txn, func(r system.TxnResult) ([]system.Mutation, error) { return n.answer(transactResponse(r)) })
}

// checkSizes refuses to read what the answer has no room for, before the transaction changes anything. What grows between this look and
// the transaction is not an error: the limit is on memory, not on meaning.
func (s *keyValues) checkSizes(ctx context.Context, kv system.KV, txn system.Txn) error {
	room := uint64(UnaryValueMax)
	for _, steps := range [][]system.Step{txn.Success, txn.Failure} {
		left := room
		for _, step := range steps {
			if step.Get == nil {
				continue
			}
			stat, err := kv.Stat(ctx, step.Get)
			if err != nil && errno.CodeOf(err) != errno.NonExist {
				return err
			}
			if stat.Size > left {
				return tooLarge(stat.Size, left)
			}
			left -= stat.Size
		}
	}
	return nil
}

func txnOf(req *apiv1.TransactRequest) (txn system.Txn, err error) {
	for i, c := range req.GetCompares() {
		compare := system.Compare{Key: c.GetKey(), Comparison: system.Comparison(c.GetComparison())}
		switch target := c.GetTarget().(type) {
		case *apiv1.Compare_Revision:
			compare.Revision = &target.Revision
		case *apiv1.Compare_Value:
			compare.Value = append([]byte{}, target.Value...)
		case *apiv1.Compare_Size:
			compare.Size = &target.Size
		case *apiv1.Compare_Exists:
			compare.Exists = &target.Exists
		default:
			return txn, fault.Invalid("compares", req.GetObject(), "comparison %d has no target; set revision, value, size or exists", i)
		}
		txn.Compares = append(txn.Compares, compare)
	}
	if txn.Success, err = stepsOf("success", req.GetSuccess()); err != nil {
		return txn, err
	}
	txn.Failure, err = stepsOf("failure", req.GetFailure())
	return txn, err
}

func stepsOf(field string, wire []*apiv1.Step) ([]system.Step, error) {
	steps := make([]system.Step, len(wire))
	for i, s := range wire {
		switch step := s.GetStep().(type) {
		case *apiv1.Step_Get:
			steps[i].Get = append([]byte{}, step.Get...)
		case *apiv1.Step_Change:
			change, err := mutationOf(step.Change)
			if err != nil {
				return nil, err
			}
			steps[i].Change = change
		default:
			return nil, fault.Invalid(field, "", "step %d has neither get nor change; set one of them", i)
		}
	}
	return steps, nil
}

func transactResponse(r system.TxnResult) *apiv1.TransactResponse {
	resp := &apiv1.TransactResponse{Succeeded: r.Succeeded}
	for _, got := range r.Gets {
		resp.Gets = append(resp.Gets, &apiv1.TransactGet{Key: got.Key, Value: got.Value, Revision: got.Revision})
	}
	return resp
}
