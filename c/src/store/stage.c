/* SPDX-License-Identifier: Apache-2.0 */
/* store/stage.c: see stage.h. */
#include "stage.h"

#define STAGES_LEAST 2u

int stages_begin(struct stages *g, struct store *s)
{
	uint64_t turns = MIN(MAX(s->cache.budget / 16 / (STAGE_BLOCKS * BLOCK), STAGES_LEAST), STAGES);

	*g = (struct stages){ .s = s, .turns = (unsigned)turns, .turn = (unsigned)turns - 1, .written = s->checkpoint.written };
	g->all = calloc(STAGES, sizeof(*g->all));
	return g->all ? 0 : fail(NOMEM, "no memory to write pages");
}

void stages_submit(struct stages *g)
{
	if (g->used)
		io_write_lane(g->s, g->turn + 1, g->block, g->all[g->turn].bytes, g->used * BLOCK);
	store_lock(g->s);
	if (g->room > g->used)
		space_free_now(&g->s->space, g->block + g->used, g->room - g->used);
	pthread_mutex_unlock(&g->s->lock);
	g->room = g->used = 0;
}

/* Its pages may be evicted from now on: all stages before it have been waited for. Those that are of no use to anybody go at once, so that
 * the leaves to come need not look for frames. */
static int wait_for(struct stages *g, unsigned turn)
{
	struct stage *st = &g->all[turn];
	struct store *s	 = g->s;
	int	      rc = io_wait_lane(s, turn + 1);

	g->failed |= rc != 0;
	if (g->failed)
		return rc;
	store_lock(s);
	s->checkpoint.written = MAX(s->checkpoint.written, st->number);
	for (unsigned i = 0; i < st->spent_n; i++) {
		struct frame *f = st->spent[i].f;

		if (f->id == st->spent[i].id && !atomic_load_explicit(&f->touched, memory_order_relaxed))
			cache_drop_spare(s, f);
	}
	pthread_mutex_unlock(&s->lock);
	st->spent_n = 0;
	return 0;
}

/* The oldest first. */
static int wait_for_all(struct stages *g)
{
	int rc = 0;

	for (unsigned i = 1; !rc && i <= g->turns; i++)
		rc = wait_for(g, (g->turn + i) % g->turns);
	return rc;
}

int stages_drain(struct stages *g)
{
	int rc = wait_for_all(g), drained = io_drain(g->s);

	return rc ? rc : drained;
}

void stages_fini(struct stages *g)
{
	for (unsigned i = 0; i < STAGES; i++)
		device_unmap(g->all[i].bytes, STAGE_BLOCKS * BLOCK);
	free(g->all);
}

int stages_next(struct stages *g, uint64_t want)
{
	struct store *s = g->s;
	struct stage *st;
	int	      rc = 0;

	stages_submit(g);
	if (pace_gives_way(s))
		rc = wait_for_all(g);
	g->turn = (g->turn + 1) % g->turns;
	rc	= rc ? rc : wait_for(g, g->turn);
	if (rc)
		return rc;
	st = &g->all[g->turn];
	if (!st->bytes)
		st->bytes = device_map(STAGE_BLOCKS * BLOCK); /* the heap would be left in pieces */
	if (!st->bytes)
		return fail(NOMEM, "no memory to write pages");
	st->number = ++g->written;
	store_lock(s);
	g->room = space_alloc(&s->space, MIN(STAGE_BLOCKS, MAX(want, 1)), &g->block);
	pthread_mutex_unlock(&s->lock);
	return g->room ? 0 : no_blocks(s);
}

uint8_t *stages_place(struct stages *g, uint64_t n, uint64_t *block)
{
	uint64_t used = g->used;

	if (n > g->room - used)
		return NULL;
	*block = g->block + used;
	g->used += n;
	return g->all[g->turn].bytes + used * BLOCK;
}

/* If somebody wants it from now on, it leaves a mark. */
void stages_spent(struct stages *g, struct frame *f)
{
	struct stage *st = &g->all[g->turn];

	atomic_store_explicit(&f->touched, false, memory_order_relaxed);
	if (st->spent_n < STAGE_BLOCKS)
		st->spent[st->spent_n++] = (struct spent){ f, f->id };
}
