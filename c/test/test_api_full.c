/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_full.c: a full pool keeps space back in which keys can be deleted, even while a snapshot holds all that they give up. */
#include "api_scratch.h"

#define SMALL 4000u /* keys, of about 35 a leaf */
#define LARGE 60000u
#define STEP  80u /* from one deleted key to the next: each is in a leaf of its own */

static tarn_buf name(char text[32], const char *kind, unsigned n)
{
	snprintf(text, 32, "%s %07u", kind, n);
	return (tarn_buf){ text, strlen(text) };
}

static int put(struct scratch *s, const char *kind, unsigned n, size_t len)
{
	static uint8_t val[LARGE];
	char	       key[32];

	return tarn_kv_put(s->kv, name(key, kind, n), (tarn_buf){ val, len }, TARN_COND_NONE, NULL);
}

static int del(struct scratch *s, const char *kind, unsigned n)
{
	char key[32];

	return tarn_kv_del(s->kv, name(key, kind, n), TARN_COND_UPDATE, NULL);
}

/* Until there is no room for one more of that size. */
static unsigned fill(struct scratch *s, const char *kind, size_t len)
{
	unsigned n  = 0;
	int	 rc = 0;

	while (!rc)
		rc = put(s, kind, n++, len);
	if (rc != -TARN_E_NOSPACE)
		fail_msg("%s: %s", tarn_errname(rc), tarn_last_error());
	return n - 1;
}

static void test_deleting_works_when_nothing_else_does(void **state)
{
	const tarn_prop relaxed = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_RELAXED };
	struct scratch *s	= *state;
	uint64_t	epoch;
	unsigned	large, medium, least;

	assert_ok(tarn_cont_set_props(s->cont, &relaxed, 1, NULL)); /* only for speed */
	for (unsigned n = 0; n < SMALL; n++)
		assert_ok(put(s, "small", n, 100));
	large = fill(s, "large", LARGE);
	assert_ok(del(s, "large", 0)); /* room for the snapshot and what makes it */
	assert_ok(tarn_snap_create(s->cont, NULL, &epoch, NULL));
	medium = fill(s, "medium", 4000);
	least  = fill(s, "least", 10);
	printf("# full with %u, %u and %u more\n", large, medium, least);

	for (unsigned n = 0; n < SMALL; n += STEP)
		assert_ok(del(s, "small", n));
	for (unsigned n = 1; n < 20; n++)
		assert_ok(del(s, "large", n));
	assert_error(put(s, "large", large, LARGE), NOSPACE); /* the snapshot has it all */
	assert_ok(tarn_snap_destroy(s->cont, epoch, NULL));
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	for (unsigned n = 1; n < 15; n++)
		assert_ok(put(s, "large", n, LARGE));
}

int main(void)
{
	const struct CMUnitTest tests[] = { scratch_test(test_deleting_works_when_nothing_else_does) };

	return cmocka_run_group_tests_name("a full pool", tests, NULL, NULL);
}
