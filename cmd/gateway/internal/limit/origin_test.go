// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func address(n byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, n}) }

// come makes a connection from an address, behind its handshake, and says how long that had to wait.
func come(t *testing.T, cs *Conns, from netip.Addr, now time.Time) (*Conn, time.Duration) {
	t.Helper()
	o, wait, ok := cs.shake(from, now)
	if !ok {
		t.Fatalf("%s may not shake hands", from)
	}
	inner, other := net.Pipe()
	t.Cleanup(func() { _ = other.Close() })
	c := newConn(inner, "", o, cs)
	cs.begin(c)
	cs.shaken(o)
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
			c, wait := come(t, cs, address(1), now)
			k.meanwhile(c)
			_ = c.Close() // of a pipe
			waited = max(waited, wait)
		}
		if waited > shakeMost || waited > 10*time.Millisecond != k.waits {
			t.Errorf("who %s waited for %v", name, waited)
		}
		if _, wait := come(t, cs, address(2), now); wait > 0 {
			t.Errorf("beside who %s another waited for %v", name, wait)
		}
	}
}

// TestCallsRepay: a connection costs its origin something until it has called, and nothing from then on, open or closed.
func TestCallsRepay(t *testing.T) {
	cs, now := &Conns{Handshakes: 4}, time.Now()
	c, _ := come(t, cs, address(1), now)
	o := cs.origins[address(1)]
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
	c, _ := come(t, cs, address(1), now)
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
	held := map[byte]int{}
	for _, n := range []byte{1, 2, 3} {
		for {
			if _, _, ok := cs.shake(address(n), now); !ok {
				break
			}
			held[n]++
		}
	}
	if held[1] != 8 || held[2] != 4 || held[3] != 2 {
		t.Errorf("they hold %v, want 8, 4, 2", held)
	}
}

// TestSharesOfTime: many connections of one address have together what comes to four of them.
func TestSharesOfTime(t *testing.T) {
	cs, now := &Conns{Handshakes: 1}, time.Now()
	var all []*Conn
	for range 40 {
		c, _ := come(t, cs, address(1), now)
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

// TestShutOut: who comes again and again without calling anything cannot connect any more, and others can; later it can again.
func TestShutOut(t *testing.T) {
	for _, k := range []struct {
		listens, owes string
		others        []string
	}{
		{"127.0.0.1:0", "127.0.0.9", []string{"127.0.0.8", "127.0.0.1"}},
		{"[::]:0", "127.0.0.9", []string{"127.0.0.8", "::1"}},
		{"[::]:0", "::1", []string{"127.0.0.1"}},
	} {
		t.Run(k.owes+" at "+k.listens, func(t *testing.T) {
			l, err := ListenTCP(k.listens)
			if err != nil {
				t.Skip(err)
			}
			defer l.Close()
			_, port, err := net.SplitHostPort(l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			connects := func(from netip.Addr, within time.Duration) error {
				to := map[bool]string{true: "127.0.0.1:", false: "[::1]:"}[from.Is4()] + port
				d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: within}
				conn, err := d.Dial("tcp", to)
				if err == nil {
					_, err = conn.Write([]byte("x")) // what comes behind a SYN passes
					_ = conn.Close()
				}
				return err
			}
			cs := &Conns{Handshakes: 4}
			cs.Filter(l)
			comesUntilShutOut := func(from netip.Addr) (times int) {
				for before := cs.ShutOut(); cs.ShutOut() == before; times++ {
					c, _ := come(t, cs, from, time.Now())
					if _ = c.Close(); times > 100*originMost/connCost { // of a pipe
						t.Fatalf("%v is not shut out", from)
					}
				}
				return times
			}
			owes := netip.MustParseAddr(k.owes)
			if times := comesUntilShutOut(owes); times < 2*originMost/connCost {
				t.Errorf("it came %d times, and owes less than it can", times)
			}
			if connects(owes, 100*time.Millisecond) == nil {
				t.Error("who is shut out connects")
			}
			for n := range byte(synFilterMost - 1) { // so that the whole program is run
				comesUntilShutOut([]netip.Addr{address(n), netip.AddrFrom16([16]byte{0xfd, n})}[n%2])
			}
			for _, other := range k.others {
				if err := connects(netip.MustParseAddr(other), 10*time.Second); err != nil {
					t.Errorf("%s, beside who is shut out: %v", other, err)
				}
			}
			if connects(owes, 100*time.Millisecond) == nil {
				t.Error("who is shut out connects beside others who are")
			}
			now := time.Now()
			cs.Sweep(now.Add(time.Second))
			if cs.ShutOut() == 0 {
				t.Error("nobody is shut out for a second")
			}
			cs.Sweep(now.Add(3 * time.Second))
			if err := connects(owes, 10*time.Second); cs.ShutOut() != 0 || err != nil {
				t.Errorf("when it owes little: %v, %d are shut out", err, cs.ShutOut())
			}
		})
	}
}
