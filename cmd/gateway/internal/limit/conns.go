// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/tarn-storage/tarn/cmd/internal/latency"
)

// Conns are the connections of a server: how many there are, in all and of each address, how many of them are still shaking hands, and
// which are idle. The zero value of a limit is none at all.
type Conns struct {
	Most       int // more wait to be accepted
	Handshakes int // more are closed at once; an address has at most as many as are left for others

	// Refusals counts how long it took from when the headers of a call were read until its refusal was written: for those that one write has,
	// as long as for the oldest.
	Refusals latency.Histogram

	Early atomic.Uint64 // calls that were refused before grpc saw them

	mu      sync.Mutex
	all     map[*Conn]struct{}
	origins map[netip.Addr]*origin // that have connections, or have not all of their credit
	shut    []*origin              // whose connections the kernel drops
	filters []synFilter            // of the listeners
	shaking int
}

// idleEnough is how long a connection was idle before it may be closed for another that waits.
const idleEnough = 10 * time.Second

var errHandshakes = errors.New("too many connections are shaking hands")

// Carrier is what an AuthInfo has to be, so that a call finds its connection.
type Carrier interface {
	Carry(net.Conn)
	Carried() net.Conn
}

// Credentials are credentials whose connections are Conns.
func (cs *Conns) Credentials(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return counting{inner, cs}
}

type counting struct {
	credentials.TransportCredentials
	conns *Conns
}

// ServerHandshake implements credentials.TransportCredentials.
func (c counting) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	addr, _ := addressOf(raw)
	a, ok := raw.(*arrived)
	if !ok { // it is of another listener
		from, wait, ok := c.conns.shake(addr, time.Now())
		if !ok {
			return nil, nil, errHandshakes
		}
		a = &arrived{from: from, wait: wait, shaken: func() { c.conns.shaken(from) }}
	}
	defer a.shaken()
	time.Sleep(a.wait)
	inner, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	conn := newConn(inner, strangerAt(addr), a.from, c.conns)
	c.conns.begin(conn)
	if carrier, ok := info.(Carrier); ok {
		carrier.Carry(conn)
	}
	return conn, info, nil
}

// Clone implements credentials.TransportCredentials.
func (c counting) Clone() credentials.TransportCredentials {
	return counting{c.TransportCredentials.Clone(), c.conns}
}

// strangerAt is the key of those who call from an address without saying who they are.
func strangerAt(addr netip.Addr) string {
	if addr == (netip.Addr{}) {
		return "none"
	}
	return "none:" + addr.String()
}

// Open is how many connections have shaken hands and are open.
func (cs *Conns) Open() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.all)
}

// CloseIdle closes the connections that are idle for so long.
func (cs *Conns) CloseIdle(d time.Duration) {
	for _, c := range cs.idle(time.Now(), d) {
		_ = c.Close() // the other side sees it
	}
}

func (cs *Conns) idle(now time.Time, d time.Duration) (all []*Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.all {
		if c.idle(now, d) {
			all = append(all, c)
		}
	}
	return all
}

// CallerOf is the caller of that context, by the name that its credential gave it, or by its address.
func CallerOf(ctx context.Context, name string, weight int64) Caller {
	c := Caller{Key: name, Weight: weight}
	if p, ok := peer.FromContext(ctx); ok {
		if carrier, ok := p.AuthInfo.(Carrier); ok {
			c.Conn, _ = carrier.Carried().(*Conn)
		}
	}
	if c.Key == "" && c.Conn != nil {
		c.Key = c.Conn.key
	}
	return c
}
