/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/local.c: the driver on an open store. See local.h. */
#include "local.h"
#include <stdlib.h>

struct local {
	struct driver  driver;
	struct device *device;
	struct store  *store;

	/* The thread that writes the log for those who do not wait. Fields under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t	wanted;
	pthread_t	flusher;
	bool		has_flusher, flush_wanted, stopping;
};

static struct local *local_of(struct driver *driver)
{
	return container_of(driver, struct local, driver);
}

static struct store *store_of(struct driver *driver)
{
	return local_of(driver)->store;
}

static int local_get(struct driver *driver, uint64_t tree, tarn_buf key, void *buf, size_t *len, uint64_t *rev, unsigned flags)
{
	return store_get(store_of(driver), tree, key, buf, len, rev, flags);
}

static int local_list(struct driver *driver, uint64_t tree, const struct store_range *range, uint32_t max, void *buf, size_t cap,
		      tarn_listing *out)
{
	return store_list(store_of(driver), tree, range, max, buf, cap, out);
}

static int local_count(struct driver *driver, uint64_t tree, const struct store_range *range, uint64_t *count)
{
	return store_count(store_of(driver), tree, range, count);
}

static int local_apply(struct driver *driver, struct store_mutation *muts, size_t n, unsigned flags, uint64_t *lsn,
		       size_t *failed)
{
	return store_apply(store_of(driver), muts, n, flags, lsn, failed);
}

/* Requests that come while it writes are one more round, however many they are. */
static void *flush(void *arg)
{
	struct local *local = arg;

	pthread_mutex_lock(&local->lock);
	for (;;) {
		while (!local->flush_wanted && !local->stopping)
			pthread_cond_wait(&local->wanted, &local->lock);
		if (!local->flush_wanted)
			break;
		local->flush_wanted = false;
		pthread_mutex_unlock(&local->lock);
		store_flush_log(local->store);
		pthread_mutex_lock(&local->lock);
	}
	pthread_mutex_unlock(&local->lock);
	return NULL;
}

static int want_flush(struct local *local)
{
	int rc = 0;

	pthread_mutex_lock(&local->lock);
	if (!local->has_flusher) {
		rc		   = thread_start(&local->flusher, "tarn-log", flush, local);
		local->has_flusher = rc == 0;
	}
	local->flush_wanted = true;
	pthread_cond_signal(&local->wanted);
	pthread_mutex_unlock(&local->lock);
	return rc;
}

/* The change is made already, so a system that has no thread left must not fail it: then the caller writes the log. */
static int local_commit(struct driver *driver, uint64_t lsn, struct op *op)
{
	struct local *local = local_of(driver);

	if (!op)
		return store_commit(local->store, lsn);
	if (store_commit_async(local->store, lsn, op) && want_flush(local))
		store_flush_log(local->store);
	return 0;
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

static int local_reader_open(struct driver *driver, uint64_t tree, tarn_buf key, tarn_kv_stat *stat, struct store_reader **reader)
{
	return store_reader_open(store_of(driver), tree, key, stat, reader);
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

static int local_checkpoint(struct driver *driver)
{
	return store_checkpoint(store_of(driver));
}

static int local_check(struct driver *driver)
{
	return store_check(store_of(driver));
}

static void local_stat(struct driver *driver, struct store_stat *stat)
{
	store_stat(store_of(driver), stat);
}

static void stop_flusher(struct local *local)
{
	pthread_mutex_lock(&local->lock);
	local->stopping = true;
	pthread_cond_signal(&local->wanted);
	pthread_mutex_unlock(&local->lock);
	if (local->has_flusher)
		pthread_join(local->flusher, NULL);
}

static void free_local(struct local *local)
{
	pthread_cond_destroy(&local->wanted);
	pthread_mutex_destroy(&local->lock);
	device_close(local->device);
	free(local);
}

/* Tasks may commit, so the workers end before the flusher does. */
static int local_close(struct driver *driver)
{
	struct local *local = local_of(driver);
	int	      rc;

	workers_stop(&driver->workers);
	stop_flusher(local);
	rc = store_close(local->store);
	free_local(local);
	return rc;
}

static const struct driver_ops local_ops = {
	.name	      = "local",
	.get	      = local_get,
	.list	      = local_list,
	.count	      = local_count,
	.apply	      = local_apply,
	.commit	      = local_commit,
	.value_new    = local_value_new,
	.value_append = local_value_append,
	.value_free   = local_value_free,
	.reader_open  = local_reader_open,
	.reader_read  = local_reader_read,
	.reader_close = local_reader_close,
	.checkpoint   = local_checkpoint,
	.check	      = local_check,
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
	int	      rc;

	if (!local)
		return fail(NOMEM, "no memory to open the pool on %s", uri);
	rc = open_store(local, uri, cache_bytes);
	if (rc) {
		free(local);
		return rc;
	}
	pthread_mutex_init(&local->lock, NULL);
	pthread_cond_init(&local->wanted, NULL);
	local->driver.ops = &local_ops;
	workers_init(&local->driver.workers, LOCAL_WORKERS);
	*driver = &local->driver;
	return 0;
}
