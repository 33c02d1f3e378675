/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_seek_threads.c: readers without a lock beside writers, checkpoints, snapshots and evictions; for the thread sanitizer too.
 *
 * A value says its key and a counter that its writer only counts up, and the rest of it follows from both, so a reader can tell torn
 * from whole and old from new. Keys have roles by their number:
 *   0, 1    plain: always there; some are in extents
 *   2, 3    pairs, far apart: written as one batch, so always equal
 *   4, 5    ordered, far apart: written one after the other, so the first is never behind
 *   6, 7    come and go: of those of a writer half are there, or one more */
#include "harness.h"

#include "../src/store/store.h"
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define TREE	     9u
#define ROLES	     8u
#define GROUPS	     96u /* of one key of each role */
#define KEYS	     (ROLES * GROUPS)
#define WRITERS	     2u
#define READERS	     4u
#define THREADS	     8u
#define COMING	     (2 * GROUPS / WRITERS) /* keys that come and go, of one writer */
#define HERE	     (COMING / 2)
#define ALWAYS	     (6 * GROUPS)
#define ROOM	     (2u << 20)
#define DEVICE_BYTES (256 << 20)
#define FEW_BYTES    (24 << 20) /* of a device whose blocks are soon used again */

struct shared {
	struct device	*dev;
	struct store	*store;
	_Atomic bool	 stop;
	_Atomic int	 failures;
	_Atomic uint64_t grown; /* keys of the tree that grows and shrinks: its newest tree's id << 32, and how many are there */
	_Atomic unsigned reads;
	_Atomic uint64_t acknowledged[KEYS]; /* counters */
};

struct thread {
	struct shared *shared;
	unsigned       id;
	struct rng     rng;
	pthread_t      thread;
	uint64_t       counter[KEYS]; /* a writer's: of its keys. a reader's: what it must see, or a later one */
	unsigned       window;	      /* a writer's: the first of its keys that come and go which is there */
	uint8_t	      *buf, *large;
};

static void report(struct thread *t, const char *what, uint64_t n, uint64_t a, uint64_t b)
{
	if (t->shared->failures++ < 10)
		print_error("%s: key %" PRIu64 ": %" PRIu64 ", %" PRIu64 " (%s)\n", what, n, a, b, base_message());
}

/* ---- keys and values ---- */

static tarn_buf key_of(uint64_t n, uint8_t key[16])
{
	memcpy(key, "a prefix", 8);
	put64be(key + 8, n);
	return (tarn_buf){ key, 16 };
}

static uint8_t pattern(uint64_t n, uint64_t counter, size_t i)
{
	return (uint8_t)(n * 31 + counter * 17 + i * 7);
}

static size_t fill_value(uint8_t *val, uint64_t n, uint64_t counter, size_t len)
{
	put64(val, n);
	put64(val + 8, counter);
	for (size_t i = 16; i < len; i++)
		val[i] = pattern(n, counter, i);
	return len;
}

static bool whole(const uint8_t *val, size_t len, uint64_t n, uint64_t *counter)
{
	if (len < 16 || get64(val) != n)
		return false;
	*counter = get64(val + 8);
	for (size_t i = 16; i < len; i++)
		if (val[i] != pattern(n, *counter, i))
			return false;
	return true;
}

/* Far away, in the second half when it is in the first. */
static uint64_t partner(uint64_t n)
{
	return (n / ROLES + GROUPS / 2) % GROUPS * ROLES + n % ROLES + 1;
}

static bool always_there(uint64_t n)
{
	return n % ROLES < 6;
}

/* ---- writing ---- */

static size_t some_length(struct rng *rng)
{
	switch (rng_below(rng, 12)) {
	case 0:
		return 16 + rng_below(rng, 1500);
	case 1:
		return 16;
	default:
		return 60 + rng_below(rng, 100);
	}
}

static int apply(struct thread *t, struct store_mutation *muts, size_t n)
{
	uint64_t lsn;
	int	 rc = store_apply(t->shared->store, muts, n, 0, &lsn, NULL);

	return rc ? rc : store_commit(t->shared->store, lsn);
}

static struct store_mutation mutation(struct thread *t, uint64_t n, uint64_t counter, uint8_t *key, uint8_t *val)
{
	size_t len = fill_value(val, n, counter, some_length(&t->rng));

	return (struct store_mutation){ .change = STORE_PUT, .tree = TREE, .key = key_of(n, key), .val = { val, len } };
}

static void acknowledge(struct thread *t, uint64_t n, uint64_t counter)
{
	t->shared->acknowledged[n] = counter;
}

static void put(struct thread *t, uint64_t n)
{
	uint8_t		      key[16];
	struct store_mutation m = mutation(t, n, ++t->counter[n], key, t->buf);

	if (apply(t, &m, 1))
		report(t, "put", n, 0, 0);
	acknowledge(t, n, t->counter[n]);
}

static void put_large(struct thread *t, uint64_t n)
{
	struct store_mutation m = { .change = STORE_PUT, .tree = TREE };
	uint8_t		      key[16];
	size_t		      len = fill_value(t->large, n, ++t->counter[n], 10000 + rng_below(&t->rng, 20000));
	int		      rc  = store_value_new(t->shared->store, &m.value);

	m.key = key_of(n, key);
	rc    = rc ? rc : store_value_append(m.value, t->large, len);
	rc    = rc ? rc : apply(t, &m, 1);
	if (rc) {
		store_value_free(m.value);
		report(t, "put of a large value", n, 0, 0);
	}
	acknowledge(t, n, t->counter[n]);
}

static void put_pair(struct thread *t, uint64_t n)
{
	struct store_mutation m[2];
	uint8_t		      keys[2][16];

	t->counter[n]++;
	m[0] = mutation(t, n, t->counter[n], keys[0], t->buf);
	m[1] = mutation(t, partner(n), t->counter[n], keys[1], t->buf + 2000);
	if (apply(t, m, 2))
		report(t, "batch", n, 0, 0);
	acknowledge(t, n, t->counter[n]);
	acknowledge(t, partner(n), t->counter[n]);
}

static uint64_t coming(const struct thread *t, unsigned i)
{
	i %= COMING;
	return (uint64_t)(i / 2 * WRITERS + t->id) * ROLES + 6 + i % 2;
}

static void come_and_go(struct thread *t)
{
	struct store_mutation m = { .change = STORE_DEL, .tree = TREE };
	uint8_t		      key[16];

	put(t, coming(t, t->window + HERE));
	m.key = key_of(coming(t, t->window++), key);
	if (apply(t, &m, 1))
		report(t, "delete", t->window, 0, 0);
}

static void write_something(struct thread *t)
{
	uint64_t base = (rng_below(&t->rng, GROUPS / WRITERS) * WRITERS + t->id) * ROLES;

	switch (rng_below(&t->rng, 5)) {
	case 0:
		if (base % 3 == 0 && rng_below(&t->rng, 4) == 0)
			put_large(t, base);
		else
			put(t, base);
		break;
	case 1:
		put(t, base + 1);
		break;
	case 2:
		put_pair(t, base + 2);
		break;
	case 3:
		put(t, base + 4);
		t->counter[partner(base + 4)] = t->counter[base + 4] - 1;
		put(t, partner(base + 4));
		break;
	default:
		come_and_go(t);
	}
}

static void *writer(void *arg)
{
	struct thread *t = arg;

	while (!t->shared->stop)
		write_something(t);
	return NULL;
}

static void *checkpointer(void *arg)
{
	struct thread *t = arg;

	while (!t->shared->stop)
		if (store_checkpoint(t->shared->store))
			report(t, "checkpoint", 0, 0, 0);
	return NULL;
}

/* ---- reading ---- */

/* Before a call: it must see all that has been acknowledged. */
static void expect(struct thread *t, uint64_t n)
{
	t->counter[n] = MAX(t->counter[n], t->shared->acknowledged[n]);
}

static void expect_all(struct thread *t)
{
	for (uint64_t n = 0; n < KEYS; n++)
		expect(t, n);
}

static void saw(struct thread *t, uint64_t n, const uint8_t *val, size_t len)
{
	uint64_t counter = 0;

	if (!whole(val, len, n, &counter))
		report(t, "torn", n, get64(val), len);
	else if (counter < t->counter[n])
		report(t, "older than before", n, counter, t->counter[n]);
	else
		t->counter[n] = counter;
}

static void read_one(struct thread *t)
{
	uint64_t n   = rng_below(&t->rng, KEYS);
	size_t	 len = ROOM;
	uint8_t	 key[16];
	unsigned flags = rng_below(&t->rng, 4) == 0 ? STORE_NOWAIT : 0;
	int	 rc;

	expect(t, n);
	rc = store_get(t->shared->store, (struct store_at){ TREE, 0 }, key_of(n, key), t->buf, &len, NULL, flags);
	if (rc == 0)
		saw(t, n, t->buf, len);
	else if (!(rc == -TARN_E_AGAIN && flags) && !(rc == -TARN_E_NONEXIST && !always_there(n)))
		report(t, "get", n, (uint64_t)-rc, flags);
}

static void read_many(struct thread *t)
{
	struct store_get gets[40];
	uint8_t		 keys[40][16];
	uint64_t	 n[40], first = rng_below(&t->rng, KEYS);

	for (unsigned i = 0; i < 40; i++) {
		n[i]	= (first + i * 19) % KEYS; /* each once: they are not read in this order */
		gets[i] = (struct store_get){
			.key = key_of(n[i], keys[i]), .buf = t->buf + i * 40000, .len = 40000, .rc = -TARN_E_INPROGRESS
		};
	}
	expect_all(t);
	if (store_get_many(t->shared->store, (struct store_at){ TREE, 0 }, gets, 40, 0))
		report(t, "get_many", 0, 0, 0);
	for (unsigned i = 0; i < 40; i++) {
		if (gets[i].rc == 0)
			saw(t, n[i], gets[i].buf, gets[i].len);
		else if (gets[i].rc != -TARN_E_NONEXIST || always_there(n[i]))
			report(t, "one of many", n[i], (uint64_t)-gets[i].rc, 0);
	}
}

/* What a listing showed: the counter of each key, 0 for one that was not there. */
static unsigned take_listing(struct thread *t, const tarn_listing *out, bool reverse, uint64_t *seen)
{
	uint64_t last = reverse ? KEYS : 0;
	size_t	 at   = 0;

	memset(seen, 0, KEYS * sizeof(*seen));
	for (uint32_t i = 0; i < out->count; i++) {
		tarn_entry e;
		uint64_t   n;

		memcpy(&e, t->buf + at, sizeof(e));
		n = get64be(t->buf + at + sizeof(e));
		if (e.key_len != 8 || n >= KEYS || (i && (reverse ? n >= last : n <= last))) {
			report(t, "order", n, last, i);
			return 0;
		}
		saw(t, n, t->buf + at + sizeof(e) + 8, e.val_len);
		seen[n] = get64(t->buf + at + sizeof(e) + 16);
		last	= n;
		at += ROUND_UP(sizeof(e) + 8 + e.val_len, 8);
	}
	return out->count;
}

static void check_view(struct thread *t, const uint64_t *seen, unsigned count, uint64_t from, uint64_t to, bool reverse)
{
	for (uint64_t n = from; n < to; n++) {
		uint64_t p = partner(n);

		if (always_there(n) && !seen[n])
			report(t, reverse ? "missing in a listing that goes back" : "missing in a listing", n, from, to);
		if (n % ROLES == 2 && p >= from && p < to && seen[n] != seen[p])
			report(t, "half a batch", n, seen[n], seen[p]);
		if (n % ROLES == 4 && p >= from && p < to && (seen[n] < seen[p] || seen[n] > seen[p] + 1))
			report(t, "later before earlier", n, seen[n], seen[p]);
	}
	if (from == 0 && to == KEYS && (count < ALWAYS + WRITERS * HERE || count > ALWAYS + WRITERS * (HERE + 1)))
		report(t, "so many", 0, count, ALWAYS + WRITERS * HERE);
}

static int list(struct thread *t, struct store_at at, uint64_t from, uint64_t to, uint32_t flags, uint32_t max, tarn_listing *out)
{
	uint8_t		   start[16], end[16];
	struct store_range range = { .start = key_of(from, start), .end = key_of(to, end), .flags = flags, .strip = 8 };

	return store_list(t->shared->store, at, &range, max, t->buf, ROOM, out, 0);
}

static void list_some(struct thread *t, uint64_t from, uint64_t to)
{
	bool	     reverse = rng_below(&t->rng, 2);
	uint64_t     seen[KEYS];
	tarn_listing out;
	unsigned     n;

	expect_all(t);
	if (list(t, (struct store_at){ TREE, 0 }, from, to, reverse ? TARN_RANGE_REVERSE : 0, 0, &out)) {
		report(t, "list", from, to, 0);
		return;
	}
	n = take_listing(t, &out, reverse, seen);
	if (!out.more)
		check_view(t, seen, n, from, to, reverse);
}

static void count_all(struct thread *t)
{
	uint64_t n;

	if (store_count(t->shared->store, (struct store_at){ TREE, 0 }, &(struct store_range){ .flags = 0 }, &n, 0))
		report(t, "count", 0, 0, 0);
	else if (n < ALWAYS + WRITERS * HERE || n > ALWAYS + WRITERS * (HERE + 1))
		report(t, "counted", 0, n, ALWAYS + WRITERS * HERE);
}

static void *reader(void *arg)
{
	struct thread *t = arg;

	for (unsigned i = 0; !t->shared->stop; i++) {
		uint64_t from = rng_below(&t->rng, KEYS), len = rng_below(&t->rng, 60);

		read_one(t);
		if (i % 8 == 1)
			read_many(t);
		if (i % 8 == 3)
			list_some(t, from, MIN(from + len, KEYS));
		if (i % 64 == 5)
			list_some(t, 0, KEYS);
		if (i % 16 == 7)
			count_all(t);
		t->shared->reads++;
	}
	return NULL;
}

/* A snapshot says the same each time it is read. */
static void read_snapshot(struct thread *t, uint64_t epoch)
{
	uint64_t     first[KEYS], again[KEYS], n = 0;
	bool	     cut = false; /* a listing ended early, as it may in a small cache */
	tarn_listing out;

	for (unsigned i = 0; i < 3; i++) {
		unsigned count;

		if (list(t, (struct store_at){ TREE, epoch }, 0, KEYS, 0, 0, &out)) {
			report(t, "list of a snapshot", 0, epoch, 0);
			return;
		}
		count = take_listing(t, &out, false, i ? again : first);
		check_view(t, i ? again : first, count, 0, out.more ? 0 : KEYS, false);
		cut |= out.more;
		for (uint64_t k = 0; i && !cut && k < KEYS; k++)
			if (first[k] != again[k])
				report(t, "a snapshot changed", k, first[k], again[k]);
		if (store_count(t->shared->store, (struct store_at){ TREE, epoch }, &(struct store_range){ .flags = 0 }, &n, 0) ||
		    (!out.more && n != count))
			report(t, "count of a snapshot", 0, n, count);
	}
}

static void *snapper(void *arg)
{
	struct thread *t = arg;

	while (!t->shared->stop) {
		struct store_mutation m = { .change = STORE_SNAP, .tree = TREE };
		uint64_t	      epoch;
		size_t		      len = ROOM;
		uint8_t		      key[16];

		memset(t->counter, 0, sizeof(t->counter));
		expect_all(t);
		if (store_apply(t->shared->store, &m, 1, 0, &epoch, NULL)) {
			report(t, "snapshot", 0, 0, 0);
			continue;
		}
		read_snapshot(t, epoch);
		m = (struct store_mutation){ .change = STORE_UNSNAP, .tree = TREE, .revision = epoch };
		if (apply(t, &m, 1))
			report(t, "end of a snapshot", 0, 0, 0);
		if (store_get(t->shared->store, (struct store_at){ TREE, epoch }, key_of(0, key), t->buf, &len, NULL, 0) !=
		    -TARN_E_NONEXIST)
			report(t, "a snapshot that is gone", 0, epoch, 0);
	}
	return NULL;
}

/* ---- a tree that grows ---- */

#define GROWN_MAX 20000u

/* The i-th key to come: in an order that splits pages everywhere. */
static tarn_buf grown_key(uint64_t i, uint8_t key[16])
{
	return key_of(i * 7919 % GROWN_MAX, key);
}

static void *grower(void *arg)
{
	struct thread *t = arg;

	for (uint64_t tree = TREE + 1; !t->shared->stop; tree++)
		for (uint64_t i = 0; i < GROWN_MAX && !t->shared->stop; i++) {
			uint8_t		      key[16];
			struct store_mutation m = { .change = STORE_PUT, .tree = tree, .key = grown_key(i, key) };

			m.val = m.key;
			if (apply(t, &m, 1))
				report(t, "put", i, tree, 0);
			t->shared->grown = tree << 32 | (i + 1);
		}
	return NULL;
}

/* What was there before the call began is found, whatever splits around it. */
static void *growth_reader(void *arg)
{
	struct thread *t = arg;

	while (!t->shared->stop) {
		uint64_t	 grown = t->shared->grown, tree = grown >> 32, n = grown & UINT32_MAX;
		struct store_at	 at = { tree, 0 };
		uint64_t	 count;
		uint8_t		 key[16], keys[32][16];
		struct store_get gets[32];
		size_t		 len = ROOM;

		if (!n)
			continue;
		if (store_get(t->shared->store, at, grown_key(rng_below(&t->rng, n), key), t->buf, &len, NULL, 0))
			report(t, "get", n, tree, 1);
		for (unsigned i = 0; i < 32; i++)
			gets[i] = (struct store_get){ .key = grown_key(rng_below(&t->rng, n), keys[i]),
						      .buf = t->buf + i * 64,
						      .len = 64,
						      .rc  = -TARN_E_INPROGRESS };
		if (store_get_many(t->shared->store, at, gets, 32, 0))
			report(t, "get_many", n, tree, 0);
		for (unsigned i = 0; i < 32; i++)
			if (gets[i].rc)
				report(t, "one of many", n, tree, (uint64_t)-gets[i].rc);
		if (++t->shared->reads % 8)
			continue;
		n = t->shared->grown & UINT32_MAX;
		if (store_count(t->shared->store, at, &(struct store_range){ .flags = 0 }, &count, 0) ||
		    (t->shared->grown >> 32 == tree && (count < n || count > (t->shared->grown & UINT32_MAX) + 1)))
			report(t, "count", n, tree, count);
	}
	return NULL;
}

/* ---- the run ---- */

/* A reader may look at blocks that are being written: it holds a pointer to what was there before, and the checksum tells. In a device of
 * this process's memory the thread sanitizer would call that a race; so the device is a file. */
static void open_device(struct shared *sh, off_t bytes)
{
	char path[] = "/dev/shm/tarn-seek-XXXXXX";
	int  fd	    = mkstemp(path);

	if (fd < 0)
		skip();
	assert_int_equal(ftruncate(fd, bytes), 0);
	assert_ok(device_open(path, &(struct device_options){ .backend = "threads" }, &sh->dev));
	close(fd);
	unlink(path);
}

static void thread_init(struct thread *t, struct shared *sh, unsigned id)
{
	memset(t, 0, sizeof(*t));
	t->shared = sh;
	t->id	  = id;
	t->buf	  = malloc(ROOM);
	t->large  = malloc(64 << 10);
	assert_non_null(t->buf);
	assert_non_null(t->large);
	rng_seed(&t->rng, test_seed() * 100 + id);
}

/* Everything once, by the thread that writes it later. */
static void fill(struct thread *t)
{
	for (uint64_t g = t->id; g < GROUPS; g += WRITERS) {
		put(t, g * ROLES);
		put(t, g * ROLES + 1);
		put_pair(t, g * ROLES + 2);
		put(t, g * ROLES + 4);
		put(t, partner(g * ROLES + 4));
	}
	for (unsigned i = 0; i < HERE; i++)
		put(t, coming(t, i));
}

static void *(*const mixed[THREADS])(void *)   = { writer, writer, checkpointer, snapper, reader, reader, reader, reader };
static void *(*const growing[THREADS])(void *) = { grower,	  checkpointer,	 checkpointer,	growth_reader,
						   growth_reader, growth_reader, growth_reader, growth_reader };

static void run(void *(*const *body)(void *), uint64_t cache, uint32_t node_bytes, off_t device_bytes)
{
	struct store_format format  = { .log_bytes = 1 << 20, .node_bytes = node_bytes };
	struct shared	    sh	    = { 0 };
	struct thread	   *threads = calloc(THREADS, sizeof(*threads));

	assert_non_null(threads);
	open_device(&sh, device_bytes);
	assert_ok(store_format(sh.dev, &format));
	assert_ok(store_open(sh.dev, &(struct store_options){ .cache_bytes = cache }, &sh.store));
	for (unsigned i = 0; i < THREADS; i++)
		thread_init(&threads[i], &sh, i);
	for (unsigned i = 0; i < WRITERS; i++)
		fill(&threads[i]);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i].thread, NULL, body[i], &threads[i]), 0);
	usleep((unsigned)test_number("MS", 2000) * 1000);
	sh.stop = true;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
	fprintf(stderr, "# %u rounds of reading\n", sh.reads);
	assert_int_equal(sh.failures, 0);
	count_all(&threads[READERS]);
	assert_ok(store_check(sh.store, NULL));
	assert_int_equal(sh.failures, 0);
	assert_ok(store_close(sh.store));
	device_close(sh.dev);
	for (unsigned i = 0; i < THREADS; i++)
		free(threads[i].buf), free(threads[i].large);
	free(threads);
}

static void readers_in_memory(void **state)
{
	(void)state;
	run(mixed, 64 << 20, 4096, DEVICE_BYTES);
}

static void readers_in_a_small_cache(void **state)
{
	(void)state;
	run(mixed, 1 << 20, 4096, DEVICE_BYTES);
}

static void readers_of_small_pages(void **state)
{
	(void)state;
	run(mixed, 2 << 20, 512, DEVICE_BYTES);
}

static void readers_of_a_small_device(void **state)
{
	(void)state;
	run(mixed, 64 << 20, 4096, FEW_BYTES);
	run(mixed, 64 << 20, 512, FEW_BYTES);
}

static void readers_of_a_tree_that_grows(void **state)
{
	(void)state;
	run(growing, 64 << 20, 4096, DEVICE_BYTES);
	run(growing, 2 << 20, 512, DEVICE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_in_memory),
		cmocka_unit_test(readers_in_a_small_cache),
		cmocka_unit_test(readers_of_small_pages),
		cmocka_unit_test(readers_of_a_small_device),
		cmocka_unit_test(readers_of_a_tree_that_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
