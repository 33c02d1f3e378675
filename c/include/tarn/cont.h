/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/cont.h: containers, private object namespaces in a pool.
 *
 * Handles are safe for concurrent use; the caller keeps a container open while its objects are. */
#ifndef TARN_CONT_H
#define TARN_CONT_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* DAOS's layout types and their numbers. KV is Tarn's own. */
typedef enum tarn_cont_type {
	TARN_CONT_UNKNOWN = 0,
	TARN_CONT_POSIX	  = 1,
	TARN_CONT_HDF5	  = 2,
	TARN_CONT_PYTHON  = 3,
	TARN_CONT_KV	  = 100,
} tarn_cont_type;

/* Typed properties. A property that was never set has its default. */
typedef enum tarn_prop_id {
	TARN_PROP_OWNER	      = 1, /* string; default: the creating user's name */
	TARN_PROP_DESCRIPTION = 2, /* string of at most 1023 bytes; default "" */
	TARN_PROP_VALUE_MAX   = 3, /* number: largest value in bytes, enforced with REC2BIG; default TARN_VALUE_MAX */
	TARN_PROP_DURABILITY  = 4, /* number: a tarn_durability; default TARN_DURABILITY_DURABLE */
	TARN_PROP_GROUP	      = 5, /* string: the owner's group; default "" */
} tarn_prop_id;

/* When a change of a container's objects is acknowledged: when it is durable, or (RELAXED) when it is applied. Then it is durable at
 * the latest TARN_RELAXED_MS later, or when tarn_cont_sync() has returned 0: a crash may lose acknowledged changes of that time, in
 * order (no later one survives an earlier one's loss), and each whole. There is one order in a pool: whatever is durable, all that was
 * applied before it is too. When more than 16 MiB have gathered, a change waits for the log. When the log cannot be written, the pool is
 * read-only: the next change (EP_RO), tarn_cont_sync() and the pool's last close say so. */
typedef enum tarn_durability {
	TARN_DURABILITY_DURABLE = 0,
	TARN_DURABILITY_RELAXED = 1,
} tarn_durability;

#define TARN_RELAXED_MS 100

typedef struct tarn_prop {
	tarn_prop_id id;
	uint64_t     number; /* of a number property */
	const char  *string; /* of a string property */
} tarn_prop;

/* Makes a container. props are copied; nprops may be 0; uuid may be NULL. Errors: EXIST (label taken), INVAL (label, property),
 * NOSPACE, EP_RO, IO. */
TARN_API int tarn_cont_create(tarn_pool *pool, const char *label, tarn_cont_type type, const tarn_prop *props, size_t nprops,
			      tarn_uuid *uuid, tarn_event *ev);

#define TARN_CONT_RDONLY 1u

/* Errors: CONT_NONEXIST, CONT_DESTROYING. */
TARN_API int tarn_cont_open(tarn_pool *pool, const char *label_or_uuid, unsigned flags, tarn_cont **cont, tarn_event *ev);

/* BUSY while an object of it is open. */
TARN_API int tarn_cont_close(tarn_cont *cont);

typedef struct tarn_cont_info {
	tarn_uuid	uuid;
	char		label[TARN_LABEL_MAX + 1];
	tarn_cont_type	type;
	uint32_t	open_handles; /* of it and of its snapshots */
	uint64_t	created_ns;   /* since 1970, UTC */
	uint64_t	objects;      /* number of them */
	uint64_t	value_max;
	char		owner[256];
	char		description[1024];
	tarn_durability durability;
	uint64_t	snapshots; /* number of them */
	uint64_t	epoch;	   /* of the snapshot that the handle is of; 0: the container as it is */
	char		group[256];
} tarn_cont_info;

TARN_API int tarn_cont_query(tarn_cont *cont, tarn_cont_info *info, tarn_event *ev);

/* Lists the containers of a pool in the order of their labels: *count is the room in infos, then the number there is. infos NULL:
 * count only. TRUNC when the room is too small. */
TARN_API int tarn_cont_list(tarn_pool *pool, tarn_cont_info *infos, size_t *count, tarn_event *ev);

/* Sets properties, all or none. Errors: INVAL, EP_RO. */
TARN_API int tarn_cont_set_props(tarn_cont *cont, const tarn_prop *props, size_t nprops, tarn_event *ev);

/* Waits until all changes that were acknowledged before, of any container of the pool, are durable. Does nothing for what is
 * durable anyway. Errors: EP_RO, IO (the log has failed). */
TARN_API int tarn_cont_sync(tarn_cont *cont, tarn_event *ev);

/* Destroys a container with all its objects and snapshots. Errors: CONT_NONEXIST, BUSY (it or a snapshot of it is open; or it holds
 * objects or snapshots and flags lacks TARN_DESTROY_FORCE). */
TARN_API int tarn_cont_destroy(tarn_pool *pool, const char *label_or_uuid, unsigned flags, tarn_event *ev);

typedef struct tarn_object_info {
	char	 name[TARN_OBJECT_NAME_MAX + 1];
	uint64_t oid_hi, oid_lo; /* its id in the container */
	uint32_t type;		 /* DAOS's object type; KV_LEXICAL is 10 */
} tarn_object_info;

/* Lists named objects in the order of their names, those after `after` (NULL: from the first): *count is the room in infos, then
 * the number filled; fewer than the room means that there are no more. */
TARN_API int tarn_object_list(tarn_cont *cont, const char *after, tarn_object_info *infos, size_t *count, tarn_event *ev);

/* Makes a named KV object. EXIST when the name is taken. */
TARN_API int tarn_object_create(tarn_cont *cont, const char *name, tarn_event *ev);

/* NONEXIST when there is none of that name. */
TARN_API int tarn_object_query(tarn_cont *cont, const char *name, tarn_object_info *info, tarn_event *ev);

/* Gives a named object another name, at one moment: there is never none, and never two. Handles and watches that are open go on with the
 * object; their errors name it as it was opened. A snapshot keeps the name of its time. Errors: NONEXIST; EXIST when the new name is
 * taken (its own is); INVAL (a name), EP_RO, NOSPACE. */
TARN_API int tarn_object_rename(tarn_cont *cont, const char *name, const char *to, tarn_event *ev);

/* Removes a named object with all its keys. NONEXIST; BUSY while it is open. */
TARN_API int tarn_object_destroy(tarn_cont *cont, const char *name, tarn_event *ev);

#ifdef __cplusplus
}
#endif
#endif
