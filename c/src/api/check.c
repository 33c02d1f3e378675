/* SPDX-License-Identifier: Apache-2.0 */
/* api/check.c: see check.h. */
#include "check.h"
#include <stdatomic.h>

int check_pool(const tarn_pool *pool, bool change)
{
	if (!pool)
		return fail(NO_HDL, "the pool is NULL");
	if (change && pool->readonly)
		return fail(EP_RO, "pool %s is open read-only through this handle: nothing can be changed",
			    pool->pool->meta.label);
	return 0;
}

int check_cont(const tarn_cont *cont, bool change)
{
	if (!cont)
		return fail(NO_HDL, "the container is NULL");
	if (!change || !cont->readonly)
		return 0;
	if (cont->container->epoch)
		return fail(EP_RO, "this is the snapshot of epoch %llu of container %s: it cannot be changed",
			    (unsigned long long)cont->container->epoch, cont->container->record.label);
	return fail(EP_RO, "container %s is open read-only through this handle: nothing can be changed",
		    cont->container->record.label);
}

int check_cont_name(const char *name)
{
	return name ? 0 : fail(INVAL, "no container is named (NULL)");
}

int check_kv(const tarn_kv *kv)
{
	return kv ? 0 : fail(NO_HDL, "the object is NULL");
}

int check_change(const tarn_kv *kv)
{
	if (!kv)
		return check_kv(kv);
	return kv->readonly
		       ? fail(EP_RO, "object %s is open read-only through this handle: nothing can be changed", kv->object->name)
		       : 0;
}

int check_key(tarn_buf key)
{
	if (key.len == 0)
		return fail(INVAL, "the key is empty: a key has 1 to %u bytes", TARN_KEY_MAX);
	if (!key.ptr)
		return fail(INVAL, "the key is NULL, and its length is %zu", key.len);
	if (key.len > TARN_KEY_MAX)
		return fail(KEY2BIG, "the key has %zu bytes: the limit is %u", key.len, TARN_KEY_MAX);
	return 0;
}

int check_size(const tarn_kv *kv, uint64_t size)
{
	uint64_t limit = kv->object->name[0] ? atomic_load(&kv->object->container->value_max) : TARN_VALUE_MAX;

	if (size > limit)
		return fail(REC2BIG, "the value has %llu bytes: the limit of container %s is %llu", (unsigned long long)size,
			    kv->object->container->record.label, (unsigned long long)limit);
	return 0;
}

int check_value(const tarn_kv *kv, tarn_buf val)
{
	if (val.len && !val.ptr)
		return fail(INVAL, "the value is NULL, and its length is %zu", val.len);
	return check_size(kv, val.len);
}

int check_put_cond(tarn_cond cond)
{
	switch (cond) {
	case TARN_COND_NONE:
	case TARN_COND_INSERT:
	case TARN_COND_UPDATE:
		return 0;
	case TARN_COND_REVISION:
		return fail(INVAL, "the condition on a revision is for batches: use tarn_kv_apply()");
	}
	return fail(INVAL, "there is no condition with the number %d", (int)cond);
}

static int check_bound(const char *what, tarn_buf bound)
{
	if (bound.len && !bound.ptr)
		return fail(INVAL, "the %s of the range is NULL, and its length is %zu", what, bound.len);
	if (bound.len > TARN_KEY_MAX)
		return fail(KEY2BIG, "the %s of the range has %zu bytes: the limit is %u", what, bound.len, TARN_KEY_MAX);
	return 0;
}

int check_range(const tarn_range *range)
{
	const uint32_t known = TARN_RANGE_AFTER | TARN_RANGE_REVERSE | TARN_RANGE_KEYS_ONLY;
	int	       rc;

	if (!range)
		return 0;
	if (range->flags & ~known)
		return fail(INVAL, "the flags 0x%x of the range are not known", range->flags & ~known);
	rc = check_bound("prefix", range->prefix);
	if (rc == 0)
		rc = check_bound("start", range->start);
	return rc ? rc : check_bound("end", range->end);
}

static int check_mutation(const tarn_kv *kv, const tarn_mutation *mut)
{
	int rc = check_key(mut->key);

	if (rc == 0 && mut->change > TARN_CHANGE_NOTE)
		return fail(INVAL, "there is no change with the number %d", (int)mut->change);
	if (rc == 0 && mut->change == TARN_CHANGE_PUT)
		rc = check_value(kv, mut->val);
	if (rc == 0 && mut->change == TARN_CHANGE_NOTE && (mut->val.len > TARN_VALUE_MAX || (mut->val.len && !mut->val.ptr)))
		rc = fail(INVAL, "a note is NULL or too large: its length is %zu", mut->val.len);
	if (rc == 0 && mut->cond != TARN_COND_REVISION)
		rc = check_put_cond(mut->cond);
	if (rc == 0 && mut->change == TARN_CHANGE_DEL && mut->cond == TARN_COND_INSERT)
		rc = fail(INVAL, "a deletion cannot have the condition that its key is absent");
	return rc;
}

int check_mutations(const tarn_kv *kv, const tarn_mutation *muts, size_t n, size_t *failed)
{
	if (n == 0 || n > TARN_BATCH_MAX || !muts)
		return fail(INVAL, "a batch has 1 to %u mutations: this one has %zu", TARN_BATCH_MAX, muts ? n : 0);
	for (size_t i = 0; i < n; i++) {
		int rc = check_mutation(kv, &muts[i]);

		if (!rc)
			continue;
		if (failed)
			*failed = i;
		return base_fail(-rc, "mutation %zu of the batch: %s", i, base_message());
	}
	return 0;
}
