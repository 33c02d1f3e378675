/* SPDX-License-Identifier: Apache-2.0 */
/* store/slab.c: see slab.h. A chunk is cut into pieces as they are taken, so memory that nobody uses is not touched. */
#include "slab.h"

#include "../base/base.h"
#include "../device/device.h"
#include <stdlib.h>
#include <string.h>

static unsigned log2_of(uint64_t n)
{
	return 63 - (unsigned)__builtin_clzll(n);
}

static unsigned class_of(size_t bytes)
{
	unsigned e;

	if (bytes <= SLAB_FINE)
		return bytes ? (unsigned)((bytes - 1) / SLAB_UNIT) : 0;
	e = log2_of(bytes - 1);
	return SLAB_FINE / SLAB_UNIT + (e - 8) * 8 + (unsigned)((bytes - 1 - (UINT64_C(1) << e)) >> (e - 3));
}

static size_t class_bytes(unsigned class)
{
	unsigned e, k;

	if (class < SLAB_FINE / SLAB_UNIT)
		return (class + 1) * SLAB_UNIT;
	e = (class - SLAB_FINE / SLAB_UNIT) / 8 + 8;
	k = (class - SLAB_FINE / SLAB_UNIT) % 8;
	return ((size_t)1 << e) + (k + 1) * ((size_t)1 << (e - 3));
}

size_t slab_room(size_t bytes)
{
	return class_bytes(class_of(bytes));
}

void slabs_init(struct slabs *sl, uint64_t chunk_bytes)
{
	*sl = (struct slabs){ .chunk_bytes = (uint32_t)chunk_bytes, .shift = log2_of(chunk_bytes / SLAB_UNIT), .n = 1 };
}

void slabs_fini(struct slabs *sl)
{
	for (uint32_t i = 1; i < sl->n; i++)
		device_unmap(sl->chunks[i].memory, sl->chunk_bytes);
	free(sl->chunks);
	*sl = (struct slabs){ 0 };
}

/* ---- chunks ---- */

static void open_chunk(struct slabs *sl, uint32_t number)
{
	struct slab_chunk *c = &sl->chunks[number];

	c->prev = 0;
	c->next = sl->open[c->class];
	if (c->next)
		sl->chunks[c->next].prev = number;
	sl->open[c->class] = number;
}

static void shut_chunk(struct slabs *sl, uint32_t number)
{
	struct slab_chunk *c = &sl->chunks[number];

	if (c->prev)
		sl->chunks[c->prev].next = c->next;
	else
		sl->open[c->class] = c->next;
	if (c->next)
		sl->chunks[c->next].prev = c->prev;
}

/* Room for one more number. */
static bool grow(struct slabs *sl)
{
	uint32_t	   cap = sl->cap ? 2 * sl->cap : 16;
	struct slab_chunk *chunks;

	if (sl->bare || sl->n < sl->cap)
		return true;
	if (sl->n >> (32 - sl->shift)) /* a name has no bits for it */
		return false;
	chunks = realloc(sl->chunks, cap * sizeof(*chunks));
	if (!chunks)
		return false;
	sl->chunks = chunks;
	sl->cap	   = cap;
	return true;
}

static uint32_t pieces(const struct slabs *sl, unsigned class)
{
	return (uint32_t)(sl->chunk_bytes / class_bytes(class));
}

static bool add_chunk(struct slabs *sl, unsigned class)
{
	uint8_t *memory = grow(sl) ? device_map(sl->chunk_bytes) : NULL;
	uint32_t number;

	if (!memory)
		return false;
	number = sl->bare ? sl->bare : sl->n++;
	if (number == sl->bare)
		sl->bare = sl->chunks[number].next;
	sl->chunks[number] = (struct slab_chunk){ .memory = memory, .class = class };
	sl->bytes += sl->chunk_bytes;
	sl->room[class] += pieces(sl, class);
	open_chunk(sl, number);
	return true;
}

static void drop_chunk(struct slabs *sl, uint32_t number)
{
	struct slab_chunk *c = &sl->chunks[number];

	shut_chunk(sl, number);
	sl->room[c->class] -= pieces(sl, c->class);
	sl->bytes -= sl->chunk_bytes;
	device_unmap(c->memory, sl->chunk_bytes);
	c->memory = NULL;
	c->next	  = sl->bare;
	sl->bare  = number;
}

/* ---- pieces ---- */

bool slab_fits(const struct slabs *sl, size_t bytes, unsigned n)
{
	return sl->room[class_of(bytes)] >= n;
}

bool slab_reserve(struct slabs *sl, size_t bytes, unsigned n)
{
	unsigned class = class_of(bytes);

	if (bytes > SLAB_MOST || class_bytes(class) > sl->chunk_bytes)
		return false;
	while (sl->room[class] < n)
		if (!add_chunk(sl, class))
			return false;
	return true;
}

/* Those that have been given back go first: their memory is there. */
static size_t take_place(struct slab_chunk *c, size_t size)
{
	size_t unit;

	if (!c->free)
		return c->made++ * (size / SLAB_UNIT);
	unit = c->free - 1;
	memcpy(&c->free, c->memory + unit * SLAB_UNIT, sizeof(c->free));
	return unit;
}

uint32_t slab_take(struct slabs *sl, size_t bytes)
{
	unsigned class		  = class_of(bytes);
	uint32_t	   number = sl->open[class];
	struct slab_chunk *c	  = &sl->chunks[number];
	size_t		   unit;

	unit = take_place(c, class_bytes(class));
	c->used++;
	sl->room[class]--;
	sl->used += class_bytes(class);
	if (c->used == pieces(sl, class))
		shut_chunk(sl, number);
	return number << sl->shift | (uint32_t)unit;
}

void slab_give(struct slabs *sl, uint32_t name)
{
	uint32_t	   number = name >> sl->shift, unit = name & ((UINT32_C(1) << sl->shift) - 1);
	struct slab_chunk *c = &sl->chunks[number];

	if (c->used == pieces(sl, c->class))
		open_chunk(sl, number);
	memcpy(c->memory + (size_t)unit * SLAB_UNIT, &c->free, sizeof(c->free));
	c->free = unit + 1;
	c->used--;
	sl->room[c->class]++;
	sl->used -= class_bytes(c->class);
	if (!c->used)
		drop_chunk(sl, number);
}
