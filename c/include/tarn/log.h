/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/log.h: what the library has to say beside its results.
 *
 * The library never prints. Messages go to one sink; without one they are dropped. Keys and values are never logged. */
#ifndef TARN_LOG_H
#define TARN_LOG_H

#include <tarn/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tarn_log_level {
	TARN_LOG_DEBUG = 0,
	TARN_LOG_INFO  = 1,
	TARN_LOG_WARN  = 2,
	TARN_LOG_ERROR = 3,
} tarn_log_level;

typedef void (*tarn_log_sink)(void *arg, tarn_log_level level, const char *message);

/* Sends messages of at least this level to sink (NULL: to nobody). The sink is called by any thread of the library, with no lock
 * of the library held that a Tarn call would take; message is lent for the call. When tarn_log_set() returns, the former sink is
 * not running and will not be called again. */
TARN_API void tarn_log_set(tarn_log_sink sink, void *arg, tarn_log_level level);

/* Sends messages of at least this level to a file descriptor, a line each ("WARN text\n"), for callers that prefer a pipe to a
 * callback (Go does). fd stays the caller's; -1 ends it. */
TARN_API void tarn_log_set_fd(int fd, tarn_log_level level);

#ifdef __cplusplus
}
#endif
#endif
