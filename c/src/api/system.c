/* SPDX-License-Identifier: Apache-2.0 */
/* api/system.c: systems, and what is done to pools that are not open (tarn/pool.h). */
#include "call.h"
#include <stdatomic.h>
#include <stdlib.h>

int tarn_system_open(const char *root, const char *const *devices, size_t ndevices, tarn_system **out)
{
	tarn_system *sys;
	int	     rc;

	if (!out || (ndevices && !devices))
		return fail(INVAL, "tarn_system_open: %s is NULL", out ? "devices" : "sys");
	sys = calloc(1, sizeof(*sys));
	if (!sys)
		return fail(NOMEM, "no memory for a system");
	rc = places_open(root, devices, ndevices, &sys->places);
	if (rc) {
		free(sys);
		return rc;
	}
	workers_init(&sys->workers, 1);
	*out = sys;
	return 0;
}

int tarn_system_close(tarn_system *sys)
{
	int rc;

	if (!sys)
		return fail(NO_HDL, "tarn_system_close: the system is NULL");
	rc = handle_check_idle(&sys->handle, "system", "pools");
	if (rc)
		return rc;
	workers_stop(&sys->workers);
	places_close(&sys->places);
	free(sys);
	return 0;
}

const char *tarn_system_root(const tarn_system *sys)
{
	return sys ? sys->places.root : "";
}

/* A call on a system: which pool, and how. The strings are lent, with their NUL. */
struct system_call {
	struct call	  call;
	tarn_system	 *sys;
	tarn_buf	  name, device;
	tarn_pool_params  params;
	tarn_pool_options options;
	unsigned	  flags;
	tarn_uuid	 *uuid;
	tarn_pool	**pool;
	tarn_pool_info	 *infos;
	size_t		 *count;
};

static struct system_call *of(struct call *call)
{
	return container_of(call, struct system_call, call);
}

static tarn_buf string(const char *s)
{
	return (tarn_buf){ s, s ? strlen(s) + 1 : 0 };
}

static int check_name(tarn_system *sys, const char *name)
{
	if (!sys)
		return fail(NO_HDL, "the system is NULL");
	return name ? 0 : fail(INVAL, "no pool is named (NULL)");
}

#define SYSTEM_VERB(...)                                                                                                         \
	{                                                                                                                        \
		.size = sizeof(struct system_call),                                                                              \
		.lent = { offsetof(struct system_call, name), offsetof(struct system_call, device) }, __VA_ARGS__                \
	}

static int create_body(struct call *call, unsigned flags)
{
	struct system_call *c = of(call);

	(void)flags;
	c->params.device = c->device.len ? c->device.ptr : NULL;
	return pool_create(&c->sys->places, c->name.ptr, &c->params, call->op, c->uuid);
}

int tarn_pool_create(tarn_system *sys, const char *label, const tarn_pool_params *params, tarn_uuid *uuid, tarn_event *ev)
{
	static const struct verb verb = SYSTEM_VERB(.body = create_body);
	struct system_call	 c    = { .sys = sys, .name = string(label), .uuid = uuid };
	int			 rc;

	rc = check_name(sys, label);
	if (rc == 0 && !params)
		rc = fail(INVAL, "pool %s: there are no parameters (NULL): a size is needed", label);
	if (rc == 0)
		rc = options_copy("tarn_pool_params", &c.params, sizeof(c.params), params);
	if (rc)
		return call_refuse(ev, rc);
	c.device = string(c.params.device);
	c.call	 = call_on_system(&verb, sys);
	return call_run(&c.call, ev);
}

static int open_body(struct call *call, unsigned flags)
{
	struct system_call *c	 = of(call);
	tarn_pool	   *pool = calloc(1, sizeof(*pool));
	int		    rc;

	(void)flags;
	if (!pool)
		return fail(NOMEM, "no memory to open pool %s", (const char *)c->name.ptr);
	rc = pool_open(&c->sys->places, c->name.ptr, c->options.cache_bytes, &pool->pool);
	if (rc) {
		free(pool);
		return rc;
	}
	pool->sys      = c->sys;
	pool->readonly = c->options.flags & TARN_POOL_RDONLY;
	atomic_fetch_add(&c->sys->handle.children, 1);
	*c->pool = pool;
	return 0;
}

int tarn_pool_open(tarn_system *sys, const char *label_or_uuid, const tarn_pool_options *options, tarn_pool **pool,
		   tarn_event *ev)
{
	static const struct verb verb = SYSTEM_VERB(.body = open_body);
	struct system_call	 c    = { .sys = sys, .name = string(label_or_uuid), .pool = pool };
	int			 rc;

	rc = check_name(sys, label_or_uuid);
	if (rc == 0 && !pool)
		rc = fail(INVAL, "pool %s: there is no place for the handle (NULL)", label_or_uuid);
	if (rc == 0)
		rc = options_copy("tarn_pool_options", &c.options, sizeof(c.options), options);
	if (rc == 0 && c.options.flags & ~TARN_POOL_RDONLY)
		rc = fail(INVAL, "pool %s: the flags 0x%x are not known", label_or_uuid, c.options.flags & ~TARN_POOL_RDONLY);
	if (rc)
		return call_refuse(ev, rc);
	*pool  = NULL;
	c.call = call_on_system(&verb, sys);
	return call_run(&c.call, ev);
}

static int list_body(struct call *call, unsigned flags)
{
	struct system_call *c = of(call);
	struct found_list   list;
	size_t		    room = c->infos ? *c->count : 0;
	int		    rc;

	(void)flags;
	rc = find_all(&c->sys->places, &list);
	if (rc)
		return rc;
	for (size_t i = 0; i < MIN(room, list.n); i++)
		found_fill_info(&list.pools[i], &c->infos[i]);
	*c->count = list.n;
	if (c->infos && room < list.n)
		rc = fail(TRUNC, "there are %zu pools, and room for %zu: ask again with more room", list.n, room);
	found_list_free(&list);
	return rc;
}

int tarn_pool_list(tarn_system *sys, tarn_pool_info *infos, size_t *count, tarn_event *ev)
{
	static const struct verb verb = SYSTEM_VERB(.body = list_body);
	struct system_call	 c    = { .sys = sys, .infos = infos, .count = count };

	if (!sys)
		return call_refuse(ev, fail(NO_HDL, "the system is NULL"));
	if (!count)
		return call_refuse(ev, fail(INVAL, "tarn_pool_list: count is NULL"));
	c.call = call_on_system(&verb, sys);
	return call_run(&c.call, ev);
}

#define LOOK_CACHE (UINT64_C(8) << 20) /* bytes: enough to count containers */

/* Who opens it to look, holds it: so BUSY comes from here too. */
static int check_no_containers(const struct places *places, const char *name)
{
	uint64_t     count = 0;
	struct pool *pool;
	bool	     shared;
	int	     rc, closed;

	rc = pool_open(places, name, LOOK_CACHE, &pool);
	if (rc)
		return rc;
	shared = pool_is_shared(pool);
	rc     = container_count(pool, &count);
	closed = pool_close(pool);
	if (shared)
		return fail(BUSY, "pool %s is open in this process: close it first", name);
	if (rc == 0 && count)
		rc = fail(BUSY, "pool %s holds %llu containers: destroy them first, or use force", name,
			  (unsigned long long)count);
	return rc ? rc : closed;
}

static int destroy_body(struct call *call, unsigned flags)
{
	struct system_call *c  = of(call);
	int		    rc = 0;

	(void)flags;
	if (!(c->flags & TARN_DESTROY_FORCE))
		rc = check_no_containers(&c->sys->places, c->name.ptr);
	return rc ? rc : pool_erase(&c->sys->places, c->name.ptr);
}

int tarn_pool_destroy(tarn_system *sys, const char *label_or_uuid, unsigned flags, tarn_event *ev)
{
	static const struct verb verb = SYSTEM_VERB(.body = destroy_body);
	struct system_call	 c    = { .sys = sys, .name = string(label_or_uuid), .flags = flags };
	int			 rc;

	rc = check_name(sys, label_or_uuid);
	if (rc == 0 && flags & ~TARN_DESTROY_FORCE)
		rc = fail(INVAL, "pool %s: the flags 0x%x are not known", label_or_uuid, flags & ~TARN_DESTROY_FORCE);
	if (rc)
		return call_refuse(ev, rc);
	c.call = call_on_system(&verb, sys);
	return call_run(&c.call, ev);
}
