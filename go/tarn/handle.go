// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tarn-storage/tarn/go/errno"
)

// closing is added to handle.calls while the handle is being closed, and for ever when it is.
const closing = 1 << 62

// handle guards one handle of the C library. A call is between enter and leave, or has a ready slot in the handle's name; C's close runs only
// when none is, and when no child is open. It never points to the object that the user holds, so that the object's cleanup can own it.
type handle struct {
	core    *core
	parent  *handle
	kind    string       // "KV"
	ref     string       // "tank/neo/stadium"
	release func() error // closes the handle in C
	stats   *stats       // of its pool, or of its system
	opened  string       // where, when the logger takes DEBUG

	id       uint64        // of no other handle of this process
	calls    atomic.Int64  // calls inside, but those with a ready slot; and closing
	idle     chan struct{} // woken when the last call leaves a closing handle
	children atomic.Int64
	orphan   atomic.Bool // its object was collected: close with the last child

	mu     sync.Mutex // one goroutine closes at a time
	closed bool       // under mu: release has run
	watch  runtime.Cleanup
}

var lastID atomic.Uint64

func init() { lastID.Store(firstID) }

// newHandle is called with the parent entered, so that it cannot be closed under the child.
func newHandle(core *core, parent *handle, kind, ref string, release func() error) *handle {
	h := &handle{core: core, parent: parent, kind: kind, ref: ref, release: release, idle: make(chan struct{}, 1), id: lastID.Add(1)}
	h.opened = opener(core.logger)
	if parent == nil {
		h.join(newStats())
		return h
	}
	parent.children.Add(1)
	h.join(parent.stats)
	return h
}

// join counts the handle's calls in s from now on. No call may be inside.
func (h *handle) join(s *stats) {
	if h.stats != nil {
		h.stats.remove(h)
	}
	h.stats = s
	s.add(h)
}

// opener is the line of the program that opens a handle, if anybody wants to know: the first that is not of this package.
func opener(logger *slog.Logger) string {
	if !logger.Enabled(context.Background(), slog.LevelDebug) {
		return ""
	}
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if !more || !strings.Contains(f.Function, "/go/tarn.") || strings.HasSuffix(f.File, "_test.go") {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
	}
}

func (h *handle) isClosing() bool { return h.calls.Load() >= closing }

func (h *handle) enter() bool {
	if h.calls.Add(1) < closing {
		return true
	}
	h.leave()
	return false
}

func (h *handle) leave() {
	if h.calls.Add(-1) == closing {
		h.wake()
	}
}

func (h *handle) wake() {
	select {
	case h.idle <- struct{}{}:
	default: // it is woken already
	}
}

// inside is how many calls are inside. Of a closing handle, those count too that are about to be turned away.
func (h *handle) inside() int {
	return int(h.calls.Load()&^closing) + h.core.slots.claimed(h.id)
}

// shut turns new calls away and waits for those inside. A call that takes a ready slot does so before it looks whether the handle is
// closing, and looks again after it has left the slot: so it is seen here, or sees this. The caller holds mu.
func (h *handle) shut() {
	h.calls.Add(closing)
	for h.inside() > 0 {
		<-h.idle
	}
}

// reopen lets calls in again. The caller holds mu.
func (h *handle) reopen() { h.calls.Add(-closing) }

// close closes the handle once. A BUSY leaves it open.
func (h *handle) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	if err := h.busy(); err != nil {
		return err
	}
	h.shut()
	err := h.busy() // a call that was inside may have opened a child
	if err == nil {
		err = h.release()
	}
	if errno.CodeOf(err) == errno.Busy {
		h.reopen()
		return err
	}
	h.gone()
	return err
}

// finish closes the handle with last instead of C's close: last ends the life of the handle in C whatever it returns.
// NO_HDL when it is closed already.
func (h *handle) finish(op string, last func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return h.noHandle(op)
	}
	h.shut()
	defer h.gone()
	return last()
}

// gone marks the handle closed, and closes a parent that only waited for it. The caller holds mu.
func (h *handle) gone() {
	h.closed = true
	h.watch.Stop()
	h.stats.remove(h)
	if p := h.parent; p != nil && p.children.Add(-1) == 0 && p.orphan.Load() {
		go p.reclaim()
	}
}

func (h *handle) busy() error {
	n := h.children.Load()
	if n == 0 {
		return nil
	}
	return errno.New(h.kind+" close", h.ref, errno.Busy,
		fmt.Sprintf("%d handles that were opened from this %s are open: close them first", n, h.kind))
}

func (h *handle) noHandle(op string) error {
	return errno.New(op, h.ref, errno.NoHdl, "this "+h.kind+" is closed: open it again")
}

var leaks atomic.Uint64

// Leaked is the number of handles of this process that were collected before they were closed. Each was logged as a warning and closed;
// a logger that takes DEBUG is also told where it was opened. A test may ask for it after runtime.GC, and fail when it has grown.
func Leaked() uint64 { return leaks.Load() }

// leaked is the cleanup of an object that was collected before it was closed. Cleanups run in any order, a parent's maybe first.
func (h *handle) leaked() {
	leaks.Add(1)
	attrs := []any{"kind", h.kind, "ref", h.ref}
	if h.opened != "" {
		attrs = append(attrs, "opened", h.opened)
	}
	h.core.logger.Warn("a handle was not closed: it is closed now", attrs...)
	h.orphan.Store(true)
	if h.children.Load() == 0 {
		go h.reclaim()
	}
}

func (h *handle) reclaim() {
	if err := h.close(); err != nil {
		h.core.logger.Error("a handle that was not closed cannot be closed", "kind", h.kind, "ref", h.ref, "error", err)
	}
}

// object is what every open thing embeds.
type object struct{ h *handle }

// begin admits a call and gives it a slot. Every call is begin, C call, slot.wait, end.
func (o *object) begin(ctx context.Context, op string) (*slot, error) {
	h := o.h
	if ctx.Err() != nil {
		return nil, errno.FromContext(op, h.ref, ctx)
	}
	if h.isClosing() {
		return nil, h.noHandle(op)
	}
	p := h.core.slots
	s := p.claim(h.id)
	if s == nil {
		return h.beginSlowly(ctx, op)
	}
	if h.isClosing() || !s.ready(op, h) { // in this order: when it is closed, the slot's memory may be gone
		return nil, h.turnAway(op, s)
	}
	p.cross(s)
	return s, nil
}

// turnAway ends a call that has claimed a slot and cannot begin.
func (h *handle) turnAway(op string, s *slot) error {
	h.core.slots.release(s)
	if !h.isClosing() {
		return noMemory(op, h.ref)
	}
	h.wake()
	return h.noHandle(op)
}

// beginSlowly is begin when no slot is ready.
func (h *handle) beginSlowly(ctx context.Context, op string) (*slot, error) {
	if !h.enter() {
		return nil, h.noHandle(op)
	}
	s, err := h.core.slots.take(ctx, op, h)
	if err != nil {
		h.leave()
		return nil, err
	}
	h.core.slots.cross(s)
	return s, nil
}

// end gives the slot back. It keeps the object alive so far: its cleanup may not run while C is inside it.
func (o *object) end(s *slot) {
	h := o.h
	claimed := s.owner.Load() == h.id
	h.core.slots.give(s)
	if !claimed {
		h.leave()
	} else if h.isClosing() {
		h.wake()
	}
	runtime.KeepAlive(o)
}

// Close waits for the calls that are running and closes the handle. It may be called again. BUSY while a handle that was opened
// from this one is open: then nothing has happened.
func (o *object) Close() error {
	defer runtime.KeepAlive(o)
	return o.h.close()
}

// watch reports and frees what embeds o when it is collected before it is closed.
func watch[T any](owner *T, h *handle) {
	h.watch = runtime.AddCleanup(owner, (*handle).leaked, h)
}
