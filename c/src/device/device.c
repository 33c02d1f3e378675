/* SPDX-License-Identifier: Apache-2.0 */
/* device/device.c: what is the same for every device: what an I/O may look like.
 *
 * Always true: an I/O that breaks the device's geometry never reaches a backend. Nothing here is changed by an I/O, so nothing here
 * locks. Alignments are powers of two. */
#include "backend.h"

struct rule {
	const char *name;
	uint8_t	    flags;   /* that it may have */
	bool	    place;   /* it has an offset and a length */
	bool	    data;    /* it moves bytes from or to memory */
	bool	    changes; /* the device */
};

#define MOVES (TARN_DEV_IO_VECTOR | TARN_DEV_IO_FIXED)

static const struct rule rules[] = {
	[TARN_DEV_READ]		= { "read", MOVES, true, true, false },
	[TARN_DEV_WRITE]	= { "write", MOVES | TARN_DEV_IO_DURABLE, true, true, true },
	[TARN_DEV_FLUSH]	= { "flush", 0, false, false, false },
	[TARN_DEV_DISCARD]	= { "discard", 0, true, false, true },
	[TARN_DEV_WRITE_ZEROES] = { "write-zeroes", 0, true, false, true },
	[TARN_DEV_COMPARE]	= { "compare", 0, true, true, false },
	[TARN_DEV_ZONE_APPEND]	= { "zone append", 0, true, true, true },
	[TARN_DEV_NOP]		= { "no-op", 0, false, false, false },
};

const tarn_dev_info *device_info(const struct device *dev)
{
	return &dev->info;
}

void device_close(struct device *dev)
{
	struct device_bounce *bounce = dev->bounce;

	dev->backend->close(dev);
	device_bounce_destroy(bounce);
}

const char *device_opcode_name(tarn_dev_opcode opcode)
{
	return (unsigned)opcode < ARRAY_LEN(rules) ? rules[opcode].name : "command";
}

bool device_moves_data(tarn_dev_opcode opcode)
{
	return (unsigned)opcode < ARRAY_LEN(rules) && rules[opcode].data;
}

void device_io_finish(tarn_dev_io *io, int rc)
{
	io->rc	       = rc;
	io->message[0] = '\0';
	if (rc < 0)
		strncat(io->message, base_message(), sizeof(io->message) - 1);
}

static int fail_flags(const struct rule *rule, unsigned flags)
{
	if (flags & TARN_DEV_IO_DURABLE)
		return fail(INVAL, "durable %s: only a write can be", rule->name);
	if (flags & TARN_DEV_IO_VECTOR)
		return fail(INVAL, "%s of a vector: only a read or a write can be", rule->name);
	if (flags & TARN_DEV_IO_FIXED)
		return fail(INVAL, "%s with a registered buffer: only a read or a write has one", rule->name);
	return fail(INVAL, "%s with flags 0x%x: there are no such flags", rule->name, flags);
}

/* What does not depend on the place. */
static int check_command(const struct device *dev, const tarn_dev_io *io, const struct rule *rule)
{
	unsigned unknown = io->flags & ~(unsigned)rule->flags;

	if (unknown)
		return fail_flags(rule, unknown);
	if ((io->flags & MOVES) == MOVES)
		return fail(INVAL, "%s of a vector with a registered buffer: use one of the two flags", rule->name);
	if (rule->changes && dev->info.readonly)
		return fail(EP_RO, "%s refused: the device is open for reading only", rule->name);
	if (io->opcode == TARN_DEV_ZONE_APPEND && !dev->info.zoned)
		return fail(NOTSUPPORTED, "zone append: the device has no zones; use a write");
	return 0;
}

static int check_range(const tarn_dev_info *info, const tarn_dev_io *io, const char *what)
{
	if (!io->len)
		return fail(INVAL, "%s of 0 bytes at %llu", what, (unsigned long long)io->offset);
	if (io->len > info->size || io->offset > info->size - io->len)
		return fail(INVAL, "%s of %llu bytes at %llu: the device ends at %llu", what, (unsigned long long)io->len,
			    (unsigned long long)io->offset, (unsigned long long)info->size);
	return 0;
}

/* The vector's pieces are there, and add up. *bits collects what has to be aligned like a buffer. */
static int check_vector(const tarn_dev_io *io, const char *what, uintptr_t *bits, uint64_t *lens)
{
	const tarn_dev_vec *vec = io->buf;
	uint64_t	    sum = 0;

	if (!io->vec_count || io->vec_count > TARN_DEV_VEC_MAX)
		return fail(INVAL, "%s of a vector of %u pieces: use 1 to %u", what, io->vec_count, TARN_DEV_VEC_MAX);
	for (uint32_t i = 0; i < io->vec_count; i++) {
		if (!vec[i].ptr || !vec[i].len)
			return fail(INVAL, "%s: piece %u of the vector has no memory or no bytes", what, i);
		if (vec[i].len > io->len - sum)
			return fail(INVAL, "%s of %llu bytes: the vector's pieces up to %u are more", what,
				    (unsigned long long)io->len, i);
		sum += vec[i].len;
		*bits |= (uintptr_t)vec[i].ptr;
		*lens |= vec[i].len;
	}
	if (sum != io->len)
		return fail(INVAL, "%s of %llu bytes: the vector has %llu", what, (unsigned long long)io->len,
			    (unsigned long long)sum);
	return 0;
}

static int check_memory(const tarn_dev_io *io, const char *what, uintptr_t *bits, uint64_t *lens)
{
	if (!io->buf)
		return fail(INVAL, "%s of %llu bytes without a buffer", what, (unsigned long long)io->len);
	if (io->flags & TARN_DEV_IO_VECTOR)
		return check_vector(io, what, bits, lens);
	*bits = (uintptr_t)io->buf;
	return 0;
}

static int fail_piece(const tarn_dev_info *info, const tarn_dev_io *io, const char *what)
{
	const tarn_dev_vec *vec = io->buf;
	uint32_t	    i	= 0;

	while (i + 1 < io->vec_count && IS_ALIGNED(vec[i].len, info->offset_alignment) &&
	       IS_ALIGNED((uintptr_t)vec[i].ptr, info->memory_alignment))
		i++;
	if (!IS_ALIGNED((uintptr_t)vec[i].ptr, info->memory_alignment))
		return fail(INVAL, "%s: piece %u of the vector at %p: not a multiple of %u", what, i, vec[i].ptr,
			    info->memory_alignment);
	return fail(INVAL, "%s: piece %u of the vector of length %zu: not a multiple of %u", what, i, vec[i].len,
		    info->offset_alignment);
}

static int fail_alignment(const tarn_dev_info *info, const tarn_dev_io *io, const char *what)
{
	if (!IS_ALIGNED(io->offset, info->offset_alignment))
		return fail(INVAL, "%s at offset %llu: not a multiple of %u", what, (unsigned long long)io->offset,
			    info->offset_alignment);
	if (!IS_ALIGNED(io->len, info->offset_alignment))
		return fail(INVAL, "%s of length %llu: not a multiple of %u", what, (unsigned long long)io->len,
			    info->offset_alignment);
	if (io->flags & TARN_DEV_IO_VECTOR)
		return fail_piece(info, io, what);
	return fail(INVAL, "%s with a buffer at %p: not a multiple of %u", what, io->buf, info->memory_alignment);
}

/* A part of a block cannot be changed where blocks are written in order, once. An append has no place of its own to read. */
static bool may_bounce(const struct device *dev, const tarn_dev_io *io)
{
	bool whole_blocks = IS_ALIGNED(io->offset | io->len, dev->info.offset_alignment);

	return dev->bounce && (whole_blocks || !dev->info.zoned || !rules[io->opcode].changes);
}

/* What has a place: its range, memory, length and alignment. */
static int check_transfer(const struct device *dev, const tarn_dev_io *io, uint64_t longest)
{
	const tarn_dev_info *info = &dev->info;
	const char	    *what = rules[io->opcode].name;
	uint64_t	     lens = io->offset | io->len;
	uintptr_t	     bits = 0;
	int		     rc	  = check_range(info, io, what);

	if (!rc && rules[io->opcode].data)
		rc = check_memory(io, what, &bits, &lens);
	if (rc)
		return rc;
	if (rules[io->opcode].data && io->len > longest)
		return fail(INVAL, "%s of %llu bytes: at most %llu in one command", what, (unsigned long long)io->len,
			    (unsigned long long)longest);
	if (io->opcode == TARN_DEV_ZONE_APPEND && io->offset % info->zone_bytes)
		return fail(INVAL, "zone append at offset %llu: not the begin of a zone of %llu bytes",
			    (unsigned long long)io->offset, (unsigned long long)info->zone_bytes);
	if (IS_ALIGNED(lens, info->offset_alignment) && IS_ALIGNED(bits, info->memory_alignment))
		return 0;
	return may_bounce(dev, io) ? DEVICE_BOUNCES : fail_alignment(info, io, what);
}

int device_check_length(const struct device *dev, const tarn_dev_io *io, uint64_t longest)
{
	int rc;

	if (io->opcode >= ARRAY_LEN(rules))
		return fail(INVAL, "device command %d: there is none with that number", (int)io->opcode);
	rc = check_command(dev, io, &rules[io->opcode]);
	return rc || !rules[io->opcode].place ? rc : check_transfer(dev, io, longest);
}

int device_check_io(const struct device *dev, const tarn_dev_io *io)
{
	return device_check_length(dev, io, dev->info.max_transfer);
}

int device_settle_io(struct device *dev, tarn_dev_io *io)
{
	int rc = device_check_io(dev, io);

	return rc == DEVICE_BOUNCES ? device_bounce_run(dev, io) : rc;
}

static int fail_no_zones(const struct device *dev)
{
	return fail(NOTSUPPORTED, "%s has no zones: see zoned in its info", dev->info.uri);
}

int device_no_zones_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count)
{
	(void)offset, (void)zones, (void)count;
	return fail_no_zones(dev);
}

int device_no_zones_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len)
{
	(void)action, (void)offset, (void)len;
	return fail_no_zones(dev);
}

static int check_zone_offset(const tarn_dev_info *info, uint64_t offset)
{
	if (offset % info->zone_bytes || offset >= info->size)
		return fail(INVAL, "zone at offset %llu: use a multiple of %llu below %llu", (unsigned long long)offset,
			    (unsigned long long)info->zone_bytes, (unsigned long long)info->size);
	return 0;
}

int device_zone_report(struct device *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count)
{
	int rc = dev->info.zoned ? check_zone_offset(&dev->info, offset) : fail_no_zones(dev);

	if (!rc && (!count || !*count || !zones))
		return fail(INVAL, "zone report without room for a zone");
	return rc ? rc : dev->backend->zone_report(dev, offset, zones, count);
}

/* The last zone of a device may be a short one. */
static int check_zone_range(const tarn_dev_info *info, uint64_t offset, uint64_t len)
{
	int rc = check_zone_offset(info, offset);

	if (rc)
		return rc;
	if (!len || len > info->size - offset || (len % info->zone_bytes && len != info->size - offset))
		return fail(INVAL, "%llu bytes of zones at %llu: use a multiple of %llu, in a device of %llu",
			    (unsigned long long)len, (unsigned long long)offset, (unsigned long long)info->zone_bytes,
			    (unsigned long long)info->size);
	return 0;
}

int device_zone_manage(struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len)
{
	int rc;

	if (!dev->info.zoned)
		return fail_no_zones(dev);
	if (action > DEVICE_ZONE_RESET)
		return fail(INVAL, "zone action %d: there is none with that number", (int)action);
	rc = check_zone_range(&dev->info, offset, len);
	if (!rc && dev->info.readonly)
		rc = fail(EP_RO, "change of a zone refused: the device is open for reading only");
	return rc ? rc : dev->backend->zone_manage(dev, action, offset, len);
}
