/* SPDX-License-Identifier: Apache-2.0 */
/* bench/work.h: one thread of a cell, and what it does.
 *
 * A worker makes one call after the other and notes when each ended. A call counts when it began after `counted_from`, which
 * is never before all workers were paused and what they wrote was flushed. What is read is compared with what was put. */
#ifndef TARN_BENCH_WORK_H
#define TARN_BENCH_WORK_H

#include "histogram.h"
#include "keys.h"

#include <pthread.h>
#include <stdatomic.h>

enum phase { PHASE_WORK, PHASE_PAUSE, PHASE_STOP };

struct stage { /* what the workers of a cell share */
	const struct cell *cell;
	struct zipf	   zipf;
	atomic_int	   phase;	 /* enum phase */
	_Atomic uint64_t   counted_from; /* ns */
	atomic_uint	   paused;	 /* workers */
	atomic_bool	   failed;	 /* a worker has ended early */
};

struct worker {
	struct stage	    *stage;
	const struct row    *row;
	const struct engine *engine;
	void		    *session;
	enum answer (*step)(struct worker *worker);
	struct dice	 dice;
	uint64_t	 records, now_ns;  /* now: when the last call ended */
	uint64_t	 inserted, serial; /* of this worker */
	uint8_t		*value, *values;   /* room for one value; for all of a batch, of a multi-get, or in flight */
	struct record	*recs;
	struct want	*wants;
	struct call	*calls;
	unsigned	 idle[DEPTH_MAX], idle_count; /* indexes of calls that are not in flight */
	_Atomic uint64_t done, put;		      /* records that counted: the owner writes, others may read */
	struct histogram times;			      /* of the calls that counted */
	enum answer	 answer;
	char		 message[200];
	pthread_t	 thread;
};

uint64_t clock_ns(void);

/* Makes a worker ready; index is its number in the cell. worker_free() also after a failure. */
enum answer worker_init(struct worker *worker, struct stage *stage, void *db, unsigned index);
void	    worker_free(struct worker *worker);

/* The body of its thread: until PHASE_STOP, or a failure, which it keeps. */
void *worker_run(void *worker);

#endif
