/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_bounce.c: misaligned I/O on a device that bounces: random commands at random places, from random memory, against a model in
 * memory; and two that change different parts of one block at the same moment. */
#include "device_scratch.h"

#include "../src/device/backend.h"

#include <pthread.h>

#define SIZE	 (4u << 20)
#define LONGEST	 (3u << 20) /* more than max_transfer */
#define ROOM	 (LONGEST + 8192)
#define COMMANDS 400
#define PIECES	 12

struct place {
	const char *name;
	const char *uri; /* NULL: a file */
	bool	    buffered;
};

static const struct place places[] = {
	{ "file", NULL, false },
	{ "buffered file", NULL, true },
	{ "mem", "mem:4M", false },
	{ "mem 4096", "mem:4M?block=4096", false },
	{ "sim", "sim:4M?seed=9&block=4096", false },
};

struct rig {
	struct device	    *dev;
	struct device_queue *queue;
	uint8_t		    *model, *memory, *other;
	struct rng	     rng;
	uint64_t	     bounced; /* that there should be */
	uint64_t	     trouble; /* the number of the command at work */
};

static void start(struct rig *r, const struct place *place)
{
	struct device_options options = { .bounce = true, .buffered = place->buffered, .size = SIZE, .create = !place->uri };
	char		      path[SCRATCH_PATH];

	*r = (struct rig){ .model = calloc(1, SIZE), .memory = device_alloc(ROOM), .other = device_alloc(ROOM) };
	assert_true(r->model && r->memory && r->other);
	scratch_path(path, scratch_disk, "data");
	if (!place->uri)
		unlink(path);
	assert_ok(device_open(place->uri ? place->uri : path, &options, &r->dev));
	assert_ok(device_queue_open(r->dev, 4, &r->queue));
	rng_seed(&r->rng, test_seed());
}

static void stop(struct rig *r)
{
	device_queue_close(r->queue);
	device_close(r->dev);
	device_free(r->memory);
	device_free(r->other);
	free(r->model);
}

static int run(struct rig *r, tarn_dev_io *io)
{
	tarn_dev_io *done;

	if (io->len > device_info(r->dev)->max_transfer || rng_below(&r->rng, 2))
		return device_run(r->dev, io);
	device_submit(r->queue, io);
	assert_int_equal(device_reap(r->queue, 1, 1, &done), 1);
	if (io->rc)
		base_set_message(io->message);
	return io->rc;
}

/* Small ones mostly; at the end of the device as well. A quarter is aligned. */
static void draw_place(struct rig *r, tarn_dev_io *io)
{
	uint64_t longest = rng_below(&r->rng, 8) ? 20000 : LONGEST;

	io->len	   = 1 + rng_below(&r->rng, longest);
	io->offset = rng_below(&r->rng, 16) ? rng_below(&r->rng, SIZE - io->len + 1) : SIZE - io->len;
	if (!rng_below(&r->rng, 4)) {
		io->len	   = ROUND_UP(io->len, 4096);
		io->offset = io->offset / 4096 * 4096;
		io->offset = MIN(io->offset, SIZE - io->len);
	}
	io->buf = r->memory + (rng_below(&r->rng, 3) ? rng_below(&r->rng, 4096) : 0);
}

/* Cuts io's buffer into pieces; none without bytes. */
static void draw_vector(struct rig *r, tarn_dev_io *io, tarn_dev_vec vec[PIECES])
{
	uint64_t at = 0, left = io->len;

	for (io->vec_count = 0; left; io->vec_count++) {
		uint64_t len = io->vec_count == PIECES - 1 ? left : 1 + rng_below(&r->rng, left);

		vec[io->vec_count] = (tarn_dev_vec){ (uint8_t *)io->buf + at, len };
		at += len;
		left -= len;
	}
	io->buf = vec;
	io->flags |= TARN_DEV_IO_VECTOR;
}

static void check_read(const struct rig *r, const tarn_dev_io *io, const uint8_t *buf)
{
	if (memcmp(buf, r->model + io->offset, io->len) != 0)
		fail_msg("command %llu: read of %llu at %llu is wrong", (unsigned long long)r->trouble,
			 (unsigned long long)io->len, (unsigned long long)io->offset);
}

static void move(struct rig *r, tarn_dev_opcode opcode)
{
	tarn_dev_io  io = { .opcode = opcode };
	tarn_dev_vec vec[PIECES];
	uint8_t	    *buf;

	draw_place(r, &io);
	buf = io.buf;
	test_fill(buf, io.len, rng_next(&r->rng));
	if (opcode == TARN_DEV_WRITE)
		memcpy(r->model + io.offset, buf, io.len);
	if (opcode == TARN_DEV_WRITE && !rng_below(&r->rng, 4))
		io.flags = TARN_DEV_IO_DURABLE;
	if (!rng_below(&r->rng, 3))
		draw_vector(r, &io, vec);
	r->bounced += device_check_length(r->dev, &io, UINT64_MAX) == DEVICE_BOUNCES;
	assert_ok(run(r, &io));
	if (opcode == TARN_DEV_READ)
		check_read(r, &io, buf);
}

static void compare(struct rig *r)
{
	tarn_dev_io io = { .opcode = TARN_DEV_COMPARE };
	char	    where[64];
	uint64_t    wrong;

	draw_place(r, &io);
	memcpy(io.buf, r->model + io.offset, io.len);
	r->bounced += device_check_length(r->dev, &io, UINT64_MAX) == DEVICE_BOUNCES;
	assert_ok(run(r, &io));
	wrong = rng_below(&r->rng, io.len);
	((uint8_t *)io.buf)[wrong] ^= 1;
	r->bounced += device_check_length(r->dev, &io, UINT64_MAX) == DEVICE_BOUNCES;
	assert_error(run(r, &io), MISMATCH);
	snprintf(where, sizeof(where), "at %llu:", (unsigned long long)(io.offset + wrong));
	assert_says(where);
}

static void clear(struct rig *r, tarn_dev_opcode opcode)
{
	tarn_dev_io io = { .opcode = opcode };

	draw_place(r, &io);
	io.buf = NULL;
	memset(r->model + io.offset, 0, io.len);
	r->bounced += device_check_length(r->dev, &io, UINT64_MAX) == DEVICE_BOUNCES;
	assert_ok(run(r, &io));
}

static void step(struct rig *r)
{
	switch (rng_below(&r->rng, 8)) {
	case 0:
		clear(r, TARN_DEV_WRITE_ZEROES);
		break;
	case 1:
		clear(r, TARN_DEV_DISCARD);
		break;
	case 2:
		compare(r);
		break;
	case 3:
	case 4:
		move(r, TARN_DEV_READ);
		break;
	default:
		move(r, TARN_DEV_WRITE);
	}
}

static void check_all(struct rig *r)
{
	uint8_t *all = device_alloc(SIZE);

	assert_non_null(all);
	assert_ok(device_read(r->queue, 0, all, SIZE));
	assert_memory_equal(all, r->model, SIZE);
	device_free(all);
}

static void test_model(void **state)
{
	struct rig r;

	start(&r, *state);
	for (r.trouble = 0; r.trouble < COMMANDS; r.trouble++)
		step(&r);
	check_all(&r);
	assert_true(r.bounced > COMMANDS / 2);
	assert_int_equal(device_bounced(r.dev), r.bounced);
	stop(&r);
}

/* What breaks another rule than an alignment is refused as ever, and not counted. */
static void test_other_rules_hold(void **state)
{
	struct rig r;

	start(&r, *state);
	assert_error(device_read(r.queue, SIZE - 10, r.memory, 11), INVAL);
	assert_says("ends at");
	assert_error(device_read(r.queue, 1, NULL, 10), INVAL);
	assert_error(device_read(r.queue, 1, r.memory, 0), INVAL);
	assert_error(device_discard(r.queue, UINT64_MAX, 2), INVAL);
	assert_error(device_run(r.dev, &(tarn_dev_io){ .opcode = 99, .offset = 1, .len = 1 }), INVAL);
	assert_error(device_run(r.dev, &(tarn_dev_io){ .opcode = TARN_DEV_READ, .flags = 128, .buf = r.memory, .len = 1 }),
		     INVAL);
	assert_int_equal(device_bounced(r.dev), 0);
	stop(&r);
}

struct writer {
	struct rig *rig;
	uint64_t    first, rounds;
};

/* Every other byte of the first blocks is this thread's; the last round's value stays. */
static void *write_own_bytes(void *arg)
{
	struct writer *w = arg;

	for (uint64_t round = 1; round <= w->rounds; round++)
		for (uint64_t at = w->first; at < 64; at += 2) {
			uint8_t byte = (uint8_t)(round + at);

			if (device_write(w->rig->queue, at * 97, &byte, 1) != 0)
				return w;
		}
	return NULL;
}

static void test_writers_of_one_block(void **state)
{
	struct rig    r;
	struct writer writers[2] = { { &r, 0, 30 }, { &r, 1, 30 } };
	pthread_t     threads[2];
	void	     *result;

	start(&r, *state);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_own_bytes, &writers[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	for (uint64_t at = 0; at < 64; at++)
		r.model[at * 97] = (uint8_t)(30 + at);
	check_all(&r);
	stop(&r);
}

/* The read of what is around comes first: when it fails, nothing has changed. */
static void test_error_on_the_way(void **state)
{
	struct device_options options = { .bounce = true };
	struct device_queue  *queue;
	struct device	     *dev;
	char		      byte = 7, read[512];

	(void)state;
	assert_ok(device_open("sim:1M?error=read:1&error=write:2", &options, &dev));
	assert_ok(device_queue_open(dev, 1, &queue));
	assert_error(device_write(queue, 600, &byte, 1), IO);
	assert_says("read at 512");
	assert_ok(device_write(queue, 600, &byte, 1));
	byte = 8;
	assert_error(device_write(queue, 600, &byte, 1), IO);
	assert_says("write at 512");
	assert_ok(device_read(queue, 555, read, sizeof(read)));
	assert_int_equal(read[45], 7);
	assert_int_equal(device_bounced(dev), 4);
	device_queue_close(queue);
	device_close(dev);
}

/* Without being asked for, nothing bounces. */
static void test_refused_unless_asked(void **state)
{
	struct device_queue *queue;
	struct device	    *dev;
	char		     byte;

	(void)state;
	assert_ok(device_open("mem:1M", NULL, &dev));
	assert_ok(device_queue_open(dev, 1, &queue));
	assert_error(device_read(queue, 5, &byte, 1), INVAL);
	assert_says("offset 5: not a multiple of 512");
	assert_int_equal(device_bounced(dev), 0);
	device_queue_close(queue);
	device_close(dev);
}

static const struct {
	const char	  *name;
	CMUnitTestFunction run;
} battery[] = { { "model", test_model },
		{ "other rules hold", test_other_rules_hold },
		{ "writers of one block", test_writers_of_one_block } };

int main(void)
{
	static struct CMUnitTest tests[2 + ARRAY_LEN(places) * ARRAY_LEN(battery)] = {
		cmocka_unit_test(test_refused_unless_asked),
		cmocka_unit_test(test_error_on_the_way),
	};
	static char names[ARRAY_LEN(tests)][96];

	for (size_t i = 0; i + 2 < ARRAY_LEN(tests); i++) {
		const struct place *place = &places[i / ARRAY_LEN(battery)];

		snprintf(names[i], sizeof(names[i]), "%s on %s", battery[i % ARRAY_LEN(battery)].name, place->name);
		tests[i + 2] = (struct CMUnitTest){ .name	   = names[i],
						    .test_func	   = battery[i % ARRAY_LEN(battery)].run,
						    .initial_state = (void *)(uintptr_t)place };
	}
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
