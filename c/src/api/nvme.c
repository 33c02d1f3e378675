/* SPDX-License-Identifier: Apache-2.0 */
/* api/nvme.c: tarn/nvme.h. Past the engine, straight to the device layer.
 *
 * Always true: each call checks its arguments, asks the controller for a page, and gives the struct that the page becomes. A
 * struct is filled whole, or not at all. */
#include "../device/nvme.h"
#include "struct.h"

#include <stdlib.h>

struct tarn_nvme {
	struct nvme_admin admin;
};

static int check(const tarn_nvme *nvme)
{
	return nvme ? 0 : fail(NO_HDL, "the NVMe handle is NULL");
}

/* The handle, and the struct that the caller has room for. */
static int check_for(const tarn_nvme *nvme, const char *what, const void *to)
{
	int rc = check(nvme);

	return rc ? rc : struct_check_info(what, to);
}

static int check_place(const tarn_nvme *nvme, const void *to, const char *name)
{
	int rc = check(nvme);

	if (!rc && !to)
		rc = fail(INVAL, "%s is NULL: there is no place for the answer", name);
	return rc;
}

static void give_raw(void *raw, const uint8_t *page, size_t len)
{
	if (raw)
		memcpy(raw, page, len);
}

/* ---- handles ---- */

static const char *skip_scheme(const char *path)
{
	if (strncmp(path, "nvme:", 5) == 0)
		return path + 5;
	return strncmp(path, "block:", 6) == 0 ? path + 6 : path;
}

int tarn_nvme_open(const char *path, uint32_t flags, tarn_nvme **nvme)
{
	tarn_nvme *opened;
	int	   rc;

	if (!path || !*path || !nvme)
		return fail(INVAL, "open an NVMe device without a path, or without a place for the handle");
	if (flags & ~TARN_NVME_RDWR)
		return fail(INVAL, "open %s: flags %#x: there is only TARN_NVME_RDWR", path, flags);
	opened = calloc(1, sizeof(*opened));
	if (!opened)
		return fail(NOMEM, "no memory to open %s", path);
	rc = nvme_admin_open(&opened->admin, skip_scheme(path), flags & TARN_NVME_RDWR, false);
	if (rc)
		free(opened);
	else
		*nvme = opened;
	return rc;
}

int tarn_nvme_close(tarn_nvme *nvme)
{
	int rc = check(nvme);

	if (rc)
		return rc;
	nvme_admin_close(&nvme->admin);
	free(nvme);
	return 0;
}

int tarn_nvme_get_nsid(tarn_nvme *nvme, uint32_t *nsid)
{
	int rc = check_place(nvme, nsid, "nsid");

	if (!rc)
		*nsid = nvme->admin.nsid;
	return rc;
}

/* ---- Identify ---- */

int tarn_nvme_identify_controller(tarn_nvme *nvme, tarn_nvme_controller *controller, void *raw)
{
	uint8_t page[TARN_NVME_PAGE];
	int	rc = check_for(nvme, "tarn_nvme_controller", controller);

	if (!rc)
		rc = nvme_identify(&nvme->admin, NVME_CNS_CONTROLLER, 0, 0, page);
	if (rc)
		return rc;
	give_raw(raw, page, sizeof(page));
	return tarn_nvme_decode_controller(page, controller);
}

int tarn_nvme_identify_namespace(tarn_nvme *nvme, uint32_t nsid, tarn_nvme_namespace *ns, void *raw)
{
	tarn_nvme_namespace ours = { 0 };
	uint8_t		    page[TARN_NVME_PAGE];
	int		    rc = check_for(nvme, "tarn_nvme_namespace", ns);

	if (!rc)
		rc = nvme_identify_namespace(&nvme->admin, nsid, &ours, page);
	if (rc)
		return rc;
	give_raw(raw, page, sizeof(page));
	struct_give(ns, &ours, sizeof(ours));
	return 0;
}

int tarn_nvme_identify(tarn_nvme *nvme, uint8_t cns, uint8_t csi, uint32_t nsid, void *page)
{
	int rc = check_place(nvme, page, "page");

	return rc ? rc : nvme_identify(&nvme->admin, cns, csi, nsid, page);
}

int tarn_nvme_namespaces(tarn_nvme *nvme, uint32_t *nsids, uint32_t *count)
{
	int rc = check_place(nvme, count, "count");

	return rc ? rc : nvme_namespaces(&nvme->admin, nsids, count);
}

int tarn_nvme_command_sets(tarn_nvme *nvme, uint64_t *sets)
{
	int rc = check_place(nvme, sets, "sets");

	return rc ? rc : nvme_command_sets(&nvme->admin, sets);
}

/* ---- log pages ---- */

int tarn_nvme_get_health(tarn_nvme *nvme, tarn_nvme_health *health, void *raw)
{
	uint8_t page[NVME_HEALTH];
	int	rc = check_for(nvme, "tarn_nvme_health", health);

	if (!rc)
		rc = nvme_log_page(&nvme->admin, NVME_LOG_HEALTH, 0, TARN_NVME_ALL, 0, page, sizeof(page));
	if (rc)
		return rc;
	give_raw(raw, page, sizeof(page));
	return tarn_nvme_decode_health(page, health);
}

int tarn_nvme_get_firmware(tarn_nvme *nvme, tarn_nvme_firmware *firmware, void *raw)
{
	uint8_t page[NVME_FIRMWARE];
	int	rc = check_for(nvme, "tarn_nvme_firmware", firmware);

	if (!rc)
		rc = nvme_log_page(&nvme->admin, NVME_LOG_FIRMWARE, 0, TARN_NVME_ALL, 0, page, sizeof(page));
	if (rc)
		return rc;
	give_raw(raw, page, sizeof(page));
	return tarn_nvme_decode_firmware(page, firmware);
}

/* The entries behind the newest are of number 0. */
static uint32_t decode_errors(const uint8_t *log, uint32_t n, tarn_nvme_error *errors)
{
	uint32_t found = 0;

	while (found < n && get64(log + found * NVME_ERROR)) {
		nvme_decode_error(log + found * NVME_ERROR, &errors[found]);
		found++;
	}
	return found;
}

/* How many entries the controller keeps, at most `room`. */
static int count_errors(const tarn_nvme *nvme, uint32_t room, uint32_t *n)
{
	uint8_t		     page[TARN_NVME_PAGE];
	tarn_nvme_controller controller;
	int		     rc = nvme_identify(&nvme->admin, NVME_CNS_CONTROLLER, 0, 0, page);

	if (rc)
		return rc;
	nvme_decode_controller(page, &controller);
	*n = MIN(room, controller.error_log_entries);
	return 0;
}

int tarn_nvme_get_errors(tarn_nvme *nvme, tarn_nvme_error *errors, uint32_t *count)
{
	uint8_t	 log[256 * NVME_ERROR]; /* a controller has 256 at most */
	uint32_t n;
	int	 rc = check_place(nvme, count, "count");

	if (!rc && (!errors || !*count))
		rc = fail(INVAL, "tarn_nvme_get_errors without room for an entry");
	if (!rc)
		rc = count_errors(nvme, *count, &n);
	if (!rc)
		rc = nvme_log_page(&nvme->admin, NVME_LOG_ERRORS, 0, TARN_NVME_ALL, 0, log, n * NVME_ERROR);
	if (!rc)
		*count = decode_errors(log, n, errors);
	return rc;
}

int tarn_nvme_log_page(tarn_nvme *nvme, uint8_t lid, uint8_t lsp, uint32_t nsid, uint64_t offset, void *buf, uint32_t len)
{
	int rc = check_place(nvme, buf, "buf");

	if (rc)
		return rc;
	if (offset % 4 || !len || len % 4 || len > TARN_NVME_LOG_MAX || offset > UINT64_MAX - len)
		return fail(INVAL, "%u bytes at %llu of a log page: use multiples of 4, and at most %u bytes", len,
			    (unsigned long long)offset, TARN_NVME_LOG_MAX);
	if (lsp > 0x7f)
		return fail(INVAL, "log specific field %u: it has 7 bits", lsp);
	return nvme_log_page(&nvme->admin, lid, lsp, nsid, offset, buf, len);
}

/* ---- features ---- */

static int check_data(const void *data, uint32_t len)
{
	if (!data && len)
		return fail(INVAL, "%u bytes of a feature, and no buffer", len);
	if (len % 4 || len > TARN_NVME_DATA_MAX)
		return fail(INVAL, "%u bytes of a feature: use a multiple of 4, at most %u", len, TARN_NVME_DATA_MAX);
	return 0;
}

int tarn_nvme_get_feature(tarn_nvme *nvme, uint8_t fid, tarn_nvme_select select, uint32_t nsid, uint32_t cdw11, uint32_t *value,
			  void *data, uint32_t len)
{
	int rc = check_place(nvme, value, "value");

	if (!rc)
		rc = check_data(data, len);
	if (!rc && (unsigned)select > TARN_NVME_SUPPORTED)
		rc = fail(INVAL, "select %d: there is current, default, saved and supported", (int)select);
	return rc ? rc : nvme_get_feature(&nvme->admin, fid | (uint32_t)select << 8, nsid, cdw11, value, data, len);
}

int tarn_nvme_set_feature(tarn_nvme *nvme, uint8_t fid, uint32_t nsid, uint32_t value, bool save, const void *data, uint32_t len)
{
	int rc = check(nvme);

	if (!rc)
		rc = check_data(data, len);
	return rc ? rc : nvme_set_feature(&nvme->admin, fid | (uint32_t)save << 31, nsid, value, data, len);
}

/* ---- without a device ---- */

const char *tarn_nvme_status_name(uint32_t status)
{
	return nvme_status_name(status);
}

static int check_page(const void *page, const char *what, const void *to)
{
	return page ? struct_check_info(what, to) : fail(INVAL, "%s: there is no page (NULL)", what);
}

int tarn_nvme_decode_controller(const void *page, tarn_nvme_controller *controller)
{
	tarn_nvme_controller ours = { 0 };
	int		     rc	  = check_page(page, "tarn_nvme_controller", controller);

	if (rc)
		return rc;
	nvme_decode_controller(page, &ours);
	struct_give(controller, &ours, sizeof(ours));
	return 0;
}

int tarn_nvme_decode_namespace(const void *page, const void *zoned, tarn_nvme_namespace *ns)
{
	tarn_nvme_namespace ours = { .csi = zoned ? NVME_CSI_ZONED : NVME_CSI_NVM };
	int		    rc	 = check_page(page, "tarn_nvme_namespace", ns);

	if (rc)
		return rc;
	nvme_decode_namespace(page, &ours);
	if (zoned)
		nvme_decode_zoned(zoned, &ours);
	struct_give(ns, &ours, sizeof(ours));
	return 0;
}

int tarn_nvme_decode_health(const void *page, tarn_nvme_health *health)
{
	tarn_nvme_health ours = { 0 };
	int		 rc   = check_page(page, "tarn_nvme_health", health);

	if (rc)
		return rc;
	nvme_decode_health(page, &ours);
	struct_give(health, &ours, sizeof(ours));
	return 0;
}

int tarn_nvme_decode_firmware(const void *page, tarn_nvme_firmware *firmware)
{
	tarn_nvme_firmware ours = { 0 };
	int		   rc	= check_page(page, "tarn_nvme_firmware", firmware);

	if (rc)
		return rc;
	nvme_decode_firmware(page, &ours);
	struct_give(firmware, &ours, sizeof(ours));
	return 0;
}
