/* SPDX-License-Identifier: Apache-2.0 */
/* api/object.c: the named objects of a container (tarn/cont.h), and their handles (tarn/kv.h). */
#include "check.h"
#include <stdatomic.h>
#include <stdlib.h>

struct object_call {
	struct call	  call;
	tarn_cont	 *cont;
	tarn_buf	  name; /* lent, with its NUL; may be empty */
	tarn_buf	  to;	/* as name */
	unsigned	  flags;
	tarn_kv		**kv;
	tarn_object_info *infos;
	size_t		 *count;
};

static struct object_call *of(struct call *call)
{
	return container_of(call, struct object_call, call);
}

#define OBJECT_VERB(function)                                                                                                    \
	{                                                                                                                        \
		.body = function, .size = sizeof(struct object_call), .lent = {                                                  \
			offsetof(struct object_call, name),                                                                      \
			offsetof(struct object_call, to)                                                                         \
		}                                                                                                                \
	}

static int check(tarn_cont *cont, const char *name, bool change)
{
	int rc = check_cont(cont, change);

	return rc ? rc : name_check(name);
}

static int run(struct object_call *c, const struct verb *verb, const char *name, tarn_event *ev)
{
	if (name)
		c->name = (tarn_buf){ name, strlen(name) + 1 };
	c->call = call_on_objects(verb, &c->cont->handle, c->cont->container);
	return call_run(&c->call, ev);
}

static int create_body(struct call *call, unsigned flags)
{
	(void)flags;
	return object_create(of(call)->cont->container, of(call)->name.ptr, &call->lsn);
}

int tarn_object_create(tarn_cont *cont, const char *name, tarn_event *ev)
{
	static const struct verb verb = OBJECT_VERB(create_body);
	struct object_call	 c    = { .cont = cont };
	int			 rc   = check(cont, name, true);

	return rc ? call_refuse(ev, rc) : run(&c, &verb, name, ev);
}

static int query_body(struct call *call, unsigned flags)
{
	(void)flags;
	return object_query(of(call)->cont->container, of(call)->name.ptr, of(call)->infos);
}

int tarn_object_query(tarn_cont *cont, const char *name, tarn_object_info *info, tarn_event *ev)
{
	static const struct verb verb = OBJECT_VERB(query_body);
	struct object_call	 c    = { .cont = cont, .infos = info };
	int			 rc   = check(cont, name, false);

	if (rc == 0 && !info)
		rc = fail(INVAL, "tarn_object_query: there is no place for the answer (NULL)");
	return rc ? call_refuse(ev, rc) : run(&c, &verb, name, ev);
}

static int rename_body(struct call *call, unsigned flags)
{
	struct object_call *c = of(call);

	(void)flags;
	return object_rename(c->cont->container, c->name.ptr, c->to.ptr, &call->lsn);
}

int tarn_object_rename(tarn_cont *cont, const char *name, const char *to, tarn_event *ev)
{
	static const struct verb verb = OBJECT_VERB(rename_body);
	struct object_call	 c    = { .cont = cont };
	int			 rc   = check(cont, name, true);

	if (rc == 0)
		rc = name_check(to);
	if (rc)
		return call_refuse(ev, rc);
	c.to = (tarn_buf){ to, strlen(to) + 1 };
	return run(&c, &verb, name, ev);
}

static int destroy_body(struct call *call, unsigned flags)
{
	(void)flags;
	return object_destroy(of(call)->cont->container, of(call)->name.ptr, &call->lsn);
}

int tarn_object_destroy(tarn_cont *cont, const char *name, tarn_event *ev)
{
	static const struct verb verb = OBJECT_VERB(destroy_body);
	struct object_call	 c    = { .cont = cont };
	int			 rc   = check(cont, name, true);

	return rc ? call_refuse(ev, rc) : run(&c, &verb, name, ev);
}

static int list_body(struct call *call, unsigned flags)
{
	struct object_call *c = of(call);

	(void)flags;
	return object_list(c->cont->container, c->name.len ? c->name.ptr : NULL, c->infos, c->count);
}

int tarn_object_list(tarn_cont *cont, const char *after, tarn_object_info *infos, size_t *count, tarn_event *ev)
{
	static const struct verb verb = OBJECT_VERB(list_body);
	struct object_call	 c    = { .cont = cont, .infos = infos, .count = count };
	int			 rc   = 0;

	if (!cont)
		rc = fail(NO_HDL, "the container is NULL");
	else if (!count || !infos)
		rc = fail(INVAL, "tarn_object_list: %s is NULL", count ? "infos" : "count");
	else if (after && strlen(after) > TARN_OBJECT_NAME_MAX)
		rc = fail(INVAL, "an object's name has at most %u bytes: the one to list after has %zu", TARN_OBJECT_NAME_MAX,
			  strlen(after));
	return rc ? call_refuse(ev, rc) : run(&c, &verb, after, ev);
}

static int open_body(struct call *call, unsigned flags)
{
	struct object_call *c	   = of(call);
	bool		    create = c->flags & TARN_KV_CREATE;
	tarn_kv		   *kv	   = calloc(1, sizeof(*kv));
	int		    rc;

	(void)flags;
	if (!kv)
		return fail(NOMEM, "no memory to open object %s", (const char *)c->name.ptr);
	rc = object_open(c->cont->container, c->name.ptr, create, c->cont->readonly, &kv->object, &call->lsn);
	if (rc) {
		free(kv);
		return rc;
	}
	kv->parent   = c->cont;
	kv->readonly = c->cont->readonly || c->flags & TARN_KV_RDONLY;
	atomic_fetch_add(&c->cont->handle.children, 1);
	*c->kv = kv;
	return 0;
}

static int check_notes(tarn_cont *cont, const char *name)
{
	return name ? fail(INVAL, "the notes of a container have no name, and %.100s is given: give NULL", name)
		    : check_cont(cont, false);
}

int tarn_kv_open(tarn_cont *cont, const char *name, unsigned flags, tarn_kv **kv, tarn_event *ev)
{
	static const struct verb verb  = OBJECT_VERB(open_body);
	const unsigned		 known = TARN_KV_CREATE | TARN_KV_RDONLY | TARN_KV_NOTES;
	struct object_call	 c     = { .cont = cont, .flags = flags, .kv = kv };
	int			 rc;

	rc = flags & TARN_KV_NOTES ? check_notes(cont, name) : check(cont, name, false);
	if (!name)
		name = "";
	if (rc == 0 && !kv)
		rc = fail(INVAL, "object %s: there is no place for the handle (NULL)", name);
	if (rc == 0 && flags & ~known)
		rc = fail(INVAL, "object %s: the flags 0x%x are not known", name, flags & ~known);
	if (rc)
		return call_refuse(ev, rc);
	*kv = NULL;
	return run(&c, &verb, name, ev);
}

int tarn_kv_close(tarn_kv *kv)
{
	int rc;

	if (!kv)
		return fail(NO_HDL, "tarn_kv_close: the object is NULL");
	rc = handle_check_idle(&kv->handle, "object", "readers or writers");
	if (rc)
		return rc;
	object_close(kv->object);
	atomic_fetch_sub(&kv->parent->handle.children, 1);
	free(kv);
	return 0;
}
