// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math/bits"
	"slices"
	"time"
)

// meter is what one goroutine has done in a window.
type meter struct {
	calls, units uint64 // a unit is a call, a key or a byte: what the row's rate counts
	times        histogram
}

func (m *meter) add(units int, took time.Duration) {
	m.calls++
	m.units += uint64(units)
	m.times.add(took)
}

func (m *meter) merge(other *meter) {
	m.calls += other.calls
	m.units += other.units
	for i, n := range other.times {
		m.times[i] += n
	}
}

// histogram counts durations, each to within a 32nd of itself.
type histogram [64 * 32]uint64

func (h *histogram) add(d time.Duration) { h[bucketOf(uint64(max(d, 0)))]++ }

func bucketOf(v uint64) int {
	if v < 64 {
		return int(v)
	}
	shift := bits.Len64(v) - 6
	return shift*32 + int(v>>shift)
}

// leastOf is the shortest duration of a bucket.
func leastOf(bucket int) time.Duration {
	if bucket < 64 {
		return time.Duration(bucket)
	}
	shift := bucket/32 - 1
	return time.Duration(uint64(bucket%32+32) << shift)
}

// percentile is the duration that p of 100 do not exceed; 0 when there is none.
func (h *histogram) percentile(p float64) time.Duration {
	var all, seen uint64
	for _, n := range h {
		all += n
	}
	for i, n := range h {
		seen += n
		if n > 0 && float64(seen) >= float64(all)*p/100 {
			return leastOf(i)
		}
	}
	return 0
}

// Quartiles are three numbers of many rounds.
type Quartiles struct {
	Low    float64 `json:"low"`
	Median float64 `json:"median"`
	High   float64 `json:"high"`
}

func quartiles(values []float64) Quartiles {
	if len(values) == 0 {
		return Quartiles{}
	}
	s := slices.Sorted(slices.Values(values))
	return Quartiles{at(s, 0.25), at(s, 0.5), at(s, 0.75)}
}

// at is the value at a fraction of sorted values, between two of them when it falls there.
func at(s []float64, fraction float64) float64 {
	x := fraction * float64(len(s)-1)
	i := int(x)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (x-float64(i))*(s[i+1]-s[i])
}
