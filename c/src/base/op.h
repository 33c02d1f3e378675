/* SPDX-License-Identifier: Apache-2.0 */
/* base/op.h: one operation, from start to completion.
 *
 * An operation is new, then queued or running, then done, and it is completed exactly once. Its memory is the caller's: a public
 * tarn_event is one, and a call without an event has one on its stack. One body serves both: to wait is to start, then op_wait().
 * After op_complete() the operation belongs to its owner again and must not be touched. */
#ifndef TARN_OP_H
#define TARN_OP_H

#include "base.h"
#include <pthread.h>
#include <tarn/event.h>

enum op_state {
	OP_NEW = 0,
	OP_QUEUED,  /* started; nobody works at it yet; can be aborted */
	OP_RUNNING, /* a thread runs its body, or it waits for the log */
	OP_DONE,
};

struct op {
	struct op	 *next; /* in whatever list holds it */
	struct tarn_eq	 *eq;	/* where it completes; NULL: op_wait() */
	void		 *user;
	uint32_t	  flags; /* TARN_EVENT_INLINE, TARN_EVENT_LENT */
	_Atomic int	  state; /* enum op_state */
	_Atomic int	  abort; /* asked for an early end */
	int		  rc;
	void		 *task;	     /* what the layer that queued it needs to run it; freed by that layer */
	_Atomic uint32_t *calls;     /* of the handle it was started through; op_complete() takes it off */
	uint64_t	  lsn;	     /* what it waits for in the log */
	void (*stop)(struct op *op); /* of one that waits in a list that its end is asked for; NULL: `abort` is looked at */
	char message[TARN_MESSAGE_MAX];
};

_Static_assert(sizeof(struct op) <= sizeof(tarn_event), "an event holds an operation");

void op_init(struct op *op, struct tarn_eq *eq, void *user, unsigned flags);

/* Starts: new, or done and taken, becomes queued, and one is added to *calls. BUSY when it is started already, or waits on its
 * queue to be taken. From here on one of the next three ends it. */
int  op_begin(struct op *op, _Atomic uint32_t *calls);
void op_complete(struct op *op, int rc); /* takes this thread's sentence when rc < 0 */
void op_answer(struct op *op, int rc);	 /* the same, but it does not pass its queue: the caller has the answer in hand */
int  op_refuse(struct op *op, int rc);	 /* the same, and as if it had not been started; returns rc */
bool op_idle(const struct op *op);	 /* not started, or done and taken: it may be started */

/* The same as op_complete() for a list; rc_of says the result of each, and sets this thread's sentence when that is < 0. Those side by side that
 * have the same queue reach it at once. */
void op_complete_all(struct op *ops, int (*rc_of)(const struct op *op, void *arg), void *arg);

bool op_take(struct op *op);	      /* queued becomes running; false when it was asked to end before that */
bool op_aborted(const struct op *op); /* whether an early end was asked for; not of NULL */
int  op_wait(struct op *op,
	     int64_t	timeout_us); /* -TARN_E_TIMEDOUT: it goes on. Sets this thread's sentence when the result is < 0 */

static inline struct op *op_of(tarn_event *ev)
{
	return (struct op *)(void *)ev;
}

#endif
