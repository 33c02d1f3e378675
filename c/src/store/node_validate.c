/* SPDX-License-Identifier: Apache-2.0 */
/* store/node_validate.c: is a page sound? Each check relies on those before it only. */
#include "node_bytes.h"

static bool zeros(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static const char *bad_header(const uint8_t *page, uint32_t len, const uint8_t pool[8])
{
	if (len < BLOCK || len > NODE_MAX || len % BLOCK != 0)
		return "the length is not a node's";
	if (get32(page + NODE_MAGIC) != NODE_MAGIC_NUMBER || node_level(page) >= LEVELS_MAX ||
	    !zeros(page + NODE_LEVEL + 1, NODE_COUNT - NODE_LEVEL - 1) || get32(page + NODE_COUNT) > slots_max(len))
		return "the header is not a node's";
	if (memcmp(page + NODE_POOL, pool, 8) != 0)
		return "it belongs to another pool";
	return node_level(page) && get32(page + NODE_COUNT) == 0 ? "an inner node without children" : NULL;
}

/* One fence ends at `end`, and its padding is zero. */
static bool fence_sane(const uint8_t *page, uint32_t end, uint32_t field)
{
	uint32_t at = get32(page + field), len = get32(page + field + 4), bytes;

	if (len > KEY_MAX)
		return false;
	bytes = padded(node_level(page), len);
	return bytes <= end - NODE_SLOTS && at == end - bytes && zeros(page + at + len, bytes - len);
}

static const char *bad_fences(const uint8_t *page, uint32_t len)
{
	bool	 bounded;
	tarn_buf low, high;

	if (!fence_sane(page, len, NODE_LOW))
		return "the low fence is impossible";
	if (get32(page + NODE_HIGH) == 0 ? get32(page + NODE_HIGH_LEN) != 0
					 : !fence_sane(page, get32(page + NODE_LOW), NODE_HIGH))
		return "the high fence is impossible";
	low  = node_low(page, len);
	high = node_high(page, len, &bounded);
	if (bounded && key_compare(low, high) >= 0)
		return "the fences are out of order";
	return get32(page + NODE_PREFIX) == (bounded ? key_common(low, high) : 0) ? NULL : "the prefix is not the fences'";
}

static const char *bad_heap(const uint8_t *page, uint32_t len)
{
	uint32_t heap = get32(page + NODE_HEAP), slots = NODE_SLOTS + SLOT_BYTES * get32(page + NODE_COUNT),
		 end = fences_at(page, len);

	if (heap < slots || heap > end)
		return "the entries begin outside";
	if (get32(page + NODE_HOLES) > end - heap)
		return "there are more holes than bytes";
	return zeros(page + slots, heap - slots) ? NULL : "the gap is not empty";
}

static bool descriptor_sane(const uint8_t *desc, uint32_t len)
{
	if (len < EXT_PTRS || get32(desc + EXT_COUNT) > EXT_INLINE_PTRS || get32(desc + EXT_LEVEL) > EXT_LEVEL_MAX)
		return false;
	return len == EXT_PTRS + get32(desc + EXT_COUNT) * BPTR_BYTES && get64(desc + EXT_SIZE) <= TARN_VALUE_MAX;
}

static bool child_sane(const uint8_t *where, uint64_t blocks)
{
	uint64_t    flags = get64(where + BPTR_WHERE) >> 56;
	struct bptr ptr	  = bptr_get(where);

	if (flags & ~(uint64_t)BPTR_FLAGS || ptr.addr < 2 || ptr.addr >= blocks || ptr.len == 0 || ptr.len > NODE_MAX)
		return false;
	return flags & BPTR_GANG || ptr.len / BLOCK <= blocks - ptr.addr;
}

static const char *bad_leaf_entry(const uint8_t *page, uint32_t len, uint32_t slot)
{
	struct leaf_value value = node_value(page, len, slot);

	return value.extents && !descriptor_sane(value.bytes, value.len) ? "a value's descriptor is impossible" : NULL;
}

static const char *bad_inner_entry(const uint8_t *page, uint32_t len, uint32_t slot, uint64_t blocks)
{
	const uint8_t *e    = page + entry_at(page, len, slot, INNER_KEY);
	uint32_t       klen = get32(e + INNER_KLEN);

	if (get32(e + INNER_ZERO) != 0 || !zeros(e + INNER_KEY + klen, ROUND_UP(klen, PAD) - klen))
		return "an entry has bytes that are none";
	if (slot == 0 && klen != 0)
		return "the first child has a key";
	return child_sane(e + INNER_CHILD, blocks) ? NULL : "a child's address is impossible";
}

static const char *bad_entry(const uint8_t *page, uint32_t len, uint32_t slot, uint64_t blocks)
{
	uint32_t at = get32(slot_at(page, len, slot) + SLOT_ENTRY), end = fences_at(page, len), klen;
	unsigned level = node_level(page);

	if (at < get32(page + NODE_HEAP) || at > end - fixed_bytes(level) || at % padded(level, 1) != 0)
		return "an entry lies outside";
	klen = level ? get32(page + at) : get32(page + at) & KLEN_MASK;
	if (klen > KEY_MAX - get32(page + NODE_PREFIX) || entry_bytes(page, len, slot) > end - at)
		return "an entry is too long";
	if (get32(slot_at(page, len, slot) + SLOT_HEAD) != head_of(suffix_of(page, len, slot)))
		return "a slot's head is not its key's";
	return level ? bad_inner_entry(page, len, slot, blocks) : bad_leaf_entry(page, len, slot);
}

/* Entries neither overlap nor leave more or less than the holes. */
static const char *bad_places(const uint8_t *page, uint32_t len)
{
	uint32_t       end = fences_at(page, len), top = end, used = 0, slot;
	struct falling f;

	falling_begin(&f, page, len);
	while (falling_next(&f, &slot)) {
		uint32_t at = get32(slot_at(page, len, slot) + SLOT_ENTRY), bytes = entry_bytes(page, len, slot);

		if (f.overlap || bytes > top - at)
			return "entries overlap";
		used += bytes;
		top = at;
	}
	return used + get32(page + NODE_HOLES) == end - get32(page + NODE_HEAP) ? NULL : "the holes do not add up";
}

/* All of them: the last key decides about the high fence, as the keys ascend. Slot 0 of an inner page has none. */
static const char *bad_order(const uint8_t *page, uint32_t len)
{
	uint32_t n = get32(page + NODE_COUNT), prefix = get32(page + NODE_PREFIX), first = node_level(page) ? 1 : 0;
	bool	 bounded;
	tarn_buf low = behind(node_low(page, len), prefix), high = behind(node_high(page, len, &bounded), prefix);

	if (first >= n)
		return NULL;
	if (key_compare(suffix_of(page, len, first), low) < (int)first)
		return "a key is below the low fence";
	for (uint32_t i = first + 1; i < n; i++)
		if (key_compare(suffix_of(page, len, i - 1), suffix_of(page, len, i)) >= 0)
			return "keys are out of order";
	return bounded && key_compare(suffix_of(page, len, n - 1), high) >= 0 ? "a key is above the high fence" : NULL;
}

static const char *bad_node(const uint8_t *page, uint32_t len, const uint8_t pool[8], uint64_t blocks)
{
	const char *why = bad_header(page, len, pool);

	why = why ? why : bad_fences(page, len);
	why = why ? why : bad_heap(page, len);
	for (uint32_t i = 0; !why && i < get32(page + NODE_COUNT); i++)
		why = bad_entry(page, len, i, blocks);
	why = why ? why : bad_places(page, len);
	return why ? why : bad_order(page, len);
}

int node_validate(const uint8_t *page, uint32_t len, const uint8_t pool[8], uint64_t blocks, const char **why)
{
	*why = bad_node(page, len, pool, blocks);
	return *why ? -TARN_E_CSUM : 0;
}
