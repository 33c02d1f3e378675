/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme_io.c: I/O as NVMe commands, and by ioctl.
 *
 * Always true: what comes in is checked (device.c): aligned, in range, and where data moves no longer than one command takes.
 * A command's number of blocks is 0's based. Any thread may call: nothing here is kept. */
#include "nvme_io.h"

#include <endian.h>
#include <errno.h>
#include <sys/ioctl.h>

#define FORCE_UNIT_ACCESS (1u << 30)
#define DEALLOCATE	  (1u << 2)

static const uint8_t opcodes[] = {
	[TARN_DEV_READ]		= NVME_READ,
	[TARN_DEV_WRITE]	= NVME_WRITE,
	[TARN_DEV_FLUSH]	= NVME_FLUSH,
	[TARN_DEV_DISCARD]	= NVME_DATASET,
	[TARN_DEV_WRITE_ZEROES] = NVME_WRITE_ZEROES,
	[TARN_DEV_COMPARE]	= NVME_COMPARE,
	[TARN_DEV_ZONE_APPEND]	= NVME_ZONE_APPEND,
};

/* A vector's memory is the array, and its length that of the array. */
static void fill_memory(const tarn_dev_io *io, struct nvme_passthru_cmd64 *command)
{
	command->addr	  = (uint64_t)(uintptr_t)io->buf;
	command->data_len = io->flags & TARN_DEV_IO_VECTOR ? io->vec_count : (uint32_t)io->len;
}

void nvme_fill_command(const struct nvme_device *nvme, const tarn_dev_io *io, struct nvme_passthru_cmd64 *command)
{
	uint64_t first = io->offset >> nvme->shift;

	*command = (struct nvme_passthru_cmd64){ .opcode = opcodes[io->opcode], .nsid = nvme->admin.nsid };
	if (io->opcode == TARN_DEV_FLUSH)
		return;
	command->cdw10 = (uint32_t)first;
	command->cdw11 = (uint32_t)(first >> 32);
	command->cdw12 = (uint32_t)((io->len >> nvme->shift) - 1);
	command->cdw12 |= io->flags & TARN_DEV_IO_DURABLE ? FORCE_UNIT_ACCESS : 0;
	if (device_moves_data(io->opcode))
		fill_memory(io, command);
}

bool nvme_is_one_command(const struct nvme_device *nvme, const tarn_dev_io *io)
{
	switch ((tarn_dev_opcode)io->opcode) {
	case TARN_DEV_WRITE_ZEROES:
		return nvme->optional_io & TARN_NVME_ONCS_WRITE_ZEROES && io->len >> nvme->shift <= nvme->zero_blocks;
	case TARN_DEV_COMPARE:
		return nvme->optional_io & TARN_NVME_ONCS_COMPARE;
	default:
		return io->opcode != TARN_DEV_DISCARD && io->opcode != TARN_DEV_NOP;
	}
}

/* Not repeated after EINTR: the kernel waits for a command, or has given it to the device. */
int nvme_send(const struct nvme_device *nvme, struct nvme_passthru_cmd64 *command, bool vector)
{
	int rc = ioctl(nvme->admin.fd, vector ? NVME_IOCTL_IO64_CMD_VEC : NVME_IOCTL_IO64_CMD, command);

	return rc < 0 ? -errno : rc;
}

static int fail_io(const struct nvme_device *nvme, const tarn_dev_io *io, int status)
{
	const char	  *what = device_opcode_name(io->opcode), *uri = nvme->base.info.uri;
	unsigned long long at = io->offset, len = io->len;

	if (io->opcode == TARN_DEV_FLUSH)
		return status > 0 ? nvme_fail_status((uint32_t)status, true, "flush of %s", uri)
				  : base_fail_errno(-status, "flush of %s", uri);
	if (status > 0)
		return nvme_fail_status((uint32_t)status, true, "%s of %llu at %llu", what, len, at);
	if (status == -ENOTTY && io->flags & TARN_DEV_IO_VECTOR)
		return fail(NOTSUPPORTED, "%s of a vector: Linux passes those through from 5.18 on", what);
	if (status == -EACCES || status == -EPERM)
		return fail(NO_PERM, "%s of %llu at %llu: Linux wants CAP_SYS_ADMIN to pass it through", what, len, at);
	return base_fail_errno(-status, "%s of %llu at %llu of %s", what, len, at, uri);
}

/* Reads what is there, and says where the first difference is. An equal one that was different before is different all the
 * same. */
static int compare_by_reading(struct nvme_device *nvme, const tarn_dev_io *io, bool was_different)
{
	void	   *stored = device_alloc(io->len);
	tarn_dev_io read   = { .opcode = TARN_DEV_READ, .offset = io->offset, .buf = stored, .len = io->len };
	int	    rc;

	if (!stored)
		return fail(NOMEM, "no memory to compare with");
	rc = nvme_run(&nvme->base, &read);
	if (!rc)
		rc = device_compare(io->offset, stored, io->buf, io->len);
	device_free(stored);
	if (!rc && was_different)
		rc = fail(MISMATCH, "compare of %llu at %llu: it was different", (unsigned long long)io->len,
			  (unsigned long long)io->offset);
	return rc;
}

int nvme_io_result(const struct nvme_device *nvme, tarn_dev_io *io, int status, uint64_t value)
{
	if (status)
		return fail_io(nvme, io, status);
	if (io->opcode == TARN_DEV_ZONE_APPEND)
		io->offset = value << nvme->shift;
	return 0;
}

static int run_one(struct nvme_device *nvme, tarn_dev_io *io)
{
	struct nvme_passthru_cmd64 command;
	int			   status;

	nvme_fill_command(nvme, io, &command);
	status = nvme_send(nvme, &command, io->flags & TARN_DEV_IO_VECTOR);
	return nvme_io_result(nvme, io, status, command.result);
}

static int discard_some(const struct nvme_device *nvme, const tarn_dev_io *io, uint64_t first, uint32_t blocks)
{
	struct nvme_range	   range   = { .blocks = htole32(blocks), .first = htole64(first) };
	struct nvme_passthru_cmd64 command = {
		.opcode	  = NVME_DATASET,
		.nsid	  = nvme->admin.nsid,
		.addr	  = (uint64_t)(uintptr_t)&range,
		.data_len = sizeof(range),
		.cdw11	  = DEALLOCATE, /* cdw10: one range */
	};
	int status = nvme_send(nvme, &command, false);

	return status ? fail_io(nvme, io, status) : 0;
}

static int discard(const struct nvme_device *nvme, const tarn_dev_io *io)
{
	uint64_t first = io->offset >> nvme->shift, left = io->len >> nvme->shift;
	int	 rc = 0;

	if (!(nvme->optional_io & TARN_NVME_ONCS_DISCARD))
		return fail(NOTSUPPORTED, "discard: the controller has no Dataset Management (Identify Controller, ONCS)");
	while (!rc && left) {
		uint32_t blocks = (uint32_t)MIN(left, nvme->discard_blocks);

		rc = discard_some(nvme, io, first, blocks);
		first += blocks;
		left -= blocks;
	}
	return rc;
}

static int write_zeroes(struct nvme_device *nvme, const tarn_dev_io *io)
{
	uint64_t most = (uint64_t)nvme->zero_blocks << nvme->shift;
	int	 rc   = 0;

	if (!(nvme->optional_io & TARN_NVME_ONCS_WRITE_ZEROES))
		return fail(NOTSUPPORTED,
			    "write-zeroes: the controller has no such command (Identify Controller, ONCS): write zeros");
	for (uint64_t done = 0; !rc && done < io->len; done += most) {
		tarn_dev_io part = *io;

		part.offset += done;
		part.len = MIN(io->len - done, most);
		rc	 = run_one(nvme, &part);
	}
	return rc;
}

static int compare(struct nvme_device *nvme, tarn_dev_io *io)
{
	int rc;

	if (!nvme_is_one_command(nvme, io))
		return compare_by_reading(nvme, io, false);
	rc = run_one(nvme, io);
	return rc == -TARN_E_MISMATCH ? compare_by_reading(nvme, io, true) : rc;
}

int nvme_run(struct device *dev, tarn_dev_io *io)
{
	struct nvme_device *nvme = nvme_of(dev);

	switch ((tarn_dev_opcode)io->opcode) {
	case TARN_DEV_DISCARD:
		return discard(nvme, io);
	case TARN_DEV_WRITE_ZEROES:
		return write_zeroes(nvme, io);
	case TARN_DEV_COMPARE:
		return compare(nvme, io);
	case TARN_DEV_NOP:
		return 0;
	default:
		return run_one(nvme, io);
	}
}
