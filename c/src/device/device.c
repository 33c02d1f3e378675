/* SPDX-License-Identifier: Apache-2.0 */
/* device/device.c: what is the same for every device: the checks, the bookkeeping of queues, and waiting for one I/O.
 *
 * Always true: an I/O that breaks the device's geometry never reaches a backend. It is finished here, and reaped like any other.
 * A queue belongs to one thread at a time, so nothing here locks. */
#include "backend.h"

#include <stdatomic.h>
#include <stdlib.h>

const tarn_dev_info *device_info(const struct device *dev)
{
	return &dev->info;
}

void device_close(struct device *dev)
{
	dev->backend->close(dev);
}

void *device_alloc(size_t len)
{
	size_t room = ROUND_UP(MAX(len, (size_t)1), DEVICE_ALLOC_ALIGNMENT);
	void  *buf;

	if (room < len)
		return NULL;
	buf = aligned_alloc(DEVICE_ALLOC_ALIGNMENT, room);
	return buf ? memset(buf, 0, room) : NULL;
}

void device_free(void *buf)
{
	free(buf);
}

const char *device_opcode_name(enum device_opcode opcode)
{
	static const char *const names[] = { "read", "write", "flush", "discard" };

	return (unsigned)opcode < ARRAY_LEN(names) ? names[opcode] : "command";
}

void device_io_finish(struct device_io *io, int rc)
{
	io->rc	       = rc;
	io->message[0] = '\0';
	if (rc < 0)
		strncat(io->message, base_message(), sizeof(io->message) - 1);
}

int device_queue_open(struct device *dev, unsigned depth, struct device_queue **out)
{
	struct device_queue *queue;
	int		     rc;

	if (!depth || depth > DEVICE_DEPTH_MAX)
		return fail(INVAL, "queue depth %u: use 1 to %u", depth, DEVICE_DEPTH_MAX);
	rc = dev->backend->queue_open(dev, depth, &queue);
	if (rc)
		return rc;
	queue->dev	 = dev;
	queue->depth	 = depth;
	queue->in_flight = 0;
	queue->done	 = (struct device_done){ NULL, NULL };
	atomic_fetch_add(&dev->queues, 1);
	*out = queue;
	return 0;
}

/* Takes at least min of what is in flight from the backend into queue->done. */
static void collect(struct device_queue *queue, unsigned min)
{
	struct device_io *ios[16];
	unsigned	  n;

	n = queue->dev->backend->reap(queue, min, ARRAY_LEN(ios), ios);
	queue->in_flight -= n;
	for (unsigned i = 0; i < n; i++)
		device_done_add(&queue->done, ios[i]);
}

void device_queue_close(struct device_queue *queue)
{
	struct device *dev = queue->dev;

	while (queue->in_flight)
		collect(queue, 1);
	dev->backend->queue_close(queue);
	atomic_fetch_sub(&dev->queues, 1);
}

static int check_place(const tarn_dev_info *info, enum device_opcode opcode, uint64_t offset, uint64_t len)
{
	const char	  *what = device_opcode_name(opcode);
	unsigned long long at = offset, bytes = len;

	if (!len)
		return fail(INVAL, "%s of 0 bytes at %llu", what, at);
	if (offset % info->offset_alignment)
		return fail(INVAL, "%s at offset %llu: not a multiple of %u", what, at, info->offset_alignment);
	if (len % info->offset_alignment)
		return fail(INVAL, "%s of length %llu: not a multiple of %u", what, bytes, info->offset_alignment);
	if (len > info->size || offset > info->size - len)
		return fail(INVAL, "%s of %llu bytes at %llu: the device ends at %llu", what, bytes, at,
			    (unsigned long long)info->size);
	return 0;
}

static int check_buffer(const tarn_dev_info *info, const struct device_io *io)
{
	const char *what = device_opcode_name(io->opcode);

	if (!io->buf)
		return fail(INVAL, "%s of %llu bytes without a buffer", what, (unsigned long long)io->len);
	if ((uintptr_t)io->buf % info->memory_alignment)
		return fail(INVAL, "%s with a buffer at %p: not a multiple of %u", what, io->buf, info->memory_alignment);
	if (io->len > info->max_transfer)
		return fail(INVAL, "%s of %llu bytes: at most %u in one command", what, (unsigned long long)io->len,
			    info->max_transfer);
	return 0;
}

static int check_io(const struct device *dev, const struct device_io *io)
{
	bool has_place	= io->opcode != DEVICE_FLUSH;
	bool has_buffer = io->opcode == DEVICE_READ || io->opcode == DEVICE_WRITE;
	int  rc		= 0;

	if ((unsigned)io->opcode > DEVICE_DISCARD)
		return fail(NOTSUPPORTED, "device command %d: there is none with that number", (int)io->opcode);
	if (dev->info.readonly && (io->opcode == DEVICE_WRITE || io->opcode == DEVICE_DISCARD))
		return fail(EP_RO, "%s refused: the device is open for reading only", device_opcode_name(io->opcode));
	if (has_place)
		rc = check_place(&dev->info, io->opcode, io->offset, io->len);
	if (!rc && has_buffer)
		rc = check_buffer(&dev->info, io);
	return rc;
}

void device_submit(struct device_queue *queue, struct device_io *io)
{
	int rc = check_io(queue->dev, io);

	if (rc) {
		device_io_finish(io, rc);
		device_done_add(&queue->done, io);
		return;
	}
	if (queue->in_flight == queue->depth)
		collect(queue, 1);
	queue->in_flight++;
	queue->dev->backend->submit(queue, io);
}

unsigned device_reap(struct device_queue *queue, unsigned min, unsigned max, struct device_io **ios)
{
	unsigned n = 0, more, wait;

	while (n < max && queue->done.first)
		ios[n++] = device_done_take(&queue->done);
	if (n == max || !queue->in_flight)
		return n;
	wait = min > n ? MIN(MIN(min, max) - n, queue->in_flight) : 0;
	more = queue->dev->backend->reap(queue, wait, max - n, ios + n);
	queue->in_flight -= more;
	return n + more;
}

int device_run_queued(struct device_queue *queue, struct device_io *io)
{
	struct device_io *done;

	device_submit(queue, io);
	device_reap(queue, 1, 1, &done);
	if (io->rc < 0)
		base_set_message(io->message);
	return io->rc;
}

/* Does io and waits for it: the only one on the queue. */
static int run(struct device_queue *queue, struct device_io *io)
{
	int rc = check_io(queue->dev, io);

	return rc ? rc : queue->dev->backend->run(queue, io);
}

/* In steps of max_transfer. The whole is checked first, so that a part of what is refused is not done. */
static int run_split(struct device_queue *queue, enum device_opcode opcode, uint64_t offset, char *buf, uint64_t len)
{
	uint64_t max = queue->dev->info.max_transfer, step;
	int	 rc  = check_place(&queue->dev->info, opcode, offset, len);

	for (uint64_t done = 0; !rc && done < len; done += step) {
		struct device_io io = { .opcode = opcode, .offset = offset + done };

		step   = MIN(len - done, max);
		io.buf = buf ? buf + done : NULL;
		io.len = step;
		rc     = run(queue, &io);
	}
	return rc;
}

int device_read(struct device_queue *queue, uint64_t offset, void *buf, uint64_t len)
{
	return run_split(queue, DEVICE_READ, offset, buf, len);
}

int device_write(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len)
{
	return run_split(queue, DEVICE_WRITE, offset, (char *)(uintptr_t)buf, len); /* a write only reads it */
}

int device_flush(struct device_queue *queue)
{
	struct device_io io = { .opcode = DEVICE_FLUSH };

	return run(queue, &io);
}

int device_discard(struct device_queue *queue, uint64_t offset, uint64_t len)
{
	struct device_io io = { .opcode = DEVICE_DISCARD, .offset = offset, .len = len };

	return run(queue, &io);
}
