/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/attr.h: user attributes of pools and containers: names with values, which mean nothing to the library.
 *
 * Those of a container are part of it: a snapshot keeps them as they were, and they go with it. Any thread may call. With ev == NULL a
 * call waits; otherwise its result arrives once, on ev's queue. A change is durable when it is answered, also where the container is
 * relaxed. */
#ifndef TARN_ATTR_H
#define TARN_ATTR_H

#include <tarn/cont.h>
#include <tarn/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_ATTR_NAME_MAX  511u       /* a name has 1 to this many bytes of UTF-8 */
#define TARN_ATTR_VALUE_MAX 65536u     /* a value has 1 to this many bytes */
#define TARN_ATTR_SET_MAX   1024u      /* attributes in one call */
#define TARN_ATTR_ALL_MAX   (1u << 20) /* all of a pool's, or of a container's; each counts its name, its value and 64 bytes */

typedef struct tarn_attr {
	const char *name;
	tarn_buf    value; /* empty: there is to be none of that name */
} tarn_attr;

/* Sets and deletes attributes, all or none; the others stay as they are. Names and values are copied. Errors: NONEXIST (there are only
 * deletions, and none of the names is there), INVAL (a name; a name twice; more than TARN_ATTR_SET_MAX), REC2BIG (a value, or all
 * together), EP_RO, NOSPACE, NOMEM. */
TARN_API int tarn_pool_attr_set(tarn_pool *pool, const tarn_attr *attrs, size_t n, tarn_event *ev);
TARN_API int tarn_cont_attr_set(tarn_cont *cont, const tarn_attr *attrs, size_t n, tarn_event *ev);

/* Copies a value into buf, which is lent until the call completes: *len is the room there, then the size of the value. buf NULL: the
 * size only. Errors: NONEXIST, REC2BIG (the value is longer than the room), INVAL. */
TARN_API int tarn_pool_attr_get(tarn_pool *pool, const char *name, void *buf, size_t *len, tarn_event *ev);
TARN_API int tarn_cont_attr_get(tarn_cont *cont, const char *name, void *buf, size_t *len, tarn_event *ev);

/* Lists attributes in the order of their names, those after `after` (NULL: from the first), as entries (tarn/kv.h) whose keys are the
 * names, without a NUL. buf is 8-byte aligned and has cap bytes. Each call is one view. INVAL when cap is less than
 * TARN_ATTR_LIST_MIN. */
TARN_API int tarn_pool_attr_list(tarn_pool *pool, const char *after, void *buf, size_t cap, tarn_listing *out, tarn_event *ev);
TARN_API int tarn_cont_attr_list(tarn_cont *cont, const char *after, void *buf, size_t cap, tarn_listing *out, tarn_event *ev);

#define TARN_ATTR_LIST_MIN (TARN_ATTR_VALUE_MAX + 1024u) /* bytes that always hold one */

#ifdef __cplusplus
}
#endif
#endif
