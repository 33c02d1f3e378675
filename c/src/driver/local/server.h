/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/server.h: the thread that completes reads for calls that do not wait (store_serve()).
 *
 * Always true: the thread is made by the first call that would park, and blocks all signals; when the system refuses it, or none is
 * wanted, nothing parks. */
#ifndef TARN_LOCAL_SERVER_H
#define TARN_LOCAL_SERVER_H

#include "../../base/workers.h"
#include "../../store/store.h"

struct server {
	struct store   *store;
	_Atomic int	state; /* enum server_state; changes under the lock */
	pthread_mutex_t lock;
	pthread_t	thread;
};

void server_init(struct server *server, struct store *store, bool wanted);
bool server_park(struct server *server, struct store_wait *wait); /* as store_park() */
void server_stop(struct server *server);			  /* nobody parks any more, and nobody is parked */

#endif
