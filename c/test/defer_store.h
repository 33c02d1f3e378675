/* SPDX-License-Identifier: Apache-2.0 */
/* test/defer_store.h: a store whose cache holds few of its leaves, and puts on keys of all of them. */
#ifndef TARN_TEST_DEFER_STORE_H
#define TARN_TEST_DEFER_STORE_H

#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/internal.h"
#include "store_tools.h"

#define SIZE  (UINT64_C(24) << 20)
#define LOG   (1u << 20)
#define CACHE (512u << 10)
#define KEYS  8000u
#define VALUE 100u
#define TREE  4u

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	uint64_t	 lsn, put_off, spilled;
};

static inline void open_it(struct fixture *f)
{
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_open(f->dev, &(struct store_options){ .cache_bytes = CACHE }, &f->store));
}

static inline void abandon(struct fixture *f)
{
	struct store_stat st;

	store_stat(f->store, &st);
	f->put_off += st.put_off;
	f->spilled += st.spilled;
	store_abandon(f->store);
	device_close(f->dev);
}

static inline tarn_buf key_of(uint32_t k, uint8_t *buf)
{
	put64be(buf, k * UINT64_C(0x9e3779b97f4a7c15));
	put64be(buf + 8, k);
	return (tarn_buf){ buf, 16 };
}

static inline size_t value_of(uint32_t k, uint32_t version, uint8_t *buf)
{
	size_t len = version % 7 == 3 ? VALUE * 3 : version % 5 == 4 ? VALUE / 4 : VALUE;

	test_fill(buf, len, (uint64_t)k << 32 | version);
	return len;
}

static inline int put_if(struct fixture *f, uint32_t k, uint32_t version, tarn_cond cond)
{
	uint8_t		      key[16], val[4 * VALUE];
	size_t		      len = value_of(k, version, val);
	struct store_mutation m = { .change = STORE_PUT, .cond = cond, .tree = TREE, .key = key_of(k, key), .val = { val, len } };

	atomic_store(&f->store->meets, version % 2); /* as if another thread had the lock: with an aim, and without */
	return store_apply(f->store, &m, 1, 0, &f->lsn, NULL);
}

static inline int put(struct fixture *f, uint32_t k, uint32_t version)
{
	return put_if(f, k, version, TARN_COND_NONE);
}

static inline int del(struct fixture *f, uint32_t k)
{
	uint8_t		      key[16];
	struct store_mutation m = { .change = STORE_DEL, .tree = TREE, .key = key_of(k, key) };

	return store_apply(f->store, &m, 1, 0, &f->lsn, NULL);
}

static inline int get(struct fixture *f, uint64_t epoch, uint32_t k, uint8_t *buf, size_t *len)
{
	uint8_t key[16];

	*len = 4 * VALUE;
	return store_get(f->store, (struct store_at){ TREE, epoch }, key_of(k, key), buf, len, NULL, 0);
}

/* version 0: it is not there. */
static inline void assert_right(struct fixture *f, uint64_t epoch, uint32_t k, uint32_t version)
{
	uint8_t expected[4 * VALUE], found[4 * VALUE];
	size_t	len, right = value_of(k, version, expected);
	int	rc = get(f, epoch, k, found, &len);

	if (!version) {
		assert_int_equal(rc, -TARN_E_NONEXIST);
		return;
	}
	assert_ok(rc);
	assert_int_equal(len, right);
	assert_memory_equal(found, expected, len);
}

static inline void begin(struct fixture *f)
{
	struct store_format format = { .log_bytes = LOG, .node_bytes = 4096 };

	*f = (struct fixture){ 0 };
	assert_ok(sim_disk_create(SIZE, test_seed(), &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	device_close(f->dev);
	open_it(f);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_ok(put(f, k, 1));
	assert_ok(store_close(f->store));
	device_close(f->dev);
	open_it(f);
}

static inline void end(struct fixture *f)
{
	struct store_stat st;

	assert_ok(store_check(f->store, NULL));
	store_stat(f->store, &st);
	assert_int_equal(st.dirty_bytes, 0); /* all has been written */
	assert_ok(store_close(f->store));
	device_close(f->dev);
	sim_disk_destroy(f->disk);
}

/* The pages above the leaves are in memory, and few leaves are. */
static inline void warm(struct fixture *f)
{
	for (uint32_t k = 0; k < KEYS; k += KEYS / 100)
		assert_right(f, 0, k, 1);
	assert_ok(put(f, 0, 1)); /* the space map, too */
}

static inline void crash(struct fixture *f)
{
	assert_ok(store_commit(f->store, f->lsn));
	abandon(f);
	open_it(f);
}

#endif
