/* SPDX-License-Identifier: Apache-2.0 */
/* device/run.c: one I/O that waits, in steps of max_transfer.
 *
 * Always true: the whole is checked first, so that a part of what is refused is not done; then the steps are done in the order of
 * their offsets, up to the first that fails. A step begins and ends at aligned places, in a vector too. */
#include "backend.h"

static int run_split(struct device *dev, const tarn_dev_io *whole)
{
	uint64_t max = dev->info.max_transfer;
	int	 rc  = 0;

	for (uint64_t done = 0; !rc && done < whole->len; done += max) {
		tarn_dev_io io = *whole;

		io.offset = whole->offset + done;
		io.buf	  = (char *)whole->buf + done;
		io.len	  = MIN(whole->len - done, max);
		rc	  = dev->backend->run(dev, &io);
	}
	return rc;
}

/* Where a walk through a vector stands. */
struct cursor {
	const tarn_dev_vec *piece;
	uint64_t	    used; /* bytes of it that are behind */
};

/* The next bytes of the vector, max at most, as pieces; a piece is cut at an aligned address only. Returns how many bytes. */
static uint64_t next_step(struct cursor *at, uint64_t left, uint64_t max, uint32_t alignment, tarn_dev_vec *pieces, uint32_t *n)
{
	uint64_t sum = 0, room, len;

	for (*n = 0; sum < left && sum < max; sum += len) {
		room = at->piece->len - at->used;
		len  = MIN(room, max - sum);
		len -= len < room ? len % alignment : 0;
		if (!len)
			break;
		pieces[(*n)++] = (tarn_dev_vec){ (char *)at->piece->ptr + at->used, len };
		at->used += len;
		if (at->used == at->piece->len)
			*at = (struct cursor){ at->piece + 1, 0 };
	}
	return sum;
}

static int run_vector_split(struct device *dev, const tarn_dev_io *whole)
{
	uint32_t      alignment = MAX(dev->info.memory_alignment, dev->info.offset_alignment);
	struct cursor at	= { whole->buf, 0 };
	tarn_dev_vec  pieces[TARN_DEV_VEC_MAX];
	uint64_t      done = 0;
	int	      rc   = 0;

	while (!rc && done < whole->len) {
		tarn_dev_io io = *whole;

		io.offset = whole->offset + done;
		io.buf	  = pieces;
		io.len	  = next_step(&at, whole->len - done, dev->info.max_transfer, alignment, pieces, &io.vec_count);
		rc	  = dev->backend->run(dev, &io);
		done += io.len;
	}
	return rc;
}

static int run_checked(struct device *dev, tarn_dev_io *io)
{
	if (!device_moves_data(io->opcode) || io->len <= dev->info.max_transfer)
		return dev->backend->run(dev, io);
	return io->flags & TARN_DEV_IO_VECTOR ? run_vector_split(dev, io) : run_split(dev, io);
}

int device_run(struct device *dev, tarn_dev_io *io)
{
	uint64_t longest = io->opcode == TARN_DEV_ZONE_APPEND ? dev->info.max_transfer : UINT64_MAX;
	int	 rc	 = device_check_length(dev, io, longest);

	if (rc < 0)
		return rc;
	if (io->flags & TARN_DEV_IO_FIXED)
		return fail(INVAL, "%s with a registered buffer: only a queue has those", device_opcode_name(io->opcode));
	return rc == DEVICE_BOUNCES ? device_bounce_run(dev, io) : run_checked(dev, io);
}

int device_read(struct device_queue *queue, uint64_t offset, void *buf, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_READ, .offset = offset, .buf = buf, .len = len };

	return device_run(queue->dev, &io);
}

/* A write only reads its buffer. */
static int write_with(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len, uint8_t flags)
{
	tarn_dev_io io = {
		.opcode = TARN_DEV_WRITE, .flags = flags, .offset = offset, .buf = (void *)(uintptr_t)buf, .len = len
	};

	return device_run(queue->dev, &io);
}

int device_write(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len)
{
	return write_with(queue, offset, buf, len, 0);
}

int device_write_durable(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len)
{
	return write_with(queue, offset, buf, len, TARN_DEV_IO_DURABLE);
}

int device_flush(struct device_queue *queue)
{
	tarn_dev_io io = { .opcode = TARN_DEV_FLUSH };

	return device_run(queue->dev, &io);
}

int device_discard(struct device_queue *queue, uint64_t offset, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_DISCARD, .offset = offset, .len = len };

	return device_run(queue->dev, &io);
}
