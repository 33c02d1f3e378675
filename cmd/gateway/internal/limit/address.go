// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"net"
	"net/netip"
	"sync"
)

// PerAddress is a listener that closes a connection at once when its address has so many already, so that one machine cannot take all the
// connections there are. Those of this machine itself are not counted: they are of many users.
func PerAddress(l net.Listener, most int) net.Listener {
	return &perAddress{Listener: l, most: most, open: map[netip.Addr]int{}}
}

type perAddress struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[netip.Addr]int
}

// Accept implements net.Listener.
func (l *perAddress) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr, counted := addressOf(conn)
		switch {
		case !counted:
			return conn, nil
		case l.take(addr):
			return &countedConn{Conn: conn, end: sync.OnceFunc(func() { l.give(addr) })}, nil
		}
		_ = conn.Close() // nothing was sent yet
	}
}

// addressOf is the address that a connection counts for. The many addresses that one holder of an IPv6 network has count as one.
func addressOf(conn net.Conn) (_ netip.Addr, counted bool) {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if addr.IsLoopback() {
		return addr, false
	}
	if network, err := addr.Prefix(64); err == nil && addr.Is6() {
		addr = network.Addr()
	}
	return addr, true
}

func (l *perAddress) take(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[addr] >= l.most {
		return false
	}
	l.open[addr]++
	return true
}

func (l *perAddress) give(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[addr]--; l.open[addr] == 0 {
		delete(l.open, addr)
	}
}

type countedConn struct {
	net.Conn
	end func()
}

// Close implements net.Conn. It may be called again.
func (c *countedConn) Close() error {
	defer c.end()
	return c.Conn.Close()
}
