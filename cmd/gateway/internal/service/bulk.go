// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func (s *keyValues) BulkLoad(stream grpc.ClientStreamingServer[apiv1.BulkLoadRequest, apiv1.BulkLoadResponse]) error {
	messages := receive(stream.Context(), stream.Recv)
	first, err := messages.within(silence, s.Drain)
	if errors.Is(err, io.EOF) || err == nil && first.GetHeader() == nil {
		return fault.Invalid("header", "", "the first message has no header")
	}
	if err != nil {
		return err
	}
	cond, err := condOfEach(first.GetHeader().GetCondition())
	if err != nil {
		return err
	}
	resp := &apiv1.BulkLoadResponse{}
	err = s.withKV(stream.Context(), first.GetHeader().GetObject(), func(kv system.KV) error {
		for msg := first; ; {
			n, err := s.load(stream.Context(), kv, msg.GetEntries(), cond)
			resp.Stored += n
			if err != nil {
				return stored(err, resp.Stored)
			}
			if msg, err = messages.within(silence, s.Drain); errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil && msg.GetHeader() != nil {
				err = fault.Invalid("header", "", "a header stands in the first message only")
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	return stream.SendAndClose(resp)
}

// load stores the entries of one message, up to the first that cannot be: their number.
func (s *keyValues) load(ctx context.Context, kv system.KV, entries []*apiv1.PutEntry, cond system.Cond) (uint64, error) {
	if len(entries) > BatchMax {
		return 0, fault.Invalid("entries", "", "a message has %d entries; it can have %d", len(entries), BatchMax)
	}
	muts := make([]system.Mutation, len(entries))
	for i, e := range entries {
		muts[i] = system.Mutation{Key: e.GetKey(), Value: e.GetValue(), Cond: cond}
		if err := checkMutation(muts[i]); err != nil {
			return 0, err
		}
	}
	if len(muts) == 0 {
		return 0, nil
	}
	return applyUpTo(ctx, kv, muts)
}

// applyUpTo is applyEach, but for what comes behind the first refusal.
func applyUpTo(ctx context.Context, kv system.KV, muts []system.Mutation) (uint64, error) {
	err := kv.Apply(ctx, muts)
	switch {
	case err == nil:
		return uint64(len(muts)), nil
	case ctx.Err() != nil:
		return 0, err
	case len(muts) == 1:
		return 0, alone(err)
	}
	half := len(muts) / 2
	n, err := applyUpTo(ctx, kv, muts[:half])
	if err != nil {
		return n, err
	}
	more, err := applyUpTo(ctx, kv, muts[half:])
	return n + more, err
}

// stored says in an error which entry of the stream could not be stored: so many were before it.
func stored(err error, n uint64) error {
	var e *errno.Error
	if !errors.As(err, &e) {
		return err
	}
	with := *e
	with.Index = int(n)
	return &with
}

func (s *keyValues) ListKeys(ctx context.Context, req *apiv1.ListKeysRequest) (*apiv1.ListKeysResponse, error) {
	p, err := pageOf(req)
	if err != nil {
		return nil, err
	}
	r := rangeOf(req.GetRange())
	r.KeysOnly, r.Limit = true, uint64(p.size)+1
	if p.after != "" {
		r.Start, r.After = []byte(p.after), true
	}
	resp := &apiv1.ListKeysResponse{}
	err = s.withKV(ctx, req.GetObject(), func(kv system.KV) error {
		bytes := 0
		for e, err := range kv.List(ctx, r) {
			if err != nil {
				return err
			}
			bytes += len(e.Key)
			if len(resp.Keys) == p.size || bytes > UnaryValueMax && len(resp.Keys) > 0 {
				resp.NextPageToken = token(string(resp.Keys[len(resp.Keys)-1]))
				return nil
			}
			resp.Keys = append(resp.Keys, e.Key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}
