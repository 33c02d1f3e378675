/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c: the log's two outputs, a callback and a file descriptor.
 *
 * Always true: an output is called without the lock, so it may call anything, tarn_log_set() too. Whoever changes an output waits
 * until no other thread is inside one. A message that nobody wants costs one atomic load. */
#include "base.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LEVEL_OFF    ((int)TARN_LOG_ERROR + 1)
#define LINE_MAX_LEN 512 /* at most PIPE_BUF, so that lines of several threads do not mix in a pipe */

struct outputs {
	tarn_log_sink sink;
	void	     *arg;
	int	      sink_level;
	int	      fd;
	int	      fd_level;
};

static pthread_mutex_t lock    = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  idle    = PTHREAD_COND_INITIALIZER;
static struct outputs  outputs = { .sink_level = LEVEL_OFF, .fd = -1, .fd_level = LEVEL_OFF }; /* under lock */
static unsigned	       running;	 /* calls inside an output; under lock */
static unsigned	       settling; /* those of them that wait in settle(); under lock */
static _Atomic int     threshold = LEVEL_OFF;

static _Thread_local unsigned depth; /* of this thread's share of `running` */

/* Waits until no other thread is inside an output. From inside one, not for those that wait here themselves: two such would wait
 * for each other. */
static void settle(void)
{
	settling += depth;
	pthread_cond_broadcast(&idle);
	while (running > (depth ? settling : 0))
		pthread_cond_wait(&idle, &lock);
	settling -= depth;
}

void tarn_log_set(tarn_log_sink sink, void *arg, tarn_log_level level)
{
	pthread_mutex_lock(&lock);
	outputs.sink	   = sink;
	outputs.arg	   = arg;
	outputs.sink_level = sink ? (int)level : LEVEL_OFF;
	atomic_store(&threshold, MIN(outputs.sink_level, outputs.fd_level));
	settle();
	pthread_mutex_unlock(&lock);
}

void tarn_log_set_fd(int fd, tarn_log_level level)
{
	pthread_mutex_lock(&lock);
	outputs.fd	 = fd;
	outputs.fd_level = fd >= 0 ? (int)level : LEVEL_OFF;
	atomic_store(&threshold, MIN(outputs.sink_level, outputs.fd_level));
	settle();
	pthread_mutex_unlock(&lock);
}

/* A reader that has gone must not kill the host process: SIGPIPE is held back for the write and, when it came from it, eaten. */
static void write_quietly(int fd, const char *line, size_t len)
{
	const struct timespec now = { 0, 0 };
	sigset_t	      pipe_set, old, pending;
	ssize_t		      n;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	do
		n = write(fd, line, len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_set, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void write_line(int fd, int level, const char *message)
{
	static const char *const names[] = { "DEBUG", "INFO", "WARN", "ERROR" };
	char			 line[LINE_MAX_LEN];
	int			 len;

	len = snprintf(line, sizeof(line) - 1, "%s %s", names[level], message);
	len = MIN(len, (int)sizeof(line) - 2);
	for (int i = 0; i < len; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[len] = '\n';
	write_quietly(fd, line, (size_t)len + 1);
}

static struct outputs outputs_enter(void)
{
	struct outputs copy;

	pthread_mutex_lock(&lock);
	copy = outputs;
	running++, depth++;
	pthread_mutex_unlock(&lock);
	return copy;
}

static void outputs_leave(void)
{
	pthread_mutex_lock(&lock);
	running--, depth--;
	pthread_cond_broadcast(&idle);
	pthread_mutex_unlock(&lock);
}

void base_log(tarn_log_level level, const char *fmt, ...)
{
	char	       message[LINE_MAX_LEN - 8];
	int	       saved = errno;
	struct outputs out;
	va_list	       args;

	if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	out = outputs_enter();
	if ((int)level >= out.sink_level)
		out.sink(out.arg, level, message);
	if ((int)level >= out.fd_level)
		write_line(out.fd, (int)level, message);
	outputs_leave();
	errno = saved;
}
