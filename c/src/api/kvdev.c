/* SPDX-License-Identifier: Apache-2.0 */
/* api/kvdev.c: key-value devices (tarn/kvdev.h): the NVMe Key Value Command Set over one object of a container.
 *
 * Always true: the namespace is the object of that name, and a command of the set is one key-value operation on it, with the checks of the
 * set before it. So it is as atomic and as durable as the operation is. A key of over 16 bytes, which only the object's own API can
 * have put there, is not part of the namespace, and is not listed. */
#include "check.h"
#include "struct.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <tarn/kvdev.h>

#define NAMESPACE  "nvme-kv"
#define LIST_BYTES (TARN_KEY_MAX + 32 + 8192) /* of a listing of the object: any key, and some hundred short ones */

_Static_assert(LIST_BYTES % 8 == 0, "the second of two listings is aligned");

struct tarn_kvdev {
	struct tarn_kv kv;
};

struct kvdev_call {
	struct call	 call;
	tarn_cont	*cont;
	tarn_kvdev     **opened;
	tarn_kvdev	*dev;
	tarn_buf	 key;
	void		*buf;
	size_t		 room, *len;
	tarn_kvdev_info *info;
};

static struct kvdev_call *of(struct call *call)
{
	return container_of(call, struct kvdev_call, call);
}

#define AT(field) offsetof(struct kvdev_call, field)

static int run(struct kvdev_call *c, const struct verb *verb, tarn_event *ev)
{
	c->call = call_on_pool(verb, &c->dev->kv.handle, c->dev->kv.object->container->pool);
	return call_run(&c->call, ev);
}

/* ---- checks ---- */

static int check_dev(const tarn_kvdev *dev)
{
	return dev ? 0 : fail(NO_HDL, "the key-value device is NULL");
}

static int check_dev_key(tarn_buf key)
{
	if (key.len == 0)
		return fail(INVAL, "the key is empty: a key of a key-value device has 1 to %u bytes", TARN_KVDEV_KEY_MAX);
	if (!key.ptr)
		return fail(INVAL, "the key is NULL, and its length is %zu", key.len);
	if (key.len > TARN_KVDEV_KEY_MAX)
		return fail(KEY2BIG, "the key has %zu bytes: the limit of a key-value device is %u", key.len, TARN_KVDEV_KEY_MAX);
	return 0;
}

static int check(const tarn_kvdev *dev, tarn_buf key)
{
	int rc = check_dev(dev);

	return rc ? rc : check_dev_key(key);
}

/* ---- the device ---- */

static int open_namespace(struct call *call, tarn_kvdev *dev)
{
	tarn_cont *cont = of(call)->cont;

	dev->kv.parent	 = cont;
	dev->kv.readonly = cont->readonly;
	return object_open(cont->container, NAMESPACE, !cont->readonly, cont->readonly, &dev->kv.object, &call->lsn);
}

static int open_body(struct call *call, unsigned flags)
{
	tarn_kvdev *dev = calloc(1, sizeof(*dev));
	int	    rc;

	(void)flags;
	if (!dev)
		return fail(NOMEM, "no memory to open a key-value device");
	rc = open_namespace(call, dev);
	if (rc) {
		free(dev);
		return rc;
	}
	atomic_fetch_add(&of(call)->cont->handle.children, 1);
	*of(call)->opened = dev;
	return 0;
}

static int check_is_kv(const tarn_cont *cont)
{
	const struct record *record = &cont->container->record;

	if (record->type != TARN_CONT_KV)
		return fail(NOTYPE, "container %s is of type %d: a key-value device is made in one of type KV (%d)",
			    record->label, (int)record->type, (int)TARN_CONT_KV);
	return 0;
}

int tarn_kvdev_open(tarn_cont *cont, tarn_kvdev **dev, tarn_event *ev)
{
	static const struct verb verb = { .body = open_body, .size = sizeof(struct kvdev_call) };
	struct kvdev_call	 c    = { .cont = cont, .opened = dev };
	int			 rc   = check_cont(cont, false);

	if (rc == 0 && !dev)
		rc = fail(INVAL, "tarn_kvdev_open: there is no place for the handle (NULL)");
	if (rc == 0)
		rc = check_is_kv(cont);
	if (rc)
		return call_refuse(ev, rc);
	*dev   = NULL;
	c.call = call_on_objects(&verb, &cont->handle, cont->container);
	return call_run(&c.call, ev);
}

int tarn_kvdev_close(tarn_kvdev *dev)
{
	int rc = check_dev(dev);

	if (rc == 0)
		rc = handle_check_idle(&dev->kv.handle, "key-value device", "handles");
	if (rc)
		return rc;
	object_close(dev->kv.object);
	atomic_fetch_sub(&dev->kv.parent->handle.children, 1);
	free(dev);
	return 0;
}

static int info_body(struct call *call, unsigned flags)
{
	struct container *container = of(call)->dev->kv.object->container;
	tarn_kvdev_info	 *info	    = of(call)->info;
	tarn_pool_info	  pool;

	pool_fill_info(container->pool, &pool);
	info->key_max	= TARN_KVDEV_KEY_MAX;
	info->value_max = atomic_load(&container->value_max);
	info->capacity	= pool.total_bytes;
	info->used	= pool.total_bytes - MIN(pool.free_bytes, pool.total_bytes);
	return kv_count(of(call)->dev->kv.object, NULL, &info->key_count, flags);
}

int tarn_kvdev_get_info(tarn_kvdev *dev, tarn_kvdev_info *info)
{
	static const struct verb verb = { .body = info_body, .size = sizeof(struct kvdev_call) };
	tarn_kvdev_info		 full = { .struct_size = sizeof(full) };
	struct kvdev_call	 c    = { .dev = dev, .info = &full };
	int			 rc   = check_dev(dev);

	if (rc == 0)
		rc = struct_check_info("tarn_kvdev_info", info);
	if (rc == 0)
		rc = run(&c, &verb, NULL);
	if (rc == 0)
		struct_give(info, &full, sizeof(full));
	return rc;
}

/* ---- commands that are one operation ---- */

static int store_cond(uint32_t options, tarn_cond *cond)
{
	switch (options) {
	case 0:
		*cond = TARN_COND_NONE;
		return 0;
	case TARN_KVDEV_UPDATE:
		*cond = TARN_COND_UPDATE;
		return 0;
	case TARN_KVDEV_ADD:
		*cond = TARN_COND_INSERT;
		return 0;
	case TARN_KVDEV_UPDATE | TARN_KVDEV_ADD:
		return fail(INVAL,
			    "a store that is to be done only when the key is there, and only when it is not, is never done");
	}
	return fail(INVAL, "the store options 0x%x are not known", options & ~(TARN_KVDEV_UPDATE | TARN_KVDEV_ADD));
}

int tarn_kvdev_store(tarn_kvdev *dev, tarn_buf key, tarn_buf val, uint32_t options, tarn_event *ev)
{
	tarn_cond cond = TARN_COND_NONE;
	int	  rc   = check(dev, key);

	if (rc == 0)
		rc = store_cond(options, &cond);
	return rc ? call_refuse(ev, rc) : tarn_kv_put(&dev->kv, key, val, cond, ev);
}

int tarn_kvdev_delete(tarn_kvdev *dev, tarn_buf key, tarn_event *ev)
{
	int rc = check(dev, key);

	return rc ? call_refuse(ev, rc) : tarn_kv_del(&dev->kv, key, TARN_COND_UPDATE, ev);
}

int tarn_kvdev_exist(tarn_kvdev *dev, tarn_buf key, tarn_event *ev)
{
	int rc = check(dev, key);

	return rc ? call_refuse(ev, rc) : tarn_kv_exists(&dev->kv, key, NULL, ev);
}

/* ---- retrieve ---- */

/* By a reader, which sees one value, whatever the key's is by then. */
static int read_first_bytes(struct kvdev_call *c)
{
	struct object	    *object = c->dev->kv.object;
	struct driver	    *driver = object->container->pool->driver;
	struct store_reader *reader;
	size_t		     part = c->room;
	tarn_kv_stat	     stat;
	int		     rc = kv_open_reader(object, c->key, &stat, &reader);

	if (rc)
		return rc;
	rc = driver->ops->reader_read(driver, reader, 0, c->buf, &part);
	driver->ops->reader_close(driver, reader);
	if (rc == 0)
		*c->len = (size_t)stat.size;
	return rc;
}

/* A value that fits, or of which no byte is wanted, is a plain get. *len is the caller's, and its first value is not asked for again:
 * a body may run more than once. */
static int retrieve_body(struct call *call, unsigned flags)
{
	struct kvdev_call *c   = of(call);
	size_t		   len = c->room;
	int		   rc  = kv_get(c->dev->kv.object, c->key, c->room ? c->buf : NULL, &len, flags);

	if (rc == -TARN_E_REC2BIG)
		return flags & STORE_NOWAIT ? fail(AGAIN, "the first bytes of a large value are to be read")
					    : read_first_bytes(c);
	if (rc == 0 || rc == -TARN_E_NONEXIST)
		*c->len = len;
	return rc;
}

int tarn_kvdev_retrieve(tarn_kvdev *dev, tarn_buf key, void *buf, size_t *len, tarn_event *ev)
{
	static const struct verb verb = {
		.body = retrieve_body, .size = sizeof(struct kvdev_call), .quick = true, .lent = { AT(key) }
	};
	struct kvdev_call c  = { .dev = dev, .key = key, .buf = buf, .len = len };
	int		  rc = check(dev, key);

	if (rc == 0 && !len)
		rc = fail(INVAL, "tarn_kvdev_retrieve: len is NULL: it says how large buf is, and takes the size of the value");
	if (rc == 0 && *len && !buf)
		rc = fail(INVAL, "tarn_kvdev_retrieve: buf is NULL, and *len says that it has room for %zu bytes", *len);
	if (rc)
		return call_refuse(ev, rc);
	c.room = *len;
	return run(&c, &verb, ev);
}

/* ---- list ---- */

/* The payload of the command, as it grows. */
struct payload {
	uint8_t *bytes;
	size_t	 room, used;
	uint32_t count;
	bool	 full;
};

static void payload_add(struct payload *p, tarn_buf key)
{
	size_t len = sizeof(uint16_t) + key.len, padded = ROUND_UP(len, (size_t)4);

	if (p->full || padded > p->room - p->used) {
		p->full = true;
		return;
	}
	put16(p->bytes + p->used, (uint16_t)key.len);
	memcpy(p->bytes + p->used + sizeof(uint16_t), key.ptr, key.len);
	memset(p->bytes + p->used + len, 0, padded - len);
	p->used += padded;
	p->count++;
}

/* Adds the keys of one listing of the object; *last is the last of them, in the listing. */
static void payload_add_listing(struct payload *p, const uint8_t *at, const tarn_listing *listing, tarn_buf *last)
{
	for (uint32_t i = 0; i < listing->count; i++) {
		tarn_entry entry;

		memcpy(&entry, at, sizeof(entry));
		*last = (tarn_buf){ at + sizeof(entry), entry.key_len };
		if (entry.key_len <= TARN_KVDEV_KEY_MAX)
			payload_add(p, *last);
		at += ROUND_UP(sizeof(entry) + entry.key_len, (size_t)8);
	}
}

/* Two buffers in turn: the last key of the one says where the other goes on. */
static int fill_payload(struct object *object, struct payload *p, tarn_range *range, uint8_t *buffers[2], unsigned flags)
{
	tarn_listing listing = { .more = 1 };
	int	     rc	     = 0;

	for (unsigned i = 0; !rc && listing.more && !p->full; i++) {
		rc = kv_list(object, range, 0, buffers[i % 2], LIST_BYTES, &listing, flags);
		if (rc)
			break;
		payload_add_listing(p, buffers[i % 2], &listing, &range->start);
		range->flags |= TARN_RANGE_AFTER;
	}
	return rc;
}

static int list_body(struct call *call, unsigned flags)
{
	struct kvdev_call *c	 = of(call);
	struct payload	   p	 = { .bytes = c->buf, .room = c->room, .used = sizeof(uint32_t) };
	tarn_range	   range = { .start = c->key, .flags = TARN_RANGE_KEYS_ONLY };
	uint8_t		  *both[2];
	int		   rc;

	both[0] = malloc((size_t)2 * LIST_BYTES); /* aligned for any entry, and LIST_BYTES is */
	if (!both[0])
		return fail(NOMEM, "no memory for a list of keys");
	both[1] = both[0] + LIST_BYTES;
	rc	= fill_payload(c->dev->kv.object, &p, &range, both, flags);
	free(both[0]);
	if (rc)
		return rc;
	put32(p.bytes, p.count);
	*c->len = p.used;
	return 0;
}

static int check_list(tarn_buf from, const void *buf, const size_t *len)
{
	if (!buf || !len)
		return fail(INVAL, "tarn_kvdev_list: %s is NULL", buf ? "len" : "buf");
	if (*len < 24)
		return fail(INVAL, "tarn_kvdev_list: a buffer of %zu bytes does not hold a count and any key: 24 do", *len);
	return from.len ? check_dev_key(from) : 0;
}

int tarn_kvdev_list(tarn_kvdev *dev, tarn_buf from, void *buf, size_t *len, tarn_event *ev)
{
	static const struct verb verb = {
		.body = list_body, .size = sizeof(struct kvdev_call), .quick = true, .lent = { AT(key) }
	};
	struct kvdev_call c  = { .dev = dev, .key = from, .buf = buf, .len = len };
	int		  rc = check_dev(dev);

	if (rc == 0)
		rc = check_list(from, buf, len);
	if (rc)
		return call_refuse(ev, rc);
	c.room = *len;
	return run(&c, &verb, ev);
}

uint16_t tarn_kvdev_status(int rc)
{
	switch (rc) {
	case -TARN_E_NOSPACE:
		return 0x81;
	case -TARN_E_REC2BIG:
		return 0x85;
	case -TARN_E_KEY2BIG:
		return 0x86;
	case -TARN_E_NONEXIST:
		return 0x87;
	case -TARN_E_EXIST:
		return 0x89;
	}
	return rc < 0 ? 0x88 : 0;
}
