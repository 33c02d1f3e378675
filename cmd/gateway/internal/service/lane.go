// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync"
	"sync/atomic"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// lane makes the calls of one kind of a session. A few goroutines at once make them; what arrives meanwhile waits, and is then made
// together, so that a session that is busy makes large batches, and one that is not waits for nobody. They end when nothing waits.
type lane struct {
	make   func([]*apiv1.SessionCall) // calls of one object
	most   int                        // calls that are made together
	makers int                        // at once
	waits  *atomic.Int64              // counts the calls that wait, here and in other lanes

	mu      sync.Mutex
	waiting []*apiv1.SessionCall
	busy    int // makers
}

// add takes calls, and says whether the caller must start another maker.
func (l *lane) add(calls []*apiv1.SessionCall) (start bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, calls...)
	l.waits.Add(int64(len(calls)))
	if start = len(l.waiting) > 0 && l.busy < l.makers; start {
		l.busy++
	}
	return start
}

// work is a maker; do calls make, and does what goes with it.
func (l *lane) work(do func(*lane, []*apiv1.SessionCall)) {
	for calls := l.next(); len(calls) > 0; calls = l.next() {
		do(l, calls)
	}
}

// next takes the first calls that wait, as far as they are of one object. When there are none the maker has ended.
func (l *lane) next() []*apiv1.SessionCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < min(len(l.waiting), l.most) && l.waiting[n].GetObject() == l.waiting[0].GetObject() {
		n++
	}
	if n == 0 {
		l.busy--
	}
	l.waits.Add(-int64(n))
	calls := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return calls
}
