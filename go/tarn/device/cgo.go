// SPDX-License-Identifier: Apache-2.0

package device

// Here is how the C library is found and linked, and what the compiler may assume of it. nocallback: the call does not call back into
// Go. noescape: C keeps no pointer to Go memory after the call; what it keeps, the memory of an I/O, it learns as a number.

/*
#cgo CFLAGS: -I${SRCDIR}/../../../c/include
#cgo LDFLAGS: ${SRCDIR}/../../../build/lib/libtarn.a -luring -luuid -lprotobuf-c -lxxhash -lpthread

#cgo nocallback go_reap
#cgo nocallback go_submit
#cgo nocallback go_submit_reap
#cgo nocallback go_queue_submit
#cgo nocallback go_queue_reap
#cgo nocallback go_queue_both
#cgo nocallback tarn_dev_queue_cancel
#cgo nocallback tarn_dev_queue_wake

#cgo noescape go_submit
#cgo noescape go_submit_reap
#cgo noescape go_queue_submit
#cgo noescape go_queue_reap
#cgo noescape go_queue_both

#include "cgo.h"
*/
import "C"

import (
	"runtime"
	"strings"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// waiting bounds the calls that hold a thread while C waits for a device: opening, listing, zones, discards. More wait in Go.
var waiting = make(chan struct{}, 4)

// direct makes a call that may wait in C. Its sentence is in the thread, so the goroutine stays on it until it is read.
func direct(op, ref string, call func() C.int) error {
	waiting <- struct{}{}
	defer func() { <-waiting }()
	return called(op, ref, call)
}

// called makes a call that does not wait.
func called(op, ref string, call func() C.int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	rc := call()
	if rc >= 0 {
		return nil
	}
	return errno.New(op, ref, errno.Code(rc), C.GoString(C.tarn_last_error()))
}

// cstring copies s into C memory, to be freed with free. A NUL inside is refused: C would take the part before it for the whole.
func cstring(op, s string) (*C.char, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, errno.New(op, s, errno.Inval, "the name has a zero byte in it: leave it out")
	}
	return C.CString(s), nil
}

func free(s *C.char) { C.free(unsafe.Pointer(s)) }
