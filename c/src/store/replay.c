/* SPDX-License-Identifier: Apache-2.0 */
/* store/replay.c: reading the log after a crash.
 *
 * The groups from the superblock's position on are followed by number, place, target, epoch and chain. Where they end there is either
 * nothing, or a group that the crash tore. Since a group is written only when the one before it is durable, a whole group of this epoch
 * with a later number proves that the one missing had been durable: that is damage, and an error. Records of an earlier epoch, or of
 * an earlier lap, never pass. The replay reads the log twice: values in extents are marked as used before anything is written. */
#include "internal.h"

struct scan {
	struct store  *s;
	uint64_t       pos, seq, used;
	struct hash128 chain;
	uint8_t	      *group; /* of the whole ring's size at the most */
	size_t	       cap;
	log_replay_fn  fn;
	uint64_t       batches, lsn;
};

static int group_reserve(struct scan *scan, size_t len)
{
	if (len <= scan->cap)
		return 0;
	device_free(scan->group);
	scan->cap   = 0;
	scan->group = device_alloc(len);
	if (!scan->group)
		return fail(NOMEM, "no memory for %zu bytes of log", len);
	scan->cap = len;
	return 0;
}

static bool header_ok(const struct scan *scan, const uint8_t *g, uint64_t pos)
{
	const struct log *l = &scan->s->log;
	uint64_t	  n = get32(g + GROUP_BLOCKS);

	return get32(g + GROUP_MAGIC) == GROUP_MAGIC_NUMBER && get64(g + GROUP_EPOCH) == l->epoch &&
	       get64(g + GROUP_POS) == pos && memcmp(g + GROUP_TARGET, scan->s->target.bytes, 16) == 0 && n >= 1 &&
	       n <= l->blocks - pos && get32(g + GROUP_LEN) <= n * BLOCK - GROUP_BYTES;
}

/* Reads the group at pos, if a whole one is there: 1. 0: none is. */
static int read_group(struct scan *scan, uint64_t pos)
{
	struct store  *s = scan->s;
	struct hash128 sum;
	uint64_t       len;
	int	       rc = group_reserve(scan, BLOCK);

	rc = rc ? rc : io_read(s, s->log.block + pos, scan->group, BLOCK);
	if (rc || !header_ok(scan, scan->group, pos))
		return rc;
	len = (uint64_t)get32(scan->group + GROUP_BLOCKS) * BLOCK;
	rc  = group_reserve(scan, len);
	rc  = rc ? rc : io_read(s, s->log.block + pos, scan->group, len);
	if (rc || !header_ok(scan, scan->group, pos))
		return rc;
	memcpy(sum.bytes, scan->group + GROUP_SUM, 16);
	memset(scan->group + GROUP_SUM, 0, 16);
	return hash128_equal(hash128(scan->group, len), sum) ? (memcpy(scan->group + GROUP_SUM, sum.bytes, 16), 1) : 0;
}

static bool is_next(const struct scan *scan)
{
	return get64(scan->group + GROUP_SEQ) == scan->seq && memcmp(scan->group + GROUP_CHAIN, scan->chain.bytes, 16) == 0;
}

/* The next group: at the expected place, or at 0 when it did not fit there. */
static int next_group(struct scan *scan)
{
	struct log *l  = &scan->s->log;
	uint64_t    at = scan->pos;
	int	    rc = read_group(scan, at);

	if (rc == 1 && !is_next(scan))
		rc = 0;
	if (rc == 0 && at != 0) {
		at = 0;
		rc = read_group(scan, at);
		if (rc == 1 && !is_next(scan))
			rc = 0;
	}
	if (rc != 1)
		return rc;
	scan->used += (at == scan->pos ? 0 : l->blocks - scan->pos) + get32(scan->group + GROUP_BLOCKS);
	scan->pos = (at + get32(scan->group + GROUP_BLOCKS)) % l->blocks;
	scan->seq++;
	memcpy(scan->chain.bytes, scan->group + GROUP_SUM, 16);
	return scan->used <= l->blocks ? 1 : fail(CSUM, "the log's groups overlap");
}

static int malformed(const struct scan *scan)
{
	return fail(CSUM, "group %llu of the log is malformed, although its checksum is right",
		    (unsigned long long)scan->seq - 1);
}

static const uint8_t *parse_mutation(const uint8_t *p, const uint8_t *end, struct store_mutation *m, bool *extents)
{
	uint64_t klen, vlen;

	if (end - p < (ptrdiff_t)MUT_BYTES)
		return NULL;
	klen	 = get32(p + MUT_KLEN);
	vlen	 = get32(p + MUT_VLEN);
	*m	 = (struct store_mutation){ .change = p[MUT_CHANGE], .tree = get64(p + MUT_TREE) };
	*extents = p[MUT_EXTENTS];
	p += MUT_BYTES;
	if (klen > STORE_KEY_MAX || klen + vlen > (uint64_t)(end - p) || m->change > STORE_DROP || m->tree == 0)
		return NULL;
	m->key = (tarn_buf){ p, klen };
	m->val = (tarn_buf){ p + klen, vlen };
	if ((m->change != STORE_DROP && !klen) || (*extents && !value_sane(m->val.ptr, (uint32_t)vlen)))
		return NULL;
	return p + klen + vlen;
}

/* One record; *p moves behind it. */
static int scan_record(struct scan *scan, const uint8_t **p, const uint8_t *end)
{
	const uint8_t	      *at      = *p, *stop;
	struct store_mutation *muts    = NULL;
	bool		      *extents = NULL;
	uint64_t	       n, lsn;
	int		       rc = malformed(scan);

	if (end - at < (ptrdiff_t)REC_BYTES || get32(at + REC_LEN) < REC_BYTES || get32(at + REC_LEN) > end - at)
		return rc;
	stop = at + get32(at + REC_LEN);
	n    = get32(at + REC_COUNT);
	lsn  = get64(at + REC_LSN);
	if (lsn != scan->lsn + 1 || n > (uint64_t)(stop - at) / MUT_BYTES)
		return rc;
	muts	= calloc(n + 1, sizeof(*muts));
	extents = calloc(n + 1, sizeof(*extents));
	if (!muts || !extents)
		rc = fail(NOMEM, "no memory to replay a batch of %llu changes", (unsigned long long)n);
	at += REC_BYTES;
	for (uint64_t i = 0; muts && extents && at && i < n; i++)
		at = parse_mutation(at, stop, &muts[i], &extents[i]);
	if (muts && extents && at == stop)
		rc = scan->fn(scan->s, muts, extents, n, lsn);
	free(muts);
	free(extents);
	scan->lsn = lsn;
	scan->batches++;
	*p = stop;
	return rc;
}

static int scan_groups(struct scan *scan)
{
	int rc;

	while ((rc = next_group(scan)) == 1) {
		const uint8_t *p = scan->group + GROUP_BYTES, *end = p + get32(scan->group + GROUP_LEN);

		for (rc = 0; !rc && p < end;)
			rc = scan_record(scan, &p, end);
		if (rc)
			return rc;
	}
	return rc;
}

/* Behind the end: is there a group that proves that one before it is missing? */
static int check_tail(struct scan *scan)
{
	struct log *l  = &scan->s->log;
	int	    rc = 0;

	for (uint64_t i = 0; rc >= 0 && i < l->blocks - scan->used; i++) {
		uint64_t pos = (scan->pos + i) % l->blocks;

		rc = read_group(scan, pos);
		if (rc == 1 && get64(scan->group + GROUP_SEQ) > scan->seq)
			return fail(CSUM,
				    "the log is damaged: group %llu, at block %llu or at block %llu, is not whole, but the later "
				    "group %llu is: "
				    "acknowledged changes are lost; restore the pool or its device",
				    (unsigned long long)scan->seq, (unsigned long long)(l->block + scan->pos),
				    (unsigned long long)l->block, (unsigned long long)get64(scan->group + GROUP_SEQ));
	}
	return MIN(rc, 0);
}

static int mark_extents(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	int rc = 0;

	(void)lsn;
	for (size_t i = 0; !rc && i < n; i++) {
		struct run_list runs = { 0 };

		if (extents[i])
			rc = value_runs(s, muts[i].val.ptr, (uint32_t)muts[i].val.len, &runs);
		for (size_t r = 0; !rc && r < runs.n; r++)
			space_take(&s->space, runs.runs[r].block, runs.runs[r].n);
		free(runs.runs);
	}
	return rc;
}

static struct scan scan_begin(struct store *s, log_replay_fn fn)
{
	return (struct scan){
		.s = s, .pos = s->sb.log_pos, .seq = s->sb.log_seq, .chain = s->sb.log_chain, .lsn = s->sb.lsn, .fn = fn
	};
}

int log_replay(struct store *s, log_replay_fn fn, uint64_t *batches)
{
	struct scan scan = scan_begin(s, mark_extents);
	int	    rc	 = scan_groups(&scan);

	rc = rc ? rc : check_tail(&scan);
	device_free(scan.group);
	if (rc)
		return rc;
	scan = scan_begin(s, fn);
	rc   = scan_groups(&scan);
	device_free(scan.group);
	s->log.pos     = scan.pos;
	s->log.seq     = scan.seq;
	s->log.used    = scan.used;
	s->log.chain   = scan.chain;
	s->log.lsn     = scan.lsn;
	s->log.durable = scan.lsn;
	*batches       = scan.batches;
	return rc;
}
