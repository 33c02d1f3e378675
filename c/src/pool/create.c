/* SPDX-License-Identifier: Apache-2.0 */
/* pool/create.c: making and ending pools.
 *
 * Always true: while a name in the root directory is made or removed, the directory is locked. A pool's file gets its name when it is
 * whole, so a crash leaves a file of another name (.tarn-new-LABEL~, which no label yields), and the next creation in that
 * directory removes it. */
#include "../driver/local/local.h"
#include "pool.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid/uuid.h>

#define NEW_PREFIX ".tarn-new-"
#define NEW_SUFFIX "~"
#define FLAGS	   (TARN_POOL_OVERWRITE | TARN_POOL_ZEROED)

/* One pool on its way. */
struct creation {
	struct pool_meta meta;
	tarn_uuid	 target;
	char		 path[POOL_PATH_MAX]; /* its name in the root */
	char		 made[POOL_PATH_MAX]; /* what becomes that name */
	char		 uri[POOL_PATH_MAX + 8];
	uint8_t		 record[STORE_META_MAX];
	bool		 new_file;
	const struct op *op;
};

static bool is_leftover(const char *name)
{
	return strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0 && name[strlen(name) - 1] == NEW_SUFFIX[0];
}

/* Only who holds the lock makes such files, so what is there is left from a crash. */
static void remove_leftovers(int lock)
{
	int	       fd  = openat(lock, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR	      *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (is_leftover(entry->d_name))
			(void)unlinkat(lock, entry->d_name, 0);
	closedir(dir);
}

static int check_params(const char *label, const tarn_pool_params *params)
{
	int rc = label_check("pool", label);

	if (rc)
		return rc;
	if (params->flags & ~FLAGS)
		return fail(INVAL, "pool %s: the flags 0x%x are not known", label, params->flags & ~FLAGS);
	if (params->device && strlen(params->device) >= POOL_PATH_MAX)
		return fail(BADPATH, "pool %s: the device's name has %zu bytes: the limit is %zu", label, strlen(params->device),
			    POOL_PATH_MAX - 1);
	if (!params->device && params->size == 0)
		return fail(INVAL, "pool %s: a pool in a file needs a size", label);
	if (params->size && params->size < TARN_POOL_SIZE_MIN)
		return fail(INVAL, "pool %s: a size of %llu bytes was asked for: the smallest pool has %llu", label,
			    (unsigned long long)params->size, (unsigned long long)TARN_POOL_SIZE_MIN);
	return 0;
}

static void name_pool(const struct places *places, const char *label, struct creation *new)
{
	uuid_generate(new->meta.uuid.bytes);
	uuid_generate(new->target.bytes);
	snprintf(new->meta.label, sizeof(new->meta.label), "%s", label);
	new->meta.created_ns  = base_now_ns();
	new->meta.map.version = 1;
	new->meta.map.targets = 1;
	places_path(places, label, new->path);
	snprintf(new->made, sizeof(new->made), "%.378s/" NEW_PREFIX "%.100s" NEW_SUFFIX, places->root, label);
}

/* mem: and sim: devices end with their last close, and this call ends with one. */
static int check_lasting(const char *label, const char *uri)
{
	if (strncmp(uri, "mem:", 4) == 0 || strncmp(uri, "sim:", 4) == 0)
		return fail(NOTSUPPORTED, "pool %s: %s forgets everything when it is closed: name a file or a block device",
			    label, uri);
	return 0;
}

static bool is_absent_file(const char *uri)
{
	const char *path = strncmp(uri, "file:", 5) == 0 ? uri + 5 : NULL;

	return path && access(path, F_OK) != 0 && errno == ENOENT;
}

static int choose_device(const tarn_pool_params *params, struct creation *new)
{
	int rc;

	if (!params->device) {
		snprintf(new->uri, sizeof(new->uri), "file:%s", new->made);
		new->new_file = true;
		return 0;
	}
	rc = check_lasting(new->meta.label, params->device);
	snprintf(new->uri, sizeof(new->uri), "%s", params->device);
	new->new_file = is_absent_file(params->device);
	if (rc == 0 && new->new_file && params->size == 0)
		rc = fail(INVAL, "pool %s: %s does not exist: a size is needed to make it", new->meta.label, params->device);
	return rc;
}

static int format(const tarn_pool_params *params, struct creation *new)
{
	struct local_create create = {
		.uri	   = new->uri,
		.new_file  = new->new_file,
		.overwrite = params->flags &TARN_POOL_OVERWRITE,
		.format	   = { .pool	   = new->meta.uuid,
			       .target	   = new->target,
			       .size	   = ROUND_UP(params->size, 4096), /* a file system may round it anyway */
			       .log_bytes  = params->log_bytes,
			       .node_bytes = params->node_bytes,
			       .meta	   = new->record,
			       .zeroed	   = params->flags &TARN_POOL_ZEROED,
			       .progress   = params->progress,
			       .arg	   = params->arg,
			       .op	   = new->op },
	};
	int rc = 0;

	if (create.format.size == 0)
		rc = local_size(new->uri, &create.format.size);
	if (rc)
		return rc;
	create.format.meta_len = meta_encode(&new->meta, &new->target, create.format.size, new->record);
	return local_create(&create);
}

/* The path behind a URI, for the link in the root. */
static int resolve(const char *uri, char *path)
{
	const char *given = strncmp(uri, "file:", 5) == 0 ? uri + 5 : strncmp(uri, "block:", 6) == 0 ? uri + 6 : uri;
	char	   *real  = realpath(given, NULL);
	int	    rc	  = 0;

	if (!real)
		return base_fail_errno(errno, "cannot resolve %s", given);
	if (strlen(real) >= POOL_PATH_MAX)
		rc = fail(BADPATH, "the path of %s has %zu bytes: the limit is %zu", uri, strlen(real), POOL_PATH_MAX - 1);
	else
		strcpy(path, real);
	free(real);
	return rc;
}

/* Gives the pool its name in the root: the file itself, or a link to the device. */
static int publish(const struct creation *new, bool is_device)
{
	char target[POOL_PATH_MAX];
	int  rc;

	if (is_device) {
		rc = resolve(new->uri, target);
		if (rc)
			return rc;
		if (symlink(target, new->made) != 0)
			return base_fail_errno(errno, "cannot make the link %s", new->made);
	}
	if (rename(new->made, new->path) != 0)
		return base_fail_errno(errno, "cannot name the pool %s", new->path);
	return 0;
}

static int create_locked(const tarn_pool_params *params, struct creation *new, int lock)
{
	struct stat st;
	int	    rc;

	if (lstat(new->path, &st) == 0)
		return fail(EXIST, "there is a pool %s already (%s): choose another label, or destroy it first", new->meta.label,
			    new->path);
	remove_leftovers(lock);
	rc = choose_device(params, new);
	if (rc)
		return rc;
	rc = format(params, new);
	if (rc == 0)
		rc = publish(new, params->device != NULL);
	if (rc) {
		(void)unlink(new->made);
		if (params->device && new->new_file && rc != -TARN_E_EXIST)
			(void)unlink(new->uri + strlen("file:"));
	}
	return rc;
}

/* Labels of listed devices are taken too. */
static int check_label_free(const struct places *places, const char *label)
{
	struct found found;

	if (places->ndevices && find_pool(places, label, &found) == 0)
		return fail(EXIST, "there is a pool %s already (%s): choose another label, or destroy it first", label,
			    found.uri);
	return 0;
}

int pool_create(const struct places *places, const char *label, const tarn_pool_params *params, const struct op *op,
		tarn_uuid *uuid)
{
	struct creation new = { .op = op };
	int lock, rc;

	rc = check_params(label, params);
	if (rc == 0)
		rc = check_label_free(places, label);
	if (rc)
		return rc;
	name_pool(places, label, &new);
	new.meta.request = params->request;
	lock		 = places_lock(places);
	if (lock < 0)
		return lock;
	rc = create_locked(params, &new, lock);
	places_unlock(lock, rc == 0);
	if (rc == 0 && uuid)
		*uuid = new.meta.uuid;
	return rc;
}

static int erase_locked(const struct found *found)
{
	int rc = local_erase(found->uri, &found->meta.uuid);

	if (rc)
		return rc;
	if (*found->name && unlink(found->name) != 0 && errno != ENOENT)
		return base_fail_errno(errno, "the pool is destroyed, but its name %s cannot be removed", found->name);
	return 0;
}

int pool_erase(const struct places *places, const char *name)
{
	struct found found;
	int	     lock, rc;

	rc = find_pool(places, name, &found);
	if (rc)
		return rc;
	lock = places_lock(places);
	if (lock < 0)
		return lock;
	rc = erase_locked(&found);
	places_unlock(lock, rc == 0);
	return rc;
}
