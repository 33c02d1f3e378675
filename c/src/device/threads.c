/* SPDX-License-Identifier: Apache-2.0 */
/* device/threads.c: a queue on a few threads that run each I/O and wait for it, for where io_uring is refused.
 *
 * Always true: an I/O is in `todo`, in a worker's hands, or pushed to queue.c; the lock guards `todo` and `stop`. The workers belong
 * to the queue, block all signals, and end with it. Workers may be at a flush and a write at once: a flush covers what was done
 * when it was submitted, and no more. What a worker has begun cannot be cancelled. */
#include "file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define WORKERS_MAX 4u

struct threads_queue {
	struct device_queue base; /* first */
	struct device	   *dev;
	unsigned	    worker_count;
	pthread_t	    workers[WORKERS_MAX];
	pthread_mutex_t	    lock;
	/* Under the lock: */
	pthread_cond_t	   work; /* todo is not empty, or stop */
	struct device_done todo;
	bool		   stop;
};

static struct threads_queue *queue_of(struct device_queue *queue)
{
	return container_of(queue, struct threads_queue, base);
}

/* NULL: the queue closes. */
static tarn_dev_io *wait_for_work(struct threads_queue *q)
{
	tarn_dev_io *io;

	pthread_mutex_lock(&q->lock);
	while (!q->todo.first && !q->stop)
		pthread_cond_wait(&q->work, &q->lock);
	io = device_done_take(&q->todo);
	pthread_mutex_unlock(&q->lock);
	return io;
}

static void *worker_main(void *arg)
{
	struct threads_queue *q = arg;
	tarn_dev_io	     *io;

	while ((io = wait_for_work(q)) != NULL) {
		device_io_finish(io, q->dev->backend->run(q->dev, io));
		device_queue_done(&q->base, io);
	}
	return NULL;
}

static void stop_workers(struct threads_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->worker_count; i++)
		pthread_join(q->workers[i], NULL);
}

/* A new thread has the mask of the one that starts it. One worker is enough to go on with. */
static int start_workers(struct threads_queue *q, unsigned depth)
{
	sigset_t all, old;
	int	 sys_errno = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (!sys_errno && q->worker_count < MIN(depth, WORKERS_MAX)) {
		sys_errno = pthread_create(&q->workers[q->worker_count], NULL, worker_main, q);
		q->worker_count += !sys_errno;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return q->worker_count ? 0 : base_fail_errno(sys_errno, "start a thread for I/O on %s", q->dev->info.uri);
}

static void destroy_locks(struct threads_queue *q)
{
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->lock);
}

int threads_queue_open(struct device *dev, const struct device_queue_options *options, struct device_queue **queue)
{
	struct threads_queue *q = calloc(1, sizeof(*q));
	int		      rc;

	if (!q)
		return fail(NOMEM, "no memory for a queue on %s", dev->info.uri);
	q->dev		    = dev;
	q->base.fetching    = true; /* it pushes */
	q->base.has_workers = true;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	rc = start_workers(q, options->depth);
	if (rc) {
		destroy_locks(q);
		free(q);
		return rc;
	}
	*queue = &q->base;
	return 0;
}

void threads_queue_close(struct device_queue *queue)
{
	struct threads_queue *q = queue_of(queue);

	stop_workers(q);
	destroy_locks(q);
}

void threads_submit(struct device_queue *queue, tarn_dev_io *const *ios, unsigned n)
{
	struct threads_queue *q = queue_of(queue);

	pthread_mutex_lock(&q->lock);
	for (unsigned i = 0; i < n; i++) {
		device_done_add(&q->todo, ios[i]);
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
}

/* Takes io out of todo, in which the others keep their order. */
bool threads_cancel(struct device_queue *queue, tarn_dev_io *io)
{
	struct threads_queue *q	    = queue_of(queue);
	struct device_done    kept  = { NULL, NULL };
	bool		      found = false;
	tarn_dev_io	     *each;

	pthread_mutex_lock(&q->lock);
	while ((each = device_done_take(&q->todo)) != NULL) {
		if (each == io)
			found = true;
		else
			device_done_add(&kept, each);
	}
	q->todo = kept;
	pthread_mutex_unlock(&q->lock);
	return found;
}

const struct device_backend threads_backend = {
	.name	     = "threads",
	.queue_open  = threads_queue_open,
	.queue_close = threads_queue_close,
	.submit	     = threads_submit,
	.reap	     = device_pushed_reap,
	.wake	     = device_pushed_wake,
	.cancel	     = threads_cancel,
	.adapt	     = device_adapts_by_itself,
	.run	     = file_run,
	.zone_report = file_zone_report,
	.zone_manage = file_zone_manage,
	.close	     = file_close,
};
