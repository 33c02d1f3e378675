// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/go/acl"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// caller is what the context of a call knows of it.
type caller struct {
	who    *Identity
	needs  []apiv1.Permission // what lists must give
	live   *call              // of a stream; nil: it is not watched
	record *record            // of the stream that the call came on; nil: the call has a record of its own
}

type callerKey struct{}

// nobody made a context that did not come from a call: nothing is allowed.
var nobody = &caller{who: &Identity{Kind: "none"}}

func callerOf(ctx context.Context) *caller {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return c
	}
	return nobody
}

// From is who makes the call of that context.
func From(ctx context.Context) *Identity { return callerOf(ctx).who }

// Needs are what access control lists must give the caller. None: the context is of no call, and nothing is given.
func Needs(ctx context.Context) []apiv1.Permission { return callerOf(ctx).needs }

// Needing is a context of the same caller for something that needs something else: a call that came on a stream, or a part of one.
func Needing(ctx context.Context, needs ...apiv1.Permission) context.Context {
	c := *callerOf(ctx)
	if c.live != nil {
		c.record = c.live.record
	}
	c.needs, c.live = needs, nil
	return context.WithValue(ctx, callerKey{}, &c)
}

// Gateway is a context for what the gateway does by itself, or goes on with when the caller has been checked.
func Gateway(ctx context.Context) context.Context {
	who := &Identity{Kind: "gateway", Roles: role.All}
	return context.WithValue(ctx, callerKey{}, &caller{who: who, needs: []apiv1.Permission{apiv1.Permission_PERMISSION_ROLE}})
}

// Watch asks still from time to time, as long as the stream of ctx lasts, and ends it when the answer is an error. Other calls are
// not watched: they are short.
func Watch(ctx context.Context, still func() error) {
	if c := callerOf(ctx).live; c != nil {
		c.watch(still)
	}
}

// Watched reports whether Watch has an effect.
func Watched(ctx context.Context) bool { return callerOf(ctx).live != nil }

// Denied writes into the audit log that a call that came on a stream was denied. A call with a record of its own needs no telling.
func Denied(ctx context.Context, where string) {
	r := callerOf(ctx).record
	if r != nil {
		r.g.denied.Add(1)
	}
	if r == nil || r.g.audit == nil || !r.g.denials.allow(time.Now()) {
		return
	}
	one := &record{g: r.g, ctx: r.ctx}
	one.entry.What, one.entry.Who, one.entry.Where = r.entry.What, r.entry.Who, clean(where)
	_ = one.write(codes.PermissionDenied.String()) // logged; the call is denied either way
}

// Principals are the names that a list may mean the caller by: a user of this machine is known by the number and the name. They must not be
// changed.
func (i *Identity) Principals() acl.Who { return i.called().principals }

func (i *Identity) findPrincipals() acl.Who {
	switch {
	case i.Name == "":
		return acl.Who{}
	case i.Kind == "unix":
		return acl.Who{Users: append([]string{i.Name}, localNames()[i.Name]...)}
	}
	return acl.Who{Users: []string{i.Name}, Groups: i.Groups}
}

// localNames are the names of those who may use the socket: the gateway's own user, and root. They are looked up once, for that may ask
// another machine.
var localNames = sync.OnceValue(func() map[string][]string {
	names := map[string][]string{}
	for _, uid := range []string{"0", strconv.Itoa(os.Geteuid())} {
		if u, err := user.LookupId(uid); err == nil {
			names[uid] = []string{u.Username}
		}
	}
	return names
})
