/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme_status.c: the one table of NVMe status: its name in the specification, and the error that it becomes.
 *
 * Always true: what is not in the table has a name of its type, and is NVME_IO (of an I/O: IO). Any thread may call. */
#include "nvme.h"

#include <stdarg.h>
#include <stdio.h>

static const struct status {
	uint16_t    status; /* type << 8 | code */
	uint16_t    code;
	const char *name;
} statuses[] = {
	/* Generic Command Status */
	{ 0x000, TARN_OK, "Successful Completion" },
	{ 0x001, TARN_E_NOTSUPPORTED, "Invalid Command Opcode" },
	{ 0x002, TARN_E_INVAL, "Invalid Field in Command" },
	{ 0x003, TARN_E_NVME_IO, "Command ID Conflict" },
	{ 0x004, TARN_E_IO, "Data Transfer Error" },
	{ 0x005, TARN_E_IO, "Commands Aborted due to Power Loss Notification" },
	{ 0x006, TARN_E_IO, "Internal Error" },
	{ 0x007, TARN_E_IO, "Command Abort Requested" },
	{ 0x008, TARN_E_IO, "Command Aborted due to SQ Deletion" },
	{ 0x009, TARN_E_NVME_IO, "Command Aborted due to Failed Fused Command" },
	{ 0x00a, TARN_E_NVME_IO, "Command Aborted due to Missing Fused Command" },
	{ 0x00b, TARN_E_NONEXIST, "Invalid Namespace or Format" },
	{ 0x00c, TARN_E_NVME_IO, "Command Sequence Error" },
	{ 0x00d, TARN_E_INVAL, "Invalid SGL Segment Descriptor" },
	{ 0x00e, TARN_E_INVAL, "Invalid Number of SGL Descriptors" },
	{ 0x00f, TARN_E_INVAL, "Data SGL Length Invalid" },
	{ 0x010, TARN_E_INVAL, "Metadata SGL Length Invalid" },
	{ 0x011, TARN_E_INVAL, "SGL Descriptor Type Invalid" },
	{ 0x012, TARN_E_INVAL, "Invalid Use of Controller Memory Buffer" },
	{ 0x013, TARN_E_INVAL, "PRP Offset Invalid" },
	{ 0x014, TARN_E_INVAL, "Atomic Write Unit Exceeded" },
	{ 0x015, TARN_E_NO_PERM, "Operation Denied" },
	{ 0x016, TARN_E_INVAL, "SGL Offset Invalid" },
	{ 0x018, TARN_E_INVAL, "Host Identifier Inconsistent Format" },
	{ 0x019, TARN_E_NVME_IO, "Keep Alive Timer Expired" },
	{ 0x01a, TARN_E_INVAL, "Keep Alive Timeout Invalid" },
	{ 0x01b, TARN_E_IO, "Command Aborted due to Preempt and Abort" },
	{ 0x01c, TARN_E_NVME_IO, "Sanitize Failed" },
	{ 0x01d, TARN_E_BUSY, "Sanitize In Progress" },
	{ 0x01e, TARN_E_INVAL, "SGL Data Block Granularity Invalid" },
	{ 0x01f, TARN_E_NOTSUPPORTED, "Command Not Supported for Queue in CMB" },
	{ 0x020, TARN_E_EP_RO, "Namespace is Write Protected" },
	{ 0x021, TARN_E_AGAIN, "Command Interrupted" },
	{ 0x022, TARN_E_IO, "Transient Transport Error" },
	{ 0x023, TARN_E_NO_PERM, "Command Prohibited by Command and Feature Lockdown" },
	{ 0x024, TARN_E_AGAIN, "Admin Command Media Not Ready" },
	{ 0x080, TARN_E_INVAL, "LBA Out of Range" },
	{ 0x081, TARN_E_NOSPACE, "Capacity Exceeded" },
	{ 0x082, TARN_E_AGAIN, "Namespace Not Ready" },
	{ 0x083, TARN_E_BUSY, "Reservation Conflict" },
	{ 0x084, TARN_E_BUSY, "Format In Progress" },
	{ 0x085, TARN_E_INVAL, "Invalid Value Size" },
	{ 0x086, TARN_E_INVAL, "Invalid Key Size" },
	{ 0x087, TARN_E_NONEXIST, "KV Key Does Not Exist" },
	{ 0x088, TARN_E_IO, "Unrecovered Error" },
	{ 0x089, TARN_E_EXIST, "Key Exists" },
	/* Command Specific Status */
	{ 0x100, TARN_E_INVAL, "Completion Queue Invalid" },
	{ 0x101, TARN_E_INVAL, "Invalid Queue Identifier" },
	{ 0x102, TARN_E_INVAL, "Invalid Queue Size" },
	{ 0x103, TARN_E_BUSY, "Abort Command Limit Exceeded" },
	{ 0x105, TARN_E_BUSY, "Asynchronous Event Request Limit Exceeded" },
	{ 0x106, TARN_E_INVAL, "Invalid Firmware Slot" },
	{ 0x107, TARN_E_INVAL, "Invalid Firmware Image" },
	{ 0x108, TARN_E_INVAL, "Invalid Interrupt Vector" },
	{ 0x109, TARN_E_NOTSUPPORTED, "Invalid Log Page" },
	{ 0x10a, TARN_E_INVAL, "Invalid Format" },
	{ 0x10b, TARN_E_NVME_IO, "Firmware Activation Requires Conventional Reset" },
	{ 0x10c, TARN_E_INVAL, "Invalid Queue Deletion" },
	{ 0x10d, TARN_E_NOTSUPPORTED, "Feature Identifier Not Saveable" },
	{ 0x10e, TARN_E_NOTSUPPORTED, "Feature Not Changeable" },
	{ 0x10f, TARN_E_INVAL, "Feature Not Namespace Specific" },
	{ 0x110, TARN_E_NVME_IO, "Firmware Activation Requires NVM Subsystem Reset" },
	{ 0x111, TARN_E_NVME_IO, "Firmware Activation Requires Controller Level Reset" },
	{ 0x112, TARN_E_NVME_IO, "Firmware Activation Requires Maximum Time Violation" },
	{ 0x113, TARN_E_NO_PERM, "Firmware Activation Prohibited" },
	{ 0x114, TARN_E_INVAL, "Overlapping Range" },
	{ 0x115, TARN_E_NOSPACE, "Namespace Insufficient Capacity" },
	{ 0x116, TARN_E_NOSPACE, "Namespace Identifier Unavailable" },
	{ 0x118, TARN_E_ALREADY, "Namespace Already Attached" },
	{ 0x119, TARN_E_BUSY, "Namespace Is Private" },
	{ 0x11a, TARN_E_NONEXIST, "Namespace Not Attached" },
	{ 0x11b, TARN_E_NOTSUPPORTED, "Thin Provisioning Not Supported" },
	{ 0x11c, TARN_E_INVAL, "Controller List Invalid" },
	{ 0x11d, TARN_E_BUSY, "Device Self-test In Progress" },
	{ 0x11e, TARN_E_NO_PERM, "Boot Partition Write Prohibited" },
	{ 0x11f, TARN_E_INVAL, "Invalid Controller Identifier" },
	{ 0x120, TARN_E_INVAL, "Invalid Secondary Controller State" },
	{ 0x121, TARN_E_INVAL, "Invalid Number of Controller Resources" },
	{ 0x122, TARN_E_INVAL, "Invalid Resource Identifier" },
	{ 0x123, TARN_E_NO_PERM, "Sanitize Prohibited While Persistent Memory Region is Enabled" },
	{ 0x124, TARN_E_INVAL, "ANA Group Identifier Invalid" },
	{ 0x125, TARN_E_NVME_IO, "ANA Attach Failed" },
	{ 0x126, TARN_E_NOSPACE, "Insufficient Capacity" },
	{ 0x127, TARN_E_NOSPACE, "Namespace Attachment Limit Exceeded" },
	{ 0x128, TARN_E_NOTSUPPORTED, "Prohibition of Command Execution Not Supported" },
	{ 0x129, TARN_E_NOTSUPPORTED, "I/O Command Set Not Supported" },
	{ 0x12a, TARN_E_NOTSUPPORTED, "I/O Command Set Not Enabled" },
	{ 0x12b, TARN_E_INVAL, "I/O Command Set Combination Rejected" },
	{ 0x12c, TARN_E_INVAL, "Invalid I/O Command Set" },
	{ 0x12d, TARN_E_NOSPACE, "Identifier Unavailable" },
	{ 0x180, TARN_E_INVAL, "Conflicting Attributes" },
	{ 0x181, TARN_E_INVAL, "Invalid Protection Information" },
	{ 0x182, TARN_E_EP_RO, "Attempted Write to Read Only Range" },
	{ 0x183, TARN_E_INVAL, "Command Size Limit Exceeded" },
	{ 0x1b8, TARN_E_INVAL, "Zone Boundary Error" },
	{ 0x1b9, TARN_E_NOSPACE, "Zone Is Full" },
	{ 0x1ba, TARN_E_EP_RO, "Zone Is Read Only" },
	{ 0x1bb, TARN_E_IO, "Zone Is Offline" },
	{ 0x1bc, TARN_E_INVAL, "Zone Invalid Write" },
	{ 0x1bd, TARN_E_NOSPACE, "Too Many Active Zones" },
	{ 0x1be, TARN_E_NOSPACE, "Too Many Open Zones" },
	{ 0x1bf, TARN_E_INVAL, "Invalid Zone State Transition" },
	/* Media and Data Integrity Errors */
	{ 0x280, TARN_E_IO, "Write Fault" },
	{ 0x281, TARN_E_IO, "Unrecovered Read Error" },
	{ 0x282, TARN_E_IO, "End-to-end Guard Check Error" },
	{ 0x283, TARN_E_IO, "End-to-end Application Tag Check Error" },
	{ 0x284, TARN_E_IO, "End-to-end Reference Tag Check Error" },
	{ 0x285, TARN_E_MISMATCH, "Compare Failure" },
	{ 0x286, TARN_E_NO_PERM, "Access Denied" },
	{ 0x287, TARN_E_IO, "Deallocated or Unwritten Logical Block" },
	{ 0x288, TARN_E_IO, "End-to-end Storage Tag Check Error" },
	/* Path Related Status */
	{ 0x300, TARN_E_IO, "Internal Path Error" },
	{ 0x301, TARN_E_IO, "Asymmetric Access Persistent Loss" },
	{ 0x302, TARN_E_IO, "Asymmetric Access Inaccessible" },
	{ 0x303, TARN_E_AGAIN, "Asymmetric Access Transition" },
	{ 0x360, TARN_E_IO, "Controller Pathing Error" },
	{ 0x370, TARN_E_IO, "Host Pathing Error" },
	{ 0x371, TARN_E_IO, "Command Aborted By Host" },
};

static const char *const types[] = {
	"an unknown generic status", "an unknown command specific status", "an unknown media error",
	"an unknown path error",     "an unknown type of status",	   "an unknown type of status",
	"an unknown type of status", "a vendor specific status",
};

static const struct status *find(uint32_t status)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].status == (status & NVME_STATUS_MASK))
			return &statuses[i];
	return NULL;
}

const char *nvme_status_name(uint32_t status)
{
	const struct status *found = find(status);

	return found ? found->name : types[status >> 8 & 7];
}

static int code_of(uint32_t status, bool io)
{
	const struct status *found = find(status);
	int		     code  = found && found->code ? found->code : TARN_E_NVME_IO;

	return io && code == TARN_E_NVME_IO ? TARN_E_IO : code;
}

int nvme_fail_status(uint32_t status, bool io, const char *fmt, ...)
{
	char	what[TARN_MESSAGE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return base_fail(code_of(status, io), "%s: %s (NVMe status type %u, code %02xh)", what, nvme_status_name(status),
			 status >> 8 & 7, status & 0xff);
}
