// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"runtime"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// slotsMax bounds the operations in flight of one system. More callers wait in Go.
const slotsMax = 512

// slot is what one operation in flight owns: an event, its out-parameters, and the pins of the Go memory that C may write.
type slot struct {
	c       *C.go_slot // C memory, made at the slot's first use
	index   uint32
	done    chan C.int // the result, from the poller; never more than one
	pin     runtime.Pinner
	op, ref string
}

type slots struct {
	queue *queue
	all   [slotsMax]slot
	free  chan *slot
}

func openSlots() (*slots, error) {
	p := &slots{free: make(chan *slot, slotsMax)}
	q, err := openQueue(p.deliver)
	if err != nil {
		return nil, err
	}
	p.queue = q
	for i := range p.all {
		p.all[i].index = uint32(i)
		p.all[i].done = make(chan C.int, 1)
		p.free <- &p.all[i]
	}
	return p, nil
}

func (p *slots) deliver(slot uint32, rc C.int) { p.all[slot].done <- rc }

// close frees everything. No call may be running.
func (p *slots) close() error {
	err := p.queue.close()
	for i := range p.all {
		C.free(unsafe.Pointer(p.all[i].c))
	}
	return err
}

// take waits for a free slot as long as ctx allows.
func (p *slots) take(ctx context.Context, op, ref string) (*slot, error) {
	var s *slot
	select {
	case s = <-p.free:
	default:
		select {
		case s = <-p.free:
		case <-ctx.Done():
			return nil, errno.FromContext(op, ref, ctx)
		}
	}
	if s.c == nil {
		if s.c = C.go_slot_new(p.queue.eq, C.uint32_t(s.index)); s.c == nil {
			p.free <- s
			return nil, errno.New(op, ref, errno.NoMem, "there is no memory for another operation")
		}
	}
	s.op, s.ref = op, ref
	return s, nil
}

// taken is how many slots are in use.
func (p *slots) taken() int { return slotsMax - len(p.free) }

func (p *slots) give(s *slot) {
	s.pin.Unpin()
	p.free <- s
}

// wait returns the result of a call that C has just answered with rc: 0 started, 1 done without waiting, negative refused. When ctx
// ends first it asks C to give up, and waits on: until the result has arrived, C may use the slot and what is pinned.
func (s *slot) wait(ctx context.Context, rc C.int) error {
	switch rc {
	case 0:
		rc = s.await(ctx)
	case 1:
		rc = C.tarn_event_result(&s.c.ev)
	}
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
