// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/tap"
)

// Tap refuses a call without a valid credential when its headers have come: nothing that it sends after them is read, so that strangers
// cost no memory for messages. It is a tap.ServerInHandle. The interceptors ask again, and they alone decide who is let in.
func (g *Guard) Tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if info.FullMethodName == healthpb.Health_Check_FullMethodName {
		return ctx, nil
	}
	if _, _, err := g.identify(ctx); err != nil {
		return nil, g.record(ctx, info.FullMethodName, &Identity{Kind: "none"}).denied(err)
	}
	return ctx, nil
}
