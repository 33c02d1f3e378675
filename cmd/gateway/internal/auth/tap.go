// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"net"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tarn-storage/tarn/cmd/internal/role"
)

// Seen is who calls, as the headers of the call tell.
type Seen struct {
	Who   string // with the kind of the credential; "": the caller has shown none that is valid
	Admin bool   // the caller may administer
}

// Tap refuses a call without a valid credential when its headers have come: nothing that it sends after them is read, so that strangers
// cost no memory for messages. It is called from a tap.ServerInHandle. The interceptors ask again, and they alone decide who is let in; so a
// call that must not be refused yet (see limit.Gate.Lingers) goes on to them.
func (g *Guard) Tap(ctx context.Context, method string, mustGoOn bool) (Seen, error) {
	who, _, err := g.identify(ctx)
	switch {
	case err == nil && (who.Kind == "none" || who.Name == ""):
		return Seen{}, nil
	case err == nil:
		return Seen{Who: who.Who(), Admin: who.Roles&role.Admin != 0}, nil
	case method == healthpb.Health_Check_FullMethodName || mustGoOn:
		return Seen{}, nil
	}
	return Seen{}, g.record(ctx, method, &Identity{Kind: "none"}).denied(err)
}

// Carry remembers the connection as it is read, behind TLS and whatever counts it.
func (c *connection) Carry(conn net.Conn) { c.carried = conn }

// Carried is what Carry remembered.
func (c *connection) Carried() net.Conn { return c.carried }
