/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: the process that starts cells, one at a time: for each data set, for each row of it, for each round, for each engine. */
#include "meters.h"

#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORDS_S	UINT64_C(2000000)
#define RECORDS_L	UINT64_C(20000000)
#define CACHE_S		(2048 * MIB)
#define CGROUP_LIMIT	(512 * MIB)
#define RECORD_BYTES	UINT64_C(116) /* of the data sets that give the scales their names; others have as many bytes */
#define LIMIT_SECONDS	1200	      /* of a cell beyond the time it was given: then it hangs */
#define DEFAULT_SECONDS 3
#define LARGE_SECONDS	7

static const struct engine *const all_engines[ENGINES_MAX] = { &engine_tarn, &engine_rocksdb, &engine_lmdb, &engine_floor };

/* The device is measured by itself; this only gives its cells a name. */
static const struct engine engine_device = { .name = "device" };

struct run {
	const struct options *options;
	struct report	      report;
	struct result	     *shared; /* with the cell that runs */
	uint64_t	      serial;
	char loaded[512]; /* the data set that is there: the path of its directories but for the engine; "": none */
	bool load_failed[ENGINES_MAX];
	bool failed;
};

/* ---- choices ---- */

/* Is text one of the comma-separated patterns? NULL: of course. */
static bool chosen(const char *patterns, const char *text)
{
	char copy[256], *state = NULL;
	bool found = !patterns;

	snprintf(copy, sizeof(copy), "%s", patterns ? patterns : "");
	for (char *one = strtok_r(copy, ",", &state); one && !found; one = strtok_r(NULL, ",", &state))
		found = fnmatch(one, text, 0) == 0;
	return found;
}

static struct row row_as_run(const struct options *options, const struct row *row)
{
	struct row as = *row;

	if (as.work == WORK_DEVICE)
		return as;
	if (options->threads)
		as.threads = options->threads;
	if (options->value_len)
		as.value_len = options->value_len;
	if (options->spread >= 0 && as.spread != SPREAD_LATEST)
		as.spread = (enum spread)options->spread;
	return as;
}

static uint64_t records_of(const struct options *options, const struct row *row)
{
	uint64_t records = row->scale == 'L' ? RECORDS_L : RECORDS_S, fit;

	if (options->records)
		records = options->records;
	fit = records * RECORD_BYTES / (KEY_LEN + row->value_len);
	return fit < records ? fit : records;
}

static double seconds_of(const struct options *options, const struct row *row)
{
	double usual = options->seconds > 0 ? options->seconds : row->scale == 'L' ? LARGE_SECONDS : DEFAULT_SECONDS;

	return row->settles ? options->settle_seconds : usual;
}

static unsigned rounds_of(const struct options *options, const struct row *row)
{
	if (row->work == WORK_LOAD || row->settles)
		return 1;
	if (options->rounds)
		return options->rounds;
	return row->scale == 'L' ? 2 : 3;
}

static bool row_writes(const struct row *row)
{
	return row->work == WORK_PUT || row->work == WORK_BATCH || row->mix.update || row->mix.insert || row->mix.modify;
}

/* ---- directories ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* DIR/S-100-tarn and its like: the names of data sets hold all that tells them apart. */
static void set_path(char *path, size_t room, const struct run *run, const struct row *row)
{
	snprintf(path, room, "%s/%c-%u", run->options->dir, row->scale, row->value_len);
}

static void engine_path(char *path, size_t room, const struct run *run, const struct row *row, const struct engine *engine)
{
	int len = snprintf(path, room, "%s/%c-%u-%s", run->options->dir, row->scale, row->value_len, engine->name);

	if (len < 0 || (size_t)len >= room)
		path[0] = 0;
}

static void remove_set(struct run *run)
{
	char path[600];

	for (unsigned i = 0; i < run->report.engine_count && run->loaded[0]; i++) {
		snprintf(path, sizeof(path), "%s-%s", run->loaded, run->report.engines[i]->name);
		remove_tree(path);
	}
	run->loaded[0] = 0;
}

/* ---- cells ---- */

static void in_child(const struct cell *cell, struct result *result)
{
	alarm((unsigned)cell->seconds + LIMIT_SECONDS);
	if (cell->row->work == WORK_DEVICE)
		cell_device(cell, result);
	else if (cell->setup.loading)
		cell_load(cell, result);
	else
		cell_run(cell, result);
	_exit(0);
}

static void died(struct result *result, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	result->answer = ANSWER_FAILED;
	if (WIFSIGNALED(status))
		snprintf(result->message, sizeof(result->message), "the cell was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(result->message, sizeof(result->message), "the cell ended with status %d", WEXITSTATUS(status));
}

static void fork_cell(struct run *run, const struct cell *cell, struct result *result)
{
	pid_t child;
	int   status = 0;

	memset(run->shared, 0, sizeof(*run->shared));
	run->shared->answer = ANSWER_FAILED;
	fflush(NULL);
	child = fork();
	if (child == 0)
		in_child(cell, run->shared);
	if (child < 0)
		snprintf(run->shared->message, sizeof(run->shared->message), "fork: %s", strerror(errno));
	else if (waitpid(child, &status, 0) == child)
		died(run->shared, status);
	*result = *run->shared;
}

/* An engine that relies on the page cache must not have more of it than the budget allows, which takes a cgroup. */
static void run_cell(struct run *run, struct cell *cell, struct result *result)
{
	const struct engine *engine = cell->engine;
	bool		     limit  = engine->page_cache && cell->setup.bounded && !cell->setup.loading;
	char		     cgroup[512];
	enum answer	     answer = ANSWER_OK;

	if (limit)
		forget_files(cell->setup.dir);
	if (limit && run->options->cgroup) {
		answer	     = cgroup_make(run->options->cgroup, CGROUP_LIMIT, cgroup, sizeof(cgroup));
		cell->cgroup = answer == ANSWER_OK ? cgroup : NULL;
	}
	fork_cell(run, cell, result);
	if (cell->cgroup)
		cgroup_remove(cgroup);
	result->unbounded = limit && !cell->cgroup;
	if (answer != ANSWER_OK)
		fprintf(stderr, "bench: no memory cgroup: %s\n", answer_message());
}

static struct cell cell_of(struct run *run, const struct row *row, const struct engine *engine, const char *dir)
{
	const struct options *options = run->options;
	bool		      deep    = row->depth && engine->async;

	return (struct cell){
		.engine	 = engine,
		.row	 = row,
		.setup	 = { .dir	  = dir,
			     .records	  = records_of(options, row),
			     .value_len	  = row->value_len,
			     .cache_bytes = row->scale == 'L' ? options->cache_mib * MIB : CACHE_S,
			     .bounded	  = row->scale == 'L',
			     .relaxed	  = row_writes(row) && !row->durable },
		.seconds = seconds_of(options, row),
		.warm	 = row->settles	       ? 0.3
			   : row->scale == 'L' ? seconds_of(options, row) / 2
					       : seconds_of(options, row),
		.threads = deep ? 1 : row->threads,
		.depth	 = deep ? row->depth : 0,
		.serial	 = ++run->serial,
	};
}

static void complain(struct run *run, const struct row *row, const struct engine *engine, const struct result *result)
{
	if (result->answer != ANSWER_FAILED)
		return;
	run->failed = true;
	fprintf(stderr, "bench: %c %s on %s: %s\n", row->scale, row->name, engine->name, result->message);
}

/* ---- data sets ---- */

static void load_engine(struct run *run, const struct row *row, unsigned i, struct entry *entry)
{
	const struct engine *engine = run->report.engines[i];
	char		     dir[512];
	struct cell	     cell;

	engine_path(dir, sizeof(dir), run, row, engine);
	remove_tree(dir);
	if (mkdir(dir, 0700) && errno != EEXIST)
		fprintf(stderr, "bench: %s: %s\n", dir, strerror(errno));
	cell		   = cell_of(run, row, engine, dir);
	cell.setup.loading = true;
	entry->engine	   = engine;
	entry->rounds	   = 1;
	run_cell(run, &cell, &entry->results[0]);
	entry_median(entry);
	complain(run, row, engine, &entry->results[0]);
}

/* The data set of a row is there. What loading it took is in *line. */
static void load_set(struct run *run, const struct row *row, struct line *line)
{
	char path[512];

	set_path(path, sizeof(path), run, row);
	if (strcmp(path, run->loaded) == 0)
		return;
	remove_set(run);
	snprintf(run->loaded, sizeof(run->loaded), "%s", path);
	for (unsigned i = 0; i < run->report.engine_count; i++)
		load_engine(run, row, i, &line->entry[i]);
	line->entries = run->report.engine_count;
}

/* ---- rows ---- */

static void run_round(struct run *run, struct line *line, unsigned round)
{
	unsigned n = run->report.engine_count;

	for (unsigned k = 0; k < n; k++) {
		unsigned       i      = (round + k) % n; /* another one is first in each round */
		struct entry  *entry  = &line->entry[i];
		struct result *result = &entry->results[entry->rounds];
		char	       dir[512];
		struct cell    cell;

		engine_path(dir, sizeof(dir), run, &line->row, run->report.engines[i]);
		cell = cell_of(run, &line->row, entry->engine, dir);
		run_cell(run, &cell, result);
		complain(run, &line->row, entry->engine, result);
		entry->rounds++;
	}
}

static void run_row(struct run *run, struct line *line)
{
	static struct line loading; /* of a data set whose load is not asked for */

	load_set(run, &line->row, line->row.work == WORK_LOAD ? line : &loading);
	if (line->row.work == WORK_LOAD)
		return;
	line->entries = run->report.engine_count;
	for (unsigned i = 0; i < line->entries; i++)
		line->entry[i].engine = run->report.engines[i];
	for (unsigned round = 0; round < rounds_of(run->options, &line->row); round++)
		run_round(run, line, round);
	for (unsigned i = 0; i < line->entries; i++)
		entry_median(&line->entry[i]);
}

static void run_device(struct run *run, struct line *line)
{
	struct entry *entry = &line->entry[0];

	line->entries = 1;
	entry->engine = &engine_device;
	for (; entry->rounds < rounds_of(run->options, &line->row); entry->rounds++) {
		struct cell cell = cell_of(run, &line->row, &engine_device, run->options->dir);

		fork_cell(run, &cell, &entry->results[entry->rounds]);
		complain(run, &line->row, &engine_device, &entry->results[entry->rounds]);
	}
	entry_median(entry);
}

/* ---- all of it ---- */

static bool row_chosen(const struct options *options, const struct row *row)
{
	bool scale = row->scale == 'D' || strchr(options->scales, row->scale);

	return scale && chosen(options->names, row->name);
}

static void list_rows(const struct options *options)
{
	for (size_t i = 0; i < row_count; i++)
		if (row_chosen(options, &rows[i]))
			printf("%c %-14s %s\n", rows[i].scale, rows[i].name, rows[i].title);
}

static void run_rows(struct run *run)
{
	struct report *report = &run->report;

	if (!run->options->json)
		report_head(report);
	for (size_t i = 0; i < row_count; i++) {
		struct line *line = &report->lines[report->count];

		if (!row_chosen(run->options, &rows[i]))
			continue;
		line->row = row_as_run(run->options, &rows[i]);
		report->count++;
		if (line->row.work == WORK_DEVICE)
			run_device(run, line);
		else
			run_row(run, line);
		if (!run->options->json)
			report_line(line);
	}
}

static void finish(struct run *run)
{
	char path[512];

	remove_set(run);
	snprintf(path, sizeof(path), "%s/device.data", run->options->dir);
	unlink(path);
	if (run->options->json)
		report_json(&run->report);
	else
		report_ratios(&run->report);
	if (run->options->plot && !report_plot(&run->report, run->options->plot)) {
		fprintf(stderr, "bench: %s: %s\n", run->options->plot, strerror(errno));
		run->failed = true;
	}
}

bool run(const struct options *options)
{
	struct run run = { .options = options, .report = { .options = options } };

	if (options->list) {
		list_rows(options);
		return true;
	}
	for (unsigned i = 0; i < ENGINES_MAX; i++)
		if (chosen(options->engines, all_engines[i]->name))
			run.report.engines[run.report.engine_count++] = all_engines[i];
	run.shared	 = mmap(NULL, sizeof(*run.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	run.report.lines = calloc(row_count, sizeof(*run.report.lines));
	if (run.shared != MAP_FAILED && run.report.lines && (mkdir(options->dir, 0700) == 0 || errno == EEXIST)) {
		run_rows(&run);
		finish(&run);
	} else {
		fprintf(stderr, "bench: %s: %s\n", options->dir, strerror(errno));
		run.failed = true;
	}
	free(run.report.lines);
	return !run.failed;
}
