/* SPDX-License-Identifier: Apache-2.0 */
/* device/queue.h: what queue.c (submit, reap, wake) and queue_open.c (open, close, and what is rare) share. Only they include it. */
#ifndef TARN_DEVICE_QUEUE_H
#define TARN_DEVICE_QUEUE_H

#include "backend.h"

static inline void queue_lock(struct device_queue *queue)
{
	if (queue->locked)
		pthread_mutex_lock(&queue->lock);
}

static inline void queue_unlock(struct device_queue *queue)
{
	if (queue->locked)
		pthread_mutex_unlock(&queue->lock);
}

static inline bool queue_deadline_is_over(uint64_t deadline)
{
	return deadline != DEVICE_NO_DEADLINE && base_wait_ns() >= deadline;
}

/* Of a place in `flying`. */
#define FLYING_ATTEMPTS ((uintptr_t)3)

static inline tarn_dev_io *flying_io(uintptr_t place)
{
	return (tarn_dev_io *)(place & ~FLYING_ATTEMPTS);
}

/* Lock held, as in all of these but the first. */
bool queue_is_mine_now(struct device_queue *queue); /* of a SINGLE queue whose owner is another thread: takes it over if it can */
/* io, which has been taken off in_flight or was never on it, is done: for the reaper. */
void queue_keep(struct device_queue *queue, tarn_dev_io *io);
/* io is in flight no more. */
void queue_land(struct device_queue *queue, tarn_dev_io *io);
/* Waits until fewer than `limit` are in flight, or the deadline; what completes is kept for the reaper. */
void queue_wait_for_fewer(struct device_queue *queue, unsigned limit, uint64_t deadline);
/* Makes event_fd readable. */
void queue_ring_event(struct device_queue *queue);

/* True for a queue that is not SINGLE, and for the thread that has it. */
static inline bool queue_is_mine(struct device_queue *queue)
{
	if (!(queue->flags & TARN_DEV_QUEUE_SINGLE) || pthread_equal(queue->owner, pthread_self()))
		return true;
	return queue_is_mine_now(queue);
}

#endif
