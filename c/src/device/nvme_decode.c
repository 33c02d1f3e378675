/* SPDX-License-Identifier: Apache-2.0 */
/* device/nvme_decode.c: the pages of an NVMe controller, read into structs of the host.
 *
 * Always true: a page is of the size that nvme.h gives for it, and may hold any bytes: nothing outside it is read, and nothing is
 * undefined. Offsets are those of the NVM Express Base Specification 2.0, the NVM Command Set 1.0 and the ZNS Command Set 1.1. */
#include "nvme.h"

/* 128 bits in the page. */
static uint64_t get128(const uint8_t *p)
{
	return get64(p + 8) ? UINT64_MAX : get64(p);
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
	return b && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* Text that blanks fill up, or a NUL ends. */
static void get_text(char *to, const uint8_t *from, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && from[i]; i++) {
		to[i] = from[i] < ' ' || from[i] > '~' ? '?' : (char)from[i];
		n     = from[i] == ' ' ? n : i + 1;
	}
	to[n] = '\0';
}

/* MDTS: a power of two of pages, 0 for no limit; what exceeds 32 bits is none either. */
static uint32_t get_transfer(uint8_t exponent)
{
	return exponent && exponent < 20 ? NVME_UNIT << exponent : 0;
}

static void decode_identity(const uint8_t *page, tarn_nvme_controller *c)
{
	c->vendor	    = get16(page);
	c->subsystem_vendor = get16(page + 2);
	c->controller_id    = get16(page + 78);
	c->version	    = get32(page + 80);
	c->type		    = page[111];
	c->ieee_oui	    = page[73] | (uint32_t)get16(page + 74) << 8;
	get_text(c->serial, page + 4, 20);
	get_text(c->model, page + 24, 40);
	get_text(c->firmware, page + 64, 8);
	get_text(c->subnqn, page + 768, 256);
}

void nvme_decode_controller(const uint8_t *page, tarn_nvme_controller *c)
{
	decode_identity(page, c);
	c->max_transfer		= get_transfer(page[77]);
	c->optional_admin	= get16(page + 256);
	c->firmware_slots	= page[260] >> 1 & 7;
	c->error_log_entries	= page[262] + 1u;
	c->power_states		= (uint16_t)((page[263] & 31) + 1);
	c->warning_temperature	= get16(page + 266);
	c->critical_temperature = get16(page + 268);
	c->capacity		= get128(page + 280);
	c->unallocated_capacity = get128(page + 296);
	c->namespaces		= get32(page + 516);
	c->optional_io		= get16(page + 520);
	c->volatile_cache	= page[525] & 1;
	c->atomic_blocks	= get16(page + 526) + 1u;
	c->atomic_power_blocks	= get16(page + 528) + 1u;
}

static void decode_formats(const uint8_t *page, tarn_nvme_namespace *ns)
{
	ns->format_count = MIN(page[25] + 1u, TARN_NVME_FORMAT_MAX);
	ns->format	 = (page[26] & 15) | (page[25] >= 16 ? (page[26] >> 5 & 3u) << 4 : 0);
	for (uint32_t i = 0; i < ns->format_count; i++) {
		const uint8_t *at    = page + 128 + 4 * i;
		unsigned       shift = at[2];

		ns->formats[i].metadata	   = get16(at);
		ns->formats[i].block	   = shift >= 9 && shift < 32 ? 1u << shift : 0;
		ns->formats[i].performance = at[3] & 3;
	}
}

/* The format in use; one that is not there has no blocks. */
static const tarn_nvme_format *format_of(const tarn_nvme_namespace *ns)
{
	static const tarn_nvme_format none;

	return ns->format < ns->format_count ? &ns->formats[ns->format] : &none;
}

/* What a bit of NSFEAT says to be there. */
static void decode_features(const uint8_t *page, tarn_nvme_namespace *ns)
{
	uint8_t features = page[24];

	ns->thin		= features & 1;
	ns->atomic_blocks	= features & 2 ? get16(page + 34) + 1u : 0;
	ns->atomic_power_blocks = features & 2 ? get16(page + 36) + 1u : 0;
	ns->optimal_write	= features & 16 ? (uint32_t)MIN(multiply(get16(page + 72) + 1u, ns->block), UINT32_MAX) : 0;
}

void nvme_decode_namespace(const uint8_t *page, tarn_nvme_namespace *ns)
{
	decode_formats(page, ns);
	ns->block	      = format_of(ns)->block;
	ns->metadata	      = format_of(ns)->metadata;
	ns->metadata_extended = page[26] >> 4 & 1;
	ns->size	      = multiply(get64(page), ns->block);
	ns->capacity	      = multiply(get64(page + 8), ns->block);
	ns->used	      = multiply(get64(page + 16), ns->block);
	ns->protection	      = page[29] & 7;
	ns->shared	      = page[30] & 1;
	ns->nvm_capacity      = get128(page + 48);
	ns->readonly	      = page[99] & 1;
	memcpy(ns->nguid, page + 104, sizeof(ns->nguid));
	memcpy(ns->eui64, page + 120, sizeof(ns->eui64));
	decode_features(page, ns);
}

/* 0's based, and all ones for no limit. */
static uint32_t get_limit(const uint8_t *p)
{
	return get32(p) + 1;
}

void nvme_decode_zoned(const uint8_t *page, tarn_nvme_namespace *ns)
{
	ns->max_active_zones = get_limit(page + 4);
	ns->max_open_zones   = get_limit(page + 8);
	for (uint32_t i = 0; i < ns->format_count; i++)
		ns->formats[i].zone_bytes = multiply(get64(page + 2816 + 16 * i), ns->formats[i].block);
	ns->zone_bytes = format_of(ns)->zone_bytes;
}

/* One of the Namespace Identification Descriptors; the length is one that this type has. */
static void decode_descriptor(uint8_t type, const uint8_t *value, unsigned len, tarn_nvme_namespace *ns)
{
	if (type == 1 && len == sizeof(ns->eui64))
		memcpy(ns->eui64, value, len);
	else if (type == 2 && len == sizeof(ns->nguid))
		memcpy(ns->nguid, value, len);
	else if (type == 3 && len == sizeof(ns->uuid))
		memcpy(&ns->uuid, value, len);
	else if (type == 4 && len == 1)
		ns->csi = value[0];
}

void nvme_decode_descriptors(const uint8_t *page, tarn_nvme_namespace *ns)
{
	for (size_t at = 0; at + 4 < TARN_NVME_PAGE; at += 4u + page[at + 1]) {
		unsigned len = page[at + 1];

		if (!len || at + 4 + len > TARN_NVME_PAGE)
			return;
		decode_descriptor(page[at], page + at + 4, len, ns);
	}
}

void nvme_decode_health(const uint8_t *page, tarn_nvme_health *health)
{
	uint64_t *const counters[] = { &health->data_units_read,  &health->data_units_written, &health->read_commands,
				       &health->write_commands,	  &health->busy_minutes,       &health->power_cycles,
				       &health->power_on_hours,	  &health->unsafe_shutdowns,   &health->media_errors,
				       &health->error_log_entries };

	health->critical_warning = page[0];
	health->temperature	 = get16(page + 1);
	health->available_spare	 = page[3];
	health->spare_threshold	 = page[4];
	health->percentage_used	 = page[5];
	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		*counters[i] = get128(page + 32 + 16 * i);
	health->warning_temperature_minutes  = get32(page + 192);
	health->critical_temperature_minutes = get32(page + 196);
	for (size_t i = 0; i < ARRAY_LEN(health->sensors); i++)
		health->sensors[i] = get16(page + 200 + 2 * i);
}

void nvme_decode_firmware(const uint8_t *page, tarn_nvme_firmware *firmware)
{
	firmware->active = page[0] & 7;
	firmware->next	 = page[0] >> 4 & 7;
	for (size_t i = 0; i < ARRAY_LEN(firmware->revision); i++)
		get_text(firmware->revision[i], page + 8 + 8 * i, 8);
}

/* The entry has the phase bit of the completion below the status. */
void nvme_decode_error(const uint8_t *entry, tarn_nvme_error *error)
{
	*error = (tarn_nvme_error){
		.number	   = get64(entry),
		.queue	   = get16(entry + 8),
		.command   = get16(entry + 10),
		.status	   = get16(entry + 12) >> 1,
		.parameter = get16(entry + 14),
		.lba	   = get64(entry + 16),
		.nsid	   = get32(entry + 24),
	};
}
