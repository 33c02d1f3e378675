// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"
	"sync"
	"sync/atomic"

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

// stats count the calls of a pool. A slot adds to the stripe of its index, so that processors rarely share a line. What is in flight
// costs nothing to count: the handles know it.
type stats struct {
	stripes [16]stripe

	mu      sync.Mutex
	handles map[*handle]struct{} // that are open
}

type stripe struct {
	calls, errors, waited, read, written atomic.Uint64
	_                                    [24]byte // a stripe is a cache line
}

func (s *stats) stripe(slot uint32) *stripe { return &s.stripes[slot%uint32(len(s.stripes))] }

func (s *stats) add(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handles == nil {
		s.handles = make(map[*handle]struct{})
	}
	s.handles[h] = struct{}{}
}

func (s *stats) remove(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.handles, h)
}

func (s *stats) fill(m *Metrics) {
	for i := range s.stripes {
		c := &s.stripes[i]
		m.Errors += c.errors.Load() // before calls: there are never more errors than calls
		m.Waited += c.waited.Load()
		m.Calls += c.calls.Load()
		m.BytesRead += c.read.Load()
		m.BytesWritten += c.written.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Handles = uint64(len(s.handles))
	for h := range s.handles {
		m.InFlight += uint64(h.inside())
	}
}

// ended counts a call whose last result was code.
func (c *stripe) ended(code errno.Code) {
	c.calls.Add(1)
	if code != 0 && !answers(code) {
		c.errors.Add(1)
	}
}

// answers reports whether a code says how things are, and not that something is wrong.
func answers(code errno.Code) bool {
	return code == errno.NonExist || code == errno.Exist || code == errno.TXRestart
}
