/* SPDX-License-Identifier: Apache-2.0 */
/* device/uring_file.c: what the ring of a file or block device is given. See uring.c.
 *
 * Always true: what the ring has no command for, comes back short, or undone, is done by file_io(). */
#include "file.h"
#include "uring.h"

#include <fcntl.h>
#include <stdio.h>

static int fd_of(const struct device *dev)
{
	return container_of(dev, struct file, base)->fd;
}

static bool driver_polls(const struct device *dev)
{
	const struct file *f = container_of(dev, struct file, base);
	char		   dir[64], disk[96];
	struct stat	   st;

	if (fstat(f->fd, &st) < 0 || !sysfs_device(f->block ? st.st_rdev : st.st_dev, dir))
		return false;
	snprintf(disk, sizeof(disk), sysfs_number(dir, "partition", 0) ? "%s/.." : "%s", dir);
	return sysfs_number(disk, "queue/io_poll", 0) == 1;
}

/* The ring has no discard for block devices before Linux 6.12, and no way to zero them. What it has with IOPOLL is data only. */
static bool takes(const struct uring_queue *q, const tarn_dev_io *io)
{
	switch (io->opcode) {
	case TARN_DEV_READ:
	case TARN_DEV_WRITE:
		return true;
	case TARN_DEV_FLUSH:
		return !has_setup(q, IORING_SETUP_IOPOLL);
	case TARN_DEV_DISCARD:
	case TARN_DEV_WRITE_ZEROES:
		return !file_of(q->dev)->block && !has_setup(q, IORING_SETUP_IOPOLL);
	default:
		return false;
	}
}

static void prepare_transfer(const struct uring_queue *q, struct io_uring_sqe *sqe, int fd, const tarn_dev_io *io)
{
	bool	 reads = io->opcode == TARN_DEV_READ, fixed = io->flags & TARN_DEV_IO_FIXED && q->fixed_buffers;
	unsigned len = (unsigned)io->len;

	if (io->flags & TARN_DEV_IO_VECTOR)
		io_uring_prep_rw(reads ? IORING_OP_READV : IORING_OP_WRITEV, sqe, fd, io->buf, io->vec_count, io->offset);
	else if (fixed)
		io_uring_prep_rw(reads ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED, sqe, fd, io->buf, len, io->offset);
	else
		io_uring_prep_rw(reads ? IORING_OP_READ : IORING_OP_WRITE, sqe, fd, io->buf, len, io->offset);
	sqe->buf_index = fixed ? io->fixed : 0;
	sqe->rw_flags  = io->flags & TARN_DEV_IO_DURABLE ? RWF_DSYNC : 0;
}

static void prepare(const struct uring_queue *q, struct io_uring_sqe *sqe, int fd, const tarn_dev_io *io)
{
	int mode = io->opcode == TARN_DEV_DISCARD ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (io->opcode == TARN_DEV_READ || io->opcode == TARN_DEV_WRITE)
		prepare_transfer(q, sqe, fd, io);
	else if (io->opcode == TARN_DEV_FLUSH)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else
		io_uring_prep_fallocate(sqe, fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->len);
}

/* Commands that not every file system or driver has, or not in a ring. file_io() says what there is. */
static bool is_unsupported(int res)
{
	return res == -EOPNOTSUPP || res == -ENOSYS;
}

/* What is left of io after the first `moved` bytes; of a vector all of it, again. */
static int do_rest(const struct file *f, const tarn_dev_io *io, uint64_t moved)
{
	tarn_dev_io rest = *io;

	if (io->flags & TARN_DEV_IO_VECTOR)
		return file_io(f, io);
	rest.buf = (char *)io->buf + moved;
	rest.offset += moved;
	rest.len -= moved;
	return file_io(f, &rest);
}

static int result(struct device *dev, tarn_dev_io *io, const struct io_uring_cqe *cqe)
{
	const struct file *f   = file_of(dev);
	int		   res = cqe->res;

	if (uring_is_undone(res) || is_unsupported(res))
		return file_io(f, io);
	if (res < 0)
		return file_io_error(f, io, 0, -res);
	return !device_moves_data(io->opcode) || (uint64_t)res == io->len ? 0 : do_rest(f, io, (uint64_t)res);
}

static const struct uring_kind file_kind = {
	.fd	 = fd_of,
	.polls	 = driver_polls,
	.takes	 = takes,
	.prepare = prepare,
	.result	 = result,
};

static int queue_open(struct device *dev, const struct device_queue_options *options, struct device_queue **queue)
{
	return uring_open_queue(dev, &file_kind, options, queue);
}

const struct device_backend uring_backend = {
	.name	     = "io_uring",
	.queue_open  = queue_open,
	.queue_close = uring_queue_close,
	.submit	     = uring_submit,
	.reap	     = uring_reap,
	.wake	     = uring_wake,
	.cancel	     = uring_cancel,
	.adapt	     = uring_adapt,
	.run	     = file_run,
	.zone_report = file_zone_report,
	.zone_manage = file_zone_manage,
	.close	     = file_close,
};
