/* SPDX-License-Identifier: Apache-2.0 */
/* api/check.h: the checks that calls share. Each is 0 or an error with a sentence. */
#ifndef TARN_CHECK_H
#define TARN_CHECK_H

#include "call.h"

int check_pool(const tarn_pool *pool, bool change); /* NO_HDL, EP_RO */
int check_cont(const tarn_cont *cont, bool change); /* NO_HDL, EP_RO */
int check_cont_name(const char *name);		    /* INVAL */
int check_kv(const tarn_kv *kv);		    /* NO_HDL */
int check_change(const tarn_kv *kv);		    /* NO_HDL, EP_RO */
int check_key(tarn_buf key);			    /* INVAL, KEY2BIG */
int check_value(const tarn_kv *kv, tarn_buf val);   /* INVAL, REC2BIG */
int check_size(const tarn_kv *kv, uint64_t size);   /* REC2BIG */
int check_put_cond(tarn_cond cond);		    /* INVAL */
int check_range(const tarn_range *range);	    /* INVAL, KEY2BIG; NULL is fine */
int check_mutations(const tarn_kv *kv, const tarn_mutation *muts, size_t n, size_t *failed);

#endif
