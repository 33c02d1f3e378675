/* SPDX-License-Identifier: Apache-2.0 */
/* store/scout.c: a checkpoint reads what leaves that were put off are made from, before it writes them.
 *
 * Reading goes before writing through the same tree, in key order: while one batch of bases is turned into leaves, others are on their way.
 * Where it stands is a key, below which nothing is left to be read. What is not read here, for want of memory or of a queue, or because it
 * is damaged, is read when its leaf is made. */
#include "scout.h"

#include "defer.h"

/* What a page that was put off is made from comes once a batch, though many are made from the same page. */
static bool is_asked_for(const struct scout_batch *b, uint64_t id)
{
	for (unsigned i = b->n; i-- > 0 && b->n - i <= 2 * DEFER_PAGES;)
		if (b->ids[i] == id)
			return true;
	return false;
}

static void want(struct scout *sc, struct scout_batch *b, uint64_t id, struct wanted *w)
{
	struct wanted missing[DEFER_PAGES];
	unsigned      n = id & VIRTUAL ? defer_missing(sc->s, id, missing) : 0;

	for (unsigned i = 0; i < n; i++) {
		if (is_asked_for(b, missing[i].ptr.addr))
			continue;
		w[b->n]	       = missing[i];
		b->ids[b->n++] = missing[i].ptr.addr;
	}
}

static void begin_batch(struct scout *sc, struct scout_batch *b)
{
	struct store *s	   = sc->s;
	size_t	      room = MIN(SCOUT_PAGES, MAX(s->cache.budget / 32 / s->node_bytes, DEFER_PAGES));
	struct wanted w[SCOUT_PAGES];

	b->n = 0;
	store_lock(s);
	while (s->defer.n && !sc->above.done && b->n + DEFER_PAGES <= room) {
		struct above_place at;

		store_let_in(s);
		at = above_find(&sc->above);
		if (!at.f)
			continue;
		for (; b->n + DEFER_PAGES <= room && at.slot < node_count(at.f->page, at.f->cap); at.slot++) {
			above_expect(&sc->above, at);
			want(sc, b, node_child_id(at.f->page, at.f->cap, at.slot), w);
		}
		above_pass(&sc->above, at.f, at.slot);
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

/* The first page that is to be read for it; 0: none is. */
static uint64_t first_missing(struct scout *sc, uint64_t id)
{
	struct wanted w[DEFER_PAGES];
	unsigned      n;

	store_lock(sc->s);
	n = defer_missing(sc->s, id, w);
	pthread_mutex_unlock(&sc->s->lock);
	return n ? w[0].ptr.addr : 0;
}

static bool has_passed(struct scout *sc, const struct frame *p, uint32_t slot)
{
	tarn_buf low = node_low(p->page, p->cap), at = { sc->above.at, sc->above.at_len };

	if (slot)
		low = (tarn_buf){ sc->scratch, node_key_copy(p->page, p->cap, slot, sc->scratch, STORE_KEY_MAX) };
	return sc->above.done || key_compare(low, at) < 0;
}

/* One that it has passed, and that is not on its way, could not be read, or has been evicted: to go on would not bring it, and what comes
 * too early is evicted, too. */
void scout_want(struct scout *sc, const struct frame *p, uint32_t slot)
{
	uint32_t n = node_count(p->page, p->cap);

	while (slot < n && !(node_child_id(p->page, p->cap, slot) & VIRTUAL))
		slot++;
	for (unsigned i = 0; sc->ahead && slot < n && i <= SCOUT_BATCHES; i++) {
		uint64_t page = first_missing(sc, node_child_id(p->page, p->cap, slot));

		if (!page || (has_passed(sc, p, slot) && !page_coming(sc->s, page)))
			return;
		next_batch(sc);
	}
}

static bool take_room(struct scout *sc)
{
	sc->scratch = malloc(STORE_KEY_MAX);
	sc->ahead   = calloc(SCOUT_BATCHES, sizeof(*sc->ahead));
	return above_init(&sc->above, sc->s) && sc->scratch && sc->ahead;
}

static void give_room(struct scout *sc)
{
	above_fini(&sc->above);
	free(sc->scratch), free(sc->ahead);
	sc->scratch = NULL;
	sc->ahead   = NULL;
}

void scout_begin(struct scout *sc, struct store *s)
{
	bool some;

	store_lock(s);
	some = s->defer.n;
	pthread_mutex_unlock(&s->lock);
	memset(sc, 0, sizeof(*sc));
	sc->s	       = s;
	sc->above.done = true;
	if (!some)
		return;
	if (!take_room(sc)) {
		give_room(sc);
		return;
	}
	for (unsigned i = 0; i < SCOUT_BATCHES; i++)
		near_init(s, &sc->ahead[i].reads);
}

void scout_tree(struct scout *sc, struct tree *z)
{
	above_begin(&sc->above, z);
	sc->above.done |= !z->owner;
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
	give_room(sc);
}
