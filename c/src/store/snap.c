/* SPDX-License-Identifier: Apache-2.0 */
/* store/snap.c: freezes, snapshots, and the blocks that only they need.
 *
 * A snapshot is a frozen root. Blocks that its tree gives up later, and that are as old as it, are `dead`: they are noted under the
 * newest snapshot that needs them. When that one goes, what is younger than the snapshot before it is free, and the rest is noted under
 * that. So neither taking a snapshot nor writing beside a thousand of them costs more than one does. The notes, and the records of
 * snapshots, are in trees that only checkpoints change: until then they wait in memory, and the log has the reason for them. */
#include "finger.h"

#define LEAVING	    (UINT64_MAX - 1) /* the id of a snapshot that is gone but not written yet */
#define PENDING_MAX 64u

uint64_t tree_needed(const struct tree *t, uint64_t birth)
{
	const struct snapshot *last = t->snaps_n ? &t->snaps[t->snaps_n - 1] : NULL;

	return last && last->gen >= birth ? last->gen : 0;
}

/* The same, of the snapshots that are not younger than `upto`. */
static uint64_t needed_upto(const struct tree *t, uint64_t birth, uint64_t upto)
{
	for (size_t i = t ? t->snaps_n : 0; i-- > 0;)
		if (t->snaps[i].gen <= upto)
			return t->snaps[i].gen >= birth ? t->snaps[i].gen : 0;
	return 0;
}

/* The same, as of the freeze: with the snapshots that have been destroyed since. */
static uint64_t needed_at_freeze(const struct store *s, uint64_t tree, uint64_t birth, uint64_t upto)
{
	const struct checkpoint *c	= &s->checkpoint;
	uint64_t		 needed = needed_upto(tree_peek((struct store *)s, tree, 0), birth, upto);

	for (size_t i = c->reclaim_old; i < c->reclaim_n; i++) {
		const struct reclaim *r = &c->reclaim[i];

		if (r->tree == tree && r->gen <= upto && r->gen >= birth)
			needed = MAX(needed, r->gen);
	}
	return needed;
}

/* ---- room, before anything is changed ---- */

static int reserve(void **array, size_t *cap, size_t n, size_t size)
{
	size_t want = *cap ? *cap : 64;
	void  *p;

	if (n <= *cap)
		return 0;
	while (want < n)
		want *= 2;
	p = realloc(*array, want * size);
	if (!p)
		return fail(NOMEM, "no memory for %zu notes of a checkpoint", want);
	*array = p;
	*cap   = want;
	return 0;
}

int dead_reserve(struct store *s, size_t more)
{
	struct checkpoint *c = &s->checkpoint;

	return reserve((void **)&c->dead, &c->dead_cap, c->dead_n + more, sizeof(*c->dead));
}

int snap_reserve(struct store *s, struct tree *t, unsigned n)
{
	struct checkpoint *c = &s->checkpoint;
	int		   rc;

	if (c->frozen_n >= PENDING_MAX)
		return NEEDS_CHECKPOINT;
	rc = reserve((void **)&t->snaps, &t->snaps_cap, t->snaps_n + 1, sizeof(*t->snaps));
	rc = rc ? rc : reserve((void **)&c->reclaim, &c->reclaim_cap, c->reclaim_n + n * (1 + t->snaps_n), sizeof(*c->reclaim));
	return rc ? rc : tree_spare(s, n);
}

/* ---- what a tree gives up ---- */

void tree_free_run(struct store *s, uint64_t tree, uint64_t needed, uint64_t birth, uint64_t block, uint64_t n)
{
	struct checkpoint *c = &s->checkpoint;

	if (!needed) {
		space_free_later(&s->space, block, n);
		return;
	}
	if (dead_reserve(s, 1)) { /* reserved before; so this is a last resort: in use for ever, and a check says so */
		base_log(TARN_LOG_ERROR, "%llu blocks of a snapshot are lost: no memory", (unsigned long long)n);
		return;
	}
	c->dead[c->dead_n++] = (struct dead_run){ tree, needed, birth, block, (uint32_t)n };
}

/* The same, of what the tree had given up before the freeze: the checkpoint under way must know. */
static void free_run_before(struct store *s, uint64_t tree, uint64_t needed, uint64_t birth, uint64_t block, uint64_t n)
{
	struct checkpoint *c   = &s->checkpoint;
	size_t		   old = c->dead_n;

	if (!needed) {
		space_free_leaving(&s->space, block, n);
		return;
	}
	tree_free_run(s, tree, needed, birth, block, n);
	if (c->dead_n > old) {
		struct dead_run d = c->dead[old];

		c->dead[old]	     = c->dead[c->dead_old];
		c->dead[c->dead_old] = d;
		c->dead_old++;
	}
}

struct free_arg {
	struct store *s;
	uint64_t      tree, needed, birth;
	bool	      before;
};

static int free_run(void *arg, uint64_t block, uint64_t n)
{
	struct free_arg *a = arg;

	(a->before ? free_run_before : tree_free_run)(a->s, a->tree, a->needed, a->birth, block, n);
	return 0;
}

static void free_blocks(struct store *s, uint64_t tree, uint64_t needed, const struct bptr *ptr, bool before)
{
	struct free_arg a = { s, tree, needed, ptr->birth, before };

	if (!needed)
		blob_free(s, ptr, before);
	else if (blob_each_run(s, ptr, free_run, &a))
		base_log(TARN_LOG_ERROR, "blocks of a page are lost: %s", base_message());
}

static bool system_tree(uint64_t id)
{
	return id == 0 || id == TREE_SNAPS || id == TREE_DEAD;
}

void tree_free_blocks(struct store *s, struct tree *t, const struct bptr *ptr)
{
	if (system_tree(t->id)) /* changed by the checkpoint that does not reach the old page any more */
		blob_free(s, ptr, true);
	else
		free_blocks(s, t->id, tree_needed(t, ptr->birth), ptr, false);
}

/* For frozen trees only. Which checkpoint must know that the live tree does not have it: the one under way, when that is so since before
 * its freeze; else the next. */
bool snap_give(struct store *s, uint64_t tree, const struct bptr *ptr, uint64_t needed, uint64_t died)
{
	bool	 before = died <= s->checkpoint.gen;
	uint64_t still	= 0;

	if (needed && before)
		still = needed_at_freeze(s, tree, ptr->birth, needed);
	else if (needed)
		still = needed_upto(tree_peek(s, tree, 0), ptr->birth, needed);
	free_blocks(s, tree, still, ptr, before);
	return still;
}

bool snap_superseded(struct store *s, const struct frame *f, uint64_t died)
{
	return snap_give(s, f->tree, &f->ptr, f->needed, died);
}

/* ---- freezing ---- */

void frozen_add(struct store *s, struct tree *z)
{
	struct checkpoint *c = &s->checkpoint;

	z->newer       = NULL;
	*c->frozen_end = z;
	c->frozen_end  = &z->newer;
	c->frozen_n++;
}

/* The tree as it is, for the next checkpoint to write. Not found by readers. */
struct tree *tree_freeze(struct store *s, struct tree *t)
{
	struct tree *z = tree_take_spare(s);

	z->owner = t->id;
	z->gen	 = s->gen;
	tree_set_root(z, &t->root, t->keys);
	t->gen = s->gen;
	frozen_add(s, z);
	return z;
}

void snap_create(struct store *s, struct tree *t, uint64_t lsn)
{
	struct tree *z = tree_add(s, t->id, lsn, &t->root, t->keys); /* takes the spare one: cannot fail */

	z->owner  = t->id;
	z->gen	  = s->gen;
	z->record = true;
	frozen_add(s, z);
	t->snaps[t->snaps_n++] = (struct snapshot){ lsn, s->gen };
	t->gen		       = s->gen++;
}

static bool pending(const struct store *s, const struct tree *z)
{
	for (const struct tree *y = s->checkpoint.frozen; y; y = y->newer)
		if (y == z)
			return true;
	return false;
}

static size_t snap_index(const struct tree *t, uint64_t epoch)
{
	size_t i = 0;

	while (i < t->snaps_n && t->snaps[i].epoch != epoch)
		i++;
	return i;
}

bool snap_exists(const struct tree *t, uint64_t epoch)
{
	return snap_index(t, epoch) < t->snaps_n;
}

void snap_destroy(struct store *s, struct tree *t, uint64_t epoch)
{
	struct checkpoint *c = &s->checkpoint;
	size_t		   i = snap_index(t, epoch);
	struct tree	  *z = tree_peek(s, t->id, epoch);

	c->reclaim[c->reclaim_n++] =
		(struct reclaim){ .tree = t->id, .epoch = epoch, .gen = t->snaps[i].gen, .before = i ? t->snaps[i - 1].gen : 0 };
	memmove(t->snaps + i, t->snaps + i + 1, (--t->snaps_n - i) * sizeof(*t->snaps));
	if (!z)
		return;
	if (!pending(s, z)) {
		tree_remove(z);
		return;
	}
	z->record = z->record && c->running && z->gen <= c->gen; /* the checkpoint under way has it still */
	atomic_store_explicit(&z->id, LEAVING, memory_order_release);
}

/* Its pages are given back by the next checkpoint, which walks what it writes for it here. */
void tree_drop(struct store *s, struct tree *t)
{
	struct checkpoint *c	= &s->checkpoint;
	struct bptr	   none = { 0 };
	struct tree	  *z	= tree_freeze(s, t);

	z->dropped = true;
	while (t->snaps_n)
		snap_destroy(s, t, t->snaps[t->snaps_n - 1].epoch);
	c->reclaim[c->reclaim_n++] = (struct reclaim){ .tree = t->id, .before = z->gen };
	s->gen++;
	tree_touch(s, t);
	tree_set_root(t, &none, 0);
	fingers_begin(s, t);
}

/* ---- records ---- */

static uint64_t id_in(const struct path *path, uint8_t *key, uint32_t room, uint32_t *len)
{
	const struct frame *f = path->frames[path->depth - 1];

	*len = node_key_copy(f->page, f->cap, path->slots[path->depth - 1], key, room);
	return *len == room ? get64be(key) : UINT64_MAX;
}

static int add_snapshot(struct tree *t, const struct path *path, const uint8_t *key)
{
	const struct frame *f = path->frames[path->depth - 1];
	struct leaf_value   v = node_value(f->page, f->cap, path->slots[path->depth - 1]);
	uint64_t	    gen;
	int		    rc;

	if (v.len != SNAP_BYTES || v.extents)
		return fail(CSUM, "the record of a snapshot is malformed");
	gen = get64(v.bytes + SNAP_GEN);
	if (t->snaps_n && t->snaps[t->snaps_n - 1].gen >= gen)
		return fail(CSUM, "the generations of a tree's snapshots do not ascend");
	rc = reserve((void **)&t->snaps, &t->snaps_cap, t->snaps_n + 1, sizeof(*t->snaps));
	if (!rc)
		t->snaps[t->snaps_n++] = (struct snapshot){ get64be(key + 8), gen };
	return rc;
}

/* The tree's snapshots from their records, in the order of their epochs. */
int snaps_load(struct store *s, struct tree *t)
{
	struct tree *snaps;
	struct path  path;
	uint8_t	     key[16] = { 0 };
	uint32_t     len;
	int	     rc = tree_open(s, TREE_SNAPS, 0, &snaps);

	put64be(key, t->id);
	t->snaps_n = 0;
	while (!rc) {
		rc = tree_ceiling(s, snaps, (tarn_buf){ key, 16 }, &path);
		if (rc || !path.depth || id_in(&path, key, 16, &len) != t->id) {
			path_release(&path);
			return rc;
		}
		rc = add_snapshot(t, &path, key);
		path_release(&path);
		put64be(key + 8, get64be(key + 8) + 1);
	}
	return rc;
}

/* ---- what a checkpoint does of it. Without store->lock: one change of the engine's own trees at a time takes it. ---- */

struct own_change {
	uint64_t tree;
	tarn_buf key;
	tarn_buf val; /* NULL: delete, which may find nothing */
};

static int change_own(struct store *s, void *arg)
{
	struct own_change *o   = arg;
	struct leaf_value  val = { o->val.ptr, (uint32_t)o->val.len, false, s->checkpoint.gen };
	struct tree	  *t;
	int		   rc = tree_open(s, o->tree, 0, &t);

	if (!rc && o->val.ptr)
		return tree_put(s, t, o->key, &val);
	rc = rc ? rc : tree_del(s, t, o->key);
	return rc == -TARN_E_NONEXIST ? 0 : rc;
}

int own_put(struct store *s, uint64_t tree, const void *key, size_t key_len, const void *val, size_t len)
{
	struct own_change o = { tree, { key, key_len }, { val, len } };

	return store_run(s, 0, change_own, &o);
}

static int own_del(struct store *s, uint64_t tree, const void *key, size_t key_len)
{
	struct own_change o = { tree, { key, key_len }, { NULL, 0 } };

	return store_run(s, 0, change_own, &o);
}

static void dead_key(uint8_t *key, uint64_t tree, uint64_t needed, uint64_t birth, uint64_t block)
{
	put64be(key, tree);
	put64be(key + 8, needed);
	put64be(key + 16, birth);
	put64be(key + 24, block);
}

static int put_dead(struct store *s, const struct dead_run *d)
{
	uint8_t key[DEAD_KEY_BYTES], val[4];

	dead_key(key, d->tree, d->needed, d->birth, d->block);
	put32(val, d->blocks);
	return own_put(s, TREE_DEAD, key, sizeof(key), val, sizeof(val));
}

/* More may be added behind the old ones meanwhile, and the list may move. */
static int settle_dead(struct store *s)
{
	struct checkpoint *c  = &s->checkpoint;
	int		   rc = 0;

	for (size_t i = 0; !rc && i < c->dead_old; i++) {
		struct dead_run d;

		pthread_mutex_lock(&s->lock);
		d = c->dead[i];
		pthread_mutex_unlock(&s->lock);
		rc = put_dead(s, &d);
	}
	if (rc)
		return rc;
	pthread_mutex_lock(&s->lock);
	c->dead_n -= c->dead_old;
	if (c->dead_n)
		memmove(c->dead, c->dead + c->dead_old, c->dead_n * sizeof(*c->dead));
	c->dead_old = 0;
	if (!c->dead_n) {
		free(c->dead);
		c->dead	    = NULL;
		c->dead_cap = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

struct next_own {
	uint64_t tree;
	uint8_t *key; /* in: from where; out: what was found */
	uint32_t key_len, len;
	uint8_t	 val[SNAP_BYTES];
	bool	 found;
};

static int find_next(struct store *s, void *arg)
{
	struct next_own *n = arg;
	struct tree	*t;
	struct path	 path;
	int		 rc = tree_open(s, n->tree, 0, &t);

	if (rc)
		return rc;
	rc	 = tree_ceiling(s, t, (tarn_buf){ n->key, n->key_len }, &path);
	n->found = !rc && path.depth;
	if (n->found) {
		struct frame	 *f = path.frames[path.depth - 1];
		struct leaf_value v = node_value(f->page, f->cap, path.slots[path.depth - 1]);

		node_key_copy(f->page, f->cap, path.slots[path.depth - 1], n->key, n->key_len);
		n->len = MIN(v.len, SNAP_BYTES);
		memcpy(n->val, v.bytes, n->len);
	}
	path_release(&path);
	return rc;
}

static void free_in_checkpoint(struct store *s, uint64_t block, uint64_t n)
{
	pthread_mutex_lock(&s->lock);
	if (block < s->sb.blocks && n <= s->sb.blocks - block)
		space_free_leaving(&s->space, block, n);
	pthread_mutex_unlock(&s->lock);
}

/* The dead runs noted under a snapshot that is gone (gen 0: under any of those that there were when the tree was dropped). */
static int reclaim_dead(struct store *s, const struct reclaim *r)
{
	uint8_t		key[DEAD_KEY_BYTES];
	struct next_own n = { .tree = TREE_DEAD, .key = key, .key_len = sizeof(key) };
	int		rc;

	dead_key(key, r->tree, r->gen, 0, 0);
	while (!(rc = store_run(s, 0, find_next, &n)) && n.found) {
		struct dead_run d = { get64be(key), get64be(key + 8), get64be(key + 16), get64be(key + 24), 0 };

		if (d.tree != r->tree || (r->gen ? d.needed != r->gen : d.needed > r->before) || n.len != 4)
			break;
		d.blocks = get32(n.val);
		rc	 = own_del(s, TREE_DEAD, key, sizeof(key));
		if (rc)
			return rc;
		if (!r->gen || d.birth > r->before) {
			free_in_checkpoint(s, d.block, d.blocks);
			continue;
		}
		d.needed = r->before;
		rc	 = put_dead(s, &d);
		if (rc)
			return rc;
	}
	return rc;
}

static int delete_record(struct store *s, uint64_t tree, uint64_t epoch)
{
	uint8_t key[16];

	put64be(key, tree);
	put64be(key + 8, epoch);
	return own_del(s, TREE_SNAPS, key, sizeof(key));
}

/* ---- a tree that is gone ---- */

static int give_run(void *arg, uint64_t block, uint64_t n)
{
	free_in_checkpoint(arg, block, n);
	return 0;
}

/* Damage that stays must not keep a tree from being dropped: its blocks stay in use, and a check reports them. */
static int lost(int rc, uint64_t tree)
{
	if (rc == -TARN_E_CSUM)
		base_log(TARN_LOG_ERROR, "blocks of tree %llu are lost: %s", (unsigned long long)tree, base_message());
	return rc == -TARN_E_CSUM ? 0 : rc;
}

static int give_values(struct store *s, uint64_t tree, const uint8_t *page, uint32_t cap)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < node_count(page, cap); i++) {
		struct leaf_value v    = node_value(page, cap, i);
		struct run_list	  runs = { 0 };

		if (!v.extents)
			continue;
		rc = lost(value_runs(s, v.bytes, v.len, &runs), tree);
		for (size_t r = 0; r < runs.n; r++)
			free_in_checkpoint(s, runs.runs[r].block, runs.runs[r].n);
		free(runs.runs);
	}
	return rc;
}

/* Leaves without extents need not be read. */
static int give_below(struct store *s, uint64_t tree, const struct bptr *ptr, unsigned depth, bool leaf)
{
	struct wanted w = { tree, *ptr };
	uint8_t	     *page;
	int	      rc = 0;

	if (leaf && !(ptr->flags & BPTR_EXTENTS))
		return lost(blob_each_run(s, ptr, give_run, s), tree);
	page = depth == DEPTH_MAX || !blob_sane(s, ptr, NODE_MAX) ? NULL : device_alloc(ptr->len);
	if (!page)
		return fail(NOMEM, "no memory for a page of %u bytes", ptr->len);
	rc = blob_read(s, ptr, page, "a page of a tree");
	rc = rc ? rc : page_verify(s, page, &w);
	if (!rc && !node_level(page))
		rc = give_values(s, tree, page, ptr->len);
	for (uint32_t i = 0; !rc && node_level(page) && i < node_count(page, ptr->len); i++) {
		struct bptr child = node_child(page, ptr->len, i).ptr;

		rc = give_below(s, tree, &child, depth + 1, node_level(page) == 1);
	}
	device_free(page);
	return rc ? lost(rc, tree) : lost(blob_each_run(s, ptr, give_run, s), tree);
}

static int settle_reclaims(struct store *s)
{
	struct checkpoint *c  = &s->checkpoint;
	int		   rc = 0;

	for (size_t i = 0; !rc && i < c->reclaim_old; i++) {
		struct reclaim r;

		pthread_mutex_lock(&s->lock);
		r = c->reclaim[i];
		pthread_mutex_unlock(&s->lock);
		rc = reclaim_dead(s, &r);
		if (!rc && r.gen)
			rc = delete_record(s, r.tree, r.epoch);
	}
	if (rc)
		return rc;
	pthread_mutex_lock(&s->lock);
	c->reclaim_n -= c->reclaim_old;
	if (c->reclaim_n)
		memmove(c->reclaim, c->reclaim + c->reclaim_old, c->reclaim_n * sizeof(*c->reclaim));
	c->reclaim_old = 0;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int write_record(struct store *s, struct tree *z)
{
	uint8_t key[16], rec[SNAP_BYTES];

	put64be(key, z->owner);
	put64be(key + 8, z->epoch);
	bptr_put(rec + SNAP_ROOT, &z->root);
	put64(rec + SNAP_KEYS, z->keys);
	put64(rec + SNAP_GEN, z->gen);
	return own_put(s, TREE_SNAPS, key, sizeof(key), rec, sizeof(rec));
}

static int settle_frozen(struct store *s, struct tree *z)
{
	bool record;
	int  rc;

	pthread_mutex_lock(&s->lock);
	record = z->record;
	pthread_mutex_unlock(&s->lock);
	if (record)
		return write_record(s, z);
	if (!z->dropped || !z->root.addr)
		return 0;
	rc = give_below(s, z->owner, &z->root, 0, false);
	if (!rc)
		z->root = (struct bptr){ 0 }; /* once, also when this checkpoint is not the last to try */
	return rc;
}

int snap_settle(struct store *s)
{
	struct checkpoint *c  = &s->checkpoint;
	int		   rc = 0;

	for (struct tree *z = frozen_first(c); !rc && z; z = frozen_next(c, z))
		rc = settle_frozen(s, z);
	rc = rc ? rc : settle_dead(s);
	return rc ? rc : settle_reclaims(s);
}

/* The checkpoint is durable: what was frozen for it is like any other tree on disk. */
void snap_thaw(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;
	struct tree	  *z;

	while (c->frozen_last && (z = c->frozen)) {
		c->frozen = z->newer;
		if (!c->frozen)
			c->frozen_end = &c->frozen;
		c->frozen_n--;
		if (z == c->frozen_last)
			c->frozen_last = NULL;
		z->record = false;
		if (z->id == LEAVING)
			tree_remove(z);
		else if (!z->epoch)
			free(z);
	}
}

/* ---- the caller's ---- */

struct snapshots_call {
	uint64_t  tree, after;
	uint64_t *epochs;
	size_t	  room, n;
};

static int list_snapshots(struct store *s, void *arg)
{
	struct snapshots_call *c = arg;
	struct tree	      *t;
	int		       rc = tree_open(s, c->tree, 0, &t);

	c->n = 0;
	for (size_t i = 0; !rc && i < t->snaps_n && c->n < c->room; i++)
		if (t->snaps[i].epoch > c->after)
			c->epochs[c->n++] = t->snaps[i].epoch;
	return rc;
}

int store_snapshots(struct store *s, uint64_t tree, uint64_t after, uint64_t *epochs, size_t *n)
{
	struct snapshots_call c	 = { tree, after, epochs, *n, 0 };
	int		      rc = store_run(s, 0, list_snapshots, &c);

	*n = c.n;
	return rc;
}
