/* SPDX-License-Identifier: Apache-2.0 */
/* device/sim_disk.c: the simulated disk's images, its volatile writes, and looking at them from outside. */
#include "sim_disk.h"

#include <stdlib.h>

static void apply_part(uint8_t *image, const struct sim_write *w, uint64_t start, uint64_t len)
{
	if (w->data)
		memcpy(image + w->offset + start, w->data + start, len);
	else
		memset(image + w->offset + start, w->fill, len);
}

void sim_apply(uint8_t *image, const struct sim_write *w)
{
	apply_part(image, w, 0, w->len);
}

void sim_apply_torn(uint8_t *image, const struct sim_write *w, struct rng *rng)
{
	uint64_t coins = 0;

	for (uint64_t i = 0; i < w->len / SIM_SECTOR; i++, coins >>= 1) {
		if (i % 64 == 0)
			coins = rng_next(rng);
		if (coins & 1)
			apply_part(image, w, i * SIM_SECTOR, SIM_SECTOR);
	}
}

void sim_show_durable(struct sim_disk *disk, uint64_t offset, uint64_t len)
{
	memcpy(disk->visible + offset, disk->durable + offset, len);
}

static void show_volatile(struct sim_disk *disk)
{
	for (size_t i = 0; i < disk->count; i++)
		sim_apply(disk->visible, &disk->writes[i]);
}

void sim_forget(struct sim_disk *disk, size_t n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n; i++) {
		disk->bytes -= disk->writes[i].len;
		free(disk->writes[i].data);
	}
	disk->count -= n;
	memmove(disk->writes, disk->writes + n, disk->count * sizeof(*disk->writes));
}

void sim_make_durable(struct sim_disk *disk, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sim_apply(disk->durable, &disk->writes[i]);
	sim_forget(disk, n);
}

void sim_lose_cache(struct sim_disk *disk, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sim_apply_torn(disk->durable, &disk->writes[i], &disk->fate);
	for (size_t i = 0; i < n; i++)
		sim_show_durable(disk, disk->writes[i].offset, disk->writes[i].len);
	sim_forget(disk, n);
	show_volatile(disk);
}

size_t sim_covered(const struct sim_disk *disk, uint64_t covers)
{
	uint64_t before = disk->finished - disk->count;

	return covers > before ? (size_t)(covers - before) : 0;
}

/* Puts what an I/O in flight does at the end of the list; there is room. */
void sim_join_volatile(struct sim_disk *disk, struct sim_io *s)
{
	struct sim_write *w = &s->effect;

	if (!w->len)
		return;
	if (w->data)
		device_copy_out(s->io, s->skip, w->data, w->len);
	disk->writes[disk->count++] = *w;
	disk->bytes += w->len;
	disk->reserved--;
	disk->finished++;
	w->len	= 0;
	w->data = NULL;
}

/* A discard has no bytes of its own: it gets some. */
static bool give_bytes(struct sim_write *w)
{
	if (w->data)
		return true;
	w->data = malloc(w->len);
	if (w->data)
		memset(w->data, w->fill, w->len);
	return w->data != NULL;
}

/* Where older and newer overlap, older gets the bytes of newer. */
static bool overwrite(struct sim_write *older, const struct sim_write *newer)
{
	uint64_t from = MAX(older->offset, newer->offset);
	uint64_t to   = MIN(older->offset + older->len, newer->offset + newer->len);

	if (from >= to)
		return true;
	if (!give_bytes(older))
		return false;
	memcpy(older->data + (from - older->offset), newer->data + (from - newer->offset), to - from);
	return true;
}

bool sim_harden(struct sim_disk *disk)
{
	struct sim_write *newest = &disk->writes[disk->count - 1];

	for (size_t i = 0; i + 1 < disk->count; i++)
		if (!overwrite(&disk->writes[i], newest))
			return false;
	sim_apply(disk->durable, newest);
	disk->bytes -= newest->len;
	free(newest->data);
	disk->count--;
	disk->finished--; /* no flush has to cover it */
	return true;
}

void sim_unreserve(struct sim_disk *disk, struct sim_write *w)
{
	if (!w->len)
		return;
	free(w->data);
	*w = (struct sim_write){ .issued = w->issued };
	disk->reserved--;
}

bool sim_reserve(struct sim_disk *disk, struct sim_write *w, bool with_data)
{
	size_t		  room = MAX(disk->room * 2, (size_t)64);
	struct sim_write *writes;

	if (disk->count + disk->reserved == disk->room) {
		writes = realloc(disk->writes, room * sizeof(*writes));
		if (!writes)
			return false;
		disk->writes = writes;
		disk->room   = room;
	}
	w->data = with_data ? malloc(w->len) : NULL;
	if (with_data && !w->data)
		return false;
	disk->reserved++;
	return true;
}

void sim_trace(struct sim_disk *disk, uint64_t what, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t parts[] = { disk->trace, what, a, b, c };

	disk->trace = hash64(parts, sizeof(parts));
}

/* Deadlines are on the monotonic clock. */
static void init_news(pthread_cond_t *news)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(news, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct sim_queue *sim_queue_create(unsigned room)
{
	struct sim_queue *q = calloc(1, sizeof(*q) + room * sizeof(q->ios[0]));

	if (q)
		q->room = room;
	return q;
}

int sim_disk_create(uint64_t size, uint64_t seed, struct sim_disk **out)
{
	struct sim_disk *disk;

	if (!size || size % SIM_SECTOR)
		return fail(INVAL, "simulated disk of %llu bytes: use a multiple of %u", (unsigned long long)size, SIM_SECTOR);
	disk = calloc(1, sizeof(*disk));
	if (!disk)
		return fail(NOMEM, "no memory for a simulated disk");
	pthread_mutex_init(&disk->lock, NULL);
	init_news(&disk->news);
	disk->size    = size;
	disk->seed    = seed;
	disk->durable = calloc(1, size);
	disk->visible = calloc(1, size);
	disk->touched = calloc(1, DIV_UP(size / SIM_SECTOR, 8));
	disk->alone = disk->queues = sim_queue_create(1);
	if (!disk->durable || !disk->visible || !disk->touched || !disk->alone) {
		sim_disk_destroy(disk);
		return fail(NOMEM, "no memory for a simulated disk of %llu bytes", (unsigned long long)size);
	}
	rng_seed(&disk->order, seed);
	rng_seed(&disk->fate, ~seed);
	*out = disk;
	return 0;
}

void sim_disk_destroy(struct sim_disk *disk)
{
	sim_forget(disk, disk->count);
	zones_destroy(disk->zones);
	free(disk->alone);
	free(disk->writes);
	free(disk->touched);
	free(disk->visible);
	free(disk->durable);
	pthread_cond_destroy(&disk->news);
	pthread_mutex_destroy(&disk->lock);
	free(disk);
}

void sim_flip_bit(struct sim_disk *disk, uint64_t offset, unsigned bit)
{
	sim_lock(disk);
	disk->durable[offset] ^= (uint8_t)(1u << bit % 8);
	sim_show_durable(disk, offset, 1);
	show_volatile(disk);
	sim_unlock(disk);
}

void sim_peek(const struct sim_disk *disk, uint64_t offset, void *buf, size_t len)
{
	sim_lock(disk);
	memcpy(buf, disk->visible + offset, len);
	sim_unlock(disk);
}

void sim_poke(struct sim_disk *disk, uint64_t offset, const void *buf, size_t len)
{
	sim_lock(disk);
	memcpy(disk->durable + offset, buf, len);
	sim_show_durable(disk, offset, len);
	show_volatile(disk);
	sim_unlock(disk);
}

uint64_t sim_io_count(const struct sim_disk *disk)
{
	uint64_t ios;

	sim_lock(disk);
	ios = disk->ios;
	sim_unlock(disk);
	return ios;
}

uint64_t sim_trace_hash(const struct sim_disk *disk)
{
	uint64_t trace;

	sim_lock(disk);
	trace = disk->trace;
	sim_unlock(disk);
	return trace;
}
