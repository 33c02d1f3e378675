/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_rows.c: keys that are wanted often, each in another leaf, which memory has no room for. */
#include "sim_store.h"

#include "../src/store/finger.h"
#include "../src/store/rows.h"

#define SIZE  (UINT64_C(64) << 20)
#define LOG   (4u << 20)
#define CACHE (1u << 20)
#define TREE  4u
#define KEYS  60000u
#define HOT   500u
#define APART (KEYS / HOT) /* some five leaves */
#define VALUE 100u

static void change(struct fixture *f, enum store_change what, uint32_t k, uint64_t version)
{
	uint8_t		      key[16], val[VALUE];
	struct store_mutation m = { .change = what, .tree = TREE, .key = key_of(k, key) };

	test_fill(val, sizeof(val), version);
	if (what == STORE_PUT)
		m.val = (tarn_buf){ val, sizeof(val) };
	if (what == STORE_DROP)
		m.key = (tarn_buf){ 0 };
	assert_ok(store_apply(f->store, &m, 1, 0, &f->lsn, NULL));
}

static void fill(struct fixture *f)
{
	for (uint32_t k = 0; k < KEYS; k++)
		change(f, STORE_PUT, k, k);
	assert_ok(store_checkpoint(f->store));
}

static int get(struct fixture *f, uint32_t k, uint8_t val[VALUE], size_t *len)
{
	uint8_t key[16];

	*len = VALUE;
	return store_get(f->store, (struct store_at){ TREE, 0 }, key_of(k, key), val, len, NULL, 0);
}

static void assert_has(struct fixture *f, uint32_t k, uint64_t version)
{
	uint8_t val[VALUE], want[VALUE];
	size_t	len;

	assert_ok(get(f, k, val, &len));
	test_fill(want, sizeof(want), version);
	assert_int_equal(len, VALUE);
	assert_memory_equal(val, want, VALUE);
}

static void assert_gone(struct fixture *f, uint32_t k)
{
	uint8_t val[VALUE];
	size_t	len;

	assert_error(get(f, k, val, &len), NONEXIST);
}

static struct row_place place_of(struct fixture *f, uint32_t k)
{
	uint8_t key[16];

	return row_find(f->store, finger_life(tree_peek(f->store, TREE, 0)), key_of(k, key));
}

/* I/Os of the device for one round of the hot keys. */
static uint64_t read_round(struct fixture *f, uint64_t plus)
{
	uint64_t before = sim_io_count(f->disk);

	for (uint32_t i = 0; i < HOT; i++)
		assert_has(f, i * APART, i * APART + plus);
	return sim_io_count(f->disk) - before;
}

/* Memory is full, and then the keys have rows. */
static void warm_up(struct fixture *f)
{
	for (unsigned round = 0; round < 12; round++)
		read_round(f, 0);
	assert_true(stat_of(f).row_bytes > 0);
}

static void test_hot_keys_need_no_reads(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	assert_true(read_round(&f, 0) > HOT / 2);
	warm_up(&f);
	assert_true(read_round(&f, 0) < HOT / 10);
	assert_true(stat_of(&f).row_bytes <= CACHE / 2);
	assert_true(stat_of(&f).cache_used_bytes <= CACHE);
	end(&f);
}

static void test_changes_are_seen(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	warm_up(&f);
	for (uint32_t i = 0; i < 50; i++) {
		change(&f, STORE_PUT, i * APART, 1000000 + i);
		assert_has(&f, i * APART, 1000000 + i);
	}
	for (uint32_t i = 50; i < 100; i++) {
		change(&f, STORE_DEL, i * APART, 0);
		assert_gone(&f, i * APART);
		change(&f, STORE_PUT, i * APART, 2000000 + i);
		assert_has(&f, i * APART, 2000000 + i);
	}
	for (unsigned round = 0; round < 3; round++) /* with what was read again meanwhile */
		for (uint32_t i = 0; i < HOT; i++)
			assert_has(&f, i * APART, i < 50 ? 1000000 + i : i < 100 ? 2000000 + i : i * APART);
	end(&f);
}

/* What was read before a change does not become a row after it. */
static void test_read_before_a_change(void **state)
{
	struct fixture	 f;
	struct row_place at;
	uint8_t		 key[16], val[ROW_VALUE_MAX];
	struct row	 row = { .len = VALUE, .bytes = val };

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	warm_up(&f);
	for (uint32_t k = 1; k < 20; k++) {
		at = place_of(&f, k);
		assert_true(at.open && !row_get(f.store, &at, key_of(k, key), &row));
		change(&f, STORE_PUT, k, 3000000 + k);
		test_fill(val, VALUE, k);
		row.len = VALUE;
		row_add(f.store, &at, key_of(k, key), &row);
		assert_has(&f, k, 3000000 + k);
	}
	end(&f);
}

/* Another tree of the same number. */
static void test_dropped(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	warm_up(&f);
	change(&f, STORE_DROP, 0, 0);
	for (uint32_t i = 0; i < HOT; i++)
		assert_gone(&f, i * APART);
	change(&f, STORE_PUT, 7 * APART, 5);
	assert_has(&f, 7 * APART, 5);
	assert_gone(&f, 8 * APART);
	end(&f);
}

/* A snapshot has what was there, whatever the rows have. */
static void test_snapshot(void **state)
{
	struct fixture	      f;
	struct store_mutation snap = { .change = STORE_SNAP, .tree = TREE };
	uint8_t		      key[16], val[VALUE], want[VALUE];
	size_t		      len = VALUE;

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	warm_up(&f);
	assert_ok(store_apply(f.store, &snap, 1, 0, &f.lsn, NULL));
	change(&f, STORE_PUT, APART, 99);
	assert_has(&f, APART, 99);
	assert_ok(store_get(f.store, (struct store_at){ TREE, f.lsn - 1 }, key_of(APART, key), val, &len, NULL, 0));
	test_fill(want, sizeof(want), APART);
	assert_memory_equal(val, want, VALUE);
	end(&f);
}

/* Who only puts gets the memory back. */
static void test_puts_alone(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	warm_up(&f);
	for (uint32_t i = 0; i < 6 * KEYS && stat_of(&f).row_bytes; i++)
		change(&f, STORE_PUT, i * 7919 % KEYS, i);
	assert_int_equal(stat_of(&f).row_bytes, 0);
	end(&f);
}

/* Keys that are asked for once have nothing from it. */
static void test_cold_keys(void **state)
{
	struct fixture f;
	bool	       were = false;

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	for (uint32_t i = 0; i < KEYS; i++) {
		uint32_t k = i * 7919u % KEYS;

		assert_has(&f, k, k);
		were |= stat_of(&f).row_bytes > 0;
	}
	assert_true(were);
	assert_int_equal(stat_of(&f).row_bytes, 0);
	end(&f);
}

/* Keys that nobody asks for twice, from the first one on, and, lest rows be of no use, one that is asked for often. */
static void read_cold(struct fixture *f, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++) {
		uint32_t k = i * 7919u % KEYS;

		assert_has(f, k, k);
		if (i % 8 == 0)
			assert_has(f, 0, 0);
	}
}

static void test_hot_keys_outlive_cold_ones(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	warm_up(&f);
	for (uint32_t i = 0; i < 8; i++) {
		read_cold(&f, i * 500, 500);
		read_round(&f, 0);
	}
	read_cold(&f, 4000, 20000);
	assert_true(read_round(&f, 0) < HOT / 4);
	end(&f);
}

#define PLACES 300u
#define FRESH  4000000u

static void grow(struct fixture *f, uint64_t bytes)
{
	for (uint32_t i = 0; i < KEYS && stat_of(f).row_bytes < bytes; i++) {
		read_cold(f, i, 1);
		if (i % HOT == 0)
			read_round(f, 0);
	}
	assert_true(stat_of(f).row_bytes >= bytes);
}

/* So many puts on other keys that rows yield, and not so many that they go. */
static void yield(struct fixture *f, uint64_t bytes)
{
	for (uint32_t i = 0; i < KEYS && stat_of(f).row_bytes > bytes; i++) {
		uint32_t k = PLACES + i * 7919u % (KEYS - PLACES);

		if (k % APART)
			change(f, STORE_PUT, k, FRESH + k);
	}
	assert_int_equal(stat_of(f).row_bytes, bytes);
}

/* Sets of rows are split as there is room, and joined when changes need it. Who has looked for a key before that does not leave an old value behind. */
static void test_yields_to_changes(void **state)
{
	struct row_place places[PLACES];
	bool		 changed[PLACES] = { false };
	uint8_t		 key[16], val[ROW_VALUE_MAX];
	struct fixture	 f;
	unsigned	 moved = 0;

	(void)state;
	begin(&f, SIZE, LOG, CACHE);
	fill(&f);
	warm_up(&f);
	grow(&f, CACHE / 4);
	for (uint32_t k = 1; k < PLACES; k++)
		places[k] = place_of(&f, k);
	grow(&f, CACHE / 2);
	for (uint32_t k = 1; k < PLACES; k++) {
		struct row row = { .len = VALUE, .bytes = val };
		bool	   away;

		if (k % APART == 0 || row_get(f.store, &places[k], key_of(k, key), &row))
			continue;
		away = place_of(&f, k).set != places[k].set;
		moved += away;
		changed[k] = true;
		change(&f, STORE_PUT, k, FRESH + k);
		for (unsigned i = 0; i < (away && moved < 40 ? 16 : 1) && places[k].open; i++) { /* a set full of them */
			test_fill(val, VALUE, k);
			row.len = VALUE;
			row_add(f.store, &places[k], key_of(k, key), &row);
			row_get(f.store, &places[k], key_of(k, key), &row); /* as if it looked again */
		}
	}
	assert_true(moved > PLACES / 4);
	yield(&f, CACHE / 4);
	for (unsigned round = 0; round < 20; round++) {
		for (uint32_t k = 1; k < PLACES; k++)
			assert_has(&f, k, changed[k] ? FRESH + k : k);
		read_round(&f, 0);
	}
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hot_keys_need_no_reads),
		cmocka_unit_test(test_changes_are_seen),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_read_before_a_change),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_puts_alone),
		cmocka_unit_test(test_hot_keys_outlive_cold_ones),
		cmocka_unit_test(test_cold_keys),
		cmocka_unit_test(test_yields_to_changes),
	};

	return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
