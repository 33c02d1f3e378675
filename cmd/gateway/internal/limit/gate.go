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
	lively         int64             // calls of who has many, while they wait for a processor: see pace
	idle           int64             // of calls, those that are streams, or whose answers wait for their clients
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
	g := &Gate{calls: pot{most: calls}, lively: calls, bytes: pot{most: bytes}, shares: map[string]*share{}, pace: newPace()}
	g.tickets.next, g.tickets.prev = &g.tickets, &g.tickets
	return g
}

// refuses is whether a call finds no place; then it counts as refused.
func (g *Gate) refuses(c Caller, bytes int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	var held share
	if s := g.shares[c.Key]; s != nil {
		held = *s
	}
	if g.fits(&held, c.Weight, bytes) {
		return false
	}
	g.refused++
	return true
}

// fewCalls of a caller are never refused because calls wait for a processor.
const fewCalls = 16

// fits is whether there is a place for one more call of who has that share. Lock held.
func (g *Gate) fits(s *share, weight, bytes int64) bool {
	lively := pot{g.calls.used - g.idle, g.lively}
	return g.calls.takes(1, s.calls, weight) && g.bytes.takes(bytes, s.bytes, weight) && (s.calls < fewCalls || lively.takes(1, s.calls, weight))
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

// Try takes n bytes for the call of that context as Take does, when there is room. It is for what a call can do without: nothing is refused
// when there is none.
func (g *Gate) Try(ctx context.Context, n int64) bool {
	t := ticketOf(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if t == nil || t.share == nil || t.ended || !g.bytes.takes(n, t.share.bytes, t.share.weight) {
		return false
	}
	t.add(n)
	return true
}

// Give gives n bytes back that Take or Try took with the same context.
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
