/* SPDX-License-Identifier: Apache-2.0 */
/* store/node_bytes.h: how the bytes of a page are found; shared by the files of node.h (leaf.h is one), and of nobody else.
 *
 * Always true of a sound page, beyond what layout.h says:
 *   - the fences end the page, the low one last, the high one before it, and never move;
 *   - the gap between the slots and NODE_HEAP is zero, and NODE_HOLES counts the bytes between NODE_HEAP and the fences that are no
 *     entry's;
 *   - in an inner page entries and fences are padded with zeros to a multiple of four bytes.
 * What is NODE_RACY here believes none of this: what it loads from the page it clamps to the page before it uses it. A field may
 * have changed when it is loaded again, so it is loaded once for the clamp and the use. */
#ifndef TARN_STORE_NODE_BYTES_H
#define TARN_STORE_NODE_BYTES_H

#include "node.h"
#include <endian.h>

#define KEY_MAX	   (TARN_KEY_MAX + 16u) /* an object's id stands before the user's key */
#define KLEN_MASK  ((1u << LEAF_KLEN_BITS) - 1)
#define LEVELS_MAX 32u
#define PAD	   4u /* of an inner page */

_Static_assert(LEAF_LENS == 0 && INNER_KLEN == 0, "the length of the key opens both kinds of entry");
_Static_assert(NODE_LOW + 4 == NODE_LOW_LEN && NODE_HIGH + 4 == NODE_HIGH_LEN, "a fence's length follows its place");
_Static_assert((NODE_MAX - NODE_SLOTS) / SLOT_BYTES < UINT16_MAX, "a slot's number fits into 16 bits");

/* ---- loads, which may race ---- */

struct any32 {
	uint32_t v;
} __attribute__((packed, may_alias));

struct any64 {
	uint64_t v;
} __attribute__((packed, may_alias));

/* Volatile: a compiler that loaded the field once for the clamp and once more for the use would undo the clamp. */
static inline NODE_RACY uint32_t load32(const uint8_t *p)
{
	return le32toh(((const volatile struct any32 *)p)->v);
}

static inline NODE_RACY uint64_t load64(const uint8_t *p)
{
	return le64toh(((const volatile struct any64 *)p)->v);
}

/* Of keys: for comparing only. */
static inline NODE_RACY uint32_t load32be(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline NODE_RACY uint64_t load64be(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

/* ---- keys ---- */

static inline NODE_RACY int order64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static inline NODE_RACY int order_short(const uint8_t *a, const uint8_t *b, size_t n)
{
	if (n >= 4)
		return order64((uint64_t)load32be(a) << 32 | load32be(a + n - 4),
			       (uint64_t)load32be(b) << 32 | load32be(b + n - 4));
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* The first n bytes, eight at a time. The last load overlaps what was equal, so there is no tail. */
static inline NODE_RACY int order_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
	if (n < 8)
		return order_short(a, b, n);
	for (size_t i = 0; i < n - 8; i += 8) {
		uint64_t x = load64be(a + i), y = load64be(b + i);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return order64(load64be(a + n - 8), load64be(b + n - 8));
}

/* The first four bytes as a number, zeros for those that are missing. */
static inline NODE_RACY uint32_t head_of(tarn_buf suffix)
{
	const uint8_t *p    = suffix.ptr;
	uint32_t       head = 0;

	if (suffix.len >= 4)
		return load32be(p);
	for (size_t i = 0; i < suffix.len; i++)
		head |= (uint32_t)p[i] << (24 - 8 * i);
	return head;
}

static inline NODE_RACY tarn_buf behind(tarn_buf key, size_t n)
{
	n = MIN(n, key.len);
	return n ? (tarn_buf){ (const uint8_t *)key.ptr + n, key.len - n } : key;
}

uint32_t key_common(tarn_buf a, tarn_buf b); /* how many bytes they begin with */

/* ---- where things are ---- */

static inline NODE_RACY uint32_t slots_max(uint32_t cap)
{
	return (cap - NODE_SLOTS) / SLOT_BYTES;
}

static inline NODE_RACY const uint8_t *slot_at(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	return page + NODE_SLOTS + SLOT_BYTES * MIN(slot, slots_max(cap) - 1);
}

/* What every entry of the level begins with: all but the key and the value. */
static inline NODE_RACY uint32_t fixed_bytes(unsigned level)
{
	return level ? INNER_KEY : LEAF_KEY;
}

static inline NODE_RACY uint32_t padded(unsigned level, uint32_t bytes)
{
	return level ? ROUND_UP(bytes, PAD) : bytes;
}

/* In the page, with `fixed` bytes of room at least. */
static inline NODE_RACY uint32_t entry_at(const uint8_t *page, uint32_t cap, uint32_t slot, uint32_t fixed)
{
	uint32_t at = load32(slot_at(page, cap, slot) + SLOT_ENTRY);

	return at <= cap - fixed ? at : 0;
}

static inline NODE_RACY tarn_buf suffix_at(const uint8_t *page, uint32_t cap, uint32_t at, uint32_t fixed)
{
	uint32_t len = load32(page + at) & KLEN_MASK, room = cap - fixed - at;

	return (tarn_buf){ page + at + fixed, MIN(len, room) };
}

static inline NODE_RACY tarn_buf suffix_of(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	uint32_t fixed = fixed_bytes(node_level(page));

	return suffix_at(page, cap, entry_at(page, cap, slot, fixed), fixed);
}

static inline NODE_RACY tarn_buf fence(const uint8_t *page, uint32_t cap, uint32_t field)
{
	uint32_t at = load32(page + field), len = load32(page + field + 4);

	at = MIN(at, cap);
	return (tarn_buf){ page + at, MIN(len, cap - at) };
}

static inline NODE_RACY tarn_buf prefix_of(const uint8_t *page, uint32_t cap)
{
	tarn_buf low = node_low(page, cap);
	uint32_t len = load32(page + NODE_PREFIX);

	return (tarn_buf){ low.ptr, MIN(len, low.len) };
}

/* A key in two pieces: the prefix or what is left of it, and the suffix. */
struct joint {
	tarn_buf front, back;
};

/* Of slot 0 of an inner page, whose key is empty, it is what bounds it: the low fence. */
static inline NODE_RACY struct joint whole_key(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	if (slot == 0 && node_level(page))
		return (struct joint){ node_low(page, cap), { page, 0 } };
	return (struct joint){ prefix_of(page, cap), suffix_of(page, cap, slot) };
}

/* ---- of sound pages ---- */

static inline uint32_t entry_bytes(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	unsigned level = node_level(page);
	uint32_t lens  = get32(page + entry_at(page, cap, slot, fixed_bytes(level)));

	return level ? ROUND_UP(INNER_KEY + lens, PAD) : LEAF_KEY + (lens & KLEN_MASK) + (lens >> (LEAF_KLEN_BITS + 1));
}

static inline uint32_t fences_at(const uint8_t *page, uint32_t cap)
{
	unsigned level = node_level(page);

	return cap - padded(level, get32(page + NODE_LOW_LEN)) - padded(level, get32(page + NODE_HIGH_LEN));
}

static inline void set_head(uint8_t *page, uint32_t cap, uint32_t slot)
{
	put32(page + NODE_SLOTS + SLOT_BYTES * slot + SLOT_HEAD, head_of(suffix_of(page, cap, slot)));
}

static inline void copy(void *to, tarn_buf from)
{
	if (from.len > 0)
		memcpy(to, from.ptr, from.len);
}

/* The entries from the highest place to the lowest, without memory in proportion to the page: window by window, each sorted by a
 * table. An entry has at least LEAF_KEY bytes, so no two begin in one cell of as many; where two do, they overlap. */
#define CELLS 2048u
struct falling {
	const uint8_t *page;
	uint32_t       cap, base, cell; /* the window begins at base; the cells below `cell` are to come */
	bool	       overlap;
	uint16_t       slots[CELLS]; /* the slot + 1 */
};

void falling_begin(struct falling *f, const uint8_t *page, uint32_t cap);
bool falling_next(struct falling *f, uint32_t *slot);

#endif
