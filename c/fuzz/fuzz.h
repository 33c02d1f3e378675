/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz.h: what the fuzz targets share: a pool image, and checksums that are always right.
 *
 * A right checksum is not trust, and a fuzzer that has to guess checksums finds nothing behind them. So a target brings hash functions of
 * its own that always give 0 (the library's are then not linked), and its mutator writes zeros where a checksum stands: every change
 * reaches the code behind. Each run begins with the same image; what a run wrote is put back. */
#ifndef TARN_FUZZ_H
#define TARN_FUZZ_H

#include "../src/store/internal.h"
#include "../test/medium.h"
#include "../test/zero_hash.h"

#define TREES 3u
#define KEYS  120u

int    LLVMFuzzerInitialize(int *argc, char ***argv);
int    LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static struct medium *medium;

static inline int fuzz_open(struct store **store)
{
	return store_open(&medium->base, &(struct store_options){ .cache_bytes = 512 << 10 }, store);
}

static inline void fuzz_poke(uint32_t block, uint32_t offset, const void *bytes, size_t len)
{
	memcpy(medium->image + (size_t)block * BLOCK + offset, bytes, len);
	for (uint32_t b = block; b <= block + (offset + len) / BLOCK && b < BLOCKS; b++)
		medium->changed[b] = true;
}

static inline int fuzz_change(struct store *s, enum store_change what, unsigned k, size_t len)
{
	static const uint8_t  val[40000];
	uint8_t		      key[300];
	struct store_mutation m = {
		.change = what, .tree = 16 + k % TREES, .key = { key, k % 20 == 3 ? 290 : 3 + k % 5 }, .val = { val, len }
	};
	uint64_t lsn;
	int	 rc;

	memset(key, (int)k, sizeof(key));
	rc = store_apply(s, &m, 1, 0, &lsn, NULL);
	return rc ? rc : store_commit(s, lsn);
}

/* Values inline and in extents, long keys, snapshots with blocks that only they need, and a log that has something to replay. */
static inline void fuzz_image(void)
{
	struct store *s;

	medium = medium_new();
	if (!medium || store_format(&medium->base, &(struct store_format){ .node_bytes = 1024, .log_bytes = 64 << 10 }) ||
	    fuzz_open(&s))
		abort();
	for (unsigned k = 0; k < KEYS; k++) {
		if (fuzz_change(s, STORE_PUT, k, k % 30 == 2 ? 20000 + k * 10 : k % 9 == 1 ? 2000 : k % 70))
			abort();
		if (k == 60 && (fuzz_change(s, STORE_SNAP, 0, 0) || fuzz_change(s, STORE_DEL, 3, 0) || store_checkpoint(s)))
			abort();
		if (k == KEYS - 20 && store_checkpoint(s))
			abort();
	}
	store_abandon(s);
	medium_keep(medium);
}

/* Lists a tree from batch to batch, and gets each key. */
static inline void fuzz_read(struct store *s, struct store_at at)
{
	static uint8_t	   val[100000], last[STORE_KEY_MAX];
	static uint8_t	   buf[16384] __attribute__((aligned(8)));
	struct store_range range = { .flags = 0 };
	tarn_listing	   out	 = { .more = 1 };
	uint64_t	   count;

	for (unsigned batch = 0; batch < 20 && out.more && !store_list(s, at, &range, 0, buf, sizeof(buf), &out, 0); batch++)
		for (size_t off = 0; off < out.used;) {
			const tarn_entry *e   = (const void *)(buf + off);
			size_t		  len = sizeof(val);

			store_get(s, at, (tarn_buf){ e + 1, e->key_len }, val, &len, NULL, 0);
			memcpy(last, e + 1, e->key_len);
			range = (struct store_range){ .start = { last, e->key_len }, .flags = TARN_RANGE_AFTER };
			off   = ROUND_UP(off + sizeof(*e) + e->key_len + (e->flags & TARN_ENTRY_OMITTED ? 0 : e->val_len), 8);
		}
	range = (struct store_range){ .flags = TARN_RANGE_REVERSE };
	store_list(s, at, &range, 0, buf, sizeof(buf), &out, 0);
	store_count(s, at, &range, &count, 0);
}

/* Everything that a program may do with a pool that somebody sent it. */
static inline void fuzz_use(void)
{
	uint64_t      epochs[8];
	struct store *s;

	if (!fuzz_open(&s)) {
		for (uint64_t tree = 0; tree < 16 + TREES; tree += tree < 3 ? 1 : tree == 3 ? 13 : 1) {
			size_t n = ARRAY_LEN(epochs);

			fuzz_read(s, (struct store_at){ tree, 0 });
			if (!store_snapshots(s, tree, 0, epochs, &n))
				for (size_t i = 0; i < n; i++)
					fuzz_read(s, (struct store_at){ tree, epochs[i] });
		}
		store_check(s, NULL);
		fuzz_change(s, STORE_PUT, 7, 3000);
		fuzz_change(s, STORE_DEL, 8, 0);
		fuzz_change(s, STORE_DROP, 9, 0);
		store_close(s);
	}
	medium_restore(medium);
}

#endif
