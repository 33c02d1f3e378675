/* SPDX-License-Identifier: Apache-2.0 */
/* Zones on the devices of nvme_rig.h, by every way to them; queues that poll; and a controller that is pulled out: with TARN_TEST_REMOVAL
 * that alone, for nvme1 is gone after it. */
#include "nvme_rig.h"

/* ---- zones ---- */

static tarn_dev_zone zone_at(tarn_dev *dev, uint64_t offset)
{
	tarn_dev_zone zone;
	uint32_t      count = 1;

	assert_ok(tarn_dev_zone_report(dev, offset, &zone, &count));
	assert_int_equal(count, 1);
	return zone;
}

static void assert_zone(tarn_dev *dev, uint64_t offset, tarn_dev_zone_state zone_state, uint64_t pointer)
{
	tarn_dev_zone zone = zone_at(dev, offset);

	assert_true(zone.offset == offset);
	assert_int_equal(zone.state, zone_state);
	assert_true(zone.write_pointer == pointer);
}

struct zoned {
	const char *uri, *backend;
	uint64_t    bytes, capacity, first; /* the first sequential zone */
};

static const struct zoned zoned_devices[] = {
	{ "block:/dev/nvme0n3", "io_uring", ZONE, ZONECAP, 0 },
	{ "nvme:/dev/ng0n3", "io_uring_cmd", ZONE, ZONECAP, 0 },
	{ "nvme:/dev/ng0n3", "ioctl", ZONE, ZONECAP, 0 },
	{ "block:/dev/nullb2", "io_uring", 4 * MIB, 3 * MIB, 8 * MIB },
};

static tarn_dev *open_zoned(const struct zoned *z)
{
	tarn_dev *dev = open_dev(z->uri, TARN_DEV_RDWR, z->backend);

	assert_int_equal(info_of(dev).direct, 1);
	assert_ok(tarn_dev_zone_reset(dev, z->first, info_of(dev).size - z->first));
	return dev;
}

static void test_zone_report(void **state)
{
	tarn_dev_zone zones[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zoned_devices); i++) {
		const struct zoned *z	  = &zoned_devices[i];
		tarn_dev	   *dev	  = open_zoned(z);
		tarn_dev_info	    info  = info_of(dev);
		uint32_t	    count = ARRAY_LEN(zones);

		assert_true(info.zone_bytes == z->bytes);
		assert_int_equal(info.max_open_zones, 4);
		assert_int_equal(info.max_active_zones, 6);
		assert_ok(tarn_dev_zone_report(dev, 0, zones, &count));
		assert_int_equal(count, info.zone_count);
		assert_int_equal(zones[0].type, z->first ? TARN_ZONE_CONVENTIONAL : TARN_ZONE_SEQUENTIAL);
		for (uint32_t n = 0; n < count; n++) {
			assert_true(zones[n].offset == n * z->bytes && zones[n].bytes == z->bytes);
			assert_true(zones[n].capacity == (zones[n].offset < z->first ? z->bytes : z->capacity));
			assert_true(zones[n].write_pointer == zones[n].offset);
			assert_int_equal(zones[n].state,
					 zones[n].offset < z->first ? TARN_ZONE_NOT_WRITE_POINTER : TARN_ZONE_EMPTY);
		}
		count = 3;
		assert_ok(tarn_dev_zone_report(dev, info.size - z->bytes, zones, &count));
		assert_int_equal(count, 1);
		count = 3;
		assert_error(tarn_dev_zone_report(dev, 4096, zones, &count), INVAL);
		assert_ok(tarn_dev_close(dev));
	}
}

static void test_zone_states(void **state)
{
	uint8_t *a = tarn_dev_alloc(8192, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zoned_devices); i++) {
		const struct zoned *z	= &zoned_devices[i];
		tarn_dev	   *dev = open_zoned(z);
		uint64_t	    at	= z->first + z->bytes;

		assert_ok(tarn_dev_write(dev, at, a, 8192, 0));
		assert_zone(dev, at, TARN_ZONE_IMPLICITLY_OPEN, at + 8192);
		assert_ok(tarn_dev_zone_open(dev, at, z->bytes));
		assert_zone(dev, at, TARN_ZONE_EXPLICITLY_OPEN, at + 8192);
		assert_error(tarn_dev_write(dev, at, a, 4096, 0), INVAL); /* behind the write pointer */
		assert_ok(tarn_dev_zone_close(dev, at, z->bytes));
		assert_zone(dev, at, TARN_ZONE_CLOSED, at + 8192);
		assert_ok(tarn_dev_zone_finish(dev, at, z->bytes));
		assert_zone(dev, at, TARN_ZONE_FULL, at + z->capacity);
		assert_error(tarn_dev_write(dev, at, a, 4096, 0), NOSPACE);
		assert_ok(tarn_dev_zone_reset(dev, at, z->bytes));
		assert_zone(dev, at, TARN_ZONE_EMPTY, at);
		assert_error(tarn_dev_zone_reset(dev, at + 4096, z->bytes), INVAL);
		assert_error(tarn_dev_zone_reset(dev, at, 0), INVAL);
		assert_ok(tarn_dev_close(dev));
	}
	tarn_dev_free(a, 8192, 0);
}

static void test_too_many_open(void **state)
{
	uint8_t *a = tarn_dev_alloc(4096, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zoned_devices); i++) {
		const struct zoned *z	= &zoned_devices[i];
		tarn_dev	   *dev = open_zoned(z);

		assert_ok(tarn_dev_zone_open(dev, z->first, 4 * z->bytes));
		assert_error(tarn_dev_zone_open(dev, z->first + 4 * z->bytes, z->bytes), NOSPACE);
		assert_error(tarn_dev_write(dev, z->first + 4 * z->bytes, a, 4096, 0), NOSPACE);
		assert_int_equal(info_of(dev).direct, 1);
		assert_ok(tarn_dev_zone_reset(dev, z->first, 4 * z->bytes));
		assert_ok(tarn_dev_close(dev));
	}
	tarn_dev_free(a, 4096, 0);
}

/* Appends of 64 KiB until the zone is full, waiting and by the queue in turn: each stands where it says. */
static void append_until_full(tarn_dev *dev, uint64_t zone)
{
	const uint32_t	len = 64 << 10;
	uint8_t	       *a = tarn_dev_alloc(len, 0), *b = tarn_dev_alloc(len, 0);
	tarn_dev_queue *queue;

	assert_ok(tarn_dev_queue_open(dev, NULL, &queue));
	for (uint64_t n = 0; n < ZONECAP / len; n++) {
		tarn_dev_io  io	   = { .opcode = TARN_DEV_ZONE_APPEND, .offset = zone, .len = len, .buf = a };
		tarn_dev_io *list  = &io, *got;
		uint64_t     where = 0;

		test_fill(a, len, test_seed() + n);
		if (n % 2) {
			assert_ok(tarn_dev_zone_append(dev, zone, a, len, &where));
		} else {
			assert_int_equal(tarn_dev_queue_submit(queue, &list, 1), 1);
			assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, -1, &got), 1);
			assert_int_equal(io.rc, 0);
			where = io.offset;
		}
		assert_true(where == zone + n * len);
		assert_ok(tarn_dev_read(dev, where, b, len));
		assert_memory_equal(a, b, len);
	}
	assert_error(tarn_dev_zone_append(dev, zone, a, 4096, &(uint64_t){ 0 }), NOSPACE);
	assert_ok(tarn_dev_queue_close(queue, -1));
	tarn_dev_free(a, len, 0);
	tarn_dev_free(b, len, 0);
}

static void test_append(void **state)
{
	uint8_t *a = tarn_dev_alloc(4096, 0);
	uint64_t where;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zoned_devices); i++) {
		tarn_dev *dev = open_zoned(&zoned_devices[i]);

		if (strncmp(zoned_devices[i].uri, "nvme:", 5) == 0)
			append_until_full(dev, 2 * ZONE);
		else
			assert_error(tarn_dev_zone_append(dev, 2 * zoned_devices[i].bytes, a, 4096, &where), NOTSUPPORTED);
		assert_ok(tarn_dev_close(dev));
	}
	tarn_dev_free(a, 4096, 0);
}

/* Many appends to one zone in flight at once: no two stand at the same place. */
static void test_appends_at_once(void **state)
{
	enum { DEPTH = 16, LEN = 8192 };
	uint8_t *a = tarn_dev_alloc(DEPTH * LEN, 0), *b = tarn_dev_alloc(LEN, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		tarn_dev       *dev	   = open_dev("nvme:/dev/ng0n3", TARN_DEV_RDWR, backends[i]);
		tarn_dev_io	ios[DEPTH] = { { 0 } }, *list[DEPTH], *got[DEPTH];
		tarn_dev_queue *queue;
		uint32_t	seen = 0;

		assert_ok(tarn_dev_zone_reset(dev, 0, info_of(dev).size));
		test_fill(a, DEPTH * LEN, test_seed());
		for (uint32_t n = 0; n < DEPTH; n++) {
			ios[n]	= (tarn_dev_io){ .opcode = TARN_DEV_ZONE_APPEND, .offset = ZONE, .len = LEN, .buf = a + n * LEN };
			list[n] = &ios[n];
		}
		assert_ok(tarn_dev_queue_open(dev, NULL, &queue));
		assert_int_equal(tarn_dev_queue_submit(queue, list, DEPTH), DEPTH);
		assert_int_equal(tarn_dev_queue_reap(queue, DEPTH, DEPTH, -1, got), DEPTH);
		for (uint32_t n = 0; n < DEPTH; n++) {
			assert_int_equal(ios[n].rc, 0);
			assert_true(ios[n].offset >= ZONE && (ios[n].offset - ZONE) % LEN == 0);
			seen |= 1u << (ios[n].offset - ZONE) / LEN;
			assert_ok(tarn_dev_read(dev, ios[n].offset, b, LEN));
			assert_memory_equal(a + n * LEN, b, LEN);
		}
		assert_int_equal(seen, (1u << DEPTH) - 1);
		assert_ok(tarn_dev_queue_close(queue, -1));
		assert_ok(tarn_dev_close(dev));
	}
	tarn_dev_free(a, DEPTH * LEN, 0);
	tarn_dev_free(b, LEN, 0);
}

/* ---- polling, and a device that goes ---- */

/* The kernel of the machine has poll queues: see run.py. */
static void test_polled_queue(void **state)
{
	static const char *const uris[] = { "nvme:/dev/ng0n1", "block:/dev/nvme0n1" };
	uint8_t			*a	= tarn_dev_alloc(65536, 0);

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(uris); i++) {
		tarn_dev_queue_options options = { .struct_size = sizeof(options),
						   .flags	= TARN_DEV_QUEUE_IOPOLL | (i % 2 ? TARN_DEV_QUEUE_SINGLE : 0),
						   .depth	= 8 };
		tarn_dev	      *dev     = open_dev(uris[i / 2], TARN_DEV_RDWR | TARN_DEV_STRICT, NULL);
		tarn_dev_io	       ios[8], *list[8], *got[8];
		tarn_dev_queue	      *queue;

		assert_ok(tarn_dev_queue_open(dev, &options, &queue));
		for (unsigned n = 0; n < 8; n++) {
			ios[n]	= (tarn_dev_io){ .opcode = n % 2 ? TARN_DEV_READ : TARN_DEV_WRITE,
						 .offset = n * 8192u,
						 .len	 = 8192,
						 .buf	 = a + n * 8192u };
			list[n] = &ios[n];
		}
		ios[7] = (tarn_dev_io){ .opcode = TARN_DEV_FLUSH };
		assert_int_equal(tarn_dev_queue_submit(queue, list, 8), 8);
		assert_int_equal(tarn_dev_queue_reap(queue, 8, 8, 60000000, got), 8);
		for (unsigned n = 0; n < 8; n++)
			if (ios[n].rc)
				fail_msg("%s: %s", uris[i / 2], ios[n].message);
		assert_ok(tarn_dev_queue_close(queue, -1));
		assert_ok(tarn_dev_close(dev));
	}
	tarn_dev_free(a, 65536, 0);
}

static void pull_out(const char *controller)
{
	char  path[96];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/nvme/%s/device/remove", controller);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("1", file);
	fclose(file);
}

/* Reads go on while the controller goes: each ends, those after it with an error, and the close is not for ever. */
static void read_until_error(tarn_dev_queue *queue, tarn_dev_io *ios, unsigned n, const char *controller)
{
	tarn_dev_io *list[8], *got[8];
	unsigned     failed = 0;

	for (unsigned round = 0; !failed && round < 1000; round++) {
		for (unsigned i = 0; i < n; i++)
			list[i] = &ios[i];
		assert_int_equal(tarn_dev_queue_submit(queue, list, n), n);
		if (round == 20)
			pull_out(controller);
		assert_int_equal(tarn_dev_queue_reap(queue, n, n, 60000000, got), n);
		for (unsigned i = 0; i < n; i++)
			failed += ios[i].rc < 0;
	}
	assert_true(failed);
	for (unsigned i = 0; i < n; i++)
		assert_true(ios[i].rc == 0 || (ios[i].rc == -TARN_E_IO && *ios[i].message));
}

static void test_removal(void **state)
{
	tarn_dev       *nvme = open_dev("nvme:/dev/ng1n1", 0, NULL), *block = open_dev("block:/dev/nvme1n1", 0, NULL);
	uint8_t	       *a = tarn_dev_alloc(8 * 4096, 0);
	tarn_dev_io	ios[8], *io = ios, *got;
	tarn_dev_queue *queue, *other;
	tarn_dev_info	info = { .struct_size = sizeof(info) };

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		ios[i] = (tarn_dev_io){ .opcode = TARN_DEV_READ, .offset = i * 4096u, .len = 4096, .buf = a + i * 4096u };
	assert_ok(tarn_dev_queue_open(nvme, NULL, &queue));
	assert_ok(tarn_dev_queue_open(block, NULL, &other));
	read_until_error(queue, ios, 8, "nvme1");
	assert_int_equal(tarn_dev_queue_submit(other, &io, 1), 1);
	assert_int_equal(tarn_dev_queue_reap(other, 1, 1, 60000000, &got), 1);
	assert_int_equal(ios[0].rc, -TARN_E_IO);
	assert_error(tarn_dev_read(nvme, 0, a, 4096), IO);
	assert_error(tarn_dev_read(block, 0, a, 4096), IO);
	assert_ok(tarn_dev_queue_close(queue, 60000000));
	assert_ok(tarn_dev_queue_close(other, 60000000));
	assert_ok(tarn_dev_close(nvme));
	assert_ok(tarn_dev_close(block));
	assert_error(tarn_dev_query("nvme:/dev/ng1n1", &info), NONEXIST);
	tarn_dev_free(a, 8 * 4096, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zone_report), cmocka_unit_test(test_zone_states),	    cmocka_unit_test(test_too_many_open),
		cmocka_unit_test(test_append),	    cmocka_unit_test(test_appends_at_once), cmocka_unit_test(test_polled_queue),
	};
	const struct CMUnitTest removal[] = { cmocka_unit_test(test_removal) };

	if (is_elsewhere())
		return 77;
	if (getenv("TARN_TEST_REMOVAL"))
		return cmocka_run_group_tests(removal, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
