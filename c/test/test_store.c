/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_store.c: the engine through store.h, on a simulated disk. Each test ends with a check of the whole store. */
#include "harness.h"

#include "../src/device/sim.h"
#include "store_tools.h"

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	uint64_t	 cache_bytes;
};

static tarn_buf text(const char *s)
{
	return (tarn_buf){ s, strlen(s) };
}

static void begin(struct fixture *f, uint64_t size, uint32_t node_bytes)
{
	struct store_format format = { .node_bytes = node_bytes, .log_bytes = 256 * 1024, .meta = "map", .meta_len = 3 };

	*f = (struct fixture){ .cache_bytes = 1 << 20 };
	test_fill(format.pool.bytes, 16, size);
	assert_ok(sim_disk_create(size, test_seed(), &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	assert_ok(store_open(f->dev, &(struct store_options){ .cache_bytes = f->cache_bytes }, &f->store));
}

static int reopen(struct fixture *f)
{
	assert_ok(sim_open(f->disk, &f->dev));
	return store_open(f->dev, &(struct store_options){ .cache_bytes = f->cache_bytes }, &f->store);
}

static void close_store(struct fixture *f)
{
	assert_ok(store_close(f->store));
	device_close(f->dev);
}

static void crash(struct fixture *f, enum sim_cut policy)
{
	store_abandon(f->store);
	device_close(f->dev);
	sim_restore_power(f->disk, policy);
}

static void end(struct fixture *f)
{
	assert_ok(store_check(f->store, NULL));
	close_store(f);
	sim_disk_destroy(f->disk);
}

static int change(struct fixture *f, enum store_change what, tarn_buf key, tarn_buf val, tarn_cond cond)
{
	struct store_mutation m = { .change = what, .cond = cond, .tree = 7, .key = key, .val = val };
	uint64_t	      lsn;
	int		      rc = store_apply(f->store, &m, 1, 0, &lsn, NULL);

	return rc ? rc : store_commit(f->store, lsn);
}

static int put(struct fixture *f, const char *key, const char *val)
{
	return change(f, STORE_PUT, text(key), text(val), TARN_COND_NONE);
}

static int put_filled(struct fixture *f, const char *key, size_t len, uint64_t what)
{
	void *buf = malloc(len + 8);
	int   rc;

	test_fill(buf, len + 8 - (len + 8) % 8, what);
	rc = change(f, STORE_PUT, text(key), (tarn_buf){ buf, len }, TARN_COND_NONE);
	free(buf);
	return rc;
}

static int del(struct fixture *f, const char *key)
{
	return change(f, STORE_DEL, text(key), text(""), TARN_COND_NONE);
}

static void assert_value(struct fixture *f, const char *key, const char *val)
{
	char   buf[256];
	size_t len = sizeof(buf);

	assert_ok(store_get(f->store, live(7), text(key), buf, &len, NULL, 0));
	assert_int_equal(len, strlen(val));
	assert_memory_equal(buf, val, len);
}

static void assert_filled(struct fixture *f, const char *key, size_t len, uint64_t what)
{
	uint8_t *want = malloc(len + 8), *got = malloc(len + 8);
	size_t	 n = len + 8;

	test_fill(want, len + 8 - (len + 8) % 8, what);
	assert_ok(store_get(f->store, live(7), text(key), got, &n, NULL, 0));
	assert_int_equal(n, len);
	assert_memory_equal(got, want, len);
	free(want);
	free(got);
}

static void assert_absent(struct fixture *f, const char *key)
{
	size_t len = 0;

	assert_error(store_get(f->store, live(7), text(key), NULL, &len, NULL, 0), NONEXIST);
}

static void put_get_delete(void **state)
{
	struct fixture f;
	size_t	       len = 3;
	char	       small[3];

	(void)state;
	begin(&f, 1 << 20, 0);
	assert_ok(put(&f, "Barcelona", "Camp Nou"));
	assert_ok(put(&f, "London", ""));
	assert_value(&f, "Barcelona", "Camp Nou");
	assert_value(&f, "London", "");
	assert_error(store_get(f.store, live(7), text("Barcelona"), small, &len, NULL, 0), REC2BIG);
	assert_int_equal(len, 8);
	assert_ok(del(&f, "Barcelona"));
	assert_absent(&f, "Barcelona");
	close_store(&f);
	assert_ok(reopen(&f));
	assert_absent(&f, "Barcelona");
	assert_value(&f, "London", "");
	end(&f);
}

static void conditions(void **state)
{
	struct fixture	      f;
	struct store_mutation m[2];
	uint64_t	      lsn, revision;
	size_t		      failed = 9, len = 0;

	(void)state;
	begin(&f, 1 << 20, 0);
	assert_error(change(&f, STORE_PUT, text("a"), text("1"), TARN_COND_UPDATE), NONEXIST);
	assert_ok(change(&f, STORE_PUT, text("a"), text("1"), TARN_COND_INSERT));
	assert_error(change(&f, STORE_PUT, text("a"), text("2"), TARN_COND_INSERT), EXIST);
	assert_error(change(&f, STORE_DEL, text("b"), text(""), TARN_COND_UPDATE), NONEXIST);
	assert_ok(store_get(f.store, live(7), text("a"), NULL, &len, &revision, 0));
	m[0] = (struct store_mutation){ .change = STORE_PUT, .tree = 7, .key = text("c"), .val = text("3") };
	m[1] = (struct store_mutation){ .change	  = STORE_PUT,
					.cond	  = TARN_COND_REVISION,
					.revision = revision + 1,
					.tree	  = 7,
					.key	  = text("a"),
					.val	  = text("4") };
	assert_error(store_apply(f.store, m, 2, 0, &lsn, &failed), TX_RESTART);
	assert_int_equal(failed, 1);
	assert_absent(&f, "c");
	m[1].revision = revision;
	assert_ok(store_apply(f.store, m, 2, 0, &lsn, &failed));
	assert_value(&f, "c", "3");
	assert_value(&f, "a", "4");
	m[1].key = text("c");
	assert_error(store_apply(f.store, m, 2, 0, &lsn, NULL), INVAL);
	assert_error(change(&f, STORE_PUT, text(""), text("1"), TARN_COND_NONE), INVAL);
	end(&f);
}

/* Many keys, small nodes: splits, merges, an empty tree again; counts and listings on the way. */
static void many_keys(void **state)
{
	struct fixture	   f;
	char		   key[32];
	uint64_t	   count;
	tarn_listing	   out;
	uint8_t		   buf[4096] __attribute__((aligned(8)));
	struct store_range range = { .start = text("k0100"), .end = text("k0200") };

	(void)state;
	begin(&f, 4 << 20, 512);
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%04d", i * 7 % 1000);
		assert_ok(put(&f, key, key));
	}
	assert_ok(store_count(f.store, live(7), &(struct store_range){ .flags = 0 }, &count, 0));
	assert_int_equal(count, 1000);
	assert_ok(store_checkpoint(f.store));
	assert_ok(store_count(f.store, live(7), &range, &count, 0));
	assert_int_equal(count, 100);
	assert_ok(store_list(f.store, live(7), &range, 3, buf, sizeof(buf), &out, 0));
	assert_int_equal(out.count, 3);
	assert_int_equal(out.more, 1);
	assert_memory_equal(buf + sizeof(tarn_entry), "k0100k0100", 10);
	range.flags = TARN_RANGE_REVERSE | TARN_RANGE_KEYS_ONLY;
	assert_ok(store_list(f.store, live(7), &range, 1, buf, sizeof(buf), &out, 0));
	assert_memory_equal(buf + sizeof(tarn_entry), "k0199", 5);
	range.flags = TARN_RANGE_AFTER;
	assert_ok(store_list(f.store, live(7), &range, 0, buf, sizeof(buf), &out, 0));
	assert_memory_equal(buf + sizeof(tarn_entry), "k0101", 5);
	assert_error(store_list(f.store, live(7), &range, 0, buf, 8, &out, 0), KEY2BIG);
	assert_ok(store_check(f.store, NULL));
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%04d", i * 13 % 1000);
		assert_ok(del(&f, key));
	}
	assert_ok(store_count(f.store, live(7), &(struct store_range){ .flags = 0 }, &count, 0));
	assert_int_equal(count, 0);
	end(&f);
}

static void long_keys(void **state)
{
	struct fixture f;
	uint8_t	      *key = malloc(STORE_KEY_MAX + 1);
	size_t	       len = 8;
	char	       val[8];

	(void)state;
	begin(&f, 16 << 20, 0);
	test_fill(key, STORE_KEY_MAX - STORE_KEY_MAX % 8, 5);
	for (unsigned i = 0; i < 24; i++) { /* alike but for the last byte, which is where separators must differ */
		key[STORE_KEY_MAX - 1] = (uint8_t)(i * 5 % 24);
		assert_ok(change(&f, STORE_PUT, (tarn_buf){ key, STORE_KEY_MAX }, (tarn_buf){ key + STORE_KEY_MAX - 1, 1 },
				 TARN_COND_INSERT));
	}
	assert_error(change(&f, STORE_PUT, (tarn_buf){ key, STORE_KEY_MAX + 1 }, text("x"), TARN_COND_NONE), KEY2BIG);
	crash(&f, SIM_CUT_NONE);
	assert_ok(reopen(&f));
	for (unsigned i = 0; i < 24; i++) {
		key[STORE_KEY_MAX - 1] = (uint8_t)i;
		len		       = sizeof(val);
		assert_ok(store_get(f.store, live(7), (tarn_buf){ key, STORE_KEY_MAX }, val, &len, NULL, 0));
		assert_int_equal(val[0], i);
		if (i % 2)
			assert_ok(change(&f, STORE_DEL, (tarn_buf){ key, STORE_KEY_MAX }, text(""), TARN_COND_UPDATE));
	}
	free(key);
	end(&f);
}

static void large_values(void **state)
{
	static const size_t sizes[] = { 4095, 4096, 4097, 65536, 1 << 20, (1 << 20) + 1, 12 << 20 };
	struct fixture	    f;
	char		    key[32];

	(void)state;
	begin(&f, 40 << 20, 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		snprintf(key, sizeof(key), "v%zu", i);
		assert_ok(put_filled(&f, key, sizes[i], i));
	}
	assert_ok(put_filled(&f, "v6", 9 << 20, 99)); /* replaces one with an index by another */
	crash(&f, SIM_CUT_NONE);
	assert_ok(reopen(&f));
	for (size_t i = 0; i + 1 < ARRAY_LEN(sizes); i++) {
		snprintf(key, sizeof(key), "v%zu", i);
		assert_filled(&f, key, sizes[i], i);
	}
	assert_filled(&f, "v6", 9 << 20, 99);
	assert_ok(del(&f, "v6"));
	end(&f);
}

static uint64_t free_bytes(struct fixture *f)
{
	struct store_stat st;

	assert_ok(store_checkpoint(f->store));
	store_stat(f->store, &st);
	return st.free_bytes;
}

/* A value that no batch names leaves nothing, with and without a crash; a reader keeps what it reads. */
static void values_in_pieces(void **state)
{
	struct fixture	     f;
	struct store_value  *value;
	struct store_reader *reader;
	tarn_kv_stat	     stat;
	uint8_t		    *buf = malloc(3 << 20), *got = malloc(3 << 20);
	uint64_t	     before;
	size_t		     len = 3 << 20;

	(void)state;
	begin(&f, 16 << 20, 0);
	test_fill(buf, 3 << 20, 1);
	assert_ok(put_filled(&f, "v", 3 << 20, 1));
	before = free_bytes(&f);
	assert_ok(store_value_new(f.store, &value));
	assert_ok(store_value_append(value, buf, 3 << 20));
	assert_true(free_bytes(&f) < before);
	store_value_free(value);
	assert_int_equal(free_bytes(&f), before);
	assert_ok(store_reader_open(f.store, live(7), text("v"), &stat, &reader));
	assert_int_equal(stat.size, 3 << 20);
	for (unsigned i = 0; i < 4; i++) /* would use the blocks again if they were free */
		assert_ok(put_filled(&f, "v", 3 << 20, 2 + i));
	assert_ok(store_reader_read(reader, 0, got, &len));
	assert_int_equal(len, 3 << 20);
	assert_memory_equal(got, buf, len);
	len = 10;
	assert_ok(store_reader_read(reader, (3 << 20) - 3, got, &len));
	assert_int_equal(len, 3);
	store_reader_close(reader);
	assert_ok(store_value_new(f.store, &value));
	assert_ok(store_value_append(value, buf, 2 << 20));
	assert_ok(store_checkpoint(f.store));
	store_value_free(value);
	crash(&f, SIM_CUT_ALL);
	assert_ok(reopen(&f));
	free_bytes(&f);
	assert_int_equal(free_bytes(&f), before);
	free(buf);
	free(got);
	end(&f);
}

/* While a reader is open nothing that is given up becomes free. However often it is tried, changes and checkpoints are refused when there is no
 * room, nothing worse happens, and when the reader is closed all is as before. */
static void a_reader_that_stays_open(void **state)
{
	struct fixture	     f;
	struct store_reader *reader;
	struct store_stat    stat;
	tarn_kv_stat	     of;
	unsigned	     refused = 0;

	(void)state;
	begin(&f, 4 << 20, 0);
	assert_ok(put_filled(&f, "v", 100000, 1));
	assert_ok(store_reader_open(f.store, live(7), text("v"), &of, &reader));
	for (unsigned i = 0; i < 2000; i++) {
		int rc = i % 2 ? store_checkpoint(f.store) : put_filled(&f, "w", 50000 + i, i);

		if (rc)
			assert_int_equal(rc, -TARN_E_NOSPACE);
		refused += rc && i % 2;
	}
	assert_true(refused > 100);
	assert_error(store_checkpoint(f.store), NOSPACE);
	assert_says("wait for readers that are open: close them");
	store_stat(f.store, &stat);
	assert_false(stat.readonly);
	store_reader_close(reader);
	assert_ok(store_checkpoint(f.store));
	assert_ok(put_filled(&f, "w", 100000, 3));
	end(&f);
}

/* A full store says so, keeps everything, and deleting makes room again. */
static void full(void **state)
{
	struct fixture f;
	char	       key[32];
	int	       n = 0, rc;

	(void)state;
	begin(&f, 1 << 20, 1024);
	for (;; n++) {
		snprintf(key, sizeof(key), "k%05d", n);
		rc = put_filled(&f, key, 200, (uint64_t)n);
		if (rc)
			break;
	}
	assert_int_equal(rc, -TARN_E_NOSPACE);
	assert_true(n > 500);
	assert_error(put_filled(&f, "big", 100000, 1), NOSPACE);
	crash(&f, SIM_CUT_NONE);
	assert_ok(reopen(&f));
	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "k%05d", i);
		assert_filled(&f, key, 200, (uint64_t)i);
		assert_ok(del(&f, key));
	}
	assert_ok(put_filled(&f, "big", 100000, 1));
	assert_filled(&f, "big", 100000, 1);
	end(&f);
}

static void drop_tree(void **state)
{
	struct fixture	      f;
	char		      key[32];
	struct store_mutation m[2] = { { .change = STORE_DROP, .tree = 7 },
				       { .change = STORE_PUT, .tree = 8, .key = text("gone"), .val = text("7") } };
	uint64_t	      before, lsn, count;
	size_t		      len = 0;

	(void)state;
	begin(&f, 4 << 20, 512);
	before = free_bytes(&f);
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_ok(put_filled(&f, key, i % 10 ? 50 : 9000, (uint64_t)i));
	}
	assert_ok(store_apply(f.store, m, 2, 0, &lsn, NULL));
	assert_ok(store_commit(f.store, lsn));
	crash(&f, SIM_CUT_NONE);
	assert_ok(reopen(&f));
	assert_ok(store_count(f.store, live(7), &(struct store_range){ .flags = 0 }, &count, 0));
	assert_int_equal(count, 0);
	assert_ok(store_get(f.store, live(8), text("gone"), NULL, &len, NULL, 0));
	assert_ok(change(&f, STORE_PUT, text("x"), text("y"), TARN_COND_INSERT));
	assert_true(free_bytes(&f) + 4 * 4096 >= before);
	end(&f);
}

static void batch_too_large_for_the_log(void **state)
{
	struct fixture	      f;
	struct store_mutation m[80];
	char		      keys[80][16];
	uint8_t		      val[2000];
	uint64_t	      lsn;

	(void)state;
	begin(&f, 4 << 20, 0);
	test_fill(val, sizeof(val), 1);
	for (int i = 0; i < 80; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		m[i] = (struct store_mutation){
			.change = STORE_PUT, .tree = 7, .key = text(keys[i]), .val = { val, sizeof(val) }
		};
	}
	assert_error(store_apply(f.store, m, 80, 0, &lsn, NULL), REC2BIG);
	assert_says("split the batch");
	assert_absent(&f, "k0");
	assert_ok(store_apply(f.store, m, 15, 0, &lsn, NULL));
	assert_ok(store_commit(f.store, lsn));
	end(&f);
}

/* A batch is asked for the space that its entries take, not for a page each. */
static void many_small_changes_in_one_batch(void **state)
{
	enum { COUNT = 1500 };
	struct store_mutation *muts = calloc(COUNT, sizeof(*muts));
	uint8_t(*keys)[8]	    = calloc(COUNT, sizeof(*keys));
	struct fixture f;
	uint64_t       lsn, count;

	(void)state;
	begin(&f, 4 << 20, 0);
	for (uint64_t i = 0; i < COUNT; i++) {
		put64be(keys[i], i * 7919 % COUNT);
		muts[i] = (struct store_mutation){ .change = STORE_PUT, .tree = 7, .key = { keys[i], 8 }, .val = { keys[i], 8 } };
	}
	assert_ok(store_apply(f.store, muts, COUNT, 0, &lsn, NULL));
	assert_ok(store_commit(f.store, lsn));
	assert_ok(store_count(f.store, live(7), &(struct store_range){ .flags = 0 }, &count, 0));
	assert_int_equal(count, COUNT);
	free(muts);
	free(keys);
	end(&f);
}

/* Wherever in a batch of any length, and in whatever order it is: a key that stands twice is refused, and nothing changes. The same bytes in another tree
 * are another key. */
static void a_key_stands_twice(void **state)
{
	static const size_t   counts[]	= { 2, 3, 100, 256, 257, 1000 };
	static const uint64_t factors[] = { 1, 7919 }; /* ascending, and not */
	struct fixture	      f;
	uint64_t	      lsn, count;
	struct rng	      rng;

	(void)state;
	rng_seed(&rng, test_seed());
	begin(&f, 4 << 20, 0);
	for (size_t c = 0; c < ARRAY_LEN(counts); c++)
		for (size_t k = 0; k < ARRAY_LEN(factors); k++) {
			struct store_mutation *muts = calloc(counts[c], sizeof(*muts));
			uint8_t(*keys)[8]	    = calloc(counts[c], sizeof(*keys));
			size_t one = rng_below(&rng, counts[c]), other = (one + 1 + rng_below(&rng, counts[c] - 1)) % counts[c];

			for (size_t i = 0; i < counts[c]; i++) {
				put64be(keys[i], i * factors[k] % 1009);
				muts[i]	       = (struct store_mutation){ .tree = 7, .key = { keys[i], 8 } };
				muts[i].change = i % 3 ? STORE_PUT : STORE_DEL;
			}
			muts[other].key = muts[one].key;
			assert_error(store_apply(f.store, muts, counts[c], 0, &lsn, NULL), INVAL);
			assert_says("stands twice");
			muts[MAX(one, other)].change = counts[c] - 1 == MAX(one, other) ? STORE_CHECK : STORE_PUT;
			assert_error(store_apply(f.store, muts, counts[c], 0, &lsn, NULL), INVAL);
			assert_ok(store_count(f.store, live(7), &(struct store_range){ .flags = 0 }, &count, 0));
			assert_int_equal(count, 0);
			muts[other].tree   = 8;
			muts[other].change = STORE_PUT;
			assert_ok(store_apply(f.store, muts, counts[c], 0, &lsn, NULL));
			for (size_t i = 0; i < counts[c]; i++)
				muts[i].change = STORE_DEL;
			assert_ok(store_apply(f.store, muts, counts[c], 0, &lsn, NULL));
			free(muts);
			free(keys);
		}
	end(&f);
}

/* A miss is AGAIN and changes nothing; once the page is there the same call is answered. */
static void nowait(void **state)
{
	struct fixture	      f;
	struct store_mutation m = { .change = STORE_PUT, .tree = 7, .key = text("a"), .val = text("2") };
	char		      buf[8];
	size_t		      len = sizeof(buf);
	uint64_t	      lsn;

	(void)state;
	begin(&f, 1 << 20, 0);
	assert_ok(put(&f, "a", "1"));
	close_store(&f);
	assert_ok(reopen(&f));
	assert_error(store_get(f.store, live(7), text("a"), buf, &len, NULL, STORE_NOWAIT), AGAIN);
	assert_error(store_apply(f.store, &m, 1, STORE_NOWAIT, &lsn, NULL), AGAIN);
	assert_value(&f, "a", "1");
	assert_ok(store_get(f.store, live(7), text("a"), buf, &len, NULL, STORE_NOWAIT));
	assert_ok(store_apply(f.store, &m, 1, STORE_NOWAIT, &lsn, NULL));
	assert_ok(store_commit(f.store, lsn));
	assert_value(&f, "a", "2");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_get_delete),
		cmocka_unit_test(conditions),
		cmocka_unit_test(many_keys),
		cmocka_unit_test(long_keys),
		cmocka_unit_test(large_values),
		cmocka_unit_test(values_in_pieces),
		cmocka_unit_test(a_reader_that_stays_open),
		cmocka_unit_test(full),
		cmocka_unit_test(drop_tree),
		cmocka_unit_test(batch_too_large_for_the_log),
		cmocka_unit_test(many_small_changes_in_one_batch),
		cmocka_unit_test(a_key_stands_twice),
		cmocka_unit_test(nowait),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
