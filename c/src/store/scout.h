/* SPDX-License-Identifier: Apache-2.0 */
/* store/scout.h: a checkpoint's reads of what leaves that were put off are made from, in key order, before the tree is written. One thread, without
 * store->lock. */
#ifndef TARN_STORE_SCOUT_H
#define TARN_STORE_SCOUT_H

#include "above.h"
#include "near.h"

#define SCOUT_BATCHES 5u       /* one is in use, the others are on their way */
#define SCOUT_PAGES   NEAR_MAX /* of a batch, at most */
#define SCOUT_ASKED   1024u

struct scout {
	struct store *s;
	struct above  above; /* where reading goes on */
	struct near  *all;   /* SCOUT_BATCHES, in turns. NULL: none is read ahead */
	unsigned      turn;  /* the one in use */
	unsigned      begun; /* batches */
	struct {
		uint64_t addr;
		unsigned batch;
	} asked[SCOUT_ASKED]; /* the last pages of spills, by address: the number of the batch that they come with */
	struct frame **held;  /* pinned: pages of spills that leaves to come may be made from */
	unsigned       held_n, held_most;
	uint8_t	      *scratch; /* room for a key */
};

void scout_begin(struct scout *sc, struct store *s);
void scout_tree(struct scout *sc, struct tree *z); /* a frozen one */
/* What the first leaf from slot on is made from is there; else nothing more can be done for it here. */
void scout_want(struct scout *sc, const struct frame *p, uint32_t slot);
/* A base that is sound; it stays until scout_want() is called again. NULL: it was not read, or is damaged. Pages of spills are in the cache. */
const uint8_t *scout_base(const struct scout *sc, const struct bptr *ptr);
void	       scout_end(struct scout *sc);

#endif
