/* SPDX-License-Identifier: Apache-2.0 */
/* device/file.c: opening, making and closing regular files and block devices.
 *
 * Always true: a path is followed to no other file (O_NOFOLLOW), the descriptor is closed on exec, and a device that is open is of
 * the kind that was asked for. A file that could not be made whole is removed again. A file and its directory are flushed before
 * the making of it is reported. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BACKEND_VARIABLE "TARN_BACKEND"

static int open_flags(const struct device_options *options)
{
	return (options->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW;
}

static int open_retry(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static int fail_open(const char *path, int sys_errno)
{
	if (sys_errno == ELOOP)
		return fail(INVAL, "%s is a symbolic link: name the file that it leads to", path);
	if (sys_errno == ENOENT)
		return fail(NONEXIST, "%s does not exist: create it first, or check the name", path);
	return base_fail_errno(sys_errno, "open %s", path);
}

static int check_kind(const struct stat *st, bool block, const char *path)
{
	if (S_ISDIR(st->st_mode))
		return fail(INVAL, "%s is a directory: a regular file or a block device is needed", path);
	if (block ? !S_ISBLK(st->st_mode) : !S_ISREG(st->st_mode))
		return fail(INVAL, "%s is not a %s", path, block ? "block device" : "regular file");
	return 0;
}

static int check_opened(const struct file *f, const char *path)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return base_fail_errno(errno, "stat of %s", path);
	return check_kind(&st, f->block, path);
}

/* Before the open as well: that of a pipe waits for ever, and that of a tape winds it. */
static int check_path(const char *path, bool block)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return fail_open(path, errno);
	if (S_ISLNK(st.st_mode))
		return fail_open(path, ELOOP);
	return check_kind(&st, block, path);
}

static int open_existing(struct file *f, const char *path, const struct device_options *options)
{
	int rc = check_path(path, f->block);

	if (rc)
		return rc;
	if (f->block && options->exclusive) {
		f->fd = hold_open_block(path, open_flags(options));
		return f->fd < 0 ? f->fd : 0;
	}
	f->fd = open_retry(path, open_flags(options), 0);
	return f->fd < 0 ? fail_open(path, errno) : 0;
}

static int open_new(struct file *f, const char *path, const struct device_options *options)
{
	if (f->block)
		return fail(EXIST, "%s is a block device, which is there already: open it, do not make it", path);
	if (options->readonly)
		return fail(INVAL, "%s: a file that is made is open for writing too", path);
	if (!options->size || options->size > INT64_MAX)
		return fail(INVAL, "%s: cannot make a file of %llu bytes", path, (unsigned long long)options->size);
	f->fd = open_retry(path, open_flags(options) | O_CREAT | O_EXCL, 0600);
	if (f->fd < 0 && errno == EEXIST)
		return fail(EXIST, "%s exists already: remove it, or choose another name", path);
	if (f->fd < 0 && errno == ENOENT)
		return fail(NONEXIST, "make %s: its directory does not exist; make that first", path);
	return f->fd < 0 ? fail_open(path, errno) : 0;
}

/* Refuses what clearly cannot fit before taking all the space that is left from everybody else for a moment. */
static int check_room(int fd, const char *path, uint64_t size)
{
	struct statvfs fs;
	uint64_t       room;

	if (fstatvfs(fd, &fs) < 0)
		return base_fail_errno(errno, "free space for %s", path);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (size > room)
		return fail(NOSPACE, "%s: %llu bytes do not fit, the file system has %llu free", path, (unsigned long long)size,
			    (unsigned long long)room);
	return 0;
}

static int allocate(int fd, const char *path, uint64_t size)
{
	int sys_errno;

	do
		sys_errno = posix_fallocate(fd, 0, (off_t)size);
	while (sys_errno == EINTR);
	if (sys_errno)
		return base_fail_errno(sys_errno, "allocate %llu bytes for %s", (unsigned long long)size, path);
	if (fsync(fd) < 0)
		return base_fail_errno(errno, "flush of the new file %s", path);
	return 0;
}

/* A name is durable once its directory is. */
static int flush_directory(const char *path)
{
	char copy[PATH_MAX];
	int  fd, rc = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open_retry(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return base_fail_errno(errno, "open the directory of %s", path);
	if (fsync(fd) < 0)
		rc = base_fail_errno(errno, "flush of the directory of %s", path);
	close(fd);
	return rc;
}

static int fill_new(struct file *f, const char *path, uint64_t size)
{
	int rc = check_room(f->fd, path, size);

	if (!rc)
		rc = allocate(f->fd, path, size);
	return rc ? rc : flush_directory(path);
}

static int hold(struct file *f, const char *path)
{
	int rc = hold_take(f->fd, path);

	f->held = !rc;
	return rc;
}

/* From the descriptor on: everything that can go wrong with it. */
static int set_up(struct file *f, const char *path, const struct device_options *options)
{
	int rc = check_opened(f, path);

	if (!rc && options->exclusive)
		rc = hold(f, path);
	if (!rc && options->create)
		rc = fill_new(f, path, options->size);
	if (!rc)
		rc = geometry_of(f, path, options);
	return rc;
}

/* The name of what was asked for, or NULL: the best. */
static const char *wanted_backend(const struct device_options *options)
{
	const char *name = options->backend ? options->backend : getenv(BACKEND_VARIABLE);

	return name && *name ? name : NULL;
}

static void note_refusal(tarn_dev_info *info)
{
	size_t used = strlen(info->note);

	snprintf(info->note + used, sizeof(info->note) - used, "%s%s", used ? "; " : "", base_message());
}

/* io_uring where it is allowed; else threads, with a note, unless that would be a silent downgrade of what was asked. */
static int choose_backend(struct file *f, const struct device_options *options)
{
	const char *name = wanted_backend(options);

	f->base.backend = &threads_backend;
	if (name && strcmp(name, threads_backend.name) == 0)
		return 0;
	if (name && strcmp(name, uring_backend.name) != 0)
		return fail(INVAL, "backend \"%s\": there is io_uring and threads", name);
	if (uring_check() == 0)
		f->base.backend = &uring_backend;
	else if (name || options->strict)
		return fail(NOTSUPPORTED, "io_uring is not available: %s; ask for the backend threads", base_message());
	else
		note_refusal(&f->base.info);
	return 0;
}

static void fill_identity(struct file *f, const char *path)
{
	tarn_dev_info *info = &f->base.info;
	const char    *kind = f->block ? "block" : "file";

	snprintf(info->kind, sizeof(info->kind), "%s", kind);
	snprintf(info->backend, sizeof(info->backend), "%s", f->base.backend->name);
	if ((size_t)snprintf(info->uri, sizeof(info->uri), "%s:%s", kind, path) >= sizeof(info->uri))
		memcpy(info->uri + sizeof(info->uri) - 4, "...", 4);
}

int file_open(const char *path, bool block, const struct device_options *options, struct device **dev)
{
	struct file *f = calloc(1, sizeof(*f));
	int	     rc;

	if (!f)
		return fail(NOMEM, "no memory to open %s", path);
	f->block = block;
	rc	 = options->create ? open_new(f, path, options) : open_existing(f, path, options);
	if (rc)
		goto free_file;
	rc = set_up(f, path, options);
	if (!rc)
		rc = choose_backend(f, options);
	if (rc)
		goto close_file;
	fill_identity(f, path);
	*dev = &f->base;
	return 0;

close_file:
	if (options->create)
		unlink(path);
	file_close(&f->base);
	return rc;
free_file:
	free(f);
	return rc;
}

void file_close(struct device *dev)
{
	struct file *f = file_of(dev);

	if (f->held)
		hold_drop(f->fd);
	close(f->fd);
	free(f);
}
