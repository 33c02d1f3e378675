// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"net"
	"testing"
	"time"
)

// come makes a connection from an address, behind its handshake, and says how long that had to wait.
func come(t *testing.T, cs *Conns, key string, now time.Time) (*Conn, time.Duration) {
	t.Helper()
	o, wait, ok := cs.shake(key, now)
	if !ok {
		t.Fatalf("%s may not shake hands", key)
	}
	inner, other := net.Pipe()
	t.Cleanup(func() { _ = other.Close() })
	c := newConn(inner, key, o, cs)
	cs.begin(c)
	cs.shaken(key, o)
	return c, wait
}

// TestOrigin: who comes again and again without calling anything waits, and so does who uses its credit up; others do not, nor does who calls.
func TestOrigin(t *testing.T) {
	for name, k := range map[string]struct {
		meanwhile func(c *Conn)
		waits     bool
	}{
		"calls":         {func(c *Conn) { c.opened++; c.admitted() }, false},
		"does nothing":  {func(*Conn) {}, true},
		"floods":        {func(c *Conn) { c.spend(creditMost); c.keep() }, true},
		"calls, floods": {func(c *Conn) { c.opened++; c.admitted(); c.spend(2 * creditMost); c.keep() }, true},
	} {
		cs, now := &Conns{Handshakes: 4}, time.Now()
		waited := time.Duration(0)
		for range 500 {
			c, wait := come(t, cs, "a", now)
			k.meanwhile(c)
			_ = c.Close() // of a pipe
			waited = max(waited, wait)
		}
		if waited > shakeMost || waited > 10*time.Millisecond != k.waits {
			t.Errorf("who %s waited for %v", name, waited)
		}
		if _, wait := come(t, cs, "b", now); wait > 0 {
			t.Errorf("beside who %s another waited for %v", name, wait)
		}
	}
}

// TestCallsRepay: a connection costs its origin something until it has called, and nothing from then on, open or closed.
func TestCallsRepay(t *testing.T) {
	cs, now := &Conns{Handshakes: 4}, time.Now()
	c, _ := come(t, cs, "a", now)
	o := cs.origins["a"]
	costs := func(when string, want float64) {
		t.Helper()
		if cost := originMost - o.credit - c.credit; cost < want-1 || cost > want+1 {
			t.Errorf("a connection costs %g %s, want %g", cost, when, want)
		}
	}
	costs("at first", connCost)
	for range 2 {
		c.opened++
		c.admitted()
	}
	o.earn(now)
	costs("when it has called", 0)
	_ = c.Close() // of a pipe
	c.credit = 0
	costs("when it has gone", 0)
}

// TestOriginsAreForgotten: nothing is kept of an address that has its credit again.
func TestOriginsAreForgotten(t *testing.T) {
	cs, now := &Conns{Handshakes: 4}, time.Now()
	c, _ := come(t, cs, "a", now)
	cs.Sweep(now.Add(time.Hour))
	if len(cs.origins) != 1 {
		t.Error("an origin with a connection is forgotten")
	}
	_ = c.Close() // of a pipe
	cs.Sweep(now.Add(2 * time.Hour))
	if len(cs.origins) != 0 {
		t.Errorf("%d origins are remembered", len(cs.origins))
	}
}

// TestHandshakesAreShared: an address that stalls in all the handshakes it may leaves some to others.
func TestHandshakesAreShared(t *testing.T) {
	cs, now := &Conns{Handshakes: 16}, time.Now()
	held := map[string]int{}
	for _, key := range []string{"a", "b", "c"} {
		for {
			if _, _, ok := cs.shake(key, now); !ok {
				break
			}
			held[key]++
		}
	}
	if held["a"] != 8 || held["b"] != 4 || held["c"] != 2 {
		t.Errorf("they hold %v, want 8, 4, 2", held)
	}
}

// TestSharesOfTime: many connections of one address have together what comes to four of them.
func TestSharesOfTime(t *testing.T) {
	cs, now := &Conns{Handshakes: 1}, time.Now()
	var all []*Conn
	for range 40 {
		c, _ := come(t, cs, "a", now)
		all = append(all, c)
	}
	earned := 0.0
	for _, c := range all {
		c.credit, c.at = -creditMost, now
		c.earn(now.Add(100 * time.Millisecond))
		earned += c.credit + creditMost
	}
	if earned < 390 || earned > 410 {
		t.Errorf("40 connections earned %v in 100 ms, want 400", earned)
	}
}
