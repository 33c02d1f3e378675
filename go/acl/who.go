// SPDX-License-Identifier: Apache-2.0

package acl

import "strings"

// Who is somebody that a list may name.
type Who struct {
	Users  []string // names, without "@": a user of this machine has a number, too
	Groups []string
}

// Owner is whose a pool or a container is; "" is nobody.
type Owner struct{ User, Group string }

// bare is a name without the "@" that DAOS writes behind it.
func bare(name string) string { return strings.TrimSuffix(name, "@") }

// named reports whether one of the names is meant by a principal or an owner. A name that has an "@" in it is meant by none.
func named(names []string, principal string) bool {
	want := bare(principal)
	if want == "" || strings.Contains(want, "@") {
		return false
	}
	for _, name := range names {
		if name == want {
			return true
		}
	}
	return false
}

// Owns reports whether it is the owner.
func (w Who) Owns(o Owner) bool { return named(w.Users, o.User) }

// Perms is what the list gives.
func (l List) Perms(w Who, o Owner) Perms {
	var groups, all Perms
	inGroup := false
	for _, e := range l { // in the order in which they count
		switch {
		case e.class == owner && w.Owns(o), e.class == user && named(w.Users, e.Principal):
			return e.Perms
		case e.class == ownerGroup && named(w.Groups, o.Group), e.class == group && named(w.Groups, e.Principal):
			groups, inGroup = groups|e.Perms, true
		case e.class == everyone:
			all = e.Perms
		}
	}
	if inGroup {
		return groups
	}
	return all
}
