/* SPDX-License-Identifier: Apache-2.0 */
/* store/node.c: reading a page. Nothing here changes one, and nothing here believes one. */
#include "node_bytes.h"

NODE_RACY int key_compare(tarn_buf a, tarn_buf b)
{
	int c = order_bytes(a.ptr, b.ptr, MIN(a.len, b.len));

	return c ? c : (a.len > b.len) - (a.len < b.len);
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

#define WINDOW 8u /* heads that are compared one and all: it takes less time than to halve them further */

static inline NODE_RACY uint32_t window_below(const uint8_t *at, uint32_t n, uint32_t head)
{
	uint32_t below = 0;

	if (n == WINDOW) { /* the compiler unrolls this one */
		for (uint32_t i = 0; i < WINDOW; i++)
			below += load32(at + SLOT_BYTES * i + SLOT_HEAD) < head;
		return below;
	}
	for (uint32_t i = 0; i < n; i++)
		below += load32(at + SLOT_BYTES * i + SLOT_HEAD) < head;
	return below;
}

/* How many of the n heads from `slot` on are smaller. No branch but the loop's: which half it is would be guessed wrong every other time, and a
 * mask costs less than that. The window may begin before what is left: those are smaller. */
static inline NODE_RACY uint32_t heads_below(const uint8_t *slot, uint32_t n, uint32_t head)
{
	uint32_t from = 0, left = n;

	while (left > WINDOW) {
		uint32_t half = left / 2;

		from += -(uint32_t)(load32(slot + SLOT_BYTES * (from + half - 1) + SLOT_HEAD) < head) & half;
		left -= half;
	}
	if (n < WINDOW)
		return window_below(slot, n, head);
	from = MIN(from, n - WINDOW);
	return from + window_below(slot + SLOT_BYTES * from, WINDOW, head);
}

/* The slot behind the last one with this head. It begins at slot, and is nearly always that one alone. */
static inline NODE_RACY uint32_t heads_end(const uint8_t *page, uint32_t cap, uint32_t slot, uint32_t n, uint32_t head)
{
	const uint8_t *next = slot_at(page, cap, slot + 1);

	if (slot + 1 >= n || load32(next + SLOT_HEAD) != head)
		return slot + 1;
	return head == UINT32_MAX ? n : slot + 1 + heads_below(next, n - slot - 1, head + 1);
}

/* ---- entries with the same head ---- */

/* A page whose fences share nothing, as the root, has the same head in all its slots when its keys begin with the same bytes, as those of one
 * object do. What they share is seen once then, and eight bytes behind it are compared as a number. */
#define RUN_LONG 6u

struct run {
	const uint8_t *page;
	uint32_t       cap, fixed;
	size_t	       skip; /* bytes that the first and the last share, and so all between */
	uint64_t       next; /* eight bytes of the key behind them */
};

/* Zeros for those that are missing: so two may look the same that are not, and never the wrong way round. */
static inline NODE_RACY uint64_t eight_behind(tarn_buf key, size_t skip)
{
	uint64_t v = 0;

	if (key.len >= skip + 8)
		return load64be((const uint8_t *)key.ptr + skip);
	for (size_t i = skip; i < key.len; i++)
		v |= (uint64_t)((const uint8_t *)key.ptr)[i] << (56 - 8 * (i - skip));
	return v;
}

static inline NODE_RACY size_t shared(tarn_buf a, tarn_buf b)
{
	size_t n = MIN(a.len, b.len), i = 0;

	while (i + 8 <= n && load64be((const uint8_t *)a.ptr + i) == load64be((const uint8_t *)b.ptr + i))
		i += 8;
	while (i < n && ((const uint8_t *)a.ptr)[i] == ((const uint8_t *)b.ptr)[i])
		i++;
	return i;
}

static inline NODE_RACY tarn_buf run_suffix(const struct run *r, uint32_t slot)
{
	return suffix_at(r->page, r->cap, entry_at(r->page, r->cap, slot, r->fixed), r->fixed);
}

/* The first slot of [lo, hi) that is not below by those eight bytes. */
static NODE_RACY uint32_t run_below(const struct run *r, uint32_t lo, uint32_t hi)
{
	uint32_t n = hi - lo;

	for (uint32_t half = n / 2; n > 1; half = n / 2) {
		lo += -(uint32_t)(eight_behind(run_suffix(r, lo + half - 1), r->skip) < r->next) & half;
		n -= half;
	}
	return lo + (n && eight_behind(run_suffix(r, lo), r->skip) < r->next);
}

/* Makes [*lo, *hi) smaller, around where the key is or belongs. */
static NODE_RACY void narrow(struct run *r, uint32_t *lo, uint32_t *hi, tarn_buf suffix)
{
	tarn_buf first = run_suffix(r, *lo);

	r->skip = shared(first, run_suffix(r, *hi - 1));
	if (suffix.len < r->skip || shared(first, suffix) < r->skip)
		return;
	r->next = eight_behind(suffix, r->skip);
	*lo	= run_below(r, *lo, *hi);
	if (*lo + 1 < *hi && eight_behind(run_suffix(r, *lo + 1), r->skip) > r->next)
		*hi = *lo + 1;
}

/* ---- where a key is, or belongs ---- */

struct search {
	const uint8_t *page;
	uint32_t       cap, fixed;
	tarn_buf       suffix; /* of the key, behind the page's prefix */
	uint32_t       head;
};

static inline NODE_RACY struct search search_begin(const uint8_t *page, uint32_t cap, uint32_t fixed, tarn_buf key)
{
	tarn_buf suffix = behind(key, load32(page + NODE_PREFIX));

	return (struct search){ page, cap, fixed, suffix, head_of(suffix) };
}

/* The first of the slots from `from` on whose head is not below. Looks at no entry. */
static inline NODE_RACY uint32_t search_heads(const struct search *s, uint32_t from, uint32_t n)
{
	return from < n ? from + heads_below(slot_at(s->page, s->cap, from), n - from, s->head) : from;
}

/* From there on: the first whose key is not below. */
static inline NODE_RACY uint32_t search_entries(const struct search *s, uint32_t lo, uint32_t n, bool *found)
{
	uint32_t hi;

	*found = false;
	if (lo >= n || load32(slot_at(s->page, s->cap, lo) + SLOT_HEAD) != s->head)
		return lo;
	hi = heads_end(s->page, s->cap, lo, n, s->head);
	if (hi - lo > RUN_LONG) {
		struct run r = { .page = s->page, .cap = s->cap, .fixed = s->fixed };

		narrow(&r, &lo, &hi, s->suffix);
	}
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = key_compare(suffix_at(s->page, s->cap, entry_at(s->page, s->cap, mid, s->fixed), s->fixed), s->suffix);

		if (c == 0) {
			*found = true;
			return mid;
		}
		lo = c < 0 ? mid + 1 : lo;
		hi = c < 0 ? hi : mid;
	}
	return lo;
}

static inline NODE_RACY uint32_t search(const uint8_t *page, uint32_t cap, uint32_t from, uint32_t fixed, tarn_buf key,
					bool *found)
{
	struct search s = search_begin(page, cap, fixed, key);
	uint32_t      n = node_count(page, cap);

	return search_entries(&s, search_heads(&s, from, n), n, found);
}

NODE_RACY uint32_t node_near(const uint8_t *page, uint32_t cap, tarn_buf key)
{
	struct search s = search_begin(page, cap, fixed_bytes(node_level(page)), key);

	return search_heads(&s, 0, node_count(page, cap));
}

NODE_RACY uint32_t node_lower_near(const uint8_t *page, uint32_t cap, tarn_buf key, uint32_t near, bool *found)
{
	struct search s = search_begin(page, cap, fixed_bytes(node_level(page)), key);

	return search_entries(&s, near, node_count(page, cap), found);
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

NODE_RACY bool node_covers(const uint8_t *page, uint32_t cap, tarn_buf key)
{
	bool	 bounded;
	tarn_buf high = node_high(page, cap, &bounded);

	return key_compare(node_low(page, cap), key) <= 0 && (!bounded || key_compare(key, high) < 0);
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
