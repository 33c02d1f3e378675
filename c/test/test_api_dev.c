/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_dev.c: the calls of dev.h and dev_zone.h that wait, the same on every target: see dev_targets.h. Queues are in
 * test_api_dev_queue.c. */
#include "dev_targets.h"

#define SOME (64u * UNIT) /* less than a zone */

/* A buffer with bytes of their own, and those on the device from 0 on. */
static uint8_t *write_some(struct rig *r, uint64_t what)
{
	uint8_t *bytes = new_buffer(SOME);

	test_fill(bytes, SOME, test_seed() + what);
	reset_zones(r);
	assert_ok(tarn_dev_write(r->dev, 0, bytes, SOME, 0));
	return bytes;
}

static void assert_device(struct rig *r, uint64_t offset, const uint8_t *bytes, uint64_t len)
{
	uint8_t *got = new_buffer(len);

	memset(got, 0xa5, len);
	assert_ok(tarn_dev_read(r->dev, offset, got, len));
	assert_memory_equal(got, bytes, len);
	tarn_dev_free(got, len, 0);
}

/* ---- what it is ---- */

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static void test_geometry_is_complete(void **state)
{
	struct rig r;

	rig_open(&r, state, 0);
	assert_true(*r.info.uri && *r.info.kind && *r.info.backend);
	assert_true(r.info.size > 0 && r.info.size % r.info.offset_alignment == 0);
	assert_true(is_power_of_two(r.info.logical_block) && r.info.logical_block >= 512);
	assert_true(is_power_of_two(r.info.physical_block) && r.info.physical_block >= r.info.logical_block);
	assert_true(is_power_of_two(r.info.memory_alignment) && r.info.memory_alignment <= UNIT);
	assert_true(is_power_of_two(r.info.offset_alignment) && r.info.offset_alignment <= UNIT);
	assert_true(r.info.max_transfer >= UNIT && r.info.max_transfer % r.info.offset_alignment == 0);
	assert_int_equal(r.info.readonly, 1);
	if (r.info.zoned) {
		assert_true(r.info.zone_bytes > 0 && r.info.zone_count > 0);
		assert_true(r.info.zone_bytes * r.info.zone_count >= r.info.size);
	}
	if (r.target->backend)
		assert_string_equal(r.info.backend, r.target->backend);
	rig_close(&r);
}

/* A query tells what an open found; and the URI of the information opens the same thing. */
static void test_query_agrees(void **state)
{
	tarn_dev_info asked = { .struct_size = sizeof(asked) };
	struct rig    r;

	rig_open(&r, state, 0);
	assert_ok(tarn_dev_query(r.info.uri, &asked));
	assert_string_equal(asked.uri, r.info.uri);
	assert_string_equal(asked.kind, r.info.kind);
	assert_int_equal(asked.size, r.info.size);
	assert_int_equal(asked.logical_block, r.info.logical_block);
	assert_int_equal(asked.zoned, r.info.zoned);
	assert_int_equal(asked.zone_bytes, r.info.zone_bytes);
	rig_close(&r);
}

/* Nothing falls back in silence: what has no note is had strictly too, and what has one is refused. */
static void test_strict(void **state)
{
	struct rig	 r;
	tarn_dev_options options = { .struct_size = sizeof(options) };
	tarn_dev	*dev;
	int		 rc;

	rig_open(&r, state, 0);
	if (r.target->flags & TARN_DEV_BUFFERED)
		assert_int_equal(r.info.direct, 0);
	options.flags	= r.target->flags | TARN_DEV_STRICT;
	options.backend = r.target->backend;
	rc		= tarn_dev_open(r.info.uri, &options, &dev);
	if (rc == 0)
		assert_ok(tarn_dev_close(dev));
	else
		assert_true(rc == -TARN_E_NOTSUPPORTED && *r.info.note);
	rig_close(&r);
}

/* Who holds a file or a block device has it alone; and it says who that is. */
static void test_exclusive(void **state)
{
	struct rig	 r;
	tarn_dev_options options = { .struct_size = sizeof(options), .flags = TARN_DEV_EXCLUSIVE };
	tarn_dev_info	 info	 = { .struct_size = sizeof(info) };
	tarn_dev	*dev;

	rig_open(&r, state, TARN_DEV_RDWR | TARN_DEV_EXCLUSIVE);
	if (!strcmp(r.info.kind, "file") || !strcmp(r.info.kind, "block")) {
		assert_error(tarn_dev_open(r.info.uri, &options, &dev), BUSY);
		assert_null(dev);
		assert_ok(tarn_dev_query(r.info.uri, &info));
		assert_int_equal(info.in_use, 1);
	}
	rig_close(&r);
}

/* ---- bytes ---- */

static void test_write_and_read(void **state)
{
	struct rig r;
	uint8_t	  *bytes;

	rig_open(&r, state, TARN_DEV_RDWR);
	for (unsigned i = 0; i < 3; i++) {
		bytes = write_some(&r, i);
		assert_device(&r, 0, bytes, SOME);
		assert_device(&r, UNIT, bytes + UNIT, r.info.offset_alignment);
		tarn_dev_free(bytes, SOME, 0);
	}
	rig_close(&r);
}

/* The smallest pieces, at every place that is aligned; their neighbours stay. */
static void test_smallest_writes(void **state)
{
	struct rig r;
	uint32_t   step;
	uint8_t	  *bytes;

	rig_open(&r, state, TARN_DEV_RDWR);
	bytes = write_some(&r, 1);
	step  = r.info.offset_alignment;
	for (unsigned i = 0; i < UNIT / step + 3; i++) {
		uint64_t at = (uint64_t)i * 5 % 60 * step;

		test_fill(bytes + at, step, test_seed() + 100 + i);
		assert_ok(tarn_dev_write(r.dev, at, bytes + at, step, i % 2 ? TARN_DEV_DURABLE : 0));
	}
	assert_device(&r, 0, bytes, SOME);
	tarn_dev_free(bytes, SOME, 0);
	rig_close(&r);
}

/* The last byte of the device can be written and read. */
static void test_end_of_the_device(void **state)
{
	uint8_t	  *bytes = new_buffer(UNIT);
	struct rig r;

	rig_open(&r, state, TARN_DEV_RDWR);
	test_fill(bytes, UNIT, test_seed());
	assert_ok(tarn_dev_write(r.dev, r.info.size - UNIT, bytes, UNIT, 0));
	assert_device(&r, r.info.size - UNIT, bytes, UNIT);
	assert_error(tarn_dev_read(r.dev, r.info.size - UNIT, bytes, UNIT + r.info.offset_alignment), INVAL);
	tarn_dev_free(bytes, UNIT, 0);
	rig_close(&r);
}

/* A call that waits takes more than fits into one command. */
static void test_long_calls_split(void **state)
{
	struct rig r;
	uint64_t   len;
	uint8_t	  *bytes;

	rig_open(&r, state, TARN_DEV_RDWR);
	len   = MIN((uint64_t)2 * r.info.max_transfer + UNIT, r.span);
	bytes = new_buffer(len);
	test_fill(bytes, len, test_seed());
	assert_ok(tarn_dev_write(r.dev, 0, bytes, len, TARN_DEV_DURABLE));
	assert_device(&r, 0, bytes, len);
	tarn_dev_free(bytes, len, 0);
	rig_close(&r);
}

static void cut(const struct rig *r, uint8_t *bytes, tarn_dev_vec vec[], uint32_t n)
{
	size_t at = 0, part = r->info.offset_alignment;

	part = MAX(part, r->info.memory_alignment);
	for (uint32_t i = 0; i < n; i++, at += part)
		vec[i] = (tarn_dev_vec){ bytes + at, i + 1 < n ? part : SOME - at };
}

static void test_vectors(void **state)
{
	static const uint32_t counts[] = { 1, 2, 7 };
	uint8_t		     *bytes = new_buffer(SOME), *got = new_buffer(SOME);
	tarn_dev_vec	      vec[8];
	struct rig	      r;

	rig_open(&r, state, TARN_DEV_RDWR);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		reset_zones(&r);
		test_fill(bytes, SOME, test_seed() + i);
		cut(&r, bytes, vec, counts[i]);
		assert_ok(tarn_dev_writev(r.dev, 0, vec, counts[i], i % 2 ? TARN_DEV_DURABLE : 0));
		assert_device(&r, 0, bytes, SOME);
		memset(got, 0, SOME);
		cut(&r, got, vec, 9 - counts[i] > 8 ? 8 : 9 - counts[i]);
		assert_ok(tarn_dev_readv(r.dev, 0, vec, 9 - counts[i] > 8 ? 8 : 9 - counts[i]));
		assert_memory_equal(got, bytes, SOME);
	}
	tarn_dev_free(bytes, SOME, 0);
	tarn_dev_free(got, SOME, 0);
	rig_close(&r);
}

/* The most pieces there may be, the same one again and again, in more than one command. */
static void test_long_vectors(void **state)
{
	tarn_dev_vec vec[TARN_DEV_VEC_MAX];
	uint8_t	    *bytes = new_buffer(UNIT), *got = new_buffer(UNIT);
	struct rig   r;
	uint32_t     n;

	rig_open(&r, state, TARN_DEV_RDWR);
	n = (uint32_t)MIN(r.span / UNIT, (uint64_t)TARN_DEV_VEC_MAX);
	test_fill(bytes, UNIT, test_seed());
	for (uint32_t i = 0; i < n; i++)
		vec[i] = (tarn_dev_vec){ bytes, UNIT };
	assert_ok(tarn_dev_writev(r.dev, 0, vec, n, 0));
	for (uint32_t i = 0; i < n; i += 100) {
		assert_ok(tarn_dev_read(r.dev, (uint64_t)i * UNIT, got, UNIT));
		assert_memory_equal(got, bytes, UNIT);
	}
	tarn_dev_free(bytes, UNIT, 0);
	tarn_dev_free(got, UNIT, 0);
	rig_close(&r);
}

static void test_flush(void **state)
{
	struct rig r;
	uint8_t	  *bytes;

	rig_open(&r, state, TARN_DEV_RDWR);
	assert_ok(tarn_dev_flush(r.dev));
	bytes = write_some(&r, 1);
	assert_ok(tarn_dev_flush(r.dev));
	assert_device(&r, 0, bytes, SOME);
	tarn_dev_free(bytes, SOME, 0);
	rig_close(&r);
}

/* ---- bytes that are not needed, zeros, and comparing ---- */

/* false: the device says that it cannot. */
static bool done_or_not_supported(int rc)
{
	if (rc != -TARN_E_NOTSUPPORTED)
		assert_ok(rc);
	return rc == 0;
}

static bool discards_to_zeros(const struct rig *r)
{
	return !strcmp(r->info.kind, "file") || !strcmp(r->info.kind, "mem") || !strcmp(r->info.kind, "sim");
}

static void test_discard(void **state)
{
	struct rig r;
	uint8_t	  *bytes;

	rig_open(&r, state, TARN_DEV_RDWR);
	bytes = write_some(&r, 1);
	if (done_or_not_supported(tarn_dev_discard(r.dev, 2 * UNIT, 3 * UNIT)) && discards_to_zeros(&r)) {
		memset(bytes + 2 * UNIT, 0, 3 * UNIT);
		assert_device(&r, 0, bytes, SOME);
	}
	assert_device(&r, 0, bytes, 2 * UNIT);
	assert_device(&r, 5 * UNIT, bytes + 5 * UNIT, SOME - 5 * UNIT);
	tarn_dev_free(bytes, SOME, 0);
	rig_close(&r);
}

static void test_write_zeroes(void **state)
{
	struct rig r;
	uint8_t	  *bytes;

	rig_open(&r, state, TARN_DEV_RDWR);
	bytes = write_some(&r, 1);
	if (done_or_not_supported(tarn_dev_write_zeroes(r.dev, UNIT, r.info.logical_block)))
		memset(bytes + UNIT, 0, r.info.logical_block);
	if (done_or_not_supported(tarn_dev_write_zeroes(r.dev, 7 * UNIT, 9 * UNIT)))
		memset(bytes + 7 * UNIT, 0, 9 * UNIT);
	assert_device(&r, 0, bytes, SOME);
	assert_int_equal(tarn_dev_get_info(r.dev, &r.info), 0);
	tarn_dev_free(bytes, SOME, 0);
	rig_close(&r);
}

static void test_compare(void **state)
{
	struct rig r;
	uint8_t	  *bytes;
	char	   where[32];
	size_t	   at;

	rig_open(&r, state, TARN_DEV_RDWR);
	bytes = write_some(&r, 1);
	at    = test_seed() % SOME;
	assert_ok(tarn_dev_compare(r.dev, 0, bytes, SOME));
	assert_ok(tarn_dev_compare(r.dev, UNIT, bytes + UNIT, UNIT));
	bytes[at] ^= 1;
	assert_error(tarn_dev_compare(r.dev, 0, bytes, SOME), MISMATCH);
	snprintf(where, sizeof(where), "%zu", at);
	if (strncmp(r.info.kind, "nvme", 4) != 0) /* which only says that they differ */
		assert_says(where);
	tarn_dev_free(bytes, SOME, 0);
	rig_close(&r);
}

static void test_reading_only(void **state)
{
	uint8_t	    *bytes = new_buffer(UNIT);
	tarn_dev_vec vec   = { bytes, UNIT };
	struct rig   r;

	rig_open(&r, state, 0);
	assert_ok(tarn_dev_read(r.dev, 0, bytes, UNIT));
	assert_ok(tarn_dev_compare(r.dev, 0, bytes, UNIT));
	assert_ok(tarn_dev_flush(r.dev));
	assert_error(tarn_dev_write(r.dev, 0, bytes, UNIT, 0), EP_RO);
	assert_error(tarn_dev_writev(r.dev, 0, &vec, 1, 0), EP_RO);
	assert_error(tarn_dev_discard(r.dev, 0, UNIT), EP_RO);
	assert_error(tarn_dev_write_zeroes(r.dev, 0, UNIT), EP_RO);
	tarn_dev_free(bytes, UNIT, 0);
	rig_close(&r);
}

/* ---- alignment ---- */

struct place_of {
	uint64_t offset;
	size_t	 from, len; /* in the buffer */
};

static uint64_t bounced(struct rig *r)
{
	assert_ok(tarn_dev_get_info(r->dev, &r->info));
	return r->info.bounced;
}

/* Misaligned I/O is refused, by name of the value and the alignment; or it bounces, and is counted. */
static void test_misaligned(void **state)
{
	static const struct place_of places[] = { { 1, 0, UNIT },    { UNIT, 1, UNIT },	    { UNIT, 0, UNIT + 1 },
						  { 3, 5, 7 },	     { 2 * UNIT, 0, 1 },    { UNIT - 1, 0, 2 },
						  { 511, 9, 70000 }, { 17 * UNIT, 1, 513 }, { 4095, 4095, 4097 } };
	uint8_t			    *buf      = new_buffer(2 * SOME), *model;
	struct rig		     r;
	uint64_t		     before;

	rig_open(&r, state, TARN_DEV_RDWR);
	model  = write_some(&r, 1);
	before = bounced(&r);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const struct place_of *p = &places[i];

		if ((p->offset | p->len) % r.info.offset_alignment == 0 && p->from % r.info.memory_alignment == 0)
			continue;
		test_fill(buf + p->from, p->len, test_seed() + i);
		if (!(r.target->flags & TARN_DEV_BOUNCE)) {
			assert_error(tarn_dev_write(r.dev, p->offset, buf + p->from, p->len, 0), INVAL);
			assert_says("multiple of");
			assert_error(tarn_dev_read(r.dev, p->offset, buf + p->from, p->len), INVAL);
			continue;
		}
		assert_ok(tarn_dev_write(r.dev, p->offset, buf + p->from, p->len, i % 2 ? TARN_DEV_DURABLE : 0));
		memcpy(model + p->offset, buf + p->from, p->len);
		memset(buf, 0, 2 * SOME);
		assert_ok(tarn_dev_read(r.dev, p->offset, buf + p->from, p->len));
		assert_memory_equal(buf + p->from, model + p->offset, p->len);
		assert_ok(tarn_dev_compare(r.dev, p->offset, model + p->offset, p->len));
		before += 2;
		assert_true(bounced(&r) >= before);
	}
	assert_device(&r, 0, model, SOME);
	if (!(r.target->flags & TARN_DEV_BOUNCE))
		assert_int_equal(bounced(&r), 0);
	tarn_dev_free(buf, 2 * SOME, 0);
	tarn_dev_free(model, SOME, 0);
	rig_close(&r);
}

/* ---- zones ---- */

static uint32_t zone_state(struct rig *r, uint64_t offset, uint64_t *written)
{
	tarn_dev_zone zone;
	uint32_t      count = 1;

	assert_ok(tarn_dev_zone_report(r->dev, offset, &zone, &count));
	assert_int_equal(count, 1);
	assert_int_equal(zone.offset, offset);
	*written = zone.write_pointer - offset;
	return zone.state;
}

static void test_zones_not_supported(void **state)
{
	tarn_dev_zone zone;
	uint64_t      where;
	uint32_t      count = 1;
	uint8_t	     *bytes = new_buffer(UNIT);
	struct rig    r;

	rig_open(&r, state, TARN_DEV_RDWR);
	if (!r.info.zoned) {
		assert_error(tarn_dev_zone_report(r.dev, 0, &zone, &count), NOTSUPPORTED);
		assert_error(tarn_dev_zone_open(r.dev, 0, UNIT), NOTSUPPORTED);
		assert_error(tarn_dev_zone_close(r.dev, 0, UNIT), NOTSUPPORTED);
		assert_error(tarn_dev_zone_finish(r.dev, 0, UNIT), NOTSUPPORTED);
		assert_error(tarn_dev_zone_reset(r.dev, 0, UNIT), NOTSUPPORTED);
		assert_error(tarn_dev_zone_append(r.dev, 0, bytes, UNIT, &where), NOTSUPPORTED);
	}
	tarn_dev_free(bytes, UNIT, 0);
	rig_close(&r);
}

static void test_zone_report(void **state)
{
	tarn_dev_zone zones[16];
	uint32_t      count = ARRAY_LEN(zones);
	struct rig    r;

	rig_open(&r, state, 0);
	assert_ok(tarn_dev_zone_report(r.dev, 0, zones, &count));
	assert_int_equal(count, MIN(r.info.zone_count, ARRAY_LEN(zones)));
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(zones[i].offset, i * r.info.zone_bytes);
		assert_true(zones[i].capacity > 0 && zones[i].capacity <= zones[i].bytes);
	}
	count = ARRAY_LEN(zones);
	assert_ok(tarn_dev_zone_report(r.dev, (r.info.zone_count - 1) * r.info.zone_bytes, zones, &count));
	assert_int_equal(count, 1);
	assert_error(tarn_dev_zone_report(r.dev, 1, zones, &count), INVAL);
	assert_error(tarn_dev_zone_report(r.dev, r.info.zone_count * r.info.zone_bytes, zones, &count), INVAL);
	rig_close(&r);
}

static void test_zone_states(void **state)
{
	uint64_t   written;
	struct rig r;
	uint8_t	  *bytes;

	rig_open(&r, state, TARN_DEV_RDWR);
	assert_int_equal(zone_state(&r, 0, &written), TARN_ZONE_EMPTY);
	assert_int_equal(written, 0);
	bytes = write_some(&r, 1);
	assert_int_equal(zone_state(&r, 0, &written), TARN_ZONE_IMPLICITLY_OPEN);
	assert_int_equal(written, SOME);
	assert_error(tarn_dev_write(r.dev, SOME + UNIT, bytes, UNIT, 0), INVAL); /* not at the write pointer */
	assert_ok(tarn_dev_zone_close(r.dev, 0, r.info.zone_bytes));
	assert_int_equal(zone_state(&r, 0, &written), TARN_ZONE_CLOSED);
	assert_ok(tarn_dev_zone_open(r.dev, 0, r.info.zone_bytes));
	assert_int_equal(zone_state(&r, 0, &written), TARN_ZONE_EXPLICITLY_OPEN);
	assert_device(&r, 0, bytes, SOME);
	assert_ok(tarn_dev_zone_finish(r.dev, 0, r.info.zone_bytes));
	assert_int_equal(zone_state(&r, 0, &written), TARN_ZONE_FULL);
	assert_ok(tarn_dev_zone_reset(r.dev, 0, r.info.zone_bytes));
	assert_int_equal(zone_state(&r, 0, &written), TARN_ZONE_EMPTY);
	tarn_dev_free(bytes, SOME, 0);
	rig_close(&r);
}

static void test_zone_append(void **state)
{
	uint8_t	  *bytes = new_buffer(SOME);
	uint64_t   where = 0;
	struct rig r;
	int	   rc;

	rig_open(&r, state, TARN_DEV_RDWR);
	test_fill(bytes, SOME, test_seed());
	rc = tarn_dev_zone_append(r.dev, 0, bytes, UNIT, &where);
	if (rc != -TARN_E_NOTSUPPORTED || strcmp(r.info.kind, "block") != 0) {
		assert_ok(rc);
		assert_int_equal(where, 0);
		for (unsigned i = 1; i < SOME / UNIT; i++) {
			assert_ok(tarn_dev_zone_append(r.dev, 0, bytes + (size_t)i * UNIT, UNIT, &where));
			assert_int_equal(where, (uint64_t)i * UNIT);
		}
		assert_device(&r, 0, bytes, SOME);
		assert_error(tarn_dev_zone_append(r.dev, UNIT, bytes, UNIT, &where), INVAL);
	}
	tarn_dev_free(bytes, SOME, 0);
	rig_close(&r);
}

int main(void)
{
	static const struct dev_case cases[] = {
		DEV_CASE(test_geometry_is_complete),
		DEV_CASE(test_query_agrees),
		DEV_CASE(test_strict),
		DEV_CASE(test_exclusive),
		DEV_CASE(test_write_and_read),
		DEV_CASE_FOR(test_smallest_writes, NOT_ZONED),
		DEV_CASE_FOR(test_end_of_the_device, NOT_ZONED),
		DEV_CASE_FOR(test_long_calls_split, NOT_ZONED),
		DEV_CASE(test_vectors),
		DEV_CASE_FOR(test_long_vectors, NOT_ZONED),
		DEV_CASE(test_flush),
		DEV_CASE_FOR(test_discard, NOT_ZONED),
		DEV_CASE_FOR(test_write_zeroes, NOT_ZONED),
		DEV_CASE(test_compare),
		DEV_CASE(test_reading_only),
		DEV_CASE_FOR(test_misaligned, NOT_ZONED),
		DEV_CASE(test_zones_not_supported),
		DEV_CASE_FOR(test_zone_report, ON_ZONED),
		DEV_CASE_FOR(test_zone_states, ON_ZONED),
		DEV_CASE_FOR(test_zone_append, ON_ZONED),
	};

	return run_cases(cases, ARRAY_LEN(cases));
}
