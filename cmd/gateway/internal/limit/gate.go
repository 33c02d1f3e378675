// SPDX-License-Identifier: Apache-2.0

// Package limit bounds what the gateway does at once: calls and bytes in flight and how they are shared, how long a call may take, what
// a connection may do, and what a defect can bring down.
package limit

import (
	"context"
	"fmt"
	"sync"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/go/errno"
)

// Gate shares two budgets, of calls and of bytes, among those who call. Being full is an ordinary answer: nobody waits in it.
//
// Always true: after a caller took something it holds at most its weight times what was free before. So one alone with the weight 4 has
// at most 4/5, two have 4/9 each, and there is always something for who comes next: who holds much never starves who holds little.
//
// It is safe for concurrent use.
type Gate struct {
	mu             sync.Mutex
	calls, bytes   pot
	shares         map[string]*share // of those who hold something
	tickets        Ticket            // the head of the ring of all
	late           int               // tickets of calls that are refused when their message has come
	refused        uint64
	watches        pot
	watchesRefused uint64
	room           room
	linger         linger
	pace           pace
}

type pot struct{ used, most int64 }

// takes is whether someone with so much of the pot and that weight may have n more.
func (p *pot) takes(n, held, weight int64) bool {
	free := p.most - p.used
	return n <= free && held+n <= weight*free
}

// share is what one caller holds.
type share struct {
	who          string
	weight       int64
	calls, bytes int64
	watches      int64
}

// NewGate returns a gate of so many calls and bytes.
func NewGate(calls, bytes int64) *Gate {
	g := &Gate{calls: pot{most: calls}, bytes: pot{most: bytes}, shares: map[string]*share{}, pace: newPace()}
	g.tickets.next, g.tickets.prev = &g.tickets, &g.tickets
	return g
}

// Take takes n bytes for the call of that context, until Give; or it is OVERLOAD_RETRY. Outside a call it takes them for nobody in particular.
func (g *Gate) Take(ctx context.Context, n int64) error {
	if t := ticketOf(ctx); t != nil {
		return t.take(n)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n > g.bytes.most-g.bytes.used {
		return g.full(n)
	}
	g.bytes.used += n
	return nil
}

// Give gives n bytes back that Take took with the same context.
func (g *Gate) Give(ctx context.Context, n int64) {
	if t := ticketOf(ctx); t != nil {
		t.give(n)
		return
	}
	g.mu.Lock()
	g.bytes.used -= n
	g.mu.Unlock()
}

// full is the refusal of bytes. Lock held.
func (g *Gate) full(n int64) error {
	g.refused++
	return errno.New("", "", errno.OverloadRetry, fmt.Sprintf("the call needs %d bytes and the server has %d of %d free, for all who call; "+
		"try again later", n, max(g.bytes.most-g.bytes.used, 0), g.bytes.most))
}

// errFull refuses a call before anything of it but its headers was read. It is made once: refusing must cost little.
var errFull = sync.OnceValue(func() error { return fault.Status(refusal(), false) })

func refusal() error {
	return errno.New("", "", errno.OverloadRetry, "the server has as many calls under way as it can carry, or this caller its share of them; try again later")
}

// Used is how many bytes are taken, and how many can be.
func (g *Gate) Used() (used, total int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bytes.used, g.bytes.most
}

// Free is how many bytes are left.
func (g *Gate) Free() int64 {
	used, total := g.Used()
	return total - used
}

// State is what a gate holds.
type State struct {
	Calls, CallsMax int64  // under way
	Bytes, BytesMax int64  // that they hold
	Callers         int    // who have them
	Refused         uint64 // calls and takes, since the start

	Watches, WatchesMax int64 // that run
	WatchesRefused      uint64
}

// State is what the gate holds now.
func (g *Gate) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return State{Calls: g.calls.used, CallsMax: g.calls.most, Bytes: g.bytes.used, BytesMax: g.bytes.most, Callers: len(g.shares), Refused: g.refused,
		Watches: g.watches.used, WatchesMax: g.watches.most, WatchesRefused: g.watchesRefused}
}

// shareOf is the share of a caller. Lock held.
func (g *Gate) shareOf(who string, weight int64) *share {
	s := g.shares[who]
	if s == nil {
		s = &share{who: who, weight: weight}
		g.shares[who] = s
	}
	return s
}

// forget removes a share of nothing. Lock held.
func (g *Gate) forget(s *share) {
	if s.calls == 0 && s.bytes == 0 && s.watches == 0 {
		delete(g.shares, s.who)
	}
}
