/* SPDX-License-Identifier: Apache-2.0 */
/* store/defer.h: puts on leaves that are put off (defer.c), and what becomes of them when the leaf is damaged (rescue.c). store->lock is held, but
 * where it says otherwise. */
#ifndef TARN_STORE_DEFER_H
#define TARN_STORE_DEFER_H

#include "internal.h"

bool	 defer_ready(struct store *s, const struct path *path, tarn_buf key,
		     size_t len);	      /* of a path that ends above a leaf: its put can be put off, and there is memory */
uint64_t defer_blocks(const struct store *s); /* that one such put may take */
int	 defer_put(
	     struct store *s, struct tree *t, struct path *path, tarn_buf key,
	     const struct leaf_value *val); /* right after defer_ready(). When the leaf is in memory, it is to be written as it is,
						   * or being written; or it is a view, or clean and on disk, and has a value of at
						   * least that length for the key */
int    defer_get(struct store *s, uint64_t id, struct frame **frame); /* a view, not pinned; as cache_get() */
void   defer_harden(struct store *s, struct frame *view);	      /* it may be changed now */
void   defer_expect(const struct store *s, uint64_t id); /* no lock. It will be asked for: prefetches its place in the table */
void   defer_expect_note(const struct store *s, uint64_t id); /* soon: what is noted, when its place has come */
int    defer_rescue(struct store *s, struct tree *live, uint64_t id, tarn_buf low,
		    struct node_child *base); /* its base is damaged: saves the puts that are in the live tree (may be NULL), and
					       * forgets it. base: what stands for it. 1: some were saved; NOMEM, MISC */
void   defer_rebase(struct store *s, uint64_t id, uint64_t from, const struct bptr *to,
		    uint64_t keys); /* if its base has that id: it has been written */
size_t defer_resolve(struct store *s, struct wanted *w, size_t n,
		     size_t room); /* no lock. Instead of pages that were put off, what must be read first, as far as there is
				      * room; those that can be looked at now go. How many there are then */
void   defer_freeze(struct store *s);
void   defer_thaw(struct store *s);
void   defer_fini(struct store *s);

#endif
