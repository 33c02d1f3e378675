/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_node_runs.c: searching pages whose keys all begin with the same bytes, as those of one object do in a page without fences.
 *
 * Each search is compared with a look at all keys in order. Slots have the same head then, and what tells keys apart may be anywhere behind it, or be
 * that one of them ends. */
#include "node_pages.h"

#define CAP   (64u * 1024)
#define KEYS  400u
#define ROOM  64u
#define PAGES 200u

struct keys {
	uint8_t	 bytes[KEYS][ROOM];
	tarn_buf all[KEYS]; /* in order, no two the same */
	uint32_t n;
};

/* `same` bytes that all keys share; then few values or many, up to `more` of them, also none. */
static tarn_buf some_key(struct rng *rng, uint8_t *to, uint32_t same, uint32_t more, uint32_t values)
{
	uint32_t len = same + (uint32_t)rng_below(rng, more + 1);

	for (uint32_t i = 0; i < len; i++)
		to[i] = i < same ? (uint8_t)(i * 37) : (uint8_t)rng_below(rng, values);
	if (same && rng_below(rng, 16) == 0)
		to[rng_below(rng, same)] ^= 1; /* one that leaves the others early */
	return (tarn_buf){ to, MAX(len, 1) };
}

static int order(const void *a, const void *b)
{
	return key_compare(*(const tarn_buf *)a, *(const tarn_buf *)b);
}

static void make_keys(struct rng *rng, struct keys *k, uint32_t same, uint32_t more, uint32_t values)
{
	uint32_t n = 1 + (uint32_t)rng_below(rng, KEYS), kept = 0;

	memset(k->bytes, 0, sizeof(k->bytes));
	for (uint32_t i = 0; i < n; i++)
		k->all[i] = some_key(rng, k->bytes[i], same, more, values);
	qsort(k->all, n, sizeof(k->all[0]), order);
	for (uint32_t i = 0; i < n; i++)
		if (!kept || key_compare(k->all[kept - 1], k->all[i]))
			k->all[kept++] = k->all[i];
	k->n = kept;
}

static void make_page(uint8_t *page, unsigned level, const struct keys *k)
{
	struct node_child child = { { .addr = 7, .len = BLOCK }, 1 };
	struct leaf_value value = { (const uint8_t *)"value", 5, false, 1 };

	node_init(page, CAP, level, (tarn_buf){ NULL, 0 }, (tarn_buf){ NULL, 0 }, false);
	memcpy(page + NODE_POOL, POOL, 8);
	if (level)
		assert_true(node_put_child(page, CAP, 0, (tarn_buf){ NULL, 0 }, &child));
	for (uint32_t i = 0; i < k->n; i++)
		assert_true(level ? node_put_child(page, CAP, i + 1, k->all[i], &child)
				  : node_put_value(page, CAP, i, false, k->all[i], &value));
	assert_sound(page, CAP);
}

/* By looking at all of them. */
static uint32_t lower(const struct keys *k, tarn_buf key, bool *found)
{
	uint32_t i = 0;

	while (i < k->n && key_compare(k->all[i], key) < 0)
		i++;
	*found = i < k->n && !key_compare(k->all[i], key);
	return i;
}

static void ask(const uint8_t *leaf, const uint8_t *inner, const struct keys *k, tarn_buf key)
{
	bool	 found, is_there;
	uint32_t at = lower(k, key, &is_there);

	assert_int_equal(node_lower(leaf, CAP, key, &found), at);
	assert_int_equal(found, is_there);
	assert_int_equal(node_lower_near(leaf, CAP, key, node_near(leaf, CAP, key), &found), at);
	assert_int_equal(found, is_there);
	assert_int_equal(node_route(inner, CAP, key), at + is_there); /* the child before the first key that is above */
}

static void test_runs(void **state)
{
	static struct keys k;
	uint8_t		  *leaf = calloc(1, CAP), *inner = calloc(1, CAP), other[ROOM] = { 0 };
	struct rng	   rng;

	(void)state;
	assert_non_null(leaf);
	assert_non_null(inner);
	rng_seed(&rng, test_seed());
	for (unsigned i = 0; i < PAGES; i++) {
		uint32_t same = (uint32_t)rng_below(&rng, 30), more = (uint32_t)rng_below(&rng, 24);
		uint32_t values = rng_below(&rng, 2) ? 256 : 1 + (uint32_t)rng_below(&rng, 4);

		make_keys(&rng, &k, same, more, values);
		make_page(leaf, 0, &k);
		make_page(inner, 1, &k);
		for (uint32_t j = 0; j < k.n; j++)
			ask(leaf, inner, &k, k.all[j]);
		for (uint32_t j = 0; j < 50; j++)
			ask(leaf, inner, &k, some_key(&rng, other, (uint32_t)rng_below(&rng, same + 1), more, values));
	}
	free(leaf);
	free(inner);
}

/* Whatever a page says, a search ends inside it, and answers a slot that there may be. */
static void test_nonsense(void **state)
{
	static struct keys k;
	uint8_t		  *page = malloc(CAP); /* so that the address sanitizer sees both ends */
	struct rng	   rng;

	(void)state;
	assert_non_null(page);
	rng_seed(&rng, test_seed() + 1);
	for (unsigned i = 0; i < PAGES; i++) {
		bool found;

		make_keys(&rng, &k, 20, 20, 3);
		make_page(page, i % 2, &k);
		for (unsigned hits = 0; hits < 200; hits++)
			page[rng_below(&rng, rng_below(&rng, 2) ? CAP : NODE_SLOTS + k.n * SLOT_BYTES)] ^=
				(uint8_t)(1 + rng_below(&rng, 255));
		for (uint32_t j = 0; j < k.n; j++) {
			assert_true(node_lower(page, CAP, k.all[j], &found) <= node_count(page, CAP));
			node_lower_near(page, CAP, k.all[j], (uint32_t)rng_next(&rng), &found);
			node_route(page, CAP, k.all[j]);
		}
	}
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_runs), cmocka_unit_test(test_nonsense) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
