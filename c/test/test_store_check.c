/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_store_check.c: a check finds what is wrong although every checksum is right: the mistakes of an engine, made here on purpose.
 * And a scrub finds the n-th damaged page, wherever it is. */
#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/internal.h"

#define SIZE  (8u << 20)
#define KEYS  400u
#define FIRST 16u /* the tree */

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	uint64_t	 epochs[3];
};

static void begin(struct fixture *f)
{
	struct store_format format = { .node_bytes = 1024, .log_bytes = 512 << 10 };

	*f = (struct fixture){ 0 };
	test_fill(format.pool.bytes, 16, 1);
	assert_ok(sim_disk_create(SIZE, 1, &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	assert_ok(store_open(f->dev, NULL, &f->store));
}

static void end(struct fixture *f)
{
	store_abandon(f->store);
	device_close(f->dev);
	sim_disk_destroy(f->disk);
}

static void put(struct fixture *f, uint64_t tree, unsigned k, unsigned version)
{
	char		      key[16];
	uint8_t		      val[4096];
	struct store_mutation m = { .change = STORE_PUT, .tree = tree };
	uint64_t	      lsn;

	snprintf(key, sizeof(key), "%05u", k);
	test_fill(val, sizeof(val), k + 1000 * version);
	m.key = (tarn_buf){ key, 5 };
	m.val = (tarn_buf){ val, k % 16 == 3 ? sizeof(val) : 60 };
	assert_ok(store_apply(f->store, &m, 1, 0, &lsn, NULL));
}

static uint64_t snap(struct fixture *f, uint64_t tree)
{
	struct store_mutation m = { .change = STORE_SNAP, .tree = tree };
	uint64_t	      lsn;

	assert_ok(store_apply(f->store, &m, 1, 0, &lsn, NULL));
	return lsn;
}

/* Two trees, the first with three snapshots between which some of it changes, and all of that on disk. */
static void fill(struct fixture *f)
{
	for (unsigned k = 0; k < KEYS; k++)
		put(f, FIRST, k, 0), put(f, FIRST + 1, k, 0);
	for (unsigned i = 0; i < 3; i++) {
		f->epochs[i] = snap(f, FIRST);
		for (unsigned k = 0; k < KEYS; k += 7 + i)
			put(f, FIRST, k, i + 1);
	}
	assert_ok(store_checkpoint(f->store));
	assert_ok(store_check(f->store, NULL));
}

struct heard {
	struct store_report report;
	unsigned	    n;
	char		    what[TARN_MESSAGE_MAX];
	struct store_at	    at;
	uint64_t	    block, blocks;
};

static void note(struct store_report *report, const struct store_finding *finding)
{
	struct heard *h = container_of(report, struct heard, report);

	if (h->n++)
		return;
	snprintf(h->what, sizeof(h->what), "%s", finding->what);
	h->at	  = finding->at;
	h->block  = finding->block;
	h->blocks = finding->blocks;
}

static struct heard hear(void)
{
	return (struct heard){ .report = { .found = note } };
}

static void assert_finds(struct fixture *f, const char *part)
{
	struct heard h = hear();

	assert_error(store_check(f->store, &h.report), CSUM);
	assert_true(h.n > 0 && h.n == h.report.findings);
	if (!strstr(h.what, part))
		fail_msg("\"%s\" does not say \"%s\"", h.what, part);
}

/* ---- the map ---- */

static uint64_t free_block(struct store *s)
{
	uint64_t block;

	assert_true(space_alloc(&s->space, 1, &block) == 1);
	return block;
}

static void lost_block(struct fixture *f)
{
	pthread_mutex_lock(&f->store->lock);
	(void)free_block(f->store);
	pthread_mutex_unlock(&f->store->lock);
	assert_finds(f, "nothing refers to them");
}

static struct bptr root_of(struct fixture *f, uint64_t tree)
{
	struct bptr root;

	pthread_mutex_lock(&f->store->lock);
	root = tree_peek(f->store, tree, 0)->root;
	pthread_mutex_unlock(&f->store->lock);
	return root;
}

static void open_block(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST + 1);

	pthread_mutex_lock(&f->store->lock);
	space_free_now(&f->store->space, root.addr, 1);
	pthread_mutex_unlock(&f->store->lock);
	assert_finds(f, "the space map has it as free");
}

/* ---- records ---- */

static void put_root(struct fixture *f, uint64_t tree, const struct bptr *root, uint64_t keys)
{
	uint8_t key[8], rec[TREE_BYTES];

	put64be(key, tree);
	bptr_put(rec + TREE_ROOT, root);
	put64(rec + TREE_KEYS, keys);
	assert_ok(own_put(f->store, 0, key, sizeof(key), rec, sizeof(rec)));
	f->store->trees_dirty++;
	tree_peek(f->store, 0, 0)->dirty = true;
}

static void wrong_count(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST + 1);

	put_root(f, FIRST + 1, &root, KEYS + 1);
	assert_finds(f, "keys are said to be");
}

static void two_trees_on_one_page(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST + 1);

	put_root(f, FIRST + 9, &root, KEYS);
	assert_finds(f, "referred to twice");
}

static void another_trees_page(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST + 1);

	put_root(f, FIRST, &root, KEYS);
	assert_finds(f, "it is another page");
}

static void older_page(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST + 1);

	root.birth--;
	put_root(f, FIRST + 1, &root, KEYS);
	assert_finds(f, "it is another page");
}

static void extents_not_said(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST + 1);

	root.flags &= ~BPTR_EXTENTS;
	put_root(f, FIRST + 1, &root, KEYS);
	assert_finds(f, "values in extents");
}

/* ---- snapshots ---- */

static uint64_t gen_of(struct fixture *f, unsigned snapshot)
{
	uint64_t gen;

	pthread_mutex_lock(&f->store->lock);
	gen = tree_peek(f->store, FIRST, 0)->snaps[snapshot].gen;
	pthread_mutex_unlock(&f->store->lock);
	return gen;
}

static void put_snapshot(struct fixture *f, uint64_t epoch, const struct bptr *root, uint64_t keys, uint64_t gen)
{
	uint8_t key[16], rec[SNAP_BYTES];

	put64be(key, FIRST);
	put64be(key + 8, epoch);
	bptr_put(rec + SNAP_ROOT, root);
	put64(rec + SNAP_KEYS, keys);
	put64(rec + SNAP_GEN, gen);
	assert_ok(own_put(f->store, TREE_SNAPS, key, sizeof(key), rec, sizeof(rec)));
}

static void snapshot_of_something_else(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST);

	put_snapshot(f, f->epochs[2], &root, KEYS + 1, gen_of(f, 2));
	assert_finds(f, "is something else in a younger state");
}

static void snapshots_do_not_ascend(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST);

	put_snapshot(f, f->epochs[1], &root, KEYS, 1);
	assert_finds(f, "do not ascend");
}

/* ---- notes of what only snapshots need ---- */

static void put_note(struct fixture *f, uint64_t needed, uint64_t birth, uint64_t block)
{
	uint8_t key[DEAD_KEY_BYTES], val[4];

	put64be(key, FIRST);
	put64be(key + 8, needed);
	put64be(key + 16, birth);
	put64be(key + 24, block);
	put32(val, 1);
	assert_ok(own_put(f->store, TREE_DEAD, key, sizeof(key), val, sizeof(val)));
}

struct note {
	uint8_t	 key[DEAD_KEY_BYTES];
	uint32_t blocks;
};

/* Takes a note of the first tree out. */
static int take_note(struct store *s, void *arg)
{
	struct note *note = arg;
	struct tree *t;
	struct path  path;
	int	     rc = tree_open(s, TREE_DEAD, 0, &t);

	put64be(note->key, FIRST);
	rc = rc ? rc : tree_ceiling(s, t, (tarn_buf){ note->key, sizeof(note->key) }, &path);
	if (!rc) {
		struct frame *leaf = path.frames[path.depth - 1];
		uint32_t      slot = path.slots[path.depth - 1];

		node_key_copy(leaf->page, leaf->cap, slot, note->key, sizeof(note->key));
		note->blocks = get32(node_value(leaf->page, leaf->cap, slot).bytes);
		path_release(&path);
		rc = tree_del(s, t, (tarn_buf){ note->key, sizeof(note->key) });
	}
	return rc;
}

static struct note first_note(struct fixture *f)
{
	struct note note = { .blocks = 0 };

	assert_ok(store_run(f->store, 0, take_note, &note));
	assert_int_equal(get64be(note.key), FIRST);
	return note;
}

static void missing_note(struct fixture *f)
{
	(void)first_note(f);
	assert_finds(f, "are not noted");
}

static void note_of_live_block(struct fixture *f)
{
	struct bptr root = root_of(f, FIRST);

	put_note(f, gen_of(f, 0), 1, root.addr);
	assert_finds(f, "it is in use");
}

static void note_of_free_block(struct fixture *f)
{
	uint64_t block;

	pthread_mutex_lock(&f->store->lock);
	block = free_block(f->store);
	pthread_mutex_unlock(&f->store->lock);
	put_note(f, gen_of(f, 0), 1, block);
	assert_finds(f, "none reaches it");
}

static void note_for_no_snapshot(struct fixture *f)
{
	struct note note = first_note(f);

	put_note(f, f->store->gen + 5, 1, get64be(note.key + 24));
	assert_finds(f, "for a snapshot of tree 16 that there is not");
}

static void note_of_another_birth(struct fixture *f)
{
	struct note note = first_note(f);

	put_note(f, get64be(note.key + 8), 1, get64be(note.key + 24));
	assert_finds(f, note.blocks == 1 ? "noted for the wrong ones" : "are not noted");
}

static void every_mistake_is_found(void **state)
{
	void (*const mistakes[])(struct fixture *) = {
		lost_block,
		open_block,
		wrong_count,
		two_trees_on_one_page,
		another_trees_page,
		older_page,
		extents_not_said,
		snapshot_of_something_else,
		snapshots_do_not_ascend,
		missing_note,
		note_of_live_block,
		note_of_free_block,
		note_for_no_snapshot,
		note_of_another_birth,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		struct fixture f;

		begin(&f);
		fill(&f);
		mistakes[i](&f);
		end(&f);
	}
}

/* ---- rot ---- */

/* Every block in turn is damaged: a scrub names the place, or the block is free. */
static void every_block(void **state)
{
	struct fixture f;
	unsigned       found = 0, map = 0;
	uint8_t	       block[BLOCK];

	(void)state;
	begin(&f);
	fill(&f);
	for (uint64_t b = 2 + (512u << 10) / BLOCK; b < SIZE / BLOCK - 2; b++) {
		struct heard scrubbed = hear();
		int	     rc;

		sim_peek(f.disk, b * BLOCK, block, BLOCK);
		block[b % BLOCK] ^= 1;
		sim_poke(f.disk, b * BLOCK, block, BLOCK);
		rc = store_scrub(f.store, &scrubbed.report);
		assert_true(rc == 0 || rc == -TARN_E_CSUM);
		if (rc) {
			assert_true(scrubbed.n >= 1);
			assert_true(b >= scrubbed.block && b < scrubbed.block + MAX(scrubbed.blocks, 1u));
			found++;
			map += scrubbed.at.tree == 0;
		}
		block[b % BLOCK] ^= 1;
		sim_poke(f.disk, b * BLOCK, block, BLOCK);
	}
	assert_ok(store_scrub(f.store, NULL));
	assert_ok(store_check(f.store, NULL));
	printf("# %u blocks are in use, %u of them the engine's own\n", found, map);
	assert_true(found > 200 && map >= 3);
	end(&f);
}

/* The number of blocks that a scrub reads is that of the map: nothing is left out. */
static void scrub_reads_all(void **state)
{
	struct heard   h = hear();
	struct fixture f;
	uint64_t       used;

	(void)state;
	begin(&f);
	fill(&f);
	assert_ok(store_scrub(f.store, &h.report));
	used = f.store->sb.blocks - f.store->sb.free_blocks - f.store->sb.log_blocks - 4;
	assert_true(h.report.bytes >= used * BLOCK);
	assert_true(h.report.bytes < used * BLOCK * 5 / 4);
	end(&f);
}

/* A check says what the device said, whichever of its reads fails, once or from then on. Its checkpoint reads a page of the map again that
 * could not be read once. */
static bool read_fails(struct fixture *f, unsigned n, bool sticky)
{
	uint64_t before = sim_faults_injected(f->disk);
	bool	 failed;
	int	 rc;

	assert_ok(store_close(f->store));
	assert_ok(store_open(f->dev, NULL, &f->store));
	sim_fail_nth(f->disk, TARN_DEV_READ, n, sticky);
	rc     = store_check(f->store, NULL);
	failed = sim_faults_injected(f->disk) != before;
	sim_fail_nth(f->disk, TARN_DEV_READ, 0, false);
	if (failed && !rc && !sticky && n == 1)
		return true;
	if (rc != (failed ? -TARN_E_IO : 0))
		fail_msg("read %u%s: %s: %s", n, sticky ? " and all after it" : "", tarn_errname(rc), base_message());
	return failed;
}

static void reads_that_fail(void **state)
{
	struct fixture f;
	unsigned       once = 1, sticky = 1;

	(void)state;
	begin(&f);
	fill(&f);
	while (read_fails(&f, once, false))
		once++;
	while (read_fails(&f, sticky, true))
		sticky++;
	printf("# %u and %u reads failed\n", once - 1, sticky - 1);
	assert_true(once > 200 && sticky > 200);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_found),
		cmocka_unit_test(every_block),
		cmocka_unit_test(scrub_reads_all),
		cmocka_unit_test(reads_that_fail),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
