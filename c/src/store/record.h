/* SPDX-License-Identifier: Apache-2.0 */
/* store/record.h: what a group of the log has: records, each a batch.
 *
 * A mutation leaves out what the one before it in its group has said: the tree, and the first bytes of the key. So a group is read from its
 * first record on, and a place in it is a reader. Functions here want no lock. */
#ifndef TARN_STORE_RECORD_H
#define TARN_STORE_RECORD_H

#include "internal.h"

#define RECORD_BAD 1 /* of record_read(): what is there is no record */

struct record_reader {
	const uint8_t	     *at, *end;
	uint64_t	      lsn; /* of the record at `at` */
	struct record_context before;
};

struct record { /* zeroed, it is empty */
	uint64_t	       lsn;
	size_t		       n;
	struct store_mutation *muts; /* keys that share bytes with others are in `keys`, all else is in the group */
	bool		      *extents;
	uint8_t		      *keys;
	size_t		       room, keys_room;
};

void record_first(struct record_reader *r, const uint8_t *group); /* of one whose header is sane */
int record_read(struct record_reader *r, struct record *rec); /* in place of what is in rec. RECORD_BAD, NOMEM: r has not moved */
void record_free(struct record *rec);

static inline bool record_is_last(const struct record_reader *r)
{
	return r->at == r->end;
}

uint64_t record_bytes(const struct store_mutation *muts, size_t n); /* at the most */
uint8_t *record_write(struct record_context *before, uint8_t *to, const struct store_mutation *muts,
		      size_t n); /* the place behind it */

#endif
