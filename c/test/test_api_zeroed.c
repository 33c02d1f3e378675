/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_zeroed.c: pools whose blocks are all written when they are made. */
#include "api_scratch.h"
#include <fcntl.h>

#define SIZE (UINT64_C(12) << 20)

struct follower {
	uint64_t    done, all;
	unsigned    calls;
	tarn_event *abort; /* at the first call; NULL: never */
};

static void follow(void *arg, uint64_t done, uint64_t all)
{
	struct follower *f = arg;

	assert_true(done >= f->done && done <= all);
	f->done = done;
	f->all	= all;
	f->calls++;
	if (f->abort)
		assert_ok(tarn_event_abort(f->abort));
}

static tarn_pool_params zeroed(struct follower *f)
{
	return (tarn_pool_params){
		.struct_size = sizeof(tarn_pool_params), .size = SIZE, .flags = TARN_POOL_ZEROED, .progress = follow, .arg = f
	};
}

/* What is asked for is looked at first: nothing is written for a pool that cannot be. */
static void test_what_cannot_be_writes_nothing(void **state)
{
	struct scratch	*s	= *state;
	struct follower	 f	= { 0 };
	tarn_pool_params params = zeroed(&f);

	params.node_bytes = 7;
	assert_error(tarn_pool_create(s->sys, "bad", &params, NULL, NULL), INVAL);
	assert_int_equal(f.calls, 0);
}

/* What a file system has allocated, and nobody has written, is a hole. */
static void test_every_block_is_written(void **state)
{
	struct scratch	*s	= *state;
	struct follower	 f	= { 0 };
	tarn_pool_params params = zeroed(&f);
	tarn_pool	*pool;
	char		 path[512];
	int		 fd;

	assert_ok(tarn_pool_create(s->sys, "full", &params, NULL, NULL));
	assert_int_equal(f.done, f.all);
	assert_int_equal(f.all, SIZE - 4 * 4096); /* without the superblocks */
	assert_true(f.calls > 2);
	scratch_path(s, "full.pool", path);
	fd = open(path, O_RDONLY);
	assert_int_equal(lseek(fd, 0, SEEK_HOLE), SIZE);
	close(fd);
	assert_ok(tarn_pool_open(s->sys, "full", NULL, &pool, NULL));
	assert_ok(tarn_pool_check(pool, NULL, NULL, NULL));
	assert_ok(tarn_pool_close(pool));
	assert_ok(tarn_pool_destroy(s->sys, "full", 0, NULL));
}

static void test_what_a_device_held_is_gone(void **state)
{
	struct scratch	*s	= *state;
	struct follower	 f	= { 0 };
	tarn_pool_params params = zeroed(&f);
	uint8_t		 block[4096], zeros[4096] = { 0 };
	char		 path[512];
	int		 fd;

	scratch_path(s, "disk", path);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	memset(block, 0xff, sizeof(block));
	for (uint64_t at = 0; at < SIZE; at += sizeof(block))
		assert_int_equal(pwrite(fd, block, sizeof(block), (off_t)at), sizeof(block));
	params.device = path;
	assert_error(tarn_pool_create(s->sys, "disk", &params, NULL, NULL), EXIST);
	assert_int_equal(f.calls, 0);
	params.flags |= TARN_POOL_OVERWRITE;
	assert_ok(tarn_pool_create(s->sys, "disk", &params, NULL, NULL));
	for (uint64_t at = SIZE / 2; at < SIZE / 4 * 3; at += sizeof(block)) {
		assert_int_equal(pread(fd, block, sizeof(block), (off_t)at), sizeof(block));
		assert_memory_equal(block, zeros, sizeof(block));
	}
	close(fd);
	assert_ok(tarn_pool_destroy(s->sys, "disk", 0, NULL));
}

static void test_an_abort_leaves_nothing(void **state)
{
	struct scratch	*s = *state;
	tarn_event	 ev;
	struct follower	 f	= { .abort = &ev };
	tarn_pool_params params = zeroed(&f);
	size_t		 pools	= 0;

	tarn_event_init(&ev, NULL, NULL, 0);
	assert_ok(tarn_pool_create(s->sys, "long", &params, NULL, &ev));
	assert_error(tarn_event_wait(&ev, -1), CANCELED);
	assert_int_equal(f.calls, 1);
	assert_ok(tarn_pool_list(s->sys, NULL, &pools, NULL));
	assert_int_equal(pools, 1);
}

static void test_unknown_flags_are_refused(void **state)
{
	struct scratch	*s	= *state;
	tarn_pool_params params = { .struct_size = sizeof(params), .size = SIZE, .flags = TARN_POOL_ZEROED << 1 };

	assert_error(tarn_pool_create(s->sys, "odd", &params, NULL, NULL), INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_every_block_is_written),     scratch_test(test_what_cannot_be_writes_nothing),
		scratch_test(test_what_a_device_held_is_gone), scratch_test(test_an_abort_leaves_nothing),
		scratch_test(test_unknown_flags_are_refused),
	};

	return cmocka_run_group_tests_name("api zeroed", tests, NULL, NULL);
}
