/* SPDX-License-Identifier: Apache-2.0 */
/* device/sim.c: the simulated disk as a device: its queues, and when the power goes. What is always true stands in sim_disk.h. */
#include "sim_disk.h"

#include <stdio.h>
#include <stdlib.h>

struct sim_device {
	struct device	 base;
	struct sim_disk *disk;
	bool		 owns_disk;
};

static struct sim_disk *disk_of(struct device_queue *queue)
{
	return container_of(queue->dev, struct sim_device, base)->disk;
}

/* Lock held, as in all that follows up to the slots of the backend. */
static void power_off(struct sim_disk *disk)
{
	disk->cut = true;
	for (struct sim_queue *q = disk->queues; q; q = q->next)
		for (unsigned i = 0; i < q->count; i++)
			sim_join_volatile(disk, &q->ios[i]);
}

/* Puts io in flight, as the last of q. */
static void start(struct sim_queue *q, tarn_dev_io *io)
{
	struct sim_disk *disk = disk_of(&q->base);
	struct sim_io	*s    = &q->ios[q->count++];
	unsigned	 what = (unsigned)io->opcode | (io->flags & TARN_DEV_IO_DURABLE ? 0x400 : 0);

	*s	  = (struct sim_io){ .io = io, .covers = disk->finished };
	s->effect = (struct sim_write){ .issued = disk->ios++ };
	sim_trace(disk, what, io->offset, io->len, io->opcode == TARN_DEV_WRITE ? hash64(io->buf, io->len) : 0);
	if (disk->cut)
		return;
	if (io->opcode == TARN_DEV_WRITE || io->opcode == TARN_DEV_DISCARD) {
		s->effect.offset = io->offset;
		s->effect.len	 = io->len;
	}
	sim_draw_fate(disk, s);
	if (s->effect.len && !sim_reserve(disk, &s->effect, io->opcode == TARN_DEV_WRITE)) {
		s->effect.len = 0;
		s->code	      = TARN_E_NOMEM;
	}
	if (disk->ios == disk->cut_at)
		power_off(disk);
}

static void sim_submit(struct device_queue *base, tarn_dev_io **ios, unsigned n)
{
	struct sim_queue *q    = container_of(base, struct sim_queue, base);
	struct sim_disk	 *disk = disk_of(base);

	sim_lock(disk);
	for (unsigned i = 0; i < n; i++)
		start(q, ios[i]);
	pthread_cond_broadcast(&disk->news);
	sim_unlock(disk);
}

/* What the I/O does, now that it completes. */
static void act(struct sim_disk *disk, struct sim_io *s)
{
	tarn_dev_io *io = s->io;

	if (io->opcode == TARN_DEV_READ && !s->code) {
		memcpy(io->buf, disk->visible + io->offset, io->len);
	} else if (io->opcode == TARN_DEV_FLUSH && !s->code) {
		sim_make_durable(disk, sim_covered(disk, s->covers));
	} else if (io->opcode == TARN_DEV_FLUSH && s->loses) {
		sim_lose_cache(disk, sim_covered(disk, s->covers));
	} else if (s->effect.len) {
		sim_join_volatile(disk, s);
		sim_apply(disk->visible, &disk->writes[disk->count - 1]);
		if (io->flags & TARN_DEV_IO_DURABLE && !s->code && !sim_harden(disk))
			s->code = TARN_E_NOMEM;
	}
	if (disk->bytes > SIM_CACHE_BYTES)
		sim_make_durable(disk, DIV_UP(disk->count, 2));
}

static int result(const struct sim_disk *disk, const struct sim_io *s)
{
	const char	  *what = device_opcode_name(s->io->opcode);
	unsigned long long at	= s->io->offset;

	if (disk->cut)
		return fail(IO, "%s at %llu: the power of the simulated disk is off", what, at);
	if (s->code == TARN_E_NOMEM)
		return fail(NOMEM, "%s at %llu: no memory for the simulated disk's cache", what, at);
	if (s->code)
		return fail(IO, "%s at %llu: an error of the simulated disk", what, at);
	return 0;
}

static tarn_dev_io *complete(struct sim_queue *q, unsigned pick)
{
	struct sim_disk *disk = disk_of(&q->base);
	struct sim_io	 s    = q->ios[pick];
	tarn_dev_io	*io   = s.io;
	uint64_t	 seen = 0;

	q->ios[pick] = q->ios[--q->count];
	if (!disk->cut)
		act(disk, &s);
	device_io_finish(io, result(disk, &s));
	if (io->opcode == TARN_DEV_READ && !io->rc)
		seen = hash64(io->buf, io->len);
	sim_trace(disk, (uint64_t)io->opcode | 0x100, s.effect.issued, (uint64_t)(int64_t)io->rc, seen);
	return io;
}

/* What was counted as in flight may be on its way into submit(): so there may be fewer than min for a moment. */
static unsigned sim_reap(struct device_queue *base, unsigned min, unsigned max, tarn_dev_io **ios)
{
	struct sim_queue *q    = container_of(base, struct sim_queue, base);
	struct sim_disk	 *disk = disk_of(base);
	unsigned	  least, most, n;

	sim_lock(disk);
	while (q->count < min && !q->woken)
		pthread_cond_wait(&disk->news, &disk->lock);
	q->woken = false;
	least	 = MIN(min, q->count);
	most	 = MIN(max, q->count);
	n	 = least + (unsigned)rng_below(&disk->order, most - least + 1);
	for (unsigned i = 0; i < n; i++)
		ios[i] = complete(q, (unsigned)rng_below(&disk->order, q->count));
	sim_unlock(disk);
	return n;
}

static void sim_wake(struct device_queue *base)
{
	struct sim_disk *disk = disk_of(base);

	sim_lock(disk);
	container_of(base, struct sim_queue, base)->woken = true;
	pthread_cond_broadcast(&disk->news);
	sim_unlock(disk);
}

/* As if it were submitted and reaped, so that it draws as many numbers; but out of turn, whatever else is in flight. */
static int sim_run(struct device_queue *base, tarn_dev_io *io)
{
	struct sim_queue *q    = container_of(base, struct sim_queue, base);
	struct sim_disk	 *disk = disk_of(base);

	sim_lock(disk);
	start(q, io);
	rng_next(&disk->order);
	rng_next(&disk->order);
	complete(q, q->count - 1);
	sim_unlock(disk);
	return io->rc;
}

static int sim_queue_open(struct device *dev, unsigned depth, struct device_queue **queue)
{
	struct sim_disk	 *disk = container_of(dev, struct sim_device, base)->disk;
	struct sim_queue *q    = calloc(1, sizeof(*q) + (depth + 1) * sizeof(q->ios[0]));

	if (!q)
		return fail(NOMEM, "no memory for a queue of depth %u", depth);
	sim_lock(disk);
	q->next	     = disk->queues;
	disk->queues = q;
	sim_unlock(disk);
	*queue = &q->base;
	return 0;
}

static void sim_queue_close(struct device_queue *queue)
{
	struct sim_disk	  *disk = disk_of(queue);
	struct sim_queue **link = &disk->queues;

	sim_lock(disk);
	while (&(*link)->base != queue)
		link = &(*link)->next;
	*link = (*link)->next;
	sim_unlock(disk);
}

static void sim_close(struct device *dev)
{
	struct sim_device *sim = container_of(dev, struct sim_device, base);

	if (sim->owns_disk)
		sim_disk_destroy(sim->disk);
	free(sim);
}

static const struct device_backend sim_backend = {
	.name	     = "sim",
	.queue_open  = sim_queue_open,
	.queue_close = sim_queue_close,
	.submit	     = sim_submit,
	.reap	     = sim_reap,
	.wake	     = sim_wake,
	.run	     = sim_run,
	.close	     = sim_close,
};

static void fill_info(tarn_dev_info *info, const struct sim_disk *disk)
{
	*info = (tarn_dev_info){
		.kind		  = "sim",
		.backend	  = "sim",
		.size		  = disk->size,
		.logical_block	  = SIM_SECTOR,
		.physical_block	  = SIM_SECTOR,
		.memory_alignment = SIM_SECTOR,
		.offset_alignment = SIM_SECTOR,
		.max_transfer	  = SIM_MAX_TRANSFER,
		.direct		  = 1,
		.volatile_cache	  = 1,
	};
	snprintf(info->uri, sizeof(info->uri), "sim:%llu?seed=%llu", (unsigned long long)disk->size,
		 (unsigned long long)disk->seed);
}

int sim_open(struct sim_disk *disk, struct device **dev)
{
	struct sim_device *sim = calloc(1, sizeof(*sim));

	if (!sim)
		return fail(NOMEM, "no memory for a device on the simulated disk");
	sim->base.backend = &sim_backend;
	sim->disk	  = disk;
	fill_info(&sim->base.info, disk);
	*dev = &sim->base;
	return 0;
}

int sim_open_private(uint64_t size, uint64_t seed, struct device **dev)
{
	struct sim_disk *disk;
	int		 rc = sim_disk_create(size, seed, &disk);

	if (rc)
		return rc;
	rc = sim_open(disk, dev);
	if (rc)
		sim_disk_destroy(disk);
	else
		container_of(*dev, struct sim_device, base)->owns_disk = true;
	return rc;
}
