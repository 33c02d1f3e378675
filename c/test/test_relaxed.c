/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_relaxed.c: containers with durability=relaxed: what a killed process leaves, and what a failing log says.
 *
 * The killed process is a child that ends without closing anything. So the parent has the pool closed meanwhile. */
#include "../src/device/sim.h"
#include "../src/driver/local/flusher.h"
#include "api_scratch.h"
#include <sys/wait.h>
#include <time.h>

static const tarn_prop relaxed = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_RELAXED };
static const tarn_prop durable = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_DURABLE };

static void relax(struct scratch *s)
{
	assert_ok(tarn_cont_set_props(s->cont, &relaxed, 1, NULL));
}

static void nap_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

static void put_number(tarn_kv *kv, uint32_t i)
{
	char key[16];

	snprintf(key, sizeof(key), "%08u", i);
	put_text(kv, key, "there");
}

static bool has_number(tarn_kv *kv, uint32_t i)
{
	char key[16];

	snprintf(key, sizeof(key), "%08u", i);
	return tarn_kv_exists(kv, text(key), NULL, NULL) == 0;
}

/* Runs body in a child that ends in the middle of its life. */
static void in_child(struct scratch *s, void (*body)(struct scratch *s))
{
	int   status;
	pid_t child;

	scratch_close(s);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		scratch_open(s);
		body(s);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	scratch_open(s);
}

static void test_property(void **state)
{
	struct scratch *s   = *state;
	tarn_prop	bad = { .id = TARN_PROP_DURABILITY, .number = 2 };
	tarn_cont_info	info;

	assert_ok(tarn_cont_query(s->cont, &info, NULL));
	assert_int_equal(info.durability, TARN_DURABILITY_DURABLE);
	assert_error(tarn_cont_set_props(s->cont, &bad, 1, NULL), INVAL);
	relax(s);
	scratch_reopen(s);
	assert_ok(tarn_cont_query(s->cont, &info, NULL));
	assert_int_equal(info.durability, TARN_DURABILITY_RELAXED);
	put_text(s->kv, "a", "1");
	scratch_reopen(s);
	assert_value(s->kv, text("a"), text("1"));
	assert_ok(tarn_cont_set_props(s->cont, &durable, 1, NULL));
	assert_error(tarn_cont_sync(NULL, NULL), NO_HDL);
	assert_ok(tarn_cont_sync(s->cont, NULL));
}

static void put_and_sync(struct scratch *s)
{
	for (uint32_t i = 0; i < 100; i++)
		put_number(s->kv, i);
	assert_ok(tarn_cont_sync(s->cont, NULL));
}

static void put_and_wait(struct scratch *s)
{
	tarn_event ev;

	for (uint32_t i = 0; i < 99; i++)
		put_number(s->kv, i);
	tarn_event_init(&ev, NULL, NULL, 0);
	assert_ok(tarn_kv_put(s->kv, text("00000099"), text("there"), TARN_COND_NONE, &ev));
	assert_ok(tarn_event_wait(&ev, -1));
	nap_ms(20 * TARN_RELAXED_MS);
}

/* A durable change takes all that was applied before it along. */
static void put_and_create(struct scratch *s)
{
	for (uint32_t i = 0; i < 100; i++)
		put_number(s->kv, i);
	assert_ok(tarn_cont_create(s->pool, "other", TARN_CONT_KV, NULL, 0, NULL, NULL));
}

static void test_what_is_left(void **state)
{
	void (*const bodies[])(struct scratch *) = { put_and_sync, put_and_wait, put_and_create };
	struct scratch *s			 = *state;

	relax(s);
	for (size_t b = 0; b < ARRAY_LEN(bodies); b++) {
		in_child(s, bodies[b]);
		for (uint32_t i = 0; i < 100; i++)
			assert_true(has_number(s->kv, i));
		assert_ok(tarn_kv_del_range(s->kv, NULL, NULL, NULL));
	}
}

static void put_and_die(struct scratch *s)
{
	for (uint32_t i = 0; i < 20000; i++)
		put_number(s->kv, i);
}

/* No later change survives an earlier one's loss. */
static void test_prefix(void **state)
{
	struct scratch *s = *state;
	uint32_t	n = 0;

	relax(s);
	in_child(s, put_and_die);
	while (has_number(s->kv, n))
		n++;
	for (uint32_t i = n; i < 20000; i++)
		assert_false(has_number(s->kv, i));
}

#define LARGE  3000
#define EVENTS 64

/* Much more than may gather, by calls that wait and by events. */
static void test_much(void **state)
{
	struct scratch	 *s = *state;
	static char	  val[LARGE];
	static tarn_event events[EVENTS];
	tarn_event	 *done;
	tarn_eq		 *eq;
	uint64_t	  count;
	char		  key[16];

	relax(s);
	assert_ok(tarn_eq_create(&eq));
	for (int i = 0; i < EVENTS; i++)
		tarn_event_init(&events[i], eq, NULL, 0);
	for (uint32_t i = 0; i < 20000; i++) {
		tarn_event *ev = i % 2 ? &events[i / 2 % EVENTS] : NULL;

		snprintf(key, sizeof(key), "%u", i % 500);
		test_fill(val, LARGE, i);
		assert_ok(tarn_kv_put(s->kv, text(key), (tarn_buf){ val, LARGE }, TARN_COND_NONE, ev));
		if (ev) {
			assert_int_equal(tarn_eq_poll(eq, -1, 1, &done), 1);
			assert_ok(tarn_event_result(done));
		}
	}
	assert_ok(tarn_eq_destroy(eq));
	scratch_reopen(s);
	assert_ok(tarn_kv_count(s->kv, NULL, &count, NULL));
	assert_int_equal(count, 500);
	test_fill(val, LARGE, 19999);
	assert_value(s->kv, text("499"), (tarn_buf){ val, LARGE });
}

/* ---- the log fails ---- */

static int put(struct store *store, const char *key, uint64_t *lsn)
{
	struct store_mutation put = { .change = STORE_PUT, .tree = 16, .key = text(key), .val = text("v") };

	return store_apply(store, &put, 1, 0, lsn, NULL);
}

/* The change has been acknowledged: so the next one says so, and sync, and the end. */
static void test_failing_log(void **state)
{
	struct store_format format = { .size = 4 << 20, .log_bytes = 256 << 10 };
	struct flusher	    flusher;
	struct sim_disk	   *disk;
	struct device	   *dev;
	struct store	   *store;
	uint64_t	    lsn;

	(void)state;
	assert_ok(sim_disk_create(4 << 20, 1, &disk));
	assert_ok(sim_open(disk, &dev));
	assert_ok(store_format(dev, &format));
	assert_ok(store_open(dev, NULL, &store));
	flusher_init(&flusher, store);
	assert_ok(put(store, "whole", &lsn));
	assert_true(flusher_relax(&flusher, lsn));
	nap_ms(20 * TARN_RELAXED_MS);
	assert_ok(store_commit(store, lsn)); /* nothing is left to do */
	sim_fail_nth(disk, TARN_DEV_WRITE, 1, true);
	assert_ok(put(store, "lost", &lsn));
	assert_true(flusher_relax(&flusher, lsn));
	nap_ms(20 * TARN_RELAXED_MS);
	assert_error(put(store, "late", &lsn), EP_RO);
	assert_true(store_commit(store, 0) < 0);
	assert_true(flusher_stop(&flusher) < 0);
	store_abandon(store);
	device_close(dev);
	sim_disk_destroy(disk);
}

#define OVERWRITES  40000u
#define VALUE_BYTES 1000u

/* Each is begun by half a log of changes at the least: none follows the other because of what came before it began. */
static void test_checkpoints_have_a_reason(void **state)
{
	static char	value[VALUE_BYTES];
	struct scratch *s = *state;
	uint64_t	most;
	tarn_pool_info	before, after;

	relax(s);
	assert_ok(tarn_pool_query(s->pool, &before, NULL));
	for (uint32_t i = 0; i < OVERWRITES; i++) {
		uint32_t key = i % 100;

		assert_ok(tarn_kv_put(s->kv, (tarn_buf){ &key, sizeof(key) }, (tarn_buf){ value, sizeof(value) }, TARN_COND_NONE,
				      NULL));
	}
	assert_ok(tarn_pool_query(s->pool, &after, NULL));
	most = UINT64_C(5) * OVERWRITES * VALUE_BYTES / 4 / (after.log_bytes / 2) + 1;
	printf("# %llu checkpoints, %llu may be\n", (unsigned long long)(after.generation - before.generation),
	       (unsigned long long)most);
	assert_in_range(after.generation - before.generation, 1, most);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_property),
		scratch_test(test_what_is_left),
		scratch_test(test_prefix),
		scratch_test(test_much),
		scratch_test(test_checkpoints_have_a_reason),
		cmocka_unit_test(test_failing_log),
	};

	return cmocka_run_group_tests_name("relaxed", tests, NULL, NULL);
}
