/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_log_crash.c: power cuts, and threads, on a log without trees.
 *
 * What is in batch number lsn follows from an id that is drawn when it is appended. After each cut, whatever the replay hands out is to be one
 * batch after the other from the superblock's on, to the last that was acknowledged at least, with the bytes of those that were
 * appended, values in extents too. What was not there after one recovery is never there again. N is the number of histories. */
#include "log_rig.h"

#define LOG_BLOCKS 24u
#define SIZE	   (3u << 20)
#define LSN_MAX	   4096u
#define MUTS	   4u

struct world {
	struct rig  rig;
	struct rng  rng;
	uint64_t    ids[LSN_MAX]; /* of what was appended last with that lsn */
	uint64_t    last, acked, next_id;
	uint64_t    epochs;				     /* the highest that was used */
	struct bptr blocks[LSN_MAX][MUTS * EXT_INLINE_PTRS]; /* of its values, while the superblock does not cover it */
	unsigned    cuts, replayed, torn, clean, nested;
	struct {
		uint64_t next, last; /* lsn */
	} seen;
};

static struct world w; /* large, and one at a time */

static uint64_t below(uint64_t n)
{
	return rng_below(&w.rng, n);
}

/* ---- Batches ---- */

struct batch {
	struct store_mutation muts[MUTS];
	size_t		      n;
	uint8_t		      keys[MUTS][16];
	size_t		      value_len[MUTS]; /* of one in extents; 0: it is not */
	uint8_t		      vals[MUTS][6000];
};

/* Many batches are alike but for their first key, so that what is left of one fits to another. */
static void describe(struct batch *b, uint64_t id)
{
	struct rng rng;

	rng_seed(&rng, id % 6 + 1);
	memset(b, 0, sizeof(*b));
	b->n = 1 + rng_below(&rng, MUTS);
	for (size_t i = 0; i < b->n; i++) {
		struct store_mutation *m = &b->muts[i];

		put64(b->keys[i], i ? i : id);
		*m	  = (struct store_mutation){ .tree = 4 + i, .key = { b->keys[i], i ? 16 : 8 } };
		m->change = i && rng_below(&rng, 6) == 0 ? STORE_DEL : STORE_PUT;
		if (m->change == STORE_PUT && rng_below(&rng, 4) == 0)
			b->value_len[i] = 1 + rng_below(&rng, 30000);
		else if (m->change == STORE_PUT)
			m->val = (tarn_buf){ b->vals[i], rng_below(&rng, sizeof(b->vals[i])) };
	}
}

static void remember_blocks(uint64_t lsn, size_t *n, const struct store_value *v)
{
	uint8_t	 desc[EXT_BYTES_MAX];
	uint32_t len;

	value_describe((struct store_value *)(uintptr_t)v, desc, &len);
	for (uint32_t i = 0; i < get32(desc + EXT_COUNT); i++)
		w.blocks[lsn][(*n)++] = bptr_get(desc + EXT_PTRS + i * BPTR_BYTES);
}

static void forget_blocks(uint64_t lsn)
{
	for (size_t i = 0; w.blocks[lsn][i].addr; i++)
		space_free_now(&w.rig.s->space, w.blocks[lsn][i].addr, w.blocks[lsn][i].len / BLOCK);
	memset(w.blocks[lsn], 0, sizeof(w.blocks[lsn]));
}

static int make_values(struct batch *b, uint64_t id)
{
	uint8_t *bytes = device_alloc(32768);
	int	 rc    = 0;

	for (size_t i = 0; !rc && i < b->n; i++) {
		if (!b->value_len[i])
			continue;
		test_fill(bytes + 8 * (id % 2), b->value_len[i], id % 3); /* aligned, or not */
		rc = store_value_new(w.rig.s, &b->muts[i].value);
		rc = rc ? rc : store_value_append(b->muts[i].value, bytes + 8 * (id % 2), b->value_len[i]);
		rc = rc ? rc : value_finish(b->muts[i].value);
	}
	device_free(bytes);
	return rc;
}

static void drop_values(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		store_value_free(b->muts[i].value);
}

/* AGAIN: there is no room. */
static int append(void)
{
	static struct batch b;
	uint64_t	    id = w.next_id++, lsn = w.rig.s->log.lsn + 1;
	size_t		    n = 0;
	int		    rc;

	describe(&b, id);
	rc = make_values(&b, id);
	if (!rc && !log_fits(w.rig.s, record_bytes(b.muts, b.n)))
		rc = fail(AGAIN, "the log is full");
	if (rc) {
		drop_values(&b);
		return rc;
	}
	forget_blocks(lsn); /* there are none: see recover() */
	for (size_t i = 0; i < b.n; i++)
		if (b.muts[i].value)
			remember_blocks(lsn, &n, b.muts[i].value);
	assert_int_equal(rig_append(&w.rig, b.muts, b.n), lsn);
	w.ids[lsn] = id;
	w.last	   = lsn;
	return 0;
}

static bool same_bytes(tarn_buf a, tarn_buf b)
{
	return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool value_is(struct store *s, const struct store_mutation *m, size_t len, uint64_t id)
{
	uint8_t	    *got = malloc(len), *want = malloc(len);
	struct bptr *pieces;
	size_t	     n;
	bool	     right = value_size(m->val.ptr) == len;

	test_fill(want, len, id % 3);
	if (right) {
		assert_ok(value_pieces(s, m->val.ptr, &pieces, &n));
		assert_ok(value_read_all(s, pieces, n, len, got));
		right = memcmp(got, want, len) == 0;
		free(pieces);
	}
	free(got);
	free(want);
	return right;
}

static int compare(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	static struct batch b;

	if (lsn != w.seen.next || lsn > w.last)
		fail_msg("record %d was replayed instead of %d of at most %d", (int)lsn, (int)w.seen.next, (int)w.last);
	describe(&b, w.ids[lsn]);
	assert_int_equal(n, b.n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(muts[i].change, b.muts[i].change);
		assert_true(muts[i].tree == b.muts[i].tree && same_bytes(muts[i].key, b.muts[i].key));
		assert_int_equal(extents[i], b.value_len[i] != 0);
		if (extents[i])
			assert_true(value_is(s, &muts[i], b.value_len[i], w.ids[lsn]));
		else
			assert_true(same_bytes(muts[i].val, b.muts[i].val));
	}
	w.seen.next++;
	return 0;
}

/* ---- Histories ---- */

/* A checkpoint: the superblock has it at once, once the device has been flushed. */
static int checkpoint_to(const struct log_place *place, uint64_t lsn)
{
	int rc = device_flush(w.rig.s->log.queue);

	if (rc)
		return rc;
	for (uint64_t i = w.rig.sb.lsn + 1; i <= lsn; i++)
		forget_blocks(i);
	w.acked = MAX(w.acked, lsn);
	rig_switch(&w.rig, place, lsn);
	assert_true(w.rig.s->log.used <= LOG_BLOCKS);
	return 0;
}

static int one_step(struct log_place *place, uint64_t *lsn, bool *marked)
{
	uint64_t what = below(10);
	int	 rc   = what < 5 ? append() : 0;

	if (what < 3 || what == 5 || rc == -TARN_E_AGAIN) {
		int committed = log_flush_all(w.rig.s);

		if (committed)
			return committed;
		w.acked = w.last;
	}
	if (rc == -TARN_E_AGAIN || rc == -TARN_E_NOSPACE || what == 6)
		*marked = *marked ? true : (log_mark(w.rig.s, place, lsn), true);
	if (*marked && (what > 6 || rc == -TARN_E_AGAIN || rc == -TARN_E_NOSPACE)) {
		*marked = false;
		return checkpoint_to(place, *lsn);
	}
	return rc == -TARN_E_AGAIN || rc == -TARN_E_NOSPACE ? 0 : rc;
}

/* Until the power goes. */
static void work(void)
{
	struct log_place place;
	uint64_t	 lsn	= 0;
	bool		 marked = false;

	sim_set_cut_after(w.rig.disk, 1 + below(60));
	while (!sim_is_cut(w.rig.disk) && w.last + 2 < LSN_MAX) {
		int rc = one_step(&place, &lsn, &marked);

		if (rc && rc != -TARN_E_IO)
			fail_msg("%s", base_message());
	}
}

static void cut(void)
{
	rig_shut(&w.rig);
	sim_restore_power(w.rig.disk, SIM_CUT_RANDOM);
	w.cuts++;
}

/* What an open does: replay; when there was anything, a checkpoint under a new epoch; else go on. */
static void recover(void)
{
	struct log_place place;
	uint64_t	 batches, lsn;

	rig_open(&w.rig);
	w.seen.next = w.rig.sb.lsn + 1;
	assert_ok(log_replay(w.rig.s, compare, &batches));
	assert_int_equal(batches, w.seen.next - 1 - w.rig.sb.lsn);
	if (w.seen.next <= w.acked)
		fail_msg("acknowledged batch %d of %d is lost", (int)w.seen.next, (int)w.acked);
	w.last = w.acked = w.seen.next - 1; /* that is how it was, from now on */
	for (uint64_t i = w.last + 1; i < LSN_MAX && w.blocks[i][0].addr; i++)
		memset(w.blocks[i], 0, sizeof(w.blocks[i]));
	w.replayed += batches > 0;
	w.torn += w.rig.s->log.torn;
	if (below(4) == 0) {
		w.nested++;
		cut();
		recover();
		return;
	}
	if (!batches && !w.rig.s->log.torn) {
		w.clean++;
		return;
	}
	w.rig.s->log.epoch = ++w.epochs;
	log_mark(w.rig.s, &place, &lsn);
	assert_ok(checkpoint_to(&place, lsn));
}

static void history(uint64_t seed)
{
	memset(&w, 0, offsetof(struct world, cuts));
	rng_seed(&w.rng, seed);
	rig_make(&w.rig, SIZE, LOG_BLOCKS, (uint8_t)seed, seed);
	w.epochs  = w.rig.sb.log_epoch;
	w.next_id = 1 + below(1000);
	rig_open(&w.rig);
	for (uint64_t i = 5 + below(30); i; i--) {
		work();
		cut();
		recover();
	}
	rig_end(&w.rig);
}

static void test_cuts(void **state)
{
	uint64_t seed = test_seed(), n = test_number("N", 150);

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		if (getenv("VERBOSE"))
			print_message("history %d: SEED=%llu N=1\n", (int)i, (unsigned long long)(seed + i));
		history(seed + i);
	}
	print_message("%u cuts: %u with something to replay, %u with a torn group, %u that went on, %u in recovery\n", w.cuts,
		      w.replayed, w.torn, w.clean, w.nested);
}

/* ---- Threads ---- */

#define THREADS 6
#define ROUNDS	1500

struct crowd {
	struct rig	 rig;
	uint64_t	 owner[THREADS * ROUNDS + 1]; /* of each lsn: thread and round; under store->lock */
	_Atomic uint32_t calls;
	_Atomic uint64_t acked;
	_Atomic bool	 over;
};

struct member {
	struct crowd *crowd;
	uint64_t      id;
	pthread_t     thread;
};

static void checkpoint_beside(struct rig *r)
{
	struct log_place place;
	uint64_t	 lsn;

	assert_ok(log_flush_all(r->s));
	pthread_mutex_lock(&r->s->lock);
	log_mark(r->s, &place, &lsn);
	pthread_mutex_unlock(&r->s->lock);
	sched_yield();
	pthread_mutex_lock(&r->s->lock);
	rig_switch(r, &place, lsn);
	pthread_mutex_unlock(&r->s->lock);
}

static uint64_t append_mine(struct crowd *c, uint64_t name)
{
	uint8_t		      key[8], zeros[3000] = { 0 };
	struct store_mutation m = {
		.change = STORE_PUT, .tree = 4, .key = { key, 8 }, .val = { zeros, name * 37 % sizeof(zeros) }
	};
	uint64_t lsn = 0;

	put64(key, name);
	while (!lsn) {
		pthread_mutex_lock(&c->rig.s->lock);
		if (log_fits(c->rig.s, record_bytes(&m, 1))) {
			lsn	      = rig_append(&c->rig, &m, 1);
			c->owner[lsn] = name;
		}
		pthread_mutex_unlock(&c->rig.s->lock);
		if (!lsn)
			sched_yield();
	}
	return lsn;
}

static void *member(void *arg)
{
	struct member *m = arg;
	struct crowd  *c = m->crowd;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		uint64_t  lsn = append_mine(c, m->id << 32 | i);
		struct op op;

		if (i % 5 == 4)
			continue; /* relaxed */
		if (i % 2) {
			assert_ok(store_commit(c->rig.s, lsn));
		} else {
			op_init(&op, NULL, NULL, 0);
			assert_ok(op_begin(&op, &c->calls));
			if (store_commit_async(c->rig.s, lsn, &op) && i % 4)
				store_flush_log(c->rig.s);
			assert_ok(op_wait(&op, -1));
		}
		assert_true(c->rig.s->log.durable >= lsn);
		c->acked = MAX(c->acked, lsn);
	}
	return NULL;
}

static void *checkpointer(void *arg)
{
	struct crowd *c = arg;

	while (!c->over) {
		if (log_used(c->rig.s) > 375)
			checkpoint_beside(&c->rig);
		store_flush_log(c->rig.s);
		sched_yield();
	}
	return NULL;
}

static struct crowd crowd;

static int compare_owner(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	(void)s, (void)extents;
	assert_int_equal(n, 1);
	assert_int_equal(get64(muts->key.ptr), crowd.owner[lsn]);
	return 0;
}

static void test_threads(void **state)
{
	struct member members[THREADS];
	pthread_t     other;
	uint64_t      batches, lsn, used;

	(void)state;
	rig_make_mem(&crowd.rig, "mem:1M", 64);
	rig_open(&crowd.rig);
	assert_int_equal(pthread_create(&other, NULL, checkpointer, &crowd), 0);
	for (uint64_t i = 0; i < THREADS; i++) {
		members[i] = (struct member){ .crowd = &crowd, .id = i };
		assert_int_equal(pthread_create(&members[i].thread, NULL, member, &members[i]), 0);
	}
	for (uint64_t i = 0; i < THREADS; i++)
		pthread_join(members[i].thread, NULL);
	crowd.over = true;
	pthread_join(other, NULL);
	lsn  = crowd.rig.s->log.lsn;
	used = crowd.rig.s->log.used;
	log_release(crowd.rig.s,
		    &(struct log_place){ crowd.rig.sb.log_pos, crowd.rig.sb.log_seq, crowd.rig.sb.log_epoch, { { 0 } } });
	assert_int_equal(crowd.rig.s->log.used, used); /* counted up from releases while groups were written, or at once */
	assert_int_equal(lsn, THREADS * ROUNDS);
	rig_shut(&crowd.rig);
	rig_open(&crowd.rig);
	assert_ok(log_replay(crowd.rig.s, compare_owner, &batches));
	assert_true(crowd.rig.s->log.lsn >= crowd.acked);
	rig_end(&crowd.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
