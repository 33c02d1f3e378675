/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme.h: what the files about NVMe share: nvme_admin.c asks a controller, nvme_decode.c reads its answers,
 * nvme_status.c names its errors. For I/O see nvme_io.h.
 *
 * Always true: a page from a device is bytes that nobody trusts, read with get16() and the like: no count or size in it leads
 * outside the page. Every wire struct has its size asserted beneath. */
#ifndef TARN_DEVICE_NVME_H
#define TARN_DEVICE_NVME_H

#include "device.h"

#include <linux/nvme_ioctl.h>
#include <sys/types.h>
#include <tarn/nvme.h>

_Static_assert(sizeof(struct nvme_passthru_cmd64) == 80, "as the kernel has it");
_Static_assert(offsetof(struct nvme_passthru_cmd64, cdw10) == 40, "as the kernel has it");
_Static_assert(offsetof(struct nvme_passthru_cmd64, result) == 72, "as the kernel has it");

#define NVME_UNIT     4096u /* of MDTS, ZASL and the like: the smallest page of the controllers that Linux drives */
#define NVME_HEALTH   512u  /* bytes of the log page */
#define NVME_FIRMWARE 512u
#define NVME_ERROR    64u /* of an entry */

enum nvme_admin_opcode {
	NVME_GET_LOG_PAGE = 0x02,
	NVME_IDENTIFY	  = 0x06,
	NVME_SET_FEATURES = 0x09,
	NVME_GET_FEATURES = 0x0a,
};

enum nvme_cns {
	NVME_CNS_NAMESPACE	= 0x00,
	NVME_CNS_CONTROLLER	= 0x01,
	NVME_CNS_ACTIVE		= 0x02,
	NVME_CNS_DESCRIPTORS	= 0x03,
	NVME_CNS_SET_NAMESPACE	= 0x05,
	NVME_CNS_SET_CONTROLLER = 0x06,
	NVME_CNS_COMMAND_SETS	= 0x1c,
};

enum nvme_log { NVME_LOG_ERRORS = 0x01, NVME_LOG_HEALTH = 0x02, NVME_LOG_FIRMWARE = 0x03 };

enum nvme_csi { NVME_CSI_NVM = 0, NVME_CSI_KV = 1, NVME_CSI_ZONED = 2 };

/* Where commands go: a controller or a namespace. */
struct nvme_admin {
	int	 fd;
	uint32_t nsid; /* 0: a controller */
	bool	 writable;
	char	 path[64]; /* for sentences */
};

/* Opens the node at path. `want_io`: only a namespace's character device will do. */
int  nvme_admin_open(struct nvme_admin *nvme, const char *path, bool writable, bool want_io);
void nvme_admin_close(struct nvme_admin *nvme);

/* Whether the character device of this number is a controller, or a namespace. */
bool nvme_is_node(dev_t rdev);

/* page: 4096 bytes. As the calls of tarn/nvme.h that are named so, but nothing here looks at NULL. */
int nvme_identify(const struct nvme_admin *nvme, enum nvme_cns cns, uint8_t csi, uint32_t nsid, void *page);
int nvme_identify_namespace(const struct nvme_admin *nvme, uint32_t nsid, tarn_nvme_namespace *ns, void *page);
int nvme_namespaces(const struct nvme_admin *nvme, uint32_t *nsids, uint32_t *count);
int nvme_command_sets(const struct nvme_admin *nvme, uint64_t *sets);
int nvme_log_page(const struct nvme_admin *nvme, uint8_t lid, uint8_t lsp, uint32_t nsid, uint64_t offset, void *buf,
		  uint32_t len);
int nvme_get_feature(const struct nvme_admin *nvme, uint32_t cdw10, uint32_t nsid, uint32_t cdw11, uint32_t *value, void *data,
		     uint32_t len);
int nvme_set_feature(const struct nvme_admin *nvme, uint32_t cdw10, uint32_t nsid, uint32_t value, const void *data,
		     uint32_t len);

/* All of a struct but struct_size. */
void nvme_decode_controller(const uint8_t *page, tarn_nvme_controller *controller);
void nvme_decode_namespace(const uint8_t *page, tarn_nvme_namespace *ns);
void nvme_decode_zoned(const uint8_t *page, tarn_nvme_namespace *ns); /* behind the one above: the zoned page */
void nvme_decode_descriptors(const uint8_t *page, tarn_nvme_namespace *ns);
void nvme_decode_health(const uint8_t *page, tarn_nvme_health *health);
void nvme_decode_firmware(const uint8_t *page, tarn_nvme_firmware *firmware);
void nvme_decode_error(const uint8_t *entry, tarn_nvme_error *error);

/* Status as Linux gives it: code in bits 0 to 7, type in 8 to 10, more above. */
const char *nvme_status_name(uint32_t status);
/* The error and the sentence for it, which begins with what was asked. `io`: of an I/O, for which the error that has no better
 * name is IO. */
int nvme_fail_status(uint32_t status, bool io, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define NVME_STATUS_MASK    0x7ffu
#define NVME_INVALID_OPCODE 0x001u
#define NVME_INVALID_FIELD  0x002u
#define NVME_COMPARE_FAILED 0x285u

#endif
