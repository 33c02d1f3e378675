/* SPDX-License-Identifier: Apache-2.0 */
/* store/merge.c: see merge.h. What is gathered under the lock is a copy, or has been read for us alone: so when others change the note, or make a view of
 * the leaf, it is still what the frozen tree has there. */
#include "merge.h"

#define ALIGN 8u /* of a put */

/* They stay the same, but may be given back by others. */
static bool copy_puts(const struct store *s, const struct deferred *p, struct merge_room *room, struct merge *m)
{
	m->puts = room->bytes + room->used;
	for (const struct put *u = put_at(&s->defer, p->puts); u; u = next_put(&s->defer, u)) {
		size_t bytes = put_bytes(u->key_len, u->len), at = ROUND_UP(bytes, ALIGN);

		if (m->puts_bytes + at > room->size - room->used)
			return false;
		memcpy(m->puts + m->puts_bytes, u, bytes);
		m->puts_bytes += at;
	}
	return true;
}

static bool find_base(const struct scout *sc, const struct deferred *p, struct merge *m)
{
	struct bptr ptr = base_of(sc->s, p);

	m->base = (tarn_buf){ scout_base(sc, &ptr), ptr.len };
	return m->base.ptr && !node_level(m->base.ptr);
}

static bool find_spilled(struct store *s, const struct deferred *p, struct merge *m)
{
	while (spilled_page(p, m->spilled_n)) {
		struct bptr   ptr = spill_page(s, p->half, spilled_page(p, m->spilled_n));
		struct frame *f	  = cache_find(s, ptr.addr);

		if (!f || !bptr_equal(&f->ptr, &ptr))
			return false;
		cache_pin(f);
		m->spilled[m->spilled_n++] = f;
	}
	return true;
}

void merge_end(struct merge *m)
{
	while (m->spilled_n)
		cache_unpin(m->spilled[--m->spilled_n]);
}

bool merge_gather(const struct scout *sc, const struct deferred *p, struct merge_room *room, struct merge *m)
{
	*m = (struct merge){ .lsn = sc->s->log.lsn };
	if (find_base(sc, p, m) && find_spilled(sc->s, p, m) && copy_puts(sc->s, p, room, m))
		m->f = cache_reserve(sc->s, (uint32_t)m->base.len);
	if (!m->f) {
		merge_end(m);
		return false;
	}
	m->f->tree = p->tree;
	room->used += m->puts_bytes;
	return true;
}

static bool fill(const struct merge *m)
{
	uint8_t *page = m->f->page;
	bool	 fits = true;

	node_pack(m->base.ptr, (uint32_t)m->base.len, page, m->f->cap);
	for (unsigned i = 0; fits && i < m->spilled_n; i++)
		fits = note_put_spilled(m->spilled[i]->page, m->spilled[i]->cap, page, m->f->cap);
	for (size_t at = 0; fits && at < m->puts_bytes;) {
		const struct put *u = (const struct put *)(m->puts + at);

		fits = note_put(page, m->f->cap, u, m->lsn);
		at += ROUND_UP(put_bytes(u->key_len, u->len), ALIGN);
	}
	return fits;
}

static struct frame *larger(struct store *s, struct frame *f)
{
	struct frame *g;

	store_lock(s);
	g = f->cap < NODE_MAX ? cache_reserve(s, 2 * f->cap) : NULL;
	if (g)
		g->tree = f->tree;
	cache_unreserve(s, f);
	pthread_mutex_unlock(&s->lock);
	return g;
}

bool merge_make(struct store *s, struct merge *m)
{
	while (!fill(m)) {
		m->f = larger(s, m->f);
		if (!m->f)
			return false;
	}
	return true;
}
