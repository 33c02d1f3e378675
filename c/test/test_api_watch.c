/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_watch.c: tarn/watch.h on a real pool: what is shown, how a wait begins and ends, and every error. */
#include "api_scratch.h"

#include <stdatomic.h>
#include <tarn/snap.h>

static const tarn_buf all = { NULL, 0 };

struct feed {
	tarn_watch  *watch;
	tarn_changes out;
	uint64_t     buf[16384];
	char	     text[4096]; /* what came, as "revision:key=value", "revision:-key" */
};

static void begin(struct scratch *s, struct feed *f, uint64_t start, const char *prefix, unsigned flags)
{
	memset(&f->out, 0, sizeof(f->out));
	assert_ok(tarn_watch_open(s->kv, start, text(prefix), flags, &f->out, &f->watch, NULL));
}

/* One entry, with its revision counted from `base` on. */
static const uint8_t *describe(struct feed *f, const uint8_t *at, uint64_t base)
{
	const tarn_entry *e   = (const void *)at;
	const char	 *key = (const char *)at + sizeof(*e);
	size_t		  len = e->flags & TARN_ENTRY_OMITTED ? 0 : e->val_len, n = strlen(f->text);
	char		 *to = f->text + n;

	if (e->flags & TARN_ENTRY_DELETED)
		snprintf(to, sizeof(f->text) - n, " %d:-%.*s", (int)(e->revision - base), (int)e->key_len, key);
	else if (e->flags & TARN_ENTRY_OMITTED)
		snprintf(to, sizeof(f->text) - n, " %d:%.*s(%d)", (int)(e->revision - base), (int)e->key_len, key,
			 (int)e->val_len);
	else
		snprintf(to, sizeof(f->text) - n, " %d:%.*s=%.*s", (int)(e->revision - base), (int)e->key_len, key, (int)len,
			 key + e->key_len);
	return at + ROUND_UP(sizeof(*e) + e->key_len + len, (size_t)8);
}

static int look(struct feed *f, size_t cap, uint64_t base)
{
	const uint8_t *at = (const uint8_t *)f->buf;
	int	       rc = tarn_watch_next(f->watch, f->buf, cap, &f->out, NULL);

	f->text[0] = '\0';
	for (uint32_t i = 0; !rc && i < f->out.count; i++)
		at = describe(f, at, base);
	return rc;
}

static void expect(struct feed *f, uint64_t base, const char *want)
{
	assert_ok(look(f, sizeof(f->buf), base));
	assert_string_equal(f->text, want);
	assert_int_equal(f->out.revision, f->out.latest);
	assert_int_equal(f->out.more, 0);
}

static void apply(struct scratch *s, const char *a, const char *b, const char *gone)
{
	tarn_mutation muts[] = {
		{ .key = text(a), .val = text("1") },
		{ .key = text(b), .val = text("2") },
		{ .key = text(gone), .change = TARN_CHANGE_DEL },
	};

	assert_ok(tarn_kv_apply(s->kv, muts, ARRAY_LEN(muts), NULL, NULL));
}

static void test_shows(void **state)
{
	struct scratch	  *s = *state;
	static char	   long_value[20000];
	static struct feed f, p, k;
	uint64_t	   base;

	put_text(s->kv, "before", "x");
	begin(s, &f, 0, "", 0);
	begin(s, &p, 0, "b", 0);
	begin(s, &k, 0, "", TARN_WATCH_KEYS_ONLY);
	base = f.out.revision;
	expect(&f, base, "");
	put_text(s->kv, "a", "one");
	apply(s, "b1", "c", "a");
	assert_ok(tarn_kv_put(s->kv, text("b2"), (tarn_buf){ long_value, sizeof(long_value) }, TARN_COND_NONE, NULL));
	put_text(s->kv, "d", "");
	assert_ok(tarn_kv_del(s->kv, text("not there"), TARN_COND_NONE, NULL));
	expect(&f, base, " 1:a=one 2:b1=1 2:c=2 2:-a 3:b2(20000) 4:d= 5:-not there");
	expect(&p, base, " 2:b1=1 3:b2(20000)");
	expect(&k, base, " 1:a(3) 2:b1(1) 2:c(1) 2:-a 3:b2(20000) 4:d(0) 5:-not there");
	expect(&f, base, "");
	assert_ok(tarn_watch_close(p.watch));
	begin(s, &p, base + 2, "c", 0); /* again, from there */
	expect(&p, base, " 2:c=2");
	assert_ok(tarn_watch_close(f.watch));
	assert_ok(tarn_watch_close(p.watch));
	assert_ok(tarn_watch_close(k.watch));
}

/* A buffer that is too small for a batch has a part of it; its revision is not reached before the rest has come. */
static void test_parts(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;
	uint64_t	   base;

	begin(s, &f, 0, "", 0);
	base = f.out.revision;
	apply(s, "a", "b", "c");
	assert_ok(look(&f, 64, base));
	assert_string_equal(f.text, " 1:a=1 1:b=2");
	assert_int_equal(f.out.revision, base);
	assert_int_equal(f.out.more, 1);
	expect(&f, base, " 1:-c");
	apply(s, "a", "b", "a long key that does not fit");
	assert_ok(look(&f, 40, base));
	assert_ok(look(&f, 40, base));
	assert_error(look(&f, 40, base), KEY2BIG);
	expect(&f, base, " 2:-a long key that does not fit");
	assert_ok(tarn_watch_close(f.watch));
}

/* Another watch goes on in the middle of a batch. A change that does not match is not counted. */
static void test_skip(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;
	uint64_t	   base;

	begin(s, &f, 0, "", 0);
	base = f.out.revision;
	apply(s, "a", "b", "bc");
	put_text(s->kv, "b", "3");
	assert_ok(look(&f, 64, base));
	assert_string_equal(f.text, " 1:a=1 1:b=2");
	assert_int_equal(f.out.position, 2);
	assert_error(tarn_watch_skip(f.watch, 2), INVAL);
	assert_ok(tarn_watch_close(f.watch));

	begin(s, &f, base + 1, "", 0);
	assert_ok(tarn_watch_skip(f.watch, 2));
	expect(&f, base, " 1:-bc 2:b=3");
	assert_int_equal(f.out.position, 0);
	assert_ok(tarn_watch_close(f.watch));

	begin(s, &f, base + 1, "b", 0);
	assert_ok(tarn_watch_skip(f.watch, 1));
	expect(&f, base, " 1:-bc 2:b=3");
	assert_ok(tarn_watch_close(f.watch));

	begin(s, &f, base + 1, "b", 0); /* more than it has: the next batch is whole */
	assert_ok(tarn_watch_skip(f.watch, UINT64_MAX));
	expect(&f, base, " 2:b=3");
	assert_ok(tarn_watch_close(f.watch));
	assert_error(tarn_watch_skip(NULL, 0), NO_HDL);
}

static void put_large(struct scratch *s, const char *key, size_t len, uint64_t seed)
{
	static uint8_t value[40000];

	test_fill(value, sizeof(value), seed);
	assert_ok(tarn_kv_put(s->kv, text(key), (tarn_buf){ value, len }, TARN_COND_NONE, NULL));
}

/* One large value, with an event, which does not wait on this thread. */
static void expect_large(struct feed *f, size_t len, uint64_t seed)
{
	static uint8_t	  want[40000];
	const tarn_entry *e = (const void *)f->buf;
	tarn_event	  ev;

	tarn_event_init(&ev, NULL, NULL, 0);
	assert_ok(tarn_watch_next(f->watch, f->buf, sizeof(*e) + e->key_len + len + 1, &f->out, &ev));
	assert_ok(tarn_event_wait(&ev, -1));
	test_fill(want, sizeof(want), seed);
	assert_int_equal(f->out.count, 1);
	assert_int_equal(e->flags, 0);
	assert_int_equal(e->val_len, len);
	assert_memory_equal((const uint8_t *)(e + 1) + e->key_len, want, len);
}

/* Values of up to what is asked for come whole, and as they were then. */
static void test_values(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;
	uint64_t	   base;

	begin(s, &f, 0, "", 0);
	base = f.out.revision;
	put_large(s, "k", 30000, 1);
	put_large(s, "k", 20000, 2); /* that was overwritten is still there */
	put_large(s, "k", 30001, 3);
	put_text(s->kv, "small", "value");
	assert_error(tarn_watch_values(NULL, 0), NO_HDL);
	assert_ok(tarn_watch_values(f.watch, 30000));
	assert_error(look(&f, 29999, base), REC2BIG);
	assert_int_equal(f.out.used, sizeof(tarn_entry) + 1 + 30000);
	assert_int_equal(f.out.count, 0);
	assert_int_equal(f.out.revision, base);
	assert_says("is too small for the next change");
	expect_large(&f, 30000, 1);
	assert_int_equal(f.out.revision, base + 1);
	expect_large(&f, 20000, 2);
	expect(&f, base, " 3:k(30001) 4:small=value");
	assert_ok(tarn_watch_values(f.watch, 4));
	put_text(s->kv, "small", "value");
	put_text(s->kv, "small", "four");
	expect(&f, base, " 5:small(5) 6:small=four");
	assert_ok(tarn_watch_close(f.watch));
	begin(s, &f, base + 1, "", TARN_WATCH_KEYS_ONLY);
	assert_ok(tarn_watch_values(f.watch, 30000));
	expect(&f, base, " 1:k(30000) 2:k(20000) 3:k(30001) 4:small(5) 5:small(5) 6:small(4)");
	assert_ok(tarn_watch_close(f.watch));
}

/* After a close and an open a watcher goes on, as after a reconnection. */
static void test_reopen(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;
	uint64_t	   base;

	begin(s, &f, 0, "", 0);
	base = f.out.revision;
	put_text(s->kv, "a", "1");
	put_text(s->kv, "b", "2");
	assert_error(tarn_pool_close(s->pool), BUSY);
	assert_ok(tarn_watch_close(f.watch));
	scratch_reopen(s);
	put_text(s->kv, "c", "3");
	begin(s, &f, base + 1, "", 0);
	expect(&f, base, " 1:a=1 2:b=2 3:c=3");
	assert_ok(tarn_watch_close(f.watch));
}

static void test_waits(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;
	tarn_event	   ev, other;
	uint64_t	   base;

	tarn_event_init(&ev, NULL, NULL, 0);
	tarn_event_init(&other, NULL, NULL, 0);
	begin(s, &f, 0, "", 0);
	base = f.out.revision;
	assert_ok(tarn_watch_wait(f.watch, &ev));
	assert_error(tarn_event_wait(&ev, 1000), TIMEDOUT);
	assert_error(tarn_watch_wait(f.watch, &other), BUSY);
	assert_error(tarn_watch_next(f.watch, f.buf, sizeof(f.buf), &f.out, NULL), BUSY);
	assert_error(tarn_watch_close(f.watch), BUSY);
	put_text(s->kv, "a", "1");
	assert_ok(tarn_event_wait(&ev, -1));
	assert_ok(tarn_watch_wait(f.watch, NULL)); /* it has not been looked at yet */
	expect(&f, base, " 1:a=1");
	assert_ok(tarn_watch_wait(f.watch, &ev));
	assert_ok(tarn_event_abort(&ev));
	assert_error(tarn_event_wait(&ev, -1), CANCELED);
	assert_error(tarn_event_abort(&ev), INVAL);
	assert_ok(tarn_watch_close(f.watch));
}

struct started {
	tarn_watch *watch;
	tarn_event  ev;
};

static void *start_wait(void *arg)
{
	struct started *started = arg;

	assert_ok(tarn_watch_wait(started->watch, &started->ev));
	return NULL;
}

/* A call that any thread began keeps its handle open, and counts on it until it ends on another. */
static void test_calls_of_threads(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;
	pthread_t	   thread;

	for (int i = 0; i < 20; i++) {
		struct started started;

		begin(s, &f, 0, "", 0);
		started.watch = f.watch;
		tarn_event_init(&started.ev, NULL, NULL, 0);
		assert_int_equal(pthread_create(&thread, NULL, start_wait, &started), 0);
		pthread_join(thread, NULL);
		assert_error(tarn_watch_close(f.watch), BUSY);
		assert_error(tarn_watch_next(f.watch, f.buf, sizeof(f.buf), &f.out, NULL), BUSY);
		put_text(s->kv, "a", "1");
		assert_ok(tarn_event_wait(&started.ev, -1));
		assert_ok(tarn_watch_close(f.watch));
	}
}

/* What is relaxed is shown when it is durable, which takes no more than a moment. */
static void test_relaxed(void **state)
{
	struct scratch	  *s	= *state;
	tarn_prop	   prop = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_RELAXED };
	static struct feed f;
	uint64_t	   base;

	assert_ok(tarn_cont_set_props(s->cont, &prop, 1, NULL));
	begin(s, &f, 0, "", 0);
	base = f.out.revision;
	for (int i = 0; i < 5; i++)
		put_text(s->kv, "a", "1");
	assert_ok(tarn_watch_wait(f.watch, NULL));
	assert_ok(look(&f, sizeof(f.buf), base));
	assert_true(f.out.count > 0);
	assert_ok(tarn_cont_sync(s->cont, NULL));
	assert_ok(look(&f, sizeof(f.buf), base));
	assert_int_equal(f.out.revision, base + 5);
	assert_ok(tarn_watch_close(f.watch));
}

static void test_gone(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;
	static char	   value[8000];
	uint64_t	   base;

	begin(s, &f, 0, "", 0);
	base = f.out.revision;
	for (int i = 0; i < 600; i++) /* the log has 2 MiB */
		assert_ok(tarn_kv_put(s->kv, text("k"), (tarn_buf){ value, sizeof(value) }, TARN_COND_NONE, NULL));
	assert_error(look(&f, sizeof(f.buf), base), EP_OLD);
	assert_true(f.out.oldest > base + 1 && f.out.oldest <= f.out.latest);
	assert_says("read the object anew");
	assert_ok(tarn_watch_close(f.watch));
	assert_error(tarn_watch_open(s->kv, base + 1, all, 0, &f.out, &f.watch, NULL), EP_OLD);
	assert_null(f.watch);
	begin(s, &f, f.out.oldest, "", 0);
	assert_ok(look(&f, sizeof(f.buf), base));
	assert_true(f.out.count > 0);
	assert_int_equal(((tarn_entry *)(void *)f.buf)->revision, f.out.oldest);
	assert_ok(tarn_watch_close(f.watch));
}

static void test_errors(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f, g;
	static char	   prefix[TARN_KEY_MAX + 1];
	tarn_changes	   now;
	tarn_watch	  *watch;

	begin(s, &f, 0, "", 0);
	begin(s, &g, f.out.latest + 1, "", 0); /* the next change is not the future */
	assert_ok(tarn_watch_close(g.watch));
	assert_error(tarn_watch_open(s->kv, f.out.latest + 2, all, 0, &now, &watch, NULL), OVERFLOW);
	assert_true(now.latest == f.out.latest && now.oldest);
	assert_error(tarn_watch_open(NULL, 0, all, 0, NULL, &watch, NULL), NO_HDL);
	assert_error(tarn_watch_open(s->kv, 0, all, 2, NULL, &watch, NULL), INVAL);
	assert_error(tarn_watch_open(s->kv, 0, all, 0, NULL, NULL, NULL), INVAL);
	assert_error(tarn_watch_open(s->kv, 0, (tarn_buf){ NULL, 3 }, 0, NULL, &watch, NULL), INVAL);
	assert_error(tarn_watch_open(s->kv, 0, (tarn_buf){ prefix, sizeof(prefix) }, 0, NULL, &watch, NULL), KEY2BIG);
	assert_error(tarn_watch_next(NULL, f.buf, sizeof(f.buf), &f.out, NULL), NO_HDL);
	assert_error(tarn_watch_wait(NULL, NULL), NO_HDL);
	assert_error(tarn_watch_close(NULL), NO_HDL);
	assert_error(tarn_watch_next(f.watch, NULL, 100, &f.out, NULL), INVAL);
	assert_error(tarn_watch_next(f.watch, f.buf, sizeof(f.buf), NULL, NULL), INVAL);
	assert_error(tarn_watch_next(f.watch, (char *)f.buf + 1, 100, &f.out, NULL), INVAL);
	assert_error(tarn_watch_next(f.watch, f.buf, 8, &f.out, NULL), KEY2BIG);
	assert_ok(tarn_watch_close(f.watch));
}

/* Another object of the same name is another one: who knows the first is told. */
static void test_destroyed(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;
	uint64_t	   base;

	begin(s, &f, 0, "", 0);
	base = f.out.revision;
	put_text(s->kv, "a", "1");
	put_text(s->kv, "b", "2");
	assert_ok(tarn_kv_close(s->kv)); /* the watch does not need it */
	assert_ok(tarn_object_destroy(s->cont, "stadium", NULL));
	assert_ok(look(&f, sizeof(f.buf), base));
	assert_string_equal(f.text, " 1:a=1 2:b=2 4:-a 4:-b"); /* 3 took the name away */
	assert_error(look(&f, sizeof(f.buf), base), NONEXIST);
	assert_says("destroyed");
	assert_ok(tarn_watch_wait(f.watch, NULL));
	assert_ok(tarn_watch_close(f.watch));
	assert_ok(tarn_kv_open(s->cont, "stadium", TARN_KV_CREATE, &s->kv, NULL));
	assert_error(tarn_watch_open(s->kv, base + 2, all, 0, &f.out, &f.watch, NULL), EP_OLD);
	assert_says("the object was made at");
	put_text(s->kv, "c", "3");
	begin(s, &f, f.out.oldest, "", 0);
	expect(&f, base, " 7:c=3");
	assert_ok(tarn_watch_close(f.watch));
}

static void test_container_destroyed(void **state)
{
	struct scratch	  *s = *state;
	static struct feed f;

	assert_ok(tarn_cont_create(s->pool, "short", TARN_CONT_KV, NULL, 0, NULL, NULL));
	scratch_close(s);
	assert_ok(tarn_pool_open(s->sys, "tank", NULL, &s->pool, NULL));
	assert_ok(tarn_cont_open(s->pool, "short", 0, &s->cont, NULL));
	assert_ok(tarn_kv_open(s->cont, "stadium", TARN_KV_CREATE, &s->kv, NULL));
	begin(s, &f, 0, "", 0);
	assert_ok(tarn_kv_close(s->kv));
	assert_ok(tarn_cont_close(s->cont));
	assert_ok(tarn_cont_destroy(s->pool, "short", 1, NULL));
	assert_error(look(&f, sizeof(f.buf), 0), NONEXIST);
	assert_ok(tarn_watch_close(f.watch));
	assert_ok(tarn_cont_open(s->pool, "neo", 0, &s->cont, NULL));
	assert_ok(tarn_kv_open(s->cont, "stadium", TARN_KV_CREATE, &s->kv, NULL));
}

static void test_snapshot(void **state)
{
	struct scratch *s = *state;
	tarn_cont      *cont;
	tarn_watch     *watch;
	tarn_kv	       *kv;

	assert_ok(tarn_snap_create(s->cont, "then", NULL, NULL));
	assert_ok(tarn_cont_open_snap(s->pool, "neo", 0, "then", &cont, NULL));
	assert_ok(tarn_kv_open(cont, "stadium", 0, &kv, NULL));
	assert_error(tarn_watch_open(kv, 0, all, 0, NULL, &watch, NULL), NOTSUPPORTED);
	assert_ok(tarn_kv_close(kv));
	assert_ok(tarn_cont_close(cont));
}

/* ---- threads ---- */

#define WRITERS 3
#define PUTS	400

struct threads {
	struct scratch *s;
	uint64_t	first; /* revision */
	_Atomic int	next;
};

static void *write_keys(void *arg)
{
	struct threads *t   = arg;
	int		own = atomic_fetch_add(&t->next, 1);

	for (int i = 0; i < PUTS; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d:%d", own, i);
		if (tarn_kv_put(t->s->kv, text(key), text(";"), TARN_COND_NONE, NULL))
			abort();
	}
	return NULL;
}

/* Each writer's keys come in its order, each once. Some waits are given up, as a client does that goes away. */
static void *read_keys(void *arg)
{
	struct threads *t	      = arg;
	struct feed    *f	      = calloc(1, sizeof(*f));
	int		seen[WRITERS] = { 0 }, left = WRITERS * PUTS;
	tarn_event	ev;

	tarn_event_init(&ev, NULL, NULL, 0);
	begin(t->s, f, t->first, "", 0);
	while (left) {
		const uint8_t *at = (const uint8_t *)f->buf;

		if (tarn_watch_wait(f->watch, &ev))
			abort();
		if (left % 3 == 0)
			(void)tarn_event_abort(&ev);
		(void)tarn_event_wait(&ev, -1);
		if (tarn_watch_next(f->watch, f->buf, sizeof(f->buf), &f->out, NULL))
			abort();
		for (uint32_t i = 0; i < f->out.count; i++, left--) {
			const tarn_entry *e = (const void *)at;
			int		  writer, n;

			if (sscanf((const char *)at + sizeof(*e), "%d:%d", &writer, &n) != 2 || n != seen[writer]++)
				abort();
			at += ROUND_UP(sizeof(*e) + e->key_len + e->val_len, (size_t)8);
		}
	}
	if (tarn_watch_close(f->watch))
		abort();
	free(f);
	return NULL;
}

static void test_threads(void **state)
{
	struct threads t = { .s = *state };
	pthread_t      threads[2 * WRITERS];
	tarn_changes   now;
	tarn_watch    *watch;

	assert_error(tarn_watch_open(t.s->kv, 1, all, 0, &now, &watch, NULL), EP_OLD); /* before the object was made */
	t.first = now.oldest;
	for (int i = 0; i < 2 * WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? write_keys : read_keys, &t), 0);
	for (int i = 0; i < 2 * WRITERS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_shows),
		scratch_test(test_parts),
		scratch_test(test_reopen),
		scratch_test(test_waits),
		scratch_test(test_relaxed),
		scratch_test(test_gone),
		scratch_test(test_errors),
		scratch_test(test_destroyed),
		scratch_test(test_container_destroyed),
		scratch_test(test_snapshot),
		scratch_test(test_threads),
		scratch_test(test_values),
		scratch_test(test_skip),
		scratch_test(test_calls_of_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
