/* SPDX-License-Identifier: Apache-2.0 */
/* api/event.c: tarn/event.h. An event is an operation (base/op.h); a queue is base/eq.h. */
#include "../base/eq.h"
#include <stdatomic.h>

int tarn_eq_create(tarn_eq **eq)
{
	if (!eq)
		return fail(INVAL, "tarn_eq_create: there is no place for the queue (NULL)");
	return eq_create(eq);
}

int tarn_eq_destroy(tarn_eq *eq)
{
	if (!eq)
		return fail(NO_HDL, "tarn_eq_destroy: the queue is NULL");
	return eq_destroy(eq);
}

int tarn_eq_fd(const tarn_eq *eq)
{
	return eq ? eq_fd(eq) : fail(NO_HDL, "tarn_eq_fd: the queue is NULL");
}

int tarn_eq_poll(tarn_eq *eq, int64_t timeout_us, unsigned n, tarn_event **events)
{
	if (!eq)
		return fail(NO_HDL, "tarn_eq_poll: the queue is NULL");
	if (!n || !events)
		return fail(INVAL, "tarn_eq_poll: there is no room for an event (n is %u)", n);
	/* An event and its operation are one address, and pointers to them have one representation. */
	return (int)eq_poll(eq, timeout_us, MIN(n, 1u << 20), (struct op **)(void *)events);
}

void tarn_event_init(tarn_event *ev, tarn_eq *eq, void *user, unsigned flags)
{
	op_init(op_of(ev), eq, user, flags);
}

static const struct op *const_op_of(const tarn_event *ev)
{
	return (const struct op *)(const void *)ev;
}

void *tarn_event_user(const tarn_event *ev)
{
	return const_op_of(ev)->user;
}

static bool is_running(const struct op *op)
{
	int state = atomic_load(&op->state);

	return state == OP_QUEUED || state == OP_RUNNING;
}

int tarn_event_result(const tarn_event *ev)
{
	const struct op *op = const_op_of(ev);

	return is_running(op) ? -TARN_E_INPROGRESS : op->rc;
}

const char *tarn_event_message(const tarn_event *ev)
{
	const struct op *op = const_op_of(ev);

	return is_running(op) ? "" : op->message;
}

int tarn_event_wait(tarn_event *ev, int64_t timeout_us)
{
	if (!ev)
		return fail(INVAL, "tarn_event_wait: the event is NULL");
	if (op_of(ev)->eq)
		return fail(INVAL, "tarn_event_wait: the event has a queue, its result arrives there: use tarn_eq_poll()");
	return op_wait(op_of(ev), timeout_us);
}

int tarn_event_abort(tarn_event *ev)
{
	if (!ev || !is_running(op_of(ev)))
		return fail(INVAL, "tarn_event_abort: no call is running with this event");
	atomic_store(&op_of(ev)->abort, 1);
	if (op_of(ev)->stop)
		op_of(ev)->stop(op_of(ev));
	return 0;
}
