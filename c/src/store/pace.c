/* SPDX-License-Identifier: Apache-2.0 */
/* store/pace.c: how much memory may be dirty, when a checkpoint should begin, and how long a change takes so that nobody ever has to wait for a
 * whole one. store->lock is held, but in pace_rest. */
#include "internal.h"
#include "spill.h"

#include <time.h>

/* Without the rows of keys that are read, as far as they do not yield. */
static uint64_t budget(const struct store *s)
{
	return s->cache.budget - MIN(s->rows.bytes, s->rows.floor);
}

/* Of pages; and of these with what was put off, which takes the place of clean pages that it had no use for. */
uint64_t pace_pages_limit(const struct store *s)
{
	return MAX(budget(s) / 4 * 3, 32 * BLOCK);
}

static uint64_t dirty_limit(const struct store *s)
{
	return s->large_waits ? pace_pages_limit(s) : MAX(budget(s) / 32 * 29, 32 * BLOCK);
}

bool pace_is_full(const struct store *s)
{
	return dirty_memory(s) > dirty_limit(s) || s->cache.dirty_bytes > pace_pages_limit(s);
}

#define LOG_SOON     500     /* per mille of the ring: a checkpoint should begin, at the soonest and */
#define LOG_LATE     650     /* at the latest */
#define SLOW	     850     /* changes take longer, */
#define SPACE_SOON   720     /* the same, per mille of the space that is free, see space_taken() */
#define FULL	     970     /* as long as there is */
#define PACE_MAX_NS  200000u /* of one change, when there is next to no room left */
#define LAST_ROOM    900     /* per mille: a device that is slow gets time here, */
#define LAST_NS	     200000u /* so much for each per mille from there on */
#define REST_MAX_NS  25000000u
#define PACE_REST_NS 500000u /* is worth a sleep */
#define LEAD_EASY    20	     /* per mille: no reason to wait */
#define LEAD_MOST    400     /* per mille: as bad as no room */
#define LEAD_ROOM    (UINT64_C(1) << 20)

/* Per mille of the way from `from` to `to`, 0 to 1000. */
static uint64_t way(uint64_t at, uint64_t from, uint64_t to)
{
	return at <= from ? 0 : MIN((at - from) * 1000 / (to - from), 1000);
}

/* While a checkpoint runs: by how much, per mille of the room that it has left, new dirty memory is ahead of what it has written. The
 * inner pages that it writes are copied as soon as something below them changes, which is soon: that is no sign of haste. */
static uint64_t lead(const struct store *s, uint64_t most)
{
	const struct checkpoint *c    = &s->checkpoint;
	uint64_t		 gone = spill_can(s) ? s->defer.puts : 0; /* they may leave memory */
	uint64_t		 now = dirty_memory(s) - gone, fresh = now - MIN(now, c->frozen_left);
	uint64_t		 room  = c->frozen_bytes < most ? (most - c->frozen_bytes + c->frozen_puts) / 8 * 7 : 0, done;
	uint64_t		 start = MIN(c->frozen_wide, room / 2);

	if (!c->running || !c->todo || room < LEAD_ROOM)
		return 0;
	fresh = fresh > start ? (fresh - start) * 1000 / (room - start) : 0;
	done  = c->done * 1000 / c->todo;
	return fresh > done ? fresh - done : 0;
}

/* How near memory is to where changes must stop, per mille. */
static uint64_t crowding(const struct store *s)
{
	uint64_t most = dirty_limit(s), pages = pace_pages_limit(s);

	return MAX(way(dirty_memory(s), most / 16 * 15, most), way(s->cache.dirty_bytes, pages / 8 * 7, pages));
}

/* Per mille of what is free, what writing leaves that were put off may take at the most. */
static uint64_t space_taken(const struct store *s)
{
	uint64_t blocks = s->defer.blocks, free = s->space.free;

	return blocks < free ? blocks * 1000 / free : blocks ? 1000 : 0;
}

/* How long a change should take now, so that nobody ever has to wait for a whole checkpoint: the nearer the dirty pages, or the log, are to
 * where changes must stop, and the more of them there are before older ones have been written, the longer. */
uint64_t pace_ns(struct store *s, uint64_t log)
{
	uint64_t full = MAX(crowding(s), MAX(way(log, SLOW, FULL), way(space_taken(s), SLOW, FULL)));
	uint64_t used = MAX(full, way(lead(s, dirty_limit(s)), LEAD_EASY, LEAD_MOST));

	return s->due ? used * used / 1000 * PACE_MAX_NS / 1000 + (MAX(full, LAST_ROOM) - LAST_ROOM) * LAST_NS : 0;
}

/* The device completes what a checkpoint has in flight before what comes after it, and few large transfers are as fast as many. */
bool pace_gives_way(struct store *s)
{
	bool easy;

	if (!pages_are_awaited(s))
		return false;
	store_lock(s);
	easy = !pace_ns(s, log_used(s));
	pthread_mutex_unlock(&s->lock);
	return easy;
}

/* Short waits are put together, for a sleep is never short. No lock is held. */
void pace_rest(uint64_t ns)
{
	static _Thread_local uint64_t owed;

	owed += ns;
	if (owed < PACE_REST_NS)
		return;
	nanosleep(&(struct timespec){ .tv_nsec = (long)MIN(owed, REST_MAX_NS) }, NULL);
	owed = 0;
}

/* So that a checkpoint ends before the log slows changes, when as much is logged meanwhile as during the last one. */
static uint64_t log_due(const struct store *s)
{
	return MIN(MAX(SLOW - MIN(s->checkpoint.grown, SLOW), LOG_SOON), LOG_LATE);
}

bool pace_log_is_due(const struct store *s, uint64_t log)
{
	return log > log_due(s);
}

/* A page that is frozen is copied when it changes again; what was put off is not. */
static bool is_much(const struct store *s)
{
	return 2 * s->cache.dirty_bytes > pace_pages_limit(s) ||
	       2 * s->cache.dirty_bytes + s->defer.used > dirty_limit(s) / 16 * 15;
}

/* While a checkpoint runs, later: it gives memory back, too. */
bool pace_wants_spill(const struct store *s)
{
	if (!spill_helps(s))
		return false;
	if (s->checkpoint.running)
		return dirty_memory(s) > dirty_limit(s) / 16 * 14;
	return is_much(s) && 2 * s->cache.dirty_bytes <= pace_pages_limit(s);
}

bool pace_is_due(const struct store *s, uint64_t log)
{
	return is_much(s) || pace_log_is_due(s, log) || space_taken(s) > SPACE_SOON;
}

bool pace_tell(struct store *s)
{
	void (*due)(void *arg) = atomic_load_explicit(&s->due, memory_order_acquire);

	if (due)
		due(s->due_arg);
	return due != NULL;
}

/* Wakes who runs checkpoints, before somebody has to wait for one. */
void pace_tell_due(struct store *s, uint64_t log)
{
	if (!s->checkpoint.running && pace_is_due(s, log))
		pace_tell(s);
}
