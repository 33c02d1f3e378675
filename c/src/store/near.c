/* SPDX-License-Identifier: Apache-2.0 */
/* store/near.c: pages of which many lie close together are read in few large reads, past the cache.
 *
 * All of it goes to one piece of memory, where each page is compared with its checksum. What lies in the gaps is nobody's, or may be written
 * meanwhile: it is not looked at. A page that is written while it is read does not have its checksum, and is not there; so is none of a
 * read that fails. Who wants such a page reads it alone, and meets its own error. */
#include "near.h"

#include "pages.h"

#define GAP_BLOCKS 8u /* to read them costs less than another read */
#define SPAN_MOST  (UINT32_C(256) << 10)
#define ROOM_MOST  (UINT64_C(1) << 20)

/* Without memory nothing is read. */
void near_init(struct store *s, struct near *a, unsigned least)
{
	uint64_t page = MAX(s->node_bytes, BLOCK);

	a->room_bytes = ROUND_UP(MAX(MIN(s->cache.budget / 32, ROOM_MOST), least * page), page);
	a->room	      = device_map(a->room_bytes);
	a->room_bytes = a->room ? a->room_bytes : 0;
}

void near_fini(struct near *a)
{
	device_unmap(a->room, a->room_bytes);
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = ((const struct near_page *)a)->w.ptr.addr, y = ((const struct near_page *)b)->w.ptr.addr;

	return (x > y) - (x < y);
}

static uint64_t end_of(const struct near_page *p)
{
	return p->w.ptr.addr + p->w.ptr.len / BLOCK;
}

/* Those there is room for, when none has a gap before it; the blocks that they take. */
static uint64_t choose(struct store *s, struct near *a, const struct near_page *pages, unsigned n)
{
	uint64_t blocks = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct wanted *w = &pages[i].w;

		if (!wanted_is_plain(s, w) || wanted_check(s, w) || (blocks + w->ptr.len / BLOCK) * BLOCK > a->room_bytes)
			continue;
		blocks += w->ptr.len / BLOCK;
		a->pages[a->n]	       = pages[i];
		a->pages[a->n++].bytes = NULL;
	}
	return blocks;
}

/* How many of the pages from `first` on one read takes. spare: blocks that gaps may take; those that they do go. */
static unsigned reach(const struct store *s, const struct near *a, unsigned first, uint64_t *spare)
{
	uint64_t most  = MIN(SPAN_MOST, device_info(s->dev)->max_transfer) / BLOCK;
	uint64_t begin = a->pages[first].w.ptr.addr;
	unsigned n     = 1;

	while (first + n < a->n) {
		const struct near_page *p   = &a->pages[first + n];
		uint64_t		end = end_of(p - 1), gap = p->w.ptr.addr - end;

		if (p->w.ptr.addr < end || gap > MIN(GAP_BLOCKS, *spare) || end_of(p) - begin > most)
			break;
		*spare -= gap;
		n++;
	}
	return n;
}

static void cut(struct store *s, struct near *a, uint64_t spare)
{
	size_t used = 0;

	for (unsigned i = 0; i < a->n; i += a->spans[a->spans_n++].n) {
		struct span *sp	   = &a->spans[a->spans_n];
		uint64_t     begin = a->pages[i].w.ptr.addr;

		*sp    = (struct span){ .first = i, .n = reach(s, a, i, &spare) };
		sp->io = (tarn_dev_io){ .opcode = TARN_DEV_READ,
					.buf	= a->room + used,
					.offset = begin * BLOCK,
					.len	= (end_of(&a->pages[i + sp->n - 1]) - begin) * BLOCK };
		used += sp->io.len;
	}
}

void near_begin(struct store *s, struct near *a, const struct near_page *pages, unsigned n)
{
	tarn_dev_io *ios[NEAR_MAX];
	uint64_t     blocks;

	a->n = a->spans_n = 0;
	a->queue	  = n && a->room ? queue_try(s) : NULL;
	if (!a->queue)
		return;
	blocks = choose(s, a, pages, n);
	qsort(a->pages, a->n, sizeof(a->pages[0]), by_place);
	cut(s, a, a->room_bytes / BLOCK - blocks);
	for (unsigned i = 0; i < a->spans_n; i++)
		ios[i] = &a->spans[i].io;
	if (a->spans_n)
		device_submit_many(a->queue, ios, a->spans_n);
}

static void take_page(struct store *s, const struct span *sp, struct near_page *p)
{
	const uint8_t *bytes = (const uint8_t *)sp->io.buf + (p->w.ptr.addr * BLOCK - sp->io.offset);

	if (!sp->io.rc && !piece_check(&p->w.ptr, bytes, "a page of a tree") && !page_verify(s, bytes, &p->w))
		p->bytes = bytes;
}

void near_end(struct store *s, struct near *a)
{
	tarn_dev_io *done[REAP_MAX];
	unsigned     left = a->queue ? a->spans_n : 0;

	while (left) {
		unsigned got = device_reap(a->queue, 1, REAP_MAX, done);

		for (unsigned i = 0; i < got; i++) {
			struct span *sp = container_of(done[i], struct span, io);

			for (unsigned k = 0; k < sp->n; k++)
				take_page(s, sp, &a->pages[sp->first + k]);
		}
		left -= got;
	}
	if (a->queue)
		queue_give(s, a->queue);
	a->queue = NULL;
}

static const struct near_page *find(const struct near *a, uint64_t addr)
{
	unsigned low = 0, high = a->n;

	while (low < high) {
		unsigned at = (low + high) / 2;

		if (a->pages[at].w.ptr.addr < addr)
			low = at + 1;
		else
			high = at;
	}
	return low < a->n && a->pages[low].w.ptr.addr == addr ? &a->pages[low] : NULL;
}

bool near_has(const struct near *a, uint64_t addr)
{
	return find(a, addr);
}

const uint8_t *near_bytes(const struct near *a, const struct bptr *ptr)
{
	const struct near_page *p = find(a, ptr->addr);

	return p && bptr_equal(&p->w.ptr, ptr) ? p->bytes : NULL;
}
