/* SPDX-License-Identifier: Apache-2.0 */
/* store/merge.h: leaves that were put off are made without the lock, for a checkpoint. */
#ifndef TARN_STORE_MERGE_H
#define TARN_STORE_MERGE_H

#include "note.h"
#include "scout.h"

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
