// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const (
	operationFor = time.Hour // how long an operation is remembered after its end
	operationMax = 1000      // that are remembered
	runningMax   = 16        // at once
)

// operations is the work that goes on when the call that began it has been answered. The zero value is ready.
type operations struct {
	mu      sync.Mutex
	last    uint64
	all     []*operation // the oldest first
	running sync.WaitGroup
	stopped bool
}

type operation struct {
	number       uint64
	kind, target string
	started      time.Time
	cancel       context.CancelFunc
	done         chan struct{} // closed when it has ended: then the rest stays as it is

	mu       sync.Mutex
	ended    time.Time
	progress uint64
	total    uint64
	report   *apiv1.CheckReport
	err      error
}

// start runs work in the background. The context of work ends by CancelOperation, and when the server goes down.
func (os *operations) start(log *slog.Logger, kind, target string, work func(context.Context, *operation) error) (*operation, error) {
	ctx, cancel := context.WithCancel(context.Background())
	op := &operation{kind: kind, target: target, started: time.Now(), cancel: cancel, done: make(chan struct{})}
	if err := os.add(op); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer os.running.Done()
		defer cancel()
		op.end(contained(ctx, log, op, work))
	}()
	return op, nil
}

// contained does the work of an operation; a panic is its error.
func contained(ctx context.Context, log *slog.Logger, op *operation, work func(context.Context, *operation) error) (err error) {
	defer limit.Contain(log, op.kind, &err)
	return work(ctx, op)
}

func (os *operations) add(op *operation) error {
	os.mu.Lock()
	defer os.mu.Unlock()
	os.forget()
	running := 0
	for _, other := range os.all {
		if !other.isDone() {
			running++
		}
	}
	switch {
	case os.stopped:
		return errno.New("", op.target, errno.Shutdown, "the gateway is going down")
	case running >= runningMax:
		return errno.New("", op.target, errno.OverloadRetry, fmt.Sprintf("%d operations are running; wait for one of them", running))
	}
	os.last++
	op.number = os.last
	os.all = append(os.all, op)
	os.running.Add(1)
	return nil
}

// forget drops those that ended long ago, and the oldest when they are too many. Lock held.
func (os *operations) forget() {
	limit, over := time.Now().Add(-operationFor), len(os.all)+1-operationMax
	keep := os.all[:0]
	for i, op := range os.all {
		old := op.isDone() && (i < over || op.endedBefore(limit))
		if !old {
			keep = append(keep, op)
		}
	}
	clear(os.all[len(keep):])
	os.all = keep
}

// stop cancels what is running, and waits for it.
func (os *operations) stop() {
	os.mu.Lock()
	os.stopped = true
	for _, op := range os.all {
		op.cancel()
	}
	os.mu.Unlock()
	os.running.Wait()
}

func (os *operations) find(name string) (*operation, error) {
	digits, ok := strings.CutPrefix(name, "operations/")
	number, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil {
		return nil, fault.Invalid("name", "", "%.64q is not the name of an operation; they look like operations/12", name)
	}
	os.mu.Lock()
	defer os.mu.Unlock()
	for _, op := range os.all {
		if op.number == number {
			return op, nil
		}
	}
	return nil, errno.New("", name, errno.NonExist, "there is no such operation; it may have ended more than an hour ago")
}

func (os *operations) list() []*operation {
	os.mu.Lock()
	defer os.mu.Unlock()
	return append([]*operation(nil), os.all...)
}

func (op *operation) isDone() bool {
	select {
	case <-op.done:
		return true
	default:
		return false
	}
}

func (op *operation) endedBefore(t time.Time) bool {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.ended.Before(t)
}

func (op *operation) setProgress(done, all uint64) {
	op.mu.Lock()
	op.progress, op.total = done, all
	op.mu.Unlock()
}

func (op *operation) end(err error) {
	op.mu.Lock()
	op.err, op.ended = err, time.Now()
	op.mu.Unlock()
	close(op.done)
}

func (op *operation) wire(withReport bool) *apiv1.Operation {
	op.mu.Lock()
	defer op.mu.Unlock()
	w := &apiv1.Operation{
		Name: "operations/" + strconv.FormatUint(op.number, 10), Kind: op.kind, Target: op.target,
		StartTime: timestamppb.New(op.started), ProgressBytes: op.progress, TotalBytes: op.total, Done: !op.ended.IsZero(),
	}
	if w.Done {
		w.EndTime = timestamppb.New(op.ended)
	}
	if withReport {
		w.Report = op.report
	}
	if op.err != nil {
		st, _ := status.FromError(fault.Status(op.err, false))
		code := errno.CodeOf(op.err)
		w.Error = &apiv1.OperationError{Code: int32(st.Code()), Reason: code.Name(), Rc: int32(code), Message: st.Message()}
	}
	return w
}

type operationService struct {
	apiv1.UnimplementedOperationServiceServer
	*Services
}

func (s *operationService) GetOperation(ctx context.Context, req *apiv1.GetOperationRequest) (*apiv1.GetOperationResponse, error) {
	op, err := s.seenOperation(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &apiv1.GetOperationResponse{Operation: s.seenReport(ctx, op.wire(true))}, nil
}

func (s *operationService) ListOperations(ctx context.Context, req *apiv1.ListOperationsRequest) (*apiv1.ListOperationsResponse, error) {
	p, err := pageOf(req)
	if err != nil {
		return nil, err
	}
	sees := func(op *operation) (bool, error) { return s.seesOperation(ctx, op), nil }
	all, next, err := visible(s.operations.list(), p, func(op *operation) string { return sortable(op.number) }, sees)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.ListOperationsResponse{NextPageToken: next}
	for _, op := range all {
		resp.Operations = append(resp.Operations, s.seenReport(ctx, op.wire(false)))
	}
	return resp, nil
}

func (s *operationService) CancelOperation(_ context.Context, req *apiv1.CancelOperationRequest) (*apiv1.CancelOperationResponse, error) {
	op, err := s.operations.find(req.GetName())
	if err != nil {
		return nil, err
	}
	op.cancel()
	return &apiv1.CancelOperationResponse{}, nil
}

func (s *operationService) WaitOperation(ctx context.Context, req *apiv1.WaitOperationRequest) (*apiv1.WaitOperationResponse, error) {
	op, err := s.seenOperation(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if req.GetTimeout() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.GetTimeout().AsDuration())
		defer cancel()
	}
	select {
	case <-op.done:
	case <-ctx.Done():
		if req.GetTimeout() == nil {
			return nil, errno.FromContext("", req.GetName(), ctx)
		}
	}
	return &apiv1.WaitOperationResponse{Operation: s.seenReport(ctx, op.wire(true))}, nil
}

// verify begins a check or a scrub of a pool.
func (s *pools) verify(ctx context.Context, kind, name string, run func(context.Context, system.Pool, system.CheckOptions) (system.CheckReport, error)) (*apiv1.Operation, error) {
	if err := s.withPool(ctx, name, func(system.Pool) error { return nil }); err != nil { // what can be refused is refused at once
		return nil, err
	}
	op, err := s.operations.start(s.Log, kind, name, func(ctx context.Context, op *operation) error {
		return s.withPool(auth.Gateway(ctx), name, func(p system.Pool) error {
			report, err := run(ctx, p, system.CheckOptions{Progress: op.setProgress})
			op.setReport(report)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return op.wire(false), nil
}

func (op *operation) setReport(r system.CheckReport) {
	wire := &apiv1.CheckReport{Bytes: r.Bytes, Findings: r.Findings}
	for _, f := range r.Found {
		wire.Found = append(wire.Found, &apiv1.Finding{
			What: f.What, Offset: f.Offset, Length: f.Length, Container: f.Container, Epoch: f.Epoch,
			Object: strings.ToValidUTF8(f.Object, "?"), LastObject: strings.ToValidUTF8(f.LastObject, "?"), Low: f.Low, High: f.High,
		})
	}
	op.mu.Lock()
	op.report, op.progress = wire, r.Bytes
	op.mu.Unlock()
}

func (s *pools) CheckPool(ctx context.Context, req *apiv1.CheckPoolRequest) (*apiv1.CheckPoolResponse, error) {
	op, err := s.verify(ctx, "check", req.GetPool(), func(ctx context.Context, p system.Pool, o system.CheckOptions) (system.CheckReport, error) {
		return p.Check(ctx, o)
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.CheckPoolResponse{Operation: op}, nil
}

func (s *pools) ScrubPool(ctx context.Context, req *apiv1.ScrubPoolRequest) (*apiv1.ScrubPoolResponse, error) {
	op, err := s.verify(ctx, "scrub", req.GetPool(), func(ctx context.Context, p system.Pool, o system.CheckOptions) (system.CheckReport, error) {
		o.BytesPerSecond = req.GetBytesPerSecond()
		return p.Scrub(ctx, o)
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.ScrubPoolResponse{Operation: op}, nil
}
