/* SPDX-License-Identifier: Apache-2.0 */
/* store/scout.h: a checkpoint's reads of the bases of leaves that were put off, in key order, before the tree is written. One thread, without
 * store->lock. */
#ifndef TARN_STORE_SCOUT_H
#define TARN_STORE_SCOUT_H

#include "near.h"

#define SCOUT_BATCHES 4u
#define SCOUT_BASES   NEAR_MAX /* of a batch, at most */

struct scout_batch {
	struct near reads;
	unsigned    n;
	uint64_t    ids[SCOUT_BASES];
};
struct scout {
	struct store	   *s;
	struct tree	   *z;
	struct scout_batch *ahead; /* SCOUT_BATCHES, on their way, those begun first at turn */
	unsigned	    turn;
	struct frame	   *held[SCOUT_BASES]; /* pinned: of the batch that came last */
	unsigned	    held_n;
	uint8_t *at;	  /* a key: bases of leaves below it have been read, or are on their way. NULL: none is read ahead */
	uint8_t *scratch; /* room for another key */
	uint32_t at_len;
	bool	 done; /* all have */
};

void scout_begin(struct scout *sc, struct store *s);
void scout_tree(struct scout *sc, struct tree *z); /* a frozen one */
/* The base of the first leaf from slot on is in the cache; else nothing more can be done for it here. */
void scout_want(struct scout *sc, const struct frame *p, uint32_t slot);
void scout_end(struct scout *sc);

#endif
