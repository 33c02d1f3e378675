/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_value.c: values in extents, written and read, from and to memory of every alignment, in space of every shape. */
#include "log_rig.h"

#define MIB (1024u * 1024)

static const size_t lens[] = { 1,	4095,	 4096, 4097,	65536,	 65537,		 262143,  262144,      300000,
			       1000000, MIB - 1, MIB,  MIB + 1, 3 * MIB, 3 * MIB + 4096, 3500000, 9 * MIB + 77 };

struct held { /* a value, and where it is */
	struct store_value *v;
	uint8_t		    desc[EXT_BYTES_MAX];
	uint32_t	    len;
};

static void finish(struct held *h)
{
	assert_ok(value_finish(h->v));
	value_describe(h->v, h->desc, &h->len);
	assert_true(value_sane(h->desc, h->len));
}

static struct held make(struct rig *r, const uint8_t *bytes, size_t len, size_t part)
{
	struct held h;

	assert_ok(store_value_new(r->s, &h.v));
	for (size_t at = 0; at < len; at += part)
		assert_ok(store_value_append(h.v, bytes + at, MIN(part, len - at)));
	finish(&h);
	assert_int_equal(value_size(h.desc), len);
	return h;
}

static size_t count_pieces(struct rig *r, const struct held *h)
{
	struct bptr *pieces;
	size_t	     n;

	assert_ok(value_pieces(r->s, h->desc, &pieces, &n));
	free(pieces);
	return n;
}

static int read_back(struct rig *r, const struct held *h, uint8_t *to)
{
	struct bptr *pieces;
	size_t	     n;
	int	     rc = value_pieces(r->s, h->desc, &pieces, &n);

	rc = rc ? rc : value_read_all(r->s, pieces, n, value_size(h->desc), to);
	free(pieces);
	return rc;
}

static void check(struct rig *r, const struct held *h, const uint8_t *want, size_t len)
{
	uint8_t *got = device_alloc(len + 4096);
	bool	 whole;

	for (size_t shift = 0; shift < 600; shift += 513 - shift % 2) {
		memset(got, 0xee, len + 4096);
		assert_ok(read_back(r, h, got + shift));
		assert_memory_equal(got + shift, want, len);
		assert_int_equal(got[shift + len], 0xee); /* a piece ends with its block, the caller's memory before */
	}
	assert_ok(value_verify(r->s, h->desc, &whole));
	assert_true(whole);
	device_free(got);
}

static void test_sizes(void **state)
{
	struct rig r;
	uint8_t	  *bytes = device_alloc(10 * MIB);
	uint64_t   free;

	(void)state;
	rig_make(&r, 16 * MIB, 16, 0, 1);
	rig_open(&r);
	free = r.s->space.free;
	test_fill(bytes, 10 * MIB, 1);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		for (size_t shift = 0; shift < 600; shift += 513 - shift % 2) {
			struct held h = make(&r, bytes + shift, lens[i], lens[i]);

			check(&r, &h, bytes + shift, lens[i]);
			store_value_free(h.v);
			h = make(&r, bytes + shift, lens[i], MAX(lens[i] / 7, 1));
			check(&r, &h, bytes + shift, lens[i]);
			store_value_free(h.v);
			assert_int_equal(r.s->space.free, free);
		}
	}
	device_free(bytes);
	rig_end(&r);
}

/* One piece, and one write, of what can be written from where it lies. */
static void test_one_write(void **state)
{
	struct rig  r;
	struct held h;
	uint8_t	   *bytes = device_alloc(MIB);
	uint64_t    before;

	(void)state;
	rig_make(&r, 8 * MIB, 16, 0, 1);
	rig_open(&r);
	for (size_t len = 4096; len <= MIB; len *= 2) {
		before = sim_io_count(r.disk);
		h      = make(&r, bytes, len, len);
		assert_int_equal(sim_io_count(r.disk), before + 1);
		assert_int_equal(count_pieces(&r, &h), 1);
		before = sim_io_count(r.disk);
		assert_ok(read_back(&r, &h, bytes));
		assert_int_equal(sim_io_count(r.disk), before + 1);
		store_value_free(h.v);
		h = make(&r, bytes, len, 4096); /* in parts: all of a piece is gathered, but for the first part */
		assert_int_equal(count_pieces(&r, &h), len > 4096 ? 2 : 1);
		store_value_free(h.v);
	}
	device_free(bytes);
	rig_end(&r);
}

/* Free space in holes of a few blocks: many runs, and index blocks. */
static void test_scattered(void **state)
{
	struct rig  r;
	struct held h;
	uint8_t	   *bytes = device_alloc(6 * MIB);
	uint64_t    free;

	(void)state;
	rig_make(&r, 64 * MIB, 16, 0, 1);
	rig_open(&r);
	for (uint64_t i = 20; i < r.sb.blocks; i += 3 + i % 2)
		space_take(&r.s->space, i, 2);
	free = r.s->space.free;
	test_fill(bytes, 6 * MIB, 9);
	h = make(&r, bytes, 5 * MIB + 5, 6 * MIB);
	assert_true(get32(h.desc + EXT_LEVEL) >= 1);
	check(&r, &h, bytes, 5 * MIB + 5);
	store_value_free(h.v);
	assert_int_equal(r.s->space.free, free);
	device_free(bytes);
	rig_end(&r);
}

static void test_damage(void **state)
{
	struct rig   r;
	struct held  h;
	struct bptr *pieces;
	uint8_t	    *bytes = device_alloc(12 * MIB);
	size_t	     n;
	bool	     whole;

	(void)state;
	rig_make(&r, 32 * MIB, 16, 0, 1);
	rig_open(&r);
	h = make(&r, bytes, 12 * MIB, 12 * MIB);
	assert_ok(value_pieces(r.s, h.desc, &pieces, &n));
	assert_int_equal(get32(h.desc + EXT_LEVEL), 1);
	assert_ok(device_flush(r.s->log.queue));
	for (size_t i = 0; i < n; i++) {
		sim_flip_bit(r.disk, pieces[i].addr * BLOCK + 12345, 3);
		assert_error(read_back(&r, &h, bytes), CSUM);
		assert_says("a piece of a value at block");
		assert_ok(value_verify(r.s, h.desc, &whole));
		assert_false(whole);
		sim_flip_bit(r.disk, pieces[i].addr * BLOCK + 12345, 3);
	}
	sim_flip_bit(r.disk, bptr_get(h.desc + EXT_PTRS).addr * BLOCK + 3, 3);
	assert_error(read_back(&r, &h, bytes), CSUM);
	assert_ok(value_verify(r.s, h.desc, &whole));
	assert_false(whole);
	free(pieces);
	store_value_free(h.v);
	device_free(bytes);
	rig_end(&r);
}

static void test_impossible(void **state)
{
	struct rig	r;
	struct held	h;
	struct run_list runs = { 0 };
	static uint8_t	bytes[4096];
	struct bptr	ptr, bad;
	bool		whole;

	(void)state;
	rig_make(&r, 8 * MIB, 16, 0, 1);
	rig_open(&r);
	h   = make(&r, bytes, 4096, 4096);
	ptr = bptr_get(h.desc + EXT_PTRS);
	for (int i = 0; i < 4; i++) {
		bad = ptr;
		if (i == 0)
			bad.addr = r.sb.blocks;
		else if (i == 1)
			bad.len = 2 * MIB;
		else if (i == 2)
			bad.flags = BPTR_GANG;
		else
			bad.birth = UINT64_C(1) << 61;
		bptr_put(h.desc + EXT_PTRS, &bad);
		assert_error(value_runs(r.s, h.desc, h.len, &runs), CSUM);
		assert_error(value_verify(r.s, h.desc, &whole), CSUM);
		assert_error(read_back(&r, &h, bytes), CSUM);
	}
	store_value_free(h.v);
	rig_end(&r);
}

/* Each I/O fails once. Nothing is on its way afterwards, nothing is lost, and it goes when it is tried again. */
static void test_failures(void **state)
{
	struct rig	    r;
	struct held	    h;
	struct store_value *v;
	uint8_t		   *bytes = device_alloc(12 * MIB);
	uint64_t	    free;
	int		    rc = -1;

	(void)state;
	rig_make(&r, 64 * MIB, 16, 0, 1);
	rig_open(&r);
	free = r.s->space.free;
	for (uint64_t n = 1; rc; n++) {
		sim_fail_nth(r.disk, TARN_DEV_WRITE, n, false);
		assert_ok(store_value_new(r.s, &v));
		rc = store_value_append(v, bytes + n % 3, 10 * MIB + 5);
		if (rc)
			assert_error(value_finish(v), IO); /* it stays so */
		else
			rc = value_finish(v);
		if (rc && rc != -TARN_E_IO)
			fail_msg("%s", base_message());
		store_value_free(v);
		assert_int_equal(r.s->space.free, free);
	}
	sim_fail_nth(r.disk, TARN_DEV_WRITE, 0, false);
	h  = make(&r, bytes, 10 * MIB, 10 * MIB);
	rc = -1;
	for (uint64_t n = 1; rc; n++) {
		sim_fail_nth(r.disk, TARN_DEV_READ, n, false);
		rc = read_back(&r, &h, bytes + n % 3);
		if (rc && rc != -TARN_E_IO)
			fail_msg("%s", base_message());
	}
	store_value_free(h.v);
	device_free(bytes);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),  cmocka_unit_test(test_one_write),  cmocka_unit_test(test_scattered),
		cmocka_unit_test(test_damage), cmocka_unit_test(test_impossible), cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
