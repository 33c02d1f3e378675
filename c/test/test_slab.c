/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_slab.c: pieces of memory of many sizes keep what is in them, are used again, and go back when they are given back. */
#include "harness.h"

#include "../src/store/slab.h"

#define PIECES 4000u
#define STEPS  200000u
#define CHUNK  (64u << 10)

struct piece {
	uint32_t name; /* 0: none */
	uint32_t len;
	uint64_t fill;
};

static void check(const struct slabs *sl, const struct piece *p)
{
	static uint8_t expected[CHUNK];

	test_fill(expected, p->len, p->fill);
	assert_memory_equal(slab_at(sl, p->name), expected, p->len);
}

static void give(struct slabs *sl, struct piece *p, uint64_t *used)
{
	check(sl, p);
	*used -= slab_room(p->len);
	slab_give(sl, p->name);
	p->name = 0;
}

static void take(struct slabs *sl, struct piece *p, uint32_t len, uint64_t fill, uint64_t *used)
{
	assert_true(slab_reserve(sl, len, 1));
	assert_true(slab_fits(sl, len, 1));
	*p = (struct piece){ slab_take(sl, len), len, fill };
	assert_int_not_equal(p->name, 0);
	assert_true(slab_room(len) >= len);
	assert_true(slab_room(len) - len < 8 || slab_room(len) - len <= len / 8);
	test_fill(slab_at(sl, p->name), len, fill);
	*used += slab_room(len);
}

static void keeps_what_is_in_it(void **state)
{
	static struct piece pieces[PIECES];
	struct slabs	    sl;
	uint64_t	    r = test_seed(), used = 0;

	(void)state;
	slabs_init(&sl, CHUNK);
	for (uint32_t i = 0; i < STEPS; i++) {
		struct piece *p;

		r = r * UINT64_C(6364136223846793005) + 1442695040888963407;
		p = &pieces[(r >> 33) % PIECES];
		if (p->name)
			give(&sl, p, &used);
		else
			take(&sl, p, 1 + (uint32_t)(r >> 20) % (r >> 60 ? 400 : 30000), r, &used);
		assert_int_equal(sl.used, used);
		assert_true(sl.bytes >= used);
	}
	for (uint32_t i = 0; i < PIECES; i++)
		if (pieces[i].name)
			give(&sl, &pieces[i], &used);
	assert_int_equal(sl.used, 0);
	assert_int_equal(sl.bytes, 0);
	slabs_fini(&sl);
}

/* As much is taken as is given back, in another order: no more memory is needed. */
static void is_used_again(void **state)
{
	static uint32_t names[PIECES];
	struct slabs	sl;
	uint64_t	r = test_seed(), bytes;

	(void)state;
	slabs_init(&sl, CHUNK);
	for (uint32_t i = 0; i < PIECES; i++) {
		assert_true(slab_reserve(&sl, 150, 1));
		names[i] = slab_take(&sl, 150);
	}
	bytes = sl.bytes;
	for (uint32_t i = 0; i < STEPS; i++) {
		uint32_t k;

		r = r * UINT64_C(6364136223846793005) + 1442695040888963407;
		k = (uint32_t)(r >> 33) % PIECES;
		slab_give(&sl, names[k]);
		assert_true(slab_reserve(&sl, 150, 1));
		names[k] = slab_take(&sl, 150);
		assert_true(sl.bytes <= bytes);
	}
	slabs_fini(&sl);
}

static void refuses_what_is_too_large(void **state)
{
	struct slabs sl;

	(void)state;
	slabs_init(&sl, CHUNK);
	assert_false(slab_reserve(&sl, CHUNK + 1, 1));
	assert_false(slab_reserve(&sl, SLAB_MOST + 1, 1));
	assert_true(slab_reserve(&sl, CHUNK, 3));
	slabs_fini(&sl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_is_in_it),
		cmocka_unit_test(is_used_again),
		cmocka_unit_test(refuses_what_is_too_large),
	};

	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
