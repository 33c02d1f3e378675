/* SPDX-License-Identifier: Apache-2.0 */
/* store/gather.c: a group of the log waits for the threads that will want to be in it.
 *
 * Threads that slept until a group was durable often have something for the next one as soon as they wake. When that is begun at once, it is
 * written without them, and half of the threads wait for the other half from then on. So who is going to write it waits for them, for a part of
 * the time that a group takes at the most, counted from the end of the last one. When they do not come, the next groups do not wait.
 * Operations with events are not waited for: who has several of them under way does something meanwhile. */
#include "internal.h"
#include <sched.h>

#define WAIT_NS	  UINT64_C(100000) /* from the end of the last group on, at the most, */
#define WAIT_PART 2u		   /* and this part of the time that it took */
#define SKIP_MAX  15u

/* Threads: those that sleep, and the one that is going to write it. */
static uint32_t gathered(const struct log *l)
{
	return atomic_load_explicit(&l->wait[l->turn].sleepers, memory_order_relaxed) + 1;
}

/* When half of those who were missing came, it was right to wait for them. */
static void gather_learn(struct log_gather *g, uint32_t before, uint32_t after)
{
	g->misses = 2 * (after - before) < g->expected - before ? MIN(2 * g->misses + 1, SKIP_MAX) : 0;
	g->skip	  = g->misses;
}

void gather_wait(struct log *l)
{
	struct log_gather *g	  = &l->gather;
	uint64_t	   until  = g->began + g->took + MIN(g->took / WAIT_PART, WAIT_NS);
	uint32_t	   before = gathered(l);

	if (before >= g->expected || base_wait_ns() >= until || (g->skip && g->skip--))
		return;
	g->on = true;
	pthread_mutex_unlock(&l->lock);
	while (gathered(l) < g->expected && base_wait_ns() < until)
		sched_yield();
	pthread_mutex_lock(&l->lock);
	g->on = false;
	gather_learn(g, before, gathered(l));
}

void gather_begin_group(struct log *l)
{
	l->gather.group = gathered(l);
	l->gather.began = base_wait_ns();
}

void gather_end_group(struct log *l)
{
	l->gather.took	   = base_wait_ns() - l->gather.began;
	l->gather.expected = l->gather.group + gathered(l) - 1;
}
