/* SPDX-License-Identifier: Apache-2.0 */
/* base/eq.c: see eq.h. */
#include "eq.h"
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct tarn_eq {
	pthread_mutex_t lock;
	pthread_cond_t	filled;
	/* Under lock: */
	struct op  *head;
	struct op **tail;
	unsigned    waiters;
	bool	    raised; /* the descriptor is readable, or is about to be */

	_Atomic uint64_t pending;
	_Atomic uint32_t pushing; /* threads that are in eq_push() */
	int		 fd;
};

/* Timeouts must not jump with the wall clock. */
static void init_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int eq_create(struct tarn_eq **out)
{
	struct tarn_eq *eq = calloc(1, sizeof(*eq));

	if (!eq)
		return fail(NOMEM, "no memory for an event queue");
	eq->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (eq->fd < 0) {
		int rc = fail(MISC, "the kernel refused an eventfd for the event queue (errno %d): raise the limit of open files",
			      errno);
		free(eq);
		return rc;
	}
	pthread_mutex_init(&eq->lock, NULL);
	init_cond(&eq->filled);
	eq->tail = &eq->head;
	*out	 = eq;
	return 0;
}

int eq_destroy(struct tarn_eq *eq)
{
	uint64_t pending = atomic_load(&eq->pending);

	if (pending)
		return fail(BUSY, "%llu events of this queue are running or wait to be polled: poll them first",
			    (unsigned long long)pending);
	while (atomic_load(&eq->pushing)) /* what it pushed has been taken already: it is about to leave */
		sched_yield();
	close(eq->fd);
	pthread_cond_destroy(&eq->filled);
	pthread_mutex_destroy(&eq->lock);
	free(eq);
	return 0;
}

int eq_fd(const struct tarn_eq *eq)
{
	return eq->fd;
}

void eq_started(struct tarn_eq *eq)
{
	atomic_fetch_add(&eq->pending, 1);
}

void eq_dropped(struct tarn_eq *eq)
{
	atomic_fetch_sub(&eq->pending, 1);
}

/* The descriptor does not block; what a signal interrupts is tried again. */
static void raise_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void drain_fd(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

/* Who polls wakes at once, and wants the lock: so it is told when that is free. Leaving `pushing` is the last touch: whoever takes the operation
 * may destroy the queue right after. */
void eq_push(struct tarn_eq *eq, struct op *ops)
{
	bool first, waits;

	atomic_fetch_add(&eq->pushing, 1);
	pthread_mutex_lock(&eq->lock);
	first	  = !eq->head;
	waits	  = eq->waiters > 0;
	*eq->tail = ops;
	for (struct op *op = ops; op; op = op->next) {
		atomic_store(&op->state, OP_DONE);
		eq->tail = &op->next;
	}
	eq->raised |= first;
	pthread_mutex_unlock(&eq->lock);
	if (first)
		raise_fd(eq->fd);
	if (waits)
		pthread_cond_signal(&eq->filled);
	atomic_fetch_sub(&eq->pushing, 1);
}

static void wait_filled(struct tarn_eq *eq, int64_t timeout_us)
{
	struct timespec deadline = base_wait_until(timeout_us);
	int		rc	 = 0;

	eq->waiters++;
	while (!eq->head && rc != ETIMEDOUT)
		rc = timeout_us < 0 ? pthread_cond_wait(&eq->filled, &eq->lock)
				    : pthread_cond_timedwait(&eq->filled, &eq->lock, &deadline);
	eq->waiters--;
}

/* The queue is empty. While somebody is still about to raise the descriptor it is left as it is: then the next poll, which finds nothing, lowers
 * it. */
static void lower(struct tarn_eq *eq)
{
	if (!eq->raised || atomic_load(&eq->pushing))
		return;
	drain_fd(eq->fd);
	eq->raised = false;
}

static unsigned take(struct tarn_eq *eq, unsigned n, struct op **ops)
{
	unsigned got = 0;

	while (got < n && eq->head) {
		struct op *op = eq->head;

		eq->head = op->next;
		atomic_store(&op->state, OP_NEW);
		ops[got++] = op;
	}
	if (!eq->head) {
		eq->tail = &eq->head;
		lower(eq);
	} else if (eq->waiters) {
		pthread_cond_signal(&eq->filled);
	}
	atomic_fetch_sub(&eq->pending, got);
	return got;
}

unsigned eq_poll(struct tarn_eq *eq, int64_t timeout_us, unsigned n, struct op **ops)
{
	unsigned got;

	pthread_mutex_lock(&eq->lock);
	if (!eq->head && timeout_us != 0)
		wait_filled(eq, timeout_us);
	got = take(eq, n, ops);
	pthread_mutex_unlock(&eq->lock);
	return got;
}
