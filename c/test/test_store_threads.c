/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_store_threads.c: many threads on one store, on a memory device; for the thread sanitizer most of all. */
#include "harness.h"

#include "store_tools.h"

#define THREADS 6
#define ROUNDS	300

struct shared {
	struct device *dev;
	struct store  *store;
	_Atomic int    failures;
};
struct worker {
	struct shared *shared;
	unsigned       id;
	uint64_t       seed;
	pthread_t      thread;
};

static int put(struct store *s, uint64_t tree, uint64_t key, size_t len)
{
	uint8_t		      k[8], *val = malloc(len + 8);
	struct store_mutation m = { .change = STORE_PUT, .tree = tree, .key = { k, 8 }, .val = { val, len } };
	uint64_t	      lsn;
	int		      rc;

	put64be(k, key);
	test_fill(val, (len + 7) / 8 * 8, key);
	rc = store_apply(s, &m, 1, 0, &lsn, NULL);
	rc = rc ? rc : store_commit(s, lsn);
	free(val);
	return rc;
}

static bool right(struct store *s, uint64_t tree, uint64_t key, size_t len)
{
	uint8_t k[8], *want = malloc(len + 8), *got = malloc(len + 8);
	size_t	n = len + 8;
	bool	ok;

	put64be(k, key);
	test_fill(want, (len + 7) / 8 * 8, key);
	ok = !store_get(s, live(tree), (tarn_buf){ k, 8 }, got, &n, NULL, 0) && n == len && !memcmp(got, want, len);
	free(want);
	free(got);
	return ok;
}

static size_t length(unsigned i)
{
	return i % 20 == 7 ? 30000 : i % 200;
}

static int open_small(struct shared *sh)
{
	return store_open(sh->dev, &(struct store_options){ .cache_bytes = 96 * 1024 }, &sh->store);
}

/* Each thread changes keys of its own and reads those of all, in a cache much smaller than the tree and a pool that is used again and
 * again: so pages are evicted, moved, and their blocks written anew, while others read them. */
static void *churn(void *arg)
{
	struct worker *w = arg;
	struct store  *s = w->shared->store;
	struct rng     rng;

	rng_seed(&rng, w->seed);
	for (unsigned i = 0; i < ROUNDS * 10; i++) {
		uint64_t mine = rng_below(&rng, ROUNDS) * THREADS + w->id, any = rng_below(&rng, ROUNDS * THREADS);
		uint8_t	 k[8], got[256];
		size_t	 n = sizeof(got);
		int	 rc;

		if (i % 4 == 0)
			w->shared->failures += put(s, 4, mine, 120) != 0;
		put64be(k, any);
		rc = store_get(s, live(4), (tarn_buf){ k, 8 }, got, &n, NULL, 0);
		w->shared->failures += rc || n != 120;
		if (i % 500 == 99)
			w->shared->failures += store_checkpoint(s) != 0;
	}
	return NULL;
}

/* Each thread has keys of its own in a tree that all share; each reads what it wrote, and lists, counts and checkpoints in between. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct store  *s = w->shared->store;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t	   key = (uint64_t)i * THREADS + w->id, count;
		uint8_t		   buf[8192] __attribute__((aligned(8)));
		tarn_listing	   out;
		struct store_range all = { .flags = 0 };
		struct store_stat  st;

		w->shared->failures += put(s, 4, key, length(i)) != 0 || !right(s, 4, key, length(i));
		w->shared->failures += i % 16 == 3 && store_list(s, live(4), &all, 0, buf, sizeof(buf), &out, 0);
		w->shared->failures += i % 16 == 5 && (store_count(s, live(4), &all, &count, 0) || !count);
		w->shared->failures += i % 64 == 9 && store_checkpoint(s);
		store_stat(s, &st);
		w->shared->failures += st.readonly;
	}
	return NULL;
}

static void run_threads(struct shared *sh, void *(*body)(void *))
{
	struct worker workers[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .shared = sh, .id = i, .seed = test_seed() + i };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
}

static void threads_share_a_store(void **state)
{
	struct shared	    sh	   = { 0 };
	struct store_format format = { .log_bytes = 256 * 1024, .node_bytes = 4096 };
	uint64_t	    count;

	(void)state;
	assert_ok(device_open("mem:64M", &(struct device_options){ .size = 0 }, &sh.dev));
	assert_ok(store_format(sh.dev, &format));
	assert_ok(store_open(sh.dev, &(struct store_options){ .cache_bytes = 1 << 20 }, &sh.store));
	run_threads(&sh, work);
	assert_int_equal(sh.failures, 0);
	assert_ok(store_count(sh.store, live(4), &(struct store_range){ .flags = 0 }, &count, 0));
	assert_int_equal(count, THREADS * ROUNDS);
	assert_ok(store_check(sh.store, NULL));
	store_abandon(sh.store);
	assert_ok(store_open(sh.dev, &(struct store_options){ .cache_bytes = 1 << 20 }, &sh.store));
	for (unsigned i = 0; i < ROUNDS * THREADS; i++)
		assert_true(right(sh.store, 4, i, length(i / THREADS)));
	assert_ok(store_close(sh.store));
	device_close(sh.dev);
}

static void threads_churn_a_small_cache(void **state)
{
	struct store_format format = { .log_bytes = 256 * 1024, .node_bytes = 4096 };
	struct shared	    sh	   = { 0 };

	(void)state;
	assert_ok(device_open("mem:4M", &(struct device_options){ .size = 0 }, &sh.dev));
	assert_ok(store_format(sh.dev, &format));
	assert_ok(open_small(&sh));
	for (uint64_t key = 0; key < ROUNDS * THREADS; key++)
		assert_ok(put(sh.store, 4, key, 120));
	run_threads(&sh, churn);
	assert_int_equal(sh.failures, 0);
	assert_ok(store_check(sh.store, NULL));
	for (uint64_t key = 0; key < ROUNDS * THREADS; key++)
		assert_true(right(sh.store, 4, key, 120));
	assert_ok(store_close(sh.store));
	device_close(sh.dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_a_store),
		cmocka_unit_test(threads_churn_a_small_cache),
	};

	return cmocka_run_group_tests_name("store threads", tests, NULL, NULL);
}
