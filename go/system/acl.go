// SPDX-License-Identifier: Apache-2.0

package system

import "context"

// Access is who may use a pool or a container. Gateways enforce it; who uses a pool in its own process may do everything.
type Access struct {
	Owner   string   `json:"owner"`    // "": nobody
	Group   string   `json:"group"`    // the owner's; "": none
	HasList bool     `json:"has_list"` // false: nothing is said of others
	Entries []string `json:"entries"`  // of the list, as package acl has them, in the order in which they count
}

// AccessControl is what pools and containers have: an owner and an access control list. Package acl says what an entry is. Of a snapshot
// it is that of the container, and cannot be changed (EP_RO).
type AccessControl interface {
	Access(ctx context.Context) (Access, error)
	// OverwriteACL makes the entries the list; without any nobody is given anything. INVAL, NOTSUPPORTED, REC2BIG.
	OverwriteACL(ctx context.Context, entries []string) error
	// UpdateACL puts the entries in the place of those of the same principals, or makes a list of them. Errors: as OverwriteACL.
	UpdateACL(ctx context.Context, entries []string) error
	// DeleteACL takes out the entry of "u:bob@", "g:staff@", "OWNER@", "GROUP@" or "EVERYONE@". NONEXIST, INVAL.
	DeleteACL(ctx context.Context, principal string) error
	// ClearACL takes the whole list away. NONEXIST when there is none.
	ClearACL(ctx context.Context) error
	// SetOwner sets the owner and the owner's group; nil stays as it is. INVAL.
	SetOwner(ctx context.Context, user, group *string) error
}
