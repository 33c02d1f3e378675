/* SPDX-License-Identifier: Apache-2.0 */
/* base/workers.c: see workers.h. */
#include "workers.h"
#include <signal.h>
#include <stdlib.h>

int thread_start(pthread_t *thread, const char *name, void *(*body)(void *), void *arg)
{
	sigset_t all, old;
	int	 err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return fail(NOMEM, "the system refused a thread (%s, errno %d): raise the limit of threads", name, err);
	pthread_setname_np(*thread, name);
	return 0;
}

void workers_init(struct workers *workers, unsigned threads)
{
	memset(workers, 0, sizeof(*workers));
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->filled, NULL);
	workers->tail	= &workers->head;
	workers->wanted = MIN(threads, WORKERS_MAX);
}

static struct task *take(struct workers *workers)
{
	struct task *task = workers->head;

	workers->head = task->next;
	if (!workers->head)
		workers->tail = &workers->head;
	workers->queued--;
	return task;
}

static void *work(void *arg)
{
	struct workers *workers = arg;

	pthread_mutex_lock(&workers->lock);
	while (workers->head || !workers->stopping) {
		if (workers->head) {
			struct task *task = take(workers);

			pthread_mutex_unlock(&workers->lock);
			task->run(task);
			pthread_mutex_lock(&workers->lock);
			continue;
		}
		workers->idle++;
		pthread_cond_wait(&workers->filled, &workers->lock);
		workers->idle--;
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* One thread is enough to go on with, so only the first must succeed. */
static int grow(struct workers *workers)
{
	int rc;

	if (workers->idle > workers->queued || workers->started == workers->wanted)
		return 0;
	rc = thread_start(&workers->threads[workers->started], "tarn-worker", work, workers);
	if (rc)
		return workers->started ? 0 : rc;
	workers->started++;
	return 0;
}

static int submit_locked(struct workers *workers, struct task *task)
{
	int rc;

	if (workers->queued == WORKERS_QUEUE_MAX)
		return fail(AGAIN, "%d calls wait already: take completions, then try again", WORKERS_QUEUE_MAX);
	rc = grow(workers);
	if (rc)
		return rc;
	task->next     = NULL;
	*workers->tail = task;
	workers->tail  = &task->next;
	workers->queued++;
	pthread_cond_signal(&workers->filled);
	return 0;
}

int workers_submit(struct workers *workers, struct task *task)
{
	int rc;

	pthread_mutex_lock(&workers->lock);
	rc = submit_locked(workers, task);
	pthread_mutex_unlock(&workers->lock);
	return rc;
}

void workers_stop(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	pthread_cond_broadcast(&workers->filled);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < workers->started; i++)
		pthread_join(workers->threads[i], NULL);
	pthread_cond_destroy(&workers->filled);
	pthread_mutex_destroy(&workers->lock);
}
