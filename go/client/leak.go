// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
)

var leaks atomic.Uint64

// Leaked is the number of handles of this process that were collected before they were closed. Each was logged as a warning, to
// slog.Default, with where it was opened when that takes DEBUG; it is in no other handle's way any more, and the call behind a reader or a
// writer is ended. A test may ask for it after runtime.GC, and fail when it has grown.
func Leaked() uint64 { return leaks.Load() }

// mark is what is known of an open handle when what holds it is gone. It never points to that.
type mark struct {
	kind, ref, opened string
	parent            *handle
	last              func() // may be nil
	cleanup           runtime.Cleanup
}

// watch reports owner, in which h is, when it is collected before it is closed. last, which may be nil, then ends what runs for it.
func watch[T any](owner *T, h *handle, last func()) {
	m := &mark{kind: h.kind, ref: h.ref, parent: h.parent, last: last}
	if slog.Default().Enabled(context.Background(), slog.LevelDebug) {
		stack := make([]byte, 4096)
		m.opened = string(stack[:runtime.Stack(stack, false)])
	}
	h.mark = m
	m.cleanup = runtime.AddCleanup(owner, (*mark).leaked, m)
}

func (m *mark) leaked() {
	leaks.Add(1)
	attrs := []any{"kind", m.kind, "ref", m.ref}
	if m.opened != "" {
		attrs = append(attrs, "opened", m.opened)
	}
	slog.Default().Warn("a handle was not closed", attrs...)
	if m.parent != nil {
		m.parent.forget()
	}
	if m.last != nil {
		m.last()
	}
}

// stop is called when the handle is closed.
func (m *mark) stop() {
	if m != nil {
		m.cleanup.Stop()
	}
}
