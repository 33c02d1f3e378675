/* SPDX-License-Identifier: Apache-2.0 */
/* store/finger.h: where spans of keys were last found, so that a get goes to its leaf and not down the tree. */
#ifndef TARN_STORE_FINGER_H
#define TARN_STORE_FINGER_H

#include "internal.h"

/* No lock, but where it says so. A tree's life is loaded before anything else of the tree is; only live trees have fingers. */
uint64_t finger_life(const struct tree *t);			    /* 0: it has none */
uint64_t finger_hash(struct store *s, uint64_t life, tarn_buf key); /* of its span */
void	 finger_prefetch(const struct store *s, uint64_t hash);	    /* for what follows */
void	 finger_come(const struct store *s, uint64_t hash);	    /* the leaves begin to come from memory */
/* The leaf that has the key or would have it, in spot; false: it is not known. */
bool finger_enter(const struct store *s, uint64_t life, uint64_t hash, tarn_buf key, struct spot *spot);
/* After a seek, when what stands at the spot has been read and was valid. */
void finger_set(struct store *s, uint64_t life, uint64_t hash, tarn_buf key, const struct spot *spot);

/* After finger_enter(), the same, once the slot is known. */
void finger_found(struct store *s, uint64_t hash, const struct spot *spot);

void fingers_init(struct store *s, uint64_t budget); /* counts against the cache's; without memory there are none */
void fingers_grow(struct store *s);		     /* if many are lost: no lock; waits for memory */
void fingers_fini(struct store *s);
void fingers_begin(struct store *s, struct tree *t); /* store->lock: another life, of which nothing is known */

#endif
