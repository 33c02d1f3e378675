// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// The RPCs for access control lists, of pools and of containers. After each change everybody looks again who may use what, also when the
// change failed: its answer may have been lost, and not the change.

func accessOf(a system.Access) *apiv1.AccessControl {
	return &apiv1.AccessControl{Owner: a.Owner, Group: a.Group, HasList: a.HasList, Entries: a.Entries}
}

// changeAccess calls f with the pool or container of that name.
func (s *Services) changeAccess(ctx context.Context, field, name string, parts int, f func(system.AccessControl) error) error {
	h, err := s.handle(ctx, field, name, parts)
	if err != nil {
		return err
	}
	defer h.Release()
	defer s.Handles.AccessChanged()
	if h.Container != nil {
		return f(h.Container)
	}
	return f(h.Pool)
}

func (s *Services) ofPool(ctx context.Context, name string, f func(system.AccessControl) error) error {
	return s.changeAccess(ctx, "pool", name, handles.PoolParts, f)
}

func (s *Services) ofContainer(ctx context.Context, name string, f func(system.AccessControl) error) error {
	return s.changeAccess(ctx, "container", name, handles.ContainerParts, f)
}

// deletion is what a request to delete asks for.
type deletion interface {
	GetPrincipal() string
	GetAll() bool
}

// deleteFrom deletes an entry, or the list.
func deleteFrom(ctx context.Context, req deletion) (func(system.AccessControl) error, error) {
	switch {
	case req.GetAll() == (req.GetPrincipal() != ""):
		return nil, fault.Invalid("principal", "", "one of principal and all is to be set")
	case req.GetAll():
		return func(a system.AccessControl) error { return a.ClearACL(ctx) }, nil
	}
	return func(a system.AccessControl) error { return a.DeleteACL(ctx, req.GetPrincipal()) }, nil
}

func (s *pools) GetPoolAcl(ctx context.Context, req *apiv1.GetPoolAclRequest) (*apiv1.GetPoolAclResponse, error) {
	resp := &apiv1.GetPoolAclResponse{}
	err := s.withPool(ctx, req.GetPool(), func(p system.Pool) error {
		a, err := p.Access(ctx)
		resp.Access = accessOf(a)
		return err
	})
	return resp, err
}

func (s *pools) OverwritePoolAcl(ctx context.Context, req *apiv1.OverwritePoolAclRequest) (*apiv1.OverwritePoolAclResponse, error) {
	err := s.ofPool(ctx, req.GetPool(), func(a system.AccessControl) error { return a.OverwriteACL(ctx, req.GetEntries()) })
	return &apiv1.OverwritePoolAclResponse{}, err
}

func (s *pools) UpdatePoolAcl(ctx context.Context, req *apiv1.UpdatePoolAclRequest) (*apiv1.UpdatePoolAclResponse, error) {
	err := s.ofPool(ctx, req.GetPool(), func(a system.AccessControl) error { return a.UpdateACL(ctx, req.GetEntries()) })
	return &apiv1.UpdatePoolAclResponse{}, err
}

func (s *pools) DeletePoolAcl(ctx context.Context, req *apiv1.DeletePoolAclRequest) (*apiv1.DeletePoolAclResponse, error) {
	change, err := deleteFrom(ctx, req)
	if err != nil {
		return nil, err
	}
	return &apiv1.DeletePoolAclResponse{}, s.ofPool(ctx, req.GetPool(), change)
}

func (s *pools) SetPoolOwner(ctx context.Context, req *apiv1.SetPoolOwnerRequest) (*apiv1.SetPoolOwnerResponse, error) {
	err := s.ofPool(ctx, req.GetPool(), func(a system.AccessControl) error { return a.SetOwner(ctx, req.Owner, req.Group) })
	return &apiv1.SetPoolOwnerResponse{}, err
}

func (s *containers) GetContainerAcl(ctx context.Context, req *apiv1.GetContainerAclRequest) (*apiv1.GetContainerAclResponse, error) {
	resp := &apiv1.GetContainerAclResponse{}
	err := s.withContainer(ctx, req.GetContainer(), func(c system.Container) error {
		a, err := c.Access(ctx)
		resp.Access = accessOf(a)
		return err
	})
	return resp, err
}

func (s *containers) OverwriteContainerAcl(ctx context.Context, req *apiv1.OverwriteContainerAclRequest) (*apiv1.OverwriteContainerAclResponse, error) {
	err := s.ofContainer(ctx, req.GetContainer(), func(a system.AccessControl) error { return a.OverwriteACL(ctx, req.GetEntries()) })
	return &apiv1.OverwriteContainerAclResponse{}, err
}

func (s *containers) UpdateContainerAcl(ctx context.Context, req *apiv1.UpdateContainerAclRequest) (*apiv1.UpdateContainerAclResponse, error) {
	err := s.ofContainer(ctx, req.GetContainer(), func(a system.AccessControl) error { return a.UpdateACL(ctx, req.GetEntries()) })
	return &apiv1.UpdateContainerAclResponse{}, err
}

func (s *containers) DeleteContainerAcl(ctx context.Context, req *apiv1.DeleteContainerAclRequest) (*apiv1.DeleteContainerAclResponse, error) {
	change, err := deleteFrom(ctx, req)
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteContainerAclResponse{}, s.ofContainer(ctx, req.GetContainer(), change)
}

func (s *containers) SetContainerOwner(ctx context.Context, req *apiv1.SetContainerOwnerRequest) (*apiv1.SetContainerOwnerResponse, error) {
	err := s.ofContainer(ctx, req.GetContainer(), func(a system.AccessControl) error { return a.SetOwner(ctx, req.Owner, req.Group) })
	return &apiv1.SetContainerOwnerResponse{}, err
}
