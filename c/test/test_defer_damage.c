/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_defer_damage.c: leaves that were put off, and prove damaged: what was acknowledged is there, what else was in them is not, and nothing else is
 * lost. */
#include "defer_store.h"

static bool is_leaf(const uint8_t *page, uint64_t block)
{
	return get32(page + NODE_MAGIC) == NODE_MAGIC_NUMBER && !page[NODE_LEVEL] && get64(page + NODE_TREE) == TREE &&
	       get64(page + NODE_ADDR) == block;
}

static unsigned unreadable(struct fixture *f)
{
	uint8_t	 buf[4 * VALUE];
	unsigned n = 0;
	size_t	 len;

	for (uint32_t k = 0; k < KEYS; k++) {
		int rc = get(f, 0, k, buf, &len);

		assert_true(!rc || rc == -TARN_E_CSUM);
		n += rc != 0;
	}
	return n;
}

/* Leaves that the last checkpoint wrote are in use. One with so many keys that some are put and some are not, and so few that the puts are put
 * off. */
static uint64_t newest_leaf(struct fixture *f)
{
	uint64_t newest = 0, found = 0;
	uint8_t	 page[BLOCK];

	for (uint64_t block = 0; block < SIZE / BLOCK; block++) {
		sim_peek(f->disk, block * BLOCK, page, BLOCK);
		if (!is_leaf(page, block) || get64(page + NODE_BIRTH) < newest)
			continue;
		if (get64(page + NODE_BIRTH) > newest)
			found = 0;
		newest = get64(page + NODE_BIRTH);
		if (get32(page + NODE_COUNT) > 8 && get32(page + NODE_COUNT) < 17)
			found = block;
	}
	assert_true(found);
	return found;
}

/* Damages a leaf that is in use, and opens the store again: its keys cannot be read. */
static void damage(struct fixture *f)
{
	sim_flip_bit(f->disk, newest_leaf(f) * BLOCK + BLOCK - 200, 3);
	abandon_and_open(f);
	assert_true(unreadable(f) > 0);
}

/* What was acknowledged is there; what nobody has changed since cannot be read; the rest is as it was. */
static void assert_saved(struct fixture *f, const uint32_t *version, unsigned lost)
{
	unsigned csum = 0;

	for (uint32_t k = 0; k < KEYS; k++) {
		uint8_t buf[4 * VALUE];
		size_t	len;

		if (version[k])
			assert_right(f, 0, k, version[k]);
		else if (get(f, 0, k, buf, &len))
			csum++;
		else
			assert_right(f, 0, k, 1);
	}
	assert_int_equal(csum, lost);
}

/* Puts every step-th key; those that were refused are on the damaged leaf. Returns how many were acknowledged there. */
static unsigned put_some(struct fixture *f, uint32_t from, uint32_t step, uint32_t new, uint32_t *version, const bool *broken)
{
	unsigned saved = 0;

	for (uint32_t k = from; k < KEYS; k += step) {
		int rc = put(f, k, new);

		assert_true(!rc || (rc == -TARN_E_CSUM && broken[k]));
		if (rc)
			continue;
		version[k] = new;
		saved += broken[k];
	}
	return saved;
}

static unsigned find_broken(struct fixture *f, bool *broken)
{
	uint8_t	 buf[4 * VALUE];
	unsigned n = 0;
	size_t	 len;

	for (uint32_t k = 0; k < KEYS; k++) {
		broken[k] = get(f, 0, k, buf, &len) != 0;
		n += broken[k];
	}
	return n;
}

static void reopen(struct fixture *f)
{
	assert_ok(store_close(f->store));
	device_close(f->dev);
	open_it(f);
}

/* A store with a damaged leaf: how many keys are lost with it, and which. */
static unsigned begin_damaged(struct fixture *f, bool *broken, uint32_t *version)
{
	memset(version, 0, KEYS * sizeof(*version));
	begin_with_keys(f);
	damage(f);
	return find_broken(f, broken);
}

static void puts_on_a_damaged_leaf_are_there(void **state)
{
	static bool	broken[KEYS];
	static uint32_t version[KEYS];
	struct fixture	f;
	unsigned	lost, saved;

	(void)state;
	lost = begin_damaged(&f, broken, version);
	assert_true(lost > 4 && lost < 100);
	reopen(&f);
	saved = put_some(&f, 0, 3, 5, version, broken);
	assert_true(saved > 0);
	assert_ok(store_checkpoint(f.store));
	assert_false(stat_of(&f).readonly);
	assert_saved(&f, version, lost - saved);
	crash(&f);
	assert_saved(&f, version, lost - saved);
	put_some(&f, 0, 3, 6, version, broken); /* in place now */
	reopen(&f);
	assert_saved(&f, version, lost - saved);
	assert_error(store_check(f.store, NULL), CSUM);
	abandon(&f);
	sim_disk_destroy(f.disk);
}

/* The log has puts on a leaf that is damaged by the time it is replayed. */
static void a_replay_passes_damage(void **state)
{
	static bool	broken[KEYS];
	static uint32_t version[KEYS];
	struct fixture	f;
	unsigned	lost, saved;

	(void)state;
	lost = begin_damaged(&f, broken, version);
	reopen(&f);
	saved = put_some(&f, 1, 5, 7, version, broken);
	assert_true(saved > 0);
	assert_ok(spill_now(f.store, true));
	crash(&f);
	assert_saved(&f, version, lost - saved);
	crash(&f);
	assert_saved(&f, version, lost - saved);
	abandon(&f);
	sim_disk_destroy(f.disk);
}

/* Puts every step-th of the keys on the damaged leaf. */
static unsigned put_broken(struct fixture *f, unsigned from, unsigned step, uint32_t new, uint32_t *version, const bool *broken)
{
	unsigned i = 0, n = 0;

	for (uint32_t k = 0; k < KEYS; k++) {
		if (!broken[k] || i++ % step != from)
			continue;
		assert_ok(put(f, k, new));
		n += !version[k];
		version[k] = new;
	}
	return n;
}

/* A snapshot in between, and puts before and after it: in the snapshot the leaf is damaged, the live tree has the puts. */
static void damage_below_a_snapshot(void **state)
{
	static bool	      broken[KEYS];
	static uint32_t	      version[KEYS];
	struct store_mutation snap = { .change = STORE_SNAP, .tree = TREE }, drop = { .change = STORE_DROP, .tree = TREE };
	struct fixture	      f;
	unsigned	      lost, saved;
	uint64_t	      epoch;

	(void)state;
	lost = begin_damaged(&f, broken, version);
	reopen(&f);
	saved = put_broken(&f, 0, 4, 5, version, broken);
	assert_ok(store_apply(f.store, &snap, 1, 0, &epoch, NULL));
	saved += put_broken(&f, 1, 4, 8, version, broken);
	assert_ok(spill_now(f.store, true)); /* some of them are not in memory */
	saved += put_broken(&f, 0, 8, 9, version, broken);
	assert_true(saved > 1);
	assert_ok(store_checkpoint(f.store));
	assert_saved(&f, version, lost - saved);
	for (uint32_t k = 0; k < KEYS; k++) {
		uint8_t buf[4 * VALUE];
		size_t	len;

		if (broken[k])
			assert_error(get(&f, epoch, k, buf, &len), CSUM);
		else
			assert_right(&f, epoch, k, 1);
	}
	crash(&f);
	assert_saved(&f, version, lost - saved);
	assert_ok(store_apply(f.store, &drop, 1, 0, &f.lsn, NULL)); /* nothing is given up twice */
	assert_ok(store_checkpoint(f.store));
	assert_ok(store_checkpoint(f.store));
	assert_ok(put(&f, 1, 1));
	assert_right(&f, 0, 1, 1);
	abandon(&f);
	sim_disk_destroy(f.disk);
}

/* A read that fails once does not turn the store read-only, nor lose a put. */
static void a_failed_read_is_tried_again(void **state)
{
	struct sim_faults no_reads = { .read_error = 1 }, none = { 0 };
	static uint32_t	  version[KEYS];
	static bool	  broken[KEYS];
	struct fixture	  f;

	(void)state;
	memset(version, 0, sizeof(version));
	begin_with_keys(&f);
	warm(&f);
	put_some(&f, 1, 9, 4, version, broken);
	sim_set_faults(f.disk, &no_reads);
	assert_error(store_checkpoint(f.store), IO);
	sim_set_faults(f.disk, &none);
	assert_false(stat_of(&f).readonly);
	assert_saved(&f, version, 0);
	put_some(&f, 1, 18, 6, version, broken);
	assert_ok(store_checkpoint(f.store));
	assert_saved(&f, version, 0);
	crash(&f);
	assert_saved(&f, version, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_on_a_damaged_leaf_are_there),
		cmocka_unit_test(a_replay_passes_damage),
		cmocka_unit_test(damage_below_a_snapshot),
		cmocka_unit_test(a_failed_read_is_tried_again),
	};

	return cmocka_run_group_tests_name("defer_damage", tests, NULL, NULL);
}
