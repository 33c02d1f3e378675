/* SPDX-License-Identifier: Apache-2.0 */
/* test/sim_store.h: a store on a simulated disk, opened with a cache of some bytes, for tests of what does not fit into it. */
#ifndef TARN_SIM_STORE_H
#define TARN_SIM_STORE_H

#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/layout.h"
#include "store_tools.h"

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	uint64_t	 cache, lsn;
	uint64_t	 put_off, spilled; /* before it was opened */
};

static inline void open_it(struct fixture *f)
{
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_open(f->dev, &(struct store_options){ .cache_bytes = f->cache }, &f->store));
}

static inline void close_it(struct fixture *f)
{
	assert_ok(store_close(f->store));
	device_close(f->dev);
}

static inline void begin(struct fixture *f, uint64_t size, uint64_t log, uint64_t cache)
{
	struct store_format format = { .log_bytes = log, .node_bytes = 4096 };

	*f = (struct fixture){ .cache = cache };
	assert_ok(sim_disk_create(size, test_seed(), &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	device_close(f->dev);
	open_it(f);
}

static inline struct store_stat stat_of(struct fixture *f)
{
	struct store_stat st;

	store_stat(f->store, &st);
	return st;
}

static inline void end(struct fixture *f)
{
	assert_ok(store_check(f->store, NULL));
	assert_int_equal(stat_of(f).dirty_bytes, 0); /* all has been written */
	close_it(f);
	sim_disk_destroy(f->disk);
}

/* Keys ascend as k does. */
static inline tarn_buf key_of(uint32_t k, uint8_t *buf)
{
	put64be(buf, k);
	put64be(buf + 8, k * UINT64_C(0x9e3779b97f4a7c15));
	return (tarn_buf){ buf, 16 };
}

/* For store_on_due(). */
static inline void count_told(void *times)
{
	(*(_Atomic uint32_t *)times)++;
}

/* The store is thrown away. */
static inline void abandon(struct fixture *f)
{
	struct store_stat st = stat_of(f);

	f->put_off += st.put_off;
	f->spilled += st.spilled;
	store_abandon(f->store);
	device_close(f->dev);
}

static inline void abandon_and_open(struct fixture *f)
{
	abandon(f);
	open_it(f);
}

#endif
