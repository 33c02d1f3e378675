// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

type keyValues struct {
	apiv1.UnimplementedKeyValueServiceServer
	*Services
}

func (s *keyValues) Get(ctx context.Context, req *apiv1.GetRequest) (*apiv1.GetResponse, error) {
	for {
		resp := &apiv1.GetResponse{}
		err := s.withKV(ctx, req.GetObject(), func(kv system.KV) (err error) {
			resp.Value, err = s.valueIf(ctx, kv, req.GetKey(), UnaryValueMax, s.Gate.Answer)
			return err
		})
		if err == nil {
			return resp, nil
		}
		var wait *unreadError
		if !errors.As(err, &wait) {
			return nil, err
		}
		if err := s.Gate.AwaitAnswer(ctx, wait.size); err != nil { // and not while it uses the object
			return nil, err
		}
	}
}

// unreadError is that a value is not read yet: the connection has not taken the answers before it.
type unreadError struct{ size int64 }

// Error implements error.
func (e *unreadError) Error() string {
	return fmt.Sprintf("the connection has not taken its answers, and there is no room for %d bytes more", e.size)
}

// value reads a value of at most limit bytes. A larger one is REC2BIG, with its size, as FAILED_PRECONDITION.
func (s *Services) value(ctx context.Context, kv system.KV, key []byte, limit uint64) ([]byte, error) {
	return s.valueIf(ctx, kv, key, limit, func(context.Context, int64) bool { return true })
}

// valueIf does so if one that is not small may be read now.
func (s *Services) valueIf(ctx context.Context, kv system.KV, key []byte, limit uint64, may func(context.Context, int64) bool) ([]byte, error) {
	guess := s.buffer()
	defer s.buffers.Put(guess)
	size, err := readInto(ctx, kv, key, *guess)
	if err == nil && size <= limit {
		return append(make([]byte, 0, size), (*guess)[:size]...), nil
	}
	if err == nil {
		return nil, tooLarge(size, limit)
	}
	for errors.Is(err, errno.Rec2Big) { // more than once when the value grows meanwhile
		if size > limit {
			return nil, tooLarge(size, limit)
		}
		if !may(ctx, int64(size)) {
			return nil, &unreadError{int64(size)}
		}
		if err = s.Gate.Take(ctx, int64(size)); err != nil {
			return nil, err
		}
		val, n := make([]byte, size), size
		n, err = readInto(ctx, kv, key, val)
		s.Gate.Give(ctx, int64(size))
		if err == nil {
			return val[:n], nil
		}
		size = n
	}
	return nil, err
}

// readInto reads a value into dst. Its size is also known when it is REC2BIG for dst.
func readInto(ctx context.Context, kv system.KV, key, dst []byte) (uint64, error) {
	n, err := kv.GetInto(ctx, key, dst)
	if err == nil {
		return uint64(n), nil
	}
	var e *errno.Error
	if errors.As(err, &e) && e.Code == errno.Rec2Big {
		return e.Size, err
	}
	return 0, err
}

func tooLarge(size, limit uint64) error {
	e := errno.New("", "", errno.Rec2Big,
		fmt.Sprintf("the value has %d bytes and there is room for %d; read it with GetStream", size, limit))
	e.Size = size
	return fault.With(codes.FailedPrecondition, e)
}

// buffer is room for a first guess.
func (s *Services) buffer() *[]byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, firstGuess)
	return &b
}

func (s *keyValues) Head(ctx context.Context, req *apiv1.HeadRequest) (*apiv1.HeadResponse, error) {
	var stat system.Stat
	err := s.withKV(ctx, req.GetObject(), func(kv system.KV) (err error) {
		stat, err = kv.Stat(ctx, req.GetKey())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.HeadResponse{Size: stat.Size, Revision: stat.Revision}, nil
}

func (s *keyValues) Put(ctx context.Context, req *apiv1.PutRequest) (*apiv1.PutResponse, error) {
	m := system.Mutation{Key: req.GetKey(), Value: req.GetValue(), Revision: req.GetRevision()}
	if err := s.change(ctx, req.GetObject(), m, req.GetCondition()); err != nil {
		return nil, err
	}
	return &apiv1.PutResponse{}, nil
}

func (s *keyValues) Delete(ctx context.Context, req *apiv1.DeleteRequest) (*apiv1.DeleteResponse, error) {
	m := system.Mutation{Key: req.GetKey(), Delete: true, Revision: req.GetRevision()}
	if err := s.change(ctx, req.GetObject(), m, req.GetCondition()); err != nil {
		return nil, err
	}
	return &apiv1.DeleteResponse{}, nil
}

// change makes one change. A revision is a matter of batches: it is a batch of one.
func (s *keyValues) change(ctx context.Context, object string, m system.Mutation, c apiv1.Condition) (err error) {
	if m.Cond, err = condOf(c); err != nil {
		return err
	}
	if err = checkMutation(m); err != nil {
		return err
	}
	return s.withObject(ctx, object, func(h *handles.Handle) error {
		switch {
		case suits(m):
			return s.together.change(ctx, h, m)
		case m.Cond == system.CondRevision:
			return alone(h.KV.Apply(ctx, []system.Mutation{m}))
		}
		return one(ctx, h.KV, m)
	})
}

// condArg is a condition as an argument; none costs nothing.
func condArg(c system.Cond) []system.Cond {
	if c == system.CondNone {
		return nil
	}
	return []system.Cond{c}
}

// checkMutation checks what the engine does not: the limits and the combinations of the wire.
func checkMutation(m system.Mutation) error {
	if len(m.Value) > UnaryValueMax {
		e := errno.New("", "", errno.Rec2Big, fmt.Sprintf("the value has %d bytes, and a value in a unary call has at most %d; "+
			"store it with PutStream", len(m.Value), UnaryValueMax))
		e.Size = uint64(len(m.Value))
		return e
	}
	if m.Delete && m.Cond == system.CondInsert {
		return fault.Invalid("condition", "", "a deletion cannot have the condition INSERT; use UPDATE, REVISION or none")
	}
	if m.Revision != 0 && m.Cond != system.CondRevision {
		return fault.Invalid("revision", "", "revision is %d and the condition is not REVISION; set both or neither", m.Revision)
	}
	return nil
}

var conds = map[apiv1.Condition]system.Cond{
	apiv1.Condition_CONDITION_UNSPECIFIED: system.CondNone,
	apiv1.Condition_CONDITION_INSERT:      system.CondInsert,
	apiv1.Condition_CONDITION_UPDATE:      system.CondUpdate,
	apiv1.Condition_CONDITION_REVISION:    system.CondRevision,
}

func condOf(c apiv1.Condition) (system.Cond, error) {
	cond, ok := conds[c]
	if !ok {
		return 0, fault.Invalid("condition", "", "condition is %d, which this server does not know", c)
	}
	return cond, nil
}

// condOfEach is the condition of every change of a call that has no revisions.
func condOfEach(c apiv1.Condition) (system.Cond, error) {
	if c == apiv1.Condition_CONDITION_REVISION {
		return 0, fault.Invalid("condition", "", "this call has no revision to compare with; use Put, Delete or ApplyBatch")
	}
	return condOf(c)
}

func rangeOf(r *apiv1.KeyRange) system.Range {
	return system.Range{Prefix: r.GetPrefix(), Start: r.GetStart(), End: r.GetEnd(), After: r.GetAfter()}
}

func (s *keyValues) Count(ctx context.Context, req *apiv1.CountRequest) (*apiv1.CountResponse, error) {
	resp := &apiv1.CountResponse{}
	err := s.withKV(ctx, req.GetObject(), func(kv system.KV) (err error) {
		resp.Count, err = kv.Count(ctx, rangeOf(req.GetRange()))
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *keyValues) DeleteRange(ctx context.Context, req *apiv1.DeleteRangeRequest) (*apiv1.DeleteRangeResponse, error) {
	if req.GetRange() == nil {
		return nil, fault.Invalid("range", req.GetObject(), "range is not set; to delete every key set an empty one")
	}
	resp := &apiv1.DeleteRangeResponse{}
	err := s.withKV(ctx, req.GetObject(), func(kv system.KV) (err error) {
		r := rangeOf(req.GetRange())
		r.Limit, r.Reverse = req.GetLimit(), req.GetReverse()
		resp.Deleted, err = kv.DeleteRange(ctx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}
