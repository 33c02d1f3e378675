/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/local.h: pools on devices of this machine, by the engine in store/.
 *
 * Always true: an open driver holds its device exclusively; the device, the store and the threads are its own. A driver has up to
 * LOCAL_WORKERS threads for calls that must not wait, and one that writes the log for asynchronous commits; all are made when they
 * are first needed. */
#ifndef TARN_LOCAL_H
#define TARN_LOCAL_H

#include "../driver.h"

#define LOCAL_WORKERS 4

struct local_create {
	const char	   *uri;
	bool		    new_file;  /* make the file: EXIST when there is one */
	bool		    overwrite; /* format the device although it holds something: else EXIST */
	struct store_format format;
};

/* Formats a device, and closes it. EXIST, BUSY, NO_PERM; else as store_format(). */
int local_create(const struct local_create *create);

/* Size of a device, in bytes. */
int local_size(const char *uri, uint64_t *size);

/* Reads a pool's identity, whoever holds it. DF_INVAL, DF_INCOMPT, IO. */
int local_probe(const char *uri, struct store_identity *identity);

/* Opens and recovers the pool on a device. BUSY names the holder; else as store_open(). */
int local_open(const char *uri, uint64_t cache_bytes, struct driver **driver);

/* Ends a pool that nobody holds: a regular file is removed, a device's superblocks are overwritten. BUSY; ID_MISMATCH when another
 * pool is there; NO_PERM, IO. */
int local_erase(const char *uri, const tarn_uuid *pool);

#endif
