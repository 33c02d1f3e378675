// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// turns are the handshakes that compute at once: as many as there are processors, less one. A handshake of TLS costs as much as dozens of calls,
// and whoever can connect may ask for one; so what is computed for strangers waits in a queue, and calls do not wait for all of it.
type turns chan struct{}

func newTurns() turns { return make(turns, max(runtime.GOMAXPROCS(0)-1, 1)) }

// turning is a connection that shakes hands.
//
// Always true: it has its turn from when bytes of the client have come until it waits for the next, so who stalls keeps nobody waiting. When the
// handshake has ended, or it is closed, it is the connection and no more. One goroutine at a time uses it until then, but for Close.
type turning struct {
	net.Conn
	turns turns
	until time.Time // when the handshake must have ended
	has   atomic.Bool
	shut  atomic.Bool
	ended bool
}

func (t turns) begin(raw net.Conn, within time.Duration) *turning {
	return &turning{Conn: raw, turns: t, until: time.Now().Add(within)}
}

// Read implements net.Conn.
func (c *turning) Read(p []byte) (int, error) {
	if c.ended {
		return c.Conn.Read(p)
	}
	c.give()
	n, err := c.Conn.Read(p)
	if err != nil {
		return n, err
	}
	if err := c.take(); err != nil {
		return 0, err // nobody looks at the bytes any more
	}
	return n, nil
}

// end says that the handshake has ended, well or not.
func (c *turning) end() {
	c.give()
	c.ended = true
}

func (c *turning) give() {
	if c.has.CompareAndSwap(true, false) {
		<-c.turns
	}
}

var errTurn = errors.Join(os.ErrDeadlineExceeded, errors.New("too many handshakes are computed"))

func (c *turning) take() error {
	timer := time.NewTimer(time.Until(c.until))
	defer timer.Stop()
	select {
	case c.turns <- struct{}{}:
		c.has.Store(true)
		if c.shut.Load() { // meanwhile, by who did not know that it was about to have its turn
			c.give()
			return net.ErrClosed
		}
		return nil
	case <-timer.C:
		return errTurn
	}
}

// Close implements net.Conn. Who had a turn has none then.
func (c *turning) Close() error {
	c.shut.Store(true)
	c.give()
	return c.Conn.Close()
}

// Turns is a listener whose connections shake hands in turns with those of gRPC, with the configuration that TLS has returned: so there are no
// more handshakes computed at once for being asked for on another port.
func (g *Guard) Turns(l net.Listener) net.Listener { return takingTurns{l, g.turns} }

type takingTurns struct {
	net.Listener
	turns turns
}

// Accept implements net.Listener.
func (l takingTurns) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.turns.begin(conn, handshakeTime), nil
}

// endTurn makes a configuration end the turns of its connection when the client is verified: what is left of the handshake costs little.
func endTurn(c *tls.Config, conn net.Conn) {
	shaking, ok := conn.(*turning)
	if !ok {
		return
	}
	verify := c.VerifyConnection
	c.VerifyConnection = func(state tls.ConnectionState) error {
		shaking.end()
		if verify == nil {
			return nil
		}
		return verify(state)
	}
}
