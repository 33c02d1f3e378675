/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_dev_faults.c: what the kernel refuses, and devices that fail, never answer, or change beneath us. Refusals are set up in a child
 * process of its own, since they do not end. */
#include "dev_batch.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- io_uring refused ---- */

static bool make_file(char uri[SCRATCH_PATH])
{
	return target_uri(&(struct target){ .place = ON_DISK }, uri) != NULL;
}

static void refuse_rings(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_LEN(code), code };

	unsetenv("TARN_BACKEND"); /* who asks for threads is told of no refusal */
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

/* Runs body in a child; its asserts end it with another status than 0. */
static void in_a_child(void (*body)(void))
{
	int   status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		fflush(NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("the child ended with status 0x%x", (unsigned)status);
}

/* Asserts in the child: print, and end it. */
#define CHILD_CHECK(condition)                                                                                                   \
	do {                                                                                                                     \
		if (!(condition)) {                                                                                              \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, base_message());                     \
			_exit(1);                                                                                                \
		}                                                                                                                \
	} while (0)

static void child_use(tarn_dev *dev)
{
	uint8_t	       *bytes = tarn_dev_alloc(UNIT, 0), *got = tarn_dev_alloc(UNIT, 0);
	tarn_dev_io	io = { .opcode = TARN_DEV_WRITE, .len = UNIT, .buf = bytes }, *p = &io;
	tarn_dev_queue *queue;

	CHILD_CHECK(bytes && got);
	test_fill(bytes, UNIT, 7);
	CHILD_CHECK(tarn_dev_queue_open(dev, NULL, &queue) == 0);
	CHILD_CHECK(tarn_dev_queue_submit(queue, &p, 1) == 1);
	CHILD_CHECK(tarn_dev_queue_reap(queue, 1, 1, WAIT_US, &p) == 1 && io.rc == 0);
	CHILD_CHECK(tarn_dev_queue_close(queue, WAIT_US) == 0);
	CHILD_CHECK(tarn_dev_read(dev, 0, got, UNIT) == 0 && memcmp(bytes, got, UNIT) == 0);
	tarn_dev_free(bytes, UNIT, 0);
	tarn_dev_free(got, UNIT, 0);
}

static void without_rings(void)
{
	tarn_dev_options options = { .struct_size = sizeof(options), .flags = TARN_DEV_RDWR };
	tarn_dev_info	 info	 = { .struct_size = sizeof(info) };
	char		 uri[SCRATCH_PATH];
	tarn_dev	*dev;

	CHILD_CHECK(make_file(uri));
	refuse_rings();
	CHILD_CHECK(tarn_dev_open(uri, &options, &dev) == 0);
	CHILD_CHECK(tarn_dev_get_info(dev, &info) == 0);
	CHILD_CHECK(strcmp(info.backend, "threads") == 0);
	CHILD_CHECK(strstr(info.note, "io_uring"));
	child_use(dev);
	CHILD_CHECK(tarn_dev_close(dev) == 0);
	options.flags |= TARN_DEV_STRICT;
	CHILD_CHECK(tarn_dev_open(uri, &options, &dev) == -TARN_E_NOTSUPPORTED);
	CHILD_CHECK(strstr(base_message(), "io_uring"));
	options.backend = "threads"; /* as asked is no fallback */
	CHILD_CHECK(tarn_dev_open(uri, &options, &dev) == 0);
	CHILD_CHECK(tarn_dev_close(dev) == 0);
	options = (tarn_dev_options){ .struct_size = sizeof(options), .backend = "io_uring" };
	CHILD_CHECK(tarn_dev_open(uri, &options, &dev) == -TARN_E_NOTSUPPORTED);
}

static void test_rings_refused(void **state)
{
	(void)state;
	in_a_child(without_rings);
}

/* Rings that are refused after the open: the queue says so, and calls that wait go on. */
static void without_rings_later(void)
{
	tarn_dev_options options = { .struct_size = sizeof(options), .flags = TARN_DEV_RDWR };
	uint8_t		*bytes	 = tarn_dev_alloc(UNIT, 0);
	char		 uri[SCRATCH_PATH];
	tarn_dev_queue	*queue = (void *)1;
	tarn_dev	*dev;

	CHILD_CHECK(bytes && make_file(uri));
	CHILD_CHECK(tarn_dev_open(uri, &options, &dev) == 0);
	refuse_rings();
	if (tarn_dev_queue_open(dev, NULL, &queue) == 0)
		CHILD_CHECK(tarn_dev_queue_close(queue, WAIT_US) == 0);
	else
		CHILD_CHECK(*base_message() && !queue);
	CHILD_CHECK(tarn_dev_read(dev, 0, bytes, UNIT) == 0);
	CHILD_CHECK(tarn_dev_write(dev, 0, bytes, UNIT, TARN_DEV_DURABLE) == 0);
	CHILD_CHECK(tarn_dev_close(dev) == 0);
	tarn_dev_free(bytes, UNIT, 0);
}

static void test_rings_refused_later(void **state)
{
	(void)state;
	in_a_child(without_rings_later);
}

/* No memory may be locked, and for want of a capability root neither: whatever was chosen works, and registering says NOMEM or works. */
static void without_locked_memory(void)
{
	struct rlimit	 none	 = { 0, 0 };
	tarn_dev_options options = { .struct_size = sizeof(options), .flags = TARN_DEV_RDWR };
	tarn_dev_vec	 vec	 = { tarn_dev_alloc(64 * UNIT, 0), 64 * UNIT };
	char		 uri[SCRATCH_PATH];
	tarn_dev_queue	*queue;
	tarn_dev	*dev;
	int		 rc;

	CHILD_CHECK(vec.ptr && make_file(uri));
	CHILD_CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
	if (geteuid() == 0)
		CHILD_CHECK(setresuid(65534, 65534, 65534) == 0);
	rc = tarn_dev_open(uri, &options, &dev);
	CHILD_CHECK(rc == 0 || rc == -TARN_E_NO_PERM);
	if (rc)
		CHILD_CHECK(tarn_dev_open("mem:1M", &options, &dev) == 0); /* a directory that only its owner may enter */
	CHILD_CHECK(tarn_dev_queue_open(dev, NULL, &queue) == 0);
	rc = tarn_dev_queue_register(queue, &vec, 1);
	CHILD_CHECK(rc == 0 || (rc == -TARN_E_NOMEM && *base_message()));
	CHILD_CHECK(tarn_dev_queue_close(queue, WAIT_US) == 0);
	child_use(dev);
	CHILD_CHECK(tarn_dev_close(dev) == 0);
	tarn_dev_free(vec.ptr, vec.len, 0);
}

static void test_no_locked_memory(void **state)
{
	char uri[SCRATCH_PATH];

	(void)state;
	assert_int_equal(chmod(scratch_disk, 0755), 0);
	assert_true(make_file(uri));
	assert_int_equal(chmod(uri + strlen("file:"), 0666), 0);
	in_a_child(without_locked_memory);
}

static void without_descriptors(void)
{
	struct rlimit	few   = { 0, 0 };
	tarn_dev_queue *queue = NULL;
	tarn_dev       *dev   = NULL;
	int		rc;

	CHILD_CHECK(tarn_dev_open("mem:1M", NULL, &dev) == 0);
	few.rlim_cur = few.rlim_max = (rlim_t)dup(0);
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	rc = tarn_dev_queue_open(dev, NULL, &queue);
	CHILD_CHECK(rc == 0 || *base_message());
	if (rc == 0) {
		CHILD_CHECK(tarn_dev_queue_fd(queue) < 0 && *base_message());
		CHILD_CHECK(tarn_dev_queue_close(queue, 0) == 0);
	}
	CHILD_CHECK(tarn_dev_close(dev) == 0);
	CHILD_CHECK(tarn_dev_open(scratch_disk, NULL, &dev) < 0 && *base_message());
}

static void test_no_descriptors(void **state)
{
	(void)state;
	in_a_child(without_descriptors);
}

static void backend_of_the_environment(void)
{
	tarn_dev_info info = { .struct_size = sizeof(info) };
	char	      uri[SCRATCH_PATH];
	tarn_dev     *dev;

	CHILD_CHECK(make_file(uri));
	CHILD_CHECK(setenv("TARN_BACKEND", "threads", 1) == 0);
	CHILD_CHECK(tarn_dev_open(uri, NULL, &dev) == 0);
	CHILD_CHECK(tarn_dev_get_info(dev, &info) == 0);
	CHILD_CHECK(strcmp(info.backend, "threads") == 0);
	CHILD_CHECK(tarn_dev_close(dev) == 0);
}

static void test_backend_of_the_environment(void **state)
{
	(void)state;
	in_a_child(backend_of_the_environment);
}

/* ---- devices that do not answer, or answer with an error ---- */

static tarn_dev *open_faulty(const char *uri)
{
	tarn_dev_options options = { .struct_size = sizeof(options), .flags = TARN_DEV_RDWR };
	tarn_dev	*dev;

	assert_ok(tarn_dev_open(uri, &options, &dev));
	return dev;
}

/* A read that never completes: waits end when they were to, the close says so, and the others go on. A cancel frees it. */
static void test_never_completes(void **state)
{
	tarn_dev	*dev  = open_faulty("sim:1M?never=read:2");
	tarn_dev_info	 info = { .struct_size = sizeof(info) };
	tarn_dev_io	*done[4];
	struct dev_batch b;
	tarn_dev_queue	*queue;

	(void)state;
	assert_ok(tarn_dev_queue_open(dev, NULL, &queue));
	batch_make(&b, 4);
	batch_fill(&b, TARN_DEV_READ, 0);
	assert_int_equal(tarn_dev_queue_submit(queue, b.list, 4), 4);
	assert_int_equal(tarn_dev_queue_reap(queue, 4, 4, 50000, done), 3);
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 4, 50000, done), 0);
	assert_error(tarn_dev_queue_close(queue, 50000), TIMEDOUT);
	assert_error(tarn_dev_close(dev), BUSY);
	assert_ok(tarn_dev_get_info(dev, &info));
	assert_ok(tarn_dev_queue_cancel(queue, &b.ios[1]));
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 4, WAIT_US, done), 1);
	assert_ptr_equal(done[0], &b.ios[1]);
	assert_int_equal(done[0]->rc, -TARN_E_CANCELED);
	assert_true(*done[0]->message);
	assert_ok(tarn_dev_queue_close(queue, 0));
	batch_free(&b);
	assert_ok(tarn_dev_close(dev));
}

static void test_nth_fails(void **state)
{
	tarn_dev	*dev = open_faulty("sim:1M?error=write:3&error=flush:1");
	struct dev_batch b;
	tarn_dev_queue	*queue;
	unsigned	 failed = 0;

	(void)state;
	assert_ok(tarn_dev_queue_open(dev, NULL, &queue));
	batch_make(&b, 5);
	batch_fill(&b, TARN_DEV_WRITE, 0);
	batch_run(queue, &b);
	for (uint32_t i = 0; i < b.n; i++) {
		failed += b.ios[i].rc == -TARN_E_IO;
		assert_int_equal(b.ios[i].message[0] != '\0', b.ios[i].rc != 0);
	}
	assert_int_equal(failed, 1);
	assert_error(tarn_dev_flush(dev), IO);
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
	batch_free(&b);
	assert_ok(tarn_dev_close(dev));
}

/* A file that somebody cuts short: reads behind its end fail, and are never short. */
static void test_file_shrinks(void **state)
{
	uint8_t	       *buf = new_buffer(8 * UNIT);
	tarn_dev_io	io = { .opcode = TARN_DEV_READ, .offset = SPAN / 2 - UNIT, .len = 8 * UNIT, .buf = buf }, *p = &io;
	char		uri[SCRATCH_PATH];
	tarn_dev_queue *queue;
	tarn_dev       *dev;

	(void)state;
	assert_true(make_file(uri));
	dev = open_faulty(uri);
	assert_ok(tarn_dev_queue_open(dev, NULL, &queue));
	assert_int_equal(truncate(uri + strlen("file:"), SPAN / 2), 0);
	assert_error(tarn_dev_read(dev, SPAN / 2 - UNIT, buf, 8 * UNIT), IO);
	assert_error(tarn_dev_read(dev, SPAN - UNIT, buf, UNIT), IO);
	assert_int_equal(tarn_dev_queue_submit(queue, &p, 1), 1);
	assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, WAIT_US, &p), 1);
	assert_int_equal(io.rc, -TARN_E_IO);
	assert_ok(tarn_dev_read(dev, 0, buf, 8 * UNIT));
	assert_ok(tarn_dev_queue_close(queue, WAIT_US));
	assert_ok(tarn_dev_close(dev));
	tarn_dev_free(buf, 8 * UNIT, 0);
}

/* ---- closing while calls run ---- */

/* A page that nobody may read stops a write to memory inside the call, for as long as it takes. */
static uint8_t	 *stopping_page;
static atomic_int inside, go_on;

static void on_fault(int sig)
{
	const struct timespec pause = { 0, 1000000 };

	(void)sig;
	atomic_store(&inside, 1);
	while (!atomic_load(&go_on))
		nanosleep(&pause, NULL);
	mprotect(stopping_page, UNIT, PROT_READ | PROT_WRITE);
}

static void *write_that_stops(void *dev)
{
	return (void *)(intptr_t)tarn_dev_write(dev, 0, stopping_page, UNIT, 0);
}

static void test_close_with_a_call_running(void **state)
{
	struct sigaction stop = { .sa_handler = on_fault }, before;
	tarn_dev	*dev  = open_faulty("mem:1M");
	pthread_t	 thread;
	void		*rc;

	(void)state;
	stopping_page = mmap(NULL, UNIT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(stopping_page != MAP_FAILED);
	assert_int_equal(sigaction(SIGSEGV, &stop, &before), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_that_stops, dev), 0);
	while (!atomic_load(&inside))
		usleep(100);
	assert_error(tarn_dev_close(dev), BUSY);
	assert_says("1 calls");
	atomic_store(&go_on, 1);
	pthread_join(thread, &rc);
	assert_null(rc);
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	munmap(stopping_page, UNIT);
	assert_ok(tarn_dev_close(dev));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rings_refused),
		cmocka_unit_test(test_rings_refused_later),
		cmocka_unit_test(test_no_locked_memory),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_backend_of_the_environment),
		cmocka_unit_test(test_never_completes),
		cmocka_unit_test(test_nth_fails),
		cmocka_unit_test(test_file_shrinks),
		cmocka_unit_test(test_close_with_a_call_running),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
