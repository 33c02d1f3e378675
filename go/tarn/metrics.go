// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Metrics is a pool as it is now, and what was done through one handle of it, and through what was opened from that handle. Counters
// begin at 0 when the handle is opened, and never fall. They are read one after the other, while calls go on.
type Metrics struct {
	PoolInfo
	Calls        uint64 `json:"calls"`         // that have ended; of a listing, each batch is one
	Errors       uint64 `json:"errors"`        // of them, that failed. That a key is there, is not, or has changed, is no failure
	Waited       uint64 `json:"waited"`        // of them, that were not answered at once: they waited for a device
	BytesRead    uint64 `json:"bytes_read"`    // of values
	BytesWritten uint64 `json:"bytes_written"` // of values, also of those that were refused
	InFlight     uint64 `json:"in_flight"`     // calls that are running, this one included, or wait for one of the system's 512 slots
	Handles      uint64 `json:"handles"`       // that are open: this one, containers, objects, readers and writers
}

// Metrics is for monitoring: it costs what Info costs. Errors: as Info.
func (p *Pool) Metrics(ctx context.Context) (Metrics, error) {
	info, err := p.Info(ctx)
	if err != nil {
		return Metrics{}, err
	}
	m := Metrics{PoolInfo: info}
	p.h.stats.fill(&m)
	m.InFlight++ // Info has returned, but this call has not
	return m, nil
}

// stats count the calls of a pool. What is in flight costs nothing to count: the handles know it.
type stats struct {
	tallies *[2 * readySlots]tally // C memory: of each ready slot, then those that the others share

	mu      sync.Mutex
	handles map[*handle]struct{} // that are open
}

// tally is what calls add up to. One that is not shared has one writer at a time, the owner of its slot, so that adding to it needs no locked
// instruction, which a get from the cache would feel. Go has no such addition that others may look at meanwhile; but a word of C memory is
// written as a whole, and the race detector, which knows nothing of that, does not look there.
type tally struct {
	calls, errors, waited, read, written uint64
	shared                               bool
	_                                    [23]byte // a tally is a cache line
}

func newStats() *stats {
	const size, line = unsafe.Sizeof([2 * readySlots]tally{}), unsafe.Sizeof(tally{})
	mem := C.malloc(C.size_t(size + line)) // never nil, as Go's own
	s := &stats{handles: make(map[*handle]struct{})}
	s.tallies = (*[2 * readySlots]tally)(unsafe.Add(mem, -uintptr(mem)%line))
	clear(s.tallies[:])
	for i := range readySlots {
		s.shared(uint32(i)).shared = true
	}
	runtime.AddCleanup(s, func(mem unsafe.Pointer) { C.free(mem) }, mem)
	return s
}

// tally is where the owner of a slot counts.
func (s *stats) tally(slot uint32) *tally {
	if slot < readySlots {
		return &s.tallies[slot]
	}
	return s.shared(slot)
}

// shared is where anybody counts; processors rarely meet there.
func (s *stats) shared(slot uint32) *tally { return &s.tallies[readySlots+slot%readySlots] }

func (s *stats) add(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handles[h] = struct{}{}
}

func (s *stats) remove(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.handles, h)
}

func (s *stats) fill(m *Metrics) {
	for i := range s.tallies {
		t := &s.tallies[i]
		m.Errors += atomic.LoadUint64(&t.errors) // before calls: there are never more errors than calls
		m.Waited += atomic.LoadUint64(&t.waited)
		m.Calls += atomic.LoadUint64(&t.calls)
		m.BytesRead += atomic.LoadUint64(&t.read)
		m.BytesWritten += atomic.LoadUint64(&t.written)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Handles = uint64(len(s.handles))
	for h := range s.handles {
		m.InFlight += uint64(h.inside())
	}
}

// add adds n to a figure of t.
func (t *tally) add(figure *uint64, n uint64) {
	if t.shared {
		atomic.AddUint64(figure, n)
	} else {
		*figure += n
	}
}

// ended counts a call whose last result was code.
func (t *tally) ended(code errno.Code) {
	t.add(&t.calls, 1)
	if code != 0 && !answers(code) {
		atomic.AddUint64(&t.errors, 1) // behind calls, for who reads them: see fill
	}
}

func (t *tally) waitedOne()            { t.add(&t.waited, 1) }
func (t *tally) bytesRead(n uint64)    { t.add(&t.read, n) }
func (t *tally) bytesWritten(n uint64) { t.add(&t.written, n) }

// answers reports whether a code says how things are, and not that something is wrong.
func answers(code errno.Code) bool {
	return code == errno.NonExist || code == errno.Exist || code == errno.TXRestart
}
