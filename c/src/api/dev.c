/* SPDX-License-Identifier: Apache-2.0 */
/* api/dev.c: devices (tarn/dev.h). Past the engine, straight to the device layer. */
#include "dev.h"
#include "../device/list.h"
#include <stdatomic.h>
#include <stdlib.h>

int check_dev(const tarn_dev *dev)
{
	return dev ? 0 : fail(NO_HDL, "the device is NULL");
}

int dev_run(tarn_dev *dev, tarn_dev_io *io)
{
	int		  rc = check_dev(dev);
	_Atomic uint32_t *calls;

	if (rc)
		return rc;
	calls = handle_enter(&dev->handle);
	rc    = device_run(dev->device, io);
	handle_leave(calls);
	return rc;
}

/* ---- what there is ---- */

/* All there are, in memory of our own: a caller's structs may be of another size. */
static int list_all(tarn_dev_info **all, size_t *count)
{
	size_t room = 0;
	int    rc;

	*all = NULL;
	rc   = device_list(NULL, &room);
	if (rc)
		return rc;
	*count = room + 16; /* those that come meanwhile */
	*all   = calloc(*count, sizeof(**all));
	if (!*all)
		return fail(NOMEM, "no memory for a list of %zu devices", *count);
	return device_list(*all, count);
}

/* The caller's structs follow each other at the distance of the first one's size. */
static void give_all(tarn_dev_info *infos, const tarn_dev_info *all, size_t n)
{
	size_t bytes = n ? infos->struct_size : 0;
	char  *to    = (char *)infos;

	for (size_t i = 0; i < n; i++, to += bytes) {
		memcpy(to, &bytes, sizeof(bytes));
		struct_give(to, &all[i], sizeof(all[i]));
	}
}

static int list_into(tarn_dev_info *infos, size_t *count)
{
	tarn_dev_info *all;
	size_t	       n, room = *count;
	int	       rc = list_all(&all, &n);

	if (rc == 0) {
		give_all(infos, all, MIN(n, room));
		*count = n;
		if (n > room)
			rc = fail(TRUNC, "there are %zu devices, and room for %zu", n, room);
	}
	free(all);
	return rc;
}

int tarn_dev_list(tarn_dev_info *infos, size_t *count)
{
	int rc = 0;

	if (!count)
		return fail(INVAL,
			    "tarn_dev_list: count is NULL: it says how many infos there is room for, and takes their number");
	if (!infos) {
		*count = 0;
		return device_list(NULL, count);
	}
	if (*count) /* else there is no first one that says its size */
		rc = struct_check_info("tarn_dev_info", infos);
	return rc ? rc : list_into(infos, count);
}

int tarn_dev_query(const char *uri, tarn_dev_info *info)
{
	tarn_dev_info full;
	int	      rc = struct_check_info("tarn_dev_info", info);

	if (rc == 0)
		rc = device_query(uri, &full);
	if (rc == 0)
		struct_give(info, &full, sizeof(full));
	return rc;
}

/* ---- handles ---- */

static int fill_options(const tarn_dev_options *from, struct device_options *to)
{
	const uint32_t known =
		TARN_DEV_RDWR | TARN_DEV_CREATE | TARN_DEV_EXCLUSIVE | TARN_DEV_STRICT | TARN_DEV_BUFFERED | TARN_DEV_BOUNCE;
	tarn_dev_options o;
	int		 rc = options_copy("tarn_dev_options", &o, sizeof(o), from);

	if (rc)
		return rc;
	if (o.flags & ~known)
		return fail(INVAL, "tarn_dev_open: the flags 0x%x are not known", o.flags & ~known);
	if (o.flags & TARN_DEV_CREATE && !(o.flags & TARN_DEV_RDWR))
		return fail(INVAL, "tarn_dev_open: a file that is made is open for writing: TARN_DEV_CREATE needs TARN_DEV_RDWR");
	if (o.create_bytes && !(o.flags & TARN_DEV_CREATE))
		return fail(INVAL, "tarn_dev_open: create_bytes is %llu, and TARN_DEV_CREATE is not among the flags",
			    (unsigned long long)o.create_bytes);
	*to = (struct device_options){ .create	  = o.flags & TARN_DEV_CREATE,
				       .size	  = o.create_bytes,
				       .readonly  = !(o.flags & TARN_DEV_RDWR),
				       .exclusive = o.flags & TARN_DEV_EXCLUSIVE,
				       .strict	  = o.flags & TARN_DEV_STRICT,
				       .buffered  = o.flags & TARN_DEV_BUFFERED,
				       .bounce	  = o.flags & TARN_DEV_BOUNCE,
				       .backend	  = o.backend };
	return 0;
}

/* What was named is what does the I/O: memory has no io_uring. */
static int check_backend(const char *uri, const char *name, const struct device *device)
{
	const char *has = device_info(device)->backend;

	if (name && *name && strcmp(name, has) != 0)
		return fail(INVAL, "%s has no backend \"%s\": it has %s", uri, name, has);
	return 0;
}

static int open_device(const char *uri, const struct device_options *options, struct device **device)
{
	int rc = device_open(uri, options, device);

	if (rc)
		return rc;
	rc = check_backend(uri, options->backend, *device);
	if (rc)
		device_close(*device);
	return rc;
}

int tarn_dev_open(const char *uri, const tarn_dev_options *options, tarn_dev **out)
{
	struct device_options internal;
	tarn_dev	     *dev;
	int		      rc = fill_options(options, &internal);

	if (rc)
		return rc;
	if (!out)
		return fail(INVAL, "tarn_dev_open: there is no place for the handle (NULL)");
	*out = NULL;
	dev  = calloc(1, sizeof(*dev));
	if (!dev)
		return fail(NOMEM, "no memory to open a device");
	rc = open_device(uri, &internal, &dev->device);
	if (rc)
		free(dev);
	else
		*out = dev;
	return rc;
}

int tarn_dev_close(tarn_dev *dev)
{
	int rc = check_dev(dev);

	if (rc == 0)
		rc = handle_check_idle(&dev->handle, "device", "queues");
	if (rc)
		return rc;
	device_close(dev->device);
	free(dev);
	return 0;
}

int tarn_dev_get_info(tarn_dev *dev, tarn_dev_info *info)
{
	tarn_dev_info full;
	int	      rc = check_dev(dev);

	if (rc == 0)
		rc = struct_check_info("tarn_dev_info", info);
	if (rc)
		return rc;
	full	     = *device_info(dev->device);
	full.bounced = device_bounced(dev->device);
	struct_give(info, &full, sizeof(full));
	return 0;
}

/* ---- I/O that waits ---- */

int tarn_dev_read(tarn_dev *dev, uint64_t offset, void *buf, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_READ, .offset = offset, .buf = buf, .len = len };

	return dev_run(dev, &io);
}

static int write_flags(uint32_t flags, uint8_t *io_flags)
{
	if (flags & ~TARN_DEV_DURABLE)
		return fail(INVAL, "write to a device: the flags 0x%x are not known", flags & ~TARN_DEV_DURABLE);
	*io_flags |= flags ? TARN_DEV_IO_DURABLE : 0;
	return 0;
}

/* A write only reads its buffer. */
static void *unconst(const void *p)
{
	return (void *)(uintptr_t)p;
}

int tarn_dev_write(tarn_dev *dev, uint64_t offset, const void *buf, uint64_t len, uint32_t flags)
{
	tarn_dev_io io = { .opcode = TARN_DEV_WRITE, .offset = offset, .buf = unconst(buf), .len = len };
	int	    rc = write_flags(flags, &io.flags);

	return rc ? rc : dev_run(dev, &io);
}

static int vector_len(const tarn_dev_vec *vec, uint32_t n, uint64_t *len)
{
	*len = 0;
	if (!vec || n == 0 || n > TARN_DEV_VEC_MAX)
		return fail(INVAL, "a vector has 1 to %u pieces: this one has %u", TARN_DEV_VEC_MAX, vec ? n : 0);
	for (uint32_t i = 0; i < n; i++)
		if (__builtin_add_overflow(*len, vec[i].len, len))
			return fail(INVAL, "the lengths of the first %u pieces of the vector add up to over 2^64 bytes", i + 1);
	return 0;
}

static int run_vector(tarn_dev *dev, tarn_dev_io *io, const tarn_dev_vec *vec, uint32_t n)
{
	int rc = vector_len(vec, n, &io->len);

	io->flags |= TARN_DEV_IO_VECTOR;
	io->buf	      = unconst(vec);
	io->vec_count = n;
	return rc ? rc : dev_run(dev, io);
}

int tarn_dev_readv(tarn_dev *dev, uint64_t offset, const tarn_dev_vec *vec, uint32_t n)
{
	tarn_dev_io io = { .opcode = TARN_DEV_READ, .offset = offset };

	return run_vector(dev, &io, vec, n);
}

int tarn_dev_writev(tarn_dev *dev, uint64_t offset, const tarn_dev_vec *vec, uint32_t n, uint32_t flags)
{
	tarn_dev_io io = { .opcode = TARN_DEV_WRITE, .offset = offset };
	int	    rc = write_flags(flags, &io.flags);

	return rc ? rc : run_vector(dev, &io, vec, n);
}

int tarn_dev_flush(tarn_dev *dev)
{
	tarn_dev_io io = { .opcode = TARN_DEV_FLUSH };

	return dev_run(dev, &io);
}

int tarn_dev_discard(tarn_dev *dev, uint64_t offset, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_DISCARD, .offset = offset, .len = len };

	return dev_run(dev, &io);
}

int tarn_dev_write_zeroes(tarn_dev *dev, uint64_t offset, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_WRITE_ZEROES, .offset = offset, .len = len };

	return dev_run(dev, &io);
}

int tarn_dev_compare(tarn_dev *dev, uint64_t offset, const void *buf, uint64_t len)
{
	tarn_dev_io io = { .opcode = TARN_DEV_COMPARE, .offset = offset, .buf = unconst(buf), .len = len };

	return dev_run(dev, &io);
}

/* ---- memory ---- */

void *tarn_dev_alloc(size_t len, uint32_t flags)
{
	if (!len || flags & ~TARN_DEV_HUGE)
		return NULL;
	return flags ? device_alloc_huge(len) : device_alloc_large(len);
}

void tarn_dev_free(void *buf, size_t len, uint32_t flags)
{
	if (!buf)
		return;
	if (flags & TARN_DEV_HUGE)
		device_free_huge(buf, len);
	else
		device_free_large(buf, len);
}
