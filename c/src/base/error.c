/* SPDX-License-Identifier: Apache-2.0 */
/* base/error.c: codes, names, and the sentence of this thread's last failure.
 *
 * Always true: names, numbers and texts come from the table in tarn/errno.h only. Any thread may call; a sentence is its thread's. */
#include "base.h"

#include <errno.h>
#include <stdio.h>

static _Thread_local char last_message[TARN_MESSAGE_MAX];

/* Not NULL: last_message has only the name yet, and the sentence is made when somebody asks for it. */
static _Thread_local const char *about_before, *about_after;

static void append(size_t *at, const char *text)
{
	size_t len = strnlen(text, sizeof(last_message) - 1 - *at);

	memcpy(last_message + *at, text, len);
	*at += len;
	last_message[*at] = '\0';
}

static void complete(void)
{
	char   name[TARN_MESSAGE_MAX];
	size_t at = 0;

	memcpy(name, last_message, sizeof(name));
	append(&at, about_before);
	append(&at, name);
	append(&at, about_after);
	about_before = NULL;
}

const char *base_message(void)
{
	if (about_before)
		complete();
	return last_message;
}

void base_set_message(const char *text)
{
	size_t len = strnlen(text, sizeof(last_message) - 1);

	memmove(last_message, text, len); /* text may be the message itself */
	last_message[len] = '\0';
	about_before	  = NULL;
}

const char *tarn_last_error(void)
{
	return base_message();
}

/* Formatted aside first: the arguments may hold base_message(). Answers that are no accidents, as that a key is not there, have nothing to
 * format. */
int base_fail(int code, const char *fmt, ...)
{
	char	text[TARN_MESSAGE_MAX];
	va_list args;

	if (!strchr(fmt, '%')) {
		base_set_message(fmt);
		return -code;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	base_set_message(text);
	return -code;
}

int base_fail_about(int code, const char *before, const char *name, const char *after)
{
	size_t len = strnlen(name, sizeof(last_message) - 1);

	memcpy(last_message, name, len);
	last_message[len] = '\0';
	about_before	  = before;
	about_after	  = after;
	return -code;
}

static const struct {
	int sys_errno;
	int code;
} errno_codes[] = {
	{ ENOENT, TARN_E_NONEXIST },
	{ EEXIST, TARN_E_EXIST },
	{ EACCES, TARN_E_NO_PERM },
	{ EPERM, TARN_E_NO_PERM },
	{ EINVAL, TARN_E_INVAL },
	{ EISDIR, TARN_E_INVAL },
	{ ENOSPC, TARN_E_NOSPACE },
	{ EFBIG, TARN_E_NOSPACE },
	{ EDQUOT, TARN_E_QUOTA_LIMIT },
	{ ENOMEM, TARN_E_NOMEM },
	{ EBUSY, TARN_E_BUSY },
	{ ETXTBSY, TARN_E_BUSY },
	{ EADDRINUSE, TARN_E_BUSY },
	{ EAGAIN, TARN_E_AGAIN },
	{ ENOTDIR, TARN_E_NOTDIR },
	{ ENAMETOOLONG, TARN_E_BADPATH },
	{ ELOOP, TARN_E_BADPATH },
	{ EROFS, TARN_E_EP_RO },
	{ ENOSYS, TARN_E_NOTSUPPORTED },
	{ EOPNOTSUPP, TARN_E_NOTSUPPORTED },
	{ ETIMEDOUT, TARN_E_TIMEDOUT },
	{ ECANCELED, TARN_E_CANCELED },
	{ EOVERFLOW, TARN_E_OVERFLOW },
	{ EIO, TARN_E_IO },
	{ ENXIO, TARN_E_IO },
	{ ENODEV, TARN_E_IO },
	{ EREMOTEIO, TARN_E_IO },
	{ EILSEQ, TARN_E_IO },
	{ EBADMSG, TARN_E_IO },
	{ ENODATA, TARN_E_IO },
	{ ETIME, TARN_E_IO },
	{ ENOLINK, TARN_E_IO },
};

static int code_of_errno(int sys_errno)
{
	for (size_t i = 0; i < ARRAY_LEN(errno_codes); i++)
		if (errno_codes[i].sys_errno == sys_errno)
			return errno_codes[i].code;
	return TARN_E_MISC;
}

int base_fail_errno(int sys_errno, const char *fmt, ...)
{
	char	text[TARN_MESSAGE_MAX], buf[64];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return base_fail(code_of_errno(sys_errno), "%s: %s", text, strerror_r(sys_errno, buf, sizeof(buf)));
}

static const struct error_entry {
	int	    code;
	const char *name;
	const char *text;
} error_table[] = { { TARN_OK, "DER_SUCCESS", "success" },
#define ERROR_ENTRY(name, number, grpc, text) { number, "DER_" #name, text },
		    TARN_FOREACH_ERROR(ERROR_ENTRY)
#undef ERROR_ENTRY
};

static const struct error_entry *error_find(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(error_table); i++)
		if (error_table[i].code == code || -error_table[i].code == code)
			return &error_table[i];
	return NULL;
}

const char *tarn_errname(int code)
{
	const struct error_entry *entry = error_find(code);

	return entry ? entry->name : "DER_UNKNOWN";
}

const char *tarn_strerror(int code)
{
	const struct error_entry *entry = error_find(code);

	return entry ? entry->text : "an error that this library does not know";
}
