// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/wire"
)

const (
	callBytes    = 4096          // what any call holds, beyond its messages
	streamBytes  = 1<<20 + 1<<19 // what a stream holds: pieces of a value that are being read, sent and on their way, or collected
	requestID    = "x-request-id"
	requestIDMax = 128
)

// Calls are the interceptors of the gateway. Each call passes, from the outside: the echo of its request id, the mapping of its error
// to a status, the containment of a panic, its deadline, and the gate.
type Calls struct {
	Gate    *Gate
	Timeout time.Duration   // of a unary call whose caller set none
	Drain   <-chan struct{} // closed when the server goes down: ends the streams that have no end of their own
	Log     *slog.Logger
	Counts  Counts
	Watch   *watch.Log // remembers the slowest calls and recent errors
}

// Unary is a grpc.UnaryServerInterceptor.
func (c *Calls) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if id := idOf(ctx); id != nil {
		_ = grpc.SetHeader(ctx, id) // fails only when headers were sent, which no unary handler does
	}
	_, callers := ctx.Deadline()
	if !callers {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	begin := time.Now()
	c.Counts.running.Add(1)
	resp, err := c.admitted(ctx, req, info.FullMethod, handler)
	return resp, c.ended(ctx, call{method: info.FullMethod, begin: begin, req: req, ownDeadline: !callers}, err)
}

func (c *Calls) admitted(ctx context.Context, req any, method string, handler grpc.UnaryHandler) (resp any, err error) {
	bytes := int64(callBytes)
	if m, ok := req.(proto.Message); ok {
		bytes += int64(wire.Size(m))
	}
	if err := c.Gate.Take(bytes); err != nil {
		return nil, err
	}
	defer c.Gate.Give(bytes)
	defer c.contain(method, &err)
	return handler(ctx, req)
}

// Stream is a grpc.StreamServerInterceptor.
func (c *Calls) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if id := idOf(ss.Context()); id != nil {
		_ = ss.SetHeader(id)
	}
	if endless[info.FullMethod] {
		ctx, cancel := context.WithCancel(ss.Context())
		defer cancel()
		go func() {
			select {
			case <-c.Drain:
				cancel()
			case <-ctx.Done():
			}
		}()
		return handler(srv, &drained{ServerStream: ss, ctx: ctx})
	}
	begin := time.Now()
	c.Counts.running.Add(1)
	first := &opening{ServerStream: ss}
	err := c.admittedStream(srv, first, info.FullMethod, handler)
	return c.ended(ss.Context(), call{method: info.FullMethod, begin: begin, stream: true, req: first}, err)
}

func (c *Calls) admittedStream(srv any, ss grpc.ServerStream, method string, handler grpc.StreamHandler) (err error) {
	if err := c.Gate.Take(streamBytes); err != nil {
		return err
	}
	defer c.Gate.Give(streamBytes)
	defer c.contain(method, &err)
	return handler(srv, ss)
}

// contain turns a panic of a handler into the error of its call.
func (c *Calls) contain(method string, err *error) {
	if p := recover(); p != nil {
		c.Log.Error("panic", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = errno.New("", "", errno.Misc, "the server met a defect of its own; please report what its log says")
	}
}

// endless are the streams that last as long as the client likes, and therefore end when the server goes down.
var endless = map[string]bool{"/grpc.health.v1.Health/Watch": true}

// drained is a stream whose context ends when the server goes down.
type drained struct {
	grpc.ServerStream
	ctx context.Context
}

func (d *drained) Context() context.Context { return d.ctx }

// idOf is the caller's request id, to be sent back; nil when there is none.
func idOf(ctx context.Context) metadata.MD {
	ids := metadata.ValueFromIncomingContext(ctx, requestID)
	if len(ids) != 1 || len(ids[0]) > requestIDMax {
		return nil
	}
	return metadata.Pairs(requestID, ids[0])
}
