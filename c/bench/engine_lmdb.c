/* SPDX-License-Identifier: Apache-2.0 */
/* engine_lmdb.c: LMDB, tuned.
 *
 * Durable is LMDB's default: two flushes a commit. Relaxed is MDB_NOSYNC, which a crash of the machine may leave damaged: less
 * than what Tarn's relaxed promises. A writable map saves the copies of a commit where all data is in memory; beyond memory it
 * costs more than it saves, and read-ahead is turned off. A session keeps its read transaction and cursor, and renews them. */
#include "bench.h"

#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct lmdb {
	MDB_env	    *env;
	MDB_dbi	     dbi;
	struct setup setup;
	atomic_bool  stop;
	pthread_t    syncer; /* of relaxed writes */
};

struct lmdb_session {
	struct lmdb *db;
	MDB_txn	    *txn; /* reset between calls: it holds no snapshot then */
	MDB_cursor  *cursor;
};

static enum answer lmdb_failed(int rc, const char *what)
{
	return answer_with(ANSWER_FAILED, "lmdb: %s: %s", what, mdb_strerror(rc));
}

static const char *lmdb_version(void)
{
	return mdb_version(NULL, NULL, NULL);
}

static unsigned lmdb_flags(const struct setup *setup)
{
	if (setup->loading)
		return MDB_NOSYNC | MDB_WRITEMAP;
	if (setup->bounded)
		return MDB_NORDAHEAD | (setup->relaxed ? MDB_NOSYNC : 0);
	return setup->relaxed ? MDB_NOSYNC | MDB_WRITEMAP : MDB_NORDAHEAD;
}

static int lmdb_open_env(struct lmdb *db)
{
	const struct setup *setup = &db->setup;
	MDB_txn		   *txn;
	int		    rc = mdb_env_create(&db->env);

	if (rc)
		return rc;
	mdb_env_set_maxreaders(db->env, THREADS_MAX + 2);
	mdb_env_set_mapsize(db->env, (setup->records * (KEY_LEN + setup->value_len) * 4 | (MIB - 1)) + 1 + 1024 * MIB);
	rc = mdb_env_open(db->env, setup->dir, lmdb_flags(setup), 0600);
	if (!rc)
		rc = mdb_txn_begin(db->env, NULL, 0, &txn);
	if (rc)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &db->dbi);
	if (!rc)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* Read-ahead fills the page cache with large folios. Those save work where pages are written in place through the map; a
 * commit that writes single pages pays for the whole of each, so durable writes get small ones: what is cached is dropped, and
 * read anew. */
static void lmdb_set_folios(struct lmdb *db)
{
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(db->env, &fd))
		return;
	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (db->setup.relaxed && !db->setup.bounded)
		return;
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	if (!db->setup.bounded)
		posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
}

static void *lmdb_keep_syncing(void *arg)
{
	const struct timespec pause = { 0, RELAXED_MS * 1000000L };
	struct lmdb	     *db    = arg;

	while (!atomic_load(&db->stop)) {
		nanosleep(&pause, NULL);
		mdb_env_sync(db->env, 1);
	}
	return NULL;
}

static enum answer lmdb_open(const struct setup *setup, void **out)
{
	struct lmdb *db = calloc(1, sizeof(*db));
	int	     rc;

	if (!db)
		return answer_with(ANSWER_FAILED, "lmdb: no memory");
	db->setup = *setup;
	rc	  = lmdb_open_env(db);
	if (rc) {
		mdb_env_close(db->env);
		free(db);
		return lmdb_failed(rc, "open");
	}
	lmdb_set_folios(db);
	*out = db;
	if (setup->relaxed && pthread_create(&db->syncer, NULL, lmdb_keep_syncing, db))
		return answer_with(ANSWER_FAILED, "lmdb: no thread");
	return ANSWER_OK;
}

static enum answer lmdb_close(void *arg)
{
	struct lmdb *db = arg;

	atomic_store(&db->stop, true);
	if (db->setup.relaxed)
		pthread_join(db->syncer, NULL);
	mdb_env_close(db->env);
	free(db);
	return ANSWER_OK;
}

static int lmdb_put_in(struct lmdb *db, MDB_txn *txn, const uint8_t *key, const void *val, unsigned flags)
{
	MDB_val k = { KEY_LEN, (void *)key }, v = { db->setup.value_len, (void *)val };

	return mdb_put(txn, db->dbi, &k, &v, flags);
}

static enum answer lmdb_write(struct lmdb *db, const struct record *recs, size_t n, unsigned flags)
{
	MDB_txn *txn;
	int	 rc = mdb_txn_begin(db->env, NULL, 0, &txn);

	if (rc)
		return lmdb_failed(rc, "begin");
	for (size_t i = 0; i < n && !rc; i++)
		rc = lmdb_put_in(db, txn, recs[i].key, recs[i].val, flags);
	if (rc) {
		mdb_txn_abort(txn);
		return lmdb_failed(rc, "put");
	}
	rc = mdb_txn_commit(txn);
	return rc ? lmdb_failed(rc, "commit") : ANSWER_OK;
}

static enum answer lmdb_load(void *arg, const struct record *recs, size_t n, bool ascending)
{
	return lmdb_write(arg, recs, n, ascending ? MDB_APPEND : 0);
}

static enum answer lmdb_sync(void *arg)
{
	struct lmdb *db = arg;
	int	     rc = mdb_env_sync(db->env, 1);

	return rc ? lmdb_failed(rc, "sync") : ANSWER_OK;
}

static enum answer lmdb_disk_bytes(void *arg, uint64_t *bytes)
{
	return directory_bytes(((struct lmdb *)arg)->setup.dir, bytes);
}

static enum answer lmdb_session_open(void *arg, void **out)
{
	struct lmdb_session *s	= calloc(1, sizeof(*s));
	struct lmdb	    *db = arg;
	int		     rc;

	if (!s)
		return answer_with(ANSWER_FAILED, "lmdb: no memory");
	s->db = db;
	rc    = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &s->txn);
	if (!rc)
		rc = mdb_cursor_open(s->txn, db->dbi, &s->cursor);
	if (rc)
		return lmdb_failed(rc, "read transaction");
	mdb_txn_reset(s->txn);
	*out = s;
	return ANSWER_OK;
}

static void lmdb_session_close(void *arg)
{
	struct lmdb_session *s = arg;

	mdb_cursor_close(s->cursor);
	mdb_txn_abort(s->txn);
	free(s);
}

static enum answer lmdb_get_in(struct lmdb_session *s, const uint8_t *key, void *buf, size_t *len)
{
	MDB_val k  = { KEY_LEN, (void *)key }, v;
	int	rc = mdb_get(s->txn, s->db->dbi, &k, &v);

	if (rc == MDB_NOTFOUND)
		return ANSWER_ABSENT;
	if (rc || v.mv_size > *len)
		return lmdb_failed(rc ? rc : MDB_BAD_VALSIZE, "get");
	memcpy(buf, v.mv_data, v.mv_size);
	*len = v.mv_size;
	return ANSWER_OK;
}

static enum answer lmdb_get(void *arg, const uint8_t *key, void *buf, size_t *len)
{
	struct lmdb_session *s	= arg;
	int		     rc = mdb_txn_renew(s->txn);
	enum answer	     answer;

	if (rc)
		return lmdb_failed(rc, "renew");
	answer = lmdb_get_in(s, key, buf, len);
	mdb_txn_reset(s->txn);
	return answer;
}

static enum answer lmdb_multi_get(void *arg, struct want *wants, size_t n)
{
	struct lmdb_session *s	= arg;
	int		     rc = mdb_txn_renew(s->txn);

	if (rc)
		return lmdb_failed(rc, "renew");
	for (size_t i = 0; i < n; i++)
		wants[i].answer = lmdb_get_in(s, wants[i].key, wants[i].buf, &wants[i].len);
	mdb_txn_reset(s->txn);
	return ANSWER_OK;
}

static enum answer lmdb_put(void *arg, const uint8_t *key, const void *val)
{
	struct lmdb_session *s = arg;
	MDB_txn		    *txn;
	int		     rc = mdb_txn_begin(s->db->env, NULL, 0, &txn);

	if (rc)
		return lmdb_failed(rc, "begin");
	rc = lmdb_put_in(s->db, txn, key, val, 0);
	if (rc) {
		mdb_txn_abort(txn);
		return lmdb_failed(rc, "put");
	}
	rc = mdb_txn_commit(txn);
	return rc ? lmdb_failed(rc, "commit") : ANSWER_OK;
}

static enum answer lmdb_batch(void *arg, const struct record *recs, size_t n)
{
	struct lmdb_session *s = arg;

	return lmdb_write(s->db, recs, n, 0);
}

static enum answer lmdb_scan(void *arg, const uint8_t *key, size_t n, size_t *seen)
{
	struct lmdb_session *s	     = arg;
	MDB_val		     k	     = { KEY_LEN, (void *)key }, v;
	unsigned	     touched = 0;
	int		     rc	     = mdb_txn_renew(s->txn);

	if (!rc)
		rc = mdb_cursor_renew(s->txn, s->cursor);
	if (rc)
		return lmdb_failed(rc, "renew");
	*seen = 0;
	rc    = mdb_cursor_get(s->cursor, &k, &v, MDB_SET_RANGE);
	while (!rc) {
		touched += ((const uint8_t *)k.mv_data)[0] + ((const uint8_t *)v.mv_data)[0];
		if (++*seen == n)
			break;
		rc = mdb_cursor_get(s->cursor, &k, &v, MDB_NEXT);
	}
	__asm__ volatile("" : : "r"(touched));
	mdb_txn_reset(s->txn);
	return rc && rc != MDB_NOTFOUND ? lmdb_failed(rc, "scan") : ANSWER_OK;
}

const struct engine engine_lmdb = {
	.name	       = "lmdb",
	.version       = lmdb_version,
	.peer	       = true,
	.page_cache    = true,
	.open	       = lmdb_open,
	.load	       = lmdb_load,
	.settle	       = lmdb_sync,
	.sync	       = lmdb_sync,
	.disk_bytes    = lmdb_disk_bytes,
	.close	       = lmdb_close,
	.session_open  = lmdb_session_open,
	.session_close = lmdb_session_close,
	.get	       = lmdb_get,
	.multi_get     = lmdb_multi_get,
	.put	       = lmdb_put,
	.batch	       = lmdb_batch,
	.scan	       = lmdb_scan,
	.start	       = unsupported_start,
	.reap	       = unsupported_reap,
};
