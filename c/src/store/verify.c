/* SPDX-License-Identifier: Apache-2.0 */
/* store/verify.c: findings, and pages as they are on the device. See verify.h. */
#include "verify.h"
#include <stdio.h>

#define BATCH	   16u /* children that are read at a time */
#define SHOW_BYTES (UINT64_C(4) << 20)

/* ---- what is found ---- */

struct noted {
	struct noted	    *next;
	struct store_finding finding;
	char		     what[TARN_MESSAGE_MAX];
	uint8_t		     keys[]; /* low, high */
};

void verify_begin(struct verify *v, struct store *s, struct store_report *report)
{
	*v	      = (struct verify){ .s = s, .report = report };
	v->notes_end  = &v->notes;
	report->bytes = report->findings = 0;
}

static void copy_key(uint8_t *to, tarn_buf from, tarn_buf *out)
{
	if (from.len)
		memcpy(to, from.ptr, from.len);
	*out = (tarn_buf){ to, from.len };
}

static struct noted *new_note(const struct place *p)
{
	static const struct place nowhere;
	struct noted		 *note;

	p    = p ? p : &nowhere;
	note = malloc(sizeof(*note) + p->low.len + p->high.len);
	if (!note)
		return NULL;
	note->next = NULL;
	note->finding =
		(struct store_finding){ .what = note->what, .block = p->ptr.addr, .blocks = p->ptr.len / BLOCK, .at = p->at };
	copy_key(note->keys, p->low, &note->finding.low);
	copy_key(note->keys + p->low.len, p->high, &note->finding.high);
	snprintf(note->what, sizeof(note->what), "%s", base_message());
	return note;
}

int verify_note(struct verify *v, const struct place *p, int rc)
{
	struct noted *note;

	if (rc != -TARN_E_CSUM && rc != -TARN_E_IO && rc != -TARN_E_NVME_IO)
		return rc;
	base_log(TARN_LOG_ERROR, "found: %s", base_message());
	if (!v->report->findings++) {
		v->rc = rc;
		snprintf(v->first, sizeof(v->first), "%s", base_message());
	}
	if (!v->report->found || v->told == VERIFY_TOLD_MAX)
		return 0;
	note = new_note(p);
	if (!note)
		return fail(NOMEM, "no memory for a finding");
	v->told++;
	*v->notes_end = note;
	v->notes_end  = &note->next;
	return 0;
}

static bool is_bad_already(struct verify *v, uint64_t block)
{
	for (unsigned i = 0; i < v->bad_n; i++)
		if (v->bad[i] == block)
			return true;
	if (v->bad_n < VERIFY_TOLD_MAX)
		v->bad[v->bad_n++] = block;
	return false;
}

int verify_damage(struct verify *v, const struct place *p, int rc)
{
	if (rc != -TARN_E_CSUM && rc != -TARN_E_IO && rc != -TARN_E_NVME_IO)
		return rc;
	v->damaged = true;
	return is_bad_already(v, p->ptr.addr) ? 0 : verify_note(v, p, rc);
}

void verify_tell(struct verify *v)
{
	while (v->notes) {
		struct noted *note = v->notes;

		v->notes = note->next;
		v->report->found(v->report, &note->finding);
		free(note);
	}
	v->notes_end = &v->notes;
}

int verify_end(struct verify *v, int rc)
{
	char why[TARN_MESSAGE_MAX];

	snprintf(why, sizeof(why), "%s", base_message());
	verify_tell(v);
	if (rc)
		return base_fail(-rc, "%s", why);
	if (!v->rc)
		return 0;
	return base_fail(-v->rc, "%.200s (%llu findings)", v->first, (unsigned long long)v->report->findings);
}

int verify_progress(struct verify *v, uint64_t bytes)
{
	struct store_report *r = v->report;

	r->bytes += bytes;
	if (r->progress && r->bytes - v->shown >= SHOW_BYTES) {
		v->shown = r->bytes;
		r->progress(r, r->bytes, MAX(v->all, r->bytes));
	}
	return r->stop && r->stop(r)
		       ? fail(CANCELED, "the walk through the pool was ended after %llu bytes", (unsigned long long)r->bytes)
		       : 0;
}

/* ---- pages ---- */

struct place verify_root(struct store_at at, const struct bptr *root, uint64_t keys, uint64_t birth)
{
	return (struct place){ .at = at, .ptr = *root, .keys = keys, .birth = birth, .level = -1 };
}

static bool equal(tarn_buf a, tarn_buf b)
{
	return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* What a page that matches its checksum, and is sound in itself, does not share with what its parent says. NULL: nothing. */
static const char *contradiction(const struct place *p, const uint8_t *page)
{
	bool	 bounded, extents = p->ptr.flags & BPTR_EXTENTS;
	tarn_buf high = node_high(page, p->ptr.len, &bounded);

	if (p->level >= 0 && (int)node_level(page) != p->level)
		return "it has the wrong level";
	if (!equal(node_low(page, p->ptr.len), p->low) || bounded != (p->high.len > 0) || (bounded && !equal(high, p->high)))
		return "its keys are not those that its parent has it for";
	if (p->ptr.birth > p->birth)
		return "it is younger than its parent";
	if (node_has_extents(page, p->ptr.len) != extents)
		return "its parent is wrong about values in extents in it";
	return NULL;
}

static int check_page(struct verify *v, const struct place *p, const uint8_t *page)
{
	struct wanted w	  = { p->at.tree, p->ptr };
	const char   *why = NULL;
	int	      rc  = 0;

	if (!(p->ptr.flags & BPTR_GANG))
		rc = piece_check(&p->ptr, page, "a page of a tree");
	rc  = rc ? rc : page_verify(v->s, page, &w);
	why = rc ? NULL : contradiction(p, page);
	if (why)
		return fail(CSUM, "the page at block %llu of tree %llu is malformed: %s", (unsigned long long)p->ptr.addr,
			    (unsigned long long)p->at.tree, why);
	return rc;
}

static int check_pointer(struct verify *v, const struct place *p)
{
	if (!blob_sane(v->s, &p->ptr, NODE_MAX))
		return fail(CSUM, "tree %llu has a pointer to an impossible address", (unsigned long long)p->at.tree);
	return 0;
}

int verify_read(struct verify *v, const struct place *p, uint8_t **page)
{
	int rc = check_pointer(v, p);

	*page = NULL;
	if (rc)
		return rc;
	*page = device_alloc(p->ptr.len);
	if (!*page)
		return fail(NOMEM, "no memory for a page of %u bytes", p->ptr.len);
	rc = blob_read(v->s, &p->ptr, *page, "a page of a tree");
	rc = rc ? rc : check_page(v, p, *page);
	return rc ? rc : verify_progress(v, p->ptr.len);
}

/* Keys of a page's children, which lack their beginnings there. */
struct bounds {
	uint8_t low[STORE_KEY_MAX], high[STORE_KEY_MAX];
};

static struct place child_of(const struct place *parent, const uint8_t *page, uint32_t slot, struct bounds *b)
{
	uint32_t	  cap = parent->ptr.len;
	struct node_child c   = node_child(page, cap, slot);
	struct place	  p   = { .at	 = parent->at,
				  .ptr	 = c.ptr,
				  .keys	 = c.keys,
				  .birth = parent->ptr.birth,
				  .level = (int)node_level(page) - 1,
				  .low	 = { b->low, node_key_copy(page, cap, slot, b->low, sizeof(b->low)) } };

	if (slot + 1 < node_count(page, cap))
		p.high = (tarn_buf){ b->high, node_key_copy(page, cap, slot + 1, b->high, sizeof(b->high)) };
	else
		p.high = parent->high;
	return p;
}

struct ahead {
	struct bounds bounds;
	uint32_t      slots[BATCH];
	uint8_t	     *pages[BATCH];
	tarn_dev_io   ios[BATCH], *started[BATCH];
	unsigned      n, n_started;
};

static void prepare(struct verify *v, struct ahead *a, const struct place *p, uint32_t slot)
{
	unsigned i = a->n++;

	a->slots[i] = slot;
	a->pages[i] = NULL;
	if (check_pointer(v, p) || p->ptr.flags & BPTR_GANG)
		return;
	a->pages[i] = device_alloc(p->ptr.len);
	if (!a->pages[i] || p->ptr.len > device_info(v->s->dev)->max_transfer) {
		device_free(a->pages[i]);
		a->pages[i] = NULL;
		return;
	}
	a->ios[i] =
		(tarn_dev_io){ .opcode = TARN_DEV_READ, .buf = a->pages[i], .offset = p->ptr.addr * BLOCK, .len = p->ptr.len };
	a->started[a->n_started++] = &a->ios[i];
}

static void read_ahead(struct verify *v, struct ahead *a)
{
	struct device_queue *q = queue_take(v->s);
	tarn_dev_io	    *done[BATCH];
	unsigned	     n = 0;

	device_submit_many(q, a->started, a->n_started);
	while (n < a->n_started)
		n += device_reap(q, a->n_started - n, BATCH, done);
	queue_give(v->s, q);
}

/* What could not be read with the others is read alone. */
static int finish(struct verify *v, struct ahead *a, unsigned i, const struct place *p)
{
	int rc;

	if (!a->pages[i])
		return verify_read(v, p, &a->pages[i]);
	if (a->ios[i].rc)
		return base_fail(-a->ios[i].rc, "the page at block %llu of tree %llu cannot be read: %s",
				 (unsigned long long)p->ptr.addr, (unsigned long long)p->at.tree, a->ios[i].message);
	rc = check_page(v, p, a->pages[i]);
	return rc ? rc : verify_progress(v, p->ptr.len);
}

static int visit_batch(struct verify *v, struct ahead *a, const struct place *parent, const uint8_t *page,
		       struct verify_visitor *visitor)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < a->n; i++) {
		struct place p	 = child_of(parent, page, a->slots[i], &a->bounds);
		int	     got = finish(v, a, i, &p);

		rc = visitor->visit(visitor, &p, a->pages[i], got);
	}
	for (unsigned i = 0; i < a->n; i++)
		device_free(a->pages[i]);
	return rc;
}

int verify_children(struct verify *v, const struct place *parent, const uint8_t *page, uint32_t slot,
		    struct verify_visitor *visitor)
{
	struct ahead *a	 = malloc(sizeof(*a));
	uint32_t      n	 = node_count(page, parent->ptr.len);
	int	      rc = a ? 0 : fail(NOMEM, "no memory to read %u pages at a time", BATCH);

	while (!rc && slot < n) {
		for (a->n = a->n_started = 0; slot < n && a->n < BATCH; slot++) {
			struct place p = child_of(parent, page, slot, &a->bounds);

			if (visitor->wanted(visitor, &p))
				prepare(v, a, &p, slot);
		}
		if (a->n_started)
			read_ahead(v, a);
		rc = visit_batch(v, a, parent, page, visitor);
	}
	free(a);
	return rc;
}

/* ---- entries ---- */

struct scan {
	struct verify  *v;
	verify_entry_fn fn;
	void	       *arg;
	uint8_t		key[STORE_KEY_MAX];
};

static int scan_below(struct scan *scan, const struct place *p, tarn_buf from, unsigned depth);

static int scan_leaf(struct scan *scan, const uint8_t *page, uint32_t cap, tarn_buf from)
{
	bool found;
	int  rc = 0;

	for (uint32_t i = node_lower(page, cap, from, &found); !rc && i < node_count(page, cap); i++) {
		struct leaf_value v = node_value(page, cap, i);

		rc = scan->fn(scan->arg, (tarn_buf){ scan->key, node_key_copy(page, cap, i, scan->key, sizeof(scan->key)) }, &v);
	}
	return rc;
}

static int scan_inner(struct scan *scan, const struct place *p, const uint8_t *page, tarn_buf from, unsigned depth)
{
	struct bounds *b  = malloc(sizeof(*b));
	int	       rc = b ? 0 : fail(NOMEM, "no memory for the bounds of a page");

	for (uint32_t i = node_route(page, p->ptr.len, from); !rc && i < node_count(page, p->ptr.len); i++) {
		struct place child = child_of(p, page, i, b);

		rc = scan_below(scan, &child, from, depth + 1);
	}
	free(b);
	return rc;
}

static int scan_below(struct scan *scan, const struct place *p, tarn_buf from, unsigned depth)
{
	uint8_t *page;
	int	 rc = verify_read(scan->v, p, &page);

	if (!rc && depth > DEPTH_MAX)
		rc = fail(CSUM, "tree %llu has more than %u levels", (unsigned long long)p->at.tree, DEPTH_MAX);
	if (rc)
		rc = verify_damage(scan->v, p, rc);
	else if (node_level(page))
		rc = scan_inner(scan, p, page, from, depth);
	else
		rc = scan_leaf(scan, page, p->ptr.len, from);
	device_free(page);
	return rc;
}

int verify_scan(struct verify *v, const struct place *root, tarn_buf from, verify_entry_fn fn, void *arg)
{
	struct scan *scan;
	int	     rc;

	if (!root->ptr.addr)
		return 0;
	scan = malloc(sizeof(*scan));
	if (!scan)
		return fail(NOMEM, "no memory to look through a tree");
	*scan = (struct scan){ .v = v, .fn = fn, .arg = arg };
	rc    = scan_below(scan, root, from, 0);
	free(scan);
	return rc;
}

/* ---- values in extents ---- */

struct extents {
	struct verify  *v;
	struct place	p; /* of the piece at hand */
	verify_piece_fn wanted;
	void	       *arg;
	uint64_t	bytes;
	uint64_t	birth; /* of the descriptor's pointer that leads to it */
	bool		whole; /* every piece was looked at */
};

static int walk_pointers(struct extents *x, const uint8_t *ptrs, size_t n, unsigned level, bool top);

static int note_piece(struct extents *x, int rc)
{
	x->whole = false;
	return verify_note(x->v, &x->p, rc);
}

static int read_piece(struct extents *x, unsigned level)
{
	uint8_t *buf = device_alloc(x->p.ptr.len);
	int	 rc  = buf ? 0 : fail(NOMEM, "no memory for a piece of a value");

	rc = rc ? rc : piece_read(x->v->s, &x->p.ptr, buf, level ? "an index of a value" : "a piece of a value");
	if (rc) {
		x->v->damaged |= level > 0;
		rc = note_piece(x, rc);
	} else {
		rc = verify_progress(x->v, x->p.ptr.len);
		if (!rc && level)
			rc = walk_pointers(x, buf, x->p.ptr.len / BPTR_BYTES, level - 1, false);
	}
	device_free(buf);
	return rc;
}

static int walk_pointer(struct extents *x, unsigned level)
{
	const struct bptr *ptr = &x->p.ptr;

	x->bytes += level ? 0 : ptr->len;
	if (ptr->flags || !blob_sane(x->v->s, ptr, level ? EXT_INDEX_MAX : EXT_PIECE_MAX))
		return note_piece(x, fail(CSUM, "a value of tree %llu has a piece at an impossible address",
					  (unsigned long long)x->p.at.tree));
	if (x->birth > x->p.birth)
		return note_piece(x, fail(CSUM, "block %llu, a piece of a value of tree %llu, is younger than its page",
					  (unsigned long long)ptr->addr, (unsigned long long)x->p.at.tree));
	if (x->wanted(x->arg, ptr, x->birth))
		return read_piece(x, level);
	x->whole = x->whole && !level;
	return 0;
}

/* An address of 0 ends an index block. */
static int walk_pointers(struct extents *x, const uint8_t *ptrs, size_t n, unsigned level, bool top)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		x->p.ptr = bptr_get(ptrs + i * BPTR_BYTES);
		if (!x->p.ptr.addr)
			break;
		if (top)
			x->birth = x->p.ptr.birth;
		rc = walk_pointer(x, level);
	}
	return rc;
}

/* The key alone: from it up to, but without, the next possible one. */
static uint8_t *bounds_of_key(tarn_buf key, tarn_buf *low, tarn_buf *high)
{
	uint8_t *both = malloc(2 * key.len + 1);

	if (!both)
		return NULL;
	memcpy(both, key.ptr, key.len);
	memcpy(both + key.len, key.ptr, key.len);
	both[2 * key.len] = 0;
	*low		  = (tarn_buf){ both, key.len };
	*high		  = (tarn_buf){ both + key.len, key.len + 1 };
	return both;
}

int verify_value(struct verify *v, const struct place *p, tarn_buf key, const struct leaf_value *value, verify_piece_fn wanted,
		 void *arg)
{
	struct extents x    = { .v = v, .p = *p, .wanted = wanted, .arg = arg, .whole = true };
	const uint8_t *desc = value->bytes;
	uint8_t	      *both = bounds_of_key(key, &x.p.low, &x.p.high);
	int	       rc;

	if (!both)
		return fail(NOMEM, "no memory for a key of %zu bytes", key.len);
	x.p.birth = p->ptr.birth;
	if (!value_sane(desc, value->len))
		rc = verify_note(
			v, &x.p,
			fail(CSUM, "the descriptor of a value of tree %llu is impossible", (unsigned long long)p->at.tree));
	else
		rc = walk_pointers(&x, desc + EXT_PTRS, get32(desc + EXT_COUNT), get32(desc + EXT_LEVEL), true);
	if (!rc && x.whole && value_sane(desc, value->len) && (x.bytes < value_size(desc) || x.bytes - value_size(desc) >= BLOCK))
		rc = verify_note(v, &x.p,
				 fail(CSUM, "the pieces of a value of tree %llu have %llu bytes, its size is %llu",
				      (unsigned long long)p->at.tree, (unsigned long long)x.bytes,
				      (unsigned long long)value_size(desc)));
	free(both);
	return rc;
}
