/* SPDX-License-Identifier: Apache-2.0 */
/* store/flush.c: dirty pages go to new places on disk, children before parents.
 *
 * A parent's page holds its child's address and checksum, so a child is placed and summed first; the writes themselves overlap. Nothing
 * is overwritten and no superblock changes: after a crash what was flushed is free space. A page counts as clean once its write has
 * started; so a write that fails fails the store. */
#include "internal.h"

static int flush_page(struct store *s, struct frame *f, struct bptr *ptr)
{
	uint32_t len = ROUND_UP(f->need, BLOCK);
	uint8_t *gang;
	int	 rc = f->cap == len ? 0 : cache_resize(s, f, len);

	rc = rc ? rc : blob_place(s, len, ptr, &gang);
	if (rc)
		return rc;
	memcpy(f->page + NODE_POOL, s->pool.bytes, 8);
	put64(f->page + NODE_TREE, f->tree);
	put64(f->page + NODE_BIRTH, ptr->birth);
	put64(f->page + NODE_ADDR, ptr->addr);
	rc = blob_write_at(s, f->page, NULL, ptr, gang);
	if (!rc)
		cache_make_clean(s, f, ptr);
	return rc;
}

static int flush_below(struct store *s, uint64_t id, struct bptr *ptr, uint64_t *keys)
{
	struct frame *f	 = cache_find(s, id);
	int	      rc = 0;

	if (!f)
		return fail(MISC, "a dirty page is not in the cache");
	*keys = node_level(f->page) ? 0 : node_count(f->page);
	for (uint32_t i = 0; !rc && node_level(f->page) && i < node_count(f->page); i++) {
		struct bptr child = node_child_ptr(f->page, i);
		uint64_t    n	  = get64(node_entry(f->page, i) + INNER_KEYS);

		if (child.addr & VIRTUAL) {
			rc = flush_below(s, child.addr, &child, &n);
			if (!rc)
				node_set_child(f, i, &child, n);
		}
		*keys += n;
	}
	return rc ? rc : flush_page(s, f, ptr);
}

int tree_flush(struct store *s, struct tree *t)
{
	struct bptr ptr;
	uint64_t    keys;
	int	    rc, drained;

	if (!(t->root.addr & VIRTUAL))
		return 0;
	rc	= flush_below(s, t->root.addr, &ptr, &keys);
	drained = io_drain(s); /* also after an error: the pages are lent to the writes */
	rc	= rc ? rc : drained;
	if (rc) {
		store_poison(s, rc);
		return rc;
	}
	t->root = ptr;
	t->keys = keys;
	return 0;
}

int tree_flush_all(struct store *s)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_LEN(s->trees); i++)
		for (struct tree *t = s->trees[i]; !rc && t; t = t->next)
			if (t->id)
				rc = tree_flush(s, t);
	return rc;
}
