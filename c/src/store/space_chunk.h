/* SPDX-License-Identifier: Apache-2.0 */
/* store/space_chunk.h: the inside of the space map, for space.c (what a block is), space_alloc.c (which is handed out) and space_map.c
 * (the map on disk).
 *
 * Always true: a bit in a plane is also in `used`; free_in of a loaded chunk counts the bits that are not. A bit is in at most one of
 * freed, leaving, held and waiting, so a block becomes free once, however often it is freed. Bits of the last chunk beyond the store
 * are used. A chunk that is dirty is loaded or lost. */
#ifndef TARN_STORE_SPACE_CHUNK_H
#define TARN_STORE_SPACE_CHUNK_H

#include "internal.h"

#define MAP_WORDS (MAP_BITS / 64)

enum plane { HIDDEN, SHOWN, FREED, LEAVING, HELD, WAITING, PLANES };

struct space_chunk {
	uint64_t *used;		 /* MAP_WORDS words, as each plane */
	uint64_t *plane[PLANES]; /* NULL: empty */
	uint32_t  count[PLANES]; /* bits in each */
	uint32_t  written;	 /* free blocks by its page on disk */
	uint32_t  longest;	 /* no free run in it is longer */
};

/* In space.dirty and space.index_dirty. */
enum {
	DIRTY  = 1,
	PLACED = 2, /* the checkpoint under way has found the place of its new page */
	LOST   = 4, /* its page is damaged: used up, and never loaded. When dirty it is written as wholly used */
	RETRY  = 8, /* its page could not be read, and is read again when it is needed */
};

/* space.c */
uint32_t	       chunk_bits(const struct space *sp, uint32_t c); /* blocks in it */
struct space_chunk    *chunk_get(struct space *sp, uint32_t c); /* loads it. NULL: it is lost, or cannot be read now: lost_rc */
uint32_t	       count_free(const uint64_t *used);
void		       set_free_in(struct space *sp, uint32_t c, uint32_t n); /* and forgets which runs there are not */
void		       chunk_use(struct space *sp, uint32_t c, uint32_t first, uint32_t n);
static inline uint64_t plane_word(const struct space_chunk *ck, enum plane p, uint32_t w)
{
	return ck->plane[p] ? ck->plane[p][w] : 0;
}

/* space_map.c */
int chunk_read(struct space *sp, uint32_t c, void *page); /* as on disk; no page there: page stays as it is. CSUM, IO, NOMEM */

#endif
