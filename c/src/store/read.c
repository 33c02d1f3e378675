/* SPDX-License-Identifier: Apache-2.0 */
/* store/read.c: one key's value, whole or in pieces.
 *
 * What stands in a leaf is copied under the lock. A value in extents is read without it: meanwhile it is pinned, so that its blocks
 * are not used again whatever happens to the key. */
#include "internal.h"

/* Finds the key. *v lives until path_release(). */
static int find(struct store *s, uint64_t tree, tarn_buf key, struct path *path, struct leaf_value *v)
{
	struct tree *t;
	int	     rc;

	path->depth = 0;
	rc	    = tree_open(s, tree, &t);
	rc	    = rc ? rc : tree_find(s, t, key, path);
	if (rc || !path->depth || !path->found)
		return rc ? rc : fail(NONEXIST, "there is no such key");
	*v = leaf_value(path->frames[path->depth - 1], path->slots[path->depth - 1]);
	return 0;
}

static uint64_t size_of(const struct leaf_value *v)
{
	return v->extents ? value_size(v->bytes) : v->len;
}

static void unpin(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->readers--;
	pthread_mutex_unlock(&s->lock);
}

static int read_pinned(struct store *s, const uint8_t *desc, void *buf)
{
	struct bptr *pieces;
	size_t	     n;
	int	     rc = value_pieces(s, desc, &pieces, &n);

	rc = rc ? rc : value_read_all(s, pieces, n, value_size(desc), buf);
	free(pieces);
	unpin(s);
	return rc;
}

struct get {
	uint64_t tree;
	tarn_buf key;
	void	*buf;
	size_t	 room, len; /* bytes of buf, of the value */
	uint64_t rev;
	uint8_t	 desc[EXT_BYTES_MAX];
};

/* Copies what is in the leaf; 1 when it is in extents, which are pinned then. */
static int copy_out(struct store *s, const struct leaf_value *v, struct get *g)
{
	g->len = size_of(v);
	if (!g->buf)
		return 0;
	if (g->len > g->room)
		return fail(REC2BIG, "the value has %zu bytes, the buffer %zu", g->len, g->room);
	if (!v->extents) {
		if (v->len)
			memcpy(g->buf, v->bytes, v->len);
		return 0;
	}
	memcpy(g->desc, v->bytes, v->len);
	s->readers++;
	return 1;
}

static int get(struct store *s, void *arg)
{
	struct get	 *g = arg;
	struct leaf_value v = { 0 };
	struct path	  path;
	int		  rc = find(s, g->tree, g->key, &path, &v);

	g->rev = v.revision;
	rc     = rc ? rc : copy_out(s, &v, g);
	path_release(&path);
	return rc;
}

int store_get(struct store *s, uint64_t tree, tarn_buf key, void *buf, size_t *len, uint64_t *rev, unsigned flags)
{
	struct get g  = { .tree = tree, .key = key, .buf = buf, .room = *len };
	int	   rc = store_run(s, flags, get, &g);

	if (rc == 1 && flags & STORE_NOWAIT) {
		unpin(s);
		rc = fail(AGAIN, "the value is not in memory");
	}
	if (rc >= 0 || rc == -TARN_E_NONEXIST || rc == -TARN_E_REC2BIG)
		*len = g.len;
	if (rev)
		*rev = g.rev;
	return rc == 1 ? read_pinned(s, g.desc, buf) : rc;
}

struct store_reader {
	struct store *s;
	uint64_t      size;
	uint8_t	     *bytes; /* of a value in its leaf; else the piece that was read last */
	struct bptr  *pieces;
	uint64_t     *starts; /* where each piece begins in the value */
	size_t	      n, at;  /* pieces; the one in bytes, n: none */
};

static int reader_extents(struct store_reader *r, const uint8_t *desc)
{
	uint64_t start = 0;
	int	 rc    = value_pieces(r->s, desc, &r->pieces, &r->n);

	if (rc)
		return rc;
	r->at	  = r->n;
	r->bytes  = device_alloc(value_piece_max(r->pieces, r->n));
	r->starts = calloc(r->n + 1, sizeof(*r->starts));
	if (!r->bytes || !r->starts)
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
	struct store_reader *r;
	uint64_t	     tree;
	tarn_buf	     key;
	tarn_kv_stat	    *stat;
	uint8_t		     desc[EXT_BYTES_MAX];
};

/* Pins the value. */
static int reader_find(struct store *s, void *arg)
{
	struct reader_find *a = arg;
	struct leaf_value   v;
	struct path	    path;
	int		    rc = find(s, a->tree, a->key, &path, &v);

	if (!rc) {
		a->r->size = size_of(&v);
		*a->stat   = (tarn_kv_stat){ a->r->size, v.revision };
		if (v.extents)
			memcpy(a->desc, v.bytes, v.len);
		else
			rc = reader_inline(a->r, &v);
	}
	s->readers += !rc;
	path_release(&path);
	return rc;
}

int store_reader_open(struct store *s, uint64_t tree, tarn_buf key, tarn_kv_stat *stat, struct store_reader **reader)
{
	struct store_reader *r = calloc(1, sizeof(*r));
	struct reader_find   a = { .r = r, .tree = tree, .key = key, .stat = stat };
	int		     rc;

	if (!r)
		return fail(NOMEM, "no memory for a reader");
	r->s = s;
	rc   = store_run(s, 0, reader_find, &a);
	if (rc) {
		free(r);
		return rc;
	}
	rc = r->bytes ? 0 : reader_extents(r, a.desc);
	if (rc)
		store_reader_close(r);
	else
		*reader = r;
	return rc;
}

/* The piece that holds offset, into r->bytes. */
static int reader_seek(struct store_reader *r, uint64_t offset)
{
	size_t lo = 0, hi = r->n;
	int    rc;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->starts[mid] <= offset)
			lo = mid;
		else
			hi = mid;
	}
	if (r->at == lo)
		return 0;
	rc    = piece_read(r->s, &r->pieces[lo], r->bytes, "a piece of a value");
	r->at = rc ? r->n : lo;
	return rc;
}

int store_reader_read(struct store_reader *r, uint64_t offset, void *buf, size_t *len)
{
	size_t want = (size_t)MIN(*len, offset < r->size ? r->size - offset : 0);

	*len = 0;
	while (*len < want) {
		uint64_t at = offset + *len, start = 0, end = r->size;
		int	 rc = r->pieces ? reader_seek(r, at) : 0;

		if (rc)
			return rc;
		if (r->pieces) {
			start = r->starts[r->at];
			end   = start + r->pieces[r->at].len;
		}
		size_t part = (size_t)MIN(want - *len, end - at);
		memcpy((uint8_t *)buf + *len, r->bytes + (at - start), part);
		*len += part;
	}
	return 0;
}

void store_reader_close(struct store_reader *r)
{
	if (!r)
		return;
	unpin(r->s);
	device_free(r->bytes);
	free(r->pieces);
	free(r->starts);
	free(r);
}
