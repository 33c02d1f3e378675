/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_acl.c: owners and access control lists through the public API. */
#include "api_scratch.h"

static void expect(int rc, const tarn_access *access, const char *list)
{
	assert_int_equal(rc, 0);
	assert_int_equal(access->is_set, list != NULL);
	assert_string_equal(access->acl, list ? list : "");
	assert_int_equal(access->len, strlen(access->acl) + 1);
}

static void expect_pool(struct scratch *s, const char *list)
{
	char	    text[TARN_ACL_MAX];
	tarn_access access = { .acl = text, .len = sizeof(text) };

	expect(tarn_pool_get_access(s->pool, &access, NULL), &access, list);
}

static void expect_cont(struct scratch *s, const char *list)
{
	char	    text[TARN_ACL_MAX];
	tarn_access access = { .acl = text, .len = sizeof(text) };

	expect(tarn_cont_get_access(s->cont, &access, NULL), &access, list);
}

static void test_format(void **state)
{
	char   text[64];
	size_t len = sizeof(text);

	(void)state;
	assert_ok(tarn_acl_format(TARN_ACL_CONT, "# of neo\n\nA:G:GROUP@:tr\nA::OWNER@:wr", text, &len));
	assert_string_equal(text, "A::OWNER@:rw\nA:G:GROUP@:rt\n");
	assert_int_equal(len, strlen(text) + 1);
	len--;
	assert_error(tarn_acl_format(TARN_ACL_CONT, text, text, &len), TRUNC);
	assert_int_equal(len, strlen(text) + 1);
	len = 0;
	assert_error(tarn_acl_format(TARN_ACL_CONT, "", NULL, &len), TRUNC);
	assert_int_equal(len, 1);
	assert_error(tarn_acl_format(TARN_ACL_CONT, NULL, text, &len), INVAL);
	assert_error(tarn_acl_format((tarn_acl_kind)3, "", text, &len), INVAL);
	assert_error(tarn_acl_format(TARN_ACL_CONT, "", text, NULL), INVAL);
	assert_error(tarn_acl_format(TARN_ACL_CONT, "A::a@:c", text, &len), INVAL);
	assert_says("no meaning on a container");
	assert_error(tarn_acl_format(TARN_ACL_POOL, "A::a@:T", text, &len), INVAL);
	assert_error(tarn_acl_format(TARN_ACL_POOL, "A:P:a@:r", text, &len), NOTSUPPORTED);
	assert_error(tarn_acl_format(TARN_ACL_POOL, "U::a@:r", text, &len), NOTSUPPORTED);
	assert_error(tarn_acl_format(TARN_ACL_POOL, "A::a@:r\nA::a@:t", text, &len), INVAL);
	assert_says("twice");
}

static void test_lists(void **state)
{
	struct scratch *s = *state;

	expect_pool(s, NULL);
	expect_cont(s, NULL);
	assert_error(tarn_cont_delete_acl(s->cont, NULL, NULL), NONEXIST);
	assert_error(tarn_cont_delete_acl(s->cont, "OWNER@", NULL), NONEXIST);
	assert_ok(tarn_cont_update_acl(s->cont, "A::bob@:wr\n", NULL));
	assert_ok(tarn_cont_update_acl(s->cont, "A::ann@:\nA::EVERYONE@:r\nA::bob@:t", NULL));
	assert_ok(tarn_pool_overwrite_acl(s->pool, "", NULL));
	assert_error(tarn_cont_overwrite_acl(s->cont, "A::OWNER@:r\nnonsense", NULL), INVAL);
	assert_error(tarn_cont_overwrite_acl(s->cont, NULL, NULL), INVAL);
	assert_error(tarn_cont_overwrite_acl(NULL, "", NULL), NO_HDL);
	assert_error(tarn_pool_update_acl(NULL, "", NULL), NO_HDL);
	scratch_reopen(s);
	expect_cont(s, "A::ann@:\nA::bob@:t\nA::EVERYONE@:r\n");
	expect_pool(s, "");
	assert_error(tarn_cont_delete_acl(s->cont, "g:bob@", NULL), NONEXIST);
	assert_error(tarn_cont_delete_acl(s->cont, "u:EVERYONE@", NULL), INVAL);
	assert_error(tarn_cont_delete_acl(s->cont, "bob@", NULL), INVAL);
	assert_error(tarn_cont_delete_acl(s->cont, "", NULL), INVAL);
	assert_ok(tarn_cont_delete_acl(s->cont, "u:bob@", NULL));
	assert_ok(tarn_cont_delete_acl(s->cont, "EVERYONE@", NULL));
	assert_ok(tarn_cont_delete_acl(s->cont, "u:ann@", NULL));
	expect_cont(s, ""); /* an empty list is not none */
	assert_ok(tarn_cont_delete_acl(s->cont, NULL, NULL));
	expect_cont(s, NULL);
}

static void test_owners(void **state)
{
	struct scratch *s = *state;
	char		long_name[257], none[1];
	tarn_access	access	= { .acl = none, .len = 1 };
	tarn_prop	props[] = { { .id = TARN_PROP_OWNER, .string = "eva" }, { .id = TARN_PROP_GROUP, .string = "staff" } };

	memset(long_name, 'x', 256);
	long_name[256] = 0;
	assert_ok(tarn_pool_set_owner(s->pool, "anna", NULL, NULL));
	assert_ok(tarn_pool_set_owner(s->pool, NULL, "ops", NULL));
	assert_error(tarn_pool_set_owner(s->pool, long_name, NULL, NULL), INVAL);
	assert_ok(tarn_cont_set_props(s->cont, props, 2, NULL));
	scratch_reopen(s);
	assert_ok(tarn_pool_get_access(s->pool, &access, NULL));
	assert_string_equal(access.owner, "anna");
	assert_string_equal(access.group, "ops");
	assert_ok(tarn_cont_get_access(s->cont, &access, NULL));
	assert_string_equal(access.owner, "eva");
	assert_string_equal(access.group, "staff");
	assert_ok(tarn_cont_overwrite_acl(s->cont, "A::a@:r", NULL));
	access.len = 1;
	assert_error(tarn_cont_get_access(s->cont, &access, NULL), TRUNC);
	assert_int_equal(access.len, strlen("A::a@:r\n") + 1);
	access.acl = NULL;
	assert_error(tarn_cont_get_access(s->cont, &access, NULL), INVAL);
	assert_error(tarn_cont_get_access(s->cont, NULL, NULL), INVAL);
}

/* The longest list that there can be, and one byte more. */
static void test_longest(void **state)
{
	struct scratch *s    = *state;
	char	       *list = calloc(1, TARN_ACL_MAX + 64);
	size_t		len  = 0;

	assert_non_null(list);
	for (int i = 0; len < TARN_ACL_MAX - 64; i++)
		len += (size_t)sprintf(list + len, "A::user%07d@:r\n", i);
	len += (size_t)sprintf(list + len, "A::v");
	while (len < TARN_ACL_MAX - 4)
		list[len++] = 'v';
	strcpy(list + len, "@:\n");
	assert_int_equal(strlen(list), TARN_ACL_MAX - 1);
	assert_ok(tarn_cont_overwrite_acl(s->cont, list, NULL));
	assert_error(tarn_cont_update_acl(s->cont, "A::w@:r", NULL), REC2BIG);
	scratch_reopen(s);
	expect_cont(s, list);
	strcat(list, "\n");
	assert_error(tarn_cont_overwrite_acl(s->cont, list, NULL), REC2BIG);
	free(list);
}

/* Text of letters that lists are made of: what is good is kept as it was written, and nothing crashes. */
static void test_random(void **state)
{
	static const char *const parts[] = { "A", ":", ":", ":",  "G", "OWNER@", "GROUP@", "EVERYONE@", "bob@", "x", "@",
					     "r", "w", "t", "\n", "#", "U",	 "P",	   "ann@",	"\n",	" ", "c" };
	struct rng		 rng;
	uint64_t		 n = 0;
	char			 text[512], once[512], twice[512];

	(void)state;
	rng_seed(&rng, test_seed());
	for (int round = 0; round < 200000; round++) {
		size_t used = 0, len = sizeof(once), again = sizeof(twice);

		for (uint64_t i = rng_next(&rng) % 24; i; i--)
			used += (size_t)sprintf(text + used, "%s", parts[rng_next(&rng) % ARRAY_LEN(parts)]);
		text[used] = 0;
		if (tarn_acl_format(TARN_ACL_CONT, text, once, &len) != 0)
			continue;
		n++;
		assert_ok(tarn_acl_format(TARN_ACL_CONT, once, twice, &again));
		assert_string_equal(once, twice);
	}
	assert_true(n > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format), scratch_test(test_lists),      scratch_test(test_owners),
		scratch_test(test_longest),    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("access control lists", tests, NULL, NULL);
}
