/* SPDX-License-Identifier: Apache-2.0 */
/* device/uri.c: from a URI to a device.
 *
 * Always true: a scheme decides the kind of device; nothing is guessed from a name's form. A bare path must exist, and is what it
 * is: a regular file, or a block device (also through a symbolic link, as in /dev/disk/by-id). One that does not exist is made
 * a regular file, if options->create says so. Any thread may call. */
#include "file.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* "512", "64K", "1G": bytes, in powers of 1024. Stops at the first character that is not part of it. 0 when it is none. */
static uint64_t parse_size(const char *text, const char **end)
{
	static const char  units[] = "KMGT";
	unsigned long long value;
	const char	  *unit;
	char		  *stop;
	unsigned	   shift = 0;

	*end = text;
	if (!isdigit((unsigned char)*text))
		return 0;
	errno = 0;
	value = strtoull(text, &stop, 10);
	unit  = *stop ? strchr(units, *stop) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		stop++;
	}
	*end = stop;
	return errno || value > UINT64_MAX >> shift ? 0 : (uint64_t)value << shift;
}

static int open_mem(const char *rest, const struct device_options *options, struct device **dev)
{
	const char *end;
	uint64_t    size = parse_size(rest, &end);

	(void)options;
	if (!size || *end)
		return fail(INVAL, "mem:%s is not a size: write mem:64M, with K, M, G or T", rest);
	return mem_open(size, dev);
}

/* "?seed=7" or nothing. */
static bool parse_seed(const char *text, uint64_t *seed)
{
	static const char prefix[] = "?seed=";
	char		 *end;

	*seed = 0;
	if (!*text)
		return true;
	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 || !isdigit((unsigned char)text[sizeof(prefix) - 1]))
		return false;
	errno = 0;
	*seed = strtoull(text + sizeof(prefix) - 1, &end, 10);
	return !errno && !*end;
}

static int open_sim(const char *rest, const struct device_options *options, struct device **dev)
{
	const char *end;
	uint64_t    size = parse_size(rest, &end), seed;

	(void)options;
	if (!size || !parse_seed(end, &seed))
		return fail(INVAL, "sim:%s is not a simulated disk: write sim:64M or sim:64M?seed=7", rest);
	return sim_open_private(size, seed, dev);
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

static int open_nvme(const char *rest, const struct device_options *options, struct device **dev)
{
	(void)options;
	*dev = NULL;
	return fail(NOTSUPPORTED, "nvme:%s: NVMe passthrough is not supported; use block: and its block device", rest);
}

static const struct scheme {
	const char *name;
	int (*open)(const char *rest, const struct device_options *options, struct device **dev);
} schemes[] = {
	{ "file:", open_file }, { "block:", open_block }, { "mem:", open_mem }, { "sim:", open_sim }, { "nvme:", open_nvme },
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
	int				   rc;

	if (!uri || !*uri || !dev)
		return fail(INVAL, "open a device without a name: write file:PATH, block:PATH, mem:SIZE or sim:SIZE");
	options = options ? options : &none;
	rc	= open_uri(uri, options, dev);
	if (!rc && options->readonly)
		(*dev)->info.readonly = 1;
	return rc;
}
