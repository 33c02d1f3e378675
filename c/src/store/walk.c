/* SPDX-License-Identifier: Apache-2.0 */
/* store/walk.c: listing and counting ranges of a tree.
 *
 * A listing goes from leaf to leaf, and copies entries into the caller's buffer while it watches the pages. In the end either all of them
 * were what they are at one moment, or it begins anew; after some tries it holds the lock. The way to the next leaf is by the page above,
 * while that lasts; else by the leaf's fence, from the root. Values in extents get their places in the buffer, and are read when the
 * listing is complete, from space that is held.
 * Counting adds up what inner pages say of their clean children, and looks into dirty ones; so it costs two descents and what has
 * changed since the last checkpoint. */
#include "seek.h"

/* A listing that has begun so often, and misses a page again, ends there: in a small cache its leaves may never be there together. */
#define STARTS_MAX 8u
#define PATIENCE   3
#define LOOK_AHEAD 6u /* entries */
#define FULL	   3  /* the next entry does not fit, or max of them are there */
#define TOO_SMALL  4  /* nor does the first */

/* ---- a listing ---- */

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
	struct trail		 *trail;
	struct pending		 *pending; /* grows */
	size_t			  pending_n, pending_cap;
	unsigned		  round; /* of the space that is held, when pending_n is not 0 */
};

static bool reverse(const struct listing *l)
{
	return l->range->flags & TARN_RANGE_REVERSE;
}

/* A leaf, looked at once: where its keys' common bytes are, and which of its entries are in the range. */
struct leaf {
	const uint8_t *page;
	uint32_t       cap, from, to;
	tarn_buf       prefix;
	bool	       ends; /* the range goes on neither in this leaf nor behind it, as the listing goes */
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

static NODE_RACY void leaf_look(const struct listing *l, const struct frame *f, struct leaf *leaf)
{
	const struct store_range *r = l->range;
	tarn_buf		  low, high;
	bool			  bounded;
	uint32_t		  prefix;

	leaf->page   = f->page;
	leaf->cap    = f->cap;
	low	     = node_low(f->page, f->cap);
	high	     = node_high(f->page, f->cap, &bounded);
	prefix	     = page_u32(f->page + NODE_PREFIX);
	leaf->prefix = (tarn_buf){ low.ptr, MIN(prefix, low.len) };
	leaf->from   = first_slot(r, leaf, low);
	leaf->to     = end_slot(r, leaf, low, high, bounded);
	if (reverse(l))
		leaf->ends = !low.len || (r->start.len && key_compare(low, r->start) <= 0);
	else
		leaf->ends = !bounded || (r->end.len && key_compare(high, r->end) >= 0);
}

/* What an entry of a listing will be. */
struct item {
	tarn_buf	  suffix; /* of the key, behind the prefix */
	struct leaf_value value;
	uint64_t	  size;
	uint8_t		  desc[EXT_BYTES_MAX]; /* when it is in extents */
};

/* false: the page is changing. The key stands right before the value. */
static NODE_RACY bool item_look(const struct leaf *leaf, uint32_t slot, struct item *item)
{
	uint32_t       at  = page_u32(leaf->page + NODE_SLOTS + (size_t)SLOT_BYTES * slot + SLOT_ENTRY);
	const uint8_t *key = leaf->page + MIN(at, leaf->cap) + LEAF_KEY;

	item->value = node_value(leaf->page, leaf->cap, slot);
	if (item->value.bytes < key)
		return false;
	item->suffix = (tarn_buf){ key, (size_t)(item->value.bytes - key) };
	item->size   = item->value.len;
	if (item->value.extents) {
		page_copy(item->desc, item->value.bytes, MIN(item->value.len, EXT_BYTES_MAX));
		item->size = value_size(item->desc);
	}
	return true;
}

/* Copies the key without the first `strip` bytes. */
static NODE_RACY void copy_key(const struct leaf *leaf, const struct item *item, size_t strip, uint8_t *to)
{
	size_t front = MIN(strip, leaf->prefix.len), back = strip - front;

	page_copy(to, (const uint8_t *)leaf->prefix.ptr + front, leaf->prefix.len - front);
	page_copy(to + leaf->prefix.len - front, (const uint8_t *)item->suffix.ptr + back, item->suffix.len - back);
}

static int add_pending(struct listing *l, const struct item *item, size_t at)
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
	l->pending[l->pending_n].size = item->size;
	memcpy(l->pending[l->pending_n++].desc, item->desc, EXT_BYTES_MAX);
	return 0;
}

/* The value goes to buf + at: at once, or, when it is in extents, in the end. */
static NODE_RACY int put_value(struct listing *l, const struct item *item, size_t at)
{
	if (!item->value.extents) {
		page_copy(l->buf + at, item->value.bytes, item->value.len);
		return 0;
	}
	if (l->seek.flags & STORE_NOWAIT)
		return -TARN_E_AGAIN;
	return l->seek.locked ? add_pending(l, item, at) : seek_lock(&l->seek);
}

/* 0, FULL, TOO_SMALL, or what put_value() says. */
static NODE_RACY int emit(struct listing *l, const struct leaf *leaf, uint32_t slot)
{
	struct item item;
	size_t	    at = l->out->used, strip, klen, full, need;
	bool	    omit;

	if (l->max && l->out->count == l->max)
		return FULL;
	if (!item_look(leaf, slot, &item))
		return RESTART;
	klen  = leaf->prefix.len + item.suffix.len;
	strip = MIN(l->range->strip, klen);
	klen -= strip;
	full = sizeof(tarn_entry) + klen + item.size;
	omit = l->range->flags & TARN_RANGE_KEYS_ONLY || item.size > TARN_LIST_VALUE_MAX || full > l->cap;
	need = omit ? sizeof(tarn_entry) + klen : full;
	if (need > l->cap - at) {
		l->key_len = klen;
		return l->out->count ? FULL : TOO_SMALL;
	}
	memcpy(l->buf + at, &(tarn_entry){ (uint32_t)klen, omit ? TARN_ENTRY_OMITTED : 0, item.size, item.value.revision },
	       sizeof(tarn_entry));
	copy_key(leaf, &item, strip, l->buf + at + sizeof(tarn_entry));
	l->out->count++;
	l->out->used = MIN(ROUND_UP(at + need, 8), l->cap);
	return omit ? 0 : put_value(l, &item, at + sizeof(tarn_entry) + klen);
}

/* Its slots in the order of the listing. */
static NODE_RACY uint32_t nth(const struct listing *l, const struct leaf *leaf, uint32_t i)
{
	return reverse(l) ? leaf->to - 1 - i : leaf->from + i;
}

/* Entries lie in the page in the order in which they came, so the processor does not guess where the next one is. */
static NODE_RACY int list_leaf(struct listing *l, const struct leaf *leaf)
{
	uint32_t n  = leaf->to > leaf->from ? leaf->to - leaf->from : 0;
	int	 rc = 0;

	for (uint32_t i = 0; i < MIN(n, LOOK_AHEAD); i++)
		seek_prefetch_entry(leaf->page, leaf->cap, nth(l, leaf, i));
	for (uint32_t i = 0; !rc && i < n; i++) {
		if (i + LOOK_AHEAD < n)
			seek_prefetch_entry(leaf->page, leaf->cap, nth(l, leaf, i + LOOK_AHEAD));
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
	const struct frame *up	  = p->up.frame;
	uint64_t	    keys  = l->max ? l->max - l->out->count : UINT64_MAX;
	uint64_t	    bytes = MIN(l->cap - l->out->used, s->cache.budget / 8);
	uint32_t	    n	  = children_before_end(l->range, up);

	for (uint32_t slot = p->up.slot; slot < n && l->seek.ahead_n < AHEAD_MAX; slot += reverse(l) ? -1u : 1u) {
		struct node_child child = node_child(up->page, up->cap, slot);

		if ((!(child.ptr.addr & VIRTUAL) || child.ptr.len) &&
		    !cache_peek(&s->cache, child.ptr.addr, hint_get(&s->cache, up, slot)))
			l->seek.ahead[l->seek.ahead_n++] = (struct wanted){ p->tree->id, child.ptr };
		if (child.keys >= keys || child.ptr.len >= bytes)
			break;
		keys -= child.keys;
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

/* To the child of the page above that is next: its slot is in p->up. */
static NODE_RACY int step(struct store *s, struct listing *l, struct place *p, struct wanted *w)
{
	int rc;

	p->leaf = p->up;
	rc	= seek_down(s, p->tree, p->trail, &p->leaf, w);
	if (!rc && !reverse(l) && p->up.slot + 1 < node_count(p->up.frame->page, p->up.frame->cap))
		seek_prefetch(s, &p->up, p->up.slot + 1);
	return rc;
}

/* The leaf beside this one. It must lie on that side, or there would be no end to a walk through pages that do not fit together. */
static NODE_RACY int next_leaf(struct store *s, struct listing *l, struct place *p, struct wanted *w)
{
	const struct frame *f = p->leaf.frame, *up = p->up.frame;
	bool		    bounded;
	tarn_buf	    low = node_low(f->page, f->cap), high = node_high(f->page, f->cap, &bounded);
	int		    rc;

	if (up && (reverse(l) ? p->up.slot > 0 : p->up.slot + 1 < node_count(up->page, up->cap))) {
		p->up.slot += reverse(l) ? -1u : 1u;
		rc = step(s, l, p, w);
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
	bool	     go_on = list_goes_on(l);
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
		rc = list_leaf(l, &leaf);
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
