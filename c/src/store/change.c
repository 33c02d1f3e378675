/* SPDX-License-Identifier: Apache-2.0 */
/* store/change.c: changing a tree.
 *
 * First every page from the root to the leaf becomes one of the tree's own: dirty, and not frozen. Then pages are changed in place. A page
 * over its target splits once, so it stays under NODE_MAX; one under a quarter of it is joined with a neighbour when that is in memory. */
#include "defer.h"
#include "internal.h"

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = BLOCK;

	while (p < n)
		p *= 2;
	return p;
}

static uint32_t large_target(const struct store *s)
{
	return MAX(s->node_bytes, MIN(4 * s->node_bytes, 16384));
}

/* How many bytes a page may have before it splits: inner pages have more, for a flat tree; leaves of long values too, or few would fit. */
static uint32_t target_of(const struct store *s, unsigned level, uint32_t n, uint32_t need)
{
	return level || (n && need / n > s->node_bytes / 8) ? large_target(s) : s->node_bytes;
}

static uint32_t target(const struct store *s, const uint8_t *page, uint32_t cap)
{
	return target_of(s, node_level(page), node_count(page, cap), node_need(page, cap));
}

NODE_RACY bool tree_leaf_takes(const struct store *s, const struct frame *leaf, uint32_t bytes)
{
	uint32_t n = node_count(leaf->page, leaf->cap) + 1, need = node_need(leaf->page, leaf->cap) + bytes;

	return need <= MIN(leaf->cap, target_of(s, 0, n, need));
}

uint32_t tree_new_cap(const struct store *s, unsigned level)
{
	return power_of_two(level ? large_target(s) : s->node_bytes);
}

void tree_touch(struct store *s, struct tree *t)
{
	s->trees_dirty += !t->dirty;
	t->dirty = true;
}

/* Between frame_begin() and frame_end() of p. */
static void point_to(struct store *s, struct frame *p, uint32_t slot, const struct frame *f)
{
	node_set_child(p->page, p->cap, slot, &(struct node_child){ { .addr = f->id }, 0 });
	hint_set(&s->cache, p, slot, f->number);
}

/* Points the parent at that depth, or the tree, to a page. */
static void link_child(struct store *s, struct tree *t, struct path *path, unsigned i, const struct frame *f)
{
	struct frame *p = i ? path->frames[i - 1] : NULL;

	if (!p) {
		tree_set_root(t, &(struct bptr){ .addr = f->id }, 0);
		return;
	}
	frame_begin(p);
	point_to(s, p, path->slots[i - 1], f);
	frame_end(p);
}

static bool own(const struct tree *t, const struct frame *f)
{
	return f->dirty && f->gen > t->gen;
}

/* It has to be written first. */
void tree_supersede(const struct store *s, const struct tree *t, struct frame *f)
{
	f->superseded = true;
	f->needed     = tree_needed(t, f->gen);
	f->died	      = s->gen;
	frame_retire(f);
}

/* The tree does not use this page any more, and nobody finds it there. */
static void page_gone(struct store *s, struct tree *t, struct frame *f)
{
	if (f->dirty && !own(t, f)) {
		tree_supersede(s, t, f);
		return;
	}
	if (!f->dirty)
		tree_free_blocks(s, t, &f->ptr);
	if (f->dirty || cache_is_written(s, f))
		cache_drop(s, f);
	else
		frame_retire(f);
}

/* A page that was made for nothing. */
static void drop_new(struct store *s, struct frame *f)
{
	cache_unpin(f);
	cache_drop(s, f);
}

/* A page that others need stays as it is; the tree is to go on with a copy. */
static int clone_page(struct store *s, const struct tree *t, struct path *path, unsigned i)
{
	struct frame *f	 = path->frames[i], *g;
	int	      rc = cache_new(s, t->id, f->cap, &g);

	if (rc)
		return rc;
	memcpy(g->page, f->page, f->cap);
	if (node_level(g->page))
		hints_copy(&s->cache, f, g);
	g->mark = f->mark;
	frame_end(g);
	cache_unpin(f);
	path->frames[i] = g;
	return 0;
}

int tree_own_path(struct store *s, struct tree *t, struct path *path)
{
	int rc = 0;

	tree_touch(s, t);
	for (unsigned i = 0; !rc && i < path->depth; i++) {
		struct frame *f = path->frames[i];

		if (f->view)
			defer_harden(s, f);
		if (own(t, f)) {
			f->gen = s->gen; /* no page is younger than its parent */
			continue;
		}
		if (f->dirty || !cache_is_written(s, f)) {
			rc = clone_page(s, t, path, i);
		} else {
			struct bptr old = f->ptr;

			cache_make_dirty(s, f);
			tree_free_blocks(s, t, &old);
		}
		if (!rc)
			link_child(s, t, path, i, path->frames[i]);
		if (path->frames[i] != f)
			page_gone(s, t, f);
	}
	return rc;
}

/* Room for more bytes in the page at depth i. */
static int grow(struct store *s, struct path *path, unsigned i, uint32_t more)
{
	struct frame *f = path->frames[i];

	return cache_grow(s, &path->frames[i], power_of_two(node_need(f->page, f->cap) + more));
}

static int put_value(struct store *s, struct path *path, tarn_buf key, const struct leaf_value *v)
{
	unsigned      i	 = path->depth - 1;
	struct frame *f	 = path->frames[i];
	int	      rc = 0;

	frame_begin(f);
	if (!node_put_value(f->page, f->cap, path->slots[i], path->found, key, v)) {
		rc = grow(s, path, i, (uint32_t)(SLOT_BYTES + LEAF_KEY + key.len + v->len));
		f  = path->frames[i];
		if (!rc && !node_put_value(f->page, f->cap, path->slots[i], path->found, key, v))
			rc = fail(MISC, "an entry does not fit into a page that was made for it");
	}
	frame_end_same(f);
	return rc;
}

/* left: what the slot before it has from now on, or NULL. Who counts keys must never see the page with both parts of a split and what was split. */
static int put_child_ptr(struct store *s, struct path *path, unsigned i, tarn_buf key, const struct node_child *c,
			 const struct frame *left)
{
	struct frame *f	 = path->frames[i];
	int	      rc = 0;

	frame_begin(f);
	if (!node_put_child(f->page, f->cap, path->slots[i], key, c)) {
		rc = grow(s, path, i, (uint32_t)(SLOT_BYTES + INNER_KEY + key.len + 4));
		f  = path->frames[i];
		if (!rc && !node_put_child(f->page, f->cap, path->slots[i], key, c))
			rc = fail(MISC, "a child does not fit into a page that was made for it");
	}
	if (!rc && left)
		point_to(s, f, path->slots[i] - 1, left);
	frame_end(f);
	hints_move(&s->cache, f, path->slots[i], path->slots[i] + 1);
	return rc;
}

static int put_child(struct store *s, struct path *path, unsigned i, tarn_buf key, const struct frame *child,
		     const struct frame *left)
{
	return put_child_ptr(s, path, i, key, &(struct node_child){ { .addr = child->id }, 0 }, left);
}

static int grow_root(struct store *s, struct tree *t, struct path *path)
{
	struct node_child child = { { .addr = path->frames[0]->id }, 0 };
	tarn_buf	  none	= { NULL, 0 };
	struct frame	 *root;
	int		  rc;

	if (path->depth == DEPTH_MAX)
		return fail(OVERFLOW, "tree %llu has %u levels: it cannot grow", (unsigned long long)t->id, DEPTH_MAX);
	rc = cache_new(s, t->id, tree_new_cap(s, 1), &root);
	if (rc)
		return rc;
	node_init(root->page, root->cap, node_level(path->frames[0]->page) + 1, none, none, false);
	node_put_child(root->page, root->cap, 0, none, &child);
	frame_end(root);
	memmove(path->frames + 1, path->frames, path->depth * sizeof(path->frames[0]));
	memmove(path->slots + 1, path->slots, path->depth * sizeof(path->slots[0]));
	path->frames[0] = root;
	path->slots[0]	= 0;
	path->depth++;
	link_child(s, t, path, 0, root);
	return 0;
}

/* The entries [from, to) of f as a page of their own. */
static int part(struct store *s, const struct frame *f, uint32_t from, uint32_t to, tarn_buf low, tarn_buf high, bool bounded,
		struct frame **out)
{
	uint64_t share = (uint64_t)node_need(f->page, f->cap) * (to - from) / node_count(f->page, f->cap);
	uint32_t cap   = MAX(tree_new_cap(s, node_level(f->page)), power_of_two((uint32_t)share));

	for (;; cap *= 2) {
		int rc = cache_new(s, f->tree, cap, out);

		if (rc)
			return rc;
		if (node_part(f->page, f->cap, from, to, low, high, bounded, (*out)->page, (*out)->cap)) {
			frame_end(*out);
			return 0;
		}
		drop_new(s, *out);
		if (cap >= NODE_MAX)
			return fail(MISC, "half of a page does not fit into a page");
	}
}

/* Two pages take the place of the one at depth i, at once. */
static int split(struct store *s, struct path *path, unsigned i)
{
	struct frame *f = path->frames[i], *l, *r;
	uint32_t      n = node_count(f->page, f->cap), cut = node_cut(f->page, f->cap, path->slots[i]);
	bool	      bounded;
	tarn_buf      low = node_low(f->page, f->cap), high = node_high(f->page, f->cap, &bounded);
	tarn_buf      sep = { s->separator, node_separator(f->page, f->cap, cut, s->separator) };
	int	      rc  = part(s, f, cut, n, sep, high, bounded, &r);

	if (rc)
		return rc;
	rc = part(s, f, 0, cut, low, sep, true, &l);
	if (!rc) {
		path->slots[i - 1]++;
		rc = put_child(s, path, i - 1, sep, r, l);
		if (rc)
			path->slots[i - 1]--, drop_new(s, l);
	}
	if (rc) {
		drop_new(s, r);
		return rc;
	}
	path->frames[i] = l;
	cache_unpin(f);
	cache_drop(s, f);
	cache_unpin(r);
	return 0;
}

static bool overfull(const struct store *s, const struct frame *f)
{
	return node_need(f->page, f->cap) > target(s, f->page, f->cap) &&
	       node_count(f->page, f->cap) >= (node_level(f->page) ? 4 : 2);
}

static int split_up(struct store *s, struct tree *t, struct path *path)
{
	int rc = 0;

	for (unsigned i = path->depth; !rc && i-- > 0 && overfull(s, path->frames[i]);) {
		if (i == 0) {
			rc = grow_root(s, t, path);
			i  = 1;
		}
		rc = rc ? rc : split(s, path, i);
	}
	return rc;
}

static int first_leaf(struct store *s, struct tree *t, struct path *path)
{
	tarn_buf none = { NULL, 0 };
	int	 rc   = cache_new(s, t->id, tree_new_cap(s, 0), &path->frames[0]);

	if (rc)
		return rc;
	node_init(path->frames[0]->page, path->frames[0]->cap, 0, none, none, false);
	frame_end(path->frames[0]);
	path->depth    = 1;
	path->slots[0] = 0;
	path->found    = false;
	link_child(s, t, path, 0, path->frames[0]);
	return 0;
}

int tree_put_at(struct store *s, struct tree *t, struct path *path, tarn_buf key, const struct leaf_value *val)
{
	int rc = tree_own_path(s, t, path);

	if (!rc && !path->depth)
		rc = first_leaf(s, t, path);
	rc = rc ? rc : put_value(s, path, key, val);
	return rc ? rc : split_up(s, t, path);
}

/* The pages above are dirty already, so only a split is of interest to them. */
int tree_put_leaf(struct store *s, struct tree *t, const struct aim *aim, tarn_buf key, const struct leaf_value *val)
{
	struct frame *f = aim->frames[aim->depth - 1];
	struct path   path;
	bool	      fits;
	int	      rc;

	frame_begin(f);
	fits = node_put_value(f->page, f->cap, aim->slot, aim->found, key, val);
	frame_end_same(f);
	if (!fits)
		return tree_put(s, t, key, val);
	if (!overfull(s, f))
		return 0;
	rc = tree_find(s, t, key, &path);
	rc = rc ? rc : split_up(s, t, &path);
	path_release(&path);
	return rc;
}

int tree_put(struct store *s, struct tree *t, tarn_buf key, const struct leaf_value *val)
{
	struct path path;
	int	    rc = tree_find(s, t, key, &path);

	rc = rc ? rc : tree_put_at(s, t, &path, key, val);
	path_release(&path);
	return rc;
}

/* ---- beside a damaged page ---- */

/* A leaf of its own for one key, and that is all that there can be in its bounds. */
static int lone_leaf(struct store *s, struct tree *t, tarn_buf key, tarn_buf behind, const struct leaf_value *v,
		     struct frame **out)
{
	uint32_t need = (uint32_t)(NODE_SLOTS + SLOT_BYTES + LEAF_KEY + 2 * (behind.len + 16) + v->len);
	int	 rc   = cache_new(s, t->id, MAX(power_of_two(need), tree_new_cap(s, 0)), out);

	if (rc)
		return rc;
	node_init((*out)->page, (*out)->cap, 0, key, behind, true);
	if (!node_put_value((*out)->page, (*out)->cap, 0, false, key, v)) {
		drop_new(s, *out);
		return fail(MISC, "an entry does not fit into a page that was made for it");
	}
	frame_end(*out);
	return 0;
}

/* Where a page begins that stands in a slot of its parent, and whether there is something of it from `at` on. */
static bool begins_at(const struct frame *p, uint32_t slot, tarn_buf low, tarn_buf key, uint8_t *room)
{
	if (slot)
		low = (tarn_buf){ room, node_key_copy(p->page, p->cap, slot, room, STORE_KEY_MAX) };
	return key_compare(low, key) == 0;
}

static bool ends_at(const struct frame *p, uint32_t slot, tarn_buf key, uint8_t *room)
{
	bool	 bounded = true;
	tarn_buf high;

	if (slot + 1 < node_count(p->page, p->cap))
		high = (tarn_buf){ room, node_key_copy(p->page, p->cap, slot + 1, room, STORE_KEY_MAX) };
	else
		high = node_high(p->page, p->cap, &bounded);
	return bounded && key_compare(high, key) == 0;
}

/* What is right of the key first, as in split(). */
static int put_between(struct store *s, struct tree *t, struct path *path, tarn_buf key, tarn_buf behind, struct frame *leaf)
{
	unsigned	  i	= path->depth - 1;
	struct frame	 *p	= path->frames[i];
	uint32_t	  slot	= path->slots[i];
	struct node_child rest	= { node_child(p->page, p->cap, slot).ptr, 0 };
	bool		  first = begins_at(p, slot, node_low(p->page, p->cap), key, s->separator);
	int		  rc	= 0;

	if (!ends_at(p, slot, behind, s->separator)) {
		path->slots[i] = slot + 1;
		rc	       = put_child_ptr(s, path, i, behind, &rest, NULL);
		path->slots[i] = slot;
	}
	if (!rc && first) {
		frame_begin(path->frames[i]);
		point_to(s, path->frames[i], slot, leaf);
		frame_end(path->frames[i]);
	} else if (!rc) {
		path->slots[i] = slot + 1;
		rc	       = put_child(s, path, i, key, leaf, NULL);
	}
	return rc ? rc : split_up(s, t, path);
}

/* The page that has the key's place is damaged, and whoever reads it is told so; the key becomes readable, beside it. */
int tree_put_beside(struct store *s, struct tree *t, tarn_buf key, const struct leaf_value *v)
{
	uint8_t	     *copy   = malloc(key.len + 1);
	tarn_buf      behind = { copy, key.len + 1 };
	struct frame *leaf;
	struct path   path;
	int	      rc = copy ? tree_find_level(s, t, key, 1, &path) : fail(NOMEM, "no memory for a key");

	if (!copy)
		return rc;
	memcpy(copy, key.ptr, key.len);
	copy[key.len] = 0;
	rc	      = rc ? rc : tree_own_path(s, t, &path);
	rc	      = rc ? rc : lone_leaf(s, t, key, behind, v, &leaf);
	if (!rc) {
		rc = put_between(s, t, &path, key, behind, leaf);
		cache_unpin(leaf);
	}
	path_release(&path);
	free(copy);
	return rc;
}

/* ---- removing ---- */

/* The neighbour under the same parent of the page at depth i: when it is in memory, pinned. *slot is its place. */
static struct frame *neighbour(struct store *s, struct path *path, unsigned i, uint32_t *slot)
{
	struct frame *p	 = path->frames[i - 1], *f;
	uint32_t      at = path->slots[i - 1];

	if (node_count(p->page, p->cap) < 2)
		return NULL;
	*slot = at + 1 < node_count(p->page, p->cap) ? at + 1 : at - 1;
	f     = cache_find(s, node_child_id(p->page, p->cap, *slot));
	if (f && node_level(f->page) != node_level(path->frames[i]->page))
		return NULL;
	if (f && f->view)
		defer_harden(s, f);
	if (f)
		cache_pin(f);
	return f;
}

static bool underfull(const struct store *s, const struct frame *f)
{
	return !node_count(f->page, f->cap) || node_need(f->page, f->cap) < target(s, f->page, f->cap) / 4;
}

/* Joins two neighbours, the right one at slot `right` of the parent. false: it cannot be done. */
static bool join(struct store *s, struct tree *t, struct path *path, unsigned i, struct frame *l, struct frame *r, uint32_t right)
{
	uint32_t      need = node_join_need(l->page, l->cap, r->page, r->cap), most = tree_new_cap(s, node_level(l->page));
	bool	      empty = !node_count(l->page, l->cap) || !node_count(r->page, r->cap);
	struct frame *p	    = path->frames[i - 1], *g;

	if ((!empty && need > most / 4 * 3) || need > NODE_MAX || cache_new(s, t->id, MAX(power_of_two(need), most), &g))
		return false;
	if (!node_join(l->page, l->cap, r->page, r->cap, g->page, g->cap)) {
		drop_new(s, g);
		return false;
	}
	frame_end(g);
	path->slots[i - 1] = right - 1;
	frame_begin(p); /* who counts keys must never see both g and what it was made from */
	point_to(s, p, right - 1, g);
	node_remove(p->page, p->cap, right);
	frame_end(p);
	hints_move(&s->cache, p, right + 1, right);
	cache_unpin(l);
	cache_unpin(r);
	page_gone(s, t, l);
	page_gone(s, t, r);
	path->frames[i] = g;
	return true;
}

static bool join_up(struct store *s, struct tree *t, struct path *path, unsigned i)
{
	struct frame *f	 = path->frames[i], *other;
	uint32_t      at = path->slots[i - 1], slot;

	other = neighbour(s, path, i, &slot);
	if (!other)
		return false;
	if (slot > at ? join(s, t, path, i, f, other, slot) : join(s, t, path, i, other, f, at))
		return true;
	cache_unpin(other);
	return false;
}

/* An empty root, or one with a single child, goes. */
static void shrink_root(struct store *s, struct tree *t, struct path *path)
{
	struct bptr none = { 0 };

	while (path->depth) {
		struct frame	 *root	= path->frames[0];
		uint32_t	  n	= node_count(root->page, root->cap);
		struct node_child child = { { 0 }, 0 };

		if (node_level(root->page) ? n > 1 : n > 0)
			return;
		if (node_level(root->page))
			child = node_child(root->page, root->cap, 0);
		tree_set_root(t, node_level(root->page) ? &child.ptr : &none, child.keys);
		cache_unpin(root);
		page_gone(s, t, root);
		path->depth--;
		memmove(path->frames, path->frames + 1, path->depth * sizeof(path->frames[0]));
	}
}

int tree_del_at(struct store *s, struct tree *t, struct path *path)
{
	int	      rc = tree_own_path(s, t, path);
	struct frame *f	 = path->frames[path->depth - 1];

	if (rc)
		return rc;
	frame_begin(f);
	node_remove(f->page, f->cap, path->slots[path->depth - 1]);
	frame_end_same(f);
	for (unsigned i = path->depth - 1; i > 0 && underfull(s, path->frames[i]) && join_up(s, t, path, i);)
		i--;
	shrink_root(s, t, path);
	return 0;
}

/* The page that a delete at path will want to join with should be in memory: AGAIN when it is not. */
int tree_want_neighbour(struct store *s, struct tree *t, struct path *path)
{
	unsigned      i = path->depth - 1;
	struct frame *f = path->frames[i], *p, *other;
	uint32_t      at, n;
	struct bptr   ptr;
	int	      rc;

	if (!i || (node_count(f->page, f->cap) > 1 && !underfull(s, f)))
		return 0;
	p  = path->frames[i - 1];
	at = path->slots[i - 1];
	n  = node_count(p->page, p->cap);
	if (n < 2)
		return 0;
	ptr = node_child(p->page, p->cap, at + 1 < n ? at + 1 : at - 1).ptr;
	rc  = cache_get(s, t->id, &ptr, &other);
	if (!rc)
		cache_unpin(other);
	return rc == -TARN_E_CSUM ? 0 : rc; /* then it stays as it is */
}

int tree_del(struct store *s, struct tree *t, tarn_buf key)
{
	struct path path;
	int	    rc = tree_find(s, t, key, &path);

	if (!rc && !path.found)
		rc = fail(NONEXIST, "the key is not there");
	rc = rc ? rc : tree_del_at(s, t, &path);
	path_release(&path);
	return rc;
}
