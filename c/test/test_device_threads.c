/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_device_threads.c: a queue between threads: one submits, one reaps, others wake or do I/O of their own. On every backend.
 *
 * Threads other than the test's own note what is wrong, and the test's own fails of it. N=number of I/Os. */
#include "device_scratch.h"

#include "../src/device/backend.h"

#include <dirent.h>
#include <pthread.h>
#include <time.h>

#define BLOCK	  4096u
#define SLOTS_MAX 256u

struct place {
	const char *name;
	const char *uri;     /* NULL: a file */
	const char *backend; /* that is asked for */
	bool	    in_memory;
};

static const struct place places[] = {
	{ "io_uring", NULL, "io_uring", false }, { "io_uring tmpfs", NULL, "io_uring", true },
	{ "threads", NULL, "threads", false },	 { "threads tmpfs", NULL, "threads", true },
	{ "mem", "mem:8M", NULL, false },	 { "sim", "sim:8M?seed=5", NULL, false },
};

struct bench {
	struct device	    *dev;
	struct device_queue *queue;
	uint8_t		    *buf; /* SLOTS_MAX + 1 blocks */
};

static void start(struct bench *b, void **state, unsigned depth)
{
	const struct place   *place   = *state;
	struct device_options options = { .size = SCRATCH_SIZE, .create = !place->uri, .backend = place->backend };
	const char	     *dir     = place->in_memory ? scratch_memory : scratch_disk;
	char		      path[SCRATCH_PATH];
	int		      rc;

	if (!*dir)
		skip();
	unlink(scratch_path(path, dir, "threads"));
	rc = device_open(place->uri ? place->uri : path, &options, &b->dev);
	if (rc == -TARN_E_NOTSUPPORTED && place->backend)
		skip();
	assert_ok(rc);
	assert_ok(device_queue_open(b->dev, depth, &b->queue));
	b->buf = device_map((SLOTS_MAX + 1) * BLOCK);
	assert_non_null(b->buf);
}

static void stop(struct bench *b)
{
	device_queue_close(b->queue);
	device_close(b->dev);
	device_unmap(b->buf, (SLOTS_MAX + 1) * BLOCK);
}

static void sleep_ms(unsigned ms)
{
	struct timespec pause = { 0, (long)ms * 1000000 };

	nanosleep(&pause, NULL);
}

static pthread_t start_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
	return thread;
}

/* A slot owns a block of the device. It is written and read by turns; what is read must be what was written last. Now and then its
 * I/O is one that is refused. */
struct slot {
	tarn_dev_io io; /* first */
	uint8_t	   *block;
	uint64_t    written; /* on the device; 0: nothing yet */
	bool	    bad, lent;
};

struct traffic {
	struct bench   *b;
	struct slot	slots[SLOTS_MAX];
	uint64_t	total;
	unsigned	reap_min;
	bool		cancels;
	pthread_mutex_t lock;
	/* Under the lock: */
	pthread_cond_t returned;
	tarn_dev_io   *free[SLOTS_MAX];
	unsigned       free_count;
	uint64_t       reaped, wrong;
	bool	       over;
};

static void traffic_make(struct traffic *t, struct bench *b, unsigned slots, uint64_t total, unsigned reap_min)
{
	*t = (struct traffic){ .b = b, .total = total, .reap_min = reap_min, .free_count = slots };
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->returned, NULL);
	for (unsigned i = 0; i < slots; i++) {
		t->slots[i].block     = b->buf + (size_t)i * BLOCK;
		t->slots[i].io.offset = (uint64_t)i * BLOCK;
		t->free[i]	      = &t->slots[i].io;
	}
}

static void fill_slot(struct slot *slot, uint64_t turn)
{
	bool writes = turn % 3 != 0 || !slot->written;

	slot->bad  = turn % 50 == 7;
	slot->lent = true;
	slot->io   = (tarn_dev_io){ .opcode = writes ? TARN_DEV_WRITE : TARN_DEV_READ,
				    .buf    = slot->block,
				    .offset = slot->io.offset,
				    .len    = slot->bad ? 1 : BLOCK };
	memset(slot->block, 0, BLOCK);
	if (writes && !slot->bad) {
		slot->written = turn + 1;
		put64(slot->block, slot->written);
		put64(slot->block + BLOCK - 8, slot->written);
	}
}

static bool slot_is_right(struct slot *slot, bool cancels)
{
	bool cancelled = cancels && !slot->bad && slot->io.rc == -TARN_E_CANCELED;
	bool right     = slot->lent && (cancelled || slot->io.rc == (slot->bad ? -TARN_E_INVAL : 0));

	slot->lent = false;
	if (cancelled)
		slot->written = 0; /* old or new */
	if (slot->bad || cancelled)
		return right;
	return right && get64(slot->block) == slot->written && get64(slot->block + BLOCK - 8) == slot->written;
}

static unsigned take_free(struct traffic *t, unsigned max, tarn_dev_io **ios)
{
	unsigned n = 0;

	pthread_mutex_lock(&t->lock);
	while (!t->free_count)
		pthread_cond_wait(&t->returned, &t->lock);
	while (n < max && t->free_count)
		ios[n++] = t->free[--t->free_count];
	pthread_mutex_unlock(&t->lock);
	return n;
}

static void submit_all(struct traffic *t)
{
	tarn_dev_io *ios[16];
	struct rng   rng;
	uint64_t     turn = 0;

	rng_seed(&rng, test_seed());
	while (turn < t->total) {
		uint64_t batch = 1 + rng_below(&rng, ARRAY_LEN(ios));
		unsigned n     = take_free(t, (unsigned)MIN(batch, t->total - turn), ios);

		for (unsigned i = 0; i < n; i++)
			fill_slot((struct slot *)ios[i], turn++);
		if (n == 1)
			device_submit(t->b->queue, ios[0]);
		else
			device_submit_many(t->b->queue, ios, n);
	}
}

static void give_back(struct traffic *t, tarn_dev_io **ios, unsigned n)
{
	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < n; i++) {
		t->wrong += !slot_is_right((struct slot *)ios[i], t->cancels);
		t->free[t->free_count++] = ios[i];
	}
	t->reaped += n;
	pthread_cond_signal(&t->returned);
	pthread_mutex_unlock(&t->lock);
}

static bool traffic_is_over(struct traffic *t)
{
	bool over;

	pthread_mutex_lock(&t->lock);
	over = t->over || t->reaped == t->total;
	pthread_mutex_unlock(&t->lock);
	return over;
}

/* By turns it waits always, and only while something is in flight. */
static void *reap_all(void *arg)
{
	struct traffic *t = arg;
	tarn_dev_io    *ios[32];
	unsigned	n;

	for (unsigned turn = 0; !traffic_is_over(t); turn++) {
		if (turn % 2)
			n = device_reap(t->b->queue, t->reap_min, ARRAY_LEN(ios), ios);
		else
			n = device_wait(t->b->queue, ARRAY_LEN(ios), ios);
		give_back(t, ios, n);
	}
	return NULL;
}

static void *wake_all_the_time(void *arg)
{
	struct traffic *t = arg;

	while (!traffic_is_over(t)) {
		device_wake(t->b->queue);
		sleep_ms(1);
	}
	return NULL;
}

/* Any of them, in flight or not: it looks at none. */
static void *cancel_all_the_time(void *arg)
{
	struct traffic *t = arg;
	struct rng	rng;

	rng_seed(&rng, test_seed() + 1);
	while (!traffic_is_over(t)) {
		for (unsigned i = 0; i < 100; i++)
			device_cancel(t->b->queue, &t->slots[rng_below(&rng, SLOTS_MAX)].io);
		sleep_ms(1);
	}
	return NULL;
}

static void run_traffic_with(void **state, unsigned depth, unsigned slots, uint64_t total, unsigned reap_min,
			     void *(*disturb)(void *))
{
	static struct traffic t;
	struct bench	      b;
	pthread_t	      reaper, other;

	start(&b, state, depth);
	traffic_make(&t, &b, slots, total, reap_min);
	t.cancels = disturb == cancel_all_the_time;
	reaper	  = start_thread(reap_all, &t);
	other	  = start_thread(disturb, &t);
	submit_all(&t);
	if (t.cancels) /* nothing wakes it but I/O, and it may have waited for more just when the last had come */
		while (!traffic_is_over(&t)) {
			device_wake(b.queue);
			sleep_ms(1);
		}
	pthread_join(reaper, NULL);
	pthread_join(other, NULL);
	assert_int_equal(t.reaped, t.total);
	assert_int_equal(t.wrong, 0);
	assert_int_equal(t.free_count, slots);
	pthread_cond_destroy(&t.returned);
	pthread_mutex_destroy(&t.lock);
	stop(&b);
}

static void run_traffic(void **state, unsigned depth, unsigned slots, uint64_t total, unsigned reap_min)
{
	run_traffic_with(state, depth, slots, total, reap_min, wake_all_the_time);
}

static void test_one_submits_one_reaps(void **state)
{
	run_traffic(state, 64, 64, test_number("N", 20000), 1);
}

/* The submitter finds the queue full most of the time: it waits for the reaper, or reaps for itself. */
static void test_more_than_fits(void **state)
{
	run_traffic(state, 4, 64, test_number("N", 20000) / 4, 1);
}

static void test_reaper_wants_many_at_once(void **state)
{
	run_traffic(state, 16, 64, test_number("N", 20000) / 4, 9);
}

static void test_another_cancels(void **state)
{
	run_traffic_with(state, 64, 64, test_number("N", 20000) / 2, 1, cancel_all_the_time);
	run_traffic_with(state, 4, 64, test_number("N", 20000) / 4, 1, cancel_all_the_time);
}

/* A thread in device_wait() or device_reap(), and what it came back with. */
struct waiter {
	struct bench *b;
	unsigned      reap_min; /* 0: device_wait() */
	unsigned      n;
	tarn_dev_io  *ios[8];
};

static void *wait_once(void *arg)
{
	struct waiter *w = arg;

	if (w->reap_min)
		w->n = device_reap(w->b->queue, w->reap_min, ARRAY_LEN(w->ios), w->ios);
	else
		w->n = device_wait(w->b->queue, ARRAY_LEN(w->ios), w->ios);
	return NULL;
}

static tarn_dev_io write_of(const struct bench *b, unsigned block, uint64_t len)
{
	return (tarn_dev_io){
		.opcode = TARN_DEV_WRITE, .buf = b->buf + (size_t)block * BLOCK, .offset = (uint64_t)block * BLOCK, .len = len
	};
}

/* Asleep, and not yet asleep. */
static void test_wake_ends_a_wait(void **state)
{
	struct bench  b;
	struct waiter w = { .b = &b };

	start(&b, state, 4);
	for (unsigned i = 0; i < 40; i++) {
		pthread_t thread = start_thread(wait_once, &w);

		if (i % 2)
			sleep_ms(2);
		device_wake(b.queue);
		pthread_join(thread, NULL);
		assert_int_equal(w.n, 0);
	}
	stop(&b);
}

static void test_wake_is_kept_for_the_next_wait_and_counts_once(void **state)
{
	struct bench b;
	tarn_dev_io  io, *done;

	start(&b, state, 4);
	io = write_of(&b, 0, BLOCK);
	for (unsigned i = 0; i < 3; i++)
		device_wake(b.queue);
	assert_int_equal(device_reap(b.queue, 0, 1, &done), 0); /* would not have waited: leaves it */
	assert_int_equal(device_wait(b.queue, 1, &done), 0);
	device_submit(b.queue, &io);
	assert_int_equal(device_wait(b.queue, 1, &done), 1);
	assert_ptr_equal(done, &io);
	assert_int_equal(io.rc, 0);
	stop(&b);
}

/* A sleeping reaper hears of what is submitted later: a good one, one that is refused. */
static void test_submission_ends_a_wait(void **state)
{
	struct bench  b;
	struct waiter w = { .b = &b };

	start(&b, state, 4);
	for (unsigned i = 0; i < 40; i++) {
		tarn_dev_io io	   = write_of(&b, i, i % 4 < 2 ? BLOCK : 1);
		pthread_t   thread = start_thread(wait_once, &w);

		if (i % 2)
			sleep_ms(2);
		device_submit(b.queue, &io);
		pthread_join(thread, NULL);
		assert_int_equal(w.n, 1);
		assert_ptr_equal(w.ios[0], &io);
		assert_int_equal(io.rc, i % 4 < 2 ? 0 : -TARN_E_INVAL);
	}
	stop(&b);
}

static void test_idle_reap_does_not_wait(void **state)
{
	struct bench b;
	tarn_dev_io *done[4];

	start(&b, state, 4);
	assert_int_equal(device_reap(b.queue, 4, 4, done), 0);
	stop(&b);
}

/* The queue's own reaper sleeps meanwhile, and gets none of it. */
static void test_waiting_calls_beside_a_reaper(void **state)
{
	struct bench  b;
	struct waiter w = { .b = &b };
	uint8_t	     *back;
	pthread_t     thread;

	start(&b, state, 1);
	back = device_alloc(BLOCK);
	assert_non_null(back);
	thread = start_thread(wait_once, &w);
	for (unsigned i = 0; i < 50; i++) {
		test_fill(b.buf, BLOCK, i);
		assert_ok(i % 2 ? device_write_durable(b.queue, i * BLOCK, b.buf, BLOCK)
				: device_write(b.queue, i * BLOCK, b.buf, BLOCK));
		assert_ok(device_flush(b.queue));
		assert_ok(device_read(b.queue, i * BLOCK, back, BLOCK));
		assert_memory_equal(b.buf, back, BLOCK);
	}
	device_wake(b.queue);
	pthread_join(thread, NULL);
	assert_int_equal(w.n, 0);
	stop(&b);
	device_free(back);
}

/* The descriptor of the only ring there is, or -1. */
static int ring_descriptor(void)
{
	DIR	      *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char	       text[64];
	int	       fd = -1;

	while (dir && (entry = readdir(dir)) != NULL) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, text, sizeof(text) - 1);

		text[MAX(n, 0)] = '\0';
		if (strstr(text, "io_uring"))
			fd = atoi(entry->d_name);
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* What the ring does not take is done all the same, once each, and a reaper can still be stopped. */
static void test_ring_that_takes_nothing(void **state)
{
	tarn_dev_io   ios[8], *list[8], *done[8];
	struct bench  b;
	struct waiter w = { .b = &b };
	pthread_t     thread;
	int	      other = open("/dev/null", O_RDONLY | O_CLOEXEC), ring;

	start(&b, state, 8);
	ring = ring_descriptor();
	if (ring < 0) {
		close(other);
		stop(&b);
		skip();
	}
	assert_true(dup2(other, ring) >= 0);
	for (unsigned i = 0; i < ARRAY_LEN(ios); i++) {
		ios[i]	= write_of(&b, i, BLOCK);
		list[i] = &ios[i];
		test_fill(ios[i].buf, BLOCK, i);
	}
	device_submit_many(b.queue, list, ARRAY_LEN(list));
	assert_int_equal(device_reap(b.queue, ARRAY_LEN(done), ARRAY_LEN(done), done), ARRAY_LEN(done));
	for (unsigned i = 0; i < ARRAY_LEN(ios); i++) {
		assert_int_equal(ios[i].rc, 0);
		assert_ok(device_read(b.queue, i * BLOCK, b.buf + SLOTS_MAX * BLOCK, BLOCK));
		assert_memory_equal(b.buf + SLOTS_MAX * BLOCK, ios[i].buf, BLOCK);
	}
	thread = start_thread(wait_once, &w);
	sleep_ms(2);
	device_wake(b.queue);
	pthread_join(thread, NULL);
	assert_int_equal(w.n, 0);
	close(other);
	stop(&b);
}

#define BATTERY(X)                                                                                                               \
	X(test_one_submits_one_reaps)                                                                                            \
	X(test_more_than_fits)                                                                                                   \
	X(test_reaper_wants_many_at_once)                                                                                        \
	X(test_another_cancels)                                                                                                  \
	X(test_wake_ends_a_wait)                                                                                                 \
	X(test_wake_is_kept_for_the_next_wait_and_counts_once)                                                                   \
	X(test_submission_ends_a_wait)                                                                                           \
	X(test_idle_reap_does_not_wait)                                                                                          \
	X(test_waiting_calls_beside_a_reaper)                                                                                    \
	X(test_ring_that_takes_nothing)

static const struct {
	const char	  *name;
	CMUnitTestFunction run;
} battery[] = {
#define BATTERY_ROW(test) { #test, test },
	BATTERY(BATTERY_ROW)
#undef BATTERY_ROW
};

int main(void)
{
	static struct CMUnitTest tests[ARRAY_LEN(places) * ARRAY_LEN(battery)];
	static char		 names[ARRAY_LEN(tests)][96];

	for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
		const struct place *place = &places[i / ARRAY_LEN(battery)];

		snprintf(names[i], sizeof(names[i]), "%s on %s", battery[i % ARRAY_LEN(battery)].name, place->name);
		tests[i] = (struct CMUnitTest){ .name	       = names[i],
						.test_func     = battery[i % ARRAY_LEN(battery)].run,
						.initial_state = (void *)(uintptr_t)place };
	}
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
