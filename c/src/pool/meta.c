/* SPDX-License-Identifier: Apache-2.0 */
/* pool/meta.c: the pool's own record in a target's superblock, as protobuf (proto/tarn/store/v1/pool.proto). */
#include "pool.h"
#include <tarn/store/v1/pool.pb-c.h>

size_t meta_encode(const struct pool_meta *meta, const tarn_uuid *target, uint64_t size, uint8_t *buf)
{
	Tarn__Store__V1__Target	  one = TARN__STORE__V1__TARGET__INIT, *targets[] = { &one };
	Tarn__Store__V1__PoolMap  map	 = TARN__STORE__V1__POOL_MAP__INIT;
	Tarn__Store__V1__PoolMeta record = TARN__STORE__V1__POOL_META__INIT;
	static const tarn_uuid	  none;

	one.uuid	  = (ProtobufCBinaryData){ sizeof(target->bytes), (uint8_t *)target->bytes };
	one.size	  = size;
	one.state	  = TARN__STORE__V1__TARGET_STATE__TARGET_STATE_UP;
	map.version	  = meta->map.version;
	map.n_targets	  = 1;
	map.targets	  = targets;
	record.uuid	  = (ProtobufCBinaryData){ sizeof(meta->uuid.bytes), (uint8_t *)meta->uuid.bytes };
	record.label	  = (char *)meta->label;
	record.created_ns = meta->created_ns;
	record.map	  = &map;
	if (memcmp(&meta->request, &none, sizeof(none)) != 0)
		record.request = (ProtobufCBinaryData){ sizeof(meta->request.bytes), (uint8_t *)meta->request.bytes };
	return tarn__store__v1__pool_meta__pack(&record, buf);
}

static int decode(const Tarn__Store__V1__PoolMeta *record, struct pool_meta *meta)
{
	if (record->uuid.len != sizeof(meta->uuid.bytes) || !record->map)
		return fail(DF_INVAL, "the pool's record lacks its UUID or its map");
	if (record->map->n_targets != 1)
		return fail(DF_INCOMPT, "the pool has %zu targets: this version of the library opens pools of one",
			    record->map->n_targets);
	if (label_check("pool", record->label) != 0)
		return fail(DF_INVAL, "the pool's record holds no valid label");
	memset(meta, 0, sizeof(*meta));
	memcpy(meta->uuid.bytes, record->uuid.data, sizeof(meta->uuid.bytes));
	memcpy(meta->label, record->label, strlen(record->label));
	meta->created_ns  = record->created_ns;
	meta->map.version = record->map->version;
	meta->map.targets = (uint32_t)record->map->n_targets;
	if (record->request.len == sizeof(meta->request.bytes))
		memcpy(meta->request.bytes, record->request.data, sizeof(meta->request.bytes));
	return 0;
}

int meta_decode(const void *buf, size_t len, struct pool_meta *meta)
{
	Tarn__Store__V1__PoolMeta *record = tarn__store__v1__pool_meta__unpack(NULL, len, buf);
	int			   rc;

	if (!record)
		return fail(DF_INVAL, "the pool's record (%zu bytes) cannot be read as PoolMeta", len);
	rc = decode(record, meta);
	tarn__store__v1__pool_meta__free_unpacked(record, NULL);
	return rc;
}
