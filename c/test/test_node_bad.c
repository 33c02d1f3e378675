/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_node_bad.c: pages that are not sound: what readers do with them, and what node_validate() says. */
#include "node_pages.h"
#include <pthread.h>

/* Pages of one block with three entries: k0001 to k0003 (an inner page: to k0002 behind its first child). The second of the leaf is
 * a value in extents. */
static void sample(uint8_t *page, unsigned level)
{
	uint8_t		  desc[EXT_PTRS + BPTR_BYTES] = { 0 };
	struct leaf_value value[]		      = { { (const uint8_t *)"one", 3, false, 1 },
							  { desc, sizeof(desc), true, 2 },
							  { NULL, 0, false, 3 } };
	struct node_child child			      = { { .addr = 10, .len = 4 * BLOCK, .flags = BPTR_EXTENTS }, 12 };

	put32(desc + EXT_COUNT, 1);
	node_init(page, BLOCK, level, (tarn_buf){ "k0000", 5 }, (tarn_buf){ "k0009", 5 }, true);
	memcpy(page + NODE_POOL, POOL, 8);
	for (uint32_t i = 0; i < 3; i++) {
		tarn_buf key = { (const char *[]){ "k0001", "k0002", "k0003" }[i - (level && i)], 5 };

		assert_true(level ? node_put_child(page, BLOCK, i, key, &child)
				  : node_put_value(page, BLOCK, i, false, key, &value[i]));
	}
}

static uint64_t read_all(const uint8_t *page, uint32_t cap, uint32_t slot, tarn_buf key)
{
	static __thread uint8_t copy[KEY_ROOM];
	struct leaf_value	value = node_value(page, cap, slot);
	struct node_child	child = node_child(page, cap, slot);
	bool			found, bounded;
	tarn_buf		low = node_low(page, cap), high = node_high(page, cap, &bounded);
	uint64_t sum = node_need(page, cap) + node_lower(page, cap, key, &found) + node_route(page, cap, key) + child.keys;

	assert_true(value.bytes >= page && value.bytes + value.len <= page + cap);
	assert_true((const uint8_t *)low.ptr >= page && (const uint8_t *)low.ptr + low.len <= page + cap);
	assert_true((const uint8_t *)high.ptr >= page && (const uint8_t *)high.ptr + high.len <= page + cap);
	assert_true(node_count(page, cap) <= (cap - NODE_SLOTS) / SLOT_BYTES && node_need(page, cap) <= cap);
	assert_true(node_key_copy(page, cap, slot, copy, slot % sizeof(copy)) <= slot % sizeof(copy));
	sum += node_child_id(page, cap, slot) + node_key_len(page, cap, slot) + value.revision;
	return sum + node_has_extents(page, cap) + (key_compare(low, high) < 0) + found;
}

static void scribble(struct rng *rng, uint8_t *page, uint32_t cap)
{
	uint64_t n = 1 + rng_below(rng, 4);

	while (n-- > 0) {
		uint32_t at = (uint32_t)rng_below(rng, rng_below(rng, 2) ? 400 : cap - 4);

		if (rng_below(rng, 2))
			page[at] ^= (uint8_t)(1u << rng_below(rng, 8));
		else
			put32(page + at, (uint32_t)rng_next(rng) >> rng_below(rng, 32));
	}
}

/* What validate() lets through can be packed and split. */
static void try_validated(const uint8_t *page, uint32_t cap)
{
	uint8_t	   *out = malloc(cap);
	const char *why;

	assert_non_null(out);
	if (node_validate(page, cap, (const uint8_t *)POOL, BLOCKS, &why) == 0) {
		node_pack(page, cap, out, cap);
		assert_sound(out, cap);
		while (node_count(out, cap) > 1)
			node_remove(out, cap, node_count(out, cap) / 2);
		assert_sound(out, cap);
	}
	free(out);
}

static void fuzz(struct rng *rng, uint8_t *page, uint32_t cap)
{
	uint8_t	 bytes[40];
	tarn_buf key = { bytes, rng_below(rng, sizeof(bytes) + 1) };

	test_fill(bytes, sizeof(bytes), rng_next(rng));
	read_all(page, cap, (uint32_t)rng_below(rng, 60), (tarn_buf){ "key0017", 7 });
	read_all(page, cap, (uint32_t)rng_below(rng, 300), key);
	read_all(page, cap, (uint32_t)rng_next(rng), (tarn_buf){ NULL, 0 });
	try_validated(page, cap);
}

static void test_reading_is_total(void **state)
{
	uint8_t	  *page = malloc(BLOCK); /* its end is the end of the memory */
	struct rng rng;

	(void)state;
	assert_non_null(page);
	rng_seed(&rng, test_seed());
	for (uint64_t round = 0; round < 1000 * test_number("N", 40); round++) {
		if (round % 8 == 0) {
			test_fill(page, BLOCK, rng_next(&rng));
			page[NODE_LEVEL] &= 1;
		} else if (round & 1) {
			sample(page, (unsigned)rng_below(&rng, 2));
		} else {
			fill(page, BLOCK, (unsigned)rng_below(&rng, 2), (uint32_t)rng_below(&rng, 50) + 1);
		}
		if (round % 8 != 0)
			scribble(&rng, page, BLOCK);
		fuzz(&rng, page, BLOCK);
	}
	free(page);
}

struct racers {
	uint8_t *page;
	uint32_t cap;
	int	 stop; /* atomic */
};

static void *reader(void *arg)
{
	struct racers *r   = arg;
	uint64_t       sum = 0;
	uint32_t       slot;
	struct rng     rng;

	rng_seed(&rng, 5);
	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		char	 text[16];
		tarn_buf key = { text, (size_t)snprintf(text, sizeof(text), "key%04u", (unsigned)rng_below(&rng, 100)) };

		slot = (uint32_t)rng_below(&rng, 60);
		sum += read_all(r->page, r->cap, slot, key);
	}
	return (void *)(uintptr_t)sum;
}

/* Readers without a lock stay inside the page; the thread sanitizer has nothing to say of them. */
static void test_readers_race(void **state)
{
	struct racers r = { malloc(BLOCK), BLOCK, 0 };
	pthread_t     thread;
	struct rng    rng;

	(void)state;
	assert_non_null(r.page);
	rng_seed(&rng, test_seed());
	fill(r.page, r.cap, 0, 50);
	assert_int_equal(pthread_create(&thread, NULL, reader, &r), 0);
	for (uint64_t i = 0; i < 1000 * test_number("N", 40); i++) {
		uint32_t	  slot = (uint32_t)rng_below(&rng, 50);
		uint8_t		  key[16], bytes[40] = { 0 };
		struct leaf_value value = { bytes, (uint32_t)rng_below(&rng, sizeof(bytes)), false, i };
		tarn_buf	  at	= { key, node_key_copy(r.page, r.cap, slot, key, sizeof(key)) };

		assert_true(node_put_value(r.page, r.cap, slot, true, at, &value));
	}
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_sound(r.page, r.cap);
	free(r.page);
}

/* ---- what validate() refuses ---- */

static uint8_t *entry(uint8_t *page, uint32_t slot)
{
	return page + get32(page + NODE_SLOTS + SLOT_BYTES * slot + SLOT_ENTRY);
}

static void add32(uint8_t *p, uint32_t n)
{
	put32(p, get32(p) + n);
}

/* One wrong field each: where, how wide, what is added to it, and what is said of it. */
enum { OF_PAGE = -1 }; /* else of that slot's entry */
static const struct wrong {
	unsigned    level;
	int	    of;
	uint32_t    at, add;
	const char *says;
} wrongs[] = {
	{ 0, OF_PAGE, NODE_MAGIC, 1, "the header is not a node's" },
	{ 0, OF_PAGE, NODE_LEVEL, 1 << 8, "the header is not a node's" },
	{ 0, OF_PAGE, NODE_LEVEL, 99, "the header is not a node's" },
	{ 0, OF_PAGE, NODE_COUNT, 1000, "the header is not a node's" },
	{ 0, OF_PAGE, NODE_COUNT, 1, "an entry lies outside" },
	{ 0, OF_PAGE, NODE_COUNT, -1u, "the gap is not empty" },
	{ 1, OF_PAGE, NODE_COUNT, -3u, "an inner node without children" },
	{ 0, OF_PAGE, NODE_HEAP, BLOCK, "the entries begin outside" },
	{ 0, OF_PAGE, NODE_HEAP, -(BLOCK - 100), "the entries begin outside" },
	{ 0, OF_PAGE, NODE_HEAP, 1, "the gap is not empty" },
	{ 0, OF_PAGE, NODE_HEAP, -1u, "the holes do not add up" },
	{ 0, OF_PAGE, NODE_POOL + 4, 1, "it belongs to another pool" },
	{ 0, OF_PAGE, NODE_HOLES, 1, "the holes do not add up" },
	{ 0, OF_PAGE, NODE_HOLES, BLOCK, "there are more holes than bytes" },
	{ 0, OF_PAGE, NODE_PREFIX, 1, "the prefix is not the fences'" },
	{ 0, OF_PAGE, NODE_PREFIX, -1u, "the prefix is not the fences'" },
	{ 0, OF_PAGE, NODE_LOW, 1, "the low fence is impossible" },
	{ 0, OF_PAGE, NODE_LOW_LEN, 70000, "the low fence is impossible" },
	{ 0, OF_PAGE, NODE_HIGH, -1u, "the high fence is impossible" },
	{ 0, OF_PAGE, NODE_HIGH_LEN, 1, "the high fence is impossible" },
	{ 0, OF_PAGE, BLOCK - 5, 1, "the fences are out of order" },
	{ 0, OF_PAGE, NODE_SLOTS + 3 * SLOT_BYTES + 5, 1, "the gap is not empty" },
	{ 0, OF_PAGE, NODE_SLOTS + SLOT_HEAD, 1, "a slot's head is not its key's" },
	{ 0, OF_PAGE, NODE_SLOTS + SLOT_ENTRY, -200u, "an entry lies outside" },
	{ 0, OF_PAGE, NODE_SLOTS + SLOT_ENTRY, 2000, "an entry lies outside" },
	{ 1, OF_PAGE, NODE_SLOTS + SLOT_BYTES + SLOT_ENTRY, -1u, "an entry lies outside" },
	{ 0, 0, LEAF_LENS, -1u << 18, "the holes do not add up" },
	{ 0, 0, LEAF_LENS, 1 << 18, "an entry is too long" },
	{ 0, 2, LEAF_LENS, 1 << 18, "entries overlap" },
	{ 0, 2, LEAF_LENS, 1, "a slot's head is not its key's" },
	{ 0, 0, LEAF_LENS, 1 << 16, "an entry is too long" },
	{ 0, 0, LEAF_LENS, 1u << 31, "an entry is too long" },
	{ 0, 0, LEAF_LENS, LEAF_EXTENTS, "a value's descriptor is impossible" },
	{ 0, 1, LEAF_KEY + 1 + EXT_SIZE + 4, 2, "a value's descriptor is impossible" },
	{ 0, 1, LEAF_KEY + 1 + EXT_COUNT, 1, "a value's descriptor is impossible" },
	{ 0, 1, LEAF_KEY + 1 + EXT_COUNT, EXT_INLINE_PTRS, "a value's descriptor is impossible" },
	{ 0, 1, LEAF_KEY + 1 + EXT_LEVEL, EXT_LEVEL_MAX + 1, "a value's descriptor is impossible" },
	{ 1, 1, INNER_KLEN, 1 << 24, "an entry is too long" },
	{ 1, 1, INNER_KLEN, 1u << 31, "an entry is too long" },
	{ 1, 0, INNER_KLEN, 1, "an entry is too long" },
	{ 1, 1, INNER_ZERO, 1, "an entry has bytes that are none" },
	{ 1, 1, INNER_KEY, 1 << 16, "an entry has bytes that are none" },
	{ 1, 1, INNER_CHILD, -10u, "a child's address is impossible" },
	{ 1, 1, INNER_CHILD, -9u, "a child's address is impossible" },
	{ 1, 1, INNER_CHILD, BLOCKS - 13, "a child's address is impossible" },
	{ 1, 1, INNER_CHILD, BLOCKS, "a child's address is impossible" },
	{ 1, 1, INNER_CHILD + 4, 1 << 24, NULL },
	{ 1, 1, INNER_CHILD + 4, -(4u << 8), "a child's address is impossible" },
	{ 1, 1, INNER_CHILD + 4, 128 << 8, "a child's address is impossible" },
	{ 1, 1, INNER_CHILD + 4, 1u << 31, "a child's address is impossible" },
	{ 1, 1, INNER_CHILD + 4, 1u << 26, "a child's address is impossible" },
};

static void assert_why(const uint8_t *page, const char *says)
{
	const char *why;
	int	    rc = node_validate(page, BLOCK, (const uint8_t *)POOL, BLOCKS, &why);

	assert_int_equal(rc, says ? -TARN_E_CSUM : 0);
	if (says)
		assert_string_equal(why, says);
}

static void test_wrong_fields(void **state)
{
	uint8_t page[BLOCK];

	(void)state;
	for (const struct wrong *w = wrongs; w < wrongs + ARRAY_LEN(wrongs); w++) {
		sample(page, w->level);
		assert_why(page, NULL);
		add32((w->of == OF_PAGE ? page : entry(page, (uint32_t)w->of)) + w->at, w->add);
		assert_why(page, w->says);
	}
}

/* The one byte that the slot's key has behind the prefix. */
static void set_last(uint8_t *page, uint32_t slot, char byte)
{
	entry(page, slot)[node_level(page) ? INNER_KEY : LEAF_KEY] = (uint8_t)byte;
	put32(page + NODE_SLOTS + SLOT_BYTES * slot + SLOT_HEAD, (uint32_t)byte << 24);
}

static void test_wrong_order(void **state)
{
	static const struct {
		unsigned    level;
		uint32_t    slot;
		char	    byte;
		const char *says;
	} cases[] = {
		{ 0, 2, '1', "keys are out of order" },
		{ 1, 2, '0', "keys are out of order" },
		{ 0, 1, '1', "keys are out of order" },
		{ 1, 2, '1', "keys are out of order" },
		{ 0, 0, '/', "a key is below the low fence" },
		{ 1, 1, '/', "a key is below the low fence" },
		{ 0, 0, '0', NULL },
		{ 1, 1, '0', "a key is below the low fence" },
		{ 0, 2, '9', "a key is above the high fence" },
		{ 1, 2, '9', "a key is above the high fence" },
		{ 0, 2, '8', NULL },
		{ 1, 2, '8', NULL },
	};
	uint8_t page[BLOCK];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		sample(page, cases[i].level);
		set_last(page, cases[i].slot, cases[i].byte);
		assert_why(page, cases[i].says);
	}
}

static void swap_slots(uint8_t *page, uint32_t a, uint32_t b)
{
	uint64_t slot = get64(page + NODE_SLOTS + SLOT_BYTES * a);

	put64(page + NODE_SLOTS + SLOT_BYTES * a, get64(page + NODE_SLOTS + SLOT_BYTES * b));
	put64(page + NODE_SLOTS + SLOT_BYTES * b, slot);
}

static void test_wrong_slots(void **state)
{
	uint8_t page[BLOCK];

	(void)state;
	sample(page, 0);
	swap_slots(page, 0, 2);
	assert_why(page, "keys are out of order");
	sample(page, 1);
	swap_slots(page, 0, 1);
	assert_why(page, "the first child has a key");
	sample(page, 0); /* two slots of one entry, and the other entry a hole */
	put64(page + NODE_SLOTS, get64(page + NODE_SLOTS + SLOT_BYTES));
	put32(page + NODE_HOLES, LEAF_KEY + 1 + 3);
	assert_why(page, "entries overlap");
}

static void test_wrong_lengths(void **state)
{
	static const uint32_t lens[] = { 0, 100, BLOCK - 1, BLOCK + 512, NODE_MAX + BLOCK };
	uint8_t		     *page   = calloc(1, NODE_MAX + BLOCK);
	const char	     *why;

	(void)state;
	assert_non_null(page);
	sample(page, 0);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		assert_int_equal(node_validate(page, lens[i], (const uint8_t *)POOL, BLOCKS, &why), -TARN_E_CSUM);
		assert_string_equal(why, "the length is not a node's");
	}
	assert_int_equal(node_validate(page, 2 * BLOCK, (const uint8_t *)POOL, BLOCKS, &why), -TARN_E_CSUM);
	node_init(page, BLOCK, 0, (tarn_buf){ NULL, 0 }, (tarn_buf){ NULL, 0 }, false);
	memcpy(page + NODE_POOL, POOL, 8);
	assert_why(page, NULL); /* an empty leaf is a page */
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading_is_total), cmocka_unit_test(test_readers_race),
		cmocka_unit_test(test_wrong_fields),	 cmocka_unit_test(test_wrong_order),
		cmocka_unit_test(test_wrong_slots),	 cmocka_unit_test(test_wrong_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
