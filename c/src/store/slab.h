/* SPDX-License-Identifier: Apache-2.0 */
/* store/slab.h: many small pieces of memory, each named by 32 bits.
 *
 * Pieces of about one size share a chunk, and a chunk whose last piece is given back goes back to the system. What is reserved cannot fail to be
 * taken. A piece stays where it is. The caller has a lock. */
#ifndef TARN_STORE_SLAB_H
#define TARN_STORE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_UNIT    8u	  /* bytes: pieces begin at multiples of it */
#define SLAB_FINE    256u /* up to here sizes are multiples of the unit; from there on there are eight for each doubling */
#define SLAB_CLASSES 104u
#define SLAB_MOST    (UINT32_C(128) << 10) /* bytes of the largest piece */

struct slab_chunk {
	uint8_t *memory;     /* NULL: none */
	uint32_t used, made; /* pieces in use; that have been handed out at all, from its beginning */
	uint32_t free;	     /* the first piece that has been given back, by its place; 0: none, else place + 1 */
	uint32_t next, prev; /* chunks of its class that have room; or those without memory. 0: none */
	uint32_t class;
};
struct slabs {
	struct slab_chunk *chunks; /* by number, from 1 on */
	uint32_t	   n, cap;
	uint32_t	   bare;	       /* chunks without memory */
	uint32_t	   open[SLAB_CLASSES]; /* chunks that have room */
	uint32_t	   room[SLAB_CLASSES]; /* pieces that can be taken */
	uint32_t	   chunk_bytes;
	unsigned	   shift; /* of a chunk's number in a name */
	uint64_t	   bytes; /* that the chunks have */
	uint64_t	   used;  /* of them, in pieces */
};

void	 slabs_init(struct slabs *sl, uint64_t chunk_bytes); /* a power of two */
void	 slabs_fini(struct slabs *sl);
bool	 slab_fits(const struct slabs *sl, size_t bytes, unsigned n); /* n pieces can be taken as it is */
bool	 slab_reserve(struct slabs *sl, size_t bytes, unsigned n);    /* false: no memory */
uint32_t slab_take(struct slabs *sl, size_t bytes);		      /* not 0; reserved before */
void	 slab_give(struct slabs *sl, uint32_t name);
size_t	 slab_room(size_t bytes); /* of a piece for so many */

static inline void *slab_at(const struct slabs *sl, uint32_t name)
{
	return sl->chunks[name >> sl->shift].memory + (size_t)(name & ((UINT32_C(1) << sl->shift) - 1)) * SLAB_UNIT;
}

#endif
