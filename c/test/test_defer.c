/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_defer.c: puts on leaves that are not in memory: they read nothing, and whoever looks finds them, in the tree, in snapshots, after
 * checkpoints and after crashes. */
#include "defer_store.h"

#include <pthread.h>

#define ROUNDS	  30000u
#define SNAPSHOTS 4u

static void cold_puts_read_nothing(void **state)
{
	struct sim_faults no_reads = { .read_error = 1 }, none = { 0 };
	struct fixture	  f;
	uint32_t	  done = 0, version[KEYS];

	(void)state;
	begin_with_keys(&f);
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
	begin_with_keys(&f);
	warm(&f);
	for (uint32_t k = 1; k < KEYS; k += 20)
		assert_ok(put(&f, k, 2));
	assert_ok(store_commit(f.store, f.lsn));
	sim_set_faults(f.disk, &no_writes);
	assert_true(store_checkpoint(f.store) < 0);
	sim_set_faults(f.disk, &none);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, k % 20 == 1 ? 2 : 1);
	abandon_and_open(&f);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, k % 20 == 1 ? 2 : 1);
	end(&f);
}

static uint64_t put_off(struct fixture *f)
{
	return stat_of(f).put_off;
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
	begin_with_keys(&f);
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
	begin_with_keys(&f);
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

/* Leaves that have changed are a snapshot's: they are to be written as they are, and a put does not make copies of them. */
static void puts_on_leaves_of_a_snapshot(void **state)
{
	struct fixture f;
	uint64_t       epoch, before;

	(void)state;
	begin_with_keys(&f);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, 1);
	for (uint32_t k = 0; k < KEYS; k += 200)
		assert_ok(put_if(&f, k, 5, TARN_COND_UPDATE));
	epoch  = take_snapshot(&f);
	before = put_off(&f);
	for (uint32_t k = 0; k < KEYS; k += 200) {
		assert_ok(put(&f, k, 9)); /* shorter */
		assert_right(&f, 0, k, 9);
		assert_ok(put(&f, k, 10)); /* longer */
		assert_right(&f, 0, k, 10);
		assert_right(&f, epoch, k, 5);
	}
	assert_true(put_off(&f) - before > KEYS / 200 / 2); /* some are in the same leaf */
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t k = 0; k < KEYS; k++)
			assert_right(&f, 0, k, k % 200 ? 1 : 10);
		for (uint32_t k = 0; k < KEYS; k += 50)
			assert_right(&f, epoch, k, k % 200 ? 1 : 5);
		if (round == 0)
			assert_ok(store_checkpoint(f.store));
		else
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
	begin_with_keys(&f);
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
	struct fixture		f;

	(void)state;
	begin_with_keys(&f);
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
	assert_true(stat_of(&f).put_off > TURNS / 10);
	assert_true(stat_of(&f).spilled > 0);
	for (uint32_t k = 0; k < KEYS; k++)
		assert_right(&f, 0, k, workers[k % THREADS].now[k]);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cold_puts_read_nothing),
		cmocka_unit_test(a_failed_write_loses_nothing),
		cmocka_unit_test(puts_on_leaves_in_memory),
		cmocka_unit_test(puts_on_frozen_leaves_in_memory),
		cmocka_unit_test(puts_on_leaves_of_a_snapshot),
		cmocka_unit_test(agrees_with_a_model),
		cmocka_unit_test(threads_agree),
	};

	return cmocka_run_group_tests_name("defer", tests, NULL, NULL);
}
