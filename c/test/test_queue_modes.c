/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_queue_modes.c: what a queue promises on every backend, in every mode: shared, SINGLE, SQPOLL, IOPOLL. */
#include "queue_bench.h"

static const uint32_t polling = TARN_DEV_QUEUE_IOPOLL | TARN_DEV_QUEUE_SQPOLL;

static void reap_all(struct bench *b, unsigned n)
{
	tarn_dev_io *done[BENCH_BLOCKS];
	unsigned     got = 0;

	while (got < n) {
		unsigned more = device_reap_within(b->queue, n - got, ARRAY_LEN(done), -1, done);

		assert_true(more > 0);
		got += more;
	}
	assert_int_equal(got, n);
}

/* What was not to be had has a note, and what was has none. */
static void test_info(void **state)
{
	tarn_dev_queue_info info;
	struct bench	    b;

	bench_open(&b, state, 7);
	device_queue_describe(b.queue, &info);
	assert_int_equal(info.flags & ~b.asked, 0);
	assert_int_equal(info.flags & TARN_DEV_QUEUE_SINGLE, b.asked & TARN_DEV_QUEUE_SINGLE);
	assert_int_equal(info.flags == b.asked, info.note[0] == '\0');
	if (!b.is_ring)
		assert_int_equal(info.flags & polling, 0);
	assert_int_equal(info.depth, 7);
	assert_int_equal(info.in_flight, 0);
	assert_int_equal(info.fixed_count, 0);
	assert_string_equal(info.backend, device_info(b.dev)->backend);
	bench_close(&b);
}

/* Also of I/O that is refused, and of what is done and not reaped. */
static void test_full_queue_takes_no_more(void **state)
{
	tarn_dev_io  ios[6], *list[6], *done[6];
	struct bench b;

	bench_open(&b, state, 4);
	for (unsigned i = 0; i < 6; i++) {
		ios[i]	= bench_io(&b, TARN_DEV_WRITE, i);
		list[i] = &ios[i];
	}
	ios[1].len = 1;
	assert_int_equal(device_try_submit(b.queue, list, 6), 4);
	assert_int_equal(in_flight(&b), 4);
	assert_int_equal(device_try_submit(b.queue, list + 4, 2), 0);
	assert_int_equal(device_reap_within(b.queue, 1, 1, -1, done), 1);
	assert_int_equal(device_try_submit(b.queue, list + 4, 2), 1);
	reap_all(&b, 4);
	assert_int_equal(device_try_submit(b.queue, list + 5, 1), 1);
	reap_all(&b, 1);
	assert_int_equal(in_flight(&b), 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(ios[i].rc, i == 1 ? -TARN_E_INVAL : 0);
	bench_close(&b);
}

static void test_idle_reap_does_not_wait(void **state)
{
	tarn_dev_io *done[2];
	struct bench b;

	bench_open(&b, state, 2);
	assert_int_equal(device_reap_within(b.queue, 2, 2, -1, done), 0);
	assert_int_equal(device_reap_within(b.queue, 2, 2, 60000000, done), 0);
	assert_int_equal(device_reap_within(b.queue, 0, 2, 0, done), 0);
	assert_int_equal(device_reap_within(b.queue, 2, 0, -1, done), 0);
	bench_close(&b);
}

static void test_deepest(void **state)
{
	static tarn_dev_io ios[4096], *list[4096], *done[4096];
	struct bench	   b;
	unsigned	   started;

	bench_open(&b, state, 4096);
	for (unsigned i = 0; i < 4096; i++) {
		ios[i]	= bench_io(&b, i % 2 ? TARN_DEV_NOP : TARN_DEV_WRITE, i % BENCH_BLOCKS);
		list[i] = &ios[i];
	}
	assert_int_equal(device_submit_and_reap(b.queue, list, 4096, &started, 4096, 4096, -1, done), 4096);
	assert_int_equal(started, 4096);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(ios[i].rc, 0);
	bench_close(&b);
}

/* A ring of one entry has none to spare for what it needs itself. */
static void test_shallowest(void **state)
{
	tarn_dev_io  io, *one = &io, *done;
	struct bench b;
	unsigned     started, got;

	bench_open(&b, state, 1);
	for (unsigned i = 0; i < 50; i++) {
		io = bench_io(&b, i % 3 ? TARN_DEV_READ : TARN_DEV_WRITE, i);
		if (i % 5 == 0)
			device_wake(b.queue);
		got = device_submit_and_reap(b.queue, &one, 1, &started, 1, 1, -1, &done);
		assert_int_equal(started, 1);
		while (!got)
			got = device_reap(b.queue, 1, 1, &done);
		assert_int_equal(io.rc, 0);
	}
	bench_close(&b);
}

static void test_nop(void **state)
{
	tarn_dev_io  ios[8], *list[8], *done[8];
	struct bench b;
	unsigned     started;

	bench_open(&b, state, 8);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 8; i++) {
			ios[i]	= (tarn_dev_io){ .opcode = TARN_DEV_NOP, .tag = i, .rc = 7 };
			list[i] = &ios[i];
		}
		assert_int_equal(device_submit_and_reap(b.queue, list, 8, &started, 8, 8, -1, done), 8);
		assert_int_equal(started, 8);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(ios[i].rc, 0);
	}
	bench_close(&b);
}

/* ---- data ---- */

/* A block, what should be on the device there, and an I/O on it. */
struct slot {
	tarn_dev_io  io; /* first */
	uint64_t     what;
	tarn_dev_vec vec[2];
	bool	     busy;
};

struct mix {
	struct bench *b;
	struct rng    rng;
	struct slot   slots[BENCH_BLOCKS];
	unsigned      flying;
};

static void choose(struct mix *m, unsigned at)
{
	struct slot *s	   = &m->slots[at];
	uint64_t     turn  = rng_below(&m->rng, 10);
	bool	     write = turn % 2 || !s->what;
	uint8_t	     flags = (uint8_t[]){ 0, TARN_DEV_IO_VECTOR, TARN_DEV_IO_FIXED }[rng_below(&m->rng, 3)];

	s->io	  = bench_io(m->b, write ? TARN_DEV_WRITE : TARN_DEV_READ, at);
	s->busy	  = true;
	s->vec[0] = (tarn_dev_vec){ s->io.buf, 1024 };
	s->vec[1] = (tarn_dev_vec){ (char *)s->io.buf + 1024, BENCH_BLOCK - 1024 };
	if (write) {
		s->what = rng_next(&m->rng) | 1;
		test_fill(s->io.buf, BENCH_BLOCK, s->what);
		flags |= turn == 3 ? TARN_DEV_IO_DURABLE : 0;
	} else {
		memset(s->io.buf, 0xee, BENCH_BLOCK);
	}
	s->io.flags = flags;
	s->io.fixed = 1;
	if (flags & TARN_DEV_IO_VECTOR) {
		s->io.buf	= s->vec;
		s->io.vec_count = 2;
	}
	if (turn >= 8) /* now and then one that moves nothing, on a block that keeps what it has */
		s->io = (tarn_dev_io){ .opcode = turn == 8 || write ? TARN_DEV_FLUSH : TARN_DEV_NOP };
}

static void check(struct mix *m, tarn_dev_io *io)
{
	struct slot *s	= (struct slot *)io;
	unsigned     at = (unsigned)(s - m->slots);
	uint8_t	     right[BENCH_BLOCK];

	if (io->rc)
		fail_msg("%s: %s", tarn_errname(io->rc), io->message);
	assert_true(s->busy);
	s->busy = false;
	if (io->opcode == TARN_DEV_FLUSH && s->what)
		s->what = 0; /* it took the place of a write: what is there is not known */
	if (io->opcode != TARN_DEV_READ)
		return;
	test_fill(right, BENCH_BLOCK, s->what);
	assert_memory_equal(m->b->buf + (size_t)at * BENCH_BLOCK, right, BENCH_BLOCK);
}

static unsigned choose_batch(struct mix *m, tarn_dev_io **batch, unsigned max)
{
	unsigned n = 0, at = (unsigned)rng_below(&m->rng, BENCH_BLOCKS);

	for (unsigned i = 0; i < BENCH_BLOCKS && n < max; i++, at = (at + 1) % BENCH_BLOCKS)
		if (!m->slots[at].busy) {
			choose(m, at);
			batch[n++] = &m->slots[at].io;
		}
	return n;
}

/* Random batches through submit_and_reap, of pieces, of registered buffers and not; what is read is what was written. */
static void test_mix(void **state)
{
	static struct mix m;
	tarn_dev_io	 *batch[16], *done[BENCH_BLOCKS];
	struct bench	  b;
	uint64_t	  rounds = test_number("N", 400);

	bench_open(&b, state, 24);
	memset(&m, 0, sizeof(m));
	m.b = &b;
	rng_seed(&m.rng, test_seed());
	assert_ok(device_queue_register(b.queue, (tarn_dev_vec[]){ { b.buf, 512 }, { b.buf, BENCH_BLOCKS * BENCH_BLOCK } }, 2));
	for (uint64_t i = 0; i < rounds; i++) {
		unsigned n   = choose_batch(&m, batch, 1 + (unsigned)rng_below(&m.rng, ARRAY_LEN(batch))), started, got;
		unsigned min = (unsigned)rng_below(&m.rng, 3);

		got = device_submit_and_reap(b.queue, batch, n, &started, min, 1 + (unsigned)rng_below(&m.rng, 20),
					     min == 2 ? 1000 : -1, done);
		for (unsigned j = started; j < n; j++) {
			((struct slot *)batch[j])->busy = false;
			((struct slot *)batch[j])->what = 0;
		}
		m.flying += started - got;
		for (unsigned j = 0; j < got; j++)
			check(&m, done[j]);
		assert_int_equal(in_flight(&b), m.flying);
	}
	while (m.flying) {
		unsigned got = device_reap(b.queue, m.flying, ARRAY_LEN(done), done);

		for (unsigned j = 0; j < got; j++)
			check(&m, done[j]);
		m.flying -= got;
	}
	bench_close(&b);
}

/* Each of them on the ring, in a system call, or in memory: zeroed, compared, and what nobody has is refused. */
static void test_other_commands(void **state)
{
	tarn_dev_io  io, *one = &io;
	struct bench b;

	bench_open(&b, state, 2);
	memset(b.buf, 9, 2 * BENCH_BLOCK);
	assert_ok(device_write(b.queue, 0, b.buf, 2 * BENCH_BLOCK));
	io = bench_io(&b, TARN_DEV_COMPARE, 0);
	assert_int_equal(device_try_submit(b.queue, &one, 1), 1);
	reap_all(&b, 1);
	assert_int_equal(io.rc, 0);
	io = bench_io(&b, TARN_DEV_WRITE_ZEROES, 0);
	assert_int_equal(device_try_submit(b.queue, &one, 1), 1);
	reap_all(&b, 1);
	if (io.rc != -TARN_E_NOTSUPPORTED) {
		assert_int_equal(io.rc, 0);
		io = bench_io(&b, TARN_DEV_COMPARE, 0);
		assert_int_equal(device_try_submit(b.queue, &one, 1), 1);
		reap_all(&b, 1);
		assert_int_equal(io.rc, -TARN_E_MISMATCH);
		assert_true(io.message[0] != '\0');
	}
	io = bench_io(&b, TARN_DEV_ZONE_APPEND, 0);
	assert_int_equal(device_try_submit(b.queue, &one, 1), 1);
	reap_all(&b, 1);
	assert_true(io.rc < 0);
	io = bench_io(&b, TARN_DEV_DISCARD, 0);
	assert_int_equal(device_try_submit(b.queue, &one, 1), 1);
	reap_all(&b, 1);
	assert_int_equal(io.rc, 0);
	bench_close(&b);
}

/* ---- registered buffers ---- */

static void expect(struct bench *b, tarn_dev_io io, int rc)
{
	tarn_dev_io *one = &io;

	assert_int_equal(device_try_submit(b->queue, &one, 1), 1);
	reap_all(b, 1);
	if (io.rc != rc)
		fail_msg("%s instead of %s: %s", tarn_errname(io.rc), tarn_errname(rc), io.message);
	assert_int_equal(io.message[0] != '\0', rc != 0);
}

static tarn_dev_io fixed_io(const struct bench *b, tarn_dev_opcode opcode, unsigned block, uint16_t index)
{
	tarn_dev_io io = bench_io(b, opcode, block);

	io.flags = TARN_DEV_IO_FIXED;
	io.fixed = index;
	return io;
}

static void test_registered_buffers(void **state)
{
	tarn_dev_vec vec[2];
	tarn_dev_io  io;
	struct bench b;

	bench_open(&b, state, 4);
	vec[0] = (tarn_dev_vec){ b.buf, 4 * BENCH_BLOCK };
	vec[1] = (tarn_dev_vec){ b.buf + 8 * BENCH_BLOCK, 4 * BENCH_BLOCK };
	expect(&b, fixed_io(&b, TARN_DEV_WRITE, 0, 0), -TARN_E_INVAL); /* there are none yet */
	assert_ok(device_queue_register(b.queue, vec, 2));
	vec[0].ptr = NULL; /* the array is ours again */
	test_fill(b.buf, 4 * BENCH_BLOCK, 1);
	for (unsigned i = 0; i < 4; i++)
		expect(&b, fixed_io(&b, TARN_DEV_WRITE, i, 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		io	  = fixed_io(&b, TARN_DEV_READ, 8 + i, 1);
		io.offset = i * BENCH_BLOCK;
		expect(&b, io, 0);
	}
	assert_memory_equal(b.buf, b.buf + 8 * BENCH_BLOCK, 4 * BENCH_BLOCK);
	expect(&b, fixed_io(&b, TARN_DEV_WRITE, 4, 0), -TARN_E_INVAL);
	expect(&b, fixed_io(&b, TARN_DEV_READ, 0, 1), -TARN_E_INVAL);
	expect(&b, fixed_io(&b, TARN_DEV_READ, 0, 2), -TARN_E_INVAL);
	expect(&b, fixed_io(&b, TARN_DEV_READ, 0, UINT16_MAX), -TARN_E_INVAL);
	expect(&b, fixed_io(&b, TARN_DEV_DISCARD, 0, 0), -TARN_E_INVAL);
	io     = fixed_io(&b, TARN_DEV_READ, 3, 0);
	io.len = 2 * BENCH_BLOCK;
	expect(&b, io, -TARN_E_INVAL);
	io.len = UINT64_MAX - 4095;
	expect(&b, io, -TARN_E_INVAL);
	assert_error(device_queue_register(b.queue, vec + 1, 1), EXIST);
	bench_close(&b);
}

static void test_bad_buffers(void **state)
{
	struct bench b;
	tarn_dev_io  io, *one = &io;

	bench_open(&b, state, 4);
	assert_error(device_queue_register(b.queue, &(tarn_dev_vec){ b.buf, 4096 }, 0), INVAL);
	assert_error(device_queue_register(b.queue, &(tarn_dev_vec){ b.buf, 4096 }, 1025), INVAL);
	assert_error(device_queue_register(b.queue, &(tarn_dev_vec){ NULL, 4096 }, 1), INVAL);
	assert_error(device_queue_register(b.queue, &(tarn_dev_vec){ b.buf, 0 }, 1), INVAL);
	assert_error(device_queue_register(b.queue, &(tarn_dev_vec){ b.buf, SIZE_MAX }, 1), INVAL);
	if (b.is_ring)
		assert_error(device_queue_register(b.queue, &(tarn_dev_vec){ (void *)4096, 4096 }, 1), INVAL);
	io = bench_io(&b, TARN_DEV_WRITE, 0);
	assert_int_equal(device_try_submit(b.queue, &one, 1), 1);
	assert_error(device_queue_register(b.queue, &(tarn_dev_vec){ b.buf, 4096 }, 1), BUSY);
	reap_all(&b, 1);
	assert_ok(device_queue_register(b.queue, &(tarn_dev_vec){ b.buf, 4096 }, 1)); /* the refusals left nothing behind */
	bench_close(&b);
}

/* ---- the eventfd ---- */

static void wait_readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&one, 1, 10000), 1);
}

/* Reaps as its readers are told to: until there are none. */
static unsigned reap_until_none(struct bench *b, unsigned max)
{
	tarn_dev_io *done[BENCH_BLOCKS];
	unsigned     n, all = 0;

	while ((n = device_reap_within(b->queue, 0, max, 0, done)) > 0)
		all += n;
	return all;
}

/* Readable at most once for nothing. Not said of a simulated disk: there an I/O completes when it is asked for, or not yet. */
static void expect_quiet(struct bench *b, int fd)
{
	if (!is_readable(fd))
		return;
	assert_int_equal(reap_until_none(b, 4), 0);
	assert_false(is_readable(fd));
}

static void test_event_fd(void **state)
{
	tarn_dev_io  ios[12], *list[12];
	struct bench b;
	int	     fd;

	bench_open(&b, state, 12);
	if (!has_fd(&b)) {
		assert_error(device_queue_fd(b.queue), NOTSUPPORTED);
		bench_close(&b);
		return;
	}
	for (unsigned i = 0; i < 12; i++) {
		ios[i]	= bench_io(&b, TARN_DEV_WRITE, i);
		list[i] = &ios[i];
	}
	assert_int_equal(device_try_submit(b.queue, list, 2), 2);
	sleep_ms(5);
	fd = device_queue_fd(b.queue); /* and what was done before counts */
	assert_ok(fd);
	assert_int_equal(device_queue_fd(b.queue), fd);
	for (unsigned got = 0; got < 2; got += reap_until_none(&b, 1))
		wait_readable(fd);
	expect_quiet(&b, fd);
	for (unsigned round = 0; round < 50; round++) {
		unsigned n = 1 + round % 12, got = 0;

		ios[0].len = round % 3 ? BENCH_BLOCK : 1; /* a refusal is heard of, too */
		assert_int_equal(device_try_submit(b.queue, list, n), n);
		while (got < n) {
			wait_readable(fd);
			got += reap_until_none(&b, 1 + round % 5);
		}
		assert_int_equal(got, n);
		expect_quiet(&b, fd);
	}
	bench_close(&b);
}

/* Who takes fewer than there are is told again. */
static void test_event_fd_stays_readable(void **state)
{
	tarn_dev_io  ios[4], *list[4], *done[4];
	struct bench b;
	int	     fd;

	bench_open(&b, state, 4);
	if (!has_fd(&b)) {
		bench_close(&b);
		return;
	}
	fd = device_queue_fd(b.queue);
	assert_ok(fd);
	for (unsigned i = 0; i < 4; i++) {
		ios[i]	= bench_io(&b, TARN_DEV_NOP, i);
		list[i] = &ios[i];
	}
	assert_int_equal(device_try_submit(b.queue, list, 4), 4);
	for (unsigned i = 0; i < 4; i++) {
		wait_readable(fd);
		assert_int_equal(device_reap_within(b.queue, 1, 1, -1, done), 1);
	}
	assert_int_equal(device_reap_within(b.queue, 0, 1, 0, done), 0);
	assert_false(is_readable(fd));
	bench_close(&b);
}

/* ---- threads ---- */

static void *write_and_reap(void *arg)
{
	struct bench *b	 = arg;
	tarn_dev_io   io = bench_io(b, TARN_DEV_WRITE, 0), *one = &io, *done = NULL;
	unsigned      got = device_try_submit(b->queue, &one, 1);

	got += device_reap_within(b->queue, 1, 1, -1, &done);
	return got == 2 && done == one && !io.rc ? b : NULL;
}

/* One thread after the other, with nothing in flight between. */
static void test_threads_in_turn(void **state)
{
	struct bench b;
	void	    *result;

	bench_open(&b, state, 2);
	assert_ok(device_queue_register(b.queue, &(tarn_dev_vec){ b.buf, BENCH_BLOCK }, 1));
	if (has_fd(&b))
		assert_ok(device_queue_fd(b.queue));
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(start_thread(write_and_reap, &b), &result);
		assert_ptr_equal(result, &b);
		assert_ptr_equal(write_and_reap(&b), &b);
		expect(&b, fixed_io(&b, TARN_DEV_READ, 0, 0), 0);
	}
	bench_close(&b);
}

static void *close_it(void *arg)
{
	return device_queue_close_within(arg, 1000000) ? NULL : arg;
}

static void test_another_thread_closes(void **state)
{
	struct bench b;
	void	    *result;

	bench_open(&b, state, 2);
	assert_ptr_equal(write_and_reap(&b), &b);
	pthread_join(start_thread(close_it, b.queue), &result);
	assert_ptr_equal(result, b.queue);
	device_close(b.dev);
	device_free(b.buf);
}

/* ---- not in every mode ---- */

/* A strict device refuses what it has not; another has a note. Where there are poll queues it is used. */
static void test_iopoll(void **state)
{
	struct device_queue_options options = { .depth = 4, .flags = TARN_DEV_QUEUE_IOPOLL };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		for (int strict = 0; strict <= (i != 1); strict++) { /* tmpfs has no direct I/O, which strict refuses before */
			struct bench b;
			int	     rc;

			bench_open_device(&b, &places[i], strict);
			rc = device_queue_open_with(b.dev, &options, &b.queue);
			if (rc < 0) {
				assert_true(strict);
				assert_int_equal(rc, -TARN_E_NOTSUPPORTED);
				assert_says("IOPOLL");
				device_close(b.dev);
				device_free(b.buf);
				continue;
			}
			assert_true(!strict || b.queue->flags & TARN_DEV_QUEUE_IOPOLL);
			if (b.queue->flags & TARN_DEV_QUEUE_IOPOLL)
				assert_error(device_queue_fd(b.queue), NOTSUPPORTED);
			else
				assert_non_null(strstr(b.queue->note, "IOPOLL"));
			expect(&b, bench_io(&b, TARN_DEV_WRITE, 0), 0);
			expect(&b, bench_io(&b, TARN_DEV_FLUSH, 0), 0);
			expect(&b, bench_io(&b, TARN_DEV_NOP, 0), 0);
			expect(&b, bench_io(&b, TARN_DEV_READ, 0), 0);
			bench_close(&b);
		}
}

static void test_bad_options(void **state)
{
	static const struct device_queue_options bad[] = {
		{ 0, 0 }, { 4097, 0 }, { 4, 8 }, { 4, UINT32_MAX }, { UINT32_MAX, 1 }
	};
	struct device_queue *queue;
	struct bench	     b;

	(void)state;
	bench_open_device(&b, &places[3], false);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_error(device_queue_open_with(b.dev, &bad[i], &queue), INVAL);
	device_close(b.dev);
	device_free(b.buf);
}

#define BATTERY(X)                                                                                                               \
	X(test_info)                                                                                                             \
	X(test_full_queue_takes_no_more)                                                                                         \
	X(test_idle_reap_does_not_wait)                                                                                          \
	X(test_deepest)                                                                                                          \
	X(test_shallowest)                                                                                                       \
	X(test_nop)                                                                                                              \
	X(test_mix)                                                                                                              \
	X(test_other_commands)                                                                                                   \
	X(test_registered_buffers)                                                                                               \
	X(test_bad_buffers)                                                                                                      \
	X(test_event_fd)                                                                                                         \
	X(test_event_fd_stays_readable)                                                                                          \
	X(test_threads_in_turn)                                                                                                  \
	X(test_another_thread_closes)

static const struct {
	const char	  *name;
	CMUnitTestFunction run;
} battery[] = {
#define BATTERY_ROW(test) { #test, test },
	BATTERY(BATTERY_ROW)
#undef BATTERY_ROW
};

#define SETTINGS (ARRAY_LEN(places) * ARRAY_LEN(modes))

int main(void)
{
	static struct setting	 settings[SETTINGS];
	static char		 names[SETTINGS * ARRAY_LEN(battery)][BENCH_NAME];
	static struct CMUnitTest tests[ARRAY_LEN(names) + 2];

	for (size_t i = 0; i < SETTINGS; i++)
		settings[i] = (struct setting){ &places[i / ARRAY_LEN(modes)], modes[i % ARRAY_LEN(modes)].flags };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t s = i % SETTINGS, t = i / SETTINGS;

		tests[i] = bench_row(names[i], battery[t].name, battery[t].run, settings[s].place->name,
				     modes[s % ARRAY_LEN(modes)].name, &settings[s]);
	}
	tests[ARRAY_LEN(names)]	    = (struct CMUnitTest)cmocka_unit_test(test_iopoll);
	tests[ARRAY_LEN(names) + 1] = (struct CMUnitTest)cmocka_unit_test(test_bad_options);
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
