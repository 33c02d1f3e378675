/* SPDX-License-Identifier: Apache-2.0 */
/* base/workers.h: a few threads that run tasks in the order in which they came.
 *
 * Always true: a submitted task is run exactly once; the threads are made by the first task and block all signals. */
#ifndef TARN_WORKERS_H
#define TARN_WORKERS_H

#include "op.h"

#define WORKERS_MAX	  8
#define WORKERS_QUEUE_MAX 65536 /* tasks that wait; one more is refused with AGAIN */

/* The submitter's memory, until run() is called; run() may free it. */
struct task {
	struct task *next;
	void (*run)(struct task *task);
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t	filled;
	/* Under lock: */
	struct task  *head;
	struct task **tail;
	unsigned      queued, idle, started;
	bool	      stopping;
	pthread_t     threads[WORKERS_MAX];

	unsigned wanted; /* threads; fixed */
};

void workers_init(struct workers *workers, unsigned threads);
int  workers_submit(struct workers *workers, struct task *task); /* AGAIN, NOMEM */
void workers_stop(struct workers *workers); /* runs what is queued, and ends the threads; nobody submits any more */

/* Starts a thread that blocks all signals. NOMEM when the system refuses. */
int thread_start(pthread_t *thread, const char *name, void *(*body)(void *), void *arg);

#endif
