/* SPDX-License-Identifier: Apache-2.0 */
/* store/node.c: the inside of a page.
 *
 * A page is a header, slots in key order, a gap, and entries, packed or not: an entry that was removed leaves a hole until the page is
 * packed. Only node_validate() looks at bytes that came from disk; after it every offset and length in the page can be believed. */
#include "internal.h"

unsigned node_level(const uint8_t *page)
{
	return page[NODE_LEVEL];
}

uint32_t node_count(const uint8_t *page)
{
	return get32(page + NODE_COUNT);
}

static uint32_t offset_of(const uint8_t *page, uint32_t slot)
{
	return get32(page + NODE_SLOTS + 4 * slot);
}

uint8_t *node_entry(const uint8_t *page, uint32_t slot)
{
	return (uint8_t *)page + offset_of(page, slot);
}

tarn_buf node_key(const uint8_t *page, uint32_t slot)
{
	const uint8_t *e = node_entry(page, slot);

	return node_level(page) ? (tarn_buf){ e + INNER_KEY, get32(e + INNER_KLEN) }
				: (tarn_buf){ e + LEAF_KEY, get32(e + LEAF_KLEN) };
}

static uint64_t entry_bytes(const uint8_t *e, unsigned level)
{
	if (level)
		return INNER_KEY + (uint64_t)get32(e + INNER_KLEN);
	return LEAF_KEY + (uint64_t)get32(e + LEAF_KLEN) + (get32(e + LEAF_VLEN) & ~LEAF_EXTENTS);
}

uint32_t node_entry_bytes(const uint8_t *page, uint32_t slot)
{
	return (uint32_t)entry_bytes(node_entry(page, slot), node_level(page));
}

int key_compare(tarn_buf a, tarn_buf b)
{
	size_t n = MIN(a.len, b.len);
	int    c = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

uint32_t node_lower(const uint8_t *page, tarn_buf key, bool *found)
{
	uint32_t lo = 0, hi = node_count(page);

	*found = false;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int	 c   = key_compare(node_key(page, mid), key);

		if (c == 0)
			*found = true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t node_child(const uint8_t *page, tarn_buf key)
{
	uint32_t lo = 1, hi = node_count(page); /* the last slot whose key is <= key; slot 0 bounds nothing */

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (key_compare(node_key(page, mid), key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

struct bptr node_child_ptr(const uint8_t *page, uint32_t slot)
{
	return bptr_get(node_entry(page, slot) + INNER_CHILD);
}

void node_set_child(struct frame *f, uint32_t slot, const struct bptr *ptr, uint64_t keys)
{
	uint8_t *e = node_entry(f->page, slot);

	bptr_put(e + INNER_CHILD, ptr);
	put64(e + INNER_KEYS, keys);
}

void node_init(uint8_t *page, uint32_t cap, unsigned level)
{
	memset(page, 0, NODE_SLOTS);
	put32(page + NODE_MAGIC, NODE_MAGIC_NUMBER);
	page[NODE_LEVEL] = (uint8_t)level;
	put32(page + NODE_HEAP, cap);
}

/* Copies header and entries into a page of another size, without holes; the gap is zero. */
void node_pack(const uint8_t *from, uint8_t *to, uint32_t cap)
{
	uint32_t n = node_count(from), heap = cap;

	memcpy(to, from, NODE_SLOTS);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t bytes = node_entry_bytes(from, i);

		heap -= bytes;
		memcpy(to + heap, node_entry(from, i), bytes);
		put32(to + NODE_SLOTS + 4 * i, heap);
	}
	put32(to + NODE_HEAP, heap);
	memset(to + NODE_SLOTS + 4 * n, 0, heap - NODE_SLOTS - 4 * n);
}

static int make_room(struct store *s, struct frame *f, uint32_t bytes)
{
	uint32_t gap = get32(f->page + NODE_HEAP) - NODE_SLOTS - 4 * node_count(f->page), cap = f->cap;

	if (gap >= bytes)
		return 0;
	if (f->need + bytes > cap)
		cap = MAX(ROUND_UP(f->need + bytes, BLOCK), ROUND_UP(s->node_bytes, BLOCK));
	return cache_resize(s, f, cap);
}

int node_insert(struct store *s, struct frame *f, uint32_t slot, uint32_t bytes, uint8_t **entry)
{
	uint32_t n  = node_count(f->page);
	int	 rc = make_room(s, f, bytes + 4);
	uint8_t *at;
	uint32_t heap;

	if (rc)
		return rc;
	heap = get32(f->page + NODE_HEAP) - bytes;
	at   = f->page + NODE_SLOTS + 4 * slot;
	memmove(at + 4, at, 4 * (n - slot));
	put32(at, heap);
	put32(f->page + NODE_HEAP, heap);
	put32(f->page + NODE_COUNT, n + 1);
	f->need += bytes + 4;
	*entry = f->page + heap;
	cache_account(s, f);
	return 0;
}

void node_remove(struct store *s, struct frame *f, uint32_t slot)
{
	uint32_t n = node_count(f->page), bytes = node_entry_bytes(f->page, slot);
	uint8_t *at = f->page + NODE_SLOTS + 4 * slot;

	if (offset_of(f->page, slot) == get32(f->page + NODE_HEAP))
		put32(f->page + NODE_HEAP, get32(f->page + NODE_HEAP) + bytes);
	memmove(at, at + 4, 4 * (n - slot - 1));
	put32(f->page + NODE_COUNT, n - 1);
	f->need -= bytes + 4;
	cache_account(s, f);
}

static const char *bad_entry(const struct store *s, const uint8_t *page, uint32_t len, uint32_t slot)
{
	uint32_t       off = offset_of(page, slot), level = node_level(page);
	const uint8_t *e = page + off;
	struct bptr    ptr;

	if (off < get32(page + NODE_HEAP) || off > len - LEAF_KEY || (level && off > len - INNER_KEY))
		return "an entry lies outside";
	if (entry_bytes(e, level) > len - off || get32(e) > STORE_KEY_MAX)
		return "an entry is too long";
	if (!level && get32(e + LEAF_VLEN) & LEAF_EXTENTS &&
	    !value_sane(e + LEAF_KEY + get32(e + LEAF_KLEN), get32(e + LEAF_VLEN) & ~LEAF_EXTENTS))
		return "a value's descriptor is impossible";
	if (!level)
		return NULL;
	ptr = bptr_get(e + INNER_CHILD);
	return blob_sane(s, &ptr, NODE_MAX) ? NULL : "a child's address is impossible";
}

static const char *bad_node(const struct store *s, const uint8_t *page, uint32_t len, uint32_t *need)
{
	uint32_t n = node_count(page), level = node_level(page);

	if (get32(page + NODE_MAGIC) != NODE_MAGIC_NUMBER || level >= DEPTH_MAX || n == 0 || n > (len - NODE_SLOTS) / 4)
		return "the header is not a node's";
	if (get32(page + NODE_HEAP) > len || get32(page + NODE_HEAP) < NODE_SLOTS + 4 * n)
		return "the entries begin outside";
	if (memcmp(page + NODE_POOL, s->pool.bytes, 8) != 0)
		return "it belongs to another pool";
	*need = NODE_SLOTS + 4 * n;
	for (uint32_t i = 0; i < n; i++) {
		const char *why = bad_entry(s, page, len, i);

		if (why)
			return why;
		*need += node_entry_bytes(page, i);
		if (i > (level ? 1u : 0u) && key_compare(node_key(page, i - 1), node_key(page, i)) >= 0)
			return "keys are out of order";
	}
	return *need <= len ? NULL : "entries overlap";
}

/* A total function: a right checksum is not trust. */
int node_validate(const struct store *s, const uint8_t *page, uint32_t len, uint32_t *need, const char **why)
{
	*why = bad_node(s, page, len, need);
	return *why ? -TARN_E_CSUM : 0;
}
