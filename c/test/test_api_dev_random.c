/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_dev_random.c: a random mix of commands, sizes, alignments, vectors, registered buffers, depths and cancellations on every target,
 * against a model in memory. SEED=n replays, STEPS=n makes it longer; timing decides what a cancel still reaches.
 *
 * I/O in flight at once has no order, so no two of the mix touch the same UNIT of the device at the same time. */
#include "dev_targets.h"

#define DEPTH_MAX 32u
#define LONG	  (128u * 1024) /* the longest command */
#define PIECES	  6u

struct slot {
	tarn_dev_io  io;
	tarn_dev_vec vec[PIECES];
	uint8_t	    *memory; /* LONG + 2 UNITs; registered with the slot's number */
	uint8_t	    *at;     /* in memory: where the command's bytes begin */
	uint8_t	     old[LONG];
	bool	     in_flight, cancelled, differs; /* differs: a compare that must say so */
	uint64_t     offset, len;
};

struct world {
	struct rig	rig;
	tarn_dev_queue *queue;
	uint32_t	depth;
	struct rng	rng;
	uint8_t	       *model;
	uint8_t	       *busy; /* for each UNIT: a command in flight touches it */
	bool		bounces, fixed;
	uint64_t	counts[TARN_DEV_NOP + 1], cancels;
	struct slot	slots[DEPTH_MAX];
};

static uint64_t below(struct world *w, uint64_t n)
{
	return rng_below(&w->rng, n);
}

static bool one_in(struct world *w, unsigned n)
{
	return below(w, n) == 0;
}

/* ---- what the device must hold ---- */

static void mark(struct world *w, const struct slot *s, uint8_t busy)
{
	uint64_t end = DIV_UP(s->offset + s->len, UNIT);

	memset(w->busy + s->offset / UNIT, busy, end - s->offset / UNIT);
}

static bool is_free(const struct world *w, uint64_t offset, uint64_t len)
{
	for (uint64_t i = offset / UNIT; i * UNIT < offset + len; i++)
		if (w->busy[i])
			return false;
	return true;
}

static void read_back(struct world *w, uint64_t offset, uint64_t len, uint8_t *to)
{
	uint64_t from = offset / UNIT * UNIT, end = DIV_UP(offset + len, UNIT) * UNIT;
	uint8_t *buf = new_buffer(end - from);

	assert_ok(tarn_dev_read(w->rig.dev, from, buf, end - from));
	memcpy(to, buf + (offset - from), len);
	tarn_dev_free(buf, end - from, 0);
}

/* A change that was not done, or not all of it: each block of its range is old or new, and the model learns which. */
static void learn(struct world *w, const struct slot *s, const uint8_t *new_bytes)
{
	uint32_t block = w->rig.info.logical_block;

	read_back(w, s->offset, s->len, w->model + s->offset);
	for (uint64_t at = s->offset, end = s->offset + s->len, next; at < end; at = next) {
		uint64_t i = at - s->offset;

		next = MIN((at / block + 1) * block, end);
		if (memcmp(w->model + at, s->old + i, next - at) != 0 && memcmp(w->model + at, new_bytes + i, next - at) != 0)
			fail_msg("the block at %" PRIu64 " is neither old nor new after %s", at, s->io.message);
	}
}

static const uint8_t zeros[LONG];

static const uint8_t *bytes_after(const struct world *w, const struct slot *s)
{
	switch (s->io.opcode) {
	case TARN_DEV_WRITE:
		return s->at;
	case TARN_DEV_WRITE_ZEROES:
		return zeros;
	case TARN_DEV_DISCARD:
		return strcmp(w->rig.info.kind, "block") && strncmp(w->rig.info.kind, "nvme", 4) ? zeros : NULL;
	}
	return s->old;
}

static void check_change(struct world *w, struct slot *s)
{
	const uint8_t *after = bytes_after(w, s);

	if (s->io.rc == -TARN_E_NOTSUPPORTED)
		return;
	if (!after) /* a discard, which reads as it likes */
		read_back(w, s->offset, s->len, w->model + s->offset);
	else if (s->io.rc)
		learn(w, s, after);
	else
		memcpy(w->model + s->offset, after, s->len);
}

static void check_result(const struct slot *s)
{
	int rc = s->io.rc;

	if (s->differs && rc != -TARN_E_CANCELED)
		assert_int_equal(rc, -TARN_E_MISMATCH);
	else if (rc && !(rc == -TARN_E_CANCELED && s->cancelled) &&
		 !(rc == -TARN_E_NOTSUPPORTED && (s->io.opcode == TARN_DEV_DISCARD || s->io.opcode == TARN_DEV_WRITE_ZEROES)))
		fail_msg("command %u of %" PRIu64 " bytes at %" PRIu64 ": %s: %s", s->io.opcode, s->len, s->offset,
			 tarn_errname(rc), s->io.message);
	assert_int_equal(s->io.message[0] != '\0', rc != 0);
}

static void reaped(struct world *w, tarn_dev_io *io)
{
	struct slot *s = container_of(io, struct slot, io);

	assert_true(s >= w->slots && s < w->slots + w->depth);
	assert_int_equal(io->tag, s - w->slots + 1000);
	assert_true(s->in_flight);
	s->in_flight = false;
	check_result(s);
	w->counts[io->opcode]++;
	w->cancels += io->rc == -TARN_E_CANCELED;
	if (io->opcode == TARN_DEV_READ && io->rc == 0)
		assert_memory_equal(s->at, w->model + s->offset, s->len);
	if (s->len) {
		check_change(w, s);
		mark(w, s, 0);
	}
}

/* ---- what is done to it ---- */

static void choose_range(struct world *w, struct slot *s)
{
	const tarn_dev_info *info = &w->rig.info;
	uint32_t	     step = w->bounces && one_in(w, 2) ? 1 : info->offset_alignment;
	uint32_t	     skew = w->bounces && one_in(w, 2) ? 1 : info->memory_alignment;
	uint64_t	     most = one_in(w, 8) ? LONG : 4 * UNIT;

	most	  = MIN(most, info->max_transfer);
	s->len	  = (1 + below(w, most / step)) * step;
	s->offset = below(w, (w->rig.span - s->len) / step + 1) * step;
	s->at	  = s->memory + below(w, UNIT / skew) * skew;
}

/* Cuts the memory into pieces, each where a piece may begin. */
static void make_vector(struct world *w, struct slot *s)
{
	const tarn_dev_info *info  = &w->rig.info;
	uint64_t	     align = MAX(info->memory_alignment, info->offset_alignment), left = s->len;
	uint8_t		    *at = s->at;
	uint32_t	     n	= 0;

	while (left && n + 1 < PIECES) {
		uint64_t part = (1 + below(w, DIV_UP(left, align))) * align;

		part	    = MIN(part, left);
		s->vec[n++] = (tarn_dev_vec){ at, part };
		at += part, left -= part;
	}
	if (left)
		s->vec[n++] = (tarn_dev_vec){ at, left };
	s->io.flags |= TARN_DEV_IO_VECTOR;
	s->io.vec_count = n;
	s->io.buf	= s->vec;
}

static void choose_memory(struct world *w, struct slot *s)
{
	s->io.buf = s->at;
	if (s->io.opcode == TARN_DEV_COMPARE)
		return;
	if (one_in(w, 4)) {
		make_vector(w, s);
	} else if (w->fixed && one_in(w, 2)) {
		s->io.flags |= TARN_DEV_IO_FIXED;
		s->io.fixed = (uint16_t)(s - w->slots);
	}
}

/* What the memory holds before. */
static void fill_memory(struct world *w, struct slot *s)
{
	memcpy(s->old, w->model + s->offset, s->len);
	if (s->io.opcode == TARN_DEV_WRITE)
		test_fill(s->at, s->len, rng_next(&w->rng));
	else if (s->io.opcode == TARN_DEV_READ)
		memset(s->at, 0xa5, s->len);
	else
		memcpy(s->at, s->old, s->len);
	s->differs = s->io.opcode == TARN_DEV_COMPARE && one_in(w, 2);
	if (s->differs)
		s->at[below(w, s->len)] ^= 0x10;
}

static tarn_dev_opcode choose_opcode(struct world *w)
{
	static const uint8_t mix[] = { TARN_DEV_READ,	 TARN_DEV_READ,		TARN_DEV_READ,	 TARN_DEV_READ,	 TARN_DEV_WRITE,
				       TARN_DEV_WRITE,	 TARN_DEV_WRITE,	TARN_DEV_WRITE,	 TARN_DEV_FLUSH, TARN_DEV_NOP,
				       TARN_DEV_COMPARE, TARN_DEV_WRITE_ZEROES, TARN_DEV_DISCARD };

	return mix[below(w, ARRAY_LEN(mix))];
}

/* false: its place is taken by another. */
static bool make_command(struct world *w, struct slot *s)
{
	s->io  = (tarn_dev_io){ .opcode = (uint8_t)choose_opcode(w), .tag = (uint64_t)(s - w->slots) + 1000 };
	s->len = s->offset = 0;
	s->cancelled = s->differs = false;
	if (s->io.opcode == TARN_DEV_FLUSH || s->io.opcode == TARN_DEV_NOP)
		return true;
	choose_range(w, s);
	if (s->io.opcode == TARN_DEV_DISCARD || s->io.opcode == TARN_DEV_WRITE_ZEROES) {
		s->offset = s->offset / UNIT * UNIT;
		s->len	  = UNIT * (1 + below(w, 4));
		s->offset = MIN(s->offset, w->rig.span - s->len);
	}
	if (!is_free(w, s->offset, s->len))
		return false;
	s->io.offset = s->offset;
	s->io.len    = s->len;
	if (s->io.opcode == TARN_DEV_WRITE && one_in(w, 8))
		s->io.flags |= TARN_DEV_IO_DURABLE;
	fill_memory(w, s);
	if (s->io.opcode == TARN_DEV_READ || s->io.opcode == TARN_DEV_WRITE || s->io.opcode == TARN_DEV_COMPARE)
		choose_memory(w, s);
	mark(w, s, 1);
	return true;
}

/* Some new ones at once. */
static void submit(struct world *w)
{
	tarn_dev_io *list[DEPTH_MAX];
	uint32_t     n = 0, most = 1 + (uint32_t)below(w, w->depth), done = 0;

	for (uint32_t i = 0; i < w->depth && n < most; i++) {
		struct slot *s = &w->slots[i];

		if (s->in_flight || !make_command(w, s))
			continue;
		s->in_flight = true;
		list[n++]    = &s->io;
	}
	while (done < n)
		done += tarn_dev_queue_submit(w->queue, list + done,
					      n - done); /* there is room: there are as many slots as depth */
}

static void reap(struct world *w, uint32_t min, int64_t timeout_us)
{
	tarn_dev_io *done[DEPTH_MAX];
	uint32_t     n = tarn_dev_queue_reap(w->queue, min, 1 + (uint32_t)below(w, w->depth), timeout_us, done);

	for (uint32_t i = 0; i < n; i++)
		reaped(w, done[i]);
}

static void cancel(struct world *w)
{
	struct slot *s	= &w->slots[below(w, w->depth)];
	int	     rc = tarn_dev_queue_cancel(w->queue, &s->io);

	if (!s->in_flight)
		assert_int_equal(rc, -TARN_E_NONEXIST);
	else
		assert_true(rc == 0 || rc == -TARN_E_NONEXIST);
	s->cancelled |= rc == 0;
}

/* Calls that wait go on beside the queue, where nothing is in flight. */
static void call_that_waits(struct world *w)
{
	uint64_t offset = below(w, w->rig.span / UNIT) * UNIT;
	uint8_t *buf	= new_buffer(UNIT);

	if (is_free(w, offset, UNIT)) {
		assert_ok(tarn_dev_read(w->rig.dev, offset, buf, UNIT));
		assert_memory_equal(buf, w->model + offset, UNIT);
		test_fill(buf, UNIT, rng_next(&w->rng));
		assert_ok(tarn_dev_write(w->rig.dev, offset, buf, UNIT, 0));
		memcpy(w->model + offset, buf, UNIT);
	}
	tarn_dev_free(buf, UNIT, 0);
}

static void step(struct world *w)
{
	switch (below(w, 8)) {
	case 0:
	case 1:
	case 2:
		return submit(w);
	case 3:
		return cancel(w);
	case 4:
		return call_that_waits(w);
	case 5:
		return reap(w, 0, 0);
	case 6:
		return reap(w, 2, 1000);
	}
	reap(w, 1, WAIT_US);
}

/* ---- the beginning and the end ---- */

static void verify_all(struct world *w)
{
	uint8_t *all = new_buffer(w->rig.span);

	assert_ok(tarn_dev_read(w->rig.dev, 0, all, w->rig.span));
	for (uint64_t at = 0; at < w->rig.span; at += UNIT)
		if (memcmp(all + at, w->model + at, UNIT) != 0)
			fail_msg("the %u bytes at %" PRIu64 " are not what was written", UNIT, at);
	tarn_dev_free(all, w->rig.span, 0);
}

static void register_memory(struct world *w)
{
	tarn_dev_vec vec[DEPTH_MAX];

	for (uint32_t i = 0; i < w->depth; i++)
		vec[i] = (tarn_dev_vec){ w->slots[i].memory, LONG + 2 * UNIT };
	w->fixed = one_in(w, 2) && tarn_dev_queue_register(w->queue, vec, w->depth) == 0;
}

static void begin(struct world *w, void **state, unsigned round)
{
	rng_seed(&w->rng, test_seed() * 16 + round);
	rig_open(&w->rig, state, TARN_DEV_RDWR);
	w->bounces = w->rig.target->flags & TARN_DEV_BOUNCE;
	w->depth   = 1 + (uint32_t)below(w, DEPTH_MAX);
	w->queue   = rig_queue(&w->rig, w->depth);
	w->model   = new_buffer(w->rig.span);
	w->busy	   = calloc(w->rig.span / UNIT + 1, 1);
	assert_non_null(w->busy);
	for (uint32_t i = 0; i < w->depth; i++)
		w->slots[i].memory = new_buffer(LONG + 2 * UNIT);
	register_memory(w);
	assert_ok(tarn_dev_read(w->rig.dev, 0, w->model, w->rig.span));
}

static void end(struct world *w)
{
	tarn_dev_queue_info info = { .struct_size = sizeof(info), .in_flight = 1 };

	for (unsigned i = 0; i < 10 * DEPTH_MAX && info.in_flight; i++) {
		reap(w, 1, WAIT_US);
		assert_ok(tarn_dev_queue_get_info(w->queue, &info));
	}
	for (uint32_t i = 0; i < w->depth; i++)
		assert_false(w->slots[i].in_flight);
	assert_ok(tarn_dev_queue_close(w->queue, WAIT_US));
	verify_all(w);
	rig_close(&w->rig);
	for (uint32_t i = 0; i < w->depth; i++)
		tarn_dev_free(w->slots[i].memory, LONG + 2 * UNIT, 0);
}

/* Another handle reads the same: what was written is in the device, not in the handle. */
static void verify_by_another(struct world *w, void **state)
{
	struct target other = *w->rig.target;
	void	     *again = &other;

	(void)state;
	if (other.place == BY_URI && (!strncmp(other.uri, "mem:", 4) || !strncmp(other.uri, "sim:", 4)))
		return;
	other.backend = NULL;
	rig_open(&w->rig, &again, 0);
	verify_all(w);
	rig_close(&w->rig);
}

static void test_random_mix(void **state)
{
	uint64_t      steps = test_number("STEPS", 700);
	unsigned      before;
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	before = count_descriptors();
	for (unsigned round = 0; round < 3; round++) {
		memset(w, 0, sizeof(*w));
		begin(w, state, round);
		for (uint64_t i = 0; i < steps; i++)
			step(w);
		end(w);
		verify_by_another(w, state);
		tarn_dev_free(w->model, w->rig.span, 0);
		free(w->busy);
	}
	print_message("# %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " cancelled, depth %u\n", w->counts[TARN_DEV_READ],
		      w->counts[TARN_DEV_WRITE], w->cancels, w->depth);
	assert_true(w->counts[TARN_DEV_READ] && w->counts[TARN_DEV_WRITE]);
	assert_int_equal(count_descriptors(), before);
	free(w);
}

int main(void)
{
	static const struct dev_case cases[] = { DEV_CASE_FOR(test_random_mix, NOT_ZONED) };

	return run_cases(cases, ARRAY_LEN(cases));
}
