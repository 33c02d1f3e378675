/* SPDX-License-Identifier: Apache-2.0 */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BURST 64u /* calls that are started or reaped before the phase is looked at again */

uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- which key ---- */

static uint64_t next_record(struct worker *w)
{
	if (w->row->spread == SPREAD_UNIFORM)
		return dice_below(&w->dice, w->records);
	return keys_mix(zipf_rank(&w->stage->zipf, &w->dice)) % w->records; /* the popular ones are anywhere */
}

/* The latest are what this worker has inserted, newest first, and then those that were loaded. */
static void latest_key(struct worker *w, uint8_t *key)
{
	uint64_t rank = zipf_rank(&w->stage->zipf, &w->dice);

	if (rank < w->inserted)
		keys_inserted(key, w->serial + w->inserted - 1 - rank, w->records);
	else
		keys_record(key, keys_mix(rank - w->inserted) % w->records, w->records);
}

static void next_key(struct worker *w, uint8_t *key)
{
	if (w->row->spread == SPREAD_LATEST)
		latest_key(w, key);
	else
		keys_record(key, next_record(w), w->records);
}

/* ---- what is done with it ---- */

/* One call has ended that began at began_ns. */
static void note(struct worker *w, uint64_t began_ns, unsigned done, unsigned put)
{
	w->now_ns = clock_ns();
	if (began_ns < atomic_load_explicit(&w->stage->counted_from, memory_order_relaxed))
		return;
	histogram_add(&w->times, w->now_ns - began_ns);
	atomic_store_explicit(&w->done, atomic_load_explicit(&w->done, memory_order_relaxed) + done, memory_order_relaxed);
	atomic_store_explicit(&w->put, atomic_load_explicit(&w->put, memory_order_relaxed) + put, memory_order_relaxed);
}

static enum answer checked(struct worker *w, enum answer answer, const uint8_t *key, const void *value, size_t len)
{
	if (answer == ANSWER_ABSENT)
		return answer_with(ANSWER_FAILED, "%s: a record is missing", w->engine->name);
	if (answer == ANSWER_OK && !value_fits(value, len, w->row->value_len, key))
		return answer_with(ANSWER_FAILED, "%s: a get gave another record's value", w->engine->name);
	return answer;
}

static enum answer get_key(struct worker *w, const uint8_t *key)
{
	size_t len = w->row->value_len;

	return checked(w, w->engine->get(w->session, key, w->value, &len), key, w->value, len);
}

static enum answer put_key(struct worker *w, const uint8_t *key)
{
	value_fill(w->value, w->row->value_len, key, &w->dice);
	return w->engine->put(w->session, key, w->value);
}

static enum answer scan_from(struct worker *w, uint64_t n, unsigned count)
{
	uint8_t	    key[KEY_LEN];
	size_t	    seen;
	enum answer answer;

	keys_record(key, n, w->records);
	answer = w->engine->scan(w->session, key, count, &seen);
	if (answer == ANSWER_OK && seen < count && n + count <= w->records)
		return answer_with(ANSWER_FAILED, "%s: a scan of %u saw %zu", w->engine->name, count, seen);
	return answer;
}

static enum answer insert_next(struct worker *w)
{
	uint8_t	    key[KEY_LEN];
	enum answer answer;

	keys_inserted(key, w->serial + w->inserted, w->records);
	answer = put_key(w, key);
	w->inserted++;
	return answer;
}

static enum answer modify_key(struct worker *w, const uint8_t *key)
{
	enum answer answer = get_key(w, key);

	return answer == ANSWER_OK ? put_key(w, key) : answer;
}

/* ---- steps: one call, or, of those that are in flight, a few ---- */

static enum answer step_get(struct worker *w)
{
	uint8_t	    key[KEY_LEN];
	enum answer answer;

	next_key(w, key);
	answer = get_key(w, key);
	note(w, w->now_ns, 1, 0);
	return answer;
}

static enum answer step_get_absent(struct worker *w)
{
	uint8_t	    key[KEY_LEN];
	size_t	    len = w->row->value_len;
	enum answer answer;

	keys_absent(key, next_record(w), w->records);
	answer = w->engine->get(w->session, key, w->value, &len);
	note(w, w->now_ns, 1, 0);
	if (answer == ANSWER_OK)
		return answer_with(ANSWER_FAILED, "%s: found what was never put", w->engine->name);
	return answer == ANSWER_ABSENT ? ANSWER_OK : answer;
}

static enum answer step_multi_get(struct worker *w)
{
	unsigned    n = w->row->count;
	enum answer answer;

	for (unsigned i = 0; i < n; i++) {
		next_key(w, w->wants[i].key);
		w->wants[i].len = w->row->value_len;
	}
	answer = w->engine->multi_get(w->session, w->wants, n);
	for (unsigned i = 0; i < n && answer == ANSWER_OK; i++)
		answer = checked(w, w->wants[i].answer, w->wants[i].key, w->wants[i].buf, w->wants[i].len);
	note(w, w->now_ns, n, 0);
	return answer;
}

static enum answer step_scan(struct worker *w)
{
	enum answer answer = scan_from(w, next_record(w), w->row->count);

	note(w, w->now_ns, 1, 0);
	return answer;
}

static enum answer step_put(struct worker *w)
{
	uint8_t	    key[KEY_LEN];
	enum answer answer;

	next_key(w, key);
	answer = put_key(w, key);
	note(w, w->now_ns, 1, 1);
	return answer;
}

/* The records of a batch are far from each other, and no two the same. */
static enum answer step_batch(struct worker *w)
{
	unsigned    n	  = w->row->count;
	uint64_t    first = next_record(w), step = w->records / (n + 1) + 1;
	enum answer answer;

	for (unsigned i = 0; i < n; i++) {
		keys_record(w->recs[i].key, (first + i * step) % w->records, w->records);
		value_fill(w->values + (size_t)i * w->row->value_len, w->row->value_len, w->recs[i].key, &w->dice);
	}
	answer = w->engine->batch(w->session, w->recs, n);
	note(w, w->now_ns, n, n);
	return answer;
}

static enum answer step_ycsb(struct worker *w)
{
	const struct mix *mix	  = &w->row->mix;
	unsigned	  percent = (unsigned)dice_below(&w->dice, 100), put = 1;
	uint8_t		  key[KEY_LEN];
	enum answer	  answer;

	next_key(w, key);
	if (percent < mix->update) {
		answer = put_key(w, key);
	} else if ((percent -= mix->update) < mix->insert) {
		answer = insert_next(w);
	} else if ((percent -= mix->insert) < mix->modify) {
		answer = modify_key(w, key);
	} else {
		put    = 0;
		answer = percent - mix->modify < mix->scan
				 ? scan_from(w, next_record(w), 1 + (unsigned)dice_below(&w->dice, w->row->count))
				 : get_key(w, key);
	}
	note(w, w->now_ns, 1, put);
	return answer;
}

static void call_done(struct worker *w, struct call *call)
{
	bool put = call->val != NULL;

	w->idle[w->idle_count++] = call->index;
	call->answer		 = put ? call->answer : checked(w, call->answer, call->key, call->buf, call->len);
	note(w, call->began_ns, 1, put);
}

static enum answer call_start(struct worker *w, struct call *call)
{
	enum answer answer;

	next_key(w, call->key);
	if (call->val)
		value_fill(w->values + (size_t)call->index * w->row->value_len, w->row->value_len, call->key, &w->dice);
	call->len      = w->row->value_len;
	call->began_ns = w->now_ns;
	answer	       = w->engine->start(w->session, call);
	if (answer == ANSWER_STARTED)
		return ANSWER_OK;
	if (answer == ANSWER_OK) {
		call_done(w, call);
		return call->answer;
	}
	w->idle[w->idle_count++] = call->index;
	return answer;
}

static enum answer reap_some(struct worker *w)
{
	struct call *calls[BURST];
	unsigned     n;
	enum answer  answer = w->engine->reap(w->session, calls, BURST, &n);

	for (unsigned i = 0; i < n; i++) {
		call_done(w, calls[i]);
		if (answer == ANSWER_OK)
			answer = calls[i]->answer;
	}
	return answer;
}

/* Keeps `depth` calls in flight. */
static enum answer step_in_flight(struct worker *w)
{
	enum answer answer = ANSWER_OK;

	for (unsigned i = 0; i < BURST && w->idle_count && answer == ANSWER_OK; i++)
		answer = call_start(w, &w->calls[w->idle[--w->idle_count]]);
	if (answer == ANSWER_OK && w->idle_count == 0)
		answer = reap_some(w);
	return answer;
}

static enum answer (*step_of(const struct row *row, unsigned depth))(struct worker *)
{
	static enum answer (*const steps[])(struct worker *) = {
		[WORK_GET]	  = step_get,
		[WORK_GET_ABSENT] = step_get_absent,
		[WORK_MULTI_GET]  = step_multi_get,
		[WORK_SCAN]	  = step_scan,
		[WORK_PUT]	  = step_put,
		[WORK_BATCH]	  = step_batch,
		[WORK_YCSB]	  = step_ycsb,
	};

	return depth ? step_in_flight : steps[row->work];
}

/* ---- the worker ---- */

static unsigned values_wanted(const struct row *row, unsigned depth)
{
	if (depth)
		return depth;
	return row->work == WORK_BATCH || row->work == WORK_MULTI_GET ? row->count : 0;
}

static enum answer worker_alloc(struct worker *w, unsigned values)
{
	size_t len = w->row->value_len;

	w->value  = malloc(len);
	w->values = aligned_alloc(4096, ((values + 1) * len + 4095) / 4096 * 4096);
	w->recs	  = calloc(values + 1, sizeof(*w->recs));
	w->wants  = calloc(values + 1, sizeof(*w->wants));
	w->calls  = calloc(values + 1, sizeof(*w->calls));
	if (!w->value || !w->values || !w->recs || !w->wants || !w->calls)
		return answer_with(ANSWER_FAILED, "no memory for a worker");
	for (unsigned i = 0; i < values; i++) {
		uint8_t *value = w->values + i * len;

		w->recs[i].val	= value;
		w->wants[i].buf = value;
		w->calls[i]	= (struct call){ .index = i, .buf = value, .val = w->row->work == WORK_PUT ? value : NULL };
		w->idle[i]	= i;
	}
	return ANSWER_OK;
}

enum answer worker_init(struct worker *w, struct stage *stage, void *db, unsigned index)
{
	const struct cell *cell	  = stage->cell;
	unsigned	   values = values_wanted(cell->row, cell->depth);
	enum answer	   answer;

	w->stage      = stage;
	w->row	      = cell->row;
	w->engine     = cell->engine;
	w->records    = cell->setup.records;
	w->step	      = step_of(cell->row, cell->depth);
	w->serial     = cell->serial << 42 | (uint64_t)index << 36;
	w->dice.state = keys_mix(cell->serial * THREADS_MAX + index);
	w->idle_count = cell->depth;
	answer	      = worker_alloc(w, values);
	return answer == ANSWER_OK ? cell->engine->session_open(db, &w->session) : answer;
}

void worker_free(struct worker *w)
{
	if (w->session)
		w->engine->session_close(w->session);
	free(w->value);
	free(w->values);
	free(w->recs);
	free(w->wants);
	free(w->calls);
}

static void wait_out_pause(struct worker *w)
{
	const struct timespec moment = { 0, 200000 };

	atomic_fetch_add(&w->stage->paused, 1);
	while (atomic_load(&w->stage->phase) == PHASE_PAUSE)
		nanosleep(&moment, NULL);
	w->now_ns = clock_ns();
}

/* What is in flight has borrowed the worker's memory: all of it comes back, also after a failure. */
static void drain(struct worker *w)
{
	struct call *calls[BURST];
	unsigned     n = 1;

	while (n && w->idle_count < w->stage->cell->depth) {
		w->engine->reap(w->session, calls, BURST, &n);
		w->idle_count += n;
	}
}

void *worker_run(void *arg)
{
	struct worker *w = arg;
	int	       phase;

	w->now_ns = clock_ns();
	while (w->answer == ANSWER_OK && (phase = atomic_load_explicit(&w->stage->phase, memory_order_relaxed)) != PHASE_STOP) {
		if (phase == PHASE_PAUSE)
			wait_out_pause(w);
		else
			w->answer = w->step(w);
	}
	if (w->answer != ANSWER_OK) {
		snprintf(w->message, sizeof(w->message), "%s", answer_message());
		atomic_store(&w->stage->failed, true);
	}
	drain(w);
	return NULL;
}
