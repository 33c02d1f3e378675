/* SPDX-License-Identifier: Apache-2.0 */
/* device/zones.h: zones in software, for mem and sim: the rules of the NVMe Zoned Namespace Command Set.
 *
 * All zones are to be written in order. A write claims its place at the write pointer, which moves at once: so of two writes to a zone
 * that are in flight together the second begins where the first ends. A claim stays when the I/O fails later: a device may have
 * written any part of it. A write opens its zone; when max_open are open, one that was opened by a write is closed for it. */
#ifndef TARN_DEVICE_ZONES_H
#define TARN_DEVICE_ZONES_H

#include "params.h"

struct zones;

/* Makes a range of the device read as zeros: from a reset, under the lock of the zones. */
typedef void zones_wipe(struct device *dev, uint64_t offset, uint64_t len);

/* *zones: NULL when the device has none. */
int  zones_create(const struct device_params *params, zones_wipe *wipe, struct zones **zones);
void zones_destroy(struct zones *zones); /* NULL: nothing */
void zones_describe(const struct device_params *params, tarn_dev_info *info);

/* Before an I/O does anything: 0 when it may; a write, write-zeroes or append has its place then, which an append has in io->offset.
 * INVAL (not at the write pointer), NOSPACE (the zone is full, or too many are open), NOTSUPPORTED (discard). zones NULL: 0. */
int zones_claim(struct zones *zones, tarn_dev_io *io);

/* As the slots of struct device_backend. NOSPACE: too many zones are open, or active. INVAL: a zone is in no state for it; then none of
 * them has changed. */
int zones_report(struct zones *zones, uint64_t offset, tarn_dev_zone *out, uint32_t *count);
int zones_manage(struct zones *zones, struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len);

#endif
