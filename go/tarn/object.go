// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"fmt"
	"iter"
	"unsafe"
)

// objectsBatch is the number of objects that one call lists: as many as fit into a buffer.
const objectsBatch = bufferBytes / C.sizeof_tarn_object_info

// Objects lists the named objects in the order of their names. An object that is made or destroyed meanwhile may be in it or not. Errors:
// those of any call that reads.
//
// Implements: int tarn_object_list(tarn_cont *, const char *, tarn_object_info *, size_t *, tarn_event *)
func (c *Container) Objects(ctx context.Context, after string) iter.Seq2[ObjectInfo, error] {
	return func(yield func(ObjectInfo, error) bool) {
		for {
			batch, err := c.objects(ctx, after)
			if err != nil {
				yield(ObjectInfo{}, err)
				return
			}
			for _, o := range batch {
				if !yield(o, nil) {
					return
				}
			}
			if len(batch) < objectsBatch {
				return
			}
			after = batch[len(batch)-1].Name
		}
	}
}

// objects lists one batch of the names after a name; "" is before all.
func (c *Container) objects(ctx context.Context, after string) ([]ObjectInfo, error) {
	s, err := c.begin(ctx, "object list")
	if err != nil {
		return nil, err
	}
	defer c.end(s)
	var names cstrings
	defer names.free()
	var from *C.char
	if after != "" {
		if from, err = names.add(s.op, after); err != nil {
			return nil, err
		}
	}
	mem, err := c.h.core.buffers.take(s.op, s.ref)
	if err != nil {
		return nil, err
	}
	defer c.h.core.buffers.give(mem)
	s.c.len = objectsBatch
	if err = s.wait(ctx, C.tarn_object_list(c.c, from, (*C.tarn_object_info)(mem), &s.c.len, &s.c.ev)); err != nil {
		return nil, err
	}
	batch := make([]ObjectInfo, s.c.len)
	for i, info := range unsafe.Slice((*C.tarn_object_info)(mem), s.c.len) {
		batch[i] = objectInfo(&info)
	}
	return batch, nil
}

// CreateObject makes a named KV object. Errors: EXIST, INVAL (name), EP_RO.
//
// Implements: int tarn_object_create(tarn_cont *, const char *, tarn_event *)
func (c *Container) CreateObject(ctx context.Context, name string) (ObjectInfo, error) {
	err := c.named(ctx, "object create", name, func(s *slot, cname *C.char) C.int {
		return C.tarn_object_create(c.c, cname, &s.c.ev)
	})
	if err != nil {
		return ObjectInfo{}, err
	}
	return c.Object(ctx, name)
}

// Object describes a named object. Errors: NONEXIST.
//
// Implements: int tarn_object_query(tarn_cont *, const char *, tarn_object_info *, tarn_event *)
func (c *Container) Object(ctx context.Context, name string) (ObjectInfo, error) {
	s, err := c.begin(ctx, "object query")
	if err != nil {
		return ObjectInfo{}, err
	}
	defer c.end(s)
	s.ref = c.h.ref + "/" + name
	var names cstrings
	defer names.free()
	n, err := names.add(s.op, name)
	if err != nil {
		return ObjectInfo{}, err
	}
	info := (*C.tarn_object_info)(s.data())
	if err = s.wait(ctx, C.tarn_object_query(c.c, n, info, &s.c.ev)); err != nil {
		return ObjectInfo{}, err
	}
	return objectInfo(info), nil
}

// RenameObject gives a named object another name, at one moment. Handles and watches that are open go on with the object, and their errors name
// it as it was opened. Errors: NONEXIST, EXIST (the new name is taken), INVAL (a name), EP_RO, NOSPACE.
//
// Implements: int tarn_object_rename(tarn_cont *, const char *, const char *, tarn_event *)
func (c *Container) RenameObject(ctx context.Context, name, to string) error {
	var names cstrings
	defer names.free()
	n, err := names.add("object rename", to)
	if err != nil {
		return err
	}
	return c.named(ctx, "object rename", name, func(s *slot, cname *C.char) C.int {
		return C.tarn_object_rename(c.c, cname, n, &s.c.ev)
	})
}

// DestroyObject removes a named object with all its keys. Errors: NONEXIST, BUSY while it is open, EP_RO.
//
// Implements: int tarn_object_destroy(tarn_cont *, const char *, tarn_event *)
func (c *Container) DestroyObject(ctx context.Context, name string) error {
	return c.named(ctx, "object destroy", name, func(s *slot, cname *C.char) C.int {
		return C.tarn_object_destroy(c.c, cname, &s.c.ev)
	})
}

// named runs a call that takes the name of an object and fills nothing.
func (c *Container) named(ctx context.Context, op, name string, call func(*slot, *C.char) C.int) error {
	s, err := c.begin(ctx, op)
	if err != nil {
		return err
	}
	defer c.end(s)
	s.ref = c.h.ref + "/" + name
	var names cstrings
	defer names.free()
	n, err := names.add(s.op, name)
	if err != nil {
		return err
	}
	return s.wait(ctx, call(s, n))
}

// kvLexical is DAOS's number of the type of a KV object with ordered keys.
const kvLexical = 10

func objectInfo(i *C.tarn_object_info) ObjectInfo {
	kind := "KV_LEXICAL"
	if i._type != kvLexical {
		kind = fmt.Sprintf("TYPE_%d", i._type)
	}
	return ObjectInfo{
		Name: C.GoString(&i.name[0]),
		OID:  fmt.Sprintf("%d.%d", i.oid_hi, i.oid_lo),
		Type: kind,
	}
}
