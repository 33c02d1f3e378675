/* SPDX-License-Identifier: Apache-2.0 */
/* device/hold.c: one user of a device at a time, and the name of the one who has it.
 *
 * Always true: the hold is flock(2) of the open file description, so that a second open of this same process conflicts too, and
 * a death of the process ends it; a block device is also opened with O_EXCL, which keeps off mounts and device mapper. The holder's
 * pid comes from /proc/locks by device and inode. Any thread may call.
 *
 *	who has it				what hold_take() does
 *	a living process, for writing		BUSY at once, with its pid and command
 *	a process that has ended		waits: the kernel may still be finishing its I/O, and drops the hold after that
 *	one that reads (LOCK_SH: udev)		waits: it looks, and is gone in a moment
 *	one that /proc does not show		waits
 * A wait that lasts a second is BUSY too. */
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define WAIT_STEP_NS 5000000
#define WAIT_STEPS   200 /* a second in all; counted, since the clock can be replaced */

struct holder {
	int  pid;
	bool writes; /* LOCK_EX */
	bool ended;
	char command[32];
};

/* The state letter follows the command, which may itself hold any character. */
static bool has_ended(int pid)
{
	char	    path[64], text[256];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (!sysfs_text(path, "stat", text, sizeof(text)))
		return true;
	state = strrchr(text, ')');
	return state && (state[2] == 'Z' || state[2] == 'X');
}

/* One line of /proc/locks: "1: FLOCK  ADVISORY  WRITE 1234 fe:00:131 0 EOF". Waiters have "->" after the number, so do not match. */
static bool parse_lock(const char *line, const struct stat *st, struct holder *holder)
{
	unsigned	   maj, min;
	unsigned long long inode;
	char		   mode[8];

	if (sscanf(line, "%*d: FLOCK %*s %7s %d %x:%x:%llu", mode, &holder->pid, &maj, &min, &inode) != 5)
		return false;
	holder->writes = strcmp(mode, "WRITE") == 0;
	return makedev(maj, min) == st->st_dev && inode == st->st_ino;
}

static bool find_holder(const struct stat *st, struct holder *holder)
{
	FILE *locks = fopen("/proc/locks", "re");
	char  line[256], path[64];
	bool  found = false;

	if (!locks)
		return false;
	while (!found && fgets(line, sizeof(line), locks))
		found = parse_lock(line, st, holder);
	fclose(locks);
	if (!found)
		return false;
	holder->ended = has_ended(holder->pid);
	snprintf(path, sizeof(path), "/proc/%d", holder->pid);
	sysfs_text(path, "comm", holder->command, sizeof(holder->command));
	return true;
}

static void describe_holder(const struct holder *holder, char *text, size_t len)
{
	if (holder->pid == (int)getpid())
		snprintf(text, len, "this same process (%d, %s)", holder->pid, holder->command);
	else if (holder->ended)
		snprintf(text, len, "process %d, which has ended; a child of it may still have it open", holder->pid);
	else
		snprintf(text, len, "process %d (%s)", holder->pid, holder->command);
}

/* The mount point of the device, or false. Lines: "22 27 254:0 / /mnt rw - ext4 /dev/vda rw". */
static bool find_mount(dev_t rdev, char *point, size_t len)
{
	FILE	*mounts = fopen("/proc/self/mountinfo", "re");
	char	 line[1024], where[128];
	unsigned maj, min;
	bool	 found = false;

	if (!mounts)
		return false;
	while (!found && fgets(line, sizeof(line), mounts))
		found = sscanf(line, "%*d %*d %u:%u %*s %127s", &maj, &min, where) == 3 && makedev(maj, min) == rdev;
	fclose(mounts);
	if (found)
		snprintf(point, len, "%s", where);
	return found;
}

static bool is_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* A device that is made of this one: dm-0, md1, bcache0. */
static bool find_stacked(dev_t rdev, char *name, size_t len)
{
	char	       dir[64], path[80];
	struct dirent *entry;
	DIR	      *holders;
	bool	       found = false;

	if (!sysfs_device(rdev, dir))
		return false;
	snprintf(path, sizeof(path), "%s/holders", dir);
	holders = opendir(path);
	if (!holders)
		return false;
	while (!found && (entry = readdir(holders)) != NULL)
		if (is_name(entry)) {
			snprintf(name, len, "%.63s", entry->d_name);
			found = true;
		}
	closedir(holders);
	return found;
}

static bool find_kernel_user(dev_t rdev, char *text, size_t len)
{
	char name[128];

	if (find_mount(rdev, name, sizeof(name)))
		snprintf(text, len, "the file system mounted at %s", name);
	else if (find_stacked(rdev, name, sizeof(name)))
		snprintf(text, len, "the block device %s, which is made of it", name);
	else
		return false;
	return true;
}

bool hold_query(const struct stat *st, char *text, size_t len)
{
	struct holder holder;

	if (find_holder(st, &holder) && holder.writes && !holder.ended) {
		describe_holder(&holder, text, len);
		return true;
	}
	return S_ISBLK(st->st_mode) && find_kernel_user(st->st_rdev, text, len);
}

/* The holder first: a long path must not push it out of the sentence. */
static int busy(const char *path, const char *holder)
{
	return fail(BUSY, "in use by %s: %s; stop that user first, or reach it through its gateway", holder, path);
}

/* 0: try again. BUSY when the holder is there to stay, or this was the last step. */
static int wait_for_holder(const struct stat *st, const char *path, unsigned step)
{
	struct holder	holder;
	struct timespec pause = { 0, WAIT_STEP_NS };
	char		text[160];

	if (hold_query(st, text, sizeof(text)))
		return busy(path, text);
	if (step + 1 < WAIT_STEPS) {
		nanosleep(&pause, NULL);
		return 0;
	}
	if (!find_holder(st, &holder))
		return busy(path, "a process that /proc/locks does not show");
	describe_holder(&holder, text, sizeof(text));
	return busy(path, text);
}

int hold_take(int fd, const char *path)
{
	struct stat st;
	int	    rc = 0;

	if (fstat(fd, &st) < 0)
		return base_fail_errno(errno, "stat of %s", path);
	for (unsigned step = 0; !rc && flock(fd, LOCK_EX | LOCK_NB) < 0; step++) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return base_fail_errno(errno, "lock of %s", path);
		rc = wait_for_holder(&st, path, step);
	}
	return rc;
}

/* By name and not by close() alone: a child between fork and exec shares the description, and would keep the lock. */
void hold_drop(int fd)
{
	flock(fd, LOCK_UN);
}

int hold_open_block(const char *path, int flags)
{
	struct stat st;
	int	    fd, rc;

	if (stat(path, &st) < 0)
		return base_fail_errno(errno, "stat of %s", path);
	for (unsigned step = 0;; step++) {
		fd = open(path, flags | O_EXCL);
		if (fd >= 0 || (errno != EBUSY && errno != EINTR))
			break;
		rc = wait_for_holder(&st, path, step);
		if (rc)
			return rc;
	}
	return fd >= 0 ? fd : base_fail_errno(errno, "open %s", path);
}
