/* SPDX-License-Identifier: Apache-2.0 */
/* engine_floor.c: no store at all: a record's place is computed from its key. What memory, the device and a flush allow.
 *
 * Records lie in a file in the order of their keys, none across a block. Where memory is ample the file is read into huge
 * pages, and a get is a copy; else each get reads its block with O_DIRECT, several at once with io_uring. A put changes the
 * copy and goes to a log (floor_log.h). What a real engine would do about puts beyond memory has no floor: it is not
 * supported, unless it is durable, where the log is the floor. Nor is there room for keys that were not loaded. */
#include "floor_log.h"
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK 4096u
#define HUGE  (2 * MIB)

struct floor {
	struct setup	  setup;
	int		  fd;
	uint8_t		 *image; /* the whole file; NULL: read from the device */
	size_t		  image_len;
	uint64_t	  per_block, span; /* records in a block; bytes read for one of them */
	struct floor_log *log;
};

struct floor_session {
	struct floor   *floor;
	struct io_uring ring;
	uint8_t	       *blocks;		 /* DEPTH_MAX spans */
	struct call    *puts[DEPTH_MAX]; /* in flight: their records are in the log */
	unsigned	put_count, unsubmitted;
	uint64_t	last_put;
};

static enum answer floor_failed(const char *what, int error)
{
	return answer_with(ANSWER_FAILED, "floor: %s: %s", what, strerror(error));
}

static const char *floor_version(void)
{
	return "no index: places are computed";
}

static uint64_t block_of(const struct floor *f, const uint8_t *key)
{
	return keys_place(key, f->setup.records) / f->per_block * f->span;
}

static size_t offset_in_block(const struct floor *f, const uint8_t *key)
{
	return keys_place(key, f->setup.records) % f->per_block * f->setup.value_len;
}

static uint8_t *in_image(const struct floor *f, const uint8_t *key)
{
	return f->image + block_of(f, key) + offset_in_block(f, key);
}

/* ---- open and close ---- */

static enum answer image_read(struct floor *f)
{
	size_t at = 0;

	f->image_len = (f->image_len + HUGE - 1) / HUGE * HUGE;
	f->image     = aligned_alloc(HUGE, f->image_len);
	if (!f->image)
		return floor_failed("memory", ENOMEM);
	madvise(f->image, f->image_len, MADV_HUGEPAGE);
	while (at < f->image_len) {
		ssize_t n = pread(f->fd, f->image + at, f->image_len - at, (off_t)at);

		if (n < 0)
			return floor_failed("read", errno);
		if (n == 0)
			break;
		at += (size_t)n;
	}
	return ANSWER_OK;
}

static enum answer file_open(struct floor *f)
{
	bool direct = f->setup.bounded && !f->setup.loading;
	char path[512];

	snprintf(path, sizeof(path), "%s/floor.data", f->setup.dir);
	f->fd = open(path, O_RDWR | O_CREAT | (direct ? O_DIRECT : 0), 0600);
	if (f->fd < 0 || ftruncate(f->fd, (off_t)f->image_len))
		return floor_failed(path, errno);
	if (f->setup.loading)
		return floor_log_make(f->setup.dir);
	return f->setup.bounded ? ANSWER_OK : image_read(f);
}

static enum answer floor_close(void *arg)
{
	struct floor *f = arg;

	if (f->log)
		floor_log_close(f->log);
	if (f->fd >= 0)
		close(f->fd);
	free(f->image);
	free(f);
	return ANSWER_OK;
}

static enum answer floor_open(const struct setup *setup, void **out)
{
	struct floor *f = calloc(1, sizeof(*f));
	enum answer   answer;

	if (!f)
		return floor_failed("memory", ENOMEM);
	f->setup     = *setup;
	f->per_block = setup->value_len < BLOCK ? BLOCK / setup->value_len : 1;
	f->span	     = (setup->value_len + BLOCK - 1) / BLOCK * BLOCK;
	f->image_len = (setup->records + f->per_block - 1) / f->per_block * f->span;
	answer	     = file_open(f);
	if (answer == ANSWER_OK)
		answer = floor_log_open(setup->dir, setup->relaxed, &f->log);
	if (answer == ANSWER_OK)
		*out = f;
	else
		floor_close(f);
	return answer;
}

static enum answer floor_load(void *arg, const struct record *recs, size_t n, bool ascending)
{
	struct floor *f = arg;

	(void)ascending;
	for (size_t i = 0; i < n; i++) {
		off_t at = (off_t)(block_of(f, recs[i].key) + offset_in_block(f, recs[i].key));

		if (pwrite(f->fd, recs[i].val, f->setup.value_len, at) < 0)
			return floor_failed("write", errno);
	}
	return ANSWER_OK;
}

static enum answer floor_settle(void *arg)
{
	struct floor *f = arg;

	return fsync(f->fd) ? floor_failed("fsync", errno) : ANSWER_OK;
}

static enum answer floor_sync(void *arg)
{
	struct floor *f = arg;

	return f->setup.loading ? floor_settle(f) : floor_log_sync(f->log);
}

static enum answer floor_disk_bytes(void *arg, uint64_t *bytes)
{
	struct floor *f = arg;

	return directory_bytes(f->setup.dir, bytes);
}

/* ---- sessions ---- */

static enum answer floor_session_open(void *arg, void **out)
{
	struct floor_session *s	    = calloc(1, sizeof(*s));
	struct floor	     *floor = arg;
	int		      rc;

	if (!s)
		return floor_failed("memory", ENOMEM);
	s->floor  = floor;
	s->blocks = aligned_alloc(BLOCK, DEPTH_MAX * floor->span);
	rc	  = s->blocks ? io_uring_queue_init(DEPTH_MAX, &s->ring, 0) : -ENOMEM;
	if (rc < 0) {
		free(s->blocks);
		free(s);
		return floor_failed("io_uring", -rc);
	}
	*out = s;
	return ANSWER_OK;
}

static void floor_session_close(void *arg)
{
	struct floor_session *s = arg;

	io_uring_queue_exit(&s->ring);
	free(s->blocks);
	free(s);
}

static void ring_read(struct floor_session *s, unsigned index, const uint8_t *key, void *user)
{
	struct floor	    *f	 = s->floor;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring); /* there are as many as there are blocks */

	io_uring_prep_read(sqe, f->fd, s->blocks + index * f->span, (unsigned)f->span, block_of(f, key));
	io_uring_sqe_set_data(sqe, user);
}

static enum answer block_taken(struct floor_session *s, unsigned index, const uint8_t *key, void *buf, int res)
{
	struct floor *f = s->floor;

	if (res != (int)f->span)
		return floor_failed("read", res < 0 ? -res : EIO);
	memcpy(buf, s->blocks + index * f->span + offset_in_block(f, key), f->setup.value_len);
	return ANSWER_OK;
}

/* ---- calls ---- */

static enum answer floor_get(void *arg, const uint8_t *key, void *buf, size_t *len)
{
	struct floor_session *s = arg;
	struct floor	     *f = s->floor;
	ssize_t		      n;

	*len = f->setup.value_len;
	if (!f->image) {
		n = pread(f->fd, s->blocks, f->span, (off_t)block_of(f, key));
		return block_taken(s, 0, key, buf, n < 0 ? -errno : (int)n);
	}
	memcpy(buf, in_image(f, key), *len);
	return memcmp(buf, key, 8) ? ANSWER_ABSENT : ANSWER_OK;
}

static enum answer multi_get_memory(struct floor *f, struct want *wants, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		__builtin_prefetch(in_image(f, wants[i].key));
		__builtin_prefetch(in_image(f, wants[i].key) + 64);
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(wants[i].buf, in_image(f, wants[i].key), f->setup.value_len);
		wants[i].answer = ANSWER_OK;
	}
	return ANSWER_OK;
}

static enum answer floor_multi_get(void *arg, struct want *wants, size_t n)
{
	struct floor_session *s = arg;
	struct io_uring_cqe  *cqe;
	int		      rc;

	if (n > DEPTH_MAX)
		return answer_with(ANSWER_UNSUPPORTED, "floor: %zu gets at once", n);
	if (s->floor->image)
		return multi_get_memory(s->floor, wants, n);
	for (size_t i = 0; i < n; i++)
		ring_read(s, (unsigned)i, wants[i].key, &wants[i]);
	rc = io_uring_submit_and_wait(&s->ring, (unsigned)n);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		struct want *want;

		rc = io_uring_wait_cqe(&s->ring, &cqe);
		if (rc < 0)
			break;
		want	     = io_uring_cqe_get_data(cqe);
		want->answer = block_taken(s, (unsigned)(want - wants), want->key, want->buf, cqe->res);
		io_uring_cqe_seen(&s->ring, cqe);
	}
	return rc < 0 ? floor_failed("io_uring", -rc) : ANSWER_OK;
}

static enum answer append(struct floor *f, const uint8_t *key, const void *val, uint64_t *number)
{
	if (f->setup.bounded && f->setup.relaxed)
		return answer_with(ANSWER_UNSUPPORTED, "floor: puts beyond memory");
	if (f->image && memcmp(in_image(f, key), key, 8))
		return answer_with(ANSWER_UNSUPPORTED, "floor: inserts");
	if (f->image)
		memcpy(in_image(f, key), val, f->setup.value_len);
	return floor_log_append(f->log, key, val, f->setup.value_len, number);
}

static enum answer acknowledged(struct floor *f, uint64_t number)
{
	return f->setup.relaxed ? ANSWER_OK : floor_log_wait(f->log, number);
}

static enum answer floor_put(void *arg, const uint8_t *key, const void *val)
{
	struct floor_session *s = arg;
	uint64_t	      number;
	enum answer	      answer = append(s->floor, key, val, &number);

	return answer == ANSWER_OK ? acknowledged(s->floor, number) : answer;
}

static enum answer floor_batch(void *arg, const struct record *recs, size_t n)
{
	struct floor_session *s	     = arg;
	enum answer	      answer = ANSWER_OK;
	uint64_t	      number = 0;

	for (size_t i = 0; i < n && answer == ANSWER_OK; i++)
		answer = append(s->floor, recs[i].key, recs[i].val, &number);
	return answer == ANSWER_OK ? acknowledged(s->floor, number) : answer;
}

/* In memory, and from the device the blocks that the records lie in. */
static enum answer floor_scan(void *arg, const uint8_t *key, size_t n, size_t *seen)
{
	struct floor_session *s	    = arg;
	struct floor	     *f	    = s->floor;
	uint64_t	      at    = keys_place(key, f->setup.records);
	uint64_t	      last  = at + n < f->setup.records ? at + n : f->setup.records;
	uint64_t	      block = at / f->per_block, blocks = (last - 1) / f->per_block + 1 - block;
	const uint8_t	     *from    = f->image ? f->image + block * f->span : s->blocks;
	unsigned	      touched = 0;

	if (blocks > DEPTH_MAX)
		return answer_with(ANSWER_UNSUPPORTED, "floor: a scan of %zu blocks", (size_t)blocks);
	if (!f->image && pread(f->fd, s->blocks, blocks * f->span, (off_t)(block * f->span)) < 0)
		return floor_failed("read", errno);
	for (*seen = last - at; at < last; at++)
		touched += from[(at / f->per_block - block) * f->span + at % f->per_block * f->setup.value_len];
	__asm__ volatile("" : : "r"(touched));
	return ANSWER_OK;
}

static enum answer floor_start(void *arg, struct call *call)
{
	struct floor_session *s = arg;
	enum answer	      answer;

	if (call->val) {
		answer = append(s->floor, call->key, call->val, &s->last_put);
		if (answer != ANSWER_OK)
			return answer;
		s->puts[s->put_count++] = call;
		return ANSWER_STARTED;
	}
	if (s->floor->image) {
		call->answer = floor_get(s, call->key, call->buf, &call->len);
		return ANSWER_OK;
	}
	ring_read(s, call->index, call->key, call);
	s->unsubmitted++;
	return ANSWER_STARTED;
}

/* All puts become durable together; then they are given back, as many as there is room for. */
static enum answer reap_puts(struct floor_session *s, struct call **calls, unsigned max, unsigned *n)
{
	enum answer answer = acknowledged(s->floor, s->last_put);

	for (*n = 0; *n < max && s->put_count; (*n)++) {
		calls[*n]	  = s->puts[--s->put_count];
		calls[*n]->answer = answer;
	}
	return answer;
}

static enum answer floor_reap(void *arg, struct call **calls, unsigned max, unsigned *n)
{
	struct floor_session *s = arg;
	struct io_uring_cqe  *cqes[DEPTH_MAX];
	int		      rc;

	if (s->put_count)
		return reap_puts(s, calls, max, n);
	*n = 0;
	rc = io_uring_submit_and_wait(&s->ring, 1);
	if (rc < 0)
		return floor_failed("io_uring", -rc);
	*n = io_uring_peek_batch_cqe(&s->ring, cqes, max < DEPTH_MAX ? max : DEPTH_MAX);
	for (unsigned i = 0; i < *n; i++) {
		calls[i]	 = io_uring_cqe_get_data(cqes[i]);
		calls[i]->answer = block_taken(s, calls[i]->index, calls[i]->key, calls[i]->buf, cqes[i]->res);
	}
	io_uring_cq_advance(&s->ring, *n);
	return ANSWER_OK;
}

const struct engine engine_floor = {
	.name	       = "floor",
	.version       = floor_version,
	.async	       = true,
	.open	       = floor_open,
	.load	       = floor_load,
	.settle	       = floor_settle,
	.sync	       = floor_sync,
	.disk_bytes    = floor_disk_bytes,
	.close	       = floor_close,
	.session_open  = floor_session_open,
	.session_close = floor_session_close,
	.get	       = floor_get,
	.multi_get     = floor_multi_get,
	.put	       = floor_put,
	.batch	       = floor_batch,
	.scan	       = floor_scan,
	.start	       = floor_start,
	.reap	       = floor_reap,
};
