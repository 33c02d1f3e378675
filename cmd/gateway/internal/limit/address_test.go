// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"net"
	"net/netip"
	"testing"
)

// script is a listener whose connections come from given addresses.
type script struct {
	net.Listener
	from []string
}

func (s *script) Accept() (net.Conn, error) {
	if len(s.from) == 0 {
		return nil, net.ErrClosed
	}
	next := s.from[0]
	s.from = s.from[1:]
	here, there := net.Pipe()
	_ = there.Close() // nobody reads from it
	return &fromConn{here, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(next))}, nil
}

type fromConn struct {
	net.Conn
	addr net.Addr
}

func (c *fromConn) RemoteAddr() net.Addr { return c.addr }

// TestPerAddress: an address gets its share and no more, and gets it back; this machine's own are not counted.
func TestPerAddress(t *testing.T) {
	s := &script{from: []string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "[::ffff:10.0.0.1]:4", "10.0.0.2:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3",
		"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1", "[2001:db8:0:1::1]:1"}}
	l := PerAddress(s, 2)
	var open []net.Conn
	for {
		conn, err := l.Accept()
		if err != nil {
			break
		}
		open = append(open, conn)
	}
	want := []string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "[2001:db8::1]:1", "[2001:db8::2]:1",
		"[2001:db8:0:1::1]:1"}
	if len(open) != len(want) {
		t.Fatalf("%d connections, want %d", len(open), len(want))
	}
	for i, conn := range open {
		if got := conn.RemoteAddr().String(); got != want[i] {
			t.Errorf("connection %d is from %s, want %s", i, got, want[i])
		}
	}
	for range 2 { // closing again gives nothing back
		if err := open[0].Close(); err != nil {
			t.Error(err)
		}
	}
	s.from = []string{"10.0.0.1:5", "10.0.0.1:6"}
	if conn, err := l.Accept(); err != nil || conn.RemoteAddr().String() != "10.0.0.1:5" {
		t.Errorf("after one was closed: %v, %v", conn, err)
	}
	if conn, err := l.Accept(); err == nil {
		t.Errorf("a third: %v", conn.RemoteAddr())
	}
	for _, conn := range open {
		_ = conn.Close() // of a pipe
	}
	if n := len(l.(*perAddress).open); n != 1 {
		t.Errorf("%d addresses are remembered", n)
	}
}
