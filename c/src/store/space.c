/* SPDX-License-Identifier: Apache-2.0 */
/* store/space.c: which blocks are in use.
 *
 * Three bits a block. used: not to be handed out. pending: freed, but the last superblock still reaches it, or a reader does.
 * hidden: handed out for a value that no tree refers to yet. The map on disk is used & ~pending & ~hidden; a page of it is dirty when
 * one of its bits may differ from what was written last. Runs are handed out from a cursor onwards, so that what is written
 * together lies together. */
#include "internal.h"

static bool bit(const uint64_t *map, uint64_t i)
{
	return map[i / 64] >> i % 64 & 1;
}

static void bit_set(uint64_t *map, uint64_t i)
{
	map[i / 64] |= UINT64_C(1) << i % 64;
}

static void bit_clear(uint64_t *map, uint64_t i)
{
	map[i / 64] &= ~(UINT64_C(1) << i % 64);
}

int space_init(struct space *sp, uint64_t blocks)
{
	*sp	    = (struct space){ .blocks = blocks, .free = blocks };
	sp->words   = DIV_UP(blocks, 64);
	sp->pages   = (uint32_t)DIV_UP(blocks, MAP_BITS);
	sp->used    = calloc(sp->words, 8);
	sp->pending = calloc(sp->words, 8);
	sp->hidden  = calloc(sp->words, 8);
	sp->index   = calloc(sp->pages, sizeof(*sp->index));
	sp->dirty   = calloc(sp->pages, 1);
	if (sp->used && sp->pending && sp->hidden && sp->index && sp->dirty)
		return 0;
	space_fini(sp);
	return fail(NOMEM, "no memory for the space map of %llu blocks", (unsigned long long)blocks);
}

void space_fini(struct space *sp)
{
	free(sp->used);
	free(sp->pending);
	free(sp->hidden);
	free(sp->index);
	free(sp->dirty);
	*sp = (struct space){ 0 };
}

static void touch(struct space *sp, uint64_t block, uint64_t n)
{
	for (uint64_t p = block / MAP_BITS; p <= (block + n - 1) / MAP_BITS; p++)
		sp->dirty[p] = 1;
}

void space_take(struct space *sp, uint64_t block, uint64_t n)
{
	for (uint64_t i = block; i < block + n; i++) {
		sp->free -= !bit(sp->used, i);
		bit_set(sp->used, i);
	}
	touch(sp, block, n);
}

void space_free_now(struct space *sp, uint64_t block, uint64_t n)
{
	for (uint64_t i = block; i < block + n; i++) {
		bit_clear(sp->used, i);
		bit_clear(sp->hidden, i);
	}
	sp->free += n;
	touch(sp, block, n);
}

void space_free_later(struct space *sp, uint64_t block, uint64_t n)
{
	for (uint64_t i = block; i < block + n; i++)
		bit_set(sp->pending, i);
	sp->pending_count += n;
	touch(sp, block, n);
}

void space_hide(struct space *sp, uint64_t block, uint64_t n)
{
	for (uint64_t i = block; i < block + n; i++)
		bit_set(sp->hidden, i);
}

void space_show(struct space *sp, uint64_t block, uint64_t n)
{
	for (uint64_t i = block; i < block + n; i++)
		bit_clear(sp->hidden, i);
	touch(sp, block, n);
}

/* What is pending is free on disk already, so no page becomes dirty. */
void space_release(struct space *sp)
{
	for (uint64_t w = 0; w < sp->words; w++) {
		sp->used[w] &= ~sp->pending[w];
		sp->pending[w] = 0;
	}
	sp->free += sp->pending_count;
	sp->pending_count = 0;
}

bool space_on_disk(const struct space *sp, uint64_t block)
{
	return bit(sp->used, block) && !bit(sp->pending, block) && !bit(sp->hidden, block);
}

/* The first free block at or after from, or sp->blocks. */
static uint64_t next_free(const struct space *sp, uint64_t from)
{
	while (from < sp->blocks) {
		uint64_t word = ~sp->used[from / 64] >> from % 64;

		if (word)
			return MIN(from + (uint64_t)__builtin_ctzll(word), sp->blocks);
		from = (from / 64 + 1) * 64;
	}
	return sp->blocks;
}

static uint64_t run_length(const struct space *sp, uint64_t from, uint64_t max)
{
	uint64_t n = 0;

	while (n < max && from + n < sp->blocks && !bit(sp->used, from + n))
		n++;
	return n;
}

static void take_run(struct space *sp, uint64_t block, uint64_t n)
{
	space_take(sp, block, n);
	sp->cursor = block + n;
}

/* A run of at least min blocks in [from, to), cut at want. */
static uint64_t find_run(const struct space *sp, uint64_t from, uint64_t to, uint64_t min, uint64_t want, uint64_t *block)
{
	while ((from = next_free(sp, from)) < to) {
		uint64_t n = run_length(sp, from, want);

		if (n >= min) {
			*block = from;
			return n;
		}
		from += n;
	}
	return 0;
}

static uint64_t alloc(struct space *sp, uint64_t min, uint64_t want, uint64_t *block)
{
	uint64_t n;

	if (sp->free < min)
		return 0;
	n = find_run(sp, sp->cursor, sp->blocks, min, want, block);
	if (!n)
		n = find_run(sp, 0, MIN(sp->cursor + min, sp->blocks), min, want, block);
	if (n)
		take_run(sp, *block, n);
	return n;
}

uint64_t space_alloc(struct space *sp, uint64_t want, uint64_t *block)
{
	return alloc(sp, 1, want, block);
}

bool space_alloc_run(struct space *sp, uint64_t n, uint64_t *block)
{
	return alloc(sp, n, n, block) == n;
}

static uint32_t index_bytes(const struct space *sp)
{
	return ROUND_UP(sp->pages * BPTR_BYTES, BLOCK);
}

uint64_t space_map_blocks(const struct space *sp)
{
	return sp->pages + blob_blocks(index_bytes(sp));
}

static int load_page(struct store *s, uint32_t p, uint8_t *buf)
{
	struct space *sp    = &s->space;
	uint64_t      first = (uint64_t)p * MAP_BITS, n = MIN(MAP_BITS, sp->blocks - first);
	int	      rc;

	if (!blob_sane(s, &sp->index[p], BLOCK))
		return fail(CSUM, "page %u of the space map has an impossible address", p);
	rc = blob_read(s, &sp->index[p], buf, "a page of the space map");
	for (uint64_t i = 0; !rc && i < n; i++)
		if (buf[i / 8] >> i % 8 & 1)
			space_take(sp, first + i, 1);
	return rc;
}

int space_load(struct store *s, const struct bptr *root)
{
	struct space *sp  = &s->space;
	uint32_t      len = index_bytes(sp);
	uint8_t	     *buf = device_alloc(len);
	int	      rc;

	if (!buf)
		return fail(NOMEM, "no memory for the space map's index of %u bytes", len);
	sp->root = *root;
	if (!blob_sane(s, root, len) || root->len != len)
		rc = fail(CSUM, "the superblock's pointer to the space map is impossible");
	else
		rc = blob_read(s, root, buf, "the index of the space map");
	for (uint32_t p = 0; !rc && p < sp->pages; p++)
		sp->index[p] = bptr_get(buf + p * BPTR_BYTES);
	for (uint32_t p = 0; !rc && p < sp->pages; p++)
		rc = load_page(s, p, buf);
	device_free(buf);
	memset(sp->dirty, 0, sp->pages);
	return rc;
}

/* Places of all pages to be written, and of the index. Finding a place may make another page dirty: until none does. */
static int place_pages(struct store *s, uint8_t *placed, struct bptr *root, uint8_t **gang)
{
	struct space *sp = &s->space;
	bool	      again;
	int	      rc;

	rc = blob_place(s, index_bytes(sp), root, gang);
	do {
		again = false;
		for (uint32_t p = 0; !rc && p < sp->pages; p++) {
			uint8_t *none;

			if (!sp->dirty[p] || placed[p])
				continue;
			if (sp->index[p].addr)
				blob_free(s, &sp->index[p]);
			rc	  = blob_place(s, BLOCK, &sp->index[p], &none);
			placed[p] = 1;
			again	  = true;
		}
	} while (!rc && again);
	return rc;
}

static int write_page(struct store *s, uint32_t p)
{
	struct space *sp    = &s->space;
	uint64_t      first = (uint64_t)p * MAP_BITS / 64, n = MIN(MAP_BITS / 64, sp->words - first);
	uint8_t	     *buf = device_alloc(BLOCK);

	if (!buf)
		return fail(NOMEM, "no memory for a page of the space map");
	for (uint64_t w = 0; w < n; w++)
		put64(buf + w * 8, sp->used[first + w] & ~sp->pending[first + w] & ~sp->hidden[first + w]);
	sp->dirty[p] = 0;
	return blob_write_at(s, buf, buf, &sp->index[p], NULL);
}

static int write_index(struct store *s, struct bptr *root, uint8_t *gang)
{
	uint32_t len = index_bytes(&s->space);
	uint8_t *buf = device_alloc(len);

	if (!buf)
		return fail(NOMEM, "no memory for the space map's index of %u bytes", len);
	for (uint32_t p = 0; p < s->space.pages; p++)
		bptr_put(buf + p * BPTR_BYTES, &s->space.index[p]);
	return blob_write_at(s, buf, buf, root, gang);
}

int space_write(struct store *s)
{
	struct space *sp     = &s->space;
	uint8_t	     *placed = calloc(sp->pages, 1), *gang = NULL;
	struct bptr   root;
	int	      rc;

	if (!placed)
		return fail(NOMEM, "no memory to write the space map");
	if (sp->root.addr)
		blob_free(s, &sp->root);
	rc = place_pages(s, placed, &root, &gang);
	for (uint32_t p = 0; !rc && p < sp->pages; p++)
		if (placed[p])
			rc = write_page(s, p);
	rc = rc ? rc : write_index(s, &root, gang);
	if (!rc)
		sp->root = root;
	free(placed);
	return rc;
}
