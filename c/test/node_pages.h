/* SPDX-License-Identifier: Apache-2.0 */
/* test/node_pages.h: pages for the tests of store/node.h. */
#ifndef TARN_TEST_NODE_PAGES_H
#define TARN_TEST_NODE_PAGES_H

#include "harness.h"

#include "../src/store/node.h"

#define POOL	 "12345678"
#define BLOCKS	 100000u
#define KEY_ROOM 65552u

static inline void assert_sound(const uint8_t *page, uint32_t cap)
{
	const char *why;

	if (node_validate(page, cap, (const uint8_t *)POOL, BLOCKS, &why))
		fail_msg("a page of %u bytes, level %u, %u entries: %s", cap, node_level(page), node_count(page, cap), why);
}

/* A page of n entries, key0000 and so on. */
static inline void fill(uint8_t *page, uint32_t cap, unsigned level, uint32_t n)
{
	struct node_child child = { { .addr = 7, .len = BLOCK }, 1 };
	struct leaf_value value = { (const uint8_t *)"value", 5, false, 1 };

	node_init(page, cap, level, (tarn_buf){ "A", 1 }, (tarn_buf){ "z", 1 }, true);
	memcpy(page + NODE_POOL, POOL, 8);
	for (uint32_t i = 0; i < n; i++) {
		char	 text[16];
		tarn_buf key = { text, (size_t)snprintf(text, sizeof(text), "key%04u", i) };

		assert_true(level ? node_put_child(page, cap, i, key, &child) : node_put_value(page, cap, i, false, key, &value));
	}
	assert_sound(page, cap);
}

#endif
