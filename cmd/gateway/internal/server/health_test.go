// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"os/signal"
	"syscall"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// noWrites makes writes to files fail from 4 KiB on, for this process, until the end of the test: what a device does that has failed.
func noWrites(t *testing.T) (again func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // which tells of it, too
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: cur, Max: old.Max}); err != nil {
			t.Error(err)
		}
	}
	again = func() { set(old.Cur) }
	t.Cleanup(again)
	set(4096)
	return again
}

func (w *follower) want(t *testing.T, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	resp, err := w.Recv()
	if err != nil || resp.GetStatus() != want {
		t.Fatalf("the pool is %v, %v; want %v", resp, err, want)
	}
}

// follower follows the health of a pool.
type follower struct{ healthpb.Health_WatchClient }

// use keeps the pool open until the caller calls leave.
func use(t *testing.T, stub apiv1.KeyValueServiceClient) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	put, err := stub.PutStream(ctx)
	if err == nil {
		err = put.Send(&apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Header{Header: &apiv1.PutStreamHeader{Object: object, Key: []byte("held"),
			ChecksumType: apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return cancel
}

// TestPoolFails: who watches a pool hears when its device fails, and when it was opened again; other pools and services go on.
func TestPoolFails(t *testing.T) {
	s, kv, kvs := real(t, Config{Idle: 300 * time.Millisecond})
	stub := healthpb.NewHealthClient(connect(t, s.Addr()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := stub.Watch(ctx, &healthpb.HealthCheckRequest{Service: "tarn.v1.PoolService/tank"})
	if err != nil {
		t.Fatal(err)
	}
	watch := &follower{stream}
	watch.want(t, healthpb.HealthCheckResponse_SERVING)
	leave := use(t, kvs)
	again := noWrites(t)
	if err := kv.Put(ctx, []byte("k"), []byte("v")); err == nil {
		t.Error("a put of what cannot be written succeeds")
	} else {
		t.Log(err)
	}
	watch.want(t, healthpb.HealthCheckResponse_NOT_SERVING)
	for _, name := range []string{"", "tarn.v1.PoolService", "tarn.v1.KeyValueService"} {
		if resp, err := stub.Check(ctx, &healthpb.HealthCheckRequest{Service: name}); err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q is %v, %v", name, resp, err)
		}
	}
	again()
	leave()
	watch.want(t, healthpb.HealthCheckResponse_SERVING) // closed, because nobody used it
	if err := kv.Put(ctx, []byte("k"), []byte("v")); err != nil {
		t.Errorf("after it was opened again: %v", err)
	}
}
