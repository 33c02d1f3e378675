// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/wire"
)

// outbox are the answers of a session on their way out. Always true: at most one goroutine sends, one that had an answer; what is added
// meanwhile it sends too, as many answers in one message as are there.
type outbox struct {
	ship func(*parcel) // sends one
	fail func(error)   // hears of an answer that cannot be written

	mu      sync.Mutex
	parcels []*parcel
	sending bool
}

// parcel is a message of answers.
type parcel struct {
	results wire.Results
	calls   int64 // that it answers
	bytes   int64 // that it holds in the gate
}

// add adds answers, with put and putMade in fill, and sends them unless somebody sends.
func (o *outbox) add(fill func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fill()
	if o.sending {
		return
	}
	o.sending = true
	for len(o.parcels) > 0 {
		p := o.parcels[0]
		if o.parcels = o.parcels[1:]; len(o.parcels) == 0 {
			o.parcels = nil
		}
		o.mu.Unlock()
		o.ship(p)
		o.mu.Lock()
	}
	o.sending = false
}

// last is the message that takes the next answer. Lock held.
func (o *outbox) last() *parcel {
	if n := len(o.parcels); n > 0 && o.parcels[n-1].results.Len() < sessionBytes {
		return o.parcels[n-1]
	}
	p := &parcel{}
	o.parcels = append(o.parcels, p)
	return p
}

// put adds an answer. Lock held.
func (o *outbox) put(r *apiv1.SessionResult) {
	p := o.last()
	p.calls++
	p.bytes += held(r)
	if err := p.results.Add(r); err != nil {
		o.fail(err)
	}
}

// putMade adds that of a put that was made. Lock held.
func (o *outbox) putMade(tag uint64) {
	p := o.last()
	p.calls++
	p.results.AddPut(tag)
}
