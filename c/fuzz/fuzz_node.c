/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_node.c: any bytes as a page. All that only reads is total; when node_validate() calls it sound, it can be changed and is sound
 * after it. */
#include "fuzz.h"

#define PAGE (16u << 10)

static const uint8_t pool[8];

static void read_page(const uint8_t *page, uint32_t cap)
{
	uint8_t	 key[STORE_KEY_MAX];
	bool	 flag;
	uint32_t n = node_count(page, cap);

	node_need(page, cap);
	node_has_extents(page, cap);
	node_low(page, cap);
	node_high(page, cap, &flag);
	node_route(page, cap, (tarn_buf){ "key", 3 });
	for (uint32_t i = 0; i < MIN(n, 300u); i++) {
		uint32_t len = node_key_copy(page, cap, i, key, sizeof(key));

		node_key_len(page, cap, i);
		node_lower(page, cap, (tarn_buf){ key, MIN(len, sizeof(key)) }, &flag);
		if (node_level(page))
			node_child(page, cap, i), node_child_id(page, cap, i);
		else
			node_value(page, cap, i);
	}
}

static void sound(const uint8_t *page, uint32_t cap)
{
	const char *why;

	if (node_validate(page, cap, pool, 1000, &why))
		__builtin_trap();
}

/* One change, by what the last byte of the page says. */
static void change_page(uint8_t *page, uint32_t cap)
{
	static uint8_t	  out[PAGE];
	uint32_t	  n	= node_count(page, cap), slot;
	struct leaf_value value = { .bytes = (const uint8_t *)"a value", .len = 7, .revision = 9 };
	tarn_buf	  low	= node_low(page, cap);
	uint8_t		  key[STORE_KEY_MAX + 1];
	bool		  found;

	if (n > 1 || (n && !node_level(page))) {
		memcpy(out, page, cap);
		node_remove(out, cap, n / 2);
		sound(out, cap);
	}
	if (node_level(page) || low.len + 1 > STORE_KEY_MAX)
		return;
	memcpy(key, low.ptr, low.len); /* the lowest key there may be */
	slot = node_lower(page, cap, (tarn_buf){ key, low.len }, &found);
	if (node_put_value(page, cap, slot, found, (tarn_buf){ key, low.len }, &value))
		sound(page, cap);
	node_pack(page, cap, out, MAX(node_need(page, cap), cap));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t    cap	 = (uint32_t)MIN(ROUND_UP(MAX(size, (size_t)1), BLOCK), PAGE);
	uint8_t	   *page = calloc(1, cap); /* of just that size, so that the sanitizer sees what lies behind */
	const char *why;

	if (!page)
		return 0;
	memcpy(page, data, MIN(size, cap));
	read_page(page, cap);
	if (!node_validate(page, cap, pool, 1000, &why))
		change_page(page, cap);
	free(page);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, MIN(max, PAGE));
	if (size < NODE_SLOTS || seed % 16 == 0)
		return size;
	put32(data + NODE_MAGIC, NODE_MAGIC_NUMBER);
	memcpy(data + NODE_POOL, pool, 8);
	return size;
}
