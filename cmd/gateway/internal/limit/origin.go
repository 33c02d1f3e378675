// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"sync/atomic"
	"time"
)

// origin is where connections come from: an address, or the Unix socket.
//
// Always true: a connection costs credit until a call of it was admitted, gets what it begins with from its origin, and gives back what it has left.
// So who is cut, or goes before it called anything, and comes again has no more than if it had stayed; ordinary clients get everything back.
type origin struct {
	conns   atomic.Int32 // open ones, of which each has its part of the credit that comes with time
	shaking int          // under Conns.mu, as what follows
	credit  float64
	at      time.Time
}

const (
	originMost  = 10000
	originRate  = 2000 // each second
	originConns = 4    // that have all of a connection's credit
	connCost    = 200  // given back with the first call that is admitted: who calls nothing comes ten times a second, for a hundredth of a processor
	shakeMost   = time.Second
)

// earn adds what comes with time.
func (o *origin) earn(now time.Time) {
	o.credit = min(o.credit+now.Sub(o.at).Seconds()*originRate, originMost)
	o.at = now
}

// whole is whether nothing is to be remembered of it.
func (o *origin) whole(now time.Time) bool {
	o.earn(now)
	return o.conns.Load() == 0 && o.shaking == 0 && o.credit >= originMost
}

// share is the part of a connection in what comes with time.
func (o *origin) share() float64 { return min(originConns/float64(max(o.conns.Load(), 1)), 1) }

// shake takes a place to shake hands, and says how long who has none left of its credit waits with that. An address holds at most as many of them
// as are free then.
func (cs *Conns) shake(key string, now time.Time) (o *origin, wait time.Duration, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if o = cs.origins[key]; o == nil {
		o = &origin{credit: originMost, at: now}
	}
	if free := cs.Handshakes - cs.shaking; free < 1 || o.shaking+1 > free {
		return nil, 0, false
	}
	if cs.origins == nil {
		cs.origins = map[string]*origin{}
	}
	cs.origins[key] = o
	o.earn(now)
	o.credit -= connCost
	o.shaking++
	cs.shaking++
	if o.credit < 0 {
		wait = min(time.Duration(-o.credit/originRate*float64(time.Second)), shakeMost)
		o.credit = max(o.credit, -originMost)
	}
	return o, wait, true
}

func (cs *Conns) shaken(key string, o *origin) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.shaking--
	o.shaking--
	cs.forget(key, o)
}

// begin makes a connection one of those of its origin.
func (cs *Conns) begin(c *Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all == nil {
		cs.all = map[*Conn]struct{}{}
	}
	cs.all[c] = struct{}{}
	c.origin.conns.Add(1)
	c.credit = min(max(c.origin.credit, 0), creditMost)
	c.origin.credit -= c.credit
	c.left.Store(int64(c.credit))
}

// repay gives back what a connection has cost: it has called something.
func (cs *Conns) repay(o *origin) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	o.credit += connCost
}

// end takes it out, and gives back what it has left, or owes.
func (cs *Conns) end(c *Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.all, c)
	c.origin.conns.Add(-1)
	c.origin.credit = max(c.origin.credit+float64(c.left.Load()), -originMost)
	cs.forget(c.key, c.origin)
}

// forget removes an origin that nothing is known of. Lock held.
func (cs *Conns) forget(key string, o *origin) {
	if o.whole(time.Now()) {
		delete(cs.origins, key)
	}
}

// Sweep forgets the origins that have regained their credit. The server calls it every second.
func (cs *Conns) Sweep(now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for key, o := range cs.origins {
		if o.whole(now) {
			delete(cs.origins, key)
		}
	}
}
