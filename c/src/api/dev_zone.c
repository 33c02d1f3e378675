/* SPDX-License-Identifier: Apache-2.0 */
/* api/dev_zone.c: zoned devices (tarn/dev_zone.h). */
#include "dev.h"
#include <stdatomic.h>

static int report(tarn_dev *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count)
{
	_Atomic uint32_t *calls = handle_enter(&dev->handle);
	int		  rc	= device_zone_report(dev->device, offset, zones, count);

	handle_leave(calls);
	return rc;
}

int tarn_dev_zone_report(tarn_dev *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count)
{
	int rc = check_dev(dev);

	if (rc)
		return rc;
	if (!count || !zones || *count == 0)
		return fail(INVAL, "tarn_dev_zone_report: %s",
			    !count   ? "count is NULL"
			    : !zones ? "zones is NULL"
				     : "there is room for no zone (*count is 0)");
	return report(dev, offset, zones, count);
}

static int manage(tarn_dev *dev, enum device_zone_action action, uint64_t offset, uint64_t len)
{
	int		  rc = check_dev(dev);
	_Atomic uint32_t *calls;

	if (rc)
		return rc;
	calls = handle_enter(&dev->handle);
	rc    = device_zone_manage(dev->device, action, offset, len);
	handle_leave(calls);
	return rc;
}

int tarn_dev_zone_open(tarn_dev *dev, uint64_t offset, uint64_t len)
{
	return manage(dev, DEVICE_ZONE_OPEN, offset, len);
}

int tarn_dev_zone_close(tarn_dev *dev, uint64_t offset, uint64_t len)
{
	return manage(dev, DEVICE_ZONE_CLOSE, offset, len);
}

int tarn_dev_zone_finish(tarn_dev *dev, uint64_t offset, uint64_t len)
{
	return manage(dev, DEVICE_ZONE_FINISH, offset, len);
}

int tarn_dev_zone_reset(tarn_dev *dev, uint64_t offset, uint64_t len)
{
	return manage(dev, DEVICE_ZONE_RESET, offset, len);
}

int tarn_dev_zone_append(tarn_dev *dev, uint64_t zone, const void *buf, uint64_t len, uint64_t *where)
{
	tarn_dev_io io = { .opcode = TARN_DEV_ZONE_APPEND, .offset = zone, .buf = (void *)(uintptr_t)buf, .len = len };
	int	    rc = check_dev(dev);

	if (rc == 0 && !where)
		rc = fail(INVAL, "tarn_dev_zone_append: where is NULL: it takes the offset of the data");
	if (rc == 0)
		rc = dev_run(dev, &io);
	if (rc == 0)
		*where = io.offset;
	return rc;
}
