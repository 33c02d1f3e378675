// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/bits"
	"time"
)

// histogram is how long calls took, to within 1/64 of each value.
type histogram struct {
	count   uint64
	buckets [fine * 36]uint64
}

const fine = 64 // buckets for each power of two; below, one for each value

func (h *histogram) add(d time.Duration) {
	h.count++
	h.buckets[min(bucketOf(uint64(max(d, 0))), len(h.buckets)-1)]++
}

func bucketOf(ns uint64) int {
	if ns < fine {
		return int(ns)
	}
	shift := bits.Len64(ns) - 7 // so that ns >> shift is from 64 to 127
	return shift*fine + int(ns>>shift)
}

// least is the least value of a bucket.
func least(bucket int) uint64 {
	if bucket < 2*fine {
		return uint64(bucket)
	}
	shift := bucket/fine - 1
	return uint64(bucket-shift*fine) << shift
}

func (h *histogram) merge(from *histogram) {
	h.count += from.count
	for i, n := range from.buckets {
		h.buckets[i] += n
	}
}

// quantile is the value, in microseconds, that `part` (0 to 1) of the calls stayed below.
func (h *histogram) quantile(part float64) float64 {
	rest := uint64(float64(h.count) * part)
	for i, n := range h.buckets {
		if n > rest {
			return float64(least(i)) / 1e3
		}
		rest -= n
	}
	return 0
}
