/* SPDX-License-Identifier: Apache-2.0 */
/* store/feed.c: the log, read by those who want to know what has changed.
 *
 * The log's groups are the changes, in order, and each is written only when the one before it is durable: so a durable group will not be
 * taken back by a crash. A checkpoint frees a group, but it can be read until the ring comes around and another takes its place. Always
 * true, under log.lock, once the feed is active:
 *   - the list has all durable groups from its first on, without a gap, and each lies in the ring where it says, whole;
 *   - a group leaves the list before the write begins that overwrites any of its blocks. So what was read of one is good if it is still
 *     in the list afterwards, and what is damaged while in the list is damage.
 * Until somebody watches there is no list, and the log does nothing for it. The first one who does has the ring scanned (feed_past.c).
 *
 * A group that somebody wants is read once for all who want it soon: copies are kept, up to COPIES_BYTES of them and the last one whatever
 * its size. While there are watches, a group is copied as it is written. */
#include "feed.h"

#define COPIES_BYTES (UINT64_C(4) << 20)
#define KEEP_MAX     (UINT64_C(1) << 20) /* of a group that is copied as it is written */

void feed_init(struct store *s)
{
	struct feed *f = &s->log.feed;

	pthread_mutex_init(&f->opening, NULL);
	pthread_mutex_init(&f->lock, NULL);
}

/* ---- copies ---- */

static void unref(struct feed_copy *copy)
{
	if (--copy->refs)
		return;
	device_free(copy->data);
	free(copy);
}

void feed_put(struct store *s, struct feed_copy *copy)
{
	struct feed *f = &s->log.feed;

	pthread_mutex_lock(&f->lock);
	unref(copy);
	pthread_mutex_unlock(&f->lock);
}

/* All behind the first that are too much. feed.lock is held. */
static void trim(struct feed *f)
{
	struct feed_copy **at	 = &f->copies;
	size_t		   bytes = 0;

	while (*at && (at == &f->copies || bytes + (*at)->bytes <= COPIES_BYTES)) {
		bytes += (*at)->bytes;
		at = &(*at)->next;
	}
	for (struct feed_copy *copy = *at, *next; copy; copy = next) {
		next = copy->next;
		unref(copy);
	}
	*at = NULL;
}

/* The list's reference is taken over; one more is the caller's when it wants it. */
static void add_copy(struct feed *f, struct feed_copy *copy)
{
	pthread_mutex_lock(&f->lock);
	copy->next = f->copies;
	f->copies  = copy;
	trim(f);
	pthread_mutex_unlock(&f->lock);
}

static struct feed_copy *find_copy(struct feed *f, uint64_t place)
{
	struct feed_copy *copy;

	pthread_mutex_lock(&f->lock);
	copy = f->copies;
	while (copy && copy->place != place)
		copy = copy->next;
	if (copy)
		copy->refs++;
	pthread_mutex_unlock(&f->lock);
	return copy;
}

static struct feed_copy *new_copy(uint64_t place, size_t bytes)
{
	struct feed_copy *copy = calloc(1, sizeof(*copy));

	if (copy)
		copy->data = device_alloc(ROUND_UP(bytes, BLOCK));
	if (!copy || !copy->data) {
		free(copy);
		return NULL;
	}
	copy->place = place;
	copy->bytes = ROUND_UP(bytes, BLOCK);
	copy->refs  = 1;
	return copy;
}

void feed_fini(struct store *s)
{
	struct feed *f = &s->log.feed;

	for (struct feed_copy *copy = f->copies, *next; copy; copy = next) {
		next = copy->next;
		unref(copy);
	}
	free(f->groups);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->opening);
}

/* ---- the list, with log.lock ---- */

static struct log_group *group_at(const struct feed *f, size_t i)
{
	return &f->groups[(f->first + i) % f->cap];
}

/* What is, or is about to be, overwritten leaves the list. */
static void prune(struct log *l)
{
	struct feed *f = &l->feed;

	while (f->n && group_at(f, 0)->place + l->blocks < f->end + f->writing) {
		f->first = (f->first + 1) % f->cap;
		f->n--;
	}
}

static bool grow(struct feed *f)
{
	size_t		  cap	 = f->cap ? 2 * f->cap : 256;
	struct log_group *groups = calloc(cap, sizeof(*groups));

	if (!groups)
		return false;
	for (size_t i = 0; i < f->n; i++)
		groups[i] = *group_at(f, i);
	free(f->groups);
	f->groups = groups;
	f->cap	  = cap;
	f->first  = 0;
	return true;
}

/* Without memory for it, what there is counts as gone: a gap would be worse. */
static void push(struct feed *f, const struct log_group *g)
{
	if (f->n == f->cap && !grow(f)) {
		f->n = 0;
		return;
	}
	f->n++;
	*group_at(f, f->n - 1) = *g;
}

uint64_t feed_first_lsn(const uint8_t *group)
{
	return get64(group + GROUP_LSN);
}

void feed_begin_group(struct log *l, uint64_t blocks)
{
	if (!l->feed.active)
		return;
	l->feed.writing = blocks;
	prune(l);
}

/* It stands at the end of the blocks that it takes: what it left before it at the end of the ring is nobody's. */
void feed_end_group(struct log *l, uint64_t blocks)
{
	struct feed	*f = &l->feed;
	uint32_t	 n = (uint32_t)DIV_UP(l->flush.len, BLOCK);
	struct log_group g = { f->end + blocks - n, feed_first_lsn(l->flush.data), n };

	if (!f->active)
		return;
	f->end += blocks;
	f->writing = 0;
	push(f, &g);
}

/* Only the one who writes groups changes `end`, and it is here. A copy that there is no memory for is read when it is wanted. */
void feed_keep_group(struct log *l, uint64_t blocks)
{
	struct feed	 *f = &l->feed;
	struct feed_copy *copy;

	if (!atomic_load(&f->watches) || l->flush.len > KEEP_MAX)
		return;
	copy = new_copy(f->end + blocks - DIV_UP(l->flush.len, BLOCK), l->flush.len);
	if (!copy)
		return;
	memcpy(copy->data, l->flush.data, l->flush.len);
	add_copy(f, copy);
}

static uint64_t oldest(const struct log *l)
{
	return l->feed.n ? group_at(&l->feed, 0)->lsn : l->durable + 1;
}

void feed_range(struct store *s, uint64_t *first, uint64_t *last, uint64_t *applied)
{
	struct log *l = &s->log;

	pthread_mutex_lock(&l->lock);
	*first	 = oldest(l);
	*last	 = l->durable;
	*applied = l->lsn;
	pthread_mutex_unlock(&l->lock);
}

/* The last group that begins at or before lsn, which is one that is there. */
static struct log_group search(const struct feed *f, uint64_t lsn)
{
	size_t low = 0, high = f->n;

	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (group_at(f, mid)->lsn <= lsn)
			low = mid;
		else
			high = mid;
	}
	return *group_at(f, low);
}

int feed_gone(uint64_t lsn, uint64_t first)
{
	return fail(EP_OLD,
		    "revision %llu is asked for, and the log begins with %llu: what was before is overwritten; read the object "
		    "anew, and "
		    "watch from there",
		    (unsigned long long)lsn, (unsigned long long)first);
}

int feed_find(struct store *s, uint64_t lsn, struct log_group *g)
{
	struct log *l = &s->log;
	uint64_t    first;
	bool	    yet;

	pthread_mutex_lock(&l->lock);
	first = oldest(l);
	yet   = lsn > l->durable;
	if (!yet && lsn >= first)
		*g = search(&l->feed, lsn);
	pthread_mutex_unlock(&l->lock);
	if (yet)
		return FEED_END;
	return lsn >= first ? 0 : feed_gone(lsn, first);
}

static bool still_there(struct store *s, const struct log_group *g)
{
	struct log *l = &s->log;
	bool	    there;

	pthread_mutex_lock(&l->lock);
	there = l->feed.n && group_at(&l->feed, 0)->place <= g->place;
	pthread_mutex_unlock(&l->lock);
	return there;
}

/* ---- reading ---- */

bool feed_header_ok(const struct store *s, const uint8_t *g, uint64_t pos)
{
	uint64_t n = get32(g + GROUP_BLOCKS);

	return get32(g + GROUP_MAGIC) == GROUP_MAGIC_NUMBER && memcmp(g + GROUP_TARGET, s->target.bytes, 16) == 0 &&
	       get64(g + GROUP_POS) == pos && n >= 1 && n <= s->log.blocks - pos && get32(g + GROUP_LEN) >= RECORD_BYTES_MIN &&
	       get32(g + GROUP_LEN) <= n * BLOCK - GROUP_BYTES;
}

static bool is_group(struct store *s, uint8_t *data, const struct log_group *g)
{
	return feed_header_ok(s, data, g->place % s->log.blocks) && get32(data + GROUP_BLOCKS) == g->blocks &&
	       feed_first_lsn(data) == g->lsn && group_sum_ok(data);
}

static int read_copy(struct store *s, const struct log_group *g, struct feed_copy *copy)
{
	struct log	*l = &s->log;
	struct log_group now;
	int		 rc = device_read(s->queues.first, (l->block + g->place % l->blocks) * BLOCK, copy->data, copy->bytes);

	if (!rc && is_group(s, copy->data, g))
		return 0;
	if (!still_there(s, g))
		return feed_find(s, g->lsn, &now);
	return rc ? rc
		  : fail(CSUM,
			 "the log's group at block %llu (%u blocks) does not match its checksum: the changes from revision %llu "
			 "on "
			 "cannot be shown; read the object anew, and watch from there",
			 (unsigned long long)(l->block + g->place % l->blocks), g->blocks, (unsigned long long)g->lsn);
}

int feed_get(struct store *s, const struct log_group *g, unsigned flags, struct feed_copy **out)
{
	struct feed	 *f    = &s->log.feed;
	struct feed_copy *copy = find_copy(f, g->place);
	int		  rc;

	*out = copy;
	if (copy)
		return 0;
	if (flags & STORE_NOWAIT)
		return fail(AGAIN, "a part of the log must be read");
	copy = new_copy(g->place, (size_t)g->blocks * BLOCK);
	if (!copy)
		return fail(NOMEM, "no memory for %llu bytes of log", (unsigned long long)g->blocks * BLOCK);
	rc = read_copy(s, g, copy);
	if (rc) {
		feed_put(s, copy);
		return rc;
	}
	copy->refs = 2;
	add_copy(f, copy);
	*out = copy;
	return 0;
}

/* ---- beginning ---- */

/* From here on the list is kept; what was before comes later. The place of the next group counts one lap more than it must, so that no
 * place of the past is negative. */
static void activate(struct log *l, struct log_place *mark)
{
	struct feed *f = &l->feed;

	*mark	   = (struct log_place){ .pos = l->pos, .seq = l->seq, .chain = l->chain };
	f->end	   = l->blocks + l->pos;
	f->writing = log_writing(l);
	f->active  = true;
}

int feed_join(struct log *l, const struct log_group *past, size_t n)
{
	struct feed	 *f	 = &l->feed;
	size_t		  cap	 = n + f->n + 256;
	struct log_group *groups = calloc(cap, sizeof(*groups));

	if (!groups)
		return fail(NOMEM, "no memory to look through the log");
	for (size_t i = 0; i < n; i++)
		groups[i] = past[n - 1 - i];
	for (size_t i = 0; i < f->n; i++)
		groups[n + i] = *group_at(f, i);
	free(f->groups);
	f->groups = groups;
	f->cap	  = cap;
	f->first  = 0;
	f->n += n;
	prune(l);
	return 0;
}

static int open_locked(struct store *s)
{
	struct log	*l = &s->log;
	struct log_place mark;
	uint64_t	 end;
	int		 rc;

	if (l->feed.active)
		return 0;
	pthread_mutex_lock(&l->lock);
	activate(l, &mark);
	end = l->feed.end;
	pthread_mutex_unlock(&l->lock);
	rc = feed_find_past(s, &mark, end);
	if (!rc)
		return 0;
	pthread_mutex_lock(&l->lock);
	l->feed.active = false;
	l->feed.n      = 0;
	pthread_mutex_unlock(&l->lock);
	return rc;
}

int feed_open(struct store *s)
{
	struct feed *f = &s->log.feed;
	int	     rc;

	pthread_mutex_lock(&f->opening);
	rc = open_locked(s);
	if (!rc)
		atomic_fetch_add(&f->watches, 1);
	pthread_mutex_unlock(&f->opening);
	return rc;
}

void feed_close(struct store *s)
{
	atomic_fetch_sub(&s->log.feed.watches, 1);
}

/* ---- waiting ---- */

struct op *feed_take_waits(struct log *l)
{
	struct op **at = &l->feed.waits, *taken = NULL, *op;

	while ((op = *at) != NULL) {
		if (op->lsn > l->durable && !l->rc) {
			at = &op->next;
			continue;
		}
		*at	 = op->next;
		op->next = taken;
		taken	 = op;
	}
	return taken;
}

static void stop_waiting(struct op *op)
{
	struct store *s	 = op->task;
	struct op   **at = &s->log.feed.waits;
	bool	      waits;

	pthread_mutex_lock(&s->log.lock);
	while (*at && *at != op)
		at = &(*at)->next;
	waits = *at != NULL;
	if (waits)
		*at = op->next;
	pthread_mutex_unlock(&s->log.lock);
	if (waits)
		op_complete(op, fail(CANCELED, "the wait for a change was cancelled"));
}

int feed_wait(struct store *s, uint64_t lsn, struct op *op)
{
	struct log *l = &s->log;
	bool	    waits;
	int	    rc;

	op->lsn	 = lsn;
	op->task = s;
	pthread_mutex_lock(&l->lock);
	waits = l->durable < lsn && !l->rc;
	rc    = l->durable < lsn ? l->rc : 0;
	if (waits) {
		op->stop      = stop_waiting;
		op->next      = l->feed.waits;
		l->feed.waits = op;
	}
	pthread_mutex_unlock(&l->lock);
	if (rc)
		base_set_message(l->message);
	return waits ? 1 : rc;
}
