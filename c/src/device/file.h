/* SPDX-License-Identifier: Apache-2.0 */
/* device/file.h: what the parts of the file and block device share: file.c opens it, geometry.c measures it, hold.c keeps others
 * off, uring.c, threads.c and file_io.c do its I/O, file_zones.c its zones, sysfs.c asks the kernel. Only files of this folder include it.
 *
 * Always true: fd, kind and info do not change once the device is open, so queues read them without a lock. */
#ifndef TARN_DEVICE_FILE_H
#define TARN_DEVICE_FILE_H

#include "backend.h"

#include <sys/stat.h>

struct file {
	struct device base; /* first: a struct device * of these backends is a struct file * */
	int	      fd;
	bool	      block; /* a block device, not a regular file */
	bool	      held;  /* the lock of hold_take() is ours */
};

static inline struct file *file_of(struct device *dev)
{
	return container_of(dev, struct file, base);
}

extern const struct device_backend uring_backend, threads_backend;

/* A regular file or, with `block`, a block device at path. With options->create the file is made. */
int  file_open(const char *path, bool block, const struct device_options *options, struct device **dev);
void file_close(struct device *dev); /* the close slot of both backends */

/* An I/O of any opcode on the calling thread, of any length: 0, or negative and a sentence; NOTSUPPORTED when the file system, the driver
 * or Linux has no such command (ZONE_APPEND). What was discarded in a file reads as zeros; in a block device it reads
 * as the device likes (zeros, or what was there) until it is written again. NOTSUPPORTED where there is no discard. */
int file_io(const struct file *f, const tarn_dev_io *io);
/* The run slot of both backends: one that waits for a single I/O gains nothing from a ring or another thread. */
int file_run(struct device *dev, tarn_dev_io *io);
/* The sentence of an I/O of which `moved` bytes went well before sys_errno (0: the file ended). Negative. */
int file_io_error(const struct file *f, const tarn_dev_io *io, uint64_t moved, int sys_errno);

/* file_zones.c: the zone slots of both backends, for zoned block devices. */
int file_zone_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count);
int file_zone_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len);
/* A better reason for a failed write to a zoned device, from the state of its zone: negative and a sentence, or 0: none. */
int file_zone_explain(const struct file *f, uint64_t at, uint64_t len, int sys_errno);

/* 0 when the kernel lets this process use io_uring with all that uring.c needs, else negative and a sentence. */
int uring_check(void);

/* Fills size, blocks, alignments, direct, note and what sysfs knows. Turns O_DIRECT on where it works, unless buffered I/O was asked
 * for; where it does not, `strict` makes that NOTSUPPORTED. */
int geometry_of(struct file *f, const char *path, const struct device_options *options);

/* Keeps others off fd until hold_drop() or the end of the process. BUSY and the holder's name when another has it. A holder that is
 * ending (killed, with I/O still in the kernel), or that only looks (udev), is waited for, at most a second. */
int  hold_take(int fd, const char *path);
void hold_drop(int fd);
/* Opens a block device exclusively (O_EXCL), in the same way: a descriptor, or negative. */
int hold_open_block(const char *path, int flags);
/* Who has it now, or false: text says "process 12 (tarn-gateway)" or "it is mounted at /". Takes nothing, so nobody is disturbed. */
bool hold_query(const struct stat *st, char *text, size_t len);

/* /sys: the directory of a block device (of a partition: its own), false when there is none. */
bool	 sysfs_device(dev_t rdev, char dir[64]);
uint64_t sysfs_number(const char *dir, const char *name, uint64_t absent);
bool	 sysfs_text(const char *dir, const char *name, char *text,
		    size_t len); /* without trailing blanks; false and "" when absent */
/* Fills of the block device in dir: driver, model, serial, size, blocks, alignments, max_transfer, optimal_io, atomic_write,
 * volatile_cache, rotational, readonly, nsid, csi, and all about zones. */
void sysfs_describe(const char *dir, tarn_dev_info *info);

#endif
