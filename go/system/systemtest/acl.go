// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// listOf wants these entries; nil is no list.
func listOf(t *testing.T, of system.AccessControl, want []string) {
	t.Helper()
	a, err := of.Access(t.Context())
	if err != nil || a.HasList != (want != nil) || !slices.Equal(a.Entries, want) {
		t.Errorf("Access = %+v, %v, want %q", a, err, want)
	}
}

func testAccess(t *testing.T, f *fixture) {
	ctx := t.Context()
	cont := f.cont(t, "neo")
	for _, of := range []system.AccessControl{f.pool, cont} {
		listOf(t, of, nil)
		wantCode(t, "ClearACL", of.ClearACL(ctx), errno.NonExist)
		must(t, of.UpdateACL(ctx, []string{"A::EVERYONE@:tr", "# a comment", "", "A::bob@:"}))
		must(t, of.UpdateACL(ctx, []string{"A:G:GROUP@:rw", "A::EVERYONE@:r"}))
		listOf(t, of, []string{"A::bob@:", "A:G:GROUP@:rw", "A::EVERYONE@:r"})
		must(t, of.DeleteACL(ctx, "u:bob@"))
		must(t, of.DeleteACL(ctx, "GROUP@"))
		wantCode(t, "DeleteACL", of.DeleteACL(ctx, "u:bob@"), errno.NonExist)
		wantCode(t, "DeleteACL", of.DeleteACL(ctx, "bob@"), errno.Inval)
		wantCode(t, "DeleteACL", of.DeleteACL(ctx, ""), errno.Inval)
		for entry, code := range map[string]errno.Code{"nonsense": errno.Inval, "A::a@:x": errno.Inval, "A::a@:r\nA::b@:r": errno.Inval,
			"A:P:a@:r": errno.NotSupported, "A::\xff@:r": errno.Inval} {
			wantCode(t, "OverwriteACL "+entry, of.OverwriteACL(ctx, []string{entry}), code)
			wantCode(t, "UpdateACL "+entry, of.UpdateACL(ctx, []string{entry}), code)
		}
		listOf(t, of, []string{"A::EVERYONE@:r"})
		must(t, of.OverwriteACL(ctx, []string{"A::EVERYONE@:rw"}))
		listOf(t, of, []string{"A::EVERYONE@:rw"})
		must(t, of.ClearACL(ctx))
		listOf(t, of, nil)
	}
	testOwner(t, f.pool)
	testOwner(t, cont)
	if info, err := cont.Info(ctx); err != nil || info.Owner != "eva" || info.Group != "staff" {
		t.Errorf("Info = %+v, %v", info, err)
	}
}

func testOwner(t *testing.T, of system.AccessControl) {
	t.Helper()
	ctx, user, group, long := t.Context(), "eva", "staff", string(make([]byte, 256))
	must(t, of.SetOwner(ctx, &user, nil))
	must(t, of.SetOwner(ctx, nil, &group))
	must(t, of.SetOwner(ctx, nil, nil))
	if err := of.SetOwner(ctx, &long, nil); !errors.Is(err, errno.Inval) {
		t.Errorf("SetOwner with 256 bytes: %v", err)
	}
	if a, err := of.Access(ctx); err != nil || a.Owner != user || a.Group != group {
		t.Errorf("Access = %+v, %v", a, err)
	}
}
