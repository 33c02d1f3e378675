// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"strings"
	"unsafe"

	"github.com/tarn-storage/tarn/go/acl"
	"github.com/tarn-storage/tarn/go/errno"
)

// FormatACL reads a list as the library does, and writes it as it would be kept. Errors: INVAL, NOTSUPPORTED, REC2BIG.
//
// Implements: int tarn_acl_format(tarn_acl_kind, const char *, char *, size_t *)
func FormatACL(kind acl.Kind, text string) (string, error) {
	const op = "acl format"
	var names cstrings
	defer names.free()
	in, err := names.add(op, text)
	if err != nil {
		return "", err
	}
	out := (*C.char)(C.go_alloc(C.TARN_ACL_MAX))
	if out == nil {
		return "", errno.New(op, "", errno.NoMem, "there is no memory for an access control list")
	}
	defer C.free(unsafe.Pointer(out))
	length := C.size_t(C.TARN_ACL_MAX)
	kinds := map[acl.Kind]C.tarn_acl_kind{acl.Pool: C.TARN_ACL_POOL, acl.Container: C.TARN_ACL_CONT}
	if err := direct(op, "", func() C.int { return C.tarn_acl_format(kinds[kind], in, out, &length) }); err != nil {
		return "", err
	}
	return C.GoString(out), nil
}

// access runs get, which fills in a tarn_access.
func access(ctx context.Context, s *slot, get func(*C.tarn_access) C.int) (Access, error) {
	text := (*C.char)(C.go_alloc(C.TARN_ACL_MAX))
	if text == nil {
		return Access{}, errno.New(s.op, s.ref, errno.NoMem, "there is no memory for an access control list")
	}
	defer C.free(unsafe.Pointer(text))
	a := (*C.tarn_access)(s.data())
	*a = C.tarn_access{acl: text, len: C.TARN_ACL_MAX}
	if err := s.wait(ctx, get(a)); err != nil {
		return Access{}, err
	}
	return Access{
		Owner: C.GoString(&a.owner[0]), Group: C.GoString(&a.group[0]), HasList: a.is_set != 0, Entries: lines(C.GoString(text)),
	}, nil
}

func lines(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// joined is a list of entries as the library takes it. An entry with a line break would be two.
func joined(s *slot, entries []string) (string, error) {
	for _, e := range entries {
		if strings.ContainsAny(e, "\n\x00") {
			return "", errno.New(s.op, s.ref, errno.Inval, "an entry of an access control list has a line break or a NUL in it")
		}
	}
	return strings.Join(entries, "\n"), nil
}

// change runs a change that takes one string; nil is NULL.
func change(ctx context.Context, s *slot, text *string, run func(*C.char) C.int) error {
	var names cstrings
	defer names.free()
	if text == nil {
		return s.wait(ctx, run(nil))
	}
	c, err := names.add(s.op, *text)
	if err != nil {
		return err
	}
	return s.wait(ctx, run(c))
}

// Access says who may use the pool. Errors: those of any call.
//
// Implements: int tarn_pool_get_access(tarn_pool *, tarn_access *, tarn_event *)
func (p *Pool) Access(ctx context.Context) (Access, error) {
	s, err := p.begin(ctx, "pool acl get")
	if err != nil {
		return Access{}, err
	}
	defer p.end(s)
	return access(ctx, s, func(a *C.tarn_access) C.int { return C.tarn_pool_get_access(p.c, a, &s.c.ev) })
}

// OverwriteACL makes the entries the pool's list. Errors: INVAL, NOTSUPPORTED, REC2BIG, EP_RO, NOSPACE.
//
// Implements: int tarn_pool_overwrite_acl(tarn_pool *, const char *, tarn_event *)
func (p *Pool) OverwriteACL(ctx context.Context, entries []string) error {
	s, err := p.begin(ctx, "pool acl overwrite")
	if err != nil {
		return err
	}
	defer p.end(s)
	text, err := joined(s, entries)
	if err != nil {
		return err
	}
	return change(ctx, s, &text, func(c *C.char) C.int { return C.tarn_pool_overwrite_acl(p.c, c, &s.c.ev) })
}

// UpdateACL puts the entries into the pool's list. Errors: INVAL, NOTSUPPORTED, REC2BIG, EP_RO, NOSPACE.
//
// Implements: int tarn_pool_update_acl(tarn_pool *, const char *, tarn_event *)
func (p *Pool) UpdateACL(ctx context.Context, entries []string) error {
	s, err := p.begin(ctx, "pool acl update")
	if err != nil {
		return err
	}
	defer p.end(s)
	text, err := joined(s, entries)
	if err != nil {
		return err
	}
	return change(ctx, s, &text, func(c *C.char) C.int { return C.tarn_pool_update_acl(p.c, c, &s.c.ev) })
}

// DeleteACL takes the entry of a principal out of the pool's list. Errors: NONEXIST, INVAL, EP_RO, NOSPACE.
func (p *Pool) DeleteACL(ctx context.Context, principal string) error {
	return p.deleteACL(ctx, &principal)
}

// ClearACL takes the pool's list away. Errors: NONEXIST, EP_RO, NOSPACE.
func (p *Pool) ClearACL(ctx context.Context) error { return p.deleteACL(ctx, nil) }

// Implements: int tarn_pool_delete_acl(tarn_pool *, const char *, tarn_event *)
func (p *Pool) deleteACL(ctx context.Context, principal *string) error {
	s, err := p.begin(ctx, "pool acl delete")
	if err != nil {
		return err
	}
	defer p.end(s)
	return change(ctx, s, principal, func(c *C.char) C.int { return C.tarn_pool_delete_acl(p.c, c, &s.c.ev) })
}

// SetOwner sets the owner of the pool and the owner's group; nil stays as it is. Errors: INVAL, EP_RO, NOSPACE.
//
// Implements: int tarn_pool_set_owner(tarn_pool *, const char *, const char *, tarn_event *)
func (p *Pool) SetOwner(ctx context.Context, user, group *string) error {
	s, err := p.begin(ctx, "pool set owner")
	if err != nil {
		return err
	}
	defer p.end(s)
	return change(ctx, s, user, func(u *C.char) C.int {
		if group == nil {
			return C.tarn_pool_set_owner(p.c, u, nil, &s.c.ev)
		}
		g := C.CString(*group) // copied before the call returns, as u is
		defer C.free(unsafe.Pointer(g))
		return C.tarn_pool_set_owner(p.c, u, g, &s.c.ev)
	})
}

// Access says who may use the container. Errors: those of any call.
//
// Implements: int tarn_cont_get_access(tarn_cont *, tarn_access *, tarn_event *)
func (c *Container) Access(ctx context.Context) (Access, error) {
	s, err := c.begin(ctx, "container acl get")
	if err != nil {
		return Access{}, err
	}
	defer c.end(s)
	return access(ctx, s, func(a *C.tarn_access) C.int { return C.tarn_cont_get_access(c.c, a, &s.c.ev) })
}

// OverwriteACL makes the entries the container's list. Errors: INVAL, NOTSUPPORTED, REC2BIG, EP_RO, NOSPACE.
//
// Implements: int tarn_cont_overwrite_acl(tarn_cont *, const char *, tarn_event *)
func (c *Container) OverwriteACL(ctx context.Context, entries []string) error {
	s, err := c.begin(ctx, "container acl overwrite")
	if err != nil {
		return err
	}
	defer c.end(s)
	text, err := joined(s, entries)
	if err != nil {
		return err
	}
	return change(ctx, s, &text, func(t *C.char) C.int { return C.tarn_cont_overwrite_acl(c.c, t, &s.c.ev) })
}

// UpdateACL puts the entries into the container's list. Errors: INVAL, NOTSUPPORTED, REC2BIG, EP_RO, NOSPACE.
//
// Implements: int tarn_cont_update_acl(tarn_cont *, const char *, tarn_event *)
func (c *Container) UpdateACL(ctx context.Context, entries []string) error {
	s, err := c.begin(ctx, "container acl update")
	if err != nil {
		return err
	}
	defer c.end(s)
	text, err := joined(s, entries)
	if err != nil {
		return err
	}
	return change(ctx, s, &text, func(t *C.char) C.int { return C.tarn_cont_update_acl(c.c, t, &s.c.ev) })
}

// DeleteACL takes the entry of a principal out of the container's list. Errors: NONEXIST, INVAL, EP_RO, NOSPACE.
func (c *Container) DeleteACL(ctx context.Context, principal string) error {
	return c.deleteACL(ctx, &principal)
}

// ClearACL takes the container's list away. Errors: NONEXIST, EP_RO, NOSPACE.
func (c *Container) ClearACL(ctx context.Context) error { return c.deleteACL(ctx, nil) }

// Implements: int tarn_cont_delete_acl(tarn_cont *, const char *, tarn_event *)
func (c *Container) deleteACL(ctx context.Context, principal *string) error {
	s, err := c.begin(ctx, "container acl delete")
	if err != nil {
		return err
	}
	defer c.end(s)
	return change(ctx, s, principal, func(t *C.char) C.int { return C.tarn_cont_delete_acl(c.c, t, &s.c.ev) })
}

// SetOwner sets the container's properties of these names; nil stays as it is. Errors: INVAL, EP_RO, NOSPACE.
func (c *Container) SetOwner(ctx context.Context, user, group *string) error {
	return c.SetProperties(ctx, Properties{Owner: user, Group: group})
}
