/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_dev_queue.c: the queues of dev_queue.h, the same on every target: see dev_targets.h. */
#include "dev_batch.h"

#include <poll.h>

static tarn_dev_queue_info info_of(tarn_dev_queue *queue)
{
	tarn_dev_queue_info info = { .struct_size = sizeof(info) };

	assert_ok(tarn_dev_queue_get_info(queue, &info));
	return info;
}

static void test_info(void **state)
{
	tarn_dev_queue	   *queue;
	tarn_dev_queue_info info;
	struct rig	    r;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 5);
	info  = info_of(queue);
	assert_int_equal(info.depth, 5);
	assert_int_equal(info.in_flight, 0);
	assert_int_equal(info.fixed_count, 0);
	assert_true(*info.backend);
	assert_true(info.flags == r.target->queue_flags || *info.note);
	close_queue(queue);
	assert_ok(tarn_dev_queue_open(r.dev, NULL, &queue));
	assert_int_equal(info_of(queue).depth, 128);
	assert_int_equal(info_of(queue).flags, 0);
	close_queue(queue);
	rig_close(&r);
}

/* Each combination of flags is had, or a note says what is not, or (strictly) it is refused. Either way the queue works. */
static void open_with_flags(struct rig *r, uint32_t flags)
{
	tarn_dev_queue_options options = { .struct_size = sizeof(options), .flags = flags, .depth = 8 };
	struct dev_batch       b;
	tarn_dev_queue	      *queue;
	int		       rc = tarn_dev_queue_open(r->dev, &options, &queue);

	if (rc) {
		assert_int_equal(rc, -TARN_E_NOTSUPPORTED);
		return;
	}
	assert_int_equal(info_of(queue).flags & ~flags, 0);
	assert_int_equal(info_of(queue).note[0] != '\0', info_of(queue).flags != flags);
	batch_make(&b, 20);
	batch_do(queue, &b, TARN_DEV_READ, 0);
	batch_do(queue, &b, TARN_DEV_FLUSH, 0);
	batch_do(queue, &b, TARN_DEV_COMPARE, 0);
	batch_free(&b);
	close_queue(queue);
}

static void test_flags(void **state)
{
	tarn_dev_options strict = { .struct_size = sizeof(strict), .flags = TARN_DEV_STRICT };
	struct rig	 r;

	rig_open(&r, state, 0);
	for (uint32_t flags = 0; flags < 8; flags++)
		open_with_flags(&r, flags);
	if (!*r.info.note) {
		tarn_dev *lax = r.dev;

		strict.flags |= r.target->flags;
		strict.backend = r.target->backend;
		assert_ok(tarn_dev_open(r.info.uri, &strict, &r.dev));
		for (uint32_t flags = 0; flags < 8; flags++)
			open_with_flags(&r, flags);
		rig_close(&r);
		r.dev = lax;
	}
	rig_close(&r);
}

static void write_and_read(void **state, uint32_t depth)
{
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;

	rig_open(&r, state, TARN_DEV_RDWR);
	queue = rig_queue(&r, depth);
	batch_make(&b, 60);
	for (unsigned round = 0; round < 3; round++) {
		batch_write(&r, queue, &b, round);
		batch_verify(queue, &b);
	}
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

static void test_write_and_read_depth_1(void **state)
{
	write_and_read(state, 1);
}

static void test_write_and_read_depth_3(void **state)
{
	write_and_read(state, 3);
}

static void test_write_and_read_depth_64(void **state)
{
	write_and_read(state, 64);
}

static void test_write_and_read_depth_4096(void **state)
{
	write_and_read(state, 4096);
}

/* What has no bytes to move: and a flush and a no-op among others. */
static void test_other_opcodes(void **state)
{
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;

	rig_open(&r, state, TARN_DEV_RDWR);
	queue = rig_queue(&r, 8);
	batch_make(&b, 20);
	batch_do(queue, &b, TARN_DEV_NOP, 0);
	batch_do(queue, &b, TARN_DEV_FLUSH, 0);
	batch_write(&r, queue, &b, 1);
	batch_do(queue, &b, TARN_DEV_COMPARE, 0);
	b.bytes[3 * UNIT + 17] ^= 1;
	batch_fill(&b, TARN_DEV_COMPARE, 0);
	batch_run(queue, &b);
	for (uint32_t i = 0; i < b.n; i++)
		assert_int_equal(b.ios[i].rc, i == 3 ? -TARN_E_MISMATCH : 0);
	assert_true(*b.ios[3].message);
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

/* Each is done, or each says that there is no such thing. */
static void do_or_not_supported(tarn_dev_queue *queue, struct dev_batch *b, tarn_dev_opcode opcode, bool *done)
{
	batch_fill(b, opcode, 0);
	batch_run(queue, b);
	*done = b->ios[0].rc == 0;
	for (uint32_t i = 0; i < b->n; i++)
		assert_int_equal(b->ios[i].rc, *done ? 0 : -TARN_E_NOTSUPPORTED);
}

static void test_zeros_and_discards(void **state)
{
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;
	bool		 done;

	rig_open(&r, state, TARN_DEV_RDWR);
	queue = rig_queue(&r, 8);
	batch_make(&b, 20);
	batch_write(&r, queue, &b, 1);
	do_or_not_supported(queue, &b, TARN_DEV_WRITE_ZEROES, &done);
	if (done)
		memset(b.bytes, 0, b.n * UNIT);
	batch_verify(queue, &b);
	batch_write(&r, queue, &b, 2);
	do_or_not_supported(queue, &b, TARN_DEV_DISCARD, &done);
	memset(b.bytes, 0, b.n * UNIT);
	if (done && !strcmp(r.info.kind, "file"))
		batch_verify(queue, &b);
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

static void test_vectors(void **state)
{
	struct dev_batch b;
	tarn_dev_vec	 vec[4];
	tarn_dev_queue	*queue;
	struct rig	 r;
	tarn_dev_io	 io = { .opcode = TARN_DEV_READ, .flags = TARN_DEV_IO_VECTOR, .vec_count = 4, .buf = vec }, *p = &io;
	uint8_t		*got = new_buffer(8 * UNIT);

	rig_open(&r, state, TARN_DEV_RDWR);
	queue = rig_queue(&r, 8);
	batch_make(&b, 8);
	batch_write(&r, queue, &b, 1);
	for (unsigned i = 0; i < 4; i++)
		vec[i] = (tarn_dev_vec){ got + (size_t)(3 - i) * 2 * UNIT, 2 * UNIT };
	io.len = 8 * UNIT;
	assert_int_equal(tarn_dev_queue_submit(queue, &p, 1), 1);
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, WAIT_US, &p), 1);
	assert_int_equal(p->rc, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_memory_equal(got + (size_t)(3 - i) * 2 * UNIT, b.bytes + (size_t)i * 2 * UNIT, 2 * UNIT);
	if (!r.info.zoned) {
		io.opcode = TARN_DEV_WRITE;
		assert_int_equal(tarn_dev_queue_submit(queue, &p, 1), 1);
		assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, WAIT_US, &p), 1);
		assert_int_equal(p->rc, 0);
		batch_verify(queue, &b);
	}
	tarn_dev_free(got, 8 * UNIT, 0);
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

/* ---- how many ---- */

/* A full queue takes no more, until some are reaped; the completions that wait count. */
static void test_full_queue(void **state)
{
	tarn_dev_io	*done[8];
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 4);
	batch_make(&b, 10);
	batch_fill(&b, TARN_DEV_READ, 0);
	assert_int_equal(tarn_dev_queue_submit(queue, b.list, 10), 4);
	assert_int_equal(info_of(queue).in_flight, 4);
	assert_int_equal(tarn_dev_queue_submit(queue, b.list + 4, 6), 0);
	assert_int_equal(tarn_dev_queue_reap(queue, 2, 2, WAIT_US, done), 2);
	batch_note(&b, done, 2);
	assert_int_equal(tarn_dev_queue_submit(queue, b.list + 4, 6), 2);
	assert_int_equal(tarn_dev_queue_reap(queue, 4, 8, WAIT_US, done), 4);
	batch_note(&b, done, 4);
	assert_int_equal(info_of(queue).in_flight, 0);
	assert_int_equal(tarn_dev_queue_reap(queue, 4, 8, -1, done), 0);
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

static void test_submit_and_reap(void **state)
{
	tarn_dev_io	*done[8];
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;
	uint32_t	 started = 9, reaped = 0, at = 0;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 4);
	batch_make(&b, 50);
	batch_fill(&b, TARN_DEV_READ, 0);
	while (reaped < b.n) {
		uint32_t n = tarn_dev_queue_submit_and_reap(queue, b.list + at, b.n - at, &started, 1, 8, WAIT_US, done);

		assert_in_range(n, 1, 8);
		batch_note(&b, done, n);
		reaped += n;
		at += started;
	}
	batch_assert_ok(&b);
	assert_int_equal(tarn_dev_queue_submit_and_reap(queue, NULL, 0, &started, 1, 8, WAIT_US, done), 0);
	assert_int_equal(started, 0);
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

/* What has been reaped is submitted again at once, a thousand times. */
static void test_submit_again(void **state)
{
	tarn_dev_io	*done[8];
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;
	uint32_t	 started = 8, reaped = 0;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 8);
	batch_make(&b, 8);
	batch_fill(&b, TARN_DEV_READ, 0);
	assert_int_equal(tarn_dev_queue_submit(queue, b.list, 8), 8);
	while (reaped < 1000) {
		uint32_t n = tarn_dev_queue_reap(queue, 1, 8, WAIT_US, done);

		assert_in_range(n, 1, 8);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(done[i]->rc, 0);
		if (started < 1000) {
			assert_int_equal(tarn_dev_queue_submit(queue, done, n), n);
			started += n;
		}
		reaped += n;
	}
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
	batch_free(&b);
	rig_close(&r);
}

/* One that breaks a rule does not stop the others, and completes with its error and a sentence. */
static void test_bad_among_good(void **state)
{
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 16);
	batch_make(&b, 30);
	batch_fill(&b, TARN_DEV_READ, 0);
	b.ios[0].offset	 = r.info.size;
	b.ios[5].buf	 = NULL;
	b.ios[6].opcode	 = 99;
	b.ios[7].flags	 = 0x80;
	b.ios[12].len	 = 0;
	b.ios[13].offset = UINT64_MAX - UNIT + 1;
	b.ios[20].opcode = TARN_DEV_WRITE;    /* read-only */
	b.ios[29].flags	 = TARN_DEV_IO_FIXED; /* nothing is registered */
	batch_run(queue, &b);
	for (uint32_t i = 0; i < b.n; i++) {
		bool bad = i == 0 || (i >= 5 && i <= 7) || i == 12 || i == 13 || i == 20 || i == 29;

		assert_int_equal(b.ios[i].rc < 0, bad);
		assert_int_equal(b.ios[i].message[0] != '\0', bad);
	}
	assert_int_equal(b.ios[0].rc, -TARN_E_INVAL);
	assert_int_equal(b.ios[20].rc, -TARN_E_EP_RO);
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

/* ---- waiting ---- */

static void test_nothing_in_flight_does_not_wait(void **state)
{
	tarn_dev_queue *queue;
	tarn_dev_io    *done[4];
	struct rig	r;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 4);
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 4, -1, done), 0);
	assert_int_equal(tarn_dev_queue_reap(queue, 0, 4, -1, done), 0);
	assert_int_equal(tarn_dev_queue_reap(queue, 4, 4, 0, done), 0);
	tarn_dev_queue_wake(queue);
	assert_int_equal(tarn_dev_queue_reap(queue, 4, 4, -1, done), 0);
	close_queue(queue);
	rig_close(&r);
}

static void test_descriptor(void **state)
{
	struct pollfd	 pfd = { .events = POLLIN };
	tarn_dev_io	*done[8];
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;
	unsigned	 spurious = 0;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 8);
	batch_make(&b, 8);
	pfd.fd = tarn_dev_queue_fd(queue);
	assert_true(pfd.fd >= 0);
	assert_int_equal(tarn_dev_queue_fd(queue), pfd.fd);
	for (unsigned round = 0; round < 20; round++) {
		uint32_t reaped = 0, n;

		batch_fill(&b, round % 2 ? TARN_DEV_READ : TARN_DEV_NOP, 0);
		assert_int_equal(tarn_dev_queue_submit(queue, b.list, 8), 8);
		while (reaped < 8) {
			assert_int_equal(poll(&pfd, 1, WAIT_US / 1000), 1);
			while ((n = tarn_dev_queue_reap(queue, 0, 3, 0, done)) > 0) {
				batch_note(&b, done, n);
				reaped += n;
			}
		}
		spurious += poll(&pfd, 1, 0) > 0;
		tarn_dev_queue_reap(queue, 0, 3, 0, done);
		assert_int_equal(poll(&pfd, 1, 0), 0);
	}
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

/* Completions from before the first call make it readable too. */
static void test_descriptor_comes_late(void **state)
{
	struct pollfd	 pfd = { .events = POLLIN };
	struct dev_batch b;
	tarn_dev_io	*done[8];
	tarn_dev_queue	*queue;
	struct rig	 r;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 8);
	batch_make(&b, 8);
	batch_fill(&b, TARN_DEV_READ, 0);
	assert_int_equal(tarn_dev_queue_submit(queue, b.list, 8), 8);
	assert_int_equal(tarn_dev_queue_reap(queue, 2, 2, WAIT_US, done), 2);
	usleep(20000);
	pfd.fd = tarn_dev_queue_fd(queue);
	assert_true(pfd.fd >= 0);
	assert_int_equal(poll(&pfd, 1, WAIT_US / 1000), 1);
	assert_int_equal(tarn_dev_queue_reap(queue, 6, 8, WAIT_US, done), 6);
	batch_free(&b);
	close_queue(queue);
	rig_close(&r);
}

/* ---- registered buffers ---- */

static void test_registered_buffers(void **state)
{
	struct dev_batch b;
	tarn_dev_vec	 vec[2];
	tarn_dev_queue	*queue;
	struct rig	 r;
	int		 rc;

	rig_open(&r, state, TARN_DEV_RDWR);
	queue = rig_queue(&r, 8);
	batch_make(&b, 16);
	vec[0] = (tarn_dev_vec){ b.bytes, 8 * UNIT };
	vec[1] = (tarn_dev_vec){ b.bytes + 8 * UNIT, 8 * UNIT };
	batch_write(&r, queue, &b, 2);
	rc = tarn_dev_queue_register(queue, vec, 2);
	if (rc == -TARN_E_NOMEM) { /* ulimit -l */
		batch_free(&b);
		close_queue(queue);
		rig_close(&r);
		skip();
	}
	assert_ok(rc);
	assert_int_equal(info_of(queue).fixed_count, 2);
	assert_error(tarn_dev_queue_register(queue, vec, 1), EXIST);
	memset(b.bytes, 0, 16 * UNIT);
	batch_fill(&b, TARN_DEV_READ, TARN_DEV_IO_FIXED);
	for (uint32_t i = 8; i < 15; i++)
		b.ios[i].fixed = 1;
	b.ios[3].fixed = 2;	   /* none with that index */
	b.ios[7].len   = 2 * UNIT; /* past its end */
	batch_run(queue, &b);	   /* and 15 is in the other one */
	for (uint32_t i = 0; i < b.n; i++)
		assert_int_equal(b.ios[i].rc, i == 3 || i == 7 || i == 15 ? -TARN_E_INVAL : 0);
	batch_do(queue, &b, TARN_DEV_READ, 0);
	batch_verify(queue, &b);
	close_queue(queue);
	batch_free(&b);
	rig_close(&r);
}

int main(void)
{
	static const struct dev_case cases[] = {
		DEV_CASE(test_info),
		DEV_CASE(test_flags),
		DEV_CASE(test_write_and_read_depth_1),
		DEV_CASE(test_write_and_read_depth_3),
		DEV_CASE(test_write_and_read_depth_64),
		DEV_CASE(test_write_and_read_depth_4096),
		DEV_CASE(test_other_opcodes),
		DEV_CASE_FOR(test_zeros_and_discards, NOT_ZONED),
		DEV_CASE(test_vectors),
		DEV_CASE(test_full_queue),
		DEV_CASE(test_submit_and_reap),
		DEV_CASE(test_submit_again),
		DEV_CASE(test_bad_among_good),
		DEV_CASE(test_nothing_in_flight_does_not_wait),
		DEV_CASE(test_descriptor),
		DEV_CASE(test_descriptor_comes_late),
		DEV_CASE(test_registered_buffers),
	};

	return run_cases(cases, ARRAY_LEN(cases));
}
