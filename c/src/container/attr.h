/* SPDX-License-Identifier: Apache-2.0 */
/* container/attr.h: user attributes of a pool or a container (tarn/attr.h).
 *
 * A container's are keys of its tree, under the id {0, 4} (object/object.h), so snapshots have them and destroying drops them; a pool's
 * stand in its catalogue (container.h). Who changes them holds pool->lock. Any thread may call. */
#ifndef TARN_ATTR_INTERNAL_H
#define TARN_ATTR_INTERNAL_H

#include "container.h"
#include <tarn/attr.h>

/* Changes of attributes that are checked, with their names and values. Freed with free(). */
struct attr_changes;
int attr_changes_make(const tarn_attr *attrs, size_t n, struct attr_changes **changes); /* INVAL, REC2BIG, NOMEM */

int attr_name_check(const char *name); /* INVAL */

/* container NULL: of the pool. */
int attr_set(struct pool *pool, struct container *container, struct attr_changes *changes, uint64_t *lsn);
int attr_get(struct pool *pool, struct container *container, const char *name, void *buf, size_t *len);
int attr_list(struct pool *pool, struct container *container, const char *after, void *buf, size_t cap, tarn_listing *out);

#endif
