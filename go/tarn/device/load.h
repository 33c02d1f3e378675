/* SPDX-License-Identifier: Apache-2.0 */
/* load.h: a queue that is kept full, for measuring. See load.go. */
#ifndef TARN_GO_DEVICE_LOAD_H
#define TARN_GO_DEVICE_LOAD_H

#include <stdbool.h>
#include <tarn/tarn.h>

#define GO_FINE	      64u	      /* buckets for each power of two; below, one for each value */
#define GO_BUCKETS    (GO_FINE * 36u) /* up to 2^41 ns, which is half an hour */
#define GO_ERRORS_MAX 1000u	      /* then it ends */

typedef struct go_load {
	tarn_dev_queue *queue;
	tarn_dev_io    *ios; /* of the queue; their tags are their places here */
	char	       *buf; /* of bs for each */
	uint32_t	depth, in_hand;
	bool		mixed, random;
	uint64_t	bs, blocks, next, dice;
	tarn_dev_io   **ready, **out; /* in_hand are to be submitted */
	uint64_t       *began;	      /* by tag: when it was submitted */

	uint64_t done, errors, max_ns;
	uint64_t buckets[GO_BUCKETS];
	int32_t	 rc; /* of the first that failed */
	char	 message[96];
} go_load;

go_load *go_load_new(uint32_t depth);
void	 go_load_free(go_load *l);
void	 go_load_start(go_load *l, const tarn_dev_io *model);
void	 go_load_run(go_load *l, uint64_t ns); /* for so long */

#endif
