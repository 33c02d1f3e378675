/* SPDX-License-Identifier: Apache-2.0 */
/* store/merge.h: puts come into the leaf that they were put off on; and such leaves are made without the lock, for a checkpoint. */
#ifndef TARN_STORE_MERGE_H
#define TARN_STORE_MERGE_H

#include "note.h"
#include "scout.h"

/* No lock for these two. The page is nobody's but the caller's. false: it has no room for it. */
bool merge_put(uint8_t *page, uint32_t cap, const struct put *u, uint64_t lsn); /* lsn: of a time when the put was there */
bool merge_spilled(const uint8_t *from, uint32_t from_cap, uint8_t *page, uint32_t cap); /* those that belong to it */

/* What a leaf is made from. */
struct merge {
	struct frame *f; /* reserved */
	tarn_buf      base;
	struct frame *spilled[SPILLS]; /* pinned */
	unsigned      spilled_n;
	uint8_t	     *puts; /* one after the other */
	size_t	      puts_bytes;
	uint64_t      lsn;
};

struct merge_room { /* for puts */
	uint8_t *bytes;
	size_t	 used, size;
};

/* store->lock held. All of it, if what is on the device has been read ahead, and there is memory; else nothing: false. */
bool merge_gather(const struct scout *sc, const struct deferred *p, struct merge_room *room, struct merge *m);
void merge_end(struct merge *m); /* what was gathered is not needed any more */
/* No lock. The leaf, in m->f. false: it could not be made, and m->f is not reserved any more. */
bool merge_make(struct store *s, struct merge *m);

#endif
