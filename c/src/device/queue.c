/* SPDX-License-Identifier: Apache-2.0 */
/* device/queue.c: the bookkeeping of queues: what is in flight, what is done, and who waits.
 *
 * Always true: an I/O is in one place: with the backend (in_flight counts those, and `flying` lists them), in `done`, or its caller's.
 * The lock guards the counting and the lists, and is not held while the backend works. A backend that has to be asked for completions
 * is asked by one thread at a time, the one that set `fetching`: the reaper, or a submitter that needs room while nobody reaps. Whoever
 * makes such a thread's wait pointless (an I/O is done without the backend, a wake) changes the state first and calls the backend's
 * wake() after, so that the thread finds the change when it looks again. A queue that is not `locked` has one thread, which finds its
 * own changes anyway: there only device_wake() calls wake().
 *
 * event_fd is readable while something is done: it is made so when `done` gets its first, by the kernel for what a ring completes, and
 * unmade only by a reap that has taken all there was; that one looks again after, so that nothing is missed between. */
#include "queue.h"

#include <errno.h>
#include <unistd.h>

uint64_t device_deadline(int64_t timeout_us)
{
	uint64_t now;

	if (timeout_us < 0)
		return DEVICE_NO_DEADLINE;
	now = base_wait_ns();
	return (uint64_t)timeout_us < (INT64_MAX - now) / 1000 ? now + (uint64_t)timeout_us * 1000 : DEVICE_NO_DEADLINE;
}

/* Lock held. */
static void wait_on(struct device_queue *queue, pthread_cond_t *cond, uint64_t deadline)
{
	struct timespec at = base_timespec(deadline);

	if (deadline == DEVICE_NO_DEADLINE)
		pthread_cond_wait(cond, &queue->lock);
	else
		pthread_cond_clockwait(cond, &queue->lock, CLOCK_MONOTONIC, &at);
}

static void signal_cond(struct device_queue *queue, pthread_cond_t *cond)
{
	if (queue->locked)
		pthread_cond_signal(cond);
}

void queue_ring_event(struct device_queue *queue)
{
	uint64_t one = 1;
	ssize_t	 n;

	do
		n = write(queue->event_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR); /* EAGAIN: it is readable, and very much so */
}

static void clear_event(struct device_queue *queue)
{
	uint64_t count;
	ssize_t	 n;

	do
		n = read(queue->event_fd, &count, sizeof(count));
	while (n < 0 && errno == EINTR); /* EAGAIN: it was clear */
}

void queue_keep(struct device_queue *queue, tarn_dev_io *io)
{
	device_done_add(&queue->done, io);
	if (queue->event_fd >= 0 && !queue->done_count)
		queue_ring_event(queue);
	if (++queue->done_count >= queue->wanted)
		signal_cond(queue, &queue->finished);
}

/* Lock held. */
static void take_off(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uintptr_t place = queue->in_flight++;

		queue->flying[place] = (uintptr_t)ios[i];
		ios[i]->opaque[1]    = (void *)place;
	}
}

/* The last one moves to its place. */
void queue_land(struct device_queue *queue, tarn_dev_io *io)
{
	uintptr_t place = (uintptr_t)io->opaque[1];
	uintptr_t last	= queue->flying[--queue->in_flight];

	queue->flying[place]	   = last;
	flying_io(last)->opaque[1] = (void *)place;
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
static unsigned fetch(struct device_queue *queue, unsigned min, unsigned max, uint64_t deadline, tarn_dev_io **ios)
{
	unsigned n;

	queue->fetching = true;
	queue_unlock(queue);
	if (!queue->locked)
		queue->reap_follows = false;
	n = queue->dev->backend->reap(queue, min, max, deadline, ios);
	queue_lock(queue);
	queue->fetching = false;
	for (unsigned i = 0; i < n; i++)
		queue_land(queue, ios[i]);
	signal_cond(queue, &queue->room);
	signal_cond(queue, &queue->finished);
	return n;
}

void queue_wait_for_fewer(struct device_queue *queue, unsigned limit, uint64_t deadline)
{
	tarn_dev_io *ios[16];
	unsigned     n;

	while (queue->in_flight >= limit && !queue_deadline_is_over(deadline)) {
		if (queue->fetching) {
			wait_on(queue, &queue->room, deadline);
			continue;
		}
		n = fetch(queue, 1, ARRAY_LEN(ios), deadline, ios);
		for (unsigned i = 0; i < n; i++)
			queue_keep(queue, ios[i]);
	}
}

static void finish_without_reap(struct device_queue *queue, tarn_dev_io *io, bool was_in_flight)
{
	bool somebody_fetches;

	queue_lock(queue);
	if (was_in_flight)
		queue_land(queue, io);
	signal_cond(queue, &queue->room);
	queue_keep(queue, io);
	somebody_fetches = queue->locked && queue->fetching;
	queue_unlock(queue);
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

	queue_lock(queue);
	atomic_store(&queue->woken, true);
	signal_cond(queue, &queue->finished);
	somebody_fetches = !queue->locked || queue->fetching;
	queue_unlock(queue);
	if (somebody_fetches)
		queue->dev->backend->wake(queue);
}

static bool is_sound(const struct device_queue *queue, const tarn_dev_io *io)
{
	return device_check_io(queue->dev, io) == 0 && device_check_fixed(queue, io) == 0;
}

/* How many from the first on break no rule. */
static unsigned sound_ones(const struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	unsigned sound = 0;

	while (sound < n && is_sound(queue, ios[sound]))
		sound++;
	return sound;
}

/* One that does not go to the backend: it breaks a rule, or needs a bounce buffer. */
static void settle(struct device_queue *queue, tarn_dev_io *io)
{
	int rc = device_check_fixed(queue, io);

	device_io_finish(io, rc ? rc : device_settle_io(queue->dev, io));
	finish_without_reap(queue, io, false);
}

static unsigned refuse_all(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		device_io_finish(ios[i], fail(INVAL,
					      "%s refused: another thread has I/O in flight on this queue, which is for one "
					      "thread",
					      device_opcode_name(ios[i]->opcode)));
		finish_without_reap(queue, ios[i], false);
	}
	return n;
}

/* Counts up to n as in flight, at least one. */
static unsigned reserve(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	queue_lock(queue);
	queue_wait_for_fewer(queue, queue->depth, DEVICE_NO_DEADLINE);
	n = MIN(n, queue->depth - queue->in_flight);
	take_off(queue, ios, n);
	queue_unlock(queue);
	return n;
}

/* Starts the first of them: a run of sound ones, or one that is not. Waits for room. Returns how many. */
static unsigned start_some(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	unsigned step = sound_ones(queue, ios, MIN(n, queue->depth));

	if (!step) {
		settle(queue, ios[0]);
		return 1;
	}
	step = reserve(queue, ios, step);
	queue->dev->backend->submit(queue, ios, step);
	return step;
}

/* Of a backend whose I/O completes only when it is asked, which event_fd is to make somebody do. */
static void invite_reaper(struct device_queue *queue)
{
	queue_lock(queue);
	if (queue->event_fd >= 0 && queue->in_flight)
		queue_ring_event(queue);
	queue_unlock(queue);
}

static void start_all(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	if (!queue_is_mine(queue)) {
		refuse_all(queue, ios, n);
		return;
	}
	for (unsigned step; n; ios += step, n -= step)
		step = start_some(queue, ios, n);
	if (queue->acts_in_reap)
		invite_reaper(queue);
}

void device_submit_many(struct device_queue *queue, tarn_dev_io **ios, unsigned n)
{
	start_all(queue, ios, n);
}

void device_submit(struct device_queue *queue, tarn_dev_io *io)
{
	start_all(queue, &io, 1);
}

/* What is done and not reaped takes room, too. Only the one that submits makes it less. */
static unsigned room(struct device_queue *queue)
{
	unsigned taken;

	queue_lock(queue);
	taken = queue->in_flight + queue->done_count;
	queue_unlock(queue);
	return taken < queue->depth ? queue->depth - taken : 0;
}

unsigned device_try_submit(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	unsigned free = room(queue); /* once: the other thread makes more of it */

	n = MIN(n, free);
	start_all(queue, ios, n);
	return n;
}

/* Lock held. Up to max of what has completed, here or with the backend; waits for min, or for something else to change. */
static unsigned advance(struct device_queue *queue, unsigned min, unsigned max, uint64_t deadline, tarn_dev_io **ios)
{
	unsigned n = 0;

	if (!queue->fetching) {
		n = fetch(queue, min, max, deadline, ios);
	} else if (min) {
		queue->wanted = min;
		wait_on(queue, &queue->finished, deadline);
	}
	return n + take_done(queue, max - n, ios + n);
}

static bool is_woken(struct device_queue *queue)
{
	return atomic_load_explicit(&queue->woken, memory_order_relaxed);
}

/* Lock held. How many more than n to wait for now: no more than are in flight, but one of those to come when it is to wait always. */
static unsigned to_wait_for(struct device_queue *queue, unsigned n, unsigned min, bool always)
{
	if (n >= min || is_woken(queue))
		return 0;
	return MIN(min - n, MAX(queue->in_flight, (unsigned)always));
}

/* Lock held. The reap has found no more: event_fd says so, unless something came between. */
static unsigned settle_event(struct device_queue *queue, unsigned max, tarn_dev_io **ios)
{
	unsigned n = 0, more;

	clear_event(queue);
	do {
		more = advance(queue, 0, max - n, DEVICE_NO_DEADLINE, ios + n);
		n += more;
	} while (more && n < max);
	if (n == max || (queue->acts_in_reap && queue->in_flight))
		queue_ring_event(queue);
	return n;
}

/* Lock held. */
static unsigned reap_locked(struct device_queue *queue, unsigned min, unsigned max, int64_t timeout_us, tarn_dev_io **ios,
			    bool always)
{
	unsigned n	  = take_done(queue, max, ios), wait;
	uint64_t deadline = DEVICE_NO_DEADLINE;

	if (timeout_us > 0 && n < min)
		deadline = device_deadline(timeout_us);
	do {
		wait = to_wait_for(queue, n, min, always);
		if (n < max && (wait || queue->in_flight))
			n += advance(queue, wait, max - n, deadline, ios + n);
	} while (to_wait_for(queue, n, min, always) && !queue_deadline_is_over(deadline));
	if (queue->event_fd >= 0 && n < max)
		n += settle_event(queue, max - n, ios + n);
	if (n < min && is_woken(queue))
		atomic_store(&queue->woken, false);
	return n;
}

static unsigned reap(struct device_queue *queue, unsigned min, unsigned max, int64_t timeout_us, tarn_dev_io **ios, bool always)
{
	bool	 mine = queue_is_mine(queue);
	unsigned n;

	queue_lock(queue);
	if (mine)
		n = reap_locked(queue, timeout_us ? MIN(min, max) : 0, max, timeout_us, ios, always);
	else
		n = take_done(queue, max, ios);
	queue_unlock(queue);
	return n;
}

unsigned device_reap_within(struct device_queue *queue, unsigned min, unsigned max, int64_t timeout_us, tarn_dev_io **ios)
{
	return reap(queue, min, max, timeout_us, ios, false);
}

unsigned device_reap(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios)
{
	return reap(queue, min, max, -1, ios, false);
}

unsigned device_wait(struct device_queue *queue, unsigned max, tarn_dev_io **ios)
{
	return reap(queue, 1, max, -1, ios, true);
}

unsigned device_submit_and_reap(struct device_queue *queue, tarn_dev_io *const *submit, unsigned n, unsigned *started,
				unsigned min, unsigned max, int64_t timeout_us, tarn_dev_io **ios)
{
	unsigned got;

	if (!queue->locked)
		queue->reap_follows = !queue->fetching && queue_is_mine(queue);
	*started = device_try_submit(queue, submit, n);
	got	 = device_reap_within(queue, min, max, timeout_us, ios);
	if (queue->reap_follows) /* enough was done already, so the backend was not asked, but may have something left to do */
		fetch(queue, 0, 0, DEVICE_NO_DEADLINE, ios);
	return got;
}

unsigned device_pushed_reap(struct device_queue *queue, unsigned min, unsigned max, uint64_t deadline, tarn_dev_io **ios)
{
	(void)queue, (void)min, (void)max, (void)deadline, (void)ios;
	return 0;
}

void device_pushed_wake(struct device_queue *queue)
{
	(void)queue;
}
