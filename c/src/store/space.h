/* SPDX-License-Identifier: Apache-2.0 */
/* store/space.h: which blocks are in use, and by what.
 *
 * The map is cut into chunks of MAP_BITS blocks, one page of it on disk each. A chunk is read from disk when it is first needed, so that
 * opening costs nothing per byte of pool. Beside `used`, what a block may be (a plane of bits each, made when a chunk first needs it):
 *   hidden   handed out for a value that no tree refers to yet: a crash gives it back
 *   shown    was hidden until a checkpoint was under way: that one does not reach it, the next does
 *   freed    nothing live refers to it, but the checkpoint under way, or the last one, does
 *   leaving  freed when the checkpoint under way began, or by it: free once that is durable
 *   held     free but for readers that were open when it became so (and `waiting`: those of a later round)
 * Always true: a block that a durable superblock reaches is used; space_alloc() hands out only what is none of these; the map that a
 * checkpoint writes is used & ~(hidden | shown | leaving | held | waiting).
 * A chunk whose page on disk is damaged counts as used up: nothing of it is handed out, what is freed in it stays lost, the log says so.
 * One whose page cannot be read now, or for which there is no memory, is passed over, and read again when it is needed the next time. When
 * something of it is taken or freed meanwhile, that cannot be noted: the map in memory is broken, nothing is handed out any more, and it is never
 * written again; the next open reads the true one.
 * All functions want store->lock, and none waits for the device except to read a chunk's page. */
#ifndef TARN_STORE_SPACE_H
#define TARN_STORE_SPACE_H

#include "layout.h"

struct store;
struct space_chunk;

enum {
	SPARE_PAGES  = 16,
	SPARE_CHUNKS = 4,
};

struct space {
	struct store	    *store;  /* whose device the map is read from */
	uint64_t	     blocks; /* of the store */
	uint32_t	     chunks;
	struct space_chunk **chunk;	  /* loaded ones */
	struct bptr	    *index;	  /* where each chunk's page is; addr 0: all of it is free */
	uint32_t	    *free_in;	  /* free blocks of each chunk, as the index on disk says until it is loaded */
	uint8_t		    *dirty;	  /* chunks whose page must be written */
	uint32_t	     index_pages; /* of the index: each has the entries of INDEX_ENTRIES chunks */
	struct bptr	    *index_page;  /* where each of them is */
	uint8_t		    *index_dirty;
	struct bptr	     root;				  /* of the index on disk: the pointers to its pages */
	uint64_t	     free, freed, leaving, held, waiting; /* counts of blocks; held: with waiting */
	uint64_t	     known;				  /* of the free ones those in loaded chunks */
	uint32_t	     readers, readers_before;		  /* of this round, and of the one that `held` waits for */
	unsigned	     round;
	uint64_t	     cursor;  /* where the next run is looked for */
	uint32_t	     run_max; /* no free run is longer */
	uint64_t	     bytes;   /* of memory, the reserve too */
	uint32_t	     lost;    /* chunks whose page could not be read when it was last tried */
	int		     lost_rc; /* why, of the last such failure; 0: there is none */
	int		     broken;  /* why the map in memory is not true any more; 0: it is */
	bool		     writing; /* a checkpoint is under way */
	uint8_t		    *seen;    /* the page that space_on_disk() read last, or NULL; and where it is */
	struct bptr	     seen_ptr;
	/* The reserve: zeroed pages, and chunks without pages, for those who cannot answer NOMEM. */
	void		   *spare[SPARE_PAGES];
	struct space_chunk *spare_chunk[SPARE_CHUNKS];
	unsigned	    spares, spare_chunks;
};

int  space_init(struct space *sp, struct store *s, uint64_t blocks); /* all is free; NOMEM */
void space_fini(struct space *sp);
int  space_load(struct space *sp, const struct bptr *root); /* reads the index only. CSUM, IO, NOMEM */
/* Fills the reserve, which the void functions below live on: before what can no longer fail. Without memory, and with the reserve used up,
 * they fail the store. NOMEM */
int space_reserve(struct space *sp);

/* A run of 1 to want blocks, the first at *block; 0: none is free. Long runs are preferred, and those behind the last one handed out, so
 * that what is written together lies together: at 80 % full it costs no more than at 10 %. */
uint64_t space_alloc(struct space *sp, uint64_t want, uint64_t *block);
bool	 space_alloc_run(struct space *sp, uint64_t n, uint64_t *block); /* exactly n */
void	 space_take(struct space *sp, uint64_t block, uint64_t n);	 /* marks as used (what is already is fine) */
void	 space_free_now(struct space *sp, uint64_t block, uint64_t n);	 /* no superblock reaches it, nor does a reader know it */
void	 space_free_later(struct space *sp, uint64_t block, uint64_t n); /* freed */
void	 space_free_leaving(struct space *sp, uint64_t block, uint64_t n); /* the checkpoint under way does not reach it */
void	 space_hide(struct space *sp, uint64_t block, uint64_t n);
void	 space_show(struct space *sp, uint64_t block, uint64_t n); /* a tree refers to it now */

void space_freeze(struct space *sp); /* a checkpoint begins: what is freed leaves */
/* Places and writes the dirty chunks' pages and the index for the checkpoint under way, and sets root. Wants store->lock, gives it up while
 * the device writes; only the checkpoint calls it. NOSPACE, NOMEM, IO. */
int  space_write(struct space *sp);
void space_give_up(struct space *sp); /* it failed for want of memory: the next checkpoint does its work, too */
void space_thaw(struct space *sp);    /* its superblock is durable: what left is free, or held */

unsigned space_hold(struct space *sp);			 /* a reader opens: what is used now is not handed out again */
void	 space_unhold(struct space *sp, unsigned round); /* what space_hold() gave */

/* So many blocks are free, whatever cannot be read later: loads as many chunks as that takes. false: they are not, or it cannot be known. */
bool space_know(struct space *sp, uint64_t n);

uint64_t space_map_blocks(const struct space *sp); /* that space_write() takes at the most */
/* Does the map, as the last checkpoint has written it, say that the block is in use? For checks. */
bool space_on_disk(struct space *sp, uint64_t block);

#endif
