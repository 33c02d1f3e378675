/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_rename.c: objects get other names, through the public API. */
#include "../src/api/call.h"
#include "api_scratch.h"
#include <tarn/watch.h>

static void test_rename(void **state)
{
	struct scratch	*s = *state;
	tarn_object_info before, after, infos[4];
	size_t		 n = 4;
	tarn_kv		*kv;

	put_text(s->kv, "Rio", "Maracana");
	assert_ok(tarn_object_query(s->cont, "stadium", &before, NULL));
	assert_ok(tarn_object_rename(s->cont, "stadium", "arena", NULL));
	assert_ok(tarn_object_query(s->cont, "arena", &after, NULL));
	assert_true(before.oid_hi == after.oid_hi && before.oid_lo == after.oid_lo);
	assert_error(tarn_object_query(s->cont, "stadium", &after, NULL), NONEXIST);
	assert_error(tarn_kv_open(s->cont, "stadium", 0, &kv, NULL), NONEXIST);
	assert_ok(tarn_object_list(s->cont, NULL, infos, &n, NULL));
	assert_int_equal(n, 1);
	assert_string_equal(infos[0].name, "arena");
	put_text(s->kv, "Barcelona", "Camp Nou"); /* the handle goes on with the object */
	assert_ok(tarn_kv_open(s->cont, "arena", 0, &kv, NULL));
	assert_value(kv, text("Rio"), text("Maracana"));
	assert_value(kv, text("Barcelona"), text("Camp Nou"));
	assert_ok(tarn_kv_close(kv));
	assert_error(tarn_object_destroy(s->cont, "arena", NULL), BUSY); /* the old handle is of it */
}

/* The old name is free: what gets it is another object, and an old handle does not meet it. */
static void test_name_again(void **state)
{
	struct scratch *s = *state;
	tarn_kv	       *kv;

	put_text(s->kv, "a", "old");
	assert_ok(tarn_object_rename(s->cont, "stadium", "arena", NULL));
	assert_ok(tarn_kv_open(s->cont, "stadium", TARN_KV_CREATE, &kv, NULL));
	assert_error(tarn_kv_exists(kv, text("a"), NULL, NULL), NONEXIST);
	put_text(kv, "b", "new");
	assert_error(tarn_kv_exists(s->kv, text("b"), NULL, NULL), NONEXIST);
	assert_error(tarn_object_rename(s->cont, "arena", "stadium", NULL), EXIST);
	assert_says("stadium");
	assert_ok(tarn_kv_close(kv));
	assert_ok(tarn_object_destroy(s->cont, "stadium", NULL));
	assert_ok(tarn_object_rename(s->cont, "arena", "stadium", NULL));
	assert_value(s->kv, text("a"), text("old"));
}

static void test_refusals(void **state)
{
	struct scratch *s = *state;
	char		name[TARN_OBJECT_NAME_MAX + 2];
	tarn_cont      *snap;
	uint64_t	epoch;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_error(tarn_object_rename(NULL, "a", "b", NULL), NO_HDL);
	assert_error(tarn_object_rename(s->cont, NULL, "b", NULL), INVAL);
	assert_error(tarn_object_rename(s->cont, "stadium", NULL, NULL), INVAL);
	assert_error(tarn_object_rename(s->cont, "stadium", "", NULL), INVAL);
	assert_error(tarn_object_rename(s->cont, "stadium", "a/b", NULL), INVAL);
	assert_error(tarn_object_rename(s->cont, "stadium", name, NULL), INVAL);
	assert_error(tarn_object_rename(s->cont, "none", "b", NULL), NONEXIST);
	assert_error(tarn_object_rename(s->cont, "none", "stadium", NULL), NONEXIST);
	assert_error(tarn_object_rename(s->cont, "stadium", "stadium", NULL), EXIST);
	assert_ok(tarn_snap_create(s->cont, "then", &epoch, NULL));
	assert_ok(tarn_cont_open_snap(s->pool, "neo", epoch, NULL, &snap, NULL));
	assert_error(tarn_object_rename(snap, "stadium", "b", NULL), EP_RO);
	name[TARN_OBJECT_NAME_MAX] = 0;
	assert_ok(tarn_object_rename(s->cont, "stadium", name, NULL));
	assert_ok(tarn_object_query(snap, "stadium", &(tarn_object_info){ "", 0, 0, 0 }, NULL)); /* as it was */
	assert_error(tarn_object_query(snap, name, &(tarn_object_info){ "", 0, 0, 0 }, NULL), NONEXIST);
	assert_ok(tarn_cont_close(snap));
	assert_ok(tarn_object_rename(s->cont, name, "stadium", NULL));
}

/* What a crash in a deletion leaves: the id of an object that has no name any more. */
static void leave_rest(struct scratch *s)
{
	uint8_t		      key[2 * OID_BYTES] = { 0 };
	struct driver	     *driver		 = s->cont->container->pool->driver;
	struct store_mutation put = { .change = STORE_PUT, .tree = s->cont->container->tree, .key = { key, sizeof(key) } };
	uint64_t	      lsn;

	put64be(key + 8, ROOT_IDS);
	put64be(key + OID_BYTES, UINT64_C(10) << 56);
	put64be(key + OID_BYTES + 8, 1000000);
	put.val = text("ghost");
	assert_ok(driver->ops->apply(driver, &put, 1, 0, &lsn, NULL));
}

/* It is swept at the next open, and a renamed object is not taken for one. */
static void test_sweep(void **state)
{
	struct scratch	*s = *state;
	tarn_object_info info;

	put_text(s->kv, "a", "1");
	assert_ok(tarn_object_rename(s->cont, "stadium", "x", NULL));
	assert_ok(tarn_object_rename(s->cont, "x", "stadium2", NULL));
	assert_ok(tarn_object_create(s->cont, "stadium", NULL));
	assert_ok(tarn_object_rename(s->cont, "stadium", "empty", NULL));
	assert_ok(tarn_object_rename(s->cont, "stadium2", "stadium", NULL));
	leave_rest(s);
	scratch_reopen(s);
	assert_value(s->kv, text("a"), text("1"));
	assert_ok(tarn_object_query(s->cont, "empty", &info, NULL));
	assert_ok(tarn_object_destroy(s->cont, "empty", NULL));
}

/* A watch goes on, and history from before the new name is still there. */
static void test_watch(void **state)
{
	struct scratch *s = *state;
	tarn_kv_stat	stat;
	tarn_watch     *watch, *back;
	tarn_changes	changes;
	uint64_t	buf[16384];
	tarn_kv	       *kv;

	put_text(s->kv, "a", "1");
	assert_ok(tarn_kv_exists(s->kv, text("a"), &stat, NULL));
	assert_ok(tarn_watch_open(s->kv, 0, text(""), 0, &changes, &watch, NULL));
	assert_ok(tarn_object_rename(s->cont, "stadium", "arena", NULL));
	assert_ok(tarn_object_rename(s->cont, "arena", "dome", NULL));
	put_text(s->kv, "b", "2");
	assert_ok(tarn_watch_wait(watch, NULL));
	do
		assert_ok(tarn_watch_next(watch, buf, sizeof(buf), &changes, NULL));
	while (changes.count == 0);
	assert_int_equal(changes.count, 1);

	assert_ok(tarn_kv_open(s->cont, "dome", 0, &kv, NULL));
	assert_ok(tarn_watch_open(kv, stat.revision, text(""), 0, &changes, &back, NULL));
	assert_ok(tarn_watch_next(back, buf, sizeof(buf), &changes, NULL));
	assert_int_equal(changes.count, 2);
	assert_ok(tarn_watch_close(back));
	assert_ok(tarn_watch_close(watch));
	assert_ok(tarn_kv_close(kv));
	assert_ok(tarn_object_rename(s->cont, "dome", "stadium", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_rename), scratch_test(test_name_again), scratch_test(test_refusals),
		scratch_test(test_sweep),  scratch_test(test_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
