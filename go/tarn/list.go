// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"errors"
	"iter"
	"math"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// firstBatch is the number of entries of a listing's first call; each later one takes four times as many, as far as they fit. A listing
// with a limit of up to limitBatch takes all of them at once: it is likely to be read to its end.
const (
	firstBatch = 64
	limitBatch = 1024
)

func batchOf(limit uint64) uint64 {
	if limit > limitBatch {
		return firstBatch
	}
	return max(limit, firstBatch)
}

func lendRange(r Range) C.go_range {
	c := C.go_range{prefix: lend(r.Prefix), start: lend(r.Start), end: lend(r.End)}
	if r.After && len(r.Start) > 0 {
		c.flags |= C.TARN_RANGE_AFTER
	}
	if r.Reverse {
		c.flags |= C.TARN_RANGE_REVERSE
	}
	if r.KeysOnly {
		c.flags |= C.TARN_RANGE_KEYS_ONLY
	}
	return c
}

// Count returns the number of keys in a range; with a Limit, at most that. Errors: KEY2BIG (of the range), and those of any call that
// reads.
//
// Implements: int tarn_kv_count(tarn_kv *, const tarn_range *, uint64_t *, tarn_event *)
func (kv *KV) Count(ctx context.Context, r Range) (uint64, error) {
	s, err := kv.begin(ctx, "kv count")
	if err != nil {
		return 0, err
	}
	defer kv.end(s)
	if err = s.settle(ctx, C.go_kv_count(kv.c, lendRange(r), s.c)); err != nil {
		return 0, err
	}
	n := uint64(s.c.number)
	if r.Limit > 0 {
		n = min(n, r.Limit)
	}
	return n, nil
}

// DeleteRange removes every key in a range, or the first of them up to a Limit (the last, with Reverse), in batches, and returns their
// number: a crash may leave some of them removed. Errors: KEY2BIG (of the range), EP_RO, NOSPACE; then the number is of those that were
// removed before.
//
// Implements: int tarn_kv_del_range(tarn_kv *, const tarn_range *, uint64_t *, tarn_event *)
func (kv *KV) DeleteRange(ctx context.Context, r Range) (uint64, error) {
	if r.Limit > 0 {
		return kv.deleteSome(ctx, r)
	}
	s, err := kv.begin(ctx, "kv delete range")
	if err != nil {
		return 0, err
	}
	defer kv.end(s)
	s.c.number = 0
	err = s.settle(ctx, C.go_kv_del_range(kv.c, lendRange(r), s.c))
	return uint64(s.c.number), err
}

// deleteSome removes as many keys of a range as its Limit says. A batch of them is removed only while all are there, so that each is counted
// once, whoever else removes some.
func (kv *KV) deleteSome(ctx context.Context, r Range) (uint64, error) {
	const most = 1000
	removed, left := uint64(0), r.Limit
	r.KeysOnly = true
	for left > 0 {
		var batch []Mutation
		r.Limit = min(left, most)
		for e, err := range kv.List(ctx, r) {
			if err != nil {
				return removed, err
			}
			batch = append(batch, Mutation{Key: e.Key, Delete: true, Cond: CondUpdate})
		}
		if len(batch) == 0 {
			break
		}
		switch err := kv.Apply(ctx, batch); {
		case err == nil:
			removed, left = removed+uint64(len(batch)), left-uint64(len(batch))
		case !errors.Is(err, errno.NonExist): // else somebody removed one of them meanwhile
			return removed, err
		}
	}
	return removed, nil
}

// List yields the entries of a range in order. It reads in batches, each of which is a consistent view; changes between two batches may be
// seen or not. An error ends the listing. Keys and values are the caller's. Errors: KEY2BIG (of the range), and those of any call that
// reads.
//
// Implements: int tarn_kv_list(tarn_kv *, const tarn_range *, uint32_t, void *, size_t, tarn_listing *, tarn_event *)
func (kv *KV) List(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) { kv.list(ctx, r, false, yield) }
}

// Scan is List without copies: the key and the value of an entry are lent until the next one is yielded, or the loop ends. Clone what is
// kept, and write nothing into them. Errors: as List.
//
// Implements: int tarn_kv_list(tarn_kv *, const tarn_range *, uint32_t, void *, size_t, tarn_listing *, tarn_event *)
func (kv *KV) Scan(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) { kv.list(ctx, r, true, yield) }
}

func (kv *KV) list(ctx context.Context, r Range, lent bool, yield func(Entry, error) bool) {
	mem, err := kv.h.core.buffers.take("kv list", kv.h.ref)
	if err != nil {
		yield(Entry{}, err)
		return
	}
	defer kv.h.core.buffers.give(mem)
	l := lister{kv: kv, r: r, mem: mem, max: batchOf(r.Limit), more: true, lent: lent}
	for l.more {
		if err = l.next(ctx); err != nil {
			yield(Entry{}, err)
			return
		}
		if !l.yield(yield) {
			return
		}
		l.advance()
	}
}

// lister is the state of one listing.
type lister struct {
	kv   *KV
	r    Range          // what is left of it
	mem  unsafe.Pointer // C memory of bufferBytes
	max  uint64         // entries of the next batch
	more bool           // there may be entries behind the batch
	lent bool           // entries are not copied
	last []byte         // the key that was yielded last
	own  []byte         // its copy, when it was lent

	count int    // entries of the batch
	tally *tally // where its bytes are counted: a shared one, since the slot is given back
}

// next fetches a batch.
func (l *lister) next(ctx context.Context) error {
	s, err := l.kv.begin(ctx, "kv list")
	if err != nil {
		return err
	}
	defer l.kv.end(s)
	n := l.max
	if l.r.Limit > 0 {
		n = min(n, l.r.Limit)
	}
	err = s.settle(ctx, C.go_kv_list(l.kv.c, lendRange(l.r), C.uint32_t(n), l.mem, bufferBytes, s.c))
	if err != nil {
		return err
	}
	l.count, l.more = int(s.c.listing.count), s.c.listing.more != 0
	l.max = min(l.max*4, math.MaxUint32)
	l.tally = l.kv.h.stats.shared(s.index)
	return nil
}

// yield yields the batch. What the two ways count with are their own variables: the garbage collector wants to know of every pointer that
// is stored elsewhere.
func (l *lister) yield(yield func(Entry, error) bool) bool {
	if l.lent {
		return l.yieldLent(yield)
	}
	return l.yieldOwn(yield)
}

// yieldLent looks at each entry once. It counts the bytes of those that it has yielded.
func (l *lister) yieldLent(yield func(Entry, error) bool) bool {
	var e Entry
	at, bytes := l.mem, 0
	for range l.count {
		e, at = entryAt(at)
		bytes += len(e.Value)
		if !yield(e, nil) {
			l.tally.bytesRead(uint64(bytes))
			return false
		}
	}
	l.tally.bytesRead(uint64(bytes))
	l.last = e.Key
	return true
}

// yieldOwn copies the batch first: the keys into one piece of memory, the values into another, so that who keeps the keys does not keep
// the values.
func (l *lister) yieldOwn(yield func(Entry, error) bool) bool {
	keyBytes, valBytes := l.measure()
	keys, vals := make([]byte, 0, keyBytes), make([]byte, 0, valBytes)
	l.tally.bytesRead(uint64(valBytes))
	var e Entry
	at := l.mem
	for range l.count {
		e, at = entryAt(at)
		keys, e.Key = keep(keys, e.Key)
		if !e.Omitted {
			vals, e.Value = keep(vals, e.Value)
		}
		if !yield(e, nil) {
			return false
		}
	}
	l.last = e.Key
	return true
}

// measure adds up the batch.
func (l *lister) measure() (keyBytes, valBytes int) {
	at := l.mem
	for range l.count {
		h := (*C.tarn_entry)(at)
		n, v := int(h.key_len), inlineBytes(h)
		keyBytes, valBytes = keyBytes+n, valBytes+v
		at = unsafe.Add(at, entrySize(n, v))
	}
	return keyBytes, valBytes
}

// entryAt is the entry at a place of the buffer, lent, and where the next one is.
func entryAt(at unsafe.Pointer) (e Entry, next unsafe.Pointer) {
	h := (*C.tarn_entry)(at)
	e = Entry{Size: uint64(h.val_len), Revision: uint64(h.revision), Omitted: h.flags&C.TARN_ENTRY_OMITTED != 0}
	if e.Key, e.Value, next = partsOf(h); e.Omitted {
		e.Value = nil
	}
	return e, next
}

// partsOf are the key and the value that stand behind a header, lent, and where the next header is.
func partsOf(h *C.tarn_entry) (key, val []byte, next unsafe.Pointer) {
	n, v := int(h.key_len), inlineBytes(h)
	p := unsafe.Pointer(h)
	key = unsafe.Slice((*byte)(unsafe.Add(p, C.sizeof_tarn_entry)), n)[:n:n]
	val = unsafe.Slice((*byte)(unsafe.Add(p, C.sizeof_tarn_entry+n)), v)[:v:v]
	return key, val, unsafe.Add(p, entrySize(n, v))
}

// entrySize is what an entry takes in the buffer.
func entrySize(key, val int) int { return (C.sizeof_tarn_entry + key + val + 7) &^ 7 }

// inlineBytes is the length of the value that stands in the buffer.
func inlineBytes(h *C.tarn_entry) int {
	if h.flags&C.TARN_ENTRY_OMITTED != 0 {
		return 0
	}
	return int(h.val_len)
}

// keep appends b to room, and returns the copy alone: appending to it does not write over its neighbour.
func keep(room, b []byte) (all, own []byte) {
	at := len(room)
	room = append(room, b...)
	return room, room[at:len(room):len(room)]
}

// advance moves the range behind the batch.
func (l *lister) advance() {
	n := uint64(l.count)
	l.more = l.more && n > 0 && (l.r.Limit == 0 || n < l.r.Limit)
	if !l.more {
		return
	}
	if l.r.Limit > 0 {
		l.r.Limit -= n
	}
	if l.lent {
		l.own = append(l.own[:0], l.last...) // the next batch takes its place
		l.last = l.own
	}
	if l.r.Reverse {
		l.r.End = l.last
	} else {
		l.r.Start, l.r.After = l.last, true
	}
}
