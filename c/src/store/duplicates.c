/* SPDX-License-Identifier: Apache-2.0 */
/* store/duplicates.c: a batch changes or checks a key once.
 *
 * Keys in ascending order are compared each with the one before. Others go into a table that is at least half empty, by a hash that nobody outside can
 * foresee: so who makes a batch cannot make it slow. */
#include "internal.h"
#include <xxhash.h>

#define FEW 512u /* slots of a table on the stack */

static int compare(const struct store_mutation *x, const struct store_mutation *y)
{
	return x->tree != y->tree ? (x->tree > y->tree) - (x->tree < y->tree) : key_compare(x->key, y->key);
}

static bool ascend(const struct store_mutation *muts, size_t n)
{
	const struct store_mutation *last = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!mutation_names_key(&muts[i]))
			continue;
		if (last && compare(last, &muts[i]) >= 0)
			return false;
		last = &muts[i];
	}
	return true;
}

static int twice(const struct store_mutation *m)
{
	return fail(INVAL, "a key of %zu bytes stands twice in the batch: a batch may change a key once", m->key.len);
}

/* slots: the number of a mutation and 1, or 0. */
static int find_twice(const struct store *s, const struct store_mutation *muts, size_t n, uint32_t *slots, size_t mask)
{
	for (size_t i = 0; i < n; i++) {
		const struct store_mutation *m = &muts[i];
		size_t			     at;

		if (!mutation_names_key(m))
			continue;
		at = XXH3_64bits_withSeed(m->key.ptr, m->key.len, s->secret + m->tree) & mask;
		for (; slots[at]; at = (at + 1) & mask)
			if (!compare(&muts[slots[at] - 1], m))
				return twice(m);
		slots[at] = (uint32_t)i + 1;
	}
	return 0;
}

int check_duplicates(const struct store *s, const struct store_mutation *muts, size_t n)
{
	uint32_t few[FEW] = { 0 }, *slots = few;
	size_t	 size = FEW;
	int	 rc;

	if (n < 2 || ascend(muts, n))
		return 0;
	while (size < 2 * n)
		size *= 2;
	if (size > FEW)
		slots = calloc(size, sizeof(*slots));
	if (!slots)
		return fail(NOMEM, "no memory to look for keys that stand twice in a batch of %zu changes", n);
	rc = find_twice(s, muts, n, slots, size - 1);
	if (slots != few)
		free(slots);
	return rc;
}
