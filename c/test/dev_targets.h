/* SPDX-License-Identifier: Apache-2.0 */
/* test/dev_targets.h: what the tests of the public device API run on: every backend and kind of device that the machine has,
 * or those that the environment names (TARN_TEST_TARGETS="block:/dev/nvme0n1 nvme:/dev/ng0n1": their first SPAN bytes are
 * overwritten; TARN_TEST_BACKEND=ioctl for that backend of them).
 *
 * A case is a function of the target, which is its initial state; rig_open() opens it, and rig_close() looks that nothing is
 * left. */
#ifndef TARN_DEV_TARGETS_H
#define TARN_DEV_TARGETS_H

#include "device_scratch.h"

#include <errno.h>
#include <liburing.h>
#include <tarn/tarn.h>

#define SPAN	(8u << 20) /* bytes of a target that are used */
#define UNIT	4096u	   /* a multiple of every alignment and block that is met */
#define WAIT_US 60000000   /* a minute: for what must come */

enum place { ON_DISK, ON_TMPFS, ON_LOOP, BY_URI };

struct target {
	const char *name;
	enum place  place;
	const char *uri; /* BY_URI */
	const char *backend;
	uint32_t    flags; /* TARN_DEV_... */
	uint32_t    queue_flags;
};

/* A device of a target. */
struct rig {
	const struct target *target;
	tarn_dev	    *dev;
	tarn_dev_info	     info;
	uint64_t	     span; /* bytes that the test may use, from 0 on */
};

static const struct target targets_here[] = {
	{ "file, io_uring", ON_DISK, NULL, "io_uring", 0, 0 },
	{ "file, io_uring, single", ON_DISK, NULL, "io_uring", 0, TARN_DEV_QUEUE_SINGLE },
	{ "file, io_uring, sqpoll", ON_DISK, NULL, "io_uring", 0, TARN_DEV_QUEUE_SQPOLL },
	{ "file, threads", ON_DISK, NULL, "threads", 0, 0 },
	{ "file, buffered", ON_DISK, NULL, NULL, TARN_DEV_BUFFERED, 0 },
	{ "file, bouncing", ON_DISK, NULL, NULL, TARN_DEV_BOUNCE, 0 },
	{ "file, bouncing threads", ON_DISK, NULL, "threads", TARN_DEV_BOUNCE, 0 },
	{ "tmpfs", ON_TMPFS, NULL, NULL, 0, 0 },
	{ "loop, io_uring", ON_LOOP, NULL, "io_uring", 0, 0 },
	{ "loop, threads, single", ON_LOOP, NULL, "threads", 0, TARN_DEV_QUEUE_SINGLE },
	{ "mem", BY_URI, "mem:8M", NULL, 0, 0 },
	{ "mem, single", BY_URI, "mem:8M?block=4096", NULL, 0, TARN_DEV_QUEUE_SINGLE },
	{ "mem, bouncing", BY_URI, "mem:8M?block=4096", NULL, TARN_DEV_BOUNCE, 0 },
	{ "mem, zoned", BY_URI, "mem:8M?zone=1M", NULL, 0, 0 },
	{ "sim", BY_URI, "sim:8M?seed=3", NULL, 0, 0 },
	{ "sim, bouncing", BY_URI, "sim:8M?seed=3", NULL, TARN_DEV_BOUNCE, TARN_DEV_QUEUE_SINGLE },
	{ "sim, zoned", BY_URI, "sim:8M?seed=3&zone=1M", NULL, 0, 0 },
};

/* Those that the environment names, or the above. */
static inline const struct target *targets(size_t *n)
{
	static struct target named[16];
	char		    *list = getenv("TARN_TEST_TARGETS"), *save;

	*n = ARRAY_LEN(targets_here);
	if (!list)
		return targets_here;
	*n = 0;
	for (char *uri = strtok_r(strdup(list), " ", &save); uri && *n < ARRAY_LEN(named); uri = strtok_r(NULL, " ", &save))
		named[(*n)++] =
			(struct target){ .name = uri, .place = BY_URI, .uri = uri, .backend = getenv("TARN_TEST_BACKEND") };
	return named;
}

/* The URI of a target, whose file is made when it needs one. NULL: there is no such place here. */
static inline const char *target_uri(const struct target *t, char uri[SCRATCH_PATH])
{
	const char *dir = t->place == ON_DISK ? scratch_disk : scratch_memory;
	int	    fd;

	if (t->place == BY_URI)
		return t->uri;
	if (t->place == ON_LOOP)
		return *scratch_loop ? scratch_loop : NULL;
	if (!*dir)
		return NULL;
	snprintf(uri, SCRATCH_PATH, "file:%s/data", dir);
	fd = open(uri + strlen("file:"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SPAN), 0);
	close(fd);
	return uri;
}

static inline uint8_t *new_buffer(size_t len)
{
	uint8_t *buf = tarn_dev_alloc(len, 0);

	assert_non_null(buf);
	return buf;
}

static inline void reset_zones(struct rig *r)
{
	if (r->info.zoned)
		assert_ok(tarn_dev_zone_reset(r->dev, 0, r->span));
}

/* The kernel lets this process have io_uring: many a container's may not. */
static inline bool rings_are_allowed(void)
{
	struct io_uring_params params = { 0 };
	int		       fd     = io_uring_setup(1, &params);

	if (fd >= 0)
		close(fd);
	return fd != -EPERM && fd != -ENOSYS;
}

static inline bool is_here(const struct target *t, const char *uri)
{
	return uri && (!t->backend || strcmp(t->backend, "io_uring") != 0 || rings_are_allowed());
}

/* Zones are empty after it; other bytes are what they were. Skips where the machine has no such target. */
static inline void rig_open(struct rig *r, void **state, uint32_t flags)
{
	const struct target *t	     = *state;
	tarn_dev_options     options = { .struct_size = sizeof(options), .flags = t->flags | flags, .backend = t->backend };
	char		     path[SCRATCH_PATH];
	const char	    *uri = target_uri(t, path);

	*r = (struct rig){ .target = t, .info.struct_size = sizeof(r->info) };
	if (!is_here(t, uri)) {
		print_message("# no %s here\n", t->name);
		skip();
	}
	assert_ok(tarn_dev_open(uri, &options, &r->dev));
	assert_ok(tarn_dev_get_info(r->dev, &r->info));
	r->span = MIN(r->info.size, SPAN);
	if (r->info.zoned)
		r->span = MAX(r->span / r->info.zone_bytes, 1) * r->info.zone_bytes;
	if (flags & TARN_DEV_RDWR)
		reset_zones(r);
}

static inline void rig_close(struct rig *r)
{
	assert_ok(tarn_dev_close(r->dev));
}

static inline tarn_dev_queue *rig_queue(struct rig *r, uint32_t depth)
{
	tarn_dev_queue_options options = { .struct_size = sizeof(options), .flags = r->target->queue_flags, .depth = depth };
	tarn_dev_queue	      *queue   = NULL;

	assert_ok(tarn_dev_queue_open(r->dev, &options, &queue));
	return queue;
}

/* Open descriptors of this process. */
static inline unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* What a case is for; targets that are not are left out. */
enum { ON_ZONED = 1, NOT_ZONED = 2, NOT_SINGLE = 4 };

struct dev_case {
	const char	  *name;
	CMUnitTestFunction run;
	unsigned	   only;
};
#define DEV_CASE(function)                                                                                                       \
	{                                                                                                                        \
#function, function, 0                                                                                           \
	}
#define DEV_CASE_FOR(function, only)                                                                                             \
	{                                                                                                                        \
#function, function, only                                                                                        \
	}

static inline bool is_zoned(const struct target *t)
{
	tarn_dev_info info = { .struct_size = sizeof(info) };

	return t->place == BY_URI && tarn_dev_query(t->uri, &info) == 0 && info.zoned;
}

static inline bool applies(const struct dev_case *c, const struct target *t, bool zoned)
{
	return !(c->only & ON_ZONED && !zoned) && !(c->only & NOT_ZONED && zoned) &&
	       !(c->only & NOT_SINGLE && t->queue_flags & TARN_DEV_QUEUE_SINGLE);
}

/* Adds the cases that apply to a target. Names are for the life of the process. */
static inline size_t add_cases(const struct dev_case *cases, size_t n_cases, const struct target *t, struct CMUnitTest *tests)
{
	bool   zoned = is_zoned(t);
	size_t n     = 0;

	for (size_t i = 0; i < n_cases; i++) {
		char *name;

		if (!applies(&cases[i], t, zoned) || asprintf(&name, "%s on %s", cases[i].name, t->name) < 0)
			continue;
		tests[n++] =
			(struct CMUnitTest){ .name = name, .test_func = cases[i].run, .initial_state = (void *)(uintptr_t)t };
	}
	return n;
}

/* Every case on every target; TARN_TEST_CASES="*threads*" runs some of them. */
static inline int run_cases(const struct dev_case *cases, size_t n_cases)
{
	static struct CMUnitTest tests[1024];
	size_t			 n_targets, n = 0;
	const struct target	*list = targets(&n_targets);

	for (size_t i = 0; i < n_targets && n + n_cases <= ARRAY_LEN(tests); i++)
		n += add_cases(cases, n_cases, &list[i], tests + n);
	cmocka_set_test_filter(getenv("TARN_TEST_CASES"));
	return _cmocka_run_group_tests("devices", tests, n, scratch_make, scratch_remove);
}

#endif
