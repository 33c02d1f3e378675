// SPDX-License-Identifier: Apache-2.0

package device

// #include "cgo.h"
import "C"

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// QueueOptions are the options of a Queue.
type QueueOptions struct {
	Depth  int  // I/Os in flight: 1 to MaxDepth; 0: DefaultDepth
	Single bool // one thread uses the queue, for everything but Wake: it is faster. See runtime.LockOSThread
	IOPoll bool // completions are polled for: a reap that waits uses a core
	SQPoll bool // a kernel thread submits, which may use a core
}

// QueueInfo is what was really taken.
type QueueInfo struct {
	Single, IOPoll, SQPoll bool
	Depth                  int
	InFlight               int // submitted and not reaped
	Registered             int // buffers
	Backend                string
	Note                   string // what was not to be had, and why
}

// Queue keeps many I/Os of one Device in flight. One goroutine at a time submits, and one at a time reaps, which may be different ones at
// the same moment. With Single one thread does all of it: its goroutine has called runtime.LockOSThread, and from another thread I/O is
// refused with INVAL while there is some in flight. What was submitted is reaped once, in the order of completion.
type Queue struct {
	*queueCore
	watch runtime.Cleanup
}

// queueCore never points to its Queue, so that the Queue's cleanup can own it.
type queueCore struct {
	guard   *guard
	queue   *C.tarn_dev_queue
	ios     []IO
	buffers []*Buffer     // registered
	within  time.Duration // of the close that is going on
}

// OpenQueue opens a queue of its own on the device, which stays open as long as the queue. Errors: INVAL, NOTSUPPORTED (a flag that
// cannot be had, of a device that is Strict), NOMEM.
//
// Implements: int tarn_dev_queue_open(tarn_dev *, const tarn_dev_queue_options *, tarn_dev_queue **)
func (d *Device) OpenQueue(o QueueOptions) (*Queue, error) {
	const op = "device queue open"
	if err := d.begin(context.Background(), op); err != nil {
		return nil, err
	}
	defer d.end()
	if o.Depth == 0 {
		o.Depth = DefaultDepth
	}
	if o.Depth < 0 || o.Depth > MaxDepth {
		return nil, errno.New(op, d.guard.ref, errno.Inval, fmt.Sprintf("a depth of %d: use 1 to %d", o.Depth, MaxDepth))
	}
	c := &queueCore{ios: newIOs(o.Depth), within: -1}
	if c.ios == nil {
		return nil, errno.New(op, d.guard.ref, errno.NoMem, "there is no memory for the queue's I/Os")
	}
	in := C.tarn_dev_queue_options{struct_size: C.sizeof_tarn_dev_queue_options, depth: C.uint32_t(o.Depth), flags: o.flags()}
	if err := direct(op, d.guard.ref, func() C.int { return C.tarn_dev_queue_open(d.dev, &in, &c.queue) }); err != nil {
		freeIOs(c.ios)
		return nil, err
	}
	c.guard = newGuard("queue", d.guard.ref, d.guard, d.guard.logger)
	c.guard.release, c.guard.hurry = c.release, c.wake
	q := &Queue{queueCore: c}
	q.watch = runtime.AddCleanup(q, (*guard).leaked, c.guard)
	return q, nil
}

func (o QueueOptions) flags() C.uint32_t {
	var flags C.uint32_t
	if o.Single {
		flags |= C.TARN_DEV_QUEUE_SINGLE
	}
	if o.IOPoll {
		flags |= C.TARN_DEV_QUEUE_IOPOLL
	}
	if o.SQPoll {
		flags |= C.TARN_DEV_QUEUE_SQPOLL
	}
	return flags
}

// IOs are the queue's I/Os, as many as it is deep. They are there until the queue is closed.
func (q *Queue) IOs() []IO { return q.ios }

// Info says what was really taken. A SINGLE queue's user calls it. Errors: NO_HDL.
//
// Implements: int tarn_dev_queue_get_info(tarn_dev_queue *, tarn_dev_queue_info *)
func (q *Queue) Info() (QueueInfo, error) {
	const op = "device queue info"
	if err := q.guard.enter(op); err != nil {
		return QueueInfo{}, err
	}
	defer q.end()
	i := C.tarn_dev_queue_info{struct_size: C.sizeof_tarn_dev_queue_info}
	if err := called(op, q.guard.ref, func() C.int { return C.tarn_dev_queue_get_info(q.queue, &i) }); err != nil {
		return QueueInfo{}, err
	}
	return QueueInfo{
		Single:     i.flags&C.TARN_DEV_QUEUE_SINGLE != 0,
		IOPoll:     i.flags&C.TARN_DEV_QUEUE_IOPOLL != 0,
		SQPoll:     i.flags&C.TARN_DEV_QUEUE_SQPOLL != 0,
		Depth:      int(i.depth),
		InFlight:   int(i.in_flight),
		Registered: int(i.fixed_count),
		Backend:    C.GoString(&i.backend[0]),
		Note:       C.GoString(&i.note[0]),
	}, nil
}

// Register registers buffers with the queue, once, while nothing is in flight: see IO.PrepareFixed. They are the queue's until it is
// closed. Errors: BUSY (something is in flight), EXIST (there are some), INVAL (none, over 1024, or a closed one), NOMEM (see ulimit -l).
//
// Implements: int tarn_dev_queue_register(tarn_dev_queue *, const tarn_dev_vec *, uint32_t)
func (q *Queue) Register(buffers ...*Buffer) error {
	const op = "device queue register"
	if err := q.guard.enter(op); err != nil {
		return err
	}
	defer q.end()
	vecs := make([]C.tarn_dev_vec, len(buffers)+1) // one more, so that there is a pointer to none
	for i, b := range buffers {
		vecs[i] = C.tarn_dev_vec{ptr: unsafe.Pointer(unsafe.SliceData(b.bytes)), len: C.size_t(len(b.bytes))}
	}
	err := direct(op, q.guard.ref, func() C.int {
		return C.tarn_dev_queue_register(q.queue, unsafe.SliceData(vecs), C.uint32_t(len(buffers)))
	})
	if err == nil {
		q.buffers = buffers
	}
	return err
}

// Submit starts I/Os from the first on. It returns how many: fewer only when the queue is full: reap, and submit the rest. One that breaks
// a rule is started, and completes with its error. It does not wait, but for what the kernel has only as a call that waits. Errors:
// NO_HDL.
//
// Implements: uint32_t tarn_dev_queue_submit(tarn_dev_queue *, tarn_dev_io *const *, uint32_t)
func (q *Queue) Submit(ios []*IO) (int, error) {
	if err := q.guard.enter("device queue submit"); err != nil {
		return 0, err
	}
	defer q.end()
	return int(C.go_queue_submit(q.queue, lend(ios))), nil
}

// Reap takes completed I/Os into out. It waits until there are min of them, or none is in flight any more, or the timeout has passed
// (0: it does not wait; negative: for ever), or a Wake. A wait occupies a thread: use Fd, or the Device's own calls, to wait in Go.
// Errors: NO_HDL.
//
// Implements: uint32_t tarn_dev_queue_reap(tarn_dev_queue *, uint32_t, uint32_t, int64_t, tarn_dev_io **)
func (q *Queue) Reap(out []*IO, min int, timeout time.Duration) (int, error) {
	if err := q.guard.enter("device queue reap"); err != nil {
		return 0, err
	}
	defer q.end()
	return int(C.go_queue_reap(q.queue, atLeast(min), micros(timeout), lend(out))), nil
}

// SubmitAndReap is Submit, then Reap, in one call. Errors: as these two.
//
// Implements: uint32_t tarn_dev_queue_submit_and_reap(tarn_dev_queue *, tarn_dev_io *const *, uint32_t, uint32_t *, uint32_t, uint32_t,
// int64_t, tarn_dev_io **)
func (q *Queue) SubmitAndReap(ios, out []*IO, min int, timeout time.Duration) (started, reaped int, err error) {
	if err := q.guard.enter("device queue submit and reap"); err != nil {
		return 0, 0, err
	}
	defer q.end()
	var n C.uint32_t
	reaped = int(C.go_queue_both(q.queue, lend(ios), atLeast(min), micros(timeout), lend(out), &n))
	return int(n), reaped, nil
}

// Cancel asks for an early end of an I/O in flight. It is reaped as ever: with CANCELED, or with its result when it was too late. Any
// goroutine may call it, but of a Single queue. NONEXIST when it is not in flight.
//
// Implements: int tarn_dev_queue_cancel(tarn_dev_queue *, tarn_dev_io *)
func (q *Queue) Cancel(io *IO) error {
	const op = "device queue cancel"
	if err := q.guard.enter(op); err != nil {
		return err
	}
	defer q.end()
	return called(op, q.guard.ref, func() C.int { return C.tarn_dev_queue_cancel(q.queue, io.c()) })
}

// Wake makes the Reap that waits, or the next one that would, return early. Any goroutine may call it.
//
// Implements: void tarn_dev_queue_wake(tarn_dev_queue *)
func (q *Queue) Wake() {
	if q.guard.enter("device queue wake") == nil {
		q.wake()
		q.end()
	}
}

func (c *queueCore) wake() { C.tarn_dev_queue_wake(c.queue) }

// Fd is a non-blocking eventfd that is readable while completions wait. It is the queue's: duplicate it for an os.File. NOTSUPPORTED with
// IOPoll.
//
// Implements: int tarn_dev_queue_fd(tarn_dev_queue *)
func (q *Queue) Fd() (int, error) {
	const op = "device queue fd"
	if err := q.guard.enter(op); err != nil {
		return -1, err
	}
	defer q.end()
	fd := C.int(-1)
	err := called(op, q.guard.ref, func() C.int { fd = C.tarn_dev_queue_fd(q.queue); return fd })
	return int(fd), err
}

// end keeps the Queue alive so far: its cleanup may not run while C is inside it.
func (q *Queue) end() {
	q.guard.leave()
	runtime.KeepAlive(q)
}

// Close wakes who waits in Reap, waits until nothing is in flight, and closes the queue; what was not reaped is dropped. It may be called
// again.
//
// Implements: int tarn_dev_queue_close(tarn_dev_queue *, int64_t)
func (q *Queue) Close() error { return q.CloseWithin(-1) }

// CloseWithin is Close for a device that may not answer. TIMEDOUT: the queue stays open, and what is in flight stays lent.
func (q *Queue) CloseWithin(timeout time.Duration) error {
	defer runtime.KeepAlive(q)
	ctx, stop := context.WithCancel(context.Background())
	stop() // calls inside end at once: they are woken
	err := q.closeWithin(ctx, timeout)
	if err == nil {
		q.watch.Stop()
	}
	return err
}

func (c *queueCore) closeWithin(ctx context.Context, timeout time.Duration) error {
	c.guard.mu.Lock()
	c.within = timeout
	c.guard.mu.Unlock()
	return c.guard.close(ctx)
}

// release ends it in C. No call is inside.
func (c *queueCore) release() error {
	err := called("device queue close", c.guard.ref, func() C.int { return C.tarn_dev_queue_close(c.queue, micros(c.within)) })
	if err != nil { // it stays open, and what is in flight stays lent
		return err
	}
	freeIOs(c.ios)
	c.ios, c.buffers = nil, nil
	return err
}

func lend(ios []*IO) C.go_ios {
	return C.go_ios{ptr: (**C.tarn_dev_io)(unsafe.Pointer(unsafe.SliceData(ios))), len: C.uint32_t(len(ios))}
}

func atLeast(min int) C.uint32_t { return C.uint32_t(max(min, 0)) }

// micros rounds up: what is to wait waits.
func micros(d time.Duration) C.int64_t {
	if d < 0 || d > math.MaxInt64-time.Microsecond {
		return -1
	}
	return C.int64_t((d + time.Microsecond - 1) / time.Microsecond)
}
