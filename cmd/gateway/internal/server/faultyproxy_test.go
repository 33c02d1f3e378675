// SPDX-License-Identifier: Apache-2.0

package server

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// faultyProxy stands between clients and a gateway, and does to their bytes what networks do. What it does is drawn from its seed, for each
// connection and direction.
type faultyProxy struct {
	t      *testing.T
	l      net.Listener
	to     string
	seed   uint64
	down   carrier // of what the gateway sends
	wg     sync.WaitGroup
	mu     sync.Mutex
	open   map[*net.TCPConn]bool
	counts map[string]int
	closed bool
}

// carrier carries bytes one way, until it closes both.
type carrier func(p *faultyProxy, from, to *net.TCPConn, random *rand.Rand)

func newFaultyProxy(t *testing.T, to string, seed uint64) *faultyProxy {
	t.Helper()
	return newProxy(t, to, seed, (*faultyProxy).carry)
}

func newProxy(t *testing.T, to string, seed uint64, down carrier) *faultyProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultyProxy{t: t, l: l, to: to, seed: seed, down: down, open: map[*net.TCPConn]bool{}, counts: map[string]int{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *faultyProxy) close() {
	_ = p.l.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *faultyProxy) accept() {
	for n := uint64(0); ; n++ {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		a, b := client.(*net.TCPConn), server.(*net.TCPConn)
		if !p.remember(a, b) {
			return
		}
		p.wg.Go(func() { p.carry(a, b, rand.New(rand.NewPCG(p.seed, 2*n))) })
		p.wg.Go(func() { p.down(p, b, a, rand.New(rand.NewPCG(p.seed, 2*n+1))) })
	}
}

func (p *faultyProxy) remember(conns ...*net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.open[c] = true
		if p.closed {
			_ = c.Close()
		}
	}
	return !p.closed
}

func (p *faultyProxy) did(fault string) {
	p.mu.Lock()
	p.counts[fault]++
	p.mu.Unlock()
}

// carry carries bytes one way. From the first fault that breaks something on the connection lasts a while at most, or not at all.
func (p *faultyProxy) carry(from, to *net.TCPConn, random *rand.Rand) {
	healthy := 1 + random.IntN(60) // reads before the connection gets its fault
	buf := make([]byte, 4096)
	for n := 0; ; n++ {
		m, err := from.Read(buf)
		data := buf[:m]
		if n >= healthy && m > 0 && !p.fault(random, from, to, data) {
			return
		}
		if n < healthy && m > 0 {
			if _, werr := to.Write(data); werr != nil {
				err = werr
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

// fault does one fault with what was read; false when nothing more is carried this way.
func (p *faultyProxy) fault(random *rand.Rand, from, to *net.TCPConn, data []byte) bool {
	switch random.IntN(6) {
	case 0:
		p.did("delay")
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		_, err := to.Write(data)
		return err == nil
	case 1:
		p.did("slow")
		for i := range data { // one byte at a time, and the rest of a long piece at once
			if i == 20 {
				_, err := to.Write(data[i:])
				return err == nil
			}
			if _, err := to.Write(data[i : i+1]); err != nil {
				return false
			}
			time.Sleep(time.Millisecond)
		}
		return true
	case 2: // nobody hears of it: what was on the way is gone, and both wait
		p.did("drop")
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		_, _ = from.Close(), to.Close()
		return false
	case 3:
		p.did("half-close")
		_ = to.CloseWrite()
		return false
	case 4:
		p.did("reset in a frame")
		_, _ = to.Write(data[:random.IntN(len(data))])
		_, _ = to.SetLinger(0), from.SetLinger(0)
		_, _ = to.Close(), from.Close()
		return false
	}
	_, err := to.Write(data)
	return err == nil
}
