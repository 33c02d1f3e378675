/* SPDX-License-Identifier: Apache-2.0 */
#include "meters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* The number behind `name` in a file of "name: number" lines; 0 when there is none. */
static uint64_t number_in(const char *path, const char *name)
{
	FILE	*file = fopen(path, "r");
	char	 line[256];
	uint64_t number = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			sscanf(line + strlen(name), ": %" SCNu64, &number);
	if (file)
		fclose(file);
	return number;
}

/* The seventh number of a disk's stat file is sectors written. A file system without a disk of its own has no such file. */
static uint64_t written_by_device(const char *dir)
{
	struct stat st;
	char	    path[64];
	uint64_t    sectors = 0;
	FILE	   *file;

	if (stat(dir, &st))
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(st.st_dev), minor(st.st_dev));
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %*u %*u %*u %*u %*u %" SCNu64, &sectors) != 1)
		sectors = 0;
	fclose(file);
	return sectors * 512;
}

static uint64_t ns_of(struct timeval tv)
{
	return ((uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec) * 1000;
}

void meters_read(struct meters *meters, const char *dir)
{
	struct rusage	usage;
	struct timespec ts;

	getrusage(RUSAGE_SELF, &usage);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	meters->ns	      = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	meters->cpu_ns	      = ns_of(usage.ru_utime) + ns_of(usage.ru_stime);
	meters->device_bytes  = written_by_device(dir);
	meters->process_bytes = number_in("/proc/self/io", "write_bytes");
}

double peak_rss_mib(void)
{
	return (double)number_in("/proc/self/status", "VmHWM") / 1024;
}

void flush_filesystem(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

void forget_files(const char *path)
{
	DIR	      *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = openat(dirfd(dir), entry->d_name, O_RDONLY);

		if (fd < 0)
			continue;
		fdatasync(fd);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

static enum answer write_to(const char *dir, const char *name, uint64_t number)
{
	char path[512], text[32];
	int  len = snprintf(text, sizeof(text), "%" PRIu64, number), fd;
	bool good;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd   = open(path, O_WRONLY);
	good = fd >= 0 && write(fd, text, (size_t)len) == len;
	if (fd >= 0)
		close(fd);
	return good ? ANSWER_OK : answer_with(ANSWER_FAILED, "%s: %s", path, strerror(errno));
}

enum answer cgroup_make(const char *parent, uint64_t limit, char *path, size_t room)
{
	enum answer answer;

	snprintf(path, room, "%s/tarn-bench-%d", parent, (int)getpid());
	if (mkdir(path, 0755) && errno != EEXIST)
		return answer_with(ANSWER_FAILED, "%s: %s", path, strerror(errno));
	answer = write_to(path, "memory.max", limit);
	if (answer != ANSWER_OK)
		answer = write_to(path, "memory.limit_in_bytes", limit);
	if (answer != ANSWER_OK)
		rmdir(path);
	return answer;
}

enum answer cgroup_join(const char *path)
{
	return write_to(path, "cgroup.procs", (uint64_t)getpid());
}

void cgroup_remove(const char *path)
{
	rmdir(path);
}
