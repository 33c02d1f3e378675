/* SPDX-License-Identifier: Apache-2.0 */
/* api/snap.c: snapshots (tarn/snap.h). Their handles are containers', and opened in cont.c. */
#include "check.h"

struct snap_call {
	struct call	call;
	tarn_cont      *cont;
	tarn_buf	name; /* lent, with its NUL; may be empty */
	uint64_t	epoch;
	uint64_t       *taken;
	tarn_snap_info *infos;
	size_t	       *count;
};

static struct snap_call *of(struct call *call)
{
	return container_of(call, struct snap_call, call);
}

#define SNAP_VERB(function)                                                                                                      \
	{                                                                                                                        \
		.body = function, .size = sizeof(struct snap_call), .lent = { offsetof(struct snap_call, name) }                 \
	}

static int run(struct snap_call *c, const struct verb *verb, tarn_event *ev)
{
	c->call = call_on_pool(verb, &c->cont->handle, c->cont->container->pool);
	return call_run(&c->call, ev);
}

static int create_body(struct call *call, unsigned flags)
{
	struct snap_call *c = of(call);

	(void)flags;
	return snapshot_create(c->cont->container, c->name.len ? c->name.ptr : NULL, c->taken, &call->lsn);
}

int tarn_snap_create(tarn_cont *cont, const char *name, uint64_t *epoch, tarn_event *ev)
{
	static const struct verb verb = SNAP_VERB(create_body);
	struct snap_call	 c    = { .cont = cont, .taken = epoch };
	int			 rc   = check_cont(cont, true);

	if (rc == 0 && name)
		rc = label_check("snapshot", name);
	if (rc)
		return call_refuse(ev, rc);
	if (name)
		c.name = (tarn_buf){ name, strlen(name) + 1 };
	return run(&c, &verb, ev);
}

static int list_body(struct call *call, unsigned flags)
{
	struct snap_call *c    = of(call);
	size_t		  room = c->infos ? *c->count : 0;
	int		  rc   = snapshot_list(c->cont->container, c->infos, room, c->count);

	(void)flags;
	if (rc == 0 && c->infos && *c->count > room)
		rc = fail(TRUNC, "there are %zu snapshots, and room for %zu: ask again with more room", *c->count, room);
	return rc;
}

int tarn_snap_list(tarn_cont *cont, tarn_snap_info *infos, size_t *count, tarn_event *ev)
{
	static const struct verb verb = SNAP_VERB(list_body);
	struct snap_call	 c    = { .cont = cont, .infos = infos, .count = count };
	int			 rc   = check_cont(cont, false);

	if (rc == 0 && !count)
		rc = fail(INVAL, "tarn_snap_list: count is NULL");
	return rc ? call_refuse(ev, rc) : run(&c, &verb, ev);
}

static int destroy_body(struct call *call, unsigned flags)
{
	(void)flags;
	return snapshot_destroy(of(call)->cont->container, of(call)->epoch, &call->lsn);
}

int tarn_snap_destroy(tarn_cont *cont, uint64_t epoch, tarn_event *ev)
{
	static const struct verb verb = SNAP_VERB(destroy_body);
	struct snap_call	 c    = { .cont = cont, .epoch = epoch };
	int			 rc   = check_cont(cont, true);

	return rc ? call_refuse(ev, rc) : run(&c, &verb, ev);
}
