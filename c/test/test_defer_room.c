/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_defer_room.c: puts that are put off take the memory that nobody else needs, and no more; a checkpoint reads their leaves many at a
 * time; and a batch that needs much memory gets it from them. */
#include "harness.h"

#include "sim_store.h"

#define TREE 4u
#define MOST 2000u /* bytes of a value */

static void put(struct fixture *f, uint32_t k, uint32_t version, uint32_t len)
{
	uint8_t		      key[16], val[MOST];
	struct store_mutation m = { .change = STORE_PUT, .tree = TREE, .key = key_of(k, key), .val = { val, len } };

	test_fill(val, len, (uint64_t)k << 32 | version);
	assert_ok(store_apply(f->store, &m, 1, 0, &f->lsn, NULL));
}

static void assert_right(struct fixture *f, uint32_t k, uint32_t version, uint32_t right)
{
	uint8_t key[16], found[MOST], expected[MOST];
	size_t	len = MOST;

	assert_ok(store_get(f->store, live(TREE), key_of(k, key), found, &len, NULL, 0));
	assert_int_equal(len, right);
	test_fill(expected, len, (uint64_t)k << 32 | version);
	assert_memory_equal(found, expected, len);
}

/* The pages above the leaves come into memory. */
static void warm(struct fixture *f, uint32_t keys, uint32_t version, uint32_t len)
{
	for (uint32_t k = 0; k < keys; k += keys / 100)
		assert_right(f, k, version, len);
}

#define KEYS 8000u

static void neighbours_are_read_at_once(void **state)
{
	struct fixture f;
	uint64_t       before, ios;

	(void)state;
	begin(&f, 32 << 20, 4 << 20, 4 << 20);
	for (uint32_t k = 0; k < KEYS; k++)
		put(&f, k, 1, 100);
	close_it(&f); /* written by one checkpoint, in key order */
	open_it(&f);
	warm(&f, KEYS, 1, 100);
	for (uint32_t k = 0; k < KEYS; k += 10)
		put(&f, k, 2, 100);
	assert_true(stat_of(&f).put_off > KEYS / 10 / 2);
	before = sim_io_count(f.disk);
	assert_ok(store_checkpoint(f.store));
	ios = sim_io_count(f.disk) - before;
	printf("# %" PRIu64 " I/Os for %" PRIu64 " puts that were put off\n", ios, stat_of(&f).put_off);
	assert_true(ios < KEYS / 27 / 2); /* half as many as leaves */
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, k, k % 10 ? 1 : 2, 100);
	end(&f);
}

/* Puts of all sizes, more than memory takes: it stays within the budget, and what is put off never stops. */
static void memory_is_used_again(void **state)
{
	static uint32_t	  version[KEYS], len[KEYS];
	struct fixture	  f;
	struct store_stat st;
	uint64_t	  r = test_seed(), put_off = 0;

	(void)state;
	begin(&f, 32 << 20, 4 << 20, 1 << 20);
	for (uint32_t k = 0; k < KEYS; k++)
		put(&f, k, version[k] = 1, len[k] = 100);
	close_it(&f);
	open_it(&f);
	warm(&f, KEYS, 1, 100);
	for (uint32_t i = 1; i <= 60000; i++) {
		uint32_t k;

		r	   = r * UINT64_C(6364136223846793005) + 1442695040888963407;
		k	   = (uint32_t)(r >> 33) % KEYS;
		len[k]	   = 20 + (uint32_t)(r >> 20) % (i / 10000 * 20 + 20);
		version[k] = i;
		put(&f, k, version[k], len[k]);
		if (i % 5000)
			continue;
		st = stat_of(&f);
		assert_true(st.cache_used_bytes <= f.cache + f.cache / 4);
		assert_true(st.put_off > put_off + 200);
		put_off = st.put_off;
	}
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, k, version[k], len[k]);
	end(&f);
}

#define LARGE_VALUE 450u
#define STRIDE	    9u	  /* keys: more than a leaf has */
#define TOUCHED	    8700u /* leaves: more than there is memory left for, and no more than a batch may have */
#define CACHE	    (UINT64_C(16) << 20)

static void batch_of(struct fixture *f, uint32_t version)
{
	static uint8_t		     keys[TOUCHED][16], vals[TOUCHED][8];
	static struct store_mutation muts[TOUCHED];

	for (uint32_t i = 0; i < TOUCHED; i++) {
		uint32_t k = i * STRIDE;

		test_fill(vals[i], 8, (uint64_t)k << 32 | version);
		muts[i] = (struct store_mutation){
			.change = STORE_PUT, .tree = TREE, .key = key_of(k, keys[i]), .val = { vals[i], 8 }
		};
	}
	assert_ok(store_apply(f->store, muts, TOUCHED, 0, &f->lsn, NULL));
}

/* Nearly all of memory is put-off puts when it comes. */
static void a_large_batch_gets_memory(void **state)
{
	struct fixture	  f;
	struct store_stat before, after;

	(void)state;
	begin(&f, 400 << 20, 40 << 20, CACHE);
	for (uint32_t k = 0; k < TOUCHED * STRIDE; k++)
		put(&f, k, 1, LARGE_VALUE);
	close_it(&f);
	open_it(&f);
	warm(&f, TOUCHED * STRIDE, 1, LARGE_VALUE);
	for (uint32_t k = 1; k < TOUCHED * STRIDE; k += 3)
		put(&f, k, 2, LARGE_VALUE);
	before = stat_of(&f);
	printf("# %" PRIu64 " puts were put off\n", before.put_off);
	assert_true(before.put_off > TOUCHED * 2);
	batch_of(&f, 3);
	after = stat_of(&f);
	printf("# the batch waited for %" PRIu64 " checkpoints, and %" PRIu64 " puts left memory\n",
	       after.generation - before.generation, after.spilled - before.spilled);
	assert_true(after.generation > before.generation || after.spilled > before.spilled);
	for (uint32_t k = 0; k < TOUCHED * STRIDE; k++)
		assert_right(&f, k, k % STRIDE == 0 ? 3 : k % 3 == 1 ? 2 : 1, k % STRIDE == 0 ? 8 : LARGE_VALUE);
	put(&f, 1, 4, 10);
	assert_right(&f, 1, 4, 10);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_are_read_at_once),
		cmocka_unit_test(memory_is_used_again),
		cmocka_unit_test(a_large_batch_gets_memory),
	};

	return cmocka_run_group_tests_name("defer_room", tests, NULL, NULL);
}
