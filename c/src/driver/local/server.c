/* SPDX-License-Identifier: Apache-2.0 */
/* driver/local/server.c: see server.h. */
#include "server.h"
#include <stdatomic.h>

enum server_state { SERVER_NEW, SERVER_RUNS, SERVER_NONE };

void server_init(struct server *server, struct store *store, bool wanted)
{
	server->store = store;
	atomic_init(&server->state, wanted ? SERVER_NEW : SERVER_NONE);
	pthread_mutex_init(&server->lock, NULL);
}

static void *serve(void *arg)
{
	struct server *server = arg;

	store_serve(server->store);
	return NULL;
}

static void start(struct server *server)
{
	int rc;

	pthread_mutex_lock(&server->lock);
	if (atomic_load(&server->state) == SERVER_NEW) {
		rc = store_serve_begin(server->store);
		rc = rc ? rc : thread_start(&server->thread, "tarn-reads", serve, server);
		if (rc)
			base_log(TARN_LOG_WARN, "calls with events will not overlap their reads: %s", base_message());
		atomic_store(&server->state, rc ? SERVER_NONE : SERVER_RUNS);
	}
	pthread_mutex_unlock(&server->lock);
}

bool server_park(struct server *server, struct store_wait *wait)
{
	int state = atomic_load_explicit(&server->state, memory_order_acquire);

	if (state == SERVER_NEW) {
		start(server);
		state = atomic_load(&server->state);
	}
	return state == SERVER_RUNS && store_park(server->store, wait);
}

void server_stop(struct server *server)
{
	if (atomic_load(&server->state) == SERVER_RUNS) {
		store_serve_end(server->store);
		pthread_join(server->thread, NULL);
	}
	pthread_mutex_destroy(&server->lock);
}
