/* SPDX-License-Identifier: Apache-2.0 */
/* store/node_make.c: pages made of others: packed, split, joined. What is made has no holes. */
#include "node_bytes.h"

/* Which pool and tree a page is of, when it was born and where it is. */
static void copy_identity(const uint8_t *from, uint8_t *to)
{
	memcpy(to + NODE_POOL, from + NODE_POOL, NODE_HOLES - NODE_POOL);
}

/* Whether the entries stand in key order from `at` on, without holes: so does every page that was written. */
static bool is_packed(const uint8_t *page, uint32_t cap, uint32_t at)
{
	uint32_t n = node_count(page, cap), fixed = fixed_bytes(node_level(page));

	if (get32(page + NODE_HEAP) != at)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (entry_at(page, cap, i, fixed) != at)
			return false;
		at += entry_bytes(page, cap, i);
	}
	return true;
}

/* Entries stand in key order, so that a scan walks forward. */
uint32_t node_pack(const uint8_t *from, uint32_t from_cap, uint8_t *to, uint32_t to_cap)
{
	uint32_t n = node_count(from, from_cap), need = node_need(from, from_cap);
	uint32_t at    = to_cap - (need - NODE_SLOTS - SLOT_BYTES * n);
	unsigned level = node_level(from);
	bool	 bounded;
	tarn_buf high = node_high(from, from_cap, &bounded);

	if (from_cap == to_cap && is_packed(from, from_cap, at)) {
		memcpy(to, from, to_cap);
		return need;
	}
	node_init(to, to_cap, level, node_low(from, from_cap), high, bounded);
	copy_identity(from, to);
	put32(to + NODE_COUNT, n);
	put32(to + NODE_HEAP, at);
	memcpy(to + NODE_SLOTS, from + NODE_SLOTS, SLOT_BYTES * n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t bytes = entry_bytes(from, from_cap, i);

		page_copy(to + at, from + entry_at(from, from_cap, i, fixed_bytes(level)), bytes);
		put32(to + NODE_SLOTS + SLOT_BYTES * i + SLOT_ENTRY, at);
		at += bytes;
	}
	return need;
}

struct part { /* the entries [from, to) of a page */
	const uint8_t *page;
	uint32_t       cap, from, to;
};

struct plan { /* a page to make of one or two parts, which are neighbours */
	struct part parts[2];
	tarn_buf    low, high;
	bool	    bounded;
	unsigned    level;
	uint32_t    prefix, count, need; /* measure() says */
};

/* The key that an entry has behind that prefix; the first of an inner page has none. */
static struct joint key_in(const struct part *part, uint32_t slot, uint32_t prefix, bool first)
{
	struct joint key   = whole_key(part->page, part->cap, slot);
	size_t	     front = key.front.len;

	if (first && node_level(part->page))
		return (struct joint){ { NULL, 0 }, { NULL, 0 } };
	return (struct joint){ behind(key.front, prefix), prefix > front ? behind(key.back, prefix - front) : key.back };
}

static uint32_t bytes_in(const struct part *part, uint32_t slot, uint32_t prefix, bool first)
{
	struct joint key   = key_in(part, slot, prefix, first);
	uint32_t     bytes = (uint32_t)(key.front.len + key.back.len);

	if (node_level(part->page))
		return ROUND_UP(INNER_KEY + bytes, PAD);
	return LEAF_KEY + bytes + node_value(part->page, part->cap, slot).len;
}

static void measure(struct plan *plan)
{
	uint32_t fences = padded(plan->level, (uint32_t)plan->low.len);

	fences += plan->bounded ? padded(plan->level, (uint32_t)plan->high.len) : 0;
	plan->prefix = plan->bounded ? key_common(plan->low, plan->high) : 0;
	plan->need   = NODE_SLOTS + fences;
	for (unsigned p = 0; p < 2; p++)
		for (uint32_t i = plan->parts[p].from; i < plan->parts[p].to; i++)
			plan->need += SLOT_BYTES + bytes_in(&plan->parts[p], i, plan->prefix, plan->count++ == 0);
}

/* Into zeroed bytes. */
static void write_entry(uint8_t *e, const struct part *part, uint32_t slot, uint32_t prefix, bool first)
{
	unsigned       level = node_level(part->page);
	uint32_t       fixed = fixed_bytes(level);
	const uint8_t *from  = part->page + entry_at(part->page, part->cap, slot, fixed);
	struct joint   key   = key_in(part, slot, prefix, first);
	uint32_t       klen  = (uint32_t)(key.front.len + key.back.len);

	page_copy(e, from, fixed);
	put32(e, (get32(e) & ~KLEN_MASK) | klen);
	copy(e + fixed, key.front);
	copy(e + fixed + key.front.len, key.back);
	if (!level) {
		struct leaf_value value = node_value(part->page, part->cap, slot);

		copy(e + LEAF_KEY + klen, (tarn_buf){ value.bytes, value.len });
	}
}

/* The page, of a measured plan that fits. Its own address is for the caller to say. */
static void make(const struct plan *plan, uint8_t *out, uint32_t cap)
{
	uint32_t at = cap - (plan->need - NODE_SLOTS - SLOT_BYTES * plan->count), n = 0;

	node_init(out, cap, plan->level, plan->low, plan->high, plan->bounded);
	copy_identity(plan->parts[0].page, out);
	put64(out + NODE_ADDR, 0);
	put32(out + NODE_COUNT, plan->count);
	put32(out + NODE_HEAP, at);
	for (unsigned p = 0; p < 2; p++)
		for (uint32_t i = plan->parts[p].from; i < plan->parts[p].to; i++, n++) {
			put32(out + NODE_SLOTS + SLOT_BYTES * n + SLOT_ENTRY, at);
			write_entry(out + at, &plan->parts[p], i, plan->prefix, n == 0);
			set_head(out, cap, n);
			at += entry_bytes(out, cap, n);
		}
}

bool node_part(const uint8_t *page, uint32_t cap, uint32_t from, uint32_t to, tarn_buf low, tarn_buf high, bool bounded,
	       uint8_t *out, uint32_t out_cap)
{
	struct plan plan = { .parts = { { page, cap, from, to } }, .low = low, .high = high, .bounded = bounded };

	plan.level = node_level(page);
	measure(&plan);
	if (plan.need > out_cap)
		return false;
	make(&plan, out, out_cap);
	return true;
}

static struct plan plan_join(const uint8_t *left, uint32_t left_cap, const uint8_t *right, uint32_t right_cap)
{
	struct plan plan = { .parts = { { left, left_cap, 0, node_count(left, left_cap) },
					{ right, right_cap, 0, node_count(right, right_cap) } },
			     .low   = node_low(left, left_cap),
			     .level = node_level(left) };

	plan.high = node_high(right, right_cap, &plan.bounded);
	measure(&plan);
	return plan;
}

uint32_t node_join_need(const uint8_t *left, uint32_t left_cap, const uint8_t *right, uint32_t right_cap)
{
	return plan_join(left, left_cap, right, right_cap).need;
}

bool node_join(const uint8_t *left, uint32_t left_cap, const uint8_t *right, uint32_t right_cap, uint8_t *out, uint32_t out_cap)
{
	struct plan plan = plan_join(left, left_cap, right, right_cap);

	if (plan.need > out_cap)
		return false;
	make(&plan, out, out_cap);
	return true;
}

/* The slot that begins nearest to the middle byte, behind it when there are two. */
static uint32_t middle(const uint8_t *page, uint32_t cap, uint32_t n)
{
	uint32_t half = 0, left = 0, last = 0, slot = 0;

	for (uint32_t i = 0; i < n; i++)
		half += SLOT_BYTES + entry_bytes(page, cap, i);
	half /= 2;
	while (left < half) {
		last = SLOT_BYTES + entry_bytes(page, cap, slot++);
		left += last;
	}
	return left - half > half - (left - last) ? slot - 1 : slot;
}

uint32_t node_cut(const uint8_t *page, uint32_t cap, uint32_t new_slot)
{
	uint32_t n = node_count(page, cap), least = node_level(page) && n >= 4 ? 2 : 1, cut;

	if (new_slot + 1 == n)
		cut = n - 1;
	else if (new_slot == 0)
		cut = 1;
	else
		cut = middle(page, cap, n);
	return n < 2 ? n : MAX(least, MIN(cut, n - least));
}

uint32_t node_separator(const uint8_t *page, uint32_t cap, uint32_t cut, void *to)
{
	uint32_t len = node_key_copy(page, cap, cut, to, KEY_MAX);

	if (node_level(page))
		return len;
	return (uint32_t)prefix_of(page, cap).len + key_common(suffix_of(page, cap, cut - 1), suffix_of(page, cap, cut)) + 1;
}
