/* SPDX-License-Identifier: Apache-2.0 */
/* base/eq.h: a queue of completed operations.
 *
 * Always true: `pending` counts the operations that were started and not yet taken; the eventfd is readable exactly while the
 * list is not empty (it is written when the list becomes non-empty and drained when it becomes empty, both under the lock).
 * Any thread may call. */
#ifndef TARN_EQ_H
#define TARN_EQ_H

#include "op.h"

int  eq_create(struct tarn_eq **eq);
int  eq_destroy(struct tarn_eq *eq); /* BUSY while operations are pending */
int  eq_fd(const struct tarn_eq *eq);
void eq_started(struct tarn_eq *eq);
void eq_dropped(struct tarn_eq *eq);		  /* one that was started ends without passing the queue */
void eq_push(struct tarn_eq *eq, struct op *ops); /* a list of them, which become OP_DONE */

/* Takes up to n, oldest first, and makes them OP_NEW; waits up to timeout_us for the first (negative: for ever). Their number. */
unsigned eq_poll(struct tarn_eq *eq, int64_t timeout_us, unsigned n, struct op **ops);

#endif
