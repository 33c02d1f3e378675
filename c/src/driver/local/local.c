/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/local.c: the driver on an open store. See local.h. */
#include "checkpointer.h"
#include "flusher.h"
#include "local.h"
#include "server.h"
#include <stdio.h>
#include <stdlib.h>

struct local {
	struct driver  driver;
	struct device *device;
	struct store  *store;
	struct flusher flusher;

	struct server	    server;
	struct checkpointer checkpointer;
};

static struct local *local_of(struct driver *driver)
{
	return container_of(driver, struct local, driver);
}

static struct store *store_of(struct driver *driver)
{
	return local_of(driver)->store;
}

static int local_get(struct driver *driver, struct store_at at, tarn_buf key, void *buf, size_t *len, uint64_t *rev,
		     unsigned flags)
{
	return store_get(store_of(driver), at, key, buf, len, rev, flags);
}

static int local_get_many(struct driver *driver, struct store_at at, struct store_get *gets, size_t n, unsigned flags)
{
	return store_get_many(store_of(driver), at, gets, n, flags);
}

static int local_list(struct driver *driver, struct store_at at, const struct store_range *range, uint32_t max, void *buf,
		      size_t cap, tarn_listing *out, unsigned flags)
{
	return store_list(store_of(driver), at, range, max, buf, cap, out, flags);
}

static int local_count(struct driver *driver, struct store_at at, const struct store_range *range, uint64_t *count,
		       unsigned flags)
{
	return store_count(store_of(driver), at, range, count, flags);
}

static bool local_park(struct driver *driver, struct store_wait *wait)
{
	return server_park(&local_of(driver)->server, wait);
}

static int local_apply(struct driver *driver, struct store_mutation *muts, size_t n, unsigned flags, uint64_t *lsn,
		       size_t *failed)
{
	struct local *local = local_of(driver);
	int	      rc    = store_apply(local->store, muts, n, flags, lsn, failed);

	if (rc == 0)
		flusher_count(&local->flusher, muts, n);
	return rc;
}

/* The change is made already, so a system that has no thread left must not fail it: then the caller writes the log. */
static int local_commit(struct driver *driver, uint64_t lsn, struct op *op)
{
	struct local *local = local_of(driver);

	if (!op)
		return store_commit(local->store, lsn);
	if (store_commit_async(local->store, lsn, op) && flusher_wake(&local->flusher))
		store_flush_log(local->store);
	return 0;
}

static bool local_relax(struct driver *driver, uint64_t lsn)
{
	return flusher_relax(&local_of(driver)->flusher, lsn);
}

static int local_value_new(struct driver *driver, struct store_value **value)
{
	return store_value_new(store_of(driver), value);
}

static int local_value_append(struct driver *driver, struct store_value *value, const void *data, size_t len)
{
	(void)driver;
	return store_value_append(value, data, len);
}

static void local_value_free(struct driver *driver, struct store_value *value)
{
	(void)driver;
	store_value_free(value);
}

static int local_reader_open(struct driver *driver, struct store_at at, tarn_buf key, tarn_kv_stat *stat,
			     struct store_reader **reader)
{
	return store_reader_open(store_of(driver), at, key, stat, reader);
}

static int local_reader_read(struct driver *driver, struct store_reader *reader, uint64_t offset, void *buf, size_t *len)
{
	(void)driver;
	return store_reader_read(reader, offset, buf, len);
}

static void local_reader_close(struct driver *driver, struct store_reader *reader)
{
	(void)driver;
	store_reader_close(reader);
}

static int local_watch_open(struct driver *driver, const struct store_watch_options *options, tarn_changes *now,
			    struct store_watch **watch)
{
	return store_watch_open(store_of(driver), options, now, watch);
}

static int local_watch_skip(struct driver *driver, struct store_watch *watch, uint64_t n)
{
	(void)driver;
	return store_watch_skip(watch, n);
}

static int local_watch_next(struct driver *driver, struct store_watch *watch, uint64_t values, void *buf, size_t cap,
			    tarn_changes *out, unsigned flags)
{
	(void)driver;
	return store_watch_next(watch, values, buf, cap, out, flags);
}

static int local_watch_wait(struct driver *driver, struct store_watch *watch, struct op *op)
{
	(void)driver;
	return store_watch_wait(watch, op);
}

static void local_watch_close(struct driver *driver, struct store_watch *watch)
{
	(void)driver;
	store_watch_close(watch);
}

static int local_checkpoint(struct driver *driver)
{
	return store_checkpoint(store_of(driver));
}

static int local_check(struct driver *driver, struct store_report *report)
{
	return store_check(store_of(driver), report);
}

static int local_scrub(struct driver *driver, struct store_report *report)
{
	return store_scrub(store_of(driver), report);
}

static void local_stat(struct driver *driver, struct store_stat *stat)
{
	store_stat(store_of(driver), stat);
}

static void free_local(struct local *local)
{
	device_close(local->device);
	free(local);
}

/* Who hands work to another thread ends before it: the server to the workers, both to the flusher, all to the checkpointer. */
static int local_close(struct driver *driver)
{
	struct local *local = local_of(driver);
	char	      why[TARN_MESSAGE_MAX];
	int	      rc, closed;

	server_stop(&local->server);
	workers_stop(&driver->workers);
	rc = flusher_stop(&local->flusher);
	snprintf(why, sizeof(why), "%s", base_message());
	checkpointer_stop(&local->checkpointer);
	closed = store_close(local->store);
	free_local(local);
	return rc ? base_fail(-rc, "%s", why) : closed;
}

static const struct driver_ops local_ops = {
	.name	      = "local",
	.get	      = local_get,
	.get_many     = local_get_many,
	.list	      = local_list,
	.count	      = local_count,
	.park	      = local_park,
	.apply	      = local_apply,
	.commit	      = local_commit,
	.relax	      = local_relax,
	.value_new    = local_value_new,
	.value_append = local_value_append,
	.value_free   = local_value_free,
	.reader_open  = local_reader_open,
	.reader_read  = local_reader_read,
	.reader_close = local_reader_close,
	.watch_open   = local_watch_open,
	.watch_skip   = local_watch_skip,
	.watch_next   = local_watch_next,
	.watch_wait   = local_watch_wait,
	.watch_close  = local_watch_close,
	.checkpoint   = local_checkpoint,
	.check	      = local_check,
	.scrub	      = local_scrub,
	.stat	      = local_stat,
	.close	      = local_close,
};

static int open_store(struct local *local, const char *uri, uint64_t cache_bytes)
{
	const struct device_options device = { .exclusive = true };
	const struct store_options  store  = { .cache_bytes = cache_bytes };
	int			    rc;

	rc = device_open(uri, &device, &local->device);
	if (rc)
		return rc;
	rc = store_open(local->device, &store, &local->store);
	if (rc)
		device_close(local->device);
	return rc;
}

int local_open(const char *uri, uint64_t cache_bytes, struct driver **driver)
{
	struct local *local = calloc(1, sizeof(*local));
	bool	      threads;
	int	      rc;

	if (!local)
		return fail(NOMEM, "no memory to open the pool on %s", uri);
	rc = open_store(local, uri, cache_bytes);
	if (rc) {
		free(local);
		return rc;
	}
	threads = strcmp(device_info(local->device)->kind, "sim") !=
		  0; /* what happens there is to happen again, in the same order */
	flusher_init(&local->flusher, local->store);
	server_init(&local->server, local->store, threads);
	checkpointer_init(&local->checkpointer, local->store, threads);
	local->driver.ops = &local_ops;
	workers_init(&local->driver.workers, LOCAL_WORKERS);
	*driver = &local->driver;
	return 0;
}
