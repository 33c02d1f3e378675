/* SPDX-License-Identifier: Apache-2.0 */
/* bench/keys.h: which record comes next, and its bytes.
 *
 * Record n of N has a key that begins with n * (2^64 / N) plus a little that is random: keys are in the order of n, evenly
 * spread and do not compress. A key that is not there, and a key that is inserted, lie between two of those. A value begins
 * with the key's first 8 bytes, so that what is read can be told to be what was put; the rest is random. */
#ifndef TARN_BENCH_KEYS_H
#define TARN_BENCH_KEYS_H

#include "bench.h"

struct dice {
	uint64_t state;
};

uint64_t dice_next(struct dice *dice);
uint64_t dice_below(struct dice *dice, uint64_t n);
double	 dice_unit(struct dice *dice); /* 0 <= x < 1 */

uint64_t keys_mix(uint64_t n); /* a number to a random one, always the same, no two to one */

/* Ranks of 0 (most often) to n - 1, after YCSB's generator: P(rank) ~ 1 / (rank + 1)^0.99. */
struct zipf {
	uint64_t n;
	double	 zeta, alpha, eta, half;
};

void	 zipf_init(struct zipf *zipf, uint64_t n);
uint64_t zipf_rank(const struct zipf *zipf, struct dice *dice);

void	 keys_record(uint8_t *key, uint64_t n, uint64_t records);
void	 keys_absent(uint8_t *key, uint64_t n, uint64_t records);
void	 keys_inserted(uint8_t *key, uint64_t serial, uint64_t records); /* another key for each serial */
uint64_t keys_place(const uint8_t *key, uint64_t records);		 /* n of a record's key; near which, of another */

/* The i-th of 0..n-1 in an order that looks random and names each once. */
uint64_t keys_shuffled(uint64_t i, uint64_t n);

void values_init(void); /* before the first thread */
void value_fill(void *val, uint32_t len, const uint8_t *key, struct dice *dice);
bool value_fits(const void *val, size_t len, uint32_t expected, const uint8_t *key);

#endif
