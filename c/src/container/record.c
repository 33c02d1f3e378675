/* SPDX-License-Identifier: Apache-2.0 */
/* container/record.c: a container's record as protobuf (proto/tarn/store/v1/container.proto), and its properties. */
#include "container.h"
#include <stdio.h>
#include <tarn/store/v1/container.pb-c.h>

size_t record_encode(const struct record *record, uint8_t *buf)
{
	Tarn__Store__V1__ContainerProperties props = TARN__STORE__V1__CONTAINER_PROPERTIES__INIT;
	Tarn__Store__V1__ContainerRecord     out   = TARN__STORE__V1__CONTAINER_RECORD__INIT;

	props.owner	  = (char *)record->props.owner;
	props.description = (char *)record->props.description;
	props.value_max	  = record->props.value_max;
	props.durability  = record->props.durability;
	props.group	  = (char *)record->props.group;
	out.uuid	  = (ProtobufCBinaryData){ sizeof(record->uuid.bytes), (uint8_t *)record->uuid.bytes };
	out.label	  = (char *)record->label;
	out.type	  = (uint32_t)record->type;
	out.tree	  = record->tree;
	out.created_ns	  = record->created_ns;
	out.properties	  = &props;
	return tarn__store__v1__container_record__pack(&out, buf);
}

static bool copy_string(char *to, size_t room, const char *from)
{
	size_t len = strlen(from);

	if (len >= room)
		return false;
	memcpy(to, from, len + 1);
	return true;
}

static int decode(const Tarn__Store__V1__ContainerRecord *in, struct record *record)
{
	bool good = in->uuid.len == sizeof(record->uuid.bytes) && in->properties && in->tree >= TREE_FIRST;

	memset(record, 0, sizeof(*record));
	good = good && copy_string(record->label, sizeof(record->label), in->label) &&
	       copy_string(record->props.owner, OWNER_SIZE, in->properties->owner) &&
	       copy_string(record->props.group, OWNER_SIZE, in->properties->group) &&
	       copy_string(record->props.description, DESCRIPTION_SIZE, in->properties->description);
	if (!good)
		return fail(DF_INVAL, "a container's record lacks a field, or has one that is too long");
	memcpy(record->uuid.bytes, in->uuid.data, sizeof(record->uuid.bytes));
	record->type		 = (tarn_cont_type)in->type;
	record->tree		 = in->tree;
	record->created_ns	 = in->created_ns;
	record->props.value_max	 = in->properties->value_max;
	record->props.durability = in->properties->durability;
	return 0;
}

int record_decode(const void *buf, size_t len, struct record *record)
{
	Tarn__Store__V1__ContainerRecord *in = tarn__store__v1__container_record__unpack(NULL, len, buf);
	int				  rc;

	if (!in)
		return fail(DF_INVAL, "a container's record (%zu bytes) cannot be read as ContainerRecord", len);
	rc = decode(in, record);
	tarn__store__v1__container_record__free_unpacked(in, NULL);
	return rc;
}

static int set_string(const char *what, const char *value, char *to, size_t room)
{
	if (!value)
		return fail(INVAL, "the property %s is a string: this one is NULL", what);
	if (!copy_string(to, room, value))
		return fail(INVAL, "the property %s has at most %zu bytes: this one has %zu", what, room - 1, strlen(value));
	return 0;
}

static int set_value_max(uint64_t number, struct props *props)
{
	if (number == 0 || number > TARN_VALUE_MAX)
		return fail(INVAL, "the property value_max is 1 to %llu: this one is %llu", (unsigned long long)TARN_VALUE_MAX,
			    (unsigned long long)number);
	props->value_max = number;
	return 0;
}

static int set_durability(uint64_t number, struct props *props)
{
	if (number > TARN_DURABILITY_RELAXED)
		return fail(INVAL, "the property durability is %d (durable) or %d (relaxed): this one is %llu",
			    TARN_DURABILITY_DURABLE, TARN_DURABILITY_RELAXED, (unsigned long long)number);
	props->durability = (uint32_t)number;
	return 0;
}

static int set_one(const tarn_prop *prop, struct props *props)
{
	switch (prop->id) {
	case TARN_PROP_OWNER:
		return set_string("owner", prop->string, props->owner, OWNER_SIZE);
	case TARN_PROP_GROUP:
		return set_string("group", prop->string, props->group, OWNER_SIZE);
	case TARN_PROP_DESCRIPTION:
		return set_string("description", prop->string, props->description, DESCRIPTION_SIZE);
	case TARN_PROP_VALUE_MAX:
		return set_value_max(prop->number, props);
	case TARN_PROP_DURABILITY:
		return set_durability(prop->number, props);
	}
	return fail(INVAL, "there is no property with the number %d", (int)prop->id);
}

int props_check(const tarn_prop *props, size_t n, struct prop_change *change)
{
	int rc = 0;

	memset(change, 0, sizeof(*change));
	if (n && !props)
		return fail(INVAL, "%zu properties are announced, and none is given (NULL)", n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = set_one(&props[i], &change->props);
		if (rc == 0 && (change->set & 1u << props[i].id))
			rc = fail(INVAL, "the property with the number %d is given twice", (int)props[i].id);
		if (rc == 0)
			change->set |= 1u << props[i].id;
	}
	return rc;
}

void props_apply(struct props *props, const struct prop_change *change)
{
	if (change->set & 1u << TARN_PROP_OWNER)
		memcpy(props->owner, change->props.owner, sizeof(props->owner));
	if (change->set & 1u << TARN_PROP_GROUP)
		memcpy(props->group, change->props.group, sizeof(props->group));
	if (change->set & 1u << TARN_PROP_DESCRIPTION)
		memcpy(props->description, change->props.description, sizeof(props->description));
	if (change->set & 1u << TARN_PROP_VALUE_MAX)
		props->value_max = change->props.value_max;
	if (change->set & 1u << TARN_PROP_DURABILITY)
		props->durability = change->props.durability;
}

void record_fill_info(const struct record *record, unsigned opens, tarn_cont_info *info)
{
	memset(info, 0, sizeof(*info));
	info->uuid = record->uuid;
	memcpy(info->label, record->label, sizeof(info->label));
	info->type	   = record->type;
	info->open_handles = opens;
	info->created_ns   = record->created_ns;
	info->value_max	   = record->props.value_max ? record->props.value_max : TARN_VALUE_MAX;
	info->durability   = (tarn_durability)record->props.durability;
	memcpy(info->owner, record->props.owner, sizeof(info->owner));
	memcpy(info->group, record->props.group, sizeof(info->group));
	memcpy(info->description, record->props.description, sizeof(info->description));
}
