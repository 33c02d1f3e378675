/* SPDX-License-Identifier: Apache-2.0 */
/* object/watch.c: what changes in an object: the changes of its tree's keys that begin with its id. See object.h.
 *
 * An id is never used again. Its entry under {0, 2} says when the object was made, and is deleted last: that is the end. A watch goes on
 * with an object that is renamed. */
#include "object.h"
#include <stdlib.h>

struct id_key {
	uint8_t bytes[2 * OID_BYTES];
};

static struct id_key id_key(const struct object *object)
{
	struct id_key key = { { 0 } };

	put64be(key.bytes + 8, ROOT_IDS);
	memcpy(key.bytes + OID_BYTES, object->oid, OID_BYTES);
	return key;
}

static int born(struct object *object, tarn_buf id, uint64_t *revision)
{
	struct driver *driver = object->container->pool->driver;
	uint8_t	       value[ID_VALUE_MAX];
	size_t	       len = sizeof(value);
	int	       rc  = driver->ops->get(driver, container_at(object->container), id, value, &len, revision, 0);

	if (rc == 0)
		*revision = id_born(value, len, *revision);
	return rc == -TARN_E_NONEXIST ? fail(NONEXIST, "object %s is being destroyed", object->name) : rc;
}

int kv_watch(struct object *object, uint64_t start, tarn_buf prefix, bool keys_only, tarn_changes *now,
	     struct store_watch **watch)
{
	struct driver		  *driver  = object->container->pool->driver;
	struct id_key		   id	   = id_key(object);
	struct store_watch_options options = { .tree	  = object->container->tree,
					       .start	  = start,
					       .strip	  = OID_BYTES,
					       .end	  = { id.bytes, sizeof(id.bytes) },
					       .keys_only = keys_only };
	uint8_t			  *full;
	int			   rc;

	if (object->container->epoch)
		return fail(NOTSUPPORTED, "object %s is of a snapshot, which does not change: watch the object itself",
			    object->name);
	rc = born(object, options.end, &options.born);
	if (rc)
		return rc;
	full = malloc(OID_BYTES + prefix.len);
	if (!full)
		return fail(NOMEM, "no memory for a prefix of %zu bytes", prefix.len);
	memcpy(full, object->oid, OID_BYTES);
	if (prefix.len)
		memcpy(full + OID_BYTES, prefix.ptr, prefix.len);
	options.prefix = (tarn_buf){ full, OID_BYTES + prefix.len };
	rc	       = driver->ops->watch_open(driver, &options, now, watch);
	free(full);
	return rc;
}
