/* SPDX-License-Identifier: Apache-2.0 */
/* object/object.h: the objects of a container, and key-value operations on them.
 *
 * Inside a container's tree every key begins with 16 bytes, the object's id (hi, lo, big-endian), so an object is one range of keys:
 *
 *	id		key			value
 *	{0, 0}		an object's name	struct named: its id and type: the root namespace
 *	{0, 1}		"next"			the next free lo, 8 bytes, little-endian; from 1024, never used again
 *	{0, 2}		an object's id		its name: every object whose keys may be there; of a renamed one also a NUL and the
 *						revision at which it was made, 8 bytes, little-endian
 *	{0, 3}		a note's key		a note: the object without a name, which is always there
 *	{0, 4}		an attribute's name	its value: the container's user attributes (container/attr.c)
 *	{type, 1024..}	the user's key		the user's value; hi is DAOS's: the type in its top byte
 *
 * Making an object adds its entries under {0, 0} and {0, 2} in one batch, and renaming it changes both in one. Removing it takes the name away first, then deletes its keys
 * in batches, then the entry under {0, 2}. So a crash leaves either the whole object or none that can be seen; a new object of
 * the same name has another id, and cannot meet what is left. There is such a rest exactly when {0, 2} has more entries than {0, 0},
 * which costs two counts to know: whoever first opens the container for writing looks, and sweeps. Removing only ever deletes, so it
 * works in a full pool, where nothing can be put.
 *
 * Any thread may call. `flags` is STORE_NOWAIT, STORE_COMMITS or 0. *lsn is what makes a change durable; 0 when nothing was changed. */
#ifndef TARN_OBJECT_H
#define TARN_OBJECT_H

#include "../container/container.h"
#include <tarn/kv.h>

enum { ROOT_NAMES = 0, ROOT_COUNTER = 1, ROOT_IDS = 2, ROOT_NOTES = 3 }; /* lo of the ids with hi 0 */

#define OID_BYTES	16
#define OID_FIRST	1024
#define TYPE_KV_LEXICAL 10

/* An open object, shared by its handles. */
struct object {
	struct container *container;
	struct object	 *next;	 /* under container->names */
	unsigned	  opens; /* under container->names */
	bool		  moved; /* under container->names: it is not called `name` any more */
	uint8_t		  oid[OID_BYTES];
	uint32_t	  type;
	char		  name[TARN_OBJECT_NAME_MAX + 1]; /* that it was opened by */
};

#define ID_VALUE_MAX (TARN_OBJECT_NAME_MAX + 1 + 8) /* bytes of an entry under {0, 2} */

/* The revision at which an object was made, from its entry under {0, 2} and that entry's own revision. */
uint64_t id_born(const uint8_t *value, size_t len, uint64_t revision);

int name_check(const char *name); /* INVAL */

/* NONEXIST unless create; NOTYPE; EP_RO when it had to be made and readonly. The name "" is that of the notes. */
int object_open(struct container *container, const char *name, bool create, bool readonly, struct object **object, uint64_t *lsn);
void object_close(struct object *object);
int  object_create(struct container *container, const char *name, uint64_t *lsn); /* EXIST */
int  object_query(struct container *container, const char *name, tarn_object_info *info);
int  object_list(struct container *container, const char *after, tarn_object_info *infos, size_t *count);
int  object_rename(struct container *container, const char *name, const char *to, uint64_t *lsn); /* NONEXIST, EXIST */
int  object_destroy(struct container *container, const char *name, uint64_t *lsn);		  /* NONEXIST, BUSY */
int  objects_sweep(struct container *container); /* deletes what a crash left of removed objects */

/* A range of a tree: the keys of the user's range in the object. Its memory is its own; free with span_free(). */
struct span {
	struct store_range range;
	bool		   empty; /* no key can be in it */
	uint8_t		  *memory;
	uint8_t		   small[512];
};
int  span_make(const uint8_t oid[OID_BYTES], const tarn_range *range, struct span *span); /* NOMEM */
void span_free(struct span *span);

/* Deletes the keys of a range of a tree in batches; their number is added to *count. CANCELED between two batches when op (may be
 * NULL) was aborted. */
int purge(struct container *container, const struct store_range *range, const struct op *op, uint64_t *count, uint64_t *lsn);

int kv_get(struct object *object, tarn_buf key, void *buf, size_t *len, unsigned flags);
int kv_stat(struct object *object, tarn_buf key, tarn_kv_stat *stat, unsigned flags);
int kv_put(struct object *object, tarn_buf key, tarn_buf val, tarn_cond cond, unsigned flags, uint64_t *lsn);
int kv_put_value(struct object *object, tarn_buf key, struct store_value *value, tarn_cond cond, uint64_t *lsn);
int kv_del(struct object *object, tarn_buf key, tarn_cond cond, unsigned flags, uint64_t *lsn);
int kv_get_many(struct object *object, tarn_get *gets, size_t n, unsigned flags); /* answers those whose rc is INPROGRESS */
int kv_count(struct object *object, const tarn_range *range, uint64_t *count, unsigned flags);
int kv_list(struct object *object, const tarn_range *range, uint32_t max, void *buf, size_t cap, tarn_listing *out,
	    unsigned flags);
int kv_del_range(struct object *object, const tarn_range *range, const struct op *op, uint64_t *count, uint64_t *lsn);
int kv_open_reader(struct object *object, tarn_buf key, tarn_kv_stat *stat, struct store_reader **reader);

/* EP_OLD, OVERFLOW, NOTSUPPORTED (of a snapshot). */
int kv_watch(struct object *object, uint64_t start, tarn_buf prefix, bool keys_only, tarn_changes *now,
	     struct store_watch **watch);

/* Mutations as the store takes them. Keys are copied; values stay the caller's until batch_keep(). */
struct batch;
int  batch_make(struct object *object, const tarn_mutation *muts, size_t n, struct batch **batch); /* NOMEM */
int  batch_keep(struct batch *batch);								   /* copies the values. NOMEM */
int  batch_apply(struct batch *batch, unsigned flags, uint64_t *lsn, size_t *failed);
void batch_free(struct batch *batch); /* NULL is fine */

#endif
