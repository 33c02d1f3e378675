// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// origin is where connections come from: an address, or the Unix socket.
//
// Always true: a connection costs credit until a call of it was admitted, gets what it begins with from its origin, and gives back what it has left.
// So who is cut, or goes before it called anything, and comes again has no more than if it had stayed; ordinary clients get everything back.
// An address that owes as much as one can is shut out until it owes half of that.
type origin struct {
	addr    netip.Addr   // the zero one: the Unix socket
	conns   atomic.Int32 // open ones, of which each has its part of the credit that comes with time
	unread  unread       // under the lock of the gate
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
func (cs *Conns) shake(addr netip.Addr, now time.Time) (o *origin, wait time.Duration, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.origins == nil {
		cs.origins = map[netip.Addr]*origin{}
	}
	if o = cs.origins[addr]; o == nil {
		o = &origin{addr: addr, credit: originMost, at: now}
		cs.origins[addr] = o
	}
	o.earn(now)
	o.credit -= connCost
	if o.credit < 0 {
		wait = min(time.Duration(-o.credit/originRate*float64(time.Second)), shakeMost)
	}
	if o.credit <= -originMost {
		o.credit = -originMost
		cs.shutOut(o)
	}
	if free := cs.Handshakes - cs.shaking; free < 1 || o.shaking+1 > free {
		return nil, 0, false
	}
	o.shaking++
	cs.shaking++
	return o, wait, true
}

func (cs *Conns) shaken(o *origin) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.shaking--
	o.shaking--
	cs.forget(o)
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
	cs.forget(c.origin)
}

// forget removes an origin that nothing is known of. Lock held.
func (cs *Conns) forget(o *origin) {
	if o.whole(time.Now()) {
		delete(cs.origins, o.addr)
	}
}

// Sweep lets in again who was shut out and owes no more than half of what one can, and forgets the origins that have regained their credit. The
// server calls it every second.
func (cs *Conns) Sweep(now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.letIn(now)
	for addr, o := range cs.origins {
		if o.whole(now) {
			delete(cs.origins, addr)
		}
	}
}

// Filter lets the kernel keep from a listener who is shut out, if that is one of TCP. Where the kernel takes no filter, as with MPTCP, connections of
// who would be are accepted and closed. Any goroutine may call it, before the listener serves.
func (cs *Conns) Filter(l net.Listener) {
	if filter, ok := filterOf(l); ok {
		cs.mu.Lock()
		defer cs.mu.Unlock()
		cs.filters = append(cs.filters, filter)
	}
}

// shutOut lets the kernel drop what an address sends to connect, which costs less than to accept and close it. Lock held.
func (cs *Conns) shutOut(o *origin) {
	if slices.Contains(cs.shut, o) || len(cs.filters) == 0 || !o.addr.IsValid() || len(cs.shut) == synFilterMost {
		return
	}
	cs.shut = append(cs.shut, o)
	cs.setFilters()
}

// letIn ends that for those who owe little enough. Lock held.
func (cs *Conns) letIn(now time.Time) {
	before := len(cs.shut)
	cs.shut = slices.DeleteFunc(cs.shut, func(o *origin) bool {
		o.earn(now)
		return o.credit >= -originMost/2
	})
	if len(cs.shut) < before {
		cs.setFilters()
	}
}

// setFilters tells the kernel who is shut out. From a listener for which it takes no filter nobody is, from then on. Lock held.
func (cs *Conns) setFilters() {
	addrs := make([]netip.Addr, len(cs.shut))
	for i, o := range cs.shut {
		addrs[i] = o.addr
	}
	if cs.filters = slices.DeleteFunc(cs.filters, func(f synFilter) bool { return f.drop(addrs) != nil }); len(cs.filters) == 0 {
		cs.shut = nil
	}
}

// ShutOut is how many addresses may not connect for now, synFilterMost at the most. Any goroutine may call it.
func (cs *Conns) ShutOut() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.shut)
}
