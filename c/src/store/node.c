/* SPDX-License-Identifier: Apache-2.0 */
/* store/node.c: reading a page. Nothing here changes one, and nothing here believes one. */
#include "node_bytes.h"

NODE_RACY int key_compare(tarn_buf a, tarn_buf b)
{
	int c = order_bytes(a.ptr, b.ptr, MIN(a.len, b.len));

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

NODE_RACY unsigned node_level(const uint8_t *page)
{
	return page[NODE_LEVEL];
}

NODE_RACY uint32_t node_count(const uint8_t *page, uint32_t cap)
{
	uint32_t n = load32(page + NODE_COUNT);

	return MIN(n, slots_max(cap));
}

NODE_RACY uint32_t node_need(const uint8_t *page, uint32_t cap)
{
	uint32_t heap = load32(page + NODE_HEAP), holes = load32(page + NODE_HOLES), used, need;

	used = cap - MIN(heap, cap);
	need = NODE_SLOTS + SLOT_BYTES * node_count(page, cap) + used - MIN(holes, used);
	return MIN(need, cap);
}

NODE_RACY tarn_buf node_low(const uint8_t *page, uint32_t cap)
{
	return fence(page, cap, NODE_LOW);
}

NODE_RACY tarn_buf node_high(const uint8_t *page, uint32_t cap, bool *bounded)
{
	*bounded = load32(page + NODE_HIGH) != 0;
	return *bounded ? fence(page, cap, NODE_HIGH) : (tarn_buf){ page, 0 };
}

/* How many of the n heads from `slot` on are smaller. No branch but the loop's: which half it is would be guessed wrong
 * every other time, and a mask costs less than that. */
static inline NODE_RACY uint32_t heads_below(const uint8_t *slot, uint32_t n, uint32_t head)
{
	const uint8_t *at = slot;

	while (n > 1) {
		uint32_t half = n / 2;

		at += -(size_t)(load32(at + SLOT_BYTES * (half - 1) + SLOT_HEAD) < head) & (SLOT_BYTES * half);
		n -= half;
	}
	return (uint32_t)(at - slot) / SLOT_BYTES + (n && load32(at + SLOT_HEAD) < head);
}

/* The slot behind the last one with this head. It begins at slot, and is nearly always that one alone. */
static inline NODE_RACY uint32_t heads_end(const uint8_t *page, uint32_t cap, uint32_t slot, uint32_t n, uint32_t head)
{
	const uint8_t *next = slot_at(page, cap, slot + 1);

	if (slot + 1 >= n || load32(next + SLOT_HEAD) != head)
		return slot + 1;
	return head == UINT32_MAX ? n : slot + 1 + heads_below(next, n - slot - 1, head + 1);
}

/* The first of the slots from `from` on whose key is not below. */
static inline NODE_RACY uint32_t search(const uint8_t *page, uint32_t cap, uint32_t from, uint32_t fixed, tarn_buf key,
					bool *found)
{
	tarn_buf suffix = behind(key, load32(page + NODE_PREFIX));
	uint32_t n = node_count(page, cap), head = head_of(suffix), lo, hi;

	*found = false;
	if (from >= n)
		return from;
	lo = from + heads_below(slot_at(page, cap, from), n - from, head);
	if (lo == n || load32(slot_at(page, cap, lo) + SLOT_HEAD) != head)
		return lo;
	hi = heads_end(page, cap, lo, n, head);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int	 c   = key_compare(suffix_at(page, cap, entry_at(page, cap, mid, fixed), fixed), suffix);

		if (c == 0) {
			*found = true;
			return mid;
		}
		lo = c < 0 ? mid + 1 : lo;
		hi = c < 0 ? hi : mid;
	}
	return lo;
}

NODE_RACY uint32_t node_lower(const uint8_t *page, uint32_t cap, tarn_buf key, bool *found)
{
	return search(page, cap, 0, fixed_bytes(node_level(page)), key, found);
}

NODE_RACY uint32_t node_route(const uint8_t *page, uint32_t cap, tarn_buf key)
{
	bool	 found;
	uint32_t slot = search(page, cap, 1, INNER_KEY, key, &found);

	return slot - !found;
}

NODE_RACY struct leaf_value node_value(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	uint32_t at = entry_at(page, cap, slot, LEAF_KEY), lens = load32(page + at + LEAF_LENS);
	uint32_t room = cap - LEAF_KEY - at, klen = MIN(lens & KLEN_MASK, room);

	return (struct leaf_value){ .bytes    = page + at + LEAF_KEY + klen,
				    .len      = MIN(lens >> (LEAF_KLEN_BITS + 1), room - klen),
				    .extents  = lens & LEAF_EXTENTS,
				    .revision = load64(page + at + LEAF_REV) };
}

NODE_RACY struct node_child node_child(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	uint8_t child[INNER_KEY - INNER_CHILD];

	page_copy(child, page + entry_at(page, cap, slot, INNER_KEY) + INNER_CHILD, sizeof(child));
	return (struct node_child){ bptr_get(child), get64(child + INNER_KEYS - INNER_CHILD) };
}

NODE_RACY uint64_t node_child_id(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	uint64_t where = load64(page + entry_at(page, cap, slot, INNER_KEY) + INNER_CHILD + BPTR_WHERE);

	return (where & (VIRTUAL - 1)) | (where >> 56 & BPTR_VIRTUAL ? VIRTUAL : 0);
}

NODE_RACY uint32_t node_key_len(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	struct joint key = whole_key(page, cap, slot);

	return (uint32_t)(key.front.len + key.back.len);
}

NODE_RACY uint32_t node_key_copy(const uint8_t *page, uint32_t cap, uint32_t slot, void *to, uint32_t room)
{
	struct joint key   = whole_key(page, cap, slot);
	uint32_t     front = (uint32_t)MIN(key.front.len, room), back = (uint32_t)MIN(key.back.len, room - front);

	page_copy(to, key.front.ptr, front);
	page_copy((uint8_t *)to + front, key.back.ptr, back);
	return front + back;
}

static NODE_RACY bool entry_has_extents(const uint8_t *page, uint32_t cap, uint32_t slot, unsigned level)
{
	const uint8_t *e = page + entry_at(page, cap, slot, fixed_bytes(level));

	return level ? load64(e + INNER_CHILD + BPTR_WHERE) >> 56 & BPTR_EXTENTS : load32(e + LEAF_LENS) & LEAF_EXTENTS;
}

NODE_RACY bool node_has_extents(const uint8_t *page, uint32_t cap)
{
	unsigned level = node_level(page);

	for (uint32_t i = 0, n = node_count(page, cap); i < n; i++)
		if (entry_has_extents(page, cap, i, level))
			return true;
	return false;
}
