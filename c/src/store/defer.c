/* SPDX-License-Identifier: Apache-2.0 */
/* store/defer.c: puts on leaves that are not in memory.
 *
 * A put that has no condition need not know what its leaf holds. When that is not in memory, the put is kept in memory instead of the leaf: the
 * leaf gets a virtual id, like any page that has changed, and a note of where its bytes are (its base) and of the puts on it. A checkpoint
 * reads the bases of many such leaves at once, in key order, and writes the leaves with all their puts. Always true, under store->lock:
 *   - a page that is put off is a leaf, has a parent, and nothing of it is in memory but, at times, a view: a frame of that id with all puts
 *     in it, for who wants to read. A view may be evicted, since it can be made again;
 *   - the first who wants to change the leaf in place makes it an ordinary dirty page, and its note goes;
 *   - the base is a block that the last superblock reaches, or a page of an older frozen tree. So the blocks of a base are given up when
 *     its leaf becomes an ordinary page, not before;
 *   - a base has no value in extents (its pointer says so), so no space but its own is given up by a put on it.
 * Notes and puts stand in memory of their own (slab.h), which counts against the budget. A note and its puts go when the leaf is written, and others
 * take their place: so while a checkpoint writes what was put off before, as much can be put off again. */
#include "internal.h"

struct put {
	uint32_t revision; /* its low half: all of these are in the log, which has fewer records than would make it wrong */
	uint32_t next;	   /* a name, as all of these; 0: none */
	uint16_t key_len, len;
	uint8_t	 bytes[]; /* key, value */
};

struct deferred {
	uint64_t id, tree, gen;
	uint64_t needed, self_needed; /* as in a frame: of the base, when it is owned; of the leaf itself */
	uint32_t died;		      /* of the base: so many generations before gen */
	uint32_t self_died;	      /* so many after gen */
	uint32_t chain;		      /* the next one in its bucket */
	uint32_t keys;		      /* below base */
	uint32_t puts;		      /* the first of them; they have different keys */
	uint16_t bytes;		      /* what the puts add to the leaf at the most */
	uint8_t	 blocks;	      /* that writing it takes at the most */
	bool	 owned : 1;	      /* nobody else gives up the blocks of the base */
	bool	 superseded : 1;
	uint8_t	 base[BPTR_BYTES];
};
_Static_assert(sizeof(struct deferred) == 96, "there may be as many as there are leaves");

#define LOG_FAR	    (UINT64_C(1) << 24) /* blocks: of a longer log a revision has no low half that would do */
#define PUT_BYTES   (SLOT_BYTES + LEAF_KEY)
#define CHUNK_LEAST (UINT64_C(16) << 10)
#define CHUNK_MOST  (UINT64_C(1) << 20)

static struct bptr base_of(const struct deferred *p)
{
	return bptr_get(p->base);
}

/* ---- memory ---- */

static struct put *put_at(const struct defer *d, uint32_t name)
{
	return name ? slab_at(&d->slabs, name) : NULL;
}

static struct put *next_put(const struct defer *d, const struct put *u)
{
	return put_at(d, u->next);
}

static size_t put_room(size_t key_len, size_t len)
{
	return offsetof(struct put, bytes) + key_len + len;
}

static void account(struct defer *d)
{
	d->bytes = d->slabs.bytes + d->buckets * sizeof(*d->hash);
	d->used	 = d->slabs.used + (d->n ? d->buckets * sizeof(*d->hash) : 0);
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
	account(d);
	cache_shrink(s);
	return ok;
}

void defer_freeze(struct store *s)
{
	s->defer.frozen_n = s->defer.n; /* trees with such leaves are dirty, and all of them freeze */
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
	account(d);
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

static struct deferred *find(const struct store *s, uint64_t id)
{
	const struct defer *d = &s->defer;
	struct deferred	   *p = d->n ? note_at(d, *bucket(d, id)) : NULL;

	while (p && p->id != id)
		p = note_at(d, p->chain);
	return p;
}

static void add(struct defer *d, struct deferred *p, uint32_t name)
{
	uint32_t *b = bucket(d, p->id);

	p->chain = *b;
	*b	 = name;
	d->n++;
	d->blocks += p->blocks;
	d->noted += p->owned && p->needed;
}

/* Its name. */
static uint32_t unchain(struct defer *d, const struct deferred *p)
{
	uint32_t *at = bucket(d, p->id), name;

	while (note_at(d, *at) != p)
		at = &note_at(d, *at)->chain;
	name = *at;
	*at  = p->chain;
	return name;
}

static void free_puts(struct defer *d, struct deferred *p)
{
	while (p->puts) {
		uint32_t next = put_at(d, p->puts)->next;

		slab_give(&d->slabs, p->puts);
		p->puts = next;
	}
}

/* What is p is not there any more. */
static void forget(struct store *s, struct deferred *p)
{
	struct defer *d	     = &s->defer;
	bool	      frozen = p->gen <= s->checkpoint.gen;
	uint64_t      before = d->slabs.used;
	uint32_t      name   = unchain(d, p);

	d->n--;
	d->blocks -= p->blocks;
	d->noted -= p->owned && p->needed;
	d->frozen_n -= frozen;
	free_puts(d, p);
	slab_give(&d->slabs, name);
	if (frozen)
		s->checkpoint.frozen_left -= MIN(s->checkpoint.frozen_left, before - d->slabs.used);
	account(d);
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

static struct node_child child_at(const struct path *path)
{
	const struct frame *p = path->frames[path->depth - 1];

	return node_child(p->page, p->cap, path->slots[path->depth - 1]);
}

/* A leaf that has gathered many puts is in use: it is worth being read. */
static bool takes_more(const struct store *s, const struct deferred *p, uint64_t bytes)
{
	return !p || p->bytes + bytes <= s->node_bytes / 2;
}

bool defer_ready(struct store *s, const struct path *path, tarn_buf key, size_t len)
{
	uint64_t	  bytes = PUT_BYTES + key.len + len;
	struct deferred	 *p	= NULL;
	struct node_child child;

	if (!path->depth || node_level(path->frames[path->depth - 1]->page) != 1 || bytes > s->node_bytes / 2 ||
	    s->log.blocks > LOG_FAR)
		return false;
	child = child_at(path);
	if (child.ptr.addr & VIRTUAL)
		p = find(s, child.ptr.addr);
	else if (child.ptr.flags || child.ptr.len > MAX(s->node_bytes, BLOCK))
		return false;
	if ((child.ptr.addr & VIRTUAL && !p) || !takes_more(s, p, bytes))
		return false;
	return table(s) && reserve(s, put_room(key.len, len));
}

uint64_t defer_blocks(const struct store *s)
{
	return 2 * pages_for(MAX(s->node_bytes, BLOCK) * 2);
}

static bool is_on(const struct put *u, tarn_buf key)
{
	return u->key_len == key.len && !memcmp(u->bytes, key.ptr, key.len);
}

static void set_value(struct put *u, const struct leaf_value *v)
{
	u->revision = (uint32_t)v->revision;
	u->len	    = (uint16_t)v->len;
	if (v->len)
		memcpy(u->bytes + u->key_len, v->bytes, v->len);
}

/* No put is far from the end of the log. */
static struct leaf_value value_of(const struct store *s, const struct put *u)
{
	uint64_t lsn = s->log.lsn;

	return (struct leaf_value){ u->bytes + u->key_len, u->len, false,
				    lsn + (uint64_t)(int64_t)(int32_t)(u->revision - (uint32_t)lsn) };
}

/* One of another size goes. */
static bool replace(struct defer *d, struct deferred *p, tarn_buf key, const struct leaf_value *v)
{
	uint32_t   *at = &p->puts, name;
	struct put *u;

	while ((u = put_at(d, *at)) && !is_on(u, key))
		at = &u->next;
	if (!u)
		return false;
	p->bytes = (uint16_t)(p->bytes - u->len + v->len);
	if (slab_room(put_room(key.len, u->len)) == slab_room(put_room(key.len, v->len))) {
		set_value(u, v);
		return true;
	}
	p->bytes = (uint16_t)(p->bytes - PUT_BYTES - key.len - v->len);
	name	 = *at;
	*at	 = u->next;
	slab_give(&d->slabs, name);
	return false;
}

static void add_put(struct defer *d, struct deferred *p, tarn_buf key, const struct leaf_value *v)
{
	uint32_t    name = slab_take(&d->slabs, put_room(key.len, v->len));
	struct put *u	 = put_at(d, name);

	u->next	   = p->puts;
	u->key_len = (uint16_t)key.len;
	memcpy(u->bytes, key.ptr, key.len);
	set_value(u, v);
	p->puts	 = name;
	p->bytes = (uint16_t)(p->bytes + PUT_BYTES + key.len + v->len);
}

static void supersede(struct store *s, struct tree *t, struct deferred *p)
{
	p->superseded  = true;
	p->self_needed = tree_needed(t, p->gen);
	p->self_died   = (uint32_t)(s->gen - p->gen);
}

/* The leaf at path, which the tree shares or which is on disk, as one of the tree's own. */
static struct deferred *defer_leaf(struct store *s, struct tree *t, struct path *path, struct deferred *frozen)
{
	struct node_child child = child_at(path), link;
	struct frame	 *up	= path->frames[path->depth - 1];
	uint32_t	  name	= slab_take(&s->defer.slabs, sizeof(struct deferred));
	struct deferred	 *p	= note_at(&s->defer, name);

	*p = (struct deferred){
		.id = VIRTUAL | s->cache.next_virtual++, .tree = t->id, .gen = s->gen, .keys = (uint32_t)child.keys
	};
	bptr_put(p->base, &child.ptr);
	if (frozen) {
		supersede(s, t, frozen);
		p->bytes = frozen->bytes;
	} else {
		p->owned  = true;
		p->needed = tree_needed(t, child.ptr.birth);
	}
	add(&s->defer, p, name);
	link = (struct node_child){ { .addr = p->id, .len = child.ptr.len }, child.keys };
	frame_begin(up);
	node_set_child(up->page, up->cap, path->slots[path->depth - 1], &link);
	frame_end(up);
	return p;
}

int defer_put(struct store *s, struct tree *t, struct path *path, tarn_buf key, const struct leaf_value *val)
{
	struct deferred *p;
	uint64_t	 id;
	int		 rc = tree_own_path(s, t, path);

	if (rc)
		return rc;
	id = child_at(path).ptr.addr;
	p  = id & VIRTUAL ? find(s, id) : NULL;
	if (id & VIRTUAL && !p)
		return fail(MISC, "a page that was put off is not known");
	if (!p || p->gen <= t->gen)
		p = defer_leaf(s, t, path, p);
	p->died += (uint32_t)(s->gen - p->gen);
	p->gen = s->gen; /* no page is younger than its parent */
	if (!replace(&s->defer, p, key, val))
		add_put(&s->defer, p, key, val);
	account(&s->defer);
	count_blocks(&s->defer, p, MAX(base_of(p).len, child_at(path).ptr.len));
	s->defer.count++;
	return 0;
}

/* ---- the leaf as it is ---- */

/* A copy of the base with all puts in it; false: that needs a larger page. */
static bool fill(const struct store *s, const struct deferred *p, const struct frame *base, struct frame *f)
{
	node_pack(base->page, base->cap, f->page, f->cap);
	for (const struct put *u = put_at(&s->defer, p->puts); u; u = next_put(&s->defer, u)) {
		tarn_buf	  key = { u->bytes, u->key_len };
		struct leaf_value v   = value_of(s, u);
		bool		  found;
		uint32_t	  slot = node_lower(f->page, f->cap, key, &found);

		if (!node_put_value(f->page, f->cap, slot, found, key, &v))
			return false;
	}
	return true;
}

static int make_view(struct store *s, const struct deferred *p, const struct frame *base, struct frame **view)
{
	for (uint32_t cap = base->cap; cap <= NODE_MAX; cap *= 2) {
		struct frame *f = cache_reserve(s, cap);

		if (!f)
			return fail(NOMEM, "no memory for a page of %u bytes", cap);
		if (fill(s, p, base, f)) {
			f->tree = p->tree;
			f->gen	= p->gen;
			cache_show(s, f, p->id);
			*view = f;
			return 0;
		}
		cache_unreserve(s, f);
	}
	return fail(MISC, "a leaf does not fit into a page with the puts on it");
}

int defer_get(struct store *s, uint64_t id, struct frame **frame)
{
	const struct deferred *p = find(s, id);
	struct frame	      *base;
	struct bptr	       ptr;
	int		       rc;

	if (!p)
		return fail(MISC, "a dirty page is not in the cache");
	ptr = base_of(p);
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

static void give_base(struct store *s, const struct deferred *p)
{
	struct bptr ptr = base_of(p);

	if (p->owned)
		snap_give(s, p->tree, &ptr, p->needed, p->gen - p->died);
}

void defer_harden(struct store *s, struct frame *f)
{
	struct deferred *p = find(s, f->id);

	f->gen	      = p->gen;
	f->superseded = p->superseded;
	f->needed     = p->self_needed;
	f->died	      = p->gen + p->self_died;
	cache_harden(s, f);
	give_base(s, p);
	forget(s, p);
}

bool defer_base(struct store *s, uint64_t id, struct wanted *w)
{
	const struct deferred *p = find(s, id);

	if (!p)
		return false;
	*w = (struct wanted){ p->tree, base_of(p) };
	return !(w->ptr.addr & VIRTUAL) && !cache_find(s, id) && !cache_find(s, w->ptr.addr);
}

/* Its place in the table. */
void defer_expect(const struct store *s, uint64_t id)
{
	if (s->defer.n)
		prefetch(bucket(&s->defer, id));
}

/* The note itself, when the table has been asked for long enough ago. */
void defer_expect_note(const struct store *s, uint64_t id)
{
	const struct deferred *p = s->defer.n ? note_at(&s->defer, *bucket(&s->defer, id)) : NULL;

	if (p)
		prefetch_lines((uintptr_t)p, DIV_UP(sizeof(*p), LINE));
}

/* ---- a base that is damaged ---- */

/* Nothing matches this pointer, also when what is there reads as it should one day: old values would be in it. Who drops the tree must
 * look, and leaves the blocks alone: several pointers may be made of this one. */
static struct bptr condemned(struct bptr ptr)
{
	for (size_t i = 0; i < sizeof(ptr.sum.bytes) && !(ptr.flags & BPTR_EXTENTS); i++)
		ptr.sum.bytes[i] ^= 0xff;
	ptr.flags |= BPTR_EXTENTS; /* which a base has not */
	return ptr;
}

/* The one that it is made from; NULL: that is a page. */
static struct deferred *below(const struct store *s, const struct deferred *p)
{
	struct bptr ptr = base_of(p);

	return ptr.addr & VIRTUAL ? find(s, ptr.addr) : NULL;
}

/* p has what it does to the page of that id, or other pages that were put off do between them. */
static bool leads_to(const struct store *s, const struct deferred *p, uint64_t id)
{
	while (p && p->id != id)
		p = below(s, p);
	return p;
}

static bool put_before(const struct store *s, const struct deferred *from, const struct deferred *to, const struct put *v)
{
	for (const struct deferred *p = from; p != to; p = below(s, p))
		for (const struct put *u = put_at(&s->defer, p->puts); u; u = next_put(&s->defer, u))
			if (is_on(u, (tarn_buf){ v->bytes, v->key_len }))
				return true;
	return false;
}

/* The newest put on each key. */
static int put_all_beside(struct store *s, struct tree *t, const struct deferred *first)
{
	int rc = 0;

	for (const struct deferred *p = first; !rc && p; p = below(s, p))
		for (const struct put *u = put_at(&s->defer, p->puts); !rc && u; u = next_put(&s->defer, u)) {
			struct leaf_value v = value_of(s, u);

			if (!put_before(s, first, p, u))
				rc = tree_put_beside(s, t, (tarn_buf){ u->bytes, u->key_len }, &v);
		}
	return rc;
}

/* The page above that of the live tree which has a page made of that one: 1, and its path; 0: it has none. */
static int find_live(struct store *s, struct tree *t, uint64_t id, tarn_buf low, struct path *path)
{
	int rc = t->root.addr & VIRTUAL ? tree_find_level(s, t, low, 1, path) : 0;

	if (rc == -TARN_E_CSUM) { /* below a page that is on disk nothing is put off */
		path_release(path);
		return 0;
	}
	if (rc || !(t->root.addr & VIRTUAL))
		return rc;
	if (path->depth && node_level(path->frames[path->depth - 1]->page) == 1 &&
	    leads_to(s, find(s, child_at(path).ptr.addr), id))
		return 1;
	path_release(path);
	return 0;
}

static void set_condemned(struct path *path, const struct node_child *base)
{
	struct frame *up = path->frames[path->depth - 1];

	frame_begin(up);
	node_set_child(up->page, up->cap, path->slots[path->depth - 1], base);
	frame_end(up);
}

/* A view of it may be in memory still. */
static void abandon(struct store *s, struct deferred *p)
{
	struct frame *view = cache_find(s, p->id);

	if (view)
		frame_retire(view);
	forget(s, p);
}

/* Nothing has been changed when it says NOMEM; a failure after that fails the store. */
static int rescue(struct store *s, struct tree *t, uint64_t id, tarn_buf low, const struct node_child *base)
{
	struct deferred *p;
	struct path	 path;
	int		 rc = dead_reserve(s, 2 * DEPTH_MAX + s->defer.noted);

	rc = rc ? rc : space_reserve(&s->space);
	rc = rc ? rc : find_live(s, t, id, low, &path);
	if (rc <= 0)
		return rc;
	p  = find(s, child_at(&path).ptr.addr);
	rc = tree_own_path(s, t, &path);
	if (!rc)
		set_condemned(&path, base);
	path_release(&path);
	rc = rc ? rc : put_all_beside(s, t, p);
	if (p->gen > t->gen)
		abandon(s, p);
	if (rc)
		store_poison(s, rc);
	return rc ? fail(MISC, "puts on a damaged page could not be saved: %s", s->why) : 1;
}

/* Its base is damaged: the puts on it that the live tree still has go there beside the damage. 1: there were some, and what is written now
 * lacks them. */
int defer_rescue(struct store *s, struct tree *live, uint64_t id, tarn_buf low, struct node_child *base)
{
	struct deferred *p = find(s, id);
	int		 rc;

	if (!p)
		return fail(MISC, "a page that was put off is not known");
	*base = (struct node_child){ condemned(base_of(p)), p->keys };
	rc    = live ? rescue(s, live, id, low, base) : 0;
	if (rc >= 0 && find(s, id) == p)
		abandon(s, p);
	return rc;
}

void defer_rebase(struct store *s, uint64_t id, uint64_t from, const struct bptr *to, uint64_t keys)
{
	struct deferred *p = find(s, id);

	if (!p || base_of(p).addr != from)
		return;
	bptr_put(p->base, to);
	p->keys = (uint32_t)keys;
	count_blocks(&s->defer, p, to->len);
}

/* The page that a reader of one that was put off must read first; 0: it need not, or not any more. */
static bool resolve(struct store *s, struct wanted *w)
{
	struct frame *f;
	int	      rc;

	s->nowait = true;
	s->wanted = (struct wanted){ 0 };
	rc	  = find(s, w->ptr.addr) ? cache_get(s, w->tree, &w->ptr, &f) : -TARN_E_MISC;
	if (!rc)
		cache_unpin(f);
	*w	  = s->wanted;
	s->nowait = false;
	return rc == -TARN_E_AGAIN && w->ptr.addr;
}

size_t defer_resolve(struct store *s, struct wanted *w, size_t n)
{
	size_t kept = 0, i = 0;

	while (i < n && !(w[i].ptr.addr & VIRTUAL))
		i++;
	if (i == n)
		return n;
	pthread_mutex_lock(&s->lock);
	for (i = 0; i < n; i++)
		if (!(w[i].ptr.addr & VIRTUAL) || resolve(s, &w[i]))
			w[kept++] = w[i];
	pthread_mutex_unlock(&s->lock);
	return kept;
}
