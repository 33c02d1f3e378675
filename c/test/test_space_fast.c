/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_space_fast.c: how fast blocks are found in a space map that is nearly full, and how whole the runs are. Timings are printed, never
 * judged. GIB is the size of the device. */
#include "space_model.h"

/* Pages of so many blocks each, at multiples of that. */
static void fill_at_random(unsigned percent, uint64_t page)
{
	for (uint64_t b = 20; b + page + 2 < t.blocks; b += page)
		if (rng_below(&t.rng, 100) < percent)
			space_take(map(), b, page);
}

static bool is_live(uint64_t block)
{
	const struct space_chunk *ck  = map()->chunk[block / MAP_BITS];
	uint32_t		  bit = block % MAP_BITS, w = bit / 64;

	return (ck->used[w] & ~plane_word(ck, FREED, w)) >> bit % 64 & 1;
}

static void overwrite_at_random(uint64_t blocks, uint64_t page)
{
	while (blocks >= page) {
		uint64_t b = 20 + rng_below(&t.rng, (t.blocks - 24) / page) * page;

		if (!is_live(b))
			continue;
		space_free_later(map(), b, page);
		blocks -= page;
	}
}

struct figures {
	uint64_t ns, blocks, runs;
};

static void take_blocks(struct figures *f, uint64_t blocks)
{
	uint64_t start = base_mono_ns(), block, n, left = blocks;

	for (; left; left -= n, f->runs++) {
		n = space_alloc(map(), MIN(left, 256), &block);
		assert_true(n > 0);
	}
	f->ns += base_mono_ns() - start;
	f->blocks += blocks;
}

static void measure_runs(uint64_t len)
{
	uint64_t start = base_mono_ns(), block, calls = 0;

	while (calls < 10000 && space_alloc_run(map(), len, &block))
		calls++;
	print_message("#   runs of %3" PRIu64 ": %5" PRIu64 " found, %.0f ns a call;", len, calls,
		      (double)(base_mono_ns() - start) / (double)(calls + 1));
	start = base_mono_ns();
	for (int i = 0; i < 1000; i++)
		calls += space_alloc_run(map(), len, &block);
	print_message(" the next 1000 calls %.0f ns each\n", (double)(base_mono_ns() - start) / 1000);
}

static void measure(unsigned percent, uint64_t page)
{
	uint64_t       n, start, thaw_ns = 0, thaw_max = 0;
	struct figures first = { 0 }, steady = { 0 };

	begin(test_number("GIB", 1) << 18);
	fill_at_random(percent, page);
	n = map()->free / 5 / page * page;
	take_blocks(&first, n);
	for (int i = 0; i < 20; i++) {
		overwrite_at_random(n, page);
		start = base_mono_ns();
		space_freeze(map());
		space_thaw(map());
		thaw_max = MAX(thaw_max, base_mono_ns() - start);
		thaw_ns += base_mono_ns() - start;
		take_blocks(&steady, n);
	}
	print_message("# %u %% of %" PRIu64 " GiB, pages of %" PRIu64
		      ": %.1f ns a block in runs of %.2f; after 20 rounds of random overwrites "
		      "%.1f ns in runs of %.2f; freeze and thaw %.1f ms, at most %.1f\n",
		      percent, t.blocks >> 18, page, (double)first.ns / (double)first.blocks,
		      (double)first.blocks / (double)first.runs, (double)steady.ns / (double)steady.blocks,
		      (double)steady.blocks / (double)steady.runs, (double)thaw_ns / 20e6, (double)thaw_max / 1e6);
	measure_runs(4);
	measure_runs(256);
	end();
}

static void test_how_fast(void **state)
{
	(void)state;
	for (uint64_t page = 1; page <= 4; page += 3) {
		measure(80, page);
		measure(95, page);
		measure(99, page);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
