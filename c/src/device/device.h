/* SPDX-License-Identifier: Apache-2.0 */
/* device/device.h: one device, and queues of asynchronous I/O on it.
 *
 * Always true: geometry is known once device_open() returns. Offset, length and memory of every I/O are multiples of the
 * alignments there, checked in one place (device_submit), so no backend sees a misaligned or out-of-bounds request. A short
 * transfer never completes with 0. A flush covers the writes that had completed before it was submitted; a durable write needs none.
 * O_DIRECT is never dropped silently: info.note says why, and `strict` refuses.
 *
 * Who may call what: one thread at a time submits to a queue, and one thread at a time reaps it, but these two may be different
 * threads at the same moment; where several want to submit, or to reap, they share a lock of their own. device_wake() and the calls
 * that do one I/O and wait for it are for any thread at any moment. Different queues have nothing to do with each other.
 * Completions are taken with device_reap() and device_wait() only, never from inside device_submit(). */
#ifndef TARN_DEVICE_INTERNAL_H
#define TARN_DEVICE_INTERNAL_H

#include "../base/base.h"
#include <tarn/dev_queue.h>

struct device;
struct device_queue;

struct device_options {
	bool	    create; /* make a regular file, exclusively: EXIST when there is one */
	uint64_t    size;   /* of what is created; 0: as it is */
	bool	    readonly;
	bool	    exclusive; /* hold it: BUSY naming the holder when another open file description holds it */
	bool	    strict;    /* refuse instead of falling back (threads for io_uring, buffered for direct) */
	const char *backend;   /* NULL: the best; "io_uring", "threads" */
};

/* URI: file:PATH block:PATH mem:SIZE[KMGT] sim:SIZE?seed=N, or a bare path of a regular file or a block device.
 * NONEXIST, EXIST, NO_PERM, INVAL, BUSY, NOSPACE, NOTSUPPORTED, IO. A new file's directory is flushed. */
int  device_open(const char *uri, const struct device_options *options, struct device **dev);
void device_close(struct device *dev); /* all queues are closed */

const tarn_dev_info   *device_info(const struct device *dev);
static inline uint64_t device_size(const struct device *dev)
{
	return device_info(dev)->size;
}

int  device_queue_open(struct device *dev, unsigned depth, struct device_queue **queue);
void device_queue_close(struct device_queue *queue); /* waits for what is in flight; nobody is in another call on it */

/* Starts io; it will be reaped exactly once, also when it is refused (its rc says so). Waits for room when the queue is full:
 * what completes meanwhile is kept for device_reap(). */
void device_submit(struct device_queue *queue, tarn_dev_io *io);
/* The same for n of them, in one system call where the backend can. The array is the caller's again at once. */
void device_submit_many(struct device_queue *queue, tarn_dev_io **ios, unsigned n);

/* Takes up to max completions into ios; waits for at least `min` of them (0: does not wait), also of I/O that is submitted
 * meanwhile. Returns their number; less than min only when nothing is in flight, or after device_wake(). */
unsigned device_reap(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios);

/* Takes up to max completions, at least one: waits also while nothing is in flight. 0 only after device_wake(). */
unsigned device_wait(struct device_queue *queue, unsigned max, tarn_dev_io **ios);

/* Makes the thread that waits in device_reap() or device_wait(), or else the next one that would, return early. Several wakes before
 * it does are one. */
void device_wake(struct device_queue *queue);

/* One I/O, done on the calling thread before it returns; splits at max_transfer. It is never reaped. */
int device_read(struct device_queue *queue, uint64_t offset, void *buf, uint64_t len);
int device_write(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len);
int device_write_durable(struct device_queue *queue, uint64_t offset, const void *buf, uint64_t len);
int device_flush(struct device_queue *queue);
int device_discard(struct device_queue *queue, uint64_t offset, uint64_t len);

/* Zeroed memory aligned for every device (4096), freed with device_free(). NULL when there is none. */
void *device_alloc(size_t len);
void  device_free(void *buf);

/* Address space for large buffers: zeroed, of whole pages, which take up memory only once they are written. From 2 MiB on it begins
 * at a multiple of 2 MiB, and the kernel is asked for huge pages. NULL when there is none, or len is 0. */
void *device_map(size_t len);
void  device_unmap(void *p, size_t len); /* as it was mapped */
/* Gives the memory of whole pages back to the kernel, and keeps the address space: it reads as zeros again. */
void device_unback(void *p, size_t len);

/* The backend of a device: what differs between them, and nothing else. Slots are never NULL; backend.h says what each may do. */
struct device_backend {
	const char *name;
	int (*queue_open)(struct device *dev, unsigned depth, struct device_queue **queue);
	void (*queue_close)(struct device_queue *queue);
	void (*submit)(struct device_queue *queue, tarn_dev_io **ios, unsigned n); /* checked; there is room */
	unsigned (*reap)(struct device_queue *queue, unsigned min, unsigned max, tarn_dev_io **ios);
	void (*wake)(struct device_queue *queue);
	int (*run)(struct device_queue *queue, tarn_dev_io *io); /* checked: all of it, before it returns */
	void (*close)(struct device *dev);
};

#endif
