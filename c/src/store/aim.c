/* SPDX-License-Identifier: Apache-2.0 */
/* store/aim.c: the leaves that changes are going to, found before store->lock is taken.
 *
 * Going down a tree is most of what a change costs, and nearly all of that is waiting for memory. So it is done beside other threads, as readers do
 * it, and for many keys at once: while the page of one comes from memory, the others are searched. Always true:
 *   - an aim is a hint, made of pages that may have changed since. Under the lock aim_stands() says whether it is true still;
 *   - it never waits and never fails: what is not in memory, or changes meanwhile, has no aim;
 *   - one that stands wants no page above the leaf, not even to look at it: threads that change different leaves do not meet there;
 *   - one of a leaf that is not in memory ends above it, for who need not know the leaf;
 *   - one of a leaf that a finger knew has the leaf alone. So it is of a change after which the leaf is not split: nothing above it has to be made room
 *     for. Of many changes each makes it no larger; a single one may add to it what it has room for. */
#include "defer.h"
#include "finger.h"
#include "seek.h"

#define LANES 16u

struct lane {
	struct aim		    *aim;
	const struct store_mutation *m;
	tarn_buf		     key;
	uint64_t		     life, hash;
	struct spot		     spot;
	bool			     live;  /* its way goes on */
	bool			     above; /* it has ended above a leaf that is not in memory */
	bool			     done;
};

static NODE_RACY void add_page(struct lane *l)
{
	l->live = l->spot.frame && l->aim->depth < AIM_DEPTH;
	if (l->live)
		l->aim->frames[l->aim->depth++] = l->spot.frame;
}

static NODE_RACY void begin(struct store *s, struct lane *l, struct aim *aim, const struct store_mutation *m)
{
	bool has_key = m->change == STORE_PUT || m->change == STORE_DEL || m->change == STORE_CHECK;

	aim->tree  = has_key ? tree_peek(s, m->tree, 0) : NULL;
	aim->above = false;
	*l	   = (struct lane){ .aim = aim, .m = m, .key = m->key, .life = aim->tree ? finger_life(aim->tree) : 0 };
	if (!l->life)
		return;
	l->hash = finger_hash(s, l->life, l->key);
	finger_prefetch(s, l->hash);
}

static NODE_RACY void begin_at_root(struct store *s, struct lane *l)
{
	struct wanted w;

	if (l->done)
		return;
	l->aim->depth = 0;
	l->live	      = l->aim->tree && !seek_root(s, l->aim->tree, NULL, &l->spot, &w);
	if (l->live)
		add_page(l);
}

static NODE_RACY void down(struct store *s, struct lane *l)
{
	unsigned      level = node_level(l->spot.frame->page);
	struct wanted w;
	int	      rc = seek_down(s, l->aim->tree, NULL, &l->spot, &w);

	l->live	 = !rc;
	l->above = rc == -TARN_E_AGAIN && level == 1;
	if (l->live)
		add_page(l);
	if (l->above)
		defer_expect(s, w.ptr.addr);
}

static NODE_RACY bool inner(const struct lane *l)
{
	return l->live && node_level(l->spot.frame->page);
}

static NODE_RACY void take(struct lane *l)
{
	l->aim->version = l->spot.version;
	l->aim->slot	= l->spot.slot;
	l->aim->found	= l->spot.found;
}

/* Who puts a new entry has the lock until its bytes have a place in the processor's cache: they come now. */
static NODE_RACY void take_leaf(struct lane *l)
{
	if (l->m->change == STORE_PUT && !l->spot.found)
		seek_prefetch_room(l->spot.frame, l->key, l->m->val);
	take(l);
}

/* In its leaf, after seek_near(): so the entry comes that is going to be changed. */
static NODE_RACY void search_leaf(struct store *s, struct lane *l)
{
	if (l->done)
		return;
	if (l->above) {
		l->spot.found = false;
		take(l);
		l->aim->above = true;
		return;
	}
	if (!l->live) {
		l->aim->tree = NULL;
		return;
	}
	seek_lower(&l->spot, l->key);
	take_leaf(l);
	if (l->life && frame_valid(l->spot.frame, l->spot.version))
		finger_set(s, l->life, l->hash, l->key, &l->spot);
}

/* The leaf gets no larger. */
static NODE_RACY bool fits_in_place(const struct lane *l)
{
	struct leaf_value old;

	if (l->m->change != STORE_PUT || !l->spot.found)
		return l->m->change == STORE_CHECK;
	old = node_value(l->spot.frame->page, l->spot.frame->cap, l->spot.slot);
	return !old.extents && l->m->val.len <= old.len;
}

/* A new entry, after which the leaf is not split. */
static NODE_RACY bool fits_beside(const struct store *s, const struct lane *l)
{
	return l->m->change == STORE_PUT && !l->m->value && !l->spot.found &&
	       tree_leaf_takes(s, l->spot.frame, (uint32_t)(SLOT_BYTES + LEAF_KEY + l->key.len + l->m->val.len));
}

/* After finger_come(). */
static NODE_RACY void search_fingered(struct store *s, struct lane *l, bool single)
{
	l->done = l->life && l->m->change != STORE_DEL && finger_enter(s, l->life, l->hash, l->key, &l->spot);
	if (!l->done)
		return;
	l->spot.slot = node_lower(l->spot.frame->page, l->spot.frame->cap, l->key, &l->spot.found);
	l->done	     = (fits_in_place(l) || (single && fits_beside(s, l))) && frame_valid(l->spot.frame, l->spot.version);
	if (!l->done)
		return;
	finger_found(s, l->hash, &l->spot);
	l->aim->frames[0] = l->spot.frame;
	l->aim->depth	  = 1;
	take_leaf(l);
}

static NODE_RACY void aim_one(struct store *s, const struct store_mutation *m, bool walk, struct aim *aim)
{
	struct lane l;

	begin(s, &l, aim, m);
	if (l.life)
		finger_come(s, l.hash);
	search_fingered(s, &l, true);
	if (walk)
		begin_at_root(s, &l);
	while (inner(&l)) {
		seek_route(&l.spot, l.key);
		seek_prefetch(s, &l.spot, l.spot.slot);
		down(s, &l);
	}
	if (l.live)
		seek_near(&l.spot, l.key);
	search_leaf(s, &l);
}

/* A level down, all of them; false: none has any more. */
static NODE_RACY bool step_down(struct store *s, struct lane *lanes, unsigned n)
{
	struct lane *in[LANES];
	unsigned     k = 0;

	for (unsigned i = 0; i < n; i++)
		if (inner(&lanes[i]))
			in[k++] = &lanes[i];
	for (unsigned i = 0; i < k; i++)
		if (!i || in[i]->spot.frame != in[i - 1]->spot.frame) /* at the root they are all the same */
			seek_look(&in[i]->spot);
	for (unsigned i = 0; i < k; i++) {
		struct spot *spot = &in[i]->spot;

		seek_route(spot, in[i]->key);
		seek_prefetch_entry(spot->frame->page, spot->frame->cap, spot->slot);
		prefetch((const void *)hint_at(&s->cache, spot->frame, spot->slot));
	}
	for (unsigned i = 0; i < k; i++)
		seek_prefetch(s, &in[i]->spot, in[i]->spot.slot);
	for (unsigned i = 0; i < k; i++)
		down(s, in[i]);
	return k > 0;
}

static NODE_RACY void aim_group(struct store *s, const struct store_mutation *muts, unsigned n, struct aim *aims)
{
	struct lane lanes[LANES];

	for (unsigned i = 0; i < n; i++)
		begin(s, &lanes[i], &aims[i], &muts[i]);
	for (unsigned i = 0; i < n; i++)
		if (lanes[i].life)
			finger_come(s, lanes[i].hash);
	for (unsigned i = 0; i < n; i++)
		search_fingered(s, &lanes[i], false);
	for (unsigned i = 0; i < n; i++)
		begin_at_root(s, &lanes[i]);
	while (step_down(s, lanes, n))
		;
	for (unsigned i = 0; i < n; i++)
		if (lanes[i].live)
			seek_near(&lanes[i].spot, lanes[i].key);
	for (unsigned i = 0; i < n; i++)
		search_leaf(s, &lanes[i]);
}

void aim_all(struct store *s, const struct store_mutation *muts, size_t n, bool walk, struct aim *aims)
{
	if (n == 1)
		aim_one(s, muts, walk, aims);
	for (size_t i = 0; n > 1 && i < n; i += LANES)
		aim_group(s, muts + i, (unsigned)MIN(n - i, LANES), aims + i);
}

static bool leaf_is_away(struct store *s, const struct aim *a)
{
	const struct frame *up = a->frames[a->depth - 1];

	return !cache_find(s, node_child_id(up->page, up->cap, a->slot));
}

/* A leaf leaves its tree, or gives keys away, only when it is dropped, which changes its version, or frozen or written, and then it is not
 * the tree's own. When it is as young as can be, so are the pages above; one that is not has been seen before it was replaced. A leaf comes into memory
 * without a change of the page above. */
bool aim_stands(struct store *s, const struct tree *t, const struct aim *a)
{
	const struct frame *last;

	if (a->tree != t || s->gen <= t->gen)
		return false;
	for (unsigned i = 0; i < a->depth; i++)
		if (!a->frames[i]->dirty || a->frames[i]->gen != s->gen || a->frames[i]->tree != t->id)
			return false;
	last = a->frames[a->depth - 1];
	return atomic_load_explicit(&last->version, memory_order_relaxed) == a->version && (!a->above || leaf_is_away(s, a));
}

void aim_path(const struct aim *a, struct path *path)
{
	memcpy(path->frames, a->frames, a->depth * sizeof(a->frames[0]));
	path->slots[a->depth - 1] = a->slot;
	path->depth		  = a->depth;
	path->found		  = a->found;
}
