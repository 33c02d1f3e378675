/* SPDX-License-Identifier: Apache-2.0 */
/* container/snapshot.c: the snapshots of a container, and its end. See container.h.
 *
 * The store keeps a snapshot under its epoch alone. The catalogue's record gives it a name; it is put by the batch that takes the
 * snapshot, so the record's revision is the epoch, and is found under the name, or under a random key that no name can be. */
#include "catalog.h"
#include <stdlib.h>
#include <tarn/store/v1/container.pb-c.h>

#define RECORD_BYTES 16	  /* of an encoded SnapshotRecord, at most */
#define NAMELESS     9	  /* bytes in the place of a name: a zero, which no name has, and 8 random ones */
#define DROP_MAX     1024 /* records that go with their container in one batch */

struct kept_key { /* what stands behind the uuid in a record's key */
	uint8_t bytes[TARN_LABEL_MAX];
	size_t	len;
};

struct kept {
	struct kept_key key;
	tarn_snap_info	info;
};

static size_t encode(uint64_t created_ns, uint8_t buf[RECORD_BYTES])
{
	Tarn__Store__V1__SnapshotRecord record = TARN__STORE__V1__SNAPSHOT_RECORD__INIT;

	record.created_ns = created_ns;
	return tarn__store__v1__snapshot_record__pack(&record, buf);
}

static int decode(tarn_buf key, tarn_buf value, uint64_t epoch, struct kept *snapshot)
{
	Tarn__Store__V1__SnapshotRecord *record = tarn__store__v1__snapshot_record__unpack(NULL, value.len, value.ptr);

	memset(snapshot, 0, sizeof(*snapshot));
	if (!record || key.len == 0 || key.len > TARN_LABEL_MAX) {
		if (record)
			tarn__store__v1__snapshot_record__free_unpacked(record, NULL);
		return fail(DF_INVAL, "the record of the snapshot of epoch %llu (%zu bytes) is malformed",
			    (unsigned long long)epoch, value.len);
	}
	snapshot->info.epoch	  = epoch;
	snapshot->info.created_ns = record->created_ns;
	snapshot->key.len	  = key.len;
	memcpy(snapshot->key.bytes, key.ptr, key.len);
	if (snapshot->key.bytes[0])
		memcpy(snapshot->info.name, key.ptr, key.len);
	tarn__store__v1__snapshot_record__free_unpacked(record, NULL);
	return 0;
}

/* ---- finding ---- */

/* 0: goes on; more: enough; less: an error. */
typedef int (*snapshot_visit)(const struct kept *snapshot, void *arg);

struct walk {
	const tarn_uuid	  *uuid;
	snapshot_visit	   visit;
	void		  *arg;
	struct catalog_key start, end;
};

static struct store_range make_range(struct walk *walk)
{
	walk->start = key_of_snapshot(walk->uuid, NULL, 0);
	walk->end   = key_of_snapshot(walk->uuid, "\xff", 1);
	return (struct store_range){ .start = key_buf(&walk->start), .end = key_buf(&walk->end), .strip = walk->start.len };
}

/* Visits a batch, and leaves its last key, for the next one to start after. */
static int visit_batch(struct walk *walk, const void *buf, uint32_t n)
{
	const uint8_t *at = buf;
	int	       rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const tarn_entry *entry = (const void *)at;
		tarn_buf	  key	= { at + sizeof(*entry), entry->key_len };
		tarn_buf	  value = { at + sizeof(*entry) + entry->key_len, entry->val_len };
		struct kept	  snapshot;

		rc = decode(key, value, entry->revision, &snapshot);
		if (rc)
			return rc;
		walk->start = key_of_snapshot(walk->uuid, key.ptr, key.len);
		rc	    = walk->visit(&snapshot, walk->arg);
		at += ROUND_UP(sizeof(*entry) + key.len + value.len, 8);
	}
	return rc;
}

/* In the order of their names; those without one first. The last answer of visit. */
static int each(struct pool *pool, const tarn_uuid *uuid, snapshot_visit visit, void *arg)
{
	struct walk	   walk	   = { .uuid = uuid, .visit = visit, .arg = arg };
	struct store_range range   = make_range(&walk);
	tarn_listing	   listing = { .more = 1 };
	uint64_t	   buf[2048];
	int		   rc = 0;

	while (rc == 0 && listing.more) {
		rc = pool->driver->ops->list(pool->driver, CATALOG, &range, 0, buf, sizeof(buf), &listing, 0);
		if (rc == 0)
			rc = visit_batch(&walk, buf, listing.count);
		range.start = key_buf(&walk.start);
		range.flags = TARN_RANGE_AFTER;
	}
	return rc;
}

int snapshot_count(struct pool *pool, const tarn_uuid *uuid, uint64_t *count)
{
	struct walk	   walk	 = { .uuid = uuid };
	struct store_range range = make_range(&walk);

	return pool->driver->ops->count(pool->driver, CATALOG, &range, count, 0);
}

static int match_epoch(const struct kept *snapshot, void *arg)
{
	struct kept *wanted = arg;

	if (snapshot->info.epoch != wanted->info.epoch)
		return 0;
	*wanted = *snapshot;
	return 1;
}

static int find_epoch(struct pool *pool, const struct record *record, uint64_t epoch, struct kept *snapshot)
{
	int rc;

	snapshot->info.epoch = epoch;
	rc		     = each(pool, &record->uuid, match_epoch, snapshot);
	if (rc == 0)
		return fail(NONEXIST, "container %s has no snapshot of epoch %llu", record->label, (unsigned long long)epoch);
	return rc < 0 ? rc : 0;
}

static int find_name(struct pool *pool, const struct record *record, const char *name, uint64_t *epoch)
{
	uint8_t buf[RECORD_BYTES];
	size_t	len = sizeof(buf);
	int	rc  = label_check("snapshot", name);

	if (rc)
		return rc;
	rc = catalog_get(pool, key_of_snapshot(&record->uuid, name, strlen(name)), buf, &len, epoch);
	if (rc == -TARN_E_NONEXIST)
		return fail(NONEXIST, "container %s has no snapshot %s", record->label, name);
	return rc;
}

struct gathering {
	tarn_snap_info *infos;
	size_t		room, n;
};

static int gather(const struct kept *snapshot, void *arg)
{
	struct gathering *gathering = arg;

	if (gathering->n < gathering->room)
		gathering->infos[gathering->n] = snapshot->info;
	gathering->n++;
	return 0;
}

static int by_epoch(const void *a, const void *b)
{
	uint64_t x = ((const tarn_snap_info *)a)->epoch, y = ((const tarn_snap_info *)b)->epoch;

	return (x > y) - (x < y);
}

int snapshot_list(struct container *container, tarn_snap_info *infos, size_t room, size_t *n)
{
	struct gathering gathering = { .infos = infos, .room = room };
	int		 rc	   = each(container->pool, &container->record.uuid, gather, &gathering);

	if (rc)
		return rc;
	*n = gathering.n;
	if (gathering.n <= room && gathering.n)
		qsort(infos, gathering.n, sizeof(*infos), by_epoch);
	return 0;
}

/* ---- making and ending ---- */

static struct catalog_key make_key(const tarn_uuid *uuid, const char *name)
{
	uint8_t nameless[NAMELESS] = { 0 };

	if (name)
		return key_of_snapshot(uuid, name, strlen(name));
	put64(nameless + 1, base_random());
	return key_of_snapshot(uuid, nameless, sizeof(nameless));
}

static int create_locked(struct container *container, const char *name, uint64_t *lsn)
{
	struct driver	     *driver = container->pool->driver;
	struct catalog_key    key    = make_key(&container->record.uuid, name);
	uint8_t		      buf[RECORD_BYTES];
	struct store_mutation muts[] = {
		{ .change = STORE_PUT,
		  .cond	  = TARN_COND_INSERT,
		  .tree	  = CATALOG_TREE,
		  .key	  = key_buf(&key),
		  .val	  = { buf, encode(base_now_ns(), buf) } },
		{ .change = STORE_SNAP, .tree = container->tree },
	};
	int rc = driver->ops->apply(driver, muts, ARRAY_LEN(muts), 0, lsn, NULL);

	if (rc == -TARN_E_EXIST)
		return fail(EXIST, "container %s has a snapshot %s already: choose another name", container->record.label,
			    name ? name : "under that random key");
	return rc;
}

int snapshot_create(struct container *container, const char *name, uint64_t *epoch, uint64_t *lsn)
{
	int rc = name ? label_check("snapshot", name) : 0;

	if (rc)
		return rc;
	pthread_mutex_lock(&container->pool->lock);
	rc = create_locked(container, name, lsn);
	pthread_mutex_unlock(&container->pool->lock);
	if (rc == 0 && epoch)
		*epoch = *lsn;
	return rc;
}

static int end(struct pool *pool, const struct record *record, const struct kept *snapshot, uint64_t *lsn)
{
	struct catalog_key    key    = key_of_snapshot(&record->uuid, snapshot->key.bytes, snapshot->key.len);
	struct store_mutation muts[] = {
		{ .change = STORE_DEL, .tree = CATALOG_TREE, .key = key_buf(&key) },
		{ .change = STORE_UNSNAP, .tree = record->tree, .revision = snapshot->info.epoch },
	};

	return pool->driver->ops->apply(pool->driver, muts, ARRAY_LEN(muts), 0, lsn, NULL);
}

static int destroy_locked(struct container *container, uint64_t epoch, uint64_t *lsn)
{
	struct pool *pool = container->pool;
	struct kept  snapshot;
	unsigned     opens;
	int	     rc;

	rc = find_epoch(pool, &container->record, epoch, &snapshot);
	if (rc)
		return rc;
	opens = container_opens(pool, &container->record.uuid, epoch);
	if (opens)
		return fail(BUSY, "the snapshot of epoch %llu of container %s is open (%u handles): close them first",
			    (unsigned long long)epoch, container->record.label, opens);
	return end(pool, &container->record, &snapshot, lsn);
}

int snapshot_destroy(struct container *container, uint64_t epoch, uint64_t *lsn)
{
	int rc;

	if (!epoch)
		return fail(NONEXIST, "container %s has no snapshot of epoch 0: epochs begin at 1", container->record.label);
	pthread_mutex_lock(&container->pool->lock);
	rc = destroy_locked(container, epoch, lsn);
	pthread_mutex_unlock(&container->pool->lock);
	return rc;
}

static int open_locked(struct pool *pool, const char *container, uint64_t epoch, const char *name, struct container **out)
{
	struct kept   snapshot;
	struct record record;
	int	      rc;

	rc = catalog_find(pool, container, &record);
	if (rc == 0 && name)
		rc = find_name(pool, &record, name, &epoch);
	else if (rc == 0)
		rc = find_epoch(pool, &record, epoch, &snapshot);
	return rc ? rc : container_open_epoch(pool, &record, epoch, out);
}

int snapshot_open(struct pool *pool, const char *container, uint64_t epoch, const char *name, struct container **out)
{
	int rc;

	pthread_mutex_lock(&pool->lock);
	rc = open_locked(pool, container, epoch, name, out);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

/* ---- the end of a container ---- */

struct all {
	struct kept *snapshots;
	size_t	     n, cap;
};

static int keep(const struct kept *snapshot, void *arg)
{
	struct all *all = arg;

	if (all->n == all->cap) {
		size_t	     cap  = MAX(2 * all->cap, 64u);
		struct kept *more = realloc(all->snapshots, cap * sizeof(*more));

		if (!more)
			return fail(NOMEM, "no memory to list %zu snapshots", cap);
		all->snapshots = more;
		all->cap       = cap;
	}
	all->snapshots[all->n++] = *snapshot;
	return 0;
}

struct drop {
	struct catalog_key    label, uuid, access, keys[DROP_MAX];
	struct store_mutation muts[DROP_MAX + 4];
};

static void del(struct store_mutation *mut, const struct catalog_key *key)
{
	*mut = (struct store_mutation){ .change = STORE_DEL, .tree = CATALOG_TREE, .key = key_buf(key) };
}

/* The record, the label, the tree and all that is left of the snapshots, in one batch. */
static int drop(struct pool *pool, const struct record *record, const struct all *all, uint64_t *lsn)
{
	struct drop *drop = malloc(sizeof(*drop));
	size_t	     n	  = 0;
	int	     rc;

	if (!drop)
		return fail(NOMEM, "no memory to destroy container %s", record->label);
	drop->label  = key_of_label(record->label);
	drop->uuid   = key_of_uuid(&record->uuid);
	drop->access = key_of_access(&record->uuid);
	del(&drop->muts[n++], &drop->label);
	del(&drop->muts[n++], &drop->uuid);
	del(&drop->muts[n++], &drop->access);
	for (size_t i = 0; i < all->n; i++) {
		drop->keys[i] = key_of_snapshot(&record->uuid, all->snapshots[i].key.bytes, all->snapshots[i].key.len);
		del(&drop->muts[n++], &drop->keys[i]);
	}
	drop->muts[n++] = (struct store_mutation){ .change = STORE_DROP, .tree = record->tree };
	rc		= pool->driver->ops->apply(pool->driver, drop->muts, n, 0, lsn, NULL);
	free(drop);
	return rc;
}

static int shed(struct pool *pool, const struct record *record, struct all *all, size_t n, uint64_t *lsn)
{
	int rc = 0;

	while (rc == 0 && all->n > n) {
		rc = end(pool, record, &all->snapshots[all->n - 1], lsn);
		all->n -= rc == 0;
	}
	return rc;
}

/* A crash leaves all of the container or nothing of it. When its snapshots are too many for one record of the log, some of them are
 * destroyed before, one by one: then a crash may leave the container with fewer snapshots. */
int snapshot_drop_all(struct pool *pool, const struct record *record, uint64_t *lsn)
{
	struct all all = { 0 };
	int	   rc  = each(pool, &record->uuid, keep, &all);

	if (rc == 0)
		rc = shed(pool, record, &all, DROP_MAX, lsn);
	if (rc == 0)
		rc = drop(pool, record, &all, lsn);
	while (rc == -TARN_E_REC2BIG && all.n) {
		rc = shed(pool, record, &all, all.n / 2, lsn);
		if (rc == 0)
			rc = drop(pool, record, &all, lsn);
	}
	free(all.snapshots);
	return rc;
}
