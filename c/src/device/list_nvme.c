/* SPDX-License-Identifier: Apache-2.0 */
/* device/list_nvme.c: NVMe controllers, and the character devices of NVMe namespaces.
 *
 * Always true: as in list.c, nothing is opened and nothing changes. Linux names the two nodes of a namespace alike: ng0n1 and
 * nvme0n1. Which is which is read from the node's number, and never from the name of a path. Any thread may call. */
#include "file.h"
#include "list.h"

#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CONTROLLERS "/sys/class/nvme"
#define NAMESPACES  "/sys/class/nvme-generic"
#define DISKS	    "/sys/class/block"

/* "nvme" becomes "ng", or the other way round; "" when the name does not begin so, or no such entry is in dir. */
static void rename_twin(const char *name, const char *from, const char *to, const char *dir, char *twin, size_t len)
{
	char path[128];

	twin[0] = '\0';
	if (strncmp(name, from, strlen(from)) != 0)
		return;
	snprintf(path, sizeof(path), "%s/%s%.60s", dir, to, name + strlen(from));
	if (access(path, F_OK) == 0)
		snprintf(twin, len, "%s", path + strlen(dir) + 1);
}

static void disk_of(const char *generic, char *disk, size_t len)
{
	rename_twin(generic, "ng", "nvme", DISKS, disk, len);
}

/* The name that the kernel gives a character device: the end of the link for its number. */
static bool name_of_node(const char *path, char *name, size_t len)
{
	char	    link[64], target[256], *end;
	struct stat st;
	ssize_t	    n;

	if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode))
		return false;
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	end	  = strrchr(target, '/');
	snprintf(name, len, "%.60s", end ? end + 1 : target);
	return true;
}

void list_nvme_twin(const char *path, char *name, size_t len)
{
	char generic[64];

	name[0] = '\0';
	if (name_of_node(path, generic, sizeof(generic)))
		disk_of(generic, name, len);
}

void list_nvme_generic(const char *disk, char *uri, size_t len)
{
	char name[64];

	rename_twin(disk, "nvme", "ng", NAMESPACES, name, sizeof(name));
	if (*name)
		snprintf(uri, len, "nvme:/dev/%.50s", name);
	else
		uri[0] = '\0';
}

bool list_generic_in_use(const tarn_dev_info *info)
{
	const char *path = strchr(info->uri, '/');
	char	    disk[64];
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return false;
	list_nvme_twin(path, disk, sizeof(disk));
	return list_is_in_use(info, S_IFCHR, st.st_rdev) || (*disk && list_disk_in_use(disk));
}

/* What the controller's directory says. */
static void describe_controller(const char *dir, tarn_dev_info *info)
{
	sysfs_text(dir, "model", info->model, sizeof(info->model));
	sysfs_text(dir, "serial", info->serial, sizeof(info->serial));
	snprintf(info->driver, sizeof(info->driver), "nvme");
}

static void add_controller(void *arg, const char *dir, const char *name)
{
	tarn_dev_info info = { .kind = "nvme-ctrl" };

	describe_controller(dir, &info);
	snprintf(info.uri, sizeof(info.uri), "nvme:/dev/%.60s", name);
	list_add(arg, &info);
}

/* The disk of the same namespace knows most of it; there is none for a command set without blocks. */
static void describe_namespace(const char *dir, const char *disk, tarn_dev_info *info)
{
	char path[128];

	snprintf(path, sizeof(path), "%.100s/device", dir);
	describe_controller(path, info);
	if (!*disk)
		return;
	snprintf(path, sizeof(path), DISKS "/%.60s", disk);
	sysfs_describe(path, info);
	snprintf(info->twin, sizeof(info->twin), "block:/dev/%.50s", disk);
}

static void add_namespace(void *arg, const char *dir, const char *name)
{
	tarn_dev_info info = { .kind = "nvme" };
	char	      disk[64];

	disk_of(name, disk, sizeof(disk));
	describe_namespace(dir, disk, &info);
	snprintf(info.uri, sizeof(info.uri), "nvme:/dev/%.60s", name);
	info.in_use = list_generic_in_use(&info);
	list_add(arg, &info);
}

/* A machine without NVMe has no such directories. */
static void visit_class(struct list *list, const char *dir, list_visitor visit)
{
	if (access(dir, F_OK) == 0)
		list_for_each_entry(dir, visit, list);
}

void list_nvme(struct list *list)
{
	visit_class(list, CONTROLLERS, add_controller);
	visit_class(list, NAMESPACES, add_namespace);
}
