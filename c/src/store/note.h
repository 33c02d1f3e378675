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

struct deferred {
	uint64_t id, tree, gen;
	uint32_t needed, died; /* as in a frame, of the base when it is owned: so many generations before gen, and needed
				  * one more. 0: no snapshot needs it */
	uint32_t self_needed;  /* of the leaf itself: so many after gen, and one. 0: none needs it */
	uint32_t self_died;    /* so many after gen */
	uint32_t chain;	       /* the next one in its bucket */
	uint32_t keys;	       /* below base */
	uint32_t puts;	       /* the first of them that are in memory; they have different keys */
	uint16_t bytes;	       /* what all puts add to the leaf at the most, */
	uint16_t bytes_below;  /* those on a base that was put off, too: so much of it */
	uint8_t	 blocks;       /* that writing it takes at the most */
	bool	 owned : 1;    /* nobody else gives up the blocks of the base */
	bool	 superseded : 1;
	bool	 half : 1; /* of the spills */
	uint8_t	 base[BPTR_BYTES];
	uint8_t	 spilled[SPILLS][3]; /* pages of spills that have puts of this leaf, counted from 1; the first 0 ends them */
};
_Static_assert(sizeof(struct deferred) == 112, "there may be as many as there are leaves");

#define PUT_BYTES (SLOT_BYTES + LEAF_KEY)

static inline struct bptr base_of(const struct deferred *p)
{
	return bptr_get(p->base);
}

/* 0: it has no puts on more pages. */
static inline uint32_t spilled_page(const struct deferred *p, unsigned i)
{
	return i < SPILLS ? p->spilled[i][0] | (uint32_t)p->spilled[i][1] << 8 | (uint32_t)p->spilled[i][2] << 16 : 0;
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
