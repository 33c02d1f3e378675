/* SPDX-License-Identifier: Apache-2.0 */
/* store/cache.c: pages in memory, within a budget of bytes.
 *
 * Address space for each size of page is taken once, for twice the budget, and memory comes to it as it is touched; it is given back only
 * when another size needs it. A frame is free (version odd, id 0), reserved for a page that is being read (the same, but owned), clean
 * (its id is its block; it may be evicted when nobody pins it) or dirty (its id is virtual; it stays until a checkpoint has written
 * it). What is evicted is chosen by a clock in each size. Dirty pages and pins may lead over the budget for a while: whoever makes
 * pages dirty looks at dirty_bytes first. */
#include "defer.h"
#include "internal.h"

#define SPARE (UINT64_C(64) << 20)  /* of address space, for pages over the budget */
#define LEAST (UINT64_C(512) << 10) /* of memory for pages, whatever the budget: a few paths */

static uint32_t class_bytes(unsigned k)
{
	return BLOCK << k;
}

static unsigned class_of(uint32_t bytes)
{
	unsigned k = 0;

	while (class_bytes(k) < bytes)
		k++;
	return k;
}

static uint32_t bucket(const struct cache *c, uint64_t id)
{
	return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & c->hash_mask);
}

static int arena_init(struct arena *a, unsigned k, uint64_t space)
{
	a->max	  = (uint32_t)(space / class_bytes(k));
	a->memory = device_map((uint64_t)a->max * class_bytes(k));
	a->frames = device_map_small((uint64_t)a->max * sizeof(struct frame));
	a->hints  = device_map_small((uint64_t)a->max * (class_bytes(k) / CHILD_BYTES) * sizeof(*a->hints));
	return a->memory && a->frames && a->hints
		       ? 0
		       : fail(NOMEM, "no address space for %llu bytes of cache", (unsigned long long)space);
}

int cache_init(struct store *s, uint64_t budget)
{
	struct cache *c	      = &s->cache;
	uint64_t      buckets = 64, space = ROUND_UP(2 * budget + SPARE, UINT64_C(2) << 20);
	int	      rc = 0;

	while (buckets < budget / BLOCK)
		buckets *= 2;
	*c	= (struct cache){ .budget = budget, .hash_mask = buckets - 1, .next_virtual = 1 };
	c->hash = calloc(buckets, sizeof(*c->hash));
	if (!c->hash)
		return fail(NOMEM, "no memory for a page table of %llu entries", (unsigned long long)buckets);
	c->bytes = buckets * sizeof(*c->hash);
	for (unsigned k = 0; !rc && k < FRAME_CLASSES; k++)
		rc = arena_init(&c->arenas[k], k, space);
	return rc;
}

void cache_fini(struct store *s)
{
	struct cache *c = &s->cache;

	for (unsigned k = 0; k < FRAME_CLASSES; k++) {
		struct arena *a = &c->arenas[k];

		if (a->memory)
			device_unmap(a->memory, (uint64_t)a->max * class_bytes(k));
		if (a->frames)
			device_unmap(a->frames, (uint64_t)a->max * sizeof(struct frame));
		if (a->hints)
			device_unmap(a->hints, (uint64_t)a->max * (class_bytes(k) / CHILD_BYTES) * sizeof(*a->hints));
	}
	free(c->hash);
	*c = (struct cache){ 0 };
}

/* ---- finding ---- */

NODE_RACY static struct frame *hinted(const struct cache *c, uint64_t id, uint32_t hint)
{
	const struct arena *a = &c->arenas[hint >> 28 & (FRAME_CLASSES - 1)];
	uint32_t	    i = hint & 0xfffffff;
	struct frame	   *f;

	if (i >= a->made)
		return NULL;
	f = &a->frames[i];
	return atomic_load_explicit(&f->id, memory_order_relaxed) == id ? f : NULL;
}

/* A frame that moves to another bucket while we stand on it leads us astray: so the way is bounded, and not to find is no proof. */
NODE_RACY struct frame *cache_peek(const struct cache *c, uint64_t id, uint32_t hint)
{
	struct frame *f = hint ? hinted(c, id, hint) : NULL;
	uint32_t      n;

	if (f)
		return f;
	n = atomic_load_explicit(&c->hash[bucket(c, id)], memory_order_acquire);
	for (unsigned steps = 0; n && steps < 64; steps++) {
		f = cache_frame(c, n);
		if (atomic_load_explicit(&f->id, memory_order_relaxed) == id)
			return f;
		n = atomic_load_explicit(&f->chain, memory_order_acquire);
	}
	return NULL;
}

void hints_move(const struct cache *c, const struct frame *f, uint32_t from, uint32_t to)
{
	uint32_t  each = f->cap / CHILD_BYTES;
	uint32_t *all  = (uint32_t *)(uintptr_t)hint_at(c, f, 0);

	if (MAX(from, to) < each)
		memmove(all + to, all + from, (each - MAX(from, to)) * sizeof(*all));
}

void hints_copy(const struct cache *c, const struct frame *from, const struct frame *to)
{
	memcpy((void *)(uintptr_t)hint_at(c, to, 0), (const void *)(uintptr_t)hint_at(c, from, 0),
	       MIN(from->cap, to->cap) / CHILD_BYTES * sizeof(uint32_t));
}

struct frame *cache_find(struct store *s, uint64_t id)
{
	struct cache *c = &s->cache;
	uint32_t      n = atomic_load_explicit(&c->hash[bucket(c, id)], memory_order_relaxed);

	while (n) {
		struct frame *f = cache_frame(c, n);

		if (atomic_load_explicit(&f->id, memory_order_relaxed) == id)
			return f;
		n = atomic_load_explicit(&f->chain, memory_order_relaxed);
	}
	return NULL;
}

static void hash_add(struct cache *c, struct frame *f, uint64_t id)
{
	_Atomic uint32_t *b = &c->hash[bucket(c, id)];

	atomic_store_explicit(&f->chain, atomic_load_explicit(b, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&f->id, id, memory_order_release);
	atomic_store_explicit(b, f->number, memory_order_release);
}

static void hash_remove(struct cache *c, struct frame *f)
{
	_Atomic uint32_t *at = &c->hash[bucket(c, f->id)];

	while (atomic_load_explicit(at, memory_order_relaxed) != f->number)
		at = &cache_frame(c, atomic_load_explicit(at, memory_order_relaxed))->chain;
	atomic_store_explicit(at, atomic_load_explicit(&f->chain, memory_order_relaxed), memory_order_release);
}

static void rename_frame(struct cache *c, struct frame *f, uint64_t id)
{
	hash_remove(c, f);
	hash_add(c, f, id);
}

/* ---- taking and evicting ---- */

static uint64_t limit(const struct store *s)
{
	uint64_t other = s->space.bytes + log_memory(s) + s->defer.bytes + s->rows.bytes + s->filter.bytes +
			 s->checkpoint.dead_cap * sizeof(struct dead_run);

	return MAX(s->cache.budget > other ? s->cache.budget - other : 0, LEAST);
}

bool cache_has_room(const struct store *s, uint64_t bytes)
{
	return s->cache.bytes + bytes <= limit(s);
}

bool cache_is_full(const struct store *s)
{
	return !cache_has_room(s, class_bytes(0));
}

static void push(uint32_t *list, struct frame *f)
{
	atomic_store_explicit(&f->chain, *list, memory_order_relaxed);
	*list = f->number;
}

static struct frame *pop(struct cache *c, uint32_t *list)
{
	struct frame *f = *list ? cache_frame(c, *list) : NULL;

	if (f)
		*list = atomic_load_explicit(&f->chain, memory_order_relaxed);
	return f;
}

/* Number 0 means none: so the first frame of the smallest size is never used. */
static struct frame *make(struct arena *a, unsigned k)
{
	struct frame *f;

	if (!a->made && !k)
		a->made = 1;
	if (a->made == a->max)
		return NULL;
	f	   = &a->frames[a->made];
	f->number  = k << 28 | a->made;
	f->page	   = a->memory + (uint64_t)a->made * class_bytes(k);
	f->cap	   = class_bytes(k);
	f->version = 1;
	a->made++;
	return f;
}

/* A frame that has no memory yet. */
static struct frame *back_one(struct store *s, unsigned k)
{
	struct cache *c = &s->cache;
	struct arena *a = &c->arenas[k];
	struct frame *f = pop(c, &a->bare);

	if (!f) {
		f = make(a, k);
		back_tell_frames(s, a);
	}
	if (f)
		c->bytes += f->cap + sizeof(*f);
	return f;
}

static void unback(struct cache *c, struct frame *f)
{
	device_unback(f->page, f->cap);
	c->bytes -= f->cap + sizeof(*f);
	push(&c->arenas[f->number >> 28].bare, f);
}

static void count_dirty(struct cache *c, struct frame *f)
{
	f->dirty = true;
	c->dirty_bytes += f->cap;
	c->dirty_wide += f->cap > BLOCK ? f->cap : 0;
	c->dirty_blocks += blob_blocks(f->cap);
}

static void uncount_dirty(struct cache *c, struct frame *f)
{
	f->dirty = false;
	c->dirty_bytes -= f->cap;
	c->dirty_wide -= f->cap > BLOCK ? f->cap : 0;
	c->dirty_blocks -= blob_blocks(f->cap);
}

/* From now on nobody finds it, and nobody believes what he has read in it. */
static void forget(struct cache *c, struct frame *f)
{
	frame_begin(f);
	hash_remove(c, f);
	atomic_store_explicit(&f->id, 0, memory_order_relaxed);
	if (f->dirty)
		uncount_dirty(c, f);
	f->superseded = f->view = false;
	f->pins = 0, f->written = 0, f->mark = 0;
}

void cache_drop(struct store *s, struct frame *f)
{
	forget(&s->cache, f);
	push(&s->cache.arenas[f->number >> 28].free, f);
}

static bool evictable(const struct store *s, const struct frame *f)
{
	return f->id && !f->dirty && !f->pins && f->written <= s->checkpoint.written;
}

static struct frame *victim(const struct store *s, struct arena *a)
{
	for (uint64_t steps = 0; steps < 2 * (uint64_t)a->made; steps++) {
		struct frame *f = &a->frames[a->hand];

		a->hand = a->hand + 1 < a->made ? a->hand + 1 : 0;
		if (!evictable(s, f))
			continue;
		if (!atomic_load_explicit(&f->touched, memory_order_relaxed))
			return f;
		atomic_store_explicit(&f->touched, false, memory_order_relaxed);
	}
	return NULL;
}

/* Makes room for a page of size k: memory of another size that nobody uses; else a page of this size goes, or, when those are few, of the
 * size that has the most. Without `keep` the memory goes back to the system, for what is no page. */
static bool evict_one(struct store *s, unsigned k, bool keep)
{
	struct cache *c	   = &s->cache;
	unsigned      most = k;
	struct frame *f	   = NULL;

	for (unsigned i = 0; i < FRAME_CLASSES; i++) {
		if ((i != k || !keep) && (f = pop(c, &c->arenas[i].free))) {
			unback(c, f);
			return true;
		}
		if ((uint64_t)c->arenas[i].made * class_bytes(i) > 4 * (uint64_t)c->arenas[most].made * class_bytes(most))
			most = i;
	}
	f = victim(s, &c->arenas[most]);
	for (unsigned i = 0; !f && i < FRAME_CLASSES; i++)
		f = victim(s, &c->arenas[i]);
	if (!f)
		return false;
	forget(c, f);
	if (keep && f->number >> 28 == k)
		push(&c->arenas[k].free, f);
	else
		unback(c, f);
	return true;
}

/* Other memory has grown, and pages take less. */
void cache_shrink(struct store *s)
{
	struct cache *c = &s->cache;

	while (c->bytes > limit(s) && evict_one(s, 0, false))
		;
}

static struct frame *take(struct store *s, unsigned k)
{
	struct cache *c = &s->cache;
	struct frame *f;

	for (;;) {
		f = pop(c, &c->arenas[k].free);
		if (!f && cache_has_room(s, class_bytes(k)))
			f = back_one(s, k);
		if (!f && !evict_one(s, k, true)) {
			f = back_one(s, k); /* over the budget: all of it is dirty, or pinned */
			if (!f)
				return NULL;
		}
		if (f) {
			f->version += 2; /* what anybody says of the last one it had is said of nothing */
			return f;
		}
	}
}

/* ---- pages ---- */

int page_verify(struct store *s, const uint8_t *page, const struct wanted *w)
{
	const struct bptr *p = &w->ptr;
	const char	  *why;
	int		   rc = node_validate(page, p->len, s->pool.bytes, s->space.blocks, &why);

	if (!rc && (p->len & (p->len - 1))) {
		why = "it has a size that no page has";
		rc  = -TARN_E_CSUM;
	}
	if (!rc &&
	    (get64(page + NODE_TREE) != w->tree || get64(page + NODE_BIRTH) != p->birth || get64(page + NODE_ADDR) != p->addr)) {
		why = "it is another page";
		rc  = -TARN_E_CSUM;
	}
	if (rc)
		return fail(CSUM, "the page at block %llu of tree %llu is malformed: %s", (unsigned long long)p->addr,
			    (unsigned long long)w->tree, why);
	return 0;
}

struct frame *cache_reserve(struct store *s, uint32_t len)
{
	return take(s, class_of(len));
}

void cache_unreserve(struct store *s, struct frame *f)
{
	push(&s->cache.arenas[f->number >> 28].free, f);
}

/* What was in these blocks before, of a snapshot or a tree that is gone. */
static void drop_stale(struct store *s, uint64_t id)
{
	struct frame *f = cache_find(s, id);

	if (f)
		cache_drop(s, f);
}

void cache_publish(struct store *s, struct frame *f, const struct wanted *w)
{
	struct frame *there = cache_find(s, w->ptr.addr);

	if (there && there->ptr.birth >= w->ptr.birth) { /* it has come already, or its block is another page's by now */
		cache_unreserve(s, f);
		return;
	}
	if (there)
		cache_drop(s, there);
	f->ptr	= w->ptr;
	f->tree = w->tree;
	atomic_store_explicit(&f->touched, true, memory_order_relaxed);
	hash_add(&s->cache, f, w->ptr.addr);
	frame_end(f);
}

void cache_publish_unwritten(struct store *s, struct frame *f, const struct wanted *w, uint64_t number)
{
	page_forget(s, w->ptr.addr);
	drop_stale(s, w->ptr.addr);
	f->ptr	   = w->ptr;
	f->tree	   = w->tree;
	f->written = number;
	hash_add(&s->cache, f, w->ptr.addr);
	frame_end(f);
}

void cache_show(struct store *s, struct frame *f, uint64_t id)
{
	f->view = true;
	hash_add(&s->cache, f, id);
	frame_end(f);
}

void cache_harden(struct store *s, struct frame *f)
{
	f->view = false;
	count_dirty(&s->cache, f);
}

void cache_drop_spare(struct store *s, struct frame *f)
{
	if (evictable(s, f))
		cache_drop(s, f);
}

/* With the lock held: the last resort of who may wait, and the way of a checkpoint and of a replay. */
static int load(struct store *s, const struct wanted *w, struct frame **out)
{
	struct frame *f;
	int	      rc;

	if (s->nowait) {
		s->wanted = *w;
		return fail(AGAIN, "the page is not in memory");
	}
	f = cache_reserve(s, w->ptr.len);
	if (!f)
		return fail(NOMEM, "no memory for a page of %u bytes", w->ptr.len);
	rc = blob_read(s, &w->ptr, f->page, "a page of a tree");
	rc = rc ? rc : page_verify(s, f->page, w);
	if (rc) {
		cache_unreserve(s, f);
		return rc;
	}
	cache_publish(s, f, w);
	*out = f; /* nothing else is there: the lock has been held */
	return 0;
}

int cache_get(struct store *s, uint64_t tree, const struct bptr *ptr, struct frame **frame)
{
	struct wanted w = { tree, *ptr };
	struct frame *f = cache_find(s, ptr->addr);
	int	      rc;

	if (f && !f->dirty && !f->view && !bptr_equal(&f->ptr, ptr)) /* hostile pages only */
		return fail(CSUM, "block %llu is referred to twice, as different pages", (unsigned long long)ptr->addr);
	if (!f) {
		rc = ptr->addr & VIRTUAL ? defer_get(s, ptr->addr, &f) : load(s, &w, &f);
		if (rc)
			return rc;
	}
	if (!atomic_load_explicit(&f->touched, memory_order_relaxed))
		atomic_store_explicit(&f->touched, true, memory_order_relaxed);
	cache_pin(f);
	*frame = f;
	return 0;
}

int cache_new(struct store *s, uint64_t tree, uint32_t cap, struct frame **frame)
{
	struct frame *f = take(s, class_of(cap));

	if (!f)
		return fail(NOMEM, "no memory for a page of %u bytes", cap);
	back_tell(s, &s->cache.arenas[class_of(cap)]);
	f->tree = tree;
	f->gen	= s->gen;
	f->pins = 1;
	count_dirty(&s->cache, f);
	hash_add(&s->cache, f, VIRTUAL | s->cache.next_virtual++);
	*frame = f;
	return 0;
}

void cache_make_dirty(struct store *s, struct frame *f)
{
	rename_frame(&s->cache, f, VIRTUAL | s->cache.next_virtual++);
	f->gen = s->gen;
	count_dirty(&s->cache, f);
}

void cache_make_view(struct store *s, struct frame *f, uint64_t id)
{
	rename_frame(&s->cache, f, id);
	f->view	   = true;
	f->written = 0;
}

void cache_make_clean(struct store *s, struct frame *f, const struct bptr *ptr)
{
	page_forget(s, ptr->addr);
	drop_stale(s, ptr->addr);
	rename_frame(&s->cache, f, ptr->addr);
	f->ptr	      = *ptr;
	f->superseded = false;
	uncount_dirty(&s->cache, f);
}

int cache_grow(struct store *s, struct frame **frame, uint32_t cap)
{
	struct cache *c = &s->cache;
	struct frame *f = *frame, *g = take(s, class_of(cap));
	uint64_t      id = f->id;

	if (!g)
		return fail(NOMEM, "no memory for a page of %u bytes", cap);
	back_tell(s, &c->arenas[class_of(cap)]);
	node_pack(f->page, f->cap, g->page, g->cap);
	if (node_level(g->page))
		hints_copy(c, f, g);
	g->tree = f->tree, g->gen = f->gen, g->pins = f->pins, g->mark = f->mark;
	cache_drop(s, f);
	count_dirty(c, g);
	hash_add(c, g, id);
	*frame = g;
	return 0;
}
