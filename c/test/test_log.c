/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_log.c: the log's ring, its groups, and what a replay makes of them. */
#include "log_text.h"

#define KIB 1024u
#define MIB (1024u * 1024)

/* A put of the key "k" has four bytes, and one or two for the length of its value, beside that. */
enum { PART = 8000, LEAST = 5 };

static size_t value_for(size_t left)
{
	if (left > PART + 6)
		return left < PART + 6 + LEAST ? PART - 8 : PART; /* room for one more */
	return left == 133 ? 50 : left > 133 ? left - 6 : left - 5;
}

/* A batch whose record has so many bytes at the most, each word of its values being `word`; false: it does not fit. */
static bool append_bytes(struct rig *r, size_t bytes, uint64_t word)
{
	struct store_mutation muts[500];
	uint64_t	      words[PART / 8];
	size_t		      n = 0;

	for (size_t i = 0; i < PART / 8; i++)
		put64(&words[i], word);
	for (size_t left = bytes; left; left = bytes - record_bytes(muts, n))
		muts[n++] = put("k", words, value_for(left));
	if (!log_fits(r->s, bytes))
		return false;
	rig_append(r, muts, n);
	return true;
}

/* A group of so many blocks. */
static uint64_t commit_blocks(struct rig *r, uint64_t blocks)
{
	assert_true(append_bytes(r, blocks * BLOCK - GROUP_BYTES, 1));
	assert_ok(log_flush_all(r->s));
	return r->s->log.lsn;
}

static void test_every_change(void **state)
{
	struct rig	      r;
	struct store_mutation muts[] = {
		put("a", "1", 1),
		{ .change = STORE_DEL, .tree = 4, .key = text("b") },
		{ .change = STORE_DROP, .tree = 5, .key = text("ignored") },
		{ .change = STORE_SNAP, .tree = 4, .key = text("ignored"), .val = text("ignored") },
		{ .change = STORE_UNSNAP, .tree = 4, .revision = 77, .key = text("ignored") },
	};

	(void)state;
	rig_make(&r, 4 * MIB, 16, 0, 1);
	rig_open(&r);
	assert_int_equal(record_bytes(muts, 5), 6 + 5 + 4 + 4 + 12);
	assert_int_equal(rig_append(&r, muts, 5), 1);
	append_text(&r, "c");
	assert_ok(log_flush_all(r.s));
	commit_text(&r, "d");
	append_text(&r, "lost");
	rig_shut(&r);
	assert_replays(&r, "1:put a=1,del b,drop,snap,unsnap 77 2:put c=value 3:put d=value");
	assert_int_equal(r.s->log.lsn, 3);
	assert_int_equal(r.s->log.durable, 3);
	assert_int_equal(r.s->log.seq, 2);
	assert_int_equal(r.s->log.used, 2);
	assert_false(r.s->log.torn);
	rig_end(&r);
}

/* ---- The ring ---- */

static void test_release(void **state)
{
	struct rig	 r;
	struct log_place place;
	uint64_t	 lsn;

	(void)state;
	rig_make(&r, 4 * MIB, 16, 0, 1);
	rig_open(&r);
	commit_blocks(&r, 5);
	assert_false((log_used(r.s) > 375));
	commit_blocks(&r, 2);
	assert_true((log_used(r.s) > 375));
	assert_int_equal(r.s->log.used, 7);
	log_mark(r.s, &place, &lsn);
	commit_blocks(&r, 8);
	rig_switch(&r, &place, lsn);
	assert_int_equal(r.s->log.used, 8);
	commit_blocks(&r, 7); /* does not fit before the end: one block is skipped. The ring is full now */
	assert_int_equal(r.s->log.used, 16);
	assert_int_equal(r.s->log.pos, 7);
	rig_switch(&r, &place, lsn); /* a lap lies between */
	assert_int_equal(r.s->log.used, 16);
	assert_false(log_fits(r.s, 100));
	rig_shut(&r);
	assert_replays(&r, "3:put k,put k,put k,put k,put k 4:put k,put k,put k,put k");
	assert_int_equal(r.s->log.used, 16);
	log_mark(r.s, &place, &lsn);
	assert_int_equal(lsn, 4);
	rig_switch(&r, &place, lsn);
	assert_int_equal(r.s->log.used, 0);
	assert_true(log_fits(r.s, log_record_max(r.s)));
	rig_shut(&r);
	assert_replays(&r, "");
	rig_end(&r);
}

/* What was appended before the mark and written after it is in the superblock's trees, although it is behind its place. */
static void test_mark_in_a_group(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, 4 * MIB, 16, 0, 1);
	rig_open(&r);
	commit_text(&r, "a");
	append_text(&r, "b");
	rig_checkpoint(&r);
	append_text(&r, "c");
	assert_ok(log_flush_all(r.s));
	rig_shut(&r);
	assert_replays(&r, "3:put c=value");
	rig_checkpoint(&r);
	append_text(&r, "d");
	rig_checkpoint(&r);
	assert_ok(log_flush_all(r.s));
	rig_shut(&r);
	assert_replays(&r, "");
	assert_int_equal(r.s->log.lsn, 4);
	assert_int_equal(r.s->log.used, 1);
	commit_text(&r, "e");
	rig_shut(&r);
	assert_replays(&r, "5:put e=value");
	rig_end(&r);
}

/* A record counts where it may go, whichever way the flusher cuts. */
static void test_fits(void **state)
{
	struct rig	      r;
	static uint8_t	      zeros[2 * BLOCK];
	struct store_mutation m = put("k", zeros, sizeof(zeros));
	uint64_t	      bytes;

	(void)state;
	rig_make(&r, 4 * MIB, 16, 0, 1);
	rig_open(&r);
	assert_int_equal(log_record_max(r.s), 8 * BLOCK - GROUP_BYTES);
	assert_true(log_fits(r.s, log_record_max(r.s)));
	assert_false(log_fits(r.s, log_record_max(r.s) + 1));
	commit_blocks(&r, 8);
	commit_blocks(&r, 4);
	rig_append(&r, &m, 1);
	bytes = record_bytes(&m, 1);
	assert_int_equal(DIV_UP(GROUP_BYTES + 2 * bytes, BLOCK), 5); /* together: at 0, of which no block is free */
	assert_false(log_fits(r.s, bytes));
	assert_true(log_fits(r.s, BLOCK / 2));		      /* together three blocks, or three and one: four are free */
	assert_false(log_fits(r.s, 2 * BLOCK - GROUP_BYTES)); /* together four, but three and two do not */
	assert_ok(log_flush_all(r.s));
	assert_int_equal(r.s->log.used, 15);
	rig_end(&r);
}

static void test_buffers_are_counted(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, 32 * MIB, 2048, 0, 1);
	rig_open(&r);
	assert_int_equal(log_memory(r.s), 0);
	commit_text(&r, "a");
	assert_int_equal(log_memory(r.s), 64 * KIB);
	commit_text(&r, "b");
	assert_int_equal(log_memory(r.s), 2 * 64 * KIB);
	assert_true(append_bytes(&r, 3 * MIB, 1));
	assert_int_equal(log_memory(r.s), 4 * MIB + 64 * KIB);
	assert_ok(log_flush_all(r.s));
	assert_int_equal(log_memory(r.s), 64 * KIB);
	rig_end(&r);
}

/* ---- Damage, and tears ---- */

static void log_flip(struct rig *r, uint64_t block, uint64_t offset)
{
	sim_flip_bit(r->disk, (2 + block) * BLOCK + offset, 3);
}

static void test_damage(void **state)
{
	struct rig r;

	(void)state;
	for (uint64_t at = 0; at < BLOCK; at += 37) {
		rig_make(&r, MIB, 16, 0, at);
		rig_open(&r);
		commit_text(&r, "a");
		commit_text(&r, "b");
		commit_text(&r, "c");
		rig_shut(&r);
		log_flip(&r, 1, at);
		assert_error(replay(&r), CSUM);
		assert_says("group 1");
		assert_string_equal(transcript, "");
		rig_shut(&r);
		log_flip(&r, 1, at);
		log_flip(&r, 2, at); /* the last: as if it had been torn */
		assert_replays(&r, "1:put a=value 2:put b=value");
		assert_true(r.s->log.torn || at < GROUP_CHAIN);
		rig_end(&r);
		at += at > 200 ? 300 : 0;
	}
}

static void test_write_fails(void **state)
{
	struct rig	 r;
	struct op	 op;
	uint64_t	 lsn;
	_Atomic uint32_t calls = 0;

	(void)state;
	for (int flush = 0; flush < 2; flush++) {
		rig_make(&r, MIB, 16, 0, 5);
		rig_open(&r);
		commit_text(&r, "a");
		lsn = append_text(&r, "b");
		op_init(&op, NULL, NULL, 0);
		assert_ok(op_begin(&op, &calls));
		assert_true(store_commit_async(r.s, lsn, &op));
		sim_fail_nth(r.disk, flush ? TARN_DEV_FLUSH : TARN_DEV_WRITE, 1, false);
		assert_error(store_commit(r.s, lsn), IO);
		assert_says("nothing more is until the pool is opened again");
		assert_error(op_wait(&op, 0), IO);
		assert_error(store_commit(r.s, append_text(&r, "c")), IO); /* the device would do it now */
		assert_ok(store_commit(r.s, 1));
		rig_end(&r);
	}
}

static void test_async(void **state)
{
	struct rig	 r;
	struct op	 ops[3];
	uint64_t	 lsn   = 0;
	_Atomic uint32_t calls = 0;

	(void)state;
	rig_make(&r, MIB, 16, 1, 5);
	rig_open(&r);
	for (int i = 0; i < 3; i++) {
		op_init(&ops[i], NULL, NULL, 0);
		assert_ok(op_begin(&ops[i], &calls));
		lsn = append_text(&r, "a");
		assert_true(store_commit_async(r.s, lsn, &ops[i]));
	}
	assert_error(op_wait(&ops[2], 0), TIMEDOUT);
	store_flush_log(r.s);
	for (int i = 0; i < 3; i++)
		assert_ok(op_wait(&ops[i], 0));
	op_init(&ops[0], NULL, NULL, 0);
	assert_ok(op_begin(&ops[0], &calls));
	assert_false(store_commit_async(r.s, lsn, &ops[0])); /* it is */
	assert_ok(op_wait(&ops[0], 0));
	assert_int_equal(calls, 0);
	rig_end(&r);
}

/* ---- Values that the last group names ---- */

static uint64_t commit_value(struct rig *r, const char *key, uint64_t what, size_t len, struct bptr *first)
{
	struct store_mutation m = { .change = STORE_PUT, .tree = 4, .key = text(key), .value = rig_value(r, what, len) };
	uint8_t		      desc[EXT_BYTES_MAX];
	struct bptr	     *pieces;
	uint32_t	      desc_len;
	uint64_t	      lsn;
	size_t		      n;

	value_describe(m.value, desc, &desc_len);
	assert_ok(value_pieces(r->s, desc, &pieces, &n));
	*first = pieces[0];
	free(pieces);
	lsn = rig_append(r, &m, 1);
	assert_ok(store_commit(r->s, lsn));
	return lsn;
}

static void test_lost_value(void **state)
{
	struct rig  r;
	struct bptr first, second;

	(void)state;
	rig_make(&r, 8 * MIB, 16, 1, 5);
	rig_open(&r);
	commit_value(&r, "a", 1, 70000, &first);
	commit_value(&r, "b", 2, 40000, &second);
	rig_shut(&r);
	assert_replays(&r, "1:put a 2:put b");
	assert_false(r.s->log.torn);
	assert_int_equal(r.s->space.free, r.sb.blocks - 2 - 16 - 18 - 10);
	rig_shut(&r);
	sim_flip_bit(r.disk, second.addr * BLOCK + 39000, 1);
	assert_replays(&r, "1:put a");
	assert_true(r.s->log.torn);
	assert_int_equal(r.s->log.seq, 1);
	assert_int_equal(r.s->space.free, r.sb.blocks - 2 - 16 - 18);
	rig_shut(&r);
	sim_flip_bit(r.disk, first.addr * BLOCK, 1); /* of a group that was durable with all it names: reading it says so */
	assert_replays(&r, "1:put a");
	rig_shut(&r);
	r.sb.lsn = 2; /* the trees have it: whatever there is now belongs to somebody else */
	assert_replays(&r, "");
	assert_false(r.s->log.torn);
	assert_int_equal(r.s->log.seq, 2);
	rig_end(&r);
}

/* Values so large that a replay does not read them again are durable before the group that names them. */
static void test_large_value(void **state)
{
	struct rig  r;
	struct bptr first;

	(void)state;
	rig_make(&r, 24 * MIB, 16, 1, 5);
	rig_open(&r);
	commit_value(&r, "a", 1, 17 * MIB, &first);
	rig_shut(&r);
	sim_flip_bit(r.disk, first.addr * BLOCK, 1);
	assert_replays(&r, "1:put a");
	rig_end(&r);
}

static void test_births_count(void **state)
{
	struct rig  r;
	struct bptr first;

	(void)state;
	rig_make(&r, 8 * MIB, 16, 1, 5);
	rig_open(&r);
	r.s->gen = 40;
	commit_value(&r, "a", 1, 70000, &first);
	assert_int_equal(first.birth, 40);
	rig_shut(&r);
	assert_replays(&r, "1:put a");
	assert_int_equal(r.s->gen, 40);
	rig_end(&r);
}

/* ---- Reading a long log ---- */

static int count(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	static uint64_t last;

	(void)extents;
	if (lsn != last + 1 && lsn != s->sb.lsn + 1)
		return fail(CSUM, "record %d after record %d", (int)lsn, (int)last);
	last = lsn;
	for (size_t i = 0; i < n; i++)
		for (size_t w = 0; w < muts[i].val.len / 8; w++)
			if (get64((const uint8_t *)muts[i].val.ptr + 8 * w) != lsn)
				return fail(CSUM, "record %d has the bytes of another", (int)lsn);
	return 0;
}

static void fill_ring(struct rig *r, struct rng *rng)
{
	size_t max = 64 * KIB;

	while (append_bytes(r, LEAST + rng_below(rng, max), r->s->log.lsn + 1)) {
		max = rng_below(rng, 10) ? 64 * KIB : 3 * MIB;
		if (rng_below(rng, 3) == 0)
			assert_ok(log_flush_all(r->s));
	}
	assert_ok(log_flush_all(r->s));
}

/* Groups of more than a chunk, from every place on. */
static void test_long(void **state)
{
	struct rig r;
	struct rng rng;
	uint64_t   batches, lsn = 0;

	(void)state;
	rng_seed(&rng, test_seed());
	rig_make_mem(&r, "mem:32M", 7000);
	for (int round = 0; round < 12; round++) {
		rig_open(&r);

		assert_ok(log_replay(r.s, count, &batches));
		assert_int_equal(batches, lsn - r.sb.lsn);
		if (round % 4 != 1) /* else once more */
			rig_checkpoint(&r), fill_ring(&r, &rng);
		lsn = r.s->log.lsn;
		rig_shut(&r);
	}
	rig_end(&r);
}

static void test_unreadable(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, 8 * MIB, 1024, 0, 5);
	rig_open(&r);
	commit_text(&r, "a");
	rig_shut(&r);
	for (uint64_t n = 1; n < 5; n++) {
		sim_fail_nth(r.disk, TARN_DEV_READ, n, false);
		assert_error(replay(&r), IO);
		assert_says("the log");
		rig_shut(&r);
	}
	sim_fail_nth(r.disk, TARN_DEV_READ, 0, false);
	assert_replays(&r, "1:put a=value");
	rig_end(&r);
}

/* A whole group in the right place, with the right number, that belongs to another epoch, or that follows another group. */
static void test_another_life(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, 4 * MIB, 16, 0, 1);
	rig_open(&r);
	commit_text(&r, "a");
	rig_shut(&r);
	r.sb.log_epoch++;
	assert_replays(&r, "");
	rig_shut(&r);
	r.sb.log_epoch--;
	r.sb.log_chain.bytes[3] ^= 1;
	assert_replays(&r, "");
	rig_shut(&r);
	r.sb.log_chain.bytes[3] ^= 1;
	assert_replays(&r, "1:put a=value");
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_change),	    cmocka_unit_test(test_release),
		cmocka_unit_test(test_mark_in_a_group),	    cmocka_unit_test(test_fits),
		cmocka_unit_test(test_buffers_are_counted), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_write_fails),	    cmocka_unit_test(test_async),
		cmocka_unit_test(test_lost_value),	    cmocka_unit_test(test_large_value),
		cmocka_unit_test(test_births_count),	    cmocka_unit_test(test_long),
		cmocka_unit_test(test_unreadable),	    cmocka_unit_test(test_another_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
