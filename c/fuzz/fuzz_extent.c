/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_extent.c: any bytes as the descriptor of a value in extents; what follows it is a block that it may point to as its index. */
#include "fuzz.h"

#define INDEX_BLOCK 200u

static struct store *store;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_image();
	if (fuzz_open(&store))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t		desc[EXT_BYTES_MAX];
	uint32_t	len    = (uint32_t)MIN(size, sizeof(desc));
	struct run_list runs   = { .n = 0 };
	struct bptr    *pieces = NULL;
	size_t		n;
	bool		whole;

	memcpy(desc, data, len);
	fuzz_poke(INDEX_BLOCK, 0, data + len, MIN(size - len, BLOCK));
	if (!value_sane(desc, len))
		return 0;
	value_size(desc);
	value_runs(store, desc, len, &runs);
	free(runs.runs);
	if (!value_pieces(store, desc, &pieces, &n))
		value_piece_max(pieces, n);
	free(pieces);
	value_verify(store, desc, &whole);
	return 0;
}

static void repair_pointer(uint8_t *p)
{
	struct bptr ptr = bptr_get(p);

	ptr.addr = ptr.addr % 5 ? INDEX_BLOCK : ptr.addr % BLOCKS;
	ptr.len	 = ptr.addr % 3 ? BLOCK : ptr.len;
	memset(ptr.sum.bytes, 0, sizeof(ptr.sum.bytes));
	bptr_put(p, &ptr);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size_t n;

	size = LLVMFuzzerMutate(data, size, max);
	if (size < EXT_PTRS + BPTR_BYTES || seed % 8 == 0)
		return size;
	n = MIN((size - EXT_PTRS) / BPTR_BYTES, EXT_INLINE_PTRS);
	put32(data + EXT_COUNT, (uint32_t)n);
	put32(data + EXT_LEVEL, get32(data + EXT_LEVEL) % (EXT_LEVEL_MAX + 1));
	put64(data + EXT_SIZE, get64(data + EXT_SIZE) % (1u << 20));
	for (size_t off = EXT_PTRS; off + BPTR_BYTES <= MIN(size, EXT_BYTES_MAX + BLOCK); off += BPTR_BYTES)
		repair_pointer(data + off);
	return n < EXT_INLINE_PTRS ? EXT_PTRS + n * BPTR_BYTES : size;
}
