/* SPDX-License-Identifier: Apache-2.0 */
/* base/random.c: random numbers of the kernel, behind a seam, and a small seeded generator.
 *
 * The seam is set while no other thread runs. */
#include "base.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/random.h>

static uint64_t (*fake_random)(void *);
static void *fake_arg;

/* For a sandbox that forbids getrandom(): unequal numbers, though not secret ones, which nobody here needs. */
static uint64_t random_without_kernel(void)
{
	static _Atomic uint64_t calls;
	const uint64_t		parts[] = { base_now_ns(), base_mono_ns(), atomic_fetch_add(&calls, 1), (uintptr_t)&parts };

	return hash64(parts, sizeof(parts));
}

uint64_t base_random(void)
{
	uint64_t value;
	ssize_t	 n;

	if (fake_random)
		return fake_random(fake_arg);
	do
		n = getrandom(&value, sizeof(value), 0);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(value) ? value : random_without_kernel();
}

void base_set_random(uint64_t (*random)(void *), void *arg)
{
	fake_random = random;
	fake_arg    = arg;
}

/* One step of splitmix64: seeds that are near each other start far apart, and no seed gives the state 0, which xorshift never
 * leaves. */
void rng_seed(struct rng *rng, uint64_t seed)
{
	uint64_t z = seed + 0x9e3779b97f4a7c15u;

	z	   = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z	   = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z	   = z ^ z >> 31;
	rng->state = z ? z : 1;
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return x * 0x2545f4914f6cdd1du;
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return (uint64_t)((unsigned __int128)rng_next(rng) * n >> 64);
}
