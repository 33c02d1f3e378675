/* SPDX-License-Identifier: Apache-2.0 */
/* store/layout.h: what is where on disk, and the only file with offsets.
 *
 *   block 0, 1          superblock copies 0 and 1
 *   block 2 ...         the log, a ring
 *   ...                 nodes, extents, the space map, in any order
 *   last two blocks     superblock copies 2 and 3
 *
 * All numbers are little-endian. A block has 4096 bytes; addresses count blocks. A block pointer holds the checksum, the length and
 * the birth generation of what it points to, so the four superblocks cover everything; each superblock holds its own checksum.
 * Copies 0 and 2 are written and flushed before copies 1 and 3 are, so two copies are whole at any instant, and the newest whole copy
 * is the truth. */
#ifndef TARN_STORE_LAYOUT_H
#define TARN_STORE_LAYOUT_H

#include "../base/base.h"

#define BLOCK	       4096u
#define FORMAT_VERSION 1u
#define SB_COPIES      4u

/* Superblock. The first 40 bytes keep their meaning in every version. */
enum {
	SB_MAGIC      = 0,   /* 8 bytes */
	SB_VERSION    = 8,   /* u32 */
	SB_COMPAT     = 16,  /* u64: features that an older library may ignore */
	SB_RO_COMPAT  = 24,  /* u64: ... may ignore when it only reads */
	SB_INCOMPAT   = 32,  /* u64: ... may not ignore */
	SB_SUM	      = 40,  /* hash128 of the block with this field zero */
	SB_POOL	      = 56,  /* uuid */
	SB_TARGET     = 72,  /* uuid */
	SB_GENERATION = 88,  /* u64 */
	SB_BLOCKS     = 96,  /* u64: size of the store */
	SB_LOG_BLOCK  = 104, /* u64: first block of the ring */
	SB_LOG_BLOCKS = 112, /* u64 */
	SB_NODE_BYTES = 120, /* u32 */
	SB_META_LEN   = 124, /* u32 */
	SB_LOG_EPOCH  = 128, /* u64: of the groups to replay */
	SB_LOG_POS    = 136, /* u64: where in the ring the first of them is */
	SB_LOG_SEQ    = 144, /* u64: its number */
	SB_LSN	      = 152, /* u64: of the last operation in the trees */
	SB_LOG_CHAIN  = 160, /* hash128 that its chain field must repeat */
	SB_ROOT	      = 176, /* block pointer of tree 0 */
	SB_SPACE      = 216, /* block pointer of the space map's index */
	SB_FREE	      = 256, /* u64: free blocks */
	SB_META	      = 512, /* the upper layer's record */
	SB_META_MAX   = 2048,
};
#define SB_MAGIC_TEXT "TARNPOOL"

/* Block pointer. */
enum { BPTR_ADDR = 0, BPTR_LEN = 8, BPTR_FLAGS = 12, BPTR_BIRTH = 16, BPTR_SUM = 24, BPTR_BYTES = 40 };
#define BPTR_GANG 1u /* addr is a gang block: a list of the pieces; the checksum is seeded with the gang block's hash */

struct bptr {
	uint64_t       addr; /* block; 0: points to nothing; VIRTUAL: a dirty page in the cache, by its number */
	uint32_t       len;  /* bytes, a multiple of BLOCK */
	uint32_t       flags;
	uint64_t       birth; /* the generation that wrote it */
	struct hash128 sum;
};

/* Gang block: what a node or a map becomes when no run of free blocks is long enough. */
enum { GANG_MAGIC = 0, GANG_COUNT = 4, GANG_PIECES = 16, GANG_PIECE_BYTES = 12 /* u64 block, u32 blocks */ };
#define GANG_MAGIC_NUMBER 0x474e4754u
#define GANG_PIECES_MAX	  ((BLOCK - GANG_PIECES) / GANG_PIECE_BYTES)

/* Node: header, slots (u32 offsets of entries, in key order), a gap, entries. */
enum {
	NODE_MAGIC = 0,	 /* u32 */
	NODE_LEVEL = 4,	 /* u8: 0 is a leaf */
	NODE_COUNT = 8,	 /* u32 */
	NODE_HEAP  = 12, /* u32: where entries begin */
	NODE_POOL  = 16, /* first 8 bytes of the pool's uuid */
	NODE_TREE  = 24, /* u64 */
	NODE_BIRTH = 32, /* u64 */
	NODE_ADDR  = 40, /* u64: its own */
	NODE_SLOTS = 64,
};
#define NODE_MAGIC_NUMBER 0x444f4e54u
#define NODE_MAX	  (512u * 1024) /* bytes; keys of 64 KiB, and an insert splits once */

/* Leaf entry: key, then the value, or the descriptor of a value in extents. */
enum { LEAF_KLEN = 0, LEAF_VLEN = 4, LEAF_REV = 8, LEAF_KEY = 16 };
#define LEAF_EXTENTS 0x80000000u /* in VLEN: a descriptor */

/* Inner entry: what is below, how many keys that has, and the lowest key there may be. Slot 0 bounds nothing. */
enum { INNER_KLEN = 0, INNER_CHILD = 8, INNER_KEYS = 48, INNER_KEY = 56 };

/* Descriptor of a value in extents. With level 0 the pointers are the value's pieces in order; above, they point to index blocks
 * full of pointers of the level below. Each piece but the last is full. */
enum { EXT_SIZE = 0, EXT_LEVEL = 8, EXT_COUNT = 12, EXT_PTRS = 16 };
#define EXT_INLINE_PTRS 8u
#define EXT_LEVEL_MAX	4u
#define EXT_PIECE_MAX	(1u << 20)
#define EXT_INDEX_MAX	65536u
#define EXT_BYTES_MAX	(EXT_PTRS + EXT_INLINE_PTRS * BPTR_BYTES)

/* Log group: header, records, zeros to the end of a block. A group does not wrap: what does not fit before the end of the ring
 * begins at 0. It is written only after the group before it is durable, so `seq` states the durable frontier: all before it. */
enum {
	GROUP_MAGIC  = 0,  /* u32 */
	GROUP_BLOCKS = 4,  /* u32 */
	GROUP_EPOCH  = 8,  /* u64 */
	GROUP_SEQ    = 16, /* u64 */
	GROUP_POS    = 24, /* u64: its own place in the ring */
	GROUP_LEN    = 32, /* u32: bytes of records */
	GROUP_TARGET = 40, /* uuid */
	GROUP_CHAIN  = 56, /* hash128: GROUP_SUM of the group before */
	GROUP_SUM    = 72, /* hash128 of all its blocks with this field zero */
	GROUP_BYTES  = 96,
};
#define GROUP_MAGIC_NUMBER 0x474f4c54u

/* Log record: one batch. Then its mutations. */
enum { REC_LEN = 0, REC_COUNT = 4, REC_LSN = 8, REC_BYTES = 16 };
enum { MUT_CHANGE = 0, MUT_EXTENTS = 1, MUT_KLEN = 4, MUT_TREE = 8, MUT_VLEN = 16, MUT_BYTES = 24 };

/* Record of a tree in tree 0, under its id in big-endian. */
enum { TREE_ROOT = 0, TREE_KEYS = 40, TREE_BYTES = 48 };

/* A page of the space map: one bit a block, 1: in use. */
#define MAP_BITS (BLOCK * 8u)

_Static_assert(SB_SPACE + BPTR_BYTES <= SB_FREE && SB_FREE + 8 <= SB_META && SB_META + SB_META_MAX <= BLOCK, "superblock");
_Static_assert(BPTR_SUM + 16 == BPTR_BYTES && INNER_CHILD + BPTR_BYTES == INNER_KEYS, "block pointer");
_Static_assert(GROUP_SUM + 16 <= GROUP_BYTES && NODE_ADDR + 8 <= NODE_SLOTS, "headers");

static inline struct bptr bptr_get(const void *p)
{
	const uint8_t *b = p;
	struct bptr ptr	 = { get64(b + BPTR_ADDR), get32(b + BPTR_LEN), get32(b + BPTR_FLAGS), get64(b + BPTR_BIRTH), { { 0 } } };

	memcpy(ptr.sum.bytes, b + BPTR_SUM, 16);
	return ptr;
}

static inline void bptr_put(void *p, const struct bptr *ptr)
{
	uint8_t *b = p;

	put64(b + BPTR_ADDR, ptr->addr);
	put32(b + BPTR_LEN, ptr->len);
	put32(b + BPTR_FLAGS, ptr->flags);
	put64(b + BPTR_BIRTH, ptr->birth);
	memcpy(b + BPTR_SUM, ptr->sum.bytes, 16);
}

#endif
