/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_zones.c: zones of the memory device and of the simulated disk: the write pointer, states and limits; and random commands
 * against a model of one zone after another. */
#include "harness.h"

#include "../src/device/backend.h"

#include <pthread.h>

#define ZONE	 (64u << 10)
#define CAPACITY (48u << 10)
#define ZONES	 8
#define BLOCK	 4096u

struct rig {
	struct device	    *dev;
	struct device_queue *queue;
	uint8_t		    *a, *b; /* ZONE bytes */
};

static const char *const uris[] = { "mem:512K?block=4096&zone=64K&zone_capacity=48K&max_open=2&max_active=3",
				    "sim:512K?seed=5&block=4096&zone=64K&zone_capacity=48K&max_open=2&max_active=3" };

static void start_with(struct rig *r, const char *uri, const struct device_options *options)
{
	assert_ok(device_open(uri, options, &r->dev));
	assert_ok(device_queue_open(r->dev, 16, &r->queue));
	r->a = device_alloc(ZONE);
	r->b = device_alloc(ZONE);
	assert_true(r->a && r->b);
}

static void start(struct rig *r, void **state)
{
	start_with(r, *state, NULL);
}

static void stop(struct rig *r)
{
	device_queue_close(r->queue);
	device_close(r->dev);
	device_free(r->a);
	device_free(r->b);
}

static tarn_dev_zone zone_at(struct rig *r, unsigned which)
{
	tarn_dev_zone zone;
	uint32_t      count = 1;

	assert_ok(device_zone_report(r->dev, which * (uint64_t)ZONE, &zone, &count));
	assert_int_equal(count, 1);
	return zone;
}

static void expect(struct rig *r, unsigned which, tarn_dev_zone_state state, uint64_t written)
{
	tarn_dev_zone zone = zone_at(r, which);

	if (zone.state != (uint32_t)state || zone.write_pointer != which * (uint64_t)ZONE + written)
		fail_msg("zone %u: state %u, write pointer %llu; expected %u, %llu", which, zone.state,
			 (unsigned long long)zone.write_pointer, (unsigned)state, (unsigned long long)(which * ZONE + written));
}

static int write_at(struct rig *r, unsigned which, uint64_t at, uint64_t len)
{
	return device_write(r->queue, which * (uint64_t)ZONE + at, r->a, len);
}

static int manage(struct rig *r, enum device_zone_action action, unsigned which, unsigned count)
{
	return device_zone_manage(r->dev, action, which * (uint64_t)ZONE, count * (uint64_t)ZONE);
}

/* *where: in the zone. */
static int append(struct rig *r, unsigned which, const void *buf, uint64_t len, uint64_t *where)
{
	tarn_dev_io io = {
		.opcode = TARN_DEV_ZONE_APPEND, .offset = which * (uint64_t)ZONE, .buf = (void *)(uintptr_t)buf, .len = len
	};
	int rc = device_run(r->dev, &io);

	*where = io.offset - which * (uint64_t)ZONE;
	return rc;
}

static void test_report(void **state)
{
	tarn_dev_zone zones[ZONES + 2];
	uint32_t      count = ARRAY_LEN(zones);
	struct rig    r;

	start(&r, state);
	assert_int_equal(device_info(r.dev)->zoned, 1);
	assert_int_equal(device_info(r.dev)->zone_bytes, ZONE);
	assert_int_equal(device_info(r.dev)->zone_count, ZONES);
	assert_int_equal(device_info(r.dev)->max_open_zones, 2);
	assert_int_equal(device_info(r.dev)->max_active_zones, 3);
	assert_ok(device_zone_report(r.dev, 0, zones, &count));
	assert_int_equal(count, ZONES);
	for (unsigned i = 0; i < ZONES; i++) {
		assert_int_equal(zones[i].offset, i * ZONE);
		assert_int_equal(zones[i].bytes, ZONE);
		assert_int_equal(zones[i].capacity, CAPACITY);
		assert_int_equal(zones[i].type, TARN_ZONE_SEQUENTIAL);
		expect(&r, i, TARN_ZONE_EMPTY, 0);
	}
	count = 3;
	assert_ok(device_zone_report(r.dev, 6 * ZONE, zones, &count));
	assert_int_equal(count, 2);
	stop(&r);
}

static void test_write_pointer(void **state)
{
	struct rig r;

	start(&r, state);
	test_fill(r.a, ZONE, 1);
	assert_ok(write_at(&r, 1, 0, 2 * BLOCK));
	expect(&r, 1, TARN_ZONE_IMPLICITLY_OPEN, 2 * BLOCK);
	assert_error(write_at(&r, 1, 0, BLOCK), INVAL);
	assert_says("the write pointer of its zone is at 73728");
	assert_error(write_at(&r, 1, 3 * BLOCK, BLOCK), INVAL);
	assert_ok(write_at(&r, 1, 2 * BLOCK, CAPACITY - 3 * BLOCK));
	assert_error(write_at(&r, 1, CAPACITY - BLOCK, 2 * BLOCK), NOSPACE);
	assert_says("room for 4096");
	expect(&r, 1, TARN_ZONE_IMPLICITLY_OPEN, CAPACITY - BLOCK);
	assert_ok(device_run(r.dev,
			     &(tarn_dev_io){ .opcode = TARN_DEV_WRITE_ZEROES, .offset = ZONE + CAPACITY - BLOCK, .len = BLOCK }));
	expect(&r, 1, TARN_ZONE_FULL, CAPACITY);
	assert_error(write_at(&r, 1, CAPACITY, BLOCK), NOSPACE);
	assert_error(device_discard(r.queue, ZONE, BLOCK), NOTSUPPORTED);
	assert_says("reset");
	assert_ok(device_read(r.queue, ZONE, r.b, ZONE));
	assert_memory_equal(r.b, r.a, 2 * BLOCK);
	assert_memory_equal(r.b + 2 * BLOCK, r.a, CAPACITY - 3 * BLOCK);
	memset(r.a, 0, ZONE);
	assert_memory_equal(r.b + CAPACITY - BLOCK, r.a, BLOCK + ZONE - CAPACITY);
	assert_ok(manage(&r, DEVICE_ZONE_RESET, 1, 1));
	expect(&r, 1, TARN_ZONE_EMPTY, 0);
	assert_ok(device_read(r.queue, ZONE, r.b, ZONE));
	assert_memory_equal(r.a, r.b, ZONE);
	stop(&r);
}

static void test_append(void **state)
{
	uint64_t   where;
	struct rig r;

	start(&r, state);
	test_fill(r.a, ZONE, 2);
	for (unsigned i = 0; i < CAPACITY / BLOCK; i++) {
		assert_ok(append(&r, 2, r.a + i * BLOCK, BLOCK, &where));
		assert_int_equal(where, i * BLOCK);
	}
	expect(&r, 2, TARN_ZONE_FULL, CAPACITY);
	assert_error(append(&r, 2, r.a, BLOCK, &where), NOSPACE);
	assert_ok(device_read(r.queue, 2 * ZONE, r.b, CAPACITY));
	assert_memory_equal(r.a, r.b, CAPACITY);
	assert_error(
		device_run(r.dev, &(tarn_dev_io){ .opcode = TARN_DEV_ZONE_APPEND, .offset = BLOCK, .buf = r.a, .len = BLOCK }),
		INVAL);
	assert_says("begin of a zone");
	assert_error(append(&r, 3, r.a + 1, BLOCK, &where), INVAL);
	assert_error(append(&r, 3, r.a, BLOCK + 1, &where), INVAL);
	assert_error(append(&r, 3, NULL, BLOCK, &where), INVAL);
	assert_error(append(&r, ZONES, r.a, BLOCK, &where), INVAL);
	stop(&r);
}

/* Each of many in flight at once gets a place of its own, and is told which. */
static void test_appends_in_flight(void **state)
{
	tarn_dev_io ios[12], *done[12];
	unsigned    reaped = 0;
	struct rig  r;

	start(&r, state);
	test_fill(r.a, ZONE, 3);
	for (unsigned i = 0; i < ARRAY_LEN(ios); i++) {
		ios[i] = (tarn_dev_io){
			.opcode = TARN_DEV_ZONE_APPEND, .offset = ZONE, .buf = r.a + i * BLOCK, .len = BLOCK, .tag = i
		};
		device_submit(r.queue, &ios[i]);
	}
	while (reaped < ARRAY_LEN(ios))
		reaped += device_reap(r.queue, 1, ARRAY_LEN(done), done);
	for (unsigned i = 0; i < ARRAY_LEN(ios); i++) {
		assert_int_equal(ios[i].rc, 0);
		assert_ok(device_read(r.queue, ios[i].offset, r.b, BLOCK));
		assert_memory_equal(r.b, r.a + ios[i].tag * BLOCK, BLOCK);
	}
	expect(&r, 1, TARN_ZONE_FULL, CAPACITY);
	stop(&r);
}

static void test_states(void **state)
{
	struct rig r;

	start(&r, state);
	assert_ok(manage(&r, DEVICE_ZONE_OPEN, 0, 1));
	expect(&r, 0, TARN_ZONE_EXPLICITLY_OPEN, 0);
	assert_ok(write_at(&r, 0, 0, BLOCK));
	expect(&r, 0, TARN_ZONE_EXPLICITLY_OPEN, BLOCK);
	assert_ok(manage(&r, DEVICE_ZONE_CLOSE, 0, 1));
	expect(&r, 0, TARN_ZONE_CLOSED, BLOCK);
	assert_ok(write_at(&r, 0, BLOCK, BLOCK));
	expect(&r, 0, TARN_ZONE_IMPLICITLY_OPEN, 2 * BLOCK);
	assert_ok(manage(&r, DEVICE_ZONE_FINISH, 0, 1));
	expect(&r, 0, TARN_ZONE_FULL, CAPACITY);
	assert_error(manage(&r, DEVICE_ZONE_OPEN, 0, 1), INVAL);
	assert_says("full");
	assert_error(manage(&r, DEVICE_ZONE_CLOSE, 0, 1), INVAL);
	assert_ok(manage(&r, DEVICE_ZONE_FINISH, 0, 2)); /* one that is full, one that is empty */
	expect(&r, 1, TARN_ZONE_FULL, CAPACITY);
	assert_ok(manage(&r, DEVICE_ZONE_OPEN, 2, 1));
	assert_ok(manage(&r, DEVICE_ZONE_CLOSE, 2, 1)); /* nothing was written */
	expect(&r, 2, TARN_ZONE_EMPTY, 0);
	assert_error(manage(&r, DEVICE_ZONE_OPEN, 1, 2), INVAL); /* one is full: none of them opens */
	expect(&r, 2, TARN_ZONE_EMPTY, 0);
	assert_ok(manage(&r, DEVICE_ZONE_RESET, 0, ZONES));
	for (unsigned i = 0; i < ZONES; i++)
		expect(&r, i, TARN_ZONE_EMPTY, 0);
	stop(&r);
}

static void test_limits(void **state)
{
	struct rig r;

	start(&r, state);
	assert_error(manage(&r, DEVICE_ZONE_OPEN, 0, 3), NOSPACE);
	expect(&r, 0, TARN_ZONE_EMPTY, 0);
	assert_ok(manage(&r, DEVICE_ZONE_OPEN, 0, 2));
	assert_error(write_at(&r, 2, 0, BLOCK), NOSPACE); /* both are open explicitly */
	assert_says("2 are open");
	assert_ok(manage(&r, DEVICE_ZONE_RESET, 0, 2));
	assert_ok(write_at(&r, 0, 0, BLOCK));
	assert_ok(write_at(&r, 1, 0, BLOCK));
	assert_ok(write_at(&r, 2, 0, BLOCK)); /* closes the first */
	expect(&r, 0, TARN_ZONE_CLOSED, BLOCK);
	expect(&r, 2, TARN_ZONE_IMPLICITLY_OPEN, BLOCK);
	assert_error(write_at(&r, 3, 0, BLOCK), NOSPACE);
	assert_says("3 are active");
	assert_error(manage(&r, DEVICE_ZONE_OPEN, 3, 1), NOSPACE);
	assert_ok(manage(&r, DEVICE_ZONE_FINISH, 1, 1));
	assert_ok(write_at(&r, 3, 0, BLOCK));
	assert_ok(manage(&r, DEVICE_ZONE_OPEN, 0, 1)); /* closes one that a write has opened */
	expect(&r, 0, TARN_ZONE_EXPLICITLY_OPEN, BLOCK);
	stop(&r);
}

static void test_bad_arguments(void **state)
{
	struct device_options readonly = { .readonly = true };
	tarn_dev_zone	      zone;
	uint32_t	      count = 1, none = 0;
	struct rig	      r;

	start(&r, state);
	assert_error(device_zone_report(r.dev, BLOCK, &zone, &count), INVAL);
	assert_error(device_zone_report(r.dev, ZONES * ZONE, &zone, &count), INVAL);
	assert_error(device_zone_report(r.dev, UINT64_MAX / ZONE * ZONE, &zone, &count), INVAL);
	assert_error(device_zone_report(r.dev, 0, NULL, &count), INVAL);
	assert_error(device_zone_report(r.dev, 0, &zone, &none), INVAL);
	assert_error(device_zone_report(r.dev, 0, &zone, NULL), INVAL);
	for (int action = DEVICE_ZONE_OPEN; action <= DEVICE_ZONE_RESET; action++) {
		assert_error(device_zone_manage(r.dev, action, 1, ZONE), INVAL);
		assert_error(device_zone_manage(r.dev, action, 0, ZONE - 1), INVAL);
		assert_error(device_zone_manage(r.dev, action, 0, 0), INVAL);
		assert_error(device_zone_manage(r.dev, action, ZONE, ZONES * ZONE), INVAL);
		assert_error(device_zone_manage(r.dev, action, ZONES * ZONE, ZONE), INVAL);
		assert_error(device_zone_manage(r.dev, action, ZONE, UINT64_MAX - ZONE + 1), INVAL);
	}
	assert_error(device_zone_manage(r.dev, (enum device_zone_action)4, 0, ZONE), INVAL);
	stop(&r);
	start_with(&r, *state, &readonly);
	assert_error(manage(&r, DEVICE_ZONE_RESET, 0, 1), EP_RO);
	assert_error(append(&r, 0, r.a, BLOCK, &(uint64_t){ 0 }), EP_RO);
	assert_ok(device_zone_report(r.dev, 0, &zone, &count));
	stop(&r);
}

/* Memory may be misaligned, for an append too; a part of a block may not: it could not be written back. */
static void test_bounce(void **state)
{
	struct device_options options = { .bounce = true };
	uint64_t	      where;
	struct rig	      r;

	start_with(&r, *state, &options);
	test_fill(r.a, ZONE, 4);
	assert_ok(append(&r, 0, r.a + 1, 2 * BLOCK, &where));
	assert_int_equal(where, 0);
	assert_ok(append(&r, 0, r.a + 3, BLOCK, &where));
	assert_int_equal(where, 2 * BLOCK);
	assert_int_equal(device_bounced(r.dev), 2);
	assert_ok(device_read(r.queue, 5, r.b, 2 * BLOCK));
	assert_memory_equal(r.b, r.a + 6, 2 * BLOCK - 5);
	assert_error(write_at(&r, 0, 3 * BLOCK, 100), INVAL);
	assert_says("length 100");
	assert_error(append(&r, 0, r.a, 100, &where), INVAL);
	expect(&r, 0, TARN_ZONE_IMPLICITLY_OPEN, 3 * BLOCK);
	stop(&r);
}

struct appender {
	struct rig *rig;
	uint8_t	   *buf; /* a block, all of it that byte */
	uint64_t    where[CAPACITY / BLOCK / 4];
	int	    rc;
};

static void *append_blocks(void *arg)
{
	struct appender *a = arg;

	for (size_t i = 0; !a->rc && i < ARRAY_LEN(a->where); i++)
		a->rc = append(a->rig, 5, a->buf, BLOCK, &a->where[i]);
	return NULL;
}

/* Of threads at once each append gets a block for itself. */
static void test_appends_of_threads(void **state)
{
	struct appender appenders[4];
	pthread_t	threads[4];
	struct rig	r;

	start(&r, state);
	for (unsigned i = 0; i < 4; i++) {
		appenders[i] = (struct appender){ .rig = &r, .buf = r.a + i * BLOCK };
		memset(appenders[i].buf, (int)i + 1, BLOCK);
		assert_int_equal(pthread_create(&threads[i], NULL, append_blocks, &appenders[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(appenders[i].rc, 0);
	}
	assert_ok(device_read(r.queue, 5 * ZONE, r.b, ZONE));
	for (unsigned i = 0; i < 4; i++)
		for (size_t n = 0; n < ARRAY_LEN(appenders[i].where); n++)
			assert_memory_equal(r.b + appenders[i].where[n], appenders[i].buf, BLOCK);
	expect(&r, 5, TARN_ZONE_FULL, CAPACITY);
	stop(&r);
}

/* What a zone should be like: how much is written, and whether its data began with a reset in this round. */
struct model {
	uint64_t written[ZONES];
	uint8_t *bytes;
};

static void random_append(struct rig *r, struct model *m, struct rng *rng, unsigned which)
{
	uint64_t len = BLOCK * (1 + rng_below(rng, 4)), where;
	int	 rc;

	test_fill(r->a, len, rng_next(rng));
	rc = append(r, which, r->a, len, &where);
	if (len > CAPACITY - m->written[which]) {
		assert_int_equal(rc, -TARN_E_NOSPACE);
		return;
	}
	assert_ok(rc);
	assert_int_equal(where, m->written[which]);
	memcpy(m->bytes + which * ZONE + where, r->a, len);
	m->written[which] += len;
}

/* Over a random one of the first three zones: as many as may be active, so nothing but a full zone refuses. */
static void test_model(void **state)
{
	struct model m = { .bytes = calloc(ZONES, ZONE) };
	struct rng   rng;
	struct rig   r;

	start(&r, state);
	rng_seed(&rng, test_seed());
	for (unsigned i = 0; i < 2000; i++) {
		unsigned which = (unsigned)rng_below(&rng, 3);

		if (rng_below(&rng, 12)) {
			random_append(&r, &m, &rng, which);
		} else {
			assert_ok(manage(&r, DEVICE_ZONE_RESET, which, 1));
			memset(m.bytes + which * ZONE, 0, ZONE);
			m.written[which] = 0;
		}
		assert_int_equal(zone_at(&r, which).write_pointer, which * ZONE + m.written[which]);
		assert_ok(device_read(r.queue, which * ZONE, r.b, ZONE));
		assert_memory_equal(r.b, m.bytes + which * ZONE, ZONE);
	}
	free(m.bytes);
	stop(&r);
}

static const struct {
	const char	  *name;
	CMUnitTestFunction run;
} battery[] = { { "report", test_report },
		{ "write pointer", test_write_pointer },
		{ "append", test_append },
		{ "appends in flight", test_appends_in_flight },
		{ "states", test_states },
		{ "limits", test_limits },
		{ "bad arguments", test_bad_arguments },
		{ "bounce", test_bounce },
		{ "model", test_model },
		{ "appends of threads", test_appends_of_threads } };

int main(void)
{
	static struct CMUnitTest tests[ARRAY_LEN(uris) * ARRAY_LEN(battery)];
	static char		 names[ARRAY_LEN(tests)][64];

	for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
		const char *uri = uris[i / ARRAY_LEN(battery)];

		snprintf(names[i], sizeof(names[i]), "%s on %.3s", battery[i % ARRAY_LEN(battery)].name, uri);
		tests[i] = (struct CMUnitTest){ .name	       = names[i],
						.test_func     = battery[i % ARRAY_LEN(battery)].run,
						.initial_state = (void *)(uintptr_t)uri };
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
