/* SPDX-License-Identifier: Apache-2.0 */
/* object/kv.c: key-value operations: the object's id before the key, then the driver's word. See object.h. */
#include "object.h"
#include <stdlib.h>

/* An object's id and a user's key in one piece. */
struct full_key {
	uint8_t *bytes;
	size_t	 len;
	uint8_t	 small[OID_BYTES + 240];
};

static int make_key(struct full_key *full, const struct object *object, tarn_buf key)
{
	full->len   = OID_BYTES + key.len;
	full->bytes = full->len <= sizeof(full->small) ? full->small : malloc(full->len);
	if (!full->bytes)
		return fail(NOMEM, "no memory for a key of %zu bytes", key.len);
	memcpy(full->bytes, object->oid, OID_BYTES);
	memcpy(full->bytes + OID_BYTES, key.ptr, key.len);
	return 0;
}

static tarn_buf key_buf(const struct full_key *full)
{
	return (tarn_buf){ full->bytes, full->len };
}

static void free_key(struct full_key *full)
{
	if (full->bytes != full->small)
		free(full->bytes);
}

static struct driver *driver_of(const struct object *object)
{
	return object->container->pool->driver;
}

/* The store knows no objects; the sentence does. Keys are the user's secret, their lengths are not. */
static int explain(int rc, const struct object *object, tarn_buf key)
{
	if (rc == -TARN_E_NONEXIST)
		return base_fail_about(TARN_E_NONEXIST, "object ", object->name, " has no such key");
	if (rc == -TARN_E_EXIST)
		return fail(EXIST, "object %s has that key already (%zu bytes)", object->name, key.len);
	return rc;
}

static int get(struct object *object, tarn_buf key, void *buf, size_t *len, uint64_t *rev, unsigned flags)
{
	struct driver  *driver = driver_of(object);
	struct full_key full;
	int		rc;

	rc = make_key(&full, object, key);
	if (rc)
		return rc;
	rc = driver->ops->get(driver, container_at(object->container), key_buf(&full), buf, len, rev, flags);
	free_key(&full);
	return explain(rc, object, key);
}

int kv_get(struct object *object, tarn_buf key, void *buf, size_t *len, unsigned flags)
{
	size_t room = *len;
	int    rc   = get(object, key, buf, len, NULL, flags);

	if (rc == -TARN_E_REC2BIG)
		return fail(REC2BIG, "the value has %zu bytes, the buffer has room for %zu: ask with a larger one", *len, room);
	return rc;
}

int kv_stat(struct object *object, tarn_buf key, tarn_kv_stat *stat, unsigned flags)
{
	size_t	 size = 0;
	uint64_t rev  = 0;
	int	 rc   = get(object, key, NULL, &size, &rev, flags);

	if (rc == 0)
		*stat = (tarn_kv_stat){ .size = size, .revision = rev };
	return rc;
}

/* Some of many gets, as the store takes them. */
#define SOME 64u
struct some {
	size_t		 n, key_bytes;
	struct store_get gets[SOME];
	tarn_get	*of[SOME];
	uint8_t		*keys;
	uint8_t		 small[SOME * 48];
};

/* Chooses those that have no answer yet, and goes on behind them. */
static void choose(struct some *some, tarn_get *gets, size_t n, size_t *at)
{
	some->n = some->key_bytes = 0;
	for (; *at < n && some->n < SOME; (*at)++) {
		if (gets[*at].rc != -TARN_E_INPROGRESS)
			continue;
		some->of[some->n++] = &gets[*at];
		some->key_bytes += OID_BYTES + gets[*at].key.len;
	}
}

static int fill(struct some *some, const struct object *object)
{
	uint8_t *at;

	some->keys = some->key_bytes <= sizeof(some->small) ? some->small : malloc(some->key_bytes);
	if (!some->keys)
		return fail(NOMEM, "no memory for %zu keys of %zu bytes in all", some->n, some->key_bytes);
	at = some->keys;
	for (size_t i = 0; i < some->n; i++) {
		const tarn_get *get = some->of[i];
		size_t		len = OID_BYTES + get->key.len;

		memcpy(at, object->oid, OID_BYTES);
		memcpy(at + OID_BYTES, get->key.ptr, get->key.len);
		some->gets[i] = (struct store_get){ .key = { at, len }, .buf = get->buf, .len = get->len, .rc = get->rc };
		at += len;
	}
	return 0;
}

static void answer(struct some *some)
{
	for (size_t i = 0; i < some->n; i++) {
		some->of[i]->rc = some->gets[i].rc;
		if (some->gets[i].rc != -TARN_E_INPROGRESS)
			some->of[i]->len = some->gets[i].len;
	}
	if (some->keys != some->small)
		free(some->keys);
}

int kv_get_many(struct object *object, tarn_get *gets, size_t n, unsigned flags)
{
	struct driver *driver = driver_of(object);
	struct some    some;
	size_t	       at = 0;
	int	       rc = 0;

	while (!rc && (choose(&some, gets, n, &at), some.n)) {
		rc = fill(&some, object);
		if (rc)
			return rc;
		rc = driver->ops->get_many(driver, container_at(object->container), some.gets, some.n, flags);
		answer(&some);
	}
	return rc;
}

static int change(struct object *object, tarn_buf key, struct store_mutation *mut, unsigned flags, uint64_t *lsn)
{
	struct driver  *driver = driver_of(object);
	struct full_key full;
	int		rc;

	rc = make_key(&full, object, key);
	if (rc)
		return rc;
	mut->tree = object->container->tree;
	mut->key  = key_buf(&full);
	rc	  = driver->ops->apply(driver, mut, 1, flags, lsn, NULL);
	free_key(&full);
	return explain(rc, object, key);
}

int kv_put(struct object *object, tarn_buf key, tarn_buf val, tarn_cond cond, unsigned flags, uint64_t *lsn)
{
	struct store_mutation put = { .change = STORE_PUT, .cond = cond, .val = val };

	return change(object, key, &put, flags, lsn);
}

int kv_put_value(struct object *object, tarn_buf key, struct store_value *value, tarn_cond cond, uint64_t *lsn)
{
	struct store_mutation put = { .change = STORE_PUT, .cond = cond, .value = value };

	return change(object, key, &put, 0, lsn);
}

int kv_del(struct object *object, tarn_buf key, tarn_cond cond, unsigned flags, uint64_t *lsn)
{
	struct store_mutation del = { .change = STORE_DEL, .cond = cond };

	return change(object, key, &del, flags, lsn);
}

int kv_count(struct object *object, const tarn_range *range, uint64_t *count, unsigned flags)
{
	struct driver *driver = driver_of(object);
	struct span    span;
	int	       rc;

	*count = 0;
	rc     = span_make(object->oid, range, &span);
	if (rc)
		return rc;
	if (!span.empty)
		rc = driver->ops->count(driver, container_at(object->container), &span.range, count, flags);
	span_free(&span);
	return rc;
}

int kv_list(struct object *object, const tarn_range *range, uint32_t max, void *buf, size_t cap, tarn_listing *out,
	    unsigned flags)
{
	struct driver *driver = driver_of(object);
	struct span    span;
	int	       rc;

	memset(out, 0, sizeof(*out));
	rc = span_make(object->oid, range, &span);
	if (rc)
		return rc;
	if (!span.empty)
		rc = driver->ops->list(driver, container_at(object->container), &span.range, max, buf, cap, out, flags);
	span_free(&span);
	return rc;
}

int kv_del_range(struct object *object, const tarn_range *range, const struct op *op, uint64_t *count, uint64_t *lsn)
{
	struct span span;
	int	    rc;

	rc = span_make(object->oid, range, &span);
	if (rc)
		return rc;
	if (!span.empty)
		rc = purge(object->container, &span.range, op, count, lsn);
	span_free(&span);
	return rc;
}

int kv_open_reader(struct object *object, tarn_buf key, tarn_kv_stat *stat, struct store_reader **reader)
{
	struct driver  *driver = driver_of(object);
	struct full_key full;
	int		rc;

	rc = make_key(&full, object, key);
	if (rc)
		return rc;
	rc = driver->ops->reader_open(driver, container_at(object->container), key_buf(&full), stat, reader);
	free_key(&full);
	return explain(rc, object, key);
}
