/* SPDX-License-Identifier: Apache-2.0 */
/* kvdev.h: what package tarn needs between Go and tarn/kvdev.h. */
#ifndef TARN_GO_KVDEV_H
#define TARN_GO_KVDEV_H

#include "cgo.h"
#include <tarn/kvdev.h>

static inline int go_kvdev_store(tarn_kvdev *dev, go_bytes key, go_bytes val, uint32_t options, go_slot *s)
{
	return tarn_kvdev_store(dev, go_buf(key), go_buf(val), options, &s->ev);
}

static inline int go_kvdev_retrieve(tarn_kvdev *dev, go_bytes key, uint8_t *buf, go_slot *s)
{
	return tarn_kvdev_retrieve(dev, go_buf(key), buf, &s->len, &s->ev);
}

static inline int go_kvdev_delete(tarn_kvdev *dev, go_bytes key, go_slot *s)
{
	return tarn_kvdev_delete(dev, go_buf(key), &s->ev);
}

static inline int go_kvdev_exist(tarn_kvdev *dev, go_bytes key, go_slot *s)
{
	return tarn_kvdev_exist(dev, go_buf(key), &s->ev);
}

static inline int go_kvdev_list(tarn_kvdev *dev, go_bytes from, void *buf, go_slot *s)
{
	return tarn_kvdev_list(dev, go_buf(from), buf, &s->len, &s->ev);
}

#endif
