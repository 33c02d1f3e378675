/* SPDX-License-Identifier: Apache-2.0 */
/* store/log.h: the write-ahead log, a ring of groups (log.c), who waits for them (gather.c), and where those are that can still be read (feed.c).
 * store->lock is held, but where it says otherwise; log.lock comes after it. */
#ifndef TARN_STORE_LOG_H
#define TARN_STORE_LOG_H

#include "layout.h"
#include "store.h"
#include <pthread.h>
#include <stdatomic.h>

struct op;
struct device_queue;

struct record_context { /* what the next mutation of a group may leave out, see layout.h */
	uint64_t tree;
	uint8_t	 len; /* of the key, as far as it counts */
	uint8_t	 key[RECORD_SHARED_MAX];
};
struct log_buf {
	uint8_t		     *data; /* header and records; aligned */
	size_t		      cap, len;
	uint64_t	      first_lsn, last_lsn;
	uint64_t	      extents; /* bytes of the values in extents that its records name */
	bool		      late;    /* one of these may still be on its way, see late.h */
	struct record_context context;
};
struct log_place { /* where replay begins */
	uint64_t       pos, seq, epoch;
	struct hash128 chain;
};
struct log_wait { /* who waits for one group */
	struct op	*ops, **end;
	_Atomic uint32_t n_ops;	   /* written with log.lock, as `sleepers` is */
	_Atomic uint32_t word;	   /* threads sleep on it: it changes when they should look again */
	_Atomic uint32_t sleepers; /* written with log.lock */
};

/* feed: where the groups are that can still be read (feed.c). Places are counted on from one lap to the next: block of the ring = place %
 * log.blocks. The list is under log.lock, the copies under feed.lock, which comes after it. */
struct log_group {
	uint64_t place, lsn; /* lsn: of its first record */
	uint32_t blocks;
};
struct feed {
	bool		  active; /* somebody has watched since the store was opened */
	struct log_group *groups; /* a ring of cap entries, the oldest first */
	size_t		  cap, first, n;
	uint64_t	  end;	   /* the place behind the last durable group */
	uint64_t	  writing; /* blocks from there on that are being written */
	struct op	 *waits;   /* for a change: op->lsn; with log.lock */

	pthread_mutex_t	  opening; /* held by who makes it active; before log.lock */
	pthread_mutex_t	  lock;
	struct feed_copy *copies;  /* of groups, in memory, the newest first */
	_Atomic unsigned  watches; /* that are open */
};

struct log_gather {	       /* see gather.c */
	uint32_t group;	       /* threads and operations that waited for the group being written */
	uint32_t expected;     /* for the next one */
	bool	 on;	       /* who is going to write that waits for them */
	uint64_t began, took;  /* ns: when the last group began to be written, and for how long */
	uint32_t misses, skip; /* how often in turn it did not pay; groups that are not waited for because of that */
};

struct log {
	pthread_mutex_t	     lock;
	struct device_queue *queue;
	struct log_buf	     fill, flush;
	struct log_wait	     wait[2]; /* wait[turn] is for the group being filled, the other for the one being written */
	unsigned	     turn;
	bool		     flushing;
	struct log_gather    gather;
	bool	    durable_writes; /* the device makes a write durable for less than a write and a flush cost: measured */
	bool	    torn;	    /* the replay met a group that is not whole: the next one needs a new epoch */
	_Atomic int rc;		    /* the log has failed. Written with log.lock, and then never again; so is the message */
	char	    message[TARN_MESSAGE_MAX];
	uint64_t    block, blocks; /* the ring */
	uint64_t    pos,
		used; /* in blocks: where the first group that is not durable goes, what lies behind it that a replay needs */
	uint64_t	 epoch, seq;
	struct hash128	 chain;	    /* of the last durable group */
	uint64_t	 lsn;	    /* of the last record appended; written under both locks */
	uint64_t	 used_then; /* what log_used() said when that had been appended; with store->lock */
	_Atomic uint64_t durable;   /* lsn */
	_Atomic uint64_t memory;    /* bytes of both buffers */
	struct feed	 feed;
};

/* ---- log.c ---- */
int  log_init(struct store *s);
void log_fini(struct store *s);
int  log_measure(
	 struct store *s); /* chooses how a group is made durable. After the replay, and a checkpoint of it: it writes zeros */
uint64_t log_record_max(const struct store *s);
bool	 log_fits(struct store *s, uint64_t bytes);
uint64_t log_used(struct store *s); /* per mille of the ring, with what is not written yet */
int	 log_append(struct store *s, const struct store_mutation *muts, size_t n, uint64_t bytes,
		    uint64_t *lsn);	 /* bytes: record_bytes() */
int	 log_flush_all(struct store *s); /* no lock. Everything appended is durable, or the log has failed */
void	 log_mark(struct store *s, struct log_place *place,
		  uint64_t *lsn); /* where a replay of what is appended from now on begins; *lsn: of the
									  * last record before. Does not wait */
void log_release(struct store *s, const struct log_place *place); /* a durable superblock names it: what lies before is free */
uint64_t log_memory(const struct store *s);			  /* no lock. Bytes of its buffers */
/* Calls fn for each batch after the superblock's lsn, in order; *batches is their number. CSUM: damage before its end. When there was one, or
 * log.torn says so, nothing may be appended before log.epoch has a number that was never used in this store, and nothing is durable before
 * a superblock has it. */
typedef int (*log_replay_fn)(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn);
int  log_replay(struct store *s, log_replay_fn fn, uint64_t *batches);
bool group_sum_ok(uint8_t *g); /* no lock. Of a group in memory whose header is sane; writes to it meanwhile */

uint64_t log_writing(const struct log *l); /* log.lock. Blocks of the ring that the group being written takes; 0: none is */

/* ---- gather.c: log.lock, in all of it ---- */
void gather_wait(struct log *l); /* before a group is written. Gives the lock up meanwhile: nobody else begins to write */
void gather_begin_group(struct log *l);
void gather_end_group(struct log *l);

/* ---- feed.c ---- */
void feed_init(struct store *s);
void feed_fini(struct store *s);
void feed_begin_group(struct log *l, uint64_t blocks); /* log.lock. So many blocks of the ring are about to be overwritten */
void feed_keep_group(struct log *l, uint64_t blocks);  /* no lock. What is in flush is durable */
void feed_end_group(struct log *l, uint64_t blocks);   /* log.lock. The same */
struct op *feed_take_waits(struct log *l);	       /* log.lock. Those who have something to see, or nothing to wait for */

#endif
