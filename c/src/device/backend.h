/* SPDX-License-Identifier: Apache-2.0 */
/* device/backend.h: what device.c, queue.c and the backends share. Only files of this folder include it.
 *
 * Always true: queue.c counts what is in flight and keeps what completed before its user asked for it; a backend only starts and
 * finishes I/O. A backend's device and queue have the structs below as their first member.
 *
 *	queue_open()   gets the queue from calloc() and sets what is its own, and in the common part `flags`: those of IOPOLL and SQPOLL
 *	               that it takes, with a `note` when not all that are asked for. queue.c sets the rest of the common part right after
 *	submit()       one thread at a time; gets checked requests, with at most `depth` in flight, these included. One that it finishes
 *	               at once goes to device_queue_done(). It looks at none after it has let it go: it may be reaped by then. With
 *	               `reap_follows` the same thread calls reap() right after, and it may leave to that what it likes
 *	reap()         one thread at a time, also while another is in submit(): waits for min, for wake(), or until the deadline, on the
 *	               clock of base_wait_ns(); returns up to max. With min 0 it does not wait
 *	wake()         any thread: a reap() that waits, or the next one that would, returns early. Early returns too many do no harm
 *	cancel()       any thread, the lock held, io in flight. True: io is withdrawn, and the backend knows it no more. False: it comes by
 *	               itself, with a result, or with CANCELED when device_queue_was_cancelled()
 *	adapt()        nothing is in flight: 0, or negative and a sentence, and all is as before
 *	run()          any thread, whatever else goes on
 *	queue_close()  nothing is in flight: ends what is its own; queue.c frees the queue
 *	close()        no queue is open
 *
 * A backend that finishes I/O by itself, at once or on threads of its own, pushes: it gives each to device_queue_done(), its
 * queue_open() sets `fetching` for good (and `has_workers` with threads of its own), and its reap() and wake(), which are never needed,
 * are those of queue.c.
 *
 * A SINGLE queue, unless it has workers, is not `locked`: submit(), reap(), cancel() and adapt() come from one thread at a time, and
 * only wake() from any. */
#ifndef TARN_DEVICE_BACKEND_H
#define TARN_DEVICE_BACKEND_H

#include "device.h"

#include <pthread.h>
#include <stdatomic.h>

#define DEVICE_ALLOC_ALIGNMENT 4096u /* of device_alloc(): enough for every device */
#define IS_ALIGNED(x, power)   (((x) & ((uint64_t)(power)-1)) == 0)
#define DEVICE_DEPTH_MAX       4096u /* of a queue */
#define DEVICE_FIXED_MAX       1024u /* registered buffers of a queue */
#define DEVICE_NO_DEADLINE     UINT64_MAX

struct device {
	const struct device_backend *backend;
	tarn_dev_info		     info;	      /* complete once the device is open */
	_Atomic unsigned	     queues;	      /* open ones */
	bool			     write_protected; /* however it is opened */
	bool			     strict;	      /* refuses what cannot be had, also of a queue */
	struct device_bounce	    *bounce;	      /* bounce.c's; NULL: misaligned I/O is refused */
};

/* Completed I/O in the order of completion. */
struct device_done {
	tarn_dev_io *first, *last; /* linked by opaque[0] */
};

struct device_queue {
	struct device  *dev;
	unsigned	depth;
	uint32_t	flags; /* TARN_DEV_QUEUE_..., those that were taken */
	char		note[128];
	bool		locked;	      /* the lock is really taken: several threads may be at it */
	bool		has_workers;  /* the backend finishes I/O on threads of its own */
	bool		acts_in_reap; /* nothing completes outside the backend's reap() */
	bool		reap_follows; /* set around submit(), if not locked */
	pthread_t	owner;	      /* of a SINGLE queue: who used it last */
	tarn_dev_vec   *fixed;	      /* the registered buffers */
	unsigned	fixed_count;
	atomic_bool	woken; /* by device_wake(), and no reaper has returned for it yet; set under the lock, too */
	pthread_mutex_t lock;  /* never held over I/O */
	/* Under the lock: */
	pthread_cond_t room;	 /* less is in flight, or nobody fetches any more */
	pthread_cond_t finished; /* `wanted` are done, nobody fetches any more, or woken */
	unsigned       in_flight;
	uintptr_t *
		flying; /* these, in no order: opaque[1] of each is its place. Lowest bits: how often it was asked to cancel it */
	unsigned	   wanted, done_count;
	struct device_done done;     /* finished, and not reaped by the user yet */
	bool		   fetching; /* a thread is in the backend's reap(), or the backend pushes */
	int		   event_fd; /* or -1 */
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
unsigned device_pushed_reap(struct device_queue *queue, unsigned min, unsigned max, uint64_t deadline, tarn_dev_io **ios);
void	 device_pushed_wake(struct device_queue *queue);

/* The cancel slot of a backend that cannot: it is always too late. The adapt slot of one that needs nothing of it. */
bool device_cancels_nothing(struct device_queue *queue, tarn_dev_io *io);
int  device_adapts_by_itself(struct device_queue *queue, enum device_queue_change change);

/* From a backend that may come back with less than was asked: io is in flight, and somebody has asked to cancel it. Takes the lock. */
bool device_queue_was_cancelled(struct device_queue *queue, const tarn_dev_io *io);
/* Of the thread that reaps, when an attempt to cancel io came at a bad moment: it is in flight still, and may be asked once more. */
bool device_queue_cancels_again(struct device_queue *queue, const tarn_dev_io *io);
/* CANCELED, with the sentence. */
int device_cancelled(const tarn_dev_io *io);

/* Of FIXED I/O: 0 when buf lies in the registered buffer that it names, else INVAL and a sentence. 0 for other I/O. */
int device_check_fixed(const struct device_queue *queue, const tarn_dev_io *io);

/* So many microseconds from now; negative: never. */
uint64_t device_deadline(int64_t timeout_us);

/* threads.c: the queue of a backend whose run() waits: a few threads that call it. Its reap and wake slots are the pushed ones. */
int  threads_queue_open(struct device *dev, const struct device_queue_options *options, struct device_queue **queue);
void threads_queue_close(struct device_queue *queue);
void threads_submit(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n);
bool threads_cancel(struct device_queue *queue, tarn_dev_io *io);

/* 0 when the backend can do io as it stands, else negative and a sentence; DEVICE_BOUNCES (positive) when it is misaligned, and the
 * device bounces. Looks at all but the registered buffers of a queue. */
#define DEVICE_BOUNCES 1
int device_check_io(const struct device *dev, const tarn_dev_io *io);
int device_check_length(const struct device *dev, const tarn_dev_io *io, uint64_t longest); /* longest for max_transfer */

/* For an io that device_check_io() did not say 0 of: the error, or, when it bounces, the result of doing it now, on this thread. */
int device_settle_io(struct device *dev, tarn_dev_io *io);

/* Copies len bytes out of the memory of io (buf, or its vector), from its byte `from` on; and into it. */
void device_copy_out(const tarn_dev_io *io, uint64_t from, void *to, uint64_t len);
void device_copy_in(const tarn_dev_io *io, uint64_t to, const void *from, uint64_t len);

/* The zone slots of a backend that has none. */
int device_no_zones_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count);
int device_no_zones_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len);

/* Sets the result; with rc < 0 also this thread's sentence, which fail() has just made. */
void device_io_finish(tarn_dev_io *io, int rc);

/* "read", "write", "flush", ... */
const char *device_opcode_name(tarn_dev_opcode opcode);
bool	    device_moves_data(tarn_dev_opcode opcode); /* from or to memory */

/* What COMPARE says of len bytes that the device has at offset: 0, or MISMATCH and where. */
int device_compare(uint64_t offset, const void *stored, const void *expected, uint64_t len);

/* bounce.c: an io that device_check_io() says DEVICE_BOUNCES of, of any length, done now through an aligned buffer. */
int  device_bounce_create(struct device_bounce **bounce);
void device_bounce_destroy(struct device_bounce *bounce); /* NULL: nothing */
int  device_bounce_run(struct device *dev, tarn_dev_io *io);

/* The constructors that device_open() chooses from by the URI's scheme; each fills all of info, with a uri that says the same. */
struct device_params;
int mem_open(const struct device_params *params, struct device **dev);	       /* zeroed memory, gone with the device */
int sim_open_private(const struct device_params *params, struct device **dev); /* a simulated disk, gone with the device */

#endif
