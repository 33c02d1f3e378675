// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"runtime"

	"github.com/tarn-storage/tarn/go/errno"
)

// direct makes a call that takes no event. Its sentence is in the thread, so the goroutine stays on it until it is read.
func direct(op, ref string, call func() C.int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	rc := call()
	if rc >= 0 {
		return nil
	}
	return errno.New(op, ref, errno.Code(rc), C.GoString(C.tarn_last_error()))
}

// cname and ctext are what C says of a code, for the test that compares the tables.
func cname(code errno.Code) string { return C.GoString(C.tarn_errname(C.int(code))) }
func ctext(code errno.Code) string { return C.GoString(C.tarn_strerror(C.int(code))) }
