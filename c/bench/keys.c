/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <math.h>
#include <string.h>

#define THETA	   0.99
#define ZETA_EXACT 10000u
#define POOL_LEN   MIB
#define VALUE_MOST (UINT64_C(1) << 17)

static uint8_t pool[POOL_LEN + VALUE_MOST]; /* random bytes that values are cut from */

uint64_t keys_mix(uint64_t n)
{
	n += UINT64_C(0x9E3779B97F4A7C15);
	n = (n ^ n >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	n = (n ^ n >> 27) * UINT64_C(0x94D049BB133111EB);
	return n ^ n >> 31;
}

uint64_t dice_next(struct dice *dice)
{
	return keys_mix(dice->state += UINT64_C(0x9E3779B97F4A7C15));
}

static uint64_t scaled(uint64_t random, uint64_t n)
{
	return (uint64_t)((unsigned __int128)random * n >> 64);
}

uint64_t dice_below(struct dice *dice, uint64_t n)
{
	return scaled(dice_next(dice), n);
}

double dice_unit(struct dice *dice)
{
	return (double)(dice_next(dice) >> 11) * 0x1p-53;
}

/* The sum of 1 / i^theta up to n: the first terms as they are, the others as an integral, which is off by a millionth. */
static double zeta_of(uint64_t n)
{
	uint64_t exact = n < ZETA_EXACT ? n : ZETA_EXACT;
	double	 sum   = 0;

	for (uint64_t i = 1; i <= exact; i++)
		sum += pow((double)i, -THETA);
	if (n > exact)
		sum += (pow((double)n + 0.5, 1 - THETA) - pow((double)exact + 0.5, 1 - THETA)) / (1 - THETA);
	return sum;
}

void zipf_init(struct zipf *zipf, uint64_t n)
{
	zipf->n	    = n;
	zipf->zeta  = zeta_of(n);
	zipf->alpha = 1 / (1 - THETA);
	zipf->half  = 1 + pow(0.5, THETA);
	zipf->eta   = (1 - pow(2.0 / (double)n, 1 - THETA)) / (1 - zeta_of(2) / zipf->zeta);
}

uint64_t zipf_rank(const struct zipf *zipf, struct dice *dice)
{
	double	 u = dice_unit(dice), uz = u * zipf->zeta;
	uint64_t rank;

	if (uz < 1)
		return 0;
	if (uz < zipf->half)
		return 1;
	rank = (uint64_t)((double)zipf->n * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
	return rank < zipf->n ? rank : zipf->n - 1;
}

static void key_from(uint8_t *key, uint64_t high, uint64_t low)
{
	high = __builtin_bswap64(high);
	low  = __builtin_bswap64(low);
	memcpy(key, &high, 8);
	memcpy(key + 8, &low, 8);
}

/* Quarters of a record's part of the key space: its key is in the first, absent keys in the third, inserted in the fourth. */
static void key_in_quarter(uint8_t *key, uint64_t n, uint64_t records, unsigned quarter, uint64_t random)
{
	uint64_t part = UINT64_MAX / records;

	key_from(key, n * part + quarter * (part / 4) + scaled(random, part / 4), keys_mix(random));
}

void keys_record(uint8_t *key, uint64_t n, uint64_t records)
{
	key_in_quarter(key, n, records, 0, keys_mix(n));
}

void keys_absent(uint8_t *key, uint64_t n, uint64_t records)
{
	key_in_quarter(key, n, records, 2, keys_mix(n));
}

void keys_inserted(uint8_t *key, uint64_t serial, uint64_t records)
{
	uint64_t random = keys_mix(~serial);

	key_in_quarter(key, scaled(random, records), records, 3, keys_mix(random));
}

uint64_t keys_place(const uint8_t *key, uint64_t records)
{
	uint64_t high, n;

	memcpy(&high, key, 8);
	n = __builtin_bswap64(high) / (UINT64_MAX / records);
	return n < records ? n : records - 1;
}

uint64_t keys_shuffled(uint64_t i, uint64_t n)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll(n | 1);
	uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;

	/* Each step maps 0..mask to itself, one to one; who lands at n or above walks on. */
	do {
		for (unsigned round = 0; round < 3; round++) {
			i = (i * UINT64_C(0x9E3779B97F4A7C15) + 0x2545F491) & mask;
			i ^= i >> (bits + 1) / 2;
		}
	} while (i >= n);
	return i;
}

void values_init(void)
{
	struct dice dice = { 1 };

	for (size_t i = 0; i < sizeof(pool); i += 8) {
		uint64_t random = dice_next(&dice);

		memcpy(pool + i, &random, 8);
	}
}

void value_fill(void *val, uint32_t len, const uint8_t *key, struct dice *dice)
{
	memcpy(val, pool + dice_below(dice, POOL_LEN), len);
	memcpy(val, key, len < 8 ? len : 8);
}

bool value_fits(const void *val, size_t len, uint32_t expected, const uint8_t *key)
{
	return len == expected && memcmp(val, key, expected < 8 ? expected : 8) == 0;
}
