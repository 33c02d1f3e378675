/* SPDX-License-Identifier: Apache-2.0 */
/* api/pool.c: open pools (tarn/pool.h). */
#include "call.h"
#include <stdatomic.h>
#include <stdlib.h>

int tarn_pool_close(tarn_pool *pool)
{
	int rc;

	if (!pool)
		return fail(NO_HDL, "tarn_pool_close: the pool is NULL");
	rc = handle_check_idle(&pool->handle, "pool", "containers or watches");
	if (rc)
		return rc;
	rc = pool_close(pool->pool);
	atomic_fetch_sub(&pool->sys->handle.children, 1);
	free(pool);
	return rc;
}

struct pool_call {
	struct call	call;
	tarn_pool      *pool;
	tarn_pool_info *info;
};

static struct pool_call *of(struct call *call)
{
	return container_of(call, struct pool_call, call);
}

static struct driver *driver_of(struct call *call)
{
	return of(call)->pool->pool->driver;
}

static int run(const struct verb *verb, tarn_pool *pool, tarn_pool_info *info, tarn_event *ev)
{
	struct pool_call c = { .pool = pool, .info = info };

	if (!pool)
		return call_refuse(ev, fail(NO_HDL, "the pool is NULL"));
	c.call = call_on_pool(verb, &pool->handle, pool->pool);
	return call_run(&c.call, ev);
}

static int query_body(struct call *call, unsigned flags)
{
	struct pool_call *c = of(call);

	(void)flags;
	pool_fill_info(c->pool->pool, c->info);
	return container_count(c->pool->pool, &c->info->containers);
}

int tarn_pool_query(tarn_pool *pool, tarn_pool_info *info, tarn_event *ev)
{
	static const struct verb verb = { .body = query_body, .size = sizeof(struct pool_call) };

	if (!info)
		return call_refuse(ev, fail(INVAL, "tarn_pool_query: there is no place for the answer (NULL)"));
	return run(&verb, pool, info, ev);
}

static int sync_body(struct call *call, unsigned flags)
{
	(void)flags;
	return driver_of(call)->ops->commit(driver_of(call), 0, NULL);
}

int tarn_pool_sync(tarn_pool *pool, tarn_event *ev)
{
	static const struct verb verb = { .body = sync_body, .size = sizeof(struct pool_call) };

	return run(&verb, pool, NULL, ev);
}

static int checkpoint_body(struct call *call, unsigned flags)
{
	(void)flags;
	return driver_of(call)->ops->checkpoint(driver_of(call));
}

int tarn_pool_checkpoint(tarn_pool *pool, tarn_event *ev)
{
	static const struct verb verb = { .body = checkpoint_body, .size = sizeof(struct pool_call) };

	if (pool && pool->readonly)
		return call_refuse(
			ev, fail(EP_RO, "pool %s is open read-only through this handle: no checkpoint", pool->pool->meta.label));
	return run(&verb, pool, NULL, ev);
}
