// SPDX-License-Identifier: Apache-2.0

package devbench

import "math/bits"

// fine is how many buckets there are for each power of two; below it, one for each value.
const fine = 64

// histogram counts nanoseconds to within 1/64 of each value, up to 2^41, which is half an hour. It allocates nothing.
type histogram struct {
	count, max uint64
	buckets    [fine * 36]uint64
}

func bucketOf(ns uint64) int {
	if ns < fine {
		return int(ns)
	}
	shift := 57 - bits.LeadingZeros64(ns) // so that ns >> shift is from 64 to 127
	return min(shift*fine+int(ns>>shift), fine*36-1)
}

// leastOf is the least value of a bucket.
func leastOf(bucket int) uint64 {
	if bucket < 2*fine {
		return uint64(bucket)
	}
	shift := bucket/fine - 1
	return uint64(bucket-shift*fine) << shift
}

func (h *histogram) add(ns uint64) {
	h.count++
	h.max = max(h.max, ns)
	h.buckets[bucketOf(ns)]++
}

func (h *histogram) merge(from *histogram) {
	h.count += from.count
	h.max = max(h.max, from.max)
	for i, n := range from.buckets {
		h.buckets[i] += n
	}
}

// quantile is what that part (0 to 1) stayed below.
func (h *histogram) quantile(part float64) uint64 {
	rest := uint64(float64(h.count) * part)
	for i, n := range h.buckets {
		if n > rest {
			return leastOf(i)
		}
		rest -= n
	}
	return h.max
}

func (h *histogram) latency() Latency {
	return Latency{P50: h.quantile(0.5), P90: h.quantile(0.9), P99: h.quantile(0.99), P999: h.quantile(0.999), Max: h.max}
}
