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

void sysfs_describe(const char *dir, tarn_dev_info *info)
{
	char disk[96];

	snprintf(disk, sizeof(disk), sysfs_number(dir, "partition", 0) ? "%s/.." : "%s", dir);
	sysfs_text(disk, "device/model", info->model, sizeof(info->model));
	info->size	       = sysfs_number(dir, "size", 0) * SYSFS_SECTOR;
	info->logical_block    = (uint32_t)sysfs_number(disk, "queue/logical_block_size", SYSFS_SECTOR);
	info->physical_block   = (uint32_t)sysfs_number(disk, "queue/physical_block_size", info->logical_block);
	info->memory_alignment = (uint32_t)sysfs_number(disk, "queue/dma_alignment", info->logical_block - 1) + 1;
	info->offset_alignment = info->logical_block;
	info->max_transfer     = (uint32_t)MIN(sysfs_number(disk, "queue/max_sectors_kb", 1024), 1u << 20) * 1024;
	info->volatile_cache   = has_volatile_cache(disk);
	info->rotational       = sysfs_number(disk, "queue/rotational", 0) != 0;
	info->readonly	       = sysfs_number(dir, "ro", 0) != 0;
}
