// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"
	"slices"
	"strings"

	"github.com/tarn-storage/tarn/go/acl"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// access is the list of a pool or a container.
type access struct {
	s    *System
	kind acl.Kind
	of   system.Access
}

func (a *access) Access(ctx context.Context) (system.Access, error) {
	defer a.s.mu.Unlock()
	err := a.s.enter(ctx, "acl get")
	return a.of, err
}

func (a *access) OverwriteACL(ctx context.Context, entries []string) error {
	defer a.s.mu.Unlock()
	if err := a.s.enter(ctx, "acl overwrite"); err != nil {
		return err
	}
	return a.set(entries)
}

func (a *access) set(entries []string) error {
	list, err := acl.Parse(a.kind, strings.Join(entries, "\n"))
	if err == nil {
		a.of.HasList, a.of.Entries = true, list.Strings()
	}
	return err
}

// principalOf is what DeleteACL calls the principal of an entry.
func principalOf(entry string) string {
	fields := strings.Split(entry, ":")
	switch name := fields[2]; {
	case name == "OWNER@" || name == "GROUP@" || name == "EVERYONE@":
		return name
	case fields[1] == "G":
		return "g:" + name
	default:
		return "u:" + name
	}
}

func (a *access) UpdateACL(ctx context.Context, entries []string) error {
	defer a.s.mu.Unlock()
	if err := a.s.enter(ctx, "acl update"); err != nil {
		return err
	}
	if _, err := acl.Parse(a.kind, strings.Join(entries, "\n")); err != nil {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(a.of.Entries), func(old string) bool {
		return slices.ContainsFunc(entries, func(e string) bool { return principalOf(e) == principalOf(old) })
	})
	return a.set(append(kept, entries...))
}

func (a *access) DeleteACL(ctx context.Context, principal string) error {
	defer a.s.mu.Unlock()
	if err := a.s.enter(ctx, "acl delete"); err != nil {
		return err
	}
	i := slices.IndexFunc(a.of.Entries, func(e string) bool { return principalOf(e) == principal })
	if i < 0 {
		return errno.New("", principal, errno.NonExist, "the access control list has no entry of "+principal)
	}
	return a.set(slices.Delete(slices.Clone(a.of.Entries), i, i+1))
}

func (a *access) ClearACL(ctx context.Context) error {
	defer a.s.mu.Unlock()
	if err := a.s.enter(ctx, "acl delete"); err != nil {
		return err
	}
	if !a.of.HasList {
		return errno.New("", "", errno.NonExist, "there is no access control list")
	}
	a.of.HasList, a.of.Entries = false, nil
	return nil
}

func (a *access) SetOwner(ctx context.Context, user, group *string) error {
	defer a.s.mu.Unlock()
	err := a.s.enter(ctx, "set owner")
	if user != nil {
		a.of.Owner = *user
	}
	if group != nil {
		a.of.Group = *group
	}
	return err
}
