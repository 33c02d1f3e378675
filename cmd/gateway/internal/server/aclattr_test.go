// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tarn-storage/tarn/cmd/internal/role"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// TestACLAttributes: attributes and properties of a container are set by whom its list gives T, without a list by admins; its owner is not set
// by T alone. Attributes of a pool, whose lists have no letter for them, are set by admins.
func TestACLAttributes(t *testing.T) {
	r := newACLRig(t)
	containers, pools := apiv1.NewContainerServiceClient(r.open), apiv1.NewPoolServiceClient(r.open)
	text := "words"
	owner := "alice"
	calls := map[string]func(context.Context) error{
		"attribute": func(ctx context.Context) error {
			_, err := containers.UpdateContainer(ctx, &apiv1.UpdateContainerRequest{Container: "tank/neo", Attributes: map[string][]byte{"a": []byte("1")}})
			return err
		},
		"property": func(ctx context.Context) error {
			_, err := containers.UpdateContainer(ctx, &apiv1.UpdateContainerRequest{Container: "tank/neo", Properties: &apiv1.ContainerProperties{Description: &text}})
			return err
		},
		"owner": func(ctx context.Context) error {
			_, err := containers.UpdateContainer(ctx, &apiv1.UpdateContainerRequest{Container: "tank/neo", Properties: &apiv1.ContainerProperties{Owner: &owner}})
			return err
		},
		"pool": func(ctx context.Context) error {
			_, err := pools.UpdatePool(ctx, &apiv1.UpdatePoolRequest{Pool: "tank", Attributes: map[string][]byte{"a": []byte("1")}})
			return err
		},
	}
	for _, c := range []struct {
		list  string
		roles role.Set
		may   string // of the calls, in this order
	}{
		{"-", role.Writer, ""}, {"-", role.Admin, "attribute property owner pool"},
		{"A::alice@:rwtT", role.Reader, ""}, {"A::alice@:rwtT", role.Writer, "attribute property"},
		{"A::alice@:rwt", role.Writer, ""}, {"A::alice@:rwt", role.Admin, "pool"}, {"A::alice@:tT", role.Admin, "attribute property owner pool"},
		{"A::bob@:rwtT", role.Writer, ""}, {"A::alice@:tTo", role.Writer, "attribute property owner"},
	} {
		r.set("A::EVERYONE@:r", c.list)
		may := ""
		for _, name := range []string{"attribute", "property", "owner", "pool"} {
			err := calls[name](r.as("alice", c.roles))
			switch status.Code(err) {
			case codes.OK:
				may += " " + name
			case codes.PermissionDenied:
			default:
				t.Errorf("list %q, role %v, %s: %v", c.list, c.roles, name, err)
			}
		}
		if may != "" {
			may = may[1:]
		}
		if may != c.may {
			t.Errorf("list %q, role %v: may set %q, want %q", c.list, c.roles, may, c.may)
		}
		back := "anna"
		wantNil(t, r.cont.SetOwner(t.Context(), &back, nil))
	}
}
