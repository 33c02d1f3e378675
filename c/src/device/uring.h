/* SPDX-License-Identifier: Apache-2.0 */
/* device/uring.h: the queue that is one io_uring: uring.c submits, reaps, wakes and cancels; uring_ring.c makes the ring, and
 * makes it anew; uring_file.c and nvme_uring.c say what goes into it. Only they include it. */
#ifndef TARN_DEVICE_URING_H
#define TARN_DEVICE_URING_H

#include "backend.h"

#include <errno.h>
#include <liburing.h>

/* What an entry is: the lowest bits of its user_data. The others are the address of its I/O, which is aligned. */
enum mark {
	MARK_IO	    = 0,
	MARK_WAKE   = 1, /* the NOP of a wake; no I/O */
	MARK_CANCEL = 2, /* an attempt to cancel that I/O */
	MARK_POLL   = 3, /* wake_fd is readable; no I/O */
};

static inline enum mark mark_of(uint64_t user_data)
{
	return (enum mark)(user_data & 3);
}

static inline tarn_dev_io *io_of(uint64_t user_data)
{
	return (tarn_dev_io *)(uintptr_t)(user_data & ~UINT64_C(3));
}

struct uring_queue;

/* What differs between the devices that have such queues. */
struct uring_kind {
	unsigned setup;				 /* IORING_SETUP_... that its entries need */
	int (*fd)(const struct device *dev);	 /* of its I/O */
	bool (*polls)(const struct device *dev); /* its driver has poll queues */
	/* The ring has a command for io, which is no NOP. */
	bool (*takes)(const struct uring_queue *q, const tarn_dev_io *io);
	/* Fills an entry for what it takes, but for user_data and IOSQE_FIXED_FILE; fd is right with or without. */
	void (*prepare)(const struct uring_queue *q, struct io_uring_sqe *sqe, int fd, const tarn_dev_io *io);
	/* The result of io, of which this is the completion; nobody has asked to cancel what was not done. */
	int (*result)(struct device *dev, tarn_dev_io *io, const struct io_uring_cqe *cqe);
};

struct uring_queue {
	struct device_queue	 base; /* first */
	const struct uring_kind *kind;
	struct device		*dev;
	int			 fd;
	struct io_uring		 ring;
	unsigned		 depth;
	bool			 single;	/* one thread: no lock */
	bool			 fixed_file;	/* the file is registered: its index 0 stands for the descriptor */
	bool			 fixed_buffers; /* those of base are registered */
	bool			 polled;	/* wake_fd is, by an entry in the kernel's hands */
	int			 wake_fd;	/* of a SINGLE queue, or -1 */
	pthread_mutex_t		 entries;	/* the submission side */
	_Atomic unsigned	 handed_over;
	atomic_bool		 waking; /* the NOP of a wake is on its way to the reaper; with IOPOLL: a reaper is to return */
};

static inline struct uring_queue *uring_of(struct device_queue *queue)
{
	return container_of(queue, struct uring_queue, base);
}

static inline bool has_setup(const struct uring_queue *q, unsigned flag)
{
	return (q->ring.flags & flag) != 0;
}

/* Not done, by no fault of the device: a plain system call does it. */
static inline bool uring_is_undone(int res)
{
	return res == -EAGAIN || res == -EINTR || res == -ECANCELED;
}

/* What is done by a plain system call instead, on this thread. */
static inline int uring_run_plainly(struct device *dev, tarn_dev_io *io)
{
	return dev->backend->run(dev, io);
}

/* uring_ring.c: the queue_open slot of a backend calls the first; the others are slots. */
int  uring_open_queue(struct device *dev, const struct uring_kind *kind, const struct device_queue_options *options,
		      struct device_queue **queue);
void uring_queue_close(struct device_queue *queue);
int  uring_adapt(struct device_queue *queue, enum device_queue_change change);

/* uring.c: slots. */
void	 uring_submit(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n);
unsigned uring_reap(struct device_queue *queue, unsigned min, unsigned max, uint64_t deadline, tarn_dev_io **ios);
void	 uring_wake(struct device_queue *queue);
bool	 uring_cancel(struct device_queue *queue, tarn_dev_io *io);

#endif
