/* SPDX-License-Identifier: Apache-2.0 */
/* test/medium.h: a device on an image of 1 MiB in memory, which is put back as it was at the cost of what has changed.
 *
 * `changed` are the blocks that differ from `before`, or may; who pokes into the image says so there. `read` are those that were read
 * before anything was written to them. Reading any of `unreadable` is an error, until it is written. */
#ifndef TARN_MEDIUM_H
#define TARN_MEDIUM_H

#include "../src/device/backend.h"
#include "../src/store/layout.h"
#include <stdlib.h>

#define DISK   (1u << 20)
#define BLOCKS (DISK / BLOCK)

struct medium {
	struct device base;
	uint8_t	      image[DISK], before[DISK];
	bool	      changed[BLOCKS], read[BLOCKS], unreadable[BLOCKS];
};

static inline void medium_move(struct medium *m, const tarn_dev_io *io)
{
	bool		    pieces = io->flags & TARN_DEV_IO_VECTOR;
	tarn_dev_vec	    whole  = { io->buf, io->len };
	const tarn_dev_vec *vec	   = pieces ? io->buf : &whole;
	uint8_t		   *at	   = m->image + io->offset;

	for (uint32_t i = 0; i < (pieces ? io->vec_count : 1); at += vec[i++].len) {
		if (io->opcode == TARN_DEV_READ)
			memcpy(vec[i].ptr, at, vec[i].len);
		else if (io->opcode == TARN_DEV_WRITE)
			memcpy(at, vec[i].ptr, vec[i].len);
	}
}

static inline int medium_run(struct device *dev, tarn_dev_io *io)
{
	struct medium *m = container_of(dev, struct medium, base);

	for (uint64_t b = io->offset / BLOCK; b < DIV_UP(io->offset + io->len, BLOCK) && io->opcode != TARN_DEV_FLUSH; b++) {
		m->changed[b] |= io->opcode != TARN_DEV_READ;
		m->read[b] |= io->opcode == TARN_DEV_READ && !m->changed[b];
		if (io->opcode == TARN_DEV_READ && m->unreadable[b])
			return fail(IO, "block %llu cannot be read", (unsigned long long)b);
		m->unreadable[b] &= io->opcode == TARN_DEV_READ;
	}
	medium_move(m, io);
	return 0;
}

static inline void medium_submit(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		device_io_finish(ios[i], medium_run(queue->dev, ios[i]));
		device_queue_done(queue, ios[i]);
	}
}

static inline int medium_queue_open(struct device *dev, const struct device_queue_options *options, struct device_queue **queue)
{
	(void)dev, (void)options;
	*queue = calloc(1, sizeof(**queue));
	if (!*queue)
		return fail(NOMEM, "no memory for a queue");
	(*queue)->fetching = true;
	return 0;
}

static inline void medium_queue_close(struct device_queue *queue)
{
	(void)queue;
}

static inline void medium_close(struct device *dev)
{
	(void)dev;
}

static const struct device_backend medium_backend = {
	.name	     = "medium",
	.queue_open  = medium_queue_open,
	.queue_close = medium_queue_close,
	.submit	     = medium_submit,
	.reap	     = device_pushed_reap,
	.wake	     = device_pushed_wake,
	.cancel	     = device_cancels_nothing,
	.adapt	     = device_adapts_by_itself,
	.run	     = medium_run,
	.zone_report = device_no_zones_report,
	.zone_manage = device_no_zones_manage,
	.close	     = medium_close,
};

static inline void medium_restore(struct medium *m)
{
	for (unsigned b = 0; b < BLOCKS; b++)
		if (m->changed[b])
			memcpy(m->image + b * BLOCK, m->before + b * BLOCK, BLOCK);
	memset(m->changed, 0, sizeof(m->changed));
}

static inline struct medium *medium_new(void)
{
	struct medium *m = calloc(1, sizeof(*m));

	if (m) {
		m->base.backend = &medium_backend;
		m->base.info	= (tarn_dev_info){ .kind	     = "mem",
						   .backend	     = "medium",
						   .size	     = DISK,
						   .logical_block    = 512,
						   .physical_block   = 512,
						   .memory_alignment = 512,
						   .offset_alignment = 512,
						   .max_transfer     = DISK,
						   .direct	     = 1 };
	}
	return m;
}

/* From now on this is how it was. */
static inline void medium_keep(struct medium *m)
{
	memcpy(m->before, m->image, DISK);
	memset(m->changed, 0, sizeof(m->changed));
}

#endif
