/* SPDX-License-Identifier: Apache-2.0 */
/* store/above.h: the dirty pages of a tree that stand above its leaves, one after the other in key order.
 *
 * Where it stands is a key, so the lock may be given up between two steps, and the tree may change meanwhile. */
#ifndef TARN_STORE_ABOVE_H
#define TARN_STORE_ABOVE_H

#include "internal.h"

struct above {
	struct store	  *s;
	const struct tree *t;
	uint8_t		  *at; /* room for a key: what is below it has been passed. NULL: nothing is to be seen */
	uint32_t	   at_len;
	bool		   done; /* all has */
};

struct above_place {
	struct frame *f; /* NULL: something that is clean, or not in memory, has been passed */
	uint32_t      slot;
};

bool above_init(struct above *a, struct store *s); /* false: no memory */
void above_fini(struct above *a);
void above_begin(struct above *a, const struct tree *t);
/* store->lock held. Wants !done. */
struct above_place above_find(struct above *a);
void above_pass(struct above *a, const struct frame *f, uint32_t slot); /* what stands below that slot has been seen */
void above_expect(struct store *s, struct above_place at);		/* leaves behind it will be asked for */

#endif
