/* SPDX-License-Identifier: Apache-2.0 */
/* store/replay.c: reading the log after a crash.
 *
 * The groups from the superblock's place on are followed by number, place, target, epoch and chain. Where they end there is either
 * nothing, or a group that the crash tore. Since a group is written only when the one before it is durable, a whole group of this epoch
 * with a later number, or in a wrong place, proves that the one missing had been durable: that is damage, and an error. Records of an earlier epoch, or of
 * an earlier lap, never pass.
 *
 * The last group of all is whole only when the values that it names are: a crash may have lost them, when nobody had been told that it
 * is durable. (Damage to them afterwards looks the same, as damage to the group itself does.) Every earlier one was durable with all
 * that it names. Only records above the superblock's lsn are looked at: what older ones name may be free, and used again, by now.
 *
 * A torn group may not be followed by another one under its epoch: what is left of it and a part of that one, torn in its turn, could make
 * the first whole again, after everybody has seen that it was not there. So log.torn asks for a new epoch. Without a trace of a group at
 * the two places where the next one may go there is nothing that could come back: the header, which is in one sector, is that of its own
 * group only.
 *
 * In this order, before anything is written: follow the groups, and look at their records; look behind the end; look at the last one's values;
 * mark what records name as used. Then they are handed out. */
#include "record.h"
#include "window.h"

struct place { /* of the group that is looked for */
	uint64_t       pos, seq, used;
	struct hash128 chain;
};

struct scan {
	struct store *s;
	struct window w;
	struct place  at, last; /* last: of the group before it, when there is one */
	uint64_t      groups;
	uint32_t      flags; /* of the last group */
	uint64_t      lsn;   /* of the last record; 0: none yet */
	uint64_t      batches;
	bool	      names; /* one of them names a value in extents */
	struct record rec;
	log_replay_fn fn; /* NULL: only looks at them */
};

/* A header of this store's log, in this epoch, of a group that ends in the ring. */
static bool header_ours(const struct scan *scan, const uint8_t *g, uint64_t pos)
{
	const struct log *l = &scan->s->log;
	uint64_t	  n = get32(g + GROUP_BLOCKS);

	return get32(g + GROUP_MAGIC) == GROUP_MAGIC_NUMBER && get64(g + GROUP_EPOCH) == l->epoch &&
	       memcmp(g + GROUP_TARGET, scan->s->target.bytes, 16) == 0 && n >= 1 && n <= MIN(l->blocks / 2, l->blocks - pos) &&
	       get32(g + GROUP_LEN) <= n * BLOCK - GROUP_BYTES && get32(g + GROUP_FLAGS) <= GROUP_LOOSE;
}

/* And in its place. */
static bool header_ok(const struct scan *scan, const uint8_t *g, uint64_t pos)
{
	return get64(g + GROUP_POS) == pos && header_ours(scan, g, pos);
}

bool group_sum_ok(uint8_t *g)
{
	struct hash128 sum, is;

	memcpy(sum.bytes, g + GROUP_SUM, 16);
	memset(g + GROUP_SUM, 0, 16);
	is = hash128(g, (uint64_t)get32(g + GROUP_BLOCKS) * BLOCK);
	memcpy(g + GROUP_SUM, sum.bytes, 16);
	return hash128_equal(is, sum);
}

/* The whole group with a header at pos, wherever it belongs: 1. 0: it is not whole. */
static int read_group(struct scan *scan, uint64_t pos, uint8_t **group)
{
	int rc = window_get(&scan->w, pos, 1, group);

	rc = rc ? rc : window_get(&scan->w, pos, get32(*group + GROUP_BLOCKS), group);
	if (rc)
		return rc;
	return header_ours(scan, *group, pos) && group_sum_ok(*group);
}

/* The group that is looked for, if it is at pos and whole: 1. */
static int group_at(struct scan *scan, uint64_t pos, uint8_t **group)
{
	int rc = window_get(&scan->w, pos, 1, group);

	if (rc || !header_ok(scan, *group, pos) || get64(*group + GROUP_SEQ) != scan->at.seq ||
	    memcmp(*group + GROUP_CHAIN, scan->at.chain.bytes, 16) != 0)
		return rc;
	return read_group(scan, pos, group);
}

/* The next group: at the expected place, or at 0 when it did not fit there. */
static int next_group(struct scan *scan, uint8_t **group)
{
	struct place *at     = &scan->at;
	uint64_t      blocks = scan->s->log.blocks, pos = at->pos;
	int	      rc = group_at(scan, pos, group);

	if (rc == 0 && pos > blocks / 2) {
		pos = 0;
		rc  = group_at(scan, pos, group);
	}
	if (rc != 1)
		return rc;
	scan->last = *at;
	at->used += (pos == at->pos ? 0 : blocks - at->pos) + get32(*group + GROUP_BLOCKS);
	at->pos = (pos + get32(*group + GROUP_BLOCKS)) % blocks;
	at->seq++;
	memcpy(at->chain.bytes, *group + GROUP_SUM, 16);
	return at->used <= blocks ? 1 : fail(CSUM, "the log's groups overlap");
}

/* Behind the end: is there a group that proves that one is missing? A later one, or one that is whole where it does not belong, as after a
 * write that went elsewhere. Or is there what is left of the one that would be next? */
static int check_tail(struct scan *scan)
{
	const struct place *at = &scan->at;
	struct log	   *l  = &scan->s->log;
	uint8_t		   *g;
	int		    rc = 0;

	for (uint64_t i = 0; rc >= 0 && i < l->blocks - at->used; i++) {
		uint64_t pos = (at->pos + i) % l->blocks;
		bool	 next, stray;

		rc = window_get(&scan->w, pos, 1, &g);
		if (rc || !header_ours(scan, g, pos) || get64(g + GROUP_SEQ) < at->seq)
			continue;
		stray = get64(g + GROUP_POS) != pos;
		next  = get64(g + GROUP_SEQ) == at->seq;
		l->torn |= next && !stray;
		rc = next && !stray ? 0 : read_group(scan, pos, &g);
		if (rc == 1)
			return fail(
				CSUM,
				"the log is damaged: group %llu is not whole at block %llu or at block %llu, but group %llu is "
				"at block %llu: acknowledged changes are lost; restore the pool or its device",
				(unsigned long long)at->seq, (unsigned long long)(l->block + at->pos),
				(unsigned long long)l->block, (unsigned long long)get64(g + GROUP_SEQ),
				(unsigned long long)(l->block + pos));
	}
	return MIN(rc, 0);
}

/* ---- Records ---- */

static int malformed(const struct scan *scan)
{
	return fail(CSUM, "group %llu of the log is malformed, although its checksum is right",
		    (unsigned long long)scan->at.seq - 1);
}

/* The record at r. Numbers ascend by one from the first on. */
static int scan_record(struct scan *scan, struct record_reader *r)
{
	struct record *rec = &scan->rec;
	int	       rc  = record_read(r, rec);

	if (rc == RECORD_BAD || (!rc && scan->lsn && rec->lsn != scan->lsn + 1))
		return malformed(scan);
	if (rc)
		return rc;
	scan->lsn = rec->lsn;
	if (scan->lsn <= scan->s->sb.lsn)
		return 0;
	scan->batches++;
	for (size_t i = 0; i < rec->n; i++)
		scan->names |= rec->extents[i];
	return scan->fn ? scan->fn(scan->s, rec->muts, rec->extents, rec->n, scan->lsn) : 0;
}

static int scan_records(struct scan *scan, const uint8_t *group)
{
	struct record_reader r;
	int		     rc;

	record_first(&r, group);
	do
		rc = scan_record(scan, &r);
	while (!rc && !record_is_last(&r));
	return rc;
}

/* To the end of the log. */
static int follow(struct scan *scan)
{
	uint8_t *g;
	int	 rc;

	while ((rc = next_group(scan, &g)) == 1) {
		scan->groups++;
		scan->flags = get32(g + GROUP_FLAGS);
		rc	    = scan_records(scan, g);
		if (rc)
			return rc;
	}
	return rc;
}

static struct place first_place(const struct store *s)
{
	return (struct place){ .pos = s->sb.log_pos, .seq = s->sb.log_seq, .chain = s->sb.log_chain };
}

/* Calls fn for the records of all groups that follow() has found. */
static int scan_all(struct scan *scan, log_replay_fn fn)
{
	uint8_t *g;
	int	 rc = 0;

	scan->at      = first_place(scan->s);
	scan->fn      = fn;
	scan->lsn     = 0;
	scan->batches = 0;
	for (uint64_t i = 0; rc >= 0 && i < scan->groups; i++) {
		rc = next_group(scan, &g);
		if (rc == 0)
			rc = fail(CSUM, "group %llu of the log reads otherwise than a moment ago",
				  (unsigned long long)scan->at.seq);
		rc = rc < 0 ? rc : scan_records(scan, g);
	}
	return rc;
}

/* ---- The values that records name ---- */

/* 1: one of them is not whole. */
static int values_whole(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	bool whole = true;
	int  rc	   = 0;

	(void)lsn;
	for (size_t i = 0; !rc && whole && i < n; i++)
		if (extents[i])
			rc = value_verify(s, muts[i].val.ptr, &whole);
	return rc ? rc : !whole;
}

/* Drops the last group when it is not whole with all that it names. */
static int check_last(struct scan *scan)
{
	uint8_t *g;
	int	 rc;

	if (!scan->groups || !(scan->flags & GROUP_LOOSE))
		return 0;
	scan->at = scan->last;
	rc	 = next_group(scan, &g);
	if (rc < 0)
		return rc;
	scan->fn  = values_whole;
	scan->lsn = 0;
	rc	  = rc == 1 ? scan_records(scan, g) : 1;
	if (rc != 1)
		return rc;
	base_log(TARN_LOG_INFO, "the log's last group, %llu, is left out: a value that it names was not written to the end",
		 (unsigned long long)scan->last.seq);
	scan->s->log.torn = true;
	scan->groups--;
	return 0;
}

/* The next snapshots of a tree may not count its values as younger than they are: generations that had begun before the crash count. */
static int mark_value(struct store *s, const tarn_buf *desc)
{
	struct run_list runs = { 0 };
	int		rc   = value_runs(s, desc->ptr, (uint32_t)desc->len, &runs);

	for (size_t r = 0; !rc && r < runs.n; r++) {
		space_take(&s->space, runs.runs[r].block, runs.runs[r].n);
		s->gen = MAX(s->gen, runs.runs[r].birth);
	}
	free(runs.runs);
	return rc;
}

static int mark_values(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	int rc = 0;

	(void)lsn;
	for (size_t i = 0; !rc && i < n; i++)
		if (extents[i])
			rc = mark_value(s, &muts[i].val);
	return rc;
}

/* ---- All of it ---- */

static int replay(struct scan *scan, log_replay_fn fn)
{
	int rc = follow(scan);

	rc = rc ? rc : check_tail(scan);
	rc = rc ? rc : check_last(scan);
	if (!rc && scan->names)
		rc = scan_all(scan, mark_values);
	return rc ? rc : scan_all(scan, fn);
}

int log_replay(struct store *s, log_replay_fn fn, uint64_t *batches)
{
	struct scan scan = { .s = s, .at = first_place(s) };
	struct log *l	 = &s->log;
	int	    rc	 = window_open(&scan.w, s, l->pos);

	rc = rc ? rc : replay(&scan, fn);
	window_close(&scan.w);
	record_free(&scan.rec);
	l->pos	   = scan.at.pos;
	l->seq	   = scan.at.seq;
	l->used	   = scan.at.used;
	l->chain   = scan.at.chain;
	l->lsn	   = MAX(s->sb.lsn, scan.lsn);
	l->durable = l->lsn;
	*batches   = scan.batches;
	return rc;
}
