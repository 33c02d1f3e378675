// SPDX-License-Identifier: Apache-2.0

// Package acl reads DAOS's access control lists and says what they give to whom. tarn/acl.h describes them; the library keeps them, and
// this package agrees with it about what is a list (a fuzz test in package tarn compares the two).
//
// An entry is "A:FLAGS:PRINCIPAL:PERMISSIONS". Who is asked about gets what the first of these gives that is there:
//
//  1. OWNER@, when it is the owner
//  2. the entry of its name
//  3. GROUP@, when it is in the owner's group, and the entries of its groups: all that they give together
//  4. EVERYONE@
//  5. nothing
package acl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-storage/tarn/go/errno"
)

// Limits, as in tarn/acl.h.
const (
	Max          = 65536 // bytes of a list, each entry with a newline, and one more
	PrincipalMax = 255   // bytes of a principal, with its "@"
)

// Kind is what a list is of.
type Kind int

// The kinds.
const (
	Pool Kind = iota + 1
	Container
)

// String is "pool" or "container".
func (k Kind) String() string {
	if k == Pool {
		return "pool"
	}
	return "container"
}

// Perms is a set of permissions.
type Perms uint16

// The permissions.
const (
	Read Perms = 1 << iota
	Write
	Create // containers in a pool
	Delete // a container
	GetProps
	SetProps
	GetACL
	SetACL
	SetOwner
)

const letters = "rwcdtTaAo"

// lettersOf are the letters that have a meaning.
var lettersOf = map[Kind]string{Pool: "rwcdt", Container: "rwdtTaAo"}

// String has the letters of the set.
func (p Perms) String() string {
	var s strings.Builder
	for i := range letters {
		if p&(1<<i) != 0 {
			s.WriteByte(letters[i])
		}
	}
	return s.String()
}

// class is what a principal is. The order is that in which entries count.
type class int

const (
	owner class = iota
	user
	ownerGroup
	group
	everyone
)

// Entry is one entry of a list.
type Entry struct {
	Principal string // with its "@"
	Group     bool   // it is a group
	Perms     Perms
	class     class
}

// String is the entry as it is written.
func (e Entry) String() string {
	flags := ""
	if e.Group {
		flags = "G"
	}
	return "A:" + flags + ":" + e.Principal + ":" + e.Perms.String()
}

// List is a list in its order. It is not changed.
type List []Entry

// Strings are the entries as they are written.
func (l List) Strings() []string {
	all := make([]string, len(l))
	for i, e := range l {
		all[i] = e.String()
	}
	return all
}

func invalid(format string, args ...any) error {
	return errno.New("", "", errno.Inval, fmt.Sprintf(format, args...))
}

// Parse reads a list: entries on lines; empty lines, and those that begin with "#", are passed over. Errors: INVAL, NOTSUPPORTED,
// REC2BIG.
func Parse(kind Kind, text string) (List, error) {
	if len(text) >= Max {
		return nil, tooLong()
	}
	list := List{}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		e, err := ParseEntry(kind, line)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list.sorted()
}

func tooLong() error {
	return errno.New("", "", errno.Rec2Big, fmt.Sprintf("the access control list is longer than %d bytes", Max-1))
}

// sorted puts the entries in order.
func (l List) sorted() (List, error) {
	slices.SortFunc(l, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.class, b.class), strings.Compare(a.Principal, b.Principal))
	})
	bytes := 1
	for i, e := range l {
		if i > 0 && l[i-1].class == e.class && l[i-1].Principal == e.Principal {
			return nil, invalid("the list has the principal %s twice", e.Principal)
		}
		bytes += len(e.String()) + 1
	}
	if bytes > Max {
		return nil, tooLong()
	}
	return l, nil
}

// ParseEntry reads one entry. Errors: INVAL, NOTSUPPORTED (an entry that DAOS knows and nothing enforces).
func ParseEntry(kind Kind, text string) (Entry, error) {
	fields := strings.SplitN(text, ":", 4)
	if len(fields) != 4 {
		return Entry{}, invalid("%.80q is not an entry: it is written A:FLAGS:PRINCIPAL:PERMISSIONS", text)
	}
	if err := checkHead(fields[0], fields[1]); err != nil {
		return Entry{}, err
	}
	e := Entry{Principal: fields[2], Group: fields[1] == "G"}
	if err := e.classify(); err != nil {
		return Entry{}, err
	}
	var err error
	e.Perms, err = parsePerms(kind, fields[3])
	return e, err
}

// checkHead checks the type and the flags.
func checkHead(kind, flags string) error {
	switch kind {
	case "A":
	case "U", "L", "AU", "AL", "UL", "AUL":
		return errno.New("", "", errno.NotSupported, "entries of the type "+kind+" are not supported: only A is enforced")
	default:
		return invalid("%.80q is not the type of an entry: it is A", kind)
	}
	switch {
	case flags == "" || flags == "G":
		return nil
	case strings.Trim(flags, "GPFS") != "":
		return invalid("%.80q are not flags: there is G, for a group", flags)
	}
	return errno.New("", "", errno.NotSupported, fmt.Sprintf("the flags %.80s are not supported: only G is", flags))
}

// isName reports whether text is a name with one "@" behind it.
func isName(text string) bool {
	name, ok := strings.CutSuffix(text, "@")
	if !ok || name == "" || len(text) > PrincipalMax {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == ':' || c == '@' {
			return false
		}
	}
	return true
}

// classify finds out what the principal is.
func (e *Entry) classify() error {
	if !isName(e.Principal) {
		return invalid("%.80q is not a principal: it is OWNER@, GROUP@, EVERYONE@, or a name with one '@' behind it", e.Principal)
	}
	e.class = user
	if e.Group {
		e.class = group
	}
	switch e.Principal {
	case "OWNER@":
		e.class = owner
	case "EVERYONE@":
		e.class = everyone
	case "GROUP@":
		e.class = ownerGroup
	}
	if (e.class == owner || e.class == everyone) && e.Group || e.class == ownerGroup && !e.Group {
		return invalid("the flag G goes with GROUP@ and with groups, and with nothing else: here is %.80s", e.Principal)
	}
	return nil
}

func parsePerms(kind Kind, text string) (Perms, error) {
	var p Perms
	for i := range len(text) {
		at := strings.IndexByte(letters, text[i])
		switch {
		case at < 0:
			return 0, invalid("%.80q are not permissions: they are letters of %s", text, letters)
		case strings.IndexByte(lettersOf[kind], text[i]) < 0:
			return 0, invalid("the permission %c has no meaning on a %s", text[i], kind)
		case p&(1<<at) != 0:
			return 0, invalid("the permission %c stands twice in %.80q", text[i], text)
		}
		p |= 1 << at
	}
	return p, nil
}
