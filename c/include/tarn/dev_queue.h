/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/dev_queue.h: many I/Os in flight on a device.
 *
 * Always true, on every backend: what was started is reaped exactly once, in the order of completion, which is not that of submission; its
 * result is in `rc`, and nowhere else; nothing is called back; an I/O that has been reaped may be submitted again at once. I/O in flight at
 * once has no order: who needs one (a flush after a write) submits the second when the first has been reaped. Until it is reaped an I/O,
 * its memory and its pieces are lent to the queue, and must not move.
 *
 * One thread at a time submits to a queue, and one at a time reaps, which may be different ones at the same moment; cancel and wake are for
 * any thread. With TARN_DEV_QUEUE_SINGLE one thread at a time uses the queue, for everything but wake: it is faster. Another may take over
 * when all has completed and been reaped; before that what it submits completes with INVAL, it reaps nothing but that, and its other calls
 * are INVAL; so a thread reaps all before it ends. (A goroutine is not a thread: lock it to one.) Different queues of a device have nothing
 * to do with each other. */
#ifndef TARN_DEV_QUEUE_H
#define TARN_DEV_QUEUE_H

#include <tarn/dev.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tarn_dev_queue tarn_dev_queue;

typedef enum tarn_dev_opcode {
	TARN_DEV_READ	      = 0,
	TARN_DEV_WRITE	      = 1,
	TARN_DEV_FLUSH	      = 2,
	TARN_DEV_DISCARD      = 3,
	TARN_DEV_WRITE_ZEROES = 4,
	TARN_DEV_COMPARE      = 5,
	TARN_DEV_ZONE_APPEND  = 6, /* offset: of the zone; then where the data stands */
	TARN_DEV_NOP	      = 7, /* completes, and does nothing else */
} tarn_dev_opcode;

#define TARN_DEV_IO_DURABLE TARN_DEV_DURABLE /* as there; of WRITE only */
#define TARN_DEV_IO_VECTOR  2u /* buf is an array of vec_count tarn_dev_vec, whose lengths add up to len; READ, WRITE */
#define TARN_DEV_IO_FIXED   4u /* buf lies in a registered buffer, that with the index `fixed`; READ, WRITE, not VECTOR */

/* Zero it, or set every field of the upper part, before a submit. */
typedef struct tarn_dev_io {
	uint8_t	 opcode; /* tarn_dev_opcode */
	uint8_t	 flags;	 /* TARN_DEV_IO_... */
	uint16_t fixed;
	uint32_t vec_count;
	uint64_t offset; /* bytes */
	uint64_t len;	 /* bytes; at most info.max_transfer where data moves; FLUSH, NOP: ignored */
	void	*buf;
	uint64_t tag; /* the caller's */
	/* set when it is reaped: */
	int32_t	 rc; /* 0 or negative: as the call of dev.h that waits; CANCELED */
	uint32_t reserved;
	char	 message[96]; /* the sentence of a negative rc, else "" */
	void	*opaque[2];   /* the queue's, while it is in flight */
} tarn_dev_io;

/* IOPOLL: completions are polled for, without interrupts, and a reap that waits uses a core; for direct I/O on a driver with poll queues.
 * What cannot be had is a note, or NOTSUPPORTED when the device is open with TARN_DEV_STRICT. */
#define TARN_DEV_QUEUE_SINGLE 1u /* one thread at a time uses the queue */
#define TARN_DEV_QUEUE_IOPOLL 2u
#define TARN_DEV_QUEUE_SQPOLL 4u /* a kernel thread submits: no system call to submit, and a core that it may use */

typedef struct tarn_dev_queue_options {
	size_t	 struct_size; /* sizeof(tarn_dev_queue_options) */
	uint32_t flags;	      /* TARN_DEV_QUEUE_... */
	uint32_t depth;	      /* I/Os in flight: 1 to 4096 */
} tarn_dev_queue_options;

typedef struct tarn_dev_queue_info {
	size_t	 struct_size; /* set by the caller */
	uint32_t flags;	      /* what was really taken */
	uint32_t depth;
	uint32_t in_flight;   /* submitted and not reaped */
	uint32_t fixed_count; /* registered buffers */
	char	 backend[16];
	char	 note[128]; /* what was not to be had, and why; else "" */
} tarn_dev_queue_info;

/* options NULL: depth 128, no flags. Errors: INVAL (depth, unknown flags, struct_size), NOTSUPPORTED, NOMEM, NO_HDL (dev is NULL). */
TARN_API int tarn_dev_queue_open(tarn_dev *dev, const tarn_dev_queue_options *options, tarn_dev_queue **queue);

/* Waits up to timeout_us (negative: for ever) until nothing is in flight; what was not reaped is dropped. TIMEDOUT: the queue stays
 * open, and what is in flight stays lent: cancel it, or wait longer. No other call on the queue may be running. */
TARN_API int tarn_dev_queue_close(tarn_dev_queue *queue, int64_t timeout_us);

TARN_API int tarn_dev_queue_get_info(tarn_dev_queue *queue, tarn_dev_queue_info *info);

/* Registers n buffers (as from tarn_dev_alloc()) with the queue, once, while nothing is in flight: FIXED I/O saves the kernel from
 * mapping them each time; where a backend has no use for it, they are checked alike. They are lent until the queue is closed. BUSY
 * (something is in flight), EXIST (there are some), INVAL (n is 0 or over 1024, no memory), NOMEM (see ulimit -l). */
TARN_API int tarn_dev_queue_register(tarn_dev_queue *queue, const tarn_dev_vec *buffers, uint32_t n);

/* Starts I/Os from the first on. Returns how many, less than n only when the queue is full: reap, and submit the rest. One that breaks a
 * rule is started and completes with its error; a NULL in the array ends it. The array is the caller's again at once. Does not wait; but
 * what needs a bounce buffer, and what the backend has only as a call that waits (the discard of a block device), is done before the
 * return. */
TARN_API uint32_t tarn_dev_queue_submit(tarn_dev_queue *queue, tarn_dev_io *const *ios, uint32_t n);

/* Takes up to max completed I/Os; waits until there are min of them, or timeout_us have passed (0: does not wait; negative: for ever), or
 * a wake. Returns their number, less than min also when no more are in flight. */
TARN_API uint32_t tarn_dev_queue_reap(tarn_dev_queue *queue, uint32_t min, uint32_t max, int64_t timeout_us, tarn_dev_io **ios);

/* Submits, then reaps, in one call. *started (out, may be NULL) as tarn_dev_queue_submit() returns. */
TARN_API uint32_t tarn_dev_queue_submit_and_reap(tarn_dev_queue *queue, tarn_dev_io *const *submit, uint32_t n, uint32_t *started,
						 uint32_t min, uint32_t max, int64_t timeout_us, tarn_dev_io **ios);

/* Asks for an early end of an I/O in flight. It is reaped as ever: with CANCELED, or with its result when it was too late. 0, or
 * NONEXIST when it is not in flight on this queue. */
TARN_API int tarn_dev_queue_cancel(tarn_dev_queue *queue, tarn_dev_io *io);

/* A non-blocking eventfd that is readable while completions wait; the queue's, and closed with it. For poll(2): reap, with min 0, until
 * there are none, and do not read it. A negative error: NOTSUPPORTED (with IOPOLL), MISC (no descriptor is left). Costs a little per
 * completion from the first call on. */
TARN_API int tarn_dev_queue_fd(tarn_dev_queue *queue);

/* The thread that waits in a reap, or the next one that would, returns early. */
TARN_API void tarn_dev_queue_wake(tarn_dev_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
