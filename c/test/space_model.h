/* SPDX-License-Identifier: Apache-2.0 */
/* test/space_model.h: the space map against a model, over a disk in memory and small stand-ins for the store's blobs.
 *
 * The model keeps of each block who reaches it: the live tree, the checkpoint under way, the last one, a value that is being written,
 * readers. Each operation compares what the map does with that: what is handed out nobody reaches; what the map on disk says is what
 * the checkpoint reaches; what nobody reaches becomes free. */
#ifndef TARN_SPACE_MODEL_H
#define TARN_SPACE_MODEL_H

#include "harness.h"

#include "../src/store/space_chunk.h"
#include <sys/mman.h>

enum {
	LIVE = 1,  /* the tree, or the map itself, refers to it */
	NEXT = 2,  /* the checkpoint under way reaches it */
	LAST = 4,  /* the last durable one does */
	OURS = 8,  /* a value that no tree refers to yet */
	MAP  = 16, /* of the map itself, or reserved: no tree's to free */
};
#define READERS 4u

struct extent {
	uint64_t block, n;
};
struct extents {
	struct extent *of;
	size_t	       n, cap;
};

static struct {
	struct store  *s;
	uint8_t	      *image;
	uint64_t       blocks, birth;
	struct rng     rng;
	uint8_t	      *is;   /* of each block: LIVE ... */
	uint8_t	      *seen; /* of each block: a bit for each reader */
	struct extents tree, ours;
	bool	       reading[READERS];
	unsigned       round[READERS];
	struct bptr    root; /* that is durable */
	bool	       writing;
	unsigned       inject;	   /* operations of others during each write of the checkpoint */
	unsigned       fail_write; /* the n-th from now fails; 0: none */
	int	       write_rc;
	unsigned       fail_reads; /* so many reads from now on fail */
	int	       poisoned;
	unsigned       fail_alloc; /* one in so many, at random; 0: none */
	unsigned       missed, logged, map_writes;
} t;

static void others_work(uint64_t n);

/* ---- what the map needs of a store ---- */

void *device_alloc(size_t len)
{
	void *p;

	if (t.fail_alloc && !rng_below(&t.rng, t.fail_alloc)) {
		t.missed++;
		return NULL;
	}
	p = aligned_alloc(BLOCK, ROUND_UP(len, BLOCK));
	assert_non_null(p);
	return memset(p, 0, len);
}

void device_free(void *buf)
{
	free(buf);
}

static uint8_t *at(uint64_t block)
{
	return t.image + block * BLOCK;
}

static void assert_nobodys(uint64_t block, uint64_t n)
{
	assert_true(n && block + n <= t.blocks);
	for (uint64_t b = block; b < block + n; b++)
		if (t.is[b] || t.seen[b])
			fail_msg("block %" PRIu64 " is handed out, but is %x, and seen by readers %x", b, t.is[b], t.seen[b]);
}

static void mark(uint64_t block, uint64_t n, unsigned set, unsigned clear)
{
	for (uint64_t b = block; b < block + n; b++)
		t.is[b] = (uint8_t)((t.is[b] & ~clear) | set);
}

int blob_place(struct store *s, uint32_t len, struct bptr *ptr, uint8_t **gang)
{
	*ptr  = (struct bptr){ .len = len, .birth = t.birth };
	*gang = NULL;
	if (!space_alloc_run(&s->space, len / BLOCK, &ptr->addr))
		return fail(NOSPACE, "no %u blocks", len / BLOCK);
	assert_nobodys(ptr->addr, len / BLOCK);
	mark(ptr->addr, len / BLOCK, LIVE | NEXT | MAP, 0);
	return 0;
}

/* Nobody may need the lock here for the device's sake: others take it, and work. */
int blob_write_at(struct store *s, void *buf, void *owned, struct bptr *ptr, uint8_t *gang)
{
	assert_null(gang);
	assert_int_equal(pthread_mutex_trylock(&s->lock), 0);
	for (uint64_t b = ptr->addr; b < ptr->addr + ptr->len / BLOCK; b++)
		assert_false(t.is[b] & LAST);
	memcpy(at(ptr->addr), buf, ptr->len);
	ptr->sum = hash128(buf, ptr->len);
	t.map_writes++;
	if (t.fail_write && !--t.fail_write)
		t.write_rc = -TARN_E_IO;
	others_work(t.inject);
	pthread_mutex_unlock(&s->lock);
	device_free(owned);
	return 0;
}

int io_drain(struct store *s)
{
	int rc = t.write_rc;

	assert_int_equal(pthread_mutex_trylock(&s->lock), 0);
	pthread_mutex_unlock(&s->lock);
	t.write_rc = 0;
	return rc ? fail(IO, "a write of the map failed") : 0;
}

int blob_read(struct store *s, const struct bptr *ptr, void *buf, const char *what)
{
	(void)s;
	if (t.fail_reads) {
		t.fail_reads--;
		return fail(IO, "%s cannot be read", what);
	}
	memcpy(buf, at(ptr->addr), ptr->len);
	return hash128_equal(hash128(buf, ptr->len), ptr->sum) ? 0 : fail(CSUM, "%s is damaged", what);
}

void blob_free(struct store *s, const struct bptr *ptr, bool leaving)
{
	assert_true(leaving);
	mark(ptr->addr, ptr->len / BLOCK, 0, LIVE | NEXT | MAP);
	space_free_leaving(&s->space, ptr->addr, ptr->len / BLOCK);
}

void store_poison(struct store *s, int rc)
{
	(void)s;
	t.poisoned = rc;
}

bool blob_sane(const struct store *s, const struct bptr *ptr, uint32_t len_max)
{
	return ptr->len && ptr->len <= len_max && ptr->addr >= 2 && ptr->addr + ptr->len / BLOCK <= s->space.blocks;
}

/* ---- the model ---- */

static struct space *map(void)
{
	return &t.s->space;
}

static void keep(struct extents *e, uint64_t block, uint64_t n)
{
	if (e->n == e->cap) {
		e->cap = e->cap ? 2 * e->cap : 64;
		e->of  = realloc(e->of, e->cap * sizeof(*e->of));
		assert_non_null(e->of);
	}
	e->of[e->n++] = (struct extent){ block, n };
}

static struct extent take_away(struct extents *e, size_t i)
{
	struct extent x = e->of[i];

	e->of[i] = e->of[--e->n];
	return x;
}

static void sink(void *arg, tarn_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	t.logged++;
	if (getenv("VERBOSE"))
		fprintf(stderr, "# %s\n", message);
}

static struct store *store_new(uint64_t blocks)
{
	struct store *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
	pthread_mutex_lock(&s->lock);
	assert_ok(space_init(&s->space, s, blocks));
	return s;
}

static void store_delete(struct store *s)
{
	space_fini(&s->space);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void begin(uint64_t blocks)
{
	memset(&t, 0, sizeof(t));
	rng_seed(&t.rng, test_seed());
	tarn_log_set(sink, NULL, TARN_LOG_DEBUG);
	t.blocks = blocks;
	t.image	 = mmap(NULL, blocks * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(t.image != MAP_FAILED);
	t.is   = calloc(blocks, 1);
	t.seen = calloc(blocks, 1);
	t.s    = store_new(blocks);
	space_take(map(), 0, 20);
	space_take(map(), blocks - 2, 2);
	mark(0, 20, LIVE | MAP, 0);
	mark(blocks - 2, 2, LIVE | MAP, 0);
}

static void end(void)
{
	store_delete(t.s);
	munmap(t.image, t.blocks * BLOCK);
	free(t.is);
	free(t.seen);
	free(t.tree.of);
	free(t.ours.of);
	tarn_log_set(NULL, NULL, TARN_LOG_ERROR);
}

static uint64_t count_without(unsigned flags)
{
	uint64_t n = 0;

	for (uint64_t b = 0; b < t.blocks; b++)
		n += !(t.is[b] & flags);
	return n;
}

/* What is neither in a tree nor being written is free, or on the way to it. */
static void assert_counts(void)
{
	struct space *sp = map();

	assert_int_equal(sp->free + sp->freed + sp->leaving + sp->held, count_without(LIVE | OURS));
	assert_true(sp->waiting <= sp->held);
}

/* ---- operations ---- */

static void write_value(void)
{
	uint64_t block, n = 1 + rng_below(&t.rng, 200);

	if (rng_below(&t.rng, 3))
		n = space_alloc(map(), n, &block);
	else
		n = space_alloc_run(map(), n, &block) ? n : 0;
	if (!n)
		return;
	assert_nobodys(block, n);
	space_hide(map(), block, n);
	mark(block, n, OURS, 0);
	keep(&t.ours, block, n);
}

/* A page that belongs to the tree from the beginning: to the frozen one when a checkpoint is under way. */
static void write_page(void)
{
	uint64_t block;

	if (!space_alloc_run(map(), 4, &block))
		return;
	assert_nobodys(block, 4);
	mark(block, 4, LIVE | (t.writing ? NEXT : 0), 0);
	keep(&t.tree, block, 4);
}

static void refer_to_value(void)
{
	struct extent x;

	if (!t.ours.n)
		return;
	x = take_away(&t.ours, rng_below(&t.rng, t.ours.n));
	space_show(map(), x.block, x.n);
	mark(x.block, x.n, LIVE, OURS);
	keep(&t.tree, x.block, x.n);
}

static void give_value_up(void)
{
	struct extent x;

	if (!t.ours.n)
		return;
	x = take_away(&t.ours, rng_below(&t.rng, t.ours.n));
	mark(x.block, x.n, 0, OURS);
	space_free_now(map(), x.block, x.n);
}

/* The end of an extent, or all of it. */
static struct extent cut_from_tree(void)
{
	struct extent x = take_away(&t.tree, rng_below(&t.rng, t.tree.n));
	uint64_t      n = rng_below(&t.rng, x.n);

	if (n && !rng_below(&t.rng, 3)) {
		keep(&t.tree, x.block, n);
		x = (struct extent){ x.block + n, x.n - n };
	}
	return x;
}

static bool all_are(struct extent x, unsigned flags, unsigned without)
{
	for (uint64_t b = x.block; b < x.block + x.n; b++)
		if ((t.is[b] & flags) != flags || t.is[b] & without)
			return false;
	return true;
}

static bool is_seen(struct extent x)
{
	for (uint64_t b = x.block; b < x.block + x.n; b++)
		if (t.seen[b])
			return true;
	return false;
}

static void forget(void)
{
	struct extent x;

	if (!t.tree.n)
		return;
	x = cut_from_tree();
	mark(x.block, x.n, 0, LIVE);
	if (all_are(x, 0, LAST | NEXT) && !is_seen(x) && rng_below(&t.rng, 2))
		space_free_now(map(), x.block, x.n);
	else
		space_free_later(map(), x.block, x.n);
}

/* The checkpoint itself replaces a page of the frozen tree. */
static void leave_page(void)
{
	struct extent x;

	if (!t.tree.n)
		return;
	x = cut_from_tree();
	if (!all_are(x, NEXT, 0)) {
		keep(&t.tree, x.block, x.n);
		return;
	}
	mark(x.block, x.n, 0, LIVE | NEXT);
	space_free_leaving(map(), x.block, x.n);
}

static void read_or_end(void)
{
	unsigned r   = (unsigned)rng_below(&t.rng, READERS);
	uint8_t	 bit = (uint8_t)(1u << r);

	t.reading[r] = !t.reading[r];
	if (t.reading[r])
		t.round[r] = space_hold(map());
	for (uint64_t b = 0; b < t.blocks; b++)
		t.seen[b] = (uint8_t)(t.reading[r] && t.is[b] & (LIVE | LAST | NEXT) ? t.seen[b] | bit : t.seen[b] & ~bit);
	if (!t.reading[r])
		space_unhold(map(), t.round[r]);
}

/* What may happen at any time. */
static void somebody_works(void)
{
	bool	 full = map()->free < t.blocks / 8;
	uint64_t what = rng_below(&t.rng, 100);

	if (what < (full ? 15 : 45))
		write_value();
	else if (what < 70)
		refer_to_value();
	else if (what < 75)
		give_value_up();
	else if (what < 97)
		forget();
	else
		read_or_end();
}

/* ---- checkpoints, crashes ---- */

/* What a store that opens the image now would find. */
static void assert_on_disk(bool exact)
{
	struct store *s = store_new(t.blocks);
	uint64_t      n, block, total = 0;

	assert_ok(space_load(&s->space, &t.root));
	for (uint64_t b = 0; b < t.blocks; b++) {
		bool used = space_on_disk(&s->space, b);

		if (used != !!(t.is[b] & LAST) && (exact || !used))
			fail_msg("block %" PRIu64 " is %s on disk, but is %x", b, used ? "used" : "free", t.is[b]);
		assert_int_equal(space_on_disk(map(), b), used);
	}
	if (exact)
		assert_int_equal(s->space.free, count_without(LAST));
	while ((n = space_alloc(&s->space, 1000, &block)))
		for (total += n; n; n--)
			assert_false(t.is[block + n - 1] & LAST);
	if (exact)
		assert_int_equal(total, count_without(LAST));
	assert_int_equal(s->space.free, 0);
	store_delete(s);
}

static void freeze(void)
{
	t.birth++;
	t.writing = true;
	for (uint64_t b = 0; b < t.blocks; b++)
		t.is[b] |= t.is[b] & LIVE ? NEXT : 0;
	space_freeze(map());
}

static void thaw(void)
{
	t.root = map()->root;
	for (uint64_t b = 0; b < t.blocks; b++)
		t.is[b] = (uint8_t)((t.is[b] & ~(NEXT | LAST)) | (t.is[b] & NEXT ? LAST : 0));
	t.writing = false;
	space_thaw(map());
}

static void others_work(uint64_t n)
{
	while (n--)
		somebody_works();
}

/* The tree's pages are made and left too: not once the map has been written. */
static void work(uint64_t n)
{
	while (n--) {
		somebody_works();
		if (!rng_below(&t.rng, 10))
			write_page();
		if (t.writing && !rng_below(&t.rng, 10))
			leave_page();
	}
}

static int checkpoint_until_written(uint64_t n)
{
	freeze();
	work(n);
	return space_write(map());
}

static void end_readers(void)
{
	for (unsigned r = 0; r < READERS; r++)
		if (t.reading[r])
			space_unhold(map(), t.round[r]);
	memset(t.reading, 0, sizeof(t.reading));
	memset(t.seen, 0, t.blocks);
}

static void mark_map(const struct bptr *ptr)
{
	if (ptr->addr)
		mark(ptr->addr, ptr->len / BLOCK, MAP, 0);
}

static void mark_maps(void)
{
	struct space *sp = map();

	mark(0, t.blocks, 0, MAP);
	mark(0, 20, MAP, 0);
	mark(t.blocks - 2, 2, MAP, 0);
	mark_map(&sp->root);
	for (uint32_t i = 0; i < sp->index_pages; i++)
		mark_map(&sp->index_page[i]);
	for (uint32_t c = 0; c < sp->chunks; c++)
		mark_map(&sp->index[c]);
}

/* The extents of the tree, from the blocks. */
static void find_extents(void)
{
	t.tree.n = t.ours.n = 0;
	for (uint64_t b = 0, n; b < t.blocks; b += n) {
		bool in = t.is[b] & LIVE && !(t.is[b] & MAP);

		for (n = 1; in && n < 100 && b + n < t.blocks && t.is[b + n] & LIVE && !(t.is[b + n] & MAP);)
			n++;
		if (in)
			keep(&t.tree, b, n);
	}
}

/* Everything in memory is gone; values that were in the tree since the last checkpoint come back from the log. */
static void crash(void)
{
	memset(t.reading, 0, sizeof(t.reading));
	memset(t.seen, 0, t.blocks);
	store_delete(t.s);
	t.s	  = store_new(t.blocks);
	t.writing = false;
	assert_ok(space_load(map(), &t.root));
	for (uint64_t b = 0; b < t.blocks; b++) {
		bool logged = (t.is[b] & (LIVE | LAST | MAP)) == LIVE;

		if (logged)
			space_take(map(), b, 1);
		t.is[b] = t.is[b] & LAST || logged ? LIVE | (t.is[b] & LAST) : 0;
	}
	mark_maps();
	find_extents();
}

static inline void round_trip(unsigned i, bool exact)
{
	work(rng_below(&t.rng, 100));
	assert_ok(checkpoint_until_written(rng_below(&t.rng, 20)));
	others_work(rng_below(&t.rng, 10));
	assert_counts();
	if (i % 7 == 3) {
		crash();
		return;
	}
	thaw();
	assert_counts();
	assert_on_disk(exact);
	if (i % 5 == 2)
		crash();
}

/* With no reader and nothing to do two checkpoints free all that nobody refers to. */
static inline void settle(void)
{
	end_readers();
	while (t.ours.n)
		give_value_up();
	for (int i = 0; i < 2; i++) {
		assert_ok(checkpoint_until_written(0));
		thaw();
	}
	/* what the first left the second has freed; the second's own old pages are free with it */
	assert_int_equal(map()->free, count_without(LIVE));
	assert_int_equal(map()->freed + map()->leaving + map()->held, 0);
	assert_on_disk(true);
}

#endif
