/* SPDX-License-Identifier: Apache-2.0 */
/* test/crash_main.c: crash SEED N. Power cuts until N of them have happened; a new disk every few.
 *
 * Run i uses seed SEED + i and depends on nothing else, so `crash SEED 1` replays the failing run that was printed. */
#include "crash.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define POINTS_PER_RUN	12
#define POINTS_PER_LINE 100000

struct totals {
	uint64_t points, nested, operations, nospace, errors, put_off, spilled, runs;
};

static int run(uint64_t seed, struct totals *t)
{
	struct crash c;
	int	     rc = crash_begin(&c, seed);

	while (!rc && c.points < POINTS_PER_RUN)
		rc = crash_point(&c);
	if (rc)
		printf("FAILED seed %" PRIu64 " after %" PRIu64 " points and %" PRIu64 " operations: %s\nreplay: crash %" PRIu64
		       " 1\n",
		       seed, c.points, c.operations, c.why, seed);
	crash_end(&c);
	t->points += c.points;
	t->nested += c.nested;
	t->operations += c.operations;
	t->nospace += c.nospace;
	t->errors += c.errors;
	t->put_off += c.put_off;
	t->spilled += c.spilled;
	t->runs++;
	return rc;
}

static void progress(const struct totals *t, uint64_t before, uint64_t n)
{
	if (t->points / POINTS_PER_LINE != before / POINTS_PER_LINE)
		fprintf(stderr, "# %" PRIu64 " of %" PRIu64 " crash points, %" PRIu64 " runs\n", t->points, n, t->runs);
}

int main(int argc, char **argv)
{
	uint64_t      seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, n = argc > 2 ? strtoull(argv[2], NULL, 0) : 20000;
	uint64_t      start = base_mono_ns();
	struct totals t	    = { 0 };
	int	      rc    = 0;

	for (uint64_t i = 0; !rc && t.points < n; i++) {
		uint64_t before = t.points;

		rc = run(seed + i, &t);
		progress(&t, before, n);
	}
	printf("crash: seeds %" PRIu64 "..%" PRIu64 ": %" PRIu64 " crash points (%" PRIu64 " inside recovery), %" PRIu64
	       " operations, %" PRIu64 " refused for space, %" PRIu64 " failed I/Os survived, %" PRIu64 " puts put off, %" PRIu64
	       " spilled, %.1f s\n",
	       seed, seed + t.runs - 1, t.points, t.nested, t.operations, t.nospace, t.errors, t.put_off, t.spilled,
	       (double)(base_mono_ns() - start) / 1e9);
	return rc != 0;
}
