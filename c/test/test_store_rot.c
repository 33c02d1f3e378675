/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_store_rot.c: what a store does when its device lies: rot, torn and stale log groups, lost superblocks, swapped blocks, and
 * the n-th I/O failing. Wrong bytes are never served, and damage is not mistaken for the end of the log. */
#include "harness.h"

#include "../src/device/sim.h"
#include "store_tools.h"

#define SIZE  (1u << 20)
#define BLOCK 4096u
#define LOG   (128u * 1024)
#define KEYS  60u

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	uint8_t		*image; /* of a moment that every trial begins with */
};

static void begin(struct fixture *f)
{
	static uint64_t	    disks;
	struct store_format format = { .node_bytes = 1024, .log_bytes = LOG };

	*f = (struct fixture){ .image = malloc(SIZE) };
	test_fill(format.pool.bytes, 16, 1);
	assert_ok(sim_disk_create(SIZE, test_seed() + disks++, &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	assert_ok(store_open(f->dev, &(struct store_options){ .cache_bytes = 24 << 10 }, &f->store));
}

static void end(struct fixture *f)
{
	sim_disk_destroy(f->disk);
	free(f->image);
}

static int try_open(struct fixture *f)
{
	int rc;

	assert_ok(sim_open(f->disk, &f->dev));
	rc = store_open(f->dev, &(struct store_options){ .cache_bytes = 24 << 10 }, &f->store);
	if (rc)
		device_close(f->dev);
	return rc;
}

static void abandon(struct fixture *f)
{
	store_abandon(f->store);
	device_close(f->dev);
}

static size_t value(unsigned k, unsigned version, uint8_t *buf)
{
	test_fill(buf, 2048, k * 1000 + version);
	return k % 10 == 3 ? 2000 : 20 + k; /* some go to extents */
}

static int put(struct fixture *f, unsigned k, unsigned version)
{
	uint8_t		      key = (uint8_t)k, val[2048];
	struct store_mutation m	  = { .change = STORE_PUT, .tree = 5, .key = { &key, 1 } };
	uint64_t	      lsn;
	int		      rc;

	m.val = (tarn_buf){ val, value(k, version, val) };
	rc    = store_apply(f->store, &m, 1, 0, &lsn, NULL);
	return rc ? rc : store_commit(f->store, lsn);
}

/* 0 when key k has this version, an error when it says so; anything else fails the test. */
static int get(struct fixture *f, unsigned k, unsigned version)
{
	uint8_t key = (uint8_t)k, got[2048], want[2048];
	size_t	len = sizeof(got);
	int	rc  = store_get(f->store, live(5), (tarn_buf){ &key, 1 }, got, &len, NULL, 0);

	if (!rc) {
		assert_int_equal(len, value(k, version, want));
		assert_memory_equal(got, want, len);
	}
	return rc;
}

static void fill(struct fixture *f)
{
	for (unsigned k = 0; k < KEYS; k++)
		assert_ok(put(f, k, 0));
}

static void keep_image(struct fixture *f)
{
	sim_restore_power(f->disk, SIM_CUT_ALL);
	sim_peek(f->disk, 0, f->image, SIZE);
}

static void restore_image(struct fixture *f)
{
	sim_restore_power(f->disk, SIM_CUT_ALL);
	sim_poke(f->disk, 0, f->image, SIZE);
}

static void close_and_keep(struct fixture *f)
{
	assert_ok(store_close(f->store));
	device_close(f->dev);
	keep_image(f);
}

static void any_superblock_will_do(void **state)
{
	static const unsigned blocks[]	  = { 0, 1, SIZE / BLOCK - 2, SIZE / BLOCK - 1 };
	uint8_t		      zero[BLOCK] = { 0 };
	struct fixture	      f;

	(void)state;
	begin(&f);
	fill(&f);
	close_and_keep(&f);
	for (unsigned good = 0; good < 4; good++) {
		restore_image(&f);
		for (unsigned i = 0; i < 4; i++)
			if (i != good)
				sim_poke(f.disk, blocks[i] * (uint64_t)BLOCK, zero, BLOCK);
		assert_ok(try_open(&f));
		for (unsigned k = 0; k < KEYS; k++)
			assert_ok(get(&f, k, 0));
		assert_ok(store_check(f.store, NULL));
		abandon(&f);
	}
	for (unsigned i = 0; i < 4; i++)
		sim_poke(f.disk, blocks[i] * (uint64_t)BLOCK, zero, BLOCK);
	assert_error(try_open(&f), DF_INVAL);
	end(&f);
}

/* Reads all; every key is right or says that it is damaged. The number of the latter. */
static unsigned read_damaged(struct fixture *f)
{
	unsigned bad = 0;

	for (unsigned k = 0; k < KEYS; k++) {
		int rc = get(f, k, 0);

		assert_true(rc == 0 || rc == -TARN_E_CSUM);
		bad += rc != 0;
	}
	return bad;
}

static void flipped_bits_are_found(void **state)
{
	uint64_t       trials = test_number("TRIALS", 2000), refused = 0, partly = 0, whole = 0;
	struct fixture f;
	struct rng     rng;

	(void)state;
	rng_seed(&rng, test_seed());
	begin(&f);
	fill(&f);
	close_and_keep(&f);
	for (uint64_t i = 0; i < trials; i++) {
		uint64_t at = rng_below(&rng, SIZE);
		int	 rc;

		restore_image(&f);
		sim_flip_bit(f.disk, at, (unsigned)rng_below(&rng, 8));
		rc = try_open(&f);
		if (rc) {
			assert_int_equal(rc, -TARN_E_CSUM);
			refused++;
			continue;
		}
		if (read_damaged(&f)) {
			partly++;
			assert_error(store_check(f.store, NULL), CSUM);
		} else {
			whole++; /* free space, or one of four superblocks */
		}
		abandon(&f);
	}
	printf("# %" PRIu64 " flips: %" PRIu64 " opens refused, %" PRIu64 " found on reading, %" PRIu64
	       " in nothing that is used\n",
	       trials, refused, partly, whole);
	assert_true(refused && partly && whole);
	end(&f);
}

static void swapped_blocks_are_found(void **state)
{
	struct fixture f;
	struct rng     rng;
	unsigned       found = 0;

	(void)state;
	rng_seed(&rng, test_seed() + 1);
	begin(&f);
	fill(&f);
	close_and_keep(&f);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t a = 2 + LOG / BLOCK + rng_below(&rng, 90), b = 2 + LOG / BLOCK + rng_below(&rng, 90);
		int	 rc;

		restore_image(&f);
		sim_poke(f.disk, a * BLOCK, f.image + b * BLOCK, BLOCK);
		sim_poke(f.disk, b * BLOCK, f.image + a * BLOCK, BLOCK);
		rc = try_open(&f);
		assert_true(rc == 0 || rc == -TARN_E_CSUM);
		if (rc) {
			found++;
			continue;
		}
		found += read_damaged(&f) > 0;
		abandon(&f);
	}
	printf("# %u of 500 swaps of two blocks were found\n", found);
	assert_true(found > 50);
	end(&f);
}

/* Twelve acknowledged puts lie in the log, the last in group 11. */
static void begin_log(struct fixture *f)
{
	begin(f);
	fill(f);
	assert_ok(store_checkpoint(f->store));
	for (unsigned k = 0; k < 12; k++)
		assert_ok(put(f, k * 10, 1));
	abandon(f);
	keep_image(f);
}

/* The first block of the group whose put was the i-th: it holds the value. */
static uint64_t group_of(struct fixture *f, unsigned i)
{
	uint8_t val[2048];

	value(i * 10, 1, val);
	for (uint64_t at = 2 * BLOCK; at < 2 * BLOCK + LOG; at++)
		if (!memcmp(f->image + at, val, 16))
			return at / BLOCK * BLOCK;
	fail_msg("group %u is not in the log", i);
	return 0;
}

static void rot_is_told_from_a_torn_tail(void **state)
{
	uint8_t	       garbage[BLOCK], zero[BLOCK] = { 0 };
	struct fixture f;

	(void)state;
	begin_log(&f);
	test_fill(garbage, BLOCK, 77);
	for (unsigned i = 0; i < 12; i++) {
		for (unsigned how = 0; how < 3; how++) {
			uint64_t at = group_of(&f, i);

			restore_image(&f);
			if (how == 0)
				sim_flip_bit(f.disk, at + 100, 3);
			else
				sim_poke(f.disk, at, how == 1 ? zero : garbage, BLOCK);
			if (i < 11) {
				assert_error(try_open(&f), CSUM);
				assert_says("the log is damaged");
				continue;
			}
			assert_ok(try_open(&f)); /* the last group alone is in doubt: the one that nothing confirms */
			assert_ok(get(&f, 100, 1));
			assert_error(get(&f, 110, 1), NONEXIST);
			abandon(&f);
		}
	}
	end(&f);
}

static void stale_groups_are_not_replayed(void **state)
{
	struct fixture f;
	uint64_t       last, first;

	(void)state;
	begin_log(&f);
	first = group_of(&f, 0);
	last  = group_of(&f, 11);
	sim_poke(f.disk, last + BLOCK, f.image + first, BLOCK); /* a whole group of this epoch, at the next place */
	assert_ok(try_open(&f));
	assert_ok(get(&f, 0, 1));
	assert_ok(get(&f, 110, 1));
	assert_ok(put(&f, 0, 2));
	abandon(&f);
	sim_restore_power(f.disk, SIM_CUT_NONE);
	sim_poke(f.disk, last + 2 * BLOCK, f.image + last, BLOCK); /* behind the new group, one of an earlier epoch */
	assert_ok(try_open(&f));
	assert_ok(get(&f, 0, 2));
	assert_ok(get(&f, 110, 1));
	assert_ok(store_check(f.store, NULL));
	abandon(&f);
	end(&f);
}

/* Fails the n-th I/O of a kind, for all n, once and for good; what was acknowledged is there after a reopen. */
static void sweep(tarn_dev_opcode opcode, bool sticky)
{
	struct fixture f;
	uint64_t       n, injected = 1;

	begin(&f);
	fill(&f);
	close_and_keep(&f);
	for (n = 1; injected; n++) {
		unsigned acked[KEYS] = { 0 }, tried[KEYS] = { 0 };
		int	 rc;

		restore_image(&f);
		sim_fail_nth(f.disk, opcode, n, sticky);
		injected = sim_faults_injected(f.disk);
		rc	 = try_open(&f);
		for (unsigned i = 0; !rc && i < 24; i++) {
			unsigned k = i * 7 % KEYS, version = i / 8 + 1;

			if (get(&f, k, acked[k]) == 0 || tried[k] != acked[k])
				tried[k] = version;
			if (!put(&f, k, version))
				acked[k] = version;
			if (i == 12)
				store_checkpoint(f.store);
		}
		if (!rc) {
			store_close(f.store);
			device_close(f.dev);
		}
		injected = sim_faults_injected(f.disk) - injected;
		sim_fail_nth(f.disk, opcode, 0, false);
		sim_restore_power(f.disk, SIM_CUT_NONE);
		assert_ok(try_open(&f));
		for (unsigned k = 0; k < KEYS; k++) {
			uint8_t key = (uint8_t)k, got[2048], want[2048];
			size_t	len = sizeof(got), n1;

			assert_ok(store_get(f.store, live(5), (tarn_buf){ &key, 1 }, got, &len, NULL, 0));
			n1 = value(k, acked[k], want);
			if (len != n1 || memcmp(got, want, n1) != 0) { /* then a put that failed has survived, whole */
				n1 = value(k, tried[k], want);
				assert_int_equal(len, n1);
				assert_memory_equal(got, want, n1);
			}
		}
		assert_ok(store_check(f.store, NULL));
		abandon(&f);
	}
	printf("# opcode %d %s: failed each of %" PRIu64 " I/Os\n", opcode, sticky ? "for good" : "once", n - 2);
	assert_true(n > 3);
	end(&f);
}

static void failing_writes(void **state)
{
	(void)state;
	sweep(TARN_DEV_WRITE, false);
	sweep(TARN_DEV_WRITE, true);
}

static void failing_flushes(void **state)
{
	(void)state;
	sweep(TARN_DEV_FLUSH, false);
	sweep(TARN_DEV_FLUSH, true);
}

static void failing_reads(void **state)
{
	(void)state;
	sweep(TARN_DEV_READ, false);
	sweep(TARN_DEV_READ, true);
}

/* After a failed flush of the log nothing is acknowledged until the store is opened again. */
static void a_failed_flush_is_final(void **state)
{
	struct fixture	  f;
	struct store_stat st;

	(void)state;
	begin(&f);
	fill(&f);
	sim_fail_nth(f.disk, TARN_DEV_FLUSH, 1, false);
	assert_error(put(&f, 1, 1), IO);
	assert_error(put(&f, 2, 1), EP_RO);
	assert_says("read-only");
	assert_error(store_checkpoint(f.store), EP_RO);
	store_stat(f.store, &st);
	assert_true(st.readonly && *st.why);
	assert_ok(get(&f, 3, 0));
	abandon(&f);
	sim_restore_power(f.disk, SIM_CUT_NONE);
	assert_ok(try_open(&f));
	assert_ok(get(&f, 1, 0));
	assert_ok(put(&f, 2, 1));
	assert_ok(store_check(f.store, NULL));
	abandon(&f);
	end(&f);
}

/* What was applied, and nobody has waited for, is lost with the store: its close says so. Found by the crash test, seed 2003794. */
static void a_failed_store_says_so_when_it_is_closed(void **state)
{
	struct store_mutation m = { .change = STORE_PUT, .tree = 5, .key = { "late", 4 }, .val = { "value", 5 } };
	struct fixture	      f;
	uint64_t	      lsn;

	(void)state;
	begin(&f);
	fill(&f);
	assert_ok(store_apply(f.store, &m, 1, 0, &lsn, NULL));
	sim_fail_nth(f.disk, TARN_DEV_FLUSH, 1, true);
	assert_int_not_equal(store_checkpoint(f.store), 0);
	assert_error(store_close(f.store), EP_RO);
	device_close(f.dev);
	end(&f);
}

/* A tree is dropped while its n-th page cannot be read, for all n: it is dropped or it is not, and no block is lost. A read that fails
 * once may be tried again; one that always fails is an error. */
static void sweep_drop(bool sticky)
{
	struct fixture f;
	uint64_t       n, injected = 1;

	begin(&f);
	fill(&f);
	close_and_keep(&f);
	for (n = 1; injected; n++) {
		struct store_mutation m = { .change = STORE_DROP, .tree = 5 };
		uint64_t	      lsn;
		int		      rc, done;

		restore_image(&f);
		assert_ok(try_open(&f));
		injected = sim_faults_injected(f.disk);
		sim_fail_nth(f.disk, TARN_DEV_READ, n, sticky);
		rc	 = store_apply(f.store, &m, 1, 0, &lsn, NULL);
		rc	 = rc ? rc : store_commit(f.store, lsn);
		done	 = rc ? rc : store_checkpoint(f.store); /* which gives back its pages */
		injected = sim_faults_injected(f.disk) - injected;
		assert_true(done == 0 || done == -TARN_E_IO);
		assert_true(sticky ? (injected > 0) == (done != 0) : done == 0 || injected);
		sim_fail_nth(f.disk, TARN_DEV_READ, 0, false);
		abandon(&f);
		sim_restore_power(f.disk, SIM_CUT_NONE);
		assert_ok(try_open(&f));
		for (unsigned k = 0; k < KEYS; k++)
			assert_int_equal(get(&f, k, 0), rc ? 0 : -TARN_E_NONEXIST);
		assert_ok(store_check(f.store, NULL));
		abandon(&f);
	}
	assert_true(n > 3);
	end(&f);
}

static void failing_reads_of_a_drop(void **state)
{
	(void)state;
	sweep_drop(false);
	sweep_drop(true);
}

static void lost_and_misdirected_writes(void **state)
{
	struct rng rng;
	unsigned   found = 0, trials = 100;

	(void)state;
	rng_seed(&rng, test_seed() + 2);
	for (unsigned i = 0; i < trials; i++) {
		struct sim_faults faults = { .lost_write = i % 2 ? 6 : 0, .misdirected_write = i % 2 ? 0 : 6 };
		struct fixture	  f;
		int		  rc;

		begin(&f);
		fill(&f);
		sim_set_faults(f.disk, &faults);
		rc = store_checkpoint(f.store); /* some of its writes go astray */
		sim_set_faults(f.disk, &(struct sim_faults){ 0 });
		abandon(&f);
		sim_restore_power(f.disk, SIM_CUT_ALL);
		if (!rc)
			rc = try_open(&f);
		if (rc) {
			assert_true(rc == -TARN_E_CSUM || rc == -TARN_E_DF_INVAL || rc == -TARN_E_IO);
			found++;
		} else {
			found += read_damaged(&f) > 0;
			abandon(&f);
		}
		end(&f);
	}
	printf("# %u of %u runs with writes astray were found out, the others were whole\n", found, trials);
	assert_true(found > trials / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_superblock_will_do),
		cmocka_unit_test(flipped_bits_are_found),
		cmocka_unit_test(swapped_blocks_are_found),
		cmocka_unit_test(rot_is_told_from_a_torn_tail),
		cmocka_unit_test(stale_groups_are_not_replayed),
		cmocka_unit_test(failing_writes),
		cmocka_unit_test(failing_flushes),
		cmocka_unit_test(failing_reads),
		cmocka_unit_test(failing_reads_of_a_drop),
		cmocka_unit_test(a_failed_flush_is_final),
		cmocka_unit_test(a_failed_store_says_so_when_it_is_closed),
		cmocka_unit_test(lost_and_misdirected_writes),
	};

	return cmocka_run_group_tests_name("store rot", tests, NULL, NULL);
}
