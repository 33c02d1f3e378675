/* SPDX-License-Identifier: Apache-2.0 */
/* driver/driver.h: the seam: what a pool needs from what stores it.
 *
 * Always true: a driver is open from its constructor (local/local.h) to close(); no function of it is NULL, and what it cannot do is a
 * function that answers NOTSUPPORTED and says so. Any thread may call, also many at once; a call runs on its caller, who may wait
 * for the device unless STORE_NOWAIT stands in flags: then AGAIN. Who must not wait hands a task to `workers`.
 * Trees, keys, mutations, errors and durability mean what store/store.h says; a value or a reader belongs to the driver that made it. */
#ifndef TARN_DRIVER_H
#define TARN_DRIVER_H

#include "../base/workers.h"
#include "../store/store.h"

struct driver;

struct driver_ops {
	const char *name;

	/* buf NULL: size and revision only. */
	int (*get)(struct driver *driver, struct store_at at, tarn_buf key, void *buf, size_t *len, uint64_t *rev,
		   unsigned flags);
	int (*get_many)(struct driver *driver, struct store_at at, struct store_get *gets, size_t n, unsigned flags);
	int (*list)(struct driver *driver, struct store_at at, const struct store_range *range, uint32_t max, void *buf,
		    size_t cap, tarn_listing *out, unsigned flags);
	int (*count)(struct driver *driver, struct store_at at, const struct store_range *range, uint64_t *count, unsigned flags);

	/* After AGAIN on this thread: as store_park(); wait->ready() is called on a thread of the driver's. */
	bool (*park)(struct driver *driver, struct store_wait *wait);

	/* Applied, and with STORE_COMMITS perhaps durable already, else not yet: commit(*lsn) makes it so. */
	int (*apply)(struct driver *driver, struct store_mutation *muts, size_t n, unsigned flags, uint64_t *lsn, size_t *failed);
	/* Without an operation it waits; with one it returns 0 and the operation completes. lsn 0: all that was applied so far. */
	int (*commit)(struct driver *driver, uint64_t lsn, struct op *op);
	/* Instead of commit(): true when lsn will be durable within TARN_RELAXED_MS by itself, or its failure be the next change's, sync's
	 * and close()'s. false: too much has gathered (or nothing gathers here): commit it. Does not wait. */
	bool (*relax)(struct driver *driver, uint64_t lsn);

	int (*value_new)(struct driver *driver, struct store_value **value);
	int (*value_append)(struct driver *driver, struct store_value *value, const void *data, size_t len);
	void (*value_free)(struct driver *driver, struct store_value *value);

	int (*reader_open)(struct driver *driver, struct store_at at, tarn_buf key, tarn_kv_stat *stat,
			   struct store_reader **reader);
	int (*reader_read)(struct driver *driver, struct store_reader *reader, uint64_t offset, void *buf, size_t *len);
	void (*reader_close)(struct driver *driver, struct store_reader *reader);

	int (*watch_open)(struct driver *driver, const struct store_watch_options *options, tarn_changes *now,
			  struct store_watch **watch);
	int (*watch_skip)(struct driver *driver, struct store_watch *watch, uint64_t n);
	int (*watch_next)(struct driver *driver, struct store_watch *watch, uint64_t values, void *buf, size_t cap,
			  tarn_changes *out, unsigned flags);
	int (*watch_wait)(struct driver *driver, struct store_watch *watch, struct op *op);
	void (*watch_close)(struct driver *driver, struct store_watch *watch);

	int (*checkpoint)(struct driver *driver);
	int (*check)(struct driver *driver, struct store_report *report);
	int (*scrub)(struct driver *driver, struct store_report *report);
	void (*stat)(struct driver *driver, struct store_stat *stat);

	/* Finishes the tasks, makes everything durable, frees the driver in any case. Nothing else is running. */
	int (*close)(struct driver *driver);
};

struct driver {
	const struct driver_ops *ops;
	struct workers		 workers;
};

#endif
