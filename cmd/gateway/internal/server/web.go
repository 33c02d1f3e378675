// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/net/netutil"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/web"
)

// listenHTTP listens on the address for HTTP, if there is one, by the rules of the others.
func (s *Server) listenHTTP() error {
	if s.cfg.HTTP == "" {
		return nil
	}
	l, err := net.Listen("tcp", s.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("address for HTTP: %w", err)
	}
	bounded := netutil.LimitListener(limit.PerAddress(l, s.cfg.PerAddress), s.cfg.Connections)
	s.web, err = web.New(web.Config{Listener: bounded, Guard: s.guard, Room: room{s.gate}})
	return err
}

// room is the gate, for what requests hold before they are calls.
type room struct{ gate *limit.Gate }

func (r room) Take(bytes int64) error { return r.gate.Take(context.Background(), bytes) }
func (r room) Give(bytes int64)       { r.gate.Give(context.Background(), bytes) }

// serveHTTP serves HTTP, and its calls.
func (s *Server) serveHTTP() {
	if s.web == nil {
		return
	}
	go s.report(func() error { return s.grpc.Serve(s.web.Pipes()) })
	go s.report(s.web.Serve)
}

func (s *Server) report(serve func() error) {
	if err := serve(); err != nil {
		s.failed <- err
	}
}

// stopHTTP begins to stop HTTP: the channel is closed when that is done.
func (s *Server) stopHTTP() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.web == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.cfg.StopTimeout)
		defer cancel()
		s.web.Stop(ctx)
	}()
	return done
}

// HTTP is the address that serves HTTP, with its real port; "" when there is none.
func (s *Server) HTTP() string {
	if s.web == nil {
		return ""
	}
	return s.web.Addr()
}
