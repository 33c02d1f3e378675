/* SPDX-License-Identifier: Apache-2.0 */
/* store/check.c: everything that the superblock reaches, read again from the device and compared.
 *
 * First the live trees, then each tree's snapshots, the newest first. A page of a snapshot that has been seen is shared with a younger
 * state of its tree, and so is all below it, since pages are never changed in place: it is not walked again. One that has not been seen
 * is needed by snapshots only, and this one is the newest of them: just that must be noted in TREE_DEAD. */
#include "check.h"
#include <stdio.h>

#define NOT_SAID UINT64_MAX /* how many keys tree 0 has */

static int check_node(struct check *c, const struct place *p, const uint8_t *page);
static int check_tree(struct check *c, const struct place *root);

/* ---- leaves ---- */

struct value_walk {
	struct check	   *c;
	const struct place *p;
};

static bool see_piece(void *arg, const struct bptr *ptr, uint64_t birth)
{
	struct value_walk *w = arg;

	return check_see(w->c, w->p, ptr->addr, ptr->len / BLOCK, birth) && !w->c->rc;
}

static int check_value(struct check *c, const struct place *p, tarn_buf key, const struct leaf_value *value)
{
	struct value_walk w    = { c, p };
	uint64_t	  name = check_name_value(p, key, value);

	if (c->gen && check_is_known(c, name) && value->len > EXT_PTRS && check_seen(c, bptr_get(value->bytes + EXT_PTRS).addr))
		return 0;
	check_know(c, name);
	return verify_value(&c->v, p, key, value, see_piece, &w);
}

/* A record of tree 0. */
static int check_record(struct check *c, const struct place *p, tarn_buf key, const struct leaf_value *value)
{
	struct place root;
	struct bptr  ptr;

	if (key.len != 8 || value->len != TREE_BYTES || value->extents || !get64be(key.ptr))
		return verify_note(&c->v, p, fail(CSUM, "the record of a tree is malformed"));
	ptr  = bptr_get(value->bytes + TREE_ROOT);
	root = verify_root((struct store_at){ .tree = get64be(key.ptr) }, &ptr, get64(value->bytes + TREE_KEYS), p->ptr.birth);
	return check_tree(c, &root);
}

static int check_leaf(struct check *c, const struct place *p, const uint8_t *page)
{
	uint8_t *key = malloc(STORE_KEY_MAX);
	int	 rc  = key ? 0 : fail(NOMEM, "no memory for a key");

	for (uint32_t i = 0; !rc && i < node_count(page, p->ptr.len); i++) {
		struct leaf_value v = node_value(page, p->ptr.len, i);
		tarn_buf	  k;

		if (p->at.tree && !v.extents)
			continue;
		k  = (tarn_buf){ key, node_key_copy(page, p->ptr.len, i, key, STORE_KEY_MAX) };
		rc = v.extents ? check_value(c, p, k, &v) : check_record(c, p, k, &v);
	}
	free(key);
	return rc;
}

/* ---- pages ---- */

struct child_walk {
	struct verify_visitor visitor;
	struct check	     *c;
	uint64_t	      keys;
};

/* false: it is shared with what was walked before, or wrong, which is noted. */
static bool must_walk(struct check *c, const struct place *p)
{
	int rc = 0;

	if (!blob_sane(c->s, &p->ptr, NODE_MAX) || !check_seen(c, p->ptr.addr))
		return true;
	if (!c->gen)
		rc = fail(CSUM, "block %llu is referred to twice, now as a page of tree %llu", (unsigned long long)p->ptr.addr,
			  (unsigned long long)p->at.tree);
	else if (!check_is_known(c, check_name_page(p)))
		rc = fail(CSUM, "block %llu, a page of a snapshot of tree %llu, is something else in a younger state",
			  (unsigned long long)p->ptr.addr, (unsigned long long)p->at.tree);
	if (rc)
		check_note(c, p, rc);
	return false;
}

static bool wanted(struct verify_visitor *visitor, const struct place *child)
{
	struct child_walk *w	= container_of(visitor, struct child_walk, visitor);
	bool		   walk = must_walk(w->c, child);

	if (!walk)
		w->keys += child->keys;
	return walk;
}

/* Its blocks are in use, though what is below it is not known. */
static int note_damage(struct check *c, const struct place *p, int rc)
{
	rc = verify_damage(&c->v, p, rc);
	if (!rc && blob_sane(c->s, &p->ptr, NODE_MAX) && !(p->ptr.flags & BPTR_GANG))
		check_see_blob(c, p);
	return rc;
}

static int check_page(struct check *c, const struct place *p, const uint8_t *page, int rc)
{
	if (rc)
		return note_damage(c, p, rc);
	if (!check_see_blob(c, p))
		return c->rc;
	check_know(c, check_name_page(p));
	return check_node(c, p, page);
}

static int visit(struct verify_visitor *visitor, const struct place *child, const uint8_t *page, int rc)
{
	struct child_walk *w = container_of(visitor, struct child_walk, visitor);

	w->keys += child->keys;
	rc = check_page(w->c, child, page, rc);
	return rc ? rc : w->c->rc;
}

static int check_node(struct check *c, const struct place *p, const uint8_t *page)
{
	struct child_walk w  = { .visitor = { wanted, visit }, .c = c };
	int		  rc = 0;

	if (!node_level(page)) {
		w.keys = node_count(page, p->ptr.len);
		rc     = check_leaf(c, p, page);
	} else {
		rc = verify_children(&c->v, p, page, 0, &w.visitor);
	}
	if (!rc && !c->v.damaged && w.keys != p->keys && p->keys != NOT_SAID)
		rc = verify_note(
			&c->v, p,
			fail(CSUM, "%llu keys are said to be in the page at block %llu of tree %llu or below it, there are %llu",
			     (unsigned long long)p->keys, (unsigned long long)p->ptr.addr, (unsigned long long)p->at.tree,
			     (unsigned long long)w.keys));
	return rc;
}

static int check_tree(struct check *c, const struct place *root)
{
	uint8_t *page = NULL;
	int	 rc   = 0;

	if (root->ptr.addr && must_walk(c, root)) {
		rc = verify_read(&c->v, root, &page);
		rc = check_page(c, root, page, rc);
	}
	device_free(page);
	return rc ? rc : c->rc;
}

/* ---- snapshots ---- */

struct snapshot_root {
	uint64_t    epoch, gen, keys;
	struct bptr root;
};

struct snapshots {
	struct check	     *c;
	uint64_t	      tree;
	struct snapshot_root *roots; /* in the order of their epochs */
	size_t		      n, cap;
};

static int add_root(struct snapshots *all, const struct snapshot_root *root)
{
	if (all->n == all->cap) {
		size_t		      cap  = MAX(2 * all->cap, 16u);
		struct snapshot_root *more = realloc(all->roots, cap * sizeof(*more));

		if (!more)
			return fail(NOMEM, "no memory for a list of %zu snapshots", cap);
		all->roots = more;
		all->cap   = cap;
	}
	all->roots[all->n++] = *root;
	return 0;
}

/* Gathers one tree's; 1: the next tree begins. */
static int gather(void *arg, tarn_buf key, const struct leaf_value *v)
{
	struct snapshots    *all = arg;
	struct snapshot_root root;

	if (key.len != 16 || v->len != SNAP_BYTES || v->extents)
		return fail(CSUM, "the record of a snapshot is malformed");
	if (all->n && all->tree != get64be(key.ptr))
		return 1;
	all->tree = get64be(key.ptr);
	root	  = (struct snapshot_root){ .epoch = get64be((const uint8_t *)key.ptr + 8),
					    .gen   = get64(v->bytes + SNAP_GEN),
					    .keys  = get64(v->bytes + SNAP_KEYS),
					    .root  = bptr_get(v->bytes + SNAP_ROOT) };
	if (!root.gen || root.gen > all->c->sb.generation || (all->n && all->roots[all->n - 1].gen >= root.gen))
		return fail(CSUM, "the snapshots of tree %llu have generations that do not ascend",
			    (unsigned long long)all->tree);
	return add_root(all, &root);
}

static int find_root(void *arg, tarn_buf key, const struct leaf_value *v)
{
	struct place *root = arg;

	if (key.len != 8 || get64be(key.ptr) != root->at.tree || v->len != TREE_BYTES || v->extents)
		return 1;
	root->ptr  = bptr_get(v->bytes + TREE_ROOT);
	root->keys = get64(v->bytes + TREE_KEYS);
	return 1;
}

/* Of one of the engine's own trees. */
static int root_of(struct check *c, uint64_t tree, struct place *root)
{
	struct place zero = verify_root((struct store_at){ 0 }, &c->sb.root, NOT_SAID, UINT64_MAX);
	uint8_t	     key[8];
	int	     rc;

	*root = (struct place){ .at = { .tree = tree }, .birth = UINT64_MAX, .level = -1 };
	put64be(key, tree);
	rc = verify_scan(&c->v, &zero, (tarn_buf){ key, sizeof(key) }, find_root, root);
	return rc < 0 ? rc : 0;
}

/* The tree's snapshots whose number is from on. */
static int gather_from(struct check *c, uint64_t tree, struct snapshots *all)
{
	struct place records;
	uint8_t	     key[16] = { 0 };
	int	     rc	     = root_of(c, TREE_SNAPS, &records);

	all->c = c;
	all->n = 0;
	put64be(key, tree);
	rc = rc ? rc : verify_scan(&c->v, &records, (tarn_buf){ key, sizeof(key) }, gather, all);
	return rc < 0 ? rc : 0;
}

static int check_snapshots_of(struct check *c, const struct snapshots *all)
{
	int rc = 0;

	for (size_t i = all->n; !rc && i-- > 0;) {
		const struct snapshot_root *from = &all->roots[i];
		struct store_at		    at	 = { all->tree, from->epoch };
		struct place		    root = verify_root(at, &from->root, from->keys, from->gen);

		c->gen = from->gen;
		rc     = check_tree(c, &root);
	}
	c->gen = 0;
	return rc;
}

/* A record that is malformed: what is behind it is not known. */
static int leave_out(struct check *c, int rc)
{
	c->v.damaged = c->v.damaged || rc;
	return rc ? verify_note(&c->v, NULL, rc) : 0;
}

static int check_snapshots(struct check *c)
{
	struct snapshots all = { 0 };
	int		 rc  = gather_from(c, 0, &all);

	while (!rc && all.n) {
		rc = check_snapshots_of(c, &all);
		rc = rc ? rc : gather_from(c, all.tree + 1, &all);
	}
	free(all.roots);
	return leave_out(c, rc);
}

/* ---- what only snapshots need ---- */

struct dead_walk {
	struct check	*c;
	struct snapshots of; /* the tree at hand */
};

static bool is_needed(const struct snapshots *all, uint64_t gen)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->roots[i].gen == gen)
			return true;
	return false;
}

static int meet_note(void *arg, tarn_buf key, const struct leaf_value *v)
{
	struct dead_walk *w = arg;
	const uint8_t	 *k = key.ptr;
	struct place	  p = { .at = { .tree = TREE_DEAD } };
	uint64_t	  tree, needed, birth;
	int		  rc = 0;

	if (key.len != DEAD_KEY_BYTES || v->len != 4 || v->extents)
		return fail(CSUM, "the note of blocks that only snapshots need is malformed");
	tree = get64be(k), needed = get64be(k + 8), birth = get64be(k + 16);
	p.at.tree = tree;
	p.ptr	  = (struct bptr){ .addr = get64be(k + 24), .len = get32(v->bytes) * BLOCK };
	if (w->of.tree != tree || !w->of.n)
		rc = gather_from(w->c, tree, &w->of);
	if (!rc && (w->of.tree != tree || birth > needed || !is_needed(&w->of, needed)))
		rc = verify_note(&w->c->v, &p,
				 fail(CSUM, "block %llu is kept for a snapshot of tree %llu that there is not",
				      (unsigned long long)p.ptr.addr, (unsigned long long)tree));
	return rc ? rc : check_dead(w->c, &p, needed, birth, p.ptr.addr, get32(v->bytes));
}

static int check_notes(struct check *c)
{
	struct dead_walk w = { .c = c };
	struct place	 notes;
	int		 rc = root_of(c, TREE_DEAD, &notes);

	rc = rc ? rc : verify_scan(&c->v, &notes, (tarn_buf){ NULL, 0 }, meet_note, &w);
	free(w.of.roots);
	rc = leave_out(c, rc);
	return rc ? rc : check_dead_end(c);
}

/* ---- all of it ---- */

static int walk(struct check *c)
{
	struct place zero = verify_root((struct store_at){ 0 }, &c->sb.root, NOT_SAID, UINT64_MAX);
	int	     rc	  = check_fixed(c);

	if (rc)
		return rc;
	rc = check_tree(c, &zero);
	rc = rc ? rc : check_snapshots(c);
	rc = rc ? rc : check_notes(c);
	return rc ? rc : check_compare(c);
}

static int check_all(struct check *c, struct store_report *report)
{
	struct store *s	    = c->s;
	size_t	      words = DIV_UP(s->sb.blocks, 64);
	int	      rc    = 0;

	verify_begin(&c->v, s, report);
	c->sb	 = s->sb; /* fixed while checkpoint.lock is held */
	c->v.all = (c->sb.blocks - MIN(c->sb.free_blocks, c->sb.blocks)) * BLOCK;
	c->seen	 = calloc(words, 8);
	c->dead	 = calloc(words, 8);
	c->known = calloc(words, 8);
	if (!c->seen || !c->dead || !c->known)
		rc = fail(NOMEM, "no memory to check %llu blocks", (unsigned long long)c->sb.blocks);
	else
		rc = walk(c);
	free(c->seen);
	free(c->dead);
	free(c->known);
	return rc;
}

/* Without a checkpoint, which a failed or a full store cannot write, it is the last one that is checked. */
int store_check(struct store *s, struct store_report *report)
{
	struct store_report none = { 0 };
	struct check	    c	 = { .s = s };
	char		    why[TARN_MESSAGE_MAX];
	int		    fresh = checkpoint(s), rc;

	snprintf(why, sizeof(why), "%s", base_message());
	c.halfway = fresh != 0;
	pthread_mutex_lock(&s->checkpoint.lock);
	rc = check_all(&c, report ? report : &none);
	pthread_mutex_unlock(&s->checkpoint.lock);
	rc = verify_end(&c.v, rc);
	return rc || !fresh ? rc : base_fail(-fresh, "what was written before is whole, but: %.200s", why);
}
