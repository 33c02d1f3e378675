// SPDX-License-Identifier: Apache-2.0

package device

// #include "cgo.h"
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Buffer is memory outside of Go's heap that is aligned for every device: I/O on it needs no copy and no pinning.
// Its bytes are there until Close, or until the Buffer itself is collected: keep it, not only its Bytes.
type Buffer struct {
	bytes []byte
	mem   *memory
	watch runtime.Cleanup
}

// memory never points to its Buffer, so that the Buffer's cleanup can own it.
type memory struct {
	once sync.Once
	ptr  unsafe.Pointer
	len  C.size_t
	huge C.uint32_t
}

// Alloc returns n zeroed bytes at a multiple of 4096. From 2 MiB on the kernel is asked for transparent huge pages, and with huge for
// reserved ones of 2 MiB, which it may not have: then it is as without. Large transfers want either, for a transfer between small pages
// is cut where the device takes no more segments: cut many buffers out of one. Errors: INVAL, NOMEM.
//
// Implements: void *tarn_dev_alloc(size_t, uint32_t)
func Alloc(n int, huge bool) (*Buffer, error) {
	const op = "device alloc"
	if n <= 0 {
		return nil, errno.New(op, "", errno.Inval, fmt.Sprintf("%d bytes were asked for: ask for at least 1", n))
	}
	m := &memory{len: C.size_t(n)}
	if huge {
		m.huge = C.TARN_DEV_HUGE
	}
	if m.ptr = C.tarn_dev_alloc(m.len, m.huge); m.ptr == nil {
		return nil, errno.New(op, "", errno.NoMem, fmt.Sprintf("there is no memory for a buffer of %d bytes", n))
	}
	b := &Buffer{bytes: unsafe.Slice((*byte)(m.ptr), n), mem: m}
	b.watch = runtime.AddCleanup(b, (*memory).free, m)
	return b, nil
}

// Bytes are the buffer's memory, the same at each call; nil after Close.
func (b *Buffer) Bytes() []byte { return b.bytes }

// Close frees the memory. No I/O may use it any more, nor may a slice of it be used. It may be called again. It returns nil, always.
func (b *Buffer) Close() error {
	b.watch.Stop()
	b.mem.free()
	b.bytes = nil
	return nil
}

func (m *memory) free() {
	m.once.Do(func() { C.tarn_dev_free(m.ptr, m.len, m.huge) })
}
