/* SPDX-License-Identifier: Apache-2.0 */
/* store/seek.c: down a tree without a lock.
 *
 * A step from page P to its child C: look in P for C's id; find C's frame; load its version; then see that its id is the one, and that
 * P's version (for the root: the tree's root_id) is still what it was. So at the moment when C's version was loaded P said that C was
 * the child, and what is read in C from then on is of that C as long as its version stays. The order is what matters: with the version
 * loaded last, C could be another page, or a later one, that nobody would notice.
 * An id is enough to know a page by: pages that were let go of stay in frames under the place that they had, while it is used again; so a page that is
 * written takes its place, and such a frame goes, before a pointer says that place (publish() in flush.c).
 * A page that the tree lets go of gets another version only then, and a reader may stand on it until it does: what it reads is what the tree held
 * at a moment after its call began. Who reads several leaves checks all pages of the way in the end (seek.h).
 * Nothing here writes to a page: a reader that stopped between its last look at the version and the store would hit whatever is in the
 * frame when it goes on. That may happen to a hint, which nobody believes. */
#include "seek.h"

#include "defer.h"

#define FETCHES	     256u /* of one call, before it is taken for thrashing */
#define SPINS	     256
#define NOT_OPEN     3 /* of run_free() and run_locked(): the tree must be opened first */
#define ROOT_CHANGES UINT64_MAX

/* ---- one step ---- */

static NODE_RACY bool enter(struct frame *f, uint64_t id, struct spot *spot)
{
	uint64_t version = atomic_load_explicit(&f->version, memory_order_acquire);

	if (version & 1 || atomic_load_explicit(&f->id, memory_order_relaxed) != id)
		return false;
	if (!atomic_load_explicit(&f->touched, memory_order_relaxed))
		atomic_store_explicit(&f->touched, true, memory_order_relaxed);
	spot->frame   = f;
	spot->version = version;
	return true;
}

static NODE_RACY int leave_trail(struct trail *trail, const struct spot *spot)
{
	if (!trail)
		return 0;
	if (trail->n == TRAIL_MAX) {
		trail->full = true;
		return RESTART;
	}
	trail->seen[trail->n].frame	= spot->frame;
	trail->seen[trail->n++].version = spot->version;
	return 0;
}

void seek_trail_begin(struct trail *trail, const struct tree *t)
{
	trail->n       = 0;
	trail->full    = false;
	trail->root_id = atomic_load_explicit(&t->root_id, memory_order_acquire);
}

NODE_RACY bool seek_trail_valid(const struct trail *trail, const struct tree *t)
{
	atomic_thread_fence(memory_order_acquire);
	for (unsigned i = 0; i < trail->n; i++)
		if (atomic_load_explicit(&trail->seen[i].frame->version, memory_order_relaxed) != trail->seen[i].version)
			return false;
	return atomic_load_explicit(&t->root_id, memory_order_relaxed) == trail->root_id;
}

/* The root's pointer is copied between two looks at root_id, as a page's would be between two looks at its version. */
static NODE_RACY int root_missing(const struct tree *t, uint64_t id, struct wanted *w)
{
	*w = (struct wanted){ t->id, t->root };
	atomic_thread_fence(memory_order_acquire);
	if (id & VIRTUAL || w->ptr.addr != id || atomic_load_explicit(&t->root_id, memory_order_relaxed) != id)
		return RESTART;
	return -TARN_E_AGAIN;
}

NODE_RACY int seek_root(struct store *s, struct tree *t, struct trail *trail, struct spot *spot, struct wanted *w)
{
	uint64_t      id = atomic_load_explicit(&t->root_id, memory_order_acquire);
	struct frame *f;

	*spot = (struct spot){ 0 };
	if (id == ROOT_CHANGES || (trail && trail->root_id != id))
		return RESTART;
	if (!id)
		return 0;
	f = cache_peek(&s->cache, id, t->hint);
	if (!f)
		return root_missing(t, id, w);
	if (!enter(f, id, spot) || atomic_load_explicit(&t->root_id, memory_order_relaxed) != id)
		return RESTART;
	return leave_trail(trail, spot);
}

/* A dirty page is always in the cache, unless it was put off, and then its pointer has a length: when it was not found, it moved. */
static NODE_RACY int child_missing(const struct tree *t, const struct spot *up, struct wanted *w)
{
	struct node_child child = node_child(up->frame->page, up->frame->cap, up->slot);

	if (!frame_valid(up->frame, up->version) || !child.ptr.addr || (child.ptr.addr & VIRTUAL && !child.ptr.len))
		return RESTART;
	*w = (struct wanted){ t->id, child.ptr };
	return -TARN_E_AGAIN;
}

/* The spot is read field by field: a copy of all of it would wait for the stores of its fields, and so for the search that gave the slot. */
NODE_RACY int seek_down(struct store *s, struct tree *t, struct trail *trail, struct spot *spot, struct wanted *w)
{
	struct frame *p	      = spot->frame;
	uint64_t      version = spot->version, id;
	uint32_t      slot = spot->slot, hint = hint_get(&s->cache, p, slot);
	unsigned      level = node_level(p->page);
	struct frame *f;

	id = node_child_id(p->page, p->cap, slot);
	f  = id ? cache_peek(&s->cache, id, hint) : NULL;
	if (!f) {
		struct spot up = { .frame = p, .version = version, .slot = slot };

		return child_missing(t, &up, w);
	}
	if (!enter(f, id, spot) || !frame_valid(p, version) || node_level(f->page) + 1 != level)
		return RESTART;
	if (f->number != hint)
		hint_set(&s->cache, p, slot, f->number);
	return leave_trail(trail, spot);
}

/* ---- memory before it is needed ---- */

/* The frame and the beginning of its page are two misses, one after the other. But frames and pages are arrays side by side, so both places
 * follow from the number alone. A wrong number loads something for nothing. */
NODE_RACY void page_prefetch(const struct cache *c, uint32_t hint, bool leaf)
{
	unsigned	    k = hint >> 28 & (FRAME_CLASSES - 1);
	const struct arena *a = &c->arenas[k];
	uint64_t	    i = hint & 0xfffffff;

	prefetch((const void *)((uintptr_t)a->frames + i * sizeof(struct frame))); /* readers look at its first line only */
	prefetch_lines((uintptr_t)a->memory + i * ((uint64_t)BLOCK << k), leaf ? 5 : 2);
}

uintptr_t seek_hinted(const struct cache *c, uint32_t hint, uint32_t *bytes)
{
	unsigned k = hint >> 28 & (FRAME_CLASSES - 1);

	*bytes = BLOCK << k;
	return (uintptr_t)c->arenas[k].memory + (hint & 0xfffffff) * ((uint64_t)BLOCK << k);
}

NODE_RACY void seek_prefetch(struct store *s, const struct spot *up, uint32_t slot)
{
	page_prefetch(&s->cache, hint_get(&s->cache, up->frame, slot), node_level(up->frame->page) == 1);
}

/* A search of a large page would miss at each of its first looks, one after the other. */
NODE_RACY void seek_look(const struct spot *spot)
{
	const struct frame *f	   = spot->frame;
	uint32_t	    n	   = node_count(f->page, f->cap);
	size_t		    eighth = (size_t)(n / 8) * SLOT_BYTES;
	const uint8_t	   *at	   = f->page + NODE_SLOTS + eighth;

	for (uint32_t i = 1; i < 8 && n > 64; i++, at += eighth)
		prefetch(at);
}

NODE_RACY void seek_route(struct spot *spot, tarn_buf key)
{
	spot->slot = node_route(spot->frame->page, spot->frame->cap, key);
}

NODE_RACY void seek_aim(struct store *s, struct spot *spot, tarn_buf key)
{
	seek_look(spot);
	seek_route(spot, key);
	seek_prefetch(s, spot, spot->slot);
}

NODE_RACY void seek_prefetch_entry(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	prefetch_lines((uintptr_t)page + page_entry(page, cap, slot), 3);
}

#define ROOM_LINES 4u /* more of them come by themselves */

NODE_RACY void seek_prefetch_room(const struct frame *leaf, tarn_buf key, tarn_buf val)
{
	uint32_t end   = MIN(page_u32(leaf->page + NODE_HEAP), leaf->cap);
	size_t	 bytes = MIN(LEAF_KEY + key.len + val.len, end);

	prefetch_lines((uintptr_t)leaf->page + end - bytes, (unsigned)MIN(bytes / LINE + 1, ROOM_LINES));
}

NODE_RACY void seek_near(struct spot *spot, tarn_buf key)
{
	const struct frame *f = spot->frame;

	spot->slot = node_near(f->page, f->cap, key);
	seek_prefetch_entry(f->page, f->cap, spot->slot);
}

NODE_RACY void seek_lower(struct spot *spot, tarn_buf key)
{
	const struct frame *f = spot->frame;

	spot->slot = node_lower_near(f->page, f->cap, key, spot->slot, &spot->found);
}

static NODE_RACY void aim_last(struct store *s, struct spot *spot, tarn_buf below)
{
	const struct frame *f = spot->frame;
	bool		    found;
	uint32_t	    n = below.len ? node_lower(f->page, f->cap, below, &found) : node_count(f->page, f->cap);

	spot->slot = n ? n - 1 : 0;
	seek_prefetch(s, spot, spot->slot);
}

/* ---- from the root to a leaf ---- */

NODE_RACY int seek_leaf(struct store *s, struct place *p, tarn_buf key, struct wanted *w)
{
	int rc = seek_root(s, p->tree, p->trail, &p->leaf, w);

	p->up.frame = NULL;
	while (!rc && p->leaf.frame && node_level(p->leaf.frame->page)) {
		seek_aim(s, &p->leaf, key);
		p->up = p->leaf;
		rc    = seek_down(s, p->tree, p->trail, &p->leaf, w);
	}
	return rc;
}

NODE_RACY int seek_leaf_last(struct store *s, struct place *p, tarn_buf below, struct wanted *w)
{
	int rc = seek_root(s, p->tree, p->trail, &p->leaf, w);

	p->up.frame = NULL;
	while (!rc && p->leaf.frame && node_level(p->leaf.frame->page)) {
		aim_last(s, &p->leaf, below);
		p->up = p->leaf;
		rc    = seek_down(s, p->tree, p->trail, &p->leaf, w);
	}
	return rc;
}

NODE_RACY int tree_seek(struct store *s, struct tree *t, tarn_buf key, struct spot *spot, struct wanted *w)
{
	struct place p	= { .tree = t };
	int	     rc = seek_leaf(s, &p, key, w);

	*spot = p.leaf;
	if (!rc && spot->frame)
		spot->slot = node_lower(spot->frame->page, spot->frame->cap, key, &spot->found);
	return rc;
}

/* ---- the loop around it ---- */

static NODE_RACY uint64_t racy_u64(const volatile uint64_t *p)
{
	return *p;
}

static bool asked_for(const struct seek *k)
{
	return atomic_load_explicit(&k->tree->id, memory_order_relaxed) == k->at.tree &&
	       atomic_load_explicit(&k->tree->epoch, memory_order_relaxed) == k->at.epoch;
}

/* A batch is short, and its end worth waiting for; but its thread may be asleep. */
static bool batch_ends(struct store *s)
{
	for (unsigned i = 0; i < SPINS; i++) {
		if (!(atomic_load_explicit(&s->batches, memory_order_acquire) & 1))
			return true;
		spin_pause();
	}
	return false;
}

static int run_free(struct store *s, struct seek *k, struct wanted *w)
{
	uint64_t batches = atomic_load_explicit(&s->batches, memory_order_relaxed);
	uint64_t gen	 = racy_u64(&s->gen);
	int	 rc;

	if (batches & 1)
		return batch_ends(s) ? RESTART : seek_lock(k);
	atomic_thread_fence(memory_order_acquire); /* both were loaded before anything else is */
	k->tree = tree_peek(s, k->at.tree, k->at.epoch);
	if (!k->tree)
		return NOT_OPEN;
	rc = k->body(s, k->arg, w);
	if (rc == -TARN_E_AGAIN)
		return rc;
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&s->batches, memory_order_relaxed) != batches || racy_u64(&s->gen) != gen || !asked_for(k))
		return RESTART;
	return rc;
}

/* Nothing changes under the lock, so what does not fit together never will. */
static int run_locked(struct store *s, struct seek *k, struct wanted *w)
{
	int rc = NOT_OPEN;

	pthread_mutex_lock(&s->lock);
	k->tree = tree_peek(s, k->at.tree, k->at.epoch);
	if (k->tree)
		rc = k->body(s, k->arg, w);
	pthread_mutex_unlock(&s->lock);
	if (rc == RESTART)
		return fail(CSUM, "pages of tree %llu do not fit together", (unsigned long long)k->at.tree);
	return rc;
}

/* Memory is so short that a page is gone before the next one has come: so they are read and held under the lock, one by one. */
static int run_pinned(struct store *s, struct seek *k)
{
	struct frame *held[TRAIL_MAX];
	unsigned      n	 = 0;
	int	      rc = -TARN_E_AGAIN;

	pthread_mutex_lock(&s->lock);
	k->locked = true;
	k->tree	  = tree_peek(s, k->at.tree, k->at.epoch);
	while (k->tree && rc == -TARN_E_AGAIN && n < TRAIL_MAX) {
		struct wanted w = { 0 };

		k->ahead_n = 0;
		rc	   = k->body(s, k->arg, &w);
		if (rc != -TARN_E_AGAIN || !w.ptr.addr)
			break;
		rc = cache_get(s, w.tree, &w.ptr, &held[n]);
		if (rc)
			break;
		n++;
		rc = -TARN_E_AGAIN;
	}
	if (n == TRAIL_MAX)
		rc = fail(NOMEM, "the cache of %llu bytes cannot hold what the call must see at once",
			  (unsigned long long)s->cache.budget);
	while (n)
		cache_unpin(held[--n]);
	pthread_mutex_unlock(&s->lock);
	if (rc == RESTART)
		return fail(CSUM, "pages of tree %llu do not fit together", (unsigned long long)k->at.tree);
	return k->tree ? rc : NOT_OPEN;
}

static int open_tree(struct store *s, void *arg)
{
	struct seek *k = arg;

	return tree_open(s, k->at.tree, k->at.epoch, &k->tree);
}

/* When reading ahead fails, what is wanted now is read alone: its own error is what counts. */
static int fetch(struct store *s, const struct wanted *w, const struct wanted *all, size_t n)
{
	if (n > 1 && !page_fetch_many(s, all, n))
		return 0;
	return page_fetch(s, w);
}

static int refuse_to_wait(struct store *s, const struct wanted *all, size_t n)
{
	store_set_wanted_many(s, all, n);
	return fail(AGAIN, "it is not in memory");
}

/* What could not be read, and why. */
struct damage {
	struct bptr ptr;
	int	    rc;
};

/* The body wants a page: 0 when it can go on. A page that cannot be read may have been given up between the look at its pointer and the
 * read, and its blocks hold something else by now. So an error counts when the body wants the very same page again, under the lock. */
static int want(struct store *s, struct seek *k, struct wanted *w, struct damage *d)
{
	struct wanted parts[DEFER_PAGES] = { *w }, *all = parts;
	size_t	      n = w->ptr.addr ? defer_resolve(s, parts, 1, DEFER_PAGES) : 0;

	if (w->ptr.addr && !n)
		return 0;
	*w	   = parts[0];
	k->ahead_n = k->ahead_n > 1 ? (unsigned)defer_resolve(s, k->ahead, k->ahead_n, AHEAD_MAX) : 0;
	if (k->ahead_n > 1)
		all = k->ahead, n = k->ahead_n;
	if (k->flags & STORE_NOWAIT || !w->ptr.addr)
		return refuse_to_wait(s, all, n);
	if (d->rc && bptr_equal(&d->ptr, &w->ptr))
		return d->rc;
	d->ptr = w->ptr;
	d->rc  = fetch(s, w, all, n);
	if (d->rc)
		k->locked = true;
	return 0;
}

int seek_at(struct store *s, struct seek *k)
{
	struct damage damage   = { .rc = 0 };
	unsigned      restarts = 0, fetches = 0;

	for (;;) {
		struct wanted w;
		int	      rc;

		w.ptr.addr = 0;
		k->ahead_n = 0;
		if (fetches == FETCHES)
			rc = run_pinned(s, k);
		else
			rc = k->locked ? run_locked(s, k, &w) : run_free(s, k, &w);
		if (rc == RESTART) {
			k->locked |= ++restarts == k->patience;
			continue;
		}
		if (rc == NOT_OPEN)
			rc = store_run(s, k->flags, open_tree, k);
		else if (rc == -TARN_E_AGAIN && fetches++ < FETCHES)
			rc = want(s, k, &w, &damage);
		else
			return rc;
		if (rc)
			return rc;
	}
}
