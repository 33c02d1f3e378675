/* SPDX-License-Identifier: Apache-2.0 */
/* test/file_tools.h: what tests do to files behind the library's back. */
#ifndef TARN_FILE_TOOLS_H
#define TARN_FILE_TOOLS_H

#include "harness.h"
#include <fcntl.h>
#include <unistd.h>

static inline void copy_file(const char *from, const char *to)
{
	char	buf[65536];
	int	in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
}

static inline bool same_files(const char *a, const char *b)
{
	char	x[4096], y[4096];
	int	in = open(a, O_RDONLY), other = open(b, O_RDONLY);
	ssize_t n, m;
	bool	same;

	do {
		n    = read(in, x, sizeof(x));
		m    = read(other, y, sizeof(y));
		same = n >= 0 && n == m && memcmp(x, y, (size_t)n) == 0;
	} while (same && n > 0);
	close(in);
	close(other);
	return same;
}

static inline void write_at(const char *path, off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
}

/* Where in the file these bytes are. */
static inline off_t find_bytes(const char *path, const uint8_t *bytes, size_t len)
{
	uint8_t block[4096];
	int	fd    = open(path, O_RDONLY);
	off_t	at    = 0;
	bool	found = false;

	assert_true(fd >= 0);
	while (!found && pread(fd, block, 4096, at) == 4096) {
		found = memcmp(block, bytes, len) == 0;
		at += found ? 0 : 4096;
	}
	close(fd);
	assert_true(found);
	return at;
}

#endif
