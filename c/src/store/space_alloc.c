/* SPDX-License-Identifier: Apache-2.0 */
/* store/space_alloc.c: which block is handed out.
 *
 * A sweep goes through a chunk from its beginning to its end, then on to the one with the most free blocks. What a search for a run has
 * found out (the longest of a chunk, the longest of all) is kept until something becomes free, so a search that fails costs nothing the
 * next time. */
#include "space_chunk.h"

struct hole {
	uint32_t first, n;
};

/* The first used block at or after from; end: there is none before that. */
static uint32_t next_used(const uint64_t *used, uint32_t from, uint32_t end)
{
	while (from < end) {
		uint64_t word = used[from / 64] >> from % 64;

		if (word)
			return MIN(from + (uint32_t)__builtin_ctzll(word), end);
		from = (from / 64 + 1) * 64;
	}
	return end;
}

/* Those bits that are set with the n - 1 after them (n up to 64), of which the last lie in the next word. */
static uint64_t starts_of(uint64_t bits, uint64_t next, uint32_t n)
{
	for (uint32_t have = 1, step; have < n && bits; have += step) {
		step = MIN(have, n - have);
		bits &= bits >> step | next << (64 - step);
		next &= next >> step;
	}
	return bits;
}

/* Where n blocks (up to 64) are free, at or after from; MAP_BITS: nowhere. A word at a time, however short the runs in it are. */
static uint32_t next_room(const uint64_t *used, uint32_t from, uint32_t n)
{
	uint64_t from_here = ~UINT64_C(0) << from % 64;

	for (uint32_t w = from / 64; w < MAP_WORDS; w++, from_here = ~UINT64_C(0)) {
		uint64_t bits = starts_of(~used[w] & from_here, w + 1 < MAP_WORDS ? ~used[w + 1] : 0, n);

		if (bits)
			return w * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return MAP_BITS;
}

/* The first run of min blocks or more at or after from, cut at max; n 0: there is none. */
static struct hole find_run(struct space_chunk *ck, uint32_t from, uint32_t min, uint32_t max)
{
	bool all = !from;

	while ((from = next_room(ck->used, from, MIN(min, 64))) < MAP_BITS) {
		uint32_t n = next_used(ck->used, from, MIN(from + max, MAP_BITS)) - from;

		if (n >= min)
			return (struct hole){ from, n };
		from += n;
	}
	if (all)
		ck->longest = MIN(ck->longest, min - 1);
	return (struct hole){ 0 };
}

/* How many blocks in a run: min at the least, max at the best. */
struct wish {
	uint32_t min, max;
};

static bool may_have_run(const struct space *sp, uint32_t c, uint32_t n)
{
	return sp->free_in[c] >= n && (!sp->chunk[c] || sp->chunk[c]->longest >= n);
}

static uint32_t alloc_in(struct space *sp, uint32_t c, uint32_t from, struct wish wish, uint64_t *block)
{
	struct space_chunk *ck = may_have_run(sp, c, wish.min) ? chunk_get(sp, c) : NULL;
	struct hole	    run;

	if (!ck)
		return 0;
	run = find_run(ck, from, wish.min, wish.max);
	if (!run.n)
		return 0;
	chunk_use(sp, c, run.first, run.n);
	*block	   = (uint64_t)c * MAP_BITS + run.first;
	sp->cursor = *block + run.n;
	return run.n;
}

/* The chunk being swept: it ends with the cursor when all of it has been. */
static uint32_t chunk_swept(const struct space *sp)
{
	return sp->cursor ? (uint32_t)((sp->cursor - 1) / MAP_BITS) : 0;
}

/* The i-th chunk behind that. */
static uint32_t chunk_behind(const struct space *sp, uint32_t i)
{
	return (chunk_swept(sp) + 1 + i) % sp->chunks;
}

/* Where there is most room; of several such the first, so that a new pool fills from the front. */
static uint32_t alloc_in_best(struct space *sp, struct wish wish, uint64_t *block)
{
	uint32_t best = 0, most = 0, c = chunk_behind(sp, 0);

	for (uint32_t i = 0; i < sp->chunks; i++, c = c + 1 < sp->chunks ? c + 1 : 0)
		if (sp->free_in[c] > most && may_have_run(sp, c, wish.min)) {
			most = sp->free_in[c];
			best = c;
		}
	return most ? alloc_in(sp, best, 0, wish, block) : 0;
}

static uint32_t alloc_in_any(struct space *sp, struct wish wish, uint64_t *block)
{
	uint32_t n = 0;

	for (uint32_t i = 0; !n && i < sp->chunks; i++)
		n = alloc_in(sp, chunk_behind(sp, i), 0, wish, block);
	return n;
}

static uint32_t free_at_end(const uint64_t *used)
{
	uint32_t w = MAP_WORDS;

	while (w && !used[w - 1])
		w--;
	return (MAP_WORDS - w) * 64 + (w ? (uint32_t)__builtin_clzll(used[w - 1]) : 0);
}

/* The run that ends chunk c and the one that begins the next. */
static bool alloc_across(struct space *sp, uint32_t c, uint32_t n, uint64_t *block)
{
	struct space_chunk *ck, *next;
	uint32_t	    before;

	if (!sp->free_in[c] || !sp->free_in[c + 1] || sp->free_in[c] + sp->free_in[c + 1] < n)
		return false;
	ck   = chunk_get(sp, c);
	next = chunk_get(sp, c + 1);
	if (!ck || !next)
		return false;
	before = free_at_end(ck->used);
	if (before + next_used(next->used, 0, MAP_BITS) < n)
		return false;
	*block = (uint64_t)(c + 1) * MAP_BITS - before;
	space_take(sp, *block, n);
	sp->cursor = *block + n;
	return true;
}

static uint32_t alloc_between(struct space *sp, struct wish wish, uint64_t *block)
{
	for (uint32_t c = 0; c + 1 < sp->chunks; c++)
		if (alloc_across(sp, c, wish.min, block))
			return wish.min;
	return 0;
}

/* There is no run of n blocks; but a chunk that could not be looked into may have one. */
static void remember_none(struct space *sp, uint32_t n)
{
	for (uint32_t c = 0; c < sp->chunks; c++)
		if (!sp->chunk[c] && sp->free_in[c])
			return;
	sp->run_max = n - 1;
}

static uint32_t alloc(struct space *sp, struct wish wish, uint64_t *block)
{
	uint32_t c = chunk_swept(sp), n;

	if (sp->broken || sp->free < wish.min || sp->run_max < wish.min)
		return 0;
	n = alloc_in(sp, c, (uint32_t)(sp->cursor - (uint64_t)c * MAP_BITS), wish, block);
	n = n ? n : alloc_in_best(sp, wish, block);
	n = n ? n : alloc_in_any(sp, wish, block);
	n = n ? n : alloc_between(sp, wish, block);
	if (!n)
		remember_none(sp, wish.min);
	return n;
}

uint64_t space_alloc(struct space *sp, uint64_t want, uint64_t *block)
{
	return want ? alloc(sp, (struct wish){ 1, (uint32_t)MIN(want, MAP_BITS) }, block) : 0;
}

bool space_alloc_run(struct space *sp, uint64_t n, uint64_t *block)
{
	return n && n <= MAP_BITS && alloc(sp, (struct wish){ (uint32_t)n, (uint32_t)n }, block);
}
