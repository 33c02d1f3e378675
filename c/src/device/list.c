/* SPDX-License-Identifier: Apache-2.0 */
/* device/list.c: which devices there are, and what one device is like. Those of NVMe that are no block devices: list_nvme.c.
 *
 * Always true: a list opens nothing and changes nothing: it reads /sys and /proc. A query opens for reading, and claims a block
 * device for a moment only when nothing else tells whether it is in use. Any thread may call. */
#include "file.h"
#include "list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SYS_BLOCK "/sys/block"

/* In /sys a '/' of a device's name is a '!': "cciss!c0d0" is /dev/cciss/c0d0. */
static void fill_uri(tarn_dev_info *info, const char *name)
{
	char *bang = info->uri;

	snprintf(info->uri, sizeof(info->uri), "block:/dev/%.200s", name);
	while ((bang = strchr(bang, '!')) != NULL)
		*bang = '/';
}

static bool sysfs_rdev(const char *dir, dev_t *rdev)
{
	char	 text[32];
	unsigned maj, min;

	if (!sysfs_text(dir, "dev", text, sizeof(text)) || sscanf(text, "%u:%u", &maj, &min) != 2)
		return false;
	*rdev = makedev(maj, min);
	return true;
}

/* The node's inode is what a hold is found by; without a node only the kernel's own use shows. */
bool list_is_in_use(const tarn_dev_info *info, mode_t type, dev_t rdev)
{
	char	    text[160];
	struct stat st;

	if (stat(strchr(info->uri, '/'), &st) < 0 || st.st_rdev != rdev)
		st = (struct stat){ .st_mode = type, .st_rdev = rdev };
	return hold_query(&st, text, sizeof(text));
}

void list_add(struct list *list, const tarn_dev_info *info)
{
	if (list->count < list->room)
		list->infos[list->count] = *info;
	list->count++;
}

/* What the kernel says of a loop device is its file. */
static void describe_loop(const char *dir, tarn_dev_info *info)
{
	if (!*info->model)
		sysfs_text(dir, "loop/backing_file", info->model, sizeof(info->model));
}

static void add(struct list *list, const char *name, dev_t rdev, bool in_use)
{
	tarn_dev_info info = { .kind = "block" };
	char	      dir[64];

	if (!sysfs_device(rdev, dir))
		return;
	sysfs_describe(dir, &info);
	if (!info.size)
		return; /* an empty drive, a loop device without a file */
	fill_uri(&info, name);
	describe_loop(dir, &info);
	list_nvme_generic(name, info.twin, sizeof(info.twin));
	info.in_use = in_use;
	list_add(list, &info);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void free_names(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

int list_for_each_entry(const char *dir, list_visitor visit, void *arg)
{
	struct dirent **names;
	char		path[320];
	int		count = scandir(dir, &names, is_visible, versionsort);

	if (count < 0)
		return base_fail_errno(errno, "list %s", dir);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%.60s/%s", dir, names[i]->d_name);
		visit(arg, path, names[i]->d_name);
	}
	free_names(names, count);
	return 0;
}

static bool is_partition(const char *dir)
{
	return sysfs_number(dir, "partition", 0) != 0;
}

static void check_partition(void *arg, const char *dir, const char *name)
{
	tarn_dev_info info   = { .size = 0 };
	bool	     *in_use = arg;
	dev_t	      rdev;

	fill_uri(&info, name);
	if (is_partition(dir) && sysfs_rdev(dir, &rdev) && list_is_in_use(&info, S_IFBLK, rdev))
		*in_use = true;
}

static void add_partition(void *arg, const char *dir, const char *name)
{
	tarn_dev_info info = { .size = 0 };
	dev_t	      rdev;

	fill_uri(&info, name);
	if (is_partition(dir) && sysfs_rdev(dir, &rdev))
		add(arg, name, rdev, list_is_in_use(&info, S_IFBLK, rdev));
}

/* A disk is also in use when a partition of it is. */
static bool disk_in_use(const char *dir, const char *name, dev_t rdev)
{
	tarn_dev_info info   = { .size = 0 };
	bool	      in_use = false;

	fill_uri(&info, name);
	list_for_each_entry(dir, check_partition, &in_use);
	return in_use || list_is_in_use(&info, S_IFBLK, rdev);
}

bool list_disk_in_use(const char *name)
{
	char  dir[96];
	dev_t rdev;

	snprintf(dir, sizeof(dir), SYS_BLOCK "/%.60s", name);
	return sysfs_rdev(dir, &rdev) && disk_in_use(dir, name, rdev);
}

static void add_disk(void *arg, const char *dir, const char *name)
{
	dev_t rdev;

	if (!sysfs_rdev(dir, &rdev))
		return; /* hidden: a path of a multipath NVMe */
	add(arg, name, rdev, disk_in_use(dir, name, rdev));
	list_for_each_entry(dir, add_partition, arg);
}

int device_list(tarn_dev_info *infos, size_t *count)
{
	struct list list = { infos, infos ? *count : 0, 0 };
	int	    rc	 = list_for_each_entry(SYS_BLOCK, add_disk, &list);

	if (rc)
		return rc;
	list_nvme(&list);
	*count = list.count;
	if (infos && list.count > list.room)
		return fail(TRUNC, "there are %zu devices and room for %zu: ask again with more", list.count, list.room);
	return 0;
}

/* Nothing in /proc or /sys tells of it, so somebody without a name may have claimed it: a busy claim says yes. */
static bool is_claimed(const char *path)
{
	int  fd	     = open(path, O_RDONLY | O_CLOEXEC | O_EXCL);
	bool claimed = fd < 0 && errno == EBUSY;

	if (fd >= 0)
		close(fd);
	return claimed;
}

static bool is_file_in_use(const struct file *f)
{
	char	    text[160], path[64];
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	return hold_query(&st, text, sizeof(text)) || (f->block && is_claimed(path));
}

int device_query(const char *uri, tarn_dev_info *info)
{
	struct device_options options = { .readonly = true };
	struct device	     *dev;
	int		      rc = device_open(uri, &options, &dev);

	if (rc)
		return rc;
	*info	       = *device_info(dev);
	info->readonly = dev->write_protected;
	if (strcmp(info->kind, "file") == 0 || strcmp(info->kind, "block") == 0)
		info->in_use = is_file_in_use(file_of(dev));
	else if (strcmp(info->kind, "nvme") == 0)
		info->in_use = list_generic_in_use(info);
	device_close(dev);
	return 0;
}
