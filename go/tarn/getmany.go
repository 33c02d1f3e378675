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

// ShortMax is the longest value that GetShort returns.
const ShortMax = 1024

// shortRoom is from the room of one value to that of the next. With a power of two they would compete for a few places of the cache.
const shortRoom = ShortMax + 64

// GetMany reads many values at once, each with its own result, in the order of the keys: what must be read from the device is read at
// the same time. They are not one view: another change may come between two of them. The values of up to 1 KiB share one piece of memory.
// Errors: INVAL with more than BatchMax keys.
//
// Implements: int tarn_kv_get_many(tarn_kv *, tarn_get *, size_t, tarn_event *)
func (kv *KV) GetMany(ctx context.Context, keys [][]byte) ([]Value, error) {
	values, err := kv.getMany(ctx, "kv get many", keys)
	for i := range values {
		if errno.CodeOf(values[i].Err) == errno.Rec2Big {
			values[i].Data, values[i].Err = kv.Get(ctx, keys[i])
		}
	}
	return values, err
}

// GetShort is GetMany for who has bounded memory: a value of more than ShortMax bytes is REC2BIG, with its size. Errors: as GetMany.
//
// Implements: int tarn_kv_get_many(tarn_kv *, tarn_get *, size_t, tarn_event *)
func (kv *KV) GetShort(ctx context.Context, keys [][]byte) ([]Value, error) {
	return kv.getMany(ctx, "kv get short", keys)
}

func (kv *KV) getMany(ctx context.Context, op string, keys [][]byte) ([]Value, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	s, err := kv.begin(ctx, op)
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
	return s.values(unsafe.Slice((*C.tarn_get)(mem), len(keys))), nil
}

// getsSize is how much C memory keys take: head for the gets and the room for their values, then the keys.
func getsSize(keys [][]byte) (head, size uintptr) {
	head = uintptr(len(keys)) * (C.sizeof_tarn_get + shortRoom)
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
		gets[i] = C.tarn_get{buf: unsafe.Add(vals, i*shortRoom), len: ShortMax}
		gets[i].key, room = place(room, key)
	}
}

// values copies what was read, into one piece of memory.
func (s *slot) values(gets []C.tarn_get) []Value {
	values := make([]Value, len(gets))
	all := make([]byte, 0, readBytes(gets))
	for i := range gets {
		if code := errno.Code(gets[i].rc); code != 0 {
			values[i].Err = withSize(errno.New(s.op, s.ref, code, code.Text()), uint64(gets[i].len))
			continue
		}
		all, values[i].Data = keep(all, unsafe.Slice((*byte)(gets[i].buf), int(gets[i].len)))
	}
	s.tally.bytesRead(uint64(len(all)))
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
