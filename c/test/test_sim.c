/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_sim.c: a power cut of the simulated disk leaves exactly what its policy says. */
#include "sim_bench.h"

static void test_reads_see_volatile_writes(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	assert_version(&b, 3, 0);
	assert_ok(put(&b, 3, 1));
	assert_version(&b, 3, 1);
	assert_ok(put(&b, 3, 2));
	assert_version(&b, 3, 2);
	stop(&b);
}

static void test_cut_none_loses_what_was_not_flushed(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	assert_ok(put(&b, 1, 1));
	assert_ok(device_flush(b.queue));
	assert_ok(put(&b, 1, 2));
	assert_ok(put(&b, 2, 1));
	cut(&b, SIM_CUT_NONE);
	assert_version(&b, 1, 1);
	assert_version(&b, 2, 0);
	stop(&b);
}

static void test_cut_all_keeps_it(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	assert_ok(put(&b, 1, 1));
	assert_ok(put(&b, 1, 2));
	assert_ok(put(&b, 2, 1));
	cut(&b, SIM_CUT_ALL);
	assert_version(&b, 1, 2);
	assert_version(&b, 2, 1);
	cut(&b, SIM_CUT_NONE); /* and by then it is durable */
	assert_version(&b, 1, 2);
	stop(&b);
}

/* Over many seeds: whole, lost, and torn at each of the sectors; never anything but old and new sectors. */
static void test_cut_sectors_tears(void **state)
{
	unsigned     kept[SECTORS] = { 0 }, torn = 0;
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		unsigned new = 0;

		start(&b, seed);
		assert_ok(put(&b, 5, 1));
		cut(&b, SIM_CUT_SECTORS);
		assert_ok(get(&b, 5));
		for (unsigned i = 0; i < SECTORS; i++) {
			int v = sector_version(&b, 5, i, 1);

			assert_true(v >= 0);
			kept[i] += (unsigned)v;
			new += (unsigned)v;
		}
		torn += new > 0 && new < SECTORS;
		stop(&b);
	}
	assert_true(torn > 150);
	for (unsigned i = 0; i < SECTORS; i++)
		assert_in_range(kept[i], 60, 140);
}

/* Eight blocks written one after the other; after the cut, which survived? A bit each; a torn one also in *torn. */
static unsigned survivors(struct bench *b, unsigned *torn)
{
	unsigned mask = 0;

	*torn = 0;
	for (uint64_t n = 0; n < 8; n++) {
		int v = version(b, n, 1);

		mask |= (unsigned)(v == 1) << n;
		*torn |= (unsigned)(v == -1) << n;
	}
	return mask;
}

static unsigned write_eight_and_cut(uint64_t seed, enum sim_cut policy, unsigned *torn)
{
	struct bench b;
	unsigned     mask;

	start(&b, seed);
	for (uint64_t n = 0; n < 8; n++)
		assert_ok(put(&b, n, 1));
	cut(&b, policy);
	mask = survivors(&b, torn);
	stop(&b);
	return mask;
}

static void test_cut_prefixes(void **state)
{
	unsigned lengths = 0, torn_seen = 0, torn;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		unsigned mask = write_eight_and_cut(seed, SIM_CUT_FINISH_PREFIX, &torn);

		assert_int_equal(mask & (mask + 1), 0); /* ones, then zeroes */
		assert_int_equal(torn, 0);
		lengths |= mask + 1;

		mask = write_eight_and_cut(seed, SIM_CUT_ISSUE_PREFIX, &torn);
		assert_int_equal(mask & (mask + 1), 0);
		assert_true(torn == 0 || torn == mask + 1); /* only the last of them */
		torn_seen |= torn;
	}
	assert_int_equal(lengths, 0x1ff); /* every length from 0 to 8 */
	assert_int_equal(torn_seen, 0xff);
}

static void test_cut_all_but_one(void **state)
{
	unsigned missing = 0, torn;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		unsigned gone = 0xff & ~write_eight_and_cut(seed, SIM_CUT_ALL_BUT_ONE, &torn);

		assert_int_equal(torn, 0);
		assert_true(gone && !(gone & (gone - 1)));
		missing |= gone;
	}
	assert_int_equal(missing, 0xff);
}

static void test_cut_newest_and_oldest_of_overlapping(void **state)
{
	struct bench b;

	(void)state;
	for (int newest = 0; newest <= 1; newest++) {
		start(&b, 1);
		assert_ok(put(&b, 1, 1));
		assert_ok(put(&b, 1, 2));
		assert_ok(put(&b, 1, 3));
		assert_ok(put(&b, 2, 1));
		cut(&b, newest ? SIM_CUT_NEWEST : SIM_CUT_OLDEST);
		assert_version(&b, 1, newest ? 3 : 1);
		assert_version(&b, 2, 1);
		stop(&b);
	}
}

static void test_cut_random_draws_every_kind(void **state)
{
	unsigned none = 0, all = 0, torn_any = 0, torn;

	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		unsigned mask = write_eight_and_cut(seed, SIM_CUT_RANDOM, &torn);

		none += !mask && !torn;
		all += mask == 0xff;
		torn_any += (torn & (torn - 1)) != 0;
	}
	assert_true(none > 10 && all > 60 && torn_any > 10);
}

/* The flush is submitted while the second write is in flight, and completes after it: it covers the first only. */
static void test_flush_covers_completed_writes_only(void **state)
{
	tarn_dev_io  write, flush = { .opcode = TARN_DEV_FLUSH }, *done[2];
	unsigned     after = 0;
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		start(&b, seed);
		assert_ok(put(&b, 1, 1));
		block_bytes(b.buf, 2, 1);
		write = write_io(b.buf, 2);
		device_submit(b.queue, &write);
		device_submit(b.queue, &flush);
		assert_int_equal(device_reap(b.queue, 2, 2, done), 2);
		assert_int_equal(write.rc, 0);
		assert_int_equal(flush.rc, 0);
		after += done[1] == &flush;
		cut(&b, SIM_CUT_NONE);
		assert_version(&b, 1, 1);
		assert_version(&b, 2, 0);
		stop(&b);
	}
	assert_in_range(after, 10, 40);
}

/* Completed in another order than issued, a cut by issue keeps the first issued ones, one by completion does not. */
static void test_prefix_is_by_issue_or_by_completion(void **state)
{
	tarn_dev_io  ios[8], *done[8];
	uint8_t	    *bufs     = device_alloc(8 * BLOCK);
	unsigned     holes[2] = { 0, 0 }, torn;
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		bool	 by_issue = seed & 1;
		unsigned mask;

		start(&b, seed);
		for (uint64_t n = 0; n < 8; n++) {
			block_bytes(bufs + n * BLOCK, n, 1);
			ios[n] = write_io(bufs + n * BLOCK, n);
			device_submit(b.queue, &ios[n]);
		}
		assert_int_equal(device_reap(b.queue, 8, 8, done), 8);
		cut(&b, by_issue ? SIM_CUT_ISSUE_PREFIX : SIM_CUT_FINISH_PREFIX);
		mask = survivors(&b, &torn);
		holes[by_issue] += (mask & (mask + 1)) != 0;
		for (unsigned i = 0; !by_issue && i < 8; i++) /* in the order of completion: ones, then zeroes */
			assert_int_equal(mask >> (done[i] - ios) & 1, i < (unsigned)__builtin_popcount(mask));
		stop(&b);
	}
	assert_int_equal(holes[1], 0);
	assert_true(holes[0] > 10);
	device_free(bufs);
}

/* What does not fit the cache goes to the medium unasked, the oldest first. */
static void test_cache_is_finite(void **state)
{
	enum { WRITES = 300 };
	uint8_t	    *image = device_alloc(SIZE);
	struct bench b;

	(void)state;
	start(&b, 1);
	for (unsigned i = 1; i <= WRITES; i++) {
		memset(image, (int)(i % 256), SIZE);
		put64(image, i);
		assert_ok(device_write(b.queue, 0, image, SIZE));
	}
	cut(&b, SIM_CUT_NONE);
	assert_ok(device_read(b.queue, 0, image, SIZE));
	assert_in_range(get64(image), 1, WRITES - 1);
	assert_int_equal(image[SIZE - 1], get64(image) % 256);
	stop(&b);
	device_free(image);
}

static void test_restore_forgets_a_cut_to_come(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	sim_set_cut_after(b.disk, 10);
	cut(&b, SIM_CUT_ALL);
	for (int i = 0; i < 20; i++)
		assert_ok(put(&b, 1, 1));
	stop(&b);
}

static void test_cut_takes_effect_at_the_nth_io(void **state)
{
	struct bench b;
	uint64_t     before;

	(void)state;
	start(&b, 1);
	before = sim_io_count(b.disk);
	sim_set_cut_after(b.disk, 3);
	assert_ok(put(&b, 1, 1));
	assert_ok(device_flush(b.queue));
	assert_false(sim_is_cut(b.disk));
	assert_error(put(&b, 2, 1), IO);
	assert_says("power");
	assert_true(sim_is_cut(b.disk));
	assert_error(get(&b, 1), IO);
	assert_error(device_flush(b.queue), IO);
	assert_int_equal(sim_io_count(b.disk) - before, 5);
	cut(&b, SIM_CUT_NONE);
	assert_false(sim_is_cut(b.disk));
	assert_version(&b, 1, 1);
	assert_version(&b, 2, 0);
	stop(&b);
}

/* What was in flight at the cut completes with IO, and may be on the disk all the same: whole, torn, or not at all. */
static void test_writes_in_flight_may_survive_a_cut(void **state)
{
	static const enum sim_cut policies[] = { SIM_CUT_ALL, SIM_CUT_NONE, SIM_CUT_SECTORS };
	tarn_dev_io		  ios[4], *done[4];
	uint8_t			 *bufs = device_alloc(4 * BLOCK);
	struct bench		  b;

	(void)state;
	for (size_t p = 0; p < ARRAY_LEN(policies); p++) {
		start(&b, 11);
		sim_set_cut_after(b.disk, 4);
		for (uint64_t n = 0; n < 4; n++) {
			block_bytes(bufs + n * BLOCK, n, 1);
			ios[n] = write_io(bufs + n * BLOCK, n);
			device_submit(b.queue, &ios[n]);
		}
		assert_int_equal(device_reap(b.queue, 4, 4, done), 4);
		for (int n = 0; n < 4; n++)
			assert_int_equal(ios[n].rc, -TARN_E_IO);
		cut(&b, policies[p]);
		for (uint64_t n = 0; n < 4; n++)
			assert_int_equal(version(&b, n, 1), policies[p] == SIM_CUT_ALL	  ? 1
							    : policies[p] == SIM_CUT_NONE ? 0
											  : -1);
		stop(&b);
	}
	device_free(bufs);
}

static void test_completions_come_in_any_order(void **state)
{
	tarn_dev_io  ios[8], *done[8];
	uint8_t	    *bufs   = device_alloc(8 * BLOCK);
	unsigned     firsts = 0;
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		start(&b, seed);
		for (uint64_t n = 0; n < 8; n++) {
			ios[n]	   = write_io(bufs + n * BLOCK, n);
			ios[n].tag = (uintptr_t)&ios[n];
			device_submit(b.queue, &ios[n]);
		}
		assert_int_equal(device_reap(b.queue, 8, 8, done), 8);
		firsts |= 1u << (done[0] - ios);
		stop(&b);
	}
	assert_int_equal(firsts, 0xff);
	device_free(bufs);
}

/* The disk against a plain model: reads while volatile, and each sector after a cut is one of the versions written since the last
 * flush, or the one before it. */
static void test_against_a_model(void **state)
{
	enum { BLOCKS = 16, STEPS = 400 };
	struct rng   rng;
	struct bench b;
	int	     newest[BLOCKS] = { 0 }, durable[BLOCKS] = { 0 };

	(void)state;
	rng_seed(&rng, test_seed());
	start(&b, test_seed());
	for (int step = 0; step < STEPS; step++) {
		uint64_t n = rng_below(&rng, BLOCKS);

		if (rng_below(&rng, 20) == 0) {
			cut(&b, SIM_CUT_SECTORS);
			for (n = 0; n < BLOCKS; n++) {
				assert_ok(get(&b, n));
				for (unsigned i = 0; i < SECTORS; i++)
					assert_in_range(sector_version(&b, n, i, newest[n]), durable[n], newest[n]);
				newest[n]++;
				assert_ok(put(&b, n, (uint64_t)newest[n]));
			}
		} else if (rng_below(&rng, 10) == 0) {
			assert_ok(device_flush(b.queue));
			memcpy(durable, newest, sizeof(durable));
		} else {
			assert_int_equal(version(&b, n, newest[n]), newest[n]);
			assert_ok(put(&b, n, (uint64_t)++newest[n]));
		}
	}
	stop(&b);
}

static void test_bad_sizes(void **state)
{
	struct sim_disk *disk;

	(void)state;
	assert_error(sim_disk_create(0, 1, &disk), INVAL);
	assert_error(sim_disk_create(1000, 1, &disk), INVAL);
	assert_says("512");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_see_volatile_writes),
		cmocka_unit_test(test_cut_none_loses_what_was_not_flushed),
		cmocka_unit_test(test_cut_all_keeps_it),
		cmocka_unit_test(test_cut_sectors_tears),
		cmocka_unit_test(test_cut_prefixes),
		cmocka_unit_test(test_cut_all_but_one),
		cmocka_unit_test(test_cut_newest_and_oldest_of_overlapping),
		cmocka_unit_test(test_cut_random_draws_every_kind),
		cmocka_unit_test(test_flush_covers_completed_writes_only),
		cmocka_unit_test(test_prefix_is_by_issue_or_by_completion),
		cmocka_unit_test(test_cache_is_finite),
		cmocka_unit_test(test_restore_forgets_a_cut_to_come),
		cmocka_unit_test(test_cut_takes_effect_at_the_nth_io),
		cmocka_unit_test(test_writes_in_flight_may_survive_a_cut),
		cmocka_unit_test(test_completions_come_in_any_order),
		cmocka_unit_test(test_against_a_model),
		cmocka_unit_test(test_bad_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
