// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// worker is one goroutine of a cell. It allocates nothing in its loop: allocations that are counted are the engine's.
type worker struct {
	st       *stage
	dice     dice
	serial   uint64 // of its first insert; no two workers of a run share one
	inserted uint64
	key      key
	val      []byte
	seen     uint64 // what scans have read, so that they read it
	visit    func(k, val []byte)
	times    histogram
}

func newWorker(st *stage, index int) *worker {
	w := &worker{st: st, val: make([]byte, st.row.valueLen)}
	w.dice = dice(mixed(st.cell.Serial<<8 | uint64(index)))
	w.serial = st.cell.Serial<<42 | uint64(index)<<36
	w.visit = func(k, val []byte) { w.seen ^= read(k) ^ read(val) }
	return w
}

// read loads all of b: who lends memory that is not in the processor's cache is not done before it has been read.
func read(b []byte) (sum uint64) {
	for ; len(b) >= 32; b = b[32:] {
		sum ^= binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[8:])
		sum ^= binary.LittleEndian.Uint64(b[16:]) ^ binary.LittleEndian.Uint64(b[24:])
	}
	for _, c := range b {
		sum += uint64(c)
	}
	return sum
}

func (w *worker) run() {
	for now := time.Now(); !w.st.stopped.Load(); {
		counts := w.st.counts.Load()
		done, err := w.step()
		if err != nil {
			w.fail(err)
		}
		if !done {
			return
		}
		began := now
		if now = time.Now(); counts {
			w.times.add(now.Sub(began))
		}
	}
}

func (w *worker) fail(err error) {
	err = fmt.Errorf("%s: %s: %w", w.st.cell.Row, w.st.cell.Engine, err)
	w.st.failed.CompareAndSwap(nil, &err)
	w.st.stopped.Store(true)
}

// step makes one call, or two of a read and change. Not done: there is nothing left to do.
func (w *worker) step() (done bool, err error) {
	if w.st.row.fill {
		return w.fillNext()
	}
	m, part := w.st.row.mix, w.dice.below(100)
	w.pick()
	switch {
	case part < m.update:
		err = w.put()
	case part < m.update+m.insert:
		err = w.insert()
	case part < m.update+m.insert+m.modify:
		if err = w.get(); err == nil {
			err = w.put()
		}
	case part < m.update+m.insert+m.modify+m.scan:
		err = w.scan()
	default:
		err = w.get()
	}
	return err == nil, err
}

func (w *worker) fillNext() (bool, error) {
	n := w.st.next.Add(1) - 1
	if n >= w.st.cell.Records {
		return false, nil
	}
	recordKey(&w.key, shuffled(n, w.st.cell.Records), w.st.cell.Records)
	err := w.put()
	return err == nil, err
}

// pick chooses the key of the next call.
func (w *worker) pick() {
	records := w.st.cell.Records
	switch w.st.row.spread {
	case uniform, zipfian:
		recordKey(&w.key, w.record(), records)
	case latest: // what this worker has inserted, newest first, and then what was loaded
		rank := w.st.zipf.rank(&w.dice)
		if rank < w.inserted {
			insertedKey(&w.key, w.serial+w.inserted-1-rank, records)
		} else {
			recordKey(&w.key, mixed(rank-w.inserted)%records, records)
		}
	}
}

// record is the number of a record that was loaded.
func (w *worker) record() uint64 {
	records := w.st.cell.Records
	if w.st.row.spread == zipfian {
		return mixed(w.st.zipf.rank(&w.dice)) % records
	}
	return w.dice.below(records)
}

func (w *worker) put() error {
	w.st.values.fill(w.val, &w.key, &w.dice)
	return w.st.store.put(&w.key, w.val)
}

func (w *worker) insert() error {
	insertedKey(&w.key, w.serial+w.inserted, w.st.cell.Records)
	w.inserted++
	return w.put()
}

func (w *worker) get() error {
	n, err := w.st.store.get(&w.key, w.val)
	if errors.Is(err, errAbsent) {
		return fmt.Errorf("a record is missing: %x", w.key)
	}
	if err == nil && !fits(w.val[:n], w.st.row.valueLen, &w.key) {
		return fmt.Errorf("a get of %x gave another record's value", w.key)
	}
	return err
}

// scan begins at a record that was loaded, so that it is known how many follow at least.
func (w *worker) scan() error {
	records, n := w.st.cell.Records, w.st.row.scanMost
	if w.st.row.mix.insert > 0 {
		n = 1 + w.dice.below(n)
	}
	first := w.record()
	recordKey(&w.key, first, records)
	seen, err := w.st.store.scan(&w.key, int(n), w.visit)
	if err == nil && uint64(seen) < n && first+n <= records {
		err = fmt.Errorf("a scan of %d saw %d", n, seen)
	}
	return err
}
