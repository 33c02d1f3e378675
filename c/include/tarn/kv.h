/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/kv.h: key-value objects. Keys are ordered bytewise.
 *
 * Keys, and values that are put, are copied before the call returns. A get fills the caller's buffer, which is lent until the
 * result has arrived. A put or a batch that has been acknowledged survives a crash of the process, of the machine and of its
 * power, if the device honours flushes. Handles are safe for concurrent use. Every call can fail with IO, CSUM (what was read is
 * damaged), NOMEM; every change with NOSPACE, EP_RO (read-only handle, or the pool is read-only after a device failed). */
#ifndef TARN_KV_H
#define TARN_KV_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_KV_CREATE 1u /* make the object when there is none of that name */
#define TARN_KV_RDONLY 2u /* changes through this handle are refused with EP_RO */
#define TARN_KV_NOTES  4u /* the container's notes; name is NULL, nothing need be made */

/* Opens the KV object of that name. Errors: NONEXIST, NOTYPE (the object is not a KV), INVAL (name).
 *
 * The notes of a container are an object without a name, which no listing or count of objects has: what a program that serves others keeps
 * about their calls. A batch of any object of the container can put notes, in the same instant (TARN_CHANGE_NOTE). The container's limit of
 * values does not hold for them; its snapshots have them. */
TARN_API int tarn_kv_open(tarn_cont *cont, const char *name, unsigned flags, tarn_kv **kv, tarn_event *ev);

/* BUSY while a call, a reader or a writer of it is running. */
TARN_API int tarn_kv_close(tarn_kv *kv);

typedef enum tarn_cond {
	TARN_COND_NONE	   = 0,
	TARN_COND_INSERT   = 1, /* only when the key is absent: else EXIST */
	TARN_COND_UPDATE   = 2, /* only when the key is there: else NONEXIST */
	TARN_COND_REVISION = 3, /* only when its revision is the given one: else TX_RESTART (batches only) */
} tarn_cond;

/* Errors: KEY2BIG, REC2BIG, INVAL (empty key), EXIST, NONEXIST. */
TARN_API int tarn_kv_put(tarn_kv *kv, tarn_buf key, tarn_buf val, tarn_cond cond, tarn_event *ev);

/* Deletes key. Absent is fine, unless cond is TARN_COND_UPDATE: then NONEXIST. */
TARN_API int tarn_kv_del(tarn_kv *kv, tarn_buf key, tarn_cond cond, tarn_event *ev);

/* Copies the value into buf. *len is the room in buf, then the size of the value. buf NULL asks for the size. Errors: NONEXIST
 * (*len 0, buf untouched); REC2BIG when the room is too small (*len is the size, buf untouched). */
TARN_API int tarn_kv_get(tarn_kv *kv, tarn_buf key, void *buf, size_t *len, tarn_event *ev);

typedef struct tarn_get {
	tarn_buf key;
	void	*buf; /* may be NULL: only the size is asked for */
	size_t	 len; /* room in buf, then the size of the value */
	int	 rc;  /* out: 0, or why there is no value: as tarn_kv_get(); INVAL, KEY2BIG (the key) */
} tarn_get;

/* n gets at once: what must be read from the device is read at the same time. Each has its own result in rc; the call itself fails
 * only when nothing can be said of some of them, whose rc is then INPROGRESS. They are not one view: other changes may come between two of them.
 * gets, the keys and the buffers are lent until the result has arrived. Errors: INVAL (n is 0 or over TARN_BATCH_MAX), NO_HDL, NOMEM. */
TARN_API int tarn_kv_get_many(tarn_kv *kv, tarn_get *gets, size_t n, tarn_event *ev);

typedef struct tarn_kv_stat {
	uint64_t size;	   /* of the value */
	uint64_t revision; /* grows with every change in the pool */
} tarn_kv_stat;

/* Size and revision without the value. stat may be NULL. NONEXIST when the key is absent. */
TARN_API int tarn_kv_exists(tarn_kv *kv, tarn_buf key, tarn_kv_stat *stat, tarn_event *ev);

/* A range of keys: those that begin with prefix, are >= start (> start with TARN_RANGE_AFTER) and < end. An empty part does not
 * bound. With TARN_RANGE_REVERSE the order is descending: from just below end down to start. */
typedef struct tarn_range {
	tarn_buf prefix, start, end;
	uint32_t flags;
} tarn_range;

#define TARN_RANGE_AFTER     1u /* start itself is left out */
#define TARN_RANGE_REVERSE   4u
#define TARN_RANGE_KEYS_ONLY 8u

/* Number of keys in range (NULL: all). Costs a walk of the two edges of the range and of what changed since the last checkpoint. */
TARN_API int tarn_kv_count(tarn_kv *kv, const tarn_range *range, uint64_t *count, tarn_event *ev);

/* One entry of a listing: this header, the key, then the value when flags has no TARN_ENTRY_OMITTED; the next entry begins at the
 * next multiple of 8 bytes. */
typedef struct tarn_entry {
	uint32_t key_len;
	uint32_t flags;
	uint64_t val_len; /* of the value, also when it is left out */
	uint64_t revision;
} tarn_entry;

#define TARN_ENTRY_OMITTED  1u /* keys only, or the value is over TARN_LIST_VALUE_MAX or larger than the whole buffer */
#define TARN_LIST_VALUE_MAX 65536u

typedef struct tarn_listing {
	uint32_t count; /* entries in the buffer */
	uint32_t more;	/* 1: the range goes on after the last of them */
	size_t	 used;	/* bytes of the buffer */
} tarn_listing;

/* Lists up to max entries (0: as many as fit) in order into buf (8-byte aligned, cap bytes). Each batch is a consistent view. To
 * go on, list again with start (or, in reverse, end) the last key and, forward, TARN_RANGE_AFTER. KEY2BIG when cap is too small
 * for the first key: a cap of TARN_KEY_MAX + 32 always holds one. */
TARN_API int tarn_kv_list(tarn_kv *kv, const tarn_range *range, uint32_t max, void *buf, size_t cap, tarn_listing *out,
			  tarn_event *ev);

typedef enum tarn_change {
	TARN_CHANGE_PUT	  = 0,
	TARN_CHANGE_DEL	  = 1, /* val is ignored */
	TARN_CHANGE_CHECK = 2, /* only the condition, nothing is changed; val is ignored */
	TARN_CHANGE_NOTE  = 3, /* a put of a note of the container: key, val and cond are of its notes, see TARN_KV_NOTES */
} tarn_change;

typedef struct tarn_mutation {
	tarn_buf    key, val;
	tarn_cond   cond;
	tarn_change change;
	uint64_t    revision; /* for TARN_COND_REVISION; 0 means that the key must be absent */
} tarn_mutation;

/* Applies n mutations as one: all of them or none, now and after a crash. Conditions look at the state before the batch; when one
 * fails, its error is the result, *failed (when not NULL) its index, and nothing is changed. A key may stand in a batch once:
 * else INVAL. Errors also: INVAL (n is 0 or over TARN_BATCH_MAX), REC2BIG when the batch's record does not fit into the log
 * (half of tarn_pool_info.log_bytes; values over the inline limit do not count, they go to extents), or the pages that it changes, 4 to 16 KiB
 * for each key when no two are near each other, are more than a quarter of the pool's cache_bytes and 32 MiB. */
TARN_API int tarn_kv_apply(tarn_kv *kv, const tarn_mutation *muts, size_t n, size_t *failed, tarn_event *ev);

/* Deletes every key in range (NULL: all), in batches: a crash may leave some deleted. *count (may be NULL) is their number. Aborted, it
 * ends between two batches with CANCELED. */
TARN_API int tarn_kv_del_range(tarn_kv *kv, const tarn_range *range, uint64_t *count, tarn_event *ev);

/* A value in pieces, for values too large to hold in memory. A writer's bytes are visible, whole, only after its commit; an abort or
 * a crash before that leaves nothing. One thread at a time uses a writer or reader, and one call of it runs at a time: else BUSY. */
typedef struct tarn_writer tarn_writer;
typedef struct tarn_reader tarn_reader;

/* Begins a value for key, which is copied. cond is looked at by the commit. Does not wait. The caller ends the writer with a commit or
 * an abort. Errors: INVAL (empty key, TARN_COND_REVISION), KEY2BIG, EP_RO, NO_HDL, NOMEM. */
TARN_API int tarn_writer_open(tarn_kv *kv, tarn_buf key, tarn_cond cond, tarn_writer **writer);

/* Appends data, of any length; it is copied before the call returns. Waits for the device once a MiB. After an error the writer can
 * only be aborted. Errors: REC2BIG (over TARN_VALUE_MAX, or the container's limit), NOSPACE, INVAL, BUSY, NO_HDL. */
TARN_API int tarn_writer_write(tarn_writer *writer, tarn_buf data, tarn_event *ev);

/* Makes the value the key's, durably, and frees the writer, whatever the result, when that has arrived; but a refusal because a write of
 * it is running (BUSY) frees nothing. Errors: EXIST, NONEXIST (by the condition), NOSPACE, the error of a write that failed, BUSY, NO_HDL. */
TARN_API int tarn_writer_commit(tarn_writer *writer, tarn_event *ev);

/* Gives back what was written, and frees the writer. Does not wait for the device. Errors: BUSY (it is not freed), NO_HDL. */
TARN_API int tarn_writer_abort(tarn_writer *writer);

/* Opens the value of key as it is now: later changes do not change what the reader sees. While a reader is open, space that is freed
 * in the pool is not used again. stat may be NULL. The caller closes the reader. Errors: NONEXIST, INVAL, KEY2BIG, NO_HDL. */
TARN_API int tarn_reader_open(tarn_kv *kv, tarn_buf key, tarn_kv_stat *stat, tarn_reader **reader, tarn_event *ev);

/* Copies up to *len bytes from offset (in bytes); *len is then their number, 0 at or behind the end. buf and len are lent until the
 * result has arrived. Errors: CSUM, IO, INVAL, BUSY, NO_HDL. */
TARN_API int tarn_reader_read(tarn_reader *reader, uint64_t offset, void *buf, size_t *len, tarn_event *ev);

/* Frees the reader. Does not wait for the device. Errors: BUSY (it is not freed), NO_HDL. */
TARN_API int tarn_reader_close(tarn_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
