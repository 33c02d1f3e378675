// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"

	"google.golang.org/grpc/status"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func checkBatch(field, object string, n int) error {
	if n == 0 || n > BatchMax {
		return fault.Invalid(field, object, "the batch has %d %s; it must have 1 to %d", n, field, BatchMax)
	}
	return nil
}

func (s *keyValues) BatchGet(ctx context.Context, req *apiv1.BatchGetRequest) (*apiv1.BatchGetResponse, error) {
	if err := checkBatch("keys", req.GetObject(), len(req.GetKeys())); err != nil {
		return nil, err
	}
	if err := s.Gate.Take(UnaryValueMax); err != nil {
		return nil, err
	}
	defer s.Gate.Give(UnaryValueMax)
	resp := &apiv1.BatchGetResponse{Results: make([]*apiv1.BatchGetResult, len(req.GetKeys()))}
	err := s.withKV(ctx, req.GetObject(), func(kv system.KV) error {
		room := uint64(UnaryValueMax)
		for i, key := range req.GetKeys() {
			val, err := s.value(ctx, kv, key, room)
			if ctx.Err() != nil {
				return err
			}
			room -= uint64(len(val))
			resp.Results[i] = batchGetResult(val, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func batchGetResult(val []byte, err error) *apiv1.BatchGetResult {
	if err != nil {
		return &apiv1.BatchGetResult{Result: &apiv1.BatchGetResult_Error{Error: keyError(noRoom(err))}}
	}
	return &apiv1.BatchGetResult{Result: &apiv1.BatchGetResult_Value{Value: val}}
}

// noRoom tells a value that found no more room in an answer from one that fits into none.
func noRoom(err error) error {
	var e *errno.Error
	if !errors.As(err, &e) || e.Code != errno.Rec2Big || e.Size > UnaryValueMax {
		return err
	}
	short := errno.New("", "", errno.Trunc, "the other values left no room for this one in the answer; ask again for it")
	short.Size = e.Size
	return short
}

func keyError(err error) *apiv1.KeyError {
	st, _ := status.FromError(fault.Status(err, false))
	e := &apiv1.KeyError{Code: int32(st.Code()), Message: st.Message(), Rc: int32(errno.CodeOf(err)), Reason: errno.CodeOf(err).Name()}
	var detail *errno.Error
	if errors.As(err, &detail) {
		e.Size = detail.Size
	}
	return e
}

func (s *keyValues) BatchPut(ctx context.Context, req *apiv1.BatchPutRequest) (*apiv1.BatchPutResponse, error) {
	if err := checkBatch("entries", req.GetObject(), len(req.GetEntries())); err != nil {
		return nil, err
	}
	muts := make([]system.Mutation, len(req.GetEntries()))
	for i, e := range req.GetEntries() {
		muts[i] = system.Mutation{Key: e.GetKey(), Value: e.GetValue()}
	}
	results, err := s.each(ctx, req.GetObject(), muts, req.GetCondition())
	if err != nil {
		return nil, err
	}
	return &apiv1.BatchPutResponse{Results: results}, nil
}

func (s *keyValues) BatchDelete(ctx context.Context, req *apiv1.BatchDeleteRequest) (*apiv1.BatchDeleteResponse, error) {
	if err := checkBatch("keys", req.GetObject(), len(req.GetKeys())); err != nil {
		return nil, err
	}
	muts := make([]system.Mutation, len(req.GetKeys()))
	for i, key := range req.GetKeys() {
		muts[i] = system.Mutation{Key: key, Delete: true}
	}
	results, err := s.each(ctx, req.GetObject(), muts, req.GetCondition())
	if err != nil {
		return nil, err
	}
	return &apiv1.BatchDeleteResponse{Results: results}, nil
}

// each makes changes that are independent of each other, and says of each what became of it.
func (s *keyValues) each(ctx context.Context, object string, muts []system.Mutation, c apiv1.Condition) ([]*apiv1.KeyResult, error) {
	cond, err := condOfEach(c)
	if err != nil {
		return nil, err
	}
	for i := range muts {
		muts[i].Cond = cond
		if err := checkMutation(muts[i]); err != nil {
			return nil, err
		}
	}
	results := make([]*apiv1.KeyResult, len(muts))
	for i := range results {
		results[i] = &apiv1.KeyResult{}
	}
	err = s.withKV(ctx, object, func(kv system.KV) error { return applyEach(ctx, kv, muts, results) })
	return results, err
}

// applyEach applies muts as one batch, which shares one log record and one flush; and when that is refused in two halves, in order,
// down to the single change that is to blame: k refusals among n changes cost about k log n batches. The order matters when a key
// stands twice, which no single batch may have.
func applyEach(ctx context.Context, kv system.KV, muts []system.Mutation, results []*apiv1.KeyResult) error {
	err := kv.Apply(ctx, muts)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return err
	case len(muts) == 1:
		results[0].Error = keyError(alone(err))
		return nil
	}
	half := len(muts) / 2
	if err := applyEach(ctx, kv, muts[:half], results[:half]); err != nil {
		return err
	}
	return applyEach(ctx, kv, muts[half:], results[half:])
}

// alone is the error of a batch of one, as that of its only change.
func alone(err error) error {
	var e *errno.Error
	if !errors.As(err, &e) || e.Index < 0 {
		return err
	}
	single := *e
	single.Index = -1
	return &single
}

func (s *keyValues) ApplyBatch(ctx context.Context, req *apiv1.ApplyBatchRequest) (*apiv1.ApplyBatchResponse, error) {
	return once(ctx, &s.replays, req, func() (*apiv1.ApplyBatchResponse, error) {
		muts, err := mutationsOf(req)
		if err != nil {
			return nil, err
		}
		err = s.withKV(ctx, req.GetObject(), func(kv system.KV) error { return kv.Apply(ctx, muts) })
		if err != nil {
			return nil, err
		}
		return &apiv1.ApplyBatchResponse{}, nil
	})
}

func mutationsOf(req *apiv1.ApplyBatchRequest) ([]system.Mutation, error) {
	n := len(req.GetMutations())
	if n == 0 || n > system.BatchMax {
		return nil, fault.Invalid("mutations", req.GetObject(), "the batch has %d mutations; it must have 1 to %d", n, system.BatchMax)
	}
	muts := make([]system.Mutation, n)
	for i, m := range req.GetMutations() {
		var err error
		if muts[i], err = mutationOf(m); err != nil {
			return nil, err
		}
	}
	return muts, nil
}

func mutationOf(m *apiv1.Mutation) (mut system.Mutation, err error) {
	mut = system.Mutation{Key: m.GetKey(), Value: m.GetPut(), Delete: m.GetDelete(), Check: m.GetCheck(), Revision: m.GetRevision()}
	if _, put := m.GetChange().(*apiv1.Mutation_Put); !put && !mut.Delete && !mut.Check {
		return mut, fault.Invalid("mutations", "", "a mutation has neither put nor delete = true nor check = true; set one of them")
	}
	if mut.Cond, err = condOf(m.GetCondition()); err != nil {
		return mut, err
	}
	return mut, checkMutation(mut)
}
