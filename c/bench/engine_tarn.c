/* SPDX-License-Identifier: Apache-2.0 */
/* engine_tarn.c: Tarn through its public interface: a pool on a file, a container, a KV object. Gets fill the caller's buffer;
 * calls in flight are events that are answered inline when nothing has to be waited for. */
#include "bench.h"

#include <stdlib.h>
#include <tarn/tarn.h>

#define NAME	  "bench"
#define SCAN_ROOM (MIB / 4)

struct tdb {
	struct setup setup;
	tarn_system *sys;
	tarn_pool   *pool;
	tarn_cont   *cont;
	tarn_kv	    *kv;
};

struct tdb_session {
	struct tdb   *db;
	tarn_eq	     *eq;
	tarn_event    events[DEPTH_MAX];
	tarn_mutation muts[COUNT_MAX];
	tarn_get      gets[COUNT_MAX];
	uint64_t      listing[SCAN_ROOM / 8];
};

static enum answer tdb_answer(int rc, const char *what)
{
	if (rc >= 0)
		return ANSWER_OK;
	if (rc == -TARN_E_NONEXIST)
		return ANSWER_ABSENT;
	return answer_with(ANSWER_FAILED, "tarn: %s: %s: %s", what, tarn_errname(rc), tarn_last_error());
}

static tarn_buf key_buf(const uint8_t *key)
{
	return (tarn_buf){ key, KEY_LEN };
}

static tarn_buf val_buf(const struct tdb *db, const void *val)
{
	return (tarn_buf){ val, db->setup.value_len };
}

/* The pool, the container and the object are made by the first open of a directory. */
static int tdb_make(struct tdb *db)
{
	tarn_pool_params params = { .struct_size = sizeof(params) };
	size_t		 pools	= 0;
	int		 rc	= tarn_pool_list(db->sys, NULL, &pools, NULL);

	if (rc < 0 || pools)
		return rc;
	params.flags = TARN_POOL_ZEROED; /* a pool that has been in use for a while: each of its blocks was written once */
	params.size  = (4096 + 6 * db->setup.records * (KEY_LEN + db->setup.value_len) / MIB) * MIB;
	return tarn_pool_create(db->sys, NAME, &params, NULL, NULL);
}

static int tdb_open_pool(struct tdb *db)
{
	tarn_pool_options options = { .struct_size = sizeof(options), .cache_bytes = db->setup.cache_bytes };
	int		  rc	  = tarn_system_open(db->setup.dir, NULL, 0, &db->sys);

	if (rc >= 0)
		rc = tdb_make(db);
	return rc < 0 ? rc : tarn_pool_open(db->sys, NAME, &options, &db->pool, NULL);
}

static int tdb_open_kv(struct tdb *db)
{
	int rc = tarn_cont_create(db->pool, NAME, TARN_CONT_KV, NULL, 0, NULL, NULL);

	if (rc >= 0 || rc == -TARN_E_EXIST)
		rc = tarn_cont_open(db->pool, NAME, 0, &db->cont, NULL);
	return rc < 0 ? rc : tarn_kv_open(db->cont, NAME, TARN_KV_CREATE, &db->kv, NULL);
}

/* Whether acknowledged writes are durable is a property of the container. */
static enum answer tdb_set_durability(struct tdb *db)
{
	tarn_prop prop = { .id	   = TARN_PROP_DURABILITY,
			   .number = db->setup.relaxed ? TARN_DURABILITY_RELAXED : TARN_DURABILITY_DURABLE };

	return tdb_answer(tarn_cont_set_props(db->cont, &prop, 1, NULL), "set the durability");
}

static enum answer tdb_close(void *arg)
{
	struct tdb *db = arg;
	int	    rc = 0;

	if (db->kv)
		tarn_kv_close(db->kv);
	if (db->cont)
		tarn_cont_close(db->cont);
	if (db->pool)
		rc = tarn_pool_close(db->pool);
	if (db->sys)
		tarn_system_close(db->sys);
	free(db);
	return tdb_answer(rc, "close");
}

static enum answer tdb_open(const struct setup *setup, void **out)
{
	struct tdb *db = calloc(1, sizeof(*db));
	enum answer answer;
	int	    rc;

	if (!db)
		return answer_with(ANSWER_FAILED, "tarn: no memory");
	db->setup = *setup;
	rc	  = tdb_open_pool(db);
	if (rc >= 0)
		rc = tdb_open_kv(db);
	answer = rc < 0 ? tdb_answer(rc, "open") : tdb_set_durability(db);
	if (answer == ANSWER_OK)
		*out = db;
	else
		tdb_close(db);
	return answer;
}

static enum answer tdb_apply(struct tdb *db, tarn_mutation *muts, const struct record *recs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		muts[i] = (tarn_mutation){ .key = key_buf(recs[i].key), .val = val_buf(db, recs[i].val) };
	return tdb_answer(tarn_kv_apply(db->kv, muts, n, NULL, NULL), "apply");
}

static enum answer tdb_load(void *arg, const struct record *recs, size_t n, bool ascending)
{
	static tarn_mutation muts[COUNT_MAX]; /* one thread loads */

	(void)ascending;
	return tdb_apply(arg, muts, recs, n);
}

static enum answer tdb_settle(void *arg)
{
	struct tdb *db = arg;

	return tdb_answer(tarn_pool_checkpoint(db->pool, NULL), "checkpoint");
}

static enum answer tdb_sync(void *arg)
{
	struct tdb *db = arg;

	return tdb_answer(tarn_cont_sync(db->cont, NULL), "sync");
}

static enum answer tdb_disk_bytes(void *arg, uint64_t *bytes)
{
	struct tdb    *db = arg;
	tarn_pool_info info;
	int	       rc = tarn_pool_query(db->pool, &info, NULL);

	if (rc >= 0)
		*bytes = info.total_bytes - info.free_bytes;
	return tdb_answer(rc, "query");
}

static enum answer tdb_session_open(void *arg, void **out)
{
	struct tdb_session *s = calloc(1, sizeof(*s));
	int		    rc;

	if (!s)
		return answer_with(ANSWER_FAILED, "tarn: no memory");
	s->db = arg;
	rc    = tarn_eq_create(&s->eq);
	if (rc < 0) {
		free(s);
		return tdb_answer(rc, "event queue");
	}
	for (unsigned i = 0; i < DEPTH_MAX; i++)
		tarn_event_init(&s->events[i], s->eq, NULL, TARN_EVENT_INLINE);
	*out = s;
	return ANSWER_OK;
}

static void tdb_session_close(void *arg)
{
	struct tdb_session *s = arg;

	tarn_eq_destroy(s->eq);
	free(s);
}

static enum answer tdb_get(void *arg, const uint8_t *key, void *buf, size_t *len)
{
	struct tdb_session *s = arg;

	return tdb_answer(tarn_kv_get(s->db->kv, key_buf(key), buf, len, NULL), "get");
}

static enum answer tdb_multi_get(void *arg, struct want *wants, size_t n)
{
	struct tdb_session *s = arg;
	int		    rc;

	for (size_t i = 0; i < n; i++)
		s->gets[i] = (tarn_get){ .key = key_buf(wants[i].key), .buf = wants[i].buf, .len = wants[i].len };
	rc = tarn_kv_get_many(s->db->kv, s->gets, n, NULL);
	for (size_t i = 0; i < n; i++) {
		wants[i].len	= s->gets[i].len;
		wants[i].answer = tdb_answer(s->gets[i].rc, "get of many");
	}
	return tdb_answer(rc, "get many");
}

static enum answer tdb_put(void *arg, const uint8_t *key, const void *val)
{
	struct tdb_session *s = arg;

	return tdb_answer(tarn_kv_put(s->db->kv, key_buf(key), val_buf(s->db, val), TARN_COND_NONE, NULL), "put");
}

static enum answer tdb_batch(void *arg, const struct record *recs, size_t n)
{
	struct tdb_session *s = arg;

	return tdb_apply(s->db, s->muts, recs, n);
}

static const char *entry_next(const char *at)
{
	const tarn_entry *entry = (const tarn_entry *)at;
	size_t		  len	= sizeof(*entry) + entry->key_len + (entry->flags & TARN_ENTRY_OMITTED ? 0 : entry->val_len);

	return at + (len + 7) / 8 * 8;
}

static enum answer tdb_scan(void *arg, const uint8_t *key, size_t n, size_t *seen)
{
	struct tdb_session *s	    = arg;
	tarn_range	    range   = { .start = key_buf(key) };
	const char	   *at	    = (const char *)s->listing;
	unsigned	    touched = 0;
	tarn_listing	    out;
	int		    rc = tarn_kv_list(s->db->kv, &range, (uint32_t)n, s->listing, sizeof(s->listing), &out, NULL);

	if (rc < 0)
		return tdb_answer(rc, "list");
	for (uint32_t i = 0; i < out.count; i++, at = entry_next(at))
		touched += (unsigned)at[sizeof(tarn_entry)] + (unsigned)at[sizeof(tarn_entry) + KEY_LEN];
	__asm__ volatile("" : : "r"(touched));
	*seen = out.count;
	return ANSWER_OK;
}

static enum answer event_answer(const tarn_event *ev)
{
	int rc = tarn_event_result(ev);

	if (rc >= 0)
		return ANSWER_OK;
	if (rc == -TARN_E_NONEXIST)
		return ANSWER_ABSENT;
	return answer_with(ANSWER_FAILED, "tarn: %s: %s", tarn_errname(rc), tarn_event_message(ev));
}

/* The event at a call's index is its own; user is set anew, since the call may have moved. */
static enum answer tdb_start(void *arg, struct call *call)
{
	struct tdb_session *s  = arg;
	tarn_event	   *ev = &s->events[call->index];
	int		    rc;

	tarn_event_init(ev, s->eq, call, TARN_EVENT_INLINE);
	if (call->val)
		rc = tarn_kv_put(s->db->kv, key_buf(call->key), val_buf(s->db, call->val), TARN_COND_NONE, ev);
	else
		rc = tarn_kv_get(s->db->kv, key_buf(call->key), call->buf, &call->len, ev);
	if (rc == 0)
		return ANSWER_STARTED;
	call->answer = event_answer(ev);
	return call->answer == ANSWER_FAILED ? ANSWER_FAILED : ANSWER_OK;
}

static enum answer tdb_reap(void *arg, struct call **calls, unsigned max, unsigned *n)
{
	struct tdb_session *s = arg;
	tarn_event	   *events[DEPTH_MAX];
	int		    got = tarn_eq_poll(s->eq, -1, max < DEPTH_MAX ? max : DEPTH_MAX, events);

	*n = got > 0 ? (unsigned)got : 0;
	for (unsigned i = 0; i < *n; i++) {
		calls[i]	 = tarn_event_user(events[i]);
		calls[i]->answer = event_answer(events[i]);
	}
	return tdb_answer(got, "poll");
}

const struct engine engine_tarn = {
	.name	       = "tarn",
	.version       = tarn_version,
	.async	       = true,
	.open	       = tdb_open,
	.load	       = tdb_load,
	.settle	       = tdb_settle,
	.sync	       = tdb_sync,
	.disk_bytes    = tdb_disk_bytes,
	.close	       = tdb_close,
	.session_open  = tdb_session_open,
	.session_close = tdb_session_close,
	.get	       = tdb_get,
	.multi_get     = tdb_multi_get,
	.put	       = tdb_put,
	.batch	       = tdb_batch,
	.scan	       = tdb_scan,
	.start	       = tdb_start,
	.reap	       = tdb_reap,
};
