/* SPDX-License-Identifier: Apache-2.0 */
/* api/dev.h: what the calls of tarn/dev.h, dev_queue.h and dev_zone.h share.
 *
 * Always true: a call that waits is counted in its handle while it runs, and an open queue as its handle's child, so the device is not
 * closed under them. What an I/O may be is checked in the device layer, in one place, and not here. */
#ifndef TARN_API_DEV_H
#define TARN_API_DEV_H

#include "../device/device.h"
#include "call.h"
#include "struct.h"

struct tarn_dev {
	struct handle  handle;
	struct device *device;
};

int check_dev(const tarn_dev *dev); /* NO_HDL */

/* One I/O that waits, with the check of the handle. */
int dev_run(tarn_dev *dev, tarn_dev_io *io);

#endif
