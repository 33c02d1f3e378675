// SPDX-License-Identifier: Apache-2.0

// Package role has the roles that a credential gives to who holds it, as proto/tarn/v1/access.proto describes them.
package role

import (
	"fmt"
	"strings"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// Set is a set of roles. The zero value has none.
type Set uint8

// The roles. A writer may do what a reader may, and an admin what a writer may; raw stands by itself.
const (
	Reader Set = 1 << iota
	Writer
	Admin
	Raw
)

// All is every role.
const All = Reader | Writer | Admin | Raw

var names = []struct {
	name string
	role Set
}{{"reader", Reader}, {"writer", Writer}, {"admin", Admin}, {"raw", Raw}}

// Parse reads names of roles.
func Parse(words []string) (Set, error) {
	var s Set
	for _, word := range words {
		one, err := parseOne(word)
		if err != nil {
			return 0, err
		}
		s |= one
	}
	return s, nil
}

func parseOne(word string) (Set, error) {
	for _, n := range names {
		if n.name == word {
			return n.role, nil
		}
	}
	return 0, fmt.Errorf("%.32q is not a role; roles are reader, writer, admin and raw", word)
}

// Names are the names of the roles in the set.
func (s Set) Names() []string {
	all := []string{}
	for _, n := range names {
		if s&n.role != 0 {
			all = append(all, n.name)
		}
	}
	return all
}

func (s Set) String() string { return strings.Join(s.Names(), " ") }

// May reports whether who has these roles may do what needs that access. Nobody may do what has no rule.
func (s Set) May(needs apiv1.Access) bool {
	switch needs {
	case apiv1.Access_ACCESS_CALLER:
		return true
	case apiv1.Access_ACCESS_READER:
		return s&(Reader|Writer|Admin) != 0
	case apiv1.Access_ACCESS_WRITER:
		return s&(Writer|Admin) != 0
	case apiv1.Access_ACCESS_ADMIN:
		return s&Admin != 0
	case apiv1.Access_ACCESS_RAW:
		return s&Raw != 0
	}
	return false
}

// nameMax is how long the name of a principal can be.
const nameMax = 127

// CheckPrincipal refuses what cannot be the name of a principal.
func CheckPrincipal(name string) error {
	ok := name != "" && len(name) <= nameMax
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._@-", c))
	}
	if !ok {
		return fmt.Errorf("%.64q is not the name of a principal: write 1 to %d of A-Z a-z 0-9 . _ @ -", name, nameMax)
	}
	return nil
}

// groupsMax is how many groups a principal can be in.
const groupsMax = 32

// CheckGroups refuses what cannot be the groups of a principal. A group is named as a principal is.
func CheckGroups(groups []string) error {
	if len(groups) > groupsMax {
		return fmt.Errorf("a principal is in at most %d groups, and here are %d", groupsMax, len(groups))
	}
	for _, g := range groups {
		if err := CheckPrincipal(g); err != nil {
			return fmt.Errorf("a group: %w", err)
		}
	}
	return nil
}
