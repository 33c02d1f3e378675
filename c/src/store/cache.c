/* SPDX-License-Identifier: Apache-2.0 */
/* store/cache.c: pages in memory, within a budget of bytes.
 *
 * A frame is clean (its id is its block, it stands in the clean list, least recently used last, and may be evicted when nobody pins
 * it) or dirty (its id is virtual, and it stays until a flush makes it clean). Pages of the tree are changed in place here, and
 * never on disk. */
#include "internal.h"

static void list_add(struct frame_list *l, struct frame *f)
{
	f->prev = NULL;
	f->next = l->first;
	if (l->first)
		l->first->prev = f;
	else
		l->last = f;
	l->first = f;
}

static void list_remove(struct frame_list *l, struct frame *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		l->first = f->next;
	if (f->next)
		f->next->prev = f->prev;
	else
		l->last = f->prev;
}

static struct frame **bucket(struct cache *c, uint64_t id)
{
	return &c->hash[(id * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & c->hash_mask];
}

static void hash_add(struct cache *c, struct frame *f)
{
	struct frame **b = bucket(c, f->id);

	f->hash_next = *b;
	*b	     = f;
}

static void hash_remove(struct cache *c, struct frame *f)
{
	struct frame **b = bucket(c, f->id);

	while (*b != f)
		b = &(*b)->hash_next;
	*b = f->hash_next;
}

int cache_init(struct cache *c, uint64_t budget)
{
	uint64_t buckets = 64;

	while (buckets < budget / 8192)
		buckets *= 2;
	*c	= (struct cache){ .budget = budget, .hash_mask = buckets - 1, .next_virtual = 1 };
	c->hash = calloc(buckets, sizeof(*c->hash));
	return c->hash ? 0 : fail(NOMEM, "no memory for a page table of %llu entries", (unsigned long long)buckets);
}

static void frame_free(struct frame *f)
{
	if (f)
		device_free(f->page);
	free(f);
}

static void free_list(struct frame_list *l)
{
	for (struct frame *f = l->first, *next; f; f = next) {
		next = f->next;
		frame_free(f);
	}
}

void cache_fini(struct cache *c)
{
	free_list(&c->clean);
	free_list(&c->dirty);
	free(c->hash);
	*c = (struct cache){ 0 };
}

struct frame *cache_find(struct store *s, uint64_t id)
{
	struct frame *f = *bucket(&s->cache, id);

	while (f && f->id != id)
		f = f->hash_next;
	return f;
}

static struct frame_list *list_of(struct cache *c, const struct frame *f)
{
	return f->dirty ? &c->dirty : &c->clean;
}

static void set_bytes(struct cache *c, struct frame *f, uint32_t cap)
{
	c->bytes += cap - (uint64_t)f->cap;
	if (f->dirty)
		c->dirty_bytes += cap - (uint64_t)f->cap;
	f->cap = cap;
}

static void frame_add(struct cache *c, struct frame *f)
{
	c->bytes += f->cap;
	if (f->dirty)
		c->dirty_bytes += f->cap;
	hash_add(c, f);
	list_add(list_of(c, f), f);
}

static void frame_remove(struct cache *c, struct frame *f)
{
	c->bytes -= f->cap;
	if (f->dirty)
		c->dirty_bytes -= f->cap;
	c->dirty_blocks -= f->blocks;
	hash_remove(c, f);
	list_remove(list_of(c, f), f);
}

void cache_drop(struct store *s, struct frame *f)
{
	frame_remove(&s->cache, f);
	frame_free(f);
}

static void evict(struct store *s, uint64_t room)
{
	struct frame *f = s->cache.clean.last;

	while (f && s->cache.bytes + room > s->cache.budget) {
		struct frame *prev = f->prev;

		if (!f->pins)
			cache_drop(s, f);
		f = prev;
	}
}

static struct frame *frame_new(uint32_t cap)
{
	struct frame *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->cap	= cap;
	f->page = device_alloc(cap);
	if (f->page)
		return f;
	free(f);
	return NULL;
}

static int verify(struct store *s, struct frame *f, uint64_t tree)
{
	const struct bptr *p = &f->ptr;
	const char	  *why;
	int		   rc = node_validate(s, f->page, f->cap, &f->need, &why);

	if (!rc && (get64(f->page + NODE_TREE) != tree || get64(f->page + NODE_BIRTH) != p->birth ||
		    get64(f->page + NODE_ADDR) != p->addr)) {
		why = "it is another page";
		rc  = -TARN_E_CSUM;
	}
	if (rc)
		return fail(CSUM, "the page at block %llu of tree %llu is malformed: %s", (unsigned long long)p->addr,
			    (unsigned long long)tree, why);
	return 0;
}

static int same(const struct bptr *a, const struct bptr *b)
{
	return a->addr == b->addr && a->birth == b->birth && a->len == b->len && hash128_equal(a->sum, b->sum);
}

/* Reads a page. Only a gang needs store->lock for it: its blocks are read by the store's own queue. */
static int read_page(struct store *s, uint64_t tree, const struct bptr *ptr, struct frame **out)
{
	struct frame *f = frame_new(ptr->len);
	int	      rc;

	if (!f)
		return fail(NOMEM, "no memory for a page of %u bytes", ptr->len);
	f->id	= ptr->addr;
	f->ptr	= *ptr;
	f->tree = tree;
	rc	= ptr->flags & BPTR_GANG ? blob_read(s, ptr, f->page, "a page of a tree")
					 : piece_read(s, ptr, f->page, "a page of a tree");
	rc	= rc ? rc : verify(s, f, tree);
	if (rc)
		frame_free(f);
	else
		*out = f;
	return rc;
}

int cache_read(struct store *s, const struct wanted *w, struct frame **gift)
{
	return read_page(s, w->tree, &w->ptr, gift);
}

void cache_ungive(struct store *s)
{
	frame_free(s->gift);
	s->gift = NULL;
}

/* The gift, when it is still what the pointer says; else the page is read, or wanted. */
static int load(struct store *s, uint64_t tree, const struct bptr *ptr, struct frame **out)
{
	int rc = 0;

	if (s->gift && same(&s->gift->ptr, ptr) && s->gift->tree == tree) {
		*out	= s->gift;
		s->gift = NULL;
	} else if (s->nowait) {
		s->wanted = (struct wanted){ tree, *ptr };
		return fail(AGAIN, "the page is not in memory");
	} else {
		rc = read_page(s, tree, ptr, out);
	}
	if (rc)
		return rc;
	evict(s, (*out)->cap);
	frame_add(&s->cache, *out);
	return 0;
}

int cache_get(struct store *s, uint64_t tree, const struct bptr *ptr, struct frame **frame)
{
	struct frame *f = cache_find(s, ptr->addr);
	int	      rc;

	if (!f) {
		rc = load(s, tree, ptr, &f);
		if (rc)
			return rc;
	} else if (!f->dirty && s->cache.clean.first != f) {
		list_remove(&s->cache.clean, f);
		list_add(&s->cache.clean, f);
	}
	f->pins++;
	*frame = f;
	return 0;
}

void cache_unpin(struct frame *f)
{
	f->pins--;
}

int cache_new(struct store *s, uint64_t tree, unsigned level, struct frame **frame)
{
	struct frame *f = frame_new(ROUND_UP(s->node_bytes, BLOCK));

	if (!f)
		return fail(NOMEM, "no memory for a page of %u bytes", s->node_bytes);
	evict(s, f->cap);
	node_init(f->page, f->cap, level);
	f->id	 = VIRTUAL | s->cache.next_virtual++;
	f->dirty = true;
	f->tree	 = tree;
	f->need	 = NODE_SLOTS;
	f->pins	 = 1;
	frame_add(&s->cache, f);
	cache_account(s, f);
	*frame = f;
	return 0;
}

void cache_account(struct store *s, struct frame *f)
{
	uint32_t blocks = (uint32_t)blob_blocks(ROUND_UP(f->need, BLOCK));

	s->cache.dirty_blocks += blocks - (uint64_t)f->blocks;
	f->blocks = blocks;
}

void cache_make_dirty(struct store *s, struct frame *f)
{
	struct bptr old = f->ptr;

	frame_remove(&s->cache, f);
	f->id	 = VIRTUAL | s->cache.next_virtual++;
	f->dirty = true;
	frame_add(&s->cache, f);
	f->blocks = 0;
	cache_account(s, f);
	blob_free(s, &old);
}

void cache_make_clean(struct store *s, struct frame *f, const struct bptr *ptr)
{
	frame_remove(&s->cache, f);
	f->id	  = ptr->addr;
	f->ptr	  = *ptr;
	f->dirty  = false;
	f->blocks = 0;
	frame_add(&s->cache, f);
}

int cache_resize(struct store *s, struct frame *f, uint32_t cap)
{
	uint8_t *page = device_alloc(cap);

	if (!page)
		return fail(NOMEM, "no memory for a page of %u bytes", cap);
	node_pack(f->page, page, cap);
	device_free(f->page);
	f->page = page;
	set_bytes(&s->cache, f, cap);
	return 0;
}
