/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_late.c: durable puts of large values, which are written beside the records that name them: who reads them meanwhile, what a power
 * cut leaves of them, and what follows when one cannot be written. */
#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/internal.h"
#include "store_tools.h"

#include <sched.h>
#include <unistd.h>

#define SMALL	(UINT64_C(8) << 20)
#define LARGE	(UINT64_C(96) << 20) /* for all that is put while a reader keeps what it replaces */
#define TREE	4
#define KEYS	4u
#define MOST	70000u
#define PUTS	200u  /* of each key */
#define LONG_US 20000 /* for a checkpoint of next to nothing */

struct rig {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*s;
};

static void open_rig(struct rig *r)
{
	assert_ok(sim_open(r->disk, &r->dev));
	assert_ok(store_open(r->dev, &(struct store_options){ .cache_bytes = 1 << 20 }, &r->s));
}

static void start(struct rig *r, uint64_t size)
{
	struct store_format format = { .log_bytes = 256 * 1024, .node_bytes = 4096 };

	assert_ok(sim_disk_create(size, test_seed(), &r->disk));
	assert_ok(sim_open(r->disk, &r->dev));
	assert_ok(store_format(r->dev, &format));
	device_close(r->dev);
	open_rig(r);
}

/* The power goes, and what was not flushed with it. */
static void reopen(struct rig *r)
{
	store_abandon(r->s);
	device_close(r->dev);
	sim_restore_power(r->disk, SIM_CUT_NONE);
	open_rig(r);
}

static void stop(struct rig *r)
{
	assert_ok(store_check(r->s, NULL));
	assert_ok(store_close(r->s));
	device_close(r->dev);
	sim_disk_destroy(r->disk);
}

static size_t length(uint64_t key, uint64_t version)
{
	return 3000 + (key * 7919 + version * 10007) % (MOST - 3000);
}

static int put_if(struct store *s, uint64_t key, uint64_t version, tarn_cond cond)
{
	uint8_t		     *val = malloc(MOST + 8), k[8];
	struct store_mutation m	  = { .change = STORE_PUT, .cond = cond, .tree = TREE, .key = { k, 8 } };
	uint64_t	      lsn = 0;
	int		      rc;

	put64be(k, key);
	test_fill(val, MOST, key << 32 | version);
	put64(val, version);
	m.val = (tarn_buf){ val, length(key, version) };
	rc    = store_apply(s, &m, 1, STORE_COMMITS, &lsn, NULL);
	rc    = rc ? rc : store_commit(s, lsn);
	free(val);
	return rc;
}

static int put(struct store *s, uint64_t key, uint64_t version)
{
	return put_if(s, key, version, TARN_COND_NONE);
}

/* 0: it is the whole value of a version, which is told. */
static int get(struct store *s, uint64_t key, uint64_t *version)
{
	uint8_t *got = malloc(MOST), *want = malloc(MOST + 8), k[8];
	size_t	 n = MOST;
	int	 rc;

	put64be(k, key);
	rc = store_get(s, live(TREE), (tarn_buf){ k, 8 }, got, &n, NULL, 0);
	if (!rc) {
		*version = get64(got);
		test_fill(want, MOST, key << 32 | *version);
		put64(want, *version);
		rc = n == length(key, *version) && !memcmp(got, want, n) ? 0 : fail(TRUNC, "other bytes than were put");
	}
	free(got);
	free(want);
	return rc;
}

struct keys {
	struct store	*s;
	_Atomic uint64_t acknowledged[KEYS]; /* versions */
	_Atomic bool	 done;
	_Atomic unsigned failures;
	int		 rc; /* of the putter */
	char		 why[TARN_MESSAGE_MAX];
};

static void *putter(void *arg)
{
	struct keys *k = arg;

	for (uint64_t i = 0; i < PUTS * KEYS; i++) {
		k->rc = put(k->s, i % KEYS, i / KEYS + 1);
		if (k->rc) {
			snprintf(k->why, sizeof(k->why), "%s", base_message());
			break;
		}
		k->acknowledged[i % KEYS] = i / KEYS + 1;
	}
	k->done = true;
	return NULL;
}

/* Other keys, so that two want to be late at once. */
static void *other(void *arg)
{
	struct keys *k = arg;

	for (uint64_t i = 0; !k->done; i++)
		if (put(k->s, KEYS + i % KEYS, i))
			break;
	return NULL;
}

static void *reader(void *arg)
{
	struct keys *k = arg;

	for (uint64_t i = 0; !k->done; i++) {
		uint64_t least = k->acknowledged[i % KEYS], version = 0;
		int	 rc = get(k->s, i % KEYS, &version);

		if ((rc && rc != -TARN_E_NONEXIST) || version < least) {
			print_error("key %u: %s, version %u, %u was acknowledged: %s\n", (unsigned)(i % KEYS), tarn_errname(rc),
				    (unsigned)version, (unsigned)least, base_message());
			k->failures++;
		}
	}
	return NULL;
}

static void *checkpointer(void *arg)
{
	struct keys *k = arg;

	while (!k->done && !store_checkpoint(k->s))
		;
	return NULL;
}

static void test_who_reads_one_waits_for_it(void **state)
{
	static void *(*const bodies[])(void *) = { putter, other, reader, reader, checkpointer };
	pthread_t   threads[ARRAY_LEN(bodies)];
	struct rig  r;
	struct keys k = { .done = false };

	(void)state;
	start(&r, LARGE);
	k.s = r.s;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &k), 0);
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(k.failures, 0);
	if (k.rc)
		fail_msg("a put: %s: %s", tarn_errname(k.rc), k.why);
	reopen(&r);
	for (uint64_t key = 0; key < KEYS; key++) {
		uint64_t version = 0;

		assert_ok(get(r.s, key, &version));
		assert_int_equal(version, PUTS);
	}
	stop(&r);
}

/* The power goes in the middle of all that, and a checkpoint may have been as quick as the value of a put that is not acknowledged. */
static void test_a_power_cut_beside_checkpoints(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, test_seed());
	for (unsigned turn = 0; turn < 30; turn++) {
		pthread_t   threads[3];
		struct rig  r;
		struct keys k = { .done = false };

		start(&r, SMALL);
		k.s = r.s;
		sim_set_cut_after(r.disk, 1 + rng_below(&rng, 1000));
		assert_int_equal(pthread_create(&threads[0], NULL, putter, &k), 0);
		assert_int_equal(pthread_create(&threads[1], NULL, other, &k), 0);
		assert_int_equal(pthread_create(&threads[2], NULL, checkpointer, &k), 0);
		for (size_t i = 0; i < ARRAY_LEN(threads); i++)
			pthread_join(threads[i], NULL);
		reopen(&r);
		for (uint64_t key = 0; key < KEYS; key++) {
			uint64_t version = 0;
			int	 rc	 = get(r.s, key, &version);

			if (rc != -TARN_E_NONEXIST)
				assert_ok(rc);
			assert_true(version == k.acknowledged[key] || version == k.acknowledged[key] + 1);
		}
		stop(&r);
	}
}

struct one_call {
	struct store *s;
	_Atomic bool  done;
	pthread_t     thread;
};

static void *one_put(void *arg)
{
	struct one_call *call = arg;

	assert_ok(put(call->s, 1, 1));
	call->done = true;
	return NULL;
}

static void *one_checkpoint(void *arg)
{
	struct one_call *call = arg;

	assert_ok(store_checkpoint(call->s));
	call->done = true;
	return NULL;
}

/* A checkpoint has written the log, and then freezes a tree that refers to a value on its way. Here that lands when the test lets it. */
static void test_a_checkpoint_waits_for_it(void **state)
{
	struct rig	 r;
	struct one_call	 putting, checkpointing;
	uint64_t	 version = 0;
	pthread_mutex_t *late;

	(void)state;
	start(&r, SMALL);
	late	= &r.s->late.lock;
	putting = checkpointing = (struct one_call){ .s = r.s };
	pthread_mutex_lock(late);
	assert_int_equal(pthread_create(&putting.thread, NULL, one_put, &putting), 0);
	while (!r.s->late.taken)
		sched_yield();
	assert_int_equal(pthread_mutex_trylock(&r.s->lock), 0);
	pthread_mutex_unlock(late);
	while (!r.s->late.block)
		sched_yield();
	pthread_mutex_lock(late); /* nobody reaps it */
	assert_int_equal(pthread_create(&checkpointing.thread, NULL, one_checkpoint, &checkpointing), 0);
	usleep(LONG_US); /* it has nothing to flush, and wants the store's lock, behind the put */
	pthread_mutex_unlock(&r.s->lock);
	usleep(LONG_US);
	assert_false(putting.done);
	assert_false(checkpointing.done);
	pthread_mutex_unlock(late);
	pthread_join(putting.thread, NULL);
	pthread_join(checkpointing.thread, NULL);
	reopen(&r);
	assert_ok(get(r.s, 1, &version));
	stop(&r);
}

/* After each number of I/Os the power goes. What was acknowledged is there, and what was not is there whole or not at all. */
static void test_a_power_cut_leaves_it_whole_or_not_at_all(void **state)
{
	bool cut = true;

	(void)state;
	for (unsigned ios = 1; cut; ios++)
		for (int policy = SIM_CUT_NONE; policy < SIM_CUT_POLICIES; policy++) {
			struct rig r;
			uint64_t   acknowledged = 0, version = 0;

			start(&r, SMALL);
			sim_set_cut_after(r.disk, ios);
			for (uint64_t i = 1; i <= 3; i++)
				acknowledged = put(r.s, 1, i) ? acknowledged : i;
			cut = sim_is_cut(r.disk);
			store_abandon(r.s);
			device_close(r.dev);
			sim_restore_power(r.disk, (enum sim_cut)policy);
			open_rig(&r);
			if (acknowledged)
				assert_ok(get(r.s, 1, &version));
			else if (get(r.s, 1, &version))
				assert_error(get(r.s, 1, &version), NONEXIST);
			assert_true(version == acknowledged || version == acknowledged + 1);
			stop(&r);
		}
}

static void test_one_that_cannot_be_written_fails_the_log(void **state)
{
	struct rig r;
	uint64_t   version = 0;

	(void)state;
	start(&r, SMALL);
	assert_ok(put(r.s, 1, 1));
	assert_ok(put(r.s, 2, 1));
	sim_fail_nth(r.disk, TARN_DEV_WRITE, 1, false);
	assert_error(put(r.s, 1, 2), IO);
	assert_says("the log could not be written");
	assert_error(get(r.s, 1, &version), IO);
	assert_ok(get(r.s, 2, &version));
	assert_error(put(r.s, 2, 2), EP_RO);
	assert_error(store_checkpoint(r.s), EP_RO);
	assert_ok(get(r.s, 2, &version));
	reopen(&r);
	assert_ok(get(r.s, 1, &version));
	assert_int_equal(version, 1);
	assert_ok(put(r.s, 1, 3));
	stop(&r);
}

/* Nothing names it, so nothing is lost with it. */
static void test_one_that_is_refused_may_fail(void **state)
{
	struct rig r;
	uint64_t   version = 0;

	(void)state;
	start(&r, SMALL);
	assert_ok(put(r.s, 1, 1));
	sim_fail_nth(r.disk, TARN_DEV_WRITE, 1, false);
	assert_error(put_if(r.s, 1, 2, TARN_COND_INSERT), EXIST);
	assert_ok(put(r.s, 1, 3));
	assert_ok(get(r.s, 1, &version));
	assert_int_equal(version, 3);
	stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_reads_one_waits_for_it),
		cmocka_unit_test(test_a_checkpoint_waits_for_it),
		cmocka_unit_test(test_a_power_cut_beside_checkpoints),
		cmocka_unit_test(test_a_power_cut_leaves_it_whole_or_not_at_all),
		cmocka_unit_test(test_one_that_cannot_be_written_fails_the_log),
		cmocka_unit_test(test_one_that_is_refused_may_fail),
	};

	return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
