// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"
)

// TestPace: the rate falls to its floor while goroutines wait to run and grows again; beyond it a refusal holds its connection, for a second at most.
func TestPace(t *testing.T) {
	p, n := newPace(), float64(runtime.GOMAXPROCS(0))
	p.rate = rateMost * n
	p.adjust(0, 0)
	p.adjust(1000, 100)
	if p.rate != rateMost*n {
		t.Errorf("the rate is %v although nobody waits", p.rate)
	}
	for range 100 {
		p.adjust(1000, 101)
	}
	if p.rate != rateFloor*n {
		t.Errorf("the rate is %v, want %v", p.rate, rateFloor*n)
	}
	least := max(placesEach*int64(n), placesLeast)
	if got := p.places(1 << 20); got != 1<<20/5 {
		t.Errorf("%d of %d calls have places", got, 1<<20)
	}
	if all, few := p.places(least+1), p.places(10); all != least || few != 10 {
		t.Errorf("%d of %d calls have places, and %d of 10", all, least+1, few)
	}
	p.calmed(p.tuned.Add(time.Hour))
	if got := p.places(1 << 20); got != 1<<20 {
		t.Errorf("%d of %d calls have places when nothing is refused", got, 1<<20)
	}
	now := time.Now()
	p.tuned = now.Add(time.Hour) // no tuning now
	if until := p.refused(now); until.After(now) {
		t.Errorf("the first refusal holds for %v", until.Sub(now))
	}
	var last time.Time
	for range int(p.rate) / 10 {
		last = p.refused(now)
	}
	if d := last.Sub(now); d < 90*time.Millisecond || d > 110*time.Millisecond {
		t.Errorf("a tenth of what may be refused in a second holds for %v", d)
	}
	for range int(p.rate) * 2 {
		last = p.refused(now)
	}
	if d := last.Sub(now); d > holdMost+time.Millisecond {
		t.Errorf("twice of what may be refused in a second holds for %v", d)
	}
	for range 100 {
		p.adjust(1000, 0)
	}
	if p.rate != rateMost*n {
		t.Errorf("the rate is %v, want %v", p.rate, rateMost*n)
	}
}

// TestRoom: who is not read for a while is read when the gate has room, one after another, and at the latest when its time is over.
func TestRoom(t *testing.T) {
	g := NewGate(10, 1000)
	var held []*Ticket
	for range 8 {
		held = append(held, g.enter(Caller{Key: "a", Weight: 4}, 1))
	}
	done := make(chan int, 2)
	for i := range 2 {
		c := newConn(&net.TCPConn{}, "", &origin{}, &Conns{})
		c.until, c.gate = time.Now().Add(time.Hour), g
		go func() { c.rest(); done <- i }()
		for waiters := 0; waiters <= i; time.Sleep(time.Millisecond) {
			g.mu.Lock()
			waiters = len(g.room.waiters)
			g.mu.Unlock()
		}
	}
	for i, ticket := range held[:4] {
		select {
		case n := <-done:
			t.Errorf("%d goes on with %d of 10 taken", n, 8-i)
		case <-time.After(time.Millisecond):
		}
		ticket.end()
	}
	if n := <-done; n != 0 {
		t.Errorf("%d goes on first", n)
	}
	held[4].end()
	<-done
	c := newConn(&net.TCPConn{}, "", &origin{}, &Conns{})
	g = NewGate(0, 0) // which never has room
	c.until, c.gate = time.Now().Add(time.Millisecond), g
	c.rest()
	if n := len(g.room.waiters); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// TestLinger: calls that were refused with a deadline are counted until then, and beyond the limit others are not refused so.
func TestLinger(t *testing.T) {
	g := NewGate(1, 1)
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	soon, far := within(50*time.Second), within(time.Hour)
	if g.Lingers(t.Context()) || g.Lingers(soon) || !g.Lingers(far) {
		t.Error("only what has a far deadline lingers")
	}
	for range lingerMost {
		g.left(soon)
	}
	if !g.Lingers(soon) || g.Lingers(t.Context()) {
		t.Error("with so many that linger, what has a deadline must go on")
	}
	g.linger.expire(time.Now().Add(30 * time.Second))
	if g.linger.n != lingerMost {
		t.Errorf("%d linger before their deadline", g.linger.n)
	}
	g.linger.expire(time.Now().Add(52 * time.Second))
	if g.linger.n != 0 {
		t.Errorf("%d linger behind their deadline", g.linger.n)
	}
}
