/* SPDX-License-Identifier: Apache-2.0 */
/* store/space_map.c: the map on disk.
 *
 * A page of bits for each chunk, pages of entries (layout.h) that point to those, and a root that points to these. Each is written only
 * when it has changed, and never in place. */
#include "space_chunk.h"

static uint32_t root_bytes(const struct space *sp)
{
	return ROUND_UP(sp->index_pages * BPTR_BYTES, BLOCK);
}

/* The gang block of the root is the last one. */
uint64_t space_map_blocks(const struct space *sp)
{
	return (uint64_t)sp->chunks + sp->index_pages + root_bytes(sp) / BLOCK + 1;
}

int chunk_read(struct space *sp, uint32_t c, void *used)
{
	if (!sp->index[c].addr)
		return 0;
	if (!blob_sane(sp->store, &sp->index[c], BLOCK))
		return fail(CSUM, "page %u of the space map has an impossible address", c);
	return blob_read(sp->store, &sp->index[c], used, "a page of the space map");
}

static int load_entry(struct space *sp, uint32_t c, const uint8_t *entry)
{
	uint32_t n = get32(entry + INDEX_FREE);

	sp->index[c] = bptr_get(entry + INDEX_PAGE);
	if (n > chunk_bits(sp, c) || (!sp->index[c].addr && n != chunk_bits(sp, c)))
		return fail(CSUM, "the index of the space map says that %u of %u blocks are free in its part %u", n,
			    chunk_bits(sp, c), c);
	set_free_in(sp, c, n);
	return 0;
}

static int load_index_page(struct space *sp, uint32_t i, uint8_t *buf)
{
	uint32_t first = i * INDEX_ENTRIES, n = MIN(INDEX_ENTRIES, sp->chunks - first);
	int	 rc;

	if (!blob_sane(sp->store, &sp->index_page[i], BLOCK))
		return fail(CSUM, "page %u of the space map's index has an impossible address", i);
	rc = blob_read(sp->store, &sp->index_page[i], buf, "a page of the space map's index");
	for (uint32_t k = 0; !rc && k < n; k++)
		rc = load_entry(sp, first + k, buf + k * INDEX_BYTES);
	sp->index_dirty[i] = 0;
	return rc;
}

int space_load(struct space *sp, const struct bptr *root)
{
	uint32_t len = root_bytes(sp);
	uint8_t *buf = device_alloc(len), *page = device_alloc(BLOCK);
	int	 rc;

	if (!buf || !page)
		rc = fail(NOMEM, "no memory for the space map's index of %u bytes", len);
	else if (!blob_sane(sp->store, root, len) || root->len != len)
		rc = fail(CSUM, "the superblock's pointer to the space map is impossible");
	else
		rc = blob_read(sp->store, root, buf, "the root of the space map");
	sp->root = *root;
	for (uint32_t i = 0; !rc && i < sp->index_pages; i++)
		sp->index_page[i] = bptr_get(buf + i * BPTR_BYTES);
	for (uint32_t i = 0; !rc && i < sp->index_pages; i++)
		rc = load_index_page(sp, i, page);
	device_free(page);
	device_free(buf);
	return rc;
}

/* A new place for a page; the old one leaves. */
static int place_page(struct space *sp, struct bptr *page, uint8_t *flags)
{
	struct bptr old = *page;
	uint8_t	   *none;
	int	    rc;

	rc = blob_place(sp->store, BLOCK, page, &none);
	if (rc) {
		*page = old;
		return rc;
	}
	*flags |= PLACED;
	if (old.addr)
		blob_free(sp->store, &old, true);
	return 0;
}

static int place_chunk(struct space *sp, uint32_t c)
{
	sp->index_dirty[c / INDEX_ENTRIES] |= DIRTY;
	return place_page(sp, &sp->index[c], &sp->dirty[c]);
}

static bool to_place(uint8_t flags)
{
	return (flags & (DIRTY | PLACED)) == DIRTY;
}

/* Finding a place, and leaving the old one, may make another page dirty: until none is. */
static int place_pages(struct space *sp)
{
	bool again = true;
	int  rc	   = 0;

	while (!rc && again) {
		again = false;
		for (uint32_t c = 0; !rc && c < sp->chunks; c++)
			if (to_place(sp->dirty[c])) {
				rc    = place_chunk(sp, c);
				again = true;
			}
		for (uint32_t i = 0; !rc && i < sp->index_pages; i++)
			if (to_place(sp->index_dirty[i])) {
				rc    = place_page(sp, &sp->index_page[i], &sp->index_dirty[i]);
				again = true;
			}
	}
	return rc;
}

/* A plane's bits are used, and are not on disk: but those that were freed after the checkpoint began. */
static void fill_page(struct space *sp, uint32_t c, uint64_t *page)
{
	struct space_chunk *ck = sp->chunk[c];

	for (uint32_t w = 0; w < MAP_WORDS; w++) {
		page[w] = ck ? ck->used[w] : ~UINT64_C(0);
		for (enum plane p = 0; ck && p < PLANES; p++)
			page[w] &= p == FREED ? ~UINT64_C(0) : ~plane_word(ck, p, w);
	}
	if (ck)
		ck->written = count_free(page);
	for (uint32_t w = 0; w < MAP_WORDS; w++)
		put64(&page[w], page[w]);
}

static void fill_index_page(struct space *sp, uint32_t i, uint8_t *page)
{
	uint32_t first = i * INDEX_ENTRIES, n = MIN(INDEX_ENTRIES, sp->chunks - first);

	for (uint32_t k = 0; k < n; k++) {
		uint32_t c = first + k;

		bptr_put(page + k * INDEX_BYTES + INDEX_PAGE, &sp->index[c]);
		put32(page + k * INDEX_BYTES + INDEX_FREE, sp->chunk[c] ? sp->chunk[c]->written : sp->free_in[c]);
	}
}

/* Without the lock: only the checkpoint writes, and looks at a pointer whose page is placed. buf and gang are given away. */
static int write_unlocked(struct space *sp, void *buf, struct bptr *ptr, uint8_t *gang)
{
	int rc;

	pthread_mutex_unlock(&sp->store->lock);
	rc = blob_write_at(sp->store, buf, buf, ptr, gang);
	pthread_mutex_lock(&sp->store->lock);
	return rc;
}

static int write_chunk(struct space *sp, uint32_t c)
{
	void *page = device_alloc(BLOCK);

	if (!page)
		return fail(NOMEM, "no memory for a page of the space map");
	fill_page(sp, c, page);
	sp->dirty[c] &= (uint8_t)~DIRTY;
	return write_unlocked(sp, page, &sp->index[c], NULL);
}

static int write_index_page(struct space *sp, uint32_t i)
{
	void *page = device_alloc(BLOCK);

	if (!page)
		return fail(NOMEM, "no memory for a page of the space map's index");
	fill_index_page(sp, i, page);
	sp->index_dirty[i] &= (uint8_t)~DIRTY;
	return write_unlocked(sp, page, &sp->index_page[i], NULL);
}

static int write_root(struct space *sp, struct bptr *root, uint8_t *gang)
{
	uint8_t *buf = device_alloc(root_bytes(sp));

	if (!buf) {
		device_free(gang);
		return fail(NOMEM, "no memory for the root of the space map");
	}
	for (uint32_t i = 0; i < sp->index_pages; i++)
		bptr_put(buf + i * BPTR_BYTES, &sp->index_page[i]);
	return write_unlocked(sp, buf, root, gang);
}

/* Children before parents, which hold their checksums. */
static int write_pages(struct space *sp)
{
	int rc = 0;

	for (uint32_t c = 0; !rc && c < sp->chunks; c++)
		if (sp->dirty[c] & PLACED)
			rc = write_chunk(sp, c);
	for (uint32_t i = 0; !rc && i < sp->index_pages; i++)
		if (sp->index_dirty[i] & PLACED)
			rc = write_index_page(sp, i);
	return rc;
}

static int drain_unlocked(struct space *sp, int rc)
{
	int drained;

	pthread_mutex_unlock(&sp->store->lock);
	drained = io_drain(sp->store);
	pthread_mutex_lock(&sp->store->lock);
	return rc ? rc : drained;
}

/* Places are found no longer. What has failed to be written is written again by the next checkpoint, elsewhere. */
static void end_placing(uint8_t *flags, uint32_t n, bool failed)
{
	for (uint32_t i = 0; i < n; i++)
		if (flags[i] & PLACED)
			flags[i] = (uint8_t)((flags[i] & ~PLACED) | (failed ? DIRTY : 0));
}

static int check_whole(const struct space *sp)
{
	return sp->broken ? base_fail(-sp->broken,
				      "blocks were taken or freed of a part of the space map that could not be read, or had no "
				      "memory: open the store again")
			  : 0;
}

int space_write(struct space *sp)
{
	struct bptr root, old = sp->root;
	uint8_t	   *gang;
	int	    rc;

	rc = check_whole(sp);
	rc = rc ? rc : blob_place(sp->store, root_bytes(sp), &root, &gang);
	if (rc)
		return rc;
	sp->root = (struct bptr){ 0 };
	if (old.addr)
		blob_free(sp->store, &old, true);
	rc = place_pages(sp);
	rc = rc ? rc : write_pages(sp);
	rc = rc ? rc : check_whole(sp);
	if (rc)
		device_free(gang);
	else
		rc = write_root(sp, &root, gang);
	rc = drain_unlocked(sp, rc);
	end_placing(sp->dirty, sp->chunks, rc);
	end_placing(sp->index_dirty, sp->index_pages, rc);
	if (!rc)
		sp->root = root;
	else if (!(root.flags & BPTR_GANG)) /* a gang stays used until the store is opened again */
		space_free_now(sp, root.addr, root.len / BLOCK);
	return rc;
}

/* The page of the chunk, read again only when another was wanted in between. */
static const uint8_t *page_seen(struct space *sp, uint32_t c)
{
	const struct bptr *ptr = &sp->index[c];

	if (sp->seen && sp->seen_ptr.addr == ptr->addr && sp->seen_ptr.birth == ptr->birth)
		return sp->seen;
	if (!sp->seen) {
		sp->seen = device_alloc(BLOCK);
		sp->bytes += sp->seen ? BLOCK : 0;
	}
	sp->seen_ptr.addr = 0;
	if (!sp->seen || chunk_read(sp, c, sp->seen))
		return NULL;
	sp->seen_ptr = *ptr;
	return sp->seen;
}

/* From the page itself: what is in memory has gone on since then. A page that cannot be read has all of it in use. */
bool space_on_disk(struct space *sp, uint64_t block)
{
	uint32_t       c = (uint32_t)(block / MAP_BITS), i = block % MAP_BITS;
	const uint8_t *page;

	if (!sp->index[c].addr)
		return false;
	page = page_seen(sp, c);
	return !page || page[i / 8] >> i % 8 & 1;
}
