/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_store_map.c: a store of two chunks of space, of which one's page of the map cannot be read for a while: what it says is free does not
 * count, so nothing is begun that could not be ended without it. And a batch whose pages memory cannot hold. */
#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/layout.h"
#include "store_tools.h"

#define SIZE  (160u << 20) /* a chunk has 128 MiB */
#define LARGE (1u << 20)

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
};

static void begin(struct fixture *f, uint64_t size, uint64_t log_bytes)
{
	struct store_format format = { .node_bytes = 4096, .log_bytes = log_bytes };

	*f = (struct fixture){ 0 };
	assert_ok(sim_disk_create(size, 1, &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	assert_ok(store_open(f->dev, NULL, &f->store));
}

static void end(struct fixture *f)
{
	assert_ok(store_check(f->store, NULL));
	assert_ok(store_close(f->store));
	device_close(f->dev);
	sim_disk_destroy(f->disk);
}

static int put(struct fixture *f, uint64_t n, size_t len)
{
	static uint8_t	      val[LARGE];
	uint8_t		      key[8];
	struct store_mutation m = { .change = STORE_PUT, .tree = 7, .key = { key, 8 }, .val = { val, len } };
	uint64_t	      lsn;

	put64be(key, n);
	return store_apply(f->store, &m, 1, 0, &lsn, NULL);
}

static bool read_only(struct fixture *f)
{
	struct store_stat st;

	store_stat(f->store, &st);
	return st.readonly;
}

/* Both chunks are in use, and the store has just been opened: all that its puts need is in memory but the second chunk's page. */
static void fill_first_chunk(struct fixture *f)
{
	uint64_t n;
	size_t	 len = 0;
	uint8_t	 key[8];

	for (n = 0; n < 126; n++)
		assert_ok(put(f, n, LARGE));
	assert_ok(store_close(f->store));
	assert_ok(store_open(f->dev, NULL, &f->store));
	put64be(key, 0);
	assert_ok(store_get(f->store, live(7), (tarn_buf){ key, 8 }, NULL, &len, NULL, 0));
}

static void what_cannot_be_read_is_not_promised(void **state)
{
	struct fixture f;
	uint64_t       n  = 1000;
	int	       rc = 0;

	(void)state;
	begin(&f, SIZE, 1 << 20);
	fill_first_chunk(&f);
	assert_ok(put(&f, n, 100)); /* the first chunk's page is read */
	sim_fail_nth(f.disk, TARN_DEV_READ, 1, true);
	for (; !rc && n < 3000; n++)
		rc = put(&f, n, n % 2 ? 20000 : 100);
	printf("# %d puts until: %s\n", (int)n - 1000, base_message());
	assert_int_equal(rc, -TARN_E_IO);
	assert_ok(store_checkpoint(f.store));
	assert_false(read_only(&f));
	sim_fail_nth(f.disk, TARN_DEV_READ, 0, false);
	for (n = 4000; n < 4020; n++)
		assert_ok(put(&f, n, LARGE));
	end(&f);
}

#define KEYS 20000u

/* A key in each leaf, or nearly; the keys are not written in their order. */
static int apply_scattered(struct fixture *f, unsigned n, unsigned step, size_t len, struct store_mutation *muts,
			   uint8_t (*keys)[8])
{
	static uint8_t val[2000];
	uint64_t       lsn;

	for (unsigned i = 0; i < n; i++) {
		put64be(keys[i], (uint64_t)i * step % KEYS);
		muts[i] = (struct store_mutation){ .change = STORE_PUT, .tree = 7, .key = { keys[i], 8 }, .val = { val, len } };
	}
	return store_apply(f->store, muts, n, 0, &lsn, NULL);
}

static void a_batch_is_bound_by_memory(void **state)
{
	struct store_mutation *muts = calloc(KEYS, sizeof(*muts));
	uint8_t(*keys)[8]	    = calloc(KEYS, sizeof(*keys));
	struct fixture	  f;
	struct store_stat st;

	(void)state;
	begin(&f, SIZE, 4 << 20);
	assert_ok(store_close(f.store));
	assert_ok(store_open(f.dev, &(struct store_options){ .cache_bytes = 1 << 20 }, &f.store));
	for (uint64_t n = 0; n < KEYS; n++)
		assert_ok(put(&f, n, 2000));
	assert_error(apply_scattered(&f, KEYS / 5, 5, 10, muts, keys), REC2BIG);
	assert_says("split the batch");
	assert_ok(apply_scattered(&f, KEYS / 10, 10, 10, muts, keys));
	store_stat(f.store, &st);
	printf("# %" PRIu64 " KiB of memory after a batch in a cache of 1024 KiB\n", st.cache_used_bytes / 1024);
	assert_true(st.cache_used_bytes < 64 << 20);
	assert_ok(store_checkpoint(f.store));
	free(muts);
	free(keys);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_read_is_not_promised),
		cmocka_unit_test(a_batch_is_bound_by_memory),
	};

	return cmocka_run_group_tests_name("the space map", tests, NULL, NULL);
}
