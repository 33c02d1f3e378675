/* SPDX-License-Identifier: Apache-2.0 */
/* test/crash_model.c: the workload, the oracle, and the comparison. */
#include "crash.h"

#include "../src/store/internal.h"
#include <stdio.h>
#include <stdlib.h>

static int wrong(struct crash *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int wrong(struct crash *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	return 1;
}

static uint64_t below(struct crash *c, uint64_t n)
{
	return rng_below(&c->rng, n);
}

static bool one_in(struct crash *c, uint64_t n)
{
	return below(c, n) == 0;
}

/* Key k: its number, then bytes that depend on it; a few keys are long. */
static tarn_buf key_of(const struct crash *c, unsigned k, uint8_t *buf)
{
	size_t len = k % 16 == 7 ? 8 + k * 37 % (c->key_max - 8) : 6 + k % 11;

	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(k * 31 + i * 7 % 5);
	buf[0]	     = (uint8_t)(k / 40);
	buf[len - 2] = (uint8_t)(k >> 8);
	buf[len - 1] = (uint8_t)k;
	return (tarn_buf){ buf, len };
}

static uint64_t entry_hash(unsigned tree, tarn_buf key, const void *val, size_t len)
{
	uint64_t parts[4] = { tree, hash64(key.ptr, key.len), hash64(val, len), len };

	return hash64(parts, sizeof(parts)) | 1;
}

static void set(struct crash *c, unsigned tree, unsigned k, uint64_t hash)
{
	c->sum += hash - c->hash[tree][k];
	c->hash[tree][k] = hash;
}

static int open_store(struct crash *c)
{
	struct store_options options = { .cache_bytes = c->cache_bytes };
	int		     rc	     = sim_open(c->disk, &c->dev);

	rc = rc ? rc : store_open(c->dev, &options, &c->store);
	if (rc && c->dev) {
		device_close(c->dev);
		c->dev = NULL;
	}
	return rc;
}

static void count_put_off(struct crash *c)
{
	struct store_stat st;

	store_stat(c->store, &st);
	c->put_off += st.put_off;
	c->spilled += st.spilled;
}

static void abandon(struct crash *c)
{
	if (c->store) {
		count_put_off(c);
		store_abandon(c->store);
	}
	if (c->dev)
		device_close(c->dev);
	c->store = NULL;
	c->dev	 = NULL;
}

/* More data than the least that a cache has, in leaves that can be put off. */
static void make_cold(struct crash *c, struct store_format *format, uint64_t *size)
{
	c->cold		   = true;
	c->cache_bytes	   = 64 * 1024;
	c->value_max	   = one_in(c, 4) ? 6000 : 2000;
	format->node_bytes = one_in(c, 4) ? 16384 : 4096;
	*size		   = (UINT64_C(6) << 20) + below(c, 8) * 4096;
}

int crash_begin(struct crash *c, uint64_t seed)
{
	static const uint32_t nodes[] = { 512, 1024, 4096, 16384 };
	struct store_format   format  = { .meta = "crash", .meta_len = 5 };
	uint64_t	      size;
	int		      rc;

	*c = (struct crash){ .seed = seed };
	rng_seed(&c->rng, seed * UINT64_C(0x9e3779b97f4a7c15) + 1);
	size		  = (UINT64_C(512) << below(c, 4)) * 1024 + below(c, 8) * 4096;
	format.node_bytes = nodes[below(c, ARRAY_LEN(nodes))];
	format.log_bytes  = (UINT64_C(64) << below(c, 2)) * 1024;
	c->cache_bytes	  = UINT64_C(64) * 1024 << below(c, 5);
	c->value_max	  = one_in(c, 3) ? 40000 : one_in(c, 2) ? 6000 : 300;
	c->key_max	  = one_in(c, 4) ? 9000 : 400;
	if (hash64(&seed, sizeof(seed)) % 3 == 0)
		make_cold(c, &format, &size);
	memcpy(format.pool.bytes, &seed, sizeof(seed));
	rc = sim_disk_create(size, seed, &c->disk);
	rc = rc ? rc : sim_open(c->disk, &c->dev);
	rc = rc ? rc : store_format(c->dev, &format);
	if (c->dev)
		device_close(c->dev);
	c->dev = NULL;
	rc     = rc ? rc : open_store(c);
	return rc ? wrong(c, "begin: %s: %s", tarn_errname(rc), base_message()) : 0;
}

void crash_end(struct crash *c)
{
	abandon(c);
	sim_disk_destroy(c->disk);
}

static size_t value_length(struct crash *c)
{
	return c->cold || one_in(c, 6) ? below(c, c->value_max) : below(c, 120);
}

static void *value_bytes(struct crash *c, size_t len)
{
	uint8_t *buf  = malloc(len + 8);
	uint64_t word = rng_next(&c->rng);

	for (size_t i = 0; i < len; i += 8, word = word * 6364136223846793005u + 1)
		memcpy(buf + i, &word, 8);
	return buf;
}

struct planned {
	struct store_mutation *muts;
	uint64_t	      *hashes; /* 0: deleted */
	unsigned	      *keys;
	unsigned	       n;
};

static struct planned plan(struct crash *c, unsigned n)
{
	struct planned p     = { calloc(n, sizeof(*p.muts)), calloc(n, sizeof(*p.hashes)), calloc(n, sizeof(*p.keys)), n };
	unsigned       first = (unsigned)below(c, CRASH_KEYS), step = one_in(c, 2) ? 1 : 7;

	for (unsigned i = 0; i < n; i++) {
		struct store_mutation *m    = &p.muts[i];
		uint8_t		      *key  = malloc(c->key_max + 16);
		unsigned	       tree = (unsigned)below(c, CRASH_TREES);

		p.keys[i] = (first + i * step) % CRASH_KEYS;
		m->tree	  = CRASH_TREE + tree;
		m->key	  = key_of(c, p.keys[i], key);
		m->change = one_in(c, c->cold ? 10 : 3) ? STORE_DEL : STORE_PUT;
		if (m->change == STORE_DEL)
			continue;
		m->val.len  = value_length(c);
		m->val.ptr  = value_bytes(c, m->val.len);
		p.hashes[i] = entry_hash(tree, m->key, m->val.ptr, m->val.len);
	}
	return p;
}

static void plan_free(struct planned *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		free((void *)p->muts[i].key.ptr);
		free((void *)p->muts[i].val.ptr);
	}
	free(p->muts);
	free(p->hashes);
	free(p->keys);
}

/* Committed is what there is now. */
static void settle(struct crash *c)
{
	for (unsigned i = 0; i < CRASH_SNAPS; i++) {
		c->snaps[i].certain = true;
		if (c->snaps[i].dying)
			c->snaps[i] = (struct crash_snap){ 0 };
	}
	c->committed = c->sum;
	c->ndoubt    = 0;
}

static void note(struct crash *c, const struct planned *p, uint64_t lsn)
{
	for (unsigned i = 0; i < p->n; i++)
		set(c, (unsigned)(p->muts[i].tree - CRASH_TREE), p->keys[i], p->hashes[i]);
	c->doubt[c->ndoubt++] = (struct doubt){ lsn, c->sum };
}

/* Nothing has changed, and work goes on: no room, or an I/O failed before the first change and the store is as it was. */
static bool harmless(struct crash *c, int rc)
{
	struct store_stat st;

	c->nospace += rc == -TARN_E_NOSPACE;
	if (rc != -TARN_E_IO || sim_is_cut(c->disk))
		return rc == -TARN_E_NOSPACE || rc == -TARN_E_REC2BIG;
	c->errors++;
	store_stat(c->store, &st);
	return !st.readonly;
}

static int do_batch(struct crash *c)
{
	struct planned p       = plan(c, one_in(c, c->cold ? 20 : 4) ? 1 + (unsigned)below(c, 30) : 1);
	tarn_buf       key     = p.muts[0].key;
	bool	       commits = one_in(c, 2);
	uint64_t       lsn     = 0;
	int	       rc;

	atomic_store(&c->store->meets, ((const uint8_t *)key.ptr)[key.len - 1] & 1); /* as if another thread had the lock */
	rc = store_apply(c->store, p.muts, p.n, commits ? STORE_COMMITS : 0, &lsn, NULL);

	if (lsn) /* with an error: it could not be committed, and may survive all the same */
		note(c, &p, lsn);
	plan_free(&p);
	if (rc)
		return harmless(c, rc) ? 0 : rc;
	if (!commits && c->ndoubt < CRASH_DOUBT && one_in(c, 3))
		return 0;
	rc = store_commit(c->store, one_in(c, 2) ? 0 : lsn);
	if (!rc)
		settle(c);
	return rc;
}

static int do_get(struct crash *c)
{
	unsigned tree = (unsigned)below(c, CRASH_TREES), k = (unsigned)below(c, CRASH_KEYS);
	uint8_t *key = malloc(c->key_max + 16), *val = malloc(c->value_max + 128);
	tarn_buf kb  = key_of(c, k, key);
	size_t	 len = c->value_max + 128;
	int	 rc  = store_get(c->store, live(CRASH_TREE + tree), kb, val, &len, NULL, 0);
	uint64_t got = rc == 0 ? entry_hash(tree, kb, val, len) : 0;

	if (rc == -TARN_E_NONEXIST || (rc && harmless(c, rc)))
		got = rc == -TARN_E_NONEXIST ? 0 : c->hash[tree][k], rc = 0;
	if (!rc && got != c->hash[tree][k])
		rc = wrong(c, "get of key %u in tree %u: wrong value", k, tree);
	free(key);
	free(val);
	return rc;
}

static int do_drop(struct crash *c)
{
	struct store_mutation m = { .change = STORE_DROP, .tree = CRASH_TREE + below(c, CRASH_TREES) };
	uint64_t	      lsn;
	int		      rc = store_apply(c->store, &m, 1, 0, &lsn, NULL);

	if (rc)
		return harmless(c, rc) ? 0 : rc;
	for (unsigned k = 0; k < CRASH_KEYS; k++)
		set(c, (unsigned)(m.tree - CRASH_TREE), k, 0);
	for (unsigned i = 0; i < CRASH_SNAPS; i++)
		c->snaps[i].dying |= c->snaps[i].tree == m.tree - CRASH_TREE;
	c->doubt[c->ndoubt++] = (struct doubt){ lsn, c->sum };
	rc		      = store_commit(c->store, lsn);
	if (!rc)
		settle(c);
	return rc;
}

static int do_take(struct crash *c, struct crash_snap *snap)
{
	struct store_mutation m = { .change = STORE_SNAP, .tree = CRASH_TREE + below(c, CRASH_TREES) };
	uint64_t	      lsn;
	int		      rc = store_apply(c->store, &m, 1, 0, &lsn, NULL);

	if (rc)
		return harmless(c, rc) ? 0 : rc;
	*snap = (struct crash_snap){ .epoch = lsn, .tree = (unsigned)(m.tree - CRASH_TREE) };
	memcpy(snap->hash, c->hash[snap->tree], sizeof(snap->hash));
	if (one_in(c, 2))
		return 0;
	rc = store_commit(c->store, lsn);
	if (!rc)
		settle(c);
	return rc;
}

static int do_destroy(struct crash *c, struct crash_snap *snap)
{
	struct store_mutation m = { .change = STORE_UNSNAP, .tree = CRASH_TREE + snap->tree, .revision = snap->epoch };
	uint64_t	      lsn;
	int		      rc = store_apply(c->store, &m, 1, 0, &lsn, NULL);

	if (rc)
		return harmless(c, rc) ? 0 : rc;
	snap->dying = true;
	rc	    = store_commit(c->store, lsn);
	if (!rc)
		settle(c);
	return rc;
}

static int read_snap(struct crash *c, const struct crash_snap *snap, unsigned k)
{
	uint8_t	       *key = malloc(c->key_max + 16), *val = malloc(c->value_max + 128);
	tarn_buf	kb  = key_of(c, k, key);
	size_t		len = c->value_max + 128;
	struct store_at at  = { CRASH_TREE + snap->tree, snap->epoch };
	int		rc  = store_get(c->store, at, kb, val, &len, NULL, 0);
	uint64_t	got = rc == 0 ? entry_hash(snap->tree, kb, val, len) : 0;

	free(key);
	free(val);
	if (rc && rc != -TARN_E_NONEXIST)
		return harmless(c, rc) ? 0 : rc;
	return got == snap->hash[k] ? 0
				    : wrong(c, "key %u of the snapshot %llu of tree %u: wrong value", k,
					    (unsigned long long)snap->epoch, snap->tree);
}

static int do_snap(struct crash *c)
{
	struct crash_snap *snap = &c->snaps[below(c, CRASH_SNAPS)];

	if (snap->dying)
		return 0;
	if (!snap->epoch)
		return do_take(c, snap);
	return one_in(c, 3) ? do_destroy(c, snap) : read_snap(c, snap, (unsigned)below(c, CRASH_KEYS));
}

static int do_checkpoint(struct crash *c)
{
	int rc = store_checkpoint(c->store);

	if (!rc)
		settle(c);
	return rc;
}

static int do_reopen(struct crash *c)
{
	int rc;

	count_put_off(c);
	rc	 = store_close(c->store);
	c->store = NULL;
	device_close(c->dev);
	c->dev = NULL;
	if (!rc)
		settle(c);
	return rc ? rc : open_store(c);
}

/* All entries of all trees: their sum, and that counting agrees with listing. */
static int read_all(struct crash *c, uint64_t *sum)
{
	size_t	 cap = 128 * 1024, room = c->value_max + 128;
	uint8_t *buf = malloc(cap), *val = malloc(room);
	int	 rc = 0;

	*sum = 0;
	for (unsigned tree = 0; !rc && tree < CRASH_TREES; tree++) {
		struct store_range range = { .flags = TARN_RANGE_KEYS_ONLY };
		tarn_listing	   out	 = { .more = 1 };
		uint64_t	   count, listed = 0;
		uint8_t		   last[16384];

		while (!rc && out.more) {
			rc = store_list(c->store, live(CRASH_TREE + tree), &range, 0, buf, cap, &out, 0);
			for (size_t at = 0; !rc && at < out.used;) {
				const tarn_entry *e   = (const void *)(buf + at);
				tarn_buf	  key = { e + 1, e->key_len };
				size_t		  len = room;

				rc = store_get(c->store, live(CRASH_TREE + tree), key, val, &len, NULL, 0);
				*sum += rc ? 0 : entry_hash(tree, key, val, len);
				memcpy(last, key.ptr, key.len);
				range.start = (tarn_buf){ last, key.len };
				range.flags |= TARN_RANGE_AFTER;
				at += ROUND_UP(sizeof(*e) + e->key_len, 8);
				listed++;
			}
		}
		rc = rc ? rc : store_count(c->store, live(CRASH_TREE + tree), &(struct store_range){ .flags = 0 }, &count, 0);
		if (!rc && count != listed)
			rc = wrong(c, "tree %u: %llu keys counted, %llu listed", tree, (unsigned long long)count,
				   (unsigned long long)listed);
	}
	free(buf);
	free(val);
	return rc;
}

static int one_operation(struct crash *c)
{
	int rc;

	c->operations++;
	switch (below(c, 40)) {
	case 0:
		return do_checkpoint(c);
	case 1:
		return one_in(c, 4) ? do_drop(c) : do_get(c);
	case 2:
		return c->cold || one_in(c, 4) ? do_reopen(c) : do_get(c);
	case 3:
		return do_get(c);
	case 4:
	case 5:
	case 6:
		return do_snap(c);
	default:
		rc = do_batch(c);
		return rc || !c->cold || one_in(c, 2) ? rc : spill_now(c->store, true);
	}
}

/* Arms the next misfortune. */
static void arm(struct crash *c, uint64_t ios)
{
	static const tarn_dev_opcode kinds[] = { TARN_DEV_READ, TARN_DEV_WRITE, TARN_DEV_WRITE, TARN_DEV_FLUSH };

	if (one_in(c, 4))
		sim_fail_nth(c->disk, kinds[below(c, ARRAY_LEN(kinds))], 1 + below(c, ios / 2), one_in(c, 4));
	sim_set_cut_after(c->disk, 1 + below(c, ios));
}

static void disarm(struct crash *c)
{
	sim_set_cut_after(c->disk, 0);
	sim_fail_nth(c->disk, TARN_DEV_READ, 0, false);
	sim_fail_nth(c->disk, TARN_DEV_WRITE, 0, false);
	sim_fail_nth(c->disk, TARN_DEV_FLUSH, 0, false);
}

static int recover(struct crash *c)
{
	for (unsigned depth = 0;; depth++) {
		int rc;

		c->points++;
		c->nested += depth > 0;
		sim_restore_power(c->disk, SIM_CUT_RANDOM);
		disarm(c);
		if (depth < 4 && one_in(c, 2))
			sim_set_cut_after(c->disk, 1 + below(c, 24));
		rc = open_store(c);
		if (!rc) {
			disarm(c);
			return 0;
		}
		if (!sim_is_cut(c->disk))
			return wrong(c, "recovery: %s: %s", tarn_errname(rc), base_message());
	}
}

static bool listed(const uint64_t *epochs, size_t n, uint64_t epoch)
{
	for (size_t i = 0; i < n; i++)
		if (epochs[i] == epoch)
			return true;
	return false;
}

/* The snapshots of a tree: each is as it was, or could not be there. */
static int compare_snaps(struct crash *c, unsigned tree)
{
	uint64_t epochs[CRASH_SNAPS + 2];
	size_t	 n = ARRAY_LEN(epochs), known = 0;
	int	 rc = store_snapshots(c->store, CRASH_TREE + tree, 0, epochs, &n);

	for (unsigned i = 0; !rc && i < CRASH_SNAPS; i++) {
		struct crash_snap *snap = &c->snaps[i];

		if (!snap->epoch || snap->tree != tree)
			continue;
		if (listed(epochs, n, snap->epoch)) {
			known++;
			for (unsigned k = 0; !rc && k < CRASH_KEYS; k++)
				rc = read_snap(c, snap, k);
			snap->dying = false;
		} else if (snap->certain && !snap->dying) {
			rc = wrong(c, "the snapshot %llu of tree %u is gone", (unsigned long long)snap->epoch, tree);
		} else {
			*snap = (struct crash_snap){ 0 };
		}
		snap->certain = true;
	}
	if (!rc && known != n)
		rc = wrong(c, "tree %u has %zu snapshots, %zu of them are known", tree, n, known);
	return rc < 0 ? wrong(c, "snapshots: %s: %s", tarn_errname(rc), base_message()) : rc;
}

/* Which keys differ from the oracle is what a person wants to know. */
static int compare(struct crash *c)
{
	uint64_t sum;
	int	 rc = read_all(c, &sum);

	if (rc)
		return rc < 0 ? wrong(c, "reading all: %s: %s", tarn_errname(rc), base_message()) : rc;
	if (sum == c->committed)
		return 0;
	for (unsigned i = 0; i < c->ndoubt; i++)
		if (sum == c->doubt[i].sum)
			return 0;
	return wrong(c, "the contents are neither what was committed nor that with the first of %u batches in doubt", c->ndoubt);
}

/* Takes over what the store has as what it should have. */
static int adopt(struct crash *c)
{
	size_t	 room = c->value_max + 128;
	uint8_t *key = malloc(c->key_max + 16), *val = malloc(room);
	int	 rc = 0;

	for (unsigned tree = 0; !rc && tree < CRASH_TREES; tree++)
		for (unsigned k = 0; !rc && k < CRASH_KEYS; k++) {
			tarn_buf kb  = key_of(c, k, key);
			size_t	 len = room;

			rc = store_get(c->store, live(CRASH_TREE + tree), kb, val, &len, NULL, 0);
			set(c, tree, k, rc ? 0 : entry_hash(tree, kb, val, len));
			rc = rc == -TARN_E_NONEXIST ? 0 : rc;
		}
	free(key);
	free(val);
	settle(c);
	return rc;
}

int crash_point(struct crash *c)
{
	int rc = c->cold ? do_reopen(c) : 0; /* what has been compared is in memory */

	if (rc)
		return wrong(c, "opening again: %s: %s", tarn_errname(rc), base_message());
	arm(c, 4 + below(c, one_in(c, 4) ? 1200 : 150));
	do
		rc = one_operation(c);
	while (!rc);
	if (rc > 0)
		return rc;
	if (!sim_is_cut(c->disk) && rc != -TARN_E_IO && rc != -TARN_E_EP_RO)
		return wrong(c, "an operation failed without a reason: %s: %s", tarn_errname(rc), base_message());
	abandon(c);
	rc = recover(c);
	rc = rc ? rc : compare(c);
	for (unsigned tree = 0; !rc && tree < CRASH_TREES; tree++)
		rc = compare_snaps(c, tree);
	if (!rc && store_check(c->store, NULL))
		rc = wrong(c, "check: %s", base_message());
	if (!rc && c->ndoubt && adopt(c))
		rc = wrong(c, "reading again: %s", base_message());
	return rc;
}
