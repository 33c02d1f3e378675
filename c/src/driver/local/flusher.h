/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/flusher.h: the thread that writes the log for those who do not wait for it.
 *
 * Always true: it is started by the first who needs it. What is asked for while it writes is one more round, however much it is. A
 * relaxed change is in the log's memory before it comes here, and at the latest TARN_RELAXED_MS after that a round begins that
 * writes it: who finds the flusher armed has appended before that round takes what is there. */
#ifndef TARN_FLUSHER_H
#define TARN_FLUSHER_H

#include "../driver.h"
#include <stdatomic.h>

struct flusher {
	struct store	*store;
	pthread_t	 thread;
	uint32_t	 inline_max;
	_Atomic uint32_t word;	  /* what is asked of the thread, and whether it sleeps: see flusher.c */
	_Atomic bool	 started; /* set under lock */
	_Atomic bool	 stopping;
	uint64_t	 much;	      /* bytes */
	_Atomic bool	 armed;	      /* a round will begin by itself */
	_Atomic bool	 hurried;     /* ... at once */
	_Atomic uint64_t gathered;    /* bytes of relaxed changes not known to be durable */
	_Atomic uint64_t writing;     /* of them, those that the round under way writes */
	_Atomic uint64_t relaxed;     /* the last lsn that was acknowledged without waiting */
	_Atomic uint64_t deadline_ns; /* when armed; by the monotonic clock */
	pthread_mutex_t	 lock;	      /* of who starts the thread, and who arms it */
};

void flusher_init(struct flusher *flusher, struct store *store);
/* Writes what waits, and completes who waits for it, soon. NOMEM: there is no thread, and the caller must write. */
int  flusher_wake(struct flusher *flusher);
void flusher_count(struct flusher *flusher, const struct store_mutation *muts, size_t n); /* what was applied */
bool flusher_relax(struct flusher *flusher, uint64_t lsn);				  /* driver.h: relax */
/* Ends the thread, and makes durable what was acknowledged without waiting; the error of that. Nothing else is running. */
int flusher_stop(struct flusher *flusher);

#endif
