/* SPDX-License-Identifier: Apache-2.0 */
/* store/internal.h: the engine's rooms, and what holds between them.
 *
 * open, check -> checkpoint -> flush -> merge -> scout -> near, flush -> spill -> stage, above, and apply, aim, read, walk -> pace, tree -> finger, rows, cache, defer -> slab,
 * pages -> space -> io, queues -> node -> layout, and log, record and value beside them.
 *
 * One thread at a time changes anything in memory: it holds store->lock, and never waits for the device meanwhile but where a function
 * says so. Readers of trees take no lock: a frame and a tree have a version, odd while they change; a reader compares it before and
 * after, and begins anew when it has changed (read.c). Always true, under store->lock:
 *   - a block that the last superblock reaches is neither overwritten nor handed out (space.h);
 *   - a dirty page has a virtual id, and so has the pointer to it in its parent, which is dirty too; a clean page's id is its block;
 *   - a page that was dirty when its tree was frozen (for a checkpoint, or a snapshot) is not changed any more: who wants to makes a copy of
 *     it first (a new frame with an id of its own), and the old one is `superseded`: it is written once, for the frozen tree;
 *   - only a checkpoint writes pages, and only those of frozen trees, children before parents. When a page has been written, every
 *     parent of it in memory, in the live tree and in frozen ones, gets its new pointer before its frame may be evicted;
 *   - what can fail (reading, conditions, space) is done before the first change of a batch; a failure after that fails the store,
 *     which is read-only from then on;
 *   - the on-disk space map is what the superblock being written reaches, no more and no less.
 * Generations: s->gen counts freezes. A page's birth is the generation in which it became dirty. A snapshot's generation is that of its
 * freeze: it needs just those blocks whose birth is not after it, so a live tree gives back only blocks born after its newest one.
 * Lock order: checkpoint.lock, store->lock, pages.lock, feed.opening, log.lock, feed.lock; queues.lock stands alone. Functions here want store->lock unless they
 * say otherwise. */
#ifndef TARN_STORE_INTERNAL_H
#define TARN_STORE_INTERNAL_H

#include "layout.h"
#include "log.h"
#include "node.h"
#include "slab.h"
#include "space.h"
#include "store.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define DEPTH_MAX      32u
#define IO_DEPTH       32u
#define IO_LANES       9u
#define LOG_BLOCKS_MIN 16u
#define RESTART	       1   /* of a function that reads without a lock: something changed, begin anew */
#define LINE	       64u /* bytes that the processor loads at once */

/* The empty statement keeps the compiler from taking a function that only prefetches for one without effect, and leaving out its calls. */
static inline void prefetch(const void *at)
{
	__builtin_prefetch(at);
	__asm__ volatile("");
}

/* A CHECK has a key, too, and changes nothing. */
static inline bool changes_key(const struct store_mutation *m)
{
	return m->change == STORE_PUT || m->change == STORE_DEL;
}

/* Between two looks at what another thread is about to change. */
static inline void spin_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static inline void prefetch_lines(uintptr_t at, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		prefetch((const void *)(at + i * LINE));
}

struct superblock {
	tarn_uuid      pool, target;
	uint64_t       generation, blocks, log_block, log_blocks;
	uint32_t       node_bytes;
	uint64_t       log_epoch, log_pos, log_seq, lsn;
	struct hash128 log_chain;
	struct bptr    root, space;
	uint64_t       free_blocks;
	uint32_t       meta_len;
	uint8_t	       meta[SB_META_MAX];
};

/* io: the checkpoint's own queue; writes overlap, and io_drain() says how they went. Only who holds checkpoint.lock uses it. */
struct io_slot {
	tarn_dev_io io;
	void	   *owned; /* freed when it completes */
	unsigned    lane;
	bool	    busy;
};
struct io {
	struct device_queue *queue;
	struct io_slot	     slots[IO_DEPTH];
	unsigned	     inflight;
	unsigned	     lanes[IO_LANES]; /* of them, in each; lane 0: nobody waits for it alone */
	int		     rc;	      /* the first error since the last drain */
	char		     message[96];
};

/* cache: pages in memory. Frames are never given back to the system, so a reader may look at one that has got another page meanwhile. */
struct frame {
	_Atomic uint64_t version; /* even: at rest */
	_Atomic uint64_t id;	  /* 0: free, or not yet found by its id */
	uint8_t		*page;
	uint32_t	 cap; /* bytes of page */
	uint32_t	 number;
	_Atomic uint64_t live;	  /* finger.c: the version in which it is a leaf of a live tree, and of which life */
	_Atomic bool	 touched; /* since the clock's hand passed */
	bool		 dirty, superseded, view; /* view: of a page that was put off (defer.c); not dirty */
	uint32_t	 pins; /* by who holds store->lock, or has frozen it, or is to write what is made from it */
	uint64_t	 tree;
	uint64_t	 gen;	/* of a dirty page: when it became dirty, its birth */
	_Atomic uint32_t chain; /* number of the next frame in its bucket */
	uint32_t	 mark;	/* the batch that counted it */
	uint64_t needed; /* of a superseded page: a generation that no snapshot which needs it is younger than; 0: none does */
	union {
		uint64_t died;	  /* of a superseded page: the generation that made a copy of it */
		uint64_t written; /* of a clean page: the number of the write that it was in; not to be evicted before that has
				   * ended */
	};
	struct bptr ptr; /* of a clean page */
};
_Static_assert(sizeof(struct frame) == 128, "a frame is two cache lines");
#define FRAME_CLASSES 8u  /* 4 KiB to 512 KiB */
#define CHILD_BYTES   64u /* of an inner page, about what a child takes */
struct arena {
	struct frame *frames;
	uint8_t	     *memory;
	uint32_t     *hints;	  /* of a frame: page bytes / CHILD_BYTES of them, see hint_at() */
	uint32_t      max, made;  /* frames that there is address space for; that have been used */
	uint32_t      free, bare; /* lists of them, by number, linked by chain: with memory, and without */
	uint32_t      hand;
	/* back.c, in bytes from the beginning: of memory to be touched beforehand, that was; of memory and frames in huge pages, if there are any */
	uint64_t wanted, backed, joined, joined_frames;
};
struct cache {
	struct arena	  arenas[FRAME_CLASSES];
	_Atomic uint32_t *hash;
	uint64_t	  hash_mask;
	uint64_t	  budget, bytes;	   /* bytes: of memory that the arenas have, and of the tables */
	uint64_t	  dirty_bytes, dirty_wide; /* wide: of them, in pages of more than a block */
	uint64_t	  dirty_blocks;		   /* that writing them takes */
	uint64_t	  next_virtual;
	uint64_t	  made_then; /* frames, when back.c last looked */
};

/* A tree, live or frozen, or a snapshot. Never freed before the store is closed, so that it can be found without a lock. */
struct snapshot {
	uint64_t epoch, gen;
};
struct tree {
	_Atomic(struct tree *) next;	  /* in its bucket */
	_Atomic uint64_t       id, epoch; /* epoch 0: live. id ~0: of a snapshot that is gone, free for another */
	_Atomic uint64_t       root_id;	  /* root.addr, for readers */
	_Atomic uint64_t       life;	  /* of a live tree: another one after each drop (finger.c); 0: none */
	struct bptr	       root;	  /* addr 0: empty */
	uint32_t	       hint;	  /* the number of the root's frame when it was last seen */
	uint64_t	       keys;	  /* when the root is clean */
	uint64_t	       gen;	/* frozen: of the freeze. live: of its last one: pages born later are changed in place */
	bool		       dirty;	/* live: differs from its record in tree 0 */
	uint64_t	       owner;	/* frozen: the id of its tree */
	bool		       record;	/* of a snapshot: that it must be written to TREE_SNAPS */
	bool		       dropped; /* frozen: nothing needs its pages once they can be walked */
	struct tree	      *newer;	/* in the list of frozen trees that are not on disk, oldest first */
	struct snapshot	      *snaps;	/* of a live tree, oldest first */
	size_t		       snaps_n, snaps_cap;
};

/* What a checkpoint has to do beside writing pages, in this order. */
struct dead_run { /* blocks that only snapshots need */
	uint64_t tree, needed, birth, block;
	uint32_t blocks;
};
struct reclaim { /* a snapshot that is gone, or (gen 0) a tree with all its snapshots */
	uint64_t tree, epoch, gen,
		before; /* before: the generation of the next older snapshot, 0: none; of a dropped tree: of its end */
};
struct checkpoint {
	pthread_mutex_t	 lock;	/* who holds it runs the checkpoint */
	pthread_cond_t	 ended; /* with store->lock */
	uint64_t	 count; /* that have ended, and spills that have */
	bool		 running;
	bool		 again;	  /* the one under way gives up for a reason that may be gone: what is frozen stays */
	uint64_t	 gen;	  /* being written */
	uint64_t	 written; /* writes of pages that have ended, in their order */
	struct tree	*frozen, **frozen_end, *frozen_last; /* last: of the checkpoint under way */
	unsigned	 frozen_n;
	struct dead_run *dead; /* grows; the first dead_old were there when the checkpoint began */
	size_t		 dead_n, dead_cap, dead_old;
	struct reclaim	*reclaim; /* the same */
	size_t		 reclaim_n, reclaim_cap, reclaim_old;
	_Atomic uint64_t begun;			    /* checkpoints */
	uint64_t	 todo, done;		    /* blocks of the frozen pages; of those that have been written */
	uint64_t	 frozen_bytes, frozen_left; /* dirty memory when it froze; that is still not given back */
	uint64_t	 frozen_wide;		    /* of it, in pages of more than a block: most are inner ones */
	uint64_t	 frozen_puts;		    /* of it, of what was put off */
	uint64_t	 grown;			    /* per mille of the log that were filled while the last one ran */
};

/* The trees of the checkpoint under way; more may be frozen behind them meanwhile. */
static inline struct tree *frozen_first(const struct checkpoint *c)
{
	return c->frozen_last ? c->frozen : NULL;
}
static inline struct tree *frozen_next(const struct checkpoint *c, const struct tree *z)
{
	return z == c->frozen_last ? NULL : z->newer;
}

/* defer: pages that were put off, see defer.c; and what of the puts on them has left memory, see spill.c. */
#define SPILLS		7u	     /* pages of them that have puts of one leaf, at the most */
#define DEFER_PAGES	(1 + SPILLS) /* that a leaf which was put off is made from, at the most */
#define SPILL_PAGE_BITS 20u
#define SPILL_PAGE_MAX	((UINT32_C(1) << SPILL_PAGE_BITS) - 1)
struct spills {
	uint8_t *ptrs;	  /* to their pages; NULL: there are none */
	uint32_t n;	  /* pages */
	uint32_t notes;	  /* that need some of them */
	uint64_t written; /* the number of the write of the last page */
};
struct defer {
	uint32_t     *hash; /* names of notes */
	size_t	      buckets, n;
	size_t	      frozen_n; /* of them, those that the last checkpoint that began is to write */
	uint64_t      blocks;	/* that writing them takes */
	uint64_t      noted;	/* of them: how many have a base that a snapshot needs */
	uint64_t      bytes;	/* of memory */
	uint64_t      used;	/* of them, in use: what a checkpoint gives back */
	uint64_t      puts;	/* of them, in puts that no checkpoint has begun to write: what a spill gives back */
	uint64_t      left;	/* of these, what the last spill has left */
	uint64_t      count;	/* of puts since the store was opened */
	uint64_t      spilled;	/* puts that have left memory, since then */
	struct spills spills[2];
	bool	      half;  /* for notes to come: those of the other one wait for a checkpoint */
	struct slabs  slabs; /* of notes and puts */
};

struct queues {
	pthread_mutex_t	     lock;
	pthread_cond_t	     given;
	struct device_queue *queues[8]; /* that nobody has taken */
	unsigned	     n, opened;
	struct device_queue *first; /* for what is waited for: any thread, at any moment */
};
#define QUEUE_DEPTH 64u

struct late { /* a value that is written beside its record, see late.h */
	_Atomic bool	     taken;
	_Atomic uint64_t     block; /* where it is going; 0: it has landed */
	pthread_mutex_t	     lock;
	struct device_queue *queue; /* NULL: there was none yet. Of who has taken it, as are the next two */
	tarn_dev_io	     io;
	void		    *owned; /* what it is written from; NULL: memory that was lent */
	int		     rc;    /* it could not be written. With lock, as is the message */
	char		     message[TARN_MESSAGE_MAX];
};

struct wanted { /* a page that somebody needs */
	uint64_t    tree;
	struct bptr ptr; /* addr 0: none */
};
struct pages; /* pages.c: on their way from the device */

/* fingers: where spans of keys were last found, see finger.c. */
#define LIFE_SHIFT 40u /* a frame's version is below, the life of a tree above */
struct span_bits {
	_Atomic uint32_t bits;	/* that keys of a span share; 0: nothing is known */
	_Atomic int32_t	 votes; /* of leaves, for more */
};
struct fingers {
	_Atomic uint64_t *words;      /* NULL: none */
	_Atomic uint64_t  mask;	      /* of the lines in use */
	_Atomic uint64_t  wanted;     /* the mask that they are to have, when there is memory */
	uint64_t	  most;	      /* the mask of all lines */
	_Atomic uint64_t  lost;	      /* fingers that had to go for others, since there are so many lines */
	uint64_t	  lives;      /* that have begun */
	struct span_bits  spans[256]; /* by how keys begin */
};

/* rows: single keys with their values, see rows.c. */
struct row_set;
struct rows {
	struct row_set	*sets;		      /* NULL: there have never been any */
	uint64_t	 most;		      /* sets that there is address space for */
	uint64_t	 floor;		      /* bytes: what is more than that they yield to changes */
	uint64_t	 splits;	      /* of sets */
	_Atomic uint64_t shape;		      /* which set is whose; written with store->lock */
	_Atomic uint64_t owner;		      /* of rows: which time it is that there are some; 0: there are none */
	uint64_t	 times;		      /* they have begun */
	uint64_t	 bytes;		      /* of memory */
	uint64_t	 patience;	      /* gets that must miss before they begin */
	_Atomic uint64_t missed, hits, added; /* the last two: since the lsn was that */
	uint64_t	 lsn;
	_Atomic bool	 grows;
};

/* filter: which keys a tree has not, see filter.c. */
struct filter {
	_Atomic uint64_t  state;      /* modulo FILTER_PHASES its phase; what is above counts phases. Written with store->lock */
	_Atomic uint64_t *words;      /* NULL: there can be none */
	uint64_t	  most;	      /* lines that there is address space for */
	_Atomic uint64_t  life, tree; /* whose it is */
	_Atomic uint64_t  lines;
	uint64_t	  bytes;	       /* of memory */
	uint64_t	  room, added;	       /* keys that may be added; that were, by puts */
	_Atomic uint64_t  asking, asking_tree; /* the life and the tree whose gets find nothing most often, */
	_Atomic uint64_t  missed;	       /* by so many more than those of all others, about */
	_Atomic uint64_t  patience;	       /* how many these must be */
	uint8_t		 *list;	 /* of keys, and the last one; NULL: none is being filled. Of who fills it, as is the next */
	tarn_buf	  after; /* the key that was listed last */
};

struct store {
	struct device	 *dev;
	pthread_mutex_t	  lock;
	_Atomic bool	  looking; /* somebody waits for the lock, and does not sleep yet */
	_Atomic unsigned  meets;   /* so many changes to come are likely to find the lock taken; written with it */
	bool		  nowait;  /* the call that holds the lock may not wait for the device: AGAIN */
	struct wanted	  wanted;  /* by the call that holds the lock */
	int		  failed;
	char		  why[TARN_MESSAGE_MAX];
	tarn_uuid	  pool, target; /* these and node_bytes never change, so no lock is needed to read them */
	uint32_t	  node_bytes;
	uint64_t	  secret; /* a random number, for hashes of what others choose; it never changes */
	struct superblock sb;	  /* the last one that is durable */
	uint64_t	  gen;
	_Atomic uint64_t
		       batches; /* odd while a batch of more than one change is being applied: who reads meanwhile begins anew */
	struct io      io;
	struct space   space;
	struct cache   cache;
	struct fingers fingers;
	struct rows    rows;
	struct filter  filter;
	struct defer   defer;
	struct pages  *pages;
	struct log     log;
	struct queues  queues;
	struct late    late;
	struct checkpoint      checkpoint;
	_Atomic(struct tree *) trees[256];
	uint64_t	       trees_dirty;
	uint32_t	       batch;	    /* the number of the one being prepared */
	bool		       large_waits; /* a batch waits for memory that puts must not take again */
	uint8_t		      *separator;   /* room for a key */
	struct tree	      *spare;	    /* a list of them, by newer */
	unsigned	       spares;
	bool		       replaying; /* at open: a checkpoint keeps the place where the log begins */
	void (*_Atomic due)(void *arg);	  /* somebody else runs the checkpoints; may be NULL */
	void *due_arg;			  /* set before it */
};

/* io.c. A blob: len bytes (of blocks) somewhere, in one run or as a gang. */
int	 io_open(struct store *s);
void	 io_close(struct store *s);
void	 io_write(struct store *s, uint64_t block, void *buf, uint64_t len,
		  void *owned); /* checkpoint; owned NULL: buf stays until io_drain() */
void	 io_write_lane(struct store *s, unsigned lane, uint64_t block, void *buf,
		       uint64_t len);		       /* checkpoint; lane 1 to IO_LANES - 1; buf stays until io_wait_lane() */
int	 io_wait_lane(struct store *s, unsigned lane); /* checkpoint; for those of lane 0, too. The first error: then for all */
int	 io_drain(struct store *s);		       /* checkpoint */
int	 io_flush(struct store *s);		       /* checkpoint; drains first */
int	 no_blocks(struct store *s);		       /* the error of a checkpoint that finds none */
uint64_t store_birth(const struct store *s);	       /* of what a checkpoint writes for itself */
uint64_t blob_blocks(uint64_t len);
int	 blob_place(struct store *s, uint32_t len, struct bptr *ptr,
		    uint8_t **gang); /* in space that is there: blob_blocks(); birth: store_birth() */
void	 blob_unplace(struct store *s, const struct bptr *ptr, const uint8_t *gang);
int	 blob_write_at(struct store *s, void *buf, void *owned, struct bptr *ptr, uint8_t *gang); /* checkpoint */
int	 blob_read(struct store *s, const struct bptr *ptr, void *buf, const char *what); /* no lock. CSUM: what is damaged */
int	 blob_each_run(struct store *s, const struct bptr *ptr, int (*fn)(void *arg, uint64_t block, uint64_t n),
		       void *arg); /* no lock */
void	 blob_free(struct store *s, const struct bptr *ptr, bool leaving);
bool	 blob_sane(const struct store *s, const struct bptr *ptr, uint32_t len_max); /* no lock */

/* queues.c: these want no lock */
int		     queues_open(struct store *s);
void		     queues_close(struct store *s);
struct device_queue *queue_take(struct store *s);
struct device_queue *queue_try(struct store *s); /* NULL: others have them all */
void		     queue_give(struct store *s, struct device_queue *q);
int piece_read(struct store *s, const struct bptr *piece, void *buf, const char *what); /* CSUM: what is damaged */
int piece_check(const struct bptr *piece, const void *buf, const char *what);		/* of what was read: 0 or CSUM */
int piece_write(struct store *s, struct bptr *piece, const uint8_t *buf);		/* fills in its checksum */

/* late.c: the rest is in late.h */
void late_init(struct store *s);
void late_fini(struct store *s);

/* cache.c */
int	      cache_init(struct store *s, uint64_t budget);
void	      cache_fini(struct store *s);
struct frame *cache_peek(const struct cache *c, uint64_t id,
			 uint32_t hint);		/* no lock: look at version, then at id. NULL: not found */
struct frame *cache_find(struct store *s, uint64_t id); /* NULL */
int	      cache_get(struct store *s, uint64_t tree, const struct bptr *ptr, struct frame **frame); /* pinned. Not there: with
												  * s->nowait AGAIN, and s->wanted; else it is
												  * read, and waited for */
int	      cache_new(struct store *s, uint64_t tree, uint32_t cap,
			struct frame **frame); /* pinned, dirty, not initialised; version odd until
										       * frame_end() */
struct frame *cache_reserve(struct store *s,
			    uint32_t	  len); /* a frame for a page to be read into: not found by its id. NULL: no memory */
void	      cache_publish(struct store *s, struct frame *f, const struct wanted *w); /* it can be found now */
void	      cache_unreserve(struct store *s, struct frame *f);
void	      cache_publish_unwritten(struct store *s, struct frame *f, const struct wanted *w,
				      uint64_t number);	    /* the same, when the write of that number brings it to its place */
void	      cache_drop(struct store *s, struct frame *f); /* forgets it */
void cache_make_dirty(struct store *s, struct frame *f);    /* a virtual id; what to do with its old blocks is the caller's */
void cache_make_clean(struct store *s, struct frame *f, const struct bptr *ptr);
int  cache_grow(struct store *s, struct frame **f,
		uint32_t cap); /* a dirty page moves to a larger frame, under the same id; version odd
									* as it was */
void cache_show(struct store *s, struct frame *f, uint64_t id);	     /* a reserved frame: it is a view, and can be found now */
void cache_make_view(struct store *s, struct frame *f, uint64_t id); /* of a clean page that has been written */
void cache_harden(struct store *s, struct frame *f);		     /* a view becomes a dirty page */
bool cache_has_room(const struct store *s, uint64_t bytes);	     /* for pages, without that another goes */
bool cache_is_full(const struct store *s);			     /* the next page takes the place of another */
void cache_shrink(struct store *s);			 /* until it is within the budget again, as far as pages may be evicted */
void cache_drop_spare(struct store *s, struct frame *f); /* when it may be evicted */
int  page_verify(struct store *s, const uint8_t *page,
		 const struct wanted *w); /* no lock. What was read is the page wanted: 0 or CSUM */
static inline struct frame *cache_frame(const struct cache *c, uint32_t number)
{
	const struct arena *a = &c->arenas[number >> 28];

	return &a->frames[number & 0xfffffff];
}
/* Where the children of an inner page were last seen: for each slot a frame's number, or 0. They stand close together beside the pages, so
 * they are there before the entry is, and nobody believes them. NULL: behind the last one. */
static inline NODE_RACY volatile uint32_t *hint_at(const struct cache *c, const struct frame *f, uint32_t slot)
{
	uint32_t each = f->cap / CHILD_BYTES;

	return slot < each ? c->arenas[f->number >> 28].hints + (size_t)(f->number & 0xfffffff) * each + slot : NULL;
}
static inline NODE_RACY uint32_t hint_get(const struct cache *c, const struct frame *f, uint32_t slot)
{
	volatile uint32_t *hint = hint_at(c, f, slot);

	return hint ? *hint : 0;
}
static inline NODE_RACY void hint_set(const struct cache *c, const struct frame *f, uint32_t slot, uint32_t number)
{
	volatile uint32_t *hint = hint_at(c, f, slot);

	if (hint)
		*hint = number;
}
#define HINT_PUTS                                                                                                                \
	(UINT32_C(1)                                                                                                             \
	 << 31) /* instead of a frame, which has no such number: the child was put off, and puts on it are in memory */
void hints_move(const struct cache *c, const struct frame *f, uint32_t from,
		uint32_t to); /* those from a slot on, by one or so */
void hints_copy(const struct cache *c, const struct frame *from, const struct frame *to);
/* Of a clean page: until then, who shares it, as a snapshot does, must find it in memory. */
static inline bool cache_is_written(const struct store *s, const struct frame *f)
{
	return f->written <= s->checkpoint.written;
}
static inline void cache_pin(struct frame *f)
{
	f->pins++;
}
static inline void cache_unpin(struct frame *f)
{
	f->pins--;
}
/* Changing a page: between these two no reader believes what it sees. */
static inline void frame_begin(struct frame *f)
{
	atomic_store_explicit(&f->version, atomic_load_explicit(&f->version, memory_order_relaxed) | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}
static inline void frame_end(struct frame *f)
{
	atomic_store_explicit(&f->version, (atomic_load_explicit(&f->version, memory_order_relaxed) | 1) + 1,
			      memory_order_release);
}
/* The same leaf of the same live tree, changed in place. */
static inline void frame_end_same(struct frame *f)
{
	uint64_t before = atomic_load_explicit(&f->version, memory_order_relaxed) & ~UINT64_C(1);
	uint64_t live	= atomic_load_explicit(&f->live, memory_order_relaxed);

	if ((live & ((UINT64_C(1) << LIFE_SHIFT) - 1)) == before)
		atomic_store_explicit(&f->live, live + 2, memory_order_relaxed);
	frame_end(f);
}
/* It stays as it is, but is not that leaf any more. */
static inline void frame_retire(struct frame *f)
{
	frame_begin(f);
	frame_end(f);
}
static inline bool frame_valid(const struct frame *f, uint64_t version) /* no lock: what was read since stands */
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&f->version, memory_order_relaxed) == version;
}

/* pages.c: pages on their way from the device, so that each is read once, whoever wants it. No lock is wanted by these. */
int  pages_open(struct store *s);
void pages_close(struct store *s); /* nobody waits any more */
bool pages_are_awaited(struct store *s);
int  page_fetch(struct store	    *s,
		const struct wanted *w); /* the page is in the cache (or was, a moment ago); waits. IO, CSUM, NOMEM */
int  page_fetch_many(struct store *s, const struct wanted *w, size_t n); /* all at once; the first error */
void page_forget(struct store *s,
		 uint64_t      block); /* store->lock held. A page gets written there: what is on its way is another one */

/* Memory that only a checkpoint gives back. */
static inline uint64_t dirty_memory(const struct store *s)
{
	return s->cache.dirty_bytes + s->defer.used;
}

/* tree.c */
struct path {
	unsigned      depth;		 /* frames in it; 0: the tree is empty */
	struct frame *frames[DEPTH_MAX]; /* a power of two */
	uint32_t      slots[DEPTH_MAX];	 /* of the child; at the leaf: of the key, or where it belongs */
	bool	      found;
};
int	     tree_open(struct store *s, uint64_t id, uint64_t epoch, struct tree **tree); /* NONEXIST: no such snapshot */
struct tree *tree_peek(struct store *s, uint64_t id, uint64_t epoch);			  /* no lock. NULL: not opened */
void	     tree_forget_all(struct store *s);
int	     tree_find(struct store *s, struct tree *t, tarn_buf key, struct path *path); /* path_release() in any case */
int	     tree_find_level(struct store *s, struct tree *t, tarn_buf key, unsigned level, struct path *path); /* stops there */
void	     path_release(struct path *path);
int tree_ceiling(struct store *s, struct tree *t, tarn_buf key, struct path *path); /* the first entry >= key; depth 0: none */
struct tree *tree_add(struct store *s, uint64_t id, uint64_t epoch, const struct bptr *root, uint64_t keys); /* NULL: no memory */
void	     tree_remove(struct tree *t);
int	     tree_spare(struct store *s, unsigned n); /* n of them can be taken or added now: NOMEM */
struct tree *tree_take_spare(struct store *s);

/* aim.c: the leaf that has a key, found without the lock. */
#define AIM_DEPTH 6u /* of deeper trees there are no aims */
struct aim {
	struct tree  *tree;    /* NULL: there is none */
	uint64_t      version; /* of the leaf */
	uint32_t      slot;    /* in it */
	uint16_t      depth;
	bool	      found;
	bool	      above; /* the way ends there: the leaf is not in memory. Version and slot are of the page above */
	struct frame *frames[AIM_DEPTH];
};
/* No lock. walk false: of a single change, whose leaf only a finger is to find. */
void aim_all(struct store *s, const struct store_mutation *muts, size_t n, bool walk, struct aim *aims);
/* The aim is true: the leaf, unless it is not in memory, and all pages above it are the tree's own, and none has to become dirty for a change. */
bool aim_stands(struct store *s, const struct tree *t, const struct aim *a);
void aim_path(const struct aim *a,
	      struct path      *path); /* of one that stands: pages, or the leaf alone; not pinned, and only the last slot */

/* change.c */
int	 tree_want_neighbour(struct store *s, struct tree *t, struct path *path); /* before a delete; AGAIN */
int	 tree_put_at(struct store *s, struct tree *t, struct path *path, tarn_buf key,
		     const struct leaf_value *val); /* after tree_find() */
int	 tree_put_leaf(struct store *s, struct tree *t, const struct aim *aim, tarn_buf key,
		       const struct leaf_value *val); /* aim_stands() */
bool	 tree_leaf_takes(const struct store *s, const struct frame *leaf,
			 uint32_t bytes); /* no lock. An entry of so many bytes more, and is not split */
int	 tree_del_at(struct store *s, struct tree *t, struct path *path); /* found */
int	 tree_put(struct store *s, struct tree *t, tarn_buf key, const struct leaf_value *val);
int	 tree_del(struct store *s, struct tree *t, tarn_buf key); /* NONEXIST */
void	 tree_touch(struct store *s, struct tree *t);
void	 tree_set_root(struct tree *t, const struct bptr *root, uint64_t keys);
uint32_t tree_new_cap(const struct store *s, unsigned level); /* of a new page */

int  tree_own_path(struct store *s, struct tree *t, struct path *path); /* makes all its pages dirty, and not frozen */
void tree_supersede(const struct store *s, const struct tree *t,
		    struct frame *f); /* a frozen page, which the tree does not use any more */
int  tree_put_beside(struct store *s, struct tree *t, tarn_buf key,
		     const struct leaf_value *v); /* key's place is in a damaged leaf; the key becomes readable. Not atomic */

/* seek.c: reading without a lock. Finds the leaf where key is or belongs: 0; RESTART; AGAIN, and *w is the page to be read. */
struct spot {
	struct frame *frame; /* NULL: the tree is empty */
	uint64_t      version;
	uint32_t      slot;
	bool	      found;
};
int  tree_seek(struct store *s, struct tree *t, tarn_buf key, struct spot *spot, struct wanted *w);
void page_prefetch(const struct cache *c, uint32_t hint, bool leaf); /* the frame of that number, and the beginning of its page */
void store_set_wanted(struct store *s, const struct wanted *w);	     /* of this thread, for store_park(); NULL: none */
void store_set_wanted_many(struct store *s, const struct wanted *w, size_t n); /* the same: all that would be of use */

/* snap.c: freezes, snapshots, and the blocks that only they need. Room first: what comes after it cannot fail. */
int snap_reserve(struct store *s, struct tree *t, unsigned n); /* for n snapshots taken or destroyed, or trees dropped. NOMEM,
									  * NEEDS_CHECKPOINT */
int dead_reserve(struct store *s, size_t more);		       /* dead runs */
struct tree *tree_freeze(struct store *s, struct tree *t);     /* for the checkpoint; takes a spare one */
void	     snap_create(struct store *s, struct tree *t, uint64_t lsn);
bool	     snap_exists(const struct tree *t, uint64_t epoch);
void	     snap_destroy(struct store *s, struct tree *t, uint64_t epoch); /* exists */
void	     tree_drop(struct store *s, struct tree *t);		    /* with its snapshots */
void	     tree_free_blocks(struct store *s, struct tree *t,
			      const struct bptr *ptr); /* a page that the live tree does not use any more */
void	     tree_free_run(struct store *s, uint64_t tree, uint64_t needed, uint64_t birth, uint64_t block, uint64_t n);
uint64_t     tree_needed(const struct tree *t,
			 uint64_t	    birth); /* the generation of the newest snapshot that needs what was born then; 0: none */
bool	     snap_superseded(struct store *s, const struct frame *f,
			     uint64_t died); /* it has been written, and is clean now. Does a snapshot need it? */
bool	     snap_give(struct store *s, uint64_t tree, const struct bptr *ptr, uint64_t needed,
		       uint64_t died); /* the same, of what is in no frame: blocks that the tree has given up in generation `died` */
int	     snaps_load(struct store *s, struct tree *t);
/* Of a checkpoint, without store->lock: */
int  snap_settle(struct store *s); /* writes the records, dead runs and reclaims to the engine's own trees */
int  own_put(struct store *s, uint64_t tree, const void *key, size_t key_len, const void *val, size_t len);
void snap_thaw(struct store *s); /* with the lock */

/* flush.c */
int flush_frozen(struct store *s);		 /* checkpoint: writes all frozen trees */
int flush_tree(struct store *s, struct tree *t); /* checkpoint: writes one of the engine's own trees */

/* walk.c: store_list() and store_count() */

/* value.c */
struct run_list {
	struct run {
		uint64_t block, n, birth, tree; /* tree: set by who needs it */
	} * runs;
	size_t n, cap;
};
int	 runs_add(struct run_list *list, uint64_t block, uint64_t n, uint64_t birth);
int	 value_runs(struct store *s, const uint8_t *desc, uint32_t len,
		    struct run_list *runs); /* all blocks of a value; reads its index */
bool	 value_has_index(const uint8_t *desc);
void	 value_set_birth(uint8_t *desc, uint64_t birth);
void	 value_describe(struct store_value *v, uint8_t desc[EXT_BYTES_MAX], uint32_t *len);
int	 value_finish(struct store_value *v);
void	 value_may_be_late(struct store_value *v);   /* before anything is appended */
bool	 value_is_late(const struct store_value *v); /* late_give() is to be called */
void	 value_consume(struct store_value *v);	     /* its blocks are the tree's now */
uint64_t value_size(const uint8_t *desc);
bool	 value_sane(const uint8_t *desc, uint32_t len);
int	 value_pieces(struct store *s, const uint8_t *desc, struct bptr **pieces, size_t *n); /* no lock */
int value_verify(struct store *s, const uint8_t *desc, bool *whole); /* no lock. Reads all of it; whole: as its checksums say */
int value_read_piece(struct store *s, const struct bptr *piece, uint8_t *to,
		     uint64_t len);			     /* one, by this thread: its first len bytes */
size_t value_piece_max(const struct bptr *pieces, size_t n); /* bytes of the longest, at least a block */
int    value_read_all(struct store *s, const struct bptr *pieces, size_t n, uint64_t size, void *buf); /* no lock */

/* superblock.c */
int superblock_read(struct device *dev, struct device_queue *q, struct superblock *sb);
int superblock_write(struct device_queue *q, const struct superblock *sb);

/* checkpoint.c */
int checkpoint(struct store *s); /* wants no lock; runs one, or waits for one that began after the call */
int checkpoint_relieve(
	struct store *s);	 /* makes room: the same, but one that has begun before will do, or what make_room() does */
int  make_room(struct store *s); /* wants no lock; in memory: spill_now() when that helps, else checkpoint() */
int  spill_now(struct store *s,
	       bool anyway); /* wants no lock. Puts that were put off leave memory; when nobody needs that: only if anyway */
int  space_make(struct store *s, uint64_t blocks, bool reserve_too); /* 0, NOSPACE; with 1 a checkpoint must make room first */
bool space_spare(struct store *s, uint64_t blocks);		     /* so many are free, and nobody is going to need them */
void store_poison(struct store *s, int rc);			     /* read-only from now on; takes this thread's sentence */
int  store_writable(struct store *s);				     /* 0, or EP_RO with the sentence why */

/* The others are of whole trees. */
static inline bool mutation_names_key(const struct store_mutation *m)
{
	return m->change == STORE_PUT || m->change == STORE_DEL || m->change == STORE_CHECK;
}

/* duplicates.c: INVAL: two of them name the same key. No lock */
int check_duplicates(const struct store *s, const struct store_mutation *muts, size_t n);

/* run.c: runs body under store->lock, and again from its beginning when a page that it wants has been read, or when a checkpoint that it asked
 * for (NEEDS_CHECKPOINT) has ended. With STORE_NOWAIT: AGAIN instead, also when another thread keeps the lock. The body makes no
 * change before it has all that it needs. */
#define NEEDS_CHECKPOINT 2
int store_run(struct store *s, unsigned flags, int (*body)(struct store *s, void *arg), void *arg);
/* Takes store->lock, for changes and for the work of a checkpoint, which meet there. Most who hold it do so for less time than it takes to sleep and to
 * be woken: one of those who wait looks again for some microseconds before it sleeps. */
void store_lock(struct store *s);
/* Between two steps of much work: lets go of the lock for an instant when somebody looks for it. */
void store_let_in(struct store *s);

/* pace.c */
uint64_t pace_pages_limit(const struct store *s); /* bytes of dirty pages */
bool	 pace_is_full(const struct store *s);	  /* changes stop until a checkpoint has written, or puts have been spilled */
bool	 pace_wants_spill(const struct store *s); /* memory gets full, and a spill would help */
bool	 pace_gives_way(struct store *s);	  /* of a checkpoint, no lock: others read, and memory has time */
uint64_t pace_ns(struct store *s,
		 uint64_t      log); /* how long a change should take now; log: per mille of the ring that is in use */
bool	 pace_is_due(const struct store *s, uint64_t log); /* a checkpoint, or a spill */
bool	 pace_log_is_due(const struct store *s, uint64_t log);
void	 pace_tell_due(struct store *s, uint64_t log); /* wakes who runs checkpoints, before somebody has to wait for one */
void	 pace_rest(uint64_t ns);		       /* sleeps; no lock is held */
bool	 pace_tell(struct store *s);		       /* wakes who does what is due. false: nobody does */

/* back.c */
void	 back_tell(struct store *s, struct arena *a);		   /* it has a page more */
void	 back_tell_frames(struct store *s, const struct arena *a); /* it has a frame more */
void	 back_ahead(struct store *s);				   /* no lock: touches memory that is needed next */
uint64_t back_join(struct store *s);				   /* no lock: one step; when the next, as store_relieve() */

/* apply.c */
int apply_replayed(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn);

#endif
