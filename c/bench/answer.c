/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c: what a call came to, and why; and the answers that several engines give. */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static _Thread_local char message[200];

enum answer answer_with(enum answer answer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return answer;
}

const char *answer_message(void)
{
	return message;
}

enum answer directory_bytes(const char *path, uint64_t *bytes)
{
	DIR	      *dir = opendir(path);
	struct dirent *entry;
	struct stat    st;

	if (!dir)
		return answer_with(ANSWER_FAILED, "%s: %s", path, strerror(errno));
	*bytes = 0;
	while ((entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			*bytes += (uint64_t)st.st_blocks * 512;
	closedir(dir);
	return ANSWER_OK;
}

enum answer unsupported_start(void *session, struct call *call)
{
	(void)session;
	(void)call;
	return answer_with(ANSWER_UNSUPPORTED, "calls in flight");
}

enum answer unsupported_reap(void *session, struct call **calls, unsigned max, unsigned *n)
{
	(void)session;
	(void)calls;
	(void)max;
	*n = 0;
	return answer_with(ANSWER_UNSUPPORTED, "calls in flight");
}
