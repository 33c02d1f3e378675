/* SPDX-License-Identifier: Apache-2.0 */
/* store/filter.h: which keys a tree has not, without looking into it. */
#ifndef TARN_STORE_FILTER_H
#define TARN_STORE_FILTER_H

#include "internal.h"

enum filter_phase { FILTER_NONE, FILTER_FILLING, FILTER_WHOLE };
#define FILTER_PHASES 4u

static inline enum filter_phase filter_phase(const struct store *s)
{
	return atomic_load_explicit(&s->filter.state, memory_order_relaxed) % FILTER_PHASES;
}

/* For filter_excludes() and filter_note(). */
bool filter_lacks(struct store *s, uint64_t life, tarn_buf key);
void filter_count(struct store *s, const struct tree *t, uint64_t life, bool found);

/* No lock. life: of a live tree, loaded before anything else of it (finger.h). There is no such key; false: that is not known. */
static inline bool filter_excludes(struct store *s, uint64_t life, tarn_buf key)
{
	return filter_phase(s) == FILTER_WHOLE && filter_lacks(s, life, key);
}
/* What a look into the tree has answered. */
static inline void filter_note(struct store *s, const struct tree *t, uint64_t life, bool found)
{
	if (!found || filter_phase(s) != FILTER_NONE)
		filter_count(s, t, life, found);
}

void filter_come(struct store *s, const struct store_mutation *muts,
		 size_t n); /* no lock: begins to load what these will change */
void filter_put(struct store *s, const struct store_mutation *muts, size_t n); /* store->lock: before their keys can be found */

/* One step towards a filter that is wanted: no lock, one thread at a time; waits for the device. true: there is more to do. */
bool filter_step(struct store *s);

void filter_init(struct store *s, uint64_t budget); /* without memory there is none */
void filter_fini(struct store *s);

#endif
