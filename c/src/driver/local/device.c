/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/device.c: what is done to a device while no pool is open on it. See local.h. */
#include "local.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_BYTES (128u << 10) /* file systems and partition tables show within these */

int local_size(const char *uri, uint64_t *size)
{
	const struct device_options options = { .readonly = true };
	struct device		   *device;
	int			    rc;

	rc = device_open(uri, &options, &device);
	if (rc)
		return rc;
	*size = device_size(device);
	device_close(device);
	return 0;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static int read_front(struct device *device, void *buf, uint64_t len)
{
	struct device_queue *queue;
	int		     rc;

	rc = device_queue_open(device, 4, &queue);
	if (rc)
		return rc;
	rc = device_read(queue, 0, buf, len);
	device_queue_close(queue);
	return rc;
}

/* A device that holds anything at its front is somebody's. */
static int check_blank(struct device *device)
{
	uint64_t len   = MIN(device_size(device), LOOK_BYTES) / 4096 * 4096;
	uint8_t *front = device_alloc(LOOK_BYTES);
	int	 rc;

	if (!front)
		return fail(NOMEM, "no memory to look at %s", device_info(device)->uri);
	rc = read_front(device, front, len);
	if (!rc && !is_zero(front, len))
		rc = fail(EXIST, "%s holds data already: name another device, or say overwrite to lose what it holds",
			  device_info(device)->uri);
	device_free(front);
	return rc;
}

int local_create(const struct local_create *create)
{
	const struct device_options options = { .create	   = create->new_file,
						.size	   = create->new_file ? create->format.size : 0,
						.exclusive = true };
	struct device		   *device;
	int			    rc;

	rc = device_open(create->uri, &options, &device);
	if (rc)
		return rc;
	if (!create->new_file && !create->overwrite)
		rc = check_blank(device);
	if (!rc)
		rc = store_format(device, &create->format);
	device_close(device);
	return rc;
}

int local_probe(const char *uri, struct store_identity *identity)
{
	const struct device_options options = { .readonly = true };
	struct device		   *device;
	int			    rc;

	rc = device_open(uri, &options, &device);
	if (rc)
		return rc;
	rc = store_probe(device, identity);
	device_close(device);
	return rc;
}

/* The path behind a URI, without symbolic links; the caller frees it. */
static char *path_of(const char *uri)
{
	return realpath(strncmp(uri, "file:", 5) == 0 ? uri + 5 : uri, NULL);
}

static int remove_file(const char *uri)
{
	char *path = path_of(uri);
	int   rc   = 0;

	if (!path || unlink(path) != 0)
		rc = base_fail_errno(errno, "cannot remove the file %s", uri);
	free(path);
	return rc;
}

/* A file goes while it is held, so nobody opens it in between. */
static int erase(struct device *device, const char *uri, const tarn_uuid *pool)
{
	struct store_identity identity;
	int		      rc;

	rc = store_probe(device, &identity);
	if (rc)
		return rc;
	if (memcmp(&identity.pool, pool, sizeof(*pool)) != 0)
		return fail(ID_MISMATCH, "another pool has come to %s: nothing was erased", uri);
	return strcmp(device_info(device)->kind, "file") == 0 ? remove_file(uri) : store_wipe(device);
}

int local_erase(const char *uri, const tarn_uuid *pool)
{
	const struct device_options options = { .exclusive = true };
	struct device		   *device;
	int			    rc;

	rc = device_open(uri, &options, &device);
	if (rc)
		return rc;
	rc = erase(device, uri, pool);
	device_close(device);
	return rc;
}
