// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
)

// What an operator asks of a gateway that runs.

// Setting is one setting of the gateway.
type Setting struct {
	Name, Value, Source string
}

// The times between two answers of StreamStats.
const (
	statsDefault = time.Second
	statsLeast   = 100 * time.Millisecond
	statsMost    = time.Hour
)

func (s *admin) StreamStats(req *apiv1.StreamStatsRequest, stream grpc.ServerStreamingServer[apiv1.StreamStatsResponse]) error {
	every := time.Duration(req.GetIntervalMs()) * time.Millisecond
	if every == 0 {
		every = statsDefault
	}
	if every < statsLeast || every > statsMost {
		return fault.Invalid("interval_ms", "", "interval_ms is %d; it is %d to %d, or 0 for a second", req.GetIntervalMs(),
			statsLeast.Milliseconds(), statsMost.Milliseconds())
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := stream.Send(&apiv1.StreamStatsResponse{Stats: s.stats()}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-s.Drain:
			return errno.New("", "", errno.Shutdown, "the gateway is going down")
		case <-stream.Context().Done():
			return errno.FromContext("", "", stream.Context())
		}
	}
}

func (s *admin) GetConfig(context.Context, *apiv1.GetConfigRequest) (*apiv1.GetConfigResponse, error) {
	if s.Settings == nil {
		return nil, cannot("its settings are not known to it")
	}
	resp := &apiv1.GetConfigResponse{}
	for _, set := range s.Settings() {
		resp.Settings = append(resp.Settings, &apiv1.Setting{Name: set.Name, Value: set.Value, Source: set.Source})
	}
	return resp, nil
}

func cannot(why string) error {
	return errno.New("", "", errno.NotSupported, "the program that this gateway runs in does not let it: "+why)
}

var levels = map[apiv1.LogLevel]slog.Level{
	apiv1.LogLevel_LOG_LEVEL_DEBUG: slog.LevelDebug,
	apiv1.LogLevel_LOG_LEVEL_INFO:  slog.LevelInfo,
	apiv1.LogLevel_LOG_LEVEL_WARN:  slog.LevelWarn,
	apiv1.LogLevel_LOG_LEVEL_ERROR: slog.LevelError,
}

func (s *admin) SetLogLevel(ctx context.Context, req *apiv1.SetLogLevelRequest) (*apiv1.SetLogLevelResponse, error) {
	level, ok := levels[req.GetLevel()]
	switch {
	case !ok:
		return nil, fault.Invalid("level", "", "level is %d; this server knows DEBUG, INFO, WARN and ERROR", req.GetLevel())
	case s.Level == nil:
		return nil, cannot("its log has one level")
	}
	previous := s.Level.Level()
	s.Level.Set(level)
	s.Log.Log(ctx, max(level, previous, slog.LevelInfo), "the log level was set", "from", previous.String(), "to", level.String())
	return &apiv1.SetLogLevelResponse{Previous: levelName(previous)}, nil
}

// levelName is the highest level that is not above one.
func levelName(level slog.Level) apiv1.LogLevel {
	name := apiv1.LogLevel_LOG_LEVEL_DEBUG
	for known, from := range levels {
		if from <= level && known > name {
			name = known
		}
	}
	return name
}

func (s *admin) DrainServer(context.Context, *apiv1.DrainServerRequest) (*apiv1.DrainServerResponse, error) {
	if s.GoDown == nil {
		return nil, cannot("it cannot be stopped from here")
	}
	s.GoDown()
	return &apiv1.DrainServerResponse{}, nil
}
