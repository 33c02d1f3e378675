/* SPDX-License-Identifier: Apache-2.0 */
/* device/sim_disk.h: the inside of a simulated disk, shared by the sim*.c files only.
 *
 * Two images: `durable` is what is on the medium, `visible` what a read returns. They differ by the volatile writes only, a list in
 * the order of completion:
 *
 *	visible = durable, then each volatile write applied in that order
 *
 * so a power cut touches no more than what was written since the last flush. What is always true besides:
 *  - A write takes its data from the caller's buffer when it completes, so a buffer that changes in flight is written changed.
 *  - A flush covers the writes that had completed when it was submitted: a prefix of the list.
 *  - A durable write is on the list while it is in flight at a power cut, and never else: as it completes it goes to the medium, past
 *    older volatile writes, which have its bytes from then on where they overlap it, since a disk never puts back older ones.
 *  - At a power cut the writes in flight, the one that met the cut included, join the list: they may survive, too.
 *  - A flush that fails by sim_faults loses, half of the time, each sector that it covers with even chance, at once and visibly: no
 *    later flush brings them back. One that fails by sim_fail_nth() leaves the cache as it was.
 *  - A discard leaves zeroes, ones, or the old data; zeroes on a disk of a URI, whose users are told so.
 *  - The lock of the zones is taken with the disk's lock held, never the other way round. A power cut leaves zones as they were.
 *  - The cache is finite (SIM_CACHE_BYTES): beyond it the older half goes to the medium by itself.
 *  - Everything random is drawn in submit, reap, run and the power cut, from two generators with one seed; there is no clock and no
 *    thread. Faults have their own generator, so switching them on leaves the order of completion as it was. */
#ifndef TARN_SIM_DISK_H
#define TARN_SIM_DISK_H

#include "sim.h"
#include "zones.h"

#define SIM_SECTOR	 512u /* of tearing, and every alignment of the disk */
#define SIM_MAX_TRANSFER (1u << 20)
#define SIM_CACHE_BYTES	 (64u << 20)

/* A write or discard, or what a fault has left of it. */
struct sim_write {
	uint64_t offset, len;
	uint64_t issued; /* its number in the order of submission */
	uint8_t *data;	 /* owned; NULL: len times fill */
	uint8_t	 fill;
};

/* One I/O in flight. */
struct sim_io {
	tarn_dev_io	*io;
	struct sim_write effect; /* len 0: none */
	uint64_t	 skip;	 /* where the effect begins in the caller's buffer */
	uint64_t	 covers; /* FLUSH: this many writes, counted since the disk was made */
	bool		 loses;	 /* FLUSH that fails: the cache is lost */
	int		 code;	 /* of its error, 0: it will do well */
	bool		 told;	 /* the I/O has its result and its sentence already */
};

struct sim_queue {
	struct device_queue base;
	struct sim_queue   *next;  /* of the same disk */
	bool		    woken; /* and not returned from reap() for it yet */
	unsigned	    count;
	unsigned	    stuck; /* that never complete by themselves: from the end of ios on */
	unsigned	    room;
	struct sim_io	    ios[]; /* in no order */
};

struct sim_disk {
	uint64_t	size, seed;
	pthread_mutex_t lock;
	/* Under the lock, of the disk and of all its queues: */
	pthread_cond_t	  news; /* an I/O was submitted, or a queue woken */
	uint8_t		 *durable, *visible;
	uint8_t		 *touched; /* a bit a sector, for sim_restore_power() */
	struct sim_write *writes;  /* the volatile ones, oldest completion first */
	size_t		  count, room;
	size_t		  reserved; /* of room, for writes in flight */
	uint64_t	  bytes;    /* of the volatile writes */
	uint64_t	  finished; /* writes since the disk was made, lost by flush or not */
	struct sim_queue *queues;   /* the last is `alone` */
	struct sim_queue *alone;    /* of run(): its one I/O */
	struct rng	  order, fate;
	uint64_t	  ios, cut_at; /* cut_at 0: never */
	bool		  cut;
	struct sim_faults faults;
	uint64_t	  injected;
	bool		  broken[DEVICE_OPCODES]; /* by a sticky fault */
	struct {
		uint64_t n;
		bool	 sticky;
	} nth[DEVICE_OPCODES];
	uint64_t      never[DEVICE_OPCODES]; /* so many more of a queue, and that one is stuck; 0: none is */
	bool	      tidy;		     /* a discard leaves zeroes */
	struct zones *zones;		     /* NULL: none */
	uint64_t      trace;
};

/* Looking takes the lock, too. */
static inline void sim_lock(const struct sim_disk *disk)
{
	pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&disk->lock);
}
static inline void sim_unlock(const struct sim_disk *disk)
{
	pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&disk->lock);
}

/* sim_disk.c: images and the volatile list. Lock held, here and below. */
void   sim_apply(uint8_t *image, const struct sim_write *w);
void   sim_apply_torn(uint8_t *image, const struct sim_write *w, struct rng *rng); /* each sector with even chance */
void   sim_show_durable(struct sim_disk *disk, uint64_t offset, uint64_t len);
void   sim_forget(struct sim_disk *disk, size_t n);		  /* takes the oldest n off the list */
void   sim_make_durable(struct sim_disk *disk, size_t n);	  /* the oldest n */
void   sim_lose_cache(struct sim_disk *disk, size_t n);		  /* the oldest n: each sector with even chance */
size_t sim_covered(const struct sim_disk *disk, uint64_t covers); /* how many of the list a flush covers */
bool   sim_harden(struct sim_disk *disk);			  /* the newest, past those before it; false: no memory */
bool   sim_reserve(struct sim_disk *disk, struct sim_write *w, bool with_data); /* room for it on the list; false: no memory */
void   sim_unreserve(struct sim_disk *disk, struct sim_write *w);		/* it will do nothing */
void   sim_join_volatile(struct sim_disk *disk, struct sim_io *s);		/* puts what it does at the end of the list */
void   sim_trace(struct sim_disk *disk, uint64_t what, uint64_t a, uint64_t b, uint64_t c);

/* A queue with room for so many I/Os, on no list, or NULL. No lock. */
struct sim_queue *sim_queue_create(unsigned room);

/* sim_fault.c: decides at submission what will become of it. */
void sim_draw_fate(struct sim_disk *disk, struct sim_io *s);
/* Whether io, of a queue, will never complete by itself. Counts it. */
bool sim_is_stuck(struct sim_disk *disk, const tarn_dev_io *io);

/* Whether it puts new bytes in place, its own or zeroes. */
static inline bool sim_is_write(tarn_dev_opcode opcode)
{
	return opcode == TARN_DEV_WRITE || opcode == TARN_DEV_WRITE_ZEROES || opcode == TARN_DEV_ZONE_APPEND;
}

#endif
