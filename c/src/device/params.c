/* SPDX-License-Identifier: Apache-2.0 */
/* device/params.c: reading what stands behind mem: and sim: in a URI. See params.h.
 *
 * Always true: each key is in one table, with its kind of value; a value is read to its last character or refused. */
#include "params.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_MIN 512u
#define BLOCK_MAX 65536u
#define KEY_LEN	  32
#define ZONES_MAX (1u << 20)

#define KEY_ZONE_CAPACITY 2 /* its place in the table */

enum kind { SIZE, NUMBER, NTH };

static const struct key {
	const char *name;
	enum kind   kind;
	bool	    sim_only;
	size_t	    offset;
} keys[] = {
#define KEY(name, kind, sim_only, field)                                                                                         \
	{                                                                                                                        \
		name, kind, sim_only, offsetof(struct device_params, field)                                                      \
	}
	KEY("block", SIZE, false, block),
	KEY("zone", SIZE, false, zone),
	KEY("zone_capacity", SIZE, false, zone_capacity),
	KEY("max_open", NUMBER, false, max_open),
	KEY("max_active", NUMBER, false, max_active),
	KEY("seed", NUMBER, true, seed),
	KEY("error", NTH, true, error),
	KEY("never", NTH, true, never),
#undef KEY
};

static const char *const opcode_names[DEVICE_OPCODES] = {
	[TARN_DEV_READ] = "read",	[TARN_DEV_WRITE] = "write",
	[TARN_DEV_FLUSH] = "flush",	[TARN_DEV_DISCARD] = "discard",
	[TARN_DEV_COMPARE] = "compare", [TARN_DEV_WRITE_ZEROES] = "write_zeroes",
	[TARN_DEV_NOP] = NULL,		[TARN_DEV_ZONE_APPEND] = "zone_append",
};

/* Decimal digits. *end: the first character behind them. False: there are none, or they are too many. */
static bool parse_digits(const char *text, uint64_t *value, const char **end)
{
	char *stop;

	if (!isdigit((unsigned char)*text))
		return false;
	errno  = 0;
	*value = strtoull(text, &stop, 10);
	*end   = stop;
	return !errno;
}

/* "512", "64K", "1G": bytes, in powers of 1024. */
static bool parse_size(const char *text, uint64_t *value, const char **end)
{
	static const char units[] = "KMGT";
	const char	 *unit;
	unsigned	  shift;

	if (!parse_digits(text, value, end))
		return false;
	unit = **end ? strchr(units, **end) : NULL;
	if (!unit)
		return true;
	shift = 10 * (unsigned)(unit - units + 1);
	if (*value > UINT64_MAX >> shift)
		return false;
	*value <<= shift;
	(*end)++;
	return true;
}

/* "read:5" into the number of its opcode. */
static bool parse_nth(const char *text, uint64_t *nth, const char **end)
{
	size_t len = strcspn(text, ":");

	for (size_t i = 0; i < ARRAY_LEN(opcode_names); i++)
		if (opcode_names[i] && strlen(opcode_names[i]) == len && !strncmp(text, opcode_names[i], len) && text[len])
			return !nth[i] && parse_digits(text + len + 1, &nth[i], end) && nth[i];
	return false;
}

static bool is_given(const struct device_params *params, const struct key *key)
{
	return params->given >> (key - keys) & 1;
}

static bool parse_value(const struct key *key, const char *text, struct device_params *params, const char **end)
{
	uint64_t *field = (uint64_t *)((char *)params + key->offset);

	if (key->kind == NTH)
		return parse_nth(text, field, end);
	if (is_given(params, key))
		return false;
	params->given |= 1u << (key - keys);
	return key->kind == SIZE ? parse_size(text, field, end) : parse_digits(text, field, end);
}

static const struct key *find_key(const char *name, size_t len, bool sim)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strlen(keys[i].name) == len && !strncmp(name, keys[i].name, len) && (sim || !keys[i].sim_only))
			return &keys[i];
	return NULL;
}

/* One KEY=VALUE; *text goes behind it. */
static int parse_pair(const char *scheme, const char **text, struct device_params *params)
{
	size_t		  len	= strcspn(*text, "=&");
	int		  shown = (int)MIN(len, (size_t)KEY_LEN);
	const char	 *value = *text + len + 1, *end;
	const struct key *key	= find_key(*text, len, !strcmp(scheme, "sim"));

	if (!key)
		return fail(INVAL, "%s:%s: there is no key \"%.*s\"", scheme, params->text, shown, *text);
	if (value[-1] != '=' || !parse_value(key, value, params, &end) || (*end && *end != '&'))
		return fail(INVAL, "%s:%s: the value of %s does not fit, or it stands twice", scheme, params->text, key->name);
	*text = *end ? end + 1 : end;
	return *end == '&' && !**text ? fail(INVAL, "%s:%s: it ends with an &", scheme, params->text) : 0;
}

static int check_zones(const char *scheme, const struct device_params *p)
{
	if (!p->zone)
		return p->zone_capacity || p->max_open || p->max_active
			       ? fail(INVAL, "%s:%s: zone_capacity, max_open and max_active need zone=SIZE", scheme, p->text)
			       : 0;
	if (p->zone % p->block || p->size % p->zone || p->size / p->zone > ZONES_MAX)
		return fail(INVAL, "%s:%s: zone has to be a multiple of the block, a divisor of the size, and one of at most %u",
			    scheme, p->text, ZONES_MAX);
	if (!p->zone_capacity || p->zone_capacity > p->zone || p->zone_capacity % p->block)
		return fail(INVAL, "%s:%s: zone_capacity has to be a multiple of the block, and at most the zone", scheme,
			    p->text);
	if (p->max_open > UINT32_MAX || p->max_active > UINT32_MAX)
		return fail(INVAL, "%s:%s: max_open and max_active are at most %u", scheme, p->text, UINT32_MAX);
	if (p->max_active && p->max_open > p->max_active)
		return fail(INVAL, "%s:%s: max_open is more than max_active: an open zone is active", scheme, p->text);
	return 0;
}

static int check(const char *scheme, const struct device_params *p)
{
	if (p->block < BLOCK_MIN || p->block > BLOCK_MAX || p->block & (p->block - 1))
		return fail(INVAL, "%s:%s: block has to be a power of two, %u to %u", scheme, p->text, BLOCK_MIN, BLOCK_MAX);
	if (!p->size || p->size % p->block || p->size > PTRDIFF_MAX)
		return fail(INVAL, "%s:%s: the size has to be a multiple of %u, and not 0", scheme, p->text, (unsigned)p->block);
	return check_zones(scheme, p);
}

int device_params_parse(const char *scheme, const char *text, struct device_params *params)
{
	const char *at;
	int	    rc = 0;

	*params = (struct device_params){ .text = text, .block = BLOCK_MIN };
	if (!parse_size(text, &params->size, &at) || (*at && *at != '?'))
		return fail(INVAL, "%s:%s does not begin with a size: write %s:64M, with K, M, G or T", scheme, text, scheme);
	if (*at == '?' && !at[1])
		return fail(INVAL, "%s:%s: nothing stands behind the ?", scheme, text);
	at += *at == '?';
	while (!rc && *at)
		rc = parse_pair(scheme, &at, params);
	if (rc)
		return rc;
	if (!(params->given & 1u << KEY_ZONE_CAPACITY))
		params->zone_capacity = params->zone;
	return check(scheme, params);
}
