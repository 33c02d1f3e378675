/* SPDX-License-Identifier: Apache-2.0 */
/* store/superblock.c: four copies of the root of everything.
 *
 * Copies 0 and 2 are made durable before copies 1 and 3 are written. So at any instant two copies are whole, and what a newer copy
 * refers to is durable already: the newest whole copy is the truth, and any one of the four is enough. */
#include "internal.h"

static uint64_t copy_block(unsigned copy, uint64_t blocks)
{
	return copy < 2 ? copy : blocks - 4 + copy;
}

static void encode(const struct superblock *sb, uint8_t *b)
{
	memset(b, 0, BLOCK);
	memcpy(b + SB_MAGIC, SB_MAGIC_TEXT, 8);
	put32(b + SB_VERSION, FORMAT_VERSION);
	memcpy(b + SB_POOL, sb->pool.bytes, 16);
	memcpy(b + SB_TARGET, sb->target.bytes, 16);
	put64(b + SB_GENERATION, sb->generation);
	put64(b + SB_BLOCKS, sb->blocks);
	put64(b + SB_LOG_BLOCK, sb->log_block);
	put64(b + SB_LOG_BLOCKS, sb->log_blocks);
	put32(b + SB_NODE_BYTES, sb->node_bytes);
	put32(b + SB_META_LEN, sb->meta_len);
	put64(b + SB_LOG_EPOCH, sb->log_epoch);
	put64(b + SB_LOG_POS, sb->log_pos);
	put64(b + SB_LOG_SEQ, sb->log_seq);
	put64(b + SB_LSN, sb->lsn);
	memcpy(b + SB_LOG_CHAIN, sb->log_chain.bytes, 16);
	bptr_put(b + SB_ROOT, &sb->root);
	bptr_put(b + SB_SPACE, &sb->space);
	put64(b + SB_FREE, sb->free_blocks);
	memcpy(b + SB_META, sb->meta, sb->meta_len);
	memcpy(b + SB_SUM, hash128(b, BLOCK).bytes, 16);
}

static bool sum_ok(uint8_t *b)
{
	struct hash128 sum;
	bool	       ok;

	memcpy(sum.bytes, b + SB_SUM, 16);
	memset(b + SB_SUM, 0, 16);
	ok = hash128_equal(hash128(b, BLOCK), sum);
	memcpy(b + SB_SUM, sum.bytes, 16);
	return ok;
}

/* A right checksum is not trust: every number is looked at. */
static bool sane(const struct superblock *sb)
{
	return sb->blocks >= 8 && sb->blocks < UINT64_C(1) << 48 && sb->log_block == 2 && sb->log_blocks >= LOG_BLOCKS_MIN &&
	       sb->log_blocks <= sb->blocks - 4 && sb->log_pos < sb->log_blocks && sb->node_bytes >= 512 &&
	       sb->node_bytes <= 65536 && sb->meta_len <= SB_META_MAX && sb->generation < UINT64_C(1) << 62;
}

static bool decode(uint8_t *b, struct superblock *sb)
{
	if (memcmp(b + SB_MAGIC, SB_MAGIC_TEXT, 8) != 0 || get32(b + SB_VERSION) != FORMAT_VERSION || !sum_ok(b))
		return false;
	memcpy(sb->pool.bytes, b + SB_POOL, 16);
	memcpy(sb->target.bytes, b + SB_TARGET, 16);
	sb->generation = get64(b + SB_GENERATION);
	sb->blocks     = get64(b + SB_BLOCKS);
	sb->log_block  = get64(b + SB_LOG_BLOCK);
	sb->log_blocks = get64(b + SB_LOG_BLOCKS);
	sb->node_bytes = get32(b + SB_NODE_BYTES);
	sb->meta_len   = get32(b + SB_META_LEN);
	sb->log_epoch  = get64(b + SB_LOG_EPOCH);
	sb->log_pos    = get64(b + SB_LOG_POS);
	sb->log_seq    = get64(b + SB_LOG_SEQ);
	sb->lsn	       = get64(b + SB_LSN);
	memcpy(sb->log_chain.bytes, b + SB_LOG_CHAIN, 16);
	sb->root	= bptr_get(b + SB_ROOT);
	sb->space	= bptr_get(b + SB_SPACE);
	sb->free_blocks = get64(b + SB_FREE);
	if (!sane(sb))
		return false;
	memcpy(sb->meta, b + SB_META, sb->meta_len);
	return true;
}

struct search {
	struct superblock best;
	bool		  found;
	int		  io_rc;    /* of the last copy that could not be read */
	uint32_t	  version;  /* of a copy that has another one */
	uint64_t	  incompat; /* of a copy that has some */
	bool		  magic;    /* a copy has the magic, whatever else */
};

static void look_at(struct device_queue *q, uint64_t block, uint8_t *b, struct search *f)
{
	struct superblock sb = { 0 };
	int		  rc = device_read(q, block * BLOCK, b, BLOCK);

	if (rc) {
		f->io_rc = rc;
		return;
	}
	if (memcmp(b + SB_MAGIC, SB_MAGIC_TEXT, 8) != 0)
		return;
	f->magic = true;
	if (get32(b + SB_VERSION) != FORMAT_VERSION)
		f->version = get32(b + SB_VERSION);
	else if (decode(b, &sb) && get64(b + SB_INCOMPAT) | get64(b + SB_RO_COMPAT))
		f->incompat = get64(b + SB_INCOMPAT) | get64(b + SB_RO_COMPAT);
	else if (decode(b, &sb) && (!f->found || sb.generation > f->best.generation)) {
		f->best	 = sb;
		f->found = true;
	}
}

static int verdict(const struct search *f, uint64_t size)
{
	if (f->found && f->best.blocks * BLOCK > size)
		return fail(DF_INVAL,
			    "the pool has %llu bytes but its device only %llu: it was truncated; restore the rest of it",
			    (unsigned long long)(f->best.blocks * BLOCK), (unsigned long long)size);
	if (f->found)
		return 0;
	if (f->incompat)
		return fail(DF_INCOMPT, "the pool uses features 0x%llx that this library does not know: use a newer one",
			    (unsigned long long)f->incompat);
	if (f->version)
		return fail(DF_INCOMPT, "the pool has format version %u, this library knows version %u: use a newer one",
			    f->version, FORMAT_VERSION);
	if (f->io_rc)
		return f->io_rc;
	if (f->magic)
		return fail(CSUM, "all superblocks of the pool that could be found are damaged");
	return fail(DF_INVAL,
		    "there is no superblock at either end of these %llu bytes: not a pool, or the beginning and the end are lost",
		    (unsigned long long)size);
}

int superblock_read(struct device *dev, struct device_queue *q, struct superblock *sb)
{
	uint64_t      blocks = device_size(dev) / BLOCK;
	struct search f	     = { 0 };
	uint8_t	     *b;
	int	      rc;

	if (blocks < 4)
		return fail(DF_INVAL, "a device of %llu bytes is too small for a pool: it was truncated, or is none",
			    (unsigned long long)device_size(dev));
	b = device_alloc(BLOCK);
	if (!b)
		return fail(NOMEM, "no memory to read a superblock");
	for (unsigned copy = 0; copy < SB_COPIES; copy++)
		look_at(q, copy_block(copy, blocks), b, &f);
	if (f.found && f.best.blocks < blocks) /* the device has grown since */
		for (unsigned copy = 2; copy < SB_COPIES; copy++)
			look_at(q, copy_block(copy, f.best.blocks), b, &f);
	device_free(b);
	rc = verdict(&f, device_size(dev));
	if (!rc)
		*sb = f.best;
	return rc;
}

int superblock_write(struct device_queue *q, const struct superblock *sb)
{
	uint8_t *b  = device_alloc(BLOCK);
	int	 rc = 0;

	if (!b)
		return fail(NOMEM, "no memory to write a superblock");
	encode(sb, b);
	for (unsigned phase = 0; !rc && phase < 2; phase++) {
		rc = device_write(q, copy_block(phase, sb->blocks) * BLOCK, b, BLOCK);
		rc = rc ? rc : device_write(q, copy_block(phase + 2, sb->blocks) * BLOCK, b, BLOCK);
		rc = rc ? rc : device_flush(q);
	}
	device_free(b);
	return rc;
}
