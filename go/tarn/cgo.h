/* SPDX-License-Identifier: Apache-2.0 */
/* cgo.h: what package tarn needs between Go and tarn/tarn.h.
 *
 * Bytes cross as a typed pointer and a length: cgo neither checks nor refuses them then, wherever in Go's heap they stand.
 * A slot is C memory that outlives the call: the event, and every out-parameter that C fills later. Neither it nor go_kv has a pointer in it
 * that cgo can see: else each call would pay for a look where it points. */
#ifndef TARN_GO_CGO_H
#define TARN_GO_CGO_H

#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>

#define GO_REAP_MAX   64
#define GO_SLOT_BYTES 4096

typedef struct go_slot {
	tarn_event   ev;
	uintptr_t    eq; /* tarn_eq * */
	uint32_t     index;
	uint64_t     number;
	tarn_kv_stat stat;
	tarn_listing listing;
	tarn_uuid    uuid;
	uintptr_t    handle; /* a pointer to what was opened */
	size_t	     len;
	uint64_t     data[GO_SLOT_BYTES / 8]; /* a small value, or one info struct */
} go_slot;

/* A tarn_kv. */
typedef struct go_kv {
	uint8_t opaque;
} go_kv;

static inline tarn_kv *go_to_kv(go_kv *kv)
{
	return (tarn_kv *)(void *)kv;
}

/* Where a call writes the pointer to what it opens. */
static inline void *go_opened(go_slot *s)
{
	return &s->handle;
}

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

/* Makes the event ready again, with flags more. No call may be running. */
static inline void go_slot_init(go_slot *slot, unsigned flags)
{
	tarn_event_init(&slot->ev, (tarn_eq *)slot->eq, (void *)(uintptr_t)slot->index, TARN_EVENT_INLINE | flags);
}

static inline go_slot *go_slot_new(tarn_eq *eq, uint32_t index)
{
	go_slot *slot = aligned_alloc(64, (sizeof(*slot) + 63) / 64 * 64);

	if (!slot)
		return NULL;
	memset(slot, 0, sizeof(*slot));
	slot->eq    = (uintptr_t)eq;
	slot->index = index;
	go_slot_init(slot, 0);
	return slot;
}

/* What a call came to, so that it takes one crossing: 0 it was started, 1 it is done, negative its code. */
static inline int go_came_to(int rc, const go_slot *s)
{
	int result = rc == 1 ? tarn_event_result(&s->ev) : rc;

	return result < 0 ? result : rc;
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

/* What a check or a scrub has found so far. The library adds to it from a thread of its own. */
typedef struct go_finding {
	struct go_finding *next;
	uint64_t	   offset, length, epoch;
	size_t		   low_len, high_len; /* of the keys, which stand behind the struct */
	char		   what[TARN_MESSAGE_MAX];
	char		   container[TARN_LABEL_MAX + 1];
	char		   object[TARN_OBJECT_NAME_MAX + 1], last_object[TARN_OBJECT_NAME_MAX + 1];
} go_finding;

typedef struct go_report {
	tarn_check_options options;
	tarn_check_result  result;
	uint64_t	   done, all;
	go_finding	  *first, **last;
} go_report;

static inline uint8_t *go_finding_keys(go_finding *f)
{
	return (uint8_t *)(f + 1);
}

static inline void go_text(char *to, size_t room, const char *from)
{
	strncpy(to, from, room - 1);
}

/* One that there is no memory for is counted, and logged, by the library. */
static inline void go_found(void *arg, const tarn_finding *from)
{
	go_report  *r = arg;
	go_finding *f = calloc(1, sizeof(*f) + from->low.len + from->high.len);

	if (!f)
		return;
	f->offset   = from->offset;
	f->length   = from->length;
	f->epoch    = from->epoch;
	f->low_len  = from->low.len;
	f->high_len = from->high.len;
	go_text(f->what, sizeof(f->what), from->what);
	go_text(f->container, sizeof(f->container), from->container);
	go_text(f->object, sizeof(f->object), from->object);
	go_text(f->last_object, sizeof(f->last_object), from->last_object);
	if (f->low_len)
		memcpy(go_finding_keys(f), from->low.ptr, f->low_len);
	if (f->high_len)
		memcpy(go_finding_keys(f) + f->low_len, from->high.ptr, f->high_len);
	*r->last = f;
	r->last	 = &f->next;
}

static inline void go_progress(void *arg, uint64_t done, uint64_t all)
{
	go_report *r = arg;

	__atomic_store_n(&r->done, done, __ATOMIC_RELAXED);
	__atomic_store_n(&r->all, all, __ATOMIC_RELAXED);
}

static inline uint64_t go_report_done(go_report *r)
{
	return __atomic_load_n(&r->done, __ATOMIC_RELAXED);
}

static inline uint64_t go_report_all(go_report *r)
{
	return __atomic_load_n(&r->all, __ATOMIC_RELAXED);
}

static inline void go_report_init(go_report *r, uint64_t bytes_per_second)
{
	r->options = (tarn_check_options){ .struct_size	     = sizeof(r->options),
					   .bytes_per_second = bytes_per_second,
					   .arg		     = r,
					   .found	     = go_found,
					   .progress	     = go_progress };
	r->last	   = &r->first;
}

static inline void go_report_creation(go_report *r, tarn_pool_params *params)
{
	params->progress = go_progress;
	params->arg	 = r;
}

static inline void go_report_free(go_report *r)
{
	while (r->first) {
		go_finding *f = r->first;

		r->first = f->next;
		free(f);
	}
	free(r);
}

static inline int go_kv_put(go_kv *kv, go_bytes key, go_bytes val, tarn_cond cond, go_slot *s)
{
	return go_came_to(tarn_kv_put(go_to_kv(kv), go_buf(key), go_buf(val), cond, &s->ev), s);
}

static inline int go_kv_del(go_kv *kv, go_bytes key, tarn_cond cond, go_slot *s)
{
	return go_came_to(tarn_kv_del(go_to_kv(kv), go_buf(key), cond, &s->ev), s);
}

static inline int go_kv_get(go_kv *kv, go_bytes key, uint8_t *dst, go_slot *s)
{
	return go_came_to(tarn_kv_get(go_to_kv(kv), go_buf(key), dst, &s->len, &s->ev), s);
}

static inline int go_kv_exists(go_kv *kv, go_bytes key, go_slot *s)
{
	return go_came_to(tarn_kv_exists(go_to_kv(kv), go_buf(key), &s->stat, &s->ev), s);
}

static inline int go_kv_apply(go_kv *kv, const tarn_mutation *muts, size_t n, go_slot *s)
{
	return go_came_to(tarn_kv_apply(go_to_kv(kv), muts, n, &s->len, &s->ev), s);
}

static inline int go_kv_get_many(go_kv *kv, tarn_get *gets, size_t n, go_slot *s)
{
	return go_came_to(tarn_kv_get_many(go_to_kv(kv), gets, n, &s->ev), s);
}

typedef struct go_range {
	go_bytes prefix, start, end;
	uint32_t flags;
} go_range;

static inline tarn_range go_to_range(go_range r)
{
	return (tarn_range){ go_buf(r.prefix), go_buf(r.start), go_buf(r.end), r.flags };
}

static inline int go_kv_count(go_kv *kv, go_range r, go_slot *s)
{
	tarn_range range = go_to_range(r);

	return go_came_to(tarn_kv_count(go_to_kv(kv), &range, &s->number, &s->ev), s);
}

static inline int go_kv_del_range(go_kv *kv, go_range r, go_slot *s)
{
	tarn_range range = go_to_range(r);

	return go_came_to(tarn_kv_del_range(go_to_kv(kv), &range, &s->number, &s->ev), s);
}

static inline int go_kv_list(go_kv *kv, go_range r, uint32_t max, void *buf, size_t cap, go_slot *s)
{
	tarn_range range = go_to_range(r);

	return go_came_to(tarn_kv_list(go_to_kv(kv), &range, max, buf, cap, &s->listing, &s->ev), s);
}

static inline int go_writer_open(go_kv *kv, go_bytes key, tarn_cond cond, go_slot *s)
{
	return tarn_writer_open(go_to_kv(kv), go_buf(key), cond, go_opened(s));
}

/* The data stays where it is until the call has completed. */
static inline int go_writer_write(tarn_writer *writer, go_bytes data, go_slot *s)
{
	go_slot_init(s, TARN_EVENT_LENT);
	return go_came_to(tarn_writer_write(writer, go_buf(data), &s->ev), s);
}

static inline int go_reader_open(go_kv *kv, go_bytes key, go_slot *s)
{
	return go_came_to(tarn_reader_open(go_to_kv(kv), go_buf(key), &s->stat, go_opened(s), &s->ev), s);
}

static inline int go_reader_read(tarn_reader *reader, uint64_t offset, uint8_t *dst, go_slot *s)
{
	return go_came_to(tarn_reader_read(reader, offset, dst, &s->len, &s->ev), s);
}

#endif
