// SPDX-License-Identifier: Apache-2.0

package handles

import (
	"context"
	"strings"
	"sync"

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

// knownMax is how many containers are known, at a few hundred bytes each or the length of their lists: then all are forgotten.
const (
	knownMax      = 16384
	knownBytesMax = 8 << 20
)

// known is who may use containers that were listed, by UUID. Who lists many opens them once, and not again and again in the place of others.
type known struct {
	mu    sync.Mutex
	all   map[string]*Access
	bytes int
}

func (k *known) get(uuid string, changes uint64) *Access {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.all[uuid]; a != nil && a.after == changes {
		return a
	}
	return nil
}

func (k *known) add(uuid string, a *Access) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || len(k.all) >= knownMax || k.bytes > knownBytesMax {
		k.all, k.bytes = map[string]*Access{}, 0
	}
	if k.all[uuid] == nil {
		for _, e := range a.List {
			k.bytes += len(e.Principal) + 64
		}
	}
	k.all[uuid] = a
}

// Listed says who may use the pool that h is, and a container that was listed in it. It is asked once, and again when anything has changed of who
// may use what. Errors: CONT_NONEXIST (it was destroyed since), those of the system.
func (h *Handle) Listed(ctx context.Context, uuid string) (pool, container *Access, err error) {
	if pool, err = h.look(ctx, acl.Pool, h.Pool); err != nil {
		return nil, nil, err
	}
	changes := h.cache.changes.Load()
	if a := h.cache.known.get(uuid, changes); a != nil {
		return pool, a, nil
	}
	c, err := h.cache.get(ctx, h.ref+"/"+Ref(uuid))
	if err != nil {
		return nil, nil, err
	}
	defer c.Release()
	if container, err = c.look(ctx, acl.Container, c.Container); err != nil {
		return nil, nil, err
	}
	h.cache.known.add(uuid, container)
	return pool, container, nil
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
