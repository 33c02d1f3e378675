// SPDX-License-Identifier: Apache-2.0

// Package kvdevice makes a key-value device of a key-value object, as the C library does (tarn/kvdev.h): for containers that are reached
// by other ways than that library. Both see the same namespace.
package kvdevice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Object is the name of the object that is the namespace of a container.
const Object = "nvme-kv"

// KeyMax is the length of the longest key. A longer one, that was put into the object by other means, is not part of the namespace.
const KeyMax = 16

// Open opens the namespace in a container, and makes it when it is not there. pool describes the container's pool. NOTYPE when the
// container is not of type KV.
func Open(ctx context.Context, cont system.Container, pool func(ctx context.Context) (system.PoolInfo, error)) (system.KeyValueDevice, error) {
	info, err := cont.Info(ctx)
	if err != nil {
		return nil, err
	}
	if info.Type != system.TypeKV {
		return nil, errno.New("kv device open", info.Label, errno.NoType,
			fmt.Sprintf("the container is of type %s: a key-value device is one of type KV", info.Type))
	}
	kv, err := cont.OpenKV(ctx, Object, true)
	if err != nil {
		return nil, err
	}
	return &device{kv: kv, valueMax: info.ValueMax, pool: pool}, nil
}

type device struct {
	kv       system.KV
	valueMax uint64
	pool     func(ctx context.Context) (system.PoolInfo, error)
}

func checkKey(op string, key []byte) error {
	switch {
	case len(key) == 0:
		return errno.New(op, "", errno.Inval, "the key is empty: a key of a key-value device has 1 to 16 bytes")
	case len(key) > KeyMax:
		return errno.New(op, "", errno.Key2Big, fmt.Sprintf("the key has %d bytes: the limit of a key-value device is %d", len(key), KeyMax))
	}
	return nil
}

var conditions = map[system.StoreOption]system.Cond{system.StoreAny: system.CondNone, system.StoreUpdate: system.CondUpdate,
	system.StoreAdd: system.CondInsert}

func (d *device) Store(ctx context.Context, key, value []byte, option system.StoreOption) error {
	const op = "kv device store"
	if err := checkKey(op, key); err != nil {
		return err
	}
	cond, ok := conditions[option]
	if !ok {
		return errno.New(op, "", errno.Inval, fmt.Sprintf("there is no store option %d", option))
	}
	return d.kv.Put(ctx, key, value, cond)
}

func (d *device) Retrieve(ctx context.Context, key, buf []byte) (size uint64, err error) {
	if err := checkKey("kv device retrieve", key); err != nil {
		return 0, err
	}
	n, err := d.kv.GetInto(ctx, key, buf)
	if errno.CodeOf(err) != errno.Rec2Big {
		return uint64(n), err
	}
	r, err := d.kv.Reader(ctx, key)
	if err != nil {
		return 0, err
	}
	size = r.Stat().Size
	_, err = io.ReadFull(r, buf[:min(uint64(len(buf)), size)])
	return size, errors.Join(err, r.Close())
}

func (d *device) Delete(ctx context.Context, key []byte) error {
	if err := checkKey("kv device delete", key); err != nil {
		return err
	}
	return d.kv.Delete(ctx, key, system.CondUpdate)
}

func (d *device) Exist(ctx context.Context, key []byte) (bool, error) {
	if err := checkKey("kv device exist", key); err != nil {
		return false, err
	}
	return d.kv.Exists(ctx, key)
}

func (d *device) Keys(ctx context.Context, from []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if len(from) > KeyMax {
			yield(nil, checkKey("kv device list", from))
			return
		}
		for e, err := range d.kv.List(ctx, system.Range{Start: from, KeysOnly: true}) {
			if err == nil && len(e.Key) > KeyMax {
				continue
			}
			if !yield(e.Key, err) || err != nil {
				return
			}
		}
	}
}

func (d *device) Info(ctx context.Context) (system.KeyValueDeviceInfo, error) {
	count, err := d.kv.Count(ctx, system.Range{})
	if err != nil {
		return system.KeyValueDeviceInfo{}, err
	}
	pool, err := d.pool(ctx)
	return system.KeyValueDeviceInfo{KeyMax: KeyMax, ValueMax: d.valueMax, KeyCount: count, Capacity: pool.TotalBytes,
		Used: pool.TotalBytes - pool.FreeBytes}, err
}

func (d *device) Close() error { return d.kv.Close() }
