/* SPDX-License-Identifier: Apache-2.0 */
/* pool/pool.h: pools: where they are, what they consist of, and which of them this process has open.
 *
 * Always true: a pool's identity is its UUID; a label is the name of the file or link ROOT/<label>.pool, or of a listed device, and
 * is believed only when the pool itself bears it. A pool is open once in a process, whatever the number of handles: struct pool
 * is shared and counted. Whoever changes the names in a root directory holds a lock on that directory (flock). */
#ifndef TARN_POOL_INTERNAL_H
#define TARN_POOL_INTERNAL_H

#include "../driver/driver.h"
#include <tarn/pool.h>

#define POOL_SUFFIX   ".pool"
#define POOL_PATH_MAX sizeof(((tarn_pool_info *)0)->path)

#define POOL_ROOT_MAX 378 /* bytes of the root directory's path: a label of any length fits behind it */

/* The pool map as it is in memory. One target is all that this version opens. */
struct pool_map {
	uint32_t version;
	uint32_t targets;
};

/* What the pool's record says (PoolMeta in pool.proto). */
struct pool_meta {
	tarn_uuid	uuid;
	char		label[TARN_LABEL_MAX + 1];
	uint64_t	created_ns;
	struct pool_map map;
	tarn_uuid	request; /* of its creation; all zero: none */
};

/* Encodes the record of a new pool of one target into buf[STORE_META_MAX]; its length. */
size_t meta_encode(const struct pool_meta *meta, const tarn_uuid *target, uint64_t size, uint8_t *buf);
int    meta_decode(const void *buf, size_t len, struct pool_meta *meta); /* DF_INVAL, NOMEM */

/* Where pools are looked for. */
struct places {
	char  *root; /* absolute */
	char **devices;
	size_t ndevices;
};

/* A pool that was found, and not opened. */
struct found {
	char		      name[POOL_PATH_MAX]; /* of a file or a link in the root; "" of a listed device */
	char		      uri[POOL_PATH_MAX];  /* of its device; a path without symbolic links when it has a name */
	struct store_identity identity;
	struct pool_meta      meta;
};

int  places_open(const char *root, const char *const *devices, size_t ndevices, struct places *places);
void places_close(struct places *places);

/* Path of the file of a label, into path[POOL_PATH_MAX]. */
void places_path(const struct places *places, const char *label, char *path);

/* Locks the root directory against other changes of its names; the descriptor to close, or an error. */
int  places_lock(const struct places *places);
void places_unlock(int lock, bool changed); /* and the names that changed are durable */

/* Finds a pool by label or UUID, devices after the root. NONEXIST; ID_MISMATCH (the label's file holds another pool); what
 * store_probe() says of the label's file. */
int find_pool(const struct places *places, const char *name, struct found *found);

/* Every pool that can be read, in the order of their labels, each UUID once. The others are logged and counted. */
struct found_list {
	struct found *pools;
	size_t	      n;
	unsigned      unreadable;
	char	      why[TARN_MESSAGE_MAX]; /* of the first of those */
};
int  find_all(const struct places *places, struct found_list *list);
void found_list_free(struct found_list *list);

/* INVAL unless it is a label, with a sentence that says what is wrong. what: "pool", "container". */
int label_check(const char *what, const char *label);

struct container; /* of the layer above */

struct pool {
	/* Under the registry's lock: */
	struct pool *next;
	unsigned     refs;
	bool	     ready; /* false while a thread opens or closes it */

	/* Fixed while it is open. */
	char		 uri[POOL_PATH_MAX];
	struct pool_meta meta;
	uint64_t	 cache_bytes;
	struct driver	*driver;

	/* The catalogue of containers and the list of those that are open. */
	pthread_mutex_t	  lock;
	struct container *containers;
};

/* Opens, or shares what this process has open. Any thread. cache_bytes counts for the first only. */
int pool_open(const struct places *places, const char *name, uint64_t cache_bytes, struct pool **pool);
int pool_close(struct pool *pool); /* the last one closes the store; its result */

bool pool_is_shared(struct pool *pool); /* there are other references */

/* op: ends early with CANCELED when that is asked to; may be NULL, as uuid. */
int pool_create(const struct places *places, const char *label, const tarn_pool_params *params, const struct op *op,
		tarn_uuid *uuid);

/* Removes a pool that nobody has open: BUSY. */
int pool_erase(const struct places *places, const char *name);

/* Everything but the number of containers. */
void pool_fill_info(struct pool *pool, tarn_pool_info *info);
void found_fill_info(const struct found *found, tarn_pool_info *info);

#endif
