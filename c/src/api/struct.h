/* SPDX-License-Identifier: Apache-2.0 */
/* api/struct.h: structs of the public API that the library fills, and that a caller of another version may know with more fields, or fewer.
 *
 * Always true: such a struct begins with struct_size, which its caller sets to its own sizeof. No more than that is written, fields
 * behind ours become 0, and struct_size stays as it was. For those that the library reads see options_copy() in call.h. */
#ifndef TARN_STRUCT_H
#define TARN_STRUCT_H

#include "../base/base.h"

/* 0, or INVAL: to is NULL, or its struct_size cannot be right. what: the struct's name. */
int struct_check_info(const char *what, const void *to);

/* Copies ours, of size bytes, to the caller's, which was checked. */
void struct_give(void *to, const void *ours, size_t size);

#endif
