// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// manyRoom is the room that each value of GetMany has at first. A longer one is read once more.
const manyRoom = 1024

// GetMany reads many values at once, each with its own result, in the order of the keys: what must be read from the device is read at
// the same time. They are not one view: another change may come between two of them. Errors: INVAL with more than BatchMax keys.
//
// Implements: int tarn_kv_get_many(tarn_kv *, tarn_get *, size_t, tarn_event *)
func (kv *KV) GetMany(ctx context.Context, keys [][]byte) ([]Value, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	s, err := kv.begin(ctx, "kv get many")
	if err != nil {
		return nil, err
	}
	defer kv.end(s)
	if len(keys) > system.BatchMax {
		return nil, errno.New(s.op, s.ref, errno.Inval, "a call takes at most 65536 keys: split it")
	}
	head, size := getsSize(keys)
	mem, err := kv.h.core.buffers.room(s.op, s.ref, size)
	if err != nil {
		return nil, err
	}
	defer kv.h.core.buffers.done(mem, size)
	packGets(mem, head, size, keys)
	if err = s.settle(ctx, C.go_kv_get_many(kv.c, (*C.tarn_get)(mem), C.size_t(len(keys)), s.c)); err != nil {
		return nil, err
	}
	return kv.values(ctx, s, keys, unsafe.Slice((*C.tarn_get)(mem), len(keys))), nil
}

// getsSize is how much C memory keys take: head for the gets and the room for their values, then the keys.
func getsSize(keys [][]byte) (head, size uintptr) {
	head = uintptr(len(keys)) * (C.sizeof_tarn_get + manyRoom)
	size = head
	for _, key := range keys {
		size += uintptr(len(key))
	}
	return head, size
}

func packGets(mem unsafe.Pointer, head, size uintptr, keys [][]byte) {
	gets := unsafe.Slice((*C.tarn_get)(mem), len(keys))
	vals := unsafe.Add(mem, len(keys)*C.sizeof_tarn_get)
	room := unsafe.Slice((*byte)(unsafe.Add(mem, head)), size-head)
	for i, key := range keys {
		gets[i] = C.tarn_get{buf: unsafe.Add(vals, i*manyRoom), len: manyRoom}
		gets[i].key, room = place(room, key)
	}
}

// values copies what was read, into one piece of memory.
func (kv *KV) values(ctx context.Context, s *slot, keys [][]byte, gets []C.tarn_get) []Value {
	values := make([]Value, len(keys))
	all := make([]byte, 0, readBytes(gets))
	for i := range gets {
		switch code := errno.Code(gets[i].rc); code {
		case 0:
			all, values[i].Data = keep(all, gets[i].buf, int(gets[i].len))
		case errno.Rec2Big:
			values[i].Data, values[i].Err = kv.Get(ctx, keys[i])
		default:
			values[i].Err = errno.New(s.op, s.ref, code, code.Text())
		}
	}
	s.stripe.read.Add(uint64(len(all)))
	return values
}

func readBytes(gets []C.tarn_get) int {
	n := 0
	for i := range gets {
		if gets[i].rc == 0 {
			n += int(gets[i].len)
		}
	}
	return n
}
