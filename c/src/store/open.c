/* SPDX-License-Identifier: Apache-2.0 */
/* store/open.c: format, recovery, close.
 *
 * Recovery is: the newest whole superblock, the space map, the log replayed into memory, and a checkpoint under a new log epoch, which
 * nothing written before can belong to. A crash in the middle of it leaves everything as it was. */
#include "defer.h"
#include "filter.h"
#include "finger.h"
#include "rows.h"
#include "spill.h"
#include <stdio.h>

#define LOG_DEFAULT_MIN (UINT64_C(256) << 10)
#define LOG_DEFAULT_MAX (UINT64_C(1) << 30)
#define LARGE_POOL	(UINT64_C(1) << 30)
#define ZERO_BYTES	(UINT64_C(1) << 20)
#define CACHE_DEFAULT	(UINT64_C(256) << 20)

static void checkpoint_fini(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;

	for (struct tree *z = c->frozen, *newer; z; z = newer) {
		newer = z->newer;
		if (!z->epoch) /* the others are in the table of trees */
			free(z);
	}
	free(c->dead);
	free(c->reclaim);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->ended);
}

static void store_free(struct store *s)
{
	pages_close(s);
	io_close(s);
	late_fini(s);
	queues_close(s);
	log_fini(s);
	checkpoint_fini(s);
	tree_forget_all(s);
	fingers_fini(s);
	rows_fini(s);
	filter_fini(s);
	cache_fini(s);
	defer_fini(s);
	space_fini(&s->space);
	pthread_mutex_destroy(&s->lock);
	free(s->separator);
	free(s);
}

/* Threads that hold the store for an instant meet often: they spin before they sleep. */
static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

/* All of a store but what is read from disk. */
static int store_new(struct device *dev, const struct superblock *sb, uint64_t cache_bytes, struct store **store)
{
	struct store *s = calloc(1, sizeof(*s));
	int	      rc, queues;

	if (!s)
		return fail(NOMEM, "no memory for a store");
	s->dev			 = dev;
	s->sb			 = *sb;
	s->gen			 = sb->generation + 1;
	s->pool			 = sb->pool;
	s->target		 = sb->target;
	s->secret		 = base_random();
	s->node_bytes		 = sb->node_bytes;
	s->checkpoint.frozen_end = &s->checkpoint.frozen;
	lock_init(&s->lock);
	pthread_mutex_init(&s->checkpoint.lock, NULL);
	pthread_cond_init(&s->checkpoint.ended, NULL);
	late_init(s);
	s->separator = malloc(STORE_KEY_MAX);
	rc	     = log_init(s);
	queues	     = queues_open(s); /* both, in any case: store_free() ends both */
	rc	     = rc ? rc : queues;
	if (!rc && !s->separator)
		rc = fail(NOMEM, "no memory for a key");
	rc = rc ? rc : io_open(s);
	rc = rc ? rc : space_init(&s->space, s, sb->blocks);
	rc = rc ? rc : cache_init(s, cache_bytes ? cache_bytes : CACHE_DEFAULT);
	if (!rc)
		fingers_init(s, s->cache.budget), rows_init(s, s->cache.budget), filter_init(s, s->cache.budget);
	rc = rc ? rc : pages_open(s);
	if (!rc && !tree_add(s, 0, 0, &s->sb.root, 0))
		rc = fail(NOMEM, "no memory for a tree");
	if (rc)
		store_free(s);
	else
		*store = s;
	return rc;
}

/* The longer the log, the more often a page has changed before a checkpoint writes it, and the longer a recovery takes: some ten seconds
 * for the longest. */
static uint64_t default_log(uint64_t size)
{
	uint64_t log = size <= LARGE_POOL ? size / 16 : LARGE_POOL / 16 + (size - LARGE_POOL) / 4;

	return MIN(MAX(log, LOG_DEFAULT_MIN), LOG_DEFAULT_MAX);
}

static int plan(const struct device *dev, const struct store_format *f, struct superblock *sb)
{
	uint64_t size = f->size ? f->size : device_size(dev), log = f->log_bytes ? f->log_bytes : default_log(size);

	*sb = (struct superblock){
		.pool = f->pool, .target = f->target, .blocks = size / BLOCK, .log_block = 2, .log_blocks = log / BLOCK
	};
	sb->node_bytes = f->node_bytes ? f->node_bytes : 4096;
	sb->log_epoch  = base_random() >> 1;
	sb->meta_len   = (uint32_t)f->meta_len;
	if (size > device_size(dev))
		return fail(INVAL, "%llu bytes were asked for, the device has %llu", (unsigned long long)size,
			    (unsigned long long)device_size(dev));
	if (sb->node_bytes < 512 || sb->node_bytes > 65536)
		return fail(INVAL, "a node may have 512 to 65536 bytes, not %u", sb->node_bytes);
	if (f->meta_len > STORE_META_MAX)
		return fail(INVAL, "a store's record may have %u bytes, this one has %zu", STORE_META_MAX, f->meta_len);
	if (sb->log_blocks < LOG_BLOCKS_MIN)
		return fail(INVAL, "a log of %llu bytes is too small: %u are the least", (unsigned long long)log,
			    LOG_BLOCKS_MIN * BLOCK);
	if (sb->blocks < sb->log_blocks + 40)
		return fail(INVAL, "%llu bytes are too few for a log of %llu bytes and anything else", (unsigned long long)size,
			    (unsigned long long)log);
	if (f->meta_len)
		memcpy(sb->meta, f->meta, f->meta_len);
	return 0;
}

static int zero_block(struct device_queue *q, uint8_t *zero, uint64_t block)
{
	return device_write(q, block * BLOCK, zero, BLOCK);
}

int store_wipe(struct device *dev)
{
	uint64_t	     blocks = device_size(dev) / BLOCK;
	struct superblock    sb	    = { 0 };
	struct device_queue *q;
	uint8_t		    *zero = device_alloc(BLOCK);
	int		     rc	  = zero ? device_queue_open(dev, 4, &q) : fail(NOMEM, "no memory to wipe a device");

	if (rc)
		goto out;
	if (!superblock_read(dev, q, &sb) && sb.blocks < blocks)
		for (unsigned i = 1; !rc && i <= 2; i++)
			rc = zero_block(q, zero, sb.blocks - i);
	for (unsigned i = 0; !rc && i < 2 && i < blocks; i++)
		rc = zero_block(q, zero, i);
	for (unsigned i = 1; !rc && i <= 2 && i <= blocks; i++)
		rc = zero_block(q, zero, blocks - i);
	rc = rc ? rc : device_flush(q);
	device_queue_close(q);
out:
	device_free(zero);
	return rc;
}

static int zero_piece(struct store *s, const struct store_format *f, uint64_t at, uint64_t end, uint8_t *zeros)
{
	uint64_t first = s->log.block * BLOCK;

	if (f->op && op_aborted(f->op))
		return fail(CANCELED, "it was cancelled after %llu bytes of zeros", (unsigned long long)(at - first));
	io_write(s, at / BLOCK, zeros, MIN(ZERO_BYTES, end - at), NULL);
	if (f->zeroed && f->progress)
		f->progress(f->arg, MIN(at + ZERO_BYTES, end) - first, end - first);
	return s->io.rc;
}

/* Writes the whole log once, so that no later write of it changes where its blocks are, or that they hold something: a file system would have to commit
 * that with each flush. All that lies behind it, too, when that is wanted; superblocks are written in any case. */
static int write_zeros(struct store *s, const struct store_format *f)
{
	uint64_t at = s->log.block * BLOCK, end = f->zeroed ? (s->sb.blocks - 2) * BLOCK : at + s->log.blocks * BLOCK;
	uint8_t *zeros = device_alloc(ZERO_BYTES);
	int	 rc    = zeros ? 0 : fail(NOMEM, "no memory to write zeros from"), drained;

	for (; !rc && at < end; at += ZERO_BYTES)
		rc = zero_piece(s, f, at, end, zeros);
	drained = io_drain(s);
	device_free(zeros);
	return drained ? drained : rc;
}

int store_format(struct device *dev, const struct store_format *format)
{
	struct superblock sb;
	struct store	 *s;
	int		  rc = plan(dev, format, &sb);

	rc = rc ? rc : store_wipe(dev);
	rc = rc ? rc : store_new(dev, &sb, 1 << 20, &s);
	if (rc)
		return rc;
	rc = space_reserve(&s->space);
	if (rc)
		goto out;
	space_take(&s->space, 0, sb.log_block + sb.log_blocks);
	space_take(&s->space, sb.blocks - 2, 2);
	rc = write_zeros(s, format);
	rc = rc ? rc : checkpoint(s);
out:
	store_free(s);
	return rc;
}

int store_probe(struct device *dev, struct store_identity *id)
{
	struct device_queue *q;
	struct superblock    sb;
	int		     rc = device_queue_open(dev, 4, &q);

	if (rc)
		return rc;
	rc = superblock_read(dev, q, &sb);
	device_queue_close(q);
	if (rc)
		return rc;
	*id = (struct store_identity){ .pool	       = sb.pool,
				       .target	       = sb.target,
				       .format_version = FORMAT_VERSION,
				       .generation     = sb.generation,
				       .size	       = sb.blocks * BLOCK,
				       .log_bytes      = sb.log_blocks * BLOCK,
				       .free_bytes     = sb.free_blocks * BLOCK,
				       .meta_len       = sb.meta_len };
	memcpy(id->meta, sb.meta, sb.meta_len);
	return 0;
}

/* Nothing written under an earlier epoch can be taken for a group of this one. */
static void new_epoch(struct store *s)
{
	pthread_mutex_lock(&s->log.lock);
	s->log.epoch++;
	pthread_mutex_unlock(&s->log.lock);
}

static int begin_epoch(struct store *s)
{
	int rc;

	new_epoch(s);
	rc = checkpoint(s);
	if (rc == -TARN_E_NOSPACE && s->space.lost_rc)
		rc = base_fail(-s->space.lost_rc,
			       "a part of the space map cannot be read, and the rest has no room for a checkpoint");
	return rc;
}

static int recover(struct store *s)
{
	uint64_t batches = 0;
	int	 rc	 = space_load(&s->space, &s->sb.space);

	if (!rc && s->sb.root.addr && !blob_sane(s, &s->sb.root, NODE_MAX))
		rc = fail(CSUM, "the superblock's pointer to the trees is impossible");
	rc	     = rc ? rc : space_reserve(&s->space);
	s->replaying = true;
	rc	     = rc ? rc : log_replay(s, apply_replayed, &batches);
	s->replaying = false;
	if (rc)
		return rc;
	if (batches || s->log.torn) /* else nothing is in the log that could be taken for what is written to it next */
		rc = begin_epoch(s);
	rc = rc ? rc : log_measure(s);
	if (!rc && batches)
		base_log(TARN_LOG_INFO, "%llu batches were replayed from the log", (unsigned long long)batches);
	return rc;
}

int store_open(struct device *dev, const struct store_options *options, struct store **store)
{
	struct device_queue *q;
	struct superblock    sb;
	struct store	    *s;
	int		     rc = device_queue_open(dev, 4, &q);

	if (rc)
		return rc;
	rc = superblock_read(dev, q, &sb);
	device_queue_close(q);
	rc = rc ? rc : store_new(dev, &sb, options ? options->cache_bytes : 0, &s);
	if (rc)
		return rc;
	rc = recover(s);
	if (rc)
		store_free(s);
	else
		*store = s;
	return rc;
}

static bool changed(struct store *s)
{
	return s->log.used || s->log.fill.len || s->trees_dirty || s->checkpoint.frozen || s->checkpoint.reclaim_n;
}

int store_close(struct store *s)
{
	bool failed, dirty;
	int  rc = 0;

	pthread_mutex_lock(&s->lock);
	failed = s->failed;
	dirty  = changed(s);
	if (failed && s->log.durable < s->log.lsn) /* changes that nobody has waited for yet are lost: who closes must hear it */
		rc = store_writable(s);
	pthread_mutex_unlock(&s->lock);
	if (!failed && dirty) {
		rc = log_flush_all(s);
		rc = rc ? rc : checkpoint(s);
	}
	store_free(s);
	return rc;
}

void store_abandon(struct store *s)
{
	store_free(s);
}

void store_stat(struct store *s, struct store_stat *st)
{
	uint64_t kept;

	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&s->log.lock);
	kept = MIN(s->space.free, s->cache.dirty_blocks + s->defer.n);
	*st  = (struct store_stat){ .total_bytes = s->space.blocks * BLOCK,
				    .free_bytes	 = (s->space.free + s->space.freed + s->space.leaving + s->space.held +
						    spills_blocks(s) - kept) *
						  BLOCK,
				    .log_bytes	      = s->log.blocks * BLOCK,
				    .log_used_bytes   = s->log.used * BLOCK,
				    .cache_bytes      = s->cache.budget,
				    .cache_used_bytes = s->cache.bytes,
				    .generation	      = s->sb.generation,
				    .dirty_bytes      = dirty_memory(s),
				    .batch_max	      = log_record_max(s),
				    .put_off	      = s->defer.count,
				    .spilled	      = s->defer.spilled,
				    .row_bytes	      = s->rows.bytes,
				    .filter_bytes     = s->filter.bytes,
				    .format_version   = FORMAT_VERSION,
				    .inline_max	      = MIN(s->node_bytes / 2, LEAF_VALUE_MAX),
				    .readonly	      = s->failed || s->log.rc };
	snprintf(st->why, sizeof(st->why), "%s", s->failed ? s->why : s->log.rc ? s->log.message : "");
	pthread_mutex_unlock(&s->log.lock);
	pthread_mutex_unlock(&s->lock);
}
