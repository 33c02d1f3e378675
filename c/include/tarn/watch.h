/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/watch.h: what changes in a key-value object, as it changes.
 *
 * A watch shows each change of the object's keys once, in the order in which they were made, from a revision on. It shows what is durable, so
 * never what a crash takes back; a change that was acknowledged before it was durable (TARN_DURABILITY_RELAXED) comes when it is. Changes
 * of one revision were made as one: by a batch. A deletion is shown also when the key was not there; a range that is deleted is many
 * deletions, in several batches. When the object is destroyed come the deletions of its keys, then NONEXIST.
 *
 * The pool's log is all that is kept: about tarn_pool_info.log_bytes of the newest changes, also after the pool was closed and opened again.
 * Who asks for what has been overwritten, or has fallen so far behind, gets EP_OLD: read the object anew, and watch from there. A watch
 * that nobody reads costs nothing.
 *
 * Calls, events, errors and handles as in tarn/kv.h. One call of a watch runs at a time: else BUSY. Every call can fail with IO, CSUM,
 * NOMEM, NO_HDL. */
#ifndef TARN_WATCH_H
#define TARN_WATCH_H

#include <tarn/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tarn_changes {
	uint32_t count; /* changes in the buffer */
	uint32_t more;	/* 1: there is more already */
	size_t	 used;	/* bytes of the buffer; of one that was too small for a value (REC2BIG): how many hold the next change */
	uint64_t
		revision; /* all changes up to this one have been returned; those in the buffer with a later one are a part of their batch */
	uint64_t oldest;   /* the oldest revision that can be asked for now */
	uint64_t latest;   /* the last that is durable now */
	uint64_t position; /* so many changes of revision + 1 have been returned, or left out: see tarn_watch_skip() */
} tarn_changes;

#define TARN_WATCH_KEYS_ONLY 1u /* values are left out */

/* Watches keys that begin with prefix (copied; empty: all), from revision `start` on (0: from now on). To go on where an earlier watch
 * was, start = its tarn_changes.revision + 1, and when that was in the middle of a batch tarn_watch_skip(). *now (NULL is fine) says
 * where the watch begins: revision is start - 1. The watch keeps the pool open, not the object. The first watch since the pool was opened reads
 * the log once. Errors: EP_OLD (start is gone, or before the object was made: now->oldest can be asked for); OVERFLOW (start is in the
 * future: it is of another pool, or of one that was restored since); NOTSUPPORTED (a snapshot does not change); KEY2BIG; INVAL (flags). */
TARN_API int tarn_watch_open(tarn_kv *kv, uint64_t start, tarn_buf prefix, unsigned flags, tarn_changes *now, tarn_watch **watch,
			     tarn_event *ev);

/* Puts the next changes into buf (8-byte aligned, cap bytes), as entries of tarn_kv_list() with TARN_ENTRY_DELETED for a deletion. Does
 * not wait for changes: out->count is 0 when none has been made, or when it has looked far without finding one. A value is left out
 * (TARN_ENTRY_OMITTED) when it does not fit into the buffer, or is longer than the pool keeps in its log, half a node, at most 16,383
 * bytes; tarn_watch_values() changes that. buf and out are lent until the result has arrived. Errors: EP_OLD (out->oldest can be asked for);
 * NONEXIST (the object was destroyed); KEY2BIG (cap is too small for a key: TARN_KEY_MAX + 32 always holds one); REC2BIG (after
 * tarn_watch_values(): cap is too small for the next change, out->used is not: call again with so many); BUSY. */
TARN_API int tarn_watch_next(tarn_watch *watch, void *buf, size_t cap, tarn_changes *out, tarn_event *ev);

#define TARN_ENTRY_DELETED 2u /* of a tarn_entry: the key was removed */
#define TARN_ENTRY_GONE	   4u /* of one with TARN_ENTRY_OMITTED: the value can no longer be had, or is damaged */

/* From the next tarn_watch_next() on, values of up to max bytes are returned whole, and longer ones left out. 0, as in the beginning: what
 * the log has and the buffer holds. The log only says where a value longer than half a node lies. Its space is used again some time after
 * the key got another value or was removed: then the change has TARN_ENTRY_GONE, and never another value than its own. The value that the
 * key still has is always there. Does not wait. Errors: BUSY. */
TARN_API int tarn_watch_values(tarn_watch *watch, uint64_t max);

/* Of the first batch that comes, leaves out the first n changes (all, if it has no more): they have been returned by an earlier watch, with the
 * same prefix, whose last tarn_changes.position was n. Before the first tarn_watch_next(). Does not wait. Errors: BUSY; INVAL (changes have
 * been returned already). */
TARN_API int tarn_watch_skip(tarn_watch *watch, uint64_t n);

/* Waits until something was changed in the pool after what the last tarn_watch_next() has looked at: perhaps not in this object.
 * tarn_event_abort() ends the wait with CANCELED at any moment. Errors: BUSY; that of the log, when it has failed. */
TARN_API int tarn_watch_wait(tarn_watch *watch, tarn_event *ev);

/* Frees the watch. Does not wait. Errors: BUSY (a call of it is running: it is not freed). */
TARN_API int tarn_watch_close(tarn_watch *watch);

#ifdef __cplusplus
}
#endif
#endif
