/* SPDX-License-Identifier: Apache-2.0 */
/* store/near.h: pages of which many lie close together are read in few large reads, past the cache. */
#ifndef TARN_STORE_NEAR_H
#define TARN_STORE_NEAR_H

#include "internal.h"

#define NEAR_MAX 128u /* pages at once */

struct near_page {
	struct wanted  w;
	bool	       shared; /* only the caller looks at it */
	const uint8_t *bytes;  /* NULL: it could not be read, or is damaged */
};
struct span { /* blocks that lie side by side, but for small gaps: one read */
	tarn_dev_io io;
	unsigned    first, n; /* of the pages */
};
struct near {
	struct device_queue *queue;	      /* NULL: nothing is on its way */
	struct near_page     pages[NEAR_MAX]; /* by their places */
	struct span	     spans[NEAR_MAX];
	unsigned	     n, spans_n;
	uint8_t		    *room;
	size_t		     room_bytes;
};

/* One thread begins, and ends; no lock. At most NEAR_MAX different pages, of which as many are read as there is room for. They stay there until it is
 * begun again. */
void near_init(struct store *s, struct near *a, unsigned least); /* room for so many pages of the usual size, at least */
void near_fini(struct near *a);					 /* ended */
void near_begin(struct store *s, struct near *a, const struct near_page *pages, unsigned n);
void near_end(struct store *s, struct near *a);
bool near_has(const struct near *a, uint64_t addr);			 /* it was asked for; also before the end */
const uint8_t *near_bytes(const struct near *a, const struct bptr *ptr); /* of one that is sound. NULL */

#endif
