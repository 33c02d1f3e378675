/* SPDX-License-Identifier: Apache-2.0 */
/* store/watch.c: the changes of some keys, out of the log.
 *
 * A watch is a place in the history: the record that comes next, and how many of that record's mutations have been looked at. For those who
 * go on elsewhere, it counts how many of them matched: a record does not change, so the same ones will match again. Nothing
 * else is kept for it, so it costs the same whether it is read or not, and the place may be gone when it is. Always true: all that
 * matches and stands before the place has been returned, once, in order.
 *
 * Of a value in extents the log has the descriptor: addresses and checksums. Nothing keeps its blocks once the key has another value, so
 * they are held while they are read, and the checksums say whether they were used again before. */
#include "feed.h"
#include "record.h"

#define LOOK_MAX (UINT64_C(1) << 20) /* bytes of log that one call looks through */

struct store_watch {
	struct store *s;
	uint64_t      tree, next; /* next: the record, by its lsn */
	uint64_t      ended;	  /* the lsn that ended it; 0: none */
	size_t	      skip;	  /* mutations of it that have been looked at */
	uint64_t      part, pass; /* of it so many that match have been returned or left out; so many are left out */
	size_t	      strip;
	bool	      keys_only;
	uint64_t      place; /* of the group in which the next record was last seen, and where in it: only a hint */
	struct {
		size_t		      offset;
		uint64_t	      lsn;
		struct record_context before;
	} seen;
	tarn_buf prefix, end;
	uint8_t	 memory[]; /* of both */
};

/* The record that ended it has been looked at. */
static bool has_ended(const struct store_watch *w)
{
	return w->ended && w->ended < w->next;
}

/* ---- entries ---- */

struct out {
	uint8_t	     *buf;
	size_t	      cap;
	uint64_t      values; /* up to so long they are given whole; 0: what the log has and the buffer holds */
	unsigned      flags;
	tarn_changes *changes;
	bool	      full;
	struct record rec;
};

struct entry {
	tarn_entry     head;
	tarn_buf       key, val;
	const uint8_t *desc; /* val.len bytes are to be read, from there */
};

static bool is_deletion(const struct store_mutation *m)
{
	return m->change == STORE_DEL;
}

static bool is_omitted(const struct store_watch *w, const struct entry *e, bool extents, const struct out *out)
{
	uint64_t size = e->head.val_len;

	if (w->keys_only || out->values)
		return w->keys_only || size > out->values;
	return extents || sizeof(e->head) + e->key.len + size > out->cap;
}

static struct entry entry_of(const struct store_watch *w, const struct store_mutation *m, bool extents, const struct out *out)
{
	struct entry e	  = { .key = { (const uint8_t *)m->key.ptr + w->strip, m->key.len - w->strip } };
	uint64_t     size = extents ? value_size(m->val.ptr) : m->val.len;

	e.head = (tarn_entry){ .key_len = (uint32_t)e.key.len, .val_len = size, .revision = w->next };
	if (is_deletion(m))
		e.head.flags = TARN_ENTRY_DELETED | TARN_ENTRY_OMITTED;
	else if (is_omitted(w, &e, extents, out))
		e.head.flags = TARN_ENTRY_OMITTED;
	else
		e.val = (tarn_buf){ extents ? NULL : m->val.ptr, size };
	e.desc = extents && e.val.len ? m->val.ptr : NULL;
	return e;
}

static void copy(uint8_t *to, tarn_buf from)
{
	if (from.len)
		memcpy(to, from.ptr, from.len);
}

static void unhold(struct store *s, unsigned round)
{
	pthread_mutex_lock(&s->lock);
	space_unhold(&s->space, round);
	pthread_mutex_unlock(&s->lock);
}

/* CSUM: its blocks have been used again, or are damaged. */
static int read_extents(struct store *s, const struct entry *e, uint8_t *to)
{
	struct bptr *pieces = NULL;
	size_t	     n	    = 0;
	unsigned     round;
	int	     rc;

	pthread_mutex_lock(&s->lock);
	round = space_hold(&s->space);
	pthread_mutex_unlock(&s->lock);
	rc = value_pieces(s, e->desc, &pieces, &n);
	rc = rc ? rc : value_read_all(s, pieces, n, e->val.len, to);
	free(pieces);
	unhold(s, round);
	return rc;
}

/* The value, to its place. What is gone is left out. */
static int put_value(const struct store_watch *w, const struct out *out, struct entry *e, uint8_t *to)
{
	int rc;

	if (!e->desc) {
		copy(to, e->val);
		return 0;
	}
	if (out->flags & STORE_NOWAIT)
		return fail(AGAIN, "a value must be read");
	rc = read_extents(w->s, e, to);
	if (rc != -TARN_E_CSUM)
		return rc;
	e->head.flags = TARN_ENTRY_OMITTED | TARN_ENTRY_GONE;
	e->val.len    = 0;
	return 0;
}

static int too_small(struct out *out, const struct entry *e, size_t len)
{
	if (!out->values || !e->val.len)
		return fail(KEY2BIG, "a buffer of %zu bytes is too small for a key of %zu: %u hold any", out->cap, e->key.len,
			    TARN_KEY_MAX + 32);
	out->changes->used = len;
	return fail(REC2BIG, "a buffer of %zu bytes is too small for the next change, with its value of %zu: it takes %zu",
		    out->cap, e->val.len, len);
}

static int put_entry(const struct store_watch *w, struct out *out, struct entry *e)
{
	size_t	 head = sizeof(e->head) + e->key.len, used = out->changes->used;
	uint8_t *to = out->buf + used;
	int	 rc;

	if (head + e->val.len > out->cap - used) {
		out->full = true;
		return out->changes->count ? 0 : too_small(out, e, head + e->val.len);
	}
	rc = put_value(w, out, e, to + head);
	if (rc)
		return rc;
	memcpy(to, &e->head, sizeof(e->head));
	copy(to + sizeof(e->head), e->key);
	out->changes->used = MIN(ROUND_UP(used + head + e->val.len, 8), out->cap);
	out->changes->count++;
	return 0;
}

/* ---- records ---- */

static bool begins_with(tarn_buf key, tarn_buf prefix)
{
	return key.len >= prefix.len && (!prefix.len || memcmp(key.ptr, prefix.ptr, prefix.len) == 0);
}

static bool is_end(const struct store_watch *w, const struct store_mutation *m)
{
	if (m->tree != w->tree)
		return false;
	return m->change == STORE_DROP ||
	       (is_deletion(m) && w->end.len && m->key.len == w->end.len && begins_with(m->key, w->end));
}

static bool is_wanted(const struct store_watch *w, const struct store_mutation *m)
{
	return m->tree == w->tree && (m->change == STORE_PUT || is_deletion(m)) && begins_with(m->key, w->prefix);
}

static int look_at(struct store_watch *w, const struct store_mutation *m, bool extents, struct out *out)
{
	struct entry e;
	int	     rc = 0;

	if (is_end(w, m))
		w->ended = w->next;
	if (!is_wanted(w, m))
		return 0;
	if (w->part >= w->pass) {
		e  = entry_of(w, m, extents, out);
		rc = put_entry(w, out, &e);
	}
	if (!rc && !out->full)
		w->part++;
	return rc;
}

static int malformed(const struct store_watch *w)
{
	return fail(CSUM, "the log's record of revision %llu is malformed, although its checksum is right",
		    (unsigned long long)w->next);
}

/* The next record: as far as there is room. */
static int look_through(struct store_watch *w, const struct record *rec, struct out *out)
{
	for (; w->skip < rec->n; w->skip++) {
		int rc = look_at(w, &rec->muts[w->skip], rec->extents[w->skip], out);

		if (rc || out->full)
			return rc;
	}
	w->next++;
	w->skip = 0;
	w->part = w->pass = 0;
	return 0;
}

/* One record of a group: an earlier one, or the next. */
static int step(struct store_watch *w, struct record_reader *r, struct out *out)
{
	struct record_reader after = *r;
	int		     rc	   = record_read(&after, &out->rec);

	if (rc == RECORD_BAD || r->lsn > w->next)
		return malformed(w);
	if (!rc && r->lsn == w->next)
		rc = look_through(w, &out->rec, out);
	if (!rc && !out->full)
		*r = after;
	return rc;
}

/* From where the next record was last seen on, if that was in this group. */
static int read_group(struct store_watch *w, const struct log_group *g, const uint8_t *group, struct out *out)
{
	struct record_reader r;
	int		     rc = 0;

	record_first(&r, group);
	if (w->place == g->place) {
		r.at += w->seen.offset;
		r.lsn	 = w->seen.lsn;
		r.before = w->seen.before;
	}
	while (!rc && !record_is_last(&r) && !out->full && !has_ended(w))
		rc = step(w, &r, out);
	w->place       = g->place;
	w->seen.offset = (size_t)(r.at - group) - GROUP_BYTES;
	w->seen.lsn    = r.lsn;
	w->seen.before = r.before;
	return rc;
}

/* The group that has the next record. FEED_END: there is none yet. */
static int next_group(struct store_watch *w, struct out *out, unsigned flags, uint64_t *looked)
{
	struct feed_copy *copy;
	struct log_group  g;
	int		  rc = feed_find(w->s, w->next, &g);

	rc = rc ? rc : feed_get(w->s, &g, flags, &copy);
	if (rc)
		return rc;
	*looked += copy->bytes;
	rc = read_group(w, &g, copy->data, out);
	feed_put(w->s, copy);
	return rc;
}

static int destroyed(const struct store_watch *w)
{
	return fail(NONEXIST, "the object was destroyed at revision %llu", (unsigned long long)w->ended);
}

static void fill_range(const struct store_watch *w, tarn_changes *out)
{
	uint64_t applied;

	feed_range(w->s, &out->oldest, &out->latest, &applied);
	out->revision = w->next - 1;
	out->position = MAX(w->part, w->pass);
	out->more     = has_ended(w) || out->revision < out->latest;
}

int store_watch_next(struct store_watch *w, uint64_t values, void *buf, size_t cap, tarn_changes *changes, unsigned flags)
{
	struct out out	  = { .buf = buf, .cap = cap, .values = values, .flags = flags, .changes = changes };
	uint64_t   looked = 0;
	int	   rc	  = 0;

	*changes = (tarn_changes){ 0 };
	while (!rc && !out.full && !has_ended(w) && looked < LOOK_MAX)
		rc = next_group(w, &out, flags, &looked);
	record_free(&out.rec);
	if (!rc && has_ended(w) && !changes->count)
		rc = destroyed(w);
	fill_range(w, changes);
	return rc == FEED_END || changes->count ? 0 : rc; /* what is wrong behind what was found is said the next time */
}

int store_watch_skip(struct store_watch *w, uint64_t n)
{
	if (w->skip || w->part)
		return fail(INVAL, "tarn_watch_skip: changes of the batch of revision %llu have been returned already",
			    (unsigned long long)w->next);
	w->pass = n;
	return 0;
}

int store_watch_wait(struct store_watch *w, struct op *op)
{
	return has_ended(w) ? 0 : feed_wait(w->s, w->next, op);
}

/* ---- opening ---- */

static int check_start(struct store_watch *w, const struct store_watch_options *o, tarn_changes *now)
{
	uint64_t applied;

	feed_range(w->s, &now->oldest, &now->latest, &applied);
	now->oldest   = MAX(now->oldest, o->born);
	w->next	      = o->start ? o->start : MAX(now->latest + 1, now->oldest);
	now->revision = w->next - 1;
	if (w->next < o->born)
		return fail(EP_OLD,
			    "revision %llu is asked for, and the object was made at %llu: what was before is another one's; read "
			    "it anew, and "
			    "watch from there",
			    (unsigned long long)w->next, (unsigned long long)o->born);
	if (w->next < now->oldest)
		return feed_gone(w->next, now->oldest);
	if (o->start > applied + 1)
		return fail(OVERFLOW,
			    "revision %llu is asked for, and the last one of this pool is %llu: it is of another pool, or of one "
			    "that "
			    "was restored since; read the object anew",
			    (unsigned long long)o->start, (unsigned long long)applied);
	return 0;
}

static struct store_watch *make(struct store *s, const struct store_watch_options *o)
{
	struct store_watch *w = calloc(1, sizeof(*w) + o->prefix.len + o->end.len);

	if (!w)
		return NULL;
	w->s	     = s;
	w->tree	     = o->tree;
	w->strip     = o->strip;
	w->keys_only = o->keys_only;
	w->place     = UINT64_MAX;
	copy(w->memory, o->prefix);
	copy(w->memory + o->prefix.len, o->end);
	w->prefix = (tarn_buf){ w->memory, o->prefix.len };
	w->end	  = (tarn_buf){ w->memory + o->prefix.len, o->end.len };
	return w;
}

int store_watch_open(struct store *s, const struct store_watch_options *options, tarn_changes *now, struct store_watch **watch)
{
	struct store_watch *w = make(s, options);
	int		    rc;

	*now = (tarn_changes){ 0 };
	if (!w)
		return fail(NOMEM, "no memory to watch");
	rc = feed_open(s);
	if (rc) {
		free(w);
		return rc;
	}
	rc = check_start(w, options, now);
	if (rc)
		store_watch_close(w);
	else
		*watch = w;
	return rc;
}

void store_watch_close(struct store_watch *w)
{
	feed_close(w->s);
	free(w);
}
