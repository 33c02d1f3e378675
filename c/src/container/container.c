/* SPDX-License-Identifier: Apache-2.0 */
/* container/container.c: making, opening and ending containers. See container.h. */
#include "container.h"
#include "catalog.h"
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uuid/uuid.h>

/* The creating user's name, or number when it has none. */
static void default_owner(char *owner)
{
	char	      buf[1024];
	struct passwd entry, *user = NULL;

	if (getpwuid_r(geteuid(), &entry, buf, sizeof(buf), &user) == 0 && user && strlen(user->pw_name) < OWNER_SIZE)
		strcpy(owner, user->pw_name);
	else
		snprintf(owner, OWNER_SIZE, "%u", (unsigned)geteuid());
}

static int check_type(tarn_cont_type type)
{
	switch (type) {
	case TARN_CONT_UNKNOWN:
	case TARN_CONT_POSIX:
	case TARN_CONT_HDF5:
	case TARN_CONT_PYTHON:
	case TARN_CONT_KV:
		return 0;
	}
	return fail(INVAL, "there is no container type with the number %d", (int)type);
}

static int put_record(struct pool *pool, const struct record *record, tarn_cond cond, uint64_t *lsn)
{
	struct catalog_key    by_uuid = key_of_uuid(&record->uuid);
	uint8_t		      buf[RECORD_MAX];
	struct store_mutation put = { .change = STORE_PUT, .cond = cond, .tree = CATALOG_TREE, .key = key_buf(&by_uuid) };

	put.val = (tarn_buf){ buf, record_encode(record, buf) };
	return pool->driver->ops->apply(pool->driver, &put, 1, 0, lsn, NULL);
}

/* The label is the first of the batch: EXIST comes from it. */
static int put_new(struct pool *pool, const struct record *record, uint64_t *lsn)
{
	struct catalog_key label = key_of_label(record->label), by_uuid = key_of_uuid(&record->uuid), next = key_of_next_tree();
	uint8_t		   buf[RECORD_MAX], counter[8];
	struct store_mutation muts[] = {
		{ .cond = TARN_COND_INSERT, .key = key_buf(&label), .val = { record->uuid.bytes, sizeof(record->uuid.bytes) } },
		{ .cond = TARN_COND_INSERT, .key = key_buf(&by_uuid), .val = { buf, record_encode(record, buf) } },
		{ .key = key_buf(&next), .val = { counter, sizeof(counter) } },
	};
	int rc;

	put64(counter, record->tree + 1);
	for (size_t i = 0; i < ARRAY_LEN(muts); i++) {
		muts[i].change = STORE_PUT;
		muts[i].tree   = CATALOG_TREE;
	}
	rc = pool->driver->ops->apply(pool->driver, muts, ARRAY_LEN(muts), 0, lsn, NULL);
	if (rc == -TARN_E_EXIST)
		rc = fail(EXIST, "there is a container %s in pool %s already: choose another label", record->label,
			  pool->meta.label);
	return rc;
}

int container_create(struct pool *pool, const char *label, tarn_cont_type type, const struct prop_change *props, tarn_uuid *uuid,
		     uint64_t *lsn)
{
	struct record record = { .type = type };
	int	      rc;

	rc = label_check("container", label);
	if (rc == 0)
		rc = check_type(type);
	if (rc)
		return rc;
	uuid_generate(record.uuid.bytes);
	strcpy(record.label, label);
	record.created_ns = base_now_ns();
	default_owner(record.props.owner);
	props_apply(&record.props, props);
	pthread_mutex_lock(&pool->lock);
	rc = catalog_next_tree(pool, &record.tree);
	if (rc == 0)
		rc = put_new(pool, &record, lsn);
	pthread_mutex_unlock(&pool->lock);
	if (rc == 0 && uuid)
		*uuid = record.uuid;
	return rc;
}

static bool is_same(const struct container *container, const tarn_uuid *uuid)
{
	return memcmp(&container->record.uuid, uuid, sizeof(*uuid)) == 0;
}

static struct container *find_open(const struct pool *pool, const tarn_uuid *uuid, uint64_t epoch)
{
	for (struct container *c = pool->containers; c; c = c->next)
		if (c->epoch == epoch && is_same(c, uuid))
			return c;
	return NULL;
}

unsigned container_opens(const struct pool *pool, const tarn_uuid *uuid, uint64_t epoch)
{
	unsigned opens = 0;

	for (const struct container *c = pool->containers; c; c = c->next)
		if (is_same(c, uuid) && (!epoch || c->epoch == epoch))
			opens += c->opens;
	return opens;
}

static uint64_t limit_of(const struct props *props)
{
	return props->value_max ? props->value_max : TARN_VALUE_MAX;
}

static struct container *new_container(struct pool *pool, const struct record *record, uint64_t epoch)
{
	struct container *container = calloc(1, sizeof(*container));

	if (!container)
		return NULL;
	pthread_mutex_init(&container->names, NULL);
	container->pool	  = pool;
	container->record = *record;
	container->tree	  = record->tree;
	container->epoch  = epoch;
	atomic_init(&container->value_max, limit_of(&record->props));
	atomic_init(&container->relaxed, record->props.durability == TARN_DURABILITY_RELAXED);
	container->next	 = pool->containers;
	pool->containers = container;
	return container;
}

int container_open_epoch(struct pool *pool, const struct record *record, uint64_t epoch, struct container **out)
{
	struct container *container = find_open(pool, &record->uuid, epoch);

	if (!container)
		container = new_container(pool, record, epoch);
	if (!container)
		return fail(NOMEM, "no memory to open container %s", record->label);
	container->opens++;
	*out = container;
	return 0;
}

static int open_locked(struct pool *pool, const char *name, struct container **out)
{
	struct record record;
	int	      rc = catalog_find(pool, name, &record);

	return rc ? rc : container_open_epoch(pool, &record, 0, out);
}

int container_open(struct pool *pool, const char *name, struct container **container)
{
	int rc;

	pthread_mutex_lock(&pool->lock);
	rc = open_locked(pool, name, container);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

static void remove_open(struct container *container)
{
	struct container **at = &container->pool->containers;

	while (*at != container)
		at = &(*at)->next;
	*at = container->next;
}

void container_close(struct container *container)
{
	struct pool *pool = container->pool;
	bool	     last;

	pthread_mutex_lock(&pool->lock);
	last = --container->opens == 0;
	if (last)
		remove_open(container);
	pthread_mutex_unlock(&pool->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&container->names);
	free(container);
}

static int check_empty(struct pool *pool, const struct record *record)
{
	uint64_t objects, snapshots = 0;
	int	 rc = container_objects(pool, (struct store_at){ .tree = record->tree }, &objects);

	if (rc == 0)
		rc = snapshot_count(pool, &record->uuid, &snapshots);
	if (rc == 0 && objects + snapshots)
		return fail(BUSY, "container %s holds %llu objects and %llu snapshots: destroy them first, or use force",
			    record->label, (unsigned long long)objects, (unsigned long long)snapshots);
	return rc;
}

static int destroy_locked(struct pool *pool, const char *name, bool force, uint64_t *lsn)
{
	struct record record;
	unsigned      opens;
	int	      rc;

	rc = catalog_find(pool, name, &record);
	if (rc)
		return rc;
	opens = container_opens(pool, &record.uuid, 0);
	if (opens)
		return fail(BUSY, "container %s or a snapshot of it is open (%u handles): close them first", record.label, opens);
	if (!force)
		rc = check_empty(pool, &record);
	return rc ? rc : snapshot_drop_all(pool, &record, lsn);
}

int container_destroy(struct pool *pool, const char *name, bool force, uint64_t *lsn)
{
	int rc;

	pthread_mutex_lock(&pool->lock);
	rc = destroy_locked(pool, name, force, lsn);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

int container_set_props(struct container *container, const struct prop_change *props, uint64_t *lsn)
{
	struct pool  *pool = container->pool;
	struct record record;
	int	      rc;

	pthread_mutex_lock(&pool->lock);
	record = container->record;
	props_apply(&record.props, props);
	rc = put_record(pool, &record, TARN_COND_UPDATE, lsn);
	if (rc == 0) {
		container->record.props = record.props;
		atomic_store(&container->value_max, limit_of(&record.props));
		atomic_store(&container->relaxed, record.props.durability == TARN_DURABILITY_RELAXED);
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

void container_fill_info(struct container *container, tarn_cont_info *info)
{
	struct pool *pool = container->pool;

	pthread_mutex_lock(&pool->lock);
	record_fill_info(&container->record, container_opens(pool, &container->record.uuid, 0), info);
	pthread_mutex_unlock(&pool->lock);
	info->epoch = container->epoch;
}
