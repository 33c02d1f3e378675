/* SPDX-License-Identifier: Apache-2.0 */
/* device/uring.c: a queue that is one io_uring.
 *
 * Always true: an entry of the ring carries its I/O's address, or, for the NOP of a wake, none. The submission side belongs to whoever
 * holds `entries`, and is empty when it is let go: what the kernel does not take at once is withdrawn, and done by a plain system
 * call. So is what comes back short, or undone: the ring sees an I/O once. The completion side belongs to the thread that reaps, which
 * touches nothing of the other side. It has room for twice as many completions as the queue is deep, and there is one NOP at most: none
 * overflows.
 *
 * The ring has none of SINGLE_ISSUER, DEFER_TASKRUN and COOP_TASKRUN: the first two bind it to one thread, and with the third a
 * completion waits until the thread that submitted it enters the kernel, which may be busy elsewhere while another reaps. What a
 * thread has left to the kernel's workers may come back cancelled when that thread ends: nobody here cancels, so ECANCELED means
 * undone, like EAGAIN and EINTR. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

struct uring_queue {
	struct device_queue base; /* first */
	struct file	   *file;
	struct io_uring	    ring;
	bool		    fixed;   /* the file is registered: its index 0 stands for the descriptor */
	pthread_mutex_t	    entries; /* the submission side; only wakes contend with the submitter for it */
	_Atomic unsigned    handed_over;
	atomic_bool	    waking; /* the NOP of a wake is on its way to the reaper */
};

static const int needed_opcodes[] = { IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_FALLOCATE, IORING_OP_NOP };

/* The result of the one check: 0, or an errno. */
static pthread_once_t check_once = PTHREAD_ONCE_INIT;
static int	      check_result;

static int check_opcodes(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	int		       rc    = 0;

	if (!probe)
		return ENOSYS;
	for (size_t i = 0; i < ARRAY_LEN(needed_opcodes); i++)
		if (!io_uring_opcode_supported(probe, needed_opcodes[i]))
			rc = ENOSYS;
	io_uring_free_probe(probe);
	return rc;
}

static void check_kernel(void)
{
	struct io_uring ring;
	int		rc = io_uring_queue_init(2, &ring, 0);

	if (rc < 0) {
		check_result = -rc;
		return;
	}
	check_result = check_opcodes(&ring);
	io_uring_queue_exit(&ring);
}

static const char *refusal(int sys_errno)
{
	switch (sys_errno) {
	case ENOSYS:
		return "the kernel has no io_uring, or too old a one";
	case EPERM:
	case EACCES:
		return "io_uring is forbidden here (sysctl or seccomp)";
	case ENOMEM:
		return "no memory for io_uring (see ulimit -l)";
	default:
		return "io_uring does not start";
	}
}

int uring_check(void)
{
	pthread_once(&check_once, check_kernel);
	return check_result ? fail(NOTSUPPORTED, "%s", refusal(check_result)) : 0;
}

static struct uring_queue *queue_of(struct device_queue *queue)
{
	return container_of(queue, struct uring_queue, base);
}

static int uring_queue_open(struct device *dev, unsigned depth, struct device_queue **queue)
{
	struct uring_queue *q = calloc(1, sizeof(*q));
	int		    rc;

	if (!q)
		return fail(NOMEM, "no memory for a queue of %u on %s", depth, dev->info.uri);
	q->file = file_of(dev);
	rc	= io_uring_queue_init(depth, &q->ring, 0);
	if (rc < 0) {
		free(q);
		return base_fail_errno(-rc, "io_uring of %u entries for %s", depth, dev->info.uri);
	}
	q->fixed = io_uring_register_files(&q->ring, &q->file->fd, 1) == 0; /* saves a shared counter per I/O; not needed */
	pthread_mutex_init(&q->entries, NULL);
	*queue = &q->base;
	return 0;
}

/* The file is given back by name: the kernel takes a ring apart later, in the background, and would keep a block device claimed. */
static void uring_queue_close(struct device_queue *queue)
{
	struct uring_queue *q = queue_of(queue);

	if (q->fixed)
		io_uring_unregister_files(&q->ring);
	io_uring_queue_exit(&q->ring);
	pthread_mutex_destroy(&q->entries);
}

/* The sanitizer does not see what the kernel reads and writes: so it is asked, before and after, and reports at the touch. */
static void touch_if_poisoned(const tarn_dev_io *io)
{
#ifdef __SANITIZE_ADDRESS__
	bool  has_buffer = io->opcode == TARN_DEV_READ || io->opcode == TARN_DEV_WRITE;
	char *bad	 = has_buffer ? __asan_region_is_poisoned(io->buf, io->len) : NULL;

	if (bad)
		(void)*(volatile char *)bad;
#else
	(void)io;
#endif
}

static void prepare(struct uring_queue *q, struct io_uring_sqe *sqe, tarn_dev_io *io)
{
	int	 fd  = q->fixed ? 0 : q->file->fd;
	unsigned len = (unsigned)io->len;

	if (io->opcode == TARN_DEV_READ)
		io_uring_prep_read(sqe, fd, io->buf, len, io->offset);
	else if (io->opcode == TARN_DEV_WRITE)
		io_uring_prep_write(sqe, fd, io->buf, len, io->offset);
	else if (io->opcode == TARN_DEV_FLUSH)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else
		io_uring_prep_fallocate(sqe, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->len);
	if (io->flags & TARN_DEV_IO_DURABLE)
		sqe->rw_flags = RWF_DSYNC;
	sqe->flags |= q->fixed ? IOSQE_FIXED_FILE : 0;
	io_uring_sqe_set_data(sqe, io);
}

/* `entries` held. Hands over all that stand in the ring: 0, or a negative errno when the kernel did not take all. The last *left ones
 * are out of the ring again then: no other thread hands over now, so the kernel looks at none of them. */
static int hand_over(struct uring_queue *q, unsigned *left)
{
	struct io_uring_sq *sq = &q->ring.sq;
	unsigned	    taken;
	int		    rc;

	atomic_fetch_add_explicit(&q->handed_over, 1, memory_order_release);
	rc    = io_uring_submit(&q->ring);
	taken = io_uring_smp_load_acquire(sq->khead);
	*left = sq->sqe_tail - taken;
	if (*left) {
		sq->sqe_head = sq->sqe_tail = taken;
		io_uring_smp_store_release(sq->ktail, taken);
	}
	if (*left && rc >= 0)
		rc = -EAGAIN;
	return MIN(rc, 0);
}

static void finish(tarn_dev_io *io, int rc)
{
	touch_if_poisoned(io);
	device_io_finish(io, rc);
}

static void do_plainly(struct uring_queue *q, tarn_dev_io *io)
{
	finish(io, file_io(q->file, io));
	device_queue_done(&q->base, io);
}

static void submit_to_ring(struct uring_queue *q, tarn_dev_io **ios, unsigned n)
{
	unsigned left;

	pthread_mutex_lock(&q->entries);
	for (unsigned i = 0; i < n; i++) {
		touch_if_poisoned(ios[i]);
		prepare(q, io_uring_get_sqe(&q->ring), ios[i]); /* there is one: the ring is empty, and as deep as the queue */
	}
	hand_over(q, &left);
	pthread_mutex_unlock(&q->entries);
	for (unsigned i = n - left; i < n; i++)
		do_plainly(q, ios[i]);
}

/* The ring has no discard for block devices before Linux 6.12. */
static bool is_for_ring(const struct uring_queue *q, const tarn_dev_io *io)
{
	return io->opcode != TARN_DEV_DISCARD || !q->file->block;
}

/* How many from the first on go to the ring together. */
static unsigned first_for_ring(const struct uring_queue *q, tarn_dev_io **ios, unsigned n)
{
	unsigned count = 0;

	while (count < n && is_for_ring(q, ios[count]))
		count++;
	return count;
}

static void uring_submit(struct device_queue *queue, tarn_dev_io **ios, unsigned n)
{
	struct uring_queue *q = queue_of(queue);
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

static bool is_undone(int res)
{
	return res == -EAGAIN || res == -EINTR || res == -ECANCELED;
}

/* What is left of io after the first `moved` bytes. */
static int do_rest(const struct uring_queue *q, const tarn_dev_io *io, uint64_t moved)
{
	tarn_dev_io rest = *io;

	rest.buf = (char *)io->buf + moved;
	rest.offset += moved;
	rest.len -= moved;
	return file_io(q->file, &rest);
}

static int result(const struct uring_queue *q, const tarn_dev_io *io, int res)
{
	bool moves_data = io->opcode == TARN_DEV_READ || io->opcode == TARN_DEV_WRITE;

	if (is_undone(res))
		return file_io(q->file, io);
	if (res < 0)
		return file_io_error(q->file, io, 0, -res);
	return !moves_data || (uint64_t)res == io->len ? 0 : do_rest(q, io, (uint64_t)res);
}

/* Takes up to max completions. The kernel orders what the submitter wrote before what is read here; the counter says so in C. */
static unsigned take_completions(struct uring_queue *q, unsigned max, tarn_dev_io **ios, bool *woken)
{
	struct io_uring_cqe *cqe;
	tarn_dev_io	    *io;
	unsigned	     n = 0;

	while (n < max && io_uring_peek_cqe(&q->ring, &cqe) == 0) {
		io = io_uring_cqe_get_data(cqe);
		atomic_load_explicit(&q->handed_over, memory_order_acquire);
		if (io) {
			finish(io, result(q, io, cqe->res));
			ios[n++] = io;
		} else {
			atomic_store(&q->waking, false);
			*woken = true;
		}
		io_uring_cqe_seen(&q->ring, cqe);
	}
	return n;
}

/* One completion ends it, for a wake is only one. False: the kernel refuses. */
static bool sleep_until_completion(struct uring_queue *q)
{
	struct io_uring_cqe *cqe;
	int		     rc = io_uring_wait_cqe_nr(&q->ring, &cqe, 1);

	return rc >= 0 || rc == -EINTR;
}

static void pause_a_little(void)
{
	struct timespec pause = { 0, 1000000 };

	nanosleep(&pause, NULL);
}

static unsigned uring_reap(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios)
{
	struct uring_queue *q	 = queue_of(queue);
	bool		    stop = false;
	unsigned	    n	 = take_completions(q, max, ios, &stop);

	while (n < min && !stop) {
		stop = !sleep_until_completion(q);
		if (stop)
			pause_a_little(); /* who waits asks again: not in a busy loop */
		n += take_completions(q, max - n, ios + n, &stop);
	}
	return n;
}

static int submit_nop(struct uring_queue *q)
{
	struct io_uring_sqe *sqe;
	unsigned	     left;
	int		     rc;

	pthread_mutex_lock(&q->entries);
	sqe = io_uring_get_sqe(&q->ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, NULL);
	rc = hand_over(q, &left);
	pthread_mutex_unlock(&q->entries);
	return rc;
}

/* While an earlier NOP is on its way there is no need of another: the reaper finds what has changed after that one. A ring that is
 * broken for good lets no reaper sleep. */
static void uring_wake(struct device_queue *queue)
{
	struct uring_queue *q = queue_of(queue);
	int		    rc;

	if (atomic_exchange(&q->waking, true))
		return;
	while (is_undone(rc = submit_nop(q)) || rc == -EBUSY || rc == -ENOMEM)
		pause_a_little();
	if (rc < 0)
		atomic_store(&q->waking, false);
}

const struct device_backend uring_backend = {
	.name	     = "io_uring",
	.queue_open  = uring_queue_open,
	.queue_close = uring_queue_close,
	.submit	     = uring_submit,
	.reap	     = uring_reap,
	.wake	     = uring_wake,
	.run	     = file_run,
	.close	     = file_close,
};
