/* SPDX-License-Identifier: Apache-2.0 */
/* What needs no NVMe hardware: pages at the offsets of the specification, any bytes at all, and calls that break a rule. */
#include "harness.h"

#include <tarn/nvme.h>
#include <tarn/tarn.h>
#include <unistd.h>

#define HEALTH_BYTES 512

/* A page in memory of its own size, so that a sanitizer sees a step outside. */
static uint8_t *make_page(size_t len)
{
	uint8_t *page = calloc(1, len);

	assert_non_null(page);
	return page;
}

static void put_text(uint8_t *to, const char *text, size_t len)
{
	memset(to, ' ', len);
	memcpy(to, text, strlen(text));
}

static void test_controller(void **state)
{
	uint8_t		    *page = make_page(TARN_NVME_PAGE);
	tarn_nvme_controller c	  = { .struct_size = sizeof(c) };

	(void)state;
	put16(page, 0x144d);	 /* VID */
	put16(page + 2, 0x1234); /* SSVID */
	put_text(page + 4, "S123", 20);
	put_text(page + 24, "A model of forty characters, exactly 40.", 40);
	put_text(page + 64, "12345678", 8);
	memcpy(page + 73, "\x38\x25\x00", 3); /* IEEE, little-endian */
	page[77] = 7;			      /* MDTS: 2^7 pages */
	put16(page + 78, 5);		      /* CNTLID */
	put32(page + 80, 0x10400);	      /* VER */
	page[111] = 1;			      /* CNTRLTYPE */
	put16(page + 256, 0x17);	      /* OACS */
	page[260] = 2 << 1 | 1;		      /* FRMW: 2 slots, the first read-only */
	page[262] = 63;			      /* ELPE, 0's based */
	page[263] = 4;			      /* NPSS, 0's based */
	put16(page + 266, 343);		      /* WCTEMP */
	put16(page + 268, 358);		      /* CCTEMP */
	put64(page + 280, 1000204886016u);    /* TNVMCAP */
	put64(page + 304, 1);		      /* UNVMCAP: over 64 bits */
	put32(page + 516, 32);		      /* NN */
	put16(page + 520, 0x5f);	      /* ONCS */
	page[525] = 1;			      /* VWC */
	put16(page + 526, 1023);	      /* AWUN, 0's based */
	put16(page + 528, 7);		      /* AWUPF */
	strcpy((char *)page + 768, "nqn.2014.08.org.nvmexpress:uuid:1");
	assert_ok(tarn_nvme_decode_controller(page, &c));
	assert_int_equal(c.vendor, 0x144d);
	assert_int_equal(c.subsystem_vendor, 0x1234);
	assert_string_equal(c.serial, "S123");
	assert_string_equal(c.model, "A model of forty characters, exactly 40.");
	assert_string_equal(c.firmware, "12345678");
	assert_int_equal(c.ieee_oui, 0x2538);
	assert_int_equal(c.max_transfer, 512 << 10);
	assert_int_equal(c.controller_id, 5);
	assert_int_equal(c.version, 0x10400);
	assert_int_equal(c.type, 1);
	assert_int_equal(c.optional_admin,
			 TARN_NVME_OACS_SECURITY | TARN_NVME_OACS_FORMAT | TARN_NVME_OACS_FIRMWARE | TARN_NVME_OACS_SELF_TEST);
	assert_int_equal(c.firmware_slots, 2);
	assert_int_equal(c.error_log_entries, 64);
	assert_int_equal(c.power_states, 5);
	assert_int_equal(c.warning_temperature, 343);
	assert_int_equal(c.critical_temperature, 358);
	assert_true(c.capacity == 1000204886016u);
	assert_true(c.unallocated_capacity == UINT64_MAX);
	assert_int_equal(c.namespaces, 32);
	assert_true(c.optional_io & TARN_NVME_ONCS_WRITE_ZEROES);
	assert_int_equal(c.volatile_cache, 1);
	assert_int_equal(c.atomic_blocks, 1024);
	assert_int_equal(c.atomic_power_blocks, 8);
	assert_string_equal(c.subnqn, "nqn.2014.08.org.nvmexpress:uuid:1");
	free(page);
}

/* Two formats: 512 bytes, and 4096 with 8 of metadata, which is the one in use. */
static void fill_namespace(uint8_t *page)
{
	put64(page, 1000);     /* NSZE */
	put64(page + 8, 900);  /* NCAP */
	put64(page + 16, 100); /* NUSE */
	page[24] = 1 | 2 | 16; /* NSFEAT: thin, NAWUN and NAWUPF, NOWS */
	page[25] = 1;	       /* NLBAF, 0's based */
	page[26] = 1 | 16;     /* FLBAS: format 1, extended metadata */
	page[29] = 1 | 8;      /* DPS: type 1, at the begin */
	page[30] = 1;	       /* NMIC */
	put16(page + 34, 15);  /* NAWUN */
	put16(page + 36, 3);   /* NAWUPF */
	put64(page + 48, 77);  /* NVMCAP */
	put16(page + 72, 31);  /* NOWS */
	page[99]  = 1;	       /* NSATTR */
	page[104] = 0xaa;      /* NGUID */
	page[120] = 0xbb;      /* EUI64 */
	put32(page + 128, 9u << 16);
	put32(page + 132, 12u << 16 | 8 | 2u << 24);
}

static void test_namespace(void **state)
{
	uint8_t		   *page = make_page(TARN_NVME_PAGE);
	tarn_nvme_namespace ns	 = { .struct_size = sizeof(ns) };

	(void)state;
	fill_namespace(page);
	assert_ok(tarn_nvme_decode_namespace(page, NULL, &ns));
	assert_int_equal(ns.csi, 0);
	assert_int_equal(ns.format_count, 2);
	assert_int_equal(ns.format, 1);
	assert_int_equal(ns.block, 4096);
	assert_int_equal(ns.metadata, 8);
	assert_int_equal(ns.metadata_extended, 1);
	assert_true(ns.size == 1000 * 4096);
	assert_true(ns.capacity == 900 * 4096);
	assert_true(ns.used == 100 * 4096);
	assert_true(ns.nvm_capacity == 77);
	assert_int_equal(ns.protection, 1);
	assert_int_equal(ns.shared, 1);
	assert_int_equal(ns.thin, 1);
	assert_int_equal(ns.atomic_blocks, 16);
	assert_int_equal(ns.atomic_power_blocks, 4);
	assert_int_equal(ns.optimal_write, 32 * 4096);
	assert_int_equal(ns.readonly, 1);
	assert_int_equal(ns.nguid[0], 0xaa);
	assert_int_equal(ns.eui64[0], 0xbb);
	assert_int_equal(ns.formats[0].block, 512);
	assert_int_equal(ns.formats[1].performance, 2);
	assert_true(ns.zone_bytes == 0);
	free(page);
}

static void test_fields_without_their_bit(void **state)
{
	uint8_t		   *page = make_page(TARN_NVME_PAGE);
	tarn_nvme_namespace ns	 = { .struct_size = sizeof(ns) };

	(void)state;
	fill_namespace(page);
	page[24] = 0;
	assert_ok(tarn_nvme_decode_namespace(page, NULL, &ns));
	assert_int_equal(ns.atomic_blocks, 0);
	assert_int_equal(ns.atomic_power_blocks, 0);
	assert_int_equal(ns.optimal_write, 0);
	assert_int_equal(ns.thin, 0);
	free(page);
}

/* Over 16 formats the index has two more bits, elsewhere. */
static void test_many_formats(void **state)
{
	uint8_t		   *page = make_page(TARN_NVME_PAGE);
	tarn_nvme_namespace ns	 = { .struct_size = sizeof(ns) };

	(void)state;
	page[25] = 63;
	page[26] = 2 | 3 << 5;
	put32(page + 128 + 4 * 50, 13u << 16);
	put64(page, 4);
	assert_ok(tarn_nvme_decode_namespace(page, NULL, &ns));
	assert_int_equal(ns.format_count, 64);
	assert_int_equal(ns.format, 50);
	assert_int_equal(ns.block, 8192);
	page[25] = 1; /* the index names none */
	assert_ok(tarn_nvme_decode_namespace(page, NULL, &ns));
	assert_int_equal(ns.block, 0);
	assert_true(ns.size == 0);
	free(page);
}

static void test_zoned(void **state)
{
	uint8_t		   *page = make_page(TARN_NVME_PAGE), *zoned = make_page(TARN_NVME_PAGE);
	tarn_nvme_namespace ns = { .struct_size = sizeof(ns) };

	(void)state;
	fill_namespace(page);
	put32(zoned + 4, 13);		  /* MAR, 0's based */
	put32(zoned + 8, UINT32_MAX);	  /* MOR: no limit */
	put64(zoned + 2816 + 16, 0x4000); /* ZSZE of format 1, in blocks */
	assert_ok(tarn_nvme_decode_namespace(page, zoned, &ns));
	assert_int_equal(ns.csi, 2);
	assert_int_equal(ns.max_active_zones, 14);
	assert_int_equal(ns.max_open_zones, 0);
	assert_true(ns.zone_bytes == 64 << 20);
	assert_true(ns.formats[0].zone_bytes == 0);
	free(zoned);
	free(page);
}

static void test_health(void **state)
{
	uint8_t		*page	= make_page(HEALTH_BYTES);
	tarn_nvme_health health = { .struct_size = sizeof(health) };

	(void)state;
	page[0] = TARN_NVME_WARN_SPARE | TARN_NVME_WARN_READ_ONLY;
	put16(page + 1, 310);
	page[3] = 99, page[4] = 10, page[5] = 255;
	for (unsigned i = 0; i < 10; i++)
		put64(page + 32 + 16 * i, 100 + i);
	put64(page + 40, 1); /* the first counter is over 64 bits */
	put32(page + 192, 7);
	put32(page + 196, 8);
	put16(page + 214, 333);
	assert_ok(tarn_nvme_decode_health(page, &health));
	assert_int_equal(health.critical_warning, 9);
	assert_int_equal(health.temperature, 310);
	assert_int_equal(health.available_spare, 99);
	assert_int_equal(health.spare_threshold, 10);
	assert_int_equal(health.percentage_used, 255);
	assert_true(health.data_units_read == UINT64_MAX);
	assert_true(health.data_units_written == 101);
	assert_true(health.read_commands == 102);
	assert_true(health.write_commands == 103);
	assert_true(health.busy_minutes == 104);
	assert_true(health.power_cycles == 105);
	assert_true(health.power_on_hours == 106);
	assert_true(health.unsafe_shutdowns == 107);
	assert_true(health.media_errors == 108);
	assert_true(health.error_log_entries == 109);
	assert_true(health.warning_temperature_minutes == 7);
	assert_true(health.critical_temperature_minutes == 8);
	assert_int_equal(health.sensors[7], 333);
	free(page);
}

static void test_firmware(void **state)
{
	uint8_t		  *page	    = make_page(HEALTH_BYTES);
	tarn_nvme_firmware firmware = { .struct_size = sizeof(firmware) };

	(void)state;
	page[0] = 2 | 3 << 4;
	put_text(page + 8, "1.0", 8);
	put_text(page + 56, "ABCDEFGH", 8);
	assert_ok(tarn_nvme_decode_firmware(page, &firmware));
	assert_int_equal(firmware.active, 2);
	assert_int_equal(firmware.next, 3);
	assert_string_equal(firmware.revision[0], "1.0");
	assert_string_equal(firmware.revision[1], "");
	assert_string_equal(firmware.revision[6], "ABCDEFGH");
	free(page);
}

/* Text that a terminal would obey stays out. */
static void test_text_is_printable(void **state)
{
	uint8_t		    *page = make_page(TARN_NVME_PAGE);
	tarn_nvme_controller c	  = { .struct_size = sizeof(c) };

	(void)state;
	memset(page, 0x1b, TARN_NVME_PAGE);
	page[4] = 'a', page[5] = 0xff, page[6] = ' ', page[7] = 0;
	assert_ok(tarn_nvme_decode_controller(page, &c));
	assert_string_equal(c.serial, "a?");
	assert_int_equal(strlen(c.model), 40);
	assert_int_equal(strlen(c.subnqn), 256);
	assert_null(strchr(c.subnqn, 0x1b));
	free(page);
}

static bool is_text(const char *text, size_t room)
{
	return strnlen(text, room) < room;
}

/* A caller of another version: what lies behind its struct stays, and what lies behind ours is 0. */
static void decode_of_size(const uint8_t *page, size_t bytes)
{
	union {
		tarn_nvme_namespace ns;
		uint8_t		    raw[sizeof(tarn_nvme_namespace) + 64];
	} to;

	memset(&to, 0x5a, sizeof(to));
	to.ns.struct_size = bytes;
	assert_ok(tarn_nvme_decode_namespace(page, page, &to.ns));
	assert_int_equal(to.ns.struct_size, bytes);
	for (size_t i = bytes; i < sizeof(to.raw); i++)
		assert_int_equal(to.raw[i], 0x5a);
	for (size_t i = sizeof(to.ns); i < bytes; i++)
		assert_int_equal(to.raw[i], 0);
}

static void test_any_bytes(void **state)
{
	uint8_t		    *page = make_page(TARN_NVME_PAGE), *small = make_page(HEALTH_BYTES);
	tarn_nvme_controller c = { .struct_size = sizeof(c) };
	tarn_nvme_firmware   f = { .struct_size = sizeof(f) };
	tarn_nvme_health     h = { .struct_size = sizeof(h) };
	struct rng	     rng;

	(void)state;
	rng_seed(&rng, test_seed());
	for (uint64_t n = test_number("N", 5000); n; n--) {
		uint64_t what = rng_next(&rng);

		test_fill(page, TARN_NVME_PAGE, what);
		memcpy(small, page, HEALTH_BYTES);
		page[rng_below(&rng, TARN_NVME_PAGE)] = rng_below(&rng, 2) ? 0 : 0xff;
		assert_ok(tarn_nvme_decode_controller(page, &c));
		assert_true(is_text(c.serial, sizeof(c.serial)) && is_text(c.model, sizeof(c.model)));
		assert_true(is_text(c.firmware, sizeof(c.firmware)) && is_text(c.subnqn, sizeof(c.subnqn)));
		assert_ok(tarn_nvme_decode_health(small, &h));
		assert_ok(tarn_nvme_decode_firmware(small, &f));
		decode_of_size(page, 16 + rng_below(&rng, sizeof(tarn_nvme_namespace) + 48));
	}
	free(small);
	free(page);
}

static void test_status_names(void **state)
{
	(void)state;
	assert_string_equal(tarn_nvme_status_name(0), "Successful Completion");
	assert_string_equal(tarn_nvme_status_name(0x2), "Invalid Field in Command");
	assert_string_equal(tarn_nvme_status_name(0x4002), "Invalid Field in Command"); /* with Do Not Retry */
	assert_string_equal(tarn_nvme_status_name(0x1b9), "Zone Is Full");
	assert_string_equal(tarn_nvme_status_name(0x281), "Unrecovered Read Error");
	assert_string_equal(tarn_nvme_status_name(0x7c0), "a vendor specific status");
	for (uint32_t status = 0; status < 0x10000; status++)
		assert_true(*tarn_nvme_status_name(status));
}

static void test_bad_arguments(void **state)
{
	uint8_t		    *page = make_page(TARN_NVME_PAGE);
	tarn_nvme_controller c	  = { .struct_size = sizeof(c) };
	tarn_nvme	    *nvme = NULL;
	uint32_t	     n;

	(void)state;
	assert_error(tarn_nvme_decode_controller(NULL, &c), INVAL);
	assert_error(tarn_nvme_decode_controller(page, NULL), INVAL);
	c.struct_size = 0;
	assert_error(tarn_nvme_decode_controller(page, &c), INVAL);
	c.struct_size = sizeof(c);
	assert_error(tarn_nvme_open(NULL, 0, &nvme), INVAL);
	assert_error(tarn_nvme_open("", 0, &nvme), INVAL);
	assert_error(tarn_nvme_open("/dev/nvme0", 0, NULL), INVAL);
	assert_error(tarn_nvme_open("/dev/nvme0", 2, &nvme), INVAL);
	assert_error(tarn_nvme_close(NULL), NO_HDL);
	assert_error(tarn_nvme_get_nsid(NULL, &n), NO_HDL);
	assert_error(tarn_nvme_identify_controller(NULL, &c, NULL), NO_HDL);
	assert_error(tarn_nvme_identify(NULL, 1, 0, 0, page), NO_HDL);
	assert_error(tarn_nvme_namespaces(NULL, NULL, &n), NO_HDL);
	assert_error(tarn_nvme_log_page(NULL, 2, 0, 0, 0, page, 512), NO_HDL);
	assert_error(tarn_nvme_get_feature(NULL, 6, TARN_NVME_CURRENT, 0, 0, &n, NULL, 0), NO_HDL);
	assert_error(tarn_nvme_set_feature(NULL, 6, 0, 0, false, NULL, 0), NO_HDL);
	assert_null(nvme);
	free(page);
}

static void test_what_is_no_nvme(void **state)
{
	tarn_nvme *nvme;
	tarn_dev  *dev;

	(void)state;
	assert_error(tarn_nvme_open("/dev/nvme999", 0, &nvme), NONEXIST);
	assert_error(tarn_nvme_open("/dev/null", 0, &nvme), INVAL);
	assert_says("/dev/null");
	assert_error(tarn_nvme_open("/tmp", 0, &nvme), INVAL);
	assert_error(tarn_nvme_open("/proc/self/exe", 0, &nvme), INVAL);
	assert_error(tarn_dev_open("nvme:/dev/ng999n1", NULL, &dev), NONEXIST);
	assert_error(tarn_dev_open("nvme:/dev/null", NULL, &dev), INVAL);
	assert_error(tarn_dev_open("nvme:/proc/self/exe", NULL, &dev), INVAL);
	assert_error(tarn_dev_open("nvme:", NULL, &dev), INVAL);
}

/* Every entry of the list is whole, whatever this machine has. */
static void test_list(void **state)
{
	tarn_dev_info *infos;
	size_t	       count = 0;

	(void)state;
	assert_ok(tarn_dev_list(NULL, &count));
	infos = calloc(count + 8, sizeof(*infos));
	assert_non_null(infos);
	infos[0].struct_size = sizeof(infos[0]);
	count += 8;
	assert_ok(tarn_dev_list(infos, &count));
	for (size_t i = 0; i < count; i++) {
		bool block = strcmp(infos[i].kind, "block") == 0;

		assert_true(block || strcmp(infos[i].kind, "nvme") == 0 || strcmp(infos[i].kind, "nvme-ctrl") == 0);
		assert_int_equal(strncmp(infos[i].uri, block ? "block:/dev/" : "nvme:/dev/", 10), 0);
		assert_true(!block || infos[i].size);
		assert_int_equal(infos[i].struct_size, sizeof(infos[i]));
	}
	free(infos);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controller),
		cmocka_unit_test(test_namespace),
		cmocka_unit_test(test_fields_without_their_bit),
		cmocka_unit_test(test_many_formats),
		cmocka_unit_test(test_zoned),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_firmware),
		cmocka_unit_test(test_text_is_printable),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_status_names),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_what_is_no_nvme),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
