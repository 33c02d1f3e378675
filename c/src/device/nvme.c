/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme.c: opening a namespace for passthrough, by its character device.
 *
 * Always true: the geometry comes from the controller (Identify), and the most that one command takes also from Linux, which
 * maps a command's memory in so many pieces. A namespace with metadata, or of a command set without blocks, is refused. One
 * that is held is held as its block device too, so that nobody has it mounted. */
#include "file.h"
#include "list.h"
#include "nvme_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MEMORY_ALIGNMENT 4u	/* of a PRP entry */
#define BLOCKS_MAX	 65536u /* in one command */

/* What is asked in turn. */
struct pages {
	uint8_t		     page[TARN_NVME_PAGE];
	tarn_nvme_controller controller;
	tarn_nvme_namespace  ns;
};

static int check_namespace(const struct nvme_admin *admin, const tarn_nvme_namespace *ns)
{
	if (ns->csi != NVME_CSI_NVM && ns->csi != NVME_CSI_ZONED)
		return fail(NOTSUPPORTED, "%s: a namespace of command set %u has no blocks to read and write", admin->path,
			    ns->csi);
	if (!ns->block || !ns->size)
		return fail(NOTSUPPORTED, "%s: its format %u has no blocks", admin->path, ns->format);
	if (ns->metadata)
		return fail(NOTSUPPORTED, "%s: each block has %u bytes of metadata: format it without, or use its block device",
			    admin->path, ns->metadata);
	if (ns->csi == NVME_CSI_ZONED && (!ns->zone_bytes || ns->size / ns->zone_bytes > UINT32_MAX))
		return fail(NOTSUPPORTED, "%s: zones of %llu bytes", admin->path, (unsigned long long)ns->zone_bytes);
	return 0;
}

static int identify(const struct nvme_admin *admin, struct pages *pages)
{
	int rc = nvme_identify(admin, NVME_CNS_CONTROLLER, 0, 0, pages->page);

	if (rc)
		return rc;
	nvme_decode_controller(pages->page, &pages->controller);
	rc = nvme_identify_namespace(admin, 0, &pages->ns, pages->page);
	return rc ? rc : check_namespace(admin, &pages->ns);
}

/* The limits of a command set. A controller without such a page has none of them: then it is zeros. */
static void identify_limits(const struct nvme_admin *admin, uint8_t csi, uint8_t page[TARN_NVME_PAGE])
{
	if (nvme_identify(admin, NVME_CNS_SET_CONTROLLER, csi, 0, page) < 0)
		memset(page, 0, TARN_NVME_PAGE);
}

/* A power of two of units, in blocks; 0: no limit. */
static uint64_t blocks_of_unit(uint8_t exponent, unsigned shift)
{
	return exponent && exponent < 32 ? ((uint64_t)NVME_UNIT << exponent) >> shift : UINT64_MAX;
}

/* Dataset Management and Write Zeroes [NVM Command Set 1.0, 4.1.5.4: DMRSL, WZSL]. */
static void fill_limits(struct nvme_device *nvme, uint8_t page[TARN_NVME_PAGE])
{
	uint32_t range;

	identify_limits(&nvme->admin, NVME_CSI_NVM, page);
	range		     = get32(page + 4);
	nvme->discard_blocks = range ? range : UINT32_MAX;
	nvme->zero_blocks    = (uint32_t)MAX(MIN(blocks_of_unit(page[1], nvme->shift), BLOCKS_MAX), 1u);
}

/* Without a block device the limits are those that every driver of Linux keeps. A piece more than a transfer has pages, since
 * its memory may begin inside one. */
static uint64_t kernel_limit(const char *twin)
{
	char	 dir[96];
	uint64_t kib, segments;

	snprintf(dir, sizeof(dir), "/sys/class/block/%.60s", *twin ? twin : "-");
	kib	 = sysfs_number(dir, "queue/max_hw_sectors_kb", 128);
	segments = sysfs_number(dir, "queue/max_segments", 33);
	return MIN(kib * 1024, (MAX(segments, 2u) - 1) * NVME_UNIT);
}

static void fill_max_transfer(struct nvme_device *nvme, const struct pages *pages, const char *twin)
{
	tarn_dev_info *info = &nvme->base.info;
	uint64_t       most = pages->controller.max_transfer ? pages->controller.max_transfer : UINT64_MAX;
	uint64_t       unit = MAX(info->logical_block, NVME_UNIT);

	most		   = MIN(most, kernel_limit(twin));
	most		   = MIN(most, (uint64_t)BLOCKS_MAX << nvme->shift);
	info->max_transfer = (uint32_t)(most < unit ? info->logical_block : most - most % unit);
}

/* An append may be shorter than a write [ZASL]; one limit is kept for both. */
static void fill_zones(struct nvme_device *nvme, struct pages *pages)
{
	tarn_dev_info *info = &nvme->base.info;
	uint64_t       most;

	if (pages->ns.csi != NVME_CSI_ZONED)
		return;
	identify_limits(&nvme->admin, NVME_CSI_ZONED, pages->page);
	most		       = blocks_of_unit(pages->page[0], 0);
	info->zoned	       = 1;
	info->zone_bytes       = pages->ns.zone_bytes;
	info->zone_count       = (uint32_t)(pages->ns.size / pages->ns.zone_bytes);
	info->max_open_zones   = pages->ns.max_open_zones;
	info->max_active_zones = pages->ns.max_active_zones;
	info->max_transfer     = (uint32_t)MIN(info->max_transfer, most);
}

static uint32_t atomic_bytes(const struct pages *pages)
{
	uint32_t blocks = pages->ns.atomic_power_blocks ? pages->ns.atomic_power_blocks : pages->controller.atomic_power_blocks;

	return (uint32_t)MIN((uint64_t)blocks * pages->ns.block, UINT32_MAX);
}

static void fill_info(struct nvme_device *nvme, const struct pages *pages, const char *path, const char *twin)
{
	const tarn_nvme_namespace *ns	= &pages->ns;
	tarn_dev_info		  *info = &nvme->base.info;

	*info = (tarn_dev_info){
		.kind		  = "nvme",
		.driver		  = "nvme",
		.size		  = ns->size,
		.logical_block	  = ns->block,
		.physical_block	  = ns->block,
		.memory_alignment = MEMORY_ALIGNMENT,
		.offset_alignment = ns->block,
		.optimal_io	  = ns->optimal_write,
		.atomic_write	  = atomic_bytes(pages),
		.direct		  = 1,
		.volatile_cache	  = pages->controller.volatile_cache,
		.readonly	  = ns->readonly,
		.nsid		  = ns->nsid,
		.csi		  = ns->csi,
	};
	snprintf(info->uri, sizeof(info->uri), "nvme:%.240s", path);
	snprintf(info->model, sizeof(info->model), "%s", pages->controller.model);
	snprintf(info->serial, sizeof(info->serial), "%s", pages->controller.serial);
	if (*twin)
		snprintf(info->twin, sizeof(info->twin), "block:/dev/%.50s", twin);
}

static int set_up(struct nvme_device *nvme, const char *path, const char *twin)
{
	struct pages pages = { 0 };
	int	     rc	   = identify(&nvme->admin, &pages);

	if (rc)
		return rc;
	nvme->shift	  = (unsigned)__builtin_ctz(pages.ns.block);
	nvme->optional_io = pages.controller.optional_io;
	fill_info(nvme, &pages, path, twin);
	fill_max_transfer(nvme, &pages, twin);
	fill_zones(nvme, &pages);
	fill_limits(nvme, pages.page);
	return 0;
}

/* ---- the choice of the backend ---- */

static const struct device_backend ioctl_backend = {
	.name	     = "ioctl",
	.queue_open  = threads_queue_open,
	.queue_close = threads_queue_close,
	.submit	     = threads_submit,
	.reap	     = device_pushed_reap,
	.wake	     = device_pushed_wake,
	.cancel	     = threads_cancel,
	.adapt	     = device_adapts_by_itself,
	.run	     = nvme_run,
	.zone_report = nvme_zone_report,
	.zone_manage = nvme_zone_manage,
	.close	     = nvme_close,
};

static int choose_backend(struct nvme_device *nvme, const struct device_options *options)
{
	const char *name = options->backend && *options->backend ? options->backend : NULL;

	nvme->base.backend = &ioctl_backend;
	if (name && strcmp(name, ioctl_backend.name) == 0)
		return 0;
	if (name && strcmp(name, nvme_uring_backend.name) != 0)
		return fail(INVAL, "backend \"%s\": for nvme: there is io_uring_cmd and ioctl", name);
	if (nvme_uring_check() == 0)
		nvme->base.backend = &nvme_uring_backend;
	else if (name || options->strict)
		return fail(NOTSUPPORTED, "io_uring_cmd is not available: %s; ask for the backend ioctl", base_message());
	else
		snprintf(nvme->base.info.note, sizeof(nvme->base.info.note), "%s", base_message());
	return 0;
}

/* ---- open and close ---- */

static int hold(struct nvme_device *nvme, const char *path, const char *twin)
{
	char block[96];
	int  rc = hold_take(nvme->admin.fd, path);

	if (rc || !*twin)
		return rc;
	snprintf(block, sizeof(block), "/dev/%.60s", twin);
	nvme->twin = hold_open_block(block, O_RDONLY | O_CLOEXEC);
	if (nvme->twin >= 0)
		return hold_take(nvme->twin, block);
	rc	   = nvme->twin;
	nvme->twin = -1;
	return rc;
}

static int check_options(const char *path, const struct device_options *options)
{
	if (options->create)
		return fail(EXIST, "nvme:%s is a namespace, which is there already: open it, do not make it", path);
	if (options->buffered)
		return fail(NOTSUPPORTED,
			    "nvme:%s: passthrough has no page cache: use the block device, or do not ask for buffered", path);
	return 0;
}

static int open_namespace(struct nvme_device *nvme, const char *path, const struct device_options *options)
{
	char twin[64];
	int  rc;

	list_nvme_twin(path, twin, sizeof(twin));
	rc = options->exclusive ? hold(nvme, path, twin) : 0;
	if (!rc)
		rc = set_up(nvme, path, twin);
	if (!rc)
		rc = choose_backend(nvme, options);
	if (!rc)
		snprintf(nvme->base.info.backend, sizeof(nvme->base.info.backend), "%s", nvme->base.backend->name);
	return rc;
}

int nvme_open(const char *path, const struct device_options *options, struct device **dev)
{
	struct nvme_device *nvme;
	int		    rc = check_options(path, options);

	if (rc)
		return rc;
	nvme = calloc(1, sizeof(*nvme));
	if (!nvme)
		return fail(NOMEM, "no memory to open %s", path);
	nvme->twin = -1;
	rc	   = nvme_admin_open(&nvme->admin, path, !options->readonly, true);
	if (rc) {
		free(nvme);
		return rc;
	}
	rc = open_namespace(nvme, path, options);
	if (rc)
		nvme_close(&nvme->base);
	else
		*dev = &nvme->base;
	return rc;
}

/* The holds by name: a child between fork and exec shares the descriptors. */
void nvme_close(struct device *dev)
{
	struct nvme_device *nvme = nvme_of(dev);

	if (nvme->twin >= 0) {
		hold_drop(nvme->twin);
		close(nvme->twin);
	}
	hold_drop(nvme->admin.fd);
	nvme_admin_close(&nvme->admin);
	free(nvme);
}
