/* SPDX-License-Identifier: Apache-2.0 */
/* device/backend.h: what device.c and the backends share. Only files of this folder include it.
 *
 * Always true: device.c counts what is in flight and keeps what completed before its user asked for it; a backend only starts and
 * finishes I/O. A backend's device and queue have the structs below as their first member. Its queue_open() allocates and sets
 * what is its own; device.c fills the common part right after. Its submit() gets a checked request, with fewer than `depth` in
 * flight, and may finish it at once, but hands it out in reap() only. Its reap() is asked for at least `min` <= in_flight of them.
 * Its queue_close() is called with nothing in flight, its close() with no queue open. */
#ifndef TARN_DEVICE_BACKEND_H
#define TARN_DEVICE_BACKEND_H

#include "device.h"

#define DEVICE_ALLOC_ALIGNMENT 4096u /* of device_alloc(): enough for every device */
#define DEVICE_DEPTH_MAX       4096u /* of a queue */

struct device {
	const struct device_backend *backend;
	tarn_dev_info		     info;   /* complete once the device is open */
	_Atomic unsigned	     queues; /* open ones */
};

/* Completed I/O in the order of completion, linked by device_io.next. */
struct device_done {
	struct device_io *first, *last;
};

struct device_queue {
	struct device	  *dev;
	unsigned	   depth;
	unsigned	   in_flight; /* with the backend */
	struct device_done done;      /* finished, and not reaped by the user yet */
};

static inline void device_done_add(struct device_done *done, struct device_io *io)
{
	io->next = NULL;
	if (done->last)
		done->last->next = io;
	else
		done->first = io;
	done->last = io;
}

static inline struct device_io *device_done_take(struct device_done *done)
{
	struct device_io *io = done->first;

	if (!io)
		return NULL;
	done->first = io->next;
	if (!done->first)
		done->last = NULL;
	return io;
}

/* The run slot of a backend that has no quicker way than its queue. */
int device_run_queued(struct device_queue *queue, struct device_io *io);

/* Sets the result; with rc < 0 also this thread's sentence, which fail() has just made. */
void device_io_finish(struct device_io *io, int rc);

/* "read", "write", "flush", "discard". */
const char *device_opcode_name(enum device_opcode opcode);

/* The constructors that device_open() chooses from by the URI's scheme; each fills all of info, with a uri that says the same. */
int mem_open(uint64_t size, struct device **dev);			 /* zeroed memory, gone with the device */
int sim_open_private(uint64_t size, uint64_t seed, struct device **dev); /* a simulated disk, gone with the device */

#endif
