/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme_uring.c: what the ring of an NVMe namespace is given: commands, passed through (Linux 5.19). See uring.c.
 *
 * Always true: its entries have 128 bytes, which hold the command, and its completions 32, which hold the command's result.
 * What takes more than one command, or memory of its own, is done by ioctl (nvme_run). */
#include "file.h"
#include "list.h"
#include "nvme_io.h"
#include "uring.h"

#include <stdio.h>

#define SETUP (IORING_SETUP_SQE128 | IORING_SETUP_CQE32)

_Static_assert(sizeof(struct nvme_uring_cmd) == 72, "as the kernel has it");
_Static_assert(offsetof(struct nvme_uring_cmd, rsvd2) == offsetof(struct nvme_passthru_cmd64, rsvd2),
	       "the same but for the result");
_Static_assert(offsetof(struct io_uring_sqe, cmd) + sizeof(struct nvme_uring_cmd) <= 128, "it fits into an entry");

/* The result of the one check: 0, or an errno. */
static pthread_once_t check_once = PTHREAD_ONCE_INIT;
static int	      check_result;

static void check_kernel(void)
{
	struct io_uring	       ring;
	struct io_uring_probe *probe;
	int		       rc = io_uring_queue_init(2, &ring, SETUP);

	check_result = -rc;
	if (rc < 0)
		return;
	probe = io_uring_get_probe_ring(&ring);
	if (!probe || !io_uring_opcode_supported(probe, IORING_OP_URING_CMD))
		check_result = ENOSYS;
	io_uring_free_probe(probe);
	io_uring_queue_exit(&ring);
}

int nvme_uring_check(void)
{
	int rc = uring_check();

	if (rc)
		return rc;
	pthread_once(&check_once, check_kernel);
	return check_result ? fail(NOTSUPPORTED, "the kernel passes no commands through io_uring: it has to be Linux 5.19") : 0;
}

static const struct nvme_device *const_nvme_of(const struct device *dev)
{
	return container_of(dev, struct nvme_device, base);
}

static int fd_of(const struct device *dev)
{
	return const_nvme_of(dev)->admin.fd;
}

static bool driver_polls(const struct device *dev)
{
	const char *disk = strrchr(dev->info.twin, '/');
	char	    dir[96];

	if (!disk)
		return false;
	snprintf(dir, sizeof(dir), "/sys/class/block/%.60s", disk + 1);
	return sysfs_number(dir, "queue/io_poll", 0) == 1;
}

/* With IOPOLL only what moves data is polled for. */
static bool takes(const struct uring_queue *q, const tarn_dev_io *io)
{
	if (has_setup(q, IORING_SETUP_IOPOLL) && !device_moves_data(io->opcode))
		return false;
	return nvme_is_one_command(const_nvme_of(q->dev), io);
}

static void prepare(const struct uring_queue *q, struct io_uring_sqe *sqe, int fd, const tarn_dev_io *io)
{
	struct nvme_passthru_cmd64 command;

	nvme_fill_command(const_nvme_of(q->dev), io, &command);
	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd	    = fd;
	sqe->cmd_op = io->flags & TARN_DEV_IO_VECTOR ? NVME_URING_CMD_IO_VEC : NVME_URING_CMD_IO;
	if (io->flags & TARN_DEV_IO_FIXED && q->fixed_buffers) {
		sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
		sqe->buf_index	     = io->fixed;
	}
	memcpy(sqe->cmd, &command, sizeof(struct nvme_uring_cmd));
}

/* What was interrupted may have been done; of all commands only an append cannot be done twice. Linux before 6.1 has no
 * registered buffers here. */
static bool can_be_repeated(const tarn_dev_io *io, int res)
{
	if (res == -EINTR)
		return io->opcode != TARN_DEV_ZONE_APPEND;
	return uring_is_undone(res) || (res == -EINVAL && io->flags & TARN_DEV_IO_FIXED);
}

/* After a failed compare the run says where the difference is. */
static int result(struct device *dev, tarn_dev_io *io, const struct io_uring_cqe *cqe)
{
	bool mismatch = io->opcode == TARN_DEV_COMPARE && cqe->res > 0 && (cqe->res & NVME_STATUS_MASK) == NVME_COMPARE_FAILED;

	if (mismatch || can_be_repeated(io, cqe->res))
		return uring_run_plainly(dev, io);
	return nvme_io_result(nvme_of(dev), io, cqe->res, cqe->big_cqe[0]);
}

static const struct uring_kind nvme_kind = {
	.setup	 = SETUP,
	.fd	 = fd_of,
	.polls	 = driver_polls,
	.takes	 = takes,
	.prepare = prepare,
	.result	 = result,
};

static int queue_open(struct device *dev, const struct device_queue_options *options, struct device_queue **queue)
{
	return uring_open_queue(dev, &nvme_kind, options, queue);
}

const struct device_backend nvme_uring_backend = {
	.name	     = "io_uring_cmd",
	.queue_open  = queue_open,
	.queue_close = uring_queue_close,
	.submit	     = uring_submit,
	.reap	     = uring_reap,
	.wake	     = uring_wake,
	.cancel	     = uring_cancel,
	.adapt	     = uring_adapt,
	.run	     = nvme_run,
	.zone_report = nvme_zone_report,
	.zone_manage = nvme_zone_manage,
	.close	     = nvme_close,
};
