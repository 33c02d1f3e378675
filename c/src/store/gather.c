/* SPDX-License-Identifier: Apache-2.0 */
/* store/gather.c: a group of the log waits for those who will want to be in it.
 *
 * Who was told that a group is durable often has something for the next one at once. When that is begun before they come, it is written without
 * them, and half of them wait for the other half from then on. So who is going to write it waits for them: for a part of the time that a group takes
 * until the first comes, and then as long as they come at least half as often as changes become durable. Whether that pays is measured: when no more of them
 * do in the same time, the next groups do not wait. So it is with those who have many under way, and something to do while others are written. */
#include "internal.h"
#include <sched.h>

#define WAIT_NS	   UINT64_C(150000) /* from the end of the last group on, at the most, and as long as that took */
#define FIRST_PART 2u		    /* of that time, until somebody comes */
#define PATIENCE   2u		    /* how many times as long as a change takes on average the next one may be away */
#define PAYS_PCT   125u		    /* of the changes in a time, without the wait */
#define SKIP_MAX   63u		    /* groups */

/* Threads that sleep, operations with events, and the thread that is going to write them. */
static uint32_t gathered(const struct log *l)
{
	const struct log_wait *w = &l->wait[l->turn];

	return atomic_load_explicit(&w->sleepers, memory_order_relaxed) + atomic_load_explicit(&w->n_ops, memory_order_relaxed) +
	       1;
}

/* Of a group that waited, and has `after` changes where it had `before`. */
static void gather_learn(struct log_gather *g, uint64_t before, uint64_t after, uint64_t waited)
{
	bool pays = 100 * after * g->took > PAYS_PCT * before * (g->took + waited);

	g->misses = pays ? 0 : MIN(2 * g->misses + 1, SKIP_MAX);
	g->skip	  = g->misses;
}

/* n are there now, since `last`; none has come since the wait began when that is 0. */
static bool may_come(const struct log_gather *g, uint32_t n, uint64_t last, uint64_t now)
{
	uint64_t ended = g->began + g->took, most = MIN(g->took, WAIT_NS);

	if (n >= g->expected || now - ended >= most)
		return false;
	return last ? (now - last) * n < PATIENCE * (now - g->began) : now - ended < most / FIRST_PART;
}

void gather_wait(struct log *l)
{
	struct log_gather *g	 = &l->gather;
	uint64_t	   began = base_wait_ns(), now = began, last = 0;
	uint32_t	   before = gathered(l), n = before;

	if (!may_come(g, n, last, now) || (g->skip && g->skip--))
		return;
	g->on = true;
	pthread_mutex_unlock(&l->lock);
	while (may_come(g, n, last, now)) {
		uint32_t then = n;

		sched_yield();
		now  = base_wait_ns();
		n    = gathered(l);
		last = n != then ? now : last;
	}
	pthread_mutex_lock(&l->lock);
	g->on = false;
	gather_learn(g, before, gathered(l), now - began);
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
