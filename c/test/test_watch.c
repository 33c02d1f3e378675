/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_watch.c: watches of a store, against a model, over checkpoints, laps of the log, closes and power cuts.
 *
 * The model has what was applied with each lsn; after a cut, what is above the store's last lsn never was. Each watcher knows the mutation
 * that it is to see next, and sees that or nothing. What it has seen is never taken back. A value that is read where the log says it lies
 * is that of its change, or gone; while the key still has it, it is not gone. N is the number of histories. */
#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/feed.h"
#include "store_tools.h"

#define LSN_MAX	 6000u
#define MUTS	 6u
#define TREES	 3u
#define TREE	 20u
#define WATCHERS 5u
#define SIZE	 (8u << 20)

struct mut {
	uint8_t	 tree, key[6];
	bool	 deleted;
	uint32_t len;
	uint64_t fill;
};
struct record {
	struct mut muts[MUTS];
	size_t	   n;
};
struct watcher {
	struct store_watch *watch;
	unsigned	    tree;
	uint8_t		    prefix[2];
	size_t		    prefix_len, seen; /* seen: mutations of record next */
	uint64_t	    next;	      /* the record that comes next */
	uint64_t	    at, position;     /* as the last call said: revision + 1 */
	bool		    keys_only;
};
struct world {
	struct rng	 rng;
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*s;
	struct record	 records[LSN_MAX + 1];
	uint64_t	 applied, shown, acked; /* lsn */
	struct watcher	 watchers[WATCHERS];
	uint64_t	 changes, gone, cuts, closes, parts, skips, large, lost, small;
};

static struct world w; /* large, and one at a time */

static uint64_t below(uint64_t n)
{
	return rng_below(&w.rng, n);
}

static bool one_in(uint64_t n)
{
	return below(n) == 0;
}

/* ---- changes ---- */

static void describe(struct mut *m, size_t i)
{
	*m	  = (struct mut){ .tree = (uint8_t)below(TREES), .deleted = one_in(5), .fill = rng_next(&w.rng) | 1 };
	m->key[0] = (uint8_t)('a' + below(3));
	m->key[1] = (uint8_t)('a' + below(2));
	m->key[2] = (uint8_t)i; /* once in a batch */
	m->key[3] = (uint8_t)below(20);
	m->len	  = (uint32_t)below(one_in(4) ? 3000 : 100);
	if (one_in(12))
		m->len = 9000 + (uint32_t)below(20000);
}

/* What a test writes must fit, so deletions of all keep the trees small: keys are few. */
static int apply(void)
{
	static uint8_t	      vals[MUTS][32768];
	struct record	      r = { .n = 1 + below(MUTS) };
	struct store_mutation muts[MUTS];
	uint64_t	      lsn;
	int		      rc;

	if (one_in(2))
		r.n = 1;
	for (size_t i = 0; i < r.n; i++) {
		struct mut *m = &r.muts[i];

		describe(m, i);
		test_fill(vals[i], ROUND_UP(m->len, 8u), m->fill);
		muts[i] = (struct store_mutation){ .change = m->deleted ? STORE_DEL : STORE_PUT,
						   .tree   = TREE + m->tree,
						   .key	   = { m->key, sizeof(m->key) },
						   .val	   = { vals[i], m->deleted ? 0 : m->len } };
	}
	rc = store_apply(w.s, muts, r.n, 0, &lsn, NULL);
	if (rc)
		return rc;
	assert_int_equal(lsn, w.applied + 1);
	w.applied      = lsn;
	w.records[lsn] = r;
	return 0;
}

static int commit(void)
{
	uint64_t lsn = w.applied;
	int	 rc  = store_commit(w.s, lsn);

	if (!rc)
		w.acked = MAX(w.acked, lsn);
	return rc;
}

/* ---- watchers ---- */

static bool wants(const struct watcher *x, const struct mut *m)
{
	return m->tree == x->tree && memcmp(m->key, x->prefix, x->prefix_len) == 0;
}

/* The mutation that it is to see next, up to revision `last`; NULL: there is none. Its place moves there. */
static const struct mut *next_wanted(struct watcher *x, uint64_t last)
{
	for (; x->next <= last; x->next++, x->seen = 0) {
		const struct record *r = &w.records[x->next];

		for (; x->seen < r->n; x->seen++)
			if (wants(x, &r->muts[x->seen]))
				return &r->muts[x->seen];
	}
	return NULL;
}

/* How it was asked for changes. */
struct asked {
	size_t	 cap;
	uint64_t values;
};

static bool is_omitted(const tarn_entry *e, const struct mut *m, const struct asked *how)
{
	if (how->values)
		return m->len > how->values;
	return m->len > 2048 || sizeof(*e) + e->key_len + m->len > how->cap; /* 2048: half a node */
}

/* The key has got another value since, or none. */
static void check_gone(const tarn_entry *e, const struct mut *m)
{
	uint64_t revision = 0;
	size_t	 len	  = 0;
	int rc = store_get(w.s, (struct store_at){ .tree = TREE + m->tree }, (tarn_buf){ m->key, sizeof(m->key) }, NULL, &len,
			   &revision, 0);

	if (sim_is_cut(w.disk))
		return;
	assert_true(m->len > 2048 && (rc == -TARN_E_NONEXIST || (rc == 0 && revision > e->revision)));
	w.lost++;
}

static void check_value(const tarn_entry *e, const uint8_t *val, const struct mut *m, bool keys_only, const struct asked *how)
{
	static uint8_t want[32768];

	if (m->deleted) {
		assert_int_equal(e->flags, TARN_ENTRY_DELETED | TARN_ENTRY_OMITTED);
		return;
	}
	assert_int_equal(e->val_len, m->len);
	if (keys_only || is_omitted(e, m, how)) {
		assert_int_equal(e->flags, TARN_ENTRY_OMITTED);
	} else if (e->flags) {
		assert_int_equal(e->flags, TARN_ENTRY_OMITTED | TARN_ENTRY_GONE);
		check_gone(e, m);
	} else {
		test_fill(want, ROUND_UP(m->len, 8u), m->fill);
		assert_memory_equal(val, want, m->len);
		w.large += m->len > 2048;
	}
}

static void check_entry(struct watcher *x, const uint8_t *at, const tarn_changes *out, const struct asked *how)
{
	const tarn_entry *e = (const void *)at;
	const struct mut *m = next_wanted(x, e->revision);

	assert_non_null(m);
	assert_int_equal(e->revision, x->next);
	assert_int_equal(e->key_len, sizeof(m->key) - 1); /* one byte is left out */
	assert_memory_equal(at + sizeof(*e), m->key + 1, sizeof(m->key) - 1);
	check_value(e, at + sizeof(*e) + e->key_len, m, x->keys_only, how);
	w.parts += e->revision > out->revision;
	w.changes++;
	x->seen++;
}

static size_t entry_bytes(const tarn_entry *e)
{
	return ROUND_UP(sizeof(*e) + e->key_len + (e->flags & TARN_ENTRY_OMITTED ? 0 : e->val_len), (size_t)8);
}

/* Of the record that comes next, so many that it wants have been seen. */
static uint64_t position(const struct watcher *x)
{
	uint64_t n = 0;

	for (size_t i = 0; i < x->seen; i++)
		n += wants(x, &w.records[x->next].muts[i]);
	return n;
}

static void check_batch(struct watcher *x, const uint8_t *buf, const tarn_changes *out, const struct asked *how)
{
	const uint8_t *at = buf;

	for (uint32_t i = 0; i < out->count; i++) {
		check_entry(x, at, out, how);
		at += entry_bytes((const void *)at);
	}
	assert_true(out->revision <= w.applied && out->latest <= w.applied && out->revision <= out->latest);
	assert_null(next_wanted(x, out->revision)); /* nothing was left out */
	w.shown = MAX(w.shown, out->revision);
	assert_int_equal(x->next, out->revision + 1);
	assert_int_equal(position(x), out->position);
	x->at	    = x->next;
	x->position = out->position;
}

static void drop(struct watcher *x)
{
	if (x->watch)
		store_watch_close(x->watch);
	x->watch = NULL;
}

static struct store_watch_options options_of(struct watcher *x)
{
	return (struct store_watch_options){ .tree	= TREE + x->tree,
					     .start	= x->next,
					     .prefix	= { x->prefix, x->prefix_len },
					     .strip	= 1,
					     .keys_only = x->keys_only };
}

/* In the middle of a batch, or at its beginning. */
static void go_on(struct watcher *x)
{
	if (x->seen && x->next == x->at && !one_in(3)) {
		assert_ok(store_watch_skip(x->watch, x->position));
		w.skips += x->position > 0;
	} else {
		x->seen = 0;
	}
}

/* Goes on where it was. When that is gone it begins with the oldest that there is. */
static int join(struct watcher *x)
{
	struct store_watch_options o = options_of(x);
	tarn_changes		   now;
	int			   rc = store_watch_open(w.s, &o, &now, &x->watch);

	if (rc == -TARN_E_EP_OLD) {
		assert_true(now.oldest > x->next && now.oldest <= now.latest + 1);
		w.gone++;
		x->next = o.start = now.oldest;
		x->seen		  = 0;
		rc		  = store_watch_open(w.s, &o, &now, &x->watch);
	}
	if (!rc)
		go_on(x);
	return rc;
}

static int look(struct watcher *x)
{
	static uint64_t buf[8192];
	struct asked	how = { .cap = one_in(3) ? 40 + below(3000) : sizeof(buf), .values = one_in(3) ? 0 : 1 + below(40000) };
	tarn_changes	out;
	int		rc = x->watch ? 0 : join(x);

	rc = rc ? rc : store_watch_next(x->watch, how.values, buf, how.cap, &out, 0);
	if (rc == -TARN_E_REC2BIG) {
		assert_true(out.used > how.cap && out.used <= sizeof(buf) && !out.count);
		how.cap = out.used;
		rc	= store_watch_next(x->watch, how.values, buf, how.cap, &out, 0);
		w.small++;
		assert_true(rc != -TARN_E_REC2BIG);
	}
	if (rc == -TARN_E_EP_OLD) {
		assert_true(out.oldest > x->next);
		drop(x);
		return join(x);
	}
	if (!rc)
		check_batch(x, (const uint8_t *)buf, &out, &how);
	return rc;
}

static void new_watcher(struct watcher *x)
{
	*x	      = (struct watcher){ .tree = (unsigned)below(TREES), .next = 1, .keys_only = one_in(4) };
	x->prefix[0]  = (uint8_t)('a' + below(3));
	x->prefix[1]  = (uint8_t)('a' + below(2));
	x->prefix_len = below(3);
}

/* ---- the store ---- */

static void open_store(void)
{
	assert_ok(sim_open(w.disk, &w.dev));
	assert_ok(store_open(w.dev, &(struct store_options){ .cache_bytes = 1 << 20 }, &w.s));
	assert_true(w.s->log.lsn >= w.shown && w.s->log.lsn >= w.acked); /* nothing is taken back */
	assert_true(w.s->log.lsn <= w.applied);
	w.applied = w.acked = w.s->log.lsn;
}

static void leave(void)
{
	for (unsigned i = 0; i < WATCHERS; i++)
		drop(&w.watchers[i]);
}

static uint64_t oldest(void)
{
	uint64_t first, last, applied;

	feed_range(w.s, &first, &last, &applied);
	return first;
}

/* What could be read before a close can be after it: a checkpoint writes nothing to the log. */
static void close_and_open(void)
{
	uint64_t	first;
	struct watcher *x = &w.watchers[0];

	assert_ok(commit());
	leave();
	assert_ok(join(x));
	first = oldest();
	drop(x);
	assert_ok(store_close(w.s));
	device_close(w.dev);
	open_store();
	assert_ok(join(x));
	assert_int_equal(oldest(), first);
	w.closes++;
}

static void cut(void)
{
	leave();
	store_abandon(w.s);
	device_close(w.dev);
	sim_restore_power(w.disk, (enum sim_cut)below(SIM_CUT_POLICIES));
	open_store();
	w.cuts++;
}

static int act(void)
{
	switch (below(12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		return apply();
	case 4:
	case 5:
		return commit();
	case 6:
		return one_in(6) ? store_checkpoint(w.s) : 0;
	case 7:
		if (sim_is_cut(w.disk) || !one_in(30))
			return sim_is_cut(w.disk);
		sim_set_cut_after(w.disk, 0);
		close_and_open();
		return 0;
	case 8:
		if (one_in(20))
			drop(&w.watchers[below(WATCHERS)]);
		return 0;
	default:
		return look(&w.watchers[one_in(2) ? below(WATCHERS) : 0]); /* the others fall behind */
	}
}

static void begin(uint64_t log_bytes)
{
	struct store_format f	 = { .node_bytes = 4096, .log_bytes = log_bytes };
	uint64_t	    seed = rng_next(&w.rng);

	test_fill(f.pool.bytes, 16, seed);
	test_fill(f.target.bytes, 16, seed + 1);
	assert_ok(sim_disk_create(SIZE, seed, &w.disk));
	assert_ok(sim_open(w.disk, &w.dev));
	assert_ok(store_format(w.dev, &f));
	device_close(w.dev);
	w.applied = w.acked = w.shown = 0;
	open_store();
	for (unsigned i = 0; i < WATCHERS; i++)
		new_watcher(&w.watchers[i]);
}

static void end(void)
{
	leave();
	assert_ok(store_check(w.s, NULL));
	assert_ok(store_close(w.s));
	device_close(w.dev);
	sim_disk_destroy(w.disk);
}

/* Every watcher sees all that is durable. */
static void catch_up(void)
{
	for (unsigned i = 0; i < WATCHERS; i++) {
		struct watcher *x = &w.watchers[i];

		do
			assert_ok(look(x));
		while (next_wanted(x, w.s->log.durable));
	}
}

static void history(unsigned steps)
{
	begin((uint64_t)16 * BLOCK << below(3));
	for (unsigned i = 0; i < steps && w.applied < LSN_MAX - 1; i++) {
		if (one_in(150))
			sim_set_cut_after(w.disk, 1 + below(12));
		if (act() && sim_is_cut(w.disk))
			cut();
	}
	if (sim_is_cut(w.disk) || one_in(2))
		cut();
	sim_set_cut_after(w.disk, 0);
	catch_up();
	end();
}

/* ---- a value whose space is used again ---- */

static void put_size(uint8_t key, uint32_t len, uint64_t fill)
{
	static uint8_t	      val[65536];
	uint64_t	      lsn;
	struct store_mutation m = { .change = STORE_PUT, .tree = TREE, .key = { &key, 1 }, .val = { val, len } };

	test_fill(val, sizeof(val), fill);
	assert_ok(store_apply(w.s, &m, 1, 0, &lsn, NULL));
	assert_ok(store_commit(w.s, lsn));
}

/* The flags of the change of revision 1, a value of 60,000 bytes. */
static uint32_t first_flags(void)
{
	static uint64_t		   buf[8192];
	static uint8_t		   want[65536];
	struct store_watch_options o = { .tree = TREE, .start = 1 };
	const tarn_entry	  *e = (const void *)buf;
	tarn_changes		   out;
	struct store_watch	  *watch;

	assert_ok(store_watch_open(w.s, &o, &out, &watch));
	assert_ok(store_watch_next(watch, 65536, buf, sizeof(buf), &out, 0));
	store_watch_close(watch);
	test_fill(want, sizeof(want), 1);
	assert_true(out.count && e->revision == 1 && e->val_len == 60000);
	if (!e->flags)
		assert_memory_equal((const uint8_t *)(e + 1) + e->key_len, want, 60000);
	return e->flags;
}

/* It is there as long as the key has it, whatever else happens, and may be there for a while afterwards; then it is gone, and says so. */
static void test_gone_value(void **state)
{
	unsigned rounds = 0;

	(void)state;
	memset(&w, 0, sizeof(w));
	rng_seed(&w.rng, 1);
	begin(SIZE / 2);
	put_size('k', 60000, 1);
	for (unsigned i = 0; i < 60; i++) { /* of 4 MiB */
		put_size('x', 65536, 2);
		put_size('y', 65536, 3);
		assert_ok(store_checkpoint(w.s));
		assert_int_equal(first_flags(), 0);
	}
	put_size('k', 10, 4);
	for (; rounds < 300 && !first_flags(); rounds++) {
		put_size('x', 65536, 5 + rounds);
		put_size('y', 65536, 6 + rounds);
		assert_ok(store_checkpoint(w.s));
	}
	assert_true(rounds > 0);
	assert_int_equal(first_flags(), TARN_ENTRY_OMITTED | TARN_ENTRY_GONE);
	print_message("# gone after %u checkpoints\n", rounds);
	end();
}

static void test_histories(void **state)
{
	uint64_t n = test_number("N", 40), seed = test_seed();

	(void)state;
	memset(&w, 0, sizeof(w));
	for (uint64_t i = 0; i < n; i++) {
		rng_seed(&w.rng, seed + i);
		history(1500);
	}
	print_message("# %" PRIu64 " changes seen (%" PRIu64 " of them before the rest of their batch, %" PRIu64
		      " times gone on with in its middle), %" PRIu64 " times gone, %" PRIu64 " cuts, %" PRIu64 " closes; %" PRIu64
		      " large values, %" PRIu64 " of which were gone, %" PRIu64 " buffers too small\n",
		      w.changes, w.parts, w.skips, w.gone, w.cuts, w.closes, w.large + w.lost, w.lost, w.small);
	assert_true(w.changes && w.parts && w.skips && w.gone && w.cuts && w.closes && w.large && w.small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_gone_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
