/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_ahead.c: a listing of leaves that are not in memory reads those that lie side by side at once, and meets no other's error. */
#include "sim_store.h"

#define SIZE  (UINT64_C(16) << 20)
#define LOG   (1u << 20)
#define CACHE (8u << 20)
#define TREE  4u
#define KEYS  2000u
#define VALUE 100u
#define SOME  200u /* of them: what some eight leaves hold */

static void put(struct fixture *f, uint32_t k)
{
	uint8_t		      key[16], val[VALUE];
	struct store_mutation m = { .change = STORE_PUT, .tree = TREE, .key = key_of(k, key), .val = { val, sizeof(val) } };

	test_fill(val, sizeof(val), k);
	assert_ok(store_apply(f->store, &m, 1, 0, &f->lsn, NULL));
}

/* One checkpoint writes all leaves, in the order of their keys; then none is in memory. */
static void begin_cold(struct fixture *f)
{
	begin(f, SIZE, LOG, CACHE);
	for (uint32_t k = 0; k < KEYS; k++)
		put(f, k);
	close_it(f);
	open_it(f);
}

static int list(struct fixture *f, uint32_t from, uint32_t flags, uint8_t *buf, size_t cap, uint32_t *count)
{
	uint8_t		   key[16];
	tarn_listing	   out	 = { 0 };
	tarn_buf	   at	 = key_of(from, key);
	struct store_range range = { .flags = flags };
	int		   rc;

	if (flags & TARN_RANGE_REVERSE)
		range.end = at;
	else
		range.start = at;
	rc     = store_list(f->store, (struct store_at){ TREE, 0 }, &range, SOME, buf, cap, &out, 0);
	*count = out.count;
	return rc;
}

static void assert_lists(struct fixture *f, uint32_t from, uint32_t flags)
{
	uint8_t	       buf[SOME * (sizeof(tarn_entry) + 16 + VALUE + 16)], key[16], val[VALUE];
	const uint8_t *at = buf;
	uint32_t       count;

	assert_ok(list(f, from, flags, buf, sizeof(buf), &count));
	assert_int_equal(count, SOME);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t   k = flags & TARN_RANGE_REVERSE ? from - 1 - i : from + i;
		tarn_entry e;

		memcpy(&e, at, sizeof(e));
		assert_memory_equal(at + sizeof(e), key_of(k, key).ptr, 16);
		test_fill(val, sizeof(val), k);
		assert_memory_equal(at + sizeof(e) + 16, val, sizeof(val));
		at += (sizeof(e) + e.key_len + e.val_len + 7) / 8 * 8;
	}
}

static uint64_t reads_of(struct fixture *f, uint32_t from, uint32_t flags)
{
	uint64_t before = sim_io_count(f->disk);

	assert_lists(f, from, flags);
	return sim_io_count(f->disk) - before;
}

static void leaves_side_by_side_are_one_read(void **state)
{
	struct fixture f;

	(void)state;
	begin_cold(&f);
	assert_lists(&f, 1700, 0); /* the pages above, too */
	assert_int_equal(reads_of(&f, 210, 0), 1);
	assert_int_equal(reads_of(&f, 1100, TARN_RANGE_REVERSE), 1);
	assert_int_equal(reads_of(&f, 210, 0), 0);
	end(&f);
}

/* The read of all fails, and each page is read again. */
static void a_failed_read_is_made_again_page_by_page(void **state)
{
	struct fixture f;

	(void)state;
	begin_cold(&f);
	assert_lists(&f, 1700, 0);
	sim_fail_nth(f.disk, TARN_DEV_READ, 1, false);
	assert_true(reads_of(&f, 210, 0) > 5);
	end(&f);
}

/* Rot in one leaf: who lists others meets nothing of it, though they are read together. */
static void a_damaged_neighbour_is_not_met(void **state)
{
	uint8_t	       buf[4096], page[4096], key[16];
	struct fixture f;
	uint64_t       at = 0;
	uint32_t       count;

	(void)state;
	begin_cold(&f);
	assert_lists(&f, 1700, 0);
	for (uint64_t b = 0; b < SIZE && !at; b += sizeof(page)) { /* the leaf that has key 500 */
		sim_peek(f.disk, b, page, sizeof(page));
		if (get32(page) == NODE_MAGIC_NUMBER && !page[NODE_LEVEL] &&
		    memmem(page, sizeof(page), (const uint8_t *)key_of(500, key).ptr + 8, 8))
			at = b;
	}
	assert_true(at > 0);
	sim_flip_bit(f.disk, at + 2000, 3);
	assert_lists(&f, 700, 0);
	assert_error(list(&f, 490, 0, buf, sizeof(buf), &count), CSUM);
	assert_ok(list(&f, 440, 0, buf, sizeof(buf), &count));
	store_abandon(f.store);
	device_close(f.dev);
	sim_disk_destroy(f.disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_side_by_side_are_one_read),
		cmocka_unit_test(a_failed_read_is_made_again_page_by_page),
		cmocka_unit_test(a_damaged_neighbour_is_not_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
