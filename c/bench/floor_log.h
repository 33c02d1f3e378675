/* SPDX-License-Identifier: Apache-2.0 */
/* bench/floor_log.h: a log and nothing else: what an engine could reach that wrote each record once, and flushed once for all
 * who wait.
 *
 * A file of zeros that was written before, so that a flush has no metadata to write; O_DIRECT; written from its begin again at
 * its end. Two buffers: one fills while the other is written. Who needs to wait and finds nobody writing, writes for all. */
#ifndef TARN_BENCH_FLOOR_LOG_H
#define TARN_BENCH_FLOOR_LOG_H

#include "bench.h"

struct floor_log;

enum answer floor_log_make(const char *dir);
enum answer floor_log_open(const char *dir, bool relaxed, struct floor_log **log);
void	    floor_log_close(struct floor_log *log);

/* Copies a record into the log. *number is for floor_log_wait(). A relaxed log is written when some have gathered, not flushed. */
enum answer floor_log_append(struct floor_log *log, const uint8_t *key, const void *val, size_t len, uint64_t *number);

/* Until the record of that number is durable. */
enum answer floor_log_wait(struct floor_log *log, uint64_t number);

/* Until all are, and flushed, relaxed or not. */
enum answer floor_log_sync(struct floor_log *log);

#endif
