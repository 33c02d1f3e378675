/* SPDX-License-Identifier: Apache-2.0 */
/* store/check.h: what the two halves of a check share: check.c walks the trees, check_map.c knows blocks.
 *
 * A check takes what the last superblock reaches, with checkpoint.lock held, so that no later one frees any of it. Always true: a bit of
 * `seen` is set when something refers to the block; of `dead` too when only a snapshot does, until a note of it has been met; two bits of
 * `known`, a Bloom filter, are set for each page and value that was verified, by all that its parent says of it: what one tree shares with
 * another must be in it. So memory is three bits a block of the store, and pages as deep as a tree. */
#ifndef TARN_STORE_CHECK_H
#define TARN_STORE_CHECK_H

#include "verify.h"

struct check {
	struct verify	  v;
	struct store	 *s;
	struct superblock sb;
	bool		  halfway; /* the checkpoint before failed: copies of the superblock may be newer, or torn */
	uint64_t	 *seen, *dead, *known;
	uint64_t	  gen;	    /* of the snapshot at hand; 0: a live tree */
	uint64_t	  dead_n;   /* bits in dead */
	uint64_t	  dead_sum; /* of all notes that there must be, less those that were met */
	int		  rc;	    /* ends the walk */
};

void check_note(struct check *c, const struct place *p, int rc); /* verify_note(); what that returns stays in c->rc */
bool check_seen(const struct check *c, uint64_t block);
/* Notes that p (whose address this is not, but whose it is) refers to these blocks. false: something did before; that is a finding. */
bool	 check_see(struct check *c, const struct place *p, uint64_t block, uint64_t n, uint64_t birth);
bool	 check_see_blob(struct check *c, const struct place *p); /* all of p->ptr; a gang's list has been read */
bool	 check_is_known(const struct check *c, uint64_t name);
void	 check_know(struct check *c, uint64_t name);
uint64_t check_name_page(const struct place *p);
uint64_t check_name_value(const struct place *p, tarn_buf key, const struct leaf_value *value);

/* A note of TREE_DEAD: blocks that only snapshots need. */
int check_dead(struct check *c, const struct place *p, uint64_t needed, uint64_t birth, uint64_t block, uint32_t n);
int check_dead_end(struct check *c); /* all have been met */

int check_fixed(struct check *c);   /* superblocks, the log's place, and the pages of the map: seen, and whole */
int check_compare(struct check *c); /* the map with what was seen; last */

#endif
