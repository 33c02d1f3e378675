/* SPDX-License-Identifier: Apache-2.0 */
/* pool/find.c: finding pools by label or UUID, without opening them. See pool.h.
 *
 * A label is looked up by the name of its file, so that one damaged pool never hides another. A UUID is looked up in what the
 * superblocks say, so it is found under any name: a file that was renamed opens by UUID, and by its label it is refused. */
#include "../driver/local/local.h"
#include "pool.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALLEST_FILE 4096 /* bytes; no superblock is shorter */

static int copy_uri(const char *uri, struct found *found)
{
	if (strlen(uri) >= sizeof(found->uri))
		return fail(BADPATH, "the path %.100s... has %zu bytes: the limit is %zu", uri, strlen(uri),
			    sizeof(found->uri) - 1);
	strcpy(found->uri, uri);
	return 0;
}

/* Devices are opened by their own names, not through links. */
static int resolve(const char *name, struct found *found)
{
	char *real = realpath(name, NULL);
	int   rc;

	if (!real)
		return base_fail_errno(errno, "cannot resolve %s", name);
	rc = copy_uri(real, found);
	free(real);
	strcpy(found->name, name);
	return rc;
}

/* A device refuses a file without a block in it, and cannot know what it should have been. */
static int check_file(const char *uri)
{
	struct stat st;

	if (stat(uri, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < SMALLEST_FILE)
		return fail(DF_INVAL, "%s has %lld bytes: it is not a pool, or it was truncated", uri, (long long)st.st_size);
	return 0;
}

static int probe(const char *place, bool in_root, struct found *found)
{
	int rc;

	memset(found, 0, sizeof(*found));
	rc = in_root ? resolve(place, found) : copy_uri(place, found);
	if (rc == 0)
		rc = check_file(found->uri);
	if (rc == 0)
		rc = local_probe(found->uri, &found->identity);
	if (rc == 0)
		rc = meta_decode(found->identity.meta, found->identity.meta_len, &found->meta);
	if (rc)
		return rc;
	if (memcmp(&found->meta.uuid, &found->identity.pool, sizeof(tarn_uuid)) != 0)
		return fail(ID_MISMATCH, "the superblock of %s and the record in it name different pools", place);
	return 0;
}

/* True when it bears the name that its file has. Devices have no such name. */
static bool is_well_named(const struct found *found)
{
	const char *name = strrchr(found->name, '/');
	size_t	    len	 = strlen(found->meta.label);

	return !*found->name ||
	       (name && strncmp(name + 1, found->meta.label, len) == 0 && strcmp(name + 1 + len, POOL_SUFFIX) == 0);
}

static struct found *same_pool(struct found_list *list, const struct found *found)
{
	for (size_t i = 0; i < list->n; i++)
		if (memcmp(&list->pools[i].meta.uuid, &found->meta.uuid, sizeof(tarn_uuid)) == 0)
			return &list->pools[i];
	return NULL;
}

/* Of copies of one pool the one that bears its own name counts. */
static int add(struct found_list *list, const struct found *found)
{
	struct found *same = same_pool(list, found), *grown;

	if (same) {
		if (!is_well_named(same) && is_well_named(found))
			*same = *found;
		return 0;
	}
	grown = realloc(list->pools, (list->n + 1) * sizeof(*grown));
	if (!grown)
		return fail(NOMEM, "no memory to list %zu pools", list->n + 1);
	list->pools	       = grown;
	list->pools[list->n++] = *found;
	return 0;
}

static int look_at(const char *path, bool in_root, struct found_list *list)
{
	struct found found;

	if (probe(path, in_root, &found) == 0)
		return add(list, &found);
	if (list->unreadable++ == 0)
		snprintf(list->why, sizeof(list->why), "%s", base_message());
	base_log(TARN_LOG_WARN, "%s is left out of the list of pools: %s", path, base_message());
	return 0;
}

static bool has_suffix(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(POOL_SUFFIX) && strcmp(name + len - strlen(POOL_SUFFIX), POOL_SUFFIX) == 0;
}

static int look_in_root(const struct places *places, struct found_list *list)
{
	char	       path[POOL_PATH_MAX + 256];
	DIR	      *dir = opendir(places->root);
	struct dirent *entry;
	int	       rc = 0;

	if (!dir)
		return base_fail_errno(errno, "cannot list the root directory %s", places->root);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (!has_suffix(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", places->root, entry->d_name);
		if (strlen(path) < POOL_PATH_MAX)
			rc = look_at(path, true, list);
	}
	closedir(dir);
	return rc;
}

static int by_label(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int		    order = strcmp(x->meta.label, y->meta.label);

	return order ? order : memcmp(&x->meta.uuid, &y->meta.uuid, sizeof(tarn_uuid));
}

int find_all(const struct places *places, struct found_list *list)
{
	int rc;

	memset(list, 0, sizeof(*list));
	rc = look_in_root(places, list);
	for (size_t i = 0; rc == 0 && i < places->ndevices; i++)
		rc = look_at(places->devices[i], false, list);
	if (rc)
		found_list_free(list);
	else if (list->n)
		qsort(list->pools, list->n, sizeof(*list->pools), by_label);
	return rc;
}

void found_list_free(struct found_list *list)
{
	free(list->pools);
	memset(list, 0, sizeof(*list));
}

static int not_found(const struct places *places, const char *name, const struct found_list *list)
{
	if (list->unreadable)
		return fail(NONEXIST, "no pool %s in %s: %zu were read, %u could not be: %s", name, places->root, list->n,
			    list->unreadable, list->why);
	return fail(NONEXIST, "there is no pool %s in %s: create it, or name another root directory", name, places->root);
}

static bool matches(const struct found *found, const char *label, const tarn_uuid *uuid)
{
	if (uuid)
		return memcmp(&found->meta.uuid, uuid, sizeof(*uuid)) == 0;
	return !*found->name && strcmp(found->meta.label, label) == 0;
}

static int find_among_all(const struct places *places, const char *name, const tarn_uuid *uuid, struct found *found)
{
	struct found_list list;
	int		  rc;

	rc = find_all(places, &list);
	if (rc)
		return rc;
	rc = -TARN_E_NONEXIST;
	for (size_t i = 0; rc && i < list.n; i++) {
		if (!matches(&list.pools[i], name, uuid))
			continue;
		*found = list.pools[i];
		rc     = 0;
	}
	if (rc)
		rc = not_found(places, name, &list);
	found_list_free(&list);
	return rc;
}

static int find_file(const char *path, const char *label, struct found *found)
{
	char uuid[37];
	int  rc;

	rc = probe(path, true, found);
	if (rc)
		return base_fail(-rc, "pool %s: %s", label, base_message());
	if (strcmp(found->meta.label, label) == 0)
		return 0;
	tarn_uuid_format(&found->meta.uuid, uuid);
	return fail(ID_MISMATCH,
		    "%s" POOL_SUFFIX " holds another pool, %s (%s): give the file its own name, or open the pool by UUID", label,
		    found->meta.label, uuid);
}

int find_pool(const struct places *places, const char *name, struct found *found)
{
	char	  path[POOL_PATH_MAX];
	tarn_uuid uuid;
	int	  rc;

	if (name && tarn_uuid_parse(name, &uuid) == 0)
		return find_among_all(places, name, &uuid, found);
	rc = label_check("pool", name);
	if (rc)
		return rc;
	places_path(places, name, path);
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return find_file(path, name, found);
	return find_among_all(places, name, NULL, found);
}
