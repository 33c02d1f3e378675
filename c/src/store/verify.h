/* SPDX-License-Identifier: Apache-2.0 */
/* store/verify.h: what a check and a scrub share: pages read from the device, not from the cache, against what their parents say; and
 * what is found.
 *
 * Always true: nothing is changed; no lock is wanted or taken; who calls sees to it that no block which a page read here points to is
 * handed out meanwhile. A finding is noted, and told only by verify_tell(), since who is told may call the store. Damage does not end a
 * walk: what is below it is left out, and `damaged` says that something was. */
#ifndef TARN_STORE_VERIFY_H
#define TARN_STORE_VERIFY_H

#include "internal.h"

#define VERIFY_TOLD_MAX 1000u /* findings that are told; all are counted */

struct noted;
struct verify {
	struct store	    *s;
	struct store_report *report; /* never NULL */
	uint64_t	     all;    /* bytes in use */
	uint64_t	     shown;  /* bytes that progress() has heard of */
	struct noted	    *notes, **notes_end;
	unsigned	     told;
	int		     rc; /* of the first finding */
	char		     first[TARN_MESSAGE_MAX];
	bool		     damaged;
	unsigned	     bad_n; /* pages that could not be read, so that each is noted once */
	uint64_t	     bad[VERIFY_TOLD_MAX];
};

/* What its parent says of a page. */
struct place {
	struct store_at at;
	struct bptr	ptr;
	uint64_t	keys;	   /* below it */
	uint64_t	birth;	   /* of the parent: it is not older than its child */
	int		level;	   /* -1: a root, which may have any */
	tarn_buf	low, high; /* its fences; high empty: there is none */
};

void verify_begin(struct verify *v, struct store *s, struct store_report *report);
/* Notes this thread's sentence. The place is copied. A code that is not of the device's data (NOMEM, CANCELED) is no finding: it is
 * returned, and ends the walk; else 0. */
int verify_note(struct verify *v, const struct place *p, int rc);
/* The same of a page that cannot be read, once however often it is met. */
int  verify_damage(struct verify *v, const struct place *p, int rc);
void verify_tell(struct verify *v);
int  verify_end(struct verify *v, int rc);		/* tells, and frees; the result: rc, or of the first finding */
int  verify_progress(struct verify *v, uint64_t bytes); /* so many were read: 0 or CANCELED */

struct place verify_root(struct store_at at, const struct bptr *root, uint64_t keys, uint64_t birth);
/* The page of a place: 0; or what is wrong with it, noted by nobody. *page is to be freed with device_free() in any case. */
int verify_read(struct verify *v, const struct place *p, uint8_t **page);

/* The children of a sound inner page, from a slot on, in order, read several at a time. wanted() says which; visit() gets a page, or the error
 * that its reading came to; what it returns, when it is not 0, ends it and is the result. */
struct verify_visitor {
	bool (*wanted)(struct verify_visitor *visitor, const struct place *child);
	int (*visit)(struct verify_visitor *visitor, const struct place *child, const uint8_t *page, int rc);
};
int verify_children(struct verify *v, const struct place *parent, const uint8_t *page, uint32_t slot,
		    struct verify_visitor *visitor);

/* The entries of a tree from a key on, in order, until fn returns something else than 0: that, or 0. Damaged pages are noted, and left out. */
typedef int (*verify_entry_fn)(void *arg, tarn_buf key, const struct leaf_value *value);
int verify_scan(struct verify *v, const struct place *root, tarn_buf from, verify_entry_fn fn, void *arg);

/* The pieces and index blocks of a value in extents, each against its pointer, index blocks before what they point to. wanted() says whether
 * one is read (and what is below it); its birth is that of the descriptor's pointer that leads to it. What is wrong is noted. p: of the leaf;
 * the key is the finding's. */
typedef bool (*verify_piece_fn)(void *arg, const struct bptr *ptr, uint64_t birth);
int verify_value(struct verify *v, const struct place *p, tarn_buf key, const struct leaf_value *value, verify_piece_fn wanted,
		 void *arg);

#endif
