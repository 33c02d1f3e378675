/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_queue_stuck.c: I/O that does not complete until the test says so: waits with a time limit, a close with one, wakes, signals,
 * cancelling, and who may use a SINGLE queue meanwhile.
 *
 * What stands still is, by backend: io_uring: a read of an empty pipe; threads: a device whose run() waits at a gate; sim: the I/O that
 * never completes. */
#include "queue_bench.h"

#include "../src/device/file.h"

#include <signal.h>

#define READERS 16u

enum stand { ON_PIPE, AT_GATE, IN_SIM };

static const struct {
	const char *name;
	enum stand  stand;
} stands[] = { { "io_uring", ON_PIPE }, { "threads", AT_GATE }, { "sim", IN_SIM } };

struct stuck_setting {
	enum stand stand;
	uint32_t   flags;
};

/* A device that a thread waits at. */
struct gate {
	struct device	base; /* first */
	pthread_mutex_t lock;
	pthread_cond_t	opened;
	unsigned	let; /* so many may pass */
	unsigned	waiting;
};

struct stuck {
	enum stand	     stand;
	uint32_t	     flags;
	struct device	    *dev;
	struct device_queue *queue;
	struct file	     pipe_file;
	int		     pipe_in; /* what is written here completes reads */
	struct gate	     gate;
	tarn_dev_io	     ios[READERS];
	_Alignas(4096) uint8_t buf[READERS][512];
};

static int gate_run(struct device *dev, tarn_dev_io *io)
{
	struct gate *g = container_of(dev, struct gate, base);

	(void)io;
	pthread_mutex_lock(&g->lock);
	g->waiting++;
	while (!g->let)
		pthread_cond_wait(&g->opened, &g->lock);
	g->let--;
	g->waiting--;
	pthread_mutex_unlock(&g->lock);
	return 0;
}

static void gate_close(struct device *dev)
{
	(void)dev;
}

static const struct device_backend gate_backend = {
	.name	     = "threads",
	.queue_open  = threads_queue_open,
	.queue_close = threads_queue_close,
	.submit	     = threads_submit,
	.reap	     = device_pushed_reap,
	.wake	     = device_pushed_wake,
	.cancel	     = threads_cancel,
	.adapt	     = device_adapts_by_itself,
	.run	     = gate_run,
	.zone_report = device_no_zones_report,
	.zone_manage = device_no_zones_manage,
	.close	     = gate_close,
};

static tarn_dev_info small_device(void)
{
	return (tarn_dev_info){ .kind		  = "file",
				.uri		  = "file:/nowhere",
				.size		  = 1 << 20,
				.logical_block	  = 512,
				.memory_alignment = 512,
				.offset_alignment = 512,
				.max_transfer	  = 1 << 20 };
}

static void open_pipe(struct stuck *s)
{
	int ends[2];

	if (uring_check() != 0)
		skip();
	assert_int_equal(pipe(ends), 0);
	s->pipe_file = (struct file){ .base = { .backend = &uring_backend, .info = small_device() }, .fd = ends[0] };
	s->pipe_in   = ends[1];
	s->dev	     = &s->pipe_file.base;
}

static void open_gate(struct stuck *s)
{
	s->gate = (struct gate){ .base = { .backend = &gate_backend, .info = small_device() } };
	pthread_mutex_init(&s->gate.lock, NULL);
	pthread_cond_init(&s->gate.opened, NULL);
	s->dev = &s->gate.base;
}

static void open_stuck(struct stuck *s, void **state, unsigned depth)
{
	static const char	   *never    = "sim:1M?never=read:1";
	const struct stuck_setting *setting  = *state;
	struct device_queue_options options  = { .depth = depth, .flags = setting->flags };
	const struct device_options writable = { 0 };

	*s = (struct stuck){ .stand = setting->stand, .flags = setting->flags };
	if (s->stand == ON_PIPE)
		open_pipe(s);
	else if (s->stand == AT_GATE)
		open_gate(s);
	else
		assert_ok(device_open(never, &writable, &s->dev));
	assert_ok(device_queue_open_with(s->dev, &options, &s->queue));
}

static tarn_dev_io *reader(struct stuck *s, unsigned i)
{
	s->ios[i] = (tarn_dev_io){ .opcode = TARN_DEV_READ, .buf = s->buf[i], .len = 512, .tag = i };
	return &s->ios[i];
}

/* Starts the first n; the sim has but one that stands still. */
static void start_readers(struct stuck *s, unsigned n)
{
	tarn_dev_io *list[READERS];

	for (unsigned i = 0; i < n; i++)
		list[i] = reader(s, i);
	assert_int_equal(device_try_submit(s->queue, list, n), n);
}

/* Lets n complete; of the sim by a cancel. */
static void release(struct stuck *s, unsigned n)
{
	static const uint8_t data[512];

	for (unsigned i = 0; s->stand == ON_PIPE && i < n; i++)
		assert_int_equal(write(s->pipe_in, data, sizeof(data)), sizeof(data));
	if (s->stand == AT_GATE) {
		pthread_mutex_lock(&s->gate.lock);
		s->gate.let += n;
		pthread_cond_broadcast(&s->gate.opened);
		pthread_mutex_unlock(&s->gate.lock);
	}
	if (s->stand == IN_SIM && n)
		assert_ok(device_cancel(s->queue, &s->ios[0]));
}

static void close_stuck(struct stuck *s)
{
	assert_ok(device_queue_close_within(s->queue, 10000000));
	if (s->stand == ON_PIPE) {
		close(s->pipe_file.fd);
		close(s->pipe_in);
	} else if (s->stand == IN_SIM) {
		device_close(s->dev);
	} else {
		pthread_cond_destroy(&s->gate.opened);
		pthread_mutex_destroy(&s->gate.lock);
	}
}

static uint64_t ms_since(uint64_t start)
{
	return (base_wait_ns() - start) / 1000000;
}

static void test_reap_ends_in_time(void **state)
{
	struct stuck s;
	tarn_dev_io *done[4];
	uint64_t     start;

	open_stuck(&s, state, 4);
	start_readers(&s, 1);
	assert_int_equal(device_reap_within(s.queue, 1, 4, 0, done), 0);
	start = base_wait_ns();
	assert_int_equal(device_reap_within(s.queue, 1, 4, 30000, done), 0);
	assert_true(ms_since(start) >= 30 && ms_since(start) < 10000);
	assert_int_equal(device_reap_within(s.queue, 4, 4, 2000, done), 0);
	release(&s, 1);
	assert_int_equal(device_reap_within(s.queue, 4, 4, 10000000, done), 1);
	assert_ptr_equal(done[0], &s.ios[0]);
	assert_int_equal(s.ios[0].rc, s.stand == IN_SIM ? -TARN_E_CANCELED : 0);
	close_stuck(&s);
}

/* What is there is handed out with less than min, at the end of the time. */
static void test_reap_takes_what_there_is(void **state)
{
	struct stuck s;
	tarn_dev_io *done[4], bad = { .opcode = TARN_DEV_READ, .len = 1 }, *one = &bad;

	open_stuck(&s, state, 4);
	start_readers(&s, 1);
	assert_int_equal(device_try_submit(s.queue, &one, 1), 1);
	assert_int_equal(device_reap_within(s.queue, 2, 4, 3000, done), 1);
	assert_ptr_equal(done[0], one);
	release(&s, 1);
	assert_int_equal(device_reap_within(s.queue, 1, 4, 10000000, done), 1);
	close_stuck(&s);
}

static void test_close_ends_in_time(void **state)
{
	struct stuck s;
	uint64_t     start;

	open_stuck(&s, state, 4);
	start_readers(&s, 1);
	assert_error(device_queue_close_within(s.queue, 0), TIMEDOUT);
	start = base_wait_ns();
	assert_error(device_queue_close_within(s.queue, 20000), TIMEDOUT);
	assert_true(ms_since(start) >= 20 && ms_since(start) < 10000);
	assert_says("1 I/O");
	release(&s, 1);
	close_stuck(&s); /* what was not reaped is dropped */
}

/* ---- wakes and signals ---- */

static void *wake_soon(void *arg)
{
	sleep_ms(5);
	device_wake(arg);
	return NULL;
}

static void test_wake_ends_a_wait(void **state)
{
	struct stuck s;
	tarn_dev_io *done[4];
	pthread_t    waker;

	open_stuck(&s, state, 4);
	start_readers(&s, 1);
	for (unsigned i = 0; i < 5; i++) {
		waker = start_thread(wake_soon, s.queue);
		assert_int_equal(device_reap_within(s.queue, 1, 4, i % 2 ? 20000000 : -1, done), 0);
		pthread_join(waker, NULL);
	}
	device_wake(s.queue); /* is kept, once, for the next that would wait */
	device_wake(s.queue);
	assert_int_equal(device_reap_within(s.queue, 0, 4, 0, done), 0);
	assert_int_equal(device_reap_within(s.queue, 1, 4, -1, done), 0);
	release(&s, 1);
	assert_int_equal(device_reap_within(s.queue, 1, 4, -1, done), 1);
	close_stuck(&s);
}

static void ignore(int number)
{
	(void)number;
}

struct target {
	pthread_t   thread;
	atomic_bool over;
};

static void *signal_all_the_time(void *arg)
{
	struct target *t = arg;

	while (!atomic_load(&t->over)) {
		pthread_kill(t->thread, SIGUSR1);
		sleep_ms(1);
	}
	return NULL;
}

/* They interrupt system calls, and nothing else. */
static void test_signals_shorten_no_wait(void **state)
{
	struct sigaction on = { .sa_handler = ignore }, old;
	struct target	 t  = { .thread = pthread_self() };
	struct stuck	 s;
	tarn_dev_io	*done[4];
	uint64_t	 start;
	pthread_t	 sender;

	open_stuck(&s, state, 4);
	start_readers(&s, 1);
	sigaction(SIGUSR1, &on, &old);
	sender = start_thread(signal_all_the_time, &t);
	start  = base_wait_ns();
	assert_int_equal(device_reap_within(s.queue, 1, 4, 50000, done), 0);
	assert_true(ms_since(start) >= 50);
	assert_error(device_queue_close_within(s.queue, 10000), TIMEDOUT);
	release(&s, 1);
	assert_int_equal(device_reap_within(s.queue, 1, 4, -1, done), 1);
	atomic_store(&t.over, true);
	pthread_join(sender, NULL);
	sigaction(SIGUSR1, &old, NULL);
	close_stuck(&s);
}

static void test_event_fd_is_quiet(void **state)
{
	struct pollfd one = { .events = POLLIN };
	struct stuck  s;
	tarn_dev_io  *done[4];

	open_stuck(&s, state, 4);
	start_readers(&s, 1);
	one.fd = device_queue_fd(s.queue);
	assert_ok(one.fd);
	assert_int_equal(device_reap_within(s.queue, 0, 4, 0, done), 0);
	if (s.stand != IN_SIM) /* there somebody has to ask */
		assert_false(is_readable(one.fd));
	release(&s, 1);
	assert_int_equal(poll(&one, 1, 10000), 1);
	assert_int_equal(device_reap_within(s.queue, 0, 4, 0, done), 1);
	assert_int_equal(device_reap_within(s.queue, 0, 4, 0, done), 0);
	assert_false(is_readable(one.fd));
	close_stuck(&s);
}

/* ---- cancelling ---- */

static void test_cancel_of_what_is_not_in_flight(void **state)
{
	tarn_dev_io  never = { 0 }, garbage, refused = { .opcode = TARN_DEV_READ, .len = 3 }, *one = &refused, *done[4];
	struct stuck s;

	open_stuck(&s, state, 4);
	memset(&garbage, 0xa5, sizeof(garbage));
	assert_error(device_cancel(s.queue, &never), NONEXIST);
	start_readers(&s, 1);
	assert_error(device_cancel(s.queue, &never), NONEXIST);
	assert_error(device_cancel(s.queue, &garbage), NONEXIST);
	assert_error(device_cancel(s.queue, NULL), NONEXIST);
	assert_int_equal(device_try_submit(s.queue, &one, 1), 1);
	assert_ok(device_cancel(s.queue, &refused)); /* not reaped yet, but too late */
	assert_int_equal(device_reap_within(s.queue, 1, 4, -1, done), 1);
	assert_int_equal(refused.rc, -TARN_E_INVAL);
	assert_error(device_cancel(s.queue, &refused), NONEXIST);
	release(&s, 1);
	assert_int_equal(device_reap_within(s.queue, 1, 4, -1, done), 1);
	assert_error(device_cancel(s.queue, &s.ios[0]), NONEXIST);
	close_stuck(&s);
}

/* io_uring gives every one up, the threads those that none of them has begun, the sim that one. */
static unsigned can_be_cancelled(const struct stuck *s, unsigned n)
{
	return s->stand == ON_PIPE ? n : s->stand == AT_GATE ? n - 4 : 1;
}

static void wait_until_all_workers_wait(struct stuck *s)
{
	bool all = s->stand != AT_GATE;

	while (!all) {
		pthread_mutex_lock(&s->gate.lock);
		all = s->gate.waiting == 4;
		pthread_mutex_unlock(&s->gate.lock);
		sleep_ms(all ? 0 : 1);
	}
}

static void test_cancel(void **state)
{
	struct stuck s;
	tarn_dev_io *done[READERS];
	unsigned     n, all, cancelled = 0;

	open_stuck(&s, state, READERS);
	n   = s.stand == IN_SIM ? 1 : READERS;
	all = can_be_cancelled(&s, n);
	for (unsigned round = 0; round < (s.stand == ON_PIPE ? 20 : 1); round++) {
		start_readers(&s, n);
		wait_until_all_workers_wait(&s);
		for (unsigned i = 0; i < n; i++)
			assert_ok(device_cancel(s.queue, &s.ios[i]));
		assert_ok(device_cancel(s.queue, &s.ios[n / 2])); /* twice: it is not reaped yet */
		assert_int_equal(device_reap_within(s.queue, all, READERS, 10000000, done), all);
		cancelled = 0;
		for (unsigned i = 0; i < all; i++)
			cancelled += done[i]->rc == -TARN_E_CANCELED && done[i]->message[0];
		assert_int_equal(cancelled, all);
		assert_int_equal(device_reap_within(s.queue, 0, READERS, 0, done), 0);
	}
	release(&s, n - all);
	if (n > all) /* and the others come with their result */
		assert_int_equal(device_reap_within(s.queue, n - all, READERS, 10000000, done), n - all);
	for (unsigned i = 0; i < n - all; i++)
		assert_int_equal(done[i]->rc, 0);
	close_stuck(&s);
}

/* One is cancelled at the moment at which it, or another, completes: each is reaped once, and no byte is lost. */
static void test_cancel_races_completion(void **state)
{
	struct stuck s;
	tarn_dev_io *done[READERS];
	struct rng   rng;
	unsigned     written = 0, read_well = 0;

	if (((const struct stuck_setting *)*state)->stand != ON_PIPE)
		return; /* test_device_threads has more of it */
	open_stuck(&s, state, READERS);
	rng_seed(&rng, test_seed());
	for (unsigned round = 0; round < test_number("N", 1000); round++) {
		unsigned n = 1 + (unsigned)rng_below(&rng, READERS), let = (unsigned)rng_below(&rng, n + 1), got;

		start_readers(&s, n);
		for (unsigned i = 0; i < n; i++) {
			if (i < let)
				release(&s, 1);
			assert_ok(device_cancel(s.queue, &s.ios[rng_below(&rng, n)]));
		}
		for (unsigned i = 0; i < n; i++)
			assert_ok(device_cancel(s.queue, &s.ios[i]));
		got = device_reap_within(s.queue, n, READERS, s.flags & TARN_DEV_QUEUE_SQPOLL ? 2000000 : 10000000, done);
		if (got < n &&
		    s.flags & TARN_DEV_QUEUE_SQPOLL) { /* its thread was just at work on some: they end with their results */
			release(&s, n - got);
			let += n - got;
			got += device_reap_within(s.queue, n - got, READERS - got, 10000000, done + got);
		}
		assert_int_equal(got, n);
		for (unsigned i = 0; i < n; i++) {
			assert_true(done[i]->rc == 0 || done[i]->rc == -TARN_E_CANCELED);
			read_well += done[i]->rc == 0;
			done[i]->rc = 1; /* so that one that comes twice is seen */
		}
		for (written += let; written > read_well; read_well++)
			assert_int_equal(read(s.pipe_file.fd, s.buf[0], 512), 512);
		assert_int_equal(written, read_well);
	}
	close_stuck(&s);
}

/* ---- whose queue it is ---- */

struct visit {
	struct stuck *s;
	tarn_dev_io   io;
	unsigned      started, reaped;
	int	      fd, cancel, close, registered;
};

static void *visit(void *arg)
{
	struct visit *v	  = arg;
	tarn_dev_io  *one = &v->io, *done[4];

	v->started    = device_try_submit(v->s->queue, &one, 1);
	v->reaped     = device_reap_within(v->s->queue, 2, 4, -1, done);
	v->fd	      = device_queue_fd(v->s->queue);
	v->cancel     = device_cancel(v->s->queue, &v->s->ios[0]);
	v->registered = device_queue_register(v->s->queue, &(tarn_dev_vec){ v->s->buf, 512 }, 1);
	v->close      = device_queue_close_within(v->s->queue, 1000);
	return NULL;
}

static void test_another_thread_is_refused(void **state)
{
	struct stuck s;
	struct visit v = { .s = &s, .io = { .opcode = TARN_DEV_NOP } };
	tarn_dev_io *done[4];

	open_stuck(&s, state, 4);
	start_readers(&s, 1);
	if (s.flags & TARN_DEV_QUEUE_SINGLE) {
		pthread_join(start_thread(visit, &v), NULL);
		assert_int_equal(v.started, 1);
		assert_int_equal(v.reaped, 1); /* its own, and at once */
		assert_int_equal(v.io.rc, -TARN_E_INVAL);
		assert_non_null(strstr(v.io.message, "another thread"));
		assert_int_equal(v.fd, -TARN_E_INVAL);
		assert_int_equal(v.cancel, -TARN_E_INVAL);
		assert_int_equal(v.registered, -TARN_E_INVAL);
		assert_int_equal(v.close, -TARN_E_INVAL);
	}
	release(&s, 1);
	assert_int_equal(device_reap_within(s.queue, 1, 4, -1, done), 1);
	if (s.flags & TARN_DEV_QUEUE_SINGLE) { /* and now it may: also read the pipe, which no plain system call of ours can */
		v.close = 0;
		v.io	= (tarn_dev_io){ .opcode = TARN_DEV_READ, .buf = s.buf[1], .len = 512 };
		if (s.stand != IN_SIM)
			release(&s, 1);
		pthread_join(start_thread(visit, &v), NULL);
		assert_int_equal(v.reaped, 1);
		assert_int_equal(v.io.rc, 0);
		assert_int_equal(v.registered, 0);
		assert_int_equal(v.close, 0);
	} else {
		assert_ok(device_queue_close_within(s.queue, -1));
	}
	assert_ok(device_queue_open(s.dev, 1, &s.queue));
	close_stuck(&s);
}

#define BATTERY(X)                                                                                                               \
	X(test_reap_ends_in_time)                                                                                                \
	X(test_reap_takes_what_there_is)                                                                                         \
	X(test_close_ends_in_time)                                                                                               \
	X(test_wake_ends_a_wait)                                                                                                 \
	X(test_signals_shorten_no_wait)                                                                                          \
	X(test_event_fd_is_quiet)                                                                                                \
	X(test_cancel_of_what_is_not_in_flight)                                                                                  \
	X(test_cancel)                                                                                                           \
	X(test_cancel_races_completion)                                                                                          \
	X(test_another_thread_is_refused)

static const struct {
	const char	  *name;
	CMUnitTestFunction run;
} battery[] = {
#define BATTERY_ROW(test) { #test, test },
	BATTERY(BATTERY_ROW)
#undef BATTERY_ROW
};

#define SETTINGS (ARRAY_LEN(stands) * ARRAY_LEN(modes))

int main(void)
{
	static struct stuck_setting settings[SETTINGS];
	static char		    names[SETTINGS * ARRAY_LEN(battery)][BENCH_NAME];
	static struct CMUnitTest    tests[ARRAY_LEN(names)];

	for (size_t i = 0; i < SETTINGS; i++)
		settings[i] = (struct stuck_setting){ stands[i / ARRAY_LEN(modes)].stand, modes[i % ARRAY_LEN(modes)].flags };
	for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
		size_t s = i % SETTINGS, t = i / SETTINGS;

		tests[i] = bench_row(names[i], battery[t].name, battery[t].run, stands[s / ARRAY_LEN(modes)].name,
				     modes[s % ARRAY_LEN(modes)].name, &settings[s]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
