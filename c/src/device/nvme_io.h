/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme_io.h: what the parts of the passthrough device share: nvme.c opens it, nvme_io.c makes commands and sends them
 * by ioctl, nvme_uring.c by io_uring, nvme_zones.c those of zones. Only files of this folder include it.
 *
 * Always true: nothing in struct nvme_device changes once it is open, so queues read it without a lock. */
#ifndef TARN_DEVICE_NVME_IO_H
#define TARN_DEVICE_NVME_IO_H

#include "backend.h"
#include "nvme.h"

enum nvme_opcode {
	NVME_FLUSH	  = 0x00,
	NVME_WRITE	  = 0x01,
	NVME_READ	  = 0x02,
	NVME_COMPARE	  = 0x05,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DATASET	  = 0x09,
	NVME_ZONE_SEND	  = 0x79,
	NVME_ZONE_RECEIVE = 0x7a,
	NVME_ZONE_APPEND  = 0x7d,
};

/* A range of Dataset Management, little-endian. */
struct nvme_range {
	uint32_t attributes, blocks;
	uint64_t first;
};
_Static_assert(sizeof(struct nvme_range) == 16, "as on the wire");

struct nvme_device {
	struct device	  base; /* first */
	struct nvme_admin admin;
	int		  twin;	 /* the block device, while the namespace is held; or -1 */
	unsigned	  shift; /* a block has 1 << shift bytes */
	uint32_t	  optional_io;
	uint32_t	  discard_blocks; /* in one range */
	uint32_t	  zero_blocks;	  /* in one Write Zeroes */
};

static inline struct nvme_device *nvme_of(struct device *dev)
{
	return container_of(dev, struct nvme_device, base);
}

/* URI nvme:path. As device_open(). */
int  nvme_open(const char *path, const struct device_options *options, struct device **dev);
void nvme_close(struct device *dev); /* the close slot of both backends */

/* Fills the command for a READ, WRITE, FLUSH, WRITE_ZEROES, COMPARE or ZONE_APPEND that one command can do. */
void nvme_fill_command(const struct nvme_device *nvme, const tarn_dev_io *io, struct nvme_passthru_cmd64 *command);
bool nvme_is_one_command(const struct nvme_device *nvme, const tarn_dev_io *io);
/* The result of it: 0, or the error that status (positive) or an errno (negative) means. value: what the completion carried. */
int nvme_io_result(const struct nvme_device *nvme, tarn_dev_io *io, int status, uint64_t value);

/* The run slot of both backends; by ioctl. */
int nvme_run(struct device *dev, tarn_dev_io *io);
/* One command by ioctl: 0, its status (positive), or a negative errno. */
int nvme_send(const struct nvme_device *nvme, struct nvme_passthru_cmd64 *command, bool vector);

/* The zone slots of both backends. */
int nvme_zone_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count);
int nvme_zone_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len);
/* file_zones.c: the write pointer of a zone whose other fields are set: only one that can be written has that which was
 * reported. */
uint64_t zone_write_pointer(const tarn_dev_zone *zone, uint64_t reported);

extern const struct device_backend nvme_uring_backend;
/* 0 when the kernel lets this process use io_uring for passthrough, else negative and a sentence. */
int nvme_uring_check(void);

#endif
