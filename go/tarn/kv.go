// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"bytes"
	"context"
	"errors"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// putMax is the longest value that is put with one call. A longer one goes through a writer, so that C needs no second copy of it.
const putMax = 1 << 20

// KV is an open key-value object. Its keys are ordered bytewise. Keys and values are lent to a call for its time.
type KV struct {
	object
	c    *C.go_kv
	cont *Container // kept alive
}

// OpenKV opens the KV object of that name; with create it makes it when there is none. Errors: NONEXIST, NOTYPE, INVAL (name).
//
// Implements: int tarn_kv_open(tarn_cont *, const char *, unsigned, tarn_kv **, tarn_event *)
func (c *Container) OpenKV(ctx context.Context, name string, create bool, opts ...OpenOption) (*KV, error) {
	s, err := c.begin(ctx, "kv open")
	if err != nil {
		return nil, err
	}
	defer c.end(s)
	s.ref = c.h.ref + "/" + name
	var names cstrings
	defer names.free()
	n, err := names.add(s.op, name)
	if err != nil {
		return nil, err
	}
	flags := openFlags(opts, C.TARN_KV_RDONLY)
	if create {
		flags |= C.TARN_KV_CREATE
	}
	err = s.wait(ctx, C.tarn_kv_open(c.c, n, flags, (**C.tarn_kv)(s.opened()), &s.c.ev))
	if err != nil {
		return nil, err
	}
	return newKV(c, s.ref, (*C.tarn_kv)(s.handle())), nil
}

// OpenNotes opens the notes of the container, which Mutation.Note puts: an object that no listing has. It is closed as any other. Errors:
// those of any call that reads.
//
// Implements: int tarn_kv_open(tarn_cont *, const char *, unsigned, tarn_kv **, tarn_event *)
func (c *Container) OpenNotes(ctx context.Context) (*KV, error) {
	s, err := c.begin(ctx, "notes open")
	if err != nil {
		return nil, err
	}
	defer c.end(s)
	err = s.wait(ctx, C.tarn_kv_open(c.c, nil, C.TARN_KV_NOTES, (**C.tarn_kv)(s.opened()), &s.c.ev))
	if err != nil {
		return nil, err
	}
	return newKV(c, c.h.ref+" notes", (*C.tarn_kv)(s.handle())), nil
}

func newKV(cont *Container, ref string, c *C.tarn_kv) *KV {
	kv := &KV{c: (*C.go_kv)(unsafe.Pointer(c)), cont: cont}
	kv.h = newHandle(cont.h.core, cont.h, "KV", ref, func() error {
		return direct("kv close", ref, func() C.int { return C.tarn_kv_close(c) })
	})
	watch(kv, kv.h)
	return kv
}

// condOf is the one condition of a call, or none. C refuses what it does not know.
func condOf(op, ref string, conds []Cond) (C.tarn_cond, error) {
	switch len(conds) {
	case 0:
		return C.TARN_COND_NONE, nil
	case 1:
		return C.tarn_cond(conds[0]), nil
	}
	return 0, errno.New(op, ref, errno.Inval, "a call takes one condition at most: pass the one that is meant")
}

// Put stores val under key, durably when it returns. Errors: KEY2BIG, REC2BIG, INVAL (empty key), NOSPACE, EP_RO; EXIST and NONEXIST
// with a condition.
//
// Implements: int tarn_kv_put(tarn_kv *, tarn_buf, tarn_buf, tarn_cond, tarn_event *)
func (kv *KV) Put(ctx context.Context, key, val []byte, cond ...Cond) error {
	if len(val) > putMax {
		return kv.putLarge(ctx, key, val, cond)
	}
	s, err := kv.begin(ctx, "kv put")
	if err != nil {
		return err
	}
	defer kv.end(s)
	c, err := condOf(s.op, s.ref, cond)
	if err != nil {
		return err
	}
	s.tally.bytesWritten(uint64(len(val)))
	return s.settle(ctx, C.go_kv_put(kv.c, lend(key), lend(val), c, s.c))
}

func (kv *KV) putLarge(ctx context.Context, key, val []byte, cond []Cond) error {
	w, err := kv.Writer(ctx, key, cond...)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err = w.Write(val); err != nil {
		return err
	}
	return w.Commit(ctx)
}

// Delete removes key, durably when it returns. An absent key is fine, but with CondUpdate: then NONEXIST.
//
// Implements: int tarn_kv_del(tarn_kv *, tarn_buf, tarn_cond, tarn_event *)
func (kv *KV) Delete(ctx context.Context, key []byte, cond ...Cond) error {
	s, err := kv.begin(ctx, "kv delete")
	if err != nil {
		return err
	}
	defer kv.end(s)
	c, err := condOf(s.op, s.ref, cond)
	if err != nil {
		return err
	}
	return s.settle(ctx, C.go_kv_del(kv.c, lend(key), c, s.c))
}

// Get returns the value of key, in memory of the caller's. NONEXIST when there is none.
//
// Implements: int tarn_kv_get(tarn_kv *, tarn_buf, void *, size_t *, tarn_event *)
func (kv *KV) Get(ctx context.Context, key []byte) ([]byte, error) {
	s, err := kv.begin(ctx, "kv get")
	if err != nil {
		return nil, err
	}
	defer kv.end(s)
	s.c.len = C.GO_SLOT_BYTES
	err = s.settle(ctx, C.go_kv_get(kv.c, lend(key), (*C.uint8_t)(s.data()), s.c))
	if err == nil {
		s.tally.bytesRead(uint64(s.c.len))
		return bytes.Clone(s.bytes(int(s.c.len))), nil
	}
	for errno.CodeOf(err) == errno.Rec2Big { // again when it has grown meanwhile
		dst := make([]byte, s.c.len)
		if err = kv.getPinned(ctx, s, key, dst); err == nil {
			s.tally.bytesRead(uint64(s.c.len))
			return dst[:s.c.len], nil
		}
	}
	return nil, err
}

// getPinned reads the value straight into dst, which is not empty.
func (kv *KV) getPinned(ctx context.Context, s *slot, key, dst []byte) error {
	s.c.len = C.size_t(len(dst))
	return s.settle(ctx, C.go_kv_get(kv.c, lend(key), s.target(dst), s.c))
}

// GetInto copies the value into dst and returns its size. When dst is too small the error is REC2BIG and has the size.
//
// Implements: int tarn_kv_get(tarn_kv *, tarn_buf, void *, size_t *, tarn_event *)
func (kv *KV) GetInto(ctx context.Context, key, dst []byte) (int, error) {
	s, err := kv.begin(ctx, "kv get")
	if err != nil {
		return 0, err
	}
	defer kv.end(s)
	if len(dst) > C.GO_SLOT_BYTES {
		err = kv.getPinned(ctx, s, key, dst)
	} else {
		s.c.len = C.size_t(len(dst))
		err = s.settle(ctx, C.go_kv_get(kv.c, lend(key), (*C.uint8_t)(s.data()), s.c))
		if err == nil {
			copy(dst, s.bytes(int(s.c.len)))
		}
	}
	if err != nil {
		return 0, withSize(err, uint64(s.c.len))
	}
	s.tally.bytesRead(uint64(s.c.len))
	return int(s.c.len), nil
}

// withSize tells how long the value is that did not fit.
func withSize(err error, size uint64) error {
	var e *errno.Error
	if errors.As(err, &e) && e.Code == errno.Rec2Big {
		e.Size = size
	}
	return err
}

// Exists reports whether key is there. Errors: INVAL (empty key), KEY2BIG.
//
// Implements: int tarn_kv_exists(tarn_kv *, tarn_buf, tarn_kv_stat *, tarn_event *)
func (kv *KV) Exists(ctx context.Context, key []byte) (bool, error) {
	_, err := kv.stat(ctx, "kv exists", key)
	if err == nil {
		return true, nil
	}
	if errno.CodeOf(err) == errno.NonExist {
		return false, nil
	}
	return false, err
}

// Stat returns the size and the revision of the value of key, without reading it. NONEXIST when there is none.
//
// Implements: int tarn_kv_exists(tarn_kv *, tarn_buf, tarn_kv_stat *, tarn_event *)
func (kv *KV) Stat(ctx context.Context, key []byte) (Stat, error) {
	return kv.stat(ctx, "kv stat", key)
}

func (kv *KV) stat(ctx context.Context, op string, key []byte) (Stat, error) {
	s, err := kv.begin(ctx, op)
	if err != nil {
		return Stat{}, err
	}
	defer kv.end(s)
	if err = s.settle(ctx, C.go_kv_exists(kv.c, lend(key), s.c)); err != nil {
		return Stat{}, err
	}
	return statOf(s.c.stat), nil
}

func statOf(c C.tarn_kv_stat) Stat { return Stat{Size: uint64(c.size), Revision: uint64(c.revision)} }
