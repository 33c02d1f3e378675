/* SPDX-License-Identifier: Apache-2.0 */
/* device/sysfs.c: what the kernel tells of a block device in /sys, without opening the device.
 *
 * Always true: what is absent stays as it was, or is 0 or ""; nothing here fails. Any thread may call. A partition has a directory
 * of its own for its size, and its disk's directory (the parent) for the queue and the model. */
#include "file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SYSFS_SECTOR 512u /* the unit of "size", whatever the block size is */

static void trim(char *text)
{
	size_t len = strlen(text);

	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		text[--len] = '\0';
}

bool sysfs_text(const char *dir, const char *name, char *text, size_t len)
{
	char	path[192];
	ssize_t n;
	int	fd;

	text[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, len - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	trim(text);
	return n > 0;
}

uint64_t sysfs_number(const char *dir, const char *name, uint64_t absent)
{
	char		   text[32], *end;
	unsigned long long value;

	if (!sysfs_text(dir, name, text, sizeof(text)))
		return absent;
	value = strtoull(text, &end, 10);
	return end == text ? absent : value;
}

bool sysfs_device(dev_t rdev, char dir[64])
{
	snprintf(dir, 64, "/sys/dev/block/%u:%u", major(rdev), minor(rdev));
	return access(dir, F_OK) == 0;
}

/* "write back" has a volatile cache; without a word about it there may be one. */
static uint32_t has_volatile_cache(const char *disk)
{
	char text[32];

	return !sysfs_text(disk, "queue/write_cache", text, sizeof(text)) || strcmp(text, "write through") != 0;
}

/* The last part of the path that the link at dir/name leads to; "" when there is none. */
static void link_end(const char *dir, const char *name, char *text, size_t len)
{
	char	    path[192], target[256];
	const char *end;
	ssize_t	    n = -1;

	text[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path))
		n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	end	  = strrchr(target, '/');
	snprintf(text, len, "%.*s", (int)len - 1, end ? end + 1 : target);
}

/* What stands behind "DEVNAME=": "loop0". "" when there is none. */
static void kernel_name(const char *disk, char *name, size_t len)
{
	char	    text[256];
	const char *found;

	sysfs_text(disk, "uevent", text, sizeof(text));
	found = strstr(text, "DEVNAME=");
	snprintf(name, len, "%.*s", found ? (int)strcspn(found + 8, "\n") : 0, found ? found + 8 : "");
}

/* Devices that are not on a bus have no link to their driver; a namespace with several paths neither. */
static void driver_by_name(const char *disk, char *driver, size_t len)
{
	static const struct {
		const char *prefix, *driver;
	} known[] = {
		{ "loop", "loop" }, { "nullb", "null_blk" }, { "dm-", "device-mapper" }, { "md", "md" },
		{ "zram", "zram" }, { "ram", "brd" },	     { "nbd", "nbd" },		 { "nvme", "nvme" },
	};
	char name[64];

	kernel_name(disk, name, sizeof(name));
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strncmp(name, known[i].prefix, strlen(known[i].prefix)) == 0)
			snprintf(driver, len, "%s", known[i].driver);
}

/* The device of a disk has the driver; of an NVMe namespace the device of its controller. */
static void describe_identity(const char *disk, tarn_dev_info *info)
{
	link_end(disk, "device/driver", info->driver, sizeof(info->driver));
	if (!*info->driver)
		link_end(disk, "device/device/driver", info->driver, sizeof(info->driver));
	if (!*info->driver)
		driver_by_name(disk, info->driver, sizeof(info->driver));
	sysfs_text(disk, "device/model", info->model, sizeof(info->model));
	if (!sysfs_text(disk, "device/serial", info->serial, sizeof(info->serial)))
		sysfs_text(disk, "serial", info->serial, sizeof(info->serial));
}

/* A partition's zones are those that lie in it. */
static void describe_zones(const char *disk, tarn_dev_info *info)
{
	char model[32];

	info->zone_bytes = sysfs_number(disk, "queue/chunk_sectors", 0) * SYSFS_SECTOR;
	info->zoned = sysfs_text(disk, "queue/zoned", model, sizeof(model)) && strcmp(model, "none") != 0 && info->zone_bytes;
	if (!info->zoned) {
		info->zone_bytes = 0; /* of a RAID it is the chunk */
		return;
	}
	info->zone_count       = (uint32_t)DIV_UP(info->size, info->zone_bytes);
	info->max_open_zones   = (uint32_t)sysfs_number(disk, "queue/max_open_zones", 0);
	info->max_active_zones = (uint32_t)sysfs_number(disk, "queue/max_active_zones", 0);
}

/* Since Linux 6.8 the command set is told; before, that it is the zoned one shows. */
static void describe_namespace(const char *disk, tarn_dev_info *info)
{
	info->nsid = (uint32_t)sysfs_number(disk, "nsid", 0);
	if (info->nsid)
		info->csi = (uint32_t)sysfs_number(disk, "csi", info->zoned ? 2 : 0);
}

void sysfs_describe(const char *dir, tarn_dev_info *info)
{
	char disk[96];

	snprintf(disk, sizeof(disk), sysfs_number(dir, "partition", 0) ? "%s/.." : "%s", dir);
	describe_identity(disk, info);
	info->size	       = sysfs_number(dir, "size", 0) * SYSFS_SECTOR;
	info->logical_block    = (uint32_t)sysfs_number(disk, "queue/logical_block_size", SYSFS_SECTOR);
	info->physical_block   = (uint32_t)sysfs_number(disk, "queue/physical_block_size", info->logical_block);
	info->memory_alignment = (uint32_t)sysfs_number(disk, "queue/dma_alignment", info->logical_block - 1) + 1;
	info->offset_alignment = info->logical_block;
	info->max_transfer     = (uint32_t)MIN(sysfs_number(disk, "queue/max_sectors_kb", 1024), 1u << 20) * 1024;
	info->optimal_io       = (uint32_t)sysfs_number(disk, "queue/optimal_io_size", 0);
	info->atomic_write     = (uint32_t)sysfs_number(disk, "queue/atomic_write_unit_max_bytes", 0);
	info->volatile_cache   = has_volatile_cache(disk);
	info->rotational       = sysfs_number(disk, "queue/rotational", 0) != 0;
	info->readonly	       = sysfs_number(dir, "ro", 0) != 0;
	describe_zones(disk, info);
	describe_namespace(disk, info);
}
