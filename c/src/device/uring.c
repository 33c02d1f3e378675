/* SPDX-License-Identifier: Apache-2.0 */
/* device/uring.c: a queue that is one io_uring.
 *
 * Always true: an I/O in flight has one slot; its submission entry carries the slot's address. A slot is free, in the kernel, or
 * in `done`. Entries are handed to the kernel at once, so at most the last few, which the kernel had no room for, stand in the
 * ring; every later call offers them again.
 *
 * Threads take turns on a queue, so the ring has none of SINGLE_ISSUER, DEFER_TASKRUN and COOP_TASKRUN: the first two bind it to one
 * thread, and with the third a completion waits until the thread that submitted it enters the kernel, which may be busy elsewhere
 * while another reaps. What a thread has left to the kernel's workers may come back cancelled when that thread ends: nobody here
 * cancels, so ECANCELED means once more, like EAGAIN and EINTR. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#define TRIES_MAX 1000u /* of one I/O that the kernel keeps sending back */

struct slot {
	struct slot	 *next; /* free ones */
	struct device_io *io;
	uint64_t	  moved; /* bytes that went well */
	unsigned	  tries;
};

struct uring_queue {
	struct device_queue base; /* first */
	struct file	   *file;
	struct io_uring	    ring;
	bool		    fixed; /* the file is registered: its index 0 stands for the descriptor */
	struct slot	   *free;
	unsigned	    done_count;
	struct device_done  done; /* finished, not handed out */
	struct slot	    slots[];
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

static void fill_slots(struct uring_queue *q, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++) {
		q->slots[i].next = q->free;
		q->free		 = &q->slots[i];
	}
}

static int uring_queue_open(struct device *dev, unsigned depth, struct device_queue **queue)
{
	struct uring_queue *q = calloc(1, sizeof(*q) + depth * sizeof(q->slots[0]));
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
	fill_slots(q, depth);
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
	free(q);
}

/* The sanitizer does not see what the kernel reads and writes: so it is asked, before and after, and reports at the touch. */
static void touch_if_poisoned(const struct device_io *io)
{
#ifdef __SANITIZE_ADDRESS__
	bool  has_buffer = io->opcode == DEVICE_READ || io->opcode == DEVICE_WRITE;
	char *bad	 = has_buffer ? __asan_region_is_poisoned(io->buf, io->len) : NULL;

	if (bad)
		(void)*(volatile char *)bad;
#else
	(void)io;
#endif
}

static void finish(struct uring_queue *q, struct slot *slot, int rc)
{
	touch_if_poisoned(slot->io);
	device_io_finish(slot->io, rc);
	device_done_add(&q->done, slot->io);
	q->done_count++;
	slot->next = q->free;
	q->free	   = slot;
}

static void prepare(struct uring_queue *q, struct io_uring_sqe *sqe, const struct slot *slot)
{
	const struct device_io *io  = slot->io;
	int			fd  = q->fixed ? 0 : q->file->fd;
	char		       *buf = (char *)io->buf + slot->moved;
	unsigned		len = (unsigned)(io->len - slot->moved);

	if (io->opcode == DEVICE_READ)
		io_uring_prep_read(sqe, fd, buf, len, io->offset + slot->moved);
	else if (io->opcode == DEVICE_WRITE)
		io_uring_prep_write(sqe, fd, buf, len, io->offset + slot->moved);
	else if (io->opcode == DEVICE_FLUSH)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else
		io_uring_prep_fallocate(sqe, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->len);
	sqe->flags |= q->fixed ? IOSQE_FIXED_FILE : 0;
	io_uring_sqe_set_data(sqe, (void *)(uintptr_t)slot);
}

static bool is_transient(int sys_errno)
{
	return sys_errno == EINTR || sys_errno == EAGAIN || sys_errno == EBUSY;
}

/* What the kernel refuses for good must not reach it later, when its buffer is the caller's again: it becomes a NOP. */
static void withdraw_unsubmitted(struct uring_queue *q, int sys_errno)
{
	struct io_uring_sq *sq = &q->ring.sq;

	for (unsigned i = *sq->khead; i != sq->sqe_tail; i++) {
		struct io_uring_sqe *sqe  = &sq->sqes[i & sq->ring_mask];
		struct slot	    *slot = (struct slot *)(uintptr_t)sqe->user_data;

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data(sqe, NULL);
		if (slot)
			finish(q, slot, file_io_error(q->file, slot->io, slot->moved, sys_errno));
	}
}

/* Hands over what stands in the ring, and waits for `wait` completions. */
static void enter(struct uring_queue *q, unsigned wait)
{
	int		rc    = wait ? io_uring_submit_and_wait(&q->ring, wait) : io_uring_submit(&q->ring);
	struct timespec pause = { 0, 1000000 };

	if (rc >= 0 || rc == -EINTR)
		return;
	if (!is_transient(-rc))
		withdraw_unsubmitted(q, -rc);
	if (wait)
		nanosleep(&pause, NULL); /* the caller asks again: not in a busy loop */
}

/* There is room: a ring has at least as many entries as the queue is deep, and a NOP stands for a slot that is free by now only
 * until the next enter(). */
static void start(struct uring_queue *q, struct slot *slot)
{
	struct io_uring_sqe *sqe;

	while ((sqe = io_uring_get_sqe(&q->ring)) == NULL)
		enter(q, 1);
	prepare(q, sqe, slot);
	enter(q, 0);
}

static void uring_submit(struct device_queue *queue, struct device_io *io)
{
	struct uring_queue *q	 = queue_of(queue);
	struct slot	   *slot = q->free;

	q->free	    = slot->next;
	slot->io    = io;
	slot->moved = 0;
	slot->tries = 0;
	touch_if_poisoned(io);
	if (io->opcode == DEVICE_DISCARD && q->file->block)
		finish(q, slot, file_io(q->file, io)); /* the ring has no discard for block devices before Linux 6.12 */
	else
		start(q, slot);
}

static bool comes_again(int res)
{
	return res == -EAGAIN || res == -EINTR || res == -ECANCELED;
}

static void complete(struct uring_queue *q, struct slot *slot, int res)
{
	const struct device_io *io	   = slot->io;
	bool			moves_data = io->opcode == DEVICE_READ || io->opcode == DEVICE_WRITE;

	if (comes_again(res) && ++slot->tries < TRIES_MAX) {
		start(q, slot);
		return;
	}
	if (res > 0)
		slot->moved += (uint64_t)res;
	if (res < 0 || (moves_data && res == 0))
		finish(q, slot, file_io_error(q->file, io, slot->moved, -res));
	else if (moves_data && slot->moved < io->len)
		start(q, slot);
	else
		finish(q, slot, 0);
}

static void take_completions(struct uring_queue *q)
{
	struct io_uring_cqe *cqe;
	struct slot	    *slot;
	int		     res;

	while (io_uring_peek_cqe(&q->ring, &cqe) == 0) {
		slot = io_uring_cqe_get_data(cqe);
		res  = cqe->res;
		io_uring_cqe_seen(&q->ring, cqe); /* first: complete() may submit and so need its room */
		if (slot)
			complete(q, slot, res);
	}
}

static unsigned hand_out(struct uring_queue *q, unsigned max, struct device_io **ios)
{
	unsigned n = 0;

	while (n < max && q->done.first)
		ios[n++] = device_done_take(&q->done);
	q->done_count -= n;
	return n;
}

static unsigned uring_reap(struct device_queue *queue, unsigned min, unsigned max, struct device_io **ios)
{
	struct uring_queue *q = queue_of(queue);

	if (io_uring_sq_ready(&q->ring))
		enter(q, 0);
	take_completions(q);
	while (q->done_count < min) {
		enter(q, min - q->done_count);
		take_completions(q);
	}
	return hand_out(q, max, ios);
}

const struct device_backend uring_backend = {
	.name	     = "io_uring",
	.queue_open  = uring_queue_open,
	.queue_close = uring_queue_close,
	.submit	     = uring_submit,
	.reap	     = uring_reap,
	.run	     = file_run,
	.close	     = file_close,
};
