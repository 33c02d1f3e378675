/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme_zones.c: the zones of an NVMe namespace, by passthrough: Zone Management Receive and Send.
 *
 * Always true: what comes in is checked (device.c): whole zones of the device. A report is bytes that nobody trusts: a zone in
 * it that is not where it should be ends the report with an error. Any thread may call: nothing is kept. */
#include "nvme_io.h"

#include <stdlib.h>

#define REPORT_BYTES 4096u
#define HEADER	     64u
#define DESCRIPTOR   64u
#define AT_ONCE	     ((REPORT_BYTES - HEADER) / DESCRIPTOR)
#define PARTIAL	     (1u << 16) /* the number in the header is that of the descriptors that follow */

static int fail_zones(const struct nvme_device *nvme, const char *what, uint64_t offset, int status)
{
	unsigned long long at = offset;

	if (status > 0)
		return nvme_fail_status((uint32_t)status, true, "%s at %llu of %s", what, at, nvme->base.info.uri);
	return base_fail_errno(-status, "%s at %llu of %s", what, at, nvme->base.info.uri);
}

/* The rest of the zone that should be at `offset`; false when another is. */
static bool decode(const struct nvme_device *nvme, const uint8_t *from, uint64_t offset, tarn_dev_zone *zone)
{
	const tarn_dev_info *info = &nvme->base.info;

	*zone = (tarn_dev_zone){
		.offset	  = get64(from + 16) << nvme->shift,
		.bytes	  = MIN(info->zone_bytes, info->size - offset),
		.capacity = get64(from + 8) << nvme->shift,
		.type	  = from[0] & 15,
		.state	  = from[1] >> 4,
	};
	zone->write_pointer = zone_write_pointer(zone, get64(from + 24) << nvme->shift);
	return zone->offset == offset;
}

static int receive(const struct nvme_device *nvme, uint64_t offset, uint8_t *report)
{
	uint64_t		   first   = offset >> nvme->shift;
	struct nvme_passthru_cmd64 command = {
		.opcode	  = NVME_ZONE_RECEIVE,
		.nsid	  = nvme->admin.nsid,
		.addr	  = (uint64_t)(uintptr_t)report,
		.data_len = REPORT_BYTES,
		.cdw10	  = (uint32_t)first,
		.cdw11	  = (uint32_t)(first >> 32),
		.cdw12	  = REPORT_BYTES / 4 - 1,
		.cdw13	  = PARTIAL, /* and the action, and the option, of 0: report zones, all of them */
	};
	int status = nvme_send(nvme, &command, false);

	return status ? fail_zones(nvme, "report zones", offset, status) : 0;
}

/* At most AT_ONCE zones from offset on: how many, or negative. */
static int report_some(const struct nvme_device *nvme, uint64_t offset, tarn_dev_zone *zones, uint32_t room)
{
	_Alignas(8) uint8_t report[REPORT_BYTES] = { 0 };
	uint32_t	    n;
	int		    rc = receive(nvme, offset, report);

	if (rc)
		return rc;
	n = (uint32_t)MIN(get64(report), MIN(room, AT_ONCE));
	for (uint32_t i = 0; i < n; i++, offset += nvme->base.info.zone_bytes)
		if (offset >= nvme->base.info.size || !decode(nvme, report + HEADER + DESCRIPTOR * i, offset, &zones[i]))
			return fail(IO, "report zones of %s: no zone is reported at %llu", nvme->base.info.uri,
				    (unsigned long long)offset);
	return (int)n;
}

int nvme_zone_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count)
{
	struct nvme_device *nvme = nvme_of(dev);
	uint32_t	    n	 = 0;
	int		    got	 = 1;

	if (!dev->info.zoned)
		return device_no_zones_report(dev, offset, zones, count);
	while (got > 0 && n < *count && offset < dev->info.size) {
		got = report_some(nvme, offset, zones + n, *count - n);
		if (got < 0)
			return got;
		n += (uint32_t)got;
		offset += (uint64_t)got * dev->info.zone_bytes;
	}
	*count = n;
	return 0;
}

static const struct {
	uint8_t	    action;
	const char *name;
} actions[] = {
	[DEVICE_ZONE_CLOSE]  = { 1, "close zone" },
	[DEVICE_ZONE_FINISH] = { 2, "finish zone" },
	[DEVICE_ZONE_OPEN]   = { 3, "open zone" },
	[DEVICE_ZONE_RESET]  = { 4, "reset zone" },
};

static int manage_one(const struct nvme_device *nvme, enum device_zone_action action, uint64_t offset)
{
	uint64_t		   first   = offset >> nvme->shift;
	struct nvme_passthru_cmd64 command = {
		.opcode = NVME_ZONE_SEND,
		.nsid	= nvme->admin.nsid,
		.cdw10	= (uint32_t)first,
		.cdw11	= (uint32_t)(first >> 32),
		.cdw13	= actions[action].action,
	};
	int status = nvme_send(nvme, &command, false);

	return status ? fail_zones(nvme, actions[action].name, offset, status) : 0;
}

int nvme_zone_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len;
	int	 rc  = dev->info.zoned ? 0 : device_no_zones_manage(dev, action, offset, len);

	for (; !rc && offset < end; offset += dev->info.zone_bytes)
		rc = manage_one(nvme_of(dev), action, offset);
	return rc;
}
