/* SPDX-License-Identifier: Apache-2.0 */
/* device/bounce.c: misaligned I/O, through an aligned buffer.
 *
 * Always true: the backend sees whole blocks in aligned memory, a window of them at a time. A write of a part of a block reads the
 * block, changes it and writes it back; the lock is held meanwhile, so two bounced writes never undo each other. What does not
 * bounce does not take the lock: the rest of a block that it writes at the same moment may be lost, as the header says. */
#include "backend.h"

#include <stdatomic.h>
#include <stdlib.h>

#define WINDOW_MAX (1u << 20)

struct device_bounce {
	pthread_mutex_t	 writes; /* held over a read-modify-write */
	_Atomic uint64_t count;
};

int device_bounce_create(struct device_bounce **out)
{
	struct device_bounce *bounce = calloc(1, sizeof(*bounce));

	if (!bounce)
		return fail(NOMEM, "no memory to open a device that bounces");
	pthread_mutex_init(&bounce->writes, NULL);
	*out = bounce;
	return 0;
}

void device_bounce_destroy(struct device_bounce *bounce)
{
	if (!bounce)
		return;
	pthread_mutex_destroy(&bounce->writes);
	free(bounce);
}

uint64_t device_bounced(const struct device *dev)
{
	return dev->bounce ? atomic_load_explicit(&dev->bounce->count, memory_order_relaxed) : 0;
}

int device_compare(uint64_t offset, const void *stored, const void *expected, uint64_t len)
{
	const uint8_t *a = stored, *b = expected;
	uint64_t       i = 0;

	if (memcmp(a, b, len) == 0)
		return 0;
	while (a[i] == b[i])
		i++;
	return fail(MISMATCH, "compare: the first difference is at %llu: the device has 0x%02x, the buffer 0x%02x",
		    (unsigned long long)(offset + i), a[i], b[i]);
}

/* Blocks of the device, and the part of them that the I/O is about. */
struct window {
	uint64_t offset, len; /* of the blocks */
	uint64_t done;	      /* bytes of the I/O before it */
	uint64_t skip, used;  /* of the blocks: bytes before the part, and in it */
	char	*blocks;
};

static uint64_t window_room(const tarn_dev_info *info)
{
	uint32_t room = MIN(info->max_transfer, WINDOW_MAX);

	return MAX(room - room % info->offset_alignment, info->offset_alignment);
}

static void window_set(struct window *w, const tarn_dev_info *info, const tarn_dev_io *io, uint64_t done)
{
	uint64_t alignment = info->offset_alignment, at = io->offset + done;

	w->done	  = done;
	w->skip	  = at % alignment;
	w->offset = at - w->skip;
	w->used	  = MIN(io->len - done, window_room(info) - w->skip);
	w->len	  = ROUND_UP(w->skip + w->used, alignment);
}

static int transfer(struct device *dev, tarn_dev_opcode opcode, uint8_t flags, const struct window *w)
{
	tarn_dev_io io = { .opcode = opcode, .flags = flags, .offset = w->offset, .len = w->len, .buf = w->blocks };

	return dev->backend->run(dev, &io);
}

static int read_window(struct device *dev, tarn_dev_io *io, const struct window *w)
{
	int rc = transfer(dev, TARN_DEV_READ, 0, w);

	if (!rc)
		device_copy_in(io, w->done, w->blocks + w->skip, w->used);
	return rc;
}

static int compare_window(struct device *dev, tarn_dev_io *io, const struct window *w)
{
	int rc = transfer(dev, TARN_DEV_READ, 0, w);

	if (rc)
		return rc;
	return device_compare(w->offset + w->skip, w->blocks + w->skip, (const char *)io->buf + w->done, w->used);
}

/* Only the first and the last block of a window can be partly old. */
static int read_edges(struct device *dev, const struct window *w)
{
	uint64_t      block = dev->info.offset_alignment, end = w->skip + w->used;
	struct window edge = { .offset = w->offset, .len = block, .blocks = w->blocks };
	bool	      head = w->skip || end < block, tail = end < w->len && w->len > block;
	int	      rc = head ? transfer(dev, TARN_DEV_READ, 0, &edge) : 0;

	edge.offset = w->offset + w->len - block;
	edge.blocks = w->blocks + w->len - block;
	return !rc && tail ? transfer(dev, TARN_DEV_READ, 0, &edge) : rc;
}

static int write_window(struct device *dev, tarn_dev_io *io, const struct window *w)
{
	int rc;

	pthread_mutex_lock(&dev->bounce->writes);
	rc = read_edges(dev, w);
	if (!rc) {
		device_copy_out(io, w->done, w->blocks + w->skip, w->used);
		rc = transfer(dev, TARN_DEV_WRITE, io->flags & TARN_DEV_IO_DURABLE, w);
	}
	pthread_mutex_unlock(&dev->bounce->writes);
	return rc;
}

/* Its place is that of a zone, its length is of whole blocks: only the memory is misaligned. */
static int append_window(struct device *dev, tarn_dev_io *io, const struct window *w)
{
	tarn_dev_io append = *io;
	int	    rc;

	device_copy_out(io, 0, w->blocks, io->len);
	append.buf = w->blocks;
	rc	   = dev->backend->run(dev, &append);
	io->offset = append.offset;
	return rc;
}

static int for_each_window(struct device *dev, tarn_dev_io *io, uint64_t room,
			   int (*step)(struct device *dev, tarn_dev_io *io, const struct window *w))
{
	uint64_t      len = io->len, alignment = dev->info.offset_alignment;
	struct window w	 = { .blocks = aligned_alloc(DEVICE_ALLOC_ALIGNMENT,
						     ROUND_UP(MIN(room, len + 2 * alignment), DEVICE_ALLOC_ALIGNMENT)) };
	int	      rc = 0;

	if (!w.blocks)
		return fail(NOMEM, "no memory for an aligned buffer of %llu bytes", (unsigned long long)MIN(room, len));
	for (uint64_t done = 0; !rc && done < len; done += w.used) {
		window_set(&w, &dev->info, io, done);
		rc = step(dev, io, &w);
	}
	free(w.blocks);
	return rc;
}

/* An append is one command: all of it is one window. */
static int append(struct device *dev, tarn_dev_io *io)
{
	struct window w	 = { .blocks = aligned_alloc(DEVICE_ALLOC_ALIGNMENT, ROUND_UP(io->len, DEVICE_ALLOC_ALIGNMENT)) };
	int	      rc = w.blocks ? append_window(dev, io, &w) : fail(NOMEM, "no memory for an aligned buffer");

	free(w.blocks);
	return rc;
}

static int write_zeros(struct device *dev, uint64_t offset, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_WRITE, .offset = offset, .len = len };
	int	    rc;

	if (!len)
		return 0;
	io.buf = calloc(1, len);
	if (!io.buf)
		return fail(NOMEM, "no memory for %llu zeros", (unsigned long long)len);
	rc = for_each_window(dev, &io, window_room(&dev->info), write_window);
	free(io.buf);
	return rc;
}

/* Discard and write-zeroes: the command for the whole blocks, which may be refused, then zeros up to them and behind them. */
static int clear(struct device *dev, const tarn_dev_io *io)
{
	uint64_t    block = dev->info.offset_alignment, end = io->offset + io->len;
	uint64_t    from = ROUND_UP(io->offset, block), to = end - end % block;
	tarn_dev_io whole = { .opcode = io->opcode, .offset = from, .len = to - from };
	int	    rc	  = 0;

	if (from >= to)
		return write_zeros(dev, io->offset, io->len);
	pthread_mutex_lock(&dev->bounce->writes);
	rc = dev->backend->run(dev, &whole);
	pthread_mutex_unlock(&dev->bounce->writes);
	if (!rc)
		rc = write_zeros(dev, io->offset, from - io->offset);
	return rc ? rc : write_zeros(dev, to, end - to);
}

int device_bounce_run(struct device *dev, tarn_dev_io *io)
{
	uint64_t room = window_room(&dev->info);

	atomic_fetch_add_explicit(&dev->bounce->count, 1, memory_order_relaxed);
	switch (io->opcode) {
	case TARN_DEV_READ:
		return for_each_window(dev, io, room, read_window);
	case TARN_DEV_WRITE:
		return for_each_window(dev, io, room, write_window);
	case TARN_DEV_COMPARE:
		return for_each_window(dev, io, room, compare_window);
	case TARN_DEV_ZONE_APPEND:
		return append(dev, io);
	default:
		return clear(dev, io);
	}
}
