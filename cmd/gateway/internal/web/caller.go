// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/go/errno"
)

// pipes is a listener whose connections come from this process.
type pipes struct {
	addr net.Addr
	next chan net.Conn
	done chan struct{}
	once sync.Once
}

func newPipes(addr net.Addr) *pipes {
	return &pipes{addr: addr, next: make(chan net.Conn), done: make(chan struct{})}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.next:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It may be called again.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return p.addr }

// connect gives the server its end of a new pipe, and returns the other one.
func (p *pipes) connect(ctx context.Context, relay *auth.Relay) (net.Conn, error) {
	near, far := relay.Pipe()
	select {
	case p.next <- far:
		return near, nil
	case <-p.done:
	case <-ctx.Done():
	}
	_ = near.Close() // nobody has the other end
	return nil, errno.New("", "", errno.Shutdown, "the gateway is going down")
}

// caller is one connection over HTTP, and what makes its calls. It is safe for concurrent use.
type caller struct {
	front net.Conn
	guard *auth.Guard
	pipes *pipes

	mu     sync.Mutex
	relay  *auth.Relay      // nil before the first request
	conn   *grpc.ClientConn // nil before the first call
	closed bool
}

// of is the relay of the connection. The first request asks for it: the handshake is done then.
func (c *caller) of() *auth.Relay {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.relay == nil {
		c.relay = c.guard.Relay(c.front)
	}
	return c.relay
}

// client is what calls go through. One pipe at a time is behind it, and a new one when the server has closed that.
func (c *caller) client() (*grpc.ClientConn, error) {
	relay := c.of()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil || c.closed {
		return c.conn, nil
	}
	var err error
	c.conn, err = grpc.NewClient("passthrough:///pipe",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.pipes.connect(ctx, relay) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a pipe within this process
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(answerMax)),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithReadBufferSize(pipeBuffer), grpc.WithWriteBufferSize(pipeBuffer))
	return c.conn, err
}

const (
	answerMax  = 8 << 20 // a message of an answer: gRPC's own clients take 4 MiB unless they say otherwise
	pipeBuffer = 8 << 10
)

func (c *caller) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		_ = c.conn.Close() // only when it was closed before
	}
}

// relays is what the generated routes call. It passes each call on to the caller whose it is, with names as the RPCs have them.
type relays struct{}

// Invoke implements grpc.ClientConnInterface.
func (relays) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if err := plain(args.(proto.Message)); err != nil {
		return err
	}
	conn, err := clientOf(ctx)
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (relays) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := clientOf(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := conn.NewStream(ctx, desc, method, opts...)
	return relayedStream{stream}, err
}

type relayedStream struct{ grpc.ClientStream }

// SendMsg implements grpc.ClientStream.
func (s relayedStream) SendMsg(m any) error {
	if err := plain(m.(proto.Message)); err != nil {
		return err
	}
	return s.ClientStream.SendMsg(m)
}

func clientOf(ctx context.Context) (*grpc.ClientConn, error) {
	c, ok := ctx.Value(callerKey{}).(*caller)
	if ok {
		if conn, err := c.client(); conn != nil || err != nil {
			return conn, err
		}
	}
	return nil, errno.New("", "", errno.Shutdown, "the connection of the request is closed")
}
