/* SPDX-License-Identifier: Apache-2.0 */
/* store/record.c: records of the log, written and read. */
#include "record.h"

/* ---- numbers of seven bits a byte, the low ones first; the last byte has no high bit ---- */

static uint32_t number_bytes(uint64_t v)
{
	uint32_t n = 1;

	for (; v >= 128; v >>= 7)
		n++;
	return n;
}

static uint8_t *put_number(uint8_t *to, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		*to++ = (uint8_t)(v | 128);
	*to = (uint8_t)v;
	return to + 1;
}

/* There is one way to write a number: no zeros behind it. */
static bool get_number(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	const uint8_t *at    = *p;
	unsigned       shift = 0;

	for (*v = 0; at < end && shift < 64; shift += 7) {
		uint64_t bits = *at & 127u;

		if (bits << shift >> shift != bits)
			return false;
		*v |= bits << shift;
		if (*at++ & 128)
			continue;
		*p = at;
		return bits || !shift;
	}
	return false;
}

/* ---- writing ---- */

/* Bytes behind the key: of the value, or of what stands for it. */
static uint32_t value_len(const struct store_mutation *m)
{
	uint8_t	 desc[EXT_BYTES_MAX];
	uint32_t len = (uint32_t)m->val.len;

	switch (m->change) {
	case STORE_PUT:
		if (m->value)
			value_describe(m->value, desc, &len);
		return len;
	case STORE_UNSNAP:
		return 8; /* the epoch */
	default:
		return 0;
	}
}

static uint32_t key_len(const struct store_mutation *m)
{
	return changes_key(m) ? (uint32_t)m->key.len : 0;
}

uint64_t record_bytes(const struct store_mutation *muts, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t klen = key_len(&muts[i]), vlen = value_len(&muts[i]);

		bytes += 1 + number_bytes(muts[i].tree) + number_bytes(klen) + klen + number_bytes(vlen) + vlen;
	}
	return bytes;
}

/* What stands in the record for the value; desc lends room. */
static const uint8_t *value_bytes(const struct store_mutation *m, uint8_t desc[EXT_BYTES_MAX], uint32_t *len)
{
	*len = value_len(m);
	if (m->change == STORE_UNSNAP)
		return put64(desc, m->revision), desc;
	if (m->change == STORE_PUT && m->value)
		return value_describe(m->value, desc, len), desc;
	return m->val.ptr;
}

/* How many bytes both begin with. */
static uint32_t shared_bytes(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint32_t n = 0;

	while (n + 8 <= len && get64(a + n) == get64(b + n))
		n += 8;
	while (n < len && a[n] == b[n])
		n++;
	return n;
}

/* What the next mutation may leave out, when this one has that key. */
static void remember(struct record_context *c, uint64_t tree, const uint8_t *key, uint32_t len, uint32_t shared)
{
	c->tree = tree;
	if (!len)
		return;
	c->len = (uint8_t)MIN(len, RECORD_SHARED_MAX);
	if (c->len > shared)
		memcpy(c->key + shared, key + shared, c->len - shared);
}

static uint8_t *write_mutation(struct record_context *before, uint8_t *to, const struct store_mutation *m, bool more)
{
	uint8_t	       desc[EXT_BYTES_MAX];
	uint32_t       klen = key_len(m), vlen, shared = shared_bytes(before->key, m->key.ptr, MIN(klen, before->len));
	const uint8_t *val  = value_bytes(m, desc, &vlen);
	uint8_t	      *head = to++;

	shared = shared >= RECORD_SHARED_MIN ? shared : 0;
	*head  = (uint8_t)(m->change | (m->change == STORE_PUT && m->value ? RECORD_EXTENTS : 0) | (more ? RECORD_MORE : 0) |
			   (m->tree == before->tree ? RECORD_SAME_TREE : 0) | (shared ? RECORD_SHARED : 0));
	if (m->tree != before->tree)
		to = put_number(to, m->tree);
	if (shared)
		*to++ = (uint8_t)shared;
	to = put_number(to, klen - shared);
	to = put_number(to, vlen);
	if (klen > shared)
		memcpy(to, (const uint8_t *)m->key.ptr + shared, klen - shared);
	to += klen - shared;
	if (vlen)
		memcpy(to, val, vlen);
	remember(before, m->tree, m->key.ptr, klen, shared);
	return to + vlen;
}

uint8_t *record_write(struct record_context *before, uint8_t *to, const struct store_mutation *muts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to = write_mutation(before, to, &muts[i], i + 1 < n);
	return to;
}

/* ---- reading ---- */

void record_first(struct record_reader *r, const uint8_t *group)
{
	r->at	       = group + GROUP_BYTES;
	r->end	       = r->at + get32(group + GROUP_LEN);
	r->lsn	       = get64(group + GROUP_LSN);
	r->before.tree = 0;
	r->before.len  = 0;
}

/* Key, value and flag are such as this change has. */
static bool shape_ok(const struct store_mutation *m, bool extents)
{
	bool engines_own = m->tree == 0 || m->tree == TREE_SNAPS || m->tree == TREE_DEAD;

	if (engines_own || m->key.len > STORE_KEY_MAX || extents > (m->change == STORE_PUT))
		return false;
	switch (m->change) {
	case STORE_PUT:
		return m->key.len && (extents ? value_sane(m->val.ptr, (uint32_t)m->val.len) : m->val.len <= LEAF_VALUE_MAX);
	case STORE_DEL:
		return m->key.len && !m->val.len;
	case STORE_DROP:
	case STORE_SNAP:
		return !m->key.len && !m->val.len;
	case STORE_UNSNAP:
		return !m->key.len && m->val.len == 8;
	case STORE_CHECK: /* none is in a record */
		break;
	}
	return false;
}

struct part { /* of a record: a mutation as it is written */
	uint8_t	 head;
	uint32_t shared;
	uint64_t tree;
	tarn_buf rest, val; /* rest: of the key */
};

static bool read_head(struct record_reader *r, struct part *p)
{
	if (r->at == r->end)
		return false;
	p->head	  = *r->at++;
	p->tree	  = r->before.tree;
	p->shared = 0;
	if (!(p->head & RECORD_SAME_TREE) && !get_number(&r->at, r->end, &p->tree))
		return false;
	if (!(p->head & RECORD_SHARED))
		return true;
	if (r->at == r->end)
		return false;
	p->shared = *r->at++;
	return p->shared >= RECORD_SHARED_MIN && p->shared <= r->before.len;
}

/* Moves r behind it. */
static bool read_part(struct record_reader *r, struct part *p)
{
	uint64_t klen, vlen, left;

	if (!read_head(r, p) || !get_number(&r->at, r->end, &klen) || !get_number(&r->at, r->end, &vlen))
		return false;
	left = (uint64_t)(r->end - r->at);
	if (klen > left || vlen > left - klen)
		return false;
	p->rest = (tarn_buf){ r->at, klen };
	p->val	= (tarn_buf){ r->at + klen, vlen };
	r->at += klen + vlen;
	return true;
}

static void read_remember(struct record_context *before, const struct part *p)
{
	uint32_t rest = (uint32_t)MIN(p->rest.len, RECORD_SHARED_MAX - p->shared);

	before->tree = p->tree;
	if (!p->shared && !p->rest.len)
		return;
	before->len = (uint8_t)(p->shared + rest);
	memcpy(before->key + p->shared, p->rest.ptr, rest);
}

/* The key, put together at *room when it is in two pieces. Before read_remember(). */
static tarn_buf whole_key(const struct record_context *before, const struct part *p, uint8_t **room)
{
	tarn_buf key = { *room, p->shared + p->rest.len };

	if (!p->shared)
		return p->rest;
	memcpy(*room, before->key, p->shared);
	memcpy(*room + p->shared, p->rest.ptr, p->rest.len);
	*room += key.len;
	return key;
}

/* How many mutations the record at r has, and bytes of keys in two pieces. */
static bool measure(struct record_reader r, size_t *n, size_t *keys)
{
	struct part p;

	*n = *keys = 0;
	do {
		if (!read_part(&r, &p) || p.rest.len > STORE_KEY_MAX)
			return false;
		read_remember(&r.before, &p);
		*n += 1;
		*keys += p.shared ? p.shared + p.rest.len : 0;
	} while (p.head & RECORD_MORE);
	return true;
}

static int reserve(struct record *rec, size_t n, size_t keys)
{
	size_t room = MAX(n, 2 * rec->room), keys_room = MAX(keys, 2 * rec->keys_room);

	if (n > rec->room) {
		free(rec->muts);
		free(rec->extents);
		rec->muts    = calloc(room, sizeof(*rec->muts));
		rec->extents = calloc(room, sizeof(*rec->extents));
		rec->room    = rec->muts && rec->extents ? room : 0;
	}
	if (keys > rec->keys_room) {
		free(rec->keys);
		rec->keys      = malloc(keys_room);
		rec->keys_room = rec->keys ? keys_room : 0;
	}
	if (n <= rec->room && keys <= rec->keys_room)
		return 0;
	return fail(NOMEM, "no memory to read a batch of %zu changes from the log", n);
}

static bool read_mutation(struct record_reader *r, struct store_mutation *m, bool *extents, uint8_t **room)
{
	struct part p;

	if (!read_part(r, &p) || p.head & ~RECORD_HEAD)
		return false;
	*m = (struct store_mutation){
		.change = p.head & RECORD_CHANGE, .tree = p.tree, .key = whole_key(&r->before, &p, room), .val = p.val
	};
	*extents = p.head & RECORD_EXTENTS;
	if (!shape_ok(m, *extents))
		return false;
	if (m->change == STORE_UNSNAP) {
		m->revision = get64(m->val.ptr);
		m->val	    = (tarn_buf){ 0 };
	}
	read_remember(&r->before, &p);
	return true;
}

int record_read(struct record_reader *r, struct record *rec)
{
	struct record_reader next = *r;
	uint8_t		    *room;
	size_t		     keys;
	int		     rc;

	if (!r->lsn || !measure(*r, &rec->n, &keys))
		return RECORD_BAD;
	rc = reserve(rec, rec->n, keys);
	if (rc)
		return rc;
	room = rec->keys;
	for (size_t i = 0; i < rec->n; i++)
		if (!read_mutation(&next, &rec->muts[i], &rec->extents[i], &room))
			return RECORD_BAD;
	rec->lsn = next.lsn++;
	*r	 = next;
	return 0;
}

void record_free(struct record *rec)
{
	free(rec->muts);
	free(rec->extents);
	free(rec->keys);
	*rec = (struct record){ 0 };
}
