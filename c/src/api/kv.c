/* SPDX-License-Identifier: Apache-2.0 */
/* api/kv.c: key-value objects (tarn/kv.h). Handles are in object.c, readers and writers in stream.c. */
#include "check.h"

struct kv_call {
	struct call    call;
	struct object *object;
	tarn_buf       key, val;
	tarn_cond      cond;
	void	      *buf;
	size_t	      *len;
	tarn_kv_stat  *stat;
	tarn_range     range;
	uint32_t       max;
	size_t	       cap;
	tarn_listing  *out;
	uint64_t      *count;
	size_t	      *failed;
	struct batch  *batch;
	tarn_get      *gets;
	size_t	       n;
};

static struct kv_call *of(struct call *call)
{
	return container_of(call, struct kv_call, call);
}

#define AT(field) offsetof(struct kv_call, field)
#define KV_VERB(...)                                                                                                             \
	{                                                                                                                        \
		.size = sizeof(struct kv_call), __VA_ARGS__                                                                      \
	}
#define LENT_KEY     .lent = { AT(key) }
#define LENT_KEY_VAL .lent = { AT(key), AT(val) }
#define LENT_RANGE   .lent = { AT(range.prefix), AT(range.start), AT(range.end) }

static int run(struct kv_call *c, const struct verb *verb, tarn_kv *kv, tarn_event *ev)
{
	c->object = kv->object;
	c->call	  = call_on_objects(verb, &kv->handle, kv->object->container);
	return call_run(&c->call, ev);
}

static tarn_range range_or_all(const tarn_range *range)
{
	return range ? *range : (tarn_range){ .flags = 0 };
}

static int put_body(struct call *call, unsigned flags)
{
	struct kv_call *c = of(call);

	return kv_put(c->object, c->key, c->val, c->cond, flags, &call->lsn);
}

int tarn_kv_put(tarn_kv *kv, tarn_buf key, tarn_buf val, tarn_cond cond, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = put_body, .quick = true, LENT_KEY_VAL);
	struct kv_call		 c    = { .key = key, .val = val, .cond = cond };
	int			 rc   = check_change(kv);

	if (rc == 0)
		rc = check_key(key);
	if (rc == 0)
		rc = check_value(kv, val);
	if (rc == 0)
		rc = check_put_cond(cond);
	return rc ? call_refuse(ev, rc) : run(&c, &verb, kv, ev);
}

static int del_body(struct call *call, unsigned flags)
{
	struct kv_call *c = of(call);

	return kv_del(c->object, c->key, c->cond, flags, &call->lsn);
}

int tarn_kv_del(tarn_kv *kv, tarn_buf key, tarn_cond cond, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = del_body, .quick = true, LENT_KEY);
	struct kv_call		 c    = { .key = key, .cond = cond };
	int			 rc   = check_change(kv);

	if (rc == 0)
		rc = check_key(key);
	if (rc == 0 && cond == TARN_COND_INSERT)
		rc = fail(INVAL, "a deletion cannot have the condition that its key is absent");
	if (rc == 0)
		rc = check_put_cond(cond);
	return rc ? call_refuse(ev, rc) : run(&c, &verb, kv, ev);
}

static int get_body(struct call *call, unsigned flags)
{
	struct kv_call *c = of(call);

	return kv_get(c->object, c->key, c->buf, c->len, flags);
}

static int get_with(tarn_kv *kv, tarn_buf key, void *buf, size_t *len, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = get_body, .quick = true, LENT_KEY);
	struct kv_call		 c    = { .key = key, .buf = buf, .len = len };

	return run(&c, &verb, kv, ev);
}

/* What call_run() does without an event, for what changes nothing: a get from memory is so short that filling a call would show. */
static int get_now(tarn_kv *kv, tarn_buf key, void *buf, size_t *len)
{
	_Atomic uint32_t *calls = handle_enter(&kv->handle);
	int		  rc	= kv_get(kv->object, key, buf, len, 0);

	handle_leave(calls);
	return rc;
}

int tarn_kv_get(tarn_kv *kv, tarn_buf key, void *buf, size_t *len, tarn_event *ev)
{
	int rc = check_kv(kv);

	if (rc == 0)
		rc = check_key(key);
	if (rc == 0 && !len)
		rc = fail(INVAL, "tarn_kv_get: len is NULL: it says how large buf is, and takes the size of the value");
	if (rc)
		return call_refuse(ev, rc);
	return ev ? get_with(kv, key, buf, len, ev) : get_now(kv, key, buf, len);
}

static int get_many_body(struct call *call, unsigned flags)
{
	struct kv_call *c = of(call);

	return kv_get_many(c->object, c->gets, c->n, flags);
}

static int check_gets(const tarn_get *gets, size_t n)
{
	if (n == 0 || n > TARN_BATCH_MAX || !gets)
		return fail(INVAL, "tarn_kv_get_many: 1 to %u gets, not %zu", TARN_BATCH_MAX, gets ? n : 0);
	return 0;
}

int tarn_kv_get_many(tarn_kv *kv, tarn_get *gets, size_t n, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = get_many_body, .quick = true);
	struct kv_call		 c    = { .gets = gets, .n = n };
	int			 rc   = check_kv(kv);

	if (rc == 0)
		rc = check_gets(gets, n);
	if (rc)
		return call_refuse(ev, rc);
	for (size_t i = 0; i < n; i++) {
		rc	   = check_key(gets[i].key);
		gets[i].rc = rc ? rc : -TARN_E_INPROGRESS;
	}
	return run(&c, &verb, kv, ev);
}

static int exists_body(struct call *call, unsigned flags)
{
	struct kv_call *c = of(call);
	tarn_kv_stat	stat;
	int		rc = kv_stat(c->object, c->key, &stat, flags);

	if (rc == 0 && c->stat)
		*c->stat = stat;
	return rc;
}

int tarn_kv_exists(tarn_kv *kv, tarn_buf key, tarn_kv_stat *stat, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = exists_body, .quick = true, LENT_KEY);
	struct kv_call		 c    = { .key = key, .stat = stat };
	int			 rc   = check_kv(kv);

	if (rc == 0)
		rc = check_key(key);
	return rc ? call_refuse(ev, rc) : run(&c, &verb, kv, ev);
}

static int count_body(struct call *call, unsigned flags)
{
	return kv_count(of(call)->object, &of(call)->range, of(call)->count, flags);
}

int tarn_kv_count(tarn_kv *kv, const tarn_range *range, uint64_t *count, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = count_body, .quick = true, LENT_RANGE);
	struct kv_call		 c    = { .range = range_or_all(range), .count = count };
	int			 rc   = check_kv(kv);

	if (rc == 0)
		rc = check_range(range);
	if (rc == 0 && !count)
		rc = fail(INVAL, "tarn_kv_count: there is no place for the answer (NULL)");
	return rc ? call_refuse(ev, rc) : run(&c, &verb, kv, ev);
}

static int list_body(struct call *call, unsigned flags)
{
	struct kv_call *c = of(call);

	return kv_list(c->object, &c->range, c->max, c->buf, c->cap, c->out, flags);
}

static int check_list_buffer(const void *buf, size_t cap, const tarn_listing *out)
{
	if (!buf || !out)
		return fail(INVAL, "tarn_kv_list: %s is NULL", buf ? "out" : "buf");
	if ((uintptr_t)buf % 8)
		return fail(INVAL, "tarn_kv_list: the buffer must begin at a multiple of 8 bytes");
	if (cap < sizeof(tarn_entry) + 1)
		return fail(KEY2BIG, "tarn_kv_list: a buffer of %zu bytes holds no key: %u hold any", cap, TARN_KEY_MAX + 32);
	return 0;
}

int tarn_kv_list(tarn_kv *kv, const tarn_range *range, uint32_t max, void *buf, size_t cap, tarn_listing *out, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = list_body, .quick = true, LENT_RANGE);
	struct kv_call		 c    = { .range = range_or_all(range), .max = max, .buf = buf, .cap = cap, .out = out };
	int			 rc   = check_kv(kv);

	if (rc == 0)
		rc = check_range(range);
	if (rc == 0)
		rc = check_list_buffer(buf, cap, out);
	return rc ? call_refuse(ev, rc) : run(&c, &verb, kv, ev);
}

static int apply_body(struct call *call, unsigned flags)
{
	struct kv_call *c = of(call);

	return batch_apply(c->batch, flags, &call->lsn, c->failed);
}

static int apply_keep(struct call *call)
{
	return batch_keep(of(call)->batch);
}

static void apply_done(struct call *call)
{
	batch_free(of(call)->batch);
}

int tarn_kv_apply(tarn_kv *kv, const tarn_mutation *muts, size_t n, size_t *failed, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = apply_body, .keep = apply_keep, .done = apply_done, .quick = true);
	struct kv_call		 c    = { .failed = failed };
	int			 rc   = check_change(kv);

	if (rc == 0)
		rc = check_mutations(kv, muts, n, failed);
	if (rc == 0)
		rc = batch_make(kv->object, muts, n, &c.batch);
	return rc ? call_refuse(ev, rc) : run(&c, &verb, kv, ev);
}

static int del_range_body(struct call *call, unsigned flags)
{
	struct kv_call *c     = of(call);
	uint64_t	count = 0;
	int		rc;

	(void)flags;
	rc = kv_del_range(c->object, &c->range, call->op, &count, &call->lsn);
	if (c->count)
		*c->count = count;
	return rc;
}

int tarn_kv_del_range(tarn_kv *kv, const tarn_range *range, uint64_t *count, tarn_event *ev)
{
	static const struct verb verb = KV_VERB(.body = del_range_body, LENT_RANGE);
	struct kv_call		 c    = { .range = range_or_all(range), .count = count };
	int			 rc   = check_change(kv);

	if (rc == 0)
		rc = check_range(range);
	return rc ? call_refuse(ev, rc) : run(&c, &verb, kv, ev);
}
