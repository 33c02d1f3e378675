/* SPDX-License-Identifier: Apache-2.0 */
/* store/flush.c: the dirty pages of frozen trees go to new places on disk, children before parents, in large writes.
 *
 * Nobody changes a frozen page, so it is copied and summed without the lock; places are taken, and pointers changed, with it. Pages are
 * gathered in a stage, which is one run of blocks and one write. A page counts as clean, and its parents have its pointer, as soon as it is
 * in a stage; it may be evicted when that stage has been written. Nothing is overwritten and no superblock changes: after a crash
 * what was flushed is free space. A write that fails fails the store. */
#include "internal.h"

#define STAGES	     4u
#define STAGE_BLOCKS 128u
#define JOBS	     64u

struct job { /* one page on its way */
	struct frame *f;
	uint32_t      slot; /* in its parent */
	struct bptr   ptr;
	uint64_t      keys;
	uint8_t	     *at;   /* where its bytes go: in the stage, or memory of its own */
	uint8_t	     *gang; /* of one that found no run */
	bool	      alone, copied;
};

struct flush {
	struct store *s;
	struct tree  *z;
	uint8_t	     *stages[STAGES];
	unsigned      turn;
	uint64_t      block, room, used; /* the run of the present stage, in blocks */
	uint64_t      written;		 /* the number of the present stage */
	struct job    jobs[JOBS];
	unsigned      n;
};

/* ---- stages ---- */

static void submit(struct flush *fl)
{
	if (fl->used)
		io_write(fl->s, fl->block, fl->stages[fl->turn], fl->used * BLOCK, NULL);
	pthread_mutex_lock(&fl->s->lock);
	if (fl->room > fl->used)
		space_free_now(&fl->s->space, fl->block + fl->used, fl->room - fl->used);
	pthread_mutex_unlock(&fl->s->lock);
	fl->room = fl->used = 0;
}

static int drain(struct flush *fl)
{
	int rc = io_drain(fl->s);

	if (rc)
		return rc;
	pthread_mutex_lock(&fl->s->lock);
	fl->s->checkpoint.written = fl->written;
	pthread_mutex_unlock(&fl->s->lock);
	return 0;
}

static int next_stage(struct flush *fl)
{
	struct store *s	 = fl->s;
	int	      rc = 0;

	submit(fl);
	fl->turn = (fl->turn + 1) % STAGES;
	if (fl->turn == 0)
		rc = drain(fl);
	fl->written++;
	if (rc)
		return rc;
	if (!fl->stages[fl->turn])
		fl->stages[fl->turn] = device_map(STAGE_BLOCKS * BLOCK); /* the heap would be left in pieces */
	if (!fl->stages[fl->turn])
		return fail(NOMEM, "no memory to write pages");
	pthread_mutex_lock(&s->lock);
	fl->room = space_alloc(&s->space, MIN(STAGE_BLOCKS, MAX(s->cache.dirty_blocks, 1)), &fl->block);
	pthread_mutex_unlock(&s->lock);
	return fl->room ? 0 : no_blocks(s);
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
	rc	     = blob_place(fl->s, j->f->cap, &j->ptr, &j->gang);
	j->ptr.birth = birth;
	j->alone     = true;
	if (rc)
		device_free(j->at);
	return rc;
}

/* With the lock. 1: the stage is full. */
static int place(struct flush *fl, struct frame *f, uint32_t slot, bool fresh)
{
	uint64_t    n  = f->cap / BLOCK;
	struct job *j  = &fl->jobs[fl->n];
	int	    rc = 0;

	*j = (struct job){ .f = f, .slot = slot, .ptr = { .len = f->cap, .birth = f->gen } };
	if (n <= fl->room - fl->used) {
		j->ptr.addr = fl->block + fl->used;
		j->at	    = fl->stages[fl->turn] + fl->used * BLOCK;
		fl->used += n;
	} else if (fresh) {
		rc = place_alone(fl, j);
	} else {
		return 1;
	}
	fl->n += !rc;
	return rc;
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
	hint_set(&s->cache, p, slot, j->f->number);
}

/* The pointer to a page in another tree that shares it: along dirty pages only, since a clean parent cannot point to a dirty page. */
static void relink(struct store *s, struct tree *y, uint64_t id, const struct job *j)
{
	tarn_buf      low   = node_low(j->f->page, j->f->cap);
	unsigned      level = node_level(j->f->page);
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
}

static void relink_others(struct flush *fl, uint64_t id, const struct job *j)
{
	struct store *s = fl->s;
	struct tree  *live;

	if (!fl->z->owner) /* one of the engine's own: nobody shares it */
		return;
	for (struct tree *y = fl->z->newer; y; y = y->newer)
		if (y->owner == fl->z->owner)
			relink(s, y, id, j);
	live = tree_peek(s, fl->z->owner, 0);
	if (live)
		relink(s, live, id, j);
}

/* With the lock. parent NULL: the page is the root. */
static void publish(struct flush *fl, struct frame *parent, const struct job *j)
{
	struct store *s		 = fl->s;
	uint64_t      id	 = j->f->id;
	bool	      superseded = j->f->superseded;

	if (parent)
		set_child(s, parent, j->slot, j);
	else
		tree_set_root(fl->z, &j->ptr, j->keys);
	relink_others(fl, id, j);
	cache_make_clean(s, j->f, &j->ptr);
	j->f->written = fl->written;
	if (superseded && !snap_superseded(s, j->f))
		cache_drop(s, j->f); /* only the checkpoint's tree names it, and nobody reads that */
}

static int finish_jobs(struct flush *fl, struct frame *parent)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < fl->n; i++)
		rc = copy(fl, &fl->jobs[i]);
	if (rc)
		return rc;
	pthread_mutex_lock(&fl->s->lock);
	for (unsigned i = 0; i < fl->n; i++)
		publish(fl, parent, &fl->jobs[i]);
	pthread_mutex_unlock(&fl->s->lock);
	fl->n = 0;
	return 0;
}

/* ---- trees ---- */

/* Places as many dirty children from *slot on as the jobs and the stage take. 1: the stage is full. */
static int place_children(struct flush *fl, struct frame *p, uint32_t *slot, bool fresh)
{
	int rc = 0;

	pthread_mutex_lock(&fl->s->lock);
	for (; !rc && fl->n < JOBS && *slot < node_count(p->page, p->cap); *slot += !rc) {
		uint64_t      id = node_child_id(p->page, p->cap, *slot);
		struct frame *f	 = id & VIRTUAL ? cache_find(fl->s, id) : NULL;

		if (id & VIRTUAL)
			rc = f ? place(fl, f, *slot, fresh && !fl->n) : fail(MISC, "a dirty page is not in the cache");
	}
	pthread_mutex_unlock(&fl->s->lock);
	return rc;
}

static int flush_children(struct flush *fl, struct frame *p)
{
	uint32_t slot  = 0;
	bool	 fresh = false;

	while (slot < node_count(p->page, p->cap)) {
		int rc	 = place_children(fl, p, &slot, fresh);
		int done = rc < 0 ? rc : finish_jobs(fl, p);

		if (done)
			return done;
		fresh = rc == 1;
		if (fresh && (rc = next_stage(fl)))
			return rc;
	}
	return 0;
}

static struct frame *dirty_child(struct flush *fl, struct frame *p, uint32_t slot)
{
	uint64_t      id = node_child_id(p->page, p->cap, slot);
	struct frame *f;

	if (!(id & VIRTUAL))
		return NULL;
	pthread_mutex_lock(&fl->s->lock);
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

static int place_root(struct flush *fl, struct frame *root)
{
	int rc = 1;

	for (bool fresh = false; rc == 1; fresh = true) {
		if (fresh && (rc = next_stage(fl)))
			return rc;
		pthread_mutex_lock(&fl->s->lock);
		rc = place(fl, root, 0, fresh);
		pthread_mutex_unlock(&fl->s->lock);
	}
	return rc;
}

static int flush_one(struct flush *fl, struct tree *z)
{
	struct frame *root;
	int	      rc;

	fl->z = z;
	if (!(z->root.addr & VIRTUAL))
		return 0;
	pthread_mutex_lock(&fl->s->lock);
	root = cache_find(fl->s, z->root.addr);
	pthread_mutex_unlock(&fl->s->lock);
	if (!root)
		return fail(MISC, "a dirty page is not in the cache");
	rc = flush_below(fl, root);
	rc = rc ? rc : place_root(fl, root);
	return rc ? rc : finish_jobs(fl, NULL);
}

/* The places of pages that were not published. What is in flight has been waited for. */
static void give_back(struct flush *fl)
{
	pthread_mutex_lock(&fl->s->lock);
	for (unsigned i = 0; i < fl->n; i++) {
		struct job *j = &fl->jobs[i];

		if (j->copied && j->ptr.flags & BPTR_GANG)
			blob_free(fl->s, &j->ptr, true);
		else
			blob_unplace(fl->s, &j->ptr, j->gang);
		if (j->alone && !j->copied)
			device_free(j->at), device_free(j->gang);
	}
	pthread_mutex_unlock(&fl->s->lock);
	fl->n = 0;
}

/* Also after an error: what is in flight is lent memory. */
static int end(struct flush *fl, int rc)
{
	int drained;

	submit(fl);
	drained = drain(fl);
	give_back(fl);
	for (unsigned i = 0; i < STAGES; i++)
		device_unmap(fl->stages[i], STAGE_BLOCKS * BLOCK);
	return rc ? rc : drained;
}

static void begin(struct flush *fl, struct store *s)
{
	*fl = (struct flush){ .s = s, .turn = STAGES - 1, .written = s->checkpoint.written };
}

int flush_frozen(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;
	struct flush	   fl;
	int		   rc = 0;

	begin(&fl, s);
	for (struct tree *z = frozen_first(c); !rc && z; z = frozen_next(c, z))
		rc = flush_one(&fl, z);
	return end(&fl, rc);
}

int flush_tree(struct store *s, struct tree *t)
{
	struct flush fl;

	begin(&fl, s);
	return end(&fl, flush_one(&fl, t));
}
