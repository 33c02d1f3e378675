/* SPDX-License-Identifier: Apache-2.0 */
/* container/access.c: who may use a pool or a container, in the catalogue (AccessRecord in access.proto). See tarn/acl.h.
 *
 * Always true: a record's list is as acl_write() has written it. A record that cannot be read is DF_INVAL, never no list. */
#include "acl.h"
#include "catalog.h"
#include <stdlib.h>
#include <tarn/store/v1/access.pb-c.h>

#define ACCESS_MAX (TARN_ACL_MAX + 2 * OWNER_SIZE + 64) /* bytes of an encoded record */

typedef Tarn__Store__V1__AccessRecord access_record;

static struct catalog_key key_of(const struct container *container)
{
	return key_of_access(container ? &container->record.uuid : NULL);
}

static tarn_acl_kind kind_of(const struct container *container)
{
	return container ? TARN_ACL_CONT : TARN_ACL_POOL;
}

static const char *name_of(const struct pool *pool, const struct container *container)
{
	return container ? container->record.label : pool->meta.label;
}

static access_record *decode(const void *buf, size_t len)
{
	access_record *record = tarn__store__v1__access_record__unpack(NULL, len, buf);

	if (record && strlen(record->owner) < OWNER_SIZE && strlen(record->group) < OWNER_SIZE &&
	    strlen(record->list) < TARN_ACL_MAX)
		return record;
	if (record)
		tarn__store__v1__access_record__free_unpacked(record, NULL);
	return NULL;
}

static int decode_or_fail(const struct pool *pool, const struct container *container, const void *buf, size_t len,
			  access_record **record)
{
	*record = decode(buf, len);
	if (*record)
		return 0;
	return fail(DF_INVAL, "the access record of %s (%zu bytes) cannot be read", name_of(pool, container), len);
}

/* The record, or an empty one when there is none. The caller frees it with tarn__..._free_unpacked(). */
static int load(struct pool *pool, const struct container *container, access_record **record)
{
	size_t len = ACCESS_MAX;
	void  *buf = malloc(len);
	int    rc;

	if (!buf)
		return fail(NOMEM, "no memory to read the access record of %s", name_of(pool, container));
	rc = catalog_get(pool, key_of(container), buf, &len, NULL);
	if (rc == -TARN_E_NONEXIST) {
		len = 0;
		rc  = 0;
	}
	if (rc == 0)
		rc = decode_or_fail(pool, container, buf, len, record);
	free(buf);
	return rc;
}

static int store(struct pool *pool, const struct container *container, const access_record *record, uint64_t *lsn)
{
	struct catalog_key    key = key_of(container);
	uint8_t		     *buf = malloc(ACCESS_MAX);
	struct store_mutation put = { .change = STORE_PUT, .tree = CATALOG_TREE, .key = key_buf(&key) };
	int		      rc;

	if (!buf)
		return fail(NOMEM, "no memory to write the access record of %s", name_of(pool, container));
	put.val = (tarn_buf){ buf, tarn__store__v1__access_record__pack(record, buf) };
	rc	= pool->driver->ops->apply(pool->driver, &put, 1, 0, lsn, NULL);
	free(buf);
	return rc;
}

/* ---- changes: each makes a new record of the old one, under pool->lock ---- */

struct change {
	const char *acl;    /* to write over the list, or into it */
	bool	    update; /* into it */
	bool	    remove; /* principal's entry; NULL: the list */
	const char *principal, *user, *group;
};

/* Writes the list into text[TARN_ACL_MAX], and makes it the record's. */
static int set_list(access_record *record, const struct acl *acl, char *text)
{
	size_t len = TARN_ACL_MAX;
	int    rc  = acl_write(acl, text, &len);

	record->has_list = true;
	record->list	 = text;
	return rc;
}

static int change_list(const struct change *change, tarn_acl_kind kind, access_record *record, char *text)
{
	struct acl old, given = { 0 };
	int	   rc = acl_read(kind, change->update || change->remove ? record->list : "", &old);

	if (rc == 0 && change->acl)
		rc = acl_read(kind, change->acl, &given);
	if (rc == 0)
		rc = change->remove ? acl_remove(&old, change->principal) : acl_update(&old, &given);
	if (rc == 0)
		rc = set_list(record, &old, text);
	acl_free(&given);
	acl_free(&old);
	return rc;
}

static int apply_to(const struct change *change, const struct pool *pool, const struct container *container,
		    access_record *record, char *text)
{
	if (change->remove && !record->has_list)
		return fail(NONEXIST, "%s has no access control list", name_of(pool, container));
	if (change->remove && !change->principal) {
		record->has_list = false;
		record->list	 = text;
		return 0;
	}
	if (change->acl || change->remove)
		return change_list(change, kind_of(container), record, text);
	if (change->user)
		record->owner = (char *)change->user;
	if (change->group)
		record->group = (char *)change->group;
	return 0;
}

static int change_locked(struct pool *pool, struct container *container, const struct change *change, char *text, uint64_t *lsn)
{
	access_record *loaded, record;
	int	       rc = load(pool, container, &loaded);

	if (rc)
		return rc;
	record = *loaded; /* what changes is lent to the copy */
	rc     = apply_to(change, pool, container, &record, text);
	if (rc == 0)
		rc = store(pool, container, &record, lsn);
	tarn__store__v1__access_record__free_unpacked(loaded, NULL);
	return rc;
}

static int make(struct pool *pool, struct container *container, const struct change *change, uint64_t *lsn)
{
	char *text = calloc(1, TARN_ACL_MAX);
	int   rc;

	if (!text)
		return fail(NOMEM, "no memory to change who may use %s", name_of(pool, container));
	pthread_mutex_lock(&pool->lock);
	rc = change_locked(pool, container, change, text, lsn);
	pthread_mutex_unlock(&pool->lock);
	free(text);
	return rc;
}

int access_overwrite(struct pool *pool, struct container *container, const char *acl, uint64_t *lsn)
{
	return make(pool, container, &(struct change){ .acl = acl }, lsn);
}

int access_update(struct pool *pool, struct container *container, const char *acl, uint64_t *lsn)
{
	return make(pool, container, &(struct change){ .acl = acl, .update = true }, lsn);
}

int access_delete(struct pool *pool, struct container *container, const char *principal, uint64_t *lsn)
{
	return make(pool, container, &(struct change){ .remove = true, .principal = principal }, lsn);
}

int access_set_owner(struct pool *pool, const char *user, const char *group, uint64_t *lsn)
{
	return make(pool, NULL, &(struct change){ .user = user, .group = group }, lsn);
}

/* ---- reading ---- */

static void owner_of_container(struct container *container, tarn_access *access)
{
	pthread_mutex_lock(&container->pool->lock);
	memcpy(access->owner, container->record.props.owner, sizeof(access->owner));
	memcpy(access->group, container->record.props.group, sizeof(access->group));
	pthread_mutex_unlock(&container->pool->lock);
}

int access_get(struct pool *pool, struct container *container, tarn_access *access)
{
	access_record *record;
	size_t	       room = access->len;
	int	       rc   = load(pool, container, &record);

	if (rc)
		return rc;
	strcpy(access->owner, record->owner);
	strcpy(access->group, record->group);
	access->is_set = record->has_list;
	access->len    = strlen(record->list) + 1;
	if (access->len <= room)
		memcpy(access->acl, record->list, access->len);
	else
		rc = fail(TRUNC, "the access control list of %s takes %zu bytes, and there is room for %zu",
			  name_of(pool, container), access->len, room);
	tarn__store__v1__access_record__free_unpacked(record, NULL);
	if (container)
		owner_of_container(container, access);
	return rc;
}
