/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_device.c: the same battery on every backend, on every kind of place.
 *
 * A place that the machine does not have (io_uring, loop devices, tmpfs) is skipped, by name. */
#include "device_scratch.h"

#include "../src/device/backend.h"

#include <pthread.h>

#define BLOCK 4096u

enum where { ON_DISK, IN_MEMORY, ON_LOOP, URI };

struct place {
	const char *name;
	enum where  where;
	const char *uri;     /* URI */
	const char *backend; /* that is asked for */
};

static const struct place places[] = {
	{ "io_uring file", ON_DISK, NULL, "io_uring" },
	{ "threads file", ON_DISK, NULL, "threads" },
	{ "io_uring tmpfs", IN_MEMORY, NULL, "io_uring" },
	{ "threads tmpfs", IN_MEMORY, NULL, "threads" },
	{ "io_uring block", ON_LOOP, NULL, "io_uring" },
	{ "threads block", ON_LOOP, NULL, "threads" },
	{ "mem", URI, "mem:8M", NULL },
	{ "sim", URI, "sim:8M?seed=3", NULL },
};

/* A device and a queue at a place. */
struct bench {
	const struct place  *place;
	struct device	    *dev;
	struct device_queue *queue;
	unsigned	     depth;
};

static void skip_without(const char *what)
{
	print_message("# no %s here\n", what);
	skip();
}

static const char *place_name(const struct place *place, char path[SCRATCH_PATH])
{
	switch (place->where) {
	case ON_DISK:
		return scratch_path(path, scratch_disk, "data");
	case IN_MEMORY:
		if (!*scratch_memory)
			skip_without("tmpfs");
		return scratch_path(path, scratch_memory, "data");
	case ON_LOOP:
		if (!*scratch_loop)
			skip_without("loop device");
		return scratch_loop;
	default:
		return place->uri;
	}
}

static void start(struct bench *b, void **state, unsigned depth)
{
	struct device_options options = { .size = SCRATCH_SIZE, .exclusive = true };
	char		      path[SCRATCH_PATH];
	const char	     *name;
	int		      rc;

	b->place	= *state;
	b->depth	= depth;
	name		= place_name(b->place, path);
	options.create	= b->place->where == ON_DISK || b->place->where == IN_MEMORY;
	options.backend = b->place->backend;
	if (options.create)
		unlink(name);
	rc = device_open(name, &options, &b->dev);
	if (rc == -TARN_E_NOTSUPPORTED && b->place->backend)
		skip_without(b->place->backend);
	assert_ok(rc);
	assert_ok(device_queue_open(b->dev, depth, &b->queue));
}

static void stop(struct bench *b)
{
	device_queue_close(b->queue);
	device_close(b->dev);
}

static uint8_t *new_buffer(size_t len)
{
	uint8_t *buf = device_alloc(len);

	assert_non_null(buf);
	return buf;
}

static void test_info(void **state)
{
	const tarn_dev_info *info;
	struct bench	     b;

	start(&b, state, 1);
	info = device_info(b.dev);
	assert_string_equal(info->backend, b.place->backend ? b.place->backend : b.place->name);
	assert_int_equal(info->size, SCRATCH_SIZE);
	assert_true(info->offset_alignment && BLOCK % info->offset_alignment == 0);
	assert_true(info->memory_alignment && BLOCK % info->memory_alignment == 0);
	assert_true(info->logical_block && info->physical_block >= info->logical_block);
	assert_true(info->max_transfer >= BLOCK && info->max_transfer % info->offset_alignment == 0);
	assert_int_equal(info->readonly, 0);
	assert_true(info->direct || *info->note); /* never in silence */
	if (b.place->where == IN_MEMORY)
		assert_non_null(strstr(info->note, "buffered"));
	stop(&b);
}

static void test_slots_are_filled(void **state)
{
	const struct device_backend *backend;
	struct bench		     b;

	start(&b, state, 1);
	backend = b.dev->backend;
	assert_string_equal(backend->name, device_info(b.dev)->backend);
	assert_true(backend->queue_open && backend->queue_close && backend->submit && backend->reap && backend->wake &&
		    backend->run && backend->close);
	stop(&b);
}

/* One I/O per block, `depth` of them at a time, in a shuffled order; each has its own buffer. */
struct batch {
	unsigned     count;
	uint8_t	    *bytes;
	tarn_dev_io *ios;
	unsigned    *order;
};

static void batch_make(struct batch *batch, unsigned count)
{
	struct rng rng;

	rng_seed(&rng, test_seed() + count);
	batch->count = count;
	batch->bytes = new_buffer((size_t)count * BLOCK);
	batch->ios   = calloc(count, sizeof(*batch->ios));
	batch->order = calloc(count, sizeof(*batch->order));
	assert_true(batch->ios && batch->order);
	for (unsigned i = 0; i < count; i++) {
		unsigned j = (unsigned)rng_below(&rng, i + 1);

		batch->order[i] = batch->order[j];
		batch->order[j] = i;
	}
}

static void batch_free(struct batch *batch)
{
	device_free(batch->bytes);
	free(batch->ios);
	free(batch->order);
}

static tarn_dev_io *batch_io(struct batch *batch, tarn_dev_opcode opcode, unsigned i)
{
	tarn_dev_io *io = &batch->ios[i];

	*io = (tarn_dev_io){ .opcode = opcode,
			     .buf    = batch->bytes + (size_t)i * BLOCK,
			     .offset = (uint64_t)i * BLOCK,
			     .len    = BLOCK,
			     .tag    = (uint64_t)(uintptr_t)io,
			     .rc     = 12345 };
	return io;
}

/* Each must come back once, well. */
static unsigned take(struct device_queue *queue, unsigned min)
{
	tarn_dev_io *done[7];
	unsigned     n = device_reap(queue, min, ARRAY_LEN(done), done);

	for (unsigned i = 0; i < n; i++) {
		if (done[i]->rc)
			fail_msg("%s", done[i]->message);
		assert_int_equal(done[i]->tag, (uintptr_t)done[i]); /* not reaped before */
		done[i]->tag = 0;
	}
	return n;
}

static void batch_run(struct bench *b, struct batch *batch, tarn_dev_opcode opcode)
{
	unsigned reaped = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		if (i - reaped == b->depth)
			reaped += take(b->queue, 1);
		device_submit(b->queue, batch_io(batch, opcode, batch->order[i]));
	}
	while (reaped < batch->count)
		reaped += take(b->queue, 1);
	assert_int_equal(take(b->queue, 1), 0); /* nothing is in flight: it does not wait */
}

static void write_read_compare(void **state, unsigned depth)
{
	struct batch batch;
	uint8_t	    *expected;
	struct bench b;

	start(&b, state, depth);
	batch_make(&batch, 200);
	expected = new_buffer((size_t)batch.count * BLOCK);
	test_fill(expected, (size_t)batch.count * BLOCK, test_seed() + depth);
	memcpy(batch.bytes, expected, (size_t)batch.count * BLOCK);
	batch_run(&b, &batch, TARN_DEV_WRITE);
	assert_ok(device_flush(b.queue));
	memset(batch.bytes, 0, (size_t)batch.count * BLOCK);
	batch_run(&b, &batch, TARN_DEV_READ);
	assert_memory_equal(batch.bytes, expected, (size_t)batch.count * BLOCK);
	batch_free(&batch);
	device_free(expected);
	stop(&b);
}

static void test_write_read_depth_1(void **state)
{
	write_read_compare(state, 1);
}

static void test_write_read_depth_3(void **state)
{
	write_read_compare(state, 3);
}

static void test_write_read_depth_64(void **state)
{
	write_read_compare(state, 64);
}

static void test_misaligned(void **state)
{
	uint8_t	    *buf;
	struct bench b;

	start(&b, state, 4);
	buf = new_buffer(2 * BLOCK);
	assert_error(device_read(b.queue, 1, buf, BLOCK), INVAL);
	assert_says("offset 1");
	assert_error(device_write(b.queue, BLOCK + 3, buf, BLOCK), INVAL);
	assert_says("offset 4099");
	assert_error(device_read(b.queue, 0, buf, 100), INVAL);
	assert_says("length 100");
	assert_error(device_write(b.queue, 0, buf + 1, BLOCK), INVAL);
	assert_says("buffer");
	assert_error(device_discard(b.queue, 0, 5), INVAL);
	assert_says("length 5");
	assert_error(device_read(b.queue, 0, buf, 0), INVAL);
	assert_error(device_read(b.queue, 0, NULL, BLOCK), INVAL);
	stop(&b);
	device_free(buf);
}

static void test_past_the_end(void **state)
{
	uint8_t	    *buf;
	struct bench b;

	start(&b, state, 4);
	buf = new_buffer(2 * BLOCK);
	assert_ok(device_read(b.queue, SCRATCH_SIZE - BLOCK, buf, BLOCK));
	assert_error(device_read(b.queue, SCRATCH_SIZE, buf, BLOCK), INVAL);
	assert_says("ends at 8388608");
	assert_error(device_write(b.queue, SCRATCH_SIZE - BLOCK, buf, 2 * BLOCK), INVAL);
	assert_error(device_read(b.queue, UINT64_MAX - BLOCK + 1, buf, BLOCK), INVAL);
	assert_error(device_discard(b.queue, SCRATCH_SIZE, BLOCK), INVAL);
	stop(&b);
	device_free(buf);
}

static void test_a_command_is_bounded_and_a_call_splits(void **state)
{
	tarn_dev_io  io = { .opcode = TARN_DEV_WRITE }, *done;
	uint8_t	    *wrote, *read;
	struct bench b;
	uint64_t     max;

	start(&b, state, 4);
	max    = device_info(b.dev)->max_transfer;
	wrote  = new_buffer(max + BLOCK);
	read   = new_buffer(max + BLOCK);
	io.buf = wrote;
	io.len = max + BLOCK;
	device_submit(b.queue, &io);
	assert_int_equal(device_reap(b.queue, 1, 1, &done), 1);
	assert_int_equal(io.rc, -TARN_E_INVAL);
	test_fill(wrote, max + BLOCK, 5);
	assert_ok(device_write(b.queue, BLOCK, wrote, max + BLOCK));
	assert_ok(device_read(b.queue, BLOCK, read, max + BLOCK));
	assert_memory_equal(wrote, read, max + BLOCK);
	stop(&b);
	device_free(wrote);
	device_free(read);
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

/* In a file: zeros. Elsewhere also what was there; the simulated disk may also answer with ones. Its neighbours stay. */
static void test_discard(void **state)
{
	uint8_t	    *wrote, *read;
	struct bench b;
	bool	     is_file;

	start(&b, state, 4);
	wrote	= new_buffer(3 * BLOCK);
	read	= new_buffer(3 * BLOCK);
	is_file = strcmp(device_info(b.dev)->kind, "file") == 0;
	test_fill(wrote, 3 * BLOCK, 8);
	assert_ok(device_write(b.queue, 0, wrote, 3 * BLOCK));
	assert_ok(device_flush(b.queue));
	assert_ok(device_discard(b.queue, BLOCK, BLOCK));
	assert_ok(device_read(b.queue, 0, read, 3 * BLOCK));
	assert_memory_equal(read, wrote, BLOCK);
	assert_memory_equal(read + 2 * BLOCK, wrote + 2 * BLOCK, BLOCK);
	if (is_file)
		assert_true(all_zero(read + BLOCK, BLOCK));
	assert_ok(device_write(b.queue, BLOCK, wrote + BLOCK, BLOCK));
	assert_ok(device_read(b.queue, BLOCK, read, BLOCK));
	assert_memory_equal(read, wrote + BLOCK, BLOCK);
	stop(&b);
	device_free(wrote);
	device_free(read);
}

/* That it survives a power cut, only the simulated disk can show; here it is a write like others, of a length that is split, too. */
static void test_durable_write(void **state)
{
	struct batch batch;
	uint8_t	    *wrote, *read;
	struct bench b;
	uint64_t     len;

	start(&b, state, 8);
	len   = device_info(b.dev)->max_transfer + BLOCK;
	wrote = new_buffer(len);
	read  = new_buffer(len);
	test_fill(wrote, len, 9);
	assert_ok(device_write_durable(b.queue, BLOCK, wrote, len));
	assert_ok(device_read(b.queue, BLOCK, read, len));
	assert_memory_equal(read, wrote, len);
	assert_error(device_write_durable(b.queue, 1, wrote, BLOCK), INVAL);
	batch_make(&batch, 40);
	test_fill(batch.bytes, (size_t)batch.count * BLOCK, 10);
	for (unsigned i = 0; i < batch.count; i++) {
		batch_io(&batch, TARN_DEV_WRITE, i)->flags = TARN_DEV_IO_DURABLE;
		device_submit(b.queue, &batch.ios[i]);
	}
	for (unsigned reaped = 0; reaped < batch.count;)
		reaped += take(b.queue, 1);
	for (unsigned i = 0; i < batch.count; i++) {
		assert_ok(device_read(b.queue, (uint64_t)i * BLOCK, read, BLOCK));
		assert_memory_equal(read, batch.bytes + (size_t)i * BLOCK, BLOCK);
	}
	batch_free(&batch);
	stop(&b);
	device_free(wrote);
	device_free(read);
}

static void test_only_a_write_is_durable(void **state)
{
	static const tarn_dev_opcode others[] = { TARN_DEV_READ, TARN_DEV_FLUSH, TARN_DEV_DISCARD };
	tarn_dev_io		     io, *done;
	uint8_t			    *buf;
	struct bench		     b;

	start(&b, state, 1);
	buf = new_buffer(BLOCK);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		io = (tarn_dev_io){ .opcode = others[i], .buf = buf, .len = BLOCK, .flags = TARN_DEV_IO_DURABLE };
		device_submit(b.queue, &io);
		assert_int_equal(device_reap(b.queue, 1, 1, &done), 1);
		assert_int_equal(io.rc, -TARN_E_INVAL);
		assert_non_null(strstr(io.message, "durable"));
	}
	stop(&b);
	device_free(buf);
}

/* Writes, discards and refused ones at once, many more than the queue is deep: each arrives once, as it would alone. */
static void test_submit_many(void **state)
{
	tarn_dev_io *ios[60], *done[7];
	unsigned     reaped = 0, n;
	struct batch batch;
	uint8_t	    *read;
	struct bench b;

	start(&b, state, 8);
	read = new_buffer(BLOCK);
	batch_make(&batch, ARRAY_LEN(ios));
	test_fill(batch.bytes, (size_t)batch.count * BLOCK, 11);
	for (unsigned i = 0; i < batch.count; i++) {
		ios[i] = batch_io(&batch, i % 7 == 3 ? TARN_DEV_DISCARD : TARN_DEV_WRITE, i);
		if (i % 11 == 5)
			ios[i]->len = 1;
	}
	device_submit_many(b.queue, ios, 0);
	device_submit_many(b.queue, ios, ARRAY_LEN(ios));
	while ((n = device_reap(b.queue, 2, ARRAY_LEN(done), done)) > 0)
		for (reaped += n; n > 0; n--) {
			assert_int_equal(done[n - 1]->tag, (uintptr_t)done[n - 1]);
			assert_int_equal(done[n - 1]->rc, done[n - 1]->len == 1 ? -TARN_E_INVAL : 0);
			done[n - 1]->tag = 0;
		}
	assert_int_equal(reaped, batch.count);
	for (unsigned i = 0; i < batch.count; i++)
		if (ios[i]->opcode == TARN_DEV_WRITE && ios[i]->len == BLOCK) {
			assert_ok(device_read(b.queue, (uint64_t)i * BLOCK, read, BLOCK));
			assert_memory_equal(read, batch.bytes + (size_t)i * BLOCK, BLOCK);
		}
	batch_free(&batch);
	stop(&b);
	device_free(read);
}

/* Far more than fits, and nothing reaped in between: submit makes room by itself and loses nothing. */
static void test_full_queue(void **state)
{
	struct batch batch;
	unsigned     reaped = 0;
	struct bench b;

	start(&b, state, 4);
	batch_make(&batch, 50);
	for (unsigned i = 0; i < batch.count; i++)
		device_submit(b.queue, batch_io(&batch, i % 5 ? TARN_DEV_WRITE : TARN_DEV_FLUSH, i));
	while (reaped < batch.count)
		reaped += take(b.queue, 3);
	assert_int_equal(reaped, batch.count);
	batch_free(&batch);
	stop(&b);
}

static void test_close_with_io_in_flight(void **state)
{
	struct batch batch;
	uint8_t	    *read;
	struct bench b;

	start(&b, state, 32);
	read = new_buffer(BLOCK);
	batch_make(&batch, 32);
	test_fill(batch.bytes, (size_t)batch.count * BLOCK, 77);
	for (unsigned i = 0; i < batch.count; i++)
		device_submit(b.queue, batch_io(&batch, TARN_DEV_WRITE, i));
	device_queue_close(b.queue);
	assert_ok(device_queue_open(b.dev, 1, &b.queue));
	for (unsigned i = 0; i < batch.count; i++) {
		assert_ok(device_read(b.queue, (uint64_t)i * BLOCK, read, BLOCK));
		assert_memory_equal(read, batch.bytes + (size_t)i * BLOCK, BLOCK);
	}
	batch_free(&batch);
	device_free(read);
	stop(&b);
}

struct turn {
	struct bench *bench;
	struct batch *batch;
};

static void *submit_and_leave(void *arg)
{
	struct turn *turn = arg;

	for (unsigned i = 0; i < turn->batch->count; i++)
		device_submit(turn->bench->queue, batch_io(turn->batch, i % 4 ? TARN_DEV_WRITE : TARN_DEV_FLUSH, i));
	return NULL;
}

/* What a thread has started must not be lost or cancelled when that thread ends. */
static void test_threads_take_turns(void **state)
{
	struct batch batch;
	struct bench b;
	struct turn  turn = { &b, &batch };
	pthread_t    thread;

	start(&b, state, 16);
	batch_make(&batch, 16);
	for (unsigned round = 0; round < 10; round++) {
		unsigned reaped = 0;

		assert_int_equal(pthread_create(&thread, NULL, submit_and_leave, &turn), 0);
		pthread_join(thread, NULL);
		while (reaped < batch.count)
			reaped += take(b.queue, 1);
	}
	batch_free(&batch);
	stop(&b);
}

/* Different queues of one device, each with its thread, each on its own blocks. */
static void *use_own_queue(void *arg)
{
	const struct bench  *b	   = ((void **)arg)[0];
	uint64_t	     which = (uint64_t)(uintptr_t)((void **)arg)[1];
	uint8_t		    *wrote = device_alloc(BLOCK), *read = device_alloc(BLOCK);
	struct device_queue *queue = NULL;
	int		     rc	   = !wrote || !read ? -1 : device_queue_open(b->dev, 2, &queue);

	for (uint64_t i = 0; !rc && i < 40; i++) {
		test_fill(wrote, BLOCK, which * 1000 + i);
		rc = device_write(queue, (which * 40 + i) * BLOCK, wrote, BLOCK);
		if (!rc)
			rc = device_read(queue, (which * 40 + i) * BLOCK, read, BLOCK);
		if (!rc && memcmp(wrote, read, BLOCK) != 0)
			rc = -2;
	}
	if (queue)
		device_queue_close(queue);
	device_free(wrote);
	device_free(read);
	return (void *)(intptr_t)rc;
}

static void test_queues_at_once(void **state)
{
	pthread_t    threads[3];
	void	    *args[ARRAY_LEN(threads)][2], *result;
	struct bench b;

	start(&b, state, 1);
	for (uintptr_t i = 0; i < ARRAY_LEN(threads); i++) {
		args[i][0] = &b;
		args[i][1] = (void *)i;
		assert_int_equal(pthread_create(&threads[i], NULL, use_own_queue, args[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	stop(&b);
}

static void test_bad_depth(void **state)
{
	struct device_queue *queue;
	struct bench	     b;

	start(&b, state, 1);
	assert_error(device_queue_open(b.dev, 0, &queue), INVAL);
	assert_error(device_queue_open(b.dev, DEVICE_DEPTH_MAX + 1, &queue), INVAL);
	stop(&b);
}

/* A file that somebody cuts short beneath us: the transfer goes on after the short part, finds the end, and says where. */
static void test_file_cut_short(void **state)
{
	uint8_t	    *buf;
	char	     path[SCRATCH_PATH];
	struct bench b;

	start(&b, state, 2);
	buf = new_buffer(4 * BLOCK);
	if (strcmp(device_info(b.dev)->kind, "file") == 0) {
		assert_int_equal(truncate(place_name(b.place, path), SCRATCH_SIZE / 2), 0);
		assert_ok(device_read(b.queue, SCRATCH_SIZE / 2 - BLOCK, buf, BLOCK));
		assert_error(device_read(b.queue, SCRATCH_SIZE / 2 - BLOCK, buf, 4 * BLOCK), IO);
		assert_says("4194304");
		assert_says("cut it short");
	}
	stop(&b);
	device_free(buf);
}

static void test_reading_only(void **state)
{
	struct device_options options = { .readonly = true };
	uint8_t		     *buf;
	char		      path[SCRATCH_PATH];
	struct bench	      b;

	start(&b, state, 1);
	buf = new_buffer(BLOCK);
	stop(&b);
	options.backend = b.place->backend;
	assert_ok(device_open(place_name(b.place, path), &options, &b.dev));
	assert_ok(device_queue_open(b.dev, 1, &b.queue));
	assert_int_equal(device_info(b.dev)->readonly, 1);
	assert_ok(device_read(b.queue, 0, buf, BLOCK));
	assert_ok(device_flush(b.queue));
	assert_error(device_write(b.queue, 0, buf, BLOCK), EP_RO);
	assert_error(device_discard(b.queue, 0, BLOCK), EP_RO);
	stop(&b);
	device_free(buf);
}

#define BATTERY(X)                                                                                                               \
	X(test_info)                                                                                                             \
	X(test_slots_are_filled)                                                                                                 \
	X(test_write_read_depth_1)                                                                                               \
	X(test_write_read_depth_3)                                                                                               \
	X(test_write_read_depth_64)                                                                                              \
	X(test_misaligned)                                                                                                       \
	X(test_past_the_end)                                                                                                     \
	X(test_a_command_is_bounded_and_a_call_splits)                                                                           \
	X(test_discard)                                                                                                          \
	X(test_durable_write)                                                                                                    \
	X(test_only_a_write_is_durable)                                                                                          \
	X(test_submit_many)                                                                                                      \
	X(test_full_queue)                                                                                                       \
	X(test_close_with_io_in_flight)                                                                                          \
	X(test_threads_take_turns)                                                                                               \
	X(test_queues_at_once)                                                                                                   \
	X(test_bad_depth)                                                                                                        \
	X(test_file_cut_short)                                                                                                   \
	X(test_reading_only)

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
