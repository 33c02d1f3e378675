/* SPDX-License-Identifier: Apache-2.0 */
/* cell.c: one row on one engine, once: open, warm up, pause and flush, measure, stop, add up. */
#include "meters.h"
#include "work.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOAD_BYTES (MIB)     /* at most, in one load() */
#define SCAN_STEP  COUNT_MAX /* records */

struct bout { /* the cell while it runs */
	const struct cell *cell;
	struct result	  *result;
	void		  *db;
	struct stage	   stage;
	struct worker	  *workers;
	unsigned	   started;
	struct meters	   began, ended;
	uint64_t	   counts[BINS + 1]; /* records that counted, at the edges of the bins */
};

static void keep_answer(struct result *result, enum answer answer)
{
	result->answer = answer;
	if (answer != ANSWER_OK)
		snprintf(result->message, sizeof(result->message), "%s", answer_message());
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static bool sleep_for(struct bout *b, double seconds)
{
	uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9);

	while (clock_ns() < end && !atomic_load(&b->stage.failed))
		sleep_until(clock_ns() + 50000000 < end ? clock_ns() + 50000000 : end);
	return !atomic_load(&b->stage.failed);
}

/* ---- before ---- */

#define GROWTH 4u /* of the data set by what rows before this one inserted, at most */

/* Where all data fits, all of it is in the cache before anything is measured. */
static enum answer read_all(struct bout *b)
{
	const struct engine *engine  = b->cell->engine;
	uint64_t	     records = b->cell->setup.records;
	enum answer	     answer;
	void		    *session;
	size_t		     seen;
	uint8_t		     key[KEY_LEN];

	if (b->cell->setup.bounded)
		return ANSWER_OK;
	answer = engine->session_open(b->db, &session);
	if (answer != ANSWER_OK)
		return answer;
	for (uint64_t n = 0; n < records && answer == ANSWER_OK; n += SCAN_STEP / GROWTH) {
		keys_record(key, n, records);
		answer = engine->scan(session, key, SCAN_STEP, &seen);
	}
	engine->session_close(session);
	return answer;
}

static enum answer start_workers(struct bout *b)
{
	enum answer answer = ANSWER_OK;

	b->stage.cell = b->cell;
	atomic_store(&b->stage.counted_from, UINT64_MAX);
	if (b->cell->row->spread != SPREAD_UNIFORM)
		zipf_init(&b->stage.zipf, b->cell->setup.records);
	b->workers = calloc(b->cell->threads, sizeof(*b->workers));
	if (!b->workers)
		return answer_with(ANSWER_FAILED, "no memory for workers");
	for (unsigned i = 0; i < b->cell->threads && answer == ANSWER_OK; i++)
		answer = worker_init(&b->workers[i], &b->stage, b->db, i);
	for (; b->started < b->cell->threads && answer == ANSWER_OK; b->started++)
		if (pthread_create(&b->workers[b->started].thread, NULL, worker_run, &b->workers[b->started]))
			return answer_with(ANSWER_FAILED, "no thread for a worker");
	return answer;
}

/* ---- the measurement ---- */

static uint64_t sum_done(struct bout *b)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < b->started; i++)
		done += atomic_load_explicit(&b->workers[i].done, memory_order_relaxed);
	return done;
}

/* What was written so far is on the device, and in its counter. */
static enum answer flush(struct bout *b)
{
	enum answer answer = b->cell->engine->sync(b->db);

	if (answer == ANSWER_OK)
		flush_filesystem(b->cell->setup.dir);
	return answer;
}

static enum answer pause_and_flush(struct bout *b)
{
	atomic_store(&b->stage.phase, PHASE_PAUSE);
	while (atomic_load(&b->stage.paused) < b->started && !atomic_load(&b->stage.failed))
		sleep_until(clock_ns() + 200000);
	return flush(b);
}

static void count_bins(struct bout *b)
{
	uint64_t bin = (uint64_t)(b->cell->seconds * 1e9 / BINS);

	for (unsigned i = 1; i <= BINS && !atomic_load(&b->stage.failed); i++) {
		sleep_until(b->began.ns + i * bin);
		b->counts[i] = sum_done(b);
	}
}

static enum answer measure(struct bout *b)
{
	enum answer answer;

	if (!sleep_for(b, b->cell->warm))
		return ANSWER_OK; /* the worker's answer is the cell's */
	answer = pause_and_flush(b);
	meters_read(&b->began, b->cell->setup.dir);
	atomic_store(&b->stage.counted_from, b->began.ns);
	atomic_store(&b->stage.phase, PHASE_WORK);
	if (answer != ANSWER_OK)
		return answer;
	count_bins(b);
	meters_read(&b->ended, b->cell->setup.dir);
	return ANSWER_OK;
}

static enum answer stop_workers(struct bout *b)
{
	enum answer answer = ANSWER_OK;

	atomic_store(&b->stage.phase, PHASE_STOP);
	for (unsigned i = 0; i < b->started; i++) {
		struct worker *worker = &b->workers[i];

		pthread_join(worker->thread, NULL);
		if (worker->answer != ANSWER_OK && answer == ANSWER_OK)
			answer = answer_with(worker->answer, "%s", worker->message);
	}
	return answer;
}

/* ---- the figures ---- */

static void add_times(struct bout *b)
{
	struct histogram *all = &b->workers[0].times;

	for (unsigned i = 1; i < b->started; i++)
		histogram_merge(all, &b->workers[i].times);
	result_times(b->result, all);
}

static void add_rates(struct bout *b)
{
	struct result *result = b->result;
	double	       bin    = b->cell->seconds / BINS;
	unsigned       half   = BINS / 2;

	for (unsigned i = 0; i < BINS; i++)
		result->bins[i] = (double)(b->counts[i + 1] - b->counts[i]) / bin;
	result->rate	   = (double)b->counts[BINS] / ((double)(b->ended.ns - b->began.ns) / 1e9);
	result->first_rate = (double)b->counts[BINS / 10] / (bin * (BINS / 10.0));
	result->worst_rate = INFINITY;
	for (unsigned i = half; i < BINS; i++)
		result->worst_rate = fmin(result->worst_rate, result->bins[i]);
	if (b->cell->row->settles)
		result->rate = (double)(b->counts[BINS] - b->counts[half]) / (bin * half);
}

static void add_writes(struct bout *b, uint64_t put, struct meters *end)
{
	double bytes = (double)put * (KEY_LEN + b->cell->setup.value_len);

	if (put == 0)
		return;
	b->result->write_factor	   = (double)(end->device_bytes - b->began.device_bytes) / bytes;
	b->result->io_write_factor = (double)(end->process_bytes - b->began.process_bytes) / bytes;
}

static enum answer add_sizes(struct bout *b)
{
	uint64_t    disk   = 0;
	enum answer answer = b->cell->engine->disk_bytes(b->db, &disk);

	b->result->disk_mib = (double)disk / (double)MIB;
	b->result->rss_mib  = peak_rss_mib();
	return answer;
}

static enum answer add_up(struct bout *b)
{
	struct meters end;
	uint64_t      put    = 0;
	enum answer   answer = flush(b);

	for (unsigned i = 0; i < b->started; i++)
		put += atomic_load(&b->workers[i].put);
	meters_read(&end, b->cell->setup.dir);
	add_writes(b, put, &end);
	add_rates(b);
	add_times(b);
	b->result->cpu_us = (double)(b->ended.cpu_ns - b->began.cpu_ns) / 1e3 / (double)(b->counts[BINS] ? b->counts[BINS] : 1);
	return answer == ANSWER_OK ? add_sizes(b) : answer;
}

/* ---- the cell ---- */

static enum answer run_opened(struct bout *b)
{
	enum answer answer = read_all(b), stopped;

	if (answer == ANSWER_OK)
		answer = start_workers(b);
	if (answer == ANSWER_OK)
		answer = measure(b);
	stopped = stop_workers(b);
	if (stopped != ANSWER_OK)
		answer = stopped;
	if (answer == ANSWER_OK)
		answer = add_up(b);
	return answer;
}

static enum answer close_after(struct bout *b, enum answer answer)
{
	enum answer closed;

	for (unsigned i = 0; b->workers && i < b->cell->threads; i++)
		if (b->workers[i].stage)
			worker_free(&b->workers[i]);
	free(b->workers);
	if (answer != ANSWER_OK) {
		keep_answer(b->result, answer);
		b->cell->engine->close(b->db);
		return answer;
	}
	closed = b->cell->engine->close(b->db);
	keep_answer(b->result, closed);
	return closed;
}

static enum answer bout_open(struct bout *b, const struct cell *cell, struct result *result)
{
	enum answer answer = cell->cgroup ? cgroup_join(cell->cgroup) : ANSWER_OK;

	*b = (struct bout){ .cell = cell, .result = result };
	values_init();
	if (answer == ANSWER_OK)
		answer = cell->engine->open(&cell->setup, &b->db);
	keep_answer(result, answer);
	return answer;
}

void cell_run(const struct cell *cell, struct result *result)
{
	static struct bout b;

	if (bout_open(&b, cell, result) == ANSWER_OK)
		close_after(&b, run_opened(&b));
}

/* ---- loading ---- */

struct load {
	struct dice	 dice;
	struct record	*recs;
	uint8_t		*values;
	struct histogram times;
};

static enum answer load_some(struct bout *b, struct load *load, uint64_t first, uint64_t n)
{
	const struct setup *setup     = &b->cell->setup;
	bool		    ascending = setup->bounded;
	uint64_t	    began     = clock_ns();
	enum answer	    answer;

	for (uint64_t i = 0; i < n; i++) {
		uint8_t *value = load->values + i * setup->value_len;

		keys_record(load->recs[i].key, ascending ? first + i : keys_shuffled(first + i, setup->records), setup->records);
		value_fill(value, setup->value_len, load->recs[i].key, &load->dice);
		load->recs[i].val = value;
	}
	answer = b->cell->engine->load(b->db, load->recs, n, ascending);
	histogram_add(&load->times, clock_ns() - began);
	return answer;
}

static enum answer load_all(struct bout *b, struct load *load)
{
	const struct setup *setup  = &b->cell->setup;
	uint64_t	    batch  = LOAD_BYTES / (KEY_LEN + setup->value_len);
	enum answer	    answer = ANSWER_OK;

	batch	     = batch < COUNT_MAX ? batch : COUNT_MAX;
	load->recs   = calloc(batch, sizeof(*load->recs));
	load->values = malloc(batch * setup->value_len);
	if (!load->recs || !load->values)
		return answer_with(ANSWER_FAILED, "no memory to load from");
	for (uint64_t n = 0; n < setup->records && answer == ANSWER_OK; n += batch)
		answer = load_some(b, load, n, setup->records - n < batch ? setup->records - n : batch);
	return answer == ANSWER_OK ? flush(b) : answer;
}

static enum answer load_figures(struct bout *b, const struct load *load)
{
	double records = (double)b->cell->setup.records;

	b->result->rate	  = records / ((double)(b->ended.ns - b->began.ns) / 1e9);
	b->result->cpu_us = (double)(b->ended.cpu_ns - b->began.cpu_ns) / 1e3 / records;
	add_writes(b, b->cell->setup.records, &b->ended);
	result_times(b->result, &load->times);
	return add_sizes(b);
}

/* The time is until all of it is on the device. What the engine then does to settle is not in it, but in disk and memory. */
void cell_load(const struct cell *cell, struct result *result)
{
	static struct bout b;
	static struct load load;
	enum answer	   answer;

	if (bout_open(&b, cell, result) != ANSWER_OK)
		return;
	load.dice.state = 7;
	meters_read(&b.began, cell->setup.dir);
	answer = load_all(&b, &load);
	meters_read(&b.ended, cell->setup.dir);
	if (answer == ANSWER_OK)
		answer = cell->engine->settle(b.db);
	if (answer == ANSWER_OK)
		answer = load_figures(&b, &load);
	free(load.recs);
	free(load.values);
	close_after(&b, answer);
}
