// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
// #include "kvdev.h"
import "C"

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// KeyValueDevice is a key-value device: the NVMe Key Value Command Set, done in software on a container. Keys have 1 to 16 bytes.
type KeyValueDevice struct {
	object
	c    *C.tarn_kvdev
	cont *Container // kept alive
}

// OpenKeyValueDevice opens the namespace in the container, and makes it when it is not there. Close it before the container. Errors:
// NOTYPE (the container is not of type KV), EP_RO.
//
// Implements: int tarn_kvdev_open(tarn_cont *, tarn_kvdev **, tarn_event *)
func (c *Container) OpenKeyValueDevice(ctx context.Context) (*KeyValueDevice, error) {
	s, err := c.begin(ctx, "kv device open")
	if err != nil {
		return nil, err
	}
	defer c.end(s)
	if err = s.wait(ctx, C.tarn_kvdev_open(c.c, (**C.tarn_kvdev)(s.opened()), &s.c.ev)); err != nil {
		return nil, err
	}
	dev, ref := (*C.tarn_kvdev)(s.handle()), s.ref
	d := &KeyValueDevice{c: dev, cont: c}
	d.h = newHandle(c.h.core, c.h, "key-value device", ref, func() error {
		return direct("kv device close", ref, func() C.int { return C.tarn_kvdev_close(dev) })
	})
	watch(d, d.h)
	return d, nil
}

// Info describes the device. Errors: those of any call.
//
// Implements: int tarn_kvdev_get_info(tarn_kvdev *, tarn_kvdev_info *)
func (d *KeyValueDevice) Info(ctx context.Context) (KeyValueDeviceInfo, error) {
	s, err := d.begin(ctx, "kv device query")
	if err != nil {
		return KeyValueDeviceInfo{}, err
	}
	defer d.end(s)
	info := (*C.tarn_kvdev_info)(s.data())
	*info = C.tarn_kvdev_info{struct_size: C.sizeof_tarn_kvdev_info}
	if err = direct(s.op, s.ref, func() C.int { return C.tarn_kvdev_get_info(d.c, info) }); err != nil {
		return KeyValueDeviceInfo{}, err
	}
	return KeyValueDeviceInfo{KeyMax: uint32(info.key_max), ValueMax: uint64(info.value_max), KeyCount: uint64(info.key_count),
		Capacity: uint64(info.capacity), Used: uint64(info.used)}, nil
}

// Store stores a value under a key. Both are copied. Errors: INVAL (no key, the option), KEY2BIG, REC2BIG, NOSPACE, EP_RO; EXIST and
// NONEXIST with an option.
//
// Implements: int tarn_kvdev_store(tarn_kvdev *, tarn_buf, tarn_buf, uint32_t, tarn_event *)
func (d *KeyValueDevice) Store(ctx context.Context, key, value []byte, option StoreOption) error {
	s, err := d.begin(ctx, "kv device store")
	if err != nil {
		return err
	}
	defer d.end(s)
	flags, ok := map[StoreOption]C.uint32_t{StoreAny: 0, StoreUpdate: C.TARN_KVDEV_UPDATE, StoreAdd: C.TARN_KVDEV_ADD}[option]
	if !ok {
		return errno.New(s.op, s.ref, errno.Inval, fmt.Sprintf("there is no store option %d", option))
	}
	return s.wait(ctx, C.go_kvdev_store(d.c, lend(key), lend(value), flags, s.c))
}

// Retrieve copies the first bytes of a value that fit into buf, and returns the value's true size, which may be larger than buf.
// Errors: NONEXIST, INVAL (no key), KEY2BIG.
//
// Implements: int tarn_kvdev_retrieve(tarn_kvdev *, tarn_buf, void *, size_t *, tarn_event *)
func (d *KeyValueDevice) Retrieve(ctx context.Context, key, buf []byte) (uint64, error) {
	s, err := d.begin(ctx, "kv device retrieve")
	if err != nil {
		return 0, err
	}
	defer d.end(s)
	s.c.len = C.size_t(len(buf))
	to := (*C.uint8_t)(s.data())
	if len(buf) > 0 {
		to = s.target(buf)
	}
	if err = s.wait(ctx, C.go_kvdev_retrieve(d.c, lend(key), to, s.c)); err != nil {
		return 0, err
	}
	return uint64(s.c.len), nil
}

// Delete removes a key. Errors: NONEXIST, INVAL (no key), KEY2BIG, EP_RO.
//
// Implements: int tarn_kvdev_delete(tarn_kvdev *, tarn_buf, tarn_event *)
func (d *KeyValueDevice) Delete(ctx context.Context, key []byte) error {
	s, err := d.begin(ctx, "kv device delete")
	if err != nil {
		return err
	}
	defer d.end(s)
	return s.wait(ctx, C.go_kvdev_delete(d.c, lend(key), s.c))
}

// Exist reports whether a key is there. Errors: INVAL (no key), KEY2BIG.
//
// Implements: int tarn_kvdev_exist(tarn_kvdev *, tarn_buf, tarn_event *)
func (d *KeyValueDevice) Exist(ctx context.Context, key []byte) (bool, error) {
	s, err := d.begin(ctx, "kv device exist")
	if err != nil {
		return false, err
	}
	defer d.end(s)
	err = s.wait(ctx, C.go_kvdev_exist(d.c, lend(key), s.c))
	if errno.CodeOf(err) == errno.NonExist {
		return false, nil
	}
	return err == nil, err
}

// Keys lists the keys in bytewise order, from `from` on, itself too, when it is there; empty: from the first. It reads in batches, each
// of which is a consistent view. An error ends the listing.
//
// Implements: int tarn_kvdev_list(tarn_kvdev *, tarn_buf, void *, size_t *, tarn_event *)
func (d *KeyValueDevice) Keys(ctx context.Context, from []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		mem, err := d.h.core.buffers.take("kv device list", d.h.ref)
		if err != nil {
			yield(nil, err)
			return
		}
		defer d.h.core.buffers.give(mem)
		for last := []byte(nil); ; {
			keys, err := d.list(ctx, from, mem)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(keys) > 0 && last != nil && bytes.Equal(keys[0], last) {
				keys = keys[1:] // where this list began
			}
			for _, key := range keys {
				if !yield(key, nil) {
					return
				}
			}
			if len(keys) == 0 {
				return
			}
			last = bytes.Clone(keys[len(keys)-1])
			from = last
		}
	}
}

// list makes one List command.
func (d *KeyValueDevice) list(ctx context.Context, from []byte, mem unsafe.Pointer) ([][]byte, error) {
	s, err := d.begin(ctx, "kv device list")
	if err != nil {
		return nil, err
	}
	defer d.end(s)
	s.c.len = bufferBytes
	if err = s.wait(ctx, C.go_kvdev_list(d.c, lend(from), mem, s.c)); err != nil {
		return nil, err
	}
	return keysOf(bytes.Clone(unsafe.Slice((*byte)(mem), s.c.len))), nil
}

// keysOf reads the payload of a List command, which the library made. The keys are parts of it.
func keysOf(payload []byte) [][]byte {
	keys := make([][]byte, binary.LittleEndian.Uint32(payload))
	payload = payload[4:]
	for i := range keys {
		n := int(binary.LittleEndian.Uint16(payload))
		keys[i] = payload[2 : 2+n : 2+n]
		payload = payload[(2+n+3)&^3:]
	}
	return keys
}
