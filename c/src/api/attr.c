/* SPDX-License-Identifier: Apache-2.0 */
/* api/attr.c: user attributes of pools and containers (tarn/attr.h). */
#include "../container/attr.h"
#include "check.h"
#include <stdlib.h>

struct attr_call {
	struct call	     call;
	struct handle	    *handle;
	struct pool	    *pool;
	struct container    *container; /* NULL: it is about the pool */
	tarn_buf	     name;	/* lent, with its NUL; empty: NULL */
	struct attr_changes *changes;
	void		    *buf;
	size_t		     cap;
	size_t		    *len;
	tarn_listing	    *out;
};

static struct attr_call *of(struct call *call)
{
	return container_of(call, struct attr_call, call);
}

#define ATTR_VERB(...)                                                                                                           \
	{                                                                                                                        \
		.size = sizeof(struct attr_call), .lent = { offsetof(struct attr_call, name) }, __VA_ARGS__                      \
	}

static void on_pool(struct attr_call *c, tarn_pool *pool)
{
	c->handle = &pool->handle;
	c->pool	  = pool->pool;
}

static void on_cont(struct attr_call *c, tarn_cont *cont)
{
	c->handle    = &cont->handle;
	c->container = cont->container;
	c->pool	     = cont->container->pool;
}

static int run(struct attr_call *c, const struct verb *verb, tarn_event *ev)
{
	c->call = call_on_pool(verb, c->handle, c->pool);
	return call_run(&c->call, ev);
}

static tarn_buf lend(const char *s)
{
	return s ? (tarn_buf){ s, strlen(s) + 1 } : (tarn_buf){ 0 };
}

/* ---- setting ---- */

static int set_body(struct call *call, unsigned flags)
{
	struct attr_call *c = of(call);

	(void)flags;
	return attr_set(c->pool, c->container, c->changes, &call->lsn);
}

static void set_done(struct call *call)
{
	free(of(call)->changes);
}

static const struct verb set_verb = ATTR_VERB(.body = set_body, .done = set_done);

int tarn_pool_attr_set(tarn_pool *pool, const tarn_attr *attrs, size_t n, tarn_event *ev)
{
	struct attr_call c  = { 0 };
	int		 rc = check_pool(pool, true);

	if (rc == 0)
		rc = attr_changes_make(attrs, n, &c.changes);
	if (rc)
		return call_refuse(ev, rc);
	on_pool(&c, pool);
	return run(&c, &set_verb, ev);
}

int tarn_cont_attr_set(tarn_cont *cont, const tarn_attr *attrs, size_t n, tarn_event *ev)
{
	struct attr_call c  = { 0 };
	int		 rc = check_cont(cont, true);

	if (rc == 0)
		rc = attr_changes_make(attrs, n, &c.changes);
	if (rc)
		return call_refuse(ev, rc);
	on_cont(&c, cont);
	return run(&c, &set_verb, ev);
}

/* ---- getting ---- */

static int get_body(struct call *call, unsigned flags)
{
	struct attr_call *c = of(call);

	(void)flags;
	return attr_get(c->pool, c->container, c->name.ptr, c->buf, c->len);
}

static const struct verb get_verb = ATTR_VERB(.body = get_body);

static int check_get(const char *name, const size_t *len)
{
	return len ? attr_name_check(name) : fail(INVAL, "the length of the room for an attribute is NULL");
}

int tarn_pool_attr_get(tarn_pool *pool, const char *name, void *buf, size_t *len, tarn_event *ev)
{
	struct attr_call c  = { .buf = buf, .len = len };
	int		 rc = check_pool(pool, false);

	if (rc == 0)
		rc = check_get(name, len);
	if (rc)
		return call_refuse(ev, rc);
	c.name = lend(name);
	on_pool(&c, pool);
	return run(&c, &get_verb, ev);
}

int tarn_cont_attr_get(tarn_cont *cont, const char *name, void *buf, size_t *len, tarn_event *ev)
{
	struct attr_call c  = { .buf = buf, .len = len };
	int		 rc = check_cont(cont, false);

	if (rc == 0)
		rc = check_get(name, len);
	if (rc)
		return call_refuse(ev, rc);
	c.name = lend(name);
	on_cont(&c, cont);
	return run(&c, &get_verb, ev);
}

/* ---- listing ---- */

static int list_body(struct call *call, unsigned flags)
{
	struct attr_call *c = of(call);

	(void)flags;
	return attr_list(c->pool, c->container, c->name.len ? c->name.ptr : NULL, c->buf, c->cap, c->out);
}

static const struct verb list_verb = ATTR_VERB(.body = list_body);

static int check_list(const char *after, const void *buf, size_t cap, const tarn_listing *out)
{
	if (!buf || !out)
		return fail(INVAL, "there is no place for a list of attributes (NULL)");
	if ((uintptr_t)buf % 8)
		return fail(INVAL, "the place for a list of attributes is not aligned to 8 bytes");
	if (cap < TARN_ATTR_LIST_MIN)
		return fail(INVAL, "a list of attributes needs room for %u bytes: there are %zu", TARN_ATTR_LIST_MIN, cap);
	return after ? attr_name_check(after) : 0;
}

int tarn_pool_attr_list(tarn_pool *pool, const char *after, void *buf, size_t cap, tarn_listing *out, tarn_event *ev)
{
	struct attr_call c  = { .buf = buf, .cap = cap, .out = out };
	int		 rc = check_pool(pool, false);

	if (rc == 0)
		rc = check_list(after, buf, cap, out);
	if (rc)
		return call_refuse(ev, rc);
	c.name = lend(after);
	on_pool(&c, pool);
	return run(&c, &list_verb, ev);
}

int tarn_cont_attr_list(tarn_cont *cont, const char *after, void *buf, size_t cap, tarn_listing *out, tarn_event *ev)
{
	struct attr_call c  = { .buf = buf, .cap = cap, .out = out };
	int		 rc = check_cont(cont, false);

	if (rc == 0)
		rc = check_list(after, buf, cap, out);
	if (rc)
		return call_refuse(ev, rc);
	c.name = lend(after);
	on_cont(&c, cont);
	return run(&c, &list_verb, ev);
}
