/* SPDX-License-Identifier: Apache-2.0 */
/* store/spill.c: puts that were put off, and that memory has no room for.
 *
 * The more puts a leaf gathers before it is written, the less is written for each. So when memory is full, the puts go to the device and their notes stay: a
 * spill has the puts of all leaves of a tree in key order, in pages like leaves, written one after the other. A leaf's puts stand in one page of it,
 * whose number is in the note. Who wants the leaf reads its base and those pages; a checkpoint reads them in the same order as the tree. Always true, under store->lock:
 *   - the log has every put that is in a spill: after a crash spills are free space, and their blocks are hidden (space.h) from the map;
 *   - a note has pages of one half. When a checkpoint begins, notes to come get the other half, if nobody needs anything of it any more: so
 *     what is frozen, and what is not, stand apart;
 *   - the pages of a half are given up together, when no note needs one of them and all have been written.
 * A put has a revision, so it does not matter in which order pages are looked at. When a page of a spill cannot be read, the leaf cannot be: the
 * checkpoint that meets it fails the store, and the next open replays the log. */
#include "spill.h"

#include "above.h"
#include "note.h"

#define PAGES_MAX SPILL_PAGE_MAX /* of a half; memory comes to their pointers as they are made */
#define NOTES	  16u		 /* are looked at in a turn */
#define GIVES	  64u		 /* pages are given up in a turn */
#define WORTH	  64u		 /* of the budget: puts enough for a spill */

enum { FULL = 1, END }; /* no errors */

struct bptr spill_page(const struct store *s, bool half, uint32_t number)
{
	return bptr_get(s->defer.spills[half].ptrs + (size_t)(number - 1) * BPTR_BYTES);
}

/* ---- giving up ---- */

static void give_page(struct store *s, const struct bptr *ptr)
{
	struct frame *f = cache_find(s, ptr->addr);

	if (f)
		cache_drop_spare(s, f);
	space_free_now(&s->space, ptr->addr, ptr->len / BLOCK);
}

/* With the lock. Nobody else looks at what no note needs. */
static void give(struct store *s, struct spills *sp)
{
	for (uint32_t i = 0; i < sp->n; i++) {
		struct bptr ptr = bptr_get(sp->ptrs + (size_t)i * BPTR_BYTES);

		if (i % GIVES == 0)
			store_let_in(s);
		give_page(s, &ptr);
	}
	device_unmap(sp->ptrs, PAGES_MAX * BPTR_BYTES);
	*sp = (struct spills){ 0 };
	defer_account(&s->defer);
}

/* A checkpoint that is under way holds some in memory. */
void spills_give(struct store *s)
{
	store_lock(s);
	for (unsigned half = 0; half < 2 && !s->checkpoint.running; half++) {
		struct spills *sp = &s->defer.spills[half];

		if (sp->ptrs && !sp->notes && sp->written <= s->checkpoint.written)
			give(s, sp);
	}
	pthread_mutex_unlock(&s->lock);
}

void spills_fini(struct store *s)
{
	for (unsigned half = 0; half < 2; half++)
		device_unmap(s->defer.spills[half].ptrs, PAGES_MAX * BPTR_BYTES);
}

void spills_freeze(struct store *s)
{
	s->defer.half ^= !s->defer.spills[!s->defer.half].notes;
}

/* ---- a spill ---- */

static uint32_t page_bytes(const struct store *s)
{
	return tree_new_cap(s, 0);
}

bool spill_can(const struct store *s)
{
	return s->defer.spills[s->defer.half].n < PAGES_MAX;
}

bool spill_helps(const struct store *s)
{
	return s->defer.puts >= s->defer.left + s->cache.budget / WORTH && spill_can(s);
}

uint64_t spills_blocks(const struct store *s)
{
	return ((uint64_t)s->defer.spills[0].n + s->defer.spills[1].n) * (page_bytes(s) / BLOCK);
}

struct writer {
	struct stages	  *g;
	struct store	  *s;
	struct spills	  *sp;
	bool		   half;
	uint32_t	   first; /* pages that were there before */
	struct above	   above;
	struct frame	  *page; /* the present one: in the cache, but not in its stage yet. NULL: there is none */
	uint8_t		  *at;	 /* its place in the stage */
	const struct put **puts; /* of a note, in key order */
	size_t		   puts_cap;
};

static struct bptr present(const struct writer *w)
{
	return spill_page(w->s, w->half, w->sp->n);
}

/* No lock. The page has its last put. */
static void seal(struct writer *w)
{
	struct store *s = w->s;
	struct frame *f = w->page;
	struct bptr   ptr;

	if (!f)
		return;
	ptr = present(w);
	node_pack(f->page, f->cap, w->at, f->cap);
	memcpy(w->at + NODE_POOL, s->pool.bytes, 8);
	put64(w->at + NODE_TREE, f->tree);
	put64(w->at + NODE_BIRTH, ptr.birth);
	put64(w->at + NODE_ADDR, ptr.addr);
	ptr.sum = hash128(w->at, f->cap);
	store_lock(s);
	bptr_put(w->sp->ptrs + (size_t)(w->sp->n - 1) * BPTR_BYTES, &ptr);
	f->ptr = ptr;
	stages_spent(w->g, f);
	pthread_mutex_unlock(&s->lock);
	w->page = NULL;
}

/* With the lock. FULL: the stage is. */
static int new_page(struct writer *w, const struct tree *t)
{
	struct store *s	   = w->s;
	uint32_t      cap  = page_bytes(s);
	tarn_buf      none = { NULL, 0 };
	struct wanted want = { .tree = t->id, .ptr = { .len = cap, .birth = s->gen } };
	struct frame *f;

	if (w->sp->n == PAGES_MAX)
		return END;
	f = cache_reserve(s, cap);
	if (!f)
		return END;
	w->at = stages_place(w->g, cap / BLOCK, &want.ptr.addr);
	if (!w->at) {
		cache_unreserve(s, f);
		return FULL;
	}
	node_init(f->page, cap, 0, none, none, false);
	bptr_put(w->sp->ptrs + (size_t)w->sp->n * BPTR_BYTES, &want.ptr);
	w->sp->n++;
	w->sp->written = w->g->written;
	cache_publish_unwritten(s, f, &want, w->g->written);
	w->page = f;
	return 0;
}

/* No lock. Nothing of it is anybody's but the spill's. */
static int new_stage(struct writer *w)
{
	struct store *s	    = w->s;
	bool	      spare = false;
	int	      rc;

	stages_submit(w->g);
	store_lock(s);
	spare = space_spare(s, STAGE_BLOCKS) && !space_reserve(&s->space);
	pthread_mutex_unlock(&s->lock);
	if (!spare)
		return END;
	rc = stages_next(w->g, STAGE_BLOCKS);
	if (rc)
		return w->g->failed ? rc : END;
	store_lock(s);
	space_hide(&s->space, w->g->block, w->g->room);
	pthread_mutex_unlock(&s->lock);
	return w->g->room < page_bytes(s) / BLOCK ? END : 0;
}

/* No lock. */
static int next_page(struct writer *w, const struct tree *t)
{
	int rc;

	seal(w);
	store_lock(w->s);
	rc = new_page(w, t);
	pthread_mutex_unlock(&w->s->lock);
	if (rc != FULL)
		return rc;
	rc = new_stage(w);
	if (rc)
		return rc;
	store_lock(w->s);
	rc = new_page(w, t);
	pthread_mutex_unlock(&w->s->lock);
	return rc;
}

/* ---- puts ---- */

static int by_key(const void *a, const void *b)
{
	const struct put *x = *(struct put *const *)a, *y = *(struct put *const *)b;

	return key_compare((tarn_buf){ x->bytes, x->key_len }, (tarn_buf){ y->bytes, y->key_len });
}

/* How many; the bytes that they take in a page. */
static size_t sort_puts(struct writer *w, const struct deferred *p, size_t *bytes)
{
	size_t n = 0;

	*bytes = 0;
	for (const struct put *u = put_at(&w->s->defer, p->puts); u && n < w->puts_cap; u = next_put(&w->s->defer, u)) {
		w->puts[n++] = u;
		*bytes += PUT_BYTES + u->key_len + u->len;
	}
	qsort(w->puts, n, sizeof(struct put *), by_key);
	return n;
}

static unsigned free_place(const struct deferred *p)
{
	unsigned i = 0;

	while (spilled_page(p, i))
		i++;
	return i;
}

/* With the lock. FULL: the page is. */
static int add_note(struct writer *w, struct deferred *p)
{
	struct store *s = w->s;
	struct frame *f = w->page;
	size_t	      bytes, n = sort_puts(w, p, &bytes);
	uint32_t      slot;

	if (!f || f->tree != p->tree || node_need(f->page, f->cap) + bytes > f->cap)
		return FULL;
	slot = node_count(f->page, f->cap);
	for (size_t i = 0; i < n; i++) {
		struct leaf_value v = value_of(w->puts[i], s->log.lsn);

		node_put_value(f->page, f->cap, slot++, false, (tarn_buf){ w->puts[i]->bytes, w->puts[i]->key_len }, &v);
	}
	w->sp->notes += !spilled_page(p, 0);
	set_spilled_page(p, free_place(p), w->sp->n);
	s->defer.spilled += n;
	defer_free_puts(s, p);
	return 0;
}

/* What a checkpoint has begun to write goes soon. Each leaf is met once; that of many pages keeps its puts in memory. */
static bool is_to_go(const struct writer *w, const struct deferred *p)
{
	unsigned i = p ? free_place(p) : SPILLS;

	return i < SPILLS && p->puts && note_gen(w->s, p) > w->s->checkpoint.gen && p->half == w->half &&
	       (!i || spilled_page(p, i - 1) <= w->first);
}

/* Leaves from at->slot on of whose puts some are likely to be in memory; which ones does not matter to anybody but memory. */
static unsigned choose(const struct writer *w, struct above_place *at, uint32_t slots[NOTES])
{
	unsigned n = 0;

	for (; n < NOTES && at->slot < node_count(at->f->page, at->f->cap); at->slot++)
		if (hint_get(&w->s->cache, at->f, at->slot) == HINT_PUTS)
			slots[n++] = at->slot;
	for (unsigned i = 0; i < n; i++)
		defer_expect(w->s, node_child_id(at->f->page, at->f->cap, slots[i]));
	for (unsigned i = 0; i < n; i++)
		defer_expect_note(w->s, node_child_id(at->f->page, at->f->cap, slots[i]));
	return n;
}

/* With the lock. */
static int add_notes(struct writer *w)
{
	struct above_place at = above_find(&w->above);
	uint32_t	   slots[NOTES];
	unsigned	   n  = at.f ? choose(w, &at, slots) : 0;
	int		   rc = 0;

	for (unsigned i = 0; !rc && i < n; i++) {
		uint64_t	 id = node_child_id(at.f->page, at.f->cap, slots[i]);
		struct deferred *p  = id & VIRTUAL ? defer_find(w->s, id) : NULL;

		rc = is_to_go(w, p) ? add_note(w, p) : 0;
		if (rc)
			at.slot = slots[i];
		else
			hint_set(&w->s->cache, at.f, slots[i], 0);
	}
	if (at.f)
		above_pass(&w->above, at.f, at.slot);
	defer_account(&w->s->defer);
	return rc;
}

static int spill_tree(struct writer *w, const struct tree *t)
{
	int rc = 0;

	above_begin(&w->above, t);
	while (!rc && !w->above.done) {
		store_lock(w->s);
		do {
			rc = add_notes(w);
			store_let_in(w->s);
		} while (!rc && !w->above.done);
		pthread_mutex_unlock(&w->s->lock);
		rc = rc == FULL ? next_page(w, t) : rc;
	}
	return rc;
}

/* The live one behind t that has changed. No tree is freed before the store is closed. */
static const struct tree *next_tree(struct store *s, size_t *bucket, const struct tree *t)
{
	store_lock(s);
	do {
		t = t ? t->next : s->trees[*bucket];
		while (!t && ++*bucket < ARRAY_LEN(s->trees))
			t = s->trees[*bucket];
	} while (t && (t->epoch || !t->dirty));
	pthread_mutex_unlock(&s->lock);
	return t;
}

static int spill_trees(struct writer *w)
{
	size_t		   bucket = 0;
	const struct tree *t	  = NULL;
	int		   rc	  = 0;

	while (!rc && (t = next_tree(w->s, &bucket, t)))
		rc = spill_tree(w, t);
	return rc;
}

/* Without memory there is none. */
static bool begin(struct writer *w, struct stages *g)
{
	struct store *s = g->s;

	*w	= (struct writer){ .g = g, .s = s, .puts_cap = defer_most(s) / PUT_BYTES + 1 };
	w->puts = malloc(w->puts_cap * sizeof(struct put *));
	if (!above_init(&w->above, s) || !w->puts)
		return false;
	store_lock(s);
	w->half	 = s->defer.half;
	w->sp	 = &s->defer.spills[w->half];
	w->first = w->sp->n;
	if (!w->sp->ptrs)
		w->sp->ptrs = device_map(PAGES_MAX * BPTR_BYTES);
	pthread_mutex_unlock(&s->lock);
	return w->sp->ptrs;
}

static void end(struct writer *w)
{
	struct store *s = w->s;

	seal(w);
	stages_submit(w->g);
	store_lock(s);
	s->checkpoint.count++;
	s->defer.left = s->defer.puts;
	defer_account(&s->defer);
	pthread_cond_broadcast(&s->checkpoint.ended);
	pthread_mutex_unlock(&s->lock);
}

int spill_run(struct stages *g)
{
	struct writer w;
	int	      rc = 0;

	spills_give(g->s);
	if (begin(&w, g)) {
		rc = spill_trees(&w);
		end(&w);
	}
	above_fini(&w.above);
	free(w.puts);
	return MIN(rc, 0);
}
