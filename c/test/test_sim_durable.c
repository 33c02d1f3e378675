/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_sim_durable.c: a durable write of the simulated disk survives every power cut once it has completed, and nothing else
 * does because of it. */
#include "sim_bench.h"

static int put_durable(struct bench *b, uint64_t n, uint64_t v)
{
	block_bytes(b->buf, n, v);
	return device_write_durable(b->queue, n * BLOCK, b->buf, BLOCK);
}

static void test_survives_every_cut(void **state)
{
	struct bench b;

	(void)state;
	for (int policy = SIM_CUT_NONE; policy < SIM_CUT_POLICIES; policy++)
		for (uint64_t seed = 0; seed < 20; seed++) {
			start(&b, seed);
			assert_ok(put_durable(&b, 1, 1));
			assert_version(&b, 1, 1);
			cut(&b, (enum sim_cut)policy);
			assert_version(&b, 1, 1);
			stop(&b);
		}
}

static void test_makes_nothing_else_durable(void **state)
{
	struct bench b;

	(void)state;
	start(&b, 1);
	assert_ok(put(&b, 1, 1));
	assert_ok(put_durable(&b, 2, 1));
	assert_ok(put(&b, 3, 1));
	cut(&b, SIM_CUT_NONE);
	assert_version(&b, 1, 0);
	assert_version(&b, 2, 1);
	assert_version(&b, 3, 0);
	stop(&b);
}

/* An older volatile write of the same place never comes back over it: not at a cut, not by a flush, not for a reader. A newer one
 * may. */
static void test_order_at_one_place(void **state)
{
	struct bench b;

	(void)state;
	for (int policy = SIM_CUT_NONE; policy < SIM_CUT_POLICIES; policy++) {
		start(&b, (uint64_t)policy);
		assert_ok(put(&b, 1, 1));
		assert_ok(put_durable(&b, 1, 2));
		assert_version(&b, 1, 2);
		cut(&b, (enum sim_cut)policy);
		assert_version(&b, 1, 2);

		assert_ok(put(&b, 2, 1));
		assert_ok(put_durable(&b, 2, 2));
		assert_ok(device_flush(b.queue));
		cut(&b, SIM_CUT_NONE);
		assert_version(&b, 2, 2);

		assert_ok(put_durable(&b, 3, 1));
		assert_ok(put(&b, 3, 2));
		cut(&b, SIM_CUT_ALL);
		assert_version(&b, 3, 2);
		assert_ok(put(&b, 3, 3));
		cut(&b, SIM_CUT_NONE);
		assert_version(&b, 3, 2);
		stop(&b);
	}
}

/* Of an older volatile write that it overlaps in part, only the rest is still volatile. */
static void test_overlap_in_part(void **state)
{
	uint8_t	    *two = device_alloc(2 * BLOCK);
	struct bench b;

	(void)state;
	for (int keep = 0; keep <= 1; keep++) {
		start(&b, 1);
		block_bytes(two, 1, 1);
		block_bytes(two + BLOCK, 2, 1);
		assert_ok(device_write(b.queue, BLOCK, two, 2 * BLOCK));
		assert_ok(put_durable(&b, 2, 2));
		assert_version(&b, 1, 1);
		assert_version(&b, 2, 2);
		cut(&b, keep ? SIM_CUT_ALL : SIM_CUT_NONE);
		assert_version(&b, 1, keep);
		assert_version(&b, 2, 2);
		stop(&b);
	}
	device_free(two);
}

/* A discard that the write overlaps is one of the older writes, too. */
static void test_over_a_discard(void **state)
{
	struct bench b;
	uint8_t	     other[BLOCK], before[BLOCK];

	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		start(&b, seed);
		assert_ok(device_discard(b.queue, BLOCK, 2 * BLOCK));
		sim_peek(b.disk, BLOCK, before, BLOCK);
		assert_ok(put_durable(&b, 2, 1));
		assert_version(&b, 2, 1);
		sim_peek(b.disk, BLOCK, other, BLOCK);
		assert_memory_equal(other, before, BLOCK);
		cut(&b, SIM_CUT_RANDOM);
		assert_version(&b, 2, 1);
		stop(&b);
	}
}

/* Durable when completed, not when issued: in flight at the cut it is as any other. */
static void test_in_flight_it_is_volatile(void **state)
{
	tarn_dev_io  io, *done;
	struct bench b;

	(void)state;
	for (int keep = 0; keep <= 1; keep++) {
		start(&b, 1);
		block_bytes(b.buf, 1, 1);
		io	 = write_io(b.buf, 1);
		io.flags = TARN_DEV_IO_DURABLE;
		sim_set_cut_after(b.disk, 1);
		device_submit(b.queue, &io);
		assert_int_equal(device_reap(b.queue, 1, 1, &done), 1);
		assert_int_equal(io.rc, -TARN_E_IO);
		cut(&b, keep ? SIM_CUT_ALL : SIM_CUT_NONE);
		assert_version(&b, 1, keep);
		stop(&b);
	}
}

/* A flush that was submitted before a durable write completed still covers what it covered, and no more. */
static void test_flushes_count_on(void **state)
{
	tarn_dev_io  write, flush, *done[2];
	uint8_t	    *bytes = device_alloc(BLOCK);
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		start(&b, seed);
		assert_ok(put(&b, 1, 1));
		assert_ok(put(&b, 2, 1));
		block_bytes(bytes, 3, 1);
		write	    = write_io(bytes, 3);
		write.flags = TARN_DEV_IO_DURABLE;
		flush	    = (tarn_dev_io){ .opcode = TARN_DEV_FLUSH };
		device_submit(b.queue, &write);
		device_submit(b.queue, &flush);
		assert_int_equal(device_reap(b.queue, 1, 1, done), 1);
		assert_ok(put(&b, 4, 1));
		assert_int_equal(device_reap(b.queue, 1, 1, done), 1);
		cut(&b, SIM_CUT_NONE);
		for (uint64_t n = 1; n <= 3; n++)
			assert_version(&b, n, 1);
		assert_version(&b, 4, 0);
		stop(&b);
	}
	device_free(bytes);
}

static void with_faults(struct bench *b, struct sim_faults faults)
{
	sim_set_faults(b->disk, &faults);
}

/* What did not complete well is not durable; what was lost is not there. */
static void test_faults(void **state)
{
	struct bench b;

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		start(&b, seed);
		with_faults(&b, (struct sim_faults){ .torn_write = 1 });
		assert_error(put_durable(&b, 1, 1), IO);
		with_faults(&b, (struct sim_faults){ .write_error = 1 });
		assert_error(put_durable(&b, 2, 1), IO);
		with_faults(&b, (struct sim_faults){ .lost_write = 1 });
		assert_ok(put_durable(&b, 3, 1));
		with_faults(&b, (struct sim_faults){ 0 });
		cut(&b, SIM_CUT_NONE);
		for (uint64_t n = 1; n <= 3; n++)
			assert_version(&b, n, 0);
		stop(&b);
	}
}

static uint64_t trace_of(bool durable)
{
	struct bench b;
	uint64_t     hash;

	start(&b, 1);
	assert_ok(durable ? put_durable(&b, 1, 1) : put(&b, 1, 1));
	hash = sim_trace_hash(b.disk);
	stop(&b);
	return hash;
}

static void test_the_trace_tells(void **state)
{
	(void)state;
	assert_int_equal(trace_of(true), trace_of(true));
	assert_int_not_equal(trace_of(true), trace_of(false));
}

/* Durable and other writes, flushes and cuts against a model: a sector is never older than the last durable version of its block. */
static void test_against_a_model(void **state)
{
	enum { BLOCKS = 8, STEPS = 600 };
	int	     newest[BLOCKS] = { 0 }, durable[BLOCKS] = { 0 };
	struct rng   rng;
	struct bench b;

	(void)state;
	rng_seed(&rng, test_seed());
	start(&b, test_seed());
	for (int step = 0; step < STEPS; step++) {
		uint64_t n = rng_below(&rng, BLOCKS), what = rng_below(&rng, 20);

		if (what == 0) {
			cut(&b, SIM_CUT_SECTORS);
			for (n = 0; n < BLOCKS; n++) {
				assert_ok(get(&b, n));
				for (unsigned i = 0; i < SECTORS; i++)
					assert_in_range(sector_version(&b, n, i, newest[n]), durable[n], newest[n]);
				durable[n] = ++newest[n];
				assert_ok(put_durable(&b, n, (uint64_t)newest[n]));
			}
		} else if (what == 1) {
			assert_ok(device_flush(b.queue));
			memcpy(durable, newest, sizeof(durable));
		} else if (what < 8) {
			durable[n] = ++newest[n];
			assert_ok(put_durable(&b, n, (uint64_t)newest[n]));
		} else {
			assert_int_equal(version(&b, n, newest[n]), newest[n]);
			assert_ok(put(&b, n, (uint64_t)++newest[n]));
		}
	}
	stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_survives_every_cut), cmocka_unit_test(test_makes_nothing_else_durable),
		cmocka_unit_test(test_order_at_one_place), cmocka_unit_test(test_overlap_in_part),
		cmocka_unit_test(test_over_a_discard),	   cmocka_unit_test(test_in_flight_it_is_volatile),
		cmocka_unit_test(test_flushes_count_on),   cmocka_unit_test(test_faults),
		cmocka_unit_test(test_the_trace_tells),	   cmocka_unit_test(test_against_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
