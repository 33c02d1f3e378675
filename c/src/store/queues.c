/* SPDX-License-Identifier: Apache-2.0 */
/* store/queues.c: pieces, read and written by their pointers without store->lock.
 *
 * A few queues are lent to one call at a time, so that what is read and written here does not wait for the store's own queue, nor much
 * for each other. A piece is one run of blocks with a checksum. */
#include "internal.h"

int queues_open(struct store *s)
{
	struct queues *v  = &s->queues;
	int	       rc = 0;

	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->given, NULL);
	while (!rc && v->n < ARRAY_LEN(v->queues)) {
		rc = device_queue_open(s->dev, 4, &v->queues[v->n]);
		v->n += !rc;
	}
	return rc;
}

void queues_close(struct store *s)
{
	while (s->queues.n)
		device_queue_close(s->queues.queues[--s->queues.n]);
	pthread_mutex_destroy(&s->queues.lock);
	pthread_cond_destroy(&s->queues.given);
}

static struct device_queue *queue_take(struct store *s)
{
	struct queues	    *v = &s->queues;
	struct device_queue *q;

	pthread_mutex_lock(&v->lock);
	while (!v->n)
		pthread_cond_wait(&v->given, &v->lock);
	q = v->queues[--v->n];
	pthread_mutex_unlock(&v->lock);
	return q;
}

static void queue_give(struct store *s, struct device_queue *q)
{
	struct queues *v = &s->queues;

	pthread_mutex_lock(&v->lock);
	v->queues[v->n++] = q;
	pthread_cond_signal(&v->given);
	pthread_mutex_unlock(&v->lock);
}

int piece_write(struct store *s, struct bptr *ptr, const uint8_t *buf)
{
	struct device_queue *q = queue_take(s);
	int		     rc;

	ptr->sum = hash128(buf, ptr->len);
	rc	 = device_write(q, ptr->addr * BLOCK, buf, ptr->len);
	queue_give(s, q);
	return rc;
}

int piece_read(struct store *s, const struct bptr *piece, void *buf, const char *what)
{
	struct device_queue *q	= queue_take(s);
	int		     rc = device_read(q, piece->addr * BLOCK, buf, piece->len);

	queue_give(s, q);
	if (!rc && !hash128_equal(hash128(buf, piece->len), piece->sum))
		rc = fail(CSUM, "%s at block %llu (%u bytes, generation %llu) does not match the checksum that its parent holds",
			  what, (unsigned long long)piece->addr, piece->len, (unsigned long long)piece->birth);
	return rc;
}
