/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_back.c: memory for new pages is touched before they need it, and becomes huge pages later: what stands in it stays, also for who reads and
 * changes it meanwhile. */
#include "sim_store.h"

#include <unistd.h>

#define DISK   (UINT64_C(128) << 20)
#define LOG    (UINT64_C(48) << 20)
#define CACHE  (UINT64_C(512) << 20)
#define TREE   4u
#define KEYS   16000u
#define VALUE  1000u
#define ROUNDS 100u

/* In no order. */
static tarn_buf key_at(uint32_t i, uint8_t *buf)
{
	return key_of(i * UINT32_C(0x9e3779b1), buf);
}

static void put(struct fixture *f, uint32_t i, uint8_t version)
{
	uint8_t		      key[16], val[VALUE];
	struct store_mutation m = { .change = STORE_PUT, .tree = TREE, .key = key_at(i, key), .val = { val, VALUE } };

	memset(val, (int)(i + version), VALUE);
	assert_ok(store_apply(f->store, &m, 1, 0, &f->lsn, NULL));
}

static void assert_there(struct fixture *f, uint32_t i, uint8_t version)
{
	uint8_t key[16], val[VALUE];
	size_t	len = VALUE;

	assert_ok(store_get(f->store, live(TREE), key_at(i, key), val, &len, NULL, 0));
	assert_int_equal(len, VALUE);
	for (size_t k = 0; k < VALUE; k++)
		assert_int_equal(val[k], (uint8_t)(i + version));
}

static uint64_t resident_bytes(void)
{
	FILE		  *file = fopen("/proc/self/statm", "r");
	unsigned long long size, resident;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu %llu", &size, &resident), 2);
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void memory_is_there_before(void **state)
{
	struct fixture	 f;
	uint64_t	 before, written, again = 0;
	_Atomic uint32_t told = 0;

	(void)state;
	begin(&f, DISK, LOG, CACHE);
	store_on_due(f.store, count_told, &told);
	written = stat_of(&f).generation;
	for (uint32_t i = 0; i < KEYS / 2; i++)
		put(&f, i, 0);
	assert_true(told > 0);
	before = resident_bytes();
	assert_ok(store_relieve(f.store, &again));
	assert_true(resident_bytes() >= before + (2 << 20));
	assert_int_equal(stat_of(&f).generation, written); /* no checkpoint was due */
	for (uint32_t i = KEYS / 2; i < KEYS; i++)
		put(&f, i, 0);
	for (uint32_t i = 0; i < KEYS; i++)
		assert_there(&f, i, 0);
	store_on_due(f.store, NULL, NULL);
	end(&f);
}

struct reader {
	struct fixture *f;
	_Atomic bool	stop;
	uint32_t	reads;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;

	for (uint32_t i = 0; !r->stop || r->reads < KEYS; i = (i + 1) % (KEYS / 2), r->reads++)
		assert_there(r->f, i, 0);
	return NULL;
}

static void pages_join_while_others_use_them(void **state)
{
	struct fixture	 f;
	struct reader	 r	= { .f = &f };
	uint64_t	 again	= 1;
	unsigned	 joined = 0;
	_Atomic uint32_t told	= 0;
	pthread_t	 thread;

	(void)state;
	begin(&f, DISK, LOG, CACHE);
	store_on_due(f.store, count_told, &told);
	for (uint32_t i = 0; i < KEYS; i++) {
		put(&f, i, 0);
		if (i % 100 == 0)
			assert_ok(store_relieve(f.store, &again));
	}
	assert_int_equal(pthread_create(&thread, NULL, read_all, &r), 0);
	for (unsigned i = 0; again && i < ROUNDS; i++, joined++) {
		assert_ok(store_relieve(f.store, &again));
		put(&f, KEYS / 2 + i, 1);
	}
	assert_int_equal(again, 0); /* there is an end of it */
	assert_true(joined > 2);
	r.stop = true;
	pthread_join(thread, NULL);
	for (uint32_t i = 0; i < KEYS; i++)
		assert_there(&f, i, i >= KEYS / 2 && i < KEYS / 2 + joined);
	store_on_due(f.store, NULL, NULL);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_there_before),
		cmocka_unit_test(pages_join_while_others_use_them),
	};

	return cmocka_run_group_tests_name("back", tests, NULL, NULL);
}
