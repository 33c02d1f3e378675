/* SPDX-License-Identifier: Apache-2.0 */
/* object/object.c: the root namespace: names, ids, and the objects that are open. See object.h. */
#include "object.h"
#include <stdlib.h>

/* What a name stands for, on disk. */
struct named {
	uint8_t oid[OID_BYTES]; /* hi, lo, big-endian */
	uint8_t type[4];	/* little-endian */
	uint8_t reserved[4];	/* 0 */
	uint8_t created[8];	/* little-endian: ns since 1970, UTC */
};
_Static_assert(sizeof(struct named) == 32, "a name's record has 32 bytes");

/* A key under one of the ids with hi 0. */
struct root_key {
	uint8_t bytes[OID_BYTES + TARN_OBJECT_NAME_MAX];
	size_t	len;
};

static struct root_key make_key(uint64_t lo, const void *rest, size_t len)
{
	struct root_key key = { .len = OID_BYTES + len };

	put64be(key.bytes + 8, lo);
	if (len)
		memcpy(key.bytes + OID_BYTES, rest, len);
	return key;
}

static struct root_key key_of_name(const char *name)
{
	return make_key(ROOT_NAMES, name, strlen(name));
}

static tarn_buf key_buf(const struct root_key *key)
{
	return (tarn_buf){ key->bytes, key->len };
}

static int get(struct container *container, struct root_key key, void *buf, size_t *len)
{
	struct driver *driver = container->pool->driver;

	return driver->ops->get(driver, container_at(container), key_buf(&key), buf, len, NULL, 0);
}

static int apply(struct container *container, struct store_mutation *muts, size_t n, uint64_t *lsn)
{
	struct driver *driver = container->pool->driver;

	for (size_t i = 0; i < n; i++)
		muts[i].tree = container->tree;
	return driver->ops->apply(driver, muts, n, 0, lsn, NULL);
}

int name_check(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	if (len == 0)
		return fail(INVAL, "an object needs a name of 1 to %u bytes: this one is empty", TARN_OBJECT_NAME_MAX);
	if (len > TARN_OBJECT_NAME_MAX)
		return fail(INVAL, "an object's name has at most %u bytes: this one has %zu", TARN_OBJECT_NAME_MAX, len);
	if (strchr(name, '/'))
		return fail(INVAL, "an object's name contains no '/': %.100s does", name);
	return 0;
}

/* What the name stands for. NONEXIST. */
static int lookup(struct container *container, const char *name, struct named *named)
{
	size_t len = sizeof(*named);
	int    rc  = get(container, key_of_name(name), named, &len);

	if (rc == -TARN_E_NONEXIST)
		return fail(NONEXIST, "there is no object %s in container %s", name, container->record.label);
	if ((rc == 0 && len != sizeof(*named)) || rc == -TARN_E_REC2BIG)
		return fail(DF_INVAL, "the record of object %s has %zu bytes, not %zu", name, len, sizeof(*named));
	return rc;
}

/* The counter is read once, and then kept with the names. */
static int next_oid(struct container *container, uint64_t *lo)
{
	uint8_t buf[8];
	size_t	len = sizeof(buf);
	int	rc;

	*lo = container->next_oid;
	if (*lo)
		return 0;
	rc = get(container, make_key(ROOT_COUNTER, "next", 4), buf, &len);
	if (rc && rc != -TARN_E_NONEXIST)
		return rc;
	*lo = rc ? OID_FIRST : get64(buf);
	if (*lo < OID_FIRST)
		return fail(DF_INVAL, "container %s counts its objects from %llu", container->record.label,
			    (unsigned long long)*lo);
	return 0;
}

static void fill_named(struct named *named, uint64_t lo)
{
	memset(named, 0, sizeof(*named));
	put64be(named->oid, (uint64_t)TYPE_KV_LEXICAL << 56);
	put64be(named->oid + 8, lo);
	put32(named->type, TYPE_KV_LEXICAL);
	put64(named->created, base_now_ns());
}

static int put_new(struct container *container, const char *name, const struct named *named, uint64_t next_lo, uint64_t *lsn)
{
	struct root_key	      by_name = key_of_name(name), by_id = make_key(ROOT_IDS, named->oid, OID_BYTES);
	struct root_key	      next = make_key(ROOT_COUNTER, "next", 4);
	uint8_t		      counter[8];
	struct store_mutation muts[] = {
		{ .change = STORE_PUT, .cond = TARN_COND_INSERT, .key = key_buf(&by_name), .val = { named, sizeof(*named) } },
		{ .change = STORE_PUT, .key = key_buf(&by_id), .val = { name, strlen(name) } },
		{ .change = STORE_PUT, .key = key_buf(&next), .val = { counter, sizeof(counter) } },
	};

	put64(counter, next_lo);
	return apply(container, muts, ARRAY_LEN(muts), lsn);
}

static int create_locked(struct container *container, const char *name, struct named *named, uint64_t *lsn)
{
	uint64_t lo;
	int	 rc;

	rc = next_oid(container, &lo);
	if (rc)
		return rc;
	fill_named(named, lo);
	rc = put_new(container, name, named, lo + 1, lsn);
	if (rc == -TARN_E_EXIST)
		return fail(EXIST, "there is an object %s in container %s already", name, container->record.label);
	if (rc == 0)
		container->next_oid = lo + 1;
	return rc;
}

int object_create(struct container *container, const char *name, uint64_t *lsn)
{
	struct named named;
	int	     rc;

	pthread_mutex_lock(&container->names);
	rc = create_locked(container, name, &named, lsn);
	pthread_mutex_unlock(&container->names);
	return rc;
}

static struct object *find_open(struct container *container, const char *name)
{
	for (struct object *object = container->objects; object; object = object->next)
		if (!object->moved && strcmp(object->name, name) == 0)
			return object;
	return NULL;
}

/* An open object of that id, under whatever name. */
static bool is_open(const struct container *container, const uint8_t oid[OID_BYTES])
{
	for (const struct object *object = container->objects; object; object = object->next)
		if (memcmp(object->oid, oid, OID_BYTES) == 0)
			return true;
	return false;
}

static int lookup_or_create(struct container *container, const char *name, bool create, bool readonly, struct named *named,
			    uint64_t *lsn)
{
	int rc = lookup(container, name, named);

	if (rc != -TARN_E_NONEXIST || !create)
		return rc;
	if (readonly)
		return fail(EP_RO,
			    "there is no object %s in container %s, and it cannot be made: the container is open read-only", name,
			    container->record.label);
	return create_locked(container, name, named, lsn);
}

static struct object *new_object(struct container *container, const char *name, const struct named *named)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->container = container;
	object->type	  = get32(named->type);
	memcpy(object->oid, named->oid, OID_BYTES);
	strcpy(object->name, name);
	object->next	   = container->objects;
	container->objects = object;
	return object;
}

/* The notes have no record: they are there from the beginning. */
static void name_notes(struct named *named)
{
	memset(named, 0, sizeof(*named));
	put64be(named->oid + 8, ROOT_NOTES);
	put32(named->type, TYPE_KV_LEXICAL);
}

static int open_locked(struct container *container, const char *name, bool create, bool readonly, struct object **out,
		       uint64_t *lsn)
{
	struct object *object = find_open(container, name);
	struct named   named;
	int	       rc = 0;

	if (!object) {
		if (name[0])
			rc = lookup_or_create(container, name, create, readonly, &named, lsn);
		else
			name_notes(&named);
		if (rc)
			return rc;
		if (get32(named.type) != TYPE_KV_LEXICAL)
			return fail(NOTYPE, "object %s is of type %u: a key-value object has type %d", name, get32(named.type),
				    TYPE_KV_LEXICAL);
		object = new_object(container, name, &named);
		if (!object)
			return fail(NOMEM, "no memory to open object %s", name);
	}
	object->opens++;
	*out = object;
	return 0;
}

int object_open(struct container *container, const char *name, bool create, bool readonly, struct object **object, uint64_t *lsn)
{
	int rc;

	pthread_mutex_lock(&container->names);
	rc = open_locked(container, name, create, readonly, object, lsn);
	pthread_mutex_unlock(&container->names);
	return rc;
}

void object_close(struct object *object)
{
	struct container *container = object->container;
	struct object	**at	    = &container->objects;

	pthread_mutex_lock(&container->names);
	if (--object->opens == 0) {
		while (*at != object)
			at = &(*at)->next;
		*at = object->next;
		free(object);
	}
	pthread_mutex_unlock(&container->names);
}

static void fill_info(const struct named *named, tarn_object_info *info)
{
	info->oid_hi = get64be(named->oid);
	info->oid_lo = get64be(named->oid + 8);
	info->type   = get32(named->type);
}

int object_query(struct container *container, const char *name, tarn_object_info *info)
{
	struct named named;
	int	     rc = lookup(container, name, &named);

	if (rc)
		return rc;
	memset(info, 0, sizeof(*info));
	strcpy(info->name, name);
	fill_info(&named, info);
	return 0;
}

/* One entry of a listing; the next one's place, or NULL when it is not a name's. */
static const uint8_t *read_entry(const uint8_t *at, tarn_object_info *info)
{
	const tarn_entry *entry = (const void *)at;
	struct named	  named;

	if (entry->key_len > TARN_OBJECT_NAME_MAX || entry->val_len != sizeof(named) || entry->flags & TARN_ENTRY_OMITTED)
		return NULL;
	memset(info, 0, sizeof(*info));
	memcpy(info->name, at + sizeof(*entry), entry->key_len);
	memcpy(&named, at + sizeof(*entry) + entry->key_len, sizeof(named));
	fill_info(&named, info);
	return at + ROUND_UP(sizeof(*entry) + entry->key_len + sizeof(named), 8);
}

static int read_batch(struct container *container, const void *buf, uint32_t n, tarn_object_info *infos)
{
	const uint8_t *at = buf;

	for (uint32_t i = 0; i < n; i++) {
		at = read_entry(at, &infos[i]);
		if (!at)
			return fail(DF_INVAL, "the root namespace of container %s holds an entry that is no name",
				    container->record.label);
	}
	return 0;
}

int object_list(struct container *container, const char *after, tarn_object_info *infos, size_t *count)
{
	struct driver	  *driver = container->pool->driver;
	struct root_key	   start = key_of_name(after ? after : ""), end = make_key(ROOT_COUNTER, NULL, 0);
	struct store_range range = {
		.start = key_buf(&start), .end = key_buf(&end), .flags = TARN_RANGE_AFTER, .strip = OID_BYTES
	};
	size_t	     room = *count, got = 0;
	tarn_listing listing = { .more = 1 };
	uint64_t     buf[1024];
	int	     rc = 0;

	while (rc == 0 && listing.more && got < room) {
		rc = driver->ops->list(driver, container_at(container), &range, (uint32_t)MIN(room - got, 1u << 20), buf,
				       sizeof(buf), &listing, 0);
		if (rc == 0)
			rc = read_batch(container, buf, listing.count, infos + got);
		if (rc == 0 && listing.count) {
			got += listing.count;
			start	    = key_of_name(infos[got - 1].name);
			range.start = key_buf(&start);
		}
	}
	*count = rc ? 0 : got;
	return rc;
}

static int unname(struct container *container, const char *name, struct named *named, uint64_t *lsn)
{
	struct root_key	      by_name = key_of_name(name);
	struct store_mutation del     = { .change = STORE_DEL, .key = key_buf(&by_name) };
	int		      rc;

	rc = lookup(container, name, named);
	if (rc)
		return rc;
	if (is_open(container, named->oid))
		return fail(BUSY, "object %s is open: close it first", name);
	return apply(container, &del, 1, lsn);
}

/* Deletes what is left of an object that has no name any more, and then its id. */
static int reclaim(struct container *container, const uint8_t oid[OID_BYTES], uint64_t *lsn)
{
	struct root_key	      by_id  = make_key(ROOT_IDS, oid, OID_BYTES);
	struct store_mutation forget = { .change = STORE_DEL, .key = key_buf(&by_id) };
	uint64_t	      keys   = 0;
	struct span	      span;
	int		      rc;

	rc = span_make(oid, NULL, &span);
	if (rc)
		return rc;
	rc = purge(container, &span.range, NULL, &keys, lsn);
	span_free(&span);
	return rc ? rc : apply(container, &forget, 1, lsn);
}

int object_destroy(struct container *container, const char *name, uint64_t *lsn)
{
	struct named named;
	int	     rc;

	pthread_mutex_lock(&container->names);
	rc = unname(container, name, &named, lsn);
	pthread_mutex_unlock(&container->names);
	return rc ? rc : reclaim(container, named.oid, lsn);
}

/* ---- another name ---- */

/* What stands under an object's id when it is called `to`; its length. The entry is put anew, so it must say when the object was made. */
static int id_value(struct container *container, struct root_key by_id, const char *to, uint8_t value[ID_VALUE_MAX], size_t *len)
{
	struct driver *driver = container->pool->driver;
	uint64_t       born;
	int	       rc = driver->ops->get(driver, container_at(container), key_buf(&by_id), value, len, &born, 0);

	if (rc)
		return rc == -TARN_E_NONEXIST ? fail(DF_INVAL, "container %s does not list the id of the object to be called %s",
						     container->record.label, to)
					      : rc;
	born = id_born(value, *len, born);
	*len = strlen(to) + 1;
	memcpy(value, to, *len);
	put64(value + *len, born);
	*len += 8;
	return 0;
}

uint64_t id_born(const uint8_t *value, size_t len, uint64_t revision)
{
	const uint8_t *nul = memchr(value, 0, len);

	return nul && (size_t)(value + len - nul) == 1 + 8 ? get64(nul + 1) : revision;
}

static int put_renamed(struct container *container, const struct named *named, const char *name, const char *to, uint64_t *lsn)
{
	struct root_key from = key_of_name(name), by_name = key_of_name(to);
	struct root_key by_id = make_key(ROOT_IDS, named->oid, OID_BYTES);
	uint8_t		value[ID_VALUE_MAX];
	size_t		len = sizeof(value);
	int		rc  = id_value(container, by_id, to, value, &len);

	struct store_mutation muts[] = {
		{ .change = STORE_PUT, .cond = TARN_COND_INSERT, .key = key_buf(&by_name), .val = { named, sizeof(*named) } },
		{ .change = STORE_PUT, .key = key_buf(&by_id), .val = { value, len } },
		{ .change = STORE_DEL, .key = key_buf(&from) },
	};
	if (rc)
		return rc;
	rc = apply(container, muts, ARRAY_LEN(muts), lsn);
	if (rc == -TARN_E_EXIST)
		return fail(EXIST, "there is an object %s in container %s already: %s keeps its name", to,
			    container->record.label, name);
	return rc;
}

static int rename_locked(struct container *container, const char *name, const char *to, uint64_t *lsn)
{
	struct named named;
	int	     rc = lookup(container, name, &named);

	if (rc == 0 && strcmp(name, to) == 0)
		return fail(EXIST, "object %s is called that already", name);
	if (rc == 0)
		rc = put_renamed(container, &named, name, to, lsn);
	if (rc)
		return rc;
	for (struct object *object = container->objects; object; object = object->next)
		if (memcmp(object->oid, named.oid, OID_BYTES) == 0)
			object->moved = true;
	return 0;
}

int object_rename(struct container *container, const char *name, const char *to, uint64_t *lsn)
{
	int rc;

	pthread_mutex_lock(&container->names);
	rc = rename_locked(container, name, to, lsn);
	pthread_mutex_unlock(&container->names);
	return rc;
}

/* ---- what a crash left ---- */

static int count_ids(struct container *container, uint64_t *count)
{
	struct root_key	   start = make_key(ROOT_IDS, NULL, 0), end = make_key(ROOT_IDS + 1, NULL, 0);
	struct store_range range  = { .start = key_buf(&start), .end = key_buf(&end) };
	struct driver	  *driver = container->pool->driver;

	return driver->ops->count(driver, container_at(container), &range, count, 0);
}

/* One entry under {0, 2}: reclaims the object unless its name still means it. */
static int sweep_entry(struct container *container, const uint8_t *oid, const char *name, size_t len)
{
	char	     text[TARN_OBJECT_NAME_MAX + 1] = "";
	struct named named;
	uint64_t     lsn;
	int	     rc;

	memcpy(text, name, MIN(len, TARN_OBJECT_NAME_MAX));
	rc = lookup(container, text, &named);
	if (rc == 0 && memcmp(named.oid, oid, OID_BYTES) == 0)
		return 0;
	return rc == 0 || rc == -TARN_E_NONEXIST ? reclaim(container, oid, &lsn) : rc;
}

static int sweep_batch(struct container *container, const void *buf, uint32_t n, struct root_key *last)
{
	const uint8_t *at = buf;
	int	       rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const tarn_entry *entry = (const void *)at;
		const uint8_t	 *oid	= at + sizeof(*entry);

		if (entry->key_len != OID_BYTES || entry->flags)
			return fail(DF_INVAL, "container %s lists an object's id of %u bytes", container->record.label,
				    entry->key_len);
		*last = make_key(ROOT_IDS, oid, OID_BYTES);
		rc    = sweep_entry(container, oid, (const char *)oid + OID_BYTES, entry->val_len);
		at += ROUND_UP(sizeof(*entry) + entry->key_len + entry->val_len, 8);
	}
	return rc;
}

static int sweep_ids(struct container *container)
{
	struct driver	  *driver = container->pool->driver;
	struct root_key	   last = make_key(ROOT_IDS, NULL, 0), end = make_key(ROOT_IDS + 1, NULL, 0);
	struct store_range range = {
		.start = key_buf(&last), .end = key_buf(&end), .flags = TARN_RANGE_AFTER, .strip = OID_BYTES
	};
	tarn_listing listing = { .more = 1 };
	uint64_t     buf[1024];
	int	     rc = 0;

	while (rc == 0 && listing.more) {
		rc = driver->ops->list(driver, container_at(container), &range, 0, buf, sizeof(buf), &listing, 0);
		if (rc == 0)
			rc = sweep_batch(container, buf, listing.count, &last);
		range.start = key_buf(&last);
	}
	return rc;
}

static int sweep_locked(struct container *container)
{
	uint64_t names, ids;
	int	 rc;

	rc = container_objects(container->pool, container_at(container), &names);
	if (rc == 0)
		rc = count_ids(container, &ids);
	return rc || ids <= names ? rc : sweep_ids(container);
}

int objects_sweep(struct container *container)
{
	int rc = 0;

	pthread_mutex_lock(&container->names);
	if (!container->swept)
		rc = sweep_locked(container);
	container->swept = container->swept || rc == 0;
	pthread_mutex_unlock(&container->names);
	return rc;
}
