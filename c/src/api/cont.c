/* SPDX-License-Identifier: Apache-2.0 */
/* api/cont.c: containers (tarn/cont.h). */
#include "check.h"
#include <stdatomic.h>
#include <stdlib.h>

struct cont_call {
	struct call	   call;
	tarn_pool	  *pool;
	tarn_cont	  *cont;
	tarn_buf	   name, snapshot; /* lent, with their NULs */
	uint64_t	   epoch;
	bool		   is_snapshot;
	tarn_cont_type	   type;
	struct prop_change props;
	unsigned	   flags;
	tarn_uuid	  *uuid;
	tarn_cont	 **opened;
	tarn_cont_info	  *infos;
	size_t		  *count;
};

static struct cont_call *of(struct call *call)
{
	return container_of(call, struct cont_call, call);
}

#define CONT_VERB(function)                                                                                                      \
	{                                                                                                                        \
		.body = function, .size = sizeof(struct cont_call), .lent = {                                                    \
			offsetof(struct cont_call, name),                                                                        \
			offsetof(struct cont_call, snapshot)                                                                     \
		}                                                                                                                \
	}

static tarn_buf string(const char *s)
{
	return (tarn_buf){ s, strlen(s) + 1 };
}

static int run_on_pool(struct cont_call *c, const struct verb *verb, tarn_event *ev)
{
	c->call = call_on_pool(verb, &c->pool->handle, c->pool->pool);
	return call_run(&c->call, ev);
}

static int run_on_cont(struct cont_call *c, const struct verb *verb, tarn_event *ev)
{
	c->call = call_on_pool(verb, &c->cont->handle, c->cont->container->pool);
	return call_run(&c->call, ev);
}

static int create_body(struct call *call, unsigned flags)
{
	struct cont_call *c = of(call);

	(void)flags;
	return container_create(c->pool->pool, c->name.ptr, c->type, &c->props, c->uuid, &call->lsn);
}

int tarn_cont_create(tarn_pool *pool, const char *label, tarn_cont_type type, const tarn_prop *props, size_t nprops,
		     tarn_uuid *uuid, tarn_event *ev)
{
	static const struct verb verb = CONT_VERB(create_body);
	struct cont_call	 c    = { .pool = pool, .type = type, .uuid = uuid };
	int			 rc;

	rc = check_pool(pool, true);
	if (rc == 0)
		rc = label_check("container", label);
	if (rc == 0)
		rc = props_check(props, nprops, &c.props);
	if (rc)
		return call_refuse(ev, rc);
	c.name = string(label);
	return run_on_pool(&c, &verb, ev);
}

static int open_container(struct cont_call *c, tarn_cont *cont)
{
	const char *name = c->name.ptr;
	int	    rc;

	if (c->is_snapshot)
		rc = snapshot_open(c->pool->pool, name, c->epoch, c->snapshot.len ? c->snapshot.ptr : NULL, &cont->container);
	else
		rc = container_open(c->pool->pool, name, &cont->container);
	if (rc)
		return rc;
	cont->parent   = c->pool;
	cont->readonly = c->is_snapshot || c->pool->readonly || c->flags & TARN_CONT_RDONLY;
	if (!cont->readonly)
		rc = objects_sweep(cont->container);
	if (rc)
		container_close(cont->container);
	return rc;
}

static int open_body(struct call *call, unsigned flags)
{
	struct cont_call *c    = of(call);
	tarn_cont	 *cont = calloc(1, sizeof(*cont));
	int		  rc;

	(void)flags;
	if (!cont)
		return fail(NOMEM, "no memory to open container %s", (const char *)c->name.ptr);
	rc = open_container(c, cont);
	if (rc) {
		free(cont);
		return rc;
	}
	atomic_fetch_add(&c->pool->handle.children, 1);
	*c->opened = cont;
	return 0;
}

int tarn_cont_open(tarn_pool *pool, const char *label_or_uuid, unsigned flags, tarn_cont **cont, tarn_event *ev)
{
	static const struct verb verb = CONT_VERB(open_body);
	struct cont_call	 c    = { .pool = pool, .flags = flags, .opened = cont };
	int			 rc;

	rc = check_pool(pool, false);
	if (rc == 0)
		rc = check_cont_name(label_or_uuid);
	if (rc == 0 && !cont)
		rc = fail(INVAL, "container %s: there is no place for the handle (NULL)", label_or_uuid);
	if (rc == 0 && flags & ~TARN_CONT_RDONLY)
		rc = fail(INVAL, "container %s: the flags 0x%x are not known", label_or_uuid, flags & ~TARN_CONT_RDONLY);
	if (rc)
		return call_refuse(ev, rc);
	*cont  = NULL;
	c.name = string(label_or_uuid);
	return run_on_pool(&c, &verb, ev);
}

int tarn_cont_open_snap(tarn_pool *pool, const char *label_or_uuid, uint64_t epoch, const char *name, tarn_cont **cont,
			tarn_event *ev)
{
	static const struct verb verb = CONT_VERB(open_body);
	struct cont_call	 c    = { .pool = pool, .epoch = epoch, .is_snapshot = true, .opened = cont };
	int			 rc;

	rc = check_pool(pool, false);
	if (rc == 0)
		rc = check_cont_name(label_or_uuid);
	if (rc == 0 && !cont)
		rc = fail(INVAL, "container %s: there is no place for the handle (NULL)", label_or_uuid);
	if (rc == 0 && !name == !epoch)
		rc = fail(INVAL, "container %s: a snapshot is named by its name or by its epoch: %s are given", label_or_uuid,
			  name ? "both" : "neither of them");
	if (rc)
		return call_refuse(ev, rc);
	*cont  = NULL;
	c.name = string(label_or_uuid);
	if (name)
		c.snapshot = string(name);
	return run_on_pool(&c, &verb, ev);
}

int tarn_cont_close(tarn_cont *cont)
{
	int rc;

	if (!cont)
		return fail(NO_HDL, "tarn_cont_close: the container is NULL");
	rc = handle_check_idle(&cont->handle, "container", "objects");
	if (rc)
		return rc;
	container_close(cont->container);
	atomic_fetch_sub(&cont->parent->handle.children, 1);
	free(cont);
	return 0;
}

static int query_body(struct call *call, unsigned flags)
{
	struct cont_call *c	    = of(call);
	struct container *container = c->cont->container;

	int rc;

	(void)flags;
	container_fill_info(container, c->infos);
	rc = container_objects(container->pool, container_at(container), &c->infos->objects);
	return rc ? rc : snapshot_count(container->pool, &c->infos->uuid, &c->infos->snapshots);
}

int tarn_cont_query(tarn_cont *cont, tarn_cont_info *info, tarn_event *ev)
{
	static const struct verb verb = CONT_VERB(query_body);
	struct cont_call	 c    = { .cont = cont, .infos = info };

	if (!cont)
		return call_refuse(ev, fail(NO_HDL, "the container is NULL"));
	if (!info)
		return call_refuse(ev, fail(INVAL, "tarn_cont_query: there is no place for the answer (NULL)"));
	return run_on_cont(&c, &verb, ev);
}

struct listing {
	struct pool    *pool;
	tarn_cont_info *infos;
	size_t		room, n;
};

static int list_one(const struct record *record, unsigned opens, void *arg)
{
	struct listing *listing = arg;
	tarn_cont_info *info	= &listing->infos[listing->n];

	int rc;

	if (listing->n++ >= listing->room)
		return 0;
	record_fill_info(record, opens, info);
	rc = container_objects(listing->pool, (struct store_at){ .tree = record->tree }, &info->objects);
	return rc ? rc : snapshot_count(listing->pool, &record->uuid, &info->snapshots);
}

static int list_body(struct call *call, unsigned flags)
{
	struct cont_call *c	  = of(call);
	struct listing	  listing = { .pool = c->pool->pool, .infos = c->infos, .room = c->infos ? *c->count : 0 };
	int		  rc	  = container_each(c->pool->pool, list_one, &listing);

	(void)flags;
	if (rc)
		return rc;
	*c->count = listing.n;
	if (c->infos && listing.n > listing.room)
		rc = fail(TRUNC, "there are %zu containers, and room for %zu: ask again with more room", listing.n, listing.room);
	return rc;
}

int tarn_cont_list(tarn_pool *pool, tarn_cont_info *infos, size_t *count, tarn_event *ev)
{
	static const struct verb verb = CONT_VERB(list_body);
	struct cont_call	 c    = { .pool = pool, .infos = infos, .count = count };
	int			 rc   = check_pool(pool, false);

	if (rc == 0 && !count)
		rc = fail(INVAL, "tarn_cont_list: count is NULL");
	return rc ? call_refuse(ev, rc) : run_on_pool(&c, &verb, ev);
}

static int set_props_body(struct call *call, unsigned flags)
{
	(void)flags;
	return container_set_props(of(call)->cont->container, &of(call)->props, &call->lsn);
}

int tarn_cont_set_props(tarn_cont *cont, const tarn_prop *props, size_t nprops, tarn_event *ev)
{
	static const struct verb verb = CONT_VERB(set_props_body);
	struct cont_call	 c    = { .cont = cont };
	int			 rc   = check_cont(cont, true);

	if (rc == 0)
		rc = props_check(props, nprops, &c.props);
	return rc ? call_refuse(ev, rc) : run_on_cont(&c, &verb, ev);
}

static int sync_body(struct call *call, unsigned flags)
{
	(void)flags;
	return call->driver->ops->commit(call->driver, 0, NULL);
}

int tarn_cont_sync(tarn_cont *cont, tarn_event *ev)
{
	static const struct verb verb = CONT_VERB(sync_body);
	struct cont_call	 c    = { .cont = cont };
	int			 rc   = check_cont(cont, false);

	return rc ? call_refuse(ev, rc) : run_on_cont(&c, &verb, ev);
}

static int destroy_body(struct call *call, unsigned flags)
{
	struct cont_call *c = of(call);

	(void)flags;
	return container_destroy(c->pool->pool, c->name.ptr, c->flags & TARN_DESTROY_FORCE, &call->lsn);
}

int tarn_cont_destroy(tarn_pool *pool, const char *label_or_uuid, unsigned flags, tarn_event *ev)
{
	static const struct verb verb = CONT_VERB(destroy_body);
	struct cont_call	 c    = { .pool = pool, .flags = flags };
	int			 rc   = check_pool(pool, true);

	if (rc == 0)
		rc = check_cont_name(label_or_uuid);
	if (rc == 0 && flags & ~TARN_DESTROY_FORCE)
		rc = fail(INVAL, "container %s: the flags 0x%x are not known", label_or_uuid, flags & ~TARN_DESTROY_FORCE);
	if (rc)
		return call_refuse(ev, rc);
	c.name = string(label_or_uuid);
	return run_on_pool(&c, &verb, ev);
}
