/* SPDX-License-Identifier: Apache-2.0 */
/* container/catalog.c: reading the catalogue. Its keys are drawn in container.h. */
#include "catalog.h"
#include <stdlib.h>

static struct catalog_key make_key(char kind, const void *rest, size_t len)
{
	struct catalog_key key = { .len = 1 + len };

	key.bytes[0] = (uint8_t)kind;
	if (len)
		memcpy(key.bytes + 1, rest, len);
	return key;
}

struct catalog_key key_of_uuid(const tarn_uuid *uuid)
{
	return make_key('u', uuid->bytes, sizeof(uuid->bytes));
}

struct catalog_key key_of_label(const char *label)
{
	return make_key('l', label, strlen(label));
}

struct catalog_key key_of_access(const tarn_uuid *uuid)
{
	return make_key('a', uuid, uuid ? sizeof(uuid->bytes) : 0);
}

struct catalog_key key_of_next_tree(void)
{
	return make_key('n', NULL, 0);
}

struct catalog_key key_of_snapshot(const tarn_uuid *uuid, const void *name, size_t len)
{
	struct catalog_key key = make_key('s', uuid->bytes, sizeof(uuid->bytes));

	if (len)
		memcpy(key.bytes + key.len, name, len);
	key.len += len;
	return key;
}

int catalog_get(struct pool *pool, struct catalog_key key, void *buf, size_t *len, uint64_t *rev)
{
	return pool->driver->ops->get(pool->driver, CATALOG, key_buf(&key), buf, len, rev, 0);
}

int catalog_by_uuid(struct pool *pool, const tarn_uuid *uuid, struct record *record)
{
	uint8_t buf[RECORD_MAX];
	size_t	len = sizeof(buf);
	char	text[37];
	int	rc = catalog_get(pool, key_of_uuid(uuid), buf, &len, NULL);

	if (rc == 0)
		return record_decode(buf, len, record);
	if (rc != -TARN_E_NONEXIST)
		return rc;
	tarn_uuid_format(uuid, text);
	return fail(CONT_NONEXIST, "there is no container %s in pool %s", text, pool->meta.label);
}

static int uuid_of_label(struct pool *pool, const char *label, tarn_uuid *uuid)
{
	size_t len = sizeof(uuid->bytes);
	int    rc  = catalog_get(pool, key_of_label(label), uuid->bytes, &len, NULL);

	if (rc == -TARN_E_NONEXIST)
		return fail(CONT_NONEXIST, "there is no container %s in pool %s", label, pool->meta.label);
	if (rc == 0 && len != sizeof(uuid->bytes))
		return fail(DF_INVAL, "the catalogue of pool %s has %zu bytes where the UUID of container %s should be",
			    pool->meta.label, len, label);
	return rc;
}

int catalog_find(struct pool *pool, const char *name, struct record *record)
{
	tarn_uuid uuid;
	int	  rc;

	if (name && tarn_uuid_parse(name, &uuid) == 0)
		return catalog_by_uuid(pool, &uuid, record);
	rc = label_check("container", name);
	if (rc == 0)
		rc = uuid_of_label(pool, name, &uuid);
	return rc ? rc : catalog_by_uuid(pool, &uuid, record);
}

int catalog_next_tree(struct pool *pool, uint64_t *tree)
{
	uint8_t buf[8];
	size_t	len = sizeof(buf);
	int	rc  = catalog_get(pool, key_of_next_tree(), buf, &len, NULL);

	if (rc == -TARN_E_NONEXIST) {
		*tree = TREE_FIRST;
		return 0;
	}
	if (rc == 0 && len != sizeof(buf))
		return fail(DF_INVAL, "the catalogue of pool %s has a counter of %zu bytes", pool->meta.label, len);
	*tree = rc ? 0 : get64(buf);
	return rc;
}

static const struct store_range labels = { .start = { "l", 1 }, .end = { "m", 1 }, .strip = 1 };

int container_count(struct pool *pool, uint64_t *count)
{
	return pool->driver->ops->count(pool->driver, CATALOG, &labels, count, 0);
}

int container_objects(struct pool *pool, struct store_at at, uint64_t *count)
{
	static const uint8_t		root[16], after[16] = { [15] = 1 };
	static const struct store_range names = { .start = { root, 16 }, .end = { after, 16 } };

	return pool->driver->ops->count(pool->driver, at, &names, count, 0);
}

static unsigned opens_of(struct pool *pool, const tarn_uuid *uuid)
{
	unsigned opens;

	pthread_mutex_lock(&pool->lock);
	opens = container_opens(pool, uuid, 0);
	pthread_mutex_unlock(&pool->lock);
	return opens;
}

/* A container that was destroyed since its label was listed is passed over. */
static int visit_label(struct pool *pool, tarn_buf value, container_visit visit, void *arg)
{
	struct record record;
	tarn_uuid     uuid;
	int	      rc;

	if (value.len != sizeof(uuid.bytes))
		return fail(DF_INVAL, "the catalogue of pool %s has %zu bytes where a UUID should be", pool->meta.label,
			    value.len);
	memcpy(uuid.bytes, value.ptr, sizeof(uuid.bytes));
	rc = catalog_by_uuid(pool, &uuid, &record);
	if (rc == -TARN_E_CONT_NONEXIST)
		return 0;
	return rc ? rc : visit(&record, opens_of(pool, &uuid), arg);
}

/* Visits a batch, and leaves its last key, for the next one to start after. */
static int visit_batch(struct pool *pool, const uint8_t *buf, const tarn_listing *listing, struct catalog_key *last,
		       container_visit visit, void *arg)
{
	const uint8_t *at = buf;
	int	       rc = 0;

	for (uint32_t i = 0; rc == 0 && i < listing->count; i++) {
		const tarn_entry *entry = (const void *)at;
		const uint8_t	 *key	= at + sizeof(*entry);

		*last = make_key('l', key, MIN(entry->key_len, TARN_LABEL_MAX));
		rc    = visit_label(pool, (tarn_buf){ key + entry->key_len, entry->val_len }, visit, arg);
		at += ROUND_UP(sizeof(*entry) + entry->key_len + entry->val_len, 8);
	}
	return rc;
}

int container_each(struct pool *pool, container_visit visit, void *arg)
{
	struct store_range range = labels;
	struct catalog_key last;
	tarn_listing	   listing = { .more = 1 };
	uint64_t	   buf[1024];
	int		   rc = 0;

	while (rc == 0 && listing.more) {
		rc = pool->driver->ops->list(pool->driver, CATALOG, &range, 0, buf, sizeof(buf), &listing, 0);
		if (rc == 0)
			rc = visit_batch(pool, (const uint8_t *)buf, &listing, &last, visit, arg);
		range.start = key_buf(&last);
		range.flags = TARN_RANGE_AFTER;
	}
	return rc;
}
