/* SPDX-License-Identifier: Apache-2.0 */
/* store/near.c: pages of which many lie close together are read in few large reads.
 *
 * A read of several pages goes to memory of its own, and each page from there to its frame, with its checksum compared. What lies in the gaps is
 * nobody's, or may be written meanwhile: it is not looked at. When a large read fails, its pages are not there: who wants one reads it alone, and
 * meets its own error. */
#include "near.h"

#include "pages.h"

#define GAP_BLOCKS 8u /* to read them costs less than another read */
#define SPAN_MOST  (UINT32_C(256) << 10)
#define ROOM_LEAST (UINT64_C(16) << 10)
#define ROOM_MOST  (UINT64_C(2) << 20)

/* Without memory every page is read alone. */
void near_init(struct store *s, struct near *a)
{
	a->room_bytes = MIN(MAX(s->cache.budget / 32, ROOM_LEAST), ROOM_MOST) / BLOCK * BLOCK;
	a->room	      = device_map(a->room_bytes);
	a->room_bytes = a->room ? a->room_bytes : 0;
}

void near_fini(struct near *a)
{
	device_unmap(a->room, a->room_bytes);
}

static void claim(struct store *s, struct near *a, const struct wanted *w, size_t n)
{
	struct pages *p = s->pages;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < n && a->n < NEAR_MAX; i++) {
		struct load *l = load_find(p, w[i].ptr.addr) ? NULL : load_claim(s, &w[i]);

		if (l)
			a->loads[a->n++] = l;
	}
	pthread_mutex_unlock(&p->lock);
}

/* Frames for them; those that are in memory by now, or for which there is none, end. */
static void reserve(struct store *s, struct near *a)
{
	unsigned got = a->n;

	loads_reserve(s, a->loads, got);
	a->n = 0;
	for (unsigned i = 0; i < got; i++) {
		struct load *l = a->loads[i];

		if (l->frame)
			a->loads[a->n++] = l;
		else
			loads_settle(s, &l, 1);
	}
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = (*(struct load *const *)a)->w.ptr.addr, y = (*(struct load *const *)b)->w.ptr.addr;

	return (x > y) - (x < y);
}

static uint64_t end_of(const struct load *l)
{
	return l->w.ptr.addr + l->w.ptr.len / BLOCK;
}

/* How many of the loads from `first` on one read takes. */
static unsigned reach(const struct store *s, const struct near *a, unsigned first, size_t room)
{
	uint64_t most  = MIN(MIN(room, SPAN_MOST), device_info(s->dev)->max_transfer) / BLOCK;
	uint64_t begin = a->loads[first]->w.ptr.addr;
	unsigned n     = 1;

	while (first + n < a->n) {
		const struct load *before = a->loads[first + n - 1], *l = a->loads[first + n];

		if (l->w.ptr.addr < end_of(before) || l->w.ptr.addr > end_of(before) + GAP_BLOCKS || end_of(l) - begin > most)
			break;
		n++;
	}
	return n;
}

static void cut(struct store *s, struct near *a)
{
	size_t used = 0;

	a->spans_n = 0;
	for (unsigned i = 0; i < a->n; i += a->spans[a->spans_n++].n) {
		struct span *sp = &a->spans[a->spans_n];

		*sp = (struct span){ .first = i, .n = reach(s, a, i, a->room_bytes - used) };
		if (sp->n == 1) {
			sp->io = *load_io(a->loads[i]);
			continue;
		}
		sp->io = (tarn_dev_io){ .opcode = TARN_DEV_READ,
					.buf	= a->room + used,
					.offset = a->loads[i]->w.ptr.addr * BLOCK,
					.len	= (end_of(a->loads[i + sp->n - 1]) - a->loads[i]->w.ptr.addr) * BLOCK };
		used += sp->io.len;
	}
}

void near_begin(struct store *s, struct near *a, const struct wanted *w, size_t n)
{
	tarn_dev_io *ios[NEAR_MAX];
	unsigned     sane = 0;

	a->n	 = 0;
	a->queue = n ? queue_try(s) : NULL;
	while (a->queue && sane < n && wanted_is_plain(s, &w[sane]) && !wanted_check(s, &w[sane]))
		sane++;
	claim(s, a, w, sane);
	reserve(s, a);
	qsort(a->loads, a->n, sizeof(a->loads[0]), by_place);
	cut(s, a);
	for (unsigned i = 0; i < a->spans_n; i++)
		ios[i] = &a->spans[i].io;
	if (a->spans_n)
		device_submit_many(a->queue, ios, a->spans_n);
}

static void take_page(struct store *s, const struct span *sp, struct load *l)
{
	uint64_t at = l->w.ptr.addr * BLOCK - sp->io.offset;

	l->rc = sp->io.rc;
	if (!l->rc && sp->n > 1)
		memcpy(l->frame->page, (uint8_t *)sp->io.buf + at, l->w.ptr.len);
	if (!l->rc)
		l->rc = piece_check(&l->w.ptr, l->frame->page, "a page of a tree");
	if (!l->rc)
		l->rc = page_verify(s, l->frame->page, &l->w);
}

void near_end(struct store *s, struct near *a)
{
	tarn_dev_io *done[REAP_MAX];

	while (a->spans_n) {
		unsigned got = device_reap(a->queue, 1, REAP_MAX, done);

		for (unsigned i = 0; i < got; i++) {
			struct span *sp = container_of(done[i], struct span, io);

			for (unsigned k = 0; k < sp->n; k++)
				take_page(s, sp, a->loads[sp->first + k]);
			loads_settle(s, a->loads + sp->first, sp->n);
		}
		a->spans_n -= got;
	}
	if (a->queue)
		queue_give(s, a->queue);
	a->queue = NULL;
	a->n	 = 0;
}
