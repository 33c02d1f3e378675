/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_aim.c: the leaf of a change, found before the lock: an aim that stands is what a search under the lock finds, whatever has happened
 * to the tree meanwhile; and changes that use aims leave what changes without them do. */
#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/internal.h"
#include "store_tools.h"

#define SIZE   (32u << 20)
#define TREE   16u
#define KEYS   3000u
#define MANY   40u
#define ROUNDS 1500u

struct fixture {
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	struct rng	 rng;
	uint32_t	 len[KEYS]; /* what is there: bytes of the value + 1, 0: nothing */
	uint64_t	 epoch;	    /* of a snapshot; 0: there is none */
};

static void begin(struct fixture *f)
{
	struct store_format format = { .node_bytes = 1024, .log_bytes = 1 << 20 };

	memset(f, 0, sizeof(*f));
	rng_seed(&f->rng, test_seed());
	test_fill(format.pool.bytes, 16, 1);
	assert_ok(sim_disk_create(SIZE, 1, &f->disk));
	assert_ok(sim_open(f->disk, &f->dev));
	assert_ok(store_format(f->dev, &format));
	assert_ok(store_open(f->dev, NULL, &f->store));
}

static void end(struct fixture *f)
{
	assert_ok(store_check(f->store, NULL));
	assert_ok(store_close(f->store));
	device_close(f->dev);
	sim_disk_destroy(f->disk);
}

/* Of a key, whatever its length: text that says which. */
static struct store_mutation mutation(enum store_change change, uint32_t k, uint32_t len)
{
	static uint8_t keys[MANY][8], bytes[4096];
	static size_t  turn;
	uint8_t	      *key = keys[turn++ % MANY];

	put64be(key, k);
	memset(bytes, 'v', sizeof(bytes));
	return (struct store_mutation){ .change = change, .tree = TREE, .key = { key, 8 }, .val = { bytes, len } };
}

static void apply(struct fixture *f, struct store_mutation *muts, size_t n)
{
	uint64_t lsn;

	assert_ok(store_apply(f->store, muts, n, 0, &lsn, NULL));
}

/* n different keys, in no order, all of them put or deleted at once. */
static void change_some(struct fixture *f, size_t n, bool del)
{
	struct store_mutation muts[MANY];
	uint32_t	      first = (uint32_t)rng_below(&f->rng, KEYS), step = (uint32_t)rng_below(&f->rng, KEYS / MANY) + 1;

	for (size_t i = 0; i < n; i++) {
		uint32_t k = (first + (uint32_t)(n - i) * step) % KEYS, len = (uint32_t)rng_below(&f->rng, 90);

		len	  = rng_below(&f->rng, 50) ? len : 2000; /* in extents */
		f->len[k] = del ? 0 : len + 1;
		muts[i]	  = mutation(del ? STORE_DEL : STORE_PUT, k, len);
	}
	apply(f, muts, n);
}

static void snap_or_unsnap(struct fixture *f)
{
	struct store_mutation m = { .change = f->epoch ? STORE_UNSNAP : STORE_SNAP, .tree = TREE, .revision = f->epoch };
	uint64_t	      lsn;

	assert_ok(store_apply(f->store, &m, 1, 0, &lsn, NULL));
	f->epoch = f->epoch ? 0 : lsn;
}

static void drop(struct fixture *f)
{
	struct store_mutation m = { .change = STORE_DROP, .tree = TREE };

	apply(f, &m, 1);
	f->epoch = 0;
	memset(f->len, 0, sizeof(f->len));
}

static void anything(struct fixture *f)
{
	uint64_t what = rng_below(&f->rng, 100);

	if (what < 60)
		change_some(f, 1 + rng_below(&f->rng, MANY), what >= 45);
	else if (what < 90)
		change_some(f, 1, what >= 80);
	else if (what < 94)
		snap_or_unsnap(f);
	else if (what < 99)
		assert_ok(store_checkpoint(f->store));
	else if (rng_below(&f->rng, 8) == 0)
		drop(f);
}

/* With the lock: does it stand? Then a search says the same. */
static bool stands(struct fixture *f, const struct aim *aim, tarn_buf key)
{
	struct tree *t = tree_peek(f->store, TREE, 0);
	struct path  path;

	if (!t || !aim_stands(f->store, t, aim))
		return false;
	assert_ok(tree_find(f->store, t, key, &path));
	assert_true(path.depth >= aim->depth);
	assert_ptr_equal(path.frames[path.depth - 1], aim->frames[aim->depth - 1]);
	assert_int_equal(path.slots[path.depth - 1], aim->slot);
	assert_int_equal(path.found, aim->found);
	path_release(&path);
	return true;
}

static unsigned aim_and_look(struct fixture *f, unsigned between)
{
	struct store_mutation muts[MANY];
	uint8_t		      keys[MANY][8];
	struct aim	      aims[MANY];
	size_t		      n	  = 1 + rng_below(&f->rng, MANY);
	unsigned	      yes = 0;

	for (size_t i = 0; i < n; i++) {
		put64be(keys[i], rng_below(&f->rng, KEYS + 10));
		muts[i] = (struct store_mutation){ .change = STORE_PUT, .tree = TREE, .key = { keys[i], 8 } };
	}
	aim_all(f->store, muts, n, n > 1 || rng_below(&f->rng, 2), aims);
	while (between--)
		anything(f);
	pthread_mutex_lock(&f->store->lock);
	for (size_t i = 0; i < n; i++)
		yes += stands(f, &aims[i], muts[i].key);
	pthread_mutex_unlock(&f->store->lock);
	return yes;
}

static void test_aims_that_stand(void **state)
{
	struct fixture *f    = *state;
	unsigned	then = 0, later = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		anything(f);
		then += aim_and_look(f, 0);
		later += aim_and_look(f, 1 + i % 3);
	}
	print_message("%u aims stood at once, %u after changes\n", then, later);
	assert_true(then > ROUNDS && later > ROUNDS / 4);
}

static void compare(struct fixture *f)
{
	for (uint32_t k = 0; k < KEYS; k++) {
		struct store_mutation m = mutation(STORE_PUT, k, 0);
		uint8_t		      got[4096];
		size_t		      len = sizeof(got);
		int		      rc  = store_get(f->store, live(TREE), m.key, got, &len, NULL, 0);

		assert_int_equal(rc, f->len[k] ? 0 : -TARN_E_NONEXIST);
		assert_true(rc || len == f->len[k] - 1);
	}
}

/* As if threads met at the store all the time; so single changes aim too. */
static void put_one(struct fixture *f, uint32_t k, uint32_t len)
{
	struct store_mutation m = mutation(STORE_PUT, k, len);

	f->len[k] = len + 1;
	apply(f, &m, 1);
}

static bool stands_now(struct fixture *f, const struct tree *t, const struct aim *aim)
{
	bool stands;

	pthread_mutex_lock(&f->store->lock);
	stands = aim_stands(f->store, t, aim);
	pthread_mutex_unlock(&f->store->lock);
	return stands;
}

/* A leaf that comes into memory changes nothing above it, and still no put on it may be put off. */
static void test_aims_above_leaves(void **state)
{
	struct fixture	     *f = *state;
	struct store_mutation one;
	uint8_t		      got[4096];
	struct store_stat     st;
	struct aim	      aim;
	size_t		      len = sizeof(got);
	struct tree	     *t;

	for (uint32_t k = 0; k < KEYS; k++)
		put_one(f, k, 50);
	assert_ok(store_close(f->store));
	assert_ok(store_open(f->dev, NULL, &f->store));
	assert_ok(store_get(f->store, live(TREE), mutation(STORE_PUT, 0, 0).key, got, &len, NULL, 0)); /* all above the leaves */
	put_one(f, 0, 50);
	assert_ok(tree_open(f->store, TREE, 0, &t));
	one = mutation(STORE_PUT, 40, 20); /* in another leaf, below the same page */
	aim_all(f->store, &one, 1, true, &aim);
	assert_true(aim.above);
	assert_true(stands_now(f, t, &aim));
	len = sizeof(got);
	assert_ok(store_get(f->store, live(TREE), one.key, got, &len, NULL, 0));
	assert_false(stands_now(f, t, &aim));
	for (uint32_t k = 60; k < KEYS; k++) { /* with aims: as if another thread had the lock */
		atomic_store(&f->store->meets, 2);
		put_one(f, k, 30);
	}
	store_stat(f->store, &st);
	assert_true(st.put_off > 0);
	compare(f);
}

/* A new key is aimed at a leaf that a finger knows, when that has room for it and no other change of the batch may take the room. A leaf of long
 * values has more. */
static void aims_beside(struct fixture *f, uint32_t len)
{
	unsigned     room = 0;
	struct tree *t;

	for (uint32_t i = 0; i < KEYS / 2; i++) /* keys that ascend would fill the leaves */
		put_one(f, i * 7919 % (KEYS / 2) * 2, len);
	assert_ok(tree_open(f->store, TREE, 0, &t));
	for (uint32_t k = 1; k < KEYS; k += 2) {
		struct store_mutation two[] = { mutation(STORE_PUT, k, len), mutation(STORE_PUT, k, 4000) };
		struct aim	      aims[2];
		size_t		      none = 0;

		assert_error(store_get(f->store, live(TREE), two[0].key, NULL, &none, NULL, 0), NONEXIST); /* leaves a finger */
		aim_all(f->store, &two[0], 1, false, &aims[0]);
		aim_all(f->store, &two[1], 1, false, &aims[1]);
		assert_true(!aims[0].tree || (aims[0].depth == 1 && !aims[0].found && stands_now(f, t, &aims[0])));
		assert_null(aims[1].tree);
		room += aims[0].tree == t;
		aim_all(f->store, two, 2, true, aims);
		assert_true(aims[0].depth > 1);
	}
	print_message("%u of %u new keys of %u bytes had an aim\n", room, KEYS / 2, len);
	assert_true(room > KEYS / 4);
	for (uint32_t k = 1; k < KEYS; k += 2)
		put_one(f, k, len);
	compare(f);
}

static void test_aims_beside(void **state)
{
	aims_beside(*state, 50);
}

static void test_aims_beside_long_values(void **state)
{
	aims_beside(*state, 250); /* so many fill less of the log than makes a checkpoint begin */
}

static void test_changes_with_aims(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < ROUNDS; i++) {
		atomic_store(&f->store->meets, 2);
		anything(f);
		if (i % 300 == 299)
			compare(f);
	}
	compare(f);
}

static int setup(void **state)
{
	static struct fixture f;

	begin(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	end(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_aims_that_stand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aims_above_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aims_beside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aims_beside_long_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes_with_aims, setup, teardown),
	};

	return cmocka_run_group_tests_name("aim", tests, NULL, NULL);
}
