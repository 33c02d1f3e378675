/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_async.c: calls with events whose pages are not in memory: they park, and occupy no thread. */
#include "../src/api/call.h"
#include "api_scratch.h"
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>

#define RECORDS	  20000u
#define IN_FLIGHT 256u
#define VALUE	  200u

static void key_of(unsigned i, char key[16])
{
	snprintf(key, 16, "k%08u", i);
}

/* A value begins with its key's number and its round. */
static void value_of(unsigned i, unsigned round, char value[VALUE])
{
	memset(value, 'a' + (int)(i % 26), VALUE);
	value[snprintf(value, VALUE, "value %08u of round %08u", i, round)] = '.';
}

static void assert_value_of(unsigned i, const char *value, size_t len)
{
	unsigned number = RECORDS, round = 0;
	char	 whole[VALUE];

	assert_int_equal(len, VALUE);
	assert_int_equal(sscanf(value, "value %u of round %u", &number, &round), 2);
	assert_int_equal(number, i);
	value_of(i, round, whole);
	assert_memory_equal(value, whole, VALUE);
}

static void put_records(tarn_kv *kv, unsigned from, unsigned n, unsigned round)
{
	static __thread char	      keys[500][16], values[500][VALUE];
	static __thread tarn_mutation muts[500];

	for (unsigned i = 0; i < n; i++) {
		key_of(from + i, keys[i]);
		value_of(from + i, round, values[i]);
		muts[i] = (tarn_mutation){ .key = text(keys[i]), .val = { values[i], VALUE } };
	}
	assert_ok(tarn_kv_apply(kv, muts, n, NULL, NULL));
}

static void open_with(struct scratch *s, uint64_t cache_bytes)
{
	tarn_pool_options options = { .struct_size = sizeof(options), .cache_bytes = cache_bytes };

	assert_ok(tarn_pool_open(s->sys, "tank", &options, &s->pool, NULL));
	assert_ok(tarn_cont_open(s->pool, "neo", 0, &s->cont, NULL));
	assert_ok(tarn_kv_open(s->cont, "stadium", 0, &s->kv, NULL));
}

/* A pool with records, and nothing of them in memory. */
static int cold_setup(void **state)
{
	struct scratch *s;

	scratch_setup(state);
	s = *state;
	for (unsigned i = 0; i < RECORDS; i += 500)
		put_records(s->kv, i, 500, 0);
	scratch_close(s);
	open_with(s, 16 << 20);
	return 0;
}

/* ---- many gets of one thread ---- */

struct get {
	tarn_event ev;
	char	   key[16], buf[VALUE + 8];
	size_t	   len;
	unsigned   number;
};

static int start_get(struct scratch *s, struct get *get, unsigned number, tarn_eq *eq)
{
	get->number = number;
	get->len    = sizeof(get->buf);
	key_of(number, get->key);
	tarn_event_init(&get->ev, eq, get, 0);
	return tarn_kv_get(s->kv, text(get->key), get->buf, &get->len, &get->ev);
}

static struct get *take_get(tarn_eq *eq)
{
	tarn_event *ev;

	assert_int_equal(tarn_eq_poll(eq, 30000000, 1, &ev), 1);
	return tarn_event_user(ev);
}

static void assert_got(const struct get *get)
{
	if (tarn_event_result(&get->ev) != 0)
		fail_msg("get of %s: %s", get->key, tarn_event_message(&get->ev));
	assert_value_of(get->number, get->buf, get->len);
}

static void get_many_times(struct scratch *s, unsigned n)
{
	struct get *gets = calloc(IN_FLIGHT, sizeof(*gets));
	struct rng  rng;
	tarn_eq	   *eq;

	assert_non_null(gets);
	rng_seed(&rng, test_seed());
	assert_ok(tarn_eq_create(&eq));
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		assert_int_equal(start_get(s, &gets[i], (unsigned)rng_below(&rng, RECORDS), eq), 0);
	for (unsigned i = 0; i < n; i++) {
		struct get *get = take_get(eq);

		assert_got(get);
		if (i + IN_FLIGHT < n)
			assert_int_equal(start_get(s, get, (unsigned)rng_below(&rng, RECORDS), eq), 0);
	}
	assert_ok(tarn_eq_destroy(eq));
	free(gets);
}

/* All workers of the pool are kept busy, so what completes has parked. */
static struct task blockers[WORKERS_MAX];
static sem_t	   entered, leave;

static void stand_in_the_way(struct task *task)
{
	(void)task;
	sem_post(&entered);
	while (sem_wait(&leave) != 0)
		;
	sem_post(&entered);
}

static void wait_for(sem_t *sem, unsigned n)
{
	while (n)
		n -= sem_wait(sem) == 0;
}

static void block_workers(struct scratch *s)
{
	struct workers *workers = &s->pool->pool->driver->workers;

	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
	for (unsigned i = 0; i < workers->wanted; i++) {
		blockers[i].run = stand_in_the_way;
		assert_ok(workers_submit(workers, &blockers[i]));
	}
	wait_for(&entered, workers->wanted);
}

static void release_workers(struct scratch *s)
{
	unsigned n = s->pool->pool->driver->workers.wanted;

	for (unsigned i = 0; i < n; i++)
		sem_post(&leave);
	wait_for(&entered, n);
}

static void test_gets_need_no_worker(void **state)
{
	struct scratch *s = *state;

	block_workers(s);
	get_many_times(s, 2000);
	release_workers(s);
}

/* Frames for fewer pages than calls that want one: the others have to wait for room. */
static void test_more_calls_than_room(void **state)
{
	struct scratch *s = *state;

	scratch_close(s);
	open_with(s, 1 << 20);
	get_many_times(s, 5000);
}

static void test_changes_park_too(void **state)
{
	struct scratch	 *s = *state;
	static tarn_event events[IN_FLIGHT];
	char		  key[16], value[VALUE];
	tarn_event	 *got;
	tarn_eq		 *eq;

	assert_ok(tarn_eq_create(&eq));
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		key_of(i * 70, key);
		value_of(i * 70, 1, value);
		tarn_event_init(&events[i], eq, NULL, 0);
		assert_int_equal(tarn_kv_put(s->kv, text(key), (tarn_buf){ value, VALUE }, TARN_COND_UPDATE, &events[i]), 0);
		memset(key, 'x', sizeof(key)); /* it was copied */
	}
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		assert_int_equal(tarn_eq_poll(eq, 30000000, 1, &got), 1);
		assert_int_equal(tarn_event_result(got), 0);
	}
	assert_ok(tarn_eq_destroy(eq));
	scratch_close(s);
	open_with(s, 16 << 20);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		key_of(i * 70, key);
		value_of(i * 70, 1, value);
		assert_value(s->kv, text(key), (tarn_buf){ value, VALUE });
	}
}

static void test_lists_and_counts(void **state)
{
	struct scratch *s     = *state;
	size_t		cap   = 1 << 20;
	char	       *buf   = malloc(cap), start[16];
	tarn_range	range = { 0 };
	tarn_listing	listing;
	uint64_t	count = 0;
	tarn_event	ev;

	assert_non_null(buf);
	tarn_event_init(&ev, NULL, NULL, 0);
	key_of(7000, start);
	range.start = text(start);
	assert_int_equal(tarn_kv_list(s->kv, &range, 1000, buf, cap, &listing, &ev), 0);
	assert_int_equal(tarn_event_wait(&ev, -1), 0);
	assert_int_equal(listing.count, 1000);
	for (size_t i = 0, at = 0; i < 1000; i++) {
		tarn_entry entry;

		memcpy(&entry, buf + at, sizeof(entry));
		assert_value_of((unsigned)(7000 + i), buf + at + sizeof(entry) + entry.key_len, entry.val_len);
		at += ROUND_UP(sizeof(entry) + entry.key_len + entry.val_len, 8);
	}
	assert_int_equal(tarn_kv_count(s->kv, &range, &count, &ev), 0);
	assert_int_equal(tarn_event_wait(&ev, -1), 0);
	assert_int_equal(count, RECORDS - 7000);
	free(buf);
}

/* ---- what waits can be cancelled, and holds its handle ---- */

/* A call of the driver's own that parks, and then keeps the thread that serves. */
static sem_t serving, serve_on;

static void hold_server(struct store_wait *wait)
{
	(void)wait;
	sem_post(&serving);
	wait_for(&serve_on, 1);
}

static void block_server(struct scratch *s, unsigned number)
{
	static struct store_wait wait;
	struct driver		*driver = s->pool->pool->driver;
	struct object		*object = s->kv->object;
	uint8_t			 key[OID_BYTES + 16];
	size_t			 len = 0;
	tarn_buf		 whole;

	sem_init(&serving, 0, 0);
	sem_init(&serve_on, 0, 0);
	memcpy(key, object->oid, OID_BYTES);
	key_of(number, (char *)key + OID_BYTES);
	whole = (tarn_buf){ key, OID_BYTES + strlen((char *)key + OID_BYTES) };
	wait  = (struct store_wait){ .ready = hold_server };
	assert_int_equal(driver->ops->get(driver, (struct store_at){ .tree = object->container->tree }, whole, NULL, &len, NULL,
					  STORE_NOWAIT),
			 -TARN_E_AGAIN);
	assert_true(driver->ops->park(driver, &wait));
	wait_for(&serving, 1);
}

static void test_abort_and_close(void **state)
{
	struct scratch	 *s = *state;
	static struct get gets[4];
	tarn_eq		 *eq;
	char		  buf[8];
	size_t		  len = sizeof(buf);

	assert_error(tarn_kv_get(s->kv, text("absent"), buf, &len, NULL), NONEXIST); /* the inner pages are here */
	assert_ok(tarn_eq_create(&eq));
	block_server(s, 15000);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(start_get(s, &gets[i], 5000 + i * 1000, eq), 0);
	assert_int_equal(tarn_event_result(&gets[3].ev), -TARN_E_INPROGRESS);
	assert_ok(tarn_event_abort(&gets[1].ev));
	assert_ok(tarn_event_abort(&gets[2].ev));
	assert_error(tarn_kv_close(s->kv), BUSY);
	assert_says("4 calls");
	assert_error(tarn_eq_destroy(eq), BUSY);
	sem_post(&serve_on);
	for (unsigned i = 0; i < 4; i++) {
		struct get *get = take_get(eq);

		if (get == &gets[1] || get == &gets[2]) {
			assert_int_equal(tarn_event_result(&get->ev), -TARN_E_CANCELED);
			assert_non_null(strstr(tarn_event_message(&get->ev), "cancelled"));
		} else {
			assert_got(get);
		}
	}
	assert_ok(tarn_eq_destroy(eq));
}

/* ---- damage ---- */

static void read_file(const char *path, uint8_t **bytes, size_t *len)
{
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	*len   = (size_t)ftell(file);
	*bytes = malloc(*len);
	assert_non_null(*bytes);
	rewind(file);
	assert_int_equal(fread(*bytes, 1, *len, file), *len);
	fclose(file);
}

/* Changes a byte of every copy of a text behind the log. */
static void damage(struct scratch *s, const char *what)
{
	tarn_pool_info info;
	char	       path[512];
	uint8_t	      *bytes, *at;
	size_t	       len, from;
	unsigned       places = 0;
	int	       fd;

	assert_ok(tarn_pool_query(s->pool, &info, NULL));
	scratch_close(s);
	scratch_path(s, "tank.pool", path);
	read_file(path, &bytes, &len);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	from = 2 * 4096 + info.log_bytes;
	while ((at = memmem(bytes + from, len - from, what, strlen(what))) != NULL) {
		from = (size_t)(at - bytes) + 1;
		assert_int_equal(pwrite(fd, "?", 1, at - bytes), 1);
		places++;
	}
	close(fd);
	free(bytes);
	assert_in_range(places, 1, 100);
	open_with(s, 16 << 20);
}

static void test_damaged_page(void **state)
{
	struct scratch *s    = *state;
	struct get     *gets = calloc(IN_FLIGHT, sizeof(*gets));
	unsigned	bad  = 0;
	tarn_eq	       *eq;

	assert_non_null(gets);
	damage(s, "value 00005000 of");
	assert_ok(tarn_eq_create(&eq));
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		assert_int_equal(start_get(s, &gets[i], 5000 - 128 * 20 + i * 20, eq), 0);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		struct get *get = take_get(eq);

		if (tarn_event_result(&get->ev) == 0) {
			assert_got(get);
			assert_int_not_equal(get->number, 5000);
			continue;
		}
		bad++;
		assert_int_equal(tarn_event_result(&get->ev), -TARN_E_CSUM);
		assert_non_null(strstr(tarn_event_message(&get->ev), "checksum"));
	}
	assert_in_range(bad, 1, 20);
	assert_ok(tarn_eq_destroy(eq));
	free(gets);
	scratch_close(s); /* it would not pass the check */
}

/* ---- beside writers and checkpoints ---- */

static struct scratch *shared;
static _Atomic bool    enough;

static void *write_on(void *arg)
{
	(void)arg;
	for (unsigned round = 1; !atomic_load(&enough); round++)
		for (unsigned i = 0; i < RECORDS && !atomic_load(&enough); i += 500)
			put_records(shared->kv, i, 500, round);
	return NULL;
}

static void *checkpoint_on(void *arg)
{
	(void)arg;
	while (!atomic_load(&enough))
		assert_ok(tarn_pool_checkpoint(shared->pool, NULL));
	return NULL;
}

static void test_beside_writers(void **state)
{
	struct scratch *s = *state;
	pthread_t	writer, checkpointer;

	scratch_close(s);
	open_with(s, 2 << 20);
	shared = s;
	atomic_store(&enough, false);
	assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
	assert_int_equal(pthread_create(&checkpointer, NULL, checkpoint_on, NULL), 0);
	get_many_times(s, (unsigned)test_number("N", 20000));
	atomic_store(&enough, true);
	pthread_join(writer, NULL);
	pthread_join(checkpointer, NULL);
}

/* ---- many gets in one call ---- */

#define MANY 300u

struct many {
	tarn_get gets[MANY];
	char	 keys[MANY][16], bufs[MANY][VALUE];
};

static struct many *make_many(void)
{
	struct many *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	for (unsigned i = 0; i < MANY; i++) {
		key_of(i * 66, m->keys[i]);
		m->gets[i] = (tarn_get){ .key = text(m->keys[i]), .buf = m->bufs[i], .len = VALUE };
	}
	m->gets[10].key.len = 3; /* there is none */
	m->gets[11].len	    = VALUE - 1;
	m->gets[12].buf	    = NULL;
	m->gets[13].key.len = 0;
	return m;
}

static void assert_many(const struct many *m)
{
	for (unsigned i = 0; i < MANY; i++) {
		if (i < 10 || i > 13) {
			assert_int_equal(m->gets[i].rc, 0);
			assert_value_of(i * 66, m->bufs[i], m->gets[i].len);
		}
	}
	assert_int_equal(m->gets[10].rc, -TARN_E_NONEXIST);
	assert_int_equal(m->gets[10].len, 0);
	assert_int_equal(m->gets[11].rc, -TARN_E_REC2BIG);
	assert_int_equal(m->gets[11].len, VALUE);
	assert_int_equal(m->bufs[11][0], 0);
	assert_int_equal(m->gets[12].rc, 0);
	assert_int_equal(m->gets[12].len, VALUE);
	assert_int_equal(m->gets[13].rc, -TARN_E_INVAL);
}

static void test_get_many(void **state)
{
	struct scratch *s = *state;
	struct many    *m = make_many();
	tarn_event	ev;

	assert_ok(tarn_kv_get_many(s->kv, m->gets, MANY, NULL));
	assert_many(m);
	free(m);
	scratch_close(s);
	open_with(s, 16 << 20);
	m = make_many();
	tarn_event_init(&ev, NULL, NULL, 0);
	block_workers(s);
	assert_int_equal(tarn_kv_get_many(s->kv, m->gets, MANY, &ev), 0);
	assert_int_equal(tarn_event_wait(&ev, -1), 0);
	assert_many(m);
	release_workers(s);
	free(m);
}

static void test_get_many_refused(void **state)
{
	struct scratch *s   = *state;
	tarn_get	one = { .key = text("k") };

	assert_error(tarn_kv_get_many(NULL, &one, 1, NULL), NO_HDL);
	assert_error(tarn_kv_get_many(s->kv, &one, 0, NULL), INVAL);
	assert_error(tarn_kv_get_many(s->kv, NULL, 1, NULL), INVAL);
	assert_error(tarn_kv_get_many(s->kv, &one, TARN_BATCH_MAX + 1, NULL), INVAL);
}

/* Long keys, and a value in extents among small ones. */
static void test_get_many_long(void **state)
{
	struct scratch *s    = *state;
	size_t		size = 300000;
	char	       *keys = malloc(64 * 1000), *big = malloc(size), *got = malloc(size), small[64][8];
	tarn_get	gets[64];

	assert_true(keys && big && got);
	test_fill(big, size, 5);
	for (unsigned i = 0; i < 64; i++) {
		char *key = keys + i * 1000;

		memset(key, 'k', 1000);
		key[999] = (char)(i + 1);
		assert_ok(tarn_kv_put(s->kv, (tarn_buf){ key, 1000 }, i == 20 ? (tarn_buf){ big, size } : text("small"),
				      TARN_COND_NONE, NULL));
		gets[i] = (tarn_get){ .key = { key, 1000 }, .buf = small[i], .len = sizeof(small[i]) };
	}
	gets[20].buf = got;
	gets[20].len = size;
	assert_ok(tarn_kv_get_many(s->kv, gets, 64, NULL));
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(gets[i].rc, 0);
		assert_int_equal(gets[i].len, i == 20 ? size : 5);
	}
	assert_memory_equal(got, big, size);
	assert_memory_equal(small[63], "small", 5);
	free(keys);
	free(big);
	free(got);
}

#define cold_test(function) cmocka_unit_test_setup_teardown(function, cold_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cold_test(test_gets_need_no_worker), cold_test(test_more_calls_than_room),
		cold_test(test_changes_park_too),    cold_test(test_lists_and_counts),
		cold_test(test_abort_and_close),     cold_test(test_damaged_page),
		cold_test(test_beside_writers),	     cold_test(test_get_many),
		scratch_test(test_get_many_refused), scratch_test(test_get_many_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
