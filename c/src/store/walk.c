/* SPDX-License-Identifier: Apache-2.0 */
/* store/walk.c: listing and counting ranges of a tree.
 *
 * Counting adds up what inner pages say of their clean children, and looks into dirty ones; so it costs two descents and what has
 * changed since the last checkpoint. */
#include "internal.h"

/* Goes down from the last frame's slot to a leaf, along the first (or last) children. */
static int descend(struct store *s, struct tree *t, struct path *path, bool last)
{
	while (node_level(path->frames[path->depth - 1]->page)) {
		unsigned      d	  = path->depth;
		struct bptr   ptr = node_child_ptr(path->frames[d - 1]->page, path->slots[d - 1]);
		struct frame *f;
		int	      rc = cache_get(s, t->id, &ptr, &f);

		if (rc)
			return rc;
		path->frames[d] = f;
		path->slots[d]	= last ? node_count(f->page) - 1 : 0;
		path->depth	= d + 1;
		if (node_level(f->page) + 1 != node_level(path->frames[d - 1]->page))
			return fail(CSUM, "the page at block %llu has the wrong level", (unsigned long long)ptr.addr);
	}
	return 0;
}

/* To the leaf on the right (left) of the path's; the path is empty when there is none. */
static int next_leaf(struct store *s, struct tree *t, struct path *path, bool left)
{
	while (path->depth) {
		struct frame *f;

		cache_unpin(path->frames[--path->depth]);
		if (!path->depth)
			return 0;
		f = path->frames[path->depth - 1];
		if (left ? path->slots[path->depth - 1] > 0 : path->slots[path->depth - 1] + 1 < node_count(f->page)) {
			path->slots[path->depth - 1] += left ? -1u : 1u;
			return descend(s, t, path, left);
		}
	}
	return 0;
}

static int step(struct store *s, struct tree *t, struct path *path, bool left)
{
	uint32_t *slot = &path->slots[path->depth - 1];

	if (left ? *slot > 0 : *slot + 1 < node_count(path->frames[path->depth - 1]->page)) {
		*slot += left ? -1u : 1u;
		return 0;
	}
	return next_leaf(s, t, path, left);
}

static int seek_forward(struct store *s, struct tree *t, const struct store_range *r, struct path *path)
{
	int rc = tree_find(s, t, r->start, path);

	if (rc || !path->depth)
		return rc;
	if (path->slots[path->depth - 1] == node_count(path->frames[path->depth - 1]->page))
		return next_leaf(s, t, path, false);
	return path->found && r->flags & TARN_RANGE_AFTER ? step(s, t, path, false) : 0;
}

static int seek_last(struct store *s, struct tree *t, struct path *path)
{
	int rc;

	path->depth = 0;
	if (!t->root.addr)
		return 0;
	rc = cache_get(s, t->id, &t->root, &path->frames[0]);
	if (rc)
		return rc;
	path->depth    = 1;
	path->slots[0] = node_count(path->frames[0]->page) - 1;
	return descend(s, t, path, true);
}

static int seek_backward(struct store *s, struct tree *t, const struct store_range *r, struct path *path)
{
	int rc;

	if (!r->end.len)
		return seek_last(s, t, path);
	rc = tree_find(s, t, r->end, path);
	if (rc || !path->depth)
		return rc;
	if (path->slots[path->depth - 1] == 0)
		return next_leaf(s, t, path, true);
	path->slots[path->depth - 1]--;
	return 0;
}

static bool in_range(const struct store_range *r, tarn_buf key)
{
	int c;

	if (!(r->flags & TARN_RANGE_REVERSE))
		return !r->end.len || key_compare(key, r->end) < 0;
	c = key_compare(key, r->start);
	return r->flags & TARN_RANGE_AFTER ? c > 0 : c >= 0;
}

struct listing {
	const struct store_range *range;
	uint8_t			 *buf;
	size_t			  cap;
	tarn_listing		 *out;
};

static int copy_value(struct store *s, const struct leaf_value *v, uint8_t *to)
{
	struct bptr *pieces;
	size_t	     n;
	int	     rc;

	if (!v->extents) {
		if (v->len)
			memcpy(to, v->bytes, v->len);
		return 0;
	}
	rc = value_pieces(s, v->bytes, &pieces, &n);
	rc = rc ? rc : value_read_all(s, pieces, n, value_size(v->bytes), to);
	free(pieces);
	return rc;
}

/* Adds the entry under the path. 1: it does not fit. */
static int emit(struct store *s, struct listing *l, const struct path *path)
{
	struct frame	 *f	= path->frames[path->depth - 1];
	tarn_buf	  key	= node_key(f->page, path->slots[path->depth - 1]);
	struct leaf_value v	= leaf_value(f, path->slots[path->depth - 1]);
	uint64_t	  size	= v.extents ? value_size(v.bytes) : v.len;
	size_t		  strip = MIN(l->range->strip, key.len), klen = key.len - strip, at = l->out->used;
	size_t		  full = sizeof(tarn_entry) + klen + size;
	bool		  omit = l->range->flags & TARN_RANGE_KEYS_ONLY || size > TARN_LIST_VALUE_MAX || full > l->cap;
	tarn_entry	  head = { (uint32_t)klen, omit ? TARN_ENTRY_OMITTED : 0, size, v.revision };
	size_t		  need = omit ? sizeof(tarn_entry) + klen : full;

	if (need > l->cap - at) {
		if (l->out->count)
			return 1;
		return fail(KEY2BIG, "a buffer of %zu bytes is too small for a key of %zu bytes: %zu are needed", l->cap, klen,
			    need);
	}
	memcpy(l->buf + at, &head, sizeof(head));
	memcpy(l->buf + at + sizeof(head), (const uint8_t *)key.ptr + strip, klen);
	l->out->count++;
	l->out->used = MIN(ROUND_UP(at + need, 8), l->cap);
	return omit ? 0 : copy_value(s, &v, l->buf + at + sizeof(head) + klen);
}

static int list_from(struct store *s, struct tree *t, struct listing *l, uint32_t max, struct path *path)
{
	int rc = 0;

	while (!rc && path->depth) {
		struct frame *f = path->frames[path->depth - 1];

		if (!in_range(l->range, node_key(f->page, path->slots[path->depth - 1])))
			break;
		l->out->more = max && l->out->count == max;
		if (l->out->more)
			break;
		rc = emit(s, l, path);
		rc = rc ? rc : step(s, t, path, l->range->flags & TARN_RANGE_REVERSE);
	}
	if (rc == 1)
		l->out->more = 1;
	return MIN(rc, 0);
}

struct list_call {
	uint64_t       tree;
	uint32_t       max;
	struct listing listing;
};

static int list(struct store *s, void *arg)
{
	struct list_call	 *c	= arg;
	const struct store_range *range = c->listing.range;
	struct path		  path	= { 0 };
	struct tree		 *t;
	int			  rc = tree_open(s, c->tree, &t);

	*c->listing.out = (tarn_listing){ 0 };
	if (!rc)
		rc = range->flags & TARN_RANGE_REVERSE ? seek_backward(s, t, range, &path) : seek_forward(s, t, range, &path);
	rc = rc ? rc : list_from(s, t, &c->listing, c->max, &path);
	path_release(&path);
	return rc;
}

int store_list(struct store *s, uint64_t tree, const struct store_range *range, uint32_t max, void *buf, size_t cap,
	       tarn_listing *out)
{
	struct list_call c = { tree, max, { range, buf, cap, out } };

	return store_run(s, 0, list, &c);
}

static int count_all(struct store *s, struct tree *t, const struct bptr *ptr, uint64_t stored, uint64_t *keys)
{
	struct frame *f;
	int	      rc = 0;

	if (!(ptr->addr & VIRTUAL)) {
		*keys += stored;
		return 0;
	}
	f = cache_find(s, ptr->addr);
	if (!node_level(f->page))
		*keys += node_count(f->page);
	for (uint32_t i = 0; !rc && node_level(f->page) && i < node_count(f->page); i++) {
		struct bptr child = node_child_ptr(f->page, i);

		rc = count_all(s, t, &child, get64(node_entry(f->page, i) + INNER_KEYS), keys);
	}
	return rc;
}

/* How many keys are below key (after: not above it); an empty one: all. */
static int count_below(struct store *s, struct tree *t, tarn_buf key, bool after, uint64_t *count)
{
	struct path path = { 0 };
	int	    rc;

	*count = 0;
	if (!key.len)
		return count_all(s, t, &t->root, t->keys, count);
	rc = tree_find(s, t, key, &path);
	for (unsigned d = 0; !rc && d < path.depth; d++) {
		struct frame *f = path.frames[d];

		if (!node_level(f->page))
			*count += path.slots[d] + (after && path.found);
		for (uint32_t i = 0; !rc && node_level(f->page) && i < path.slots[d]; i++) {
			struct bptr child = node_child_ptr(f->page, i);

			rc = count_all(s, t, &child, get64(node_entry(f->page, i) + INNER_KEYS), count);
		}
	}
	path_release(&path);
	return rc;
}

struct count_call {
	uint64_t		  tree, count;
	const struct store_range *range;
};

static int count(struct store *s, void *arg)
{
	struct count_call *c	 = arg;
	uint64_t	   below = 0, end = 0;
	struct tree	  *t;
	int		   rc = tree_open(s, c->tree, &t);

	if (!rc && t->root.addr) {
		rc = count_below(s, t, c->range->end, false, &end);
		if (!rc && c->range->start.len)
			rc = count_below(s, t, c->range->start, c->range->flags & TARN_RANGE_AFTER, &below);
	}
	c->count = end > below ? end - below : 0;
	return rc;
}

int store_count(struct store *s, uint64_t tree, const struct store_range *range, uint64_t *keys)
{
	struct count_call c  = { .tree = tree, .range = range };
	int		  rc = store_run(s, 0, count, &c);

	*keys = c.count;
	return rc;
}
