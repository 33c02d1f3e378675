/* SPDX-License-Identifier: Apache-2.0 */
/* store/late.h: a value that is written beside its record.
 *
 * A durable put of a large value would wait for three writes, one after the other: the value, the record that names it, and a flush. The first
 * two need no order, since recovery drops a last group whose values are not whole (log.h); so a put that nothing else holds up starts to write its
 * value, goes on, and lets the log's group wait for it. Always true:
 *   - there is one such value a store, of one piece, from late_take() to late_give(): others are written before their record, while the
 *     device has something to do anyway;
 *   - it has landed before the group that names it is durable, before a superblock is written that a tree with it belongs to, and before anybody
 *     reads it: who comes there first reaps it;
 *   - one that could not be written is named by a record, and a tree, already: so the log fails, for good, and so do checkpoints, and who reads
 *     it gets that error.
 * late.lock comes after all others, and is held while the device writes; who takes a value may hold no lock. */
#ifndef TARN_STORE_LATE_H
#define TARN_STORE_LATE_H

#include "internal.h"

bool late_take(struct store *s); /* false: there is one already, or it has no queue */
/* Its one piece, whose checksum is filled in, from memory that does not change until late_give(). */
void late_start(struct store *s, struct bptr *piece, const void *from);
void late_own(struct store *s, void *owned); /* freed then; may be NULL */
int  late_land(struct store *s);	     /* waits for it. 0, or why it could not be written */
/* The same; its memory is its owner's again. named: a tree refers to it. One that does, and could not be written, stays the last. */
void late_give(struct store *s, bool named);

/* For who is going to read a piece: it is not on its way any more, or could not be written, which is the error. */
static inline int late_await(struct store *s, const struct bptr *piece)
{
	return atomic_load_explicit(&s->late.block, memory_order_acquire) == piece->addr ? late_land(s) : 0;
}

#endif
