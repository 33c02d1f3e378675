// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// talk is one Session: so many messages of so many calls are under way at once. A tag is the number of its message's place, and of the
// call in it.
type talk struct {
	way      *way
	object   string
	get      bool
	messages int
	calls    int
}

type place struct {
	begin time.Time
	left  int // answers that have not come
}

type sessionStream = grpc.BidiStreamingClient[apiv1.SessionRequest, apiv1.SessionResponse]

// run is a job.
func (t talk) run(ctx context.Context, until time.Time) (*meter, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := t.way.kv.Session(ctx)
	if err != nil {
		return nil, err
	}
	places := make([]place, t.messages)
	free := make(chan int, t.messages)
	for i := range places {
		free <- i
	}
	sent := make(chan error, 1)
	go func() { sent <- t.send(stream, places, free, until) }()
	m, err := t.receive(stream, places, free)
	cancel()
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	return m, err
}

// send sends messages as places become free, one at least, and then says that there are no more.
func (t talk) send(stream sessionStream, places []place, free <-chan int, until time.Time) error {
	for {
		var i int
		select {
		case i = <-free:
		case <-stream.Context().Done():
			return nil // the receiver knows why
		}
		places[i] = place{time.Now(), t.calls}
		if err := stream.Send(t.message(i)); err != nil {
			return nil
		}
		if !time.Now().Before(until) {
			return stream.CloseSend()
		}
	}
}

func (t talk) message(i int) *apiv1.SessionRequest {
	msg := &apiv1.SessionRequest{Calls: make([]*apiv1.SessionCall, t.calls)}
	for j, key := range t.way.run.data.some(t.calls) {
		c := &apiv1.SessionCall{Tag: uint64(i), Object: t.object}
		if t.get {
			c.Call = &apiv1.SessionCall_Get{Get: &apiv1.GetRequest{Key: key}}
		} else {
			c.Call = &apiv1.SessionCall_Put{Put: &apiv1.PutRequest{Key: key, Value: t.way.run.data.val}}
		}
		msg.Calls[j] = c
	}
	return msg
}

func (t talk) receive(stream sessionStream, places []place, free chan<- int) (*meter, error) {
	m := &meter{}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		for _, r := range msg.GetResults() {
			if r.GetError() != nil {
				return m, errors.New(r.GetError().GetMessage())
			}
			p := &places[r.GetTag()]
			if p.left--; p.left == 0 {
				m.add(t.calls, time.Since(p.begin))
				free <- int(r.GetTag())
			}
		}
	}
}

func (w *way) sessions() *group {
	calls := min(batchKeys, len(w.run.data.keys))
	cell := func(name string, t talk) *measured {
		t.way = w
		if t.calls > 1 {
			name = fmt.Sprintf("%s, %d in a message", name, t.calls)
		}
		return w.cell(name, t.messages, "keys", t.run)
	}
	durable, relaxed := w.run.object(system.Durable), w.run.object(system.Relaxed)
	return w.run.longer("sessions",
		cell("put", talk{object: durable, messages: 1, calls: 1}), cell("put", talk{object: durable, messages: 16, calls: 1}),
		cell("put", talk{object: durable, messages: 256, calls: 1}), cell("put", talk{object: durable, messages: 10, calls: calls}),
		cell("put relaxed", talk{object: relaxed, messages: 10, calls: calls}),
		cell("get", talk{object: durable, get: true, messages: 256, calls: 1}),
		cell("get", talk{object: durable, get: true, messages: 10, calls: calls}))
}
