/* SPDX-License-Identifier: Apache-2.0 */
/* test/sim_bench.h: a simulated disk whose blocks hold versions, for the tests of it.
 *
 * Version v of block n is bytes that are nowhere else, so a test can tell for each sector which write it came from. */
#ifndef TARN_SIM_BENCH_H
#define TARN_SIM_BENCH_H

#include "harness.h"

#include "../src/device/sim.h"

#define SECTOR	512u
#define SIZE	(256u << 10)
#define BLOCK	4096u
#define SECTORS (BLOCK / SECTOR)

/* A disk with one device and one queue, and a buffer of one block. */
struct bench {
	struct sim_disk	    *disk;
	struct device	    *dev;
	struct device_queue *queue;
	uint8_t		    *buf;
};

static inline void plug(struct bench *b)
{
	assert_ok(sim_open(b->disk, &b->dev));
	assert_ok(device_queue_open(b->dev, 32, &b->queue));
}

static inline void unplug(struct bench *b)
{
	device_queue_close(b->queue);
	device_close(b->dev);
}

static inline void start(struct bench *b, uint64_t seed)
{
	assert_ok(sim_disk_create(SIZE, seed, &b->disk));
	plug(b);
	b->buf = device_alloc(BLOCK);
	assert_non_null(b->buf);
}

static inline void stop(struct bench *b)
{
	unplug(b);
	sim_disk_destroy(b->disk);
	device_free(b->buf);
}

static inline void cut(struct bench *b, enum sim_cut policy)
{
	unplug(b);
	sim_restore_power(b->disk, policy);
	plug(b);
}

/* Sector i of block n in version v; version 0 is the zeroes of a new disk. */
static inline void sector_bytes(uint8_t *bytes, uint64_t n, uint64_t v, unsigned i)
{
	memset(bytes, 0, SECTOR);
	if (v)
		test_fill(bytes, SECTOR, (n * 1000 + v) * SECTORS + i);
}

static inline void block_bytes(uint8_t *bytes, uint64_t n, uint64_t v)
{
	for (unsigned i = 0; i < SECTORS; i++)
		sector_bytes(bytes + i * SECTOR, n, v, i);
}

static inline int put(struct bench *b, uint64_t n, uint64_t v)
{
	block_bytes(b->buf, n, v);
	return device_write(b->queue, n * BLOCK, b->buf, BLOCK);
}

static inline int get(struct bench *b, uint64_t n)
{
	return device_read(b->queue, n * BLOCK, b->buf, BLOCK);
}

/* Which version stands in sector i of the block in b->buf: -1 when none of 0..top does. */
static inline int sector_version(const struct bench *b, uint64_t n, unsigned i, int top)
{
	uint8_t bytes[SECTOR];

	for (int v = 0; v <= top; v++) {
		sector_bytes(bytes, n, (uint64_t)v, i);
		if (!memcmp(bytes, b->buf + i * SECTOR, SECTOR))
			return v;
	}
	return -1;
}

/* The version of block n when all its sectors agree, else -1. */
static inline int version(struct bench *b, uint64_t n, int top)
{
	int first;

	assert_ok(get(b, n));
	first = sector_version(b, n, 0, top);
	for (unsigned i = 1; i < SECTORS; i++)
		if (sector_version(b, n, i, top) != first)
			return -1;
	return first;
}

#define assert_version(b, n, v) assert_int_equal(version(b, n, 9), v)

static inline tarn_dev_io write_io(void *buf, uint64_t n)
{
	return (tarn_dev_io){ .opcode = TARN_DEV_WRITE, .buf = buf, .offset = n * BLOCK, .len = BLOCK };
}

#endif
