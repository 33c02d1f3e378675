/* SPDX-License-Identifier: Apache-2.0 */
/* container/container.h: the containers of a pool: the catalogue on disk, and those that are open.
 *
 * The catalogue is tree 1 of the store:
 *
 *	key		value
 *	'u' uuid[16]	ContainerRecord (container.proto)
 *	'l' label	the uuid
 *	'n'		the next tree, 8 bytes, little-endian; from 16, never used again
 *	'a' uuid	AccessRecord (access.proto) of a container; 'a' alone: that of the pool
 *	't' name	the value of a user attribute of the pool (attr.h)
 *	's' uuid name	SnapshotRecord; without a name: a zero byte and 8 random ones. The key's revision is the epoch
 *
 * Always true: a record, its label and its tree come and go in one batch, and so do a snapshot and its record. Changes of the
 * catalogue and of the list of open containers are made under pool->lock. struct container is shared by all handles of one container, or
 * of one snapshot of it; its fields change under pool->lock, and those that every put looks at are atomic. */
#ifndef TARN_CONTAINER_H
#define TARN_CONTAINER_H

#include "../pool/pool.h"
#include <tarn/acl.h>
#include <tarn/snap.h>

#define CATALOG_TREE 1u
#define CATALOG	     ((struct store_at){ .tree = CATALOG_TREE })
#define TREE_FIRST   16u

#define ROOT_ATTRS 4 /* in a container's tree, lo of the id {0, 4} whose keys are its user attributes */

#define OWNER_SIZE	 sizeof(((tarn_cont_info *)0)->owner)
#define DESCRIPTION_SIZE sizeof(((tarn_cont_info *)0)->description)

struct props {
	char	 owner[OWNER_SIZE];
	char	 group[OWNER_SIZE];
	char	 description[DESCRIPTION_SIZE];
	uint64_t value_max; /* 0: never set */
	uint32_t durability;
};

/* ContainerRecord, in memory. */
struct record {
	tarn_uuid      uuid;
	char	       label[TARN_LABEL_MAX + 1];
	tarn_cont_type type;
	uint64_t       tree;
	uint64_t       created_ns;
	struct props   props;
};

#define RECORD_MAX 2048 /* bytes of an encoded record */

size_t record_encode(const struct record *record, uint8_t *buf); /* into RECORD_MAX bytes; its length */
int    record_decode(const void *buf, size_t len, struct record *record);

/* Typed properties, checked and copied. `set` tells which. */
struct prop_change {
	unsigned     set; /* bit (1 << tarn_prop_id) */
	struct props props;
};
int  props_check(const tarn_prop *props, size_t n, struct prop_change *change); /* INVAL */
void props_apply(struct props *props, const struct prop_change *change);

struct object; /* of the layer above */

struct container {
	/* Under pool->lock: */
	struct container *next;
	unsigned	  opens;
	struct record	  record;

	struct pool	*pool;
	uint64_t	 tree;
	uint64_t	 epoch; /* of a snapshot; 0: the container as it is */
	_Atomic uint64_t value_max;
	_Atomic bool	 relaxed;

	/* The object namespace's, under names. Taken after pool->lock, never before it. */
	pthread_mutex_t names;
	struct object  *objects;
	uint64_t	next_oid; /* 0: not read yet */
	bool		swept;	  /* what a crash left half-deleted is gone */
};

static inline struct store_at container_at(const struct container *container)
{
	return (struct store_at){ container->tree, container->epoch };
}

/* *lsn is what makes the change durable. EXIST, NOSPACE. uuid may be NULL. */
int container_create(struct pool *pool, const char *label, tarn_cont_type type, const struct prop_change *props, tarn_uuid *uuid,
		     uint64_t *lsn);

/* By label or UUID. CONT_NONEXIST. */
int  container_open(struct pool *pool, const char *name, struct container **container);
int  container_open_epoch(struct pool *pool, const struct record *record, uint64_t epoch, struct container **container); /* under
													      * pool->lock */
void container_close(struct container *container);

/* CONT_NONEXIST; BUSY (open, or it holds objects or snapshots, without force). */
int container_destroy(struct pool *pool, const char *name, bool force, uint64_t *lsn);

int container_set_props(struct container *container, const struct prop_change *props, uint64_t *lsn);

/* The numbers of objects and snapshots are the caller's to ask for. */
void container_fill_info(struct container *container, tarn_cont_info *info);

int container_count(struct pool *pool, uint64_t *count);

/* Visits the containers in the order of their labels, with their records and the number of open handles. */
typedef int (*container_visit)(const struct record *record, unsigned opens, void *arg);
int container_each(struct pool *pool, container_visit visit, void *arg);

void record_fill_info(const struct record *record, unsigned opens, tarn_cont_info *info);

/* Keys of the root namespace in a container's tree begin with 16 zero bytes (object/object.h); their number is that of the objects. */
int container_objects(struct pool *pool, struct store_at at, uint64_t *count);

/* Handles of a container and of its snapshots, or (epoch not 0) of one snapshot. Under pool->lock. */
unsigned container_opens(const struct pool *pool, const tarn_uuid *uuid, uint64_t epoch);

/* Who may use a pool, or (container not NULL) a container (tarn/acl.h). */
int access_get(struct pool *pool, struct container *container, tarn_access *access);			 /* TRUNC */
int access_overwrite(struct pool *pool, struct container *container, const char *acl, uint64_t *lsn);	 /* INVAL, NOTSUPPORTED */
int access_update(struct pool *pool, struct container *container, const char *acl, uint64_t *lsn);	 /* INVAL, NOTSUPPORTED */
int access_delete(struct pool *pool, struct container *container, const char *principal, uint64_t *lsn); /* NONEXIST, INVAL */
int access_set_owner(struct pool *pool, const char *user, const char *group, uint64_t *lsn);		 /* NULL stays. INVAL */

/* Snapshots (tarn/snap.h). */
int snapshot_create(struct container *container, const char *name, uint64_t *epoch, uint64_t *lsn); /* name NULL: none. EXIST */
int snapshot_list(struct container *container, tarn_snap_info *infos, size_t room, size_t *n);
int snapshot_count(struct pool *pool, const tarn_uuid *uuid, uint64_t *count);
int snapshot_destroy(struct container *container, uint64_t epoch, uint64_t *lsn); /* NONEXIST, BUSY */
/* By name, or when that is NULL by epoch. CONT_NONEXIST, NONEXIST. */
int snapshot_open(struct pool *pool, const char *container, uint64_t epoch, const char *name, struct container **out);
/* Ends a container with its snapshots. Under pool->lock. */
int snapshot_drop_all(struct pool *pool, const struct record *record, uint64_t *lsn);

#endif
