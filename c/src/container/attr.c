/* SPDX-License-Identifier: Apache-2.0 */
/* container/attr.c: see attr.h. */
#include "attr.h"
#include "catalog.h"
#include <stdlib.h>

#define PREFIX_MAX   16
#define ATTR_COUNTS  64 /* bytes that an attribute counts beside its name and its value */
#define LISTED_BYTES 16384

/* Where the attributes of a pool or a container stand: keys that begin with a prefix. */
struct shelf {
	struct pool    *pool;
	const char     *owner; /* for sentences */
	struct store_at at;
	uint8_t		prefix[PREFIX_MAX], end[PREFIX_MAX]; /* end: the first key that does not */
	size_t		len;
};

struct attr_key {
	uint8_t bytes[PREFIX_MAX + TARN_ATTR_NAME_MAX];
	size_t	len;
};

struct attr_changes {
	size_t n;
	struct {
		tarn_buf	name, value;
		struct attr_key key;
	} of[];
};

static struct shelf shelf_of(struct pool *pool, const struct container *container)
{
	struct shelf shelf = { .pool = pool, .owner = pool->meta.label, .at = CATALOG, .prefix = "t", .end = "u", .len = 1 };

	if (!container)
		return shelf;
	shelf.owner = container->record.label;
	shelf.at    = container_at(container);
	shelf.len   = 16;
	memset(shelf.prefix, 0, sizeof(shelf.prefix));
	memset(shelf.end, 0, sizeof(shelf.end));
	shelf.prefix[15] = ROOT_ATTRS;
	shelf.end[15]	 = ROOT_ATTRS + 1;
	return shelf;
}

static struct attr_key key_of(const struct shelf *shelf, tarn_buf name)
{
	struct attr_key key = { .len = shelf->len + name.len };

	memcpy(key.bytes, shelf->prefix, shelf->len);
	if (name.len)
		memcpy(key.bytes + shelf->len, name.ptr, name.len);
	return key;
}

static tarn_buf key_buf_of(const struct attr_key *key)
{
	return (tarn_buf){ key->bytes, key->len };
}

/* ---- checks ---- */

/* The bytes of the character at s, 0 when there is none: not too short a form, no surrogate, nothing above U+10FFFF. */
static size_t utf8_len(const uint8_t *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t		      len     = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	uint32_t	      c	      = len > 1 ? s[0] & (0x7fu >> len) : s[0];

	for (size_t i = 1; i < len; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	return c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c < least[len] ? 0 : len;
}

int attr_name_check(const char *name)
{
	size_t len = name ? strlen(name) : 0, at = 0, step;

	if (len == 0)
		return fail(INVAL, "an attribute needs a name of 1 to %u bytes: this one is empty", TARN_ATTR_NAME_MAX);
	if (len > TARN_ATTR_NAME_MAX)
		return fail(INVAL, "an attribute's name has at most %u bytes: this one has %zu", TARN_ATTR_NAME_MAX, len);
	while (at < len) {
		step = utf8_len((const uint8_t *)name + at);
		if (step == 0)
			return fail(INVAL, "an attribute's name is UTF-8: byte %zu of this one is not", at);
		at += step;
	}
	return 0;
}

static int check_attr(const tarn_attr *attr)
{
	int rc = attr_name_check(attr->name);

	if (rc)
		return rc;
	if (attr->value.len && !attr->value.ptr)
		return fail(INVAL, "the value of attribute %.100s is NULL, and its length is %zu", attr->name, attr->value.len);
	if (attr->value.len > TARN_ATTR_VALUE_MAX)
		return fail(REC2BIG, "the value of attribute %.100s has %zu bytes: the limit is %u", attr->name, attr->value.len,
			    TARN_ATTR_VALUE_MAX);
	return 0;
}

/* Adds what it takes to keep them to *bytes. */
static int check_attrs(const tarn_attr *attrs, size_t n, size_t *bytes)
{
	int rc = 0;

	if (n > TARN_ATTR_SET_MAX)
		return fail(INVAL, "%zu attributes are given: a call takes %u", n, TARN_ATTR_SET_MAX);
	if (n && !attrs)
		return fail(INVAL, "the attributes are NULL, and there are %zu", n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = check_attr(&attrs[i]);
		if (rc == 0)
			*bytes += sizeof(((struct attr_changes *)NULL)->of[0]) + strlen(attrs[i].name) + attrs[i].value.len;
	}
	return rc;
}

static tarn_buf copy(char **to, const void *from, size_t len)
{
	tarn_buf copied = { *to, len };

	if (len)
		memcpy(*to, from, len);
	*to += len;
	return copied;
}

int attr_changes_make(const tarn_attr *attrs, size_t n, struct attr_changes **out)
{
	struct attr_changes *changes;
	size_t		     bytes = sizeof(*changes);
	char		    *to;
	int		     rc = check_attrs(attrs, n, &bytes);

	if (rc)
		return rc;
	changes = malloc(bytes);
	if (!changes)
		return fail(NOMEM, "no memory for %zu bytes of attributes", bytes);
	changes->n = n;
	to	   = (char *)&changes->of[n];
	for (size_t i = 0; i < n; i++) {
		changes->of[i].name  = copy(&to, attrs[i].name, strlen(attrs[i].name));
		changes->of[i].value = copy(&to, attrs[i].value.ptr, attrs[i].value.len);
	}
	*out = changes;
	return 0;
}

/* ---- reading ---- */

static int get(const struct shelf *shelf, tarn_buf name, void *buf, size_t *len)
{
	struct driver  *driver = shelf->pool->driver;
	struct attr_key key    = key_of(shelf, name);

	return driver->ops->get(driver, shelf->at, key_buf_of(&key), buf, len, NULL, 0);
}

int attr_get(struct pool *pool, struct container *container, const char *name, void *buf, size_t *len)
{
	struct shelf shelf = shelf_of(pool, container);
	size_t	     room  = *len;
	int	     rc	   = get(&shelf, (tarn_buf){ name, strlen(name) }, buf, len);

	if (rc == -TARN_E_NONEXIST)
		return fail(NONEXIST, "%s has no attribute %.100s", shelf.owner, name);
	if (rc == -TARN_E_REC2BIG)
		return fail(REC2BIG, "the attribute %.100s of %s has %zu bytes, and there is room for %zu", name, shelf.owner,
			    *len, room);
	return rc;
}

static int list(const struct shelf *shelf, tarn_buf after, uint32_t flags, void *buf, size_t cap, tarn_listing *out)
{
	struct driver	  *driver = shelf->pool->driver;
	struct attr_key	   start  = key_of(shelf, after);
	struct store_range range  = { .start = key_buf_of(&start),
				      .end   = { shelf->end, shelf->len },
				      .flags = flags | TARN_RANGE_AFTER,
				      .strip = shelf->len };

	return driver->ops->list(driver, shelf->at, &range, 0, buf, cap, out, 0);
}

int attr_list(struct pool *pool, struct container *container, const char *after, void *buf, size_t cap, tarn_listing *out)
{
	struct shelf shelf = shelf_of(pool, container);

	return list(&shelf, (tarn_buf){ after, after ? strlen(after) : 0 }, 0, buf, cap, out);
}

/* ---- changing, under pool->lock ---- */

static uint64_t weight(size_t name, uint64_t value)
{
	return name + value + ATTR_COUNTS;
}

/* Adds what the attributes of a listing count, and leaves the last name, for the next one to start after. */
static int weigh_batch(const struct shelf *shelf, const void *buf, uint32_t n, struct attr_key *last, uint64_t *all)
{
	const uint8_t *at = buf;

	for (uint32_t i = 0; i < n; i++) {
		const tarn_entry *entry = (const void *)at;

		if (entry->key_len > TARN_ATTR_NAME_MAX)
			return fail(DF_INVAL, "%s has an attribute with a name of %u bytes", shelf->owner, entry->key_len);
		*all += weight(entry->key_len, entry->val_len);
		last->len = entry->key_len;
		memcpy(last->bytes, at + sizeof(*entry), entry->key_len);
		at += ROUND_UP(sizeof(*entry) + entry->key_len, 8);
	}
	return 0;
}

/* What all attributes that are there count. */
static int weigh_all(const struct shelf *shelf, uint64_t *all)
{
	uint64_t	buf[LISTED_BYTES / 8];
	struct attr_key last	= { .len = 0 };
	tarn_listing	listing = { .more = 1 };
	int		rc	= 0;

	*all = 0;
	while (rc == 0 && listing.more) {
		rc = list(shelf, key_buf_of(&last), TARN_RANGE_KEYS_ONLY, buf, sizeof(buf), &listing);
		if (rc == 0)
			rc = weigh_batch(shelf, buf, listing.count, &last, all);
	}
	return rc;
}

/* What the changes would leave, in *all; *useful: there is something to do. */
static int weigh(const struct shelf *shelf, const struct attr_changes *changes, uint64_t *all, bool *useful)
{
	int rc = weigh_all(shelf, all);

	*useful = changes->n == 0;
	for (size_t i = 0; rc == 0 && i < changes->n; i++) {
		tarn_buf name = changes->of[i].name, value = changes->of[i].value;
		size_t	 old = 0;

		rc = get(shelf, name, NULL, &old);
		if (rc == 0)
			*all -= weight(name.len, old);
		*useful = *useful || rc == 0 || value.len;
		*all += value.len ? weight(name.len, value.len) : 0;
		rc = rc == -TARN_E_NONEXIST ? 0 : rc;
	}
	return rc;
}

static int apply(const struct shelf *shelf, struct attr_changes *changes, uint64_t *lsn)
{
	struct driver	      *driver = shelf->pool->driver;
	struct store_mutation *muts   = calloc(changes->n, sizeof(*muts));
	int		       rc;

	if (!muts)
		return fail(NOMEM, "no memory for %zu changes of attributes", changes->n);
	for (size_t i = 0; i < changes->n; i++) {
		changes->of[i].key = key_of(shelf, changes->of[i].name);
		muts[i]		   = (struct store_mutation){ .change = changes->of[i].value.len ? STORE_PUT : STORE_DEL,
							      .tree   = shelf->at.tree,
							      .key    = key_buf_of(&changes->of[i].key),
							      .val    = changes->of[i].value };
	}
	rc = driver->ops->apply(driver, muts, changes->n, 0, lsn, NULL);
	free(muts);
	return rc;
}

static int set_locked(const struct shelf *shelf, struct attr_changes *changes, uint64_t *lsn)
{
	uint64_t all;
	bool	 useful;
	int	 rc = weigh(shelf, changes, &all, &useful);

	if (rc || changes->n == 0)
		return rc;
	if (!useful)
		return fail(NONEXIST, "%s has no attribute %.*s%s", shelf->owner, (int)MIN(changes->of[0].name.len, 100),
			    (const char *)changes->of[0].name.ptr, changes->n > 1 ? ", nor the others to delete" : "");
	if (all > TARN_ATTR_ALL_MAX)
		return fail(REC2BIG, "the attributes of %s would take %llu bytes together: the limit is %u", shelf->owner,
			    (unsigned long long)all, TARN_ATTR_ALL_MAX);
	return apply(shelf, changes, lsn);
}

int attr_set(struct pool *pool, struct container *container, struct attr_changes *changes, uint64_t *lsn)
{
	struct shelf shelf = shelf_of(pool, container);
	int	     rc;

	pthread_mutex_lock(&pool->lock);
	rc = set_locked(&shelf, changes, lsn);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}
