/* SPDX-License-Identifier: Apache-2.0 */
/* pool/places.c: the root directory and the listed devices of a system. See pool.h. */
#include "pool.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The default root, into path[PATH_MAX]. */
static int default_root(char *path)
{
	const char *root = getenv("TARN_ROOT"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int	    n;

	if (root && *root)
		n = snprintf(path, PATH_MAX, "%s", root);
	else if (data && *data == '/')
		n = snprintf(path, PATH_MAX, "%s/tarn", data);
	else if (home && *home)
		n = snprintf(path, PATH_MAX, "%s/.local/share/tarn", home);
	else
		return fail(BADPATH, "no root directory was named, and TARN_ROOT, XDG_DATA_HOME and HOME are not set");
	return n < PATH_MAX ? 0 : fail(BADPATH, "the root directory's path has %d bytes: the limit is %d", n, PATH_MAX - 1);
}

/* mkdir -p, for the owner only. What cannot be made shows when it is opened. */
static void make_dirs(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	(void)mkdir(path, 0700);
}

static int check_root(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return errno == ENOENT ? fail(BADPATH, "the root directory %s is missing and cannot be made", path)
				       : base_fail_errno(errno, "cannot use %s as root directory", path);
	if (!S_ISDIR(st.st_mode))
		return fail(NOTDIR, "%s is not a directory: a root directory is needed", path);
	if (access(path, R_OK | X_OK) != 0)
		return base_fail_errno(errno, "cannot read the root directory %s", path);
	return 0;
}

static int open_root(const char *root, char **out)
{
	char   path[PATH_MAX];
	size_t most = POOL_ROOT_MAX;
	int    rc;

	if (root && strlen(root) >= sizeof(path))
		return fail(BADPATH, "the root directory's path has %zu bytes: the limit is %zu", strlen(root), most);
	rc = root && *root ? (strcpy(path, root), 0) : default_root(path);
	if (rc)
		return rc;
	make_dirs(path);
	rc = check_root(path);
	if (rc)
		return rc;
	*out = realpath(path, NULL);
	if (!*out)
		return base_fail_errno(errno, "cannot resolve the root directory %s", path);
	if (strlen(*out) <= most)
		return 0;
	rc = fail(BADPATH, "the root directory's path has %zu bytes: the limit is %zu", strlen(*out), most);
	free(*out);
	return rc;
}

static int copy_devices(const char *const *devices, size_t n, struct places *places)
{
	places->devices = calloc(n + 1, sizeof(*places->devices));
	if (!places->devices)
		return fail(NOMEM, "no memory for %zu device names", n);
	for (; places->ndevices < n; places->ndevices++) {
		const char *name = devices[places->ndevices];

		if (!name || strlen(name) >= POOL_PATH_MAX)
			return fail(BADPATH, "the name of device %zu is missing or longer than %zu bytes", places->ndevices,
				    POOL_PATH_MAX - 1);
		places->devices[places->ndevices] = strdup(name);
		if (!places->devices[places->ndevices])
			return fail(NOMEM, "no memory for %zu device names", n);
	}
	return 0;
}

int places_open(const char *root, const char *const *devices, size_t ndevices, struct places *places)
{
	int rc;

	memset(places, 0, sizeof(*places));
	rc = open_root(root, &places->root);
	if (rc)
		return rc;
	rc = copy_devices(devices, ndevices, places);
	if (rc)
		places_close(places);
	return rc;
}

void places_close(struct places *places)
{
	for (size_t i = 0; i < places->ndevices; i++)
		free(places->devices[i]);
	free(places->devices);
	free(places->root);
	memset(places, 0, sizeof(*places));
}

void places_path(const struct places *places, const char *label, char *path)
{
	snprintf(path, POOL_PATH_MAX, "%.378s/%.127s" POOL_SUFFIX, places->root, label);
}

static int lock_fd(int fd)
{
	int rc;

	do
		rc = flock(fd, LOCK_EX);
	while (rc != 0 && errno == EINTR);
	return rc;
}

int places_lock(const struct places *places)
{
	int fd = open(places->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return base_fail_errno(errno, "cannot open the root directory %s", places->root);
	if (lock_fd(fd) != 0) {
		int rc = base_fail_errno(errno, "cannot lock the root directory %s", places->root);
		close(fd);
		return rc;
	}
	return fd;
}

/* Some file systems know no fsync of a directory; there a name is as durable as it gets. The sink is called without the lock. */
void places_unlock(int lock, bool changed)
{
	int err = changed && fsync(lock) != 0 ? errno : 0;

	close(lock);
	if (err)
		base_log(TARN_LOG_WARN, "the root directory could not be flushed (errno %d): a name may be lost in a crash", err);
}
