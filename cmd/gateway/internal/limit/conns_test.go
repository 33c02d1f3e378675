// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestEvict: who waits for a place gets that of the connection that was idle longest, never that of one that works or was used just now.
func TestEvict(t *testing.T) {
	cs, now := &Conns{Most: 4}, time.Now()
	conn := func(idle time.Duration, calls int32) *Conn {
		inner, other := net.Pipe()
		t.Cleanup(func() { _ = other.Close() })
		c := newConn(inner, "", &origin{}, cs)
		c.used.Store(now.Add(-idle).UnixNano())
		c.calls.Store(calls)
		cs.begin(c)
		return c
	}
	fresh, busy, old, oldest := conn(idleEnough/2, 0), conn(time.Hour, 1), conn(2*idleEnough, 0), conn(3*idleEnough, 0)
	for n, want := range []int{3, 2, 2} {
		if cs.evict(now); cs.Open() != want {
			t.Errorf("after %d: %d are open, want %d", n+1, cs.Open(), want)
		}
		if !oldest.closed() || old.closed() != (n > 0) {
			t.Errorf("after %d the oldest is not the one that was closed", n+1)
		}
	}
	if fresh.closed() || busy.closed() {
		t.Error("one that works was closed")
	}
	cs.CloseIdle(0)
	if !fresh.closed() || busy.closed() || cs.Open() != 1 {
		t.Error("CloseIdle closes those that are idle, and no others")
	}
}

// TestPlaces: a listener gives its places back when connections close, and one that is closed does not wait for one.
func TestPlaces(t *testing.T) {
	s := &script{from: []string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"}}
	l := (&Conns{Most: 1, Handshakes: 4}).Listen(s)
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		_, _ = first.Close(), first.Close()
	}()
	if _, err := l.Accept(); err != nil {
		t.Error(err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		l.(*limited).once.Do(func() { close(l.(*limited).closing) })
	}()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a third: %v", err)
	}
}

// feed reads a client's frames through a Conn in pieces of every size, as grpc would, with the tap's verdict about each call.
func feed(t *testing.T, piece int, frames func(fr *http2.Framer), tap func(c *Conn)) (*Conn, error) {
	t.Helper()
	inner, client := net.Pipe()
	c := newConn(inner, "", &origin{}, &Conns{})
	var feeding sync.WaitGroup
	defer feeding.Wait()
	defer inner.Close()
	feeding.Go(func() {
		defer client.Close()
		out := bufio.NewWriterSize(client, 32<<10)
		if _, err := io.WriteString(out, http2.ClientPreface); err == nil {
			frames(http2.NewFramer(out, nil))
		}
		_ = out.Flush() // the other side may have gone
	})
	buf := make([]byte, piece)
	for {
		_, err := c.Read(buf)
		for range c.opened {
			tap(c)
		}
		if err != nil {
			return c, err
		}
	}
}

// TestWorth: ordinary clients use up nothing, however their bytes are cut, and those that send nothing of worth are cut.
func TestWorth(t *testing.T) {
	calls := func(fr *http2.Framer) {
		for i := range uint32(3000) {
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: []byte{0x82}, EndHeaders: true})
			_ = fr.WriteData(2*i+1, true, make([]byte, 50))
			_ = fr.WriteWindowUpdate(0, 100)
			_ = fr.WritePing(false, [8]byte{2, 4, 16, 16, 9, 14, 7, 7}) // what a client of grpc-go measures the way with
			if i%2 == 0 {
				_ = fr.WriteWindowUpdate(2*i+1, 100)
			}
		}
	}
	for _, piece := range []int{1, 7, 9, 10, 4096} {
		if c, err := feed(t, piece, calls, (*Conn).admitted); err != io.EOF || c.waste > 10 || c.credit < creditMost-10 {
			t.Errorf("calls in pieces of %d: %v, waste %v, credit %v", piece, err, c.waste, c.credit)
		}
	}
	for name, flood := range map[string]func(fr *http2.Framer) error{
		"settings":   func(fr *http2.Framer) error { return fr.WriteSettings() },
		"empty data": func(fr *http2.Framer) error { return fr.WriteData(1, false, nil) },
		"resets":     func(fr *http2.Framer) error { return fr.WriteRSTStream(1, http2.ErrCodeCancel) },
		"too large": func(fr *http2.Framer) error {
			return fr.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, frameMost+1))
		},
	} {
		sent := 0
		_, err := feed(t, 32<<10, func(fr *http2.Framer) {
			for ; sent < 100000 && flood(fr) == nil; sent++ {
			}
		}, (*Conn).admitted)
		if !errors.Is(err, errFlood) {
			t.Errorf("%s: %v", name, fmt.Sprint(err))
		}
	}
}

// TestDataIsWorthCalls: bytes of data earn credit where calls are made, and cost some where none is.
func TestDataIsWorthCalls(t *testing.T) {
	const n = 50
	for called, want := range map[bool]float64{true: creditMost, false: creditMost - n*frameMost*dataCost} {
		began := time.Now()
		c, err := feed(t, 32<<10, func(fr *http2.Framer) {
			if called {
				_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}, EndHeaders: true})
				_ = fr.WritePing(false, [8]byte{1}) // read by itself, before the data
			}
			for range n {
				_ = fr.WriteData(1, false, make([]byte, frameMost))
			}
		}, (*Conn).admitted)
		if with := time.Since(began).Seconds() * creditRate; err != io.EOF || c.credit < want-10 || c.credit > want+with { // some comes with time
			t.Errorf("called: %v: %v, credit %v, want %v", called, err, c.credit, want)
		}
	}
}
