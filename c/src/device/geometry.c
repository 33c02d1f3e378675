/* SPDX-License-Identifier: Apache-2.0 */
/* device/geometry.c: what an open file or block device is like, and whether its I/O can be direct.
 *
 * Always true: the kernel is asked, nothing is guessed. statx tells the alignments of direct I/O (Linux 6.1); where it is silent,
 * reads of growing alignment are tried. When geometry_of() returns 0, O_DIRECT is on exactly when info.direct is 1. The size is
 * rounded down to whole blocks, so that no I/O within it is short. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FILE_MAX_TRANSFER  (1u << 20)
#define BUFFERED_ALIGNMENT 512u

static int ask_block_ioctls(struct file *f, const char *path)
{
	tarn_dev_info *info	= &f->base.info;
	unsigned       physical = 0;
	int	       logical	= 0;

	if (ioctl(f->fd, BLKGETSIZE64, &info->size) < 0)
		return base_fail_errno(errno, "size of %s", path);
	if (ioctl(f->fd, BLKSSZGET, &logical) < 0)
		return base_fail_errno(errno, "block size of %s", path);
	if (ioctl(f->fd, BLKPBSZGET, &physical) < 0)
		physical = (unsigned)logical;
	info->logical_block    = (uint32_t)logical;
	info->physical_block   = physical;
	info->offset_alignment = (uint32_t)logical;
	return 0;
}

static int describe_block(struct file *f, const char *path, dev_t rdev)
{
	tarn_dev_info *info = &f->base.info;
	char	       dir[64];

	info->max_transfer     = FILE_MAX_TRANSFER;
	info->memory_alignment = DEVICE_ALLOC_ALIGNMENT;
	info->volatile_cache   = 1;
	if (sysfs_device(rdev, dir))
		sysfs_describe(dir, info);
	return ask_block_ioctls(f, path);
}

/* A file is like the disk below it, as far as that shows; but it has no zones, no promise of atomic writes, and its flush is always
 * needed, for its metadata. */
static int describe_file(struct file *f, const struct stat *st)
{
	tarn_dev_info *info = &f->base.info, disk = { .size = 0 };
	char	       dir[64];

	if (sysfs_device(st->st_dev, dir))
		sysfs_describe(dir, &disk);
	memcpy(info->driver, disk.driver, sizeof(info->driver));
	memcpy(info->model, disk.model, sizeof(info->model));
	memcpy(info->serial, disk.serial, sizeof(info->serial));
	info->logical_block    = disk.logical_block;
	info->physical_block   = disk.physical_block;
	info->memory_alignment = disk.memory_alignment;
	info->offset_alignment = disk.offset_alignment;
	info->optimal_io       = disk.optimal_io;
	info->rotational       = disk.rotational;
	info->size	       = (uint64_t)st->st_size;
	info->max_transfer     = FILE_MAX_TRANSFER;
	info->volatile_cache   = 1;
	return 0;
}

/* A read of one block at offset 0 into memory of just that alignment. */
static bool can_read_at(int fd, uint32_t alignment)
{
	char   *memory = device_alloc(2 * DEVICE_ALLOC_ALIGNMENT);
	ssize_t n      = -1;

	if (memory)
		n = pread(fd, memory + alignment % DEVICE_ALLOC_ALIGNMENT, alignment, 0);
	device_free(memory);
	return n >= 0;
}

static bool find_alignment_by_reading(int fd, tarn_dev_info *info)
{
	for (uint32_t alignment = 512; alignment <= DEVICE_ALLOC_ALIGNMENT; alignment *= 2)
		if (can_read_at(fd, alignment)) {
			info->memory_alignment = info->offset_alignment = alignment;
			return true;
		}
	return false;
}

/* False: the file has no direct I/O. O_DIRECT is on. */
static bool find_alignment(int fd, tarn_dev_info *info)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) < 0 || !(stx.stx_mask & STATX_DIOALIGN))
		return find_alignment_by_reading(fd, info);
	info->memory_alignment = stx.stx_dio_mem_align;
	info->offset_alignment = stx.stx_dio_offset_align;
	return stx.stx_dio_mem_align && stx.stx_dio_offset_align;
}

/* tmpfs takes the flag since Linux 6.6 and ignores it. */
static bool is_memory_filesystem(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static bool set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/* NULL, or why not. */
static const char *go_direct(struct file *f)
{
	if (!f->block && is_memory_filesystem(f->fd)) /* the node of a block device lives in memory, too */
		return "it lives in memory (tmpfs)";
	if (!set_direct(f->fd, true))
		return "the file system refuses O_DIRECT";
	if (find_alignment(f->fd, &f->base.info))
		return NULL;
	set_direct(f->fd, false);
	return "the file system has no direct I/O for this file";
}

static void go_buffered(tarn_dev_info *info, const char *why)
{
	info->memory_alignment = BUFFERED_ALIGNMENT;
	info->offset_alignment = BUFFERED_ALIGNMENT;
	info->logical_block    = BUFFERED_ALIGNMENT;
	snprintf(info->note, sizeof(info->note), "I/O is buffered: %s", why);
}

static int check_size(tarn_dev_info *info, const char *path)
{
	if (info->size < info->offset_alignment)
		return fail(INVAL, "%s has %llu bytes, less than a block of %u: give it a size", path,
			    (unsigned long long)info->size, info->offset_alignment);
	info->size -= info->size % info->offset_alignment;
	return 0;
}

/* Blocks of an unknown disk are as direct I/O wants them. A transfer is a multiple of both alignments, so that it can be cut there. */
static void round_off(tarn_dev_info *info)
{
	uint32_t unit = MAX(info->offset_alignment, info->memory_alignment);

	info->logical_block  = info->logical_block ? info->logical_block : info->offset_alignment;
	info->physical_block = MAX(info->physical_block, info->logical_block);
	info->max_transfer   = MAX(info->max_transfer - info->max_transfer % unit, unit);
}

int geometry_of(struct file *f, const char *path, const struct device_options *options)
{
	tarn_dev_info *info = &f->base.info;
	const char    *why;
	struct stat    st;
	int	       rc;

	if (fstat(f->fd, &st) < 0)
		return base_fail_errno(errno, "stat of %s", path);
	rc = f->block ? describe_block(f, path, st.st_rdev) : describe_file(f, &st);
	if (rc)
		return rc;
	why = options->buffered ? "as asked" : go_direct(f);
	if (why && !options->buffered && options->strict)
		return fail(NOTSUPPORTED, "direct I/O on %s: %s; put it elsewhere, or do not ask for strict", path, why);
	if (why)
		go_buffered(info, why);
	info->direct = !why;
	rc	     = check_size(info, path);
	if (!rc)
		round_off(info);
	return rc;
}
