/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/kvdev.h: key-value devices: the NVMe Key Value Command Set (NVM Express KV Command Set 1.0).
 *
 * A namespace is the object "nvme-kv" of a container, and the command set is done in software: durable as every put of the container is. Keys have
 * 1 to 16 bytes; a value 0 to TARN_VALUE_MAX, or the container's limit. With ev NULL a call waits; otherwise its result arrives in
 * ev (event.h). Keys and values that are stored are copied before the call returns. Any thread may call. Errors of all: IO, CSUM, NOMEM,
 * NO_HDL, KEY2BIG (over 16 bytes), INVAL (no key); of those that change: NOSPACE, EP_RO. */
#ifndef TARN_KVDEV_H
#define TARN_KVDEV_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_KVDEV_KEY_MAX 16u

typedef struct tarn_kvdev tarn_kvdev;

typedef struct tarn_kvdev_info {
	size_t	 struct_size; /* set by the caller: sizeof(tarn_kvdev_info) */
	uint32_t key_max;     /* bytes */
	uint32_t reserved;
	uint64_t value_max; /* bytes */
	uint64_t key_count;
	uint64_t capacity; /* bytes, of the pool */
	uint64_t used;	   /* bytes, of the pool */
} tarn_kvdev_info;

/* The namespace in that container, which is made when it is not there and the container may be written; else NONEXIST. cont stays open until
 * the close. NOTYPE when the container is not of type KV. */
TARN_API int tarn_kvdev_open(tarn_cont *cont, tarn_kvdev **dev, tarn_event *ev);
TARN_API int tarn_kvdev_close(tarn_kvdev *dev); /* BUSY while a call on it is running */
/* Waits for the device. Errors also: INVAL (struct_size). */
TARN_API int tarn_kvdev_get_info(tarn_kvdev *dev, tarn_kvdev_info *info);

#define TARN_KVDEV_UPDATE 1u /* only when the key is there: else NONEXIST (store option 0) */
#define TARN_KVDEV_ADD	  2u /* only when it is not: else EXIST (store option 1) */

/* Opcode 01h. Errors: REC2BIG, INVAL (both options), EXIST, NONEXIST. */
TARN_API int tarn_kvdev_store(tarn_kvdev *dev, tarn_buf key, tarn_buf val, uint32_t options, tarn_event *ev);

/* Opcode 02h. *len is the room in buf, then the value's size, whatever the room. The first of its bytes that fit are copied: so a value
 * larger than buf is not an error here, as it is none there. buf and len are lent until the result has arrived. NONEXIST. */
TARN_API int tarn_kvdev_retrieve(tarn_kvdev *dev, tarn_buf key, void *buf, size_t *len, tarn_event *ev);

/* Opcode 10h. NONEXIST. */
TARN_API int tarn_kvdev_delete(tarn_kvdev *dev, tarn_buf key, tarn_event *ev);

/* Opcode 14h: 0 or NONEXIST. */
TARN_API int tarn_kvdev_exist(tarn_kvdev *dev, tarn_buf key, tarn_event *ev);

/* Opcode 06h: the keys from `from` on (itself too, when it is there; empty: from the first), in bytewise order, as many as fit, into buf in the
 * command's own format, little-endian: a u32 count; then for each a u16 length and the key, padded with zeros to a multiple of 4 bytes. *len is
 * the room (at least 24), then what was used. To go on, list from the last key and leave it out; a list whose only key is `from` was the
 * last. buf and len are lent until the result has arrived. INVAL (the room). */
TARN_API int tarn_kvdev_list(tarn_kvdev *dev, tarn_buf from, void *buf, size_t *len, tarn_event *ev);

/* The NVMe status code (of status code type 1, without the type) that says the same as a result of these: 0, 81h capacity exceeded, 85h
 * value size, 86h key size, 87h no such key, 89h key exists; 88h unrecovered for what has no status of its own. */
TARN_API uint16_t tarn_kvdev_status(int rc);

#ifdef __cplusplus
}
#endif
#endif
