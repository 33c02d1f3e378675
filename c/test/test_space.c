/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_space.c: the space map at random against its model, and what it does with damage, without memory, and when it is nearly
 * full. */
#include "space_model.h"

/* Of planes that are empty nothing is left but the reserve. */
static void assert_bytes(void)
{
	const struct space *sp	   = map();
	uint64_t	    loaded = 0, reserve = sp->spares * (uint64_t)BLOCK + sp->spare_chunks * sizeof(**sp->chunk);

	for (uint32_t c = 0; c < sp->chunks; c++)
		loaded += sp->chunk[c] != NULL;
	assert_in_range(sp->bytes - reserve, loaded * BLOCK, (loaded + 1) * BLOCK + loaded * 256 + sp->chunks * 100 + 4096);
}

/* ---- tests ---- */

static void test_model(void **state)
{
	unsigned rounds = (unsigned)test_number("N", 60);

	(void)state;
	begin(2 * MAP_BITS + 12345);
	for (unsigned i = 0; i < rounds; i++) {
		t.inject = i % 3 ? 5 : 0;
		round_trip(i, true);
	}
	t.inject = 0;
	settle();
	assert_bytes();
	assert_int_equal(t.logged, 0);
	end();
}

/* More than one page of the index. */
static void test_many_chunks(void **state)
{
	(void)state;
	begin((uint64_t)MAP_BITS * (INDEX_ENTRIES + 3) + 5);
	assert_int_equal(map()->index_pages, 2);
	round_trip(0, true);
	map()->cursor = (uint64_t)MAP_BITS * INDEX_ENTRIES;
	round_trip(1, true);
	crash();
	t.map_writes = 0;
	work(5);
	assert_ok(checkpoint_until_written(0));
	thaw();
	assert_true(t.map_writes <= 12); /* what did not change was not written */
	assert_on_disk(true);
	settle();
	end();
}

/* Without memory and without a reserve no block is handed out that somebody reaches, and a map is written only while it is true. */
static void test_no_memory(void **state)
{
	unsigned failed = 0;

	(void)state;
	begin(2 * MAP_BITS + 999);
	round_trip(0, true);
	for (unsigned i = 1; i < 40; i++) {
		t.fail_alloc = 3 + i;
		work(60);
		if (checkpoint_until_written(10)) {
			t.fail_alloc = 0;
			failed++;
			crash();
			continue;
		}
		others_work(10);
		t.fail_alloc = 0;
		thaw();
		assert_on_disk(!map()->broken);
	}
	print_message("# %u allocations failed, %u checkpoints with them\n", t.missed, failed);
	assert_true(t.missed > 0);
	end();
}

/* Taken without memory for the chunk: the map may not be written, since it does not know what was there. */
static void test_take_without_memory(void **state)
{
	(void)state;
	begin(MAP_BITS + 100);
	round_trip(0, true);
	crash();
	store_delete(t.s);
	t.s = store_new(t.blocks);
	assert_ok(space_load(map(), &t.root));
	t.fail_alloc = 1;
	space_take(map(), 500, 3);
	t.fail_alloc = 0;
	space_freeze(map());
	assert_error(space_write(map()), NOMEM);
	crash();
	round_trip(1, true);
	end();
}

static void write_from(uint64_t cursor)
{
	map()->cursor = cursor;
	assert_ok(space_write(map()));
	thaw();
	assert_on_disk(true);
}

/* Pages that nothing but the checkpoint itself makes dirty, each in a chunk of its own. */
static void test_quiet_chunks(void **state)
{
	uint64_t in_2 = 2 * MAP_BITS + 50, in_3 = 3 * MAP_BITS + 50;

	(void)state;
	begin(4 * MAP_BITS);
	space_take(map(), in_2, 9);
	mark(in_2, 9, LIVE, 0);
	space_take(map(), in_3, 9);
	space_hide(map(), in_3, 9);
	mark(in_3, 9, OURS, 0);
	freeze();
	write_from(MAP_BITS + 1); /* all of the map lies in chunk 1 */
	freeze();
	write_from(30); /* all but the pages of chunks 2 and 3 in chunk 0 */

	freeze();
	space_show(map(), in_3, 9); /* shown too late for this checkpoint: the next writes it, although nothing else happens */
	mark(in_3, 9, LIVE, OURS);
	write_from(60);
	freeze();
	space_free_leaving(map(), in_2, 9);
	mark(in_2, 9, 0, LIVE | NEXT);
	write_from(90);
	end();
}

static void test_failed_write(void **state)
{
	(void)state;
	begin(2 * MAP_BITS);
	round_trip(0, true);
	for (unsigned n = 1; n <= 3; n++) { /* of a chunk's page, the index's page and the root at the least */
		work(30);
		t.fail_write = n;
		freeze();
		assert_error(space_write(map()), IO);
		assert_int_equal(t.fail_write, 0);
		crash();
		round_trip(1, true);
	}
	end();
}

static void damage(uint64_t block)
{
	at(block)[rng_below(&t.rng, BLOCK)] ^= (uint8_t)(1u << rng_below(&t.rng, 8));
}

/* A map on disk with something in it, and none of its chunks loaded. */
static void begin_anew(void)
{
	round_trip(0, true);
	work(200);
	assert_ok(checkpoint_until_written(0));
	thaw();
	crash();
}

/* Several extents in each chunk but chunk 0, so that each plane of each is made, all from the reserve. */
static void work_in_each_chunk(void)
{
	for (uint32_t c = 1; c < map()->chunks; c++) {
		uint64_t b = (uint64_t)c * MAP_BITS;

		space_free_later(map(), b, 1);
		space_show(map(), b + 2, 1);
		space_free_leaving(map(), b + 1, 1);
		mark(b, 2, 0, LIVE | NEXT);
		mark(b, 1, NEXT, 0);
		mark(b + 2, 1, LIVE, OURS);
	}
}

/* Taken in each chunk but chunk 0: two blocks of the tree, and one that is being written. */
static void begin_in_each_chunk(uint32_t chunks)
{
	begin((uint64_t)chunks * MAP_BITS);
	for (uint32_t c = 1; c < chunks; c++) {
		space_take(map(), (uint64_t)c * MAP_BITS, 3);
		space_hide(map(), (uint64_t)c * MAP_BITS + 2, 1);
		mark((uint64_t)c * MAP_BITS, 2, LIVE, 0);
		mark((uint64_t)c * MAP_BITS + 2, 1, OURS, 0);
	}
	assert_ok(checkpoint_until_written(0));
	thaw();
}

/* With a reserve nothing of what cannot fail needs memory; planes that are empty go back to it. */
static void test_reserve(void **state)
{
	uint64_t bytes;

	(void)state;
	begin_in_each_chunk(5); /* 4 chunks, 3 planes each */
	assert_ok(space_reserve(map()));
	bytes = map()->bytes;
	assert_ok(space_reserve(map()));
	assert_int_equal(map()->bytes, bytes);
	freeze();
	t.fail_alloc = 1;
	work_in_each_chunk();
	assert_int_equal(t.missed, 0);
	assert_int_equal(map()->bytes, bytes);
	assert_int_equal(map()->spares,
			 SPARE_PAGES - 2 * 4); /* `shown` has the page that `hidden` needs no more, or the other way round */
	t.fail_alloc = 0;
	assert_ok(space_write(map()));
	thaw();
	assert_on_disk(true);
	assert_true(map()->spares > SPARE_PAGES - 2 * 4);
	settle();
	assert_bytes();
	assert_int_equal(t.logged, 0);
	end();
}

/* Neither does a chunk that must be read first. */
static void test_reserve_chunk(void **state)
{
	(void)state;
	begin_in_each_chunk(3);
	crash();
	assert_ok(space_reserve(map()));
	t.fail_alloc = 1;
	for (uint64_t b = MAP_BITS; b < t.blocks; b += MAP_BITS) {
		space_free_later(map(), b, 1);
		mark(b, 1, 0, LIVE);
	}
	t.fail_alloc = 0;
	assert_int_equal(t.missed + t.logged + t.poisoned, 0);
	settle();
	end();
}

static void test_reserve_without_memory(void **state)
{
	(void)state;
	begin(MAP_BITS);
	t.fail_alloc = 1;
	assert_error(space_reserve(map()), NOMEM);
	t.fail_alloc = 0;
	assert_ok(space_reserve(map()));
	end();
}

/* When what becomes of a block cannot be noted the store fails, the map is not written, and the next open frees what is free. */
static void assert_broken(int rc)
{
	assert_int_equal(t.poisoned, rc);
	freeze();
	assert_int_equal(space_write(map()), rc);
	assert_says("open the store again");
	crash();
	assert_int_equal(map()->broken, 0);
	settle();
}

static void test_used_up_reserve(void **state)
{
	(void)state;
	begin_in_each_chunk(2);
	while (map()->spares)
		device_free(map()->spare[--map()->spares]);
	t.fail_alloc = 1;
	space_free_later(map(), MAP_BITS, 1);
	t.fail_alloc = 0;
	assert_broken(-TARN_E_NOMEM);
	end();
}

/* Its true map is on disk: what is freed in it meanwhile must not stay in use for good. */
static void test_free_unreadable(void **state)
{
	(void)state;
	begin_in_each_chunk(2);
	crash();
	t.fail_reads = 1;
	space_free_leaving(map(), MAP_BITS, 1);
	assert_int_equal(t.fail_reads, 0);
	assert_broken(-TARN_E_IO);
	end();
}

/* An open must not hand out what the log says is taken; it hears of that from its checkpoint. */
static void test_take_unreadable(void **state)
{
	uint64_t block;

	(void)state;
	begin_in_each_chunk(2);
	crash();
	t.fail_reads = 1;
	space_take(map(), MAP_BITS + 7, 1);
	assert_int_equal(t.poisoned, 0);
	map()->cursor = MAP_BITS + 1;
	assert_int_equal(space_alloc(map(), 100, &block), 0); /* it could be what was to be taken */
	space_free_now(map(), MAP_BITS, 1);		      /* the page can be read now, which helps no more */
	assert_int_equal(map()->lost, 0);
	assert_int_equal(map()->lost_rc, -TARN_E_IO);
	assert_int_equal(space_alloc(map(), 100, &block), 0);
	freeze();
	assert_error(space_write(map()), IO);
	crash();
	settle();
	end();
}

/* A chunk that cannot be read is passed over, and tried again. */
static void test_unreadable_page(void **state)
{
	uint64_t block, free, n, got = 0;

	(void)state;
	begin(2 * MAP_BITS);
	begin_anew();
	map()->cursor = MAP_BITS + 1;
	space_take(map(), MAP_BITS, 20);
	free	     = map()->free;
	t.fail_reads = UINT32_MAX;
	while ((n = space_alloc(map(), 100, &block))) {
		assert_true(block >= MAP_BITS);
		got += n;
	}
	assert_int_equal(map()->lost_rc, -TARN_E_IO);
	assert_int_equal(map()->lost, 1);
	assert_int_equal(map()->free, free - got);
	assert_int_equal(t.logged, 1); /* once, however often it is tried */

	t.fail_reads = 1;
	assert_true(space_alloc(map(), 1, &block) == 1); /* the same call tries again */
	assert_true(block < MAP_BITS);
	assert_int_equal(map()->lost_rc, 0);
	assert_int_equal(map()->lost, 0);
	assert_int_equal(t.poisoned, 0);
	end();
}

/* Why nothing was found is known as long as any chunk cannot be read. */
static void test_unreadable_and_damaged(void **state)
{
	uint64_t block;

	(void)state;
	begin(2 * MAP_BITS);
	begin_anew();
	damage(map()->index[0].addr);
	space_free_later(map(), 700, 1);
	assert_int_equal(map()->lost_rc, -TARN_E_CSUM);
	t.fail_alloc = 1;
	while (map()->spares)
		device_free(map()->spare[--map()->spares]);
	assert_int_equal(space_alloc(map(), 1, &block), 0);
	assert_int_equal(map()->lost_rc, -TARN_E_NOMEM);
	assert_int_equal(map()->lost, 2);
	t.fail_alloc = 0;
	assert_int_equal(space_alloc(map(), 1, &block), 1);
	assert_int_equal(map()->lost, 1);
	assert_true(map()->lost_rc != 0);
	assert_int_equal(t.poisoned, 0);
	end();
}

/* A damaged page costs its chunk, and nothing else. */
static void test_damaged_page(void **state)
{
	uint64_t block, n, got = 0, other;
	unsigned logged;

	(void)state;
	begin(3 * MAP_BITS);
	begin_anew();
	damage(map()->index[0].addr);
	other  = map()->free_in[1] + map()->free_in[2];
	logged = t.logged;
	space_free_later(map(), 700, 1);
	space_hide(map(), 701, 1);
	space_show(map(), 701, 1);
	space_free_now(map(), 702, 1);
	assert_int_equal(map()->free, other);
	assert_int_equal(t.logged, logged + 1);
	assert_int_equal(map()->freed, 0);
	while ((n = space_alloc(map(), 100, &block))) {
		assert_true(block >= MAP_BITS);
		assert_nobodys(block, n);
		space_free_now(map(), block, n);
		space_take(map(), block, n);
		got += n;
	}
	assert_int_equal(got, other);
	assert_true(space_on_disk(map(), 600));
	end();
}

/* A page that could not be read is left alone, until something of it is taken: then it must not say that this is free. */
static void test_damaged_page_taken(void **state)
{
	struct bptr page;

	(void)state;
	begin(2 * MAP_BITS);
	begin_anew();
	page	      = map()->index[0];
	map()->cursor = MAP_BITS + 1;
	damage(page.addr);
	space_free_later(map(), 700, 1);
	write_page();
	assert_ok(checkpoint_until_written(0));
	assert_memory_equal(&map()->index[0], &page, sizeof(page));
	thaw();
	space_take(map(), 800, 2);
	mark(800, 2, LIVE, 0);
	assert_ok(checkpoint_until_written(0));
	thaw();
	assert_memory_not_equal(&map()->index[0], &page, sizeof(page));
	assert_on_disk(false);
	assert_true(space_on_disk(map(), 801));
	end();
}

static void test_damaged_index(void **state)
{
	struct bptr root;

	(void)state;
	begin(MAP_BITS);
	round_trip(0, true);
	root = t.root;
	store_delete(t.s);
	t.s = store_new(t.blocks);
	damage(root.addr);
	assert_error(space_load(map(), &root), CSUM);
	root.addr = t.blocks;
	assert_error(space_load(map(), &root), CSUM);
	root = (struct bptr){ 0 };
	assert_error(space_load(map(), &root), CSUM);
	end();
}

/* Whole and with its checksum, but not true. */
static void test_hostile_index(void **state)
{
	struct bptr page, root;

	(void)state;
	begin(2 * MAP_BITS);
	round_trip(0, true);
	root = t.root;
	page = bptr_get(at(root.addr));
	put32(at(page.addr) + INDEX_FREE, MAP_BITS + 1);
	page.sum = hash128(at(page.addr), BLOCK);
	bptr_put(at(root.addr), &page);
	root.sum = hash128(at(root.addr), BLOCK);
	store_delete(t.s);
	t.s = store_new(t.blocks);
	assert_error(space_load(map(), &root), CSUM);
	assert_says("free");
	end();
}

static void test_runs(void **state)
{
	uint64_t block;

	(void)state;
	begin(3 * MAP_BITS);
	space_take(map(), 0, t.blocks);
	assert_int_equal(map()->free, 0);
	assert_int_equal(space_alloc(map(), 10, &block), 0);

	space_free_now(map(), MAP_BITS - 100, 256); /* across two chunks */
	space_free_now(map(), 50, 200);
	assert_false(space_alloc_run(map(), 257, &block));
	assert_false(space_alloc_run(map(), 0, &block));
	assert_false(space_alloc_run(map(), 10 * MAP_BITS, &block));
	assert_true(space_alloc_run(map(), 256, &block));
	assert_int_equal(block, MAP_BITS - 100);
	space_free_now(map(), 1000, 7);
	assert_false(space_alloc_run(map(), 201, &block));
	space_free_now(map(), 250, 1); /* what was found out before holds no longer */
	assert_true(space_alloc_run(map(), 201, &block));
	assert_int_equal(block, 50);
	assert_int_equal(map()->free, 7);
	end();
}

/* A new pool fills from the front; a chunk is swept before the next is begun, and that is the one with the most room. */
static void test_sweep(void **state)
{
	uint64_t block, n, next = 20;

	(void)state;
	begin(4 * MAP_BITS);
	for (; next < 2 * MAP_BITS; next += n) {
		n = space_alloc(map(), 256, &block);
		assert_int_equal(block, next);
	}
	space_take(map(), 2 * MAP_BITS, 2 * MAP_BITS);
	space_free_now(map(), 100, 1);
	space_free_now(map(), 3 * MAP_BITS, 3);
	space_free_now(map(), 2 * MAP_BITS + 7, 2);
	assert_int_equal(space_alloc(map(), 256, &block), 3);
	assert_int_equal(block, 3 * MAP_BITS);
	space_free_now(map(), 4 * MAP_BITS - 1, 1);
	assert_int_equal(space_alloc(map(), 256, &block), 1);
	assert_int_equal(block, 4 * MAP_BITS - 1);
	assert_int_equal(space_alloc(map(), 1, &block), 1);
	assert_int_equal(block, 2 * MAP_BITS + 7);
	end();
}

/* A double free is a mistake of the caller: it is told, and does no harm. */
static void test_freed_twice(void **state)
{
	uint64_t block, before;

	(void)state;
	begin(MAP_BITS);
	before = map()->free;
	assert_true(space_alloc_run(map(), 10, &block));
	space_free_later(map(), block, 10);
	space_free_later(map(), block, 10);
	space_free_now(map(), block, 10);
	assert_int_equal(t.logged, 2);
	assert_int_equal(map()->freed, 10);
	assert_int_equal(map()->free, before - 10);
	space_freeze(map());
	space_thaw(map());
	assert_int_equal(map()->free, before);
	space_free_leaving(map(), block, 10);
	assert_int_equal(t.logged, 3);
	assert_int_equal(map()->leaving, 0);
	end();
}

/* Each reader keeps what was there when it opened, and not what came after. */
static void test_rounds(void **state)
{
	uint64_t a, b;
	unsigned first, second;

	(void)state;
	begin(MAP_BITS);
	assert_true(space_alloc_run(map(), 10, &a));
	assert_true(space_alloc_run(map(), 20, &b));
	first = space_hold(map());
	space_free_later(map(), a, 10);
	space_freeze(map());
	space_thaw(map());
	assert_int_equal(map()->held, 10);
	second = space_hold(map());
	space_free_later(map(), b, 20);
	space_freeze(map());
	space_thaw(map());
	assert_int_equal(map()->held, 30);
	assert_int_equal(map()->waiting, 20);
	space_unhold(map(), first);
	assert_int_equal(map()->held, 20);
	first = space_hold(map());
	space_unhold(map(), second);
	assert_int_equal(map()->held, 0);
	space_unhold(map(), first);
	assert_int_equal(map()->readers + map()->readers_before, 0);
	assert_int_equal(t.logged, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_many_chunks),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_take_without_memory),
		cmocka_unit_test(test_quiet_chunks),
		cmocka_unit_test(test_failed_write),
		cmocka_unit_test(test_damaged_page),
		cmocka_unit_test(test_damaged_page_taken),
		cmocka_unit_test(test_damaged_index),
		cmocka_unit_test(test_hostile_index),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_freed_twice),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_reserve_chunk),
		cmocka_unit_test(test_reserve_without_memory),
		cmocka_unit_test(test_used_up_reserve),
		cmocka_unit_test(test_free_unreadable),
		cmocka_unit_test(test_take_unreadable),
		cmocka_unit_test(test_unreadable_page),
		cmocka_unit_test(test_unreadable_and_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
