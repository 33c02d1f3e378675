/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_sweep.c: every workload of scripts.h, with its n-th read, write, flush or allocation failing, for all n, once and for good.
 *
 * Whatever fails: every call answers success or an error that it may answer, what was acknowledged is there, a failed allocation never
 * turns the store read-only, a failed call can be tried again (after a reopen when the device failed a write), the store is whole by its
 * own check, and all memory is given back. The link wraps malloc() and its like, so allocations are those of the library and of this file.
 * Without FULL=1 it takes a sample, by SEED; WORKLOAD=n does only that one. */
#include "failing_alloc.h"
#include "script.h"
#include "scripts.h"

#include <errno.h>

#define DISK  (2u << 20)
#define SHOWN 40u /* runs that went wrong */

enum kind { READ, WRITE, FLUSH, ALLOC, KINDS };
static const char *const kind_names[KINDS] = { "read", "write", "flush", "allocation" };

/* ---- one run ---- */

struct sweep {
	const struct workload *w;
	unsigned	       number; /* of the workload */
	enum kind	       kind;
	uint64_t	       n; /* 0: nothing fails */
	bool		       for_good;
	struct sim_disk	      *disk; /* of all but ALLOC, whose device must not allocate */
	bool		       warm; /* the disk has been in use */
	uint64_t	       injected;
	struct rng	       rng;
	struct script	      *s;
	const char	      *at;				       /* what is being run */
	jmp_buf		       out;				       /* of a run that went wrong, */
	uint64_t	       runs, errors, readonly, wrong, put_off; /* in all */
};

/* A clock that goes the same way in every run. */
static uint64_t ticks(void *arg)
{
	return *(uint64_t *)arg += 1000;
}

/* The run is over. What it has is not given back. */
static void bad(struct sweep *w, const char *what, int rc)
{
	alloc.armed = false;
	if (w->wrong++ < SHOWN)
		print_error("workload %u, %s %" PRIu64 " %s, at \"%.40s\": %s: %s %s\n", w->number, kind_names[w->kind], w->n,
			    w->for_good ? "and all after it" : "once", w->at, what, rc > 0 ? w->s->wrong : tarn_errname(rc),
			    rc > 0 ? "" : base_message());
	longjmp(w->out, 1);
}

/* VERBOSE=1: what failed, and what was done about it. */
static void tell(const struct sweep *w, const char *what, int rc)
{
	if (getenv("VERBOSE"))
		fprintf(stderr, "# %u %s %" PRIu64 "%s \"%.30s\": %s: %s %s\n", w->number, kind_names[w->kind], w->n,
			w->for_good ? "+" : "", w->at, what, tarn_errname(rc), rc ? base_message() : "");
}

static void tell_why(const struct sweep *w)
{
	struct store_stat stat;

	store_stat(w->s->store, &stat);
	base_set_message(stat.why);
	tell(w, "NOMEM made it read-only", -TARN_E_EP_RO);
}

static void arm(struct sweep *w)
{
	static const tarn_dev_opcode opcodes[] = { TARN_DEV_READ, TARN_DEV_WRITE, TARN_DEV_FLUSH };

	if (w->kind == ALLOC) {
		alloc_fail(w->n, w->for_good);
	} else {
		w->injected = sim_faults_injected(w->disk);
		sim_fail_nth(w->disk, opcodes[w->kind], w->n, w->for_good);
	}
}

static uint64_t disarm(struct sweep *w)
{
	alloc.armed = false;
	if (w->kind == ALLOC)
		return alloc.refused;
	for (int i = TARN_DEV_READ; i <= TARN_DEV_FLUSH; i++)
		sim_fail_nth(w->disk, (tarn_dev_opcode)i, 0, false);
	return sim_faults_injected(w->disk) - w->injected;
}

static bool declared(const struct sweep *w, int rc)
{
	return rc == -TARN_E_EP_RO || rc == (w->kind == ALLOC ? -TARN_E_NOMEM : -TARN_E_IO);
}

/* Fails for good: what else is called meanwhile fails as it should, or does not. */
static void go_on_failing(struct sweep *w)
{
	static const char *const commands[] = { "checkpoint", "scrub" };
	struct command		 c;

	for (size_t i = 0; i < ARRAY_LEN(commands) && w->s->store; i++) {
		int rc;

		script_parse(commands[i], &c);
		rc = c.run(w->s, c.args);
		if (rc > 0 || (rc && !declared(w, rc)))
			bad(w, commands[i], rc);
		if (script_match(w->s, false) > 0)
			bad(w, "what is in memory while it fails", 1);
	}
}

/* The store is thrown away, and the power goes: what was not flushed is lost, or not. */
static void power_cut(struct sweep *w)
{
	static const unsigned none[3];
	int		      rc;

	tell(w, "power cut", 0);
	close_reader(w->s);
	if (w->s->store)
		store_abandon(w->s->store);
	w->s->store = NULL;
	if (w->kind != ALLOC) {
		device_close(w->s->dev);
		sim_restore_power(w->disk, rng_below(&w->rng, 2) ? SIM_CUT_NONE : SIM_CUT_RANDOM);
		assert_ok(sim_open(w->disk, &w->s->dev));
	}
	w->s->applied = false;
	rc	      = do_reopen(w->s, none);
	if (rc)
		bad(w, "the reopen after it", rc);
}

/* What is in memory is one of the worlds, but for a value that could not be written: whose error is all that a read gets. */
static bool matches(struct sweep *w)
{
	int rc = script_match(w->s, false);

	return !rc || (rc == -TARN_E_IO && w->s->store->late.rc == rc);
}

/* The command failed. Now nothing fails any more, and it succeeds. */
static void recover(struct sweep *w, const struct command *c, int rc)
{
	bool readonly;

	w->errors++;
	tell(w, "failed", rc);
	if (rc > 0 || !declared(w, rc))
		bad(w, "answered", rc);
	if (w->for_good)
		go_on_failing(w);
	disarm(w);
	readonly = w->s->store && script_readonly(w->s);
	w->readonly += readonly;
	if (readonly && w->kind == ALLOC)
		tell_why(w);
	if (w->s->store && !matches(w))
		bad(w, "what is in memory", 1);
	if (readonly || !w->s->store)
		power_cut(w);
	rc = c->run(w->s, c->args);
	if (rc)
		bad(w, "tried again", rc);
}

static void expect(struct sweep *w, const char *text)
{
	struct command c;
	int	       rc;

	w->at = text;
	script_parse(text, &c);
	rc = c.run(w->s, c.args);
	if (rc)
		bad(w, "at the end", rc);
}

static void plug(struct sweep *w)
{
	struct store_format format = { .node_bytes = 1024, .log_bytes = w->w->log_kib << 10, .size = DISK };

	if (w->kind == ALLOC)
		assert_ok(device_open("mem:2M", &(struct device_options){ .create = false }, &w->s->dev));
	else
		assert_ok(sim_open(w->disk, &w->s->dev));
	assert_ok(store_format(w->s->dev, &format));
	w->at = "open";
}

static void unplug(struct sweep *w)
{
	static const char *const last[] = { "verify", "check", "reopen", "check", "put 1 10", "checkpoint" };

	for (size_t i = 0; i < ARRAY_LEN(last); i++)
		expect(w, last[i]);
	assert_ok(store_close(w->s->store));
	device_close(w->s->dev);
	if (w->kind != ALLOC)
		sim_restore_power(w->disk, SIM_CUT_ALL);
}

static void run_all(struct sweep *w)
{
	struct command c    = { .run = do_reopen };
	const char    *text = w->w->text;

	for (w->at = "open"; text; w->at = text, text = script_parse(text, &c)) {
		int rc = c.run(w->s, c.args);

		if (rc)
			recover(w, &c, rc);
	}
}

/* false: nothing failed, so the workload has fewer than n of them. */
static bool run(struct sweep *w)
{
	int64_t	 live  = alloc.live;
	uint64_t clock = 1;
	bool	 fired;

	w->s = script_new(w->w->cache_kib << 10);
	base_set_clock(ticks, &clock);
	plug(w);
	arm(w);
	run_all(w);
	fired = disarm(w) != 0;
	unplug(w);
	base_set_clock(NULL, NULL);
	w->put_off += w->s->put_off;
	script_free(w->s);
	if (alloc.live != live && (w->warm || w->kind == ALLOC)) /* the first run on a disk leaves it a list */
		bad(w, "memory was not freed", 0);
	w->warm = true;
	w->runs++;
	return fired;
}

/* The same, also when it goes wrong; then with another disk from now on. */
static bool attempt(struct sweep *w)
{
	if (!setjmp(w->out))
		return run(w);
	base_set_clock(NULL, NULL);
	if (w->kind != ALLOC)
		assert_ok(sim_disk_create(DISK, test_seed() + w->number, &w->disk));
	w->warm = false;
	return true;
}

/* ---- sweeps ---- */

static void sweep_kind(struct sweep *w)
{
	bool	 full	= test_number("FULL", 0);
	uint64_t enough = w->wrong + 5;
	uint64_t only = test_number("NTH", 0), stride = full ? 1 : w->kind == ALLOC ? 23 : 11;

	for (int for_good = 0; for_good < 2; for_good++) {
		w->for_good = for_good;
		for (w->n = only ? only : 1 + rng_below(&w->rng, stride); attempt(w) && !only && w->wrong < enough;
		     w->n += 1 + rng_below(&w->rng, 2 * stride - 1))
			;
	}
}

static void sweep_all(enum kind kind)
{
	uint64_t     only = test_number("WORKLOAD", UINT64_MAX);
	struct sweep w	  = { .kind = kind };
	uint64_t     before;

	rng_seed(&w.rng, test_seed());
	for (w.number = 0; w.number < ARRAY_LEN(workloads); w.number++) {
		if (only != UINT64_MAX && only != w.number)
			continue;
		w.w = &workloads[w.number];
		if (kind != ALLOC)
			assert_ok(sim_disk_create(DISK, test_seed() + w.number, &w.disk));
		w.warm = false;
		w.n    = 0;
		before = w.wrong;
		attempt(&w);
		if (w.wrong == before)
			sweep_kind(&w);
		if (kind != ALLOC)
			sim_disk_destroy(w.disk);
	}
	printf("# %zu workloads, %s: %" PRIu64 " runs, %" PRIu64 " calls failed and were tried again, %" PRIu64
	       " read-only, %" PRIu64 " puts put off\n",
	       ARRAY_LEN(workloads), kind_names[kind], w.runs, w.errors, w.readonly, w.put_off);
	if (only == UINT64_MAX && !w.put_off)
		fail_msg("no put was put off");
	if (w.wrong)
		fail_msg("%" PRIu64 " runs went wrong", w.wrong);
	if (kind == ALLOC && w.readonly)
		fail_msg("a failed allocation turned a store read-only: VERBOSE=1 tells where");
}

static void any_read_may_fail(void **state)
{
	(void)state;
	sweep_all(READ);
}

static void any_write_may_fail(void **state)
{
	(void)state;
	sweep_all(WRITE);
}

static void any_flush_may_fail(void **state)
{
	(void)state;
	sweep_all(FLUSH);
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	sweep_all(ALLOC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_read_may_fail),
		cmocka_unit_test(any_write_may_fail),
		cmocka_unit_test(any_flush_may_fail),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
