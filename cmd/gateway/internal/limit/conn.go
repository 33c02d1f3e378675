// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// Conn is a connection of HTTP/2, behind TLS, that is read no faster than what its client does is worth.
//
// Always true: frames that carry nothing (settings, pings, resets, empty or padded data and others), large headers, and calls
// that are refused or end before their message has come, cost credit; other calls and bytes of data in either direction earn it, and some comes with time and from
// the origin. While there is none, nothing is read: the client waits in its own send buffer, and costs nobody else anything. Who goes on to send what carries nothing is cut. What ordinary clients do never uses
// up the credit.
type Conn struct {
	net.Conn
	key     string // of who has not said who it is
	calls   atomic.Int32
	used    atomic.Int64 // when something was read or written last, in ns
	written atomic.Int64 // bytes that have not earned credit yet
	owed    atomic.Int64 // when the oldest refusal that is not written yet was read, in ns; 0: there is none
	owes    atomic.Int64 // how many these are
	unheard atomic.Int64 // calls that had a place and ended before their message came, and that have not cost credit yet
	left    atomic.Int64 // credit, as it was when something was read last
	unread  int64        // bytes of its answers; under the lock of the gate
	origin  *origin
	conns   *Conns
	done    chan struct{}
	close   func() error

	// Only the goroutine that reads uses what follows; grpc calls the tap from it, too.
	credit  float64
	waste   float64 // what frames have cost that carried nothing, less what was earned
	yielded float64 // waste, when others could run last
	at      time.Time
	came    int64     // when something was read last, in ns
	until   time.Time // when it may be read again, unless gate has room before
	gate    *Gate     // that has refused a call
	worth   bool      // a call was admitted
	opened  int       // calls that began, and that grpc has not asked the tap about
	early   early

	outgoing outgoing
}

const (
	creditMost = 500
	creditRate = 1000 // each second
	wasteMost  = 2000
	wasteRate  = 250 // forgotten each second

	callCredit    = 3         // with a call, clients that measure the way send a ping and one or two updates of windows
	dataCredit    = 1. / 1024 // each byte that comes
	dataCost      = 1. / 4096 // each one before a call was admitted, or in a frame that grpc does not take
	writtenCredit = 1. / 4096 // each byte that goes
	frameCost     = 1
	resetCost     = 4
	headersFree   = 4096                     // bytes of the headers of a call
	headersCost   = 1. / 256                 // of each beyond
	refusalCost   = 0.5                      // of a call
	unknownCost   = 4                        // of a call of a method that there is not, beyond that: grpc does all of its work
	unheardCost   = callCredit + unknownCost // of a call whose message is too large, or does not come
	surplusCost   = 3                        // of a call beyond those that a connection may have at once: the client was told how many
	pauseMost     = 100 * time.Millisecond
	creditLow     = 100
	yieldWaste    = 50
	smallRead     = 2048 // bytes: what is read at once of who has little credit, was not read for a while, or has called nothing yet
)

var errFlood = errors.New("the client sends too many frames that carry nothing")

func newConn(inner net.Conn, key string, from *origin, conns *Conns) *Conn {
	c := &Conn{Conn: inner, key: key, origin: from, conns: conns, done: make(chan struct{}), credit: creditMost, at: time.Now(), early: newEarly()}
	c.close = sync.OnceValue(func() error {
		close(c.done)
		conns.end(c)
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

func (c *Conn) touch() int64 {
	now := time.Now().UnixNano()
	c.used.Store(now)
	return now
}

// idle is whether no call is under way, and nothing was read or written for so long.
func (c *Conn) idle(now time.Time, d time.Duration) bool {
	return c.calls.Load() == 0 && now.UnixNano()-c.used.Load() >= int64(d)
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	c.spend(float64(c.opened) * surplusCost) // there were too many at once: grpc has refused them
	c.opened = 0
	c.yield()
	n, err := c.early.read(c, p)
	c.keep()
	return n, err
}

// yield lets others run first when what was read carried nothing: they would wait behind all of it.
func (c *Conn) yield() {
	if c.waste > c.yielded+yieldWaste {
		runtime.Gosched()
		c.yielded = c.waste
	}
	c.yielded = min(c.yielded, c.waste)
}

// pull reads what the client has sent, as soon as there is credit.
func (c *Conn) pull(p []byte) (int, error) {
	c.earn(time.Now())
	for c.credit < 0 {
		if c.waste > wasteMost {
			return 0, errFlood
		}
		c.pause()
	}
	if c.rest() || c.credit < creditLow || !c.worth {
		p = p[:min(len(p), smallRead)]
	}
	n, err := c.Conn.Read(p)
	c.came = c.touch()
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	owed := c.owed.Swap(0) // before writing: what is refused from now on may not be in p
	n, err := c.outgoing.write(c.Conn, p)
	c.written.Add(int64(n))
	if now := c.touch(); owed != 0 {
		c.conns.Refusals.AddMany(time.Duration(now-owed), uint64(c.owes.Swap(0)))
	}
	return n, err
}

// earn adds what comes with time, and what was earned by writing, less what calls cost that were worth nothing in the end.
func (c *Conn) earn(now time.Time) {
	seconds := now.Sub(c.at).Seconds()
	c.at = now
	c.spend(float64(c.unheard.Swap(0))*unheardCost - float64(c.written.Swap(0))*writtenCredit)
	c.credit = min(c.credit+seconds*creditRate*c.origin.share(), creditMost)
	c.waste = max(c.waste-seconds*wasteRate, 0)
}

// spend takes what something cost that is worth nothing to anybody; less than nothing is earned.
func (c *Conn) spend(cost float64) {
	c.credit = min(c.credit-cost, creditMost)
	c.waste = max(c.waste+cost, 0)
}

// pause waits until there may be credit again. It ends when the connection is closed.
func (c *Conn) pause() {
	seconds := -c.credit / (creditRate * c.origin.share())
	timer := time.NewTimer(min(time.Duration(seconds*float64(time.Second))+time.Millisecond, pauseMost))
	defer timer.Stop()
	select {
	case <-timer.C:
		c.earn(time.Now())
	case <-c.done:
		c.credit = 0
	}
}

// hold keeps the connection from being read, because of a call that was refused, for as long as others need.
func (c *Conn) hold(g *Gate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.until, c.gate = g.pace.refused(time.Now()), g
	g.lively = g.pace.places(g.calls.most)
}

// rest waits as long as hold said, or until there is room. It is whether it waited.
func (c *Conn) rest() bool {
	d, g := time.Until(c.until), c.gate
	c.gate = nil
	if g == nil || d <= 0 {
		return false
	}
	turn, end := g.Room()
	defer end()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-turn:
	case <-timer.C:
	case <-c.done:
	}
	return true
}

// keep says what the origin gets back when the connection is closed now.
func (c *Conn) keep() { c.left.Store(int64(c.credit)) }

// admitted and refused are what the tap decided about a call.
func (c *Conn) admitted() {
	c.opened--
	if !c.worth {
		c.worth = true
		c.conns.repay(c.origin)
	}
	c.spend(-callCredit)
	c.keep()
}

func (c *Conn) refused() {
	c.opened--
	c.credit -= refusalCost
	c.owes.Add(1)
	c.owed.CompareAndSwap(0, c.came)
}

// count counts a frame that grpc will see.
func (c *Conn) count(kind http2.FrameType, flags http2.Flags, length int) {
	switch {
	case kind == http2.FrameHeaders:
		c.opened++
		c.spend(float64(max(length-headersFree, 0)) * headersCost)
	case kind == http2.FrameData && flags.Has(http2.FlagDataPadded):
		c.spend(frameCost)
	case kind == http2.FrameData && length > frameMost:
		c.spend(float64(length) * dataCost)
	case kind == http2.FrameData && length > 0 && !c.worth:
		c.credit -= float64(length) * dataCost // no waste: it may be of calls that are refused
	case kind == http2.FrameData && length > 0:
		c.spend(-float64(length) * dataCredit)
	case kind == http2.FrameData && flags.Has(http2.FlagDataEndStream):
	case kind == http2.FrameRSTStream:
		c.spend(resetCost)
	default:
		c.spend(frameCost)
	}
}
