/* SPDX-License-Identifier: Apache-2.0 */
/* store/watch.c: the changes of some keys, out of the log.
 *
 * A watch is a place in the history: the record that comes next, and how many of that record's mutations have been looked at. Nothing
 * else is kept for it, so it costs the same whether it is read or not, and the place may be gone when it is. Always true: all that
 * matches and stands before the place has been returned, once, in order. */
#include "feed.h"

#define LOOK_MAX (UINT64_C(1) << 20) /* bytes of log that one call looks through */

struct store_watch {
	struct store *s;
	uint64_t      tree, next; /* next: the record, by its lsn */
	uint64_t      ended;	  /* the lsn that ended it; 0: none */
	size_t	      skip;	  /* mutations of it that have been looked at */
	size_t	      strip;
	bool	      keys_only;
	uint64_t      place; /* of the group in which the next record was last seen, and where in it: only a hint */
	size_t	      offset;
	tarn_buf      prefix, end;
	uint8_t	      memory[]; /* of both */
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
	tarn_changes *changes;
	bool	      full;
};

struct entry {
	tarn_entry head;
	tarn_buf   key, val;
};

static bool is_deletion(const struct store_mutation *m)
{
	return m->change == STORE_DEL;
}

static struct entry entry_of(const struct store_watch *w, const struct store_mutation *m, bool extents, size_t cap)
{
	struct entry e	  = { .key = { (const uint8_t *)m->key.ptr + w->strip, m->key.len - w->strip } };
	uint64_t     size = extents ? value_size(m->val.ptr) : m->val.len;
	bool	     omit = w->keys_only || extents || sizeof(e.head) + e.key.len + m->val.len > cap;

	e.head = (tarn_entry){ .key_len = (uint32_t)e.key.len, .val_len = size, .revision = w->next };
	if (is_deletion(m))
		e.head.flags = TARN_ENTRY_DELETED | TARN_ENTRY_OMITTED;
	else if (omit)
		e.head.flags = TARN_ENTRY_OMITTED;
	else
		e.val = m->val;
	return e;
}

static void copy(uint8_t *to, tarn_buf from)
{
	if (from.len)
		memcpy(to, from.ptr, from.len);
}

static int put_entry(struct out *out, const struct entry *e)
{
	size_t	 len = sizeof(e->head) + e->key.len + e->val.len;
	uint8_t *to  = out->buf + out->changes->used;

	if (out->changes->used + len > out->cap) {
		out->full = true;
		return out->changes->count ? 0
					   : fail(KEY2BIG, "a buffer of %zu bytes is too small for a key of %zu: %u hold any",
						  out->cap, e->key.len, TARN_KEY_MAX + 32);
	}
	memcpy(to, &e->head, sizeof(e->head));
	copy(to + sizeof(e->head), e->key);
	copy(to + sizeof(e->head) + e->key.len, e->val);
	out->changes->used = MIN(ROUND_UP(out->changes->used + len, 8), out->cap);
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

	if (is_end(w, m))
		w->ended = w->next;
	if (!is_wanted(w, m))
		return 0;
	e = entry_of(w, m, extents, out->cap);
	return put_entry(out, &e);
}

static int malformed(const struct store_watch *w)
{
	return fail(CSUM, "the log's record of revision %llu is malformed, although its checksum is right",
		    (unsigned long long)w->next);
}

/* The next record, from `at` to `stop`: as far as there is room. */
static int read_record(struct store_watch *w, const uint8_t *at, const uint8_t *stop, size_t n, struct out *out)
{
	struct store_mutation m;
	bool		      extents;
	int		      rc = 0;

	for (size_t i = 0; i < n; i++) {
		if (!mutation_parse(&at, stop, &m, &extents))
			return malformed(w);
		if (i < w->skip)
			continue;
		rc = look_at(w, &m, extents, out);
		if (rc || out->full)
			return rc;
		w->skip = i + 1;
	}
	w->next++;
	w->skip = 0;
	return 0;
}

/* One record of a group: an earlier one, or the next. */
static int step(struct store_watch *w, const uint8_t **p, const uint8_t *end, struct out *out)
{
	const uint8_t *at = *p, *stop;
	int	       rc = 0;

	if (end - at < (ptrdiff_t)REC_BYTES || get32(at + REC_LEN) < REC_BYTES || get32(at + REC_LEN) > end - at ||
	    get64(at + REC_LSN) > w->next)
		return malformed(w);
	stop = at + get32(at + REC_LEN);
	if (get64(at + REC_LSN) == w->next)
		rc = read_record(w, at + REC_BYTES, stop, get32(at + REC_COUNT), out);
	if (!rc && !out->full)
		*p = stop;
	return rc;
}

static int read_group(struct store_watch *w, const struct log_group *g, const uint8_t *group, struct out *out)
{
	const uint8_t *end = group + GROUP_BYTES + get32(group + GROUP_LEN);
	const uint8_t *p   = group + (w->place == g->place ? w->offset : GROUP_BYTES);
	int	       rc  = 0;

	while (!rc && p < end && !out->full && !has_ended(w))
		rc = step(w, &p, end, out);
	w->place  = g->place;
	w->offset = (size_t)(p - group);
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
	out->more     = has_ended(w) || out->revision < out->latest;
}

int store_watch_next(struct store_watch *w, void *buf, size_t cap, tarn_changes *changes, unsigned flags)
{
	struct out out	  = { .buf = buf, .cap = cap, .changes = changes };
	uint64_t   looked = 0;
	int	   rc	  = 0;

	*changes = (tarn_changes){ 0 };
	while (!rc && !out.full && !has_ended(w) && looked < LOOK_MAX)
		rc = next_group(w, &out, flags, &looked);
	if (!rc && has_ended(w) && !changes->count)
		rc = destroyed(w);
	fill_range(w, changes);
	return rc == FEED_END || changes->count ? 0 : rc; /* what is wrong behind what was found is said the next time */
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
