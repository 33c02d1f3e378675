/* SPDX-License-Identifier: Apache-2.0 */
/* pool/pool.c: the pools that this process has open. See pool.h.
 *
 * The registry's lock is never held while a pool is opened or closed, which may take long: an entry that is not ready stands for that,
 * and who wants the same pool waits until it is ready or gone. */
#include "pool.h"
#include "../driver/local/local.h"
#include <stdio.h>
#include <stdlib.h>

#define CACHE_DEFAULT (UINT64_C(256) << 20)
#define CACHE_MIN     (UINT64_C(1) << 20)

static pthread_mutex_t registry_lock	= PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  registry_changed = PTHREAD_COND_INITIALIZER;
static struct pool    *registry; /* under registry_lock */

static struct pool *lookup(const tarn_uuid *uuid)
{
	for (struct pool *pool = registry; pool; pool = pool->next)
		if (memcmp(&pool->meta.uuid, uuid, sizeof(*uuid)) == 0)
			return pool;
	return NULL;
}

static void enter(struct pool *pool)
{
	pool->refs  = 1;
	pool->ready = false;
	pool->next  = registry;
	registry    = pool;
}

static void leave(struct pool *pool)
{
	struct pool **at = &registry;

	while (*at != pool)
		at = &(*at)->next;
	*at = pool->next;
	pthread_cond_broadcast(&registry_changed);
}

/* Adds a reference to the open pool of that UUID, or enters `fresh` as the one to open. */
static struct pool *share_or_enter(const tarn_uuid *uuid, struct pool *fresh)
{
	struct pool *pool;

	pthread_mutex_lock(&registry_lock);
	while ((pool = lookup(uuid)) != NULL && !pool->ready)
		pthread_cond_wait(&registry_changed, &registry_lock);
	if (pool) {
		pool->refs++;
	} else {
		enter(fresh);
		pool = fresh;
	}
	pthread_mutex_unlock(&registry_lock);
	return pool;
}

static void settle(struct pool *pool, bool ready)
{
	pthread_mutex_lock(&registry_lock);
	pool->ready = ready;
	if (!ready)
		leave(pool);
	pthread_cond_broadcast(&registry_changed);
	pthread_mutex_unlock(&registry_lock);
}

static void free_pool(struct pool *pool)
{
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static struct pool *new_pool(const struct found *found, uint64_t cache_bytes)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	memcpy(pool->uri, found->uri, sizeof(pool->uri));
	pool->meta	  = found->meta;
	pool->cache_bytes = cache_bytes ? cache_bytes : CACHE_DEFAULT;
	return pool;
}

static int open_entered(struct pool *pool)
{
	int rc = local_open(pool->uri, pool->cache_bytes, &pool->driver);

	if (rc)
		rc = base_fail(-rc, "pool %s: %s", pool->meta.label, base_message());
	settle(pool, rc == 0);
	return rc;
}

/* Two files that bear one UUID are copies, and a second one must not be taken for the first. */
static int check_same_place(struct pool *pool, const struct found *found)
{
	if (strcmp(pool->uri, found->uri) == 0)
		return 0;
	return fail(BUSY, "pool %s is open in this process from %s: %s is a copy of it, or another name", pool->meta.label,
		    pool->uri, found->uri);
}

int pool_open(const struct places *places, const char *name, uint64_t cache_bytes, struct pool **out)
{
	struct found found;
	struct pool *fresh, *pool;
	int	     rc;

	if (cache_bytes && cache_bytes < CACHE_MIN)
		return fail(INVAL, "a cache of %llu bytes was asked for: the smallest is %llu", (unsigned long long)cache_bytes,
			    (unsigned long long)CACHE_MIN);
	rc = find_pool(places, name, &found);
	if (rc)
		return rc;
	fresh = new_pool(&found, cache_bytes);
	if (!fresh)
		return fail(NOMEM, "no memory to open pool %s", name);
	pool = share_or_enter(&found.meta.uuid, fresh);
	*out = pool;
	if (pool == fresh) {
		rc = open_entered(pool);
		if (rc)
			free_pool(fresh);
		return rc;
	}
	free_pool(fresh);
	rc = check_same_place(pool, &found);
	if (rc)
		pool_close(pool);
	return rc;
}

static bool is_last(struct pool *pool)
{
	bool last;

	pthread_mutex_lock(&registry_lock);
	last = --pool->refs == 0;
	if (last)
		pool->ready = false;
	pthread_mutex_unlock(&registry_lock);
	return last;
}

bool pool_is_shared(struct pool *pool)
{
	bool shared;

	pthread_mutex_lock(&registry_lock);
	shared = pool->refs > 1;
	pthread_mutex_unlock(&registry_lock);
	return shared;
}

int pool_close(struct pool *pool)
{
	int rc;

	if (!is_last(pool))
		return 0;
	rc = pool->driver->ops->close(pool->driver);
	settle(pool, false);
	free_pool(pool);
	return rc;
}

static void fill_identity(const struct pool_meta *meta, const char *path, tarn_pool_info *info)
{
	memset(info, 0, sizeof(*info));
	info->uuid = meta->uuid;
	memcpy(info->label, meta->label, sizeof(info->label));
	snprintf(info->path, sizeof(info->path), "%s", path);
	info->targets	  = meta->map.targets;
	info->map_version = meta->map.version;
	info->request	  = meta->request;
}

void pool_fill_info(struct pool *pool, tarn_pool_info *info)
{
	struct store_stat stat;

	pool->driver->ops->stat(pool->driver, &stat);
	fill_identity(&pool->meta, pool->uri, info);
	info->format_version   = stat.format_version;
	info->readonly	       = stat.readonly;
	info->total_bytes      = stat.total_bytes;
	info->free_bytes       = stat.free_bytes;
	info->log_bytes	       = stat.log_bytes;
	info->log_used_bytes   = stat.log_used_bytes;
	info->cache_bytes      = stat.cache_bytes;
	info->cache_used_bytes = stat.cache_used_bytes;
	info->generation       = stat.generation;
}

void found_fill_info(const struct found *found, tarn_pool_info *info)
{
	fill_identity(&found->meta, found->uri, info);
	info->format_version = found->identity.format_version;
	info->total_bytes    = found->identity.size;
	info->free_bytes     = found->identity.free_bytes;
	info->log_bytes	     = found->identity.log_bytes;
	info->generation     = found->identity.generation;
}
