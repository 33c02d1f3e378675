/* SPDX-License-Identifier: Apache-2.0 */
/* store/read.c: one key's value, many keys' values, and a value in pieces.
 *
 * What stands in a leaf is copied without a lock, and counts only when the leaf has not changed meanwhile. A value in extents is read from
 * the device: before that the space is held, under the lock, so that its blocks are not used again whatever happens to the key. */
#include "defer.h"
#include "filter.h"
#include "finger.h"
#include "rows.h"
#include "seek.h"

#define PATIENCE  64
#define SMALL_MAX ROW_VALUE_MAX /* bytes of a value that go by way of the stack */
#define GROUP	  16u
#define WANTS_MAX 128u
#define PASSES	  16

/* What was found for a key. A small value is copied into `bytes` first, and into the caller's buffer when it is certain. A larger one goes
 * there at once, when it is certain that the key has a value that fits: so only when that changes before the copy is whole can the
 * answer be NONEXIST or REC2BIG and the buffer be touched, by what was the value when the call began. */
struct answer {
	void		*buf;
	size_t		 room, len; /* bytes of buf, of the value */
	uint64_t	 rev;
	uint8_t		*bytes; /* SMALL_MAX of them: a small value, or the descriptor of one in extents */
	bool		 found, extents;
	struct row_place row;	/* of the key */
	bool		 fresh; /* its leaf was not known: it may have come for this key alone */
};

_Static_assert(EXT_BYTES_MAX <= SMALL_MAX, "a descriptor is small");

static inline NODE_RACY bool fits(const struct answer *a)
{
	return a->buf && a->len <= a->room;
}

static NODE_RACY int copy_out(struct answer *a, const struct spot *spot)
{
	struct leaf_value v  = node_value(spot->frame->page, spot->frame->cap, spot->slot);
	uint8_t		 *to = a->bytes;

	a->rev	   = v.revision;
	a->len	   = v.len;
	a->extents = v.extents;
	if (v.extents) {
		page_copy(to, v.bytes, MIN(v.len, EXT_BYTES_MAX));
		a->len = value_size(to);
		return 0;
	}
	if (!fits(a))
		return 0;
	if (a->len > SMALL_MAX) {
		if (!frame_valid(spot->frame, spot->version))
			return RESTART;
		to = a->buf;
	}
	page_copy(to, v.bytes, a->len);
	return 0;
}

/* What stands at the spot: 0, or RESTART. */
static NODE_RACY int look(struct answer *a, const struct spot *spot)
{
	a->found   = spot->frame && spot->found;
	a->extents = false;
	a->len	   = 0;
	a->rev	   = 0;
	if (a->found && copy_out(a, spot))
		return RESTART;
	return !spot->frame || frame_valid(spot->frame, spot->version) ? 0 : RESTART;
}

/* The answer is certain. The code comes without a sentence. */
static int give(const struct answer *a, size_t *len, uint64_t *rev)
{
	*len = a->len;
	if (rev)
		*rev = a->rev;
	if (!a->found)
		return -TARN_E_NONEXIST;
	if (a->buf && !fits(a))
		return -TARN_E_REC2BIG;
	if (a->buf && !a->extents && a->len && a->len <= SMALL_MAX)
		memcpy(a->buf, a->bytes, a->len);
	return 0;
}

/* ---- rows ---- */

/* *a is what the row has. */
static NODE_RACY bool look_at_row(struct store *s, struct answer *a, tarn_buf key)
{
	struct row row = { .bytes = a->bytes };

	if (!a->row.open || !row_get(s, &a->row, key, &row))
		return false;
	a->found   = true;
	a->extents = a->fresh = false;
	a->len		      = row.len;
	a->rev		      = row.revision;
	return true;
}

/* What was found in the leaf can be a row. The leaf may go then, unless somebody else finds something in it. */
static void look_afresh(struct answer *a, uint64_t life, const struct spot *spot)
{
	struct frame *f = spot->frame;

	a->fresh = a->found && !a->extents && a->len <= SMALL_MAX && fits(a) &&
		   atomic_load_explicit(&f->live, memory_order_relaxed) != (life | spot->version);
	if (a->fresh && a->row.open)
		atomic_store_explicit(&f->touched, false, memory_order_relaxed);
}

/* The answer is certain. */
static void keep_row(struct store *s, const struct answer *a, tarn_buf key)
{
	if (!a->fresh)
		return;
	if (a->row.open)
		row_add(s, &a->row, key, &(struct row){ a->rev, (uint32_t)a->len, a->bytes });
	else if (!a->row.owner)
		row_missed(s);
}

/* ---- one key ---- */

struct get {
	struct seek   seek;
	tarn_buf      key;
	struct answer answer;
	bool	      held; /* the space is, since that round */
	unsigned      round;
};

static void nothing(struct answer *a)
{
	a->found = a->extents = a->fresh = false;
	a->len				 = 0;
	a->rev				 = 0;
}

/* In the leaf that a finger knows, or else from the root. */
static NODE_RACY int find_and_look(struct store *s, struct get *g, struct wanted *w)
{
	struct tree *t	  = g->seek.tree;
	uint64_t     life = g->seek.locked ? 0 : finger_life(t), hash;
	struct spot  spot;
	int	     rc;

	g->answer.fresh = false;
	if (life && filter_excludes(s, life, g->key)) {
		nothing(&g->answer);
		return 0;
	}
	g->answer.row = row_find(s, life, g->key);
	if (look_at_row(s, &g->answer, g->key))
		return 0;
	hash = life ? finger_hash(s, life, g->key) : 0;
	if (life)
		finger_come(s, hash);
	if (life && finger_enter(s, life, hash, g->key, &spot)) {
		spot.slot = node_lower(spot.frame->page, spot.frame->cap, g->key, &spot.found);
		if (!look(&g->answer, &spot)) {
			finger_found(s, hash, &spot);
			filter_note(s, t, life, g->answer.found);
			return 0;
		}
	}
	rc = tree_seek(s, t, g->key, &spot, w);
	rc = rc ? rc : look(&g->answer, &spot);
	if (rc)
		return rc;
	if (life) {
		look_afresh(&g->answer, life, &spot);
		filter_note(s, t, life, g->answer.found);
	}
	finger_set(s, life, hash, g->key, &spot);
	return 0;
}

static NODE_RACY int get(struct store *s, void *arg, struct wanted *w)
{
	struct get *g  = arg;
	int	    rc = find_and_look(s, g, w);

	if (rc || !g->answer.extents || !fits(&g->answer))
		return rc;
	if (g->seek.flags & STORE_NOWAIT)
		return -TARN_E_AGAIN;
	if (!g->seek.locked)
		return seek_lock(&g->seek);
	g->round = space_hold(&s->space);
	g->held	 = true;
	return 0;
}

static void unhold(struct store *s, unsigned round)
{
	pthread_mutex_lock(&s->lock);
	space_unhold(&s->space, round);
	pthread_mutex_unlock(&s->lock);
}

/* The space is held. */
static int read_extents(struct store *s, const uint8_t *desc, unsigned round, void *buf)
{
	struct bptr *pieces = NULL;
	size_t	     n	    = 0;
	int	     rc	    = value_pieces(s, desc, &pieces, &n);

	rc = rc ? rc : value_read_all(s, pieces, n, value_size(desc), buf);
	free(pieces);
	unhold(s, round);
	return rc;
}

int store_get(struct store *s, struct store_at at, tarn_buf key, void *buf, size_t *len, uint64_t *rev, unsigned flags)
{
	uint8_t	   bytes[SMALL_MAX];
	struct get g  = { .seek	  = { .at = at, .flags = flags, .patience = PATIENCE, .body = get, .arg = &g },
			  .key	  = key,
			  .answer = { .buf = buf, .room = *len, .bytes = bytes } };
	int	   rc = seek_at(s, &g.seek);

	if (rc) {
		*len = rc == -TARN_E_NONEXIST ? 0 : *len;
		return rc;
	}
	keep_row(s, &g.answer, key);
	rc = give(&g.answer, len, rev);
	if (rc == -TARN_E_NONEXIST)
		return base_fail_about(TARN_E_NONEXIST, "there is no such ", "key", "");
	if (rc)
		return fail(REC2BIG, "the value has %zu bytes, the buffer %zu", g.answer.len, g.answer.room);
	return g.held ? read_extents(s, bytes, g.round, buf) : 0;
}

/* ---- many keys ---- */

/* Some keys go down the tree together, a level at a time: while the page of one comes from memory, the others are searched. What is not
 * simple (a change meanwhile, a value in extents, damage) is left to store_get(). */
#define ANSWERED 2
struct lane {
	struct store_get *get;
	int		  rc; /* RESTART: not simple. AGAIN: the page in `wanted` is missing. ANSWERED: without a leaf */
	uint64_t	  hash;
	bool		  fingered; /* a finger knew the leaf */
	struct spot	  spot;
	struct wanted	  wanted;
	struct answer	  answer;
	uint8_t		  bytes[SMALL_MAX];
};

struct many {
	struct seek   seek;
	unsigned      n;
	size_t	      wants_n;
	bool	      blocked; /* store_get() would have to wait: AGAIN */
	struct wanted wants[WANTS_MAX];
	struct lane   lanes[GROUP];
};

static NODE_RACY bool lane_inner(const struct lane *l)
{
	return !l->rc && l->spot.frame && node_level(l->spot.frame->page);
}

/* All lanes are at the same level; false: at the leaves. */
static NODE_RACY bool step_down(struct store *s, struct many *m)
{
	unsigned inner[GROUP], n = 0;

	for (unsigned i = 0; i < m->n; i++)
		if (lane_inner(&m->lanes[i]))
			inner[n++] = i;
	for (unsigned i = 0; i < n; i++)
		if (!i ||
		    m->lanes[inner[i]].spot.frame != m->lanes[inner[i - 1]].spot.frame) /* at the root they are all the same */
			seek_look(&m->lanes[inner[i]].spot);
	for (unsigned i = 0; i < n; i++) {
		struct lane *l = &m->lanes[inner[i]];

		seek_route(&l->spot, l->get->key);
		seek_prefetch_entry(l->spot.frame->page, l->spot.frame->cap, l->spot.slot);
		prefetch((const void *)hint_at(&s->cache, l->spot.frame, l->spot.slot));
	}
	for (unsigned i = 0; i < n; i++)
		seek_prefetch(s, &m->lanes[inner[i]].spot, m->lanes[inner[i]].spot.slot);
	for (unsigned i = 0; i < n; i++) {
		struct lane *l = &m->lanes[inner[i]];

		l->rc = seek_down(s, m->seek.tree, NULL, &l->spot, &l->wanted);
	}
	return n > 0;
}

/* In its leaf, after seek_near(). */
static NODE_RACY void lane_look(struct store *s, const struct tree *t, uint64_t life, struct lane *l)
{
	if (l->rc)
		return;
	if (l->spot.frame)
		seek_lower(&l->spot, l->get->key);
	l->rc = look(&l->answer, &l->spot);
	if (l->rc)
		return;
	if (life)
		filter_note(s, t, life, l->answer.found);
	if (l->fingered) {
		finger_found(s, l->hash, &l->spot);
		return;
	}
	if (life)
		look_afresh(&l->answer, life, &l->spot);
	finger_set(s, life, l->hash, l->get->key, &l->spot);
}

static NODE_RACY void look_at_rows(struct store *s, struct many *m, uint64_t life)
{
	for (unsigned i = 0; i < m->n; i++)
		m->lanes[i].answer.row = row_find(s, life, m->lanes[i].get->key);
	for (unsigned i = 0; i < m->n; i++)
		if (look_at_row(s, &m->lanes[i].answer, m->lanes[i].get->key))
			m->lanes[i].rc = ANSWERED;
}

static void ask_filter(struct store *s, struct many *m, uint64_t life)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct lane *l = &m->lanes[i];

		if (l->rc || !filter_excludes(s, life, l->get->key))
			continue;
		nothing(&l->answer);
		l->rc = ANSWERED;
	}
}

/* Those that have a finger are in their leaves. */
static NODE_RACY void point(struct store *s, struct many *m, uint64_t life)
{
	struct lane *lanes[GROUP];
	unsigned     n = 0;

	for (unsigned i = 0; i < m->n; i++)
		if (!m->lanes[i].rc)
			lanes[n++] = &m->lanes[i];
	for (unsigned i = 0; i < n; i++) {
		lanes[i]->hash = finger_hash(s, life, lanes[i]->get->key);
		finger_prefetch(s, lanes[i]->hash);
	}
	for (unsigned i = 0; i < n; i++)
		finger_come(s, lanes[i]->hash);
	for (unsigned i = 0; i < n; i++)
		lanes[i]->fingered = finger_enter(s, life, lanes[i]->hash, lanes[i]->get->key, &lanes[i]->spot);
}

static NODE_RACY int group(struct store *s, void *arg, struct wanted *w)
{
	struct many *m	  = arg;
	uint64_t     life = m->seek.locked ? 0 : finger_life(m->seek.tree);
	struct spot  root;
	int	     rc = seek_root(s, m->seek.tree, NULL, &root, w);

	if (rc)
		return rc;
	for (unsigned i = 0; i < m->n; i++) {
		m->lanes[i].rc	     = 0;
		m->lanes[i].fingered = false;
		m->lanes[i].spot     = root;

		m->lanes[i].answer.fresh = false;
	}
	look_at_rows(s, m, life);
	if (life) {
		ask_filter(s, m, life);
		point(s, m, life);
	}
	while (step_down(s, m))
		;
	for (unsigned i = 0; i < m->n; i++)
		if (!m->lanes[i].rc && root.frame)
			seek_near(&m->lanes[i].spot, m->lanes[i].get->key);
	for (unsigned i = 0; i < m->n; i++)
		lane_look(s, m->seek.tree, life, &m->lanes[i]);
	return 0;
}

static void want(struct many *m, const struct wanted *w)
{
	for (size_t i = 0; i < m->wants_n; i++)
		if (m->wants[i].ptr.addr == w->ptr.addr)
			return;
	m->wants[m->wants_n++] = *w;
}

static void lane_end(struct store *s, struct many *m, struct lane *l)
{
	struct store_get *g = l->get;

	if (l->rc == -TARN_E_AGAIN) {
		want(m, &l->wanted);
		return;
	}
	l->rc = l->rc == ANSWERED ? 0 : l->rc;
	if (!l->rc)
		keep_row(s, &l->answer, g->key);
	if (l->rc || (l->answer.extents && fits(&l->answer))) {
		l->rc = store_get(s, m->seek.at, g->key, g->buf, &g->len, &g->rev, m->seek.flags);
		m->blocked |= l->rc == -TARN_E_AGAIN;
		if (l->rc == -TARN_E_AGAIN)
			return;
	} else {
		l->rc = give(&l->answer, &g->len, &g->rev);
	}
	g->rc = l->rc;
}

/* An error of the whole group (there is no such snapshot) is each one's. */
static int run_group(struct store *s, struct many *m)
{
	int rc = m->n ? seek_at(s, &m->seek) : 0;

	if (rc == -TARN_E_AGAIN)
		return rc;
	for (unsigned i = 0; i < m->n; i++) {
		if (rc)
			m->lanes[i].get->rc = rc;
		else
			lane_end(s, m, &m->lanes[i]);
	}
	m->n = 0;
	return 0;
}

static void lane_begin(struct many *m, struct store_get *g)
{
	struct lane *l = &m->lanes[m->n++];

	l->get	  = g;
	l->answer = (struct answer){ .buf = g->buf, .room = g->len, .bytes = l->bytes };
}

/* All that are not answered yet, as far as there is room for what they want. */
static int pass(struct store *s, struct many *m, struct store_get *gets, size_t n)
{
	int rc = 0;

	m->wants_n = 0;
	m->blocked = false;
	m->n	   = 0;
	for (size_t i = 0; !rc && i < n && m->wants_n + GROUP <= WANTS_MAX; i++) {
		if (gets[i].rc != -TARN_E_INPROGRESS)
			continue;
		lane_begin(m, &gets[i]);
		if (m->n == GROUP)
			rc = run_group(s, m);
	}
	return rc ? rc : run_group(s, m);
}

static void each_alone(struct store *s, const struct many *m, struct store_get *gets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (gets[i].rc == -TARN_E_INPROGRESS)
			gets[i].rc = store_get(s, m->seek.at, gets[i].key, gets[i].buf, &gets[i].len, &gets[i].rev, 0);
}

/* A page that was fetched may be gone again before its turn comes, in a small cache: so there is an end to the passes. */
int store_get_many(struct store *s, struct store_at at, struct store_get *gets, size_t n, unsigned flags)
{
	struct many m;

	m.seek = (struct seek){ .at = at, .flags = flags, .patience = 3, .body = group, .arg = &m };
	for (unsigned passes = 0;; passes++) {
		int    rc     = pass(s, &m, gets, n);
		size_t wanted = m.wants_n;

		if (rc || (!m.wants_n && !m.blocked))
			return rc;
		m.wants_n = defer_resolve(s, m.wants, m.wants_n, WANTS_MAX);
		if (wanted && !m.wants_n && passes < PASSES)
			continue;
		if (flags & STORE_NOWAIT) {
			if (m.wants_n)
				store_set_wanted_many(s, m.wants, m.wants_n);
			return fail(AGAIN, "not all of it is in memory");
		}
		if (passes == PASSES || page_fetch_many(s, m.wants, m.wants_n)) {
			each_alone(s, &m, gets, n);
			return 0;
		}
	}
}

/* ---- a value in pieces ---- */

struct store_reader {
	struct store *s;
	uint64_t      size;
	uint8_t	     *bytes; /* of a value in its leaf; else the piece of which a part was read last, or NULL */
	struct bptr  *pieces;
	uint64_t     *starts; /* where each piece begins in the value */
	size_t	      n, at;  /* pieces; the one in bytes, n: none */
	bool	      held;   /* the space is, since that round */
	unsigned      round;
};

static int reader_extents(struct store_reader *r, const uint8_t *desc)
{
	uint64_t start = 0;
	int	 rc    = value_pieces(r->s, desc, &r->pieces, &r->n);

	if (rc)
		return rc;
	r->at	  = r->n;
	r->starts = calloc(r->n + 1, sizeof(*r->starts));
	if (!r->starts)
		return fail(NOMEM, "no memory to read a value of %llu bytes", (unsigned long long)r->size);
	for (size_t i = 0; i < r->n; start += r->pieces[i++].len)
		r->starts[i] = start;
	return 0;
}

static int reader_inline(struct store_reader *r, const struct leaf_value *v)
{
	r->bytes = device_alloc(v->len + 1);
	if (!r->bytes)
		return fail(NOMEM, "no memory to read a value of %u bytes", v->len);
	if (v->len)
		memcpy(r->bytes, v->bytes, v->len);
	return 0;
}

struct reader_find {
	struct seek	     seek;
	struct store_reader *r;
	tarn_buf	     key;
	tarn_kv_stat	     stat;
	uint8_t		     desc[EXT_BYTES_MAX];
};

/* Under the lock: a reader is for what is large. */
static int reader_find(struct store *s, void *arg, struct wanted *w)
{
	struct reader_find *a = arg;
	struct leaf_value   v;
	struct spot	    spot;
	int		    rc = tree_seek(s, a->seek.tree, a->key, &spot, w);

	if (rc)
		return rc;
	if (!spot.frame || !spot.found)
		return fail(NONEXIST, "there is no such key");
	v	= node_value(spot.frame->page, spot.frame->cap, spot.slot);
	a->stat = (tarn_kv_stat){ v.extents ? value_size(v.bytes) : v.len, v.revision };
	if (!v.extents)
		return reader_inline(a->r, &v);
	memcpy(a->desc, v.bytes, v.len);
	a->r->round = space_hold(&s->space);
	a->r->held  = true;
	return 0;
}

int store_reader_open(struct store *s, struct store_at at, tarn_buf key, tarn_kv_stat *stat, struct store_reader **reader)
{
	struct store_reader *r = calloc(1, sizeof(*r));
	struct reader_find   a = { .seek = { .at = at, .locked = true, .body = reader_find, .arg = &a }, .r = r, .key = key };
	int		     rc;

	if (!r)
		return fail(NOMEM, "no memory for a reader");
	r->s	= s;
	rc	= seek_at(s, &a.seek);
	r->size = a.stat.size;
	if (!rc && r->held)
		rc = reader_extents(r, a.desc);
	if (rc) {
		store_reader_close(r);
		return rc;
	}
	*stat	= a.stat;
	*reader = r;
	return 0;
}

/* The piece that holds offset. */
static size_t reader_find_piece(const struct store_reader *r, uint64_t offset)
{
	size_t lo = 0, hi = r->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->starts[mid] <= offset)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* The piece, into r->bytes. */
static int reader_load(struct store_reader *r, size_t i)
{
	int rc;

	if (r->at == i)
		return 0;
	if (!r->bytes)
		r->bytes = device_alloc(value_piece_max(r->pieces, r->n));
	if (!r->bytes)
		return fail(NOMEM, "no memory to read a piece of a value of %llu bytes", (unsigned long long)r->size);
	rc    = piece_read(r->s, &r->pieces[i], r->bytes, "a piece of a value");
	r->at = rc ? r->n : i;
	return rc;
}

/* What the piece at offset has of the want bytes from there on. Of one that is wanted whole nothing is kept. */
static int reader_part(struct store_reader *r, uint64_t offset, uint8_t *to, size_t want, size_t *part)
{
	size_t	 i     = reader_find_piece(r, offset);
	uint64_t start = r->starts[i], end = MIN(start + r->pieces[i].len, r->size);
	int	 rc;

	*part = (size_t)MIN(want, end - offset);
	if (offset == start && *part == end - start && r->at != i)
		return value_read_piece(r->s, &r->pieces[i], to, *part);
	rc = reader_load(r, i);
	if (!rc)
		memcpy(to, r->bytes + (offset - start), *part);
	return rc;
}

int store_reader_read(struct store_reader *r, uint64_t offset, void *buf, size_t *len)
{
	size_t want = (size_t)MIN(*len, offset < r->size ? r->size - offset : 0), part;

	*len = 0;
	if (!r->pieces && want)
		memcpy(buf, r->bytes + offset, want);
	for (; r->pieces && *len < want; *len += part) {
		int rc = reader_part(r, offset + *len, (uint8_t *)buf + *len, want - *len, &part);

		if (rc)
			return rc;
	}
	*len = want;
	return 0;
}

void store_reader_close(struct store_reader *r)
{
	if (!r)
		return;
	if (r->held)
		unhold(r->s, r->round);
	device_free(r->bytes);
	free(r->pieces);
	free(r->starts);
	free(r);
}
