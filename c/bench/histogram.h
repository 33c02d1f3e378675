/* SPDX-License-Identifier: Apache-2.0 */
/* bench/histogram.h: how long calls took, in nanoseconds, to within 1/64 of each value. */
#ifndef TARN_BENCH_HISTOGRAM_H
#define TARN_BENCH_HISTOGRAM_H

#include "bench.h"

#define HISTOGRAM_FINE	  64u			 /* buckets for each power of two; below, one for each value */
#define HISTOGRAM_BUCKETS (HISTOGRAM_FINE * 36u) /* up to 2^41 ns, which is half an hour */

struct histogram {
	uint64_t count, max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ns)
{
	unsigned shift, bucket;

	if (ns < HISTOGRAM_FINE)
		return (unsigned)ns;
	shift  = 57 - (unsigned)__builtin_clzll(ns); /* so that ns >> shift is from 64 to 127 */
	bucket = shift * HISTOGRAM_FINE + (unsigned)(ns >> shift);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
	h->count++;
	h->max = ns > h->max ? ns : h->max;
	h->buckets[histogram_bucket(ns)]++;
}

static inline void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->max = from->max > into->max ? from->max : into->max;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

/* The least value of a bucket. */
static inline uint64_t histogram_value(unsigned bucket)
{
	unsigned shift = bucket < 2 * HISTOGRAM_FINE ? 0 : bucket / HISTOGRAM_FINE - 1;

	return (uint64_t)(bucket - shift * HISTOGRAM_FINE) << shift;
}

/* The value that `part` (0..1) of the calls stayed below. */
static inline double histogram_quantile(const struct histogram *h, double part)
{
	uint64_t rest = (uint64_t)((double)h->count * part);

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h->buckets[i] > rest)
			return (double)histogram_value(i);
		rest -= h->buckets[i];
	}
	return (double)h->max;
}

static inline void result_times(struct result *result, const struct histogram *times)
{
	result->p50_us	= histogram_quantile(times, 0.5) / 1e3;
	result->p99_us	= histogram_quantile(times, 0.99) / 1e3;
	result->p999_us = histogram_quantile(times, 0.999) / 1e3;
	result->max_us	= (double)times->max / 1e3;
}

#endif
