/* SPDX-License-Identifier: Apache-2.0 */
/* api/call.c: see call.h. */
#include "call.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

int call_refuse(tarn_event *ev, int rc)
{
	struct op *op = ev ? op_of(ev) : NULL;

	if (op && op_idle(op)) {
		op->rc = rc;
		snprintf(op->message, sizeof(op->message), "%s", base_message());
	}
	return rc;
}

static void call_done(struct call *call)
{
	if (call->verb->done)
		call->verb->done(call);
}

/* Must the call wait for the log? */
static bool call_commits(const struct call *call, uint64_t lsn)
{
	return lsn && !(call->relaxed && call->driver->ops->relax(call->driver, lsn));
}

/* The body, where it may wait. */
static int call_body(struct call *call)
{
	return call->verb->body(call, call->relaxed ? 0 : STORE_COMMITS);
}

static int call_now(struct call *call)
{
	_Atomic uint32_t *calls;
	int		  rc;

	calls = handle_enter(call->handle);
	rc    = call_body(call);
	call_done(call);
	if (rc == 0 && call_commits(call, call->lsn))
		rc = call->driver->ops->commit(call->driver, call->lsn, NULL);
	handle_leave(calls);
	return rc;
}

/* ---- with an event ---- */

/* Is what the call was lent there until it has completed? */
static bool stays(const struct call *call)
{
	return call->op->flags & TARN_EVENT_LENT;
}

static size_t bytes_lent(const struct call *call)
{
	const char *base  = (const char *)call;
	size_t	    bytes = 0;

	for (int i = 0; i < 4 && call->verb->lent[i]; i++)
		bytes += ((const tarn_buf *)(const void *)(base + call->verb->lent[i]))->len;
	return bytes;
}

static void copy_lent(struct call *call, char *to)
{
	for (int i = 0; i < 4 && call->verb->lent[i]; i++) {
		tarn_buf *lent = (tarn_buf *)(void *)((char *)call + call->verb->lent[i]);

		if (lent->len)
			memcpy(to, lent->ptr, lent->len);
		lent->ptr = to;
		to += lent->len;
	}
}

/* The call on the heap, with all that it was lent and may not use later. NULL: no memory, with a sentence. */
static struct call *call_keep(const struct call *call)
{
	size_t	     lent = stays(call) ? 0 : bytes_lent(call);
	struct call *kept = malloc(call->verb->size + lent);

	if (!kept) {
		(void)fail(NOMEM, "no memory to keep the call and the %zu bytes it was lent", lent);
		return NULL;
	}
	memcpy(kept, call, call->verb->size);
	if (!stays(call))
		copy_lent(kept, (char *)kept + call->verb->size);
	if (kept->verb->keep && kept->verb->keep(kept)) {
		free(kept);
		return NULL;
	}
	return kept;
}

/* The end of a call that was kept: its memory goes first, since the operation may be its owner's the next instant. */
static void call_finish(struct call *call, int rc)
{
	struct driver *driver = call->driver;
	struct op     *op     = call->op;
	uint64_t       lsn    = rc == 0 ? call->lsn : 0;
	bool	       commit = call_commits(call, lsn);

	call_done(call);
	free(call);
	if (commit)
		driver->ops->commit(driver, lsn, op);
	else
		op_complete(op, rc);
}

static void call_task(struct task *task)
{
	struct call *call = container_of(task, struct call, task);
	int	     rc;

	rc = op_take(call->op) ? call_body(call) : fail(CANCELED, "the call was cancelled before it began");
	call_finish(call, rc);
}

/* The call has just wanted a page. true: it is another thread's now, and perhaps done already, so that its handle may be closed before
 * park() is back: for that long it counts as one more call of it. */
static bool call_park(struct call *call)
{
	_Atomic uint32_t *calls	 = handle_enter(call->handle);
	struct driver	 *driver = call->driver;
	bool		  parked = driver->ops->park(driver, &call->wait);

	handle_leave(calls);
	return parked;
}

static void call_ready(struct store_wait *wait)
{
	struct call *call = container_of(wait, struct call, wait);
	int	     rc;

	rc = op_take(call->op) ? call->verb->body(call, STORE_NOWAIT)
			       : fail(CANCELED, "the call was cancelled while it waited for the device");
	if (rc == -TARN_E_AGAIN) {
		if (call_park(call))
			return;
		rc = workers_submit(call->workers, &call->task);
		if (rc == 0)
			return;
	}
	call_finish(call, rc);
}

static int call_queue(struct call *call, bool may_park)
{
	struct op   *op	  = call->op;
	struct call *kept = call_keep(call);
	int	     rc;

	if (!kept) {
		call_done(call);
		return op_refuse(op, -TARN_E_NOMEM);
	}
	kept->task.run	 = call_task;
	kept->wait.ready = call_ready;
	if (may_park && call_park(kept))
		return 0;
	rc = workers_submit(kept->workers, &kept->task);
	if (rc == 0)
		return 0;
	call_done(kept);
	free(kept);
	return op_refuse(op, rc);
}

/* The result is here already, on the caller's thread. */
static int call_answer(struct call *call, int rc)
{
	struct op *op	     = call->op;
	bool	   is_inline = op->flags & TARN_EVENT_INLINE;

	call_done(call);
	if (rc == 0 && call_commits(call, call->lsn)) {
		_Atomic uint32_t *calls = handle_enter(call->handle); /* another thread may take the result, and close, before
									* commit() is back */

		op_take(op);
		call->driver->ops->commit(call->driver, call->lsn, op);
		handle_leave(calls);
		return 0;
	}
	if (is_inline)
		op_answer(op, rc);
	else
		op_complete(op, rc);
	return is_inline;
}

int call_run(struct call *call, tarn_event *ev)
{
	bool quick = call->verb->quick;
	int  rc;

	if (!ev)
		return call_now(call);
	call->op = op_of(ev);
	rc	 = op_begin(call->op, handle_lane(call->handle));
	if (rc) {
		call_done(call);
		return rc;
	}
	rc = quick ? call->verb->body(call, STORE_NOWAIT) : -TARN_E_AGAIN;
	return rc == -TARN_E_AGAIN ? call_queue(call, quick) : call_answer(call, rc);
}

struct call call_on_system(const struct verb *verb, tarn_system *sys)
{
	return (struct call){ .verb = verb, .handle = &sys->handle, .workers = &sys->workers };
}

struct call call_on_pool(const struct verb *verb, struct handle *handle, struct pool *pool)
{
	return (struct call){ .verb = verb, .handle = handle, .driver = pool->driver, .workers = &pool->driver->workers };
}

struct call call_on_objects(const struct verb *verb, struct handle *handle, struct container *container)
{
	struct call call = call_on_pool(verb, handle, container->pool);

	call.relaxed = atomic_load_explicit(&container->relaxed, memory_order_relaxed);
	return call;
}

/* ---- handles and options ---- */

/* The lanes go round among the threads. */
_Atomic uint32_t *handle_lane(struct handle *handle)
{
	static _Atomic uint32_t	      threads;
	static _Thread_local uint32_t mine; /* its number, from 1 on */

	if (!mine)
		mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % HANDLE_LANES + 1;
	return &handle->lanes[mine - 1].calls;
}

_Atomic uint32_t *handle_enter(struct handle *handle)
{
	_Atomic uint32_t *calls = handle_lane(handle);

	atomic_fetch_add(calls, 1);
	return calls;
}

void handle_leave(_Atomic uint32_t *calls)
{
	atomic_fetch_sub(calls, 1);
}

uint32_t handle_calls(struct handle *handle)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < HANDLE_LANES; i++)
		n += atomic_load(&handle->lanes[i].calls);
	return n;
}

int handle_check_idle(struct handle *handle, const char *what, const char *children)
{
	uint32_t calls = handle_calls(handle), open = atomic_load(&handle->children);

	if (calls)
		return fail(BUSY, "the %s cannot be closed: %u calls of it are running: wait for them", what, calls);
	if (open)
		return fail(BUSY, "the %s cannot be closed: %u %s of it are open: close them first", what, open, children);
	return 0;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	while (len && *p == 0)
		p++, len--;
	return len == 0;
}

int options_copy(const char *what, void *to, size_t size, const void *from)
{
	size_t given;

	memset(to, 0, size);
	if (!from)
		return 0;
	memcpy(&given, from, sizeof(given));
	if (given < sizeof(given) || given > 4096)
		return fail(INVAL, "%s: struct_size is %zu: set it to sizeof(%s), here %zu", what, given, what, size);
	if (given > size && !is_zero((const uint8_t *)from + size, given - size))
		return fail(
			INVAL,
			"%s: struct_size is %zu, this library knows %zu bytes, and the rest is not 0: it is of a newer version",
			what, given, size);
	memcpy(to, from, MIN(given, size));
	return 0;
}
