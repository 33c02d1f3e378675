/* SPDX-License-Identifier: Apache-2.0 */
/* device/uring.c: a queue that is one io_uring.
 *
 * Always true: an entry of the ring carries its I/O's address, or one of the marks below. The submission side belongs to
 * whoever holds `entries`, or to the one thread of a SINGLE queue, and is empty when it is let go (but with reap_follows,
 * until that reap): what the kernel does not take at once is withdrawn, and done by a plain system call. So is what comes back
 * short, or undone, and what a ring has no command for: the ring sees an I/O once. Only a kernel thread that polls for
 * submissions (SQPOLL) takes them later: there nothing is withdrawn. The completion side belongs to the thread that reaps,
 * which touches nothing of the other side. It has room for four times as many completions as the queue is deep: one for each
 * I/O, up to two of attempts to cancel it, and one of a wake, so that none overflows.
 *
 * The ring of a queue that several threads use has none of SINGLE_ISSUER, DEFER_TASKRUN and COOP_TASKRUN: the first two bind
 * it to one thread, and with the third a completion waits until the thread that submitted it enters the kernel, which may be
 * busy elsewhere while another reaps. That of a SINGLE queue has all that the kernel knows; it is made anew when another
 * thread takes over.
 *
 * What a thread has left to the kernel's workers may come back cancelled when that thread ends: so ECANCELED of an I/O that
 * nobody asked to cancel means undone, like EAGAIN and EINTR.
 *
 * A reaper sleeps until one completion is there, not several: a wake is one. In a SINGLE queue a wake cannot submit, so it
 * writes to an eventfd, which the ring polls while its thread sleeps. A ring with IOPOLL is asked again and again, and looks
 * at a flag between. */
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#define UNPLUGGED_MAX	 2u  /* IO_PLUG_THRESHOLD of the kernel */
#define BUSY_PER_GROUPED 16u /* in flight, for each I/O of a group */

/* ---- submitting ---- */

/* The sanitizer does not see what the kernel reads and writes: so it is asked, before and after, and reports at the touch. */
static void touch_if_poisoned(const tarn_dev_io *io)
{
#ifdef __SANITIZE_ADDRESS__
	bool  has_buffer = (io->opcode == TARN_DEV_READ || io->opcode == TARN_DEV_WRITE) && !(io->flags & TARN_DEV_IO_VECTOR);
	char *bad	 = has_buffer ? __asan_region_is_poisoned(io->buf, io->len) : NULL;

	if (bad)
		(void)*(volatile char *)bad;
#else
	(void)io;
#endif
}

static void prepare(const struct uring_queue *q, struct io_uring_sqe *sqe, tarn_dev_io *io)
{
	if (io->opcode == TARN_DEV_NOP) {
		io_uring_prep_nop(sqe);
	} else {
		q->kind->prepare(q, sqe, q->fixed_file ? 0 : q->fd, io);
		sqe->flags |= q->fixed_file ? IOSQE_FIXED_FILE : 0;
	}
	io_uring_sqe_set_data(sqe, io);
}

static void lock_entries(struct uring_queue *q)
{
	if (!q->single)
		pthread_mutex_lock(&q->entries);
}

static void unlock_entries(struct uring_queue *q)
{
	if (!q->single)
		pthread_mutex_unlock(&q->entries);
}

/* Entries held. Takes what the kernel has not taken out of the ring again: no other thread hands over now, so the kernel looks
 * at none of it. I/O is added to left. */
static void withdraw(struct uring_queue *q, struct device_done *left)
{
	struct io_uring_sq *sq	  = &q->ring.sq;
	unsigned	    taken = io_uring_smp_load_acquire(sq->khead), shift = has_setup(q, IORING_SETUP_SQE128);

	for (unsigned i = taken; i != sq->sqe_tail; i++) {
		uint64_t what = sq->sqes[(i & *sq->kring_mask) << shift].user_data;

		if (mark_of(what) == MARK_IO)
			device_done_add(left, io_of(what));
		q->polled &= what != MARK_POLL;
	}
	sq->sqe_head = sq->sqe_tail = taken;
	io_uring_smp_store_release(sq->ktail, taken);
}

/* Entries held. Tells the kernel of those that are new; returns how many it has to take. */
static unsigned publish(struct uring_queue *q)
{
	struct io_uring_sq *sq = &q->ring.sq;

	atomic_fetch_add_explicit(&q->handed_over, !q->single, memory_order_release);
	sq->sqe_head = sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	return sq->sqe_tail - io_uring_smp_load_acquire(sq->khead);
}

/* As the system call: hands over, then waits for `wait` completions (0: only looks, where that takes a look), until the
 * deadline. */
static int enter(struct uring_queue *q, unsigned submit, unsigned wait, unsigned flags, uint64_t deadline)
{
	struct io_uring_getevents_arg arg = { 0 };
	struct __kernel_timespec      left;
	uint64_t		      now;

	if (!wait || deadline == DEVICE_NO_DEADLINE)
		return io_uring_enter(q->ring.ring_fd, submit, wait, flags, NULL);
	now    = base_wait_ns();
	now    = deadline > now ? deadline - now : 0;
	left   = (struct __kernel_timespec){ .tv_sec = (long long)(now / 1000000000), .tv_nsec = (long long)(now % 1000000000) };
	arg.ts = (uint64_t)(uintptr_t)&left;
	return io_uring_enter2(q->ring.ring_fd, submit, wait, flags | IORING_ENTER_EXT_ARG, (sigset_t *)&arg, sizeof(arg));
}

/* Entries held, n published. Small enough that the kernel starts each before it prepares the next; or larger, which costs less, when the
 * device has so many that it does not wait for these: measured with 128 in flight, groups of 8 have as many I/Os for a fifth less CPU.
 * Of a queue of many threads it would take a lock to know. */
static unsigned group_size(const struct uring_queue *q, unsigned n)
{
	unsigned others = q->single && q->base.in_flight > n ? q->base.in_flight - n : 0;

	return MAX(others / BUSY_PER_GROUPED, UNPLUGGED_MAX);
}

/* Entries held, n of them published. Hands over all but the last few of what goes to a device. Of a group that is larger the kernel
 * starts nothing before it has prepared the last, and the device idles meanwhile: measured with 32 in flight, small groups have a
 * sixth more I/Os. Returns how many are left. */
static unsigned hand_over_in_groups(struct uring_queue *q, unsigned n)
{
	unsigned group = group_size(q, n);
	int	 taken = 1;

	while (q->dev->info.direct && n > group && taken > 0) {
		taken = enter(q, group, 0, 0, DEVICE_NO_DEADLINE);
		n -= (unsigned)MAX(taken, 0);
	}
	return n;
}

/* Entries held. Hands over all that stand in the ring, and in the last call waits for `wait` completions: 0, or a negative
 * errno when the kernel did not take all. What it did not take is in left. */
static int hand_over(struct uring_queue *q, unsigned wait, uint64_t deadline, struct device_done *left)
{
	unsigned n;
	int	 rc;

	if (has_setup(q, IORING_SETUP_SQPOLL)) {
		atomic_fetch_add_explicit(&q->handed_over, !q->single, memory_order_release);
		rc = io_uring_submit(&q->ring);
		return MIN(rc, 0);
	}
	n  = hand_over_in_groups(q, publish(q));
	rc = enter(q, n, wait, wait ? IORING_ENTER_GETEVENTS : 0, deadline);
	if (q->ring.sq.sqe_tail == io_uring_smp_load_acquire(q->ring.sq.khead))
		return 0;
	withdraw(q, left);
	return rc < 0 ? rc : -EAGAIN;
}

/* Entries held. There is room: the ring is as deep as the queue; when others than I/O have taken it, or a kernel thread is
 * behind, it is made. NULL: the kernel takes nothing. */
static struct io_uring_sqe *next_entry(struct uring_queue *q, struct device_done *left)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);

	while (!sqe && hand_over(q, 0, DEVICE_NO_DEADLINE, left) == 0) {
		if (has_setup(q, IORING_SETUP_SQPOLL))
			io_uring_sqring_wait(&q->ring);
		sqe = io_uring_get_sqe(&q->ring);
	}
	return sqe ? sqe : io_uring_get_sqe(&q->ring);
}

static void finish(tarn_dev_io *io, int rc)
{
	touch_if_poisoned(io);
	device_io_finish(io, rc);
}

static void do_plainly(struct uring_queue *q, tarn_dev_io *io)
{
	finish(io, uring_run_plainly(q->dev, io));
	device_queue_done(&q->base, io);
}

static bool do_all_plainly(struct uring_queue *q, struct device_done *left)
{
	bool	     any = left->first != NULL;
	tarn_dev_io *io;

	while ((io = device_done_take(left)) != NULL)
		do_plainly(q, io);
	return any;
}

static void submit_to_ring(struct uring_queue *q, tarn_dev_io *const *ios, unsigned n)
{
	struct device_done left = { NULL, NULL };

	lock_entries(q);
	for (unsigned i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = next_entry(q, &left);

		touch_if_poisoned(ios[i]);
		if (sqe)
			prepare(q, sqe, ios[i]);
		else
			device_done_add(&left, ios[i]);
	}
	if (!q->base.reap_follows)
		hand_over(q, 0, DEVICE_NO_DEADLINE, &left);
	unlock_entries(q);
	do_all_plainly(q, &left);
}

static bool is_for_ring(const struct uring_queue *q, const tarn_dev_io *io)
{
	return io->opcode == TARN_DEV_NOP ? !has_setup(q, IORING_SETUP_IOPOLL) : q->kind->takes(q, io);
}

/* How many from the first on go to the ring together. */
static unsigned first_for_ring(const struct uring_queue *q, tarn_dev_io *const *ios, unsigned n)
{
	unsigned count = 0;

	while (count < n && is_for_ring(q, ios[count]))
		count++;
	return count;
}

void uring_submit(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	struct uring_queue *q = uring_of(queue);
	unsigned	    step;

	for (; n; ios += step, n -= step) {
		step = first_for_ring(q, ios, n);
		if (step) {
			submit_to_ring(q, ios, step);
		} else {
			do_plainly(q, ios[0]);
			step = 1;
		}
	}
}

/* ---- reaping ---- */

static int result(struct uring_queue *q, tarn_dev_io *io, const struct io_uring_cqe *cqe)
{
	if (uring_is_undone(cqe->res) && device_queue_was_cancelled(&q->base, io))
		return device_cancelled(io);
	return io->opcode == TARN_DEV_NOP ? 0 : q->kind->result(q->dev, io, cqe);
}

/* An attempt to cancel found nothing to end: io has completed, or the kernel was just looking whether it can go on, and perhaps it
 * could not. */
static void cancel_again(struct uring_queue *q, tarn_dev_io *io)
{
	if (device_queue_cancels_again(&q->base, io))
		uring_cancel(&q->base, io);
}

/* What is not an I/O. True: the reaper is woken. */
static bool note_mark(struct uring_queue *q, const struct io_uring_cqe *cqe)
{
	uint64_t count;

	if (mark_of(cqe->user_data) == MARK_CANCEL) {
		if (cqe->res < 0)
			cancel_again(q, io_of(cqe->user_data));
		return false;
	}
	if (cqe->user_data == MARK_WAKE) {
		atomic_store(&q->waking, false);
		return true;
	}
	q->polled = false;
	return read(q->wake_fd, &count, sizeof(count)) > 0;
}

/* Takes up to max completions. The kernel orders what the submitter wrote before what is read here; the counter says so in C. */
static unsigned take_completions(struct uring_queue *q, unsigned max, tarn_dev_io **ios, bool *woken)
{
	struct io_uring_cqe *cqe;
	unsigned	     head, seen = 0, n = 0;

	io_uring_for_each_cqe(&q->ring, head, cqe)
	{
		tarn_dev_io *io = io_of(cqe->user_data);

		if (n == max)
			break;
		if (!q->single)
			atomic_load_explicit(&q->handed_over, memory_order_acquire);
		if (mark_of(cqe->user_data) == MARK_IO) {
			finish(io, result(q, io, cqe));
			ios[n++] = io;
		} else {
			*woken |= note_mark(q, cqe);
		}
		seen++;
	}
	io_uring_cq_advance(&q->ring, seen);
	return n;
}

/* The kernel has completions that it puts into the ring only when it is asked. */
static bool has_to_ask(const struct uring_queue *q)
{
	return has_setup(q, IORING_SETUP_IOPOLL) ||
	       IO_URING_READ_ONCE(*q->ring.sq.kflags) & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}

static void pause_a_little(void)
{
	struct timespec pause = { 0, 1000000 };

	nanosleep(&pause, NULL);
}

/* One thread. Has the kernel poll wake_fd while this one sleeps. */
static void poll_wake_fd(struct uring_queue *q, struct device_done *left)
{
	struct io_uring_sqe *sqe = q->polled || has_setup(q, IORING_SETUP_IOPOLL) ? NULL : next_entry(q, left);

	if (!sqe)
		return;
	io_uring_prep_poll_add(sqe, q->wake_fd, POLLIN);
	sqe->user_data = MARK_POLL;
	q->polled      = true;
}

static bool waits_for_a_time(const struct uring_queue *q, uint64_t deadline)
{
	return deadline == DEVICE_NO_DEADLINE || q->ring.features & IORING_FEAT_EXT_ARG;
}

/* A kernel too old to wait for a time polls the ring like a file. */
static int poll_ring(const struct uring_queue *q, uint64_t deadline)
{
	struct pollfd	ring = { .fd = q->ring.ring_fd, .events = POLLIN };
	uint64_t	now = base_wait_ns(), left = deadline > now ? deadline - now : 0;
	struct timespec wait = base_timespec(left);

	return ppoll(&ring, 1, &wait, NULL) < 0 ? -errno : 0;
}

/* Until one completion is there, or the deadline, or a signal. False: the kernel refuses. */
static bool sleep_until_completion(struct uring_queue *q, uint64_t deadline)
{
	int rc;

	if (waits_for_a_time(q, deadline))
		rc = enter(q, 0, 1, IORING_ENTER_GETEVENTS, deadline);
	else
		rc = poll_ring(q, deadline);
	return rc >= 0 || rc == -EINTR || rc == -ETIME || rc == -EBUSY || rc == -EAGAIN;
}

/* One thread. Hands over what submit() has left, and what is needed for a wake, and sleeps, in one system call where that can
 * be. False: some I/O was done by itself instead, or the kernel refuses. */
static bool hand_over_and_sleep(struct uring_queue *q, unsigned wait, uint64_t deadline)
{
	bool		   apart = has_setup(q, IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL) || !waits_for_a_time(q, deadline);
	struct device_done left	 = { NULL, NULL };
	int		   rc;

	if (wait)
		poll_wake_fd(q, &left);
	rc = hand_over(q, apart ? 0 : wait, deadline, &left);
	if (do_all_plainly(q, &left) || rc < 0)
		return false;
	return !wait || !apart || has_setup(q, IORING_SETUP_IOPOLL) || sleep_until_completion(q, deadline);
}

/* Asks the driver once. False: the reaper is to return. */
static bool poll_driver(struct uring_queue *q)
{
	int rc = enter(q, 0, 0, IORING_ENTER_GETEVENTS, DEVICE_NO_DEADLINE);

	if (rc < 0 && rc != -EINTR && rc != -EBUSY && rc != -EAGAIN)
		pause_a_little();
	return !atomic_load_explicit(&q->base.woken, memory_order_relaxed) && !atomic_exchange(&q->waking, false);
}

/* Waits for something new in the ring. False: the reaper is to look at what else has changed. */
static bool wait_for_news(struct uring_queue *q, uint64_t deadline)
{
	bool slept;

	if (deadline != DEVICE_NO_DEADLINE && base_wait_ns() >= deadline)
		return false;
	if (has_setup(q, IORING_SETUP_IOPOLL))
		return poll_driver(q);
	slept = q->single && !q->polled ? hand_over_and_sleep(q, 1, deadline) : sleep_until_completion(q, deadline);
	if (!slept)
		pause_a_little(); /* who waits asks again: not in a busy loop */
	return slept;
}

/* Of submit() with reap_follows. */
static bool has_new_entries(const struct uring_queue *q)
{
	return q->ring.sq.sqe_head != q->ring.sq.sqe_tail;
}

unsigned uring_reap(struct device_queue *queue, unsigned min, unsigned max, uint64_t deadline, tarn_dev_io **ios)
{
	struct uring_queue *q	 = uring_of(queue);
	bool		    stop = false;
	unsigned	    n;

	if (q->single && has_new_entries(q))
		stop = !hand_over_and_sleep(q, MIN(min, 1u), deadline);
	n = take_completions(q, max, ios, &stop);
	if (!n && !min && has_to_ask(q)) {
		enter(q, 0, 0, IORING_ENTER_GETEVENTS, DEVICE_NO_DEADLINE);
		n = take_completions(q, max, ios, &stop);
	}
	while (n < min && !stop) {
		stop = !wait_for_news(q, deadline);
		n += take_completions(q, max - n, ios + n, &stop);
	}
	return n;
}

/* ---- waking and cancelling ---- */

/* Any thread; not of a SINGLE queue. 0, or a negative errno. */
static int submit_nop(struct uring_queue *q)
{
	struct device_done   left = { NULL, NULL };
	struct io_uring_sqe *sqe;
	int		     rc = -EAGAIN;

	pthread_mutex_lock(&q->entries);
	sqe = next_entry(q, &left);
	if (sqe) {
		io_uring_prep_nop(sqe);
		sqe->user_data = MARK_WAKE;
		rc	       = hand_over(q, 0, DEVICE_NO_DEADLINE, &left);
	}
	pthread_mutex_unlock(&q->entries);
	return rc;
}

/* While an earlier NOP is on its way there is no need of another: the reaper finds what has changed after that one. A ring
 * that is broken for good lets no reaper sleep. */
static void wake_by_nop(struct uring_queue *q)
{
	int rc;

	if (atomic_exchange(&q->waking, true))
		return;
	while (uring_is_undone(rc = submit_nop(q)) || rc == -EBUSY || rc == -ENOMEM)
		pause_a_little();
	if (rc < 0)
		atomic_store(&q->waking, false);
}

void uring_wake(struct device_queue *queue)
{
	struct uring_queue *q	= uring_of(queue);
	uint64_t	    one = 1;

	if (has_setup(q, IORING_SETUP_IOPOLL))
		atomic_store(&q->waking, true);
	else if (!q->single)
		wake_by_nop(q);
	else
		while (write(q->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			continue;
}

/* What the kernel finds it completes: with ECANCELED, or by and by. An attempt that finds nothing is made anew, twice; one that
 * the kernel does not take has no effect. */
bool uring_cancel(struct device_queue *queue, tarn_dev_io *io)
{
	struct uring_queue  *q	  = uring_of(queue);
	struct device_done   left = { NULL, NULL };
	struct io_uring_sqe *sqe;

	if (has_setup(q, IORING_SETUP_IOPOLL))
		return false;
	lock_entries(q);
	sqe = next_entry(q, &left);
	if (sqe) {
		io_uring_prep_cancel64(sqe, (uintptr_t)io, 0);
		sqe->user_data = (uintptr_t)io | MARK_CANCEL;
		hand_over(q, 0, DEVICE_NO_DEADLINE, &left);
	}
	unlock_entries(q);
	return false;
}
