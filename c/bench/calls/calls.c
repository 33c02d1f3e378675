/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c: what calls cost in C whose data is in the cache, printed as `go test -bench` prints: the twin of go/tarn/bench_test.go, which
 * does the same with the same keys. The difference of two lines of one name is what the way from Go costs.
 *
 * Each call is made with an event that may be answered inline, as Go makes it; the lines with "/sync" are made without an event.
 * With "turns" it is the C side of tests/bench-cgo: for each line "NAME COUNT" it makes so many calls, and answers with the processor time
 * that they took, in nanoseconds, of the whole process. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tarn/tarn.h>
#include <time.h>
#include <unistd.h>

#define NAME	  "calls"
#define KEYS	  100000u
#define KEY_LEN	  16u
#define VALUE_LEN 100u
#define MANY	  32u
#define BATCH	  100u
#define LOAD	  1000u
#define LIST_ROOM (256u << 10)
#define SLICE	  1000u /* calls between two looks at the clock */

struct bench {
	tarn_system  *sys;
	tarn_pool    *pool;
	tarn_cont    *cont;
	tarn_kv	     *kv;
	tarn_eq	     *eq;
	tarn_event    ev;
	tarn_event   *use; /* &ev, or NULL */
	uint64_t      dice;
	uint8_t	      key[KEY_LEN], value[VALUE_LEN];
	uint8_t	      keys[LOAD][KEY_LEN];
	uint8_t	      values[MANY][VALUE_LEN];
	tarn_get      gets[MANY];
	tarn_mutation muts[LOAD];
	uint64_t      listing[LIST_ROOM / 8];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int report(int rc, const char *what)
{
	if (rc < 0)
		fprintf(stderr, "calls: %s: %s: %s\n", what, tarn_errname(rc), tarn_last_error());
	return rc;
}

static tarn_buf key_of(uint8_t *key, uint64_t i)
{
	uint64_t high = __builtin_bswap64(i * UINT64_C(0x9E3779B97F4A7C15)), low = __builtin_bswap64(i);

	memcpy(key, &high, 8);
	memcpy(key + 8, &low, 8);
	return (tarn_buf){ key, KEY_LEN };
}

static uint64_t any(struct bench *b)
{
	uint64_t n = b->dice += UINT64_C(0x9E3779B97F4A7C15);

	n = (n ^ n >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	n = (n ^ n >> 27) * UINT64_C(0x94D049BB133111EB);
	return (uint64_t)((unsigned __int128)(n ^ n >> 31) * KEYS >> 64);
}

/* What a call with b->use came to: one that did not answer at once is waited for. */
static int came_to(struct bench *b, int rc)
{
	tarn_event *done;

	if (!b->use || rc < 0)
		return rc;
	if (rc == 0 && (rc = tarn_eq_poll(b->eq, -1, 1, &done)) < 0)
		return rc;
	return tarn_event_result(&b->ev);
}

/* ---- the calls ---- */

static int call_get(struct bench *b)
{
	size_t len = VALUE_LEN;

	return came_to(b, tarn_kv_get(b->kv, key_of(b->key, any(b)), b->value, &len, b->use));
}

static int call_put(struct bench *b)
{
	return came_to(b, tarn_kv_put(b->kv, key_of(b->key, any(b)), (tarn_buf){ b->value, VALUE_LEN }, TARN_COND_NONE, b->use));
}

static int call_get_many(struct bench *b)
{
	for (unsigned i = 0; i < MANY; i++)
		b->gets[i] = (tarn_get){ .key = key_of(b->keys[i], any(b)), .buf = b->values[i], .len = VALUE_LEN };
	return came_to(b, tarn_kv_get_many(b->kv, b->gets, MANY, b->use));
}

static int call_apply(struct bench *b)
{
	uint64_t first = any(b);

	for (unsigned i = 0; i < BATCH; i++)
		b->muts[i] =
			(tarn_mutation){ .key = key_of(b->keys[i], (first + i * 997) % KEYS), .val = { b->value, VALUE_LEN } };
	return came_to(b, tarn_kv_apply(b->kv, b->muts, BATCH, NULL, b->use));
}

static int call_list(struct bench *b)
{
	tarn_range   range = { .start = key_of(b->key, any(b)) };
	tarn_listing out;

	return came_to(b, tarn_kv_list(b->kv, &range, 100, b->listing, sizeof(b->listing), &out, b->use));
}

static const struct {
	const char *name;
	int (*call)(struct bench *);
	bool writes;
} benchmarks[] = {
	{ "GetInto", call_get, false }, { "GetMany", call_get_many, false }, { "List/100", call_list, false },
	{ "Put", call_put, true },	{ "Apply", call_apply, true },
};

/* ---- running them ---- */

static int measure(struct bench *b, int (*call)(struct bench *), const char *name, double seconds)
{
	uint64_t began = clock_ns(CLOCK_MONOTONIC), until = began + (uint64_t)(seconds * 1e9), now = began, n = 0;
	int	 rc = 0;

	while (now < until && rc >= 0) {
		for (unsigned i = 0; i < SLICE && rc >= 0; i++, n++)
			rc = call(b);
		now = clock_ns(CLOCK_MONOTONIC);
	}
	if (rc < 0)
		return report(rc, name);
	printf("Benchmark%s%s %10" PRIu64 " %12.1f ns/op\n", name, b->use ? "" : "/sync", n, (double)(now - began) / (double)n);
	fflush(stdout);
	return 0;
}

static int set_durability(struct bench *b, uint64_t durability)
{
	tarn_prop prop = { .id = TARN_PROP_DURABILITY, .number = durability };

	return report(tarn_cont_set_props(b->cont, &prop, 1, NULL), "set the durability");
}

static int measure_all(struct bench *b, double seconds)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof(benchmarks) / sizeof(benchmarks[0]) && rc >= 0; i++) {
		rc     = set_durability(b, benchmarks[i].writes ? TARN_DURABILITY_RELAXED : TARN_DURABILITY_DURABLE);
		b->use = &b->ev;
		if (rc >= 0)
			rc = measure(b, benchmarks[i].call, benchmarks[i].name, seconds);
		b->use = NULL;
		if (rc >= 0)
			rc = measure(b, benchmarks[i].call, benchmarks[i].name, seconds);
	}
	return rc;
}

/* ---- taking turns with Go ---- */

static int (*call_named(const char *name))(struct bench *)
{
	for (size_t i = 0; i < sizeof(benchmarks) / sizeof(benchmarks[0]); i++)
		if (strcmp(name, benchmarks[i].name) == 0)
			return benchmarks[i].call;
	return NULL;
}

static int turn(struct bench *b, const char *name, unsigned count)
{
	int (*call)(struct bench *) = call_named(name);
	uint64_t began		    = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int	 rc		    = 0;

	if (!call) {
		fprintf(stderr, "calls: there is no call %s\n", name);
		return -1;
	}
	for (unsigned i = 0; i < count && rc >= 0; i++)
		rc = call(b);
	if (rc < 0)
		return report(rc, name);
	printf("%" PRIu64 "\n", clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began);
	fflush(stdout);
	return 0;
}

static int take_turns(struct bench *b)
{
	char	 line[64], name[32];
	unsigned count;
	int	 rc = set_durability(b, TARN_DURABILITY_RELAXED);

	b->use = &b->ev;
	while (rc >= 0 && fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%31s %u", name, &count) != 2) {
			fprintf(stderr, "calls: a turn is NAME COUNT, found %s", line);
			return -1;
		}
		rc = turn(b, name, count);
	}
	return rc;
}

/* ---- the data ---- */

static int load(struct bench *b)
{
	uint64_t count;
	int	 rc = 0;

	for (uint64_t n = 0; n < KEYS && rc >= 0; n += LOAD) {
		for (unsigned i = 0; i < LOAD; i++)
			b->muts[i] = (tarn_mutation){ .key = key_of(b->keys[i], n + i), .val = { b->value, VALUE_LEN } };
		rc = tarn_kv_apply(b->kv, b->muts, LOAD, NULL, NULL);
	}
	if (rc >= 0)
		rc = tarn_pool_checkpoint(b->pool, NULL);
	if (rc >= 0)
		rc = tarn_kv_count(b->kv, NULL, &count, NULL);
	for (uint64_t n = 0; n < KEYS && rc >= 0; n++) { /* so that all of it is in the cache */
		size_t len = VALUE_LEN;

		rc = tarn_kv_get(b->kv, key_of(b->key, n), b->value, &len, NULL);
	}
	return report(rc, "load");
}

static int open_all(struct bench *b, const char *dir)
{
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 64u << 20 };
	int		 rc	= tarn_system_open(dir, NULL, 0, &b->sys);

	if (rc >= 0)
		rc = tarn_pool_create(b->sys, NAME, &params, NULL, NULL);
	if (rc >= 0)
		rc = tarn_pool_open(b->sys, NAME, NULL, &b->pool, NULL);
	if (rc >= 0)
		rc = tarn_cont_create(b->pool, NAME, TARN_CONT_KV, NULL, 0, NULL, NULL);
	if (rc >= 0)
		rc = tarn_cont_open(b->pool, NAME, 0, &b->cont, NULL);
	if (rc >= 0)
		rc = tarn_kv_open(b->cont, NAME, TARN_KV_CREATE, &b->kv, NULL);
	if (rc >= 0)
		rc = tarn_eq_create(&b->eq);
	if (rc >= 0)
		tarn_event_init(&b->ev, b->eq, NULL, TARN_EVENT_INLINE);
	return report(rc, "open");
}

static void close_all(struct bench *b)
{
	if (b->eq)
		tarn_eq_destroy(b->eq);
	if (b->kv)
		tarn_kv_close(b->kv);
	if (b->cont)
		tarn_cont_close(b->cont);
	if (b->pool) {
		tarn_pool_close(b->pool);
		tarn_pool_destroy(b->sys, NAME, TARN_DESTROY_FORCE, NULL);
	}
	if (b->sys)
		tarn_system_close(b->sys);
}

int main(int argc, char **argv)
{
	static struct bench b;
	char		    dir[]   = "/tmp/tarn-calls-XXXXXX";
	bool		    turns   = argc > 1 && strcmp(argv[1], "turns") == 0;
	double		    seconds = argc > 1 && !turns ? atof(argv[1]) : 1;
	int		    rc;

	if (argc > 2 || seconds <= 0) {
		fprintf(stderr, "usage: calls [SECONDS for each benchmark | turns]\n");
		return 2;
	}
	if (!mkdtemp(dir)) {
		perror("calls: a directory in /tmp");
		return 1;
	}
	rc = open_all(&b, dir);
	if (rc >= 0)
		rc = load(&b);
	if (rc >= 0)
		rc = turns ? take_turns(&b) : measure_all(&b, seconds);
	close_all(&b);
	if (rmdir(dir))
		fprintf(stderr, "calls: %s is left\n", dir);
	return rc < 0;
}
