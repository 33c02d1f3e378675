/* SPDX-License-Identifier: Apache-2.0 */
/* store/flush.c: the dirty pages of frozen trees go to new places on disk, children before parents, in large writes.
 *
 * Nobody changes a frozen page, so it is copied and summed without the lock; places are taken, and pointers changed, with it. Pages are
 * gathered in a stage, which is one run of blocks and one write. A page counts as clean, and its parents have its pointer, as soon as it is
 * in a stage; it may be evicted when that stage has been written. Nothing is overwritten and no superblock changes: after a crash
 * what was flushed is free space. A write that fails fails the store. */
#include "merge.h"
#include "spill.h"

#define JOBS 16u

enum { FULL = 1, PAUSE }; /* no errors */

struct job { /* one page on its way */
	struct frame *f;
	uint64_t      id;
	uint32_t      slot; /* in its parent */
	struct bptr   ptr;
	uint64_t      keys;
	uint8_t	     *at;   /* where its bytes go: in the stage, or memory of its own. NULL: it has no place yet */
	uint8_t	     *gang; /* of one that found no run */
	bool	      alone, copied;
	bool	      cold;   /* a leaf that was put off, and that nobody has read since */
	bool	      merged; /* the same, and f is ours alone, since there is a note still */
	struct merge  from;   /* what that is made from */
};

struct flush {
	struct store	 *s;
	struct tree	 *z;
	struct stages	  stages;
	struct job	  jobs[JOBS];
	unsigned	  n;
	struct scout	  scout;
	struct merge_room puts;	  /* of the jobs */
	uint64_t	  unmade; /* the id of a leaf that could not be merged */
	bool		  saved;  /* puts on a damaged page are in the live tree only */
};

static int next_stage(struct flush *fl)
{
	struct store *s = fl->s;
	uint64_t      want;
	bool	      full;
	int	      rc;

	store_lock(s);
	want = s->cache.dirty_blocks + s->defer.n;
	full = pace_wants_spill(s);
	pthread_mutex_unlock(&s->lock);
	rc = full ? spill_run(&fl->stages) : 0;
	return rc ? rc : stages_next(&fl->stages, want);
}

/* ---- one page ---- */

/* A place of its own: when the stage's run is too short, which happens to large pages in a fragmented pool. */
static int place_alone(struct flush *fl, struct job *j)
{
	uint64_t birth = j->ptr.birth;
	int	 rc;

	j->at = device_alloc(j->f->cap);
	if (!j->at)
		return fail(NOMEM, "no memory to write a page");
	store_lock(fl->s);
	rc = blob_place(fl->s, j->f->cap, &j->ptr, &j->gang);
	pthread_mutex_unlock(&fl->s->lock);
	j->ptr.birth = birth;
	j->alone     = true;
	if (rc)
		device_free(j->at), j->at = NULL;
	return rc;
}

/* FULL: the stage is. */
static int place(struct flush *fl, struct job *j, bool fresh)
{
	j->ptr = (struct bptr){ .len = j->f->cap, .birth = j->ptr.birth };
	j->at  = stages_place(&fl->stages, j->f->cap / BLOCK, &j->ptr.addr);
	if (j->at)
		return 0;
	return fresh ? place_alone(fl, j) : FULL;
}

static uint64_t keys_below(const struct frame *f)
{
	uint32_t n    = node_count(f->page, f->cap);
	uint64_t keys = 0;

	if (!node_level(f->page))
		return n;
	for (uint32_t i = 0; i < n; i++)
		keys += node_child(f->page, f->cap, i).keys;
	return keys;
}

/* Without the lock. */
static int copy(struct flush *fl, struct job *j)
{
	const struct frame *f = j->f;
	uint8_t		   *p = j->at;

	j->keys = keys_below(f);
	node_pack(f->page, f->cap, p, f->cap);
	memcpy(p + NODE_POOL, fl->s->pool.bytes, 8);
	put64(p + NODE_TREE, f->tree);
	put64(p + NODE_BIRTH, j->ptr.birth);
	put64(p + NODE_ADDR, j->ptr.addr);
	j->copied = true; /* what is alone is the write's from here on */
	if (j->alone) {
		int rc = blob_write_at(fl->s, p, p, &j->ptr, j->gang);

		j->ptr.flags |= node_has_extents(f->page, f->cap) ? BPTR_EXTENTS : 0;
		return rc;
	}
	j->ptr.sum = hash128(p, f->cap);
	j->ptr.flags |= node_has_extents(f->page, f->cap) ? BPTR_EXTENTS : 0;
	return 0;
}

static void set_child(struct store *s, struct frame *p, uint32_t slot, const struct job *j)
{
	struct node_child child = { j->ptr, j->keys };

	frame_begin(p);
	node_set_child(p->page, p->cap, slot, &child);
	frame_end(p);
	hint_set(&s->cache, p, slot, j->f ? j->f->number : 0);
}

/* The pointer to a page in another tree that shares it: along dirty pages only, since a clean parent cannot point to a dirty page. */
static void relink(struct store *s, struct tree *y, uint64_t id, tarn_buf low, const struct job *j)
{
	unsigned      level = j->f ? node_level(j->f->page) : 0;
	uint64_t      at    = y->root.addr;
	struct frame *g;

	if (at == id) {
		tree_set_root(y, &j->ptr, j->keys);
		return;
	}
	while (at & VIRTUAL && (g = cache_find(s, at)) && node_level(g->page) > level) {
		uint32_t slot = node_route(g->page, g->cap, low);

		at = node_child_id(g->page, g->cap, slot);
		if (at == id) {
			set_child(s, g, slot, j);
			return;
		}
	}
	defer_rebase(s, at, id, &j->ptr, j->keys);
}

/* low: of the page. */
static void relink_others(struct flush *fl, uint64_t id, tarn_buf low, const struct job *j)
{
	struct store *s = fl->s;
	struct tree  *live;

	if (!fl->z->owner) /* one of the engine's own: nobody shares it */
		return;
	for (struct tree *y = fl->z->newer; y; y = y->newer)
		if (y->owner == fl->z->owner)
			relink(s, y, id, low, j);
	live = tree_peek(s, fl->z->owner, 0);
	if (live)
		relink(s, live, id, low, j);
}

/* With the lock. Somebody has wanted to see the leaf, or to change it, meanwhile: so it has a frame, with what we have. */
static void take_others(struct flush *fl, struct job *j)
{
	struct store *s = fl->s;
	struct frame *f = cache_find(s, j->id);

	if (!f)
		return;
	if (f->view)
		defer_harden(s, f);
	s->checkpoint.frozen_left += f->cap;
	cache_unreserve(s, j->f);
	j->f	  = f;
	j->merged = j->cold = false;
}

/* With the lock. The page can be found by its place, and by its id no more. */
static void make_clean(struct flush *fl, struct job *j)
{
	struct store *s = fl->s;
	struct wanted w = { j->f->tree, j->ptr };

	if (!j->merged) {
		cache_make_clean(s, j->f, &j->ptr);
		s->checkpoint.frozen_left -= MIN(s->checkpoint.frozen_left, j->f->cap);
		j->f->written = fl->stages.written;
		return;
	}
	cache_publish_unwritten(s, j->f, &w, fl->stages.written);
	j->f->superseded = false;
	j->merged	 = false;
}

/* With the lock. parent NULL: the page is the root. The page has its place before a pointer says so: a frame that still has what was in these
 * blocks before would be taken for it by a reader without a lock. Who follows the old pointer meanwhile finds nothing and begins again. */
static void publish(struct flush *fl, struct frame *parent, struct job *j)
{
	struct store *s = fl->s;
	uint64_t      died;
	bool	      superseded;

	if (j->merged) {
		merge_end(&j->from);
		take_others(fl, j);
	}
	if (j->merged)
		defer_take(s, defer_find(s, j->id), j->f);
	died	   = j->f->died;
	superseded = j->f->superseded;
	make_clean(fl, j);
	if (parent)
		set_child(s, parent, j->slot, j);
	else
		tree_set_root(fl->z, &j->ptr, j->keys);
	relink_others(fl, j->id, node_low(j->f->page, j->f->cap), j);
	s->checkpoint.done += j->f->cap / BLOCK;
	if (superseded)
		superseded =
			!snap_superseded(s, j->f, died); /* nobody needs it; but it may be the base of a leaf that was put off */
	if (superseded || j->cold)
		stages_spent(&fl->stages, j->f);
}

/* The first n jobs, which have places, are done. */
static int finish_jobs(struct flush *fl, struct frame *parent, unsigned n)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < n; i++)
		rc = copy(fl, &fl->jobs[i]);
	if (rc)
		return rc;
	store_lock(fl->s);
	for (unsigned i = 0; i < n; i++) {
		store_let_in(fl->s);
		publish(fl, parent, &fl->jobs[i]);
	}
	pthread_mutex_unlock(&fl->s->lock);
	memmove(fl->jobs, fl->jobs + n, (fl->n - n) * sizeof(fl->jobs[0]));
	fl->n -= n;
	return 0;
}

/* All of them. */
static int write_jobs(struct flush *fl, struct frame *parent)
{
	bool fresh = false;
	int  rc	   = 0;

	while (!rc && fl->n) {
		unsigned n = 0;

		while (!rc && n < fl->n) {
			rc = place(fl, &fl->jobs[n], fresh && !n);
			n += !rc;
		}
		fresh = rc == FULL;
		if (rc < 0)
			return rc;
		rc = finish_jobs(fl, parent, n);
		if (!rc && fresh)
			rc = next_stage(fl);
	}
	return rc;
}

/* ---- leaves that were put off ---- */

/* With the lock. The base is damaged, so nobody can read what else is in the leaf. The puts on it are saved in the live tree, for the next
 * checkpoint: this one may not free the log that has them, so it gives up in the end. */
static int keep_damage(struct flush *fl, struct frame *p, uint32_t slot, uint64_t id)
{
	struct store	 *s   = fl->s;
	uint8_t		 *key = malloc(STORE_KEY_MAX);
	struct job	  j   = { .slot = slot };
	struct node_child base;
	tarn_buf	  low;
	int		  rc;

	if (!key)
		return fail(NOMEM, "no memory for a key");
	base_log(TARN_LOG_ERROR, "a page that has changes is damaged, and is not written again: %s", base_message());
	low = slot ? (tarn_buf){ key, node_key_copy(p->page, p->cap, slot, key, STORE_KEY_MAX) } : node_low(p->page, p->cap);
	rc  = defer_rescue(s, tree_peek(s, fl->z->owner, 0), id, low, &base);
	if (rc >= 0) {
		j.ptr  = base.ptr;
		j.keys = base.keys;
		set_child(s, p, slot, &j);
		relink_others(fl, id, low, &j);
		fl->saved |= rc;
	}
	free(key);
	return MIN(rc, 0);
}

/* With the lock. A leaf that was put off becomes a dirty page, and so does a view. NULL: there is nothing to be written. */
static int make_leaf(struct flush *fl, struct frame *p, uint32_t slot, struct frame **leaf)
{
	struct store	 *s	= fl->s;
	struct node_child child = node_child(p->page, p->cap, slot);
	struct frame	 *f	= *leaf;
	int		  rc	= f ? 0 : cache_get(s, fl->z->owner, &child.ptr, &f);

	if (rc == -TARN_E_CSUM && child.ptr.len)
		rc = keep_damage(fl, p, slot, child.ptr.addr);
	else if (!rc && !*leaf)
		cache_unpin(f);
	s->checkpoint.again = rc == -TARN_E_IO;
	if (rc || !f)
		return rc;
	defer_harden(s, f);
	s->checkpoint.frozen_left += f->cap;
	if (!*leaf)
		atomic_store_explicit(&f->touched, false, memory_order_relaxed); /* nobody but us has asked for it */
	*leaf = f;
	return 0;
}

/* ---- trees ---- */

static void add_job(struct flush *fl, struct frame *f, uint64_t id, uint32_t slot, uint64_t birth)
{
	struct job *j = &fl->jobs[fl->n++];

	j->f	= f;
	j->id	= id;
	j->slot = slot;
	j->ptr	= (struct bptr){ .birth = birth };
	j->at = j->gang = NULL;
	j->alone = j->copied = j->cold = j->merged = false;
}

/* With the lock. The leaf is not made yet. */
static void add_merge(struct flush *fl, const struct deferred *p, uint32_t slot)
{
	struct job *j = &fl->jobs[fl->n];

	add_job(fl, j->from.f, note_id(p), slot, note_gen(fl->s, p));
	j->cold = j->merged = true;
}

/* With the lock. The child at slot, if it is dirty. PAUSE: to make it may take long, and there is other work. */
static int add_child(struct flush *fl, struct frame *p, uint32_t slot)
{
	uint64_t	       id   = node_child_id(p->page, p->cap, slot);
	const struct deferred *note = id & VIRTUAL ? defer_find(fl->s, id) : NULL;
	struct frame	      *f;
	bool		       cold;
	int		       rc = 0;

	if (!(id & VIRTUAL))
		return 0;
	f = cache_find(fl->s, id);
	if (note && !f && id != fl->unmade && merge_gather(&fl->scout, note, &fl->puts, &fl->jobs[fl->n].from)) {
		add_merge(fl, note, slot);
		return 0;
	}
	if (note && !f && fl->n)
		return PAUSE;
	cold = !f;
	if (cold || f->view)
		rc = make_leaf(fl, p, slot, &f);
	if (rc || !f)
		return rc;
	add_job(fl, f, id, slot, f->gen);
	fl->jobs[fl->n - 1].cold = cold;
	return 0;
}

static int add_children(struct flush *fl, struct frame *p, uint32_t *slot)
{
	int rc = 0;

	fl->puts.used = 0;
	store_lock(fl->s);
	for (; !rc && fl->n < JOBS && *slot < node_count(p->page, p->cap); *slot += !rc) {
		store_let_in(fl->s);
		if (fl->puts.size)
			above_expect(fl->s, (struct above_place){ p, *slot });
		rc = add_child(fl, p, *slot);
	}
	pthread_mutex_unlock(&fl->s->lock);
	return MIN(rc, 0);
}

/* From the n-th on; those that were merged are not reserved any more. */
static void drop_jobs(struct flush *fl, unsigned n)
{
	store_lock(fl->s);
	for (unsigned i = n; i < fl->n; i++) {
		struct job *j = &fl->jobs[i];

		if (!j->merged)
			continue;
		merge_end(&j->from);
		if (j->f)
			cache_unreserve(fl->s, j->f);
	}
	pthread_mutex_unlock(&fl->s->lock);
	fl->n = n;
}

/* What cannot be made this way, for want of memory or because what it is made from is malformed, meets its error in another one. */
static void merge_all(struct flush *fl, uint32_t *slot)
{
	for (unsigned i = 0; i < fl->n; i++) {
		struct job *j = &fl->jobs[i];
		bool	    ok;

		if (!j->merged)
			continue;
		ok   = merge_make(fl->s, &j->from);
		j->f = j->from.f;
		if (!ok) {
			fl->unmade = j->id;
			*slot	   = j->slot;
			drop_jobs(fl, i);
		}
	}
}

static int flush_children(struct flush *fl, struct frame *p)
{
	uint32_t slot = 0;
	int	 rc   = 0;

	while (!rc && slot < node_count(p->page, p->cap)) {
		scout_want(&fl->scout, p, slot);
		rc = add_children(fl, p, &slot);
		merge_all(fl, &slot);
		rc = rc ? rc : write_jobs(fl, p);
	}
	return rc;
}

static struct frame *dirty_child(struct flush *fl, struct frame *p, uint32_t slot)
{
	uint64_t      id = node_child_id(p->page, p->cap, slot);
	struct frame *f;

	if (!(id & VIRTUAL))
		return NULL;
	store_lock(fl->s);
	f = cache_find(fl->s, id);
	pthread_mutex_unlock(&fl->s->lock);
	return f;
}

static int flush_below(struct flush *fl, struct frame *p)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && node_level(p->page) > 1 && i < node_count(p->page, p->cap); i++) {
		struct frame *f = dirty_child(fl, p, i);

		rc = f ? flush_below(fl, f) : 0;
	}
	if (!rc && node_level(p->page))
		rc = flush_children(fl, p);
	return rc;
}

static int flush_one(struct flush *fl, struct tree *z)
{
	struct frame *root;
	int	      rc;

	fl->z = z;
	scout_tree(&fl->scout, z);
	if (!(z->root.addr & VIRTUAL))
		return 0;
	store_lock(fl->s);
	root = cache_find(fl->s, z->root.addr);
	pthread_mutex_unlock(&fl->s->lock);
	if (!root)
		return fail(MISC, "a dirty page is not in the cache");
	rc = flush_below(fl, root);
	if (rc)
		return rc;
	add_job(fl, root, z->root.addr, 0, root->gen);
	return write_jobs(fl, NULL);
}

/* The places of pages that were not published. What is in flight has been waited for. */
static void give_back(struct flush *fl)
{
	store_lock(fl->s);
	for (unsigned i = 0; i < fl->n; i++) {
		struct job *j = &fl->jobs[i];

		if (!j->at)
			continue;
		if (j->copied && j->ptr.flags & BPTR_GANG)
			blob_free(fl->s, &j->ptr, true);
		else
			blob_unplace(fl->s, &j->ptr, j->gang);
		if (j->alone && !j->copied)
			device_free(j->at), device_free(j->gang);
	}
	pthread_mutex_unlock(&fl->s->lock);
	drop_jobs(fl, 0);
}

static int end(struct flush *fl, int rc)
{
	int drained;

	scout_end(&fl->scout);
	stages_submit(&fl->stages);
	drained = stages_drain(&fl->stages);
	give_back(fl);
	stages_fini(&fl->stages);
	free(fl->puts.bytes);
	fl->s->checkpoint.again &= !drained;
	return drained ? drained : rc;
}

static int begin(struct flush *fl, struct store *s)
{
	*fl = (struct flush){ .s = s };
	return stages_begin(&fl->stages, s);
}

int flush_frozen(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;
	struct flush	   fl;
	int		   rc;

	c->again = false;
	rc	 = begin(&fl, s);
	if (rc)
		return rc;
	scout_begin(&fl.scout, s);
	fl.puts.size  = fl.scout.all ? (size_t)JOBS * s->node_bytes : 0;
	fl.puts.bytes = malloc(fl.puts.size);
	fl.puts.size  = fl.puts.bytes ? fl.puts.size : 0;
	for (struct tree *z = frozen_first(c); !rc && z; z = frozen_next(c, z))
		rc = flush_one(&fl, z);
	if (!rc && fl.saved) {
		c->again = true;
		rc	 = fail(AGAIN, "a page was damaged: the checkpoint begins anew");
	}
	return end(&fl, rc);
}

int flush_tree(struct store *s, struct tree *t)
{
	struct flush fl;
	int	     rc = begin(&fl, s);

	return rc ? rc : end(&fl, flush_one(&fl, t));
}
