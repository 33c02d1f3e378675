/* SPDX-License-Identifier: Apache-2.0 */
/* test/crash.h: a store on a simulated disk, an oracle beside it, and power cuts.
 *
 * The oracle knows, for each key of each tree, the hash of the value that it should have, and the sum of all of them. A batch that has
 * been applied but not committed is in doubt: the oracle keeps the sum after each such batch. After a power cut the store must have one
 * of those sums: all that was committed, then the batches in doubt in order up to some point, each of them whole. Of each snapshot the
 * oracle knows the same; one that is there after a cut must be as it was taken, and one that was committed must be there. */
#ifndef TARN_CRASH_H
#define TARN_CRASH_H

#include "../src/device/sim.h"
#include "store_tools.h"

#define CRASH_TREES 3
#define CRASH_TREE  16u /* the id of the first */
#define CRASH_KEYS  160
#define CRASH_DOUBT 8
#define CRASH_SNAPS 6

struct crash {
	uint64_t	 seed;
	struct rng	 rng;
	struct sim_disk *disk;
	struct device	*dev;
	struct store	*store;
	uint64_t	 cache_bytes;
	uint32_t	 value_max, key_max;		/* bytes, of this run */
	bool		 cold;				/* much of the data is not in memory, most of the time */
	uint64_t	 hash[CRASH_TREES][CRASH_KEYS]; /* of key and value; 0: absent */
	uint64_t	 sum, committed;
	struct doubt {
		uint64_t lsn, sum;
	} doubt[CRASH_DOUBT];
	unsigned ndoubt;
	struct crash_snap {
		uint64_t epoch; /* 0: none */
		unsigned tree;
		bool	 certain, dying; /* it has been committed; its end has begun, and is in doubt */
		uint64_t hash[CRASH_KEYS];
	} snaps[CRASH_SNAPS];
	uint64_t points, nested, operations, nospace, errors, put_off, spilled; /* what happened */
	char	 why[512];							/* what went wrong */
};

/* Makes a disk and a store as the seed says. 0 or 1 (c->why). */
int  crash_begin(struct crash *c, uint64_t seed);
void crash_end(struct crash *c);

/* Works until a power cut (or an injected error), recovers, perhaps with more cuts, and compares. 0 or 1 (c->why). */
int crash_point(struct crash *c);

#endif
