/* SPDX-License-Identifier: Apache-2.0 */
/* test/prove_memory.c: prove_memory DIR [RECORDS [BUDGET_MIB [SEED]]]. Memory stays within the cache's budget whatever the pool holds, and
 * opening takes time by the log, not by the data.
 *
 * A pool of RECORDS records (20 million) of 116 bytes is loaded, read, updated and scanned with a budget of BUDGET_MIB (256), closed and
 * opened; then kill -9 ends a process in the middle of its updates, three times, and the next open recovers. A pool of 100 GiB, which is
 * sparse, goes the same way with fewer records. Each opening is a process of its own; each phase has its peak of resident memory (VmHWM), and
 * one over the budget plus 64 MiB fails the run, as does a record that is not what was acknowledged. Files are made in DIR, and removed.
 *
 * Each of THREADS threads updates records of its own, in batches with numbers that ascend; a value is known by the number of the batch that
 * wrote it. So what a killed process had acknowledged is one number a thread. */
#include "../src/base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tarn/tarn.h>
#include <unistd.h>

#define MIB	   (UINT64_C(1) << 20)
#define THREADS	   4u
#define BATCH	   50u /* changes; of a load LOAD */
#define LOAD	   5000u
#define KEY	   16u
#define VALUE	   100u
#define SLACK	   (64 * MIB)
#define HOT	   100u /* places a stratum, when few records are updated again and again: then the log fills before the cache does */
#define VERIFIED   2000u /* of the last batches of a thread */
#define ROOM	   (256u << 10)
#define WAIT_LIMIT 120u /* seconds until a process has done what it is to be killed for */

#define NAME "proof"

/* Of one pool; shared with the children. */
struct proof {
	const char	*dir;
	uint64_t	 size, records, budget, seed, reads, batches;
	bool		 sparse, hot;
	_Atomic uint64_t acked[THREADS];      /* batches */
	uint64_t	 began[THREADS];      /* how many those were when the last process began */
	_Atomic uint64_t log_used, log_bytes; /* as the last process saw them */
	_Atomic uint64_t worst;		      /* the highest peak of all phases, in bytes */
};

struct pool {
	struct proof *proof;
	tarn_system  *sys;
	tarn_pool    *pool;
	tarn_cont    *cont;
	tarn_kv	     *kv;
};

/* ---- answers ---- */

static void __attribute__((format(printf, 1, 2), noreturn)) give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stdout, "FAILED: ");
	vfprintf(stdout, format, args);
	fprintf(stdout, "\n");
	va_end(args);
	fflush(stdout);
	_exit(1);
}

static void need(int rc, const char *what)
{
	if (rc < 0)
		give_up("%s: %s: %s", what, tarn_errname(rc), tarn_last_error());
}

/* ---- meters ---- */

static uint64_t peak_rss(void)
{
	FILE	*file = fopen("/proc/self/status", "r");
	char	 line[256];
	uint64_t kib = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "VmHWM: %" SCNu64, &kib);
	if (file)
		fclose(file);
	if (!kib)
		give_up("this kernel does not say the peak of resident memory");
	return kib * 1024;
}

/* The peak begins anew with what is resident now. */
static void forget_peak(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "w");

	if (file) {
		fputs("5", file);
		fclose(file);
	}
}

static uint64_t phase_began;

static void phase_begin(void)
{
	forget_peak();
	phase_began = base_mono_ns();
}

static void phase_end(struct proof *proof, const char *what)
{
	double	 s    = (double)(base_mono_ns() - phase_began) / 1e9;
	uint64_t peak = peak_rss();

	printf("%-44s %9.3f s  peak %6.1f MiB\n", what, s, (double)peak / (double)MIB);
	fflush(stdout);
	if (peak > atomic_load(&proof->worst))
		atomic_store(&proof->worst, peak);
	if (peak > proof->budget + SLACK)
		give_up("%s: a peak of %.1f MiB with a budget of %.0f MiB", what, (double)peak / (double)MIB,
			(double)proof->budget / (double)MIB);
	phase_begin();
}

/* ---- records ---- */

static uint64_t mix(uint64_t seed, uint64_t a, uint64_t b)
{
	struct rng rng;

	rng_seed(&rng, seed ^ a * UINT64_C(0x9e3779b97f4a7c15) ^ b << 20);
	return rng_next(&rng);
}

static void key_of(const struct proof *proof, uint64_t n, uint8_t key[KEY])
{
	uint64_t high = n * (UINT64_MAX / proof->records), low = mix(7, n, 0);

	for (unsigned i = 0; i < 8; i++)
		key[i] = (uint8_t)(high >> (56 - 8 * i));
	memcpy(key + 8, &low, 8);
}

static void value_of(uint64_t n, uint64_t number, uint8_t val[VALUE])
{
	struct rng rng;

	memcpy(val, &number, 8);
	rng_seed(&rng, n * UINT64_C(1000003) + number);
	for (unsigned i = 8; i < VALUE; i += 8) {
		uint64_t word = rng_next(&rng);

		memcpy(val + i, &word, MIN(VALUE - i, 8u));
	}
}

/* The record that change k of a batch is of. No two of a batch, and no two threads, meet. */
static uint64_t record_of(const struct proof *proof, unsigned thread, uint64_t batch, unsigned k)
{
	uint64_t stratum = proof->records / THREADS / BATCH;
	uint64_t places	 = proof->hot ? MIN(stratum, HOT) : stratum;

	return (k * stratum + mix(proof->seed, batch * BATCH + k, thread) % places) * THREADS + thread;
}

/* The number that the record's value has; the value is whole. */
static uint64_t number_read(struct pool *p, uint64_t n)
{
	uint8_t	 key[KEY], got[VALUE], want[VALUE];
	size_t	 len = VALUE;
	uint64_t number;

	key_of(p->proof, n, key);
	need(tarn_kv_get(p->kv, (tarn_buf){ key, KEY }, got, &len, NULL), "get");
	memcpy(&number, got, 8);
	value_of(n, number, want);
	if (len != VALUE || memcmp(got, want, VALUE) != 0)
		give_up("record %" PRIu64 " has a wrong value", n);
	return number;
}

/* ---- pools ---- */

static void pool_open(struct proof *proof, struct pool *p)
{
	tarn_pool_options options = { .struct_size = sizeof(options), .cache_bytes = proof->budget };

	*p = (struct pool){ .proof = proof };
	need(tarn_system_open(proof->dir, NULL, 0, &p->sys), "open the system");
	phase_begin();
	need(tarn_pool_open(p->sys, NAME, &options, &p->pool, NULL), "open the pool");
}

static void kv_open(struct pool *p)
{
	int rc = tarn_cont_create(p->pool, NAME, TARN_CONT_KV, NULL, 0, NULL, NULL);

	need(rc == -TARN_E_EXIST ? 0 : rc, "create the container");
	need(tarn_cont_open(p->pool, NAME, 0, &p->cont, NULL), "open the container");
	need(tarn_kv_open(p->cont, NAME, TARN_KV_CREATE, &p->kv, NULL), "open the object");
}

static void pool_end(struct pool *p)
{
	phase_begin();
	need(tarn_kv_close(p->kv), "close the object");
	need(tarn_cont_close(p->cont), "close the container");
	need(tarn_pool_close(p->pool), "close the pool");
	phase_end(p->proof, "close");
	need(tarn_system_close(p->sys), "close the system");
}

/* A file with room for nothing yet, which a pool takes as a device. */
static void make_sparse(const struct proof *proof, char path[4200])
{
	int fd;

	snprintf(path, 4200, "%s/sparse", proof->dir);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)proof->size) < 0)
		give_up("%s cannot be made with %" PRIu64 " bytes: %s", path, proof->size, strerror(errno));
	close(fd);
}

static void pool_create(struct proof *proof)
{
	tarn_pool_params params = { .struct_size = sizeof(params), .size = proof->size };
	tarn_system	*sys;
	char		 path[4200];

	if (proof->sparse) {
		make_sparse(proof, path);
		params.device = path;
		params.size   = 0;
	}
	need(tarn_system_open(proof->dir, NULL, 0, &sys), "open the system");
	phase_begin();
	need(tarn_pool_create(sys, NAME, &params, NULL, NULL), "create the pool");
	phase_end(proof, "create");
	need(tarn_system_close(sys), "close the system");
}

/* ---- work ---- */

static void load(struct pool *p)
{
	static uint8_t	     keys[LOAD][KEY], vals[LOAD][VALUE];
	static tarn_mutation muts[LOAD];

	for (uint64_t n = 0; n < p->proof->records;) {
		unsigned i = 0;

		for (; i < LOAD && n < p->proof->records; i++, n++) {
			key_of(p->proof, n, keys[i]);
			value_of(n, 0, vals[i]);
			muts[i] = (tarn_mutation){ .key = { keys[i], KEY }, .val = { vals[i], VALUE } };
		}
		need(tarn_kv_apply(p->kv, muts, i, NULL, NULL), "load");
	}
}

struct worker {
	struct pool *p;
	unsigned     index;
	uint64_t     batches; /* how many; UINT64_MAX: until it is killed */
	pthread_t    thread;
};

static void *read_some(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < w->p->proof->reads / THREADS; i++)
		number_read(w->p, mix(w->p->proof->seed + 1, i, w->index) % w->p->proof->records);
	return NULL;
}

static void update_batch(struct worker *w, uint64_t batch)
{
	uint8_t	      keys[BATCH][KEY], vals[BATCH][VALUE];
	tarn_mutation muts[BATCH];

	for (unsigned k = 0; k < BATCH; k++) {
		uint64_t n = record_of(w->p->proof, w->index, batch, k);

		key_of(w->p->proof, n, keys[k]);
		value_of(n, batch + 1, vals[k]);
		muts[k] = (tarn_mutation){ .key = { keys[k], KEY }, .val = { vals[k], VALUE } };
	}
	need(tarn_kv_apply(w->p->kv, muts, BATCH, NULL, NULL), "update");
}

static void note_log(struct pool *p)
{
	tarn_pool_info info;

	need(tarn_pool_query(p->pool, &info, NULL), "query the pool");
	atomic_store(&p->proof->log_bytes, info.log_bytes);
	atomic_store(&p->proof->log_used, info.log_used_bytes);
}

static void *update_some(void *arg)
{
	struct worker	 *w	= arg;
	_Atomic uint64_t *acked = &w->p->proof->acked[w->index];

	for (uint64_t i = 0; i < w->batches; i++) {
		update_batch(w, atomic_load(acked));
		atomic_fetch_add(acked, 1);
		if (w->index == 0 && i % 20 == 0)
			note_log(w->p);
	}
	return NULL;
}

static void on_threads(struct pool *p, uint64_t batches, void *(*body)(void *worker))
{
	struct worker workers[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .p = p, .index = i, .batches = batches };
		if (pthread_create(&workers[i].thread, NULL, body, &workers[i]))
			give_up("no thread");
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
}

/* Lists all of it, and counts; keys ascend. */
static void scan(struct pool *p)
{
	static uint64_t room[ROOM / 8];
	uint8_t		last[KEY] = { 0 };
	tarn_range	range	  = { .flags = 0 };
	tarn_listing	out	  = { .more = 1 };
	uint64_t	count	  = 0;

	while (out.more) {
		const char *at = (const char *)room;

		need(tarn_kv_list(p->kv, &range, 0, room, ROOM, &out, NULL), "list");
		for (uint32_t i = 0; i < out.count; i++, count++) {
			const tarn_entry *e = (const tarn_entry *)at;

			if (e->key_len != KEY || e->val_len != VALUE || (count && memcmp(e + 1, last, KEY) <= 0))
				give_up("the list is wrong at its entry %" PRIu64, count);
			memcpy(last, e + 1, KEY);
			at += ROUND_UP(sizeof(*e) + KEY + VALUE, 8);
		}
		range = (tarn_range){ .start = { last, KEY }, .flags = TARN_RANGE_AFTER };
	}
	if (count != p->proof->records)
		give_up("the list has %" PRIu64 " records instead of %" PRIu64, count, p->proof->records);
}

/* What the last batches wrote is there, or what a later batch of that thread wrote: at most one of them was not acknowledged. */
static void *verify_acked(void *arg)
{
	struct worker *w     = arg;
	uint64_t       acked = atomic_load(&w->p->proof->acked[w->index]), from = w->p->proof->began[w->index];

	for (uint64_t batch = MAX(from, acked > VERIFIED ? acked - VERIFIED : 0); batch < acked; batch++)
		for (unsigned k = 0; k < BATCH; k++) {
			uint64_t n = record_of(w->p->proof, w->index, batch, k), number = number_read(w->p, n);

			if (number < batch + 1 || number > acked + 1)
				give_up("record %" PRIu64 " has the value of batch %" PRIu64
					" of thread %u instead of that of %" PRIu64,
					n, number, w->index, batch + 1);
		}
	return NULL;
}

/* ---- processes ---- */

static void first_life(struct proof *proof)
{
	struct pool p;

	pool_create(proof);
	pool_open(proof, &p);
	phase_end(proof, "open, empty");
	kv_open(&p);
	load(&p);
	phase_end(proof, "load");
	on_threads(&p, 0, read_some);
	phase_end(proof, "read, 4 threads");
	on_threads(&p, proof->batches / THREADS, update_some);
	phase_end(proof, "update, 4 threads");
	scan(&p);
	phase_end(proof, "scan");
	pool_end(&p);
}

static void life_until_killed(struct proof *proof)
{
	struct pool p;

	pool_open(proof, &p);
	phase_end(proof, "open, closed before");
	kv_open(&p);
	on_threads(&p, UINT64_MAX, update_some);
}

static void life_after(struct proof *proof)
{
	char	    what[64];
	struct pool p;

	snprintf(what, sizeof(what), "open after kill -9, a log of %.1f MiB", (double)proof->log_used / (double)MIB);
	pool_open(proof, &p);
	phase_end(proof, what);
	kv_open(&p);
	on_threads(&p, 0, verify_acked);
	phase_end(proof, "read what was acknowledged, 4 threads");
	pool_end(&p);
}

static void last_life(struct proof *proof)
{
	tarn_check_result result = { 0 };
	struct pool	  p;

	pool_open(proof, &p);
	phase_end(proof, "open");
	kv_open(&p);
	scan(&p);
	phase_end(proof, "scan");
	need(tarn_pool_check(p.pool, NULL, &result, NULL), "check the pool");
	phase_end(proof, "check");
	pool_end(&p);
}

static pid_t begin(struct proof *proof, void (*life)(struct proof *proof))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		give_up("no process");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not go on alone */
		life(proof);
		fflush(stdout);
		_exit(0);
	}
	return pid;
}

static void ended_well(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		give_up("a process ended with status %d", status);
}

static uint64_t acked(const struct proof *proof)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < THREADS; i++)
		sum += atomic_load(&proof->acked[i]);
	return sum;
}

static bool log_has(const struct proof *proof, unsigned percent)
{
	return percent && proof->log_used && proof->log_used >= proof->log_bytes / 100 * percent;
}

/* When it has done as many batches, or as much of its log is in use (percent; 0: however much). */
static void kill_when(struct proof *proof, pid_t pid, uint64_t batches, unsigned percent)
{
	uint64_t before = acked(proof), limit = base_mono_ns() + WAIT_LIMIT * UINT64_C(1000000000);
	int	 status;

	while (acked(proof) - before < batches && !log_has(proof, percent)) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			give_up("the process that was to be killed ended by itself, with status %d", status);
		if (base_mono_ns() > limit)
			break;
		usleep(2000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("kill -9 after %" PRIu64 " batches of %u\n", acked(proof) - before, BATCH);
}

static void crash(struct proof *proof, bool hot, uint64_t batches, unsigned percent)
{
	proof->hot	= hot;
	proof->log_used = 0;
	for (unsigned i = 0; i < THREADS; i++)
		proof->began[i] = proof->acked[i];
	kill_when(proof, begin(proof, life_until_killed), batches, percent);
	ended_well(begin(proof, life_after));
}

/* Cold records fill the cache with dirty pages before the log is full, hot ones the log. */
static void prove(struct proof *proof)
{
	printf("pool of %.0f GiB, %" PRIu64 " records of %u bytes, budget %.0f MiB, SEED=%" PRIu64 "\n",
	       (double)proof->size / 1024 / (double)MIB, proof->records, KEY + VALUE, (double)proof->budget / (double)MIB,
	       proof->seed);
	ended_well(begin(proof, first_life));
	crash(proof, false, proof->batches / 2 + 1, 0);
	crash(proof, true, UINT64_MAX, 5);
	crash(proof, true, UINT64_MAX, 40);
	ended_well(begin(proof, last_life));
}

static void unlink_sparse(const struct proof *proof)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/sparse", proof->dir);
	unlink(path);
}

static void remove_pool(struct proof *proof)
{
	tarn_system *sys;

	need(tarn_system_open(proof->dir, NULL, 0, &sys), "open the system");
	need(tarn_pool_destroy(sys, NAME, TARN_DESTROY_FORCE, NULL), "destroy the pool");
	need(tarn_system_close(sys), "close the system");
	if (proof->sparse)
		unlink_sparse(proof);
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise)
{
	return argc > i ? strtoull(argv[i], NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	struct proof *proof = mmap(NULL, sizeof(*proof), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char	      dir[4096];
	uint64_t      records = number(argc, argv, 2, 20000000), worst;

	if (argc < 2 || proof == MAP_FAILED || records < 100000) {
		fprintf(stderr, "prove_memory DIR [RECORDS (at least 100000) [BUDGET_MIB [SEED]]]\n");
		return 2;
	}
	snprintf(dir, sizeof(dir), "%s/prove-memory-XXXXXX", argv[1]);
	if (!mkdtemp(dir))
		give_up("no directory can be made in %s", argv[1]);
	proof->dir     = dir;
	proof->records = records;
	proof->budget  = number(argc, argv, 3, 256) * MIB;
	proof->seed    = number(argc, argv, 4, base_random() >> 32);
	proof->size    = 1024 * MIB + 3 * records * (KEY + VALUE) / MIB * MIB;
	proof->reads   = records / 20;
	proof->batches = records / 20 / BATCH;
	prove(proof);
	remove_pool(proof);
	worst = proof->worst;
	for (unsigned i = 0; i < THREADS; i++)
		proof->acked[i] = 0;
	proof->worst   = 0;
	proof->hot     = false;
	proof->records = records / 20;
	proof->size    = 100 * 1024 * MIB;
	proof->sparse  = true;
	prove(proof);
	remove_pool(proof);
	rmdir(dir);
	printf("prove_memory: the highest peak was %.1f MiB and %.1f MiB, the budget is %.0f MiB\n", (double)worst / (double)MIB,
	       (double)proof->worst / (double)MIB, (double)proof->budget / (double)MIB);
	return 0;
}
