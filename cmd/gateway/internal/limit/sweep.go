// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// How long a call waits for its client, by what it waits for.
const (
	arriveMax  = 30 * time.Second // a request, or the first message of a stream
	sendMax    = time.Minute      // room for the next message of a stream
	deliverMax = time.Minute      // that the answer of a unary call is taken
)

// hurry is how much sooner it is enough that a client takes nothing, while more than half of the gate is taken: others could use what it holds.
const hurry = 4

var patience = [...]time.Duration{arriving: arriveMax, sending: sendMax, delivering: deliverMax}

var errSilent = errno.New("", "", errno.TimedOut, "the client neither sent nor took anything for too long")

// Sweep ends the calls whose clients have stalled for longer than they may: a call by its context, an answer that is not taken with its
// connection. The server calls it every second.
func (g *Gate) Sweep(now time.Time) {
	for _, t := range g.stalled(now) {
		if t.wait.Load()&phaseMask != delivering {
			t.cancel(errSilent)
			continue
		}
		if t.conn != nil {
			_ = t.conn.Close() // the other side sees it
		}
		t.end() // grpc may not give the answer's memory back when a connection breaks
	}
}

func (g *Gate) stalled(now time.Time) (all []*Ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace.calmed(now)
	g.lively = g.pace.places(g.calls.most)
	for t := g.tickets.next; t != &g.tickets; t = t.next {
		wait := t.wait.Load()
		phase := wait & phaseMask
		if phase == 0 {
			continue
		}
		gone := phase == delivering && t.conn != nil && t.conn.closed()
		if gone || now.UnixNano()-wait > g.patience(phase) {
			all = append(all, t)
		}
	}
	return all
}

// patience is how long a call may wait in that phase, in ns. Lock held.
func (g *Gate) patience(phase int64) int64 {
	d := int64(patience[phase])
	if phase != arriving && !g.hasRoom() {
		d /= hurry
	}
	return d
}
