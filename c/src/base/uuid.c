/* SPDX-License-Identifier: Apache-2.0 */
/* base/uuid.c: UUIDs as text. Text is made in lower case, and read in either. */
#include "base.h"

#include <uuid/uuid.h>

void tarn_uuid_format(const tarn_uuid *uuid, char text[37])
{
	uuid_unparse_lower(uuid->bytes, text);
}

int tarn_uuid_parse(const char *text, tarn_uuid *uuid)
{
	if (uuid_parse(text, uuid->bytes))
		return fail(INVAL, "\"%.40s\" is not a UUID: it has 32 hexadecimal digits in groups of 8-4-4-4-12", text);
	return 0;
}
