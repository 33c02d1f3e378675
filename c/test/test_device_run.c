/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_device_run.c: every command on every kind of device, by a call that waits and through a queue; and every argument of it out
 * of range.
 *
 * A place that the machine does not have is skipped, by name. */
#include "device_scratch.h"

#include "../src/device/backend.h"

enum where { ON_DISK, IN_MEMORY, ON_LOOP, URI };

struct place {
	const char *name;
	enum where  where;
	const char *uri;
	const char *backend;
	bool	    buffered;
};

static const struct place places[] = {
	{ "io_uring file", ON_DISK, NULL, "io_uring", false },
	{ "threads file", ON_DISK, NULL, "threads", false },
	{ "buffered file", ON_DISK, NULL, NULL, true },
	{ "tmpfs", IN_MEMORY, NULL, NULL, false },
	{ "loop", ON_LOOP, NULL, NULL, false },
	{ "buffered loop", ON_LOOP, NULL, "threads", true },
	{ "mem", URI, "mem:8M", NULL, false },
	{ "mem 4096", URI, "mem:8M?block=4096", NULL, false },
	{ "sim", URI, "sim:8M?seed=3", NULL, false },
	{ "sim 4096", URI, "sim:8M?seed=4&block=4096", NULL, false },
};

static bool through_queue; /* how run() does it */

struct bench {
	const struct place  *place;
	struct device	    *dev;
	struct device_queue *queue;
	const tarn_dev_info *info;
	uint64_t	     block;
	uint8_t		    *a, *b; /* two buffers of 2 MiB */
};

#define ROOM (2u << 20)

static void skip_without(const char *what)
{
	print_message("# no %s here\n", what);
	skip();
}

static const char *place_name(const struct place *place, char path[SCRATCH_PATH])
{
	if ((place->where == IN_MEMORY && !*scratch_memory) || (place->where == ON_LOOP && !*scratch_loop))
		skip_without(place->name);
	if (place->where == URI)
		return place->uri;
	return place->where == ON_LOOP ? scratch_loop
				       : scratch_path(path, place->where == ON_DISK ? scratch_disk : scratch_memory, "data");
}

static void start(struct bench *b, void **state)
{
	struct device_options options = { .size = SCRATCH_SIZE };
	char		      path[SCRATCH_PATH];
	const char	     *name;
	int		      rc;

	b->place	 = *state;
	name		 = place_name(b->place, path);
	options.create	 = b->place->where == ON_DISK || b->place->where == IN_MEMORY;
	options.backend	 = b->place->backend;
	options.buffered = b->place->buffered;
	if (options.create)
		unlink(name);
	rc = device_open(name, &options, &b->dev);
	if (rc == -TARN_E_NOTSUPPORTED && b->place->backend)
		skip_without(b->place->backend);
	assert_ok(rc);
	assert_ok(device_queue_open(b->dev, 4, &b->queue));
	b->info	 = device_info(b->dev);
	b->block = b->info->offset_alignment;
	b->a	 = device_alloc(ROOM);
	b->b	 = device_alloc(ROOM);
	assert_true(b->a && b->b);
}

static void stop(struct bench *b)
{
	device_queue_close(b->queue);
	device_close(b->dev);
	device_free(b->a);
	device_free(b->b);
}

/* Its result, by a call that waits or, with `through_queue`, by a queue; the sentence is this thread's either way. */
static int run(struct bench *b, tarn_dev_io io)
{
	tarn_dev_io *done;

	if (!through_queue)
		return device_run(b->dev, &io);
	io.tag = 77;
	device_submit(b->queue, &io);
	assert_int_equal(device_reap(b->queue, 1, 1, &done), 1);
	assert_ptr_equal(done, &io);
	assert_int_equal(io.tag, 77);
	if (io.rc)
		base_set_message(io.message);
	return io.rc;
}

static int do_io(struct bench *b, tarn_dev_opcode opcode, uint64_t offset, void *buf, uint64_t len)
{
	return run(b, (tarn_dev_io){ .opcode = opcode, .offset = offset, .buf = buf, .len = len });
}

static void test_write_read(void **state)
{
	struct bench b;

	start(&b, state);
	test_fill(b.a, 1 << 18, 1);
	assert_ok(do_io(&b, TARN_DEV_WRITE, b.block, b.a, 1 << 18));
	assert_ok(do_io(&b, TARN_DEV_READ, b.block, b.b, 1 << 18));
	assert_memory_equal(b.a, b.b, 1 << 18);
	assert_ok(do_io(&b, TARN_DEV_FLUSH, 12345, NULL, 678)); /* its place is ignored */
	assert_ok(do_io(&b, TARN_DEV_NOP, 12345, NULL, 678));
	stop(&b);
}

/* Pieces of 1, 2, 3, 1, ... blocks, in the order of `stride` through buf. Returns how many. */
static uint32_t make_vector(const struct bench *b, tarn_dev_vec *vec, uint8_t *buf, uint64_t len)
{
	uint32_t n = 0;

	for (uint64_t at = 0, piece; at < len; at += piece) {
		piece	 = MIN((n % 3 + 1) * b->block, len - at);
		vec[n++] = (tarn_dev_vec){ buf + at, piece };
	}
	return n;
}

static void swap_pieces(tarn_dev_vec *vec, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i += 2) {
		tarn_dev_vec first = vec[i];

		vec[i]	   = vec[i + 1];
		vec[i + 1] = first;
	}
}

static int do_vector(struct bench *b, tarn_dev_opcode opcode, uint64_t offset, tarn_dev_vec *vec, uint32_t n, uint64_t len,
		     uint8_t more)
{
	return run(b, (tarn_dev_io){ .opcode	= opcode,
				     .flags	= TARN_DEV_IO_VECTOR | more,
				     .offset	= offset,
				     .buf	= vec,
				     .vec_count = n,
				     .len	= len });
}

static void test_vectors(void **state)
{
	tarn_dev_vec vec[TARN_DEV_VEC_MAX];
	uint64_t     len;
	struct bench b;
	uint32_t     n;

	start(&b, state);
	for (uint64_t blocks = 1; blocks <= 250; blocks = blocks * 3 + 1) {
		len = MIN(blocks * b.block, b.info->max_transfer);
		test_fill(b.a, len, blocks);
		n = make_vector(&b, vec, b.a, len);
		swap_pieces(vec, n);
		assert_ok(do_vector(&b, TARN_DEV_WRITE, b.block, vec, n, len, blocks % 2 ? TARN_DEV_IO_DURABLE : 0));
		n = make_vector(&b, vec, b.b, len);
		swap_pieces(vec, n);
		memset(b.b, 0, len);
		assert_ok(do_vector(&b, TARN_DEV_READ, b.block, vec, n, len, 0));
		assert_memory_equal(b.a, b.b, len);
	}
	stop(&b);
}

static void test_bad_vectors(void **state)
{
	tarn_dev_vec vec[3];
	struct bench b;

	start(&b, state);
	make_vector(&b, vec, b.a, 6 * b.block);
	assert_error(do_vector(&b, TARN_DEV_READ, 0, NULL, 3, 6 * b.block, 0), INVAL);
	assert_error(do_vector(&b, TARN_DEV_READ, 0, vec, 0, 6 * b.block, 0), INVAL);
	assert_says("0 pieces");
	assert_error(do_vector(&b, TARN_DEV_READ, 0, vec, 1025, 6 * b.block, 0), INVAL);
	assert_says("1025");
	assert_error(do_vector(&b, TARN_DEV_READ, 0, vec, 3, 5 * b.block, 0), INVAL);
	assert_error(do_vector(&b, TARN_DEV_READ, 0, vec, 3, 7 * b.block, 0), INVAL);
	assert_error(do_vector(&b, TARN_DEV_COMPARE, 0, vec, 3, 6 * b.block, 0), INVAL);
	assert_says("vector");
	assert_error(do_vector(&b, TARN_DEV_WRITE, 0, vec, 3, 6 * b.block, TARN_DEV_IO_FIXED), INVAL);
	vec[1].ptr = (char *)vec[1].ptr + 1;
	assert_error(do_vector(&b, TARN_DEV_READ, 0, vec, 3, 6 * b.block, 0), INVAL);
	assert_says("piece 1");
	make_vector(&b, vec, b.a, 6 * b.block);
	vec[0].len -= 8;
	vec[2].len += 8;
	assert_error(do_vector(&b, TARN_DEV_WRITE, 0, vec, 3, 6 * b.block, 0), INVAL);
	assert_says("piece 0");
	vec[2] = (tarn_dev_vec){ NULL, 3 * b.block };
	assert_error(do_vector(&b, TARN_DEV_WRITE, 0, vec, 3, 6 * b.block, 0), INVAL);
	vec[1].len = SIZE_MAX;
	assert_error(do_vector(&b, TARN_DEV_WRITE, 0, vec, 3, 6 * b.block, 0), INVAL);
	stop(&b);
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

/* Discard as well, where it leaves zeroes: its neighbours stay. */
static void zeroes_between(struct bench *b, tarn_dev_opcode opcode)
{
	uint64_t len = 16 * b->block, at = 4 * b->block, hole = 5 * b->block;
	int	 rc;

	test_fill(b->a, len, 3);
	assert_ok(do_io(b, TARN_DEV_WRITE, 0, b->a, len));
	rc = do_io(b, opcode, at, NULL, hole);
	if (rc == -TARN_E_NOTSUPPORTED) { /* and it says of what */
		assert_non_null(strstr(base_message(), device_opcode_name(opcode)));
		memset(b->a + at, 0, hole);
		assert_ok(do_io(b, TARN_DEV_WRITE, at, b->a + at, hole));
		return;
	}
	assert_ok(rc);
	assert_ok(do_io(b, TARN_DEV_READ, 0, b->b, len));
	assert_memory_equal(b->b, b->a, at);
	assert_true(all_zero(b->b + at, hole));
	assert_memory_equal(b->b + at + hole, b->a + at + hole, len - at - hole);
}

static void test_write_zeroes(void **state)
{
	struct bench b;

	start(&b, state);
	zeroes_between(&b, TARN_DEV_WRITE_ZEROES);
	if (b.place->where != ON_LOOP)
		zeroes_between(&b, TARN_DEV_DISCARD);
	if (b.place->where != IN_MEMORY)					    /* tmpfs has no such command */
		assert_ok(do_io(&b, TARN_DEV_WRITE_ZEROES, 0, NULL, SCRATCH_SIZE)); /* it moves no data: no limit */
	stop(&b);
}

static void test_compare(void **state)
{
	char	     where[64];
	struct bench b;

	start(&b, state);
	test_fill(b.a, 1 << 19, 4);
	assert_ok(do_io(&b, TARN_DEV_WRITE, b.block, b.a, 1 << 19));
	assert_ok(do_io(&b, TARN_DEV_COMPARE, b.block, b.a, 1 << 19));
	for (uint64_t at = 0; at < 1 << 19; at = at * 5 + 17) {
		b.a[at] ^= 0x40;
		assert_error(do_io(&b, TARN_DEV_COMPARE, b.block, b.a, 1 << 19), MISMATCH);
		snprintf(where, sizeof(where), "is at %llu:", (unsigned long long)(b.block + at));
		assert_says(where);
		b.a[at] ^= 0x40;
	}
	assert_ok(do_io(&b, TARN_DEV_COMPARE, b.block, b.a, 1 << 19));
	stop(&b);
}

static const tarn_dev_opcode with_place[] = { TARN_DEV_READ, TARN_DEV_WRITE, TARN_DEV_DISCARD, TARN_DEV_WRITE_ZEROES,
					      TARN_DEV_COMPARE };

/* The sentence has the value and the alignment. */
static void test_misaligned(void **state)
{
	char	     alignment[32];
	struct bench b;

	start(&b, state);
	snprintf(alignment, sizeof(alignment), "multiple of %u", b.info->offset_alignment);
	for (size_t i = 0; i < ARRAY_LEN(with_place); i++) {
		assert_error(do_io(&b, with_place[i], b.block + 3, b.a, b.block), INVAL);
		assert_says(alignment);
		assert_error(do_io(&b, with_place[i], 0, b.a, b.block + 1), INVAL);
		assert_says(alignment);
		assert_error(do_io(&b, with_place[i], 0, b.a, 0), INVAL);
		if (!device_moves_data(with_place[i]))
			continue;
		assert_error(do_io(&b, with_place[i], 0, b.a + 1, b.block), INVAL);
		assert_says("buffer");
		assert_error(do_io(&b, with_place[i], 0, NULL, b.block), INVAL);
	}
	stop(&b);
}

static void test_past_the_end(void **state)
{
	struct bench b;

	start(&b, state);
	for (size_t i = 0; i < ARRAY_LEN(with_place); i++) {
		assert_error(do_io(&b, with_place[i], SCRATCH_SIZE, b.a, b.block), INVAL);
		assert_says("ends at 8388608");
		assert_error(do_io(&b, with_place[i], SCRATCH_SIZE - b.block, b.a, 2 * b.block), INVAL);
		assert_error(do_io(&b, with_place[i], UINT64_MAX - b.block + 1, b.a, b.block), INVAL);
		assert_error(do_io(&b, with_place[i], b.block, b.a, UINT64_MAX - b.block + 1), INVAL);
		assert_error(do_io(&b, with_place[i], UINT64_MAX - b.block + 1, b.a, UINT64_MAX - b.block + 1), INVAL);
	}
	stop(&b);
}

/* Every opcode with every flag: either the rules allow it, or it is INVAL; every other opcode is. */
static void test_flags(void **state)
{
	struct bench b;

	start(&b, state);
	for (unsigned opcode = 0; opcode < 256; opcode++)
		for (unsigned flags = 1; flags < 256; flags++) {
			bool moves = opcode == TARN_DEV_READ || opcode == TARN_DEV_WRITE;
			bool known = !(flags & ~1u) && opcode == TARN_DEV_WRITE;

			if (known || (moves && !(flags & ~7u)))
				continue; /* has tests of its own */
			assert_error(run(&b, (tarn_dev_io){ .opcode = (uint8_t)opcode,
							    .flags  = (uint8_t)flags,
							    .buf    = b.a,
							    .len    = b.block }),
				     INVAL);
		}
	for (unsigned opcode = TARN_DEV_NOP + 1; opcode < 256; opcode++)
		assert_error(do_io(&b, (tarn_dev_opcode)opcode, 0, b.a, b.block), INVAL);
	assert_says("255");
	stop(&b);
}

static void test_no_zones(void **state)
{
	tarn_dev_zone zone;
	uint32_t      count = 1;
	struct bench  b;

	start(&b, state);
	assert_int_equal(b.info->zoned, 0);
	assert_error(do_io(&b, TARN_DEV_ZONE_APPEND, 0, b.a, b.block), NOTSUPPORTED);
	assert_error(device_zone_report(b.dev, 0, &zone, &count), NOTSUPPORTED);
	assert_error(device_zone_manage(b.dev, DEVICE_ZONE_RESET, 0, b.block), NOTSUPPORTED);
	stop(&b);
}

/* A queue refuses more than max_transfer; a call that waits splits, a vector too, wherever its pieces end. */
static void test_large(void **state)
{
	tarn_dev_vec vec[TARN_DEV_VEC_MAX];
	uint64_t     len;
	struct bench b;
	uint32_t     n;

	start(&b, state);
	len = MIN(b.info->max_transfer + 4096, ROOM);
	if (b.info->max_transfer + 4096 > ROOM)
		skip_without("transfer that is too large");
	n	 = make_vector(&b, vec, b.a, MIN(len, 900 * b.block));
	vec[n++] = (tarn_dev_vec){ b.a + MIN(len, 900 * b.block), len - MIN(len, 900 * b.block) };
	n -= !vec[n - 1].len;
	if (through_queue) {
		assert_error(do_io(&b, TARN_DEV_READ, 0, b.a, len), INVAL);
		assert_says("at most");
		assert_error(do_io(&b, TARN_DEV_COMPARE, 0, b.a, len), INVAL);
		assert_error(do_vector(&b, TARN_DEV_WRITE, 0, vec, n, len, 0), INVAL);
	} else {
		test_fill(b.a, len, 6);
		assert_ok(do_vector(&b, TARN_DEV_WRITE, b.block, vec, n, len, 0));
		assert_ok(do_io(&b, TARN_DEV_COMPARE, b.block, b.a, len));
		memset(b.a, 0, len);
		assert_ok(do_vector(&b, TARN_DEV_READ, b.block, vec, n, len, 0));
		assert_ok(do_io(&b, TARN_DEV_READ, b.block, b.b, len));
		assert_memory_equal(b.a, b.b, len);
	}
	stop(&b);
}

static void test_reading_only(void **state)
{
	struct device_options options = { .readonly = true };
	char		      path[SCRATCH_PATH];
	struct bench	      b;

	start(&b, state);
	device_queue_close(b.queue);
	device_close(b.dev);
	assert_ok(device_open(place_name(b.place, path), &options, &b.dev));
	assert_ok(device_queue_open(b.dev, 1, &b.queue));
	assert_ok(do_io(&b, TARN_DEV_READ, 0, b.a, 4096));
	assert_ok(do_io(&b, TARN_DEV_COMPARE, 0, b.a, 4096));
	assert_error(do_io(&b, TARN_DEV_WRITE, 0, b.a, 4096), EP_RO);
	assert_error(do_io(&b, TARN_DEV_WRITE_ZEROES, 0, NULL, 4096), EP_RO);
	assert_error(do_io(&b, TARN_DEV_DISCARD, 0, NULL, 4096), EP_RO);
	stop(&b);
}

static void test_registered_needs_a_queue(void **state)
{
	struct bench b;

	start(&b, state);
	through_queue = false;
	assert_error(run(&b, (tarn_dev_io){ .opcode = TARN_DEV_READ, .flags = TARN_DEV_IO_FIXED, .buf = b.a, .len = 4096 }),
		     INVAL);
	assert_says("queue");
	stop(&b);
}

/* Somebody cuts the file short beneath us: each command that needs the rest says so. */
static void test_file_cut_short(void **state)
{
	tarn_dev_vec vec[8];
	char	     path[SCRATCH_PATH];
	struct bench b;
	uint32_t     n;

	start(&b, state);
	if (b.place->where == ON_DISK || b.place->where == IN_MEMORY) {
		assert_int_equal(truncate(place_name(b.place, path), SCRATCH_SIZE / 2), 0);
		assert_error(do_io(&b, TARN_DEV_READ, SCRATCH_SIZE / 2 - 4096, b.a, 16384), IO);
		assert_says("cut it short");
		n = make_vector(&b, vec, b.a, 12 * b.block);
		assert_error(do_vector(&b, TARN_DEV_READ, SCRATCH_SIZE / 2 - 4 * b.block, vec, n, 12 * b.block, 0), IO);
		assert_says("cut it short");
		assert_error(do_io(&b, TARN_DEV_COMPARE, SCRATCH_SIZE / 2, b.a, 4096), IO);
		assert_says("cut it short");
	}
	stop(&b);
}

/* A loop device whose file has shrunk answers with EIO: the result is IO, and the sentence says what failed, where and why. */
static void test_device_error(void **state)
{
	char	     path[SCRATCH_PATH];
	struct bench b;

	start(&b, state);
	if (b.place->where == ON_LOOP && b.info->direct) {
		scratch_path(path, scratch_disk, "loop.img");
		assert_int_equal(truncate(path, SCRATCH_SIZE / 2), 0);
		assert_error(do_io(&b, TARN_DEV_READ, SCRATCH_SIZE / 2, b.a, 8192), IO);
		assert_says("of 8192 at 4194304 of block:/dev/loop");
		assert_says("error");
		assert_error(do_io(&b, TARN_DEV_COMPARE, SCRATCH_SIZE / 2, b.a, 4096), IO);
		assert_int_equal(truncate(path, SCRATCH_SIZE), 0);
		assert_ok(do_io(&b, TARN_DEV_READ, SCRATCH_SIZE / 2, b.a, 8192));
	}
	stop(&b);
}

static void test_info(void **state)
{
	struct bench b;

	start(&b, state);
	assert_int_equal(b.info->max_transfer % b.info->memory_alignment, 0);
	assert_int_equal(b.info->zone_count | b.info->zone_bytes | b.info->nsid | b.info->csi, 0);
	if (b.place->buffered) {
		assert_int_equal(b.info->direct, 0);
		assert_non_null(strstr(b.info->note, "buffered: as asked"));
	}
	if (b.place->where == ON_LOOP)
		assert_string_equal(b.info->driver, "loop");
	if (b.place->where == URI)
		assert_string_equal(b.info->uri, b.place->uri);
	stop(&b);
}

#define BATTERY(X)                                                                                                               \
	X(test_info)                                                                                                             \
	X(test_write_read)                                                                                                       \
	X(test_vectors)                                                                                                          \
	X(test_bad_vectors)                                                                                                      \
	X(test_write_zeroes)                                                                                                     \
	X(test_compare)                                                                                                          \
	X(test_misaligned)                                                                                                       \
	X(test_past_the_end)                                                                                                     \
	X(test_flags)                                                                                                            \
	X(test_no_zones)                                                                                                         \
	X(test_large)                                                                                                            \
	X(test_reading_only)                                                                                                     \
	X(test_registered_needs_a_queue)                                                                                         \
	X(test_file_cut_short)                                                                                                   \
	X(test_device_error)

static const struct {
	const char	  *name;
	CMUnitTestFunction run;
} battery[] = {
#define BATTERY_ROW(test) { #test, test },
	BATTERY(BATTERY_ROW)
#undef BATTERY_ROW
};

static int wait_by_call(void **state)
{
	(void)state;
	through_queue = false;
	return 0;
}

static int wait_by_queue(void **state)
{
	(void)state;
	through_queue = true;
	return 0;
}

int main(void)
{
	static struct CMUnitTest tests[ARRAY_LEN(places) * ARRAY_LEN(battery) * 2];
	static char		 names[ARRAY_LEN(tests)][96];

	for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
		const struct place *place = &places[i / 2 / ARRAY_LEN(battery)];

		snprintf(names[i], sizeof(names[i]), "%s on %s, %s", battery[i / 2 % ARRAY_LEN(battery)].name, place->name,
			 i % 2 ? "queue" : "call");
		tests[i] = (struct CMUnitTest){ .name	       = names[i],
						.test_func     = battery[i / 2 % ARRAY_LEN(battery)].run,
						.setup_func    = i % 2 ? wait_by_queue : wait_by_call,
						.initial_state = (void *)(uintptr_t)place };
	}
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
