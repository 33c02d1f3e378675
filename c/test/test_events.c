/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_events.c: calls with events: exactly one completion each, whatever the path. */
#include "../src/api/call.h"
#include "api_scratch.h"
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

/* Occupies all workers of a pool until they are released, so that what is queued stays queued. */
static struct task blockers[WORKERS_MAX];
static sem_t	   entered, leave, left;

static void stand_in_the_way(struct task *task)
{
	(void)task;
	sem_post(&entered);
	while (sem_wait(&leave) != 0)
		;
	sem_post(&left);
}

static void wait_for(sem_t *sem, unsigned n)
{
	while (n)
		n -= sem_wait(sem) == 0;
}

static void block_workers(struct scratch *s)
{
	struct workers *workers = &s->pool->pool->driver->workers;

	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
	sem_init(&left, 0, 0);
	for (unsigned i = 0; i < workers->wanted; i++) {
		blockers[i].run = stand_in_the_way;
		assert_ok(workers_submit(workers, &blockers[i]));
	}
	wait_for(&entered, workers->wanted);
}

static void release_workers(struct scratch *s)
{
	unsigned n = s->pool->pool->driver->workers.wanted;

	for (unsigned i = 0; i < n; i++)
		sem_post(&leave);
	wait_for(&left, n);
}

static bool is_readable(tarn_eq *eq, int timeout_ms)
{
	struct pollfd fd = { .fd = tarn_eq_fd(eq), .events = POLLIN };

	return poll(&fd, 1, timeout_ms) == 1;
}

/* With nothing in the queue the descriptor is not readable, after a poll that finds nothing at the latest. */
static void assert_lowered(tarn_eq *eq)
{
	tarn_event *ev;

	for (int i = 0; i < 10000 && is_readable(eq, 0); i++) {
		assert_int_equal(tarn_eq_poll(eq, 0, 1, &ev), 0);
		usleep(1000);
	}
	assert_false(is_readable(eq, 0));
}

static tarn_event *take_one(tarn_eq *eq)
{
	tarn_event *ev = NULL;

	assert_int_equal(tarn_eq_poll(eq, 10000000, 1, &ev), 1);
	return ev;
}

static void test_queue_and_fd(void **state)
{
	struct scratch *s = *state;
	tarn_event	events[3], *got[4];
	tarn_eq	       *eq;
	char		key[16];
	int		n = 0;

	assert_ok(tarn_eq_create(&eq));
	assert_false(is_readable(eq, 0));
	assert_int_equal(tarn_eq_poll(eq, 0, 4, got), 0);
	assert_int_equal(tarn_eq_poll(eq, 1000, 4, got), 0);
	assert_error(tarn_eq_poll(eq, 0, 0, got), INVAL);
	for (int i = 0; i < 3; i++) {
		tarn_event_init(&events[i], eq, &events[i], 0);
		snprintf(key, sizeof(key), "%d", i);
		assert_int_equal(tarn_kv_put(s->kv, text(key), text("v"), TARN_COND_NONE, &events[i]), 0);
	}
	assert_error(tarn_eq_destroy(eq), BUSY);
	while (n < 3)
		n += tarn_eq_poll(eq, -1, 4, got + n);
	assert_lowered(eq);
	for (int i = 0; i < 3; i++) {
		assert_ptr_equal(tarn_event_user(got[i]), got[i]);
		assert_int_equal(tarn_event_result(got[i]), 0);
		assert_string_equal(tarn_event_message(got[i]), "");
	}
	assert_int_equal(tarn_kv_del(s->kv, text("absent"), TARN_COND_UPDATE, &events[1]), 0);
	assert_true(is_readable(eq, 10000));
	assert_ptr_equal(take_one(eq), &events[1]);
	assert_int_equal(tarn_event_result(&events[1]), -TARN_E_NONEXIST);
	assert_non_null(strstr(tarn_event_message(&events[1]), "no such key"));
	assert_ok(tarn_eq_destroy(eq));
}

static void test_inline(void **state)
{
	struct scratch *s = *state;
	tarn_event	ev, *got;
	tarn_eq	       *eq;
	char		buf[16];
	size_t		len = sizeof(buf);

	put_text(s->kv, "k", "value");
	assert_ok(tarn_eq_create(&eq));
	tarn_event_init(&ev, eq, NULL, TARN_EVENT_INLINE);
	assert_int_equal(tarn_kv_get(s->kv, text("k"), buf, &len, &ev), 1);
	assert_int_equal(tarn_event_result(&ev), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(buf, "value", 5);
	len = sizeof(buf);
	assert_int_equal(tarn_kv_get(s->kv, text("absent"), buf, &len, &ev), 1);
	assert_int_equal(tarn_event_result(&ev), -TARN_E_NONEXIST);
	assert_true(strlen(tarn_event_message(&ev)) > 0);
	assert_int_equal(tarn_eq_poll(eq, 0, 1, &got), 0);
	/* What must wait comes through the queue, also with the flag. */
	assert_int_equal(tarn_kv_put(s->kv, text("k"), text("other"), TARN_COND_NONE, &ev), 0);
	assert_ptr_equal(take_one(eq), &ev);
	assert_int_equal(tarn_event_result(&ev), 0);
	assert_ok(tarn_eq_destroy(eq));
}

static void test_refused(void **state)
{
	struct scratch *s = *state;
	tarn_event	ev;

	tarn_event_init(&ev, NULL, NULL, 0);
	assert_int_equal(tarn_kv_put(s->kv, (tarn_buf){ "", 0 }, text("v"), TARN_COND_NONE, &ev), -TARN_E_INVAL);
	assert_non_null(strstr(tarn_event_message(&ev), "empty"));
	assert_int_equal(tarn_event_result(&ev), -TARN_E_INVAL);
	assert_int_equal(tarn_kv_put(s->kv, text("k"), text("v"), TARN_COND_NONE, &ev), 0); /* it may be used again at once */
	assert_int_equal(tarn_event_wait(&ev, -1), 0);
}

static void test_wait_and_abort(void **state)
{
	struct scratch *s = *state;
	tarn_event	counted, aborted;
	uint64_t	count = 0, untouched = 77;

	put_text(s->kv, "k", "v");
	tarn_event_init(&counted, NULL, NULL, 0);
	tarn_event_init(&aborted, NULL, NULL, 0);
	assert_error(tarn_event_wait(&counted, 0), INVAL);
	assert_error(tarn_event_abort(&counted), INVAL);
	block_workers(s);
	assert_int_equal(tarn_kv_del_range(s->kv, NULL, &count, &counted), 0);
	assert_int_equal(tarn_kv_del_range(s->kv, NULL, &untouched, &aborted), 0);
	assert_int_equal(tarn_event_result(&counted), -TARN_E_INPROGRESS);
	assert_error(tarn_event_wait(&counted, 1000), TIMEDOUT);
	assert_int_equal(tarn_kv_del_range(s->kv, NULL, &count, &counted), -TARN_E_BUSY);
	assert_error(tarn_kv_close(s->kv), BUSY);
	assert_says("2 calls");
	assert_ok(tarn_event_abort(&aborted));
	release_workers(s);
	assert_int_equal(tarn_event_wait(&counted, -1), 0);
	assert_int_equal(count, 1);
	assert_int_equal(tarn_event_wait(&aborted, -1), -TARN_E_CANCELED);
	assert_int_equal(untouched, 77);
	assert_error(tarn_event_abort(&aborted), INVAL);
	assert_int_equal(tarn_kv_del_range(s->kv, NULL, &untouched, &aborted), 0);
	assert_int_equal(tarn_event_wait(&aborted, -1), 0);
	assert_int_equal(untouched, 0);
}

static void test_unpolled_is_in_use(void **state)
{
	struct scratch *s = *state;
	tarn_event	ev;
	tarn_eq	       *eq;

	assert_ok(tarn_eq_create(&eq));
	tarn_event_init(&ev, eq, NULL, 0);
	assert_int_equal(tarn_kv_put(s->kv, text("k"), text("v"), TARN_COND_NONE, &ev), 0);
	assert_true(is_readable(eq, 10000));
	assert_int_equal(tarn_event_result(&ev), 0);
	assert_error(tarn_kv_put(s->kv, text("k"), text("v"), TARN_COND_NONE, &ev), BUSY);
	assert_error(tarn_event_wait(&ev, -1), INVAL);
	assert_error(tarn_eq_destroy(eq), BUSY);
	assert_ptr_equal(take_one(eq), &ev);
	assert_ok(tarn_eq_destroy(eq));
}

/* Everything lent is the caller's again when the call returns, though the call itself has not begun. */
static void test_lent_is_copied(void **state)
{
	struct scratch	*s    = *state;
	const size_t	 size = 1 << 20;
	char		*val = malloc(size), *same = malloc(size), key[8] = "large", name[8] = "made", prefix[8] = "lar";
	tarn_range	 range = { .prefix = { prefix, 3 } };
	tarn_event	 put, create, apply, count;
	tarn_mutation	 mut = { .key = { key, 5 }, .val = { val, size } };
	uint64_t	 n   = 0;
	tarn_object_info info;

	assert_true(val && same);
	test_fill(val, size, 3);
	memcpy(same, val, size);
	tarn_event_init(&put, NULL, NULL, 0);
	tarn_event_init(&create, NULL, NULL, 0);
	tarn_event_init(&apply, NULL, NULL, 0);
	tarn_event_init(&count, NULL, NULL, 0);
	block_workers(s);
	assert_int_equal(tarn_kv_put(s->kv, mut.key, mut.val, TARN_COND_NONE, &put), 0);
	assert_int_equal(tarn_object_create(s->cont, name, &create), 0);
	mut.key.len = 4;
	assert_int_equal(tarn_kv_apply(s->kv, &mut, 1, NULL, &apply), 0);
	assert_int_equal(tarn_event_result(&create), -TARN_E_INPROGRESS);
	memset(val, 0xee, size);
	memset(key, 0xee, sizeof(key));
	memset(name, 0xee, sizeof(name));
	memset(&mut, 0xee, sizeof(mut));
	release_workers(s);
	assert_int_equal(tarn_event_wait(&put, -1), 0);
	assert_int_equal(tarn_event_wait(&apply, -1), 0);
	assert_int_equal(tarn_event_wait(&create, -1), 0);
	assert_value(s->kv, text("large"), (tarn_buf){ same, size });
	assert_value(s->kv, text("larg"), (tarn_buf){ same, size });
	assert_ok(tarn_object_query(s->cont, "made", &info, NULL));

	block_workers(s);
	assert_int_equal(tarn_kv_del_range(s->kv, &range, &n, &count), 0);
	memset(prefix, 0xee, sizeof(prefix));
	memset(&range, 0xee, sizeof(range));
	release_workers(s);
	assert_int_equal(tarn_event_wait(&count, -1), 0);
	assert_int_equal(n, 2);
	free(val);
	free(same);
}

/* By name: the kernel has threads of its own in the process. */
static unsigned threads_of_library(void)
{
	DIR	      *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned       n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char  path[300], name[32] = "";
		FILE *comm;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		comm = fopen(path, "r");
		n += comm && fgets(name, sizeof(name), comm) && strncmp(name, "tarn-", 5) == 0;
		if (comm)
			fclose(comm);
	}
	closedir(dir);
	return n;
}

#define MANY 10000

static void test_ten_thousand_in_flight(void **state)
{
	struct scratch *s      = *state;
	tarn_event     *events = calloc(MANY, sizeof(*events)), *got[64];
	uint8_t	       *seen   = calloc(MANY, 1);
	unsigned	taken  = 0;
	tarn_eq	       *eq;
	char		key[16];
	uint64_t	count;

	assert_true(events && seen);
	assert_int_equal(threads_of_library(), 0); /* nobody has needed one yet */
	assert_ok(tarn_eq_create(&eq));
	for (unsigned i = 0; i < MANY; i++) {
		tarn_event_init(&events[i], eq, &seen[i], 0);
		snprintf(key, sizeof(key), "%u", i);
		assert_int_equal(tarn_kv_put(s->kv, text(key), text(key), TARN_COND_INSERT, &events[i]), 0);
	}
	assert_in_range(threads_of_library(), 1, 7); /* workers, and those for the log, reads and checkpoints */
	while (taken < MANY) {
		int n = tarn_eq_poll(eq, 10000000, 64, got);

		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			assert_int_equal(tarn_event_result(got[i]), 0);
			++*(uint8_t *)tarn_event_user(got[i]);
		}
		taken += (unsigned)n;
	}
	assert_int_equal(tarn_eq_poll(eq, 0, 64, got), 0);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(seen[i], 1);
	assert_ok(tarn_eq_destroy(eq));
	scratch_reopen(s);
	assert_ok(tarn_kv_count(s->kv, NULL, &count, NULL));
	assert_int_equal(count, MANY);
	free(events);
	free(seen);
}

/* The result of a call that was started with ev. */
static int started(int rc, tarn_event *ev)
{
	assert_int_equal(rc, 0);
	rc = tarn_event_wait(ev, -1);
	return rc;
}

static void test_everything_with_events(void **state)
{
	struct scratch	*s	= *state;
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 8 << 20 };
	tarn_prop	 prop	= { .id = TARN_PROP_DESCRIPTION, .string = "d" };
	tarn_pool_info	 info;
	tarn_cont_info	 cont_info;
	tarn_object_info object_info;
	tarn_kv_stat	 stat;
	tarn_listing	 listing;
	uint64_t	 count, buf[64];
	size_t		 n = 0, len = sizeof(buf);
	tarn_pool	*pool;
	tarn_cont	*cont;
	tarn_kv		*kv;
	tarn_writer	*writer;
	tarn_reader	*reader;
	tarn_event	 e;

	tarn_event_init(&e, NULL, NULL, 0);
	assert_int_equal(started(tarn_pool_create(s->sys, "p", &params, NULL, &e), &e), 0);
	assert_int_equal(started(tarn_pool_create(s->sys, "p", &params, NULL, &e), &e), -TARN_E_EXIST);
	assert_non_null(strstr(tarn_event_message(&e), "p.pool"));
	assert_int_equal(started(tarn_pool_list(s->sys, NULL, &n, &e), &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(started(tarn_pool_open(s->sys, "p", NULL, &pool, &e), &e), 0);
	assert_int_equal(started(tarn_pool_query(pool, &info, &e), &e), 0);
	assert_int_equal(started(tarn_cont_create(pool, "c", TARN_CONT_KV, NULL, 0, NULL, &e), &e), 0);
	assert_int_equal(started(tarn_cont_open(pool, "c", 0, &cont, &e), &e), 0);
	assert_int_equal(started(tarn_cont_set_props(cont, &prop, 1, &e), &e), 0);
	assert_int_equal(started(tarn_cont_query(cont, &cont_info, &e), &e), 0);
	assert_string_equal(cont_info.description, "d");
	assert_int_equal(started(tarn_cont_list(pool, NULL, &n, &e), &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(started(tarn_object_create(cont, "o", &e), &e), 0);
	assert_int_equal(started(tarn_object_query(cont, "o", &object_info, &e), &e), 0);
	assert_int_equal(started(tarn_object_list(cont, NULL, &object_info, &n, &e), &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(started(tarn_kv_open(cont, "o", 0, &kv, &e), &e), 0);
	assert_int_equal(started(tarn_kv_exists(kv, text("w"), &stat, &e), &e), -TARN_E_NONEXIST);
	assert_int_equal(tarn_writer_open(kv, text("w"), TARN_COND_NONE, &writer), 0);
	assert_int_equal(started(tarn_writer_write(writer, text("abc"), &e), &e), 0);
	assert_int_equal(started(tarn_writer_write(writer, text("def"), &e), &e), 0);
	assert_int_equal(started(tarn_writer_commit(writer, &e), &e), 0);
	assert_int_equal(started(tarn_reader_open(kv, text("w"), &stat, &reader, &e), &e), 0);
	assert_int_equal(stat.size, 6);
	assert_int_equal(started(tarn_reader_read(reader, 2, buf, &len, &e), &e), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(buf, "cdef", 4);
	assert_ok(tarn_reader_close(reader));
	assert_int_equal(started(tarn_kv_list(kv, NULL, 0, buf, sizeof(buf), &listing, &e), &e), 0);
	assert_int_equal(listing.count, 1);
	assert_int_equal(started(tarn_kv_del_range(kv, NULL, &count, &e), &e), 0);
	assert_int_equal(count, 1);
	assert_ok(tarn_kv_close(kv));
	assert_int_equal(started(tarn_object_destroy(cont, "o", &e), &e), 0);
	assert_ok(tarn_cont_close(cont));
	assert_int_equal(started(tarn_cont_destroy(pool, "c", 0, &e), &e), 0);
	assert_int_equal(started(tarn_pool_sync(pool, &e), &e), 0);
	assert_int_equal(started(tarn_pool_checkpoint(pool, &e), &e), 0);
	assert_int_equal(started(tarn_pool_check(pool, NULL, NULL, &e), &e), 0);
	assert_ok(tarn_pool_close(pool));
	assert_int_equal(started(tarn_pool_destroy(s->sys, "p", 0, &e), &e), 0);
}

/* What stays where it is until the call has completed is not copied: a change that nobody may make is seen. Without the flag it is copied. */
static void test_lent_stays(void **state)
{
	struct scratch *s = *state;

	for (unsigned flags = 0; flags <= TARN_EVENT_LENT; flags += TARN_EVENT_LENT) {
		char	     piece[] = "piece", buf[8];
		size_t	     len     = sizeof(buf);
		tarn_writer *writer;
		tarn_event   ev;

		tarn_event_init(&ev, NULL, NULL, flags);
		assert_ok(tarn_writer_open(s->kv, text("w"), TARN_COND_NONE, &writer));
		block_workers(s);
		assert_int_equal(tarn_writer_write(writer, text(piece), &ev), 0);
		piece[0] = 'P';
		release_workers(s);
		assert_int_equal(tarn_event_wait(&ev, -1), 0);
		assert_ok(tarn_writer_commit(writer, NULL));
		assert_ok(tarn_kv_get(s->kv, text("w"), buf, &len, NULL));
		assert_int_equal(len, 5);
		assert_memory_equal(buf, flags ? "Piece" : "piece", 5);
	}
}

/* A writer whose piece was cancelled cannot commit what it lacks. */
static void test_writer_and_abort(void **state)
{
	struct scratch *s = *state;
	tarn_writer    *writer;
	tarn_event	ev, second;

	tarn_event_init(&ev, NULL, NULL, 0);
	tarn_event_init(&second, NULL, NULL, 0);
	assert_ok(tarn_writer_open(s->kv, text("w"), TARN_COND_NONE, &writer));
	block_workers(s);
	assert_int_equal(tarn_writer_write(writer, text("abc"), &ev), 0);
	assert_int_equal(tarn_writer_write(writer, text("def"), &second), -TARN_E_BUSY);
	assert_error(tarn_writer_abort(writer), BUSY);
	assert_ok(tarn_event_abort(&ev));
	release_workers(s);
	assert_int_equal(tarn_event_wait(&ev, -1), -TARN_E_CANCELED);
	assert_error(tarn_writer_write(writer, text("def"), NULL), CANCELED);
	assert_error(tarn_writer_commit(writer, NULL), CANCELED);
	assert_error(tarn_kv_exists(s->kv, text("w"), NULL, NULL), NONEXIST);
}

/* ---- many threads, one queue ---- */

#define THREADS	   3
#define PER_THREAD 400

struct crowd {
	tarn_kv	   *kv;
	tarn_eq	   *eq;
	int	    number;
	atomic_int *taken;
	atomic_int *failed;
};

static void take_some(struct crowd *me, int64_t timeout_us)
{
	tarn_event *got[8];
	int	    n = tarn_eq_poll(me->eq, timeout_us, 8, got);

	for (int i = 0; i < n; i++) {
		if (tarn_event_result(got[i]) != 0)
			atomic_fetch_add(me->failed, 1);
		free(got[i]);
	}
	atomic_fetch_add(me->taken, MAX(n, 0));
}

static void *crowd_member(void *arg)
{
	struct crowd *me = arg;
	char	      key[32];

	for (int i = 0; i < PER_THREAD; i++) {
		tarn_event *ev = malloc(sizeof(*ev));

		if (!ev)
			abort();
		snprintf(key, sizeof(key), "%d of %d", i, me->number);
		tarn_event_init(ev, me->eq, NULL, 0);
		if (tarn_kv_put(me->kv, text(key), text(key), TARN_COND_NONE, ev) != 0)
			atomic_fetch_add(me->failed, 1);
		take_some(me, 0);
	}
	while (atomic_load(me->taken) < THREADS * PER_THREAD)
		take_some(me, 2000);
	return NULL;
}

static void test_threads_share_a_queue(void **state)
{
	struct scratch *s = *state;
	struct crowd	crowd[THREADS];
	pthread_t	threads[THREADS];
	atomic_int	taken = 0, failed = 0;
	tarn_eq	       *eq;

	assert_ok(tarn_eq_create(&eq));
	for (int i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){ s->kv, eq, i, &taken, &failed };
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &crowd[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(taken, THREADS * PER_THREAD);
	assert_int_equal(failed, 0);
	assert_ok(tarn_eq_destroy(eq));
}

/* ---- many queues, one group of the log ---- */

/* Puts with events of two queues, and with events that have none, become durable together: each comes once, to its own. */
static void test_queues_share_a_group(void **state)
{
	struct scratch *s = *state;
	tarn_event	events[90], *got[30];
	tarn_eq	       *queues[3] = { NULL };
	bool		seen[90]  = { false };
	char		key[16];

	assert_ok(tarn_eq_create(&queues[0]));
	assert_ok(tarn_eq_create(&queues[1]));
	for (int i = 0; i < 90; i++) {
		tarn_event_init(&events[i], queues[i / 2 % 3], &queues[i / 2 % 3], 0);
		snprintf(key, sizeof(key), "%d", i);
		assert_int_equal(tarn_kv_put(s->kv, text(key), text(key), TARN_COND_NONE, &events[i]), 0);
	}
	for (int q = 0; q < 2; q++) {
		for (int n = 0; n < 30;)
			n += tarn_eq_poll(queues[q], -1, 30 - n, got + n);
		for (int i = 0; i < 30; i++) {
			assert_ptr_equal(tarn_event_user(got[i]), &queues[q]);
			assert_int_equal(tarn_event_result(got[i]), 0);
			assert_false(seen[got[i] - events]);
			seen[got[i] - events] = true;
		}
		assert_lowered(queues[q]);
	}
	for (int i = 0; i < 90; i++)
		if (!queues[i / 2 % 3])
			assert_int_equal(tarn_event_wait(&events[i], -1), 0);
	assert_ok(tarn_eq_destroy(queues[0]));
	assert_ok(tarn_eq_destroy(queues[1]));
}

/* ---- a device that fails ---- */

/* No process may write beyond `bytes` of a file: the device fails, and later works again. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = MIN(bytes, limit.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void start_puts(tarn_kv *kv, tarn_event *events, unsigned n, tarn_eq *eq)
{
	char key[16];

	for (unsigned i = 0; i < n; i++) {
		tarn_event_init(&events[i], eq, NULL, 0);
		snprintf(key, sizeof(key), "lost %u", i);
		assert_int_equal(tarn_kv_put(kv, text(key), text("v"), TARN_COND_NONE, &events[i]), 0);
	}
}

/* Every call still completes once, with the device's error or EP_RO; the pool says that it is read-only; what was acknowledged before is
 * there, then and after the next open. */
static void test_device_fails(void **state)
{
	struct scratch *s = *state;
	tarn_event	events[100], *got[100];
	tarn_pool_info	info;
	unsigned	taken = 0;
	tarn_eq	       *eq;

	signal(SIGXFSZ, SIG_IGN);
	put_text(s->kv, "kept", "value");
	assert_ok(tarn_eq_create(&eq));
	limit_files(8192);
	start_puts(s->kv, events, 100, eq);
	while (taken < 100) {
		int n = tarn_eq_poll(eq, 10000000, 100, got);

		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			assert_true(tarn_event_result(got[i]) < 0);
			assert_true(strlen(tarn_event_message(got[i])) > 10);
		}
		taken += (unsigned)n;
	}
	assert_error(tarn_kv_put(s->kv, text("k"), text("v"), TARN_COND_NONE, NULL), EP_RO);
	assert_true(tarn_pool_sync(s->pool, NULL) < 0);
	assert_ok(tarn_pool_query(s->pool, &info, NULL));
	assert_int_equal(info.readonly, 1);
	assert_value(s->kv, text("kept"), text("value"));
	assert_ok(tarn_kv_close(s->kv));
	assert_ok(tarn_cont_close(s->cont));
	(void)tarn_pool_close(s->pool); /* the handle is gone, whatever it says */
	limit_files(RLIM_INFINITY);
	assert_ok(tarn_eq_destroy(eq));
	scratch_open(s);
	assert_value(s->kv, text("kept"), text("value"));
	put_text(s->kv, "k", "works again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_queue_and_fd),
		scratch_test(test_inline),
		scratch_test(test_refused),
		scratch_test(test_wait_and_abort),
		scratch_test(test_unpolled_is_in_use),
		scratch_test(test_lent_is_copied),
		scratch_test(test_lent_stays),
		scratch_test(test_ten_thousand_in_flight),
		scratch_test(test_everything_with_events),
		scratch_test(test_writer_and_abort),
		scratch_test(test_threads_share_a_queue),
		scratch_test(test_queues_share_a_group),
		scratch_test(test_device_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
