/* SPDX-License-Identifier: Apache-2.0 */
/* store/park.c: calls that do not wait: what they want is read on the shared queue, and store_serve() calls them when it has come.
 *
 * Always true: a parked call is called exactly once, by the thread that serves, after its page has been published, or has failed to come.
 * That thread waits for completions only: never for a load, a call, or a lock that is held over I/O. What is to be submitted is gathered
 * while the server is about, so that one system call does for many; while it sleeps everyone submits at once. */
#include "pages.h"

#define WANTED_MAX 64u
#define GATHER	   16u
#define AGAIN_MAX  3u  /* parkings of one call for the same page */
#define OFTEN_MAX  64u /* ... at all */

/* What the last call of this thread wanted. */
static __thread struct {
	struct store *store;
	size_t	      n;
	struct wanted pages[WANTED_MAX];
} wanted;

void store_set_wanted_many(struct store *s, const struct wanted *w, size_t n)
{
	wanted.store = s;
	wanted.n     = MIN(n, WANTED_MAX);
	memcpy(wanted.pages, w, wanted.n * sizeof(*w));
}

void store_set_wanted(struct store *s, const struct wanted *w)
{
	if (w && w->ptr.addr)
		store_set_wanted_many(s, w, 1);
	else
		wanted.n = 0;
}

/* ---- submitting ---- */

/* submit.lock is held, but not while it submits. Who comes meanwhile leaves what he has to this thread, or to the server. */
static void submit_waiting(struct pages *p, unsigned least)
{
	tarn_dev_io *ios[LOADS_MAX];

	while (!p->submit.busy && p->submit.n >= (p->submit.at_once ? 1 : least)) {
		unsigned n = p->submit.n;

		memcpy(ios, p->submit.waiting, n * sizeof(*ios));
		p->submit.n    = 0;
		p->submit.busy = true;
		pthread_mutex_unlock(&p->submit.lock);
		device_submit_many(p->queue, ios, n);
		pthread_mutex_lock(&p->submit.lock);
		p->submit.busy = false;
	}
}

static void submit(struct pages *p, tarn_dev_io **ios, unsigned n)
{
	pthread_mutex_lock(&p->submit.lock);
	memcpy(p->submit.waiting + p->submit.n, ios, n * sizeof(*ios));
	p->submit.n += n;
	submit_waiting(p, GATHER);
	pthread_mutex_unlock(&p->submit.lock);
}

/* Of the server. Before it sleeps nothing is left, and whoever submits at that moment looks again. */
static void submit_all(struct pages *p, bool sleeps)
{
	pthread_mutex_lock(&p->submit.lock);
	p->submit.at_once = sleeps;
	submit_waiting(p, 1);
	pthread_mutex_unlock(&p->submit.lock);
}

/* ---- parking ---- */

/* A page that does not come, and pages that are evicted before they are looked at, are for a thread that may wait. */
static bool tried_enough(struct store_wait *wait, uint64_t block)
{
	wait->again = wait->page == block ? wait->again + 1 : 0;
	wait->page  = block;
	return wait->again == AGAIN_MAX || ++wait->often == OFTEN_MAX;
}

/* pages.lock is held. Claims those pages that are not on their way; the wait is for the last, the others come as they can. Their
 * number. */
static unsigned park(struct store *s, struct store_wait *wait, struct load **loads)
{
	struct pages *p	  = s->pages;
	unsigned      got = 0;
	struct load  *l	  = NULL;

	for (size_t i = 0; i < wanted.n; i++) {
		l = load_find(p, wanted.pages[i].ptr.addr);
		if (l || !(l = load_claim(s, &wanted.pages[i])))
			continue;
		l->shared = true;
		p->shared++;
		loads[got++] = l;
	}
	p->parked++;
	if (l) {
		wait->next = l->waits;
		l->waits   = wait;
	} else {
		waits_add(&p->later, wait);
	}
	return got;
}

static void start(struct store *s, struct load **loads, unsigned n)
{
	tarn_dev_io *ios[WANTED_MAX];
	unsigned     starts = 0;

	loads_reserve(s, loads, n);
	for (unsigned i = 0; i < n; i++)
		if (loads[i]->frame)
			ios[starts++] = load_io(loads[i]);
		else
			loads_settle(s, &loads[i], 1);
	if (starts)
		submit(s->pages, ios, starts);
}

static bool can_park(struct store *s, struct store_wait *wait)
{
	if (wanted.store != s || !wanted.n || tried_enough(wait, wanted.pages[wanted.n - 1].ptr.addr))
		return false;
	for (size_t i = 0; i < wanted.n; i++)
		if (!wanted_is_plain(s, &wanted.pages[i]) || wanted_check(s, &wanted.pages[i]))
			return false;
	return true;
}

bool store_park(struct store *s, struct store_wait *wait)
{
	struct pages *p = s->pages;
	struct load  *loads[WANTED_MAX];
	unsigned      got   = 0;
	bool	      parks = can_park(s, wait);

	if (parks) {
		pthread_mutex_lock(&p->lock);
		parks = p->serving;
		if (parks)
			got = park(s, wait, loads);
		pthread_mutex_unlock(&p->lock);
	}
	wanted.n = 0;
	if (got)
		start(s, loads, got);
	return parks;
}

/* ---- the thread that serves ---- */

static struct store_wait *waits_take(struct waits *list)
{
	struct store_wait *wait = list->first;

	if (!wait)
		return NULL;
	list->first = wait->next;
	if (!list->first)
		list->end = &list->first;
	return wait;
}

/* Whom to call now, and, as far as there is room, those that had none. NULL: nobody. */
static struct store_wait *take_ready(struct store *s)
{
	struct pages	  *p = s->pages;
	struct store_wait *wait;

	pthread_mutex_lock(&p->lock);
	wait = waits_take(&p->ready);
	if (!wait && loads_have_room(s))
		wait = waits_take(&p->later);
	p->parked -= wait != NULL;
	pthread_mutex_unlock(&p->lock);
	return wait;
}

static void call_ready(struct store *s)
{
	struct store_wait *wait;

	while ((wait = take_ready(s)) != NULL)
		wait->ready(wait);
}

static void complete_some(struct store *s)
{
	struct pages *p = s->pages;
	tarn_dev_io  *ios[REAP_MAX];
	struct load  *loads[REAP_MAX];
	unsigned      n;

	submit_all(p, true);
	n = device_wait(p->queue, REAP_MAX, ios);
	submit_all(p, false);
	for (unsigned i = 0; i < n; i++)
		loads[i] = load_read(s, ios[i]);
	if (n)
		loads_settle(s, loads, n);
}

int store_serve_begin(struct store *s)
{
	struct pages *p	 = s->pages;
	int	      rc = device_queue_open(s->dev, LOADS_MAX, &p->queue);

	if (rc)
		return rc;
	pthread_mutex_lock(&p->lock);
	p->serving = true;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static bool has_ended(struct pages *p)
{
	bool ended;

	pthread_mutex_lock(&p->lock);
	ended = !p->serving && !p->parked && !p->shared;
	pthread_mutex_unlock(&p->lock);
	return ended;
}

void store_serve(struct store *s)
{
	struct pages *p = s->pages;

	pthread_mutex_lock(&p->lock);
	p->server     = pthread_self();
	p->has_server = true;
	pthread_mutex_unlock(&p->lock);
	while (!has_ended(p)) {
		complete_some(s);
		call_ready(s);
	}
}

void store_serve_end(struct store *s)
{
	struct pages *p = s->pages;

	pthread_mutex_lock(&p->lock);
	p->serving = false;
	pthread_mutex_unlock(&p->lock);
	device_wake(p->queue);
}
