// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"bytes"
	"context"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// ShortMax is the longest value that GetShort returns.
const ShortMax = 1024

// GetMany reads many values at once, each with its own result, in the order of the keys: what must be read from the device is read at
// the same time. They are not one view: another change may come between two of them. Errors: INVAL with more than BatchMax keys.
//
// Implements: int tarn_kv_get_many(tarn_kv *, tarn_get *, size_t, tarn_event *)
func (kv *KV) GetMany(ctx context.Context, keys [][]byte) ([]Value, error) {
	values, err := kv.getMany(ctx, "kv get many", keys, false)
	for i := range values {
		if errno.CodeOf(values[i].Err) == errno.Rec2Big {
			values[i].Data, values[i].Err = kv.Get(ctx, keys[i])
		}
	}
	return values, err
}

// GetShort is GetMany for who has bounded memory: a value of more than ShortMax bytes is REC2BIG, with its size. The values share one
// piece of memory.
//
// Implements: int tarn_kv_get_many(tarn_kv *, tarn_get *, size_t, tarn_event *)
func (kv *KV) GetShort(ctx context.Context, keys [][]byte) ([]Value, error) {
	return kv.getMany(ctx, "kv get short", keys, true)
}

func (kv *KV) getMany(ctx context.Context, op string, keys [][]byte, together bool) ([]Value, error) {
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
	mem, err := packGets(s, keys)
	if err != nil {
		return nil, err
	}
	defer C.free(mem)
	if err = s.wait(ctx, C.tarn_kv_get_many(kv.c, (*C.tarn_get)(mem), C.size_t(len(keys)), &s.c.ev)); err != nil {
		return nil, err
	}
	return s.values(unsafe.Slice((*C.tarn_get)(mem), len(keys)), together), nil
}

// packGets is one piece of C memory: the gets, the room for their values, then the keys.
func packGets(s *slot, keys [][]byte) (unsafe.Pointer, error) {
	head := uintptr(len(keys)) * (C.sizeof_tarn_get + ShortMax)
	size := head
	for _, key := range keys {
		size += uintptr(len(key))
	}
	mem, err := alloc(s.op, s.ref, size)
	if err != nil {
		return nil, err
	}
	gets := unsafe.Slice((*C.tarn_get)(mem), len(keys))
	vals := unsafe.Add(mem, len(keys)*C.sizeof_tarn_get)
	room := unsafe.Slice((*byte)(unsafe.Add(mem, head)), size-head)
	for i, key := range keys {
		gets[i].key, room = place(room, key)
		gets[i].buf = unsafe.Add(vals, i*ShortMax)
		gets[i].len = ShortMax
	}
	return mem, nil
}

// values are the results of gets: in memory of their own each, or together in one piece.
func (s *slot) values(gets []C.tarn_get, together bool) []Value {
	values := make([]Value, len(gets))
	var memory []byte
	if together {
		memory = make([]byte, 0, sizeOf(gets))
	}
	for i := range gets {
		switch code := errno.Code(gets[i].rc); {
		case code != 0:
			values[i].Err = withSize(errno.New(s.op, s.ref, code, code.Text()), uint64(gets[i].len))
		case together:
			n := len(memory)
			memory = append(memory, valueOf(&gets[i])...)
			values[i].Data = memory[n:len(memory):len(memory)]
		default:
			values[i].Data = bytes.Clone(valueOf(&gets[i]))
		}
	}
	return values
}

// valueOf is the value that a get has found, in C memory.
func valueOf(g *C.tarn_get) []byte { return unsafe.Slice((*byte)(g.buf), int(g.len)) }

func sizeOf(gets []C.tarn_get) (n int) {
	for i := range gets {
		if gets[i].rc == 0 {
			n += int(gets[i].len)
		}
	}
	return n
}
