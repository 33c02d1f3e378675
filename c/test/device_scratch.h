/* SPDX-License-Identifier: Apache-2.0 */
/* test/device_scratch.h: places for the device tests: a directory on a disk, one in memory, and a loop device where the machine
 * lets us have one. scratch_make() before, scratch_remove() after. */
#ifndef TARN_DEVICE_SCRATCH_H
#define TARN_DEVICE_SCRATCH_H

#include "harness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_SIZE (8u << 20)
#define SCRATCH_PATH 128

static char scratch_disk[64];	/* a directory where O_DIRECT works, if any does */
static char scratch_memory[64]; /* one on tmpfs; "" when there is none */
static char scratch_loop[64];	/* /dev/loopN, "" when refused */

static inline const char *scratch_path(char path[SCRATCH_PATH], const char *dir, const char *name)
{
	snprintf(path, SCRATCH_PATH, "%s/%s", dir, name);
	return path;
}

/* What a command prints, without the end of the line. */
static inline void scratch_shell(const char *command, char *out, size_t len)
{
	FILE *pipe = popen(command, "r");

	out[0] = '\0';
	if (!pipe)
		return;
	if (!fgets(out, (int)len, pipe))
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	pclose(pipe);
}

static inline void scratch_make_loop(void)
{
	char path[SCRATCH_PATH], command[2 * SCRATCH_PATH];
	int  fd = open(scratch_path(path, scratch_disk, "loop.img"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (ftruncate(fd, SCRATCH_SIZE) == 0) {
		snprintf(command, sizeof(command), "losetup --direct-io=on -f --show %s 2>/dev/null", path);
		scratch_shell(command, scratch_loop, sizeof(scratch_loop));
	}
	close(fd);
}

static inline int scratch_make(void **state)
{
	const char *base = getenv("TARN_TEST_DIR");

	(void)state;
	snprintf(scratch_disk, sizeof(scratch_disk), "%.40s/tarn-test-XXXXXX", base ? base : "/var/tmp");
	if (!mkdtemp(scratch_disk))
		return -1;
	snprintf(scratch_memory, sizeof(scratch_memory), "/dev/shm/tarn-test-XXXXXX");
	if (!mkdtemp(scratch_memory))
		scratch_memory[0] = '\0';
	scratch_make_loop();
	return 0;
}

static inline int scratch_remove(void **state)
{
	char command[256], out[8];

	(void)state;
	if (*scratch_loop) {
		snprintf(command, sizeof(command), "losetup -d %s", scratch_loop);
		scratch_shell(command, out, sizeof(out));
	}
	snprintf(command, sizeof(command), "rm -rf %s %s", scratch_disk, scratch_memory);
	scratch_shell(command, out, sizeof(out));
	return 0;
}

#endif
