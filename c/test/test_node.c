/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_node.c: the inside of a page, against a sorted array.
 *
 * Each random test runs on leaves and on inner pages. After every step the page is validated and compared with the array. */
#include "node_pages.h"

#define ITEMS 8192u

struct item {
	uint8_t		 *key, *bytes; /* bytes: of the value */
	uint32_t	  klen;
	struct leaf_value value;
	struct node_child child;
};

struct model {
	struct rng   rng;
	unsigned     level;
	uint32_t     cap, n;
	uint8_t	    *page;
	struct item *items; /* ITEMS */
	tarn_buf     low, high;
	bool	     bounded;
};

static tarn_buf key_of(const struct item *item)
{
	return (tarn_buf){ item->key, item->klen };
}

/* ---- making keys and values ---- */

/* Few letters and long common beginnings, so that heads are often equal and zero bytes matter. */
static tarn_buf random_key(struct rng *rng)
{
	static const uint8_t letters[] = { 0, 1, 'a', 'b', 0xff };
	uint32_t	     len = 1 + (uint32_t)rng_below(rng, 40), same = (uint32_t)rng_below(rng, 12);
	uint8_t		    *key;

	if (rng_below(rng, 40) == 0)
		len = same = 2900 + (uint32_t)rng_below(rng, 100);
	key = malloc(len);
	assert_non_null(key);
	for (uint32_t i = 0; i < len; i++)
		key[i] = i < same && i + 2 < len ? 'k' : letters[rng_below(rng, sizeof(letters))];
	return (tarn_buf){ key, len };
}

static bool within(const struct model *m, tarn_buf key)
{
	int least = m->level ? 1 : 0; /* the low fence itself bounds the first child */

	return key_compare(key, m->low) >= least && (!m->bounded || key_compare(key, m->high) < 0);
}

/* Of a model whose fences leave no key in nearly all tries there is none. */
static bool random_item(struct model *m, struct item *item)
{
	tarn_buf key = { NULL, 0 };

	for (int tries = 0; tries < 20; tries++) {
		key = random_key(&m->rng);
		if (within(m, key))
			break;
		free((void *)key.ptr);
		key.ptr = NULL;
	}
	*item = (struct item){ .key = (uint8_t *)key.ptr, .klen = (uint32_t)key.len };
	return key.ptr != NULL;
}

static void random_value(struct rng *rng, struct item *item, uint32_t len)
{
	bool extents = rng_below(rng, 8) == 0;

	if (extents)
		len = EXT_PTRS + (uint32_t)rng_below(rng, EXT_INLINE_PTRS + 1) * BPTR_BYTES;
	free(item->bytes);
	item->bytes = malloc(len + 1);
	assert_non_null(item->bytes);
	test_fill(item->bytes, len, rng_next(rng));
	if (extents) {
		put64(item->bytes + EXT_SIZE, rng_below(rng, TARN_VALUE_MAX));
		put32(item->bytes + EXT_LEVEL, (uint32_t)rng_below(rng, EXT_LEVEL_MAX + 1));
		put32(item->bytes + EXT_COUNT, (len - EXT_PTRS) / BPTR_BYTES);
	}
	item->value = (struct leaf_value){ item->bytes, len, extents, rng_next(rng) };
}

static void random_child(struct rng *rng, struct item *item)
{
	struct bptr *ptr = &item->child.ptr;

	ptr->addr  = 2 + rng_below(rng, BLOCKS - 200);
	ptr->len   = BLOCK * (1 + (uint32_t)rng_below(rng, NODE_MAX / BLOCK));
	ptr->flags = (uint32_t)rng_below(rng, 4);
	ptr->birth = rng_next(rng);
	test_fill(ptr->sum.bytes, 16, rng_next(rng));
	item->child.keys = rng_next(rng);
}

static void random_content(struct model *m, struct item *item)
{
	static const uint32_t most[] = { 20, 120, 120, 1000 };

	if (m->level)
		random_child(&m->rng, item);
	else
		random_value(&m->rng, item, (uint32_t)rng_below(&m->rng, most[rng_below(&m->rng, 4)]));
}

static void item_free(struct item *item)
{
	free(item->key);
	free(item->bytes);
}

/* ---- the model ---- */

static uint32_t model_lower(const struct model *m, tarn_buf key, bool *found)
{
	uint32_t i = m->level; /* slot 0 of an inner page has no key */

	while (i < m->n && key_compare(key_of(&m->items[i]), key) < 0)
		i++;
	*found = i < m->n && key_compare(key_of(&m->items[i]), key) == 0;
	return i;
}

static uint32_t pad(const struct model *m, size_t bytes)
{
	return (uint32_t)(m->level ? ROUND_UP(bytes, 4) : bytes);
}

static uint32_t model_prefix(const struct model *m)
{
	const uint8_t *low = m->low.ptr, *high = m->high.ptr;
	uint32_t       n = 0;

	while (m->bounded && n < m->low.len && n < m->high.len && low[n] == high[n])
		n++;
	return n;
}

static uint32_t item_bytes(const struct model *m, const struct item *item, uint32_t slot)
{
	uint32_t suffix = m->level && slot == 0 ? 0 : item->klen - model_prefix(m);

	return SLOT_BYTES + pad(m, (m->level ? INNER_KEY : LEAF_KEY + item->value.len) + suffix);
}

static uint32_t model_need(const struct model *m)
{
	uint32_t need = NODE_SLOTS + pad(m, m->low.len) + (m->bounded ? pad(m, m->high.len) : 0);

	for (uint32_t i = 0; i < m->n; i++)
		need += item_bytes(m, &m->items[i], i);
	return need;
}

static void model_insert(struct model *m, uint32_t slot, struct item item)
{
	memmove(m->items + slot + 1, m->items + slot, sizeof(item) * (m->n - slot));
	m->items[slot] = item;
	m->n++;
	assert_true(m->n < ITEMS);
}

/* ---- comparing ---- */

static void assert_content(const struct item *item, const uint8_t *page, uint32_t cap, uint32_t slot)
{
	struct leaf_value value;
	struct node_child child;

	if (node_level(page)) {
		child = node_child(page, cap, slot);
		assert_memory_equal(&child.ptr, &item->child.ptr, sizeof(child.ptr));
		assert_true(child.keys == item->child.keys && node_child_id(page, cap, slot) == child.ptr.addr);
		return;
	}
	value = node_value(page, cap, slot);
	assert_true(value.len == item->value.len && value.extents == item->value.extents);
	assert_true(value.revision == item->value.revision);
	assert_memory_equal(value.bytes, item->value.bytes, value.len);
}

static void assert_entry(const struct item *item, tarn_buf key, const uint8_t *page, uint32_t cap, uint32_t slot)
{
	static uint8_t copy[KEY_ROOM];

	assert_int_equal(node_key_len(page, cap, slot), key.len);
	assert_int_equal(node_key_copy(page, cap, slot, copy, sizeof(copy)), key.len);
	assert_memory_equal(copy, key.ptr, key.len);
	assert_content(item, page, cap, slot);
}

/* The page holds the items [from, to). */
static void assert_holds(const struct model *m, const uint8_t *page, uint32_t cap, uint32_t from, uint32_t to)
{
	assert_sound(page, cap);
	assert_int_equal(node_count(page, cap), to - from);
	for (uint32_t i = from; i < to; i++)
		assert_entry(&m->items[i], m->level && i == from ? node_low(page, cap) : key_of(&m->items[i]), page, cap,
			     i - from);
}

static bool model_extents(const struct model *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->level ? m->items[i].child.ptr.flags & BPTR_EXTENTS : m->items[i].value.extents)
			return true;
	return false;
}

static void assert_found(const struct model *m, tarn_buf key)
{
	bool	 found, there;
	uint32_t slot = model_lower(m, key, &there);

	if (m->level) {
		assert_int_equal(node_route(m->page, m->cap, key), slot - !there);
	} else {
		assert_int_equal(node_lower(m->page, m->cap, key, &found), slot);
		assert_int_equal(found, there);
	}
}

static void assert_equal(struct model *m)
{
	struct item item;

	assert_holds(m, m->page, m->cap, 0, m->n);
	assert_int_equal(node_need(m->page, m->cap), model_need(m));
	assert_int_equal(node_has_extents(m->page, m->cap), model_extents(m));
	if (random_item(m, &item))
		assert_found(m, key_of(&item));
	item_free(&item);
	if (m->n > m->level)
		assert_found(m, key_of(&m->items[m->level + rng_below(&m->rng, m->n - m->level)]));
}

/* ---- steps ---- */

static bool put(struct model *m, uint32_t slot, bool replace, const struct item *item)
{
	if (m->level)
		return node_put_child(m->page, m->cap, slot, key_of(item), &item->child);
	return node_put_value(m->page, m->cap, slot, replace, key_of(item), &item->value);
}

static uint8_t *same(const struct model *m)
{
	uint8_t *copy = malloc(m->cap);

	assert_non_null(copy);
	memcpy(copy, m->page, m->cap);
	return copy;
}

/* What was refused would not have fit, and has changed nothing. */
static void assert_refused(const struct model *m, uint8_t *before, uint32_t need)
{
	assert_true(need > m->cap);
	assert_memory_equal(before, m->page, m->cap);
}

static void step_put(struct model *m)
{
	uint8_t	   *before = same(m);
	struct item item;
	uint32_t    slot  = 0;
	bool	    there = false;

	if (random_item(m, &item))
		slot = model_lower(m, key_of(&item), &there);
	if (item.key && !there) {
		random_content(m, &item);
		if (put(m, slot, false, &item)) {
			model_insert(m, slot, item);
			item = (struct item){ 0 };
		} else {
			assert_refused(m, before, model_need(m) + item_bytes(m, &item, slot));
		}
	}
	item_free(&item);
	free(before);
}

static void step_replace(struct model *m)
{
	uint32_t     slot = (uint32_t)rng_below(&m->rng, m->n);
	struct item *old = &m->items[slot], item = { .key = old->key, .klen = old->klen };
	uint8_t	    *before = same(m);

	if (m->level) {
		random_child(&m->rng, old);
		node_set_child(m->page, m->cap, slot, &old->child);
	} else {
		random_value(&m->rng, &item, rng_below(&m->rng, 2) ? old->value.len : (uint32_t)rng_below(&m->rng, 300));
		if (put(m, slot, true, &item)) {
			free(old->bytes);
			*old = item;
		} else {
			assert_refused(m, before, model_need(m) - item_bytes(m, old, slot) + item_bytes(m, &item, slot));
			free(item.bytes);
		}
	}
	free(before);
}

static void step_remove(struct model *m)
{
	uint32_t slot = (uint32_t)rng_below(&m->rng, m->n);

	if (m->level && m->n == 1)
		return;
	node_remove(m->page, m->cap, slot);
	item_free(&m->items[slot]);
	m->n--;
	memmove(m->items + slot, m->items + slot + 1, sizeof(*m->items) * (m->n - slot));
}

static void step_pack(struct model *m)
{
	uint32_t cap  = MAX(BLOCK, ROUND_UP(model_need(m), BLOCK));
	uint8_t *page = malloc(cap);

	assert_non_null(page);
	memset(page, 0xee, cap);
	put64(m->page + NODE_TREE, 77);
	assert_int_equal(node_pack(m->page, m->cap, page, cap), model_need(m));
	assert_int_equal(get64(page + NODE_TREE), 77);
	assert_int_equal(get32(page + NODE_HOLES), 0);
	assert_holds(m, page, cap, 0, m->n);
	assert_int_equal(node_pack(page, cap, m->page, m->cap), model_need(m));
	free(page);
}

static void assert_cut(const struct model *m, uint32_t cut, tarn_buf separator)
{
	uint32_t least = m->level && m->n >= 4 ? 2 : 1;

	assert_true(cut >= least && cut <= m->n - least);
	assert_true(key_compare(key_of(&m->items[cut]), separator) >= 0);
	if (m->level)
		assert_true(key_compare(key_of(&m->items[cut]), separator) == 0);
	else
		assert_true(key_compare(key_of(&m->items[cut - 1]), separator) < 0);
}

/* Splits, and joins again: what comes out is the page. */
static void step_split(struct model *m)
{
	static uint8_t separator[KEY_ROOM];
	uint32_t       cut  = node_cut(m->page, m->cap, (uint32_t)rng_below(&m->rng, m->n)), bound;
	uint8_t	      *left = malloc(m->cap), *right = malloc(m->cap);
	tarn_buf       middle = { separator, node_separator(m->page, m->cap, cut, separator) };

	assert_true(left && right);
	assert_cut(m, cut, middle);
	if (node_part(m->page, m->cap, 0, cut, m->low, middle, true, left, m->cap) &&
	    node_part(m->page, m->cap, cut, m->n, middle, m->high, m->bounded, right, m->cap)) {
		assert_holds(m, left, m->cap, 0, cut);
		assert_holds(m, right, m->cap, cut, m->n);
		bound = node_join_need(left, m->cap, right, m->cap);
		assert_true(bound >= model_need(m));
		assert_false(node_join(left, m->cap, right, m->cap, m->page, model_need(m) - 1));
		assert_true(node_join(left, m->cap, right, m->cap, m->page, m->cap));
	}
	free(left);
	free(right);
}

static void step(struct model *m)
{
	uint64_t what = rng_below(&m->rng, 100);

	if (what < 60 || m->n == 0)
		step_put(m);
	else if (what < 80)
		step_replace(m);
	else if (what < 95)
		step_remove(m);
	else if (what < 97)
		step_pack(m);
	else if (m->n >= 2)
		step_split(m);
	if (rng_below(&m->rng, 200) == 0)
		while (m->n > m->level + 1)
			step_remove(m);
}

/* ---- a run ---- */

/* Fences with room between them, and beside them in the page. */
static void choose_fences(struct model *m)
{
	m->bounded = rng_below(&m->rng, 4) != 0;
	m->low	   = random_key(&m->rng);
	m->high	   = random_key(&m->rng);
	if (m->bounded && rng_below(&m->rng, 4) == 0)
		m->low.len = 0;
	while (m->bounded && (key_compare(m->low, m->high) >= 0 || m->low.len + m->high.len > m->cap - 512)) {
		free((void *)m->high.ptr);
		m->high = random_key(&m->rng);
		if (rng_below(&m->rng, 8) == 0)
			m->low.len /= 2;
	}
}

static void model_begin(struct model *m, unsigned level, uint32_t cap)
{
	m->level = level;
	m->cap	 = cap;
	m->n	 = 0;
	m->page	 = malloc(cap);
	m->items = calloc(ITEMS, sizeof(*m->items));
	assert_true(m->page && m->items);
	choose_fences(m);
	node_init(m->page, cap, level, m->low, m->high, m->bounded);
	memcpy(m->page + NODE_POOL, POOL, 8);
	if (level) {
		random_child(&m->rng, &m->items[0]);
		m->n = 1;
		assert_true(node_put_child(m->page, cap, 0, m->low, &m->items[0].child));
	}
	assert_equal(m);
}

static void model_end(struct model *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		item_free(&m->items[i]);
	free(m->items);
	free(m->page);
	free((void *)m->low.ptr);
	free((void *)m->high.ptr);
}

static void run(unsigned level, uint32_t cap, uint64_t rounds, uint32_t steps)
{
	struct model m;

	rng_seed(&m.rng, test_seed() + cap + level);
	for (uint64_t round = 0; round < rounds; round++) {
		model_begin(&m, level, cap);
		for (uint32_t i = 0; i < steps; i++) {
			step(&m);
			assert_equal(&m);
		}
		model_end(&m);
	}
}

static void test_leaf_model(void **state)
{
	(void)state;
	run(0, 4096, test_number("N", 40), 400);
	run(0, 8192, test_number("N", 40) / 2, 400);
	run(0, 16384, test_number("N", 40) / 4, 600);
	run(0, 65536, test_number("N", 40) / 20, 1500);
}

static void test_inner_model(void **state)
{
	(void)state;
	run(1, 4096, test_number("N", 40), 400);
	run(1, 8192, test_number("N", 40) / 2, 400);
	run(1, 16384, test_number("N", 40) / 4, 600);
	run(1, 65536, test_number("N", 40) / 20, 1500);
}

/* ---- large pages, and order of splitting ---- */

/* Thousands of small entries in a page of the largest size: holes are found by more than one window. */
static void test_many_small_entries(void **state)
{
	uint32_t	  cap = NODE_MAX, n = 0, kept = 0;
	uint8_t		 *page	= malloc(cap), key[8];
	struct leaf_value value = { (const uint8_t *)"v", 1, false, 9 }, large = { page, 0, false, 9 };

	(void)state;
	assert_non_null(page);
	node_init(page, cap, 0, (tarn_buf){ NULL, 0 }, (tarn_buf){ NULL, 0 }, false);
	memcpy(page + NODE_POOL, POOL, 8);
	for (put64be(key, 0); node_put_value(page, cap, n, false, (tarn_buf){ key, 8 }, &value); put64be(key, ++n))
		;
	assert_int_equal(n, (cap - NODE_SLOTS) / (SLOT_BYTES + LEAF_KEY + 8 + 1));
	for (uint32_t slot = 0; slot < node_count(page, cap); slot++, kept++)
		node_remove(page, cap, slot);
	assert_sound(page, cap);
	large.len   = LEAF_VALUE_MAX;
	large.bytes = calloc(1, large.len);
	assert_non_null(large.bytes);
	for (uint32_t more = 0; get32(page + NODE_HOLES) > 0; more++) { /* until one needs the holes */
		put64be(key, n + more);
		assert_true(node_put_value(page, cap, kept + more, false, (tarn_buf){ key, 8 }, &large));
		assert_true(more < 8);
	}
	assert_sound(page, cap);
	for (uint32_t slot = 0; slot < kept; slot++) {
		assert_int_equal(node_key_copy(page, cap, slot, key, 8), 8);
		assert_int_equal(get64be(key), 2 * slot + 1);
	}
	free((void *)large.bytes);
	free(page);
}

/* Keys of one byte repeated, 1 to 30 times: most have the same head, the highest or the lowest there is. */
static void test_equal_heads(void **state)
{
	struct leaf_value value = { (const uint8_t *)"v", 1, false, 1 };
	uint8_t		  page[BLOCK], bytes[30];
	bool		  found;

	(void)state;
	for (int byte = 0; byte < 256; byte += 255) {
		memset(bytes, byte, sizeof(bytes));
		node_init(page, BLOCK, 0, (tarn_buf){ NULL, 0 }, (tarn_buf){ NULL, 0 }, false);
		memcpy(page + NODE_POOL, POOL, 8);
		for (uint32_t i = 0; i < sizeof(bytes); i += 2)
			assert_true(node_put_value(page, BLOCK, i / 2, false, (tarn_buf){ bytes, i + 1 }, &value));
		assert_sound(page, BLOCK);
		for (uint32_t i = 0; i < sizeof(bytes); i++) {
			assert_int_equal(node_lower(page, BLOCK, (tarn_buf){ bytes, i + 1 }, &found), (i + 1) / 2);
			assert_int_equal(found, i % 2 == 0);
		}
	}
}

static void test_where_to_cut(void **state)
{
	static const struct {
		unsigned level;
		uint32_t n, new_slot, cut;
	} cases[] = {
		{ 0, 10, 9, 9 }, { 0, 10, 0, 1 }, { 0, 10, 4, 5 }, { 0, 11, 4, 6 }, { 0, 2, 0, 1 }, { 0, 2, 1, 1 },
		{ 1, 10, 9, 8 }, { 1, 10, 4, 5 }, { 1, 4, 3, 2 },  { 1, 3, 2, 2 },  { 1, 2, 1, 1 },
	};
	uint8_t page[BLOCK], separator[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fill(page, BLOCK, cases[i].level, cases[i].n);
		assert_int_equal(node_cut(page, BLOCK, cases[i].new_slot), cases[i].cut);
	}
	fill(page, BLOCK, 0, 20);
	assert_int_equal(node_separator(page, BLOCK, 10, separator), 6);
	assert_memory_equal(separator, "key001", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf_model),	   cmocka_unit_test(test_inner_model),
		cmocka_unit_test(test_many_small_entries), cmocka_unit_test(test_equal_heads),
		cmocka_unit_test(test_where_to_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
