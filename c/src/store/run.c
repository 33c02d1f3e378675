/* SPDX-License-Identifier: Apache-2.0 */
/* store/run.c: a change, under store->lock, that never waits for the device while it holds it, as far as that goes.
 *
 * What a body wants and does not have it names: a page, or a checkpoint. It gets that without the lock, and runs again from its
 * beginning. Pages may be evicted again meanwhile, or prove damaged: so in the end it may read them itself, with the lock held. */
#include "internal.h"

#define TRIES 16
#define MEETS 64u
#define LOOKS 64u /* some microseconds */
#define FEW   16u /* for who does not sleep: a thread may take the call over */
#define REST  16u /* between two of them */

static void rest(void)
{
	for (unsigned i = 0; i < REST; i++)
		spin_pause();
}

static bool lock_comes(struct store *s, unsigned looks)
{
	unsigned i = 0;

	while (i < looks && pthread_mutex_trylock(&s->lock)) {
		rest();
		i++;
	}
	return i < looks;
}

/* The first who looks says so. Nobody sleeps here. */
static bool look(struct store *s, bool first, unsigned looks)
{
	bool comes = lock_comes(s, looks);

	if (first)
		atomic_store_explicit(&s->looking, false, memory_order_relaxed);
	return comes;
}

static bool is_first(struct store *s)
{
	return !atomic_exchange_explicit(&s->looking, true, memory_order_relaxed);
}

void store_lock(struct store *s)
{
	if (!pthread_mutex_trylock(&s->lock) || (is_first(s) && look(s, true, LOOKS)))
		return;
	pthread_mutex_lock(&s->lock);
}

void store_let_in(struct store *s)
{
	if (!atomic_load_explicit(&s->looking, memory_order_relaxed))
		return;
	pthread_mutex_unlock(&s->lock);
	rest();
	store_lock(s);
}

/* Who finds the lock taken tells those who come next, see aim.c. Who may not wait looks for it all the same: to hand the call to a thread that
 * waits costs more than the time for which most hold it. */
static int take_lock(struct store *s, unsigned flags)
{
	unsigned meets = MEETS + 1;

	if (!pthread_mutex_trylock(&s->lock))
		meets = atomic_load_explicit(&s->meets, memory_order_relaxed);
	else if (!(flags & STORE_NOWAIT))
		store_lock(s);
	else if (!look(s, is_first(s), FEW))
		return fail(AGAIN, "another call holds the store");
	if (meets)
		atomic_store_explicit(&s->meets, meets - 1, memory_order_relaxed);
	return 0;
}

static int try_once(struct store *s, unsigned flags, bool wait, int (*body)(struct store *s, void *arg), void *arg,
		    struct wanted *wanted)
{
	int rc = take_lock(s, flags);

	*wanted = (struct wanted){ 0 };
	if (rc)
		return rc;
	s->nowait = !wait;
	s->wanted = *wanted;
	rc	  = body(s, arg);
	*wanted	  = s->wanted;
	s->nowait = false;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int store_run(struct store *s, unsigned flags, int (*body)(struct store *s, void *arg), void *arg)
{
	bool wait = false;

	for (unsigned tries = 1;; tries++) {
		struct wanted wanted;
		int	      rc = try_once(s, flags, wait, body, arg, &wanted);

		if (flags & STORE_NOWAIT && (rc == NEEDS_CHECKPOINT || rc == -TARN_E_AGAIN)) {
			store_set_wanted(s, wanted.ptr.addr ? &wanted : NULL);
			return fail(AGAIN, "the call would have to wait for the device");
		}
		if (rc == NEEDS_CHECKPOINT) {
			rc = checkpoint_relieve(s);
			if (rc)
				return rc;
			continue;
		}
		if (rc != -TARN_E_AGAIN || wait)
			return rc;
		wait = tries >= TRIES || !wanted.ptr.addr || page_fetch(s, &wanted);
	}
}
