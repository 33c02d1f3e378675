/* SPDX-License-Identifier: Apache-2.0 */
/* store/value.c: values in extents.
 *
 * A value is written in pieces to free blocks, without store->lock while the device works. Until a batch consumes it, its blocks are
 * hidden: used here, free on disk, so a crash gives them back. Each piece has a pointer with a checksum; many pointers go to index
 * blocks. A piece goes to the device straight from the caller's memory when that is aligned as the device wants, and is copied to a buffer
 * else. A few are on their way at a time; none is when a call returns, since the memory was lent for the call. The writes have completed
 * then, and are not durable: the flush of the log's group that names the value makes them so. */
#include "late.h"
#include <stdio.h>

#define IN_FLIGHT    4u		   /* pieces of a value on their way, each with a buffer of at most EXT_PIECE_MAX */
#define STRAIGHT_MIN (256u * 1024) /* bytes from where on a second I/O for what is left costs less than copying all of it */
#define TRIES	     8

/* Pieces on their way by one queue: all reads, or all writes. There are few queues, and who holds store->lock may want one: so no lock is
 * waited for while anything is on its way, nor a checkpoint. */
struct flight {
	struct store	    *s;
	struct device_queue *queue; /* NULL: nothing has been started */
	struct {
		tarn_dev_io io;
		uint8_t	   *buf; /* this slot's own; NULL: not needed so far */
		bool	    busy;
		struct bptr piece; /* of a read */
		uint8_t	   *to;	   /* of a read: where its first `len` bytes belong */
		uint64_t    len;
	} slots[IN_FLIGHT];
	size_t buf_bytes;
	int    rc; /* the first error */
	char   message[TARN_MESSAGE_MAX];
};

struct store_value {
	struct store   *s;
	uint8_t	       *buf, *other; /* the piece being filled; the one before, on its way. Both of `room` bytes */
	size_t		room, fill;
	uint64_t	size;
	struct bptr    *ptrs; /* of the level */
	size_t		n, cap;
	unsigned	level;
	bool		finished;
	bool		may_be_late, late; /* see late.h */
	int		rc;		   /* a part of it could not be written */
	struct flight	flight;
	struct run_list runs; /* all its blocks */
};

int runs_add(struct run_list *list, uint64_t block, uint64_t n, uint64_t birth)
{
	if (list->n == list->cap) {
		size_t	    cap	 = list->cap ? list->cap * 2 : 8;
		struct run *runs = realloc(list->runs, cap * sizeof(*runs));

		if (!runs)
			return fail(NOMEM, "no memory for a list of %zu runs", cap);
		list->runs = runs;
		list->cap  = cap;
	}
	list->runs[list->n++] = (struct run){ .block = block, .n = n, .birth = birth };
	return 0;
}

/* ---- Pieces on their way ---- */

static void flight_failed(struct flight *f, int rc, const char *why)
{
	if (f->rc)
		return;
	f->rc = rc;
	snprintf(f->message, sizeof(f->message), "%s", why);
}

/* One has landed. A read one is compared with its checksum, while others are on their way. */
static void land(struct flight *f, unsigned i)
{
	tarn_dev_io *io = &f->slots[i].io;

	f->slots[i].busy = false;
	if (io->rc)
		return flight_failed(f, io->rc, io->message);
	if (io->opcode == TARN_DEV_WRITE)
		return;
	if (piece_check(&f->slots[i].piece, io->buf, "a piece of a value"))
		return flight_failed(f, -TARN_E_CSUM, base_message());
	if (io->buf != f->slots[i].to)
		memcpy(f->slots[i].to, io->buf, f->slots[i].len);
}

/* false: nothing is on its way. */
static bool reap(struct flight *f)
{
	tarn_dev_io *io;

	if (!f->queue || !device_reap(f->queue, 1, 1, &io))
		return false;
	land(f, (unsigned)io->tag);
	return true;
}

/* A slot for the next piece. */
static unsigned slot(struct flight *f)
{
	if (!f->queue)
		f->queue = queue_take(f->s);
	for (;;) {
		for (unsigned i = 0; i < IN_FLIGHT; i++)
			if (!f->slots[i].busy)
				return i;
		reap(f);
	}
}

static int slot_buf(struct flight *f, unsigned i)
{
	if (!f->slots[i].buf)
		f->slots[i].buf = device_alloc(f->buf_bytes);
	return f->slots[i].buf ? 0 : fail(NOMEM, "no memory for a piece of a value");
}

static void launch(struct flight *f, unsigned i, tarn_dev_opcode opcode, const struct bptr *piece, void *buf)
{
	f->slots[i].busy = true;
	f->slots[i].io =
		(tarn_dev_io){ .opcode = opcode, .buf = buf, .offset = piece->addr * BLOCK, .len = piece->len, .tag = i };
	device_submit(f->queue, &f->slots[i].io);
}

/* Waits for all, and gives the queue back. The result is that of the first that failed, or rc. */
static int flight_end(struct flight *f, int rc)
{
	while (reap(f))
		;
	if (f->queue)
		queue_give(f->s, f->queue);
	f->queue = NULL;
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		device_free(f->slots[i].buf);
		f->slots[i].buf = NULL;
	}
	return f->rc ? base_fail(-f->rc, "%s", f->message) : rc;
}

static bool aligned(const struct store *s, const void *p)
{
	return (uintptr_t)p % device_info(s->dev)->memory_alignment == 0;
}

/* One I/O can take it. */
static bool fits_io(const struct store *s, uint64_t len)
{
	return len <= device_info(s->dev)->max_transfer;
}

/* ---- Writing ---- */

int store_value_new(struct store *s, struct store_value **value)
{
	struct store_value *v = calloc(1, sizeof(*v));

	if (!v)
		return fail(NOMEM, "no memory for a value");
	v->s	    = s;
	v->flight.s = s;
	*value	    = v;
	return 0;
}

/* A run of up to want blocks, hidden; with store->lock. NEEDS_CHECKPOINT */
static int place_once(struct store_value *v, uint64_t want, struct bptr *ptr)
{
	struct store *s = v->s;
	uint64_t      n, block;
	int	      rc = store_writable(s);

	rc = rc ? rc : space_make(s, want, true);
	if (rc)
		return rc > 0 ? NEEDS_CHECKPOINT : rc;
	n  = space_alloc(&s->space, want, &block);
	rc = n ? runs_add(&v->runs, block, n, s->gen) : no_blocks(s);
	if (rc && n)
		space_free_now(&s->space, block, n);
	if (rc)
		return rc;
	space_hide(&s->space, block, n);
	*ptr = (struct bptr){ .addr = block, .len = (uint32_t)(n * BLOCK), .birth = s->gen };
	return 0;
}

static int place(struct store_value *v, uint64_t want, struct bptr *ptr)
{
	struct store *s	 = v->s;
	int	      rc = NEEDS_CHECKPOINT;

	for (int tries = 0; tries < TRIES && rc == NEEDS_CHECKPOINT; tries++) {
		rc = tries ? checkpoint_relieve(s) : 0;
		if (rc)
			return rc;
		pthread_mutex_lock(&s->lock);
		rc = place_once(v, want, ptr);
		pthread_mutex_unlock(&s->lock);
	}
	return rc != NEEDS_CHECKPOINT ? rc
				      : fail(NOSPACE, "%d checkpoints did not make space for %llu KiB", TRIES - 1,
					     (unsigned long long)(want * BLOCK / 1024));
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

/* Space for so many bytes more, whole blocks: pointers from v->n on. */
static int place_all(struct store_value *v, size_t len)
{
	struct bptr ptr;
	int	    rc = 0;

	for (size_t at = 0; !rc && at < len; at += ptr.len) {
		rc = place(v, MIN(len - at, EXT_PIECE_MAX) / BLOCK, &ptr);
		rc = rc ? rc : add_ptr(&v->ptrs, &v->n, &v->cap, &ptr);
	}
	return rc;
}

static bool write_late(struct store_value *v, struct bptr *ptr, const uint8_t *from)
{
	if (!v->may_be_late || v->late || !late_take(v->s))
		return false;
	v->late = true;
	late_start(v->s, ptr, from);
	return true;
}

/* One run. What is alone is written by this thread, when it is not late. */
static int write_run(struct store_value *v, struct bptr *ptr, const uint8_t *from, bool alone)
{
	bool fits = fits_io(v->s, ptr->len);

	if (alone && fits && write_late(v, ptr, from))
		return 0;
	if (alone || !fits)
		return piece_write(v->s, ptr, from);
	ptr->sum = hash128(from, ptr->len);
	launch(&v->flight, slot(&v->flight), TARN_DEV_WRITE, ptr, (void *)(uintptr_t)from); /* a write only reads it */
	return v->flight.rc;
}

/* Starts to write len bytes, whole blocks, which do not change before flight_end(). */
static int write_blocks(struct store_value *v, const uint8_t *from, size_t len, bool wait)
{
	size_t first = v->n, at = 0;
	int    rc = place_all(v, len);

	for (size_t i = first; !rc && i < v->n; at += v->ptrs[i++].len)
		rc = write_run(v, &v->ptrs[i], from + at, wait && v->n == first + 1);
	return rc;
}

/* Starts to write what is in v->buf. The other buffer can be filled then. */
static int write_buf(struct store_value *v, bool wait)
{
	size_t	 len = ROUND_UP(v->fill, BLOCK);
	uint8_t *buf = v->buf;
	int	 rc  = flight_end(&v->flight, 0);

	memset(buf + v->fill, 0, len - v->fill);
	v->fill	 = 0;
	v->buf	 = v->other;
	v->other = buf;
	return rc ? rc : write_blocks(v, buf, len, wait);
}

static int grow_to(struct store_value *v, size_t room)
{
	uint8_t *buf = device_alloc(room);

	if (!buf)
		return fail(NOMEM, "no memory for a piece of a value");
	if (v->fill)
		memcpy(buf, v->buf, v->fill);
	device_free(v->buf);
	device_free(v->other); /* of a smaller piece, which has been written: a piece is begun when the one before is full */
	v->buf	 = buf;
	v->other = NULL;
	v->room	 = room;
	return 0;
}

/* Room for a piece of so many bytes. Nothing is on its way. */
static int grow(struct store_value *v, size_t len)
{
	size_t room = v->room ? v->room : BLOCK;

	while (room < len)
		room *= 2;
	return len > v->room ? grow_to(v, room) : 0;
}

/* How many of these bytes go to the device from where they lie. Whole pieces do. A value's first bytes may be all of it: then every whole
 * block does, unless what is left over would cost a second I/O, and copying all costs less. */
static size_t straight(const struct store_value *v, const uint8_t *from, size_t len)
{
	if (v->fill || !aligned(v->s, from))
		return 0;
	if (!v->size && (len % BLOCK == 0 || len >= STRAIGHT_MIN))
		return len - len % BLOCK;
	return len - len % EXT_PIECE_MAX;
}

static int append_straight(struct store_value *v, const uint8_t *from, size_t len)
{
	int rc = write_blocks(v, from, len, true);

	v->size += rc ? 0 : len;
	return flight_end(&v->flight, rc);
}

/* A buffer to fill, of v->room bytes. */
static int next_buf(struct store_value *v)
{
	if (!v->buf)
		v->buf = device_alloc(v->room);
	return v->buf ? 0 : fail(NOMEM, "no memory for a piece of a value");
}

static int append_copied(struct store_value *v, const uint8_t *from, size_t len)
{
	int rc = grow(v, MIN(v->fill + len, EXT_PIECE_MAX));

	while (!rc && len) {
		size_t part = MIN(len, EXT_PIECE_MAX - v->fill);

		rc = next_buf(v);
		if (rc)
			break;
		memcpy(v->buf + v->fill, from, part);
		from += part, len -= part;
		v->fill += part, v->size += part;
		if (v->fill == EXT_PIECE_MAX)
			rc = write_buf(v, !len);
	}
	return flight_end(&v->flight, rc);
}

static int not_whole(const struct store_value *v)
{
	return base_fail(-v->rc, "the value is not whole: a part of it could not be written before");
}

void value_may_be_late(struct store_value *v)
{
	v->may_be_late = true;
}

bool value_is_late(const struct store_value *v)
{
	return v->late;
}

int store_value_append(struct store_value *v, const void *data, size_t len)
{
	const uint8_t *from = data;
	size_t	       part;

	if (v->rc)
		return not_whole(v);
	if (len > TARN_VALUE_MAX - v->size)
		return fail(REC2BIG, "a value may have %llu bytes, this one has more", (unsigned long long)TARN_VALUE_MAX);
	part = straight(v, from, len);
	if (part)
		v->rc = append_straight(v, from, part);
	if (!v->rc)
		v->rc = append_copied(v, from + part, len - part);
	return v->rc;
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
	if (v->finished)
		return 0;
	if (v->rc)
		return not_whole(v);
	if (v->fill)
		v->rc = flight_end(&v->flight, write_buf(v, true));
	while (!v->rc && v->n > EXT_INLINE_PTRS)
		v->rc = add_level(v);
	if (v->late)
		late_own(v->s, v->other), v->other = NULL; /* it may lie there */
	device_free(v->buf);
	device_free(v->other);
	v->buf = v->other = NULL;
	v->room		  = 0;
	v->finished	  = !v->rc;
	return v->rc;
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
	device_free(v->other);
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

bool value_has_index(const uint8_t *desc)
{
	return get32(desc + EXT_LEVEL) != 0;
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

/* ---- What a value is made of ---- */

typedef int (*ptr_fn)(void *arg, const struct bptr *ptr, unsigned level);

struct each {
	struct store *s;
	ptr_fn	      fn;
	void	     *arg;
	uint64_t      left; /* pointers that a value of this size may have: an index may lead to one block again and again */
};

static int each_ptr(struct each *e, const uint8_t *ptrs, size_t n, unsigned level);

static int each_below(struct each *e, const struct bptr *ptr, unsigned level)
{
	uint8_t *buf = device_alloc(ptr->len);
	int	 rc;

	if (!buf)
		return fail(NOMEM, "no memory for an index block");
	rc = piece_read(e->s, ptr, buf, "an index of a value");
	rc = rc ? rc : each_ptr(e, buf, ptr->len / BPTR_BYTES, level - 1);
	device_free(buf);
	return rc;
}

/* Calls fn for each pointer of a value, index blocks first. An address of 0 ends an index block. */
static int each_ptr(struct each *e, const uint8_t *ptrs, size_t n, unsigned level)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		struct bptr ptr = bptr_get(ptrs + i * BPTR_BYTES);

		if (!ptr.addr)
			break;
		if (ptr.flags || ptr.birth >> 61 || !blob_sane(e->s, &ptr, level ? EXT_INDEX_MAX : EXT_PIECE_MAX))
			return fail(CSUM, "a value has a piece at an impossible address");
		if (!e->left--)
			return fail(CSUM, "a value has more pieces than its size allows");
		rc = e->fn(e->arg, &ptr, level);
		if (!rc && level)
			rc = each_below(e, &ptr, level);
	}
	return rc;
}

static int each_of(struct store *s, const uint8_t *desc, ptr_fn fn, void *arg)
{
	struct each e = { s, fn, arg, 2 * DIV_UP(value_size(desc), BLOCK) + EXT_INLINE_PTRS + EXT_LEVEL_MAX };

	return each_ptr(&e, desc + EXT_PTRS, get32(desc + EXT_COUNT), get32(desc + EXT_LEVEL));
}

/* The birth of a value is that of the generation in which its key was put: not when its pieces were written, which may be before a
 * snapshot that does not have it. It stands in the descriptor's own pointers. */
void value_set_birth(uint8_t *desc, uint64_t birth)
{
	for (uint32_t i = 0; i < get32(desc + EXT_COUNT); i++)
		put64(desc + EXT_PTRS + i * BPTR_BYTES + BPTR_BIRTH, birth);
}

struct add_runs {
	struct run_list *runs;
	uint64_t	 birth;
};

static int add_run(void *arg, const struct bptr *ptr, unsigned level)
{
	struct add_runs *a = arg;

	(void)level;
	return runs_add(a->runs, ptr->addr, ptr->len / BLOCK, a->birth);
}

int value_runs(struct store *s, const uint8_t *desc, uint32_t len, struct run_list *runs)
{
	struct add_runs a = { runs, 0 };

	if (!value_sane(desc, len))
		return fail(CSUM, "a value's descriptor is impossible");
	a.birth = get32(desc + EXT_COUNT) ? get64(desc + EXT_PTRS + BPTR_BIRTH) : 0;
	return each_of(s, desc, add_run, &a);
}

/* 1 when it is not whole. An index block is read here first, so that its damage is not an error below. */
static int verify_ptr(void *arg, const struct bptr *ptr, unsigned level)
{
	uint8_t *buf = device_alloc(ptr->len);
	int	 rc;

	(void)level;
	if (!buf)
		return fail(NOMEM, "no memory for a piece of a value");
	rc = piece_read(arg, ptr, buf, "a piece of a value");
	device_free(buf);
	return rc == -TARN_E_CSUM ? 1 : rc;
}

int value_verify(struct store *s, const uint8_t *desc, bool *whole)
{
	int rc = each_of(s, desc, verify_ptr, s);

	*whole = rc != 1;
	return MIN(rc, 0);
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
	int	      rc = each_of(s, desc, add_piece, &p);

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

/* ---- Reading ---- */

/* Bytes [at, at + piece) of the value, of which there are `size`, to `to`: straight when the device can, else by way of the slot's buffer. */
static int start_read(struct flight *f, const struct bptr *piece, uint8_t *to, uint64_t len)
{
	unsigned i	= slot(f);
	bool	 direct = len == piece->len && aligned(f->s, to);
	int	 rc	= direct ? 0 : slot_buf(f, i);

	rc = rc ? rc : late_await(f->s, piece);
	if (rc)
		return rc;
	f->slots[i].piece = *piece;
	f->slots[i].to	  = to;
	f->slots[i].len	  = len;
	launch(f, i, TARN_DEV_READ, piece, direct ? to : f->slots[i].buf);
	return f->rc;
}

int value_read_piece(struct store *s, const struct bptr *piece, uint8_t *to, uint64_t len)
{
	bool	 direct = len == piece->len && aligned(s, to);
	uint8_t *buf	= direct ? to : device_alloc(piece->len);
	int	 rc	= buf ? 0 : fail(NOMEM, "no memory for a piece of a value");

	rc = rc ? rc : piece_read(s, piece, buf, "a piece of a value");
	if (!rc && !direct)
		memcpy(to, buf, len);
	if (!direct)
		device_free(buf);
	return rc;
}

int value_read_all(struct store *s, const struct bptr *pieces, size_t n, uint64_t size, void *buf)
{
	struct flight f	 = { .s = s, .buf_bytes = value_piece_max(pieces, n) };
	uint64_t      at = 0;
	int	      rc = 0;

	for (size_t i = 0; !rc && i < n && at < size; at += pieces[i++].len) {
		uint8_t *to  = (uint8_t *)buf + at;
		uint64_t len = MIN(pieces[i].len, size - at);

		if (n == 1 || !fits_io(s, pieces[i].len))
			rc = value_read_piece(s, &pieces[i], to, len);
		else
			rc = start_read(&f, &pieces[i], to, len);
	}
	return flight_end(&f, rc);
}
