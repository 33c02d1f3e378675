// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"strconv"
	"unicode/utf8"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// CreateSnapshot keeps the container as it is now, and returns the snapshot's epoch.
func (c *Container) CreateSnapshot(ctx context.Context, name string) (uint64, error) {
	const op = "snapshot create"
	if err := c.checkName(ctx, op, c.ref, name); err != nil {
		return 0, err
	}
	resp, err := c.sys.snapshots.CreateSnapshot(ctx, &apiv1.CreateSnapshotRequest{Container: c.name, Name: name})
	if err != nil {
		return 0, fromStatus(ctx, op, c.ref, err)
	}
	return resp.GetSnapshot().GetEpoch(), nil
}

// Snapshots describes the container's snapshots in the order of their epochs.
func (c *Container) Snapshots(ctx context.Context) ([]system.SnapshotInfo, error) {
	const op = "snapshot list"
	if err := c.check(ctx, op); err != nil {
		return nil, err
	}
	var all []system.SnapshotInfo
	for token := ""; ; {
		resp, err := c.sys.snapshots.ListSnapshots(ctx, &apiv1.ListSnapshotsRequest{
			Container: c.name, PageSize: int32(c.sys.limits.GetPageSize()), PageToken: token,
		})
		if err != nil {
			return nil, fromStatus(ctx, op, c.ref, err)
		}
		for _, s := range resp.GetSnapshots() {
			all = append(all, system.SnapshotInfo{Epoch: s.GetEpoch(), Name: s.GetName(), Created: s.GetCreateTime().AsTime()})
		}
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// DestroySnapshot destroys the snapshot of that epoch. BUSY while a call is reading it; handles that are open on it are not in the way, and
// what is called through them is NONEXIST.
func (c *Container) DestroySnapshot(ctx context.Context, epoch uint64) error {
	const op = "snapshot destroy"
	if err := c.check(ctx, op); err != nil {
		return err
	}
	_, err := c.sys.snapshots.DeleteSnapshot(ctx, &apiv1.DeleteSnapshotRequest{Snapshot: c.at(epoch)})
	return fromStatus(ctx, op, c.ref, err)
}

// at is the name of the container as it was at an epoch.
func (c *Container) at(epoch uint64) string { return c.name + "@@" + strconv.FormatUint(epoch, 10) }

// OpenSnapshot opens the container as it was, for reading: every change through the handle is EP_RO. It stays open when c is closed.
func (c *Container) OpenSnapshot(ctx context.Context, at system.SnapshotRef) (system.Container, error) {
	const op = "snapshot open"
	ref := c.ref + " snapshot " + at.String()
	if err := c.check(ctx, op); err != nil {
		return nil, err
	}
	if (at.Name == "") == (at.Epoch == 0) || !utf8.ValidString(at.Name) {
		return nil, errno.New(op, ref, errno.Inval, fmt.Sprintf("a snapshot is named or has an epoch, and it is %+v", at))
	}
	name := c.name + "@" + at.Name
	if at.Name == "" {
		name = c.at(at.Epoch)
	}
	resp, err := c.sys.containers.GetContainer(ctx, &apiv1.GetContainerRequest{Container: name})
	if err != nil {
		return nil, fromStatus(ctx, op, ref, err)
	}
	snap := &Container{sys: c.sys, pool: c.pool, name: c.at(resp.GetContainer().GetEpoch())}
	if err := snap.init(&c.pool.handle, "container", ref); err != nil {
		return nil, err
	}
	watch(snap, &snap.handle, nil)
	return snap, nil
}
