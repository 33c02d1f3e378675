/* SPDX-License-Identifier: Apache-2.0 */
/* store/check.c: everything that the superblock reaches, read again from the device and compared.
 *
 * The walk starts with a checkpoint, so that what is on disk is what is. It does not use the cache. It notes each block that it meets:
 * at the end the space map must say the same. */
#include "internal.h"
#include <stdio.h>

struct check {
	struct store *s;
	uint64_t     *seen; /* a bit a block */
	uint64_t      findings;
	int	      first_rc;
	char	      first[TARN_MESSAGE_MAX];
};

/* Notes this thread's sentence. */
static void finding(struct check *c, int rc)
{
	base_log(TARN_LOG_ERROR, "check: %s", base_message());
	if (!c->findings++) {
		c->first_rc = rc;
		snprintf(c->first, sizeof(c->first), "%s", base_message());
	}
}

static int see(void *arg, uint64_t block, uint64_t n)
{
	struct check *c = arg;

	for (uint64_t b = block; b < block + n; b++) {
		if (c->seen[b / 64] >> b % 64 & 1)
			finding(c, fail(CSUM, "block %llu is referred to twice", (unsigned long long)b));
		c->seen[b / 64] |= UINT64_C(1) << b % 64;
	}
	return 0;
}

static void check_pieces(struct check *c, const struct bptr *pieces, size_t n)
{
	uint8_t *buf = device_alloc(value_piece_max(pieces, n));

	if (!buf)
		finding(c, fail(NOMEM, "no memory to check a value"));
	for (size_t i = 0; buf && i < n; i++) {
		int rc = piece_read(c->s, &pieces[i], buf, "a piece of a value");

		if (rc)
			finding(c, rc);
	}
	device_free(buf);
}

static void check_value(struct check *c, const struct leaf_value *v)
{
	struct run_list runs   = { 0 };
	struct bptr    *pieces = NULL;
	size_t		n      = 0;
	int		rc     = value_runs(c->s, v->bytes, v->len, &runs);

	rc = rc ? rc : value_pieces(c->s, v->bytes, &pieces, &n);
	for (size_t i = 0; !rc && i < runs.n; i++)
		see(c, runs.runs[i].block, runs.runs[i].n);
	if (rc)
		finding(c, rc);
	else
		check_pieces(c, pieces, n);
	free(pieces);
	free(runs.runs);
}

/* The bounds that the parent sets: low <= key < high; an empty one is none. */
struct bounds {
	tarn_buf low, high;
};

static uint64_t check_node(struct check *c, uint64_t tree, const struct bptr *ptr, int level, struct bounds b);

static uint64_t check_children(struct check *c, uint64_t tree, const uint8_t *page, struct bounds b)
{
	uint64_t keys = 0;

	for (uint32_t i = 0; i < node_count(page); i++) {
		struct bptr   child = node_child_ptr(page, i);
		struct bounds below = { i ? node_key(page, i) : b.low,
					i + 1 < node_count(page) ? node_key(page, i + 1) : b.high };
		uint64_t n    = check_node(c, tree, &child, (int)node_level(page) - 1, below),
			 said = get64(node_entry(page, i) + INNER_KEYS);

		if (n != said && !c->findings)
			finding(c, fail(CSUM, "a page of tree %llu says that %llu keys are below it, there are %llu",
					(unsigned long long)tree, (unsigned long long)said, (unsigned long long)n));
		keys += n;
	}
	return keys;
}

static void check_tree(struct check *c, uint64_t id, const struct bptr *root, uint64_t keys)
{
	uint64_t n = check_node(c, id, root, -1, (struct bounds){ { NULL, 0 }, { NULL, 0 } });

	if (n != keys && !c->findings)
		finding(c, fail(CSUM, "tree %llu says that it has %llu keys, it has %llu", (unsigned long long)id,
				(unsigned long long)keys, (unsigned long long)n));
}

/* A leaf of tree 0 holds the roots of all other trees. */
static void check_leaf(struct check *c, uint64_t tree, const uint8_t *page)
{
	struct frame leaf = { .page = (uint8_t *)page };

	for (uint32_t i = 0; i < node_count(page); i++) {
		struct leaf_value v   = leaf_value(&leaf, i);
		tarn_buf	  key = node_key(page, i);
		struct bptr	  root;

		if (v.extents)
			check_value(c, &v);
		if (tree)
			continue;
		if (key.len != 8 || v.len != TREE_BYTES || v.extents || !get64be(key.ptr)) {
			finding(c, fail(CSUM, "the record of a tree is malformed"));
			continue;
		}
		root = bptr_get(v.bytes + TREE_ROOT);
		check_tree(c, get64be(key.ptr), &root, get64(v.bytes + TREE_KEYS));
	}
}

static bool in_bounds(const uint8_t *page, struct bounds b)
{
	uint32_t first = node_level(page) ? 1 : 0, n = node_count(page);

	return n <= first || ((!b.low.len || key_compare(node_key(page, first), b.low) >= 0) &&
			      (!b.high.len || key_compare(node_key(page, n - 1), b.high) < 0));
}

/* Level -1: whatever the root has. */
static int check_page(struct check *c, uint64_t tree, const struct bptr *ptr, int level, struct bounds b, uint8_t *page)
{
	const char *why;
	uint32_t    need;
	int	    rc = blob_read(c->s, ptr, page, "a page of a tree");

	if (rc)
		return rc;
	rc = node_validate(c->s, page, ptr->len, &need, &why);
	if (!rc &&
	    (get64(page + NODE_TREE) != tree || get64(page + NODE_ADDR) != ptr->addr || get64(page + NODE_BIRTH) != ptr->birth))
		rc = 1, why = "it is another page";
	if (!rc && level >= 0 && (int)node_level(page) != level)
		rc = 1, why = "it has the wrong level";
	if (!rc && !in_bounds(page, b))
		rc = 1, why = "it has keys that its parent puts elsewhere";
	if (rc)
		return fail(CSUM, "the page at block %llu of tree %llu is malformed: %s", (unsigned long long)ptr->addr,
			    (unsigned long long)tree, why);
	return 0;
}

static uint64_t check_node(struct check *c, uint64_t tree, const struct bptr *ptr, int level, struct bounds b)
{
	uint64_t keys = 0;
	uint8_t *page;
	int	 rc;

	if (!blob_sane(c->s, ptr, NODE_MAX)) {
		finding(c, fail(CSUM, "tree %llu has a pointer to an impossible address", (unsigned long long)tree));
		return 0;
	}
	page = device_alloc(ptr->len);
	rc   = page ? check_page(c, tree, ptr, level, b, page) : fail(NOMEM, "no memory for a page of %u bytes", ptr->len);
	rc   = rc ? rc : blob_each_run(c->s, ptr, see, c);
	if (rc)
		finding(c, rc);
	else if (node_level(page))
		keys = check_children(c, tree, page, b);
	else
		keys = node_count(page), check_leaf(c, tree, page);
	device_free(page);
	return keys;
}

static void check_space(struct check *c)
{
	struct space *sp   = &c->s->space;
	uint64_t      lost = 0, free_but_used = 0;

	for (uint64_t b = 0; b < sp->blocks; b++) {
		bool seen = c->seen[b / 64] >> b % 64 & 1, mapped = space_on_disk(sp, b);

		lost += mapped && !seen;
		if (seen && !mapped && !free_but_used++)
			finding(c, fail(CSUM, "block %llu is in use, but the space map has it as free", (unsigned long long)b));
	}
	if (lost)
		finding(c, fail(CSUM, "%llu blocks are marked as used, but nothing refers to them", (unsigned long long)lost));
}

static int walk(struct check *c)
{
	struct store *s	 = c->s;
	struct space *sp = &s->space;
	int	      rc = 0;

	see(c, 0, s->sb.log_block + s->sb.log_blocks);
	see(c, s->sb.blocks - 2, 2);
	rc = blob_each_run(s, &s->sb.space, see, c);
	for (uint32_t p = 0; p < sp->pages; p++)
		see(c, sp->index[p].addr, 1);
	if (s->sb.root.addr)
		check_node(c, 0, &s->sb.root, -1, (struct bounds){ { NULL, 0 }, { NULL, 0 } });
	if (rc)
		finding(c, rc);
	check_space(c);
	return c->findings ? base_fail(-c->first_rc, "%.200s (%llu findings)", c->first, (unsigned long long)c->findings) : 0;
}

int store_check(struct store *s)
{
	struct check c = { .s = s };
	int	     rc;

	pthread_mutex_lock(&s->lock);
	rc     = s->failed ? store_writable(s) : checkpoint(s, s->log.epoch);
	c.seen = calloc(s->space.words, 8);
	if (!rc && !c.seen)
		rc = fail(NOMEM, "no memory to check %llu blocks", (unsigned long long)s->space.blocks);
	rc = rc ? rc : walk(&c);
	pthread_mutex_unlock(&s->lock);
	free(c.seen);
	return rc;
}
