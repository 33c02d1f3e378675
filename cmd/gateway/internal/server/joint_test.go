// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/systemtest"
)

// dialSeparate dials so that each put is a call by itself.
func dialSeparate(t testing.TB, endpoint string) *client.System {
	t.Helper()
	c, err := client.DialWith(t.Context(), endpoint, client.Options{SeparatePuts: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestConformanceSeparate: puts by themselves are as puts that go together, over which the whole suite runs, too.
func TestConformanceSeparate(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite runs once in short tests")
	}
	s := start(t, Config{System: engine(t, t.TempDir())})
	systemtest.Run(t, dialSeparate(t, s.Addr()))
}

// callsOf is how many puts were counted.
func callsOf(t *testing.T, stub apiv1.AdminServiceClient) (n uint64) {
	t.Helper()
	resp, err := stub.GetStats(t.Context(), &apiv1.GetStatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range resp.GetMethods() {
		if strings.HasSuffix(m.GetMethod(), "/Put") {
			n += m.GetCalls()
		}
	}
	return n
}

// TestJoinedMany: every put of many goroutines has its own result, and is counted as a call.
func TestJoinedMany(t *testing.T) {
	const putters, puts = 50, 40
	s := start(t, Config{System: engine(t, t.TempDir())})
	kv := openKV(t, dial(t, s.Addr()))
	admin := apiv1.NewAdminServiceClient(connect(t, s.Addr()))
	var all sync.WaitGroup
	var open atomic.Bool // a session was, after a put
	for g := range putters {
		all.Go(func() {
			for i := range puts {
				if n, _ := s.services.Sessions(); n > 0 {
					open.Store(true)
				}
				key := fmt.Appendf(nil, "%d-%d", g, i%30) // some again
				if i == puts/2 {
					key = nil
				}
				err := kv.Put(t.Context(), key, fmt.Appendf(nil, "%d", i))
				var e *errno.Error
				if key == nil && (!errors.As(err, &e) || e.Code != errno.Inval || e.Op != "kv put" || e.Ref != object) {
					t.Errorf("a put without a key: %v", err)
				}
				if key != nil && err != nil {
					t.Errorf("put %q: %v", key, err)
				}
			}
		})
	}
	all.Wait()
	if !open.Load() {
		t.Error("no session was open: the puts went by themselves")
	}
	if n := callsOf(t, admin); n != putters*puts {
		t.Errorf("%d of %d puts were counted", n, putters*puts)
	}
	wantRecent(t, s, watch.Event{Method: apiv1.KeyValueService_Put_FullMethodName, Ref: object, Code: codes.InvalidArgument,
		Reason: errno.Inval.Name(), Times: putters})
	for g := range putters {
		if got, err := kv.Get(t.Context(), fmt.Appendf(nil, "%d-%d", g, 9)); string(got) != "39" || err != nil {
			t.Errorf("what %d put last is %q, %v", g, got, err)
		}
	}
	if n, err := kv.Count(t.Context(), system.Range{}); n != 29*putters || err != nil {
		t.Errorf("%d keys, %v; want %d", n, err, 29*putters)
	}
}

// wantRecent is that the recent errors are one, as often as it was the same.
func wantRecent(t *testing.T, s *Server, want watch.Event) {
	t.Helper()
	all := s.services.Watch.Errors()
	for i := range all { // the client library names pool and container by their ids
		all[i].Time, all[i].Took = time.Time{}, 0
		if strings.HasSuffix(all[i].Ref, "/stadium") {
			all[i].Ref = want.Ref
		}
	}
	if len(all) != 1 || all[0] != want {
		t.Errorf("the recent errors are %v; want %v", all, want)
	}
}

// TestSessionRefused: changes for which the gateway has no room are among the recent errors, too.
func TestSessionRefused(t *testing.T) {
	s, _, stub := real(t, Config{})
	stream := session(t, stub)
	first := sessionPut(1, "a", "1", 0)
	first.Object = object
	send(t, stream, first)
	take(t, stream, 1)
	all := s.gate.Free()
	if err := s.gate.Take(context.Background(), all-1); err != nil {
		t.Fatal(err)
	}
	send(t, stream, sessionPut(2, "b", "2", 0), sessionPut(3, "c", "3", 0))
	answers := take(t, stream, 2)
	s.gate.Give(context.Background(), all-1)
	if reason := answers[3].GetError().GetReason(); reason != errno.OverloadRetry.Name() {
		t.Errorf("there is no room, and the answer is %v", answers[3])
	}
	wantRecent(t, s, watch.Event{Method: apiv1.KeyValueService_Put_FullMethodName, Ref: object, Code: codes.ResourceExhausted,
		Reason: errno.OverloadRetry.Name(), Times: 2})
}

// TestJoinedGone: the error of a put is that of the object, and of a closed handle; a put whose context ends returns at once.
func TestJoinedGone(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	sys := dial(t, s.Addr())
	kv := openKV(t, sys)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := kv.Put(ctx, []byte("a"), []byte("1")); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := dial(t, s.Addr()).DestroyPool(t.Context(), "tank", true); err != nil {
		t.Fatal(err)
	}
	if err := kv.Put(t.Context(), []byte("a"), []byte("1")); !errors.Is(err, errno.NonExist) {
		t.Errorf("of a pool that is gone: %v", err)
	}
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := kv.Put(t.Context(), []byte("a"), []byte("1")); !errors.Is(err, errno.NoHdl) {
		t.Errorf("closed: %v", err)
	}
}

// TestJoinedStop: when the gateway goes down every put ends: it was made, and is there later, or it has an error.
func TestJoinedStop(t *testing.T) {
	const putters = 20
	root := t.TempDir()
	s := begin(t, Config{System: engine(t, root), StopTimeout: 5 * time.Second})
	kv := openKV(t, dial(t, s.Addr()))
	var made [putters]atomic.Int64
	var all sync.WaitGroup
	for g := range putters {
		all.Go(func() {
			for i := 0; kv.Put(t.Context(), fmt.Appendf(nil, "%d-%d", g, i), []byte("v")) == nil; i++ {
				made[g].Store(int64(i + 1))
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	again := openAgain(t, root)
	for g := range putters {
		for i := range made[g].Load() {
			if there, err := again.Exists(t.Context(), fmt.Appendf(nil, "%d-%d", g, i)); !there || err != nil {
				t.Fatalf("put %d of %d was answered, and is not there: %v", i, g, err)
			}
		}
	}
}

// openAgain opens tank/neo/stadium in this process.
func openAgain(t *testing.T, root string) system.KV {
	t.Helper()
	sys := engine(t, root)
	pool, err := sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	cont, err := pool.OpenContainer(t.Context(), "neo")
	if err != nil {
		t.Fatal(err)
	}
	kv, err := cont.OpenKV(t.Context(), "stadium", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(kv.Close(), cont.Close(), pool.Close(), sys.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return kv
}

// TestJoinedUnsent: a put that the gateway has not begun, because it is full, is made as a call by itself, again and again; and what a context
// has for the gateway goes with a call.
func TestJoinedUnsent(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	kv := openKV(t, dial(t, s.Addr()))
	all := s.gate.Free()
	if err := s.gate.Take(context.Background(), all-1); err != nil {
		t.Fatal(err)
	}
	free := time.AfterFunc(200*time.Millisecond, func() { s.gate.Give(context.Background(), all-1) })
	defer free.Stop()
	began := time.Now()
	if err := kv.Put(t.Context(), []byte("a"), make([]byte, 1000)); err != nil || time.Since(began) < 200*time.Millisecond {
		t.Errorf("while the gateway was full: %v after %v", err, time.Since(began))
	}
	before, _ := s.services.Sessions()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "mine")
	if err := kv.Put(ctx, []byte("b"), nil); err != nil {
		t.Error(err)
	}
	if open, _ := s.services.Sessions(); open > before {
		t.Error("a put with a request id went on a session")
	}
}
