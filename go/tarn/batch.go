// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"errors"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Apply makes all the changes or none, durably when it returns. Conditions look at the state before the batch; when one fails, the
// error has the Index of its mutation. A key may stand in a batch once. Errors: INVAL, EXIST, NONEXIST, TX_RESTART, KEY2BIG, REC2BIG
// (also when the batch does not fit into the log), NOSPACE, EP_RO.
//
// Implements: int tarn_kv_apply(tarn_kv *, const tarn_mutation *, size_t, size_t *, tarn_event *)
func (kv *KV) Apply(ctx context.Context, batch []Mutation) error {
	s, err := kv.begin(ctx, "kv apply")
	if err != nil {
		return err
	}
	defer kv.end(s)
	if len(batch) > system.BatchMax {
		return errno.New(s.op, s.ref, errno.Inval, "a batch has at most 65536 mutations: split it")
	}
	head, size := batchSize(batch)
	mem, err := kv.h.core.buffers.room(s.op, s.ref, size)
	if err != nil {
		return err
	}
	defer kv.h.core.buffers.done(mem, size)
	s.tally.bytesWritten(pack(mem, head, size, batch))
	s.c.len = noIndex
	err = s.settle(ctx, C.go_kv_apply(kv.c, (*C.tarn_mutation)(mem), C.size_t(len(batch)), s.c))
	return withIndex(err, s.c.len)
}

// noIndex is what the place for the failed index holds before the call.
const noIndex = ^C.size_t(0)

func withIndex(err error, index C.size_t) error {
	if err == nil || index == noIndex {
		return err
	}
	var e *errno.Error
	if errors.As(err, &e) {
		e.Index = int(index)
	}
	return err
}

// batchSize is how much C memory a batch takes: head for the mutations, then their bytes.
func batchSize(batch []Mutation) (head, size uintptr) {
	head = uintptr(len(batch)) * C.sizeof_tarn_mutation
	size = head
	for _, m := range batch {
		size += uintptr(len(m.Key) + len(m.Value))
	}
	return head, size
}

// pack copies a batch into one piece of C memory, and returns the bytes of its values. C memory may not point into Go's, and to pin
// each key and value would cost more than the copy.
func pack(mem unsafe.Pointer, head, size uintptr, batch []Mutation) (bytes uint64) {
	muts := unsafe.Slice((*C.tarn_mutation)(mem), len(batch))
	room := unsafe.Slice((*byte)(unsafe.Add(mem, head)), size-head)
	for i, m := range batch {
		muts[i] = C.tarn_mutation{cond: C.tarn_cond(m.Cond), revision: C.uint64_t(m.Revision)}
		muts[i].key, room = place(room, m.Key)
		switch {
		case m.Check:
			muts[i].change = C.TARN_CHANGE_CHECK
		case m.Delete:
			muts[i].change = C.TARN_CHANGE_DEL
		default:
			if m.Note {
				muts[i].change = C.TARN_CHANGE_NOTE
			}
			muts[i].val, room = place(room, m.Value)
			bytes += uint64(len(m.Value))
		}
	}
	return bytes
}

// place copies b to the head of room, and returns where it stands and what is left.
func place(room, b []byte) (C.tarn_buf, []byte) {
	n := copy(room, b)
	return C.tarn_buf{ptr: unsafe.Pointer(unsafe.SliceData(room)), len: C.size_t(n)}, room[n:]
}
