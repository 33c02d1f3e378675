/* SPDX-License-Identifier: Apache-2.0 */
/* device/zones.c: zones in software. See zones.h.
 *
 * Always true, under the lock: `open` counts the zones that are implicitly or explicitly open, `active` those and the closed ones;
 * neither is over its limit. An empty zone's write pointer is at its begin, a full one's behind its capacity. */
#include "zones.h"

#include <stdlib.h>

struct zones {
	uint64_t	zone_bytes;
	uint32_t	count, max_open, max_active; /* limits: UINT32_MAX when there is none */
	zones_wipe     *wipe;
	pthread_mutex_t lock;
	/* Under the lock: */
	uint32_t      open, active;
	tarn_dev_zone zone[];
};

int zones_create(const struct device_params *params, zones_wipe *wipe, struct zones **out)
{
	uint32_t      count = params->zone ? (uint32_t)(params->size / params->zone) : 0;
	struct zones *zones;

	*out = NULL;
	if (!count)
		return 0;
	zones = calloc(1, sizeof(*zones) + count * sizeof(zones->zone[0]));
	if (!zones)
		return fail(NOMEM, "no memory for %u zones", count);
	zones->zone_bytes = params->zone;
	zones->count	  = count;
	zones->max_open	  = params->max_open ? (uint32_t)params->max_open : UINT32_MAX;
	zones->max_active = params->max_active ? (uint32_t)params->max_active : UINT32_MAX;
	zones->wipe	  = wipe;
	pthread_mutex_init(&zones->lock, NULL);
	for (uint32_t i = 0; i < count; i++)
		zones->zone[i] = (tarn_dev_zone){ .offset	 = i * params->zone,
						  .bytes	 = params->zone,
						  .capacity	 = params->zone_capacity,
						  .write_pointer = i * params->zone,
						  .type		 = TARN_ZONE_SEQUENTIAL,
						  .state	 = TARN_ZONE_EMPTY };
	*out = zones;
	return 0;
}

void zones_destroy(struct zones *zones)
{
	if (!zones)
		return;
	pthread_mutex_destroy(&zones->lock);
	free(zones);
}

void zones_describe(const struct device_params *params, tarn_dev_info *info)
{
	if (!params->zone)
		return;
	info->zoned	       = 1;
	info->zone_bytes       = params->zone;
	info->zone_count       = (uint32_t)(params->size / params->zone);
	info->max_open_zones   = (uint32_t)params->max_open;
	info->max_active_zones = (uint32_t)params->max_active;
}

static bool is_open(const tarn_dev_zone *zone)
{
	return zone->state == TARN_ZONE_IMPLICITLY_OPEN || zone->state == TARN_ZONE_EXPLICITLY_OPEN;
}

static bool is_active(const tarn_dev_zone *zone)
{
	return is_open(zone) || zone->state == TARN_ZONE_CLOSED;
}

static uint64_t left_in(const tarn_dev_zone *zone)
{
	return zone->offset + zone->capacity - zone->write_pointer;
}

/* Lock held, as in all that follows up to the calls from outside. */
static void set_state(struct zones *zones, tarn_dev_zone *zone, tarn_dev_zone_state state)
{
	zones->open -= is_open(zone);
	zones->active -= is_active(zone);
	zone->state = state;
	zones->open += is_open(zone);
	zones->active += is_active(zone);
}

/* Closes a zone that a write has opened, if there is one. */
static bool close_implicit(struct zones *zones)
{
	for (uint32_t i = 0; i < zones->count; i++)
		if (zones->zone[i].state == TARN_ZONE_IMPLICITLY_OPEN) {
			set_state(zones, &zones->zone[i], TARN_ZONE_CLOSED);
			return true;
		}
	return false;
}

static int open_zone(struct zones *zones, tarn_dev_zone *zone, tarn_dev_zone_state state)
{
	if (!is_active(zone) && zones->active >= zones->max_active)
		return fail(NOSPACE, "zone at %llu: %u are active, which is all that can be; finish or reset one",
			    (unsigned long long)zone->offset, zones->active);
	if (!is_open(zone) && zones->open >= zones->max_open && !close_implicit(zones))
		return fail(NOSPACE, "zone at %llu: %u are open, which is all that can be; close one",
			    (unsigned long long)zone->offset, zones->open);
	set_state(zones, zone, state);
	return 0;
}

static tarn_dev_zone *zone_of(struct zones *zones, uint64_t offset)
{
	return &zones->zone[offset / zones->zone_bytes];
}

/* Whether len bytes can go to `at` in zone. */
static int check_place(const tarn_dev_zone *zone, const char *what, uint64_t at, uint64_t len)
{
	if (at != zone->write_pointer)
		return fail(INVAL, "%s at %llu: the write pointer of its zone is at %llu", what, (unsigned long long)at,
			    (unsigned long long)zone->write_pointer);
	if (len > left_in(zone))
		return fail(NOSPACE, "%s of %llu bytes at %llu: its zone has room for %llu", what, (unsigned long long)len,
			    (unsigned long long)at, (unsigned long long)left_in(zone));
	return 0;
}

static int claim(struct zones *zones, tarn_dev_io *io)
{
	tarn_dev_zone *zone = zone_of(zones, io->offset);
	uint64_t       at   = io->opcode == TARN_DEV_ZONE_APPEND ? zone->write_pointer : io->offset;
	bool	       kept = zone->state == TARN_ZONE_EXPLICITLY_OPEN;
	int	       rc   = check_place(zone, device_opcode_name(io->opcode), at, io->len);

	if (!rc)
		rc = open_zone(zones, zone, kept ? TARN_ZONE_EXPLICITLY_OPEN : TARN_ZONE_IMPLICITLY_OPEN);
	if (rc)
		return rc;
	io->offset = at;
	zone->write_pointer += io->len;
	if (!left_in(zone))
		set_state(zones, zone, TARN_ZONE_FULL);
	return 0;
}

int zones_claim(struct zones *zones, tarn_dev_io *io)
{
	int rc;

	if (!zones)
		return 0;
	if (io->opcode == TARN_DEV_DISCARD)
		return fail(NOTSUPPORTED, "discard at %llu: it lies in a zone; reset the zone", (unsigned long long)io->offset);
	if (io->opcode != TARN_DEV_WRITE && io->opcode != TARN_DEV_WRITE_ZEROES && io->opcode != TARN_DEV_ZONE_APPEND)
		return 0;
	pthread_mutex_lock(&zones->lock);
	rc = claim(zones, io);
	pthread_mutex_unlock(&zones->lock);
	return rc;
}

int zones_report(struct zones *zones, uint64_t offset, tarn_dev_zone *out, uint32_t *count)
{
	uint32_t first = (uint32_t)(offset / zones->zone_bytes);

	*count = MIN(*count, zones->count - first);
	pthread_mutex_lock(&zones->lock);
	memcpy(out, &zones->zone[first], *count * sizeof(*out));
	pthread_mutex_unlock(&zones->lock);
	return 0;
}

static int check_state(const tarn_dev_zone *zone, enum device_zone_action action)
{
	if (action == DEVICE_ZONE_OPEN && zone->state == TARN_ZONE_FULL)
		return fail(INVAL, "zone at %llu is full: reset it to open it", (unsigned long long)zone->offset);
	if (action == DEVICE_ZONE_CLOSE && !is_active(zone))
		return fail(INVAL, "zone at %llu is not open: there is nothing to close", (unsigned long long)zone->offset);
	return 0;
}

/* How many zones of the range an open would make open, and active. */
static int check_limits(const struct zones *zones, const tarn_dev_zone *from, const tarn_dev_zone *to)
{
	uint32_t open = 0, active = 0, implicit = 0;

	for (const tarn_dev_zone *zone = from; zone < to; zone++) {
		open += zone->state != TARN_ZONE_EXPLICITLY_OPEN;
		active += !is_active(zone);
	}
	for (uint32_t i = 0; i < zones->count; i++)
		implicit += zones->zone[i].state == TARN_ZONE_IMPLICITLY_OPEN;
	if (active > zones->max_active - zones->active)
		return fail(NOSPACE, "open of %u more zones: %u are active, at most %u can be; finish or reset some", active,
			    zones->active, zones->max_active);
	if (open > zones->max_open - (zones->open - implicit))
		return fail(NOSPACE, "open of %u more zones: %u are open, at most %u can be; close some", open,
			    zones->open - implicit, zones->max_open);
	return 0;
}

static int check_manage(const struct zones *zones, enum device_zone_action action, const tarn_dev_zone *from,
			const tarn_dev_zone *to)
{
	int rc = 0;

	for (const tarn_dev_zone *zone = from; !rc && zone < to; zone++)
		rc = check_state(zone, action);
	return !rc && action == DEVICE_ZONE_OPEN ? check_limits(zones, from, to) : rc;
}

static void reset(struct zones *zones, struct device *dev, tarn_dev_zone *zone)
{
	zones->wipe(dev, zone->offset, zone->write_pointer - zone->offset);
	zone->write_pointer = zone->offset;
	set_state(zones, zone, TARN_ZONE_EMPTY);
}

static void act(struct zones *zones, struct device *dev, enum device_zone_action action, tarn_dev_zone *zone)
{
	switch (action) {
	case DEVICE_ZONE_OPEN:
		open_zone(zones, zone, TARN_ZONE_EXPLICITLY_OPEN); /* the limits allow it */
		break;
	case DEVICE_ZONE_CLOSE: /* one that was never written is empty again */
		set_state(zones, zone, zone->write_pointer == zone->offset ? TARN_ZONE_EMPTY : TARN_ZONE_CLOSED);
		break;
	case DEVICE_ZONE_FINISH:
		zone->write_pointer = zone->offset + zone->capacity;
		set_state(zones, zone, TARN_ZONE_FULL);
		break;
	case DEVICE_ZONE_RESET:
		reset(zones, dev, zone);
		break;
	}
}

int zones_manage(struct zones *zones, struct device *dev, enum device_zone_action action, uint64_t offset, uint64_t len)
{
	tarn_dev_zone *from = zone_of(zones, offset), *to = from + len / zones->zone_bytes;
	int	       rc;

	pthread_mutex_lock(&zones->lock);
	rc = check_manage(zones, action, from, to);
	for (tarn_dev_zone *zone = from; !rc && zone < to; zone++)
		act(zones, dev, action, zone);
	pthread_mutex_unlock(&zones->lock);
	return rc;
}
