/* SPDX-License-Identifier: Apache-2.0 */
/* store/stage.h: pages that are gathered for one write. One thread, which holds checkpoint.lock.
 *
 * A stage is one run of blocks and the memory for what is to be written there; some of them are in use in turns, so that one is filled while others are
 * written. Pages have places in it in the order in which they come. A frame with a page of the present stage has its number as frame->written: it may be evicted
 * when that stage has been written. */
#ifndef TARN_STORE_STAGE_H
#define TARN_STORE_STAGE_H

#include "internal.h"

#define STAGES	     (IO_LANES - 1)
#define STAGE_BLOCKS 128u

struct spent { /* a frame that goes when its page has been written, unless somebody wants it */
	struct frame *f;
	uint64_t      id;
};

struct stage {
	uint8_t	    *bytes;
	uint64_t     number; /* of its write; 0: none */
	unsigned     spent_n;
	struct spent spent[STAGE_BLOCKS];
};

struct stages {
	struct store *s;
	struct stage *all;
	unsigned      turns, turn;	 /* of these a small budget has some */
	uint64_t      block, room, used; /* the run of the present stage, in blocks */
	uint64_t      written;		 /* the number of the present stage */
	bool	      failed;		 /* a write has: what was to be written stays in memory */
};

/* No lock for these. */
int  stages_begin(struct stages *g, struct store *s); /* NOMEM */
void stages_submit(struct stages *g);		      /* what is in the present stage; it has no room then */
/* Submits the present stage, waits for the next one, and gives it a run of at most `want` blocks, whose number is g->room. 0 of them: NOSPACE. The first error of
 * a write, NOMEM. */
int stages_next(struct stages *g, uint64_t want);
/* Also after an error: what is in flight is lent memory. The first error of a write. */
int  stages_drain(struct stages *g);
void stages_fini(struct stages *g); /* drained */

/* The bytes for a page of n blocks, and where they are to go. NULL: it does not fit. */
uint8_t *stages_place(struct stages *g, uint64_t n, uint64_t *block);
/* store->lock held. Its page is in the present stage, and nobody wants it after that. */
void stages_spent(struct stages *g, struct frame *f);

#endif
