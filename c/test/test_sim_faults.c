/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_sim_faults.c: the simulated disk fails, loses and damages exactly what it is told to, and the same seed does it again. */
#include "sim_bench.h"

/* A seeded mixture of everything; returns the trace. */
static uint64_t random_run(uint64_t seed)
{
	const struct sim_faults faults = {
		.read_error = 9, .write_error = 9, .flush_error = 9, .lost_write = 9, .misdirected_write = 9, .torn_write = 9
	};
	struct bench b;
	struct rng   rng;
	uint64_t     hash;

	rng_seed(&rng, seed);
	start(&b, seed);
	sim_set_faults(b.disk, &faults);
	for (int i = 0; i < 300; i++) {
		uint64_t n = rng_below(&rng, SIZE / BLOCK);

		switch (rng_below(&rng, 8)) {
		case 0:
			device_flush(b.queue);
			break;
		case 1:
			device_discard(b.queue, n * BLOCK, BLOCK);
			break;
		case 2:
			cut(&b, SIM_CUT_RANDOM);
			break;
		case 3:
			get(&b, n);
			break;
		default:
			put(&b, n, 1 + rng_below(&rng, 5));
		}
	}
	hash = sim_trace_hash(b.disk);
	stop(&b);
	return hash;
}

static void test_same_seed_same_trace(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		uint64_t hash = random_run(seed + i);

		assert_int_equal(hash, random_run(seed + i));
		assert_int_not_equal(hash, random_run(seed + i + 1));
	}
}

/* The trace hears what came back, not only what was asked. */
static void test_trace_holds_results(void **state)
{
	uint64_t hashes[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct bench b;

		start(&b, 1);
		if (i == 1)
			sim_flip_bit(b.disk, BLOCK, 0);
		if (i == 2)
			sim_fail_nth(b.disk, TARN_DEV_READ, 1, false);
		get(&b, 1);
		hashes[i] = sim_trace_hash(b.disk);
		stop(&b);
	}
	assert_int_not_equal(hashes[0], hashes[1]);
	assert_int_not_equal(hashes[0], hashes[2]);
}

static void with_faults(struct bench *b, struct sim_faults faults)
{
	sim_set_faults(b->disk, &faults);
}

static void test_errors(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	with_faults(&b, (struct sim_faults){ .write_error = 1 });
	assert_error(put(&b, 1, 1), IO);
	with_faults(&b, (struct sim_faults){ .read_error = 1 });
	assert_error(get(&b, 1), IO);
	with_faults(&b, (struct sim_faults){ .flush_error = 1 });
	assert_error(device_flush(b.queue), IO);
	assert_int_equal(sim_faults_injected(b.disk), 3);
	with_faults(&b, (struct sim_faults){ 0 });
	assert_version(&b, 1, 0);
	assert_ok(device_flush(b.queue));
	assert_int_equal(sim_faults_injected(b.disk), 3);
	stop(&b);
}

static void test_error_rate(void **state)
{
	unsigned     errors = 0;
	struct bench b;

	(void)state;
	start(&b, 1);
	with_faults(&b, (struct sim_faults){ .write_error = 10 });
	for (int i = 0; i < 1000; i++)
		errors += put(&b, 1, 1) != 0;
	assert_in_range(errors, 60, 140);
	stop(&b);
}

static void test_sticky_error_stays(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	with_faults(&b, (struct sim_faults){ .write_error = 5, .sticky = true });
	while (!put(&b, 1, 1))
		continue;
	for (int i = 0; i < 50; i++)
		assert_error(put(&b, 1, 1), IO);
	assert_ok(get(&b, 1)); /* of that kind only */
	with_faults(&b, (struct sim_faults){ 0 });
	assert_ok(put(&b, 1, 1));
	stop(&b);
}

static void test_lost_write_leaves_the_old_data(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	assert_ok(put(&b, 1, 1));
	with_faults(&b, (struct sim_faults){ .lost_write = 1 });
	assert_ok(put(&b, 1, 2));
	assert_version(&b, 1, 1);
	stop(&b);
}

static void test_misdirected_write_lands_elsewhere(void **state)
{
	struct bench b;
	uint8_t	     bytes[BLOCK];
	unsigned     found = 0;

	(void)state;
	start(&b, 1);
	with_faults(&b, (struct sim_faults){ .misdirected_write = 1 });
	assert_ok(put(&b, 1, 7));
	with_faults(&b, (struct sim_faults){ 0 });
	assert_version(&b, 1, 0);
	block_bytes(bytes, 1, 7);
	for (uint64_t n = 0; n < SIZE / BLOCK; n++) {
		assert_ok(get(&b, n));
		found += !memcmp(b.buf, bytes, BLOCK);
	}
	assert_int_equal(found, 1);
	stop(&b);
}

static void test_torn_write_fails_and_leaves_a_part(void **state)
{
	unsigned     parts = 0, without_first = 0;
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		unsigned new = 0;

		start(&b, seed);
		with_faults(&b, (struct sim_faults){ .torn_write = 1 });
		assert_error(put(&b, 1, 1), IO);
		assert_ok(get(&b, 1));
		for (unsigned i = 0; i < SECTORS; i++) {
			int v = sector_version(&b, 1, i, 1);

			assert_true(v >= 0);
			new += (unsigned)v;
		}
		assert_true(new < SECTORS);
		parts |= 1u << new;
		without_first += new &&sector_version(&b, 1, 0, 1) == 0;
		stop(&b);
	}
	assert_int_equal(parts, 0xff); /* 0 to 7 sectors */
	assert_true(without_first > 10);
}

/* Half of the failed flushes lose the cache, and what is lost is lost for reads, too. */
static void test_failed_flush_may_lose_the_cache(void **state)
{
	unsigned     lost = 0;
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		int seen;

		start(&b, seed);
		assert_ok(put(&b, 1, 1));
		with_faults(&b, (struct sim_faults){ .flush_error = 1 });
		assert_error(device_flush(b.queue), IO);
		with_faults(&b, (struct sim_faults){ 0 });
		seen = version(&b, 1, 1);
		lost += seen != 1;
		assert_ok(device_flush(b.queue));
		cut(&b, SIM_CUT_NONE);
		assert_version(&b, 1, seen); /* no later flush brings it back, and none takes it */
		stop(&b);
	}
	assert_in_range(lost, 30, 70);
}

/* A flush that loses the cache does not take what completed after it was submitted. */
static void test_failed_flush_leaves_later_writes(void **state)
{
	tarn_dev_io  write, flush = { .opcode = TARN_DEV_FLUSH }, *done[2];
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		start(&b, seed);
		assert_ok(put(&b, 1, 1));
		block_bytes(b.buf, 1, 2);
		write = write_io(b.buf, 1);
		with_faults(&b, (struct sim_faults){ .flush_error = 1 });
		device_submit(b.queue, &flush);
		device_submit(b.queue, &write);
		assert_int_equal(device_reap(b.queue, 2, 2, done), 2);
		assert_int_equal(flush.rc, -TARN_E_IO);
		assert_int_equal(write.rc, 0);
		assert_version(&b, 1, 2);
		stop(&b);
	}
}

static void test_fail_nth(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	sim_fail_nth(b.disk, TARN_DEV_WRITE, 3, false);
	assert_ok(put(&b, 1, 1));
	assert_ok(get(&b, 1)); /* other opcodes do not count */
	assert_ok(put(&b, 2, 1));
	assert_error(put(&b, 3, 1), IO);
	assert_version(&b, 3, 0);
	assert_ok(put(&b, 3, 1));
	sim_fail_nth(b.disk, TARN_DEV_FLUSH, 1, true);
	for (int i = 0; i < 5; i++)
		assert_error(device_flush(b.queue), IO);
	sim_fail_nth(b.disk, TARN_DEV_FLUSH, 0, false);
	assert_ok(device_flush(b.queue)); /* covers what was written before the failures */
	cut(&b, SIM_CUT_NONE);
	assert_version(&b, 3, 1);
	stop(&b);
}

static void test_flip_peek_poke(void **state)
{
	uint8_t	     bytes[BLOCK], poked[BLOCK];
	struct bench b;

	(void)state;
	start(&b, 1);
	assert_ok(put(&b, 1, 1));
	assert_ok(device_flush(b.queue));
	block_bytes(bytes, 1, 1);
	sim_flip_bit(b.disk, BLOCK + 77, 3);
	assert_ok(get(&b, 1));
	assert_int_equal(b.buf[77], bytes[77] ^ 8);
	b.buf[77] ^= 8;
	assert_memory_equal(b.buf, bytes, BLOCK);

	assert_ok(put(&b, 1, 2)); /* a volatile write hides the rot below it, until it is lost */
	sim_flip_bit(b.disk, BLOCK + 77, 3);
	assert_version(&b, 1, 2);
	sim_peek(b.disk, BLOCK, b.buf, BLOCK);
	block_bytes(bytes, 1, 2);
	assert_memory_equal(b.buf, bytes, BLOCK);
	cut(&b, SIM_CUT_NONE);
	assert_version(&b, 1, 1);

	block_bytes(poked, 4, 5);
	sim_poke(b.disk, 4 * BLOCK, poked, BLOCK);
	cut(&b, SIM_CUT_NONE);
	assert_version(&b, 4, 5);
	stop(&b);
}

static void test_discard_leaves_zeroes_ones_or_old(void **state)
{
	unsigned     zeroes = 0, ones = 0, old = 0;
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		uint8_t bytes[BLOCK];

		start(&b, seed);
		assert_ok(put(&b, 1, 1));
		assert_ok(device_flush(b.queue));
		assert_ok(device_discard(b.queue, BLOCK, BLOCK));
		old += version(&b, 1, 1) == 1;
		zeroes += version(&b, 1, 1) == 0;
		memset(bytes, 0xff, BLOCK);
		ones += !memcmp(bytes, b.buf, BLOCK);
		cut(&b, SIM_CUT_NONE); /* a discard is as volatile as a write */
		assert_version(&b, 1, 1);
		stop(&b);
	}
	assert_int_equal(old + zeroes + ones, 60);
	assert_true(old > 8 && zeroes > 8 && ones > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_seed_same_trace),
		cmocka_unit_test(test_trace_holds_results),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_error_rate),
		cmocka_unit_test(test_sticky_error_stays),
		cmocka_unit_test(test_lost_write_leaves_the_old_data),
		cmocka_unit_test(test_misdirected_write_lands_elsewhere),
		cmocka_unit_test(test_torn_write_fails_and_leaves_a_part),
		cmocka_unit_test(test_failed_flush_may_lose_the_cache),
		cmocka_unit_test(test_failed_flush_leaves_later_writes),
		cmocka_unit_test(test_fail_nth),
		cmocka_unit_test(test_flip_peek_poke),
		cmocka_unit_test(test_discard_leaves_zeroes_ones_or_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
