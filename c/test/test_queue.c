/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_queue.c: what holds for every device, shown on the memory device and the simulated one: the checks of device_submit(),
 * a full queue, reaping, splitting. And memory for I/O. */
#include "harness.h"

#include "../src/device/backend.h"
#include "../src/device/sim.h"

#define SIZE (4u << 20)

struct bench {
	struct device	    *dev;
	struct device_queue *queue;
	uint8_t		    *buf; /* SIZE bytes */
};

static void start(struct bench *b, bool sim, unsigned depth)
{
	assert_ok(device_open(sim ? "sim:4M?seed=1" : "mem:4M", NULL, &b->dev));
	assert_ok(device_queue_open(b->dev, depth, &b->queue));
	b->buf = device_alloc(SIZE);
	assert_non_null(b->buf);
}

static void stop(struct bench *b)
{
	device_queue_close(b->queue);
	device_close(b->dev);
	device_free(b->buf);
}

static void test_info(void **state)
{
	(void)state;
	for (int sim = 0; sim <= 1; sim++) {
		const tarn_dev_info *info;
		struct bench	     b;

		start(&b, sim, 1);
		info = device_info(b.dev);
		assert_string_equal(info->kind, sim ? "sim" : "mem");
		assert_string_equal(info->backend, info->kind);
		assert_int_equal(device_size(b.dev), SIZE);
		assert_int_equal(info->logical_block, 512);
		assert_int_equal(info->max_transfer, 1 << 20);
		assert_int_equal(info->volatile_cache, sim);
		stop(&b);
	}
}

static void test_alloc(void **state)
{
	static const size_t sizes[] = { 0, 1, 512, 4096, 4097, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t *buf = device_alloc(sizes[i]);

		assert_non_null(buf);
		assert_int_equal((uintptr_t)buf % DEVICE_ALLOC_ALIGNMENT, 0);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(buf[j], 0);
		device_free(buf);
	}
	assert_null(device_alloc(SIZE_MAX));
	device_free(NULL);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

static void test_map(void **state)
{
	static const size_t sizes[] = { 1, 4096, 5000, (2 << 20) - 1, 2 << 20, (2 << 20) + 4096, 7 << 20 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t *p = device_map(sizes[i]);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % (sizes[i] < 2 << 20 ? 4096 : 2 << 20), 0);
		assert_true(is_zero(p, sizes[i]));
		memset(p, 1, sizes[i]);
		device_unmap(p, sizes[i]);
	}
	assert_null(device_map(0));
	assert_null(device_map(SIZE_MAX));
	assert_null(device_map((size_t)1 << 62));
	device_unmap(NULL, 4096);
}

/* Far more than is used is given: it is address space. What is unbacked reads as zeros, and what is beside it stays. */
static void test_unback(void **state)
{
	size_t	 len = (size_t)1 << 36;
	uint8_t *p   = device_map(len);

	(void)state;
	assert_non_null(p);
	memset(p, 7, 3 * 4096);
	p[len - 1] = 7;
	device_unback(p + 4096, 4096);
	assert_int_equal(p[4095], 7);
	assert_true(is_zero(p + 4096, 4096));
	assert_int_equal(p[2 * 4096], 7);
	device_unback(p, len);
	assert_true(is_zero(p, 3 * 4096));
	assert_int_equal(p[len - 1], 0);
	memset(p, 7, 4096);
	assert_int_equal(p[4095], 7);
	device_unmap(p, len);
}

/* It grows, perhaps elsewhere: what was in it stays. */
static void test_remap(void **state)
{
	uint8_t *p = device_remap(NULL, 0, 4096);

	(void)state;
	assert_non_null(p);
	memset(p, 7, 4096);
	p = device_remap(p, 4096, 3 << 20);
	assert_non_null(p);
	assert_int_equal(p[0], 7);
	assert_int_equal(p[4095], 7);
	assert_true(is_zero(p + 4096, (3 << 20) - 4096));
	assert_null(device_remap(p, 3 << 20, SIZE_MAX));
	assert_int_equal(p[4095], 7);
	device_unmap(p, 3 << 20);
}

/* Each refusal names what was wrong, and what would be right. */
static void test_refusals(void **state)
{
	static const struct {
		uint64_t    offset, len;
		size_t	    shift; /* of the buffer */
		const char *says[2];
	} cases[] = {
		{ 100, 512, 0, { "100", "512" } },
		{ 512, 700, 0, { "700", "512" } },
		{ 512, 512, 8, { "buffer", "512" } },
		{ SIZE, 512, 0, { "4194304", "ends at 4194304" } },
		{ SIZE - 512, 1024, 0, { "4193792", "ends at" } },
		{ UINT64_MAX - 511, 1024, 0, { "ends at", "1024" } },
		{ 0, (1 << 20) + 512, 0, { "1049088", "1048576" } },
		{ 512, 0, 0, { "0 bytes", "512" } },
	};
	tarn_dev_io *done;
	struct bench b;

	(void)state;
	for (int sim = 0; sim <= 1; sim++)
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			tarn_dev_io io = { .opcode = TARN_DEV_WRITE, .offset = cases[i].offset, .len = cases[i].len };

			start(&b, sim, 4);
			io.buf = b.buf + cases[i].shift;
			device_submit(b.queue, &io);
			assert_int_equal(device_reap(b.queue, 1, 1, &done), 1);
			assert_ptr_equal(done, &io);
			assert_int_equal(io.rc, -TARN_E_INVAL);
			for (int s = 0; s < 2; s++)
				if (!strstr(io.message, cases[i].says[s]))
					fail_msg("\"%s\" does not say \"%s\"", io.message, cases[i].says[s]);
			stop(&b);
		}
}

static void test_refusals_of_waiting_calls(void **state)
{
	struct bench b;

	(void)state;
	start(&b, false, 1);
	assert_error(device_read(b.queue, 1, b.buf, 512), INVAL);
	assert_error(device_read(b.queue, 0, NULL, 512), INVAL);
	assert_error(device_write(b.queue, 0, b.buf, 0), INVAL);
	assert_error(device_discard(b.queue, 512, SIZE), INVAL);
	assert_says("ends at");
	memset(b.buf, 1, SIZE);
	assert_error(device_write(b.queue, 512, b.buf, SIZE), INVAL); /* and nothing of it is done */
	assert_ok(device_read(b.queue, 512, b.buf, 512));
	assert_int_equal(b.buf[0], 0);
	b.dev->info.readonly = 1;
	assert_error(device_write(b.queue, 0, b.buf, 512), EP_RO);
	assert_error(device_discard(b.queue, 0, 512), EP_RO);
	assert_ok(device_read(b.queue, 0, b.buf, 512));
	stop(&b);
}

static void test_unknown_opcode(void **state)
{
	tarn_dev_io  io = { .opcode = (tarn_dev_opcode)9, .len = 512 }, *done;
	struct bench b;

	(void)state;
	start(&b, false, 1);
	device_submit(b.queue, &io);
	assert_int_equal(device_reap(b.queue, 1, 1, &done), 1);
	assert_int_equal(io.rc, -TARN_E_INVAL);
	stop(&b);
}

static void test_bad_devices_and_queues(void **state)
{
	struct device_queue *queue;
	struct device	    *dev;
	struct bench	     b;

	(void)state;
	assert_error(device_open("mem:0", NULL, &dev), INVAL);
	assert_error(device_open("mem:1000", NULL, &dev), INVAL);
	assert_error(device_open("mem:8388608T", NULL, &dev), INVAL);
	start(&b, false, 1);
	assert_error(device_queue_open(b.dev, 0, &queue), INVAL);
	assert_error(device_queue_open(b.dev, DEVICE_DEPTH_MAX + 1, &queue), INVAL);
	assert_says("4096");
	stop(&b);
}

/* Longer than max_transfer, so in several commands; then discarded. */
static void test_write_read_discard(void **state)
{
	uint8_t	    *copy = device_alloc(SIZE);
	struct bench b;

	(void)state;
	test_fill(copy, SIZE, 7);
	for (int sim = 0; sim <= 1; sim++) {
		start(&b, sim, 2);
		assert_ok(device_write(b.queue, 512, copy, SIZE - 512));
		assert_ok(device_flush(b.queue));
		assert_ok(device_read(b.queue, 512, b.buf, SIZE - 512));
		assert_memory_equal(b.buf, copy, SIZE - 512);
		assert_ok(device_discard(b.queue, 0, SIZE));
		assert_ok(device_read(b.queue, 0, b.buf, SIZE));
		if (!sim)
			for (size_t i = 0; i < SIZE; i++)
				assert_int_equal(b.buf[i], 0);
		stop(&b);
	}
	device_free(copy);
}

/* Many more than the queue's depth are submitted before any is reaped, good and bad ones mixed; each arrives once. */
static void test_each_io_is_reaped_once(void **state)
{
	enum { N = 100, STEP = 4096 };
	tarn_dev_io  ios[N], *done[N + 1];
	struct bench b;

	(void)state;
	for (int sim = 0; sim <= 1; sim++) {
		unsigned seen[N] = { 0 }, got = 0;

		start(&b, sim, 3);
		for (unsigned i = 0; i < N; i++) {
			ios[i] = (tarn_dev_io){ .opcode = TARN_DEV_WRITE, .buf = b.buf, .offset = i * STEP, .len = STEP };
			if (i % 10 == 0)
				ios[i].len = 1;
			device_submit(b.queue, &ios[i]);
		}
		assert_int_equal(device_reap(b.queue, 5, 5, done), 5);
		got = 5 + device_reap(b.queue, N, N + 1, done + 5);
		assert_int_equal(got, N);
		for (unsigned i = 0; i < N; i++) {
			seen[done[i] - ios]++;
			assert_int_equal(done[i]->rc, (done[i] - ios) % 10 ? 0 : -TARN_E_INVAL);
		}
		for (unsigned i = 0; i < N; i++)
			assert_int_equal(seen[i], 1);
		assert_int_equal(device_reap(b.queue, 1, 1, done), 0); /* nothing is in flight: does not wait */
		stop(&b);
	}
}

static void test_close_waits_for_what_is_in_flight(void **state)
{
	tarn_dev_io  ios[4];
	struct bench b;
	uint8_t	    *back;

	(void)state;
	start(&b, true, 8);
	test_fill(b.buf, SIZE, 3);
	for (unsigned i = 0; i < 4; i++) {
		ios[i] = (tarn_dev_io){ .opcode = TARN_DEV_WRITE, .buf = b.buf + i * 512, .offset = i * 512, .len = 512 };
		device_submit(b.queue, &ios[i]);
	}
	device_queue_close(b.queue);
	assert_ok(device_queue_open(b.dev, 1, &b.queue));
	back = device_alloc(2048);
	assert_ok(device_read(b.queue, 0, back, 2048));
	assert_memory_equal(back, b.buf, 2048);
	device_free(back);
	stop(&b);
}

static void test_queues_of_one_device_see_the_same_bytes(void **state)
{
	struct device_queue *other;
	struct bench	     b;

	(void)state;
	for (int sim = 0; sim <= 1; sim++) {
		start(&b, sim, 1);
		assert_ok(device_queue_open(b.dev, 1, &other));
		memset(b.buf, 5, 512);
		assert_ok(device_write(b.queue, 1024, b.buf, 512));
		memset(b.buf, 0, 512);
		assert_ok(device_read(other, 1024, b.buf, 512));
		assert_int_equal(b.buf[511], 5);
		device_queue_close(other);
		stop(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_remap),
		cmocka_unit_test(test_unback),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_refusals_of_waiting_calls),
		cmocka_unit_test(test_unknown_opcode),
		cmocka_unit_test(test_bad_devices_and_queues),
		cmocka_unit_test(test_write_read_discard),
		cmocka_unit_test(test_each_io_is_reaped_once),
		cmocka_unit_test(test_close_waits_for_what_is_in_flight),
		cmocka_unit_test(test_queues_of_one_device_see_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
