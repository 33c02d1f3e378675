/* SPDX-License-Identifier: Apache-2.0 */
/* device/device.c: what is the same for every device: the checks, and doing one I/O.
 *
 * Always true: an I/O that breaks the device's geometry never reaches a backend. Nothing here is changed by an I/O, so nothing here
 * locks. */
#include "backend.h"

const tarn_dev_info *device_info(const struct device *dev)
{
	return &dev->info;
}

void device_close(struct device *dev)
{
	dev->backend->close(dev);
}

const char *device_opcode_name(tarn_dev_opcode opcode)
{
	static const char *const names[] = { "read", "write", "flush", "discard" };

	return (unsigned)opcode < ARRAY_LEN(names) ? names[opcode] : "command";
}

void device_io_finish(tarn_dev_io *io, int rc)
{
	io->rc	       = rc;
	io->message[0] = '\0';
	if (rc < 0)
		strncat(io->message, base_message(), sizeof(io->message) - 1);
}

static int check_place(const tarn_dev_info *info, tarn_dev_opcode opcode, uint64_t offset, uint64_t len)
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

static int check_buffer(const tarn_dev_info *info, const tarn_dev_io *io)
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

int device_check_io(const struct device *dev, const tarn_dev_io *io)
{
	bool has_place	= io->opcode != TARN_DEV_FLUSH;
	bool has_buffer = io->opcode == TARN_DEV_READ || io->opcode == TARN_DEV_WRITE;
	int  rc		= 0;

	if ((unsigned)io->opcode > TARN_DEV_DISCARD)
		return fail(NOTSUPPORTED, "device command %d: there is none with that number", (int)io->opcode);
	if (dev->info.readonly && (io->opcode == TARN_DEV_WRITE || io->opcode == TARN_DEV_DISCARD))
		return fail(EP_RO, "%s refused: the device is open for reading only", device_opcode_name(io->opcode));
	if (io->flags & TARN_DEV_IO_DURABLE && io->opcode != TARN_DEV_WRITE)
		return fail(INVAL, "durable %s: only a write can be", device_opcode_name(io->opcode));
	if (has_place)
		rc = check_place(&dev->info, io->opcode, io->offset, io->len);
	if (!rc && has_buffer)
		rc = check_buffer(&dev->info, io);
	return rc;
}

static int run(struct device_queue *queue, tarn_dev_io *io)
{
	int rc = device_check_io(queue->dev, io);

	return rc ? rc : queue->dev->backend->run(queue, io);
}

/* In steps of max_transfer; `like` says what to do, with the buffer of the first. The whole is checked first, so that a part of what
 * is refused is not done. */
static int run_split(struct device_queue *queue, const tarn_dev_io *like)
{
	uint64_t max = queue->dev->info.max_transfer;
	int	 rc  = check_place(&queue->dev->info, like->opcode, like->offset, like->len);

	for (uint64_t done = 0; !rc && done < like->len; done += max) {
		tarn_dev_io io = *like;

		io.offset = like->offset + done;
		io.buf	  = like->buf ? (char *)like->buf + done : NULL;
		io.len	  = MIN(like->len - done, max);
		rc	  = run(queue, &io);
	}
	return rc;
}

int device_read(struct device_queue *queue, uint64_t offset, void *buf, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_READ, .offset = offset, .buf = buf, .len = len };

	return run_split(queue, &io);
}

/* A write only reads its buffer. */
static tarn_dev_io write_of(uint64_t offset, const void *buf, uint64_t len, bool durable)
{
	return (tarn_dev_io){ .opcode = TARN_DEV_WRITE,
			      .offset = offset,
			      .buf    = (void *)(uintptr_t)buf,
			      .len    = len,
			      .flags  = durable ? TARN_DEV_IO_DURABLE : 0 };
}

int device_write(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len)
{
	tarn_dev_io io = write_of(offset, buf, len, false);

	return run_split(queue, &io);
}

int device_write_durable(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len)
{
	tarn_dev_io io = write_of(offset, buf, len, true);

	return run_split(queue, &io);
}

int device_flush(struct device_queue *queue)
{
	tarn_dev_io io = { .opcode = TARN_DEV_FLUSH };

	return run(queue, &io);
}

int device_discard(struct device_queue *queue, uint64_t offset, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_DISCARD, .offset = offset, .len = len };

	return run(queue, &io);
}
