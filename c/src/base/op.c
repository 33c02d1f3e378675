/* SPDX-License-Identifier: Apache-2.0 */
/* base/op.c: the states of one operation.
 *
 * Who waits for an operation without a queue sleeps on its state (a futex). Between the store of OP_DONE and the wake-up the
 * owner may already use the memory for something else: waking an address where nobody sleeps is harmless. */
#include "op.h"
#include "eq.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void op_init(struct op *op, struct tarn_eq *eq, void *user, unsigned flags)
{
	memset(op, 0, sizeof(*op));
	op->eq	  = eq;
	op->user  = user;
	op->flags = flags;
}

bool op_idle(const struct op *op)
{
	int state = atomic_load(&op->state);

	return state == OP_NEW || (state == OP_DONE && !op->eq);
}

int op_begin(struct op *op, _Atomic uint32_t *calls)
{
	if (!op_idle(op))
		return fail(BUSY, "the event is in use: take its result before it starts another call");
	op->rc	       = 0;
	op->message[0] = '\0';
	op->calls      = calls;
	op->stop       = NULL;
	atomic_store(&op->abort, 0);
	atomic_fetch_add(calls, 1);
	if (op->eq)
		eq_started(op->eq);
	atomic_store(&op->state, OP_QUEUED);
	return 0;
}

bool op_take(struct op *op)
{
	if (atomic_load(&op->abort))
		return false;
	atomic_store(&op->state, OP_RUNNING);
	return true;
}

bool op_aborted(const struct op *op)
{
	return op && atomic_load(&op->abort);
}

/* The result is in its place, and the handle is free of this call, before anybody can see that it is done. */
static void settle(struct op *op, int rc)
{
	op->rc = rc;
	if (rc < 0)
		snprintf(op->message, sizeof(op->message), "%s", base_message());
	if (op->calls)
		atomic_fetch_sub(op->calls, 1);
}

static void wake(_Atomic int *state)
{
	syscall(SYS_futex, state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* One, or a list that has one queue. */
static void tell(struct op *ops)
{
	if (ops->eq) {
		eq_push(ops->eq, ops);
		return;
	}
	atomic_store(&ops->state, OP_DONE);
	wake(&ops->state);
}

void op_complete(struct op *op, int rc)
{
	settle(op, rc);
	op->next = NULL;
	tell(op);
}

/* Those at the beginning of a list that have one queue; returns the others. */
static struct op *complete_first(struct op *first, int (*rc_of)(const struct op *op, void *arg), void *arg)
{
	struct op *op = first, *last;

	do {
		settle(op, rc_of(op, arg));
		last = op;
		op   = op->next;
	} while (op && op->eq && op->eq == first->eq);
	last->next = NULL;
	tell(first);
	return op;
}

void op_complete_all(struct op *ops, int (*rc_of)(const struct op *op, void *arg), void *arg)
{
	while (ops)
		ops = complete_first(ops, rc_of, arg);
}

void op_answer(struct op *op, int rc)
{
	settle(op, rc);
	if (op->eq)
		eq_dropped(op->eq);
	atomic_store(&op->state, op->eq ? OP_NEW : OP_DONE);
}

int op_refuse(struct op *op, int rc)
{
	op_answer(op, rc);
	atomic_store(&op->state, OP_NEW);
	return rc;
}

static bool sleep_on(_Atomic int *state, int seen, const struct timespec *deadline)
{
	long rc = syscall(SYS_futex, state, FUTEX_WAIT_BITSET_PRIVATE, seen, deadline, NULL, FUTEX_BITSET_MATCH_ANY);

	return rc == 0 || errno != ETIMEDOUT;
}

int op_wait(struct op *op, int64_t timeout_us)
{
	struct timespec deadline = base_wait_until(timeout_us);
	int		state;

	while ((state = atomic_load(&op->state)) != OP_DONE) {
		if (state == OP_NEW)
			return fail(INVAL, "no call was started with this event: there is nothing to wait for");
		if (!sleep_on(&op->state, state, timeout_us < 0 ? NULL : &deadline))
			return fail(TIMEDOUT, "the call has not completed within %lld us, and goes on", (long long)timeout_us);
	}
	if (op->rc < 0)
		base_set_message(op->message);
	return op->rc;
}
