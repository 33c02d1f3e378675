// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// closing is added to guard.calls while what it guards is being closed, and for ever when it is.
const closing = 1 << 62

// guard lets calls into a Device or a Queue, and its close only when none is inside and no child is open. It never points to the object
// that the user holds, so that the object's cleanup can own it.
type guard struct {
	kind, ref string
	logger    *slog.Logger
	parent    *guard
	release   func() error // ends it in C
	hurry     func()       // makes the calls inside end early; any thread, at any moment before release

	calls    atomic.Int64  // calls inside, and closing
	idle     chan struct{} // woken when the last call leaves what is closing
	children atomic.Int64
	orphan   atomic.Bool // its object was collected: close with the last child

	mu     sync.Mutex // one goroutine closes at a time
	closed bool       // under mu: release has run
}

// newGuard is called with the parent entered, so that it cannot be closed under the child.
func newGuard(kind, ref string, parent *guard, logger *slog.Logger) *guard {
	if parent != nil {
		parent.children.Add(1)
	}
	return &guard{kind: kind, ref: ref, parent: parent, logger: logger, idle: make(chan struct{}, 1)}
}

func (g *guard) enter(op string) error {
	if g.calls.Add(1) < closing {
		return nil
	}
	g.leave()
	return errno.New(op, g.ref, errno.NoHdl, "this "+g.kind+" is closed: open it again")
}

func (g *guard) leave() {
	if g.calls.Add(-1) != closing {
		return
	}
	select {
	case g.idle <- struct{}{}:
	default: // it is woken already
	}
}

// close closes once. After an error it is open: BUSY, or TIMEDOUT when its calls do not end within ctx and a second more.
func (g *guard) close(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	if err := g.busy(); err != nil {
		return err
	}
	err := g.shut(ctx)
	if err == nil {
		err = g.busy() // a call that was inside may have opened a child
	}
	if err == nil {
		err = g.release()
	}
	if err != nil {
		g.calls.Add(-closing) // lets calls in again
		return err
	}
	g.gone()
	return nil
}

// shut turns new calls away and waits for those inside. The caller holds mu.
func (g *guard) shut(ctx context.Context) error {
	g.calls.Add(closing)
	if g.empty(ctx.Done()) {
		return nil
	}
	g.hurry()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer stop()
	if g.empty(last.Done()) {
		return nil
	}
	return errno.New(g.kind+" close", g.ref, errno.TimedOut, fmt.Sprintf(
		"%d calls are still running, for the device does not answer, and their memory is lent to it: it stays open", g.calls.Load()-closing))
}

// empty waits until no call is inside.
func (g *guard) empty(end <-chan struct{}) bool {
	for g.calls.Load() != closing {
		select {
		case <-g.idle:
		case <-end:
			return g.calls.Load() == closing
		}
	}
	return true
}

func (g *guard) busy() error {
	n := g.children.Load()
	if n == 0 {
		return nil
	}
	return errno.New(g.kind+" close", g.ref, errno.Busy, fmt.Sprintf("%d queues of this device are open: close them first", n))
}

// gone marks it closed, and closes a parent that only waited for it. The caller holds mu.
func (g *guard) gone() {
	g.closed = true
	if p := g.parent; p != nil && p.children.Add(-1) == 0 && p.orphan.Load() {
		go p.reclaim()
	}
}

// leaked is the cleanup of an object that was collected before it was closed. Cleanups run in any order, a parent's maybe first.
func (g *guard) leaked() {
	g.logger.Warn("a "+g.kind+" was not closed: it is closed now", "device", g.ref)
	g.orphan.Store(true)
	if g.children.Load() == 0 {
		go g.reclaim()
	}
}

func (g *guard) reclaim() {
	if err := g.close(context.Background()); err != nil {
		g.logger.Error("a "+g.kind+" that was not closed cannot be closed", "device", g.ref, "error", err)
	}
}
