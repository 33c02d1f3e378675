// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"runtime"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

type admin struct {
	apiv1.UnimplementedAdminServiceServer
	*Services
}

func (s *admin) GetServerInfo(context.Context, *apiv1.GetServerInfoRequest) (*apiv1.GetServerInfoResponse, error) {
	return &apiv1.GetServerInfoResponse{
		Version:  s.Version,
		Features: []string{"reflection"},
		Limits: &apiv1.ServerLimits{
			KeyBytes:        system.KeyMax,
			ValueBytes:      system.ValueMax,
			UnaryValueBytes: UnaryValueMax,
			MessageBytes:    MessageMax,
			BatchKeys:       BatchMax,
			ApplyMutations:  system.BatchMax,
			PageSize:        PageMax,
		},
	}, nil
}

func (s *admin) GetStats(context.Context, *apiv1.GetStatsRequest) (*apiv1.GetStatsResponse, error) {
	return s.stats(), nil
}

func (s *Services) stats() *apiv1.GetStatsResponse {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	gate := s.Gate.State()
	resp := &apiv1.GetStatsResponse{
		StartTime: timestamppb.New(s.Started), InFlightBytes: uint64(gate.Bytes), InFlightLimitBytes: uint64(gate.BytesMax),
		OpenHandles: uint32(s.Handles.Open()), Goroutines: uint32(runtime.NumGoroutine()), HeapBytes: mem.HeapAlloc,
		CpuSeconds: cpuTime().Seconds(), Allocations: mem.Mallocs,
		Refused: gate.Refused, Watches: uint32(gate.Watches), WatchesLimit: uint32(gate.WatchesMax),
	}
	for _, c := range s.Counts.All() {
		resp.Methods = append(resp.Methods, &apiv1.MethodStats{
			Method: c.Method, Calls: c.Calls, Errors: c.Errors, Seconds: c.Time.Seconds(),
		})
	}
	return resp
}

// cpuTime is the processor time of this process so far; 0 when the system does not say.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (s *admin) Echo(context.Context, *apiv1.EchoRequest) (*apiv1.EchoResponse, error) {
	return &apiv1.EchoResponse{}, nil
}
