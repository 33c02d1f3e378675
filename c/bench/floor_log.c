/* SPDX-License-Identifier: Apache-2.0 */
#include "floor_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_BYTES    (256 * MIB)
#define BUFFER_BYTES (4 * MIB)
#define RELAXED_FULL (256u << 10) /* a relaxed log is written when so much has come together */
#define BLOCK	     4096u

struct floor_log {
	int		fd;
	bool		relaxed;
	pthread_mutex_t lock;
	pthread_cond_t	moved;
	/* under lock */
	uint8_t	   *filling, *spare;
	size_t	    used;	       /* of `filling` */
	uint64_t    appended, written; /* numbers of records */
	uint64_t    place;	       /* in the file */
	bool	    writing;
	enum answer answer; /* of the writes so far */
};

static enum answer log_failed(const char *what)
{
	return answer_with(ANSWER_FAILED, "floor: %s: %s", what, strerror(errno));
}

static void log_path(char *path, size_t room, const char *dir)
{
	snprintf(path, room, "%s/floor.log", dir);
}

enum answer floor_log_make(const char *dir)
{
	char	 path[512];
	uint8_t *zeros = aligned_alloc(BLOCK, MIB);
	int	 fd;
	ssize_t	 n = 0;

	log_path(path, sizeof(path), dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!zeros || fd < 0)
		return log_failed(path);
	memset(zeros, 0, MIB);
	for (uint64_t at = 0; at < LOG_BYTES && n >= 0; at += MIB)
		n = pwrite(fd, zeros, MIB, (off_t)at);
	if (n < 0 || fsync(fd))
		return log_failed(path);
	close(fd);
	free(zeros);
	return ANSWER_OK;
}

enum answer floor_log_open(const char *dir, bool relaxed, struct floor_log **out)
{
	struct floor_log *log = calloc(1, sizeof(*log));
	char		  path[512];

	if (!log)
		return log_failed("memory");
	log_path(path, sizeof(path), dir);
	log->relaxed = relaxed;
	log->fd	     = open(path, O_WRONLY | O_DIRECT);
	log->filling = aligned_alloc(BLOCK, BUFFER_BYTES);
	log->spare   = aligned_alloc(BLOCK, BUFFER_BYTES);
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->moved, NULL);
	if (log->fd < 0 || !log->filling || !log->spare) {
		floor_log_close(log);
		return log_failed(path);
	}
	*out = log;
	return ANSWER_OK;
}

void floor_log_close(struct floor_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	free(log->filling);
	free(log->spare);
	pthread_cond_destroy(&log->moved);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

static enum answer log_write(struct floor_log *log, const uint8_t *buf, size_t len, uint64_t place, bool durable)
{
	if (len && pwrite(log->fd, buf, len, (off_t)place) != (ssize_t)len)
		return log_failed("write");
	return durable && fdatasync(log->fd) ? log_failed("fdatasync") : ANSWER_OK;
}

/* Writes what there is, as the one who does. With the lock held, which it leaves meanwhile. */
static void log_turn(struct floor_log *log, bool durable)
{
	uint8_t	   *buf	   = log->filling;
	size_t	    len	   = (log->used + BLOCK - 1) / BLOCK * BLOCK;
	uint64_t    number = log->appended, place = log->place + len > LOG_BYTES ? 0 : log->place;
	enum answer answer;

	memset(buf + log->used, 0, len - log->used);
	log->writing = true;
	log->filling = log->spare;
	log->spare   = buf;
	log->used    = 0;
	log->place   = place + len;
	pthread_mutex_unlock(&log->lock);
	answer = log_write(log, buf, len, place, durable);
	pthread_mutex_lock(&log->lock);
	log->writing = false;
	log->written = number;
	log->answer  = log->answer == ANSWER_OK ? answer : log->answer;
	pthread_cond_broadcast(&log->moved);
}

static void log_turn_or_wait(struct floor_log *log, bool durable)
{
	if (log->writing)
		pthread_cond_wait(&log->moved, &log->lock);
	else
		log_turn(log, durable);
}

enum answer floor_log_append(struct floor_log *log, const uint8_t *key, const void *val, size_t len, uint64_t *number)
{
	enum answer answer;

	pthread_mutex_lock(&log->lock);
	while (log->used + KEY_LEN + len > BUFFER_BYTES)
		log_turn_or_wait(log, !log->relaxed);
	memcpy(log->filling + log->used, key, KEY_LEN);
	memcpy(log->filling + log->used + KEY_LEN, val, len);
	log->used += KEY_LEN + len;
	*number = ++log->appended;
	if (log->relaxed && log->used >= RELAXED_FULL && !log->writing)
		log_turn(log, false);
	answer = log->answer;
	pthread_mutex_unlock(&log->lock);
	return answer;
}

enum answer floor_log_wait(struct floor_log *log, uint64_t number)
{
	enum answer answer;

	pthread_mutex_lock(&log->lock);
	while (log->written < number)
		log_turn_or_wait(log, true);
	answer = log->answer;
	pthread_mutex_unlock(&log->lock);
	return answer == ANSWER_OK ? answer : answer_with(answer, "floor: the log could not be written");
}

enum answer floor_log_sync(struct floor_log *log)
{
	uint64_t    number;
	enum answer answer;

	pthread_mutex_lock(&log->lock);
	number = log->appended;
	pthread_mutex_unlock(&log->lock);
	answer = floor_log_wait(log, number);
	return answer == ANSWER_OK && fdatasync(log->fd) ? log_failed("fdatasync") : answer;
}
