/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_defer.c: puts on leaves that are not in memory: they read nothing, and whoever looks finds them, in the tree, in snapshots, after
 * checkpoints and after crashes. */
#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/internal.h"
#include "store_tools.h"
#include <pthread.h>

#define SIZE	  (UINT64_C(24) << 20)
#define LOG	  (1u << 20)
#define CACHE	  (512u << 10)
#define KEYS	  8000u
#define ROUNDS	  30000u
#define VALUE	  100u
#define TREE	  4u
#define SNAPSHOTS 4u

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	uint64_t	 lsn, put_off, spilled;
};

static void open_it(struct fixture *f)
{
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_open(f->dev, &(struct store_options){ .cache_bytes = CACHE }, &f->store));
}

static void abandon(struct fixture *f)
{
	struct store_stat st;

	store_stat(f->store, &st);
	f->put_off += st.put_off;
	f->spilled += st.spilled;
	store_abandon(f->store);
	device_close(f->dev);
}

static tarn_buf key_of(uint32_t k, uint8_t *buf)
{
	put64be(buf, k * UINT64_C(0x9e3779b97f4a7c15));
	put64be(buf + 8, k);
	return (tarn_buf){ buf, 16 };
}

static size_t value_of(uint32_t k, uint32_t version, uint8_t *buf)
{
	size_t len = version % 7 == 3 ? VALUE * 3 : version % 5 == 4 ? VALUE / 4 : VALUE;

	test_fill(buf, len, (uint64_t)k << 32 | version);
	return len;
}

static int put_if(struct fixture *f, uint32_t k, uint32_t version, tarn_cond cond)
{
	uint8_t		      key[16], val[4 * VALUE];
	size_t		      len = value_of(k, version, val);
	struct store_mutation m = { .change = STORE_PUT, .cond = cond, .tree = TREE, .key = key_of(k, key), .val = { val, len } };

	atomic_store(&f->store->meets, version % 2); /* as if another thread had the lock: with an aim, and without */
	return store_apply(f->store, &m, 1, 0, &f->lsn, NULL);
}

static int put(struct fixture *f, uint32_t k, uint32_t version)
{
	return put_if(f, k, version, TARN_COND_NONE);
}

static int del(struct fixture *f, uint32_t k)
{
	uint8_t		      key[16];
	struct store_mutation m = { .change = STORE_DEL, .tree = TREE, .key = key_of(k, key) };

	return store_apply(f->store, &m, 1, 0, &f->lsn, NULL);
}

static int get(struct fixture *f, uint64_t epoch, uint32_t k, uint8_t *buf, size_t *len)
{
	uint8_t key[16];

	*len = 4 * VALUE;
	return store_get(f->store, (struct store_at){ TREE, epoch }, key_of(k, key), buf, len, NULL, 0);
}

/* version 0: it is not there. */
static void assert_right(struct fixture *f, uint64_t epoch, uint32_t k, uint32_t version)
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

static void begin(struct fixture *f)
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

static void end(struct fixture *f)
{
	assert_ok(store_check(f->store, NULL));
	assert_ok(store_close(f->store));
	device_close(f->dev);
	sim_disk_destroy(f->disk);
}

/* The pages above the leaves are in memory, and few leaves are. */
static void warm(struct fixture *f)
{
	for (uint32_t k = 0; k < KEYS; k += KEYS / 100)
		assert_right(f, 0, k, 1);
	assert_ok(put(f, 0, 1)); /* the space map, too */
}

static void cold_puts_read_nothing(void **state)
{
	struct sim_faults no_reads = { .read_error = 1 }, none = { 0 };
	struct fixture	  f;
	uint32_t	  done = 0, version[KEYS];

	(void)state;
	begin(&f);
	warm(&f);
	sim_set_faults(f.disk, &no_reads);
	for (uint32_t k = 1; k < KEYS; k += 40) {
		version[k] = put(&f, k, 2) ? 1 : 2;
		done += version[k] == 2;
		assert_true(put_if(&f, k + 1, 2, TARN_COND_INSERT) < 0); /* what must know looks, or fails */
	}
	sim_set_faults(f.disk, &none);
	assert_true(done > KEYS / 40 / 2);
	for (uint32_t k = 1; k < KEYS; k += 40) {
		assert_right(&f, 0, k, version[k]);
		assert_right(&f, 0, k + 1, 1);
		assert_error(put_if(&f, k, 3, TARN_COND_INSERT), EXIST);
	}
	end(&f);
}

/* What a checkpoint could not write is still in memory, and whole. */
static void a_failed_write_loses_nothing(void **state)
{
	struct sim_faults no_writes = { .write_error = 1 }, none = { 0 };
	struct fixture	  f;

	(void)state;
	begin(&f);
	warm(&f);
	for (uint32_t k = 1; k < KEYS; k += 20)
		assert_ok(put(&f, k, 2));
	assert_ok(store_commit(f.store, f.lsn));
	sim_set_faults(f.disk, &no_writes);
	assert_true(store_checkpoint(f.store) < 0);
	sim_set_faults(f.disk, &none);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, k % 20 == 1 ? 2 : 1);
	abandon(&f);
	open_it(&f);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, k % 20 == 1 ? 2 : 1);
	end(&f);
}

static void crash(struct fixture *f)
{
	assert_ok(store_commit(f->store, f->lsn));
	abandon(f);
	open_it(f);
}

static uint64_t put_off(struct fixture *f)
{
	struct store_stat st;

	store_stat(f->store, &st);
	return st.put_off;
}

static uint64_t take_snapshot(struct fixture *f)
{
	struct store_mutation m = { .change = STORE_SNAP, .tree = TREE };

	assert_ok(store_apply(f->store, &m, 1, 0, &f->lsn, NULL));
	return f->lsn;
}

/* Memory is full: to change a key does not make its page dirty. */
static void puts_on_leaves_in_memory(void **state)
{
	struct fixture f;
	uint64_t       epoch, before;

	(void)state;
	begin(&f);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, 1);
	epoch  = take_snapshot(&f);
	before = put_off(&f);
	for (uint32_t k = 0; k < KEYS; k += 100)
		for (uint32_t version = 5; version < 8; version++) {
			assert_right(&f, 0, k, version == 5 ? 1 : version - 1);
			assert_ok(put(&f, k, version));
			assert_right(&f, 0, k, version);
			assert_right(&f, epoch, k, 1);
		}
	assert_true(put_off(&f) - before > KEYS / 100 * 2);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t k = 0; k < KEYS; k++)
			assert_right(&f, 0, k, k % 100 ? 1 : 7);
		if (round == 0)
			assert_ok(store_checkpoint(f.store));
		else
			crash(&f);
	}
	for (uint32_t k = 0; k < KEYS; k += 50)
		assert_right(&f, epoch, k, 1);
	end(&f);
}

/* A checkpoint has begun, and ended early: what it was to write is frozen, and in memory for who reads. */
static void puts_on_frozen_leaves_in_memory(void **state)
{
	struct sim_faults no_reads = { .read_error = 1 }, none = { 0 };
	struct fixture	  f;
	uint64_t	  before;

	(void)state;
	begin(&f);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, 1);
	for (uint32_t k = 0; k < KEYS; k += 40)
		assert_ok(put(&f, k, 5));
	for (uint32_t k = 0; k < KEYS; k += 400)
		assert_right(&f, 0, k, 5);
	sim_set_faults(f.disk, &no_reads);
	assert_error(store_checkpoint(f.store), IO);
	sim_set_faults(f.disk, &none);
	before = put_off(&f);
	for (uint32_t k = 0; k < KEYS; k += 400)
		for (uint32_t version = 6; version < 8; version++) {
			assert_right(&f, 0, k, version - 1);
			assert_ok(put(&f, k, version));
			assert_right(&f, 0, k, version);
		}
	assert_true(put_off(&f) - before > KEYS / 400);
	assert_ok(store_checkpoint(f.store));
	for (unsigned round = 0; round < 2; round++) {
		for (uint32_t k = 0; k < KEYS; k++)
			assert_right(&f, 0, k, k % 400 == 0 ? 7 : k % 40 == 0 ? 5 : 1);
		crash(&f);
	}
	end(&f);
}

/* ---- against a model ---- */

struct model {
	uint32_t now[KEYS];
	struct {
		uint64_t epoch; /* 0: none */
		uint32_t then[KEYS];
	} snaps[SNAPSHOTS];
};

static void count_all(struct fixture *f, const struct model *m)
{
	uint64_t found = 0, right = 0;

	for (uint32_t k = 0; k < KEYS; k++)
		right += m->now[k] != 0;
	assert_ok(store_count(f->store, live(TREE), &(struct store_range){ .flags = 0 }, &found, 0));
	assert_int_equal(found, right);
}

static void list_all(struct fixture *f, const struct model *m)
{
	static uint64_t	   buf[8192];
	struct store_range all = { .flags = TARN_RANGE_KEYS_ONLY };
	uint32_t	   n = 0, right = 0;
	uint8_t		   last[16];
	tarn_listing	   out;

	for (uint32_t k = 0; k < KEYS; k++)
		right += m->now[k] != 0;
	do {
		assert_ok(store_list(f->store, live(TREE), &all, 0, buf, sizeof(buf), &out, 0));
		n += out.count;
		for (uint32_t i = 0, at = 0; i < out.count; i++) {
			const tarn_entry *e = (const tarn_entry *)((const uint8_t *)buf + at);

			memcpy(last, e + 1, 16);
			at += ROUND_UP((uint32_t)sizeof(*e) + e->key_len, 8);
		}
		all.start = (tarn_buf){ last, 16 };
		all.flags = TARN_RANGE_KEYS_ONLY | TARN_RANGE_AFTER;
	} while (out.more);
	assert_int_equal(n, right);
}

static void snapshot(struct fixture *f, struct model *m, unsigned i)
{
	struct store_mutation mut = { .change = STORE_SNAP, .tree = TREE };

	if (m->snaps[i].epoch) {
		mut.change   = STORE_UNSNAP;
		mut.revision = m->snaps[i].epoch;
	}
	assert_ok(store_apply(f->store, &mut, 1, 0, &f->lsn, NULL));
	m->snaps[i].epoch = m->snaps[i].epoch ? 0 : f->lsn;
	memcpy(m->snaps[i].then, m->now, sizeof(m->now));
}

static void rare(struct fixture *f, struct model *m, uint64_t r)
{
	switch (r % 8) {
	case 0:
		crash(f);
		break;
	case 1:
		count_all(f, m);
		break;
	case 2:
		list_all(f, m);
		break;
	case 3:
		assert_ok(store_checkpoint(f->store));
		break;
	case 4:
		assert_ok(spill_now(f->store, true));
		break;
	default:
		snapshot(f, m, r / 8 % SNAPSHOTS);
	}
}

static void step(struct fixture *f, struct model *m, uint64_t r)
{
	uint32_t k = (uint32_t)(r >> 16) % KEYS, version = (uint32_t)(r >> 40) % 1000 + 2;
	unsigned i = r >> 8 & (SNAPSHOTS - 1);

	switch (r % 16) {
	case 0:
		assert_ok(del(f, k));
		m->now[k] = 0;
		break;
	case 1:
		assert_right(f, 0, k, m->now[k]);
		break;
	case 2:
		if (m->snaps[i].epoch)
			assert_right(f, m->snaps[i].epoch, k, m->snaps[i].then[k]);
		break;
	default:
		assert_ok(put(f, k, version));
		m->now[k] = version;
	}
}

static void agrees_with_a_model(void **state)
{
	static struct model m;
	struct fixture	    f;
	uint64_t	    r = test_seed();

	(void)state;
	begin(&f);
	for (uint32_t k = 0; k < KEYS; k++)
		m.now[k] = 1;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		r = r * UINT64_C(6364136223846793005) + 1442695040888963407;
		step(&f, &m, r >> 8 ^ r >> 40);
		if (i % 200 == 199)
			rare(&f, &m, r >> 33);
	}
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, m.now[k]);
	count_all(&f, &m);
	assert_true(f.put_off > ROUNDS / 10);
	assert_true(f.spilled > ROUNDS / 100);
	end(&f);
}

/* ---- threads ---- */

#define THREADS 3u
#define TURNS	3000u

struct worker {
	struct fixture	  f; /* a copy: its own lsn */
	pthread_t	  thread;
	unsigned	  number;
	uint64_t	  seed;
	uint32_t	  now[KEYS];
	_Atomic bool	 *wrong;
	_Atomic unsigned *ended;
};

/* Of its own keys it knows what they are; of others', that they are there. */
static void turn(struct worker *w, uint64_t r)
{
	uint32_t k = (uint32_t)(r >> 16) % KEYS, mine = k - k % THREADS + w->number, version = (uint32_t)(r >> 40) % 1000 + 2;
	uint8_t	 found[4 * VALUE], expected[4 * VALUE];
	size_t	 len, right;

	if (mine >= KEYS)
		return;
	if (r % 4) {
		*w->wrong |= put(&w->f, mine, version) != 0;
		w->now[mine] = version;
	} else if (r % 8) {
		right = value_of(mine, w->now[mine], expected);
		*w->wrong |= get(&w->f, 0, mine, found, &len) || len != right || memcmp(found, expected, len);
	} else {
		*w->wrong |= get(&w->f, 0, k, found, &len) != 0;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < TURNS; i++) {
		w->seed = w->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		turn(w, w->seed >> 8 ^ w->seed >> 40);
	}
	atomic_fetch_add(w->ended, 1);
	return NULL;
}

/* Checkpoints and spills run beside them all the time. */
static void threads_agree(void **state)
{
	static struct worker	workers[THREADS];
	static _Atomic unsigned ended;
	static _Atomic bool	wrong;
	struct store_stat	st;
	struct fixture		f;

	(void)state;
	begin(&f);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .f = f, .number = i, .seed = test_seed() + i, .wrong = &wrong, .ended = &ended };
		for (uint32_t k = 0; k < KEYS; k++)
			workers[i].now[k] = 1;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; atomic_load(&ended) < THREADS; i++)
		assert_ok(i % 3 ? spill_now(f.store, true) : store_checkpoint(f.store));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	assert_false(wrong);
	store_stat(f.store, &st);
	assert_true(st.put_off > TURNS / 10);
	assert_true(st.spilled > 0);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, workers[k % THREADS].now[k]);
	end(&f);
}

/* ---- damage ---- */

static bool is_leaf(const uint8_t *page, uint64_t block)
{
	return get32(page + NODE_MAGIC) == NODE_MAGIC_NUMBER && !page[NODE_LEVEL] && get64(page + NODE_TREE) == TREE &&
	       get64(page + NODE_ADDR) == block;
}

static unsigned unreadable(struct fixture *f)
{
	uint8_t	 buf[4 * VALUE];
	unsigned n = 0;
	size_t	 len;

	for (uint32_t k = 0; k < KEYS; k++) {
		int rc = get(f, 0, k, buf, &len);

		assert_true(!rc || rc == -TARN_E_CSUM);
		n += rc != 0;
	}
	return n;
}

/* Leaves that the last checkpoint wrote are in use. One with so many keys that some are put and some are not, and so few that the puts are put
 * off. */
static uint64_t newest_leaf(struct fixture *f)
{
	uint64_t newest = 0, found = 0;
	uint8_t	 page[BLOCK];

	for (uint64_t block = 0; block < SIZE / BLOCK; block++) {
		sim_peek(f->disk, block * BLOCK, page, BLOCK);
		if (!is_leaf(page, block) || get64(page + NODE_BIRTH) < newest)
			continue;
		if (get64(page + NODE_BIRTH) > newest)
			found = 0;
		newest = get64(page + NODE_BIRTH);
		if (get32(page + NODE_COUNT) > 8 && get32(page + NODE_COUNT) < 17)
			found = block;
	}
	assert_true(found);
	return found;
}

/* Damages a leaf that is in use, and opens the store again: its keys cannot be read. */
static void damage(struct fixture *f)
{
	sim_flip_bit(f->disk, newest_leaf(f) * BLOCK + BLOCK - 200, 3);
	abandon(f);
	open_it(f);
	assert_true(unreadable(f) > 0);
}

/* What was acknowledged is there; what nobody has changed since cannot be read; the rest is as it was. */
static void assert_saved(struct fixture *f, const uint32_t *version, unsigned lost)
{
	unsigned csum = 0;

	for (uint32_t k = 0; k < KEYS; k++) {
		uint8_t buf[4 * VALUE];
		size_t	len;

		if (version[k])
			assert_right(f, 0, k, version[k]);
		else if (get(f, 0, k, buf, &len))
			csum++;
		else
			assert_right(f, 0, k, 1);
	}
	assert_int_equal(csum, lost);
}

/* Puts every step-th key; those that were refused are on the damaged leaf. Returns how many were acknowledged there. */
static unsigned put_some(struct fixture *f, uint32_t from, uint32_t step, uint32_t new, uint32_t *version, const bool *broken)
{
	unsigned saved = 0;

	for (uint32_t k = from; k < KEYS; k += step) {
		int rc = put(f, k, new);

		assert_true(!rc || (rc == -TARN_E_CSUM && broken[k]));
		if (rc)
			continue;
		version[k] = new;
		saved += broken[k];
	}
	return saved;
}

static unsigned find_broken(struct fixture *f, bool *broken)
{
	uint8_t	 buf[4 * VALUE];
	unsigned n = 0;
	size_t	 len;

	for (uint32_t k = 0; k < KEYS; k++) {
		broken[k] = get(f, 0, k, buf, &len) != 0;
		n += broken[k];
	}
	return n;
}

static void reopen(struct fixture *f)
{
	assert_ok(store_close(f->store));
	device_close(f->dev);
	open_it(f);
}

/* A store with a damaged leaf: how many keys are lost with it, and which. */
static unsigned begin_damaged(struct fixture *f, bool *broken, uint32_t *version)
{
	memset(version, 0, KEYS * sizeof(*version));
	begin(f);
	damage(f);
	return find_broken(f, broken);
}

static void puts_on_a_damaged_leaf_are_there(void **state)
{
	static bool	  broken[KEYS];
	static uint32_t	  version[KEYS];
	struct fixture	  f;
	struct store_stat st;
	unsigned	  lost, saved;

	(void)state;
	lost = begin_damaged(&f, broken, version);
	assert_true(lost > 4 && lost < 100);
	reopen(&f);
	saved = put_some(&f, 0, 3, 5, version, broken);
	assert_true(saved > 0);
	assert_ok(store_checkpoint(f.store));
	store_stat(f.store, &st);
	assert_false(st.readonly);
	assert_saved(&f, version, lost - saved);
	crash(&f);
	assert_saved(&f, version, lost - saved);
	put_some(&f, 0, 3, 6, version, broken); /* in place now */
	reopen(&f);
	assert_saved(&f, version, lost - saved);
	assert_error(store_check(f.store, NULL), CSUM);
	abandon(&f);
	sim_disk_destroy(f.disk);
}

/* The log has puts on a leaf that is damaged by the time it is replayed. */
static void a_replay_passes_damage(void **state)
{
	static bool	broken[KEYS];
	static uint32_t version[KEYS];
	struct fixture	f;
	unsigned	lost, saved;

	(void)state;
	lost = begin_damaged(&f, broken, version);
	reopen(&f);
	saved = put_some(&f, 1, 5, 7, version, broken);
	assert_true(saved > 0);
	assert_ok(spill_now(f.store, true));
	crash(&f);
	assert_saved(&f, version, lost - saved);
	crash(&f);
	assert_saved(&f, version, lost - saved);
	abandon(&f);
	sim_disk_destroy(f.disk);
}

/* Puts every step-th of the keys on the damaged leaf. */
static unsigned put_broken(struct fixture *f, unsigned from, unsigned step, uint32_t new, uint32_t *version, const bool *broken)
{
	unsigned i = 0, n = 0;

	for (uint32_t k = 0; k < KEYS; k++) {
		if (!broken[k] || i++ % step != from)
			continue;
		assert_ok(put(f, k, new));
		n += !version[k];
		version[k] = new;
	}
	return n;
}

/* A snapshot in between, and puts before and after it: in the snapshot the leaf is damaged, the live tree has the puts. */
static void damage_below_a_snapshot(void **state)
{
	static bool	      broken[KEYS];
	static uint32_t	      version[KEYS];
	struct store_mutation snap = { .change = STORE_SNAP, .tree = TREE }, drop = { .change = STORE_DROP, .tree = TREE };
	struct fixture	      f;
	unsigned	      lost, saved;
	uint64_t	      epoch;

	(void)state;
	lost = begin_damaged(&f, broken, version);
	reopen(&f);
	saved = put_broken(&f, 0, 4, 5, version, broken);
	assert_ok(store_apply(f.store, &snap, 1, 0, &epoch, NULL));
	saved += put_broken(&f, 1, 4, 8, version, broken);
	assert_ok(spill_now(f.store, true)); /* some of them are not in memory */
	saved += put_broken(&f, 0, 8, 9, version, broken);
	assert_true(saved > 1);
	assert_ok(store_checkpoint(f.store));
	assert_saved(&f, version, lost - saved);
	for (uint32_t k = 0; k < KEYS; k++) {
		uint8_t buf[4 * VALUE];
		size_t	len;

		if (broken[k])
			assert_error(get(&f, epoch, k, buf, &len), CSUM);
		else
			assert_right(&f, epoch, k, 1);
	}
	crash(&f);
	assert_saved(&f, version, lost - saved);
	assert_ok(store_apply(f.store, &drop, 1, 0, &f.lsn, NULL)); /* nothing is given up twice */
	assert_ok(store_checkpoint(f.store));
	assert_ok(store_checkpoint(f.store));
	assert_ok(put(&f, 1, 1));
	assert_right(&f, 0, 1, 1);
	abandon(&f);
	sim_disk_destroy(f.disk);
}

/* A read that fails once does not turn the store read-only, nor lose a put. */
static void a_failed_read_is_tried_again(void **state)
{
	struct sim_faults no_reads = { .read_error = 1 }, none = { 0 };
	static uint32_t	  version[KEYS];
	static bool	  broken[KEYS];
	struct fixture	  f;
	struct store_stat st;

	(void)state;
	memset(version, 0, sizeof(version));
	begin(&f);
	warm(&f);
	put_some(&f, 1, 9, 4, version, broken);
	sim_set_faults(f.disk, &no_reads);
	assert_error(store_checkpoint(f.store), IO);
	sim_set_faults(f.disk, &none);
	store_stat(f.store, &st);
	assert_false(st.readonly);
	assert_saved(&f, version, 0);
	put_some(&f, 1, 18, 6, version, broken);
	assert_ok(store_checkpoint(f.store));
	assert_saved(&f, version, 0);
	crash(&f);
	assert_saved(&f, version, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cold_puts_read_nothing),
		cmocka_unit_test(a_failed_write_loses_nothing),
		cmocka_unit_test(puts_on_leaves_in_memory),
		cmocka_unit_test(puts_on_frozen_leaves_in_memory),
		cmocka_unit_test(agrees_with_a_model),
		cmocka_unit_test(threads_agree),
		cmocka_unit_test(puts_on_a_damaged_leaf_are_there),
		cmocka_unit_test(a_replay_passes_damage),
		cmocka_unit_test(damage_below_a_snapshot),
		cmocka_unit_test(a_failed_read_is_tried_again),
	};

	return cmocka_run_group_tests_name("defer", tests, NULL, NULL);
}
