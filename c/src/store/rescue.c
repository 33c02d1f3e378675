/* SPDX-License-Identifier: Apache-2.0 */
/* store/rescue.c: a leaf that was put off, and whose base proves damaged.
 *
 * What else is in it cannot be read any more. But what was acknowledged must not go with it: in the live tree each key that was put gets a leaf of its own
 * beside the damage, and the rest of the range a pointer that nothing matches. */
#include "note.h"

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
	struct bptr ptr = base_of(s, p);

	return ptr.addr & VIRTUAL ? defer_find(s, ptr.addr) : NULL;
}

/* p has what it does to the page of that id, or other pages that were put off do between them. */
static bool leads_to(const struct store *s, const struct deferred *p, uint64_t id)
{
	while (p && note_id(p) != id)
		p = below(s, p);
	return p;
}

/* All of them, those above over those below. */
static int fill_all(struct store *s, const struct deferred *p, uint8_t *page, uint32_t cap)
{
	const struct deferred *next = below(s, p);
	int		       rc   = next ? fill_all(s, next, page, cap) : 0;

	return rc ? rc : defer_fill(s, p, page, cap);
}

struct puts {
	uint8_t *page; /* with the leaf's fences, the newest put on each key, and nothing else */
	uint32_t cap;
	uint8_t *keys; /* room for two */
};

static uint32_t room_for(const struct store *s, tarn_buf low, tarn_buf high)
{
	size_t	 bytes = 2 * (size_t)MAX(s->node_bytes, BLOCK) + low.len + high.len; /* twice what a leaf gathers */
	uint32_t cap   = BLOCK;

	while (cap < bytes)
		cap *= 2;
	return cap;
}

static int gather(struct store *s, const struct path *path, struct puts *puts)
{
	const struct frame *up	    = path->frames[path->depth - 1];
	uint32_t	    slot    = path->slots[path->depth - 1];
	tarn_buf	    low	    = node_low(up->page, up->cap), high;
	bool		    bounded = true;
	int		    rc;

	*puts = (struct puts){ .keys = malloc(2 * STORE_KEY_MAX) };
	if (!puts->keys)
		return fail(NOMEM, "no memory for two keys");
	if (slot)
		low = (tarn_buf){ puts->keys, node_key_copy(up->page, up->cap, slot, puts->keys, STORE_KEY_MAX) };
	if (slot + 1 < node_count(up->page, up->cap))
		high = (tarn_buf){ puts->keys + STORE_KEY_MAX,
				   node_key_copy(up->page, up->cap, slot + 1, puts->keys + STORE_KEY_MAX, STORE_KEY_MAX) };
	else
		high = node_high(up->page, up->cap, &bounded);
	puts->cap  = room_for(s, low, high);
	puts->page = calloc(1, puts->cap);
	if (!puts->page)
		return fail(NOMEM, "no memory for the puts on a page");
	node_init(puts->page, puts->cap, 0, low, high, bounded);
	rc = fill_all(s, defer_find(s, defer_child(path).ptr.addr), puts->page, puts->cap);
	return rc > 0 ? fail(MISC, "a page has more puts than it can have") : rc;
}

static int put_all_beside(struct store *s, struct tree *t, const struct puts *puts)
{
	uint32_t n  = node_count(puts->page, puts->cap);
	int	 rc = 0;

	for (uint32_t i = 0; !rc && i < n; i++) {
		struct leaf_value v   = node_value(puts->page, puts->cap, i);
		tarn_buf	  key = { puts->keys, node_key_copy(puts->page, puts->cap, i, puts->keys, STORE_KEY_MAX) };

		rc = tree_put_beside(s, t, key, &v);
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
	    leads_to(s, defer_find(s, defer_child(path).ptr.addr), id))
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
	struct frame *view = cache_find(s, note_id(p));

	if (view)
		frame_retire(view);
	defer_forget(s, p);
}

/* A failure fails the store. */
static int move_beside(struct store *s, struct tree *t, struct path *path, const struct puts *puts, const struct node_child *base)
{
	struct deferred *p  = defer_find(s, defer_child(path).ptr.addr);
	int		 rc = tree_own_path(s, t, path);

	if (!rc)
		set_condemned(path, base);
	path_release(path);
	rc = rc ? rc : put_all_beside(s, t, puts);
	if (note_gen(s, p) > t->gen)
		abandon(s, p);
	if (rc)
		store_poison(s, rc);
	return rc ? fail(MISC, "puts on a damaged page could not be saved: %s", s->why) : 1;
}

/* Nothing has been changed when it says NOMEM. */
static int rescue(struct store *s, struct tree *t, uint64_t id, tarn_buf low, const struct node_child *base)
{
	struct path path;
	struct puts puts;
	int	    rc = dead_reserve(s, 2 * DEPTH_MAX + s->defer.noted);

	rc = rc ? rc : space_reserve(&s->space);
	rc = rc ? rc : find_live(s, t, id, low, &path);
	if (rc <= 0)
		return rc;
	rc = gather(s, &path, &puts);
	rc = rc ? rc : move_beside(s, t, &path, &puts, base);
	path_release(&path);
	free(puts.page), free(puts.keys);
	return rc;
}

/* What has been spilled can be read; so it is the base that cannot. */
static int check_spilled(struct store *s, const struct deferred *p)
{
	struct frame *f;
	int	      rc = 0;

	for (unsigned i = 0; !rc && spilled_page(p, i); i++) {
		struct bptr ptr = spill_page(s, p->half, spilled_page(p, i));

		rc = cache_get(s, p->tree, &ptr, &f);
		if (!rc)
			cache_unpin(f);
	}
	return rc == -TARN_E_CSUM
		       ? fail(MISC, "puts that had left memory cannot be read: the log still has them; open the pool again")
		       : rc;
}

/* Its base is damaged: the puts on it that the live tree still has go there beside the damage. 1: there were some, and what is written now
 * lacks them. */
int defer_rescue(struct store *s, struct tree *live, uint64_t id, tarn_buf low, struct node_child *base)
{
	struct deferred *p = defer_find(s, id);
	int		 rc;

	if (!p)
		return fail(MISC, "a page that was put off is not known");
	rc = check_spilled(s, p);
	if (rc)
		return rc;
	*base = (struct node_child){ condemned(base_of(s, p)), p->keys };
	rc    = live ? rescue(s, live, id, low, base) : 0;
	if (rc >= 0 && defer_find(s, id) == p)
		abandon(s, p);
	return rc;
}
