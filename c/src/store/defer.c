/* SPDX-License-Identifier: Apache-2.0 */
/* store/defer.c: puts on leaves that are not in memory.
 *
 * A put that has no condition need not know what its leaf holds. When that is not in memory, the put is kept in memory instead of the leaf: the
 * leaf gets a virtual id, like any page that has changed, and a note of where its bytes are (its base) and of the puts on it. A checkpoint
 * reads the bases of many such leaves at once, in key order, and writes the leaves with all their puts. Puts for which there is no room in memory leave
 * it before (spill.c). When memory is full, a put of a key that a clean leaf in memory has is put off, too, since a key takes less than a page that has
 * to stay: the page becomes a view. So is one on a leaf that a checkpoint is to write, or is writing: a copy of it would be a leaf of the next checkpoint,
 * which more puts find in memory while that writes, and so for ever. Always true, under store->lock:
 *   - a page that is put off is a leaf, has a parent, and nothing of it is in memory but, at times, a view: a frame of that id with all puts
 *     in it, for who wants to read. A view may be evicted, since it can be made again; a checkpoint that finds one writes it;
 *   - who wants to change the leaf in a way that is not put off makes it an ordinary dirty page, and its note goes;
 *   - the base is a block that the last superblock reaches, or the next one will, or a page of an older frozen tree. So the blocks of a base are given up when
 *     its leaf becomes an ordinary page, not before;
 *   - a base has no value in extents (its pointer says so), so no space but its own is given up by a put on it.
 * Notes and puts stand in memory of their own (slab.h), which counts against the budget. A note and its puts go when the leaf is written, and others
 * take their place: so while a checkpoint writes what was put off before, as much can be put off again. */
#include "note.h"

#include "spill.h"

#define LOG_FAR	    (UINT64_C(1) << 24) /* blocks: of a longer log a revision has no low half that would do */
#define CHUNK_LEAST (UINT64_C(16) << 10)
#define CHUNK_MOST  (UINT64_C(1) << 20)

/* ---- memory ---- */

void defer_account(struct defer *d)
{
	uint64_t spills = ((uint64_t)d->spills[0].n + d->spills[1].n) * BPTR_BYTES;

	d->bytes = d->slabs.bytes + d->buckets * sizeof(*d->hash) + spills;
	d->used	 = d->slabs.used + (d->n ? d->buckets * sizeof(*d->hash) : 0) + spills;
}

/* What has been given back here and there may be too little for a chunk of another size: then the leaf is read. */
static bool may_grow(const struct store *s)
{
	return s->defer.slabs.bytes + s->defer.slabs.chunk_bytes <= s->cache.budget;
}

/* For a note and a put. */
static bool reserve(struct store *s, size_t put)
{
	struct defer *d	     = &s->defer;
	bool	      as_one = slab_room(put) == slab_room(sizeof(struct deferred));
	bool	      ok;

	if (slab_fits(&d->slabs, sizeof(struct deferred), 1 + as_one) && slab_fits(&d->slabs, put, 1))
		return true;
	if (!may_grow(s))
		return false;
	ok = slab_reserve(&d->slabs, sizeof(struct deferred), 1 + as_one) && slab_reserve(&d->slabs, put, 1);
	defer_account(d);
	cache_shrink(s);
	return ok;
}

void defer_freeze(struct store *s)
{
	s->defer.frozen_n = s->defer.n; /* trees with such leaves are dirty, and all of them freeze */
	s->defer.puts = s->defer.left = 0;
	spills_freeze(s);
}

/* That a note is left over would be a mistake of ours. */
void defer_thaw(struct store *s)
{
	if (s->defer.frozen_n)
		base_log(TARN_LOG_ERROR, "%zu pages that were put off have not been written", s->defer.frozen_n);
}

void defer_fini(struct store *s)
{
	struct defer *d = &s->defer;

	spills_fini(s);
	slabs_fini(&d->slabs);
	device_unmap(d->hash, d->buckets * sizeof(*d->hash));
	*d = (struct defer){ 0 };
}

/* ---- the table ---- */

static uint64_t chunk_bytes(const struct store *s)
{
	uint64_t bytes = CHUNK_LEAST;

	while (bytes < CHUNK_MOST && (bytes < s->cache.budget / 1024 || bytes < 2 * s->node_bytes))
		bytes *= 2;
	return bytes;
}

static bool table(struct store *s)
{
	struct defer *d	      = &s->defer;
	size_t	      buckets = 64;

	if (d->hash)
		return true;
	while (buckets < s->cache.budget / 512)
		buckets *= 2;
	d->hash	   = device_map(buckets * sizeof(*d->hash));
	d->buckets = d->hash ? buckets : 0;
	slabs_init(&d->slabs, chunk_bytes(s));
	defer_account(d);
	return d->hash;
}

/* Ids are numbers in the order in which they were given: those that are there spread evenly. */
static uint32_t *bucket(const struct defer *d, uint64_t id)
{
	return &d->hash[id & (d->buckets - 1)];
}

static struct deferred *note_at(const struct defer *d, uint32_t name)
{
	return name ? slab_at(&d->slabs, name) : NULL;
}

struct deferred *defer_find(const struct store *s, uint64_t id)
{
	const struct defer *d = &s->defer;
	struct deferred	   *p = d->n ? note_at(d, *bucket(d, id)) : NULL;

	while (p && note_id(p) != id)
		p = note_at(d, p->chain);
	return p;
}

static void add(struct defer *d, struct deferred *p, uint32_t name)
{
	uint32_t *b = bucket(d, note_id(p));

	p->chain = *b;
	*b	 = name;
	d->n++;
	d->blocks += p->blocks;
	d->noted += p->owned && p->needed;
}

/* Its name. */
static uint32_t unchain(struct defer *d, const struct deferred *p)
{
	uint32_t *at = bucket(d, note_id(p)), name;

	while (note_at(d, *at) != p)
		at = &note_at(d, *at)->chain;
	name = *at;
	*at  = p->chain;
	return name;
}

/* A checkpoint that has begun writes them. */
static bool is_frozen(const struct store *s, const struct deferred *p)
{
	return note_gen(s, p) <= s->checkpoint.gen;
}

static void give_put(struct store *s, const struct deferred *p, uint32_t name)
{
	struct defer	 *d = &s->defer;
	const struct put *u = put_at(d, name);

	d->puts -= is_frozen(s, p) ? 0 : slab_room(put_bytes(u->key_len, u->len));
	slab_give(&d->slabs, name);
}

void defer_free_puts(struct store *s, struct deferred *p)
{
	while (p->puts) {
		uint32_t next = put_at(&s->defer, p->puts)->next;

		give_put(s, p, p->puts);
		p->puts = next;
	}
}

void defer_forget(struct store *s, struct deferred *p)
{
	struct defer *d	     = &s->defer;
	uint64_t      before = d->slabs.used;
	bool	      frozen = is_frozen(s, p);
	uint32_t      name   = unchain(d, p);

	d->n--;
	d->blocks -= p->blocks;
	d->noted -= p->owned && p->needed;
	d->frozen_n -= frozen;
	defer_free_puts(s, p);
	d->spills[p->half].notes -= spilled_page(p, 0) > 0;
	slab_give(&d->slabs, name);
	if (frozen)
		s->checkpoint.frozen_left -= MIN(s->checkpoint.frozen_left, before - d->slabs.used);
	defer_account(d);
}

/* ---- a put ---- */

static uint32_t pages_for(uint32_t bytes)
{
	uint32_t cap = BLOCK;

	while (cap < bytes)
		cap *= 2;
	return (uint32_t)blob_blocks(cap);
}

static void count_blocks(struct defer *d, struct deferred *p, uint32_t base_len)
{
	d->blocks -= p->blocks;
	p->blocks = (uint8_t)pages_for(base_len + p->bytes);
	d->blocks += p->blocks;
}

struct node_child defer_child(const struct path *path)
{
	const struct frame *p = path->frames[path->depth - 1];

	return node_child(p->page, p->cap, path->slots[path->depth - 1]);
}

/* A leaf that has gathered nearly as much as it holds is in use: it is worth being read. */
static bool takes_more(const struct store *s, const struct deferred *p, uint64_t bytes)
{
	return !p || p->bytes + bytes <= defer_most(s);
}

/* What it says in few bits is what it is. */
static bool note_says_it(const struct store *s, uint64_t tree, const struct node_child *child, const struct deferred *p)
{
	uint64_t behind = p ? p->died + s->gen - note_gen(s, p) : 0, born = p ? 0 : s->gen - child->ptr.birth;

	return tree <= UINT32_MAX && child->keys <= UINT16_MAX && behind <= UINT16_MAX && born <= UINT32_MAX;
}

/* What is known of the leaf at path, which no note has: of one that is to be written, what will be. false: it cannot be a base. */
static bool find_base(struct store *s, const struct path *path, struct node_child *child)
{
	const struct frame *f;

	*child = defer_child(path);
	if (child->ptr.addr & VIRTUAL) {
		f = cache_find(s, child->ptr.addr);
		if (!f || !f->dirty || node_has_extents(f->page, f->cap))
			return false;
		child->ptr.len	 = f->cap;
		child->ptr.birth = f->gen;
		child->keys	 = node_count(f->page, f->cap);
	}
	return !child->ptr.flags && child->ptr.len <= MAX(s->node_bytes, BLOCK);
}

bool defer_ready(struct store *s, const struct path *path, tarn_buf key, size_t len)
{
	uint64_t	  bytes = PUT_BYTES + key.len + len;
	struct deferred	 *p;
	struct node_child child;

	if (!path->depth || node_level(path->frames[path->depth - 1]->page) != 1 || bytes > s->node_bytes / 2 ||
	    s->log.blocks > LOG_FAR)
		return false;
	child = defer_child(path);
	p     = child.ptr.addr & VIRTUAL ? defer_find(s, child.ptr.addr) : NULL;
	if ((!p && !find_base(s, path, &child)) || !takes_more(s, p, bytes) ||
	    !note_says_it(s, path->frames[path->depth - 1]->tree, &child, p))
		return false;
	return table(s) && reserve(s, put_bytes(key.len, len));
}

uint64_t defer_blocks(const struct store *s)
{
	return 2 * pages_for(MAX(s->node_bytes, BLOCK) * 2);
}

static void set_value(struct put *u, const struct leaf_value *v)
{
	u->revision = (uint32_t)v->revision;
	u->len	    = (uint16_t)v->len;
	if (v->len)
		memcpy(u->bytes + u->key_len, v->bytes, v->len);
}

static bool is_on(const struct put *u, tarn_buf key)
{
	return u->key_len == key.len && !memcmp(u->bytes, key.ptr, key.len);
}

/* One of another size goes. */
static bool replace(struct store *s, struct deferred *p, tarn_buf key, const struct leaf_value *v)
{
	struct defer *d	 = &s->defer;
	uint32_t     *at = &p->puts, name;
	struct put   *u;

	while ((u = put_at(d, *at)) && !is_on(u, key))
		at = &u->next;
	if (!u)
		return false;
	p->bytes = (uint16_t)(p->bytes - u->len + v->len);
	if (slab_room(put_bytes(key.len, u->len)) == slab_room(put_bytes(key.len, v->len))) {
		set_value(u, v);
		return true;
	}
	p->bytes = (uint16_t)(p->bytes - PUT_BYTES - key.len - v->len);
	name	 = *at;
	*at	 = u->next;
	give_put(s, p, name);
	return false;
}

static void add_put(struct defer *d, struct deferred *p, tarn_buf key, const struct leaf_value *v)
{
	uint32_t    name = slab_take(&d->slabs, put_bytes(key.len, v->len));
	struct put *u	 = put_at(d, name);

	u->next	   = p->puts;
	u->key_len = (uint16_t)key.len;
	memcpy(u->bytes, key.ptr, key.len);
	set_value(u, v);
	p->puts	 = name;
	p->bytes = (uint16_t)(p->bytes + PUT_BYTES + key.len + v->len);
	d->puts += slab_room(put_bytes(key.len, v->len));
}

static void supersede(struct store *s, struct tree *t, struct deferred *p)
{
	uint64_t gen = note_gen(s, p);

	p->superseded  = true;
	p->self_needed = tree_needed(t, gen);
	p->self_died   = (uint16_t)(s->gen - gen);
}

/* The leaf at path, which the tree shares or which is on disk, as one of the tree's own. child: what is known of it. */
static struct deferred *defer_leaf(struct store *s, struct tree *t, struct path *path, const struct node_child *child,
				   struct deferred *frozen)
{
	struct node_child link;
	struct frame	 *up   = path->frames[path->depth - 1];
	uint32_t	  name = slab_take(&s->defer.slabs, sizeof(struct deferred));
	struct deferred	 *p    = note_at(&s->defer, name);
	uint64_t	  id   = VIRTUAL | s->cache.next_virtual++;

	*p = (struct deferred){ .id_low	 = (uint32_t)id,
				.id_high = (uint16_t)(id >> 32),
				.tree	 = (uint32_t)t->id,
				.gen	 = (uint32_t)s->gen,
				.keys	 = (uint16_t)child->keys,
				.half	 = s->defer.half };
	set_base(p, &child->ptr);
	if (frozen) {
		supersede(s, t, frozen);
		p->bytes = p->bytes_below = frozen->bytes;
	} else if (!(child->ptr.addr & VIRTUAL)) {
		p->owned  = true;
		p->needed = tree_needed(t, child->ptr.birth);
	}
	add(&s->defer, p, name);
	link = (struct node_child){ { .addr = id, .len = child->ptr.len }, child->keys };
	frame_begin(up);
	node_set_child(up->page, up->cap, path->slots[path->depth - 1], &link);
	frame_end(up);
	return p;
}

/* What was the leaf until now: a page on disk becomes a view; one that is to be written, or is being written, stays for who shares it, as a view of a
 * frozen leaf does. NULL: there is no view. */
static struct frame *take_over(struct store *s, const struct tree *t, const struct deferred *p, struct frame *f, bool frozen)
{
	if (!f)
		return NULL;
	if (f->dirty) {
		tree_supersede(s, t, f);
		return NULL;
	}
	if (frozen || !cache_is_written(s, f)) {
		frame_retire(f);
		return NULL;
	}
	cache_make_view(s, f, note_id(p));
	f->gen = note_gen(s, p);
	return f;
}

/* It has a value of at least that length there. */
static int put_in_view(struct frame *view, tarn_buf key, const struct leaf_value *val)
{
	bool	 found, fits;
	uint32_t slot = node_lower(view->page, view->cap, key, &found);

	frame_begin(view);
	fits = node_put_value(view->page, view->cap, slot, found, key, val);
	frame_end_same(view);
	return fits ? 0 : fail(MISC, "a value does not fit in the place of a longer one");
}

int defer_put(struct store *s, struct tree *t, struct path *path, tarn_buf key, const struct leaf_value *val)
{
	struct node_child child;
	struct deferred	 *p;
	struct frame	 *view;
	int		  rc = tree_own_path(s, t, path);

	if (rc)
		return rc;
	child = defer_child(path);
	p     = child.ptr.addr & VIRTUAL ? defer_find(s, child.ptr.addr) : NULL;
	if (!p && !find_base(s, path, &child))
		return fail(MISC, "a page that was put off is not known");
	view = cache_find(s, child.ptr.addr);
	if (!p || note_gen(s, p) <= t->gen) {
		bool frozen = p;

		p    = defer_leaf(s, t, path, &child, p);
		view = take_over(s, t, p, view, frozen);
	}
	p->died = (uint16_t)(p->died + s->gen - note_gen(s, p));
	p->gen	= (uint32_t)s->gen; /* no page is younger than its parent */
	if (!replace(s, p, key, val))
		add_put(&s->defer, p, key, val);
	hint_set(&s->cache, path->frames[path->depth - 1], path->slots[path->depth - 1], view ? view->number : HINT_PUTS);
	defer_account(&s->defer);
	count_blocks(&s->defer, p, MAX(base_of(s, p).len, defer_child(path).ptr.len));
	s->defer.count++;
	return view ? put_in_view(view, key, val) : 0;
}

/* ---- the leaf as it is ---- */

static int fill_spilled(struct store *s, const struct deferred *p, uint32_t number, uint8_t *page, uint32_t cap)
{
	struct bptr   ptr = spill_page(s, p->half, number);
	struct frame *from;
	bool	      fits;
	int	      rc = cache_get(s, p->tree, &ptr, &from);

	if (rc)
		return rc;
	fits = note_put_spilled(from->page, from->cap, page, cap);
	cache_unpin(from);
	return !fits;
}

int defer_fill(struct store *s, const struct deferred *p, uint8_t *page, uint32_t cap)
{
	int rc = 0;

	for (unsigned i = 0; !rc && spilled_page(p, i); i++)
		rc = fill_spilled(s, p, spilled_page(p, i), page, cap);
	for (const struct put *u = put_at(&s->defer, p->puts); !rc && u; u = next_put(&s->defer, u))
		rc = !note_put(page, cap, u, s->log.lsn);
	return rc;
}

/* A copy of the base with all puts in it. */
static int make_view(struct store *s, const struct deferred *p, const struct frame *base, struct frame **view)
{
	for (uint32_t cap = base->cap; cap <= NODE_MAX; cap *= 2) {
		struct frame *f = cache_reserve(s, cap);
		int	      rc;

		if (!f)
			return fail(NOMEM, "no memory for a page of %u bytes", cap);
		node_pack(base->page, base->cap, f->page, f->cap);
		rc = defer_fill(s, p, f->page, f->cap);
		if (!rc) {
			f->tree = p->tree;
			f->gen	= note_gen(s, p);
			cache_show(s, f, note_id(p));
			*view = f;
			return 0;
		}
		cache_unreserve(s, f);
		if (rc < 0)
			return rc;
	}
	return fail(MISC, "a leaf does not fit into a page with the puts on it");
}

int defer_get(struct store *s, uint64_t id, struct frame **frame)
{
	const struct deferred *p = defer_find(s, id);
	struct frame	      *base;
	struct bptr	       ptr;
	int		       rc;

	if (!p)
		return fail(MISC, "a dirty page is not in the cache");
	ptr = base_of(s, p);
	rc  = cache_get(s, p->tree, &ptr, &base);
	if (rc)
		return rc;
	if (node_level(base->page))
		rc = fail(CSUM, "the page at block %llu of tree %llu has the wrong level", (unsigned long long)ptr.addr,
			  (unsigned long long)p->tree);
	rc = rc ? rc : make_view(s, p, base, frame);
	cache_unpin(base);
	if (!rc && !(ptr.addr & VIRTUAL)) { /* a snapshot may want it; but that it reads again */
		atomic_store_explicit(&base->touched, false, memory_order_relaxed);
		cache_drop_spare(s, base);
	}
	return rc;
}

/* Snapshots that need it are older than what took its place. */
static void give_base(struct store *s, const struct deferred *p)
{
	struct bptr ptr	 = base_of(s, p);
	uint64_t    died = note_gen(s, p) - p->died;

	if (p->owned)
		snap_give(s, p->tree, &ptr, p->needed ? died - 1 : 0, died);
}

void defer_take(struct store *s, struct deferred *p, struct frame *f)
{
	f->gen	      = note_gen(s, p);
	f->superseded = p->superseded;
	f->died	      = f->gen + p->self_died;
	f->needed     = p->self_needed ? f->died - 1 : 0;
	give_base(s, p);
	defer_forget(s, p);
}

void defer_harden(struct store *s, struct frame *f)
{
	defer_take(s, defer_find(s, f->id), f);
	cache_harden(s, f);
}

/* Its place in the table, which may be being made: an address is asked for, and nothing is looked at. */
NODE_RACY void defer_expect(const struct store *s, uint64_t id)
{
	const struct defer *d = &s->defer;

	if (d->n)
		prefetch((const void *)((uintptr_t)d->hash + (id & (d->buckets - 1)) * sizeof(*d->hash)));
}

/* The note itself, when the table has been asked for long enough ago. */
void defer_expect_note(const struct store *s, uint64_t id)
{
	const struct deferred *p = s->defer.n ? note_at(&s->defer, *bucket(&s->defer, id)) : NULL;

	if (p)
		prefetch_lines((uintptr_t)p, DIV_UP(sizeof(*p), LINE));
}

/* ---- what it is made from ---- */

void defer_rebase(struct store *s, uint64_t id, uint64_t from, const struct bptr *to, uint64_t keys)
{
	struct deferred *p = defer_find(s, id);

	if (!p || base_of(s, p).addr != from)
		return;
	set_base(p, to);
	p->keys	       = (uint16_t)keys;
	p->bytes       = (uint16_t)(p->bytes - p->bytes_below);
	p->bytes_below = 0;
	count_blocks(&s->defer, p, to->len);
}

/* The page that a reader of one that was put off must read first; 0: it need not, or not any more. */
static bool resolve(struct store *s, struct wanted *w)
{
	struct frame *f;
	int	      rc;

	s->nowait = true;
	s->wanted = (struct wanted){ 0 };
	rc	  = defer_find(s, w->ptr.addr) ? cache_get(s, w->tree, &w->ptr, &f) : -TARN_E_MISC;
	if (!rc)
		cache_unpin(f);
	*w	  = s->wanted;
	s->nowait = false;
	return rc == -TARN_E_AGAIN && w->ptr.addr;
}

struct parts {
	struct wanted *w;
	size_t	       n, room;
};

static void add_part(struct store *s, const struct deferred *p, const struct bptr *ptr, uint64_t but, struct parts *parts)
{
	if (parts->n < parts->room && ptr->addr != but && !cache_find(s, ptr->addr))
		parts->w[parts->n++] = (struct wanted){ p->tree, *ptr };
}

/* All that it is made from, and that is not in memory, but one page. */
static void add_parts(struct store *s, uint64_t id, uint64_t but, struct parts *parts)
{
	const struct deferred *p;

	while (!cache_find(s, id) && (p = defer_find(s, id)) != NULL) {
		struct bptr base = base_of(s, p);

		for (unsigned i = 0; spilled_page(p, i); i++) {
			struct bptr ptr = spill_page(s, p->half, spilled_page(p, i));

			add_part(s, p, &ptr, but, parts);
		}
		if (!(base.addr & VIRTUAL))
			add_part(s, p, &base, but, parts);
		id = base.addr;
	}
}

/* w[i] is one that was put off: what must be read for it comes to its place, and to parts. */
static bool resolve_all(struct store *s, struct wanted *w, struct parts *parts)
{
	uint64_t id   = w->ptr.addr;
	bool	 kept = resolve(s, w);

	if (kept)
		add_parts(s, id, w->ptr.addr, parts);
	return kept;
}

size_t defer_resolve(struct store *s, struct wanted *w, size_t n, size_t room)
{
	struct parts parts = { w + n, 0, room - n };
	size_t	     kept = 0, i = 0;

	while (i < n && !(w[i].ptr.addr & VIRTUAL))
		i++;
	if (i == n)
		return n;
	pthread_mutex_lock(&s->lock);
	for (i = 0; i < n; i++)
		if (!(w[i].ptr.addr & VIRTUAL) || resolve_all(s, &w[i], &parts))
			w[kept++] = w[i];
	pthread_mutex_unlock(&s->lock);
	memmove(w + kept, parts.w, parts.n * sizeof(*w));
	return kept + parts.n;
}
