// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/tarn"
)

// TestDeadlineReachesC: a call whose deadline passes while the engine works ends there too: the engine has nothing under way soon afterwards,
// and nothing changes any more.
func TestDeadlineReachesC(t *testing.T) {
	const keys = 40000
	sys, err := tarn.OpenWith(tarn.Options{Root: t.TempDir(), CacheBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{System: sys.System()})
	kv, stub := openKV(t, dial(t, s.Addr())), apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	for at := 0; at < keys; at += 1000 {
		batch := make([]system.Mutation, 1000)
		for i := range batch {
			batch[i] = system.Mutation{Key: fmt.Appendf(nil, "%08d", at+i), Value: make([]byte, 64)}
		}
		if err := kv.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond) // to delete so many takes much longer
		_, err := stub.DeleteRange(ctx, &apiv1.DeleteRangeRequest{Object: object, Range: &apiv1.KeyRange{Prefix: []byte("0")}})
		cancel()
		if status.Code(err) != codes.DeadlineExceeded {
			t.Fatalf("call %d: %v", n, err)
		}
		left := still(t, sys, kv)
		if t.Logf("%d of %d keys are left", left, keys); n == 0 && left == 0 {
			t.Error("the engine carried on to the end")
		} else if left < keys/2 {
			return
		}
	}
}

// still waits until the engine has nothing under way, and wants what is stored to stay as it is then: so many keys.
func still(t *testing.T, sys *tarn.System, kv system.KV) uint64 {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); sys.InFlight() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d operations are under way long after the deadline of the only call", sys.InFlight())
		}
	}
	before, err := kv.Count(t.Context(), system.Range{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	if after, err := kv.Count(t.Context(), system.Range{}); err != nil || after != before {
		t.Errorf("%d keys, then %d, %v", before, after, err)
	}
	return before
}
