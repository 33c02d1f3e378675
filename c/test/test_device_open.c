/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_device_open.c: opening, making, holding and asking about devices, and what is refused. */
#include "device_scratch.h"

#include "../src/device/device.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define BLOCK	     4096u
#define LONG_WAIT_NS 500000000u /* a refusal after this has waited; one at once takes far less */

static const struct device_options held = { .exclusive = true };

static int open_and_close(const char *uri, const struct device_options *options)
{
	struct device *dev;
	int	       rc = device_open(uri, options, &dev);

	if (!rc)
		device_close(dev);
	return rc;
}

static void make_file(const char *path)
{
	struct device_options options = { .create = true, .size = SCRATCH_SIZE };

	unlink(path);
	assert_ok(open_and_close(path, &options));
}

/* Runs in a child, which must not return; gives its exit status. */
static int status_of(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* ---- io_uring refused: first of all, since a process asks the kernel once ---- */

static bool forbid_io_uring(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_LEN(rules), rules };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Each step that goes wrong has its own exit status. */
static int without_io_uring(const char *path)
{
	struct device_options create = { .create = true, .size = SCRATCH_SIZE }, strict = { .strict = true },
			      asked = { .backend = "io_uring" };
	struct device *dev;
	int	       rc;

	unsetenv("TARN_BACKEND");
	if (!forbid_io_uring())
		return 77;
	if (device_open(path, &create, &dev))
		return 1;
	rc = strcmp(device_info(dev)->backend, "threads") ? 2 : !strstr(device_info(dev)->note, "io_uring is forbidden") ? 3 : 0;
	device_close(dev);
	if (rc)
		return rc;
	if (open_and_close(path, &asked) != -TARN_E_NOTSUPPORTED || !strstr(base_message(), "forbidden"))
		return 4;
	if (open_and_close(path, &strict) != -TARN_E_NOTSUPPORTED)
		return 5;
	strict.backend = "threads"; /* asked for, so no downgrade */
	rc	       = open_and_close(path, &strict);
	return rc == -TARN_E_NOTSUPPORTED && strstr(base_message(), "direct I/O") ? 0 : rc ? 6 : 0;
}

static void test_io_uring_refused(void **state)
{
	char  path[SCRATCH_PATH];
	int   status;
	pid_t pid;

	(void)state;
	scratch_path(path, scratch_disk, "refused");
	pid = fork();
	if (pid == 0)
		_exit(without_io_uring(path));
	status = status_of(pid);
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

/* ---- names ---- */

static void test_uris_that_are_none(void **state)
{
	static const char *const bad[] = { "",
					   "mem:",
					   "mem:x",
					   "mem:12X",
					   "mem:99999999999999999999",
					   "mem:17000000T",
					   "sim:",
					   "sim:1Mx",
					   "sim:1M?seed=",
					   "sim:1M?seed=9z",
					   "foo:1",
					   "file:",
					   "block:",
					   "mem:1 M",
					   "mem:0",
					   "mem:-1",
					   "sim:1M?sead=3" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (open_and_close(bad[i], NULL) != -TARN_E_INVAL || !*base_message())
			fail_msg("\"%s\" is not refused with INVAL and a sentence", bad[i]);
	assert_error(open_and_close(NULL, NULL), INVAL);
	assert_error(open_and_close("nvme:/dev/null/ng0n1", NULL), NOTDIR);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *uri;
		uint64_t    size;
	} good[] = { { "mem:4096", 4096 },
		     { "mem:64K", 65536 },
		     { "mem:2M", 2u << 20 },
		     { "sim:1M?seed=18446744073709551615", 1u << 20 } };
	struct device *dev;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(device_open(good[i].uri, NULL, &dev));
		assert_int_equal(device_size(dev), good[i].size);
		device_close(dev);
	}
}

static void test_what_is_no_device(void **state)
{
	char path[SCRATCH_PATH], link[SCRATCH_PATH];
	int  fd;

	(void)state;
	assert_error(open_and_close(scratch_path(path, scratch_disk, "missing"), NULL), NONEXIST);
	assert_says("missing");
	assert_error(open_and_close(scratch_path(path, scratch_disk, "no/such/place"), NULL), NONEXIST);
	assert_error(open_and_close(scratch_disk, NULL), INVAL);
	assert_says("directory");
	assert_error(open_and_close("/dev/null", NULL), INVAL);
	assert_error(open_and_close("block:/dev/null", NULL), INVAL);
	assert_error(open_and_close("block:/dev/no-such-device", NULL), NONEXIST);

	fd = open(scratch_path(path, scratch_disk, "empty"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_error(open_and_close(path, NULL), INVAL);
	assert_says("0 bytes");
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_error(open_and_close(path, NULL), INVAL);
	close(fd);

	assert_int_equal(mkfifo(scratch_path(path, scratch_disk, "pipe"), 0600), 0);
	assert_error(open_and_close(path, NULL), INVAL); /* and does not wait for a writer */

	make_file(scratch_path(path, scratch_disk, "target"));
	assert_int_equal(symlink(path, scratch_path(link, scratch_disk, "link")), 0);
	assert_error(open_and_close(link, NULL), INVAL);
	assert_says("symbolic link");
	snprintf(link, sizeof(link), "block:%.100s", path);
	assert_error(open_and_close(link, NULL), INVAL);
	assert_says("not a block device");
}

static void test_a_file_scheme_names_any_file(void **state)
{
	char		      path[SCRATCH_PATH], uri[SCRATCH_PATH + 8];
	struct device_options options = { .create = true, .size = SCRATCH_SIZE };
	struct device	     *dev;

	(void)state;
	scratch_path(path, scratch_disk, "mem:1G");
	snprintf(uri, sizeof(uri), "file:%s", path);
	assert_ok(device_open(uri, &options, &dev));
	assert_string_equal(device_info(dev)->kind, "file");
	assert_string_equal(device_info(dev)->uri, uri);
	device_close(dev);
	assert_ok(open_and_close(path, NULL)); /* the bare path exists, and is what it is */
}

/* The URI of a device with a long path is cut, and says so; the device works. */
static void test_long_path(void **state)
{
	struct device_options options = { .create = true, .size = SCRATCH_SIZE };
	char		      path[512];
	struct device	     *dev;

	(void)state;
	snprintf(path, sizeof(path), "%s/%0240d", scratch_disk, 1);
	assert_ok(device_open(path, &options, &dev));
	assert_int_equal(strlen(device_info(dev)->uri), sizeof(device_info(dev)->uri) - 1);
	assert_string_equal(device_info(dev)->uri + 252, "...");
	device_close(dev);
	snprintf(path, sizeof(path), "%s/%0300d", scratch_disk, 1);
	assert_error(open_and_close(path, &options), BADPATH);
}

/* A size that is no multiple of a block: the last part of one is not used. */
static void test_odd_size(void **state)
{
	char	       path[SCRATCH_PATH];
	struct device *dev;
	uint32_t       block;

	(void)state;
	make_file(scratch_path(path, scratch_disk, "odd"));
	assert_int_equal(truncate(path, SCRATCH_SIZE + 77), 0);
	assert_ok(device_open(path, NULL, &dev));
	block = device_info(dev)->offset_alignment;
	assert_int_equal(device_size(dev), SCRATCH_SIZE + 77 / block * block);
	device_close(dev);
}

/* ---- making ---- */

static void test_create(void **state)
{
	struct device_options options = { .create = true, .size = SCRATCH_SIZE };
	char		      path[SCRATCH_PATH];
	struct stat	      st;

	(void)state;
	umask(0);
	assert_ok(open_and_close(scratch_path(path, scratch_disk, "new"), &options));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, SCRATCH_SIZE);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true((uint64_t)st.st_blocks * 512 >= SCRATCH_SIZE); /* all of its space is its own */

	assert_error(open_and_close(path, &options), EXIST);
	assert_says("exists already");
	assert_int_equal(stat(path, &st), 0);
	assert_error(open_and_close(scratch_path(path, scratch_disk, "no/such"), &options), NONEXIST);
	assert_error(open_and_close(scratch_disk, &options), EXIST);
}

static void test_create_refused(void **state)
{
	struct device_options options = { .create = true };
	char		      path[SCRATCH_PATH];

	(void)state;
	scratch_path(path, scratch_disk, "refused");
	unlink(path);
	assert_error(open_and_close(path, &options), INVAL); /* of no size */
	options.size = UINT64_C(1) << 50;
	assert_error(open_and_close(path, &options), NOSPACE);
	assert_says("free");
	assert_int_not_equal(access(path, F_OK), 0); /* nothing half-made stays */
	options.size = UINT64_MAX;
	assert_error(open_and_close(path, &options), INVAL);
	options.size	 = SCRATCH_SIZE;
	options.readonly = true;
	assert_error(open_and_close(path, &options), INVAL);
	options.readonly = false;
	options.backend	 = "abacus";
	assert_error(open_and_close(path, &options), INVAL);
	assert_says("abacus");
	assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- strict ---- */

static void test_strict_refuses_buffered(void **state)
{
	struct device_options options = { .create = true, .size = SCRATCH_SIZE, .strict = true };
	char		      path[SCRATCH_PATH];
	struct device	     *dev;

	(void)state;
	if (!*scratch_memory)
		skip();
	scratch_path(path, scratch_memory, "strict");
	assert_error(open_and_close(path, &options), NOTSUPPORTED);
	assert_says("direct I/O");
	assert_int_not_equal(access(path, F_OK), 0);
	options.strict = false;
	assert_ok(device_open(path, &options, &dev));
	assert_int_equal(device_info(dev)->direct, 0);
	assert_non_null(strstr(device_info(dev)->note, "buffered"));
	assert_int_equal(device_info(dev)->offset_alignment, 512);
	device_close(dev);
}

static void test_backend_from_the_environment(void **state)
{
	struct device_options options = { .strict = false };
	char		      path[SCRATCH_PATH], *old = getenv("TARN_BACKEND"), saved[32] = "";
	struct device	     *dev;

	(void)state;
	if (old)
		snprintf(saved, sizeof(saved), "%s", old);
	make_file(scratch_path(path, scratch_disk, "environment"));
	setenv("TARN_BACKEND", "threads", 1);
	assert_ok(device_open(path, &options, &dev));
	assert_string_equal(device_info(dev)->backend, "threads");
	assert_string_equal(device_info(dev)->note[0] ? "note" : "", device_info(dev)->direct ? "" : "note");
	device_close(dev);
	setenv("TARN_BACKEND", "nonsense", 1);
	assert_error(open_and_close(path, &options), INVAL);
	options.backend = "threads"; /* options speak first */
	assert_ok(open_and_close(path, &options));
	if (old)
		setenv("TARN_BACKEND", saved, 1);
	else
		unsetenv("TARN_BACKEND");
}

/* ---- holding ---- */

static void test_busy_in_this_process(void **state)
{
	char	       path[SCRATCH_PATH], pid[32];
	uint64_t       before;
	struct device *dev;

	(void)state;
	make_file(scratch_path(path, scratch_disk, "held"));
	assert_ok(device_open(path, &held, &dev));
	before = base_mono_ns();
	assert_error(open_and_close(path, &held), BUSY);
	assert_true(base_mono_ns() - before < LONG_WAIT_NS);
	snprintf(pid, sizeof(pid), "this same process (%d", (int)getpid());
	assert_says(pid);
	assert_ok(open_and_close(path, NULL));		 /* who does not ask for the hold is not refused */
	assert_error(open_and_close(path, &held), BUSY); /* ... and did not end it */
	device_close(dev);
	assert_ok(open_and_close(path, &held));
}

/* A child that holds path, says so, and waits until it is killed. */
static pid_t holding_child(const char *path, int (*then)(struct device *))
{
	struct device *dev;
	int	       pipe_fds[2];
	char	       ready = 0;
	pid_t	       pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		ready = device_open(path, &held, &dev) == 0 && then(dev) == 0;
		if (write(pipe_fds[1], &ready, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(pipe_fds[1]);
	if (read(pipe_fds[0], &ready, 1) != 1 || !ready)
		fail_msg("the child could not hold %s", path);
	close(pipe_fds[0]);
	return pid;
}

static int nothing_more(struct device *dev)
{
	(void)dev;
	return 0;
}

static void test_busy_in_another_process(void **state)
{
	char  path[SCRATCH_PATH], expected[64], command[32];
	pid_t child;

	(void)state;
	make_file(scratch_path(path, scratch_disk, "held"));
	child = holding_child(path, nothing_more);
	assert_error(open_and_close(path, &held), BUSY);
	assert_int_equal(prctl(PR_GET_NAME, command), 0); /* the child's too */
	snprintf(expected, sizeof(expected), "process %d (%s)", (int)child, command);
	assert_says(expected);
	kill(child, SIGKILL);
	status_of(child);
	assert_ok(open_and_close(path, &held));
}

static int write_a_lot(struct device *dev)
{
	static tarn_dev_io   ios[8];
	struct device_queue *queue;
	void		    *buf = device_alloc(1 << 20);

	if (!buf || device_queue_open(dev, ARRAY_LEN(ios), &queue))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(ios); i++) {
		ios[i] = (tarn_dev_io){ .opcode = TARN_DEV_WRITE, .buf = buf, .len = 1 << 20, .offset = i << 20 };
		device_submit(queue, &ios[i]);
	}
	return 0;
}

/* The kernel ends the I/O of a killed process in its own time. The next to open waits for that, and is not refused. */
static void test_a_killed_holder_is_waited_for(void **state)
{
	char  path[SCRATCH_PATH];
	pid_t child;

	(void)state;
	make_file(scratch_path(path, scratch_disk, "killed"));
	for (unsigned i = 0; i < 10; i++) {
		child = holding_child(path, write_a_lot);
		kill(child, SIGKILL);
		status_of(child);
		assert_ok(open_and_close(path, &held));
	}
}

static int leave_it_to_a_child(struct device *dev)
{
	pid_t pid = fork();

	(void)dev;
	if (pid == 0) {
		sleep(3); /* longer than anybody waits; its descriptor keeps the hold */
		_exit(0);
	}
	return pid < 0;
}

static void test_a_dead_holder_is_named(void **state)
{
	char	 path[SCRATCH_PATH], expected[64];
	uint64_t before;
	pid_t	 child;

	(void)state;
	make_file(scratch_path(path, scratch_disk, "inherited"));
	child = holding_child(path, leave_it_to_a_child);
	kill(child, SIGKILL);
	status_of(child);
	before = base_mono_ns();
	assert_error(open_and_close(path, &held), BUSY);
	assert_true(base_mono_ns() - before >= LONG_WAIT_NS);
	snprintf(expected, sizeof(expected), "process %d, which has ended", (int)child);
	assert_says(expected);
}

/* udev holds LOCK_SH for a moment while it looks at a disk. */
static void test_who_only_looks_is_waited_for(void **state)
{
	struct timespec look = { 0, 100000000 };
	char		path[SCRATCH_PATH];
	pid_t		child;
	int		fd;

	(void)state;
	make_file(scratch_path(path, scratch_disk, "looked-at"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	child = fork();
	if (child == 0) {
		nanosleep(&look, NULL);
		_exit(flock(fd, LOCK_UN) != 0);
	}
	assert_ok(open_and_close(path, &held));
	assert_int_equal(status_of(child), 0);
	close(fd);
}

static void test_block_device_is_held(void **state)
{
	struct device *dev;
	char	       expected[64];
	int	       fd;

	(void)state;
	if (!*scratch_loop)
		skip();
	assert_ok(device_open(scratch_loop, &held, &dev));
	assert_string_equal(device_info(dev)->kind, "block");
	assert_error(open_and_close(scratch_loop, &held), BUSY);
	snprintf(expected, sizeof(expected), "this same process (%d", (int)getpid());
	assert_says(expected);
	device_close(dev);
	assert_ok(open_and_close(scratch_loop, &held));
	assert_error(open_and_close(scratch_loop, &(struct device_options){ .create = true, .size = SCRATCH_SIZE }), EXIST);

	fd = open(scratch_loop, O_RDONLY | O_EXCL | O_CLOEXEC); /* somebody who takes no lock */
	assert_true(fd >= 0);
	assert_error(open_and_close(scratch_loop, &held), BUSY);
	close(fd);
	assert_ok(open_and_close(scratch_loop, &held));
}

static void test_mounted_block_device_is_busy(void **state)
{
	char	      command[512], out[64], point[SCRATCH_PATH];
	tarn_dev_info info = { .struct_size = sizeof(info) };

	(void)state;
	if (!*scratch_loop)
		skip();
	snprintf(command, sizeof(command),
		 "d=%s/mnt; mkdir $d && mkfs.ext4 -q %s >/dev/null 2>&1 && mount %s $d 2>/dev/null && echo mounted", scratch_disk,
		 scratch_loop, scratch_loop);
	scratch_shell(command, out, sizeof(out));
	if (strcmp(out, "mounted") != 0)
		skip();
	scratch_path(point, scratch_disk, "mnt");
	assert_error(open_and_close(scratch_loop, &held), BUSY);
	assert_says("mounted at");
	assert_says(point);
	assert_ok(tarn_dev_query(scratch_loop, &info));
	assert_int_equal(info.in_use, 1);
	snprintf(command, sizeof(command), "umount %s", point);
	scratch_shell(command, out, sizeof(out));
	assert_ok(open_and_close(scratch_loop, &held));
}

/* ---- asking ---- */

static void test_query(void **state)
{
	char	       path[SCRATCH_PATH];
	tarn_dev_info  info = { .struct_size = sizeof(info) };
	struct device *dev;

	(void)state;
	make_file(scratch_path(path, scratch_disk, "asked"));
	assert_ok(tarn_dev_query(path, &info));
	assert_string_equal(info.kind, "file");
	assert_int_equal(info.size, SCRATCH_SIZE);
	assert_int_equal(info.in_use, 0);
	assert_int_equal(info.readonly, 0); /* however it was opened for this */
	assert_ok(device_open(path, &held, &dev));
	assert_ok(tarn_dev_query(path, &info));
	assert_int_equal(info.in_use, 1);
	device_close(dev);
	assert_ok(tarn_dev_query("mem:1M", &info));
	assert_string_equal(info.backend, "mem");
	assert_error(tarn_dev_query(path, NULL), INVAL);
	assert_error(tarn_dev_query("/no/such/device", &info), NONEXIST);
	assert_error(tarn_dev_query(NULL, &info), INVAL);
}

static void test_query_block(void **state)
{
	tarn_dev_info info = { .struct_size = sizeof(info) };
	int	      fd;

	(void)state;
	if (!*scratch_loop)
		skip();
	assert_ok(tarn_dev_query(scratch_loop, &info));
	assert_string_equal(info.kind, "block");
	assert_int_equal(info.size, SCRATCH_SIZE);
	assert_int_equal(info.in_use, 0);
	fd = open(scratch_loop, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(tarn_dev_query(scratch_loop, &info));
	assert_int_equal(info.in_use, 1);
	close(fd);
}

static void check_listed(const tarn_dev_info *info)
{
	assert_true(strncmp(info->uri, "block:/dev/", 11) == 0);
	assert_string_equal(info->kind, "block");
	assert_string_equal(info->backend, "");
	assert_true(info->size > 0 && info->logical_block >= 512 && info->offset_alignment == info->logical_block);
}

/* The row of our loop device, or NULL. Others come and go while we look, so nothing is said of their number. */
static const tarn_dev_info *find_loop(const tarn_dev_info *infos, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (*scratch_loop && strcmp(infos[i].uri + strlen("block:"), scratch_loop) == 0)
			return &infos[i];
	return NULL;
}

static void test_list(void **state)
{
	tarn_dev_info	     infos[64] = { { .struct_size = sizeof(infos[0]) } };
	const tarn_dev_info *loop;
	size_t		     count = ARRAY_LEN(infos);

	(void)state;
	assert_ok(tarn_dev_list(infos, &count));
	assert_true(count <= ARRAY_LEN(infos));
	for (size_t i = 0; i < count; i++)
		check_listed(&infos[i]);
	loop = find_loop(infos, count);
	assert_int_equal(loop != NULL, *scratch_loop != '\0');
	if (loop)
		assert_int_equal(loop->size, SCRATCH_SIZE);
	assert_error(tarn_dev_list(infos, NULL), INVAL);
}

static void test_list_counts(void **state)
{
	tarn_dev_info one   = { .struct_size = sizeof(one) };
	size_t	      count = 0;

	(void)state;
	assert_ok(tarn_dev_list(NULL, &count));
	if (!count)
		skip();
	count = 0;
	assert_error(tarn_dev_list(&one, &count), TRUNC);
	assert_true(count > 0);
}

static void test_list_shows_use(void **state)
{
	tarn_dev_info	     infos[64] = { { .struct_size = sizeof(infos[0]) } };
	const tarn_dev_info *loop;
	size_t		     count = ARRAY_LEN(infos);
	struct device	    *dev;

	(void)state;
	if (!*scratch_loop)
		skip();
	assert_ok(device_open(scratch_loop, &held, &dev));
	assert_ok(tarn_dev_list(infos, &count));
	loop = find_loop(infos, count);
	assert_true(loop && loop->in_use);
	device_close(dev);
	count = ARRAY_LEN(infos);
	assert_ok(tarn_dev_list(infos, &count));
	loop = find_loop(infos, count);
	assert_true(loop && !loop->in_use);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_uring_refused),
		cmocka_unit_test(test_uris_that_are_none),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_what_is_no_device),
		cmocka_unit_test(test_a_file_scheme_names_any_file),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_odd_size),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_create_refused),
		cmocka_unit_test(test_strict_refuses_buffered),
		cmocka_unit_test(test_backend_from_the_environment),
		cmocka_unit_test(test_busy_in_this_process),
		cmocka_unit_test(test_busy_in_another_process),
		cmocka_unit_test(test_a_killed_holder_is_waited_for),
		cmocka_unit_test(test_a_dead_holder_is_named),
		cmocka_unit_test(test_who_only_looks_is_waited_for),
		cmocka_unit_test(test_block_device_is_held),
		cmocka_unit_test(test_mounted_block_device_is_busy),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_block),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_counts),
		cmocka_unit_test(test_list_shows_use),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
