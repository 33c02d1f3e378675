// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"strings"
	"sync"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// lend passes bytes to C for the time of a call.
func lend(b []byte) C.go_bytes {
	return C.go_bytes{ptr: (*C.uint8_t)(unsafe.SliceData(b)), len: C.size_t(len(b))}
}

// cstrings are strings in C memory, until free.
type cstrings []*C.char

func (c *cstrings) free() {
	for _, s := range *c {
		C.free(unsafe.Pointer(s))
	}
}

// add copies s. A NUL inside is refused: C would take the part before it for the whole.
func (c *cstrings) add(op, s string) (*C.char, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, errno.New(op, s, errno.Inval, "the name has a zero byte in it: leave it out")
	}
	p := C.CString(s)
	*c = append(*c, p)
	return p, nil
}

// alloc returns zeroed C memory, to be freed with C.free.
func alloc(op, ref string, size uintptr) (unsafe.Pointer, error) {
	p := C.go_alloc(C.size_t(max(size, 1)))
	if p == nil {
		return nil, errno.New(op, ref, errno.NoMem, "there is no memory for the call's arguments")
	}
	return p, nil
}

// Listings and batches share buffers. bufferBytes holds the largest entry: a key of KeyMax and a value of ListValueMax; so a listing never has to
// grow one. buffersMax bounds those that are kept.
const (
	bufferBytes = 256 << 10
	buffersMax  = 32
)

type buffers struct {
	mu     sync.Mutex
	free   []unsafe.Pointer
	closed bool
}

func (b *buffers) take(op, ref string) (unsafe.Pointer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		p := b.free[n-1]
		b.free = b.free[:n-1]
		return p, nil
	}
	return alloc(op, ref, bufferBytes)
}

// room is a buffer for a call's arguments: a shared one when size fits into it, whose bytes are what they are. done gives it back.
func (b *buffers) room(op, ref string, size uintptr) (p unsafe.Pointer, err error) {
	if size > bufferBytes {
		return alloc(op, ref, size)
	}
	return b.take(op, ref)
}

func (b *buffers) done(p unsafe.Pointer, size uintptr) {
	if size > bufferBytes {
		C.free(p)
		return
	}
	b.give(p)
}

func (b *buffers) give(p unsafe.Pointer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.free) == buffersMax {
		C.free(p)
		return
	}
	b.free = append(b.free, p)
}

func (b *buffers) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, p := range b.free {
		C.free(p)
	}
	b.free = nil
}
