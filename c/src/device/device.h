/* SPDX-License-Identifier: Apache-2.0 */
/* device/device.h: one device, and queues of asynchronous I/O on it.
 *
 * Always true: geometry is known once device_open() returns. Offset, length and memory of every I/O are multiples of the
 * alignments there, checked in one place (device_check_io), so no backend sees a misaligned or out-of-bounds request; a device that
 * bounces does what is misaligned in aligned steps. A short transfer never completes with 0. A flush covers the writes that had completed before it was submitted; a durable write needs none.
 * O_DIRECT is never dropped silently: info.note says why, and `strict` refuses.
 *
 * Who may call what: one thread at a time submits to a queue, and one thread at a time reaps it, but these two may be different
 * threads at the same moment; where several want to submit, or to reap, they share a lock of their own. device_wake(),
 * device_cancel() and the calls that do one I/O and wait for it are for any thread at any moment. A SINGLE queue is used by one thread
 * at a time for everything but device_wake(), and another takes over only while nothing is in flight (with the backend): until then what
 * it submits is refused, and it reaps no more than what is done already. Different queues have nothing to do with each other.
 * Completions are taken with device_reap() and device_wait() only, never from inside device_submit(). */
#ifndef TARN_DEVICE_INTERNAL_H
#define TARN_DEVICE_INTERNAL_H

#include "../base/base.h"
#include <tarn/dev_queue.h>
#include <tarn/dev_zone.h>

struct device;
struct device_queue;

struct device_options {
	bool	    create; /* make a regular file, exclusively: EXIST when there is one */
	uint64_t    size;   /* of what is created; 0: as it is */
	bool	    readonly;
	bool	    exclusive; /* hold it: BUSY naming the holder when another open file description holds it */
	bool	    strict;    /* refuse instead of falling back (threads for io_uring, buffered for direct) */
	bool	    buffered;  /* through the page cache, as asked: no fallback, so strict does not mind */
	bool	    bounce;    /* misaligned I/O is done through an aligned buffer */
	const char *backend;   /* NULL: the best; "io_uring", "threads" */
};

/* URI: as in tarn/dev.h; what may stand behind mem:SIZE? and sim:SIZE? is in params.h.
 * NONEXIST, EXIST, NO_PERM, INVAL, BUSY, NOSPACE, NOTSUPPORTED, IO. A new file's directory is flushed. */
int  device_open(const char *uri, const struct device_options *options, struct device **dev);
void device_close(struct device *dev); /* all queues are closed, no call is running */

const tarn_dev_info   *device_info(const struct device *dev);
static inline uint64_t device_size(const struct device *dev)
{
	return device_info(dev)->size;
}
uint64_t device_bounced(const struct device *dev); /* I/Os so far: device_info() does not count them */

/* What device_queue_open() takes, and what it is by default: {depth} alone. */
struct device_queue_options {
	unsigned depth; /* 1 to 4096 */
	uint32_t flags; /* TARN_DEV_QUEUE_... */
};

/* INVAL, NOTSUPPORTED (a flag that cannot be had, and the device is strict), NOMEM. */
int  device_queue_open(struct device *dev, unsigned depth, struct device_queue **queue);
int  device_queue_open_with(struct device *dev, const struct device_queue_options *options, struct device_queue **queue);
void device_queue_close(struct device_queue *queue); /* waits for what is in flight; nobody is in another call on it */
/* The same, for no longer than timeout_us (negative: for ever). TIMEDOUT: it stays open. INVAL: see device_queue_register(). */
int  device_queue_close_within(struct device_queue *queue, int64_t timeout_us);
void device_queue_describe(struct device_queue *queue, tarn_dev_queue_info *info); /* all of it but struct_size */

/* As tarn_dev_queue_register(). INVAL also when another thread has I/O in flight on a SINGLE queue. The array is copied. */
int device_queue_register(struct device_queue *queue, const tarn_dev_vec *buffers, unsigned n);
int device_queue_fd(struct device_queue *queue);		/* as tarn_dev_queue_fd(); one that reaps calls it */
int device_cancel(struct device_queue *queue, tarn_dev_io *io); /* as tarn_dev_queue_cancel() */

/* Starts io; it will be reaped exactly once, also when it is refused (its rc says so). Waits for room when the queue is full:
 * what completes meanwhile is kept for device_reap(). */
void device_submit(struct device_queue *queue, tarn_dev_io *io);
/* The same for n of them, in one system call where the backend can. The array is the caller's again at once. */
void device_submit_many(struct device_queue *queue, tarn_dev_io **ios, unsigned n);
/* The same, but does not wait: returns how many, from the first on, it has started; less than n when so many are not reaped yet as the
 * queue is deep. */
unsigned device_try_submit(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n);

/* Takes up to max completions into ios; waits for at least `min` of them (0: does not wait), also of I/O that is submitted
 * meanwhile. Returns their number; less than min only when nothing is in flight, or after device_wake(). */
unsigned device_reap(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios);
/* The same, or also when timeout_us have passed (0: does not wait; negative: for ever). */
unsigned device_reap_within(struct device_queue *queue, unsigned min, unsigned max, int64_t timeout_us, tarn_dev_io **ios);

/* device_try_submit(), then device_reap_within(): in one system call where the backend can. */
unsigned device_submit_and_reap(struct device_queue *queue, tarn_dev_io *const *submit, unsigned n, unsigned *started,
				unsigned min, unsigned max, int64_t timeout_us, tarn_dev_io **ios);

/* Takes up to max completions, at least one: waits also while nothing is in flight. 0 only after device_wake(). Not for SINGLE queues. */
unsigned device_wait(struct device_queue *queue, unsigned max, tarn_dev_io **ios);

/* Makes the thread that waits in device_reap() or device_wait(), or else the next one that would, return early. Several wakes before
 * it does are one. */
void device_wake(struct device_queue *queue);

/* One I/O that waits: any opcode, checked, and done on the calling thread, any thread, before it returns; splits at max_transfer, also
 * a vector, but for ZONE_APPEND (INVAL when larger), which sets io->offset. It is never reaped: the result is what is returned, with
 * this thread's sentence, and io->rc and io->message stay as they were. FIXED is INVAL: it needs a queue. */
int device_run(struct device *dev, tarn_dev_io *io);

/* The same for the engine. */
int device_read(struct device_queue *queue, uint64_t offset, void *buf, uint64_t len);
int device_write(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len);
int device_write_durable(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len);
int device_flush(struct device_queue *queue);
int device_discard(struct device_queue *queue, uint64_t offset, uint64_t len);

/* Zones. NOTSUPPORTED when the device has none. Any thread; they wait for the device. *count is the room, then how many there are:
 * fewer only at the end of the device. Both are checked: offset and len are those of whole zones of the device, len > 0. */
enum device_zone_action { DEVICE_ZONE_OPEN, DEVICE_ZONE_CLOSE, DEVICE_ZONE_FINISH, DEVICE_ZONE_RESET };
int device_zone_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count);
int device_zone_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len);

/* Zeroed memory aligned for every device (4096), freed with device_free(). NULL when there is none. */
void *device_alloc(size_t len);
void  device_free(void *buf);

/* The same for large transfers: from 2 MiB on the kernel is asked for huge pages. Freed with device_free_large() and the same length. */
void *device_alloc_large(size_t len);
void  device_free_large(void *buf, size_t len);

/* The same in reserved pages of 2 MiB where the kernel has them, else as device_alloc_large(); freed with device_free_huge() and the
 * same length. NULL when there is none, or len is 0. */
void *device_alloc_huge(size_t len);
void  device_free_huge(void *buf, size_t len);

/* Address space for large buffers: zeroed, of whole pages, which take up memory only once they are written. From 2 MiB on it begins
 * at a multiple of 2 MiB, and the kernel is asked for huge pages. NULL when there is none, or len is 0. */
void *device_map(size_t len);
void *device_map_small(size_t len); /* the same, without huge pages */
/* The same memory, longer, perhaps elsewhere: what was in it stays, and zeros are behind. NULL when there is none: then all is as it was. */
void *device_remap(void *p, size_t len, size_t longer);
void  device_unmap(void *p, size_t len); /* as it was mapped */
/* Of memory that is mapped; the kernel may do nothing. Any thread, while others use it: these may wait, for milliseconds. */
void device_back(void *p, size_t len);	     /* whole pages are touched: who uses them first does not wait for memory then */
void device_back_small(void *p, size_t len); /* the same, whole 2 MiB at multiples of 2 MiB, in small pages */
void device_join(void *p, size_t len);	     /* such small pages become huge ones */
/* Gives the memory of whole pages back to the kernel, and keeps the address space: it reads as zeros again. */
void device_unback(void *p, size_t len);

/* What of a queue has just changed. */
enum device_queue_change {
	DEVICE_QUEUE_BUFFERS, /* there are registered ones */
	DEVICE_QUEUE_EVENTS,  /* it has an event_fd */
	DEVICE_QUEUE_THREAD,  /* another thread takes over a SINGLE queue; nothing is in flight */
};

/* The backend of a device: what differs between them, and nothing else. Slots are never NULL; backend.h says what each may do. */
struct device_backend {
	const char *name;
	int (*queue_open)(struct device *dev, const struct device_queue_options *options, struct device_queue **queue);
	void (*queue_close)(struct device_queue *queue);
	void (*submit)(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n); /* checked; there is room */
	unsigned (*reap)(struct device_queue *queue, unsigned min, unsigned max, uint64_t deadline, tarn_dev_io **ios);
	void (*wake)(struct device_queue *queue);
	bool (*cancel)(struct device_queue *queue, tarn_dev_io *io);
	int (*adapt)(struct device_queue *queue, enum device_queue_change change);
	int (*run)(struct device *dev, tarn_dev_io *io); /* checked: all of it, before it returns; any thread, no queue */
	int (*zone_report)(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count); /* checked; never NULL */
	int (*zone_manage)(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len); /* the same */
	void (*close)(struct device *dev);
};

#endif
