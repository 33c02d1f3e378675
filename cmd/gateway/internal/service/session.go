// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/wire"
)

const (
	sessionIdle  = time.Hour // without a call, before the stream ends
	sessionCalls = 1024      // of one session, under way at once
	sessionReads = 16        // calls that one goroutine makes one after the other
	sessionBytes = 256 << 10 // of answers in one message
	callHead     = 128       // of a call, beside its key and value
	answerBytes  = 1 << 10   // a value from this size on counts in the gate until it is sent; the others fit into what a stream has
)

// session is one stream of Session. One goroutine reads, and the makers of three lanes make the calls and send the answers. Always true: a call
// holds a place among sessionCalls from when it was read until its answer is being sent, its bytes count in the gate until it was
// made, and those of its answer until that was sent: so answers that a slow client does not take are bounded.
type session struct {
	*keyValues
	ctx    context.Context
	cancel context.CancelCauseFunc
	places *semaphore.Weighted
	out    outbox
	idle   *time.Timer
	object string // of the call before; the reader's

	changes frames // without a condition: as one batch
	gets    lane   // together, too
	others  lane   // one after the other

	mu    sync.Mutex
	ended bool // no more calls begin
	calls sync.WaitGroup
}

func (s *keyValues) newSession(ctx context.Context) *session {
	ss := &session{
		keyValues: s, places: semaphore.NewWeighted(sessionCalls), idle: time.NewTimer(sessionIdle),
		changes: frames{waits: &s.sessionWaits},
	}
	ss.ctx, ss.cancel = context.WithCancelCause(ctx)
	ss.gets = lane{make: ss.get, most: gatherKeys, makers: 4, waits: &s.sessionWaits}
	ss.others = lane{make: ss.each, most: sessionReads, makers: sessionCalls / sessionReads, waits: &s.sessionWaits}
	return ss
}

type sessionStream = grpc.BidiStreamingServer[apiv1.SessionRequest, apiv1.SessionResponse]

func (s *keyValues) Session(stream sessionStream) error {
	s.sessions.Add(1)
	defer s.sessions.Add(-1)
	ss := s.newSession(stream.Context())
	defer ss.cancel(nil)
	defer ss.idle.Stop()
	ss.out.ship, ss.out.fail = ss.shipper(stream), ss.cancel
	err := ss.serve(stream)
	ss.end()
	ss.calls.Wait()
	if err == nil {
		err = context.Cause(ss.ctx)
	}
	return err
}

// serve lets calls begin until the client has no more, the stream breaks, nothing came for too long, or the server goes down. Its
// goroutine, which reads, ends when the handler has returned, for the stream is cut then.
func (ss *session) serve(stream sessionStream) error {
	read := make(chan error, 1)
	go func() { read <- ss.read(stream) }()
	select {
	case err := <-read:
		return err
	case <-ss.ctx.Done():
		return nil
	case <-ss.Drain:
		return errno.New("", "", errno.Shutdown, "the gateway is going down; begin again with the one that follows it")
	case <-ss.idle.C:
		return errno.New("", "", errno.TimedOut, fmt.Sprintf("no message came for %v; begin again", sessionIdle))
	}
}

func (ss *session) read(stream sessionStream) error {
	for {
		msg := &wire.Calls{}
		err := stream.RecvMsg(msg)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		ss.idle.Reset(sessionIdle)
		n := len(msg.Puts) + len(msg.Message.GetCalls())
		if n > sessionCalls {
			return fault.Invalid("calls", "", "the message has %d calls; it can have %d", n, sessionCalls)
		}
		if ss.places.Acquire(ss.ctx, int64(n)) != nil {
			return nil // the context has ended
		}
		ss.begin(msg)
	}
}

// end lets no more calls begin.
func (ss *session) end() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.ended = true
}

// begin begins the calls of one message, unless the session has ended.
func (ss *session) begin(msg *wire.Calls) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.ended {
		return
	}
	if msg.Message == nil {
		if msg.Object != "" {
			ss.object = msg.Object
		}
		ss.enterFrame(&frame{object: ss.object, tags: msg.Tags, muts: msg.Puts})
		return
	}
	for calls := msg.Message.GetCalls(); len(calls) > 0; {
		n := ss.alike(calls)
		if calls[0].GetGet() == nil && isPlainChange(calls[0]) {
			ss.enterFrame(frameOf(calls[:n]))
		} else {
			ss.enter(ss.laneOf(calls[0]), calls[:n:n])
		}
		calls = calls[n:]
	}
}

// alike is how many calls, from the first on, are of one kind, and of one object when they are changes. They get the names that they do not have.
func (ss *session) alike(calls []*apiv1.SessionCall) (n int) {
	change, lane := isPlainChange(calls[0]), ss.laneOf(calls[0])
	for ; n < len(calls) && isPlainChange(calls[n]) == change && ss.laneOf(calls[n]) == lane; n++ {
		object := calls[n].GetObject()
		if object == "" {
			object = ss.object
		}
		if change && n > 0 && object != ss.object {
			break
		}
		calls[n].Object, ss.object = object, object
	}
	return n
}

// enterFrame gives changes to their makers. When there is no room for their bytes each is refused by itself.
func (ss *session) enterFrame(f *frame) {
	f.began = time.Now()
	if err := ss.Gate.Take(ss.ctx, f.bytes()); err != nil {
		ss.calls.Go(func() { ss.refuseFrame(f, err) })
		return
	}
	if ss.changes.add(f) {
		ss.calls.Go(ss.work)
	}
}

// enter gives calls to a lane, likewise.
func (ss *session) enter(l *lane, calls []*apiv1.SessionCall) {
	if err := ss.Gate.Take(ss.ctx, sizeOf(calls)); err != nil {
		tags := make([]uint64, len(calls))
		for i, c := range calls {
			tags[i] = c.GetTag()
		}
		ss.calls.Go(func() { ss.refuseAll(tags, err) })
		return
	}
	if l.add(calls) {
		ss.calls.Go(func() { l.work(ss.counted) })
	}
}

// counted makes calls of a lane, and gives back what enter took.
func (ss *session) counted(l *lane, calls []*apiv1.SessionCall) {
	size := sizeOf(calls) // before, for a call may be changed when it is made
	defer ss.Gate.Give(ss.ctx, size)
	l.make(calls)
}

func sizeOf(calls []*apiv1.SessionCall) (size int64) {
	for _, c := range calls {
		size += sizeOfCall(c)
	}
	return size
}

// sizeOfCall is about how much memory a call holds.
func sizeOfCall(c *apiv1.SessionCall) int64 {
	switch call := c.GetCall().(type) {
	case *apiv1.SessionCall_Put:
		return callHead + int64(len(call.Put.GetKey())+len(call.Put.GetValue()))
	case *apiv1.SessionCall_Get:
		return callHead + int64(len(call.Get.GetKey()))
	}
	return callHead + int64(proto.Size(c))
}

// laneOf is where a call goes that is not a plain change.
func (ss *session) laneOf(c *apiv1.SessionCall) *lane {
	if c.GetGet() != nil {
		return &ss.gets
	}
	return &ss.others
}

func isPlainChange(c *apiv1.SessionCall) bool {
	put, del := c.GetPut(), c.GetDelete()
	switch {
	case put != nil:
		return put.GetCondition() == apiv1.Condition_CONDITION_UNSPECIFIED
	case del != nil:
		return del.GetCondition() == apiv1.Condition_CONDITION_UNSPECIFIED
	}
	return false
}

// newAnswers are answers to calls, in one piece of memory, without results.
func newAnswers(calls []*apiv1.SessionCall) []*apiv1.SessionResult {
	memory, answers := make([]apiv1.SessionResult, len(calls)), make([]*apiv1.SessionResult, len(calls))
	for i, c := range calls {
		memory[i].Tag, answers[i] = c.GetTag(), &memory[i]
	}
	return answers
}

// hasDeleted is what most deletions are answered with; nobody changes it.
var hasDeleted = &apiv1.SessionResult_Delete{Delete: &apiv1.DeleteResponse{}}

// get makes gets of one object together.
func (ss *session) get(calls []*apiv1.SessionCall) {
	answers := newAnswers(calls)
	memory := make([]struct {
		result apiv1.SessionResult_Get
		resp   apiv1.GetResponse
	}, len(calls))
	for i, v := range ss.values(calls) {
		if v.Err != nil {
			answers[i].Result = &apiv1.SessionResult_Error{Error: keyError(v.Err)}
			continue
		}
		memory[i].resp.Value, memory[i].result.Get = v.Data, &memory[i].resp
		answers[i].Result = &memory[i].result
		if err := ss.Gate.Take(ss.ctx, held(answers[i])); err != nil {
			answers[i].Result = &apiv1.SessionResult_Error{Error: keyError(err)}
		}
	}
	ss.answer(answers...)
}

// values reads what gets ask for: the short values at once, then those that are longer one by one.
func (ss *session) values(calls []*apiv1.SessionCall) (values []system.Value) {
	keys := make([][]byte, len(calls))
	for i, c := range calls {
		keys[i] = c.GetGet().GetKey()
	}
	ctx := auth.Needing(ss.ctx, apiv1.Permission_PERMISSION_READ)
	err := ss.withKV(ctx, calls[0].GetObject(), func(kv system.KV) (err error) {
		values = make([]system.Value, len(keys))
		many, ok := kv.(shorts)
		if ok && len(keys) > 1 {
			values, err = many.GetShort(ss.ctx, keys)
		}
		for i := range values {
			if v := &values[i]; !ok || len(keys) == 1 || errno.CodeOf(v.Err) == errno.Rec2Big {
				v.Data, v.Err = ss.value(ss.ctx, kv, keys[i], UnaryValueMax)
			}
			values[i].Err = fault.Key(values[i].Err)
		}
		return err
	})
	if err != nil {
		values = slices.Repeat([]system.Value{{Err: err}}, len(keys))
	}
	return values
}

func (ss *session) each(calls []*apiv1.SessionCall) {
	for _, c := range calls {
		result, err := ss.one(c)
		if err != nil {
			ss.refuse(c.GetTag(), err)
			continue
		}
		result.Tag = c.GetTag()
		ss.answer(result)
	}
}

// one makes one call, as its method by itself would.
func (ss *session) one(c *apiv1.SessionCall) (*apiv1.SessionResult, error) {
	reading := auth.Needing(ss.ctx, apiv1.Permission_PERMISSION_READ)
	writing := auth.Needing(ss.ctx, apiv1.Permission_PERMISSION_WRITE)
	switch call := c.GetCall().(type) {
	case *apiv1.SessionCall_Head:
		resp, err := ss.Head(reading, &apiv1.HeadRequest{Object: c.GetObject(), Key: call.Head.GetKey()})
		return &apiv1.SessionResult{Result: &apiv1.SessionResult_Head{Head: resp}}, err
	case *apiv1.SessionCall_Put:
		call.Put.Object = c.GetObject()
		resp, err := ss.Put(writing, call.Put)
		return &apiv1.SessionResult{Result: &apiv1.SessionResult_Put{Put: resp}}, err
	case *apiv1.SessionCall_Delete:
		call.Delete.Object = c.GetObject()
		resp, err := ss.Delete(writing, call.Delete)
		return &apiv1.SessionResult{Result: &apiv1.SessionResult_Delete{Delete: resp}}, err
	}
	return nil, fault.Invalid("call", c.GetObject(), "the call with tag %d asks for nothing that this server knows", c.GetTag())
}

func (ss *session) refuse(tag uint64, err error) {
	ss.answer(&apiv1.SessionResult{Tag: tag, Result: &apiv1.SessionResult_Error{Error: keyError(err)}})
}

func (ss *session) refuseFrame(f *frame, err error) {
	var all failures
	for i := range f.muts {
		all.add(methodOf(f.muts[i]), keyError(err))
	}
	all.tell(ss.Services, f.object, f.began)
	ss.refuseAll(f.tags, err)
}

func (ss *session) refuseAll(tags []uint64, err error) {
	for _, tag := range tags {
		ss.refuse(tag, err)
	}
}

// answer waits while the client takes no answers, if nobody else waits for that.
func (ss *session) answer(all ...*apiv1.SessionResult) {
	ss.out.add(func() {
		for _, r := range all {
			ss.out.put(r)
		}
	})
}

// held is how many bytes of an answer count in the gate.
func held(r *apiv1.SessionResult) int64 {
	if n := len(r.GetGet().GetValue()); n >= answerBytes {
		return int64(n)
	}
	return 0
}

// shipper sends messages of answers. When the stream is broken it goes on taking them.
func (ss *session) shipper(stream sessionStream) func(*parcel) {
	broken := false
	return func(p *parcel) {
		ss.places.Release(p.calls)
		if !broken {
			if err := stream.SendMsg(&p.results); err != nil {
				broken = true
				ss.cancel(err)
			}
		}
		ss.Gate.Give(ss.ctx, p.bytes)
	}
}
