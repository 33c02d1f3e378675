// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/access"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Lists show a caller only what the access control lists let it see. The role admin sees all: who cannot find a list cannot repair it.

func isAdmin(ctx context.Context) bool { return auth.From(ctx).Roles&role.Admin != 0 }

// callerName is who calls, when a certificate or a token says so.
func callerName(ctx context.Context) string {
	if who := auth.From(ctx); who.Kind == "cert" || who.Kind == "token" {
		return who.Name
	}
	return ""
}

// ownedBy gives what is made to who makes it, unless it is given to somebody.
func ownedBy(ctx context.Context, p system.Properties) system.Properties {
	if name := callerName(ctx); p.Owner == nil && name != "" {
		p.Owner = &name
	}
	return p
}

// shown is a container as the caller may see it: without its description, when the list does not give that.
func shown(c *apiv1.Container, described bool) *apiv1.Container {
	if described {
		return c
	}
	return &apiv1.Container{Uuid: c.Uuid, Label: c.Label, Type: c.Type, Epoch: c.Epoch}
}

// reads reports whether the caller may read what ref names. What cannot be opened cannot be asked: then it may not.
func (s *Services) reads(ctx context.Context, ref handles.Ref) bool {
	h, err := s.Handles.Get(auth.Needing(ctx, apiv1.Permission_PERMISSION_READ), ref)
	if err != nil {
		return false
	}
	h.Release()
	return true
}

// seesPool reports of a pool whether the caller sees it.
func (s *Services) seesPool(ctx context.Context) func(system.PoolInfo) (bool, error) {
	return func(info system.PoolInfo) (bool, error) {
		seen := isAdmin(ctx) || s.reads(ctx, handles.Ref(info.UUID))
		if !seen && ctx.Err() != nil {
			return false, errno.FromContext("", info.Label, ctx)
		}
		return seen, nil
	}
}

// view is what a caller sees of the containers of a pool.
type view struct {
	ctx  context.Context
	pool *handles.Handle
	bare map[string]bool // containers, by UUID, whose description it does not see
}

func viewOf(ctx context.Context, pool *handles.Handle) *view {
	return &view{ctx: ctx, pool: pool, bare: map[string]bool{}}
}

func (v *view) container(info system.ContainerInfo) (bool, error) {
	if isAdmin(v.ctx) {
		return true, nil
	}
	pool, container, err := v.pool.Listed(v.ctx, info.UUID)
	if errors.Is(err, errno.ContNonExist) { // destroyed since it was listed
		return false, nil
	}
	if err != nil {
		return false, err
	}
	sees, described := access.Sees(v.ctx, pool, container)
	v.bare[info.UUID] = !described
	return sees, nil
}

// mayDelete refuses who may not delete a container. One that is too damaged to be opened, and to be asked, is the pool's matter: only
// admins get here, who could repair its list.
func (s *Services) mayDelete(ctx context.Context, ref handles.Ref) error {
	h, err := s.Handles.Get(ctx, ref)
	switch errno.CodeOf(err) {
	case errno.Csum, errno.IO, errno.DataLoss, errno.DFInval:
		h, err = s.Handles.Get(ctx, ref.Parent())
	}
	if err != nil {
		return err
	}
	h.Release()
	return nil
}

// seesOperation reports whether the caller sees an operation: whether it may read the pool.
func (s *Services) seesOperation(ctx context.Context, op *operation) bool {
	return isAdmin(ctx) || s.reads(ctx, handles.Ref(op.target))
}

// seenOperation finds an operation that the caller sees. One of a pool that is gone is for admins.
func (s *Services) seenOperation(ctx context.Context, name string) (*operation, error) {
	op, err := s.operations.find(name)
	if err != nil || s.seesOperation(ctx, op) {
		return op, err
	}
	return nil, errno.New("", name, errno.NoPerm, "the operation is about a pool that you may not read")
}

// seenReport leaves out what was found in containers that the caller may not read, and what is not known to be of another one.
func (s *Services) seenReport(ctx context.Context, op *apiv1.Operation) *apiv1.Operation {
	if isAdmin(ctx) {
		return op
	}
	if op.Error != nil {
		op.Error.Message = "the operation failed; an admin sees why"
	}
	if op.Report == nil {
		return op
	}
	readable, report := map[string]bool{}, &apiv1.CheckReport{Bytes: op.Report.Bytes, Findings: op.Report.Findings}
	for _, f := range op.Report.Found {
		if _, known := readable[f.Container]; !known {
			readable[f.Container] = f.Container != "" && s.reads(ctx, handles.Ref(op.Target+"/"+f.Container))
		}
		if readable[f.Container] {
			report.Found = append(report.Found, f)
		}
	}
	op.Report = report
	return op
}
