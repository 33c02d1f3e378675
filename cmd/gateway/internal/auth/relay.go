// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Relay is a connection that speaks another protocol, HTTP, and whose calls reach the gateway through pipes. Each pipe is to the Guard what
// the connection itself would be: the same address, the same certificates, the same checks, and revocation cuts the connection.
type Relay struct {
	g     *Guard
	front net.Conn
	own   *connection // that no pipe has
}

// Relay is the relay of a connection whose handshake, when it has one, is done.
func (g *Guard) Relay(front net.Conn) *Relay {
	r := &Relay{g: g, front: front}
	r.own = r.connection()
	return r
}

// connection is what is known of the connection.
func (r *Relay) connection() *connection {
	c := &connection{raw: r.front, kind: "none"}
	c.SecurityLevel = credentials.NoSecurity
	if r.g.anonymous != 0 {
		c.plain = &Identity{Kind: "none", Roles: r.g.anonymous}
	}
	if secure, ok := r.front.(*tls.Conn); ok {
		c.raw, c.kind = secure.NetConn(), "tls" // closing TLS itself can wait for who does not read
		c.certs = secure.ConnectionState().PeerCertificates
		c.SecurityLevel = credentials.PrivacyAndIntegrity
	}
	return c
}

// Pipe is a new pipe: the client's end, and the end that a server with the Guard's credentials accepts.
func (r *Relay) Pipe() (client, server net.Conn) {
	client, server = net.Pipe()
	return client, &relayed{server, r}
}

// relayed is the server's end of a pipe. Nobody outside this process can make one.
type relayed struct {
	net.Conn
	relay *Relay
}

// RemoteAddr implements net.Conn: it is that of who connected.
func (r *relayed) RemoteAddr() net.Addr { return r.relay.front.RemoteAddr() }

// LocalAddr implements net.Conn.
func (r *relayed) LocalAddr() net.Addr { return r.relay.front.LocalAddr() }

// Known says whether a call with those headers comes from somebody known, before anything else of it is read. It is what Tap says when
// the call arrives, and is audited like that.
func (r *Relay) Known(ctx context.Context, method string, headers metadata.MD) error {
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: r.front.RemoteAddr(), AuthInfo: r.own})
	ctx = metadata.NewIncomingContext(ctx, headers)
	_, err := r.g.Tap(ctx, method, false)
	return err
}

// TLS is the configuration of a listener for another protocol than gRPC, with the files of now; nil without a certificate.
func (g *Guard) TLS(protocols ...string) *tls.Config {
	if g.state.Load().tls == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			c := g.state.Load().tls.Clone()
			c.NextProtos = protocols
			endTurn(c, hello.Conn)
			return c, nil
		},
	}
}

// Complaints is a logger of what goes wrong on connections. It says a few things each second and leaves out the others: strangers can
// make as many as they like.
func (g *Guard) Complaints() *log.Logger { return log.New(complaints{g}, "", 0) }

type complaints struct{ g *Guard }

// Write implements io.Writer.
func (c complaints) Write(text []byte) (int, error) {
	if c.g.logged.allow(time.Now()) {
		c.g.cfg.Log.Warn("connection", "error", string(text[:max(len(text)-1, 0)]))
	}
	return len(text), nil
}
