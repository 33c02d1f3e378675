/* SPDX-License-Identifier: Apache-2.0 */
/* test/log_rig.h: the log and values of a store without trees, for their tests.
 *
 * The superblock is the test's own, in memory: rig_switch() makes a new one, as durable as a real one is. The rest of the store is as far
 * there as the log, its replay and values want it. */
#ifndef TARN_LOG_RIG_H
#define TARN_LOG_RIG_H

#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/record.h"

struct rig {
	struct sim_disk	 *disk; /* NULL: dev stays open */
	struct device	 *dev;
	struct superblock sb;
	struct store	 *s; /* NULL: shut */
};

static inline void rig_plan(struct rig *r, uint64_t size, uint64_t log_blocks, uint8_t target)
{
	*r = (struct rig){ .sb = { .blocks = size / BLOCK, .log_block = 2, .log_blocks = log_blocks, .node_bytes = 4096 } };
	r->sb.target.bytes[15] = target;
	r->sb.log_epoch	       = 7;
	r->sb.generation       = 1;
}

static inline void rig_make(struct rig *r, uint64_t size, uint64_t log_blocks, uint8_t target, uint64_t seed)
{
	rig_plan(r, size, log_blocks, target);
	assert_ok(sim_disk_create(size, seed, &r->disk));
}

static inline void rig_make_mem(struct rig *r, const char *uri, uint64_t log_blocks)
{
	assert_ok(device_open(uri, &(struct device_options){ 0 }, &r->dev));
	struct device *dev = r->dev;

	rig_plan(r, device_size(dev), log_blocks, 0);
	r->dev = dev;
}

/* Without replaying. */
static inline void rig_open(struct rig *r)
{
	struct store *s = r->s = calloc(1, sizeof(*s));

	if (r->disk)
		assert_ok(sim_open(r->disk, &r->dev));
	pthread_mutex_init(&s->lock, NULL);
	s->dev	      = r->dev;
	s->sb	      = r->sb;
	s->target     = r->sb.target;
	s->node_bytes = r->sb.node_bytes;
	s->gen	      = r->sb.generation + 1;
	assert_ok(log_init(s));
	assert_ok(queues_open(s));
	assert_ok(space_init(&s->space, s, r->sb.blocks));
	space_take(&s->space, 0, 2 + r->sb.log_blocks);
	if (r->disk) /* on others it would write to the log, which has not been replayed */
		assert_ok(log_measure(s));
}

static inline void rig_shut(struct rig *r)
{
	log_fini(r->s);
	queues_close(r->s);
	space_fini(&r->s->space);
	pthread_mutex_destroy(&r->s->lock);
	free(r->s);
	r->s = NULL;
	if (r->disk)
		device_close(r->dev);
}

static inline void rig_end(struct rig *r)
{
	if (r->s)
		rig_shut(r);
	if (r->disk)
		sim_disk_destroy(r->disk);
	else
		device_close(r->dev);
}

/* The superblock names this place, and the log before it is free. */
static inline void rig_switch(struct rig *r, const struct log_place *place, uint64_t lsn)
{
	r->sb.log_epoch = place->epoch;
	r->sb.log_pos	= place->pos;
	r->sb.log_seq	= place->seq;
	r->sb.log_chain = place->chain;
	r->sb.lsn	= lsn;
	r->s->sb	= r->sb;
	log_release(r->s, place);
}

/* A checkpoint of trees that are not there. */
static inline void rig_checkpoint(struct rig *r)
{
	struct log_place place;
	uint64_t	 lsn;

	log_mark(r->s, &place, &lsn);
	rig_switch(r, &place, lsn);
}

/* With store->lock, or alone. */
static inline uint64_t rig_append(struct rig *r, const struct store_mutation *muts, size_t n)
{
	uint64_t lsn, bytes = record_bytes(muts, n);

	assert_ok(log_append(r->s, muts, n, bytes, &lsn));
	for (size_t i = 0; i < n; i++)
		if (muts[i].value)
			value_consume(muts[i].value);
	return lsn;
}

static inline struct store_value *rig_value(struct rig *r, uint64_t what, size_t len)
{
	struct store_value *v;
	uint8_t		   *buf = device_alloc(len + 8);

	test_fill(buf, len, what);
	assert_ok(store_value_new(r->s, &v));
	assert_ok(store_value_append(v, buf, len));
	assert_ok(value_finish(v));
	device_free(buf);
	return v;
}

#endif
