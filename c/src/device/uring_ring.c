/* SPDX-License-Identifier: Apache-2.0 */
/* device/uring_ring.c: whether there is io_uring, and making rings. What is always true of them stands in uring.c. */
#include "file.h"
#include "uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SQPOLL_IDLE_MS 50

static const int needed_opcodes[] = { IORING_OP_READ,	    IORING_OP_WRITE,	    IORING_OP_READV, IORING_OP_WRITEV,
				      IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED,  IORING_OP_FSYNC, IORING_OP_FALLOCATE,
				      IORING_OP_POLL_ADD,   IORING_OP_ASYNC_CANCEL, IORING_OP_NOP };

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

/* A ring's memory comes from the kernel and goes back to it, and the next ring may get the same place. The thread sanitizer sees neither:
 * so it is told that the one came after the other. */
static void order_rings(void)
{
#ifdef __SANITIZE_THREAD__
	static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&order);
	pthread_mutex_unlock(&order);
#endif
}

static int try_ring(const struct uring_queue *q, unsigned flags, struct io_uring *ring)
{
	struct io_uring_params params = { .flags	  = flags | q->kind->setup | IORING_SETUP_CQSIZE,
					  .cq_entries	  = 4 * q->depth,
					  .sq_thread_idle = SQPOLL_IDLE_MS };

	int rc = io_uring_queue_init_params(q->depth, ring, &params);

	order_rings();
	return rc;
}

/* 0, or a negative errno. With as much of what makes a ring of one thread fast as the kernel knows. */
static int init_ring(const struct uring_queue *q, unsigned flags, struct io_uring *ring)
{
	static const unsigned single[] = { IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
					   IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG };
	int		      rc       = -EINVAL;

	for (size_t i = 0; q->single && !(flags & IORING_SETUP_SQPOLL) && rc == -EINVAL && i < ARRAY_LEN(single); i++)
		rc = try_ring(q, flags | single[i], ring);
	return rc == -EINVAL ? try_ring(q, flags, ring) : rc;
}

/* The entries stand in the ring in their own order, so handing over is moving the tail. The file is registered where that can
 * be: it saves a shared counter per I/O. */
static int start_ring(struct uring_queue *q, unsigned flags)
{
	struct io_uring ring;
	int		rc = init_ring(q, flags, &ring);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < *ring.sq.kring_entries; i++)
		ring.sq.array[i] = i;
	q->ring		 = ring;
	q->fixed_file	 = io_uring_register_files(&q->ring, &q->fd, 1) == 0;
	q->fixed_buffers = false;
	q->polled	 = false;
	return 0;
}

/* What of the asked flags can be tried; the note says why not. */
static unsigned usable_flags(struct uring_queue *q, uint32_t asked)
{
	bool	    direct = q->dev->info.direct;
	const char *no	   = direct ? "the driver has no poll queues" : "it is not direct I/O";
	unsigned    flags  = asked & TARN_DEV_QUEUE_SQPOLL ? IORING_SETUP_SQPOLL : 0;

	if (!(asked & TARN_DEV_QUEUE_IOPOLL))
		return flags;
	if (direct && q->kind->polls(q->dev))
		return flags | IORING_SETUP_IOPOLL;
	snprintf(q->base.note, sizeof(q->base.note), "no IOPOLL: %s", no);
	return flags;
}

/* With polling if the kernel lets it, else without. */
static int start_any_ring(struct uring_queue *q, uint32_t asked)
{
	unsigned flags = usable_flags(q, asked);
	int	 rc    = start_ring(q, flags);

	if (rc < 0 && flags) {
		snprintf(q->base.note, sizeof(q->base.note), "no IOPOLL or SQPOLL: the kernel refuses: %s", strerror(-rc));
		flags = 0;
		rc    = start_ring(q, 0);
	}
	q->base.flags = (flags & IORING_SETUP_IOPOLL ? TARN_DEV_QUEUE_IOPOLL : 0) |
			(flags & IORING_SETUP_SQPOLL ? TARN_DEV_QUEUE_SQPOLL : 0);
	return rc;
}

static int start_queue(struct uring_queue *q, uint32_t asked)
{
	int rc;

	q->wake_fd = q->single ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
	if (q->single && q->wake_fd < 0)
		return base_fail_errno(errno, "eventfd for a queue on %s", q->dev->info.uri);
	rc = start_any_ring(q, asked);
	if (rc < 0 && q->wake_fd >= 0)
		close(q->wake_fd);
	return rc < 0 ? base_fail_errno(-rc, "io_uring of %u entries for %s", q->depth, q->dev->info.uri) : 0;
}

int uring_open_queue(struct device *dev, const struct uring_kind *kind, const struct device_queue_options *options,
		     struct device_queue **queue)
{
	struct uring_queue *q = calloc(1, sizeof(*q));
	int		    rc;

	if (!q)
		return fail(NOMEM, "no memory for a queue of %u on %s", options->depth, dev->info.uri);
	q->kind	  = kind;
	q->dev	  = dev;
	q->fd	  = kind->fd(dev);
	q->depth  = options->depth;
	q->single = options->flags & TARN_DEV_QUEUE_SINGLE;
	rc	  = start_queue(q, options->flags);
	if (rc) {
		free(q);
		return rc;
	}
	pthread_mutex_init(&q->entries, NULL);
	*queue = &q->base;
	return 0;
}

/* The file is given back by name: the kernel takes a ring apart later, in the background, and would keep a block device
 * claimed. (Only the owner of a SINGLE ring can; when another thread closes it, the next to hold the device waits for the
 * kernel.) */
static void stop_ring(struct io_uring *ring, bool fixed_file)
{
	if (fixed_file)
		io_uring_unregister_files(ring);
	order_rings();
	io_uring_queue_exit(ring);
}

void uring_queue_close(struct device_queue *queue)
{
	struct uring_queue *q = uring_of(queue);

	stop_ring(&q->ring, q->fixed_file);
	if (q->wake_fd >= 0)
		close(q->wake_fd);
	pthread_mutex_destroy(&q->entries);
}

static int register_buffers(struct uring_queue *q)
{
	int rc = io_uring_register_buffers(&q->ring, (const struct iovec *)q->base.fixed, q->base.fixed_count);

	q->fixed_buffers = rc == 0;
	if (rc == -EFAULT)
		return fail(INVAL, "register %u buffers: there is no memory at one of them", q->base.fixed_count);
	if (rc == -ENOMEM)
		return fail(NOMEM, "register %u buffers: no memory may be locked (see ulimit -l)", q->base.fixed_count);
	return rc < 0 ? base_fail_errno(-rc, "register %u buffers", q->base.fixed_count) : 0;
}

static int register_event_fd(struct uring_queue *q)
{
	int rc = io_uring_register_eventfd(&q->ring, q->base.event_fd);

	return rc < 0 ? base_fail_errno(-rc, "register an eventfd with io_uring") : 0;
}

/* A new ring, for this thread. Buffers that cannot be registered again are used all the same. */
static int renew_ring(struct uring_queue *q)
{
	struct io_uring old	   = q->ring;
	bool		fixed_file = q->fixed_file, fixed_buffers = q->fixed_buffers, polled = q->polled;
	int		rc = start_ring(q, old.flags & IORING_SETUP_IOPOLL);

	if (rc < 0)
		return base_fail_errno(-rc, "io_uring for another thread");
	if (fixed_buffers)
		register_buffers(q);
	rc = q->base.event_fd >= 0 ? register_event_fd(q) : 0;
	if (rc) {
		stop_ring(&q->ring, q->fixed_file);
		q->ring		 = old;
		q->fixed_file	 = fixed_file;
		q->fixed_buffers = fixed_buffers;
		q->polled	 = polled;
		return rc;
	}
	stop_ring(&old, fixed_file);
	return 0;
}

int uring_adapt(struct device_queue *queue, enum device_queue_change change)
{
	struct uring_queue *q = uring_of(queue);

	if (change == DEVICE_QUEUE_BUFFERS)
		return register_buffers(q);
	if (change == DEVICE_QUEUE_EVENTS)
		return register_event_fd(q);
	return has_setup(q, IORING_SETUP_SINGLE_ISSUER) ? renew_ring(q) : 0;
}
