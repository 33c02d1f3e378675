/* SPDX-License-Identifier: Apache-2.0 */
/* container/container.h: the containers of a pool: the catalogue on disk, and those that are open.
 *
 * The catalogue is tree 1 of the store:
 *
 *	key		value
 *	'u' uuid[16]	ContainerRecord (container.proto)
 *	'l' label	the uuid
 *	'n'		the next tree, 8 bytes, little-endian; from 16, never used again
 *
 * Always true: a record, its label and its tree come and go in one batch. Changes of the catalogue and of the list of open containers
 * are made under pool->lock. struct container is shared by all handles of one container; its fields change under pool->lock, and
 * value_max, which every put looks at, is atomic. */
#ifndef TARN_CONTAINER_H
#define TARN_CONTAINER_H

#include "../pool/pool.h"
#include <tarn/cont.h>

#define CATALOG_TREE 1u
#define TREE_FIRST   16u

#define OWNER_SIZE	 sizeof(((tarn_cont_info *)0)->owner)
#define DESCRIPTION_SIZE sizeof(((tarn_cont_info *)0)->description)

struct props {
	char	 owner[OWNER_SIZE];
	char	 description[DESCRIPTION_SIZE];
	uint64_t value_max; /* 0: never set */
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
	_Atomic uint64_t value_max;

	/* The object namespace's, under names. Taken after pool->lock, never before it. */
	pthread_mutex_t names;
	struct object  *objects;
	uint64_t	next_oid; /* 0: not read yet */
	bool		swept;	  /* what a crash left half-deleted is gone */
};

/* *lsn is what makes the change durable. EXIST, NOSPACE. uuid may be NULL. */
int container_create(struct pool *pool, const char *label, tarn_cont_type type, const struct prop_change *props, tarn_uuid *uuid,
		     uint64_t *lsn);

/* By label or UUID. CONT_NONEXIST. */
int  container_open(struct pool *pool, const char *name, struct container **container);
void container_close(struct container *container);

/* CONT_NONEXIST; BUSY (open, or not empty without force). */
int container_destroy(struct pool *pool, const char *name, bool force, uint64_t *lsn);

int container_set_props(struct container *container, const struct prop_change *props, uint64_t *lsn);

/* The number of objects is the layer above's. */
void container_fill_info(struct container *container, tarn_cont_info *info);

int container_count(struct pool *pool, uint64_t *count);

/* Visits the containers in the order of their labels, with their records and the number of open handles. */
typedef int (*container_visit)(const struct record *record, unsigned opens, void *arg);
int container_each(struct pool *pool, container_visit visit, void *arg);

void record_fill_info(const struct record *record, unsigned opens, tarn_cont_info *info);

/* Keys of the root namespace in a container's tree begin with 16 zero bytes (object/object.h); their number is that of the objects. */
int container_objects(struct pool *pool, uint64_t tree, uint64_t *count);

#endif
