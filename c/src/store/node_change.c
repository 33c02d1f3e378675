/* SPDX-License-Identifier: Apache-2.0 */
/* store/node_change.c: changing one page in place. The page is sound before and after. */
#include "node_bytes.h"

uint32_t key_common(tarn_buf a, tarn_buf b)
{
	const uint8_t *x = a.ptr, *y = b.ptr;
	size_t	       n = MIN(a.len, b.len), i = 0;

	while (i < n && x[i] == y[i])
		i++;
	return (uint32_t)i;
}

static uint32_t put_fence(uint8_t *page, uint32_t end, uint32_t field, tarn_buf key)
{
	uint32_t at = end - padded(node_level(page), (uint32_t)key.len);

	copy(page + at, key);
	put32(page + field, at);
	put32(page + field + 4, (uint32_t)key.len);
	return at;
}

void node_init(uint8_t *page, uint32_t cap, unsigned level, tarn_buf low, tarn_buf high, bool bounded)
{
	uint32_t heap;

	memset(page, 0, cap);
	put32(page + NODE_MAGIC, NODE_MAGIC_NUMBER);
	page[NODE_LEVEL] = (uint8_t)level;
	put32(page + NODE_PREFIX, bounded ? key_common(low, high) : 0);
	heap = put_fence(page, cap, NODE_LOW, low);
	if (bounded)
		heap = put_fence(page, heap, NODE_HIGH, high);
	put32(page + NODE_HEAP, heap);
}

void node_set_child(uint8_t *page, uint32_t cap, uint32_t slot, const struct node_child *child)
{
	uint8_t *e = page + entry_at(page, cap, slot, INNER_KEY);

	bptr_put(e + INNER_CHILD, &child->ptr);
	put64(e + INNER_KEYS, child->keys);
}

void falling_begin(struct falling *f, const uint8_t *page, uint32_t cap)
{
	f->page	   = page;
	f->cap	   = cap;
	f->base	   = fences_at(page, cap);
	f->cell	   = 0;
	f->overlap = false;
}

static void falling_fill(struct falling *f)
{
	uint32_t end = f->base, n = node_count(f->page, f->cap);

	f->base = end > CELLS * LEAF_KEY ? end - CELLS * LEAF_KEY : 0;
	f->cell = DIV_UP(end - f->base, LEAF_KEY);
	memset(f->slots, 0, f->cell * sizeof(f->slots[0]));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t  at = get32(slot_at(f->page, f->cap, i) + SLOT_ENTRY);
		uint16_t *cell;

		if (at < f->base || at >= end)
			continue;
		cell = &f->slots[(at - f->base) / LEAF_KEY];
		f->overlap |= *cell != 0;
		*cell = (uint16_t)(i + 1);
	}
}

bool falling_next(struct falling *f, uint32_t *slot)
{
	for (;;) {
		while (f->cell > 0)
			if (f->slots[--f->cell]) {
				*slot = f->slots[f->cell] - 1u;
				return true;
			}
		if (f->base <= get32(f->page + NODE_HEAP))
			return false;
		falling_fill(f);
	}
}

/* Moves the entries up against the fences, the highest first, so that none runs over another. */
static void close_holes(uint8_t *page, uint32_t cap)
{
	uint32_t       heap = get32(page + NODE_HEAP), to = fences_at(page, cap), slot;
	struct falling f;

	falling_begin(&f, page, cap);
	while (falling_next(&f, &slot)) {
		uint32_t at = entry_at(page, cap, slot, LEAF_KEY), bytes = entry_bytes(page, cap, slot);

		to -= bytes;
		memmove(page + to, page + at, bytes);
		put32(page + NODE_SLOTS + SLOT_BYTES * slot + SLOT_ENTRY, to);
	}
	memset(page + heap, 0, to - heap);
	put32(page + NODE_HEAP, to);
	put32(page + NODE_HOLES, 0);
}

/* A new slot with an entry of that many bytes, which are the caller's to fill. There is room. */
static uint8_t *open_slot(uint8_t *page, uint32_t cap, uint32_t slot, uint32_t bytes)
{
	uint32_t n = node_count(page, cap), end = NODE_SLOTS + SLOT_BYTES * (n + 1), heap;
	uint8_t *at = page + NODE_SLOTS + SLOT_BYTES * slot;

	if (get32(page + NODE_HEAP) < end + bytes)
		close_holes(page, cap);
	heap = get32(page + NODE_HEAP) - bytes;
	memmove(at + SLOT_BYTES, at, SLOT_BYTES * (n - slot));
	put32(at + SLOT_ENTRY, heap);
	put32(page + NODE_HEAP, heap);
	put32(page + NODE_COUNT, n + 1);
	return page + heap;
}

static void write_value(uint8_t *e, tarn_buf suffix, const struct leaf_value *value)
{
	uint32_t extents = value->extents ? LEAF_EXTENTS : 0;

	put32(e + LEAF_LENS, (uint32_t)suffix.len | extents | value->len << (LEAF_KLEN_BITS + 1));
	put64(e + LEAF_REV, value->revision);
	copy(e + LEAF_KEY, suffix);
	copy(e + LEAF_KEY + suffix.len, (tarn_buf){ value->bytes, value->len });
}

bool node_put_value(uint8_t *page, uint32_t cap, uint32_t slot, bool replace, tarn_buf key, const struct leaf_value *value)
{
	tarn_buf suffix = behind(key, get32(page + NODE_PREFIX));
	uint32_t bytes = LEAF_KEY + (uint32_t)suffix.len + value->len, old = replace ? entry_bytes(page, cap, slot) : 0;

	if (old == bytes) {
		write_value(page + entry_at(page, cap, slot, LEAF_KEY), suffix, value);
		return true;
	}
	if (node_need(page, cap) - old + bytes + (replace ? 0 : SLOT_BYTES) > cap)
		return false;
	if (replace)
		node_remove(page, cap, slot);
	write_value(open_slot(page, cap, slot, bytes), suffix, value);
	set_head(page, cap, slot);
	return true;
}

bool node_put_child(uint8_t *page, uint32_t cap, uint32_t slot, tarn_buf key, const struct node_child *child)
{
	tarn_buf suffix = behind(key, slot ? get32(page + NODE_PREFIX) : key.len);
	uint32_t bytes	= ROUND_UP(INNER_KEY + (uint32_t)suffix.len, PAD);
	uint8_t *e;

	if (node_need(page, cap) + bytes + SLOT_BYTES > cap)
		return false;
	e = open_slot(page, cap, slot, bytes); /* zero, as the gap was: so is the padding */
	put32(e + INNER_KLEN, (uint32_t)suffix.len);
	copy(e + INNER_KEY, suffix);
	node_set_child(page, cap, slot, child);
	set_head(page, cap, slot);
	return true;
}

/* Bytes that an entry has had are a hole, or, when they are the first, part of the gap. */
static void give_back(uint8_t *page, uint32_t at, uint32_t bytes)
{
	if (at == get32(page + NODE_HEAP)) {
		memset(page + at, 0, bytes);
		put32(page + NODE_HEAP, at + bytes);
	} else {
		put32(page + NODE_HOLES, get32(page + NODE_HOLES) + bytes);
	}
}

static void clear_first_key(uint8_t *page, uint32_t cap)
{
	uint32_t at = entry_at(page, cap, 0, INNER_KEY), bytes = entry_bytes(page, cap, 0);

	put32(page + at + INNER_KLEN, 0);
	put32(page + NODE_SLOTS + SLOT_HEAD, 0);
	put32(page + NODE_HOLES, get32(page + NODE_HOLES) + bytes - INNER_KEY);
}

void node_remove(uint8_t *page, uint32_t cap, uint32_t slot)
{
	uint32_t n  = node_count(page, cap);
	uint8_t *at = page + NODE_SLOTS + SLOT_BYTES * slot;

	give_back(page, get32(at + SLOT_ENTRY), entry_bytes(page, cap, slot));
	memmove(at, at + SLOT_BYTES, SLOT_BYTES * (n - slot - 1));
	memset(page + NODE_SLOTS + SLOT_BYTES * (n - 1), 0, SLOT_BYTES);
	put32(page + NODE_COUNT, n - 1);
	if (slot == 0 && n > 1 && node_level(page))
		clear_first_key(page, cap);
}
