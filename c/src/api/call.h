/* SPDX-License-Identifier: Apache-2.0 */
/* api/call.h: handles, and one public call from its checks to its answer.
 *
 * Every function of the public API does the same in the same order: check its arguments, fill a call, run it. What differs between
 * functions is a `struct verb`. A call without an event runs on its thread, and waits. With an event it is tried at once when its
 * verb is quick (STORE_NOWAIT). If that answers AGAIN, or the verb is not quick, what it was lent is copied to the heap. Then it parks
 * when it wants a page: it is tried again, by the thread that completes reads, when the page has come. What cannot park, or has
 * parked too often, a worker runs, which may wait. Either way the operation completes exactly once, after the change is durable.
 *
 * Always true: while a call runs, its handle counts it, so the handle is not closed under it. Each thread counts on a lane of its own as far as
 * there are enough: threads that use one handle would else take its line from each other twice a call. */
#ifndef TARN_CALL_H
#define TARN_CALL_H

#include "../object/object.h"

/* The head of every handle. */
#define HANDLE_LANES 8u
struct handle {
	_Atomic uint32_t children; /* open handles that need this one */
	struct {
		_Atomic uint32_t calls;	    /* that run, and began on this lane */
		uint8_t		 apart[60]; /* each in a cache line of its own */
	} lanes[HANDLE_LANES];
};

_Atomic uint32_t *handle_enter(struct handle *handle); /* counts a call; handle_leave() what it returns */
void		  handle_leave(_Atomic uint32_t *calls);
_Atomic uint32_t *handle_lane(struct handle *handle);  /* this thread's, for op_begin() */
uint32_t	  handle_calls(struct handle *handle); /* that run */

struct tarn_system {
	struct handle  handle;
	struct places  places;
	struct workers workers; /* for what is done to pools that are not open */
};

struct tarn_pool {
	struct handle handle;
	tarn_system  *sys;
	struct pool  *pool;
	bool	      readonly;
};

struct tarn_cont {
	struct handle	  handle;
	tarn_pool	 *parent;
	struct container *container;
	bool		  readonly;
};

struct tarn_kv {
	struct handle  handle;
	tarn_cont     *parent;
	struct object *object;
	bool	       readonly;
};

struct call;

struct verb {
	int (*body)(struct call *call, unsigned flags); /* 0 or an error; with STORE_NOWAIT also AGAIN; else STORE_COMMITS or 0 */
	int (*keep)(struct call *call);			/* more to copy than `lent`; NULL: nothing. NOMEM */
	void (*done)(struct call *call);		/* frees what the call made, before it completes; NULL: nothing */
	bool	 quick;					/* body knows STORE_NOWAIT */
	uint16_t lent[4];				/* places of the lent tarn_bufs in the call; 0 ends the list */
	size_t	 size;					/* of the call that begins with struct call */
};

struct call {
	struct task	   task;
	struct store_wait  wait;
	const struct verb *verb;
	struct handle	  *handle;
	struct driver	  *driver; /* that makes changes durable; NULL: nothing to make durable */
	struct workers	  *workers;
	struct op	  *op;
	uint64_t	   lsn;	    /* what the body changed; 0: nothing */
	bool		   relaxed; /* the change need not be durable when the call completes */
};

/* Runs a call: 0 (started, or done without an event), 1 (answered at once, TARN_EVENT_INLINE), or an error. */
int call_run(struct call *call, tarn_event *ev);

/* An error found before the call started: puts the sentence into the event, and returns rc. */
int call_refuse(tarn_event *ev, int rc);

/* Heads of calls. */
struct call call_on_system(const struct verb *verb, tarn_system *sys);
struct call call_on_pool(const struct verb *verb, struct handle *handle, struct pool *pool);
struct call call_on_objects(const struct verb *verb, struct handle *handle,
			    struct container *container); /* as durable as those are */

/* 0, or BUSY with a sentence when the handle has running calls or open children. what: "container", children: "objects". */
int handle_check_idle(struct handle *handle, const char *what, const char *children);

/* Copies an options struct of the caller's version: missing fields are 0, unknown ones must be. INVAL. */
int options_copy(const char *what, void *to, size_t size, const void *from);

#endif
