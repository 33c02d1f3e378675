/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_notes.c: the notes of a container: put together with a batch of any of its objects, and seen by nobody else. */
#include "api_scratch.h"

static tarn_kv *open_notes(tarn_cont *cont)
{
	tarn_kv *notes = NULL;

	assert_ok(tarn_kv_open(cont, NULL, TARN_KV_NOTES, &notes, NULL));
	return notes;
}

static uint64_t count_of(tarn_kv *kv)
{
	uint64_t count;

	assert_ok(tarn_kv_count(kv, NULL, &count, NULL));
	return count;
}

/* All or nothing, and the same key in the object and in the notes are two. */
static void test_with_batch(void **state)
{
	struct scratch *s      = *state;
	size_t		failed = 9;
	tarn_mutation	muts[] = { { .key = text("k"), .val = text("value") },
				   { .key = text("k"), .val = text("note"), .change = TARN_CHANGE_NOTE } };
	tarn_kv	       *notes;

	assert_ok(tarn_kv_apply(s->kv, muts, 2, NULL, NULL));
	muts[0].val  = text("other");
	muts[1].cond = TARN_COND_INSERT;
	assert_error(tarn_kv_apply(s->kv, muts, 2, &failed, NULL), EXIST);
	assert_int_equal(failed, 1);
	muts[1].key  = text("l");
	muts[0].cond = TARN_COND_INSERT;
	assert_error(tarn_kv_apply(s->kv, muts, 2, &failed, NULL), EXIST);
	assert_int_equal(failed, 0);
	scratch_reopen(s);
	notes = open_notes(s->cont);
	assert_value(s->kv, text("k"), text("value"));
	assert_value(notes, text("k"), text("note"));
	assert_int_equal(count_of(s->kv), 1);
	assert_int_equal(count_of(notes), 1);
	assert_ok(tarn_kv_del(notes, text("k"), TARN_COND_UPDATE, NULL));
	assert_int_equal(count_of(notes), 0);
	assert_value(s->kv, text("k"), text("value"));
	assert_ok(tarn_kv_close(notes));
}

/* No listing has them, the limit of values is not theirs, and snapshots keep them. */
static void test_hidden(void **state)
{
	struct scratch	*s     = *state;
	const tarn_prop	 limit = { .id = TARN_PROP_VALUE_MAX, .number = 2 };
	tarn_kv		*notes = open_notes(s->cont), *again = open_notes(s->cont), *old;
	tarn_object_info infos[4];
	tarn_cont_info	 info;
	tarn_cont	*snap;
	uint64_t	 epoch;
	size_t		 n = 4;

	assert_ok(tarn_cont_set_props(s->cont, &limit, 1, NULL));
	put_text(notes, "a", "longer than two");
	put_text(again, "b", "x");
	assert_ok(tarn_object_list(s->cont, NULL, infos, &n, NULL));
	assert_int_equal(n, 1);
	assert_ok(tarn_cont_query(s->cont, &info, NULL));
	assert_int_equal(info.objects, 1);
	assert_ok(tarn_snap_create(s->cont, NULL, &epoch, NULL));
	assert_ok(tarn_kv_del(notes, text("a"), TARN_COND_NONE, NULL));
	assert_ok(tarn_cont_open_snap(s->pool, "neo", epoch, NULL, &snap, NULL));
	old = open_notes(snap);
	assert_int_equal(count_of(old), 2);
	assert_int_equal(count_of(notes), 1);
	assert_error(tarn_kv_put(old, text("c"), text("x"), TARN_COND_NONE, NULL), EP_RO);
	assert_ok(tarn_kv_close(old));
	assert_ok(tarn_cont_close(snap));
	assert_ok(tarn_kv_close(notes));
	assert_ok(tarn_kv_close(again));
}

static void test_refused(void **state)
{
	struct scratch *s    = *state;
	tarn_mutation	mut  = { .key = text("k"), .val = { NULL, 3 }, .change = TARN_CHANGE_NOTE };
	tarn_kv	       *none = NULL;

	assert_error(tarn_kv_open(s->cont, "stadium", TARN_KV_NOTES, &none, NULL), INVAL);
	assert_says("stadium");
	assert_error(tarn_kv_open(s->cont, "", TARN_KV_NOTES, &none, NULL), INVAL);
	assert_error(tarn_kv_open(s->cont, NULL, 0, &none, NULL), INVAL);
	assert_error(tarn_kv_open(s->cont, "", 0, &none, NULL), INVAL);
	assert_error(tarn_kv_apply(s->kv, &mut, 1, NULL, NULL), INVAL);
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = { scratch_test(test_with_batch), scratch_test(test_hidden),
					    scratch_test(test_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
