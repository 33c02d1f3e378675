/* SPDX-License-Identifier: Apache-2.0 */
/* object/batch.c: many mutations of one object as one batch of the store. See object.h. */
#include "object.h"
#include <stdlib.h>

struct batch {
	struct object	      *object;
	size_t		       n, changes; /* all; those that are no checks */
	uint8_t		      *values;	   /* copies, after batch_keep() */
	struct store_mutation *muts;	   /* changes, then checks; the keys stand behind them, in the same piece of memory */
	uint32_t	      *places;	   /* in the caller's order */
};

static size_t bytes_of_keys(const tarn_mutation *muts, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += OID_BYTES + muts[i].key.len;
	return bytes;
}

static size_t count_changes(const tarn_mutation *muts, size_t n)
{
	size_t changes = 0;

	for (size_t i = 0; i < n; i++)
		changes += muts[i].change != TARN_CHANGE_CHECK;
	return changes;
}

static void fill(struct batch *batch, const tarn_mutation *muts, uint8_t *keys)
{
	static const enum store_change kinds[]		= { [TARN_CHANGE_PUT]	= STORE_PUT,
							    [TARN_CHANGE_DEL]	= STORE_DEL,
							    [TARN_CHANGE_CHECK] = STORE_CHECK,
							    [TARN_CHANGE_NOTE]	= STORE_PUT };
	static const uint8_t	       notes[OID_BYTES] = { [OID_BYTES - 1] = ROOT_NOTES };
	const struct object	      *object		= batch->object;
	size_t			       change = 0, check = batch->changes;

	for (size_t i = 0; i < batch->n; i++) {
		const tarn_mutation *mut = &muts[i];
		size_t		     to	 = mut->change == TARN_CHANGE_CHECK ? check++ : change++;

		bool put = mut->change == TARN_CHANGE_PUT || mut->change == TARN_CHANGE_NOTE;

		memcpy(keys, mut->change == TARN_CHANGE_NOTE ? notes : object->oid, OID_BYTES);
		memcpy(keys + OID_BYTES, mut->key.ptr, mut->key.len);
		batch->places[to] = (uint32_t)i;
		batch->muts[to]	  = (struct store_mutation){
			  .change   = kinds[mut->change],
			  .cond	    = mut->cond,
			  .revision = mut->revision,
			  .tree	    = object->container->tree,
			  .key	    = { keys, OID_BYTES + mut->key.len },
			  .val	    = put ? mut->val : (tarn_buf){ NULL, 0 },
		};
		keys += OID_BYTES + mut->key.len;
	}
}

int batch_make(struct object *object, const tarn_mutation *muts, size_t n, struct batch **out)
{
	size_t	      head  = sizeof(struct batch) + n * (sizeof(struct store_mutation) + sizeof(uint32_t));
	struct batch *batch = malloc(head + bytes_of_keys(muts, n));

	if (!batch)
		return fail(NOMEM, "no memory for a batch of %zu mutations", n);
	*batch = (struct batch){
		.object = object, .n = n, .changes = count_changes(muts, n), .muts = (struct store_mutation *)(batch + 1)
	};
	batch->places = (uint32_t *)(batch->muts + n);
	fill(batch, muts, (uint8_t *)batch + head);
	*out = batch;
	return 0;
}

int batch_keep(struct batch *batch)
{
	size_t	 bytes = 0;
	uint8_t *at;

	for (size_t i = 0; i < batch->n; i++)
		bytes += batch->muts[i].val.len;
	if (bytes == 0)
		return 0;
	at = batch->values = malloc(bytes);
	if (!at)
		return fail(NOMEM, "no memory for the %zu bytes of a batch's values", bytes);
	for (size_t i = 0; i < batch->n; i++) {
		tarn_buf *val = &batch->muts[i].val;

		if (!val->len)
			continue;
		memcpy(at, val->ptr, val->len);
		val->ptr = at;
		at += val->len;
	}
	return 0;
}

static int explain(int rc, const struct object *object, size_t index)
{
	if (rc == -TARN_E_NONEXIST)
		return fail(NONEXIST, "mutation %zu of the batch wants a key that object %s does not have", index, object->name);
	if (rc == -TARN_E_EXIST)
		return fail(EXIST, "mutation %zu of the batch inserts a key that object %s has already", index, object->name);
	if (rc == -TARN_E_TX_RESTART)
		return fail(TX_RESTART,
			    "mutation %zu of the batch names a revision that its key in object %s does not have: read it again",
			    index, object->name);
	return rc;
}

int batch_apply(struct batch *batch, unsigned flags, uint64_t *lsn, size_t *failed)
{
	struct driver *driver = batch->object->container->pool->driver;
	size_t	       index  = 0;
	int	       rc;

	rc    = driver->ops->apply(driver, batch->muts, batch->n, flags, lsn, &index);
	index = batch->places[index];
	if (rc && rc != -TARN_E_AGAIN && failed)
		*failed = index;
	return explain(rc, batch->object, index);
}

void batch_free(struct batch *batch)
{
	if (!batch)
		return;
	free(batch->values);
	free(batch);
}
