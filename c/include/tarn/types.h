/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/types.h: what every other header uses, and the limits.
 *
 * Sizes are in bytes. Strings are UTF-8, NUL-terminated, and copied by the call that takes them. */
#ifndef TARN_TYPES_H
#define TARN_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TARN_API __attribute__((visibility("default")))
#else
#define TARN_API
#endif

#define TARN_VERSION_MAJOR 0
#define TARN_VERSION_MINOR 1
#define TARN_VERSION_PATCH 0

#define TARN_KEY_MAX	     65536u		 /* a key has 1 to this many bytes, of any value: KEY2BIG above */
#define TARN_VALUE_MAX	     (UINT64_C(4) << 30) /* a value has 0 to this many bytes: REC2BIG above */
#define TARN_LABEL_MAX	     127u		 /* a label has 1 to this many of [A-Za-z0-9.:_-] and is not a UUID: INVAL */
#define TARN_OBJECT_NAME_MAX 255u		 /* an object's name has 1 to this many bytes, no NUL and no '/' */
#define TARN_POOL_SIZE_MIN   (UINT64_C(4) << 20) /* the smallest pool */
#define TARN_BATCH_MAX	     65536u		 /* mutations in one batch: INVAL above */
#define TARN_MESSAGE_MAX     256u		 /* the sentence of an error, NUL included */

/* Bytes lent to a call. len 0 with ptr NULL is the empty string. */
typedef struct tarn_buf {
	const void *ptr;
	size_t	    len;
} tarn_buf;

typedef struct tarn_uuid {
	uint8_t bytes[16];
} tarn_uuid;

typedef struct tarn_system tarn_system; /* where pools are found */
typedef struct tarn_pool   tarn_pool;
typedef struct tarn_cont   tarn_cont;
typedef struct tarn_kv	   tarn_kv;
typedef struct tarn_watch  tarn_watch;
typedef struct tarn_eq	   tarn_eq;
typedef struct tarn_event  tarn_event;

/* Version of the library that is linked, as "0.1.0". Static memory. */
TARN_API const char *tarn_version(void);

/* "DER_NONEXIST" for -TARN_E_NONEXIST or TARN_E_NONEXIST, "DER_SUCCESS" for 0, "DER_UNKNOWN" for a number not in the table.
 * Static memory; any thread may call. */
TARN_API const char *tarn_errname(int code);

/* What the code means, in a few words, from the same table. Static memory; any thread may call. */
TARN_API const char *tarn_strerror(int code);

/* The sentence of the last call of this thread that failed without an event: what was asked, what was found, what to do. Valid
 * until this thread's next call; never NULL. A call with an event keeps its sentence in the event instead. */
TARN_API const char *tarn_last_error(void);

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" into text[37]. */
TARN_API void tarn_uuid_format(const tarn_uuid *uuid, char text[37]);

/* 0, or -TARN_E_INVAL when text is not a UUID. */
TARN_API int tarn_uuid_parse(const char *text, tarn_uuid *uuid);

#ifdef __cplusplus
}
#endif
#endif
