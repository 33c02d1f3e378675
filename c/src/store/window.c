/* SPDX-License-Identifier: Apache-2.0 */
/* store/window.c: reading ahead in the log's ring. */
#include "window.h"

#define CHUNK_BYTES (UINT64_C(512) << 10)
#define SLOTS	    8u
#define NO_CHUNK    UINT64_MAX

int window_open(struct window *w, struct store *s, uint64_t pos)
{
	uint64_t max = device_info(s->dev)->max_transfer / BLOCK;

	*w		= (struct window){ .s = s, .now = NO_CHUNK };
	w->chunk_blocks = MIN(MAX(max, 1), CHUNK_BYTES / BLOCK);
	w->chunks	= DIV_UP(s->log.blocks, w->chunk_blocks);
	w->first	= pos / w->chunk_blocks;
	w->n		= MIN(w->chunks, SLOTS);
	w->bytes	= w->n * w->chunk_blocks * BLOCK;
	w->memory	= device_map(w->bytes);
	w->slots	= calloc(w->n, sizeof(*w->slots));
	if (!w->memory || !w->slots)
		return fail(NOMEM, "no memory to read the log: %zu bytes", w->bytes);
	for (uint64_t i = 0; i < w->n; i++)
		w->slots[i].chunk = NO_CHUNK;
	return device_queue_open(s->dev, SLOTS, &w->queue);
}

void window_close(struct window *w)
{
	tarn_dev_io *io;

	while (w->queue && device_reap(w->queue, 1, 1, &io))
		;
	if (w->queue)
		device_queue_close(w->queue);
	if (w->memory)
		device_unmap(w->memory, w->bytes);
	device_free(w->joined);
	free(w->slots);
}

static struct window_slot *slot_of(struct window *w, uint64_t chunk)
{
	return &w->slots[(chunk + w->chunks - w->first) % w->chunks % w->n];
}

static uint8_t *memory_of(struct window *w, const struct window_slot *slot)
{
	return w->memory + (uint64_t)(slot - w->slots) * w->chunk_blocks * BLOCK;
}

/* What was read in vain is no error until somebody wants it. */
static void wait_for(struct window *w, struct window_slot *slot)
{
	tarn_dev_io *io;

	while (slot->reading && device_reap(w->queue, 1, 1, &io))
		container_of(io, struct window_slot, io)->reading = false;
}

static void start(struct window *w, uint64_t chunk)
{
	struct window_slot *slot = slot_of(w, chunk);
	uint64_t	    at = chunk * w->chunk_blocks, n = MIN(w->chunk_blocks, w->s->log.blocks - at);

	if (slot->chunk == chunk)
		return;
	wait_for(w, slot);
	slot->chunk   = chunk;
	slot->reading = true;
	slot->io      = (tarn_dev_io){
		     .opcode = TARN_DEV_READ, .buf = memory_of(w, slot), .offset = (w->s->log.block + at) * BLOCK, .len = n * BLOCK
	};
	device_submit(w->queue, &slot->io);
}

/* Chunks ahead may take any slot but that of this one. */
static void read_ahead(struct window *w, uint64_t chunk)
{
	uint64_t done = (chunk + w->chunks - w->first) % w->chunks;

	for (uint64_t i = 1; i < w->n && done + i < w->chunks; i++)
		start(w, (chunk + i) % w->chunks);
}

static int chunk_get(struct window *w, uint64_t chunk, uint8_t **at)
{
	struct window_slot *slot = slot_of(w, chunk);

	start(w, chunk);
	if (chunk != w->now) {
		w->now = chunk;
		read_ahead(w, chunk);
	}
	wait_for(w, slot);
	*at = memory_of(w, slot);
	if (!slot->io.rc)
		return 0;
	slot->chunk = NO_CHUNK;
	return base_fail(-slot->io.rc, "the log: %s", slot->io.message);
}

static int join(struct window *w, uint64_t pos, uint64_t n, uint8_t **at)
{
	uint8_t *from;
	uint64_t part;
	int	 rc;

	if (w->room < n * BLOCK) {
		device_free(w->joined);
		w->room	  = 0;
		w->joined = device_alloc(n * BLOCK);
		if (!w->joined)
			return fail(NOMEM, "no memory for %llu bytes of log", (unsigned long long)n * BLOCK);
		w->room = n * BLOCK;
	}
	for (uint64_t i = 0; i < n; i += part) {
		part = MIN(n - i, w->chunk_blocks - (pos + i) % w->chunk_blocks);
		rc   = window_get(w, pos + i, part, &from);
		if (rc)
			return rc;
		memcpy(w->joined + i * BLOCK, from, part * BLOCK);
	}
	*at = w->joined;
	return 0;
}

int window_get(struct window *w, uint64_t pos, uint64_t n, uint8_t **at)
{
	uint64_t chunk = pos / w->chunk_blocks, inside = pos % w->chunk_blocks;
	int	 rc;

	if (inside + n > w->chunk_blocks)
		return join(w, pos, n, at);
	rc = chunk_get(w, chunk, at);
	*at += inside * BLOCK;
	return rc;
}
