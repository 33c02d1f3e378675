/* SPDX-License-Identifier: Apache-2.0 */
/* store/apply.c: one batch, all of it or nothing.
 *
 * In this order: large values to extents (no lock), then under store->lock conditions, pages, space and room in the log (`prepare`:
 * nothing has changed yet, and anything may fail), then the record, then the changes: a failure in these fails the store, and the
 * record, which nobody has acknowledged, may or may not survive. */
#include "internal.h"

struct batch {
	struct store_mutation *muts;
	size_t		       n;
	unsigned	       flags;
	uint64_t	      *lsn;
	size_t		      *failed;	/* may be NULL */
	uint64_t	       bytes;	/* of its record */
	uint64_t	       blocks;	/* that it may take, beside what its entries fill */
	uint64_t	       entries; /* bytes of them */
	bool		       adds;	/* it has a put: the reserve is not for it */
	struct run_list	       freed;	/* of values that it replaces */
	struct store_value   **made;	/* values that were made for it, by index; NULL: none */
};

static uint32_t inline_max(const struct store *s)
{
	return s->node_bytes / 4;
}

static int check_shape(const struct store_mutation *m)
{
	if (m->change == STORE_DROP)
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
		b->made = calloc(b->n, sizeof(struct store_value *));
	if (!b->made)
		return fail(NOMEM, "no memory for a batch of %zu changes", b->n);
	rc = store_value_new(s, &b->made[i]);
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
	int rc = b->n ? 0 : fail(INVAL, "the batch is empty");

	for (size_t i = 0; !rc && i < b->n; i++) {
		struct store_mutation *m = &b->muts[i];

		rc = check_shape(m);
		if (rc || m->change != STORE_PUT)
			continue;
		if (m->value)
			rc = value_finish(m->value);
		else if (m->val.len > inline_max(s))
			rc = make_value(s, b, i, flags);
	}
	return rc;
}

static int compare_keys(const void *a, const void *b)
{
	const struct store_mutation *x = *(struct store_mutation *const *)a, *y = *(struct store_mutation *const *)b;

	return x->tree != y->tree ? (x->tree > y->tree) - (x->tree < y->tree) : key_compare(x->key, y->key);
}

static int check_duplicates(const struct batch *b)
{
	const struct store_mutation **sorted;
	int			      rc = 0;

	if (b->n == 1)
		return 0;
	sorted = malloc(b->n * sizeof(struct store_mutation *));
	if (!sorted)
		return fail(NOMEM, "no memory for a batch of %zu changes", b->n);
	for (size_t i = 0; i < b->n; i++)
		sorted[i] = &b->muts[i];
	qsort(sorted, b->n, sizeof(sorted[0]), compare_keys);
	for (size_t i = 1; !rc && i < b->n; i++)
		if (sorted[i]->change != STORE_DROP && compare_keys(&sorted[i - 1], &sorted[i]) == 0)
			rc = fail(INVAL, "a key of %zu bytes stands twice in the batch: a batch may change a key once",
				  sorted[i]->key.len);
	free(sorted);
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
static uint64_t path_blocks(struct store *s, const struct path *path)
{
	uint64_t node = blob_blocks(ROUND_UP(s->node_bytes, BLOCK)), sum = 0;

	for (unsigned i = 0; i < path->depth; i++) {
		struct frame *f = path->frames[i];

		if (f->mark == s->batch)
			continue;
		f->mark = s->batch;
		sum += node + blob_blocks(ROUND_UP(f->need, BLOCK));
	}
	return sum;
}

static int prepare_one(struct store *s, struct batch *b, struct store_mutation *m)
{
	struct leaf_value old = { 0 };
	struct path	  path;
	struct tree	 *t;
	int		  rc = tree_open(s, m->tree, &t);

	if (!rc && m->change == STORE_DROP && s->nowait) /* no single page is wanted: so the next try waits */
		rc = fail(AGAIN, "the whole tree must be read");
	if (rc || m->change == STORE_DROP)
		return rc;
	rc = tree_find(s, t, m->key, &path);
	if (!rc && path.found)
		old = leaf_value(path.frames[path.depth - 1], path.slots[path.depth - 1]);
	rc = rc ? rc : check_condition(m, path.found, old.revision);
	if (!rc && old.extents)
		rc = value_runs(s, old.bytes, old.len, &b->freed);
	b->blocks += path_blocks(s, &path);
	if (m->change == STORE_PUT) {
		b->adds = true;
		b->entries += LEAF_KEY + 4 + m->key.len + MIN(m->val.len, EXT_BYTES_MAX + inline_max(s));
	}
	path_release(&path);
	return rc;
}

/* Makes the memory budget hold: dirty pages are written when they are half of it. */
static int relieve(struct store *s)
{
	if (s->cache.dirty_bytes <= s->cache.budget / 2)
		return 0;
	return s->nowait ? fail(AGAIN, "dirty pages must be written first") : tree_flush_all(s);
}

static int log_room(struct store *s, const struct batch *b)
{
	if (b->bytes > log_record_max(s))
		return fail(REC2BIG, "the batch's log record has %llu bytes, the log takes %llu: split the batch",
			    (unsigned long long)b->bytes, (unsigned long long)log_record_max(s));
	if (log_fits(s, b->bytes))
		return 0;
	return s->nowait ? fail(AGAIN, "a checkpoint must empty the log first") : checkpoint(s, s->log.epoch);
}

static int prepare(struct store *s, struct batch *b)
{
	size_t node = blob_blocks(ROUND_UP(s->node_bytes, BLOCK));
	int    rc   = check_duplicates(b);

	rc	   = rc ? rc : log_room(s, b); /* a checkpoint here makes pages clean: so it comes first */
	rc	   = rc ? rc : relieve(s);
	b->blocks  = 3 * node;
	b->entries = 0;
	b->adds	   = false;
	b->freed.n = 0;
	s->batch++;
	for (size_t i = 0; !rc && i < b->n; i++) {
		rc = prepare_one(s, b, &b->muts[i]);
		if (rc && b->failed)
			*b->failed = i;
	}
	/* a page that splits is half full, and a key may stand in an inner page too */
	return rc ? rc : space_make(s, b->blocks + DIV_UP(3 * b->entries, BLOCK), b->adds);
}

static int apply_one(struct store *s, const struct store_mutation *m, const struct leaf_value *val)
{
	struct tree *t;
	int	     rc = tree_open(s, m->tree, &t);

	if (rc)
		return rc;
	if (m->change == STORE_DROP)
		return tree_drop(s, t);
	if (m->change == STORE_PUT)
		return tree_put(s, t, m->key, val);
	rc = tree_del(s, t, m->key);
	return rc == -TARN_E_NONEXIST ? 0 : rc;
}

static void free_runs(struct store *s, const struct run_list *runs)
{
	for (size_t i = 0; i < runs->n; i++)
		space_free_later(&s->space, runs->runs[i].block, runs->runs[i].n);
}

static int change(struct store *s, struct batch *b, uint64_t lsn)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < b->n; i++) {
		uint8_t		  desc[EXT_BYTES_MAX];
		struct leaf_value val = { b->muts[i].val.ptr, (uint32_t)b->muts[i].val.len, false, lsn };

		if (b->muts[i].change == STORE_PUT && value_of(b, i)) {
			value_describe(value_of(b, i), desc, &val.len);
			val.bytes   = desc;
			val.extents = true;
		}
		rc = apply_one(s, &b->muts[i], &val);
		rc = rc || b->flags & STORE_NOWAIT ? rc : relieve(s);
	}
	return rc;
}

static void settle(struct store *s, struct batch *b)
{
	free_runs(s, &b->freed);
	for (size_t i = 0; i < b->n; i++) {
		if (b->muts[i].change == STORE_PUT && value_of(b, i))
			value_consume(value_of(b, i));
		if (b->made)
			b->made[i] = NULL;
	}
}

/* The record names values by their descriptors, so the mutations show the made ones meanwhile. */
static void show_made(struct batch *b, bool show)
{
	for (size_t i = 0; b->made && i < b->n; i++)
		if (b->made[i])
			b->muts[i].value = show ? b->made[i] : NULL;
}

/* Nothing has been changed: all that could fail for a reason has been tried. */
static int commit_to(struct store *s, struct batch *b)
{
	int rc = log_append(s, b->muts, b->n, b->bytes, b->lsn);

	if (rc)
		return rc;
	s->nowait = false; /* a page that has been evicted since must be read now, whoever waits */
	rc	  = change(s, b, *b->lsn);
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
	b->bytes = log_record_bytes(b->muts, b->n);
	rc	 = prepare(s, b);
	rc	 = rc ? rc : commit_to(s, b);
	show_made(b, false);
	if (!rc)
		settle(s, b);
	return rc;
}

int store_apply(struct store *s, struct store_mutation *muts, size_t n, unsigned flags, uint64_t *lsn, size_t *failed)
{
	struct batch b	= { .muts = muts, .n = n, .flags = flags, .lsn = lsn, .failed = failed };
	int	     rc = check_batch(s, &b, flags);

	rc = rc ? rc : store_run(s, flags, apply, &b);
	for (size_t i = 0; b.made && i < n; i++)
		store_value_free(b.made[i]);
	free(b.made);
	free(b.freed.runs);
	return rc;
}

/* A batch from the log: it was possible once, on the same trees. */
int apply_replayed(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	int rc = relieve(s);

	for (size_t i = 0; !rc && i < n; i++) {
		struct leaf_value val	= { muts[i].val.ptr, (uint32_t)muts[i].val.len, extents[i], lsn }, old;
		struct run_list	  freed = { 0 };
		struct path	  path;
		struct tree	 *t;

		rc = tree_open(s, muts[i].tree, &t);
		if (rc)
			return rc;
		rc = muts[i].change == STORE_DROP ? (path.depth = 0, path.found = false, 0) : tree_find(s, t, muts[i].key, &path);
		old = !rc && path.found ? leaf_value(path.frames[path.depth - 1], path.slots[path.depth - 1])
					: (struct leaf_value){ 0 };
		if (!rc && old.extents)
			rc = value_runs(s, old.bytes, old.len, &freed);
		path_release(&path);
		rc = rc ? rc : apply_one(s, &muts[i], &val);
		rc = rc ? rc : relieve(s);
		free_runs(s, &freed);
		free(freed.runs);
	}
	return rc;
}
