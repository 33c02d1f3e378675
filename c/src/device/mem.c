/* SPDX-License-Identifier: Apache-2.0 */
/* device/mem.c: a device in memory, zeroed when it is opened and gone when it is closed.
 *
 * Always true: an I/O is done in submit, so what completes, completes in order, and a flush or a durable write has nothing more to
 * do. Threads may use it at once; what they do to the same bytes is theirs to order, as on a disk. */
#include "backend.h"

#include <stdio.h>
#include <stdlib.h>

#define BLOCK	     512u
#define MAX_TRANSFER (1u << 20)

struct mem_device {
	struct device base;
	uint8_t	     *image;
};

static void perform(const struct mem_device *mem, const tarn_dev_io *io)
{
	uint8_t *place = mem->image + io->offset;

	switch (io->opcode) {
	case TARN_DEV_READ:
		memcpy(io->buf, place, io->len);
		break;
	case TARN_DEV_WRITE:
		memcpy(place, io->buf, io->len);
		break;
	case TARN_DEV_DISCARD:
		memset(place, 0, io->len);
		break;
	case TARN_DEV_FLUSH:
		break;
	}
}

static int mem_run(struct device_queue *queue, tarn_dev_io *io)
{
	perform(container_of(queue->dev, struct mem_device, base), io);
	return 0;
}

static void mem_submit(struct device_queue *queue, tarn_dev_io **ios, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		device_io_finish(ios[i], mem_run(queue, ios[i]));
		device_queue_done(queue, ios[i]);
	}
}

static int mem_queue_open(struct device *dev, unsigned depth, struct device_queue **out)
{
	struct device_queue *queue = calloc(1, sizeof(*queue));

	(void)dev;
	if (!queue)
		return fail(NOMEM, "no memory for a queue of depth %u", depth);
	queue->fetching = true; /* it pushes */
	*out		= queue;
	return 0;
}

static void mem_queue_close(struct device_queue *queue)
{
	(void)queue; /* it has nothing of its own */
}

static void mem_close(struct device *dev)
{
	struct mem_device *mem = container_of(dev, struct mem_device, base);

	free(mem->image);
	free(mem);
}

static const struct device_backend mem_backend = {
	.name	     = "mem",
	.queue_open  = mem_queue_open,
	.queue_close = mem_queue_close,
	.submit	     = mem_submit,
	.reap	     = device_pushed_reap,
	.wake	     = device_pushed_wake,
	.run	     = mem_run,
	.close	     = mem_close,
};

static void fill_info(tarn_dev_info *info, uint64_t size)
{
	*info = (tarn_dev_info){
		.kind		  = "mem",
		.backend	  = "mem",
		.size		  = size,
		.logical_block	  = BLOCK,
		.physical_block	  = BLOCK,
		.memory_alignment = BLOCK,
		.offset_alignment = BLOCK,
		.max_transfer	  = MAX_TRANSFER,
		.direct		  = 1,
	};
	snprintf(info->uri, sizeof(info->uri), "mem:%llu", (unsigned long long)size);
}

int mem_open(uint64_t size, struct device **dev)
{
	struct mem_device *mem;

	if (!size || size % BLOCK)
		return fail(INVAL, "memory device of %llu bytes: use a multiple of %u", (unsigned long long)size, BLOCK);
	mem = calloc(1, sizeof(*mem));
	if (!mem)
		return fail(NOMEM, "no memory for a memory device");
	mem->image = size <= PTRDIFF_MAX ? calloc(1, size) : NULL;
	if (!mem->image) {
		free(mem);
		return fail(NOMEM, "no memory for a memory device of %llu bytes", (unsigned long long)size);
	}
	mem->base.backend = &mem_backend;
	fill_info(&mem->base.info, size);
	*dev = &mem->base;
	return 0;
}
