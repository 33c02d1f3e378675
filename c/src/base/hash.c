/* SPDX-License-Identifier: Apache-2.0 */
/* base/hash.c: checksums. XXH3 of libxxhash; the 128-bit ones in its canonical byte order, which is what stands on disk. */
#include "base.h"

#include <xxhash.h>

static struct hash128 canonical(XXH128_hash_t hash)
{
	XXH128_canonical_t bytes;
	struct hash128	   out;

	XXH128_canonicalFromHash(&bytes, hash);
	_Static_assert(sizeof(bytes.digest) == sizeof(out.bytes), "128 bits");
	memcpy(out.bytes, bytes.digest, sizeof(out.bytes));
	return out;
}

struct hash128 hash128(const void *data, size_t len)
{
	return canonical(XXH3_128bits(data, len));
}

struct hash128 hash128_seeded(const void *data, size_t len, uint64_t seed)
{
	return canonical(XXH3_128bits_withSeed(data, len, seed));
}

uint64_t hash64(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}
