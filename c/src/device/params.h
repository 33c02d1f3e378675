/* SPDX-License-Identifier: Apache-2.0 */
/* device/params.h: what stands behind mem: and sim: in a URI.
 *
 *	SIZE[?KEY=VALUE[&KEY=VALUE]...]		SIZE: bytes, or with K, M, G, T (powers of 1024)
 *	block=BYTES		logical block: a power of two, 512 to 65536; 512 when it is not said
 *	zone=SIZE		zones of that size, all to be written in order; a multiple of the block, and a divisor of the size
 *	zone_capacity=SIZE	bytes of a zone that can be written; the zone when it is not said
 *	max_open=N, max_active=N	zones at once; 0, and not said: no limit
 *	seed=N			sim: of all that is random there
 *	error=OP:N		sim: the N-th I/O of that kind (1: the first) fails with IO; OP: read, write, flush, discard, write_zeroes,
 *				compare, zone_append
 *	never=OP:N		sim: the N-th I/O of that kind on a queue never completes by itself: a cancel ends it. Calls that wait
 *				neither count nor hang
 *
 * Always true: a key that is not known, comes twice (of error and never: for one OP), or has a value that does not fit is INVAL, named. */
#ifndef TARN_DEVICE_PARAMS_H
#define TARN_DEVICE_PARAMS_H

#include "backend.h"

#define DEVICE_OPCODES (TARN_DEV_NOP + 1)

struct device_params {
	const char *text;  /* all of it, without the scheme: the caller's */
	uint32_t    given; /* a bit for each key that was */
	uint64_t    size;
	uint64_t    block;
	uint64_t    zone, zone_capacity; /* zone 0: none */
	uint64_t    max_open, max_active;
	uint64_t    seed;
	uint64_t    error[DEVICE_OPCODES], never[DEVICE_OPCODES]; /* 0: none */
};

/* scheme: "mem" or "sim". The result refers to text. */
int device_params_parse(const char *scheme, const char *text, struct device_params *params);

#endif
