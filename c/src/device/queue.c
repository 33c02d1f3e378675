/* SPDX-License-Identifier: Apache-2.0 */
/* device/queue.c: the bookkeeping of queues: what is in flight, what is done, and who waits.
 *
 * Always true: an I/O is in one place: with the backend (in_flight counts those), in `done`, or its caller's. The lock guards the
 * counting and the list, and is not held while the backend works. A backend that has to be asked for completions is asked by one
 * thread at a time, the one that set `fetching`: the reaper, or a submitter that needs room while nobody reaps. Whoever makes such
 * a thread's wait pointless (an I/O is done without the backend, a wake) changes the state first and calls the backend's wake()
 * after, so that the thread finds the change when it looks again. */
#include "backend.h"

#include <stdatomic.h>
#include <stdlib.h>

int device_queue_open(struct device *dev, unsigned depth, struct device_queue **out)
{
	struct device_queue *queue;
	int		     rc;

	if (!depth || depth > DEVICE_DEPTH_MAX)
		return fail(INVAL, "queue depth %u: use 1 to %u", depth, DEVICE_DEPTH_MAX);
	rc = dev->backend->queue_open(dev, depth, &queue);
	if (rc)
		return rc;
	queue->dev   = dev;
	queue->depth = depth;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->room, NULL);
	pthread_cond_init(&queue->finished, NULL);
	atomic_fetch_add(&dev->queues, 1);
	*out = queue;
	return 0;
}

/* Lock held. */
static void keep(struct device_queue *queue, tarn_dev_io *io)
{
	device_done_add(&queue->done, io);
	if (++queue->done_count >= queue->wanted)
		pthread_cond_signal(&queue->finished);
}

/* Lock held. */
static unsigned take_done(struct device_queue *queue, unsigned max, tarn_dev_io **ios)
{
	unsigned n = 0;

	while (n < max && queue->done.first)
		ios[n++] = device_done_take(&queue->done);
	queue->done_count -= n;
	return n;
}

/* Lock held, but not while the backend is asked. Nobody fetches. */
static unsigned fetch(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios)
{
	unsigned n;

	queue->fetching = true;
	pthread_mutex_unlock(&queue->lock);
	n = queue->dev->backend->reap(queue, min, max, ios);
	pthread_mutex_lock(&queue->lock);
	queue->fetching = false;
	queue->in_flight -= n;
	pthread_cond_signal(&queue->room);
	pthread_cond_signal(&queue->finished);
	return n;
}

/* Lock held. Waits until fewer than `limit` are in flight; what completes is kept for the reaper. */
static void wait_for_fewer(struct device_queue *queue, unsigned limit)
{
	tarn_dev_io *ios[16];
	unsigned     n;

	while (queue->in_flight >= limit) {
		if (queue->fetching) {
			pthread_cond_wait(&queue->room, &queue->lock);
			continue;
		}
		n = fetch(queue, 1, ARRAY_LEN(ios), ios);
		for (unsigned i = 0; i < n; i++)
			keep(queue, ios[i]);
	}
}

void device_queue_close(struct device_queue *queue)
{
	struct device *dev = queue->dev;

	pthread_mutex_lock(&queue->lock);
	wait_for_fewer(queue, 1);
	pthread_mutex_unlock(&queue->lock);
	dev->backend->queue_close(queue);
	pthread_cond_destroy(&queue->finished);
	pthread_cond_destroy(&queue->room);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
	atomic_fetch_sub(&dev->queues, 1);
}

static void finish_without_reap(struct device_queue *queue, tarn_dev_io *io, bool was_in_flight)
{
	bool somebody_fetches;

	pthread_mutex_lock(&queue->lock);
	queue->in_flight -= was_in_flight;
	pthread_cond_signal(&queue->room);
	keep(queue, io);
	somebody_fetches = queue->fetching;
	pthread_mutex_unlock(&queue->lock);
	if (somebody_fetches)
		queue->dev->backend->wake(queue);
}

void device_queue_done(struct device_queue *queue, tarn_dev_io *io)
{
	finish_without_reap(queue, io, true);
}

void device_wake(struct device_queue *queue)
{
	bool somebody_fetches;

	pthread_mutex_lock(&queue->lock);
	queue->woken = true;
	pthread_cond_signal(&queue->finished);
	somebody_fetches = queue->fetching;
	pthread_mutex_unlock(&queue->lock);
	if (somebody_fetches)
		queue->dev->backend->wake(queue);
}

/* How many from the first on break no rule. */
static unsigned sound_ones(const struct device *dev, tarn_dev_io **ios, unsigned n)
{
	unsigned sound = 0;

	while (sound < n && device_check_io(dev, ios[sound]) == 0)
		sound++;
	return sound;
}

static void refuse(struct device_queue *queue, tarn_dev_io *io)
{
	device_io_finish(io, device_check_io(queue->dev, io));
	finish_without_reap(queue, io, false);
}

/* Counts up to n as in flight, at least one. */
static unsigned reserve(struct device_queue *queue, unsigned n)
{
	pthread_mutex_lock(&queue->lock);
	wait_for_fewer(queue, queue->depth);
	n = MIN(n, queue->depth - queue->in_flight);
	queue->in_flight += n;
	pthread_mutex_unlock(&queue->lock);
	return n;
}

void device_submit_many(struct device_queue *queue, tarn_dev_io **ios, unsigned n)
{
	unsigned step;

	for (; n; ios += step, n -= step) {
		step = sound_ones(queue->dev, ios, MIN(n, queue->depth));
		if (step) {
			step = reserve(queue, step);
			queue->dev->backend->submit(queue, ios, step);
		} else {
			refuse(queue, ios[0]);
			step = 1;
		}
	}
}

void device_submit(struct device_queue *queue, tarn_dev_io *io)
{
	device_submit_many(queue, &io, 1);
}

/* Lock held. Up to max of what has completed, here or with the backend; waits for min, or for something else to change. */
static unsigned advance(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios)
{
	unsigned n = 0;

	if (!queue->fetching) {
		n = fetch(queue, min, max, ios);
	} else if (min) {
		queue->wanted = min;
		pthread_cond_wait(&queue->finished, &queue->lock);
	}
	return n + take_done(queue, max - n, ios + n);
}

/* Lock held. How many more than n to wait for now: no more than are in flight, but one of those to come when it is to wait always. */
static unsigned to_wait_for(const struct device_queue *queue, unsigned n, unsigned min, bool always)
{
	if (n >= min || queue->woken)
		return 0;
	return MIN(min - n, MAX(queue->in_flight, (unsigned)always));
}

static unsigned reap(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios, bool always)
{
	unsigned n, wait;

	pthread_mutex_lock(&queue->lock);
	n = take_done(queue, max, ios);
	do {
		wait = to_wait_for(queue, n, min, always);
		if (n < max && (wait || queue->in_flight))
			n += advance(queue, wait, max - n, ios + n);
	} while (to_wait_for(queue, n, min, always));
	if (n < min)
		queue->woken = false;
	pthread_mutex_unlock(&queue->lock);
	return n;
}

unsigned device_reap(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios)
{
	return reap(queue, MIN(min, max), max, ios, false);
}

unsigned device_wait(struct device_queue *queue, unsigned max, tarn_dev_io **ios)
{
	return reap(queue, MIN(max, 1u), max, ios, true);
}

unsigned device_pushed_reap(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios)
{
	(void)queue, (void)min, (void)max, (void)ios;
	return 0;
}

void device_pushed_wake(struct device_queue *queue)
{
	(void)queue;
}
