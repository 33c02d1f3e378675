/* SPDX-License-Identifier: Apache-2.0 */
/* device/list.h: what tarn_dev_list() and tarn_dev_query() answer with; their contract is tarn/dev.h. */
#ifndef TARN_DEVICE_LIST_H
#define TARN_DEVICE_LIST_H

#include "device.h"

int device_list(tarn_dev_info *infos, size_t *count);
int device_query(const char *uri, tarn_dev_info *info);

#endif
