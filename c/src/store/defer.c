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
 * Notes and puts stand in regions of memory that count against the budget. What was put off before a checkpoint froze the trees is written
 * by it, so its region goes as a whole when the checkpoint has ended. */
#include "internal.h"

struct put {
	struct put *next;
	uint64_t    revision;
	uint32_t    key_len, len, room; /* room: for another value */
	uint8_t	    bytes[];		/* key, value */
};

struct deferred {
	struct deferred *chain; /* in its bucket */
	uint64_t	 id, tree, gen;
	struct bptr	 base;
	uint64_t	 keys;	       /* below base */
	uint64_t	 needed, died; /* of the base, when it is owned; as in a frame */
	uint64_t	 self_needed, self_died;
	struct put	*puts;		/* of different keys */
	uint32_t	 bytes, blocks; /* what the puts add to the leaf at the most; that writing it takes at the most */
	bool		 owned;		/* nobody else gives up the blocks of the base */
	bool		 superseded;
};

#define PUT_BYTES (SLOT_BYTES + LEAF_KEY)

/* ---- memory ---- */

static size_t region_bytes(const struct store *s)
{
	return ROUND_UP(MIN(MAX(s->cache.budget / 128, (uint64_t)16384), (uint64_t)1 << 20), BLOCK);
}

static bool has_room(const struct defer *d, size_t bytes)
{
	return d->fill && d->fill->room - d->fill->used >= bytes;
}

static bool reserve(struct store *s, size_t bytes)
{
	struct defer  *d    = &s->defer;
	size_t	       room = MAX(region_bytes(s), ROUND_UP(bytes + sizeof(struct region), BLOCK));
	struct region *r;

	if (has_room(d, bytes))
		return true;
	r = device_map(room);
	if (!r)
		return false;
	*r	= (struct region){ .older = d->fill, .room = room, .used = ROUND_UP(sizeof(*r), 8) };
	d->fill = r;
	d->bytes += room;
	cache_shrink(s);
	return true;
}

/* Reserved before. */
static void *take(struct defer *d, size_t bytes)
{
	void *p = (uint8_t *)d->fill + d->fill->used;

	d->fill->used += bytes;
	return p;
}

static void regions_free(struct defer *d, struct region *r)
{
	while (r) {
		struct region *older = r->older;

		d->bytes -= r->room;
		device_unmap(r, r->room);
		r = older;
	}
}

void defer_freeze(struct store *s)
{
	struct defer   *d  = &s->defer;
	struct region **at = &d->frozen;

	while (*at) /* of a checkpoint that has given up */
		at = &(*at)->older;
	*at	    = d->fill;
	d->fill	    = NULL;
	d->frozen_n = d->n; /* trees with such leaves are dirty, and all of them freeze */
}

/* That a note is left over would be a mistake of ours; and then its memory must stay. */
void defer_thaw(struct store *s)
{
	struct defer *d = &s->defer;

	if (d->frozen_n) {
		base_log(TARN_LOG_ERROR, "%zu pages that were put off have not been written", d->frozen_n);
		return;
	}
	regions_free(d, d->frozen);
	d->frozen = NULL;
}

void defer_fini(struct store *s)
{
	struct defer *d = &s->defer;

	regions_free(d, d->fill);
	regions_free(d, d->frozen);
	device_unmap(d->hash, d->buckets * sizeof(*d->hash));
	*d = (struct defer){ 0 };
}

/* ---- the table ---- */

static bool table(struct store *s)
{
	struct defer *d	      = &s->defer;
	size_t	      buckets = 64;

	if (d->hash)
		return true;
	while (buckets < s->cache.budget / 1024)
		buckets *= 2;
	d->hash	   = device_map(buckets * sizeof(*d->hash));
	d->buckets = d->hash ? buckets : 0;
	d->bytes += d->buckets * sizeof(*d->hash);
	return d->hash;
}

static struct deferred **bucket(const struct defer *d, uint64_t id)
{
	return &d->hash[(id * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (d->buckets - 1)];
}

static struct deferred *find(const struct store *s, uint64_t id)
{
	struct deferred *p = s->defer.n ? *bucket(&s->defer, id) : NULL;

	while (p && p->id != id)
		p = p->chain;
	return p;
}

static void add(struct defer *d, struct deferred *p)
{
	struct deferred **b = bucket(d, p->id);

	p->chain = *b;
	*b	 = p;
	d->n++;
	d->blocks += p->blocks;
	d->noted += p->owned && p->needed;
}

static void forget(struct store *s, struct deferred *p)
{
	struct defer	 *d  = &s->defer;
	struct deferred **at = bucket(d, p->id);

	while (*at != p)
		at = &(*at)->chain;
	*at = p->chain;
	d->n--;
	d->blocks -= p->blocks;
	d->noted -= p->owned && p->needed;
	d->frozen_n -= p->gen <= s->checkpoint.gen;
}

/* ---- a put ---- */

static size_t put_room(tarn_buf key, uint32_t len)
{
	return ROUND_UP(sizeof(struct put) + key.len + len, 8);
}

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
	p->blocks = pages_for(base_len + p->bytes);
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

	if (!path->depth || node_level(path->frames[path->depth - 1]->page) != 1 || bytes > s->node_bytes / 2)
		return false;
	child = child_at(path);
	if (child.ptr.addr & VIRTUAL)
		p = find(s, child.ptr.addr);
	else if (child.ptr.flags || child.ptr.len > MAX(s->node_bytes, BLOCK))
		return false;
	if ((child.ptr.addr & VIRTUAL && !p) || !takes_more(s, p, bytes))
		return false;
	return table(s) && reserve(s, ROUND_UP(sizeof(*p), 8) + put_room(key, (uint32_t)len));
}

uint64_t defer_blocks(const struct store *s)
{
	return 2 * pages_for(MAX(s->node_bytes, BLOCK) * 2);
}

static bool replace(struct deferred *p, tarn_buf key, const struct leaf_value *v)
{
	for (struct put *u = p->puts; u; u = u->next) {
		if (u->key_len != key.len || memcmp(u->bytes, key.ptr, key.len) || u->room < v->len)
			continue;
		p->bytes = p->bytes - u->len + v->len;
		memcpy(u->bytes + key.len, v->bytes, v->len);
		u->len	    = v->len;
		u->revision = v->revision;
		return true;
	}
	return false;
}

static void drop_put(struct deferred *p, tarn_buf key)
{
	for (struct put **at = &p->puts; *at; at = &(*at)->next)
		if ((*at)->key_len == key.len && !memcmp((*at)->bytes, key.ptr, key.len)) {
			p->bytes -= PUT_BYTES + (*at)->key_len + (*at)->len;
			*at = (*at)->next;
			return;
		}
}

static void add_put(struct store *s, struct deferred *p, tarn_buf key, const struct leaf_value *v)
{
	struct put *u;

	drop_put(p, key);
	u  = take(&s->defer, put_room(key, v->len));
	*u = (struct put){
		.next = p->puts, .revision = v->revision, .key_len = (uint32_t)key.len, .len = v->len, .room = v->len
	};
	memcpy(u->bytes, key.ptr, key.len);
	if (v->len)
		memcpy(u->bytes + key.len, v->bytes, v->len);
	p->puts = u;
	p->bytes += (uint32_t)(PUT_BYTES + key.len + v->len);
}

static void supersede(struct store *s, struct tree *t, struct deferred *p)
{
	p->superseded  = true;
	p->self_needed = tree_needed(t, p->gen);
	p->self_died   = s->gen;
}

/* The leaf at path, which the tree shares or which is on disk, as one of the tree's own. */
static struct deferred *defer_leaf(struct store *s, struct tree *t, struct path *path, struct deferred *frozen)
{
	struct node_child child = child_at(path), link;
	struct frame	 *up	= path->frames[path->depth - 1];
	struct deferred	 *p	= take(&s->defer, ROUND_UP(sizeof(*p), 8));

	*p = (struct deferred){ .id = VIRTUAL | s->cache.next_virtual++, .tree = t->id, .base = child.ptr, .keys = child.keys };
	if (frozen) {
		supersede(s, t, frozen);
		p->bytes = frozen->bytes;
	} else {
		p->owned  = true;
		p->needed = tree_needed(t, child.ptr.birth);
		p->died	  = s->gen;
	}
	add(&s->defer, p);
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
	p->gen = s->gen; /* no page is younger than its parent */
	if (!replace(p, key, val))
		add_put(s, p, key, val);
	count_blocks(&s->defer, p, MAX(p->base.len, child_at(path).ptr.len));
	s->defer.count++;
	return 0;
}

/* ---- the leaf as it is ---- */

/* A copy of the base with all puts in it; false: that needs a larger page. */
static bool fill(const struct deferred *p, const struct frame *base, struct frame *f)
{
	node_pack(base->page, base->cap, f->page, f->cap);
	for (const struct put *u = p->puts; u; u = u->next) {
		tarn_buf	  key = { u->bytes, u->key_len };
		struct leaf_value v   = { u->bytes + u->key_len, u->len, false, u->revision };
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
		if (fill(p, base, f)) {
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
	int		       rc;

	if (!p)
		return fail(MISC, "a dirty page is not in the cache");
	rc = cache_get(s, p->tree, &p->base, &base);
	if (rc)
		return rc;
	if (node_level(base->page))
		rc = fail(CSUM, "the page at block %llu of tree %llu has the wrong level", (unsigned long long)p->base.addr,
			  (unsigned long long)p->tree);
	rc = rc ? rc : make_view(s, p, base, frame);
	cache_unpin(base);
	if (!rc && !(p->base.addr & VIRTUAL)) { /* a snapshot may want it; but that it reads again */
		atomic_store_explicit(&base->touched, false, memory_order_relaxed);
		cache_drop_spare(s, base);
	}
	return rc;
}

static void give_base(struct store *s, const struct deferred *p)
{
	if (p->owned)
		snap_give(s, p->tree, &p->base, p->needed, p->died);
}

void defer_harden(struct store *s, struct frame *f)
{
	struct deferred *p = find(s, f->id);

	f->gen	      = p->gen;
	f->superseded = p->superseded;
	f->needed     = p->self_needed;
	f->died	      = p->self_died;
	cache_harden(s, f);
	forget(s, p);
	give_base(s, p);
}

bool defer_base(struct store *s, uint64_t id, struct wanted *w)
{
	const struct deferred *p = find(s, id);

	if (!p || p->base.addr & VIRTUAL || cache_find(s, id) || cache_find(s, p->base.addr))
		return false;
	*w = (struct wanted){ p->tree, p->base };
	return true;
}

/* ---- a base that is damaged ---- */

/* Nothing matches this pointer, also when what is there reads as it should one day: old values would be in it. Who drops the tree must
 * look, and leaves the blocks alone: several pointers may be made of this one. */
static struct bptr condemned(const struct bptr *base)
{
	struct bptr ptr = *base;

	for (size_t i = 0; i < sizeof(ptr.sum.bytes) && !(ptr.flags & BPTR_EXTENTS); i++)
		ptr.sum.bytes[i] ^= 0xff;
	ptr.flags |= BPTR_EXTENTS; /* which a base has not */
	return ptr;
}

/* p has what it does to the page of that id, or other pages that were put off do between them. */
static bool leads_to(const struct store *s, const struct deferred *p, uint64_t id)
{
	while (p && p->id != id)
		p = p->base.addr & VIRTUAL ? find(s, p->base.addr) : NULL;
	return p;
}

static bool put_before(const struct store *s, const struct deferred *from, const struct deferred *to, const struct put *v)
{
	for (const struct deferred *p = from; p != to; p = find(s, p->base.addr))
		for (const struct put *u = p->puts; u; u = u->next)
			if (u->key_len == v->key_len && !memcmp(u->bytes, v->bytes, u->key_len))
				return true;
	return false;
}

/* The newest put on each key. */
static int put_all_beside(struct store *s, struct tree *t, const struct deferred *first)
{
	int rc = 0;

	for (const struct deferred *p = first; !rc && p; p = p->base.addr & VIRTUAL ? find(s, p->base.addr) : NULL)
		for (const struct put *u = p->puts; !rc && u; u = u->next) {
			struct leaf_value v = { u->bytes + u->key_len, u->len, false, u->revision };

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
		forget(s, p);
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
	*base = (struct node_child){ condemned(&p->base), p->keys };
	rc    = live ? rescue(s, live, id, low, base) : 0;
	if (rc >= 0 && find(s, id) == p)
		forget(s, p);
	return rc;
}

void defer_rebase(struct store *s, uint64_t id, uint64_t from, const struct bptr *to, uint64_t keys)
{
	struct deferred *p = find(s, id);

	if (!p || p->base.addr != from)
		return;
	p->base = *to;
	p->keys = keys;
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
