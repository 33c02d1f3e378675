/* SPDX-License-Identifier: Apache-2.0 */
/* test_bench: the benchmark's keys are what its adapters count on, and its figures what it says. */
#include "harness.h"

#include "../bench/histogram.h"
#include "../bench/keys.c"

#define RECORDS 20011u

static void test_keys_are_in_order(void **state)
{
	uint8_t last[KEY_LEN] = { 0 }, key[KEY_LEN], other[KEY_LEN];

	(void)state;
	for (uint64_t n = 0; n < RECORDS; n++) {
		keys_record(key, n, RECORDS);
		assert_true(memcmp(last, key, KEY_LEN) < 0);
		assert_int_equal(keys_place(key, RECORDS), n);
		keys_absent(other, n, RECORDS);
		assert_true(memcmp(key, other, 8) < 0);
		assert_int_equal(keys_place(other, RECORDS), n);
		memcpy(last, other, KEY_LEN);
	}
}

static void test_inserted_keys_are_new(void **state)
{
	uint8_t key[KEY_LEN], other[KEY_LEN];

	(void)state;
	for (uint64_t serial = 0; serial < RECORDS; serial++) {
		keys_inserted(key, serial, RECORDS);
		keys_record(other, keys_place(key, RECORDS), RECORDS);
		assert_true(memcmp(key, other, 8) > 0);
		keys_absent(other, keys_place(key, RECORDS), RECORDS);
		assert_true(memcmp(key, other, 8) > 0);
		keys_inserted(other, serial + 1, RECORDS);
		assert_true(memcmp(key, other, KEY_LEN) != 0);
	}
}

static void test_shuffle_names_each_once(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 1000, 1024, RECORDS };
	static bool	      seen[RECORDS];

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		memset(seen, 0, sizeof(seen));
		for (uint64_t i = 0; i < sizes[s]; i++) {
			uint64_t n = keys_shuffled(i, sizes[s]);

			assert_true(n < sizes[s] && !seen[n]);
			seen[n] = true;
		}
	}
}

/* With theta 0.99 and 1,000 ranks the first has 1 in 7.73 of the draws, the second about half of that. */
static void test_zipf_is_skewed_as_it_should_be(void **state)
{
	struct dice dice = { 1 };
	struct zipf zipf;
	unsigned    counts[1000] = { 0 };

	(void)state;
	zipf_init(&zipf, 1000);
	for (unsigned i = 0; i < 1000000; i++)
		counts[zipf_rank(&zipf, &dice)]++;
	assert_true(counts[0] > 127000 && counts[0] < 132000);
	assert_true(counts[1] > 63000 && counts[1] < 67500);
	assert_true(counts[999] > 20 && counts[999] < 500);
	assert_true(fabs(zeta_of(100000) - 12.778) < 0.01); /* the sum of all terms is 12.7783 */
}

static void test_values_are_recognised(void **state)
{
	struct dice dice = { 1 };
	uint8_t	    key[KEY_LEN], other[KEY_LEN], value[100];

	(void)state;
	values_init();
	keys_record(key, 7, RECORDS);
	keys_record(other, 8, RECORDS);
	value_fill(value, sizeof(value), key, &dice);
	assert_true(value_fits(value, sizeof(value), sizeof(value), key));
	assert_false(value_fits(value, sizeof(value), sizeof(value), other));
	assert_false(value_fits(value, 99, sizeof(value), key));
}

/* Each value falls into a bucket whose least value is within 1/64 below it. */
static void test_histogram_is_fine_enough(void **state)
{
	static struct histogram h;
	unsigned		last = 0;

	(void)state;
	for (uint64_t ns = 0; ns < UINT64_C(1) << 40; ns += 1 + ns / 100) {
		unsigned bucket = histogram_bucket(ns);
		uint64_t least	= histogram_value(bucket);

		assert_true(bucket >= last && bucket < HISTOGRAM_BUCKETS);
		assert_true(least <= ns && ns - least <= ns / 64);
		last = bucket;
	}
	for (uint64_t us = 1; us <= 1000; us++)
		histogram_add(&h, us * 1000);
	assert_true(fabs(histogram_quantile(&h, 0.5) - 500e3) < 9e3);
	assert_true(fabs(histogram_quantile(&h, 0.99) - 990e3) < 17e3);
	assert_int_equal(h.max, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_in_order),	cmocka_unit_test(test_inserted_keys_are_new),
		cmocka_unit_test(test_shuffle_names_each_once), cmocka_unit_test(test_zipf_is_skewed_as_it_should_be),
		cmocka_unit_test(test_values_are_recognised),	cmocka_unit_test(test_histogram_is_fine_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
