/* SPDX-License-Identifier: Apache-2.0 */
/* pool/label.c: what a label is. */
#include "pool.h"

#define LABEL_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:_-"

static bool is_uuid(const char *text)
{
	char	  kept[TARN_MESSAGE_MAX];
	tarn_uuid uuid;
	int	  rc;

	memcpy(kept, base_message(), sizeof(kept)); /* "not a UUID" is no failure here */
	rc = tarn_uuid_parse(text, &uuid);
	base_set_message(kept);
	return rc == 0;
}

int label_check(const char *what, const char *label)
{
	size_t len, good;

	if (!label || !*label)
		return fail(INVAL, "a %s needs a label of 1 to %u characters: this one is empty", what, TARN_LABEL_MAX);
	len = strlen(label);
	if (len > TARN_LABEL_MAX)
		return fail(INVAL, "a %s label has at most %u characters: this one has %zu", what, TARN_LABEL_MAX, len);
	good = strspn(label, LABEL_CHARS);
	if (good != len)
		return fail(INVAL, "a %s label consists of A-Z a-z 0-9 . : _ - only: character %zu of this one is none of them",
			    what, good + 1);
	if (is_uuid(label))
		return fail(INVAL, "a %s label must not look like a UUID, as %s does", what, label);
	return 0;
}
