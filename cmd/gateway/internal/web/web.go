// SPDX-License-Identifier: Apache-2.0

// Package web serves the unary RPCs and scans over HTTP and JSON: grpc-gateway translates, by the rules of proto/tarn/v1/http.yaml.
//
// Always true: what arrives here becomes a gRPC call of this gateway, on a pipe that belongs to the connection, and passes everything
// that such a call passes: credentials, roles, limits, the audit log, the counts. Nothing here decides who may do what, and nothing here
// has the system in its hands. No body is read before its caller is known and there is room for it.
//
// What is added is for browsers, through which a page from elsewhere could speak in the name of their user: a request that a page makes
// across origins is refused if it changes something, and no answer may be read across origins. A loopback address without TLS answers to
// localhost and to numbers only.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
)

const (
	// bodyMax holds the largest request message with its bytes in base64.
	bodyMax = 6 << 20
	// headerMax is below what gRPC takes, so that what is passed on fits. net/http adds 4 KiB of its own.
	headerMax   = 8 << 10
	headersTime = 5 * time.Second // the handshake, and the headers
	bodyTime    = time.Minute
	writeTime   = time.Minute // for each piece of an answer
	idleTime    = 2 * time.Minute
)

// Room bounds the memory that requests hold together. Take is an error when there is not so much.
type Room interface {
	Take(bytes int64) error
	Give(bytes int64)
}

// Config says what is served.
type Config struct {
	Listener net.Listener // bounded by the caller: connections in all and by address
	Guard    *auth.Guard
	Room     Room
}

// Server serves HTTP. Its calls arrive at Pipes, which a gRPC server with the Guard's credentials must serve.
type Server struct {
	cfg   Config
	http  http.Server
	mux   *runtime.ServeMux
	pipes *pipes
	local bool // the address is the loopback's, and without TLS

	mu      sync.Mutex
	callers map[net.Conn]*caller
}

// New returns a server that has not begun to serve. It owns the listener then.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, pipes: newPipes(cfg.Listener.Addr()), callers: map[net.Conn]*caller{}}
	mux, err := s.newMux()
	if err != nil {
		return nil, err
	}
	s.mux = mux
	s.http = http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headersTime, ReadTimeout: bodyTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerMax, ErrorLog: cfg.Guard.Complaints(), ConnContext: s.arrived, ConnState: s.changed,
	}
	s.http.Protocols = new(http.Protocols)
	s.http.Protocols.SetHTTP1(true) // one call at a time on a connection: what HTTP/2 has to be guarded against is not there
	if secure := cfg.Guard.TLS("http/1.1"); secure != nil {
		s.cfg.Listener = tls.NewListener(cfg.Guard.Turns(cfg.Listener), secure)
	} else {
		s.local = isLoopback(cfg.Listener.Addr())
	}
	return s, nil
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Addr is the address that is listened on, with its real port.
func (s *Server) Addr() string { return s.cfg.Listener.Addr().String() }

// Pipes is where the calls arrive.
func (s *Server) Pipes() net.Listener { return s.pipes }

// Serve serves until Stop; then it returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.cfg.Listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Stop takes no more requests, waits for those that run until ctx ends, and cuts the others.
func (s *Server) Stop(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // what was left is cut
	}
	_ = s.cfg.Listener.Close() // when it was never served
	_ = s.pipes.Close()        // which cannot fail
}

type callerKey struct{}

// arrived gives a new connection its caller.
func (s *Server) arrived(ctx context.Context, conn net.Conn) context.Context {
	c := &caller{front: conn, guard: s.cfg.Guard, pipes: s.pipes}
	s.mu.Lock()
	s.callers[conn] = c
	s.mu.Unlock()
	return context.WithValue(ctx, callerKey{}, c)
}

// changed takes the caller of a connection that ended away.
func (s *Server) changed(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	s.mu.Lock()
	c := s.callers[conn]
	delete(s.callers, conn)
	s.mu.Unlock()
	if c != nil {
		c.close()
	}
}
