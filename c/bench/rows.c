/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c: what is measured. Rows of one data set (scale and size of values) stand together: it is loaded once for all of them,
 * by its first row. Those that only read come first. */
#include "bench.h"

/* clang-format off */
#define OF      .value_len =
#define YCSB_A  .mix = { .update = 50 }
#define YCSB_B  .mix = { .update = 5 }
#define YCSB_D  .mix = { .insert = 5 }, .spread = SPREAD_LATEST
#define YCSB_E  .mix = { .insert = 5, .scan = 95 }, .count = 100
#define YCSB_F  .mix = { .modify = 50 }
#define ZIPF    .spread = SPREAD_ZIPF
#define DURABLE .durable = true
#define SETTLES .settles = true
#define COUNT   .count =
#define DEPTH   .depth =
#define AIM     .target =

const struct row rows[] = {
	{ 'S', "load",         "load in random order",                       WORK_LOAD,       1, OF 100 },
	{ 'S', "get-1",        "get, 1 thread",                              WORK_GET,        1, OF 100, AIM 1.4 },
	{ 'S', "get-2",        "get, 2 threads",                             WORK_GET,        2, OF 100, AIM 1.4 },
	{ 'S', "get-16",       "get, 16 threads",                            WORK_GET,       16, OF 100 },
	{ 'S', "get-zipf-2",   "get, zipfian, 2 threads",                    WORK_GET,        2, OF 100, ZIPF },
	{ 'S', "mget-1",       "multi-get of 32, 1 thread",                  WORK_MULTI_GET,  1, OF 100, COUNT 32, AIM 2.5 },
	{ 'S', "miss-1",       "get what is not there, 1 thread",            WORK_GET_ABSENT,  1, OF 100, AIM 1.3 },
	{ 'S', "scan-1",       "scan of 100, 1 thread",                      WORK_SCAN,       1, OF 100, COUNT 100, AIM 1.1 },
	{ 'S', "over-1",       "overwrite, relaxed, 1 thread",               WORK_PUT,        1, OF 100, AIM 4 },
	{ 'S', "over-16",      "overwrite, relaxed, 16 threads",             WORK_PUT,       16, OF 100, AIM 6 },
	{ 'S', "ycsb-a",       "YCSB A, 2 threads",                          WORK_YCSB,       2, OF 100, YCSB_A, ZIPF, AIM 5 },
	{ 'S', "ycsb-b",       "YCSB B, 2 threads",                          WORK_YCSB,       2, OF 100, YCSB_B, ZIPF, AIM 1.5 },
	{ 'S', "ycsb-c",       "YCSB C, 2 threads",                          WORK_YCSB,       2, OF 100, ZIPF, AIM 1.3 },
	{ 'S', "ycsb-d",       "YCSB D, 2 threads",                          WORK_YCSB,       2, OF 100, YCSB_D, AIM 1.5 },
	{ 'S', "ycsb-e",       "YCSB E, 2 threads",                          WORK_YCSB,       2, OF 100, YCSB_E, ZIPF, AIM 1.1 },
	{ 'S', "ycsb-f",       "YCSB F, 2 threads",                          WORK_YCSB,       2, OF 100, YCSB_F, ZIPF, AIM 4 },
	{ 'S', "durable-1",    "durable put, 1 thread",                      WORK_PUT,        1, OF 100, DURABLE, AIM 1.5 },
	{ 'S', "durable-4",    "durable put, 4 threads",                     WORK_PUT,        4, OF 100, DURABLE },
	{ 'S', "durable-16",   "durable put, 16 threads",                    WORK_PUT,       16, OF 100, DURABLE, AIM 1.6 },
	{ 'S', "durable-256",  "durable put, 256 in flight, else 16 threads", WORK_PUT,       16, DEPTH 256, OF 100, DURABLE, AIM 8 },
	{ 'S', "batch-1",      "durable batch of 100, 1 thread",             WORK_BATCH,      1, OF 100, COUNT 100, DURABLE, AIM 5 },
	{ 'S', "get-1000B",    "get, values of 1,000 B, 2 threads",          WORK_GET,        2, OF 1000 },
	{ 'S', "over-1000B",   "overwrite, relaxed, 1,000 B, 2 threads",     WORK_PUT,        2, OF 1000 },
	{ 'L', "load",         "load in order",                              WORK_LOAD,       1, OF 100 },
	{ 'L', "get-16",       "get, 16 threads",                            WORK_GET,       16, OF 100, AIM 1.6 },
	{ 'L', "get-64",       "get, 64 in flight, else 16 threads",         WORK_GET,       16, DEPTH 64, OF 100, AIM 1.6 },
	{ 'L', "mget-1",       "multi-get of 32, 1 thread",                  WORK_MULTI_GET,  1, OF 100, COUNT 32, AIM 4 },
	{ 'L', "scan-4",       "scan of 100, 4 threads",                     WORK_SCAN,       4, OF 100, COUNT 100, AIM 3 },
	{ 'L', "ycsb-c",       "YCSB C, 4 threads",                          WORK_YCSB,       4, OF 100, ZIPF, AIM 1.5 },
	{ 'L', "ycsb-b",       "YCSB B, 4 threads",                          WORK_YCSB,       4, OF 100, YCSB_B, ZIPF, AIM 1.5 },
	{ 'L', "ycsb-a",       "YCSB A, 4 threads",                          WORK_YCSB,       4, OF 100, YCSB_A, ZIPF, AIM 1.3 },
	{ 'L', "over-1",       "overwrite until settled, relaxed, 1 thread", WORK_PUT,        1, OF 100, SETTLES, AIM 1.5 },
	{ 'L', "over-4",       "overwrite until settled, relaxed, 4 threads", WORK_PUT,        4, OF 100, SETTLES, AIM 1.5 },
	{ 'L', "get-64KiB",    "get, values of 64 KiB, 16 threads",          WORK_GET,       16, OF 65536, AIM 1.1 },
	{ 'L', "durable-64KiB", "durable put, values of 64 KiB, 1 thread",    WORK_PUT,        1, OF 65536, DURABLE, AIM 3 },
	{ 'D', "device-4k",    "device: read 4 KiB, 64 in flight",           WORK_DEVICE,     1, DEPTH 64, OF 4096 },
	{ 'D', "device-16k",   "device: read 16 KiB, 64 in flight",          WORK_DEVICE,     1, DEPTH 64, OF 16384 },
	{ 'D', "device-64k",   "device: read 64 KiB, 64 in flight",          WORK_DEVICE,     1, DEPTH 64, OF 65536 },
	{ 'D', "device-sync",  "device: write 4 KiB, then fdatasync",        WORK_DEVICE,     1, OF 4096, DURABLE },
};
/* clang-format on */

const size_t row_count = sizeof(rows) / sizeof(rows[0]);
