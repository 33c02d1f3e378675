/* SPDX-License-Identifier: Apache-2.0 */
/* api/acl.c: who may use a pool or a container (tarn/acl.h). */
#include "../container/acl.h"
#include "check.h"

struct acl_call {
	struct call	  call;
	struct pool	 *pool;
	struct container *container; /* NULL: it is about the pool */
	tarn_access	 *access;
	tarn_buf	  text, group; /* lent, with their NULs; empty: NULL */
};

static struct acl_call *of(struct call *call)
{
	return container_of(call, struct acl_call, call);
}

#define ACL_VERB(function)                                                                                                       \
	{                                                                                                                        \
		.body = function, .size = sizeof(struct acl_call), .lent = {                                                     \
			offsetof(struct acl_call, text),                                                                         \
			offsetof(struct acl_call, group)                                                                         \
		}                                                                                                                \
	}

static tarn_buf lend(const char *s)
{
	return s ? (tarn_buf){ s, strlen(s) + 1 } : (tarn_buf){ 0 };
}

static const char *lent(tarn_buf text)
{
	return text.len ? text.ptr : NULL;
}

static int run_on_pool(struct acl_call *c, tarn_pool *pool, const struct verb *verb, tarn_event *ev)
{
	c->pool = pool->pool;
	c->call = call_on_pool(verb, &pool->handle, pool->pool);
	return call_run(&c->call, ev);
}

static int run_on_cont(struct acl_call *c, tarn_cont *cont, const struct verb *verb, tarn_event *ev)
{
	c->pool	     = cont->container->pool;
	c->container = cont->container;
	c->call	     = call_on_pool(verb, &cont->handle, c->pool);
	return call_run(&c->call, ev);
}

/* A list that is no good is refused before the call begins. */
static int check_acl(tarn_acl_kind kind, const char *text)
{
	struct acl acl;
	int	   rc = acl_read(kind, text, &acl);

	if (rc == 0)
		acl_free(&acl);
	return rc;
}

static int check_owner(const char *name)
{
	if (name && strnlen(name, OWNER_SIZE) == OWNER_SIZE)
		return fail(INVAL, "the name of an owner or a group has at most %zu bytes", OWNER_SIZE - 1);
	return 0;
}

int tarn_acl_format(tarn_acl_kind kind, const char *acl, char *text, size_t *len)
{
	struct acl list;
	int	   rc;

	if (!len)
		return fail(INVAL, "tarn_acl_format: len is NULL");
	rc = acl_read(kind, acl, &list);
	if (rc)
		return rc;
	rc = acl_write(&list, text, len);
	acl_free(&list);
	return rc;
}

static int get_body(struct call *call, unsigned flags)
{
	struct acl_call *c = of(call);

	(void)flags;
	return access_get(c->pool, c->container, c->access);
}

static const struct verb get_verb = ACL_VERB(get_body);

static int check_access(const tarn_access *access)
{
	if (!access || (access->len && !access->acl))
		return fail(INVAL, "there is no place for the access control list (NULL)");
	return 0;
}

int tarn_pool_get_access(tarn_pool *pool, tarn_access *access, tarn_event *ev)
{
	struct acl_call c  = { .access = access };
	int		rc = check_pool(pool, false);

	if (rc == 0)
		rc = check_access(access);
	return rc ? call_refuse(ev, rc) : run_on_pool(&c, pool, &get_verb, ev);
}

int tarn_cont_get_access(tarn_cont *cont, tarn_access *access, tarn_event *ev)
{
	struct acl_call c  = { .access = access };
	int		rc = check_cont(cont, false);

	if (rc == 0)
		rc = check_access(access);
	return rc ? call_refuse(ev, rc) : run_on_cont(&c, cont, &get_verb, ev);
}

static int overwrite_body(struct call *call, unsigned flags)
{
	struct acl_call *c = of(call);

	(void)flags;
	return access_overwrite(c->pool, c->container, c->text.ptr, &call->lsn);
}

static int update_body(struct call *call, unsigned flags)
{
	struct acl_call *c = of(call);

	(void)flags;
	return access_update(c->pool, c->container, c->text.ptr, &call->lsn);
}

static const struct verb overwrite_verb = ACL_VERB(overwrite_body), update_verb = ACL_VERB(update_body);

static int change_pool(tarn_pool *pool, const char *acl, const struct verb *verb, tarn_event *ev)
{
	struct acl_call c  = { .text = lend(acl) };
	int		rc = check_pool(pool, true);

	if (rc == 0)
		rc = check_acl(TARN_ACL_POOL, acl);
	return rc ? call_refuse(ev, rc) : run_on_pool(&c, pool, verb, ev);
}

static int change_cont(tarn_cont *cont, const char *acl, const struct verb *verb, tarn_event *ev)
{
	struct acl_call c  = { .text = lend(acl) };
	int		rc = check_cont(cont, true);

	if (rc == 0)
		rc = check_acl(TARN_ACL_CONT, acl);
	return rc ? call_refuse(ev, rc) : run_on_cont(&c, cont, verb, ev);
}

int tarn_pool_overwrite_acl(tarn_pool *pool, const char *acl, tarn_event *ev)
{
	return change_pool(pool, acl, &overwrite_verb, ev);
}

int tarn_cont_overwrite_acl(tarn_cont *cont, const char *acl, tarn_event *ev)
{
	return change_cont(cont, acl, &overwrite_verb, ev);
}

int tarn_pool_update_acl(tarn_pool *pool, const char *acl, tarn_event *ev)
{
	return change_pool(pool, acl, &update_verb, ev);
}

int tarn_cont_update_acl(tarn_cont *cont, const char *acl, tarn_event *ev)
{
	return change_cont(cont, acl, &update_verb, ev);
}

static int delete_body(struct call *call, unsigned flags)
{
	struct acl_call *c = of(call);

	(void)flags;
	return access_delete(c->pool, c->container, lent(c->text), &call->lsn);
}

static const struct verb delete_verb = ACL_VERB(delete_body);

int tarn_pool_delete_acl(tarn_pool *pool, const char *principal, tarn_event *ev)
{
	struct acl_call c  = { .text = lend(principal) };
	int		rc = check_pool(pool, true);

	return rc ? call_refuse(ev, rc) : run_on_pool(&c, pool, &delete_verb, ev);
}

int tarn_cont_delete_acl(tarn_cont *cont, const char *principal, tarn_event *ev)
{
	struct acl_call c  = { .text = lend(principal) };
	int		rc = check_cont(cont, true);

	return rc ? call_refuse(ev, rc) : run_on_cont(&c, cont, &delete_verb, ev);
}

static int owner_body(struct call *call, unsigned flags)
{
	struct acl_call *c = of(call);

	(void)flags;
	return access_set_owner(c->pool, lent(c->text), lent(c->group), &call->lsn);
}

int tarn_pool_set_owner(tarn_pool *pool, const char *user, const char *group, tarn_event *ev)
{
	static const struct verb verb = ACL_VERB(owner_body);
	struct acl_call		 c    = { .text = lend(user), .group = lend(group) };
	int			 rc   = check_pool(pool, true);

	if (rc == 0)
		rc = check_owner(user);
	if (rc == 0)
		rc = check_owner(group);
	return rc ? call_refuse(ev, rc) : run_on_pool(&c, pool, &verb, ev);
}
