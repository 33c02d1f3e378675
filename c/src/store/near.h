/* SPDX-License-Identifier: Apache-2.0 */
/* store/near.h: pages of which many lie close together are read in few large reads. */
#ifndef TARN_STORE_NEAR_H
#define TARN_STORE_NEAR_H

#include "internal.h"

#define NEAR_MAX 128u /* pages at once */

struct span { /* blocks that lie side by side, but for small gaps: one read */
	tarn_dev_io io;
	unsigned    first, n; /* of the loads */
};
struct near {
	struct device_queue *queue; /* NULL: nothing is on its way */
	struct load	    *loads[NEAR_MAX];
	struct span	     spans[NEAR_MAX];
	unsigned	     n, spans_n;
	uint8_t		    *room; /* for spans of several pages */
	size_t		     room_bytes;
};

/* One thread begins, and ends before it waits for a page in another way; no lock. Those that nobody reads, while there is room: at most
 * NEAR_MAX. */
void near_begin(struct store *s, struct near *a, const struct wanted *w, size_t n);
void near_end(struct store *s, struct near *a); /* they are in the cache, but for those that could not be read */
void near_init(struct store *s, struct near *a);
void near_fini(struct near *a); /* ended */

#endif
