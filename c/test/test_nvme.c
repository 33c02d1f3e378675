/* SPDX-License-Identifier: Apache-2.0 */
/* What the controllers of nvme_rig.h say, and passthrough to a namespace. */
#include "nvme_rig.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static tarn_nvme *open_nvme(const char *path, uint32_t flags)
{
	tarn_nvme *nvme = NULL;

	assert_ok(tarn_nvme_open(path, flags, &nvme));
	return nvme;
}

/* ---- without io_uring ---- */

static void forbid_io_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_LEN(code), code };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* 0, or the line that is not as it should be. */
static int use_without_io_uring(void)
{
	tarn_dev_options strict = { .struct_size = sizeof(strict), .flags = TARN_DEV_STRICT };
	tarn_dev	*dev	= NULL;
	void		*a	= tarn_dev_alloc(4096, 0);
	tarn_dev_info	 info	= { .struct_size = sizeof(info) };

	if (tarn_dev_open("nvme:/dev/ng0n1", &strict, &dev) != -TARN_E_NOTSUPPORTED || !strstr(tarn_last_error(), "io_uring"))
		return __LINE__;
	if (tarn_dev_open("nvme:/dev/ng0n1", NULL, &dev) || tarn_dev_get_info(dev, &info))
		return __LINE__;
	if (strcmp(info.backend, "ioctl") != 0 || !strstr(info.note, "io_uring"))
		return __LINE__;
	return tarn_dev_read(dev, 0, a, 4096) || tarn_dev_close(dev) ? __LINE__ : 0;
}

/* In a child, and first: the library asks the kernel once. */
static void test_io_uring_is_forbidden(void **state)
{
	pid_t child = fork();
	int   status;

	(void)state;
	if (!child) {
		forbid_io_uring();
		_exit(use_without_io_uring() & 0xff);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- the controller ---- */

static void test_identify_controller(void **state)
{
	tarn_nvme	    *nvme = open_nvme("/dev/nvme0", 0);
	tarn_nvme_controller c = { .struct_size = sizeof(c) }, again = { .struct_size = sizeof(again) };
	uint8_t		     raw[TARN_NVME_PAGE];
	uint32_t	     nsid = 9;

	(void)state;
	assert_ok(tarn_nvme_identify_controller(nvme, &c, raw));
	assert_string_equal(c.serial, "TARN-A");
	assert_string_equal(c.model, "QEMU NVMe Ctrl");
	assert_int_equal(c.max_transfer, 512 << 10);
	assert_true(c.version >= 0x10400);
	assert_true(c.namespaces >= 4);
	assert_true(c.optional_io & TARN_NVME_ONCS_COMPARE && c.optional_io & TARN_NVME_ONCS_WRITE_ZEROES);
	assert_non_null(strstr(c.subnqn, "nqn."));
	assert_ok(tarn_nvme_decode_controller(raw, &again));
	assert_memory_equal(&c, &again, sizeof(c));
	assert_ok(tarn_nvme_get_nsid(nvme, &nsid));
	assert_int_equal(nsid, 0);
	assert_ok(tarn_nvme_close(nvme));
}

/* The controller behind a namespace's nodes is the same. */
static void test_by_any_node(void **state)
{
	static const char *const paths[] = { "/dev/nvme0n2", "/dev/ng0n2", "nvme:/dev/ng0n2", "block:/dev/nvme0n2" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		tarn_nvme	    *nvme = open_nvme(paths[i], 0);
		tarn_nvme_controller c	  = { .struct_size = sizeof(c) };
		tarn_nvme_namespace  ns	  = { .struct_size = sizeof(ns) };
		uint32_t	     nsid;

		assert_ok(tarn_nvme_identify_controller(nvme, &c, NULL));
		assert_string_equal(c.serial, "TARN-A");
		assert_ok(tarn_nvme_get_nsid(nvme, &nsid));
		assert_int_equal(nsid, 2);
		assert_ok(tarn_nvme_identify_namespace(nvme, 0, &ns, NULL));
		assert_int_equal(ns.nsid, 2);
		assert_int_equal(ns.block, 4096);
		assert_ok(tarn_nvme_close(nvme));
	}
}

static void test_identify_namespaces(void **state)
{
	tarn_nvme	   *nvme = open_nvme("/dev/nvme0", 0);
	tarn_nvme_namespace ns	 = { .struct_size = sizeof(ns) };
	uint8_t		    raw[TARN_NVME_PAGE];

	(void)state;
	assert_error(tarn_nvme_identify_namespace(nvme, 0, &ns, NULL), INVAL);
	assert_ok(tarn_nvme_identify_namespace(nvme, 1, &ns, raw));
	assert_int_equal(ns.block, 512);
	assert_true(ns.size == 64 * MIB);
	assert_int_equal(ns.csi, 0);
	assert_true(raw[130] >= 9); /* LBADS of format 0 */
	assert_ok(tarn_nvme_identify_namespace(nvme, 3, &ns, NULL));
	assert_int_equal(ns.csi, 2);
	assert_true(ns.zone_bytes == ZONE);
	assert_int_equal(ns.max_open_zones, 4);
	assert_int_equal(ns.max_active_zones, 6);
	assert_ok(tarn_nvme_identify_namespace(nvme, 4, &ns, NULL));
	assert_int_equal(ns.metadata, 8);
	assert_error(tarn_nvme_identify_namespace(nvme, 77, &ns, NULL), NONEXIST);
	assert_error(tarn_nvme_identify_namespace(nvme, TARN_NVME_ALL - 1, &ns, NULL), NONEXIST);
	assert_ok(tarn_nvme_close(nvme));
}

static void test_lists(void **state)
{
	tarn_nvme *nvme	    = open_nvme("/dev/nvme0", 0);
	uint32_t   nsids[8] = { 0 }, count = 0;
	uint64_t   sets = 0;

	(void)state;
	assert_ok(tarn_nvme_namespaces(nvme, NULL, &count));
	assert_int_equal(count, 4);
	count = 8;
	assert_ok(tarn_nvme_namespaces(nvme, nsids, &count));
	assert_int_equal(count, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(nsids[i], i + 1);
	count = 2;
	assert_error(tarn_nvme_namespaces(nvme, nsids, &count), TRUNC);
	assert_int_equal(count, 4);
	assert_ok(tarn_nvme_command_sets(nvme, &sets));
	assert_true(sets & 1 && sets & 4);
	assert_ok(tarn_nvme_close(nvme));
}

static void test_log_pages(void **state)
{
	tarn_nvme	  *nvme	    = open_nvme("/dev/nvme0", 0);
	tarn_nvme_health   health   = { .struct_size = sizeof(health) };
	tarn_nvme_firmware firmware = { .struct_size = sizeof(firmware) };
	tarn_nvme_error	   errors[4];
	uint8_t		   raw[512], part[64];
	uint32_t	   count = 4;

	(void)state;
	assert_ok(tarn_nvme_get_health(nvme, &health, raw));
	assert_true(health.temperature > 273 && health.temperature < 400);
	assert_true(health.read_commands > 0);
	assert_ok(tarn_nvme_log_page(nvme, 2, 0, TARN_NVME_ALL, 64, part, sizeof(part)));
	assert_memory_equal(part + 48, raw + 112, 16); /* power cycles do not change meanwhile */
	assert_ok(tarn_nvme_get_firmware(nvme, &firmware, NULL));
	assert_int_equal(firmware.active, 1);
	assert_string_equal(firmware.revision[0], "1.0");
	assert_ok(tarn_nvme_get_errors(nvme, errors, &count));
	assert_true(count <= 4);
	assert_error(tarn_nvme_log_page(nvme, 0x7f, 0, TARN_NVME_ALL, 0, raw, 512), INVAL);
	assert_says("Invalid Field in Command");
	assert_error(tarn_nvme_log_page(nvme, 2, 0, TARN_NVME_ALL, 2, raw, 512), INVAL);
	assert_error(tarn_nvme_log_page(nvme, 2, 0, TARN_NVME_ALL, 0, raw, 511), INVAL);
	assert_error(tarn_nvme_log_page(nvme, 2, 0, TARN_NVME_ALL, 0, raw, 0), INVAL);
	assert_error(tarn_nvme_log_page(nvme, 2, 128, TARN_NVME_ALL, 0, raw, 512), INVAL);
	assert_ok(tarn_nvme_close(nvme));
}

#define WRITE_CACHE 0x06
#define TIMESTAMP   0x0e

static void test_features(void **state)
{
	tarn_nvme *nvme = open_nvme("/dev/nvme0", TARN_NVME_RDWR), *reader = open_nvme("/dev/nvme0", 0);
	uint32_t   before, now;
	uint64_t   time = 0;

	(void)state;
	assert_ok(tarn_nvme_get_feature(reader, WRITE_CACHE, TARN_NVME_CURRENT, 0, 0, &before, NULL, 0));
	assert_error(tarn_nvme_set_feature(reader, WRITE_CACHE, 0, !before, false, NULL, 0), EP_RO);
	assert_ok(tarn_nvme_set_feature(nvme, WRITE_CACHE, 0, !before, false, NULL, 0));
	assert_ok(tarn_nvme_get_feature(reader, WRITE_CACHE, TARN_NVME_CURRENT, 0, 0, &now, NULL, 0));
	assert_int_equal(now, !before);
	assert_ok(tarn_nvme_set_feature(nvme, WRITE_CACHE, 0, before, false, NULL, 0));
	assert_ok(tarn_nvme_get_feature(nvme, WRITE_CACHE, TARN_NVME_SUPPORTED, 0, 0, &now, NULL, 0));
	assert_true(now & 4); /* changeable */
	assert_ok(tarn_nvme_get_feature(nvme, TIMESTAMP, TARN_NVME_CURRENT, 0, 0, &now, &time, sizeof(time)));
	assert_true(time != 0);
	assert_error(tarn_nvme_set_feature(nvme, WRITE_CACHE, 0, 0, true, NULL, 0), NOTSUPPORTED); /* it cannot be saved */
	assert_says("Not Saveable");
	assert_error(tarn_nvme_get_feature(nvme, 0x6f, TARN_NVME_CURRENT, 0, 0, &now, NULL, 0), INVAL);
	assert_error(tarn_nvme_get_feature(nvme, WRITE_CACHE, TARN_NVME_CURRENT, 0, 0, &now, NULL, 8), INVAL);
	assert_error(tarn_nvme_get_feature(nvme, WRITE_CACHE, (tarn_nvme_select)4, 0, 0, &now, NULL, 0), INVAL);
	assert_ok(tarn_nvme_close(reader));
	assert_ok(tarn_nvme_close(nvme));
}

/* ---- the list ---- */

static const tarn_dev_info *find(const tarn_dev_info *infos, size_t count, const char *uri)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(infos[i].uri, uri) == 0)
			return &infos[i];
	fail_msg("%s is not in the list", uri);
	return NULL;
}

static void test_list(void **state)
{
	tarn_dev_info	     infos[64] = { { .struct_size = sizeof(infos[0]) } };
	size_t		     count     = ARRAY_LEN(infos);
	const tarn_dev_info *block, *generic, *controller;

	(void)state;
	assert_ok(tarn_dev_list(infos, &count));
	block	   = find(infos, count, "block:/dev/nvme0n3");
	generic	   = find(infos, count, "nvme:/dev/ng0n3");
	controller = find(infos, count, "nvme:/dev/nvme1");
	assert_string_equal(block->twin, generic->uri);
	assert_string_equal(generic->twin, block->uri);
	assert_string_equal(block->driver, "nvme");
	assert_string_equal(block->model, "QEMU NVMe Ctrl");
	assert_string_equal(block->serial, "TARN-A");
	assert_int_equal(block->zoned, 1);
	assert_true(block->zone_bytes == ZONE);
	assert_string_equal(generic->kind, "nvme");
	assert_string_equal(generic->serial, "TARN-A");
	assert_true(generic->size == block->size && generic->logical_block == 4096 && generic->zoned);
	assert_string_equal(controller->kind, "nvme-ctrl");
	assert_string_equal(controller->serial, "TARN-B");
	assert_int_equal(find(infos, count, "block:/dev/nullb1")->zoned, 1);
	assert_string_equal(find(infos, count, "block:/dev/nullb1")->twin, "");
	find(infos, count, "nvme:/dev/ng0n4"); /* which has no capacity as a disk */
}

/* ---- passthrough: opening ---- */

static void test_geometry(void **state)
{
	tarn_dev     *dev  = open_dev("nvme:/dev/ng0n2", TARN_DEV_STRICT, NULL);
	tarn_dev_info info = info_of(dev);

	(void)state;
	assert_string_equal(info.backend, "io_uring_cmd");
	assert_string_equal(info.kind, "nvme");
	assert_string_equal(info.twin, "block:/dev/nvme0n2");
	assert_string_equal(info.serial, "TARN-A");
	assert_string_equal(info.note, "");
	assert_true(info.size == 64 * MIB);
	assert_int_equal(info.logical_block, 4096);
	assert_int_equal(info.memory_alignment, 4);
	assert_true(info.max_transfer >= 128 << 10 && info.max_transfer <= 512 << 10);
	assert_int_equal(info.nsid, 2);
	assert_int_equal(info.readonly, 1);
	assert_ok(tarn_dev_close(dev));
	dev = open_dev("/dev/ng1n1", 0, NULL); /* a bare path is what it is */
	assert_int_equal(info_of(dev).max_transfer, 32 << 10);
	assert_ok(tarn_dev_close(dev));
	dev  = open_dev("nvme:/dev/ng0n3", 0, "ioctl");
	info = info_of(dev);
	assert_string_equal(info.backend, "ioctl");
	assert_int_equal(info.zoned, 1);
	assert_int_equal(info.csi, 2);
	assert_int_equal(info.zone_count, 32);
	assert_true(info.zone_bytes == ZONE);
	assert_ok(tarn_dev_close(dev));
}

static void refuse(const char *uri, uint32_t flags, const char *backend, int code)
{
	tarn_dev_options options = { .struct_size = sizeof(options), .flags = flags, .backend = backend };
	tarn_dev	*dev	 = NULL;
	int		 rc	 = tarn_dev_open(uri, &options, &dev);

	if (rc != -code)
		fail_msg("%s: %s instead of %s: %s", uri, tarn_errname(rc), tarn_errname(code), tarn_last_error());
	assert_true(*tarn_last_error());
}

static void test_refusals(void **state)
{
	(void)state;
	refuse("nvme:/dev/nvme0", 0, NULL, TARN_E_INVAL);
	refuse("nvme:/dev/nvme0n1", 0, NULL, TARN_E_INVAL);
	refuse("nvme:/dev/ng0n4", 0, NULL, TARN_E_NOTSUPPORTED);
	assert_says("metadata");
	refuse("nvme:/dev/ng0n1", 0, "threads", TARN_E_INVAL);
	refuse("nvme:/dev/ng0n1", TARN_DEV_BUFFERED, NULL, TARN_E_NOTSUPPORTED);
	refuse("block:/dev/ng0n1", 0, NULL, TARN_E_INVAL);
	refuse("/dev/nvme0", 0, NULL, TARN_E_INVAL);
}

/* Who holds the namespace by one node holds it by the other. */
static void test_exclusive(void **state)
{
	tarn_dev *dev = open_dev("nvme:/dev/ng0n1", TARN_DEV_RDWR | TARN_DEV_EXCLUSIVE, NULL);

	(void)state;
	refuse("nvme:/dev/ng0n1", TARN_DEV_EXCLUSIVE, NULL, TARN_E_BUSY);
	refuse("block:/dev/nvme0n1", TARN_DEV_EXCLUSIVE, NULL, TARN_E_BUSY);
	assert_int_equal(mount("/dev/nvme0n1", "/tmp", "ext4", 0, NULL), -1);
	assert_int_equal(errno, EBUSY);
	assert_ok(tarn_dev_close(dev));
	dev = open_dev("block:/dev/nvme0n1", TARN_DEV_RDWR | TARN_DEV_EXCLUSIVE, NULL);
	refuse("nvme:/dev/ng0n1", TARN_DEV_EXCLUSIVE, NULL, TARN_E_BUSY);
	assert_ok(tarn_dev_close(dev));
}

/* ---- passthrough: I/O ---- */

/* What one node writes the other reads. */
static void test_both_nodes(void **state)
{
	uint8_t *a = tarn_dev_alloc(MIB, 0), *b = tarn_dev_alloc(MIB, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		tarn_dev *block = open_dev("block:/dev/nvme0n1", TARN_DEV_RDWR, NULL);
		tarn_dev *nvme	= open_dev("nvme:/dev/ng0n1", TARN_DEV_RDWR, backends[i]);

		test_fill(a, MIB, test_seed() + i);
		assert_ok(tarn_dev_write(nvme, 3 * MIB, a, MIB, TARN_DEV_DURABLE));
		assert_ok(tarn_dev_read(block, 3 * MIB, b, MIB));
		assert_memory_equal(a, b, MIB);
		test_fill(a, MIB, test_seed() + 10 + i);
		assert_ok(tarn_dev_write(block, 3 * MIB, a, MIB, 0));
		assert_ok(tarn_dev_flush(block));
		assert_ok(tarn_dev_read(nvme, 3 * MIB, b, MIB));
		assert_memory_equal(a, b, MIB);
		assert_ok(tarn_dev_close(nvme));
		assert_ok(tarn_dev_close(block));
	}
	tarn_dev_free(a, MIB, 0);
	tarn_dev_free(b, MIB, 0);
}

/* The longest command, from memory that begins inside a page. */
static void test_longest_command(void **state)
{
	static const char *const uris[] = { "nvme:/dev/ng0n1", "nvme:/dev/ng0n2", "nvme:/dev/ng1n1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(uris) * ARRAY_LEN(backends); i++) {
		tarn_dev       *dev = open_dev(uris[i / 2], TARN_DEV_RDWR, backends[i % 2]);
		uint32_t	len = info_of(dev).max_transfer;
		uint8_t	       *a = tarn_dev_alloc(len + 4096, 0), *b = tarn_dev_alloc(len + 4096, 0);
		tarn_dev_queue *queue;
		tarn_dev_io	io   = { .opcode = TARN_DEV_WRITE, .offset = MIB, .len = len, .buf = a + 4092 };
		tarn_dev_io    *list = &io, *got;

		test_fill(a + 4092, len, test_seed() + i);
		assert_ok(tarn_dev_queue_open(dev, NULL, &queue));
		assert_int_equal(tarn_dev_queue_submit(queue, &list, 1), 1);
		assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, -1, &got), 1);
		if (io.rc)
			fail_msg("%s", io.message);
		assert_ok(tarn_dev_read(dev, MIB, b + 4, len));
		assert_memory_equal(a + 4092, b + 4, len);
		assert_ok(tarn_dev_queue_close(queue, -1));
		tarn_dev_free(a, len + 4096, 0);
		tarn_dev_free(b, len + 4096, 0);
		assert_ok(tarn_dev_close(dev));
	}
}

static void test_compare(void **state)
{
	uint8_t *a = tarn_dev_alloc(65536, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		tarn_dev       *dev = open_dev("nvme:/dev/ng0n1", TARN_DEV_RDWR, backends[i]);
		tarn_dev_queue *queue;
		tarn_dev_io	io   = { .opcode = TARN_DEV_COMPARE, .len = 65536, .buf = a };
		tarn_dev_io    *list = &io, *got;

		test_fill(a, 65536, test_seed() + i);
		assert_ok(tarn_dev_write(dev, 0, a, 65536, 0));
		assert_ok(tarn_dev_compare(dev, 0, a, 65536));
		a[12345] ^= 1;
		assert_error(tarn_dev_compare(dev, 0, a, 65536), MISMATCH);
		assert_says("12345");
		assert_ok(tarn_dev_queue_open(dev, NULL, &queue));
		assert_int_equal(tarn_dev_queue_submit(queue, &list, 1), 1);
		assert_int_equal(tarn_dev_queue_reap(queue, 1, 1, -1, &got), 1);
		assert_int_equal(io.rc, -TARN_E_MISMATCH);
		assert_non_null(strstr(io.message, "12345"));
		assert_ok(tarn_dev_queue_close(queue, -1));
		assert_ok(tarn_dev_close(dev));
	}
	tarn_dev_free(a, 65536, 0);
}

/* More blocks than one command takes: 40 MiB of 512. */
static void test_zeroes_and_discard(void **state)
{
	uint8_t *a = tarn_dev_alloc(MIB, 0), *zeros = tarn_dev_alloc(MIB, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		tarn_dev *dev = open_dev("nvme:/dev/ng0n1", TARN_DEV_RDWR, backends[i]);

		memset(a, 0xee, MIB);
		for (uint64_t at = 0; at < 64 * MIB; at += MIB)
			assert_ok(tarn_dev_write(dev, at, a, MIB, 0));
		assert_ok(tarn_dev_write_zeroes(dev, 4 * MIB, 40 * MIB));
		assert_ok(tarn_dev_compare(dev, 4 * MIB - 4096, a, 4096));
		for (uint64_t at = 4 * MIB; at < 44 * MIB; at += MIB)
			assert_ok(tarn_dev_compare(dev, at, zeros, MIB));
		assert_ok(tarn_dev_compare(dev, 44 * MIB, a, MIB));
		assert_ok(tarn_dev_discard(dev, 50 * MIB, 14 * MIB));
		assert_ok(tarn_dev_compare(dev, 50 * MIB, zeros, MIB)); /* QEMU's read as zeros */
		assert_ok(tarn_dev_compare(dev, 49 * MIB, a, MIB));
		assert_ok(tarn_dev_close(dev));
	}
	tarn_dev_free(a, MIB, 0);
	tarn_dev_free(zeros, MIB, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_uring_is_forbidden),
		cmocka_unit_test(test_identify_controller),
		cmocka_unit_test(test_by_any_node),
		cmocka_unit_test(test_identify_namespaces),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_log_pages),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_exclusive),
		cmocka_unit_test(test_both_nodes),
		cmocka_unit_test(test_longest_command),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_zeroes_and_discard),
	};

	return is_elsewhere() ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
}
