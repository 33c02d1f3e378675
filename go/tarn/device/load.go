// SPDX-License-Identifier: Apache-2.0

package device

// #include "load.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Pattern is what a Load does: OpRead, OpWrite or OpNop of Block bytes, in order from block First on, or at random places.
type Pattern struct {
	Op     Opcode
	Mixed  bool // half of them OpRead, half OpWrite, at random places
	Random bool
	Block  uint64  // bytes of an I/O
	Blocks uint64  // of the device that are used, from its begin on
	First  uint64  // the first of them in order
	Seed   uint64  // of the places
	Buffer *Buffer // of Block bytes for each I/O of the queue
	Fixed  bool    // Buffer is the one that is registered with the queue
}

// Load keeps a Queue full, for measuring: each I/O that has been reaped is submitted again, to another place. Its loop is in C, since Go's
// scheduler takes note of each return from C: at depth 1 that is a part of the CPU time that one sees. It is the queue's one user.
type Load struct {
	q      *Queue
	c      *C.go_load
	buffer *Buffer
}

// LoadCounts are what a Load has done.
type LoadCounts struct {
	Done    uint64
	Errors  uint64
	First   error // of the errors
	Max     time.Duration
	Buckets []uint64 // latencies: 64 buckets for each power of two of nanoseconds; below 64 ns one for each
}

// NewLoad makes a load on a queue with nothing in flight. Errors: INVAL (no block, or a Buffer that is too small), NOMEM.
func (q *Queue) NewLoad(p Pattern) (*Load, error) {
	const op = "device load"
	if err := q.guard.enter(op); err != nil {
		return nil, err
	}
	defer q.end()
	depth := uint64(len(q.ios))
	if p.Block == 0 || p.Blocks == 0 || p.First >= p.Blocks || p.Buffer == nil || uint64(len(p.Buffer.bytes))/depth < p.Block {
		return nil, errno.New(op, q.guard.ref, errno.Inval, fmt.Sprintf("%d blocks of %d bytes, from block %d on: "+
			"a load needs at least one of each, and a buffer of a block for each of its %d I/Os", p.Blocks, p.Block, p.First, depth))
	}
	c := C.go_load_new(C.uint32_t(depth))
	if c == nil {
		return nil, errno.New(op, q.guard.ref, errno.NoMem, "there is no memory for a load")
	}
	c.queue, c.ios = q.queue, q.ios[0].c()
	c.buf = (*C.char)(unsafe.Pointer(unsafe.SliceData(p.Buffer.bytes)))
	c.mixed, c.random = C.bool(p.Mixed), C.bool(p.Random || p.Mixed)
	c.bs, c.blocks, c.next, c.dice = C.uint64_t(p.Block), C.uint64_t(p.Blocks), C.uint64_t(p.First), C.uint64_t(p.Seed)
	model := IO{opcode: p.Op}
	if p.Fixed && p.Op != OpNop {
		model.flags = flagFixed
	}
	C.go_load_start(c, model.c())
	return &Load{q: q, c: c, buffer: p.Buffer}, nil
}

// Run goes on for so long, or up to 100 ms longer on a device that does not answer, and occupies a thread meanwhile; what is in flight then
// stays so until the next Run. It ends early after 1000 errors. NO_HDL.
func (l *Load) Run(d time.Duration) error {
	if err := l.q.guard.enter("device load"); err != nil {
		return err
	}
	defer l.q.end()
	C.go_load_run(l.c, C.uint64_t(max(d, 0)))
	return nil
}

// Counts are those of all runs so far.
func (l *Load) Counts() LoadCounts {
	c := LoadCounts{Done: uint64(l.c.done), Errors: uint64(l.c.errors), Max: time.Duration(l.c.max_ns), Buckets: make([]uint64, C.GO_BUCKETS)}
	for i, n := range l.c.buckets {
		c.Buckets[i] = uint64(n)
	}
	if c.Errors > 0 {
		c.First = errno.New("device load", l.q.guard.ref, errno.Code(l.c.rc), C.GoString(&l.c.message[0]))
	}
	return c
}

// Close frees the load, when its queue is closed or nothing of it is in flight any more.
func (l *Load) Close() {
	C.go_load_free(l.c)
	l.c = nil
}
