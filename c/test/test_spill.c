/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_spill.c: puts that were put off leave memory when there is no room for them: they are there for whoever looks, through crashes and
 * damage, and what they took is free again. */
#include "sim_store.h"

#include "../src/store/internal.h"

#define SIZE  (UINT64_C(64) << 20)
#define LOG   (16u << 20)
#define CACHE (1u << 20)
#define KEYS  60000u
#define VALUE 100u
#define TREE  4u

static void crash(struct fixture *f)
{
	assert_ok(store_commit(f->store, f->lsn));
	abandon_and_open(f);
}

static int put(struct fixture *f, uint32_t k, uint32_t version)
{
	uint8_t		      key[16], val[VALUE];
	struct store_mutation m = { .change = STORE_PUT, .tree = TREE, .key = key_of(k, key), .val = { val, VALUE } };

	test_fill(val, VALUE, (uint64_t)k << 32 | version);
	return store_apply(f->store, &m, 1, 0, &f->lsn, NULL);
}

static int get(struct fixture *f, uint64_t epoch, uint32_t k, uint8_t *buf)
{
	uint8_t key[16];
	size_t	len = VALUE;

	return store_get(f->store, (struct store_at){ TREE, epoch }, key_of(k, key), buf, &len, NULL, 0);
}

static void assert_right(struct fixture *f, uint64_t epoch, uint32_t k, uint32_t version)
{
	uint8_t expected[VALUE], found[VALUE];

	test_fill(expected, VALUE, (uint64_t)k << 32 | version);
	assert_ok(get(f, epoch, k, found));
	assert_memory_equal(found, expected, VALUE);
}

/* All keys have version 1 and are on disk; the pages above the leaves are in memory. */
static void begin_with_keys(struct fixture *f)
{
	begin(f, SIZE, LOG, CACHE);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_ok(put(f, k, 1));
	close_it(f);
	open_it(f);
	for (uint32_t k = 0; k < KEYS; k += KEYS / 50)
		assert_right(f, 0, k, 1);
	assert_ok(put(f, 0, 1)); /* the space map, too */
}

/* Every step-th key, from one on. */
static void put_some(struct fixture *f, uint32_t from, uint32_t step, uint32_t version)
{
	for (uint32_t k = from; k < KEYS; k += step)
		assert_ok(put(f, k, version));
}

static void assert_all(struct fixture *f, uint64_t epoch, uint32_t from, uint32_t step, uint32_t version)
{
	for (uint32_t k = 0; k < KEYS; k += 3)
		assert_right(f, epoch, k, k >= from && (k - from) % step == 0 ? version : 1);
}

/* With 60,000 records of 116 bytes and 1 MiB for all. */
static void memory_takes_more_puts_than_fit(void **state)
{
	struct fixture	  f;
	struct store_stat before, after;

	(void)state;
	begin_with_keys(&f);
	before = stat_of(&f);
	for (uint32_t round = 2; round < 6; round++)
		put_some(&f, 1, 7, round);
	after = stat_of(&f);
	printf("# %" PRIu64 " puts put off, %" PRIu64 " spilled, %" PRIu64 " checkpoints\n", after.put_off - before.put_off,
	       after.spilled - before.spilled, after.generation - before.generation);
	assert_true(after.spilled > before.spilled + 1000);
	assert_all(&f, 0, 1, 7, 5);
	crash(&f);
	assert_all(&f, 0, 1, 7, 5);
	end(&f);
}

/* A leaf takes many puts before it is read, and values that get longer: all of them go to one page of a spill. */
static void full_leaves_are_spilled(void **state)
{
	uint8_t		      key[16], val[474] = { 0 }; /* eight take what a page has without its header */
	struct store_mutation m = { .change = STORE_PUT, .tree = TREE, .val = { val, sizeof(val) } };
	struct fixture	      f;
	uint64_t	      before;

	(void)state;
	begin_with_keys(&f);
	before = stat_of(&f).spilled;
	for (uint32_t k = 5000; k < 7000; k++) {
		if (k % (k < 6000 ? 4 : 8)) /* eight of a leaf; four, so that none is read */
			continue;
		m.key = key_of(k, key);
		assert_ok(store_apply(f.store, &m, 1, 0, &f.lsn, NULL));
	}
	assert_ok(spill_now(f.store, true));
	assert_true(stat_of(&f).spilled > before + 100);
	assert_true(f.store->defer.puts < 8 * sizeof(val)); /* bytes that are left in memory: of a leaf, at the most */
	for (uint32_t k = 6001; k < 7000; k += 8)
		assert_right(&f, 0, k, 1);
	crash(&f);
	for (uint32_t k = 7000; k < 7100; k++)
		assert_right(&f, 0, k, 1);
	end(&f);
}

/* What they took on the device is free when their leaves have been written. */
static void blocks_come_back(void **state)
{
	struct fixture f;
	uint64_t       free;

	(void)state;
	begin_with_keys(&f);
	assert_ok(store_checkpoint(f.store));
	free = stat_of(&f).free_bytes;
	for (uint32_t i = 0; i < 30; i++) {
		put_some(&f, i, 30, 2);
		assert_ok(spill_now(f.store, true));
	}
	assert_true(stat_of(&f).spilled > KEYS / 2);
	assert_ok(store_checkpoint(f.store));
	assert_ok(store_checkpoint(f.store)); /* frees what the first one has replaced */
	assert_true(stat_of(&f).free_bytes + (1u << 20) > free);
	for (uint32_t k = 0; k < KEYS; k += 5)
		assert_right(&f, 0, k, 2);
	end(&f);
}

/* The newest of a key counts, wherever it is: on the device, in memory, in what a checkpoint writes meanwhile. */
static void the_newest_put_counts(void **state)
{
	struct store_mutation snap = { .change = STORE_SNAP, .tree = TREE };
	struct fixture	      f;
	uint64_t	      epoch;

	(void)state;
	begin_with_keys(&f);
	put_some(&f, 2, 50, 2);
	assert_ok(spill_now(f.store, true));
	put_some(&f, 2, 50, 3);
	assert_ok(spill_now(f.store, true));
	assert_all(&f, 0, 2, 50, 3);
	assert_ok(store_apply(f.store, &snap, 1, 0, &epoch, NULL));
	put_some(&f, 2, 50, 4);
	assert_ok(spill_now(f.store, true));
	put_some(&f, 2, 50, 5);
	assert_all(&f, 0, 2, 50, 5);
	assert_all(&f, epoch, 2, 50, 3);
	crash(&f);
	assert_all(&f, 0, 2, 50, 5);
	assert_all(&f, epoch, 2, 50, 3);
	assert_ok(store_checkpoint(f.store));
	assert_all(&f, 0, 2, 50, 5);
	assert_all(&f, epoch, 2, 50, 3);
	end(&f);
}

/* ---- when something fails ---- */

static unsigned unreadable(struct fixture *f)
{
	uint8_t	 buf[VALUE];
	unsigned n = 0;

	for (uint32_t k = 0; k < KEYS; k += 3) {
		int rc = get(f, 0, k, buf);

		assert_true(!rc || rc == -TARN_E_CSUM);
		n += rc != 0;
	}
	return n;
}

/* The device says that it has written them. The log still has what cannot be read. */
static void damage_is_found_and_nothing_is_lost(void **state)
{
	struct sim_faults lost = { .lost_write = 1 }, none = { 0 };
	struct fixture	  f;

	(void)state;
	begin_with_keys(&f);
	for (uint32_t k = 3; k < KEYS / 2; k += 20)
		assert_ok(put(&f, k, 2));
	sim_set_faults(f.disk, &lost);
	assert_ok(spill_now(f.store, true));
	sim_set_faults(f.disk, &none);
	for (uint32_t k = KEYS / 2; k < KEYS; k++) /* other pages take the memory */
		assert_right(&f, 0, k, 1);
	assert_true(unreadable(&f) > 100);
	assert_error(store_checkpoint(f.store), MISC);
	assert_true(stat_of(&f).readonly);
	assert_error(put(&f, 1, 2), EP_RO);
	abandon_and_open(&f);
	for (uint32_t k = 0; k < KEYS; k += 3)
		assert_right(&f, 0, k, k < KEYS / 2 && k % 20 == 3 ? 2 : 1);
	end(&f);
}

static void a_failed_write_is_told(void **state)
{
	struct sim_faults no_writes = { .write_error = 1 }, none = { 0 };
	struct fixture	  f;

	(void)state;
	begin_with_keys(&f);
	put_some(&f, 3, 20, 2);
	assert_ok(store_commit(f.store, f.lsn));
	sim_set_faults(f.disk, &no_writes);
	assert_error(spill_now(f.store, true), IO);
	sim_set_faults(f.disk, &none);
	assert_true(stat_of(&f).readonly);
	assert_all(&f, 0, 3, 20, 2);
	abandon_and_open(&f);
	assert_all(&f, 0, 3, 20, 2);
	end(&f);
}

/* A pool that has room for the tree, but for little more. */
static void a_full_pool_spills_nothing(void **state)
{
	struct fixture f;
	uint32_t       n = 0;

	(void)state;
	begin(&f, 6 << 20, 1 << 20, CACHE);
	while (!put(&f, n, 1))
		n++;
	close_it(&f);
	open_it(&f);
	for (uint32_t i = 0; i < 8; i++) {
		for (uint32_t k = i; k < n; k += 8)
			assert_true(put(&f, k, 2) == 0 || put(&f, k, 2) == -TARN_E_NOSPACE);
		assert_ok(spill_now(f.store, true));
	}
	for (uint32_t k = 0; k < n; k++)
		assert_ok(get(&f, 0, k, (uint8_t[VALUE]){ 0 }));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_takes_more_puts_than_fit),
		cmocka_unit_test(blocks_come_back),
		cmocka_unit_test(full_leaves_are_spilled),
		cmocka_unit_test(the_newest_put_counts),
		cmocka_unit_test(damage_is_found_and_nothing_is_lost),
		cmocka_unit_test(a_failed_write_is_told),
		cmocka_unit_test(a_full_pool_spills_nothing),
	};

	return cmocka_run_group_tests_name("spill", tests, NULL, NULL);
}
