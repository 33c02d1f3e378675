// SPDX-License-Identifier: Apache-2.0

package device

// #include "cgo.h"
import "C"

import (
	"context"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// bounceBytes is the memory of a slot for I/O on memory that is not aligned, a multiple of every alignment.
const bounceBytes = 64 << 10

// handOver is after how many rounds a goroutine that submits for others has done its share.
const handOver = 64

// engine is the one queue that all goroutines of a Device share.
//
// A goroutine puts its I/O on a list. When nobody submits it becomes the leader: it submits the list, batch by batch, until it is
// empty, in calls that do not wait; the others leave their I/O to it. What has completed meanwhile the leader reaps in the same call.
// The rest is reaped by the poller, a goroutine that waits for the queue's eventfd in Go's netpoller. Everyone else waits in Go for
// its slot's channel, so that at most two threads are in C.
type engine struct {
	ref   string
	queue *C.tarn_dev_queue
	ios   []IO // C memory; that of slot i is the i-th
	slots []slot
	free  chan *slot

	mu      sync.Mutex
	pending []uint32 // slots to be submitted
	leading bool     // a goroutine is, or is about to be, in lead

	submitting sync.Mutex // around a submit: the spare list, and who wants to know that it is over
	spare      []uint32
	reaping    sync.Mutex   // around a reap, by the poller or the leader
	done       *C.go_done   // C memory, under reaping
	arriving   atomic.Int64 // how many that were told of completions may be on their way here with another I/O

	file    *os.File // a dup of the eventfd
	conn    syscall.RawConn
	stopped chan struct{}
}

// slot is what one I/O in flight owns.
type slot struct {
	io     *IO
	index  uint32
	busy   atomic.Bool
	done   chan int32     // the result; never more than one
	pin    runtime.Pinner // of the Go memory that is lent
	bounce *Buffer        // made when it is first needed
}

func openEngine(dev *C.tarn_dev, ref string, depth int) (*engine, error) {
	const op = "device open"
	e := &engine{ref: ref, stopped: make(chan struct{})}
	options := C.tarn_dev_queue_options{struct_size: C.sizeof_tarn_dev_queue_options, depth: C.uint32_t(depth)}
	if err := direct(op, ref, func() C.int { return C.tarn_dev_queue_open(dev, &options, &e.queue) }); err != nil {
		return nil, err
	}
	e.ios = newIOs(depth)
	e.done = (*C.go_done)(C.go_alloc(C.GO_BATCH, C.sizeof_go_done))
	err := e.attach()
	if err == nil && (e.ios == nil || e.done == nil) {
		e.file.Close()
		err = errno.New(op, ref, errno.NoMem, "there is no memory for a queue: open it with less Depth")
	}
	if err != nil {
		e.end()
		return nil, err
	}
	e.slots, e.free = make([]slot, depth), make(chan *slot, depth)
	for i := range e.slots {
		s := &e.slots[i]
		s.io, s.index, s.done = &e.ios[i], uint32(i), make(chan int32, 1)
		e.free <- s
	}
	go e.poll()
	return e, nil
}

// attach puts a dup of the queue's eventfd, which C made non-blocking, under the netpoller.
func (e *engine) attach() error {
	const op = "device open"
	var fd C.int
	err := called(op, e.ref, func() C.int { fd = C.tarn_dev_queue_fd(e.queue); return fd })
	if err != nil {
		return err
	}
	dup, _, number := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if number != 0 {
		return errno.New(op, e.ref, errno.Misc, "the queue's file descriptor cannot be duplicated: "+number.Error())
	}
	e.file = os.NewFile(dup, "tarn device queue")
	if e.conn, err = e.file.SyscallConn(); err != nil {
		e.file.Close()
		return errno.New(op, e.ref, errno.Misc, "the queue's file descriptor cannot be polled: "+err.Error())
	}
	return nil
}

// close ends the poller, then the queue. No I/O is in flight.
func (e *engine) close() error {
	e.file.Close()
	<-e.stopped
	for i := range e.slots {
		if b := e.slots[i].bounce; b != nil {
			b.Close()
		}
	}
	return e.end()
}

func (e *engine) end() error {
	err := called("device close", e.ref, func() C.int { return C.tarn_dev_queue_close(e.queue, -1) })
	freeIOs(e.ios)
	C.free(unsafe.Pointer(e.done))
	return err
}

// ---- slots ----

// take waits for a free slot as long as ctx allows.
func (e *engine) take(ctx context.Context, op string) (*slot, error) {
	select {
	case s := <-e.free:
		return s, nil
	default:
	}
	select {
	case s := <-e.free:
		return s, nil
	case <-ctx.Done():
		return nil, errno.FromContext(op, e.ref, ctx)
	}
}

func (e *engine) give(s *slot) {
	s.pin.Unpin()
	e.free <- s
}

// lend makes the slot's I/O one on data, which stays where it is until give.
func (s *slot) lend(op Opcode, offset uint64, data []byte) {
	p := unsafe.SliceData(data)
	s.pin.Pin(p) // of memory that is not Go's this does nothing
	s.io.prepare(op, offset, uint64(len(data)), unsafe.Pointer(p))
}

// borrow returns n bytes of the slot's own aligned memory, at most bounceBytes.
func (s *slot) borrow(n int) ([]byte, error) {
	if s.bounce == nil {
		b, err := Alloc(bounceBytes, false)
		if err != nil {
			return nil, err
		}
		s.bounce = b
	}
	return s.bounce.bytes[:n], nil
}

// run does the slot's I/O. When ctx ends first it asks C to give it up, and waits on: until it has completed, C may use its memory.
func (e *engine) run(ctx context.Context, op string, s *slot) error {
	s.io.Tag = uint64(s.index)
	s.busy.Store(true)
	e.submit(s)
	rc := e.await(ctx, s)
	s.busy.Store(false)
	if rc >= 0 {
		return nil
	}
	code := errno.Code(rc)
	if ctx.Err() != nil && code == errno.Canceled {
		return errno.FromContext(op, e.ref, ctx)
	}
	return errno.New(op, e.ref, code, s.io.sentence())
}

func (e *engine) await(ctx context.Context, s *slot) int32 {
	if ctx.Done() == nil {
		return <-s.done
	}
	select {
	case rc := <-s.done:
		return rc
	case <-ctx.Done():
		e.cancel(s)
		return <-s.done
	}
}

// ---- submitting ----

func (e *engine) submit(s *slot) {
	crowd := e.arriving.Add(-1) > 0
	e.mu.Lock()
	e.pending = append(e.pending, s.index)
	lead := !e.leading
	e.leading = true
	e.mu.Unlock()
	if !lead {
		return
	}
	if crowd { // others are about to come: submit theirs along
		runtime.Gosched()
	}
	e.lead()
}

// lead submits what is pending, until nothing is. It is entered by whoever has set leading.
func (e *engine) lead() {
	for range handOver {
		if !e.submitPending() {
			return
		}
	}
	go e.lead() // the goroutine's own I/O may long be done
}

// submitPending is false when nothing was pending; then it has ended the leadership.
func (e *engine) submitPending() bool {
	e.submitting.Lock()
	defer e.submitting.Unlock()
	e.mu.Lock()
	batch := e.pending
	e.pending = e.spare[:0]
	e.leading = len(batch) > 0
	e.mu.Unlock()
	e.spare = batch
	for len(batch) > 0 {
		n := e.start(batch)
		if batch = batch[n:]; n == 0 { // full, which cannot be: there are as many slots as the queue is deep
			time.Sleep(time.Millisecond)
		}
	}
	return len(e.spare) > 0
}

// start starts the first of the slots, and tells of what has completed when nobody else does.
func (e *engine) start(batch []uint32) C.uint32_t {
	ios, which, n := e.ios[0].c(), (*C.uint32_t)(unsafe.SliceData(batch)), C.uint32_t(len(batch))
	if !e.reaping.TryLock() {
		return C.go_submit(e.queue, ios, which, n)
	}
	defer e.reaping.Unlock()
	var reaped C.uint32_t
	started := C.go_submit_reap(e.queue, ios, which, n, e.done, &reaped)
	e.deliver(reaped)
	return started
}

// cancel asks for an early end of what the slot has in flight, or is about to have. The slot's result comes as ever.
func (e *engine) cancel(s *slot) {
	e.submitting.Lock() // a submit that is going on is over
	defer e.submitting.Unlock()
	if e.withdraw(s.index) {
		s.io.rc = int32(errno.Canceled)
		s.io.message[0] = 0
		s.done <- s.io.rc
		return
	}
	C.tarn_dev_queue_cancel(e.queue, s.io.c()) // NONEXIST: it has just completed, and its result is on its way
}

// withdraw takes a slot that nobody has submitted yet from the list.
func (e *engine) withdraw(index uint32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, other := range e.pending {
		if other == index {
			e.pending = append(e.pending[:i], e.pending[i+1:]...)
			return true
		}
	}
	return false
}

// cancelAll cancels what is in flight. What a slot begins meanwhile may be cancelled in the stead of what it had.
func (e *engine) cancelAll() {
	for i := range e.slots {
		if s := &e.slots[i]; s.busy.Load() {
			e.cancel(s)
		}
	}
}

// ---- reaping ----

// poll runs until the file is closed. Read calls reap, and waits for the next edge of the eventfd when nothing was there.
func (e *engine) poll() {
	defer close(e.stopped)
	reap := func(uintptr) bool { return e.reap() }
	for e.conn.Read(reap) == nil {
		runtime.Gosched() // those who were told submit their next, and perhaps there is more already
	}
}

// reap waits for the leader, who may have left some: every edge of the eventfd is followed by a reap that found nothing.
func (e *engine) reap() bool {
	e.reaping.Lock()
	defer e.reaping.Unlock()
	n := C.go_reap(e.queue, e.done)
	e.deliver(n)
	return n > 0
}

// deliver is called with reaping held.
func (e *engine) deliver(n C.uint32_t) {
	if n == 0 {
		return
	}
	e.arriving.Store(int64(n))
	for _, d := range unsafe.Slice(e.done, n) {
		e.slots[d.slot].done <- int32(d.rc)
	}
}
