/* SPDX-License-Identifier: Apache-2.0 */
/* test/preempt.c: a thread may lose its processor between any two basic blocks.
 *
 * Where there are few processors, what lies between two stores of a thread is hardly ever seen by another one. All that is compiled with
 * -fsanitize-coverage=trace-pc calls __sanitizer_cov_trace_pc() in each basic block, and here the thread that does so yields, spins or sleeps
 * now and then. EVERY=400: basic blocks from one stop to the next, on average; without it each run has another rate. Rare stops find more: the
 * others come far meanwhile. Schedules do not come again with the same seed. Nothing here may be instrumented, or call what is. */
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define UNTRACED __attribute__((no_sanitize_coverage))

#define SPINS 5000u    /* at most */
#define NAP   50000u   /* ns, at most */
#define SLEEP 5000000u /* ns, at most; one stop in a hundred */

static uint64_t		      origin; /* of all random numbers */
static uint32_t		      every;
static _Atomic uint64_t	      threads;
static _Thread_local uint64_t state; /* 0: the thread has not been here */
static _Thread_local uint32_t left;  /* basic blocks to the next stop */

void __sanitizer_cov_trace_pc(void);

__attribute__((constructor)) static UNTRACED void begin(void)
{
	static const uint32_t rates[] = { 3000, 10000, 30000, 100000 };
	const char	     *text    = getenv("EVERY");
	struct timespec	      now;

	clock_gettime(CLOCK_REALTIME, &now);
	origin = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	every  = text ? (uint32_t)strtoul(text, NULL, 0) : rates[origin / 1000 % 4];
	fprintf(stderr, "# EVERY=%" PRIu32 "\n", every);
}

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016) */
static UNTRACED uint32_t random_below(uint32_t n)
{
	state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
	return (uint32_t)((state * UINT64_C(0x2545f4914f6cdd1d) >> 32) * n >> 32);
}

static UNTRACED void sleep_for(uint32_t ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)ns }, NULL);
}

static UNTRACED void stop(void)
{
	uint32_t what = random_below(100);

	if (what == 0)
		sleep_for(random_below(SLEEP));
	else if (what < 40)
		sched_yield();
	else if (what < 65)
		for (volatile uint32_t i = random_below(SPINS); i; i--)
			;
	else
		sleep_for(random_below(NAP));
}

UNTRACED void __sanitizer_cov_trace_pc(void)
{
	if (left) {
		left--;
		return;
	}
	if (!state)
		state = origin + (atomic_fetch_add(&threads, 1) + 1) * UINT64_C(0x9e3779b97f4a7c15);
	left = random_below(2 * every);
	stop();
}
