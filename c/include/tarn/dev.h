/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/dev.h: devices: what there are, what they are like, and I/O on them that waits. See dev_queue.h for I/O that does not,
 * dev_zone.h for zones, nvme.h for NVMe admin commands, kvdev.h for key-value devices.
 *
 * A device is named by a URI, whose scheme alone decides what it is:
 *	file:PATH	a regular file
 *	block:PATH	a block device (also by a symbolic link, as in /dev/disk/by-id)
 *	nvme:PATH	the character device of an NVMe namespace (/dev/ng0n1), by passthrough
 *	mem:SIZE	zeroed memory, gone with the handle; ?block=BYTES (512 to 65536), ?zone=SIZE (zoned), with zone_capacity=SIZE,
 *			max_open=N, max_active=N (zones), joined by &
 *	sim:SIZE	a simulated disk, gone with the handle; as mem:, and ?seed=N, error=OP:N (the N-th OP fails with IO), never=OP:N
 *			(the N-th OP of a queue never completes: a cancel ends it); OP: read, write, flush, discard, write_zeroes,
 *			compare, zone_append
 * or by a bare path that exists, and is what it is. SIZE is in bytes, or with K, M, G, T (powers of 1024).
 *
 * Always true: geometry is known once a device is open, or the open fails. Offsets, lengths and memory are multiples of the alignments in
 * tarn_dev_info, or the I/O is refused with INVAL and a sentence that says which value and which alignment; with TARN_DEV_BOUNCE it is
 * done through an aligned buffer, and counted. A short transfer never succeeds. A flush covers writes that had completed before it
 * began. Nothing falls back in silence: info.note says what was not to be had, and TARN_DEV_STRICT refuses instead. Any thread may
 * make any call on a device at any moment; I/O at once to the same bytes has no order. Calls wait for the device; none calls back. */
#ifndef TARN_DEV_H
#define TARN_DEV_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tarn_dev tarn_dev;

#define TARN_DEV_RDWR	   1u  /* open for writing too; without it writes are refused with EP_RO */
#define TARN_DEV_CREATE	   2u  /* make a regular file of create_bytes: EXIST when there is one; with RDWR only */
#define TARN_DEV_EXCLUSIVE 4u  /* hold it: BUSY, naming the holder, when it is mounted or somebody else holds it */
#define TARN_DEV_STRICT	   8u  /* no fallback of any kind: NOTSUPPORTED instead, saying what and why */
#define TARN_DEV_BUFFERED  16u /* a file or block device through the page cache; without it O_DIRECT is tried first */
#define TARN_DEV_BOUNCE	   32u /* misaligned I/O is done through an aligned buffer: see below */

/* With TARN_DEV_BOUNCE a write of a part of a block reads the block, changes it and writes it back. Bounced writes of one handle do not
 * undo each other; another write to the rest of that block at the same moment may be lost. In zones a write is of whole blocks all the
 * same. */

/* Unknown flags are INVAL, and so are bytes behind the fields that this library knows which are not 0, and create_bytes without
 * TARN_DEV_CREATE. A field that lies behind struct_size is taken as 0. A backend that the device does not have is INVAL, and one that
 * is refused here NOTSUPPORTED. */
typedef struct tarn_dev_options {
	size_t	    struct_size;  /* sizeof(tarn_dev_options) */
	uint32_t    flags;	  /* TARN_DEV_... */
	uint64_t    create_bytes; /* with TARN_DEV_CREATE */
	const char *backend;	  /* "io_uring", "threads"; for nvme: "io_uring_cmd", "ioctl". NULL: $TARN_BACKEND, or the best */
} tarn_dev_options;

/* No more than struct_size are written; bytes behind the fields that this library knows become 0. */
typedef struct tarn_dev_info {
	size_t	 struct_size; /* set by the caller: sizeof(tarn_dev_info) */
	char	 uri[256];
	char	 kind[16];	   /* "file", "block", "nvme" (namespace), "nvme-ctrl", "mem", "sim" */
	char	 driver[32];	   /* the kernel's: "nvme", "virtio_blk", "loop", "null_blk"; "" when there is none */
	char	 model[64];	   /* when the kernel tells; else "" */
	char	 serial[64];	   /* the same */
	char	 backend[16];	   /* what does the I/O: "io_uring", "threads", "io_uring_cmd", "ioctl", "mem", "sim" */
	char	 note[128];	   /* what was not to be had, and why; else "" */
	char	 twin[64];	   /* the URI of the same namespace as the other kind of node; "" when there is none */
	uint64_t size;		   /* bytes */
	uint32_t logical_block;	   /* bytes */
	uint32_t physical_block;   /* bytes */
	uint32_t memory_alignment; /* bytes, of buffers */
	uint32_t offset_alignment; /* bytes, of offsets and lengths */
	uint32_t max_transfer;	   /* bytes in one command; a call that waits splits, a queue refuses more */
	uint32_t optimal_io;	   /* bytes; 0: not known */
	uint32_t atomic_write;	   /* bytes that a power cut cannot tear; 0: not known */
	uint32_t direct;	   /* 1: past the page cache */
	uint32_t volatile_cache;   /* 1: a flush is needed for durability; 0: the device says that it has no volatile cache */
	uint32_t rotational;	   /* 1: a spinning disk */
	uint32_t readonly;	   /* 1: it cannot be written; of an open device also: it was opened for reading */
	uint32_t in_use;	   /* 1: mounted, or held by another user */
	uint32_t nsid;		   /* of an NVMe namespace; else 0 */
	uint32_t csi;		   /* NVMe command set: 0 NVM, 1 KV, 2 zoned */
	uint32_t zoned;		   /* 1: see dev_zone.h */
	uint32_t max_open_zones;   /* 0: no limit */
	uint32_t max_active_zones; /* 0: no limit */
	uint32_t zone_count;
	uint64_t zone_bytes;
	uint64_t bounced; /* I/Os that were done through a bounce buffer since the open */
} tarn_dev_info;

/* Lists block devices, NVMe controllers and namespaces (the block and the character node are two entries, each the other's twin) without
 * opening any. *count is the room in infos, then the number there is. infos NULL: count only. infos[0].struct_size holds for all of
 * them, and is the distance from one to the next. Fields that only an open can tell are 0 or "". Errors: TRUNC (the room is too small:
 * *count says how many, and those that fit are there), INVAL, IO, NOMEM. */
TARN_API int tarn_dev_list(tarn_dev_info *infos, size_t *count);

/* What tarn_dev_open() would find, opened read-only for a moment. Errors: as tarn_dev_open(). */
TARN_API int tarn_dev_query(const char *uri, tarn_dev_info *info);

/* options NULL: read-only, the best backend. The URI and the options are copied. Errors: NONEXIST, EXIST, NO_PERM, INVAL (a URI that is
 * none, no device, flags), BUSY, NOSPACE, NOTSUPPORTED, IO, NOMEM. */
TARN_API int tarn_dev_open(const char *uri, const tarn_dev_options *options, tarn_dev **dev);

/* BUSY while a queue of it is open or a call on it is running; then it stays open. Else the handle is gone. It does not flush. */
TARN_API int tarn_dev_close(tarn_dev *dev);

/* What was really chosen. Does not wait. Errors: INVAL (struct_size). */
TARN_API int tarn_dev_get_info(tarn_dev *dev, tarn_dev_info *info);

/* A piece of memory; laid out as struct iovec. */
typedef struct tarn_dev_vec {
	void  *ptr;
	size_t len;
} tarn_dev_vec;

#define TARN_DEV_VEC_MAX 1024u
#define TARN_DEV_DURABLE 1u /* of a write: on the medium, so that it survives a power cut, when it returns 0 */

/* Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to TARN_DEV_VEC_MAX, none of them empty. Errors of
 * all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM, NO_HDL (NULL); of those that change: EP_RO, NOSPACE. After an error of
 * a write the bytes of its range are old or new, block by block. */
TARN_API int tarn_dev_read(tarn_dev *dev, uint64_t offset, void *buf, uint64_t len);
TARN_API int tarn_dev_write(tarn_dev *dev, uint64_t offset, const void *buf, uint64_t len, uint32_t flags);
TARN_API int tarn_dev_readv(tarn_dev *dev, uint64_t offset, const tarn_dev_vec *vec, uint32_t n);
TARN_API int tarn_dev_writev(tarn_dev *dev, uint64_t offset, const tarn_dev_vec *vec, uint32_t n, uint32_t flags);
TARN_API int tarn_dev_flush(tarn_dev *dev);
/* The bytes are not needed any more. In a file, mem: and sim: they read as zeros; in a block device or namespace as it likes, until they
 * are written again. NOTSUPPORTED where there is no discard. */
TARN_API int tarn_dev_discard(tarn_dev *dev, uint64_t offset, uint64_t len);
/* They read as zeros. NOTSUPPORTED where the device or file system has no command for it: then write zeros. */
TARN_API int tarn_dev_write_zeroes(tarn_dev *dev, uint64_t offset, uint64_t len);
/* 0 when the device has these bytes, MISMATCH when not: the sentence says where the first difference is. */
TARN_API int tarn_dev_compare(tarn_dev *dev, uint64_t offset, const void *buf, uint64_t len);

/* Zeroed memory that is aligned for every device (4096), of any length. From 2 MiB on the kernel is asked for transparent huge pages,
 * and with TARN_DEV_HUGE for reserved ones of 2 MiB, which it may not have: then it is as without. Large transfers want either: of a
 * buffer in small pages each page is a segment, and a transfer with more segments than the device takes is cut. So cut many buffers out
 * of one. NULL when there is none, for 0 bytes, and for other flags. The caller frees it, with the same length and flags, when no I/O uses it; to free
 * NULL does nothing. Any thread may call. */
#define TARN_DEV_HUGE 1u
TARN_API void *tarn_dev_alloc(size_t len, uint32_t flags);
TARN_API void  tarn_dev_free(void *buf, size_t len, uint32_t flags);

#ifdef __cplusplus
}
#endif
#endif
