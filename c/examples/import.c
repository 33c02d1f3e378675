/* SPDX-License-Identifier: Apache-2.0 */
/* import.c: stores the regular files below a directory, path -> bytes, then reads all of them back and compares.
 *
 * usage: example-import ROOT POOL CONTAINER OBJECT DIR      (the container and the object are made when they are missing) */
#define _XOPEN_SOURCE 700
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>

#define IN_FLIGHT 32
#define PIECE	  (1u << 20) /* a file of this size or more goes through a writer, a piece at a time */

static tarn_kv	    *kv;
static tarn_eq	    *eq;
static tarn_event    events[IN_FLIGHT];
static unsigned	     in_flight;
static size_t	     skip; /* bytes of a path that are not part of its key */
static char	     piece[PIECE], stored[PIECE];
static unsigned long files, bytes, different;

static void check(int rc, const char *what, const char *sentence)
{
	if (rc < 0)
		fprintf(stderr, "%s: %s: %s\n", what, tarn_errname(rc), sentence), exit(1);
}

/* One of the first 32 events, then one that has completed. */
static tarn_event *next_event(void)
{
	tarn_event *ev;

	if (in_flight < IN_FLIGHT)
		return &events[in_flight++];
	check(tarn_eq_poll(eq, -1, 1, &ev), "poll", tarn_last_error());
	check(tarn_event_result(ev), "put", tarn_event_message(ev));
	return ev;
}

static size_t fill(FILE *file, const char *path)
{
	size_t len = fread(piece, 1, PIECE, file);

	if (ferror(file))
		perror(path), exit(1);
	return len;
}

static void store_large(tarn_buf key, FILE *file, const char *path, size_t len)
{
	tarn_writer *writer;

	check(tarn_writer_open(kv, key, TARN_COND_NONE, &writer), path, tarn_last_error());
	for (; len; len = fill(file, path))
		check(tarn_writer_write(writer, (tarn_buf){ piece, len }, NULL), path, tarn_last_error());
	check(tarn_writer_commit(writer, NULL), path, tarn_last_error());
}

/* The bytes of a put are copied before it returns, so the next file may be read while it is on its way. */
static void store(const char *path, tarn_buf key, FILE *file)
{
	size_t	    len = fill(file, path);
	tarn_event *ev;

	if (len == PIECE) {
		store_large(key, file, path, len);
	} else {
		ev = next_event();
		check(tarn_kv_put(kv, key, (tarn_buf){ piece, len }, TARN_COND_NONE, ev), path, tarn_event_message(ev));
	}
	files++;
}

static void compare(const char *path, tarn_buf key, FILE *file)
{
	tarn_reader *reader;
	uint64_t     at = 0;
	size_t	     len, got;

	check(tarn_reader_open(kv, key, NULL, &reader, NULL), path, tarn_last_error());
	do {
		len = fill(file, path);
		got = PIECE;
		check(tarn_reader_read(reader, at, stored, &got, NULL), path, tarn_last_error());
		at += got;
	} while (len && len == got && memcmp(piece, stored, len) == 0);
	if (len || got)
		different++, fprintf(stderr, "%s differs\n", path);
	bytes += at;
	check(tarn_reader_close(reader), path, tarn_last_error());
}

static void (*visit)(const char *path, tarn_buf key, FILE *file);

static int visit_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	FILE *file = type == FTW_F && S_ISREG(st->st_mode) ? fopen(path, "rb") : NULL;

	(void)ftw;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	if (!file)
		perror(path), exit(1);
	visit(path, (tarn_buf){ path + skip, strlen(path + skip) }, file);
	return fclose(file);
}

static void walk(const char *dir, void (*function)(const char *, tarn_buf, FILE *))
{
	visit = function;
	if (nftw(dir, visit_file, 32, FTW_PHYS) != 0)
		perror(dir), exit(1);
}

int main(int argc, char **argv)
{
	tarn_system *sys;
	tarn_pool   *pool;
	tarn_cont   *cont;
	int	     rc;

	if (argc != 6)
		return fprintf(stderr, "usage: %s ROOT POOL CONTAINER OBJECT DIR\n", argv[0]), 2;
	skip = strlen(argv[5]) + (argv[5][strlen(argv[5]) - 1] != '/');
	check(tarn_system_open(argv[1], NULL, 0, &sys), argv[1], tarn_last_error());
	check(tarn_pool_open(sys, argv[2], NULL, &pool, NULL), argv[2], tarn_last_error());
	rc = tarn_cont_create(pool, argv[3], TARN_CONT_KV, NULL, 0, NULL, NULL);
	check(rc == -TARN_E_EXIST ? 0 : rc, argv[3], tarn_last_error());
	check(tarn_cont_open(pool, argv[3], 0, &cont, NULL), argv[3], tarn_last_error());
	check(tarn_kv_open(cont, argv[4], TARN_KV_CREATE, &kv, NULL), argv[4], tarn_last_error());
	check(tarn_eq_create(&eq), "event queue", tarn_last_error());
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		tarn_event_init(&events[i], eq, NULL, 0);

	walk(argv[5], store);
	for (unsigned left = in_flight; left; left--) {
		in_flight = IN_FLIGHT; /* no fresh ones: take what completes */
		next_event();
	}
	walk(argv[5], compare);
	printf("%lu files, %lu bytes, %lu differ\n", files, bytes, different);

	check(tarn_eq_destroy(eq), "event queue", tarn_last_error());
	check(tarn_kv_close(kv), argv[4], tarn_last_error());
	check(tarn_cont_close(cont), argv[3], tarn_last_error());
	check(tarn_pool_close(pool), argv[2], tarn_last_error());
	check(tarn_system_close(sys), argv[1], tarn_last_error());
	return different ? 1 : 0;
}
