/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/event.h: events and event queues.
 *
 * Every call that can wait takes an event as its last argument. With NULL the call waits and returns the result. Otherwise the
 * call returns 0 once it has started, and the result arrives exactly once: on the event's queue when it has one, and in the
 * event in any case. A negative return means that the call was refused: nothing has started, nothing will arrive, and the event
 * carries the sentence.
 *
 * Calls that run at once have no order among them: who needs one waits for the first before starting the second.
 *
 * The caller owns the event's memory, and lends it, with every out-parameter of the call, until the result has arrived. The event
 * must not move. An event whose result has been taken (polled, tested or waited for) may be used again at once.
 * Any thread may call anything here; one event is used by one thread at a time. */
#ifndef TARN_EVENT_H
#define TARN_EVENT_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tarn_event {
	uint64_t opaque[80];
};

/* With this flag a call that can answer without waiting does so: it returns 1, the result is in the event, and the event does
 * not pass its queue. */
#define TARN_EVENT_INLINE 1u

/* With this flag the caller leaves what it lends to a call (keys, values, pieces) as it is and where it is until the result has arrived,
 * like the event itself. So the call need not copy it; without the flag a call that cannot answer at once does. */
#define TARN_EVENT_LENT 2u

/* A queue of completions. Errors: NOMEM; MISC when the process has no file descriptor left. */
TARN_API int tarn_eq_create(tarn_eq **eq);

/* BUSY while an event of this queue is running or waits to be polled. */
TARN_API int tarn_eq_destroy(tarn_eq *eq);

/* A file descriptor (non-blocking eventfd) that is readable while completions wait. It may stay so for a moment after the last was taken: then
 * a poll returns 0, and from then on it is not. Read it through tarn_eq_poll() only. It is the queue's, and closed with it. */
TARN_API int tarn_eq_fd(const tarn_eq *eq);

/* Takes up to n completed events, oldest first. Waits up to timeout_us for the first one: 0 does not wait, negative waits for
 * ever. Returns their number, 0 when the time was up, or -TARN_E_INVAL when n is 0. */
TARN_API int tarn_eq_poll(tarn_eq *eq, int64_t timeout_us, unsigned n, tarn_event **events);

/* Makes ev ready for a first call. eq may be NULL: then tarn_event_wait() takes the result. user is returned by
 * tarn_event_user(). */
TARN_API void tarn_event_init(tarn_event *ev, tarn_eq *eq, void *user, unsigned flags);

TARN_API void *tarn_event_user(const tarn_event *ev);

/* The result: 0 or a negative code; -TARN_E_INPROGRESS while the call is running. */
TARN_API int tarn_event_result(const tarn_event *ev);

/* The sentence of a result that is negative, else "". Valid until the event is used again. */
TARN_API const char *tarn_event_message(const tarn_event *ev);

/* Waits until the call has completed and returns its result, or -TARN_E_TIMEDOUT after timeout_us (negative: for ever) while the
 * call goes on. For events without a queue; with a queue: -TARN_E_INVAL. */
TARN_API int tarn_event_wait(tarn_event *ev, int64_t timeout_us);

/* Asks for an early end. An operation that has not begun completes with -TARN_E_CANCELED; one that has goes on, and its result is
 * whatever it comes to: one call touches few pages. The long ones (tarn_kv_del_range, checking, scrubbing, making a zeroed pool) look now and then. The result still arrives once, and only then is the memory free again. 0, or -TARN_E_INVAL when ev is
 * not running. */
TARN_API int tarn_event_abort(tarn_event *ev);

#ifdef __cplusplus
}
#endif
#endif
