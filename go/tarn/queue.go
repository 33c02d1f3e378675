// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// queue is the event queue of a system and the one goroutine that empties it. The goroutine waits for the queue's eventfd in Go's
// netpoller, so it holds no thread, and reaps up to GO_REAP_MAX completions with one call of C.
type queue struct {
	eq      *C.tarn_eq
	done    *C.go_done // C memory, of the poller
	file    *os.File   // a dup of the eventfd
	conn    syscall.RawConn
	deliver func(slot uint32, rc C.int)
	stopped chan struct{}
}

// openQueue makes a queue whose completions go to deliver once start is called.
func openQueue(deliver func(slot uint32, rc C.int)) (*queue, error) {
	q := &queue{deliver: deliver, stopped: make(chan struct{})}
	if err := direct("system open", "", func() C.int { return C.tarn_eq_create(&q.eq) }); err != nil {
		return nil, err
	}
	if err := q.attach(); err != nil {
		C.tarn_eq_destroy(q.eq)
		return nil, err
	}
	go q.poll()
	return q, nil
}

// attach puts a dup of the eventfd, which C made non-blocking, under the netpoller.
func (q *queue) attach() error {
	fd, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(C.tarn_eq_fd(q.eq)), syscall.F_DUPFD_CLOEXEC, 0)
	if e != 0 {
		return errno.New("system open", "", errno.Misc, "the event queue's file descriptor cannot be duplicated: "+e.Error())
	}
	q.file = os.NewFile(fd, "tarn event queue")
	conn, err := q.file.SyscallConn()
	if err == nil {
		q.conn = conn
		q.done = (*C.go_done)(C.go_alloc(C.GO_REAP_MAX * C.size_t(unsafe.Sizeof(C.go_done{}))))
	}
	if err == nil && q.done != nil {
		return nil
	}
	q.file.Close()
	return errno.New("system open", "", errno.NoMem, "there is no memory for an event queue")
}

// poll runs until the file is closed. Read calls reap, and waits for the next edge of the eventfd when nothing is left.
func (q *queue) poll() {
	defer close(q.stopped)
	reap := func(uintptr) bool { return q.reap() }
	for q.conn.Read(reap) == nil { // until the file is closed
	}
}

// reap reports whether there may be more. When it has emptied the queue the next completion is an edge again, which Read does not miss.
func (q *queue) reap() bool {
	n := C.go_reap(q.eq, q.done)
	if n <= 0 {
		return false
	}
	for _, d := range unsafe.Slice(q.done, n) {
		q.deliver(uint32(d.slot), d.rc)
	}
	return n == C.GO_REAP_MAX
}

// close ends the poller, then the queue. No call may be running.
func (q *queue) close() error {
	q.file.Close()
	<-q.stopped
	C.free(unsafe.Pointer(q.done))
	return direct("system close", "", func() C.int { return C.tarn_eq_destroy(q.eq) })
}
