// SPDX-License-Identifier: Apache-2.0

// Package service has the handlers of tarn.v1. Each does the same: check the request, ask the system, map the answer. Errors are
// those of the system, or come from package fault; the interceptors of package limit make statuses of them.
package service

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/trace"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// The limits that are part of the contract: see proto/tarn/v1.
const (
	UnaryValueMax = 1 << 20 // a value in a unary call, and all values of a BatchGet together
	ChunkMax      = 1 << 20 // bytes in one message of PutStream
	BatchMax      = 4096    // keys of BatchGet, BatchPut and BatchDelete
	PageDefault   = 100
	PageMax       = 1000
	MessageMax    = 4<<20 + 64<<10 // a request message

	scanBytes  = 31 << 10 // of a message of Scan
	firstGuess = 4 << 10  // most values are smaller: Get tries with so much room first
)

// Services are the handlers and what they share.
type Services struct {
	System  system.System
	Handles *handles.Cache
	Gate    *limit.Gate
	Health  *health.Server
	Counts  *limit.Counts
	Drain   <-chan struct{} // closed when the server goes down
	Version string
	Started time.Time
	Trace   *trace.Tracing // nil: none
	Watch   *watch.Log     // remembers errors of calls that come on a stream; nil: nothing does

	Log      *slog.Logger        // of operations, which outlive their call
	Devices  system.LocalDevices // nil: DeviceService answers NOTSUPPORTED
	AllowRaw bool                // callers may write to devices, and read them over TCP

	// What an operator changes. A nil one answers NOTSUPPORTED.
	Level    *slog.LevelVar   // from where on Log logs
	Settings func() []Setting // those in effect, in the order of their names
	GoDown   func()           // begins what SIGTERM begins; may be called again

	attributes sync.Mutex // of whoever changes user attributes
	replays    replays
	watches    watches
	sweeps     sweeps
	operations operations
	buffers    sync.Pool // of *[]byte, firstGuess long
	together   together

	sessions, sessionWaits atomic.Int64 // that are open; calls in their lanes
}

// Sessions are how many are open, and how many of their calls wait for others.
func (s *Services) Sessions() (open, waiting int64) { return s.sessions.Load(), s.sessionWaits.Load() }

// The names of the services, as health knows them.
var names = []string{
	apiv1.PoolService_ServiceDesc.ServiceName,
	apiv1.ContainerService_ServiceDesc.ServiceName,
	apiv1.ObjectService_ServiceDesc.ServiceName,
	apiv1.KeyValueService_ServiceDesc.ServiceName,
	apiv1.SnapshotService_ServiceDesc.ServiceName,
	apiv1.OperationService_ServiceDesc.ServiceName,
	apiv1.AdminService_ServiceDesc.ServiceName,
	apiv1.DeviceService_ServiceDesc.ServiceName,
}

// Register registers every service, and says that it is serving.
func (s *Services) Register(r grpc.ServiceRegistrar) {
	apiv1.RegisterPoolServiceServer(r, &pools{Services: s})
	apiv1.RegisterContainerServiceServer(r, &containers{Services: s})
	apiv1.RegisterObjectServiceServer(r, &objects{Services: s})
	apiv1.RegisterKeyValueServiceServer(r, &keyValues{Services: s})
	apiv1.RegisterSnapshotServiceServer(r, &snapshots{Services: s})
	apiv1.RegisterOperationServiceServer(r, &operationService{Services: s})
	apiv1.RegisterAdminServiceServer(r, &admin{Services: s})
	if s.Devices == nil {
		s.Devices = noDevices{}
	}
	apiv1.RegisterDeviceServiceServer(r, &devices{Services: s})
	for _, name := range names {
		s.Health.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
}

// Stop ends the operations that are running. No call begins another one.
func (s *Services) Stop() { s.operations.stop() }

// PoolHealth says whether a pool can be used, under the name "tarn.v1.PoolService/LABEL".
func (s *Services) PoolHealth(label string, serving bool) {
	status := healthpb.HealthCheckResponse_SERVING
	if !serving {
		status = healthpb.HealthCheckResponse_NOT_SERVING
	}
	s.Health.SetServingStatus(apiv1.PoolService_ServiceDesc.ServiceName+"/"+label, status)
}

// ref parses the reference in a field of a request.
func ref(field, text string, parts int) (handles.Ref, error) {
	r, err := handles.Parse(text, parts)
	if err != nil {
		return "", fault.Field(field, err.(*errno.Error))
	}
	return r, nil
}

// withPool calls f with the open pool of that name.
func (s *Services) withPool(ctx context.Context, name string, f func(system.Pool) error) error {
	ctx, span := s.Trace.Storage(ctx, "pool", name)
	h, err := s.handle(ctx, "pool", name, handles.PoolParts)
	if err != nil {
		return span.End(err)
	}
	defer h.Release()
	return span.End(f(h.Pool))
}

// withContainer calls f with the open container of that name.
func (s *Services) withContainer(ctx context.Context, name string, f func(system.Container) error) error {
	ctx, span := s.Trace.Storage(ctx, "container", name)
	h, err := s.handle(ctx, "container", name, handles.ContainerParts)
	if err != nil {
		return span.End(err)
	}
	defer h.Release()
	return span.End(f(h.Container))
}

// withKV calls f with the open object of that name. What f does not find is a key.
func (s *Services) withKV(ctx context.Context, name string, f func(system.KV) error) error {
	return s.withObject(ctx, name, func(h *handles.Handle) error { return f(h.KV) })
}

func (s *Services) withObject(ctx context.Context, name string, f func(*handles.Handle) error) error {
	ctx, span := s.Trace.Storage(ctx, "object", name)
	h, err := s.handle(ctx, "object", name, handles.ObjectParts)
	if err != nil {
		return span.End(err)
	}
	defer h.Release()
	return span.End(fault.Key(f(h)))
}

func (s *Services) handle(ctx context.Context, field, name string, parts int) (*handles.Handle, error) {
	r, err := ref(field, name, parts)
	if err != nil {
		return nil, err
	}
	return s.Handles.Get(ctx, r)
}
