// SPDX-License-Identifier: Apache-2.0

package tarn

/*
#cgo nocallback go_watch_open
#cgo nocallback go_watch_next
#cgo nocallback go_watch_wait
#cgo noescape go_watch_open

#include "watch.h"
*/
import "C"

import (
	"context"
	"errors"
	"iter"
	"time"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// watchBytes is how much Next returns at most: any key fits into it. A value that does not comes alone.
const watchBytes = 96 << 10

// Watch shows the changes of an object: see system.Watch. It keeps the pool open, not the object. One goroutine at a time uses it.
type Watch struct {
	object
	c        *C.tarn_watch
	pool     *Pool // kept alive
	slot     *slot // its own: a watch waits longer than other calls
	progress time.Duration
	room     func(bytes int) error // see WatchOptions.Room
	begun    bool
	start    Changes // where it begins
	told     time.Time
}

// OpenWatch begins a watch: see system.Watcher. The first one since the pool was opened reads the log once. Errors: EP_OLD and OVERFLOW
// (the start is gone, or to come: the error says the oldest there is), NOTSUPPORTED (a snapshot does not change), KEY2BIG (the prefix).
//
// Implements: int tarn_watch_open(tarn_kv *, uint64_t, tarn_buf, unsigned, tarn_changes *, tarn_watch **, tarn_event *),
// int tarn_watch_values(tarn_watch *, uint64_t), and int tarn_watch_skip(tarn_watch *, uint64_t)
func (kv *KV) OpenWatch(ctx context.Context, o WatchOptions) (*Watch, error) {
	if o.Start == 0 && o.Position != 0 {
		return nil, errno.New("kv watch", kv.h.ref, errno.Inval, "Position is a place in the batch of revision Start, which is 0: what changes from now on")
	}
	s, err := kv.begin(ctx, "kv watch")
	if err != nil {
		return nil, err
	}
	defer kv.end(s)
	pool := kv.cont.pool
	if !pool.h.enter() {
		return nil, pool.h.noHandle(s.op)
	}
	defer pool.h.leave()
	var flags C.uint
	if o.KeysOnly {
		flags = C.TARN_WATCH_KEYS_ONLY
	}
	*C.go_changes(s.c) = C.tarn_changes{}
	if err = s.settle(ctx, C.go_watch_open(kv.c, C.uint64_t(o.Start), lend(o.Prefix), flags, s.c)); err != nil {
		return nil, withOldest(err, s)
	}
	c := (*C.tarn_watch)(s.handle())
	own, err := kv.h.core.slots.own(s.op, kv.h)
	if err != nil {
		C.tarn_watch_close(c)
		return nil, err
	}
	C.tarn_watch_values(c, C.uint64_t(o.ValueMaxOrDefault())) // it fails only for one that is in use
	C.tarn_watch_skip(c, C.uint64_t(o.Position))              // or has begun
	return newWatch(pool, kv.h.ref, c, own, o, Changes{Revision: uint64(C.go_changes(s.c).revision), Position: o.Position}), nil
}

// withOldest adds what can be asked for to the error of one who has asked for something else.
func withOldest(err error, s *slot) error {
	if e, ok := err.(*errno.Error); ok && (e.Code == errno.EPOld || e.Code == errno.Overflow) {
		e.Oldest = uint64(C.go_changes(s.c).oldest)
	}
	return err
}

func newWatch(pool *Pool, ref string, c *C.tarn_watch, own *slot, o WatchOptions, start Changes) *Watch {
	w := &Watch{c: c, pool: pool, slot: own, progress: o.ProgressOrDefault(), room: o.Room, start: start}
	core := pool.h.core
	w.h = newHandle(core, pool.h, "watch", ref, func() error {
		err := direct("kv watch", ref, func() C.int { return C.tarn_watch_close(c) })
		if err == nil {
			core.slots.disown(own)
		}
		return err
	})
	watch(w, w.h)
	return w
}

// Next returns the next changes, or after WatchOptions.Progress none: see system.Watch. It returns at most 96 KiB at once, or one change.
// Errors: as system.Watch has them.
//
// Implements: int tarn_watch_next(tarn_watch *, void *, size_t, tarn_changes *, tarn_event *)
func (w *Watch) Next(ctx context.Context) (Changes, error) {
	if !w.begun {
		w.begun, w.told = true, time.Now()
		return w.start, nil
	}
	for {
		c, more, err := w.fetch(ctx)
		if err != nil {
			return Changes{}, err
		}
		left := w.progress - time.Since(w.told)
		if len(c.Changes) > 0 || left <= 0 {
			w.told = time.Now()
			return c, nil
		}
		if more {
			continue
		}
		if err := w.wait(ctx, left); err != nil {
			return Changes{}, err
		}
	}
}

// fetch returns what has been changed; more says that there is more already.
func (w *Watch) fetch(ctx context.Context) (c Changes, more bool, err error) {
	s, err := w.begin(ctx, "kv watch")
	if err != nil {
		return c, false, err
	}
	defer w.end(s)
	c, more, err = w.take(ctx, s, watchBytes)
	if errors.Is(err, errno.Rec2Big) {
		size := int(C.go_changes(s.c).used)
		if w.room != nil {
			if err := w.room(size); err != nil {
				return Changes{}, false, err
			}
		}
		c, more, err = w.take(ctx, s, uintptr(size))
	}
	return c, more, err
}

// take is fetch with a buffer of so many bytes. REC2BIG: the next change takes more.
func (w *Watch) take(ctx context.Context, s *slot, size uintptr) (c Changes, more bool, err error) {
	b := &w.h.core.buffers
	mem, err := b.room(s.op, s.ref, size)
	if err != nil {
		return c, false, err
	}
	defer b.done(mem, size)
	if err = s.settle(ctx, C.go_watch_next(w.c, mem, C.size_t(size), s.c)); err != nil {
		return c, false, withOldest(err, s)
	}
	out := C.go_changes(s.c)
	l := lister{mem: mem, count: int(out.count)}
	c = Changes{Changes: l.changes(s), Revision: uint64(out.revision), Position: uint64(out.position)}
	return c, out.more != 0, nil
}

// changes are the entries of the buffer, copied: the keys in one piece of memory, the values in another.
func (l *lister) changes(s *slot) []Change {
	if l.count == 0 {
		return nil
	}
	keyBytes, valBytes := l.measure()
	s.tally.bytesRead(uint64(valBytes))
	keys, vals := make([]byte, 0, keyBytes), make([]byte, 0, valBytes)
	all := make([]Change, l.count)
	at := l.mem
	for i := range all {
		h, c := (*C.tarn_entry)(at), &all[i]
		*c = Change{Size: uint64(h.val_len), Revision: uint64(h.revision), Omitted: h.flags&C.TARN_ENTRY_OMITTED != 0,
			Deleted: h.flags&C.TARN_ENTRY_DELETED != 0, Gone: h.flags&C.TARN_ENTRY_GONE != 0}
		c.Key, c.Value, at = partsOf(h)
		keys, c.Key = keep(keys, c.Key)
		vals, c.Value = keep(vals, c.Value)
		if c.Omitted {
			c.Value = nil
		}
	}
	return all
}

// wait waits for a change in the pool, as long as it may. Its slot is its own, and counts in no figure: who waits does nothing.
//
// Implements: int tarn_watch_wait(tarn_watch *, tarn_event *)
func (w *Watch) wait(ctx context.Context, most time.Duration) error {
	if !w.h.enter() {
		return w.h.noHandle("kv watch")
	}
	defer w.h.leave()
	timer := time.NewTimer(most)
	defer timer.Stop()
	s, rc := w.slot, C.go_watch_wait(w.c, w.slot.c)
	if rc == 0 {
		rc = s.awaitUntil(ctx, timer.C)
	}
	if rc >= 0 || errno.Code(rc) == errno.Canceled && ctx.Err() == nil { // the time was up
		return nil
	}
	return s.fail(ctx, errno.Code(rc))
}

// awaitUntil is await that also ends when the time is up.
func (s *slot) awaitUntil(ctx context.Context, up <-chan time.Time) C.int {
	select {
	case rc := <-s.done:
		return rc
	case <-ctx.Done():
	case <-up:
	}
	C.tarn_event_abort(&s.c.ev)
	return <-s.done
}

// Watch yields the object's changes until ctx ends, which is an error as any other, or the loop does: see system.AllChanges.
func (kv *KV) Watch(ctx context.Context, o WatchOptions) iter.Seq2[Changes, error] {
	return system.AllChanges(ctx, anyKV{kv}, o)
}

// own makes a slot that is not one of those that calls share.
func (p *slots) own(op string, h *handle) (*slot, error) {
	p.ownedLock.Lock()
	defer p.ownedLock.Unlock()
	for p.owned[p.nextOwned] != nil || p.nextOwned < slotsMax { // the number comes around once in 2^32
		p.nextOwned = max(p.nextOwned+1, slotsMax)
	}
	s := &slot{index: p.nextOwned, slots: p, done: make(chan C.int, 1), op: op, ref: h.ref}
	if s.c = C.go_slot_new(p.queue.eq, C.uint32_t(s.index)); s.c == nil {
		return nil, errno.New(op, h.ref, errno.NoMem, "there is no memory for another watch")
	}
	if p.owned == nil {
		p.owned = map[uint32]*slot{}
	}
	p.owned[s.index] = s
	p.nextOwned++
	return s, nil
}

// disown frees a slot of own. Nothing of it is running.
func (p *slots) disown(s *slot) {
	p.ownedLock.Lock()
	defer p.ownedLock.Unlock()
	delete(p.owned, s.index)
	C.free(unsafe.Pointer(s.c))
}

// at is the slot of that number, shared or owned.
func (p *slots) at(index uint32) *slot {
	if index < slotsMax {
		return &p.all[index]
	}
	p.ownedLock.Lock()
	defer p.ownedLock.Unlock()
	return p.owned[index]
}
