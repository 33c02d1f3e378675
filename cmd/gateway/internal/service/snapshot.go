// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

type snapshots struct {
	apiv1.UnimplementedSnapshotServiceServer
	*Services
}

func (s *snapshots) CreateSnapshot(ctx context.Context, req *apiv1.CreateSnapshotRequest) (*apiv1.CreateSnapshotResponse, error) {
	return once(ctx, &s.replays, req, func() (*apiv1.CreateSnapshotResponse, error) {
		resp := &apiv1.CreateSnapshotResponse{}
		err := s.withContainer(ctx, req.GetContainer(), func(c system.Container) error {
			return s.withNotes(ctx, c, req.GetContainer(), req, resp, func(n *notebook) error {
				info, err := creating(ctx, n, func() (system.SnapshotInfo, error) { return n.snapshot(ctx, c, req.GetName()) },
					func() (system.SnapshotInfo, error) { return takeSnapshot(ctx, c, req.GetName()) })
				resp.Snapshot = snapshotOf(info)
				return n.end(ctx, resp, err)
			})
		})
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

func takeSnapshot(ctx context.Context, c system.Container, name string) (system.SnapshotInfo, error) {
	epoch, err := c.CreateSnapshot(ctx, name)
	if err != nil {
		return system.SnapshotInfo{}, err
	}
	return findSnapshot(ctx, c, system.SnapshotRef{Epoch: epoch})
}

// snapshot finds the snapshot of a name; without one the first that was taken since an unfinished call of the same id began: it holds
// what the call was to keep, whoever took it.
func (n *notebook) snapshot(ctx context.Context, c system.Container, name string) (system.SnapshotInfo, error) {
	if name != "" {
		return findSnapshot(ctx, c, system.SnapshotRef{Name: name})
	}
	if n.unfinished() {
		all, err := c.Snapshots(ctx)
		if err != nil {
			return system.SnapshotInfo{}, err
		}
		for _, info := range all {
			if info.Name == "" && info.Epoch > n.begun {
				return info, nil
			}
		}
	}
	return system.SnapshotInfo{}, errno.New("", "", errno.NonExist, "the snapshot has not been taken")
}

// findSnapshot finds a snapshot in the list, which is in the order of epochs.
func findSnapshot(ctx context.Context, c system.Container, at system.SnapshotRef) (system.SnapshotInfo, error) {
	all, err := c.Snapshots(ctx)
	if err != nil {
		return system.SnapshotInfo{}, err
	}
	for _, info := range all {
		if at.Name != "" && info.Name == at.Name || at.Name == "" && info.Epoch == at.Epoch {
			return info, nil
		}
	}
	return system.SnapshotInfo{}, errno.New("", "", errno.NonExist, fmt.Sprintf("the container has no snapshot %.128s", at))
}

// withSnapshot calls f with the container of the snapshot that a request names, and with the snapshot.
func (s *snapshots) withSnapshot(ctx context.Context, name string, f func(handles.Ref, system.Container, system.SnapshotInfo) error) error {
	r, err := ref("snapshot", name, handles.ContainerParts)
	if err != nil {
		return err
	}
	label, at, has, err := r.Snapshot()
	if err != nil {
		return err
	}
	if !has {
		return fault.Invalid("snapshot", name, "%.64q names a container; its snapshot stands behind @", name)
	}
	live := r.Parent() + "/" + handles.Ref(label)
	return s.withContainer(ctx, string(live), func(c system.Container) error {
		info, err := findSnapshot(ctx, c, at)
		if err != nil {
			return err
		}
		return f(live, c, info)
	})
}

func (s *snapshots) GetSnapshot(ctx context.Context, req *apiv1.GetSnapshotRequest) (*apiv1.GetSnapshotResponse, error) {
	resp := &apiv1.GetSnapshotResponse{}
	err := s.withSnapshot(ctx, req.GetSnapshot(), func(_ handles.Ref, _ system.Container, info system.SnapshotInfo) error {
		resp.Snapshot = snapshotOf(info)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *snapshots) ListSnapshots(ctx context.Context, req *apiv1.ListSnapshotsRequest) (*apiv1.ListSnapshotsResponse, error) {
	p, err := pageOf(req)
	if err != nil {
		return nil, err
	}
	var all []system.SnapshotInfo
	err = s.withContainer(ctx, req.GetContainer(), func(c system.Container) (err error) {
		all, err = c.Snapshots(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	all, next := cut(all, p, func(i system.SnapshotInfo) string { return sortable(i.Epoch) })
	resp := &apiv1.ListSnapshotsResponse{NextPageToken: next}
	for _, info := range all {
		resp.Snapshots = append(resp.Snapshots, snapshotOf(info))
	}
	return resp, nil
}

// sortable is a number as text whose order is that of the numbers.
func sortable(n uint64) string { return fmt.Sprintf("%0*s", 20, strconv.FormatUint(n, 10)) }

func (s *snapshots) DeleteSnapshot(ctx context.Context, req *apiv1.DeleteSnapshotRequest) (*apiv1.DeleteSnapshotResponse, error) {
	err := s.withSnapshot(ctx, req.GetSnapshot(), func(live handles.Ref, c system.Container, info system.SnapshotInfo) error {
		if err := s.Handles.DropSnapshot(ctx, live, info.Epoch); err != nil {
			return err
		}
		return c.DestroySnapshot(ctx, info.Epoch)
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteSnapshotResponse{}, nil
}

func snapshotOf(i system.SnapshotInfo) *apiv1.Snapshot {
	return &apiv1.Snapshot{Epoch: i.Epoch, Name: i.Name, CreateTime: timestamppb.New(i.Created)}
}
