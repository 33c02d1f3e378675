/* SPDX-License-Identifier: Apache-2.0 */
/* store/back.c: memory for new pages, before a change needs it.
 *
 * The kernel clears memory that is touched for the first time: where it has huge pages 2 MiB at once, which takes milliseconds in a virtual machine
 * whose host has to find them, and who waits for that holds the store. So while new pages make an arena grow, who runs checkpoints touches what comes
 * next in small pages, of which the kernel mostly has some at hand; what it does not get to, the change touches itself. When nothing grows any more it
 * makes huge pages of them, for a processor finds its way in these sooner. Whoever uses one of them waits meanwhile: so with pauses between them.
 * Nobody asks for more than the budget has room for. */
#include "finger.h"

#define STEP	 (UINT64_C(2) << 20)  /* a huge page */
#define SHARE	 64u		      /* of the budget, at the most: so much beforehand, */
#define MOST	 (UINT64_C(16) << 20) /* and no more than this */
#define CALM_NS	 UINT64_C(100000000)
#define PAUSES	 3u		   /* times as long as making one has taken */
#define PAUSE_NS UINT64_C(1000000) /* at the least */

static uint64_t used(const struct arena *a)
{
	return a->made ? a->made * (uint64_t)a->frames[a->made - 1].cap : 0;
}

void back_tell(struct store *s, struct arena *a)
{
	uint64_t lead = MIN(s->cache.budget / SHARE, MOST) / STEP * STEP, now = used(a);

	if (!s->due || !lead || now < lead / 4 || a->wanted > now + lead / 2 || !cache_has_room(s, 2 * lead))
		return;
	a->wanted = ROUND_UP(now + lead, STEP);
	pace_tell(s);
}

void back_tell_frames(struct store *s, const struct arena *a)
{
	if (a->made * sizeof(struct frame) % STEP == 0)
		pace_tell(s);
}

static bool touch_next(struct store *s, struct arena *a)
{
	uint64_t from;
	bool	 more;

	pthread_mutex_lock(&s->lock);
	from = MAX(a->backed, ROUND_UP(used(a), STEP));
	more = from < a->wanted;
	if (more)
		a->backed = from + STEP;
	pthread_mutex_unlock(&s->lock);
	if (more)
		device_back_small(a->memory + from, STEP);
	return more;
}

/* Memory in use that may be in small pages, from its beginning on. */
struct small {
	uint8_t	 *memory;
	uint64_t *joined, end;
};

static bool is_some(const struct small *p)
{
	return *p->joined + STEP <= p->end;
}

/* With store->lock. */
static bool small_one(struct store *s, struct small *p)
{
	for (unsigned k = 0; k < FRAME_CLASSES; k++) {
		struct arena *a = &s->cache.arenas[k];

		*p     = (struct small){ (uint8_t *)a->frames, &a->joined_frames, a->made * sizeof(struct frame) + STEP / 2 };
		p->end = MIN(p->end, a->max * sizeof(struct frame));
		if (is_some(p))
			return true;
		*p = (struct small){ a->memory, &a->joined, MIN(a->backed, used(a)) };
		if (is_some(p))
			return true;
	}
	return false;
}

static bool is_calm(struct cache *c)
{
	uint64_t made = 0;
	bool	 calm;

	for (unsigned k = 0; k < FRAME_CLASSES; k++)
		made += c->arenas[k].made;
	calm	     = made == c->made_then;
	c->made_then = made;
	return calm;
}

/* What has been given back to the kernel would come again, so there must be room for it. */
uint64_t back_join(struct store *s)
{
	struct small p;
	uint8_t	    *memory = NULL;
	uint64_t     began;
	bool	     more, calm;

	pthread_mutex_lock(&s->lock);
	more = cache_has_room(s, STEP) && small_one(s, &p);
	calm = more && is_calm(&s->cache);
	if (calm) {
		memory = p.memory + *p.joined;
		*p.joined += STEP;
	}
	pthread_mutex_unlock(&s->lock);
	if (!calm)
		return more ? CALM_NS : 0;
	began = base_wait_ns();
	device_join(memory, STEP);
	return MAX(PAUSES * (base_wait_ns() - began), PAUSE_NS);
}

void back_ahead(struct store *s)
{
	fingers_grow(s);
	for (unsigned k = 0; k < FRAME_CLASSES; k++)
		while (touch_next(s, &s->cache.arenas[k]))
			;
}
