/* SPDX-License-Identifier: Apache-2.0 */
/* store/pages.c: pages on their way from the device, and calls that wait for them. See pages.h; calls that do not wait are in park.c. */
#include "pages.h"

#define LOADS_MIN 8u

void waits_init(struct waits *list)
{
	list->first = NULL;
	list->end   = &list->first;
}

void waits_add(struct waits *list, struct store_wait *wait)
{
	wait->next = NULL;
	*list->end = wait;
	list->end  = &wait->next;
}

int pages_open(struct store *s)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (!p)
		return fail(NOMEM, "no memory for a table of %u reads", LOADS_MAX);
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->submit.lock, NULL);
	pthread_cond_init(&p->ended, NULL);
	waits_init(&p->ready);
	waits_init(&p->later);
	s->pages = p;
	return 0;
}

void pages_close(struct store *s)
{
	struct pages *p = s->pages;

	if (!p)
		return;
	if (p->queue)
		device_queue_close(p->queue);
	pthread_cond_destroy(&p->ended);
	pthread_mutex_destroy(&p->submit.lock);
	pthread_mutex_destroy(&p->lock);
	free(p);
	s->pages = NULL;
}

bool pages_are_awaited(struct store *s)
{
	struct pages *p = s->pages;
	bool	      some;

	pthread_mutex_lock(&p->lock);
	some = p->in_flight > 0;
	pthread_mutex_unlock(&p->lock);
	return some;
}

/* ---- the table; pages.lock is held ---- */

static struct load **bucket(struct pages *p, uint64_t block)
{
	return &p->buckets[(block * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (LOAD_BUCKETS - 1)];
}

struct load *load_find(struct pages *p, uint64_t block)
{
	struct load *l = *bucket(p, block);

	while (l && l->w.ptr.addr != block)
		l = l->next;
	return l;
}

/* Pages that are being read take up frames: of a small cache a small part. */
bool loads_have_room(const struct store *s)
{
	uint64_t part = s->cache.budget / 4 / s->node_bytes;

	return s->pages->in_flight < MIN(MAX(part, LOADS_MIN), LOADS_MAX);
}

struct load *load_claim(struct store *s, const struct wanted *w)
{
	struct pages *p = s->pages;
	struct load **b = bucket(p, w->ptr.addr), *l = p->free;

	if (!loads_have_room(s))
		return NULL;
	if (l)
		p->free = l->next;
	else
		l = &p->loads[p->made++];
	*l = (struct load){ .w = *w, .next = *b, .number = l->number };
	*b = l;
	p->in_flight++;
	return l;
}

static void retire(struct pages *p, struct load *l)
{
	struct load **at = bucket(p, l->w.ptr.addr);

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	while (l->waits) {
		struct store_wait *wait = l->waits;

		l->waits = wait->next;
		waits_add(&p->ready, wait);
	}
	p->in_flight--;
	p->shared -= l->shared;
	l->number++;
	l->next = p->free;
	p->free = l;
}

static void sleep_a_load(struct pages *p)
{
	p->sleepers++;
	pthread_cond_wait(&p->ended, &p->lock);
	p->sleepers--;
}

static void wait_for(struct pages *p, const struct load *l, uint64_t number)
{
	while (l->number == number)
		sleep_a_load(p);
}

bool pages_server_is_me(const struct pages *p)
{
	return p->has_server && pthread_equal(p->server, pthread_self());
}

void page_forget(struct store *s, uint64_t block)
{
	struct pages *p = s->pages;
	struct load  *l;

	pthread_mutex_lock(&p->lock);
	l = load_find(p, block);
	if (l)
		l->stale = true;
	pthread_mutex_unlock(&p->lock);
}

/* ---- one load, from its claim to its end; no lock is held ---- */

int wanted_check(struct store *s, const struct wanted *w)
{
	if (!(w->ptr.addr & VIRTUAL) && blob_sane(s, &w->ptr, NODE_MAX))
		return 0;
	return fail(CSUM, "a pointer of tree %llu to a page is impossible: block %llu, %u bytes", (unsigned long long)w->tree,
		    (unsigned long long)w->ptr.addr, w->ptr.len);
}

bool wanted_is_plain(const struct store *s, const struct wanted *w)
{
	return !(w->ptr.flags & BPTR_GANG) && w->ptr.len <= device_info(s->dev)->max_transfer;
}

void loads_reserve(struct store *s, struct load **loads, unsigned n)
{
	store_lock(s);
	for (unsigned i = 0; i < n; i++) {
		struct load *l = loads[i];

		if (cache_find(s, l->w.ptr.addr))
			continue;
		l->frame = cache_reserve(s, l->w.ptr.len);
		if (!l->frame)
			l->rc = fail(NOMEM, "no memory for a page of %u bytes", l->w.ptr.len);
	}
	pthread_mutex_unlock(&s->lock);
}

tarn_dev_io *load_io(struct load *l)
{
	l->io = (tarn_dev_io){
		.opcode = TARN_DEV_READ, .buf = l->frame->page, .offset = l->w.ptr.addr * BLOCK, .len = l->w.ptr.len
	};
	return &l->io;
}

static void load_check(struct store *s, struct load *l, const tarn_dev_io *io)
{
	if (io->rc)
		l->rc = base_fail(-io->rc, "%s", io->message);
	else
		l->rc = piece_check(&l->w.ptr, l->frame->page, "a page of a tree");
	if (!l->rc)
		l->rc = page_verify(s, l->frame->page, &l->w);
}

struct load *load_read(struct store *s, tarn_dev_io *io)
{
	struct load *l = container_of(io, struct load, io);

	load_check(s, l, io);
	return l;
}

/* Reads on this thread, and waits. */
static void read_now(struct store *s, struct load *l)
{
	uint8_t *page = l->frame->page;

	if (l->w.ptr.flags & BPTR_GANG)
		l->rc = blob_read(s, &l->w.ptr, page, "a page of a tree");
	else
		l->rc = piece_read(s, &l->w.ptr, page, "a page of a tree");
	if (!l->rc)
		l->rc = page_verify(s, page, &l->w);
}

static void publish(struct store *s, struct load *l)
{
	if (l->rc || l->stale || cache_find(s, l->w.ptr.addr))
		cache_unreserve(s, l->frame);
	else
		cache_publish(s, l->frame, &l->w);
}

void loads_settle(struct store *s, struct load **loads, unsigned n)
{
	struct pages *p = s->pages;
	bool	      wake;

	store_lock(s);
	for (unsigned i = 0; i < n; i++)
		if (loads[i]->frame)
			publish(s, loads[i]);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < n; i++)
		retire(p, loads[i]);
	if (p->sleepers)
		pthread_cond_broadcast(&p->ended);
	wake = (p->ready.first || p->later.first) && !pages_server_is_me(p);
	pthread_mutex_unlock(&p->lock);
	if (wake)
		device_wake(p->queue);
}

int page_fetch(struct store *s, const struct wanted *w)
{
	struct pages *p	 = s->pages;
	struct load  *l	 = NULL, *other;
	int	      rc = wanted_check(s, w);

	if (rc)
		return rc;
	pthread_mutex_lock(&p->lock);
	while (!(other = load_find(p, w->ptr.addr)) && !(l = load_claim(s, w)))
		sleep_a_load(p);
	if (other)
		wait_for(p, other, other->number);
	pthread_mutex_unlock(&p->lock);
	if (other)
		return 0;
	loads_reserve(s, &l, 1);
	if (l->frame)
		read_now(s, l);
	rc = l->rc;
	loads_settle(s, &l, 1);
	return rc;
}

/* ---- many at once ---- */

struct many {
	struct store *s;
	unsigned      own_n, others_n;
	struct load  *own[QUEUE_DEPTH];
	struct {
		struct load *load;
		uint64_t     number;
	} others[QUEUE_DEPTH];
	tarn_dev_vec vecs[QUEUE_DEPTH]; /* of own: where pages that lie side by side go */
	int	     rc;		/* the first error */
	char	     message[TARN_MESSAGE_MAX];
};

static void note_error(struct many *m, int rc)
{
	if (!rc || m->rc)
		return;
	m->rc = rc;
	strncpy(m->message, base_message(), sizeof(m->message) - 1);
}

/* Claims as many of the pages as it can, from the first on, at least one; those that are on their way already are others'. Their number. */
static size_t claim_some(struct many *m, const struct wanted *w, size_t n)
{
	struct pages *p	   = m->s->pages;
	size_t	      done = 0;

	m->own_n = m->others_n = 0;
	pthread_mutex_lock(&p->lock);
	while (done < MIN(n, QUEUE_DEPTH)) {
		struct load *l = load_find(p, w[done].ptr.addr);

		if (l) {
			m->others[m->others_n].load	= l;
			m->others[m->others_n++].number = l->number;
		} else if ((l = load_claim(m->s, &w[done])) != NULL) {
			m->own[m->own_n++] = l;
		} else if (done) {
			break;
		} else {
			sleep_a_load(p);
			continue;
		}
		done++;
	}
	pthread_mutex_unlock(&p->lock);
	return done;
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = (*(struct load *const *)a)->w.ptr.addr, y = (*(struct load *const *)b)->w.ptr.addr;

	return (x > y) - (x < y);
}

/* How many of n loads, from the first on, lie side by side, and may be read by one I/O; its bytes. */
static unsigned side_by_side(const struct store *s, struct load *const *loads, unsigned n, uint64_t *bytes)
{
	unsigned i = 1;

	*bytes = loads[0]->w.ptr.len;
	while (i < n && loads[i]->w.ptr.addr == loads[0]->w.ptr.addr + *bytes / BLOCK &&
	       *bytes + loads[i]->w.ptr.len <= device_info(s->dev)->max_transfer)
		*bytes += loads[i++]->w.ptr.len;
	return i;
}

static tarn_dev_io *join(struct load **loads, unsigned n, uint64_t bytes, tarn_dev_vec *vecs)
{
	tarn_dev_io *io = load_io(loads[0]);

	if (n == 1)
		return io;
	for (unsigned i = 0; i < n; i++) {
		vecs[i]		 = (tarn_dev_vec){ loads[i]->frame->page, loads[i]->w.ptr.len };
		loads[i]->joined = i + 1 < n ? loads[i + 1] : NULL;
	}
	io->flags     = TARN_DEV_IO_VECTOR;
	io->buf	      = vecs;
	io->vec_count = n;
	io->len	      = bytes;
	return io;
}

/* As few I/Os as will do: leaves that one write brought to the device lie there in the order in which a listing wants them. */
static unsigned join_all(struct many *m, struct load **loads, unsigned n, tarn_dev_io **ios)
{
	unsigned n_ios = 0;

	qsort(loads, n, sizeof(*loads), by_place);
	for (unsigned i = 0; i < n;) {
		uint64_t bytes;
		unsigned some = side_by_side(m->s, loads + i, n - i, &bytes);

		ios[n_ios++] = join(loads + i, some, bytes, m->vecs + i);
		i += some;
	}
	return n_ios;
}

/* All that the completed I/O has read. When it has failed, each page is read alone: the others are not to blame. Their number. */
static unsigned take(struct many *m, tarn_dev_io *io, struct load **loads)
{
	struct load *first = container_of(io, struct load, io);
	bool	     alone = io->rc && first->joined;
	unsigned     n	   = 0;

	for (struct load *l = first; l; l = l->joined) {
		if (alone)
			read_now(m->s, l);
		else
			load_check(m->s, l, io);
		note_error(m, l->rc);
		loads[n++] = l;
	}
	return n;
}

static void read_overlapped(struct many *m, struct load **plain, unsigned n)
{
	struct device_queue *q = queue_take(m->s);
	tarn_dev_io	    *ios[QUEUE_DEPTH], *done[REAP_MAX];
	struct load	    *loads[QUEUE_DEPTH];
	unsigned	     left = join_all(m, plain, n, ios);

	device_submit_many(q, ios, left);
	while (left) {
		unsigned got = device_reap(q, 1, REAP_MAX, done), some = 0;

		for (unsigned i = 0; i < got; i++)
			some += take(m, done[i], loads + some);
		loads_settle(m->s, loads, some);
		left -= got;
	}
	queue_give(m->s, q);
}

/* Those that need no I/O, or more than one, end first. */
static void read_own(struct many *m)
{
	struct load *plain[QUEUE_DEPTH];
	unsigned     n = 0;

	loads_reserve(m->s, m->own, m->own_n);
	for (unsigned i = 0; i < m->own_n; i++) {
		struct load *l = m->own[i];

		if (l->frame && wanted_is_plain(m->s, &l->w)) {
			plain[n++] = l;
			continue;
		}
		if (l->frame)
			read_now(m->s, l);
		note_error(m, l->rc);
		loads_settle(m->s, &l, 1);
	}
	if (n)
		read_overlapped(m, plain, n);
}

static void wait_for_others(struct many *m)
{
	struct pages *p = m->s->pages;

	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < m->others_n; i++)
		wait_for(p, m->others[i].load, m->others[i].number);
	pthread_mutex_unlock(&p->lock);
}

/* Others' loads are waited for after one's own have ended, so two that wait for each other's both come to an end. */
int page_fetch_many(struct store *s, const struct wanted *w, size_t n)
{
	struct many m = { .s = s };
	int	    rc;

	for (size_t i = 0; i < n; i++)
		if ((rc = wanted_check(s, &w[i])) != 0)
			return rc;
	while (n) {
		size_t some = claim_some(&m, w, n);

		read_own(&m);
		wait_for_others(&m);
		w += some;
		n -= some;
	}
	if (m.rc)
		base_set_message(m.message);
	return m.rc;
}
