/* SPDX-License-Identifier: Apache-2.0 */
/* test/queue_bench.h: a queue of every backend in every mode, for the tests of queues.
 *
 * The initial state of a test is a struct setting. bench_open() skips the test where the machine has no such place. */
#ifndef TARN_QUEUE_BENCH_H
#define TARN_QUEUE_BENCH_H

#include "device_scratch.h"

#include "../src/device/backend.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>

#define BENCH_BLOCK  4096u
#define BENCH_BLOCKS 64u

struct place {
	const char *name;
	const char *uri;     /* NULL: a file */
	const char *backend; /* that is asked for */
	bool	    in_memory;
};

static const struct place places[] = {
	{ "io_uring", NULL, "io_uring", false }, { "io_uring tmpfs", NULL, "io_uring", true },
	{ "threads", NULL, "threads", false },	 { "mem", "mem:8M", NULL, false },
	{ "sim", "sim:8M?seed=5", NULL, false },
};

static const struct {
	const char *name;
	uint32_t    flags;
} modes[] = {
	{ "shared", 0 },
	{ "single", TARN_DEV_QUEUE_SINGLE },
	{ "sqpoll", TARN_DEV_QUEUE_SQPOLL },
	{ "single sqpoll", TARN_DEV_QUEUE_SINGLE | TARN_DEV_QUEUE_SQPOLL },
	{ "iopoll", TARN_DEV_QUEUE_IOPOLL },
	{ "single iopoll", TARN_DEV_QUEUE_SINGLE | TARN_DEV_QUEUE_IOPOLL },
};

struct setting {
	const struct place *place;
	uint32_t	    flags;
};

struct bench {
	struct device	    *dev;
	struct device_queue *queue;
	uint8_t		    *buf; /* BENCH_BLOCKS blocks */
	uint32_t	     asked;
	bool		     is_ring, is_sim;
};

static inline void bench_open_device(struct bench *b, const struct place *place, bool strict)
{
	struct device_options options = {
		.size = SCRATCH_SIZE, .create = !place->uri, .backend = place->backend, .strict = strict
	};
	const char *dir = place->in_memory ? scratch_memory : scratch_disk;
	char	    path[SCRATCH_PATH];
	int	    rc;

	if (!*dir)
		skip();
	unlink(scratch_path(path, dir, "queue"));
	rc = device_open(place->uri ? place->uri : path, &options, &b->dev);
	if (rc == -TARN_E_NOTSUPPORTED && place->backend)
		skip();
	assert_ok(rc);
	b->is_ring = strcmp(device_info(b->dev)->backend, "io_uring") == 0;
	b->is_sim  = strcmp(device_info(b->dev)->backend, "sim") == 0;
	b->buf	   = device_alloc(BENCH_BLOCKS * BENCH_BLOCK);
	assert_non_null(b->buf);
}

static inline void bench_open(struct bench *b, void **state, unsigned depth)
{
	const struct setting	   *setting = *state;
	struct device_queue_options options = { .depth = depth, .flags = setting->flags };

	bench_open_device(b, setting->place, false);
	b->asked = setting->flags;
	assert_ok(device_queue_open_with(b->dev, &options, &b->queue));
}

static inline void bench_close(struct bench *b)
{
	assert_ok(device_queue_close_within(b->queue, -1));
	device_close(b->dev);
	device_free(b->buf);
}

static inline tarn_dev_io bench_io(const struct bench *b, tarn_dev_opcode opcode, unsigned block)
{
	return (tarn_dev_io){ .opcode = (uint8_t)opcode,
			      .buf    = b->buf + (size_t)block * BENCH_BLOCK,
			      .offset = (uint64_t)block * BENCH_BLOCK,
			      .len    = BENCH_BLOCK };
}

static inline unsigned in_flight(const struct bench *b)
{
	tarn_dev_queue_info info;

	device_queue_describe(b->queue, &info);
	return info.in_flight;
}

/* The queue has an eventfd: but for IOPOLL, every one. */
static inline bool has_fd(const struct bench *b)
{
	return !(b->queue->flags & TARN_DEV_QUEUE_IOPOLL);
}

static inline bool is_readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) == 1;
}

static inline void sleep_ms(unsigned ms)
{
	struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&pause, &pause) < 0)
		continue;
}

static inline pthread_t start_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
	return thread;
}

/* A row of a battery: the test, and the state it begins with. */
#define BENCH_NAME 96
static inline struct CMUnitTest bench_row(char name[BENCH_NAME], const char *test, CMUnitTestFunction run, const char *on,
					  const char *mode, void *state)
{
	snprintf(name, BENCH_NAME, "%s on %s, %s", test, on, mode);
	return (struct CMUnitTest){ .name = name, .test_func = run, .initial_state = state };
}

#endif
