/* SPDX-License-Identifier: Apache-2.0 */
/* engine_rocksdb.cc: RocksDB, tuned. In C++, since the C interface of Debian's version has not all of the options.
 *
 * Bloom filters of 10 bits, HyperClockCache, filters and indexes pinned, memtables counted in the cache's budget where memory
 * is bounded, and direct I/O there; no compression (values are random); large values in blob files; recycled and preallocated
 * WAL files. Relaxed is a WAL that stays in memory until a thread writes and flushes it, every RELAXED_MS: what Tarn's relaxed
 * promises. Multi-get asks for asynchronous reads; Debian builds RocksDB without them (no io_uring, no coroutines), so they
 * are not. */
#include "bench.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_buffer_manager.h>

using namespace rocksdb;

namespace
{

constexpr unsigned QUIET_TRIES = 6000; /* a minute */
constexpr size_t   BLOB_LEAST  = 4096;

struct rocks {
	struct setup	  setup;
	DB		 *db = nullptr;
	WriteOptions	  write;
	std::atomic<bool> stop{ false };
	std::thread	  flusher; /* of the relaxed WAL */
};

struct rocks_session {
	struct rocks		  *owner;
	ReadOptions		   read;
	std::unique_ptr<Iterator>  it; /* refreshed before each use */
	PinnableSlice		   value;
	std::vector<Slice>	   keys;
	std::vector<PinnableSlice> values;
	std::vector<Status>	   statuses;
};

enum answer failed(const Status &status, const char *what)
{
	return answer_with(ANSWER_FAILED, "rocksdb: %s: %s", what, status.ToString().c_str());
}

enum answer answer_of(const Status &status, const char *what)
{
	return status.ok() ? ANSWER_OK : failed(status, what);
}

const char *rocks_version(void)
{
	static const std::string text = GetRocksVersionAsString(true);

	return text.c_str();
}

BlockBasedTableOptions table_options(const struct setup &setup, std::shared_ptr<Cache> cache)
{
	BlockBasedTableOptions table;

	table.block_cache = cache;
	table.filter_policy.reset(NewBloomFilterPolicy(10));
	table.format_version				       = 5;
	table.data_block_index_type			       = BlockBasedTableOptions::kDataBlockBinaryAndHash;
	table.cache_index_and_filter_blocks		       = setup.bounded; /* else they are outside it, which is faster */
	table.cache_index_and_filter_blocks_with_high_priority = true;
	table.metadata_cache_options.unpartitioned_pinning     = PinningTier::kAll;
	return table;
}

void memory_options(Options &options, const struct setup &setup)
{
	size_t memtables = setup.bounded ? setup.cache_bytes / 4 : 512 * MIB;
	auto   cache	 = HyperClockCacheOptions(setup.cache_bytes, 4096 + 256).MakeSharedCache();

	options.write_buffer_size		 = setup.bounded ? memtables / 2 : memtables / 4;
	options.max_write_buffer_number		 = 4;
	options.memtable_whole_key_filtering	 = true;
	options.memtable_prefix_bloom_size_ratio = 0.02;
	if (setup.bounded)
		options.write_buffer_manager = std::make_shared<WriteBufferManager>(memtables, cache);
	options.table_factory.reset(NewBlockBasedTableFactory(table_options(setup, cache)));
}

void file_options(Options &options, const struct setup &setup)
{
	options.compression			       = kNoCompression;
	options.level_compaction_dynamic_level_bytes   = true;
	options.max_open_files			       = -1;
	options.use_direct_reads		       = setup.bounded;
	options.use_direct_io_for_flush_and_compaction = setup.bounded;
	options.compaction_readahead_size	       = 2 * MIB;
	options.bytes_per_sync			       = MIB;
	options.recycle_log_file_num		       = 4;
	options.skip_stats_update_on_db_open	       = true;
	options.avoid_unnecessary_blocking_io	       = true;
	options.stats_dump_period_sec		       = 0;
	options.keep_log_file_num		       = 2;
	options.enable_blob_files		       = setup.value_len >= BLOB_LEAST;
	options.min_blob_size			       = BLOB_LEAST;
	options.enable_blob_garbage_collection	       = true;
}

Options options_of(const struct setup &setup)
{
	Options options;

	options.create_if_missing = true;
	options.IncreaseParallelism((int)std::max(2u, std::thread::hardware_concurrency()));
	options.enable_pipelined_write = !setup.relaxed;
	options.manual_wal_flush       = setup.relaxed;
	memory_options(options, setup);
	file_options(options, setup);
	return options;
}

void keep_flushing(struct rocks *r)
{
	while (!r->stop) {
		std::this_thread::sleep_for(std::chrono::milliseconds(RELAXED_MS));
		r->db->FlushWAL(true);
	}
}

/* What an earlier cell has left for compactions to do is not this one's. */
void wait_until_quiet(DB *db)
{
	uint64_t busy = 1, n;

	for (unsigned tries = 0; busy && tries < QUIET_TRIES; tries++) {
		busy = 0;
		for (const char *name : { "rocksdb.num-running-compactions", "rocksdb.compaction-pending",
					  "rocksdb.num-running-flushes", "rocksdb.mem-table-flush-pending" })
			busy += db->GetIntProperty(name, &n) ? n : 0;
		if (busy)
			std::this_thread::sleep_for(std::chrono::milliseconds(10));
	}
}

enum answer rocks_open(const struct setup *setup, void **out)
{
	auto   r      = std::make_unique<rocks>();
	Status status = DB::Open(options_of(*setup), setup->dir, &r->db);

	if (!status.ok())
		return failed(status, "open");
	wait_until_quiet(r->db);
	r->setup	    = *setup;
	r->write.sync	    = !setup->relaxed && !setup->loading;
	r->write.disableWAL = setup->loading;
	if (setup->relaxed)
		r->flusher = std::thread(keep_flushing, r.get());
	*out = r.release();
	return ANSWER_OK;
}

enum answer rocks_close(void *arg)
{
	std::unique_ptr<rocks> r((struct rocks *)arg);
	Status		       status;

	r->stop = true;
	if (r->flusher.joinable())
		r->flusher.join();
	CancelAllBackgroundWork(r->db, true);
	status = r->db->Close();
	delete r->db;
	return answer_of(status, "close");
}

enum answer rocks_write(struct rocks *r, const struct record *recs, size_t n)
{
	WriteBatch batch(n * (KEY_LEN + r->setup.value_len + 16));

	for (size_t i = 0; i < n; i++)
		batch.Put(Slice((const char *)recs[i].key, KEY_LEN), Slice((const char *)recs[i].val, r->setup.value_len));
	return answer_of(r->db->Write(r->write, &batch), "write");
}

enum answer rocks_load(void *arg, const struct record *recs, size_t n, bool ascending)
{
	(void)ascending;
	return rocks_write((struct rocks *)arg, recs, n);
}

enum answer rocks_settle(void *arg)
{
	auto		   *r = (struct rocks *)arg;
	CompactRangeOptions all;
	Status		    status = r->db->Flush(FlushOptions());

	all.bottommost_level_compaction = BottommostLevelCompaction::kIfHaveCompactionFilter;
	return status.ok() ? answer_of(r->db->CompactRange(all, nullptr, nullptr), "compact") : failed(status, "flush");
}

enum answer rocks_sync(void *arg)
{
	auto *r = (struct rocks *)arg;

	return r->setup.loading ? answer_of(r->db->Flush(FlushOptions()), "flush") : answer_of(r->db->FlushWAL(true), "sync");
}

enum answer rocks_disk_bytes(void *arg, uint64_t *bytes)
{
	return directory_bytes(((struct rocks *)arg)->setup.dir, bytes);
}

enum answer rocks_session_open(void *arg, void **out)
{
	auto *s = new rocks_session();

	s->owner	 = (struct rocks *)arg;
	s->read.async_io = true;
	s->keys.resize(COUNT_MAX);
	s->values.resize(COUNT_MAX);
	s->statuses.resize(COUNT_MAX);
	*out = s;
	return ANSWER_OK;
}

void rocks_session_close(void *arg)
{
	delete (struct rocks_session *)arg;
}

enum answer take(const Status &status, PinnableSlice &value, void *buf, size_t *len)
{
	enum answer answer = ANSWER_OK;

	if (status.IsNotFound())
		return ANSWER_ABSENT;
	if (!status.ok())
		return failed(status, "get");
	if (value.size() > *len)
		answer = answer_with(ANSWER_FAILED, "rocksdb: a value of %zu bytes", value.size());
	else
		memcpy(buf, value.data(), *len = value.size());
	value.Reset();
	return answer;
}

enum answer rocks_get(void *arg, const uint8_t *key, void *buf, size_t *len)
{
	auto  *s      = (struct rocks_session *)arg;
	DB    *db     = s->owner->db;
	Status status = db->Get(s->read, db->DefaultColumnFamily(), Slice((const char *)key, KEY_LEN), &s->value);

	return take(status, s->value, buf, len);
}

enum answer rocks_multi_get(void *arg, struct want *wants, size_t n)
{
	auto *s	 = (struct rocks_session *)arg;
	DB   *db = s->owner->db;

	for (size_t i = 0; i < n; i++)
		s->keys[i] = Slice((const char *)wants[i].key, KEY_LEN);
	db->MultiGet(s->read, db->DefaultColumnFamily(), n, s->keys.data(), s->values.data(), s->statuses.data());
	for (size_t i = 0; i < n; i++)
		wants[i].answer = take(s->statuses[i], s->values[i], wants[i].buf, &wants[i].len);
	return ANSWER_OK;
}

enum answer rocks_put(void *arg, const uint8_t *key, const void *val)
{
	struct rocks *r = ((struct rocks_session *)arg)->owner;

	return answer_of(r->db->Put(r->write, Slice((const char *)key, KEY_LEN), Slice((const char *)val, r->setup.value_len)),
			 "put");
}

enum answer rocks_batch(void *arg, const struct record *recs, size_t n)
{
	return rocks_write(((struct rocks_session *)arg)->owner, recs, n);
}

/* An iterator is a snapshot, so each scan needs a new one; refreshing one is less work. */
enum answer rocks_scan(void *arg, const uint8_t *key, size_t n, size_t *seen)
{
	auto	*s	 = (struct rocks_session *)arg;
	unsigned touched = 0;

	if (!s->it || !s->it->Refresh().ok())
		s->it.reset(s->owner->db->NewIterator(s->read));
	*seen = 0;
	for (s->it->Seek(Slice((const char *)key, KEY_LEN)); s->it->Valid(); s->it->Next()) {
		touched += (unsigned)s->it->key()[0] + (unsigned)s->it->value()[0];
		if (++*seen == n)
			break;
	}
	__asm__ volatile("" : : "r"(touched));
	return answer_of(s->it->status(), "scan");
}

} // namespace

extern "C" const struct engine engine_rocksdb = {
	.name	       = "rocksdb",
	.version       = rocks_version,
	.peer	       = true,
	.async	       = false,
	.page_cache    = false,
	.open	       = rocks_open,
	.load	       = rocks_load,
	.settle	       = rocks_settle,
	.sync	       = rocks_sync,
	.disk_bytes    = rocks_disk_bytes,
	.close	       = rocks_close,
	.session_open  = rocks_session_open,
	.session_close = rocks_session_close,
	.get	       = rocks_get,
	.multi_get     = rocks_multi_get,
	.put	       = rocks_put,
	.batch	       = rocks_batch,
	.scan	       = rocks_scan,
	.start	       = unsupported_start,
	.reap	       = unsupported_reap,
};
