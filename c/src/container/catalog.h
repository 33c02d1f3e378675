/* SPDX-License-Identifier: Apache-2.0 */
/* container/catalog.h: the catalogue's keys and records. Who changes them holds pool->lock. */
#ifndef TARN_CATALOG_H
#define TARN_CATALOG_H

#include "container.h"

#define CATALOG_KEY_MAX (1 + sizeof(tarn_uuid) + TARN_LABEL_MAX)

struct catalog_key {
	uint8_t bytes[CATALOG_KEY_MAX];
	size_t	len;
};
static inline tarn_buf key_buf(const struct catalog_key *key)
{
	return (tarn_buf){ key->bytes, key->len };
}

struct catalog_key key_of_uuid(const tarn_uuid *uuid);
struct catalog_key key_of_label(const char *label);
struct catalog_key key_of_access(const tarn_uuid *uuid); /* NULL: of the pool */
struct catalog_key key_of_next_tree(void);
struct catalog_key key_of_snapshot(const tarn_uuid *uuid, const void *name, size_t len);

int catalog_get(struct pool *pool, struct catalog_key key, void *buf, size_t *len, uint64_t *rev);
int catalog_by_uuid(struct pool *pool, const tarn_uuid *uuid, struct record *record); /* CONT_NONEXIST */
int catalog_find(struct pool *pool, const char *name, struct record *record);	      /* by label or UUID; CONT_NONEXIST, INVAL */
int catalog_next_tree(struct pool *pool, uint64_t *tree);

#endif
