// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/tarn-storage/tarn/cmd/internal/role"
)

// connection is what is known of a connection. It is the AuthInfo of its calls.
type connection struct {
	credentials.CommonAuthInfo
	raw   net.Conn            // closing it cuts every call
	kind  string              // "unix", "none", or "tls"
	certs []*x509.Certificate // that the client showed
	plain *Identity           // when it showed none

	carried net.Conn // what grpc reads

	mu         sync.Mutex
	generation uint64 // of the state that known and err are of
	until      time.Time
	known      *Identity
	err        error
}

// AuthType implements credentials.AuthInfo.
func (c *connection) AuthType() string { return c.kind }

// identity is who is at the other end. What was found is used until the files change, and for a second at most: certificates expire.
func (c *connection) identity(s *state, now time.Time) (*Identity, error) {
	if len(c.certs) == 0 {
		if c.plain == nil {
			return nil, noCredential()
		}
		return c.plain, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != s.generation || now.After(c.until) {
		c.generation, c.until = s.generation, now.Add(time.Second)
		c.known, c.err = c.look(s, now)
	}
	return c.known, c.err
}

func (c *connection) look(s *state, now time.Time) (*Identity, error) {
	if err := s.verify(c.certs, now); err != nil {
		return nil, badCert(err)
	}
	if c.known != nil {
		return c.known, nil
	}
	return byCert(c.certs)
}

// handshakeTime is how long a handshake of TLS may take, with waiting for its turns.
const handshakeTime = 5 * time.Second

// handshaker makes connections: with TLS over TCP when there is a certificate.
type handshaker struct{ g *Guard }

// Credentials are the server's side of every listener.
func (g *Guard) Credentials() credentials.TransportCredentials { return handshaker{g} }

// ServerHandshake implements credentials.TransportCredentials.
func (h handshaker) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if pipe, ok := raw.(*relayed); ok {
		return raw, pipe.relay.connection(), nil
	}
	c := &connection{raw: raw, kind: "none"}
	if addr, ok := raw.RemoteAddr().(*peerAddr); ok {
		c.kind, c.plain = "unix", &Identity{Kind: "unix", Name: addr.name, Roles: role.All}
		c.SecurityLevel = credentials.PrivacyAndIntegrity
		return raw, c, nil
	}
	if h.g.anonymous != 0 {
		c.plain = &Identity{Kind: "none", Roles: h.g.anonymous}
	}
	if h.g.state.Load().tls == nil {
		c.SecurityLevel = credentials.NoSecurity
		return raw, c, nil
	}
	return h.secure(raw, c)
}

func (h handshaker) secure(raw net.Conn, c *connection) (net.Conn, credentials.AuthInfo, error) {
	inner := credentials.NewTLS(&tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return h.g.state.Load().tls, nil },
	})
	shaking := h.g.turns.begin(raw, handshakeTime)
	conn, info, err := inner.ServerHandshake(shaking)
	shaking.end()
	if err != nil {
		h.g.handshakeRefused(raw, err)
		return nil, nil, err
	}
	c.kind, c.certs = "tls", info.(credentials.TLSInfo).State.PeerCertificates
	c.SecurityLevel = credentials.PrivacyAndIntegrity
	return conn, c, nil
}

// handshakeRefused logs a client that could not connect, but no more than a few each second.
func (g *Guard) handshakeRefused(raw net.Conn, err error) {
	if g.logged.allow(time.Now()) {
		g.cfg.Log.Warn("handshake refused", "from", raw.RemoteAddr().String(), "error", err)
	}
}

// ClientHandshake implements credentials.TransportCredentials: a server has none.
func (handshaker) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these are the credentials of a server")
}

// Info implements credentials.TransportCredentials.
func (h handshaker) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls", SecurityVersion: "1.3"}
}

// Clone implements credentials.TransportCredentials.
func (h handshaker) Clone() credentials.TransportCredentials { return h }

// OverrideServerName implements credentials.TransportCredentials.
func (handshaker) OverrideServerName(string) error { return nil }

// peerAddr is the address of a client of the Unix socket whose user was checked.
type peerAddr struct {
	net.Addr
	name string
}

// peers is a listener on a Unix socket that takes connections of the gateway's own user, and of root.
type peers struct {
	*net.UnixListener
	g *Guard
}

// Peers checks who connects to a Unix socket; other listeners are returned as they are.
func (g *Guard) Peers(l net.Listener) net.Listener {
	if unix, ok := l.(*net.UnixListener); ok {
		return peers{unix, g}
	}
	return l
}

// Accept implements net.Listener.
func (p peers) Accept() (net.Conn, error) {
	for {
		conn, err := p.AcceptUnix()
		if err != nil {
			return nil, err
		}
		name, err := peerOf(conn)
		if err == nil {
			return &peerConn{conn, &peerAddr{conn.RemoteAddr(), name}}, nil
		}
		p.g.handshakeRefused(conn, err)
		_ = conn.Close() // nothing was sent yet
	}
}

// peerConn is a connection whose remote address tells the user.
type peerConn struct {
	*net.UnixConn
	addr *peerAddr
}

// RemoteAddr implements net.Conn.
func (c *peerConn) RemoteAddr() net.Addr { return c.addr }

// peerOf is the name of the user at the other end, who must be the gateway's own or root.
func peerOf(conn *net.UnixConn) (string, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "", err
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return "", err
	}
	return userName(cred.Uid, os.Geteuid())
}

// userName is a number: to look its name up may ask another machine, and this happens for each connection.
func userName(uid uint32, own int) (string, error) {
	if uid != 0 && int(uid) != own {
		return "", fmt.Errorf("user %d may not use the socket of user %d", uid, own)
	}
	return strconv.Itoa(int(uid)), nil
}
