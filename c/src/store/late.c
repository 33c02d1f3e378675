/* SPDX-License-Identifier: Apache-2.0 */
/* store/late.c: see late.h. */
#include "late.h"

void late_init(struct store *s)
{
	pthread_mutex_init(&s->late.lock, NULL);
}

void late_fini(struct store *s)
{
	if (s->late.queue)
		device_queue_close(s->late.queue);
	pthread_mutex_destroy(&s->late.lock);
}

bool late_take(struct store *s)
{
	struct late *l = &s->late;

	if (atomic_exchange(&l->taken, true))
		return false;
	if (l->queue || !device_queue_open(s->dev, 1, &l->queue))
		return true;
	l->queue = NULL;
	atomic_store(&l->taken, false);
	return false;
}

void late_start(struct store *s, struct bptr *piece, const void *from)
{
	struct late *l = &s->late;

	pthread_mutex_lock(&l->lock);
	l->io = (tarn_dev_io){
		.opcode = TARN_DEV_WRITE, .buf = (void *)(uintptr_t)from, .offset = piece->addr * BLOCK, .len = piece->len
	};
	device_submit(l->queue, &l->io);
	atomic_store_explicit(&l->block, piece->addr, memory_order_release);
	pthread_mutex_unlock(&l->lock);
	piece->sum = hash128(from, piece->len);
}

void late_own(struct store *s, void *owned)
{
	s->late.owned = owned;
}

/* With lock. */
static void land(struct late *l)
{
	tarn_dev_io *io;

	if (l->block && !l->rc && device_reap(l->queue, 1, 1, &io) && io->rc) {
		l->rc = io->rc;
		memcpy(l->message, io->message, sizeof(io->message));
	}
	if (!l->rc)
		atomic_store_explicit(&l->block, 0, memory_order_release);
}

int late_land(struct store *s)
{
	struct late *l = &s->late;
	int	     rc;

	pthread_mutex_lock(&l->lock);
	land(l);
	rc = l->rc ? base_fail(-l->rc, "%s", l->message) : 0;
	pthread_mutex_unlock(&l->lock);
	return rc;
}

void late_give(struct store *s, bool named)
{
	struct late *l = &s->late;
	bool	     last;

	pthread_mutex_lock(&l->lock);
	land(l);
	device_free(l->owned);
	l->owned = NULL;
	last	 = named && l->rc;
	if (!last)
		l->rc = 0, l->block = 0;
	pthread_mutex_unlock(&l->lock);
	if (!last)
		atomic_store(&l->taken, false);
}
