/* SPDX-License-Identifier: Apache-2.0 */
/* report.c: medians, ratios, and the table. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- medians ---- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of the double at `offset` in each of the results. */
static double median_of(const struct entry *entry, size_t offset)
{
	double values[ROUNDS_MAX] = { 0 };

	for (unsigned i = 0; i < entry->rounds; i++)
		memcpy(&values[i], (const char *)&entry->results[i] + offset, sizeof(double));
	qsort(values, entry->rounds, sizeof(double), by_size);
	return (values[(entry->rounds - 1) / 2] + values[entry->rounds / 2]) / 2;
}

static double spread_of(const struct entry *entry)
{
	double least = INFINITY, most = 0;

	for (unsigned i = 0; i < entry->rounds; i++) {
		least = fmin(least, entry->results[i].rate);
		most  = fmax(most, entry->results[i].rate);
	}
	return entry->median.rate > 0 ? (most - least) / entry->median.rate : 0;
}

/* A round that failed is the entry's answer. The median's longest call and memory are the most of any round. */
void entry_median(struct entry *entry)
{
	static const size_t fields[] = {
		offsetof(struct result, rate),	  offsetof(struct result, first_rate),	 offsetof(struct result, worst_rate),
		offsetof(struct result, p50_us),  offsetof(struct result, p99_us),	 offsetof(struct result, p999_us),
		offsetof(struct result, cpu_us),  offsetof(struct result, write_factor), offsetof(struct result, io_write_factor),
		offsetof(struct result, disk_mib)
	};

	if (entry->rounds == 0) {
		entry->median.answer = ANSWER_FAILED;
		return;
	}
	entry->median = entry->results[0];
	for (unsigned i = 1; i < entry->rounds; i++) {
		const struct result *result = &entry->results[i];

		if (entry->median.answer == ANSWER_OK && result->answer != ANSWER_OK)
			entry->median = *result;
		entry->median.max_us  = fmax(entry->median.max_us, result->max_us);
		entry->median.rss_mib = fmax(entry->median.rss_mib, result->rss_mib);
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		double median = median_of(entry, fields[i]);

		memcpy((char *)&entry->median + fields[i], &median, sizeof(double));
	}
	entry->spread = spread_of(entry);
}

/* ---- ratios ---- */

static double entry_rate(const struct entry *entry)
{
	return entry->median.answer == ANSWER_OK ? entry->median.rate : 0;
}

double line_rate(const struct line *line, const char *engine)
{
	for (unsigned i = 0; i < line->entries; i++)
		if (strcmp(line->entry[i].engine->name, engine) == 0)
			return entry_rate(&line->entry[i]);
	return 0;
}

double line_peer(const struct line *line)
{
	double best = 0;

	for (unsigned i = 0; i < line->entries; i++)
		if (line->entry[i].engine->peer && !line->entry[i].median.unbounded)
			best = fmax(best, entry_rate(&line->entry[i]));
	return best;
}

/* ---- the table ---- */

static const char *number(double x, char *text, size_t room)
{
	if (x >= 1e6)
		snprintf(text, room, "%.2f M", x / 1e6);
	else if (x >= 1e4)
		snprintf(text, room, "%.0f k", x / 1e3);
	else if (x >= 1e3)
		snprintf(text, room, "%.1f k", x / 1e3);
	else
		snprintf(text, room, "%.0f", x);
	return text;
}

static double load_average(void)
{
	double load = 0;

	return getloadavg(&load, 1) == 1 ? load : 0;
}

void report_head(const struct report *report)
{
	for (unsigned i = 0; i < report->engine_count; i++)
		printf("%s: %s\n", report->engines[i]->name, report->engines[i]->version());
	printf("\nA second: records, or scans. Latencies in us, of a call. CPU in us of a record or scan. Written: bytes for "
	       "each byte put, by the\n"
	       "device's counter, and by the kernel's account of the process. Disk and RSS in MiB. Medians; spread is (largest - "
	       "smallest) /\n"
	       "median of the rates. Load average at the start: %.2f.\n\n",
	       load_average());
	printf("%-10s %9s %6s %9s %9s %9s %9s %8s %8s %8s %8s %8s %7s\n", "", "a second", "spread", "p50", "p99", "p99.9", "max",
	       "CPU", "written", "by proc", "disk", "RSS", "ratio");
}

static void print_ratio(const struct line *line, const struct entry *entry)
{
	double peer = line_peer(line), rate = entry_rate(entry);

	if (peer > 0 && !entry->engine->peer)
		printf(" %6.2fx", rate / peer);
	if (line->row.target > 0 && strcmp(entry->engine->name, "tarn") == 0)
		printf("  (target %.1fx)", line->row.target);
	if (entry->median.unbounded)
		printf("  the page cache was not bounded: left out of the ratio");
	if (line->row.settles)
		printf("  at first %.0f, worst second %.0f", entry->median.first_rate, entry->median.worst_rate);
}

static void print_entry(const struct line *line, const struct entry *entry)
{
	const struct result *r = &entry->median;
	char		     rate[32];

	printf("  %-8s", entry->engine->name);
	if (r->answer != ANSWER_OK) {
		printf(" %s: %s\n", r->answer == ANSWER_UNSUPPORTED ? "not supported" : "FAILED", r->message);
		return;
	}
	printf(" %9s %5.0f%% %9.1f %9.1f %9.1f %9.0f %8.2f", number(r->rate, rate, sizeof(rate)), entry->spread * 100, r->p50_us,
	       r->p99_us, r->p999_us, r->max_us, r->cpu_us);
	if (r->write_factor > 0)
		printf(" %8.2f %8.2f", r->write_factor, r->io_write_factor);
	else
		printf(" %8s %8s", "", "");
	printf(" %8.0f %8.0f", r->disk_mib, r->rss_mib);
	print_ratio(line, entry);
	printf("\n");
}

void report_line(const struct line *line)
{
	if (line->row.scale == 'D')
		printf("%s\n", line->row.title);
	else
		printf("%c  %s\n", line->row.scale, line->row.title);
	for (unsigned i = 0; i < line->entries; i++)
		print_entry(line, &line->entry[i]);
	fflush(stdout);
}

static bool any_unbounded(const struct line *line)
{
	bool any = false;

	for (unsigned i = 0; i < line->entries; i++)
		any |= line->entry[i].median.unbounded;
	return any;
}

static void print_summary(const struct line *line)
{
	double tarn = line_rate(line, "tarn"), peer = line_peer(line), floor = line_rate(line, "floor");

	printf("%c  %-48s", line->row.scale, line->row.title);
	if (tarn > 0 && peer > 0)
		printf(" %7.2fx", tarn / peer);
	else
		printf(" %8s", "-");
	if (line->row.target > 0)
		printf(" %7.1fx %-6s", line->row.target,
		       tarn <= 0 || peer <= 0		 ? ""
		       : tarn >= peer * line->row.target ? "yes"
							 : "no");
	else
		printf(" %8s %-6s", "", "");
	if (tarn > 0 && floor > 0)
		printf(" %7.2f", tarn / floor);
	else
		printf(" %7s", "");
	printf("%s\n", any_unbounded(line) ? "  without the peer whose page cache was not bounded" : "");
}

void report_ratios(const struct report *report)
{
	printf("\n%-51s %8s %8s %-6s %7s\n", "Tarn to the better peer", "ratio", "target", "met", "floor");
	for (size_t i = 0; i < report->count; i++)
		if (report->lines[i].row.scale != 'D')
			print_summary(&report->lines[i]);
}
