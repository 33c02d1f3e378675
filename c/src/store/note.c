/* SPDX-License-Identifier: Apache-2.0 */
/* store/note.c: what was put on a leaf that was put off comes into that leaf. The newest put on a key counts, in whatever order they come. */
#include "note.h"

#include "leaf.h"

static bool put_in(uint8_t *page, uint32_t cap, tarn_buf key, const struct leaf_value *v)
{
	bool	 found;
	uint32_t slot = node_lower(page, cap, key, &found);

	if (found && node_value(page, cap, slot).revision > v->revision)
		return true;
	return node_put_value(page, cap, slot, found, key, v);
}

bool note_put(uint8_t *page, uint32_t cap, const struct put *u, uint64_t lsn)
{
	struct leaf_value v = value_of(u, lsn);

	return put_in(page, cap, (tarn_buf){ u->bytes, u->key_len }, &v);
}

bool note_put_spilled(const uint8_t *from, uint32_t from_cap, uint8_t *page, uint32_t cap)
{
	bool	 found;
	uint32_t n = node_count(from, from_cap);

	for (uint32_t i = node_lower(from, from_cap, node_low(page, cap), &found); i < n; i++) {
		struct leaf_entry e;
		struct leaf_value v;

		if (!leaf_entry(from, from_cap, i, &e)) /* its checksum was right, and its structure */
			return false;
		if (!node_covers(page, cap, (tarn_buf){ e.key, e.klen }))
			break;
		v = (struct leaf_value){ e.key + e.klen, e.vlen, false, e.revision };
		if (!put_in(page, cap, (tarn_buf){ e.key, e.klen }, &v))
			return false;
	}
	return true;
}
