// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
)

// The library has one log for the process. It writes lines into a pipe; a goroutine hands each to every logger that an open system
// brought. A line that does not fit into a full pipe is lost: logging never holds a call up.
var messages logPipe

type logPipe struct {
	mu      sync.Mutex
	loggers map[*slog.Logger]int // and how many systems brought it
	fd      int                  // the end that C writes; valid while there are loggers
}

// add opens the pipe for the first logger. discard is where a system without a logger logs: it needs no pipe.
func (p *logPipe) add(l *slog.Logger) error {
	if l == discard {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.loggers) == 0 {
		if err := p.open(); err != nil {
			return err
		}
	}
	p.loggers[l]++
	C.tarn_log_set_fd(C.int(p.fd), p.level())
	return nil
}

// remove closes the pipe after the last logger; its reader then ends by itself.
func (p *logPipe) remove(l *slog.Logger) {
	if l == discard {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loggers[l]--; p.loggers[l] == 0 {
		delete(p.loggers, l)
	}
	if len(p.loggers) == 0 {
		C.tarn_log_set_fd(-1, C.TARN_LOG_ERROR)
		syscall.Close(p.fd)
	}
}

func (p *logPipe) open() error {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	p.loggers = make(map[*slog.Logger]int)
	p.fd = fds[1]
	go p.read(os.NewFile(uintptr(fds[0]), "tarn log"))
	return nil
}

func (p *logPipe) read(f *os.File) {
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		p.log(lines.Text())
	}
}

var logLevels = map[string]slog.Level{
	"DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARN": slog.LevelWarn, "ERROR": slog.LevelError,
}

// log takes one line: a level, a space, the message.
func (p *logPipe) log(line string) {
	word, text, _ := strings.Cut(line, " ")
	level, ok := logLevels[word]
	if !ok {
		level, text = slog.LevelInfo, line
	}
	p.mu.Lock()
	loggers := make([]*slog.Logger, 0, len(p.loggers))
	for l := range p.loggers {
		loggers = append(loggers, l)
	}
	p.mu.Unlock()
	for _, l := range loggers {
		l.Log(context.Background(), level, text)
	}
}

// level is the lowest that any logger takes.
func (p *logPipe) level() C.tarn_log_level {
	ctx := context.Background()
	lowest := C.tarn_log_level(C.TARN_LOG_ERROR)
	for l := range p.loggers {
		switch {
		case l.Enabled(ctx, slog.LevelDebug):
			return C.TARN_LOG_DEBUG
		case l.Enabled(ctx, slog.LevelInfo):
			lowest = min(lowest, C.TARN_LOG_INFO)
		case l.Enabled(ctx, slog.LevelWarn):
			lowest = min(lowest, C.TARN_LOG_WARN)
		}
	}
	return lowest
}

var discard = slog.New(slog.DiscardHandler)
