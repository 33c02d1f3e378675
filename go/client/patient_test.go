// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// full is a gateway that refuses what it is asked to create, some times for one reason, then for another.
type full struct {
	flaky

	mu         sync.Mutex // a handler may run when its caller has given up
	overloaded int
	asked      []time.Time
}

// begin lets it refuse so many calls for being full, and forget what it was asked.
func (f *full) begin(overloaded int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.overloaded, f.asked = overloaded, nil
}

func (f *full) times() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func refusedFor(reason errno.Code, delay time.Duration) error {
	st, err := status.New(codes.ResourceExhausted, "full").WithDetails(
		&errdetails.ErrorInfo{Domain: "tarn", Reason: reason.Name(), Metadata: map[string]string{"rc": "-2048"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	if err != nil {
		return err
	}
	return st.Err()
}

func (f *full) CreatePool(context.Context, *apiv1.CreatePoolRequest) (*apiv1.CreatePoolResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, time.Now())
	if f.overloaded--; f.overloaded >= 0 {
		return nil, refusedFor(errno.OverloadRetry, 30*time.Millisecond)
	}
	return nil, refusedFor(errno.NoSpace, time.Millisecond)
}

// TestPatient: a change is made again while the gateway is full, no earlier than it says, and for nothing else; and no longer than its deadline.
func TestPatient(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	f, srv := &full{}, grpc.NewServer()
	f.begin(3)
	apiv1.RegisterAdminServiceServer(srv, &f.flaky)
	apiv1.RegisterPoolServiceServer(srv, f)
	go func() { _ = srv.Serve(l) }()
	defer srv.Stop()
	sys, err := Dial(t.Context(), "unix:"+l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	_, err = sys.CreatePool(t.Context(), "tank", system.CreatePool{})
	asked := f.times()
	if err == nil || len(asked) != 4 {
		t.Errorf("asked %d times: %v", len(asked), err)
	}
	for i := 1; i < len(asked); i++ {
		if pause := asked[i].Sub(asked[i-1]); pause < 30*time.Millisecond {
			t.Errorf("attempt %d came after %v", i, pause)
		}
	}
	f.begin(1000)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = sys.CreatePool(ctx, "tank", system.CreatePool{})
	if n := len(f.times()); !errors.Is(err, errno.OverloadRetry) && !errors.Is(err, context.DeadlineExceeded) || n == 0 || n > 6 {
		t.Errorf("with a deadline: %d times, %v", n, err)
	}
}

// TestPauses grow, are never shorter than the gateway says, and are not all the same.
func TestPauses(t *testing.T) {
	const delay = 100 * time.Millisecond
	seen := map[time.Duration]bool{}
	var sum [attempts]time.Duration
	for range 200 {
		for i := range attempts {
			p := pauseAfter(i, delay)
			if p < delay || p > pauseMost {
				t.Fatalf("after attempt %d: %v", i, p)
			}
			seen[p] = true
			sum[i] += p
		}
	}
	if len(seen) < 200 || sum[5] < 2*sum[0] {
		t.Errorf("%d different pauses; %v", len(seen), sum)
	}
	if d, ok := fullFor(refusedFor(errno.OverloadRetry, -time.Hour)); d != 0 || !ok {
		t.Errorf("a delay in the past: %v, %v", d, ok)
	}
	if _, ok := fullFor(status.Error(codes.ResourceExhausted, "message too large")); ok {
		t.Error("a message that is too large is sent again")
	}
}
