/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_history.c: single-key operations of many threads are linearizable: each seems to happen at one moment between its call and
 * its return.
 *
 * Threads put, insert, update, delete and get a few hot keys, and note when each call began and ended, by one clock that all of them
 * advance. Beside them others fill the pool, take checkpoints and evict pages. Then each key's history is judged: moment by moment, all
 * states are followed that some order of the calls that overlap could have led to; when none is left, there is no such order. */
#include "api_scratch.h"

#include <stdatomic.h>

#define THREADS 6u
#define KEYS	3u
#define OPS	10000u /* of one thread */
#define FILLERS 3000u  /* other keys for each letter */
#define ABSENT	0u
#define REFUSED UINT32_MAX
#define CONFIGS (1u << (2 * THREADS))

enum kind { PUT, INSERT, UPDATE, DEL, DEL_THERE, GET, GET_MANY };

struct op {
	uint64_t  begin, end;
	enum kind kind;
	uint32_t  key, val; /* val: what was written, or read (ABSENT: nothing) */
	bool	  refused;  /* the condition did not hold */
};

struct run {
	uint64_t	 seed;
	tarn_pool	*pool;
	tarn_kv		*kv;
	_Atomic uint64_t clock;
	_Atomic uint32_t values;
	_Atomic int	 failures;
	_Atomic bool	 stop;
};

struct thread {
	struct run *run;
	pthread_t   thread;
	struct rng  rng;
	struct op   ops[OPS];
};

/* ---- calling ---- */

static tarn_buf hot_key(uint32_t key)
{
	static const char *const names[KEYS] = { "a", "m", "z" };

	return text(names[key]);
}

static int change(struct run *r, const struct op *op)
{
	static const tarn_cond conds[] = { [PUT] = TARN_COND_NONE, [INSERT] = TARN_COND_INSERT, [UPDATE] = TARN_COND_UPDATE };
	tarn_buf	       val     = { &op->val, sizeof(op->val) };

	if (op->kind == DEL || op->kind == DEL_THERE)
		return tarn_kv_del(r->kv, hot_key(op->key), op->kind == DEL ? TARN_COND_NONE : TARN_COND_UPDATE, NULL);
	return tarn_kv_put(r->kv, hot_key(op->key), val, conds[op->kind], NULL);
}

static int look(struct run *r, struct op *op)
{
	tarn_get get = { .key = hot_key(op->key), .buf = &op->val, .len = sizeof(op->val) };
	int	 rc;

	if (op->kind == GET_MANY) {
		rc = tarn_kv_get_many(r->kv, &get, 1, NULL);
		rc = rc ? rc : get.rc;
	} else {
		rc = tarn_kv_get(r->kv, get.key, &op->val, &get.len, NULL);
	}
	op->val = rc ? ABSENT : op->val;
	return rc == -TARN_E_NONEXIST ? 0 : rc;
}

static void call(struct thread *t, struct op *op)
{
	struct run *r = t->run;
	bool	    reads;
	int	    rc;

	*op	  = (struct op){ .kind = (enum kind)rng_below(&t->rng, GET_MANY + 1), .key = (uint32_t)rng_below(&t->rng, KEYS) };
	reads	  = op->kind == GET || op->kind == GET_MANY;
	op->val	  = reads ? ABSENT : atomic_fetch_add(&r->values, 1);
	op->begin = atomic_fetch_add(&r->clock, 1);
	rc	  = reads ? look(r, op) : change(r, op);
	op->end	  = atomic_fetch_add(&r->clock, 1);
	if (rc == -TARN_E_EXIST || rc == -TARN_E_NONEXIST)
		op->refused = true;
	else if (rc)
		r->failures++;
}

static void *caller(void *arg)
{
	struct thread *t = arg;

	for (unsigned i = 0; i < OPS; i++)
		call(t, &t->ops[i]);
	return NULL;
}

/* Keys all around the hot ones come and go, so that their pages split, join, move and are evicted. */
static void *disturber(void *arg)
{
	struct run *r = arg;
	static char val[3000];
	struct rng  rng;

	rng_seed(&rng, r->seed);
	for (unsigned i = 0; !r->stop; i++) {
		char key[16];
		int  rc;

		snprintf(key, sizeof(key), "%c%u", (char)('a' + rng_below(&rng, 26)), (unsigned)rng_below(&rng, FILLERS));
		rc = i % 3 ? tarn_kv_put(r->kv, text(key), (tarn_buf){ val, rng_below(&rng, 400) }, TARN_COND_NONE, NULL)
			   : tarn_kv_del(r->kv, text(key), TARN_COND_NONE, NULL);
		if (!rc && i % 64 == 0)
			rc = tarn_pool_checkpoint(r->pool, NULL);
		r->failures += rc != 0;
	}
	return NULL;
}

/* ---- judging ---- */

struct moment {
	uint64_t	 time;
	unsigned	 thread;
	bool		 begins;
	const struct op *op;
};

/* What could be: the value of the key, and which of the calls that are under way have had their effect. */
struct config {
	uint32_t val, done;
};

struct judge {
	const struct op *pending[THREADS];
	struct config	 configs[CONFIGS];
	unsigned	 n;
};

/* The value after op, or REFUSED: with that value before it op could not have ended as it did. */
static uint32_t after(const struct op *op, uint32_t val)
{
	bool there = val != ABSENT, needs = op->kind == UPDATE || op->kind == DEL_THERE;

	if (op->kind == GET || op->kind == GET_MANY)
		return op->val == val ? val : REFUSED;
	if (op->refused)
		return (op->kind == INSERT && there) || (needs && !there) ? val : REFUSED;
	if ((op->kind == INSERT && there) || (needs && !there))
		return REFUSED;
	return op->kind == DEL || op->kind == DEL_THERE ? ABSENT : op->val;
}

static void add(struct judge *j, struct config c)
{
	for (unsigned i = 0; i < j->n; i++)
		if (j->configs[i].val == c.val && j->configs[i].done == c.done)
			return;
	assert_in_range(j->n, 0, CONFIGS - 1);
	j->configs[j->n++] = c;
}

/* All that can be reached by effects of calls under way. */
static void spread(struct judge *j)
{
	for (unsigned i = 0; i < j->n; i++)
		for (unsigned t = 0; t < THREADS; t++) {
			struct config c = j->configs[i];

			if (!j->pending[t] || c.done & 1u << t)
				continue;
			c.val = after(j->pending[t], c.val);
			c.done |= 1u << t;
			if (c.val != REFUSED)
				add(j, c);
		}
}

/* The call of thread t has returned: it has had its effect. */
static void returned(struct judge *j, unsigned t)
{
	unsigned n = j->n;

	spread(j);
	n    = j->n;
	j->n = 0;
	for (unsigned i = 0; i < n; i++) {
		struct config c = j->configs[i];

		if (!(c.done & 1u << t))
			continue;
		c.done &= ~(1u << t);
		add(j, c);
	}
	j->pending[t] = NULL;
}

static int by_time(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	return x->time < y->time ? -1 : x->time > y->time;
}

static unsigned moments_of(const struct thread *threads, uint32_t key, struct moment *moments)
{
	unsigned n = 0;

	for (unsigned t = 0; t < THREADS; t++)
		for (unsigned i = 0; i < OPS; i++) {
			const struct op *op = &threads[t].ops[i];

			if (op->key != key)
				continue;
			moments[n++] = (struct moment){ op->begin, t, true, op };
			moments[n++] = (struct moment){ op->end, t, false, op };
		}
	qsort(moments, n, sizeof(*moments), by_time);
	return n;
}

static bool linearizable(const struct thread *threads, uint32_t key)
{
	struct moment *moments = calloc(2u * THREADS * OPS, sizeof(*moments));
	struct judge  *j       = calloc(1, sizeof(*j));
	unsigned       n;

	assert_non_null(moments);
	assert_non_null(j);
	n = moments_of(threads, key, moments);
	add(j, (struct config){ ABSENT, 0 });
	for (unsigned i = 0; i < n && j->n; i++) {
		const struct moment *m = &moments[i];

		if (m->begins)
			j->pending[m->thread] = m->op;
		else
			returned(j, m->thread);
		if (!j->n)
			print_error("key %u: call %d of thread %u, value %u%s, from %" PRIu64 " to %" PRIu64 " fits no order\n",
				    key, m->op->kind, m->thread, m->op->val, m->op->refused ? ", refused" : "", m->op->begin,
				    m->op->end);
	}
	n = j->n;
	free(moments);
	free(j);
	return n > 0;
}

/* The judge itself: a read of what was overwritten before it began fits no order; one of what is being written may go either way. */
static void judge_knows(void **state)
{
	struct thread *t = calloc(THREADS, sizeof(*t));

	(void)state;
	assert_non_null(t);
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned k = 0; k < OPS; k++)
			t[i].ops[k].key = KEYS; /* of no key that is judged */
	t[0].ops[0] = (struct op){ .begin = 1, .end = 2, .kind = PUT, .val = 7 };
	t[0].ops[1] = (struct op){ .begin = 3, .end = 6, .kind = PUT, .val = 8 };
	t[1].ops[0] = (struct op){ .begin = 4, .end = 5, .kind = GET, .val = 8 };
	t[2].ops[0] = (struct op){ .begin = 7, .end = 8, .kind = INSERT, .val = 9, .refused = true };
	assert_true(linearizable(t, 0));
	t[1].ops[0].val = 7;
	assert_true(linearizable(t, 0));
	t[1].ops[1] = (struct op){ .begin = 9, .end = 10, .kind = GET, .val = 7 };
	assert_false(linearizable(t, 0));
	t[1].ops[1] = (struct op){ .begin = 9, .end = 10, .kind = UPDATE, .val = 9, .refused = true };
	assert_false(linearizable(t, 0));
	free(t);
}

static void history(void **state)
{
	struct scratch *s	= *state;
	struct thread  *threads = calloc(THREADS, sizeof(*threads));
	struct run	run	= { .seed = test_seed(), .pool = s->pool, .kv = s->kv, .values = 1 };
	pthread_t	other;

	assert_non_null(threads);
	assert_int_equal(pthread_create(&other, NULL, disturber, &run), 0);
	for (unsigned t = 0; t < THREADS; t++) {
		threads[t].run = &run;
		rng_seed(&threads[t].rng, run.seed * 10 + t);
		assert_int_equal(pthread_create(&threads[t].thread, NULL, caller, &threads[t]), 0);
	}
	for (unsigned t = 0; t < THREADS; t++)
		pthread_join(threads[t].thread, NULL);
	run.stop = true;
	pthread_join(other, NULL);
	assert_int_equal(run.failures, 0);
	for (uint32_t key = 0; key < KEYS; key++)
		assert_true(linearizable(threads, key));
	free(threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judge_knows),
		scratch_test(history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
