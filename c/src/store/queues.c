/* SPDX-License-Identifier: Apache-2.0 */
/* store/queues.c: queues for I/O without store->lock, and pieces, read and written by their pointers.
 *
 * Always true: one queue at least is open. Who wants to have several I/Os in flight takes a queue and gives it back; more are opened when
 * all are taken, up to a few. Who has one may wait for store->lock, so nobody who holds that waits for a queue. An I/O that is waited for needs none of its own (device.h): it goes by way of the first, by as many
 * threads at once as there are. A piece is one run of blocks with a checksum. */
#include "late.h"

int queues_open(struct store *s)
{
	struct queues *v = &s->queues;
	int	       rc;

	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->given, NULL);
	rc = device_queue_open(s->dev, QUEUE_DEPTH, &v->first);
	if (rc)
		return rc;
	v->queues[v->n++] = v->first;
	v->opened	  = 1;
	return 0;
}

void queues_close(struct store *s)
{
	while (s->queues.n)
		device_queue_close(s->queues.queues[--s->queues.n]);
	pthread_mutex_destroy(&s->queues.lock);
	pthread_cond_destroy(&s->queues.given);
}

/* Lock held. A system that refuses another queue is no reason to fail: those that there are come back. */
static void open_another(struct store *s)
{
	struct queues *v = &s->queues;

	if (v->opened == ARRAY_LEN(v->queues) || device_queue_open(s->dev, QUEUE_DEPTH, &v->queues[v->n]))
		return;
	v->n++;
	v->opened++;
}

/* Lock held. NULL: all are in use. */
static struct device_queue *take_free(struct store *s)
{
	struct queues *v = &s->queues;

	if (!v->n)
		open_another(s);
	return v->n ? v->queues[--v->n] : NULL;
}

struct device_queue *queue_take(struct store *s)
{
	struct queues	    *v = &s->queues;
	struct device_queue *q;

	pthread_mutex_lock(&v->lock);
	while (!(q = take_free(s)))
		pthread_cond_wait(&v->given, &v->lock);
	pthread_mutex_unlock(&v->lock);
	return q;
}

struct device_queue *queue_try(struct store *s)
{
	struct queues	    *v = &s->queues;
	struct device_queue *q;

	pthread_mutex_lock(&v->lock);
	q = take_free(s);
	pthread_mutex_unlock(&v->lock);
	return q;
}

void queue_give(struct store *s, struct device_queue *q)
{
	struct queues *v = &s->queues;

	pthread_mutex_lock(&v->lock);
	v->queues[v->n++] = q;
	pthread_cond_signal(&v->given);
	pthread_mutex_unlock(&v->lock);
}

int piece_write(struct store *s, struct bptr *ptr, const uint8_t *buf)
{
	ptr->sum = hash128(buf, ptr->len);
	return device_write(s->queues.first, ptr->addr * BLOCK, buf, ptr->len);
}

int piece_check(const struct bptr *piece, const void *buf, const char *what)
{
	if (hash128_equal(hash128(buf, piece->len), piece->sum))
		return 0;
	return fail(CSUM, "%s at block %llu (%u bytes, generation %llu) does not match the checksum that its parent holds", what,
		    (unsigned long long)piece->addr, piece->len, (unsigned long long)piece->birth);
}

int piece_read(struct store *s, const struct bptr *piece, void *buf, const char *what)
{
	int rc = late_await(s, piece);

	rc = rc ? rc : device_read(s->queues.first, piece->addr * BLOCK, buf, piece->len);
	return rc ? rc : piece_check(piece, buf, what);
}
