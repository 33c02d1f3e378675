/* SPDX-License-Identifier: Apache-2.0 */
/* device/sim.c: the simulated disk as a device: its queues, and when the power goes. What is always true stands in sim_disk.h. */
#include "sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

static uint64_t hash_memory(const tarn_dev_io *io)
{
	const tarn_dev_vec *vec	 = io->buf;
	uint64_t	    hash = 0;

	if (!(io->flags & TARN_DEV_IO_VECTOR))
		return hash64(io->buf, io->len);
	for (uint32_t i = 0; i < io->vec_count; i++) {
		const uint64_t parts[] = { hash, hash64(vec[i].ptr, vec[i].len) };

		hash = hash64(parts, sizeof(parts));
	}
	return hash;
}

/* What it will do, unless a fault is in the way. */
static void plan(struct sim_disk *disk, struct sim_io *s)
{
	tarn_dev_io *io = s->io;
	int	     rc = zones_claim(disk->zones, io);

	if (rc) {
		device_io_finish(io, rc);
		s->told = true;
		return;
	}
	if (sim_is_write(io->opcode) || io->opcode == TARN_DEV_DISCARD) {
		s->effect.offset = io->offset;
		s->effect.len	 = io->len;
	}
	sim_draw_fate(disk, s);
	if (s->effect.len && !sim_reserve(disk, &s->effect, sim_is_write(io->opcode) && io->opcode != TARN_DEV_WRITE_ZEROES)) {
		s->effect.len = 0;
		s->code	      = TARN_E_NOMEM;
	}
}

/* Puts io in flight, as the last of q. */
static void start(struct sim_disk *disk, struct sim_queue *q, tarn_dev_io *io)
{
	struct sim_io *s      = &q->ios[q->count++];
	unsigned       what   = (unsigned)io->opcode | (io->flags & TARN_DEV_IO_DURABLE ? 0x400 : 0);
	bool	       brings = io->opcode == TARN_DEV_WRITE || io->opcode == TARN_DEV_ZONE_APPEND;

	*s	  = (struct sim_io){ .io = io, .covers = disk->finished };
	s->effect = (struct sim_write){ .issued = disk->ios++ };
	sim_trace(disk, what, io->offset, io->len, brings ? hash_memory(io) : 0);
	if (disk->cut)
		return;
	plan(disk, s);
	if (disk->ios == disk->cut_at)
		power_off(disk);
}

static void get_stuck(struct sim_queue *q, tarn_dev_io *io)
{
	q->ios[q->room - ++q->stuck] = (struct sim_io){ .io = io };
}

static void sim_submit(struct device_queue *base, tarn_dev_io *const *ios, unsigned n)
{
	struct sim_queue *q    = container_of(base, struct sim_queue, base);
	struct sim_disk	 *disk = disk_of(base);

	sim_lock(disk);
	for (unsigned i = 0; i < n; i++)
		if (sim_is_stuck(disk, ios[i]))
			get_stuck(q, ios[i]);
		else
			start(disk, q, ios[i]);
	pthread_cond_broadcast(&disk->news);
	sim_unlock(disk);
}

/* What the I/O does, now that it completes. */
static void act(struct sim_disk *disk, struct sim_io *s)
{
	tarn_dev_io *io = s->io;

	if (io->opcode == TARN_DEV_READ && !s->code) {
		device_copy_in(io, 0, disk->visible + io->offset, io->len);
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
	if (s->io->opcode == TARN_DEV_COMPARE)
		return device_compare(s->io->offset, disk->visible + s->io->offset, s->io->buf, s->io->len);
	return 0;
}

static tarn_dev_io *complete(struct sim_disk *disk, struct sim_queue *q, unsigned pick)
{
	struct sim_io s	   = q->ios[pick];
	tarn_dev_io  *io   = s.io;
	uint64_t      seen = 0;

	q->ios[pick] = q->ios[--q->count];
	if (!disk->cut && !s.told)
		act(disk, &s);
	if (!s.told)
		device_io_finish(io, result(disk, &s));
	if (io->opcode == TARN_DEV_READ && !io->rc)
		seen = hash_memory(io);
	sim_trace(disk, (uint64_t)io->opcode | 0x100, s.effect.issued, (uint64_t)(int64_t)io->rc, seen);
	return io;
}

/* False: the deadline has passed. */
static bool wait_for_news(struct sim_disk *disk, uint64_t deadline)
{
	struct timespec until = base_timespec(deadline);

	if (deadline == DEVICE_NO_DEADLINE)
		return pthread_cond_wait(&disk->news, &disk->lock) == 0;
	return pthread_cond_timedwait(&disk->news, &disk->lock, &until) == 0;
}

/* What was counted as in flight may be on its way into submit(): so there may be fewer than min for a moment. */
static unsigned sim_reap(struct device_queue *base, unsigned min, unsigned max, uint64_t deadline, tarn_dev_io **ios)
{
	struct sim_queue *q    = container_of(base, struct sim_queue, base);
	struct sim_disk	 *disk = disk_of(base);
	unsigned	  least, most, n;

	sim_lock(disk);
	while (q->count < min && !q->woken && wait_for_news(disk, deadline))
		continue;
	q->woken = false;
	least	 = MIN(min, q->count);
	most	 = MIN(max, q->count);
	n	 = least + (unsigned)rng_below(&disk->order, most - least + 1);
	for (unsigned i = 0; i < n; i++)
		ios[i] = complete(disk, q, (unsigned)rng_below(&disk->order, q->count));
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

/* As if it were submitted and reaped, so that it draws as many numbers; but out of turn, whatever else is in flight. A copy is in
 * flight: the caller's result is its own. */
static int sim_run(struct device *dev, tarn_dev_io *io)
{
	struct sim_disk *disk = container_of(dev, struct sim_device, base)->disk;
	tarn_dev_io	 copy = *io;

	sim_lock(disk);
	start(disk, disk->alone, &copy);
	rng_next(&disk->order);
	rng_next(&disk->order);
	complete(disk, disk->alone, 0);
	sim_unlock(disk);
	io->offset = copy.offset;
	return copy.rc;
}

/* Takes the i-th of q's ios out, whose place the last of the same kind gets. */
static void withdraw(struct sim_disk *disk, struct sim_queue *q, unsigned i)
{
	sim_unreserve(disk, &q->ios[i].effect);
	q->ios[i] = i < q->count ? q->ios[--q->count] : q->ios[q->room - q->stuck--];
}

static bool sim_cancel(struct device_queue *base, tarn_dev_io *io)
{
	struct sim_queue *q	= container_of(base, struct sim_queue, base);
	struct sim_disk	 *disk	= disk_of(base);
	bool		  found = false;

	sim_lock(disk);
	for (unsigned i = 0; !found && i < q->room; i++) {
		found = (i < q->count || i >= q->room - q->stuck) && q->ios[i].io == io;
		if (found)
			withdraw(disk, q, i);
	}
	sim_unlock(disk);
	return found;
}

static int sim_queue_open(struct device *dev, const struct device_queue_options *options, struct device_queue **queue)
{
	struct sim_disk	 *disk = container_of(dev, struct sim_device, base)->disk;
	struct sim_queue *q    = sim_queue_create(options->depth);

	if (!q)
		return fail(NOMEM, "no memory for a queue of depth %u", options->depth);
	q->base.acts_in_reap = true;
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

static struct sim_disk *disk_below(struct device *dev)
{
	return container_of(dev, struct sim_device, base)->disk;
}

/* The disk's lock is held: by sim_zone_manage(). A reset is on the medium at once, past what was volatile. */
static void wipe(struct device *dev, uint64_t offset, uint64_t len)
{
	struct sim_disk *disk = disk_below(dev);

	sim_make_durable(disk, disk->count);
	memset(disk->durable + offset, 0, len);
	memset(disk->visible + offset, 0, len);
}

static int sim_zone_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count)
{
	return zones_report(disk_below(dev)->zones, offset, zones, count);
}

static int sim_zone_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len)
{
	struct sim_disk *disk = disk_below(dev);
	int		 rc;

	sim_lock(disk);
	rc = zones_manage(disk->zones, dev, action, offset, len);
	sim_unlock(disk);
	return rc;
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
	.cancel	     = sim_cancel,
	.adapt	     = device_adapts_by_itself,
	.run	     = sim_run,
	.zone_report = sim_zone_report,
	.zone_manage = sim_zone_manage,
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

static void set_faults_of(struct sim_disk *disk, const struct device_params *params)
{
	for (unsigned opcode = 0; opcode < DEVICE_OPCODES; opcode++)
		sim_fail_nth(disk, (tarn_dev_opcode)opcode, params->error[opcode], false);
	memcpy(disk->never, params->never, sizeof(disk->never));
	disk->tidy = true;
}

static void describe(tarn_dev_info *info, const struct device_params *params)
{
	info->logical_block    = (uint32_t)params->block;
	info->physical_block   = (uint32_t)params->block;
	info->offset_alignment = (uint32_t)params->block;
	snprintf(info->uri, sizeof(info->uri), "sim:%s", params->text);
	zones_describe(params, info);
}

int sim_open_private(const struct device_params *params, struct device **dev)
{
	struct sim_disk *disk;
	int		 rc = sim_disk_create(params->size, params->seed, &disk);

	if (rc)
		return rc;
	rc = zones_create(params, wipe, &disk->zones);
	if (!rc)
		rc = sim_open(disk, dev);
	if (rc) {
		sim_disk_destroy(disk);
		return rc;
	}
	container_of(*dev, struct sim_device, base)->owns_disk = true;
	set_faults_of(disk, params);
	describe(&(*dev)->info, params);
	return 0;
}
