// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
	"github.com/tarn-storage/tarn/go/errno"
)

// call is a call that has ended.
type call struct {
	method      string
	begin       time.Time
	stream      bool
	req         any // what names the thing that it was about
	ownDeadline bool
}

// ended counts the call and returns its status. What an operator must know of is logged.
func (c *Calls) ended(ctx context.Context, done call, err error) error {
	took, st := time.Since(done.begin), fault.Status(err, done.ownDeadline)
	code := status.Code(st)
	c.Counts.running.Add(-1)
	c.Counts.add(done.method, done.stream, took, code)
	level := levelOf(code)
	logged := c.Log.Enabled(ctx, level)
	told := c.Watch.Wants(done.stream, took, code)
	if !logged && !told {
		return st
	}
	e := watch.Event{Time: done.begin, Method: done.method, Ref: watch.RefOf(done.req), Took: took, Code: code, ID: callerID(ctx)}
	if code != codes.OK {
		e.Reason = errno.CodeOf(err).Name()
	}
	if e.ID == "" && level > slog.LevelInfo { // the caller learns by which id the log has it
		e.ID = rand.Text()
		_ = grpc.SetTrailer(ctx, metadata.Pairs(requestID, e.ID)) // fails only when the call is over for its client
	}
	if logged {
		c.log(ctx, level, e, st)
	}
	if told {
		c.Watch.Add(done.stream, e)
	}
	return st
}

// levelOf says how much the end of a call matters: a defect and damage to all, what the caller can expect to nobody but who debugs.
func levelOf(code codes.Code) slog.Level {
	switch code {
	case codes.Internal, codes.DataLoss, codes.Unknown:
		return slog.LevelError
	}
	return slog.LevelDebug
}

func (c *Calls) log(ctx context.Context, level slog.Level, e watch.Event, st error) {
	attrs := []slog.Attr{slog.String("method", e.Method), slog.String("ref", e.Ref), slog.String("code", e.Code.String()),
		slog.Duration("took", e.Took)}
	if e.ID != "" {
		attrs = append(attrs, slog.String("request_id", e.ID))
	}
	what := "call"
	if level > slog.LevelDebug {
		what, attrs = "call failed", append(attrs, slog.String("reason", e.Reason), slog.Any("error", st))
	}
	c.Log.LogAttrs(ctx, level, what, attrs...)
}

// opening is a stream that remembers what its first message is about. A handler may end while a goroutine of its own still waits for that.
type opening struct {
	grpc.ServerStream
	about atomic.Pointer[string]
	begun bool
}

// RecvMsg is of one goroutine at a time, by the contract of grpc.
func (o *opening) RecvMsg(m any) error {
	err := o.ServerStream.RecvMsg(m)
	if !o.begun && err == nil {
		about := watch.RefOf(m)
		o.begun = true
		o.about.Store(&about)
	}
	return err
}

// GetObject names what the stream is about, as a request does.
func (o *opening) GetObject() string {
	if about := o.about.Load(); about != nil {
		return *about
	}
	return ""
}

func callerID(ctx context.Context) string {
	ids := metadata.ValueFromIncomingContext(ctx, requestID)
	if len(ids) != 1 || len(ids[0]) > requestIDMax {
		return ""
	}
	return ids[0]
}
