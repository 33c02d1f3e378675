/* SPDX-License-Identifier: Apache-2.0 */
/* store/leaf.h: one entry of a leaf after the other, for who looks at many. One of the files of node.h: total, as all that only reads.
 *
 * Everything stays in registers: a struct that a function returns is stored in pieces and loaded whole, and the processor waits for that.
 * An entry that is not wholly in the page is none: no sound page has one. */
#ifndef TARN_STORE_LEAF_H
#define TARN_STORE_LEAF_H

#include "node_bytes.h"

struct leaf_entry {
	const uint8_t *key; /* behind the prefix; the value stands right behind it */
	uint32_t       klen, vlen;
	bool	       extents; /* the value is a descriptor */
	uint64_t       revision;
};

/* false: the page is changing. */
static inline NODE_RACY bool leaf_entry(const uint8_t *page, uint32_t cap, uint32_t slot, struct leaf_entry *e)
{
	uint32_t at = load32(slot_at(page, cap, slot) + SLOT_ENTRY), room = cap - LEAF_KEY, lens;

	if (at > room)
		return false;
	lens	    = load32(page + at + LEAF_LENS);
	e->key	    = page + at + LEAF_KEY;
	e->klen	    = lens & KLEN_MASK;
	e->vlen	    = lens >> (LEAF_KLEN_BITS + 1);
	e->extents  = lens & LEAF_EXTENTS;
	e->revision = load64(page + at + LEAF_REV);
	return e->klen <= room - at && e->vlen <= room - at - e->klen;
}

#endif
