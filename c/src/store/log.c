/* SPDX-License-Identifier: Apache-2.0 */
/* store/log.c: the write-ahead log, a ring of groups.
 *
 * Batches are appended to `fill` under store->lock. One of the threads that wait takes all of it, and writes it as one group; the others
 * wait for that, or fill the next group. Always true:
 *   - a group is written only when the one before it is durable, so at most one is in doubt after a crash;
 *   - pos, used, seq and chain speak of durable groups only, and change together, under log.lock. So the place that they name is where the
 *     group that is being written is going, or the next one will, and log_mark() has nothing to wait for. A superblock with that place may
 *     find records in the first group that are in its trees already: replay leaves out what is not above its lsn;
 *   - a group does not wrap. When it does not fit before the end of the ring it goes to 0, and what it leaves behind it there counts as
 *     used until its group is released. A place may so be named as `pos` although its group is at 0: replay looks at both;
 *   - what has been appended has its room: log_fits() counts the group that is being written and the one being filled, at the places that
 *     they are going to have, in both ways in which the flusher may cut them (it may take `fill` before the new record is in it);
 *   - log_release() only ever takes away from behind. The group being written meanwhile is added when it is durable, as if it had begun then.
 * A failed write or flush is final: the log takes no more, and everybody who waits gets its error.
 *
 * A group that names values in extents is made durable by the same flush as these. A crash may then keep the group and lose some of
 * them; replay finds out (GROUP_LOOSE). Very large ones, which it would have to read for long, are flushed before. */
#include "late.h"
#include "record.h"
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOSE_MAX    (UINT64_C(16) << 20) /* bytes of values that a replay is asked to read again */
#define KEPT_MIN     (UINT64_C(2) << 20)  /* of a buffer between groups, whatever the cache's budget */
#define KEPT_MAX     (UINT64_C(16) << 20)
#define MEASURED     8u
#define MEASURED_MIN 3u
#define MEASURE_NS   UINT64_C(10000000)
#define BETTER_PCT   95u

int log_init(struct store *s)
{
	struct log *l = &s->log;

	pthread_mutex_init(&l->lock, NULL);
	l->block   = s->sb.log_block;
	l->blocks  = s->sb.log_blocks;
	l->pos	   = s->sb.log_pos;
	l->epoch   = s->sb.log_epoch;
	l->seq	   = s->sb.log_seq;
	l->chain   = s->sb.log_chain;
	l->lsn	   = s->sb.lsn;
	l->durable = s->sb.lsn;
	for (int i = 0; i < 2; i++)
		l->wait[i].end = &l->wait[i].ops;
	feed_init(s);
	return device_queue_open(s->dev, 4, &l->queue);
}

static void buf_free(struct log *l, struct log_buf *b)
{
	device_unmap(b->data, b->cap);
	l->memory -= b->cap;
	*b = (struct log_buf){ 0 };
}

void log_fini(struct store *s)
{
	struct log *l = &s->log;

	if (l->queue)
		device_queue_close(l->queue);
	buf_free(l, &l->fill);
	buf_free(l, &l->flush);
	feed_fini(s);
	pthread_mutex_destroy(&l->lock);
}

uint64_t log_memory(const struct store *s)
{
	return s->log.memory;
}

uint64_t log_record_max(const struct store *s)
{
	return s->log.blocks / 2 * BLOCK - GROUP_BYTES;
}

/* ---- The ring ---- */

struct ring {
	uint64_t pos, used;
};

/* Of a group with its header. */
static uint64_t group_blocks(uint64_t bytes)
{
	return DIV_UP(bytes, BLOCK);
}

/* The next group takes its place, whether there is room or not; where it begins. */
static uint64_t ring_take(const struct log *l, struct ring *r, uint64_t bytes)
{
	uint64_t n = group_blocks(bytes), at;

	if (r->pos + n > l->blocks) {
		r->used += l->blocks - r->pos;
		r->pos = 0;
	}
	at = r->pos;
	r->used += n;
	r->pos = at + n == l->blocks ? 0 : at + n;
	return at;
}

/* As it is going to be when the group that is being written is durable. */
static struct ring ring_ahead(const struct log *l)
{
	struct ring r = { l->pos, l->used };

	if (l->flushing)
		ring_take(l, &r, l->flush.len);
	return r;
}

uint64_t log_writing(const struct log *l)
{
	return ring_ahead(l).used - l->used;
}

bool log_fits(struct store *s, uint64_t bytes)
{
	struct log *l = &s->log;
	struct ring one, two; /* the record in the group being filled, and in one of its own after that */
	uint64_t    together;

	pthread_mutex_lock(&l->lock);
	one = two = ring_ahead(l);
	together  = MAX(l->fill.len, GROUP_BYTES) + bytes;
	ring_take(l, &one, together);
	if (l->fill.len)
		ring_take(l, &two, l->fill.len);
	ring_take(l, &two, GROUP_BYTES + bytes);
	pthread_mutex_unlock(&l->lock);
	return one.used <= l->blocks && two.used <= l->blocks && group_blocks(together) <= l->blocks / 2;
}

static uint64_t used_ahead(const struct log *l)
{
	struct ring r = ring_ahead(l);

	if (l->fill.len)
		ring_take(l, &r, l->fill.len);
	return r.used * 1000 / l->blocks;
}

uint64_t log_used(struct store *s)
{
	struct log *l = &s->log;
	uint64_t    used;

	pthread_mutex_lock(&l->lock);
	used = used_ahead(l);
	pthread_mutex_unlock(&l->lock);
	return used;
}

void log_mark(struct store *s, struct log_place *place, uint64_t *lsn)
{
	struct log *l = &s->log;

	pthread_mutex_lock(&l->lock);
	*place = (struct log_place){ .pos = l->pos, .seq = l->seq, .epoch = l->epoch, .chain = l->chain };
	*lsn   = l->lsn;
	pthread_mutex_unlock(&l->lock);
}

/* From place to pos; all of the ring when a lap lies between them. */
void log_release(struct store *s, const struct log_place *place)
{
	struct log *l = &s->log;
	uint64_t    distance;

	pthread_mutex_lock(&l->lock);
	distance = (l->pos + l->blocks - place->pos) % l->blocks;
	l->used	 = place->seq == l->seq ? 0 : distance ? distance : l->blocks;
	pthread_mutex_unlock(&l->lock);
}

/* ---- Appending ---- */

static int buf_reserve(struct log *l, struct log_buf *b, size_t len)
{
	size_t	 cap = b->cap ? b->cap : 16 * BLOCK;
	uint8_t *data;

	if (len <= b->cap)
		return 0;
	while (cap < len)
		cap *= 2;
	data = device_remap(b->data, b->cap, cap); /* not of the heap, which large pieces that come and go leave in pieces */
	if (!data)
		return fail(NOMEM, "no memory for %zu bytes of log", cap);
	l->memory += cap - b->cap;
	b->data = data;
	b->cap	= cap;
	return 0;
}

/* What of a buffer stays between groups: enough for those of a busy relaxed container, which would otherwise get new memory, zeroed and
 * copied from size to size, for each. */
static uint64_t kept_max(const struct store *s)
{
	return MAX(KEPT_MIN, MIN(KEPT_MAX, s->cache.budget / 32));
}

static void begin_group(struct log *l, struct log_buf *fill)
{
	fill->len	   = GROUP_BYTES;
	fill->first_lsn	   = l->lsn + 1;
	fill->context.tree = 0;
	fill->context.len  = 0;
}

static void name_values(struct log_buf *fill, const struct store_mutation *muts, size_t n)
{
	uint8_t	 desc[EXT_BYTES_MAX];
	uint32_t len;

	for (size_t i = 0; i < n; i++) {
		if (muts[i].change != STORE_PUT || !muts[i].value)
			continue;
		value_describe(muts[i].value, desc, &len);
		fill->extents += value_size(desc);
		fill->late = fill->late || value_is_late(muts[i].value);
	}
}

/* Only for want of memory does this fail; then nothing has been appended. */
int log_append(struct store *s, const struct store_mutation *muts, size_t n, uint64_t bytes, uint64_t *lsn)
{
	struct log     *l    = &s->log;
	struct log_buf *fill = &l->fill;
	int		rc;

	pthread_mutex_lock(&l->lock);
	rc = buf_reserve(l, fill, ROUND_UP(MAX(fill->len, GROUP_BYTES) + bytes, BLOCK));
	if (rc)
		goto out;
	if (!fill->len)
		begin_group(l, fill);
	fill->len = (size_t)(record_write(&fill->context, fill->data + fill->len, muts, n) - fill->data);
	name_values(fill, muts, n);
	fill->last_lsn = *lsn = ++l->lsn;
	l->used_then	      = used_ahead(l);
out:
	pthread_mutex_unlock(&l->lock);
	return rc;
}

/* ---- Writing a group ---- */

static void seal(const struct store *s, uint64_t pos, uint32_t flags, struct hash128 *sum)
{
	const struct log *l = &s->log;
	uint8_t		 *g = l->flush.data;
	uint64_t	  n = group_blocks(l->flush.len);

	memset(g, 0, GROUP_BYTES);
	memset(g + l->flush.len, 0, n * BLOCK - l->flush.len);
	put32(g + GROUP_MAGIC, GROUP_MAGIC_NUMBER);
	put32(g + GROUP_BLOCKS, (uint32_t)n);
	put64(g + GROUP_EPOCH, l->epoch);
	put64(g + GROUP_SEQ, l->seq);
	put64(g + GROUP_POS, pos);
	put32(g + GROUP_LEN, (uint32_t)(l->flush.len - GROUP_BYTES));
	put32(g + GROUP_FLAGS, flags);
	memcpy(g + GROUP_TARGET, s->target.bytes, 16);
	memcpy(g + GROUP_CHAIN, l->chain.bytes, 16);
	put64(g + GROUP_LSN, l->flush.first_lsn);
	*sum = hash128(g, n * BLOCK);
	memcpy(g + GROUP_SUM, sum->bytes, 16);
}

/* All that has been written is durable, and the values that the group names have been written. */
static int flush_values(struct store *s)
{
	int rc = s->log.flush.late ? late_land(s) : 0;

	return rc ? rc : device_flush(s->log.queue);
}

/* Only the flusher is here, so what it reads of the log does not change. */
static int write_group(struct store *s, uint64_t pos, struct hash128 *sum)
{
	struct log *l  = &s->log;
	uint64_t    at = (l->block + pos) * BLOCK, len = group_blocks(l->flush.len) * BLOCK;
	bool	    loose = l->flush.extents && l->flush.extents <= LOOSE_MAX;
	int	    rc	  = 0;

	seal(s, pos, loose ? GROUP_LOOSE : 0, sum);
	if (l->durable_writes && !l->flush.extents)
		return device_write_durable(l->queue, at, l->flush.data, len);
	if (l->flush.extents && !loose)
		rc = flush_values(s);
	rc = rc ? rc : device_write(l->queue, at, l->flush.data, len);
	return rc ? rc : flush_values(s);
}

static void set_failed(struct log *l, int rc)
{
	if (l->rc)
		return;
	l->rc = rc;
	snprintf(l->message, sizeof(l->message),
		 "the log could not be written, nothing more is until the pool is opened again: %.140s", base_message());
}

static struct op *take_ops(struct log_wait *w, struct op *list, struct op ***end)
{
	struct op *first = w->ops;

	if (!first)
		return list;
	**end	 = first;
	*end	 = w->end;
	w->ops	 = NULL;
	w->end	 = &w->ops;
	w->n_ops = 0;
	return list ? list : first;
}

struct outcome {
	const struct log *log;
	uint64_t	  durable;
	int		  failed;
};

/* log->message does not change once there is an error. */
static int rc_of(const struct op *op, void *arg)
{
	const struct outcome *outcome = arg;

	if (op->lsn <= outcome->durable || !outcome->failed)
		return 0;
	base_set_message(outcome->log->message);
	return outcome->failed;
}

/* Those who sleep on w should look again; with log.lock. How many wake_threads() has to wake. */
static uint32_t call_sleepers(struct log_wait *w)
{
	uint32_t n = w->sleepers;

	w->sleepers = 0;
	atomic_fetch_add(&w->word, 1);
	return n;
}

static void wake_threads(struct log_wait *w, uint32_t n)
{
	if (n)
		syscall(SYS_futex, &w->word, FUTEX_WAKE_PRIVATE, MIN(n, (uint32_t)INT_MAX), NULL, NULL, 0);
}

/* `fill` becomes the group to be written. An empty `flush` becomes `fill`. */
static void take_fill(struct log *l)
{
	struct log_buf full = l->fill;

	gather_begin_group(l);
	l->fill		= l->flush;
	l->fill.len	= 0;
	l->fill.extents = 0;
	l->fill.late	= false;
	l->flush	= full;
	l->flushing	= true;
	l->turn ^= 1;
}

/* The group in flush is durable, or the log has failed. */
static void finish_group(struct log *l, const struct ring *from, const struct ring *to, struct hash128 sum, uint64_t kept, int rc)
{
	l->flushing = false;
	gather_end_group(l);
	if (rc) {
		set_failed(l, rc);
	} else {
		l->pos = to->pos;
		l->used += to->used - from->used; /* it may have been released from meanwhile */
		l->chain = sum;
		l->seq++;
		feed_end_group(l, to->used - from->used);
		atomic_store(&l->durable, l->flush.last_lsn);
	}
	if (l->flush.cap > kept)
		buf_free(l, &l->flush);
}

/* Tells everybody who waits. Of those who wait for the next group one is enough: it writes that. log.lock is held, and given up. */
static void announce(struct log *l)
{
	struct log_wait *done = &l->wait[!l->turn], *next = &l->wait[l->turn];
	struct op	*ops = NULL, **end = &ops;
	struct outcome	 outcome = { l, l->durable, l->rc };
	uint32_t	 n_done = call_sleepers(done), n_next = 0;
	struct op	*watching = feed_take_waits(l);

	ops = take_ops(done, ops, &end);
	if (outcome.failed)
		ops = take_ops(next, ops, &end), n_next = call_sleepers(next);
	else if (next->sleepers)
		n_next = 1, atomic_fetch_sub(&next->sleepers, 1), atomic_fetch_add(&next->word, 1);
	pthread_mutex_unlock(&l->lock);
	wake_threads(next, n_next); /* first: the device has nothing to do until then */
	wake_threads(done, n_done);
	op_complete_all(ops, rc_of, &outcome);
	op_complete_all(watching, rc_of, &outcome);
}

/* Writes what has been filled as one group. log.lock is held, and given up. */
static void flush_group(struct store *s, struct log *l)
{
	struct ring    from = { l->pos, l->used }, to = from;
	uint64_t       at  = ring_take(l, &to, l->fill.len);
	struct hash128 sum = { { 0 } };
	int	       rc;

	take_fill(l);
	feed_begin_group(l, to.used - from.used);
	pthread_mutex_unlock(&l->lock);
	rc = to.used <= l->blocks ? 0 : fail(NOSPACE, "a group was appended that does not fit into the log");
	rc = rc ? rc : write_group(s, at, &sum);
	if (!rc)
		feed_keep_group(l, to.used - from.used);
	pthread_mutex_lock(&l->lock);
	finish_group(l, &from, &to, sum, kept_max(s), rc);
	announce(l);
}

/* ---- Waiting ---- */

/* log.lock is held, and given up. The word is read under it: what is announced later has changed it by then. */
static void sleep_until(struct log *l, uint64_t lsn)
{
	struct log_wait *w    = &l->wait[lsn > l->flush.last_lsn ? l->turn : !l->turn];
	uint32_t	 word = atomic_load(&w->word);

	w->sleepers++;
	pthread_mutex_unlock(&l->lock);
	syscall(SYS_futex, &w->word, FUTEX_WAIT_PRIVATE, word, NULL, NULL, 0);
}

/* One step on the way to a durable lsn. */
static int commit_step(struct store *s, struct log *l, uint64_t lsn)
{
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	if (l->durable >= lsn)
		pthread_mutex_unlock(&l->lock);
	else if (l->rc)
		rc = base_fail(-l->rc, "%s", l->message), pthread_mutex_unlock(&l->lock);
	else if (l->flushing || l->gather.on)
		sleep_until(l, lsn);
	else
		gather_wait(l), flush_group(s, l);
	return rc;
}

int store_commit(struct store *s, uint64_t lsn)
{
	struct log *l  = &s->log;
	int	    rc = 0;

	if (!lsn) {
		pthread_mutex_lock(&l->lock);
		lsn = l->lsn;
		pthread_mutex_unlock(&l->lock);
	}
	while (!rc && atomic_load(&l->durable) < lsn) /* who is woken and finds this does not want the lock */
		rc = commit_step(s, l, lsn);
	return rc;
}

int log_flush_all(struct store *s)
{
	return store_commit(s, 0);
}

bool store_commit_async(struct store *s, uint64_t lsn, struct op *op)
{
	struct log	*l = &s->log;
	struct log_wait *w;
	bool		 waits;
	int		 rc;

	pthread_mutex_lock(&l->lock);
	waits	 = l->durable < lsn && !l->rc;
	rc	 = l->durable >= lsn ? 0 : l->rc;
	op->lsn	 = lsn;
	op->next = NULL;
	if (waits) {
		w	= &l->wait[l->flushing && lsn <= l->flush.last_lsn ? !l->turn : l->turn];
		*w->end = op;
		w->end	= &op->next;
		atomic_fetch_add(&w->n_ops, 1);
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

/* ---- Which way of making a group durable is the faster one ---- */

static int timed_write(struct log *l, uint64_t at, const void *zero, bool durable, uint64_t *ns)
{
	uint64_t begin = base_mono_ns();
	int	 rc    = durable ? device_write_durable(l->queue, at, zero, BLOCK) : device_write(l->queue, at, zero, BLOCK);

	if (!rc && !durable)
		rc = device_flush(l->queue);
	*ns = base_mono_ns() - begin;
	return rc;
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *times, size_t n)
{
	qsort(times, n, sizeof(times[0]), compare_times);
	return times[n / 2];
}

/* In turns, so that whatever else the device does meanwhile is in both; fewer on a slow device, where it matters less than the time that an
 * open takes. Nothing in the ring is needed, and zeros are no group. */
static int measure(struct log *l)
{
	uint64_t times[2][MEASURED], begin = base_mono_ns(), i;
	uint8_t *zero = device_alloc(BLOCK);
	int	 rc   = zero ? 0 : fail(NOMEM, "no memory for a block of log");

	for (i = 0; !rc && i < 2 * MEASURED && (i < 2 * MEASURED_MIN || i % 2 || base_mono_ns() - begin < MEASURE_NS); i++)
		rc = timed_write(l, (l->block + (l->pos + i) % l->blocks) * BLOCK, zero, i % 2, &times[i % 2][i / 2]);
	device_free(zero);
	if (!rc)
		l->durable_writes = median(times[1], i / 2) < median(times[0], i / 2) * BETTER_PCT / 100;
	return rc;
}

/* A simulated device takes the way that the target's number says, so that tests take both, and the same one again. */
int log_measure(struct store *s)
{
	const char *kind = device_info(s->dev)->kind;
	struct log *l	 = &s->log;

	if (strcmp(kind, "sim") == 0)
		l->durable_writes = s->target.bytes[15] & 1;
	if (strcmp(kind, "sim") == 0 || strcmp(kind, "mem") == 0 || l->used || l->fill.len)
		return 0;
	return measure(l);
}
