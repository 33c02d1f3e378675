/* SPDX-License-Identifier: Apache-2.0 */
/* object/purge.c: deleting many keys.
 *
 * A batch's keys are listed into one buffer and deleted from there, so memory and the log's share of a batch are bounded. Deleting
 * needs space too, since pages are never changed in place: when a pool is too full for a batch, a checkpoint gives back what earlier
 * ones freed, and the batches become smaller. */
#include "object.h"
#include <stdlib.h>

#define PURGE_KEYS  1024
#define PURGE_BYTES (STORE_KEY_MAX + 64) /* holds one key of any length */

struct purge {
	struct container     *container;
	struct store_range    range; /* what is left */
	tarn_listing	      listing;
	uint32_t	      most; /* keys in a batch */
	uint64_t	      listed[PURGE_BYTES / 8];
	uint8_t		      last[STORE_KEY_MAX];
	struct store_mutation muts[PURGE_KEYS];
};

/* The next batch begins after the last key of this one. */
static void fill(struct purge *purge)
{
	const uint8_t *at = (const uint8_t *)purge->listed;

	for (uint32_t i = 0; i < purge->listing.count; i++) {
		const tarn_entry *entry = (const void *)at;

		purge->muts[i] = (struct store_mutation){ .change = STORE_DEL,
							  .tree	  = purge->container->tree,
							  .key	  = { at + sizeof(*entry), entry->key_len } };
		at += ROUND_UP(sizeof(*entry) + entry->key_len, 8);
	}
}

static void advance(struct purge *purge)
{
	tarn_buf last = purge->muts[purge->listing.count - 1].key;

	memcpy(purge->last, last.ptr, last.len);
	purge->range.start = (tarn_buf){ purge->last, last.len };
	purge->range.flags |= TARN_RANGE_AFTER;
}

/* With one key to a batch there is nothing left to try. */
static int make_room(struct purge *purge)
{
	struct driver *driver = purge->container->pool->driver;

	if (purge->most == 1)
		return -TARN_E_NOSPACE;
	purge->most	    = MAX(purge->most / 8, 1u);
	purge->listing.more = 1;
	return driver->ops->checkpoint(driver);
}

static int purge_batch(struct purge *purge, uint64_t *count, uint64_t *lsn)
{
	struct driver *driver = purge->container->pool->driver;
	int	       rc;

	rc = driver->ops->list(driver, container_at(purge->container), &purge->range, purge->most, purge->listed,
			       sizeof(purge->listed), &purge->listing, 0);
	if (rc || purge->listing.count == 0)
		return rc;
	fill(purge);
	rc = driver->ops->apply(driver, purge->muts, purge->listing.count, 0, lsn, NULL);
	if (rc == -TARN_E_NOSPACE)
		return make_room(purge);
	if (rc)
		return rc;
	*count += purge->listing.count;
	advance(purge);
	return 0;
}

int purge(struct container *container, const struct store_range *range, const struct op *op, uint64_t *count, uint64_t *lsn)
{
	struct purge *purge = malloc(sizeof(*purge));
	int	      rc;

	if (!purge)
		return fail(NOMEM, "no memory to delete a range of keys (%zu bytes)", sizeof(*purge));
	purge->container   = container;
	purge->most	   = PURGE_KEYS;
	purge->range	   = *range;
	purge->range.strip = 0;
	purge->range.flags = (range->flags & TARN_RANGE_AFTER) | TARN_RANGE_KEYS_ONLY;
	do
		rc = op_aborted(op) ? fail(CANCELED, "deleting a range of keys was aborted; some of them are deleted")
				    : purge_batch(purge, count, lsn);
	while (rc == 0 && purge->listing.more);
	free(purge);
	return rc;
}
