/* SPDX-License-Identifier: Apache-2.0 */
/* store/window.h: the log's ring as it is read: from one place on, once around.
 *
 * It is cut into chunks, each read by one I/O, several at a time ahead of the reader. A chunk is in the slot that its number, counted from
 * the reader's first place, says. What has left the window is read again when it is wanted again: that costs less than memory for all. */
#ifndef TARN_STORE_WINDOW_H
#define TARN_STORE_WINDOW_H

#include "internal.h"

struct window_slot {
	tarn_dev_io io;
	uint64_t    chunk; /* of the ring; NO_CHUNK */
	bool	    reading;
};

struct window {
	struct store	    *s;
	struct device_queue *queue;
	uint8_t		    *memory; /* of all slots */
	size_t		     bytes;
	uint64_t	     chunk_blocks, chunks, first; /* of the ring; where the reader begins */
	struct window_slot  *slots;
	uint64_t	     n;	     /* slots */
	uint64_t	     now;    /* the chunk that was asked for last */
	uint8_t		    *joined; /* blocks of more than one chunk */
	size_t		     room;
};

int  window_open(struct window *w, struct store *s, uint64_t pos); /* the reader begins there. window_close() in any case */
void window_close(struct window *w);

/* n blocks from pos on, which do not wrap. *at is good until the next call, and may be written to. IO, NOMEM. */
int window_get(struct window *w, uint64_t pos, uint64_t n, uint8_t **at);

#endif
