/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_log.c: any bytes as the log, from where the replay begins, of a pool that is else sound. */
#include "fuzz.h"

static struct superblock sb;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct device_queue *q;

	(void)argc, (void)argv;
	fuzz_image();
	if (device_queue_open(&medium->base, 4, &q) || superblock_read(&medium->base, q, &sb))
		abort();
	device_queue_close(q);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_poke((uint32_t)(sb.log_block + sb.log_pos), 0, data, MIN(size, (sb.log_blocks - sb.log_pos) * BLOCK));
	fuzz_use();
	return 0;
}

/* Each block that looks like a group's first gets the place, the number and the sums that it must have. */
static void repair(uint8_t *data, size_t size)
{
	uint64_t seq = sb.log_seq;

	for (size_t off = 0; off + GROUP_BYTES <= size;) {
		uint8_t *g = data + off;

		put32(g + GROUP_MAGIC, GROUP_MAGIC_NUMBER);
		put32(g + GROUP_BLOCKS, MAX(1u, get32(g + GROUP_BLOCKS) % 8));
		put64(g + GROUP_EPOCH, sb.log_epoch);
		put64(g + GROUP_SEQ, seq++);
		put64(g + GROUP_POS, sb.log_pos + off / BLOCK);
		put32(g + GROUP_FLAGS, get32(g + GROUP_FLAGS) & GROUP_LOOSE);
		memcpy(g + GROUP_TARGET, sb.target.bytes, 16);
		memset(g + GROUP_CHAIN, 0, 32);
		off += (size_t)get32(g + GROUP_BLOCKS) * BLOCK;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	if (seed % 8)
		repair(data, size);
	return size;
}
