/* SPDX-License-Identifier: Apache-2.0 */
/* api/stream.c: readers and writers of values in pieces (tarn/kv.h).
 *
 * A writer or reader counts as a child of its object's handle until it is freed. One call of it runs at a time; a second one is
 * refused, since their order would be a matter of luck. A writer whose piece was not written, for whatever reason, cannot commit. */
#include "check.h"
#include <stdatomic.h>
#include <stdlib.h>

struct tarn_writer {
	struct handle	    handle;
	tarn_kv		   *kv;
	struct store_value *value;
	uint64_t	    size;
	int		    rc; /* of the first piece that failed */
	tarn_cond	    cond;
	size_t		    key_len;
	uint8_t		    key[];
};

struct tarn_reader {
	struct handle	     handle;
	tarn_kv		    *kv;
	struct store_reader *reader;
};

static struct driver *driver_of(const tarn_kv *kv)
{
	return kv->object->container->pool->driver;
}

static int check_alone(struct handle *handle, const char *what)
{
	return handle_calls(handle) ? fail(BUSY, "a call of this %s is running: one at a time", what) : 0;
}

/* ---- writers ---- */

static tarn_writer *new_writer(tarn_kv *kv, tarn_buf key, tarn_cond cond)
{
	tarn_writer *writer = calloc(1, sizeof(*writer) + key.len);

	if (!writer)
		return NULL;
	writer->kv	= kv;
	writer->cond	= cond;
	writer->key_len = key.len;
	memcpy(writer->key, key.ptr, key.len);
	return writer;
}

int tarn_writer_open(tarn_kv *kv, tarn_buf key, tarn_cond cond, tarn_writer **out)
{
	tarn_writer *writer;
	int	     rc = check_change(kv);

	if (rc == 0)
		rc = check_key(key);
	if (rc == 0)
		rc = check_put_cond(cond);
	if (rc == 0 && !out)
		rc = fail(INVAL, "tarn_writer_open: there is no place for the writer (NULL)");
	if (rc)
		return rc;
	writer = new_writer(kv, key, cond);
	if (!writer)
		return fail(NOMEM, "no memory for a writer and a key of %zu bytes", key.len);
	rc = driver_of(kv)->ops->value_new(driver_of(kv), &writer->value);
	if (rc) {
		free(writer);
		return rc;
	}
	atomic_fetch_add(&kv->handle.children, 1);
	*out = writer;
	return 0;
}

static void free_writer(tarn_writer *writer)
{
	tarn_kv *kv = writer->kv;

	driver_of(kv)->ops->value_free(driver_of(kv), writer->value);
	free(writer);
	atomic_fetch_sub(&kv->handle.children, 1);
}

struct writer_call {
	struct call  call;
	tarn_writer *writer;
	tarn_buf     data;
};

static struct writer_call *writer_call_of(struct call *call)
{
	return container_of(call, struct writer_call, call);
}

/* rc speaks of a write that never ran, too: it is set when the write is accepted, and taken back when it is done. */
static int write_body(struct call *call, unsigned flags)
{
	struct writer_call *c	   = writer_call_of(call);
	tarn_writer	   *writer = c->writer;

	(void)flags;
	writer->rc = driver_of(writer->kv)->ops->value_append(driver_of(writer->kv), writer->value, c->data.ptr, c->data.len);
	if (writer->rc == 0)
		writer->size += c->data.len;
	return writer->rc;
}

static int check_writer(tarn_writer *writer)
{
	if (!writer)
		return fail(NO_HDL, "the writer is NULL");
	return check_alone(&writer->handle, "writer");
}

static int check_sound(const tarn_writer *writer)
{
	if (writer->rc)
		return base_fail(-writer->rc, "a piece of this value was not written (%s): abort, and begin again",
				 tarn_strerror(writer->rc));
	return 0;
}

int tarn_writer_write(tarn_writer *writer, tarn_buf data, tarn_event *ev)
{
	static const struct verb verb = { .body = write_body,
					  .size = sizeof(struct writer_call),
					  .lent = { offsetof(struct writer_call, data) } };
	struct writer_call	 c    = { .writer = writer, .data = data };
	int			 rc   = check_writer(writer);

	if (rc == 0)
		rc = check_sound(writer);
	if (rc == 0 && data.len && !data.ptr)
		rc = fail(INVAL, "the data is NULL, and its length is %zu", data.len);
	if (rc == 0)
		rc = check_size(writer->kv, writer->size + data.len);
	if (rc)
		return call_refuse(ev, rc);
	writer->rc = -TARN_E_CANCELED;
	c.call	   = call_on_pool(&verb, &writer->handle, writer->kv->object->container->pool);
	rc	   = call_run(&c.call, ev);
	if (rc < 0 && ev)
		writer->rc = 0; /* refused: nothing has started */
	return rc;
}

static int commit_body(struct call *call, unsigned flags)
{
	tarn_writer *writer = writer_call_of(call)->writer;
	int	     rc	    = check_sound(writer);

	(void)flags;
	if (rc)
		return rc;
	rc = kv_put_value(writer->kv->object, (tarn_buf){ writer->key, writer->key_len }, writer->value, writer->cond,
			  &call->lsn);
	if (rc == 0)
		writer->value = NULL; /* consumed */
	return rc;
}

static void commit_done(struct call *call)
{
	free_writer(writer_call_of(call)->writer);
}

/* The call counts on the object, since the writer is gone before the change is durable. */
int tarn_writer_commit(tarn_writer *writer, tarn_event *ev)
{
	static const struct verb verb = { .body = commit_body, .done = commit_done, .size = sizeof(struct writer_call) };
	struct writer_call	 c    = { .writer = writer };
	int			 rc   = check_writer(writer);

	if (rc)
		return call_refuse(ev, rc);
	c.call = call_on_objects(&verb, &writer->kv->handle, writer->kv->object->container);
	return call_run(&c.call, ev);
}

int tarn_writer_abort(tarn_writer *writer)
{
	int rc = check_writer(writer);

	if (rc == 0)
		free_writer(writer);
	return rc;
}

/* ---- readers ---- */

struct reader_call {
	struct call   call;
	tarn_kv	     *kv;
	tarn_buf      key;
	tarn_kv_stat *stat;
	tarn_reader **opened;
	tarn_reader  *reader;
	uint64_t      offset;
	void	     *buf;
	size_t	     *len;
};

static struct reader_call *reader_call_of(struct call *call)
{
	return container_of(call, struct reader_call, call);
}

static int open_body(struct call *call, unsigned flags)
{
	struct reader_call *c	   = reader_call_of(call);
	tarn_reader	   *reader = calloc(1, sizeof(*reader));
	tarn_kv_stat	    stat;
	int		    rc;

	(void)flags;
	if (!reader)
		return fail(NOMEM, "no memory for a reader");
	rc = kv_open_reader(c->kv->object, c->key, &stat, &reader->reader);
	if (rc) {
		free(reader);
		return rc;
	}
	reader->kv = c->kv;
	atomic_fetch_add(&c->kv->handle.children, 1);
	if (c->stat)
		*c->stat = stat;
	*c->opened = reader;
	return 0;
}

int tarn_reader_open(tarn_kv *kv, tarn_buf key, tarn_kv_stat *stat, tarn_reader **reader, tarn_event *ev)
{
	static const struct verb verb = { .body = open_body,
					  .size = sizeof(struct reader_call),
					  .lent = { offsetof(struct reader_call, key) } };
	struct reader_call	 c    = { .kv = kv, .key = key, .stat = stat, .opened = reader };
	int			 rc   = check_kv(kv);

	if (rc == 0)
		rc = check_key(key);
	if (rc == 0 && !reader)
		rc = fail(INVAL, "tarn_reader_open: there is no place for the reader (NULL)");
	if (rc)
		return call_refuse(ev, rc);
	*reader = NULL;
	c.call	= call_on_pool(&verb, &kv->handle, kv->object->container->pool);
	return call_run(&c.call, ev);
}

static int read_body(struct call *call, unsigned flags)
{
	struct reader_call *c	   = reader_call_of(call);
	tarn_reader	   *reader = c->reader;

	(void)flags;
	return driver_of(reader->kv)->ops->reader_read(driver_of(reader->kv), reader->reader, c->offset, c->buf, c->len);
}

int tarn_reader_read(tarn_reader *reader, uint64_t offset, void *buf, size_t *len, tarn_event *ev)
{
	static const struct verb verb = { .body = read_body, .size = sizeof(struct reader_call) };
	struct reader_call	 c    = { .reader = reader, .offset = offset, .buf = buf, .len = len };
	int			 rc   = 0;

	if (!reader)
		rc = fail(NO_HDL, "the reader is NULL");
	else if (!len || (*len && !buf))
		rc = fail(INVAL, "tarn_reader_read: %s is NULL", len ? "buf" : "len");
	else
		rc = check_alone(&reader->handle, "reader");
	if (rc)
		return call_refuse(ev, rc);
	c.call = call_on_pool(&verb, &reader->handle, reader->kv->object->container->pool);
	return call_run(&c.call, ev);
}

int tarn_reader_close(tarn_reader *reader)
{
	int rc = 0;

	if (!reader)
		return fail(NO_HDL, "tarn_reader_close: the reader is NULL");
	rc = check_alone(&reader->handle, "reader");
	if (rc)
		return rc;
	driver_of(reader->kv)->ops->reader_close(driver_of(reader->kv), reader->reader);
	atomic_fetch_sub(&reader->kv->handle.children, 1);
	free(reader);
	return 0;
}
