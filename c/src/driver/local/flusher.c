/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/flusher.c: see flusher.h. */
#include "flusher.h"
#include <errno.h>
#include <tarn/cont.h>
#include <time.h>

#define MUCH	   (UINT64_C(8) << 20) /* bytes that are written before the time is up; twice as many make a change wait */
#define RELAXED_NS (UINT64_C(1000000) * TARN_RELAXED_MS)

void flusher_init(struct flusher *flusher, struct store *store)
{
	pthread_condattr_t attr;
	struct store_stat  stat;

	store_stat(store, &stat);
	*flusher = (struct flusher){ .store = store, .inline_max = stat.inline_max, .much = MIN(MUCH, stat.log_bytes / 8) };
	pthread_mutex_init(&flusher->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&flusher->wanted, &attr);
	pthread_condattr_destroy(&attr);
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* that of the condition variable, which a test's clock is not */
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Waits until there is something to write. false: it is to end, and has nothing to do. */
static bool wait_for_work(struct flusher *flusher)
{
	for (;;) {
		if (flusher->wants || (flusher->deadline_ns && now_ns() >= flusher->deadline_ns))
			return true;
		if (flusher->stopping)
			return false;
		if (flusher->deadline_ns) {
			struct timespec until = timespec_of(flusher->deadline_ns);

			pthread_cond_timedwait(&flusher->wanted, &flusher->lock, &until);
		} else {
			pthread_cond_wait(&flusher->wanted, &flusher->lock);
		}
	}
}

/* The order matters: a change that still found it armed was appended before the log is taken below. */
static void write_round(struct flusher *flusher)
{
	uint64_t writing = atomic_load(&flusher->gathered);

	atomic_store(&flusher->writing, writing);
	atomic_store(&flusher->hurried, false);
	atomic_store(&flusher->armed, false);
	store_flush_log(flusher->store);
	atomic_store(&flusher->writing, 0);
	atomic_fetch_sub(&flusher->gathered, writing);
}

static void *run(void *arg)
{
	struct flusher *flusher = arg;

	pthread_mutex_lock(&flusher->lock);
	while (wait_for_work(flusher)) {
		flusher->wants	     = false;
		flusher->deadline_ns = 0;
		pthread_mutex_unlock(&flusher->lock);
		write_round(flusher);
		pthread_mutex_lock(&flusher->lock);
	}
	pthread_mutex_unlock(&flusher->lock);
	return NULL;
}

/* Under lock. */
static int start(struct flusher *flusher)
{
	int rc = flusher->started ? 0 : thread_start(&flusher->thread, "tarn-log", run, flusher);

	flusher->started = rc == 0;
	return rc;
}

int flusher_wake(struct flusher *flusher)
{
	int rc;

	pthread_mutex_lock(&flusher->lock);
	rc	       = start(flusher);
	flusher->wants = true;
	pthread_cond_signal(&flusher->wanted);
	pthread_mutex_unlock(&flusher->lock);
	return rc;
}

/* Nothing counts before the first relaxed change: pools without any pay for a load. */
void flusher_count(struct flusher *flusher, const struct store_mutation *muts, size_t n)
{
	uint64_t bytes = 0;

	if (!atomic_load_explicit(&flusher->armed, memory_order_relaxed))
		return;
	for (size_t i = 0; i < n; i++)
		bytes += 64 + muts[i].key.len + MIN(muts[i].val.len, flusher->inline_max);
	atomic_fetch_add_explicit(&flusher->gathered, bytes, memory_order_relaxed);
}

static bool arm(struct flusher *flusher)
{
	bool armed;

	pthread_mutex_lock(&flusher->lock);
	armed = start(flusher) == 0;
	if (armed && !atomic_exchange(&flusher->armed, true)) {
		flusher->deadline_ns = now_ns() + RELAXED_NS;
		pthread_cond_signal(&flusher->wanted);
	}
	pthread_mutex_unlock(&flusher->lock);
	return armed;
}

static void note(struct flusher *flusher, uint64_t lsn)
{
	uint64_t last = atomic_load_explicit(&flusher->relaxed, memory_order_relaxed);

	while (last < lsn && !atomic_compare_exchange_weak(&flusher->relaxed, &last, lsn))
		;
}

bool flusher_relax(struct flusher *flusher, uint64_t lsn)
{
	uint64_t gathered = atomic_load_explicit(&flusher->gathered, memory_order_relaxed);

	if (gathered >= 2 * flusher->much)
		return false;
	note(flusher, lsn);
	if (!atomic_load(&flusher->armed) && !arm(flusher))
		return false;
	if (gathered >= flusher->much + atomic_load(&flusher->writing) && !atomic_exchange(&flusher->hurried, true))
		(void)flusher_wake(flusher);
	return true;
}

int flusher_stop(struct flusher *flusher)
{
	uint64_t relaxed = atomic_load(&flusher->relaxed);

	pthread_mutex_lock(&flusher->lock);
	flusher->stopping = true;
	pthread_cond_signal(&flusher->wanted);
	pthread_mutex_unlock(&flusher->lock);
	if (flusher->started)
		pthread_join(flusher->thread, NULL);
	pthread_cond_destroy(&flusher->wanted);
	pthread_mutex_destroy(&flusher->lock);
	return relaxed ? store_commit(flusher->store, relaxed) : 0;
}
