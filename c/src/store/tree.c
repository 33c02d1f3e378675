/* SPDX-License-Identifier: Apache-2.0 */
/* store/tree.c: one ordered map, a copy-on-write B+tree.
 *
 * A change makes every page from the root to the leaf dirty first; then pages are changed in place. A page over the node size splits
 * once, so it stays under NODE_MAX; a page under a quarter of it is merged with a neighbour when that is in reach. Pages of a path are
 * pinned until path_release(). */
#include "internal.h"

static struct tree **bucket(struct store *s, uint64_t id)
{
	return &s->trees[id % ARRAY_LEN(s->trees)];
}

static int read_record(struct store *s, struct tree *t)
{
	struct path path;
	uint8_t	    key[8];
	int	    rc;

	if (t->id == 0) {
		t->root = s->sb.root;
		return 0;
	}
	put64be(key, t->id);
	rc = tree_find(s, *bucket(s, 0), (tarn_buf){ key, 8 }, &path);
	if (!rc && path.found) {
		struct leaf_value v = leaf_value(path.frames[path.depth - 1], path.slots[path.depth - 1]);

		if (v.len != TREE_BYTES || v.extents)
			rc = fail(CSUM, "the record of tree %llu is malformed", (unsigned long long)t->id);
		else
			t->root = bptr_get(v.bytes + TREE_ROOT), t->keys = get64(v.bytes + TREE_KEYS);
		if (!rc && !blob_sane(s, &t->root, NODE_MAX))
			rc = fail(CSUM, "the root of tree %llu has an impossible address", (unsigned long long)t->id);
	}
	path_release(&path);
	return rc;
}

static struct tree *find_open(struct store *s, uint64_t id)
{
	struct tree *t = *bucket(s, id);

	while (t && t->id != id)
		t = t->next;
	return t;
}

/* Tree 0 is opened first, and stays at the head of its bucket's end: all others are found through it. */
int tree_open(struct store *s, uint64_t id, struct tree **tree)
{
	struct tree *t = find_open(s, id);
	int	     rc;

	if (t) {
		*tree = t;
		return 0;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return fail(NOMEM, "no memory for a tree");
	t->id = id;
	rc    = read_record(s, t);
	if (rc) {
		free(t);
		return rc;
	}
	if (*bucket(s, id)) { /* behind the first, which may be tree 0 */
		t->next		       = (*bucket(s, id))->next;
		(*bucket(s, id))->next = t;
	} else {
		*bucket(s, id) = t;
	}
	*tree = t;
	return 0;
}

void tree_forget_all(struct store *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->trees); i++) {
		for (struct tree *t = s->trees[i], *next; t; t = next) {
			next = t->next;
			free(t);
		}
		s->trees[i] = NULL;
	}
}

void path_release(struct path *path)
{
	for (unsigned i = 0; i < path->depth; i++)
		cache_unpin(path->frames[i]);
	path->depth = 0;
}

int tree_find(struct store *s, struct tree *t, tarn_buf key, struct path *path)
{
	struct bptr ptr = t->root;

	path->depth = 0;
	path->found = false;
	while (ptr.addr) {
		struct frame *f;
		unsigned      d	 = path->depth;
		int	      rc = cache_get(s, t->id, &ptr, &f);

		if (rc)
			return rc;
		path->frames[d] = f;
		path->depth	= d + 1;
		if (d && node_level(f->page) + 1 != node_level(path->frames[d - 1]->page))
			return fail(CSUM, "the page at block %llu of tree %llu has the wrong level", (unsigned long long)ptr.addr,
				    (unsigned long long)t->id);
		if (!node_level(f->page)) {
			path->slots[d] = node_lower(f->page, key, &path->found);
			return 0;
		}
		path->slots[d] = node_child(f->page, key);
		ptr	       = node_child_ptr(f->page, path->slots[d]);
	}
	return 0;
}

struct leaf_value leaf_value(const struct frame *leaf, uint32_t slot)
{
	const uint8_t *e   = node_entry(leaf->page, slot);
	uint32_t       len = get32(e + LEAF_VLEN);

	return (struct leaf_value){ e + LEAF_KEY + get32(e + LEAF_KLEN), len & ~LEAF_EXTENTS, len & LEAF_EXTENTS,
				    get64(e + LEAF_REV) };
}

static void tree_touch(struct store *s, struct tree *t)
{
	s->trees_dirty += !t->dirty;
	t->dirty = true;
}

/* Points the parent, or the tree, to a page that has become dirty. */
static void relink(struct tree *t, struct frame *parent, uint32_t slot, const struct frame *f)
{
	struct bptr ptr = { .addr = f->id };

	if (parent)
		node_set_child(parent, slot, &ptr, 0);
	else
		t->root = ptr;
}

static void make_path_dirty(struct store *s, struct tree *t, struct path *path)
{
	tree_touch(s, t);
	for (unsigned i = 0; i < path->depth; i++) {
		if (path->frames[i]->dirty)
			continue;
		cache_make_dirty(s, path->frames[i]);
		relink(t, i ? path->frames[i - 1] : NULL, i ? path->slots[i - 1] : 0, path->frames[i]);
	}
}

static int insert_leaf(struct store *s, struct frame *f, uint32_t slot, tarn_buf key, const struct leaf_value *v)
{
	uint8_t *e;
	int	 rc = node_insert(s, f, slot, (uint32_t)(LEAF_KEY + key.len + v->len), &e);

	if (rc)
		return rc;
	put32(e + LEAF_KLEN, (uint32_t)key.len);
	put32(e + LEAF_VLEN, v->len | (v->extents ? LEAF_EXTENTS : 0));
	put64(e + LEAF_REV, v->revision);
	memcpy(e + LEAF_KEY, key.ptr, key.len);
	if (v->len)
		memcpy(e + LEAF_KEY + key.len, v->bytes, v->len);
	return 0;
}

static int insert_inner(struct store *s, struct frame *f, uint32_t slot, tarn_buf key, const struct bptr *child, uint64_t keys)
{
	uint8_t *e;
	int	 rc = node_insert(s, f, slot, (uint32_t)(INNER_KEY + key.len), &e);

	if (rc)
		return rc;
	put64(e, 0);
	put32(e + INNER_KLEN, (uint32_t)key.len);
	bptr_put(e + INNER_CHILD, child);
	put64(e + INNER_KEYS, keys);
	if (key.len)
		memcpy(e + INNER_KEY, key.ptr, key.len);
	return 0;
}

/* Copies an entry to another page; key replaces an inner entry's key. */
static int copy_entry(struct store *s, const struct frame *from, uint32_t slot, struct frame *to, uint32_t at,
		      const tarn_buf *key)
{
	const uint8_t *e = node_entry(from->page, slot);
	uint8_t	      *room;
	uint32_t       bytes = node_entry_bytes(from->page, slot);
	int	       rc;

	if (key) {
		struct bptr child = node_child_ptr(from->page, slot);

		return insert_inner(s, to, at, *key, &child, get64(e + INNER_KEYS));
	}
	rc = node_insert(s, to, at, bytes, &room);
	if (!rc)
		memcpy(room, node_entry(from->page, slot), bytes);
	return rc;
}

/* Where to cut: behind the middle byte; before the last entry when that is the new one, so that ascending keys fill pages. */
static uint32_t cut_of(const struct frame *f, uint32_t new_slot)
{
	uint32_t n = node_count(f->page), half = (f->need - NODE_SLOTS) / 2, sum = 0, m = 0;

	if (new_slot == n - 1)
		return n - 1 - (node_level(f->page) > 0);
	while (m < n - 1 && sum < half)
		sum += 4 + node_entry_bytes(f->page, m++);
	return MAX(m, 1u);
}

/* The shortest key that is above left and not above right. */
static tarn_buf separator(tarn_buf left, tarn_buf right)
{
	size_t i = 0;

	while (i < left.len && ((const uint8_t *)left.ptr)[i] == ((const uint8_t *)right.ptr)[i])
		i++;
	return (tarn_buf){ right.ptr, i + 1 };
}

static int grow_root(struct store *s, struct tree *t, struct path *path)
{
	struct frame *root;
	struct bptr   child = { .addr = path->frames[0]->id };
	int	      rc;

	if (path->depth == DEPTH_MAX)
		return fail(OVERFLOW, "tree %llu has %u levels: it cannot grow", (unsigned long long)t->id, DEPTH_MAX);
	rc = cache_new(s, t->id, node_level(path->frames[0]->page) + 1, &root);
	if (rc)
		return rc;
	memmove(path->frames + 1, path->frames, path->depth * sizeof(path->frames[0]));
	memmove(path->slots + 1, path->slots, path->depth * sizeof(path->slots[0]));
	path->frames[0] = root;
	path->slots[0]	= 0;
	path->depth++;
	relink(t, NULL, 0, root);
	return insert_inner(s, root, 0, (tarn_buf){ NULL, 0 }, &child, 0);
}

static int truncate(struct store *s, struct frame *f, uint32_t count)
{
	for (uint32_t i = node_count(f->page); i > count; i--)
		f->need -= 4 + node_entry_bytes(f->page, i - 1);
	put32(f->page + NODE_COUNT, count);
	cache_account(s, f);
	return cache_resize(s, f, f->cap);
}

/* Moves the upper part of the page at depth i to a new one, and links that into the parent. */
static int split(struct store *s, struct tree *t, struct path *path, unsigned i)
{
	struct frame  *f = path->frames[i], *r;
	uint32_t       n = node_count(f->page), m = cut_of(f, path->slots[i]);
	const tarn_buf none = { NULL, 0 };
	tarn_buf       sep;
	struct bptr    child;
	int	       rc = cache_new(s, t->id, node_level(f->page), &r);

	for (uint32_t j = m; !rc && j < n; j++)
		rc = copy_entry(s, f, j, r, j - m, node_level(f->page) && j == m ? &none : NULL);
	if (rc)
		return rc;
	sep   = node_level(f->page) ? node_key(f->page, m) : separator(node_key(f->page, m - 1), node_key(f->page, m));
	child = (struct bptr){ .addr = r->id };
	rc    = insert_inner(s, path->frames[i - 1], ++path->slots[i - 1], sep, &child, 0);
	cache_unpin(r);
	return rc ? rc : truncate(s, f, m);
}

static bool overfull(const struct store *s, const struct frame *f)
{
	return f->need > s->node_bytes && node_count(f->page) >= (node_level(f->page) ? 4 : 2);
}

static int split_up(struct store *s, struct tree *t, struct path *path)
{
	int rc = 0;

	for (unsigned i = path->depth; !rc && i-- > 0 && overfull(s, path->frames[i]);) {
		if (i == 0) {
			rc = grow_root(s, t, path);
			i  = 1;
		}
		rc = rc ? rc : split(s, t, path, i);
	}
	return rc;
}

int tree_put(struct store *s, struct tree *t, tarn_buf key, const struct leaf_value *val)
{
	struct path path;
	int	    rc = tree_find(s, t, key, &path);

	if (rc)
		goto out;
	tree_touch(s, t);
	if (!path.depth) {
		rc = cache_new(s, t->id, 0, &path.frames[0]);
		if (rc)
			goto out;
		path.depth    = 1;
		path.slots[0] = 0;
		relink(t, NULL, 0, path.frames[0]);
	}
	make_path_dirty(s, t, &path);
	if (path.found)
		node_remove(s, path.frames[path.depth - 1], path.slots[path.depth - 1]);
	rc = insert_leaf(s, path.frames[path.depth - 1], path.slots[path.depth - 1], key, val);
	rc = rc ? rc : split_up(s, t, &path);
out:
	path_release(&path);
	return rc;
}

static void discard(struct store *s, struct frame *f)
{
	if (!f->dirty)
		blob_free(s, &f->ptr);
	cache_drop(s, f);
}

/* Drops the empty page at the end of the path. */
static void remove_empty(struct store *s, struct tree *t, struct path *path)
{
	unsigned i = --path->depth;

	if (i == 0)
		t->root = (struct bptr){ 0 };
	else
		node_remove(s, path->frames[i - 1], path->slots[i - 1]);
	discard(s, path->frames[i]);
}

/* Appends right to left, which has the room. sep is right's key in the parent. */
static void append(struct store *s, struct frame *left, const struct frame *right, tarn_buf sep)
{
	uint32_t at = node_count(left->page);

	for (uint32_t j = 0; j < node_count(right->page); j++) /* cannot fail: no page grows */
		if (copy_entry(s, right, j, left, at + j, node_level(right->page) && j == 0 ? &sep : NULL))
			return;
}

static bool fits_together(const struct store *s, const struct frame *a, const struct frame *b, tarn_buf sep)
{
	return node_level(a->page) == node_level(b->page) && a->need + b->need - NODE_SLOTS + sep.len <= s->node_bytes / 4 * 3;
}

/* Merges the page at the end of the path with a neighbour; true when it did, and the path is one shorter. */
static bool merge(struct store *s, struct tree *t, struct path *path)
{
	unsigned      i = path->depth - 1;
	struct frame *p = path->frames[i - 1], *f = path->frames[i], *other, *left, *right;
	uint32_t      slot = path->slots[i - 1], other_slot = slot + 1 < node_count(p->page) ? slot + 1 : slot - 1;
	uint32_t      right_slot = MAX(slot, other_slot);
	struct bptr   ptr;
	bool	      ok;

	if (node_count(p->page) < 2)
		return false;
	ptr = node_child_ptr(p->page, other_slot);
	if (cache_get(s, t->id, &ptr, &other))
		return false;
	left  = right_slot == slot ? other : f;
	right = right_slot == slot ? f : other;
	ok    = fits_together(s, left, right, node_key(p->page, right_slot)) &&
	     !cache_resize(s, left, MAX(left->cap, ROUND_UP(s->node_bytes, BLOCK)));
	if (ok) {
		if (!left->dirty) {
			cache_make_dirty(s, left);
			relink(t, p, right_slot - 1, left);
		}
		append(s, left, right, node_key(p->page, right_slot));
		node_remove(s, p, right_slot);
		path->depth--;
		cache_unpin(f);
	}
	cache_unpin(other);
	if (ok)
		discard(s, right);
	return ok;
}

/* A root with one child gives way to it. */
static void shrink_root(struct store *s, struct tree *t)
{
	struct frame *root;

	while (t->root.addr & VIRTUAL && (root = cache_find(s, t->root.addr)) && node_level(root->page) &&
	       node_count(root->page) == 1) {
		t->root = node_child_ptr(root->page, 0);
		t->keys = get64(node_entry(root->page, 0) + INNER_KEYS);
		cache_drop(s, root);
	}
}

static void shrink(struct store *s, struct tree *t, struct path *path)
{
	while (path->depth) {
		struct frame *f = path->frames[path->depth - 1];

		if (!node_count(f->page))
			remove_empty(s, t, path);
		else if (path->depth < 2 || f->need >= s->node_bytes / 4 || !merge(s, t, path))
			break;
	}
	path_release(path);
	shrink_root(s, t);
}

int tree_del(struct store *s, struct tree *t, tarn_buf key)
{
	struct path path;
	int	    rc = tree_find(s, t, key, &path);

	if (rc || !path.found) {
		path_release(&path);
		return rc ? rc : fail(NONEXIST, "the key is not there");
	}
	make_path_dirty(s, t, &path);
	node_remove(s, path.frames[path.depth - 1], path.slots[path.depth - 1]);
	shrink(s, t, &path);
	return 0;
}

/* Damage that stays must not keep a tree from being dropped: its blocks stay in use, and a check reports them. Any other failure may
 * pass, and is the drop's. */
static int lost(int rc, uint64_t tree)
{
	if (rc == -TARN_E_CSUM)
		base_log(TARN_LOG_ERROR, "blocks of tree %llu are lost: %s", (unsigned long long)tree, base_message());
	return rc == -TARN_E_CSUM ? 0 : rc;
}

static int free_value(struct store *s, const struct frame *leaf, uint32_t slot)
{
	struct leaf_value v    = leaf_value(leaf, slot);
	struct run_list	  runs = { 0 };
	int		  rc   = v.extents ? lost(value_runs(s, v.bytes, v.len, &runs), leaf->tree) : 0;

	for (size_t r = 0; !rc && r < runs.n; r++)
		space_free_later(&s->space, runs.runs[r].block, runs.runs[r].n);
	free(runs.runs);
	return rc;
}

static int drop_below(struct store *s, struct tree *t, const struct bptr *ptr, unsigned depth)
{
	struct frame *f;
	int	      rc = depth == DEPTH_MAX ? fail(CSUM, "the tree is too deep") : cache_get(s, t->id, ptr, &f);

	if (rc)
		return lost(rc, t->id);
	for (uint32_t i = 0; !rc && i < node_count(f->page); i++) {
		struct bptr child;

		if (!node_level(f->page)) {
			rc = free_value(s, f, i);
			continue;
		}
		child = node_child_ptr(f->page, i);
		rc    = drop_below(s, t, &child, depth + 1);
	}
	cache_unpin(f);
	if (!rc)
		discard(s, f);
	return rc;
}

int tree_drop(struct store *s, struct tree *t)
{
	int rc = t->root.addr ? drop_below(s, t, &t->root, 0) : 0;

	if (rc)
		return rc;
	tree_touch(s, t);
	t->root = (struct bptr){ 0 };
	t->keys = 0;
	return 0;
}
