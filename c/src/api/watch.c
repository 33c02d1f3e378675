/* SPDX-License-Identifier: Apache-2.0 */
/* api/watch.c: watching objects (tarn/watch.h).
 *
 * A watch counts as a child of the pool's handle: the object may be destroyed, and its container too, and the watch says so. */
#include "check.h"
#include <stdatomic.h>
#include <stdlib.h>

struct tarn_watch {
	struct handle	    handle;
	tarn_pool	   *pool;
	struct store_watch *watch;
	uint64_t	    values; /* tarn_watch_values() */
};

struct watch_call {
	struct call   call;
	tarn_kv	     *kv;
	uint64_t      start;
	tarn_buf      prefix;
	unsigned      flags;
	tarn_changes *changes;
	tarn_watch  **opened;
	tarn_watch   *watch;
	void	     *buf;
	size_t	      cap;
};

static struct watch_call *of(struct call *call)
{
	return container_of(call, struct watch_call, call);
}

static struct driver *driver_of(const tarn_watch *watch)
{
	return watch->pool->pool->driver;
}

static int open_body(struct call *call, unsigned flags)
{
	struct watch_call *c	 = of(call);
	tarn_watch	  *watch = calloc(1, sizeof(*watch));
	tarn_changes	   now	 = { 0 };
	int		   rc;

	(void)flags;
	if (!watch)
		return fail(NOMEM, "no memory for a watch");
	rc = kv_watch(c->kv->object, c->start, c->prefix, c->flags & TARN_WATCH_KEYS_ONLY, &now, &watch->watch);
	if (c->changes)
		*c->changes = now;
	if (rc) {
		free(watch);
		return rc;
	}
	watch->pool = c->kv->parent->parent;
	atomic_fetch_add(&watch->pool->handle.children, 1);
	*c->opened = watch;
	return 0;
}

static int check_open(const tarn_kv *kv, tarn_buf prefix, unsigned flags, tarn_watch *const *watch)
{
	int rc = check_kv(kv);

	if (rc)
		return rc;
	if (prefix.len > TARN_KEY_MAX)
		return fail(KEY2BIG, "the prefix has %zu bytes, and a key has at most %u", prefix.len, TARN_KEY_MAX);
	if (prefix.len && !prefix.ptr)
		return fail(INVAL, "the prefix is NULL, and its length is %zu", prefix.len);
	if (flags & ~TARN_WATCH_KEYS_ONLY)
		return fail(INVAL, "tarn_watch_open: the flags 0x%x are not known", flags & ~TARN_WATCH_KEYS_ONLY);
	return watch ? 0 : fail(INVAL, "tarn_watch_open: there is no place for the watch (NULL)");
}

int tarn_watch_open(tarn_kv *kv, uint64_t start, tarn_buf prefix, unsigned flags, tarn_changes *now, tarn_watch **watch,
		    tarn_event *ev)
{
	static const struct verb verb = { .body = open_body,
					  .size = sizeof(struct watch_call),
					  .lent = { offsetof(struct watch_call, prefix) } };
	struct watch_call c  = { .kv = kv, .start = start, .prefix = prefix, .flags = flags, .changes = now, .opened = watch };
	int		  rc = check_open(kv, prefix, flags, watch);

	if (rc)
		return call_refuse(ev, rc);
	*watch = NULL;
	c.call = call_on_pool(&verb, &kv->handle, kv->object->container->pool);
	return call_run(&c.call, ev);
}

static int check_watch(tarn_watch *watch)
{
	if (!watch)
		return fail(NO_HDL, "the watch is NULL");
	return handle_calls(&watch->handle) ? fail(BUSY, "a call of this watch is running: one at a time") : 0;
}

static int next_body(struct call *call, unsigned flags)
{
	struct watch_call *c	  = of(call);
	struct driver	  *driver = driver_of(c->watch);

	return driver->ops->watch_next(driver, c->watch->watch, c->watch->values, c->buf, c->cap, c->changes, flags);
}

static int check_buffer(const void *buf, size_t cap, const tarn_changes *out)
{
	if (!buf || !out)
		return fail(INVAL, "tarn_watch_next: %s is NULL", buf ? "out" : "buf");
	if ((uintptr_t)buf % 8)
		return fail(INVAL, "tarn_watch_next: the buffer must begin at a multiple of 8 bytes");
	if (cap < sizeof(tarn_entry) + 1)
		return fail(KEY2BIG, "tarn_watch_next: a buffer of %zu bytes holds no key: %u hold any", cap, TARN_KEY_MAX + 32);
	return 0;
}

int tarn_watch_next(tarn_watch *watch, void *buf, size_t cap, tarn_changes *out, tarn_event *ev)
{
	static const struct verb verb = { .body = next_body, .quick = true, .size = sizeof(struct watch_call) };
	struct watch_call	 c    = { .watch = watch, .buf = buf, .cap = cap, .changes = out };
	int			 rc   = check_watch(watch);

	if (rc == 0)
		rc = check_buffer(buf, cap, out);
	if (rc)
		return call_refuse(ev, rc);
	c.call = call_on_pool(&verb, &watch->handle, watch->pool->pool);
	return call_run(&c.call, ev);
}

/* A wait is not a call of the usual kind: nothing runs meanwhile, the operation itself stands in the log's list. */
static int wait_with(tarn_watch *watch, struct op *op)
{
	struct driver *driver = driver_of(watch);
	int	       rc     = op_begin(op, handle_lane(&watch->handle));

	if (rc)
		return rc;
	rc = driver->ops->watch_wait(driver, watch->watch, op);
	if (rc == 1)
		return 0;
	if (op->flags & TARN_EVENT_INLINE) {
		op_answer(op, rc);
		return 1;
	}
	op_complete(op, rc);
	return 0;
}

int tarn_watch_wait(tarn_watch *watch, tarn_event *ev)
{
	struct op local;
	int	  rc = check_watch(watch);

	if (rc)
		return call_refuse(ev, rc);
	if (ev)
		return wait_with(watch, op_of(ev));
	op_init(&local, NULL, NULL, 0);
	rc = wait_with(watch, &local);
	return rc ? rc : op_wait(&local, -1);
}

int tarn_watch_values(tarn_watch *watch, uint64_t max)
{
	int rc = check_watch(watch);

	if (rc == 0)
		watch->values = max;
	return rc;
}

int tarn_watch_skip(tarn_watch *watch, uint64_t n)
{
	int rc = check_watch(watch);

	return rc ? rc : driver_of(watch)->ops->watch_skip(driver_of(watch), watch->watch, n);
}

int tarn_watch_close(tarn_watch *watch)
{
	struct driver *driver;
	int	       rc = check_watch(watch);

	if (rc)
		return rc;
	driver = driver_of(watch);
	driver->ops->watch_close(driver, watch->watch);
	atomic_fetch_sub(&watch->pool->handle.children, 1);
	free(watch);
	return 0;
}
