// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// fakeHandle is a handle whose release answers what results say, in turn.
func fakeHandle(parent *handle, results ...error) *handle {
	h := newHandle(&core{logger: discard, slots: new(slots)}, parent, "thing", "ref", nil)
	h.release = func() error {
		err := results[0]
		results = results[1:]
		return err
	}
	return h
}

// isOpen reports whether a call would be let in.
func isOpen(h *handle) bool {
	if !h.enter() {
		return false
	}
	h.leave()
	return true
}

func TestHandleBusyStaysOpen(t *testing.T) {
	h := fakeHandle(nil, errno.Busy, nil)
	if err := h.close(); !errors.Is(err, errno.Busy) || !isOpen(h) {
		t.Errorf("a BUSY close: %v, open %v", err, isOpen(h))
	}
	if err := h.close(); err != nil || isOpen(h) {
		t.Errorf("the next close: %v, open %v", err, isOpen(h))
	}
}

func TestHandleFailedCloseIsClosed(t *testing.T) {
	h := fakeHandle(nil, errno.IO)
	if err := h.close(); !errors.Is(err, errno.IO) || isOpen(h) {
		t.Errorf("a close that failed: %v, open %v", err, isOpen(h))
	}
	if err := h.close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
}

func TestHandleFinishesOnce(t *testing.T) {
	h := fakeHandle(nil)
	if err := h.finish("op", func() error { return errno.NoSpace }); !errors.Is(err, errno.NoSpace) || isOpen(h) {
		t.Errorf("finish: %v, open %v", err, isOpen(h))
	}
	wantCode(t, "a second finish", h.finish("op", nil), errno.NoHdl)
	must(t, h.close())
}

// TestHandleChildWhileClosing: a call that was inside when the close began opens a child; the close is refused after all.
func TestHandleChildWhileClosing(t *testing.T) {
	h := fakeHandle(nil, nil)
	if !h.enter() {
		t.Fatal("a new handle is closed")
	}
	closed := make(chan error)
	go func() { closed <- h.close() }()
	for h.calls.Load() < closing {
		time.Sleep(time.Millisecond)
	}
	child := fakeHandle(h, nil)
	h.leave()
	if err := <-closed; !errors.Is(err, errno.Busy) || !isOpen(h) {
		t.Errorf("close: %v, open %v", err, isOpen(h))
	}
	must(t, child.close())
	must(t, h.close())
}

// TestHandleOrphan: cleanups run in any order; a parent that was collected is closed with its last child.
func TestHandleOrphan(t *testing.T) {
	parent := fakeHandle(nil, nil)
	a, b := fakeHandle(parent, nil), fakeHandle(parent, nil)
	leaksMeant.Add(3)
	parent.leaked()
	a.leaked()
	b.leaked()
	for deadline := time.Now().Add(5 * time.Second); isOpen(parent) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if isOpen(parent) || isOpen(a) || isOpen(b) {
		t.Errorf("open: parent %v, children %v %v", isOpen(parent), isOpen(a), isOpen(b))
	}
}

// TestHandleOrphanFails: what cannot be closed is said.
func TestHandleOrphanFails(t *testing.T) {
	var log memLog
	h := fakeHandle(nil, errno.IO)
	h.core.logger = slog.New(&log)
	h.reclaim()
	if lines := log.all(); len(lines) != 1 {
		t.Errorf("logged %q", lines)
	}
}
