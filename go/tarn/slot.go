// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// slotsMax bounds the operations in flight of one system. More callers wait in Go.
const slotsMax = 512

// crowd is from how many slots on, those that lie ready included, calls take turns to cross into C.
const crowd = hotMax + 4

// hotMax is the number of slots that lie ready for who used them last.
const hotMax = 16

// slot is what one operation in flight owns: an event, its out-parameters, and the pins of the Go memory that C may write.
type slot struct {
	c       *C.go_slot // C memory, made at the slot's first use
	index   uint32
	slots   *slots
	home    *hotSlot
	done    chan C.int // the result, from the poller; never more than one
	pin     runtime.Pinner
	op, ref string
	stripe  *stripe    // of the handle's stats
	counted bool       // among those that cross into C: see slots.cross
	code    errno.Code // of the last result
}

// slots lends slots. All are in free, but for some in hot: there a goroutine finds the one that it used last, warm in the cache, with one
// atomic exchange. Who finds none counts itself in waiting before it looks through hot for the last time; who puts one there looks at
// waiting afterwards: so one of the two sees the other.
type slots struct {
	queue   *queue
	all     [slotsMax]slot
	free    chan *slot
	hot     [hotMax]hotSlot
	waiting atomic.Int64
	across  chan struct{} // one for each that crosses into C while it is crowded

	ownedLock sync.Mutex
	owned     map[uint32]*slot // of watches: see own
	nextOwned uint32
}

type hotSlot struct {
	atomic.Pointer[slot]
	_ [56]byte // processors do not share a cache line
}

func openSlots() (*slots, error) {
	p := &slots{free: make(chan *slot, slotsMax), across: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
	q, err := openQueue(p.deliver)
	if err != nil {
		return nil, err
	}
	p.queue = q
	for i := range p.all {
		p.all[i].index, p.all[i].slots = uint32(i), p
		p.all[i].done = make(chan C.int, 1)
		p.free <- &p.all[i]
	}
	return p, nil
}

func (p *slots) deliver(slot uint32, rc C.int) { p.at(slot).done <- rc }

// close frees everything. No call may be running.
func (p *slots) close() error {
	err := p.queue.close()
	for i := range p.all {
		C.free(unsafe.Pointer(p.all[i].c))
	}
	return err
}

// place is where the calling goroutine looks first: its stack is not where another's is.
func (p *slots) place() *hotSlot {
	var here byte
	return &p.hot[uint64(uintptr(unsafe.Pointer(&here))>>11)*0x9E3779B97F4A7C15>>32%hotMax]
}

// take waits for a free slot as long as ctx allows. The call's figures go to the stats of h.
func (p *slots) take(ctx context.Context, op string, h *handle) (*slot, error) {
	home := p.place()
	s := home.Swap(nil)
	if s == nil {
		if s = p.find(ctx); s == nil {
			return nil, errno.FromContext(op, h.ref, ctx)
		}
	}
	if s.c == nil {
		if s.c = C.go_slot_new(p.queue.eq, C.uint32_t(s.index)); s.c == nil {
			p.free <- s
			return nil, errno.New(op, h.ref, errno.NoMem, "there is no memory for another operation")
		}
	}
	s.home, s.op, s.ref, s.code = home, op, h.ref, 0
	s.stripe = h.stats.stripe(s.index)
	return s, nil
}

// taken is how many slots are in use.
func (p *slots) taken() int {
	idle := len(p.free)
	for i := range p.hot {
		if p.hot[i].Load() != nil {
			idle++
		}
	}
	return max(slotsMax-idle, 0)
}

// find waits for any slot; nil when ctx has ended.
func (p *slots) find(ctx context.Context) *slot {
	select {
	case s := <-p.free:
		return s
	default:
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	for i := range p.hot {
		if s := p.hot[i].Swap(nil); s != nil {
			return s
		}
	}
	select {
	case s := <-p.free:
		return s
	case <-ctx.Done():
		return nil
	}
}

// cross is called before a call crosses into C. A call does not wait there for a device, but a lock may keep it, and then Go makes another
// thread: so of many calls at once only a few cross at a time, and the others wait in Go.
func (p *slots) cross(s *slot) {
	if s.counted = slotsMax-len(p.free) >= crowd; s.counted {
		p.across <- struct{}{}
	}
}

// isBack is called when C has answered, or was not called.
func (p *slots) isBack(s *slot) {
	if s.counted {
		s.counted = false
		<-p.across
	}
}

func (p *slots) give(s *slot) {
	p.isBack(s)
	s.pin.Unpin()
	s.stripe.ended(s.code)
	if home := s.home; home.CompareAndSwap(nil, s) {
		if p.waiting.Load() == 0 {
			return
		}
		if s = home.Swap(nil); s == nil {
			return // somebody has it already
		}
	}
	p.free <- s
}

// wait returns the result of a call that C has just answered with rc: 0 started, 1 done without waiting, negative refused. When ctx
// ends first it asks C to give up, and waits on: until the result has arrived, C may use the slot and what is pinned.
func (s *slot) wait(ctx context.Context, rc C.int) error {
	if rc == 1 {
		rc = C.go_came_to(rc, s.c)
	}
	return s.settle(ctx, rc)
}

// settle is wait for a call whose rc is also its result when it is not 0 (go_came_to): it does not cross into C again.
func (s *slot) settle(ctx context.Context, rc C.int) error {
	s.slots.isBack(s)
	if rc == 0 {
		s.stripe.waited.Add(1)
		rc = s.await(ctx)
	}
	s.code = 0
	if rc >= 0 {
		return nil
	}
	return s.fail(ctx, errno.Code(rc))
}

func (s *slot) await(ctx context.Context) C.int {
	select {
	case rc := <-s.done:
		return rc
	case <-ctx.Done():
		C.tarn_event_abort(&s.c.ev) // refused when it has just completed: then the result is on its way
		return <-s.done
	}
}

func (s *slot) fail(ctx context.Context, code errno.Code) error {
	s.code = code
	if ctx.Err() != nil && (code == errno.Canceled || code == errno.OpCanceled) {
		return errno.FromContext(s.op, s.ref, ctx)
	}
	return errno.New(s.op, s.ref, code, C.GoString(C.tarn_event_message(&s.c.ev)))
}

// data is the slot's scratch memory.
func (s *slot) data() unsafe.Pointer { return unsafe.Pointer(&s.c.data) }

// bytes are the first n of the scratch memory.
func (s *slot) bytes(n int) []byte { return unsafe.Slice((*byte)(s.data()), n) }

// target is where C may write into dst, whose memory stays put until the slot is given back.
func (s *slot) target(dst []byte) *C.uint8_t {
	p := unsafe.SliceData(dst)
	s.pin.Pin(p)
	return (*C.uint8_t)(p)
}
