/* SPDX-License-Identifier: Apache-2.0 */
/* device/list.h: what tarn_dev_list() and tarn_dev_query() answer with; their contract is tarn/dev.h. */
#ifndef TARN_DEVICE_LIST_H
#define TARN_DEVICE_LIST_H

#include "device.h"

#include <sys/types.h>

int device_list(tarn_dev_info *infos, size_t *count);
int device_query(const char *uri, tarn_dev_info *info);

/* ---- list.c and list_nvme.c ---- */

/* Where the next device goes. `count` goes on past `room`: it is the number there is. */
struct list {
	tarn_dev_info *infos;
	size_t	       room, count;
};
void list_add(struct list *list, const tarn_dev_info *info);

/* Calls visit for each entry of dir, in order of name. `dir` in visit is that of the entry. */
typedef void (*list_visitor)(void *arg, const char *dir, const char *name);
int list_for_each_entry(const char *dir, list_visitor visit, void *arg);

/* Whether the disk of this name in /sys/block, or a partition of it, is in use. */
bool list_disk_in_use(const char *name);
/* Whether the namespace of this "nvme" is: the node is held, or its disk is in use. */
bool list_generic_in_use(const tarn_dev_info *info);
/* Whether the node that info->uri names is held. */
bool list_is_in_use(const tarn_dev_info *info, mode_t type, dev_t rdev);

/* NVMe controllers, and the character devices of their namespaces. */
void list_nvme(struct list *list);
/* The name of the disk that is the same namespace as the character device at path ("nvme0n1"), or "". */
void list_nvme_twin(const char *path, char *name, size_t len);
/* The URI of the character device that is the same namespace as this disk, or "". */
void list_nvme_generic(const char *disk, char *uri, size_t len);

#endif
