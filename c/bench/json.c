/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: everything that was measured, for programs. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

static void put_string(const char *name, const char *text)
{
	printf("\"%s\": \"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar((unsigned char)*text < ' ' ? ' ' : *text);
	}
	putchar('"');
}

/* JSON knows no infinity: what is not a number is null. */
static void put_number(const char *name, double number)
{
	if (isfinite(number))
		printf(", \"%s\": %.6g", name, number);
	else
		printf(", \"%s\": null", name);
}

static void put_list(const char *name, const double *numbers, unsigned n)
{
	printf(", \"%s\": [", name);
	for (unsigned i = 0; i < n; i++)
		printf("%s%.6g", i ? ", " : "", numbers[i]);
	printf("]");
}

static void put_figures(const struct line *line, const struct entry *entry)
{
	const struct result *r		       = &entry->median;
	double		     rates[ROUNDS_MAX] = { 0 };

	for (unsigned i = 0; i < entry->rounds; i++)
		rates[i] = entry->results[i].rate;
	put_number("rate", r->rate);
	put_list("rates", rates, entry->rounds);
	put_number("spread", entry->spread);
	put_number("p50_us", r->p50_us);
	put_number("p99_us", r->p99_us);
	put_number("p999_us", r->p999_us);
	put_number("max_us", r->max_us);
	put_number("cpu_us", r->cpu_us);
	put_number("written_per_byte_put", r->write_factor);
	put_number("written_per_byte_put_by_process", r->io_write_factor);
	put_number("disk_mib", r->disk_mib);
	put_number("rss_mib", r->rss_mib);
	if (line->row.settles) {
		put_number("first_rate", r->first_rate);
		put_number("worst_rate", r->worst_rate);
		put_list("rate_over_time", r->bins, BINS);
	}
	if (r->unbounded)
		printf(", \"page_cache_bounded\": false");
}

static void put_entry(const struct line *line, const struct entry *entry)
{
	static const char *const answers[] = { [ANSWER_FAILED + 2]	= "failed",
					       [ANSWER_UNSUPPORTED + 2] = "not supported",
					       [ANSWER_OK + 2]		= "ok" };
	const struct result	*r	   = &entry->median;

	printf("{");
	put_string("engine", entry->engine->name);
	printf(", ");
	put_string("answer", answers[r->answer + 2]);
	if (r->answer == ANSWER_OK) {
		put_figures(line, entry);
	} else {
		printf(", ");
		put_string("message", r->message);
	}
	printf("}");
}

static void put_line(const struct line *line)
{
	double peer = line_peer(line), tarn = line_rate(line, "tarn"), floor = line_rate(line, "floor");

	printf("  {\"scale\": \"%c\", ", line->row.scale);
	put_string("row", line->row.name);
	printf(", ");
	put_string("title", line->row.title);
	printf(", \"threads\": %u, \"depth\": %u, \"value_bytes\": %u, \"durable\": %s", line->row.threads, line->row.depth,
	       line->row.value_len, line->row.durable ? "true" : "false");
	put_number("target", line->row.target > 0 ? line->row.target : INFINITY);
	put_number("ratio", tarn > 0 && peer > 0 ? tarn / peer : INFINITY);
	put_number("floor_ratio", tarn > 0 && floor > 0 ? tarn / floor : INFINITY);
	printf(", \"engines\": [");
	for (unsigned i = 0; i < line->entries; i++) {
		printf("%s\n    ", i ? "," : "");
		put_entry(line, &line->entry[i]);
	}
	printf("]}");
}

static void put_machine(const struct report *report)
{
	struct utsname os;
	double	       load = 0;

	uname(&os);
	getloadavg(&load, 1);
	printf("\"machine\": {\"cpus\": %ld, \"load_average_at_end\": %.2f, ", sysconf(_SC_NPROCESSORS_ONLN), load);
	put_string("kernel", os.release);
	printf(", ");
	put_string("architecture", os.machine);
	printf(", ");
	put_string("directory", report->options->dir);
	printf("},\n \"versions\": {");
	for (unsigned i = 0; i < report->engine_count; i++) {
		printf("%s", i ? ", " : "");
		put_string(report->engines[i]->name, report->engines[i]->version());
	}
	printf("}");
}

void report_json(const struct report *report)
{
	printf("{");
	put_machine(report);
	printf(",\n \"rows\": [\n");
	for (size_t i = 0; i < report->count; i++) {
		printf("%s", i ? ",\n" : "");
		put_line(&report->lines[i]);
	}
	printf("\n ]}\n");
}
