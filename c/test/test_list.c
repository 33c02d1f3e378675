/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_list.c: listings beside a model, through the public API: many leaves, keys with short and long beginnings in common, values of
 * all kinds, both directions, buffers of all sizes. Behind the buffer stand bytes that nobody may change. */
#include "api_scratch.h"

#define EACH	 250u /* records of a family */
#define FAMILIES 4u
#define RECORDS	 (EACH * FAMILIES)
#define KEY_ROOM 80u
#define CAP_MIN	 104u /* holds each key */
#define CAP_MAX	 60000u
#define LONGEST	 (TARN_LIST_VALUE_MAX + 1u)
#define GUARD	 64u
#define LISTINGS 400u

struct record {
	char   key[KEY_ROOM];
	size_t key_len, val_len;
};

struct model {
	struct rng    rng;
	struct record records[RECORDS]; /* in the order of their keys */
	uint8_t	      value[LONGEST];
	uint8_t	      buf[CAP_MAX + GUARD] __attribute__((aligned(8)));
};

static uint64_t below(struct model *m, uint64_t n)
{
	return rng_next(&m->rng) % n;
}

/* The keys of a family have a letter in common, so many times. */
static void make_key(struct record *r, unsigned i)
{
	static const size_t alike[FAMILIES] = { 1, 15, 16, 60 };
	unsigned	    family	    = i / EACH;

	memset(r->key, 'a' + (int)family, alike[family]);
	r->key_len = alike[family] + (size_t)snprintf(r->key + alike[family], KEY_ROOM - alike[family], "%04u%.*s", i % EACH,
						      (int)(i % 5), "xxxx");
}

static tarn_buf key_of(const struct record *r)
{
	return (tarn_buf){ r->key, r->key_len };
}

static size_t any_length(struct model *m)
{
	switch (below(m, 32)) {
	case 0:
		return 16000 + below(m, 8000); /* in the leaf, or in extents */
	case 1:
		return LONGEST; /* no listing has it */
	case 2:
	case 3:
		return 1000 + below(m, 3000);
	default:
		return below(m, 200);
	}
}

static uint8_t *value_of(struct model *m, unsigned i)
{
	test_fill(m->value, m->records[i].val_len, i);
	return m->value;
}

static void put(struct scratch *s, struct model *m, unsigned i)
{
	struct record *r = &m->records[i];

	r->val_len = any_length(m);
	assert_ok(tarn_kv_put(s->kv, key_of(r), (tarn_buf){ value_of(m, i), r->val_len }, TARN_COND_NONE, NULL));
}

/* In an order that is not that of the keys; some of them again after a checkpoint, so that pages are clean and dirty. */
static void fill(struct scratch *s, struct model *m)
{
	tarn_prop relaxed = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_RELAXED };

	assert_ok(tarn_cont_set_props(s->cont, &relaxed, 1, NULL));
	for (unsigned i = 0; i < RECORDS; i++) {
		unsigned n = i * 977 % RECORDS;

		make_key(&m->records[n], n);
		put(s, m, n);
	}
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	for (unsigned i = 0; i < RECORDS / 20; i++)
		put(s, m, (unsigned)below(m, RECORDS));
}

struct plan {
	unsigned from, to; /* records, without `to` */
	uint32_t flags, max;
	size_t	 cap;
};

static size_t any_cap(struct model *m)
{
	switch (below(m, 3)) {
	case 0:
		return CAP_MIN + below(m, 400);
	case 1:
		return CAP_MIN + below(m, 8000);
	default:
		return CAP_MIN + below(m, CAP_MAX - CAP_MIN);
	}
}

static struct plan any_plan(struct model *m)
{
	static const uint32_t flags[] = { 0, 0, TARN_RANGE_REVERSE, TARN_RANGE_KEYS_ONLY,
					  TARN_RANGE_REVERSE | TARN_RANGE_KEYS_ONLY };
	unsigned	      a = (unsigned)below(m, RECORDS), b = (unsigned)below(m, RECORDS + 1);
	struct plan	      plan;

	plan.from  = MIN(a, b);
	plan.to	   = MAX(a, b);
	plan.flags = flags[below(m, 5)];
	plan.max   = below(m, 2) ? 1 + (uint32_t)below(m, 150) : 0;
	plan.cap   = any_cap(m);
	return plan;
}

static const tarn_entry *check_entry(struct model *m, const struct plan *plan, const tarn_entry *e, unsigned i)
{
	const struct record *r	     = &m->records[i];
	const char	    *key     = (const char *)(e + 1);
	size_t		     full    = sizeof(*e) + r->key_len + r->val_len;
	bool		     omitted = plan->flags & TARN_RANGE_KEYS_ONLY || r->val_len > TARN_LIST_VALUE_MAX || full > plan->cap;

	assert_int_equal(e->key_len, r->key_len);
	assert_memory_equal(key, r->key, r->key_len);
	assert_int_equal(e->val_len, r->val_len);
	assert_int_equal(e->flags, omitted ? TARN_ENTRY_OMITTED : 0);
	assert_true(e->revision > 0);
	if (!omitted && r->val_len)
		assert_memory_equal(key + r->key_len, value_of(m, i), r->val_len);
	return (const void *)((const char *)e + ROUND_UP(omitted ? sizeof(*e) + r->key_len : full, 8));
}

static void check_guard(const struct model *m, size_t cap)
{
	for (size_t i = cap; i < cap + GUARD; i++)
		assert_int_equal(m->buf[i], 0xa5);
}

/* One call: it begins at the record `at` (in reverse, before it), and gives as many as it says. */
static uint32_t list_some(struct scratch *s, struct model *m, const struct plan *plan, unsigned from, unsigned to, bool after)
{
	const tarn_entry *e	= (const void *)m->buf;
	bool		  back	= plan->flags & TARN_RANGE_REVERSE;
	tarn_range	  range = { .flags = plan->flags | (after ? TARN_RANGE_AFTER : 0) };
	tarn_listing	  out;

	range.start = key_of(&m->records[after ? from - 1 : from]);
	if (to < RECORDS)
		range.end = key_of(&m->records[to]);
	memset(m->buf, 0xa5, sizeof(m->buf));
	assert_ok(tarn_kv_list(s->kv, &range, plan->max, m->buf, plan->cap, &out, NULL));
	check_guard(m, plan->cap);
	assert_true(out.used <= plan->cap && out.count <= to - from);
	assert_true(!plan->max || out.count <= plan->max);
	assert_int_equal(out.more, out.count < to - from);
	for (uint32_t i = 0; i < out.count; i++)
		e = check_entry(m, plan, e, back ? to - 1 - i : from + i);
	return out.count;
}

static void list_all(struct scratch *s, struct model *m, const struct plan *plan)
{
	unsigned from = plan->from, to = plan->to;
	bool	 after = false;

	while (from < to) {
		uint32_t n = list_some(s, m, plan, from, to, after);

		assert_true(n > 0);
		if (plan->flags & TARN_RANGE_REVERSE)
			to -= n;
		else
			from += n, after = true;
	}
}

static void listings_beside_a_model(void **state)
{
	struct scratch *s = *state;
	struct model   *m = aligned_alloc(64, ROUND_UP(sizeof(*m), 64));

	assert_non_null(m);
	rng_seed(&m->rng, test_seed());
	fill(s, m);
	for (unsigned i = 0; i < LISTINGS; i++) {
		struct plan plan = any_plan(m);

		if (i == LISTINGS / 2) {
			assert_ok(tarn_pool_checkpoint(s->pool, NULL));
			scratch_reopen(s);
		}
		list_all(s, m, &plan);
	}
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { scratch_test(listings_beside_a_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
