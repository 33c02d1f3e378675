/* SPDX-License-Identifier: Apache-2.0 */
/* store/run.c: one call on the store: try, read what is missing, try again.
 *
 * A page is read without the store's lock, so a miss makes nobody wait but the one who misses. Meanwhile the page may have been
 * changed or moved, and its blocks may hold something else: so it is a gift, which the next try takes only if its parent still points to
 * just that, and a failure to read it says nothing yet. After such a failure, after some tries, and when something else than a page
 * stands in the way (a checkpoint, a gang), the call does what is needed under the lock. */
#include "internal.h"

#define TRIES 16

static int take_lock(struct store *s, unsigned flags)
{
	if (!(flags & STORE_NOWAIT)) {
		pthread_mutex_lock(&s->lock);
		return 0;
	}
	for (int i = 0; i < 100; i++)
		if (!pthread_mutex_trylock(&s->lock))
			return 0;
	return fail(AGAIN, "another thread holds the store");
}

static int try_once(struct store *s, unsigned flags, bool wait, struct frame *gift, struct wanted *wanted,
		    int (*body)(struct store *s, void *arg), void *arg)
{
	int rc = take_lock(s, flags);

	if (rc)
		return rc;
	s->nowait = !wait;
	s->gift	  = gift;
	s->wanted = (struct wanted){ 0 };
	rc	  = body(s, arg);
	*wanted	  = s->wanted;
	s->nowait = false;
	cache_ungive(s);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int store_run(struct store *s, unsigned flags, int (*body)(struct store *s, void *arg), void *arg)
{
	struct frame *gift = NULL;
	struct wanted wanted;
	bool	      wait = false;

	for (unsigned tries = 1;; tries++) {
		int rc = try_once(s, flags, wait, gift, &wanted, body, arg);

		if (rc != -TARN_E_AGAIN || wait || flags & STORE_NOWAIT)
			return rc;
		gift = NULL;
		wait = tries == TRIES || !wanted.ptr.addr || wanted.ptr.flags & BPTR_GANG;
		if (!wait && cache_read(s, &wanted, &gift))
			wait = true;
	}
}
