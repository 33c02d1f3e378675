/* SPDX-License-Identifier: Apache-2.0 */
/* device/vector.c: the memory of an I/O, whether it is one buffer or a vector of pieces, seen as one run of bytes. */
#include "backend.h"

struct part {
	char	*memory;
	uint64_t len;
};

/* What is left of the piece that holds the I/O's byte `at`. */
static struct part part_at(const tarn_dev_io *io, uint64_t at)
{
	const tarn_dev_vec *piece = io->buf;

	if (!(io->flags & TARN_DEV_IO_VECTOR))
		return (struct part){ (char *)io->buf + at, io->len - at };
	for (; at >= piece->len; piece++)
		at -= piece->len;
	return (struct part){ (char *)piece->ptr + at, piece->len - at };
}

void device_copy_out(const tarn_dev_io *io, uint64_t from, void *to, uint64_t len)
{
	for (uint64_t done = 0, n; done < len; done += n) {
		struct part part = part_at(io, from + done);

		n = MIN(part.len, len - done);
		memcpy((char *)to + done, part.memory, n);
	}
}

void device_copy_in(const tarn_dev_io *io, uint64_t to, const void *from, uint64_t len)
{
	for (uint64_t done = 0, n; done < len; done += n) {
		struct part part = part_at(io, to + done);

		n = MIN(part.len, len - done);
		memcpy(part.memory, (const char *)from + done, n);
	}
}
