/* SPDX-License-Identifier: Apache-2.0 */
/* base/base.h: errors, log, clock, random, checksums, byte order.
 *
 * Always true: nothing here waits; nothing here knows a device or a pool. fail() is the only maker of negative codes, so each of
 * them has a sentence; the sentence lives in the calling thread until op_complete() moves it into the operation. */
#ifndef TARN_BASE_H
#define TARN_BASE_H

#include <stdarg.h>
#include <string.h>
#include <tarn/errno.h>
#include <tarn/log.h>
#include <tarn/types.h>
#include <time.h>

#define ARRAY_LEN(a)		      (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)		      ((a) < (b) ? (a) : (b))
#define MAX(a, b)		      ((a) > (b) ? (a) : (b))
#define DIV_UP(a, b)		      (((a) + (b)-1) / (b))
#define ROUND_UP(a, b)		      (DIV_UP(a, b) * (b))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* Errors. fail(NONEXIST, "no pool %s", label) sets this thread's sentence and is -TARN_E_NONEXIST. */
#define fail(name, ...) base_fail(TARN_E_##name, __VA_ARGS__)
int base_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int base_fail_about(
	int code, const char *before, const char *name,
	const char *after); /* three parts, put together when somebody asks; name is copied, the others are constants */
int base_fail_errno(int sys_errno, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* maps errno, appends its text */
const char *base_message(void);									/* this thread's sentence */
void	    base_set_message(const char *text);

/* Log. */
void base_log(tarn_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Clock and random, each behind a seam: tests replace them. NULL restores the real one. */
uint64_t	base_now_ns(void);  /* wall clock, since 1970 */
uint64_t	base_mono_ns(void); /* monotonic */
uint64_t	base_wait_ns(void); /* CLOCK_MONOTONIC, no seam: by which threads wait, also when a test's clock stands still */
struct timespec base_timespec(uint64_t ns);
struct timespec base_wait_until(int64_t timeout_us); /* on that clock, so long from now; negative: now */
uint64_t	base_random(void);
void		base_set_clock(uint64_t (*now_ns)(void *), void *arg);
void		base_set_random(uint64_t (*random)(void *), void *arg);

/* A small seeded generator (xorshift64*, never for secrets). */
struct rng {
	uint64_t state;
};
void	 rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t n); /* 0 when n is 0 */

/* 128-bit XXH3 in canonical (big-endian) byte order. */
struct hash128 {
	uint8_t bytes[16];
};
struct hash128	   hash128(const void *data, size_t len);
struct hash128	   hash128_seeded(const void *data, size_t len, uint64_t seed);
uint64_t	   hash64(const void *data, size_t len);
static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

/* Little-endian fields on disk, at any alignment. */
static inline uint16_t get16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t get32(const void *p)
{
	return get16(p) | (uint32_t)get16((const uint8_t *)p + 2) << 16;
}
static inline uint64_t get64(const void *p)
{
	return get32(p) | (uint64_t)get32((const uint8_t *)p + 4) << 32;
}
static inline void put16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v, b[1] = (uint8_t)(v >> 8);
}
static inline void put32(void *p, uint32_t v)
{
	put16(p, (uint16_t)v), put16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}
static inline void put64(void *p, uint64_t v)
{
	put32(p, (uint32_t)v), put32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}
/* Big-endian, for keys: the byte order is the number's order. */
static inline void put64be(void *p, uint64_t v)
{
	uint8_t *b = p;
	for (int i = 7; i >= 0; i--, v >>= 8)
		b[i] = (uint8_t)v;
}
static inline uint64_t get64be(const void *p)
{
	const uint8_t *b = p;
	uint64_t       v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

#endif
