/* SPDX-License-Identifier: Apache-2.0 */
/* cgo.h: what package device needs between Go and tarn/dev.h, dev_queue.h, dev_zone.h.
 *
 * A Device's own I/Os stand in one C array; an I/O's tag is its index there, and is how it is named between Go and C. */
#ifndef TARN_GO_DEVICE_CGO_H
#define TARN_GO_DEVICE_CGO_H

#include <stdlib.h>
#include <tarn/tarn.h>

#define GO_BATCH 64

/* What Go learns of one completion. */
typedef struct go_done {
	uint32_t slot;
	int32_t	 rc;
} go_done;

/* An array of I/Os of Go's, lent for one call. */
typedef struct go_ios {
	tarn_dev_io **ptr;
	uint32_t      len;
} go_ios;

/* Unlike C.malloc, NULL when there is no memory. */
static inline void *go_alloc(size_t n, size_t size)
{
	return calloc(n, size);
}

static inline uint32_t go_told(tarn_dev_io **ios, uint32_t n, go_done *done)
{
	for (uint32_t i = 0; i < n; i++)
		done[i] = (go_done){ (uint32_t)ios[i]->tag, ios[i]->rc };
	return n;
}

/* Reaps once, without waiting. done has room for GO_BATCH. */
static inline uint32_t go_reap(tarn_dev_queue *queue, go_done *done)
{
	tarn_dev_io *ios[GO_BATCH];

	return go_told(ios, tarn_dev_queue_reap(queue, 0, GO_BATCH, 0, ios), done);
}

static inline uint32_t go_named(tarn_dev_io *slots, const uint32_t *which, uint32_t n, tarn_dev_io **ios)
{
	n = n < GO_BATCH ? n : GO_BATCH;
	for (uint32_t i = 0; i < n; i++)
		ios[i] = &slots[which[i]];
	return n;
}

/* Starts the I/Os of the first slots in `which`, at most GO_BATCH. Returns how many. */
static inline uint32_t go_submit(tarn_dev_queue *queue, tarn_dev_io *slots, const uint32_t *which, uint32_t n)
{
	tarn_dev_io *ios[GO_BATCH];

	n = go_named(slots, which, n, ios);
	return tarn_dev_queue_submit(queue, ios, n);
}

/* The same, and reaps what has completed, without waiting. *reaped: how many. */
static inline uint32_t go_submit_reap(tarn_dev_queue *queue, tarn_dev_io *slots, const uint32_t *which, uint32_t n, go_done *done,
				      uint32_t *reaped)
{
	tarn_dev_io *ios[GO_BATCH], *out[GO_BATCH];
	uint32_t     started = 0;

	n	= go_named(slots, which, n, ios);
	*reaped = go_told(out, tarn_dev_queue_submit_and_reap(queue, ios, n, &started, 0, GO_BATCH, 0, out), done);
	return started;
}

static inline uint32_t go_queue_submit(tarn_dev_queue *queue, go_ios ios)
{
	return tarn_dev_queue_submit(queue, ios.ptr, ios.len);
}

static inline uint32_t go_queue_reap(tarn_dev_queue *queue, uint32_t min, int64_t timeout_us, go_ios out)
{
	return tarn_dev_queue_reap(queue, min, out.len, timeout_us, out.ptr);
}

static inline uint32_t go_queue_both(tarn_dev_queue *queue, go_ios ios, uint32_t min, int64_t timeout_us, go_ios out,
				     uint32_t *started)
{
	return tarn_dev_queue_submit_and_reap(queue, ios.ptr, ios.len, started, min, out.len, timeout_us, out.ptr);
}

#endif
