// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"slices"

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
	if err := s.Gate.Take(ctx, UnaryValueMax); err != nil {
		return nil, err
	}
	defer s.Gate.Give(ctx, UnaryValueMax)
	g := newGather(s.Services, len(req.GetKeys()))
	err := s.withKV(ctx, req.GetObject(), func(kv system.KV) error {
		for keys := range slices.Chunk(req.GetKeys(), gatherKeys) {
			if err := g.add(ctx, kv, keys); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.BatchGetResponse{Results: g.results}, nil
}

// gatherKeys is how many keys are read at once: the room for their values is 256 KiB.
const gatherKeys = 256

// gather is the answer of a BatchGet as it grows. Always true: its values and room are UnaryValueMax together.
type gather struct {
	s       *Services
	room    uint64
	results []*apiv1.BatchGetResult
	memory  []gathered // of the results that are not made yet
}

type gathered struct {
	result apiv1.BatchGetResult
	value  apiv1.BatchGetResult_Value
}

func newGather(s *Services, keys int) *gather {
	return &gather{s: s, room: UnaryValueMax, results: make([]*apiv1.BatchGetResult, 0, keys), memory: make([]gathered, keys)}
}

// shorts is what the engine offers for many short values: what must be read from the device is read at the same time. A longer value
// is REC2BIG.
type shorts interface {
	GetShort(ctx context.Context, keys [][]byte) ([]system.Value, error)
}

// add reads keys: the short values at once, then those that are longer one by one.
func (g *gather) add(ctx context.Context, kv system.KV, keys [][]byte) error {
	many, ok := kv.(shorts)
	if !ok {
		for _, key := range keys {
			g.long(ctx, kv, key)
		}
		return ctxError(ctx)
	}
	values, err := many.GetShort(ctx, keys)
	if err != nil {
		return err
	}
	for i, v := range values {
		if errno.CodeOf(v.Err) == errno.Rec2Big {
			g.long(ctx, kv, keys[i])
		} else {
			g.put(v.Data, v.Err)
		}
	}
	return ctxError(ctx)
}

func (g *gather) long(ctx context.Context, kv system.KV, key []byte) {
	g.put(g.s.value(ctx, kv, key, g.room))
}

func (g *gather) put(val []byte, err error) {
	if size := uint64(len(val)); size > g.room {
		val, err = nil, tooLarge(size, g.room)
	}
	g.room -= uint64(len(val))
	m := &g.memory[0]
	g.memory = g.memory[1:]
	m.value.Value, m.result.Result = val, &m.value
	if err != nil {
		m.result.Result = &apiv1.BatchGetResult_Error{Error: keyError(noRoom(err))}
	}
	g.results = append(g.results, &m.result)
}

// ctxError is the error of a call whose time has ended; then the results are not worth sending.
func ctxError(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return errno.FromContext("", "", ctx)
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
	var results []*apiv1.KeyResult
	err = s.withKV(ctx, object, func(kv system.KV) (err error) {
		results, err = apply(ctx, kv, muts)
		return err
	})
	return results, err
}

// allGood is the result of a change that was made; nobody changes it.
var allGood = &apiv1.KeyResult{}

// apply makes changes, as one batch if that can be.
func apply(ctx context.Context, kv system.KV, muts []system.Mutation) ([]*apiv1.KeyResult, error) {
	if kv.Apply(ctx, muts) == nil {
		return slices.Repeat([]*apiv1.KeyResult{allGood}, len(muts)), nil
	}
	results := newResults(len(muts))
	return results, applyEach(ctx, kv, muts, results)
}

// newResults are n results, in one piece of memory.
func newResults(n int) []*apiv1.KeyResult {
	memory, results := make([]apiv1.KeyResult, n), make([]*apiv1.KeyResult, n)
	for i := range results {
		results[i] = &memory[i]
	}
	return results
}

// applyEach applies muts as one batch, which shares one log record and one flush. When that is refused because a key stands twice, what
// comes first of each key goes first; else in two halves, in order, down to the single change that is to blame: k refusals among n
// changes cost about k log n batches.
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
	n := len(muts) / 2
	if errno.CodeOf(err) == errno.Inval {
		results = slices.Clone(results) // the caller's stay in their order
		if firsts := firstsFirst(muts, results); firsts < len(muts) {
			n = firsts
		}
	}
	if err := applyEach(ctx, kv, muts[:n], results[:n]); err != nil {
		return err
	}
	return applyEach(ctx, kv, muts[n:], results[n:])
}

// firstsFirst puts what comes again of a key behind the first of every key, and returns the number of those.
func firstsFirst(muts []system.Mutation, results []*apiv1.KeyResult) (n int) {
	seen := make(map[string]struct{}, len(muts))
	var again []system.Mutation
	var its []*apiv1.KeyResult
	for i, m := range muts {
		if _, there := seen[string(m.Key)]; there {
			again, its = append(again, m), append(its, results[i])
			continue
		}
		seen[string(m.Key)] = struct{}{}
		muts[n], results[n] = m, results[i]
		n++
	}
	copy(muts[n:], again)
	copy(results[n:], its)
	return n
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
		resp := &apiv1.ApplyBatchResponse{}
		err = s.withNotedKV(ctx, req.GetObject(), req, resp, func(n *notebook, kv system.KV) error {
			notes, err := n.answer(resp)
			if err != nil {
				return err
			}
			return kv.Apply(ctx, append(muts, notes...))
		})
		if err != nil {
			return nil, err
		}
		return resp, nil
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
