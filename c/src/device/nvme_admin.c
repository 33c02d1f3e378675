/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme_admin.c: opening NVMe nodes, and admin commands by ioctl.
 *
 * Always true: only a node that the kernel says is NVMe's is opened, and one that is no device never. A command is sent once:
 * none is repeated here. What a controller answers goes to the caller only when it succeeded. Any thread may call. */
#include "file.h"
#include "nvme.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LOG_CHUNK 4096u

/* ---- nodes ---- */

/* What a character device is: "nvme" (a controller), "nvme-generic" (a namespace), or another name. */
static void class_of(dev_t rdev, char *name, size_t len)
{
	char	path[64], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/subsystem", major(rdev), minor(rdev));
	n		      = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	snprintf(name, len, "%s", basename(target));
}

bool nvme_is_node(dev_t rdev)
{
	char class[32];

	class_of(rdev, class, sizeof(class));
	return strcmp(class, "nvme") == 0 || strcmp(class, "nvme-generic") == 0;
}

static int fail_kind(const char *path, bool want_io)
{
	if (want_io)
		return fail(
			INVAL,
			"%s is not the character device of an NVMe namespace: that is /dev/ng0n1, or another of tarn dev list",
			path);
	return fail(INVAL, "%s is no NVMe device: name a controller (/dev/nvme0) or a namespace (/dev/nvme0n1, /dev/ng0n1)",
		    path);
}

static int check_node(const char *path, bool want_io, bool *controller)
{
	char class[32];
	struct stat st;

	*controller = false;
	if (stat(path, &st) < 0)
		return base_fail_errno(errno, "open %s", path);
	if (S_ISBLK(st.st_mode) && !want_io)
		return 0;
	if (!S_ISCHR(st.st_mode))
		return fail_kind(path, want_io);
	class_of(st.st_rdev, class, sizeof(class));
	*controller = strcmp(class, "nvme") == 0;
	if (strcmp(class, "nvme-generic") == 0 || (*controller && !want_io))
		return 0;
	return fail_kind(path, want_io);
}

/* Only a namespace has an id. */
static int find_nsid(struct nvme_admin *nvme, const char *path)
{
	int id = ioctl(nvme->fd, NVME_IOCTL_ID, NULL);

	if (id < 0 && (errno == ENOTTY || errno == EINVAL))
		return fail_kind(path, false);
	if (id < 0)
		return base_fail_errno(errno, "namespace id of %s", path);
	nvme->nsid = (uint32_t)id;
	return 0;
}

int nvme_admin_open(struct nvme_admin *nvme, const char *path, bool writable, bool want_io)
{
	bool controller;
	int  rc = check_node(path, want_io, &controller);

	if (rc)
		return rc;
	*nvme = (struct nvme_admin){ .writable = writable };
	snprintf(nvme->path, sizeof(nvme->path), "%s", path);
	nvme->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (nvme->fd < 0)
		return base_fail_errno(errno, "open %s", path);
	rc = controller ? 0 : find_nsid(nvme, path);
	if (rc)
		close(nvme->fd);
	return rc;
}

void nvme_admin_close(struct nvme_admin *nvme)
{
	close(nvme->fd);
}

/* ---- commands ---- */

/* Linux before 5.4 has no ADMIN64. */
static int send_old(int fd, struct nvme_passthru_cmd64 *command)
{
	struct nvme_passthru_cmd old;
	int			 rc;

	memcpy(&old, command, offsetof(struct nvme_passthru_cmd, result));
	old.result	= 0;
	rc		= ioctl(fd, NVME_IOCTL_ADMIN_CMD, &old);
	command->result = old.result;
	return rc;
}

static int run(const struct nvme_admin *nvme, struct nvme_passthru_cmd64 *command, const char *what)
{
	int rc = ioctl(nvme->fd, NVME_IOCTL_ADMIN64_CMD, command);

	if (rc < 0 && errno == ENOTTY)
		rc = send_old(nvme->fd, command);
	if (rc > 0)
		return nvme_fail_status((uint32_t)rc, false, "%s of %s", what, nvme->path);
	if (rc < 0 && (errno == EACCES || errno == EPERM))
		return fail(NO_PERM, "%s of %s: Linux wants CAP_SYS_ADMIN for it", what, nvme->path);
	return rc < 0 ? base_fail_errno(errno, "%s of %s", what, nvme->path) : 0;
}

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* Into memory of ours first: a caller's may be in use elsewhere, and is left alone by a failure. */
int nvme_identify(const struct nvme_admin *nvme, enum nvme_cns cns, uint8_t csi, uint32_t nsid, void *page)
{
	_Alignas(8) uint8_t	   answer[TARN_NVME_PAGE] = { 0 };
	struct nvme_passthru_cmd64 command		  = {
			       .opcode	 = NVME_IDENTIFY,
			       .nsid	 = nsid,
			       .addr	 = address(answer),
			       .data_len = sizeof(answer),
			       .cdw10	 = cns,
			       .cdw11	 = (uint32_t)csi << 24,
	};
	char what[32];
	int  rc;

	if (cns == NVME_CNS_COMMAND_SETS)
		command.cdw10 |= 0xffffu << 16; /* of the controller that is asked */
	snprintf(what, sizeof(what), "Identify (CNS %02xh)", (unsigned)cns);
	rc = run(nvme, &command, what);
	if (!rc)
		memcpy(page, answer, sizeof(answer));
	return rc;
}

static bool is_zeros(const uint8_t *page, size_t len)
{
	return !page[0] && memcmp(page, page + 1, len - 1) == 0;
}

/* A controller before NVMe 1.3 has no descriptors: the namespace is one of the NVM command set then. */
static int identify_descriptors(const struct nvme_admin *nvme, uint32_t nsid, tarn_nvme_namespace *ns)
{
	uint8_t page[TARN_NVME_PAGE];
	int	rc = nvme_identify(nvme, NVME_CNS_DESCRIPTORS, 0, nsid, page);

	if (rc == -TARN_E_INVAL || rc == -TARN_E_NOTSUPPORTED)
		return 0;
	if (!rc)
		nvme_decode_descriptors(page, ns);
	return rc;
}

static int identify_zoned(const struct nvme_admin *nvme, uint32_t nsid, tarn_nvme_namespace *ns)
{
	uint8_t page[TARN_NVME_PAGE];
	int	rc = nvme_identify(nvme, NVME_CNS_SET_NAMESPACE, NVME_CSI_ZONED, nsid, page);

	if (!rc)
		nvme_decode_zoned(page, ns);
	return rc;
}

/* A namespace that is not active has a page of zeros. */
int nvme_identify_namespace(const struct nvme_admin *nvme, uint32_t nsid, tarn_nvme_namespace *ns, void *page)
{
	int rc;

	nsid = nsid ? nsid : nvme->nsid;
	if (!nsid)
		return fail(INVAL, "identify a namespace of %s: it is a controller, so say which namespace", nvme->path);
	ns->nsid = nsid;
	rc	 = nvme_identify(nvme, NVME_CNS_NAMESPACE, 0, nsid, page);
	if (!rc && is_zeros(page, TARN_NVME_PAGE))
		rc = fail(NONEXIST, "%s has no active namespace %u", nvme->path, nsid);
	if (!rc)
		nvme_decode_namespace(page, ns);
	if (!rc)
		rc = identify_descriptors(nvme, nsid, ns);
	return !rc && ns->csi == NVME_CSI_ZONED ? identify_zoned(nvme, nsid, ns) : rc;
}

/* Appends the ids of one page, up to the first 0. Returns whether the list may go on. */
static bool append_ids(const uint8_t *page, uint32_t *nsids, uint32_t room, uint32_t *total, uint32_t *last)
{
	for (uint32_t i = 0; i < TARN_NVME_PAGE / 4; i++) {
		uint32_t id = get32(page + 4 * i);

		if (id <= *last)
			return false; /* the end, or a list that does not ascend: it would never end */
		if (*total < room)
			nsids[*total] = id;
		++*total;
		*last = id;
	}
	return *last < TARN_NVME_ALL - 2; /* the largest that may be asked for */
}

int nvme_namespaces(const struct nvme_admin *nvme, uint32_t *nsids, uint32_t *count)
{
	uint8_t	 page[TARN_NVME_PAGE];
	uint32_t room = nsids ? *count : 0, total = 0, last = 0;
	int	 rc;

	do {
		rc = nvme_identify(nvme, NVME_CNS_ACTIVE, 0, last, page);
		if (rc)
			return rc;
	} while (append_ids(page, nsids, room, &total, &last));
	*count = total;
	if (nsids && total > room)
		return fail(TRUNC, "%s has %u active namespaces, and there is room for %u", nvme->path, total, room);
	return 0;
}

int nvme_command_sets(const struct nvme_admin *nvme, uint64_t *sets)
{
	uint8_t page[TARN_NVME_PAGE];
	int	rc = nvme_identify(nvme, NVME_CNS_COMMAND_SETS, 0, 0, page);

	if (rc == -TARN_E_INVAL || rc == -TARN_E_NOTSUPPORTED) {
		*sets = 1;
		return 0;
	}
	if (rc)
		return rc;
	*sets = 0;
	for (size_t at = 0; at < sizeof(page); at += 8)
		*sets |= get64(page + at);
	return 0;
}

static int log_chunk(const struct nvme_admin *nvme, uint32_t cdw10, uint32_t nsid, uint64_t offset, void *buf, uint32_t len)
{
	uint32_t		   dwords  = len / 4 - 1;
	struct nvme_passthru_cmd64 command = {
		.opcode	  = NVME_GET_LOG_PAGE,
		.nsid	  = nsid,
		.addr	  = address(buf),
		.data_len = len,
		.cdw10	  = cdw10 | (dwords & 0xffff) << 16,
		.cdw11	  = dwords >> 16,
		.cdw12	  = (uint32_t)offset,
		.cdw13	  = (uint32_t)(offset >> 32),
	};
	char what[40];

	snprintf(what, sizeof(what), "Get Log Page (LID %02xh)", cdw10 & 0xff);
	return run(nvme, &command, what);
}

/* A controller that does not know offsets would give the beginning again. */
static int check_offsets(const struct nvme_admin *nvme)
{
	uint8_t page[TARN_NVME_PAGE];
	int	rc = nvme_identify(nvme, NVME_CNS_CONTROLLER, 0, 0, page);

	if (!rc && !(page[261] & 4))
		rc = fail(NOTSUPPORTED, "%s gives only the first %u bytes of a log page (Identify Controller, LPA)", nvme->path,
			  LOG_CHUNK);
	return rc;
}

int nvme_log_page(const struct nvme_admin *nvme, uint8_t lid, uint8_t lsp, uint32_t nsid, uint64_t offset, void *buf,
		  uint32_t len)
{
	_Alignas(8) uint8_t chunk[LOG_CHUNK];
	uint32_t	    cdw10 = lid | (lsp & 0x7fu) << 8 | 1u << 15;
	int		    rc	  = offset || len > LOG_CHUNK ? check_offsets(nvme) : 0;

	for (uint32_t done = 0, n; !rc && done < len; done += n) {
		n  = MIN(len - done, LOG_CHUNK);
		rc = log_chunk(nvme, cdw10, nsid, offset + done, chunk, n);
		if (!rc)
			memcpy((char *)buf + done, chunk, n);
	}
	return rc;
}

int nvme_get_feature(const struct nvme_admin *nvme, uint32_t cdw10, uint32_t nsid, uint32_t cdw11, uint32_t *value, void *data,
		     uint32_t len)
{
	_Alignas(8) uint8_t	   answer[TARN_NVME_DATA_MAX] = { 0 };
	struct nvme_passthru_cmd64 command		      = {
				   .opcode   = NVME_GET_FEATURES,
				   .nsid     = nsid,
				   .addr     = len ? address(answer) : 0,
				   .data_len = len,
				   .cdw10    = cdw10,
				   .cdw11    = cdw11,
	};
	char what[40];
	int  rc;

	snprintf(what, sizeof(what), "Get Features (FID %02xh)", cdw10 & 0xff);
	rc = run(nvme, &command, what);
	if (rc)
		return rc;
	*value = (uint32_t)command.result;
	if (len)
		memcpy(data, answer, len);
	return 0;
}

int nvme_set_feature(const struct nvme_admin *nvme, uint32_t cdw10, uint32_t nsid, uint32_t value, const void *data, uint32_t len)
{
	struct nvme_passthru_cmd64 command = {
		.opcode	  = NVME_SET_FEATURES,
		.nsid	  = nsid,
		.addr	  = len ? address(data) : 0,
		.data_len = len,
		.cdw10	  = cdw10,
		.cdw11	  = value,
	};
	char what[40];

	if (!nvme->writable)
		return fail(EP_RO, "set feature %02xh of %s: the handle is open for reading only", cdw10 & 0xff, nvme->path);
	snprintf(what, sizeof(what), "Set Features (FID %02xh)", cdw10 & 0xff);
	return run(nvme, &command, what);
}
