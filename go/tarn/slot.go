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

// readySlots are those that a call can have with one atomic instruction, and readyTries is how many of them it tries.
const (
	readySlots = 16
	readyTries = 4
)

// crowd is from how many slots on, besides the ready ones, calls take turns to cross into C.
const crowd = 4

// What owner holds besides the id of a handle.
const (
	nobody   = 0
	somebody = 1 // the call counts elsewhere, or the slot is on its way to one that waits
	firstID  = 2
)

// slot is what one operation in flight owns: an event, its out-parameters, and the pins of the Go memory that C may write.
type slot struct {
	owner   atomic.Uint64 // of a ready slot: the handle whose call has it
	c       *C.go_slot    // C memory, made at the slot's first use
	tally   *tally        // of the handle's stats
	slots   *slots
	op, ref string
	index   uint32
	code    errno.Code // of the last result
	pinned  bool
	counted bool       // among those that cross into C: see slots.cross
	done    chan C.int // the result, from the poller; never more than one
	pin     runtime.Pinner
	_       [32]byte // a slot is two cache lines
}

// slots lends slots. The first are ready: one is taken by whoever makes himself its owner, so that taking it is also the entry into the
// handle (see handle.shut), and a goroutine finds the one that it had last, warm in the cache. The others are in free. Who finds none counts
// itself in waiting before it looks through the ready ones for the last time; who leaves one of them looks at waiting afterwards: so one
// of the two sees the other.
type slots struct {
	all     [slotsMax]slot
	queue   *queue
	free    chan *slot
	waiting atomic.Int64
	across  chan struct{} // one for each that crosses into C while it is crowded

	ownedLock sync.Mutex
	owned     map[uint32]*slot // of watches: see own
	nextOwned uint32
}

// Neighbours share no cache line.
var _ = [1]struct{}{}[unsafe.Sizeof(slot{})%128]

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
		if i >= readySlots {
			p.free <- &p.all[i]
		}
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

// claim makes owner the owner of a ready slot, or returns nil. The calling goroutine looks first where others do not: its stack is not
// where another's is.
func (p *slots) claim(owner uint64) *slot {
	var here byte
	place := uint64(uintptr(unsafe.Pointer(&here))>>11) * 0x9E3779B97F4A7C15 >> 32
	for i := range uint64(readyTries) {
		s := &p.all[(place+i)%readySlots]
		if s.owner.Load() == nobody && s.owner.CompareAndSwap(nobody, owner) {
			return s
		}
	}
	return nil
}

// claimed is how many ready slots that owner has.
func (p *slots) claimed(owner uint64) int {
	n := 0
	for i := range readySlots {
		if p.all[i].owner.Load() == owner {
			n++
		}
	}
	return n
}

// find waits for any slot as long as ctx allows. Of a ready one, somebody is the owner.
func (p *slots) find(ctx context.Context, op, ref string) (*slot, error) {
	select {
	case s := <-p.free:
		return s, nil
	default:
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	for i := range readySlots {
		if p.all[i].owner.CompareAndSwap(nobody, somebody) {
			return &p.all[i], nil
		}
	}
	select {
	case s := <-p.free:
		return s, nil
	case <-ctx.Done():
		return nil, errno.FromContext(op, ref, ctx)
	}
}

// release ends what claim and find began.
func (p *slots) release(s *slot) {
	if s.index >= readySlots {
		p.free <- s
		return
	}
	s.owner.Store(nobody)
	if p.waiting.Load() > 0 && s.owner.CompareAndSwap(nobody, somebody) {
		p.free <- s
	}
}

// ready makes a slot that was claimed or found ready for a call, whose figures go to the stats of h. false: there is no memory.
func (s *slot) ready(op string, h *handle) bool {
	if s.c == nil {
		s.c = C.go_slot_new(s.slots.queue.eq, C.uint32_t(s.index))
	}
	s.op, s.ref, s.code = op, h.ref, 0
	s.tally = h.stats.tally(s.index)
	return s.c != nil
}

func noMemory(op, ref string) error {
	return errno.New(op, ref, errno.NoMem, "there is no memory for another operation")
}

// take is for a call that does not enter h, or has.
func (p *slots) take(ctx context.Context, op string, h *handle) (*slot, error) {
	s, err := p.find(ctx, op, h.ref)
	if err != nil {
		return nil, err
	}
	if !s.ready(op, h) {
		p.release(s)
		return nil, noMemory(op, h.ref)
	}
	return s, nil
}

// taken is how many slots are in use.
func (p *slots) taken() int {
	return max(slotsMax-len(p.free)-p.claimed(nobody), 0)
}

// cross is called before a call crosses into C. A call does not wait there for a device, but a lock may keep it, and then Go makes another
// thread: so of many calls at once only a few cross at a time, and the others wait in Go.
func (p *slots) cross(s *slot) {
	if slotsMax-readySlots-len(p.free) >= crowd {
		s.counted = true
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
	if s.pinned {
		s.pinned = false
		s.pin.Unpin()
	}
	s.tally.ended(s.code)
	p.release(s)
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
		s.tally.waitedOne()
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

// handle is what a call of C has opened.
func (s *slot) handle() unsafe.Pointer { return *(*unsafe.Pointer)(s.opened()) }

// opened is where C writes it.
func (s *slot) opened() unsafe.Pointer { return unsafe.Pointer(&s.c.handle) }

// data is the slot's scratch memory.
func (s *slot) data() unsafe.Pointer { return unsafe.Pointer(&s.c.data) }

// bytes are the first n of the scratch memory.
func (s *slot) bytes(n int) []byte { return unsafe.Slice((*byte)(s.data()), n) }

// target is where C may write into dst, whose memory stays put until the slot is given back.
func (s *slot) target(dst []byte) *C.uint8_t {
	p := unsafe.SliceData(dst)
	s.pin.Pin(p)
	s.pinned = true
	return (*C.uint8_t)(p)
}
