/* SPDX-License-Identifier: Apache-2.0 */
/* store/log.c: the write-ahead log, written in groups.
 *
 * Batches are appended to `fill` under store->lock. One of the threads that wait takes all of it, writes it as one group and flushes the
 * device; the others wait for that, or fill the next group. A group is written only when the one before it is durable, so at most one
 * is in doubt after a crash. A group that names extents is written only when they are durable: else a crash could leave the name without
 * the thing. A failed write or flush is final: the log takes no more and everybody who waits gets its error. */
#include "internal.h"
#include <stdio.h>

int log_init(struct store *s)
{
	struct log *l = &s->log;

	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	l->block       = s->sb.log_block;
	l->blocks      = s->sb.log_blocks;
	l->pos	       = s->sb.log_pos;
	l->epoch       = s->sb.log_epoch;
	l->seq	       = s->sb.log_seq;
	l->chain       = s->sb.log_chain;
	l->lsn	       = s->sb.lsn;
	l->durable     = s->sb.lsn;
	l->waiters_end = &l->waiters;
	return device_queue_open(s->dev, 4, &l->queue);
}

void log_fini(struct store *s)
{
	struct log *l = &s->log;

	if (l->queue)
		device_queue_close(l->queue);
	device_free(l->fill.data);
	device_free(l->flush.data);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
}

static uint32_t value_len(const struct store_mutation *m)
{
	uint8_t	 desc[EXT_BYTES_MAX];
	uint32_t len = (uint32_t)m->val.len;

	if (m->value)
		value_describe(m->value, desc, &len);
	return len;
}

uint64_t log_record_bytes(const struct store_mutation *muts, size_t n)
{
	uint64_t bytes = REC_BYTES;

	for (size_t i = 0; i < n; i++)
		bytes += MUT_BYTES + muts[i].key.len + (muts[i].change == STORE_PUT ? value_len(&muts[i]) : 0);
	return bytes;
}

static uint64_t group_blocks(uint64_t record_bytes)
{
	return DIV_UP(GROUP_BYTES + record_bytes, BLOCK);
}

uint64_t log_record_max(const struct store *s)
{
	return s->log.blocks / 2 * BLOCK - GROUP_BYTES;
}

static uint64_t fill_bytes(const struct log *l)
{
	return l->fill.len ? l->fill.len - GROUP_BYTES : 0;
}

/* Is there room for a record of so many bytes, in the group being filled and in the ring? Not when the ring is more than half full: a
 * checkpoint is due. */
bool log_fits(struct store *s, uint64_t bytes)
{
	struct log *l = &s->log;
	uint64_t    n, skip;
	bool	    fits;

	pthread_mutex_lock(&l->lock);
	n    = group_blocks(fill_bytes(l) + bytes);
	skip = l->pos + n > l->blocks ? l->blocks - l->pos : 0;
	fits = n <= l->blocks / 2 && l->used <= l->blocks / 2 && l->used + skip + n <= l->blocks;
	pthread_mutex_unlock(&l->lock);
	return fits;
}

static int buf_reserve(struct log_buf *b, size_t len)
{
	size_t	 cap = b->cap ? b->cap : 16 * BLOCK;
	uint8_t *data;

	if (len <= b->cap)
		return 0;
	while (cap < len)
		cap *= 2;
	data = device_alloc(cap);
	if (!data)
		return fail(NOMEM, "no memory for %zu bytes of log", cap);
	if (b->len)
		memcpy(data, b->data, b->len);
	device_free(b->data);
	b->data = data;
	b->cap	= cap;
	return 0;
}

static uint8_t *put_mutation(uint8_t *p, const struct store_mutation *m)
{
	uint8_t	    desc[EXT_BYTES_MAX];
	const void *val = m->val.ptr;
	uint32_t    len = (uint32_t)m->val.len;

	if (m->change != STORE_PUT)
		len = 0;
	else if (m->value)
		value_describe(m->value, desc, &len), val = desc;
	memset(p, 0, MUT_BYTES);
	p[MUT_CHANGE]  = (uint8_t)m->change;
	p[MUT_EXTENTS] = m->value != NULL;
	put32(p + MUT_KLEN, (uint32_t)m->key.len);
	put64(p + MUT_TREE, m->tree);
	put32(p + MUT_VLEN, len);
	p += MUT_BYTES;
	if (m->key.len)
		memcpy(p, m->key.ptr, m->key.len);
	if (len)
		memcpy(p + m->key.len, val, len);
	return p + m->key.len + len;
}

/* Only for want of memory does this fail; then nothing has been appended. */
int log_append(struct store *s, const struct store_mutation *muts, size_t n, uint64_t bytes, uint64_t *lsn)
{
	struct log *l = &s->log;
	uint8_t	   *p;
	int	    rc;

	pthread_mutex_lock(&l->lock);
	rc = buf_reserve(&l->fill, ROUND_UP(GROUP_BYTES + fill_bytes(l) + bytes, BLOCK));
	if (rc)
		goto out;
	if (!l->fill.len)
		l->fill.len = GROUP_BYTES;
	p = l->fill.data + l->fill.len;
	put32(p + REC_LEN, (uint32_t)bytes);
	put32(p + REC_COUNT, (uint32_t)n);
	put64(p + REC_LSN, ++l->lsn);
	p += REC_BYTES;
	for (size_t i = 0; i < n; i++)
		p = put_mutation(p, &muts[i]), l->fill.extents |= muts[i].value != NULL;
	l->fill.len += bytes;
	l->fill.last_lsn = *lsn = l->lsn;
out:
	pthread_mutex_unlock(&l->lock);
	return rc;
}

/* Fills in the header of the group in flush, and takes its place in the ring. */
static uint64_t place_group(struct store *s, struct log *l)
{
	uint8_t *g = l->flush.data;
	uint64_t n = group_blocks(l->flush.len - GROUP_BYTES), pos;

	memset(g, 0, GROUP_BYTES);
	memset(g + l->flush.len, 0, n * BLOCK - l->flush.len);
	if (l->pos + n > l->blocks) {
		l->used += l->blocks - l->pos;
		l->pos = 0;
	}
	pos = l->pos;
	put32(g + GROUP_MAGIC, GROUP_MAGIC_NUMBER);
	put32(g + GROUP_BLOCKS, (uint32_t)n);
	put64(g + GROUP_EPOCH, l->epoch);
	put64(g + GROUP_SEQ, l->seq++);
	put64(g + GROUP_POS, pos);
	put32(g + GROUP_LEN, (uint32_t)(l->flush.len - GROUP_BYTES));
	memcpy(g + GROUP_TARGET, s->target.bytes, 16);
	memcpy(g + GROUP_CHAIN, l->chain.bytes, 16);
	l->used += n;
	l->pos = (pos + n) % l->blocks;
	return pos;
}

static int write_group(struct log *l, uint64_t pos)
{
	uint8_t	      *g   = l->flush.data;
	uint64_t       len = (uint64_t)get32(g + GROUP_BLOCKS) * BLOCK;
	struct hash128 sum = hash128(g, len);
	int	       rc  = l->flush.extents ? device_flush(l->queue) : 0;

	memcpy(g + GROUP_SUM, sum.bytes, 16);
	rc	 = rc ? rc : device_write(l->queue, (l->block + pos) * BLOCK, g, len);
	rc	 = rc ? rc : device_flush(l->queue);
	l->chain = sum; /* only the flusher reads it */
	return rc;
}

/* Unlinks the operations whose result is known. */
static struct op *take_waiters(struct log *l)
{
	struct op *done = NULL, **end = &done, **p = &l->waiters;

	while (*p) {
		struct op *op = *p;

		if (!l->rc && op->lsn > l->durable) {
			p = &op->next;
			continue;
		}
		*p	 = op->next;
		op->next = NULL;
		*end	 = op;
		end	 = &op->next;
	}
	l->waiters_end = p;
	return done;
}

/* l->message does not change once there is an error. */
static void complete_all(struct log *l, struct op *op, uint64_t durable, int failed)
{
	for (struct op *next; op; op = next) {
		int rc = op->lsn <= durable ? 0 : failed;

		next = op->next;
		if (rc)
			base_set_message(l->message);
		op_complete(op, rc);
	}
}

/* Writes what has been filled as one group. log.lock is held, and given up meanwhile. */
static void flush_group(struct store *s, struct log *l)
{
	struct log_buf empty = l->flush;
	struct op     *done;
	uint64_t       pos, durable;
	int	       rc, failed;

	empty.len = 0, empty.extents = false;
	l->flush    = l->fill;
	l->fill	    = empty;
	l->flushing = true;
	pos	    = place_group(s, l);
	pthread_mutex_unlock(&l->lock);
	rc = write_group(l, pos);
	pthread_mutex_lock(&l->lock);
	l->flushing = false;
	if (rc && !l->rc) {
		l->rc = rc;
		snprintf(l->message, sizeof(l->message),
			 "the log could not be written, nothing more is until the pool is opened again: %.140s", base_message());
	}
	if (!l->rc)
		l->durable = l->flush.last_lsn;
	durable = l->durable;
	failed	= l->rc;
	pthread_cond_broadcast(&l->changed);
	done = take_waiters(l);
	if (!done)
		return;
	pthread_mutex_unlock(&l->lock);
	complete_all(l, done, durable, failed);
	pthread_mutex_lock(&l->lock);
}

/* log.lock is held. */
static int commit(struct store *s, struct log *l, uint64_t lsn)
{
	while (l->durable < lsn && !l->rc) {
		if (l->flushing)
			pthread_cond_wait(&l->changed, &l->lock);
		else
			flush_group(s, l);
	}
	return l->durable >= lsn ? 0 : base_fail(-l->rc, "%s", l->message);
}

int store_commit(struct store *s, uint64_t lsn)
{
	struct log *l = &s->log;
	int	    rc;

	pthread_mutex_lock(&l->lock);
	rc = commit(s, l, lsn ? lsn : l->lsn);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

int log_flush_all(struct store *s)
{
	return store_commit(s, 0);
}

bool store_commit_async(struct store *s, uint64_t lsn, struct op *op)
{
	struct log *l = &s->log;
	bool	    waits;
	int	    rc;

	pthread_mutex_lock(&l->lock);
	waits	 = l->durable < lsn && !l->rc;
	rc	 = l->durable >= lsn ? 0 : l->rc;
	op->lsn	 = lsn;
	op->next = NULL;
	if (waits) {
		*l->waiters_end = op;
		l->waiters_end	= &op->next;
	}
	pthread_mutex_unlock(&l->lock);
	if (waits)
		return true;
	if (rc)
		base_set_message(l->message);
	op_complete(op, rc);
	return false;
}

void store_flush_log(struct store *s)
{
	store_commit(s, 0); /* the operations that wait hear the result */
}

void log_restart(struct store *s, uint64_t epoch)
{
	struct log *l = &s->log;

	pthread_mutex_lock(&l->lock);
	l->epoch = epoch;
	l->used	 = 0;
	pthread_mutex_unlock(&l->lock);
}
