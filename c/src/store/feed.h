/* SPDX-License-Identifier: Apache-2.0 */
/* store/feed.h: durable groups of the log, for those who watch.
 *
 * Always true: a copy does not change while somebody has it. Functions here want no lock. */
#ifndef TARN_STORE_FEED_H
#define TARN_STORE_FEED_H

#include "internal.h"

struct feed_copy {
	struct feed_copy *next;
	uint64_t	  place;
	size_t		  bytes;
	unsigned	  refs; /* under feed.lock */
	uint8_t		 *data; /* the group, with its header */
};

int  feed_open(struct store *s); /* one more watch; the first one has the ring read. IO, NOMEM */
void feed_close(struct store *s);

/* *first: the oldest revision whose changes can be read; *last: the last durable one; *applied: the last there is. */
void feed_range(struct store *s, uint64_t *first, uint64_t *last, uint64_t *applied);
int  feed_gone(uint64_t lsn, uint64_t first); /* EP_OLD */

#define FEED_END 1
int  feed_find(struct store *s, uint64_t lsn, struct log_group *g); /* that has lsn. FEED_END: it is not durable yet. EP_OLD */
int  feed_get(struct store *s, const struct log_group *g, unsigned flags,
	      struct feed_copy **copy); /* EP_OLD: it has been overwritten meanwhile; CSUM, IO, NOMEM; AGAIN (NOWAIT) */
void feed_put(struct store *s, struct feed_copy *copy);

int feed_wait(struct store *s, uint64_t lsn,
	      struct op *op); /* 1: op completes when lsn is durable, or the log fails; else it is, or has */

/* feed_past.c, and what it shares with feed.c. */
int	 feed_find_past(struct store *s, const struct log_place *mark, uint64_t end); /* what lies behind the mark. IO, NOMEM */
int	 feed_join(struct log *l, const struct log_group *past,
		   size_t n); /* log.lock. The past, the newest first, goes before the list: NOMEM */
uint64_t feed_first_lsn(const uint8_t *group);
bool	 feed_header_ok(const struct store *s, const uint8_t *g,
			uint64_t pos); /* of this store's log, at pos, of a group with a record */

#endif
