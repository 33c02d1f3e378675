// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"time"
)

// CreateSnapshot keeps the container as it is now, and returns the snapshot's epoch. It costs the same whatever the container holds.
// name is a label that is unique in the container, or "". Errors: EXIST (the name is taken), INVAL (the name), NOSPACE, EP_RO.
//
// Implements: int tarn_snap_create(tarn_cont *, const char *, uint64_t *, tarn_event *)
func (c *Container) CreateSnapshot(ctx context.Context, name string) (uint64, error) {
	s, err := c.begin(ctx, "snapshot create")
	if err != nil {
		return 0, err
	}
	defer c.end(s)
	var names cstrings
	defer names.free()
	var label *C.char // NULL: none
	if name != "" {
		if label, err = names.add(s.op, name); err != nil {
			return 0, err
		}
	}
	if err = s.wait(ctx, C.tarn_snap_create(c.c, label, &s.c.number, &s.c.ev)); err != nil {
		return 0, err
	}
	return uint64(s.c.number), nil
}

// Snapshots describes the container's snapshots in the order of their epochs. Errors: those of any call that reads.
//
// Implements: int tarn_snap_list(tarn_cont *, tarn_snap_info *, size_t *, tarn_event *)
func (c *Container) Snapshots(ctx context.Context) ([]SnapshotInfo, error) {
	s, err := c.begin(ctx, "snapshot list")
	if err != nil {
		return nil, err
	}
	defer c.end(s)
	return listInfos(ctx, s, snapInfo, func(infos *C.tarn_snap_info, count *C.size_t) C.int {
		return C.tarn_snap_list(c.c, infos, count, &s.c.ev)
	})
}

func snapInfo(i *C.tarn_snap_info) SnapshotInfo {
	return SnapshotInfo{
		Epoch:   uint64(i.epoch),
		Name:    C.GoString(&i.name[0]),
		Created: time.Unix(0, int64(i.created_ns)).UTC(),
	}
}

// DestroySnapshot destroys the snapshot of that epoch. Errors: NONEXIST, BUSY (it is open), EP_RO.
//
// Implements: int tarn_snap_destroy(tarn_cont *, uint64_t, tarn_event *)
func (c *Container) DestroySnapshot(ctx context.Context, epoch uint64) error {
	s, err := c.begin(ctx, "snapshot destroy")
	if err != nil {
		return err
	}
	defer c.end(s)
	return s.wait(ctx, C.tarn_snap_destroy(c.c, C.uint64_t(epoch), &s.c.ev))
}

// OpenSnapshot opens the container as it was, for reading: every change through the handle is EP_RO. It stays open when c is closed.
// Errors: NONEXIST, INVAL.
//
// Implements: int tarn_cont_open_snap(tarn_pool *, const char *, uint64_t, const char *, tarn_cont **, tarn_event *)
func (c *Container) OpenSnapshot(ctx context.Context, at SnapshotRef) (*Container, error) {
	s, err := c.begin(ctx, "snapshot open")
	if err != nil {
		return nil, err
	}
	defer c.end(s)
	if !c.pool.h.enter() {
		return nil, c.pool.h.noHandle(s.op)
	}
	defer c.pool.h.leave()
	s.ref = c.h.ref + " snapshot " + at.String()
	var names cstrings
	defer names.free()
	label, err := names.add(s.op, c.name)
	if err != nil {
		return nil, err
	}
	var name *C.char
	if at.Name != "" {
		if name, err = names.add(s.op, at.Name); err != nil {
			return nil, err
		}
	}
	err = s.wait(ctx, C.tarn_cont_open_snap(c.pool.c, label, C.uint64_t(at.Epoch), name,
		(**C.tarn_cont)(s.opened()), &s.c.ev))
	if err != nil {
		return nil, err
	}
	return newContainer(c.pool, s.ref, c.name, (*C.tarn_cont)(s.handle())), nil
}
