/* SPDX-License-Identifier: Apache-2.0 */
/* store/tree.c: finding a key under the lock, and the trees that are open.
 *
 * Trees are found by id and epoch in a table that readers walk without a lock: an entry is never freed while the store is open, and
 * that of a snapshot that is gone is used again. Pages of a path are pinned until path_release(). */
#include "finger.h"

#define GONE UINT64_MAX

static _Atomic(struct tree *) *bucket(struct store *s, uint64_t id, uint64_t epoch)
{
	return &s->trees[(id + epoch * 31) % ARRAY_LEN(s->trees)];
}

NODE_RACY struct tree *tree_peek(struct store *s, uint64_t id, uint64_t epoch)
{
	struct tree *t = atomic_load_explicit(bucket(s, id, epoch), memory_order_acquire);

	while (t && (atomic_load_explicit(&t->id, memory_order_acquire) != id ||
		     atomic_load_explicit(&t->epoch, memory_order_relaxed) != epoch))
		t = atomic_load_explicit(&t->next, memory_order_acquire);
	return t;
}

/* A reader that finds no page of that id copies the whole pointer: so meanwhile the id says that it is changing. */
void tree_set_root(struct tree *t, const struct bptr *root, uint64_t keys)
{
	atomic_store_explicit(&t->root_id, UINT64_MAX, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	t->root = *root;
	t->keys = keys;
	atomic_store_explicit(&t->root_id, root->addr, memory_order_release);
}

int tree_spare(struct store *s, unsigned n)
{
	while (s->spares < n) {
		struct tree *t = calloc(1, sizeof(*t));

		if (!t)
			return fail(NOMEM, "no memory for a frozen tree");
		t->newer = s->spare;
		s->spare = t;
		s->spares++;
	}
	return 0;
}

struct tree *tree_take_spare(struct store *s)
{
	struct tree *t = s->spare;

	s->spare = t->newer;
	s->spares--;
	t->newer = NULL;
	return t;
}

/* An entry of the table: one whose snapshot is gone, else a new one. It can be found at once; so it is complete before its id is set. */
struct tree *tree_add(struct store *s, uint64_t id, uint64_t epoch, const struct bptr *root, uint64_t keys)
{
	_Atomic(struct tree *) *b = bucket(s, id, epoch);
	struct tree	       *t = atomic_load_explicit(b, memory_order_relaxed), *first = t;

	while (t && t->id != GONE)
		t = atomic_load_explicit(&t->next, memory_order_relaxed);
	if (!t) {
		if (tree_spare(s, 1))
			return NULL;
		t	= tree_take_spare(s);
		t->id	= GONE;
		t->next = first;
		atomic_store_explicit(b, t, memory_order_release);
	}
	tree_set_root(t, root, keys);
	t->gen = 0, t->dirty = t->record = t->dropped = false, t->newer = NULL;
	if (epoch)
		atomic_store_explicit(&t->life, 0, memory_order_relaxed);
	else
		fingers_begin(s, t);
	atomic_store_explicit(&t->epoch, epoch, memory_order_relaxed);
	atomic_store_explicit(&t->id, id, memory_order_release);
	return t;
}

void tree_remove(struct tree *t)
{
	struct bptr none = { 0 };

	atomic_store_explicit(&t->id, GONE, memory_order_release);
	tree_set_root(t, &none, 0);
}

static int read_root(struct store *s, const struct leaf_value *v, uint32_t len, struct bptr *root, uint64_t *keys)
{
	if (v->len != len || v->extents)
		return fail(CSUM, "the record of a tree is malformed");
	*root = bptr_get(v->bytes + TREE_ROOT);
	*keys = get64(v->bytes + TREE_KEYS);
	if (root->addr && !blob_sane(s, root, NODE_MAX))
		return fail(CSUM, "the root of a tree has an impossible address");
	return 0;
}

static struct leaf_value value_at(const struct path *path)
{
	const struct frame *f = path->frames[path->depth - 1];

	return node_value(f->page, f->cap, path->slots[path->depth - 1]);
}

static int open_live(struct store *s, uint64_t id, struct tree **tree)
{
	struct tree *zero = tree_peek(s, 0, 0);
	struct bptr  root = { 0 };
	uint64_t     keys = 0;
	struct path  path;
	uint8_t	     key[8];
	int	     rc;

	put64be(key, id);
	rc = tree_find(s, zero, (tarn_buf){ key, 8 }, &path);
	if (!rc && path.found) {
		struct leaf_value v = value_at(&path);

		rc = read_root(s, &v, TREE_BYTES, &root, &keys);
	}
	path_release(&path);
	if (rc)
		return rc;
	*tree = tree_add(s, id, 0, &root, keys);
	if (!*tree)
		return fail(NOMEM, "no memory for a tree");
	rc = id == TREE_SNAPS || id == TREE_DEAD ? 0 : snaps_load(s, *tree);
	if (rc)
		tree_remove(*tree);
	return rc;
}

static int open_snapshot(struct store *s, uint64_t id, uint64_t epoch, struct tree **tree)
{
	struct tree *snaps;
	struct bptr  root = { 0 };
	uint64_t     keys = 0;
	struct path  path;
	uint8_t	     key[16];
	int	     rc = tree_open(s, TREE_SNAPS, 0, &snaps);

	if (rc)
		return rc;
	put64be(key, id);
	put64be(key + 8, epoch);
	rc = tree_find(s, snaps, (tarn_buf){ key, 16 }, &path);
	if (!rc && path.found) {
		struct leaf_value v = value_at(&path);

		rc = read_root(s, &v, SNAP_BYTES, &root, &keys);
	} else if (!rc) {
		rc = fail(NONEXIST, "there is no snapshot of epoch %llu", (unsigned long long)epoch);
	}
	path_release(&path);
	if (rc)
		return rc;
	*tree = tree_add(s, id, epoch, &root, keys);
	return *tree ? 0 : fail(NOMEM, "no memory for a snapshot");
}

int tree_open(struct store *s, uint64_t id, uint64_t epoch, struct tree **tree)
{
	struct tree *t = tree_peek(s, id, epoch), *live;
	int	     rc;

	if (t) {
		*tree = t;
		return 0;
	}
	if (!epoch)
		return open_live(s, id, tree);
	rc = tree_open(s, id, 0, &live);
	if (rc)
		return rc;
	for (size_t i = 0; i < live->snaps_n; i++) /* one that is not there any more may still have its record */
		if (live->snaps[i].epoch == epoch)
			return open_snapshot(s, id, epoch, tree);
	return fail(NONEXIST, "there is no snapshot of epoch %llu", (unsigned long long)epoch);
}

void tree_forget_all(struct store *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->trees); i++) {
		struct tree *t = s->trees[i], *next;

		for (; t; t = next) {
			next = t->next;
			free(t->snaps);
			free(t);
		}
		s->trees[i] = NULL;
	}
	while (s->spares)
		free(tree_take_spare(s));
}

void path_release(struct path *path)
{
	for (unsigned i = 0; i < path->depth; i++)
		cache_unpin(path->frames[i]);
	path->depth = 0;
}

static int wrong_level(const struct tree *t, uint64_t id)
{
	return fail(CSUM, "the page at block %llu of tree %llu has the wrong level", (unsigned long long)id,
		    (unsigned long long)t->id);
}

/* The page below `up` (NULL: the root), pinned. Its hint finds it without a search, and without a look at its whole pointer. */
static int step_down(struct store *s, struct tree *t, struct frame *up, uint32_t slot, struct frame **out)
{
	uint32_t      hint = up ? hint_get(&s->cache, up, slot) : t->hint;
	uint64_t      id   = up ? node_child_id(up->page, up->cap, slot) : t->root.addr;
	struct frame *f;
	struct bptr   ptr;
	int	      rc;

	page_prefetch(&s->cache, hint, up && node_level(up->page) == 1);
	f = cache_peek(&s->cache, id, hint);
	if (!f) {
		ptr = up ? node_child(up->page, up->cap, slot).ptr : t->root;
		rc  = cache_get(s, t->id, &ptr, &f);
		if (rc)
			return rc;
		cache_unpin(f);
	}
	if (!atomic_load_explicit(&f->touched, memory_order_relaxed))
		atomic_store_explicit(&f->touched, true, memory_order_relaxed);
	if (!up)
		t->hint = f->number;
	else if (hint != f->number)
		hint_set(&s->cache, up, slot, f->number);
	cache_pin(f);
	*out = f;
	return 0;
}

int tree_find_level(struct store *s, struct tree *t, tarn_buf key, unsigned level, struct path *path)
{
	struct frame *up = NULL, *f = NULL;
	uint32_t      slot = 0;

	path->depth = 0;
	path->found = false;
	while (up || t->root.addr) {
		unsigned d  = path->depth;
		int	 rc = d == DEPTH_MAX ? wrong_level(t, t->root.addr) : step_down(s, t, up, slot, &f);

		if (rc)
			return rc;
		path->frames[d & (DEPTH_MAX - 1)] = f;
		path->depth			  = d + 1;
		if (up && node_level(f->page) + 1 != node_level(up->page))
			return wrong_level(t, f->id);
		if (!node_level(f->page)) {
			path->slots[d & (DEPTH_MAX - 1)] = node_lower(f->page, f->cap, key, &path->found);
			return 0;
		}
		slot				 = node_route(f->page, f->cap, key);
		path->slots[d & (DEPTH_MAX - 1)] = slot;
		if (node_level(f->page) <= level)
			return 0;
		up = f;
	}
	return 0;
}

int tree_find(struct store *s, struct tree *t, tarn_buf key, struct path *path)
{
	return tree_find_level(s, t, key, 0, path);
}

/* Goes on to the first entry of the next leaves that have one; depth is 0 when there is none. */
static int next_leaf(struct store *s, struct tree *t, struct path *path)
{
	struct frame *leaf = path->frames[path->depth - 1];
	int	      rc   = 0;

	while (!rc && path->depth && path->slots[path->depth - 1] >= node_count(leaf->page, leaf->cap)) {
		bool	 bounded;
		tarn_buf high = node_high(leaf->page, leaf->cap, &bounded);

		if (!bounded) {
			path_release(path);
			return 0;
		}
		cache_pin(leaf); /* high lies in it */
		path_release(path);
		rc = tree_find(s, t, high, path);
		cache_unpin(leaf);
		if (!rc && path->depth)
			leaf = path->frames[path->depth - 1];
	}
	return rc;
}

int tree_ceiling(struct store *s, struct tree *t, tarn_buf key, struct path *path)
{
	int rc = tree_find(s, t, key, path);

	return rc || !path->depth ? rc : next_leaf(s, t, path);
}
