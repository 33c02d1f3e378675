/* SPDX-License-Identifier: Apache-2.0 */
/* store/filter.c: which keys a tree has not, without looking into it.
 *
 * A get of a key that is not there waits for a leaf only to find nothing in it; where the leaf is not in memory, for the device. So when many gets of a
 * tree find nothing, who runs checkpoints lists its keys, and sets for each of them some bits of one line of the processor's cache (a blocked Bloom
 * filter: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007). A key of which one of these bits is missing is not there;
 * of those that are not there one in five hundred has all of them while the filter is new, one in a hundred when as many have been added as it has room
 * for; they are looked for. A thread asks the filter when its last get has found nothing: others do
 * not pay for it. There is one at a time in a store, of the tree whose gets find nothing most often. Always true:
 *   - from the moment on when a filter is being filled every put sets the bits of its key before anybody can find it, under store->lock; and it begins
 *     with no bits, and no keys are listed before. So when all keys have been listed, it has those of every key that is in the tree. Bits are never
 *     taken away from it;
 *   - it says something only when that is so, and only of one life of one tree (finger.c): one that is dropped begins another;
 *   - `state` has another number for every filter, and counts on before a bit of the last one goes: so who reads bits, and finds the same state before
 *     and after, has read those of one filter that is whole.
 * Before it lists the keys of a tree, a fourth as many gets have found nothing in it. Keys that were removed keep their bits;
 * when gets find nothing all the same, there is a new one. */
#include "filter.h"

#include "finger.h"
#include <xxhash.h>

#define SHARE	     64u /* of the budget, at the most */
#define LINE_WORDS   (LINE / sizeof(uint64_t))
#define LINE_BITS    (LINE * 8u)
#define POSITION     9u	 /* bits of a hash that name one of a line's */
#define KEY_BITS     5u	 /* that are set for a key */
#define KEY_ROOM     12u /* bits of the filter for a key */
#define GROWTH	     4u	 /* of the keys: so many may be added; with twice as many there is another one */
#define MISSES	     64u /* are told of at once */
#define MISSES_MIN   UINT64_C(65536)
#define KEYS_A_MISS  4u	 /* to be listed for one */
#define PATIENCE     16u /* times as many misses as are enough, when there could be no filter */
#define PATIENCE_MAX (UINT64_C(1) << 40)
#define LIST_KEYS    4096u	   /* in a step, */
#define LIST_BYTES   (256u * 1024) /* that they take, at the most; more than the longest one does */
_Static_assert(1u << POSITION == LINE_BITS && POSITION * KEY_BITS <= 64, "a hash names all bits of a key");

/* Of this thread. */
static _Thread_local struct {
	bool	 missed; /* its last get has found nothing */
	uint32_t misses;
} recent;

/* store->lock. */
static void enter_phase(struct filter *f, enum filter_phase phase)
{
	uint64_t state = atomic_load_explicit(&f->state, memory_order_relaxed);

	atomic_store_explicit(&f->state, (state / FILTER_PHASES + 1) * FILTER_PHASES + phase, memory_order_release);
}

/* ---- bits ---- */

static uint64_t hash_of(tarn_buf key)
{
	return XXH3_64bits(key.ptr, key.len);
}

static _Atomic uint64_t *line_of(const struct filter *f, uint64_t hash)
{
	return f->words + (hash >> 32) * atomic_load_explicit(&f->lines, memory_order_relaxed) / (UINT64_C(1) << 32) * LINE_WORDS;
}

/* The places in the line are of the lower half, which does not choose it. */
static uint64_t places_of(uint64_t hash)
{
	return (hash & UINT32_MAX) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - POSITION * KEY_BITS);
}

static bool has(const struct filter *f, uint64_t hash)
{
	_Atomic uint64_t *line = line_of(f, hash);
	uint64_t	  all  = 1;

	for (uint64_t i = 0, places = places_of(hash); i < KEY_BITS; i++, places >>= POSITION) {
		uint64_t place = places % LINE_BITS;

		all &= atomic_load_explicit(&line[place / 64], memory_order_relaxed) >> place % 64;
	}
	return all;
}

static void add(const struct filter *f, uint64_t hash)
{
	_Atomic uint64_t *line = line_of(f, hash);

	for (uint64_t i = 0, places = places_of(hash); i < KEY_BITS; i++, places >>= POSITION) {
		uint64_t place = places % LINE_BITS;

		atomic_fetch_or_explicit(&line[place / 64], UINT64_C(1) << place % 64, memory_order_relaxed);
	}
}

/* ---- asking ---- */

bool filter_lacks(struct store *s, uint64_t life, tarn_buf key)
{
	struct filter *f = &s->filter;
	uint64_t       state;
	bool	       there;

	state = atomic_load_explicit(&f->state, memory_order_acquire);
	if (state % FILTER_PHASES != FILTER_WHOLE || atomic_load_explicit(&f->life, memory_order_relaxed) != life ||
	    !recent.missed)
		return false;
	there = has(f, hash_of(key));
	atomic_thread_fence(memory_order_acquire);
	return !there && atomic_load_explicit(&f->state, memory_order_relaxed) == state;
}

/* The tree whose gets find nothing more often than those of all others is the one that counts. */
static void count_misses(struct store *s, const struct tree *t, uint64_t life)
{
	struct filter *f      = &s->filter;
	uint64_t       missed = atomic_load_explicit(&f->missed, memory_order_relaxed);

	if (atomic_load_explicit(&f->asking, memory_order_relaxed) == life) {
		missed += MISSES;
	} else if (missed >= MISSES) {
		missed -= MISSES;
	} else {
		atomic_store_explicit(&f->asking, life, memory_order_relaxed);
		atomic_store_explicit(&f->asking_tree, atomic_load_explicit(&t->id, memory_order_relaxed), memory_order_relaxed);
		missed = MISSES;
	}
	atomic_store_explicit(&f->missed, missed, memory_order_relaxed);
	if (missed >= atomic_load_explicit(&f->patience, memory_order_relaxed))
		pace_tell(s);
}

void filter_count(struct store *s, const struct tree *t, uint64_t life, bool found)
{
	recent.missed = !found;
	if (!found && s->filter.words && ++recent.misses % MISSES == 0)
		count_misses(s, t, life);
}

/* ---- changing ---- */

static bool is_of(const struct filter *f, const struct store_mutation *m)
{
	return m->change == STORE_PUT && m->tree == atomic_load_explicit(&f->tree, memory_order_relaxed);
}

void filter_come(struct store *s, const struct store_mutation *muts, size_t n)
{
	struct filter *f = &s->filter;

	if (filter_phase(s) == FILTER_NONE)
		return;
	for (size_t i = 0; i < n; i++)
		if (is_of(f, &muts[i]))
			prefetch(line_of(f, hash_of(muts[i].key)));
}

void filter_put(struct store *s, const struct store_mutation *muts, size_t n)
{
	struct filter *f = &s->filter;

	if (filter_phase(s) == FILTER_NONE)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t hash;

		if (!is_of(f, &muts[i]))
			continue;
		hash = hash_of(muts[i].key);
		if (!has(f, hash))
			add(f, hash), f->added++;
	}
	if (f->added > 2 * f->room)
		enter_phase(f, FILTER_NONE);
}

/* ---- filling ---- */

/* No new filter before so many gets have found nothing from now on. */
static void wait_for_misses(struct filter *f, uint64_t patience)
{
	atomic_store_explicit(&f->patience, MIN(patience, PATIENCE_MAX), memory_order_relaxed);
	atomic_store_explicit(&f->missed, 0, memory_order_relaxed);
}

/* The one that is being filled. */
static void give_up(struct store *s, uint64_t patience)
{
	struct filter *f = &s->filter;

	pthread_mutex_lock(&s->lock);
	enter_phase(f, FILTER_NONE);
	pthread_mutex_unlock(&s->lock);
	free(f->list);
	f->list = NULL;
	wait_for_misses(f, patience);
}

/* Nobody looks at a bit any more, and nobody sets one. */
static void clear(struct store *s, uint64_t lines)
{
	struct filter *f = &s->filter;

	pthread_mutex_lock(&s->lock);
	enter_phase(f, FILTER_NONE);
	f->bytes = MAX(f->bytes, lines * LINE);
	cache_shrink(s);
	pthread_mutex_unlock(&s->lock);
	atomic_thread_fence(memory_order_release);
	for (uint64_t i = 0; i < lines * LINE_WORDS; i++)
		atomic_store_explicit(&f->words[i], 0, memory_order_relaxed);
}

/* From now on puts set their bits. false: the tree is not in that life any more. */
static bool begin(struct store *s, uint64_t tree, uint64_t life, uint64_t lines, uint64_t room)
{
	struct filter	  *f = &s->filter;
	const struct tree *t;
	bool		   lives;

	pthread_mutex_lock(&s->lock);
	t     = tree_peek(s, tree, 0);
	lives = t && finger_life(t) == life;
	atomic_store_explicit(&f->lines, lines, memory_order_relaxed);
	atomic_store_explicit(&f->life, life, memory_order_relaxed);
	atomic_store_explicit(&f->tree, tree, memory_order_relaxed);
	f->room	 = room;
	f->added = 0;
	f->after = (tarn_buf){ f->list + LIST_BYTES, 0 };
	enter_phase(f, lives ? FILTER_FILLING : FILTER_NONE);
	pthread_mutex_unlock(&s->lock);
	return lives;
}

static void begin_if_wanted(struct store *s)
{
	struct filter	  *f	= &s->filter;
	uint64_t	   tree = atomic_load_explicit(&f->asking_tree, memory_order_relaxed), keys, room, lines;
	uint64_t	   life = atomic_load_explicit(&f->asking, memory_order_relaxed), least;
	struct store_range all	= { .flags = TARN_RANGE_KEYS_ONLY };

	if (atomic_load_explicit(&f->missed, memory_order_relaxed) < atomic_load_explicit(&f->patience, memory_order_relaxed))
		return;
	if (store_count(s, (struct store_at){ tree, 0 }, &all, &keys, 0)) {
		wait_for_misses(f, PATIENCE * MISSES_MIN);
		return;
	}
	room  = MAX(keys / GROWTH, LIST_KEYS);
	lines = DIV_UP((keys + room) * KEY_ROOM, LINE_BITS);
	least = MAX(keys / KEYS_A_MISS, MISSES_MIN);
	if (lines > f->most) {
		wait_for_misses(f, PATIENCE * least);
		return;
	}
	atomic_store_explicit(&f->patience, least, memory_order_relaxed);
	if (atomic_load_explicit(&f->missed, memory_order_relaxed) < least)
		return;
	f->list = malloc(LIST_BYTES + STORE_KEY_MAX);
	if (!f->list) {
		wait_for_misses(f, PATIENCE * least);
		return;
	}
	clear(s, lines);
	if (!begin(s, tree, life, lines, room))
		give_up(s, MISSES_MIN);
}

/* Behind the last key that was listed; what is listed stands before the room for that key. */
static int list(struct store *s, tarn_listing *listing)
{
	struct filter	  *f  = &s->filter;
	struct store_range r  = { .start = f->after, .flags = TARN_RANGE_KEYS_ONLY | TARN_RANGE_AFTER };
	uint8_t		  *at = f->list;
	tarn_entry	   e;
	int		   rc;

	if (!r.start.len)
		r.flags = TARN_RANGE_KEYS_ONLY;
	rc = store_list(s, (struct store_at){ atomic_load_explicit(&f->tree, memory_order_relaxed), 0 }, &r, LIST_KEYS, f->list,
			LIST_BYTES, listing, 0);
	for (uint32_t i = 0; !rc && i < listing->count; i++, at += ROUND_UP(sizeof(e) + e.key_len, 8)) {
		memcpy(&e, at, sizeof(e));
		add(f, hash_of((tarn_buf){ at + sizeof(e), e.key_len }));
		if (i + 1 == listing->count)
			f->after.len = e.key_len, memcpy(f->list + LIST_BYTES, at + sizeof(e), e.key_len);
	}
	return rc;
}

/* Unless so many keys have been added meanwhile that it was given up. */
static void end(struct store *s)
{
	struct filter *f = &s->filter;

	pthread_mutex_lock(&s->lock);
	if (filter_phase(s) == FILTER_FILLING)
		enter_phase(f, FILTER_WHOLE);
	pthread_mutex_unlock(&s->lock);
	free(f->list);
	f->list = NULL;
	atomic_store_explicit(&f->missed, 0, memory_order_relaxed);
}

bool filter_step(struct store *s)
{
	struct filter *f       = &s->filter;
	tarn_listing   listing = { .more = 0 };

	if (!f->words)
		return false;
	if (!f->list) {
		begin_if_wanted(s);
		return f->list;
	}
	if (list(s, &listing))
		give_up(s, PATIENCE * atomic_load_explicit(&f->patience, memory_order_relaxed));
	else if (!listing.more)
		end(s);
	return f->list;
}

void filter_init(struct store *s, uint64_t budget)
{
	struct filter *f = &s->filter;

	f->most	    = budget / SHARE / LINE;
	f->words    = f->most ? device_map(f->most * LINE) : NULL;
	f->patience = MISSES_MIN;
}

void filter_fini(struct store *s)
{
	if (s->filter.words)
		device_unmap(s->filter.words, s->filter.most * LINE);
	free(s->filter.list);
	s->filter = (struct filter){ 0 };
}
