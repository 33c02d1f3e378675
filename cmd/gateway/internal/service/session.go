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
)

const (
	sessionIdle  = time.Hour // without a call, before the stream ends
	sessionCalls = 1024      // of one session, under way at once
	sessionReads = 16        // calls that one goroutine makes one after the other
	sessionBytes = 256 << 10 // of answers in one message
	callHead     = 128       // of a call, beside its key and value
	answerBytes  = 1 << 10   // a value from this size on counts in the gate until it is sent; the others fit into what a stream has
)

// session is one stream of Session. One goroutine reads, one sends, and the makers of three lanes make the calls. Always true: a call
// holds a place among sessionCalls from when it was read until its answer was taken by the sender, its bytes count in the gate until it was
// made, and those of its answer until that was sent: so answers that a slow client does not take are bounded.
type session struct {
	*keyValues
	ctx     context.Context
	cancel  context.CancelCauseFunc
	places  *semaphore.Weighted
	answers chan []*apiv1.SessionResult
	idle    *time.Timer
	object  string // of the call before; the reader's

	changes lane // without a condition: as one batch
	gets    lane // together, too
	others  lane // one after the other

	mu    sync.Mutex
	ended bool // no more calls begin
	calls sync.WaitGroup
}

func (s *keyValues) newSession(ctx context.Context) *session {
	ss := &session{
		keyValues: s, places: semaphore.NewWeighted(sessionCalls), answers: make(chan []*apiv1.SessionResult, sessionCalls),
		idle: time.NewTimer(sessionIdle),
	}
	ss.ctx, ss.cancel = context.WithCancelCause(ctx)
	ss.changes = lane{make: ss.change, most: sessionCalls, makers: 2, waits: &s.sessionWaits} // one is applied while another is made durable
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
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		ss.send(stream)
	}()
	err := ss.serve(stream)
	ss.end()
	ss.calls.Wait()
	close(ss.answers)
	<-sent
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
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		ss.idle.Reset(sessionIdle)
		calls := msg.GetCalls()
		if len(calls) > sessionCalls {
			return fault.Invalid("calls", "", "the message has %d calls; it can have %d", len(calls), sessionCalls)
		}
		if ss.places.Acquire(ss.ctx, int64(len(calls))) != nil {
			return nil // the context has ended
		}
		ss.begin(calls)
	}
}

// end lets no more calls begin.
func (ss *session) end() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.ended = true
}

// begin begins the calls of one message, unless the session has ended.
func (ss *session) begin(calls []*apiv1.SessionCall) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for len(calls) > 0 && !ss.ended {
		l, n := ss.laneOf(calls[0]), 0
		for ; n < len(calls) && ss.laneOf(calls[n]) == l; n++ {
			if calls[n].GetObject() == "" {
				calls[n].Object = ss.object
			}
			ss.object = calls[n].GetObject()
		}
		ss.enter(l, calls[:n:n])
		calls = calls[n:]
	}
}

// enter gives calls to a lane. When there is no room for their bytes each is refused by itself.
func (ss *session) enter(l *lane, calls []*apiv1.SessionCall) {
	if err := ss.Gate.Take(ss.ctx, sizeOf(calls)); err != nil {
		for _, c := range calls {
			ss.refuse(c, err)
		}
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

func (ss *session) laneOf(c *apiv1.SessionCall) *lane {
	switch {
	case isPlainChange(c):
		return &ss.changes
	case c.GetGet() != nil:
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

// change makes changes of one object, independent of each other.
func (ss *session) change(calls []*apiv1.SessionCall) {
	muts, ok := make([]system.Mutation, 0, len(calls)), calls[:0]
	for _, c := range calls {
		m := system.Mutation{Key: c.GetPut().GetKey(), Value: c.GetPut().GetValue(), Revision: c.GetPut().GetRevision()}
		if del := c.GetDelete(); del != nil {
			m = system.Mutation{Key: del.GetKey(), Delete: true, Revision: del.GetRevision()}
		}
		if err := checkMutation(m); err != nil {
			ss.refuse(c, err)
			continue
		}
		muts, ok = append(muts, m), append(ok, c)
	}
	if len(ok) == 0 {
		return
	}
	results := newResults(len(ok))
	ctx := auth.Needing(ss.ctx, apiv1.Permission_PERMISSION_WRITE)
	err := ss.withKV(ctx, ok[0].GetObject(), func(kv system.KV) error { return applyEach(ss.ctx, kv, muts, results) })
	answers := newAnswers(ok)
	for i, c := range ok {
		switch {
		case err != nil:
			answers[i].Result = &apiv1.SessionResult_Error{Error: keyError(err)}
		case results[i].Error != nil:
			answers[i].Result = &apiv1.SessionResult_Error{Error: results[i].Error}
		case c.GetDelete() != nil:
			answers[i].Result = hasDeleted
		default:
			answers[i].Result = hasPut
		}
	}
	ss.answers <- answers
}

// newAnswers are answers to calls, in one piece of memory, without results.
func newAnswers(calls []*apiv1.SessionCall) []*apiv1.SessionResult {
	memory, answers := make([]apiv1.SessionResult, len(calls)), make([]*apiv1.SessionResult, len(calls))
	for i, c := range calls {
		memory[i].Tag, answers[i] = c.GetTag(), &memory[i]
	}
	return answers
}

// What most changes are answered with; nobody changes them.
var (
	hasPut     = &apiv1.SessionResult_Put{Put: &apiv1.PutResponse{}}
	hasDeleted = &apiv1.SessionResult_Delete{Delete: &apiv1.DeleteResponse{}}
)

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
	ss.answers <- answers
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
			ss.refuse(c, err)
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

func (ss *session) refuse(c *apiv1.SessionCall, err error) {
	ss.answer(&apiv1.SessionResult{Tag: c.GetTag(), Result: &apiv1.SessionResult_Error{Error: keyError(err)}})
}

// answer never waits: there is a place for each call.
func (ss *session) answer(r *apiv1.SessionResult) { ss.answers <- []*apiv1.SessionResult{r} }

// held is how many bytes of an answer count in the gate.
func held(r *apiv1.SessionResult) int64 {
	if n := len(r.GetGet().GetValue()); n >= answerBytes {
		return int64(n)
	}
	return 0
}

// send sends answers, as many in one message as are there. When the stream is broken it goes on taking them.
func (ss *session) send(stream sessionStream) {
	broken := false
	for all := range ss.answers {
		for all = ss.gather(all); len(all) > 0; {
			n, bytes := fitting(all)
			ss.places.Release(int64(n))
			if !broken {
				if err := stream.Send(&apiv1.SessionResponse{Results: all[:n]}); err != nil {
					broken = true
					ss.cancel(err)
				}
			}
			all = all[n:]
			ss.Gate.Give(ss.ctx, bytes)
		}
	}
}

// gather adds the answers that are there already.
func (ss *session) gather(all []*apiv1.SessionResult) []*apiv1.SessionResult {
	for {
		select {
		case more := <-ss.answers: // none when it is closed
			if len(more) == 0 {
				return all
			}
			all = append(all, more...)
		default:
			return all
		}
	}
}

// fitting is how many answers, one at least, go in one message, and how many of their bytes count in the gate.
func fitting(all []*apiv1.SessionResult) (n int, bytes int64) {
	for size := 0; n < len(all) && size < sessionBytes; n++ {
		size += 64 + len(all[n].GetGet().GetValue()) + len(all[n].GetError().GetMessage())
		bytes += held(all[n])
	}
	return n, bytes
}
