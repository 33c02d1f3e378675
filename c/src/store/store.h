/* SPDX-License-Identifier: Apache-2.0 */
/* store/store.h: one target's engine: ordered trees that survive crashes.
 *
 * A store holds trees, named by a 64-bit id (1 and up; 0 is its own), each an ordered map from keys to values. Always true:
 *   - what store_commit() or store_commit_async() has reported as durable survives a crash, whole;
 *   - a batch is applied whole or not at all, in memory, in the log and after a crash;
 *   - what is read was verified against the checksum that its parent holds; else CSUM and the place, never wrong bytes;
 *   - a device that fails a write or a flush turns the store read-only, and nothing unacknowledged is acknowledged later.
 * Any thread may call; a call runs on the thread that calls it, which may wait for the device. The store starts no thread.
 * Key and value memory is lent for the call. */
#ifndef TARN_STORE_H
#define TARN_STORE_H

#include "../base/op.h"
#include "../device/device.h"
#include <tarn/kv.h>
#include <tarn/watch.h>

struct store;

#define STORE_KEY_MAX (TARN_KEY_MAX + 16) /* an object's id stands before the user's key */

struct store_format {
	tarn_uuid   pool, target;
	uint64_t    size;	/* bytes of the device to use; 0: all */
	uint64_t    log_bytes;	/* 0: 1/16 of the first GiB of the size and 1/4 of the rest, 256 KiB to 512 MiB */
	uint32_t    node_bytes; /* 512 to 65536; 0: 4 KiB */
	const void *meta;	/* the upper layer's own record (the pool map), at most STORE_META_MAX bytes */
	size_t	    meta_len;
	bool	    zeroed; /* all of it is written; progress, NULL or not, is told of each piece, and an early end of op, NULL or not, is one of this */
	void (*progress)(void *arg, uint64_t done, uint64_t all);
	void		*arg;
	const struct op *op;
};
#define STORE_META_MAX 2048

/* Makes an empty store on dev. What dev held is lost. INVAL (too small, bad sizes), IO, NOMEM, CANCELED. */
int store_format(struct device *dev, const struct store_format *format);

struct store_identity {
	tarn_uuid pool, target;
	uint32_t  format_version;
	uint64_t  generation;
	uint64_t  size; /* bytes */
	uint64_t  log_bytes;
	uint64_t  free_bytes; /* as of the last checkpoint */
	uint8_t	  meta[STORE_META_MAX];
	size_t	  meta_len;
};

/* Reads the superblocks only. DF_INVAL (not a pool, or truncated: the sentence says which), DF_INCOMPT, IO. */
int store_probe(struct device *dev, struct store_identity *identity);

/* Overwrites the superblocks: dev is no pool any more. */
int store_wipe(struct device *dev);

struct store_options {
	uint64_t cache_bytes; /* 0: 256 MiB */
};

/* Recovers and opens. dev is the store's to use until store_close(), and the caller's to close after it.
 * DF_INVAL, DF_INCOMPT, CSUM (damage before the end of the log, or in the superblock's trees), IO, NOMEM, NOSPACE. */
int store_open(struct device *dev, const struct store_options *options, struct store **store);

/* Checkpoints unless the store is read-only, and frees it. Returns the checkpoint's result; EP_RO when the store had failed, and changes that
 * were applied are not durable. Nothing else may be running. */
int store_close(struct store *store);

/* Frees it without writing anything: as a crash would. */
void store_abandon(struct store *store);

#define STORE_NOWAIT 1u /* AGAIN instead of reading the device, or waiting for a thread that does */
#define STORE_COMMITS                                                                                                            \
	2u /* store_apply(): store_commit() follows at once, so it may be done here already. Never beside STORE_NOWAIT */

/* All that reads names a tree and an epoch: 0 is the tree as it is; else it is the snapshot of that epoch, or NONEXIST. */
struct store_at {
	uint64_t tree, epoch;
};

/* Copies the value. *len: room in, size out; buf NULL: size only. NONEXIST (*len 0); REC2BIG (*len the size, buf untouched).
 * rev may be NULL. */
int store_get(struct store *store, struct store_at at, tarn_buf key, void *buf, size_t *len, uint64_t *rev, unsigned flags);

/* Many at once: each as store_get(), with an rc of its own, and no sentence; reads that miss memory overlap. Only those are answered whose rc is
 * -TARN_E_INPROGRESS at the call, so that after AGAIN (NOWAIT) a second call goes on with the rest. 0, AGAIN, NOMEM. */
struct store_get {
	tarn_buf key;
	void	*buf; /* room in len; NULL: size only */
	size_t	 len;
	uint64_t rev;
	int	 rc;
};
int store_get_many(struct store *store, struct store_at at, struct store_get *gets, size_t n, unsigned flags);

/* After a call with STORE_NOWAIT on this thread answered AGAIN: wait->ready(wait) is called once, from store_serve(), when what it wanted has
 * come or failed; then it is tried again. false: it did not want a page: run it where it may wait. */
struct store_wait {
	struct store_wait *next;
	void (*ready)(struct store_wait *wait);
	uint64_t page;	       /* the store's, zero at first: where it was parked last */
	unsigned again, often; /* how often there, and at all */
};
bool store_park(struct store *store, struct store_wait *wait);
/* Serving: once, from begin to end. Calls park from the one to the other; store_serve(), on a thread of its own, completes reads and calls
 * those that wait for them; it returns when all that had parked before the end have been called. ready() does not wait. */
int  store_serve_begin(struct store *store); /* NOMEM, or what the device says: nothing will park */
void store_serve(struct store *store);
void store_serve_end(struct store *store);

struct store_range {
	tarn_buf start, end; /* start <= key < end; an empty end: to the end of the tree */
	uint32_t flags;	     /* TARN_RANGE_AFTER, _REVERSE, _KEYS_ONLY */
	size_t	 strip;	     /* bytes at the front of each key that are left out of what is listed */
};

/* As tarn_kv_list(). */
int store_list(struct store *store, struct store_at at, const struct store_range *range, uint32_t max, void *buf, size_t cap,
	       tarn_listing *out, unsigned flags);
int store_count(struct store *store, struct store_at at, const struct store_range *range, uint64_t *count, unsigned flags);

struct store_value; /* a value on its way, see below */

/* DROP: the whole tree with its snapshots. SNAP: a snapshot of it, whose epoch is the batch's lsn (the batch's other changes are in it: it stands
 * last). UNSNAP: the snapshot of epoch `revision` is gone: NONEXIST when there is none. These three ignore key and cond, and stand
 * once a tree in a batch. CHECK: only the condition; checks stand behind all changes. */
enum store_change { STORE_PUT, STORE_DEL, STORE_DROP, STORE_SNAP, STORE_UNSNAP, STORE_CHECK };

struct store_mutation {
	enum store_change   change;
	tarn_cond	    cond;
	uint64_t	    revision; /* of TARN_COND_REVISION; 0: must be absent. UNSNAP: the epoch */
	uint64_t	    tree;
	tarn_buf	    key;
	tarn_buf	    val;   /* PUT: the bytes */
	struct store_value *value; /* PUT: instead of val, a finished value; consumed when the batch succeeds */
};

/* Checks all conditions against the state before the batch, then applies all of it, in memory and to the log's buffer. *lsn is
 * what to commit; the revision of each key that was put is *lsn. EXIST, NONEXIST, TX_RESTART (*failed, when not NULL, is the
 * index); INVAL (a key twice); REC2BIG (does not fit into the log); NOSPACE; EP_RO; KEY2BIG; AGAIN (NOWAIT). With COMMITS also what store_commit()
 * answers: then *lsn is set all the same, the batch is applied, and it may survive a crash or not. Else an error leaves *lsn as it was. */
int store_apply(struct store *store, struct store_mutation *muts, size_t n, unsigned flags, uint64_t *lsn, size_t *failed);

/* Waits until lsn is durable; one of the threads that wait writes for all. 0 is "everything applied so far". */
int store_commit(struct store *store, uint64_t lsn);

/* Completes op when lsn is durable, or the store has failed. Somebody must call store_flush_log(); returns true when nobody is
 * in it now, so that the caller wakes somebody. */
bool store_commit_async(struct store *store, uint64_t lsn, struct op *op);
/* Writes what waits, and completes the operations that waited for it. */
void store_flush_log(struct store *store);

/* Values in pieces, for values that are too large to copy. Pieces go to free space at once, and are found again only when a batch
 * that names the value is durable. A value that was not consumed is given back with store_value_free(). */
int  store_value_new(struct store *store, struct store_value **value);
int  store_value_append(struct store_value *value, const void *data, size_t len);
void store_value_free(struct store_value *value); /* NULL is fine */

/* A pinned value: its space is not reused while a reader of it is open. */
struct store_reader;
int  store_reader_open(struct store *store, struct store_at at, tarn_buf key, tarn_kv_stat *stat, struct store_reader **reader);
int  store_reader_read(struct store_reader *reader, uint64_t offset, void *buf, size_t *len);
void store_reader_close(struct store_reader *reader);

/* What has changed in a tree, batch by batch, as it becomes durable: the log, as far back as it has not been overwritten. */
struct store_watch_options {
	uint64_t tree;
	uint64_t start;	 /* the first revision that is wanted; 0: what becomes durable from now on */
	uint64_t born;	 /* there is nothing before this revision: who asks for what was gets EP_OLD */
	tarn_buf prefix; /* of the keys that are wanted; copied */
	size_t	 strip;	 /* bytes at the front of each key that are left out */
	tarn_buf end;	 /* the key whose deletion ends it; copied. The drop of the tree does too */
	bool	 keys_only;
};
struct store_watch;
/* *now: where it begins; also after EP_OLD (start is gone) and OVERFLOW (start is in the future). IO, NOMEM. */
int store_watch_open(struct store *store, const struct store_watch_options *options, tarn_changes *now,
		     struct store_watch **watch);
int store_watch_skip(struct store_watch *watch, uint64_t n); /* as tarn_watch_skip() */
/* As tarn_watch_next(), with what tarn_watch_values() was told. With STORE_NOWAIT also AGAIN. One thread at a time. */
int store_watch_next(struct store_watch *watch, uint64_t values, void *buf, size_t cap, tarn_changes *out, unsigned flags);
/* 1: op completes when there is more than next() has seen, or the log has failed; its `stop` ends that with CANCELED. 0 or an error: there is
 * already, or it has, and op is the caller's to complete. */
int  store_watch_wait(struct store_watch *watch, struct op *op);
void store_watch_close(struct store_watch *watch);

/* The epochs of a tree's snapshots in ascending order, those after `after`: *n is the room, then the number filled. */
int store_snapshots(struct store *store, uint64_t tree, uint64_t after, uint64_t *epochs, size_t *n);

/* Waits for the device, not holding up other calls for longer than it takes to begin. */
int store_checkpoint(struct store *store);
/* For who is told that something is due (store_on_due()), one thread: memory for new pages is touched before they need it; then a checkpoint, or, when
 * only memory is full, puts leave it; then a step towards a filter of keys. Waits for the device. In *again_ns nanoseconds it should be called again, 0:
 * when something is due. */
int store_relieve(struct store *store, uint64_t *again_ns);
/* due() is called, from within any call, a get too, and with locks held or without, when one of these should begin: it wakes a thread that calls
 * store_relieve(). Without one, the calls themselves do what must be done, and there is no filter. It is taken away (NULL) when no call runs. */
void store_on_due(struct store *store, void (*due)(void *arg), void *arg);

struct store_stat {
	uint64_t total_bytes, free_bytes, log_bytes, log_used_bytes, cache_bytes, cache_used_bytes, generation;
	uint64_t dirty_bytes; /* of memory, for what the next checkpoint writes */
	uint64_t batch_max;   /* bytes of log record in one batch */
	uint64_t put_off;     /* puts since it was opened whose leaf was not read for them */
	uint64_t spilled;     /* of them, those that have left memory before their leaf was written */
	uint64_t
		row_bytes; /* of memory, for keys that are wanted often, and whose leaves are not there; part of the cache's budget */
	uint64_t filter_bytes; /* the same, for what says which keys are not there */
	uint32_t format_version;
	uint32_t inline_max; /* a larger value goes to extents */
	bool	 readonly;   /* the device failed; */
	char	 why[TARN_MESSAGE_MAX];
};
void store_stat(struct store *store, struct store_stat *stat);

/* A piece of damage. */
struct store_finding {
	const char     *what;
	uint64_t	block, blocks; /* where; blocks 0: not at one place */
	struct store_at at;	       /* whose it is; tree 0: the engine's own */
	tarn_buf	low, high;     /* keys that cannot be read: low <= key < high; an empty one does not bound */
};
struct store_report {
	void (*found)(struct store_report	 *report,
		      const struct store_finding *finding); /* may be NULL. It may call the store; told of 1,000 */
	void (*progress)(struct store_report *report, uint64_t done,
			 uint64_t all);		   /* bytes read, and in use; may be NULL. It may not */
	uint64_t bytes_per_second;		   /* store_scrub(): how fast it reads; 0: as it likes */
	bool (*stop)(struct store_report *report); /* may be NULL; true ends it with CANCELED */
	uint64_t findings, bytes;		   /* out */
};
/* Checkpoints, and walks all that it has written: structure, order, checksums, counts, snapshots, and the space map against one computed
 * anew. Each finding goes to the log and to report (which may be NULL), the first one is the sentence of the result (CSUM). No other
 * checkpoint runs meanwhile; when this one cannot be written, the last one is walked, and the error is the result. Takes three bits of
 * memory a block. Also NOMEM, CANCELED. */
int store_check(struct store *store, struct store_report *report);
/* Reads everything that the superblock reaches, beside other calls, and compares the checksums. Otherwise as store_check(). */
int store_scrub(struct store *store, struct store_report *report);

#endif
