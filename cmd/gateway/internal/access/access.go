// SPDX-License-Identifier: Apache-2.0

// Package access asks the access control lists of pools and containers whether a caller may do what a call does. This is always true:
//
//   - Whoever gets a handle has been checked against the lists of its pool and its container, by whatever name it was asked for. What a
//     snapshot is of has the list.
//   - A call whose rule names no permission gets no handle.
//   - What is in a container is reached through its pool: the pool's list must give "r" or "t", too.
//   - Where there is a list, what it does not give is denied; but the role admin may always look at it, and repair it.
package access

import (
	"context"
	"slices"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/go/acl"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
)

// Check refuses who may not use the handle for what the call of ctx needs, or (below) may not know what is in it. While a stream goes on
// it is asked again.
func Check(ctx context.Context, h *handles.Handle, below bool) error {
	who, needs := auth.From(ctx), auth.Needs(ctx)
	if err := decide(ctx, who, needs, h, below); err != nil {
		if errno.CodeOf(err) == errno.NoPerm {
			auth.Denied(ctx, string(h.Ref()))
		}
		return err
	}
	if !below && auth.Watched(ctx) {
		auth.Watch(ctx, func() error { return decide(context.Background(), who, needs, h, false) })
	}
	return nil
}

func decide(ctx context.Context, who *auth.Identity, needs []apiv1.Permission, h *handles.Handle, below bool) error {
	if slices.Equal(needs, roleOnly) {
		return nil
	}
	a, err := askerOf(ctx, who, h)
	if err != nil {
		return err
	}
	if len(needs) == 0 {
		return denied(who, h, apiv1.Permission_PERMISSION_UNSPECIFIED)
	}
	if below && a.inPool {
		needs = intoPool
	}
	for _, need := range needs {
		if !a.may(need) {
			return denied(who, h, need)
		}
	}
	return nil
}

// intoPool is what one needs of a pool for what is in it.
var intoPool = []apiv1.Permission{apiv1.Permission_PERMISSION_OPEN}

var roleOnly = []apiv1.Permission{apiv1.Permission_PERMISSION_ROLE}

// lacks is what a caller is told that it does not have.
var lacks = map[apiv1.Permission]string{
	apiv1.Permission_PERMISSION_OPEN:             "r, t or a",
	apiv1.Permission_PERMISSION_READ:             "r",
	apiv1.Permission_PERMISSION_WRITE:            "w, with which one must be able to open it",
	apiv1.Permission_PERMISSION_CREATE_CONTAINER: "c",
	apiv1.Permission_PERMISSION_DELETE_CONTAINER: "d",
	apiv1.Permission_PERMISSION_SET_PROPERTIES:   "T, or without a list the role admin",
	apiv1.Permission_PERMISSION_GET_ACL:          "a",
	apiv1.Permission_PERMISSION_SET_ACL:          "A, or the role admin, or to be the owner",
	apiv1.Permission_PERMISSION_SET_OWNER:        "o, or the role admin",
}

func denied(who *auth.Identity, h *handles.Handle, need apiv1.Permission) error {
	what, ok := lacks[need]
	if !ok {
		what = "something that no list gives"
	}
	return errno.New("", string(h.Ref()), errno.NoPerm, "the access control lists do not give "+who.Who()+" what the call needs: "+what)
}

// Sees reports whether the caller of ctx may know that a container is there, because its list gives anything at all, and whether it may see
// its properties.
func Sees(ctx context.Context, pool, container *handles.Access) (sees, describes bool) {
	a := asking(auth.From(ctx), pool, container)
	return a.pool.reads() && (a.container.perms != 0 || a.container.owns), a.describes()
}

// Describes reports whether the caller of ctx may see the properties of a container.
func Describes(ctx context.Context, h *handles.Handle) (bool, error) {
	a, err := askerOf(ctx, auth.From(ctx), h)
	return err == nil && a.describes(), err
}

func (a asker) describes() bool { return a.pool.reads() && a.container.gives(acl.GetProps) }

// asker is who asks, and what the lists say to that.
type asker struct {
	admin           bool
	pool, container side
	inPool          bool // it is about the pool itself: container means nothing
}

// side is what one list says.
type side struct {
	hasList, owns bool
	perms         acl.Perms
}

func askerOf(ctx context.Context, who *auth.Identity, h *handles.Handle) (asker, error) {
	pool, container, err := h.Accesses(ctx)
	if err != nil {
		return asker{}, err
	}
	return asking(who, pool, container), nil
}

func asking(who *auth.Identity, pool, container *handles.Access) asker {
	a := asker{admin: who.Roles&role.Admin != 0, pool: sideOf(who, pool), inPool: container == nil}
	if container != nil {
		a.container = sideOf(who, container)
	}
	return a
}

const everything = ^acl.Perms(0)

func sideOf(who *auth.Identity, of *handles.Access) side {
	names := who.Principals()
	s := side{hasList: of.HasList, owns: names.Owns(of.Owner), perms: everything}
	if of.HasList {
		s.perms = of.List.Perms(names, of.Owner)
	}
	return s
}

// gives reports whether the list gives one of them, or there is none.
func (s side) gives(one acl.Perms) bool { return s.perms&one != 0 }

// reads is what lets into a pool.
func (s side) reads() bool { return s.gives(acl.Read | acl.GetProps) }

// opens is what lets into a container: DAOS opens none for writing only, and always to its owner.
func (s side) opens() bool { return s.owns || s.gives(acl.Read|acl.GetProps|acl.GetACL) }

func (a asker) may(need apiv1.Permission) bool {
	switch need {
	case apiv1.Permission_PERMISSION_ROLE:
		return true
	case apiv1.Permission_PERMISSION_OPEN:
		return a.admin || a.pool.reads() && (a.inPool || a.container.opens())
	case apiv1.Permission_PERMISSION_GET_ACL, apiv1.Permission_PERMISSION_SET_ACL, apiv1.Permission_PERMISSION_SET_OWNER:
		return a.admin || a.pool.reads() && a.mayRepair(need)
	case apiv1.Permission_PERMISSION_CREATE_CONTAINER:
		return a.inPool && a.pool.gives(acl.Create|acl.Write)
	case apiv1.Permission_PERMISSION_DELETE_CONTAINER:
		return a.mayDelete()
	}
	if a.inPool {
		return need == apiv1.Permission_PERMISSION_READ && a.pool.reads()
	}
	if need == apiv1.Permission_PERMISSION_SET_PROPERTIES && !a.container.hasList && !a.admin {
		return false
	}
	return a.pool.reads() && a.container.opens() && a.container.allows(need)
}

// mayDelete: the container's list decides when there is one, else the pool's.
func (a asker) mayDelete() bool {
	if a.container.hasList {
		return a.pool.reads() && a.container.gives(acl.Delete)
	}
	return a.pool.gives(acl.Delete | acl.Write)
}

// mayRepair is what those who are not admins may do to a list: the first one only the owner makes.
func (a asker) mayRepair(need apiv1.Permission) bool {
	switch {
	case a.inPool:
		return need == apiv1.Permission_PERMISSION_GET_ACL
	case need == apiv1.Permission_PERMISSION_GET_ACL:
		return a.container.owns || a.container.gives(acl.GetACL)
	case need == apiv1.Permission_PERMISSION_SET_ACL && a.container.owns:
		return true
	case !a.container.hasList || !a.container.opens():
		return false
	case need == apiv1.Permission_PERMISSION_SET_ACL:
		return a.container.gives(acl.SetACL)
	}
	return a.container.gives(acl.SetOwner)
}

// allows is what a container's list says to one who may open it.
func (s side) allows(need apiv1.Permission) bool {
	switch need {
	case apiv1.Permission_PERMISSION_READ:
		return s.gives(acl.Read)
	case apiv1.Permission_PERMISSION_WRITE:
		return s.gives(acl.Write)
	case apiv1.Permission_PERMISSION_SET_PROPERTIES:
		return s.gives(acl.SetProps)
	}
	return false
}
