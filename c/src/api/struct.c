/* SPDX-License-Identifier: Apache-2.0 */
/* api/struct.c: see struct.h. */
#include "struct.h"

#define BYTES_MAX 65536u /* more is a size that was never set */

static size_t given_bytes(const void *to)
{
	size_t bytes;

	memcpy(&bytes, to, sizeof(bytes));
	return bytes;
}

int struct_check_info(const char *what, const void *to)
{
	size_t bytes;

	if (!to)
		return fail(INVAL, "there is no place for a %s (NULL)", what);
	bytes = given_bytes(to);
	if (bytes <= sizeof(bytes) || bytes > BYTES_MAX)
		return fail(INVAL, "%s: struct_size is %zu: set it to sizeof(%s)", what, bytes, what);
	return 0;
}

void struct_give(void *to, const void *ours, size_t size)
{
	const size_t head = sizeof(size_t), bytes = given_bytes(to);

	memcpy((char *)to + head, (const char *)ours + head, MIN(bytes, size) - head);
	if (bytes > size)
		memset((char *)to + size, 0, bytes - size);
}
