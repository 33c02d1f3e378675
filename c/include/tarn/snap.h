/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/snap.h: snapshots: a container as it was at one instant, kept and readable until it is destroyed.
 *
 * A snapshot has an epoch, a number that grows with every change in the pool and is its own, and may have a name. It holds all that
 * had been applied to the container when it was taken, of relaxed containers too, and nothing later. Taking one costs the same whatever
 * the container holds, and so does each change after it, whatever the number of snapshots; the space of what is changed or deleted comes
 * back when the last snapshot that holds it is destroyed. Snapshots are durable when the call's result is here, and go with their
 * container. A container may have as many as there is space for.
 *
 * Strings and memory are lent for the call, out-parameters until the result has arrived; infos are the caller's. All calls but
 * tarn_snap_list() and tarn_cont_open_snap() need a handle that may change the container: else EP_RO. Every call can fail with NO_HDL,
 * IO, CSUM, NOMEM; the changes with NOSPACE and EP_RO (the pool is read-only after a device failed). */
#ifndef TARN_SNAP_H
#define TARN_SNAP_H

#include <tarn/cont.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes a snapshot. name, 1 to TARN_LABEL_MAX bytes as in a label, is unique among the container's snapshots; NULL: it has none.
 * epoch may be NULL. Errors: EXIST (the name is taken), INVAL (the name). */
TARN_API int tarn_snap_create(tarn_cont *cont, const char *name, uint64_t *epoch, tarn_event *ev);

typedef struct tarn_snap_info {
	uint64_t epoch;
	uint64_t created_ns;		   /* since 1970, UTC */
	char	 name[TARN_LABEL_MAX + 1]; /* "": it has none */
} tarn_snap_info;

/* Lists the container's snapshots in the order of their epochs: *count is the room in infos, then the number there is. infos NULL:
 * count only. TRUNC when the room is too small. */
TARN_API int tarn_snap_list(tarn_cont *cont, tarn_snap_info *infos, size_t *count, tarn_event *ev);

/* Destroys the snapshot of that epoch. Its space is given back little by little, later. Errors: NONEXIST, BUSY (it is open). */
TARN_API int tarn_snap_destroy(tarn_cont *cont, uint64_t epoch, tarn_event *ev);

/* Opens a snapshot of a container: the one of that name, or, when name is NULL, of that epoch (else epoch is 0). What comes back is a
 * read-only handle of the container as it was: its objects are listed, opened, read, listed and counted as ever, and every change is
 * EP_RO. The caller closes it with tarn_cont_close(). Errors: CONT_NONEXIST, NONEXIST, INVAL. */
TARN_API int tarn_cont_open_snap(tarn_pool *pool, const char *label_or_uuid, uint64_t epoch, const char *name, tarn_cont **cont,
				 tarn_event *ev);

#ifdef __cplusplus
}
#endif
#endif
