/* SPDX-License-Identifier: Apache-2.0 */
/* test/nvme_rig.h: what the tests on the emulated NVMe of tests/nvme/run.py share; what the namespaces are stands there. They write to the
 * namespaces, so they run only where TARN_TEST_NVME is set. */
#ifndef TARN_NVME_RIG_H
#define TARN_NVME_RIG_H

#include "harness.h"

#include <tarn/tarn.h>

#define MIB	(UINT64_C(1) << 20)
#define ZONE	(2 * MIB)
#define ZONECAP (1536u << 10)

static const char *const backends[] = { "io_uring_cmd", "ioctl" };

static inline tarn_dev *open_dev(const char *uri, uint32_t flags, const char *backend)
{
	tarn_dev_options options = { .struct_size = sizeof(options), .flags = flags, .backend = backend };
	tarn_dev	*dev	 = NULL;

	assert_ok(tarn_dev_open(uri, &options, &dev));
	return dev;
}

static inline tarn_dev_info info_of(tarn_dev *dev)
{
	tarn_dev_info info = { .struct_size = sizeof(info) };

	assert_ok(tarn_dev_get_info(dev, &info));
	return info;
}

/* True on a machine that is not the rig's, and says so. */
static inline bool is_elsewhere(void)
{
	if (getenv("TARN_TEST_NVME"))
		return false;
	puts("1..0 # SKIP without the emulated NVMe: make test-nvme");
	return true;
}

#endif
