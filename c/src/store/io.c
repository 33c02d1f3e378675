/* SPDX-License-Identifier: Apache-2.0 */
/* store/io.c: blocks and blobs.
 *
 * Writes are started and overlap; io_drain() waits for all of them and gives the first error, io_wait_lane() for some. A blob is a whole
 * number of blocks with one pointer: in one run, or, when no run is long enough, as a gang of runs. */
#include "internal.h"

int io_open(struct store *s)
{
	s->io = (struct io){ 0 };
	return device_queue_open(s->dev, IO_DEPTH, &s->io.queue);
}

void io_close(struct store *s)
{
	if (!s->io.queue)
		return;
	io_drain(s);
	device_queue_close(s->io.queue);
	s->io.queue = NULL;
}

static void io_finish(struct io *io, tarn_dev_io *dio)
{
	struct io_slot *slot = container_of(dio, struct io_slot, io);

	if (dio->rc && !io->rc) {
		io->rc = dio->rc;
		memcpy(io->message, dio->message, sizeof(io->message));
	}
	device_free(slot->owned);
	slot->owned = NULL;
	slot->busy  = false;
	io->lanes[slot->lane]--;
	io->inflight--;
}

static void io_reap(struct io *io, unsigned min)
{
	tarn_dev_io *done[IO_DEPTH];
	unsigned     n = device_reap(io->queue, min, IO_DEPTH, done);

	for (unsigned i = 0; i < n; i++)
		io_finish(io, done[i]);
}

static struct io_slot *io_slot(struct io *io)
{
	if (io->inflight == IO_DEPTH)
		io_reap(io, 1);
	for (unsigned i = 0;; i = (i + 1) % IO_DEPTH)
		if (!io->slots[i].busy)
			return &io->slots[i];
}

static void write_in(struct store *s, unsigned lane, uint64_t block, void *buf, uint64_t len, void *owned)
{
	uint64_t max = device_info(s->dev)->max_transfer / BLOCK * BLOCK;

	for (uint64_t at = 0; at < len; at += max) {
		struct io_slot *slot = io_slot(&s->io);
		uint64_t	part = MIN(max, len - at);

		slot->io = (tarn_dev_io){
			.opcode = TARN_DEV_WRITE, .buf = (uint8_t *)buf + at, .offset = block * BLOCK + at, .len = part
		};
		slot->owned = at + part == len ? owned : NULL;
		slot->lane  = lane;
		slot->busy  = true;
		s->io.lanes[lane]++;
		s->io.inflight++;
		device_submit(s->io.queue, &slot->io);
	}
}

void io_write(struct store *s, uint64_t block, void *buf, uint64_t len, void *owned)
{
	write_in(s, 0, block, buf, len, owned);
}

void io_write_lane(struct store *s, unsigned lane, uint64_t block, void *buf, uint64_t len)
{
	write_in(s, lane, block, buf, len, NULL);
}

int io_wait_lane(struct store *s, unsigned lane)
{
	while (s->io.lanes[lane] || s->io.lanes[0])
		io_reap(&s->io, 1);
	return s->io.rc ? io_drain(s) : 0;
}

int io_drain(struct store *s)
{
	int rc;

	while (s->io.inflight)
		io_reap(&s->io, 1);
	rc	 = s->io.rc;
	s->io.rc = 0;
	return rc ? base_fail(-rc, "%s", s->io.message) : 0;
}

int io_flush(struct store *s)
{
	int rc = io_drain(s);

	return rc ? rc : device_flush(s->io.queue);
}

uint64_t store_birth(const struct store *s)
{
	return s->checkpoint.gen;
}

uint64_t blob_blocks(uint64_t len)
{
	return DIV_UP(len, BLOCK) + (len > BLOCK); /* and the gang block */
}

static struct hash128 blob_sum(const void *buf, uint32_t len, const uint8_t *gang)
{
	return gang ? hash128_seeded(buf, len, hash64(gang, BLOCK)) : hash128(buf, len);
}

/* Blocks had been set aside; but a part of the space map may have proved unreadable since. */
int no_blocks(struct store *s)
{
	if (s->space.lost_rc)
		return base_fail(-s->space.lost_rc, "no free block is known: a part of the space map could not be read");
	return fail(NOSPACE, "no block is free, although they had been set aside");
}

/* Takes runs for the pieces of a gang. The caller has seen to it that so many blocks are free. */
static int gang_place(struct store *s, uint32_t len, struct bptr *ptr, uint8_t **gang)
{
	uint64_t left = len / BLOCK, n = 0, run;
	uint8_t *g = device_alloc(BLOCK);

	if (!g)
		return fail(NOMEM, "no memory for a gang block of %u bytes", BLOCK);
	if (!space_alloc(&s->space, 1, &ptr->addr))
		goto full;
	put32(g + GANG_MAGIC, GANG_MAGIC_NUMBER);
	for (; left && n < GANG_PIECES_MAX; left -= run, n++) {
		uint8_t *piece = g + GANG_PIECES + n * GANG_PIECE_BYTES;
		uint64_t block;

		run = space_alloc(&s->space, left, &block);
		if (!run)
			goto full;
		put64(piece, block);
		put32(piece + 8, (uint32_t)run);
	}
	if (left)
		goto full;
	put32(g + GANG_COUNT, (uint32_t)n);
	ptr->flags = BPTR_GANG;
	*gang	   = g;
	return 0;
full:
	device_free(g);
	return no_blocks(s);
}

int blob_place(struct store *s, uint32_t len, struct bptr *ptr, uint8_t **gang)
{
	*ptr  = (struct bptr){ .len = len, .birth = store_birth(s) };
	*gang = NULL;
	if (space_alloc_run(&s->space, len / BLOCK, &ptr->addr))
		return 0;
	return gang_place(s, len, ptr, gang);
}

/* The other way round: nothing of it has been written. */
static int unplace_run(void *arg, uint64_t block, uint64_t n)
{
	space_free_now(arg, block, n);
	return 0;
}

static int each_piece(const uint8_t *gang, int (*fn)(void *arg, uint64_t block, uint64_t n), void *arg);

void blob_unplace(struct store *s, const struct bptr *ptr, const uint8_t *gang)
{
	space_free_now(&s->space, ptr->addr, gang ? 1 : ptr->len / BLOCK);
	if (gang)
		each_piece(gang, unplace_run, &s->space);
}

int blob_write_at(struct store *s, void *buf, void *owned, struct bptr *ptr, uint8_t *gang)
{
	uint64_t at = 0;

	ptr->sum = blob_sum(buf, ptr->len, gang);
	if (!gang) {
		io_write(s, ptr->addr, buf, ptr->len, owned);
		return 0;
	}
	for (uint32_t i = 0; i < get32(gang + GANG_COUNT); i++) {
		const uint8_t *piece = gang + GANG_PIECES + i * GANG_PIECE_BYTES;
		uint64_t       bytes = (uint64_t)get32(piece + 8) * BLOCK;

		io_write(s, get64(piece), (uint8_t *)buf + at, bytes, NULL);
		at += bytes;
	}
	io_write(s, ptr->addr, gang, BLOCK, gang);
	if (!owned)
		return 0;
	while (s->io.inflight) /* owned is in several writes; its free must wait for all of them */
		io_reap(&s->io, 1);
	device_free(owned);
	return 0;
}

/* A pointer that was read from disk: may it be followed? */
bool blob_sane(const struct store *s, const struct bptr *ptr, uint32_t len_max)
{
	uint64_t n = ptr->len / BLOCK;

	return ptr->len && ptr->len % BLOCK == 0 && ptr->len <= len_max && !(ptr->flags & ~BPTR_FLAGS) && ptr->addr >= 2 &&
	       ptr->addr < s->space.blocks && (ptr->flags & BPTR_GANG || n <= s->space.blocks - ptr->addr);
}

static int read_blocks(struct store *s, uint64_t block, void *buf, uint64_t len)
{
	return device_read(s->queues.first, block * BLOCK, buf, len);
}

static int gang_read(struct store *s, const struct bptr *ptr, uint8_t **gang)
{
	uint64_t total = 0;
	uint8_t *g     = device_alloc(BLOCK);
	int	 rc;

	if (!g)
		return fail(NOMEM, "no memory for a gang block of %u bytes", BLOCK);
	rc = read_blocks(s, ptr->addr, g, BLOCK);
	if (rc)
		goto out;
	rc = fail(CSUM, "the gang block at block %llu is damaged", (unsigned long long)ptr->addr);
	if (get32(g + GANG_MAGIC) != GANG_MAGIC_NUMBER || get32(g + GANG_COUNT) > GANG_PIECES_MAX)
		goto out;
	for (uint32_t i = 0; i < get32(g + GANG_COUNT); i++) {
		const uint8_t *piece = g + GANG_PIECES + i * GANG_PIECE_BYTES;
		uint64_t       block = get64(piece), n = get32(piece + 8);

		if (!n || block >= s->space.blocks || n > s->space.blocks - block)
			goto out;
		total += n;
	}
	if (total != ptr->len / BLOCK)
		goto out;
	*gang = g;
	return 0;
out:
	device_free(g);
	return rc;
}

struct read_run {
	struct store *s;
	uint8_t	     *at;
};

static int read_run(void *arg, uint64_t block, uint64_t n)
{
	struct read_run *r  = arg;
	int		 rc = read_blocks(r->s, block, r->at, n * BLOCK);

	r->at += n * BLOCK;
	return rc;
}

static int each_piece(const uint8_t *gang, int (*fn)(void *arg, uint64_t block, uint64_t n), void *arg)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < get32(gang + GANG_COUNT); i++) {
		const uint8_t *piece = gang + GANG_PIECES + i * GANG_PIECE_BYTES;

		rc = fn(arg, get64(piece), get32(piece + 8));
	}
	return rc;
}

int blob_read(struct store *s, const struct bptr *ptr, void *buf, const char *what)
{
	struct read_run r    = { s, buf };
	uint8_t	       *gang = NULL;
	int		rc;

	if (ptr->flags & BPTR_GANG) {
		rc = gang_read(s, ptr, &gang);
		rc = rc ? rc : each_piece(gang, read_run, &r);
	} else {
		rc = read_blocks(s, ptr->addr, buf, ptr->len);
	}
	if (!rc && !hash128_equal(blob_sum(buf, ptr->len, gang), ptr->sum))
		rc = fail(CSUM, "%s at block %llu (%u bytes, generation %llu) does not match the checksum that its parent holds",
			  what, (unsigned long long)ptr->addr, ptr->len, (unsigned long long)ptr->birth);
	device_free(gang);
	return rc;
}

/* Calls fn for each run of blocks of a blob, the gang block's too. */
int blob_each_run(struct store *s, const struct bptr *ptr, int (*fn)(void *arg, uint64_t block, uint64_t n), void *arg)
{
	uint8_t *gang;
	int	 rc;

	if (!(ptr->flags & BPTR_GANG))
		return fn(arg, ptr->addr, ptr->len / BLOCK);
	rc = gang_read(s, ptr, &gang);
	if (rc)
		return rc;
	rc = fn(arg, ptr->addr, 1);
	rc = rc ? rc : each_piece(gang, fn, arg);
	device_free(gang);
	return rc;
}

static int free_leaving(void *arg, uint64_t block, uint64_t n)
{
	space_free_leaving(arg, block, n);
	return 0;
}

static int free_later(void *arg, uint64_t block, uint64_t n)
{
	space_free_later(arg, block, n);
	return 0;
}

/* A gang whose list is damaged stays in use, and a check reports that; one whose list cannot be read fails the store. */
void blob_free(struct store *s, const struct bptr *ptr, bool leaving)
{
	int rc = blob_each_run(s, ptr, leaving ? free_leaving : free_later, &s->space);

	if (rc)
		base_log(TARN_LOG_ERROR, "blocks of a page are lost: %s", base_message());
	if (rc && rc != -TARN_E_CSUM)
		store_poison(s, rc);
}
