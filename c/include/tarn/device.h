/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/device.h: what devices there are, and what they are like.
 *
 * A device is named by a URI (file:PATH, block:PATH, mem:SIZE, sim:SIZE?seed=N) or by a bare path that exists. Nothing is written
 * here. Any thread may call; the calls wait for metadata only. */
#ifndef TARN_DEVICE_H
#define TARN_DEVICE_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tarn_dev_info {
	char	 uri[256];
	char	 kind[16];	   /* "file", "block", "mem", "sim" */
	char	 model[64];	   /* of a block device, when the kernel tells; else "" */
	char	 backend[16];	   /* what does the I/O: "io_uring", "threads", "mem", "sim" */
	char	 note[128];	   /* why it is not direct, or why io_uring was not taken; else "" */
	uint64_t size;		   /* bytes */
	uint32_t logical_block;	   /* bytes */
	uint32_t physical_block;   /* bytes */
	uint32_t memory_alignment; /* bytes, of buffers */
	uint32_t offset_alignment; /* bytes, of offsets and lengths */
	uint32_t max_transfer;	   /* bytes in one command */
	uint32_t direct;	   /* 1: O_DIRECT */
	uint32_t volatile_cache;   /* 1: a flush is needed for durability, 0: the kernel says there is no volatile cache */
	uint32_t rotational;	   /* 1: a spinning disk */
	uint32_t readonly;
	uint32_t in_use; /* 1: mounted, or held by another user */
} tarn_dev_info;

/* Geometry and identity, read-only. Errors: NONEXIST, NO_PERM, INVAL (a URI that is none, or no device), NOTSUPPORTED. */
TARN_API int tarn_dev_query(const char *uri, tarn_dev_info *info);

/* Lists block devices without opening them: *count is the room in infos, then the number there is. infos NULL: count only. TRUNC
 * when the room is too small. Fields that only an open can tell are 0 or "". */
TARN_API int tarn_dev_list(tarn_dev_info *infos, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
