/* SPDX-License-Identifier: Apache-2.0 */
/* store/space.c: what a block is, and what becomes of it.
 *
 * A chunk is dirty when its page on disk may differ from the map that a checkpoint would write now. While a checkpoint is under way,
 * others hide, show and free later: that changes nothing of the map that it writes, so its pages need not be copied at one instant. */
#include "space_chunk.h"

/* ---- chunks ---- */

uint32_t chunk_bits(const struct space *sp, uint32_t c)
{
	return (uint32_t)MIN(MAP_BITS, sp->blocks - (uint64_t)c * MAP_BITS);
}

static void touch(struct space *sp, uint32_t c)
{
	sp->dirty[c] |= DIRTY;
}

uint32_t count_free(const uint64_t *used)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < MAP_WORDS; w++)
		n += (uint32_t)__builtin_popcountll(~used[w]);
	return n;
}

void set_free_in(struct space *sp, uint32_t c, uint32_t n)
{
	sp->free += (uint64_t)n - sp->free_in[c];
	sp->known += sp->chunk[c] ? (uint64_t)n - sp->free_in[c] : 0;
	sp->free_in[c] = n;
	sp->run_max    = UINT32_MAX;
}

/* A zeroed page: of the reserve while that lasts, so that who had to fill it and did not is found out at once. */
static void *page_take(struct space *sp)
{
	void *page;

	if (sp->spares)
		return sp->spare[--sp->spares];
	page = device_alloc(BLOCK);
	sp->bytes += page ? BLOCK : 0;
	return page;
}

static void page_give(struct space *sp, void *page)
{
	if (!page)
		return;
	if (sp->spares < SPARE_PAGES) {
		sp->spare[sp->spares++] = memset(page, 0, BLOCK);
		return;
	}
	sp->bytes -= BLOCK;
	device_free(page);
}

static struct space_chunk *chunk_take(struct space *sp)
{
	struct space_chunk *ck;

	if (sp->spare_chunks)
		return sp->spare_chunk[--sp->spare_chunks];
	ck = calloc(1, sizeof(*ck));
	sp->bytes += ck ? sizeof(*ck) : 0;
	return ck;
}

static int spare_page(struct space *sp)
{
	void *page = device_alloc(BLOCK);

	if (!page)
		return fail(NOMEM, "no memory to keep %d pages for the space map", SPARE_PAGES);
	sp->bytes += BLOCK;
	page_give(sp, page);
	return 0;
}

static int spare_chunk(struct space *sp)
{
	struct space_chunk *ck = calloc(1, sizeof(*ck));

	if (!ck)
		return fail(NOMEM, "no memory to keep %d parts of the space map", SPARE_CHUNKS);
	sp->bytes += sizeof(*ck);
	sp->spare_chunk[sp->spare_chunks++] = ck;
	return 0;
}

int space_reserve(struct space *sp)
{
	int rc = 0;

	while (!rc && sp->spares < SPARE_PAGES)
		rc = spare_page(sp);
	while (!rc && sp->spare_chunks < SPARE_CHUNKS)
		rc = spare_chunk(sp);
	return rc;
}

static void reserve_free(struct space *sp)
{
	while (sp->spares)
		device_free(sp->spare[--sp->spares]);
	while (sp->spare_chunks)
		free(sp->spare_chunk[--sp->spare_chunks]);
}

static void chunk_delete(struct space *sp, struct space_chunk *ck)
{
	if (!ck)
		return;
	for (unsigned p = 0; p < PLANES; p++)
		page_give(sp, ck->plane[p]);
	page_give(sp, ck->used);
	*ck = (struct space_chunk){ 0 };
	if (sp->spare_chunks < SPARE_CHUNKS) {
		sp->spare_chunk[sp->spare_chunks++] = ck;
		return;
	}
	sp->bytes -= sizeof(*ck);
	free(ck);
}

static struct space_chunk *chunk_new(struct space *sp)
{
	struct space_chunk *ck = chunk_take(sp);

	if (!ck)
		return NULL;
	ck->used    = page_take(sp);
	ck->longest = MAP_BITS;
	if (ck->used)
		return ck;
	chunk_delete(sp, ck);
	return NULL;
}

/* Damage stays: from now on nothing of the chunk is handed out, and what is freed in it stays in use. Anything else may pass. */
static void chunk_lose(struct space *sp, uint32_t c, int rc)
{
	bool for_good = rc == -TARN_E_CSUM, known = sp->dirty[c] & RETRY;

	sp->lost_rc = rc;
	sp->lost += !known;
	sp->dirty[c] = (uint8_t)((sp->dirty[c] & ~RETRY) | (for_good ? LOST : RETRY));
	if (for_good || !known)
		base_log(TARN_LOG_ERROR, "%u blocks from block %llu on cannot be used%s: %s", chunk_bits(sp, c),
			 (unsigned long long)c * MAP_BITS, for_good ? "" : " now", base_message());
	if (for_good)
		set_free_in(sp, c, 0);
}

/* It can be read after all. */
static void chunk_find(struct space *sp, uint32_t c)
{
	if (!(sp->dirty[c] & RETRY))
		return;
	sp->dirty[c] &= (uint8_t)~RETRY;
	sp->lost--;
	sp->lost_rc = sp->lost || sp->broken ? sp->lost_rc : 0;
}

static void chunk_take_in(struct space *sp, uint32_t c, struct space_chunk *ck)
{
	for (uint32_t w = 0; w < MAP_WORDS; w++)
		ck->used[w] = get64(&ck->used[w]);
	for (uint32_t i = chunk_bits(sp, c); i < MAP_BITS; i++)
		ck->used[i / 64] |= UINT64_C(1) << i % 64;
	ck->written = count_free(ck->used);
	set_free_in(sp, c, ck->written);
	sp->chunk[c] = ck;
	sp->known += ck->written;
}

static void chunk_load(struct space *sp, uint32_t c)
{
	struct space_chunk *ck = chunk_new(sp);
	int		    rc;

	rc = ck ? chunk_read(sp, c, ck->used) : fail(NOMEM, "no memory for a page of the space map");
	if (!rc) {
		chunk_take_in(sp, c, ck);
		chunk_find(sp, c);
		return;
	}
	chunk_delete(sp, ck);
	chunk_lose(sp, c, rc);
}

struct space_chunk *chunk_get(struct space *sp, uint32_t c)
{
	if (!sp->chunk[c] && !(sp->dirty[c] & LOST))
		chunk_load(sp, c);
	return sp->chunk[c];
}

bool space_know(struct space *sp, uint64_t n)
{
	for (uint32_t c = 0; c < sp->chunks && sp->known < n && n <= sp->free; c++)
		if (sp->free_in[c])
			(void)chunk_get(sp, c);
	return sp->known >= n;
}

/* ---- planes ---- */

static void plane_count(struct space *sp, struct space_chunk *ck, enum plane p, int64_t n)
{
	ck->count[p] += (uint32_t)n;
	sp->freed += p == FREED ? (uint64_t)n : 0;
	sp->leaving += p == LEAVING ? (uint64_t)n : 0;
	sp->held += p == HELD || p == WAITING ? (uint64_t)n : 0;
	sp->waiting += p == WAITING ? (uint64_t)n : 0;
}

/* Nothing is handed out any more: it might be what could not be taken. */
static void break_map(struct space *sp, int rc)
{
	sp->broken  = sp->broken ? sp->broken : rc;
	sp->lost_rc = sp->broken;
}

/* What becomes of blocks cannot be noted; the thread has a sentence why. A store that is being opened hears of it from the checkpoint that
 * ends the replay, with this code. */
static void break_store(struct space *sp, int rc)
{
	break_map(sp, rc);
	if (!sp->store->replaying)
		store_poison(sp->store, rc);
}

static void plane_set(struct space *sp, struct space_chunk *ck, enum plane p, uint32_t w, uint64_t bits)
{
	bits &= ~plane_word(ck, p, w);
	if (!bits)
		return;
	if (!ck->plane[p])
		ck->plane[p] = page_take(sp);
	if (!ck->plane[p]) {
		break_store(sp, fail(NOMEM, "no memory for the space map to note what becomes of %d blocks",
				     __builtin_popcountll(bits)));
		return;
	}
	ck->plane[p][w] |= bits;
	plane_count(sp, ck, p, __builtin_popcountll(bits));
}

static void plane_drop(struct space *sp, struct space_chunk *ck, enum plane p)
{
	plane_count(sp, ck, p, -(int64_t)ck->count[p]);
	page_give(sp, ck->plane[p]);
	ck->plane[p] = NULL;
}

static void plane_clear(struct space *sp, struct space_chunk *ck, enum plane p, uint32_t w, uint64_t bits)
{
	bits &= plane_word(ck, p, w);
	if (!bits)
		return;
	ck->plane[p][w] &= ~bits;
	plane_count(sp, ck, p, -(int64_t)__builtin_popcountll(bits));
	if (!ck->count[p])
		plane_drop(sp, ck, p);
}

/* What is in one plane goes to the other. Needs no memory. */
static void plane_move(struct space *sp, struct space_chunk *ck, enum plane from, enum plane to)
{
	if (!ck->plane[from])
		return;
	if (!ck->plane[to]) {
		uint32_t n = ck->count[from];

		plane_count(sp, ck, from, -(int64_t)n);
		plane_count(sp, ck, to, n);
		ck->plane[to]	= ck->plane[from];
		ck->plane[from] = NULL;
		return;
	}
	for (uint32_t w = 0; w < MAP_WORDS; w++)
		plane_set(sp, ck, to, w, ck->plane[from][w]);
	plane_drop(sp, ck, from);
}

/* ---- what becomes of a word's bits ---- */

typedef void word_fn(struct space *sp, uint32_t c, uint32_t w, uint64_t bits);

static void use_word(struct space *sp, uint32_t c, uint32_t w, uint64_t bits)
{
	struct space_chunk *ck	  = sp->chunk[c];
	uint32_t	    fresh = (uint32_t)__builtin_popcountll(bits & ~ck->used[w]);

	ck->used[w] |= bits;
	sp->free_in[c] -= fresh;
	sp->free -= fresh;
	sp->known -= fresh;
	touch(sp, c);
}

static void give_word(struct space *sp, uint32_t c, uint32_t w, uint64_t bits)
{
	struct space_chunk *ck = sp->chunk[c];

	if (!bits)
		return;
	plane_clear(sp, ck, HIDDEN, w, bits);
	plane_clear(sp, ck, SHOWN, w, bits);
	ck->used[w] &= ~bits;
	ck->longest = MAP_BITS;
	set_free_in(sp, c, sp->free_in[c] + (uint32_t)__builtin_popcountll(bits));
}

/* Those of the bits that may be freed: the others have been. */
static uint64_t freeable(const struct space *sp, uint32_t c, uint32_t w, uint64_t bits)
{
	const struct space_chunk *ck = sp->chunk[c];
	uint64_t twice = ~ck->used[w] | plane_word(ck, FREED, w) | plane_word(ck, LEAVING, w) | plane_word(ck, HELD, w) |
			 plane_word(ck, WAITING, w);

	if (bits & twice)
		base_log(TARN_LOG_ERROR, "block %llu is freed again: check this store",
			 (unsigned long long)c * MAP_BITS + w * 64u + (unsigned)__builtin_ctzll(bits & twice));
	return bits & ~twice;
}

static void free_now_word(struct space *sp, uint32_t c, uint32_t w, uint64_t bits)
{
	give_word(sp, c, w, freeable(sp, c, w, bits));
	touch(sp, c);
}

static void free_later_word(struct space *sp, uint32_t c, uint32_t w, uint64_t bits)
{
	plane_set(sp, sp->chunk[c], FREED, w, freeable(sp, c, w, bits));
}

static void free_leaving_word(struct space *sp, uint32_t c, uint32_t w, uint64_t bits)
{
	plane_set(sp, sp->chunk[c], LEAVING, w, freeable(sp, c, w, bits));
	touch(sp, c);
}

static void hide_word(struct space *sp, uint32_t c, uint32_t w, uint64_t bits)
{
	plane_set(sp, sp->chunk[c], HIDDEN, w, bits & sp->chunk[c]->used[w]);
	touch(sp, c);
}

static void show_word(struct space *sp, uint32_t c, uint32_t w, uint64_t bits)
{
	struct space_chunk *ck = sp->chunk[c];

	bits &= plane_word(ck, HIDDEN, w);
	if (sp->writing)
		plane_set(sp, ck, SHOWN, w, bits);
	plane_clear(sp, ck, HIDDEN, w, bits);
	touch(sp, c);
}

/* ---- runs ---- */

/* fn for each word of one chunk that has bits of the run in it. */
static void each_word(struct space *sp, uint32_t c, uint32_t first, uint32_t n, word_fn *fn)
{
	for (uint32_t i = first, end = first + n, m; i < end; i += m) {
		m = MIN(64 - i % 64, end - i);
		fn(sp, c, i / 64, (~UINT64_C(0) >> (64 - m)) << i % 64);
	}
}

void chunk_use(struct space *sp, uint32_t c, uint32_t first, uint32_t n)
{
	each_word(sp, c, first, n, use_word);
}

/* A chunk that is lost is used and cannot be freed from. One that cannot be read now has its true map on disk, which must stay as it is:
 * the next open reads it. Blocks are taken only when a store is made or opened: the checkpoint that follows fails. */
static void part_without_chunk(struct space *sp, uint32_t c, word_fn *fn)
{
	if (sp->dirty[c] & LOST)
		sp->dirty[c] |= fn == use_word ? DIRTY : 0;
	else if (fn == use_word)
		break_map(sp, sp->lost_rc);
	else
		break_store(sp, sp->lost_rc);
}

static void each_part(struct space *sp, uint64_t block, uint64_t n, word_fn *fn)
{
	while (n) {
		uint32_t c = (uint32_t)(block / MAP_BITS), first = block % MAP_BITS, len = (uint32_t)MIN(n, MAP_BITS - first);

		if (chunk_get(sp, c))
			each_word(sp, c, first, len, fn);
		else
			part_without_chunk(sp, c, fn);
		block += len;
		n -= len;
	}
}

void space_take(struct space *sp, uint64_t block, uint64_t n)
{
	each_part(sp, block, n, use_word);
}

void space_free_now(struct space *sp, uint64_t block, uint64_t n)
{
	each_part(sp, block, n, free_now_word);
}

void space_free_later(struct space *sp, uint64_t block, uint64_t n)
{
	each_part(sp, block, n, free_later_word);
}

void space_free_leaving(struct space *sp, uint64_t block, uint64_t n)
{
	each_part(sp, block, n, free_leaving_word);
}

void space_hide(struct space *sp, uint64_t block, uint64_t n)
{
	each_part(sp, block, n, hide_word);
}

void space_show(struct space *sp, uint64_t block, uint64_t n)
{
	each_part(sp, block, n, show_word);
}

/* ---- checkpoints and readers ---- */

static void release(struct space *sp, uint32_t c, enum plane p)
{
	struct space_chunk *ck = sp->chunk[c];

	if (!ck->plane[p])
		return;
	for (uint32_t w = 0; w < MAP_WORDS; w++)
		give_word(sp, c, w, ck->plane[p][w]);
	plane_drop(sp, ck, p);
}

void space_freeze(struct space *sp)
{
	sp->writing = true;
	for (uint32_t c = 0; c < sp->chunks && sp->freed; c++) {
		if (!sp->chunk[c] || !sp->chunk[c]->plane[FREED])
			continue;
		plane_move(sp, sp->chunk[c], FREED, LEAVING);
		touch(sp, c);
	}
}

/* When no reader of the round before is left: what it held is free, and this round becomes the one before. */
static void next_round(struct space *sp)
{
	while (sp->held && !sp->readers_before) {
		for (uint32_t c = 0; c < sp->chunks && sp->held; c++)
			if (sp->chunk[c]) {
				release(sp, c, HELD);
				plane_move(sp, sp->chunk[c], WAITING, HELD);
			}
		sp->readers_before = sp->readers;
		sp->readers	   = 0;
		sp->round++;
	}
}

static void thaw_chunk(struct space *sp, uint32_t c)
{
	struct space_chunk *ck = sp->chunk[c];

	if (ck->plane[SHOWN]) {
		plane_drop(sp, ck, SHOWN);
		touch(sp, c);
	}
	if (sp->readers || sp->readers_before)
		plane_move(sp, ck, LEAVING, WAITING);
	else
		release(sp, c, LEAVING);
}

/* What it did not reach the next one does. What was leaving leaves with that. */
void space_give_up(struct space *sp)
{
	sp->writing = false;
	for (uint32_t c = 0; c < sp->chunks; c++) {
		if (!sp->chunk[c] || !sp->chunk[c]->plane[SHOWN])
			continue;
		plane_drop(sp, sp->chunk[c], SHOWN);
		touch(sp, c);
	}
}

void space_thaw(struct space *sp)
{
	sp->writing = false;
	for (uint32_t c = 0; c < sp->chunks; c++)
		if (sp->chunk[c])
			thaw_chunk(sp, c);
	next_round(sp);
}

unsigned space_hold(struct space *sp)
{
	sp->readers++;
	return sp->round;
}

/* Rounds change only when none is left of the one before: a reader is of this one, or of the last. */
void space_unhold(struct space *sp, unsigned round)
{
	if (round == sp->round)
		sp->readers--;
	else
		sp->readers_before--;
	next_round(sp);
}

/* ---- the whole ---- */

static void *array(struct space *sp, uint64_t n, size_t bytes)
{
	void *p = calloc(n, bytes);

	sp->bytes += p ? n * bytes : 0;
	return p;
}

int space_init(struct space *sp, struct store *s, uint64_t blocks)
{
	*sp = (struct space){ .store = s, .blocks = blocks, .run_max = UINT32_MAX };

	sp->chunks	= (uint32_t)DIV_UP(blocks, MAP_BITS);
	sp->index_pages = DIV_UP(sp->chunks, INDEX_ENTRIES);
	sp->chunk	= array(sp, sp->chunks, sizeof(struct space_chunk *));
	sp->index	= array(sp, sp->chunks, sizeof(struct bptr));
	sp->free_in	= array(sp, sp->chunks, sizeof(uint32_t));
	sp->dirty	= array(sp, sp->chunks, 1);
	sp->index_page	= array(sp, sp->index_pages, sizeof(struct bptr));
	sp->index_dirty = array(sp, sp->index_pages, 1);
	if (!sp->chunk || !sp->index || !sp->free_in || !sp->dirty || !sp->index_page || !sp->index_dirty) {
		space_fini(sp);
		return fail(NOMEM, "no memory for the space map of %llu blocks", (unsigned long long)blocks);
	}
	for (uint32_t c = 0; c < sp->chunks; c++)
		set_free_in(sp, c, chunk_bits(sp, c));
	memset(sp->index_dirty, DIRTY, sp->index_pages); /* on disk there is none yet */
	return 0;
}

void space_fini(struct space *sp)
{
	for (uint32_t c = 0; sp->chunk && c < sp->chunks; c++)
		chunk_delete(sp, sp->chunk[c]);
	free(sp->chunk);
	free(sp->index);
	free(sp->free_in);
	free(sp->dirty);
	free(sp->index_page);
	free(sp->index_dirty);
	reserve_free(sp);
	device_free(sp->seen);
	*sp = (struct space){ 0 };
}
