/* SPDX-License-Identifier: Apache-2.0 */
/* bench_kv: what a put, a get and a listing cost through the public API, on a pool in a file.
 *
 * Usage: bench_kv [SECONDS [DIRECTORY]]. Each line runs for SECONDS (1). DIRECTORY (build/bench) is where the pool is made and
 * removed: what its disk does with a flush is most of what a durable put costs. Keys are random, of 16 bytes, values of 128; gets hit
 * the cache. CPU is of the whole process, user and system, for each operation. Figures of one run on a shared machine say little:
 * compare medians of several. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>
#include <time.h>

#define KEYS	    100000u
#define VALUE_LEN   128u
#define THREADS_MAX 16u
#define BATCH	    100u

struct bench {
	tarn_kv	   *kv;
	double	    seconds;
	atomic_bool stop;
};

struct worker {
	struct bench *bench;
	uint64_t (*step)(struct worker *worker); /* does some operations and returns their number */
	uint64_t  seed, done;
	pthread_t thread;
};

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Library calls are checked here only: a benchmark that failed has no figure. */
static void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench_kv: %s: %s: %s\n", what, tarn_errname(rc), tarn_last_error());
	exit(1);
}

static uint64_t next_random(struct worker *worker)
{
	worker->seed ^= worker->seed >> 12;
	worker->seed ^= worker->seed << 25;
	worker->seed ^= worker->seed >> 27;
	return worker->seed * UINT64_C(0x2545F4914F6CDD1D);
}

static tarn_buf key_of(uint64_t n, char text[17])
{
	snprintf(text, 17, "key-%012" PRIu64, n);
	return (tarn_buf){ text, 16 };
}

static const char value[VALUE_LEN] = "a value";

static uint64_t step_put(struct worker *worker)
{
	char	 text[17];
	tarn_buf key = key_of(next_random(worker) % KEYS, text);

	must(tarn_kv_put(worker->bench->kv, key, (tarn_buf){ value, VALUE_LEN }, TARN_COND_NONE, NULL), "put");
	return 1;
}

static uint64_t step_get(struct worker *worker)
{
	char	 text[17], buf[VALUE_LEN];
	size_t	 len = sizeof(buf);
	tarn_buf key = key_of(next_random(worker) % KEYS, text);

	must(tarn_kv_get(worker->bench->kv, key, buf, &len, NULL), "get");
	return 1;
}

static void put_batch(tarn_kv *kv, uint64_t first)
{
	tarn_mutation muts[BATCH] = { 0 };
	char	      text[BATCH][17];

	for (unsigned i = 0; i < BATCH; i++) {
		muts[i].key = key_of((first + i) % KEYS, text[i]);
		muts[i].val = (tarn_buf){ value, VALUE_LEN };
	}
	must(tarn_kv_apply(kv, muts, BATCH, NULL, NULL), "batch");
}

static uint64_t step_batch(struct worker *worker)
{
	put_batch(worker->bench->kv, next_random(worker) % KEYS);
	return BATCH;
}

static uint64_t step_list(struct worker *worker)
{
	static _Thread_local uint64_t buf[8192];
	char			      text[17];
	tarn_range		      range = { .start = key_of(next_random(worker) % KEYS, text) };
	tarn_listing		      out;

	must(tarn_kv_list(worker->bench->kv, &range, 0, buf, sizeof(buf), &out, NULL), "list");
	return out.count;
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load_explicit(&worker->bench->stop, memory_order_relaxed))
		worker->done += worker->step(worker);
	return NULL;
}

static void measure(struct bench *bench, const char *name, unsigned threads, uint64_t (*step)(struct worker *))
{
	struct worker	workers[THREADS_MAX] = { 0 };
	uint64_t	done		     = 0;
	double		began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	struct timespec pause = { (time_t)bench->seconds, (long)((bench->seconds - (double)(time_t)bench->seconds) * 1e9) };

	atomic_store(&bench->stop, false);
	for (unsigned i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .bench = bench, .step = step, .seed = i + 1 };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			abort();
	}
	nanosleep(&pause, NULL);
	atomic_store(&bench->stop, true);
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
	}
	printf("%-22s %2u threads %12.0f /s %10.2f us CPU each\n", name, threads, (double)done / (now(CLOCK_MONOTONIC) - began),
	       (now(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / (double)done);
}

int main(int argc, char **argv)
{
	struct bench	 bench	= { .seconds = argc > 1 ? atof(argv[1]) : 1 };
	tarn_pool_params params = { .struct_size = sizeof(params), .size = UINT64_C(1) << 30 };
	tarn_system	*sys;
	tarn_pool	*pool;
	tarn_cont	*cont;

	must(tarn_system_open(argc > 2 ? argv[2] : "build/bench", NULL, 0, &sys), "open the system");
	tarn_pool_destroy(sys, "bench", TARN_DESTROY_FORCE, NULL); /* of a run that was interrupted */
	must(tarn_pool_create(sys, "bench", &params, NULL, NULL), "create the pool");
	must(tarn_pool_open(sys, "bench", NULL, &pool, NULL), "open the pool");
	must(tarn_cont_create(pool, "bench", TARN_CONT_KV, NULL, 0, NULL, NULL), "create the container");
	must(tarn_cont_open(pool, "bench", 0, &cont, NULL), "open the container");
	must(tarn_kv_open(cont, "bench", TARN_KV_CREATE, &bench.kv, NULL), "open the object");
	for (uint64_t n = 0; n < KEYS; n += BATCH)
		put_batch(bench.kv, n);
	measure(&bench, "durable put", 1, step_put);
	measure(&bench, "durable put", 16, step_put);
	measure(&bench, "put in batches of 100", 1, step_batch);
	measure(&bench, "get, cached", 1, step_get);
	measure(&bench, "get, cached", 2, step_get);
	measure(&bench, "list", 1, step_list);
	must(tarn_kv_close(bench.kv), "close the object");
	must(tarn_cont_close(cont), "close the container");
	must(tarn_pool_close(pool), "close the pool");
	must(tarn_pool_destroy(sys, "bench", TARN_DESTROY_FORCE, NULL), "destroy the pool");
	must(tarn_system_close(sys), "close the system");
	return 0;
}
