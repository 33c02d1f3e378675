/* SPDX-License-Identifier: Apache-2.0 */
/* bench: Tarn beside RocksDB and LMDB. docs/benchmarks.md says what is measured, and how. */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: bench [options]\n"
	"  -s SCALES    S (2 M records, ample cache), L (20 M records, 256 MiB), or SL; S when not given\n"
	"  -w ROWS      names or patterns, with commas: 'get-*,over-1'; all when not given\n"
	"  -e ENGINES   of tarn, rocksdb, lmdb, floor; all when not given\n"
	"  -c MIB       of memory at scale L, 16 to 65536; 256\n"
	"  -n RECORDS   in the data set of 100-byte values; other data sets have as many bytes\n"
	"  -t SECONDS   for each cell; S 3, L 7\n"
	"  -T SECONDS   for the rows that run until settled; 75\n"
	"  -r ROUNDS    1 to 15; S 3, L 2\n"
	"  -d DIR       where data goes; build/bench\n"
	"  -g CGROUP    a memory cgroup (its directory) in which cells of LMDB at scale L get one of 512 MiB\n"
	"  -p FILE      plot the ratios as SVG\n"
	"  -o FORMAT    table or json\n"
	"  -j THREADS   1 to 64, -v BYTES of a value (8 to 65536), -z uniform or zipf: instead of the rows' own\n"
	"  -l           list the rows that the other options choose\n";

static void refuse(const char *what, const char *found)
{
	fprintf(stderr, "bench: %s: %s\n%s", what, found, usage);
	exit(2);
}

static double number(const char *text, const char *what, double least, double most)
{
	char  *end;
	double value = strtod(text, &end);

	if (*end || end == text || !(value >= least && value <= most))
		refuse(what, text);
	return value;
}

static int spread_named(const char *name)
{
	if (strcmp(name, "uniform") == 0)
		return SPREAD_UNIFORM;
	if (strcmp(name, "zipf") != 0)
		refuse("-z is uniform or zipf, found", name);
	return SPREAD_ZIPF;
}

static bool json_asked(const char *format)
{
	if (strcmp(format, "table") != 0 && strcmp(format, "json") != 0)
		refuse("-o is table or json, found", format);
	return strcmp(format, "json") == 0;
}

static const char *scales_named(const char *scales)
{
	if (!*scales || strspn(scales, "SL") != strlen(scales))
		refuse("-s is S, L or SL, found", scales);
	return scales;
}

/* Options that take a number. */
static bool take_number(struct options *options, int option, const char *text)
{
	switch (option) {
	case 'n':
		options->records = (uint64_t)number(text, "records, from 10000 to 1e9", 1e4, 1e9);
		return true;
	case 'c':
		options->cache_mib = (uint64_t)number(text, "MiB of memory, 16 to 65536", 16, 65536);
		return true;
	case 't':
		options->seconds = number(text, "seconds, from 0.1", 0.1, 1e5);
		return true;
	case 'T':
		options->settle_seconds = number(text, "seconds, from 0.1", 0.1, 1e5);
		return true;
	case 'r':
		options->rounds = (unsigned)number(text, "rounds, 1 to 15", 1, ROUNDS_MAX);
		return true;
	case 'j':
		options->threads = (unsigned)number(text, "threads, 1 to 64", 1, THREADS_MAX);
		return true;
	case 'v':
		options->value_len = (uint32_t)number(text, "bytes of a value, 8 to 65536", 8, 65536);
		return true;
	default:
		return false;
	}
}

static void take(struct options *options, int option, const char *text)
{
	if (take_number(options, option, text))
		return;
	switch (option) {
	case 's':
		options->scales = scales_named(text);
		break;
	case 'w':
		options->names = text;
		break;
	case 'e':
		options->engines = text;
		break;
	case 'd':
		options->dir = text;
		break;
	case 'g':
		options->cgroup = text;
		break;
	case 'p':
		options->plot = text;
		break;
	case 'o':
		options->json = json_asked(text);
		break;
	case 'z':
		options->spread = spread_named(text);
		break;
	case 'l':
		options->list = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .scales = "S", .dir = "build/bench", .cache_mib = 256, .settle_seconds = 75, .spread = -1 };
	int	       option;

	while ((option = getopt(argc, argv, "s:w:e:c:n:t:T:r:d:g:p:o:j:v:z:lh")) != -1)
		take(&options, option, optarg);
	if (optind < argc)
		refuse("an argument without an option", argv[optind]);
	return run(&options) ? 0 : 1;
}
