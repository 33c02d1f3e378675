/* SPDX-License-Identifier: Apache-2.0 */
/* store/check_map.c: what a check knows of blocks, and the space map on disk. See check.h. */
#include "check.h"

static bool bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static void set(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= UINT64_C(1) << i % 64;
}

void check_note(struct check *c, const struct place *p, int rc)
{
	rc = verify_note(&c->v, p, rc);
	if (rc)
		c->rc = rc;
}

bool check_seen(const struct check *c, uint64_t block)
{
	return block < c->sb.blocks && bit(c->seen, block);
}

/* ---- what was verified ---- */

static uint64_t filter_bits(const struct check *c)
{
	return DIV_UP(c->sb.blocks, 64) * 64;
}

bool check_is_known(const struct check *c, uint64_t name)
{
	return bit(c->known, name % filter_bits(c)) && bit(c->known, (name >> 32) % filter_bits(c));
}

void check_know(struct check *c, uint64_t name)
{
	set(c->known, name % filter_bits(c));
	set(c->known, (name >> 32) % filter_bits(c));
}

uint64_t check_name_page(const struct place *p)
{
	uint8_t bytes[BPTR_BYTES + 32];

	bptr_put(bytes, &p->ptr);
	put64(bytes + BPTR_BYTES, p->at.tree);
	put64(bytes + BPTR_BYTES + 8, p->keys);
	put64(bytes + BPTR_BYTES + 16, p->low.len ? hash64(p->low.ptr, p->low.len) : 0);
	put64(bytes + BPTR_BYTES + 24, p->high.len ? hash64(p->high.ptr, p->high.len) : 0);
	return hash64(bytes, sizeof(bytes));
}

uint64_t check_name_value(const struct place *p, tarn_buf key, const struct leaf_value *value)
{
	uint8_t bytes[24];

	put64(bytes, p->at.tree);
	put64(bytes + 8, hash64(key.ptr, key.len));
	put64(bytes + 16, hash64(value->bytes, value->len));
	return hash64(bytes, sizeof(bytes));
}

/* ---- references ---- */

static uint64_t note_sum(uint64_t tree, uint64_t needed, uint64_t birth, uint64_t block)
{
	uint8_t bytes[32];

	put64(bytes, tree);
	put64(bytes + 8, needed);
	put64(bytes + 16, birth);
	put64(bytes + 24, block);
	return hash64(bytes, sizeof(bytes));
}

static void expect_note(struct check *c, uint64_t tree, uint64_t birth, uint64_t block)
{
	set(c->dead, block);
	c->dead_n++;
	c->dead_sum += note_sum(tree, c->gen, birth, block);
}

bool check_see(struct check *c, const struct place *p, uint64_t block, uint64_t n, uint64_t birth)
{
	bool first = true;

	for (uint64_t b = block; b < block + n && b < c->sb.blocks; b++) {
		if (bit(c->seen, b) && first) {
			first = false;
			(void)fail(CSUM, "block %llu is referred to twice, now in tree %llu", (unsigned long long)b,
				   (unsigned long long)p->at.tree);
			check_note(c, p, -TARN_E_CSUM);
		}
		if (!bit(c->seen, b) && c->gen)
			expect_note(c, p->at.tree, birth, b);
		set(c->seen, b);
	}
	return first;
}

struct blob {
	struct check	   *c;
	const struct place *p;
	bool		    first;
};

static int see_run(void *arg, uint64_t block, uint64_t n)
{
	struct blob *blob = arg;

	blob->first = check_see(blob->c, blob->p, block, n, blob->p->ptr.birth) && blob->first;
	return 0;
}

bool check_see_blob(struct check *c, const struct place *p)
{
	struct blob blob = { c, p, true };
	int	    rc	 = blob_each_run(c->s, &p->ptr, see_run, &blob);

	if (rc)
		check_note(c, p, rc);
	return blob.first && !rc;
}

/* ---- what only snapshots need ---- */

int check_dead(struct check *c, const struct place *p, uint64_t needed, uint64_t birth, uint64_t block, uint32_t n)
{
	if (!n || block < 2 || block >= c->sb.blocks || n > c->sb.blocks - block)
		return verify_note(&c->v, p,
				   fail(CSUM, "the note of %u blocks at block %llu is impossible", n, (unsigned long long)block));
	for (uint64_t b = block; b < block + n; b++) {
		if (!bit(c->dead, b)) {
			if (c->v.damaged && !bit(c->seen, b))
				continue;
			return verify_note(&c->v, p,
					   fail(CSUM, "block %llu is noted as needed by snapshots of tree %llu only, but %s",
						(unsigned long long)b, (unsigned long long)p->at.tree,
						bit(c->seen, b) ? "it is in use, or noted twice" : "none reaches it"));
		}
		c->dead[b / 64] &= ~(UINT64_C(1) << b % 64);
		c->dead_n--;
		c->dead_sum -= note_sum(p->at.tree, needed, birth, b);
	}
	return 0;
}

int check_dead_end(struct check *c)
{
	if (c->v.damaged)
		return 0;
	if (c->dead_n)
		return verify_note(&c->v, NULL,
				   fail(CSUM,
					"%llu blocks that only snapshots need are not noted: they would never be free again",
					(unsigned long long)c->dead_n));
	if (c->dead_sum)
		return verify_note(&c->v, NULL, fail(CSUM, "blocks that only snapshots need are noted for the wrong ones"));
	return 0;
}

/* ---- superblocks ---- */

static bool copy_is_whole(const struct check *c, uint8_t *b)
{
	struct hash128 sum;

	memcpy(sum.bytes, b + SB_SUM, sizeof(sum.bytes));
	memset(b + SB_SUM, 0, sizeof(sum.bytes));
	return memcmp(b + SB_MAGIC, SB_MAGIC_TEXT, 8) == 0 && hash128_equal(hash128(b, BLOCK), sum) &&
	       get64(b + SB_GENERATION) == c->sb.generation;
}

static int check_copies(struct check *c, uint8_t *b)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < SB_COPIES; i++) {
		struct place	     p	= { .ptr = { .addr = i < 2 ? i : c->sb.blocks - 4 + i, .len = BLOCK } };
		struct device_queue *q	= queue_take(c->s);
		int		     io = device_read(q, p.ptr.addr * BLOCK, b, BLOCK);

		queue_give(c->s, q);
		if (!io && !c->halfway && !copy_is_whole(c, b))
			io = fail(CSUM, "copy %u of the superblock is damaged, or older than the others", i);
		check_see(c, &p, p.ptr.addr, 1, 0);
		rc = io ? verify_note(&c->v, &p, io) : verify_progress(&c->v, BLOCK);
	}
	return rc;
}

/* ---- the map ---- */

static struct place map_place(const struct check *c, const struct bptr *ptr)
{
	return (struct place){ .ptr = *ptr, .birth = c->sb.generation };
}

/* A part of the map: seen, and read; what is wrong is noted. *whole says whether buf has it. */
static int read_part(struct check *c, const struct bptr *ptr, uint32_t len, void *buf, const char *what, bool *whole)
{
	struct place p = map_place(c, ptr);
	int	     rc;

	if (!blob_sane(c->s, ptr, len) || ptr->len != len)
		rc = fail(CSUM, "%s has an impossible address", what);
	else
		rc = blob_read(c->s, ptr, buf, what);
	*whole = !rc;
	return rc ? verify_damage(&c->v, &p, rc) : verify_progress(&c->v, len);
}

typedef int (*chunk_fn)(struct check *c, uint32_t chunk, const struct bptr *ptr, uint32_t free, uint64_t *page);

static int each_entry(struct check *c, uint32_t first, const uint8_t *index, uint32_t chunks, chunk_fn fn, uint64_t *page)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < MIN(INDEX_ENTRIES, chunks - first); i++) {
		const uint8_t *entry = index + i * INDEX_BYTES;
		struct bptr    ptr   = bptr_get(entry + INDEX_PAGE);

		rc = fn(c, first + i, &ptr, get32(entry + INDEX_FREE), page);
	}
	return rc;
}

struct map_buffers {
	uint8_t	 *root, *index;
	uint64_t *page;
};

/* Index pages may be damaged: then the parts of the map below them are left out. see: note which blocks the map itself takes. */
static int each_chunk(struct check *c, struct map_buffers *b, uint32_t root_len, chunk_fn fn, bool see)
{
	uint32_t chunks = (uint32_t)DIV_UP(c->sb.blocks, MAP_BITS), pages = DIV_UP(chunks, INDEX_ENTRIES);
	bool	 whole;
	int	 rc = read_part(c, &c->sb.space, root_len, b->root, "the root of the space map", &whole);

	if (rc || !whole)
		return rc;
	if (see) {
		struct place p = map_place(c, &c->sb.space);

		check_see_blob(c, &p);
	}
	for (uint32_t i = 0; !rc && i < pages; i++) {
		struct bptr  ptr = bptr_get(b->root + i * BPTR_BYTES);
		struct place p	 = map_place(c, &ptr);

		rc = read_part(c, &ptr, BLOCK, b->index, "a page of the space map's index", &whole);
		if (!rc && see && blob_sane(c->s, &ptr, BLOCK))
			check_see_blob(c, &p);
		if (!rc && whole)
			rc = each_entry(c, i * INDEX_ENTRIES, b->index, chunks, fn, b->page);
	}
	return rc ? rc : c->rc;
}

static int with_map(struct check *c, chunk_fn fn, bool see)
{
	uint32_t	   pages = (uint32_t)DIV_UP(DIV_UP(c->sb.blocks, MAP_BITS), INDEX_ENTRIES);
	uint32_t	   len	 = ROUND_UP(pages * BPTR_BYTES, BLOCK);
	struct map_buffers b	 = { device_alloc(len), device_alloc(BLOCK), device_alloc(BLOCK) };
	int		   rc;

	if (!b.root || !b.index || !b.page)
		rc = fail(NOMEM, "no memory for the space map's index of %u bytes", len);
	else
		rc = each_chunk(c, &b, len, fn, see);
	device_free(b.page);
	device_free(b.index);
	device_free(b.root);
	return rc;
}

static int see_chunk(struct check *c, uint32_t chunk, const struct bptr *ptr, uint32_t free, uint64_t *page)
{
	struct place p = map_place(c, ptr);

	(void)chunk, (void)free, (void)page;
	if (ptr->addr && blob_sane(c->s, ptr, BLOCK))
		check_see_blob(c, &p);
	return c->rc;
}

int check_fixed(struct check *c)
{
	struct place p = { .ptr = { .addr = c->sb.log_block } };
	uint8_t	    *b = device_alloc(BLOCK);
	int	     rc;

	if (!b)
		return fail(NOMEM, "no memory for a superblock");
	rc = check_copies(c, b);
	device_free(b);
	check_see(c, &p, c->sb.log_block, c->sb.log_blocks, 0);
	return rc ? rc : with_map(c, see_chunk, true);
}

struct differences {
	uint64_t lost, open, first_open, free;
};

static struct differences compare(const struct check *c, uint32_t chunk, const uint64_t *page)
{
	uint64_t	   base = (uint64_t)chunk * MAP_BITS, n = MIN(c->sb.blocks - base, MAP_BITS);
	struct differences d = { 0 };

	for (uint64_t i = 0; i < n; i += 64) {
		uint64_t mask = n - i < 64 ? (UINT64_C(1) << (n - i)) - 1 : ~UINT64_C(0);
		uint64_t used = get64(&page[i / 64]), seen = c->seen[(base + i) / 64], open = seen & ~used & mask;

		if (open && !d.open)
			d.first_open = base + i + (uint64_t)__builtin_ctzll(open);
		d.open += (uint64_t)__builtin_popcountll(open);
		d.lost += (uint64_t)__builtin_popcountll(used & ~seen & mask);
		d.free += (uint64_t)__builtin_popcountll(~used & mask);
	}
	return d;
}

/* With damage somewhere, what is below it has not been seen, and is not lost. */
static int note_differences(struct check *c, const struct differences *d, uint32_t free)
{
	struct place p	= { .ptr = { .addr = d->first_open, .len = BLOCK } };
	int	     rc = 0;

	if (d->open)
		rc = verify_note(&c->v, &p,
				 fail(CSUM, "block %llu is in use, but the space map has it as free, as it has %llu others",
				      (unsigned long long)d->first_open, (unsigned long long)d->open - 1));
	if (!rc && d->lost && !c->v.damaged)
		rc = verify_note(
			&c->v, NULL,
			fail(CSUM, "%llu blocks are marked as used, but nothing refers to them", (unsigned long long)d->lost));
	if (!rc && d->free != free)
		rc = verify_note(&c->v, NULL,
				 fail(CSUM, "the space map's index says that %u blocks are free where %llu are", free,
				      (unsigned long long)d->free));
	return rc;
}

static int compare_chunk(struct check *c, uint32_t chunk, const struct bptr *ptr, uint32_t free, uint64_t *page)
{
	struct differences d;
	bool		   whole = true;
	int		   rc	 = 0;

	memset(page, 0, BLOCK);
	if (ptr->addr)
		rc = read_part(c, ptr, BLOCK, page, "a page of the space map", &whole);
	if (rc || !whole)
		return rc;
	d = compare(c, chunk, page);
	return note_differences(c, &d, free);
}

int check_compare(struct check *c)
{
	return with_map(c, compare_chunk, false);
}
