/* SPDX-License-Identifier: Apache-2.0 */
/* store/walk.c: listing and counting ranges of a tree.
 *
 * A listing goes from leaf to leaf, and copies entries into the caller's buffer while it watches the pages. In the end either all of them
 * were what they are at one moment, or it begins anew; after some tries it holds the lock. The way to the next leaf is by the page above,
 * while that lasts; else by the leaf's fence, from the root. Values in extents get their places in the buffer, and are read when the
 * listing is complete, from space that is held.
 * Counting adds up what inner pages say of their clean children, and looks into dirty ones; so it costs two descents and what has
 * changed since the last checkpoint. */
#include "leaf.h"
#include "seek.h"

/* A listing that has begun so often, and misses a page again, ends there: in a small cache its leaves may never be there together. */
#define STARTS_MAX 8u
#define PATIENCE   3
#define LOOK_AHEAD 8u	  /* entries */
#define WARM_MAX   16384u /* bytes of a leaf that is loaded before it is its turn */
#define FRONT	   16u	  /* bytes of a prefix that are copied at once */
#define FULL	   3	  /* the next entry does not fit, or max of them are there */
#define TOO_SMALL  4	  /* nor does the first */

/* ---- a listing ---- */

/* Memory that comes in steps of `each` lines. */
struct lines {
	uintptr_t at;
	uint32_t  n, each;
};

/* A value in extents, and its place in the buffer. */
struct pending {
	size_t	 at;
	uint64_t size;
	uint8_t	 desc[EXT_BYTES_MAX];
};

struct listing {
	struct seek		  seek;
	const struct store_range *range;
	uint32_t		  max;
	uint8_t			 *buf;
	size_t			  cap;
	tarn_listing		 *out;
	size_t			  key_len; /* of the one that was TOO_SMALL */
	unsigned		  starts;  /* how many times it began */
	bool			  going;   /* all up to p.leaf is listed, what comes next is missing */
	struct place		  p;
	struct lines		  next; /* what is to be loaded of the leaf behind the one that is being listed */
	struct trail		 *trail;
	struct pending		 *pending; /* grows */
	size_t			  pending_n, pending_cap;
	unsigned		  round; /* of the space that is held, when pending_n is not 0 */
};

static bool reverse(const struct listing *l)
{
	return l->range->flags & TARN_RANGE_REVERSE;
}

/* A leaf, looked at once: what all its keys begin with, and which of its entries are in the range. */
struct leaf {
	const uint8_t *page;
	uint32_t       cap, from, to;
	const uint8_t *prefix;		  /* without the bytes that are stripped */
	uint32_t       prefix_len, strip; /* strip: of what an entry has of its key */
	uint8_t	       front[FRONT];	  /* the prefix, when it is no longer than that */
	bool	       ends;		  /* the range goes on neither in this leaf nor behind it, as the listing goes */
};

/* Where the range begins in the leaf: the first slot that is in it. */
static NODE_RACY uint32_t first_slot(const struct store_range *r, const struct leaf *leaf, tarn_buf low)
{
	uint32_t slot;
	bool	 found;

	if (!r->start.len || key_compare(r->start, low) < 0)
		return 0;
	slot = node_lower(leaf->page, leaf->cap, r->start, &found);
	return slot + (found && r->flags & TARN_RANGE_AFTER);
}

/* Where it ends: the first slot behind it. */
static NODE_RACY uint32_t end_slot(const struct store_range *r, const struct leaf *leaf, tarn_buf low, tarn_buf high,
				   bool bounded)
{
	bool found;

	if (!r->end.len || (bounded && key_compare(high, r->end) <= 0))
		return node_count(leaf->page, leaf->cap);
	if (key_compare(r->end, low) <= 0)
		return 0;
	return node_lower(leaf->page, leaf->cap, r->end, &found);
}

static NODE_RACY void prefix_look(struct leaf *leaf, tarn_buf prefix, size_t strip)
{
	size_t front = MIN(strip, prefix.len);

	leaf->prefix	 = (const uint8_t *)prefix.ptr + front;
	leaf->prefix_len = (uint32_t)(prefix.len - front);
	leaf->strip	 = (uint32_t)(strip - front);
	memset(leaf->front, 0, FRONT);
	page_copy(leaf->front, leaf->prefix, MIN(leaf->prefix_len, FRONT));
}

static NODE_RACY void leaf_look(const struct listing *l, const struct frame *f, struct leaf *leaf)
{
	const struct store_range *r = l->range;
	tarn_buf		  low, high;
	bool			  bounded;

	leaf->page = f->page;
	leaf->cap  = f->cap;
	low	   = node_low(f->page, f->cap);
	high	   = node_high(f->page, f->cap, &bounded);
	prefix_look(leaf, prefix_of(f->page, f->cap), r->strip);
	leaf->from = first_slot(r, leaf, low);
	leaf->to   = end_slot(r, leaf, low, high, bounded);
	if (reverse(l))
		leaf->ends = !low.len || (r->start.len && key_compare(low, r->start) <= 0);
	else
		leaf->ends = !bounded || (r->end.len && key_compare(high, r->end) >= 0);
}

/* Writes the header and the key of an entry, and `len` bytes of its value, which follows its key here as there. The first copy has a
 * length that the compiler knows; what it writes too much is overwritten. */
static inline NODE_RACY void put_entry(uint8_t *to, size_t room, const struct leaf *leaf, const struct leaf_entry *e,
				       tarn_entry head, size_t len)
{
	uint8_t *key  = to + sizeof(head);
	uint32_t back = MIN(leaf->strip, e->klen);

	memcpy(to + offsetof(tarn_entry, key_len), &head.key_len, sizeof(head.key_len));
	memcpy(to + offsetof(tarn_entry, flags), &head.flags, sizeof(head.flags));
	memcpy(to + offsetof(tarn_entry, val_len), &head.val_len, sizeof(head.val_len));
	memcpy(to + offsetof(tarn_entry, revision), &head.revision, sizeof(head.revision));
	if (leaf->prefix_len <= FRONT && room >= sizeof(head) + FRONT)
		memcpy(key, leaf->front, FRONT);
	else
		page_copy(key, leaf->prefix, leaf->prefix_len);
	page_copy(key + leaf->prefix_len, e->key + back, e->klen - back + len);
}

static int add_pending(struct listing *l, const uint8_t *desc, size_t at)
{
	if (l->pending_n == l->pending_cap) {
		size_t		cap = l->pending_cap ? 2 * l->pending_cap : 8;
		struct pending *p   = realloc(l->pending, cap * sizeof(*p));

		if (!p)
			return fail(NOMEM, "no memory for a listing with %zu large values", cap);
		l->pending     = p;
		l->pending_cap = cap;
	}
	l->pending[l->pending_n].at   = at;
	l->pending[l->pending_n].size = value_size(desc);
	memcpy(l->pending[l->pending_n++].desc, desc, EXT_BYTES_MAX);
	return 0;
}

/* A value in extents goes to buf + at in the end. */
static int put_later(struct listing *l, const uint8_t *desc, size_t at)
{
	if (l->seek.flags & STORE_NOWAIT)
		return -TARN_E_AGAIN;
	return l->seek.locked ? add_pending(l, desc, at) : seek_lock(&l->seek);
}

static NODE_RACY uint64_t size_of(const struct leaf_entry *e, uint8_t desc[EXT_BYTES_MAX])
{
	if (!e->extents)
		return e->vlen;
	page_copy(desc, e->key + e->klen, MIN(e->vlen, EXT_BYTES_MAX));
	return value_size(desc);
}

/* 0, FULL, TOO_SMALL, or what put_later() says. */
static inline NODE_RACY int emit(struct listing *l, const struct leaf *leaf, uint32_t slot)
{
	uint8_t		  desc[EXT_BYTES_MAX];
	struct leaf_entry e;
	tarn_entry	  head;
	size_t		  at = l->out->used, room = l->cap - at, full, need;

	if (l->max && l->out->count == l->max)
		return FULL;
	if (!leaf_entry(leaf->page, leaf->cap, slot, &e))
		return RESTART;
	head.key_len  = leaf->prefix_len + e.klen - MIN(leaf->strip, e.klen);
	head.val_len  = size_of(&e, desc);
	head.revision = e.revision;
	full	      = sizeof(head) + head.key_len + head.val_len;
	head.flags    = l->range->flags & TARN_RANGE_KEYS_ONLY || head.val_len > TARN_LIST_VALUE_MAX || full > l->cap
				? TARN_ENTRY_OMITTED
				: 0;
	need	      = head.flags ? sizeof(head) + head.key_len : full;
	if (need > room) {
		l->key_len = head.key_len;
		return l->out->count ? FULL : TOO_SMALL;
	}
	put_entry(l->buf + at, room, leaf, &e, head, head.flags || e.extents ? 0 : e.vlen);
	l->out->count++;
	l->out->used = MIN(ROUND_UP(at + need, 8), l->cap);
	return e.extents && !head.flags ? put_later(l, desc, at + sizeof(head) + head.key_len) : 0;
}

/* Its slots in the order of the listing. */
static NODE_RACY uint32_t nth(const struct listing *l, const struct leaf *leaf, uint32_t i)
{
	return reverse(l) ? leaf->to - 1 - i : leaf->from + i;
}

static inline NODE_RACY void load_entry(const uint8_t *page, uint32_t cap, uint32_t slot, unsigned lines)
{
	const uint8_t *e = page + page_u32(slot_at(page, cap, slot) + SLOT_ENTRY);

	for (unsigned i = 0; i < lines; i++)
		prefetch(e + (size_t)i * LINE);
}

static inline void load_lines(struct lines *lines)
{
	uint32_t  n  = MIN(lines->each, lines->n);
	uintptr_t at = lines->at, end = at + (uintptr_t)n * LINE;

	lines->n -= n;
	lines->at = end;
	for (; at < end; at += LINE)
		prefetch((const void *)at);
}

/* Entries lie in the page in the order in which they came, so the processor does not guess where the next one is. Meanwhile the next leaf
 * comes, in small pieces: who asks for all of it at once waits until the memory has answered. */
static NODE_RACY int list_leaf(struct listing *l, const struct leaf *leaf, bool loaded)
{
	uint32_t n     = leaf->to > leaf->from ? leaf->to - leaf->from : 0;
	unsigned lines = l->range->flags & TARN_RANGE_KEYS_ONLY ? 1 : 3;
	int	 rc    = 0;

	for (uint32_t i = 0; !loaded && i < MIN(n, LOOK_AHEAD); i++)
		load_entry(leaf->page, leaf->cap, nth(l, leaf, i), lines);
	for (uint32_t i = 0; !rc && i < n; i++) {
		if (!loaded && i + LOOK_AHEAD < n)
			load_entry(leaf->page, leaf->cap, nth(l, leaf, i + LOOK_AHEAD), lines);
		if (l->next.n)
			load_lines(&l->next);
		rc = emit(l, leaf, nth(l, leaf, i));
	}
	return rc;
}

/* ---- from leaf to leaf ---- */

static NODE_RACY uint32_t children_before_end(const struct store_range *r, const struct frame *f)
{
	bool	 bounded, found;
	tarn_buf high = node_high(f->page, f->cap, &bounded);

	if (!r->end.len || (bounded && key_compare(high, r->end) <= 0))
		return node_count(f->page, f->cap);
	return node_lower(f->page, f->cap, r->end, &found);
}

/* Leaves that the page above names from p->up's slot on, in the direction of the listing, that are not in memory and that it is likely to
 * need: they are fetched together with the one that is missing now. What is not certain here costs a read, and nothing else. */
static NODE_RACY void look_ahead(struct store *s, struct listing *l, const struct place *p)
{
	const struct frame *up	   = p->up.frame;
	uint64_t	    keys   = l->max ? l->max - l->out->count : UINT64_MAX;
	uint64_t	    bytes  = MIN(l->cap - l->out->used, s->cache.budget / 8);
	uint32_t	    n	   = children_before_end(l->range, up);
	bool		    begins = !l->out->count; /* anywhere in its first leaf, which may have little of it */

	for (uint32_t slot = p->up.slot; slot < n && l->seek.ahead_n < AHEAD_MAX; slot += reverse(l) ? -1u : 1u) {
		struct node_child child = node_child(up->page, up->cap, slot);

		if ((!(child.ptr.addr & VIRTUAL) || child.ptr.len) &&
		    !cache_peek(&s->cache, child.ptr.addr, hint_get(&s->cache, up, slot)))
			l->seek.ahead[l->seek.ahead_n++] = (struct wanted){ p->tree->id, child.ptr };
		if ((child.keys >= keys && !(begins && slot == p->up.slot)) || child.ptr.len >= bytes)
			break;
		keys -= begins && slot == p->up.slot ? 0 : child.keys;
		bytes -= child.ptr.len;
	}
	if (!frame_valid(up, p->up.version))
		l->seek.ahead_n = 0;
}

static NODE_RACY int missing(struct store *s, struct listing *l, const struct place *p)
{
	if (p->up.frame && node_level(p->up.frame->page) == 1)
		look_ahead(s, l, p);
	return -TARN_E_AGAIN;
}

static NODE_RACY int first_leaf(struct store *s, struct listing *l, struct place *p, struct wanted *w)
{
	return reverse(l) ? seek_leaf_last(s, p, l->range->end, w) : seek_leaf(s, p, l->range->start, w);
}

/* Is there a leaf beside this one below the same page? Its slot. */
static NODE_RACY bool beside(const struct listing *l, const struct place *p, uint32_t *slot)
{
	const struct frame *up = p->up.frame;

	*slot = p->up.slot + (reverse(l) ? -1u : 1u);
	return up && *slot < node_count(up->page, up->cap);
}

/* Begins to load what is beside the leaf: its frame and what a search looks at; and says what of its page shall come while this leaf is
 * listed. true: all of it, since the listing is likely to take most of its entries. */
static NODE_RACY bool aim_beside(struct store *s, struct listing *l, const struct place *p, uint32_t here)
{
	uint64_t left = l->max ? l->max - l->out->count : UINT64_MAX, all = (uint64_t)here + here / 2;
	uint32_t slot, bytes;

	l->next.n = 0;
	if (!beside(l, p, &slot))
		return false;
	if (left > here) {
		load_entry(p->up.frame->page, p->up.frame->cap, slot, 2);
		seek_prefetch(s, &p->up, slot);
	}
	if (left < all || !here || l->range->flags & TARN_RANGE_KEYS_ONLY)
		return false;
	l->next.at = seek_hinted(&s->cache, hint_get(&s->cache, p->up.frame, slot), &bytes);
	if (bytes > WARM_MAX)
		return false;
	l->next.n    = bytes / LINE;
	l->next.each = DIV_UP(l->next.n, here);
	return true;
}

/* The leaf beside this one. It must lie on that side, or there would be no end to a walk through pages that do not fit together. */
static NODE_RACY int next_leaf(struct store *s, struct listing *l, struct place *p, struct wanted *w)
{
	const struct frame *f = p->leaf.frame;
	bool		    bounded;
	tarn_buf	    low = node_low(f->page, f->cap), high = node_high(f->page, f->cap, &bounded);
	uint32_t	    slot;
	int		    rc;

	if (beside(l, p, &slot)) {
		p->up.slot = slot;
		p->leaf	   = p->up;
		rc	   = seek_down(s, p->tree, p->trail, &p->leaf, w);
	} else {
		rc = reverse(l) ? seek_leaf_last(s, p, low, w) : seek_leaf(s, p, high, w);
	}
	if (rc)
		return rc;
	f = p->leaf.frame;
	if (!f)
		return RESTART;
	if (reverse(l))
		high = node_high(f->page, f->cap, &bounded);
	return key_compare(reverse(l) ? low : node_low(f->page, f->cap), high) >= 0 && (bounded || !reverse(l)) ? 0 : RESTART;
}

static void list_begin(struct listing *l)
{
	*l->out	     = (tarn_listing){ 0 };
	l->pending_n = 0;
	l->p	     = (struct place){ .tree = l->seek.tree };
	l->starts++;
	if (!l->seek.locked) {
		seek_trail_begin(l->trail, l->p.tree);
		l->p.trail = l->trail;
	}
}

/* After a page was fetched: when nothing of what was seen has changed, the listing goes on where it was. */
static bool list_goes_on(const struct listing *l)
{
	return l->going && !l->seek.locked && l->p.tree == l->seek.tree && seek_trail_valid(l->trail, l->p.tree);
}

/* Leaf by leaf; p stays at the last one that is listed. */
static NODE_RACY int list_leaves(struct store *s, struct listing *l, struct wanted *w)
{
	bool	     go_on = list_goes_on(l), loaded = false, next_loaded;
	struct place p;
	struct leaf  leaf;
	int	     rc;

	if (!go_on)
		list_begin(l);
	l->going = false;
	p	 = l->p;
	rc	 = go_on ? next_leaf(s, l, &p, w) : first_leaf(s, l, &p, w);
	while (!rc && p.leaf.frame) {
		leaf_look(l, p.leaf.frame, &leaf);
		next_loaded = !leaf.ends && aim_beside(s, l, &p, leaf.to > leaf.from ? leaf.to - leaf.from : 0);
		rc	    = list_leaf(l, &leaf, loaded);
		loaded	    = next_loaded;
		if (rc || leaf.ends)
			return rc;
		l->p = p;
		rc   = next_leaf(s, l, &p, w);
	}
	if (rc != -TARN_E_AGAIN)
		return rc;
	if (l->starts > STARTS_MAX && l->out->count)
		return FULL;
	l->going = l->p.leaf.frame;
	return missing(s, l, &p);
}

/* What the walk has come to is certain when all pages of it still are what they were. */
static int list(struct store *s, void *arg, struct wanted *w)
{
	struct listing	   *l  = arg;
	int		    rc = list_leaves(s, l, w);
	const struct trail *t  = l->p.trail;

	if (t && t->full)
		return seek_lock(&l->seek);
	if (rc < 0 || rc == RESTART)
		return rc;
	if (t && !seek_trail_valid(t, l->p.tree))
		return RESTART;
	if (rc == TOO_SMALL)
		return fail(KEY2BIG, "a buffer of %zu bytes is too small for a key of %zu bytes: %zu are needed", l->cap,
			    l->key_len, l->key_len + sizeof(tarn_entry));
	l->out->more = rc == FULL;
	if (l->pending_n)
		l->round = space_hold(&s->space);
	return 0;
}

/* The space is held. */
static int read_pending(struct store *s, struct listing *l)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < l->pending_n; i++) {
		const struct pending *v	     = &l->pending[i];
		struct bptr	     *pieces = NULL;
		size_t		      n	     = 0;

		rc = value_pieces(s, v->desc, &pieces, &n);
		rc = rc ? rc : value_read_all(s, pieces, n, v->size, l->buf + v->at);
		free(pieces);
	}
	pthread_mutex_lock(&s->lock);
	space_unhold(&s->space, l->round);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int store_list(struct store *s, struct store_at at, const struct store_range *range, uint32_t max, void *buf, size_t cap,
	       tarn_listing *out, unsigned flags)
{
	struct wanted  ahead[AHEAD_MAX];
	struct trail   trail;
	struct listing l = { .seek  = { .at = at, .flags = flags, .patience = PATIENCE, .body = list, .arg = &l, .ahead = ahead },
			     .range = range,
			     .max   = max,
			     .buf   = buf,
			     .cap   = cap,
			     .out   = out,
			     .trail = &trail };
	int	       rc;

	*out = (tarn_listing){ 0 };
	rc   = seek_at(s, &l.seek);
	if (!rc && l.pending_n)
		rc = read_pending(s, &l);
	if (rc)
		*out = (tarn_listing){ 0 };
	free(l.pending);
	return rc;
}

/* ---- counting ---- */

struct counting {
	struct seek		  seek;
	const struct store_range *range;
	uint64_t		  count;
	struct trail		 *trail, *watch; /* watch: NULL under the lock */
};

static NODE_RACY int count_child(struct store *s, struct counting *c, const struct spot *up, uint64_t *keys, struct wanted *w);

/* The keys below the first n slots of an inner page. */
static NODE_RACY int count_children(struct store *s, struct counting *c, const struct spot *page, uint32_t n, uint64_t *keys,
				    struct wanted *w)
{
	struct spot at = *page;
	int	    rc = 0;

	for (at.slot = 0; !rc && at.slot < n; at.slot++)
		rc = count_child(s, c, &at, keys, w);
	return rc;
}

static NODE_RACY int count_page(struct store *s, struct counting *c, const struct spot *page, uint64_t *keys, struct wanted *w)
{
	uint32_t n = node_count(page->frame->page, page->frame->cap);

	if (node_level(page->frame->page))
		return count_children(s, c, page, n, keys, w);
	*keys += n;
	return 0;
}

/* The levels go down by one, so this ends. */
static NODE_RACY int count_child(struct store *s, struct counting *c, const struct spot *up, uint64_t *keys, struct wanted *w)
{
	struct node_child child = node_child(up->frame->page, up->frame->cap, up->slot);
	struct spot	  at	= *up;
	int		  rc;

	if (!(child.ptr.addr & VIRTUAL)) {
		*keys += child.keys;
		return 0;
	}
	rc = seek_down(s, c->seek.tree, c->watch, &at, w);
	return rc ? rc : count_page(s, c, &at, keys, w);
}

/* What the tree knows of a clean root is its writer's: that is read under the lock. */
static NODE_RACY int count_all(struct store *s, struct counting *c, uint64_t *keys, struct wanted *w)
{
	struct tree *t = c->seek.tree;
	struct spot  root;
	int	     rc;

	if (!(atomic_load_explicit(&t->root_id, memory_order_acquire) & VIRTUAL)) {
		if (!c->seek.locked)
			return seek_lock(&c->seek);
		*keys = t->keys;
		return 0;
	}
	rc = seek_root(s, t, c->watch, &root, w);
	return rc || !root.frame ? rc : count_page(s, c, &root, keys, w);
}

/* How many keys are below key (after: not above it); an empty one: all. */
static NODE_RACY int count_below(struct store *s, struct counting *c, tarn_buf key, bool after, uint64_t *keys, struct wanted *w)
{
	struct tree *t = c->seek.tree;
	struct spot  at;
	int	     rc;

	*keys = 0;
	if (!key.len)
		return count_all(s, c, keys, w);
	rc = seek_root(s, t, c->watch, &at, w);
	while (!rc && at.frame && node_level(at.frame->page)) {
		seek_aim(s, &at, key);
		rc = count_children(s, c, &at, at.slot, keys, w);
		rc = rc ? rc : seek_down(s, t, c->watch, &at, w);
	}
	if (!rc && at.frame) {
		*keys += node_lower(at.frame->page, at.frame->cap, key, &at.found);
		*keys += at.found && after;
	}
	return rc;
}

static int count(struct store *s, void *arg, struct wanted *w)
{
	struct counting *c     = arg;
	uint64_t	 below = 0, end = 0;
	int		 rc;

	c->watch = c->seek.locked ? NULL : c->trail;
	if (c->watch)
		seek_trail_begin(c->watch, c->seek.tree);
	rc = count_below(s, c, c->range->end, false, &end, w);
	if (!rc && c->range->start.len)
		rc = count_below(s, c, c->range->start, c->range->flags & TARN_RANGE_AFTER, &below, w);
	if (c->watch && c->watch->full)
		return seek_lock(&c->seek);
	if (rc)
		return rc;
	c->count = end > below ? end - below : 0;
	return !c->watch || seek_trail_valid(c->watch, c->seek.tree) ? 0 : RESTART;
}

int store_count(struct store *s, struct store_at at, const struct store_range *range, uint64_t *keys, unsigned flags)
{
	struct trail	trail;
	struct counting c  = { .seek  = { .at = at, .flags = flags, .patience = PATIENCE, .body = count, .arg = &c },
			       .range = range,
			       .trail = &trail };
	int		rc = seek_at(s, &c.seek);

	*keys = c.count;
	return rc;
}
