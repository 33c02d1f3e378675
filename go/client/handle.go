// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/tarn-storage/tarn/go/errno"
)

// handle is what is open on this side. The gateway knows nothing of it: it makes a closed handle an error, and a parent outlive its
// children, as in package tarn.
type handle struct {
	kind   string // "pool"
	ref    string // "tank/neo", in labels
	parent *handle

	mu       sync.Mutex
	closed   bool
	children int
	mark     *mark // nil: nobody watches whether it is closed
}

// init opens the handle. NO_HDL when the parent was closed meanwhile.
func (h *handle) init(parent *handle, kind, ref string) error {
	h.kind, h.ref, h.parent = kind, ref, parent
	if parent == nil {
		return nil
	}
	parent.mu.Lock()
	defer parent.mu.Unlock()
	if parent.closed {
		h.closed = true
		return parent.gone(kind + " open")
	}
	parent.children++
	return nil
}

func (h *handle) gone(op string) error {
	return errno.New(op, h.ref, errno.NoHdl, fmt.Sprintf("the %s was closed; open it again", h.kind))
}

// check is the beginning of every call.
func (h *handle) check(ctx context.Context, op string) error {
	if ctx.Err() != nil {
		return errno.FromContext(op, h.ref, ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return h.gone(op)
	}
	return nil
}

// checkName also checks that a name can be sent: the wire takes UTF-8 only.
func (h *handle) checkName(ctx context.Context, op, ref, name string) error {
	if err := h.check(ctx, op); err != nil {
		return err
	}
	if !utf8.ValidString(name) {
		return errno.New(op, ref, errno.Inval, fmt.Sprintf("the name %q is not UTF-8", name))
	}
	return nil
}

// close closes the handle once, with last. BUSY while it has children.
func (h *handle) close(op string, last func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil
	case h.children > 0:
		return errno.New(op, h.ref, errno.Busy, fmt.Sprintf("%d handles in this %s are open; close them first", h.children, h.kind))
	}
	h.closed = true
	h.mark.stop()
	if h.parent != nil {
		h.parent.forget()
	}
	if last == nil {
		return nil
	}
	return last()
}

func (h *handle) forget() {
	h.mu.Lock()
	h.children--
	h.mu.Unlock()
}
