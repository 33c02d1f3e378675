// SPDX-License-Identifier: Apache-2.0

package service

import (
	"cmp"
	"context"

	"google.golang.org/grpc/peer"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

type pools struct {
	apiv1.UnimplementedPoolServiceServer
	*Services
}

func (s *pools) CreatePool(ctx context.Context, req *apiv1.CreatePoolRequest) (*apiv1.CreatePoolResponse, error) {
	if req.GetDevice() != "" && !overSocket(ctx) {
		return nil, errno.New("", req.GetLabel(), errno.NoPerm, "a device can be given over the gateway's Unix socket only, "+
			"which its user alone can open; use that, or leave device empty")
	}
	return once(ctx, &s.replays, req, func() (*apiv1.CreatePoolResponse, error) {
		info, err := s.System.CreatePool(ctx, req.GetLabel(), system.CreatePool{
			Size:      req.GetSize(),
			Device:    req.GetDevice(),
			LogBytes:  req.GetLogBytes(),
			NodeBytes: req.GetNodeBytes(),
			Overwrite: req.GetOverwrite(),
			Owner:     cmp.Or(req.GetOwner(), callerName(ctx)),
			Group:     req.GetGroup(),
		})
		if err != nil {
			return nil, err
		}
		s.PoolHealth(info.Label, true)
		return &apiv1.CreatePoolResponse{Pool: poolOf(info, apiv1.PoolView_POOL_VIEW_FULL)}, nil
	})
}

// overSocket reports whether the caller came over the Unix socket: then it is the gateway's own user, or root.
func overSocket(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	return ok && p.Addr.Network() == "unix"
}

func (s *pools) GetPool(ctx context.Context, req *apiv1.GetPoolRequest) (*apiv1.GetPoolResponse, error) {
	var info system.PoolInfo
	err := s.withPool(ctx, req.GetPool(), func(p system.Pool) (err error) {
		info, err = p.Info(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.GetPoolResponse{Pool: poolOf(info, req.GetView())}, nil
}

func (s *pools) ListPools(ctx context.Context, req *apiv1.ListPoolsRequest) (*apiv1.ListPoolsResponse, error) {
	p, err := pageOf(req)
	if err != nil {
		return nil, err
	}
	all, err := s.System.Pools(ctx)
	if err != nil {
		return nil, err
	}
	all, next, err := visible(all, p, func(i system.PoolInfo) string { return i.Label }, s.seesPool(ctx))
	if err != nil {
		return nil, err
	}
	resp := &apiv1.ListPoolsResponse{NextPageToken: next}
	for _, info := range all {
		resp.Pools = append(resp.Pools, poolOf(info, apiv1.PoolView_POOL_VIEW_FULL))
	}
	return resp, nil
}

func (s *pools) DeletePool(ctx context.Context, req *apiv1.DeletePoolRequest) (*apiv1.DeletePoolResponse, error) {
	r, err := ref("pool", req.GetPool(), handles.PoolParts)
	if err != nil {
		return nil, err
	}
	label, err := s.labelOf(ctx, r.Name())
	if err != nil {
		return nil, err
	}
	s.watches.end(label)
	if err := s.Handles.Drop(ctx, r); err != nil {
		return nil, err
	}
	if err := s.System.DestroyPool(ctx, r.Name(), req.GetForce()); err != nil {
		return nil, hintForce(err, req.GetForce())
	}
	s.PoolHealth(label, false)
	return &apiv1.DeletePoolResponse{}, nil
}

// labelOf is the label of a pool that is named by label or UUID.
func (s *pools) labelOf(ctx context.Context, name string) (string, error) {
	all, err := s.System.Pools(ctx)
	if err != nil {
		return "", err
	}
	for _, info := range all {
		if info.UUID == name {
			return info.Label, nil
		}
	}
	return name, nil
}

// hintForce says that force would help, when it was not asked for.
func hintForce(err error, force bool) error {
	if force {
		return err
	}
	return fault.Hint(err, "force")
}

func (s *pools) SyncPool(ctx context.Context, req *apiv1.SyncPoolRequest) (*apiv1.SyncPoolResponse, error) {
	err := s.withPool(ctx, req.GetPool(), func(p system.Pool) error { return p.Sync(ctx) })
	return &apiv1.SyncPoolResponse{}, err
}

func (s *pools) CheckpointPool(ctx context.Context, req *apiv1.CheckpointPoolRequest) (*apiv1.CheckpointPoolResponse, error) {
	err := s.withPool(ctx, req.GetPool(), func(p system.Pool) error { return p.Checkpoint(ctx) })
	return &apiv1.CheckpointPoolResponse{}, err
}

func poolOf(i system.PoolInfo, view apiv1.PoolView) *apiv1.Pool {
	p := &apiv1.Pool{
		Uuid: i.UUID, Label: i.Label, Path: i.Path, Targets: i.Targets, MapVersion: i.MapVersion,
		FormatVersion: i.FormatVersion, ReadOnly: i.ReadOnly,
	}
	if view != apiv1.PoolView_POOL_VIEW_BASIC {
		p.Space = &apiv1.PoolSpace{TotalBytes: i.TotalBytes, FreeBytes: i.FreeBytes}
	}
	if view == apiv1.PoolView_POOL_VIEW_UNSPECIFIED || view == apiv1.PoolView_POOL_VIEW_FULL {
		p.Engine = &apiv1.PoolEngine{
			LogBytes: i.LogBytes, LogUsedBytes: i.LogUsedBytes, CacheBytes: i.CacheBytes, CacheUsedBytes: i.CacheUsedBytes,
			Generation: i.Generation, Containers: i.Containers,
		}
	}
	return p
}
