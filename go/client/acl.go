// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"strings"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

func accessOf(a *apiv1.AccessControl) system.Access {
	return system.Access{Owner: a.GetOwner(), Group: a.GetGroup(), HasList: a.GetHasList(), Entries: append([]string{}, a.GetEntries()...)}
}

// Access says who may use the pool.
func (p *Pool) Access(ctx context.Context) (system.Access, error) {
	const op = "pool acl get"
	if err := p.check(ctx, op); err != nil {
		return system.Access{}, err
	}
	resp, err := p.sys.pools.GetPoolAcl(ctx, &apiv1.GetPoolAclRequest{Pool: p.name})
	if err != nil {
		return system.Access{}, fromStatus(ctx, op, p.ref, err)
	}
	return accessOf(resp.GetAccess()), nil
}

// OverwriteACL makes the entries the pool's list.
func (p *Pool) OverwriteACL(ctx context.Context, entries []string) error {
	const op = "pool acl overwrite"
	if err := p.checkName(ctx, op, p.ref, joined(entries)); err != nil {
		return err
	}
	_, err := p.sys.pools.OverwritePoolAcl(ctx, &apiv1.OverwritePoolAclRequest{Pool: p.name, Entries: entries})
	return fromStatus(ctx, op, p.ref, err)
}

// UpdateACL puts the entries into the pool's list.
func (p *Pool) UpdateACL(ctx context.Context, entries []string) error {
	const op = "pool acl update"
	if err := p.checkName(ctx, op, p.ref, joined(entries)); err != nil {
		return err
	}
	_, err := p.sys.pools.UpdatePoolAcl(ctx, &apiv1.UpdatePoolAclRequest{Pool: p.name, Entries: entries})
	return fromStatus(ctx, op, p.ref, err)
}

// DeleteACL takes the entry of a principal out of the pool's list.
func (p *Pool) DeleteACL(ctx context.Context, principal string) error {
	return p.deleteACL(ctx, &apiv1.DeletePoolAclRequest{Pool: p.name, Principal: principal})
}

// ClearACL takes the pool's list away.
func (p *Pool) ClearACL(ctx context.Context) error {
	return p.deleteACL(ctx, &apiv1.DeletePoolAclRequest{Pool: p.name, All: true})
}

func (p *Pool) deleteACL(ctx context.Context, req *apiv1.DeletePoolAclRequest) error {
	const op = "pool acl delete"
	if err := p.checkName(ctx, op, p.ref, req.GetPrincipal()); err != nil {
		return err
	}
	_, err := p.sys.pools.DeletePoolAcl(ctx, req)
	return fromStatus(ctx, op, p.ref, err)
}

// SetOwner sets the owner of the pool and the owner's group; nil stays as it is.
func (p *Pool) SetOwner(ctx context.Context, user, group *string) error {
	const op = "pool set owner"
	if err := p.checkName(ctx, op, p.ref, text(user)+text(group)); err != nil {
		return err
	}
	_, err := p.sys.pools.SetPoolOwner(ctx, &apiv1.SetPoolOwnerRequest{Pool: p.name, Owner: user, Group: group})
	return fromStatus(ctx, op, p.ref, err)
}

// Access says who may use the container.
func (c *Container) Access(ctx context.Context) (system.Access, error) {
	const op = "container acl get"
	if err := c.check(ctx, op); err != nil {
		return system.Access{}, err
	}
	resp, err := c.sys.containers.GetContainerAcl(ctx, &apiv1.GetContainerAclRequest{Container: c.name})
	if err != nil {
		return system.Access{}, fromStatus(ctx, op, c.ref, err)
	}
	return accessOf(resp.GetAccess()), nil
}

// OverwriteACL makes the entries the container's list.
func (c *Container) OverwriteACL(ctx context.Context, entries []string) error {
	const op = "container acl overwrite"
	if err := c.checkName(ctx, op, c.ref, joined(entries)); err != nil {
		return err
	}
	_, err := c.sys.containers.OverwriteContainerAcl(ctx, &apiv1.OverwriteContainerAclRequest{Container: c.name, Entries: entries})
	return fromStatus(ctx, op, c.ref, err)
}

// UpdateACL puts the entries into the container's list.
func (c *Container) UpdateACL(ctx context.Context, entries []string) error {
	const op = "container acl update"
	if err := c.checkName(ctx, op, c.ref, joined(entries)); err != nil {
		return err
	}
	_, err := c.sys.containers.UpdateContainerAcl(ctx, &apiv1.UpdateContainerAclRequest{Container: c.name, Entries: entries})
	return fromStatus(ctx, op, c.ref, err)
}

// DeleteACL takes the entry of a principal out of the container's list.
func (c *Container) DeleteACL(ctx context.Context, principal string) error {
	return c.deleteACL(ctx, &apiv1.DeleteContainerAclRequest{Container: c.name, Principal: principal})
}

// ClearACL takes the container's list away.
func (c *Container) ClearACL(ctx context.Context) error {
	return c.deleteACL(ctx, &apiv1.DeleteContainerAclRequest{Container: c.name, All: true})
}

func (c *Container) deleteACL(ctx context.Context, req *apiv1.DeleteContainerAclRequest) error {
	const op = "container acl delete"
	if err := c.checkName(ctx, op, c.ref, req.GetPrincipal()); err != nil {
		return err
	}
	_, err := c.sys.containers.DeleteContainerAcl(ctx, req)
	return fromStatus(ctx, op, c.ref, err)
}

// SetOwner sets the owner of the container and the owner's group; nil stays as it is.
func (c *Container) SetOwner(ctx context.Context, user, group *string) error {
	const op = "container set owner"
	if err := c.checkName(ctx, op, c.ref, text(user)+text(group)); err != nil {
		return err
	}
	_, err := c.sys.containers.SetContainerOwner(ctx, &apiv1.SetContainerOwnerRequest{Container: c.name, Owner: user, Group: group})
	return fromStatus(ctx, op, c.ref, err)
}

// text is a string, or nothing.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// joined are the entries in one piece, to see whether they can be sent.
func joined(entries []string) string { return strings.Join(entries, "\n") }
