/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_store_hostile.c: pool images that somebody made, with checksums that are right.
 *
 * A right checksum is not trust. Here every checksum is right, because this program brings hash functions of its own that always give
 * 0 (the library's are then not linked). So whatever is changed in an image reaches the code that reads it: superblock, space map,
 * nodes, descriptors, log. Opening, listing, reading, checking, changing and closing may fail, but must end, without a crash or a leak:
 * run it under the sanitizers. SEED and TRIALS choose what is tried. */
#include "harness.h"

#include "../src/device/sim.h"
#include "store_tools.h"
#include "zero_hash.h"
#include <signal.h>
#include <unistd.h>

#define SIZE   (1u << 20)
#define BLOCK  4096u
#define BLOCKS (SIZE / BLOCK)
#define KEYS   120u
#define TREES  3u

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	uint8_t		*image;
	uint32_t	 used[BLOCKS], n; /* blocks that hold something */
	struct rng	 rng;
};

static uint64_t below(struct fixture *f, uint64_t n)
{
	return rng_below(&f->rng, n);
}

static int open_store(struct fixture *f)
{
	int rc;

	assert_ok(sim_open(f->disk, &f->dev));
	rc = store_open(f->dev, &(struct store_options){ .cache_bytes = 1 << 20 }, &f->store);
	if (rc)
		device_close(f->dev);
	return rc;
}

static int change(struct fixture *f, enum store_change what, unsigned k, size_t len)
{
	static const uint8_t  val[40000];
	uint8_t		      key[300];
	struct store_mutation m = {
		.change = what, .tree = 16 + k % TREES, .key = { key, k % 20 == 3 ? 290 : 3 + k % 5 }, .val = { val, len }
	};
	uint64_t lsn;
	int	 rc;

	memset(key, (int)k, sizeof(key));
	rc = store_apply(f->store, &m, 1, 0, &lsn, NULL);
	return rc ? rc : store_commit(f->store, lsn);
}

/* Small nodes, values inline and in extents, long keys, and a log that has something to replay. */
static void make_image(struct fixture *f)
{
	struct store_format format = { .node_bytes = 1024, .log_bytes = 64 * 1024 };

	assert_ok(sim_disk_create(SIZE, test_seed(), &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	device_close(f->dev);
	assert_ok(open_store(f));
	for (unsigned k = 0; k < KEYS; k++) {
		assert_ok(change(f, STORE_PUT, k, k % 15 == 2 ? 20000 + k * 10 : k % 9 == 1 ? 2000 : k % 70));
		if (k == KEYS - 20)
			assert_ok(store_checkpoint(f->store));
	}
	store_abandon(f->store);
	device_close(f->dev);
	sim_restore_power(f->disk, SIM_CUT_ALL);
	f->image = malloc(SIZE);
	sim_peek(f->disk, 0, f->image, SIZE);
	for (uint32_t b = 0; b < BLOCKS; b++)
		for (uint32_t i = 0; i < BLOCK; i++)
			if (f->image[b * BLOCK + i]) {
				f->used[f->n++] = b;
				break;
			}
}

/* Somewhere in a block: in its header, anywhere, or where something stands. */
static uint32_t offset_in(struct fixture *f, uint32_t block)
{
	uint32_t off = (uint32_t)below(f, BLOCK - 8);

	switch (below(f, 3)) {
	case 0:
		return off % 300;
	case 1:
		return off;
	}
	for (unsigned tries = 0; tries < 200 && !f->image[block * BLOCK + off]; tries++)
		off = (uint32_t)below(f, BLOCK - 8);
	return off;
}

static uint64_t number_like(struct fixture *f, uint64_t old)
{
	switch (below(f, 4)) {
	case 0:
		return rng_next(&f->rng);
	case 1:
		return below(f, 300);
	case 2:
		return UINT64_MAX;
	}
	return old ^ UINT64_C(1) << below(f, 64);
}

/* Changes 1, 2, 4 or 8 bytes of a block; of a superblock in all four copies. */
static void tamper(struct fixture *f)
{
	static const uint32_t copies[] = { 0, 1, BLOCKS - 2, BLOCKS - 1 };
	uint32_t	      block = f->used[below(f, f->n)], off = offset_in(f, block);
	size_t		      width = (size_t)1 << below(f, 4);
	uint8_t		      bytes[8];

	put64(bytes, number_like(f, get64(f->image + block * BLOCK + off)));
	if (block > 1 && block < BLOCKS - 2)
		sim_poke(f->disk, block * (uint64_t)BLOCK + off, bytes, width);
	for (unsigned i = 0; (block <= 1 || block >= BLOCKS - 2) && i < 4; i++)
		sim_poke(f->disk, copies[i] * (uint64_t)BLOCK + off, bytes, width);
}

/* Lists a tree from batch to batch, and gets each key. */
static void read_tree(struct fixture *f, uint64_t tree)
{
	static uint8_t	   val[100000], last[STORE_KEY_MAX];
	uint8_t		   buf[8192] __attribute__((aligned(8)));
	struct store_range range = { .flags = 0 };
	tarn_listing	   out	 = { .more = 1 };
	uint64_t	   count;

	for (unsigned batch = 0;
	     batch < 20 && out.more && !store_list(f->store, live(tree), &range, 0, buf, sizeof(buf), &out, 0); batch++)
		for (size_t at = 0; at < out.used;) {
			const tarn_entry *e   = (const void *)(buf + at);
			size_t		  len = sizeof(val);

			store_get(f->store, live(tree), (tarn_buf){ e + 1, e->key_len }, val, &len, NULL, 0);
			memcpy(last, e + 1, e->key_len);
			range = (struct store_range){ .start = { last, e->key_len }, .flags = TARN_RANGE_AFTER };
			at    = ROUND_UP(at + sizeof(*e) + e->key_len + (e->flags & TARN_ENTRY_OMITTED ? 0 : e->val_len), 8);
		}
	range = (struct store_range){ .flags = TARN_RANGE_REVERSE };
	store_list(f->store, live(tree), &range, 0, buf, sizeof(buf), &out, 0);
	store_count(f->store, live(tree), &range, &count, 0);
}

static void use(struct fixture *f)
{
	for (uint64_t tree = 0; tree <= TREES; tree++)
		read_tree(f, tree);
	store_check(f->store, NULL);
	for (unsigned i = 0; i < 30; i++)
		change(f, below(f, 2) ? STORE_PUT : STORE_DEL, (unsigned)below(f, KEYS), below(f, 3000));
	change(f, STORE_DROP, (unsigned)below(f, KEYS), 0);
	store_close(f->store);
	device_close(f->dev);
}

static void hang(int signal_number)
{
	static const char text[] = "a call on a hostile image does not end\n";

	(void)signal_number;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) >= 0)
		_exit(1);
	_exit(2);
}

static void hostile_images(void **state)
{
	uint64_t       trials = test_number("TRIALS", 2000), opened = 0;
	struct fixture f = { .n = 0 };

	(void)state;
	make_image(&f);
	signal(SIGALRM, hang);
	for (uint64_t i = 0; i < trials; i++) {
		alarm(60);
		rng_seed(&f.rng, test_seed() + i);
		sim_restore_power(f.disk, SIM_CUT_ALL);
		sim_poke(f.disk, 0, f.image, SIZE);
		for (uint64_t n = 1 + below(&f, 4); n; n--)
			tamper(&f);
		if (open_store(&f))
			continue;
		opened++;
		use(&f);
	}
	alarm(0);
	printf("# %" PRIu64 " hostile images, %" PRIu64 " of them opened\n", trials, opened);
	assert_true(opened > trials / 2 && opened < trials);
	sim_disk_destroy(f.disk);
	free(f.image);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hostile_images) };

	return cmocka_run_group_tests_name("store hostile", tests, NULL, NULL);
}
