/* SPDX-License-Identifier: Apache-2.0 */
/* device/backend.h: what device.c, queue.c and the backends share. Only files of this folder include it.
 *
 * Always true: queue.c counts what is in flight and keeps what completed before its user asked for it; a backend only starts and
 * finishes I/O. A backend's device and queue have the structs below as their first member.
 *
 *	queue_open()   gets the queue from calloc() and sets what is its own; queue.c sets the common part right after
 *	submit()       one thread at a time; gets checked requests, with at most `depth` in flight, these included. One that it finishes
 *	               at once goes to device_queue_done(). It looks at none after it has let it go: it may be reaped by then
 *	reap()         one thread at a time, also while another is in submit(): waits for min, or for wake(); returns up to max
 *	wake()         any thread: a reap() that waits, or the next one that would, returns early. Early returns too many do no harm
 *	run()          any thread, whatever else goes on
 *	queue_close()  nothing is in flight: ends what is its own; queue.c frees the queue
 *	close()        no queue is open
 *
 * A backend that finishes I/O by itself, at once or on threads of its own, pushes: it gives each to device_queue_done(), its
 * queue_open() sets `fetching` for good, and its reap() and wake(), which are never needed, are those of queue.c. */
#ifndef TARN_DEVICE_BACKEND_H
#define TARN_DEVICE_BACKEND_H

#include "device.h"

#include <pthread.h>

#define DEVICE_ALLOC_ALIGNMENT 4096u /* of device_alloc(): enough for every device */
#define DEVICE_DEPTH_MAX       4096u /* of a queue */

struct device {
	const struct device_backend *backend;
	tarn_dev_info		     info;   /* complete once the device is open */
	_Atomic unsigned	     queues; /* open ones */
};

/* Completed I/O in the order of completion. */
struct device_done {
	tarn_dev_io *first, *last; /* linked by opaque[0] */
};

struct device_queue {
	struct device  *dev;
	unsigned	depth;
	pthread_mutex_t lock; /* never held over I/O */
	/* Under the lock: */
	pthread_cond_t	   room;     /* less is in flight, or nobody fetches any more */
	pthread_cond_t	   finished; /* `wanted` are done, nobody fetches any more, or woken */
	unsigned	   in_flight;
	unsigned	   wanted, done_count;
	struct device_done done;     /* finished, and not reaped by the user yet */
	bool		   fetching; /* a thread is in the backend's reap(), or the backend pushes */
	bool		   woken;    /* by device_wake(), and no reaper has returned for it yet */
};

static inline void device_done_add(struct device_done *done, tarn_dev_io *io)
{
	io->opaque[0] = NULL;
	if (done->last)
		done->last->opaque[0] = io;
	else
		done->first = io;
	done->last = io;
}

static inline tarn_dev_io *device_done_take(struct device_done *done)
{
	tarn_dev_io *io = done->first;

	if (!io)
		return NULL;
	done->first = io->opaque[0];
	if (!done->first)
		done->last = NULL;
	return io;
}

/* From a backend: io, which was in flight, is finished. Lends it to whoever reaps. */
void device_queue_done(struct device_queue *queue, tarn_dev_io *io);

/* The reap and wake slots of a backend that pushes. */
unsigned device_pushed_reap(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios);
void	 device_pushed_wake(struct device_queue *queue);

/* 0 when the device can do io as it stands, else negative and a sentence. */
int device_check_io(const struct device *dev, const tarn_dev_io *io);

/* Sets the result; with rc < 0 also this thread's sentence, which fail() has just made. */
void device_io_finish(tarn_dev_io *io, int rc);

/* "read", "write", "flush", "discard". */
const char *device_opcode_name(tarn_dev_opcode opcode);

/* The constructors that device_open() chooses from by the URI's scheme; each fills all of info, with a uri that says the same. */
int mem_open(uint64_t size, struct device **dev);			 /* zeroed memory, gone with the device */
int sim_open_private(uint64_t size, uint64_t seed, struct device **dev); /* a simulated disk, gone with the device */

#endif
