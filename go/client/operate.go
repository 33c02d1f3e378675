// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"time"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// WatchStats says how the gateway is doing, at once and after each interval, until ctx ends, the loop does or the gateway goes down. every is 100 ms
// to one hour; 0: one second. An error ends it.
func (s *System) WatchStats(ctx context.Context, every time.Duration) iter.Seq2[system.ServerStats, error] {
	const op = "stats watch"
	return func(yield func(system.ServerStats, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if every != 0 && (every < 100*time.Millisecond || every > time.Hour) {
			yield(system.ServerStats{}, errno.New(op, s.ref, errno.Inval, "the interval is 100 ms to one hour"))
			return
		}
		if err := s.check(ctx, op); err != nil {
			yield(system.ServerStats{}, err)
			return
		}
		stream, err := s.admin.StreamStats(ctx, &apiv1.StreamStatsRequest{IntervalMs: uint32(every.Milliseconds())})
		for err == nil {
			var r *apiv1.StreamStatsResponse
			if r, err = stream.Recv(); err == nil && !yield(serverStats(r.GetStats()), nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(system.ServerStats{}, fromStatus(ctx, op, s.ref, err))
		}
	}
}

// Config says which settings of the gateway are in effect, in the order of their names. NO_PERM without the role admin.
func (s *System) Config(ctx context.Context) ([]system.Setting, error) {
	const op = "gateway config"
	if err := s.check(ctx, op); err != nil {
		return nil, err
	}
	r, err := s.admin.GetConfig(ctx, &apiv1.GetConfigRequest{})
	if err != nil {
		return nil, fromStatus(ctx, op, s.ref, err)
	}
	var all []system.Setting
	for _, set := range r.GetSettings() {
		all = append(all, system.Setting{Name: set.GetName(), Value: set.GetValue(), Source: set.GetSource()})
	}
	return all, nil
}

var logLevels = map[slog.Level]apiv1.LogLevel{
	slog.LevelDebug: apiv1.LogLevel_LOG_LEVEL_DEBUG,
	slog.LevelInfo:  apiv1.LogLevel_LOG_LEVEL_INFO,
	slog.LevelWarn:  apiv1.LogLevel_LOG_LEVEL_WARN,
	slog.LevelError: apiv1.LogLevel_LOG_LEVEL_ERROR,
}

// SetLogLevel says from which level on the gateway logs, and returns what it was. INVAL when level is none of slog's four; NO_PERM without
// the role admin.
func (s *System) SetLogLevel(ctx context.Context, level slog.Level) (slog.Level, error) {
	const op = "gateway log level"
	if err := s.check(ctx, op); err != nil {
		return 0, err
	}
	r, err := s.admin.SetLogLevel(ctx, &apiv1.SetLogLevelRequest{Level: logLevels[level]})
	if err != nil {
		return 0, fromStatus(ctx, op, s.ref, err)
	}
	for known, number := range logLevels {
		if number == r.GetPrevious() {
			return known, nil
		}
	}
	return slog.LevelInfo, nil
}

// Drain makes the gateway stop as SIGTERM does, and returns when that has begun. NO_PERM without the role admin.
func (s *System) Drain(ctx context.Context) error {
	const op = "gateway drain"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	_, err := s.admin.DrainServer(ctx, &apiv1.DrainServerRequest{})
	return fromStatus(ctx, op, s.ref, err)
}
