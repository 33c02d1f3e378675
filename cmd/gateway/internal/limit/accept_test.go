// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/credentials/insecure"
)

// TestCrowd: a connection for whose handshake there is no place is closed by the listener, and does not keep the place of one; another address
// has places beside it; and a handshake that has ended, or a connection that is closed before it, gives its place back.
func TestCrowd(t *testing.T) {
	cs := &Conns{Most: 10, Handshakes: 4}
	s := &script{from: []string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "10.0.0.2:1", "10.0.0.1:4"}}
	l := cs.Listen(s)
	var all []net.Conn
	for range 3 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	if got := all[2].RemoteAddr().String(); got != "10.0.0.2:1" || cs.shaking != 3 || len(l.(*limited).places) != 3 {
		t.Errorf("behind two that shake hands of four, of one address, comes %s; %d shake hands, %d places are taken", got, cs.shaking, len(l.(*limited).places))
	}
	_, _ = all[0].Close(), all[0].Close()
	conn, info, err := cs.Credentials(insecure.NewCredentials()).ServerHandshake(all[1])
	if err != nil || info == nil || cs.shaking != 1 || cs.Open() != 1 {
		t.Fatalf("a handshake: %v; %d shake hands", err, cs.shaking)
	}
	last, err := l.Accept()
	if err != nil || last.RemoteAddr().String() != "10.0.0.1:4" || cs.shaking != 2 {
		t.Errorf("when there is room again: %v, %v", last, err)
	}
	for _, c := range []net.Conn{conn, all[2], last} {
		_ = c.Close()
	}
	if cs.shaking != 0 || len(l.(*limited).places) != 0 {
		t.Errorf("%d shake hands, and %d places are taken, of nobody", cs.shaking, len(l.(*limited).places))
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("at the end: %v", err)
	}
}

// TestBehindCrowd: who comes behind all connections of one address that the system's queue holds waits a fraction of a second.
func TestBehindCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := &Conns{Most: 10, Handshakes: 4}
		s := &script{}
		for range 4096 {
			s.from = append(s.from, "10.0.0.1:1")
		}
		s.from = append(s.from, "10.0.0.2:1")
		l, began := cs.Listen(s), time.Now()
		for range 3 { // the third is of the other address: the first has half of the places
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.RemoteAddr().String() == "10.0.0.2:1" && time.Since(began) < time.Second/4 {
				return
			}
		}
		t.Errorf("behind 4096 connections another waits for %v", time.Since(began))
	})
}

// TestWorthlessCosts: a connection that calls what there is not, or whose calls end before their messages come, soon has no credit; one that is
// refused for want of room has much longer, and one whose messages come always.
func TestWorthlessCosts(t *testing.T) {
	const enough = 10 * creditMost
	many := func(method string, g *Gate, come bool) int {
		inner, other := net.Pipe()
		t.Cleanup(func() { _, _ = inner.Close(), other.Close() })
		c := newConn(inner, "", &origin{}, &Conns{})
		calls := &Calls{Gate: g, streams: map[string]bool{"/a/b": false}}
		for n := 0; ; n++ {
			if c.earn(c.at); c.credit < 0 || n == enough {
				return n
			}
			ctx, err := calls.Tap(t.Context(), method, Caller{Key: "a", Weight: 4, Conn: c})
			if err != nil {
				continue
			}
			if come {
				heard(ctx)
			}
			ticketOf(ctx).end()
		}
	}
	room := NewGate(1<<20, 1<<40)
	unknown, unheard := many("/no/ne", room, false), many("/a/b", room, false)
	full, come := many("/a/b", NewGate(0, 0), false), many("/a/b", room, true)
	if unknown > creditMost/unknownCost || unheard > creditMost/unknownCost+1 || full < creditMost || come < enough {
		t.Errorf("%d calls of what there is not, %d that nobody hears, %d for which there is no room, and %d whose messages come use up the credit",
			unknown, unheard, full, come)
	}
}

// TestYields: what carries nothing lets others run, and what carries something does not.
func TestYields(t *testing.T) {
	c := &Conn{}
	for range 3 {
		c.waste += yieldWaste + 1
		before := c.yielded
		if c.yield(); c.yielded <= before {
			t.Errorf("%g of waste, and no one else runs", c.waste)
		}
	}
	c.waste = 0
	if c.yield(); c.yielded != 0 {
		t.Errorf("the next %g of waste go unseen", c.yielded)
	}
}
