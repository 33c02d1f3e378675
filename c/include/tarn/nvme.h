/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/nvme.h: what an NVMe controller says of itself: Identify, log pages, features. Names and numbers in brackets are those
 * of the NVM Express Base Specification 2.0.
 *
 * Always true: structs are in the byte order of the host, and what a device does not report is 0; each comes from a page that
 * can be had as it is, too. A counter that does not fit 64 bits is UINT64_MAX. Where a namespace is asked for, nsid 0 is that
 * of the handle. Nothing is changed by any call but tarn_nvme_set_feature(). Any thread may make any call on a handle but
 * close at any moment; calls wait for the controller, at most the kernel's admin timeout (a minute by default).
 *
 * Errors of all that ask the controller: NO_PERM (Linux wants CAP_SYS_ADMIN), INVAL, NOTSUPPORTED (the controller does not
 * know the command or the page), NONEXIST (no such namespace), IO (it is gone), TIMEDOUT, NOMEM, else NVME_IO: a sentence
 * gives the status by its name. A struct whose struct_size is none is INVAL. */
#ifndef TARN_NVME_H
#define TARN_NVME_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tarn_nvme tarn_nvme;

#define TARN_NVME_RDWR	   1u	       /* of an open: features can be set */
#define TARN_NVME_PAGE	   4096u       /* bytes of an Identify page */
#define TARN_NVME_ALL	   0xffffffffu /* the nsid that stands for all namespaces */
#define TARN_NVME_LOG_MAX  (64u << 20) /* bytes in one call of tarn_nvme_log_page() */
#define TARN_NVME_DATA_MAX 4096u       /* bytes that belong to a feature */

/* path: of a controller (/dev/nvme0), or of a namespace as a block device (/dev/nvme0n1) or a character device (/dev/ng0n1);
 * nvme: or block: before it is skipped. flags: TARN_NVME_RDWR. NONEXIST, NO_PERM, INVAL (it is no NVMe device; flags), NOMEM. */
TARN_API int tarn_nvme_open(const char *path, uint32_t flags, tarn_nvme **nvme);

/* Frees the handle; no other call on it is running. */
TARN_API int tarn_nvme_close(tarn_nvme *nvme);

/* The namespace of the handle; 0 for a controller's. */
TARN_API int tarn_nvme_get_nsid(tarn_nvme *nvme, uint32_t *nsid);

/* [5.17.2.1, Identify Controller] */
typedef struct tarn_nvme_controller {
	size_t	 struct_size; /* set by the caller: sizeof(tarn_nvme_controller); no more than that is written */
	char	 serial[24];
	char	 model[48];
	char	 firmware[16];
	char	 subnqn[264];	       /* the subsystem's name */
	uint32_t version;	       /* 0x10400: NVMe 1.4.0; 0: before 1.2 */
	uint32_t namespaces;	       /* the largest nsid [NN] */
	uint32_t max_transfer;	       /* bytes in one command, for pages of 4 KiB [MDTS]; 0: no limit */
	uint32_t error_log_entries;    /* [ELPE] */
	uint32_t optional_io;	       /* TARN_NVME_ONCS_... [ONCS] */
	uint32_t optional_admin;       /* TARN_NVME_OACS_... [OACS] */
	uint32_t warning_temperature;  /* kelvin [WCTEMP] */
	uint32_t critical_temperature; /* kelvin [CCTEMP] */
	uint16_t vendor;	       /* PCI vendor [VID] */
	uint16_t subsystem_vendor;     /* [SSVID] */
	uint16_t controller_id;	       /* [CNTLID] */
	uint16_t power_states;	       /* [NPSS] */
	uint16_t firmware_slots;       /* [FRMW] */
	uint16_t type;		       /* 1: I/O, 2: discovery, 3: administrative; 0: not reported [CNTRLTYPE] */
	uint32_t volatile_cache;       /* 1: there is one [VWC] */
	uint32_t atomic_blocks;	       /* written whole under normal operation [AWUN] */
	uint32_t atomic_power_blocks;  /* written whole also at a power cut [AWUPF] */
	uint32_t ieee_oui;
	uint64_t capacity;	       /* bytes, of all namespaces [TNVMCAP] */
	uint64_t unallocated_capacity; /* bytes [UNVMCAP] */
} tarn_nvme_controller;

#define TARN_NVME_ONCS_COMPARE	     1u
#define TARN_NVME_ONCS_UNCORRECTABLE 2u
#define TARN_NVME_ONCS_DISCARD	     4u /* Dataset Management */
#define TARN_NVME_ONCS_WRITE_ZEROES  8u
#define TARN_NVME_ONCS_SAVE	     16u /* features can be saved */
#define TARN_NVME_ONCS_RESERVATIONS  32u
#define TARN_NVME_ONCS_TIMESTAMP     64u
#define TARN_NVME_ONCS_VERIFY	     128u
#define TARN_NVME_ONCS_COPY	     256u
#define TARN_NVME_OACS_SECURITY	     1u
#define TARN_NVME_OACS_FORMAT	     2u
#define TARN_NVME_OACS_FIRMWARE	     4u
#define TARN_NVME_OACS_NAMESPACES    8u /* namespaces can be made and deleted */
#define TARN_NVME_OACS_SELF_TEST     16u

#define TARN_NVME_FORMAT_MAX 64u

typedef struct tarn_nvme_format {
	uint32_t block;	      /* bytes; 0: the format is not available [LBADS] */
	uint16_t metadata;    /* bytes for each block [MS] */
	uint16_t performance; /* 0 (best) to 3 [RP] */
	uint64_t zone_bytes;  /* of a zoned namespace [ZSZE] */
} tarn_nvme_format;

/* [Identify Namespace of the NVM Command Set; ZNS Command Set 1.1, 4.1.5.1] */
typedef struct tarn_nvme_namespace {
	size_t		 struct_size; /* set by the caller */
	uint32_t	 nsid;
	uint32_t	 csi;		      /* command set: 0 NVM, 1 KV, 2 zoned; of a KV namespace the rest is 0 */
	uint64_t	 size;		      /* bytes [NSZE] */
	uint64_t	 capacity;	      /* bytes that can be allocated [NCAP] */
	uint64_t	 used;		      /* bytes that are [NUSE] */
	uint64_t	 nvm_capacity;	      /* bytes [NVMCAP] */
	uint32_t	 block;		      /* bytes, in the format in use */
	uint32_t	 metadata;	      /* bytes for each block */
	uint32_t	 metadata_extended;   /* 1: behind each block's data; 0: in a buffer of its own */
	uint32_t	 protection;	      /* type of protection information: 0 none, 1, 2, 3 [DPS] */
	uint32_t	 thin;		      /* 1: thin provisioning [NSFEAT] */
	uint32_t	 readonly;	      /* 1: write protected [NSATTR] */
	uint32_t	 shared;	      /* 1: by more than one controller may use it [NMIC] */
	uint32_t	 atomic_blocks;	      /* as of the controller, where the namespace differs; else 0 [NAWUN] */
	uint32_t	 atomic_power_blocks; /* the same [NAWUPF] */
	uint32_t	 optimal_write;	      /* bytes [NOWS]; 0: not reported */
	uint32_t	 max_open_zones;      /* 0: no limit [MOR] */
	uint32_t	 max_active_zones;    /* 0: no limit [MAR] */
	uint64_t	 zone_bytes;	      /* in the format in use; 0: not zoned */
	uint8_t		 nguid[16];	      /* zeros: none */
	uint8_t		 eui64[8];	      /* zeros: none */
	tarn_uuid	 uuid;		      /* zeros: none */
	uint32_t	 format;	      /* the one in use */
	uint32_t	 format_count;
	tarn_nvme_format formats[TARN_NVME_FORMAT_MAX];
} tarn_nvme_namespace;

/* [Get Log Page, SMART / Health Information, 02h] */
typedef struct tarn_nvme_health {
	size_t	 struct_size;	     /* set by the caller */
	uint32_t critical_warning;   /* TARN_NVME_WARN_... */
	uint32_t temperature;	     /* kelvin */
	uint32_t available_spare;    /* percent */
	uint32_t spare_threshold;    /* percent */
	uint32_t percentage_used;    /* of the life: may exceed 100 */
	uint32_t sensors[8];	     /* kelvin; 0: there is none */
	uint64_t data_units_read;    /* of 512000 bytes */
	uint64_t data_units_written; /* of 512000 bytes */
	uint64_t read_commands;
	uint64_t write_commands;
	uint64_t busy_minutes;
	uint64_t power_cycles;
	uint64_t power_on_hours;
	uint64_t unsafe_shutdowns;
	uint64_t media_errors;
	uint64_t error_log_entries;	       /* since the controller was made */
	uint64_t warning_temperature_minutes;  /* above the controller's warning temperature */
	uint64_t critical_temperature_minutes; /* above its critical temperature */
} tarn_nvme_health;

#define TARN_NVME_WARN_SPARE	   1u
#define TARN_NVME_WARN_TEMPERATURE 2u
#define TARN_NVME_WARN_RELIABILITY 4u
#define TARN_NVME_WARN_READ_ONLY   8u
#define TARN_NVME_WARN_BACKUP	   16u

/* [Get Log Page, Error Information, 01h] */
typedef struct tarn_nvme_error {
	uint64_t number; /* of the error: counts up, over power cycles */
	uint64_t lba;	 /* the first one that it is about */
	uint32_t nsid;
	uint16_t queue;
	uint16_t command;
	uint16_t status;    /* see tarn_nvme_status_name() */
	uint16_t parameter; /* where in the command: byte in bits 0 to 7, bit in 8 to 10; 0xffff: not there */
	uint32_t reserved;
} tarn_nvme_error;

/* [Get Log Page, Firmware Slot Information, 03h] */
typedef struct tarn_nvme_firmware {
	size_t	 struct_size;	  /* set by the caller */
	uint32_t active;	  /* slot 1 to 7 */
	uint32_t next;		  /* at the next reset; 0: the same */
	char	 revision[7][16]; /* of slot 1 to 7; "": empty */
} tarn_nvme_firmware;

typedef enum tarn_nvme_select {
	TARN_NVME_CURRENT   = 0,
	TARN_NVME_DEFAULT   = 1,
	TARN_NVME_SAVED	    = 2,
	TARN_NVME_SUPPORTED = 3, /* value: bit 0 saveable, 1 for each namespace, 2 changeable */
} tarn_nvme_select;

/* raw: NULL, or room for the page (TARN_NVME_PAGE bytes). Command Identify, CNS 01h. */
TARN_API int tarn_nvme_identify_controller(tarn_nvme *nvme, tarn_nvme_controller *controller, void *raw);
/* CNS 00h (raw), 03h and, of a zoned one, 05h. */
TARN_API int tarn_nvme_identify_namespace(tarn_nvme *nvme, uint32_t nsid, tarn_nvme_namespace *ns, void *raw);
/* Any page: Identify with this CNS, command set and nsid (as it is: 0 stays 0), into TARN_NVME_PAGE bytes. */
TARN_API int tarn_nvme_identify(tarn_nvme *nvme, uint8_t cns, uint8_t csi, uint32_t nsid, void *page);
/* The active namespaces, ascending. *count is the room in nsids, then the number there is: TRUNC when that is more. CNS 02h. */
TARN_API int tarn_nvme_namespaces(tarn_nvme *nvme, uint32_t *nsids, uint32_t *count);
/* Bit n: command set n can be had. 1 from a controller before NVMe 2.0, which knows of no others. CNS 1Ch. */
TARN_API int tarn_nvme_command_sets(tarn_nvme *nvme, uint64_t *sets);

/* raw: NULL, or room for 512 bytes; the same for the firmware. */
TARN_API int tarn_nvme_get_health(tarn_nvme *nvme, tarn_nvme_health *health, void *raw);
TARN_API int tarn_nvme_get_firmware(tarn_nvme *nvme, tarn_nvme_firmware *firmware, void *raw);
/* The newest first. *count is the room, then how many were written. */
TARN_API int tarn_nvme_get_errors(tarn_nvme *nvme, tarn_nvme_error *errors, uint32_t *count);
/* A part of a log page, as it is: len bytes from offset on, both multiples of 4, len at most TARN_NVME_LOG_MAX. lsp: the
 * page's own field, mostly 0. nsid as it is: TARN_NVME_ALL for most pages. Reading takes no pending event away [RAE]. */
TARN_API int tarn_nvme_log_page(tarn_nvme *nvme, uint8_t lid, uint8_t lsp, uint32_t nsid, uint64_t offset, void *buf,
				uint32_t len);

/* value (out): Dword 0 of the completion. data: NULL and 0, or room for the data of a feature that has some, len a multiple of
 * 4 and at most TARN_NVME_DATA_MAX. nsid as it is. cdw11: mostly 0. Command Get Features. */
TARN_API int tarn_nvme_get_feature(tarn_nvme *nvme, uint8_t fid, tarn_nvme_select select, uint32_t nsid, uint32_t cdw11,
				   uint32_t *value, void *data, uint32_t len);
/* value: Dword 11 of the command. save: also over a power cycle. EP_RO from a handle that is not TARN_NVME_RDWR. Command Set
 * Features. */
TARN_API int tarn_nvme_set_feature(tarn_nvme *nvme, uint8_t fid, uint32_t nsid, uint32_t value, bool save, const void *data,
				   uint32_t len);

/* "Invalid Field in Command" for 0x2: bits 0 to 7 are the code, 8 to 10 its type; others are not looked at. Static memory,
 * never NULL. */
TARN_API const char *tarn_nvme_status_name(uint32_t status);

/* What a page that was read earlier says: as the calls above, without a device. Of any bytes at all: they are never trusted.
 * zoned: the page of CNS 05h of a zoned namespace, or NULL. */
TARN_API int tarn_nvme_decode_controller(const void *page, tarn_nvme_controller *controller);
TARN_API int tarn_nvme_decode_namespace(const void *page, const void *zoned, tarn_nvme_namespace *ns);
TARN_API int tarn_nvme_decode_health(const void *page, tarn_nvme_health *health);
TARN_API int tarn_nvme_decode_firmware(const void *page, tarn_nvme_firmware *firmware);

#ifdef __cplusplus
}
#endif
#endif
