/* SPDX-License-Identifier: Apache-2.0 */
/* store/note.h: what is known of a leaf that was put off, for those who look at it: defer.c, merge.c, rescue.c, scout.c, spill.c. store->lock is held, but where it says otherwise. */
#ifndef TARN_STORE_NOTE_H
#define TARN_STORE_NOTE_H

#include "defer.h"

struct put {
	uint32_t revision; /* its low half: all of these are in the log, which has fewer records than would make it wrong */
	uint32_t next;	   /* a name, as all of these; 0: none */
	uint16_t key_len, len;
	uint8_t	 bytes[]; /* key, value */
};

/* As small as can be: there may be as many as there are leaves. Generations are their low halves: none is far behind the present one. */
struct deferred {
	uint32_t id_low;
	uint16_t id_high;
	uint16_t keys; /* below base */
	uint32_t tree, gen;
	uint32_t chain;				  /* the next one in its bucket */
	uint32_t puts;				  /* the first of them that are in memory; they have different keys */
	uint16_t bytes;				  /* what all puts add to the leaf at the most, */
	uint16_t bytes_below;			  /* those on a base that was put off, too: so much of it */
	uint16_t died;				  /* the leaf has its base no more since so many generations before gen */
	uint16_t self_died;			  /* superseded: so many after gen */
	uint8_t	 blocks;			  /* that writing it takes at the most */
	bool	 owned : 1;			  /* nobody else gives up the blocks of the base */
	bool	 needed : 1;			  /* by snapshots: the base when it is owned, */
	bool	 superseded : 1, self_needed : 1; /* and the leaf itself */
	bool	 half : 1;			  /* of the spills */
	uint8_t	 spilled[(SPILLS * SPILL_PAGE_BITS + 7) /
			 8]; /* pages of spills that have puts of this leaf, counted from 1; the first 0 ends them */
	uint32_t base_birth;
	uint64_t base_where;
	uint8_t	 base_sum[16];
};
_Static_assert(sizeof(struct deferred) == 80, "there may be as many as there are leaves");

static inline uint64_t note_id(const struct deferred *p)
{
	return (uint64_t)p->id_high << 32 | p->id_low;
}

/* The generation, not after the present one, whose low half that is. */
static inline uint64_t note_generation(const struct store *s, uint32_t low)
{
	return s->gen - (uint32_t)((uint32_t)s->gen - low);
}

static inline uint64_t note_gen(const struct store *s, const struct deferred *p)
{
	return note_generation(s, p->gen);
}

#define PUT_BYTES (SLOT_BYTES + LEAF_KEY)

static inline struct bptr base_of(const struct store *s, const struct deferred *p)
{
	uint8_t bytes[BPTR_BYTES];

	put64(bytes + BPTR_WHERE, p->base_where);
	put64(bytes + BPTR_BIRTH, note_generation(s, p->base_birth));
	memcpy(bytes + BPTR_SUM, p->base_sum, 16);
	return bptr_get(bytes);
}

static inline void set_base(struct deferred *p, const struct bptr *base)
{
	uint8_t bytes[BPTR_BYTES];

	bptr_put(bytes, base);
	p->base_where = get64(bytes + BPTR_WHERE);
	p->base_birth = (uint32_t)base->birth;
	memcpy(p->base_sum, bytes + BPTR_SUM, 16);
}

/* Numbers of pages are stored side by side, five half bytes each. 0: it has no puts on more pages. */
static inline uint32_t spilled_page(const struct deferred *p, unsigned i)
{
	const uint8_t *at = p->spilled + i * SPILL_PAGE_BITS / 8;

	return i < SPILLS ? (at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16) >> i % 2 * 4 & SPILL_PAGE_MAX : 0;
}

/* The next one, in the place of a 0. */
static inline void set_spilled_page(struct deferred *p, unsigned i, uint32_t number)
{
	uint8_t *at = p->spilled + i * SPILL_PAGE_BITS / 8;

	number <<= i % 2 * 4;
	at[0] |= (uint8_t)number, at[1] |= (uint8_t)(number >> 8), at[2] |= (uint8_t)(number >> 16);
}

static inline struct put *put_at(const struct defer *d, uint32_t name)
{
	return name ? slab_at(&d->slabs, name) : NULL;
}

static inline struct put *next_put(const struct defer *d, const struct put *u)
{
	return put_at(d, u->next);
}

/* What it takes in memory. */
static inline size_t put_bytes(size_t key_len, size_t len)
{
	return offsetof(struct put, bytes) + key_len + len;
}

/* No put is far from the end of the log. */
static inline struct leaf_value value_of(const struct put *u, uint64_t lsn)
{
	return (struct leaf_value){ u->bytes + u->key_len, u->len, false,
				    lsn + (uint64_t)(int64_t)(int32_t)(u->revision - (uint32_t)lsn) };
}

/* Bytes of all puts on a leaf, see deferred.bytes: an empty page of a spill has room for them. */
static inline uint64_t defer_most(const struct store *s)
{
	return MIN(s->node_bytes / 4 * 3, UINT16_MAX / 2);
}

/* defer.c */
struct deferred *defer_find(const struct store *s, uint64_t id);       /* NULL: not put off */
void		 defer_free_puts(struct store *s, struct deferred *p); /* those in memory */
void defer_take(struct store *s, struct deferred *p, struct frame *f); /* the leaf is in f from now on: the note goes */
void defer_forget(struct store *s, struct deferred *p);		       /* what is p is not there any more */
void defer_account(struct defer *d);
struct node_child defer_child(const struct path *path); /* of a path that ends above a leaf */
/* What was put comes into a page that has none of it yet, and is nobody's but the caller's. 1: that has no room for it; AGAIN, CSUM, IO: what was spilled cannot be
 * read. */
int defer_fill(struct store *s, const struct deferred *p, uint8_t *page, uint32_t cap);

/* note.c: no lock. The page is nobody's but the caller's. false: it has no room for it. */
bool note_put(uint8_t *page, uint32_t cap, const struct put *u, uint64_t lsn); /* lsn: of a time when the put was there */
bool note_put_spilled(const uint8_t *from, uint32_t from_cap, uint8_t *page,
		      uint32_t cap); /* from a page of a spill: those that belong to it */

/* spill.c */
struct bptr spill_page(const struct store *s, bool half, uint32_t number); /* counted from 1 */

#endif
