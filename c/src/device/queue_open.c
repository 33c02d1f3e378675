/* SPDX-License-Identifier: Apache-2.0 */
/* device/queue_open.c: opening and closing queues, and what is rare: cancelling, registered buffers, the eventfd, a change of threads.
 *
 * Always true: a flag that cannot be had is in the note, or, on a strict device, refuses the queue. The owner of a SINGLE queue changes
 * only while nothing is with the backend, which may have bound itself to the thread. */
#include "queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ALL_FLAGS  (TARN_DEV_QUEUE_SINGLE | TARN_DEV_QUEUE_IOPOLL | TARN_DEV_QUEUE_SQPOLL)
#define BUFFER_MAX ((size_t)1 << 30) /* io_uring takes no longer ones */

static void set_common(struct device_queue *queue, struct device *dev, const struct device_queue_options *options)
{
	queue->dev	= dev;
	queue->depth	= options->depth;
	queue->event_fd = -1;
	queue->owner	= pthread_self();
	queue->flags |= options->flags & TARN_DEV_QUEUE_SINGLE;
	queue->locked = queue->has_workers || !(queue->flags & TARN_DEV_QUEUE_SINGLE);
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->room, NULL);
	pthread_cond_init(&queue->finished, NULL);
	atomic_fetch_add(&dev->queues, 1);
}

/* Nothing is in flight. */
static void destroy(struct device_queue *queue)
{
	struct device *dev = queue->dev;

	dev->backend->queue_close(queue);
	if (queue->event_fd >= 0)
		close(queue->event_fd);
	pthread_cond_destroy(&queue->finished);
	pthread_cond_destroy(&queue->room);
	pthread_mutex_destroy(&queue->lock);
	free(queue->flying);
	free(queue->fixed);
	free(queue);
	atomic_fetch_sub(&dev->queues, 1);
}

static int check_options(const struct device_queue_options *options)
{
	if (!options->depth || options->depth > DEVICE_DEPTH_MAX)
		return fail(INVAL, "queue depth %u: use 1 to %u", options->depth, DEVICE_DEPTH_MAX);
	if (options->flags & ~ALL_FLAGS)
		return fail(INVAL, "queue flags 0x%x: there is no such flag as 0x%x", options->flags,
			    options->flags & ~ALL_FLAGS);
	return 0;
}

/* What was asked for and is not to be had: noted, or refused. */
static int check_taken(struct device_queue *queue, uint32_t asked)
{
	uint32_t missing = asked & ~queue->flags;

	if (!missing)
		return 0;
	if (!*queue->note)
		snprintf(queue->note, sizeof(queue->note), "%s%s%s: not with the backend %s",
			 missing & TARN_DEV_QUEUE_IOPOLL ? "IOPOLL" : "", missing == (ALL_FLAGS & ~1u) ? ", " : "",
			 missing & TARN_DEV_QUEUE_SQPOLL ? "SQPOLL" : "", queue->dev->backend->name);
	return queue->dev->strict ? fail(NOTSUPPORTED, "%s", queue->note) : 0;
}

int device_queue_open_with(struct device *dev, const struct device_queue_options *options, struct device_queue **out)
{
	struct device_queue *queue;
	int		     rc = check_options(options);

	if (!rc)
		rc = dev->backend->queue_open(dev, options, &queue);
	if (rc)
		return rc;
	set_common(queue, dev, options);
	queue->flying = calloc(options->depth, sizeof(queue->flying[0]));
	rc = queue->flying ? check_taken(queue, options->flags) : fail(NOMEM, "no memory for a queue of %u", options->depth);
	if (rc) {
		destroy(queue);
		return rc;
	}
	*out = queue;
	return 0;
}

int device_queue_open(struct device *dev, unsigned depth, struct device_queue **queue)
{
	return device_queue_open_with(dev, &(struct device_queue_options){ .depth = depth }, queue);
}

static int fail_foreign(void)
{
	return fail(INVAL, "another thread has I/O in flight on this queue, which is for one thread: it has to reap that first");
}

/* With nothing in flight any thread may close. */
static bool is_foreign_and_busy(struct device_queue *queue)
{
	bool busy;

	queue_lock(queue);
	busy = queue->in_flight != 0;
	queue_unlock(queue);
	return busy && !queue_is_mine(queue);
}

int device_queue_close_within(struct device_queue *queue, int64_t timeout_us)
{
	unsigned left;

	if (is_foreign_and_busy(queue))
		return fail_foreign();
	queue_lock(queue);
	queue_wait_for_fewer(queue, 1, device_deadline(timeout_us));
	left = queue->in_flight;
	queue_unlock(queue);
	if (left)
		return fail(TIMEDOUT, "close of a queue of %.60s: %u I/Os are in flight still", queue->dev->info.uri, left);
	destroy(queue);
	return 0;
}

void device_queue_close(struct device_queue *queue)
{
	device_queue_close_within(queue, -1);
}

void device_queue_describe(struct device_queue *queue, tarn_dev_queue_info *info)
{
	info->flags = queue->flags;
	info->depth = queue->depth;
	queue_lock(queue);
	info->in_flight	  = queue->in_flight + queue->done_count;
	info->fixed_count = queue->fixed_count;
	queue_unlock(queue);
	snprintf(info->backend, sizeof(info->backend), "%s", queue->dev->backend->name);
	memcpy(info->note, queue->note, sizeof(info->note));
}

bool queue_is_mine_now(struct device_queue *queue)
{
	bool mine;

	queue_lock(queue);
	mine = !queue->in_flight && queue->dev->backend->adapt(queue, DEVICE_QUEUE_THREAD) == 0;
	if (mine)
		queue->owner = pthread_self();
	queue_unlock(queue);
	return mine;
}

/* ---- registered buffers ---- */

static int check_buffers(const tarn_dev_vec *buffers, unsigned n)
{
	if (!n || n > DEVICE_FIXED_MAX)
		return fail(INVAL, "%u buffers to register: use 1 to %u", n, DEVICE_FIXED_MAX);
	for (unsigned i = 0; i < n; i++) {
		if (!buffers[i].ptr || !buffers[i].len)
			return fail(INVAL, "buffer %u to register: there is no memory", i);
		if (buffers[i].len > BUFFER_MAX)
			return fail(INVAL, "buffer %u to register: %zu bytes, at most 1 GiB", i, buffers[i].len);
	}
	return 0;
}

/* Lock held. */
static int register_locked(struct device_queue *queue, const tarn_dev_vec *buffers, unsigned n)
{
	int rc;

	if (queue->fixed)
		return fail(EXIST, "this queue has registered buffers already: %u", queue->fixed_count);
	if (queue->in_flight || queue->done_count)
		return fail(BUSY, "register buffers while nothing is in flight: %u I/Os are",
			    queue->in_flight + queue->done_count);
	queue->fixed = calloc(n, sizeof(buffers[0]));
	if (!queue->fixed)
		return fail(NOMEM, "no memory to register %u buffers", n);
	memcpy(queue->fixed, buffers, n * sizeof(buffers[0]));
	queue->fixed_count = n;
	rc		   = queue->dev->backend->adapt(queue, DEVICE_QUEUE_BUFFERS);
	if (rc) {
		free(queue->fixed);
		queue->fixed	   = NULL;
		queue->fixed_count = 0;
	}
	return rc;
}

int device_queue_register(struct device_queue *queue, const tarn_dev_vec *buffers, unsigned n)
{
	int rc = check_buffers(buffers, n);

	if (!rc && !queue_is_mine(queue))
		rc = fail_foreign();
	if (rc)
		return rc;
	queue_lock(queue);
	rc = register_locked(queue, buffers, n);
	queue_unlock(queue);
	return rc;
}

static int check_fixed(const struct device_queue *queue, const tarn_dev_io *io)
{
	const tarn_dev_vec *buffer;
	uintptr_t	    skip;

	if ((io->opcode != TARN_DEV_READ && io->opcode != TARN_DEV_WRITE) || io->flags & TARN_DEV_IO_VECTOR)
		return fail(INVAL, "%s from a registered buffer: only a read or write of one piece can be",
			    device_opcode_name(io->opcode));
	if (io->fixed >= queue->fixed_count)
		return fail(INVAL, "registered buffer %u: the queue has %u", io->fixed, queue->fixed_count);
	buffer = &queue->fixed[io->fixed];
	skip   = (uintptr_t)io->buf - (uintptr_t)buffer->ptr;
	if ((uintptr_t)io->buf < (uintptr_t)buffer->ptr || skip > buffer->len || io->len > buffer->len - skip)
		return fail(INVAL, "%s: its %llu bytes at %p are not in registered buffer %u", device_opcode_name(io->opcode),
			    (unsigned long long)io->len, io->buf, io->fixed);
	return 0;
}

int device_check_fixed(const struct device_queue *queue, const tarn_dev_io *io)
{
	return io->flags & TARN_DEV_IO_FIXED ? check_fixed(queue, io) : 0;
}

/* ---- the eventfd ---- */

/* Lock held. Readable at first: something may be done already. */
static int make_event_fd(struct device_queue *queue)
{
	int rc;

	queue->event_fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	if (queue->event_fd < 0)
		return base_fail_errno(errno, "eventfd for a queue");
	rc = queue->dev->backend->adapt(queue, DEVICE_QUEUE_EVENTS);
	if (rc) {
		close(queue->event_fd);
		queue->event_fd = -1;
	}
	return rc;
}

int device_queue_fd(struct device_queue *queue)
{
	int rc = 0;

	if (queue->flags & TARN_DEV_QUEUE_IOPOLL)
		return fail(NOTSUPPORTED,
			    "a queue with IOPOLL has no eventfd: its completions are not there until somebody polls");
	if (!queue_is_mine(queue))
		return fail_foreign();
	queue_lock(queue);
	if (queue->event_fd < 0)
		rc = make_event_fd(queue);
	if (!rc)
		rc = queue->event_fd;
	queue_unlock(queue);
	return rc;
}

/* ---- cancelling ---- */

/* Lock held. Its place in `flying`, or NULL. Looks at no I/O, so that a pointer to one that is not in flight does no harm. */
static uintptr_t *find_flying(struct device_queue *queue, const tarn_dev_io *io)
{
	for (unsigned i = 0; i < queue->in_flight; i++)
		if (flying_io(queue->flying[i]) == io)
			return &queue->flying[i];
	return NULL;
}

/* Lock held. */
static bool is_done(const struct device_queue *queue, const tarn_dev_io *io)
{
	const tarn_dev_io *each = queue->done.first;

	while (each && each != io)
		each = each->opaque[0];
	return each != NULL;
}

int device_cancelled(const tarn_dev_io *io)
{
	return fail(CANCELED, "%s cancelled, as asked", device_opcode_name(io->opcode));
}

/* Lock held, all the time: so io is not reaped and started anew meanwhile. One attempt is enough, but for what
 * device_queue_cancels_again() says. True: it has come back at once, and is
 * kept. */
static bool cancel_flying(struct device_queue *queue, uintptr_t *place, tarn_dev_io *io)
{
	if (*place & FLYING_ATTEMPTS)
		return false;
	++*place;
	if (!queue->dev->backend->cancel(queue, io))
		return false;
	queue_land(queue, io);
	device_io_finish(io, device_cancelled(io));
	queue_keep(queue, io);
	if (queue->locked)
		pthread_cond_signal(&queue->room);
	return true;
}

int device_cancel(struct device_queue *queue, tarn_dev_io *io)
{
	bool	   found, news = false;
	uintptr_t *place;

	if (!queue_is_mine(queue))
		return fail_foreign();
	queue_lock(queue);
	place = find_flying(queue, io);
	found = place || is_done(queue, io);
	if (place)
		news = cancel_flying(queue, place, io) && queue->locked && queue->fetching;
	queue_unlock(queue);
	if (news)
		queue->dev->backend->wake(queue);
	return found ? 0 : fail(NONEXIST, "cancel: this I/O is not in flight on this queue");
}

bool device_queue_was_cancelled(struct device_queue *queue, const tarn_dev_io *io)
{
	bool asked;

	queue_lock(queue);
	asked = (queue->flying[(uintptr_t)io->opaque[1]] & FLYING_ATTEMPTS) != 0;
	queue_unlock(queue);
	return asked;
}

bool device_queue_cancels_again(struct device_queue *queue, const tarn_dev_io *io)
{
	uintptr_t *place;
	bool	   again;

	queue_lock(queue);
	place = find_flying(queue, io);
	again = place && *place & FLYING_ATTEMPTS && (*place & FLYING_ATTEMPTS) != FLYING_ATTEMPTS;
	if (again)
		++*place;
	queue_unlock(queue);
	return again;
}

bool device_cancels_nothing(struct device_queue *queue, tarn_dev_io *io)
{
	(void)queue, (void)io;
	return false;
}

int device_adapts_by_itself(struct device_queue *queue, enum device_queue_change change)
{
	(void)queue, (void)change;
	return 0;
}
