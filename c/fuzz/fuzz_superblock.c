/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_superblock.c: any bytes as the superblock, in all four copies, of a pool that is else sound. */
#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_image();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t copies[] = { 0, 1, BLOCKS - 2, BLOCKS - 1 };
	struct store_identity identity;

	for (size_t i = 0; i < ARRAY_LEN(copies); i++)
		fuzz_poke(copies[i], 0, data, MIN(size, BLOCK));
	store_probe(&medium->base, &identity);
	fuzz_use();
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, MIN(max, BLOCK));
	if (size < SB_META)
		size = MIN(max, SB_META);
	if (size < SB_META)
		return size;
	if (seed % 8) { /* mostly one that gets past the first look */
		memcpy(data + SB_MAGIC, SB_MAGIC_TEXT, 8);
		put32(data + SB_VERSION, FORMAT_VERSION);
		put64(data + SB_BLOCKS, BLOCKS);
	}
	memset(data + SB_SUM, 0, 16);
	return size;
}
