/* SPDX-License-Identifier: Apache-2.0 */
/* store/scout.c: a checkpoint reads what leaves that were put off are made from, before it writes them.
 *
 * Reading goes before writing through the same tree, in key order: while one batch of bases is turned into leaves, others are on their way.
 * Where it stands is a key, below which nothing is left to be read. What is not read here, for want of memory or of a queue, or because it
 * is damaged, is read when its leaf is made. */
#include "scout.h"

struct place {		 /* above the leaves */
	struct frame *f; /* an inner page of the frozen tree; NULL: nothing is left */
	uint32_t      slot;
};

static void pass_to(struct scout *sc, const struct frame *f, uint32_t slot)
{
	bool	 bounded = true;
	tarn_buf high;

	if (slot < node_count(f->page, f->cap)) {
		sc->at_len = node_key_copy(f->page, f->cap, slot, sc->at, STORE_KEY_MAX);
		return;
	}
	high	   = node_high(f->page, f->cap, &bounded);
	sc->done   = !bounded;
	sc->at_len = (uint32_t)high.len;
	if (high.len)
		memcpy(sc->at, high.ptr, high.len);
}

/* Down to the page above the leaves where reading goes on. What has no frame, or is clean, is passed. */
static struct place go_down(struct scout *sc)
{
	tarn_buf      key = { sc->at, sc->at_len };
	struct frame *f	  = cache_find(sc->s, sc->z->root.addr);

	while (f && node_level(f->page)) {
		uint32_t      slot = node_route(f->page, f->cap, key);
		uint64_t      id   = node_child_id(f->page, f->cap, slot);
		struct frame *g	   = id & VIRTUAL ? cache_find(sc->s, id) : NULL;

		if (node_level(f->page) == 1)
			return (struct place){ f, slot };
		if (!g) {
			pass_to(sc, f, slot + 1);
			return (struct place){ NULL, 0 };
		}
		f = g;
	}
	sc->done = true;
	return (struct place){ NULL, 0 };
}

#define EXPECT_FAR  16u /* children ahead: a load from memory takes as long as some of them */
#define EXPECT_NEAR 8u

static void expect(struct scout *sc, struct place at)
{
	uint32_t n = node_count(at.f->page, at.f->cap);
	uint64_t id;

	if (at.slot + EXPECT_FAR < n && (id = node_child_id(at.f->page, at.f->cap, at.slot + EXPECT_FAR)) & VIRTUAL)
		defer_expect(sc->s, id);
	if (at.slot + EXPECT_NEAR < n && (id = node_child_id(at.f->page, at.f->cap, at.slot + EXPECT_NEAR)) & VIRTUAL)
		defer_expect_note(sc->s, id);
}

static void begin_batch(struct scout *sc, struct scout_batch *b)
{
	struct store *s	   = sc->s;
	size_t	      room = MIN(SCOUT_BASES, MAX(s->cache.budget / 32 / s->node_bytes, 4));
	struct wanted w[SCOUT_BASES];

	b->n = 0;
	store_lock(s);
	while (s->defer.n && !sc->done && b->n < room) {
		struct place at;

		store_let_in(s);
		at = go_down(sc);

		if (!at.f)
			continue;
		for (; b->n < room && at.slot < node_count(at.f->page, at.f->cap); at.slot++) {
			uint64_t id = node_child_id(at.f->page, at.f->cap, at.slot);

			expect(sc, at);
			if (!(id & VIRTUAL) || !defer_base(s, id, &w[b->n]))
				continue;
			b->ids[b->n] = w[b->n].ptr.addr;
			b->n++;
		}
		pass_to(sc, at.f, at.slot);
	}
	pthread_mutex_unlock(&s->lock);
	near_begin(s, &b->reads, w, b->n);
}

/* With the lock. What leaves have been made from since is of no use to anybody. */
static void let_go(struct scout *sc)
{
	for (unsigned i = 0; i < sc->held_n; i++) {
		cache_unpin(sc->held[i]);
		if (!atomic_load_explicit(&sc->held[i]->touched, memory_order_relaxed))
			cache_drop_spare(sc->s, sc->held[i]);
	}
	sc->held_n = 0;
}

/* They stay until leaves have been made from them: else what is read after them might take their frames. */
static void hold(struct scout *sc, const struct scout_batch *b)
{
	store_lock(sc->s);
	let_go(sc);
	for (unsigned i = 0; i < b->n; i++) {
		struct frame *f = cache_find(sc->s, b->ids[i]);

		if (!f)
			continue;
		cache_pin(f);
		sc->held[sc->held_n++] = f;
	}
	pthread_mutex_unlock(&sc->s->lock);
}

/* The batch that was begun first has come, and another one is begun. */
static void next_batch(struct scout *sc)
{
	struct scout_batch *b = &sc->ahead[sc->turn];

	near_end(sc->s, &b->reads);
	hold(sc, b);
	begin_batch(sc, b);
	sc->turn = (sc->turn + 1) % SCOUT_BATCHES;
}

/* 0: nothing is to be read for it. */
static uint64_t missing_base(struct scout *sc, uint64_t id)
{
	struct wanted w;
	bool	      missing;

	store_lock(sc->s);
	missing = defer_base(sc->s, id, &w);
	pthread_mutex_unlock(&sc->s->lock);
	return missing ? w.ptr.addr : 0;
}

static bool has_passed(struct scout *sc, const struct frame *p, uint32_t slot)
{
	tarn_buf low = node_low(p->page, p->cap), at = { sc->at, sc->at_len };

	if (slot)
		low = (tarn_buf){ sc->scratch, node_key_copy(p->page, p->cap, slot, sc->scratch, STORE_KEY_MAX) };
	return sc->done || key_compare(low, at) < 0;
}

/* One that it has passed, and that is not on its way, could not be read, or has been evicted: to go on would not bring it, and what comes
 * too early is evicted, too. */
void scout_want(struct scout *sc, const struct frame *p, uint32_t slot)
{
	uint32_t n = node_count(p->page, p->cap);

	while (slot < n && !(node_child_id(p->page, p->cap, slot) & VIRTUAL))
		slot++;
	for (unsigned i = 0; sc->at && slot < n && i <= SCOUT_BATCHES; i++) {
		uint64_t base = missing_base(sc, node_child_id(p->page, p->cap, slot));

		if (!base || (has_passed(sc, p, slot) && !page_coming(sc->s, base)))
			return;
		next_batch(sc);
	}
}

static bool make_room(struct scout *sc)
{
	sc->at	  = malloc(2 * STORE_KEY_MAX);
	sc->ahead = calloc(SCOUT_BATCHES, sizeof(*sc->ahead));
	if (sc->at && sc->ahead)
		return true;
	free(sc->at), free(sc->ahead);
	sc->at	  = NULL;
	sc->ahead = NULL;
	return false;
}

void scout_begin(struct scout *sc, struct store *s)
{
	bool some;

	store_lock(s);
	some = s->defer.n;
	pthread_mutex_unlock(&s->lock);
	memset(sc, 0, sizeof(*sc));
	sc->s = s;
	if (!some || !make_room(sc))
		return;
	sc->scratch = sc->at + STORE_KEY_MAX;
	for (unsigned i = 0; i < SCOUT_BATCHES; i++)
		near_init(s, &sc->ahead[i].reads);
}

void scout_tree(struct scout *sc, struct tree *z)
{
	sc->z	   = z;
	sc->at_len = 0;
	sc->done   = !sc->at || !z->owner;
}

void scout_end(struct scout *sc)
{
	if (!sc->s)
		return;
	for (unsigned i = 0; sc->ahead && i < SCOUT_BATCHES; i++) {
		near_end(sc->s, &sc->ahead[i].reads);
		near_fini(&sc->ahead[i].reads);
	}
	store_lock(sc->s);
	let_go(sc);
	pthread_mutex_unlock(&sc->s->lock);
	free(sc->at), free(sc->ahead);
	sc->at	  = NULL;
	sc->ahead = NULL;
}
