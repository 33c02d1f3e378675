/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_media.c: a pool of 1 MiB that holds every kind of block, and a medium that changes it behind the store's back.
 *
 * Bits flip, blocks are swapped, older versions of blocks come back, the end is cut off. After each damage everything that can be reached
 * is read. Always: no wrong value, no key or snapshot missing without an error, no crash. What no error tells of must lie where nothing
 * is: in a block that nothing reads in the whole image, in a copy of the superblock (another one served), or in a part of the log that is
 * not replayed. One case is told apart and counted, `tail`: the very last group of the log looks like a torn one when it is damaged, and
 * is dropped whole. Without FULL=1 it takes a sample, by SEED. FULL=1 flips each bit of each block that is read or may be replayed; a block that
 * nothing reads is turned over as a whole, and must not be read then either. BLOCK=n flips only bits of that block, FROM=n and TO=m those of
 * the blocks from n to m - 1; ONLY=name runs one test. */
#include "script.h"

#include "../src/store/space_chunk.h"
#include "medium.h"
#include <sys/prctl.h>

#define LOG	 (64u << 10)
#define VERSIONS 64u
#define SHOWN	 20u /* damages that went unnoticed */

/* ---- the image ---- */

enum use { FREE, USED, SUPERBLOCK, LOG_IDLE, LOG_LIVE, LOG_LAST };

struct media {
	struct medium *medium;
	struct script *s;
	struct world  *last[2]; /* what is true, and what was before the last group */
	enum use       use[BLOCKS];
	uint8_t	      *versions[BLOCKS][VERSIONS]; /* that a block had, oldest first */
	unsigned       versions_n[BLOCKS];
	struct rng     rng;
	unsigned       errors;	 /* of the reads after one damage */
	int	       expected; /* what they and the check say then */
	bool	       tail;
	uint64_t       trials, wrong, refused, reading, checking, free, repaired, idle, tails;
};

/* Keeps the blocks that have changed. */
static void remember_versions(struct media *m)
{
	for (unsigned b = 0; b < BLOCKS; b++) {
		const uint8_t *now = m->medium->image + b * BLOCK;
		unsigned       n   = m->versions_n[b];

		if (n == VERSIONS || (n && !memcmp(m->versions[b][n - 1], now, BLOCK)))
			continue;
		m->versions[b][n] = malloc(BLOCK);
		assert_non_null(m->versions[b][n]);
		memcpy(m->versions[b][n], now, BLOCK);
		m->versions_n[b]++;
	}
}

static int try_command(struct media *m, const char *text)
{
	struct command c;
	int	       rc;

	script_parse(text, &c);
	rc = c.run(m->s, c.args);
	remember_versions(m);
	return rc;
}

static void commands(struct media *m, const char *text)
{
	while (*text) {
		char one[64];
		int  rc;

		snprintf(one, sizeof(one), "%.*s", (int)strcspn(text, ";"), text);
		rc = try_command(m, one);
		if (rc)
			fail_msg("%s: %s %s", one, tarn_errname(rc), rc > 0 ? m->s->wrong : base_message());
		text += strcspn(text, ";");
		text += *text == ';';
	}
}

/* Fills the disk with values of one block, and takes every second away: no two free blocks are neighbours. */
static void fragment(struct media *m)
{
	char	 text[32];
	unsigned k = 0, n;

	commands(m, "tree 3");
	for (; k < SCRIPT_KEYS; k++) {
		snprintf(text, sizeof(text), "put %u 4000", k);
		if (try_command(m, text))
			break;
	}
	for (n = 0; n < k; n += 2) {
		snprintf(text, sizeof(text), "del %u", n);
		assert_ok(try_command(m, text));
	}
	commands(m, "checkpoint; checkpoint");
}

/* Every fourth block that is free is lent, or, at the second call, given back. */
static void lend_blocks(struct media *m, bool *lent, bool back)
{
	struct space	   *sp = &m->s->store->space;
	struct space_chunk *ck = chunk_get(sp, 0);

	assert_non_null(ck);
	for (unsigned b = 0; b < BLOCKS; b += 4) {
		if (!back && !(ck->used[b / 64] >> b % 64 & 1)) {
			lent[b] = true;
			space_take(sp, b, 1);
		} else if (back && lent[b]) {
			space_free_later(sp, b, 1);
		}
	}
}

/* No run of free blocks is as long as an inner page: that becomes a gang, and a value of many pieces gets an index. */
static void write_in_pieces(struct media *m)
{
	bool lent[BLOCKS] = { false };

	commands(m, "tree 3;batchdel 0 100;checkpoint;checkpoint");
	lend_blocks(m, lent, false);
	commands(m, "tree 2;put 2 100000;checkpoint;tree 0;put 1 41;checkpoint;tree 1;put 1 41;checkpoint");
	lend_blocks(m, lent, true);
	commands(m, "checkpoint;checkpoint");
}

static void classify_log(struct media *m)
{
	const uint8_t *sb    = m->medium->image;
	uint64_t       first = get64(sb + SB_LOG_BLOCK), blocks = get64(sb + SB_LOG_BLOCKS), pos = get64(sb + SB_LOG_POS);
	uint64_t       seq = get64(sb + SB_LOG_SEQ), last = 0, last_blocks = 0;

	for (uint64_t i = 0; i < blocks; i++)
		m->use[first + i] = LOG_IDLE;
	for (bool again = true; again; seq++) {
		const uint8_t *g = sb + (first + pos) * BLOCK;

		again = pos < blocks && get32(g + GROUP_MAGIC) == GROUP_MAGIC_NUMBER && get64(g + GROUP_SEQ) == seq;
		if (!again && pos && last_blocks) { /* it may go on at 0 */
			g     = sb + first * BLOCK;
			again = get32(g + GROUP_MAGIC) == GROUP_MAGIC_NUMBER && get64(g + GROUP_SEQ) == seq;
			pos   = again ? 0 : pos;
		}
		if (!again)
			break;
		last	    = pos;
		last_blocks = get32(g + GROUP_BLOCKS);
		for (uint64_t i = 0; i < last_blocks; i++)
			m->use[first + pos + i] = LOG_LIVE;
		pos += last_blocks;
	}
	assert_true(last_blocks);
	for (uint64_t i = 0; i < last_blocks; i++)
		m->use[first + last + i] = LOG_LAST;
}

static void has_index(struct media *m)
{
	struct tree *t;
	struct path  path;
	uint8_t	     key[SCRIPT_KEY];
	unsigned     leaf;

	assert_ok(tree_open(m->s->store, SCRIPT_TREE + 2, 0, &t));
	assert_ok(tree_find(m->s->store, t, script_key(2, key), &path));
	assert_true(path.found);
	leaf = path.depth - 1;
	assert_true(value_has_index(node_value(path.frames[leaf]->page, path.frames[leaf]->cap, path.slots[leaf]).bytes));
	path_release(&path);
}

static int inspect(struct media *m);

/* What the whole image is read from is in use. */
static void classify(struct media *m)
{
	memset(m->medium->read, 0, sizeof(m->medium->read));
	assert_int_equal(inspect(m), 0);
	assert_int_equal(m->errors, 0);
	for (unsigned b = 0; b < BLOCKS; b++)
		m->use[b] = m->medium->read[b] ? USED : FREE;
	m->use[0] = m->use[1] = m->use[BLOCKS - 2] = m->use[BLOCKS - 1] = SUPERBLOCK;
	medium_restore(m->medium);
	classify_log(m);
}

static void make_image(struct media *m)
{
	struct store_format format = { .node_bytes = 4096, .log_bytes = LOG };

	rng_seed(&m->rng, test_seed());
	m->medium   = medium_new();
	m->expected = -TARN_E_CSUM;
	m->s	    = script_new(512 << 10);
	assert_non_null(m->medium);
	m->s->dev = &m->medium->base;
	assert_ok(store_format(m->s->dev, &format));
	assert_ok(script_open(m->s));
	commands(m,
		 "tree 0;batch 0 80 150;checkpoint;snap;batch 0 40 151;checkpoint;snap;tree 1;batch 0 50 40;snap;batchdel 10 30;"
		 "tree 2;put 1 30000;snap;put 1 40000;checkpoint");
	fragment(m);
	commands(m, "tree 0;unsnap 0;checkpoint");
	write_in_pieces(m);
	has_index(m);
	commands(m, "tree 0;put 1 10;put 2 20;put 3 30;del 4;put 5 3000;snap;put 6 60");
	m->last[1]  = malloc(sizeof(struct world));
	*m->last[1] = m->s->worlds[0];
	commands(m, "put 7 70");
	m->last[0]  = malloc(sizeof(struct world));
	*m->last[0] = m->s->worlds[0];
	store_abandon(m->s->store);
	m->s->store = NULL;
	medium_keep(m->medium);
	classify(m);
}

static void free_image(struct media *m)
{
	for (unsigned b = 0; b < BLOCKS; b++)
		while (m->versions_n[b])
			free(m->versions[b][--m->versions_n[b]]);
	free(m->last[0]);
	free(m->last[1]);
	free(m->medium);
	script_free(m->s);
}

/* ---- looking at it ---- */

/* An error is counted, and looking goes on. 1: it is wrong. */
static int note(struct media *m, int rc)
{
	m->errors += rc < 0;
	if (rc < 0 && rc != m->expected)
		return script_wrong(m->s, base_message(), 0, 0);
	return rc > 0;
}

static int inspect_map(struct media *m, struct store_at at, unsigned tree, const struct map *map)
{
	int wrong = note(m, match_list(m->s, at, tree, map));

	for (unsigned k = 0; k < SCRIPT_KEYS && !wrong; k++)
		if (map->keys[k].version || k % 16 == 5)
			wrong = note(m, match_value(m->s, at, tree, k, map->keys[k]));
	return wrong;
}

static int inspect_world(struct media *m, struct world *w)
{
	int wrong = 0;

	m->errors = 0;
	for (unsigned t = 0; t < SCRIPT_TREES && !wrong; t++) {
		wrong = note(m, match_epochs(m->s, w, t));
		wrong = wrong ? wrong : inspect_map(m, live(SCRIPT_TREE + t), t, &w->live[t]);
	}
	for (unsigned i = 0; i < w->snaps_n && !wrong; i++) {
		unsigned t = w->snaps[i].tree;

		wrong = inspect_map(m, (struct store_at){ SCRIPT_TREE + t, w->snaps[i].epoch }, t, &w->snaps[i].map);
	}
	return wrong;
}

/* 0: all is as it should be, or an error says where it is not (m->errors; those of the check are counted apart). 1: m->s->wrong. */
static int inspect(struct media *m)
{
	int wrong, rc = script_open(m->s);

	m->tail	  = false;
	m->errors = 1;
	if (rc) {
		m->refused++;
		return rc == m->expected || rc == -TARN_E_DF_INVAL ? 0 : script_wrong(m->s, base_message(), 0, 0);
	}
	wrong = inspect_world(m, m->last[0]);
	if (wrong && !inspect_world(m, m->last[1])) {
		m->tail = true;
		wrong	= 0;
	}
	rc = wrong || (m->errors && m->expected == -TARN_E_CSUM) ? 0 : store_check(m->s->store, NULL);
	if (rc && rc != m->expected)
		wrong = script_wrong(m->s, base_message(), 0, 0);
	m->reading += m->errors > 0;
	m->checking += rc && !m->errors;
	m->errors += rc != 0;
	store_abandon(m->s->store);
	m->s->store = NULL;
	return wrong;
}

static bool harmless(enum use use)
{
	return use == FREE || use == SUPERBLOCK || use == LOG_IDLE;
}

static void bad(struct media *m, const char *what, unsigned a, unsigned b, unsigned detail, const char *why)
{
	static const char *const names[] = { "free", "used", "superblock", "idle log", "live log", "last group" };

	if (m->wrong++ < SHOWN)
		print_error("%s: block %u (%s) and %u (%s), %u: %s\n", what, a, names[m->use[a]], b, names[m->use[b]], detail,
			    why);
}

/* Blocks a and b (which may be the same) have been damaged. */
static void judge(struct media *m, const char *what, unsigned a, unsigned b, unsigned detail)
{
	enum use use = MAX(m->use[a], m->use[b]);
	bool	 noticed;
	int	 wrong;

	m->medium->changed[a] = m->medium->changed[b] = true;
	m->trials++;
	wrong	= inspect(m);
	noticed = m->errors || (harmless(m->use[a]) && harmless(m->use[b]));
	if (wrong)
		bad(m, what, a, b, detail, m->s->wrong);
	else if (m->tail && m->use[a] != LOG_LAST && m->use[b] != LOG_LAST)
		bad(m, what, a, b, detail, "the last batch is missing, and no error says so");
	else if (m->errors && a == b && use == SUPERBLOCK)
		bad(m, what, a, b, detail, "the other copies of the superblock have not served");
	else if (!noticed && !m->tail)
		bad(m, what, a, b, detail, "nobody has noticed");
	m->tails += m->tail;
	m->free += !m->errors && !m->tail && use == FREE;
	m->repaired += !m->errors && !m->tail && use == SUPERBLOCK;
	m->idle += !m->errors && !m->tail && use == LOG_IDLE;
	medium_restore(m->medium);
}

static void report(struct media *m, const char *what)
{
	uint64_t wrong;

	printf("# %s: %" PRIu64 " trials: refused at open %" PRIu64 ", found on reading %" PRIu64 ", by the check %" PRIu64
	       "; free %" PRIu64 ", another superblock %" PRIu64 ", idle log %" PRIu64 ", last group dropped %" PRIu64 "\n",
	       what, m->trials, m->refused, m->reading, m->checking, m->free, m->repaired, m->idle, m->tails);
	wrong	  = m->wrong;
	m->trials = m->wrong = m->refused = m->reading = m->checking = m->free = m->repaired = m->idle = m->tails = 0;
	assert_int_equal(wrong, 0);
}

/* ---- damage ---- */

static void flip(struct media *m, uint32_t bit)
{
	m->medium->image[bit / 8] ^= (uint8_t)(1u << bit % 8);
	judge(m, "a flipped bit", bit / 8 / BLOCK, bit / 8 / BLOCK, bit % (BLOCK * 8));
}

/* What is not read whatever it holds has no bit that matters. */
static void turn_over(struct media *m, unsigned b)
{
	m->medium->read[b] = false;
	for (unsigned i = 0; i < BLOCK; i++)
		m->medium->image[b * BLOCK + i] ^= 0xff;
	if (inspect(m) || m->errors || m->tail || m->medium->read[b])
		bad(m, "all bits flipped", b, b, 0, "a block that counts as free matters");
	m->medium->changed[b] = true;
	medium_restore(m->medium);
	m->trials += BLOCK * 8;
	m->free += BLOCK * 8;
}

static void flip_all(struct media *m, uint32_t from, uint32_t to)
{
	for (uint32_t b = from; b < to; b++)
		if (m->use[b] == FREE)
			turn_over(m, b);
		else
			for (uint32_t bit = b * BLOCK * 8; bit < (b + 1) * BLOCK * 8; bit++)
				flip(m, bit);
}

static void flipped_bits(void **state)
{
	struct media *m	   = *state;
	uint32_t      only = (uint32_t)test_number("BLOCK", BLOCKS);
	uint32_t      from = (uint32_t)test_number("FROM", only % BLOCKS),
		 to	   = (uint32_t)test_number("TO", only < BLOCKS ? only + 1 : BLOCKS);

	if (test_number("FULL", 0) || only < BLOCKS)
		flip_all(m, from, MIN(to, BLOCKS));
	else
		for (uint64_t n = test_number("TRIALS", 3000); n; n--)
			flip(m, (uint32_t)rng_below(&m->rng, DISK * 8));
	report(m, "flipped bits");
}

/* Each byte of the first copy, which is the one that is taken when it is whole. */
static void superblock_bytes(void **state)
{
	struct media *m = *state;

	for (uint32_t byte = 0; byte < SB_META; byte++)
		flip(m, byte * 8 + (uint32_t)rng_below(&m->rng, 8));
	report(m, "bytes of a superblock");
}

/* What a crash has left in the log can never be taken for a group that is written after it. */
static void recovery_begins_an_epoch(void **state)
{
	struct media *m	     = *state;
	uint64_t      before = get64(m->medium->image + SB_LOG_EPOCH);

	assert_ok(script_open(m->s));
	assert_true(get64(m->medium->image + SB_LOG_EPOCH) > before);
	store_abandon(m->s->store);
	m->s->store = NULL;
	medium_restore(m->medium);
}

static void swapped_blocks(void **state)
{
	struct media *m	   = *state;
	uint64_t      some = test_number("FULL", 0) ? 1 : 16;

	for (unsigned a = 0; a < BLOCKS; a++)
		for (unsigned b = a + 1; b < BLOCKS; b++) {
			uint8_t *x = m->medium->image + a * BLOCK, *y = m->medium->image + b * BLOCK;

			if (m->use[a] == FREE || m->use[b] == FREE || !memcmp(x, y, BLOCK) || rng_below(&m->rng, some))
				continue;
			memcpy(x, m->medium->before + b * BLOCK, BLOCK);
			memcpy(y, m->medium->before + a * BLOCK, BLOCK);
			judge(m, "swapped", a, b, 0);
		}
	report(m, "swapped blocks");
}

static void older_versions(void **state)
{
	struct media *m = *state;

	for (unsigned b = 0; b < BLOCKS; b++)
		for (unsigned v = 0; v < m->versions_n[b]; v++) {
			if (!memcmp(m->medium->before + b * BLOCK, m->versions[b][v], BLOCK))
				continue;
			memcpy(m->medium->image + b * BLOCK, m->versions[b][v], BLOCK);
			judge(m, "an older version", b, b, v);
		}
	report(m, "older versions");
}

static void cut_off(void **state)
{
	struct media *m = *state;

	for (uint64_t size = 0; size < DISK; size += 512) {
		m->medium->base.info.size = size;
		assert_true(script_open(m->s) == -TARN_E_DF_INVAL);
		medium_restore(m->medium);
	}
	m->medium->base.info.size = DISK;
}

/* The same when the pool is open already: so of the pages of the map, too. */
static void check_unreadable(struct media *m, unsigned b)
{
	int rc;

	assert_ok(script_open(m->s));
	m->medium->unreadable[b] = true;
	rc			 = store_check(m->s->store, NULL);
	if (rc && rc != m->expected)
		bad(m, "unreadable", b, b, 1, base_message());
	m->checking += rc != 0;
	m->trials++;
	m->medium->unreadable[b] = false;
	store_abandon(m->s->store);
	m->s->store = NULL;
	medium_restore(m->medium);
}

/* What the device cannot read is an error of the device, and no damage, whoever finds it. */
static void unreadable_blocks(void **state)
{
	struct media *m = *state;

	m->expected = -TARN_E_IO;
	for (unsigned b = 0; b < BLOCKS; b++) {
		m->medium->unreadable[b] = true;
		judge(m, "unreadable", b, b, 0);
		m->medium->unreadable[b] = false;
		check_unreadable(m, b);
	}
	m->expected = -TARN_E_CSUM;
	report(m, "unreadable blocks");
}

static void has_every_kind(void **state)
{
	struct media *m	    = *state;
	unsigned      gangs = 0, leaves = 0, inner = 0, use[6] = { 0 };

	for (unsigned b = 0; b < BLOCKS; b++) {
		const uint8_t *block = m->medium->before + b * BLOCK;

		use[m->use[b]]++;
		gangs += m->use[b] == USED && get32(block) == GANG_MAGIC_NUMBER;
		leaves += m->use[b] == USED && get32(block) == NODE_MAGIC_NUMBER && !block[NODE_LEVEL];
		inner += m->use[b] == USED && get32(block) == NODE_MAGIC_NUMBER && block[NODE_LEVEL];
	}
	printf("# %u blocks free, %u used (%u leaves, %u inner nodes, %u gangs), log: %u idle, %u live, %u last\n", use[FREE],
	       use[USED], leaves, inner, gangs, use[LOG_IDLE], use[LOG_LIVE], use[LOG_LAST]);
	assert_true(leaves && inner && use[FREE] && use[LOG_LIVE] && use[LOG_LAST] && use[SUPERBLOCK] == 4 && gangs);
}

static struct media media;

static int set_up(void **state)
{
	make_image(&media);
	*state = &media;
	return 0;
}

static int tear_down(void **state)
{
	free_image(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_every_kind),   cmocka_unit_test(recovery_begins_an_epoch), cmocka_unit_test(flipped_bits),
		cmocka_unit_test(superblock_bytes), cmocka_unit_test(swapped_blocks),		cmocka_unit_test(older_versions),
		cmocka_unit_test(cut_off),	    cmocka_unit_test(unreadable_blocks),
	};

	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* clearing a huge page for each open takes a third of the time */
	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests_name("media", tests, set_up, tear_down);
}
