// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// pace finds out how much can be refused without others having to wait until they run.
//
// Always true: the rate falls while goroutines that can run wait for a processor, and grows while they do not. A refusal costs a third of
// what a small call does, so ten times of what a processor carries, refused at once, would leave nothing for what is carried: whose call
// was refused beyond the rate is not read for a while, or until the gate has room, and its calls wait where they cost nothing. Likewise
// with the places of the gate: calls that all want a processor let everybody wait, whoever is refused too, and do no more for being many.
//
// The lock of the gate guards it.
type pace struct {
	rate   float64   // refusals a second
	share  float64   // of the gate's places that may be taken
	next   time.Time // when the next refusal is due
	tuned  time.Time
	sample []metrics.Sample
	all    uint64 // goroutines that have begun to run
	late   uint64 // and those that had waited for longer than lateAfter
}

const (
	rateFloor  = 5000   // refusals a second, for each processor
	rateMost   = 200000 // likewise
	paceSlack  = 2 * time.Millisecond
	holdMost   = time.Second
	tuneEvery  = 10 * time.Millisecond
	lateAfter  = 4e-3 // s
	lateShare  = 10   // one of so many may be late
	fall, grow = 0.8, 1.1
	calm       = time.Second // after the last refusal all is as in the beginning

	placesEach, placesLeast = 64, 128 // calls that keep a processor busy, and are never refused because others wait
)

func newPace() pace {
	return pace{rate: rateMost, share: 1, sample: []metrics.Sample{{Name: "/sched/latencies:seconds"}}}
}

// refused counts a refusal. It returns until when its connection should not be read; a time that has passed is no bound.
func (p *pace) refused(now time.Time) time.Time {
	p.tune(now)
	if p.next.Before(now) {
		p.next = now
	}
	if latest := now.Add(holdMost); p.next.Before(latest) {
		p.next = p.next.Add(time.Duration(float64(time.Second) / p.rate))
	}
	return p.next.Add(-paceSlack)
}

// tune sets the rate, when it is time.
func (p *pace) tune(now time.Time) {
	if now.Sub(p.tuned) < tuneEvery {
		return
	}
	p.tuned = now
	p.adjust(p.waited())
}

// adjust sets the rate by how many goroutines have begun to run since the last time, and how many of those were late.
func (p *pace) adjust(all, late uint64) {
	n, by := float64(runtime.GOMAXPROCS(0)), grow
	if late*lateShare > all {
		by = fall
	}
	p.rate = min(max(p.rate*by, rateFloor*n), rateMost*n)
	p.share = min(max(p.share*by, 0.2), 1)
}

// places is how many calls may be under way, of so many that may be when the processors keep up.
func (p *pace) places(most int64) int64 {
	least := max(int64(runtime.GOMAXPROCS(0))*placesEach, placesLeast)
	return min(most, max(least, int64(float64(most)*p.share)))
}

// calmed makes the places as many as in the beginning when nothing was refused for a while.
func (p *pace) calmed(now time.Time) {
	if now.Sub(p.tuned) > calm {
		p.share = 1
	}
}

// waited reads how the scheduler did since the last time.
func (p *pace) waited() (all, late uint64) {
	metrics.Read(p.sample)
	if p.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0, 0 // another Go has other metrics: then the rate does not fall
	}
	h := p.sample[0].Value.Float64Histogram()
	for i, n := range h.Counts {
		all += n
		if h.Buckets[i] >= lateAfter {
			late += n
		}
	}
	all, p.all = all-p.all, all
	late, p.late = late-p.late, late
	return all, late
}
