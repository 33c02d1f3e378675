// SPDX-License-Identifier: Apache-2.0

package service

import (
	"container/list"
	"context"
	"crypto/sha256"
	"regexp"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/go/errno"
)

const (
	replayFor = 10 * time.Minute
	replayMax = 4096 // answers kept; the oldest goes first
)

// replays keeps, in memory, the answers of calls that carried a request_id, so that a repeated call gets the first answer and changes nothing.
// A call that failed is forgotten: its repetition is tried anew. What must survive the process is in notes.go. The zero value is ready.
type replays struct {
	mu   sync.Mutex
	byID map[string]*list.Element
	all  list.List // of *replay, the oldest in front
}

type replay struct {
	id     string
	digest [sha256.Size]byte // of the request
	since  time.Time
	done   chan struct{} // closed when resp and err are what they will be
	resp   proto.Message
	err    error
}

type repeatable interface {
	proto.Message
	GetRequestId() string
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// once runs a call, or returns the answer of the same call before.
func once[R proto.Message](ctx context.Context, rs *replays, req repeatable, call func() (R, error)) (resp R, err error) {
	id := req.GetRequestId()
	if id == "" {
		return call()
	}
	if !uuidForm.MatchString(id) {
		return resp, fault.Invalid("request_id", "", "request_id %.64q is not a UUID", id)
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return resp, err
	}
	// An answer is for who got it first: another caller with the same id has another call.
	r, first := rs.claim(auth.From(ctx).Who()+" "+string(req.ProtoReflect().Descriptor().FullName())+" "+id, sha256.Sum256(wire))
	if first {
		resp, err = call()
		rs.finish(r, resp, err)
		return resp, err
	}
	if r.digest != sha256.Sum256(wire) {
		return resp, usedForAnother(id)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return resp, errno.FromContext("", "", ctx)
	}
	if r.err != nil {
		return resp, r.err
	}
	return r.resp.(R), nil
}

// claim finds the call of that id, or begins it.
func (rs *replays) claim(id string, digest [sha256.Size]byte) (r *replay, first bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for e := rs.all.Front(); e != nil && (rs.all.Len() >= replayMax || time.Since(e.Value.(*replay).since) > replayFor); e = rs.all.Front() {
		rs.forget(e)
	}
	if e, ok := rs.byID[id]; ok {
		return e.Value.(*replay), false
	}
	if rs.byID == nil {
		rs.byID = map[string]*list.Element{}
	}
	r = &replay{id: id, digest: digest, since: time.Now(), done: make(chan struct{})}
	rs.byID[id] = rs.all.PushBack(r)
	return r, true
}

func (rs *replays) finish(r *replay, resp proto.Message, err error) {
	r.resp, r.err = resp, err
	close(r.done)
	if err == nil {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if e, ok := rs.byID[r.id]; ok && e.Value == r {
		rs.forget(e)
	}
}

// forget removes an answer. Lock held.
func (rs *replays) forget(e *list.Element) {
	delete(rs.byID, e.Value.(*replay).id)
	rs.all.Remove(e)
}
