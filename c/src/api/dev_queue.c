/* SPDX-License-Identifier: Apache-2.0 */
/* api/dev_queue.c: queues of I/O on a device (tarn/dev_queue.h).
 *
 * Always true: what is called for each I/O takes no lock and copies nothing here: it looks for NULL, and passes the arrays on. */
#include "dev.h"
#include <stdatomic.h>
#include <stdlib.h>

#define DEPTH_DEFAULT 128u

struct tarn_dev_queue {
	struct device_queue *queue;
	tarn_dev	    *dev;
};

static int check_queue(const tarn_dev_queue *queue)
{
	return queue ? 0 : fail(NO_HDL, "the queue is NULL");
}

static int fill_options(const tarn_dev_queue_options *from, struct device_queue_options *to)
{
	const uint32_t	       known = TARN_DEV_QUEUE_SINGLE | TARN_DEV_QUEUE_IOPOLL | TARN_DEV_QUEUE_SQPOLL;
	tarn_dev_queue_options o;
	int		       rc = options_copy("tarn_dev_queue_options", &o, sizeof(o), from);

	if (rc)
		return rc;
	if (o.flags & ~known)
		return fail(INVAL, "tarn_dev_queue_open: the flags 0x%x are not known", o.flags & ~known);
	*to = (struct device_queue_options){ .depth = from ? o.depth : DEPTH_DEFAULT, .flags = o.flags };
	return 0;
}

static int open_queue(tarn_dev *dev, const struct device_queue_options *options, tarn_dev_queue **out)
{
	tarn_dev_queue *queue = calloc(1, sizeof(*queue));
	int		rc;

	if (!queue)
		return fail(NOMEM, "no memory for a queue");
	atomic_fetch_add(&dev->handle.children, 1);
	rc = device_queue_open_with(dev->device, options, &queue->queue);
	if (rc) {
		atomic_fetch_sub(&dev->handle.children, 1);
		free(queue);
		return rc;
	}
	queue->dev = dev;
	*out	   = queue;
	return 0;
}

int tarn_dev_queue_open(tarn_dev *dev, const tarn_dev_queue_options *options, tarn_dev_queue **queue)
{
	struct device_queue_options internal;
	int			    rc = check_dev(dev);

	if (rc == 0 && !queue)
		rc = fail(INVAL, "tarn_dev_queue_open: there is no place for the handle (NULL)");
	if (rc == 0)
		rc = fill_options(options, &internal);
	if (rc)
		return rc;
	*queue = NULL;
	return open_queue(dev, &internal, queue);
}

int tarn_dev_queue_close(tarn_dev_queue *queue, int64_t timeout_us)
{
	int rc = check_queue(queue);

	if (rc == 0)
		rc = device_queue_close_within(queue->queue, timeout_us);
	if (rc)
		return rc;
	atomic_fetch_sub(&queue->dev->handle.children, 1);
	free(queue);
	return 0;
}

int tarn_dev_queue_get_info(tarn_dev_queue *queue, tarn_dev_queue_info *info)
{
	tarn_dev_queue_info full = { .struct_size = sizeof(full) };
	int		    rc	 = check_queue(queue);

	if (rc == 0)
		rc = struct_check_info("tarn_dev_queue_info", info);
	if (rc)
		return rc;
	device_queue_describe(queue->queue, &full);
	struct_give(info, &full, sizeof(full));
	return 0;
}

int tarn_dev_queue_register(tarn_dev_queue *queue, const tarn_dev_vec *buffers, uint32_t n)
{
	int rc = check_queue(queue);

	if (rc == 0 && (!buffers || n == 0))
		rc = fail(INVAL, "tarn_dev_queue_register: no buffers are given");
	return rc ? rc : device_queue_register(queue->queue, buffers, n);
}

/* Those from the first on that are there at all. */
static uint32_t count_ios(const tarn_dev_queue *queue, tarn_dev_io *const *ios, uint32_t n)
{
	uint32_t some = 0;

	if (!queue || !ios)
		return 0;
	while (some < n && ios[some])
		some++;
	return some;
}

uint32_t tarn_dev_queue_submit(tarn_dev_queue *queue, tarn_dev_io *const *ios, uint32_t n)
{
	n = count_ios(queue, ios, n);
	return n ? device_try_submit(queue->queue, ios, n) : 0;
}

uint32_t tarn_dev_queue_reap(tarn_dev_queue *queue, uint32_t min, uint32_t max, int64_t timeout_us, tarn_dev_io **ios)
{
	if (!queue || !ios || !max)
		return 0;
	return device_reap_within(queue->queue, MIN(min, max), max, timeout_us, ios);
}

uint32_t tarn_dev_queue_submit_and_reap(tarn_dev_queue *queue, tarn_dev_io *const *submit, uint32_t n, uint32_t *started,
					uint32_t min, uint32_t max, int64_t timeout_us, tarn_dev_io **ios)
{
	uint32_t ignored = 0;

	started	 = started ? started : &ignored;
	*started = 0;
	if (!queue)
		return 0;
	n = count_ios(queue, submit, n);
	if (!ios || !max) {
		*started = n ? device_try_submit(queue->queue, submit, n) : 0;
		return 0;
	}
	return device_submit_and_reap(queue->queue, submit, n, started, MIN(min, max), max, timeout_us, ios);
}

int tarn_dev_queue_cancel(tarn_dev_queue *queue, tarn_dev_io *io)
{
	int rc = check_queue(queue);

	if (rc == 0 && !io)
		rc = fail(INVAL, "tarn_dev_queue_cancel: the I/O is NULL");
	return rc ? rc : device_cancel(queue->queue, io);
}

int tarn_dev_queue_fd(tarn_dev_queue *queue)
{
	int rc = check_queue(queue);

	return rc ? rc : device_queue_fd(queue->queue);
}

void tarn_dev_queue_wake(tarn_dev_queue *queue)
{
	if (queue)
		device_wake(queue->queue);
}
