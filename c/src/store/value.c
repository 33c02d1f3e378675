/* SPDX-License-Identifier: Apache-2.0 */
/* store/value.c: values in extents.
 *
 * A value is written in pieces to free blocks, without store->lock while the device works. Until a batch consumes it, its blocks are
 * hidden: used here, free on disk, so a crash gives them back. Each piece has a pointer with a checksum; many pointers go to index
 * blocks. */
#include "internal.h"

struct store_value {
	struct store   *s;
	uint8_t	       *buf; /* the piece being filled */
	size_t		room, fill;
	uint64_t	size;
	struct bptr    *ptrs; /* of the level */
	size_t		n, cap;
	unsigned	level;
	bool		finished;
	struct run_list runs; /* all its blocks */
};

int runs_add(struct run_list *list, uint64_t block, uint64_t n)
{
	if (list->n == list->cap) {
		size_t	    cap	 = list->cap ? list->cap * 2 : 8;
		struct run *runs = realloc(list->runs, cap * sizeof(*runs));

		if (!runs)
			return fail(NOMEM, "no memory for a list of %zu runs", cap);
		list->runs = runs;
		list->cap  = cap;
	}
	list->runs[list->n++] = (struct run){ block, n };
	return 0;
}

int store_value_new(struct store *s, struct store_value **value)
{
	struct store_value *v = calloc(1, sizeof(*v));

	if (!v)
		return fail(NOMEM, "no memory for a value");
	v->s   = s;
	*value = v;
	return 0;
}

/* A run of up to want blocks, hidden. */
static int place(struct store_value *v, uint64_t want, struct bptr *ptr)
{
	struct store *s = v->s;
	uint64_t      n = 0, block;
	int	      rc;

	pthread_mutex_lock(&s->lock);
	rc = store_writable(s);
	rc = rc ? rc : space_make(s, want, true);
	if (!rc) {
		n  = space_alloc(&s->space, want, &block);
		rc = n ? runs_add(&v->runs, block, n) : fail(NOSPACE, "no block is free");
		if (rc && n)
			space_free_now(&s->space, block, n);
	}
	if (!rc) {
		space_hide(&s->space, block, n);
		*ptr = (struct bptr){ .addr = block, .len = (uint32_t)(n * BLOCK), .birth = s->gen };
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int add_ptr(struct bptr **ptrs, size_t *n, size_t *cap, const struct bptr *ptr)
{
	if (*n == *cap) {
		size_t	     grown = *cap ? *cap * 2 : 8;
		struct bptr *p	   = realloc(*ptrs, grown * sizeof(*p));

		if (!p)
			return fail(NOMEM, "no memory for %zu pointers of a value", grown);
		*ptrs = p;
		*cap  = grown;
	}
	(*ptrs)[(*n)++] = *ptr;
	return 0;
}

/* Writes the piece in v->buf, in as many runs as it takes. */
static int write_piece(struct store_value *v)
{
	size_t len = ROUND_UP(v->fill, BLOCK), at = 0;
	int    rc = 0;

	memset(v->buf + v->fill, 0, len - v->fill);
	while (!rc && at < len) {
		struct bptr ptr;

		rc = place(v, (len - at) / BLOCK, &ptr);
		rc = rc ? rc : piece_write(v->s, &ptr, v->buf + at);
		rc = rc ? rc : add_ptr(&v->ptrs, &v->n, &v->cap, &ptr);
		at += rc ? 0 : ptr.len;
	}
	v->fill = 0;
	return rc;
}

/* Room for a piece of so many bytes. */
static int grow(struct store_value *v, size_t len)
{
	size_t	 room = v->room ? v->room : BLOCK;
	uint8_t *buf;

	if (len <= v->room)
		return 0;
	while (room < len)
		room *= 2;
	buf = device_alloc(room);
	if (!buf)
		return fail(NOMEM, "no memory for a piece of a value");
	if (v->fill)
		memcpy(buf, v->buf, v->fill);
	device_free(v->buf);
	v->buf	= buf;
	v->room = room;
	return 0;
}

int store_value_append(struct store_value *v, const void *data, size_t len)
{
	const uint8_t *from = data;
	int	       rc;

	if (len > TARN_VALUE_MAX - v->size)
		return fail(REC2BIG, "a value may have %llu bytes, this one has more", (unsigned long long)TARN_VALUE_MAX);
	rc = grow(v, MIN(v->fill + len, EXT_PIECE_MAX));
	while (!rc && len) {
		size_t part = MIN(len, EXT_PIECE_MAX - v->fill);

		memcpy(v->buf + v->fill, from, part);
		from += part, len -= part;
		v->fill += part, v->size += part;
		if (v->fill == EXT_PIECE_MAX)
			rc = write_piece(v);
	}
	return rc;
}

/* One index block with as many of the pointers as the run takes; *done is their number. */
static int write_index(struct store_value *v, const struct bptr *ptrs, size_t n, struct bptr *ptr, size_t *done)
{
	uint64_t want = DIV_UP(MIN(n * BPTR_BYTES, EXT_INDEX_MAX), BLOCK);
	int	 rc   = place(v, want, ptr);
	uint8_t *buf;

	if (rc)
		return rc;
	buf = device_alloc(ptr->len);
	if (!buf)
		return fail(NOMEM, "no memory for an index block");
	*done = MIN(n, ptr->len / BPTR_BYTES);
	for (size_t i = 0; i < *done; i++)
		bptr_put(buf + i * BPTR_BYTES, &ptrs[i]);
	rc = piece_write(v->s, ptr, buf);
	device_free(buf);
	return rc;
}

static int add_level(struct store_value *v)
{
	struct bptr *up = NULL, ptr;
	size_t	     n = 0, cap = 0, done = 0;
	int rc = v->level == EXT_LEVEL_MAX ? fail(NOSPACE, "the value is in too many pieces: free space is too scattered") : 0;

	for (size_t at = 0; !rc && at < v->n; at += done) {
		rc = write_index(v, v->ptrs + at, v->n - at, &ptr, &done);
		rc = rc ? rc : add_ptr(&up, &n, &cap, &ptr);
	}
	free(v->ptrs);
	v->ptrs = up;
	v->n	= n;
	v->cap	= cap;
	v->level++;
	return rc;
}

int value_finish(struct store_value *v)
{
	int rc = 0;

	if (v->finished)
		return 0;
	if (v->fill)
		rc = write_piece(v);
	while (!rc && v->n > EXT_INLINE_PTRS)
		rc = add_level(v);
	device_free(v->buf);
	v->buf	    = NULL;
	v->room	    = 0;
	v->finished = !rc;
	return rc;
}

void value_describe(struct store_value *v, uint8_t desc[EXT_BYTES_MAX], uint32_t *len)
{
	put64(desc + EXT_SIZE, v->size);
	put32(desc + EXT_LEVEL, v->level);
	put32(desc + EXT_COUNT, (uint32_t)v->n);
	for (size_t i = 0; i < v->n; i++)
		bptr_put(desc + EXT_PTRS + i * BPTR_BYTES, &v->ptrs[i]);
	*len = (uint32_t)(EXT_PTRS + v->n * BPTR_BYTES);
}

static void value_end(struct store_value *v)
{
	device_free(v->buf);
	free(v->ptrs);
	free(v->runs.runs);
	free(v);
}

void value_consume(struct store_value *v)
{
	for (size_t i = 0; i < v->runs.n; i++)
		space_show(&v->s->space, v->runs.runs[i].block, v->runs.runs[i].n);
	value_end(v);
}

void store_value_free(struct store_value *v)
{
	if (!v)
		return;
	pthread_mutex_lock(&v->s->lock);
	for (size_t i = 0; i < v->runs.n; i++)
		space_free_now(&v->s->space, v->runs.runs[i].block, v->runs.runs[i].n);
	pthread_mutex_unlock(&v->s->lock);
	value_end(v);
}

uint64_t value_size(const uint8_t *desc)
{
	return get64(desc + EXT_SIZE);
}

bool value_sane(const uint8_t *desc, uint32_t len)
{
	return len >= EXT_PTRS && get32(desc + EXT_COUNT) <= EXT_INLINE_PTRS && get32(desc + EXT_LEVEL) <= EXT_LEVEL_MAX &&
	       len == EXT_PTRS + get32(desc + EXT_COUNT) * BPTR_BYTES && get64(desc + EXT_SIZE) <= TARN_VALUE_MAX;
}

typedef int (*ptr_fn)(void *arg, const struct bptr *ptr, unsigned level);

static int each_ptr(struct store *s, const uint8_t *ptrs, size_t n, unsigned level, ptr_fn fn, void *arg);

static int each_below(struct store *s, const struct bptr *ptr, unsigned level, ptr_fn fn, void *arg)
{
	uint8_t *buf = device_alloc(ptr->len);
	int	 rc;

	if (!buf)
		return fail(NOMEM, "no memory for an index block");
	rc = piece_read(s, ptr, buf, "an index of a value");
	rc = rc ? rc : each_ptr(s, buf, ptr->len / BPTR_BYTES, level - 1, fn, arg);
	device_free(buf);
	return rc;
}

/* Calls fn for each pointer of a value, index blocks first. An address of 0 ends an index block. */
static int each_ptr(struct store *s, const uint8_t *ptrs, size_t n, unsigned level, ptr_fn fn, void *arg)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		struct bptr ptr = bptr_get(ptrs + i * BPTR_BYTES);

		if (!ptr.addr)
			break;
		if (ptr.flags || !blob_sane(s, &ptr, level ? EXT_INDEX_MAX : EXT_PIECE_MAX))
			return fail(CSUM, "a value has a piece at an impossible address");
		rc = fn(arg, &ptr, level);
		if (!rc && level)
			rc = each_below(s, &ptr, level, fn, arg);
	}
	return rc;
}

static int add_run(void *arg, const struct bptr *ptr, unsigned level)
{
	(void)level;
	return runs_add(arg, ptr->addr, ptr->len / BLOCK);
}

int value_runs(struct store *s, const uint8_t *desc, uint32_t len, struct run_list *runs)
{
	if (!value_sane(desc, len))
		return fail(CSUM, "a value's descriptor is impossible");
	if (s->nowait && get32(desc + EXT_LEVEL))
		return fail(AGAIN, "the value's index must be read");
	return each_ptr(s, desc + EXT_PTRS, get32(desc + EXT_COUNT), get32(desc + EXT_LEVEL), add_run, runs);
}

struct pieces {
	struct bptr *ptrs;
	size_t	     n, cap;
	uint64_t     bytes;
};

static int add_piece(void *arg, const struct bptr *ptr, unsigned level)
{
	struct pieces *p = arg;

	if (level)
		return 0;
	p->bytes += ptr->len;
	return add_ptr(&p->ptrs, &p->n, &p->cap, ptr);
}

int value_pieces(struct store *s, const uint8_t *desc, struct bptr **pieces, size_t *n)
{
	struct pieces p	 = { 0 };
	int	      rc = each_ptr(s, desc + EXT_PTRS, get32(desc + EXT_COUNT), get32(desc + EXT_LEVEL), add_piece, &p);

	if (!rc && (p.bytes < value_size(desc) || p.bytes - value_size(desc) >= BLOCK))
		rc = fail(CSUM, "a value's pieces have %llu bytes, its size is %llu", (unsigned long long)p.bytes,
			  (unsigned long long)value_size(desc));
	*pieces = p.ptrs;
	*n	= p.n;
	return rc;
}

size_t value_piece_max(const struct bptr *pieces, size_t n)
{
	size_t max = BLOCK;

	for (size_t i = 0; i < n; i++)
		max = MAX(max, pieces[i].len);
	return max;
}

int value_read_all(struct store *s, const struct bptr *pieces, size_t n, uint64_t size, void *buf)
{
	uint8_t *piece = device_alloc(value_piece_max(pieces, n));
	uint64_t at    = 0;
	int	 rc    = piece ? 0 : fail(NOMEM, "no memory for a piece of a value");

	for (size_t i = 0; !rc && i < n; i++) {
		rc = piece_read(s, &pieces[i], piece, "a piece of a value");
		if (!rc)
			memcpy((uint8_t *)buf + at, piece, MIN(pieces[i].len, size - at));
		at += pieces[i].len;
	}
	device_free(piece);
	return rc;
}
