/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_dev_args.c: every argument of every call of dev.h, dev_queue.h and dev_zone.h out of range: an error with a sentence, and
 * nothing done. */
#include "dev_batch.h"

/* ---- handles, and places for answers ---- */

static void test_null_handles(void **state)
{
	tarn_dev_queue_info qinfo = { .struct_size = sizeof(qinfo) };
	tarn_dev_info	    info  = { .struct_size = sizeof(info) };
	tarn_dev_queue	   *queue;
	tarn_dev_vec	    vec = { &qinfo, UNIT };
	tarn_dev_zone	    zone;
	tarn_dev_io	    io = { .opcode = TARN_DEV_NOP }, *p = &io;
	uint64_t	    where;
	uint32_t	    n = 1;

	(void)state;
	assert_error(tarn_dev_close(NULL), NO_HDL);
	assert_error(tarn_dev_get_info(NULL, &info), NO_HDL);
	assert_error(tarn_dev_read(NULL, 0, &io, UNIT), NO_HDL);
	assert_error(tarn_dev_write(NULL, 0, &io, UNIT, 0), NO_HDL);
	assert_error(tarn_dev_readv(NULL, 0, &vec, 1), NO_HDL);
	assert_error(tarn_dev_writev(NULL, 0, &vec, 1, 0), NO_HDL);
	assert_error(tarn_dev_flush(NULL), NO_HDL);
	assert_error(tarn_dev_discard(NULL, 0, UNIT), NO_HDL);
	assert_error(tarn_dev_write_zeroes(NULL, 0, UNIT), NO_HDL);
	assert_error(tarn_dev_compare(NULL, 0, &io, UNIT), NO_HDL);
	assert_error(tarn_dev_zone_report(NULL, 0, &zone, &n), NO_HDL);
	assert_error(tarn_dev_zone_open(NULL, 0, UNIT), NO_HDL);
	assert_error(tarn_dev_zone_close(NULL, 0, UNIT), NO_HDL);
	assert_error(tarn_dev_zone_finish(NULL, 0, UNIT), NO_HDL);
	assert_error(tarn_dev_zone_reset(NULL, 0, UNIT), NO_HDL);
	assert_error(tarn_dev_zone_append(NULL, 0, &io, UNIT, &where), NO_HDL);
	assert_error(tarn_dev_queue_open(NULL, NULL, &queue), NO_HDL);
	assert_error(tarn_dev_queue_close(NULL, 0), NO_HDL);
	assert_error(tarn_dev_queue_get_info(NULL, &qinfo), NO_HDL);
	assert_error(tarn_dev_queue_register(NULL, &vec, 1), NO_HDL);
	assert_error(tarn_dev_queue_cancel(NULL, &io), NO_HDL);
	assert_error(tarn_dev_queue_fd(NULL), NO_HDL);
	assert_int_equal(tarn_dev_queue_submit(NULL, &p, 1), 0);
	assert_int_equal(tarn_dev_queue_reap(NULL, 1, 1, -1, &p), 0);
	assert_int_equal(tarn_dev_queue_submit_and_reap(NULL, &p, 1, &n, 1, 1, -1, &p), 0);
	assert_int_equal(n, 0);
	tarn_dev_queue_wake(NULL);
}

static void test_null_places(void **state)
{
	tarn_dev_queue *queue;
	tarn_dev_zone	zone;
	struct rig	r;
	uint32_t	n   = 0;
	uint8_t	       *buf = new_buffer(UNIT);
	tarn_dev_io	io = { .opcode = TARN_DEV_NOP }, *p[2] = { &io, NULL }, *out[2];
	tarn_dev_vec	vec = { NULL, UNIT };

	rig_open(&r, state, TARN_DEV_RDWR);
	queue = rig_queue(&r, 2);
	assert_error(tarn_dev_open("mem:1M", NULL, NULL), INVAL);
	assert_error(tarn_dev_list(NULL, NULL), INVAL);
	assert_error(tarn_dev_query("mem:1M", NULL), INVAL);
	assert_error(tarn_dev_get_info(r.dev, NULL), INVAL);
	assert_error(tarn_dev_queue_open(r.dev, NULL, NULL), INVAL);
	assert_error(tarn_dev_queue_get_info(queue, NULL), INVAL);
	assert_error(tarn_dev_read(r.dev, 0, NULL, UNIT), INVAL);
	assert_error(tarn_dev_write(r.dev, 0, NULL, UNIT, 0), INVAL);
	assert_error(tarn_dev_compare(r.dev, 0, NULL, UNIT), INVAL);
	assert_error(tarn_dev_readv(r.dev, 0, NULL, 1), INVAL);
	assert_error(tarn_dev_readv(r.dev, 0, &vec, 1), INVAL);
	assert_error(tarn_dev_writev(r.dev, 0, &vec, 1, 0), INVAL);
	assert_error(tarn_dev_zone_append(r.dev, 0, buf, UNIT, NULL), INVAL);
	assert_error(tarn_dev_zone_report(r.dev, 0, NULL, &n), INVAL);
	assert_error(tarn_dev_zone_report(r.dev, 0, &zone, NULL), INVAL);
	assert_error(tarn_dev_zone_report(r.dev, 0, &zone, &n), INVAL);
	assert_error(tarn_dev_queue_cancel(queue, NULL), INVAL);
	assert_int_equal(tarn_dev_queue_submit(queue, NULL, 1), 0);
	assert_int_equal(tarn_dev_queue_submit(queue, p, 2), 1); /* up to the one that is none */
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, WAIT_US, NULL), 0);
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 0, WAIT_US, out), 0);
	assert_int_equal(tarn_dev_queue_reap(queue, 9, 2, WAIT_US, out), 1);
	assert_int_equal(tarn_dev_queue_submit_and_reap(queue, p, 1, NULL, 1, 2, WAIT_US, out), 1);
	assert_int_equal(tarn_dev_queue_submit_and_reap(queue, p, 1, &n, 1, 2, WAIT_US, NULL), 0);
	assert_int_equal(n, 1);
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
	tarn_dev_free(buf, UNIT, 0);
	rig_close(&r);
}

/* ---- options ---- */

struct newer_options {
	tarn_dev_options options;
	uint64_t	 later;
};

static int open_with(const tarn_dev_options *options)
{
	tarn_dev *dev = (void *)1;
	int	  rc  = tarn_dev_open("mem:1M", options, &dev);

	if (rc == 0)
		assert_ok(tarn_dev_close(dev));
	return rc;
}

static void test_open_options(void **state)
{
	struct newer_options newer   = { .options.struct_size = sizeof(newer) };
	tarn_dev_options     options = { .struct_size = sizeof(options) };

	(void)state;
	assert_ok(open_with(NULL));
	assert_ok(open_with(&options));
	options.flags = 64;
	assert_error(open_with(&options), INVAL);
	assert_says("0x40");
	options.flags = UINT32_MAX;
	assert_error(open_with(&options), INVAL);
	options.flags	     = TARN_DEV_RDWR;
	options.create_bytes = 4096;
	assert_error(open_with(&options), INVAL);
	assert_says("create_bytes");
	options = (tarn_dev_options){ .struct_size = sizeof(options), .backend = "no such" };
	assert_error(open_with(&options), INVAL);
	assert_says("no such");
	for (size_t bytes = 0; bytes < sizeof(size_t); bytes++) {
		options = (tarn_dev_options){ .struct_size = bytes };
		assert_error(open_with(&options), INVAL);
	}
	options.struct_size = SIZE_MAX;
	assert_error(open_with(&options), INVAL);
	options = (tarn_dev_options){ .struct_size = sizeof(size_t), .flags = UINT32_MAX }; /* flags lie behind it */
	assert_ok(open_with(&options));
	assert_ok(open_with(&newer.options));
	newer.later = 1;
	assert_error(open_with(&newer.options), INVAL);
}

static void test_open_names(void **state)
{
	static const struct {
		const char *uri;
		int	    rc;
	} bad[]		   = { { NULL, -TARN_E_INVAL },
			       { "", -TARN_E_INVAL },
			       { "file:", -TARN_E_INVAL },
			       { "mem:", -TARN_E_INVAL },
			       { "mem:0", -TARN_E_INVAL },
			       { "mem:1X", -TARN_E_INVAL },
			       { "mem:-1", -TARN_E_INVAL },
			       { "mem:99999999999999999999", -TARN_E_INVAL },
			       { "mem:1M?zone", -TARN_E_INVAL },
			       { "mem:1M?zoom=1", -TARN_E_INVAL },
			       { "mem:1M?seed=1", -TARN_E_INVAL },
			       { "mem:1M?block=3", -TARN_E_INVAL },
			       { "sim:1M?seed=x", -TARN_E_INVAL },
			       { "sim:", -TARN_E_INVAL },
			       { "what:ever", -TARN_E_INVAL },
			       { "/no/such/file", -TARN_E_NONEXIST },
			       { "file:/no/such/file", -TARN_E_NONEXIST } };
	tarn_dev_info info = { .struct_size = sizeof(info) };
	tarn_dev     *dev;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		base_set_message("");
		assert_int_equal(tarn_dev_open(bad[i].uri, NULL, &dev), bad[i].rc);
		assert_true(*base_message());
		assert_null(dev);
		assert_int_equal(tarn_dev_query(bad[i].uri, &info), bad[i].rc);
	}
	assert_error(tarn_dev_open("file:/dev/null", NULL, &dev), INVAL);
	assert_error(tarn_dev_open("file:/", NULL, &dev), INVAL);
	assert_error(tarn_dev_open("block:/dev/null", NULL, &dev), INVAL);
}

static void test_create(void **state)
{
	tarn_dev_options options = { .struct_size = sizeof(options), .flags = TARN_DEV_CREATE, .create_bytes = 1 << 20 };
	tarn_dev_info	 info	 = { .struct_size = sizeof(info) };
	char		 uri[SCRATCH_PATH];
	tarn_dev	*dev;

	(void)state;
	snprintf(uri, sizeof(uri), "file:%s/created", scratch_disk);
	assert_error(tarn_dev_open(uri, &options, &dev), INVAL); /* without RDWR */
	options.flags |= TARN_DEV_RDWR;
	assert_ok(tarn_dev_open(uri, &options, &dev));
	assert_ok(tarn_dev_get_info(dev, &info));
	assert_int_equal(info.size, 1 << 20);
	assert_int_equal(info.readonly, 0);
	assert_ok(tarn_dev_close(dev));
	assert_error(tarn_dev_open(uri, &options, &dev), EXIST);
	assert_int_equal(unlink(uri + strlen("file:")), 0);
}

static int open_queue_with(tarn_dev *dev, const tarn_dev_queue_options *options)
{
	tarn_dev_queue *queue = (void *)1;
	int		rc    = tarn_dev_queue_open(dev, options, &queue);

	if (rc == 0)
		assert_ok(tarn_dev_queue_close(queue, WAIT_US));
	return rc;
}

static void test_queue_options(void **state)
{
	tarn_dev_queue_options options = { .struct_size = sizeof(options), .depth = 4096 };
	struct {
		tarn_dev_queue_options options;
		uint64_t	       later;
	} newer = { { .struct_size = sizeof(newer), .depth = 1 }, 1 };
	struct rig r;

	rig_open(&r, state, 0);
	assert_ok(open_queue_with(r.dev, &options));
	options.depth = 4097;
	assert_error(open_queue_with(r.dev, &options), INVAL);
	options.depth = 0;
	assert_error(open_queue_with(r.dev, &options), INVAL);
	options.depth = 4;
	options.flags = 8;
	assert_error(open_queue_with(r.dev, &options), INVAL);
	options.struct_size = 3;
	assert_error(open_queue_with(r.dev, &options), INVAL);
	assert_error(open_queue_with(r.dev, &newer.options), INVAL);
	newer.later = 0;
	assert_ok(open_queue_with(r.dev, &newer.options));
	rig_close(&r);
}

/* ---- structs that are filled ---- */

static void test_info_sizes(void **state)
{
	struct {
		tarn_dev_info info;
		uint64_t      later;
	} newer = { { .struct_size = sizeof(newer) }, 7 };
	tarn_dev_info info;
	struct rig    r;

	rig_open(&r, state, 0);
	for (size_t bytes = 0; bytes <= sizeof(size_t); bytes++) {
		info.struct_size = bytes;
		assert_error(tarn_dev_get_info(r.dev, &info), INVAL);
		assert_error(tarn_dev_query("mem:1M", &info), INVAL);
	}
	info.struct_size = SIZE_MAX;
	assert_error(tarn_dev_get_info(r.dev, &info), INVAL);
	memset(&info, 0xa5, sizeof(info));
	info.struct_size = offsetof(tarn_dev_info, size);
	assert_ok(tarn_dev_get_info(r.dev, &info));
	assert_string_equal(info.uri, r.info.uri);
	assert_int_equal(info.size, UINT64_C(0xa5a5a5a5a5a5a5a5));
	assert_int_equal(info.struct_size, offsetof(tarn_dev_info, size));
	assert_ok(tarn_dev_get_info(r.dev, &newer.info));
	assert_int_equal(newer.later, 0);
	assert_int_equal(newer.info.size, r.info.size);
	rig_close(&r);
}

static void test_queue_info_sizes(void **state)
{
	tarn_dev_queue_info info;
	tarn_dev_queue	   *queue;
	struct rig	    r;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 4);
	memset(&info, 0xa5, sizeof(info));
	info.struct_size = 0;
	assert_error(tarn_dev_queue_get_info(queue, &info), INVAL);
	info.struct_size = offsetof(tarn_dev_queue_info, in_flight);
	assert_ok(tarn_dev_queue_get_info(queue, &info));
	assert_int_equal(info.depth, 4);
	assert_int_equal(info.in_flight, 0xa5a5a5a5);
	assert_ok(tarn_dev_queue_close(queue, 0));
	rig_close(&r);
}

struct newer_info {
	tarn_dev_info info;
	uint64_t      later;
};

static size_t list_newer(struct newer_info *infos, size_t room)
{
	memset(infos, 0, room * sizeof(*infos));
	infos[0].info.struct_size = sizeof(*infos);
	infos[0].later		  = 7;
	assert_ok(tarn_dev_list(&infos[0].info, &room));
	return room;
}

/* The first struct's size is that of all, and the distance between them. */
static void test_list_sizes(void **state)
{
	struct newer_info *newer;
	tarn_dev_info	   small = { .struct_size = 4 };
	size_t		   n = 0, room = 1;

	(void)state;
	assert_ok(tarn_dev_list(NULL, &n));
	newer = calloc(n + 8, sizeof(*newer));
	assert_non_null(newer);
	n = list_newer(newer, n + 8);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(newer[i].info.struct_size, sizeof(*newer));
		assert_non_null(strchr(newer[i].info.uri, ':'));
		assert_int_equal(newer[i].later, 0);
	}
	free(newer);
	assert_error(tarn_dev_list(&small, &room), INVAL);
}

/* Loop devices of other tests come and go, so it is asked again until the lists before it, after it, and its own number agree. */
static void test_list_without_room(void **state)
{
	struct newer_info *before = calloc(256, sizeof(*before)), *after = calloc(256, sizeof(*after));
	tarn_dev_info	   small = { .struct_size = offsetof(tarn_dev_info, size) };
	size_t		   n = 0, room = 1;
	bool		   agree = false;
	int		   rc	 = 0;

	(void)state;
	for (unsigned tries = 0; tries < 1000 && !agree; tries++) {
		n	   = list_newer(before, 256);
		room	   = 1;
		small.size = 77;
		rc	   = tarn_dev_list(&small, &room);
		if (rc)
			assert_says("room for 1");
		agree = list_newer(after, 256) == n && room == n && !memcmp(before, after, n * sizeof(*before));
	}
	assert_true(agree);
	if (n > 1) {
		assert_int_equal(rc, -TARN_E_TRUNC);
		assert_int_equal(small.size, 77);
		assert_string_equal(small.uri, before[0].info.uri);
	}
	free(before), free(after);
}

/* ---- places on the device ---- */

static const uint64_t bad_ranges[][2] = {
	{ 0, 0 },
	{ 0, UINT64_MAX },
	{ UINT64_MAX, 1 },
	{ UINT64_MAX - UNIT + 1, UNIT },
	{ UINT64_MAX - UNIT + 1, 2 * UNIT },
	{ (uint64_t)1 << 63, (uint64_t)1 << 63 },
};

static void test_ranges(void **state)
{
	uint8_t	  *buf = new_buffer(UNIT);
	uint64_t   where;
	struct rig r;

	rig_open(&r, state, TARN_DEV_RDWR);
	for (size_t i = 0; i < ARRAY_LEN(bad_ranges) + 2; i++) {
		const uint64_t	past[][2] = { { r.info.size, UNIT }, { r.info.size - UNIT, 2 * UNIT } };
		const uint64_t *bad	  = i < 2 ? past[i] : bad_ranges[i - 2];
		int		rc;

		assert_error(tarn_dev_read(r.dev, bad[0], buf, bad[1]), INVAL);
		assert_error(tarn_dev_write(r.dev, bad[0], buf, bad[1], 0), INVAL);
		assert_error(tarn_dev_compare(r.dev, bad[0], buf, bad[1]), INVAL);
		rc = tarn_dev_discard(r.dev, bad[0], bad[1]);
		assert_true(rc == -TARN_E_INVAL || rc == -TARN_E_NOTSUPPORTED);
		rc = tarn_dev_write_zeroes(r.dev, bad[0], bad[1]);
		assert_true(rc == -TARN_E_INVAL || rc == -TARN_E_NOTSUPPORTED);
		if (!r.info.zoned)
			continue;
		assert_error(tarn_dev_zone_open(r.dev, bad[0], bad[1]), INVAL);
		assert_error(tarn_dev_zone_close(r.dev, bad[0], bad[1]), INVAL);
		assert_error(tarn_dev_zone_finish(r.dev, bad[0], bad[1]), INVAL);
		assert_error(tarn_dev_zone_reset(r.dev, bad[0], bad[1]), INVAL);
		rc = tarn_dev_zone_append(r.dev, bad[0], buf, bad[1], &where);
		assert_true(rc == -TARN_E_INVAL || rc == -TARN_E_NOTSUPPORTED);
	}
	assert_error(tarn_dev_write(r.dev, 0, buf, UNIT, 2), INVAL);
	assert_error(tarn_dev_write(r.dev, 0, buf, UNIT, UINT32_MAX), INVAL);
	tarn_dev_free(buf, UNIT, 0);
	rig_close(&r);
}

static void test_vector_arguments(void **state)
{
	static tarn_dev_vec many[TARN_DEV_VEC_MAX + 1];
	uint8_t		   *buf = new_buffer(UNIT);
	struct rig	    r;

	rig_open(&r, state, TARN_DEV_RDWR);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (tarn_dev_vec){ buf, UNIT };
	assert_error(tarn_dev_readv(r.dev, 0, many, 0), INVAL);
	assert_error(tarn_dev_readv(r.dev, 0, many, ARRAY_LEN(many)), INVAL);
	assert_error(tarn_dev_readv(r.dev, 0, many, UINT32_MAX), INVAL);
	assert_error(tarn_dev_writev(r.dev, 0, many, 2, 2), INVAL);
	many[1].ptr = NULL;
	assert_error(tarn_dev_readv(r.dev, 0, many, 3), INVAL);
	many[1].ptr = buf;
	many[1].len = 0;
	assert_error(tarn_dev_readv(r.dev, 0, many, 3), INVAL);
	assert_error(tarn_dev_writev(r.dev, 0, many, 3, 0), INVAL);
	many[1].len = SIZE_MAX - UNIT + 1; /* the sum wraps to UNIT */
	assert_error(tarn_dev_readv(r.dev, 0, many, 3), INVAL);
	many[1].len = SIZE_MAX;
	assert_error(tarn_dev_readv(r.dev, 0, many + 1, 1), INVAL);
	tarn_dev_free(buf, UNIT, 0);
	rig_close(&r);
}

/* ---- I/O on a queue ---- */

/* What is wrong with each, beside a read of UNIT bytes at 0. */
static void spoil(tarn_dev_io *io, unsigned how, uint64_t size)
{
	switch (how) {
	case 0:
		io->opcode = 8;
		return;
	case 1:
		io->opcode = 255;
		return;
	case 2:
		io->flags = 8;
		return;
	case 3:
		io->flags = 255;
		return;
	case 4:
		io->flags = TARN_DEV_IO_DURABLE;
		return; /* of a read */
	case 5:
		io->flags = TARN_DEV_IO_FIXED;
		return; /* nothing is registered */
	case 6:
		io->flags = TARN_DEV_IO_VECTOR;
		return; /* no pieces */
	case 7:
		io->flags = TARN_DEV_IO_VECTOR, io->vec_count = TARN_DEV_VEC_MAX + 1;
		return;
	case 8:
		io->flags = TARN_DEV_IO_VECTOR, io->vec_count = 1, io->buf = NULL;
		return;
	case 9:
		io->flags = TARN_DEV_IO_VECTOR | TARN_DEV_IO_FIXED, io->vec_count = 1;
		return;
	case 10:
		io->buf = NULL;
		return;
	case 11:
		io->len = 0;
		return;
	case 12:
		io->offset = size;
		return;
	case 13:
		io->offset = UINT64_MAX - UNIT + 1;
		return;
	case 14:
		io->len = UINT64_MAX - UNIT + 1;
		return;
	case 15:
		io->opcode = TARN_DEV_COMPARE, io->flags = TARN_DEV_IO_VECTOR;
		return;
	case 16:
		io->opcode = TARN_DEV_FLUSH, io->flags = TARN_DEV_IO_DURABLE;
		return;
	case 17:
		io->opcode = TARN_DEV_DISCARD, io->flags = TARN_DEV_IO_FIXED;
		return;
	case 18:
		io->opcode = TARN_DEV_NOP, io->flags = 0x80;
		return;
	case 19:
		io->opcode = TARN_DEV_COMPARE, io->buf = NULL;
		return;
	case 20:
		io->opcode = TARN_DEV_WRITE, io->buf = NULL;
		return;
	}
	io->opcode = TARN_DEV_WRITE_ZEROES, io->len = 0;
}
#define WAYS 22u

static void test_io(void **state)
{
	struct dev_batch b;
	tarn_dev_queue	*queue;
	struct rig	 r;

	rig_open(&r, state, TARN_DEV_RDWR);
	queue = rig_queue(&r, 4);
	batch_make(&b, WAYS);
	batch_fill(&b, TARN_DEV_READ, 0);
	for (unsigned i = 0; i < WAYS; i++) {
		b.ios[i].offset = 0;
		spoil(&b.ios[i], i, r.info.size);
	}
	batch_run(queue, &b);
	for (unsigned i = 0; i < WAYS; i++) {
		if (b.ios[i].rc != -TARN_E_INVAL && b.ios[i].rc != -TARN_E_NOTSUPPORTED)
			fail_msg("way %u of spoiling it: %s", i, tarn_errname(b.ios[i].rc));
		assert_true(*b.ios[i].message);
	}
	batch_free(&b);
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
	rig_close(&r);
}

/* One command is bounded, where a call that waits splits. */
static void test_longest_io(void **state)
{
	tarn_dev_queue *queue;
	tarn_dev_io	io = { .opcode = TARN_DEV_READ }, *p = &io;
	struct rig	r;

	rig_open(&r, state, 0);
	if (r.info.max_transfer >= r.span) {
		rig_close(&r);
		skip();
	}
	queue  = rig_queue(&r, 4);
	io.len = r.info.max_transfer + UNIT;
	io.buf = new_buffer(io.len);
	assert_int_equal(tarn_dev_queue_submit(queue, &p, 1), 1);
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, WAIT_US, &p), 1);
	assert_int_equal(io.rc, -TARN_E_INVAL);
	tarn_dev_free(io.buf, io.len, 0);
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
	rig_close(&r);
}

static void test_register_arguments(void **state)
{
	static tarn_dev_vec many[1025];
	tarn_dev_queue	   *queue;
	struct rig	    r;

	rig_open(&r, state, 0);
	queue = rig_queue(&r, 4);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (tarn_dev_vec){ NULL, UNIT };
	assert_error(tarn_dev_queue_register(queue, NULL, 1), INVAL);
	assert_error(tarn_dev_queue_register(queue, many, 0), INVAL);
	assert_error(tarn_dev_queue_register(queue, many, 1025), INVAL);
	assert_error(tarn_dev_queue_register(queue, many, 1), INVAL);
	many[0] = (tarn_dev_vec){ many, 0 };
	assert_error(tarn_dev_queue_register(queue, many, 1), INVAL);
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
	rig_close(&r);
}

/* ---- memory ---- */

static void test_memory(void **state)
{
	static const size_t sizes[] = { 1, 511, 4096, 4097, 1 << 20, (2 << 20) + 1, 5 << 20 };

	(void)state;
	assert_null(tarn_dev_alloc(0, 0));
	assert_null(tarn_dev_alloc(0, TARN_DEV_HUGE));
	assert_null(tarn_dev_alloc(4096, 2));
	assert_null(tarn_dev_alloc(SIZE_MAX, 0));
	assert_null(tarn_dev_alloc(SIZE_MAX / 2, 0));
	assert_null(tarn_dev_alloc(SIZE_MAX, TARN_DEV_HUGE));
	assert_null(tarn_dev_alloc(SIZE_MAX / 2, TARN_DEV_HUGE));
	tarn_dev_free(NULL, 4096, 0);
	tarn_dev_free(NULL, 4096, TARN_DEV_HUGE);
	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		size_t	 len   = sizes[i / 2];
		uint32_t flags = i % 2 ? TARN_DEV_HUGE : 0;
		uint8_t *buf   = tarn_dev_alloc(len, flags);

		assert_non_null(buf);
		assert_int_equal((uintptr_t)buf % 4096, 0);
		for (size_t at = 0; at < len; at += 512)
			assert_int_equal(buf[at], 0);
		memset(buf, 0xa5, len);
		tarn_dev_free(buf, len, flags);
	}
}

/* The flags of the mapping that holds an address, as proc(5) says them. */
static void flags_of_mapping(const void *at, char flags[512])
{
	FILE	 *f = fopen("/proc/self/smaps", "re");
	uintptr_t begin, end;
	bool	  inside    = false;
	char	  line[512] = "";

	assert_non_null(f);
	*flags = 0;
	while (!*flags && fgets(line, sizeof(line), f))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
			inside = begin <= (uintptr_t)at && (uintptr_t)at < end;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			memcpy(flags, line + 8, sizeof(line) - 8);
	fclose(f);
	assert_true(*flags);
}

/* In small pages large transfers are cut. */
static void test_large_memory_asks_for_huge_pages(void **state)
{
	const size_t len = 8 << 20;
	char	     flags[512];
	uint8_t	    *buf;

	(void)state;
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		skip();
	buf = tarn_dev_alloc(len, 0);
	assert_non_null(buf);
	flags_of_mapping(buf + len / 2, flags);
	if (!strstr(flags, " hg"))
		fail_msg("a buffer of 8 MiB is of small pages: VmFlags:%s", flags);
	tarn_dev_free(buf, len, 0);
}

int main(void)
{
	static const struct dev_case cases[] = {
		DEV_CASE(test_null_places),
		DEV_CASE(test_queue_options),
		DEV_CASE(test_info_sizes),
		DEV_CASE(test_queue_info_sizes),
		DEV_CASE(test_ranges),
		DEV_CASE(test_vector_arguments),
		DEV_CASE(test_io),
		DEV_CASE(test_longest_io),
		DEV_CASE(test_register_arguments),
	};
	const struct CMUnitTest once[] = {
		cmocka_unit_test(test_null_handles), cmocka_unit_test(test_open_options),
		cmocka_unit_test(test_open_names),   cmocka_unit_test(test_create),
		cmocka_unit_test(test_list_sizes),   cmocka_unit_test(test_list_without_room),
		cmocka_unit_test(test_memory),	     cmocka_unit_test(test_large_memory_asks_for_huge_pages),
	};
	int failed = cmocka_run_group_tests(once, scratch_make, scratch_remove);

	return failed + run_cases(cases, ARRAY_LEN(cases));
}
