/* SPDX-License-Identifier: Apache-2.0 */
/* store/rows.c: single keys with their values, of leaves that memory has no room for.
 *
 * When few of many keys are wanted often, and they are scattered, a leaf in memory holds one of them and two dozen that nobody wants. So a get that had to
 * read a leaf keeps what it found as a row, and lets the leaf go. Rows begin with a small share of the budget once memory is full and gets have to
 * read, and get more while they are found, until few are, or many times as many batches change keys as rows are found. They stand in sets of
 * 2 KiB, by a hash of tree and key (linear hashing: one set after the other is split, and joined again when changes need memory); a set has a word: its
 * version, and who changes it. In a set rows stand in the order in which they go. A new one is among the first, for most are asked for once; one that was
 * found by the time its turn comes begins anew behind all others. Always true:
 *   - who reads a set takes no lock: what it has copied counts when the word was nobody's before and is the same afterwards;
 *   - a row is what the live tree has for its key. Who changes keys keeps their sets BUSY from before the first change to behind the last one,
 *     so no reader finds a row meanwhile, and none adds one; in between it changes or removes the rows;
 *   - a row that is added was read from the tree behind the look at the word, and the word has not changed since; and its key still belongs to that set
 *     when it is TAKEN: else it would be found, with an old value, when that set is joined with its own;
 *   - a set is split and joined BUSY; one that was joined away stays so, or has the word 0, until it is made again;
 *   - a row belongs to a life of a tree (finger.c), and to the time from which on there are rows: of others nobody believes anything. */
#include "rows.h"

#include <sched.h>
#include <xxhash.h>

#define SET_BYTES   2048u
#define ROWS_MAX    16u /* of a set */
#define UNIT	    8u	/* rows begin at multiples of it */
#define TRIAL	    4u /* one that is added goes after so many others, unless it is found before: most are never asked for again */
#define SHARE	    16u /* of the budget, at first */
#define SHARE_MOST  2u	/* and at the most */
#define GROWTH	    (SHARE / SHARE_MOST)
#define SETS_LEAST  16u
#define WORTH	    32u	  /* one hit for so many rows that were added, or they go */
#define CHANGES	    32u	  /* to one hit: they go */
#define WINDOW	    1024u /* rows that are added before their use is looked at, at the least; */
#define WINDOW_SET  8u	  /* else so many for each set: most of what there is room for */
#define YIELD_SETS  8u	  /* at once: more than a change takes of memory */
#define UNBACK_SETS 32u
#define REST	    64u /* times as many gets must miss until they are tried again */
#define SPINS	    100u

#define TAKEN	   UINT64_C(1) /* by who adds a row */
#define BUSY	   UINT64_C(2) /* a key of the set changes */
#define STEP	   UINT64_C(4)
#define WORD_SPLIT 32u /* above: the number of the split that made the set */

#define OWNER_MASK                                                                                                               \
	((UINT64_C(1) << LIFE_SHIFT) - 1) /* of a row's owner: which time it is that there are rows; above, the life of a tree */

struct row_set {
	_Atomic uint64_t word;
	uint8_t		 n, used;	   /* rows; units of data */
	_Atomic uint16_t wanted;	   /* a bit for each: it was found since it was added, or began anew */
	uint16_t	 tags[ROWS_MAX];   /* of the hashes */
	uint8_t		 starts[ROWS_MAX]; /* in units of data, in ascending order */
	uint32_t	 spare;
	uint8_t		 data[SET_BYTES - LINE];
};
_Static_assert(sizeof(struct row_set) == SET_BYTES && offsetof(struct row_set, data) == LINE, "a head of one line");

enum { ROW_OWNER = 0, ROW_REVISION = 8, ROW_KLEN = 16, ROW_VLEN = 18, ROW_KEY = 20 };
#define ROW_MOST ((SET_BYTES - LINE) / 2)

/* The shape: how many sets there were when all had been split as often, and how many of these have been split once more. */
#define SHAPE_SPLIT 32u

static uint64_t sets_of(uint64_t shape)
{
	return (uint32_t)shape + (shape >> SHAPE_SPLIT);
}

static struct row_set *set_of(const struct store *s, uint64_t hash)
{
	uint64_t shape = atomic_load(&s->rows.shape), n = (uint32_t)shape, i = hash & (n - 1);

	return &s->rows.sets[i < shape >> SHAPE_SPLIT ? hash & (2 * n - 1) : i];
}

static uint16_t tag_of(uint64_t hash)
{
	return (uint16_t)(hash >> 48);
}

static uint32_t row_bytes(size_t key_len, size_t len)
{
	return ROUND_UP(ROW_KEY + (uint32_t)(key_len + len), UNIT);
}

/* ---- looking ---- */

struct row_place row_find(struct store *s, uint64_t life, tarn_buf key)
{
	struct row_place at = { .owner = atomic_load_explicit(&s->rows.owner, memory_order_acquire) };

	if (!at.owner || !life)
		return at;
	at.open	 = true;
	at.owner = at.owner | life;
	at.hash	 = XXH3_64bits_withSeed(key.ptr, key.len, at.owner);
	at.set	 = set_of(s, at.hash);
	prefetch(at.set);
	return at;
}

static NODE_RACY bool is_row(const uint8_t *at, uint32_t room, uint64_t owner, tarn_buf key)
{
	uint8_t head[ROW_KEY];

	if (room < ROW_KEY + key.len)
		return false;
	page_copy(head, at, sizeof(head));
	if (get64(head + ROW_OWNER) != owner || get16(head + ROW_KLEN) != key.len)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if (((const volatile uint8_t *)at)[ROW_KEY + i] != ((const uint8_t *)key.ptr)[i])
			return false;
	return true;
}

/* The number of the row in its set; ROWS_MAX: there is none. *start: where it begins in data. */
static NODE_RACY unsigned search(const struct row_set *set, uint64_t hash, uint64_t owner, tarn_buf key, uint32_t *start)
{
	unsigned n = MIN(((const volatile struct row_set *)set)->n, ROWS_MAX);

	for (unsigned i = 0; i < n; i++) {
		if (((const volatile struct row_set *)set)->tags[i] != tag_of(hash))
			continue;
		*start = ((const volatile struct row_set *)set)->starts[i] * UNIT;
		if (*start < sizeof(set->data) && is_row(set->data + *start, sizeof(set->data) - *start, owner, key))
			return i;
	}
	return ROWS_MAX;
}

static NODE_RACY bool copy_row(const struct row_set *set, uint32_t start, tarn_buf key, struct row *row)
{
	uint8_t	 head[ROW_KEY];
	uint32_t value = start + ROW_KEY + (uint32_t)key.len;

	page_copy(head, set->data + start, sizeof(head));
	row->revision = get64(head + ROW_REVISION);
	row->len      = get16(head + ROW_VLEN);
	if (row->len > ROW_VALUE_MAX || value + row->len > sizeof(set->data))
		return false;
	page_copy(row->bytes, set->data + value, row->len);
	return true;
}

/* It has been joined with another one, and its memory given back. The first ones never are. */
static bool is_gone(const struct store *s, const struct row_place *at)
{
	return !at->word && at->set >= s->rows.sets + s->rows.most / GROWTH;
}

NODE_RACY bool row_get(struct store *s, struct row_place *at, tarn_buf key, struct row *row)
{
	struct row_set *set = at->set;
	uint32_t	start;
	unsigned	i;

	at->word = atomic_load_explicit(&set->word, memory_order_acquire);
	if (at->word & (TAKEN | BUSY) || is_gone(s, at)) {
		at->open = false;
		return false;
	}
	i = search(set, at->hash, at->owner, key, &start);
	if (i == ROWS_MAX || !copy_row(set, start, key, row))
		return false;
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&set->word, memory_order_relaxed) != at->word)
		return false;
	if (!(atomic_load_explicit(&set->wanted, memory_order_relaxed) >> i & 1))
		atomic_fetch_or_explicit(&set->wanted, (uint16_t)(1u << i), memory_order_relaxed);
	atomic_fetch_add_explicit(&s->rows.hits, 1, memory_order_relaxed);
	return true;
}

/* ---- changing a set: TAKEN or BUSY is ours ---- */

/* BUSY. Who adds a row ends soon; but his thread may be asleep. With store->lock, so nobody else does this. */
static void hold(struct row_set *set)
{
	uint64_t word = atomic_fetch_or(&set->word, BUSY);

	for (unsigned i = 1; word & TAKEN; i++) {
		if (i % SPINS)
			spin_pause();
		else
			sched_yield();
		word = atomic_load(&set->word);
	}
	atomic_thread_fence(memory_order_seq_cst);
}

static void let_go(struct row_set *set)
{
	uint64_t word = atomic_load_explicit(&set->word, memory_order_relaxed);

	if (word & BUSY) /* else it was of a key before, too */
		atomic_store_explicit(&set->word, (word & ~BUSY) + STEP, memory_order_release);
}

static uint16_t low_bits(unsigned i)
{
	return (uint16_t)((1u << i) - 1);
}

static void remove_bit(_Atomic uint16_t *bits, unsigned i)
{
	uint16_t was = atomic_load_explicit(bits, memory_order_relaxed);

	atomic_store_explicit(bits, (uint16_t)((was & low_bits(i)) | (was >> 1 & ~low_bits(i))), memory_order_relaxed);
}

static void insert_bit(_Atomic uint16_t *bits, unsigned i)
{
	uint16_t was = atomic_load_explicit(bits, memory_order_relaxed);

	atomic_store_explicit(bits, (uint16_t)((was & low_bits(i)) | (was & ~low_bits(i)) << 1), memory_order_relaxed);
}

static uint32_t end_of(const struct row_set *set, unsigned i)
{
	return i + 1 < set->n ? set->starts[i + 1] : set->used;
}

static void remove_row(struct row_set *set, unsigned i)
{
	uint32_t start = set->starts[i], end = end_of(set, i), units = end - start;

	memmove(set->data + start * UNIT, set->data + end * UNIT, (set->used - end) * UNIT);
	set->n--;
	set->used = (uint8_t)(set->used - units);
	for (unsigned k = i; k < set->n; k++) {
		set->tags[k]   = set->tags[k + 1];
		set->starts[k] = (uint8_t)(set->starts[k + 1] - units);
	}
	remove_bit(&set->wanted, i);
}

/* Those that stood there from i on come behind it. There is room. */
static uint8_t *insert_row(struct row_set *set, unsigned i, uint16_t tag, uint32_t units)
{
	uint32_t start = i < set->n ? set->starts[i] : set->used;

	memmove(set->data + (start + units) * UNIT, set->data + start * UNIT, (set->used - start) * UNIT);
	for (unsigned k = set->n; k > i; k--) {
		set->tags[k]   = set->tags[k - 1];
		set->starts[k] = (uint8_t)(set->starts[k - 1] + units);
	}
	set->tags[i]   = tag;
	set->starts[i] = (uint8_t)start;
	set->n++;
	set->used = (uint8_t)(set->used + units);
	insert_bit(&set->wanted, i);
	return set->data + start * UNIT;
}

static void move_first_behind(struct row_set *set)
{
	uint8_t	 row[ROW_MOST];
	uint16_t tag = set->tags[0];
	uint32_t len = end_of(set, 0) * UNIT;

	memcpy(row, set->data, len);
	remove_row(set, 0);
	memcpy(insert_row(set, set->n, tag, len / UNIT), row, len);
}

/* The first one goes, but one that was found since it became the first, or was added, goes behind all others instead. */
static void evict(struct row_set *set)
{
	for (unsigned n = set->n; n && atomic_load_explicit(&set->wanted, memory_order_relaxed) & 1; n--)
		move_first_behind(set);
	remove_row(set, 0);
}

static uint8_t *make_row(struct row_set *set, unsigned i, uint16_t tag, uint32_t units)
{
	while (set->n == ROWS_MAX || (set->used + units) * UNIT > sizeof(set->data))
		evict(set);
	return insert_row(set, MIN(i, set->n), tag, units);
}

static void write_row(struct row_set *set, const struct row_place *at, tarn_buf key, const struct row *row)
{
	uint8_t *to = make_row(set, TRIAL, tag_of(at->hash), row_bytes(key.len, row->len) / UNIT);

	put64(to + ROW_OWNER, at->owner);
	put64(to + ROW_REVISION, row->revision);
	put16(to + ROW_KLEN, (uint16_t)key.len);
	put16(to + ROW_VLEN, (uint16_t)row->len);
	memcpy(to + ROW_KEY, key.ptr, key.len);
	if (row->len)
		memcpy(to + ROW_KEY + key.len, row->bytes, row->len);
}

/* ---- when there are rows ---- */

/* store->lock. Who is adding a row ends before; who comes later finds another owner. */
static void stop(struct store *s)
{
	struct rows *r = &s->rows;

	atomic_store(&r->owner, 0);
	for (uint64_t i = 0; i < sets_of(r->shape); i++)
		hold(&r->sets[i]);
	device_unback(r->sets, r->most * SET_BYTES);
	r->bytes = 0;
	r->patience *= r->patience < UINT64_MAX / REST ? REST : 1;
	atomic_store(&r->missed, 0);
}

static void begin_window(struct store *s)
{
	struct rows *r = &s->rows;

	r->lsn = s->log.lsn;
	atomic_store(&r->hits, 0);
	atomic_store(&r->added, 0);
}

/* store->lock. */
static void start(struct store *s)
{
	struct rows *r	  = &s->rows;
	uint64_t     sets = 1;

	while (2 * sets * SET_BYTES <= s->cache.budget / SHARE)
		sets *= 2;
	if (sets < SETS_LEAST || sets > UINT32_MAX / SHARE || r->times == UINT32_MAX)
		return;
	r->most = sets * GROWTH;
	if (!r->sets)
		r->sets = device_map(r->most * SET_BYTES);
	if (!r->sets)
		return;
	r->bytes = r->floor = sets * SET_BYTES;
	r->grows	    = false;
	atomic_store(&r->shape, sets);
	begin_window(s);
	atomic_store_explicit(&r->owner, ++r->times, memory_order_release);
	cache_shrink(s);
}

/* Pages that came since memory was full take the place of others: when a quarter of all have, rows begin. */
void row_missed(struct store *s)
{
	struct rows *r = &s->rows;

	if (atomic_fetch_add_explicit(&r->missed, 1, memory_order_relaxed) < r->patience || pthread_mutex_trylock(&s->lock))
		return;
	if (!r->bytes && atomic_load(&r->missed) >= r->patience) {
		atomic_store(&r->missed, 0);
		if (cache_is_full(s))
			start(s);
	}
	pthread_mutex_unlock(&s->lock);
}

static tarn_buf key_at(const struct row_set *set, unsigned i)
{
	const uint8_t *at = set->data + set->starts[i] * UNIT;

	return (tarn_buf){ at + ROW_KEY, get16(at + ROW_KLEN) };
}

/* Those that belong there. */
static void move_rows(struct row_set *from, struct row_set *to, uint64_t bit)
{
	for (unsigned i = 0; i < from->n;) {
		uint8_t *at  = from->data + from->starts[i] * UNIT;
		tarn_buf key = key_at(from, i);
		uint32_t len = (end_of(from, i) - from->starts[i]) * UNIT;

		if (XXH3_64bits_withSeed(key.ptr, key.len, get64(at + ROW_OWNER)) & bit) {
			memcpy(make_row(to, ROWS_MAX, from->tags[i], len / UNIT), at, len);
			remove_row(from, i);
		} else {
			i++;
		}
	}
}

/* Changes leave so much more for them. */
static bool has_room(const struct store *s, uint64_t more)
{
	return dirty_memory(s) + s->rows.bytes + more <= s->cache.budget / 4 * 3;
}

/* store->lock. A set that is made again has another word than it ever had: who remembers an old one notices. */
static void split(struct store *s)
{
	struct rows    *r     = &s->rows;
	uint64_t	shape = r->shape, n = (uint32_t)shape, i = shape >> SHAPE_SPLIT;
	struct row_set *from = &r->sets[i], *to = &r->sets[n + i];

	hold(from);
	hold(to);
	atomic_store(&to->word, ++r->splits << WORD_SPLIT | BUSY);
	move_rows(from, to, n);
	atomic_store(&r->shape, i + 1 < n ? shape + (UINT64_C(1) << SHAPE_SPLIT) : 2 * n);
	r->bytes += SET_BYTES;
	r->grows = r->grows && sets_of(r->shape) < r->most && has_room(s, s->cache.budget / 32);
	let_go(to);
	let_go(from);
	cache_shrink(s);
}

/* store->lock. The last set goes; of its rows those that would go last come to the set that it was split from. */
static void join(struct store *s)
{
	struct rows    *r     = &s->rows;
	uint64_t	shape = r->shape, n = (uint32_t)shape, i = shape >> SHAPE_SPLIT;
	struct row_set *from, *to;

	if (!i)
		n /= 2, i = n;
	i--;
	from = &r->sets[n + i], to = &r->sets[i];
	hold(from);
	hold(to);
	for (unsigned k = from->n / 2; k < from->n; k++) {
		uint32_t units = end_of(from, k) - from->starts[k];

		memcpy(make_row(to, ROWS_MAX, from->tags[k], units), from->data + from->starts[k] * UNIT, units * UNIT);
	}
	from->n = from->used = 0;
	atomic_store(&r->shape, i << SHAPE_SPLIT | n);
	r->bytes -= SET_BYTES;
	let_go(to);
	if ((n + i) % UNBACK_SETS == 0)
		device_unback(from, UNBACK_SETS * SET_BYTES);
}

void rows_yield(struct store *s)
{
	struct rows *r = &s->rows;

	for (unsigned i = 0; i < YIELD_SETS && r->bytes > r->floor && !has_room(s, 0); i++)
		join(s);
}

/* store->lock. */
static void end_window(struct store *s)
{
	struct rows *r	  = &s->rows;
	uint64_t     hits = atomic_load(&r->hits), changes = s->log.lsn - r->lsn;

	r->floor = r->most * SET_BYTES / (hits > changes ? 2 : 4);
	r->grows = sets_of(r->shape) < r->most;
	if (hits < atomic_load(&r->added) / WORTH || changes / CHANGES > hits)
		stop(s);
	begin_window(s);
}

void rows_at_checkpoint(struct store *s)
{
	struct rows *r = &s->rows;

	if (r->bytes && (s->log.lsn - r->lsn) / CHANGES > MAX(atomic_load(&r->hits), sets_of(r->shape)))
		stop(s);
}

/* One was added. */
static void count(struct store *s)
{
	struct rows *r	    = &s->rows;
	uint64_t     window = MAX(WINDOW_SET * (uint64_t)(uint32_t)atomic_load_explicit(&r->shape, memory_order_relaxed), WINDOW);
	bool	     last   = atomic_fetch_add_explicit(&r->added, 1, memory_order_relaxed) >= window;

	if ((!last && !r->grows) || pthread_mutex_trylock(&s->lock))
		return;
	if (r->bytes && r->grows)
		split(s);
	if (r->bytes && atomic_load(&r->added) >= window)
		end_window(s);
	pthread_mutex_unlock(&s->lock);
}

/* The word changes when somebody else changes the set, also when that is over; but that of a time without rows begins anew. */
void row_add(struct store *s, const struct row_place *at, tarn_buf key, const struct row *row)
{
	uint64_t word = at->word, owner;

	if (row->len > ROW_VALUE_MAX || row_bytes(key.len, row->len) > ROW_MOST ||
	    !atomic_compare_exchange_strong(&at->set->word, &word, word | TAKEN))
		return;
	owner = atomic_load(&s->rows.owner);
	if (owner && owner == (at->owner & OWNER_MASK) && set_of(s, at->hash) == at->set) {
		atomic_thread_fence(memory_order_release);
		write_row(at->set, at, key, row);
		atomic_fetch_add(&at->set->word, STEP - TAKEN); /* it may be BUSY by now */
	} else {
		atomic_fetch_sub(&at->set->word, TAKEN);
	}
	count(s);
}

/* ---- changes ---- */

/* false: there can be no row. */
static bool find(struct store *s, const struct store_mutation *m, struct row_place *at)
{
	const struct tree *t = changes_key(m) ? tree_peek(s, m->tree, 0) : NULL;

	if (!t)
		return false;
	*at = row_find(s, atomic_load_explicit(&t->life, memory_order_relaxed), m->key);
	return at->open;
}

static void change_row(const struct store_mutation *m, const struct row_place *at, uint64_t revision)
{
	struct row_set *set = at->set;
	uint32_t	start;
	unsigned	i	= search(set, at->hash, at->owner, m->key, &start);
	bool		inlined = m->change == STORE_PUT && !m->value;

	if (i == ROWS_MAX)
		return;
	if (revision && inlined && m->val.len <= ROW_VALUE_MAX &&
	    row_bytes(m->key.len, m->val.len) == (end_of(set, i) - set->starts[i]) * UNIT) {
		put64(set->data + start + ROW_REVISION, revision);
		put16(set->data + start + ROW_VLEN, (uint16_t)m->val.len);
		if (m->val.len)
			memcpy(set->data + start + ROW_KEY + m->key.len, m->val.ptr, m->val.len);
	} else {
		remove_row(set, i);
	}
}

/* When the batch is over, its trees are in other lives, or are found that are not found now. */
static bool changes_lives(struct store *s, const struct store_mutation *muts, size_t n)
{
	bool drops = false, keys = false, found = true;

	for (size_t i = 0; i < n; i++) {
		drops |= muts[i].change == STORE_DROP;
		keys |= changes_key(&muts[i]);
		found = found && (!changes_key(&muts[i]) || tree_peek(s, muts[i].tree, 0));
	}
	return keys && (drops || !found);
}

void rows_begin(struct store *s, const struct store_mutation *muts, size_t n)
{
	struct row_place at;

	if (s->rows.bytes && changes_lives(s, muts, n))
		stop(s);
	for (size_t i = 0; s->rows.bytes && i < n; i++)
		if (find(s, &muts[i], &at))
			hold(at.set);
}

/* All rows are as the trees are before the first of them can be found. */
void rows_end(struct store *s, const struct store_mutation *muts, size_t n, uint64_t revision)
{
	struct row_place at;

	for (size_t i = 0; s->rows.bytes && i < n; i++)
		if (find(s, &muts[i], &at))
			change_row(&muts[i], &at, revision);
	for (size_t i = 0; s->rows.bytes && i < n; i++)
		if (find(s, &muts[i], &at))
			let_go(at.set);
}

void rows_init(struct store *s, uint64_t budget)
{
	s->rows.patience = budget / BLOCK / 4;
}

void rows_fini(struct store *s)
{
	if (s->rows.sets)
		device_unmap(s->rows.sets, s->rows.most * SET_BYTES);
	s->rows = (struct rows){ 0 };
}
