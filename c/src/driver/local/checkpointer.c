/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/checkpointer.c: see checkpointer.h. */
#include "checkpointer.h"

#include <errno.h>

/* Under the lock. deadline 0: none. */
static void wait_until_due(struct checkpointer *c, uint64_t deadline_ns)
{
	struct timespec until = base_timespec(deadline_ns);
	int		rc    = 0;

	while (!c->due && !c->stopping && rc != ETIMEDOUT)
		rc = deadline_ns ? pthread_cond_clockwait(&c->told, &c->lock, CLOCK_MONOTONIC, &until)
				 : pthread_cond_wait(&c->told, &c->lock);
}

/* What is said while it works is looked at when it has done that. Failures are not its own: one that matters turns the store read-only, and is
 * logged there, and the next change meets it. */
static void *run(void *arg)
{
	struct checkpointer *c	   = arg;
	uint64_t	     again = 0;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		wait_until_due(c, again ? base_wait_ns() + again : 0);
		if (c->stopping)
			break;
		c->due = false;
		pthread_mutex_unlock(&c->lock);
		(void)store_relieve(c->store, &again);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Called with the store's locks held: it does not wait, and calls nothing of the store. */
static void due(void *arg)
{
	struct checkpointer *c = arg;

	pthread_mutex_lock(&c->lock);
	if (!c->has_thread && !c->stopping)
		c->has_thread = thread_start(&c->thread, "tarn-checkpoint", run, c) == 0;
	if (!c->due)
		pthread_cond_signal(&c->told);
	c->due = true;
	pthread_mutex_unlock(&c->lock);
}

void checkpointer_init(struct checkpointer *c, struct store *store, bool wanted)
{
	*c = (struct checkpointer){ .store = store };
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->told, NULL);
	if (wanted)
		store_on_due(store, due, c);
}

void checkpointer_stop(struct checkpointer *c)
{
	store_on_due(c->store, NULL, NULL);
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->told);
	pthread_mutex_unlock(&c->lock);
	if (c->has_thread)
		pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->told);
	pthread_mutex_destroy(&c->lock);
}
