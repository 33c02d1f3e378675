/* SPDX-License-Identifier: Apache-2.0 */
/* store/scout.c: a checkpoint reads what leaves that were put off are made from, before it writes them.
 *
 * Reading goes before writing through the same tree, in key order: while one batch of pages is turned into leaves, others are on their way. Bases go
 * past the cache: nobody else wants what leaves have been made from. Pages of spills, each of which has puts on many leaves, go there. Where it stands is a
 * key, below which nothing is left to be read. What is not read here, for want of memory or of a queue, or because it is damaged, is read when its leaf is
 * made. */
#include "scout.h"

#include "note.h"

#define HELD_LEAST  32u /* pages of spills */
#define HELD_MOST   1024u
#define AHEAD_PART  16u		      /* of those: read with the one that is wanted, */
#define AHEAD_MOST  8u		      /* and no more than these */
#define PAGES_LEAST (2 * DEFER_PAGES) /* pages of a batch, however small the budget */

/* It is in memory, or on its way. */
static bool is_asked_for(struct scout *sc, uint64_t addr)
{
	unsigned at = (unsigned)(addr * UINT64_C(0x9e3779b97f4a7c15) >> 32) % SCOUT_ASKED;

	if (sc->asked[at].addr == addr && sc->begun - sc->asked[at].batch < SCOUT_BATCHES)
		return true;
	if (cache_find(sc->s, addr))
		return true;
	sc->asked[at].addr  = addr;
	sc->asked[at].batch = sc->begun;
	return false;
}

/* A spill has been written in key order, so pages behind one come soon: those that lie behind it on the device come with it. */
static unsigned want_spilled(struct scout *sc, const struct deferred *p, uint32_t number, unsigned room, struct near_page *pages)
{
	uint32_t end = sc->s->defer.spills[p->half].n, n = 0;
	uint64_t next = 0;

	do {
		struct bptr ptr = spill_page(sc->s, p->half, number + n);

		if ((n && ptr.addr != next) || is_asked_for(sc, ptr.addr))
			break;
		next	   = ptr.addr + ptr.len / BLOCK;
		pages[n++] = (struct near_page){ .w = { p->tree, ptr }, .shared = true };
	} while (n < MIN(room, MIN(sc->held_most / AHEAD_PART, AHEAD_MOST)) && number + n <= end);
	return n;
}

/* One that was put off upon a page that is on disk, and must be made. NULL: there is none, or a view, which is to stay until it is written. */
static const struct deferred *note_of(const struct scout *sc, uint64_t id)
{
	const struct deferred *p    = id & VIRTUAL ? defer_find(sc->s, id) : NULL;
	struct frame	      *view = p ? cache_find(sc->s, id) : NULL;

	if (view) {
		atomic_store_explicit(&view->touched, true, memory_order_relaxed);
		return NULL;
	}
	return p && !(base_of(sc->s, p).addr & VIRTUAL) ? p : NULL;
}

/* What it is made from; nothing else is made from its base. There is room for that. */
static unsigned want(struct scout *sc, uint64_t id, unsigned room, struct near_page *pages)
{
	const struct deferred *p = note_of(sc, id);
	unsigned	       n = 0;

	if (!p)
		return 0;
	pages[n++] = (struct near_page){ .w = { p->tree, base_of(sc->s, p) } };
	for (unsigned i = 0; spilled_page(p, i); i++)
		n += want_spilled(sc, p, spilled_page(p, i), room - n - (SPILLS - 1 - i), pages + n);
	return n;
}

static void begin_batch(struct scout *sc, struct near *b)
{
	struct store	*s    = sc->s;
	unsigned	 room = (unsigned)MIN(SCOUT_PAGES, b->room_bytes / MAX(s->node_bytes, BLOCK)), n = 0;
	struct near_page pages[SCOUT_PAGES];

	if (pace_gives_way(s))
		room = MIN(room, MAX(SCOUT_PAGES / 4, PAGES_LEAST));
	sc->begun++;
	store_lock(s);
	while (s->defer.n && !sc->above.done && n + DEFER_PAGES <= room) {
		struct above_place at;

		store_let_in(s);
		at = above_find(&sc->above);
		if (!at.f)
			continue;
		for (; n + DEFER_PAGES <= room && at.slot < node_count(at.f->page, at.f->cap); at.slot++) {
			above_expect(s, at);
			n += want(sc, node_child_id(at.f->page, at.f->cap, at.slot), room - n, pages + n);
		}
		above_pass(&sc->above, at.f, at.slot);
	}
	pthread_mutex_unlock(&s->lock);
	near_begin(s, b, pages, n);
}

static struct near *batch(const struct scout *sc, unsigned i)
{
	return &sc->all[(sc->turn + i) % SCOUT_BATCHES];
}

/* With the lock. All its puts are on leaves below that key. */
static bool is_below(const struct frame *f, tarn_buf key)
{
	bool found;

	return node_lower(f->page, f->cap, key, &found) == node_count(f->page, f->cap);
}

/* With the lock. Pages of spills that are of no use to leaves from that key on; NULL: none is. */
static void let_go(struct scout *sc, const tarn_buf *low)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < sc->held_n; i++) {
		struct frame *f = sc->held[i];

		if (low && !is_below(f, *low)) {
			sc->held[kept++] = f;
			continue;
		}
		cache_unpin(f);
		cache_drop_spare(sc->s, f);
	}
	sc->held_n = kept;
}

/* With the lock. A page of a spill, which nobody writes meanwhile: notes need it. */
static void hold(struct scout *sc, const struct near_page *p)
{
	struct frame *f = sc->held_n < sc->held_most ? cache_reserve(sc->s, p->w.ptr.len) : NULL;

	if (!f)
		return;
	memcpy(f->page, p->bytes, p->w.ptr.len);
	cache_publish(sc->s, f, &p->w);
	f = cache_find(sc->s, p->w.ptr.addr);
	cache_pin(f);
	sc->held[sc->held_n++] = f;
}

/* The batch that was begun first has come, and another one is begun in the place of the last one. low: where leaves are made. */
static void next_batch(struct scout *sc, tarn_buf low)
{
	const struct near *b;

	sc->turn++;
	b = batch(sc, 0);
	near_end(sc->s, batch(sc, 0));
	store_lock(sc->s);
	let_go(sc, &low);
	for (unsigned i = 0; i < b->n; i++)
		if (b->pages[i].shared && b->pages[i].bytes)
			hold(sc, &b->pages[i]);
	pthread_mutex_unlock(&sc->s->lock);
	begin_batch(sc, batch(sc, SCOUT_BATCHES - 1));
}

const uint8_t *scout_base(const struct scout *sc, const struct bptr *ptr)
{
	return sc->all ? near_bytes(batch(sc, 0), ptr) : NULL;
}

static bool is_coming(const struct scout *sc, uint64_t addr)
{
	for (unsigned i = 1; i < SCOUT_BATCHES; i++)
		if (near_has(batch(sc, i), addr))
			return true;
	return false;
}

/* The first page that it is made from and that is not there; 0: all are. */
static uint64_t first_missing(struct scout *sc, uint64_t id)
{
	const struct deferred *p;
	uint64_t	       missing = 0;
	struct bptr	       ptr;

	store_lock(sc->s);
	p = note_of(sc, id);
	if (p) {
		ptr	= base_of(sc->s, p);
		missing = scout_base(sc, &ptr) ? 0 : ptr.addr;
	}
	for (unsigned i = 0; p && !missing && spilled_page(p, i); i++) {
		ptr	= spill_page(sc->s, p->half, spilled_page(p, i));
		missing = cache_find(sc->s, ptr.addr) ? 0 : ptr.addr;
	}
	pthread_mutex_unlock(&sc->s->lock);
	return missing;
}

static tarn_buf low_of(struct scout *sc, const struct frame *p, uint32_t slot)
{
	return slot ? (tarn_buf){ sc->scratch, node_key_copy(p->page, p->cap, slot, sc->scratch, STORE_KEY_MAX) }
		    : node_low(p->page, p->cap);
}

static bool has_passed(const struct scout *sc, tarn_buf low)
{
	return sc->above.done || key_compare(low, (tarn_buf){ sc->above.at, sc->above.at_len }) < 0;
}

/* One that it has passed, and that is not on its way, could not be read: to go on would not bring it. */
void scout_want(struct scout *sc, const struct frame *p, uint32_t slot)
{
	uint32_t n = node_count(p->page, p->cap);
	tarn_buf low;

	while (slot < n && !(node_child_id(p->page, p->cap, slot) & VIRTUAL))
		slot++;
	if (!sc->all || slot == n)
		return;
	low = low_of(sc, p, slot);
	for (unsigned i = 0; i <= SCOUT_BATCHES; i++) {
		uint64_t page = first_missing(sc, node_child_id(p->page, p->cap, slot));

		if (!page || (has_passed(sc, low) && !is_coming(sc, page)))
			return;
		next_batch(sc, low);
	}
}

static bool take_room(struct scout *sc)
{
	sc->scratch   = malloc(STORE_KEY_MAX);
	sc->all	      = calloc(SCOUT_BATCHES, sizeof(*sc->all));
	sc->held_most = (unsigned)MIN(MAX(sc->s->cache.budget / 64 / sc->s->node_bytes, HELD_LEAST), HELD_MOST);
	sc->held      = calloc(sc->held_most, sizeof(struct frame *));
	return above_init(&sc->above, sc->s) && sc->scratch && sc->all && sc->held;
}

static void give_room(struct scout *sc)
{
	above_fini(&sc->above);
	free(sc->scratch), free(sc->all), free(sc->held);
	sc->scratch = NULL;
	sc->all	    = NULL;
	sc->held    = NULL;
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
		near_init(s, &sc->all[i], PAGES_LEAST);
}

static void let_all_go(struct scout *sc)
{
	store_lock(sc->s);
	let_go(sc, NULL);
	pthread_mutex_unlock(&sc->s->lock);
}

void scout_tree(struct scout *sc, struct tree *z)
{
	if (sc->held_n)
		let_all_go(sc);
	above_begin(&sc->above, z);
	sc->above.done |= !z->owner;
}

void scout_end(struct scout *sc)
{
	if (sc->held_n)
		let_all_go(sc);
	for (unsigned i = 0; sc->all && i < SCOUT_BATCHES; i++) {
		near_end(sc->s, &sc->all[i]);
		near_fini(&sc->all[i]);
	}
	if (sc->s)
		give_room(sc);
}
