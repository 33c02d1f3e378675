/* SPDX-License-Identifier: Apache-2.0 */
/* bench/meters.h: what a process has used: CPU, writes, memory. */
#ifndef TARN_BENCH_METERS_H
#define TARN_BENCH_METERS_H

#include "bench.h"

struct meters {
	uint64_t ns, cpu_ns;
	uint64_t device_bytes;	/* written by the disk below the directory, for anyone; 0: not known */
	uint64_t process_bytes; /* written by this process; the kernel counts a page when it becomes dirty */
};

void meters_read(struct meters *meters, const char *dir);

/* The most memory that this process has had. */
double peak_rss_mib(void);

/* What is dirty in the page cache is written, so that the device's counter has it. */
void flush_filesystem(const char *dir);

/* The kernel forgets what it has cached of the files in dir. */
void forget_files(const char *dir);

/* A memory cgroup below `parent`, a cgroup (version 1 or 2) that the user has made for this: made and removed by the process
 * that starts cells, joined by a cell. cgroup_make() and cgroup_join() say why not. */
enum answer cgroup_make(const char *parent, uint64_t limit, char *path, size_t room);
enum answer cgroup_join(const char *path);
void	    cgroup_remove(const char *path);

#endif
