/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_pool.c: a whole pool, changed in places. The input is a list of changes: which of the blocks in use (one byte), where in it
 * (two bytes), how many bytes and whether near the front (one byte), and up to eight bytes. So an input is short, and none is wasted on
 * blocks that nobody reads. A superblock is changed in all four copies. */
#include "fuzz.h"

#define CHANGE 12u

static uint32_t used[BLOCKS], used_n;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_image();
	memset(medium->read, 0, sizeof(medium->read));
	fuzz_use();
	for (uint32_t b = 0; b < BLOCKS; b++)
		if (medium->read[b])
			used[used_n++] = b;
	return 0;
}

static void apply_change(const uint8_t *c)
{
	static const uint32_t copies[] = { 0, 1, BLOCKS - 2, BLOCKS - 1 };
	uint32_t	      block = used[c[0] % used_n], width = 1u << (c[3] & 3);
	uint32_t	      off = get16(c + 1) % (c[3] & 4 ? 300 : BLOCK - 8);

	if (block > 1 && block < BLOCKS - 2)
		fuzz_poke(block, off, c + 4, width);
	else
		for (size_t i = 0; i < ARRAY_LEN(copies); i++)
			fuzz_poke(copies[i], off, c + 4, width);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t off = 0; off + CHANGE <= size && off < 16 * CHANGE; off += CHANGE)
		apply_change(data + off);
	fuzz_use();
	return 0;
}

/* Mostly a number that means something: small, an address, the old one plus one bit. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, MIN(max, 16 * CHANGE));
	if (size < CHANGE)
		return size;
	if (seed % 3 == 0)
		put64(data + 4, seed / 3 % 300);
	if (seed % 3 == 1)
		put64(data + 4, UINT64_C(1) << seed / 3 % 64);
	return size;
}
