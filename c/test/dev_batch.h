/* SPDX-License-Identifier: Apache-2.0 */
/* test/dev_batch.h: many I/Os of one kind, one after the other on the device, and the memory they move. */
#ifndef TARN_DEV_BATCH_H
#define TARN_DEV_BATCH_H

#include "dev_targets.h"

struct dev_batch {
	uint32_t      n;
	uint8_t	     *bytes; /* UNIT for each */
	tarn_dev_io  *ios;
	tarn_dev_io **list;
	unsigned     *seen; /* how often each was reaped */
};

static inline void batch_make(struct dev_batch *b, uint32_t n)
{
	*b = (struct dev_batch){ .n	= n,
				 .bytes = new_buffer((size_t)n * UNIT),
				 .ios	= calloc(n, sizeof(*b->ios)),
				 .list	= calloc(n, sizeof(tarn_dev_io *)),
				 .seen	= calloc(n, sizeof(*b->seen)) };
	assert_true(b->ios && b->list && b->seen);
	for (uint32_t i = 0; i < n; i++)
		b->list[i] = &b->ios[i];
}

static inline void batch_free(struct dev_batch *b)
{
	tarn_dev_free(b->bytes, (size_t)b->n * UNIT, 0);
	free(b->ios);
	free(b->list);
	free(b->seen);
}

static inline void close_queue(tarn_dev_queue *queue)
{
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
}

/* Each on its own UNIT. */
static inline void batch_fill(struct dev_batch *b, tarn_dev_opcode opcode, uint8_t flags)
{
	for (uint32_t i = 0; i < b->n; i++) {
		bool moves = opcode == TARN_DEV_READ || opcode == TARN_DEV_WRITE || opcode == TARN_DEV_COMPARE;

		memset(&b->ios[i], 0xa5, sizeof(b->ios[i])); /* only the upper part is the caller's to set */
		b->ios[i].opcode    = (uint8_t)opcode;
		b->ios[i].flags	    = flags;
		b->ios[i].fixed	    = 0;
		b->ios[i].vec_count = 0;
		b->ios[i].offset    = (uint64_t)i * UNIT;
		b->ios[i].len	    = opcode == TARN_DEV_FLUSH || opcode == TARN_DEV_NOP ? 0 : UNIT;
		b->ios[i].buf	    = moves ? b->bytes + (size_t)i * UNIT : NULL;
		b->ios[i].tag	    = i;
		b->seen[i]	    = 0;
	}
}

static inline void batch_note(struct dev_batch *b, tarn_dev_io **done, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_true(done[i]->tag < b->n);
		assert_ptr_equal(done[i], &b->ios[done[i]->tag]);
		assert_int_equal(b->seen[done[i]->tag]++, 0);
	}
}

/* All of them through the queue, each reaped once. */
static inline void batch_run(tarn_dev_queue *queue, struct dev_batch *b)
{
	tarn_dev_io *done[16];
	uint32_t     started = 0, reaped = 0, n;

	while (reaped < b->n) {
		started += tarn_dev_queue_submit(queue, b->list + started, b->n - started);
		n = tarn_dev_queue_reap(queue, 1, ARRAY_LEN(done), WAIT_US, done);
		assert_true(n > 0);
		batch_note(b, done, n);
		reaped += n;
	}
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, WAIT_US, done), 0); /* nothing is in flight: it does not wait */
}

static inline void batch_assert_ok(const struct dev_batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->ios[i].rc)
			fail_msg("I/O %u: %s: %s", i, tarn_errname(b->ios[i].rc), b->ios[i].message);
		assert_int_equal(b->ios[i].message[0], '\0');
	}
}

static inline void batch_do(tarn_dev_queue *queue, struct dev_batch *b, tarn_dev_opcode opcode, uint8_t flags)
{
	batch_fill(b, opcode, flags);
	batch_run(queue, b);
	batch_assert_ok(b);
}

/* Bytes of their own on the device from 0 on: through the queue, or, where a zone wants them in order, not. */
static inline void batch_write(struct rig *r, tarn_dev_queue *queue, struct dev_batch *b, uint64_t what)
{
	test_fill(b->bytes, (size_t)b->n * UNIT, test_seed() + what);
	if (!r->info.zoned)
		return batch_do(queue, b, TARN_DEV_WRITE, what % 2 ? TARN_DEV_IO_DURABLE : 0);
	reset_zones(r);
	assert_ok(tarn_dev_write(r->dev, 0, b->bytes, (uint64_t)b->n * UNIT, 0));
}

/* The device has the same bytes, as the queue reads them. */
static inline void batch_verify(tarn_dev_queue *queue, struct dev_batch *b)
{
	uint8_t *expected = b->bytes;

	b->bytes = new_buffer((size_t)b->n * UNIT);
	batch_do(queue, b, TARN_DEV_READ, 0);
	assert_memory_equal(b->bytes, expected, (size_t)b->n * UNIT);
	tarn_dev_free(b->bytes, (size_t)b->n * UNIT, 0);
	b->bytes = expected;
}

#endif
