/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/pool.h: systems and pools.
 *
 * A system is where pools are found: a root directory and, if given, devices. A pool is a set of targets (one, in this version)
 * under a versioned map; it has a UUID and a label. One process at a time holds a pool; a second open is refused with BUSY.
 * Handles are safe for concurrent use; the caller keeps a parent open while its children are. */
#ifndef TARN_POOL_H
#define TARN_POOL_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opens the system of a root directory, and of ndevices devices (URIs or paths) beside it. root NULL means $TARN_ROOT, else
 * $XDG_DATA_HOME/tarn, else ~/.local/share/tarn; the directory is made (0700) when it is missing. Does not wait for devices.
 * Errors: BADPATH, NOTDIR, NO_PERM, NOMEM. */
TARN_API int tarn_system_open(const char *root, const char *const *devices, size_t ndevices, tarn_system **sys);

/* BUSY while a pool of it is open. */
TARN_API int tarn_system_close(tarn_system *sys);

/* The root directory; the system's memory. */
TARN_API const char *tarn_system_root(const tarn_system *sys);

typedef struct tarn_pool_params {
	size_t	    struct_size; /* sizeof(tarn_pool_params) */
	uint64_t    size;	 /* bytes; for a device 0 means all of it; else at least TARN_POOL_SIZE_MIN */
	const char *device;	 /* URI or path of the first target; NULL: a file in the root directory */
	uint64_t
		log_bytes; /* size of the write-ahead log; 0: 1/16 of the first GiB of the pool and 1/4 of the rest, 256 KiB to 1 GiB */
	uint32_t  node_bytes; /* target size of a tree node; 0: 4 KiB */
	uint32_t  flags;      /* TARN_POOL_OVERWRITE, TARN_POOL_ZEROED */
	tarn_uuid request;    /* the creation's own id, which the pool keeps for ever (tarn_pool_info); all zero: none */
	/* ZEROED: bytes written, and to write. Called on the thread that writes them, before the call completes; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t all);
	void *arg;
} tarn_pool_params;

#define TARN_POOL_OVERWRITE 1u /* format a device although it holds something: without it EXIST */
/* Write all of it with zeros first. A file system notes for each of a file's blocks that it has been written, and until then a durable write into it
 * waits for its journal, too; so does many a virtual disk. It takes as long as the device takes to write `size` bytes, and no other pool of the same
 * root is made or destroyed meanwhile. An abort of the event ends it. */
#define TARN_POOL_ZEROED 2u

/* Makes a pool and closes it again. uuid may be NULL. Errors: EXIST (label taken, or the device holds data), INVAL (label, size),
 * NOSPACE, BUSY, IO, NO_PERM, CANCELED. */
TARN_API int tarn_pool_create(tarn_system *sys, const char *label, const tarn_pool_params *params, tarn_uuid *uuid,
			      tarn_event *ev);

typedef struct tarn_pool_options {
	size_t	 struct_size; /* sizeof(tarn_pool_options) */
	uint64_t cache_bytes; /* memory for cached and dirty pages; 0: 256 MiB; at least 1 MiB */
	uint32_t flags;	      /* TARN_POOL_RDONLY */
} tarn_pool_options;

#define TARN_POOL_RDONLY 1u /* every change through this handle is refused with EP_RO */

/* Opens a pool by label or UUID and recovers it. options may be NULL. The same pool may be opened again by the process that
 * holds it: the handles share it. Errors: NONEXIST, BUSY (names the holder), DF_INVAL, DF_INCOMPT, CSUM, IO, NOMEM. */
TARN_API int tarn_pool_open(tarn_system *sys, const char *label_or_uuid, const tarn_pool_options *options, tarn_pool **pool,
			    tarn_event *ev);

/* BUSY while a container of it is open. The last close of a pool writes a checkpoint and waits for it; its error is returned,
 * and the handle is gone in any case but BUSY. */
TARN_API int tarn_pool_close(tarn_pool *pool);

typedef struct tarn_pool_info {
	tarn_uuid uuid;
	char	  label[TARN_LABEL_MAX + 1];
	char	  path[512];	    /* of the first target */
	uint32_t  targets;	    /* in the pool map */
	uint32_t  map_version;	    /* of the pool map */
	uint32_t  format_version;   /* on disk */
	uint32_t  readonly;	    /* 1: a device failed, and nothing is written until the pool is opened again */
	uint64_t  total_bytes;	    /* of all targets */
	uint64_t  free_bytes;	    /* for new data */
	uint64_t  log_bytes;	    /* of the write-ahead log */
	uint64_t  log_used_bytes;   /* since the last checkpoint */
	uint64_t  cache_bytes;	    /* the budget; 0 when listed */
	uint64_t  cache_used_bytes; /* of the budget */
	uint64_t  generation;	    /* of the last checkpoint */
	uint64_t  containers;	    /* number of them; 0 when listed */
	tarn_uuid request;	    /* of its creation: by this a caller knows whether that was its own; all zero: none */
} tarn_pool_info;

/* Errors: IO, CSUM. */
TARN_API int tarn_pool_query(tarn_pool *pool, tarn_pool_info *info, tarn_event *ev);

/* Lists the pools of a system in the order of their labels: *count is the room in infos, then the number there is. A pool that
 * cannot be read is left out, and logged. infos NULL: count only. TRUNC when the room is too small. */
TARN_API int tarn_pool_list(tarn_system *sys, tarn_pool_info *infos, size_t *count, tarn_event *ev);

#define TARN_DESTROY_FORCE 1u /* also what still holds containers */

/* Errors: NONEXIST, BUSY (open, or it holds containers and flags lacks FORCE). A file is removed, a device's superblocks are
 * overwritten. */
TARN_API int tarn_pool_destroy(tarn_system *sys, const char *label_or_uuid, unsigned flags, tarn_event *ev);

/* Waits until everything acknowledged or applied so far is durable. Errors: IO. */
TARN_API int tarn_pool_sync(tarn_pool *pool, tarn_event *ev);

/* Writes a checkpoint, so that the log is empty and the next open replays nothing. Errors: IO, NOSPACE, EP_RO. */
TARN_API int tarn_pool_checkpoint(tarn_pool *pool, tarn_event *ev);

/* A piece of damage. Its memory is the library's, and lent for the call of found(). */
typedef struct tarn_finding {
	const char *what;		  /* a sentence */
	uint64_t    offset, length;	  /* in bytes, on the target; length 0: it is not at one place */
	const char *container;		  /* whose it is; "": of the pool itself, or not known */
	uint64_t    epoch;		  /* of a snapshot that has it; 0: the container as it is has */
	const char *object, *last_object; /* the objects that have lost keys, the first and the last in order; "": not known */
	tarn_buf    low, high;		  /* their keys: low <= key < high; an empty one does not bound. When it is one object */
} tarn_finding;

/* found() and progress() are called on a thread of the library or of the caller's, one at a time, before the result arrives; either may
 * be NULL. They call nothing of the library. */
typedef struct tarn_check_options {
	size_t	 struct_size;	   /* sizeof(tarn_check_options) */
	uint64_t bytes_per_second; /* of a scrub; 0: as fast as the device reads */
	void	*arg;
	void (*found)(void *arg, const tarn_finding *finding);
	void (*progress)(void *arg, uint64_t done, uint64_t all); /* bytes read so far, and about how many there are */
} tarn_check_options;

typedef struct tarn_check_result {
	uint64_t bytes;	   /* read and verified */
	uint64_t findings; /* all of them, also those that found() was not told of: it hears of 1,000 */
} tarn_check_result;

/* Reads and verifies everything the pool refers to: structure, order, checksums, snapshots, and the space map against one computed
 * anew. Reads go on meanwhile; changes do until the log is full. options and result may be NULL. CSUM when there is a finding, with the
 * first as its sentence; each is logged, too. tarn_event_abort() ends it early: CANCELED. A pool that is read-only after a device failed
 * is checked as its last checkpoint has left it, and the result is then EP_RO at best. Errors also: IO, NOMEM, NOSPACE. */
TARN_API int tarn_pool_check(tarn_pool *pool, const tarn_check_options *options, tarn_check_result *result, tarn_event *ev);

/* Reads everything the pool refers to, and compares it with its checksums, beside other calls: what snapshots share only once, and not
 * faster than bytes_per_second. A finding of a snapshot may be of the container as it is, too. Otherwise as tarn_pool_check(). */
TARN_API int tarn_pool_scrub(tarn_pool *pool, const tarn_check_options *options, tarn_check_result *result, tarn_event *ev);

#ifdef __cplusplus
}
#endif
#endif
