/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_batch.c: who lists keys while batches change them sees each batch whole, or nothing of it.
 *
 * Each batch gives all keys the same new value, in an order of its own, so at every moment of it some have the old one and some the new. A
 * listing is one view: the values in it are alike, and never older than what the same thread has seen before. Many end at the key that the next
 * batch begins with: when it begins meanwhile, the first keys are still old and the last is new. */
#include "api_scratch.h"

#include <stdatomic.h>

#define KEYS	2000u
#define LISTED	128u
#define READERS 2u

struct shared {
	tarn_kv		*kv;
	_Atomic bool	 stop;
	_Atomic unsigned failures;
	_Atomic unsigned first; /* the key that the next batch begins with */
	_Atomic uint64_t listings;
};
struct reader {
	struct shared *shared;
	pthread_t      thread;
	struct rng     rng;
	uint64_t       last;
};

static tarn_buf key_of(unsigned n, uint8_t key[8])
{
	put64be(key, n);
	return (tarn_buf){ key, 8 };
}

static int apply_everywhere(struct shared *sh, struct rng *rng, const uint64_t *value)
{
	static tarn_mutation muts[KEYS];
	static uint8_t	     keys[KEYS][8];
	unsigned	     first = (unsigned)rng_below(rng, KEYS);

	sh->first = first;
	for (unsigned i = 0; i < KEYS; i++) {
		unsigned other = i ? 1 + (unsigned)rng_below(rng, i) : 0;

		muts[i]	    = muts[other];
		muts[other] = (tarn_mutation){ .key = key_of((i + first) % KEYS, keys[i]), .val = { value, sizeof(*value) } };
	}
	return tarn_kv_apply(sh->kv, muts, KEYS, NULL, NULL);
}

static void report(struct reader *r, uint64_t key, uint64_t value, uint64_t other)
{
	if (r->shared->failures++ < 10)
		print_error("key %" PRIu64 " is of batch %" PRIu64 " where another is of %" PRIu64 "\n", key, value, other);
}

static void compare(struct reader *r, const uint8_t *at, uint32_t count)
{
	uint64_t first = 0;

	for (uint32_t i = 0; i < count; i++, at += sizeof(tarn_entry) + 16) {
		uint64_t value = get64(at + sizeof(tarn_entry) + 8);

		first = i ? first : value;
		if (value != first || value < r->last)
			report(r, get64be(at + sizeof(tarn_entry)), value, MAX(first, r->last));
	}
	r->last = MAX(r->last, first);
}

/* LISTED keys, of which the last is the one that the next batch begins with; or any. */
static void choose(struct reader *r, tarn_range *range, uint8_t key[8])
{
	unsigned first = r->shared->first, any = (unsigned)rng_below(&r->rng, KEYS - LISTED);

	if (rng_below(&r->rng, 2)) {
		range->flags = TARN_RANGE_REVERSE;
		range->end   = key_of(rng_below(&r->rng, 4) ? first + LISTED : LISTED + any, key);
	} else {
		range->start = key_of(rng_below(&r->rng, 4) && first >= LISTED ? first - LISTED + 1 : any, key);
	}
}

static void *reader(void *arg)
{
	struct reader *r = arg;
	uint8_t	       buf[LISTED * (sizeof(tarn_entry) + 16)] __attribute__((aligned(8)));

	while (!r->shared->stop) {
		uint8_t	     key[8];
		tarn_range   range = { .flags = 0 };
		tarn_listing out;

		choose(r, &range, key);
		if (tarn_kv_list(r->shared->kv, &range, LISTED, buf, sizeof(buf), &out, NULL))
			r->shared->failures++;
		else
			compare(r, buf, out.count);
		r->shared->listings++;
	}
	return NULL;
}

static void test_batches_are_seen_whole(void **state)
{
	const tarn_prop relaxed		 = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_RELAXED };
	struct scratch *s		 = *state;
	struct shared	sh		 = { .kv = s->kv };
	struct reader	readers[READERS] = { 0 };
	uint64_t	rounds = test_number("ROUNDS", 400), value = 1;
	struct rng	rng;

	assert_ok(tarn_cont_set_props(s->cont, &relaxed, 1, NULL)); /* what is seen, not what lasts */
	rng_seed(&rng, test_seed());
	assert_ok(apply_everywhere(&sh, &rng, &value));
	for (unsigned i = 0; i < READERS; i++) {
		readers[i].shared = &sh;
		rng_seed(&readers[i].rng, test_seed() + 1 + i);
		assert_int_equal(pthread_create(&readers[i].thread, NULL, reader, &readers[i]), 0);
	}
	while (value < rounds && !sh.failures) {
		value++;
		assert_ok(apply_everywhere(&sh, &rng, &value));
	}
	sh.stop = true;
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	printf("# %" PRIu64 " batches, %" PRIu64 " listings\n", value, sh.listings);
	assert_int_equal(sh.failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { scratch_test(test_batches_are_seen_whole) };

	return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
