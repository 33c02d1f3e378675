/* SPDX-License-Identifier: Apache-2.0 */
/* store/checkpoint.c: from one generation to the next.
 *
 * The order is the whole point: the log (so that only logged changes are in it), the trees, tree 0 with their roots, the space map, a
 * flush, then the superblocks. Until the first of those is whole the old generation stands; when all are, the log is empty and what
 * was pending is free. Any failure on the way fails the store. */
#include "internal.h"
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

	if (!s->failed) {
		pthread_mutex_lock(&s->log.lock);
		rc = s->log.rc;
		pthread_mutex_unlock(&s->log.lock);
		if (rc)
			base_set_message(s->log.message), store_poison(s, rc);
	}
	return s->failed ? fail(EP_RO, "the pool is read-only until it is opened again, because of an earlier failure: %.170s",
				s->why)
			 : 0;
}

/* What a checkpoint may take beside the dirty pages. */
static uint64_t checkpoint_blocks(const struct store *s)
{
	uint64_t node = blob_blocks(ROUND_UP(s->node_bytes, BLOCK));

	return s->cache.dirty_blocks + (s->trees_dirty + 2) * 2 * node + space_map_blocks(&s->space) + 4;
}

/* Kept back from what adds data, for deletes and for the checkpoint after them. */
static uint64_t reserve_blocks(const struct store *s)
{
	return 8 * blob_blocks(ROUND_UP(s->node_bytes, BLOCK)) + s->space.blocks / 64;
}

static bool has_space(const struct store *s, uint64_t blocks, bool reserve_too)
{
	return s->space.free >= blocks + checkpoint_blocks(s) + (reserve_too ? reserve_blocks(s) : 0);
}

int space_make(struct store *s, uint64_t blocks, bool reserve_too)
{
	int rc;

	if (has_space(s, blocks, reserve_too))
		return 0;
	if (s->nowait)
		return fail(AGAIN, "a checkpoint must make space first");
	if (s->space.pending_count && !s->readers) {
		rc = checkpoint(s, s->log.epoch);
		if (rc || has_space(s, blocks, reserve_too))
			return rc;
	}
	return fail(NOSPACE,
		    "%llu KiB are needed and %llu KiB are free, of which %llu KiB are kept for deletes and checkpoints: delete "
		    "something",
		    (unsigned long long)blocks * BLOCK / 1024, (unsigned long long)s->space.free * BLOCK / 1024,
		    (unsigned long long)(checkpoint_blocks(s) + reserve_blocks(s)) * BLOCK / 1024);
}

static int write_record(struct store *s, struct tree *zero, struct tree *t)
{
	uint8_t		  key[8], rec[TREE_BYTES];
	struct leaf_value val = { rec, TREE_BYTES, false, s->log.lsn };
	int		  rc;

	put64be(key, t->id);
	bptr_put(rec + TREE_ROOT, &t->root);
	put64(rec + TREE_KEYS, t->keys);
	if (t->root.addr)
		return tree_put(s, zero, (tarn_buf){ key, 8 }, &val);
	rc = tree_del(s, zero, (tarn_buf){ key, 8 });
	return rc == -TARN_E_NONEXIST ? 0 : rc;
}

static int write_trees(struct store *s, struct tree *zero)
{
	int rc = tree_flush_all(s);

	for (size_t i = 0; !rc && i < ARRAY_LEN(s->trees); i++)
		for (struct tree *t = s->trees[i]; !rc && t; t = t->next)
			if (t->id && t->dirty)
				rc = write_record(s, zero, t);
	return rc ? rc : tree_flush(s, zero);
}

static void clean_trees(struct store *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->trees); i++)
		for (struct tree *t = s->trees[i]; t; t = t->next)
			t->dirty = false;
	s->trees_dirty = 0;
}

static struct superblock next_superblock(const struct store *s, const struct tree *zero, uint64_t epoch)
{
	struct superblock sb = s->sb;

	sb.generation  = s->gen;
	sb.root	       = zero->root;
	sb.space       = s->space.root;
	sb.log_epoch   = epoch;
	sb.log_pos     = s->log.pos;
	sb.log_seq     = s->log.seq;
	sb.log_chain   = s->log.chain;
	sb.lsn	       = s->log.lsn;
	sb.free_blocks = s->space.free + s->space.pending_count;
	return sb;
}

static int write_all(struct store *s, uint64_t epoch)
{
	struct superblock sb;
	struct tree	 *zero;
	int		  rc = tree_open(s, 0, &zero);

	rc = rc ? rc : log_flush_all(s);
	rc = rc ? rc : write_trees(s, zero);
	rc = rc ? rc : space_write(s);
	rc = rc ? rc : io_flush(s);
	if (rc) {
		io_drain(s);
		return rc;
	}
	sb = next_superblock(s, zero, epoch);
	rc = superblock_write(s->io.queue, &sb);
	if (!rc)
		s->sb = sb;
	return rc;
}

int checkpoint(struct store *s, uint64_t epoch)
{
	int rc = write_all(s, epoch);

	if (rc) {
		store_poison(s, rc);
		return rc;
	}
	s->gen++;
	clean_trees(s);
	log_restart(s, epoch);
	if (!s->readers)
		space_release(&s->space);
	return 0;
}

int store_checkpoint(struct store *s)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = store_writable(s);
	rc = rc ? rc : checkpoint(s, s->log.epoch);
	pthread_mutex_unlock(&s->lock);
	return rc;
}
