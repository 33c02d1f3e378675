/* SPDX-License-Identifier: Apache-2.0 */
/* store/above.c: see above.h. */
#include "above.h"
#include "defer.h"

bool above_init(struct above *a, struct store *s)
{
	*a = (struct above){ .s = s, .at = malloc(STORE_KEY_MAX), .done = true };
	return a->at;
}

void above_fini(struct above *a)
{
	free(a->at);
	a->at = NULL;
}

void above_begin(struct above *a, const struct tree *t)
{
	a->t	  = t;
	a->at_len = 0;
	a->done	  = !a->at;
}

void above_pass(struct above *a, const struct frame *f, uint32_t slot)
{
	bool	 bounded = true;
	tarn_buf high;

	if (slot < node_count(f->page, f->cap)) {
		a->at_len = node_key_copy(f->page, f->cap, slot, a->at, STORE_KEY_MAX);
		return;
	}
	high	  = node_high(f->page, f->cap, &bounded);
	a->done	  = !bounded;
	a->at_len = (uint32_t)high.len;
	if (high.len)
		memcpy(a->at, high.ptr, high.len);
}

struct above_place above_find(struct above *a)
{
	tarn_buf      key = { a->at, a->at_len };
	struct frame *f	  = cache_find(a->s, a->t->root.addr);

	while (f && node_level(f->page)) {
		uint32_t      slot = node_route(f->page, f->cap, key);
		uint64_t      id   = node_child_id(f->page, f->cap, slot);
		struct frame *g	   = id & VIRTUAL ? cache_find(a->s, id) : NULL;

		if (node_level(f->page) == 1)
			return (struct above_place){ f, slot };
		if (!g) {
			above_pass(a, f, slot + 1);
			return (struct above_place){ NULL, 0 };
		}
		f = g;
	}
	a->done = true;
	return (struct above_place){ NULL, 0 };
}

#define EXPECT_FAR  16u /* children ahead: a load from memory takes as long as some of them */
#define EXPECT_NEAR 8u

void above_expect(struct store *s, struct above_place at)
{
	uint32_t n = node_count(at.f->page, at.f->cap);
	uint64_t id;

	if (at.slot + EXPECT_FAR < n && (id = node_child_id(at.f->page, at.f->cap, at.slot + EXPECT_FAR)) & VIRTUAL)
		defer_expect(s, id);
	if (at.slot + EXPECT_NEAR < n && (id = node_child_id(at.f->page, at.f->cap, at.slot + EXPECT_NEAR)) & VIRTUAL)
		defer_expect_note(s, id);
}
