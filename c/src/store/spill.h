/* SPDX-License-Identifier: Apache-2.0 */
/* store/spill.h: puts that were put off leave memory, by stages of the thread that holds checkpoint.lock. */
#ifndef TARN_STORE_SPILL_H
#define TARN_STORE_SPILL_H

#include "stage.h"

/* store->lock held. */
bool	 spill_can(const struct store *s);     /* there may be more pages */
bool	 spill_helps(const struct store *s);   /* the same, and there are puts enough for it */
uint64_t spills_blocks(const struct store *s); /* that they take on the device: free, as far as a superblock goes */
void	 spills_freeze(struct store *s);       /* a checkpoint begins */
void	 spills_fini(struct store *s);

void spills_give(struct store *s); /* no lock; checkpoint: what nobody needs any more */
/* No lock. Begins stages of its own, and leaves none with room: the caller's present one is submitted. The first error of a write; what stands in the way otherwise
 * ends it early, without an error. */
int spill_run(struct stages *g);

#endif
