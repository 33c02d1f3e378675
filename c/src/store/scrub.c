/* SPDX-License-Identifier: Apache-2.0 */
/* store/scrub.c: everything that the superblock reaches, read beside other calls.
 *
 * The work is cut into pieces. For each, the space is held as for a reader, so that nothing which the superblock of that moment reaches is
 * written over meanwhile: what does not match its checksum is damaged. The next piece goes on at a key, under the superblock of then.
 * Of a tree its snapshots come first, the oldest before the others, then what is live; what is not younger than the last snapshot that was
 * read to its end was read there. */
#include "verify.h"
#include <time.h>

#define PIECE_MIN (UINT64_C(1) << 20) /* bytes */
#define PIECE_MAX (UINT64_C(16) << 20)
#define LIVE	  UINT64_MAX /* in place of an epoch: after all snapshots */
#define PAUSE	  1	     /* of a walk: the piece is at its end */

struct scrub {
	struct verify	  v;
	struct store	 *s;
	struct superblock sb;	 /* of the piece */
	uint64_t	  until; /* report->bytes where the piece ends */
	uint64_t	  begun_ns;

	/* Where the next piece goes on. */
	uint32_t index_page; /* of the map */
	bool	 map_done, done;
	uint64_t tree, epoch;
	uint64_t skip; /* the generation of the tree's last snapshot that was read to its end; 0: none */
	size_t	 key_len;
	uint8_t	 key[STORE_KEY_MAX + 1];
};

/* ---- pace ---- */

/* Sleeps as long as more has been read than the rate allows. */
static int pace(struct scrub *sc)
{
	const struct store_report *r  = sc->v.report;
	int			   rc = 0;

	while (!rc && r->bytes_per_second) {
		uint64_t due = (uint64_t)((double)r->bytes * 1e9 / (double)r->bytes_per_second),
			 now = base_wait_ns() - sc->begun_ns;
		uint64_t nap = now < due ? MIN(due - now, UINT64_C(100000000)) : 0;

		if (nap < 1000000)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = (long)nap }, NULL);
		rc = verify_progress(&sc->v, 0);
	}
	return rc;
}

static bool at_end(const struct scrub *sc)
{
	return sc->v.report->bytes >= sc->until;
}

/* ---- pages ---- */

struct descent {
	struct verify_visitor visitor;
	struct scrub	     *sc;
	tarn_buf	      from;
};

static int scrub_page(struct scrub *sc, const struct place *p, const uint8_t *page, int rc, tarn_buf from);

static bool wanted(struct verify_visitor *visitor, const struct place *child)
{
	return child->ptr.birth > container_of(visitor, struct descent, visitor)->sc->skip;
}

/* Where to begin counts for the first child only. */
static int visit(struct verify_visitor *visitor, const struct place *child, const uint8_t *page, int rc)
{
	struct descent *d    = container_of(visitor, struct descent, visitor);
	tarn_buf	from = d->from;

	d->from = (tarn_buf){ NULL, 0 };
	return scrub_page(d->sc, child, page, rc, from);
}

static bool piece_wanted(void *arg, const struct bptr *ptr, uint64_t birth)
{
	struct scrub *sc = arg;

	(void)ptr;
	return birth > sc->skip && !pace(sc);
}

/* The next piece begins behind this key; or, without one, at the place's upper bound, which not every place has. */
static int pause_at(struct scrub *sc, tarn_buf key, bool behind)
{
	memcpy(sc->key, key.ptr, key.len);
	sc->key[key.len] = 0;
	sc->key_len	 = key.len + behind;
	return PAUSE;
}

static int scrub_leaf(struct scrub *sc, const struct place *p, const uint8_t *page, tarn_buf from)
{
	uint32_t cap = p->ptr.len;
	uint8_t *key = malloc(STORE_KEY_MAX);
	bool	 found;
	int	 rc = key ? 0 : fail(NOMEM, "no memory for a key");

	for (uint32_t i = node_lower(page, cap, from, &found); !rc && i < node_count(page, cap); i++) {
		struct leaf_value v = node_value(page, cap, i);
		tarn_buf	  k;

		if (!v.extents)
			continue;
		k  = (tarn_buf){ key, node_key_copy(page, cap, i, key, STORE_KEY_MAX) };
		rc = verify_value(&sc->v, p, k, &v, piece_wanted, sc);
		rc = rc ? rc : pace(sc);
		if (!rc && at_end(sc))
			rc = pause_at(sc, k, true);
	}
	free(key);
	return rc;
}

static int scrub_page(struct scrub *sc, const struct place *p, const uint8_t *page, int rc, tarn_buf from)
{
	struct descent d = { .visitor = { wanted, visit }, .sc = sc, .from = from };

	if (rc)
		return verify_damage(&sc->v, p, rc);
	if (node_level(page))
		return verify_children(&sc->v, p, page, node_route(page, p->ptr.len, from), &d.visitor);
	rc = p->ptr.flags & BPTR_EXTENTS ? scrub_leaf(sc, p, page, from) : 0;
	rc = rc ? rc : pace(sc);
	if (!rc && at_end(sc) && p->high.len)
		rc = pause_at(sc, p->high, false);
	return rc;
}

static int scrub_root(struct scrub *sc, const struct place *root)
{
	uint8_t *page = NULL;
	int	 rc   = 0;

	if (root->ptr.addr && root->ptr.birth > sc->skip) {
		rc = verify_read(&sc->v, root, &page);
		rc = scrub_page(sc, root, page, rc, (tarn_buf){ sc->key, sc->key_len });
	}
	device_free(page);
	return rc;
}

/* ---- trees ---- */

struct record {
	struct place root;
	uint64_t     gen;
	bool	     found;
};

static int read_tree(void *arg, tarn_buf key, const struct leaf_value *v)
{
	struct record *r = arg;
	struct bptr    root;

	if (key.len != 8 || v->len != TREE_BYTES || v->extents)
		return fail(CSUM, "the record of a tree is malformed");
	root	 = bptr_get(v->bytes + TREE_ROOT);
	r->root	 = verify_root((struct store_at){ .tree = get64be(key.ptr) }, &root, get64(v->bytes + TREE_KEYS), UINT64_MAX);
	r->found = true;
	return 1;
}

static int read_snapshot(void *arg, tarn_buf key, const struct leaf_value *v)
{
	struct record *r = arg;
	struct bptr    root;

	if (key.len != 16 || v->len != SNAP_BYTES || v->extents)
		return fail(CSUM, "the record of a snapshot is malformed");
	root	 = bptr_get(v->bytes + SNAP_ROOT);
	r->gen	 = get64(v->bytes + SNAP_GEN);
	r->root	 = verify_root((struct store_at){ get64be(key.ptr), get64be((const uint8_t *)key.ptr + 8) }, &root,
			       get64(v->bytes + SNAP_KEYS), r->gen);
	r->found = true;
	return 1;
}

static struct place root_of_zero(const struct scrub *sc)
{
	return verify_root((struct store_at){ 0 }, &sc->sb.root, 0, UINT64_MAX);
}

/* The first tree whose number is not below id. */
static int find_tree(struct scrub *sc, uint64_t id, struct record *r)
{
	struct place zero = root_of_zero(sc);
	uint8_t	     key[8];
	int	     rc;

	*r = (struct record){ .root = zero, .found = id == 0 };
	if (r->found)
		return 0;
	put64be(key, id);
	rc = verify_scan(&sc->v, &zero, (tarn_buf){ key, sizeof(key) }, read_tree, r);
	return rc < 0 ? rc : 0;
}

/* The tree's first snapshot whose epoch is not below that one. */
static int find_snapshot(struct scrub *sc, uint64_t tree, uint64_t epoch, struct record *r)
{
	struct record snaps;
	uint8_t	      key[16];
	int	      rc = find_tree(sc, TREE_SNAPS, &snaps);

	*r = (struct record){ .found = false };
	if (rc || !snaps.found || snaps.root.at.tree != TREE_SNAPS)
		return rc;
	put64be(key, tree);
	put64be(key + 8, epoch);
	rc	 = verify_scan(&sc->v, &snaps.root, (tarn_buf){ key, sizeof(key) }, read_snapshot, r);
	r->found = r->found && r->root.at.tree == tree;
	return rc < 0 ? rc : 0;
}

static void move_on(struct scrub *sc, uint64_t tree, uint64_t epoch)
{
	if (tree != sc->tree)
		sc->skip = 0;
	if (tree != sc->tree || epoch != sc->epoch)
		sc->key_len = 0;
	sc->tree  = tree;
	sc->epoch = epoch;
}

/* What comes next from the cursor on: a snapshot, or the live tree. */
static int find_next(struct scrub *sc, struct record *r)
{
	struct record tree;
	int	      rc = find_tree(sc, sc->tree, &tree);

	*r = tree;
	if (rc || !tree.found)
		return rc;
	move_on(sc, tree.root.at.tree, tree.root.at.tree == sc->tree ? sc->epoch : 0);
	if (sc->epoch == LIVE)
		return 0;
	rc = find_snapshot(sc, sc->tree, sc->epoch, r);
	if (!rc && !r->found)
		*r = tree;
	if (!rc)
		move_on(sc, sc->tree, r->gen ? r->root.at.epoch : LIVE);
	return rc;
}

static int scrub_trees(struct scrub *sc)
{
	int rc = 0;

	while (!rc && !at_end(sc)) {
		struct record r;

		rc = find_next(sc, &r);
		if (rc || !r.found)
			break;
		rc = scrub_root(sc, &r.root);
		if (rc)
			break;
		if (r.gen)
			sc->skip = r.gen;
		move_on(sc, sc->epoch == LIVE ? sc->tree + 1 : sc->tree, sc->epoch == LIVE ? 0 : sc->epoch + 1);
	}
	sc->done = !rc && !at_end(sc);
	return rc == PAUSE ? 0 : rc;
}

/* ---- the map ---- */

static int read_part(struct scrub *sc, const struct bptr *ptr, uint32_t len, void *buf, const char *what)
{
	struct place p = { .ptr = *ptr };
	int	     rc;

	if (!blob_sane(sc->s, ptr, len) || ptr->len != len)
		rc = fail(CSUM, "%s has an impossible address", what);
	else
		rc = blob_read(sc->s, ptr, buf, what);
	if (rc) {
		memset(buf, 0, len);
		return verify_note(&sc->v, &p, rc);
	}
	rc = verify_progress(&sc->v, len);
	return rc ? rc : pace(sc);
}

static int scrub_index(struct scrub *sc, const uint8_t *index, uint8_t *page)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < INDEX_ENTRIES; i++) {
		struct bptr ptr = bptr_get(index + i * INDEX_BYTES + INDEX_PAGE);

		if (ptr.addr)
			rc = read_part(sc, &ptr, BLOCK, page, "a page of the space map");
	}
	return rc;
}

/* Index page by index page. The buffer has the root, an index page and a page. */
static int scrub_map_in(struct scrub *sc, uint8_t *root, uint32_t pages, uint32_t len)
{
	uint8_t *index = root + len, *page = index + BLOCK;
	int	 rc = read_part(sc, &sc->sb.space, len, root, "the root of the space map");

	for (; !rc && sc->index_page < pages && !at_end(sc); sc->index_page++) {
		struct bptr ptr = bptr_get(root + sc->index_page * BPTR_BYTES);

		if (!ptr.addr) /* the root could not be read */
			continue;
		rc = read_part(sc, &ptr, BLOCK, index, "a page of the space map's index");
		rc = rc ? rc : scrub_index(sc, index, page);
	}
	sc->map_done = sc->index_page >= pages;
	return rc;
}

static int scrub_map(struct scrub *sc)
{
	uint32_t pages = (uint32_t)DIV_UP(DIV_UP(sc->sb.blocks, MAP_BITS), INDEX_ENTRIES);
	uint32_t len   = ROUND_UP(pages * BPTR_BYTES, BLOCK);
	uint8_t *root  = device_alloc(len + 2 * BLOCK);
	int	 rc    = root ? 0 : fail(NOMEM, "no memory for the space map's index of %u bytes", len);

	rc = rc ? rc : scrub_map_in(sc, root, pages, len);
	device_free(root);
	return rc;
}

/* ---- pieces ---- */

static uint64_t piece_bytes(const struct store_report *r)
{
	return r->bytes_per_second ? MAX(MIN(r->bytes_per_second / 4, PIECE_MAX), PIECE_MIN) : PIECE_MAX;
}

static int scrub_piece(struct scrub *sc)
{
	struct store *s = sc->s;
	unsigned      round;
	int	      rc = 0;

	pthread_mutex_lock(&s->lock);
	round  = space_hold(&s->space);
	sc->sb = s->sb;
	pthread_mutex_unlock(&s->lock);
	sc->v.all = (sc->sb.blocks - MIN(sc->sb.free_blocks, sc->sb.blocks)) * BLOCK;
	sc->until = sc->v.report->bytes + piece_bytes(sc->v.report);
	if (!sc->map_done)
		rc = scrub_map(sc);
	if (!rc && sc->map_done)
		rc = scrub_trees(sc);
	pthread_mutex_lock(&s->lock);
	space_unhold(&s->space, round);
	pthread_mutex_unlock(&s->lock);
	verify_tell(&sc->v);
	return rc;
}

/* What comes behind a record that is malformed is not found. */
static int scrub_all(struct scrub *sc)
{
	int rc = 0;

	while (!rc && !sc->done)
		rc = scrub_piece(sc);
	return rc ? verify_note(&sc->v, NULL, rc) : 0;
}

int store_scrub(struct store *s, struct store_report *report)
{
	struct store_report none = { 0 };
	struct scrub	   *sc	 = calloc(1, sizeof(*sc));
	int		    rc;

	if (!sc)
		return fail(NOMEM, "no memory to scrub a store (%zu bytes)", sizeof(*sc));
	sc->s	     = s;
	sc->begun_ns = base_wait_ns();
	verify_begin(&sc->v, s, report ? report : &none);
	rc = scrub_all(sc);
	rc = verify_end(&sc->v, rc);
	free(sc);
	return rc;
}
