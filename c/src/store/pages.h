/* SPDX-License-Identifier: Apache-2.0 */
/* store/pages.h: what pages.c and park.c share.
 *
 * Always true: a block has at most one load in the table, so a page is read once, whoever wants it; who finds a load there waits for its
 * end, and then looks into the cache again. A load belongs to the thread that claimed it, or, once it is on the shared queue, to the
 * one in store_serve(). That thread reads, compares checksums without a lock, publishes the page in the cache, and takes the load out of the
 * table, in this order, whatever happens on the way. An error is told to who claimed it; all others meet their own when they try
 * again.
 *
 * What is read may be old: the block may be freed, and written anew, while the read is on its way. When that is another page, its
 * write marks the load (page_forget()), which then publishes nothing; when the read comes after the write, checksums differ. */
#ifndef TARN_STORE_PAGES_H
#define TARN_STORE_PAGES_H

#include "internal.h"

#define LOADS_MAX    1024u
#define LOAD_BUCKETS 1024u
#define REAP_MAX     32u

struct load {
	tarn_dev_io	   io;
	struct wanted	   w;
	struct frame	  *frame;  /* NULL: none was needed, or there was none */
	struct load	  *next;   /* in its bucket; of those that are free */
	struct load	  *joined; /* the next one that the same I/O reads */
	struct store_wait *waits;
	uint64_t	   number; /* changes when it ends */
	bool		   stale;  /* something else is written there. Changes under both locks */
	bool		   shared; /* on the shared queue */
	int		   rc;
};

struct waits { /* in the order in which they came */
	struct store_wait *first, **end;
};

/* A parked call stands in one list: of the load that it waits for; `later`, of those for which there was no room; or `ready`, of those to be
 * called. */
struct pages {
	pthread_mutex_t lock;
	pthread_cond_t	ended; /* a load has, while somebody sleeps */
	unsigned	sleepers;
	struct load    *buckets[LOAD_BUCKETS];
	struct load    *free;
	unsigned	made, in_flight, shared; /* loads; shared: of them on the shared queue */
	unsigned	parked;			 /* waits in any list */
	struct waits	ready, later;
	bool		serving; /* calls may park */
	bool		has_server;
	pthread_t	server; /* from then on */

	struct device_queue *queue; /* the shared one; from store_serve_begin() on */
	struct {
		pthread_mutex_t lock;		    /* stands alone, and is not held over a system call */
		tarn_dev_io    *waiting[LOADS_MAX]; /* to be submitted */
		unsigned	n;
		bool		busy;	 /* a thread submits */
		bool		at_once; /* the server sleeps: nobody but who adds one would submit it */
	} submit;
	struct load loads[LOADS_MAX];
};

void waits_init(struct waits *list);
void waits_add(struct waits *list, struct store_wait *wait);

/* pages.lock is held by the caller of these. */
struct load *load_find(struct pages *p, uint64_t block);
struct load *load_claim(struct store *s, const struct wanted *w); /* there is none of that block. NULL: no room */
bool	     loads_have_room(const struct store *s);
bool	     pages_server_is_me(const struct pages *p);

/* No lock is. */
int	     wanted_check(struct store *s, const struct wanted *w);	      /* CSUM: an impossible pointer */
bool	     wanted_is_plain(const struct store *s, const struct wanted *w);  /* one I/O reads it */
void	     loads_reserve(struct store *s, struct load **loads, unsigned n); /* frames for those whose page is not there yet */
tarn_dev_io *load_io(struct load *l);					      /* to be submitted */
struct load *load_read(struct store *s, tarn_dev_io *io); /* what the completed I/O belongs to, checked: its rc */
void	     loads_settle(struct store *s, struct load **loads, unsigned n); /* they end, and are others' right after */

#endif
