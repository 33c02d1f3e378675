/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_kv.c: key-value objects through the public API, without events. */
#include "api_scratch.h"

static void test_put_get(void **state)
{
	struct scratch *s = *state;
	uint8_t		all[256];
	char		buf[8] = "before";
	size_t		len    = 0;

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	assert_ok(tarn_kv_put(s->kv, (tarn_buf){ all, 256 }, (tarn_buf){ all, 256 }, TARN_COND_NONE, NULL));
	assert_ok(tarn_kv_put(s->kv, (tarn_buf){ all, 1 }, (tarn_buf){ NULL, 0 }, TARN_COND_NONE, NULL));
	assert_value(s->kv, (tarn_buf){ all, 256 }, (tarn_buf){ all, 256 });
	assert_value(s->kv, (tarn_buf){ all, 1 }, (tarn_buf){ NULL, 0 });

	assert_ok(tarn_kv_get(s->kv, (tarn_buf){ all, 256 }, NULL, &len, NULL));
	assert_int_equal(len, 256);
	len = sizeof(buf);
	assert_error(tarn_kv_get(s->kv, (tarn_buf){ all, 256 }, buf, &len, NULL), REC2BIG);
	assert_says("256 bytes");
	assert_int_equal(len, 256);
	assert_string_equal(buf, "before");
	len = sizeof(buf);
	assert_error(tarn_kv_get(s->kv, text("absent"), buf, &len, NULL), NONEXIST);
	assert_says("stadium");
	assert_int_equal(len, 0);
	assert_string_equal(buf, "before");
}

static void test_conditions(void **state)
{
	struct scratch *s = *state;
	tarn_kv_stat	first, second;

	assert_error(tarn_kv_put(s->kv, text("k"), text("v"), TARN_COND_UPDATE, NULL), NONEXIST);
	assert_ok(tarn_kv_put(s->kv, text("k"), text("v"), TARN_COND_INSERT, NULL));
	assert_error(tarn_kv_put(s->kv, text("k"), text("w"), TARN_COND_INSERT, NULL), EXIST);
	assert_ok(tarn_kv_exists(s->kv, text("k"), &first, NULL));
	assert_int_equal(first.size, 1);
	assert_ok(tarn_kv_put(s->kv, text("k"), text("www"), TARN_COND_UPDATE, NULL));
	assert_ok(tarn_kv_exists(s->kv, text("k"), &second, NULL));
	assert_int_equal(second.size, 3);
	assert_true(second.revision > first.revision);
	assert_error(tarn_kv_put(s->kv, text("k"), text("v"), TARN_COND_REVISION, NULL), INVAL);
	assert_error(tarn_kv_put(s->kv, text("k"), text("v"), (tarn_cond)9, NULL), INVAL);
	assert_error(tarn_kv_del(s->kv, text("k"), TARN_COND_INSERT, NULL), INVAL);
	assert_ok(tarn_kv_del(s->kv, text("k"), TARN_COND_UPDATE, NULL));
	assert_error(tarn_kv_del(s->kv, text("k"), TARN_COND_UPDATE, NULL), NONEXIST);
	assert_ok(tarn_kv_del(s->kv, text("k"), TARN_COND_NONE, NULL));
	assert_error(tarn_kv_exists(s->kv, text("k"), NULL, NULL), NONEXIST);
}

static void test_limits(void **state)
{
	struct scratch *s	= *state;
	char	       *key	= calloc(1, TARN_KEY_MAX + 1);
	tarn_buf	longest = { key, TARN_KEY_MAX };
	tarn_range	range	= { .start = { key, TARN_KEY_MAX + 1 } };
	uint64_t	count;

	assert_ok(tarn_kv_put(s->kv, longest, text("v"), TARN_COND_NONE, NULL));
	assert_value(s->kv, longest, text("v"));
	assert_error(tarn_kv_put(s->kv, (tarn_buf){ key, TARN_KEY_MAX + 1 }, text("v"), TARN_COND_NONE, NULL), KEY2BIG);
	assert_says("65537");
	assert_says("65536");
	assert_error(tarn_kv_put(s->kv, (tarn_buf){ key, 0 }, text("v"), TARN_COND_NONE, NULL), INVAL);
	assert_error(tarn_kv_put(s->kv, (tarn_buf){ NULL, 3 }, text("v"), TARN_COND_NONE, NULL), INVAL);
	assert_error(tarn_kv_put(s->kv, text("k"), (tarn_buf){ key, TARN_VALUE_MAX + 1 }, TARN_COND_NONE, NULL), REC2BIG);
	assert_says("4294967297");
	assert_error(tarn_kv_count(s->kv, &range, &count, NULL), KEY2BIG);
	range = (tarn_range){ .flags = 64 };
	assert_error(tarn_kv_count(s->kv, &range, &count, NULL), INVAL);
	free(key);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 511, 4096, 16384, 65535, 65536, 65537, 1 << 20, (3 << 20) + 7 };
	struct scratch	   *s	    = *state;
	char		    key[16], *val = malloc(4 << 20);

	assert_non_null(val);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			snprintf(key, sizeof(key), "%zu", sizes[i]);
			test_fill(val, sizes[i], i + 1);
			if (round == 0)
				assert_ok(tarn_kv_put(s->kv, text(key), (tarn_buf){ val, sizes[i] }, TARN_COND_NONE, NULL));
			assert_value(s->kv, text(key), (tarn_buf){ val, sizes[i] });
		}
		scratch_reopen(s);
	}
	free(val);
}

/* ---- ranges, against a list of all keys ---- */

#define MODEL_KEYS 400

struct model {
	tarn_buf keys[MODEL_KEYS]; /* sorted, without doubles */
	size_t	 n;
};

static int compare(tarn_buf a, tarn_buf b)
{
	int order = memcmp(a.ptr, b.ptr, MIN(a.len, b.len));

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Few letters, 0x00 and 0xff among them, so that prefixes meet and successors overflow. */
static tarn_buf random_key(struct rng *rng, size_t shortest)
{
	static const uint8_t letters[] = { 0x00, 0x01, 'a', 0xfe, 0xff };
	size_t		     len       = shortest + rng_below(rng, 5);
	uint8_t		    *key       = malloc(len + 1);

	assert_non_null(key);
	for (size_t i = 0; i < len; i++)
		key[i] = letters[rng_below(rng, sizeof(letters))];
	return (tarn_buf){ key, len };
}

static void model_add(struct model *model, tarn_buf key)
{
	size_t i = 0;

	while (i < model->n && compare(model->keys[i], key) < 0)
		i++;
	if (i < model->n && compare(model->keys[i], key) == 0) {
		free((void *)key.ptr);
		return;
	}
	memmove(&model->keys[i + 1], &model->keys[i], (model->n++ - i) * sizeof(key));
	model->keys[i] = key;
}

static bool in_range(tarn_buf key, const tarn_range *range)
{
	if (key.len < range->prefix.len || memcmp(key.ptr, range->prefix.ptr, range->prefix.len) != 0)
		return false;
	if (range->start.len && compare(key, range->start) < (range->flags & TARN_RANGE_AFTER ? 1 : 0))
		return false;
	return range->end.len == 0 || compare(key, range->end) < 0;
}

static size_t model_select(const struct model *model, const tarn_range *range, tarn_buf *keys)
{
	size_t n = 0;

	for (size_t i = 0; i < model->n; i++)
		if (in_range(model->keys[i], range))
			keys[n++] = model->keys[i];
	for (size_t i = 0; range->flags & TARN_RANGE_REVERSE && i < n / 2; i++) {
		tarn_buf key	= keys[i];
		keys[i]		= keys[n - 1 - i];
		keys[n - 1 - i] = key;
	}
	return n;
}

/* Lists the range in small batches, as its header says, and compares each entry. */
static void check_list(tarn_kv *kv, const tarn_range *given, const tarn_buf *keys, size_t n)
{
	tarn_range   range   = *given;
	tarn_listing listing = { .more = 1 };
	uint64_t     buf[40];
	uint8_t	     last[16];
	size_t	     seen = 0;

	while (listing.more) {
		const uint8_t *at = (const uint8_t *)buf;

		assert_ok(tarn_kv_list(kv, &range, 5, buf, sizeof(buf), &listing, NULL));
		assert_true(listing.count <= 5 && seen + listing.count <= n);
		assert_true(listing.count > 0 || !listing.more);
		for (uint32_t i = 0; i < listing.count; i++, seen++) {
			const tarn_entry *entry = (const void *)at;

			assert_int_equal(entry->key_len, keys[seen].len);
			assert_memory_equal(entry + 1, keys[seen].ptr, keys[seen].len);
			assert_int_equal(entry->val_len, keys[seen].len);
			assert_int_equal(entry->flags, range.flags & TARN_RANGE_KEYS_ONLY ? TARN_ENTRY_OMITTED : 0);
			if (!entry->flags)
				assert_memory_equal((const char *)(entry + 1) + entry->key_len, keys[seen].ptr, keys[seen].len);
			memcpy(last, entry + 1, entry->key_len);
			at += ROUND_UP(sizeof(*entry) + entry->key_len + (entry->flags ? 0 : entry->val_len), 8);
			if (range.flags & TARN_RANGE_REVERSE)
				range.end = (tarn_buf){ last, entry->key_len };
			else
				range.start = (tarn_buf){ last, entry->key_len };
		}
		range.flags |= range.flags & TARN_RANGE_REVERSE ? 0 : TARN_RANGE_AFTER;
	}
	assert_int_equal(seen, n);
}

static tarn_range random_range(struct rng *rng)
{
	static const uint32_t flags[] = { 0, TARN_RANGE_AFTER, TARN_RANGE_REVERSE, TARN_RANGE_REVERSE | TARN_RANGE_AFTER,
					  TARN_RANGE_KEYS_ONLY };
	tarn_range	      range   = { .flags = flags[rng_below(rng, ARRAY_LEN(flags))] };

	range.prefix	 = random_key(rng, 0);
	range.start	 = random_key(rng, 0);
	range.end	 = random_key(rng, 0);
	range.prefix.len = rng_below(rng, 2) ? MIN(range.prefix.len, 2) : 0;
	range.start.len	 = rng_below(rng, 2) ? range.start.len : 0;
	range.end.len	 = rng_below(rng, 2) ? range.end.len : 0;
	return range;
}

static void free_range(const tarn_range *range)
{
	free((void *)range->prefix.ptr);
	free((void *)range->start.ptr);
	free((void *)range->end.ptr);
}

static void test_ranges(void **state)
{
	struct scratch *s     = *state;
	struct model	model = { .n = 0 };
	struct rng	rng;
	tarn_buf	keys[MODEL_KEYS];
	tarn_kv	       *other;
	uint64_t	count;

	rng_seed(&rng, test_seed());
	assert_ok(tarn_kv_open(s->cont, "neighbour", TARN_KV_CREATE, &other, NULL)); /* its keys must never show */
	put_text(other, "a", "of the neighbour");
	for (int i = 0; i < MODEL_KEYS; i++)
		model_add(&model, random_key(&rng, 1));
	for (size_t i = 0; i < model.n; i++)
		assert_ok(tarn_kv_put(s->kv, model.keys[i], model.keys[i], TARN_COND_NONE, NULL));
	for (int i = 0; i < 400; i++) {
		tarn_range range = random_range(&rng);
		size_t	   n	 = model_select(&model, &range, keys);

		assert_ok(tarn_kv_count(s->kv, &range, &count, NULL));
		assert_int_equal(count, n);
		check_list(s->kv, &range, keys, n);
		free_range(&range);
	}
	assert_ok(tarn_kv_count(s->kv, NULL, &count, NULL));
	assert_int_equal(count, model.n);
	for (size_t i = 0; i < model.n; i++)
		free((void *)model.keys[i].ptr);
	assert_ok(tarn_kv_close(other));
}

static void test_del_range(void **state)
{
	struct scratch *s     = *state;
	tarn_range	range = { .prefix = text("b") };
	uint64_t	count;
	char		key[32];

	for (int i = 0; i < 2500; i++) {
		snprintf(key, sizeof(key), "%c%04d", "abc"[i % 3], i);
		put_text(s->kv, key, "v");
	}
	assert_ok(tarn_kv_del_range(s->kv, &range, &count, NULL));
	assert_int_equal(count, 833);
	assert_ok(tarn_kv_count(s->kv, &range, &count, NULL));
	assert_int_equal(count, 0);
	assert_ok(tarn_kv_del_range(s->kv, NULL, &count, NULL));
	assert_int_equal(count, 1667);
	assert_ok(tarn_kv_del_range(s->kv, NULL, NULL, NULL));
}

static void test_list_omits_long(void **state)
{
	struct scratch	 *s = *state;
	static uint64_t	  buf[(TARN_KEY_MAX + 32) / 8];
	const tarn_entry *entry = (const void *)buf;
	char		 *val	= calloc(1, TARN_LIST_VALUE_MAX + 1);
	tarn_listing	  listing;

	assert_ok(tarn_kv_put(s->kv, text("long"), (tarn_buf){ val, TARN_LIST_VALUE_MAX + 1 }, TARN_COND_NONE, NULL));
	assert_ok(tarn_kv_list(s->kv, NULL, 0, buf, sizeof(buf), &listing, NULL));
	assert_int_equal(listing.count, 1);
	assert_int_equal(listing.more, 0);
	assert_int_equal(entry->flags, TARN_ENTRY_OMITTED);
	assert_int_equal(entry->val_len, TARN_LIST_VALUE_MAX + 1);
	assert_error(tarn_kv_list(s->kv, NULL, 0, buf, 24, &listing, NULL), KEY2BIG);
	assert_error(tarn_kv_list(s->kv, NULL, 0, (char *)buf + 1, 1000, &listing, NULL), INVAL);
	free(val);
}

/* ---- batches ---- */

static void test_apply(void **state)
{
	struct scratch *s	= *state;
	tarn_mutation	muts[3] = {
		  { .key = text("a"), .val = text("1") },
		  { .key = text("b"), .val = text("2"), .cond = TARN_COND_INSERT },
		  { .key = text("c"), .change = TARN_CHANGE_DEL },
	};
	tarn_kv_stat stat;
	size_t	     failed = 9;
	uint64_t     count;

	put_text(s->kv, "c", "3");
	assert_ok(tarn_kv_apply(s->kv, muts, 3, &failed, NULL));
	assert_int_equal(failed, 9);
	assert_ok(tarn_kv_count(s->kv, NULL, &count, NULL));
	assert_int_equal(count, 2);

	muts[0].val = text("changed");
	assert_error(tarn_kv_apply(s->kv, muts, 3, &failed, NULL), EXIST);
	assert_says("mutation 1");
	assert_int_equal(failed, 1);
	assert_value(s->kv, text("a"), text("1"));

	assert_ok(tarn_kv_exists(s->kv, text("b"), &stat, NULL));
	muts[1] = (tarn_mutation){ .key = text("b"), .val = text("x"), .cond = TARN_COND_REVISION, .revision = stat.revision };
	assert_ok(tarn_kv_apply(s->kv, muts, 3, &failed, NULL));
	assert_error(tarn_kv_apply(s->kv, muts, 3, &failed, NULL), TX_RESTART);
	muts[1].revision = 0;
	assert_error(tarn_kv_apply(s->kv, muts, 3, &failed, NULL), TX_RESTART);
	assert_value(s->kv, text("a"), text("changed"));

	muts[2]	     = (tarn_mutation){ .key = text("a"), .change = TARN_CHANGE_DEL };
	muts[1].cond = TARN_COND_NONE;
	assert_error(tarn_kv_apply(s->kv, muts, 3, &failed, NULL), INVAL);
	muts[2] = (tarn_mutation){ .key = { "", 0 }, .change = TARN_CHANGE_DEL };
	assert_error(tarn_kv_apply(s->kv, muts, 3, &failed, NULL), INVAL);
	assert_int_equal(failed, 2);
	assert_error(tarn_kv_apply(s->kv, muts, 0, &failed, NULL), INVAL);
	assert_error(tarn_kv_apply(s->kv, muts, TARN_BATCH_MAX + 1, &failed, NULL), INVAL);
	assert_says("65537");
	scratch_reopen(s);
	assert_value(s->kv, text("a"), text("changed"));
	assert_value(s->kv, text("b"), text("x"));
}

/* A check changes nothing: it is only a condition, wherever it stands in the batch. */
static void test_check(void **state)
{
	struct scratch *s = *state;
	tarn_kv_stat	before, stat;
	size_t		failed = 9;
	tarn_mutation	muts[] = {
		  { .key = text("absent"), .change = TARN_CHANGE_CHECK, .cond = TARN_COND_INSERT },
		  { .key = text("a"), .val = text("2") },
		  { .key = text("b"), .change = TARN_CHANGE_CHECK, .cond = TARN_COND_REVISION },
	};

	put_text(s->kv, "a", "1");
	put_text(s->kv, "b", "kept");
	assert_ok(tarn_kv_exists(s->kv, text("b"), &before, NULL));
	assert_error(tarn_kv_apply(s->kv, muts, 3, &failed, NULL), TX_RESTART);
	assert_int_equal(failed, 2);
	assert_value(s->kv, text("a"), text("1"));
	muts[2].revision = before.revision;
	assert_ok(tarn_kv_apply(s->kv, muts, 3, NULL, NULL));
	assert_value(s->kv, text("a"), text("2"));
	assert_ok(tarn_kv_exists(s->kv, text("b"), &stat, NULL));
	assert_int_equal(stat.revision, before.revision);
	assert_error(tarn_kv_exists(s->kv, text("absent"), NULL, NULL), NONEXIST);

	assert_ok(tarn_kv_apply(s->kv, &muts[2], 1, NULL, NULL)); /* checks alone */
	muts[0].key = text("a");
	assert_error(tarn_kv_apply(s->kv, muts, 1, &failed, NULL), EXIST);
	assert_int_equal(failed, 0);
	assert_error(tarn_kv_apply(s->kv, muts, 3, &failed, NULL), INVAL); /* a key twice */
	muts[0].change = (tarn_change)4;
	assert_error(tarn_kv_apply(s->kv, muts, 1, &failed, NULL), INVAL);
	scratch_reopen(s);
	assert_value(s->kv, text("a"), text("2"));
	assert_value(s->kv, text("b"), text("kept"));
}

/* ---- values in pieces ---- */

static void write_pieces(tarn_writer *writer, const uint8_t *val, size_t len, size_t piece)
{
	for (size_t at = 0; at < len; at += piece)
		assert_ok(tarn_writer_write(writer, (tarn_buf){ val + at, MIN(piece, len - at) }, NULL));
}

static void test_writer(void **state)
{
	struct scratch *s    = *state;
	const size_t	size = (2 << 20) + 12345;
	uint8_t	       *val  = malloc(size);
	tarn_writer    *writer;

	assert_non_null(val);
	test_fill(val, size, 5);
	assert_ok(tarn_writer_open(s->kv, text("w"), TARN_COND_INSERT, &writer));
	write_pieces(writer, val, size, 100001);
	assert_error(tarn_kv_exists(s->kv, text("w"), NULL, NULL), NONEXIST);
	assert_error(tarn_kv_close(s->kv), BUSY);
	assert_ok(tarn_writer_commit(writer, NULL));
	assert_value(s->kv, text("w"), (tarn_buf){ val, size });

	assert_ok(tarn_writer_open(s->kv, text("w"), TARN_COND_INSERT, &writer));
	write_pieces(writer, val, 1000, 1000);
	assert_error(tarn_writer_commit(writer, NULL), EXIST);
	assert_ok(tarn_writer_open(s->kv, text("w"), TARN_COND_NONE, &writer));
	write_pieces(writer, val, 1000000, 65536);
	assert_ok(tarn_writer_abort(writer));
	assert_value(s->kv, text("w"), (tarn_buf){ val, size });
	assert_ok(tarn_writer_open(s->kv, text("empty"), TARN_COND_NONE, &writer));
	assert_ok(tarn_writer_commit(writer, NULL));
	assert_value(s->kv, text("empty"), (tarn_buf){ NULL, 0 });
	scratch_reopen(s);
	assert_value(s->kv, text("w"), (tarn_buf){ val, size });
	free(val);
}

static void test_writer_limit(void **state)
{
	struct scratch *s     = *state;
	tarn_prop	limit = { .id = TARN_PROP_VALUE_MAX, .number = 100 };
	tarn_writer    *writer;
	char		val[60] = { 1 };

	assert_ok(tarn_cont_set_props(s->cont, &limit, 1, NULL));
	assert_ok(tarn_writer_open(s->kv, text("w"), TARN_COND_NONE, &writer));
	assert_ok(tarn_writer_write(writer, (tarn_buf){ val, 60 }, NULL));
	assert_error(tarn_writer_write(writer, (tarn_buf){ val, 60 }, NULL), REC2BIG);
	assert_says("120");
	assert_ok(tarn_writer_write(writer, (tarn_buf){ val, 40 }, NULL));
	assert_ok(tarn_writer_commit(writer, NULL));
	assert_error(tarn_writer_open(s->kv, (tarn_buf){ val, TARN_KEY_MAX + 1 }, TARN_COND_NONE, &writer), KEY2BIG);
}

static void check_pieces(tarn_reader *reader, const uint8_t *val, size_t size, size_t piece)
{
	uint8_t *got = malloc(piece);
	size_t	 len = piece;
	uint64_t at  = 0;

	assert_non_null(got);
	while (len) {
		len = piece;
		assert_ok(tarn_reader_read(reader, at, got, &len, NULL));
		assert_int_equal(len, MIN(piece, size - at));
		assert_memory_equal(got, val + at, len);
		at += len;
	}
	assert_int_equal(at, size);
	free(got);
}

static void test_reader(void **state)
{
	struct scratch *s    = *state;
	const size_t	size = (1 << 20) + 777;
	uint8_t	       *val  = malloc(size);
	tarn_reader    *reader;
	tarn_kv_stat	stat;

	assert_non_null(val);
	test_fill(val, size, 6);
	assert_ok(tarn_kv_put(s->kv, text("r"), (tarn_buf){ val, size }, TARN_COND_NONE, NULL));
	put_text(s->kv, "small", "few bytes");
	assert_ok(tarn_reader_open(s->kv, text("r"), &stat, &reader, NULL));
	assert_int_equal(stat.size, size);
	assert_error(tarn_kv_close(s->kv), BUSY);
	put_text(s->kv, "r", "another"); /* the reader does not see it */
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	put_text(s->kv, "r2", "more");
	check_pieces(reader, val, size, 70000);
	assert_ok(tarn_reader_close(reader));
	assert_value(s->kv, text("r"), text("another"));
	assert_ok(tarn_reader_open(s->kv, text("small"), NULL, &reader, NULL));
	check_pieces(reader, (const uint8_t *)"few bytes", 9, 4);
	assert_ok(tarn_reader_close(reader));
	assert_error(tarn_reader_open(s->kv, text("absent"), NULL, &reader, NULL), NONEXIST);
	assert_null(reader);
	free(val);
}

/* ---- many threads ---- */

#define THREADS	   4
#define PER_THREAD 300

struct crowd {
	tarn_kv *kv;
	int	 number;
	int	 rc;
};

static void *crowd_member(void *arg)
{
	struct crowd *me = arg;
	char	      key[32], got[32];

	for (int i = 0; i < PER_THREAD && me->rc == 0; i++) {
		size_t len = sizeof(got);

		snprintf(key, sizeof(key), "%d of %d", i, me->number);
		me->rc = tarn_kv_put(me->kv, text(key), text(key), TARN_COND_INSERT, NULL);
		if (me->rc == 0)
			me->rc = tarn_kv_get(me->kv, text(key), got, &len, NULL);
		if (me->rc == 0 && (len != strlen(key) || memcmp(got, key, len) != 0))
			me->rc = -TARN_E_MISMATCH;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct scratch *s = *state;
	struct crowd	crowd[THREADS];
	pthread_t	threads[THREADS];
	uint64_t	count;

	for (int i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){ .kv = s->kv, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &crowd[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(crowd[i].rc, 0);
	}
	assert_ok(tarn_kv_count(s->kv, NULL, &count, NULL));
	assert_int_equal(count, THREADS * PER_THREAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_put_get),	    scratch_test(test_conditions),   scratch_test(test_limits),
		scratch_test(test_sizes),	    scratch_test(test_ranges),	     scratch_test(test_del_range),
		scratch_test(test_list_omits_long), scratch_test(test_apply),	     scratch_test(test_check),
		scratch_test(test_writer),	    scratch_test(test_writer_limit), scratch_test(test_reader),
		scratch_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
