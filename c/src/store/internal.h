/* SPDX-License-Identifier: Apache-2.0 */
/* store/internal.h: the engine's rooms, and what holds between them.
 *
 * checkpoint -> tree -> cache -> space -> io, queues -> layout, and log and value beside them. Always true, under store->lock:
 *   - a page that the last superblock reaches is never overwritten and its blocks are not reused: they are `pending` until the
 *     next superblock is durable, and until no reader pins values;
 *   - a dirty page has a virtual address, and so has the pointer to it in its parent, which is dirty too;
 *   - what can fail (reading, conditions, space) is done before the first change of a batch (`prepare`); a failure after that fails
 *     the store, which is read-only from then on;
 *   - the on-disk space map is used & ~pending & ~hidden: what the new superblock reaches, no more and no less.
 * Lock order: store->lock, then log.lock; queues.lock stands alone. Functions here want store->lock unless they say otherwise. */
#ifndef TARN_STORE_INTERNAL_H
#define TARN_STORE_INTERNAL_H

#include "layout.h"
#include "store.h"
#include <pthread.h>
#include <stdlib.h>

#define VIRTUAL	       (UINT64_C(1) << 63)
#define DEPTH_MAX      32u
#define IO_DEPTH       32u
#define LOG_BLOCKS_MIN 16u

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

/* io: the store's own queue; writes overlap, and io_drain() says how they went. */
struct io_slot {
	struct device_io io;
	void		*owned; /* freed when it completes */
	bool		 busy;
};
struct io {
	struct device_queue *queue;
	struct io_slot	     slots[IO_DEPTH];
	unsigned	     inflight;
	int		     rc; /* the first error since the last drain */
	char		     message[96];
};

/* space: which blocks are in use. */
struct space {
	uint64_t     blocks, words;
	uint64_t    *used, *pending, *hidden; /* a bit a block */
	uint64_t     free, pending_count;
	uint64_t     cursor;
	uint32_t     pages; /* of the map on disk */
	struct bptr *index; /* of each page */
	uint8_t	    *dirty; /* of each page */
	struct bptr  root;  /* of the index on disk */
};

struct frame {
	struct frame *hash_next;
	struct frame *prev, *next; /* in the list of clean (least recently used last) or of dirty pages */
	uint64_t      id;	   /* block address, or a virtual one */
	struct bptr   ptr;	   /* of a clean page: what it was read or written as */
	uint8_t	     *page;
	uint32_t      cap;    /* of page */
	uint32_t      need;   /* bytes of header, slots and entries */
	uint32_t      blocks; /* that writing it takes; 0 when clean */
	uint32_t      pins;
	bool	      dirty;
	uint64_t      tree;
	uint64_t      mark; /* the batch that counted it */
};
struct frame_list {
	struct frame *first, *last;
};
struct cache {
	struct frame	**hash;
	uint64_t	  hash_mask;
	struct frame_list clean, dirty;
	uint64_t	  budget, bytes, dirty_bytes;
	uint64_t	  dirty_blocks; /* that a flush will write */
	uint64_t	  next_virtual;
};

struct tree {
	struct tree *next;
	uint64_t     id;
	struct bptr  root;  /* addr 0: empty */
	uint64_t     keys;  /* when the root is clean */
	bool	     dirty; /* differs from its record in tree 0 */
};

struct log_buf {
	uint8_t *data; /* header and records; aligned */
	size_t	 cap, len;
	uint64_t last_lsn;
	bool	 extents; /* a record in it names some */
};
struct log {
	pthread_mutex_t	     lock;
	pthread_cond_t	     changed;
	struct device_queue *queue; /* the flusher's */
	struct log_buf	     fill, flush;
	bool		     flushing;
	int		     rc; /* the log has failed */
	char		     message[TARN_MESSAGE_MAX];
	uint64_t	     block, blocks; /* the ring */
	uint64_t	     pos, used;	    /* in blocks: where the next group goes, what lies behind it since the checkpoint */
	uint64_t	     epoch, seq;
	struct hash128	     chain;
	uint64_t	     lsn;     /* of the last record appended; written under both locks */
	uint64_t	     durable; /* lsn */
	struct op	    *waiters, **waiters_end;
};

struct queues {
	pthread_mutex_t	     lock;
	pthread_cond_t	     given;
	struct device_queue *queues[8];
	unsigned	     n;
};

struct store {
	struct device  *dev;
	pthread_mutex_t lock;
	bool		nowait; /* the call that holds the lock may not wait for the device: AGAIN */
	struct wanted {
		uint64_t    tree;
		struct bptr ptr; /* addr 0: none */
	} wanted;		 /* the page that it would have had to read */
	struct frame	 *gift;	 /* the page that it wanted before, and has read without the lock */
	int		  failed;
	char		  why[TARN_MESSAGE_MAX];
	tarn_uuid	  pool, target; /* these and node_bytes never change, so no lock is needed to read them */
	uint32_t	  node_bytes;
	struct superblock sb;  /* the last one that is durable */
	uint64_t	  gen; /* the generation being made: sb.generation + 1 */
	struct io	  io;
	struct space	  space;
	struct cache	  cache;
	struct log	  log;
	struct queues	  queues;
	struct tree	 *trees[64];
	uint64_t	  trees_dirty;
	unsigned	  readers; /* that pin values */
	uint64_t	  batch;   /* the number of the one being prepared */
};

/* io.c */
int  io_open(struct store *s);
void io_close(struct store *s);
void io_write(struct store *s, uint64_t block, void *buf, uint64_t len, void *owned); /* owned NULL: buf stays until io_drain() */
int  io_drain(struct store *s);
int  io_read(struct store *s, uint64_t block, void *buf, uint64_t len);
int  io_flush(struct store *s); /* drains first */
/* A blob: len bytes (of blocks) somewhere, in one run or as a gang. */
uint64_t blob_blocks(uint64_t len);
int	 blob_place(struct store *s, uint32_t len, struct bptr *ptr,
		    uint8_t **gang); /* finds the place, in space that is there: blob_blocks(); then blob_write_at() */
int	 blob_write_at(struct store *s, void *buf, void *owned, struct bptr *ptr, uint8_t *gang);
int	 blob_read(struct store *s, const struct bptr *ptr, void *buf, const char *what);
int	 blob_each_run(struct store *s, const struct bptr *ptr, int (*fn)(void *arg, uint64_t block, uint64_t n), void *arg);
void	 blob_free(struct store *s, const struct bptr *ptr);
bool	 blob_sane(const struct store *s, const struct bptr *ptr, uint32_t len_max);

/* queues.c: these want no lock */
int  queues_open(struct store *s);
void queues_close(struct store *s);
int  piece_read(struct store *s, const struct bptr *piece, void *buf, const char *what); /* CSUM: what is damaged */
int  piece_write(struct store *s, struct bptr *piece, const uint8_t *buf);		 /* fills in its checksum */

/* space.c */
int	 space_init(struct space *sp, uint64_t blocks);
void	 space_fini(struct space *sp);
uint64_t space_alloc(struct space *sp, uint64_t want, uint64_t *block);	 /* a run of 1 to want blocks; 0: none is free */
bool	 space_alloc_run(struct space *sp, uint64_t n, uint64_t *block); /* exactly n */
void	 space_take(struct space *sp, uint64_t block, uint64_t n);	 /* marks as used */
void	 space_free_now(struct space *sp, uint64_t block, uint64_t n);
void	 space_free_later(struct space *sp, uint64_t block, uint64_t n);
void	 space_hide(struct space *sp, uint64_t block, uint64_t n);
void	 space_show(struct space *sp, uint64_t block, uint64_t n);
void	 space_release(struct space *sp);			/* what is pending is free */
bool	 space_on_disk(const struct space *sp, uint64_t block); /* the bit that the map on disk has */
uint64_t space_map_blocks(const struct space *sp);		/* that writing the whole map takes at the most */
int	 space_load(struct store *s, const struct bptr *root);
int	 space_write(struct store *s); /* the dirty pages and the index; sets space.root */

/* cache.c */
int	      cache_init(struct cache *c, uint64_t budget);
void	      cache_fini(struct cache *c);
int	      cache_get(struct store *s, uint64_t tree, const struct bptr *ptr, struct frame **frame); /* pinned */
int	      cache_new(struct store *s, uint64_t tree, unsigned level, struct frame **frame);	       /* pinned, dirty */
int	      cache_read(struct store *s, const struct wanted *w, struct frame **gift);		       /* without store->lock */
void	      cache_ungive(struct store *s); /* frees a gift that nobody took */
void	      cache_unpin(struct frame *f);
void	      cache_drop(struct store *s, struct frame *f);	  /* forgets it */
void	      cache_make_dirty(struct store *s, struct frame *f); /* gives it a virtual address; its old blocks are freed */
void	      cache_make_clean(struct store *s, struct frame *f, const struct bptr *ptr);
void	      cache_account(struct store *s, struct frame *f);		    /* after each change of a dirty page */
int	      cache_resize(struct store *s, struct frame *f, uint32_t cap); /* packs the entries into a page of cap bytes */
struct frame *cache_find(struct store *s, uint64_t id);			    /* not pinned; NULL */

/* node.c: the inside of a page. A slot is an index in key order. */
unsigned    node_level(const uint8_t *page);
uint32_t    node_count(const uint8_t *page);
uint8_t	   *node_entry(const uint8_t *page, uint32_t slot);
tarn_buf    node_key(const uint8_t *page, uint32_t slot);
uint32_t    node_entry_bytes(const uint8_t *page, uint32_t slot);
int	    key_compare(tarn_buf a, tarn_buf b);
uint32_t    node_lower(const uint8_t *page, tarn_buf key, bool *found); /* first slot whose key is >= key */
uint32_t    node_child(const uint8_t *page, tarn_buf key);		/* of an inner node: where key is */
struct bptr node_child_ptr(const uint8_t *page, uint32_t slot);
void	    node_set_child(struct frame *f, uint32_t slot, const struct bptr *ptr, uint64_t keys);
void	    node_init(uint8_t *page, uint32_t cap, unsigned level);
int	    node_insert(struct store *s, struct frame *f, uint32_t slot, uint32_t bytes, uint8_t **entry); /* room; NOMEM */
void	    node_remove(struct store *s, struct frame *f, uint32_t slot);
void	    node_pack(const uint8_t *from, uint8_t *to, uint32_t cap);
int	    node_validate(const struct store *s, const uint8_t *page, uint32_t len, uint32_t *need, const char **why);

/* tree.c */
struct path {
	unsigned      depth; /* frames in it; 0: the tree is empty */
	struct frame *frames[DEPTH_MAX];
	uint32_t      slots[DEPTH_MAX]; /* of the child; at the leaf: of the key, or where it belongs */
	bool	      found;
};
struct leaf_value { /* what stands in a leaf */
	const uint8_t *bytes;
	uint32_t       len;
	bool	       extents;
	uint64_t       revision;
};
int		  tree_open(struct store *s, uint64_t id, struct tree **tree);
void		  tree_forget_all(struct store *s);
int		  tree_find(struct store *s, struct tree *t, tarn_buf key, struct path *path); /* path_release() in any case */
void		  path_release(struct path *path);
struct leaf_value leaf_value(const struct frame *leaf, uint32_t slot);
int		  tree_put(struct store *s, struct tree *t, tarn_buf key, const struct leaf_value *val);
int		  tree_del(struct store *s, struct tree *t, tarn_buf key);
int		  tree_drop(struct store *s, struct tree *t);
/* flush.c */
int tree_flush(struct store *s, struct tree *t); /* writes its dirty pages; the root is clean then */
int tree_flush_all(struct store *s);		 /* all but tree 0 */
/* walk.c: store_list() and store_count() */

/* value.c */
struct run_list {
	struct run {
		uint64_t block, n;
	} * runs;
	size_t n, cap;
};
int	 runs_add(struct run_list *list, uint64_t block, uint64_t n);
int	 value_runs(struct store *s, const uint8_t *desc, uint32_t len, struct run_list *runs); /* all blocks of a value */
void	 value_describe(struct store_value *v, uint8_t desc[EXT_BYTES_MAX], uint32_t *len);
int	 value_finish(struct store_value *v);
void	 value_consume(struct store_value *v); /* its blocks are the tree's now */
uint64_t value_size(const uint8_t *desc);
bool	 value_sane(const uint8_t *desc, uint32_t len);
int	 value_pieces(struct store *s, const uint8_t *desc, struct bptr **pieces, size_t *n);
size_t	 value_piece_max(const struct bptr *pieces, size_t n); /* bytes of the longest, at least a block */
int	 value_read_all(struct store *s, const struct bptr *pieces, size_t n, uint64_t size, void *buf);

/* log.c */
int	 log_init(struct store *s);
void	 log_fini(struct store *s);
uint64_t log_record_bytes(const struct store_mutation *muts, size_t n);
uint64_t log_record_max(const struct store *s);
bool	 log_fits(struct store *s, uint64_t bytes);
int	 log_append(struct store *s, const struct store_mutation *muts, size_t n, uint64_t bytes, uint64_t *lsn);
int	 log_flush_all(struct store *s);	       /* everything appended is durable, or the log has failed */
void	 log_restart(struct store *s, uint64_t epoch); /* the log is empty from here on */
/* Calls fn for each batch to replay, in order. CSUM: damage before its end. */
typedef int (*log_replay_fn)(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn);
int log_replay(struct store *s, log_replay_fn fn, uint64_t *batches);

/* superblock.c */
int superblock_read(struct device *dev, struct device_queue *q, struct superblock *sb);
int superblock_write(struct device_queue *q, const struct superblock *sb);

/* checkpoint.c */
int  checkpoint(struct store *s, uint64_t epoch);
int  space_make(struct store *s, uint64_t blocks,
		bool reserve_too);	    /* NOSPACE unless so many blocks can be had, checkpointing if that helps */
void store_poison(struct store *s, int rc); /* read-only from now on; takes this thread's sentence */
int  store_writable(struct store *s);	    /* 0, or EP_RO with the sentence why */

/* run.c: runs body under store->lock, and again from its beginning when a page that it wants has been read. Only in the end, when there
 * is no other way, may it wait for the device with the lock held. With STORE_NOWAIT: AGAIN instead, also when another thread holds
 * the lock. The body makes no change before it has all its pages. */
int store_run(struct store *s, unsigned flags, int (*body)(struct store *s, void *arg), void *arg);

/* apply.c */
int apply_replayed(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn);

#endif
