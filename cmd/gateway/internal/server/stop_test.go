// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// TestStopUnderLoad: while calls run, a stop lets them end, and what was answered is there afterwards.
func TestStopUnderLoad(t *testing.T) {
	root := t.TempDir()
	s := begin(t, Config{System: engine(t, root)})
	kv := openKV(t, dial(t, s.Addr()))
	var acked sync.Map
	var count atomic.Int64
	var load sync.WaitGroup
	for w := range 16 {
		load.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%02d-%06d", w, i)
				if kv.Put(t.Context(), []byte(key), []byte(key)) != nil {
					return // the gateway is gone
				}
				acked.Store(key, true)
				count.Add(1)
			}
		})
	}
	for count.Load() < 500 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Stop(); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	load.Wait()
	checkAcked(t, root, &acked)
	t.Logf("%d puts were answered", count.Load())
}

func checkAcked(t *testing.T, root string, acked *sync.Map) {
	t.Helper()
	sys := engine(t, root)
	closeAfter(t, sys)
	pool, err := sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	kv := openIn(t, pool)
	acked.Range(func(key, _ any) bool {
		got, err := kv.Get(t.Context(), []byte(key.(string)))
		if err != nil || string(got) != key {
			t.Errorf("%s was answered, and now it is %q, %v", key, got, err)
		}
		return !t.Failed()
	})
	info, err := pool.Info(t.Context())
	if err != nil || info.LogUsedBytes > info.LogBytes/2 {
		t.Errorf("the stop left no checkpoint: %+v, %v", info, err)
	}
}

// TestStopCuts: calls that do not end are cut when the time is up, and the system is closed only after them.
func TestStopCuts(t *testing.T) {
	inside, left := make(chan struct{}), atomic.Bool{}
	s := begin(t, Config{StopTimeout: 100 * time.Millisecond, System: newDouble(func(ctx context.Context, op string) error {
		if op != "put" {
			return nil
		}
		close(inside)
		<-ctx.Done()
		left.Store(true)
		return ctx.Err()
	})})
	kv := doubleOver(t, s)
	result := make(chan error, 1)
	go func() { result <- kv.Put(t.Context(), []byte("k"), nil) }()
	<-inside
	began := time.Now()
	if err := s.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second || !left.Load() {
		t.Errorf("Stop took %v; the call had ended: %v", took, left.Load())
	}
	if err := <-result; err == nil {
		t.Error("the call that was cut succeeded")
	}
}

// TestHealth: everything serves, until the stop; a client that watches hears of it, and does not hold the stop up.
func TestHealth(t *testing.T) {
	s := begin(t, Config{System: newDouble(func(context.Context, string) error { return nil })})
	stub := healthpb.NewHealthClient(connect(t, s.Addr()))
	for _, name := range []string{"", "tarn.v1.PoolService", "tarn.v1.ContainerService", "tarn.v1.ObjectService",
		"tarn.v1.KeyValueService", "tarn.v1.AdminService", "tarn.v1.PoolService/tank"} {
		resp, err := stub.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q is %v, %v", name, resp, err)
		}
	}
	if _, err := stub.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("a service that is not there: %v", err)
	}
	watch, err := stub.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("the watch begins with %v, %v", first, err)
	}
	began := time.Now()
	if err := s.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Stop took %v", took)
	}
}

// TestPoolHealth follows a pool through its life.
func TestPoolHealth(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	stub := healthpb.NewHealthClient(connect(t, s.Addr()))
	sys := dial(t, s.Addr())
	check := func() string {
		resp, err := stub.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "tarn.v1.PoolService/tank"})
		return fmt.Sprint(resp.GetStatus(), status.Code(err))
	}
	before := check()
	info, err := sys.CreatePool(t.Context(), "tank", system.CreatePool{Size: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	during := check()
	if err := sys.DestroyPool(t.Context(), info.UUID, false); err != nil {
		t.Fatal(err)
	}
	if after := check(); before != "UNKNOWN NotFound" || during != "SERVING OK" || after != "NOT_SERVING OK" {
		t.Errorf("before %q, during %q, after %q", before, during, after)
	}
}

// TestServerInfo: the limits that a client goes by.
func TestServerInfo(t *testing.T) {
	s := start(t, Config{System: newDouble(func(context.Context, string) error { return nil })})
	info, err := apiv1.NewAdminServiceClient(connect(t, s.Addr())).GetServerInfo(t.Context(), &apiv1.GetServerInfoRequest{})
	l := info.GetLimits()
	if err != nil || info.GetVersion() != "0.0.0-test" || l.GetKeyBytes() != system.KeyMax || l.GetValueBytes() != system.ValueMax ||
		l.GetUnaryValueBytes() != 1<<20 || l.GetMessageBytes() != 4<<20+64<<10 || l.GetApplyMutations() != system.BatchMax {
		t.Errorf("GetServerInfo: %v, %v", info, err)
	}
}

// TestStopIdle: a client that has nothing to say, and does not answer, is told and left; it does not hold the stop up.
func TestStopIdle(t *testing.T) {
	s := begin(t, Config{System: newDouble(func(context.Context, string) error { return nil })})
	conn := greet(t, s.Addr())
	if !answered(conn, 5*time.Second) {
		t.Fatal("the connection is not served")
	}
	began := time.Now()
	if err := s.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if took := time.Since(began); took > 4*time.Second { // grpc waits 5 s for an answer to its ping
		t.Errorf("Stop took %v", took)
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	rest, err := io.ReadAll(conn)
	if err != nil || !bytes.Contains(rest, []byte("graceful_stop")) { // what grpc's GOAWAY says
		t.Errorf("the client was told %q, %v", rest, err)
	}
}
