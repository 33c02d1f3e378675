/* SPDX-License-Identifier: Apache-2.0 */
/* object/finding.c: see finding.h. */
#include "finding.h"
#include <stdio.h>

#define BLOCK_BYTES 4096u /* of a store's block */

struct search {
	uint64_t tree;
	char	*label;
};

static int match_tree(const struct record *record, unsigned opens, void *arg)
{
	struct search *search = arg;

	(void)opens;
	if (record->tree == search->tree)
		snprintf(search->label, TARN_LABEL_MAX + 1, "%s", record->label);
	return 0;
}

/* The name of the object that a key in a container's tree belongs to, "" when it has none. */
static void name_of_key(struct pool *pool, struct store_at at, tarn_buf key, char name[TARN_OBJECT_NAME_MAX + 1])
{
	uint8_t by_id[2 * OID_BYTES]	= { 0 };
	char	value[ID_VALUE_MAX + 1] = "";
	size_t	len			= ID_VALUE_MAX;

	name[0] = 0;
	if (key.len < OID_BYTES)
		return;
	put64be(by_id + 8, ROOT_IDS);
	memcpy(by_id + OID_BYTES, key.ptr, OID_BYTES);
	if (pool->driver->ops->get(pool->driver, at, (tarn_buf){ by_id, sizeof(by_id) }, value, &len, NULL, 0) == 0)
		snprintf(name, TARN_OBJECT_NAME_MAX + 1, "%.255s", value); /* which ends at a NUL: see object.h */
}

static tarn_buf without_id(tarn_buf key)
{
	return (tarn_buf){ (const uint8_t *)key.ptr + OID_BYTES, key.len - OID_BYTES };
}

/* The upper bound belongs to an object only when it is above the object's first key. */
static void name_objects(struct pool *pool, const struct store_finding *from, struct finding *named)
{
	bool one =
		from->low.len >= OID_BYTES && from->high.len > OID_BYTES && memcmp(from->low.ptr, from->high.ptr, OID_BYTES) == 0;

	name_of_key(pool, from->at, from->low, named->object);
	if (one)
		memcpy(named->last_object, named->object, sizeof(named->object));
	else if (from->high.len > OID_BYTES)
		name_of_key(pool, from->at, from->high, named->last_object);
	if (from->low.len >= OID_BYTES)
		named->finding.low = without_id(from->low);
	if (one)
		named->finding.high = without_id(from->high);
}

void finding_name(struct pool *pool, const struct store_finding *from, struct finding *named)
{
	struct search search = { .tree = from->at.tree };

	*named	       = (struct finding){ .container = "" };
	named->finding = (tarn_finding){ .what	      = from->what,
					 .offset      = from->block * BLOCK_BYTES,
					 .length      = from->blocks * BLOCK_BYTES,
					 .container   = named->container,
					 .epoch	      = from->at.epoch,
					 .object      = named->object,
					 .last_object = named->last_object };
	if (from->at.tree < TREE_FIRST)
		return;
	search.label = named->container;
	(void)container_each(pool, match_tree, &search);
	name_objects(pool, from, named);
}
