/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_finger.c: keys that are asked for again and again, while their leaves are changed, copied, split, joined, written, evicted, dropped
 * and read by snapshots: what comes is always what a table says. */
#include "harness.h"

#include "../src/device/sim.h"
#include "store_tools.h"

#define TREES	2u
#define KEYS	3000u
#define SNAPS	4u
#define MANY	40u
#define LONGEST 700u
#define DISK	(64u << 20)
#define SMALL	(UINT64_C(768) << 10)
#define AMPLE	(UINT64_C(32) << 20)
#define STEPS	60000u

struct table {
	uint32_t version[KEYS]; /* 0: not there */
};

struct snap {
	uint64_t     epoch; /* 0: none */
	struct table then;
};

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	struct rng	 rng;
	uint64_t	 cache, lsn, found, puts;
	uint32_t	 hot; /* the keys from there on are asked for most often */
	struct table	 now[TREES];
	struct snap	 snaps[TREES][SNAPS];
};

static void open_it(struct fixture *f)
{
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_open(f->dev, &(struct store_options){ .cache_bytes = f->cache }, &f->store));
}

static void close_it(struct fixture *f)
{
	assert_ok(store_close(f->store));
	device_close(f->dev);
}

static void begin(struct fixture *f, uint64_t cache)
{
	struct store_format format = { .log_bytes = 4 << 20, .node_bytes = 4096 };

	memset(f, 0, sizeof(*f));
	f->cache = cache;
	rng_seed(&f->rng, test_seed());
	assert_ok(sim_disk_create(DISK, test_seed(), &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	device_close(f->dev);
	open_it(f);
}

static void end(struct fixture *f)
{
	assert_ok(store_check(f->store, NULL));
	close_it(f);
	sim_disk_destroy(f->disk);
	printf("# %" PRIu64 " puts, %" PRIu64 " keys found\n", f->puts, f->found);
	free(f);
}

/* ---- keys and values ---- */

static tarn_buf key_of(uint32_t k, uint8_t *buf)
{
	memcpy(buf, "keys begin alike", 16);
	put64be(buf + 16, k / 8);
	put64be(buf + 24, k * UINT64_C(0x9e3779b97f4a7c15));
	return (tarn_buf){ buf, 32 };
}

static size_t value_of(unsigned tree, uint32_t k, uint32_t version, uint8_t *val)
{
	size_t len = version % 50 ? version % 150 : LONGEST;

	test_fill(val, len, (uint64_t)tree << 60 | (uint64_t)k << 32 | version);
	return len;
}

/* Mostly one of the few that are hot now. */
static uint32_t some_key(struct fixture *f)
{
	return rng_below(&f->rng, 4) ? (f->hot + (uint32_t)rng_below(&f->rng, 60)) % KEYS : (uint32_t)rng_below(&f->rng, KEYS);
}

static void change(struct fixture *f, struct store_mutation *m)
{
	assert_ok(store_apply(f->store, m, 1, 0, &f->lsn, NULL));
}

static void put(struct fixture *f, unsigned tree, uint32_t k)
{
	uint8_t		      key[32], val[LONGEST];
	uint32_t	      version = (uint32_t)++f->puts;
	struct store_mutation m	      = { .change = STORE_PUT, .tree = 4 + tree, .key = key_of(k, key), .val = { val, 0 } };

	m.val.len = value_of(tree, k, version, val);
	change(f, &m);
	f->now[tree].version[k] = version;
}

/* All at once; some make their leaf larger, and some do not. */
static void put_many(struct fixture *f, unsigned tree)
{
	uint8_t		      keys[MANY][32], vals[MANY][LONGEST];
	struct store_mutation m[MANY];
	uint32_t	      first = some_key(f), apart = 1 + (uint32_t)rng_below(&f->rng, KEYS / MANY);

	for (unsigned i = 0; i < MANY; i++) {
		uint32_t k = (first + i * apart) % KEYS;

		f->now[tree].version[k] = (uint32_t)++f->puts;
		m[i]			= (struct store_mutation){
					   .change = STORE_PUT, .tree = 4 + tree, .key = key_of(k, keys[i]), .val = { vals[i], 0 }
		};
		m[i].val.len = value_of(tree, k, f->now[tree].version[k], vals[i]);
	}
	assert_ok(store_apply(f->store, m, MANY, 0, &f->lsn, NULL));
}

static void del(struct fixture *f, unsigned tree, uint32_t k)
{
	uint8_t		      key[32];
	struct store_mutation m = { .change = STORE_DEL, .tree = 4 + tree, .key = key_of(k, key) };

	change(f, &m);
	f->now[tree].version[k] = 0;
}

static void assert_right(struct fixture *f, unsigned tree, uint32_t k, uint32_t version, int rc, const uint8_t *val, size_t len)
{
	uint8_t expected[LONGEST];

	if (!version) {
		assert_int_equal(rc, -TARN_E_NONEXIST);
		return;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(len, value_of(tree, k, version, expected));
	assert_memory_equal(val, expected, len);
	f->found++;
}

static void get(struct fixture *f, unsigned tree, uint64_t epoch, const struct table *table, uint32_t k)
{
	uint8_t key[32], val[LONGEST];
	size_t	len = sizeof(val);
	int	rc  = store_get(f->store, (struct store_at){ 4 + tree, epoch }, key_of(k, key), val, &len, NULL, 0);

	assert_right(f, tree, k, table->version[k], rc, val, len);
}

static void get_many(struct fixture *f, unsigned tree)
{
	uint8_t		 keys[MANY][32], vals[MANY][LONGEST];
	uint32_t	 which[MANY];
	struct store_get gets[MANY];

	for (unsigned i = 0; i < MANY; i++) {
		which[i] = some_key(f);
		gets[i]	 = (struct store_get){
			 .key = key_of(which[i], keys[i]), .buf = vals[i], .len = LONGEST, .rc = -TARN_E_INPROGRESS
		};
	}
	assert_ok(store_get_many(f->store, live(4 + tree), gets, MANY, 0));
	for (unsigned i = 0; i < MANY; i++)
		assert_right(f, tree, which[i], f->now[tree].version[which[i]], gets[i].rc, vals[i], gets[i].len);
}

/* ---- trees ---- */

static void snapshot(struct fixture *f, unsigned tree, struct snap *snap)
{
	struct store_mutation m = { .change = STORE_SNAP, .tree = 4 + tree };

	if (snap->epoch) {
		m.change   = STORE_UNSNAP;
		m.revision = snap->epoch;
		change(f, &m);
		snap->epoch = 0;
		return;
	}
	change(f, &m);
	snap->epoch = f->lsn;
	snap->then  = f->now[tree];
}

static void drop(struct fixture *f, unsigned tree)
{
	struct store_mutation m = { .change = STORE_DROP, .tree = 4 + tree };

	change(f, &m);
	memset(&f->now[tree], 0, sizeof(f->now[tree]));
	memset(f->snaps[tree], 0, sizeof(f->snaps[tree]));
	for (uint32_t k = 0; k < KEYS; k += 2) /* the same keys, other values */
		put(f, tree, k);
}

/* A whole range goes, so leaves are joined; or comes, so they are split. */
static void range(struct fixture *f, unsigned tree)
{
	uint32_t first = (uint32_t)rng_below(&f->rng, KEYS - 400);
	bool	 dels  = rng_below(&f->rng, 2);

	for (uint32_t k = first; k < first + 400; k++) {
		if (dels)
			del(f, tree, k);
		else
			put(f, tree, k);
		if (!rng_below(&f->rng, 4))
			get(f, tree, 0, &f->now[tree], first + (uint32_t)rng_below(&f->rng, 400));
	}
}

static void reopen(struct fixture *f)
{
	close_it(f);
	open_it(f);
}

static void step(struct fixture *f)
{
	unsigned     tree = (unsigned)rng_below(&f->rng, TREES), dice = (unsigned)rng_below(&f->rng, 4000);
	struct snap *snap = &f->snaps[tree][rng_below(&f->rng, SNAPS)];

	if (dice < 2)
		drop(f, tree);
	else if (dice < 4)
		reopen(f);
	else if (dice < 20)
		range(f, tree);
	else if (dice < 40)
		snapshot(f, tree, snap);
	else if (dice < 60)
		assert_ok(store_checkpoint(f->store));
	else if (dice < 70)
		f->hot = (uint32_t)rng_below(&f->rng, KEYS);
	else if (dice < 100)
		put_many(f, tree);
	else if (dice < 400)
		get_many(f, tree);
	else if (dice < 800)
		get(f, tree, snap->epoch, snap->epoch ? &snap->then : &f->now[tree], some_key(f));
	else if (dice < 1600)
		put(f, tree, some_key(f));
	else if (dice < 1700)
		del(f, tree, some_key(f));
	else
		get(f, tree, 0, &f->now[tree], some_key(f));
}

static void run(uint64_t cache)
{
	struct fixture *f = malloc(sizeof(*f));

	assert_non_null(f);
	begin(f, cache);
	for (unsigned tree = 0; tree < TREES; tree++)
		drop(f, tree);
	for (uint32_t i = 0; i < STEPS; i++)
		step(f);
	for (unsigned tree = 0; tree < TREES; tree++)
		for (uint32_t k = 0; k < KEYS; k++)
			get(f, tree, 0, &f->now[tree], k);
	end(f);
}

static void all_of_it_is_in_memory(void **state)
{
	(void)state;
	run(AMPLE);
}

static void pages_come_and_go(void **state)
{
	(void)state;
	run(SMALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_is_in_memory),
		cmocka_unit_test(pages_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
