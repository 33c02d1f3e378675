// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// cell is one row on one engine, once. It runs in a process of its own, so that CPU, memory and garbage are its own, and the background
// work of other engines is not in its figures.
type cell struct {
	Row     string  `json:"row"`
	Engine  string  `json:"engine"`
	Dir     string  `json:"dir"`
	Records uint64  `json:"records"`
	Seconds float64 `json:"seconds"`
	Serial  uint64  `json:"serial"` // no two cells of a run have the same
	Load    bool    `json:"load"`   // only make the data set of the row
}

// result is what a cell has measured. Latencies are of a call, the others of a record or a scan.
type result struct {
	Rate       float64 `json:"rate"` // a second
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
	CPU        float64 `json:"cpu_us"`
	Allocs     float64 `json:"allocs"`
	AllocBytes float64 `json:"alloc_bytes"`
	DiskBytes  int64   `json:"disk_bytes"`
	Error      string  `json:"error,omitempty"`
}

// warmPart of a cell's time is not counted.
const warmPart = 0.2

func (c cell) run() (result, error) {
	r, ok := rowNamed(c.Row)
	e, ok2 := engineNamed(c.Engine)
	if !ok || !ok2 {
		return result{}, fmt.Errorf("there is no row %q or no engine %q", c.Row, c.Engine)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return result{}, err
	}
	s, err := e.open(setup{Dir: c.Dir, Records: c.Records, ValueLen: r.valueLen, Workers: r.workers, Relaxed: !r.durable || c.Load})
	if err != nil {
		return result{}, err
	}
	var res result
	if c.Load {
		err = loadAll(s, c.Records, r.valueLen)
	} else {
		res, err = newStage(c, r, s).run()
	}
	return res, errors.Join(err, s.close())
}

// loadAll puts all records in the order of their keys, in batches.
func loadAll(s store, records uint64, valueLen int) error {
	const batch = 1000
	v, d := newValues(), dice(records)
	for n := uint64(0); n < records; {
		recs := make([]record, min(batch, records-n)) // anew: an engine may keep them for a while
		vals := make([]byte, len(recs)*valueLen)
		for i := range recs {
			recs[i].val = vals[i*valueLen : (i+1)*valueLen]
			recordKey(&recs[i].key, n, records)
			v.fill(recs[i].val, &recs[i].key, &d)
			n++
		}
		if err := s.load(recs); err != nil {
			return err
		}
	}
	return s.settle()
}

// stage is what the goroutines of a cell share.
type stage struct {
	cell   cell
	row    row
	store  store
	values *values
	zipf   *zipf

	next    atomic.Uint64 // records that a fill has begun
	counts  atomic.Bool   // calls that begin now are counted
	stopped atomic.Bool
	failed  atomic.Pointer[error]
}

func newStage(c cell, r row, s store) *stage {
	st := &stage{cell: c, row: r, store: s, values: newValues()}
	if r.spread != uniform {
		st.zipf = newZipf(c.Records)
	}
	return st
}

func (st *stage) run() (result, error) {
	if err := st.readAll(); err != nil {
		return result{}, err
	}
	workers := make([]*worker, st.row.workers)
	var running sync.WaitGroup
	for i := range workers {
		workers[i] = newWorker(st, i)
	}
	seconds := st.cell.Seconds
	if st.row.fill {
		st.counts.Store(true) // from its first record
	}
	runtime.GC()
	before := metersNow()
	for _, w := range workers {
		running.Go(w.run)
	}
	if !st.row.fill {
		time.Sleep(time.Duration(seconds * warmPart * float64(time.Second)))
		before = metersNow()
		st.counts.Store(true)
	}
	st.waitFor(&running, time.Duration(seconds*float64(time.Second)))
	after := metersNow()
	running.Wait()
	if err := st.failed.Load(); err != nil {
		return result{}, *err
	}
	return st.sum(workers, before, after)
}

// waitFor ends the workers after a time; a fill may end before, when all records are there.
func (st *stage) waitFor(running *sync.WaitGroup, limit time.Duration) {
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(limit):
	}
	st.stopped.Store(true)
}

// readAll has all data read once, so that what is measured is not the first touch of a page.
func (st *stage) readAll() error {
	if st.row.fill {
		return nil
	}
	var first key
	n, err := st.store.scan(&first, math.MaxInt, func(_, _ []byte) {}) // with what rows before this one inserted
	if err == nil && uint64(n) < st.cell.Records {
		err = fmt.Errorf("%s: %d of %d records are there", st.cell.Engine, n, st.cell.Records)
	}
	return err
}

func (st *stage) sum(workers []*worker, before, after meters) (result, error) {
	var times histogram
	for _, w := range workers {
		times.merge(&w.times)
	}
	if times.count == 0 {
		return result{}, errors.New("no call ended in the time given: use a larger -t")
	}
	n := float64(times.count)
	disk, err := st.store.diskBytes()
	return result{
		Rate:       n / after.at.Sub(before.at).Seconds(),
		P50:        times.quantile(0.5),
		P99:        times.quantile(0.99),
		CPU:        (after.cpu - before.cpu).Seconds() * 1e6 / n,
		Allocs:     float64(after.mem.Mallocs-before.mem.Mallocs) / n,
		AllocBytes: float64(after.mem.TotalAlloc-before.mem.TotalAlloc) / n,
		DiskBytes:  disk,
	}, err
}

// meters are what the process has used so far.
type meters struct {
	at  time.Time
	cpu time.Duration
	mem runtime.MemStats
}

func metersNow() (m meters) {
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use) // it cannot fail with these arguments
	runtime.ReadMemStats(&m.mem)
	m.cpu = time.Duration(use.Utime.Nano() + use.Stime.Nano())
	m.at = time.Now()
	return m
}
