// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

const (
	sessionIdle  = time.Hour // without a call, before the stream ends
	sessionCalls = 1024      // of one session, under way at once
	sessionReads = 16        // calls that one goroutine makes one after the other
	sessionBytes = 256 << 10 // of answers in one message
)

// session is one stream of Session. One goroutine reads, one sends, and a few make the calls. Always true: a call holds a place among
// sessionCalls from when it was read until its answer was taken by the sender, so answers that a slow client does not take are bounded.
type session struct {
	*keyValues
	ctx     context.Context
	cancel  context.CancelCauseFunc
	places  chan struct{}
	answers chan *apiv1.SessionResult
	calls   sync.WaitGroup
	object  string // of the call before
}

func (s *keyValues) Session(stream grpc.BidiStreamingServer[apiv1.SessionRequest, apiv1.SessionResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	ss := &session{
		keyValues: s, ctx: ctx, cancel: cancel,
		places: make(chan struct{}, sessionCalls), answers: make(chan *apiv1.SessionResult, sessionCalls),
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		ss.send(stream)
	}()
	err := ss.read(stream)
	ss.calls.Wait()
	close(ss.answers)
	<-sent
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// read begins calls until the client has no more, the stream breaks, or the server goes down.
func (ss *session) read(stream grpc.BidiStreamingServer[apiv1.SessionRequest, apiv1.SessionResponse]) error {
	messages := receive(stream.Context(), stream.Recv)
	for ss.ctx.Err() == nil {
		msg, err := messages.within(sessionIdle, ss.Drain)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(msg.GetCalls()) > sessionCalls {
			return fault.Invalid("calls", "", "the message has %d calls; it can have %d", len(msg.GetCalls()), sessionCalls)
		}
		if err := ss.begin(msg.GetCalls()); err != nil {
			return err
		}
	}
	return nil
}

// begin begins the calls of one message: changes without a condition go together, as a batch shares one record of the log; the others in
// handfuls.
func (ss *session) begin(calls []*apiv1.SessionCall) error {
	var changes, others []*apiv1.SessionCall
	for _, c := range calls {
		select {
		case ss.places <- struct{}{}:
		case <-ss.ctx.Done():
			return nil
		}
		if c.GetObject() == "" {
			c.Object = ss.object
		}
		if c.GetObject() != ss.object && len(changes) > 0 {
			ss.do(changes, ss.change)
			changes = nil
		}
		ss.object = c.GetObject()
		if isPlainChange(c) {
			changes = append(changes, c)
		} else if others = append(others, c); len(others) == sessionReads {
			ss.do(others, ss.each)
			others = nil
		}
	}
	ss.do(changes, ss.change)
	ss.do(others, ss.each)
	return nil
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

func (ss *session) do(calls []*apiv1.SessionCall, how func([]*apiv1.SessionCall)) {
	if len(calls) > 0 {
		ss.calls.Go(func() { how(calls) })
	}
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
	answers := make([]apiv1.SessionResult, len(ok))
	for i, c := range ok {
		answers[i].Tag = c.GetTag()
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
		ss.answer(&answers[i])
	}
}

// What most changes are answered with; nobody changes them.
var (
	hasPut     = &apiv1.SessionResult_Put{Put: &apiv1.PutResponse{}}
	hasDeleted = &apiv1.SessionResult_Delete{Delete: &apiv1.DeleteResponse{}}
)

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
	case *apiv1.SessionCall_Get:
		resp, err := ss.Get(reading, &apiv1.GetRequest{Object: c.GetObject(), Key: call.Get.GetKey()})
		return &apiv1.SessionResult{Result: &apiv1.SessionResult_Get{Get: resp}}, err
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
func (ss *session) answer(r *apiv1.SessionResult) { ss.answers <- r }

// send sends answers, as many in one message as are there. When the stream is broken it goes on taking them.
func (ss *session) send(stream grpc.BidiStreamingServer[apiv1.SessionRequest, apiv1.SessionResponse]) {
	broken := false
	for first := range ss.answers {
		msg := ss.gather(first)
		if broken {
			continue
		}
		if err := stream.Send(msg); err != nil {
			broken = true
			ss.cancel(err)
		}
	}
}

func (ss *session) gather(first *apiv1.SessionResult) *apiv1.SessionResponse {
	msg := &apiv1.SessionResponse{Results: []*apiv1.SessionResult{first}}
	<-ss.places
	for size := proto.Size(first); size < sessionBytes; {
		select {
		case r, ok := <-ss.answers:
			if !ok {
				return msg
			}
			<-ss.places
			msg.Results, size = append(msg.Results, r), size+proto.Size(r)
		default:
			return msg
		}
	}
	return msg
}
