/* SPDX-License-Identifier: Apache-2.0 */
/* device/file_io.c: an I/O on a file or block device by plain system calls, on the calling thread.
 *
 * Always true: a transfer goes on after a short part until all of it is done, or an error; EINTR is tried again. A command that the
 * file system or the driver does not have is NOTSUPPORTED: nothing is done in its place. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHORT_NAME   30
#define COMPARE_STEP (256u << 10)

_Static_assert(sizeof(tarn_dev_vec) == sizeof(struct iovec) && offsetof(tarn_dev_vec, ptr) == offsetof(struct iovec, iov_base) &&
		       offsetof(tarn_dev_vec, len) == offsetof(struct iovec, iov_len),
	       "a vector goes to the kernel as it is");

static int discard(const struct file *f, const tarn_dev_io *io)
{
	uint64_t range[2] = { io->offset, io->len };

	if (f->block)
		return ioctl(f->fd, BLKDISCARD, range);
	return fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->len);
}

static int write_zeroes(const struct file *f, const tarn_dev_io *io)
{
	uint64_t range[2] = { io->offset, io->len };

	if (f->block)
		return ioctl(f->fd, BLKZEROOUT, range);
	return fallocate(f->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->len);
}

static ssize_t move_pieces(int fd, const tarn_dev_io *io, const struct iovec *pieces, uint32_t n, uint64_t moved)
{
	off_t at = (off_t)(io->offset + moved);

	if (io->opcode == TARN_DEV_READ)
		return preadv(fd, pieces, (int)n, at);
	return pwritev2(fd, pieces, (int)n, at, io->flags & TARN_DEV_IO_DURABLE ? RWF_DSYNC : 0);
}

/* Where `moved` bytes into the vector are. */
static uint32_t piece_at(const struct iovec *pieces, uint64_t *moved)
{
	uint32_t i = 0;

	for (; *moved >= pieces[i].iov_len; i++)
		*moved -= pieces[i].iov_len;
	return i;
}

/* The vector is the caller's and is not changed: so a piece that was moved in part goes by itself, and then those behind it. */
static ssize_t move_vector(int fd, const tarn_dev_io *io, uint64_t moved)
{
	const struct iovec *pieces = io->buf;
	uint64_t	    into   = moved;
	uint32_t	    i	   = piece_at(pieces, &into);
	struct iovec	    rest   = { (char *)pieces[i].iov_base + into, pieces[i].iov_len - into };

	if (into)
		return move_pieces(fd, io, &rest, 1, moved);
	return move_pieces(fd, io, pieces + i, io->vec_count - i, moved);
}

static ssize_t transfer_once(int fd, const tarn_dev_io *io, uint64_t moved)
{
	struct iovec part = { (char *)io->buf + moved, io->len - moved };
	off_t	     at	  = (off_t)(io->offset + moved);

	if (io->flags & TARN_DEV_IO_VECTOR)
		return move_vector(fd, io, moved);
	if (io->opcode == TARN_DEV_READ)
		return pread(fd, part.iov_base, part.iov_len, at);
	return io->flags & TARN_DEV_IO_DURABLE ? pwritev2(fd, &part, 1, at, RWF_DSYNC)
					       : pwrite(fd, part.iov_base, part.iov_len, at);
}

static int transfer(const struct file *f, const tarn_dev_io *io)
{
	uint64_t moved = 0;
	ssize_t	 n;

	while (moved < io->len) {
		n = transfer_once(f->fd, io, moved);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return file_io_error(f, io, moved, n < 0 ? errno : 0);
		moved += (uint64_t)n;
	}
	return 0;
}

static int compare_in(const struct file *f, const tarn_dev_io *io, void *stored, uint64_t room)
{
	int rc = 0;

	for (uint64_t done = 0, n; !rc && done < io->len; done += n) {
		tarn_dev_io read = { .opcode = TARN_DEV_READ, .offset = io->offset + done, .buf = stored };

		n = read.len = MIN(io->len - done, room);
		rc	     = transfer(f, &read);
		if (!rc)
			rc = device_compare(read.offset, stored, (const char *)io->buf + done, n);
	}
	return rc;
}

/* Linux has no compare from user space: so it reads, into memory of its own. */
static int compare(const struct file *f, const tarn_dev_io *io)
{
	uint64_t room	= MIN(io->len, COMPARE_STEP);
	void	*stored = aligned_alloc(DEVICE_ALLOC_ALIGNMENT, ROUND_UP(room, DEVICE_ALLOC_ALIGNMENT));
	int	 rc	= stored ? compare_in(f, io, stored, room) : fail(NOMEM, "no memory to compare with");

	free(stored);
	return rc;
}

/* One system call that is done or not, as a whole. */
static int command(const struct file *f, const tarn_dev_io *io, int (*call)(const struct file *, const tarn_dev_io *))
{
	int rc;

	do
		rc = call(f, io);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? file_io_error(f, io, 0, errno) : 0;
}

static int flush(const struct file *f, const tarn_dev_io *io)
{
	(void)io;
	return fdatasync(f->fd);
}

int file_io(const struct file *f, const tarn_dev_io *io)
{
	switch ((tarn_dev_opcode)io->opcode) {
	case TARN_DEV_READ:
	case TARN_DEV_WRITE:
		return transfer(f, io);
	case TARN_DEV_FLUSH:
		return command(f, io, flush);
	case TARN_DEV_DISCARD:
		return command(f, io, discard);
	case TARN_DEV_WRITE_ZEROES:
		return command(f, io, write_zeroes);
	case TARN_DEV_COMPARE:
		return compare(f, io);
	case TARN_DEV_ZONE_APPEND:
		return fail(NOTSUPPORTED, "zone append: Linux has none for block devices; open the namespace as nvme:");
	case TARN_DEV_NOP:
		return 0;
	}
	return fail(INVAL, "device command %d: there is none with that number", (int)io->opcode);
}

int file_run(struct device *dev, tarn_dev_io *io)
{
	return file_io(file_of(dev), io);
}

/* An I/O keeps only a short sentence, and its reason stands last: so the end of the path has to do. */
static const char *short_name(const struct file *f)
{
	const char *uri = f->base.info.uri;
	size_t	    len = strlen(uri);

	return len > SHORT_NAME ? uri + len - SHORT_NAME : uri;
}

int file_io_error(const struct file *f, const tarn_dev_io *io, uint64_t moved, int sys_errno)
{
	const char	  *what = device_opcode_name(io->opcode), *name = short_name(f);
	unsigned long long at = io->offset + moved;
	int		   rc = 0;

	if (f->base.info.zoned && io->opcode == TARN_DEV_WRITE)
		rc = file_zone_explain(f, at, io->len - moved, sys_errno);
	if (rc)
		return rc;
	if (!sys_errno)
		return fail(IO, "%s at %llu: %s ended there, somebody cut it short", what, at, name);
	if (io->opcode == TARN_DEV_FLUSH)
		return base_fail_errno(sys_errno, "flush of %s", name);
	return base_fail_errno(sys_errno, "%s of %llu at %llu of %s", what, (unsigned long long)(io->len - moved), at, name);
}
