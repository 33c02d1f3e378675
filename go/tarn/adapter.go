// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"

	"github.com/tarn-storage/tarn/go/system"
)

// System returns s as a system.System, for programs that do not care where their pools are. Closing either closes both.
func (s *System) System() system.System { return anySystem{s} }

// The adapters only turn concrete results into interfaces; everything else is the embedded type's.
type (
	anySystem    struct{ *System }
	anyPool      struct{ *Pool }
	anyContainer struct{ *Container }
	anyKV        struct{ *KV }
)

func (s anySystem) OpenPool(ctx context.Context, labelOrUUID string) (system.Pool, error) {
	p, err := s.System.OpenPool(ctx, labelOrUUID)
	if err != nil {
		return nil, err
	}
	return anyPool{p}, nil
}

func (p anyPool) OpenContainer(ctx context.Context, labelOrUUID string) (system.Container, error) {
	c, err := p.Pool.OpenContainer(ctx, labelOrUUID)
	if err != nil {
		return nil, err
	}
	return anyContainer{c}, nil
}

func (c anyContainer) OpenKV(ctx context.Context, name string, create bool) (system.KV, error) {
	kv, err := c.Container.OpenKV(ctx, name, create)
	if err != nil {
		return nil, err
	}
	return anyKV{kv}, nil
}

func (c anyContainer) OpenNotes(ctx context.Context) (system.KV, error) {
	kv, err := c.Container.OpenNotes(ctx)
	if err != nil {
		return nil, err
	}
	return anyKV{kv}, nil
}

func (c anyContainer) OpenKeyValueDevice(ctx context.Context) (system.KeyValueDevice, error) {
	d, err := c.Container.OpenKeyValueDevice(ctx)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (c anyContainer) OpenSnapshot(ctx context.Context, at system.SnapshotRef) (system.Container, error) {
	snap, err := c.Container.OpenSnapshot(ctx, at)
	if err != nil {
		return nil, err
	}
	return anyContainer{snap}, nil
}

func (kv anyKV) OpenWatch(ctx context.Context, o system.WatchOptions) (system.Watch, error) {
	w, err := kv.KV.OpenWatch(ctx, o)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (kv anyKV) Reader(ctx context.Context, key []byte) (system.Reader, error) {
	r, err := kv.KV.Reader(ctx, key)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (kv anyKV) Writer(ctx context.Context, key []byte, cond ...system.Cond) (system.Writer, error) {
	w, err := kv.KV.Writer(ctx, key, cond...)
	if err != nil {
		return nil, err
	}
	return w, nil
}
