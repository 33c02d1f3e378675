// SPDX-License-Identifier: Apache-2.0

//go:build cgo

/* load.c: a queue that is kept full.
 *
 * An I/O that has been reaped goes to its next place and is submitted, with all that were reaped with it, in the call that reaps the
 * next. Nothing is allocated on the way, and the clock is read once for each such call. */
#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_US 100000 /* at most, so that a device that does not answer does not keep the thread */

go_load *go_load_new(uint32_t depth)
{
	go_load *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->depth = depth;
	l->ready = calloc(depth, sizeof(*l->ready));
	l->out	 = calloc(depth, sizeof(*l->out));
	l->began = calloc(depth, sizeof(*l->began));
	if (l->ready && l->out && l->began)
		return l;
	go_load_free(l);
	return NULL;
}

void go_load_free(go_load *l)
{
	free(l->began);
	free(l->out);
	free(l->ready);
	free(l);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* splitmix64 */
static uint64_t dice_next(uint64_t *dice)
{
	uint64_t z = *dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t next_block(go_load *l)
{
	uint64_t at = l->next;

	if (l->random)
		return (uint64_t)((unsigned __int128)dice_next(&l->dice) * l->blocks >> 64);
	l->next = at + 1 < l->blocks ? at + 1 : 0;
	return at;
}

static void prepare(go_load *l, tarn_dev_io *io)
{
	if (io->opcode == TARN_DEV_NOP)
		return;
	if (l->mixed)
		io->opcode = dice_next(&l->dice) & 1 ? TARN_DEV_WRITE : TARN_DEV_READ;
	io->offset = next_block(l) * l->bs;
}

void go_load_start(go_load *l, const tarn_dev_io *model)
{
	for (uint32_t i = 0; i < l->depth; i++) {
		tarn_dev_io *io = &l->ios[i];

		*io	= *model;
		io->tag = i;
		io->len = l->bs;
		io->buf = l->buf + i * l->bs;
		prepare(l, io);
		l->ready[l->in_hand++] = io;
	}
}

static unsigned bucket_of(uint64_t ns)
{
	unsigned shift, bucket;

	if (ns < GO_FINE)
		return (unsigned)ns;
	shift  = 57 - (unsigned)__builtin_clzll(ns); /* so that ns >> shift is from 64 to 127 */
	bucket = shift * GO_FINE + (unsigned)(ns >> shift);
	return bucket < GO_BUCKETS ? bucket : GO_BUCKETS - 1;
}

static void count(go_load *l, const tarn_dev_io *io, uint64_t ns)
{
	l->buckets[bucket_of(ns)]++;
	l->max_ns = ns > l->max_ns ? ns : l->max_ns;
	if (io->rc >= 0) {
		l->done++;
		return;
	}
	if (!l->errors++) {
		l->rc = io->rc;
		memcpy(l->message, io->message, sizeof(l->message));
	}
}

static void submit_and_reap(go_load *l, uint64_t *now)
{
	uint32_t started, n, left;
	uint64_t began = *now;

	for (uint32_t i = 0; i < l->in_hand; i++)
		l->began[l->ready[i]->tag] = began;
	n    = tarn_dev_queue_submit_and_reap(l->queue, l->ready, l->in_hand, &started, 1, l->depth, WAIT_US, l->out);
	*now = now_ns();
	left = l->in_hand - started;
	memmove(l->ready, l->ready + started, left * sizeof(*l->ready));
	for (uint32_t i = 0; i < n; i++) {
		count(l, l->out[i], *now - l->began[l->out[i]->tag]);
		prepare(l, l->out[i]);
		l->ready[left + i] = l->out[i];
	}
	l->in_hand = left + n;
}

void go_load_run(go_load *l, uint64_t ns)
{
	uint64_t now = now_ns(), end = now + ns;

	while (now < end && l->errors < GO_ERRORS_MAX)
		submit_and_reap(l, &now);
}
