// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"unsafe"
)

// Pool is an open pool.
type Pool struct {
	object
	c   *C.tarn_pool
	sys *System // kept alive
}

// OpenOption changes how something is opened.
type OpenOption func(*openOptions)

type openOptions struct{ readOnly bool }

// ReadOnly makes every change through the handle, and what is opened from it, fail with EP_RO.
func ReadOnly() OpenOption { return func(o *openOptions) { o.readOnly = true } }

func openFlags(opts []OpenOption, readOnly C.uint) C.uint {
	var o openOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.readOnly {
		return readOnly
	}
	return 0
}

// OpenPool opens a pool by label or UUID, and recovers it. The same process may open it again: the handles share it.
// Errors: NONEXIST, BUSY (another process holds it), DF_INVAL, DF_INCOMPT, CSUM, IO, NOMEM.
//
// Implements: int tarn_pool_open(tarn_system *, const char *, const tarn_pool_options *, tarn_pool **, tarn_event *)
func (s *System) OpenPool(ctx context.Context, labelOrUUID string, opts ...OpenOption) (*Pool, error) {
	sl, err := s.begin(ctx, "pool open")
	if err != nil {
		return nil, err
	}
	defer s.end(sl)
	sl.ref = labelOrUUID
	var names cstrings
	defer names.free()
	name, err := names.add(sl.op, labelOrUUID)
	if err != nil {
		return nil, err
	}
	options := (*C.tarn_pool_options)(sl.data())
	*options = C.tarn_pool_options{struct_size: C.sizeof_tarn_pool_options, cache_bytes: C.uint64_t(s.h.core.cache),
		flags: C.uint32_t(openFlags(opts, C.TARN_POOL_RDONLY))}
	err = sl.wait(ctx, C.tarn_pool_open(s.c, name, options, (**C.tarn_pool)(sl.opened()), &sl.c.ev))
	if err != nil {
		return nil, err
	}
	return newPool(s, labelOrUUID, (*C.tarn_pool)(sl.handle())), nil
}

func newPool(s *System, ref string, c *C.tarn_pool) *Pool {
	p := &Pool{c: c, sys: s}
	p.h = newHandle(s.h.core, s.h, "pool", ref, func() error {
		return direct("pool close", ref, func() C.int { return C.tarn_pool_close(c) })
	})
	p.h.join(newStats())
	watch(p, p.h)
	return p
}

// Info describes the pool. Errors: those of any call.
//
// Implements: int tarn_pool_query(tarn_pool *, tarn_pool_info *, tarn_event *)
func (p *Pool) Info(ctx context.Context) (PoolInfo, error) {
	s, err := p.begin(ctx, "pool query")
	if err != nil {
		return PoolInfo{}, err
	}
	defer p.end(s)
	info := (*C.tarn_pool_info)(s.data())
	if err = s.wait(ctx, C.tarn_pool_query(p.c, info, &s.c.ev)); err != nil {
		return PoolInfo{}, err
	}
	return poolInfo(info), nil
}

func poolInfo(i *C.tarn_pool_info) PoolInfo {
	return PoolInfo{
		UUID:           uuidText(&i.uuid),
		Label:          C.GoString(&i.label[0]),
		Path:           C.GoString(&i.path[0]),
		Targets:        uint32(i.targets),
		MapVersion:     uint32(i.map_version),
		FormatVersion:  uint32(i.format_version),
		ReadOnly:       i.readonly != 0,
		TotalBytes:     uint64(i.total_bytes),
		FreeBytes:      uint64(i.free_bytes),
		LogBytes:       uint64(i.log_bytes),
		LogUsedBytes:   uint64(i.log_used_bytes),
		CacheBytes:     uint64(i.cache_bytes),
		CacheUsedBytes: uint64(i.cache_used_bytes),
		Generation:     uint64(i.generation),
		Containers:     uint64(i.containers),
		Request:        *(*[16]byte)(unsafe.Pointer(&i.request)),
	}
}

// Sync waits until everything that was acknowledged or applied so far is durable. Errors: IO.
//
// Implements: int tarn_pool_sync(tarn_pool *, tarn_event *)
func (p *Pool) Sync(ctx context.Context) error {
	s, err := p.begin(ctx, "pool sync")
	if err != nil {
		return err
	}
	defer p.end(s)
	return s.wait(ctx, C.tarn_pool_sync(p.c, &s.c.ev))
}

// Checkpoint empties the log, so that the next open replays nothing. Errors: IO, NOSPACE, EP_RO.
//
// Implements: int tarn_pool_checkpoint(tarn_pool *, tarn_event *)
func (p *Pool) Checkpoint(ctx context.Context) error {
	s, err := p.begin(ctx, "pool checkpoint")
	if err != nil {
		return err
	}
	defer p.end(s)
	return s.wait(ctx, C.tarn_pool_checkpoint(p.c, &s.c.ev))
}
