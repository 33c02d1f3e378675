/* SPDX-License-Identifier: Apache-2.0 */
/* store/checkpoint.c: from one generation to the next, beside the calls that go on.
 *
 * The order is the whole point. Under the lock, in an instant: all trees that have changed are frozen, the place in the log from which on
 * nothing of them is missing is noted, and what has been freed so far is set apart. Then, while calls go on with the next
 * generation: the frozen trees are written, then the engine's own trees, the space map, a flush, then the superblocks. Until the first
 * of those is whole the old generation stands; when all are, the log before the noted place is not needed any more, and what had been freed is
 * free. When memory fails on the way, nothing is lost: what is frozen stays, and the next checkpoint goes on with it. Any other failure once
 * something is frozen fails the store. */
#include "defer.h"
#include "filter.h"
#include "late.h"
#include "rows.h"
#include "spill.h"
#include <stdio.h>

void store_poison(struct store *s, int rc)
{
	if (s->failed)
		return;
	s->failed = rc;
	snprintf(s->why, sizeof(s->why), "%s", base_message());
	base_log(TARN_LOG_ERROR, "the pool is read-only until it is opened again: %s", s->why);
}

int store_writable(struct store *s)
{
	int rc;

	if (!s->failed && atomic_load_explicit(&s->log.rc, memory_order_relaxed)) {
		pthread_mutex_lock(&s->log.lock); /* until the message is whole */
		rc = s->log.rc;
		pthread_mutex_unlock(&s->log.lock);
		base_set_message(s->log.message), store_poison(s, rc);
	}
	return s->failed ? fail(EP_RO, "the pool is read-only until it is opened again, because of an earlier failure: %.170s",
				s->why)
			 : 0;
}

/* ---- space for it ---- */

static uint64_t node_blocks(const struct store *s)
{
	return blob_blocks(tree_new_cap(s, 1));
}

#define NOTE_BYTES 128u /* of a note in a half full page of the engine's own trees */

/* What changing the engine's own trees takes: records of trees and snapshots, notes of dead runs, and, when a snapshot has gone, those that
 * are there already and get another name. */
static uint64_t own_blocks(struct store *s)
{
	const struct checkpoint *c	 = &s->checkpoint;
	const struct tree	*dead	 = tree_peek(s, TREE_DEAD, 0);
	uint64_t		 notes	 = c->dead_n + (c->reclaim_n && dead ? dead->keys : 0);
	uint64_t		 records = s->trees_dirty + c->frozen_n + c->reclaim_n;

	return (DIV_UP((notes + records) * NOTE_BYTES, s->node_bytes) + records + 6) * blob_blocks(tree_new_cap(s, 0)) +
	       3 * node_blocks(s);
}

/* What a checkpoint may take. */
static uint64_t checkpoint_blocks(struct store *s)
{
	return s->cache.dirty_blocks + s->defer.blocks + own_blocks(s) + space_map_blocks(&s->space) + 4;
}

/* Kept back from what adds data, for deletes and for the checkpoint after them. */
static uint64_t reserve_blocks(const struct store *s)
{
	return 8 * node_blocks(s) + s->sb.blocks / 64;
}

/* What must not fail later is counted in parts of the map that have been read. The reserve may lie elsewhere: who comes to it counts again. */
static bool has_space(struct store *s, uint64_t blocks, bool reserve_too)
{
	uint64_t all = blocks + checkpoint_blocks(s);

	return s->space.free >= all + (reserve_too ? reserve_blocks(s) : 0) && space_know(&s->space, all);
}

bool space_spare(struct store *s, uint64_t blocks)
{
	return has_space(s, blocks, true);
}

int space_make(struct store *s, uint64_t blocks, bool reserve_too)
{
	if (has_space(s, blocks, reserve_too))
		return 0;
	if (s->space.freed + s->space.leaving + s->defer.n || s->checkpoint.reclaim_n || s->checkpoint.dead_n)
		return NEEDS_CHECKPOINT;
	if (s->space.lost_rc && s->space.known < s->space.free)
		return no_blocks(s);
	if (s->space.held)
		return fail(NOSPACE,
			    "%llu KiB are needed and %llu KiB are free; %llu KiB wait for readers that are open: close them",
			    (unsigned long long)blocks * BLOCK / 1024, (unsigned long long)s->space.free * BLOCK / 1024,
			    (unsigned long long)s->space.held * BLOCK / 1024);
	return fail(NOSPACE,
		    "%llu KiB are needed and %llu KiB are free, of which %llu KiB are kept for deletes and checkpoints: delete "
		    "something",
		    (unsigned long long)blocks * BLOCK / 1024, (unsigned long long)s->space.free * BLOCK / 1024,
		    (unsigned long long)(checkpoint_blocks(s) + reserve_blocks(s)) * BLOCK / 1024);
}

/* ---- the instant ---- */

static bool is_own(const struct tree *t)
{
	return t->id == 0 || t->id == TREE_SNAPS || t->id == TREE_DEAD;
}

static void freeze_trees(struct store *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->trees); i++) {
		for (struct tree *t = s->trees[i]; t; t = t->next) {
			if (!t->dirty || is_own(t))
				continue;
			tree_freeze(s, t);
			t->dirty = false;
		}
	}
	s->trees_dirty = 0;
}

/* Each change has seen to it that there is room for the checkpoint after it. But what a checkpoint gives up does not become free while readers are
 * open, so one after the other might take all that there is. */
static int room_beside_readers(struct store *s)
{
	if (!s->space.held || has_space(s, 0, false))
		return 0;
	return fail(NOSPACE,
		    "%llu KiB are free, too little for a checkpoint: %llu KiB wait for readers that are open: close them",
		    (unsigned long long)s->space.free * BLOCK / 1024, (unsigned long long)s->space.held * BLOCK / 1024);
}

static int freeze(struct store *s, struct log_place *place, uint64_t *lsn)
{
	struct checkpoint *c  = &s->checkpoint;
	int		   rc = room_beside_readers(s);

	rc = rc ? rc : tree_spare(s, (unsigned)s->trees_dirty);
	rc = rc ? rc : space_reserve(&s->space);
	if (rc)
		return rc;
	atomic_fetch_add(&c->begun, 1);
	c->running = true;
	c->gen	   = s->gen;
	freeze_trees(s);
	defer_freeze(s);
	rows_at_checkpoint(s);
	c->frozen_bytes = c->frozen_left = dirty_memory(s);
	c->frozen_wide			 = s->cache.dirty_wide;
	c->frozen_puts			 = s->defer.used;
	c->todo				 = s->cache.dirty_bytes / BLOCK + s->defer.n * DIV_UP(s->node_bytes, BLOCK);
	c->done				 = 0;
	s->gen++;
	space_freeze(&s->space);
	c->dead_old    = c->dead_n;
	c->reclaim_old = c->reclaim_n;
	c->frozen_last = c->frozen ? container_of(c->frozen_end, struct tree, newer) : NULL;
	if (s->replaying) { /* what has not been replayed is still only in the log */
		*place = (struct log_place){ s->sb.log_pos, s->sb.log_seq, s->sb.log_epoch, s->sb.log_chain };
		*lsn   = s->log.lsn;
	} else {
		log_mark(s, place, lsn);
	}
	return 0;
}

/* ---- the work ---- */

static int write_record(struct store *s, uint64_t id, const struct bptr *root, uint64_t keys)
{
	uint8_t key[8], rec[TREE_BYTES];

	put64be(key, id);
	bptr_put(rec + TREE_ROOT, root);
	put64(rec + TREE_KEYS, keys);
	return own_put(s, 0, key, sizeof(key), root->addr ? rec : NULL, root->addr ? TREE_BYTES : 0);
}

/* The live trees' new roots. */
static int write_records(struct store *s)
{
	struct checkpoint *c  = &s->checkpoint;
	int		   rc = 0;

	for (struct tree *z = frozen_first(c); !rc && z; z = frozen_next(c, z))
		if (!z->epoch && !z->dropped)
			rc = write_record(s, z->owner, &z->root, z->keys);
	return rc;
}

static int write_own(struct store *s, uint64_t id)
{
	struct tree *t	= tree_peek(s, id, 0);
	int	     rc = t && t->dirty ? flush_tree(s, t) : 0;

	if (rc || !t || !t->dirty)
		return rc;
	t->dirty = false;
	return id ? write_record(s, id, &t->root, t->keys) : 0;
}

static int write_trees(struct store *s)
{
	int rc = flush_frozen(s);

	rc = rc ? rc : snap_settle(s);
	rc = rc ? rc : write_records(s);
	rc = rc ? rc : write_own(s, TREE_SNAPS);
	rc = rc ? rc : write_own(s, TREE_DEAD);
	return rc ? rc : write_own(s, 0);
}

static struct superblock next_superblock(struct store *s, const struct log_place *place, uint64_t lsn)
{
	struct superblock sb = s->sb;

	pthread_mutex_lock(&s->lock);
	sb.generation  = s->checkpoint.gen;
	sb.root	       = tree_peek(s, 0, 0)->root;
	sb.space       = s->space.root;
	sb.log_epoch   = place->epoch;
	sb.log_pos     = place->pos;
	sb.log_seq     = place->seq;
	sb.log_chain   = place->chain;
	sb.lsn	       = lsn;
	sb.free_blocks = s->space.free + s->space.leaving + s->space.held + spills_blocks(s);
	pthread_mutex_unlock(&s->lock);
	return sb;
}

static int write_space(struct store *s)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = space_write(&s->space);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int write_all(struct store *s, const struct log_place *place, uint64_t lsn, struct superblock *sb)
{
	int rc = write_trees(s);

	rc = rc ? rc : write_space(s);
	rc = rc ? rc : late_land(s);
	rc = rc ? rc : io_flush(s);
	if (rc) {
		io_drain(s);
		return rc;
	}
	*sb = next_superblock(s, place, lsn);
	return superblock_write(s->io.queue, sb);
}

/* With the lock. */
static void finish(struct store *s, int rc, const struct superblock *sb, const struct log_place *place)
{
	struct checkpoint *c = &s->checkpoint;

	if (rc == -TARN_E_NOMEM || (rc && c->again)) {
		space_give_up(&s->space);
		c->frozen_last = NULL;
		c->dead_old = c->reclaim_old = 0;
	} else if (rc) {
		store_poison(s, rc);
	} else {
		s->sb = *sb;
		space_thaw(&s->space);
		snap_thaw(s);
		defer_thaw(s);
		if (!s->replaying) {
			log_release(s, place);
			c->grown = log_used(s);
		}
	}
	c->running = false;
	c->count++;
	pthread_cond_broadcast(&c->ended);
}

/* With checkpoint.lock. */
static int run(struct store *s)
{
	struct superblock sb;
	struct log_place  place;
	uint64_t	  lsn;
	int		  rc = s->replaying ? 0 : log_flush_all(s); /* else what nobody waits for would stay in its buffer */
	int		  writable;

	pthread_mutex_lock(&s->lock);
	writable = store_writable(s);
	rc	 = writable ? writable : rc;
	rc	 = rc ? rc : freeze(s, &place, &lsn);
	pthread_mutex_unlock(&s->lock);
	if (rc)
		return rc;
	rc = write_all(s, &place, lsn, &sb);
	pthread_mutex_lock(&s->lock);
	finish(s, rc, &sb, &place);
	pthread_mutex_unlock(&s->lock);
	spills_give(s);
	return rc;
}

int checkpoint(struct store *s)
{
	struct checkpoint *c	 = &s->checkpoint;
	uint64_t	   begun = atomic_load(&c->begun);
	int		   rc	 = 0;

	pthread_mutex_lock(&c->lock);
	if (atomic_load(&c->begun) == begun)
		rc = run(s);
	while (rc == -TARN_E_AGAIN) /* it has saved what a damaged page would have lost */
		rc = run(s);
	pthread_mutex_unlock(&c->lock);
	if (rc)
		return rc;
	pthread_mutex_lock(&s->lock);
	rc = s->failed ? store_writable(s) : 0; /* of the one that another thread has run */
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* With checkpoint.lock. A put that has left memory, and does not arrive, is still in the log. */
static int spill(struct store *s)
{
	struct stages g;
	int	      rc, drained;

	pthread_mutex_lock(&s->lock);
	rc = store_writable(s);
	pthread_mutex_unlock(&s->lock);
	rc = rc ? rc : stages_begin(&g, s);
	if (rc)
		return rc;
	rc	= spill_run(&g);
	drained = stages_drain(&g);
	stages_fini(&g);
	rc = rc ? rc : drained;
	if (!rc)
		return 0;
	pthread_mutex_lock(&s->lock);
	store_poison(s, rc);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static bool wants_spill(struct store *s)
{
	bool wants;

	pthread_mutex_lock(&s->lock);
	wants = pace_wants_spill(s);
	pthread_mutex_unlock(&s->lock);
	return wants;
}

int spill_now(struct store *s, bool anyway)
{
	int rc = 0;

	pthread_mutex_lock(&s->checkpoint.lock);
	if (anyway || wants_spill(s)) /* no other thread has made room meanwhile */
		rc = spill(s);
	pthread_mutex_unlock(&s->checkpoint.lock);
	return rc;
}

int make_room(struct store *s)
{
	return wants_spill(s) ? spill_now(s, false) : checkpoint(s);
}

int checkpoint_relieve(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;
	bool		   waited;

	pthread_mutex_lock(&s->lock);
	waited = c->running;
	for (uint64_t count = c->count; c->running && c->count == count;)
		pthread_cond_wait(&c->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return waited ? 0 : make_room(s);
}

int store_relieve(struct store *s, uint64_t *again_ns)
{
	uint64_t log;
	bool	 due, of_log, more;
	int	 rc = 0;

	back_ahead(s);
	pthread_mutex_lock(&s->lock);
	log    = log_used(s);
	due    = pace_is_due(s, log);
	of_log = pace_log_is_due(s, log);
	pthread_mutex_unlock(&s->lock);
	if (due)
		rc = of_log ? checkpoint(s) : make_room(s);
	more	  = filter_step(s);
	*again_ns = more ? 1 : back_join(s);
	return rc;
}

int store_checkpoint(struct store *s)
{
	return checkpoint(s);
}

void store_on_due(struct store *s, void (*due)(void *arg), void *arg)
{
	pthread_mutex_lock(&s->lock);
	if (due) /* who has seen the one before may still call it */
		s->due_arg = arg;
	atomic_store(&s->due, due);
	pthread_mutex_unlock(&s->lock);
}
