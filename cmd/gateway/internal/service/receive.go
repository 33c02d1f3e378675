// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// silence is how long a client's side of a stream that holds something may say nothing.
const silence = time.Minute

// receiver takes the messages of a client's stream, so that who waits for one can wait for something else too. Its goroutine ends when the
// handler has returned, for the stream is cut then.
type receiver[T any] struct {
	ctx      context.Context // of the stream
	messages chan received[T]
}

type received[T any] struct {
	msg T
	err error
}

// receive begins to receive. At most one message waits here.
func receive[T any](ctx context.Context, recv func() (T, error)) *receiver[T] {
	r := &receiver[T]{ctx: ctx, messages: make(chan received[T], 1)}
	go func() {
		for {
			msg, err := recv()
			select {
			case r.messages <- received[T]{msg, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return r
}

// within is the next message, or UNAVAILABLE when none came for that long, or stop was closed.
func (r *receiver[T]) within(limit time.Duration, stop <-chan struct{}) (T, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case got := <-r.messages:
		return got.msg, got.err
	case <-r.ctx.Done():
		return *new(T), errno.FromContext("", "", r.ctx)
	case <-stop:
		return *new(T), errno.New("", "", errno.Shutdown, "the gateway is going down; begin again with the one that follows it")
	case <-timer.C:
		return *new(T), errno.New("", "", errno.TimedOut, fmt.Sprintf("no message came for %v; begin again", limit))
	}
}
