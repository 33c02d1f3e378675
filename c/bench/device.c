/* SPDX-License-Identifier: Apache-2.0 */
/* device.c: what the device itself gives: random reads with io_uring, and a write with a flush, on a file, with O_DIRECT. */
#include "histogram.h"
#include "keys.h"
#include "meters.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES (UINT64_C(1) << 30)
#define PIECE	   MIB

struct raw {
	const struct row *row;
	int		  fd;
	uint8_t		 *buf;
	struct dice	  dice;
	uint64_t	  end_ns, done;
	uint64_t	  began[DEPTH_MAX]; /* of the reads in flight */
	struct histogram  times;
};

static enum answer raw_failed(const char *what, int error)
{
	return answer_with(ANSWER_FAILED, "device: %s: %s", what, strerror(error));
}

static uint64_t raw_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static off_t random_place(struct raw *raw)
{
	return (off_t)(dice_below(&raw->dice, FILE_BYTES / raw->row->value_len) * raw->row->value_len);
}

/* The file has been written: blocks that were only allocated would be read as zeros without the device. */
static enum answer file_fill(struct raw *raw)
{
	off_t have = lseek(raw->fd, 0, SEEK_END);

	for (uint64_t i = 0; i < PIECE; i += 8) {
		uint64_t random = dice_next(&raw->dice);

		memcpy(raw->buf + i, &random, 8);
	}
	for (uint64_t at = (uint64_t)have; at < FILE_BYTES; at += PIECE)
		if (pwrite(raw->fd, raw->buf, PIECE, (off_t)at) != (ssize_t)PIECE)
			return raw_failed("write", errno);
	return fsync(raw->fd) ? raw_failed("fsync", errno) : ANSWER_OK;
}

static enum answer raw_open(struct raw *raw, const char *dir)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/device.data", dir);
	raw->buf = aligned_alloc(4096, DEPTH_MAX * (size_t)raw->row->value_len + PIECE);
	raw->fd	 = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
	if (!raw->buf || raw->fd < 0)
		return raw_failed(path, errno);
	return file_fill(raw);
}

static void read_one(struct raw *raw, struct io_uring *ring, unsigned slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	size_t		     len = raw->row->value_len;

	raw->began[slot] = raw_now();
	io_uring_prep_read(sqe, raw->fd, raw->buf + slot * len, (unsigned)len, (uint64_t)random_place(raw));
	io_uring_sqe_set_data(sqe, &raw->began[slot]);
}

static int read_turn(struct raw *raw, struct io_uring *ring)
{
	struct io_uring_cqe *cqes[DEPTH_MAX];
	int		     rc	 = io_uring_submit_and_wait(ring, 1);
	unsigned	     n	 = io_uring_peek_batch_cqe(ring, cqes, DEPTH_MAX);
	uint64_t	     now = raw_now();

	for (unsigned i = 0; i < n && rc >= 0; i++) {
		uint64_t *began = io_uring_cqe_get_data(cqes[i]);

		if (cqes[i]->res != (int)raw->row->value_len)
			rc = cqes[i]->res < 0 ? cqes[i]->res : -EIO;
		histogram_add(&raw->times, now - *began);
		raw->done++;
		read_one(raw, ring, (unsigned)(began - raw->began));
	}
	io_uring_cq_advance(ring, n);
	return rc;
}

static enum answer raw_reads(struct raw *raw)
{
	struct io_uring ring;
	int		rc = io_uring_queue_init(DEPTH_MAX, &ring, 0);

	if (rc < 0)
		return raw_failed("io_uring", -rc);
	for (unsigned slot = 0; slot < raw->row->depth; slot++)
		read_one(raw, &ring, slot);
	while (rc >= 0 && raw_now() < raw->end_ns)
		rc = read_turn(raw, &ring);
	io_uring_queue_exit(&ring); /* what is in flight may still come into raw->buf, which lives as long as the process */
	return rc < 0 ? raw_failed("read", -rc) : ANSWER_OK;
}

static enum answer raw_writes(struct raw *raw)
{
	size_t	 len = raw->row->value_len;
	uint64_t began;

	for (began = raw_now(); began < raw->end_ns; began = raw_now()) {
		off_t place = (off_t)(raw->done * len % FILE_BYTES);

		if (pwrite(raw->fd, raw->buf, len, place) != (ssize_t)len || fdatasync(raw->fd))
			return raw_failed("write", errno);
		histogram_add(&raw->times, raw_now() - began);
		raw->done++;
	}
	return ANSWER_OK;
}

static void raw_figures(struct raw *raw, const struct meters *began, const struct meters *ended, struct result *result)
{
	double bytes = (double)raw->done * raw->row->value_len;

	result->rate   = (double)raw->done / ((double)(ended->ns - began->ns) / 1e9);
	result->cpu_us = (double)(ended->cpu_ns - began->cpu_ns) / 1e3 / (double)(raw->done ? raw->done : 1);
	if (raw->row->durable) {
		result->write_factor	= (double)(ended->device_bytes - began->device_bytes) / bytes;
		result->io_write_factor = (double)(ended->process_bytes - began->process_bytes) / bytes;
	}
	result_times(result, &raw->times);
	result->rss_mib = peak_rss_mib();
}

void cell_device(const struct cell *cell, struct result *result)
{
	static struct raw raw;
	struct meters	  began, ended;

	raw.row	       = cell->row;
	raw.dice.state = cell->serial;
	result->answer = raw_open(&raw, cell->setup.dir);
	meters_read(&began, cell->setup.dir);
	raw.end_ns = began.ns + (uint64_t)(cell->seconds * 1e9);
	if (result->answer == ANSWER_OK)
		result->answer = cell->row->durable ? raw_writes(&raw) : raw_reads(&raw);
	meters_read(&ended, cell->setup.dir);
	if (result->answer == ANSWER_OK)
		raw_figures(&raw, &began, &ended, result);
	else
		snprintf(result->message, sizeof(result->message), "%s", answer_message());
}
