// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// Calls that hold several operations, each of which happens by itself: each is an operation of the history, from the beginning of the call
// to its own answer.

// batch is a BatchPut or a BatchGet of every key.
func (c *client) batch(ctx context.Context) (gone bool) {
	if c.random.IntN(2) == 0 {
		return c.batchGet(ctx)
	}
	cond := c.random.IntN(revision)
	req := &apiv1.BatchPutRequest{Object: object, Condition: apiv1.Condition(cond)}
	var ins []input
	for key := range places {
		st := step{key: key, what: "put", text: c.text(key), cond: cond}
		ins = append(ins, input{rpc: "BatchPut", success: []step{st}})
		req.Entries = append(req.Entries, &apiv1.PutEntry{Key: c.key(key), Value: []byte(st.text)})
	}
	call := c.now()
	resp, err := c.stub.BatchPut(ctx, req)
	for i, in := range ins {
		one := err
		if err == nil {
			one = errorOf(resp.GetResults()[i].GetError())
		}
		gone = c.note(in, output{}, one, call) || gone
	}
	return gone
}

func (c *client) batchGet(ctx context.Context) (gone bool) {
	req := &apiv1.BatchGetRequest{Object: object}
	for key := range places {
		req.Keys = append(req.Keys, c.key(key))
	}
	call := c.now()
	resp, err := c.stub.BatchGet(ctx, req)
	for key := range places {
		out, one := output{}, err
		if err == nil {
			r := resp.GetResults()[key]
			out, one = got(r.GetValue(), errorOf(r.GetError()))
		}
		gone = c.note(input{rpc: "BatchGet", success: []step{{key: key, what: "get"}}}, out, one, call) || gone
	}
	return gone
}

// errorOf is the error of one key as that of a call.
func errorOf(e *apiv1.KeyError) error {
	if e == nil {
		return nil
	}
	return status.Error(codes.Code(e.GetCode()), e.GetReason())
}

// session makes a few calls at once on a stream.
func (c *client) session(ctx context.Context) (gone bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	msg, ins := c.sessionCalls()
	call, answered := c.now(), make([]bool, len(ins))
	stream, err := c.stub.Session(ctx)
	if err == nil {
		err = stream.Send(msg)
	}
	for left := len(ins); left > 0 && stream != nil; {
		var resp *apiv1.SessionResponse
		if resp, err = stream.Recv(); err != nil {
			break
		}
		for _, r := range resp.GetResults() {
			c.sessionAnswer(ins[r.GetTag()], r, call)
			answered[r.GetTag()] = true
			left--
		}
	}
	for i, done := range answered {
		if !done {
			gone = c.note(ins[i], output{}, err, call) || gone
		}
	}
	return gone
}

func (c *client) sessionAnswer(in input, r *apiv1.SessionResult, call int64) {
	out, err := output{}, errorOf(r.GetError())
	if in.success[0].what == "get" {
		out, err = got(r.GetGet().GetValue(), err)
	}
	c.note(in, out, err, call)
}

func (c *client) sessionCalls() (*apiv1.SessionRequest, []input) {
	msg, ins := &apiv1.SessionRequest{}, []input{}
	for key := range places {
		st := c.change(key)
		call := &apiv1.SessionCall{Tag: uint64(key), Object: object}
		cond := apiv1.Condition(st.cond)
		switch {
		case c.random.IntN(2) == 0:
			st = step{key: key, what: "get"}
			call.Call = &apiv1.SessionCall_Get{Get: &apiv1.GetRequest{Key: c.key(key)}}
		case st.what == "delete":
			call.Call = &apiv1.SessionCall_Delete{Delete: &apiv1.DeleteRequest{Key: c.key(key), Condition: cond, Revision: c.revision(st)}}
		default:
			call.Call = &apiv1.SessionCall_Put{Put: &apiv1.PutRequest{Key: c.key(key), Value: []byte(st.text), Condition: cond, Revision: c.revision(st)}}
		}
		msg.Calls, ins = append(msg.Calls, call), append(ins, input{rpc: "Session", success: []step{st}})
	}
	return msg, ins
}
