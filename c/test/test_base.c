/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_base.c: errors, log, UUIDs, clock, random, checksums, byte order. */
#include "harness.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* --- errors --- */

static const int codes[] = {
#define CODE(name, number, grpc, text) TARN_E_##name,
	TARN_FOREACH_ERROR(CODE)
#undef CODE
};

static void test_error_names(void **state)
{
	(void)state;
	assert_string_equal(tarn_errname(0), "DER_SUCCESS");
	assert_string_equal(tarn_errname(-TARN_E_NONEXIST), "DER_NONEXIST");
	assert_string_equal(tarn_errname(TARN_E_NONEXIST), "DER_NONEXIST");
	assert_string_equal(tarn_strerror(-TARN_E_NONEXIST), "it does not exist");
	assert_int_equal(TARN_E_NONEXIST, 1005);
	assert_string_equal(tarn_errname(1), "DER_UNKNOWN");
	assert_string_equal(tarn_errname(INT_MIN), "DER_UNKNOWN");
	assert_true(strlen(tarn_strerror(INT_MAX)) > 0);
}

/* Numbers and names are unique, so each code finds its own entry. */
static void test_error_table(void **state)
{
	(void)state;
	assert_true(ARRAY_LEN(codes) > 50);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_in_range(codes[i], 1001, 2999);
		assert_int_equal(strncmp(tarn_errname(codes[i]), "DER_", 4), 0);
		assert_true(strlen(tarn_strerror(codes[i])) > 5);
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(codes[i], codes[j]);
			assert_string_not_equal(tarn_errname(codes[i]), tarn_errname(codes[j]));
		}
	}
}

static void test_fail_makes_the_sentence(void **state)
{
	char long_text[2 * TARN_MESSAGE_MAX];

	(void)state;
	assert_int_equal(fail(BUSY, "held by %d", 7), -TARN_E_BUSY);
	assert_string_equal(tarn_last_error(), "held by 7");
	assert_int_equal(fail(IO, "cannot open: %s", base_message()), -TARN_E_IO); /* of its own text */
	assert_string_equal(base_message(), "cannot open: held by 7");
	base_set_message(base_message());
	assert_string_equal(base_message(), "cannot open: held by 7");

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	fail(INVAL, "%s", long_text);
	assert_int_equal(strlen(base_message()), TARN_MESSAGE_MAX - 1);
	base_set_message(long_text);
	assert_int_equal(strlen(base_message()), TARN_MESSAGE_MAX - 1);
}

/* The sentence is put together when it is asked for; what comes before that takes its place. */
static void test_fail_about(void **state)
{
	char name[2 * TARN_MESSAGE_MAX] = "arena";

	(void)state;
	assert_int_equal(base_fail_about(TARN_E_NONEXIST, "object ", name, " has no such key"), -TARN_E_NONEXIST);
	name[0] = 'A'; /* it was copied */
	assert_string_equal(tarn_last_error(), "object arena has no such key");
	assert_string_equal(base_message(), "object arena has no such key");
	base_fail_about(TARN_E_NONEXIST, "object ", name, " has no such key");
	assert_int_equal(fail(IO, "first: %s", base_message()), -TARN_E_IO);
	assert_string_equal(base_message(), "first: object Arena has no such key");
	base_fail_about(TARN_E_NONEXIST, "object ", name, " has no such key");
	assert_int_equal(fail(IO, "no device"), -TARN_E_IO);
	assert_string_equal(base_message(), "no device");
	memset(name, 'x', sizeof(name) - 1);
	base_fail_about(TARN_E_NONEXIST, "object ", name, " has no such key");
	assert_int_equal(strlen(base_message()), TARN_MESSAGE_MAX - 1);
	assert_memory_equal(base_message(), "object xxx", 10);
}

static void test_fail_errno(void **state)
{
	static const struct {
		int sys, code;
	} cases[] = {
		{ ENOENT, TARN_E_NONEXIST }, { EEXIST, TARN_E_EXIST },	 { EACCES, TARN_E_NO_PERM },
		{ ENOSPC, TARN_E_NOSPACE },  { EIO, TARN_E_IO },	 { ENOMEM, TARN_E_NOMEM },
		{ EBUSY, TARN_E_BUSY },	     { EROFS, TARN_E_EP_RO },	 { EINVAL, TARN_E_INVAL },
		{ ENODEV, TARN_E_IO },	     { ENOTDIR, TARN_E_NOTDIR }, { EOPNOTSUPP, TARN_E_NOTSUPPORTED },
		{ EMFILE, TARN_E_MISC },     { 123456, TARN_E_MISC },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(base_fail_errno(cases[i].sys, "x"), -cases[i].code);
	base_fail_errno(ENOENT, "open %s", "/a");
	assert_string_equal(base_message(), "open /a: No such file or directory");
}

static void *fail_elsewhere(void *arg)
{
	*(bool *)arg = !*base_message();
	fail(IO, "of another thread");
	return NULL;
}

static void test_sentence_is_its_threads(void **state)
{
	pthread_t thread;
	bool	  was_empty;

	(void)state;
	fail(INVAL, "mine");
	pthread_create(&thread, NULL, fail_elsewhere, &was_empty);
	pthread_join(thread, NULL);
	assert_true(was_empty);
	assert_string_equal(base_message(), "mine");
}

/* --- log --- */

struct heard {
	unsigned       n;
	tarn_log_level level;
	char	       text[600];
};

static void hear(void *arg, tarn_log_level level, const char *message)
{
	struct heard *heard = arg;

	heard->n++;
	heard->level = level;
	snprintf(heard->text, sizeof(heard->text), "%s", message);
}

static void test_log_sink(void **state)
{
	struct heard heard = { 0 };

	(void)state;
	base_log(TARN_LOG_ERROR, "to nobody");
	tarn_log_set(hear, &heard, TARN_LOG_WARN);
	base_log(TARN_LOG_INFO, "too quiet");
	assert_int_equal(heard.n, 0);
	errno = 77;
	base_log(TARN_LOG_WARN, "n is %d", 3);
	assert_int_equal(errno, 77);
	assert_int_equal(heard.n, 1);
	assert_int_equal(heard.level, TARN_LOG_WARN);
	assert_string_equal(heard.text, "n is 3");
	tarn_log_set(NULL, NULL, TARN_LOG_DEBUG);
	base_log(TARN_LOG_ERROR, "to nobody again");
	assert_int_equal(heard.n, 1);
}

static void replace_from_inside(void *arg, tarn_log_level level, const char *message)
{
	tarn_log_set(hear, arg, TARN_LOG_DEBUG);
	base_log(level, "again: %s", message);
}

static void test_log_sink_may_log_and_replace_itself(void **state)
{
	struct heard heard = { 0 };

	(void)state;
	tarn_log_set(replace_from_inside, &heard, TARN_LOG_DEBUG);
	base_log(TARN_LOG_INFO, "one");
	assert_int_equal(heard.n, 1);
	assert_string_equal(heard.text, "again: one");
	tarn_log_set(NULL, NULL, TARN_LOG_DEBUG);
}

static atomic_bool stop_logging;

static void *log_until_told(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_logging))
		base_log(TARN_LOG_INFO, "noise");
	return NULL;
}

/* After tarn_log_set() returned, no thread is in the former sink: its argument may be freed. */
static void slow_sink(void *arg, tarn_log_level level, const char *message)
{
	atomic_bool *alive = arg;

	(void)level, (void)message;
	for (int i = 0; i < 20; i++)
		if (!atomic_load(alive))
			abort();
}

static void test_log_former_sink_is_not_running(void **state)
{
	static atomic_bool alive[300];
	pthread_t	   threads[2];

	(void)state;
	atomic_store(&stop_logging, false);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, log_until_told, NULL);
	for (size_t i = 0; i < ARRAY_LEN(alive); i++) {
		atomic_store(&alive[i], true);
		tarn_log_set(slow_sink, &alive[i], TARN_LOG_INFO);
		usleep(20);
		tarn_log_set(NULL, NULL, TARN_LOG_INFO);
		atomic_store(&alive[i], false);
	}
	atomic_store(&stop_logging, true);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

static void test_log_fd(void **state)
{
	char	text[2000] = "", long_text[1000];
	int	fds[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	tarn_log_set_fd(fds[1], TARN_LOG_INFO);
	base_log(TARN_LOG_DEBUG, "too quiet");
	base_log(TARN_LOG_WARN, "two\nlines");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	base_log(TARN_LOG_ERROR, "%s", long_text);
	tarn_log_set_fd(-1, TARN_LOG_DEBUG);
	base_log(TARN_LOG_ERROR, "to nobody");
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_int_equal(strncmp(text, "WARN two lines\nERROR xxx", 24), 0);
	assert_int_equal(text[n - 1], '\n');
	assert_null(strstr(text, "nobody"));
	assert_int_equal(read(fds[0], text, 1), 0);
	close(fds[0]);
}

static void test_log_to_a_reader_that_has_gone(void **state)
{
	sigset_t pending;
	int	 fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	tarn_log_set_fd(fds[1], TARN_LOG_INFO);
	base_log(TARN_LOG_ERROR, "SIGPIPE would end this program");
	tarn_log_set_fd(-1, TARN_LOG_INFO);
	close(fds[1]);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGPIPE));
}

/* --- version and UUIDs --- */

static void test_version(void **state)
{
	char text[32];

	(void)state;
	snprintf(text, sizeof(text), "%d.%d.%d", TARN_VERSION_MAJOR, TARN_VERSION_MINOR, TARN_VERSION_PATCH);
	assert_string_equal(tarn_version(), text);
}

static void test_uuid(void **state)
{
	static const char *const bad[] = { "",
					   "x",
					   "0123456789abcdef0123456789abcdef",
					   "01234567-89ab-cdef-0123-456789abcdeg",
					   "01234567-89ab-cdef-0123-456789abcdef0",
					   "01234567-89ab-cdef-0123-456789abcde" };
	const char		*good  = "01234567-89ab-cdef-0123-456789abcdef";
	tarn_uuid		 uuid;
	char			 text[37];

	(void)state;
	assert_ok(tarn_uuid_parse(good, &uuid));
	assert_int_equal(uuid.bytes[0], 0x01);
	assert_int_equal(uuid.bytes[15], 0xef);
	tarn_uuid_format(&uuid, text);
	assert_string_equal(text, good);
	assert_ok(tarn_uuid_parse("01234567-89AB-CDEF-0123-456789ABCDEF", &uuid));
	tarn_uuid_format(&uuid, text);
	assert_string_equal(text, good);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_error(tarn_uuid_parse(bad[i], &uuid), INVAL);
}

/* --- clock and random --- */

static uint64_t number(void *arg)
{
	return *(uint64_t *)arg;
}

static void test_clock(void **state)
{
	uint64_t a = base_mono_ns(), now = 1000;

	(void)state;
	assert_true(base_mono_ns() >= a);
	assert_true(base_now_ns() > UINT64_C(1600000000) * 1000000000); /* after 2020 */
	base_set_clock(number, &now);
	assert_int_equal(base_now_ns(), 1000);
	assert_int_equal(base_mono_ns(), 1000);
	now = 500; /* the wall clock goes back, the monotonic one stands */
	assert_int_equal(base_now_ns(), 500);
	assert_int_equal(base_mono_ns(), 1000);
	now = 1001;
	assert_int_equal(base_mono_ns(), 1001);
	base_set_clock(NULL, NULL);
	assert_true(base_mono_ns() >= a);
	assert_true(base_now_ns() > 1001);
}

static void test_random(void **state)
{
	uint64_t fixed = 42, a = base_random();

	(void)state;
	assert_true(a != base_random());
	base_set_random(number, &fixed);
	assert_int_equal(base_random(), 42);
	base_set_random(NULL, NULL);
	assert_true(base_random() != base_random());
}

static void test_rng(void **state)
{
	unsigned   counts[10] = { 0 };
	struct rng a, b;

	(void)state;
	for (uint64_t seed = 0; seed < 3; seed++) {
		rng_seed(&a, seed);
		rng_seed(&b, seed);
		assert_int_equal(rng_next(&a), rng_next(&b));
		rng_seed(&b, seed + 1);
		assert_int_not_equal(rng_next(&a), rng_next(&b));
	}
	assert_int_equal(rng_below(&a, 0), 0);
	assert_int_equal(rng_below(&a, 1), 0);
	assert_in_range(rng_below(&a, UINT64_MAX), 0, UINT64_MAX - 1);
	for (int i = 0; i < 10000; i++)
		counts[rng_below(&a, 10)]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(counts[i], 850, 1150);
}

/* --- checksums and byte order: what stands on disk, so the values are pinned --- */

static void test_hashes(void **state)
{
	static const uint8_t empty[16] = { 0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
					   0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f };
	uint8_t		     data[1000];
	struct hash128	     whole;

	(void)state;
	assert_memory_equal(hash128("", 0).bytes, empty, 16);
	assert_int_equal(hash64("", 0), UINT64_C(0x2d06800538d394c2));
	test_fill(data, sizeof(data), 1);
	whole = hash128(data, sizeof(data));
	assert_true(hash128_equal(whole, hash128(data, sizeof(data))));
	assert_true(hash128_equal(whole, hash128_seeded(data, sizeof(data), 0)));
	assert_false(hash128_equal(whole, hash128_seeded(data, sizeof(data), 1)));
	for (size_t bit = 0; bit < sizeof(data) * 8; bit += 7) {
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(hash128_equal(whole, hash128(data, sizeof(data))));
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_byte_order(void **state)
{
	uint8_t bytes[17];

	(void)state;
	put64(bytes + 1, UINT64_C(0x1122334455667788)); /* at an odd address */
	assert_int_equal(bytes[1], 0x88);
	assert_int_equal(bytes[8], 0x11);
	assert_int_equal(get64(bytes + 1), UINT64_C(0x1122334455667788));
	put32(bytes, 0xaabbccdd);
	assert_int_equal(bytes[0], 0xdd);
	assert_int_equal(get32(bytes), 0xaabbccdd);
	put16(bytes, 0xeeff);
	assert_int_equal(bytes[0], 0xff);
	assert_int_equal(get16(bytes), 0xeeff);
	put64be(bytes + 1, UINT64_C(0x1122334455667788));
	assert_int_equal(bytes[1], 0x11);
	assert_int_equal(get64be(bytes + 1), UINT64_C(0x1122334455667788));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_names),
		cmocka_unit_test(test_error_table),
		cmocka_unit_test(test_fail_makes_the_sentence),
		cmocka_unit_test(test_fail_about),
		cmocka_unit_test(test_fail_errno),
		cmocka_unit_test(test_sentence_is_its_threads),
		cmocka_unit_test(test_log_sink),
		cmocka_unit_test(test_log_sink_may_log_and_replace_itself),
		cmocka_unit_test(test_log_former_sink_is_not_running),
		cmocka_unit_test(test_log_fd),
		cmocka_unit_test(test_log_to_a_reader_that_has_gone),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_rng),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_byte_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
