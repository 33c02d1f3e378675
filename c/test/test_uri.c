/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_uri.c: what stands behind mem: and sim: in a URI, the faults that can be ordered there, and memory in huge pages. */
#include "harness.h"

#include "../src/device/backend.h"

static void open_with(const char *uri, struct device **dev, struct device_queue **queue)
{
	assert_ok(device_open(uri, NULL, dev));
	assert_ok(device_queue_open(*dev, 8, queue));
}

static void close_both(struct device *dev, struct device_queue *queue)
{
	device_queue_close(queue);
	device_close(dev);
}

/* Each is refused, and the sentence has that part. */
static void test_refused(void **state)
{
	static const struct {
		const char *uri, *says;
	} bad[] = {
		{ "mem:1M?", "behind the ?" },
		{ "mem:1M&block=512", "size" },
		{ "mem:1M?block", "block" },
		{ "mem:1M?block=", "block" },
		{ "mem:1M?block=0", "block" },
		{ "mem:1M?block=256", "block" },
		{ "mem:1M?block=513", "block" },
		{ "mem:1M?block=128K", "block" },
		{ "mem:1M?block=512&block=512", "twice" },
		{ "mem:1M?block=512&", "&" },
		{ "mem:1M?block=512?zone=4K", "block" },
		{ "mem:1M?blocks=512", "\"blocks\"" },
		{ "mem:1M?=512", "\"\"" },
		{ "mem:1M?&&", "\"\"" },
		{ "mem:1M?seed=1", "\"seed\"" },
		{ "mem:1M?error=read:1", "\"error\"" },
		{ "mem:1000", "multiple of 512" },
		{ "mem:1536?block=1024", "multiple of 1024" },
		{ "mem:1M?zone=100", "zone" },
		{ "mem:1M?zone=96K", "zone" },
		{ "mem:1M?zone=2M", "zone" },
		{ "mem:1M?zone=64K&zone_capacity=0", "zone_capacity" },
		{ "mem:1M?zone=64K&zone_capacity=65K", "zone_capacity" },
		{ "mem:1M?zone=64K&zone_capacity=1000", "zone_capacity" },
		{ "mem:1M?zone_capacity=64K", "need zone" },
		{ "mem:1M?max_open=1", "need zone" },
		{ "mem:1M?zone=64K&max_open=4294967296", "max_open" },
		{ "mem:1M?zone=64K&max_open=1K", "max_open" },
		{ "mem:1M?zone=64K&max_open=3&max_active=2", "max_open" },
		{ "mem:2G?zone=512", "zone" },
		{ "sim:1M?error=read", "error" },
		{ "sim:1M?error=read:", "error" },
		{ "sim:1M?error=read:0", "error" },
		{ "sim:1M?error=read:x", "error" },
		{ "sim:1M?error=reads:1", "error" },
		{ "sim:1M?error=:1", "error" },
		{ "sim:1M?never=nop:1", "never" },
		{ "sim:1M?error=read:1&error=read:2", "twice" },
		{ "sim:1M?seed=18446744073709551616", "seed" },
	};
	struct device *dev;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int rc = device_open(bad[i].uri, NULL, &dev);

		if (rc != -TARN_E_INVAL || !strstr(base_message(), bad[i].says))
			fail_msg("%s: %s, \"%s\"", bad[i].uri, tarn_errname(rc), base_message());
	}
}

static void test_taken(void **state)
{
	static const char uri[] =
		"sim:4M?zone_capacity=512K&zone=1M&max_open=2&block=1K&seed=18446744073709551615&max_active=3&error=read:"
		"2&error=write:9";
	const tarn_dev_info *info;
	struct device	    *dev;

	(void)state;
	assert_ok(device_open(uri, NULL, &dev));
	info = device_info(dev);
	assert_string_equal(info->uri, uri);
	assert_int_equal(info->size, 4 << 20);
	assert_int_equal(info->logical_block, 1024);
	assert_int_equal(info->offset_alignment, 1024);
	assert_int_equal(info->zone_bytes, 1 << 20);
	assert_int_equal(info->zone_count, 4);
	assert_int_equal(info->max_open_zones, 2);
	assert_int_equal(info->max_active_zones, 3);
	device_close(dev);
}

/* What memory cannot do is refused, not passed over; its own backend may be named. */
static void test_options(void **state)
{
	static const struct device_options bad[] = { { .create = true, .size = 4096 },
						     { .buffered = true },
						     { .backend = "io_uring" } };
	struct device_options		   good	 = { .exclusive = true, .strict = true, .bounce = true, .backend = "sim" };
	struct device			  *dev;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_error(device_open("mem:1M", &bad[i], &dev), INVAL);
		assert_says("mem:");
		assert_error(device_open("sim:1M", &bad[i], &dev), INVAL);
	}
	assert_ok(device_open("sim:1M", &good, &dev));
	device_close(dev);
	good.readonly = true;
	good.backend  = "mem";
	assert_ok(device_open("mem:1M", &good, &dev));
	assert_int_equal(device_info(dev)->readonly, 1);
	device_close(dev);
}

/* Random text behind the scheme: an answer, and no crash. */
static void test_random_text(void **state)
{
	static const char alphabet[] = "?&=:0123456789KMzoneblckapityrdws_";
	struct device	 *dev;
	struct rng	  rng;
	char		  uri[48];

	(void)state;
	rng_seed(&rng, test_seed());
	for (unsigned i = 0; i < 100000; i++) {
		size_t len = 4 + rng_below(&rng, sizeof(uri) - 12);

		snprintf(uri, sizeof(uri), i % 2 ? "mem:1M?" : "sim:1M?");
		for (size_t at = 7; at < len; at++)
			uri[at] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
		uri[MAX(len, (size_t)7)] = '\0';
		if (device_open(uri, NULL, &dev) == 0)
			device_close(dev);
	}
}

/* A URI that is longer than info.uri is cut, not spilt. */
static void test_long(void **state)
{
	char	       uri[1024] = "sim:1M?seed=";
	struct device *dev;

	(void)state;
	memset(uri + strlen(uri), '0', 900);
	assert_ok(device_open(uri, NULL, &dev));
	assert_int_equal(strlen(device_info(dev)->uri), sizeof(device_info(dev)->uri) - 1);
	device_close(dev);
}

/* The third write fails, by whatever way it comes, and no other. */
static void test_error(void **state)
{
	struct device_queue *queue;
	struct device	    *dev;
	tarn_dev_io	     io	 = { .opcode = TARN_DEV_WRITE, .len = 512 }, *done;
	uint8_t		    *buf = device_alloc(512);

	(void)state;
	assert_non_null(buf);
	open_with("sim:1M?error=write:3&error=compare:1&error=flush:1", &dev, &queue);
	io.buf = buf;
	assert_ok(device_write(queue, 0, buf, 512));
	device_submit(queue, &io);
	assert_int_equal(device_reap(queue, 1, 1, &done), 1);
	assert_int_equal(io.rc, 0);
	assert_error(device_write(queue, 1024, buf, 512), IO);
	assert_says("write at 1024");
	assert_ok(device_write(queue, 1024, buf, 512));
	assert_error(device_flush(queue), IO);
	assert_ok(device_flush(queue));
	io.opcode = TARN_DEV_COMPARE;
	assert_error(device_run(dev, &io), IO);
	assert_ok(device_run(dev, &io));
	close_both(dev, queue);
	device_free(buf);
}

/* The second read stays in flight, whatever else completes; a cancel ends it. The calls that wait are not touched. */
static void test_never(void **state)
{
	struct device_queue *queue;
	struct device	    *dev;
	tarn_dev_io	     ios[4], *done[4];
	uint8_t		    *buf = device_alloc(512);

	(void)state;
	assert_non_null(buf);
	open_with("sim:1M?never=read:2&seed=4", &dev, &queue);
	assert_ok(device_read(queue, 0, buf, 512));
	assert_ok(device_read(queue, 0, buf, 512));
	for (unsigned i = 0; i < ARRAY_LEN(ios); i++) {
		ios[i] = (tarn_dev_io){ .opcode = TARN_DEV_READ, .buf = buf, .len = 512, .tag = i };
		device_submit(queue, &ios[i]);
	}
	for (unsigned reaped = 0; reaped < 3;) {
		unsigned n = device_reap(queue, 1, ARRAY_LEN(done), done);

		assert_true(n > 0);
		reaped += n;
		for (unsigned i = 0; i < n; i++)
			assert_true(done[i] != &ios[1] && done[i]->rc == 0);
	}
	assert_int_equal(device_reap_within(queue, 1, ARRAY_LEN(done), 20000, done), 0);
	assert_error(device_queue_close_within(queue, 20000), TIMEDOUT);
	assert_ok(device_cancel(queue, &ios[1]));
	assert_int_equal(device_reap(queue, 1, ARRAY_LEN(done), done), 1);
	assert_ptr_equal(done[0], &ios[1]);
	assert_int_equal(ios[1].rc, -TARN_E_CANCELED);
	assert_error(device_cancel(queue, &ios[1]), NONEXIST);
	close_both(dev, queue);
	device_free(buf);
}

/* What is cancelled has not been written; what was in flight beside it has. */
static void test_cancel_of_a_write(void **state)
{
	struct device_queue *queue;
	struct device	    *dev;
	tarn_dev_io	     ios[8], *done[8];
	unsigned	     reaped = 0;
	uint8_t		    *buf    = device_alloc(1024);

	(void)state;
	assert_non_null(buf);
	open_with("sim:1M", &dev, &queue);
	memset(buf, 0x77, 512);
	for (unsigned i = 0; i < ARRAY_LEN(ios); i++) {
		ios[i] = (tarn_dev_io){ .opcode = TARN_DEV_WRITE, .buf = buf, .offset = i * 512, .len = 512 };
		device_submit(queue, &ios[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(ios); i += 2)
		assert_ok(device_cancel(queue, &ios[i]));
	while (reaped < ARRAY_LEN(ios))
		reaped += device_reap(queue, 1, ARRAY_LEN(done), done);
	for (unsigned i = 0; i < ARRAY_LEN(ios); i++) {
		assert_int_equal(ios[i].rc, i % 2 ? 0 : -TARN_E_CANCELED);
		assert_ok(device_read(queue, i * 512, buf + 512, 512));
		assert_int_equal(buf[512], i % 2 ? 0x77 : 0);
	}
	close_both(dev, queue);
	device_free(buf);
}

/* With or without huge pages: zeroed, aligned, usable to the last byte, and given back. */
static void test_huge_memory(void **state)
{
	static const size_t sizes[] = { 1, 4096, (2u << 20) - 1, 2u << 20, (2u << 20) + 1, 9u << 20 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t *p = device_alloc_huge(sizes[i]);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % (2u << 20), 0);
		assert_int_equal(p[0] | p[sizes[i] - 1], 0);
		memset(p, 0xab, sizes[i]);
		device_free_huge(p, sizes[i]);
	}
	assert_null(device_alloc_huge(0));
	assert_null(device_alloc_huge(SIZE_MAX));
	device_free_huge(NULL, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	    cmocka_unit_test(test_taken),
		cmocka_unit_test(test_options),	    cmocka_unit_test(test_random_text),
		cmocka_unit_test(test_long),	    cmocka_unit_test(test_error),
		cmocka_unit_test(test_never),	    cmocka_unit_test(test_cancel_of_a_write),
		cmocka_unit_test(test_huge_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
