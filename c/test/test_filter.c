/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_filter.c: gets that find nothing, until the store knows without looking which keys are not there; and what is put meanwhile, and after that,
 * is found. Keys with even numbers are there, others are not. */
#include "sim_store.h"

#include "../src/store/internal.h"

#include <stdatomic.h>

#define SIZE   (UINT64_C(96) << 20)
#define LOG    (UINT64_C(32) << 20)
#define CACHE  (3u << 20) /* half of the leaves, and a filter for 32,000 keys */
#define TREE   4u
#define OTHER  5u
#define KEYS   14000u
#define VALUE  400u
#define ABSENT (2 * KEYS) /* and more: never put */
#define MISSES 300000u	  /* are enough for a filter */
#define SOME   1000u

struct filtered {
	struct fixture	 f;
	_Atomic uint32_t told;
};

static struct store_mutation put_of(uint64_t tree, uint32_t k, uint8_t *key, uint8_t *val)
{
	memset(val, (int)k, VALUE);
	return (struct store_mutation){ .change = STORE_PUT, .tree = tree, .key = key_of(k, key), .val = { val, VALUE } };
}

static void put_in(struct filtered *t, uint64_t tree, uint32_t k)
{
	uint8_t		      key[16], val[VALUE];
	struct store_mutation m = put_of(tree, k, key, val);

	assert_ok(store_apply(t->f.store, &m, 1, 0, &t->f.lsn, NULL));
	if (k % 64 < 2) /* or the log takes all memory, */
		assert_ok(store_commit(t->f.store, t->f.lsn));
	if (k % 2048 < 2) /* and changes wait for a checkpoint */
		assert_ok(store_checkpoint(t->f.store));
}

static void put(struct filtered *t, uint32_t k)
{
	put_in(t, TREE, k);
}

static void del(struct filtered *t, uint32_t k)
{
	uint8_t		      key[16];
	struct store_mutation m = { .change = STORE_DEL, .tree = TREE, .key = key_of(k, key) };

	assert_ok(store_apply(t->f.store, &m, 1, 0, &t->f.lsn, NULL));
}

static void change_tree(struct filtered *t, enum store_change what)
{
	struct store_mutation m = { .change = what, .tree = TREE };

	assert_ok(store_apply(t->f.store, &m, 1, 0, &t->f.lsn, NULL));
}

static int get_at(struct filtered *t, struct store_at at, uint32_t k, uint8_t *val)
{
	uint8_t key[16];
	size_t	len = VALUE;

	return store_get(t->f.store, at, key_of(k, key), val, &len, NULL, 0);
}

static void assert_gone(struct filtered *t, uint32_t k)
{
	uint8_t val[VALUE];

	assert_error(get_at(t, live(TREE), k, val), NONEXIST);
}

/* What the get before has not found is no reason. */
static void assert_there_at(struct filtered *t, struct store_at at, uint32_t k)
{
	uint8_t val[VALUE];

	assert_gone(t, ABSENT + 1 + k);
	assert_ok(get_at(t, at, k, val));
	assert_int_equal(val[VALUE - 1], (uint8_t)k);
}

static void assert_there(struct filtered *t, uint32_t k)
{
	assert_there_at(t, live(TREE), k);
}

static void assert_all_there(struct filtered *t)
{
	for (uint32_t k = 0; k < 2 * KEYS; k += 2)
		assert_there(t, k);
}

/* I/Os of the device for gets that find nothing. */
static uint64_t reads_of_absent(struct filtered *t)
{
	uint64_t before = sim_io_count(t->f.disk);

	for (uint32_t i = 0; i < SOME; i++)
		assert_gone(t, i * (2 * KEYS / SOME) + 1);
	return sim_io_count(t->f.disk) - before;
}

static bool relieve(struct filtered *t)
{
	uint64_t again = 0;

	assert_ok(store_relieve(t->f.store, &again));
	return again == 1; /* at once */
}

/* Gets find nothing until a filter is being filled. */
static void begin_filter(struct filtered *t)
{
	for (uint32_t i = 0; i < MISSES; i++) {
		assert_gone(t, ABSENT + 1 + i % SOME);
		if (atomic_exchange(&t->told, 0) && relieve(t))
			return;
	}
	fail_msg("%u gets have found nothing, and nothing comes of it", MISSES);
}

static void fill_filter(struct filtered *t)
{
	begin_filter(t);
	while (relieve(t))
		;
}

/* Even keys below end are there. */
static void begin_with(struct filtered *t, uint32_t end)
{
	t->told = 0;
	begin(&t->f, SIZE, LOG, CACHE);
	store_on_due(t->f.store, count_told, &t->told);
	for (uint32_t k = 0; k < end; k += 2)
		put(t, k);
	assert_ok(store_checkpoint(t->f.store));
}

static void end_with_keys(struct filtered *t)
{
	store_on_due(t->f.store, NULL, NULL);
	end(&t->f);
}

static void test_absent_keys_need_no_reads(void **state)
{
	struct filtered t;

	(void)state;
	begin_with(&t, 2 * KEYS);
	assert_true(reads_of_absent(&t) > SOME / 2);
	fill_filter(&t);
	assert_true(reads_of_absent(&t) < SOME / 10);
	assert_true(stat_of(&t.f).cache_used_bytes <= CACHE);
	assert_all_there(&t);
	end_with_keys(&t);
}

static void test_puts_are_seen(void **state)
{
	struct filtered t;

	(void)state;
	begin_with(&t, 2 * KEYS);
	fill_filter(&t);
	for (uint32_t k = 1; k < SOME; k += 2) {
		assert_gone(&t, k);
		put(&t, k);
		assert_there(&t, k);
		del(&t, k);
		assert_gone(&t, k);
		put(&t, k);
		assert_there(&t, k);
	}
	assert_all_there(&t);
	end_with_keys(&t);
}

#define BATCH 50u

static void test_batches_are_seen(void **state)
{
	uint8_t		      keys[BATCH][16], vals[BATCH][VALUE];
	struct store_mutation muts[BATCH];
	struct filtered	      t;

	(void)state;
	begin_with(&t, 2 * KEYS);
	fill_filter(&t);
	for (uint32_t from = 1; from < 2 * SOME; from += 2 * BATCH) {
		for (uint32_t i = 0; i < BATCH; i++)
			muts[i] = put_of(TREE, from + 2 * i, keys[i], vals[i]);
		assert_ok(store_apply(t.f.store, muts, BATCH, 0, &t.f.lsn, NULL));
		for (uint32_t i = 0; i < BATCH; i++)
			assert_there(&t, from + 2 * i);
	}
	end_with_keys(&t);
}

/* Many at once, of which every other one is there. */
static void test_many_gets(void **state)
{
	uint8_t		 keys[2 * BATCH][16], vals[2 * BATCH][VALUE];
	struct store_get gets[2 * BATCH];
	struct filtered	 t;

	(void)state;
	begin_with(&t, 2 * KEYS);
	fill_filter(&t);
	for (uint32_t from = 0; from < 2 * KEYS; from += 2 * BATCH) {
		for (uint32_t i = 0; i < 2 * BATCH; i++)
			gets[i] = (struct store_get){
				.key = key_of(from + i, keys[i]), .buf = vals[i], .len = VALUE, .rc = -TARN_E_INPROGRESS
			};
		assert_gone(&t, ABSENT + 1);
		assert_ok(store_get_many(t.f.store, live(TREE), gets, 2 * BATCH, 0));
		for (uint32_t i = 0; i < 2 * BATCH; i++) {
			assert_int_equal(gets[i].rc, i % 2 ? -TARN_E_NONEXIST : 0);
			assert_true(i % 2 || vals[i][0] == (uint8_t)(from + i));
		}
	}
	end_with_keys(&t);
}

#define STEP (2 * KEYS / 900 | 1)

/* On both sides of the place where the listing is, and at it. */
static void test_puts_while_it_is_filled(void **state)
{
	struct filtered t;
	uint32_t	k = 1;

	(void)state;
	begin_with(&t, 2 * KEYS);
	begin_filter(&t);
	for (bool more = true; more; more = relieve(&t)) {
		for (uint32_t i = 0; i < 200; i++, k += STEP) {
			uint32_t odd = k % (2 * KEYS) | 1;

			put(&t, odd);
			assert_there(&t, odd);
			del(&t, odd);
			put(&t, odd);
			assert_there(&t, odd);
		}
	}
	for (uint32_t again = 1; again < k; again += STEP)
		assert_there(&t, again % (2 * KEYS) | 1);
	assert_all_there(&t);
	end_with_keys(&t);
}

static void test_other_trees(void **state)
{
	struct filtered t;

	(void)state;
	begin_with(&t, 2 * KEYS);
	put_in(&t, OTHER, 1);
	fill_filter(&t);
	put_in(&t, OTHER, 3);
	assert_there_at(&t, live(OTHER), 1);
	assert_there_at(&t, live(OTHER), 3);
	assert_gone(&t, 1);
	assert_gone(&t, 3);
	end_with_keys(&t);
}

/* A tree that is dropped and filled again is another one, also while its keys are being listed. */
static void test_dropped(void **state)
{
	struct filtered t;

	(void)state;
	for (unsigned steps = 0; steps < 6; steps++) {
		begin_with(&t, 2 * KEYS);
		begin_filter(&t);
		for (unsigned i = 0; i < steps; i++)
			relieve(&t);
		change_tree(&t, STORE_DROP);
		for (uint32_t k = 0; k < SOME; k++) {
			assert_gone(&t, k);
			put(&t, k);
			assert_there(&t, k);
		}
		while (relieve(&t))
			;
		for (uint32_t k = 0; k < SOME; k++)
			assert_there(&t, k);
		end_with_keys(&t);
	}
}

static void test_snapshot(void **state)
{
	struct filtered t;
	uint64_t	epoch;

	(void)state;
	begin_with(&t, 2 * KEYS);
	change_tree(&t, STORE_SNAP);
	epoch = t.f.lsn;
	for (uint32_t k = 0; k < SOME; k += 2)
		del(&t, k);
	fill_filter(&t);
	for (uint32_t k = 0; k < SOME; k += 2) {
		assert_gone(&t, k);
		assert_there_at(&t, (struct store_at){ TREE, epoch }, k);
	}
	end_with_keys(&t);
}

/* More than there is room for: no filter, and later a larger one. */
static void test_many_more_keys(void **state)
{
	struct filtered t;

	(void)state;
	begin_with(&t, SOME);
	fill_filter(&t);
	for (uint32_t k = SOME; k < 2 * KEYS; k += 2) {
		put(&t, k);
		assert_there(&t, k);
	}
	fill_filter(&t);
	assert_all_there(&t);
	assert_true(reads_of_absent(&t) < SOME / 10);
	end_with_keys(&t);
}

#define THREADS_MAX 3u

struct writer {
	struct filtered *t;
	pthread_t	 threads[THREADS_MAX];
	unsigned	 threads_n;
	_Atomic uint32_t done;	/* all even keys below are there */
	_Atomic uint32_t reads; /* by all readers */
	_Atomic bool	 stop;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;

	for (uint32_t k = w->done; k < 2 * KEYS; k += 2) {
		put(w->t, k);
		atomic_store(&w->done, k + 2);
	}
	return NULL;
}

static void *read_on(void *arg)
{
	struct writer *w = arg;
	uint64_t       n = 0;

	for (; !w->stop; w->reads++)
		assert_there(w->t, (uint32_t)(n++ * UINT64_C(0x9e3779b97f4a7c15) >> 32) % w->done & ~1u);
	return NULL;
}

static void start(struct writer *w, void *(*work)(void *arg))
{
	assert_true(w->threads_n < THREADS_MAX);
	assert_int_equal(pthread_create(&w->threads[w->threads_n++], NULL, work, w), 0);
}

static void stop(struct writer *w)
{
	w->stop = true;
	for (unsigned i = 0; i < w->threads_n; i++)
		assert_int_equal(pthread_join(w->threads[i], NULL), 0);
}

static void test_threads(void **state)
{
	struct filtered t = { .told = 0 };
	struct writer	w = { .t = &t, .done = SOME };

	(void)state;
	begin_with(&t, SOME);
	begin_filter(&t);
	start(&w, write_on);
	start(&w, read_on);
	start(&w, read_on);
	while (w.done < 2 * KEYS) {
		for (uint32_t i = 0; i < SOME; i++)
			assert_gone(&t, ABSENT + 1 + i);
		relieve(&t);
	}
	stop(&w);
	assert_all_there(&t);
	end_with_keys(&t);
}

#define TIMES 3000u
#define READS 150000u

/* One filter after the other. */
static void test_read_while_it_goes(void **state)
{
	struct filtered t;
	struct writer	w = { .t = &t, .done = SOME };

	(void)state;
	begin_with(&t, SOME);
	fill_filter(&t);
	start(&w, read_on);
	start(&w, read_on);
	for (unsigned i = 0; i < TIMES || w.reads < READS;) {
		atomic_store(&t.f.store->filter.missed,
			     MISSES); /* as if so many gets had found nothing; who reads may count on */
		if (!relieve(&t))
			continue;
		i++;
		while (relieve(&t))
			;
	}
	stop(&w);
	end_with_keys(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_absent_keys_need_no_reads),
		cmocka_unit_test(test_puts_are_seen),
		cmocka_unit_test(test_batches_are_seen),
		cmocka_unit_test(test_many_gets),
		cmocka_unit_test(test_puts_while_it_is_filled),
		cmocka_unit_test(test_other_trees),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_many_more_keys),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_read_while_it_goes),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
