// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/wire"
)

const (
	callBytes    = 4096          // what any call holds, beyond its messages
	watchBytes   = 192 << 10     // what a watch holds of what the engine gave it, and on its way; for a large value it takes more
	valueBytes   = 64 << 10      // what a GetStream holds, beyond pieces of the value
	streamBytes  = 1<<20 + 1<<19 // what a stream holds: pieces of a value that are being read, sent and on their way, or collected
	replyBytes   = 1 << 10       // an answer from this size on is counted until it has left
	requestID    = "x-request-id"
	requestIDMax = 128
)

// Calls are the interceptors of the gateway. Each call passes, from the outside: the echo of its request id, the mapping of its error
// to a status, the containment of a panic, its deadline, and the gate, where its place was taken by Tap.
type Calls struct {
	Gate    *Gate
	Timeout time.Duration   // of a unary call whose caller set none
	Drain   <-chan struct{} // closed when the server goes down: ends the streams that have no end of their own
	Log     *slog.Logger
	Counts  Counts
	Watch   *watch.Log // remembers the slowest calls and recent errors

	streams map[string]bool // by method: whether it holds what a stream holds
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

// HeardUnary is a grpc.UnaryServerInterceptor, before all others: the message has come, and was not too large.
func HeardUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	heard(ctx)
	return handler(ctx, req)
}

// HeardStream is a grpc.StreamServerInterceptor, before all others: what comes is between the client and the handler.
func HeardStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	heard(ss.Context())
	return handler(srv, ss)
}

func heard(ctx context.Context) {
	if t := ticketOf(ctx); t != nil {
		t.heard.Store(true)
	}
}

// begin makes the handler of a call one of those who hold its place; the caller calls end when it has returned.
func begin(ctx context.Context) (t *Ticket, end func(), err error) {
	t = ticketOf(ctx)
	switch {
	case t == nil:
		return nil, nil, errno.New("", "", errno.Misc, "the call has no place in the gate") // a defect: the server has no tap
	case t.late:
		return nil, nil, refusal()
	case !t.hold():
		return nil, nil, errno.FromContext("", "", ctx)
	}
	t.waits(0)
	return t, func() {
		if t.unhook() {
			t.drop() // what the end of the context would do, without a goroutine
		}
		t.drop()
	}, nil
}

func (c *Calls) admitted(ctx context.Context, req any, method string, handler grpc.UnaryHandler) (resp any, err error) {
	t, end, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	t.keeps = true
	if m, ok := req.(proto.Message); ok {
		if err := t.take(int64(wire.Weight(m))); err != nil {
			return nil, err
		}
	}
	defer Contain(c.Log, method, &err)
	resp, err = handler(ctx, req)
	if err == nil {
		resp = t.deliver(resp)
	}
	return resp, err
}

// deliver counts an answer until the connection has taken it: a client that does not read it keeps its place.
func (t *Ticket) deliver(resp any) any {
	m, ok := resp.(proto.Message)
	if !ok {
		return resp
	}
	size := wire.Size(m)
	if size < replyBytes || !t.hold() {
		return resp
	}
	t.answers(int64(size))
	t.waits(delivering)
	return &wire.Held{Message: m, Free: t.drop}
}

// told is a message of a stream that keeps its place until it has left: the handler may have returned long before a client takes what it sent.
func (t *Ticket) told(m any) any {
	if sizeOf(m) < replyBytes || !t.hold() {
		return m
	}
	switch m := m.(type) {
	case *wire.Chunk:
		return m.Told(t.drop)
	case proto.Message:
		return &wire.Held{Message: m, Free: t.drop}
	}
	t.drop() // it is of another codec
	return m
}

// abandon gives the place back when the client has reset the stream before its handler returned. grpc drops what it sent then, but does not
// let go of what comes just behind the reset. A deadline, or a context that the server has ended, is no reason: what was sent may still wait.
func (t *Ticket) abandon(ctx context.Context) {
	if context.Cause(ctx) == context.Canceled {
		t.end()
	}
}

// Deliver sends a message of a stream, and returns when the client had room for it and the connection has it. While it waits the call counts as
// one whose client takes nothing.
func Deliver(stream grpc.ServerStream, m proto.Message) error {
	ctx, taken := stream.Context(), make(chan struct{})
	if err := stream.SendMsg(&wire.Held{Message: m, Few: true, Free: sync.OnceFunc(func() { close(taken) })}); err != nil {
		return err
	}
	if t := ticketOf(ctx); t != nil {
		t.waits(sending)
		defer t.waits(0)
	}
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return errno.FromContext("", "", ctx)
	}
}

// Stream is a grpc.StreamServerInterceptor.
func (c *Calls) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if id := idOf(ss.Context()); id != nil {
		_ = ss.SetHeader(id)
	}
	if endless[info.FullMethod] {
		return c.untilDrain(srv, ss, handler)
	}
	begin := time.Now()
	c.Counts.running.Add(1)
	first := &opening{ServerStream: ss}
	err := c.admittedStream(srv, first, info.FullMethod, handler)
	return c.ended(ss.Context(), call{method: info.FullMethod, begin: begin, stream: true, req: first}, err)
}

// untilDrain lets a stream last as long as the client and the server like.
func (c *Calls) untilDrain(srv any, ss grpc.ServerStream, handler grpc.StreamHandler) error {
	_, end, err := begin(ss.Context())
	if err != nil {
		return errFull()
	}
	defer end()
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

func (c *Calls) admittedStream(srv any, ss grpc.ServerStream, method string, handler grpc.StreamHandler) (err error) {
	t, end, err := begin(ss.Context())
	if err != nil {
		return err
	}
	defer end()
	defer t.abandon(ss.Context())
	defer t.waits(delivering) // what it has sent
	defer Contain(c.Log, method, &err)
	return handler(srv, &counted{ServerStream: ss, ticket: t, base: c.bytesOf(method), watched: !quiet[method], every: strict[method]})
}

// counted is a stream whose messages count for its place, and whose client may not stall for ever.
type counted struct {
	grpc.ServerStream
	ticket  *Ticket
	base    int64 // bytes that it has from the beginning
	watched bool  // the next message must come within arriveMax
	every   bool  // and those after it
	last    int64 // bytes of the message before: the handler may still use it
	extra   int64 // what the two last messages hold beyond base
}

// RecvMsg implements grpc.ServerStream.
func (s *counted) RecvMsg(m any) error {
	if s.watched {
		s.ticket.waits(arriving)
	}
	err := s.ServerStream.RecvMsg(m)
	if s.watched {
		s.ticket.waits(0)
		s.watched = s.every
	}
	if err != nil {
		return err
	}
	return s.count(sizeOf(m))
}

// count takes what this message and the one before need beyond what every stream has.
func (s *counted) count(n int64) error {
	extra := max(s.last+n-s.base, 0)
	s.last = n
	if more := extra - s.extra; more > 0 {
		if err := s.ticket.take(more); err != nil {
			return err
		}
	} else if more < 0 {
		s.ticket.give(-more)
	}
	s.extra = extra
	return nil
}

func sizeOf(m any) int64 {
	switch m := m.(type) {
	case *wire.Received:
		if m.IsData {
			return int64(m.Data.Len())
		}
		return int64(proto.Size(m.Message))
	case *wire.Calls:
		return int64(m.Size)
	case *wire.Chunk:
		return int64(m.Data.Len())
	case proto.Message:
		return int64(wire.Size(m))
	}
	return 0
}

// SendMsg implements grpc.ServerStream.
func (s *counted) SendMsg(m any) error {
	s.ticket.waits(sending)
	err := s.ServerStream.SendMsg(s.ticket.told(m))
	s.ticket.waits(0)
	return err
}

// Contain is deferred: it turns a panic of what works for a caller into its error, and logs it.
func Contain(log *slog.Logger, method string, err *error) {
	if p := recover(); p != nil {
		log.Error("panic", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = errno.New("", "", errno.Misc, "the server met a defect of its own; please report what its log says")
	}
}

// endless are the streams that last as long as the client likes, and therefore end when the server goes down.
var endless = map[string]bool{"/grpc.health.v1.Health/Watch": true}

// quiet are the streams whose clients may open them long before they use them; strict those whose handlers wait for each message without a
// limit of their own.
var (
	quiet  = map[string]bool{apiv1.KeyValueService_Session_FullMethodName: true}
	strict = map[string]bool{apiv1.DeviceService_WriteDevice_FullMethodName: true}
)

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
