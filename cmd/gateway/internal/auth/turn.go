// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"net"
	"os"
	"runtime"
	"time"
)

// turns are the handshakes that compute at once: as many as there are processors, less one. A handshake of TLS costs as much as dozens of calls,
// and whoever can connect may ask for one; so what is computed for strangers waits in a queue, and calls do not wait for all of it.
type turns chan struct{}

func newTurns() turns { return make(turns, max(runtime.GOMAXPROCS(0)-1, 1)) }

// turning is a connection that shakes hands.
//
// Always true: it has its turn from when bytes of the client have come until it waits for the next, so who stalls keeps nobody waiting. When the
// handshake has ended it is the connection and no more. One goroutine at a time uses it until then.
type turning struct {
	net.Conn
	turns turns
	until time.Time // when the handshake must have ended
	has   bool
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
	if c.has {
		<-c.turns
		c.has = false
	}
}

var errTurn = errors.Join(os.ErrDeadlineExceeded, errors.New("too many handshakes are computed"))

func (c *turning) take() error {
	timer := time.NewTimer(time.Until(c.until))
	defer timer.Stop()
	select {
	case c.turns <- struct{}{}:
		c.has = true
		return nil
	case <-timer.C:
		return errTurn
	}
}
