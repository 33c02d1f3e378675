/* SPDX-License-Identifier: Apache-2.0 */
/* store/feed_past.c: the groups that were written before somebody watched, found in the ring.
 *
 * What belongs to the past is a whole group whose checksum the group after it repeats, back from the last durable one, across epochs and
 * restarts. Writes go on meanwhile: what they overwrite is found by feed_join(), which leaves it out. */
#include "feed.h"
#include "window.h"

struct old { /* a whole group that was found in the ring */
	uint64_t       pos, seq, lsn;
	uint32_t       blocks;
	struct hash128 sum, chain;
};
struct olds {
	struct old *all;
	size_t	    n, cap;
};

static int add_old(struct olds *olds, const uint8_t *g)
{
	struct old *old;

	if (olds->n == olds->cap) {
		size_t	    cap = olds->cap ? 2 * olds->cap : 256;
		struct old *all = realloc(olds->all, cap * sizeof(*all));

		if (!all)
			return fail(NOMEM, "no memory to look through the log");
		olds->all = all;
		olds->cap = cap;
	}
	old  = &olds->all[olds->n++];
	*old = (struct old){ .pos    = get64(g + GROUP_POS),
			     .seq    = get64(g + GROUP_SEQ),
			     .lsn    = feed_first_lsn(g),
			     .blocks = get32(g + GROUP_BLOCKS) };
	memcpy(old->sum.bytes, g + GROUP_SUM, 16);
	memcpy(old->chain.bytes, g + GROUP_CHAIN, 16);
	return 0;
}

/* The group at pos, when a whole one is there, and where to look next: what is whole has nothing newer in it. */
static int look_at(struct store *s, struct window *w, uint64_t *pos, struct olds *olds)
{
	uint8_t *g;
	uint64_t n  = 1;
	int	 rc = window_get(w, *pos, 1, &g);

	if (!rc && feed_header_ok(s, g, *pos)) {
		n  = get32(g + GROUP_BLOCKS);
		rc = window_get(w, *pos, n, &g);
		if (!rc && feed_header_ok(s, g, *pos) && group_sum_ok(g))
			rc = add_old(olds, g);
		else
			n = 1;
	}
	*pos += n;
	return rc;
}

static int by_seq(const void *a, const void *b)
{
	const struct old *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

static int look_around(struct store *s, struct olds *olds)
{
	struct window w;
	int	      rc = window_open(&w, s, 0);

	for (uint64_t pos = 0; !rc && pos < s->log.blocks;)
		rc = look_at(s, &w, &pos, olds);
	window_close(&w);
	if (!rc && olds->n)
		qsort(olds->all, olds->n, sizeof(olds->all[0]), by_seq);
	return rc;
}

/* The group of that number and checksum. */
static const struct old *find_old(const struct olds *olds, uint64_t seq, struct hash128 sum)
{
	struct old	  key = { .seq = seq };
	const struct old *old = olds->n ? bsearch(&key, olds->all, olds->n, sizeof(key), by_seq) : NULL;

	while (old && old > olds->all && old[-1].seq == seq)
		old--;
	for (; old && old < olds->all + olds->n && old->seq == seq; old++)
		if (hash128_equal(old->sum, sum))
			return old;
	return NULL;
}

/* Where a group lies that is followed by one at `next`, or would be: it may have left the end of the ring to nobody. */
static uint64_t place_before(const struct log *l, const struct old *old, uint64_t next)
{
	uint64_t gap = (next + l->blocks - (old->pos + old->blocks) % l->blocks) % l->blocks;

	return next - gap - old->blocks;
}

/* From the mark back, as far as one group leads to another: into groups, the newest first. Their number. */
static size_t chain_back(const struct log *l, const struct olds *olds, const struct log_place *mark, uint64_t end,
			 struct log_group *groups)
{
	struct hash128 sum  = mark->chain;
	uint64_t       next = end, lsn = UINT64_MAX;
	size_t	       n = 0;

	for (uint64_t seq = mark->seq; seq && n < olds->n; seq--) {
		const struct old *old = find_old(olds, seq - 1, sum);

		if (!old || old->lsn >= lsn || place_before(l, old, next) + l->blocks < end || place_before(l, old, next) >= next)
			break;
		next	    = place_before(l, old, next);
		lsn	    = old->lsn;
		sum	    = old->chain;
		groups[n++] = (struct log_group){ next, lsn, old->blocks };
	}
	return n;
}

int feed_find_past(struct store *s, const struct log_place *mark, uint64_t end)
{
	struct olds	  olds = { 0 };
	struct log_group *past = NULL;
	size_t		  n;
	int		  rc = look_around(s, &olds);

	if (!rc && olds.n) {
		past = calloc(olds.n, sizeof(*past));
		rc   = past ? 0 : fail(NOMEM, "no memory to look through the log");
	}
	if (!rc && past) {
		n = chain_back(&s->log, &olds, mark, end, past);
		pthread_mutex_lock(&s->log.lock);
		rc = feed_join(&s->log, past, n);
		pthread_mutex_unlock(&s->log.lock);
	}
	free(past);
	free(olds.all);
	return rc;
}
