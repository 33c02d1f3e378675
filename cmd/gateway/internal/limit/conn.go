// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// Conn is a connection of HTTP/2, behind TLS, that is read no faster than what its client does is worth.
//
// Always true: frames that carry nothing (settings, pings, resets, empty data and others) and calls that are refused cost credit, admitted
// calls and bytes of data in either direction earn it, and some comes with time. While there is none, nothing is read: the client waits in
// its own send buffer, and costs nobody else anything. Who goes on to send what carries nothing is cut. What ordinary clients do never uses
// up the credit.
type Conn struct {
	net.Conn
	key     string // of who has not said who it is
	calls   atomic.Int32
	used    atomic.Int64 // when something was read or written last, in ns
	written atomic.Int64 // bytes that have not earned credit yet
	done    chan struct{}
	close   func() error

	// Only the goroutine that reads uses what follows; grpc calls the tap from it, too.
	credit float64
	waste  float64 // what frames have cost that carried nothing, less what was earned
	at     time.Time
	head   [frameHead]byte
	got    int // of head
	skip   int // bytes before the next head
	opened int // calls that began, and that grpc has not asked the tap about
}

const (
	frameHead  = 9
	creditMost = 1000
	creditRate = 1000 // each second
	wasteMost  = 2000
	wasteRate  = 250 // forgotten each second

	callCredit    = 3         // with a call, clients that measure the way send a ping and one or two updates of windows
	dataCredit    = 1. / 1024 // each byte that comes
	writtenCredit = 1. / 4096 // each byte that goes
	frameCost     = 1
	resetCost     = 4   // more than the call earned
	refusalCost   = 0.5 // of a call
	surplusCost   = 3   // of a call beyond those that a connection may have at once: the client was told how many
	pauseMost     = 100 * time.Millisecond
)

var errFlood = errors.New("the client sends too many frames that carry nothing")

func newConn(inner net.Conn, key string, ended func(*Conn)) *Conn {
	c := &Conn{Conn: inner, key: key, done: make(chan struct{}), credit: creditMost, at: time.Now(), skip: len(http2.ClientPreface)}
	c.close = sync.OnceValue(func() error {
		close(c.done)
		ended(c)
		return c.Conn.Close()
	})
	c.touch()
	return c
}

// Close implements net.Conn. It may be called again.
func (c *Conn) Close() error { return c.close() }

func (c *Conn) closed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *Conn) touch() { c.used.Store(time.Now().UnixNano()) }

// idle is whether no call is under way, and nothing was read or written for so long.
func (c *Conn) idle(now time.Time, d time.Duration) bool {
	return c.calls.Load() == 0 && now.UnixNano()-c.used.Load() >= int64(d)
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	c.spend(float64(c.opened) * surplusCost) // there were too many at once: grpc has refused them
	c.opened = 0
	c.earn(time.Now())
	for c.credit < 0 {
		if c.waste > wasteMost {
			return 0, errFlood
		}
		c.pause()
	}
	n, err := c.Conn.Read(p)
	c.scan(p[:n])
	c.touch()
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	c.touch()
	return n, err
}

// earn adds what comes with time, and what was earned by writing.
func (c *Conn) earn(now time.Time) {
	seconds := now.Sub(c.at).Seconds()
	c.at = now
	c.spend(-float64(c.written.Swap(0)) * writtenCredit)
	c.credit = min(c.credit+seconds*creditRate, creditMost)
	c.waste = max(c.waste-seconds*wasteRate, 0)
}

// spend takes what something cost that is worth nothing to anybody; less than nothing is earned.
func (c *Conn) spend(cost float64) {
	c.credit = min(c.credit-cost, creditMost)
	c.waste = max(c.waste+cost, 0)
}

// pause waits until there may be credit again. It ends when the connection is closed.
func (c *Conn) pause() {
	timer := time.NewTimer(min(time.Duration(-c.credit/creditRate*float64(time.Second))+time.Millisecond, pauseMost))
	defer timer.Stop()
	select {
	case <-timer.C:
		c.earn(time.Now())
	case <-c.done:
		c.credit = 0
	}
}

// admitted and refused are what the tap decided about a call.
func (c *Conn) admitted() { c.opened--; c.spend(-callCredit) }
func (c *Conn) refused()  { c.opened--; c.credit -= refusalCost }

// scan finds the heads of frames in what was read.
func (c *Conn) scan(p []byte) {
	for len(p) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(p))
			c.skip, p = c.skip-n, p[n:]
			continue
		}
		n := copy(c.head[c.got:], p)
		c.got, p = c.got+n, p[n:]
		if c.got == frameHead {
			c.got, c.skip = 0, int(binary.BigEndian.Uint32(c.head[:4])>>8)
			c.count(http2.FrameType(c.head[3]), http2.Flags(c.head[4]), c.skip)
		}
	}
}

func (c *Conn) count(kind http2.FrameType, flags http2.Flags, length int) {
	switch {
	case kind == http2.FrameHeaders:
		c.opened++
	case kind == http2.FrameData && length > 0:
		c.spend(-float64(length) * dataCredit)
	case kind == http2.FrameData && flags.Has(http2.FlagDataEndStream):
	case kind == http2.FrameRSTStream:
		c.spend(resetCost)
	default:
		c.spend(frameCost)
	}
}
