/* SPDX-License-Identifier: Apache-2.0 */
/* store/rows.h: single keys with their values, of leaves that memory has no room for. */
#ifndef TARN_STORE_ROWS_H
#define TARN_STORE_ROWS_H

#include "internal.h"

#define ROW_VALUE_MAX 512u /* bytes; longer values have no row */

/* The place of a key, as it was before its leaf was read. A row that is added later counts only if nothing has changed there since. */
struct row_place {
	uint64_t	hash, owner, word;
	struct row_set *set;
	bool		open; /* there may be a row */
};
struct row {
	uint64_t revision;
	uint32_t len;
	uint8_t *bytes; /* room for ROW_VALUE_MAX */
};

/* No lock. life: of a live tree, loaded before anything else of it (finger.h). */
struct row_place row_find(struct store *s, uint64_t life, tarn_buf key);			/* begins to load it */
bool		 row_get(struct store *s, struct row_place *at, tarn_buf key, struct row *row); /* false: there is none */
void		 row_add(struct store *s, const struct row_place *at, tarn_buf key,
			 const struct row *row); /* of a key that was in no leaf in memory */
void		 row_missed(struct store *s);	 /* a get had to read a leaf: rows may help */

/* store->lock: around a change of these keys in their trees. Meanwhile nobody finds a row of theirs. */
void rows_begin(struct store *s, const struct store_mutation *muts, size_t n);
void rows_end(struct store *s, const struct store_mutation *muts, size_t n, uint64_t revision); /* revision 0: it failed */

void rows_yield(struct store *s);	  /* store->lock; not within these. Changes need memory */
void rows_at_checkpoint(struct store *s); /* changes alone may need all memory */

void rows_init(struct store *s, uint64_t budget);
void rows_fini(struct store *s);

#endif
