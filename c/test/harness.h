/* SPDX-License-Identifier: Apache-2.0 */
/* test/harness.h: what the test programs share.
 *
 * Every random test takes its seed from test_seed(), which prints it; SEED=n in the environment replays the run. */
#ifndef TARN_HARNESS_H
#define TARN_HARNESS_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/base/base.h"

/* cmocka and base.h both have a fail(); tests use the one of base.h, and fail_msg(). */
#undef fail
#include <cmocka.h>
#undef fail
#undef fail_msg
#define fail(name, ...) base_fail(TARN_E_##name, __VA_ARGS__)
#define fail_msg(...)	(print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

/* The call succeeds; else the test fails with its sentence. */
#define assert_ok(call)                                                                                                          \
	do {                                                                                                                     \
		int ok_rc_ = (call);                                                                                             \
		if (ok_rc_ < 0)                                                                                                  \
			fail_msg("%s: %s: %s", #call, tarn_errname(ok_rc_), base_message());                                     \
	} while (0)

/* The call fails with that error, and says something: assert_error(kv_put(...), KEY2BIG). */
#define assert_error(call, name)                                                                                                 \
	do {                                                                                                                     \
		int error_rc_;                                                                                                   \
		base_set_message("");                                                                                            \
		error_rc_ = (call);                                                                                              \
		if (error_rc_ != -TARN_E_##name)                                                                                 \
			fail_msg("%s: %s instead of %s (%s)", #call, tarn_errname(error_rc_), tarn_errname(TARN_E_##name),       \
				 base_message());                                                                                \
		if (!*base_message())                                                                                            \
			fail_msg("%s: %s without a sentence", #call, #name);                                                     \
	} while (0)

/* This thread's sentence holds `part`. */
#define assert_says(part)                                                                                                        \
	do {                                                                                                                     \
		if (!strstr(base_message(), part))                                                                               \
			fail_msg("\"%s\" does not say \"%s\"", base_message(), part);                                            \
	} while (0)

static inline uint64_t test_seed(void)
{
	static uint64_t seed;
	static bool	known;
	const char     *text = getenv("SEED");

	if (!known) {
		known = true;
		seed  = text ? strtoull(text, NULL, 0) : base_random() >> 32;
		fprintf(stderr, "# SEED=%" PRIu64 "\n", seed);
	}
	return seed;
}

/* A number from the environment, such as N=1000. */
static inline uint64_t test_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Bytes that depend on `what` and their place, so that no two blocks are alike. */
static inline void test_fill(void *buf, size_t len, uint64_t what)
{
	struct rng rng;

	rng_seed(&rng, what);
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = rng_next(&rng);

		memcpy((uint8_t *)buf + i, &word, MIN(len - i, sizeof(word)));
	}
}

#endif
