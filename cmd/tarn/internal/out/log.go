// SPDX-License-Identifier: Apache-2.0

package out

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Logger writes the warnings and errors of the library as lines for people: "tarn: warning: pool pond cannot be read ...".
func Logger(w io.Writer) *slog.Logger { return slog.New(logHandler{w}) }

// logHandler leaves attributes out: the library's messages are whole sentences.
type logHandler struct{ w io.Writer }

func (logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	level := "warning"
	if r.Level >= slog.LevelError {
		level = strings.ToLower(r.Level.String())
	}
	_, err := fmt.Fprintf(h.w, "tarn: %s: %s\n", level, r.Message)
	return err
}

func (h logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h logHandler) WithGroup(string) slog.Handler      { return h }
