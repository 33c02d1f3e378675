// SPDX-License-Identifier: Apache-2.0

package handles

import (
	"context"
	"strings"

	"github.com/tarn-storage/tarn/go/acl"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Access is who may use a pool or a container, as it was after so many changes. It never changes.
type Access struct {
	Owner   acl.Owner
	HasList bool
	List    acl.List

	after uint64
}

// AccessChanged makes everybody look again who may use what. The gateway holds its pools alone, so that no change passes it by.
func (c *Cache) AccessChanged() { c.changes.Add(1) }

// Ref is what the handle was asked for by.
func (h *Handle) Ref() Ref { return h.ref }

// Accesses say who may use the pool that the handle is of or in, and the container; the latter is nil for a pool. Without an error there
// has been no change since the call began that they do not know.
func (h *Handle) Accesses(ctx context.Context) (pool, container *Access, err error) {
	at := h
	if at.KV != nil {
		at = at.parent
	}
	if at.Container != nil {
		if container, err = at.look(ctx, acl.Container, at.Container); err != nil {
			return nil, nil, err
		}
		at = at.parent
	}
	pool, err = at.look(ctx, acl.Pool, at.Pool)
	return pool, container, err
}

// look is what was found before, unless there was a change since. The number of changes is read first: a change that comes while the
// list is read makes the next look read it again.
func (h *Handle) look(ctx context.Context, kind acl.Kind, of system.AccessControl) (*Access, error) {
	changes := h.cache.changes.Load()
	if a := h.access.Load(); a != nil && a.after == changes {
		return a, nil
	}
	raw, err := of.Access(ctx)
	if err != nil {
		return nil, err
	}
	list, err := acl.Parse(kind, strings.Join(raw.Entries, "\n"))
	if err != nil {
		return nil, errno.New("", string(h.ref), errno.DFInval, "its access control list cannot be read: "+err.Error())
	}
	a := &Access{Owner: acl.Owner{User: raw.Owner, Group: raw.Group}, HasList: raw.HasList, List: list, after: changes}
	h.access.Store(a)
	return a, nil
}
