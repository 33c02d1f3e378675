// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestReadySlotHoldsTheHandle: a call that has a ready slot, and so counts nowhere else, is waited for by Close, which turns others away.
func TestReadySlotHoldsTheHandle(t *testing.T) {
	kv := openKV(t)
	h, err := kv.cont.OpenKV(t.Context(), "stadium", false)
	must(t, err)
	s, err := h.begin(t.Context(), "test")
	must(t, err)
	if s.index >= readySlots || h.h.calls.Load() != 0 || h.h.inside() != 1 {
		t.Fatalf("slot %d, %d calls, %d inside", s.index, h.h.calls.Load(), h.h.inside())
	}
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	for !h.h.isClosing() {
		time.Sleep(time.Millisecond)
	}
	wantCode(t, "Put into a KV that is closing", h.Put(t.Context(), []byte("k"), nil), errno.NoHdl)
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v while a call was inside", err)
	case <-time.After(20 * time.Millisecond):
	}
	h.end(s)
	must(t, <-closed)
	must(t, kv.Put(t.Context(), []byte("k"), nil)) // the slot is ready for others
}

// TestReadySlotIsHandedOver: who waits for a slot gets a ready one as well, and gets it when it is the only one.
func TestReadySlotIsHandedOver(t *testing.T) {
	kv := openKV(t)
	slots := kv.h.core.slots
	var ready, others []*slot
	for range slotsMax {
		s, err := slots.take(t.Context(), "test", kv.h)
		must(t, err)
		if s.index < readySlots {
			ready = append(ready, s)
		} else {
			others = append(others, s)
		}
	}
	if len(ready) != readySlots {
		t.Fatalf("%d ready slots of %d were taken", len(ready), readySlots)
	}
	const waiters = 100
	var wg sync.WaitGroup
	for i := range waiters {
		wg.Go(func() { must(t, kv.Put(context.Background(), []byte{byte(i)}, nil)) })
	}
	for slots.waiting.Load() < waiters {
		time.Sleep(time.Millisecond)
	}
	if n := kv.h.inside(); n != waiters {
		t.Errorf("%d calls wait, and %d are counted", waiters, n)
	}
	slots.give(ready[0])
	wg.Wait()
	for _, s := range append(ready[1:], others...) {
		slots.give(s)
	}
	if n := slots.taken(); n != 0 {
		t.Errorf("%d slots are in use at the end", n)
	}
}

// TestReadySlotsAndClose: handles are opened, used by many, and closed beside calls of others that use the same slots. No call may come into a
// closed handle, and no Close may miss its wake-up.
func TestReadySlotsAndClose(t *testing.T) {
	kv := openKV(t)
	ctx, key := context.Background(), []byte("k")
	must(t, kv.Put(ctx, key, make([]byte, 100)))
	for range 100 {
		h, err := kv.cont.OpenKV(ctx, "stadium", false)
		must(t, err)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				dst := make([]byte, 100)
				for {
					_, err := h.GetInto(ctx, key, dst)
					if errno.CodeOf(err) == errno.NoHdl {
						return
					}
					must(t, err)
					_, err = kv.GetInto(ctx, key, dst)
					must(t, err)
				}
			})
		}
		time.Sleep(100 * time.Microsecond)
		must(t, h.Close())
		wg.Wait()
	}
	if n := kv.h.core.slots.taken(); n != 0 {
		t.Errorf("%d slots are in use at the end", n)
	}
}
