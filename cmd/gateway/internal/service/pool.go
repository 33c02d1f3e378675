// SPDX-License-Identifier: Apache-2.0

package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"

	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
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
		o := system.CreatePool{
			Size:      req.GetSize(),
			Device:    req.GetDevice(),
			LogBytes:  req.GetLogBytes(),
			NodeBytes: req.GetNodeBytes(),
			Overwrite: req.GetOverwrite(),
			Zeroed:    req.GetZeroed(),
			Owner:     cmp.Or(req.GetOwner(), callerName(ctx)),
			Group:     req.GetGroup(),
			Request:   requestMark(ctx, req),
		}
		info, err := s.System.CreatePool(ctx, req.GetLabel(), o)
		if errors.Is(err, errno.Exist) && req.GetRequestId() != "" {
			info, err = s.madeBefore(ctx, req.GetLabel(), o, err)
		}
		if err != nil {
			return nil, err
		}
		s.PoolHealth(info.Label, true)
		return &apiv1.CreatePoolResponse{Pool: poolOf(info, apiv1.PoolView_POOL_VIEW_FULL)}, nil
	})
}

// requestMark is what a pool keeps of the request that made it: one for each caller, id and request. Nothing without an id.
func requestMark(ctx context.Context, req *apiv1.CreatePoolRequest) (mark [16]byte) {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil || req.GetRequestId() == "" {
		return mark
	}
	sum := sha256.Sum256(append(noteKey(ctx, req), wire...))
	copy(mark[:], sum[:])
	return mark
}

// madeBefore is the pool of a label that is taken, when this very request has made it, and then ended with the gateway: perhaps before the
// pool had its owner. Else it is taken.
func (s *pools) madeBefore(ctx context.Context, label string, o system.CreatePool, taken error) (system.PoolInfo, error) {
	all, err := s.System.Pools(ctx)
	if err != nil {
		return system.PoolInfo{}, err
	}
	for _, info := range all {
		if info.Label == label && info.Request == o.Request {
			return info, s.giveToOwner(ctx, info.UUID, o)
		}
	}
	return system.PoolInfo{}, taken
}

func (s *pools) giveToOwner(ctx context.Context, uuid string, o system.CreatePool) error {
	if o.Owner == "" && o.Group == "" {
		return nil
	}
	h, err := s.Handles.Get(auth.Gateway(ctx), handles.Ref(uuid))
	if err != nil {
		return err
	}
	defer h.Release()
	is, err := h.Pool.Access(ctx)
	if err != nil || is.Owner != "" || is.Group != "" {
		return err
	}
	defer s.Handles.AccessChanged()
	return h.Pool.SetOwner(ctx, &o.Owner, &o.Group)
}

// overSocket reports whether the caller came over the Unix socket: then it is the gateway's own user, or root.
func overSocket(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	return ok && p.Addr.Network() == "unix"
}

func (s *pools) GetPool(ctx context.Context, req *apiv1.GetPoolRequest) (*apiv1.GetPoolResponse, error) {
	var pool *apiv1.Pool
	err := s.withPool(ctx, req.GetPool(), func(p system.Pool) error {
		info, err := p.Info(ctx)
		if err != nil {
			return err
		}
		pool = poolOf(info, req.GetView())
		if req.GetView() == apiv1.PoolView_POOL_VIEW_ATTRIBUTES {
			pool.Attributes, pool.Etag, err = attributesOf(ctx, p)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.GetPoolResponse{Pool: pool}, nil
}

func (s *pools) UpdatePool(ctx context.Context, req *apiv1.UpdatePoolRequest) (*apiv1.UpdatePoolResponse, error) {
	resp := &apiv1.UpdatePoolResponse{}
	err := s.withPool(ctx, req.GetPool(), func(p system.Pool) error {
		all, err := s.changeAttributes(ctx, req.GetPool(), p, req)
		if err != nil {
			return err
		}
		info, err := p.Info(ctx)
		resp.Pool = poolOf(info, apiv1.PoolView_POOL_VIEW_ATTRIBUTES)
		resp.Pool.Attributes, resp.Pool.Etag = all, etagOf(all)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
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
	if view != apiv1.PoolView_POOL_VIEW_BASIC && view != apiv1.PoolView_POOL_VIEW_ATTRIBUTES {
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
