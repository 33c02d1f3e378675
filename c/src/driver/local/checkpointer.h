/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/checkpointer.h: the thread that does what a store can put off (store_relieve()): checkpoints, memory for new pages, and
 * filters of keys.
 *
 * Always true: the thread is made when the store says first that something is due, and blocks all signals. Without it, when the system refuses it
 * or none is wanted, the calls that change something do themselves what must be done. */
#ifndef TARN_LOCAL_CHECKPOINTER_H
#define TARN_LOCAL_CHECKPOINTER_H

#include "../../base/workers.h"
#include "../../store/store.h"

struct checkpointer {
	struct store   *store;
	pthread_mutex_t lock;
	pthread_cond_t	told;
	/* Under the lock: */
	pthread_t thread;
	bool	  has_thread, due, stopping;
};

void checkpointer_init(struct checkpointer *checkpointer, struct store *store, bool wanted);
void checkpointer_stop(struct checkpointer *checkpointer); /* ends it; a checkpoint that runs is finished first */

#endif
