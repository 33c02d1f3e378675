/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_dev_threads.c: cancelling, closing, and threads at once on the queues of dev_queue.h, the same on every target: see
 * dev_targets.h. */
#include "dev_batch.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- ends ---- */

static void test_cancel(void **state)
{
	tarn_dev_io	*done[16];
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;
	uint32_t	 reaped = 0;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 16);
	batch_make(&b, 16);
	batch_fill(&b, TARN_DEV_READ, 0);
	assert_error(tarn_dev_queue_cancel(queue, &b.ios[0]), NONEXIST);
	assert_int_equal(tarn_dev_queue_submit(queue, b.list, 16), 16);
	for (uint32_t i = 0; i < 16; i++) {
		int rc = tarn_dev_queue_cancel(queue, &b.ios[i]);

		assert_true(rc == 0 || rc == -TARN_E_NONEXIST);
	}
	while (reaped < 16) {
		uint32_t n = tarn_dev_queue_reap(queue, 1, 16, WAIT_US, done);

		assert_true(n > 0);
		batch_note(&b, done, n);
		reaped += n;
	}
	for (uint32_t i = 0; i < 16; i++)
		assert_true(b.ios[i].rc == 0 || (b.ios[i].rc == -TARN_E_CANCELED && *b.ios[i].message));
	assert_error(tarn_dev_queue_cancel(queue, &b.ios[3]), NONEXIST);
	batch_do(queue, &b, TARN_DEV_READ, 0); /* a cancel that came too late is not of the next one */
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

/* What was not reaped is dropped, and the memory is the caller's again. */
static void test_close_with_io_in_flight(void **state)
{
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;

	rig_open(&r, state, 0);
	batch_make(&b, 16);
	for (unsigned i = 0; i < 10; i++) {
		queue = rig_queue(&r, 16);
		batch_fill(&b, TARN_DEV_READ, 0);
		assert_int_equal(tarn_dev_queue_submit(queue, b.list, 16), 16);
		assert_error(tarn_dev_close(r.dev), BUSY);
		assert_says("1 queues");
		close_queue(queue);
		memset(b.bytes, 0, 16 * UNIT);
	}
	batch_free(&b);
	rig_close(&r);
}

static void test_leaves_no_descriptors(void **state)
{
	unsigned	 before = count_descriptors();
	struct dev_batch b;
	struct rig	 r;

	batch_make(&b, 4);
	for (unsigned i = 0; i < 20; i++) {
		tarn_dev_queue *queue, *other;

		rig_open(&r, state, 0);
		queue = rig_queue(&r, 4);
		other = rig_queue(&r, 64);
		batch_do(queue, &b, TARN_DEV_READ, 0);
		if (i % 2)
			assert_true(tarn_dev_queue_fd(other) >= 0);
		close_queue(other);
		close_queue(queue);
		rig_close(&r);
	}
	batch_free(&b);
	assert_int_equal(count_descriptors(), before);
}

/* ---- threads ---- */

struct reaper {
	tarn_dev_queue *queue;
	uint32_t	wanted, reaped;
	int		rc;
};

static void *reap_all(void *arg)
{
	struct reaper *t = arg;
	tarn_dev_io   *done[8];

	while (t->reaped < t->wanted && !t->rc) {
		uint32_t n = tarn_dev_queue_reap(t->queue, 1, 8, 1000, done);

		for (uint32_t i = 0; i < n; i++) {
			t->rc = t->rc ? t->rc : done[i]->rc;
			__atomic_store_n(&done[i]->tag, UINT64_MAX, __ATOMIC_RELEASE);
		}
		t->reaped += n;
	}
	return NULL;
}

/* One thread submits, another reaps, at the same moment. */
static void test_two_threads(void **state)
{
	struct dev_batch b;
	struct reaper	 reaper = { .wanted = 500 };
	pthread_t	 thread;
	struct rig	 r;
	uint32_t	 started = 0;

	rig_open(&r, state, 0);
	reaper.queue = rig_queue(&r, 6);
	batch_make(&b, 500);
	batch_fill(&b, TARN_DEV_READ, 0);
	assert_int_equal(pthread_create(&thread, NULL, reap_all, &reaper), 0);
	while (started < b.n)
		started += tarn_dev_queue_submit(reaper.queue, b.list + started, MIN(b.n - started, 3));
	pthread_join(thread, NULL);
	assert_int_equal(reaper.rc, 0);
	for (uint32_t i = 0; i < b.n; i++)
		assert_true(b.ios[i].tag == UINT64_MAX);
	batch_free(&b);
	close_queue(reaper.queue);
	rig_close(&r);
}

static void *wake_often(void *arg)
{
	for (unsigned i = 0; i < 200; i++) {
		tarn_dev_queue_wake(arg);
		usleep(50);
	}
	return NULL;
}

/* A wake from elsewhere ends a wait early, and loses nothing. */
static void test_wakes(void **state)
{
	struct dev_batch b;
	tarn_dev_queue	*queue;
	pthread_t	 thread;
	struct rig	 r;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 8);
	batch_make(&b, 8);
	assert_int_equal(pthread_create(&thread, NULL, wake_often, queue), 0);
	for (unsigned round = 0; round < 100; round++) {
		tarn_dev_io *done[8];
		uint32_t     reaped = 0, n;

		batch_fill(&b, TARN_DEV_READ, 0);
		assert_int_equal(tarn_dev_queue_submit(queue, b.list, 8), 8);
		while (reaped < 8) {
			n = tarn_dev_queue_reap(queue, 8 - reaped, 8, WAIT_US, done);
			batch_note(&b, done, n);
			reaped += n;
		}
		batch_assert_ok(&b);
	}
	pthread_join(thread, NULL);
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

struct canceller {
	tarn_dev_queue	 *queue;
	struct dev_batch *batch;
	atomic_bool	  stop;
	unsigned	  wrong;
};

static void *cancel_often(void *arg)
{
	struct canceller *c = arg;
	struct rng	  rng;

	rng_seed(&rng, test_seed());
	while (!atomic_load(&c->stop)) {
		int rc = tarn_dev_queue_cancel(c->queue, &c->batch->ios[rng_below(&rng, c->batch->n)]);

		c->wrong += rc != 0 && rc != -TARN_E_NONEXIST;
		usleep(10);
	}
	return NULL;
}

/* A third thread cancels what it likes, whether it is in flight or not: each is reaped once all the same. */
static void test_cancels_from_another_thread(void **state)
{
	struct dev_batch b;
	struct canceller c = { .batch = &b };
	pthread_t	 thread;
	struct rig	 r;

	rig_open(&r, state, 0);
	c.queue = rig_queue(&r, 8);
	batch_make(&b, 8);
	batch_fill(&b, TARN_DEV_READ, 0);
	assert_int_equal(pthread_create(&thread, NULL, cancel_often, &c), 0);
	for (unsigned round = 0; round < 100; round++) {
		memset(b.seen, 0, b.n * sizeof(*b.seen));
		batch_run(c.queue, &b);
		for (uint32_t i = 0; i < b.n; i++)
			assert_true(b.ios[i].rc == 0 || b.ios[i].rc == -TARN_E_CANCELED);
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(c.wrong, 0);
	close_queue(c.queue);
	batch_free(&b);
	rig_close(&r);
}

struct worker {
	struct rig *rig;
	uint64_t    place; /* 16 UNITs from here on are its own */
	int	    rc;
	pthread_t   thread;
};

/* Its own queue, of any flags, and calls that wait, on its own bytes. */
static void *use_own_queue(void *arg)
{
	struct worker	      *w     = arg;
	uint8_t		      *wrote = tarn_dev_alloc(UNIT, 0), *got = tarn_dev_alloc(UNIT, 0);
	tarn_dev_queue_options options = { .struct_size = sizeof(options), .flags = TARN_DEV_QUEUE_SINGLE, .depth = 2 };
	tarn_dev_queue	      *queue   = NULL;

	w->rc = wrote && got ? tarn_dev_queue_open(w->rig->dev, &options, &queue) : -TARN_E_NOMEM;
	for (uint64_t i = 0; !w->rc && i < 60; i++) {
		uint64_t    at = w->place + i % 16 * UNIT;
		tarn_dev_io io = { .opcode = TARN_DEV_READ, .offset = at, .len = UNIT, .buf = got }, *p = &io;

		test_fill(wrote, UNIT, at + i);
		w->rc = tarn_dev_write(w->rig->dev, at, wrote, UNIT, 0);
		if (!w->rc && (tarn_dev_queue_submit(queue, &p, 1) != 1 || tarn_dev_queue_reap(queue, 1, 1, WAIT_US, &p) != 1))
			w->rc = -TARN_E_MISC;
		w->rc = w->rc ? w->rc : io.rc;
		if (!w->rc && memcmp(wrote, got, UNIT) != 0)
			w->rc = -TARN_E_MISMATCH;
	}
	if (queue && !w->rc)
		w->rc = tarn_dev_queue_close(queue, WAIT_US);
	tarn_dev_free(wrote, UNIT, 0);
	tarn_dev_free(got, UNIT, 0);
	return NULL;
}

static void test_queues_at_once(void **state)
{
	struct worker workers[4];
	struct rig    r;

	rig_open(&r, state, TARN_DEV_RDWR);
	for (unsigned i = 0; i < ARRAY_LEN(workers); i++) {
		workers[i] = (struct worker){ .rig = &r, .place = (uint64_t)i * 16 * UNIT };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, use_own_queue, &workers[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(workers); i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].rc, 0);
	}
	rig_close(&r);
}

int main(void)
{
	static const struct dev_case cases[] = {
		DEV_CASE(test_cancel),
		DEV_CASE(test_close_with_io_in_flight),
		DEV_CASE(test_leaves_no_descriptors),
		DEV_CASE_FOR(test_two_threads, NOT_SINGLE),
		DEV_CASE(test_wakes),
		DEV_CASE_FOR(test_cancels_from_another_thread, NOT_SINGLE),
		DEV_CASE_FOR(test_queues_at_once, NOT_ZONED),
	};

	return run_cases(cases, ARRAY_LEN(cases));
}
