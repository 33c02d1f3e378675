// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"bytes"
	"context"
	"unsafe"
)

// attrsRead lists a batch of attributes into mem, those after a name; nil: from the first.
type attrsRead func(after *C.char, mem unsafe.Pointer) C.int

// attributes returns all that read lists, in batches.
func attributes(ctx context.Context, core *core, s *slot, read attrsRead) (map[string][]byte, error) {
	mem, err := core.buffers.take(s.op, s.ref)
	if err != nil {
		return nil, err
	}
	defer core.buffers.give(mem)
	var names cstrings
	defer names.free()
	all := map[string][]byte{}
	for after := (*C.char)(nil); ; {
		if err := s.wait(ctx, read(after, mem)); err != nil {
			return nil, err
		}
		last := keepAttributes(all, mem, int(s.c.listing.count))
		if s.c.listing.more == 0 {
			return all, nil
		}
		if after, err = names.add(s.op, last); err != nil {
			return nil, err
		}
	}
}

// keepAttributes copies n entries at mem into all, and returns the last name.
func keepAttributes(all map[string][]byte, mem unsafe.Pointer, n int) (last string) {
	var name, value []byte
	for range n {
		name, value, mem = partsOf((*C.tarn_entry)(mem))
		last = string(name)
		all[last] = bytes.Clone(value)
	}
	return last
}

// setAttributes gives set the changes, in C memory, which is copied before set returns.
func setAttributes(ctx context.Context, s *slot, change map[string][]byte, set func(*C.tarn_attr, C.size_t) C.int) error {
	size := uintptr(len(change)) * C.sizeof_tarn_attr
	for _, value := range change {
		size += uintptr(len(value))
	}
	mem, err := alloc(s.op, s.ref, size)
	if err != nil {
		return err
	}
	defer C.free(mem)
	var names cstrings
	defer names.free()
	attrs := unsafe.Slice((*C.tarn_attr)(mem), len(change))
	at, n := unsafe.Add(mem, uintptr(len(change))*C.sizeof_tarn_attr), 0
	for name, value := range change {
		if attrs[n].name, err = names.add(s.op, name); err != nil {
			return err
		}
		if len(value) > 0 {
			copy(unsafe.Slice((*byte)(at), len(value)), value)
			attrs[n].value = C.tarn_buf{ptr: at, len: C.size_t(len(value))}
			at = unsafe.Add(at, len(value))
		}
		n++
	}
	return s.wait(ctx, set((*C.tarn_attr)(mem), C.size_t(n)))
}

// Attributes returns the pool's user attributes. Errors: those of any call that reads.
//
// Implements: int tarn_pool_attr_list(tarn_pool *, const char *, void *, size_t, tarn_listing *, tarn_event *)
func (p *Pool) Attributes(ctx context.Context) (map[string][]byte, error) {
	s, err := p.begin(ctx, "pool attributes")
	if err != nil {
		return nil, err
	}
	defer p.end(s)
	return attributes(ctx, p.h.core, s, func(after *C.char, mem unsafe.Pointer) C.int {
		return C.tarn_pool_attr_list(p.c, after, mem, bufferBytes, &s.c.listing, &s.c.ev)
	})
}

// SetAttributes sets user attributes of the pool, all or none; one with an empty value is deleted. Errors: NONEXIST (there are only
// deletions, and none of the names is there), INVAL, REC2BIG, EP_RO, NOSPACE.
//
// Implements: int tarn_pool_attr_set(tarn_pool *, const tarn_attr *, size_t, tarn_event *)
func (p *Pool) SetAttributes(ctx context.Context, change map[string][]byte) error {
	s, err := p.begin(ctx, "pool set attributes")
	if err != nil {
		return err
	}
	defer p.end(s)
	return setAttributes(ctx, s, change, func(attrs *C.tarn_attr, n C.size_t) C.int {
		return C.tarn_pool_attr_set(p.c, attrs, n, &s.c.ev)
	})
}

// Attributes returns the container's user attributes; a snapshot's are those of its time. Errors: those of any call that reads.
//
// Implements: int tarn_cont_attr_list(tarn_cont *, const char *, void *, size_t, tarn_listing *, tarn_event *)
func (c *Container) Attributes(ctx context.Context) (map[string][]byte, error) {
	s, err := c.begin(ctx, "container attributes")
	if err != nil {
		return nil, err
	}
	defer c.end(s)
	return attributes(ctx, c.h.core, s, func(after *C.char, mem unsafe.Pointer) C.int {
		return C.tarn_cont_attr_list(c.c, after, mem, bufferBytes, &s.c.listing, &s.c.ev)
	})
}

// SetAttributes sets user attributes of the container, all or none; one with an empty value is deleted. Errors: NONEXIST (there are only
// deletions, and none of the names is there), INVAL, REC2BIG, EP_RO, NOSPACE.
//
// Implements: int tarn_cont_attr_set(tarn_cont *, const tarn_attr *, size_t, tarn_event *)
func (c *Container) SetAttributes(ctx context.Context, change map[string][]byte) error {
	s, err := c.begin(ctx, "container set attributes")
	if err != nil {
		return err
	}
	defer c.end(s)
	return setAttributes(ctx, s, change, func(attrs *C.tarn_attr, n C.size_t) C.int {
		return C.tarn_cont_attr_set(c.c, attrs, n, &s.c.ev)
	})
}
