/* SPDX-License-Identifier: Apache-2.0 */
/* cgo.h: what package tarn needs between Go and tarn/tarn.h.
 *
 * Bytes cross as a typed pointer and a length: cgo neither checks nor refuses them then, wherever in Go's heap they stand.
 * A slot is C memory that outlives the call: the event, and every out-parameter that C fills later. */
#ifndef TARN_GO_CGO_H
#define TARN_GO_CGO_H

#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>

#define GO_REAP_MAX   64
#define GO_SLOT_BYTES 4096

typedef struct go_slot {
	tarn_event   ev;
	size_t	     len;
	uint64_t     number;
	tarn_kv_stat stat;
	tarn_listing listing;
	tarn_uuid    uuid;
	void	    *handle;
	uint64_t     data[GO_SLOT_BYTES / 8]; /* a small value, or one info struct */
} go_slot;

/* What the poller learns of one completion. */
typedef struct go_done {
	uint32_t slot;
	int	 rc;
} go_done;

/* Bytes of Go, lent for one call. */
typedef struct go_bytes {
	const uint8_t *ptr;
	size_t	       len;
} go_bytes;

static inline tarn_buf go_buf(go_bytes b)
{
	return (tarn_buf){ b.ptr, b.len };
}

/* Unlike C.malloc, NULL when there is no memory. */
static inline void *go_alloc(size_t size)
{
	return calloc(1, size);
}

static inline go_slot *go_slot_new(tarn_eq *eq, uint32_t index)
{
	go_slot *slot = calloc(1, sizeof(*slot));

	if (slot)
		tarn_event_init(&slot->ev, eq, (void *)(uintptr_t)index, TARN_EVENT_INLINE);
	return slot;
}

/* Reaps once, without waiting. */
static inline int go_reap(tarn_eq *eq, go_done *done)
{
	tarn_event *events[GO_REAP_MAX];
	int	    n = tarn_eq_poll(eq, 0, GO_REAP_MAX, events);

	for (int i = 0; i < n; i++)
		done[i] = (go_done){ (uint32_t)(uintptr_t)tarn_event_user(events[i]), tarn_event_result(events[i]) };
	return n;
}

static inline int go_kv_put(tarn_kv *kv, go_bytes key, go_bytes val, tarn_cond cond, go_slot *s)
{
	return tarn_kv_put(kv, go_buf(key), go_buf(val), cond, &s->ev);
}

static inline int go_kv_del(tarn_kv *kv, go_bytes key, tarn_cond cond, go_slot *s)
{
	return tarn_kv_del(kv, go_buf(key), cond, &s->ev);
}

static inline int go_kv_get(tarn_kv *kv, go_bytes key, uint8_t *dst, go_slot *s)
{
	return tarn_kv_get(kv, go_buf(key), dst, &s->len, &s->ev);
}

static inline int go_kv_exists(tarn_kv *kv, go_bytes key, go_slot *s)
{
	return tarn_kv_exists(kv, go_buf(key), &s->stat, &s->ev);
}

typedef struct go_range {
	go_bytes prefix, start, end;
	uint32_t flags;
} go_range;

static inline tarn_range go_to_range(go_range r)
{
	return (tarn_range){ go_buf(r.prefix), go_buf(r.start), go_buf(r.end), r.flags };
}

static inline int go_kv_count(tarn_kv *kv, go_range r, go_slot *s)
{
	tarn_range range = go_to_range(r);

	return tarn_kv_count(kv, &range, &s->number, &s->ev);
}

static inline int go_kv_del_range(tarn_kv *kv, go_range r, go_slot *s)
{
	tarn_range range = go_to_range(r);

	return tarn_kv_del_range(kv, &range, &s->number, &s->ev);
}

static inline int go_kv_list(tarn_kv *kv, go_range r, uint32_t max, void *buf, size_t cap, go_slot *s)
{
	tarn_range range = go_to_range(r);

	return tarn_kv_list(kv, &range, max, buf, cap, &s->listing, &s->ev);
}

static inline int go_writer_open(tarn_kv *kv, go_bytes key, tarn_cond cond, go_slot *s)
{
	return tarn_writer_open(kv, go_buf(key), cond, (tarn_writer **)&s->handle);
}

static inline int go_writer_write(tarn_writer *writer, go_bytes data, go_slot *s)
{
	return tarn_writer_write(writer, go_buf(data), &s->ev);
}

static inline int go_reader_open(tarn_kv *kv, go_bytes key, go_slot *s)
{
	return tarn_reader_open(kv, go_buf(key), &s->stat, (tarn_reader **)&s->handle, &s->ev);
}

static inline int go_reader_read(tarn_reader *reader, uint64_t offset, uint8_t *dst, go_slot *s)
{
	return tarn_reader_read(reader, offset, dst, &s->len, &s->ev);
}

#endif
