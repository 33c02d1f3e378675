/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.c: wall clock and monotonic clock, behind one seam.
 *
 * Always true: base_mono_ns() never goes back, also when a test's clock does. The seam is set while no other thread runs. */
#include "base.h"

#include <stdatomic.h>

static uint64_t (*fake_now_ns)(void *);
static void	       *fake_arg;
static _Atomic uint64_t fake_highest;

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	clock_gettime(id, &ts); /* cannot fail: both clocks exist, ts is ours */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t fake_mono_ns(void)
{
	uint64_t now = fake_now_ns(fake_arg), highest = atomic_load(&fake_highest);

	while (now > highest)
		if (atomic_compare_exchange_weak(&fake_highest, &highest, now))
			return now;
	return highest;
}

uint64_t base_now_ns(void)
{
	return fake_now_ns ? fake_now_ns(fake_arg) : read_clock(CLOCK_REALTIME);
}

uint64_t base_mono_ns(void)
{
	return fake_now_ns ? fake_mono_ns() : read_clock(CLOCK_MONOTONIC);
}

uint64_t base_wait_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

struct timespec base_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
}

struct timespec base_wait_until(int64_t timeout_us)
{
	struct timespec t  = base_timespec(base_wait_ns());
	int64_t		us = MAX(timeout_us, 0);

	t.tv_sec += us / 1000000;
	t.tv_nsec += us % 1000000 * 1000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

void base_set_clock(uint64_t (*now_ns)(void *), void *arg)
{
	fake_now_ns = now_ns;
	fake_arg    = arg;
	atomic_store(&fake_highest, 0);
}
