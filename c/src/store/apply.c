/* SPDX-License-Identifier: Apache-2.0 */
/* store/apply.c: one batch, all of it or nothing.
 *
 * In this order: large values to extents (no lock), then under store->lock conditions, pages, space and room in the log (`prepare`:
 * nothing has changed yet, and anything may fail), then the record, then the changes: a failure in these fails the store, and the
 * record, which nobody has acknowledged, may or may not survive. */
#include "defer.h"
#include "filter.h"
#include "finger.h"
#include "late.h"
#include "record.h"
#include "rows.h"
#include "seek.h"

struct batch {
	struct store_mutation *muts;
	size_t		       n, all; /* changes; these, and the checks behind them */
	unsigned	       flags;
	uint64_t	      *lsn;
	size_t		      *failed;	 /* may be NULL */
	uint64_t	       bytes;	 /* of its record */
	uint64_t	       blocks;	 /* that it may take, beside what its entries fill */
	uint64_t	       entries;	 /* bytes of them */
	uint64_t	       gives;	 /* pages that it may give up */
	uint64_t	       pages;	 /* bytes of those that it changes, which must all be in memory in the end */
	unsigned	       freezes;	 /* changes of whole trees */
	bool		       defers;	 /* path ends above the leaf, which is not in memory: the put is put off */
	bool		       large;	 /* it has waited for memory */
	bool		       adds;	 /* it has a put: the reserve is not for it */
	uint64_t	       pace;	 /* nanoseconds that it should take longer */
	unsigned	       relieved; /* how often it has waited for space */
	struct run_list	       freed;	 /* of values that it replaces */
	struct store_value   **made;	 /* values that were made for it, by index; NULL: none */
	struct aim	      *aims;	 /* where its keys are, or belong, by index; NULL: not looked for */
	struct tree	      *tree;	 /* of a batch of one: where the key is, or belongs */
	struct path	       path;
	struct aim	       one; /* of a batch of one */
};

static uint32_t inline_max(const struct store *s)
{
	return MIN(s->node_bytes / 2, LEAF_VALUE_MAX);
}

/* A batch of one finds its key once. */
static bool is_single(const struct batch *b)
{
	return b->all == 1;
}

static int check_shape(const struct store_mutation *m)
{
	if (m->tree == 0 || m->tree == TREE_SNAPS || m->tree == TREE_DEAD)
		return fail(INVAL, "tree %llu is the engine's own", (unsigned long long)m->tree);
	if (!mutation_names_key(m))
		return 0;
	if (!m->key.len)
		return fail(INVAL, "the key is empty");
	if (m->key.len > STORE_KEY_MAX)
		return fail(KEY2BIG, "a key may have %u bytes, this one has %zu", STORE_KEY_MAX, m->key.len);
	if (m->val.len > TARN_VALUE_MAX)
		return fail(REC2BIG, "a value may have %llu bytes, this one has %zu", (unsigned long long)TARN_VALUE_MAX,
			    m->val.len);
	return 0;
}

static int make_value(struct store *s, struct batch *b, size_t i, unsigned flags)
{
	int rc;

	if (flags & STORE_NOWAIT)
		return fail(AGAIN, "the value must be written first");
	if (!b->made)
		b->made = calloc(b->all, sizeof(struct store_value *));
	if (!b->made)
		return fail(NOMEM, "no memory for a batch of %zu changes", b->n);
	rc = store_value_new(s, &b->made[i]);
	if (!rc && flags & STORE_COMMITS && is_single(b))
		value_may_be_late(b->made[i]);
	rc = rc ? rc : store_value_append(b->made[i], b->muts[i].val.ptr, b->muts[i].val.len);
	return rc ? rc : value_finish(b->made[i]);
}

/* The value of a put, when it is in extents. */
static struct store_value *value_of(const struct batch *b, size_t i)
{
	return b->made && b->made[i] ? b->made[i] : b->muts[i].value;
}

static int check_batch(struct store *s, struct batch *b, unsigned flags)
{
	int rc = b->all ? 0 : fail(INVAL, "the batch is empty");

	for (size_t i = 0; !rc && i < b->all; i++) {
		struct store_mutation *m = &b->muts[i];

		rc = check_shape(m);
		if (!rc && b->n < i && m->change != STORE_CHECK)
			rc = fail(INVAL, "a change stands behind a check in a batch");
		b->n += m->change != STORE_CHECK;
		if (rc || m->change != STORE_PUT)
			continue;
		if (m->value)
			rc = value_finish(m->value);
		else if (m->val.len > inline_max(s))
			rc = make_value(s, b, i, flags);
	}
	return rc;
}

static int check_condition(const struct store_mutation *m, bool there, uint64_t revision)
{
	switch (m->cond) {
	case TARN_COND_INSERT:
		return there ? fail(EXIST, "the key is there already, and the condition is that it is not") : 0;
	case TARN_COND_UPDATE:
		return there ? 0 : fail(NONEXIST, "the key is not there, and the condition is that it is");
	case TARN_COND_REVISION:
		if (revision == m->revision)
			return 0;
		return fail(TX_RESTART, "the key has revision %llu, the condition is %llu: read it again",
			    (unsigned long long)revision, (unsigned long long)m->revision);
	case TARN_COND_NONE:
		return 0;
	}
	return fail(INVAL, "%d is not a condition", (int)m->cond);
}

/* The pages that a change may make dirty, each once a batch, and one more for each that may split. Dirty ones count too: a
 * checkpoint may come in between. */
static void count_path(struct store *s, struct batch *b, const struct path *path)
{
	for (unsigned i = 0; i < path->depth; i++) {
		struct frame *f = path->frames[i];

		b->gives++;
		if (!is_single(b) && f->mark == s->batch)
			continue;
		if (!is_single(b)) /* else a page is there only once, and others who look at it need not be disturbed */
			f->mark = s->batch;
		b->blocks += blob_blocks(tree_new_cap(s, node_level(f->page))) + blob_blocks(f->cap);
		b->pages += f->cap;
	}
}

static int prepare_tree(struct store *s, struct batch *b, struct tree *t, const struct store_mutation *m)
{
	if (m->change == STORE_UNSNAP && !snap_exists(t, m->revision))
		return fail(NONEXIST, "there is no snapshot of epoch %llu", (unsigned long long)m->revision);
	return snap_reserve(s, t, ++b->freezes);
}

static int old_runs(struct store *s, struct batch *b, const struct tree *t, const struct leaf_value *old)
{
	size_t from = b->freed.n;
	int    rc;

	if (s->nowait && value_has_index(old->bytes))
		return fail(AGAIN, "the value's index must be read");
	rc = value_runs(s, old->bytes, old->len, &b->freed);
	for (size_t i = from; i < b->freed.n; i++)
		b->freed.runs[i].tree = t->id;
	return rc;
}

/* What stands under the key, when it is there. */
static struct leaf_value found_value(const struct path *path)
{
	const struct frame *f = path->depth ? path->frames[path->depth - 1] : NULL;

	return path->found ? node_value(f->page, f->cap, path->slots[path->depth - 1]) : (struct leaf_value){ 0 };
}

/* What a put without a condition replaces it need not know. */
static bool can_defer(struct store *s, const struct batch *b, const struct store_mutation *m, const struct path *path)
{
	return is_single(b) && m->change == STORE_PUT && m->cond == TARN_COND_NONE && !value_of(b, 0) &&
	       m->val.len <= inline_max(s) && defer_ready(s, path, m->key, m->val.len);
}

static void count_put(const struct store *s, struct batch *b, const struct store_mutation *m)
{
	b->adds = true;
	b->entries += LEAF_KEY + SLOT_BYTES + m->key.len + MIN(m->val.len, EXT_BYTES_MAX + inline_max(s));
}

static void prepare_deferred(struct store *s, struct batch *b, const struct store_mutation *m)
{
	s->wanted = (struct wanted){ 0 };
	b->defers = true;
	count_path(s, b, &b->path);
	count_put(s, b, m);
	b->blocks += defer_blocks(s);
	b->gives++;
}

/* NULL: it has to be found. A delete may join pages, and wants them all; so does what comes after a snapshot, which makes copies of them. */
static const struct aim *aim_of(struct store *s, const struct batch *b, const struct tree *t, const struct store_mutation *m)
{
	const struct aim *aim = b->aims && m->change != STORE_DEL && !b->freezes ? &b->aims[m - b->muts] : NULL;

	return aim && aim_stands(s, t, aim) ? aim : NULL;
}

static int prepare_found(struct store *s, struct batch *b, struct tree *t, struct store_mutation *m, struct path *path)
{
	struct leaf_value old = found_value(path);
	int		  rc  = check_condition(m, path->found, old.revision);

	if (m->change == STORE_CHECK)
		return rc;
	if (!rc && old.extents)
		rc = old_runs(s, b, t, &old);
	if (!rc && m->change == STORE_DEL && path->found)
		rc = tree_want_neighbour(s, t, path);
	count_path(s, b, path);
	if (m->change == STORE_PUT)
		count_put(s, b, m);
	return rc;
}

/* A path from the root has shown where the leaf is. */
static void remember_leaf(struct store *s, const struct tree *t, tarn_buf key, const struct path *path)
{
	uint64_t    life = finger_life(t);
	struct spot spot;
	unsigned    d = path->depth - 1;

	if (!path->depth || !life)
		return;
	spot	     = (struct spot){ .frame = path->frames[d], .slot = path->slots[d], .found = path->found };
	spot.version = atomic_load_explicit(&spot.frame->version, memory_order_relaxed);
	finger_set(s, life, finger_hash(s, life, key), key, &spot);
}

/* The put is put off on the path of an aim, which is pinned as that of tree_find() is. false: it cannot be. */
static bool prepare_above(struct store *s, struct batch *b, const struct aim *aim, const struct store_mutation *m)
{
	aim_path(aim, &b->path);
	if (!can_defer(s, b, m, &b->path)) {
		b->path.depth = 0;
		return false;
	}
	for (unsigned i = 0; i < b->path.depth; i++)
		cache_pin(b->path.frames[i]);
	prepare_deferred(s, b, m);
	return true;
}

#define MUCH 8u /* of the budget: puts that were put off */

/* The leaf is in memory, where there is too little to make a page dirty for one key, and the put need not change it: it is to be written, or being
 * written, as it is; or it becomes a view, and what the put makes of it has room there. */
static bool may_stay(const struct store *s, const struct tree *t, const struct store_mutation *m, const struct path *path)
{
	const struct frame *leaf  = path->frames[path->depth - 1];
	bool		    waits = leaf->dirty ? leaf->gen <= t->gen : !cache_is_written(s, leaf);
	struct leaf_value   old	  = found_value(path);

	if (waits)
		return cache_is_full(s) || s->defer.used > s->cache.budget / MUCH;
	return !leaf->dirty && path->found && !old.extents && m->val.len <= old.len && cache_is_full(s);
}

static bool prepare_beside(struct store *s, struct batch *b, const struct store_mutation *m, struct path *path)
{
	struct frame *leaf = path->depth > 1 ? path->frames[path->depth - 1] : NULL;

	if (!leaf || !may_stay(s, b->tree, m, path))
		return false;
	path->depth--;
	if (!can_defer(s, b, m, path)) {
		path->depth++;
		return false;
	}
	cache_unpin(leaf);
	prepare_deferred(s, b, m);
	return true;
}

static int prepare_key(struct store *s, struct batch *b, struct tree *t, struct store_mutation *m, struct path *path)
{
	const struct aim *aim = aim_of(s, b, t, m);
	int		  rc;

	if (aim && aim->above) {
		if (prepare_above(s, b, aim, m))
			return 0;
		aim = NULL;
	}
	if (!aim) {
		rc = tree_find(s, t, m->key, path);
		if (rc == -TARN_E_AGAIN && can_defer(s, b, m, path)) {
			prepare_deferred(s, b, m);
			return 0;
		}
		if (!rc && prepare_beside(s, b, m, path))
			return 0;
		if (!rc && path->depth && m->change == STORE_PUT && !path->found)
			seek_prefetch_room(path->frames[path->depth - 1], m->key, m->val);
		if (!rc && is_single(b))
			remember_leaf(s, t, m->key, path);
		return rc ? rc : prepare_found(s, b, t, m, path);
	}
	aim_path(aim, path);
	rc	    = prepare_found(s, b, t, m, path);
	path->depth = 0; /* nothing of it is pinned */
	return rc;
}

static int prepare_one(struct store *s, struct batch *b, struct store_mutation *m)
{
	struct tree *t;
	int	     rc = tree_open(s, m->tree, 0, &t);

	if (rc)
		return rc;
	if (!mutation_names_key(m))
		return prepare_tree(s, b, t, m);
	b->tree = t;
	rc	= prepare_key(s, b, t, m, &b->path);
	if (rc || !is_single(b))
		path_release(&b->path);
	return rc;
}

#define PAGES_SPARE (32u << 20) /* beyond the budget, at the most */

/* The rest of the budget may be dirty already. What is put off may leave too little: it keeps back while such a batch waits. */
static int memory_room(struct store *s, struct batch *b)
{
	uint64_t most = s->cache.budget / 4 + PAGES_SPARE;

	if (b->pages <= most && dirty_memory(s) + b->pages <= pace_pages_limit(s) + most)
		return 0;
	if (b->pages <= most) {
		s->large_waits = b->large = true;
		return NEEDS_CHECKPOINT;
	}
	return fail(REC2BIG,
		    "the batch changes %llu KiB of pages, and a cache of this size takes %llu KiB at once: split the batch",
		    (unsigned long long)b->pages / 1024, (unsigned long long)most / 1024);
}

static int log_room(struct store *s, const struct batch *b)
{
	if (b->bytes > log_record_max(s))
		return fail(REC2BIG, "the batch's log record has %llu bytes, the log takes %llu: split the batch",
			    (unsigned long long)b->bytes, (unsigned long long)log_record_max(s));
	return log_fits(s, b->bytes) ? 0 : NEEDS_CHECKPOINT;
}

/* Pages that a snapshot needs get a note each, at the most; changes of whole trees rename notes that there are. */
static uint64_t notes_blocks(struct store *s, const struct batch *b)
{
	const struct tree *dead	 = tree_peek(s, TREE_DEAD, 0);
	uint64_t	   notes = b->gives + b->freed.n + (b->freezes && dead ? dead->keys + s->checkpoint.dead_n : 0);

	return DIV_UP(notes * 128, s->node_bytes) * blob_blocks(tree_new_cap(s, 0));
}

static int space_room(struct store *s, struct batch *b)
{
	/* a page that splits is half full, and a key may stand in an inner page too */
	int rc = space_make(s, b->blocks + notes_blocks(s, b) + DIV_UP(3 * b->entries, BLOCK), b->adds);

	if (rc == NEEDS_CHECKPOINT && b->relieved++ == 4)
		rc = fail(NOSPACE, "%llu KiB are needed, and four checkpoints did not free them: delete something",
			  (unsigned long long)(b->blocks * BLOCK + 3 * b->entries) / 1024);
	return rc;
}

static int prepare(struct store *s, struct batch *b)
{
	int rc = log_room(s, b);

	rc	   = rc || !pace_is_full(s) ? rc : NEEDS_CHECKPOINT;
	b->blocks  = 3 * blob_blocks(tree_new_cap(s, 1));
	b->entries = b->gives = 0;
	b->freezes	      = 0;
	b->adds = b->defers = false;
	b->freed.n	    = 0;
	s->batch++;
	b->pages = 0;
	for (size_t i = 0; !rc && i < b->all; i++) {
		rc = prepare_one(s, b, &b->muts[i]);
		if (rc < 0 && b->failed)
			*b->failed = i;
	}
	rc = rc ? rc : memory_room(s, b);
	rc = rc ? rc : tree_spare(s, b->freezes); /* opening trees has taken some */
	rc = rc ? rc : space_room(s, b);
	rc = rc ? rc : space_reserve(&s->space);
	return rc ? rc : dead_reserve(s, 2 * b->gives + 2 * b->n + b->freed.n + s->defer.noted);
}

static int put_or_del(struct store *s, struct batch *b, const struct store_mutation *m, struct tree *t,
		      const struct leaf_value *val)
{
	const struct aim *aim;
	int		  rc;

	if (b->defers)
		return defer_put(s, t, &b->path, m->key, val);
	aim = aim_of(s, b, t, m);
	if (aim && !aim->above && m->change == STORE_PUT)
		return tree_put_leaf(s, t, aim, m->key, val);
	if (!is_single(b)) {
		rc = m->change == STORE_PUT ? tree_put(s, t, m->key, val) : tree_del(s, t, m->key);
		return rc == -TARN_E_NONEXIST ? 0 : rc;
	}
	if (m->change == STORE_PUT)
		return b->path.depth ? tree_put_at(s, t, &b->path, m->key, val) : tree_put(s, t, m->key, val);
	return b->path.found ? tree_del_at(s, t, &b->path) : 0;
}

static int apply_one(struct store *s, struct batch *b, const struct store_mutation *m, const struct leaf_value *val, uint64_t lsn)
{
	struct tree *t	= b->tree;
	int	     rc = t && t->id == m->tree ? 0 : tree_open(s, m->tree, 0, &t);

	if (rc)
		return rc;
	if (mutation_names_key(m))
		return put_or_del(s, b, m, t, val);
	if (m->change == STORE_DROP)
		tree_drop(s, t);
	else if (m->change == STORE_SNAP)
		snap_create(s, t, lsn);
	else
		snap_destroy(s, t, m->revision);
	return 0;
}

static void free_runs(struct store *s, const struct run_list *runs)
{
	for (size_t i = 0; i < runs->n; i++) {
		const struct run *r = &runs->runs[i];
		struct tree	 *t = tree_peek(s, r->tree, 0);

		tree_free_run(s, r->tree, t ? tree_needed(t, r->birth) : 0, r->birth, r->block, r->n);
	}
}

static int change(struct store *s, struct batch *b, uint64_t lsn)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < b->n; i++) {
		uint8_t		  desc[EXT_BYTES_MAX];
		struct leaf_value val = { b->muts[i].val.ptr, (uint32_t)b->muts[i].val.len, false, lsn };

		if (b->muts[i].change == STORE_PUT && value_of(b, i)) {
			value_describe(value_of(b, i), desc, &val.len);
			value_set_birth(desc, s->gen);
			val.bytes   = desc;
			val.extents = true;
		}
		rc = apply_one(s, b, &b->muts[i], &val, lsn);
	}
	return rc;
}

static void settle(struct store *s, struct batch *b)
{
	uint64_t log = b->n ? s->log.used_then : log_used(s);

	for (size_t i = 0; i < b->n; i++) {
		if (b->muts[i].change == STORE_PUT && value_of(b, i))
			value_consume(value_of(b, i));
		if (b->made)
			b->made[i] = NULL;
	}
	rows_yield(s);
	pace_tell_due(s, log);
	b->pace = pace_ns(s, log);
}

/* The record names values by their descriptors, so the mutations show the made ones meanwhile. */
static void show_made(struct batch *b, bool show)
{
	for (size_t i = 0; b->made && i < b->n; i++)
		if (b->made[i])
			b->muts[i].value = show ? b->made[i] : NULL;
}

/* Nothing has been changed: all that could fail for a reason has been tried. What old values take is given up before their trees may be
 * frozen by this batch. */
static int commit_to(struct store *s, struct batch *b)
{
	int rc = log_append(s, b->muts, b->n, b->bytes, b->lsn);

	if (rc)
		return rc;
	s->nowait = false; /* a page that has been evicted since must be read now, whoever waits */
	filter_put(s, b->muts, b->n);
	rows_begin(s, b->muts, b->n);
	if (b->n > 1)
		atomic_fetch_add(&s->batches, 1);
	free_runs(s, &b->freed);
	rc = change(s, b, *b->lsn);
	if (b->n > 1)
		atomic_fetch_add(&s->batches, 1);
	rows_end(s, b->muts, b->n, rc ? 0 : *b->lsn);
	if (rc)
		store_poison(s, rc);
	return rc;
}

static int apply(struct store *s, void *arg)
{
	struct batch *b	 = arg;
	int	      rc = store_writable(s);

	if (rc)
		return rc;
	show_made(b, true);
	b->bytes = record_bytes(b->muts, b->n);
	rc	 = prepare(s, b);
	if (!rc && !b->n)
		*b->lsn = s->log.lsn; /* nothing changes: who commits that waits for what the checks have seen */
	else if (!rc)
		rc = commit_to(s, b);
	show_made(b, false);
	path_release(&b->path);
	if (!rc)
		settle(s, b);
	return rc;
}

/* Others that wait say so again. */
static void large_ends(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->large_waits = false;
	pthread_mutex_unlock(&s->lock);
}

/* A single change that has the lock for itself finds its key at least as quickly there, when no finger knows it. No lock. Without memory for aims it goes
 * without. */
static void take_aim(struct store *s, struct batch *b)
{
	bool alone = b->all == 1 && !atomic_load_explicit(&s->meets, memory_order_relaxed);

	filter_come(s, b->muts, b->n);
	b->aims = is_single(b) ? &b->one : malloc(b->all * sizeof(*b->aims));
	if (b->aims)
		aim_all(s, b->muts, b->all, !alone, b->aims);
}

/* rc: of its batch. */
static int commit_late(struct store *s, int rc, uint64_t lsn)
{
	bool named = !rc;

	rc = rc ? rc : store_commit(s, lsn);
	late_give(s, named);
	return rc;
}

int store_apply(struct store *s, struct store_mutation *muts, size_t n, unsigned flags, uint64_t *lsn, size_t *failed)
{
	struct batch b;
	bool	     late;
	int	     rc;

	memset(&b, 0, offsetof(struct batch, path));
	b.muts = muts, b.all = n, b.flags = flags, b.lsn = lsn, b.failed = failed;
	b.path.depth = 0;
	rc	     = check_batch(s, &b, flags);
	rc	     = rc ? rc : check_duplicates(s, muts, n);
	late	     = b.made && b.made[0] && value_is_late(b.made[0]);
	if (!rc)
		take_aim(s, &b);
	rc = rc ? rc : store_run(s, flags, apply, &b);
	if (late)
		rc = commit_late(s, rc, *lsn);
	for (size_t i = 0; b.made && i < n; i++)
		store_value_free(b.made[i]);
	free(b.made);
	free(b.freed.runs);
	if (b.aims != &b.one)
		free(b.aims);
	if (b.large)
		large_ends(s);
	if (b.pace && !(flags & STORE_NOWAIT))
		pace_rest(b.pace);
	return rc;
}

/* ---- a batch from the log: it was possible once, on the same trees. At open: there is nobody else ---- */

static int replay_room(struct store *s)
{
	bool full = pace_is_full(s) || s->checkpoint.frozen_n >= 32; /* not within a batch */

	return full ? make_room(s) : 0;
}

/* Reads what is missing, but for a leaf whose put can be put off: else one that proves damaged would keep the pool from being opened. */
static int replay_path(struct store *s, struct batch *b, struct tree *t, const struct store_mutation *m,
		       const struct leaf_value *val)
{
	for (unsigned tries = 0; tries < DEPTH_MAX; tries++) {
		struct frame *f;
		int	      rc;

		s->nowait = true;
		rc	  = tree_find(s, t, m->key, &b->path);
		s->nowait = false;
		b->defers = rc == -TARN_E_AGAIN && m->change == STORE_PUT && !val->extents &&
			    defer_ready(s, &b->path, m->key, val->len);
		if (rc != -TARN_E_AGAIN || b->defers)
			return b->defers ? 0 : rc;
		path_release(&b->path);
		rc = cache_get(s, s->wanted.tree, &s->wanted.ptr, &f);
		if (rc)
			return rc;
		cache_unpin(f);
	}
	return tree_find(s, t, m->key, &b->path);
}

static int replay_find(struct store *s, struct batch *b, struct tree *t, const struct store_mutation *m,
		       const struct leaf_value *val)
{
	int		  rc = replay_path(s, b, t, m, val);
	struct leaf_value old;

	if (rc || b->defers)
		return rc;
	old = found_value(&b->path);
	return old.extents ? old_runs(s, b, t, &old) : 0;
}

static int replay_one(struct store *s, struct batch *b, struct store_mutation *m, const struct leaf_value *val)
{
	struct tree *t;
	int	     rc = tree_open(s, m->tree, 0, &t);

	b->tree = t;
	if (!rc && !mutation_names_key(m)) {
		rc = snap_reserve(s, t, 1);
		if (rc == NEEDS_CHECKPOINT)
			rc = fail(CSUM, "a batch of the log has more snapshots than there can be in one");
		if (!rc && m->change == STORE_UNSNAP && !snap_exists(t, m->revision))
			return fail(CSUM, "the log destroys a snapshot that is not there");
	}
	if (!rc && mutation_names_key(m))
		rc = replay_find(s, b, t, m, val);
	rc = rc ? rc : dead_reserve(s, 2 * DEPTH_MAX + b->freed.n + s->defer.noted);
	if (!rc)
		free_runs(s, &b->freed);
	rc = rc ? rc : apply_one(s, b, m, val, val->revision);
	path_release(&b->path);
	return rc;
}

int apply_replayed(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	int rc = replay_room(s);

	for (size_t i = 0; !rc && i < n; i++) {
		struct leaf_value val = { muts[i].val.ptr, (uint32_t)muts[i].val.len, extents[i], lsn };
		uint8_t		  desc[EXT_BYTES_MAX];
		struct batch	  b;
		if (extents[i]) { /* its birth is now: generations may have another number than when it was put */
			memcpy(desc, val.bytes, val.len);
			value_set_birth(desc, s->gen);
			val.bytes = desc;
		}

		memset(&b, 0, offsetof(struct batch, path));
		b.n = b.all = 1, b.path.depth = 0;
		rc = replay_one(s, &b, &muts[i], &val);
		free(b.freed.runs);
	}
	if (!rc)
		s->log.lsn = lsn; /* what a checkpoint before the next batch has */
	return rc;
}
