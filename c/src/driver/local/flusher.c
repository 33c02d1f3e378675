/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/flusher.c: see flusher.h.
 *
 * The thread sleeps on `word` (a futex). Who asks for something sets a bit with one instruction, and wakes the thread when it slept and nobody
 * else has. It touches nothing after that instruction: to wake an address where nobody sleeps is harmless, whatever is there by then. A
 * condition variable would wake the thread into a lock that its waker still holds, which is twice the switches for each group of the log. */
#include "flusher.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include <tarn/cont.h>
#include <unistd.h>

#define MUCH	   (UINT64_C(8) << 20) /* bytes that are written before the time is up; twice as many make a change wait */
#define RELAXED_NS (UINT64_C(1000000) * TARN_RELAXED_MS)

#define WANTS  1u /* a round */
#define LOOK   2u /* at the deadline, and whether it is to end */
#define ASLEEP 4u

void flusher_init(struct flusher *flusher, struct store *store)
{
	struct store_stat stat;

	store_stat(store, &stat);
	*flusher = (struct flusher){ .store = store, .inline_max = stat.inline_max, .much = MIN(MUCH, stat.log_bytes / 8) };
	pthread_mutex_init(&flusher->lock, NULL);
}

static void ask(struct flusher *flusher, uint32_t what)
{
	if (atomic_fetch_or(&flusher->word, what) == ASLEEP)
		syscall(SYS_futex, &flusher->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Until somebody asks, or the deadline (0: none). */
static void sleep_until(struct flusher *flusher, uint64_t deadline_ns)
{
	struct timespec until = base_timespec(deadline_ns);
	uint32_t	none  = 0;

	if (atomic_compare_exchange_strong(&flusher->word, &none, ASLEEP))
		syscall(SYS_futex, &flusher->word, FUTEX_WAIT_BITSET_PRIVATE, ASLEEP, deadline_ns ? &until : NULL, NULL,
			FUTEX_BITSET_MATCH_ANY);
}

/* Waits until there is something to write. false: it is to end, and has nothing to do. What is asked for is taken before anything is looked
 * at, so that what comes later is seen the next time. */
static bool wait_for_work(struct flusher *flusher)
{
	for (;;) {
		uint32_t asked	  = atomic_exchange(&flusher->word, 0);
		uint64_t deadline = atomic_load(&flusher->deadline_ns);

		if ((asked & WANTS) || (deadline && base_wait_ns() >= deadline))
			return true;
		if (atomic_load(&flusher->stopping))
			return false;
		sleep_until(flusher, deadline);
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

	while (wait_for_work(flusher)) {
		atomic_store(&flusher->deadline_ns, 0); /* before it can be armed again */
		write_round(flusher);
	}
	return NULL;
}

/* Under lock. */
static int start(struct flusher *flusher)
{
	int rc = atomic_load(&flusher->started) ? 0 : thread_start(&flusher->thread, "tarn-log", run, flusher);

	atomic_store(&flusher->started, rc == 0);
	return rc;
}

int flusher_wake(struct flusher *flusher)
{
	int rc = 0;

	if (!atomic_load(&flusher->started)) {
		pthread_mutex_lock(&flusher->lock);
		rc = start(flusher);
		pthread_mutex_unlock(&flusher->lock);
	}
	ask(flusher, WANTS);
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
		atomic_store(&flusher->deadline_ns, base_wait_ns() + RELAXED_NS);
		ask(flusher, LOOK);
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

	atomic_store(&flusher->stopping, true);
	ask(flusher, LOOK);
	if (atomic_load(&flusher->started))
		pthread_join(flusher->thread, NULL);
	pthread_mutex_destroy(&flusher->lock);
	return relaxed ? store_commit(flusher->store, relaxed) : 0;
}
