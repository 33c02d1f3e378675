/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_verify.c: check and scrub through the public API: what they name, and what stays readable. */
#include "api_scratch.h"
#include "file_tools.h"
#include <time.h>

#define KEYS	3000
#define MARK	512 /* bytes that are found in the file */
#define REPORTS 16

struct told {
	char	 what[TARN_MESSAGE_MAX], container[TARN_LABEL_MAX + 1], object[TARN_OBJECT_NAME_MAX + 1];
	char	 last_object[TARN_OBJECT_NAME_MAX + 1], low[32], high[32];
	uint64_t offset, length, epoch;
};

struct report {
	struct told told[REPORTS];
	unsigned    n;
	uint64_t    progressed;
};

static void copy_key(char to[32], tarn_buf key)
{
	assert_true(key.len < 32);
	memset(to, 0, 32);
	if (key.len)
		memcpy(to, key.ptr, key.len);
}

static void found(void *arg, const tarn_finding *finding)
{
	struct report *report = arg;
	struct told   *told   = &report->told[report->n++];

	assert_true(report->n <= REPORTS);
	snprintf(told->what, sizeof(told->what), "%s", finding->what);
	snprintf(told->container, sizeof(told->container), "%s", finding->container);
	snprintf(told->object, sizeof(told->object), "%s", finding->object);
	snprintf(told->last_object, sizeof(told->last_object), "%s", finding->last_object);
	copy_key(told->low, finding->low);
	copy_key(told->high, finding->high);
	told->offset = finding->offset;
	told->length = finding->length;
	told->epoch  = finding->epoch;
}

static void progress(void *arg, uint64_t done, uint64_t all)
{
	struct report *report = arg;

	assert_true(done >= report->progressed && done <= all);
	report->progressed = done;
}

static tarn_check_options options_of(struct report *report)
{
	memset(report, 0, sizeof(*report));
	return (tarn_check_options){
		.struct_size = sizeof(tarn_check_options), .arg = report, .found = found, .progress = progress
	};
}

static tarn_buf key_of(unsigned i, char buf[16])
{
	snprintf(buf, 16, "key%05u", i);
	return text(buf);
}

static void fill(tarn_kv *kv)
{
	tarn_mutation muts[100];
	char	      keys[100][16], vals[100][64];

	for (unsigned i = 0; i < KEYS; i += 100) {
		for (unsigned k = 0; k < 100; k++) {
			snprintf(vals[k], 64, "the value of number %05u in its place", i + k);
			muts[k] = (tarn_mutation){ .key = key_of(i + k, keys[k]), .val = text(vals[k]) };
		}
		assert_ok(tarn_kv_apply(kv, muts, 100, NULL, NULL));
	}
}

/* Once in the log and once in its leaf, or in its piece: the last one is not the log's. */
static off_t damage(const struct scratch *s, const void *bytes, size_t len)
{
	uint8_t *all = malloc(32 << 20), *at, *last = NULL, bad;
	char	 path[512];
	int	 fd;
	ssize_t	 n;

	assert_non_null(all);
	scratch_path(s, "tank.pool", path);
	fd = open(path, O_RDWR);
	n  = read(fd, all, 32 << 20);
	assert_true(n > 0);
	for (at = all; (at = memmem(at, (size_t)(all + n - at), bytes, len)) != NULL; at++)
		last = at;
	assert_non_null(last);
	bad = *last ^ 1;
	assert_int_equal(pwrite(fd, &bad, 1, last - all), 1);
	close(fd);
	n = last - all;
	free(all);
	return n;
}

static void test_whole(void **state)
{
	struct scratch	  *s = *state;
	struct report	   report;
	tarn_check_options options = options_of(&report);
	tarn_check_result  checked = { 0 }, scrubbed = { 0 };

	fill(s->kv);
	assert_ok(tarn_snap_create(s->cont, NULL, NULL, NULL));
	fill(s->kv);
	assert_ok(tarn_pool_check(s->pool, &options, &checked, NULL));
	assert_int_equal(report.n, 0);
	assert_int_equal(checked.findings, 0);
	assert_true(checked.bytes > 2 * KEYS * 64);
	assert_ok(tarn_pool_scrub(s->pool, &options, &scrubbed, NULL));
	assert_int_equal(report.n, 0);
	assert_true(scrubbed.bytes > 2 * KEYS * 64);
	assert_ok(tarn_pool_check(s->pool, NULL, NULL, NULL));
	assert_ok(tarn_pool_scrub(s->pool, NULL, NULL, NULL));
	assert_error(tarn_pool_check(NULL, NULL, NULL, NULL), NO_HDL);
	assert_error(tarn_pool_scrub(NULL, NULL, NULL, NULL), NO_HDL);
	options.struct_size = 3;
	assert_error(tarn_pool_scrub(s->pool, &options, NULL, NULL), INVAL);
}

typedef int (*verify_fn)(tarn_pool *pool, const tarn_check_options *options, tarn_check_result *result, tarn_event *ev);
static const verify_fn both[] = { tarn_pool_check, tarn_pool_scrub };

/* The rest of the object, and other objects, are there. */
static unsigned unreadable(tarn_kv *kv, unsigned *first, unsigned *last)
{
	unsigned n = 0;
	char	 key[16], buf[64];

	for (unsigned i = 0; i < KEYS; i++) {
		size_t len = sizeof(buf);
		int    rc  = tarn_kv_get(kv, key_of(i, key), buf, &len, NULL);

		assert_true(rc == 0 || rc == -TARN_E_CSUM);
		if (!rc)
			continue;
		*first = n++ ? *first : i;
		*last  = i;
	}
	return n;
}

static void test_damaged_leaf(void **state)
{
	struct scratch *s = *state;
	unsigned	first, last;
	off_t		at;
	char		key[16];

	fill(s->kv);
	scratch_close(s);
	at = damage(s, "number 01500 in its", 19);
	scratch_open(s);
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct report	   report;
		tarn_check_options options = options_of(&report);
		tarn_check_result  result  = { 0 };

		assert_error(both[i](s->pool, &options, &result, NULL), CSUM);
		assert_int_equal(report.n, 1);
		assert_int_equal(result.findings, 1);
		assert_string_equal(report.told[0].container, "neo");
		assert_string_equal(report.told[0].object, "stadium");
		assert_string_equal(report.told[0].last_object, "stadium");
		assert_true(report.told[0].offset <= (uint64_t)at &&
			    (uint64_t)at < report.told[0].offset + report.told[0].length);
		assert_int_equal(report.told[0].epoch, 0);
		assert_true(unreadable(s->kv, &first, &last) > 0);
		assert_true(first <= 1500 && last >= 1500 && last - first < KEYS / 4);
		key_of(first, key);
		assert_true(strcmp(report.told[0].low, key) <= 0 && strcmp(report.told[0].high, key) > 0);
		key_of(last, key);
		assert_true(strcmp(report.told[0].low, key) <= 0 && strcmp(report.told[0].high, key) > 0);
	}
	scratch_close(s);
	s->pool = NULL;
}

static void test_damaged_value(void **state)
{
	struct scratch *s   = *state;
	size_t		len = 300000;
	uint8_t	       *val = malloc(len);

	assert_non_null(val);
	test_fill(val, len, 7);
	assert_ok(tarn_kv_put(s->kv, text("big"), (tarn_buf){ val, len }, TARN_COND_NONE, NULL));
	put_text(s->kv, "small", "1");
	scratch_close(s);
	damage(s, val + 100000, MARK);
	scratch_open(s);
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct report	   report;
		tarn_check_options options = options_of(&report);
		size_t		   room	   = len;

		assert_error(both[i](s->pool, &options, NULL, NULL), CSUM);
		assert_int_equal(report.n, 1);
		assert_string_equal(report.told[0].object, "stadium");
		assert_string_equal(report.told[0].low, "big");
		assert_error(tarn_kv_get(s->kv, text("big"), val, &room, NULL), CSUM);
		assert_value(s->kv, text("small"), text("1"));
	}
	free(val);
	scratch_close(s);
	s->pool = NULL;
}

/* What only a snapshot has is named with its epoch; the container as it is is whole. */
static void test_damaged_snapshot(void **state)
{
	struct scratch	  *s = *state;
	struct report	   report;
	tarn_check_options options = options_of(&report);
	unsigned	   first, last;
	uint64_t	   epoch;

	put_text(s->kv, "key00000", "only the snapshot has this sentence of mine");
	assert_ok(tarn_snap_create(s->cont, "old", &epoch, NULL));
	fill(s->kv);
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	scratch_close(s);
	damage(s, "only the snapshot has this sentence of mine", 40);
	scratch_open(s);
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		options = options_of(&report);
		assert_error(both[i](s->pool, &options, NULL, NULL), CSUM);
		assert_int_equal(report.n, 1);
		assert_string_equal(report.told[0].container, "neo");
		assert_int_equal(report.told[0].epoch, epoch);
		assert_int_equal(unreadable(s->kv, &first, &last), 0);
	}
	scratch_close(s);
	s->pool = NULL;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 4 MiB at 8 MiB a second are half a second; aborted, it ends long before its time. */
static void test_rate_and_abort(void **state)
{
	struct scratch	  *s	   = *state;
	tarn_check_options options = { .struct_size = sizeof(options), .bytes_per_second = 8 << 20 };
	tarn_check_result  result;
	size_t		   len = 4 << 20;
	uint8_t		  *val = calloc(1, len);
	uint64_t	   begun;
	tarn_event	   ev;

	assert_non_null(val);
	test_fill(val, len, 3);
	assert_ok(tarn_kv_put(s->kv, text("big"), (tarn_buf){ val, len }, TARN_COND_NONE, NULL));
	free(val);
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	begun = now_ms();
	assert_ok(tarn_pool_scrub(s->pool, &options, &result, NULL));
	assert_true(now_ms() - begun >= 400);
	assert_true(result.bytes >= len);

	options.bytes_per_second = 4096;
	tarn_event_init(&ev, NULL, NULL, 0);
	assert_ok(tarn_pool_scrub(s->pool, &options, &result, &ev));
	assert_int_equal(tarn_event_wait(&ev, 200000), -TARN_E_TIMEDOUT);
	assert_ok(tarn_event_abort(&ev));
	assert_int_equal(tarn_event_wait(&ev, -1), -TARN_E_CANCELED);
}

/* ---- beside other calls ---- */

struct writer {
	struct scratch *s;
	_Atomic bool	stop;
	uint64_t	done;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;
	struct rng     rng;
	uint64_t       epochs[8] = { 0 };
	static char    val[8000]; /* in extents; and all of them, in each of the snapshots, fit into the pool */

	rng_seed(&rng, test_seed());
	while (!w->stop) {
		uint64_t what = rng_below(&rng, 100), i = rng_below(&rng, 8);
		char	 key[16];

		if (what < 90) {
			size_t len = what < 10 ? sizeof(val) : 100;

			test_fill(val, len, w->done);
			assert_ok(tarn_kv_put(w->s->kv, key_of((unsigned)rng_below(&rng, KEYS), key), (tarn_buf){ val, len },
					      TARN_COND_NONE, NULL));
		} else if (what < 97 && epochs[i]) {
			assert_ok(tarn_snap_destroy(w->s->cont, epochs[i], NULL));
			epochs[i] = 0;
		} else if (what < 97) {
			assert_ok(tarn_snap_create(w->s->cont, NULL, &epochs[i], NULL));
		} else {
			assert_ok(tarn_pool_checkpoint(w->s->pool, NULL));
		}
		w->done++;
	}
	return NULL;
}

static void test_beside_changes(void **state)
{
	struct scratch *s     = *state;
	tarn_prop	prop  = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_RELAXED };
	struct writer	w     = { .s = s };
	uint64_t	until = now_ms() + test_number("MS", 3000), rounds = 0;
	pthread_t	thread;

	(void)test_seed();
	assert_ok(tarn_cont_set_props(s->cont, &prop, 1, NULL));
	fill(s->kv);
	assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
	for (; now_ms() < until; rounds++)
		assert_ok(both[rounds % 4 == 0 ? 0 : 1](s->pool, NULL, NULL, NULL));
	w.stop = true;
	pthread_join(thread, NULL);
	printf("# %" PRIu64 " checks and scrubs beside %" PRIu64 " changes\n", rounds, w.done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_whole),	   scratch_test(test_damaged_leaf),
		scratch_test(test_damaged_value),  scratch_test(test_damaged_snapshot),
		scratch_test(test_rate_and_abort), scratch_test(test_beside_changes),
	};

	return cmocka_run_group_tests_name("check and scrub", tests, NULL, NULL);
}
