/* SPDX-License-Identifier: Apache-2.0 */
/* device/uri.c: from a URI to a device.
 *
 * Always true: a scheme decides the kind of device; nothing is guessed from a name's form. A bare path must exist, and is what
 * it is: a regular file, a block device (also through a symbolic link, as in /dev/disk/by-id), or the character device of an
 * NVMe namespace. One that does not exist is made a regular file, if options->create says so. Any thread may call. */
#include "file.h"
#include "nvme_io.h"
#include "params.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* What has no meaning for memory is refused, not passed over. `exclusive` is true of it anyway. */
static int check_options(const char *scheme, const struct device_options *options)
{
	if (options->create)
		return fail(INVAL, "%s: is made whenever it is opened: open it without asking to create", scheme);
	if (options->buffered)
		return fail(INVAL, "%s: has no page cache: open it without asking for buffered I/O", scheme);
	if (options->backend && strcmp(options->backend, scheme) != 0)
		return fail(INVAL, "backend \"%s\": %s: has its own", options->backend, scheme);
	return 0;
}

static int open_mem(const char *rest, const struct device_options *options, struct device **dev)
{
	struct device_params params;
	int		     rc = check_options("mem", options);

	if (!rc)
		rc = device_params_parse("mem", rest, &params);
	return rc ? rc : mem_open(&params, dev);
}

static int open_sim(const char *rest, const struct device_options *options, struct device **dev)
{
	struct device_params params;
	int		     rc = check_options("sim", options);

	if (!rc)
		rc = device_params_parse("sim", rest, &params);
	return rc ? rc : sim_open_private(&params, dev);
}

static int open_file(const char *path, const struct device_options *options, struct device **dev)
{
	return file_open(path, false, options, dev);
}

/* A device's names in /dev/disk are links: the one place where a link is followed. */
static int open_block(const char *path, const struct device_options *options, struct device **dev)
{
	char real[PATH_MAX];

	if (!realpath(path, real))
		return base_fail_errno(errno, "open %s", path);
	return file_open(real, true, options, dev);
}

static const struct scheme {
	const char *name;
	int (*open)(const char *rest, const struct device_options *options, struct device **dev);
} schemes[] = {
	{ "file:", open_file }, { "block:", open_block }, { "mem:", open_mem }, { "sim:", open_sim }, { "nvme:", nvme_open },
};

static const struct scheme *find_scheme(const char *uri)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (strncmp(uri, schemes[i].name, strlen(schemes[i].name)) == 0)
			return &schemes[i];
	return NULL;
}

/* "foo:1" would be a file's name to one reader and an address to the next. */
static bool looks_like_scheme(const char *uri)
{
	size_t len = strspn(uri, "abcdefghijklmnopqrstuvwxyz0123456789+-_");

	return len && uri[len] == ':';
}

static int open_missing(const char *path, const struct device_options *options, struct device **dev)
{
	if (looks_like_scheme(path))
		return fail(INVAL, "%s: no such scheme; there is file: block: mem: sim:", path);
	if (!options->create)
		return fail(NONEXIST, "%s does not exist: create it first, or check the name", path);
	return open_file(path, options, dev);
}

static int open_bare(const char *path, const struct device_options *options, struct device **dev)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISCHR(st.st_mode) && nvme_is_node(st.st_rdev))
		return nvme_open(path, options, dev);
	if (stat(path, &st) == 0)
		return S_ISBLK(st.st_mode) ? open_block(path, options, dev) : open_file(path, options, dev);
	if (errno != ENOENT)
		return base_fail_errno(errno, "open %s", path);
	return open_missing(path, options, dev);
}

static int open_uri(const char *uri, const struct device_options *options, struct device **dev)
{
	const struct scheme *scheme = find_scheme(uri);
	const char	    *rest;

	if (!scheme)
		return open_bare(uri, options, dev);
	rest = uri + strlen(scheme->name);
	if (!*rest)
		return fail(INVAL, "%s names no device: write file:PATH, block:PATH, mem:SIZE or sim:SIZE", uri);
	return scheme->open(rest, options, dev);
}

int device_open(const char *uri, const struct device_options *options, struct device **dev)
{
	static const struct device_options none;
	struct device_bounce		  *bounce = NULL;
	int				   rc;

	if (!uri || !*uri || !dev)
		return fail(INVAL, "open a device without a name: write file:PATH, block:PATH, mem:SIZE or sim:SIZE");
	options = options ? options : &none;
	rc	= options->bounce ? device_bounce_create(&bounce) : 0;
	if (!rc)
		rc = open_uri(uri, options, dev);
	if (rc) {
		device_bounce_destroy(bounce);
		return rc;
	}
	(*dev)->bounce		= bounce;
	(*dev)->strict		= options->strict;
	(*dev)->write_protected = (*dev)->info.readonly;
	(*dev)->info.readonly |= options->readonly;
	return 0;
}
