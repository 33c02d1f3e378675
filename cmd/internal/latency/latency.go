// SPDX-License-Identifier: Apache-2.0

// Package latency counts durations in fixed classes, 1, 2 and 5 of every power of ten from 10 µs to 50 s. Counts only grow, so that
// the difference of two readings is what happened between them.
package latency

import (
	"sort"
	"sync/atomic"
	"time"
)

// Classes is how many classes there are; the last has what took longer than every bound.
const Classes = 22

// bounds are the upper ends of the classes, each of which belongs to its class.
var bounds = [Classes - 1]time.Duration{
	10 * time.Microsecond, 20 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2 * time.Second, 5 * time.Second,
	10 * time.Second, 20 * time.Second, 50 * time.Second,
}

// Counts has how many durations fell into each class.
type Counts [Classes]uint64

// Seconds are the bounds of all classes but the last, in seconds.
func Seconds() []float64 {
	s := make([]float64, len(bounds))
	for i, b := range bounds {
		s[i] = b.Seconds()
	}
	return s
}

// Histogram counts durations. The zero value is ready; it is safe for concurrent use.
type Histogram [Classes]atomic.Uint64

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) { h.AddMany(d, 1) }

// AddMany counts n durations that are alike.
func (h *Histogram) AddMany(d time.Duration, n uint64) {
	h[sort.Search(len(bounds), func(i int) bool { return d <= bounds[i] })].Add(n)
}

// Counts reads the histogram.
func (h *Histogram) Counts() (c Counts) {
	for i := range h {
		c[i] = h[i].Load()
	}
	return c
}

// Total is how many durations were counted.
func (c Counts) Total() (n uint64) {
	for _, count := range c {
		n += count
	}
	return n
}

// Plus is the counts of both.
func (c Counts) Plus(other Counts) Counts {
	for i := range c {
		c[i] += other[i]
	}
	return c
}

// Since is what was counted after an earlier reading. A reading that is larger than this one, of a server that began anew since,
// counts as nothing.
func (c Counts) Since(earlier Counts) Counts {
	for i := range c {
		if earlier[i] > c[i] {
			return c
		}
	}
	for i := range c {
		c[i] -= earlier[i]
	}
	return c
}

// Quantile is the duration that a share q (0 to 1) of all did not exceed: exact to the class, evenly spread within it. 0 when nothing
// was counted; beyond the last bound it is that bound.
func (c Counts) Quantile(q float64) time.Duration {
	rank := q * float64(c.Total())
	if rank == 0 {
		return 0
	}
	var before float64
	for i, count := range c[:Classes-1] {
		if n := float64(count); n > 0 && before+n >= rank {
			return within(i, (rank-before)/n)
		}
		before += float64(count)
	}
	return bounds[Classes-2]
}

// within is a point of a class: 0 its lower end, 1 its upper one.
func within(class int, share float64) time.Duration {
	var low time.Duration
	if class > 0 {
		low = bounds[class-1]
	}
	return low + time.Duration(share*float64(bounds[class]-low))
}
