// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"sync/atomic"
	"time"
)

// Ticket is the place of one call in the gate.
//
// Always true: the place is held from when the headers of the call have come until the stream has ended, the handler has returned and a large
// answer has left the memory of this process. So a client that resets its calls, or does not read, holds its places, and gets no others.
type Ticket struct {
	gate       *Gate
	share      *share
	conn       *Conn // nil: not known
	cancel     context.CancelCauseFunc
	unhook     func() bool // keeps the end of the context from ending it
	late       bool        // refuse it when its message has come
	heard      atomic.Bool // its message has come: it was worth its place
	ended      bool        // under gate.mu
	bytes      int64       // under gate.mu
	resting    bool        // under gate.mu: counted in gate.idle
	keeps      bool        // what its handler gives back is kept for the answer, which would else find others in its room
	spare      int64       // under gate.mu: of bytes, what is kept
	unread     int64       // under gate.mu: of its answer, counted for its connection
	refs       atomic.Int32
	wait       atomic.Int64 // what it waits for of its client: when that began, in ns, with a phase in the lowest bits; 0: nothing
	next, prev *Ticket      // in the ring of the gate, under gate.mu
}

// The phases of a call that waits for its client.
const (
	phaseMask  = 3
	arriving   = 1 // the next message
	sending    = 2 // there is no room for a message of a stream
	delivering = 3 // the answer of a unary call is not taken
)

// Caller is who calls: everything that one Key calls shares one part of the gate.
type Caller struct {
	Key    string
	Weight int64
	Conn   *Conn
}

// enter gives a call a place, or nil. Who is late gets one that counts for nothing but their number.
func (g *Gate) enter(c Caller, bytes int64) *Ticket {
	t := &Ticket{gate: g, conn: c.Conn}
	t.refs.Store(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.shareOf(c.Key, c.Weight)
	if !g.fits(s, s.weight, bytes) {
		g.refused++
		g.forget(s)
		return nil
	}
	t.share, t.bytes = s, bytes
	if bytes >= valueBytes {
		t.rest()
	}
	s.calls, s.bytes = s.calls+1, s.bytes+bytes
	g.calls.used, g.bytes.used = g.calls.used+1, g.bytes.used+bytes
	g.link(t)
	return t
}

// lateMax is how many calls wait, without a place, for the message after which they are refused.
const lateMax = 4096

func (g *Gate) enterLate(c Caller) *Ticket {
	t := &Ticket{gate: g, conn: c.Conn, late: true}
	t.refs.Store(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.late >= lateMax {
		return nil
	}
	g.late++
	g.link(t)
	return t
}

// link adds a ticket to the ring. Lock held.
func (g *Gate) link(t *Ticket) {
	t.prev, t.next = g.tickets.prev, &g.tickets
	t.prev.next, t.next.prev = t, t
	if t.conn != nil {
		t.conn.calls.Add(1)
	}
}

// take takes more bytes.
func (t *Ticket) take(n int64) error {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	more := max(n-t.spare, 0)
	if t.share == nil || !g.bytes.takes(more, t.share.bytes, t.share.weight) {
		return g.full(n)
	}
	t.spare -= n - more
	t.add(more)
	return nil
}

// give gives back what take took.
func (t *Ticket) give(n int64) {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if t.keeps {
		t.spare += n
		return
	}
	t.add(-n)
}

// answers makes what was kept into the room of an answer of n bytes, which is there already: it is taken although there may be no room for more.
func (t *Ticket) answers(n int64) {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.add(n - t.spare)
	t.spare = 0
	t.rest()
}

// rest makes it one of those that want a processor seldom. Lock held.
func (t *Ticket) rest() {
	if !t.resting && t.share != nil && !t.ended {
		t.resting = true
		t.gate.idle++
	}
}

// add counts bytes. Lock held.
func (t *Ticket) add(n int64) {
	if t.share == nil || t.ended {
		return
	}
	t.bytes += n
	t.share.bytes += n
	t.gate.bytes.used += n
}

// hold keeps the place for one more drop. It is false when the place is given back already.
func (t *Ticket) hold() bool {
	for {
		n := t.refs.Load()
		if n <= 0 {
			return false
		}
		if t.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// drop gives the place back with the last.
func (t *Ticket) drop() {
	if t.refs.Add(-1) == 0 {
		t.end()
	}
}

// end gives back everything; it may be called again.
func (t *Ticket) end() {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.ended {
		return
	}
	if s := t.share; s != nil {
		if t.conn != nil && !t.heard.Load() {
			t.conn.unheard.Add(1)
		}
		s.calls, s.bytes = s.calls-1, s.bytes-t.bytes
		g.calls.used, g.bytes.used = g.calls.used-1, g.bytes.used-t.bytes
		if t.resting {
			g.idle--
		}
		g.forget(s)
		g.wake()
	} else {
		g.late--
	}
	t.ended = true
	t.forgets()
	t.prev.next, t.next.prev = t.next, t.prev
	if t.conn != nil {
		t.conn.calls.Add(-1)
		t.conn.touch()
	}
}

// waits says what the call waits for from now on; 0 is nothing.
func (t *Ticket) waits(phase int64) {
	if phase != 0 {
		phase |= time.Now().UnixNano() &^ phaseMask
	}
	t.wait.Store(phase)
}

type ticketKey struct{}

// ticketOf is the ticket of a call; nil outside of one.
func ticketOf(ctx context.Context) *Ticket {
	t, _ := ctx.Value(ticketKey{}).(*Ticket)
	return t
}
