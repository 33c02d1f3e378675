/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/dev_zone.h: zoned devices (zoned block devices of Linux; NVMe Zoned Namespace Command Set; mem: and sim: with ?zone=SIZE).
 *
 * A zone is written from its write pointer on, in order, and reset as a whole. Offsets and lengths are in bytes, and those of zones are
 * multiples of info.zone_bytes. As in dev.h any thread may call, and calls wait for the device. All of these are NOTSUPPORTED on a device
 * that is not zoned. */
#ifndef TARN_DEV_ZONE_H
#define TARN_DEV_ZONE_H

#include <tarn/dev.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The NVMe numbers of zone types and states. */
typedef enum tarn_dev_zone_type {
	TARN_ZONE_CONVENTIONAL	      = 1,
	TARN_ZONE_SEQUENTIAL	      = 2,
	TARN_ZONE_SEQUENTIAL_PREFERED = 3,
} tarn_dev_zone_type;

typedef enum tarn_dev_zone_state {
	TARN_ZONE_NOT_WRITE_POINTER = 0,
	TARN_ZONE_EMPTY		    = 1,
	TARN_ZONE_IMPLICITLY_OPEN   = 2,
	TARN_ZONE_EXPLICITLY_OPEN   = 3,
	TARN_ZONE_CLOSED	    = 4,
	TARN_ZONE_READ_ONLY	    = 13,
	TARN_ZONE_FULL		    = 14,
	TARN_ZONE_OFFLINE	    = 15,
} tarn_dev_zone_state;

typedef struct tarn_dev_zone {
	uint64_t offset;	/* where it begins */
	uint64_t bytes;		/* to the next zone */
	uint64_t capacity;	/* bytes that can be written, from offset on */
	uint64_t write_pointer; /* the offset of the next write */
	uint32_t type;		/* tarn_dev_zone_type */
	uint32_t state;		/* tarn_dev_zone_state */
} tarn_dev_zone;

/* The zones from the one at `offset` on. *count is the room in zones, at least 1, then how many were written there: fewer than the room only
 * at the end of the device. INVAL (offset, no room), IO. */
TARN_API int tarn_dev_zone_report(tarn_dev *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count);

/* Of the zones in [offset, offset + len). EP_RO, INVAL, IO; NOSPACE from an open of too many zones. A reset loses their data. */
TARN_API int tarn_dev_zone_open(tarn_dev *dev, uint64_t offset, uint64_t len);
TARN_API int tarn_dev_zone_close(tarn_dev *dev, uint64_t offset, uint64_t len);
TARN_API int tarn_dev_zone_finish(tarn_dev *dev, uint64_t offset, uint64_t len);
TARN_API int tarn_dev_zone_reset(tarn_dev *dev, uint64_t offset, uint64_t len);

/* Writes at the zone's write pointer, wherever that is by then: *where says. zone: its offset. At most info.max_transfer bytes. Errors: as a
 * write; NOSPACE (the zone is full). NOTSUPPORTED by block devices: Linux has no append from user space but by passthrough (nvme:). */
TARN_API int tarn_dev_zone_append(tarn_dev *dev, uint64_t zone, const void *buf, uint64_t len, uint64_t *where);

#ifdef __cplusplus
}
#endif
#endif
