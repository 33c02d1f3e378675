/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_dev_memory.c: the n-th allocation of a device's life fails, for all n, once and for good, on every target.
 *
 * Whatever fails: each call succeeds or answers NOMEM with a sentence, an I/O that was submitted completes with one of the two, what was
 * acknowledged is there, and in the end no memory, no descriptor and no thread is left. */
#include "dev_targets.h"
#include "failing_alloc.h"

#include <dirent.h>

#define DEPTH 4u

/* A life: from the open to the close, as far as it comes. */
struct life {
	const struct target *target;
	const char	    *uri;
	uint8_t		    *bytes; /* 4 UNITs, aligned, of the test itself */
	tarn_dev	    *dev;
	tarn_dev_info	     info;
	bool		     bounces;
	unsigned	     refused; /* calls and I/Os that had NOMEM */
	unsigned	     threads; /* of the process, when there is no device */
};

/* True: it was done. */
static bool done(struct life *l, const char *what, int rc)
{
	if (rc >= 0)
		return true;
	l->refused++;
	if (rc != -TARN_E_NOMEM || !*tarn_last_error())
		fail_msg("%s on %s: %s: %s", what, l->target->name, tarn_errname(rc), tarn_last_error());
	return false;
}

static void read_and_write(struct life *l)
{
	uint8_t	    *two = l->bytes + UNIT, *odd = l->bytes + 2 * UNIT + 1;
	tarn_dev_vec vec[] = { { l->bytes, UNIT }, { two, UNIT } };
	bool	     wrote;

	test_fill(l->bytes, 2 * UNIT, 7);
	wrote = done(l, "write", tarn_dev_write(l->dev, 0, l->bytes, 2 * UNIT, TARN_DEV_IO_DURABLE));
	memset(two, 0, UNIT);
	if (wrote && done(l, "read", tarn_dev_read(l->dev, 0, two, UNIT)))
		assert_memory_equal(l->bytes, two, UNIT);
	done(l, "flush", tarn_dev_flush(l->dev));
	done(l, "readv", tarn_dev_readv(l->dev, 0, vec, 2));
	if (!l->info.zoned)
		done(l, "writev", tarn_dev_writev(l->dev, 0, vec, 2, 0));
	if (l->bounces && done(l, "an odd read", tarn_dev_read(l->dev, 3, odd, 100)))
		assert_memory_equal(l->bytes + 3, odd, 100);
}

/* Some file systems do not have it. */
static int if_there(int rc)
{
	return rc == -TARN_E_NOTSUPPORTED ? 0 : rc;
}

static void change_and_compare(struct life *l)
{
	if (l->info.zoned)
		return;
	if (l->bounces)
		done(l, "an odd write", tarn_dev_write(l->dev, UNIT + 5, l->bytes, 10, 0));
	done(l, "write-zeroes", if_there(tarn_dev_write_zeroes(l->dev, 2 * UNIT, UNIT)));
	done(l, "discard", if_there(tarn_dev_discard(l->dev, 2 * UNIT, UNIT)));
	test_fill(l->bytes, UNIT, 9);
	if (done(l, "write", tarn_dev_write(l->dev, 0, l->bytes, UNIT, 0)))
		done(l, "compare", tarn_dev_compare(l->dev, 0, l->bytes, UNIT));
}

static void use_zones(struct life *l)
{
	tarn_dev_zone zones[2];
	uint32_t      count = 2;
	uint64_t      where;

	if (!l->info.zoned)
		return;
	done(l, "zone report", tarn_dev_zone_report(l->dev, 0, zones, &count));
	done(l, "zone append", tarn_dev_zone_append(l->dev, l->info.zone_bytes, l->bytes, UNIT, &where));
	done(l, "zone reset", tarn_dev_zone_reset(l->dev, 0, 2 * l->info.zone_bytes));
}

/* As many as were started come back. */
static void run_batch(struct life *l, tarn_dev_queue *queue, tarn_dev_io *ios, uint32_t n)
{
	tarn_dev_io *list[DEPTH], *out[DEPTH];
	uint32_t     started, reaped = 0;

	for (uint32_t i = 0; i < n; i++)
		list[i] = &ios[i];
	started = tarn_dev_queue_submit(queue, list, n);
	assert_int_equal(started, n);
	while (reaped < started) {
		uint32_t got = tarn_dev_queue_reap(queue, 1, DEPTH, WAIT_US, out);

		assert_true(got > 0);
		for (uint32_t i = 0; i < got; i++)
			done(l, "an I/O", out[i]->rc);
		reaped += got;
	}
}

static void use_queue(struct life *l)
{
	tarn_dev_queue_options options	  = { .struct_size = sizeof(options), .flags = l->target->queue_flags, .depth = DEPTH };
	tarn_dev_vec	       vec	  = { l->bytes, 4 * UNIT };
	tarn_dev_io	       ios[DEPTH] = { 0 };
	tarn_dev_queue	      *queue;
	int		       rc;

	if (!done(l, "queue open", tarn_dev_queue_open(l->dev, &options, &queue)))
		return;
	for (uint32_t i = 0; i < DEPTH; i++)
		ios[i] = (tarn_dev_io){ .opcode = TARN_DEV_READ, .offset = i * UNIT, .len = UNIT, .buf = l->bytes + i * UNIT };
	if (l->bounces)
		ios[1].offset++;
	if (done(l, "register", tarn_dev_queue_register(queue, &vec, 1)) && !l->bounces)
		ios[2].flags = TARN_DEV_IO_FIXED;
	rc = tarn_dev_queue_fd(queue);
	done(l, "fd", rc);
	run_batch(l, queue, ios, DEPTH);
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
}

static void use_memory(struct life *l)
{
	static const uint32_t flags[] = { 0, TARN_DEV_HUGE };

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		void *buf = tarn_dev_alloc(UNIT, flags[i]);

		l->refused += !buf;
		tarn_dev_free(buf, UNIT, flags[i]);
	}
}

static void live(struct life *l)
{
	tarn_dev_options options = { .struct_size = sizeof(options),
				     .flags	  = l->target->flags | TARN_DEV_RDWR,
				     .backend	  = l->target->backend };

	l->info = (tarn_dev_info){ .struct_size = sizeof(l->info) };
	use_memory(l);
	done(l, "query", tarn_dev_query(l->uri, &l->info));
	if (!done(l, "open", tarn_dev_open(l->uri, &options, &l->dev)))
		return;
	assert_ok(tarn_dev_get_info(l->dev, &l->info));
	if (l->info.zoned)
		done(l, "zone reset", tarn_dev_zone_reset(l->dev, 0, 2 * l->info.zone_bytes));
	read_and_write(l);
	change_and_compare(l);
	use_zones(l);
	use_queue(l);
	assert_ok(tarn_dev_close(l->dev));
}

static unsigned count_threads(void)
{
	DIR	*dir = opendir("/proc/self/task");
	unsigned n   = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Threads that were joined may be listed for a moment. */
static void assert_no_more_threads(unsigned before)
{
	for (int i = 0; i < 1000 && count_threads() > before; i++)
		usleep(1000);
	assert_true(count_threads() <= before);
}

/* Returns how many allocations failed. */
static uint64_t live_with(struct life *l, uint64_t n, bool for_good)
{
	unsigned descriptors = count_descriptors();
	int64_t	 memory	     = alloc.live;

	l->refused = 0;
	alloc_fail(n, for_good);
	live(l);
	alloc.armed = false;
	assert_int_equal(alloc.live, memory);
	assert_int_equal(count_descriptors(), descriptors);
	assert_no_more_threads(l->threads);
	return alloc.refused;
}

static void sweep(void **state, bool for_good)
{
	struct life l = { .target = *state };
	char	    path[SCRATCH_PATH];
	uint64_t    n = 1;

	l.uri = target_uri(l.target, path);
	if (!is_here(l.target, l.uri))
		skip();
	l.bytes	  = new_buffer(4 * UNIT);
	l.bounces = l.target->flags & TARN_DEV_BOUNCE;
	live(&l); /* a sanitizer begins a thread of its own when the first is made */
	l.threads = count_threads();
	live_with(&l, UINT64_MAX, false);
	assert_int_equal(l.refused, 0);
	while (live_with(&l, n, for_good) > 0)
		n++;
	assert_true(n > 4); /* a device, its handle, a queue and its handle */
	print_message("# %u allocations on %s\n", (unsigned)n - 1, l.target->name);
	tarn_dev_free(l.bytes, 4 * UNIT, 0);
}

static void test_one_fails(void **state)
{
	sweep(state, false);
}

static void test_all_fail_from_then_on(void **state)
{
	sweep(state, true);
}

int main(void)
{
	static const struct dev_case cases[] = {
		DEV_CASE(test_one_fails),
		DEV_CASE(test_all_fail_from_then_on),
	};

	return run_cases(cases, ARRAY_LEN(cases));
}
