/* SPDX-License-Identifier: Apache-2.0 */
/* store/seek.h: how trees are read without a lock; shared by seek.c, read.c and walk.c.
 *
 * A body reads pages that may change under it. It believes what it has read when frame_valid() says so afterwards; until then it only
 * copies, within its own buffers. What it has found in one page counts for itself. What it has put together from several counts when
 * seek_trail_valid() says so: then all of them, from the root down, were what they are at one moment.
 * seek_at() runs the body again until nothing has changed meanwhile: not the frames (the body says RESTART), no batch was in the middle,
 * no freeze has let blocks be used again, and the tree is still the one that was asked for. In the end it runs under store->lock, and
 * then what it reads stands still. */
#ifndef TARN_STORE_SEEK_H
#define TARN_STORE_SEEK_H

#include "internal.h"
#include <endian.h>

#define TRAIL_MAX 512u
#define AHEAD_MAX 32u

struct seek {
	struct store_at at;
	unsigned	flags;
	unsigned	patience; /* how many times it begins anew before it takes the lock */
	int (*body)(struct store *s, void *arg, struct wanted *w);
	void	      *arg;
	struct wanted *ahead; /* room for AHEAD_MAX, or NULL: what the body will want soon, beginning with what it wants now */
	unsigned       ahead_n;
	struct tree   *tree;   /* for the body */
	bool	       locked; /* the body runs under store->lock; set before, it does so from the first time on */
};
int seek_at(struct store *s, struct seek *k); /* what body says, or AGAIN (NOWAIT), IO, CSUM, NOMEM */

/* Asks for the body to be run again under the lock: its answer is then RESTART. */
static inline int seek_lock(struct seek *k)
{
	k->locked = true;
	return RESTART;
}

/* The pages that a body has seen. */
struct trail {
	uint64_t root_id;
	unsigned n;
	bool	 full; /* one more was seen: RESTART */
	struct {
		struct frame *frame;
		uint64_t      version;
	} seen[TRAIL_MAX];
};
void seek_trail_begin(struct trail *trail, const struct tree *t);
bool seek_trail_valid(const struct trail *trail, const struct tree *t);

/* One step at a time. Each says 0, RESTART or AGAIN as tree_seek() does. trail may be NULL. */
int  seek_root(struct store *s, struct tree *t, struct trail *trail, struct spot *spot, struct wanted *w);
int  seek_down(struct store *s, struct tree *t, struct trail *trail, struct spot *spot,
	       struct wanted *w);				 /* to what is below slot */
void seek_route(struct spot *spot, tarn_buf key);		 /* sets slot of an inner page: what is below has the key */
void seek_aim(struct store *s, struct spot *spot, tarn_buf key); /* the same, and begins to load what is needed next */

/* Memory that is needed soon begins to come: for the next of these, or for who has several keys to look for. */
void seek_look(const struct spot *spot);				   /* for seek_route() */
void seek_prefetch(struct store *s, const struct spot *up, uint32_t slot); /* for seek_down(); looks at the entry */
void seek_prefetch_entry(const uint8_t *page, uint32_t cap, uint32_t slot);
void seek_prefetch_room(const struct frame *leaf, tarn_buf key, tarn_buf val); /* where a new entry is going to be written */

/* Where the page stands of which a hint speaks, if it is right: for loading it. */
uintptr_t seek_hinted(const struct cache *c, uint32_t hint, uint32_t *bytes);
/* In a leaf, two steps of a search: for who has several keys to look for. */
void seek_near(struct spot *spot, tarn_buf key);  /* as far as the slots tell; the entry there begins to come */
void seek_lower(struct spot *spot, tarn_buf key); /* after it: slot and found */

/* A leaf, and the page above it with the leaf's slot (frame NULL: there is none). After AGAIN: up is what names the page wanted. */
struct place {
	struct tree  *tree;
	struct trail *trail;
	struct spot   leaf, up;
};
int seek_leaf(struct store *s, struct place *p, tarn_buf key, struct wanted *w);
int seek_leaf_last(struct store *s, struct place *p, tarn_buf below,
		   struct wanted *w); /* the leaf that has what is just below that key; of
											  * an empty one: the last leaf */

static inline NODE_RACY uint32_t page_u32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return le32toh(v);
}
/* Where the entry of a slot begins. In the page, when nothing changes meanwhile. */
static inline NODE_RACY uint32_t page_entry(const uint8_t *page, uint32_t cap, uint32_t slot)
{
	return page_u32(page + MIN(NODE_SLOTS + (size_t)slot * SLOT_BYTES, cap - SLOT_BYTES) + SLOT_ENTRY);
}

#endif
