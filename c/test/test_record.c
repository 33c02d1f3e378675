/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_record.c: records of the log: what they leave out, and records that nobody wrote. */
#include "log_text.h"

#define MIB (1024u * 1024)

/* ---- Records that share ---- */

enum { BATCHES = 200, BATCH_MAX = 6 };

struct model {
	struct rng rng;
	uint64_t   lsn; /* of the last record that was compared */
};

static struct store_mutation random_mutation(struct rng *rng, uint8_t key[600], uint8_t value[300])
{
	size_t		      len = rng_below(rng, 4) ? 16 + rng_below(rng, 20) : 1 + rng_below(rng, 600);
	struct store_mutation m	  = { .tree = 4 + rng_below(rng, 2) * 1000, .key = { key, len } };

	memset(key, (int)rng_below(rng, 2), 600);
	for (size_t i = 0; i < 2; i++)
		key[rng_below(rng, (uint64_t)len)] = (uint8_t)rng_below(rng, 3);
	memset(value, (int)rng_below(rng, 256), 300);
	m.change = rng_below(rng, 8) ? STORE_PUT : rng_below(rng, 2) ? STORE_DEL : STORE_SNAP;
	if (m.change == STORE_PUT)
		m.val = (tarn_buf){ value, rng_below(rng, 300) };
	return m;
}

static size_t random_batch(struct rng *rng, struct store_mutation muts[BATCH_MAX], uint8_t keys[BATCH_MAX][600],
			   uint8_t values[BATCH_MAX][300])
{
	size_t n = 1 + rng_below(rng, BATCH_MAX);

	for (size_t i = 0; i < n; i++)
		muts[i] = random_mutation(rng, keys[i], values[i]);
	return n;
}

static struct model model;

static bool same(tarn_buf a, tarn_buf b)
{
	return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static int compare(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	static uint8_t	      keys[BATCH_MAX][600], values[BATCH_MAX][300];
	struct store_mutation want[BATCH_MAX];

	(void)s, (void)extents;
	assert_int_equal(lsn, ++model.lsn);
	assert_int_equal(random_batch(&model.rng, want, keys, values), n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(muts[i].change, want[i].change);
		assert_int_equal(muts[i].tree, want[i].tree);
		assert_true(same(muts[i].key, want[i].change == STORE_SNAP ? (tarn_buf){ 0 } : want[i].key));
		assert_true(same(muts[i].val, want[i].val));
	}
	return 0;
}

static void test_shared_keys(void **state)
{
	static uint8_t	      keys[BATCH_MAX][600], values[BATCH_MAX][300];
	struct store_mutation muts[BATCH_MAX];
	struct rig	      r;
	struct rng	      rng;
	uint64_t	      batches;

	(void)state;
	rig_make(&r, 32 * MIB, 2048, 0, 1);
	rig_open(&r);
	rng_seed(&rng, test_seed());
	for (int i = 0; i < BATCHES; i++) {
		size_t n = random_batch(&rng, muts, keys, values);

		rig_append(&r, muts, n);
		if (i % 17 == 16)
			assert_ok(log_flush_all(r.s));
	}
	assert_ok(log_flush_all(r.s));
	rig_shut(&r);
	rig_open(&r);
	model.lsn = 0;
	rng_seed(&model.rng, test_seed());
	assert_ok(log_replay(r.s, compare, &batches));
	assert_int_equal(batches, BATCHES);
	rig_end(&r);
}

/* A put beside another one in the same object takes four bytes more than the rest of its key and its value. */
static void test_what_a_put_takes(void **state)
{
	struct rig r;
	size_t	   before;

	(void)state;
	rig_make(&r, MIB, 16, 0, 1);
	rig_open(&r);
	append_text(&r, "an object: first key");
	before = r.s->log.fill.len;
	append_text(&r, "an object: other key");
	assert_int_equal(r.s->log.fill.len - before, 4 + strlen("other key") + strlen("value"));
	rig_end(&r);
}

/* ---- Records that nobody wrote ---- */

struct raw {
	uint8_t bytes[256];
	size_t	len;
};

/* A record of one mutation with short numbers. */
static struct raw raw_mutation(unsigned head, uint8_t tree, uint8_t klen, uint8_t vlen)
{
	return (struct raw){ .bytes = { (uint8_t)head, tree, klen, vlen }, .len = 4u + klen + vlen };
}

/* A good group around that: the last one, of which the first record is that of the key "abc". */
static void commit_raw(struct rig *r, const struct raw *raw)
{
	struct log_buf *fill = &r->s->log.fill;

	append_text(r, "abc");
	memcpy(fill->data + fill->len, raw->bytes, raw->len);
	fill->len += raw->len;
	assert_ok(log_flush_all(r->s));
}

static bool raw_replays(const struct raw *raw)
{
	struct rig r;
	int	   rc;

	rig_make(&r, MIB, 16, 0, 5);
	rig_open(&r);
	commit_raw(&r, raw);
	rig_shut(&r);
	rc = replay(&r);
	if (rc)
		assert_string_equal(transcript, ""); /* nothing at all: not even the good one before it */
	if (rc && rc != -TARN_E_CSUM)
		fail_msg("%s", base_message());
	rig_end(&r);
	return !rc;
}

#define replays(...) raw_replays(&(struct raw){ .bytes = { __VA_ARGS__ }, .len = sizeof((uint8_t[]){ __VA_ARGS__ }) })

static bool one_replays(unsigned head, uint8_t tree, uint8_t klen, uint8_t vlen)
{
	struct raw raw = raw_mutation(head, tree, klen, vlen);

	return raw_replays(&raw);
}

static void test_strange_records(void **state)
{
	enum { SAME = STORE_PUT | RECORD_SAME_TREE, SHARED = SAME | RECORD_SHARED, MORE = STORE_PUT | RECORD_MORE };
	struct raw two = { .bytes = { MORE, 4, 1, 1, 'k', 'v', STORE_DEL | RECORD_SAME_TREE, 1, 0, 'k' }, .len = 10 };

	(void)state;
	assert_true(replays(STORE_PUT, 4, 1, 1, 'k', 'v'));
	assert_true(replays(SAME, 1, 1, 'k', 'v'));
	assert_true(replays(SHARED, 2, 1, 1, 'k', 'v'));
	assert_true(replays(SHARED, 3, 0, 1, 'v'));
	assert_false(replays(SHARED, 4, 0, 1, 'v')); /* the last key had three bytes */
	assert_false(replays(SHARED, 1, 1, 1, 'k', 'v'));
	assert_false(replays(SHARED, 0, 1, 1, 'k', 'v'));
	assert_false(replays(SHARED));
	assert_false(replays(SAME | 0x80, 1, 1, 'k', 'v'));
	assert_false(replays(SAME, 1, 2, 'k', 'v'));
	assert_false(replays(SAME, 3, 0, 'k', 'v'));
	assert_false(replays(SAME, 0x81, 0, 1, 'k', 'v')); /* one, with a zero behind it */
	assert_false(replays(SAME, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 1, 'k', 'v'));
	assert_false(replays(SAME, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 'k', 'v'));
	assert_false(replays(SAME, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2, 1, 'k', 'v'));
	assert_false(replays(STORE_PUT, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 1, 1, 'k', 'v'));
	assert_true(raw_replays(&two));
	for (two.len = 9; two.len; two.len--) /* without its end, there is more to come, or less than it says */
		assert_false(raw_replays(&two));
}

static void test_strange_mutations(void **state)
{
	enum { EXT = RECORD_EXTENTS };

	(void)state;
	for (uint8_t tree = 0; tree < 6; tree++)
		assert_int_equal(one_replays(STORE_PUT, tree, 3, 10), tree != 0 && tree != TREE_SNAPS && tree != TREE_DEAD);
	assert_false(one_replays(STORE_PUT, 4, 0, 10));
	assert_false(one_replays(STORE_PUT | EXT, 4, 3, 10));	   /* no descriptor */
	assert_true(one_replays(STORE_PUT | EXT, 4, 3, EXT_PTRS)); /* of an empty value */
	assert_true(one_replays(STORE_DEL, 4, 3, 0));
	assert_false(one_replays(STORE_DEL, 4, 3, 1));
	assert_false(one_replays(STORE_DEL | EXT, 4, 3, 0));
	assert_false(one_replays(STORE_DEL, 4, 0, 0));
	assert_true(one_replays(STORE_DROP, 4, 0, 0));
	assert_false(one_replays(STORE_DROP, 4, 1, 0));
	assert_true(one_replays(STORE_SNAP, 4, 0, 0));
	assert_false(one_replays(STORE_SNAP, 4, 0, 8));
	assert_true(one_replays(STORE_UNSNAP, 4, 0, 8));
	assert_false(one_replays(STORE_UNSNAP, 4, 0, 0));
	assert_false(one_replays(STORE_UNSNAP, 4, 1, 8));
	for (unsigned change = STORE_UNSNAP + 1; change < 8; change++)
		assert_false(one_replays(change, 4, 0, 0));
}

/* A group says which record its first is: the one after the last of the group before. */
static void test_strange_numbers(void **state)
{
	static const uint64_t numbers[] = { 3, 1, 2, 4, 0, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct rig r;

		rig_make(&r, MIB, 16, 0, 5);
		rig_open(&r);
		append_text(&r, "a");
		commit_text(&r, "b");
		append_text(&r, "c");
		r.s->log.fill.first_lsn = numbers[i];
		assert_ok(log_flush_all(r.s));
		rig_shut(&r);
		if (i == 0) {
			assert_replays(&r, "1:put a=value 2:put b=value 3:put c=value");
		} else {
			assert_error(replay(&r), CSUM);
			assert_string_equal(transcript, "");
		}
		rig_end(&r);
	}
}

/* No record at all. */
static void test_empty_group(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, MIB, 16, 0, 5);
	rig_open(&r);
	append_text(&r, "a");
	r.s->log.fill.len = GROUP_BYTES;
	assert_ok(log_flush_all(r.s));
	rig_shut(&r);
	assert_error(replay(&r), CSUM);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_keys),	cmocka_unit_test(test_what_a_put_takes),
		cmocka_unit_test(test_strange_records), cmocka_unit_test(test_strange_mutations),
		cmocka_unit_test(test_strange_numbers), cmocka_unit_test(test_empty_group),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
