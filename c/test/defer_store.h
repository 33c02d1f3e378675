/* SPDX-License-Identifier: Apache-2.0 */
/* test/defer_store.h: a store whose cache holds few of its leaves, and puts on keys of all of them. */
#ifndef TARN_TEST_DEFER_STORE_H
#define TARN_TEST_DEFER_STORE_H

#include "sim_store.h"

#include "../src/store/internal.h"

#define SIZE  (UINT64_C(24) << 20)
#define LOG   (1u << 20)
#define CACHE (512u << 10)
#define KEYS  8000u
#define VALUE 100u
#define TREE  4u

/* In no order. */
static inline tarn_buf scattered(uint32_t k, uint8_t *buf)
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
	struct store_mutation m	  = {
		  .change = STORE_PUT, .cond = cond, .tree = TREE, .key = scattered(k, key), .val = { val, len }
	};

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
	struct store_mutation m = { .change = STORE_DEL, .tree = TREE, .key = scattered(k, key) };

	return store_apply(f->store, &m, 1, 0, &f->lsn, NULL);
}

static inline int get(struct fixture *f, uint64_t epoch, uint32_t k, uint8_t *buf, size_t *len)
{
	uint8_t key[16];

	*len = 4 * VALUE;
	return store_get(f->store, (struct store_at){ TREE, epoch }, scattered(k, key), buf, len, NULL, 0);
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

static inline void begin_with_keys(struct fixture *f)
{
	begin(f, SIZE, LOG, CACHE);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_ok(put(f, k, 1));
	close_it(f);
	open_it(f);
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
	abandon_and_open(f);
}

#endif
