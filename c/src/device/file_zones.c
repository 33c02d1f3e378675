/* SPDX-License-Identifier: Apache-2.0 */
/* device/file_zones.c: the zones of zoned block devices, by Linux's ioctls.
 *
 * Always true: what comes in is checked (device.c), what goes out is in bytes; the kernel counts in sectors of 512 bytes.
 * Nothing is kept: the kernel is asked each time, so any thread may call. */
#include "file.h"
#include "nvme_io.h"

#include <errno.h>
#include <linux/blkzoned.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define SECTOR	 512u
#define AT_ONCE	 512u /* zones in one report */
#define CAPACITY BLK_ZONE_REP_CAPACITY

/* Linux numbers types and states as NVMe does. */
#define SAME(ours, linux_s) _Static_assert((int)TARN_ZONE_##ours == (int)BLK_ZONE_##linux_s, #ours)
SAME(CONVENTIONAL, TYPE_CONVENTIONAL);
SAME(SEQUENTIAL, TYPE_SEQWRITE_REQ);
SAME(SEQUENTIAL_PREFERED, TYPE_SEQWRITE_PREF);
SAME(NOT_WRITE_POINTER, COND_NOT_WP);
SAME(EMPTY, COND_EMPTY);
SAME(IMPLICITLY_OPEN, COND_IMP_OPEN);
SAME(EXPLICITLY_OPEN, COND_EXP_OPEN);
SAME(CLOSED, COND_CLOSED);
SAME(READ_ONLY, COND_READONLY);
SAME(FULL, COND_FULL);
SAME(OFFLINE, COND_OFFLINE);

/* Only a zone that can be written has a write pointer; that of others is what a driver likes. */
uint64_t zone_write_pointer(const tarn_dev_zone *zone, uint64_t reported)
{
	switch (zone->state) {
	case TARN_ZONE_IMPLICITLY_OPEN:
	case TARN_ZONE_EXPLICITLY_OPEN:
	case TARN_ZONE_CLOSED:
		return reported;
	case TARN_ZONE_FULL:
		return zone->offset + zone->capacity;
	default:
		return zone->offset;
	}
}

/* Before Linux 5.9 a report has no capacity: it is the length. */
static void fill(tarn_dev_zone *zone, const struct blk_zone *from, bool has_capacity)
{
	zone->offset	    = from->start * SECTOR;
	zone->bytes	    = from->len * SECTOR;
	zone->capacity	    = has_capacity ? from->capacity * SECTOR : zone->bytes;
	zone->type	    = from->type;
	zone->state	    = from->cond;
	zone->write_pointer = zone_write_pointer(zone, from->wp * SECTOR);
}

static int ioctl_retry(int fd, unsigned long request, void *arg)
{
	int rc;

	do
		rc = ioctl(fd, request, arg);
	while (rc < 0 && errno == EINTR);
	return rc;
}

/* The zones from offset on, at most AT_ONCE: how many, or negative. */
static int report_some(const struct file *f, struct blk_zone_report *report, uint64_t offset, tarn_dev_zone *zones, uint32_t room)
{
	report->sector	 = offset / SECTOR;
	report->nr_zones = MIN(room, AT_ONCE);
	report->flags	 = 0;
	if (ioctl_retry(f->fd, BLKREPORTZONE, report) < 0)
		return base_fail_errno(errno, "report zones of %s from %llu on", f->base.info.uri, (unsigned long long)offset);
	for (uint32_t i = 0; i < report->nr_zones; i++)
		fill(&zones[i], &report->zones[i], report->flags & CAPACITY);
	return (int)report->nr_zones;
}

int file_zone_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count)
{
	const struct file      *f      = file_of(dev);
	struct blk_zone_report *report = malloc(sizeof(*report) + AT_ONCE * sizeof(report->zones[0]));
	uint32_t		n      = 0;
	int			got    = 1;

	if (!report)
		return fail(NOMEM, "no memory to report zones of %s", dev->info.uri);
	while (got > 0 && n < *count && offset < dev->info.size) {
		got = report_some(f, report, offset, zones + n, *count - n);
		if (got > 0) {
			n += (uint32_t)got;
			offset = zones[n - 1].offset + zones[n - 1].bytes;
		}
	}
	free(report);
	if (got < 0)
		return got;
	*count = n;
	return 0;
}

static const struct {
	unsigned long request;
	const char   *name;
} actions[] = {
	[DEVICE_ZONE_OPEN]   = { BLKOPENZONE, "open zone" },
	[DEVICE_ZONE_CLOSE]  = { BLKCLOSEZONE, "close zone" },
	[DEVICE_ZONE_FINISH] = { BLKFINISHZONE, "finish zone" },
	[DEVICE_ZONE_RESET]  = { BLKRESETZONE, "reset zone" },
};

/* How Linux says that no more zones may be open, or active. */
static bool is_limit(int sys_errno)
{
	return sys_errno == ETOOMANYREFS || sys_errno == EOVERFLOW;
}

static int fail_limit(const struct device *dev, const char *what, uint64_t at)
{
	return fail(NOSPACE, "%s at %llu: at most %u zones may be open and %u active: close, finish or reset some", what,
		    (unsigned long long)at, dev->info.max_open_zones, dev->info.max_active_zones);
}

static int fail_manage(const struct device *dev, const char *what, uint64_t offset, int sys_errno)
{
	if (is_limit(sys_errno))
		return fail_limit(dev, what, offset);
	if (sys_errno == ENOTTY)
		return fail(NOTSUPPORTED, "%s: this kernel (before 5.5) has only report and reset", what);
	return base_fail_errno(sys_errno, "%s at %llu of %s", what, (unsigned long long)offset, dev->info.uri);
}

int file_zone_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len)
{
	struct blk_zone_range range = { offset / SECTOR, len / SECTOR };

	if (ioctl_retry(file_of(dev)->fd, actions[action].request, &range) < 0)
		return fail_manage(dev, actions[action].name, offset, errno);
	return 0;
}

/* What the state of the zone says about a write that failed at `at`; 0: nothing. */
static int explain_state(const tarn_dev_zone *zone, uint64_t at, uint64_t len)
{
	unsigned long long begin = zone->offset, pointer = zone->write_pointer;

	if (zone->type == TARN_ZONE_CONVENTIONAL)
		return 0;
	if (zone->state == TARN_ZONE_READ_ONLY)
		return fail(EP_RO, "write at %llu: the zone at %llu can only be read", (unsigned long long)at, begin);
	if (zone->state == TARN_ZONE_FULL || (at == pointer && len > begin + zone->capacity - pointer))
		return fail(NOSPACE, "write of %llu at %llu: the zone at %llu is full at %llu", (unsigned long long)len,
			    (unsigned long long)at, begin, begin + zone->capacity);
	if (zone->state != TARN_ZONE_OFFLINE && at != pointer)
		return fail(INVAL, "write at %llu: the zone is written at its write pointer, %llu", (unsigned long long)at,
			    pointer);
	return 0;
}

int file_zone_explain(const struct file *f, uint64_t at, uint64_t len, int sys_errno)
{
	struct blk_zone_report *report;
	tarn_dev_zone		zone;
	int			rc;

	if (is_limit(sys_errno))
		return fail_limit(&f->base, "write", at);
	report = sys_errno == EIO ? malloc(sizeof(*report) + sizeof(report->zones[0])) : NULL;
	rc     = report && report_some(f, report, at, &zone, 1) == 1 ? explain_state(&zone, at, len) : 0;
	free(report);
	return rc;
}
