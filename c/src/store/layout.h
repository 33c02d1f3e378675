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
#define FORMAT_VERSION 3u
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
	SB_SPACE      = 208, /* block pointer of the space map's index */
	SB_FREE	      = 240, /* u64: free blocks */
	SB_META	      = 512, /* the upper layer's record */
	SB_META_MAX   = 2048,
};
#define SB_MAGIC_TEXT "TARNPOOL"

/* Block pointer. The first word: 40 bits of address, 16 of length in blocks, 8 of flags. */
enum { BPTR_WHERE = 0, BPTR_BIRTH = 8, BPTR_SUM = 16, BPTR_BYTES = 32 };
#define BPTR_GANG    1u	   /* addr is a gang block: a list of the pieces; the checksum is seeded with the gang block's hash */
#define BPTR_EXTENTS 2u	   /* of a node: a value in extents is in it, or below it */
#define BPTR_VIRTUAL 0x80u /* in memory only: addr is the number of a dirty page in the cache */
#define BPTR_FLAGS   (BPTR_GANG | BPTR_EXTENTS)
#define ADDR_BITS    40

struct bptr {
	uint64_t       addr; /* block; 0: points to nothing; VIRTUAL and a number: a dirty page in the cache */
	uint32_t       len;  /* bytes, a multiple of BLOCK, at most 65535 blocks */
	uint32_t       flags;
	uint64_t       birth; /* the generation that made it */
	struct hash128 sum;
};
#define VIRTUAL (UINT64_C(1) << ADDR_BITS) /* in bptr.addr and in a frame's id */

/* Gang block: what a node or a map becomes when no run of free blocks is long enough. */
enum { GANG_MAGIC = 0, GANG_COUNT = 4, GANG_PIECES = 16, GANG_PIECE_BYTES = 12 /* u64 block, u32 blocks */ };
#define GANG_MAGIC_NUMBER 0x474e4754u
#define GANG_PIECES_MAX	  ((BLOCK - GANG_PIECES) / GANG_PIECE_BYTES)

/* Node: header, slots in key order, a gap, and from NODE_HEAP on entries, then the high fence and the low one at the end. All keys k in it or below it
 * are low <= k < high (no high fence: no bound), and begin with the prefix, which both fences share; entries leave it out. */
enum {
	NODE_MAGIC    = 0,  /* u32 */
	NODE_LEVEL    = 4,  /* u8: 0 is a leaf */
	NODE_COUNT    = 8,  /* u32 */
	NODE_HEAP     = 12, /* u32: where entries and fences begin */
	NODE_POOL     = 16, /* first 8 bytes of the pool's uuid */
	NODE_TREE     = 24, /* u64 */
	NODE_BIRTH    = 32, /* u64 */
	NODE_ADDR     = 40, /* u64: its own */
	NODE_HOLES    = 48, /* u32: bytes behind NODE_HEAP that nothing uses */
	NODE_PREFIX   = 52, /* u32: bytes of the prefix, the first of the low fence */
	NODE_LOW      = 56, /* u32: where the low fence is */
	NODE_LOW_LEN  = 60, /* u32 */
	NODE_HIGH     = 64, /* u32: 0: there is none */
	NODE_HIGH_LEN = 68, /* u32 */
	NODE_SLOTS    = 72,
};
#define NODE_MAGIC_NUMBER 0x444f4e54u
#define NODE_MAX	  (512u * 1024) /* bytes; keys of 64 KiB, and an insert splits once */

/* Slot: the first four bytes of the key behind the prefix as a big-endian number (missing bytes are 0), and where the entry is. */
enum { SLOT_HEAD = 0, SLOT_ENTRY = 4, SLOT_BYTES = 8 };

/* Leaf entry: lengths, revision, the key behind the prefix, then the value or the descriptor of a value in extents. */
enum { LEAF_LENS = 0, LEAF_REV = 4, LEAF_KEY = 12 };
#define LEAF_KLEN_BITS 17u	  /* the low bits of LEAF_LENS */
#define LEAF_EXTENTS   (1u << 17) /* a descriptor */
#define LEAF_VLEN_BITS 14u	  /* the high bits */
#define LEAF_VALUE_MAX ((1u << LEAF_VLEN_BITS) - 1)

/* Inner entry: what is below and how many keys that has, and the lowest key there may be (behind the prefix). Slot 0 has an empty one: the
 * low fence is its bound. INNER_ZERO is 0. */
enum { INNER_KLEN = 0, INNER_ZERO = 4, INNER_CHILD = 8, INNER_KEYS = 40, INNER_KEY = 48 };

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
	GROUP_FLAGS  = 36, /* u32 */
	GROUP_TARGET = 40, /* uuid */
	GROUP_CHAIN  = 56, /* hash128: GROUP_SUM of the group before */
	GROUP_SUM    = 72, /* hash128 of all its blocks with this field zero */
	GROUP_LSN    = 88, /* u64: of its first record; the others count on from there */
	GROUP_BYTES  = 96,
};
#define GROUP_MAGIC_NUMBER 0x474f4c54u
#define GROUP_LOOSE	   1u /* the values that it names may not have been durable when it was written */

/* Log record: one batch, its mutations one after the other. A mutation is a byte of flags and the change; its tree, unless that is the tree of
 * the mutation before it in the group (0 before the first); how many bytes its key begins with that the last key before it in the group begins with, if any (u8);
 * how long the rest of the key and the value are; these two. Numbers have seven bits in a byte, the low ones first, and the high bit in each
 * byte but the last. Of UNSNAP the value is the epoch, a u64; of a value in extents it is the descriptor. */
enum {
	RECORD_CHANGE	 = 0x07, /* enum store_change */
	RECORD_EXTENTS	 = 0x08, /* the value is a descriptor */
	RECORD_MORE	 = 0x10, /* the record has another mutation */
	RECORD_SAME_TREE = 0x20,
	RECORD_SHARED	 = 0x40,
	RECORD_HEAD	 = 0x7f,
};
#define RECORD_SHARED_MIN 2u
#define RECORD_SHARED_MAX 255u
#define RECORD_BYTES_MIN  4u

/* Record of a tree in tree 0, under its id in big-endian. */
enum { TREE_ROOT = 0, TREE_KEYS = 32, TREE_BYTES = 40 };

/* Record of a snapshot in tree TREE_SNAPS, under the tree's id and the epoch, both in big-endian. */
enum { SNAP_ROOT = 0, SNAP_KEYS = 32, SNAP_GEN = 40, SNAP_BYTES = 48 };

/* Blocks that only snapshots need, in tree TREE_DEAD: under the tree's id, the generation of the newest snapshot that needs them, the
 * generation of their birth and the first block, all in big-endian; the value is their number, a u32. */
#define DEAD_KEY_BYTES 32u
enum { TREE_SNAPS = 2, TREE_DEAD = 3 }; /* trees 0, 2 and 3 are the engine's own: changed by checkpoints only, and never logged */

/* A page of the space map: one bit a block, 1: in use. */
#define MAP_BITS (BLOCK * 8u)

/* The index of the space map: for each chunk of MAP_BITS blocks an entry, in pages of one block. The superblock points to the blob that
 * holds the pointers to these pages. */
enum {
	INDEX_PAGE  = 0,  /* block pointer; addr 0: the chunk is wholly free */
	INDEX_FREE  = 32, /* u32: blocks that its page has as free */
	INDEX_BYTES = 40,
};
#define INDEX_ENTRIES (BLOCK / INDEX_BYTES)

_Static_assert(SB_SPACE + BPTR_BYTES <= SB_FREE && SB_FREE + 8 <= SB_META && SB_META + SB_META_MAX <= BLOCK, "superblock");
_Static_assert(BPTR_SUM + 16 == BPTR_BYTES && INNER_CHILD + BPTR_BYTES == INNER_KEYS, "block pointer");
_Static_assert(INDEX_PAGE + BPTR_BYTES == INDEX_FREE && INDEX_FREE + 8 == INDEX_BYTES, "an entry of the space map's index");
_Static_assert(GROUP_SUM + 16 == GROUP_LSN && GROUP_LSN + 8 == GROUP_BYTES && NODE_HIGH_LEN + 4 <= NODE_SLOTS, "headers");
_Static_assert(LEAF_KLEN_BITS + 1 + LEAF_VLEN_BITS == 32 && TARN_KEY_MAX + 16 < 1u << LEAF_KLEN_BITS, "a leaf entry's lengths");

static inline struct bptr bptr_get(const void *p)
{
	const uint8_t *b     = p;
	uint64_t       w     = get64(b + BPTR_WHERE);
	uint32_t       flags = (uint32_t)(w >> 56);
	struct bptr    ptr   = { .addr	= w & (VIRTUAL - 1),
				 .len	= (uint32_t)(w >> ADDR_BITS & 0xffff) * BLOCK,
				 .flags = flags & ~BPTR_VIRTUAL,
				 .birth = get64(b + BPTR_BIRTH) };

	ptr.addr |= flags & BPTR_VIRTUAL ? VIRTUAL : 0;
	memcpy(ptr.sum.bytes, b + BPTR_SUM, 16);
	return ptr;
}

static inline void bptr_put(void *p, const struct bptr *ptr)
{
	uint8_t *b     = p;
	uint64_t flags = ptr->flags | (ptr->addr & VIRTUAL ? BPTR_VIRTUAL : 0);

	put64(b + BPTR_WHERE, (ptr->addr & (VIRTUAL - 1)) | (uint64_t)(ptr->len / BLOCK) << ADDR_BITS | flags << 56);
	put64(b + BPTR_BIRTH, ptr->birth);
	memcpy(b + BPTR_SUM, ptr->sum.bytes, 16);
}

/* They name the same bytes. */
static inline bool bptr_equal(const struct bptr *a, const struct bptr *b)
{
	return a->addr == b->addr && a->birth == b->birth && a->len == b->len && hash128_equal(a->sum, b->sum);
}

#endif
