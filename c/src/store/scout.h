/* SPDX-License-Identifier: Apache-2.0 */
/* store/scout.h: a checkpoint's reads of what leaves that were put off are made from, in key order, before the tree is written. One thread, without
 * store->lock. */
#ifndef TARN_STORE_SCOUT_H
#define TARN_STORE_SCOUT_H

#include "above.h"
#include "near.h"

#define SCOUT_BATCHES 4u
#define SCOUT_PAGES   NEAR_MAX /* of a batch, at most */

struct scout_batch {
	struct near reads;
	unsigned    n;
	uint64_t    ids[SCOUT_PAGES];
};
struct scout {
	struct store	   *s;
	struct above	    above; /* where reading goes on */
	struct scout_batch *ahead; /* SCOUT_BATCHES, on their way, those begun first at turn. NULL: none is read ahead */
	unsigned	    turn;
	struct frame	   *held[SCOUT_PAGES]; /* pinned: of the batch that came last */
	unsigned	    held_n;
	uint8_t		   *scratch; /* room for a key */
};

void scout_begin(struct scout *sc, struct store *s);
void scout_tree(struct scout *sc, struct tree *z); /* a frozen one */
/* What the first leaf from slot on is made from is in the cache; else nothing more can be done for it here. */
void scout_want(struct scout *sc, const struct frame *p, uint32_t slot);
void scout_end(struct scout *sc);

#endif
