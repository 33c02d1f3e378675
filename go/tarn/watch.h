/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h: what watches need beside cgo.h. A watch has a slot of its own: it waits for as long as it likes. */
#ifndef TARN_GO_WATCH_H
#define TARN_GO_WATCH_H

#include "cgo.h"

/* The changes are at the front of the slot's data. */
static inline tarn_changes *go_changes(go_slot *s)
{
	return (tarn_changes *)(void *)s->data;
}

static inline int go_watch_open(go_kv *kv, uint64_t start, go_bytes prefix, unsigned flags, go_slot *s)
{
	return go_came_to(tarn_watch_open(go_to_kv(kv), start, go_buf(prefix), flags, go_changes(s), go_opened(s), &s->ev), s);
}

static inline int go_watch_next(tarn_watch *watch, void *buf, size_t cap, go_slot *s)
{
	return go_came_to(tarn_watch_next(watch, buf, cap, go_changes(s), &s->ev), s);
}

static inline int go_watch_wait(tarn_watch *watch, go_slot *s)
{
	return go_came_to(tarn_watch_wait(watch, &s->ev), s);
}

#endif
