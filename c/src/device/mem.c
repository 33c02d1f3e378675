/* SPDX-License-Identifier: Apache-2.0 */
/* device/mem.c: a device in memory, zeroed when it is opened and gone when it is closed.
 *
 * Always true: an I/O is done in submit, so what completes, completes in order, and a flush or a durable write has nothing more to
 * do. Threads may use it at once; what they do to the same bytes is theirs to order, as on a disk. */
#include "zones.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMORY_ALIGNMENT 512u
#define MAX_TRANSFER	 (1u << 20)

struct mem_device {
	struct device base;
	uint8_t	     *image;
	struct zones *zones; /* NULL: none */
};

static struct mem_device *mem_of(struct device *dev)
{
	return container_of(dev, struct mem_device, base);
}

static int perform(const struct mem_device *mem, const tarn_dev_io *io)
{
	uint8_t *place = mem->image + io->offset;

	switch ((tarn_dev_opcode)io->opcode) {
	case TARN_DEV_READ:
		device_copy_in(io, 0, place, io->len);
		break;
	case TARN_DEV_WRITE:
	case TARN_DEV_ZONE_APPEND:
		device_copy_out(io, 0, place, io->len);
		break;
	case TARN_DEV_DISCARD:
	case TARN_DEV_WRITE_ZEROES:
		memset(place, 0, io->len);
		break;
	case TARN_DEV_COMPARE:
		return device_compare(io->offset, place, io->buf, io->len);
	case TARN_DEV_FLUSH:
	case TARN_DEV_NOP:
		break;
	}
	return 0;
}

static int mem_run(struct device *dev, tarn_dev_io *io)
{
	struct mem_device *mem = mem_of(dev);
	int		   rc  = mem->zones ? zones_claim(mem->zones, io) : 0;

	return rc ? rc : perform(mem, io);
}

static void wipe(struct device *dev, uint64_t offset, uint64_t len)
{
	memset(mem_of(dev)->image + offset, 0, len);
}

static int mem_zone_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count)
{
	return zones_report(mem_of(dev)->zones, offset, zones, count);
}

static int mem_zone_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len)
{
	return zones_manage(mem_of(dev)->zones, dev, action, offset, len);
}

static void mem_submit(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		device_io_finish(ios[i], mem_run(queue->dev, ios[i]));
		device_queue_done(queue, ios[i]);
	}
}

static int mem_queue_open(struct device *dev, const struct device_queue_options *options, struct device_queue **out)
{
	struct device_queue *queue = calloc(1, sizeof(*queue));

	(void)dev;
	if (!queue)
		return fail(NOMEM, "no memory for a queue of depth %u", options->depth);
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
	struct mem_device *mem = mem_of(dev);

	zones_destroy(mem->zones);
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
	.cancel	     = device_cancels_nothing,
	.adapt	     = device_adapts_by_itself,
	.run	     = mem_run,
	.zone_report = mem_zone_report,
	.zone_manage = mem_zone_manage,
	.close	     = mem_close,
};

static void fill_info(tarn_dev_info *info, const struct device_params *params)
{
	*info = (tarn_dev_info){
		.kind		  = "mem",
		.backend	  = "mem",
		.size		  = params->size,
		.logical_block	  = (uint32_t)params->block,
		.physical_block	  = (uint32_t)params->block,
		.memory_alignment = MEMORY_ALIGNMENT,
		.offset_alignment = (uint32_t)params->block,
		.max_transfer	  = MAX_TRANSFER,
		.direct		  = 1,
	};
	snprintf(info->uri, sizeof(info->uri), "mem:%s", params->text);
	zones_describe(params, info);
}

int mem_open(const struct device_params *params, struct device **dev)
{
	struct mem_device *mem = calloc(1, sizeof(*mem));
	int		   rc;

	if (!mem)
		return fail(NOMEM, "no memory for a memory device");
	rc = zones_create(params, wipe, &mem->zones);
	if (rc)
		goto free_mem;
	mem->image = calloc(1, params->size);
	if (!mem->image) {
		rc = fail(NOMEM, "no memory for a memory device of %llu bytes", (unsigned long long)params->size);
		goto free_zones;
	}
	mem->base.backend = &mem_backend;
	fill_info(&mem->base.info, params);
	*dev = &mem->base;
	return 0;

free_zones:
	zones_destroy(mem->zones);
free_mem:
	free(mem);
	return rc;
}
